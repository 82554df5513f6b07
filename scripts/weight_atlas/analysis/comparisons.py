"""Paired tests: what a factor changes from one level to another, all else being equal, replicate by replicate."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from weight_atlas import stats
from weight_atlas.analysis.runs.right import Right, differences
from weight_atlas.pairs import contrasts

OUTCOMES = ("unchanged", "unchanged_other", "relative_distance", "mean_absolute", "mean_correlation", "accuracy")

Row = tuple[Any, ...]
Outcomes = dict[str, dict[str, dict[int, float]]]


def rows(
    cells: Mapping[str, Any], outcomes: Mapping[str, Mapping[str, Mapping[int, float]]], right: Right
) -> list[Row]:
    """Rows of tests.csv: (outcome, factor, level_a, level_b, dataset, network, n, difference, low, high, low_new,
    high_new, t, p, q, effect).

    cells: as `weight_atlas.cell_table.read` gives them; outcomes: what `outcomes` returns. A row compares the cells
    of a data set and network that differ in the factor alone, level_b - level_a, seed by seed. First the differences of
    one seed are averaged over all other settings, so that n is the number of seeds; only settings that both levels
    have, and only seeds that all of these have, count. Between networks the column network is empty, between data sets
    the column dataset. q is p corrected over all rows (Benjamini and Hochberg 1995). right: which images each replicate
    classifies right, for the interval of accuracies on new images.
    """
    compared: dict[tuple[str | None, ...], list[tuple[str, str]]] = {}
    for contrast in contrasts(cells):
        shared = (contrast.labels.get("dataset"), contrast.labels.get("network"))
        key = (contrast.factor, contrast.level_a, contrast.level_b, *shared)
        compared.setdefault(key, []).append((contrast.cell_a, contrast.cell_b))
    tested: list[Row] = []
    for outcome in OUTCOMES:
        values = {cell_id: by_seed for cell_id, by_seed in outcomes.get(outcome, {}).items() if by_seed}
        for place, every in compared.items():
            pairs = [pair for pair in every if pair[0] in values and pair[1] in values]
            if pairs:
                n, *found, t, p, effect = stats.paired_difference(*stats.block_means(pairs, values))
                has_images = outcome == "accuracy" and place[3] is not None  # both sides see the same data set
                new = on_new_images(pairs, right if has_images else {})
                tested.append((outcome, *place, n, *found, *new, t, p, effect))
    corrected = stats.benjamini_hochberg([row[-2] for row in tested])
    return [(*row[:-1], q, row[-1]) for row, q in zip(tested, corrected, strict=True)]


def on_new_images(pairs: Sequence[tuple[str, str]], right: Right) -> tuple[float, float]:
    """The 95 % interval of a difference of accuracies over new replicates and new images; NaN where there is none."""
    found = differences(pairs, right)
    return (math.nan, math.nan) if found is None else stats.crossed_means(found).new_images[:2]


def outcomes(
    runs: pd.DataFrame,
    accuracy: pd.DataFrame,
    movement: pd.DataFrame,
    unchanged: pd.DataFrame,
    features: pd.DataFrame,
) -> Outcomes:
    """{outcome: {cell_id: {seed: value}}} of the finished replicates, for each of OUTCOMES.

    The arguments are DataFrames with the columns of the tables of their names. unchanged and unchanged_other (without
    the structural ones) are fractions of the learnable parameters, relative_distance is that of the last snapshot from
    the start, the correlations those of activations, accuracy that of the best validation epoch.
    """
    whole = unchanged[unchanged["layer"] == "total"]
    start = movement[(movement["layer"] == "total") & (movement["interval"] == "start")]
    last = start["to_epoch"] == start.groupby(["cell_id", "seed"])["to_epoch"].transform("max")
    active = features[features["of"] == "activations"]
    best = accuracy[accuracy["protocol"] == "best_valid"]
    columns = {
        "unchanged": (whole, whole["unchanged"] / whole["size"]),
        "unchanged_other": (whole, (whole["unchanged"] - whole["structural"]) / whole["size"]),
        "relative_distance": (start[last], start.loc[last, "relative"]),
        "mean_absolute": (active, active["mean_absolute"]),
        "mean_correlation": (active, active["mean_correlation"]),
        "accuracy": (best, best["accuracy"]),
    }
    done = runs.loc[runs["status"] == "done", ["cell_id", "seed"]]
    by_outcome = {}
    for outcome, (frame, values) in columns.items():
        long = frame[["cell_id", "seed"]].assign(value=values.astype(float))
        finished = long.merge(done, on=["cell_id", "seed"]).dropna()
        by_outcome[outcome] = {
            str(cell_id): dict(zip(rows["seed"], rows["value"], strict=True))
            for cell_id, rows in finished.groupby("cell_id")
        }
    return by_outcome
