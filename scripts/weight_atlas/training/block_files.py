"""The files of a block while it is trained, and when it is done. Imports no torch."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weight_atlas import records, store
from weight_atlas.plan.recipe import Recipe, agrees

JOURNAL = "attempts.json"


class Block:
    """One block of a cell: its directory, its scratch directory beside it, and its lock."""

    def __init__(
        self,
        directory: Path,
        cell_id: str,
        settings: dict[str, Any],
        recipe: Recipe | None = None,
        keep: str = "all",
        adopt: bool = False,
    ):
        """recipe: what it is trained from; keep: the snapshots that stay once it is trained, `all`, `ends`, or these
        and some epochs, as 5+10; adopt: whether replicates that other code trained stay."""
        self.directory, self.cell_id, self.settings, self.recipe = directory, cell_id, settings, recipe or {}
        self.keep, self.adopt = keep, adopt
        self.seeds = store.block_seeds(directory)
        self.scratch = store.scratch_path(directory)

    @contextlib.contextmanager
    def lock(self) -> Iterator[int]:
        """Hold the block's lock; wait, and say so, while another process trains it."""
        path = store.lock_path(self.directory)
        store.make_folder(path.parent)
        reported = False
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The holder before us may have removed the file that we have just locked.
                if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
                    break
            except BlockingIOError:
                if not reported:
                    print(f"{self.cell_id}: another process trains {self.directory.name}; waiting for it", flush=True)
                reported = True
                time.sleep(1)
            os.close(handle)
        try:
            yield handle
        finally:
            path.unlink(missing_ok=True)
            os.close(handle)

    def restore_log(self, log: Path) -> Path:
        """Put back what earlier attempts wrote, since Snakemake removes the log; returns the file that keeps it."""
        kept = self.scratch / "train.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(kept.read_bytes() if kept.exists() else b"")
        return kept

    def append_log(self, text: str, log: Path) -> None:
        """Add a line to the log, among those of the trainer."""
        with open(self.scratch / "train.log", "a", encoding="utf-8") as file:
            file.write(f"{text}\n")
        self.restore_log(log)

    def review(self, again: bool) -> None:
        """Keep the replicates that an earlier job put in place, as far as they can be relied on; remove the others.

        again: whether those that failed are tried again. Snakemake removes run.json and metrics.csv whenever it starts
        this job; the replicates stay, so that only what is not whole is trained.
        """
        for folder in sorted((self.directory / "snapshots").glob("seed*")):
            if problem := self._find_problem(folder, again):
                print(f"{self.cell_id} {folder.name}: {problem}: it is trained again", flush=True)
                _remove(folder / "record.json")  # first: what is half removed must not look finished
                store.flush(folder)
                shutil.rmtree(folder)
        for seed in self.seeds:
            path = store.record_path(self.scratch, seed)
            if path.exists() and records.read_replicate(self.scratch, seed, sealed=False) is None:
                print(f"{self.cell_id} seed {seed}: {path} is damaged: it is trained again", flush=True)
                _remove(path)

    def _find_problem(self, folder: Path, again: bool) -> str | None:
        """Why a replicate whose folder is in place cannot stay there, or None."""
        seed = folder.name.removeprefix("seed")
        record = records.read_replicate(self.directory, int(seed)) if seed.isdecimal() else None
        if record is None:
            return "it is there in part"
        if not agrees(record["recipe"], self.recipe, self.adopt):
            return "its code, data or parent changed"
        if record["status"] == "failed":
            return "it failed" if again else None
        return records.find_damage(self.directory, record)

    def unfinished(self) -> list[int]:
        """The seeds that have no record yet, neither in place nor in the scratch directory."""
        return [
            seed
            for seed in self.seeds
            if not any(store.record_path(where, seed).exists() for where in (self.directory, self.scratch))
        ]

    def unplaced(self) -> list[int]:
        """The seeds whose replicates are not in place."""
        return [seed for seed in self.seeds if not store.record_path(self.directory, seed).exists()]

    def record_failure(self, cause: str) -> None:
        """Record every replicate that is not finished as failed, with its cause."""
        for seed in self.unfinished():
            failed = {"seed": seed, "status": "failed", "cause": cause, "epochs": 0, "best_epoch": None}
            store.write_json(store.record_path(self.scratch, seed), failed)

    def finish(self) -> dict[str, Any]:
        """Put the replicates into place one by one, then metrics.csv and run.json; what run.json says.

        Whatever interrupts it, each replicate is whole in one of the two directories, and the next job goes on here.
        """
        store.make_folder(self.directory / "snapshots")
        # What a process that was killed was writing.
        for part in (*self.directory.glob(".part-*"), *self.scratch.rglob(".part-*")):
            part.unlink()
        for seed in self.unplaced():
            source, target = (store.replicate_path(where, seed) for where in (self.scratch, self.directory))
            records.seal(self.scratch, seed, self.recipe)
            os.replace(source, target)
            store.flush(target.parent)
        for folder in self.directory.parents[:2]:  # Snakemake makes these, and does not flush them
            store.flush(folder)
        run = records.assemble(self.directory, self.cell_id, self.settings)
        self.clear()
        return run

    def clear(self) -> None:
        """Remove the scratch directory, the journal last: what is left of the others must not look like its own."""
        for path in self.scratch.iterdir():
            if path.name != JOURNAL:
                _remove(path)
        store.flush(self.scratch)
        shutil.rmtree(self.scratch)


def _remove(path: Path) -> None:
    """Remove a file, or a folder, where there is one."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
