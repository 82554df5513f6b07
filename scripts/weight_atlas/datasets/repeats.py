"""Equal images in a prepared data set: across splits, in two classes, or twice in one. Equal means in every pixel."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from weight_atlas.datasets.card import Repeats
from weight_atlas.datasets.remarks import share
from weight_atlas.datasets.source import Images
from weight_atlas.vocabulary import SPLITS

Groups = list[list[int]]  # positions of equal images, ascending, two or more in a group


class Found(NamedTuple):
    """How many images have an equal one, and the first pair; None where there is none."""

    number: int
    pair: tuple[int, int] | None


def find(
    images: Images, labels: npt.NDArray[np.int64], split: npt.NDArray[np.uint8], name: Callable[[int], str]
) -> tuple[Repeats, list[str]]:
    """Count equal images, and say so with an example each.

    Parameters
    ----------
    images : uint8 [N, C, H, W], C-contiguous
    labels : int64 [N]
    split : uint8 [N], places in SPLITS
    name : what the image at a position is called

    Returns
    -------
    the counts for the card, and a sentence on each that is above 0
    """
    groups = equal_groups(images)
    across = [
        (of, other, _across(groups, split, SPLITS.index(of), SPLITS.index(other)))
        for of, other in (("test", "train"), ("valid", "train"), ("test", "valid"))
    ]
    classes, within = _in_two_classes(groups, labels), _within(groups, labels, split)
    told = []
    for of, other, found in across:
        total = int(np.count_nonzero(split == SPLITS.index(of)))
        told.append((found, f"of {total:,} {of} images ({share(found.number, total)}) {_are(found)} in {other} too"))
    told.append((classes, f"of {len(images):,} images {_are(classes)} in two classes"))
    repeat = "repeats" if within.number == 1 else "repeat"
    told.append((within, f"of {len(images):,} images {repeat} another of the same class and split"))
    sentences = [
        f"{found.number:,} {words}, equal in every pixel, such as {name(found.pair[0])} and {name(found.pair[1])}."
        for found, words in told
        if found.pair
    ]
    counts: Repeats = {
        "test_in_train": across[0][2].number,
        "valid_in_train": across[1][2].number,
        "test_in_valid": across[2][2].number,
        "two_classes": classes.number,
        "within": within.number,
    }
    return counts, sentences


def _are(found: Found) -> str:
    return "is" if found.number == 1 else "are"


def equal_groups(images: Images) -> Groups:
    """The positions of images with the same SHA-256, those that have no equal left out."""
    first: dict[bytes, int] = {}
    groups: dict[int, list[int]] = {}
    for at, image in enumerate(images):
        earliest = first.setdefault(hashlib.sha256(image).digest(), at)
        if earliest != at:
            groups.setdefault(earliest, [earliest]).append(at)
    return list(groups.values())


def _across(groups: Groups, split: npt.NDArray[np.uint8], of: int, other: int) -> Found:
    """The images of one split that are in another split too."""
    count, pair = 0, None
    for group in groups:
        own, others = ([at for at in group if split[at] == part] for part in (of, other))
        if own and others:
            count, pair = count + len(own), pair or (own[0], others[0])
    return Found(count, pair)


def _in_two_classes(groups: Groups, labels: npt.NDArray[np.int64]) -> Found:
    """The images that are in another class too, in any split."""
    count, pair = 0, None
    for group in groups:
        differing = [at for at in group if labels[at] != labels[group[0]]]
        if differing:
            count, pair = count + len(group), pair or (group[0], differing[0])
    return Found(count, pair)


def _within(groups: Groups, labels: npt.NDArray[np.int64], split: npt.NDArray[np.uint8]) -> Found:
    """The images that equal an earlier one of their class and split."""
    count, pair = 0, None
    for group in groups:
        seen: dict[tuple[int, int], int] = {}
        for at in group:
            earliest = seen.setdefault((int(labels[at]), int(split[at])), at)
            if earliest != at:
                count, pair = count + 1, pair or (earliest, at)
    return Found(count, pair)
