"""Correlation coefficients: their mean on Fisher's scale, how large one must be to be significant, and of ranks."""

import math
from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau

from weight_atlas.stats.estimates import Estimate, MeanError, mean_error, mean_interval, t_quantile

LARGEST = math.nextafter(1, 0)  # an r of 1 has no finite Fisher z


class MeanCorrelation(NamedTuple):
    """The mean of n correlations with its 95 % interval; NaN where undefined."""

    n: int
    mean: float
    low: float
    high: float


def fisher_mean(correlations: ArrayLike) -> MeanError:
    """The mean and standard error of Fisher's z = artanh r of correlations (Fisher 1921); NaN are left out."""
    values = np.asarray(correlations, float)
    return mean_error(np.arctanh(np.clip(values[~np.isnan(values)], -LARGEST, LARGEST)))


def mean_correlation(fisher: MeanError) -> MeanCorrelation:
    """A `fisher_mean` and its 95 % interval by Student's t, taken back to the scale of r."""
    n, mean, error = fisher
    half = t_quantile(0.975, n - 1) * error if n > 1 else math.nan
    return MeanCorrelation(n, *(math.tanh(z) for z in (mean, mean - half, mean + half)))


def significant_correlation(n: int) -> float:
    """The |r| from which one correlation of n pairs is significant at 0.05, t / sqrt(n - 2 + t^2); NaN for n < 3."""
    if n < 3:
        return math.nan
    t = t_quantile(0.975, n - 2)
    return t / math.sqrt(n - 2 + t * t)


def rank_agreement(first: ArrayLike, second: ArrayLike) -> float:
    """Kendall's tau-b (1945) of two orders of the same things: 1 for the same, -1 for the opposite, about 0 for
    unrelated ones; NaN where all are equal in one. Infinite values come last."""
    one, other = (np.asarray(values, float) for values in (first, second))
    if len(one) < 2 or len(set(one.tolist())) < 2 or len(set(other.tolist())) < 2:
        return math.nan
    return float(kendalltau(one, other).statistic)


def pair_mean(values: Mapping[tuple[int, int], float]) -> Estimate:
    """The mean over the pairs of n units, with its 95 % interval over the units.

    Pairs that share a unit are not independent, so the interval is Student's t of the jackknife's pseudo-values, n U -
    (n - 1) U_i with U the mean over all pairs and U_i that over the pairs without unit i (Arvesen 1969, "Jackknifing
    U-statistics").

    Parameters
    ----------
    values : {(unit, other unit): value}; NaN are left out.

    Returns
    -------
    Estimate : n counts the units; without an interval for fewer than three.
    """
    known = {pair: value for pair, value in values.items() if not math.isnan(value)}
    units = sorted(set(chain.from_iterable(known)))
    mean = _mean(known)
    if len(units) < 3:
        return Estimate(len(units), mean, math.nan, math.nan, math.nan)
    without = [_mean({pair: value for pair, value in known.items() if unit not in pair}) for unit in units]
    n, centre, low, high, std = mean_interval(len(units) * mean - (len(units) - 1) * one for one in without)
    return Estimate(n, mean, mean + low - centre, mean + high - centre, std)


def _mean(values: Mapping[tuple[int, int], float]) -> float:
    return math.fsum(values.values()) / len(values) if values else math.nan
