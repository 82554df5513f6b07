"""Results in a storage that Snakemake copies files to and from, in place of a folder that all machines share.

With `--default-storage-provider` each job gets copies of its inputs, below `.snakemake/storage`, and its outputs are
taken to the storage. The plan reads files before there are jobs, and the console after them: here they get copies, too.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Workflow = Any  # snakemake.workflow.Workflow


class Storage:
    """The storage of a workflow. Paths are as the rules say them: relative, without the storage's prefix."""

    def __init__(self, workflow: Workflow):
        self.workflow = workflow

    @property
    def is_used(self) -> bool:
        """Whether files are in a storage at all."""
        return self.workflow.storage_settings.default_storage_provider is not None

    def _query(self, path: str) -> str:
        prefix = self.workflow.storage_settings.default_storage_prefix or ""
        return f"{prefix.rstrip('/')}/{path}" if prefix else path

    def _object(self, path: str) -> Any:
        return self.workflow.storage_registry.default_storage_provider.object(self._query(path))

    def has(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return bool(self.workflow.async_run(self._object(path).managed_exists()))

    def bring(self, paths: Iterable[str]) -> None:
        """Copy files and folders here as they are there; a copy of what is not there any more is removed."""
        for path in paths:
            found = self._object(path)
            copy = Path(found.local_path())
            if self.workflow.async_run(found.managed_exists()):
                self.workflow.async_run(found.managed_retrieve())
            elif copy.is_dir():
                shutil.rmtree(copy)
            else:
                copy.unlink(missing_ok=True)

    def bring_all(self, folder: str, pattern: str) -> None:
        """The same for all files below a folder whose paths in it match `pattern`, a regular expression."""
        listed = self._object(f"{folder}/{{file}}")
        start, copies = f"{self._query(folder)}/", Path(self._object(folder).local_path())
        there = {str(path).removeprefix(start) for path in listed.list_candidate_matches()}
        here = {str(path.relative_to(copies)) for path in copies.rglob("*")}
        self.bring(f"{folder}/{path}" for path in sorted(there | here) if re.fullmatch(pattern, path))

    def forget(self, paths: Iterable[str]) -> None:
        """Remove the copies here of files that a job is about to make again: Snakemake takes an output in a storage
        that has a copy here for write-protected."""
        for path in paths:
            Path(self._object(path).local_path()).unlink(missing_ok=True)

    def send(self, files: Mapping[str, Path]) -> None:
        """Put files there."""
        for path, file in files.items():
            found = self._object(path)
            found.set_local_path(file)
            self.workflow.async_run(found.managed_store())
