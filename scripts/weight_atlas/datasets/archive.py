"""Read chosen members of a tar or zip, or unpack all of it, within bounds that no published data set reaches."""

import bz2
import errno
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

from weight_atlas.datasets.image import METHODS, open_zip, refuse_special
from weight_atlas.text import printable

MOST_UNPACKED = 2**30  # bytes that an archive may unpack to of which members are read: 1.1 GB
MOST_MEMBERS = 10_000
MOST_UNPACKED_WHOLE = 2**37  # the same of one that is unpacked as a whole: 137 GB
MOST_MEMBERS_WHOLE = 5_000_000
AT_ONCE = 2**20  # bytes that are read at once; a header of a tar that asks for more is none
OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
DAMAGED = (OSError, EOFError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


class Unwritable(OSError):
    """The disk cannot take what an archive holds."""


class Member(NamedTuple):
    """A file of an archive: its name, without a leading "./", and its content; None for a folder."""

    name: str
    file: IO[bytes] | None


class Bounds(NamedTuple):
    """How many bytes an archive may unpack to, and how many members it may have."""

    unpacked: int
    members: int


class _Bounded:
    """An unpacked tar that ends with an error where it is larger than it may be."""

    def __init__(self, file: IO[bytes], most: int):
        self._file, self._most = file, most

    def read(self, size: int) -> bytes:
        if not 0 <= size <= AT_ONCE:
            raise ValueError(f"a header of {size:,} bytes")
        content = self._file.read(size)
        if self._file.tell() > self._most:
            raise ValueError(_too_much(self._most))
        return content

    def seek(self, place: int) -> int:
        if place > self._most:
            raise ValueError(_too_much(self._most))
        if place < self.tell():
            raise ValueError("a member of a negative size")  # which some versions of tarfile read for ever
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


def _too_much(most: int) -> str:
    return f"it unpacks to more than the {most:,} bytes that are read"


@contextmanager
def members(archive: Path, names: Collection[str] | None, bounds: Bounds | None = None) -> Iterator[Iterator[Member]]:
    """Yields the members of a .zip or .tar (.gz, .bz2, .xz) that have these names, in its order.

    Without names it yields all, folders too. ValueError in one line where it is damaged, too large, or has something
    else than a file under one of the names.
    """
    bounds = bounds or Bounds(MOST_UNPACKED, MOST_MEMBERS)
    try:
        refuse_special(archive)
        if zipfile.is_zipfile(archive):
            with open_zip(archive) as packed:
                yield _zipped(packed, names, bounds)
        else:
            with open(archive, "rb") as file:
                magic = file.read(6)
            opener = next((one for start, one in OPENERS.items() if magic.startswith(start)), open)
            with opener(archive, "rb") as file:
                bounded = cast(IO[bytes], _Bounded(file, bounds.unpacked))
                with tarfile.open(fileobj=bounded, mode="r:") as tar:
                    yield _tarred(tar, names, bounds)
    except Unwritable:
        raise
    except (ValueError, *DAMAGED) as error:
        reason = printable(" ".join(str(error).split())) or type(error).__name__
        raise ValueError(f"{archive}: cannot be unpacked ({reason}); replace it") from None


def _zipped(archive: zipfile.ZipFile, names: Collection[str] | None, bounds: Bounds) -> Iterator[Member]:
    every = archive.infolist()
    if names is None and (len(every) > bounds.members or sum(one.file_size for one in every) > bounds.unpacked):
        raise ValueError(f"it has more than {bounds.members:,} members, or {bounds.unpacked:,} bytes unpacked")
    for member in every:
        if names is None and member.is_dir():
            yield Member(_plain(member.filename), None)
        elif names is None or _plain(member.filename) in names:
            if names is None and stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                raise ValueError(f"{member.filename} is no file but a link or a device")
            if member.file_size > bounds.unpacked:
                raise ValueError(_too_much(bounds.unpacked))
            if member.flag_bits & 1:
                raise ValueError(f"{member.filename} is encrypted")
            if member.compress_type not in METHODS:
                raise ValueError(f"{member.filename} is compressed by method {member.compress_type}, not Deflate")
            with archive.open(member) as file:
                yield Member(_plain(member.filename), file)


def _tarred(archive: tarfile.TarFile, names: Collection[str] | None, bounds: Bounds) -> Iterator[Member]:
    number = 0
    while (member := archive.next()) is not None:
        vars(archive)["members"].clear()  # it would keep all of them
        number += 1
        if number > bounds.members:
            raise ValueError(f"it has more than {bounds.members:,} members")
        if names is None and member.isdir():
            yield Member(_plain(member.name), None)
        elif names is None or _plain(member.name) in names:
            file = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if file is None:
                raise ValueError(f"{member.name} is no file but a link or a folder")
            yield Member(_plain(member.name), file)


def _plain(name: str) -> str:
    return PurePosixPath(name).as_posix()


def unpack(archive: Path, folder: Path) -> None:
    """Write all files of a .zip or .tar (.gz, .bz2, .xz) to a new folder.

    Raises
    ------
    ValueError
        In one line, where it is damaged, too large, has a name twice or outside of the folder, a link or a device.
    Unwritable
        Where the disk is full, or does not allow it.
    """
    folder.mkdir()
    with members(archive, None, Bounds(MOST_UNPACKED_WHOLE, MOST_MEMBERS_WHOLE)) as found:
        for name, file in found:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
                raise ValueError(f"{name} lies outside of it")
            place = folder / path
            with _writing(name):
                (place.parent if file else place).mkdir(parents=True, exist_ok=True)
            if file:
                _copy(file, place, name)


def _copy(file: IO[bytes], place: Path, name: str) -> None:
    """Write a member; errors of the archive and of the disk are told apart."""
    with ExitStack() as stack:
        with _writing(name):
            copy = stack.enter_context(open(place, "xb", buffering=0))
        while content := file.read(2**16):
            with _writing(name):
                copy.write(content)


@contextmanager
def _writing(name: str) -> Iterator[None]:
    """Turns an error of the disk into Unwritable, and any other into one of the archive."""
    try:
        yield
    except OSError as error:
        if error.errno in OF_THE_DISK:
            raise Unwritable(error.errno, error.strerror) from None
        why = "is there twice" if isinstance(error, FileExistsError) else str(error.strerror)
        raise ValueError(f"{printable(name, 60)}: {why}") from None
