"""Differences between two levels: paired, by block, equivalent within a margin, and of independent samples (Welch)."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from weight_atlas.stats.estimates import ROUNDING, MeanError, t_quantile

if TYPE_CHECKING:  # comparing two results needs no pandas
    import pandas as pd

Unit = TypeVar("Unit", bound=Hashable)


class MeanTest(NamedTuple):
    """A mean of n values, its 95 % interval, and Student's t-test of it against 0 (p two-sided).

    effect is Cohen's d_z, mean / standard deviation. See `mean_test` for what is NaN or infinite.
    """

    n: int
    mean: float
    low: float
    high: float
    t: float
    p: float
    effect: float


class Equivalence(NamedTuple):
    """A mean of n differences, its 95 % and 90 % intervals, and the p of two one-sided tests; see `equivalence`."""

    n: int
    mean: float
    low: float
    high: float
    low90: float
    high90: float
    p: float


class Welch(NamedTuple):
    """The difference of two independent means, its 95 % interval, and the two-sided p of Welch's t-test."""

    difference: float
    low: float
    high: float
    p: float


class SideMeans(NamedTuple):
    """The means of two sides, one value per block, in the order of the blocks."""

    first: list[float]
    second: list[float]


def mean_test(values: ArrayLike, scale: float | None = None) -> MeanTest:
    """Student's one-sample t-test of the mean of values, such as differences, against 0.

    Parameters
    ----------
    values : [n] without NaN.
    scale : the size of the numbers that the values are differences of; ROUNDING is a share of it. By default the
        largest magnitude of the values.

    Returns
    -------
    MeanTest : for n < 2 there is no test: NaN. Nor is there where all values are equal: replicates without any spread
        (of a score in steps, of an exact count) are no proof, and an interval without width would be one.
    """
    numbers = np.asarray(values, float)
    n = len(numbers)
    if n == 0:
        return MeanTest(0, *[math.nan] * 6)
    smallest = ROUNDING * (float(np.abs(numbers).max()) if scale is None else scale)
    mean = float(numbers.mean())
    mean = 0.0 if abs(mean) <= smallest else mean
    if n == 1:
        return MeanTest(1, mean, *[math.nan] * 5)
    deviation = float(numbers.std(ddof=1))
    if deviation <= smallest:
        return MeanTest(n, mean, *[math.nan] * 5)
    error = deviation / math.sqrt(n)
    half = t_quantile(0.975, n - 1) * error
    p = 2 * float(special.stdtr(n - 1, -abs(mean / error)))
    return MeanTest(n, mean, mean - half, mean + half, mean / error, p, mean / deviation)


def paired_difference(first: ArrayLike, second: ArrayLike) -> MeanTest:
    """The `mean_test` of paired values, second - first: Student's paired t-test."""
    one, other = np.asarray(first, float), np.asarray(second, float)
    largest = max(float(np.abs(one).max()), float(np.abs(other).max())) if len(one) else 0.0
    return mean_test(other - one, largest)


def block_means(pairs: Sequence[tuple[Unit, Unit]], values: Mapping[Unit, Mapping[int, float]]) -> SideMeans:
    """The mean of each side of some pairs, per block: seeds that share streams are blocks.

    Parameters
    ----------
    pairs : (unit of the first side, unit of the second side).
    values : {unit: {block: value}}; blocks that a unit lacks are left out.
    """
    blocks = sorted(set.intersection(*(set(values[unit]) for pair in pairs for unit in pair)))
    first, second = (
        [math.fsum(values[pair[side]][block] for pair in pairs) / len(pairs) for block in blocks] for side in (0, 1)
    )
    return SideMeans(first, second)


def blocked_difference(first: "pd.Series", second: "pd.Series") -> MeanTest:
    """The `mean_test` of second - first over the blocks that both sides have, each side averaged within a block first.

    Parameters
    ----------
    first, second : values whose index is the block (the seed); NaN are left out.
    """
    one, other = (side.dropna().groupby(level=0).mean() for side in (first, second))
    shared = one.index.intersection(other.index).sort_values()
    return mean_test((other[shared] - one[shared]).to_numpy(float))


def equivalence(differences: ArrayLike, margin: float) -> Equivalence:
    """Two one-sided t-tests of |mean| >= margin (TOST; Schuirmann 1987), with Student's 95 % and 90 % intervals.

    Returns
    -------
    Equivalence : p < 0.05 exactly where the 90 % interval lies within the margin. n < 2, and differences that are all
        equal: no interval and no test.
    """
    numbers = np.asarray(differences, float)
    n, mean, low, *_ = mean_test(numbers)
    if math.isnan(low):
        return Equivalence(n, mean, *[math.nan] * 5)
    return _equivalent(n, mean, float(numbers.std(ddof=1)) / math.sqrt(n), n - 1, margin)


def independent_equivalence(first: MeanError, second: MeanError, margin: float) -> Equivalence:
    """As `equivalence`, of the difference first - second of two independent means, with Welch's degrees of freedom."""
    n, difference = min(first.n, second.n), first.mean - second.mean
    both = first.error**2 + second.error**2
    if n < 2 or not both > 0:
        return Equivalence(n, difference, *[math.nan] * 5)
    return _equivalent(n, difference, math.sqrt(both), welch_df(first, second), margin)


def _equivalent(n: int, mean: float, error: float, df: float, margin: float) -> Equivalence:
    """The intervals and the test of a mean with its standard error."""
    half, narrow = t_quantile(0.975, df) * error, t_quantile(0.95, df) * error
    p = float(special.stdtr(df, (abs(mean) - margin) / error))
    return Equivalence(n, mean, mean - half, mean + half, mean - narrow, mean + narrow, p)


def welch_df(first: MeanError, second: MeanError) -> float:
    """The degrees of freedom of the difference of two independent means (Welch 1947)."""
    both = first.error**2 + second.error**2
    return both**2 / (first.error**4 / (first.n - 1) + second.error**4 / (second.n - 1))


def welch(first: MeanError, second: MeanError) -> Welch:
    """Welch's t-test of the difference first - second of two independent means (Welch 1947).

    NaN with fewer than two values on a side, and where neither side spreads.
    """
    difference, both = first.mean - second.mean, first.error**2 + second.error**2
    if first.n < 2 or second.n < 2 or both == 0:
        return Welch(difference, math.nan, math.nan, math.nan)
    df = welch_df(first, second)
    half = t_quantile(0.975, df) * math.sqrt(both)
    p = 2 * float(special.stdtr(df, -abs(difference) / math.sqrt(both)))
    return Welch(difference, difference - half, difference + half, p)
