"""What each replicate reached, by any outcome that a config may ask about: values, words, and how they are written."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from weight_atlas import schema
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.runs.runs import PROTOCOLS
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.tables import Tables, last
from weight_atlas.schema.column import Column
from weight_atlas.shapes import OUTCOMES, Experiment
from weight_atlas.vocabulary import AXES, Interval, Protocol

ROUNDING = 1e-9  # of means of equal numbers
DIGITS = 3  # significant ones, of numbers that are no shares


@dataclass(frozen=True)
class Outcome:
    """A number that each replicate has, and how it is written.

    Attributes
    ----------
    name : str
        As a config asks for it: one of `shapes.OUTCOMES`, or "table.column".
    words, meaning : str
        What it is called in a sentence and beside an axis; what it is in full.
    unit : str
        Written behind a value: "%", "points", "s", or nothing.
    scale : float
        What a value of the tables is multiplied by to have that unit: 100 for shares.
    bounds : tuple of float
        The least and the largest possible value, before `scale`.
    better : int
        1 where more is better, -1 where less is, 0 where neither can be said.
    """

    name: str
    words: str
    meaning: str
    unit: str = ""
    scale: float = 1.0
    bounds: tuple[float, float] = (-math.inf, math.inf)
    better: int = 0

    @property
    def label(self) -> str:
        """What an axis of values is labelled: "test accuracy (%)"."""
        return f"{self.words} ({self.unit})" if self.unit else self.words

    @property
    def change_unit(self) -> str:
        """The unit of a difference: that of shares is points."""
        return "points" if self.scale == 100 else self.unit

    def text(self, row: Mapping[str, Any]) -> str:
        """A mean with its interval, cut at the bounds: "97.1 % [96.0, 98.0]"; "none finished" where n is 0."""
        if not row["n"]:
            return "none finished"
        mean, low, high = (min(max(row[name], self.bounds[0]), self.bounds[1]) for name in ("mean", "low", "high"))
        if self.unit == "%":
            return f"{style.percent(mean)}{self._interval(row, low, high)}"
        return self._number(mean, row).removeprefix("+") + self._behind(self.unit) + self._interval(row, low, high)

    def change(self, row: Mapping[str, Any]) -> str:
        """A difference with its interval, cut at what is possible: "+1.2 points [0.8, 1.6]"; "no pair of seeds" where n
        is 0."""
        if not row["n"]:
            return "no pair of seeds"
        reach = self.bounds[1] - self.bounds[0]
        interval = self._interval(
            row, max(row["low"], -reach), min(row["high"], reach)
        ) or " (one seed, no interval)" * (row["n"] == 1)
        return self._number(row["mean"], row) + self._behind(self.change_unit) + interval

    def _interval(self, row: Mapping[str, Any], low: float, high: float) -> str:
        """The interval in brackets, nothing where there is none, and a word where all values are equal."""
        if not math.isfinite(row["low"]):
            return f" (all {int(row['n'])} seeds equal)" if row["n"] > 1 else ""
        return f" [{', '.join(self._number(end, row).removeprefix('+') for end in (low, high))}]"

    def _number(self, value: float, row: Mapping[str, Any]) -> str:
        """A number with its sign, with as many decimals as the largest of its row needs; 0 has no sign."""
        text = f"{value * self.scale:+,.{self.decimals(row)}f}"
        return (text if float(text.replace(",", "")) else text[1:]).replace("-", "−")

    def decimals(self, row: Mapping[str, Any]) -> int:
        """How many decimals the numbers of a row have: one for shares, else by DIGITS of the largest."""
        if self.scale == 100:
            return 1
        size = max((abs(row[name]) for name in ("mean", "low", "high") if math.isfinite(row[name])), default=0)
        return max(0, DIGITS - 1 - math.floor(math.log10(size))) if size else 0

    @staticmethod
    def _behind(unit: str) -> str:
        return f" {unit}" if unit else ""


class Values(NamedTuple):
    """The values of an outcome.

    Attributes
    ----------
    outcome : Outcome
    frame : DataFrame
        One row per finished replicate that has a value: cell_id, seed, a column per axis and family of the experiment,
        value.
    censored : Series
        By cell_id, how many finished replicates never got so far: they have no value, and no mean counts them.
    note : str
        A sentence on what the values are measured against; empty where there is nothing to say.
    """

    outcome: Outcome
    frame: pd.DataFrame
    censored: "pd.Series[int]"
    note: str = ""


def values(
    tables: Tables, experiment: Experiment, name: str = "accuracy", protocol: Protocol = Protocol.BEST_VALID
) -> Values:
    """The values of an outcome of all finished replicates of an experiment's grid.

    Parameters
    ----------
    tables : Tables
        Those of the study.
    experiment : Experiment
    name : str
        One of `shapes.OUTCOMES`, or "table.column".
    protocol : Protocol
        Of the accuracy; other outcomes have none.

    Raises
    ------
    NothingToShow
        Where no finished replicate has a value.
    """
    found = grid.cells_of(tables, experiment)
    told = outcome(name, protocol)
    axes = grid.columns(experiment)
    censored, note = pd.Series(0, index=found.cells["cell_id"]), ""
    if name == "epochs":
        frame, note = _epochs(found, experiment)
        never = frame[frame["value"].isna()].groupby("cell_id").size()
        censored = never.reindex(censored.index, fill_value=0)
    else:
        frame = replicates(found, name, protocol)
    frame = frame[["cell_id", "seed", "value"]].dropna(subset="value").astype({"value": float})
    if frame.empty and not censored.any():
        raise NothingToShow(f"no finished replicate has a value of {told.words}.")
    labels = found.cells[["cell_id", *axes]]
    rows = labels.merge(frame, on="cell_id")[["cell_id", "seed", *axes, "value"]]
    return Values(told, rows, censored, note)


def replicates(found: Tables, name: str, protocol: Protocol = Protocol.BEST_VALID) -> pd.DataFrame:
    """An outcome of each finished replicate, that of `epochs` apart: cell_id, seed, value and more."""
    return READERS[name](found, protocol) if name in READERS else _column(found, *name.split("."))


def outcome(name: str, protocol: Protocol = Protocol.BEST_VALID) -> Outcome:
    """The words of an outcome: of those in `shapes.OUTCOMES`, or of a column of a table, as the schema declares it."""
    if name == "accuracy" and protocol != Protocol.BEST_VALID:
        return replace(KNOWN[name], meaning=f"test accuracy ({PROTOCOLS[protocol][0]})")
    if name in KNOWN:
        return KNOWN[name]
    table, column = name.split(".")
    declared = schema.TABLES[table].column(column)
    words, ending = column.replace("_", " "), " at the last epoch" * ("epoch" in schema.TABLES[table].key)
    meaning = declared.meaning[:1].lower() + declared.meaning[1:].removesuffix(".") + ending
    if declared.unit == "share":
        return Outcome(name, words, meaning, "%", 100.0, (0.0, 1.0))
    return Outcome(name, words, meaning, _plural_unit(declared))


def _plural_unit(column: Column) -> str:
    return "epochs" if column.unit == "epoch" else column.unit


KNOWN = {
    "accuracy": Outcome("accuracy", "test accuracy", OUTCOMES["accuracy"], "%", 100.0, (0.0, 1.0), 1),
    "valid_accuracy": Outcome(
        "valid_accuracy", "validation accuracy", OUTCOMES["valid_accuracy"], "%", 100.0, (0.0, 1.0), 1
    ),
    "loss": Outcome("loss", "test loss", OUTCOMES["loss"], "nats", 1.0, (0.0, math.inf), -1),
    "gap": Outcome("gap", "training less test accuracy", OUTCOMES["gap"], "points", 100.0, (-1.0, 1.0)),
    "epochs": Outcome("epochs", "epochs needed", OUTCOMES["epochs"], "epochs", 1.0, (0.0, math.inf), -1),
    "distance": Outcome("distance", "relative distance from the start", OUTCOMES["distance"], "", 1.0, (0.0, math.inf)),
    "unchanged": Outcome("unchanged", "unchanged parameters", OUTCOMES["unchanged"], "%", 100.0, (0.0, 1.0)),
}


# ------------------------------------------------------------------------------------------- readers


def _accuracy(found: Tables, protocol: Protocol) -> pd.DataFrame:
    rows: pd.DataFrame = found.done("accuracy")
    rows = rows[rows["protocol"] == protocol]
    return rows.assign(value=rows["accuracy"])


def _valid_accuracy(found: Tables, _: Protocol) -> pd.DataFrame:
    rows: pd.DataFrame = found.done("metrics")
    best = rows[rows["epoch"] >= 1].groupby(["cell_id", "seed"])["valid_accuracy"].max()
    return best.rename("value").reset_index()


def _loss(found: Tables, _: Protocol) -> pd.DataFrame:
    ends: pd.DataFrame = last(found.done("metrics"))
    return ends.assign(value=ends["test_loss"])


def _gap(found: Tables, _: Protocol) -> pd.DataFrame:
    ends: pd.DataFrame = last(found.done("metrics"))
    return ends.assign(value=ends["train_accuracy"] - ends["test_accuracy"])


def _distance(found: Tables, _: Protocol) -> pd.DataFrame:
    rows: pd.DataFrame = found.done("movement")
    ends: pd.DataFrame = last(rows[(rows["layer"] == "total") & (rows["interval"] == Interval.START)], "to_epoch")
    return ends.assign(value=ends["relative"])


def _unchanged(found: Tables, _: Protocol) -> pd.DataFrame:
    rows: pd.DataFrame = found.done("unchanged")
    rows = rows[(rows["layer"] == "total") & (rows["parameter"] == "all")]
    return rows.assign(value=rows["unchanged"] / rows["size"])


READERS: Mapping[str, Callable[[Tables, Protocol], pd.DataFrame]] = {
    "accuracy": _accuracy,
    "valid_accuracy": _valid_accuracy,
    "loss": _loss,
    "gap": _gap,
    "distance": _distance,
    "unchanged": _unchanged,
}


def _column(found: Tables, table: str, column: str) -> pd.DataFrame:
    """A column of a table; of one with a row per epoch, its last."""
    rows: pd.DataFrame = found.done(table)
    ends: pd.DataFrame = last(rows) if "epoch" in schema.TABLES[table].key else rows
    return ends.assign(value=ends[column])


def _epochs(found: Tables, experiment: Experiment) -> tuple[pd.DataFrame, str]:
    """The first epoch at which a replicate's test accuracy is what the weakest cell of its family ends with, on average
    over the replicates that learnt; NaN where it never is. And a sentence on these accuracies.

    A cell of which no replicate learnt is not taken for the weakest: it would ask for nothing.
    """
    rows: pd.DataFrame = found.done("metrics").dropna(subset="test_accuracy")
    families = list(experiment.families)
    own = [name for name in families if name not in AXES or name not in rows]
    rows = rows.merge(found.cells[["cell_id", *own]], on="cell_id").assign(everywhere="")
    by = families or ["everywhere"]
    ends = found.learnt().finished(last(rows)).groupby([*by, "cell_id"], sort=False)["test_accuracy"]
    if not len(ends):
        raise NothingToShow("no replicate has learnt, so that there is no accuracy to reach.")
    levels = ends.mean().groupby(by, sort=False).min().rename("level").reset_index()
    rows = rows.merge(levels, on=by, how="left")
    first = rows[rows["test_accuracy"] >= rows["level"] - ROUNDING].groupby(["cell_id", "seed"])["epoch"].min()
    every = rows[["cell_id", "seed"]].drop_duplicates().set_index(["cell_id", "seed"])
    where = [f"{style.percent(row['level'])}{_of(row, families)}" for row in levels.to_dict("records")]
    note = f"The accuracy to reach is what the weakest cell has at its end, on average: {', '.join(where)}."
    return every.assign(value=first).reset_index(), note


def _of(row: Mapping[Any, Any], families: list[str]) -> str:
    """Which family a row is of, in words."""
    return f" ({' · '.join(row[name] for name in families)})" if families else ""
