"""What is remembered of a source's files, so that they are read again only where a size or a time is another."""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from weight_atlas import store
from weight_atlas.datasets.contents import file_names


def mark(paths: Iterable[Path]) -> str | None:
    """What changes with the names, sizes and times of files and of all files in folders; None where one is missing.

    The time of a file's last change of any sort (ctime) counts too: nobody can set it, as `cp -p` and `unzip` set the
    other one.
    """
    digest = hashlib.sha256()
    for path in paths:
        if not path.exists():
            return None
        for name in file_names(path) if path.is_dir() else [""]:
            try:
                found = os.stat(path / name)
                facts = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
            except OSError as error:  # a link that leads nowhere, or a file that somebody removes right now
                facts = str(error.strerror)
            digest.update(f"{path.name}/{name} {facts}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def recall(record: Path, mark: str | None, look: Callable[[], str]) -> str:
    """What `look` found when the files had this mark; where they have another one, it looks again.

    Parameters
    ----------
    record : the file that remembers it
    mark : that of the files today, as :func:`mark` gives it
    look : reads the files, and gives what tells their content apart; its ValueError passes through
    """
    known = _read(record)
    if mark and known.get("mark") == mark and "content" in known:
        return known["content"]
    content = look()
    remember(record, mark, content)
    return content


def last(record: Path) -> str | None:
    """What was found when somebody looked last; None where nobody did."""
    return _read(record).get("content")


def _read(record: Path) -> dict[str, str]:
    """What a record says; nothing where it is none."""
    try:
        known = store.read_json(record)
    except (ValueError, OSError):
        return {}
    is_record = isinstance(known, dict) and all(isinstance(value, str) for value in known.values())
    return known if is_record else {}


def remember(record: Path, mark: str | None, content: str) -> None:
    """Write that files of this mark, which was taken before they were read, have this content."""
    if mark:
        store.write_json(record, {"mark": mark, "content": content})
