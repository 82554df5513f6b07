"""Evidence on two models at their checkpoints: how their weights and biases change, differ and correlate."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.measured import (
    CORRELATION,
    PERCENT,
    POINTS,
    Measured,
    exact,
    measured,
    step,
)
from weight_atlas.reporting.exhibits.checkpoints import checkpoints, invariants, schedules
from weight_atlas.reporting.exhibits.checkpoints.checkpoints import PRELOAD, models
from weight_atlas.reporting.exhibits.checkpoints.correlations import COEFFICIENTS, likeness
from weight_atlas.reporting.exhibits.weights.statistics import MEASURES
from weight_atlas.reporting.grammar.tables import Tables

SMALL = 0.1  # a relative change of this size is small


class Pair(NamedTuple):
    """A start from other weights and one from drawn ones, of one network on one data set."""

    preload: str
    custom: str
    name: str

    @property
    def cells(self) -> frozenset[str]:
        return frozenset({self.preload, self.custom})


def _pairs(tables: Tables) -> list[Pair]:
    """Every pair of models; NothingToShow without any."""
    found = [Pair(one, other, f"{of.network} on {of.dataset}") for one, other, of in schedules.two(tables)]
    if not found:
        raise NothingToShow("no data set and network has both models.")
    return found


def ending(tables: Tables, *, quantity: str = "test_accuracy") -> list[Measured]:
    """A quantity of the last epoch of the preloaded model less that of the other."""
    totals: pd.DataFrame = schedules.totals(tables)
    made = []
    for pair in _pairs(tables):
        one, other = (totals[totals["cell_id"] == cell].set_index("seed")[quantity] for cell in pair[:2])
        words = f"{quantity.replace('_', ' ')} of {pair.name}, from other weights less from drawn ones"
        made.append(measured(words, (one - other).dropna(), POINTS, pair.cells, pair.name, step(tables, pair.cells)))
    return made


def overfit(tables: Tables) -> list[Measured]:
    """How much more accurate each model is on the training images of the last epoch, as its steps saw them, than on
    test: what dropout and changes of the images cost makes it smaller."""
    totals: pd.DataFrame = schedules.totals(tables)
    labels = tables.cells.set_index("cell_id")["label"]
    gaps = totals.assign(gap=totals["train_accuracy"] - totals["test_accuracy"])
    made = []
    for pair in _pairs(tables):
        for cell in pair[:2]:
            by_seed = gaps[gaps["cell_id"] == cell].set_index("seed")["gap"].dropna()
            words = f"{labels[cell]} of {pair.name}: training less test accuracy"
            made.append(measured(words, by_seed, POINTS, pair.cells, pair.name, step(tables, [cell])))
    return made


def _at_checkpoints(tables: Tables) -> pd.DataFrame:
    """statistics.csv of weights and biases at checkpoints, long: cell_id, seed, checkpoint, epoch, layer, parameter,
    statistic (mean, std, range), value."""
    found: pd.DataFrame = checkpoints.at_checkpoints(tables, "statistics")
    found = found[found["parameter"].isin(["weight", "bias"])]
    keys = ["cell_id", "seed", "checkpoint", "epoch", "layer", "parameter"]
    return found.melt(keys, list(MEASURES), "statistic", "value")


def _by_cell(tables: Tables, frame: pd.DataFrame, column: str, words: str) -> list[Measured]:
    """The share of rows for which a column holds, by replicate, a number a cell of a pair."""
    labels = tables.cells.set_index("cell_id")["label"]
    made = []
    for pair in _pairs(tables):
        for cell in pair[:2]:
            own = frame[frame["cell_id"] == cell]
            if len(own):
                by_seed = own.groupby("seed")[column].mean()
                name = f"{labels[cell]} of {pair.name}: {words}"
                made.append(measured(name, by_seed, PERCENT, pair.cells, pair.name, _step(own)))
    if not made:
        raise NothingToShow("no model of a pair has two checkpoints.")
    return made


def _step(rows: pd.DataFrame) -> float:
    """The step of a share of the rows of one replicate."""
    return 1 / max(1, len(rows) // max(1, rows["seed"].nunique()))


def one_way(tables: Tables) -> list[Measured]:
    """The share of series (a layer's weights or biases, and one statistic) whose changes from checkpoint to checkpoint
    have one sign; those that never change are left out."""
    keys = ["cell_id", "seed", "layer", "parameter", "statistic"]
    found = _at_checkpoints(tables).sort_values(["cell_id", "seed", "epoch"], kind="stable")
    steps = np.sign(found.groupby(keys, sort=False)["value"].diff())
    signs = found.assign(up=steps > 0, down=steps < 0).groupby(keys, sort=False)[["up", "down"]].any().reset_index()
    signs = signs[signs["up"] | signs["down"]]
    return _by_cell(tables, signs.assign(one=signs["up"] != signs["down"]), "one", "series that go one way")


def smaller(tables: Tables) -> list[Measured]:
    """The share of statistics (of means the magnitude), layers and checkpoints that are smaller in the model with drawn
    weights, seed by seed."""
    found = _at_checkpoints(tables)
    found = found.assign(value=found["value"].abs())
    keys = ["seed", "checkpoint", "layer", "parameter", "statistic"]
    made = []
    for pair in _pairs(tables):
        one, other = (found[found["cell_id"] == cell] for cell in pair[:2])
        both = one.merge(other, on=keys, suffixes=("", "_custom"))
        both = both[(both["value"] > 0) | (both["value_custom"] > 0)]
        both = both.assign(less=both["value_custom"] < both["value"])
        by_seed = both.groupby("seed")["less"].mean()
        words = f"{pair.name}: comparisons in which drawn weights have the smaller value"
        made.append(measured(words, by_seed, PERCENT, pair.cells, pair.name, _step(both)))
    return made


def calm(tables: Tables) -> list[Measured]:
    """Of a model that starts from other weights, the share of statistics that change by less than a tenth from one
    checkpoint to the next; without the layers that its start draws, in the first interval."""
    found = _changes(tables)
    return _by_cell(tables, found[~found["drawn"]].assign(calm=lambda rows: rows["change"] < SMALL), "calm",
                    f"changes below {SMALL * 100:.0f} %")  # fmt: skip


def restless(tables: Tables) -> list[Measured]:
    """The median relative change of the layers that the start draws, from the first checkpoint to the second."""
    found = _changes(tables)
    found = found[found["drawn"]]
    made = []
    for pair in _pairs(tables):
        by_seed = found[found["cell_id"] == pair.preload].groupby("seed")["change"].median()
        words = f"{pair.name}: median change of the drawn layers in the first interval"
        made.append(measured(words, by_seed, PERCENT, pair.cells, pair.name))
    return made


def _changes(tables: Tables) -> pd.DataFrame:
    """One row a replicate of a model with other weights, parameter, statistic and step to the next checkpoint: change,
    relative to the value before (of a mean: to the standard deviation before), and `drawn`: a layer that the start
    draws, at the first step. Without what was constant before the step."""
    keys = ["cell_id", "seed", "layer", "parameter"]
    long = _at_checkpoints(tables).sort_values(["cell_id", "seed", "epoch"], kind="stable")
    long = long[long["cell_id"].map(models(tables)) == PRELOAD]
    wide = long.pivot_table(index=[*keys, "epoch"], columns="statistic", values="value", sort=False).reset_index()
    groups = wide.groupby(keys, sort=False)
    before, step = groups[list(MEASURES)].shift(), groups.cumcount()
    parts = []
    for statistic in MEASURES:
        size = before["std" if statistic == "mean" else statistic]
        change = (wide[statistic] - before[statistic]).abs() / size.where(size > 0)
        parts.append(wide[keys].assign(statistic=statistic, step=step, change=change))
    found = pd.concat(parts).dropna(subset="change")
    start = invariants.first_statistics(tables)
    fresh = {
        str(cell): set(invariants.fresh(tables, str(cell), own)) for cell, own in start.groupby("cell_id", sort=False)
    }
    of_start = [layer in fresh.get(cell, ()) for cell, layer in zip(found["cell_id"], found["layer"], strict=True)]
    return found.assign(drawn=np.array(of_start, bool) & (found["step"] == 1).to_numpy())


def alike(tables: Tables) -> list[Measured]:
    """The correlation of two models' weights less that of independent runs, by layer and checkpoint."""
    found: pd.DataFrame = likeness(tables, "raw")
    found = found[(found["parameter"] == "weight") & found["mean"].notna() & found["null_mean"].notna()]
    return [_correlation(pair, row, null=True) for pair, row in _of_pairs(tables, found)]


def last_biases(tables: Tables, *, less_chance: bool) -> list[Measured]:
    """The correlation of two models' biases of the last layer at the last checkpoint; less_chance: less that of
    independent runs."""
    return [_correlation(pair, row, null=less_chance) for pair, row in _of_pairs(tables, _last(tables))]


def chance_biases(tables: Tables) -> list[Measured]:
    """The correlation of independent runs' biases of the last layer at the last checkpoint."""
    made = []
    for pair, row in _of_pairs(tables, _last(tables)):
        words = f"{pair.name}: {COEFFICIENTS[row.coefficient]} of independent runs"
        null = _fisher(row.null_n, row.null_low, row.null_high)
        evidence = stats.Evidence(null.n, null.mean, null.error, null.n - 1)
        made.append(Measured(words, evidence, CORRELATION, pair.cells, pair.name))
    return made


def _last(tables: Tables) -> pd.DataFrame:
    """likeness.csv of the biases of the last layer at the last checkpoint."""
    found: pd.DataFrame = likeness(tables, "raw")
    groups = found.groupby("cell_a", sort=False)
    own = found[(found["layer"] == groups["layer"].transform("last")) & (found["parameter"] == "bias")]
    own = own[own["checkpoint"] == own.groupby("cell_a", sort=False)["checkpoint"].transform("last")]
    own = own[own["mean"].notna()]
    if own.empty:
        raise NothingToShow("the biases of the last layer have no defined correlation at the last checkpoint.")
    return own


def _of_pairs(tables: Tables, found: pd.DataFrame) -> Iterator[tuple[Pair, Any]]:
    """(its pair of models, row as a named tuple) of the rows of likeness.csv that compare a pair.

    NothingToShow where a replicate of a pair never learnt: the table averages over all.
    """
    known = {pair.cells: pair for pair in _pairs(tables)}
    runs = tables.table("runs")
    never = set(runs.loc[runs["learnt"].eq(False).fillna(False), "cell_id"])
    for both, own in known.items():
        if both & never:
            raise NothingToShow(f"a replicate of {own.name} never learnt, and likeness.csv averages over all.")
    row: Any
    for row in found.itertuples():
        pair = known.get(frozenset({row.cell_a, row.cell_b}))
        if pair is not None:
            yield pair, row


def _correlation(pair: Pair, row: Any, null: bool) -> Measured:
    """A row of likeness.csv on Fisher's scale: its mean, or what it is more than that of independent runs."""
    own = _fisher(row.n, row.low, row.high)
    of_null = _fisher(row.null_n, row.null_low, row.null_high) if null else None
    evidence = stats.independent(own, of_null) if of_null else stats.Evidence(own.n, own.mean, own.error, own.n - 1)
    beside = " less that of independent runs" if null else ""
    words = f"{pair.name}: {COEFFICIENTS[row.coefficient]} of {row.layer}, {row.checkpoint}{beside}"
    return Measured(words, evidence, CORRELATION, pair.cells, pair.name)


def _fisher(n: float, low: float, high: float) -> stats.MeanError:
    """The mean of Fisher's z with its error, from the interval of its correlation."""
    ends = np.arctanh(np.clip([low, high], -1 + 1e-15, 1 - 1e-15))
    if n < 2:
        return stats.MeanError(int(n), float(ends.mean()), float("nan"))
    return stats.MeanError(int(n), float(ends.mean()), float(np.ptp(ends)) / 2 / stats.t_quantile(0.975, n - 1))


def undefined(tables: Tables) -> list[Measured]:
    """Whether the correlations that are undefined before training are those of biases and of batch normalisation."""
    found: pd.DataFrame = likeness(tables, "raw")
    start: pd.DataFrame = invariants.first_statistics(tables)
    first = found[found["checkpoint"] == found.groupby("cell_a", sort=False)["checkpoint"].transform("first")]
    norms = set(start.loc[start["parameter"] == "running_mean", "layer"])
    made = []
    for pair in _pairs(tables):
        own = first[first["cell_a"].isin(pair.cells) & first["cell_b"].isin(pair.cells)]
        own = own[own["cell_a"].isin(start["cell_id"])]
        if own.empty:
            continue
        expected = (own["parameter"] == "bias") | own["layer"].isin(norms)
        there = own["n"] == 0
        wrong = own[there != expected]
        places = ", ".join(dict.fromkeys(wrong["layer"] + "." + wrong["parameter"]))
        words = f"{pair.name}: {int(there.sum())} of {len(own)} correlations are undefined before training"
        words += f"; otherwise than said: {places}" if places else ", those of biases and batch normalisation alone"
        made.append(exact(words, wrong.empty, pair.cells, pair.name))
    if not made:
        raise NothingToShow("no two models that differ in their start have a checkpoint before training.")
    return made


EVIDENCE: Mapping[str, Any] = {
    "ending": ending,
    "overfit": overfit,
    "one-way": one_way,
    "smaller": smaller,
    "calm": calm,
    "restless": restless,
    "alike": alike,
    "last-biases": last_biases,
    "chance-biases": chance_biases,
    "undefined": undefined,
}
