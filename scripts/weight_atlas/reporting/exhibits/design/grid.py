"""One experiment of a study: its levels, what each replicate reached, and differences paired by seed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import PROTOCOLS
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.answers import MARGIN, Verdict, seeds_needed, settle
from weight_atlas.reporting.grammar.tables import Tables, as_row, last
from weight_atlas.reporting.grammar.words import points, slug
from weight_atlas.shapes import Experiment
from weight_atlas.stats import MeanTest
from weight_atlas.vocabulary import Kind

Row = dict[str, Any]

LEVEL = 0.05  # of a test, after correction


def cells_of(tables: Tables, experiment: Experiment) -> Tables:
    """The Tables of the cells of an experiment's grid, each cell once, without replicates that chose a learning rate.

    Raises
    ------
    NothingToShow
        Where the study has none of them.
    """
    if "experiment" in tables.cells:
        found: Tables = tables.part(experiment=experiment.name).compared(experiment.name)
    elif not experiment.name:
        found = tables.part().compared(experiment.name)
    else:
        raise NothingToShow(f"study {tables.study} has no experiment {experiment.name}.")
    trained = found.cells["kind"] != Kind.GIVEN
    return found if trained.all() or not trained.any() else found.part(kind=Kind.BASE)


def columns(experiment: Experiment) -> list[str]:
    """The columns of cells.csv in which the cells of an experiment differ: its axes and its families."""
    return [*(axis.name for axis in experiment.axes), *experiment.families]


def part(tables: Tables, experiment: str, *axes: str) -> Tables:
    """The Tables of one experiment, each of whose cells has a level on each of the axes.

    Raises NothingToShow where the config asks for none of it, or for no level of one of the axes.
    """
    try:
        found: Tables = tables.part(experiment=experiment)
    except NothingToShow:
        raise NothingToShow(f"the config asks for no experiment {experiment}.") from None
    for axis in axes:
        if axis not in found.cells or not all(found.cells[axis]):
            raise NothingToShow(f"the cells of the experiment {experiment} have no axis {axis}.")
    first = found.values("dataset")[0]
    if len(found.values("dataset")) > 1:
        told = f"The experiment {experiment} is told of {first} alone, the first of its data sets."
        tables.left_out += [told] if told not in tables.left_out else []
        found = found.part(dataset=first)
    if axes and found.cells.duplicated([*axes]).any():
        differ = " and ".join(axis for axis in found.axes if axis not in axes)
        raise NothingToShow(f"cells of the experiment {experiment} differ in {differ} too.")
    return found


def levels(found: Tables, axis: str) -> list[str]:
    """The levels of an axis: ascending where all are numbers, else in the config's order."""
    own: list[str] = found.values(axis)
    try:
        return sorted(own, key=float)
    except ValueError:
        return own


def reached(found: Tables) -> pd.DataFrame:
    """One row a finished replicate: the labels of its cell, seed, the protocols of accuracy; of the last epoch
    train_accuracy, test_accuracy, train_loss, test_loss and epoch, and gap, training less test accuracy; and
    valid_accuracy, the best of any epoch from 1."""
    accuracy = found.done("accuracy").pivot(index=["cell_id", "seed"], columns="protocol", values="accuracy")
    metrics = found.done("metrics")
    metrics = metrics[metrics["epoch"] >= 1]
    ends = last(metrics).set_index(["cell_id", "seed"])
    rows = accuracy.reindex(columns=[*PROTOCOLS]).join(
        ends[["epoch", "train_accuracy", "test_accuracy", "train_loss", "test_loss"]]
    )
    rows["valid_accuracy"] = metrics.groupby(["cell_id", "seed"])["valid_accuracy"].max()
    rows["gap"] = rows["train_accuracy"] - rows["test_accuracy"]
    known = ["label", "tint", "panel", "study", "kind", "role", "cell"]
    labels: pd.DataFrame = found.cells.drop(columns=known)
    return labels.merge(rows.reset_index(), on="cell_id")


def means(found: Tables, column: str, axes: Sequence[str], rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """Mean of a column of `reached` by cell: cell_id, *axes, n, of, mean, low, high; cells without a finished replicate
    have n = 0."""
    rows = reached(found) if rows is None else rows
    own = stats.summarise(rows, ["cell_id"], column)
    named: pd.DataFrame = found.cells[["cell_id", *axes, "replicates"]].rename(columns={"replicates": "of"})
    return named.merge(own, on="cell_id", how="left").fillna({"n": 0}).astype({"n": int})


def paired(one: pd.DataFrame, other: pd.DataFrame, column: str) -> Row:
    """What `other` has more than `one` (rows of `reached`), each averaged by seed first: a dict with n, mean, low, high
    (95 %, Student's t over the seeds that both have) and p."""
    return tested(stats.blocked_difference(*(rows.set_index("seed")[column] for rows in (one, other))))


def interval(values: Iterable[float]) -> Row:
    """The mean of values, one per seed, as `tested` gives it; undefined values do not count."""
    return tested(stats.mean_test(pd.Series(values, dtype=float).dropna()))


def tested(test: MeanTest) -> Row:
    """A stats.MeanTest as a dict with n, mean, low, high and p; values that are all equal have no p."""
    return {**as_row(test), "p": test.p if np.isfinite(test.t) else np.nan}


def corrected(rows: Sequence[Row]) -> list[Row]:
    """A list of dicts with p, each with q: p corrected for all of them (Benjamini and Hochberg 1995)."""
    found = stats.benjamini_hochberg([row["p"] for row in rows])
    return [row | {"q": q} for row, q in zip(rows, found, strict=True)]


def slopes(rows: pd.DataFrame, axis: str, column: str, place: Callable[[str], float] = float) -> "pd.Series[float]":
    """seed -> slope of a column of `reached` over place(level) of an axis, the other axes averaged first: a Series."""
    means_ = rows.assign(place=rows[axis].map(place)).groupby(["seed", "place"])[column].mean().unstack().dropna()
    if means_.shape[1] < 2:
        return pd.Series(dtype=float)
    return pd.Series(stats.slopes(means_.columns, means_.to_numpy()), index=means_.index)


def plain(rate: float) -> str:
    """A learning rate as it is written by hand: 0.00001 -> "0.00001"."""
    return f"{rate:.10f}".rstrip("0").rstrip(".")


def amount(row: Mapping[str, Any], digits: int = 1, unit: str = " points") -> str:
    """ "+1.2 points [0.8, 1.6]" of a difference of shares (a dict with mean, low, high), cut at -100 and 100; "no
    interval" where there is one seed."""
    if not row["n"]:
        return "no pair of seeds"
    text = f"{points(row['mean'], digits)}{unit}"
    if not np.isfinite(row["low"]):
        return f"{text} ({'one seed' if row['n'] == 1 else 'all seeds equal'}, no interval)"
    cut = (min(max(row[name], -1), 1) * 100 for name in ("low", "high"))
    low, high = (f"{end:.{digits}f}".replace("-", "−") for end in cut)
    return f"{text} [{low}, {high}]"


def share(row: Mapping[str, Any], digits: int = 1) -> str:
    """ "79.5 % [78.9, 80.1]" of a dict with n, mean, low, high, cut at 0 and 100; "none finished" where n is 0."""
    if not row["n"]:
        return "none finished"
    if not np.isfinite(row["low"]):
        return f"{style.percent(row['mean'], digits)}"
    low, high = (f"{min(max(row[name], 0), 1) * 100:.{digits}f}" for name in ("low", "high"))
    return f"{style.percent(row['mean'], digits)} [{low}, {high}]"


def seeds(rows: Iterable[Mapping[Any, Any]]) -> str:
    """ "n = 3", or "n = 2 to 3", of rows (dicts) with n, those of 0 left out; "no finished replicate" without any."""
    counts = sorted({int(row["n"]) for row in rows if row["n"]})
    if not counts:
        return "no finished replicate"
    return f"n = {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))}"


def certainty(rows: Sequence[Row], verdict: Verdict, margin: float = MARGIN) -> tuple[str, str]:
    """How sure a verdict on differences (with n, mean, low, high and q) is, and what would decide it."""
    if verdict == Verdict.NO:
        return f"the 95 % intervals leave out one point, {seeds(rows)}", ""
    if verdict != Verdict.UNDECIDED:
        return f"q < {LEVEL}, {seeds(rows)}", ""
    if not any(np.isfinite(row["low"]) for row in rows):
        return f"no interval, {seeds(rows)}", "more seeds" if max((row["n"] for row in rows), default=0) == 1 else ""
    needed = seeds_needed(rows, margin)
    return f"q ≥ {LEVEL}, {seeds(rows)}", settle(needed)


def told(name: str, found: Tables) -> str:
    """The words that a caption begins with, and in brackets the networks and the data sets where these are few."""
    few = [", ".join(values) for values in map(found.values, ("network", "dataset")) if len(values) <= 3]
    return f"{name} ({' on '.join(few)})" if few else name


def label(experiment: Experiment) -> str:
    """How a sentence names an experiment."""
    return f"the experiment {experiment.name}" if experiment.name else f"the study {experiment.study}"


def prefix(experiment: Experiment) -> str:
    """What the names of its exhibits begin with."""
    return f"{slug(experiment.name or experiment.study)}"
