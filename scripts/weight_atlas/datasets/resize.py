"""Bring one image to the channels and the size of a data set."""

from typing import TYPE_CHECKING

import numpy as np

from weight_atlas.datasets.source import Changes, Images

if TYPE_CHECKING:
    from PIL import Image as Pillow

# Pillow's modes without colour. 16-bit grey is brought to 8 bits first, everything else to RGB.
GREY = ("1", "L", "LA")


def upright_8_bit(image: "Pillow.Image") -> "Pillow.Image":
    """The image turned upright (EXIF orientation) and in mode "L" (grey) or "RGB".

    Transparency is ignored; 16-bit grey keeps its upper 8 bits. ValueError for pixels of 32 bits.
    """
    if image.format in ("JPEG", "MPO", "TIFF", "WEBP"):
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    if image.mode in ("L", "RGB"):
        return image
    if image.mode.startswith("I;16"):
        from PIL import Image

        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} (32 bits); save it with 8 bits per channel")
    if image.mode in GREY:
        return image.convert("L")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


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
    if size is not None and (width, height) != (size, size):
        short = min(width, height)
        width, height = int(size * width / short), int(size * height / short)
        left, top = round((width - size) / 2), round((height - size) / 2)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        image = image.crop((left, top, left + size, top + size))
    array = np.asarray(image)
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return np.broadcast_to(array, (channels, *array.shape[1:]))


def resize_all(images: Images, out: Images) -> Changes:
    """Fill `out` (uint8 [N,C,H,W]) with `images` (uint8 [N,h,w] grey or [N,h,w,3] colour); says how many changed."""
    from PIL import Image

    planes = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    resized, recoloured = planes.shape[2:] != out.shape[2:], planes.shape[1] != out.shape[1]
    if resized or planes.shape[1] > out.shape[1]:
        for i, image in enumerate(images):
            out[i] = resize(Image.fromarray(image), out.shape[1], out.shape[2])
    else:
        out[:] = planes
    return Changes(len(images) * resized, len(images) * recoloured)
