"""Exhibits on learnt features: correlations between the activations of the second-last layer over the test set."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import ESTIMATE, extremes, intervals, shortfall, with_cells
from weight_atlas.reporting.exhibits.weights.movement import steps
from weight_atlas.reporting.grammar import dots, heatmaps, marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, joined, last
from weight_atlas.reporting.grammar.words import slug, three
from weight_atlas.stats import summarise

BINS = np.linspace(-1, 1, 41)
# A matrix is drawn about this many pixels wide: a larger one is smoothed on the way, a smaller one shows its cells.
PIXELS = 360

Matrix = npt.NDArray[np.floating]


def feature_correlation(tables: Tables) -> list[Exhibit]:
    """Correlation matrices and histograms of one replicate per network and optimizer, an exhibit per data set.

    Where the optimizer is the same, the setting that makes the small multiples takes its place.
    """
    across = "optimizer" if "optimizer" in tables.axes else tables.panel_axis
    shown = tables.cells[tables.cells["cell_id"].isin(tables.matrices())]
    shown = shown.assign(
        across=shown[across] if across else "",
        rest=joined(shown, [axis for axis in tables.axes if axis != across]),
    )
    shown = shown.drop_duplicates(["dataset", "network", "across"])
    if shown.empty:
        raise NothingToShow("no features.safetensors holds a matrix of its cells.")
    many = shown["dataset"].nunique() > 1
    return [
        _correlations(tables, cells, str(dataset) if many else "")
        for dataset, cells in shown.groupby("dataset", sort=False)
    ]


def _correlations(tables: Tables, cells: pd.DataFrame, tab: str) -> Exhibit:
    """The exhibit of one data set; `cells` has the columns across (small multiples) and rest (the other settings)."""
    networks, columns = list(cells["network"].unique()), list(cells["across"].unique())
    fig = style.figure(2.7 * len(networks) + 1.25)
    grid = fig.subplots(len(networks), len(columns) + 1, squeeze=False)
    colours = dict(zip(columns, style.colours(len(columns)), strict=True))
    norms, kept, parts, constants = _end_norms(tables), tables.matrices(), [], 0
    for axes in grid[:, :-1].flat:
        axes.set_visible(False)
    for cell in cells.to_dict("records"):
        line, tint = grid[networks.index(cell["network"])], cell["across"]
        matrix, seed = tables.matrix(cell["cell_id"]), kept[cell["cell_id"]][0]
        norm = norms.get((cell["cell_id"], seed), np.nan)
        _matrix(line[columns.index(tint)], matrix, norm)
        constants += np.isnan(np.diag(matrix)).sum()
        data = _histogram(matrix)
        label = f"{tint} (histogram)" if len(columns) > 1 else ""
        line[-1].stairs(data["share"] * 100, BINS, color=colours[tint], linewidth=1.5, label=label)
        front = {column: cell[column] for column in ("cell_id", "dataset", "network", *tables.axes)}
        front |= {"seed": seed, "features": len(matrix), "norm": norm}
        parts.append(data.assign(**front)[[*front, *data.columns]])
    _finish(grid, networks, columns)
    heatmaps.bar(fig, grid[:, :-1].flat, "correlation r")
    marks.legend(fig, grid[:, -1], extra=heatmaps.undefined(fig, "undefined: a constant feature"))
    data = pd.concat(parts, ignore_index=True)
    dataset = str(cells["dataset"].iloc[0])
    high = data[data["low"] > 0.499].groupby("cell_id", sort=False)["share"].sum()
    told = [f"{name} {style.percent(high[cell])}" for cell, name in _names(cells, ["network", "across"]).items()]
    seen = f"Pairs with r above 0.5: {', '.join(told)}."
    alt = f"Heatmaps and histograms of feature correlations on {dataset}. {seen}"
    caption, name = f"{seen} {_caption(cells, data, constants)}", slug("feature-correlation", tab)
    return Exhibit(name, "Correlation of features", caption, alt, data, fig, raster=True, palette=True, tab=tab)


def _matrix(axes: Axes, matrix: Matrix, norm: float) -> None:
    """One matrix as a heatmap, features ordered by similarity."""
    axes.set_visible(True)
    order = by_similarity(matrix)
    image = heatmaps.correlations(axes, matrix[np.ix_(order, order)])
    image.set_interpolation("auto" if 2 * len(matrix) > PIXELS else "none")
    size = f"{len(matrix)} features"
    axes.set_xlabel(f"{size}, ‖θ₁‖ = {style.number(norm)}" if np.isfinite(norm) else size)


def _finish(grid: Any, networks: Sequence[str], columns: Sequence[str]) -> None:
    """The labels of the panels, and the scales of the histograms at the right."""
    for axes, network in zip(grid[:, 0], networks, strict=True):
        axes.set_ylabel(network, fontweight="bold", labelpad=6)
    for axes, column in zip(grid[0], [*columns, "all pairs"], strict=True):
        axes.set_title(column)
    for axes in grid[:, -1]:
        axes.set(xlim=(-1, 1), ylabel="share of pairs (%)", box_aspect=0.9)
        axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "0.5", "1"])
        axes.set_ylim(bottom=0)
    grid[-1, -1].set_xlabel("correlation r")


def by_similarity(matrix: Matrix) -> npt.NDArray[np.intp]:
    """An order of features in which correlated ones are neighbours: average linkage on 1 - r, undefined ones last."""
    defined = np.flatnonzero(np.isfinite(np.diag(matrix)))
    rest = np.setdiff1d(np.arange(len(matrix)), defined)
    if len(defined) < 3:
        return np.concatenate([defined, rest])
    apart = np.clip(1 - matrix[np.ix_(defined, defined)], 0, 2).astype(np.float64)
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform((apart + apart.T) / 2, checks=False), "average")
    return np.concatenate([defined[leaves_list(tree)], rest])


def _histogram(matrix: Matrix) -> pd.DataFrame:
    """Share of the defined pairs i < j in each of 40 equal bins of r from -1 to 1: columns low, high, pairs, share."""
    values = matrix[np.triu_indices(len(matrix), 1)]
    counts, _ = np.histogram(np.clip(values[np.isfinite(values)], -1, 1), BINS)
    share = counts / max(counts.sum(), 1)
    return pd.DataFrame({"low": BINS[:-1], "high": BINS[1:], "pairs": counts, "share": share})


def _end_norms(tables: Tables) -> Mapping[Any, float]:
    """(cell_id, seed) -> norm of all learnable parameters at the last epoch, {} where movement.csv has none."""
    try:
        moved = last(steps(tables, "start"), "to_epoch")
    except NothingToShow:
        return {}
    return moved.set_index(["cell_id", "seed"])["norm_to"].to_dict()


def _caption(cells: pd.DataFrame, data: pd.DataFrame, constants: int) -> str:
    """The caption, with ‖θ₁‖ of every network shown."""
    rests, seeds = list(cells["rest"].unique()), sorted(set(data["seed"]))
    found = data.drop_duplicates("cell_id").set_index("cell_id")
    names = _names(cells, ["network", "across", "rest"] if len(rests) > 1 else ["network", "across"])
    norms = [f"{names[str(cell)]} {style.number(norm) or 'unknown'}" for cell, norm in found["norm"].items()]
    which = f"{rests[0]}, " if len(rests) == 1 and rests[0] else ""
    parts = [
        f"Pearson correlation between the features of the second-last layer on {cells['dataset'].iloc[0]}, over the "
        f"test images after the last epoch, in one replicate each ({which}seed {', '.join(map(str, seeds))}). Every "
        "matrix is one model with itself, ‖θ₁ − θ₂‖ = 0; the norm of its trained parameters, ‖θ₁‖ = ‖θ₂‖: "
        f"{'; '.join(norms)}. Features are ordered by similarity (average linkage), so that blocks along the diagonal "
        "are groups that fire together; the order has no other meaning. At the right, the share of all pairs by "
        "correlation: a mass right of 0 means features that repeat each other.",
        f"{constants:,} constant features have no correlation: hatched, and left out of the histogram."
        if constants
        else "",
        f"Matrices of more than {heatmaps.LARGEST} features are drawn as block means."
        if (found["features"] > heatmaps.LARGEST).any()
        else "",
    ]
    return " ".join(parts)


def _names(cells: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """cell_id -> what these columns of its row say."""
    return dict(zip(cells["cell_id"], joined(cells, columns), strict=True))


# ------------------------------------------------------------------------------------------- by cell

QUANTITIES = {"mean_correlation": ("mean r", "d"), "mean_absolute": ("mean |r|", "o")}
KINDS = {"activations": style.PALETTE[0], "weights": style.PALETTE[1]}


def summary(tables: Tables) -> list[Exhibit]:
    """Mean correlation and mean absolute correlation of activations and of weight rows, by cell."""
    found, data = tables.done("features"), _means(tables)
    absolute = data[(data["quantity"] == "mean_absolute") & (data["kind"] == "activations")].dropna(subset="mean")
    if absolute.empty:
        raise NothingToShow("features.csv has no defined correlation.")
    fig, rows = dots.rows(tables, "correlation", 0.3, absolute)
    kinds = [kind for kind in KINDS if kind in set(data["kind"])]
    for quantity, (words, marker) in QUANTITIES.items():
        for at, kind in enumerate(kinds):
            part = data[(data["quantity"] == quantity) & (data["kind"] == kind)]
            shift = 0.2 * (2 * at - 1) * (len(kinds) > 1)
            rows.dots(part, colour=KINDS[kind], marker=marker, label=f"{kind}: {words}", shift=shift)
    for axes in rows.panels.values():
        axes.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
    rows.align()
    rows.counts()
    rows.legend(fig, ncols=4)
    constant = int(found.loc[found["of"] == "activations", "constant"].sum())
    left_out = f"{constant:,} features (all replicates together) are constant: no correlation, not averaged in."
    seen = extremes(tables, absolute, "The mean absolute correlation of activations", three)
    caption = (
        f"{seen} "
        "Correlation r between pairs of features of the second-last layer: of their activations over the test images "
        "after the last epoch, and of their weights (the rows of the layer that makes the features). Its mean "
        "(diamonds) and the mean of its magnitude (discs), means over the finished replicates. "
        f"{intervals('Lines', data)} Independent features have both near 0; a mean far below the mean magnitude means "
        "that positive and negative correlations cancel. Activations that correlate where weights do not: the images "
        f"tie the features, not their weights. {left_out if constant else ''} {rows.crowd} {shortfall(tables)}"
    )
    title = "Correlation of features by cell"
    return [Exhibit("feature-correlation-summary", title, caption, f"Dot plot. {seen}", data, fig)]


def _means(tables: Tables) -> pd.DataFrame:
    """Means of QUANTITIES over the finished replicates, by cell and kind."""
    active = [tables.summary(name).assign(kind="activations", quantity=name) for name in QUANTITIES]
    found = tables.done("features")
    long = found[found["of"] == "weights"].rename(columns={"of": "kind"})
    long = long.melt(["cell_id", "seed", "kind"], list(QUANTITIES), "quantity", "value")
    means = pd.concat([*active, summarise(long, ["cell_id", "kind", "quantity"], "value")])
    means = means.sort_values("quantity", key=lambda names: names.map(list(QUANTITIES).index), kind="stable")
    made: pd.DataFrame = with_cells(tables, means[["cell_id", "kind", "quantity", *ESTIMATE]])
    return made
