"""What an accuracy is read beside: what naming the largest class gives, and whether training saw the test images."""

from weight_atlas.reporting.grammar import style
from weight_atlas.settings import IMAGENET
from weight_atlas.vocabulary import SPLITS, Kind


def cards(tables):
    """{label of a data set: its card}, of the cells' data sets whose cards are known."""
    known = tables.cards
    labels = dict(zip(tables.cells["dataset"], tables.cells["dataset_id"], strict=True))
    return {label: known[name] for label, name in labels.items() if name in known}


def sentences(tables):
    """All of what follows, for the caption of accuracies."""
    return " ".join(filter(None, [majority(tables), repeated(tables), normalised(tables)]))


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


def normalised(tables):
    """What the images of these accuracies were normalised by, where it is not the data set's own, or may be wrong."""
    cells = tables.cells[tables.cells["dataset_id"] != ""].drop_duplicates("cell_id")
    groups = {}
    for cell in cells.to_dict("records"):
        shape = tables.settings[cell["cell_id"]].input
        key = (tuple(shape.mean), tuple(shape.std)) if shape.mean else None
        groups.setdefault(key, []).append(cell)
    told = [f"{_constants(*key)} for {_named(tables, own)}" for key, own in groups.items() if key]
    if told and None in groups:
        told.append(f"the data set's own mean and standard deviation for {_named(tables, groups[None])}")
    sentences = [f"Images are normalised by {'; by '.join(told)}."] if told else []
    if any(cell["kind"] == Kind.GIVEN for cell in groups.get(None, ())):
        sentences.append(
            "Given weights without the key normalise are evaluated by the data set's own mean and standard deviation: "
            "if they were trained with others, their accuracy is lower than it should be."
        )
    return " ".join(sentences)


def _constants(mean, std):
    """What a mean and a standard deviation are called."""
    if {"mean": list(mean), "std": list(std)} == IMAGENET:
        return "ImageNet's mean and standard deviation"
    if set(mean) == {0.0} and set(std) == {1.0}:
        return "nothing (pixels from 0 to 1)"
    values = [", ".join(f"{value:.3g}" for value in values) for values in (mean, std)]
    return f"mean {values[0]} and standard deviation {values[1]}"


def _named(tables, cells):
    """The cells by the labels in which the study's cells differ, or how many they are."""
    names = list(dict.fromkeys(cell["label"] or cell["network"] for cell in cells))
    return _and(names) if len(names) <= 4 else f"{len(cells)} cells"


def _and(texts):
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
