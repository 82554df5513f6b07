"""What an accuracy is read beside: what naming the largest class gives, and whether training saw the test images."""

from collections.abc import Collection, Sequence
from typing import Any

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.tables import Json, Tables
from weight_atlas.reporting.grammar.words import enumerated, span
from weight_atlas.settings import IMAGENET, Input
from weight_atlas.vocabulary import Kind, Protocol

OWN = "the data set's own mean and standard deviation"


def cards(tables: Tables) -> dict[str, Json]:
    """{label of a data set: its card}, of the cells' data sets whose cards are known."""
    known = tables.cards
    labels = dict(zip(tables.cells["dataset"], tables.cells["dataset_id"], strict=True))
    return {label: known[name] for label, name in labels.items() if name in known}


def sentences(tables: Tables) -> str:
    """All of what follows, for the caption of accuracies."""
    every = (majority(tables), new_images(tables), outlying(tables), repeated(tables), normalised(tables))
    return " ".join(filter(None, every))


def majority(tables: Tables) -> str:
    """ "Always naming the largest class would give 10.0 % on digits and 50.0 % on pets." of the test images."""
    shares = [
        f"{style.percent(max(card['counts']['test']) / sum(card['counts']['test']))} on {label}"
        for label, card in cards(tables).items()
        if sum(card["counts"].get("test", ()))
    ]
    return f"Always naming the largest class would give {enumerated(shares)}." if shares else ""


def new_images(tables: Tables) -> str:
    """How much wider intervals are over new images of the same kind as well; empty where no cell has both."""
    try:
        found = tables.read("crossed")
    except NothingToShow:
        return ""
    found = found[found["protocol"] == Protocol.BEST_VALID].dropna(subset=["low", "low_new"])
    told = []
    for (dataset, images), own in found.drop_duplicates("cell_id").groupby(["dataset", "test_images"], sort=False):
        here, new = ((own[f"high{end}"] - own[f"low{end}"]).median() / 2 for end in ("", "_new"))
        told.append(f"±{100 * new:.1f} instead of ±{100 * here:.1f} points on {dataset} ({images:,} test images)")
    if not told:
        return ""
    return f"For new images of the same kind the intervals would be wider: {enumerated(told)}, in the median cell."


def outlying(tables: Tables, cells: Collection[str] | None = None) -> str:
    """Sentences on replicates that end far from the others of their cell; of these cells alone, where they are given.

    By the accuracy at the best validation epoch, of replicates that learnt.
    """
    try:
        found = tables.learnt().done("accuracy")
    except NothingToShow:
        return ""
    found = (
        found[found["protocol"] == Protocol.BEST_VALID].dropna(subset="accuracy").drop_duplicates(["cell_id", "seed"])
    )
    images = [sum(card["counts"].get("test", ())) for card in cards(tables).values()]
    far = stats.outlying(found["accuracy"], found["cell_id"], 1 / min(images) if images and min(images) else 0.0)
    told = []
    for one in found[far].to_dict("records"):
        if cells is None or one["cell_id"] in cells:
            own = found[(found["cell_id"] == one["cell_id"]) & (found["seed"] != one["seed"])]["accuracy"]
            row = tables.cells[tables.cells["cell_id"] == one["cell_id"]].iloc[0]
            named = f"{row['network']} on {row['dataset']}" + (f", {row['label']}" if row["label"] else "")
            told.append(
                f"Seed {one['seed']} of {named} ends far from its other replicates: {style.percent(one['accuracy'])} "
                f"against {span(own, style.percent)}; it is counted."
            )
    return " ".join(told)


def test_set(tables: Tables) -> str:
    """What the test set is called: untouched, unless images of it are known to be in another split."""
    return "test set" if repeated(tables) else "untouched test set"


def repeated(tables: Tables) -> str:
    """A sentence on the data sets whose test images are also in another split; empty where there is none."""
    told = []
    for label, card in cards(tables).items():
        total = sum(card["counts"].get("test", ()))
        for split, words in (("train", "training"), ("valid", "validation")):
            if count := card.get("repeats", {}).get(f"test_in_{split}", 0):
                share = f"{count:,} of {total:,} test images of {label} ({style.percent(count / total)})"
                told.append(f"{share} are {words} images too")
    return f"Not all of this is about new images: {enumerated(told)}." if told else ""


def normalised(tables: Tables) -> str:
    """What the images of these accuracies were normalised by, where it is not the data set's own, or may be wrong."""
    cells = tables.cells[tables.cells["dataset_id"] != ""].drop_duplicates("cell_id")
    groups: dict[str, list[Any]] = {}
    for cell in cells.to_dict("records"):
        groups.setdefault(_constants(tables.settings[cell["cell_id"]].input), []).append(cell)
    told = [f"{words} for {_named(own)}" for words, own in sorted(groups.items(), key=lambda group: group[0] == OWN)]
    sentences = [f"Images are normalised by {'; by '.join(told)}."] if set(groups) - {OWN} else []
    if any(cell["kind"] == Kind.GIVEN for cell in groups.get(OWN, ())):
        sentences.append(
            f"Given weights without the key normalise are evaluated by {OWN}: "
            "if they were trained with others, their accuracy is lower than it should be."
        )
    return " ".join(sentences)


def _constants(images: Input) -> str:
    """What images are normalised by."""
    if not images.mean or not images.std:
        return OWN
    if {"mean": images.mean, "std": images.std} == IMAGENET:
        return "ImageNet's mean and standard deviation"
    if set(images.mean) == {0.0} and set(images.std) == {1.0}:
        return "nothing (pixels from 0 to 1)"
    mean, std = (", ".join(f"{value:.3g}" for value in values) for values in (images.mean, images.std))
    return f"mean {mean} and standard deviation {std}"


def _named(cells: Sequence[Any]) -> str:
    """The cells by the labels in which the study's cells differ, or how many they are."""
    names = list(dict.fromkeys(cell["label"] or cell["network"] for cell in cells))
    return enumerated(names) if len(names) <= 4 else f"{len(cells)} cells"
