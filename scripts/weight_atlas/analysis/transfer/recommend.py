"""How many layers of a base to copy for a target: the deepest n that costs no more than a margin, and how sure that is.

The test is one half of that for equivalence: accuracy must not be lower by more than the margin; that a transfer is
better is no reason against it.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from weight_atlas import networks, stats
from weight_atlas.analysis.transfer.curves import Cells, Curve, Curves, Row, Runs, accuracies, named
from weight_atlas.analysis.transfer.drops import parts
from weight_atlas.plan.spec import Thresholds
from weight_atlas.settings import Settings

EARLY = 0.1  # the share of the epochs that a search on a small budget would train
RESAMPLES = 500


class Choice(NamedTuple):
    """What the drops of a curve recommend.

    depth: the deepest n whose drop is shown to be below the margin; possible: the deepest whose drop is not shown to be
    above it. None where there is no such n.
    """

    depth: int | None
    possible: int | None

    @property
    def verdict(self) -> str:
        if self.depth is not None:
            return "recommended"
        return "none" if self.possible is None else "undecided"


def choice(drops: Mapping[int, stats.Equivalence], margin: float) -> Choice:
    """The Choice of {n: the test of the drop D(n)}, by its 90 % intervals: two one-sided tests at 5 %."""
    safe = [depth for depth, drop in drops.items() if drop.high90 < margin]
    possible = [depth for depth, drop in drops.items() if not drop.low90 > margin]
    return Choice(max(safe, default=None), max(possible, default=None))


def recommendation_rows(
    cells: Cells,
    curves: Curves,
    values: Runs,
    metrics: pd.DataFrame,
    asked: Mapping[str, int],
    thresholds: Mapping[str, Thresholds],
) -> list[Row]:
    """Rows of recommendations.csv: a transfer from another task each, by its D at every depth from 1.

    Of the settings of one base, target and mode, the one that goes
    deepest is chosen, of equally deep ones that of the smallest drop.
    """
    early = _early(cells, values, metrics)
    rows: list[tuple[Curve, Row]] = []
    best: dict[Curve, tuple[int, float]] = {}
    for curve, depths in curves.transfers.items():
        if curve.base == curve.target or curve.mode == "random" or curves.bases[curve] is None:
            continue
        drops = _drops(curve, curves, values)
        if not drops:
            continue
        asks = thresholds.get(curve.study, Thresholds())
        found, soon = choice(drops, asks.margin), choice(_drops(curve, curves, early), asks.margin)
        depth = found.depth or found.possible or min(drops)
        drop, settings = drops[depth], cells[depths[depth].cell_id]["cell"]
        rank = found.depth or 0, -drop.mean
        best[_apart(curve)] = max(best.get(_apart(curve), rank), rank)
        row = (
            *(*named(curve), found.verdict, found.depth, found.possible, max(drops), asks.margin, asks.origin, depth),
            *(settings.stages[0].lr, drop.n, asked[depths[depth].cell_id], drop.mean, drop.low, drop.high),
            *(drop.low90, drop.high90, _share(curve, curves, values, found, asks.margin)),
            *(*trained(settings, depth, curve.mode), early_epochs(settings), soon.verdict, soon.depth, rank),
        )
        rows.append((curve, row))
    return [(*row[:-1], row[-1] == best[_apart(curve)]) for curve, row in rows]


def _apart(curve: Curve) -> Curve:
    """A curve without its setting: those that are alternatives share it."""
    return curve._replace(setting=())


def _drops(curve: Curve, curves: Curves, values: Runs) -> dict[int, stats.Equivalence]:
    """{n: the test of D(n)} of a curve, from n = 1, as far as replicates of it and of the base have finished."""
    found = {depth: parts(curve, depth, curves, values) for depth in curves.transfers[curve] if depth >= 1}
    return {depth: own["D"] for depth, own in found.items() if "D" in own}


def trained(settings: Settings, depth: int, mode: str) -> tuple[int, int]:
    """The number of parameters of a cell's network, and of those that learn where n layers are copied."""
    table = networks.layer_table(*settings.network_arguments)
    frozen = 0 if mode == "tuned" else sum(table[name].parameter_count for name in table.select(depth))
    return table.parameter_count, table.parameter_count - frozen


def early_epochs(settings: Settings) -> int:
    """A tenth of a cell's epochs, at least one."""
    return max(1, math.ceil(EARLY * settings.epochs))


def _early(cells: Cells, values: Runs, metrics: pd.DataFrame) -> Runs:
    """The same replicates as if a tenth of the epochs had been all: at the best validation epoch of these."""
    first = metrics[metrics["epoch"] >= 1].sort_values("epoch")
    epochs = first["cell_id"].map({cell_id: early_epochs(cell["cell"]) for cell_id, cell in cells.items()})
    first = first[(first["epoch"] <= epochs) & first["valid_accuracy"].notna()]
    best = first.loc[first.groupby(["cell_id", "seed"])["valid_accuracy"].idxmax()]
    reached = best.set_index(["cell_id", "seed"])["test_accuracy"].to_dict()
    return {
        cell_id: {
            seed: run._replace(accuracy=float(reached.get((cell_id, seed), math.nan))) for seed, run in runs.items()
        }
        for cell_id, runs in values.items()
    }


def _share(curve: Curve, curves: Curves, values: Runs, found: Choice, margin: float) -> float:
    """In how many of the resamples of replicates the same n is recommended; NaN of fewer than stats.FEWEST.

    A resample takes the same seeds of the base and of every depth, since seeds share streams.
    """
    columns = [accuracies(values, curves.bases[curve])]
    depths = [depth for depth in curves.transfers[curve] if depth >= 1]
    columns += [accuracies(values, curves.transfers[curve][depth].cell_id) for depth in depths]
    seeds = sorted(set.intersection(*map(set, columns)))
    if len(seeds) < stats.FEWEST:
        return math.nan
    table = np.array([[column[seed] for column in columns] for seed in seeds])
    same = 0
    for drawn in table[stats.resampled(len(seeds), RESAMPLES)]:
        base, *copied = map(stats.mean_error, drawn.T)
        tests = [stats.independent_equivalence(base, own, margin) for own in copied]
        same += choice(dict(zip(depths, tests, strict=True)), margin).depth == found.depth
    return same / RESAMPLES
