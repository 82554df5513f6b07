"""What an experiment of one axis answers: the verdict, the numbers, how sure, and what would settle it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weight_atlas.reporting.exhibits.design import grid, levels, sweep, tuned
from weight_atlas.reporting.exhibits.design.grid import Row
from weight_atlas.reporting.exhibits.design.levels import Levels
from weight_atlas.reporting.grammar.answers import (
    MARGIN,
    Answer,
    Number,
    Verdict,
    is_clear,
    number,
    weighed,
)
from weight_atlas.reporting.grammar.dots import NEVER
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural
from weight_atlas.shapes import Experiment

NAMED = 3  # levels that a sentence names


def answer(tables: Tables, experiment: Experiment, *, outcome: str = "") -> list[Answer]:
    """What the levels of an experiment change in its outcomes, family by family.

    Parameters
    ----------
    outcome : str
        One outcome, instead of those that the config asks about.
    """
    made = [
        one
        for name in levels.asked(experiment, outcome)
        for shown in [levels.read(tables, experiment, name)]
        for family in shown.families
        for one in told(shown, family)
    ]
    return [*made, *_plain("", filter(None, [tuned.said(experiment)]))]


def told(shown: Levels, family: str) -> list[Answer]:
    """The answer of one family: the verdict, what else its levels do, its troubles last."""
    every = [row for row in shown.differences if row["family"] == family and row["n"]]
    rows = [row for row in every if math.isfinite(row["q"])] or every
    if not rows:
        return [Answer(_missing(shown, family), Verdict.UNDECIDED, family), *_plain(family, troubles(shown, family))]
    trend = _trend(shown, family) if shown.axis.is_numeric and shown.outcome.better else None
    verdict = weighed([*rows, trend.row] if trend else rows, _margin(shown))
    if verdict in (Verdict.NO, Verdict.UNDECIDED):
        first, *rest = [_not_clear(shown, rows, verdict)]
    elif shown.axis.is_numeric and shown.outcome.better:
        first, *rest = _swept(shown, family, rows, trend)
    else:
        first, *rest = _compared(shown, family, rows)
    if verdict == Verdict.PARTLY:
        rest = ["Every difference is smaller than one point.", *rest]
    if len(rows) < len(every):
        rest.append(f"Too few seeds for a test: {listed([row['level'] for row in every if row not in rows])}.")
    whole = Answer(first, verdict, family, _numbers(shown, rows), *grid.certainty(rows, verdict, _margin(shown)))
    return [whole, *_plain(family, [*rest, *troubles(shown, family)])]


def _plain(family: str, sentences: Iterable[str]) -> list[Answer]:
    """Sentences beside the verdict."""
    return [Answer(text, about=family) for text in sentences]


def _margin(shown: Levels) -> float:
    """The smallest difference that matters: a point of a share; of other outcomes none is known."""
    return MARGIN if shown.outcome.scale == 100 else 0.0


def _numbers(shown: Levels, rows: Sequence[Row]) -> tuple[Number, ...]:
    return tuple(number(_pair(shown, row), row, shown.outcome.change(row)) for row in rows)


def _pair(shown: Levels, row: Row) -> str:
    """ "adam against sgd"; of a path "adam after sgd"."""
    return f"{row['level']} {'after' if shown.axis.after else 'against'} {row['to']}"


def _missing(shown: Levels, family: str) -> str:
    """Why a family has no difference."""
    finished = [name for name in shown.names(family) if shown.mean(family, name)["n"]]
    if len(finished) > 1 and not shown.axis.after:
        return f"No run of {shown.axis.reference}, which the others are compared with, has finished and learnt."
    return "Fewer than two of the levels have runs that finished and learnt."


def _not_clear(shown: Levels, rows: Sequence[Row], verdict: Verdict) -> str:
    """What is said where no difference is clear: whether all are small, and the largest."""
    most = max(rows, key=lambda row: abs(row["mean"]))
    what = "change" if shown.axis.after else "level"
    why = f"No {what} changes {shown.outcome.words} by a point" if verdict == Verdict.NO else "No difference is clear"
    if verdict == Verdict.UNDECIDED and not any(math.isfinite(row["low"]) for row in rows):
        why = "One seed gives no interval" if max(row["n"] for row in rows) == 1 else "All seeds are equal"
    return f"{why}. The largest is {_pair(shown, most)}, {shown.outcome.change(most)}."


def _compared(shown: Levels, family: str, rows: Sequence[Row]) -> list[str]:
    """What clearly raises the outcome, what clearly lowers it, and what cannot be told."""
    made: list[str] = []
    for verb, sign in (("raise", 1), ("lower", -1)):
        own = [row for row in rows if is_clear(row, sign)]
        if own:
            made.append(_counted(shown, family, verb, own, len(rows), first=not made))
    rest = [row["level"] for row in rows if not is_clear(row)]
    return [*made, *([f"Not clear: {listed(rest)}."] if rest else [])]


def _counted(shown: Levels, family: str, verb: str, own: Sequence[Row], of: int, first: bool) -> str:
    """ "2 of 4 levels clearly raise test accuracy against sgd (62.0 %), most of all adam (+1.7 points [0.8, 2.6])."."""
    most = max(own, key=lambda row: abs(row["mean"]))
    compared = shown.compared(family)
    what = "change" if shown.axis.after else "level"
    beside = f" against {compared} ({shown.outcome.text(shown.mean(family, compared))})" if compared and first else ""
    name = most["level"] if compared else f"{most['level']} after {most['to']}"
    verb = f"clearly {verb}{'s' * (len(own) == 1)} {shown.outcome.words if first else 'it'}"
    subject = name if of == 1 else f"{len(own)} of {plural(of, what)}"
    which = f"most of all {name} by " if len(own) > 1 else "" if of == 1 else f"{name} by "
    return f"{subject} {verb}{beside}: {which}{shown.outcome.change(most)}."


def _trend(shown: Levels, family: str) -> sweep.Trend | None:
    """The trend of a family, where it is clear and its best level is at an end of the scale."""
    found = sweep.trends(shown).get(family)
    ends = (shown.axis.levels[0], shown.axis.levels[-1])
    return found if found and shown.compared(family) in ends and is_clear(found.row) else None


def _swept(shown: Levels, family: str, rows: Sequence[Row], trend: sweep.Trend | None) -> list[str]:
    """The trend, if there is one; the best level, with what is clearly worse and what is not."""
    made = []
    outcome, best = shown.outcome, shown.compared(family)
    if trend:
        verb = "rises" if trend.row["mean"] > 0 else "falls"
        row = {**trend.row, **(_turned(trend.row) if verb == "falls" else {})}
        made.append(f"{_capital(outcome.words)} {verb} by {outcome.change(row).removeprefix('+')} with {trend.words} "
                    f"(n = {row['n']} seeds).")  # fmt: skip
    most = "highest" if outcome.better > 0 else "lowest"
    words = "It" if made else _capital(outcome.words)
    parts = [f"{words} is {most} at {best}, {outcome.text(shown.mean(family, best))}"]
    for words, clear in (("clearly worse", True), ("not clearly worse", False)):
        own = [row["level"] for row in rows if is_clear(row) == clear]
        parts += [f"{words}: {listed(own)}"] if own else []
    return [*made, f"{'; '.join(parts)}."]


def _turned(row: Mapping[str, Any]) -> dict[str, float]:
    """A negative slope as a positive fall."""
    return {"mean": -row["mean"], "low": -row["high"], "high": -row["low"]}


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


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


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: the first ones where there are many."""
    if len(names) <= 2 * NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
