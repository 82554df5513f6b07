"""Exhibits on learnt features: correlations between the activations of the second-last layer over the test set."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from atlas.tell import dots, style
from atlas.tell.dots import ABOVE
from atlas.tell.exhibit import Exhibit, NothingToShow
from atlas.tell.movement import steps, three
from atlas.tell.runs import extremes, intervals, shortfall, with_cells
from atlas.tell.tables import last, summarise
from atlas.tell.training import slug

BINS = np.linspace(-1, 1, 41)
LARGEST = 1024
# A matrix is drawn about this many pixels wide: a larger one is smoothed on the way, a smaller one shows its cells.
PIXELS = 360


def feature_correlation(tables):
    """Correlation matrices and histograms, networks down, one replicate a network and panel setting; list[Exhibit]."""
    kept = tables.matrices()
    shown = tables.cells[tables.cells["cell_id"].isin(kept)]
    shown = shown.drop_duplicates(["dataset", "network", "panel"])
    if shown.empty:
        raise NothingToShow("no features.safetensors holds a matrix of its cells.")
    many = shown["dataset"].nunique() > 1
    made = []
    for dataset, cells in shown.groupby("dataset", sort=False):
        name, title = "feature-correlation", "Correlation of features"
        if many:
            name, title = f"{name}-{slug(dataset)}", f"{title}: {dataset}"
        made.append(correlation_exhibit(tables, dataset, cells, name, title))
    return made


def correlation_exhibit(tables, dataset, cells, name, title):
    """The exhibit of one data set."""
    networks, panels = list(dict.fromkeys(cells["network"])), list(dict.fromkeys(cells["panel"]))
    fig = style.figure(2.35 * len(networks) + 1.1)
    grid = fig.subplots(len(networks), len(panels) + 1, squeeze=False)
    colours = dict(zip(tables.values("panel"), style.colours(len(tables.values("panel"))), strict=True))
    norms, rows, maps, constants = end_norms(tables), [], [], 0
    for axes in grid.flat:
        axes.set_visible(False)
    for cell in cells.itertuples():
        down, right = networks.index(cell.network), panels.index(cell.panel)
        matrix = tables.matrix(cell.cell_id)
        seed = tables.matrices()[cell.cell_id][0]
        norm = norms.get((cell.cell_id, seed))
        maps.append(draw_matrix(grid[down, right], matrix, norm))
        if right == 0:
            grid[down, 0].set_ylabel(cell.network, fontweight="bold", labelpad=6)
        if down == 0:
            grid[down, right].set_title(cell.panel or cell.tint)
        data = histogram(matrix)
        constants += int((~np.isfinite(np.diag(matrix))).sum())
        axes = grid[down, -1]
        axes.set_visible(True)
        axes.stairs(data["share"] * 100, BINS, color=colours[cell.panel], linewidth=1.5)
        front = {"dataset": dataset, "network": cell.network, **{axis: getattr(cell, axis) for axis in tables.axes}}
        rows.append(data.assign(**front, seed=seed, features=len(matrix), norm=norm)[[*front, *EXTRA, *data.columns]])
    grid[0, -1].set_title("all pairs")
    finish(fig, grid, maps, colours if len(panels) > 1 else {}, constants)
    data = pd.concat(rows, ignore_index=True)
    caption = correlation_caption(tables, dataset, cells, norms, constants)
    return Exhibit(name, title, caption, correlation_alt(tables, dataset, cells, data), data, fig, raster=True)


EXTRA = ("seed", "features", "norm")


def draw_matrix(axes, matrix, norm):
    """One matrix as an image, features ordered by similarity; returns the AxesImage."""
    axes.set_visible(True)
    order = by_similarity(matrix)
    image = style.heatmap(axes, shrink(matrix[np.ix_(order, order)]), style.Normalize(-1, 1), style.DIVERGING, [], [])
    image.set_interpolation("auto" if 2 * len(matrix) > PIXELS else "none")
    axes.set_aspect("equal")
    size = f"{len(matrix)} features"
    axes.set_xlabel(f"{size}, ‖θ₁‖ = {style.number(norm)}" if norm is not None else size)
    return image


def finish(fig, grid, maps, colours, constants):
    """Axis labels, the colour bar and the legend."""
    for axes in grid[:, -1]:
        axes.set_xlim(-1, 1)
        axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "0.5", "1"])
        axes.set_ylim(bottom=0)
        axes.set_ylabel("share of pairs (%)")
        axes.set_box_aspect(0.9)
    grid[-1, -1].set_xlabel("correlation r")
    style.colourbar(fig, maps[0], grid[:, :-1], "correlation r", location="bottom", aspect=40, fraction=0.04, pad=0.02)
    handles = [Line2D([], [], color=colour, label=f"{panel} (histogram)") for panel, colour in colours.items()]
    if constants:
        handles.append(style.undefined_patch("undefined: a constant feature"))
    if handles:
        fig.legend(handles=handles, ncols=3, **ABOVE)


def by_similarity(matrix):
    """An order of features in which correlated ones are neighbours: average linkage on 1 - r, undefined ones last."""
    defined = np.flatnonzero(np.isfinite(np.diag(matrix)))
    rest = np.setdiff1d(np.arange(len(matrix)), defined)
    if len(defined) < 3:
        return np.concatenate([defined, rest])
    apart = np.clip(1 - matrix[np.ix_(defined, defined)], 0, 2).astype(np.float64)
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform((apart + apart.T) / 2, checks=False), "average")
    return np.concatenate([defined[leaves_list(tree)], rest])


def shrink(matrix, largest=LARGEST):
    """The matrix as block means, its side at most `largest`; a block with an undefined value is undefined."""
    step = -(-len(matrix) // largest)
    if step == 1:
        return matrix
    edges = np.arange(0, len(matrix), step)
    counts = np.diff(np.append(edges, len(matrix)))
    sums = np.add.reduceat(np.add.reduceat(matrix.astype(np.float64), edges, axis=0), edges, axis=1)
    return sums / np.outer(counts, counts)


def histogram(matrix):
    """Share of the defined pairs i < j in each of 40 equal bins of r from -1 to 1: columns low, high, pairs, share."""
    values = matrix[np.triu_indices(len(matrix), 1)]
    values = values[np.isfinite(values)]
    counts, _ = np.histogram(np.clip(values, -1, 1), BINS)
    share = counts / max(counts.sum(), 1)
    return pd.DataFrame({"low": BINS[:-1], "high": BINS[1:], "pairs": counts, "share": share})


def end_norms(tables):
    """(cell_id, seed) -> norm of all learnable parameters at the last epoch, {} where movement.csv has none."""
    try:
        moved = last(steps(tables, "start"), "to_epoch")
    except NothingToShow:
        return {}
    return moved.set_index(["cell_id", "seed"])["norm_to"].to_dict()


def correlation_caption(tables, dataset, cells, norms, constants):
    """The caption, with ‖θ₁‖ of every network shown."""
    kept = tables.matrices()
    tints, seeds = list(dict.fromkeys(cells["tint"])), sorted({kept[cell][0] for cell in cells["cell_id"]})
    named = []
    for cell in cells.itertuples():
        norm = norms.get((cell.cell_id, kept[cell.cell_id][0]))
        text = " ".join(part for part in (cell.network, cell.panel, cell.tint if len(tints) > 1 else "") if part)
        named.append(f"{text} {style.number(norm) or 'unknown'}")
    text = (
        f"Pearson correlation between the features of the second-last layer on {dataset}, over the test pictures after "
        f"the last epoch, in one replicate each ({f'{tints[0]}, ' if tints == [tints[0]] and tints[0] else ''}"
        f"seed {', '.join(map(str, seeds))}). Norms of the trained parameters, ‖θ₁‖: {'; '.join(named)}. Features are "
        "ordered by similarity (average linkage), so that blocks along the diagonal are groups that fire together; the "
        "order has no other meaning. At the right, the share of all pairs by correlation: a mass right of 0 means "
        "features that repeat each other."
    )
    if constants:
        text += f" {constants} constant features have no correlation: hatched, and left out of the histogram."
    if any(len_features(tables, cell) > LARGEST for cell in cells["cell_id"]):
        text += f" Matrices of more than {LARGEST} features are drawn as block means."
    return text


def len_features(tables, cell_id):
    """The number of features of a cell's matrix, from the file's header."""
    from atlas.store import tensor_header

    seed, path = tables.matrices()[cell_id]
    return tensor_header(path)[1][f"{cell_id}/seed{seed}"][0]


def correlation_alt(tables, dataset, cells, data):
    """The picture in words: the share of pairs above 0.5 in every matrix shown."""
    parts = []
    for cell in cells.itertuples():
        own = data[(data["network"] == cell.network)]
        for axis in tables.axes:
            own = own[own[axis] == getattr(cell, axis)]
        share = own.loc[own["low"] >= 0.5 - 1e-9, "share"].sum()
        parts.append(f"{cell.network} {cell.panel}".strip() + f" {style.percent(share)}")
    return f"Heatmaps and histograms of feature correlations on {dataset}. Pairs with r above 0.5: {', '.join(parts)}."


def summary(tables):
    """Mean correlation and mean absolute correlation by cell; [Exhibit]."""
    found = tables.done("features")
    columns = {"mean_correlation": ("mean r", "o"), "mean_absolute": ("mean absolute r", "D")}
    long = found.melt(["cell_id", "seed"], list(columns), "quantity", "value")
    data = with_cells(tables, summarise(long, ["cell_id", "quantity"], "value"))
    fig, rows = dots.panels(tables, "correlation of features", row=0.24)
    for place, (column, (label, marker)) in enumerate(columns.items()):
        part = data[data["quantity"] == column]
        shift = 0.12 * (2 * place - 1)
        rows.dots(part, colour=style.PALETTE[place], marker=marker, label=label, shift=shift)
    for axes in rows.panels.values():
        axes.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
    rows.counts()
    rows.legend(fig)
    absolute = data[data["quantity"] == "mean_absolute"].dropna(subset="mean")
    constant = int(found["constant"].sum())
    caption = (
        "Correlation between pairs of features of the second-last layer, over the test pictures after the last "
        "epoch: its mean and the mean of its magnitude, means over the finished replicates. "
        f"{intervals('Lines', data)} Independent features have both near 0. A mean far below the mean magnitude "
        "means that positive and negative correlations cancel. "
    )
    if constant:
        caption += f"{constant} features (all replicates together) are constant: no correlation, not averaged in. "
    if absolute.empty:
        raise NothingToShow("features.csv has no defined correlation.")
    alt = f"Dot plot. {extremes(tables, absolute, 'The mean absolute correlation', three)}"
    caption = (caption + shortfall(tables)).strip()
    return [Exhibit("feature-correlation-summary", "Correlation of features by cell", caption, alt, data, fig)]
