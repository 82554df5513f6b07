"""The data set that needs no download: scikit-learn's 1,797 scans of handwritten digits."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from weight_atlas.datasets.changes import Changes
from weight_atlas.datasets.resize import resize_all
from weight_atlas.datasets.source import ClassReader, DataRoot, Images, Positions, Source, Spec

# Scans of each digit in sklearn.datasets.load_digits (the test set of the UCI "Optical Recognition of Handwritten
# Digits" data); a test holds them against the package.
COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def files(spec: Spec, data_root: DataRoot) -> list[Path]:
    """No files: the scans come with scikit-learn."""
    return []


def fetch(spec: Spec, data_root: DataRoot) -> None:
    """Nothing: the scans come with scikit-learn."""


def describe(spec: Spec, data_root: DataRoot) -> Source:
    """The Source of the digits, without importing scikit-learn."""
    return Source(
        title="Digits (scikit-learn)",
        classes=[str(digit) for digit in range(10)],
        channels=1,
        size=(8, 8),
        counts={"all": COUNTS},
        notes=[
            "The 1,797 scans of handwritten digits that come with scikit-learn, 8 x 8 pixels; their grey levels 0 to "
            "16 were scaled to 0 to 255."
        ],
    )


def digests(spec: Spec, data_root: DataRoot, source: Source) -> list[str]:
    """Nothing: the scans are always the same."""
    return []


@contextmanager
def reader(spec: Spec, data_root: DataRoot, source: Source) -> Iterator[ClassReader]:
    """Yields the reader of the scans."""
    from sklearn.datasets import load_digits

    scans, labels = load_digits(return_X_y=True)
    scans = np.rint(scans * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)

    def read(out: Images, part: str, label: int, positions: Positions) -> Changes:
        return resize_all(scans[np.flatnonzero(labels == label)[positions]], out)

    yield read
