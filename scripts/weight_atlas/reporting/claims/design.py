"""Evidence from experiments: levels, their differences, trends, effects; one value per seed, paired by seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.measured import PERCENT, POINTS, Measured, Unit, less, measured, on_new_images, step
from weight_atlas.reporting.exhibits.design import grid, outcomes, staged
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.shapes import Axis, Experiment

Levels = str | Sequence[str]


def values(tables: Tables, name: str, of: str) -> tuple[Experiment, pd.DataFrame]:
    """An experiment, and its values of an outcome: a row a finished replicate, or a cell that has none.

    Returns
    -------
    Experiment
    DataFrame
        cell_id, seed, a column per axis and family, value; the last is NaN where a cell has no value, since a scope is
        about all cells that are asked for.

    Raises
    ------
    NothingToShow
        Where the study has no such experiment, no replicate has a value, or the experiment is asked of several networks
        or data sets, which no number pools.
    """
    experiment = tables.experiment(name)
    frame = outcomes.values(tables, experiment, of).frame[["cell_id", "seed", "value"]]
    asked = grid.cells_of(tables, experiment).cells[["cell_id", *grid.columns(experiment)]]
    for axis in experiment.families:
        if asked[axis].nunique() > 1:
            several = " and ".join(dict.fromkeys(asked[axis]))
            raise NothingToShow(f"{several} are not pooled in one number; ask about each in an experiment of its own.")
    return experiment, asked.merge(frame, on="cell_id", how="left")


def unit(of: str) -> Unit:
    """How the difference of an outcome is written."""
    return POINTS if outcomes.outcome(of).scale == 100 else level_unit(of)._replace(has_sign=True)


def level_unit(of: str) -> Unit:
    """How an outcome itself is written."""
    told = outcomes.outcome(of)
    return PERCENT if told.scale == 100 else Unit(f" {told.unit}" if told.unit else "", 1, 3)


def mean(
    tables: Tables, *, experiment: str = "", level: str = "", axis: str = "", of: str = "accuracy"
) -> list[Measured]:
    """The outcome of one level of an experiment, or of the one cell that it has."""
    found, frame = values(tables, experiment, of)
    own = _at(frame, _axis(found, axis), level) if level else frame
    words = f"{outcomes.outcome(of).words}{f' of {level}' if level else ''}"
    made = measured(words, _by_seed(own), level_unit(of), own["cell_id"], resolution=_step(tables, own, of))
    return [replace(made, new=_new(tables, of, own))]


def difference(
    tables: Tables,
    *,
    experiment: str = "",
    level: Levels,
    against: Levels = (),
    axis: str = "",
    of: str = "accuracy",
    averaged: bool = False,
) -> list[Measured]:
    """How much more each level has than each of those that it is set against, over the other axes' mean.

    against: of a path by default the level before. averaged: whether the levels are averaged first.
    """
    found, frame = values(tables, experiment, of)
    over = _axis(found, axis)
    others = _list(against)
    made = []
    for name in [_list(level)] if averaged else [[one] for one in _list(level)]:
        for other in others or [over.after.get(name[0], over.reference)]:
            first, second = _at(frame, over, *name), _at(frame, over, other)
            words = f"{' and '.join(name) if len(name) < 3 else f'mean of {len(name)} levels'} less {other}"
            beside = [one.name for one in found.axes if one.name != over.name]
            made.append(_difference(tables, f"{_what(of)}{words}", first, second, of, beside))
    return made


def _what(of: str) -> str:
    """The outcome in front of what is compared, where it is not the accuracy."""
    return "" if of == "accuracy" else f"{outcomes.outcome(of).words} of "


def others(tables: Tables, *, experiment: str = "", against: str, without: Levels = (), axis: str = "",
           of: str = "accuracy") -> list[Measured]:  # fmt: skip
    """The mean of all levels but some less one that they are set against."""
    found = tables.experiment(experiment)
    levels = [level for level in _axis(found, axis).levels if level not in {against, *_list(without)}]
    return difference(tables, experiment=experiment, level=levels, against=against, axis=axis, of=of, averaged=True)


def experiments(tables: Tables, *, experiment: str, against: str, of: str = "accuracy") -> list[Measured]:
    """How much more the cells of one experiment have than those of another."""
    first, second = (values(tables, name, of)[1] for name in (experiment, against))
    return [_difference(tables, f"{experiment} less {against}", first, second, of)]


def _difference(
    tables: Tables, words: str, first: pd.DataFrame, second: pd.DataFrame, of: str, beside: Sequence[str] = ()
) -> Measured:
    """The difference of two sides by seed, as `less` takes it."""
    both = pd.concat([first, second])
    by_seed = less(first, second, "value", beside)
    made = measured(words, by_seed, unit(of), both["cell_id"], resolution=_step(tables, both, of))
    return replace(made, new=_new(tables, of, first, second, beside))


def _new(
    tables: Tables, of: str, first: pd.DataFrame, second: pd.DataFrame | None = None, beside: Sequence[str] = ()
) -> stats.Evidence | None:
    """The same over new images, of test accuracies."""
    if of != "accuracy":
        return None
    other = None if second is None else second.dropna(subset="value")
    return on_new_images(tables, first.dropna(subset="value"), other, beside)


def _step(tables: Tables, frame: pd.DataFrame, of: str) -> float:
    """The step of an outcome that is a share of images; 0 of any other."""
    if outcomes.outcome(of).scale != 100 or of == "unchanged":
        return 0.0
    return step(tables, frame["cell_id"], "valid" if of == "valid_accuracy" else "test")


def _by_seed(frame: pd.DataFrame) -> "pd.Series[float]":
    means: pd.Series[float] = frame.groupby("seed")["value"].mean()
    return means


def trend(
    tables: Tables, *, experiment: str = "", axis: str = "", of: str = "accuracy", scale: str = "linear"
) -> list[Measured]:
    """How much an outcome changes from an axis' lowest number to its highest, along a straight line fitted by seed (and
    by the levels of other axes, over which it is averaged).

    scale: "log" for the logarithm of the numbers.
    """
    found, frame = values(tables, experiment, of)
    over = _numeric(found, axis)
    place: Callable[[float], float] = np.log10 if scale == "log" else float
    places = {level: place(at) for level, at in zip(over.levels, over.numbers, strict=True)}
    rows = frame.dropna(subset="value").assign(place=frame[over.name].map(places))
    beside = [one.name for one in found.axes if one.name != over.name]
    table = rows.groupby(["seed", *beside, "place"])["value"].mean().unstack().dropna()
    if table.shape[1] < 3:
        raise NothingToShow(f"{over.name} has fewer than three levels that have finished in one seed.")
    at = table.columns.to_numpy(float)
    rise = pd.Series(stats.slopes(at, table.to_numpy()) * np.ptp(at), index=table.index).groupby("seed").mean()
    ends = sorted(places, key=places.__getitem__)
    words = f"{_what(of)}{over.name} {ends[-1]} less {ends[0]}, along a fitted line"
    return [measured(words, rise, unit(of), frame["cell_id"], resolution=_step(tables, frame, of))]


def best(
    tables: Tables, *, experiment: str = "", number: float, axis: str = "", of: str = "accuracy"
) -> list[Measured]:
    """How much more the level that sets a number has than each other level with a value.

    Levels without one are no rivals; the numbers name their cells too, so that the scope is about them as well.
    """
    found, frame = values(tables, experiment, of)
    over = _numeric(found, axis)
    said = [level for level, at in zip(over.levels, over.numbers, strict=True) if np.isclose(at, number, rtol=1e-6)]
    there = set(frame.loc[frame["value"].notna(), over.name])
    if not said or said[0] not in there:
        raise NothingToShow(f"no replicate with {over.name} {number:g} has finished and learnt.")
    rest = [level for level in over.levels if level in there and level != said[0]]
    if not rest:
        raise NothingToShow(f"no other {over.name} has a replicate that finished and learnt.")
    made = difference(tables, experiment=experiment, level=said[0], against=rest, axis=over.name, of=of)
    gone = frozenset(frame.loc[~frame[over.name].isin(there), "cell_id"])
    return [replace(one, cells=one.cells | gone) for one in made]


def effect(tables: Tables, *, experiment: str = "", axis: str, of: str = "accuracy") -> list[Measured]:
    """How much larger the main effect of an axis is than that of each other axis of a factorial, by seed.

    The size is the standard deviation over the levels: the root of the variance of the levels' means, from which what
    the spread within levels adds is taken off.
    """
    found, frame = values(tables, experiment, of)
    own, axes = _axis(found, axis).name, [one.name for one in found.axes]
    whole = len(frame.drop_duplicates(axes))
    sizes = pd.DataFrame(
        [
            stats.main_spreads(rows["value"], {name: rows[name].tolist() for name in axes})
            for _, rows in frame.dropna(subset="value").groupby("seed")
            if len(rows) == whole
        ],
        columns=axes,
        dtype=float,
    )
    words = "spread between the levels of {} less that of {}"
    return [
        measured(words.format(own, name), (sizes[own] - sizes[name]).dropna(), unit(of), frame["cell_id"])
        for name in axes
        if name != own
    ]


def corner(
    tables: Tables, *, experiment: str = "", axis: str, levels: Levels, other: str, larger: Levels, of: str = "accuracy"
) -> list[Measured]:
    """How much more one corner of a grid has than the other three: some levels of an axis with some of another."""
    found, frame = values(tables, experiment, of)
    first, second = frame[axis].isin(_list(levels)), frame[other].isin(_list(larger))
    here = f"{axis} {' or '.join(_list(levels))} with {other} {' or '.join(_list(larger))}"
    if not (first & second & frame["value"].notna()).any():
        raise NothingToShow(f"no replicate with {here} has finished and learnt.")
    rest = {
        f"the same with other {other}": frame[first & ~second],
        f"other {axis} with the same {other}": frame[~first & second],
        "both otherwise": frame[~first & ~second],
    }
    return [
        _difference(tables, f"{_what(of)}{here} less {words}", frame[first & second], side, of)
        for words, side in rest.items()
        if len(side)
    ]


def unfrozen(tables: Tables, *, experiment: str = "") -> list[Measured]:
    """What validation accuracy gains in the first epoch after all layers begin to learn."""
    found = grid.part(tables, experiment)
    jumps = staged.unfrozen(found)
    first = jumps[jumps["stage"] == 1]
    if first.empty:
        raise NothingToShow("no run has reached a second stage.")
    words = "validation accuracy in the first epoch after unfreezing less the epoch before"
    return [measured(words, first.groupby("seed")["valid_jump"].mean(), POINTS, found.cells["cell_id"])]


def turns(tables: Tables, *, experiment: str = "", level: str, axis: str = "", of: str = "test_loss") -> list[Measured]:
    """The share of a run's epochs, the first and the last apart, at which a column of metrics.csv turns from falling to
    rising or back. A smooth curve has next to none, values in random order two thirds (Kendall 1973, Time-Series,
    chapter 2)."""
    found = tables.experiment(experiment)
    cells, over = grid.cells_of(tables, found), _axis(found, axis).name
    own = cells.cells.loc[cells.cells[over] == level, "cell_id"]
    metrics = cells.done("metrics").sort_values(["cell_id", "seed", "epoch"])
    rows = metrics[metrics["cell_id"].isin(own) & (metrics["epoch"] >= 1)]
    shares = rows.groupby(["cell_id", "seed"])[of].agg(_turning).dropna().groupby("seed").mean()
    if shares.empty:
        raise NothingToShow(f"no replicate with {over} {level} has finished three epochs.")
    epochs = int(rows.groupby(["cell_id", "seed"])["epoch"].nunique().min())
    words = f"epochs at which the {of.replace('_', ' ')} of {level} turns"
    return [measured(words, shares, PERCENT, own, resolution=1 / (epochs - 2))]


def _turning(values: "pd.Series[float]") -> float:
    """The share of the values, the first and the last apart, that are below both beside them, or above both."""
    signs = np.sign(np.diff(values.to_numpy(float)))
    return float((signs[:-1] * signs[1:] < 0).mean()) if len(signs) > 1 else np.nan


def _axis(experiment: Experiment, name: str) -> Axis:
    """An axis of an experiment; its only one where none is named."""
    if not name and len(experiment.axes) != 1:
        raise NothingToShow(f"the experiment {experiment.name} has {len(experiment.axes)} axes; one must be named.")
    try:
        return experiment.axis(name) if name else experiment.axes[0]
    except KeyError:
        raise NothingToShow(f"the experiment {experiment.name} has no axis {name}.") from None


def _numeric(experiment: Experiment, name: str) -> Axis:
    """As `_axis`, whose levels must be numbers."""
    axis = _axis(experiment, name)
    if not axis.is_numeric:
        raise NothingToShow(f"the levels of {axis.name} are no numbers.")
    return axis


def _at(frame: pd.DataFrame, axis: Axis, *levels: str) -> pd.DataFrame:
    """The rows of some levels; NothingToShow for the first that has none."""
    for level in levels:
        if not (frame.loc[frame["value"].notna(), axis.name] == level).any():
            raise NothingToShow(f"no replicate with {axis.name} {level} has finished and learnt.")
    return frame[frame[axis.name].isin(levels)]


def _list(names: Levels) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


EVIDENCE: Mapping[str, Any] = {
    "mean": mean,
    "difference": difference,
    "others": others,
    "experiments": experiments,
    "trend": trend,
    "best": best,
    "effect": effect,
    "corner": corner,
    "unfrozen": unfrozen,
    "turns": turns,
}
