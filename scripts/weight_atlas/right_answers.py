"""Which test images a network classifies right, as a table holds it: a bit an image, in hexadecimal."""

import numpy as np
from numpy.typing import NDArray


def to_text(packed: NDArray[np.uint8]) -> str:
    """Bits that numpy.packbits packed, as hexadecimal digits."""
    return packed.tobytes().hex()


def from_text(text: str, images: int) -> NDArray[np.bool_]:
    """bool [images]: whether each image is classified right."""
    packed = np.frombuffer(bytes.fromhex(text), np.uint8)
    return np.unpackbits(packed, count=images).astype(bool)
