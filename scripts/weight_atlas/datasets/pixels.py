"""What the pixels of one image are: upright, of 8 bits per channel, and as they look on a white page."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL import Image as Pillow

# What is done to an image, for the card.
TURNED, TRANSPARENT, FRAMES, DEEP = "turned", "transparent", "frames", "deep"
GREY = ("1", "L", "LA", "La")  # Pillow's modes without colour, 16 and 32 bits apart
ORIENTATION = 0x0112  # the EXIF tag: 1 to 8


class Plain(NamedTuple):
    """An image of mode "L", "RGB" or (grey of 16 bits) "I;16".

    changes: what was done to it; bits: of one with 16 bits per channel, how many of them its values use.
    """

    image: "Pillow.Image"
    changes: list[str]
    bits: int | None = None


def plain(image: "Pillow.Image") -> Plain:
    """An opened image, upright (by its EXIF orientation), its transparent parts laid on white, its first frame.

    Of 16 bits per channel Pillow gives all for grey, and the upper 8 for colour. ValueError for pixels of 32 bits.
    """
    from PIL import Image

    raw = str(getattr(image, "tile", ""))  # what the file holds; gone once the image is loaded
    several = getattr(image, "is_animated", False) and image.format != "MPO"  # a photo with its previews
    turned = image.format == "TIFF" and _turn(image) is not None  # Pillow turns these as it loads them
    image.load()
    changes = [FRAMES] if several else []
    if (turn := _turn(image)) is not None:
        image = image.transpose(turn)
    changes += [TURNED] * (turned or turn is not None)
    if image.mode == "I" and image.format == "PPM":  # scaled by the largest value that the file declares
        image = Image.fromarray(np.asarray(image).astype(np.uint16))
        raw = "I;16"
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} (32 bits or signed); save it with 8 or 16 bits per channel")
    bits = _used_bits(image) if ";16" in raw or ";12" in raw else None
    if bits:
        changes.append(DEEP)
    if image.mode.startswith("I;16"):
        return Plain(image, changes, bits)
    image, hidden = _on_white(image, grey=image.mode in GREY or "'LA;16" in raw)
    return Plain(image, changes + ([TRANSPARENT] if hidden else []), bits)


def _turn(image: "Pillow.Image") -> "Pillow.Transpose | None":
    """What brings an image upright; None where nothing is to be done, or its EXIF data are broken."""
    from PIL.Image import Transpose

    turns = (
        *(Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM, Transpose.TRANSPOSE),
        *(Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90),
    )
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # whatever Pillow raises for EXIF data that are none; the pixels are not touched by them
        return None
    return turns[orientation - 2] if orientation in range(2, 9) else None


def _used_bits(image: "Pillow.Image") -> int:
    """How many bits the largest value takes; of colour its upper 8 bits are known, so that it is 8 or more."""
    if image.mode.startswith("I;16"):
        return int(np.asarray(image).max(initial=0)).bit_length()
    colours = image.convert("RGB") if image.mode == "CMYK" else image
    return max(int(np.asarray(colours)[..., :3].max(initial=0)).bit_length() + 8, 8)


def _on_white(image: "Pillow.Image", grey: bool) -> "tuple[Pillow.Image, bool]":
    """An image of mode "L" or "RGB", as it looks on a white page, and whether anything of it is transparent."""
    from PIL import Image

    mode, hidden = ("L" if grey else "RGB"), False
    if image.has_transparency_data:
        image = image.convert("LA" if grey and image.mode != "RGBA" else "RGBA")
        alpha = image.getchannel("A")
        hidden = bool(np.asarray(alpha).min() < 255)
        image = image.convert(mode)
        if hidden:
            white = Image.new(mode, image.size, "white")
            image = Image.composite(image, white, alpha)
    return (image if image.mode == mode else image.convert(mode)), hidden


def to_8_bits(image: "Pillow.Image", bits: int) -> "Pillow.Image":
    """The upper 8 of the lower `bits` (8 to 16) bits of an image of mode "I;16"; others are left as they are."""
    from PIL import Image

    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.uint16) >> (bits - 8)).astype(np.uint8))
