"""Exhibits on how far the parameters moved: from the start, and in each interval."""

import numpy as np
from matplotlib.lines import Line2D

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import ESTIMATE, extremes, intervals, shortfall, with_cells
from weight_atlas.reporting.grammar import panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.stats import summarise

LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")


def steps(tables, interval):
    """The whole network's rows of movement.csv for `interval` ("start" or "consecutive"), finished replicates."""
    moved = tables.done("movement")
    moved = moved[(moved["layer"] == "total") & (moved["interval"] == interval)]
    if moved.empty:
        raise NothingToShow(f"movement.csv has no total with the interval {interval!r}.")
    return moved


def movement(tables):
    """Distance from the start against epoch, a panel a network and data set; [Exhibit]."""
    data = with_cells(tables, summarise(steps(tables, "start"), ["cell_id", "to_epoch"], "distance"))
    fig = lines(tables, data.assign(at=data["to_epoch"]), "epoch", "‖θ − θ₀‖")
    ends = data[data["to_epoch"] == data.groupby("cell_id")["to_epoch"].transform("max")]
    caption = (
        "Distance of all learnable parameters from their start, ‖θ − θ₀‖ (Euclidean norm), against epoch: means "
        f"over the finished replicates. {intervals('Bars', data)} Points of one epoch are set side by side. A curve "
        "that flattens: later epochs take the parameters little farther away. "
        f"{scales(tables, data)}{shortfall(tables)}"
    )
    alt = f"Line charts. {extremes(tables, ends, 'The distance from the start at the last epoch', three)}"
    return [Exhibit("movement", "Distance from the start", caption.strip(), alt, data, fig)]


def interval_norms(tables):
    """Distance moved between consecutive snapshots, ‖θ5 − θ0‖, ‖θ10 − θ5‖ ..; [Exhibit]."""
    found = tables.summary("distance")
    found[["from_epoch", "to_epoch"]] = found["key"].str.split("-", expand=True).astype(int)
    data = with_cells(tables, found[["cell_id", "from_epoch", "to_epoch", *ESTIMATE]])
    name = data["from_epoch"].astype(str) + "→" + data["to_epoch"].astype(str)
    at = data.groupby("network")["to_epoch"].rank("dense")
    fig = lines(tables, data.assign(at=at, name=name), "epochs", "‖θ(end) − θ(begin)‖")
    first = data[data["from_epoch"] == data.groupby("cell_id")["from_epoch"].transform("min")]
    caption = (
        "How far the parameters move in each stretch between two snapshots, the distance ‖θ(end) − θ(begin)‖ over "
        f"all learnable parameters: means over the finished replicates. {intervals('Bars', data)} A falling line: "
        "most of the way is made early. Distances of successive stretches add up to more than the distance from the "
        f"start unless the path is straight. {scales(tables, data)}{shortfall(tables)}"
    )
    alt = f"Line charts. {extremes(tables, first, 'The distance in the first stretch', three)}"
    return [Exhibit("interval-norms", "Distance moved in each interval", caption.strip(), alt, data, fig)]


def lines(tables, data, xlabel, ylabel):
    """Small multiples of means with intervals against `at`, one line a cell; a column `name` labels the places."""
    tints, kinds = tables.values("tint"), tables.values("panel")
    colours = dict(zip(tints, style.colours(len(tints)), strict=True))
    strips = panels.strips(tables, data)
    fig, grid = panels.layout(strips, [1.5] * len(strips), 0.9, sharey=True)
    for (network, dataset), axes in grid.items():
        own = data[(data["network"] == network) & (data["dataset"] == dataset)]
        gap = np.diff(np.unique(own["at"])).min() if own["at"].nunique() > 1 else 1
        cells = tables.where(dataset=dataset, network=network)
        for place, cell in enumerate(cells.itertuples()):
            part = own[own["cell_id"] == cell.cell_id]
            shift = 0.5 * gap * ((place + 0.5) / len(cells) - 0.5)
            kind = kinds.index(cell.panel) % len(LINES)
            look = {"color": colours[cell.tint], "marker": MARKERS[kind], "linestyle": LINES[kind]}
            axes.plot(part["at"] + shift, part["mean"], markersize=4, linewidth=1.2, **look)
            axes.vlines(part["at"] + shift, part["low"], part["high"], color=colours[cell.tint], linewidth=1.2)
        if "name" in own:
            places = own.drop_duplicates("at").sort_values("at")
            places = places[:: -(-len(places) // {1: 12, 2: 7}.get(max(len(found) for _, found in strips), 4))]
            axes.set_xticks(places["at"], places["name"])
        else:
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if own["at"].nunique() == 1:
            axes.set_xlim(own["at"].iloc[0] - 1, own["at"].iloc[0] + 1)
    for network, dataset in panels.leftmost(strips):
        axes, shown = grid[network, dataset], data[data["network"] == network]
        axes.set_ylabel(ylabel)
        style.log_if_wide(axes, shown["mean"])
        if axes.get_yscale() == "linear":
            axes.set_ylim(bottom=0)
        else:
            axes.set_ylim(bottom=shown["mean"][shown["mean"] > 0].min() / 2)
    for key in panels.lowest(strips):
        grid[key].set_xlabel(xlabel)
    handles = [Line2D([], [], color=colours[tint], label=tint, linewidth=3) for tint in tints if tint]
    grey = {"color": style.QUIET, "markersize": 4, "linewidth": 1.2}
    handles += [
        Line2D([], [], marker=MARKERS[i % 4], linestyle=LINES[i % 4], label=kind, **grey)
        for i, kind in enumerate(kinds)
        if kind
    ]
    if handles:
        fig.legend(handles=handles, ncols=min(len(handles), 5), **ABOVE)
    return fig


def three(value):
    """A number with three significant digits."""
    return style.number(value, 3)


def scales(tables, data):
    """Sentences on the axes, where there are several panels, and on bars that the axes cut."""
    one = len(tables.values("dataset")) == 1 and len(tables.values("network")) == 1
    cut = "A bar that reaches down to 0 is cut by the axis. " if (data["low"] <= 0).any() else ""
    return cut + ("" if one else "Panels of one network share their scale; networks differ. ")
