"""How many epochs a transfer takes to an accuracy, and how many fewer than the base of the same seed."""

import math
from collections.abc import Iterable, Mapping, Sequence

from weight_atlas import stats
from weight_atlas.analysis.transfer.curves import BASE, Curve, Curves, Row, Run, Runs, named
from weight_atlas.analysis.transfer.drops import MARGIN

REACHED = 0.88  # the accuracy to which the document counts epochs
ROUNDING = 1e-12  # an accuracy that misses another by less reaches it


def reach_rows(curves: Curves, values: Runs, asked: Mapping[str, int]) -> list[Row]:
    """Rows of reach.csv: epochs until the test accuracy of a run is first at an accuracy, and how many fewer than the
    base's of the same seed.

    level "base": the accuracy of the target's base of the same seed at its best validation epoch; "near": MARGIN less;
    "document": REACHED.
    reached of n: a run that never gets there is censored, later than any epoch, in medians and intervals alike: these
    are empty where half of the runs, or a limit of the interval, are. Bases have rows of their own, with mode BASE.
    """
    rows: list[Row] = []
    written = set()
    for curve, depths in curves.transfers.items():
        base_cell = curves.bases[curve]
        if base_cell is None:
            continue
        base = curve._replace(setting=(), base=curve.target, mode=BASE)
        places: list[tuple[Curve, int | None, str]] = [(curve, depth, cell.cell_id) for depth, cell in depths.items()]
        if base not in written:
            written.add(base)
            places.insert(0, (base, None, base_cell))
        for place, depth, cell_id in places:
            runs, bases = values.get(cell_id, {}), values.get(base_cell, {})
            rows += [
                (*named(place), depth, level, least, numbers[0], asked[cell_id], *numbers[1:])
                for level, least, numbers in _levels(runs, bases, saves=depth is not None)
            ]
    return rows


def _levels(runs: Mapping[int, Run], bases: Mapping[int, Run], saves: bool) -> list[tuple[str, float, Row]]:
    """(level, its mean accuracy, (n, reached, median, low, high, saved, its low and high)) of the seeds of both."""
    seeds = sorted(runs.keys() & bases.keys())
    rows = []
    for level in ("base", "near", "document") if seeds else ():
        below = MARGIN if level == "near" else 0.0
        least = [REACHED if level == "document" else bases[seed].accuracy - below for seed in seeds]
        epochs, begun = (
            [first_epoch(side[seed].course, accuracy) for seed, accuracy in zip(seeds, least, strict=True)]
            for side in (runs, bases)
        )
        saved = saving(begun, epochs) if saves else stats.median_interval([])
        numbers = (len(seeds), sum(map(math.isfinite, epochs)), *stats.median_interval(epochs), *saved)
        rows.append((level, math.fsum(least) / len(least), numbers))
    return rows


def first_epoch(course: Iterable[tuple[int, float]], least: float) -> float:
    """The first epoch at which a course [(epoch, accuracy)] is at least so high; infinite where none is."""
    return next((float(epoch) for epoch, accuracy in course if accuracy >= least - ROUNDING), math.inf)


def saving(begun: Sequence[float], epochs: Sequence[float]) -> stats.Median:
    """The median of the epochs saved, begun - epochs; a run that never gets there saves less than any.

    Pairs whose base does not get there either say nothing and are left out.
    """
    saved = [one - other for one, other in zip(begun, epochs, strict=True) if math.isfinite(one)]
    return stats.median_interval(saved)
