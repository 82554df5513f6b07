"""Exhibits and the answer of a factorial: its combinations, the levels of each factor, and two factors at a time."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import effects, grid, outcomes, tuned
from weight_atlas.reporting.exhibits.design.effects import records
from weight_atlas.reporting.exhibits.design.grid import label, prefix
from weight_atlas.reporting.exhibits.design.outcomes import Outcome
from weight_atlas.reporting.exhibits.runs.runs import HEADINGS, of_asked, shortfall
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import MARGIN, Answer, Verdict, is_clear, number, weighed
from weight_atlas.reporting.grammar.dots import whole
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.heatmaps import heatmap
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import DIFFERENCE, SHARE, enumerated, mean_text, plural, slug
from weight_atlas.shapes import Experiment

MOST = 20  # levels of a factor in a map, and labels on an axis
MAPS = 12  # in one figure
ROWS, COLUMNS = 8, 12  # of maps that stand side by side, so that a number fits into each cell
ACROSS = 3  # panels side by side
LINES = 8  # levels of one panel
BOX = "#D5DCE4"


class Family(NamedTuple):
    """The cells of a factorial on one data set with one network.

    Attributes
    ----------
    name : str
        Empty where the factorial has one family.
    found : Tables
    cells : DataFrame
        One row a cell: cell_id, a column per factor, n, of, mean, low, high of the outcome.
    rows : DataFrame
        One row a finished replicate: the same columns of labels, seed, value.
    """

    name: str
    found: Tables
    cells: pd.DataFrame
    rows: pd.DataFrame

    def ranked(self, sign: int = 1) -> list[grid.Row]:
        """The cells that have a mean, the largest first, or with a sign of -1 the smallest."""
        own = self.cells[self.cells["n"] > 0]
        return records(own.sort_values("mean", ascending=sign < 0, kind="stable"))


class Factorial(NamedTuple):
    """An outcome of a factorial: {factor: its levels in order}, and its families."""

    experiment: Experiment
    factors: dict[str, tuple[str, ...]]
    outcome: Outcome
    families: list[Family]

    def exhibit(self, family: Family, kind: str, by: str, caption: str, **parts: Any) -> Exhibit:
        """An exhibit of a family, named by the experiment and entitled by the outcome."""
        name = slug(prefix(self.experiment), kind, family.name)
        title = f"{self.outcome.words[:1].upper()}{self.outcome.words[1:]} by {by}"
        return Exhibit(name, title, caption, tab=family.name, **parts)

    @property
    def remarks(self) -> str:
        """Sentences on learning rates, and on combinations without a cell."""
        gaps = "" if self.experiment.complete else "The config leaves some combinations out."
        return " ".join(filter(None, [tuned.explained(self.experiment), gaps]))


def opened(tables: Tables, experiment: Experiment, outcome: str = "") -> Factorial:
    """A factorial with an outcome: the first that the experiment asks about unless it is named.

    Raises
    ------
    NothingToShow
        Where fewer than two axes vary, or no replicate has finished.
    """
    factors = {axis.name: axis.levels for axis in experiment.axes}
    if len(factors) < 2:
        raise NothingToShow(f"{plural(len(factors), 'axis')} of {label(experiment)} is no factorial.")
    found = grid.cells_of(tables, experiment)
    values = outcomes.values(tables, experiment, outcome or next(iter(experiment.of)))
    families = []
    named = found.cells[list(experiment.families)]
    for levels in records(named.drop_duplicates()) if experiment.families else [{}]:
        part = found.part(**levels)
        rows = values.frame[values.frame["cell_id"].isin(part.cells["cell_id"])]
        name = " · ".join(levels.values())
        if len(rows):
            families.append(Family(name, part, grid.means(part, "value", list(factors), rows), rows))
        else:
            effects.omit(tables, f"Nothing is shown of {name} in {label(experiment)}: no replicate has finished.")
    return Factorial(experiment, factors, values.outcome, families)


def combination(row: grid.Row, factors: Sequence[str]) -> str:
    """ "blocks 1, kernel 5": the levels of a row."""
    return ", ".join(f"{factor} {row[factor]}" for factor in factors)


# ------------------------------------------------------------------------------------------- combinations


def heatmaps(tables: Tables, experiment: Experiment, *, outcome: str = "") -> list[Exhibit]:
    """The mean outcome of every combination: a map by the first two factors, a panel per level of the others.

    Raises
    ------
    NothingToShow
        Where there are more levels or maps than can be read.
    """
    study = opened(tables, experiment, outcome)
    down, right, *others = study.factors.values()
    maps = math.prod(map(len, others))
    if max(len(down), len(right)) > MOST or maps > MAPS:
        size = " × ".join(str(len(levels)) for levels in study.factors.values())
        raise NothingToShow(f"{size} combinations are too many for a map: the levels and the table show them.")
    return [_heatmap(study, family) for family in study.families]


def _heatmap(study: Factorial, family: Family) -> Exhibit:
    factors, data, outcome = list(study.factors), family.cells, study.outcome
    down, right, *others = factors
    panels = list(itertools.product(*(study.factors[name] for name in others)))
    across = min(ACROSS, len(panels), max(1, COLUMNS // len(study.factors[right])))
    strips = math.ceil(len(panels) / across)
    written = len(study.factors[down]) <= ROWS and len(study.factors[right]) <= COLUMNS
    high = (0.62 if others else 0.72) if written else 0.25
    fig = style.figure(strips * (high * len(study.factors[down]) + 0.3) + 0.85)
    axes_of = fig.subplots(strips, across, sharex=True, sharey=True, squeeze=False)
    known = data.loc[data["n"] > 0, "mean"] * outcome.scale
    scale = Normalize(known.min(), known.max() if known.max() > known.min() else known.min() + 1)
    for axes in axes_of.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(axes_of.flat, panels, strict=False):
        here = dict(zip(others, panel, strict=True))
        own = data[(data[others] == list(panel)).all(axis=1)]
        image = _map(axes, study, own, scale, across, written)
        axes.set_title(combination(here, others))
    for axes in axes_of[:, 0]:
        axes.set_ylabel(down)
    for axes in axes_of[-1]:
        axes.set_xlabel(right)
    bar = style.colourbar(fig, image, list(axes_of.flat), outcome.label, pad=0.01, fraction=0.04)
    bar.locator = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    bar.formatter = FuncFormatter(lambda value, _: f"{value:g}")
    bar.update_ticks()
    ranked = family.ranked()
    ends = [f"{outcome.text(row)} ({combination(row, factors)})" for row in (ranked[-1], ranked[0])]
    seen = f"Mean {outcome.words} goes from {' to '.join(ends)}."
    caption = (
        f"{grid.told('Every combination', family.found)}. {seen} {outcome.meaning[:1].upper()}{outcome.meaning[1:]}, "
        f"mean{' ± half its 95 % Student t interval' if written else ''} over the finished replicates "
        f"({grid.seeds(records(data))})"
        f"{'; all maps have one scale' if others else ''}. {study.remarks} "
        f"{'Hatched: no value.' if len(known) < math.prod(map(len, study.factors.values())) else ''} "
        f"{shortfall(family.found)}"
    )
    return study.exhibit(
        family,
        "means",
        enumerated(factors),
        caption,
        alt=f"Heatmap of {plural(len(data), 'cell')}. {seen}",
        data=data.drop(columns="cell_id"),
        figure=fig,
    )


def _map(axes: Axes, study: Factorial, cells: pd.DataFrame, scale: Normalize, across: int, written: bool) -> Any:
    """One map of so many beside one another; returns its image."""
    down, right = list(study.factors.values())[:2]
    one, other = list(study.factors)[:2]
    means = cells.set_index([one, other])["mean"].unstack().reindex(index=down, columns=right)
    image = heatmap(axes, means * study.outcome.scale, scale, down)
    _ticks(axes, right, style.WIDTH / across)
    for cell in records(cells) if written else []:
        _write(axes, image, right.index(cell[other]), down.index(cell[one]), cell, study.outcome)
    return image


def _write(axes: Axes, image: Any, column: int, row: int, cell: grid.Row, outcome: Outcome) -> None:
    """The mean and half its interval in a cell of a map; n of N where some did not finish."""
    look: dict[str, Any] = {"ha": "center", "va": "center"}
    if not cell["n"]:
        axes.text(column, row, f"0/{cell['of']:g}", fontsize=9, color=style.WARNING, **look)
        return
    red, green, blue, _ = image.to_rgba(cell["mean"] * outcome.scale)
    look["color"] = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else style.INK
    mean, *rest = _parted(mean_text(cell, outcome.scale, outcome.decimals(cell), bounds=outcome.bounds))
    short = f"({cell['n']:g}/{cell['of']:g})" if cell["n"] < cell["of"] else ""
    note = " ".join([*rest, short]).strip()
    axes.text(column, row - 0.17 * bool(note), mean, fontsize=10, **look)
    axes.text(column, row + 0.2, note, fontsize=9, **look)


def _parted(text: str) -> list[str]:
    """A mean and its interval, if it has one: ["98.3", "± 1.2"] or ["98.3", "[95.1, 100]"]."""
    return text.split(" ", 1)


def table(tables: Tables, experiment: Experiment) -> list[Exhibit]:
    """Every combination in numbers, by protocol."""
    study = opened(tables, experiment, "accuracy")
    found, names = grid.cells_of(tables, experiment), grid.columns(experiment)
    rows, status = grid.reached(found), found.status()
    headings = [("valid_accuracy", "validation"), *HEADINGS.items(), ("gap", "train − test")]
    frame = found.cells[names].assign(done=[of_asked(status.loc[cell]) for cell in found.cells["cell_id"]])
    for column, heading in headings:
        means = records(grid.means(found, column, names, rows))
        frame[heading] = [
            mean_text(row, 100, 1, bounds=DIFFERENCE if column == "gap" else SHARE) if row["n"] else "none"
            for row in means
        ]
    columns = [name for name in frame if name != "done" or not whole(status.sum())]
    caption = (
        "Accuracy in percent, mean ± half its 95 % interval over the finished replicates: on validation images at "
        "their best epoch, on test by three protocols, and training less test accuracy at the last epoch in points. "
        f"{study.remarks} {shortfall(found)}"
    )
    title, alt = f"{enumerated(list(study.factors))} in numbers", f"Table of {plural(len(frame), 'combination')}."
    name, behind = (f"{prefix(experiment)}-{kind}" for kind in ("table", "means"))
    return [Exhibit(name, title, caption, alt, frame, columns=columns, behind=behind)]


def _ticks(axes: Axes, levels: Sequence[str], inches: float) -> None:
    """Label as many levels of a horizontal axis as fit beside one another."""
    step = math.ceil(len(levels) * (0.085 * max(map(len, levels)) + 0.12) / inches)
    axes.set_xticks(range(0, len(levels), step), levels[::step])


# ------------------------------------------------------------------------------------------- one factor at a time


def distributions(tables: Tables, experiment: Experiment, *, outcome: str = "") -> list[Exhibit]:
    """The distribution of the outcome by level of each factor: every run, median, inter-quartile range, mean."""
    study = opened(tables, experiment, outcome)
    return [_distribution(study, family) for family in study.families]


def _distribution(study: Factorial, family: Family) -> Exhibit:
    factors, outcome = study.factors, study.outcome
    widths = [len(levels) + 0.6 for levels in factors.values()]
    beside = sum(widths) < 2 * MOST
    fig = style.figure(3.35 if beside else 2.6 * len(factors) + 0.75)
    if beside:
        panels = fig.subplots(1, len(factors), sharey=True, width_ratios=widths)
    else:
        panels = fig.subplots(len(factors), 1, sharey=True)
    made = []
    for axes, (factor, levels) in zip(panels, factors.items(), strict=True):
        for at, level in enumerate(levels):
            own = family.rows[family.rows[factor] == level].sort_values([name for name in factors if name != factor])
            if len(own):
                made.append({"factor": factor, "level": level} | _level(axes, at, own["value"], outcome.scale))
        wide = style.WIDTH * ((len(levels) + 0.6) / sum(widths) if beside else 1)
        _ticks(axes, levels, wide)
        axes.set_xlim(-0.6, len(levels) - 0.4)
        axes.grid(axis="x", visible=False)
        axes.set_xlabel(factor)
    for axes in panels[:1] if beside else panels:
        axes.set_ylabel(outcome.label)
    marks.legend(fig, panels, ncols=4)
    data = pd.DataFrame(made)
    best = records(data.loc[data.groupby("factor", sort=False)["mean"].idxmax()])
    words = [f"{row['factor']} {row['level']} ({_mean(outcome, row['mean'])})" for row in best]
    seen = f"The highest means by level are those of {enumerated(words)}."
    counts = " to ".join(map(str, dict.fromkeys((data["n"].min(), data["n"].max()))))
    caption = (
        f"{grid.told('Each factor alone', family.found)}. {seen} Each level has all of its finished runs ({counts}), "
        "whatever their other settings: most of its spread is theirs, and the analysis of variance tells them from "
        f"chance. {study.remarks} {shortfall(family.found)}"
    )
    return study.exhibit(
        family,
        "levels",
        f"each of {enumerated(list(factors))}",
        caption,
        alt=f"Distributions by {len(factors)} factors. {seen}",
        data=data,
        figure=fig,
    )


def _level(axes: Axes, at: int, values: "pd.Series[float]", scale: float) -> dict[str, Any]:
    """Draw the runs of one level; returns its numbers."""
    low, middle, high = stats.quantiles(values, (0.25, 0.5, 0.75))
    spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(1)
    axes.plot(at + spread, values * scale, ".", color=style.PALETTE[0], markersize=4.5, alpha=0.75, zorder=3,
              label="a run")  # fmt: skip
    axes.add_patch(Rectangle((at - 0.34, low * scale), 0.68, (high - low) * scale, facecolor=BOX, linewidth=0, zorder=1,
                             label="inter-quartile range"))  # fmt: skip
    axes.hlines(middle * scale, at - 0.34, at + 0.34, color=style.INK, linewidth=1.6, zorder=4, label="median")
    axes.plot(at, values.mean() * scale, "D", color=style.PALETTE[1], markersize=6, zorder=5, label="mean")
    return {"n": len(values), "mean": values.mean(), "q25": low, "median": middle, "q75": high}


def _mean(outcome: Outcome, mean: float) -> str:
    """A mean without an interval."""
    return outcome.text({"n": 1, "mean": mean, "low": math.nan, "high": math.nan})


# ------------------------------------------------------------------------------------------- two factors at a time


def interactions(tables: Tables, experiment: Experiment, *, outcome: str = "") -> list[Exhibit]:
    """Means by the levels of every two factors, the others averaged by seed first: lines that are not parallel."""
    study = opened(tables, experiment, outcome)
    return [_interaction(study, family) for family in study.families]


def _interaction(study: Factorial, family: Family) -> Exhibit:
    outcome, factors = study.outcome, list(study.factors)
    pairs = list(itertools.combinations(factors, 2))
    across = min(ACROSS, len(pairs))
    strips = math.ceil(len(pairs) / across)
    fig = style.figure(2.8 * strips + 0.5)
    panels = fig.subplots(strips, across, sharey=True, squeeze=False)
    for axes in panels.flat[len(pairs) :]:
        axes.set_visible(False)
    data = pd.concat(
        [_lines(axes, study, family.rows, *pair, across) for axes, pair in zip(panels.flat, pairs, strict=False)],
        ignore_index=True,
    )
    for axes in panels[:, 0]:
        axes.set_ylabel(outcome.label)
    told = effects.told(family.found, study.experiment, family.name, outcome.name)
    seen = " ".join(one.sentence for one in told)
    few = f"Lines are of at most {LINES} levels. " if any(len(own) > LINES for own in study.factors.values()) else ""
    caption = (
        f"{grid.told('Two factors at a time', family.found)}. {seen} {few}Means with 95 % Student t intervals over "
        f"seeds ({grid.seeds(records(data))}){', averaged over the other factors' if len(factors) > 2 else ''}. "
        "Parallel lines add up; where lines cross, the best level of one factor depends on the other. "
        f"{study.remarks} {shortfall(family.found)}"
    )
    return study.exhibit(
        family,
        "interactions",
        f"two of {enumerated(factors)}",
        caption,
        alt=f"Line charts of {plural(len(pairs), 'pair')} of factors. {seen}",
        data=data,
        figure=fig,
    )


def _some(levels: Sequence[str]) -> Sequence[str]:
    """The levels that get a line: all of few, else LINES of them, evenly."""
    if len(levels) <= LINES:
        return levels
    return [levels[round(at * (len(levels) - 1) / (LINES - 1))] for at in range(LINES)]


def _lines(axes: Axes, study: Factorial, rows: pd.DataFrame, one: str, other: str, across: int) -> pd.DataFrame:
    """A line per level of one factor over the levels of the other; returns their means."""
    scale, (low, high) = study.outcome.scale, study.outcome.bounds
    seeds = rows.groupby([one, other, "seed"])["value"].mean().reset_index()
    data = stats.summarise(seeds, [one, other], "value")
    data = data.sort_values([one, other], key=lambda own: own.map(list(study.factors[str(own.name)]).index))
    lines, places = _some(study.factors[one]), study.factors[other]
    for at, (level, colour) in enumerate(zip(lines, style.colours(len(lines)), strict=True)):
        own = data[data[one] == level].set_index(other).reindex(places).dropna(subset="mean")
        x = np.array([places.index(place) for place in own.index]) + 0.08 * min(1, 3 / len(lines)) * (
            at - (len(lines) - 1) / 2
        )
        axes.plot(x, own["mean"] * scale, color=colour, marker="o", markersize=4.5, label=level)
        ends = own[["low", "high"]].clip(low, high) * scale
        axes.vlines(x, ends["low"], ends["high"], color=colour, linewidth=1.3)
    _ticks(axes, places, style.WIDTH / across)
    axes.set_xlim(-0.35, len(places) - 0.65)
    axes.set_xlabel(other)
    axes.legend(title=one, title_fontsize=9, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0),
                ncols=min(len(lines), 5), handlelength=1.0, columnspacing=0.9, handletextpad=0.4)  # fmt: skip
    data = data.assign(first=one, second=other).rename(columns={one: "level_first", other: "level_second"})
    return data[["first", "level_first", "second", "level_second", "n", "mean", "low", "high"]]


# ------------------------------------------------------------------------------------------- answer


def answer(tables: Tables, experiment: Experiment, *, outcome: str = "") -> list[Answer]:
    """Which combination is best and how sure that is, and which terms are clear; a family after the other."""
    study = opened(tables, experiment, outcome)
    sign = study.outcome.better or 1
    compared: list[grid.Row] = []
    for family in study.families:
        best = family.ranked(sign)[0]["cell_id"]
        rows = {str(cell): own for cell, own in family.rows.groupby("cell_id")}
        compared += [
            {"family": family.name, **grid.paired(own, rows[best], "value")}
            for cell, own in rows.items()
            if cell != best
        ]
    compared = grid.corrected(compared)
    made = [
        one
        for family in study.families
        for one in (
            _best(study, family, [row for row in compared if row["family"] == family.name]),
            *effects.told(family.found, study.experiment, family.name, study.outcome.name),
        )
    ]
    return [*made, *(Answer(text) for text in [tuned.said(experiment)] if text)]


def _best(study: Factorial, family: Family, compared: Sequence[grid.Row]) -> Answer:
    """Whether one combination of a family is better than all others; compared: it less each other, with q."""
    outcome, sign = study.outcome, study.outcome.better or 1
    best = family.ranked(sign)[0]
    name = combination(best, list(study.factors))
    margin = MARGIN if outcome.scale == 100 else 0.0
    clear = [row for row in compared if is_clear(row, sign)]
    verdict = weighed(compared if len(clear) == len(compared) else [row | {"q": 1.0} for row in compared], margin, sign)
    few = f"only {len(clear)}" if clear else "none"
    beside = {
        Verdict.YES: f"is clearly apart from all {len(compared)} others",
        Verdict.PARTLY: f"is clearly apart from all {len(compared)} others, by less than one point",
        Verdict.NO: "is less than one point from all others",
        Verdict.UNDECIDED: f"is clearly apart from {few} of {plural(len(compared), 'other')}",
    }
    most = "highest" if sign > 0 else "lowest"
    sentence = f"{name} has the {most} {outcome.words}, {outcome.text(best)}, and {beside[verdict]}."
    unclear = [row for row in compared if row not in clear]
    sure, decide = grid.certainty(unclear if verdict == Verdict.UNDECIDED else compared, verdict, margin)
    return Answer(sentence, verdict, family.name, (number(name, best, outcome.text(best)),), sure, decide)
