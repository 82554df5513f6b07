"""Exhibits on the analysis of variance of a factorial: what each factor explains, and what only several do together."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.grid import label, prefix
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import Answer, Number, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, joined
from weight_atlas.reporting.grammar.words import chance, enumerated, plural, q_words, slug
from weight_atlas.shapes import Experiment

# The outcomes of anova.csv in words.
OUTCOMES = {"valid_accuracy": "validation accuracy", "accuracy": "test accuracy", "gap": "train − test"}
MOST = 20  # rows of a figure


def records(frame: pd.DataFrame) -> list[grid.Row]:
    """The rows of a frame as dicts."""
    rows: list[Any] = frame.to_dict("records")
    return rows


def omit(tables: Tables, text: str) -> None:
    """Let the report say once what an exhibit leaves out."""
    if text not in tables.left_out:
        tables.left_out.append(text)


def word(term: str) -> str:
    """A term of the analysis in words: "alpha × dropout"."""
    return term.replace(":", " × ")


def analysis(tables: Tables) -> pd.DataFrame:
    """The rows of anova.csv of the whole study."""
    frame: pd.DataFrame = tables.table("anova")
    own: pd.DataFrame = frame[frame["study"] == tables.study]
    return own


def terms(tables: Tables, experiment: Experiment) -> pd.DataFrame:
    """The rows of anova.csv of an experiment: outcome by outcome, factors in the experiment's order before what two and
    three of them do together, the residual last. `setting` names the family.

    Raises
    ------
    NothingToShow
        Where it has none.
    """
    frame = analysis(tables)
    frame = frame[frame["experiment"] == experiment.name]
    if frame.empty:
        raise NothingToShow(f"{label(experiment)} has no analysis of variance: two factors have to vary in a family.")
    axes = [axis.name for axis in experiment.axes]
    every = [":".join(names) for size in (1, 2, 3) for names in itertools.combinations(axes, size)]
    alike = {frozenset(name.split(":")): name for name in every}
    frame = frame.assign(term=[alike.get(frozenset(name.split(":")), name) for name in frame["term"]])
    places = {name: at for at, name in enumerate([*every, stats.RESIDUAL])}
    outcomes = {name: at for at, name in enumerate(OUTCOMES)}
    frame = frame.assign(at=frame["outcome"].map(outcomes), place=frame["term"].map(places))
    frame = frame.sort_values(["setting", "at", "place"], kind="stable", key=_in_order)
    return frame.drop(columns=["at", "place"]).reset_index(drop=True)


def _in_order(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Text by its first place, numbers by their size."""
    if pd.api.types.is_numeric_dtype(values):
        return values
    return pd.Series(pd.factorize(values)[0], values.index)


# ------------------------------------------------------------------------------------------- exhibits


def effects(tables: Tables, experiment: Experiment) -> list[Exhibit]:
    """Effect sizes of every term, a panel per outcome; one exhibit per family.

    Raises
    ------
    NothingToShow
        Where no term has a test, for lack of replicates or of combinations.
    """
    found = terms(tables, experiment)
    tested = found[found["term"] != stats.RESIDUAL]
    able = tested.groupby("setting")["omega"].transform("count") > 0
    if not able.any():
        if found.loc[found["term"] == stats.RESIDUAL, "df"].any():
            raise NothingToShow(f"the combinations of {label(experiment)} do not tell its factors apart.")
        raise NothingToShow(f"one run per combination leaves {label(experiment)} no error to test against.")
    count = int(analysis(tables)["p"].notna().sum())
    cells = grid.cells_of(tables, experiment).cells
    told_of = set(tested[able]["setting"])
    for family in dict.fromkeys(joined(cells, list(experiment.families))):
        if family not in told_of:
            omit(tables, f"What factors explain is not told of {family}: too few levels or replicates finished.")
    return [
        _effects(tables, experiment, str(family), own, count)
        for family, own in tested[able].groupby("setting", sort=False)
    ]


def _effects(tables: Tables, experiment: Experiment, family: str, tested: pd.DataFrame, count: int) -> Exhibit:
    every = list(dict.fromkeys(tested["term"]))
    clearest = tested.groupby("term")["omega"].max().sort_values(ascending=False).index[:MOST]
    names = [name for name in every if name in set(clearest)]
    outcomes = [name for name in OUTCOMES if name in set(tested["outcome"])]
    fig = style.figure(0.3 * (len(names) + 0.4) + 1.15)
    panels = fig.subplots(1, len(outcomes), sharey=True, squeeze=False)[0]
    for axes, outcome in zip(panels, outcomes, strict=True):
        _bars(axes, names, {row["term"]: row for row in records(tested[tested["outcome"] == outcome])})
        axes.set_title(OUTCOMES[outcome], fontsize=10)
    panels[0].set_yticks(range(len(names)), map(word, names))
    marks.legend(fig, panels)
    title = f"What {enumerated([axis.name for axis in experiment.axes])} explain"
    seen = " ".join(one.sentence for one in told(tables, experiment, family))
    few = "" if len(names) == len(every) else f"The {len(names)} largest of {len(every)} terms; the table has all. "
    caption = (
        f"{seen} {few}Analysis of variance with fixed effects over all {int(tested['n'].max())} finished runs, sums of "
        "squares of type II: main effects and interactions (×). Partial ω² is the share of variance that a term "
        "explains, other terms set aside and chance taken off (below 0 is shown as 0), with its 95 % interval (Steiger "
        "2004); partial η² is the same with chance. q is p corrected by Benjamini and Hochberg for all "
        f"{count} such tests of the study. Validation accuracy is at its best epoch, test accuracy at that epoch, "
        "train − test at the last."
    )
    alt = f"Bars of effect sizes of {plural(len(names), 'term')}. {seen}"
    name = slug(prefix(experiment), "effects", family)
    return Exhibit(name, title, caption, alt, tested.drop(columns="setting"), fig, tab=family)


def _bars(axes: Axes, names: Sequence[str], rows: Mapping[str, grid.Row]) -> None:
    """The effect sizes of one outcome; rows: by term."""
    colour = style.PALETTE[0]
    for at, name in enumerate(names):
        if name not in rows or pd.isna(rows[name]["omega"]):
            axes.text(0.02, at, "no test", va="center", fontsize=9, color=style.QUIET)
            continue
        row = rows[name]
        clear = row["q"] < grid.LEVEL
        axes.barh(at, max(row["omega"], 0), height=0.62, color=colour if clear else "white", edgecolor=colour,
                  linewidth=1.1, label=f"partial ω², q {'<' if clear else '≥'} {grid.LEVEL}")  # fmt: skip
        axes.plot([row["low"], row["high"]], [at, at], "-", color=style.INK, linewidth=1.2, label="95 % interval")
        axes.plot(row["eta"], at, "|", color=style.INK, markersize=9, markeredgewidth=1.5, label="partial η²")
        axes.text(1.03, at, q_words(row["q"]).replace("= ", ""), va="center", fontsize=9, color=style.QUIET)
    axes.set_xlim(0, 1.0)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel("explained share")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def table(tables: Tables, experiment: Experiment) -> list[Exhibit]:
    """Every term in numbers, one exhibit per outcome."""
    found, made = terms(tables, experiment), []
    title = f"Analysis of variance: {enumerated([axis.name for axis in experiment.axes])}"
    for outcome, words in OUTCOMES.items():
        own = found[found["outcome"] == outcome]
        if own.empty:
            continue
        frame = pd.DataFrame([_line(row) for row in records(own)])
        caption = (
            f"Analysis of variance of {words.replace('train − test', 'training less test accuracy')}: degrees of "
            "freedom, sum of squares of type II (in points squared), F, p, q (p corrected for all such tests of the "
            "study), partial η² and partial ω². The residual is what replicates of one combination differ by. ω² "
            "below 0 says that chance alone would explain more."
        )
        alt = f"Table of {plural(len(frame), 'term')} of an analysis of variance."
        columns = [name for name in frame if name != "family" or frame["family"].any()]
        name, behind = f"{prefix(experiment)}-anova-{slug(outcome)}", f"{prefix(experiment)}-effects"
        made.append(Exhibit(name, title, caption, alt, frame, columns=columns, tab=words, behind=behind))
    return made


def _line(row: Mapping[Any, Any]) -> dict[str, str]:
    """A term as a printed line."""
    return {
        "family": row["setting"],
        "term": word(row["term"]),
        "df": str(row["df"]),
        "sum of squares": style.number(row["sum_sq"] * 1e4, 3),
        "F": style.number(row["F"], 3),
        "p": chance(row["p"]),
        "q": chance(row["q"]),
        "η²": style.number(row["eta"], 2),
        "ω²": style.number(row["omega"], 2),
        "95 %": f"{style.number(row['low'], 2)} to {style.number(row['high'], 2)}" if row["low"] == row["low"] else "",
    }


# ------------------------------------------------------------------------------------------- sentences


def told(tables: Tables, experiment: Experiment, family: str = "", outcome: str = "valid_accuracy") -> list[Answer]:
    """Which terms of a factorial are clear, the largest first; [] where there is no test."""
    frame = analysis(tables)
    mine = (frame["experiment"] == experiment.name) & (frame["setting"] == family) & (frame["outcome"] == outcome)
    own = frame[mine & frame["q"].notna()].sort_values("omega", ascending=False)
    if own.empty:
        return []
    clear, top = records(own[own["q"] < grid.LEVEL]), records(own)[0]
    words = [f"{word(row['term'])} ({_size(row)})" for row in clear]
    what = OUTCOMES[outcome].replace("train − test", "training less test accuracy")
    runs = plural(int(own["n"].max()), "run")
    if words:
        text = f"{what[:1].upper()}{what[1:]} clearly depends on {enumerated(words)}."
        return [Answer(text, about=family, numbers=tuple(map(_number, clear)), sure=f"q < {grid.LEVEL}, {runs}")]
    largest = f"the largest is {word(top['term'])} ({_size(top)})"
    text = f"No effect on {what} is clear, of {plural(len(own), 'term')}; {largest}."
    sure = f"q ≥ {grid.LEVEL}, {runs}, which is no evidence of no effect"
    return [Answer(text, about=family, numbers=(_number(top),), sure=sure)]


def _size(row: grid.Row) -> str:
    return f"{_share(row)}, {q_words(row['q'])}"


def _share(row: grid.Row) -> str:
    low, high = (style.number(row[end], 2) for end in ("low", "high"))
    return f"partial ω² {style.number(row['omega'], 2)} [{low}, {high}]"


def _number(row: grid.Row) -> Number:
    return number(f"{word(row['term'])}, partial ω²", {**row, "mean": row["omega"]}, _share(row))


def overall(tables: Tables, *, outcome: str = "valid_accuracy") -> list[Answer]:
    """How many terms of all the study's factorials are clear, and the largest of them.

    Raises
    ------
    NothingToShow
        Where no term has a test.
    """
    frame = analysis(tables)
    rows = frame[(frame["outcome"] == outcome) & frame["q"].notna()]
    if rows.empty:
        raise NothingToShow("no factorial of the study has a test.")
    top = records(rows.nlargest(1, "omega"))[0]
    clear = int((rows["q"] < grid.LEVEL).sum()) or "none"
    where = ", ".join(filter(None, [top["experiment"], top["setting"]]))
    text = (
        f"Of {plural(len(rows), 'effect')} and interactions on {OUTCOMES[outcome]}, {clear} are clear after "
        f"correction; the largest is that of {word(top['term'])}{f' ({where})' if where else ''}, {_size(top)}."
    )
    sure = f"q < {grid.LEVEL} of Benjamini and Hochberg over all tests"
    return [Answer(text, numbers=(_number(top),), sure=sure)]
