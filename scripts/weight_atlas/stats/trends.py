"""Trends over ordered levels: slopes by block with their interval, a straight line, and a trend of ranks."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import linregress, page_trend_test

from weight_atlas.stats.differences import MeanTest, mean_test
from weight_atlas.stats.estimates import t_quantile


class Line(NamedTuple):
    """The least-squares slope over n points, its 95 % interval, and the two-sided p of slope 0."""

    n: int
    slope: float
    low: float
    high: float
    p: float


class RankTrend(NamedTuple):
    """The mean Spearman correlation of values with the order of their levels, over the blocks, and Page's p.

    p_rising and p_falling are one-sided; p is two-sided.
    """

    blocks: int
    levels: int
    correlation: float
    p_rising: float
    p_falling: float
    p: float


def slopes(places: ArrayLike, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least-squares slope of each row of `values` [blocks, levels] over `places` [levels]: [blocks]."""
    x = np.asarray(places, float)
    centred = x - x.mean()
    by_row: NDArray[np.float64] = values @ centred / (centred @ centred)
    return by_row


def slope_trend(places: ArrayLike, values: NDArray[np.float64]) -> MeanTest:
    """The mean slope over the blocks of `values` [blocks, levels], with the `mean_test` of the slopes by block.

    The blocks, not the points, are what varies: a level shifted in every block costs no degree of freedom.
    """
    return mean_test(slopes(places, values))


def line_trend(places: ArrayLike, values: ArrayLike) -> Line:
    """The slope of a straight line through points that share no blocks, by ordinary least squares.

    NaN for fewer than three points, or where all places are equal.
    """
    x, y = np.asarray(places, float), np.asarray(values, float)
    n = len(x)
    if n < 3 or np.ptp(x) == 0:
        return Line(n, math.nan, math.nan, math.nan, math.nan)
    fit = linregress(x, y)
    half = t_quantile(0.975, n - 2) * float(fit.stderr)
    return Line(n, float(fit.slope), float(fit.slope) - half, float(fit.slope) + half, float(fit.pvalue))


def rank_trend(values: NDArray[np.float64]) -> RankTrend:
    """Page's test (1963) of values that rise, or fall, over ordered levels, in every block alike.

    Parameters
    ----------
    values : [blocks, levels] without NaN, levels in their order.

    Returns
    -------
    RankTrend : NaN for fewer than two blocks or three levels. p is exact for small tables without ties.
    """
    blocks, levels = values.shape
    if blocks < 2 or levels < 3:
        return RankTrend(blocks, levels, *[math.nan] * 4)
    rising, falling = page_trend_test(values), page_trend_test(values[:, ::-1])
    # L is a linear function of the mean of Spearman's rho over the blocks.
    slope = 12 / (blocks * levels * (levels**2 - 1))
    correlation = slope * float(rising.statistic) - 3 * (levels + 1) / (levels - 1)
    up, down = float(rising.pvalue), float(falling.pvalue)
    return RankTrend(blocks, levels, correlation, up, down, min(1.0, 2 * min(up, down)))
