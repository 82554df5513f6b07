"""What a data set will be, before it is made: its files and its facts. Quick, and without torch or scikit-learn."""

import hashlib
import json

from weight_atlas.datasets import digits, folder, published
from weight_atlas.datasets.source import below
from weight_atlas.datasets.split import SPLITS, choose, numbers

SOURCES = {"digits": digits, "torchvision": published, "folder": folder}


def files(spec, data_root):
    """The source files and directories (list of Path) that exist or must exist before `spec` can be prepared.

    `spec` is a data set's or a weights'. Files that are downloaded are not named, nor scikit-learn's own.
    """
    if "file" in spec:
        return [below(data_root, spec["file"], "weights")]
    return [] if "published" in spec else SOURCES[spec["source"]].files(spec, data_root)


def describe(spec, data_root):
    """The :class:`weight_atlas.datasets.source.Source` that a data set spec names."""
    return SOURCES[spec["source"]].describe(spec, data_root)


def fingerprint(source):
    """16 hex digits that change with the source's pictures: their classes, numbers and (in a folder) file names."""
    names = {
        part: [[picture.name for picture in of_class] for of_class in classes]
        for part, classes in (source.pictures or {}).items()
    }
    text = json.dumps([source.classes, source.counts, names], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def shape(spec, source):
    """(channels, height, width) of the prepared pictures."""
    size = spec.get("size")
    return (spec.get("channels") or source.channels, *((size, size) if size else source.size))


def facts(spec, data_root):
    """What the card will say, without reading the pictures.

    Returns {"classes": [names by label], "channels": int, "size": [height, width], "counts": {"train", "valid", "test":
    pictures}}. ValueError in one line where the source is missing, or the spec asks for what it does not have.
    """
    source = describe(spec, data_root)
    picks = choose(spec, source.classes, source.counts)
    channels, height, width = shape(spec, source)
    return {
        "classes": numbers(spec, source.classes)[1],
        "channels": channels,
        "size": [height, width],
        "counts": {split: sum(len(positions) for _, positions in picks[split].values()) for split in SPLITS},
    }
