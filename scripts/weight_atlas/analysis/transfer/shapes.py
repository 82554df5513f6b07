"""The shape of a curve over the number n of copied layers: its slope, and where it bends."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from weight_atlas import stats
from weight_atlas.analysis.transfer.curves import Curve, Curves, Row, Runs, accuracies, named

DEPTHS = 7  # depths that a fit of two breakpoints needs: six parameters, and one more


class Stretch(NamedTuple):
    """A part of a curve: its depths, the seeds that have all of them, and the values [seeds, depths] float64."""

    depths: list[int]
    seeds: list[int]
    values: NDArray[np.float64]


def stretch(
    curve: Curve, curves: Curves, values: Runs, quantity: str = "accuracy", first: int = 0, last: int | None = None
) -> Stretch:
    """A curve from depth `first` to `last` (its deepest).

    Seeds that lack a depth are left out. Where n = 0 was not trained, the target's base stands for it: it is the same
    training without a copied layer.
    """
    cells = {depth: cell.cell_id for depth, cell in curves.transfers[curve].items()}
    base = curves.bases[curve]
    if base is not None:
        cells.setdefault(0, base)
    depths = [depth for depth in sorted(cells) if depth >= first and (last is None or depth <= last)]
    columns = [accuracies(values, cells[depth], quantity) for depth in depths]
    seeds = sorted(set.intersection(*map(set, columns))) if columns else []
    table = np.array([[column[seed] for column in columns] for seed in seeds], float)
    return Stretch(depths, seeds, table.reshape(len(seeds), len(columns)))


def trend_rows(curves: Curves, values: Runs) -> list[Row]:
    """Rows of trends.csv: the slope over n by seed, its mean, 95 % interval and the p of Student's t-test against 0.

    Of accuracy and train_accuracy, over all depths, over those from 1, and over those from 1 without the last two; a
    stretch of fewer than 3 depths has none.
    """
    rows: list[Row] = []
    for curve, cells in curves.transfers.items():
        deepest = max(cells)
        for name, quantity in (("accuracy", "accuracy"), ("train_accuracy", "train")):
            for first, last in ((0, deepest), (1, deepest), (1, deepest - 2)):
                depths, seeds, table = stretch(curve, curves, values, quantity, first, last)
                if len(depths) >= 3 and seeds:
                    slope = stats.slope_trend(depths, table)
                    numbers = (slope.n, slope.mean, slope.low, slope.high, slope.p)
                    rows.append((*named(curve), name, depths[0], depths[-1], *numbers))
    return rows


def breakpoint_rows(curves: Curves, values: Runs) -> list[Row]:
    """Rows of breakpoints.csv: of the curves with at least DEPTHS depths."""
    rows: list[Row] = []
    for curve in curves.transfers:
        depths, seeds, table = stretch(curve, curves, values)
        if len(depths) >= DEPTHS and seeds:
            # Few seeds have an interval too, although it is too narrow.
            rows.append((*named(curve), len(depths), len(seeds), *stats.breakpoints(depths, table, fewest=2)))
    return rows
