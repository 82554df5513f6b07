"""Paired tests: what a factor changes from one level to another, all else being equal, replicate by replicate."""

import math

import numpy as np
from scipy import special, stats

from weight_atlas.cell_table import contrasts

OUTCOMES = ("unchanged", "unchanged_other", "relative_distance", "mean_absolute", "mean_correlation", "accuracy")
# A spread or a mean of differences below this share of the values themselves is rounding, and counts as 0.
ROUNDING = 1e-12


def rows(cells, outcomes):
    """Rows of tests.csv: (outcome, factor, level_a, level_b, dataset, network, n, difference, low, high, t, p, q,
    effect).

    cells: as `weight_atlas.analysis.cells.read` gives them; outcomes: what `outcomes` returns. A row compares the cells
    of a data set and network that differ in the factor alone, level_b - level_a, seed by seed. First the differences of
    one seed are averaged over all other settings, so that n is the number of seeds; only settings that both levels
    have, and only seeds that all of these have, count. Between networks the column network is empty, between data sets
    the column dataset. q is p corrected over all rows (Benjamini and Hochberg 1995).
    """
    compared = {}
    for contrast in contrasts(cells):
        place = (contrast.labels.get("dataset"), contrast.labels.get("network"))
        key = (contrast.factor, contrast.level_a, contrast.level_b, *place)
        compared.setdefault(key, []).append((contrast.cell_a, contrast.cell_b))
    found = []
    for outcome in OUTCOMES:
        values = {cell_id: own for cell_id, own in outcomes.get(outcome, {}).items() if own}
        for key, pairs in compared.items():
            pairs = [pair for pair in pairs if pair[0] in values and pair[1] in values]
            if pairs:
                found.append((outcome, *key, *paired(*by_seed(pairs, values))))
    corrected = correct([row[-2] for row in found])
    return [(*row[:-1], q, row[-1]) for row, q in zip(found, corrected, strict=True)]


def outcomes(runs, accuracy, movement, unchanged, features):
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
    found = {}
    for outcome, (frame, values) in columns.items():
        own = frame[["cell_id", "seed"]].assign(value=values.astype(float)).merge(done, on=["cell_id", "seed"]).dropna()
        found[outcome] = {
            cell_id: dict(zip(x["seed"], x["value"], strict=True)) for cell_id, x in own.groupby("cell_id")
        }
    return found


def by_seed(pairs, values):
    """(means at level a, means at level b), one a seed: of the cells of `pairs`, a list of (cell a, cell b).

    values: {cell: {seed: value}}; seeds that some cell lacks are left out.
    """
    seeds = sorted(set.intersection(*(set(values[cell]) for pair in pairs for cell in pair)))
    return [[math.fsum(values[pair[side]][seed] for pair in pairs) / len(pairs) for seed in seeds] for side in (0, 1)]


def paired(first, second):
    """(n, mean difference, low, high, t, p, effect) of paired values, second - first, by Student's paired t-test.

    low, high: the mean's 95 % interval; p is two-sided; effect is Cohen's d_z, mean / standard deviation of the
    differences. For n < 2 there is no test: NaN. Where all differences are equal the interval has no width, and t and
    effect are infinite and p is 0; where all are 0, these three are NaN.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    n = len(first)
    if n == 0:
        return 0, *[math.nan] * 6
    differences = second - first
    smallest = ROUNDING * max(np.abs(first).max(), np.abs(second).max())
    mean = float(differences.mean())
    mean = 0.0 if abs(mean) <= smallest else mean
    if n == 1:
        return 1, mean, *[math.nan] * 5
    deviation = float(differences.std(ddof=1))
    if deviation <= smallest:
        sign = math.copysign(math.inf, mean) if mean else math.nan
        return n, mean, mean, mean, sign, 0.0 if mean else math.nan, sign
    error = deviation / math.sqrt(n)
    half = float(special.stdtrit(n - 1, 0.975)) * error
    p = 2 * float(special.stdtr(n - 1, -abs(mean / error)))
    return n, mean, mean - half, mean + half, mean / error, p, mean / deviation


def correct(values):
    """The p-values after Benjamini and Hochberg's correction for the number of them; NaN stay NaN and do not count."""
    values = np.asarray(values, float)
    tested = ~np.isnan(values)
    if tested.any():
        values[tested] = stats.false_discovery_control(values[tested])
    return values.tolist()
