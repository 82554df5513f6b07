"""What a data set will be, before it is prepared: its files and its facts. Quick, and without torch or scikit-learn."""

import hashlib
import json
from pathlib import Path

import numpy as np

from weight_atlas.datasets import arrays, digits, folder, remarks, seen, table, torchvision_datasets
from weight_atlas.datasets.card import Facts
from weight_atlas.datasets.source import DataRoot, Source, SourceModule, Spec, under_data_root
from weight_atlas.datasets.split import choose, file_labels, train_labels
from weight_atlas.text import one_line
from weight_atlas.vocabulary import SPLITS

SOURCES: dict[str, SourceModule] = {
    "csv": table,
    "digits": digits,
    "folder": folder,
    "npy": arrays,
    "npz": arrays,
    "torchvision": torchvision_datasets,
}


def files(spec: Spec, data_root: DataRoot) -> list[Path]:
    """The source files and directories that exist or must exist before `spec` can be prepared.

    `spec` is a data set's or a weights'. Files that are downloaded are not named, nor scikit-learn's.
    """
    if "file" in spec:
        return [under_data_root(data_root, spec["file"], "weights")]
    return [] if "published" in spec else SOURCES[spec["source"]].files(spec, data_root)


def fetch(spec: Spec, data_root: DataRoot) -> None:
    """Download what is missing of a data set's source, where its spec says that it may be.

    Nothing is done where all is there. ValueError in one line where it fails.
    """
    SOURCES[spec["source"]].fetch(spec, data_root)


def describe(spec: Spec, data_root: DataRoot) -> Source:
    """The source that a data set's spec names; ValueError in one line, whatever files are called."""
    try:
        return SOURCES[spec["source"]].describe(spec, data_root)
    except ValueError as error:
        raise type(error)(one_line(error)) from None


def look(spec: Spec, data_root: DataRoot, record: Path) -> str:
    """The fingerprint of a source today; its files are read only where a size or a time is not that of `record`.

    ValueError in one line where something is wrong with it, Gone where it is not there.
    """
    return seen.recall(
        record,
        seen.mark(files(spec, data_root)),
        lambda: fingerprint(spec, data_root, describe(spec, data_root)),
    )


def fingerprint(spec: Spec, data_root: DataRoot, source: Source) -> str:
    """16 hex digits that change with what is read of a source: classes, numbers, file names and content; and with its
    warnings, which the card has."""
    names = {
        part: [[image.name for image in images] for images in classes]
        for part, classes in (source.images or {}).items()
    }
    content = SOURCES[spec["source"]].digests(spec, data_root, source)
    facts = [source.classes, source.counts, names, source.channels, source.size, source.warnings, content]
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def shape(spec: Spec, source: Source) -> tuple[int, int, int]:
    """(channels, height, width) of the prepared images; ValueError where neither the spec nor an image says them."""
    channels = spec.get("channels") or source.channels
    size = (spec["size"], spec["size"]) if spec.get("size") else source.size
    if channels is None or size is None:
        raise ValueError(f"dataset {spec['source']}: has no image to tell channels and size from; set both")
    return channels, *size


def facts(spec: Spec, data_root: DataRoot) -> Facts:
    """What the card will say, without reading the images.

    Raises
    ------
    ValueError
        In one line, where the source is missing, or the spec asks for what it does not have.
    """
    source = describe(spec, data_root)
    picks = choose(spec, source.classes, source.counts)
    channels, height, width = shape(spec, source)
    labels = file_labels(spec, source.classes)
    per_class: dict[str, list[int]] = {split: [0] * len(labels.names) for split in SPLITS}
    for split in SPLITS:
        for label, pick in picks[split].items():
            per_class[split][labels.numbers[label]] = len(pick.positions)
    trained = train_labels(spec, picks["train"], labels.numbers)
    per_class["train"] = np.bincount(trained, minlength=len(labels.names)).tolist()
    return {
        "classes": labels.names,
        "channels": channels,
        "size": [height, width],
        "counts": {split: sum(per_class[split]) for split in SPLITS},
        "per_class": per_class,
        "warnings": source.warnings + remarks.imbalance(labels.names, per_class),
    }
