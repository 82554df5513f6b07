"""Which test images a network classifies right, as a table holds it: a bit an image, in hexadecimal."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from weight_atlas import store
from weight_atlas.vocabulary import Status

if TYPE_CHECKING:
    import pandas as pd


class RightRow(NamedTuple):
    """A row of right.csv."""

    cell_id: str
    seed: int
    protocol: str
    test_images: int
    bits: str


def of_replicate(cell_id: str, block: Path, record: Mapping[str, Any]) -> list[RightRow]:
    """The right answers of a replicate by protocol, where it is done; given checkpoints record none."""
    path = store.right_path(block, record["seed"])
    if record["status"] != Status.DONE or not path.exists():
        return []
    images = int(store.tensor_header(path).metadata["images"])
    found = sorted(store.load_arrays(path).items())
    return [RightRow(cell_id, record["seed"], protocol, images, to_text(packed)) for protocol, packed in found]


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
