"""Exhibits on first-layer filters and activations, and on filters that begin alike."""

import math

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.tables import tensor
from weight_atlas.reporting.grammar.words import slug
from weight_atlas.stats import summarise

MOST = 64  # filters or maps of a layer that are shown
ACROSS = 16
EQUAL = 1e-3  # filters that differ by less than this part of their norm are equal but for rounding
# What the start of a cell makes equal, and in words.
VARIANTS = {
    "drawn": "drawn, every filter its own",
    "incoming": "equal incoming weights",
    "both": "equal incoming and outgoing weights",
}


def variant(start):
    """One of VARIANTS: which weights of a filter the perturbations of a start make equal."""
    steps = [step for step in start.steps or () if step["type"] == "identical"]
    return "drawn" if not steps else "both" if steps[-1].get("outgoing") else "incoming"


def parts(tables):
    """(Tables of one cell, its label, path of filters.safetensors, its keys by their last part) of every cell with
    filters."""
    kept = {}
    for path, key in tables.kept("filters"):
        kept.setdefault(key.partition("/")[0], (path, {}))[1][key.rpartition("/")[2]] = key
    found = tables.only(cell_id for cell_id in kept)
    if found.cells.empty:
        raise NothingToShow("no filters were kept: `measure: [filters]` in the config asks for them.")
    return [(found.only([cell.cell_id]), cell.label, *kept[cell.cell_id]) for cell in found.cells.itertuples()]


def weights(tables):
    """The first layer's filters after training, a grid a cell; list[Exhibit]."""
    made = []
    for found, level, path, keys in parts(tables):
        values = tensor(path, keys["weights"])
        colour = values.shape[1] == 3
        shown = values[:MOST]
        tiles = [tile(one) if colour else one[0] for one in shown]
        fig, axes = canvas(len(tiles))
        reach = np.abs(shown).max()
        for panel, one in zip(axes, tiles, strict=False):
            if colour:
                panel.imshow(one, interpolation="nearest")
            else:
                panel.imshow(one, cmap=style.DIVERGING, vmin=-reach, vmax=reach, interpolation="nearest")
        network = found.values("network")[0]
        told = f"{len(shown)} of {len(values)}" if len(values) > MOST else f"All {len(values)}"
        how = (
            "its three input channels as red, green and blue, from its lowest weight (black) to its highest (white) "
            "over all three"
            if colour
            else "blue below 0, red above, one scale for all"
        )
        caption = (
            f"{told} filters of the first convolution of {network} ({level}) after training, first replicate: each is "
            f"{values.shape[2]} × {values.shape[3]} weights, {how}."
        )
        data = pd.DataFrame(
            {
                "filter": range(len(values)),
                "norm": np.sqrt(np.square(values).sum(axis=(1, 2, 3))),
                "lowest": values.min(axis=(1, 2, 3)),
                "highest": values.max(axis=(1, 2, 3)),
            }
        )
        alt = f"Grid of {len(shown)} filters of {network}, {level}."
        name = f"filter-weights-{slug(level)}"
        made.append(
            Exhibit(
                name,
                "Filters of the first layer",
                caption,
                alt,
                data,
                fig,
                raster=True,
                tab=level,
            )
        )
    return made


def tile(weight):
    """A filter of three channels [3, h, w] as a picture [h, w, 3] from 0 to 1, by its own lowest and highest weight."""
    low, high = weight.min(), weight.max()
    return ((weight - low) / (high - low if high > low else 1)).transpose(1, 2, 0)


def canvas(count, across=ACROSS, above=0.15):
    """A figure with `count` square panels without axes, `across` a row: (figure, panels)."""
    across = min(across, max(count, 6))
    down = math.ceil(count / across)
    side = style.WIDTH / max(across, 10)
    fig = style.figure(down * side + above)
    fig.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.0)
    panels = fig.subplots(down, across, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    return fig, panels


def activations(tables):
    """What the first and the last convolution make of one picture; list[Exhibit]."""
    made = []
    for found, level, path, keys in parts(tables):
        picture = tensor(path, keys["picture"]).astype(np.uint8)
        ends = {end: tensor(path, keys[end]) for end in ("first", "last")}
        fig = mosaic(picture, ends)
        network, dataset = found.values("network")[0], found.values("dataset")[0]
        sizes = [f"{len(ends[end])} maps of {ends[end].shape[1]} × {ends[end].shape[2]}" for end in ends]
        some = f", of which the first {SHOWN} are shown" if max(map(len, ends.values())) > SHOWN else ""
        caption = (
            f"The first test picture of {dataset} as {network} ({level}) takes it, and the outputs of its first "
            f"convolution ({sizes[0]}) and of its last ({sizes[1]}){some}, before BatchNorm and ReLU, after training, "
            "first replicate. Each map has a scale of its own: blue below 0, red above."
        )
        rows = [
            {"layer": end, "map": at, **ends_of(one), "positive": float((one > 0).mean())}
            for end, maps in ends.items()
            for at, one in enumerate(maps)
        ]
        alt = f"A picture, and {sizes[0]} and {sizes[1]} that {network} makes of it."
        name = f"filter-activations-{slug(level)}"
        title = "Activations of the first and the last convolution"
        made.append(Exhibit(name, title, caption, alt, pd.DataFrame(rows), fig, raster=True, tab=level))
    return made


def ends_of(values):
    """The mean, the lowest and the highest of some values, a dict."""
    return {"mean": float(values.mean()), "lowest": float(values.min()), "highest": float(values.max())}


SHOWN = 36  # maps of a layer
WIDE = 12  # of them in a row of their half of the figure


SIDE = 0.58  # inches of a map


def mosaic(picture, ends):
    """The picture at the left, the maps of the two layers beside it, each half with a title."""
    rows = [math.ceil(min(len(maps), SHOWN) / WIDE) for maps in ends.values()]
    fig = style.figure(max(1.9, sum(rows) * SIDE + 0.85))
    left, right = fig.subfigures(1, 2, width_ratios=(1, 3.4))
    axes = left.subplots()
    grey = len(picture) == 1 or all(np.array_equal(picture[0], one) for one in picture)
    axes.imshow(picture[0] if grey else picture.transpose(1, 2, 0), cmap="gray" if grey else None, vmin=0, vmax=255,
                interpolation="nearest")  # fmt: skip
    axes.set_axis_off()
    axes.set_title("the picture", fontsize=10)
    halves = right.subfigures(2, 1, height_ratios=[row + 0.6 for row in rows])
    for half, (end, maps), down in zip(halves, ends.items(), rows, strict=True):
        half.suptitle(f"{end} convolution", fontsize=10, fontweight="bold", x=0.02, ha="left")
        panels = half.subplots(down, WIDE, squeeze=False).ravel()
        for panel in panels:
            panel.set_axis_off()
        for panel, one in zip(panels, maps[:SHOWN], strict=False):
            reach = float(np.abs(one).max()) or 1.0
            panel.imshow(one, cmap=style.DIVERGING, vmin=-reach, vmax=reach, interpolation="nearest")
    return fig


# ------------------------------------------------------------------------------------------- identical filters


def identical_rows(tables):
    """(Tables of the cells whose filters are compared, identical.csv with `variant`, one of VARIANTS, for each row)."""
    found = tables.only(tables.read("identical")["cell_id"])
    variants = {cell: variant(tables.settings[cell].start) for cell in found.cells["cell_id"]}
    return found, found.read("identical").assign(variant=lambda rows: rows["cell_id"].map(variants))


def identical(tables):
    """How many of the first layer's filters differ, and by how much, by epoch and variant; [Exhibit]."""
    found, rows = identical_rows(tables)
    names = [name for name in VARIANTS if name in set(rows["variant"])]
    fig = style.figure(3.2)
    left, right = fig.subplots(1, 2)
    made = []
    for at, (name, colour) in enumerate(zip(names, style.colours(len(names)), strict=True)):
        own = rows[rows["variant"] == name]
        marker = "osD^v"[at % 5]
        for axes, column in ((left, "distinct"), (right, "spread")):
            data = summarise(own, ["variant", "epoch"], column)
            marks.band(axes, data, "epoch", bounds=(0, math.inf), color=colour, label=VARIANTS[name])
            axes.plot(data["epoch"], data["mean"], marker, color=colour, markersize=4.5, linestyle="")
            made.append(data.assign(quantity=column))
    left.set_ylabel("filters that differ")
    left.set_ylim(0, float(rows["filters"].max()) * 1.08)
    right.set_ylabel("largest distance / mean norm")
    right.set_ylim(0, None)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    handles = [Line2D([], [], color=colour, marker="osD^v"[at % 5], markersize=4.5, label=VARIANTS[name])
               for at, (name, colour) in enumerate(zip(names, style.colours(len(names)), strict=True))]  # fmt: skip
    fig.legend(handles=handles, ncols=3, **ABOVE)
    data = pd.concat(made, ignore_index=True)
    total = int(rows["filters"].max())
    caption = (
        f"{grid.told('Filters that begin alike', found)}: how many of the {total} filters of the first convolution "
        "differ from one another in any bit (left), and the largest distance between two of them over their mean "
        f"norm (right), at every snapshot; means over {grid.seeds(data.to_dict('records'))} replicates with their 95 "
        f"% band. {shortfall(found)}"
    )
    alt = f"Line charts of {len(names)} variants. {' '.join(answer(tables))}"
    return [Exhibit("identical", "Do equal filters stay equal?", caption.strip(), alt, data, fig)]


def outcome(rows):
    """level -> {"filters", "start", "end" (distinct filters, lowest and highest over replicates), "spread" (largest at
    the last epoch), "equal" (whether it never is above EQUAL, start included)} of `identical_rows`."""
    found = {}
    for name, own in rows.groupby("variant", sort=False):
        first = own[own["epoch"] == own.groupby(["cell_id", "seed"])["epoch"].transform("min")]
        end = own[own["epoch"] == own.groupby(["cell_id", "seed"])["epoch"].transform("max")]
        found[name] = {
            "filters": int(own["filters"].iloc[0]),
            "start": [int(first["distinct"].min()), int(first["distinct"].max())],
            "end": [int(end["distinct"].min()), int(end["distinct"].max())],
            "spread": float(end["spread"].max()),
            "equal": bool((own["spread"] <= EQUAL).all()),
        }
    return found


def phrase(name, one):
    """ "with equal incoming weights 1 distinct filter at the start and 6 of 6 at the end (..)": a variant in words."""
    start, end = (" to ".join(map(str, dict.fromkeys(one[key]))) for key in ("start", "end"))
    apart = f"at most {style.short(one['spread'])} of a norm apart" if one["spread"] else "exactly equal"
    noun = "filter" if start == "1" else "filters"
    different = f"{start} distinct {noun} at the start and {end} of {one['filters']} at the end"
    return f"with {VARIANTS[name]} {different} ({apart})"


def answer(tables):
    """Whether equal filters stay equal."""
    _, rows = identical_rows(tables)
    found = outcome(rows)
    alike = [phrase(name, one) for name, one in found.items() if name != "drawn"]
    if not alike:
        raise NothingToShow("no filters begin alike.")
    return [f"{'; '.join(alike)}.".replace("with", "With", 1)]
