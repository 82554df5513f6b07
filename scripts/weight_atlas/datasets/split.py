"""Which pictures of a source go into train, valid and test: class subsets, splits, halves and caps, drawn by seed.

Every draw has a random stream of its own, keyed by the seed, its purpose and the name of the class. Leaving classes
out, or capping one split, thus never changes which pictures of another class or split are chosen.
"""

import hashlib
import json
from fractions import Fraction

import numpy as np

SPLITS = ("train", "valid", "test")
FRACTIONS = {"train": 0.7, "valid": 0.15, "test": 0.15}


def stream(seed, *purpose):
    """A numpy Generator seeded from the SHA-256 of (seed, purpose); `purpose` is one or more strings."""
    digest = hashlib.sha256(json.dumps([seed, *purpose]).encode()).digest()
    return np.random.default_rng([int(word) for word in np.frombuffer(digest, "<u4")])


def kept(spec, classes):
    """The original labels (ints, ascending) that `spec["classes"]` keeps: all where it is null.

    Entries are names or indices; {"count", "seed", "group"} instead asks for one of the groups of `count` classes that
    a permutation drawn by `seed` is cut into. Those of `without` are left out. ValueError for an unknown class, a class
    named twice, or where none is left.
    """
    left_out = _labels(spec.get("without") or [], classes, "without")
    wanted = spec.get("classes")
    if wanted is None:
        labels = list(range(len(classes)))
    elif isinstance(wanted, dict):
        labels = _drawn(wanted, classes)
    else:
        labels = _labels(wanted, classes, "classes")
    labels = sorted(label for label in labels if label not in left_out)
    if not labels:
        names = ", ".join(classes)
        raise ValueError(f"classes: the list is empty, or `without` leaves none of it; name some of {names}, or null")
    return labels


def _labels(wanted, classes, key):
    """The labels of classes that are named or numbered."""
    labels = []
    for entry in wanted:
        if entry in classes:
            label = classes.index(entry)
        elif isinstance(entry, int) and 0 <= entry < len(classes):
            label = entry
        else:
            raise ValueError(
                f"{key}: {entry!r} is no class of this data set; allowed are 0 to {len(classes) - 1} and "
                f"the names {', '.join(classes)}"
            )
        if label in labels:
            raise ValueError(f"{key}: {classes[label]!r} (label {label}) is listed twice; list each class once")
        labels.append(label)
    return labels


def _drawn(wanted, classes):
    """The labels (ascending) of one random group of classes."""
    count, first = wanted["count"], wanted["group"] * wanted["count"]
    if first + count > len(classes):
        raise ValueError(
            f"classes: group {wanted['group']} of {count} classes asks for {first + count} of {len(classes)} classes; "
            f"allowed are groups that the {len(classes)} classes fill"
        )
    order = stream(wanted["seed"], "classes").permutation(len(classes))
    return sorted(order[first : first + count].tolist())


def numbers(spec, classes):
    """Return ({original label: label in the file}, names by label in the file), as `spec["labels"]` asks.

    "original" keeps the numbers and all names; "compact" numbers the kept classes from 0, in their original order.
    """
    labels = kept(spec, classes)
    if spec.get("labels", "original") == "original":
        return {label: label for label in labels}, list(classes)
    return {label: number for number, label in enumerate(labels)}, [classes[label] for label in labels]


def choose(spec, classes, counts):
    """Choose the pictures of every split.

    `counts` is {part: [pictures of each class]}, where the parts are what the source itself distinguishes: "all", or
    train and test, or train and valid, or all three splits. Returns {split: {original label: (part, positions)}};
    `positions` (ascending int64) count the pictures of that class within that part. ValueError where a class of a
    split is left without a picture.
    """
    picks = {split: {} for split in SPLITS}
    labels = kept(spec, classes)
    for label, part in ((label, part) for label in labels for part in counts):
        if counts[part][label] == 0:
            where = "" if part == "all" else f" in {part}"
            raise ValueError(
                f"class {classes[label]!r} has no pictures{where}; add some, or leave it out with classes:"
            )
    for label in labels:
        name = classes[label]
        available = {part: count[label] for part, count in counts.items()}
        drawn = _divide(spec, name, available)
        for split in SPLITS:
            part, positions = drawn[split]
            positions = _cap(spec, split, name, positions)
            if len(positions) == 0:
                where = "" if part == "all" else f" in {part}"
                raise ValueError(
                    f"class {name!r} has only {available[part]} pictures{where}, too few for a share in {split}; "
                    "add pictures, change split:, or leave the class out with classes:"
                )
            picks[split][label] = (part, positions)
    return picks


def rule(spec, counts):
    """How `choose` divides a source with these parts: one sentence for the card."""
    if set(counts) == {"all"}:
        shares = _fractions(spec)
        text = ", ".join(f"{float(100 * shares[split]):g} % {split}" for split in SPLITS)
        return f"The source has no split: it was divided class by class, drawn by seed {spec['seed']}: {text}."
    if set(counts) == set(SPLITS):
        return "The splits are the source's own."
    part = _second(counts)
    return (
        f"The source has train and {part} alone: {part} was halved class by class, drawn by seed {spec['seed']}, into "
        "valid and test (the odd picture of a class goes to test)."
    )


def _second(parts):
    return next(part for part in parts if part != "train")


def _divide(spec, name, available):
    """{split: (part, positions)} of one class, before caps."""
    if set(available) == set(SPLITS):
        return {split: (split, np.arange(count)) for split, count in available.items()}
    if set(available) == {"all"}:
        order = stream(spec["seed"], "split", name).permutation(available["all"])
        ends = np.cumsum(shares(available["all"], _fractions(spec)))
        return {split: ("all", np.sort(piece)) for split, piece in zip(SPLITS, np.split(order, ends[:-1]), strict=True)}
    part = _second(available)
    order = stream(spec["seed"], "halves", name).permutation(available[part])
    half = available[part] // 2
    return {
        "train": ("train", np.arange(available["train"])),
        "valid": (part, np.sort(order[:half])),
        "test": (part, np.sort(order[half:])),
    }


def _fractions(spec):
    """The exact fractions {split: Fraction} of `spec["split"]`; ValueError unless all are above 0 and sum to 1."""
    given = spec.get("split") or FRACTIONS
    exact = {split: Fraction(str(given.get(split, 0))) for split in SPLITS}
    if min(exact.values()) <= 0 or abs(sum(exact.values()) - 1) > Fraction(1, 10**6):
        raise ValueError(f"split: {given} must give train, valid and test fractions above 0 that sum to 1")
    return exact


def shares(count, fractions):
    """Divide `count` by the fractions (in the order of SPLITS) into whole numbers that sum to it.

    Largest remainders: each share is rounded down, and what is left goes to the largest remainders, the first of
    equals first. No share is off its exact value by 1 or more.
    """
    total = sum(fractions.values())
    exact = [count * fractions[split] / total for split in SPLITS]
    whole = [int(share) for share in exact]
    order = sorted(range(len(SPLITS)), key=lambda i: (whole[i] - exact[i], i))
    for i in order[: count - sum(whole)]:
        whole[i] += 1
    return whole


def _cap(spec, split, name, positions):
    """At most `per_class[split]` of the positions; a smaller cap keeps a subset of what a larger one keeps."""
    cap = (spec.get("per_class") or {}).get(split)
    if cap is None:
        return positions
    if cap < 1:
        raise ValueError(f"per_class: {split} is {cap}, which leaves nothing of class {name!r}; use 1 or more, or null")
    order = stream(spec["seed"], "cap", split, name).permutation(len(positions))
    return np.sort(positions[order[:cap]])
