"""Percentile intervals over resamples, for statistics that have no closed form; and the median with an exact one."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

FEWEST = 10  # values: a percentile interval of three covers 72 % where it says 95 %
RESAMPLES = 2000
LIMITS = (0.025, 0.975)


class Median(NamedTuple):
    """A median with its 95 % interval; NaN where undefined or infinite."""

    median: float
    low: float
    high: float


def bootstrap_interval(
    values: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    resamples: int = RESAMPLES,
    seed: int = 0,
    fewest: int = FEWEST,
) -> NDArray[np.float64]:
    """The 95 % interval of a statistic by percentiles over resamples of the first axis (Efron 1979).

    Parameters
    ----------
    values : [n, ..].
    statistic : of [resamples, n, ..] gives [resamples] or [resamples, k].
    resamples, seed : how many, drawn by NumPy's default generator of this seed.
    fewest : fewer values have no interval. Intervals of fewer than FEWEST are too narrow.

    Returns
    -------
    [2] or [2, k] float64 : low and high; NaN for too few values.
    """
    n = len(values)
    if n < fewest:
        shape = np.shape(statistic(values[None]))[1:] if n else ()
        return np.full((2, *shape), math.nan)
    limits: NDArray[np.float64] = np.quantile(statistic(values[resampled(n, resamples, seed)]), LIMITS, axis=0)
    return limits


def resampled(n: int, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.int64]:
    """The places of n values in resamples with replacement, [resamples, n], by NumPy's default generator of a seed."""
    return np.random.default_rng(seed).integers(n, size=(resamples, n))


def median_interval(values: ArrayLike) -> Median:
    """The median of values that may be censored, with the interval of the sign test: two of the values themselves.

    P(low <= median <= high) = 1 - 2 P(X < k) for X binomial with n and 1/2, and the k-th lowest and highest value:
    exact for every continuous distribution (Thompson 1936). The largest k with at least 95 % is taken; fewer than six
    values have no interval.

    Values may be infinite (censored): they are ordered, never averaged with others. What is not finite is NaN, and so
    is everything without a value.
    """
    numbers = np.sort(np.asarray(values, float))
    n = len(numbers)
    if not n:
        return Median(math.nan, math.nan, math.nan)
    beyond = special.bdtr(np.arange(n), n, 0.5) <= LIMITS[0]  # P(X <= k)
    k = int(beyond.sum()) - 1
    low, high = (numbers[k], numbers[n - 1 - k]) if k >= 0 else (math.nan, math.nan)
    found = (float(medians(numbers[None])[0]), float(low), float(high))
    return Median(*(value if math.isfinite(value) else math.nan for value in found))


def medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each row; infinite where either of the two middle values is."""
    ordered = np.sort(values, axis=1)
    lower, upper = ordered[:, (values.shape[1] - 1) // 2], ordered[:, values.shape[1] // 2]
    middle: NDArray[np.float64] = np.where(lower == upper, lower, (lower + upper) / 2)
    return middle
