"""What files take on disk."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Bytes on the disk, and the latest modification in seconds since 1970."""

    size: int
    modified: float


def used(paths: Iterable[Path]) -> Usage:
    """What these files and all files below these directories take.

    A file with several names counts once, as `best.safetensors` beside its epoch does; symbolic links are not followed.
    What vanishes meanwhile, since a run works beside, or may not be looked at, counts nothing.
    """
    sizes: dict[tuple[int, int], int] = {}
    latest = 0.0
    for path in paths:
        inside = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
        for file in (str(path), *inside):
            try:
                status = os.lstat(file)
            except OSError:
                continue
            sizes[status.st_dev, status.st_ino] = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
            latest = max(latest, status.st_mtime)
    return Usage(sum(sizes.values()), latest)
