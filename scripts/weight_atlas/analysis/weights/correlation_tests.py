"""Are two models more alike than chance and the data make any two? Correlations against a null of independent pairs."""

import math

import numpy as np
from scipy import special

from weight_atlas.analysis.comparisons import correct

KEY = ["layer", "parameter", "size", "matching"]
COEFFICIENTS = ("pearson", "spearman")
LARGEST = math.nextafter(1, 0)  # an r of 1 has no finite Fisher z


def rows(cells, correlations):
    """Rows of likeness.csv, as tuples, for each pair of cells, checkpoint, parameter, matching and coefficient.

    cells: as `weight_atlas.analysis.cells.read` gives them; correlations: the table of this name, a DataFrame. Compared
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
    null = {key: own for key, own in chance.groupby(["cell_a", "checkpoint_a", *KEY], sort=False)}
    found = []
    for key, own in models.groupby(["cell_a", "cell_b", "checkpoint_a", *KEY], sort=False):
        one, other, *rest = key
        beside = [null[cell, *rest] for cell in independent(cells, (one, other)) if (cell, *rest) in null]
        for name in COEFFICIENTS:
            theirs = [value for frame in beside for value in frame[name]]
            found.append((*key, name, *compare(own[name], theirs)))
    corrected = correct([row[-1] for row in found])
    return [(*row, q) for row, q in zip(found, corrected, strict=True)]


def independent(cells, pair):
    """Those of two cells whose replicates are independent of one another; see `rows`."""
    kinds = {cell: cells[cell]["cell"]["start"]["kind"] for cell in pair}
    drawn = [cell for cell in pair if kinds[cell] == "init"]
    return drawn or [cell for cell in pair if kinds[cell] != "weights"]


def compare(values, null):
    """(n, mean, low, high, null_n, null_mean, null_low, null_high, difference, low, high, p) of correlations."""
    sides = [summed(values), summed(null)]
    told = []
    for n, mean, error in sides:
        reach = float(special.stdtrit(n - 1, 0.975)) * error if n > 1 else math.nan
        told += [n, *(math.tanh(z) for z in (mean, mean - reach, mean + reach))]
    return (*told, *welch(*sides))


def summed(values):
    """(n, mean, standard error) of the Fisher z of correlations; NaN are left out."""
    values = np.asarray(values, float)
    z = np.arctanh(np.clip(values[~np.isnan(values)], -LARGEST, LARGEST))
    n = len(z)
    return n, float(z.mean()) if n else math.nan, float(z.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan


def welch(one, other):
    """(difference, low, high, p) of two means, each (n, mean, standard error): Welch's t-test, two-sided, 95 %.

    NaN with fewer than two values on a side, and p is where neither side spreads and both are equal.
    """
    (n, mean, error), (m, beside, spread) = one, other
    difference, both = mean - beside, error**2 + spread**2
    if n < 2 or m < 2:
        return difference, math.nan, math.nan, math.nan
    if both == 0:
        return difference, difference, difference, 0.0 if difference else math.nan
    freedom = both**2 / (error**4 / (n - 1) + spread**4 / (m - 1))
    half = float(special.stdtrit(freedom, 0.975)) * math.sqrt(both)
    p = 2 * float(special.stdtr(freedom, -abs(difference) / math.sqrt(both)))
    return difference, difference - half, difference + half, p
