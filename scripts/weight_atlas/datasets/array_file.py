"""An array of numpy in a .npy file, or in an .npz: its header before its content, and no Python objects, ever."""

import hashlib
import math
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weight_atlas.datasets.image import METHODS, open_zip, refuse_special
from weight_atlas.text import one_line, printable

MOST_BYTES = 2**36  # of one array: 69 GB
MOST_LABELS = 50_000_000
VERSIONS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class ArrayFile(NamedTuple):
    """An array on disk: the .npy or .npz, the key in the latter, its shape and dtype, and whether columns come first;
    checksum: what an .npz says of it."""

    path: Path
    key: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int
    checksum: str

    def __str__(self) -> str:
        return one_line(f"{self.path}: {self.key}" if self.key else self.path)

    @property
    def digest(self) -> str:
        """What tells its content apart."""
        if self.checksum:
            return self.checksum
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def read(self) -> npt.NDArray[Any]:
        """All of it; ValueError in one line where it cannot be read."""
        with _opened(self.path, self.key) as (file, _, _):
            file.read(self.offset)
            content = file.read(math.prod(self.shape) * self.dtype.itemsize)
        return np.frombuffer(content, self.dtype).reshape(self.shape, order="F" if self.fortran else "C")

    def mapped(self, stack: ExitStack) -> npt.NDArray[Any]:
        """All of it, left on disk; that of an .npz is unpacked into a temporary folder, which `stack` removes."""
        path = self.path
        if self.key:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atlas-")))
            path = folder / "array.npy"
            with _opened(self.path, self.key) as (file, size, _):
                if size > (free := shutil.disk_usage(folder).free):
                    raise ValueError(f"{self}: unpacks to {size:,} bytes, {folder.parent} has {free:,}; set TMPDIR")
                with open(path, "wb") as copy:
                    shutil.copyfileobj(file, copy, 2**20)
        how: dict[str, Any] = {"offset": self.offset, "shape": self.shape, "order": "F" if self.fortran else "C"}
        return np.memmap(path, self.dtype, "r", **how)


def keys(path: Path) -> list[str]:
    """The names of the arrays in an .npz; ValueError in one line where it is none."""
    with _archive(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def look(path: Path, key: str | None = None) -> ArrayFile:
    """The header of an array: a .npy, or the one called `key` in an .npz.

    Raises
    ------
    ValueError
        In one line, where it is damaged, larger than it may be, not as long as its header says, or of Python objects.
    """
    with _opened(path, key) as (file, size, checksum):
        where = one_line(f"{path}: {key}" if key else path)
        try:
            version = np.lib.format.read_magic(file)
            if version not in VERSIONS:
                raise ValueError(f"version {version[0]}.{version[1]} of the format")
            shape, fortran, dtype = VERSIONS[version](file)
        except Exception as error:  # numpy passes on what Python's parser raises
            reason = printable(" ".join(str(error).split())) or type(error).__name__
            raise ValueError(f"{where}: is no array of numpy ({reason}); save it by numpy.save") from None
        if dtype.hasobject:
            raise ValueError(f"{where}: holds Python objects, which are never read; save numbers")
        expected = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0:
            raise ValueError(f"{where}: has the shape {' x '.join(map(str, shape))}, which is none; replace it")
        if expected > MOST_BYTES:
            raise ValueError(f"{where}: its {expected:,} bytes are more than the {MOST_BYTES:,} that are read")
        if size - file.tell() != expected:
            raise ValueError(f"{where}: has {size - file.tell():,} bytes, its header says {expected:,}; replace it")
        return ArrayFile(path, key, shape, dtype, fortran, file.tell(), checksum)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with open_zip(path, "no readable .npz") as archive:
        yield archive


@contextmanager
def _opened(path: Path, key: str | None) -> Iterator[tuple[IO[bytes], int, str]]:
    """Yields an array's file, its size, and what an .npz says of it; ValueError in one line where it cannot be read."""
    where = one_line(f"{path}: {key}" if key else path)
    try:
        with ExitStack() as stack:
            if key is None:
                size = refuse_special(path).st_size
                yield stack.enter_context(open(path, "rb")), size, ""
                return
            archive = stack.enter_context(_archive(path))
            member = archive.getinfo(f"{key}.npy")
            if member.flag_bits & 1 or member.compress_type not in METHODS:
                raise ValueError(f"{where}: is encrypted, or not compressed as numpy does; save it by numpy.savez")
            file = stack.enter_context(archive.open(member))
            yield file, member.file_size, f"{member.CRC:08x}-{member.file_size}"
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise ValueError(f"{where}: cannot be read ({printable(reason) or type(error).__name__}); replace it") from None
