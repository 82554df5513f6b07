"""Read chosen members of a tar or zip, and nothing else of it, within bounds that no published data set reaches."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

from weight_atlas.datasets.image import METHODS, open_zip, refuse_special
from weight_atlas.text import printable

MOST_UNPACKED = 2**30  # bytes that an archive may unpack to: 1.1 GB
MOST_MEMBERS = 10_000
AT_ONCE = 2**20  # bytes that are read at once; a header of a tar that asks for more is none
OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
DAMAGED = (OSError, EOFError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class Member(NamedTuple):
    """A file of an archive: its name, without a leading "./", and its content."""

    name: str
    file: IO[bytes]


class _Bounded:
    """An unpacked tar that ends with an error where it is larger than it may be."""

    def __init__(self, file: IO[bytes]):
        self._file = file

    def read(self, size: int) -> bytes:
        if not 0 <= size <= AT_ONCE:
            raise ValueError(f"a header of {size:,} bytes")
        return self._within(self._file.read(size))

    def seek(self, place: int) -> int:
        if place > MOST_UNPACKED:
            raise ValueError(_too_much())
        if place < self.tell():
            raise ValueError("a member of a negative size")  # which some versions of tarfile read for ever
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()

    def _within(self, content: bytes) -> bytes:
        if self._file.tell() > MOST_UNPACKED:
            raise ValueError(_too_much())
        return content


def _too_much() -> str:
    return f"it unpacks to more than the {MOST_UNPACKED:,} bytes that are read"


@contextmanager
def members(archive: Path, names: Collection[str]) -> Iterator[Iterator[Member]]:
    """Yields the members of a .zip or .tar (.gz, .bz2, .xz) that have these names, in its order.

    ValueError in one line where it is damaged, too large, or has something else than a file under one of the names.
    """
    try:
        refuse_special(archive)
        if zipfile.is_zipfile(archive):
            with open_zip(archive) as packed:
                yield _zipped(packed, names)
        else:
            with open(archive, "rb") as file:
                magic = file.read(6)
            opener = next((one for start, one in OPENERS.items() if magic.startswith(start)), open)
            with opener(archive, "rb") as file, tarfile.open(fileobj=cast(IO[bytes], _Bounded(file)), mode="r:") as tar:
                yield _tarred(tar, names)
    except (ValueError, *DAMAGED) as error:
        reason = printable(" ".join(str(error).split())) or type(error).__name__
        raise ValueError(f"{archive}: cannot be unpacked ({reason}); replace it") from None


def _zipped(archive: zipfile.ZipFile, names: Collection[str]) -> Iterator[Member]:
    for member in archive.infolist():
        if _plain(member.filename) in names:
            if member.file_size > MOST_UNPACKED:
                raise ValueError(_too_much())
            if member.flag_bits & 1:
                raise ValueError(f"{member.filename} is encrypted")
            if member.compress_type not in METHODS:
                raise ValueError(f"{member.filename} is compressed by method {member.compress_type}, not Deflate")
            with archive.open(member) as file:
                yield Member(_plain(member.filename), file)


def _tarred(archive: tarfile.TarFile, names: Collection[str]) -> Iterator[Member]:
    for number, member in enumerate(archive):
        if number >= MOST_MEMBERS:
            raise ValueError(f"it has more than {MOST_MEMBERS:,} members")
        if _plain(member.name) in names:
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                raise ValueError(f"{member.name} is no file but a link or a folder")
            yield Member(_plain(member.name), file)


def _plain(name: str) -> str:
    return PurePosixPath(name).as_posix()
