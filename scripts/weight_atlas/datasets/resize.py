"""Bring one image to the channels and the size of a data set."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from weight_atlas.datasets.changes import RECOLOURED, RESIZED, Changes, alike
from weight_atlas.datasets.source import Images, Positions

if TYPE_CHECKING:
    from PIL import Image as Pillow

MOST_ENLARGED = 2**24  # pixels of an image that is enlarged whole before its centre is cut out
PRECISION = 22  # bits behind the point of Pillow's weights for 8-bit pixels


def resize(image: "Pillow.Image", channels: int, size: int | None) -> Images:
    """An image of mode "L" or "RGB" as uint8 [channels, height, width].

    Grey to colour replicates the channel; colour to grey is ITU-R 601 luma as Pillow rounds it,
    L = 0.299 R + 0.587 G + 0.114 B. An image that is not `size` x `size` is resized so that its shorter side is
    `size`, with Pillow's antialiased bilinear filter, and its centre is cut out, rounded as torchvision's
    Resize(size) and CenterCrop(size) round. `size` None leaves it as it is.
    """
    from PIL import Image

    if channels == 1 and image.mode != "L":
        image = image.convert("L")
    width, height = image.size
    if size is None or (width, height) == (size, size):
        array = np.asarray(image)
    else:
        short = min(width, height)
        width, height = int(size * width / short), int(size * height / short)
        if short < size and width * height > MOST_ENLARGED:
            array = _enlarged_centre(np.asarray(image), width, height, size)
        else:
            left, top = round((width - size) / 2), round((height - size) / 2)
            image = image.resize((width, height), Image.Resampling.BILINEAR)
            array = np.asarray(image.crop((left, top, left + size, top + size)))
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return np.broadcast_to(array, (channels, *array.shape[1:]))


class Taps(NamedTuple):
    """Which rows or columns each new one is summed from, and with which weights (fixed point); int64 [new, 3]."""

    places: Positions
    weights: Positions


def _enlarged_centre(image: Images, width: int, height: int, size: int) -> Images:
    """The centre, `size` x `size`, of an image (uint8 [h, w] or [h, w, 3]) enlarged to `width` x `height`.

    To the bit what Pillow's bilinear filter gives, without what is cut away: of a strip one pixel wide, which has no
    other bound, that is nearly everything.
    """
    across = _taps(image.shape[1], width, round((width - size) / 2), size)
    down = _taps(image.shape[0], height, round((height - size) / 2), size)
    first = down.places.min()
    rows = image[first : down.places.max() + 1]
    return _summed(_summed(rows, across, 1), down._replace(places=down.places - first), 0)


def _taps(known: int, length: int, start: int, count: int) -> Taps:
    """Those of `count` rows or columns, from `start` on, where `known` of them are enlarged to `length`."""
    centres = (np.arange(start, start + count) + 0.5) * (known / length)
    places = np.maximum((centres - 0.5).astype(np.int64), 0)[:, None] + np.arange(3)
    weights = np.maximum(1 - np.abs(places - centres[:, None] + 0.5), 0)
    weights[places >= np.minimum((centres + 1.5).astype(np.int64), known)[:, None]] = 0
    weights /= weights.sum(1, keepdims=True)
    return Taps(np.minimum(places, known - 1), (weights * (1 << PRECISION) + 0.5).astype(np.int64))


def _summed(image: Images, taps: Taps, axis: int) -> Images:
    """An image with new columns (axis 1) or rows (axis 0)."""
    taken = np.moveaxis(image, axis, -1)[..., taps.places].astype(np.int64)
    summed = (taken * taps.weights).sum(-1) + (1 << (PRECISION - 1)) >> PRECISION
    return np.moveaxis(summed.clip(0, 255).astype(np.uint8), -1, axis)


def resize_all(images: Images, out: Images) -> Changes:
    """Fill `out` (uint8 [N,C,H,W]) with `images` (uint8 [N,h,w] grey or [N,h,w,3] colour); says how many changed."""
    from PIL import Image

    planes = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    resized, recoloured = planes.shape[2:] != out.shape[2:], planes.shape[1] != out.shape[1]
    if resized or planes.shape[1] > out.shape[1]:
        size = out.shape[2] if resized else None
        for i, image in enumerate(images):
            out[i] = resize(Image.fromarray(image), out.shape[1], size)
    else:
        out[:] = planes
    return alike(len(images), **{RESIZED: resized, RECOLOURED: recoloured})
