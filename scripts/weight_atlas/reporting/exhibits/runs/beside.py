"""What an accuracy is read beside: what naming the largest class gives, and whether training saw the test images."""

from weight_atlas.reporting.grammar import style
from weight_atlas.vocabulary import SPLITS


def cards(tables):
    """{label of a data set: its card}, of the cells' data sets whose cards are known."""
    known = tables.cards
    labels = dict(zip(tables.cells["dataset"], tables.cells["dataset_id"], strict=True))
    return {label: known[name] for label, name in labels.items() if name in known}


def majority(tables):
    """ "Always naming the largest class would give 10.0 % on digits and 50.0 % on pets." of the test images."""
    shares = [
        f"{style.percent(max(card['counts']['test']) / sum(card['counts']['test']))} on {label}"
        for label, card in cards(tables).items()
        if sum(card["counts"].get("test", ()))
    ]
    return f"Always naming the largest class would give {_and(shares)}." if shares else ""


def test_set(tables):
    """What the test set is called: untouched, unless images of it are known to be in another split."""
    return "test set" if repeated(tables) else "untouched test set"


def repeated(tables):
    """A sentence on the data sets whose test images are also in another split; empty where there is none."""
    told = []
    for label, card in cards(tables).items():
        counts, total = card.get("repeats", {}), sum(card["counts"].get("test", ()))
        for split in SPLITS:
            count = counts.get(f"test_in_{split}", 0)
            if count:
                words = "training" if split == "train" else "validation"
                told.append(f"{count:,} of {total:,} test images of {label} ({style.percent(count / total)}) are "
                            f"{words} images too")  # fmt: skip
    return f"Not all of this is about new images: {_and(told)}." if told else ""


def _and(texts):
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
