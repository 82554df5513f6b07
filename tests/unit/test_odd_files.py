"""Odd files in folders and zips, one after the other: the line that each gets, or what is read of it."""

import io
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.unit.test_datasets import spec
from weight_atlas.datasets.prepare import prepare_dataset
from weight_atlas.store import load_arrays

SIDE = 8
DRAW = np.random.default_rng(0)
GREY = DRAW.integers(0, 256, (SIDE, SIDE), np.uint8)
COLOUR = DRAW.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
DEEP = DRAW.integers(0, 2**16, (SIDE, SIDE)).astype(np.uint16)
DEEP[0, 0] = 2**16 - 1
ALPHA = DRAW.integers(0, 256, (SIDE, SIDE), np.uint8)
SECONDS: dict[str, float] = {}


class Odd(NamedTuple):
    """A file: its bytes, or what puts it there; the name; what is read of it ([h, w] or [h, w, 3]) or is said.

    said: in a line of an error, or of the card's notes and warnings; off: grey levels that a lossy format may be off.
    """

    content: bytes | Callable[[Path], Any]
    read: np.ndarray | None = None
    said: str = ""
    name: str = "odd.png"
    off: int = 0


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, *extra: tuple[bytes, bytes], depth: int = 0, size: tuple[int, int] | None = None) -> bytes:
    """A PNG of [h, w] or [h, w, channels], written here: uint8 or uint16; depth: of packed grey below 8 bits."""
    height, width = size or pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    bits = depth or pixels.dtype.itemsize * 8
    if depth:
        lines = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - depth :]).tobytes() for row in pixels]
    else:
        lines = [row.astype(">u2" if bits == 16 else "u1").tobytes() for row in pixels]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    before = b"".join(chunk(*one) for one in extra)
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines)))
    return b"\x89PNG\r\n\x1a\n" + head + before + body + chunk(b"IEND", b"")


def saved(image: Image.Image, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What one sees of pixels on a white page."""
    share = (alpha if pixels.ndim == 2 else alpha[..., None]) / 255
    return np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)


PAGES = {"save_all": True, "append_images": [Image.new("L", (SIDE, SIDE), 9)]}
PALETTE = Image.fromarray(COLOUR).quantize(16)
ADAPTED = np.asarray(PALETTE.convert("RGB"))
TURNS = {  # what an orientation asks for, in numpy's words
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}
TURNED = "1 of 25 images were turned upright"
FRAMES = "1 of 25 images have several frames or pages: the first one was read (the first is "
CLEAR = "1 of 25 images have transparent parts: they were laid on white (the first is "
NONE = "cannot be read as an image (its content is none of PNG, JPEG, BMP, GIF, PPM, TIFF, WEBP); replace or remove it"

ODD = {
    # ---- depths
    "1 bit": Odd(png(GREY & 1, depth=1), (GREY & 1) * 255),
    "2 bits": Odd(png(GREY & 3, depth=2), (GREY & 3) * 85),
    "4 bits": Odd(png(GREY & 15, depth=4), (GREY & 15) * 17),
    "16 bits": Odd(png(DEEP), (DEEP >> 8).astype(np.uint8), "1 of 25 images have 16 bits per channel: the upper 8"),
    "12 bits in 16": Odd(
        png(DEEP >> 4),
        (DEEP >> 8).astype(np.uint8),
        "1 of 25 images have 16 bits per channel and use 12 of them: all were brightened alike (the first is ",
    ),
    "8 bits in 16": Odd(png(GREY.astype(np.uint16)), GREY, "16 bits per channel and use 8 of them"),
    "3 bits in 16": Odd(png((GREY & 7).astype(np.uint16)), GREY & 7, "16 bits per channel and use 8 of them"),
    "12 bits as sBIT says": Odd(png(DEEP, (b"sBIT", b"\x0c")), (DEEP >> 8).astype(np.uint8), "the upper 8 were"),
    "16 bits of TIFF": Odd(saved(Image.fromarray(DEEP), "TIFF"), (DEEP >> 8).astype(np.uint8), "the upper 8", "o.tif"),
    "12 bits in 16 of TIFF": Odd(
        saved(Image.fromarray(DEEP >> 4), "TIFF"), (DEEP >> 8).astype(np.uint8), "use 12 of them", "odd.tif"
    ),
    "PGM of 12 bits": Odd(
        b"P5 8 8 4095\n" + (DEEP >> 4).astype(">u2").tobytes(),
        np.rint((DEEP >> 4) / 4095 * 65535).astype(np.uint16) >> 8,
        "the upper 8 were",
        "odd.pgm",
        1,
    ),
    "PGM of 4 bits": Odd(b"P5 8 8 15\n" + (GREY & 15).tobytes(), (GREY & 15) * 17, name="odd.pgm"),
    "PBM": Odd(b"P1 8 8\n" + " ".join(map(str, (GREY & 1).ravel())).encode(), 255 - (GREY & 1) * 255, name="odd.pbm"),
    "colour of 16 bits": Odd(png(COLOUR.astype(np.uint16) * 257), COLOUR, "the upper 8 were"),
    "colour of 12 in 16 bits": Odd(
        png(COLOUR.astype(np.uint16) * 16),
        said="odd.png: has 16 bits per channel, and no colour image of the data set uses more than 12 of them",
    ),
    "grey of 16 bits with alpha": Odd(
        png(np.dstack([GREY, ALPHA]).astype(np.uint16) * 257), white(GREY, ALPHA), CLEAR, off=1
    ),
    "32 bits": Odd(
        saved(Image.fromarray(DEEP.astype(np.int32)), "TIFF"), said="pixels of mode I (32 bits or signed)", name="o.tif"
    ),
    "real numbers": Odd(saved(Image.new("F", (8, 8)), "TIFF"), said="pixels of mode F (32 bits or sig", name="odd.tif"),
    # ---- modes
    "palette": Odd(saved(PALETTE, "PNG"), ADAPTED),
    "palette in GIF": Odd(saved(PALETTE, "GIF"), ADAPTED, name="odd.gif"),
    "CMYK": Odd(saved(Image.fromarray(COLOUR).convert("CMYK"), "TIFF"), COLOUR, name="odd.tiff"),
    "CMYK in JPEG": Odd(
        saved(Image.new("CMYK", (8, 8), (0, 0, 0, 128)), "JPEG"),
        np.full((8, 8, 3), 127, np.uint8),
        "of a single colour",
        "odd.jpg",
        3,
    ),
    "LAB": Odd(saved(Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF"), GREY | 255, "a single", "odd.tif", 1),
    "BMP": Odd(saved(Image.fromarray(COLOUR), "BMP"), COLOUR, name="odd.bmp"),
    "WebP": Odd(saved(Image.fromarray(COLOUR), "WEBP", lossless=True), COLOUR, name="odd.webp"),
    "progressive JPEG": Odd(
        saved(Image.new("RGB", (8, 8), (9, 99, 200)), "JPEG", progressive=True, quality=95),
        np.full((8, 8, 3), (9, 99, 200), np.uint8),
        "a single colour",
        "odd.JPEG",
        3,
    ),
    # ---- transparency
    "alpha": Odd(png(np.dstack([COLOUR, ALPHA])), white(COLOUR, ALPHA), CLEAR, off=1),
    "alpha that hides nothing": Odd(png(np.dstack([COLOUR, ALPHA | 255])), COLOUR),
    "grey with alpha": Odd(png(np.dstack([GREY, ALPHA])), white(GREY, ALPHA), CLEAR, off=1),
    "black lines on nothing": Odd(
        png(np.dstack([GREY * 0, GREY])), white(GREY * 0, GREY), "transparent parts: they were laid on white", off=1
    ),
    "nothing but alpha": Odd(
        png(np.dstack([COLOUR, ALPHA * 0])), COLOUR | 255, "1 of 25 images are of a single colour (the first is "
    ),
    "a transparent grey": Odd(
        png(GREY, (b"tRNS", struct.pack(">H", GREY[0, 0]))), np.where(GREY[0, 0] == GREY, 255, GREY), CLEAR
    ),
    "a transparent palette": Odd(
        saved(PALETTE, "PNG", transparency=0),
        np.where((np.asarray(PALETTE) == 0)[..., None], 255, ADAPTED),
        CLEAR,
    ),
    "a transparent GIF": Odd(
        saved(PALETTE, "GIF", transparency=0),
        np.where((np.asarray(PALETTE) == 0)[..., None], 255, ADAPTED),
        CLEAR,
        "odd.gif",
    ),
    # ---- orientation
    **{
        f"{kind} turned {way}": Odd(
            saved(Image.fromarray(COLOUR), kind, exif=exif(way), **how), turn(COLOUR), TURNED, n
        )
        for kind, n, how in (
            ("PNG", "odd.png", {}),
            ("TIFF", "odd.tif", {}),
            ("WEBP", "odd.webp", {"lossless": True, "exact": True}),
        )
        for way, turn in TURNS.items()
        if kind == "PNG" or way in (2, 6)
    },
    "JPEG turned 6": Odd(
        saved(Image.fromarray(np.repeat([[0], [255]], 4, 0).repeat(8, 1).astype(np.uint8)), "JPEG", exif=exif(6)),
        np.repeat([[255, 0]], 4, 1).repeat(8, 0).astype(np.uint8),
        TURNED,
        "odd.jpg",
        3,
    ),
    "an orientation that is none": Odd(saved(Image.fromarray(GREY), "PNG", exif=exif(9)), GREY),
    "broken EXIF": Odd(png(GREY, (b"eXIf", b"II*\0\xff\xff\xff\xff" + b"\xff" * 9)), GREY),
    # ---- frames
    "animated GIF": Odd(saved(Image.fromarray(GREY), "GIF", **PAGES), GREY, FRAMES, "odd.gif"),
    "animated PNG": Odd(saved(Image.fromarray(GREY), "PNG", **PAGES), GREY, FRAMES),
    "animated WebP": Odd(
        saved(Image.fromarray(COLOUR), "WEBP", lossless=True, **PAGES), COLOUR, FRAMES, "odd.webp"
    ),
    "TIFF of two pages": Odd(saved(Image.fromarray(GREY), "TIFF", **PAGES), GREY, FRAMES, "odd.tif"),
    "photo with a preview": Odd(
        saved(Image.new("RGB", (8, 8), (9, 99, 200)), "MPO", **PAGES), np.full((8, 8, 3), (9, 99, 200), np.uint8),
        "a single colour", "odd.jpg", 3,
    ),
    # ---- what is none, or not whole
    "empty": Odd(b"", said="odd.png: cannot be read as an image (the file is empty); replace or remove it"),
    "text": Odd(b"not an image", said=f"odd.png: {NONE}"),
    "a page": Odd(b"<html>404</html>", said=NONE, name="odd.jpg"),
    "drawing": Odd(b"<svg xmlns='http://www.w3.org/2000/svg'/>", said=NONE),
    "PostScript": Odd(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", said=NONE),
    "JPEG 2000": Odd(saved(Image.fromarray(COLOUR), "JPEG2000"), said=NONE, name="odd.jpg"),
    "JPEG called PNG": Odd(saved(Image.new("L", (8, 8), 77), "JPEG"), GREY * 0 + 77, "of a single colour"),
    "cut": Odd(png(COLOUR)[:-60], said="odd.png: cannot be read as an image (image file is truncated"),
    "cut JPEG": Odd(saved(Image.fromarray(COLOUR), "JPEG")[:-40], said="cannot be read as an image (", name="o.jpg"),
    "cut head": Odd(png(COLOUR)[:20], said="cannot be read as an image ("),
    "damaged": Odd(png(COLOUR)[:90] + bytes([png(COLOUR)[90] ^ 64]) + png(COLOUR)[91:], said="cannot be read as an"),
    "size of nothing": Odd(png(COLOUR, size=(0, 8)), said="cannot be read as an image ("),
    # ---- too much
    "a bomb": Odd(png(GREY, size=(60000, 60000)), said="(Image size (3600000000 pixels) exceeds limit"),
    "a smaller bomb": Odd(
        png(GREY, size=(12000, 12000)), said="its 12,000 x 12,000 pixels are more than the 134,217,728 that are read"
    ),
    "text bomb": Odd(
        png(GREY, (b"zTXt", b"t\0\0" + zlib.compress(b"x" * 2**24))), said="cannot be read as an image (Decompressed"
    ),
}  # fmt: skip


def good(folder: Path, seed: int) -> None:
    """Twelve images of a class, grey or in colour."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    for number in range(12):
        shape = (SIDE, SIDE, 3) if number % 2 else (SIDE, SIDE)
        Image.fromarray(draw.integers(0, 256, shape, np.uint8)).save(folder / f"{number:02}.png")


@pytest.fixture(autouse=True)
def timed(request: pytest.FixtureRequest) -> Iterator[None]:
    start = time.monotonic()
    yield
    SECONDS[request.node.name] = time.monotonic() - start


@pytest.fixture(scope="module", autouse=True)
def longest() -> Iterator[None]:
    """The longest time to a line, on the console (pytest -s)."""
    yield
    name = max(SECONDS, key=SECONDS.__getitem__)
    print(f"\nodd files: {len(SECONDS)}, the longest: {name} in {SECONDS[name]:.1f} s")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data_root with a data set `pets` of the classes a and b, of 12 images each."""
    for number, name in enumerate("ab"):
        good(tmp_path / "root/pets" / name, number)
    return tmp_path / "root"


def prepared(root: Path, **keys: Any) -> tuple[list[str], np.ndarray]:
    """What the card of a data set says, and its images."""
    wanted = spec("folder", **{"path": "pets", "size": SIDE, "channels": 3} | keys)
    card = prepare_dataset(wanted, "odd", root, root / "odd.safetensors")
    return card["notes"] + card["warnings"], load_arrays(root / "odd.safetensors")["images"]


def line(root: Path, **keys: Any) -> str:
    """The one line by which a data set is refused."""
    with pytest.raises(ValueError) as refused:
        prepared(root, **keys)
    assert str(refused.value).isprintable(), "one line"
    return str(refused.value)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_image_is_read_right_or_refused_in_a_line(root, name):
    odd = ODD[name]
    path = root / "pets/a" / odd.name
    path.write_bytes(odd.content)
    if odd.read is None:
        assert odd.said in line(root)
        return
    notes, images = prepared(root)
    expected = np.dstack([odd.read] * 3) if odd.read.ndim == 2 else odd.read
    off = np.abs(images.astype(int) - expected.transpose(2, 0, 1)).max((1, 2, 3))
    assert off.min() <= odd.off, "no image of the data set is the one that was put there"
    assert any(odd.said in note for note in notes), notes
    if not odd.said:
        assert not any("1 of 25" in note for note in notes), notes
