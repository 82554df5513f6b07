"""Exhibits on first-layer filters and activations, and on filters that begin alike."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import Answer, Verdict
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Array, Tables, tensor
from weight_atlas.reporting.grammar.words import enumerated, plural, slug
from weight_atlas.settings import Start
from weight_atlas.stats import summarise

MOST = 64  # filters of a layer that are shown
ACROSS = 16
SHOWN = 36  # maps of a layer that are shown
WIDE = 12  # of them in a row
SIDE = 0.58  # inches of a map
EQUAL = 1e-3  # filters that differ by less than this part of their norm are equal but for rounding
# What the start of a cell makes equal, and in words.
VARIANTS = {
    "drawn": "drawn, every filter its own",
    "incoming": "equal incoming weights",
    "both": "equal incoming and outgoing weights",
}


class Kept(NamedTuple):
    """What is kept of one cell: its Tables, its label, the path of filters.safetensors, its keys by their last part."""

    found: Tables
    label: str
    path: Path
    keys: dict[str, str]

    def tensor(self, name: str) -> Array:
        """One of its tensors."""
        return tensor(self.path, self.keys[name])

    @property
    def network(self) -> str:
        """Its network, with its label."""
        return f"{self.found.values('network')[0]} ({self.label})"


def _kept(tables: Tables) -> list[Kept]:
    """What is kept of every cell with filters."""
    places: dict[str, tuple[Path, dict[str, str]]] = {}
    for path, key in tables.kept("filters"):
        places.setdefault(key.partition("/")[0], (path, {}))[1][key.rpartition("/")[2]] = key
    found = tables.only(places)
    if found.cells.empty:
        raise NothingToShow("no filters were kept: `measure: [filters]` in the config asks for them.")
    cells = zip(found.cells["cell_id"], found.cells["label"], strict=True)
    return [Kept(found.only([cell_id]), label, *places[cell_id]) for cell_id, label in cells]


def weights(tables: Tables) -> list[Exhibit]:
    """The first layer's filters after training, an exhibit per cell; cells with the same filters share one."""
    alike: dict[bytes, list[Kept]] = {}
    for one in _kept(tables):
        alike.setdefault(one.tensor("weights").tobytes(), []).append(one)
    return [_weights(own[0], [one.label for one in own]) for own in alike.values()]


def _weights(one: Kept, labels: Sequence[str]) -> Exhibit:
    """The filters of one cell, which all cells of these labels have."""
    values = one.tensor("weights")
    shown, colour = values[:MOST], values.shape[1] == 3
    fig, panels = _canvas(len(shown))
    for axes, weight in zip(panels, shown, strict=False):
        if colour:
            axes.imshow(tile(weight), interpolation="nearest")
        else:
            _signed(axes, weight[0], np.abs(shown).max())
    how = (
        "its three input channels as red, green and blue, from its lowest weight (black) to its highest (white) over "
        "all three"
        if colour
        else "blue below 0, red above, one scale for all"
    )
    count = f"{len(shown)} of {len(values)}" if len(values) > MOST else f"All {len(values)}"
    caption = (
        f"{count} filters of the first convolution of {one.network} after training, first replicate: each is "
        f"{values.shape[2]} × {values.shape[3]} weights, {how}."
        + (f" {enumerated(labels[1:])} {'has' if len(labels) == 2 else 'have'} the same." if labels[1:] else "")
    )
    data = pd.DataFrame(
        {
            "filter": range(len(values)),
            "norm": np.sqrt(np.square(values).sum(axis=(1, 2, 3))),
            "lowest": values.min(axis=(1, 2, 3)),
            "highest": values.max(axis=(1, 2, 3)),
        }
    )
    alt = f"Grid of {len(shown)} filters of {one.network}."
    name, title = slug("filter-weights", one.label), "Filters of the first layer"
    return Exhibit(name, title, caption, alt, data, fig, raster=True, tab=enumerated(labels))


def tile(weight: Array) -> Array:
    """A filter of three channels [3, h, w] as an image [h, w, 3] from 0 to 1, by its own lowest and highest weight."""
    low, high = weight.min(), weight.max()
    made: Array = (weight - low) / (high - low if high > low else 1)
    return made.transpose(1, 2, 0)


def _signed(axes: Axes, values: Array, reach: float) -> None:
    """An array [h, w] as an image: blue below 0, red above, up to `reach`."""
    axes.imshow(values, cmap=style.DIVERGING, vmin=-reach, vmax=reach, interpolation="nearest")


def _canvas(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with `count` square panels without axes, ACROSS a row: (figure, panels)."""
    across = min(ACROSS, max(count, 6))
    down = math.ceil(count / across)
    fig = style.figure(down * style.WIDTH / max(across, 10) + 0.15)
    layout: Any = fig.get_layout_engine()
    layout.set(w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.0)
    return fig, _blank(fig, down, across)


def _blank(fig: Figure | SubFigure, down: int, across: int) -> list[Axes]:
    """Panels without axes."""
    panels: list[Axes] = list(fig.subplots(down, across, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    return panels


# ------------------------------------------------------------------------------------------- activations


def activations(tables: Tables) -> list[Exhibit]:
    """What the first and the last convolution make of one image, an exhibit per cell."""
    return [_activations(one) for one in _kept(tables)]


def _activations(one: Kept) -> Exhibit:
    ends = {end: one.tensor(end) for end in ("first", "last")}
    first, last = (f"{len(maps)} maps of {maps.shape[1]} × {maps.shape[2]}" for maps in ends.values())
    some = f", of which the first {SHOWN} are shown" if max(map(len, ends.values())) > SHOWN else ""
    caption = (
        f"The first test image of {one.found.values('dataset')[0]} as {one.network} takes it, and the outputs of its "
        f"first convolution ({first}) and of its last ({last}){some}, before BatchNorm and ReLU, after training, first "
        "replicate. Each map has its own scale: blue below 0, red above."
    )
    rows = [
        {"layer": end, "map": at, "mean": float(each.mean()), "lowest": float(each.min()),
         "highest": float(each.max()), "positive": float((each > 0).mean())}
        for end, maps in ends.items()
        for at, each in enumerate(maps)
    ]  # fmt: skip
    alt = f"An image, and {first} and {last} that {one.network} makes of it."
    name, title = slug("filter-activations", one.label), "Activations of the first and the last convolution"
    fig = _mosaic(one.tensor("picture").astype(np.uint8), ends)
    return Exhibit(name, title, caption, alt, pd.DataFrame(rows), fig, raster=True, tab=one.label)


def _mosaic(image: Any, ends: Mapping[str, Array]) -> Figure:
    """The image [channels, h, w] at the left, the maps of the two layers beside it, each half with a title."""
    rows = [math.ceil(min(len(maps), SHOWN) / WIDE) for maps in ends.values()]
    fig = style.figure(max(1.9, sum(rows) * SIDE + 0.85))
    sides: Any = fig.subfigures(1, 2, width_ratios=(1, 3.4))
    [axes] = _blank(sides[0], 1, 1)
    grey = len(image) == 1 or all(np.array_equal(image[0], one) for one in image)
    look: dict[str, Any] = {"vmin": 0, "vmax": 255, "interpolation": "nearest"}
    axes.imshow(image[0] if grey else image.transpose(1, 2, 0), cmap="gray" if grey else None, **look)
    axes.set_title("the image", fontsize=10)
    halves = sides[1].subfigures(2, 1, height_ratios=[row + 0.6 for row in rows])
    for half, (end, maps), down in zip(halves, ends.items(), rows, strict=True):
        half.suptitle(f"{end} convolution", fontsize=10, fontweight="bold", x=0.02, ha="left")
        for axes, one in zip(_blank(half, down, WIDE), maps[:SHOWN], strict=False):
            _signed(axes, one, float(np.abs(one).max()) or 1.0)
    return fig


# ------------------------------------------------------------------------------------------- identical filters


def _variant(start: Start) -> str:
    """One of VARIANTS: which weights of a filter the perturbations of a start make equal."""
    steps = [step for step in start.steps or () if step["type"] == "identical"]
    return "drawn" if not steps else "both" if steps[-1].get("outgoing") else "incoming"


def identical_rows(tables: Tables) -> tuple[Tables, pd.DataFrame]:
    """(Tables of the cells whose filters are compared, identical.csv with `variant`, one of VARIANTS, for each row)."""
    found = tables.only(tables.read("identical")["cell_id"])
    variants = {cell: _variant(tables.settings[cell].start) for cell in found.cells["cell_id"]}
    return found, found.read("identical").assign(variant=lambda rows: rows["cell_id"].map(variants))


def identical(tables: Tables) -> list[Exhibit]:
    """How many of the first layer's filters differ, and by how much, by epoch and variant."""
    found, rows = identical_rows(tables)
    names = [name for name in VARIANTS if name in set(rows["variant"])]
    fig = style.figure(3.2)
    left, right = fig.subplots(1, 2)
    made, total = [], rows["filters"].max()
    for at, (name, colour, marker) in enumerate(zip(names, style.PALETTE, "osD", strict=False)):
        own, shift = rows[rows["variant"] == name], 0.012 * rows["epoch"].max() * (at - 1)  # none hides another
        for axes, column in ((left, "distinct"), (right, "spread")):
            data = summarise(own, ["variant", "epoch"], column)
            shown = data.assign(epoch=data["epoch"] + shift)
            marks.points(axes, shown, "epoch", bounds=(0, math.inf), color=colour, marker=marker,
                         label=VARIANTS[name])  # fmt: skip
            made.append(data.assign(quantity=column))
    left.set(ylabel="filters that differ", ylim=(0, total * 1.08))
    right.set_ylabel("largest distance / mean norm")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    marks.legend(fig, (left, right))
    data = pd.concat(made, ignore_index=True)
    seen = " ".join(one.sentence for one in answer(tables.learnt()))
    caption = (
        f"{seen} "
        f"{grid.told('Filters that begin alike', found)}: how many of the {total} filters of the first convolution "
        "differ from one another in any bit (left), and the largest distance between two of them over their mean norm "
        f"(right), at every snapshot; means over {grid.seeds(data.to_dict('records'))} replicates with their 95 % "
        f"intervals; equal values have none. {shortfall(found)}"
    )
    alt = f"Line charts of {len(names)} variants. {seen}"
    return [Exhibit("identical", "Do equal filters stay equal?", caption, alt, data, fig)]


def outcome(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """level -> {"filters", "start", "end" (distinct filters, lowest and highest over replicates), "spread" (largest at
    the last epoch), "equal" (whether it never is above EQUAL, start included)} of `identical_rows`."""
    found = {}
    for name, own in rows.groupby("variant", sort=False):
        epochs = own.groupby(["cell_id", "seed"])["epoch"]
        first, end = (own[own["epoch"] == epochs.transform(which)] for which in ("min", "max"))
        found[str(name)] = {
            "filters": int(own["filters"].iloc[0]),
            "start": [int(first["distinct"].min()), int(first["distinct"].max())],
            "end": [int(end["distinct"].min()), int(end["distinct"].max())],
            "spread": float(end["spread"].max()),
            "equal": bool((own["spread"] <= EQUAL).all()),
        }
    return found


def phrase(name: str, one: Mapping[str, Any]) -> str:
    """ "with equal incoming weights 1 distinct filter at the start and 6 of 6 at the end (..)": a variant in words."""
    start, end = (" to ".join(map(str, dict.fromkeys(one[key]))) for key in ("start", "end"))
    apart = f"at most {style.short(one['spread'])} of a norm apart" if one["spread"] else "exactly equal"
    noun = "filter" if start == "1" else "filters"
    different = f"{start} distinct {noun} at the start and {end} of {one['filters']} at the end"
    return f"with {VARIANTS[name]} {different} ({apart})"


def answer(tables: Tables) -> list[Answer]:
    """Whether equal filters stay equal: all, some, or none of the variants that begin with equal ones."""
    _, rows = identical_rows(tables)
    rows = tables.finished(rows)
    found = {name: one for name, one in outcome(rows).items() if name != "drawn"}
    if not found:
        raise NothingToShow("no filters begin alike.")
    stay = {one["equal"] for one in found.values()}
    verdict = Verdict.PARTLY if len(stay) > 1 else Verdict.YES if stay == {True} else Verdict.NO
    text = f"{'; '.join(phrase(name, one) for name, one in found.items())}.".replace("with", "With", 1)
    runs = rows[rows["variant"].isin(found)].drop_duplicates(["cell_id", "seed"])
    return [Answer(text, verdict, sure=f"counted in {plural(len(runs), 'run')}, without a test")]
