"""An experiment of one axis, level by level: its means and differences, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid, outcomes
from weight_atlas.reporting.exhibits.design.grid import Row
from weight_atlas.reporting.exhibits.design.outcomes import Outcome, Values
from weight_atlas.reporting.grammar.tables import Tables, joined
from weight_atlas.reporting.grammar.words import slug
from weight_atlas.shapes import Axis, Experiment
from weight_atlas.vocabulary import Protocol


@dataclass(frozen=True)
class Levels:
    """The levels of an experiment's one axis by an outcome, in each of its families.

    Attributes
    ----------
    found : Tables
        The experiment's cells.
    experiment : Experiment
    values : Values
        Their frame has the column `family`: its label, empty where there is one alone.
    means : DataFrame
        One row per cell, and protocol of an accuracy: cell_id, the axis, the families, family, protocol, n, of, mean,
        low, high.
    differences : list of Row
        Of each level to the one that it is compared with: family, level, to, n, mean, low, high, p, q, corrected over
        all of them, and where that one is the best of its family (`chosen`), for all pairs that it may have been of.
    """

    found: Tables
    experiment: Experiment
    values: Values
    means: pd.DataFrame
    differences: list[Row]

    @property
    def axis(self) -> Axis:
        return self.experiment.axes[0]

    @property
    def outcome(self) -> Outcome:
        return self.values.outcome

    @property
    def chosen(self) -> bool:
        """Whether the level that others are compared with is the best by its mean."""
        return chosen(self.axis, self.outcome)

    @property
    def families(self) -> list[str]:
        """The labels of the families, in the config's order."""
        return list(dict.fromkeys(self.means["family"]))

    def names(self, family: str) -> list[str]:
        """The levels of which a family has cells, in the axis' order."""
        own = set(self.means.loc[self.means["family"] == family, self.axis.name])
        return [level for level in self.axis.levels if level in own]

    def mean(self, family: str, level: str, protocol: str | None = None) -> Row:
        """The mean of a level: its row of `means` as a dict."""
        chosen = (self.means["family"] == family) & (self.means[self.axis.name] == level)
        told = self.means["protocol"] == (Protocol.BEST_VALID if protocol is None else protocol)
        rows = self.means[chosen & told] if told.any() else self.means[chosen]
        return {str(name): value for name, value in rows.iloc[0].items()}

    def difference(self, family: str, level: str) -> Row | None:
        """The difference of a level; None where it is what others are compared with."""
        own = (row for row in self.differences if (row["family"], row["level"]) == (family, level))
        return next(own, None)

    def compared(self, family: str) -> str:
        """The level of a family that all others are compared with; empty for a path."""
        others = {row["to"] for row in self.differences if row["family"] == family}
        return others.pop() if len(others) == 1 and not self.axis.after else ""


def read(tables: Tables, experiment: Experiment, name: str = "accuracy") -> Levels:
    """The levels of an experiment by an outcome.

    Raises
    ------
    NothingToShow
        Where it has not one axis, or no finished replicate has a value.
    """
    if len(experiment.axes) != 1:
        raise NothingToShow(f"{grid.label(experiment)} has {len(experiment.axes)} axes, and not one.")
    found, axis = grid.cells_of(tables, experiment), experiment.axes[0].name
    protocols: Sequence[Protocol | None] = list(Protocol) if name == "accuracy" else [None]
    parts, main = [], None
    for protocol in protocols:
        own = outcomes.values(tables, experiment, name, protocol or Protocol.BEST_VALID)
        parts.append(grid.means(found, "value", grid.columns(experiment), own.frame).assign(protocol=protocol or ""))
        main = own if protocol in (Protocol.BEST_VALID, None) else main
    assert main is not None, "one of the protocols is that of the best validation epoch"
    families = list(experiment.families)
    means = pd.concat(parts, ignore_index=True)
    means.insert(1, "family", joined(means, families))
    frame = main.frame.assign(family=joined(main.frame, families))
    order = {level: at for at, level in enumerate(experiment.axes[0].levels)}
    means = means.sort_values(axis, key=lambda column: column.map(order), kind="stable", ignore_index=True)
    made, pairs = [], []
    for family, rows in frame.groupby("family", sort=False):
        others = against(experiment.axes[0], main.outcome, rows, set(means[axis]))
        made += [
            {"family": family, "level": level, "to": other, **_paired(rows, axis, other, level)}
            for level, other in others.items()
        ]
        pairs += [(len(others) + 1) / 2 if chosen(experiment.axes[0], main.outcome) else 1.0] * len(others)
    return Levels(found, experiment, main._replace(frame=frame), means, _corrected(made, pairs))


def _corrected(rows: Sequence[Row], pairs: Sequence[float]) -> list[Row]:
    """Rows with q; pairs: how many times as many pairs of levels there are as are compared with the best of them."""
    found = grid.corrected(
        [row | {"p": np.minimum(row["p"] * more, 1.0)} for row, more in zip(rows, pairs, strict=True)]
    )
    return [row | {"q": one["q"]} for row, one in zip(rows, found, strict=True)]


def _paired(own: pd.DataFrame, axis: str, one: str, other: str) -> Row:
    """What one level has more than another, paired by seed."""
    first, second = (own[own[axis] == level] for level in (one, other))
    return grid.paired(first, second, "value")


def chosen(axis: Axis, outcome: Outcome) -> bool:
    """Whether levels are compared with the best by its mean: those that are numbers, where more or less is better."""
    return bool(axis.is_numeric and outcome.better and not axis.after)


def against(axis: Axis, outcome: Outcome, own: pd.DataFrame, there: set[str]) -> dict[str, str]:
    """{level: the level that it is compared with}: of a path the step before it; of numbers the best level, by its
    mean; else, and where more is neither better nor worse, the reference.

    Parameters
    ----------
    axis, outcome : Axis, Outcome
    own : DataFrame
        The values of a family.
    there : set of str
        The levels that have cells.
    """
    if axis.after:
        return {level: other for level, other in axis.after.items() if {level, other} <= there}
    means = own.groupby(axis.name, sort=False)["value"].mean() * (outcome.better or 1)
    best = str(means.idxmax()) if chosen(axis, outcome) else axis.reference
    return {level: best for level in axis.levels if level != best and level in means.index} if best in means else {}


def asked(experiment: Experiment, outcome: str) -> list[str]:
    """The outcomes to show: the one that an option names, else those that the config asks about."""
    return [outcome] if outcome else list(experiment.of)


def file(shown: Levels, kind: str) -> str:
    """The name of an exhibit: "rates-levels", "rates-levels-loss"."""
    outcome = shown.outcome.name
    return slug(grid.prefix(shown.experiment), kind, "" if outcome == "accuracy" else outcome)


def title(shown: Levels) -> str:
    """ "Test accuracy by rate"."""
    return f"{shown.outcome.words[:1].upper()}{shown.outcome.words[1:]} by {shown.axis.name}"


def told_by(shown: Levels) -> str:
    """Whose numbers stand beside the workflow's own: "The document (report on X by A and B) reports one run."."""
    source = shown.found.document.get("source")
    return f"The document ({source}) reports one run." if source else "The document reports one run."
