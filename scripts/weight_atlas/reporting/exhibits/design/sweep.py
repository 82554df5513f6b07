"""Levels that are numbers: where they stand on their scale, and the trend over them."""

import math
from typing import NamedTuple

import numpy as np

from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.grid import Row
from weight_atlas.reporting.exhibits.design.levels import Levels
from weight_atlas.shapes import Axis

FEWEST = 3  # levels of a trend
SPAN = 10.0  # numbers that span more are seen on a logarithmic scale
TENFOLD = 5.0  # from this ratio of neighbours on a trend is told per tenfold instead of per doubling


class Trend(NamedTuple):
    """The slope of an outcome over the numbers of an axis.

    row: family, n, mean, low, high, p and q, corrected over the families. words: per what: "each doubling of batch".
    """

    row: Row
    words: str


def is_wide(axis: Axis) -> bool:
    """Whether the numbers of an axis span an order of magnitude, or multiply from one to the next, and none is below 0:
    they are seen on a logarithmic scale."""
    above = np.array([number for number in axis.numbers if number > 0])
    if min(axis.numbers) < 0 or len(above) < 2:
        return False
    ratios = above[1:] / above[:-1]
    multiplied = len(ratios) > 1 and min(ratios) >= 2 and max(ratios) < 1.01 * min(ratios)
    return bool(multiplied or above[-1] > SPAN * above[0])


def positions(axis: Axis) -> dict[str, float]:
    """Where each level stands: at its number, or its decimal logarithm; 0 a step below the least of the others then."""
    if not is_wide(axis):
        return dict(zip(axis.levels, axis.numbers, strict=True))
    above = np.log10([number for number in axis.numbers if number > 0])
    zero = float(above[0] - np.median(np.diff(above)))
    logs = [math.log10(number) if number > 0 else zero for number in axis.numbers]
    return dict(zip(axis.levels, logs, strict=True))


def trends(shown: Levels) -> dict[str, Trend]:
    """{family: the slope over the numbers of its levels, by seed}: per doubling, per tenfold, or per round step.

    Levels that no seed finished do not count, nor does the level 0 of a logarithmic scale; nor do seeds that lack a
    level. A family of fewer than FEWEST levels has none.
    """
    words, places = _scale(shown.axis)
    frame, name = shown.values.frame, shown.axis.name
    rows = []
    for family, own in frame[frame[name].isin(list(places))].groupby("family", sort=False):
        if own[name].nunique() >= FEWEST:
            slopes = grid.slopes(own, name, "value", places.__getitem__)
            rows.append({"family": str(family), **grid.interval(slopes)})
    return {row["family"]: Trend(row, words) for row in grid.corrected(rows) if row["n"]}


def _scale(axis: Axis) -> tuple[str, dict[str, float]]:
    """What a slope is told per, and where each level stands in such steps."""
    numbers = dict(zip(axis.levels, axis.numbers, strict=True))
    if not is_wide(axis):
        step = 10.0 ** math.floor(math.log10(max(axis.numbers) - min(axis.numbers)))
        return f"each {step:g} more of {axis.name}", {level: number / step for level, number in numbers.items()}
    above = np.array([number for number in axis.numbers if number > 0])
    base, words = (10.0, "tenfold") if np.median(above[1:] / above[:-1]) >= TENFOLD else (2.0, "doubling")
    places = {level: math.log(number, base) for level, number in numbers.items() if number > 0}
    return f"each {words} of {axis.name}", places
