"""Results that come as a bundle: a zip file, or the folder that it was unpacked to. No torch, no pandas."""

import functools
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

# What is unpacked without being asked for: tables, cards of data sets, traced networks and records; and its bytes.
SMALL = re.compile(r"(tables/|data/|networks/|)[^/]+\.(csv|json|sha256|txt)|results/cells/[^/]+/[^/]+/run\.json")
MOST_SMALL = 2**30


class Unpacked:
    """A bundle's tables and records in a temporary folder, which goes with this process."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self._temporary = tempfile.TemporaryDirectory(prefix="weight-atlas-")
        self.folder = Path(self._temporary.name)
        self._unpack(lambda name: bool(SMALL.fullmatch(name)), MOST_SMALL)

    def bring(self, start: str) -> None:
        """Unpack the files whose names begin so, unless they are here."""
        self._unpack(lambda name: name.startswith(start) and not (self.folder / name).exists())

    def _unpack(self, is_wanted: Callable[[str], bool], most: float = float("inf")) -> None:
        try:
            with zipfile.ZipFile(self.archive) as archive:
                members = [member for member in archive.infolist() if is_wanted(member.filename)]
                if sum(member.file_size for member in members) > most:
                    raise ValueError(f"its tables unpack to more than {most:,} bytes")
                archive.extractall(self.folder, members)  # which leaves no name outside, and makes no link
        except (zipfile.BadZipFile, ValueError, OSError, RuntimeError) as error:
            raise ValueError(f"{self.archive}: is no bundle that can be read ({error}); get it again") from None


@functools.cache
def _unpacked(archive: Path, *stat: int) -> Unpacked:
    return Unpacked(archive)


def unpacked(archive: Path) -> Unpacked:
    """A bundle, unpacked once per process as long as it stays the same; ValueError where it is none."""
    stat = archive.stat()
    return _unpacked(archive.resolve(), stat.st_size, stat.st_mtime_ns)


def is_bundle(folder: Path) -> bool:
    """Whether a folder of results is that of a bundle, and not one that a run left."""
    return (folder / "weights.sha256").is_file()


def base(folder: Path) -> Path:
    """The folder that the names of cells.csv begin at: the bundle, or the one that the workflow ran in."""
    return folder if is_bundle(folder) else folder.parents[1]
