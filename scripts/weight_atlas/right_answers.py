"""Which test images a network classifies right, as a table holds it: a bit an image, in hexadecimal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


def to_text(packed: NDArray[np.uint8]) -> str:
    """Bits that numpy.packbits packed, as hexadecimal digits."""
    return packed.tobytes().hex()


def from_text(text: str, images: int) -> NDArray[np.bool_]:
    """bool [images]: whether each image is classified right."""
    packed = np.frombuffer(bytes.fromhex(text), np.uint8)
    return np.unpackbits(packed, count=images).astype(bool)


def of_rows(frame: "pd.DataFrame") -> Iterator[tuple[str, int, NDArray[np.bool_]]]:
    """(cell_id, seed, bool [images]) of each row of right.csv."""
    columns = (frame[name] for name in ("cell_id", "seed", "bits", "test_images"))
    for cell_id, seed, text, images in zip(*columns, strict=True):
        yield cell_id, seed, from_text(text, images)
