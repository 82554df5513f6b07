"""Heatmaps: of matrices, side by side with common rows, and by layer with a panel for each network and data set."""

import itertools
import math
import textwrap
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from weight_atlas.reporting.grammar import layer_rows, marks, panels, style
from weight_atlas.reporting.grammar.tables import Tables

ROW = 0.165  # inches
LETTER, TEXT = 0.078, 0.155  # inches of a letter of a label, and of a line of it
SLANT = 45  # degrees of labels that are wider than their columns
APART = 0.24  # inches between two of them, at least
LINES = 3  # of a label that has room
ANNOTATED = 12  # columns of a figure: with more of them the cells have no numbers
LARGEST = 1024


class Map(NamedTuple):
    """One of several heatmaps side by side: its values are indexed by the keys of rows and columns.

    label: what stands at its colour bar.
    """

    title: str
    values: pd.DataFrame
    norm: Normalize
    label: str = ""


class Column(NamedTuple):
    """A column that several heatmaps share.

    Attributes
    ----------
    key : tuple
        Of the values.
    text : str
        Its name.
    group : str
        What the neighbouring columns of one group are about.
    """

    key: tuple[Hashable, ...]
    text: str
    group: str = ""


def heatmap(axes: Axes, values: npt.ArrayLike, norm: Normalize, rows: Sequence[str]) -> AxesImage:
    """Values as colours: two of them on a scale that is symmetric about 0, a sequence of them on others.

    Parameters
    ----------
    axes : Axes
        Its background is hatched and shows through where a value is undefined.
    values : array [rows, columns]
        NaN where undefined.
    norm : Normalize
    rows : sequence of str
        Their labels; those of the columns are the caller's, or `heads`.
    """
    axes.patch.set(**style.UNDEFINED)
    masked = np.ma.masked_invalid(np.asarray(values, dtype=float))
    symmetric = bool(norm.vmin) and norm.vmin == -(norm.vmax or 0)
    cmap = style.DIVERGING if symmetric else style.SEQUENTIAL
    image = axes.imshow(masked, norm=norm, cmap=cmap, aspect="auto", interpolation="none")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_yticks(range(len(rows)), rows)
    return image


def heads(axes: Axes, names: Sequence[str], width: float, last: bool = True) -> None:
    """The names of the columns of a heatmap between it and its title: upright where they have room in `width` inches a
    column, else slanted, over the next heatmap's if it is not the last of its line. Where they are too many even for
    that, some are named, evenly spread."""
    wrapped = [fitted(name, width) for name in names]
    axes.xaxis.tick_top()
    if all(wrapped):
        axes.set_xticks(range(len(names)), ["\n".join(lines) for lines in wrapped])
        return
    axes.set_xticks([])
    for at in _named(len(names), width):
        text = axes.annotate(names[at], (at, 1.0), (-2, 4), ("data", "axes fraction"), "offset points", rotation=SLANT,
                             ha="left", va="bottom", rotation_mode="anchor", fontsize=9)  # fmt: skip
        text.set_in_layout(last)
    axes.set_title(axes.get_title(loc="left"), y=1.0, pad=72 * head_height(names, width))


def _named(count: int, width: float) -> list[int]:
    """Which of so many columns of `width` inches have room for a slanted name."""
    return marks.thinned(count, max(2, int(count * width / APART)))


def head_height(names: Sequence[str], width: float) -> float:
    """The inches that `heads` takes."""
    wrapped = [fitted(name, width) for name in names]
    if all(wrapped):
        return TEXT * max(map(len, wrapped)) + 0.05
    return LETTER * max(map(len, names)) * math.sin(math.radians(SLANT)) + 0.22


def fitted(text: str, width: float) -> list[str]:
    """A name in at most LINES lines of `width` inches, broken at spaces; [] where it does not fit."""
    lines = textwrap.wrap(text, max(1, int(width / LETTER)), break_long_words=False) or [""]
    return lines if len(lines) <= LINES and max(map(len, lines)) * LETTER <= width else []


def annotate(axes: Axes, image: AxesImage, text: Callable[[float], str]) -> None:
    """Write text(value) into every defined cell of a heatmap, dark on light colours and light on dark ones."""
    values: Any = image.get_array()
    for (row, column), value in np.ndenumerate(values.filled(np.nan)):
        if math.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            axes.text(
                column, row, text(value), ha="center", va="center", fontsize=9, color="white" if dark else style.INK
            )


def undefined(fig: Figure, label: str = "no value") -> list[Patch]:
    """The entry of the legend for hatched cells, where a heatmap of the figure has any."""
    shown: list[Any] = [image.get_array() for axes in fig.axes for image in axes.images]
    hatched = any(np.ma.getmaskarray(values).any() for values in shown)
    return [Patch(label=label, **style.UNDEFINED)] if hatched else []


def bar(fig: Figure, grid: Iterable[Axes], label: str) -> Colorbar:
    """The colour bar of heatmaps on one scale, below all of them."""
    found = list(grid)
    slim: dict[str, Any] = {"location": "bottom", "aspect": 50, "pad": 0.01, "fraction": 0.2 / fig.get_figheight()}
    return style.colourbar(fig, next(image for axes in found for image in axes.images), found, label, **slim)


# ------------------------------------------------------------------------------------------- matrices


def correlations(axes: Axes, matrix: npt.NDArray[np.floating]) -> AxesImage:
    """A matrix of correlations on the scale from -1 to 1, as a square without labels; a large one as block means."""
    image = heatmap(axes, shrink(matrix), Normalize(-1, 1), [])
    axes.set_xticks([])
    axes.set_aspect("equal")
    return image


def shrink(matrix: npt.NDArray[np.floating], largest: int = LARGEST) -> npt.NDArray[np.floating]:
    """The matrix as block means, its side at most `largest`; a block with an undefined value is undefined."""
    step = -(-len(matrix) // largest)
    if step == 1:
        return matrix
    edges = np.arange(0, len(matrix), step)
    counts = np.diff(np.append(edges, len(matrix)))
    sums = np.add.reduceat(np.add.reduceat(matrix.astype(np.float64), edges, axis=0), edges, axis=1)
    return np.asarray(sums / np.outer(counts, counts))


# ------------------------------------------------------------------------------------------- layers


def side_by_side(
    maps: Sequence[Map],
    rows: pd.Index,
    columns: Sequence[Column],
    height: float = ROW,
    hatched: str = "no value",
    extra: Sequence[Artist] = (),
    texts: Sequence[str] | None = None,
) -> Figure:
    """Heatmaps with common rows and columns, a scale and a colour bar each.

    Parameters
    ----------
    maps : sequence of Map
    rows : Index or MultiIndex
        Layers, or layers and parameters; a gap separates kinds of parameters.
    columns : sequence of Column
    height : float
        Of a row, in inches.
    hatched : str
        What the legend says of cells without a value.
    extra : sequence of Artist
        Further entries of the legend.
    texts : sequence of str, optional
        The names of the rows; by default their keys, with dots between.
    """
    texts = texts or [".".join(np.atleast_1d(row)) for row in rows]
    width = (style.WIDTH - LETTER * max(map(len, texts)) - 0.2) / len(maps) / len(columns)
    groups = _groups(columns, width)
    names = [column.text for column in columns]
    if groups is None:  # no room: the first of each group names it
        all_named = len(_named(len(names), width)) == len(names)
        above = _begun(columns) if all_named else [column.group for column in columns]
        names = [", ".join(filter(None, pair)) for pair in zip(above, names, strict=True)]
    fig = style.figure(height * len(rows) + head_height(names, width) + (TEXT if groups else 0) + 1.15)
    grid = fig.subplots(1, len(maps), sharey=True, squeeze=False)[0]
    keys = pd.MultiIndex.from_tuples([column.key for column in columns])
    for axes, (title, values, norm, label) in zip(grid, maps, strict=True):
        image = heatmap(axes, values.reindex(index=rows, columns=keys), norm, texts)
        axes.set_title(title)
        heads(axes, names, width, axes is grid[-1])
        if groups:
            axes.set_title(title, y=1.0, pad=72 * (2 * TEXT + 0.05))
        for name, first, last in groups or ():
            middle = ((first + last) / 2, 1.0)
            axes.annotate(name, middle, (0, 16), ("data", "axes fraction"), "offset points", ha="center", fontsize=9)
        for at in (at for at, begun in enumerate(_begun(columns)) if begun and at):
            axes.axvline(at - 0.5, color="white", linewidth=3)
        for at in _gaps(rows):
            axes.axhline(at - 0.5, color="white", linewidth=4)
        aspect = 18 if len(maps) > 1 else 50
        style.colourbar(fig, image, axes, label, location="bottom", aspect=aspect, pad=0.02)
    marks.legend(fig, (), extra=[*undefined(fig, hatched), *extra])
    return fig


def _begun(columns: Sequence[Column]) -> list[str]:
    """The group of each column that is the first of one, "" of all others."""
    before = [None, *(column.group for column in columns)]
    return [column.group if column.group != last else "" for column, last in zip(columns, before, strict=False)]


def _groups(columns: Sequence[Column], width: float) -> list[tuple[str, int, int]] | None:
    """(name, first column, last column) of each group, where names and columns have room upright in one line; None
    where they have not."""
    found = []
    for name, own in itertools.groupby(enumerate(columns), lambda pair: pair[1].group):
        places = [at for at, _ in own]
        found.append((name, places[0], places[-1]))
    room = all(len(name) * LETTER <= width * (last - first + 1) for name, first, last in found if name)
    room &= all(len(fitted(column.text, width)) == 1 for column in columns)
    return [one for one in found if one[0]] if room else None


def _gaps(rows: pd.Index) -> list[int]:
    """Where another kind of parameter begins; running means and variances are of one kind."""
    kinds = [str(row[-1]).partition("_")[0] for row in rows] if rows.nlevels > 1 else []
    return [at for at in range(1, len(kinds)) if kinds[at] != kinds[at - 1]]


def by_layer(tables: Tables, data: pd.DataFrame, norm: Normalize, label: str) -> Figure:
    """Heatmaps by layer (rows) and cell (columns) on one scale, a panel for each network and data set.

    Parameters
    ----------
    tables : Tables
    data : DataFrame
        A row for each cell and layer: cell_id, dataset, network, layer and mean. Of many layers some share a row (see
        `layer_rows`).
    norm : Normalize
    label : str
        What stands at the colour bar.
    """
    data = layer_rows.merged(data, ["cell_id", "dataset", "network", "layer"])
    strips = panels.strips(tables, data)
    layers = {name: list(dict.fromkeys(data.loc[data["network"] == name, "layer"])) for name, _ in strips}
    cells = {network: list(dict.fromkeys(tables.where(network=network)["label"])) for network, _ in strips}
    texts = {network: cells[network] if tables.axes else [""] for network, _ in strips}
    above = [not at or texts[strips[at - 1][0]] != texts[name] for at, (name, _) in enumerate(strips)]
    across = max(len(names) for _, names in strips)
    named = LETTER * max(len(layer) for own in layers.values() for layer in own) + 0.2
    widths = {network: (style.WIDTH - named) / across / len(own) for network, own in texts.items()}
    tops = [head_height(texts[name], widths[name]) for name, _ in strips]
    labels = sum(top for top, shown in zip(tops, above, strict=True) if shown)
    fig, grid = panels.layout(strips, [0.17 * len(layers[name]) for name, _ in strips], labels + 0.9)
    for (network, names), shown in zip(strips, above, strict=True):
        for dataset in names:
            axes = grid[network, dataset]
            part = data.merge(tables.where(dataset=dataset, network=network)[["cell_id", "label"]], on="cell_id")
            part = part.pivot(index="layer", columns="label", values="mean")
            part = part.reindex(index=layers[network], columns=cells[network])
            image = heatmap(axes, part, norm, layers[network])
            if shown:
                heads(axes, texts[network], widths[network], dataset == names[-1])
            else:
                axes.set_xticks([])
            if len(cells[network]) * across <= ANNOTATED:
                annotate(axes, image, lambda value: style.number(value, 2))
            axes.tick_params(labelleft=dataset == names[0])
    bar(fig, grid.values(), label)
    marks.legend(fig, (), extra=undefined(fig))
    return fig
