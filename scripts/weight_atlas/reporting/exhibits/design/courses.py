"""The course of training of an experiment's levels: test accuracy in one panel, all curves, and the gap."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import figures, grid
from weight_atlas.reporting.exhibits.design.levels import Levels, read
from weight_atlas.reporting.exhibits.design.outcomes import outcome
from weight_atlas.reporting.exhibits.runs import course as curves
from weight_atlas.reporting.exhibits.runs.runs import intervals, shortfall
from weight_atlas.reporting.exhibits.runs.training import crosses, unfinished
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import Answer, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, joined
from weight_atlas.reporting.grammar.words import DIFFERENCE, SHARE, mean_text, plural, slug
from weight_atlas.shapes import Experiment

LINES = 8  # levels of one panel
GREY = "#B8B8B8"
ACROSS = 3  # panels beside one another


def chosen(shown: Levels, family: str, named: Sequence[str] = ()) -> list[str]:
    """The levels to draw of a family: the named ones, else all where they are few, else evenly many over the numbers,
    or those that are compared with and the extremes."""
    names = [name for name in shown.names(family) if not named or name in named]
    if len(names) <= LINES or named:
        return names
    if shown.axis.is_numeric:
        return [names[round(at * (len(names) - 1) / (LINES - 1))] for at in range(LINES)]
    ranked = sorted((name for name in names if shown.mean(family, name)["n"]),
                    key=lambda name: float(shown.mean(family, name)["mean"]))  # fmt: skip
    kept = {shown.compared(family), *ranked[: LINES // 2 - 1], *ranked[-(LINES // 2) :]}
    return [name for name in names if name in kept]


def tints(shown: Levels, names: Sequence[str]) -> dict[str, str]:
    """A colour per level: of numbers from dark to light, without the palest."""
    if not shown.axis.is_numeric:
        return dict(zip(names, style.colours(len(names)), strict=True))
    ramp = matplotlib.colormaps[style.SEQUENTIAL]
    return {name: matplotlib.colors.to_hex(ramp(at / max(len(names), 2) * 0.98)) for at, name in enumerate(names)}


def lines(tables: Tables, experiment: Experiment, *, levels: Sequence[str] = ()) -> list[Exhibit]:
    """Test accuracy by epoch, a line per level and a panel per family.

    Parameters
    ----------
    levels : sequence of str
        Those to draw, instead of all, or of LINES of many.
    """
    shown = read(tables, experiment)
    data = _by_epoch(shown, ["test_accuracy"])
    panels = [family for family in shown.families if (data["family"] == family).any()]
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    fig = style.figure(down * 2.7 + 0.6)
    grid_ = fig.subplots(down, across, squeeze=False, sharex=True)
    for axes, family in zip(grid_.flat, panels, strict=False):
        _lines(axes, shown, family, data, levels)
        axes.set_title(family)
    for axes in grid_.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid_[:, 0]:
        axes.set_ylabel("test accuracy (%)")
    for axes in grid_[-1]:
        axes.set_xlabel("epoch")
    drawn = list(dict.fromkeys(name for family in panels for name in chosen(shown, family, levels)))
    marks.legend(fig, list(grid_.flat), ncols=min(6, len(drawn) + 1))
    some = "" if len(drawn) == len(shown.axis.levels) else f"{len(drawn)} of {len(shown.axis.levels)} levels. "
    caption = (
        f"{grid.told(f'Test accuracy by epoch and {shown.axis.name}', shown.found)}. {some}Means over the finished "
        f"replicates with their 95 % band; a run that diverged or failed ends at a cross. {shortfall(shown.found)}"
    )
    alt = f"Line chart of {plural(len(drawn), 'level')} of {shown.axis.name}: {', '.join(drawn)}."
    name = f"{grid.prefix(experiment)}-lines"
    kept = data[data[shown.axis.name].isin(drawn)].drop(columns=["cell_id", "family"])
    return [Exhibit(name, f"Test accuracy by epoch and {shown.axis.name}", caption, alt, kept, fig)]


def _lines(axes: Axes, shown: Levels, family: str, data: pd.DataFrame, named: Sequence[str]) -> None:
    """The lines of a family, then the runs that ended early."""
    colours = tints(shown, chosen(shown, family, named))
    for name, colour in colours.items():
        own = data[(data["family"] == family) & (data[shown.axis.name] == name)]
        marks.band(axes, own, "epoch", scale=100, bounds=SHARE, color=colour, label=name)
    metrics = shown.found.read("metrics").dropna(subset="test_accuracy")
    for name, colour in colours.items():
        runs = metrics[metrics["cell_id"] == shown.mean(family, name)["cell_id"]]
        ended = unfinished(shown.found, runs)
        for seed in ended["seed"]:
            one = runs[runs["seed"] == seed]
            axes.plot(one["epoch"], one["test_accuracy"] * 100, color=colour, linewidth=0.8)
        crosses(axes, ended, "accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _by_epoch(shown: Levels, columns: Sequence[str]) -> pd.DataFrame:
    """Means by epoch of each cell, with the columns of the experiment and `family`."""
    names = grid.columns(shown.experiment)
    data: pd.DataFrame = curves.means(shown.found, ["cell_id", *names], list(columns))
    return data.assign(family=joined(data, list(shown.experiment.families)))


def course(tables: Tables, experiment: Experiment, *, levels: Sequence[str] = (), tab: str = "") -> list[Exhibit]:
    """Accuracy and loss by epoch on all splits, a column per level; an exhibit per family.

    Parameters
    ----------
    levels : sequence of str
        Those to draw, instead of all, or of LINES of many.
    tab : str
        What tells it from the course of other levels.
    """
    shown, made = read(tables, experiment), []
    for family in shown.families:
        names = chosen(shown, family, levels)
        if not names:
            continue
        cells = set(shown.means.loc[shown.means["family"] == family, "cell_id"])
        found = shown.found.part()
        found.cells = found.cells[found.cells["cell_id"].isin(cells)].reset_index(drop=True)
        told = f"{grid.told('Accuracy and loss by epoch', found)}."
        name = slug(grid.prefix(experiment), "course", tab, family)
        title = f"Training by {shown.axis.name}"
        made += curves.course(found, shown.axis.name, names, name=name, title=title, told=told,
                              tab=" · ".join(filter(None, [tab, family])))  # fmt: skip
    if not made:
        raise NothingToShow(f"{grid.label(experiment)} has no level {' or '.join(levels)}.")
    return made


# ------------------------------------------------------------------------------------------- the gap


def gaps(tables: Tables, experiment: Experiment, *, levels: Sequence[str] = ()) -> list[Exhibit]:
    """Training and test accuracy at the last epoch by level, and their difference by epoch.

    Parameters
    ----------
    levels : sequence of str
        Those of which the course is drawn, instead of all, or of LINES of many.
    """
    shown = read(tables, experiment)
    if any(len(shown.names(family)) > figures.MANY for family in shown.families):
        raise NothingToShow(f"{grid.label(experiment)} has too many levels for a figure of their gaps.")
    rows = grid.reached(shown.found)
    columns = grid.columns(experiment)
    data = pd.concat(
        [
            grid.means(shown.found, column, columns, rows).assign(quantity=column)
            for column in ("train_accuracy", "last", "gap")
        ],
        ignore_index=True,
    )
    data = data.assign(family=joined(data, list(experiment.families)))
    runs = shown.found.done("metrics")
    runs = runs.assign(gap=runs["train_accuracy"] - runs["test_accuracy"]).dropna(subset="gap")
    courses = stats.summarise(runs, ["cell_id", "epoch"], "gap")
    several = len(figures.pages(shown)) > 1
    return [_gaps(shown, page, data, courses, levels, several) for page in figures.pages(shown)]


def _gaps(shown: Levels, families: Sequence[str], data: pd.DataFrame, courses: pd.DataFrame, named: Sequence[str],
          several: bool) -> Exhibit:  # fmt: skip
    heights = [max(2.0, 0.27 * (len(shown.names(family)) + 0.4)) for family in families]
    fig = style.figure(sum(heights) + 0.35 * (len(families) - 1) + 0.95)
    panels = fig.subplots(len(families), 2, squeeze=False, height_ratios=heights, width_ratios=(1.2, 1))
    for (left, right), family in zip(panels, families, strict=True):
        own = data[data["family"] == family].set_index([shown.axis.name, "quantity"])
        _apart(left, shown.names(family), own.to_dict("index"))
        names = chosen(shown, family, named) or chosen(shown, family)
        for name, colour in tints(shown, names).items():
            line = courses[courses["cell_id"] == shown.mean(family, name)["cell_id"]]
            if len(line):
                marks.band(right, line, "epoch", scale=100, bounds=DIFFERENCE, color=colour, label=name)
        right.axhline(0, **marks.ZERO)
        right.set_ylabel("train − test (points)")
        right.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        right.legend(loc="lower left", bbox_to_anchor=(0, 1), handlelength=1.4, columnspacing=1.2, ncols=3)
        if len(families) > 1:
            left.set_title(family)
    panels[-1, 0].set_xlabel("accuracy at the last epoch (%)")
    panels[-1, 1].set_xlabel("epoch")
    marks.legend(fig, panels[:, 0], ncols=2)
    kept = data[data["family"].isin(families)]
    caption = (
        f"{grid.told('Overfitting', shown.found)}. Left: accuracy on training and on test images at the last epoch, "
        f"and the gap, their difference in points ± half its 95 % interval. {intervals('Bands', kept)} A training "
        "accuracy is the mean during its epoch, with dropout and augmentation on, so that a gap can lie below 0. "
        f"{shortfall(shown.found)}"
    )
    tab = families[0] if several else ""
    name = slug(grid.prefix(shown.experiment), "gap", tab)
    title = f"The overfitting gap by {shown.axis.name}"
    shape = f"Dots of training and test accuracy of {plural(len(kept['cell_id'].unique()), 'cell')}, and their gap."
    alt = " ".join([shape, *(one.statement for one in widest(shown, kept))])
    return Exhibit(name, title, caption, alt, kept.drop(columns=["cell_id", "family"]), fig, tab=tab)


def _apart(axes: Axes, names: Sequence[str], rows: Mapping[Any, Any]) -> None:
    """Training and test accuracy of each level, joined by a bar, and their gap in numbers beside it."""
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 9}
    for at, name in enumerate(names):
        if not rows[name, "gap"]["n"]:
            axes.text(0.02, at, "✕ none finished", va="center", color=style.WARNING, **beside)
            continue
        train, test = (rows[name, column]["mean"] * 100 for column in ("train_accuracy", "last"))
        axes.plot([test, train], [at, at], color=GREY, linewidth=3, solid_capstyle="butt", zorder=2)
        for value, colour, words in ((test, style.PALETTE[0], "test"), (train, style.PALETTE[1], "train")):
            axes.plot([value], [at], "o", color=colour, markersize=5.5, zorder=3, label=words, linestyle="")
        axes.text(
            1.02, at, mean_text(rows[name, "gap"], 100, 1, bounds=DIFFERENCE), va="center", color=style.INK, **beside
        )
    axes.text(1.02, -0.75, "gap", va="bottom", fontweight="bold", **beside)
    marks.shade([axes], len(names))
    axes.set_yticks(range(len(names)), names)


def widest(shown: Levels, data: pd.DataFrame) -> list[Answer]:
    """The widest and the narrowest gap of each family."""
    made = []
    there = data[(data["quantity"] == "gap") & (data["n"] > 0)]
    for family in dict.fromkeys(there["family"]):
        rows: list[Any] = there[there["family"] == family].sort_values("mean").to_dict("records")
        ends = [f"{row[shown.axis.name]}, {outcome('gap').text(row)}" for row in (rows[-1], rows[0])]
        text = f"The gap at the last epoch is widest with {ends[0]}, and narrowest with {ends[1]}."
        numbers = tuple(number(f"gap of {row[shown.axis.name]}", row, outcome("gap").text(row)) for row in rows)
        made.append(Answer(text, None, family, numbers, f"95 % intervals, {grid.seeds(rows)}"))
    return made


def gap_answer(tables: Tables, experiment: Experiment) -> list[Answer]:
    """How far training accuracy is above test accuracy: the widest gap and the narrowest."""
    shown = read(tables, experiment, "gap")
    return widest(shown, shown.means.assign(quantity="gap"))
