"""Exhibits on pairs of models: do networks that differ in one thing learn the same features, and in the same order?"""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.features.features import shrink
from weight_atlas.reporting.exhibits.runs.runs import WORDS
from weight_atlas.reporting.grammar import panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.stripplots import strip_plots
from weight_atlas.reporting.grammar.tables import tensor
from weight_atlas.reporting.grammar.words import plural, slug

MEASURES = {
    "cka": "CKA",
    "agreement": "same\nprediction",
    "correlation": "r in place",
    "matched": "r matched",
}
SHOWN = 128
MATCHED = 1024


def compared(tables):
    """pairs.csv of this study's cells, finished replicates on both sides, with data set, network, pair (its words)."""
    found = tables.pairs()
    words = found["factor"].map(lambda name: WORDS.get(name, name)) + ": " + found["level_a"] + " / " + found["level_b"]
    return found.assign(pair=words.where(found["factor"] != "seed", "seeds (chance)"))


def feature_pairs(tables):
    """Likeness of features by pair of levels against that of two seeds of one cell; [Exhibit]."""
    found = compared(tables)
    chance = found[found["factor"] == "seed"]
    ordered = found.sort_values("factor", key=lambda column: column != "seed", kind="stable")
    fig, _ = strip_plots(tables, ordered, chance, MEASURES, "one pair of models")
    caption = (
        "How alike the features of two trained models are that differ in one thing (rows), from the same seed, against "
        "two seeds of one and the same cell, whose range is shaded: what chance alone gives. CKA compares what the "
        "features span, whatever their order or rotation; same prediction is the share of test pictures with the same "
        "answer; r in place correlates feature i of one with feature i of the other, r matched does so after the "
        "one-to-one matching of features that makes it largest (such a maximum is above 0 for unrelated features too: "
        "the shaded range shows by how much). In place as high as matched: the same features in the same order. Low in "
        "place, high matched: similar features, in another order."
    )
    means = found[found["factor"] != "seed"].groupby("pair", sort=False)["cka"].mean()
    text = "; ".join(f"{pair} {two(value)}" for pair, value in means.items())
    alt = f"Strip plots. Mean CKA by pair: {text or 'none'}; two seeds of one cell {spread(chance['cka'])}."
    columns = ["dataset", "network", "pair", *found.columns.drop(["dataset", "network", "pair"])]
    return [Exhibit("feature-pairs", "The same features?", caption, alt, found[columns], fig)]


def cross_correlation(tables):
    """Correlations between the features of two models, in place and matched, a column a pair; list[Exhibit]."""
    found = compared(tables).drop_duplicates(["cell_a", "seed_a", "cell_b", "seed_b"])
    key = found["cell_a"] + "/seed" + found["seed_a"].astype(str) + "|" + found["cell_b"] + "/seed"
    found = found.assign(key=key + found["seed_b"].astype(str)).set_index("key")
    kept = {key: path for path, key in tables.kept("pairs") if key in found.index}
    if not kept:
        raise NothingToShow("no pairs.safetensors holds a matrix of its cells.")
    found = found[found.index.isin(kept)].sort_values("factor", key=lambda column: column != "seed", kind="stable")
    many = len(found.drop_duplicates(["network", "dataset"])) > 1
    made = []
    for network, names in panels.strips(tables, found):
        for dataset in names:
            own = found[(found["network"] == network) & (found["dataset"] == dataset)]
            where = f"{network}, {dataset}"
            name = f"feature-cross-{slug(where)}" if many else "feature-cross"
            made.append(cross_exhibit(own, {key: tensor(kept[key], key) for key in own.index}, name, where, many))
    return made


def cross_exhibit(own, matrices, name, where, many):
    """The exhibit of one network and data set; own: rows of `compared`, indexed as `matrices`."""
    side = min(2.3, 8.1 / max(len(own), 3) - 0.1)
    fig = style.figure(2 * side + 1.8)
    grid = fig.subplots(2, max(len(own), 3), squeeze=False)
    rows, norms, image, undefined = [], [], None, False
    for axes in grid[:, len(own) :].flat:
        axes.set_visible(False)
    for right, (key, pair) in enumerate(own.iterrows()):
        chosen, partners = matched(matrices[key])
        for axes, columns, kind in ((grid[0, right], chosen, "in place"), (grid[1, right], partners, "matched")):
            part = matrices[key][np.ix_(chosen, columns)]
            undefined = undefined or not np.isfinite(part).all()
            image = style.heatmap(axes, shrink(part), style.Normalize(-1, 1), style.DIVERGING, [], [])
            axes.set_aspect("equal")
            diagonal = np.diag(part)
            mean = diagonal[np.isfinite(diagonal)].mean() if np.isfinite(diagonal).any() else float("nan")
            axes.set_xlabel(f"diagonal: {two(mean) or 'undefined'}", fontsize=9)
            front = {column: pair[column] for column in ("cell_a", "seed_a", "cell_b", "seed_b", "pair")}
            rows += [
                {**front, "order": kind, "feature_a": a, "feature_b": b, "correlation": value}
                for a, b, value in zip(chosen.tolist(), columns.tolist(), diagonal.tolist(), strict=True)
            ]
        head = pair["pair"].replace(": ", ":\n", 1).replace(" / ", "\n")
        grid[0, right].set_title(head, fontsize=8.5)
        norms.append(
            f"{pair['pair']}: {style.number(pair['norm_a'])}, {style.number(pair['norm_b'])}, "
            f"{style.number(pair['distance'])}"
        )
    for axes, kind in zip(grid[:, 0], ("in place", "matched"), strict=True):
        axes.set_ylabel(kind, fontweight="bold")
    slim = {"location": "bottom", "aspect": 45, "fraction": 0.04, "pad": 0.02}
    style.colourbar(fig, image, grid[:, : len(own)], "correlation r", **slim)
    if undefined:
        fig.legend(handles=[style.undefined_patch("undefined: a constant feature")], loc="outside lower right")
    fig.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.15 / fig.get_figheight()))  # titles of three lines need it
    data = pd.DataFrame(rows)
    size = len(next(iter(matrices.values())))
    some = f" ({SHOWN} of {size} features, evenly chosen)" if size > SHOWN else ""
    caption = (
        "Correlation of each feature of one model (rows) with each of another (columns) over the test "
        f"pictures{some}: {where}, one pair of models for each thing in which they differ. Above, both keep their "
        "own order: a dark diagonal means that feature i of one is feature i of the other. Below, the columns are "
        "set so that each feature has its best partner, one to one: a dark diagonal there alone means the same "
        f"features in another order. ‖θ₁‖, ‖θ₂‖ and ‖θ₁ − θ₂‖: {'; '.join(norms)}."
    )
    means = data.groupby(["pair", "order"], sort=False)["correlation"].mean()
    text = "; ".join(f"{pair} {order} {two(value)}" for (pair, order), value in means.items())
    alt = f"Heatmaps of correlations between the features of two models, {where}. Mean of the diagonal: {text}."
    title = "Correlation of features between models"
    return Exhibit(name, title, caption, alt, data, fig, raster=True, palette=True, tab=where if many else "")


def matched(matrix):
    """(rows, columns): at most 128 features of the first model, and their partners in the best one-to-one matching.

    Features that are undefined (constant) come last and keep their own place. A matrix of more than 1024 features is
    matched for the shown rows alone.
    """
    rows = np.linspace(0, len(matrix) - 1, min(len(matrix), SHOWN)).round().astype(int)
    values = np.nan_to_num(matrix, nan=-2.0)
    if len(matrix) <= MATCHED:
        partner = linear_sum_assignment(values, maximize=True)[1]
        columns = partner[rows]
    else:
        columns = linear_sum_assignment(values[rows], maximize=True)[1]
    return rows, columns


def likeness(tables):
    """One dict a factor ("seed" is chance): factor, and the mean of each of MEASURES and in_place, over all pairs."""
    found = compared(tables)
    means = found.groupby("factor", sort=False)[[*MEASURES, "in_place"]].mean()
    return [{"factor": factor, **row} for factor, row in means.to_dict("index").items()]


def answer(tables):
    """Two sentences from `likeness`: the same features? in the same order? Empty without a pair besides the seeds."""
    found = likeness(tables)
    chance = next((item for item in found if item["factor"] == "seed"), None)
    rest = [item for item in found if item["factor"] != "seed"]
    if not rest:
        return []

    def told(measure):
        parts = [f"{two(item[measure])} for another {WORDS.get(item['factor'], item['factor'])}" for item in rest]
        return ", ".join(parts)

    control = {name: f" (two seeds of one cell: {two(chance[name])})" if chance else "" for name in MEASURES}
    return [
        f"Two models from the same seed span features with a mean CKA of {told('cka')}{control['cka']}.",
        f"In the same order? Feature i of one correlates with feature i of the other at {told('correlation')}"
        f"{control['correlation']}, and with its best partner at {told('matched')}{control['matched']}.",
    ]


def two(value):
    """A number with two decimals, empty where it is undefined."""
    return f"{value:.2f}".replace("-", "−") if np.isfinite(value) else ""


def spread(values):
    """ "0.91 to 0.97 over 6 pairs"."""
    if values.dropna().empty:
        return "not compared"
    low, high = two(values.min()), two(values.max())
    return f"{low if low == high else f'{low} to {high}'} over {plural(len(values), 'pair')}"
