"""Exhibits on how far the parameters moved: from the start, and in each interval."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import ESTIMATE, extremes, intervals, shortfall, with_cells
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import three
from weight_atlas.stats import summarise

DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
TICKS = {1: 12, 2: 7, 3: 4}  # panels side by side -> names of intervals that one has room for


def steps(tables: Tables, interval: str) -> pd.DataFrame:
    """The whole network's rows of movement.csv for `interval` ("start" or "consecutive"), finished replicates."""
    moved = tables.done("movement")
    moved = moved[(moved["layer"] == "total") & (moved["interval"] == interval)]
    if moved.empty:
        raise NothingToShow(f"movement.csv has no total with the interval {interval!r}.")
    return moved


def movement(tables: Tables) -> list[Exhibit]:
    """Distance from the start against epoch."""
    data = with_cells(tables, summarise(steps(tables, "start"), ["cell_id", "to_epoch"], "distance"))
    ends = data[data["to_epoch"] == data.groupby("cell_id")["to_epoch"].transform("max")]
    caption = (
        "Distance of all learnable parameters from their start, ‖θ − θ₀‖ (Euclidean norm), against epoch: means "
        f"over the finished replicates. {intervals('Bars', data)} Points of one epoch are set side by side. A curve "
        "that flattens: later epochs take the parameters little farther away. "
        f"{_scales(tables, data)} {shortfall(tables)}"
    )
    alt = f"Line charts. {extremes(tables, ends, 'The distance from the start at the last epoch', three)}"
    fig = _lines(tables, data.assign(at=data["to_epoch"]), "epoch", "‖θ − θ₀‖")
    return [Exhibit("movement", "Distance from the start", caption, alt, data, fig)]


def interval_norms(tables: Tables) -> list[Exhibit]:
    """Distance moved between consecutive snapshots, ‖θ5 − θ0‖, ‖θ10 − θ5‖ .."""
    found = tables.summary("distance")
    found[["from_epoch", "to_epoch"]] = found["key"].str.split("-", expand=True).astype(int)
    data = with_cells(tables, found[["cell_id", "from_epoch", "to_epoch", *ESTIMATE]])
    first = data[data["from_epoch"] == data.groupby("cell_id")["from_epoch"].transform("min")]
    caption = (
        "How far the parameters move in each stretch between two snapshots, the distance ‖θ(end) − θ(begin)‖ over "
        f"all learnable parameters: means over the finished replicates. {intervals('Bars', data)} A falling line: "
        "most of the way is made early. Distances of successive stretches add up to more than the distance from the "
        f"start unless the path is straight. {_scales(tables, data)} {shortfall(tables)}"
    )
    alt = f"Line charts. {extremes(tables, first, 'The distance in the first stretch', three)}"
    at = data.groupby("network")["to_epoch"].rank("dense")
    name = data["from_epoch"].astype(str) + "→" + data["to_epoch"].astype(str)
    fig = _lines(tables, data.assign(at=at, name=name), "epochs", "‖θ(end) − θ(begin)‖")
    return [Exhibit("interval-norms", "Distance moved in each interval", caption, alt, data, fig)]


def _lines(tables: Tables, data: pd.DataFrame, xlabel: str, ylabel: str) -> Figure:
    """Means with intervals against `at`, a panel for each network and data set, a line for each cell."""
    strips = panels.strips(tables, data)
    fig, grid = panels.layout(strips, [1.5] * len(strips), 0.9, sharey=True)
    tints, kinds = tables.values("tint"), tables.values("panel")
    colours = dict(zip(tints, style.colours(len(tints)), strict=True))
    dashes: dict[str, Any] = {
        kind: {"marker": MARKERS[at % len(MARKERS)], "linestyle": DASHES[at % len(DASHES)]}
        for at, kind in enumerate(kinds)
    }
    ticks = TICKS[max(len(names) for _, names in strips)]
    for (network, dataset), axes in grid.items():
        own = panels.of(data, network, dataset)
        gap = np.diff(np.unique(own["at"])).min() if own["at"].nunique() > 1 else 1
        cells = tables.where(dataset=dataset, network=network)
        cell: Any
        for place, cell in enumerate(cells.itertuples()):
            part = own[own["cell_id"] == cell.cell_id]
            part = part.assign(at=part["at"] + 0.5 * gap * ((place + 0.5) / len(cells) - 0.5))
            marks.points(axes, part, "at", color=colours[cell.tint], **dashes[cell.panel])
        _ticks(axes, own, ticks)
    for network, dataset in panels.leftmost(strips):
        grid[network, dataset].set_ylabel(ylabel)
        style.from_zero(grid[network, dataset], data.loc[data["network"] == network, "mean"])
    for key in panels.lowest(strips):
        grid[key].set_xlabel(xlabel)
    named = [marks.entry(tint, color=colours[tint], linewidth=3) for tint in tints if tint]
    named += [marks.entry(kind, markersize=4, linewidth=1.2, **dashes[kind]) for kind in kinds if kind]
    marks.legend(fig, (), ncols=5, extra=named)
    return fig


def _ticks(axes: Axes, data: pd.DataFrame, most: int) -> None:
    """Whole epochs, or at most so many of the names of intervals, as ticks."""
    places = data.drop_duplicates("at").sort_values("at")
    if "name" in data:
        shown = places[:: -(-len(places) // most)]
        axes.set_xticks(shown["at"], shown["name"])
    else:
        locator: Any = axes.xaxis.get_major_locator()
        locator.set_params(integer=True, min_n_ticks=1)
    if len(places) == 1:
        axes.set_xlim(places["at"].iloc[0] - 1, places["at"].iloc[0] + 1)


def _scales(tables: Tables, data: pd.DataFrame) -> str:
    """Sentences on the axes, where there are several panels, and on bars that the axes cut."""
    one = len(tables.values("dataset")) == 1 and len(tables.values("network")) == 1
    cut = "A bar that reaches down to 0 is cut by the axis. " if (data["low"] <= 0).any() else ""
    return cut + ("" if one else "Panels of one network share their scale; networks differ.")
