"""Facts of a data set whose images are not at hand: those that were published, or what stands for them in a plan."""

from weight_atlas.datasets import source_info
from weight_atlas.datasets.card import Facts
from weight_atlas.datasets.source import DataRoot, Gone, Spec
from weight_atlas.vocabulary import SPLITS

# Where nothing is said of them: the number of classes, pixels, and images per class and split.
CLASSES, SIZE, IMAGES = 10, 224, 1000


def published(spec: Spec, data_root: DataRoot) -> Facts | None:
    """What the card of a data set will say by the numbers that were published of it; None where there are none."""
    if spec["source"] != "torchvision":
        return None
    try:
        return source_info.facts({**spec, "archive": None, "download": True}, data_root)
    except Gone:  # only its files say so
        return None


def stand_in(spec: Spec) -> Facts:
    """What stands for the facts, so that cells can be listed: what the spec says, else what every network takes."""
    chosen = spec.get("classes") or {"count": CLASSES}
    names = list(map(str, chosen if isinstance(chosen, list) else range(chosen["count"])))
    size = spec.get("size") or SIZE
    return {
        "classes": names,
        "channels": spec.get("channels") or 3,
        "size": [size, size],
        "counts": dict.fromkeys(SPLITS, IMAGES * len(names)),
        "per_class": {split: [IMAGES] * len(names) for split in SPLITS},
        "warnings": [],
    }
