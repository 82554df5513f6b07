"""The header of an idx file (the format of MNIST: https://yann.lecun.com/exdb/mnist)."""

import math
import struct
from pathlib import Path

from weight_atlas.datasets.image import refuse_special

BYTES = 0x08  # the type of the values: unsigned bytes


def idx_header(path: Path, dimensions: int) -> tuple[int, ...]:
    """The shape of an idx file of bytes, by its first bytes and its size.

    ValueError in one line where it is none of so many dimensions, or is not as long as its header says.
    """
    try:
        size = refuse_special(path).st_size
        with open(path, "rb") as file:
            head = file.read(4 + 4 * dimensions)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error}); replace it") from None
    if len(head) < 4 + 4 * dimensions or head[:4] != bytes([0, 0, BYTES, dimensions]):
        packed = ", but a gzip file: unpack it" if head.startswith(b"\x1f\x8b") else ""
        raise ValueError(f"{path}: no idx file of bytes in {dimensions} dimensions{packed}; replace it by the original")
    shape = struct.unpack(f">{dimensions}I", head[4:])
    if size != len(head) + math.prod(shape):
        told = " x ".join(f"{side:,}" for side in shape)
        raise ValueError(
            f"{path}: has {size:,} bytes, and its header says {told} ({len(head) + math.prod(shape):,} bytes); replace "
            "it by the original"
        )
    return shape
