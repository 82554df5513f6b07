"""Removing what is on the disk without following a link: neither on the way there nor inside."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from weight_atlas.text import printable

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def link_to(root: Path, path: Path) -> Path | None:
    """The first link among `path` and the folders between it and `root`; None where there is none."""
    parts = path.relative_to(root).parts
    places = (root.joinpath(*parts[: count + 1]) for count in range(len(parts)))
    return next((place for place in places if place.is_symlink()), None)


def remove(root: Path, path: Path) -> None:
    """Remove a file or a folder below `root`, with all that is in it; a link in it goes, what it names stays.

    What vanishes meanwhile, or was not there, is as good as removed.

    Raises
    ------
    OSError
        Where something stays; also where one of the folders between `root` and `path` is a link.
    """
    *folders, name = path.relative_to(root).parts
    try:
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for folder in folders:  # one at a time: none of them can become a link behind our back
                inner = os.open(folder, FOLDER, dir_fd=handle)
                os.close(handle)
                handle = inner
            if stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=handle, onerror=_unless_gone)
            else:
                os.unlink(name, dir_fd=handle)
        finally:
            os.close(handle)
    except FileNotFoundError:
        pass


def _unless_gone(function: Callable[..., object], path: str, info: tuple[object, BaseException, object]) -> None:
    if not isinstance(info[1], FileNotFoundError):
        raise info[1]


def reason(error: OSError) -> str:
    """Why something could not be removed, on one line."""
    return f"{error.strerror}: {printable(error.filename)}"
