"""Correlation coefficients: their mean on Fisher's scale, how large one must be to be significant, and of ranks."""

import math
from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, permutation_test, rankdata, spearmanr

from weight_atlas.stats.estimates import Estimate, MeanError, mean_error, mean_interval, normal_quantile, t_quantile

LARGEST = math.nextafter(1, 0)  # an r of 1 has no finite Fisher z
EXACT = 8  # things whose 40,320 pairings are all tried


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


class RankCorrelation(NamedTuple):
    """Spearman's correlation of n pairs, its 95 % interval, and the two-sided p of none; NaN where undefined."""

    n: int
    correlation: float
    low: float
    high: float
    p: float


def rank_correlation(first: ArrayLike, second: ArrayLike) -> RankCorrelation:
    """Spearman's rank correlation r of two measures of the same n things.

    The interval is that of Fisher's z with the variance (1 + r^2 / 2) / (n - 3) (Bonett and Wright 2000, "Sample size
    requirements for estimating Pearson, Kendall and Spearman correlations"); p is exact over all pairings for up to
    EXACT things, by Student's t beyond.

    Returns
    -------
    RankCorrelation : NaN for fewer than three things, or where all are equal in one; no interval for n < 4 or r = 1 or
        -1.
    """
    one, other = (np.asarray(values, float) for values in (first, second))
    n = len(one)
    if n < 3 or len(set(one.tolist())) < 2 or len(set(other.tolist())) < 2:
        return RankCorrelation(n, *[math.nan] * 4)
    found, p = spearmanr(one, other)
    r = float(found)
    if n <= EXACT:
        ranks, others = rankdata(one), rankdata(other)

        def products(order: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
            return np.asarray((order * others).sum(axis=axis))

        p = permutation_test((ranks,), products, permutation_type="pairings", n_resamples=math.factorial(n)).pvalue
    if n < 4 or abs(r) > 1 - 1e-12:
        return RankCorrelation(n, r, math.nan, math.nan, float(p))
    z, half = math.atanh(r), normal_quantile(0.975) * math.sqrt((1 + r * r / 2) / (n - 3))
    return RankCorrelation(n, r, math.tanh(z - half), math.tanh(z + half), float(p))


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
