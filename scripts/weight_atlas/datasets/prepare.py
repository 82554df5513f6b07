"""Prepare a data set: read the chosen images into one tensor file, and say on its card what it holds."""

import bisect
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weight_atlas.datasets import remarks, repeats
from weight_atlas.datasets.card import Card
from weight_atlas.datasets.changes import Changes
from weight_atlas.datasets.source import DataRoot, Images, Positions, Source, Spec
from weight_atlas.datasets.source_info import SOURCES, describe, fetch, fingerprint, shape
from weight_atlas.datasets.split import choose, describe_split, file_labels, select_labels, train_labels
from weight_atlas.store import save_tensors
from weight_atlas.vocabulary import SPLITS


class MeanStd(NamedTuple):
    """Mean and population standard deviation per channel, on the scale 0 to 1."""

    mean: list[float]
    std: list[float]


class Origin(NamedTuple):
    """Where the images from position `start` on are from: a class (its original label) in a part of the source."""

    start: int
    label: int
    part: str
    positions: Positions


def prepare_dataset(spec: Spec, dataset_id: str, data_root: DataRoot, output: str | Path) -> Card:
    """Write a data set's tensors and return what its card says of them; the same spec gives the same bytes.

    Images are ordered by split, then class, then file name (or position in the source).

    Parameters
    ----------
    spec : the data set as the config describes it
    dataset_id : the name that the card carries
    data_root : the folder that sources are looked for in
    output : the safetensors file
        images uint8 [N, C, H, W], labels int64 [N], split uint8 [N] (0 train, 1 valid, 2 test).

    Raises
    ------
    ValueError
        In one line, for whatever a user can get wrong.
    """
    fetch(spec, data_root)
    source = describe(spec, data_root)
    picks = choose(spec, source.classes, source.counts)
    numbers, names = file_labels(spec, source.classes)
    total = sum(len(pick.positions) for classes in picks.values() for pick in classes.values())
    images = np.empty((total, *shape(spec, source)), np.uint8)
    labels, split = np.empty(total, np.int64), np.empty(total, np.uint8)
    found = fingerprint(spec, data_root, source)  # before they are read: what changes meanwhile is seen the next time
    start, changes = 0, Changes()
    origins: list[Origin] = []
    with SOURCES[spec["source"]].reader(spec, data_root, source) as read:
        for split_number, name in enumerate(SPLITS):
            for label, (part, positions) in picks[name].items():
                end = start + len(positions)
                changes.join(read(images[start:end], part, label, positions))
                labels[start:end], split[start:end] = numbers[label], split_number
                origins.append(Origin(start, label, part, positions))
                start = end
    trained = train_labels(spec, picks["train"], numbers)
    labels[: len(trained)], clean = trained, labels[: len(trained)].copy()
    mean, std = mean_std(images[: np.count_nonzero(split == 0)])  # train comes first
    counts = _counts(labels, split, len(names))
    repeated, repeats_told = repeats.find(images, labels, split, lambda at: _name(source, origins, at))
    card: Card = {
        "dataset_id": dataset_id,
        "title": source.title,
        "source": spec["source"],
        "classes": names,
        "channels": images.shape[1],
        "size": list(images.shape[2:]),
        "counts": counts,
        "mean": mean,
        "std": [value or 1.0 for value in std],
        "repeats": repeated,
        "sha256": _digest(images, labels, split),
        "fingerprint": found,
        "resample": _is_resampled(spec),
        "notes": source.notes + _notes(spec, source, images, changes) + _noise(spec, clean, trained),
        "warnings": [
            *source.warnings,
            *remarks.imbalance(names, counts),
            *remarks.without_variance(std),
            *changes.warnings(total),
            *repeats_told,
        ],
    }
    tensors: dict[str, npt.NDArray[Any]] = {"images": images, "labels": labels, "split": split}
    save_tensors(output, tensors, {"dataset_id": dataset_id})
    return card


def _counts(labels: npt.NDArray[np.int64], split: npt.NDArray[np.uint8], classes: int) -> dict[str, list[int]]:
    """{split: images per label}."""
    return {name: np.bincount(labels[split == i], minlength=classes).tolist() for i, name in enumerate(SPLITS)}


def _name(source: Source, origins: Sequence[Origin], at: int) -> str:
    """The file of the image at a position of the data set; of a source without files its place there."""
    origin = origins[bisect.bisect_right(origins, at, key=lambda origin: origin.start) - 1]
    position = int(origin.positions[at - origin.start])
    if source.images:
        return source.images[origin.part][origin.label][position].short
    part = "" if origin.part == "all" else f"{origin.part} "
    return f"{part}image {position} of class {source.classes[origin.label]}"


def _digest(*arrays: npt.NDArray[np.generic]) -> str:
    """SHA-256 of the bytes of the arrays, one after the other."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.data.cast("B"))
    return digest.hexdigest()


def mean_std(images: Images, chunk: int = 1024) -> MeanStd:
    """Mean and standard deviation of images, uint8 [N, C, H, W].

    Computed from the counts of the 256 values, in whole numbers, so that nothing is lost before the last division.
    """
    counts = np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(images), chunk):
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(images[start : start + chunk, channel].ravel(), minlength=256)
    mean, std = [], []
    for row in counts.tolist():
        number = sum(row)
        first = sum(value * count for value, count in enumerate(row))
        second = sum(value * value * count for value, count in enumerate(row))
        mean.append(first / number / 255)
        std.append(((number * second - first * first) / number**2) ** 0.5 / 255)
    return MeanStd(mean, std)


def _is_resampled(spec: Spec) -> bool:
    return bool((spec.get("split") or {}).get("resample"))


def _noise(spec: Spec, clean: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> list[str]:
    """A sentence on training labels that are not the source's."""
    changed = int((labels != clean).sum())
    if not changed:
        return []
    return [
        f"Label noise: {changed:,} of {len(labels):,} training images have the label of another class, drawn evenly by "
        f"seed {spec['seed']}. Validation and test labels are the source's own."
    ]


def _notes(spec: Spec, source: Source, images: Images, changes: Changes) -> list[str]:
    """Sentences on channels, size, classes, split and caps, as far as they changed something."""
    total, channels, height, width = images.shape
    notes = changes.notes(total, channels, min(width, height), f"{width} x {height}")
    if spec.get("classes") is not None:
        labels = select_labels(spec, source.classes)
        names = ", ".join(source.classes[label] for label in labels)
        kind = "numbered from 0" if spec.get("labels") == "compact" else "with their original labels"
        notes.append(f"{len(labels)} of {len(source.classes)} classes, {kind}: {names}.")
    if isinstance(given := spec.get("download"), Mapping):
        algorithm = "SHA-256" if given.get("sha256") else "MD5"
        checksum = given.get("sha256") or given["md5"]
        notes.append(f"The config names where it was published: {given['url']}, with the {algorithm} {checksum}.")
    notes.append(describe_split(spec, source.counts))
    if _is_resampled(spec):
        notes.append(
            "Each replicate draws its own training and validation images from both together, class by class, by its "
            "seed; the counts and the test images stay, and so do the constants of the normalisation."
        )
    caps = {name: cap for name, cap in (spec.get("per_class") or {}).items() if cap is not None}
    if caps:
        limits = ", ".join(f"{caps[name]} in {name}" for name in SPLITS if name in caps)
        notes.append(f"At most this many images per class were kept, drawn by seed {spec['seed']}: {limits}.")
    if (spec.get("imbalance") or 1) > 1:
        notes.append(
            f"Training images were left out, drawn by seed {spec['seed']}: their numbers fall geometrically from the "
            f"first class to 1/{spec['imbalance']:g} of it in the last."
        )
    return notes
