"""Odd files in folders and zips, one after the other: the line that each gets, or what is read of it."""

import copy
import gzip
import io
import lzma
import os
import socket
import struct
import tarfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.unit.test_datasets import spec
from weight_atlas.datasets import archive
from weight_atlas.datasets.prepare import prepare_dataset
from weight_atlas.store import load_arrays

SIDE = 8
DRAW = np.random.default_rng(77)
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


# ------------------------------------------------------------------------------------------- folders, links and names

REMOVE = "cannot be read as an image ("


def link(path: Path, to: Path | str) -> None:
    path.symlink_to(to, target_is_directory=True)


def listen(path: Path) -> None:
    """Leave a socket."""
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(here)


def nested(pets: Path) -> None:
    """An image below 60 folders in its class."""
    folder = pets.joinpath("a", *("deeper" for _ in range(60)))
    folder.mkdir(parents=True)
    (folder / "x.png").write_bytes(png(GREY))


def image(*names: str) -> Callable[[Path], None]:
    """A grey image under each of these names."""

    def put(pets: Path) -> None:
        for name in names:
            path = os.fsencode(pets) + b"/" + os.fsencode(name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(os.fsdecode(path)).write_bytes(png(GREY))

    return put


def several(*builders: Callable[[Path], Any]) -> Callable[[Path], None]:
    return lambda pets: [builder(pets) for builder in builders] and None


class Place(NamedTuple):
    """What is done to the folder of the data set; how many images it has then, or what is said (or both)."""

    build: Callable[[Path], Any]
    images: int | None = None
    said: str = ""


PLACES = {
    "a link to the parent": Place(
        lambda pets: link(pets / "a/up", ".."), 24, "Passed over: a link to a folder that is read already, pets/a/up."
    ),
    "a link to the class": Place(lambda pets: link(pets / "b/self", "."), 24, "pets/b/self."),
    "two links to one folder": Place(
        several(
            lambda pets: good(pets.parent / "c", 3),
            lambda pets: link(pets / "a/c", "../../c"),
            lambda pets: link(pets / "b/c", "../../c"),
        ),
        36,
        "Passed over: a link to a folder that is read already, pets/b/c.",
    ),
    "a class that is a link": Place(
        lambda pets: (pets / "b").rename(pets.parent / "c") and link(pets / "b", "../c"), 24
    ),
    "a link before the folder that it leads to": Place(lambda pets: link(pets / "Aa", "b"), 24, "pets/Aa."),
    "a link to itself": Place(lambda pets: link(pets / "a/x.png", "x.png"), None, "a/x.png: " + REMOVE + "a link"),
    "a link to nothing": Place(
        lambda pets: link(pets / "a/x.png", "none.png"), None, "(a link that leads nowhere: No such file or directory)"
    ),
    "a link to an image": Place(lambda pets: link(pets / "a/x.png", "../b/00.png"), 25),
    "a pipe": Place(lambda pets: os.mkfifo(pets / "a/x.png"), None, "a/x.png: " + REMOVE + "it is a pipe, not a file)"),
    "a socket": Place(lambda pets: listen(pets / "a/x.png"), None, REMOVE + "it is a socket, not a file); remove it"),
    "a device": Place(lambda pets: link(pets / "a/x.png", "/dev/zero"), None, REMOVE + "it is a device, not a file)"),
    "a pipe that is called otherwise": Place(lambda pets: os.mkfifo(pets / "a/x"), 24, "Passed over: 1 file without a"),
    "a folder called as an image": Place(image("a/x.png/y.png"), 25),
    "60 folders deep": Place(nested, 25),
    "hidden": Place(image("a/.x.png", ".c/x.png", "__MACOSX/a/x.png"), 24),
    "accents and other scripts": Place(image("a/été 図 🦜.png", "a/%s.png" % ("ä" * 100)), 26),
    "spaces": Place(image("a/ x .png"), 25),
    "a line break in a file": Place(image("a/x\ny.png"), 25),
    "a line break in a damaged file": Place(
        lambda pets: (pets / "a/x\ny.png").write_bytes(b"no"), None, "pets/a/x\\ny.png: cannot be read as an image"
    ),
    "a turn of direction in a damaged file": Place(
        lambda pets: (pets / "a/x\u202egnp.png").write_bytes(b"no"), None, "pets/a/x\\u202egnp.png: cannot be read"
    ),
    "bytes that are no text in a file": Place(image("a/x\udcff.png"), 25),
    "a line break in a class": Place(
        image("c\nd/x.png"),
        None,
        "the class 'c\\\\nd' has a line break, another control character, or bytes that are no",
    ),
    "bytes that are no text in a class": Place(image("c\udcff/x.png"), None, "the class 'c\\\\udcff' has a line break"),
    "a class of another script": Place(image(*(f"鳥/{number}.png" for number in range(9))), 33),
    "classes that differ in case": Place(image(*(f"A/{number}.png" for number in range(9))), 33),
    "suffixes in capitals": Place(image("a/x.PNG", "a/x.Jpg"), 26),
    "no suffix": Place(image("a/x"), 24, "Passed over: 1 file without a suffix in class folders, such as "),
}


@pytest.mark.parametrize("name", PLACES)
def test_odd_folders_are_read_right_or_refused_in_a_line(root, name):
    place = PLACES[name]
    place.build(root / "pets")
    if place.images is None:
        assert place.said in line(root)
        return
    notes, images = prepared(root)
    assert len(images) == place.images
    assert any(place.said in note for note in notes), notes


def test_a_folder_that_cannot_be_read_is_named(root, monkeypatch):
    scandir = os.scandir

    def closed(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)  # as root no folder is closed
    assert line(root).endswith("pets/b: cannot be read (Permission denied); allow it or take it out")


# ------------------------------------------------------------------------------------------------------------- zips

TINY = png(GREY)
GOOD = {f"{name}/{number}.png": TINY for name in "ab" for number in range(9)}


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **changes: Any) -> bytes:
    """A zip; changes: attributes of its last member, in its list and before its content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made, warnings.catch_warnings(action="ignore"):
        for name, content in members.items():
            made.writestr(name, content)
        for key, value in changes.items():
            setattr(made.infolist()[-1], key, value)
    return file.getvalue()


def twice() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made, warnings.catch_warnings(action="ignore"):
        for name, content in (GOOD | {"a/x.png": TINY}).items():
            made.writestr(name, content)
        made.writestr("a/x.png", png(COLOUR))
    return file.getvalue()


def overlapping() -> bytes:
    """A zip whose list names the bytes of one large member many times."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a/x.png", b"\0" * 2**22)
        first = made.infolist()[0]
        for number in range(50):
            other = copy.copy(first)
            other.filename = f"b/{number:03}.png"
            made.filelist.append(other)
            made.NameToInfo[other.filename] = other
    return file.getvalue()


ZIPS = {
    "folders in it": Odd(packed(GOOD | {"a/": b"", "b/": b""}), GREY),
    "one folder above": Odd(packed({f"pets/{name}": content for name, content in GOOD.items()}), GREY),
    "a comment before it": Odd(b"#!/bin/sh\n" + packed(GOOD), GREY),
    "stored": Odd(packed(GOOD, zipfile.ZIP_STORED), GREY),
    "of what a Mac adds": Odd(packed(GOOD | {"__MACOSX/a/._1.png": b"no", "a/.DS_Store": b"no"}), GREY),
    "empty": Odd(packed({}), said="z.zip: no images found in class directories"),
    "of nothing": Odd(b"", said="z.zip: neither a folder nor a readable zip (File is not a zip file); replace it"),
    "a tar": Odd(b"a/1.png" + bytes(10240), said="z.zip: neither a folder nor a readable zip"),
    "cut": Odd(packed(GOOD)[:-30], said="z.zip: neither a folder nor a readable zip"),
    "cut in front": Odd(packed(GOOD)[300:], said="z.zip"),
    "a damaged member": Odd(
        packed(GOOD | {"b/x.png": TINY}, CRC=1), said="z.zip: b/x.png: cannot be read as an image (Bad CRC-32 for file"
    ),
    "a member that is larger than it says": Odd(
        packed(GOOD | {"b/x.png": TINY}, file_size=50), said="z.zip: b/x.png: cannot be read as an image ("
    ),
    "a bomb": Odd(
        packed(GOOD | {"b/x.png": b""}, file_size=2**31), said="(its 2,147,483,648 bytes are more than the 268,435,456"
    ),
    "members that overlap": Odd(overlapping(), said="z.zip: its members overlap, as no honest zip's do; replace it"),
    "an encrypted member": Odd(
        packed(GOOD | {"b/x.png": TINY}, flag_bits=1), said="z.zip: its member b/x.png is encrypted; make the zip anew"
    ),
    "BZip2": Odd(
        packed(GOOD, zipfile.ZIP_BZIP2),
        said="z.zip: a/0.png: cannot be read as an image (it is compressed by method",
    ),
    "a member twice": Odd(twice(), said="z.zip: its member a/x.png is there twice; make the zip anew, or unpack it"),
    "a member outside": Odd(packed(GOOD | {"../c/x.png": TINY}), said="its member ../c/x.png lies outside of it"),
    "an absolute member": Odd(packed(GOOD | {"/c/x.png": TINY}), said="its member /c/x.png lies outside of it"),
    "backslashes": Odd(packed({"a\\1.png": TINY}), said="z.zip: its member a\\1.png has backslashes for slashes"),
    "a link": Odd(packed(GOOD | {"b/x.png": b"../a/1.png"}, external_attr=0o120777 << 16), said=f"b/x.png: {NONE}"),
    "a line break in a damaged member": Odd(packed(GOOD | {"a/x\ny.png": b"no"}), said="z.zip: a/x\\ny.png: cannot"),
    "a zip in it": Odd(packed(GOOD | {"a/x.png": packed(GOOD)}), said=f"z.zip: a/x.png: {NONE}"),
}


@pytest.mark.parametrize("name", ZIPS)
def test_an_odd_zip_is_read_right_or_refused_in_a_line(root, name):
    odd = ZIPS[name]
    (root / "z.zip").write_bytes(odd.content)
    if odd.read is None:
        assert odd.said in line(root, path="z.zip")
    else:
        _, images = prepared(root, path="z.zip")
        assert len(images) == len(GOOD) and (images == odd.read).all()


@pytest.mark.parametrize("make", [os.mkfifo, listen], ids=["pipe", "socket"])
def test_a_pipe_for_a_zip_is_not_opened(root, make):
    make(root / "z.zip")
    assert "z.zip: neither a folder nor a readable zip (it is a " in line(root, path="z.zip")


# --------------------------------------------------------------------------------------------- idx files and archives

RAW = "MNIST/raw"
HEAD = struct.pack(">IIII", 0x803, 20, 28, 28)
IMAGES = bytes(20 * 28 * 28)
LABELS = bytes(list(range(10)) * 2)
IDX = {
    "train-images-idx3-ubyte": HEAD + IMAGES,
    "train-labels-idx1-ubyte": struct.pack(">II", 0x801, 20) + LABELS,
    "t10k-images-idx3-ubyte": HEAD + IMAGES,
    "t10k-labels-idx1-ubyte": struct.pack(">II", 0x801, 20) + LABELS,
}
IMAGES_FILE, LABELS_FILE = list(IDX)[:2]

ODD_IDX = {
    "empty": (IMAGES_FILE, b"", "train-images-idx3-ubyte: no idx file of bytes in 3 dimensions; replace it by"),
    "text": (IMAGES_FILE, b"404: not found, sorry", "no idx file of bytes in 3 dimensions; replace it by the original"),
    "labels for images": (IMAGES_FILE, IDX[LABELS_FILE], "no idx file of bytes in 3 dimensions; replace"),
    "images for labels": (LABELS_FILE, IDX[IMAGES_FILE], "labels-idx1-ubyte: no idx file of bytes in 1 dimensions"),
    "packed": (IMAGES_FILE, gzip.compress(IDX[IMAGES_FILE]), "dimensions, but a gzip file: unpack it; replace it"),
    "real numbers": (IMAGES_FILE, b"\0\0\x0d\x03" + HEAD[4:] + IMAGES, "no idx file of bytes in 3 dimensions"),
    "cut": (IMAGES_FILE, HEAD + IMAGES[:-9], "has 15,687 bytes, and its header says 20 x 28 x 28 (15,696 bytes)"),
    "too long": (IMAGES_FILE, HEAD + IMAGES + b"\0", "has 15,697 bytes, and its header says 20 x 28 x 28 (15,696"),
    "a huge number": (
        IMAGES_FILE, struct.pack(">IIII", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1) + IMAGES, "says 4,294,967,295 x 4,"
    ),
    "another size": (
        IMAGES_FILE, struct.pack(">IIII", 0x803, 20, 14, 56) + IMAGES,
        "its images have 14 x 56 pixels, those of MNIST 28 x 28; save them as image files and use source: folder",
    ),
    "fewer labels": (LABELS_FILE, struct.pack(">II", 0x801, 19) + LABELS[1:], "has 20 images, and train-labels-"),
    "a label too large": (
        LABELS_FILE, struct.pack(">II", 0x801, 20) + LABELS[:-1] + b"\x0a", "has the label 10; allowed are 0 to 9"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_IDX)
def test_an_odd_idx_file_is_refused_in_a_line(tmp_path, name):
    file, content, said = ODD_IDX[name]
    (tmp_path / RAW).mkdir(parents=True)
    for other in IDX:
        (tmp_path / RAW / other).write_bytes(content if other == file else IDX[other])
    with pytest.raises(ValueError) as refused:
        prepare_dataset(spec("torchvision"), "odd", tmp_path, tmp_path / "odd.safetensors")
    assert said in str(refused.value) and str(refused.value).isprintable()


def test_a_pipe_for_an_idx_file_is_not_opened(tmp_path):
    (tmp_path / RAW).mkdir(parents=True)
    for name in IDX:
        os.mkfifo(tmp_path / RAW / name)
    with pytest.raises(ValueError, match="train-images-idx3-ubyte not found"):
        prepare_dataset(spec("torchvision"), "odd", tmp_path, tmp_path / "odd.safetensors")


def tarred(members: dict[str, bytes], **changes: Any) -> bytes:
    """A tar; changes: attributes of its last member."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in changes.items() if name == list(members)[-1] else ():
                setattr(info, key, value)
            made.addfile(info, io.BytesIO(content))
    return file.getvalue()


def header(**fields: Any) -> bytes:
    """The block of a tar that stands before a member."""
    info = tarfile.TarInfo("x")
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros(head: bytes, blocks: int) -> bytes:
    """What gzip makes of a header and so many MiB of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([packer.compress(head), *(packer.compress(bytes(2**20)) for _ in range(blocks)), packer.flush()])


FILES = {f"{RAW}/{name}": content for name, content in IDX.items()}
UNPACKED = "m.tar: cannot be unpacked ("
ARCHIVES = {
    "empty": (b"", UNPACKED + "empty file); replace it"),
    "text": (b"404" * 999, UNPACKED),
    "of other files": (tarred({"a": b"b"}), "m.tar: holds no MNIST/raw/train-images-idx3-ubyte, as torch"),
    "own data": (tarred(FILES), "m.tar: its train-images-idx3-ubyte is not that of the published MNIST (its SHA-"),
    "own data in a zip": (packed(FILES), "or unpack it below data_root to use own data in MNIST's format"),
    "own data below .": (tarred({f"./{name}": content for name, content in FILES.items()}), "is not that of the publi"),
    "cut": (gzip.compress(tarred(FILES))[:-30], UNPACKED),
    "damaged": (gzip.compress(tarred(FILES))[:60] + b"\0" * 90, UNPACKED),
    "xz": (lzma.compress(tarred(FILES)), "is not that of the published MNIST"),
    "a link": (
        tarred(FILES, type=tarfile.SYMTYPE, linkname="/etc/passwd"), UNPACKED + "MNIST/raw/t10k-labels-idx1-ubyte is no"
    ),
    "a member outside": (tarred({"../../x": b"x"}), "holds no MNIST/raw/train-images-idx3-ubyte"),
    "a device": (tarred(FILES, type=tarfile.CHRTYPE), "is no file but a link or a folder"),
    "a bomb": (zeros(header(size=2**33), 17), UNPACKED + "it unpacks to more than the 16,777,216 bytes that are read"),
    "a bomb in its header": (
        zeros(header(size=2**33, type=tarfile.XHDTYPE), 20), UNPACKED + "a header of 8,589,934,592 bytes); replace it"
    ),
    "a negative size": (header(size=-1024) + bytes(10240), UNPACKED),
    "many members": (gzip.compress(header() * 20_000), UNPACKED + "it has more than 10,000 members); replace it"),
    "a bomb in a zip": (packed(FILES, file_size=2**31), UNPACKED + "it unpacks to more than the 16,777,216"),
    "BZip2 in a zip": (packed(FILES, zipfile.ZIP_BZIP2), "is compressed by method 12, not Deflate); replace it"),
    "an encrypted zip": (packed(FILES, flag_bits=1), UNPACKED + "MNIST/raw/t10k-labels-idx1-ubyte is encrypted); r"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_odd_archive_is_refused_in_a_line(tmp_path, monkeypatch, name):
    content, said = ARCHIVES[name]
    monkeypatch.setattr(archive, "MOST_UNPACKED", 2**24)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/m.tar").write_bytes(content)
    with pytest.raises(ValueError) as refused:
        prepare_dataset(spec("torchvision", archive="m.tar"), "odd", tmp_path / "data", tmp_path / "odd.safetensors")
    assert said in str(refused.value) and str(refused.value).isprintable()
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "data", tmp_path / "data/m.tar"], "nothing is left behind"
