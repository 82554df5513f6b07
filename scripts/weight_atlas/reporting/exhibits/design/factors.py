"""Exhibits on what matters: the levels of every factor of a study compared pair by pair, for each outcome."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.effects import MOST, records
from weight_atlas.reporting.exhibits.runs.runs import WORDS
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import Answer, Verdict, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import chance, mean_text, plural, q_words

ROW = 0.2


LETTER = 0.078  # inches of a tick label's letter


class Outcome(NamedTuple):
    """An outcome of tests.csv: the words of a heading and of a sentence, the factor to draw by, and its unit."""

    heading: str
    words: str
    scale: float
    unit: str


OUTCOMES = {
    "unchanged": Outcome("unchanged", "unchanged share", 100, "points"),
    "unchanged_other": Outcome("unchanged,\nnot struct.", "unchanged share beyond structure", 100, "points"),
    "relative_distance": Outcome("relative\ndistance", "distance from the start", 1, ""),
    "mean_absolute": Outcome("mean |r|", "mean |r|", 1, ""),
    "mean_correlation": Outcome("mean r of two features", "mean r", 1, ""),
    "accuracy": Outcome("accuracy", "accuracy", 100, "points"),
}
FIRST = ("network", "dataset", "init", "optimizer")


def tested(tables: Tables) -> pd.DataFrame:
    """tests.csv of this study with `where` (the family that is held) and `comparison` ("adam − sgd") as words."""
    found: pd.DataFrame = tables.tests()
    found = found[found["outcome"].isin(list(OUTCOMES))]
    several = [name for name in ("network", "dataset") if len(tables.values(name)) > 1]
    where = [", ".join(filter(None, (row[name] for name in several))) for row in records(found)]
    return found.assign(where=where, comparison=found["level_b"] + " − " + found["level_a"])


def factors(tables: Tables) -> list[Exhibit]:
    """A forest plot: rows are comparisons, grouped by factor, columns are outcomes; of many the clearest."""
    found = tested(tables)
    outcomes = [name for name in OUTCOMES if name in set(found["outcome"])]
    every = found.drop_duplicates(["factor", "comparison", "where"])
    shown = clearest(found)
    place, ticks = _rows(shown)
    fig = style.figure(ROW * (max(ticks) + 2) + 1.15)
    panels = fig.subplots(1, len(outcomes), sharey=True, squeeze=False)[0]
    marks.shade(panels, max(ticks) + 1)
    inches = (style.WIDTH - LETTER * max(map(len, ticks.values()))) / len(outcomes)
    for axes, outcome in zip(panels, outcomes, strict=True):
        _panel(axes, OUTCOMES[outcome], shown[shown["outcome"] == outcome], place, inches)
    panels[0].set_yticks(list(ticks), list(ticks.values()))
    marks.heads(panels[0], set(ticks) - set(place.values()))
    interval = marks.entry("95 % interval", linewidth=1.4, color=style.PALETTE[0])
    marks.legend(fig, panels, extra=[interval])
    few = (
        f"The {len(place)} clearest of {len(every)} comparisons; the table has all. " if len(place) < len(every) else ""
    )
    caption = (
        f"What changes when one thing changes. {few}The mean difference, paired by seed and averaged over all other "
        f"settings first ({grid.seeds(records(found))} seeds), with the 95 % interval of Student's paired t-test. "
        f"Filled where q < {grid.LEVEL}: q is p corrected by Benjamini and Hochberg for all "
        f"{plural(int(tables.tests()['p'].notna().sum()), 'test')} of the study. Right of 0: the first-named level has "
        "more. Shares are in percentage points; every outcome has its own scale."
        + (" A comparison of one seed has no interval and no test." if (found["n"] < 2).any() else "")
    )
    size = f"{plural(len(place), 'comparison')} by {plural(len(outcomes), 'outcome')}"
    alt = f"Forest plot of {size}. {answer(tables)[0].text}"
    return [Exhibit("factors", "Differences by factor", caption, alt, found.drop(columns="where"), fig)]


def clearest(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of the MOST comparisons that have the smallest q, and of these the largest effect, in any outcome."""
    key = ["factor", "comparison", "where"]
    rows = found.assign(size=-found["effect"].abs()).sort_values(["q", "size"], kind="stable")
    kept = rows.drop_duplicates(key)[key].head(MOST)
    return found.merge(kept, on=key)


def _rows(shown: pd.DataFrame) -> tuple[dict[tuple[str, str, str], int], dict[int, str]]:
    """({(factor, comparison, where): its row from the top}, {row: its label}); a factor has a heading."""
    place: dict[tuple[str, str, str], int] = {}
    ticks: dict[int, str] = {}
    names = dict.fromkeys(shown["factor"])
    for factor in sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)):
        ticks[len(ticks)] = WORDS.get(factor, factor)
        for row in records(shown[shown["factor"] == factor].drop_duplicates(["comparison", "where"])):
            place[factor, row["comparison"], row["where"]] = len(ticks)
            ticks[len(ticks)] = ": ".join(filter(None, (row["comparison"], row["where"])))
    return place, ticks


def _panel(axes: Axes, outcome: Outcome, rows: pd.DataFrame, place: Mapping[tuple[str, str, str], int],
           inches: float) -> None:  # fmt: skip
    """The differences of one outcome in a panel so many inches wide."""
    axes.set_title(outcome.heading, fontsize=9, fontweight="normal", loc="center")
    axes.set_xlabel(outcome.unit, fontsize=9)
    axes.axvline(0, **marks.ZERO)
    for row in records(rows):
        at = place[row["factor"], row["comparison"], row["where"]]
        marks.forest(axes, {**row, "mean": row["difference"]}, at, outcome.scale, style.PALETTE[0])
    axes.margins(x=0.12)
    axes.set_xticks(ticks_of(axes.dataLim.x0, axes.dataLim.x1, inches))
    axes.xaxis.set_major_formatter(lambda value, _: style.short(value))


def ticks_of(low: float, high: float, inches: float) -> list[float]:
    """0 and the largest number with one significant digit that the longer side of an axis holds, where the labels of
    both have room side by side on an axis of so many inches; 0 alone else."""
    reach = max(abs(low), abs(high))
    if not reach > 0:
        return [0.0]
    power = math.floor(math.log10(reach))
    step = float(f"{math.floor(reach / 10.0**power)}e{power}")
    apart = inches * step / (1.24 * (max(high, 0) - min(low, 0)))
    if apart < LETTER * (1 + len(style.short(step)) / 2):
        return [0.0]
    return sorted([0.0, step if high >= -low else -step])


def factors_table(tables: Tables) -> list[Exhibit]:
    """The tests as a table, the smallest q first."""
    found = tested(tables)
    found = found.assign(size=found["effect"].abs()).sort_values(["q", "size"], ascending=[True, False], kind="stable")
    frame = pd.DataFrame([_line(row) for row in records(found)])
    same = {"in": not frame["in"].any(), "n": frame["n"].nunique() == 1}
    columns = [name for name in frame.columns if not same.get(name)]
    seeds = f"n = {frame['n'][0]} seeds. " if same["n"] else "n: seeds. "
    caption = (
        f"All differences of the figure above, the clearest first; {seeds}± is half the 95 % interval; d is Cohen's "
        "effect size for pairs, the mean difference over the standard deviation of the differences (∞ where all "
        "seeds differ by the same); q is p corrected for all tests of the study. With three seeds only a difference "
        "far larger than its spread can be told from chance: a large q is no evidence of no effect."
    )
    alt = f"Table of {plural(len(frame), 'paired test')}."
    return [Exhibit("factors-table", "Tests", caption, alt, frame, columns=columns, behind="factors")]


def _line(row: grid.Row) -> dict[str, str]:
    """A test as a printed line."""
    outcome = OUTCOMES[row["outcome"]]
    points = outcome.scale == 100
    return {
        "outcome": outcome.heading.replace("\n", " ") + (" (points)" if points else ""),
        "comparison": row["comparison"],
        "in": row["where"],
        "n": str(row["n"]),
        "difference": mean_text({**row, "mean": row["difference"]}, outcome.scale, 1 if points else 3),
        "d": size(row["effect"]),
        "p": chance(row["p"]),
        "q": chance(row["q"]),
    }


def size(effect: float) -> str:
    """An effect size in three digits, ∞ where the differences do not vary, empty where there is none."""
    if math.isnan(effect):
        return ""
    if abs(effect) >= 1e4:
        return ("−" if effect < 0 else "") + ("∞" if math.isinf(effect) else "9999+")
    return f"{style.number(effect, 3)}"


def answer(tables: Tables) -> list[Answer]:
    """What changes clearly with a factor: the clearest comparison of each outcome, and how many there are."""
    found, tests = tested(tables), plural(int(tables.tests()["p"].notna().sum()), "test")
    seeds = grid.seeds(records(found))
    clear = found[found["q"] < grid.LEVEL]
    if clear.empty:
        sure = f"no q < {grid.LEVEL} of {tests}, {seeds}, which is no evidence of no effect"
        return [Answer("No difference between the levels of a factor is clear.", Verdict.UNDECIDED, sure=sure)]
    ranked = clear.assign(size=-clear["effect"].abs()).sort_values(["q", "size"], kind="stable")
    order = ranked.groupby("outcome", sort=False)
    made = [_clearest(OUTCOMES[str(name)], own, int((found["outcome"] == name).sum()), tests) for name, own in order]
    return [replace(made[0], verdict=Verdict.YES), *made[1:]]


def _clearest(outcome: Outcome, clear: pd.DataFrame, of: int, tests: str) -> Answer:
    """The clearest difference of an outcome, the first of its rows; of: how many comparisons there are."""
    top = records(clear)[0]
    row = top | {"mean": top["difference"]}
    is_points = outcome.scale == 100
    change = f"{mean_text(row, outcome.scale, 1 if is_points else 3)}{' points' * is_points}"
    where = f" in {top['where']}" if top["where"] else ""
    pair = f"{top['level_b']} less {top['level_a']}{where}"
    sentence = (
        f"{outcome.words[:1].upper()}{outcome.words[1:]} clearly differs in {len(clear)} of "
        f"{plural(of, 'comparison')}, most clearly by {WORDS.get(top['factor'], top['factor'])}: {pair} {change}."
    )
    numbers = (number(f"{outcome.words}, {pair}", row, change),)
    return Answer(sentence, numbers=numbers, sure=f"{q_words(top['q'])}, corrected for {tests}, n = {top['n']}")
