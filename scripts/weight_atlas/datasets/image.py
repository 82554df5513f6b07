"""Read one image, from a folder or a zip: bounded in bytes and pixels, whatever the file is."""

import hashlib
import io
import os
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from weight_atlas.datasets.pixels import Plain, plain
from weight_atlas.datasets.source import ImageFile
from weight_atlas.text import printable

# Pillow's formats of the suffixes that are read. An image may have another one's suffix; what else Pillow knows, some
# of which calls other programs, is never tried.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
MOST_BYTES = 2**28  # of the file of one image: 268 MB
MOST_PIXELS = 2**27  # of one image: 134 million, which take 0.5 GB while they are read
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Python unpacks the others without a bound
SPECIAL = {
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISDIR: "a folder",
}


def open_zip(path: Path, else_it_is: str = "neither a folder nor a readable zip") -> zipfile.ZipFile:
    """The zip at `path`; ValueError in one line where it is none, or one that is to exhaust its reader."""
    try:
        refuse_special(path)
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises many kinds for damaged data
        raise ValueError(f"{path}: {else_it_is} ({_reason(error)}); replace it") from None
    if sum(member.compress_size for member in archive.infolist()) > path.stat().st_size:
        archive.close()
        raise ValueError(f"{path}: its members overlap, as no honest zip's do; replace it")
    if not all(member.filename for member in archive.infolist()):
        archive.close()
        raise ValueError(f"{path}: has a member without a name; make the zip anew, or unpack it")
    return archive


def refuse_special(path: Path) -> os.stat_result:
    """The size and times of a file; OSError, in words, for what is none: it is never opened."""
    found = path.stat()
    for is_kind, name in SPECIAL.items():
        if is_kind(found.st_mode):
            raise OSError(f"it is {name}, not a file")
    return found


def _file(path: Path) -> bytes:
    """All of a file."""
    refuse_special(path)
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(_too_much(path.stat().st_size))
    return content


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """All of a member of a zip. zipfile reads no more than the size that the member declares."""
    member = archive.getinfo(name)
    if member.flag_bits & 1:
        raise ValueError("it is encrypted: unpack the zip with its password")
    if member.compress_type not in METHODS:
        raise ValueError(f"it is compressed by method {member.compress_type}: make the zip by Deflate")
    if member.file_size > MOST_BYTES:
        raise ValueError(_too_much(member.file_size))
    return archive.read(member)


def _too_much(size: int) -> str:
    return f"its {size:,} bytes are more than the {MOST_BYTES:,} that are read"


@contextmanager
def opener() -> Iterator[Callable[[ImageFile], Plain]]:
    """Yields a function that reads an image (see `pixels.plain`); zips stay open until the end.

    It raises ValueError in one line naming the file where an image cannot be read.
    """
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # Pillow's, which name no file
        zips: dict[Path, zipfile.ZipFile | None] = {}

        def content(file: ImageFile) -> bytes:
            if file.container not in zips:
                is_folder = file.container.is_dir()
                zips[file.container] = None if is_folder else stack.enter_context(open_zip(file.container))
            archive = zips[file.container]
            return _member(archive, file.name) if archive else _file(file.container / file.name)

        def read(file: ImageFile) -> Plain:
            try:
                return decode(content(file))
            except Exception as error:  # Pillow's plugins and zipfile raise many kinds for damaged data
                raise _unreadable(file, error) from None

        yield read


def digest(file: ImageFile) -> str:
    """What tells the content of an image apart: what its zip says of it, else the SHA-256 of the file; ValueError in
    one line where it cannot be read."""
    try:
        return file.checksum or hashlib.sha256(_file(file.container / file.name)).hexdigest()
    except (ValueError, OSError) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: ImageFile, error: Exception) -> ValueError:
    return ValueError(f"{file}: cannot be read as an image ({_reason(error)}); replace or remove it")


def decode(content: bytes) -> Plain:
    """The image of the bytes of a file; raises whatever Pillow does where they are none."""
    from PIL import Image

    if not content:
        raise ValueError("the file is empty")
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(
            f"its {image.width:,} x {image.height:,} pixels are more than the {MOST_PIXELS:,} that are read"
        )
    return plain(image)


def _reason(error: Exception) -> str:
    """What an exception says, in one line."""
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    if "cannot identify image file" in reason:
        return f"its content is none of {', '.join(FORMATS)}"
    return printable(" ".join(reason.split())) or type(error).__name__
