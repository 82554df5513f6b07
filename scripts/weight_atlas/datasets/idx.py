"""The header of an idx file (the format of MNIST: https://yann.lecun.com/exdb/mnist)."""

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from weight_atlas.datasets.image import refuse_special

BYTES, INTEGERS = 0x08, 0x0C  # the type of the values: unsigned bytes, or whole numbers of four bytes
WIDTH = {BYTES: 1, INTEGERS: 4}
CALLED = {BYTES: "bytes", INTEGERS: "whole numbers"}


def idx_header(path: Path, dimensions: int, kind: int = BYTES) -> tuple[int, ...]:
    """The shape of an idx file, by its first bytes and its size.

    ValueError in one line where it is none of this kind and so many dimensions, or is not as long as its header says.
    """
    try:
        size = refuse_special(path).st_size
        with open(path, "rb") as file:
            head = file.read(4 + 4 * dimensions)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error}); replace it") from None
    if len(head) < 4 + 4 * dimensions or head[:4] != bytes([0, 0, kind, dimensions]):
        packed = ", but a gzip file: unpack it" if head.startswith(b"\x1f\x8b") else ""
        raise ValueError(
            f"{path}: no idx file of {CALLED[kind]} in {dimensions} dimensions{packed}; replace it by the original"
        )
    shape = struct.unpack(f">{dimensions}I", head[4:])
    expected = len(head) + WIDTH[kind] * math.prod(shape)
    if size != expected:
        told = " x ".join(f"{side:,}" for side in shape)
        raise ValueError(
            f"{path}: has {size:,} bytes, and its header says {told} ({expected:,} bytes); replace it by the original"
        )
    return shape


def idx_labels(path: Path) -> npt.NDArray[np.int64]:
    """The labels of an idx file, int64 [N]: its bytes, or of one of whole numbers (QMNIST's) the first column."""
    if _has_columns(path):
        shape = idx_header(path, 2, INTEGERS)
        return np.fromfile(path, ">i4", offset=12).reshape(shape)[:, :1].astype(np.int64).ravel()
    idx_header(path, 1)
    return np.fromfile(path, np.uint8, offset=8).astype(np.int64)


def _has_columns(path: Path) -> bool:
    try:
        refuse_special(path)
        with open(path, "rb") as file:
            return file.read(4)[2:3] == bytes([INTEGERS])
    except OSError:
        return False
