"""Exhibits on the features of perturbed models: how alike to the original's, and their correlations as heatmaps."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.features import pairs
from weight_atlas.reporting.exhibits.features.features import by_similarity, shrink
from weight_atlas.reporting.exhibits.features.pairs import two
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import ADD, FLIP, LAYERS, OTHER, REPEATED, SAME
from weight_atlas.reporting.grammar import panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.tables import tensor
from weight_atlas.reporting.grammar.words import slug

MEASURES = {
    "cka": "CKA",
    "agreement": "same\nprediction",
    "correlation": "r in place",
    "matched": "r matched",
    "divergence": "divergence\n(bits)",
}
SHOWN = 256


def compared(tables):
    """The pairs of perturbed models with their originals: pairs.csv with the columns of `families.family`, as of b."""
    found = tables.relatives()
    found = found[found["factor"] == "original"]
    rows = families.family(tables)
    found = rows.merge(found.rename(columns={"cell_b": "cell_id", "seed_b": "seed"}), on="cell_id")
    if found.empty:
        raise NothingToShow("pairs.csv has no perturbed model beside its original.")
    return found


def likeness(tables):
    """Likeness of features and predictions to the original's, a row a perturbation, against chance; [Exhibit]."""
    found = compared(tables)
    every = families.family(tables)
    rows = pd.concat([families.shown(every), every[every["rung"]]]).drop_duplicates("cell_id")
    rows = rows[rows["what"] != LAYERS]
    found = found[found["cell_id"].isin(rows["cell_id"])]
    places = [(network, name) for network, names in panels.strips(tables, found) for name in names]
    names = {}
    for network, dataset in places:
        own = found[(found["network"] == network) & (found["dataset"] == dataset)]
        names[network, dataset] = list(dict.fromkeys(own["words"]))
    heights = [0.24 * (len(names[key]) + 0.3) for key in places]
    fig = style.figure(sum(heights) + panels.TITLE * len(places) + 0.85)
    grid = fig.subplots(len(places), len(MEASURES), sharex="col", squeeze=False, height_ratios=heights)
    chances = chance(tables)
    for down, (network, dataset) in enumerate(places):
        own = found[(found["network"] == network) & (found["dataset"] == dataset)]
        beside = chances[(chances["network"] == network) & (chances["dataset"] == dataset)]
        both = pd.concat([own.assign(pair=own["words"]), beside])
        for axes, (measure, title) in zip(grid[down], MEASURES.items(), strict=True):
            pairs.strip(axes, both, measure, names[network, dataset])
            axes.tick_params(labelleft=measure == "cka")
            if down == 0:
                over = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "fontsize": 9}
                axes.annotate(title, (0.5, 1), (0, 22), **over)
        several = {column: found[column].nunique() > 1 for column in ("network", "dataset")}
        grid[down, 0].set_title(" · ".join([network] * several["network"] + [dataset] * several["dataset"]))
    for axes in grid.flat:
        axes.set_xlim(min(-0.05, axes.get_xlim()[0]), 1.05)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    for axes in grid[:, -1]:
        most = max(0.01, found["divergence"].max()) if found["divergence"].notna().any() else 1
        axes.set_xlim(-0.06 * most, 1.15 * most)
        axes.set_xticks([0, float(f"{most:.0e}")], ["0", style.short(float(f"{most:.0e}"))])
    look = {"color": style.PALETTE[0], "linestyle": ""}
    handles = [
        Line2D([], [], marker="o", alpha=0.5, markersize=4, label="one model and its original", **look),
        Line2D([], [], marker="|", markersize=10, markeredgewidth=2, label="mean", **look),
    ]
    if len(chances):
        handles.append(Patch(color=pairs.BAND, label="range over two seeds of one cell (chance)"))
    fig.legend(handles=handles, ncols=3, **ABOVE)
    caption = (
        "How alike a model that was perturbed and trained again is to its original, in its features and its answers; "
        "shaded, what two seeds of one cell give. CKA compares what the features span, whatever their order or "
        "rotation; same prediction is the share of test pictures with the same answer; r in place correlates feature i "
        "of one with feature i of the other, r matched after the best one-to-one matching; divergence is the mean "
        "Jensen-Shannon divergence of the predicted probabilities, in bits (0: the same). "
        f"{wrong(found)}{families.shortfall(tables, rows)}"
    )
    means = found.groupby("words", sort=False)[["cka", "correlation"]].mean()
    text = "; ".join(f"{words} {two(row.cka)} and {two(row.correlation)}" for words, row in means.iterrows())
    alt = f"Strip plots. Mean CKA with the original, and mean r in place: {text}."
    front = [*families.FRONT, "seed"]
    columns = [*front, *(name for name in MEASURES if name in found), *ERRORS]
    data = found[[name for name in columns if name in found]].reset_index(drop=True)
    return [Exhibit("perturbed-pairs", "The same features after a perturbation?", caption.strip(), alt, data, fig)]


ERRORS = ("errors_a", "errors_b", "both_wrong")


def chance(tables):
    """The pairs of two seeds of one cell of the grid: what chance alone gives; empty where there is none."""
    try:
        found = tables.pairs()
    except NothingToShow:
        return pd.DataFrame(columns=["network", "dataset", "factor", "pair", *MEASURES])
    return found[found["factor"] == "seed"].assign(pair="").reindex(
        columns=["network", "dataset", "factor", "pair", *MEASURES]
    )  # fmt: skip


def wrong(found):
    """A sentence on the errors that model and original share, by perturbation."""
    if not set(ERRORS) <= set(found):
        return ""
    parts = []
    for words, own in found[~found["what"].isin([REPEATED]) & ~found["rung"]].groupby("words", sort=False):
        either = (own["errors_a"] + own["errors_b"] - own["both_wrong"]).sum()
        if either > 0:
            parts.append(f"{words} {style.percent(own['both_wrong'].sum() / either, 0)}")
    return f"Of the pictures that either gets wrong, both get wrong: {', '.join(parts)}. " if parts else ""


def correlations(tables):
    """Heatmaps original, trained again, and between, for a flip and a small addition of each network's first original;
    list[Exhibit]."""
    rows = families.shown(families.family(tables))
    rows = rows[rows["what"].isin([FLIP, ADD, SAME, OTHER])]
    rank = {FLIP: 0, ADD: 1, OTHER: 2, SAME: 3}
    rows = rows.sort_values("what", key=lambda column: column.map(rank), kind="stable")
    single = {key: path for path, key in tables.kept("features")}
    runs = tables.children.read("runs")
    runs = runs[runs["status"] == "done"]
    done = {f"{run.cell_id}/seed{run.seed}" for run in runs.itertuples()}
    between = {key: path for path, key in tables.kept("pairs") if key.partition("|")[2] in done}
    made = []
    firsts = rows.drop_duplicates("network")
    for network in [name for name in tables.values("network") if name in set(firsts["network"])]:
        options = rows[rows["network"] == network]
        for branch in dict.fromkeys(options["branch"]):
            chosen = [found(row, between, single) for row in options[options["branch"] == branch].itertuples()]
            chosen = [item for item in chosen if item][:2]
            if chosen:
                made.append((network, chosen))
                break
    if not made:
        raise NothingToShow("no file of matrices holds an original, a perturbed model and what lies between them.")
    several = len(made) > 1
    return [heatmaps(tables, network, chosen, several) for network, chosen in made]


def found(row, between, single):
    """(row, seed, {"original", "end", "between": (path, key)}) of the first replicate that has all three, or None."""
    for key, path in between.items():
        a, _, b = key.partition("|")
        if (a.rpartition("/")[0], b.rpartition("/")[0]) == (row.parent, row.cell_id) and a in single and b in single:
            return row, b.rpartition("/seed")[2], {"original": (single[a], a), "end": (single[b], b),
                                                   "between": (path, key)}  # fmt: skip
    return None


def heatmaps(tables, network, chosen, several):
    """The exhibit of one network's first original: a row a perturbation, original, end, and between."""
    fig = style.figure(2.75 * len(chosen) + 0.75)
    grid = fig.subplots(len(chosen), 3, squeeze=False)
    rows, image, undefined = [], None, False
    titles = {"original": "original", "end": "trained again", "between": "original (rows) with trained again"}
    for down, (row, seed, places) in enumerate(chosen):
        matrices = {name: tensor(*place) for name, place in places.items()}
        order = by_similarity(matrices["original"])
        order = order[np.linspace(0, len(order) - 1, min(len(order), SHOWN)).round().astype(int)]
        for axes, (name, title) in zip(grid[down], titles.items(), strict=True):
            part = matrices[name][np.ix_(order, order)]
            undefined = undefined or not np.isfinite(part).all()
            image = style.heatmap(axes, shrink(part), style.Normalize(-1, 1), style.DIVERGING, [], [])
            axes.set_aspect("equal")
            diagonal = np.diag(matrices[name])
            off = matrices[name][~np.eye(len(diagonal), dtype=bool)]
            numbers = {"mean_absolute": average(np.abs(off)), "diagonal": average(diagonal)}
            what, column = ("diagonal", "diagonal") if name == "between" else ("mean |r|", "mean_absolute")
            axes.set_xlabel(f"{what} {two(numbers[column]) or 'undefined'}", fontsize=9)
            if down == 0:
                axes.set_title(title, fontsize=9.5)
            front = {"cell_id": row.cell_id, "original": row.parent, "seed": seed, "network": network}
            front |= {"dataset": row.dataset, "name": row.name, "perturbation": row.perturbation}
            rows.append({**front, "matrix": name, "features": len(diagonal), **numbers})
        grid[down, 0].set_ylabel(row.words, fontweight="bold")
    slim = {"location": "bottom", "aspect": 45, "fraction": 0.04, "pad": 0.02}
    style.colourbar(fig, image, grid, "correlation r", **slim)
    if undefined:
        fig.legend(handles=[style.undefined_patch("undefined: a constant feature")], **ABOVE)
    data = pd.DataFrame(rows)
    first = chosen[0][0]
    size = data["features"].max()
    some = f" ({SHOWN} of {size} features, evenly chosen)" if size > SHOWN else ""
    between = data[data["matrix"] == "between"]
    told = ", ".join(f"{words.words} {two(value) or 'undefined'}" for (words, *_), value in
                     zip(chosen, between["diagonal"], strict=True))  # fmt: skip
    where = f"{network} on {first.dataset}" + (f", {first.name}" if tables.axes else "")
    take = tables.children.settings[first.cell_id].start.take
    at = "" if take == "last" else f" The original is shown at its last epoch; perturbed was it at {take}."
    caption = (
        f"Correlations of features over the test pictures{some}: within the original, within the model that was "
        f"perturbed and trained again, and between the two ({where}; seed {chosen[0][1]}). All maps of a row keep the "
        "order of features in which those of the original that fire together are neighbours. A dark diagonal in the "
        "map between: feature i is still feature i. Where only that diagonal is gone, the model has features of the "
        f"same kind in other places. Mean of that diagonal: {told}.{at}"
    )
    alt = f"Heatmaps of feature correlations, {where}. Mean r of a feature with itself before and after: {told}."
    name = f"perturbed-features-{slug(network)}" if several else "perturbed-features"
    title = "Features before and after"
    return Exhibit(name, title, caption, alt, data, fig, raster=True, palette=True, tab=network if several else "")


def average(values):
    """The mean of the finite values, NaN where there is none."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")
