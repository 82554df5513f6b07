"""Arrays of numpy: an .npz with images and labels of each split, as MedMNIST and Keras write it, or pairs of .npy."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from weight_atlas.datasets import array_file
from weight_atlas.datasets.array_file import ArrayFile
from weight_atlas.datasets.changes import Changes
from weight_atlas.datasets.resize import resize_all
from weight_atlas.datasets.source import (
    ClassReader,
    DataRoot,
    Images,
    Positions,
    Source,
    Spec,
    not_found,
    under_data_root,
)
from weight_atlas.text import one_line
from weight_atlas.vocabulary import SPLITS

# {part: (key of its images, key of its labels) in each layout}
WORDS = dict(zip(SPLITS, ("train", "val", "test"), strict=True))
LAYOUTS: dict[str, dict[str, tuple[str, str]]] = {
    "MedMNIST": {part: (f"{word}_images", f"{word}_labels") for part, word in WORDS.items()},
    "Keras": {part: (f"x_{word}", f"y_{word}") for part, word in WORDS.items()},
}
MOST_CLASSES = 100_000
AT_ONCE = 2**24  # bytes of images that are taken from disk at once: 17 MB


class Pair(NamedTuple):
    """The images and the labels of a part."""

    images: ArrayFile
    labels: ArrayFile


def files(spec: Spec, data_root: DataRoot) -> list[Path]:
    """The .npz, or the .npy files, that must exist."""
    names = [spec["path"]] if spec["source"] == "npz" else [name for pair in _named(spec).values() for name in pair]
    return [under_data_root(data_root, name, f"dataset {spec['source']}") for name in names]


def _named(spec: Spec) -> dict[str, tuple[str, str]]:
    """{part: the files of its images and labels} of pairs of .npy."""
    return {part: (spec[part]["images"], spec[part]["labels"]) for part in SPLITS if spec.get(part)}


def fetch(spec: Spec, data_root: DataRoot) -> None:
    """Download an .npz, where the spec says from where."""
    from weight_atlas.datasets import download  # with what it needs of the network, which a plan does without

    download.fetch_path(spec, data_root)


def describe(spec: Spec, data_root: DataRoot) -> Source:
    """The Source of arrays: their headers and labels are read, and no image.

    Raises
    ------
    ValueError
        In one line, for a key that is missing, a dtype or a shape that is none of images or labels, labels that are no
        whole numbers or not as many as the images. Gone where a file is missing.
    """
    for path in files(spec, data_root):
        if not path.is_file():
            raise not_found(spec, path, data_root)
    pairs = _pairs(spec, data_root)
    first = next(iter(pairs.values())).images
    for pair in pairs.values():
        _check(pair, first)
    labels = {part: read_labels(pair.labels, spec.get("names")) for part, pair in pairs.items()}
    number = len(spec.get("names") or ()) or 1 + max(int(values.max()) for values in labels.values())
    numbers = ", ".join(f"{len(values):,} of {part}" for part, values in labels.items())
    names = ", ".join(dict.fromkeys(path.name for path in files(spec, data_root)))
    height, width = first.shape[1:3]
    return Source(
        title=files(spec, data_root)[0].stem,
        classes=list(spec.get("names") or map(str, range(number))),
        channels=3 if first.shape[3:] == (3,) else 1,
        size=(height, width),
        counts={part: np.bincount(values, minlength=number).tolist() for part, values in labels.items()},
        notes=[f"Arrays of {names}, images of {height} x {width} pixels: {numbers}."],
    )


def _pairs(spec: Spec, data_root: DataRoot) -> dict[str, Pair]:
    """The arrays of each part; those of train alone are all."""
    if spec["source"] == "npz":
        [path] = files(spec, data_root)
        pairs = {part: Pair(*(array_file.look(path, key) for key in keys)) for part, keys in _layout(path).items()}
    else:
        found = iter(files(spec, data_root))
        pairs = {part: Pair(array_file.look(next(found)), array_file.look(next(found))) for part in _named(spec)}
    return {"all": pairs["train"]} if set(pairs) == {"train"} else pairs


def _layout(path: Path) -> dict[str, tuple[str, str]]:
    """{part: (key of its images, key of its labels)} of an .npz; ValueError where there are none, or one of a pair."""
    keys = array_file.keys(path)
    for layout in LAYOUTS.values():
        parts: dict[str, tuple[str, str]] = {part: pair for part, pair in layout.items() if set(pair) & set(keys)}
        for missing in (key for pair in parts.values() for key in pair if key not in keys):
            raise ValueError(f"{path}: has no {missing}; it has {_listed(keys)}")
        if "train" in parts:
            return parts
    wanted = " or ".join(" and ".join(layout["train"]) for layout in LAYOUTS.values())
    raise ValueError(f"{path}: has no {wanted}; it has {_listed(keys)}")


def _listed(keys: list[str]) -> str:
    more = f" .. ({len(keys)} in all)" if len(keys) > 10 else ""
    return one_line(", ".join(keys[:10]) + more) or "no arrays"


def _check(pair: Pair, first: ArrayFile) -> None:
    """ValueError where the arrays of a part are no images and labels, or of another form than those of the first."""
    images, labels = pair
    if images.dtype != np.uint8:
        raise ValueError(f"{images}: is of {images.dtype}; allowed is uint8, with values from 0 to 255")
    is_image = len(images.shape) == 3 or (len(images.shape) == 4 and images.shape[3] in (1, 3))
    if not is_image or 0 in images.shape:
        raise ValueError(
            f"{images}: has the shape {_shape(images)}; allowed: images x height x width (x 1 or, in colour, x 3)"
        )
    if images.shape[1:] != first.shape[1:]:
        raise ValueError(f"{images}: has the shape {_shape(images)}, {first} {_shape(first)}; save images of one size")
    if len(labels.shape) not in (1, 2) or labels.shape[1:] not in ((), (1,)):
        raise ValueError(f"{labels}: has the shape {_shape(labels)}; allowed is one label per image, N or N x 1")
    if labels.shape[0] != images.shape[0]:
        raise ValueError(
            f"{labels}: has {labels.shape[0]:,} labels, and {images} {images.shape[0]:,} images; save as many of both"
        )


def _shape(array: ArrayFile) -> str:
    return " x ".join(map(str, array.shape)) or "of a single number"


def read_labels(array: ArrayFile, names: list[str] | None) -> npt.NDArray[np.int64]:
    """The labels of a part, int64 [N]; ValueError where one is no whole number from 0 on, or has no name."""
    if array.shape[0] > array_file.MOST_LABELS:
        raise ValueError(f"{array}: has {array.shape[0]:,} labels; at most {array_file.MOST_LABELS:,} are read")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{array}: is of {array.dtype}; allowed are whole numbers")
    values = array.read().ravel()
    if array.dtype.kind == "f" and (odd := values[~(np.isfinite(values) & (values == np.rint(values)))]).size:
        raise ValueError(f"{array}: has the label {odd[0]}; allowed are whole numbers")
    most = (len(names) if names else MOST_CLASSES) - 1
    if (odd := values[(values < 0) | (values > most)]).size:
        raise ValueError(f"{array}: has the label {odd[0]}; allowed are 0 to {most:,}{' (of names:)' if names else ''}")
    return values.astype(np.int64)


def digests(spec: Spec, data_root: DataRoot, source: Source) -> list[str]:
    """What tells the content of each array apart: what its .npz says of it, else the SHA-256 of the file."""
    return [array.digest for pair in _pairs(spec, data_root).values() for array in pair]


@contextmanager
def reader(spec: Spec, data_root: DataRoot, source: Source) -> Iterator[ClassReader]:
    """Yields the reader of arrays, of which a few images are in memory at a time."""
    with ExitStack() as stack:
        pairs = _pairs(spec, data_root)
        images = {part: pair.images.mapped(stack) for part, pair in pairs.items()}
        labels = {part: read_labels(pair.labels, spec.get("names")) for part, pair in pairs.items()}

        def read(out: Images, part: str, label: int, positions: Positions) -> Changes:
            chosen, changes = np.flatnonzero(labels[part] == label)[positions], Changes()
            number = max(1, AT_ONCE // images[part][0].nbytes)
            for start in range(0, len(chosen), number):
                some = np.asarray(images[part][chosen[start : start + number]])
                some = some[..., 0] if some.shape[3:] == (1,) else some
                changes.join(resize_all(some, out[start : start + number]))
            return changes

        yield read
