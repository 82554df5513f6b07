"""What is in a folder or a zip: the names of its images, its folders, and other files. No image is opened."""

import heapq
import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from weight_atlas.datasets.image import open_zip, refuse_special
from weight_atlas.datasets.layout import Trail
from weight_atlas.text import one_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp")
JUNK = ("thumbs.db", "desktop.ini")  # what a file manager leaves behind


class Contents(NamedTuple):
    """Names of the images in a container, with slashes, its folders, and the names of other files.

    checksums: of a zip's images, the CRC-32 and the size of each, which the zip itself lists; warnings: sentences.
    """

    names: list[str]
    directories: set[Trail]
    others: list[str]
    checksums: dict[str, str]
    warnings: list[str]


def contents(container: Path) -> Contents:
    """The contents of a folder or zip; hidden files and __MACOSX are left out.

    Raises
    ------
    ValueError
        In one line, for a folder that cannot be read, and an image that is none: a pipe, a link that leads nowhere.
    """
    return _folder(container) if container.is_dir() else _zip(container)


def file_names(folder: Path) -> list[str]:
    """The names of all files in a folder and those below it, with slashes; hidden ones are left out.

    ValueError as :func:`contents` raises it.
    """
    return _Walk(folder).names


def _sorted_out(names: list[str], directories: set[Trail], checksums: dict[str, str], warnings: list[str]) -> Contents:
    """Images and other files apart."""
    images = [name for name in names if name.lower().endswith(SUFFIXES)]
    others = [name for name in names if not name.lower().endswith((*SUFFIXES, *JUNK))]
    return Contents(images, directories, others, checksums, warnings)


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


class _Walk:
    """All that is in a folder. Links to folders are followed after the folders themselves, and each folder is read
    once: a link to a folder above it, or a second one to the same, adds nothing."""

    def __init__(self, container: Path):
        self.container = container
        self.names: list[str] = []
        self.directories: set[Trail] = set()
        self.links: list[Trail] = []
        self.skipped: list[str] = []
        self._seen: set[tuple[int, int]] = set()
        waiting: list[Trail] = [()]
        while waiting:
            waiting += self._read(waiting.pop())
            if not waiting and self.links:
                waiting.append(heapq.heappop(self.links))
        self.names.sort()

    def _read(self, trail: Trail) -> list[Trail]:
        """Note what is in one folder; the trails of those in it."""
        path = self.container.joinpath(*trail)
        try:
            found = path.stat()
            if (found.st_dev, found.st_ino) in self._seen:
                self.directories.discard(trail)
                self.skipped.append("/".join(trail))
                return []
            self._seen.add((found.st_dev, found.st_ino))
            with os.scandir(path) as entries:
                visible = sorted((entry for entry in entries if _visible(entry.name)), key=lambda entry: entry.name)
        except OSError as error:
            raise ValueError(f"{one_line(path)}: cannot be read ({error.strerror}); allow it or take it out") from None
        inside: list[Trail] = []
        for entry in visible:
            if not _is_folder(entry):
                self.names.append("/".join((*trail, entry.name)))
                _check_file(entry)
                continue
            self.directories.add((*trail, entry.name))
            if entry.is_symlink():
                heapq.heappush(self.links, (*trail, entry.name))
            else:
                inside.append((*trail, entry.name))
        return inside


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _check_file(entry: "os.DirEntry[str]") -> None:
    """ValueError where what is called an image is no file."""
    if entry.name.lower().endswith(SUFFIXES) and not entry.is_file(follow_symlinks=False):
        try:
            refuse_special(Path(entry.path))
        except OSError as error:
            reason = f"a link that leads nowhere: {error.strerror}" if error.strerror else str(error)
            raise ValueError(f"{one_line(entry.path)}: cannot be read as an image ({reason}); remove it") from None


def _folder(container: Path) -> Contents:
    walk = _Walk(container)
    warnings = []
    if walk.skipped:
        name = one_line(f"{container.name}/{walk.skipped[0]}")
        warnings.append(
            f"Passed over: {len(walk.skipped):,} links to folders that are read already, such as {name}."
            if len(walk.skipped) > 1
            else f"Passed over: a link to a folder that is read already, {name}."
        )
    return _sorted_out(walk.names, walk.directories, {}, warnings)


def _zip(container: Path) -> Contents:
    with open_zip(container) as file:
        members = [one for one in file.infolist() if all(_visible(piece) for piece in one.filename.split("/"))]
        outside = [one for one in file.namelist() if one.startswith("/") or ".." in one.split("/")]
    names = [one.filename for one in members if not one.is_dir()]
    _check_zip(container, members, outside)
    directories = {tuple(one.filename.rstrip("/").split("/")) for one in members if one.is_dir()}
    checksums = {one.filename: f"{one.CRC:08x}-{one.file_size}" for one in members}
    return _sorted_out(names, directories, checksums, [])


def _check_zip(container: Path, members: list[zipfile.ZipInfo], outside: list[str]) -> None:
    """ValueError for members whose names mean another place or two members, and for encrypted ones."""
    names = [one.filename for one in members]
    odd = {
        "lies outside of it": next(iter(outside), None),
        "has backslashes for slashes": next((name for name in names if "\\" in name), None),
        "is there twice": next((name for name, number in Counter(names).items() if number > 1), None),
        "is encrypted": next((one.filename for one in members if one.flag_bits & 1), None),
    }
    for what, name in odd.items():
        if name is not None:
            raise ValueError(f"{container}: its member {one_line(name)} {what}; make the zip anew, or unpack it")
