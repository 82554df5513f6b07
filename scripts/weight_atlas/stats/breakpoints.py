"""Segmented regression: where a curve bends, as a continuous function of three straight pieces."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weight_atlas.stats.bootstrap import FEWEST, RESAMPLES, bootstrap_interval
from weight_atlas.stats.estimates import ROUNDING

STEP = 0.25  # of the grid of breakpoints


class Pieces(NamedTuple):
    """Pairs of breakpoints [k, 2], and the residual maker [k, D, D] of the fit with each."""

    pairs: NDArray[np.float64]
    makers: NDArray[np.float64]


class Breakpoints(NamedTuple):
    """Two breakpoints with their 95 % intervals, and the root mean square of what the fit leaves."""

    first: float
    first_low: float
    first_high: float
    second: float
    second_low: float
    second_high: float
    residual: float


def pieces(places: ArrayLike, step: float = STEP) -> Pieces:
    """Every continuous function of three straight pieces over D `places`, in their order.

    Breakpoints lie on a grid between the second and the last place but one, at least 1 apart. With X = [1, n,
    max(n - a, 0), max(n - b, 0)] the residual maker is I - X X^+, so that its product with the values is what the
    least-squares fit leaves.
    """
    n = np.asarray(places, float)
    grid = np.arange(n[1], n[-2] + step / 2, step)
    pairs = np.array([(a, b) for a, b in combinations(grid, 2) if b - a >= 1])
    makers = []
    for a, b in pairs:
        design = np.stack([np.ones_like(n), n, np.maximum(n - a, 0), np.maximum(n - b, 0)], axis=1)
        makers.append(np.eye(len(n)) - design @ np.linalg.pinv(design))
    return Pieces(pairs, np.array(makers))


def breakpoints(
    places: ArrayLike,
    values: NDArray[np.float64],
    resamples: int = RESAMPLES,
    seed: int = 0,
    fewest: int = FEWEST,
) -> Breakpoints:
    """Where the mean of some curves bends: the best fit of `pieces`, with intervals over resamples of the curves.

    Of equal fits the one with the earliest breakpoints counts.

    Parameters
    ----------
    places : [D], in their order. values : [curves, D], one curve per seed.
    resamples, seed, fewest : as `bootstrap_interval` takes them.
    """
    pairs, makers = pieces(places)

    def bends(draws: NDArray[np.float64]) -> NDArray[np.float64]:
        chosen: NDArray[np.float64] = pairs[_best(makers, draws.mean(axis=1))]
        return chosen

    mean = values.mean(axis=0)
    best = int(_best(makers, mean[None])[0])
    (first, second), (low, high) = pairs[best], bootstrap_interval(values, bends, resamples, seed, fewest)
    residual = np.sqrt(((mean[None] @ makers[best]) ** 2).mean(axis=1))[0]
    return Breakpoints(*map(float, (first, low[0], high[0], second, low[1], high[1], residual)))


def _best(makers: NDArray[np.float64], curves: NDArray[np.float64]) -> NDArray[np.intp]:
    """The place of the best fit for each curve [m, D]: [m]."""
    errors = np.stack([((curves @ maker) ** 2).mean(axis=1) for maker in makers], axis=1)
    # Equal but for rounding is equal, so that the first of them is taken on every machine.
    least = errors.min(axis=1, keepdims=True)
    chosen: NDArray[np.intp] = (errors <= least + ROUNDING * (curves**2).mean(axis=1, keepdims=True)).argmax(axis=1)
    return chosen
