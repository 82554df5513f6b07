"""Exhibits on single layers: how far each moved from its start, and how far it turned, as heatmaps."""

import numpy as np

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall, with_cells
from weight_atlas.reporting.grammar import panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.tables import last
from weight_atlas.stats import summarise

ANNOTATED = 12


def layer_means(tables, column):
    """`column` of movement.csv from the start to the last epoch by cell and layer: labels, layer, n, of, mean .."""
    moved = tables.done("movement")
    moved = last(moved[(moved["interval"] == "start") & (moved["layer"] != "total")], "to_epoch")
    if moved.empty:
        raise NothingToShow("movement.csv has no layer's way from the start.")
    moved = moved.assign(**{column: moved[column].where(np.isfinite(moved[column]))})
    return with_cells(tables, summarise(moved, ["cell_id", "layer"], column))


def movement_layers(tables):
    """Relative movement of every layer (rows, input on top) in every cell (columns) as heatmaps; [Exhibit]."""
    data = layer_means(tables, "relative")
    fig, _ = layer_maps(tables, data, style.positive_scale(data["mean"]), "‖θ − θ₀‖ / ‖θ₀‖ of the layer")
    words = [
        f"in {network} {most} moved most ({style.number(means[most], 3)} of its norm, mean over the cells) and {least} "
        f"least ({style.number(means[least], 3)})"
        for network, means, most, least in ends(data)
    ]
    caption = (
        "Movement of every layer from its start to the last epoch, relative to the norm of its start, ‖θ − θ₀‖ / "
        f"‖θ₀‖: means over the finished replicates (intervals are in the CSV). {READING} The scale has a colour of its "
        f"own for exactly 0 (a frozen layer). {UNDEFINED}{shortfall(tables)}"
    )
    alt = f"Heatmap of relative movement by layer and cell: {'; '.join(words)}."
    return [Exhibit("movement-layers", "Movement by layer", caption.strip(), alt, data, fig)]


def rotation(tables):
    """The angle between every layer's start and end, as heatmaps, its cosine in the numbers; [Exhibit]."""
    data = layer_means(tables, "cosine")
    data["angle"] = np.degrees(np.arccos(data["mean"].clip(-1, 1)))
    angles = data.assign(mean=data["angle"])
    fig, _ = layer_maps(tables, angles, style.positive_scale(angles["mean"]), "angle between θ₀ and θ of the layer (°)")
    words = [
        f"in {network} {most} turned most (by {style.number(means[most], 3)}°, mean over the cells) and {least} least "
        f"(by {style.number(means[least], 3)}°)"
        for network, means, most, least in ends(angles)
    ]
    caption = (
        "How far every layer turned: the angle between its parameters at the start and after the last epoch, that of "
        f"the mean cosine over the finished replicates (the cosine with its interval is in the CSV). {READING} 0°: the "
        "layer still points where it pointed, and training has at most scaled it; 90°: nothing is left of the start's "
        "direction. "
        f"{UNDEFINED}{shortfall(tables)}"
    )
    alt = f"Heatmap of the angle to the start by layer and cell: {'; '.join(words)}."
    return [Exhibit("rotation", "Rotation by layer", caption.strip(), alt, data, fig)]


READING = "Rows are layers, the input at the top; columns are cells. All panels share one scale."
UNDEFINED = "Hatched: not in the grid, no finished replicate, or a start of norm 0, so that there is no value. "


def ends(data):
    """(network, mean by layer, the layer with the largest mean, the one with the smallest), a tuple a network."""
    for network, own in data.groupby("network", sort=False):
        means = own.groupby("layer", sort=False)["mean"].mean().dropna()
        if len(means):
            yield network, means, means.idxmax(), means.idxmin()


def layer_maps(tables, data, norm, label, cmap=style.SEQUENTIAL):
    """Heatmaps of `mean` by layer and cell, a panel a network and data set, on one scale: (figure, images)."""
    strips = panels.strips(tables, data)
    layers = {name: list(dict.fromkeys(data.loc[data["network"] == name, "layer"])) for name, _ in strips}
    cells = {network: list(dict.fromkeys(tables.where(network=network)["label"])) for network, _ in strips}
    texts = {network: cells[network] if tables.axes else [""] for network, _ in strips}
    below = [at + 1 == len(strips) or texts[strips[at + 1][0]] != texts[name] for at, (name, _) in enumerate(strips)]
    labels = sum(0.07 * max(map(len, texts[name])) for (name, _), shown in zip(strips, below, strict=True) if shown)
    fig, grid = panels.layout(strips, [0.17 * len(layers[name]) for name, _ in strips], labels + 0.9)
    images = []
    for (network, names), shown in zip(strips, below, strict=True):
        for dataset in names:
            own = tables.where(dataset=dataset, network=network).set_index("label")["cell_id"]
            part = data[data["cell_id"].isin(own)].pivot(index="layer", columns="cell_id", values="mean")
            part = part.reindex(index=layers[network], columns=[own.get(text, "") for text in cells[network]])
            axes = grid[network, dataset]
            images.append(style.heatmap(axes, part, norm, cmap, layers[network], texts[network]))
            if len(cells[network]) * max(len(names) for _, names in strips) <= ANNOTATED:
                style.annotate(axes, images[-1], lambda value: style.number(value, 2))
            axes.tick_params(labelleft=dataset == names[0], labelbottom=shown)
    slim = {"location": "bottom", "aspect": 50, "pad": 0.01, "fraction": 0.2 / fig.get_figheight()}
    style.colourbar(fig, images[0], list(grid.values()), label, **slim)
    if any(np.ma.getmaskarray(image.get_array()).any() for image in images):
        fig.legend(handles=[style.undefined_patch("no value")], **ABOVE)
    return fig, images
