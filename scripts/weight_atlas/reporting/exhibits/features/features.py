"""Exhibits on learnt features: correlations between the activations of the second-last layer over the test set."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import ESTIMATE, extremes, intervals, shortfall, with_cells
from weight_atlas.reporting.exhibits.weights.movement import steps
from weight_atlas.reporting.grammar import dots, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.tables import joined, last
from weight_atlas.reporting.grammar.words import slug, three
from weight_atlas.stats import summarise

BINS = np.linspace(-1, 1, 41)
LARGEST = 1024
# A matrix is drawn about this many pixels wide: a larger one is smoothed on the way, a smaller one shows its cells.
PIXELS = 360


def feature_correlation(tables):
    """Correlation matrices and histograms, one exhibit a data set, one replicate a network and optimizer (or the
    setting that makes the small multiples, where the optimizer is the same): list[Exhibit]."""
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
    made = []
    for dataset, cells in shown.groupby("dataset", sort=False):
        name = f"feature-correlation-{slug(dataset)}" if many else "feature-correlation"
        made.append(correlation_exhibit(tables, dataset, cells, name, dataset if many else ""))
    return made


def correlation_exhibit(tables, dataset, cells, name, tab):
    """The exhibit of one data set; `cells` has the columns across (small multiples) and rest (the other settings)."""
    networks, columns = list(dict.fromkeys(cells["network"])), list(dict.fromkeys(cells["across"]))
    fig = style.figure(2.7 * len(networks) + 1.25)
    grid = fig.subplots(len(networks), len(columns) + 1, squeeze=False)
    colours = dict(zip(columns, style.colours(len(columns)), strict=True))
    norms, kept, parts, maps, constants = end_norms(tables), tables.matrices(), [], [], 0
    for axes in grid[:, :-1].flat:
        axes.set_visible(False)
    for cell in cells.to_dict("records"):
        down, right = networks.index(cell["network"]), columns.index(cell["across"])
        matrix = tables.matrix(cell["cell_id"])
        seed = kept[cell["cell_id"]][0]
        norm = norms.get((cell["cell_id"], seed), float("nan"))
        maps.append(draw_matrix(grid[down, right], matrix, norm))
        constants += int((~np.isfinite(np.diag(matrix))).sum())
        data = histogram(matrix)
        grid[down, -1].stairs(data["share"] * 100, BINS, color=colours[cell["across"]], linewidth=1.5)
        front = {column: cell[column] for column in ("cell_id", "dataset", "network", *tables.axes)}
        front |= {"seed": seed, "features": len(matrix), "norm": norm}
        parts.append(data.assign(**front)[[*front, *data.columns]])
    for down, network in enumerate(networks):
        grid[down, 0].set_ylabel(network, fontweight="bold", labelpad=6)
    for axes, column in zip(grid[0], [*columns, "all pairs"], strict=True):
        axes.set_title(column)
    finish(fig, grid, maps, colours if len(columns) > 1 else {}, constants)
    data = pd.concat(parts, ignore_index=True)
    caption = correlation_caption(tables, dataset, cells, data, constants)
    alt = correlation_alt(dataset, cells, data)
    return Exhibit(name, "Correlation of features", caption, alt, data, fig, raster=True, palette=True, tab=tab)


def draw_matrix(axes, matrix, norm):
    """One matrix as an image, features ordered by similarity; returns the AxesImage."""
    axes.set_visible(True)
    order = by_similarity(matrix)
    image = style.heatmap(axes, shrink(matrix[np.ix_(order, order)]), style.Normalize(-1, 1), style.DIVERGING, [], [])
    image.set_interpolation("auto" if 2 * len(matrix) > PIXELS else "none")
    axes.set_aspect("equal")
    size = f"{len(matrix)} features"
    axes.set_xlabel(f"{size}, ‖θ₁‖ = {style.number(norm)}" if np.isfinite(norm) else size)
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


def correlation_caption(tables, dataset, cells, data, constants):
    """The caption, with ‖θ₁‖ of every network shown."""
    rests, seeds = list(dict.fromkeys(cells["rest"])), sorted(set(data["seed"]))
    found = data.drop_duplicates("cell_id").set_index("cell_id")
    names = cell_names(cells, len(rests) > 1)
    norms = [f"{names[cell]} {style.number(norm) or 'unknown'}" for cell, norm in found["norm"].items()]
    which = f"{rests[0]}, " if len(rests) == 1 and rests[0] else ""
    text = (
        f"Pearson correlation between the features of the second-last layer on {dataset}, over the test pictures "
        f"after the last epoch, in one replicate each ({which}seed {', '.join(map(str, seeds))}). Every matrix is "
        f"one model with itself, ‖θ₁ − θ₂‖ = 0; the norm of its trained parameters, ‖θ₁‖ = ‖θ₂‖: {'; '.join(norms)}. "
        "Features are ordered by similarity (average linkage), so that blocks along the diagonal are groups that "
        "fire together; the order has no other meaning. At the right, the share of all pairs by correlation: a mass "
        "right of 0 means features that repeat each other."
    )
    if constants:
        text += f" {constants:,} constant features have no correlation: hatched, and left out of the histogram."
    if (found["features"] > LARGEST).any():
        text += f" Matrices of more than {LARGEST} features are drawn as block means."
    return text


def cell_names(cells, whole=False):
    """cell_id -> its network and small multiple, and the other settings too where `whole`."""
    names = {}
    for cell in cells.itertuples():
        parts = (cell.network, cell.across, cell.rest if whole else "")
        names[cell.cell_id] = " ".join(part for part in parts if part)
    return names


def correlation_alt(dataset, cells, data):
    """The picture in words: the share of pairs above 0.5 in every matrix shown."""
    high = data[data["low"] > 0.499].groupby("cell_id", sort=False)["share"].sum()
    parts = [f"{name} {style.percent(high[cell])}" for cell, name in cell_names(cells).items()]
    return f"Heatmaps and histograms of feature correlations on {dataset}. Pairs with r above 0.5: {', '.join(parts)}."


QUANTITIES = {"mean_correlation": "mean r", "mean_absolute": "mean |r|"}
KINDS = {"activations": (style.PALETTE[0], "o"), "weights": (style.PALETTE[1], "s")}


def summary(tables):
    """Mean correlation and mean absolute correlation of activations and of weight rows, by cell; [Exhibit]."""
    found = tables.done("features")
    active = [tables.summary(name).assign(kind="activations", quantity=name) for name in QUANTITIES]
    long = found[found["of"] == "weights"].rename(columns={"of": "kind"})
    long = long.melt(["cell_id", "seed", "kind"], list(QUANTITIES), "quantity", "value")
    means = pd.concat([*active, summarise(long, ["cell_id", "kind", "quantity"], "value")])
    means = means.sort_values("quantity", key=lambda names: names.map(list(QUANTITIES).index), kind="stable")
    data = with_cells(tables, means[["cell_id", "kind", "quantity", *ESTIMATE]])
    absolute = data[(data["quantity"] == "mean_absolute") & (data["kind"] == "activations")].dropna(subset="mean")
    if absolute.empty:
        raise NothingToShow("features.csv has no defined correlation.")
    fig, rows = dots.rows(tables, "correlation", 0.3, absolute)
    kinds = [kind for kind in KINDS if kind in set(data["kind"])]
    for place, (quantity, words) in enumerate(QUANTITIES.items()):
        for kind in kinds:
            part = data[(data["quantity"] == quantity) & (data["kind"] == kind)]
            look = {"colour": KINDS[kind][0], "marker": ("d", "o")[place], "label": f"{kind}: {words}"}
            rows.dots(part, shift=0.2 * (2 * kinds.index(kind) - 1) * (len(kinds) > 1), **look)
    for axes in rows.panels.values():
        axes.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
    rows.align()
    rows.counts()
    rows.legend(fig, ncols=4)
    constant = int(found.loc[found["of"] == "activations", "constant"].sum())
    caption = (
        "Correlation r between pairs of features of the second-last layer: of their activations over the test "
        "pictures after the last epoch, and of their weights (the rows of the layer that makes the features). Its "
        "mean (diamonds) and the mean of its magnitude (discs), means over the finished replicates. "
        f"{intervals('Lines', data)} Independent features have both near 0; a mean far below the mean magnitude "
        "means that positive and negative correlations cancel. Activations that correlate where weights do not: it "
        "is the pictures that tie the features, not their weights. "
    )
    if constant:
        caption += f"{constant:,} features (all replicates together) are constant: no correlation, not averaged in. "
    alt = f"Dot plot. {extremes(tables, absolute, 'The mean absolute correlation of activations', three)}"
    caption = f"{caption}{rows.crowd} {shortfall(tables)}".strip()
    return [Exhibit("feature-correlation-summary", "Correlation of features by cell", caption, alt, data, fig)]
