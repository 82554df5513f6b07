"""Which finished replicates never learnt: they classify no better than a network that always names one class."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weight_atlas import stats

LEVEL = 0.001  # of the tests of one replicate together

Replicate = tuple[str, int]
Counts = Mapping[str, Sequence[int]]  # the images per class, by split, as on a data set's card


def learnt(metrics: pd.DataFrame, counts: Mapping[str, Counts]) -> dict[Replicate, bool]:
    """Whether each replicate learnt, by its last epoch: {(cell, seed): bool}.

    It learnt if it classifies better than always naming the largest class would: its training images, as the epoch's
    steps saw them, or its validation and test images together. Each of the two is a one-sided exact binomial test at
    half of `LEVEL` (at `LEVEL` where the epoch has only one of them), so that a replicate at chance passes for one that
    learnt once in a thousand times. Two, since dropout and augmentation lower the accuracy of the steps, while a
    network that only memorises is no better than chance on new images.

    Parameters
    ----------
    metrics : DataFrame
        The metrics table. Replicates without an accuracy at their last epoch are left out.
    counts : {cell_id: {split: images per class}}
    """
    last = metrics[metrics["epoch"] == metrics.groupby(["cell_id", "seed"])["epoch"].transform("max")]
    found: dict[Replicate, bool] = {}
    for row in last.to_dict("records"):
        chances = _chances(row, counts[row["cell_id"]])
        if chances:
            found[str(row["cell_id"]), int(row["seed"])] = min(chances) < LEVEL / len(chances)
    return found


def without(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of the runs table without replicates that never learnt: what tests and effects are computed of."""
    return runs[runs["learnt"].ne(False).fillna(True)]


def _chances(row: Mapping[Any, Any], counts: Counts) -> list[float]:
    """The p-values of an epoch: of the training images, and of the held-out ones, as far as they were classified."""
    chances = []
    for splits in (("train",), ("valid", "test")):
        sizes = {split: sum(counts[split]) for split in splits if not math.isnan(row[f"{split}_accuracy"])}
        total = sum(sizes.values())
        if total:
            right = sum(round(row[f"{split}_accuracy"] * size) for split, size in sizes.items())
            largest = np.sum([counts[split] for split in sizes], axis=0).max()
            chances.append(stats.exceeds_share(right, total, float(largest) / total))
    return chances
