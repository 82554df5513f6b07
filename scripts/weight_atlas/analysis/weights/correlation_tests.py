"""Are two models more alike than chance and the data make any two? Correlations against a null of independent pairs."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from weight_atlas import stats

KEY = ["layer", "parameter", "size", "matching"]
COEFFICIENTS = ("pearson", "spearman")


def rows(cells: Mapping[str, Any], correlations: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Rows of likeness.csv, as tuples, for each pair of cells, checkpoint, parameter, matching and coefficient.

    cells: as `weight_atlas.cell_table.read` gives them; correlations: the table of this name, a DataFrame. Compared
    are the pairs of two cells' models (comparison "models") with a null: pairs of one cell's replicates
    ("independent"), matched in the same way at the same checkpoint. The null is that of those of the two cells whose
    replicates share nothing but the data: whose weights are drawn; where neither's are, of those that start from
    replicates of a source. Two that start from one file are no null.

    Welch's t-test of Fisher's z = artanh r; q is p corrected over all rows (Benjamini and Hochberg 1995). mean, low and
    high are those of z as an r, with a 95 % interval; difference is that of the mean z. With fewer than two pairs on a
    side there is no test. The pairs of a null share replicates, so its interval is a little too narrow. Undefined
    correlations do not count, and running statistics are left out.
    """
    learnable = correlations[~correlations["parameter"].str.startswith("running_")]
    models = learnable[learnable["comparison"] == "models"]
    chance = learnable[learnable["comparison"] == "independent"]
    null = {key: pairs for key, pairs in chance.groupby(["cell_a", "checkpoint_a", *KEY], sort=False)}
    tested: list[tuple[Any, ...]] = []
    for key, pairs in models.groupby(["cell_a", "cell_b", "checkpoint_a", *KEY], sort=False):
        one, other, *rest = key
        nulls = [null[cell, *rest] for cell in independent(cells, (str(one), str(other))) if (cell, *rest) in null]
        for name in COEFFICIENTS:
            of_chance = [value for frame in nulls for value in frame[name]]
            tested.append((*key, name, *compare(pairs[name], of_chance)))
    corrected = stats.benjamini_hochberg([row[-1] for row in tested])
    return [(*row, q) for row, q in zip(tested, corrected, strict=True)]


def independent(cells: Mapping[str, Any], pair: tuple[str, str]) -> list[str]:
    """Those of two cells whose replicates are independent of one another; see `rows`."""
    kinds = {cell: cells[cell]["cell"].start.kind for cell in pair}
    drawn = [cell for cell in pair if kinds[cell] == "init"]
    return drawn or [cell for cell in pair if kinds[cell] != "weights"]


def compare(values: Iterable[float], null: Iterable[float]) -> tuple[float, ...]:
    """(n, mean, low, high, null_n, null_mean, null_low, null_high, difference, low, high, p) of correlations."""
    sides = [stats.fisher_mean(list(side)) for side in (values, null)]
    means = [number for side in sides for number in stats.mean_correlation(side)]
    return (*means, *stats.welch(*sides))
