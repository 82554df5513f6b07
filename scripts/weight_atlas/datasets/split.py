"""Which images of a source go into train, valid and test: class subsets, splits, halves and caps, drawn by seed.

Every draw has its own random stream, keyed by the seed, its purpose and the name of the class. Leaving classes
out, or capping one split, thus never changes which images of another class or split are chosen.
"""

import difflib
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from weight_atlas.datasets.source import ImageFile, Positions, Source, Spec
from weight_atlas.vocabulary import SPLITS

FRACTIONS = {"train": 0.7, "valid": 0.15, "test": 0.15}


class Pick(NamedTuple):
    """Images of one class: the part of the source, and their positions (ascending int64) within the class there."""

    part: str
    positions: Positions


class Labels(NamedTuple):
    """How labels are written: {original label: label in the file}, and the names by label in the file."""

    numbers: dict[int, int]
    names: list[str]


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """A numpy Generator seeded from the SHA-256 of (seed, purpose)."""
    digest = hashlib.sha256(json.dumps([seed, *purpose]).encode()).digest()
    return np.random.default_rng([int(word) for word in np.frombuffer(digest, "<u4")])


def select_labels(spec: Spec, classes: Sequence[str]) -> list[int]:
    """The original labels (ascending) that `spec["classes"]` selects: all where it is null.

    Entries are names, or numbers: those of the class whose name reads so, else a label (see `_numbered`).
    {"count", "seed", "group"} instead asks for one of the groups of `count` classes that a permutation drawn by `seed`
    is cut into. Those of `without` are left out.

    Raises
    ------
    ValueError
        For an unknown class, a class named twice, or where none is left.
    """
    excluded = _labels(spec.get("without") or [], classes, "without")
    entries = spec.get("classes")
    if entries is None:
        labels = list(range(len(classes)))
    elif isinstance(entries, dict):
        labels = _draw_group(entries, classes)
    else:
        labels = _labels(entries, classes, "classes")
    labels = sorted(label for label in labels if label not in excluded)
    if not labels:
        raise ValueError(
            f"classes: the list is empty, or `without` leaves none of it; name some of {listed(classes)}, or null"
        )
    return labels


def _labels(entries: Sequence[str | int], classes: Sequence[str], key: str) -> list[int]:
    """The labels of classes that are named or numbered."""
    labels: list[int] = []
    for entry in entries:
        label = classes.index(entry) if entry in classes else None
        label = _numbered(entry, classes, key) if isinstance(entry, int) else label
        if label is None:
            near = [] if _is_number(str(entry)) else difflib.get_close_matches(str(entry), classes, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            allowed = f"{_numbers(classes)}the names {listed(classes)}"
            raise ValueError(f"{key}: {entry!r} is no class of this data set{hint}; allowed are {allowed}")
        if label in labels:
            raise ValueError(f"{key}: {classes[label]!r} (label {label}) is listed twice; list each class once")
        labels.append(label)
    return labels


def _numbered(number: int, classes: Sequence[str], key: str) -> int | None:
    """The label that a number means: that of the class whose name reads so, where all names are numbers; or the number.

    ValueError where it means two classes: where two names read so ("1" and "01"), or some names are numbers and others
    are not, and the number is the name of one class and the label of another.
    """
    named = [label for label, name in enumerate(classes) if _reads_as(name) == number]
    numbered = [number] if 0 <= number < len(classes) and not all(map(_is_number, classes)) else []
    meant = dict.fromkeys(named + numbered)
    if len(meant) > 1:
        names = " and ".join(f"{classes[label]!r} (label {label})" for label in meant)
        raise ValueError(f"{key}: {number} may mean {names}; write the name in quotes")
    return next(iter(meant), None)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _reads_as(name: str) -> int | None:
    return int(name) if _is_number(name) else None


def _numbers(classes: Sequence[str]) -> str:
    """The labels that may stand for classes, for a message; nothing where numbers are names."""
    return "" if all(map(_is_number, classes)) else f"0 to {len(classes) - 1} and "


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names for a message; of many the first ones, and how many there are."""
    more = f" .. ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _draw_group(draw: Mapping[str, int], classes: Sequence[str]) -> list[int]:
    """The labels (ascending) of one random group of classes."""
    count, first = draw["count"], draw["group"] * draw["count"]
    if first + count > len(classes):
        raise ValueError(
            f"classes: group {draw['group']} of {count} classes asks for {first + count} of {len(classes)} classes; "
            f"allowed are groups that the {len(classes)} classes fill"
        )
    order = generator(draw["seed"], "classes").permutation(len(classes))
    labels: list[int] = sorted(order[first : first + count].tolist())
    return labels


def file_labels(spec: Spec, classes: Sequence[str]) -> Labels:
    """The labels in the file, as `spec["labels"]` asks.

    "original" keeps the numbers and all names; "compact" numbers the selected classes from 0, in their original order.
    """
    labels = select_labels(spec, classes)
    if spec.get("labels", "original") == "original":
        return Labels({label: label for label in labels}, list(classes))
    return Labels({label: number for number, label in enumerate(labels)}, [classes[label] for label in labels])


def choose(spec: Spec, classes: Sequence[str], counts: Mapping[str, Sequence[int]]) -> dict[str, dict[int, Pick]]:
    """Choose the images of every split: {split: {original label: Pick}}.

    Parameters
    ----------
    counts : {part: images per class}
        The parts are those of the source: "all", or train and test, or train and valid, or all three splits.

    Raises
    ------
    ValueError
        Where there is one class alone, or a class of a split is left without an image.
    """
    picks: dict[str, dict[int, Pick]] = {split: {} for split in SPLITS}
    labels = select_labels(spec, classes)
    if len(labels) == 1:
        others = "name more with classes:" if len(classes) > 1 else "put images of others in folders beside it"
        raise ValueError(f"class {classes[labels[0]]!r} is the only one, and there is nothing to tell apart; {others}")
    for label, part in ((label, part) for label in labels for part in counts):
        if counts[part][label] == 0:
            where = "" if part == "all" else f" in {part}"
            raise ValueError(f"class {classes[label]!r} has no images{where}; add some, or leave it out with classes:")
    for label in labels:
        name = classes[label]
        available = {part: count[label] for part, count in counts.items()}
        divided = _divide(spec, name, available)
        for split in SPLITS:
            part, positions = divided[split]
            positions = _cap(spec, split, name, positions)
            if len(positions) == 0:
                where = "" if part == "all" else f" in {part}"
                raise ValueError(
                    f"class {name!r} has only {available[part]} images{where}, too few for a share in {split}; "
                    "add images, change split:, or leave the class out with classes:"
                )
            picks[split][label] = Pick(part, positions)
    return picks | {"train": _thinned(spec, picks["train"], classes)}


def _thinned(spec: Spec, picks: Mapping[int, Pick], classes: Sequence[str]) -> dict[int, Pick]:
    """Training images in long-tailed numbers (Cui et al. 2019, "Class-balanced loss"): of K classes in their order,
    number k from 0 keeps at most the largest count / imbalance^(k / (K - 1)), rounded down, and at least one image."""
    most, ratio = max(len(pick.positions) for pick in picks.values()), spec.get("imbalance") or 1.0
    kept = {}
    for rank, (label, (part, positions)) in enumerate(picks.items()):
        limit = max(1, int(most * ratio ** (-rank / (len(picks) - 1)) + 1e-9))
        order = generator(spec["seed"], "imbalance", classes[label]).permutation(len(positions))
        kept[label] = Pick(part, positions if len(positions) <= limit else np.sort(positions[order[:limit]]))
    return kept


def train_labels(spec: Spec, picks: Mapping[int, Pick], numbers: Mapping[int, int]) -> Positions:
    """The labels of the training images in the file, int64 in its order, with `label_noise`.

    That share of all training images, rounded, has another class, drawn evenly from the others (symmetric noise); a
    smaller share is of images that a larger one has too.
    """
    labels = np.concatenate([np.full(len(pick.positions), numbers[label]) for label, pick in picks.items()])
    chosen_numbers = np.array([numbers[label] for label in picks])
    random = generator(spec["seed"], "label-noise")
    order = random.permutation(len(labels))
    steps = random.integers(1, len(chosen_numbers), len(labels))
    noisy = order[: round((spec.get("label_noise") or 0.0) * len(labels))]
    places = np.searchsorted(chosen_numbers, labels[noisy])
    labels[noisy] = chosen_numbers[(places + steps[noisy]) % len(chosen_numbers)]
    return labels


def chosen(spec: Spec, source: Source) -> list[ImageFile]:
    """The images of a source that a data set is made from, split by split and class by class."""
    picks = choose(spec, source.classes, source.counts)
    return [
        (source.images or {})[pick.part][label][position]
        for split in SPLITS
        for label, pick in picks[split].items()
        for position in pick.positions
    ]


def describe_split(spec: Spec, parts: Collection[str]) -> str:
    """How `choose` divides a source with these parts: one sentence for the card."""
    if set(parts) == {"all"}:
        fractions = _fractions(spec)
        text = ", ".join(f"{float(100 * fractions[split]):g} % {split}" for split in SPLITS)
        return f"The source has no split: it was divided class by class, drawn by seed {spec['seed']}: {text}."
    if set(parts) == set(SPLITS):
        return "The splits are the source's own."
    part = _held_out(parts)
    return (
        f"The source has only train and {part}: {part} was halved class by class, drawn by seed {spec['seed']}, into "
        "valid and test (the odd image of a class goes to test)."
    )


def _held_out(parts: Collection[str]) -> str:
    """The other one of two parts, beside train."""
    return next(part for part in parts if part != "train")


def _divide(spec: Spec, name: str, available: Mapping[str, int]) -> dict[str, Pick]:
    """The images of one class per split, before caps."""
    if set(available) == set(SPLITS):
        return {split: Pick(split, np.arange(count)) for split, count in available.items()}
    if set(available) == {"all"}:
        order = generator(spec["seed"], "split", name).permutation(available["all"])
        ends = np.cumsum(apportion(available["all"], _fractions(spec)))
        pieces = np.split(order, ends[:-1])
        return {split: Pick("all", np.sort(piece)) for split, piece in zip(SPLITS, pieces, strict=True)}
    part = _held_out(available)
    order = generator(spec["seed"], "halves", name).permutation(available[part])
    half = available[part] // 2
    return {
        "train": Pick("train", np.arange(available["train"])),
        "valid": Pick(part, np.sort(order[:half])),
        "test": Pick(part, np.sort(order[half:])),
    }


def _fractions(spec: Spec) -> dict[str, Fraction]:
    """The exact fractions of `spec["split"]`; ValueError unless all are above 0 and sum to 1."""
    fractions: Mapping[str, Any] = spec.get("split") or FRACTIONS
    exact: dict[str, Fraction] = {split: Fraction(str(fractions.get(split, 0))) for split in SPLITS}
    if min(exact.values()) <= 0 or abs(sum(exact.values(), Fraction(0)) - 1) > Fraction(1, 10**6):
        raise ValueError(f"split: {fractions} must give train, valid and test fractions above 0 that sum to 1")
    return exact


def apportion(count: int, fractions: Mapping[str, Fraction]) -> list[int]:
    """Divide `count` by the fractions (in the order of SPLITS) into whole numbers that sum to it.

    Largest remainders (Hamilton's method): each share is rounded down, and what is left goes to the largest
    remainders, the first of equals first. No share is off its exact value by 1 or more.
    """
    total = sum(fractions.values())
    exact = [count * fractions[split] / total for split in SPLITS]
    whole = [int(share) for share in exact]
    order = sorted(range(len(SPLITS)), key=lambda i: (whole[i] - exact[i], i))
    for i in order[: count - sum(whole)]:
        whole[i] += 1
    return whole


def _cap(spec: Spec, split: str, name: str, positions: Positions) -> Positions:
    """At most `per_class[split]` of the positions; a smaller cap keeps a subset of what a larger one keeps."""
    cap = (spec.get("per_class") or {}).get(split)
    if cap is None:
        return positions
    if cap < 1:
        raise ValueError(f"per_class: {split} is {cap}, which leaves nothing of class {name!r}; use 1 or more, or null")
    order = generator(spec["seed"], "cap", split, name).permutation(len(positions))
    return np.sort(positions[order[:cap]])
