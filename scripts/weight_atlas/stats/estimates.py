"""Means with their number and interval: of values, of groups of a table, of ratios; and shares of a count."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

if TYPE_CHECKING:  # comparing two results needs no pandas
    import pandas as pd


# A spread or a mean of differences below this share of the values themselves is rounding, and counts as 0.
ROUNDING = 1e-12


class Estimate(NamedTuple):
    """A mean of n values with its 95 % interval and the sample standard deviation; NaN where undefined."""

    n: int
    mean: float
    low: float
    high: float
    std: float


class MeanError(NamedTuple):
    """A mean of n values with its standard error, std / sqrt(n); NaN where undefined."""

    n: int
    mean: float
    error: float


class Share(NamedTuple):
    """A share of n trials with its 95 % interval."""

    n: int
    share: float
    low: float
    high: float


def t_quantile(probability: float, df: float) -> float:
    """The quantile of Student's t with `df` degrees of freedom."""
    return float(special.stdtrit(df, probability))


def normal_quantile(probability: float) -> float:
    """The quantile of the standard normal distribution."""
    return float(special.ndtri(probability))


def mean_interval(values: Iterable[float | None]) -> Estimate:
    """The mean of replicates with its 95 % interval by Student's t.

    low, high = mean -+ t(0.975; n - 1) std / sqrt(n). The interval takes the values as independent draws from a normal
    distribution.

    Parameters
    ----------
    values : numbers. NaN and None are undefined: they neither count nor take part in the mean.

    Returns
    -------
    Estimate : low, high and std are NaN for n < 2, the mean for n = 0. Equal values have no interval either: one of no
        width would say that the mean is known exactly.
    """
    known = [float(value) for value in values if value is not None and not math.isnan(value)]
    n = len(known)
    if n == 0:
        return Estimate(0, math.nan, math.nan, math.nan, math.nan)
    mean = math.fsum(known) / n
    if n == 1:
        return Estimate(1, mean, math.nan, math.nan, math.nan)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    if std <= ROUNDING * abs(mean):
        return Estimate(n, mean, math.nan, math.nan, 0.0)
    half = t_quantile(0.975, n - 1) * std / math.sqrt(n)
    return Estimate(n, mean, mean - half, mean + half, std)


def summarise(frame: "pd.DataFrame", by: Iterable[str], value: str) -> "pd.DataFrame":
    """The `mean_interval` of a column by group.

    Parameters
    ----------
    frame : one row per value; undefined values are left out of n.
    by : columns that name the group.
    value : the column of the values.

    Returns
    -------
    DataFrame : columns *by, n, mean, low, high; groups in the order of their first row. Equal values have no interval.
    """
    groups = frame.groupby(list(by), sort=False)[value]
    found = groups.agg(n="count", mean="mean", std="std").reset_index()
    n = found["n"].where(found["n"] > 1)
    spread = found["std"].where(found["std"] > ROUNDING * found["mean"].abs())
    half = special.stdtrit(n - 1, 0.975) * spread / np.sqrt(n)
    found["low"], found["high"] = found["mean"] - half, found["mean"] + half
    return found.drop(columns="std")


def mean_error(values: ArrayLike) -> MeanError:
    """The mean with its standard error; NaN are left out. The error is NaN for n < 2, the mean for n = 0."""
    numbers = np.asarray(values, float)
    known = numbers[~np.isnan(numbers)]
    n = len(known)
    mean = float(known.mean()) if n else math.nan
    return MeanError(n, mean, float(known.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan)


def ratio_mean(ratios: Iterable[float | None]) -> Estimate:
    """The geometric mean of ratios with its 95 % interval: the `mean_interval` of the logarithms, taken back.

    std is that of the natural logarithms. Halving and doubling cancel, as they do not in an arithmetic mean.

    Raises
    ------
    ValueError : a ratio is 0 or negative.
    """
    known = [float(ratio) for ratio in ratios if ratio is not None and not math.isnan(ratio)]
    if any(ratio <= 0 for ratio in known):
        raise ValueError(f"ratios must be above 0, not {min(known):g}")
    n, mean, low, high, std = mean_interval(math.log(ratio) for ratio in known)
    return Estimate(n, math.exp(mean), math.exp(low), math.exp(high), std)


def pooled_std(first: Sequence[float], second: Sequence[float]) -> float:
    """The standard deviation within two groups of equal size: the root of the mean of their variances."""
    return math.sqrt((statistics.variance(first) + statistics.variance(second)) / 2)


def share_interval(successes: int, n: int) -> Share:
    """The share of successes in n independent trials with Wilson's 95 % interval (Wilson 1927); NaN for n = 0."""
    from statsmodels.stats.proportion import proportion_confint

    if n == 0:
        return Share(0, math.nan, math.nan, math.nan)
    low, high = proportion_confint(successes, n, method="wilson")
    return Share(n, successes / n, float(low), float(high))


def exceeds_share(successes: int, n: int, share: float) -> float:
    """The p-value of the one-sided exact binomial test: the probability of as many successes, or more, in n trials.

    Each trial succeeds with the probability `share`. It is the regularised incomplete beta function
    I(share; successes, n - successes + 1) (Abramowitz and Stegun 1964, 26.5.24).
    """
    return 1.0 if successes == 0 else float(special.betainc(successes, n - successes + 1, share))


def share_error(share: float, n: int) -> float:
    """The standard error of a share of n independent trials, sqrt(share (1 - share) / n)."""
    return math.sqrt(share * (1 - share) / n)


def quantiles(values: ArrayLike, probabilities: Sequence[float]) -> list[float]:
    """The quantiles of values, with linear interpolation between neighbours."""
    return [float(value) for value in np.quantile(np.asarray(values, float), probabilities)]
