"""From measured means to a verdict: evidence for a statement, evidence against it, or too little of both.

A statement says that a mean lies in a region. It is *shown* where a test rejects every mean outside of the region, and
*refuted* where a test rejects every mean that the statement allows. A claim is one or more statements that must all
hold: it is reproduced where each is shown (an intersection-union test, which needs no correction; Berger 1982), and
contradicted where one is refuted at the level divided by their number (the first step of Holm 1979). Everything else is
undecided. Both tests are one-sided Student t-tests at 2.5 %, so that a verdict is what the 95 % intervals say.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from weight_atlas.stats.estimates import ROUNDING, MeanError, mean_error, t_quantile
from weight_atlas.stats.power import seeds_for_difference, seeds_for_equivalence

LEVEL = 0.025  # of each one-sided test: a verdict is what two-sided 95 % intervals say

Array = NDArray[np.float64]


class Decision(StrEnum):
    """What the evidence says of a claim."""

    REPRODUCED = "reproduced"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"


class Evidence(NamedTuple):
    """A mean of n values with its standard error and degrees of freedom; error 0 or NaN: there is no test."""

    n: int
    mean: float
    error: float
    df: float

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return self.mean - self._half

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return self.mean + self._half

    @property
    def _half(self) -> float:
        return t_quantile(1 - LEVEL, self.df) * self.error if self.error > 0 else math.nan


class Region(NamedTuple):
    """An open interval of means."""

    low: float
    high: float


class Tests(NamedTuple):
    """p of the tests that show a statement, and of those that refute it."""

    for_it: Array
    against_it: Array


@dataclass(frozen=True)
class Statement:
    """That a mean lies above `low`, or below `high`, or from `low` to `high`.

    margin: with one bound, the smallest effect beyond it that matters: the statement is refuted where the mean is shown
    to be less. With two, how far outside of them is still within the statement.
    """

    low: float = -math.inf
    high: float = math.inf
    margin: float = 0.0

    @property
    def is_two_sided(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    def with_margin(self, factor: float) -> "Statement":
        """The same with a margin so many times as wide."""
        return Statement(self.low, self.high, self.margin * factor)

    @property
    def shown(self) -> Region:
        """Where the mean must lie for the statement to hold."""
        if self.is_two_sided:
            return Region(self.low - self.margin, self.high + self.margin)
        return Region(self.low, self.high)

    @property
    def allowed(self) -> Region:
        """What must be rejected for the statement to be refuted."""
        if self.is_two_sided:
            return self.shown
        return Region(self.low + self.margin, self.high - self.margin)

    def tests(self, mean: ArrayLike, error: ArrayLike, df: ArrayLike) -> "Tests":
        """The tests for and against the statement: arrays of any shape, p = 1 where there is no evidence.

        Where both succeed, the effect is there and smaller than what matters: neither counts.
        """
        shown, allowed = self.shown, self.allowed
        for_it = np.maximum(_above(mean, error, df, shown.low), _below(mean, error, df, shown.high))
        against = np.minimum(_below(mean, error, df, allowed.low), _above(mean, error, df, allowed.high))
        both = (for_it <= LEVEL) & (against <= LEVEL)
        return Tests(np.where(both, 1.0, for_it), np.where(both, 1.0, against))

    def seeds(self, std: float, mean: float = math.nan) -> int | None:
        """The fewest replicates that show the statement with a power of 80 %.

        Where the true mean is one margin beyond the bound, or in the middle of both; without a margin, where it is
        `mean`. None where no number would.
        """
        if self.is_two_sided:
            return seeds_for_equivalence((self.high - self.low) / 2 + self.margin, std, level=LEVEL)
        bound = self.low if math.isfinite(self.low) else self.high
        return seeds_for_difference(self.margin or mean - bound, std)


def _above(mean: ArrayLike, error: ArrayLike, df: ArrayLike, bound: float) -> Array:
    """p of the one-sided tests of mean <= bound: 0 for a bound of minus infinity."""
    return _below(-np.asarray(mean), error, df, -bound)


def _below(mean: ArrayLike, error: ArrayLike, df: ArrayLike, bound: float) -> Array:
    """p of the one-sided tests of mean >= bound; 1 where there is no test, or the bound is minus infinity."""
    means, errors, freedom = (np.asarray(values, float) for values in (mean, error, df))
    tested = (errors > 0) & (freedom > 0)
    if math.isinf(bound):
        return np.where(tested, 1.0 if bound < 0 else 0.0, 1.0)
    distance = (means - bound) / np.where(tested, errors, 1.0)
    return np.where(tested, special.stdtr(np.where(tested, freedom, 1.0), distance), 1.0)


def decide(for_each: ArrayLike, against_each: ArrayLike, level: float = LEVEL) -> NDArray[np.str_]:
    """The decisions on claims from the p for and against each of their statements.

    Parameters
    ----------
    for_each, against_each : [.., k]
        Of k statements that must all hold; see `Statement.tests`.
    level : float
        Of each one-sided test.

    Returns
    -------
    array of str [..]
        Values of `Decision`. One statement of k is refuted at level / k: Holm's first step.
    """
    for_it, against = np.asarray(for_each, float), np.asarray(against_each, float)
    shown = (for_it <= level).all(axis=-1)
    refuted = (against * against.shape[-1] <= level).any(axis=-1)
    return np.where(shown, Decision.REPRODUCED, np.where(refuted, Decision.CONTRADICTED, Decision.UNDECIDED))


def evidence(values: ArrayLike, resolution: float = 0.0) -> Evidence:
    """The evidence of replicates: their mean, its standard error, and n - 1 degrees of freedom.

    Parameters
    ----------
    values : [n]
        One per replicate, or per block; NaN are left out.
    resolution : float
        The step of a discrete score (1 / N of an accuracy on N images). Replicates that differ by less than a step
        look equal, so the variance of rounding two scores, step² / 6, is added.

    Returns
    -------
    Evidence
        Without an error for n < 2. Equal values have an error of 0 without a resolution: they are no test.
    """
    n, mean, error = mean_error(values)
    if n < 2:
        return Evidence(n, mean, math.nan, math.nan)
    if error <= ROUNDING * abs(mean):
        error = 0.0
    return Evidence(n, mean, math.hypot(error, resolution / math.sqrt(6 * n)), n - 1)


def independent(first: MeanError, second: MeanError) -> Evidence:
    """The evidence of the difference first - second of two independent means, with Welch's degrees of freedom."""
    return combined([(1.0, first), (-1.0, second)])


def combined(parts: Sequence[tuple[float, MeanError]]) -> Evidence:
    """The evidence of a weighted sum of independent means.

    Parameters
    ----------
    parts : sequence of (weight, mean)

    Returns
    -------
    Evidence
        n is the smallest of the means'. The degrees of freedom are Welch's and Satterthwaite's (Satterthwaite 1946). No
        error where a mean of one value takes part; 0 where none spreads: they are no test.
    """
    n = min(own.n for _, own in parts)
    mean = math.fsum(weight * own.mean for weight, own in parts)
    squares = [((weight * own.error) ** 2, own.n) for weight, own in parts]
    both = math.fsum(square for square, _ in squares)
    if n < 2 or not both > 0:
        return Evidence(n, mean, 0.0 if n >= 2 else math.nan, math.nan)
    return Evidence(n, mean, math.sqrt(both), both**2 / math.fsum(square**2 / (own - 1) for square, own in squares))
