"""The figure of an experiment of one axis: its outcome by level, and beside it the differences between levels."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import answers, grid, levels, tuned
from weight_atlas.reporting.exhibits.design.levels import Levels
from weight_atlas.reporting.exhibits.design.outcomes import Outcome
from weight_atlas.reporting.exhibits.design.sweep import is_wide, positions
from weight_atlas.reporting.exhibits.runs.runs import PROTOCOLS, intervals, shortfall
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.dots import fate, tally, whole
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural, slug
from weight_atlas.shapes import Experiment
from weight_atlas.vocabulary import Protocol

MANY = 20  # levels: more are shown by their rank
FAMILIES, ROWS = 6, 40  # of one figure, all of its families together
ROW = 0.3  # inches
REPORTED: dict[str, Any] = {
    "linestyle": "",
    "marker": "|",
    "color": "black",
    "markersize": 13,
    "markeredgewidth": 2.2,
    "zorder": 4,
    "label": "in the document (one run)",
}


class Panels(NamedTuple):
    """The panels of a family: its outcome, and the differences; None where they have no room."""

    outcome: Axes
    forest: Axes | None


def by_level(tables: Tables, experiment: Experiment, *, outcome: str = "", reported: str = "") -> list[Exhibit]:
    """The outcome by level as dots with intervals, and the differences between levels beside it.

    Levels that are numbers stand on their scale. Above MANY levels others stand in the order of their means, with the
    extremes named.

    Parameters
    ----------
    outcome : str
        One outcome, instead of those that the config asks about.
    reported : str
        The part of the document's numbers that has {level: {"test": share}}.
    """
    given = tables.document.get(reported, {}) if reported else {}
    return [
        _exhibit(shown, page, given if name == "accuracy" else {}, len(pages(shown)) > 1)
        for name in levels.asked(experiment, outcome)
        for shown in [levels.read(tables, experiment, name)]
        for page in pages(shown)
    ]


def on_scale(shown: Levels) -> bool:
    """Whether levels stand on their scale: they are numbers, and some family has at least two that finished."""
    there = shown.means[shown.means["n"] > 0]
    return shown.axis.is_numeric and there.groupby("family")[shown.axis.name].nunique().max() > 1


def pages(shown: Levels) -> list[list[str]]:
    """The families of each exhibit: all in one where there is room, else one by one."""
    count = sum(len(shown.names(family)) for family in shown.families)
    fits = len(shown.families) <= FAMILIES and count <= ROWS
    return [shown.families] if fits else [[family] for family in shown.families]


def _exhibit(shown: Levels, families: Sequence[str], given: Mapping[str, Any], several: bool) -> Exhibit:
    fig, panels = strips(shown, families)
    for family, (left, right) in panels.items():
        names = shown.names(family)
        if on_scale(shown):
            curve(left, shown, family)
        elif len(names) > MANY:
            ranks(left, shown, family)
        else:
            dots(left, shown, family, {name: float(at) for at, name in enumerate(names)}, step=0.24)
            left.set_yticks(range(len(names)), names)
            marks.shade([left], len(names))
            for at, name in enumerate(names):
                if not shown.mean(family, name)["n"]:
                    fallen = fate(shown.found.status().loc[shown.mean(family, name)["cell_id"]])
                    marks.aside(left, at, f"✕ {fallen}", style.WARNING, 0.02)
        for at, name in enumerate(names):
            if "test" in given.get(name, {}) and len(names) <= MANY:
                report(left, shown, name, at, given[name]["test"] * 100)
        if right is not None:
            differences(right, shown, family)
    labelled(shown, families, panels)
    marks.legend(fig, [axes for pair in panels.values() for axes in pair if axes is not None], ncols=3)
    data = shown.means[shown.means["family"].isin(families)]
    tab = families[0] if several else ""
    return Exhibit(
        slug(levels.file(shown, "levels"), tab),
        levels.title(shown),
        caption(shown, families, data, bool(given)),
        alt(shown, families),
        table_of(shown, data),
        fig,
        tab=tab,
    )


def report(axes: Axes, shown: Levels, name: str, at: int, value: float) -> None:
    """The document's number beside the dots of a level, in view however far it is from them."""
    upright = on_scale(shown)
    if upright:
        axes.plot([positions(shown.axis)[name]], [value], **REPORTED | {"marker": "_"})
    else:
        axes.plot([value], [at], **REPORTED)
    axes.autoscale(axis="y" if upright else "x")
    cut(axes.yaxis if upright else axes.xaxis, shown.outcome)


def strips(shown: Levels, families: Sequence[str]) -> tuple[Figure, dict[str, Panels]]:
    """A figure with a strip of panels per family."""
    counts = [len(shown.names(family)) for family in families]
    least = 2.3 if on_scale(shown) else 0.0
    heights = [max(least, ROW * (count + 0.4)) if count <= MANY else 2.6 for count in counts]
    fig = style.figure(sum(heights) + 0.35 * (len(families) - 1) + 1.15)
    cells = fig.add_gridspec(len(families), 2, height_ratios=heights, width_ratios=(1.25, 1))
    found = {}
    for down, (family, count) in enumerate(zip(families, counts, strict=True)):
        if count > MANY or not any(row["family"] == family for row in shown.differences):
            found[family] = Panels(fig.add_subplot(cells[down, :]), None)
            continue
        left = fig.add_subplot(cells[down, 0])
        right = fig.add_subplot(cells[down, 1], sharey=None if on_scale(shown) else left)
        right.tick_params(labelleft=on_scale(shown))
        found[family] = Panels(left, right)
    return fig, found


# ------------------------------------------------------------------------------------------- the left panel


def looks(shown: Levels) -> list[tuple[str, str, str, str]]:
    """(protocol, words, marker, colour) of the dots of a level."""
    if set(shown.means["protocol"]) == {""}:
        return [("", "mean", "o", style.PALETTE[0])]
    return [(str(protocol), *told) for protocol, told in PROTOCOLS.items()]


def dots(axes: Axes, shown: Levels, family: str, places: Mapping[str, float], step: float, upright: bool = False,
         joined: bool = False, main: bool = False) -> None:  # fmt: skip
    """The means of a family's levels at their places, a mark per protocol, `step` apart; levels without one get none.

    main: whether the protocol of the differences is drawn alone.

    joined: whether a faint line joins the marks.
    """
    own = shown.means[(shown.means["family"] == family) & (shown.means["n"] > 0)]
    outcome, variants = shown.outcome, looks(shown)
    variants = [look for look in variants if look[0] in ("", Protocol.BEST_VALID)] if main else variants
    for number, (protocol, words, marker, colour) in enumerate(variants):
        rows: list[Any] = own[own["protocol"] == protocol].to_dict("records")
        at = [places[row[shown.axis.name]] + step * (number - (len(variants) - 1) / 2) for row in rows]
        for place, row in zip(at, rows, strict=True):
            marks.dot(axes, place, row, words, marker, colour, upright=upright, scale=outcome.scale,
                      bounds=outcome.bounds)  # fmt: skip
        if joined:
            axes.plot(at, [row["mean"] * outcome.scale for row in rows], color=colour, linewidth=0.8, alpha=0.6)
    cut(axes.yaxis if upright else axes.xaxis, outcome)


def cut(axis: Any, outcome: Outcome) -> None:
    """Keep an axis of values within what is possible."""
    low, high = axis.get_view_interval()
    reach = 0.02 * (high - low)
    least, most = (bound * outcome.scale for bound in outcome.bounds)
    axis.axes.set(**{f"{axis.axis_name}lim": (max(low, least - reach), min(high, most + reach))})


def curve(axes: Axes, shown: Levels, family: str) -> None:
    """The outcome against the numbers of the levels, with crosses where runs diverged."""
    names, axis = shown.names(family), shown.axis
    places = positions(axis)
    reach = np.ptp(list(places.values()))
    dots(axes, shown, family, places, step=0.012 * reach, upright=True, joined=True)
    for name in crossed(shown, family):
        axes.plot(places[name], 0.03, "X", color=style.WARNING, markersize=7, zorder=4, label="diverged", linestyle="",
                  transform=axes.get_xaxis_transform())  # fmt: skip
    axes.set_xlim(min(places.values()) - 0.06 * reach, max(places.values()) + 0.06 * reach)
    kept = spread([places[name] / reach for name in names], names)
    axes.set_xticks([places[names[at]] for at in kept], [names[at] for at in kept])
    axes.set_ylabel(shown.outcome.label)


def spread(places: Sequence[float], texts: Sequence[str]) -> list[int]:
    """Which tick labels to write so that none meets the one before: places are shares of the axis."""
    kept: list[int] = []
    for at, place in enumerate(places):
        apart = 0.011 * (len(texts[at]) + len(texts[kept[-1]])) + 0.02 if kept else 0.0
        if not kept or place - places[kept[-1]] >= apart:
            kept.append(at)
    return kept


def crossed(shown: Levels, family: str) -> list[str]:
    """The levels of a family at which runs diverged."""
    status = shown.found.status()["diverged"]
    return [name for name in shown.names(family) if status[shown.mean(family, name)["cell_id"]]]


def ranks(axes: Axes, shown: Levels, family: str, named: int = 3) -> None:
    """The levels in the order of their means, with the names of the extremes."""
    rows = [shown.mean(family, name) for name in shown.names(family)]
    names = [row[shown.axis.name] for row in sorted(rows, key=lambda row: float(row["mean"])) if row["n"]]
    places = {name: float(at) for at, name in enumerate(names)}
    dots(axes, shown, family, places, step=0.0, upright=True, main=True)
    for name in (*names[:named], *names[-named:]):
        value, up = shown.mean(family, name)["mean"] * shown.outcome.scale, name in names[:named]
        axes.annotate(name, (places[name], value), (0, 16 if up else -16), textcoords="offset points", rotation=90,
                      va="bottom" if up else "top", ha="center", fontsize=9)  # fmt: skip
    axes.set_xticks([])
    axes.set_ylabel(shown.outcome.label)


# ------------------------------------------------------------------------------------------- the right panel


def differences(axes: Axes, shown: Levels, family: str) -> None:
    """The differences of a family's levels as a forest, and beside each what it is compared with."""
    names, status = shown.names(family), shown.found.status()
    for at, name in enumerate(names):
        row = shown.difference(family, name)
        if row:
            marks.forest(axes, row, at, shown.outcome.scale)
        of = status.loc[shown.mean(family, name)["cell_id"]]
        text = "" if whole(of) else tally(of)
        if shown.axis.after:
            first = f"after {row['to']}" if row else "the start"
        else:
            first = compared_as(shown) if name == shown.compared(family) else ""
        text = f"{first} ({text})" if first and text else first or text
        marks.aside(axes, at, text, style.QUIET if whole(of) else style.WARNING, 1.02)
    axes.axvline(0, **marks.ZERO)
    if on_scale(shown):
        axes.set_yticks(range(len(names)), names)
    marks.shade([axes], len(names))


def compared_as(shown: Levels) -> str:
    """What the level that others are compared with is called."""
    return "best" if shown.axis.is_numeric and shown.outcome.better else "reference"


def labelled(shown: Levels, families: Sequence[str], panels: Mapping[str, Panels]) -> None:
    """Titles of the strips, and labels of the lowest panels."""
    axis, unit = shown.axis, f" ({shown.outcome.change_unit})" if shown.outcome.change_unit else ""
    for family, (left, right) in panels.items():
        if len(families) > 1:
            left.set_title(family)
        if family != families[-1]:
            continue
        left.set_xlabel(axis.name if on_scale(shown) else shown.outcome.label)
        if len(shown.names(family)) > MANY and not on_scale(shown):
            left.set_xlabel(f"{axis.name}, in the order of the means")
        if right is None:
            continue
        if axis.after:
            right.set_xlabel(f"difference to the step named beside it{unit}")
        else:
            to = {shown.compared(name) for name in families}
            words = f"the {compared_as(shown)}" if compared_as(shown) == "best" or len(to) > 1 else to.pop()
            right.set_xlabel(f"difference to {words}{unit}")


# ------------------------------------------------------------------------------------------- words


def caption(shown: Levels, families: Sequence[str], data: pd.DataFrame, reported: bool) -> str:
    """What is seen, and how to read it."""
    own = [row for row in shown.differences if row["family"] in families]
    told = " ".join(_answers(shown, families)) if len(families) == 1 else ""
    parts = [
        told,
        f"{grid.told(levels.title(shown), shown.found)}: {shown.outcome.meaning}.",
        tuned.explained(shown.experiment),
        shown.values.note,
        intervals("Lines", data),
        levels.told_by(shown) if reported else "",
        f"Differences are paired by seed ({grid.seeds(own)}), with 95 % Student t intervals; filled where q < "
        f"{marks.LEVEL}: {_corrected(len(shown.differences), shown.chosen)}."
        if own
        else "",
        "The scale is logarithmic." if on_scale(shown) and is_wide(shown.axis) else "",
        "A run whose loss is no longer finite has diverged, and no mean counts it."
        if any(crossed(shown, family) for family in families)
        else "",
        shortfall(shown.found),
    ]
    return " ".join(filter(None, parts))


def _answers(shown: Levels, families: Sequence[str]) -> list[str]:
    """The verdict on each family, which rests on replicates that learnt; [] where none did."""
    with suppress(NothingToShow):
        sound = levels.read(shown.found.learnt(), shown.experiment, shown.outcome.name)
        return [answers.told(sound, family)[0].statement for family in families]
    return []


def _corrected(tests: int, chosen: bool) -> str:
    if tests == 1:
        return "the p of one test"
    best = ", and for all pairs of levels, since the best is chosen by its mean" if chosen else ""
    return f"p corrected by Benjamini and Hochberg for all {tests} differences{best}"


def alt(shown: Levels, families: Sequence[str]) -> str:
    """The figure in words."""
    count = len(dict.fromkeys(name for family in families for name in shown.names(family)))
    told = " ".join(_answers(shown, families))
    return f"Dots with intervals of {plural(count, 'level')} of {shown.axis.name}. {told}"


def table_of(shown: Levels, data: pd.DataFrame) -> pd.DataFrame:
    """What the figure draws: the means with the difference of each level."""
    names = {"n": "difference_n", "mean": "difference", "low": "difference_low", "high": "difference_high"}
    beside = pd.DataFrame(shown.differences, columns=["family", "level", "to", *names, "p", "q"]).rename(columns=names)
    beside = beside.rename(columns={"level": shown.axis.name})
    kept = data.merge(beside, on=["family", shown.axis.name], how="left")
    kept = kept.drop(columns=["cell_id", "family", *(["protocol"] if not data["protocol"].any() else [])])
    return kept
