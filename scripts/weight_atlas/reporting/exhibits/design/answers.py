"""What an experiment of one axis answers: the verdict, the numbers, how sure, and what would settle it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from weight_atlas import stats
from weight_atlas.reporting.exhibits.design import grid, levels, sweep
from weight_atlas.reporting.exhibits.design.grid import Row
from weight_atlas.reporting.exhibits.design.levels import Levels
from weight_atlas.reporting.grammar.dots import NEVER
from weight_atlas.reporting.grammar.marks import LEVEL
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural
from weight_atlas.shapes import Experiment

NAMED = 3  # levels that a sentence names


def answer(tables: Tables, experiment: Experiment, *, outcome: str = "") -> list[str]:
    """What the levels of an experiment change in its outcomes, family by family: the verdict, the numbers, how sure.

    Parameters
    ----------
    outcome : str
        One outcome, instead of those that the config asks about.
    """
    return [
        text
        for name in levels.asked(experiment, outcome)
        for shown in [levels.read(tables, experiment, name)]
        for family in shown.families
        for text in told(shown, family)
    ]


def told(shown: Levels, family: str) -> list[str]:
    """The answer of one family, its troubles last."""
    every = [row for row in shown.differences if row["family"] == family and row["n"]]
    rows = [row for row in every if math.isfinite(row["q"])] or every
    if not rows:
        made = [f"Cannot say{on(family)}: {_missing(shown, family)}."]
    elif shown.axis.is_numeric and shown.outcome.better:
        made = _swept(shown, family, rows)
    else:
        made = _compared(shown, family, rows)
    if len(rows) < len(every):
        made.append(f"Too few seeds for a test: {listed([row['level'] for row in every if row not in rows])}.")
    return [*made, *troubles(shown, family)]


def _missing(shown: Levels, family: str) -> str:
    """Why a family has no difference."""
    finished = [name for name in shown.names(family) if shown.mean(family, name)["n"]]
    if len(finished) > 1 and not shown.axis.after:
        return f"no run of {shown.axis.reference}, which the others are compared with, has finished"
    return "no two levels that are compared have finished"


def _compared(shown: Levels, family: str, rows: Sequence[Row]) -> list[str]:
    """What clearly raises the outcome, what clearly lowers it, and what does neither."""
    clear = [row for row in rows if row["q"] < LEVEL]
    if not clear:
        return [undecided(shown, family, rows)]
    made: list[str] = []
    for verb, own in (("raise", [row for row in clear if row["mean"] > 0]),
                      ("lower", [row for row in clear if row["mean"] < 0])):  # fmt: skip
        if own:
            made.append(_counted(shown, family, verb, own, len(rows), first=not made))
    made[0] = f"Yes{on(family)}. {made[0]}"
    rest = [row["level"] for row in rows if row["q"] >= LEVEL]
    if rest:
        made.append(f"No clear difference: {listed(rest)}.")
    return made


def _counted(shown: Levels, family: str, verb: str, own: Sequence[Row], of: int, first: bool) -> str:
    """ "2 of 4 levels clearly raise test accuracy against sgd (62.0 %), most of all adam (+1.7 points [0.8, 2.6])."."""
    most = max(own, key=lambda row: abs(row["mean"]))
    compared = shown.compared(family)
    what = "change" if shown.axis.after else "level"
    beside = f" against {compared} ({shown.outcome.text(shown.mean(family, compared))})" if compared and first else ""
    name = most["level"] if compared else f"{most['level']} after {most['to']}"
    verb = f"clearly {verb}{'s' * (len(own) == 1)} {shown.outcome.words if first else 'it'}"
    sure = f" (q < {LEVEL}, {grid.seeds(own)})" if first else ""
    subject = name if of == 1 else f"{len(own)} of {plural(of, what)}"
    which = f"most of all {name} by " if len(own) > 1 else "" if of == 1 else f"{name} by "
    return f"{subject} {verb}{beside}: {which}{shown.outcome.change(most)}{sure}."


def _swept(shown: Levels, family: str, rows: Sequence[Row]) -> list[str]:
    """The trend, where it is clear and the best level is at an end of the scale; the best level; what is worse."""
    clear = [row for row in rows if row["q"] < LEVEL]
    best = shown.compared(family)
    found, ends = sweep.trends(shown).get(family), (shown.axis.levels[0], shown.axis.levels[-1])
    told_ = best in ends and found is not None and found.row["q"] < LEVEL
    if not clear and not told_:
        return [undecided(shown, family, rows)]
    made = []
    outcome = shown.outcome
    if told_ and found is not None:
        verb = "rises" if found.row["mean"] > 0 else "falls"
        row = {**found.row, **(_turned(found.row) if verb == "falls" else {})}
        made.append(f"{_capital(outcome.words)} {verb} by {outcome.change(row).removeprefix('+')} with {found.words} "
                    f"(n = {row['n']} seeds).")  # fmt: skip
    most = "highest" if outcome.better > 0 else "lowest"
    words = "It" if made else _capital(outcome.words)
    made.append(f"{words} is {most} at {best}, {outcome.text(shown.mean(family, best))}.")
    equal = [row["level"] for row in rows if row["q"] >= LEVEL]
    made.append(f"Not clearly worse: {listed(equal)}." if equal else f"All others are clearly worse (q < {LEVEL}).")
    return [f"Yes{on(family)}. {made[0]}", *made[1:]]


def _turned(row: Mapping[str, Any]) -> dict[str, float]:
    """A negative slope as a positive fall."""
    return {"mean": -row["mean"], "low": -row["high"], "high": -row["low"]}


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def undecided(shown: Levels, family: str, rows: Sequence[Row]) -> str:
    """What is said where nothing is clear: the largest difference, and what would settle a point."""
    most = max(rows, key=lambda row: abs(row["mean"]))
    if not any(math.isfinite(row["low"]) for row in rows):
        why = "one seed gives no interval"
    else:
        why = f"no difference is clear (q ≥ {LEVEL}, {grid.seeds(rows)})"
    beside = f"{most['level']} {'after' if shown.axis.after else 'against'} {most['to']}"
    text = f"Cannot say{on(family)}: {why}. The largest is {beside}, {shown.outcome.change(most)}"
    needed = max(map(seeds_needed, rows), default=0) if shown.outcome.scale == 100 else 0
    return f"{text}; about {needed} seeds would settle one point." if needed else f"{text}."


def seeds_needed(row: Row, difference: float = 0.01) -> int:
    """How many seeds would show a difference of this size, by the spread of the seeds so far; 0 where unknown."""
    if not math.isfinite(row["low"]) or row["low"] == row["high"]:
        return 0
    std = (row["high"] - row["low"]) / 2 * math.sqrt(row["n"]) / stats.t_quantile(0.975, row["n"] - 1)
    return stats.seeds_for_difference(difference, std) or 0


def troubles(shown: Levels, family: str) -> list[str]:
    """Sentences on levels at which runs diverged, never learnt, or never got so far as the outcome asks."""
    status, cells = shown.found.status(), shown.means.drop_duplicates("cell_id")
    own = dict(cells.loc[cells["family"] == family, ["cell_id", shown.axis.name]].itertuples(index=False, name=None))
    made = []
    happened = {"diverged": status["diverged"], NEVER: status["unlearnt"], "never got there": shown.values.censored}
    for what, counts in happened.items():
        levels = [level for cell, level in own.items() if counts[cell]]
        if levels:
            many = sum(int(counts[cell]) for cell in own)
            made.append(f"{plural(many, 'run')} {what}: at {listed(levels)}.")
    return made


def on(family: str) -> str:
    """ " (digits)" of a family."""
    return f" ({family})" if family else ""


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: the first ones where there are many."""
    if len(names) <= 2 * NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
