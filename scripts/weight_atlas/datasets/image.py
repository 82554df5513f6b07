"""Read one image, from a directory or a zip."""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from weight_atlas.datasets.resize import upright_8_bit
from weight_atlas.datasets.source import ImageFile

if TYPE_CHECKING:
    from PIL import Image as Pillow


def open_zip(path: Path) -> zipfile.ZipFile:
    """The zip at `path`; ValueError in one line where it is none."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path}: neither a directory nor a readable zip ({error}); replace it") from None


@contextmanager
def opener() -> "Iterator[Callable[[ImageFile], Pillow.Image]]":
    """Yields a function that reads an image, upright, of mode "L" or "RGB"; zips stay open until the end.

    It raises ValueError in one line naming the file where an image cannot be read.
    """
    from PIL import Image

    with ExitStack() as stack:
        zips: dict[Path, zipfile.ZipFile | None] = {}

        def content(file: ImageFile) -> bytes:
            if file.container not in zips:
                is_file = file.container.is_file()
                zips[file.container] = stack.enter_context(open_zip(file.container)) if is_file else None
            archive = zips[file.container]
            return archive.read(file.name) if archive else (file.container / file.name).read_bytes()

        def read(file: ImageFile) -> "Pillow.Image":
            try:
                image = Image.open(io.BytesIO(content(file)))
                image.load()
                return upright_8_bit(image)
            except Exception as error:  # Pillow's plugins and zipfile raise many kinds for damaged data
                reason = " ".join(str(error).split()) or type(error).__name__
                if "cannot identify image file" in reason:
                    reason = "no image format that Pillow knows"
                raise ValueError(f"{file}: cannot be read as an image ({reason}); replace or remove it") from None

        yield read
