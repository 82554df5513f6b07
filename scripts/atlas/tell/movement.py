"""Exhibits on how far the parameters moved: from the start, in each interval, by layer, and as a table of norms."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from atlas.tell import style
from atlas.tell.dots import ABOVE
from atlas.tell.exhibit import Exhibit, NothingToShow
from atlas.tell.runs import extremes, intervals, labels, mean_text, of_asked, plural, shortfall, with_cells
from atlas.tell.tables import last, summarise

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
    """Distance from the start against epoch, data sets across, networks down; [Exhibit]."""
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
    found = summarise(steps(tables, "consecutive"), ["cell_id", "from_epoch", "to_epoch"], "distance")
    data = with_cells(tables, found)
    ends = sorted(set(zip(data["from_epoch"], data["to_epoch"], strict=True)))
    at = {end: place for place, end in enumerate(ends)}
    pairs = zip(data["from_epoch"], data["to_epoch"], strict=True)
    names = [f"{a}→{b}" for a, b in ends]
    fig = lines(tables, data.assign(at=[at[pair] for pair in pairs]), "epochs", "‖θ(end) − θ(begin)‖", names)
    first = data[data["from_epoch"] == ends[0][0]]
    caption = (
        "How far the parameters move in each stretch between two snapshots, the distance ‖θ(end) − θ(begin)‖ over "
        f"all learnable parameters: means over the finished replicates. {intervals('Bars', data)} A falling line: "
        "most of the way is made early. Distances of successive stretches add up to more than the distance from the "
        f"start unless the path is straight. {scales(tables, data)}{shortfall(tables)}"
    )
    alt = f"Line charts. {extremes(tables, first, f'The distance in the first stretch ({names[0]})', three)}"
    return [Exhibit("interval-norms", "Distance moved in each interval", caption.strip(), alt, data, fig)]


def lines(tables, data, xlabel, ylabel, names=None):
    """Small multiples of means with intervals against `at`, one line a cell; names label the places 0, 1, .. of x."""
    datasets = [name for name in tables.values("dataset") if name in set(data["dataset"])]
    networks = [name for name in tables.values("network") if name in set(data["network"])]
    tints, panels = tables.values("tint"), tables.values("panel")
    colours = dict(zip(tints, style.colours(len(tints)), strict=True))
    fig = style.figure(1.95 * len(networks) + 0.85)
    grid = fig.subplots(len(networks), len(datasets), sharex=True, sharey="row", squeeze=False)
    gap = np.diff(np.unique(data["at"])).min() if data["at"].nunique() > 1 else 1
    for down, network in enumerate(networks):
        for right, dataset in enumerate(datasets):
            axes = grid[down, right]
            cells = tables.where(dataset=dataset, network=network)
            for place, cell in enumerate(cells.itertuples()):
                part = data[data["cell_id"] == cell.cell_id]
                shift = 0.5 * gap * ((place + 0.5) / len(cells) - 0.5)
                kind = panels.index(cell.panel) % len(LINES)
                look = {"color": colours[cell.tint], "marker": MARKERS[kind], "linestyle": LINES[kind]}
                axes.plot(part["at"] + shift, part["mean"], markersize=4, linewidth=1.2, **look)
                axes.vlines(part["at"] + shift, part["low"], part["high"], color=colours[cell.tint], linewidth=1.2)
            axes.set_title(" · ".join([network] * (len(networks) > 1) + [dataset] * (len(datasets) > 1)))
        grid[down, 0].set_ylabel(ylabel)
        shown = data[data["network"] == network]
        style.log_if_wide(grid[down, 0], shown["mean"])
        if grid[down, 0].get_yscale() == "linear":
            grid[down, 0].set_ylim(bottom=0)
        else:
            grid[down, 0].set_ylim(bottom=shown["mean"][shown["mean"] > 0].min() / 2)
    for axes in grid[-1]:
        axes.set_xlabel(xlabel)
        if names:
            every = -(-len(names) // {1: 12, 2: 7}.get(len(datasets), 5))
            axes.set_xticks(range(0, len(names), every), names[::every])
        else:
            axes.xaxis.get_major_locator().set_params(integer=True)
    handles = [Line2D([], [], color=colours[tint], label=tint, linewidth=3) for tint in tints if tint]
    grey = {"color": style.QUIET, "markersize": 4, "linewidth": 1.2}
    handles += [
        Line2D([], [], marker=MARKERS[i % 4], linestyle=LINES[i % 4], label=panel, **grey)
        for i, panel in enumerate(panels)
        if panel
    ]
    if handles:
        fig.legend(handles=handles, ncols=min(len(handles), 5), **ABOVE)
    return fig


def layer_moves(tables):
    """Relative movement from the start to the last epoch by cell and layer: labels, layer, n, of, mean, low, high."""
    moved = tables.done("movement")
    moved = last(moved[(moved["interval"] == "start") & (moved["layer"] != "total")], "to_epoch")
    if moved.empty:
        raise NothingToShow("movement.csv has no layer's way from the start.")
    moved = moved.assign(relative=moved["relative"].where(np.isfinite(moved["relative"])))
    return with_cells(tables, summarise(moved, ["cell_id", "layer"], "relative"))


def movement_layers(tables):
    """Relative movement of every layer (rows, input on top) in every cell (columns) as heatmaps; [Exhibit]."""
    data = layer_moves(tables)
    fig, _ = layer_maps(tables, data, "‖θ − θ₀‖ / ‖θ₀‖ of the layer")
    by_layer = data.groupby(["network", "layer"], sort=False)["mean"].mean()
    words = []
    for network in by_layer.index.unique("network"):
        most, least = by_layer[network].idxmax(), by_layer[network].idxmin()
        words.append(
            f"in {network} {most} moved most ({style.number(by_layer[network, most], 3)} of its norm, mean over the "
            f"cells) and {least} least ({style.number(by_layer[network, least], 3)})"
        )
    caption = (
        "Movement of every layer from its start to the last epoch, relative to the norm of its start, ‖θ − θ₀‖ / "
        "‖θ₀‖: means over the finished replicates. Rows are layers, the input at the top; columns are cells. All "
        "panels share one scale, which has a colour of its own for exactly 0 (a frozen layer). A hatched cell is "
        "not in the grid, has no finished replicate, or starts from norm 0, so that its share is undefined. "
        f"{shortfall(tables)}"
    )
    alt = f"Heatmap of relative movement by layer and cell: {'; '.join(words)}."
    return [Exhibit("movement-layers", "Movement by layer", caption.strip(), alt, data, fig)]


def layer_maps(tables, data, label):
    """Heatmaps of `mean` by layer and cell, networks down and data sets across, on one scale: (figure, images)."""
    datasets = [name for name in tables.values("dataset") if name in set(data["dataset"])]
    networks = [name for name in tables.values("network") if name in set(data["network"])]
    layers = {name: list(dict.fromkeys(data.loc[data["network"] == name, "layer"])) for name in networks}
    names = {name: list(dict.fromkeys(tables.where(dataset=name)["label"])) for name in datasets}
    heights, widths = [len(layers[name]) + 1.5 for name in networks], [len(names[name]) for name in datasets]
    longest = max(len(text) for texts in names.values() for text in texts) if tables.axes else 0
    height = 0.165 * sum(heights) + 0.065 * longest + 0.9
    fig = style.figure(height)
    shape = {"height_ratios": heights, "width_ratios": widths}
    grid = fig.subplots(len(networks), len(datasets), squeeze=False, gridspec_kw=shape)
    norm = style.positive_scale(data["mean"])
    images = []
    for down, network in enumerate(networks):
        for right, dataset in enumerate(datasets):
            cells = tables.where(dataset=dataset, network=network).set_index("label")["cell_id"]
            part = data[data["cell_id"].isin(cells)].pivot(index="layer", columns="cell_id", values="mean")
            part = part.reindex(index=layers[network], columns=[cells.get(text, "") for text in names[dataset]])
            axes = grid[down, right]
            texts = names[dataset] if tables.axes else [""]
            images.append(style.heatmap(axes, part, norm, style.SEQUENTIAL, layers[network], texts))
            if sum(widths) <= 12:
                style.annotate(axes, images[-1], lambda value: style.number(value, 2))
            axes.set_title(" · ".join([network] * (right == 0) + [dataset] * (len(datasets) > 1)))
            axes.tick_params(labelleft=right == 0, labelbottom=down == len(networks) - 1)
    style.colourbar(fig, images[0], grid, label, location="bottom", aspect=50, pad=0.01, fraction=0.2 / height)
    if any(np.ma.getmaskarray(image.get_array()).any() for image in images):
        fig.legend(handles=[style.undefined_patch("no value")], **ABOVE)
    return fig, images


def norms(tables):
    """The table of ‖θ₀‖, ‖θ‖ at the end, ‖θ − θ₀‖, the cosine and the relative distance by cell; [Exhibit]."""
    moved = last(steps(tables, "start"), "to_epoch")
    columns = {
        "‖θ₀‖": "norm_from",
        "‖θ‖ at the end": "norm_to",
        "‖θ − θ₀‖": "distance",
        "distance / ‖θ₀‖": "relative",
        "cosine of θ₀ and θ": "cosine",
    }
    means = {column: summarise(moved, ["cell_id"], column).set_index("cell_id") for column in columns.values()}
    status = tables.status()
    rows = []
    for cell in tables.cells.to_dict("records"):
        row = labels(tables, cell) | {"replicates": of_asked(status.loc[cell["cell_id"]])}
        for words, column in columns.items():
            found, decimals = means[column], 6 if column == "cosine" else None
            there = cell["cell_id"] in found.index
            row[words] = mean_text(found.loc[cell["cell_id"]], 1, decimals) if there else "none"
        rows.append(row)
    caption = (
        "Norms of all learnable parameters θ, at the start (θ₀) and after the last epoch: means over the finished "
        f"replicates. {intervals('Parentheses', means['distance'])} A t interval knows no "
        "bounds, and may leave what a norm or a cosine can be. With a cosine near 1, θ still points where "
        "θ₀ pointed. "
    )
    alt = f"Table of norms of {plural(len(rows), 'cell')}."
    return [Exhibit("norms", "Norms", (caption + shortfall(tables)).strip(), alt, pd.DataFrame(rows))]


def three(value):
    """A number with three significant digits."""
    return style.number(value, 3)


def scales(tables, data):
    """Sentences on the axes, where there are several panels, and on bars that the axes cut."""
    one = len(tables.values("dataset")) == 1 and len(tables.values("network")) == 1
    cut = "A bar that reaches down to 0 is cut by the axis. " if (data["low"] <= 0).any() else ""
    return cut + ("" if one else "Panels of one network share their scale; networks differ. ")
