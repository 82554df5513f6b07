"""Exhibits on pairs of models: do networks that differ in one thing learn the same features, and in the same order?"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from scipy.optimize import linear_sum_assignment

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.grid import Row
from weight_atlas.reporting.exhibits.design.spans import place
from weight_atlas.reporting.exhibits.runs.runs import WORDS
from weight_atlas.reporting.grammar import heatmaps, panels, style
from weight_atlas.reporting.grammar.answers import Answer, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.stripplots import strip_plots
from weight_atlas.reporting.grammar.tables import Array, Tables, tensor
from weight_atlas.reporting.grammar.words import enumerated, fixed, plural, ranged, slug

MEASURES = {
    "cka": "CKA",
    "agreement": "same\nprediction",
    "correlation": "r in place",
    "matched": "r matched",
}
SHOWN = 128
NAMED = 15  # pairs of levels of an axis that have a row each
COLUMNS = 6  # pairs of models that a figure has room for
MATCHED = 1024


def compared(tables: Tables, name: str = "pairs") -> pd.DataFrame:
    """pairs.csv, or another table of pairs, of this study's cells, finished replicates on both sides, with data set,
    network, pair (its words: the two levels, or of an axis with more than NAMED pairs of levels the axis alone)."""
    found = tables.pairs(name)
    axis, levels = found["factor"].map(lambda name: WORDS.get(name, name)), found["level_a"] + " / " + found["level_b"]
    many = levels.groupby([found["factor"], found["dataset"], found["network"]]).transform("nunique") > NAMED
    words = (axis + ": " + levels).where(~many, axis + ": any two levels")
    return found.assign(pair=words.where(found["factor"] != "seed", "seeds (chance)"))


def chance_first(found: pd.DataFrame) -> pd.DataFrame:
    """The pairs of two seeds of one cell, then the others in their order."""
    return found.sort_values("factor", key=lambda column: column != "seed", kind="stable")


def sampled(tables: Tables, factors: Iterable[str]) -> str:
    """A sentence on the factors of which not all pairs are compared; empty without any."""
    counts = tables.table("compared")
    counts = counts[(counts["study"] == tables.study) & counts["factor"].isin(factors)]
    some = counts[counts["compared"] < counts["of"]]
    told = [
        f"{WORDS.get(factor, factor)} {compared:,} of {of:,} pairs"
        for factor, compared, of in some[["factor", "compared", "of"]].itertuples(index=False, name=None)
    ]
    return f"Where there are many pairs, a sample is compared: {', '.join(told)}." if told else ""


def feature_pairs(tables: Tables) -> list[Exhibit]:
    """Likeness of features by pair of levels against that of two seeds of one cell."""
    found = compared(tables)
    seeds = found["factor"] == "seed"
    fig, _ = strip_plots(tables, chance_first(found), found[seeds], MEASURES, "one pair of models")
    seen = _means(tables)
    caption = (
        f"{seen} "
        "How alike the features of two trained models are that differ in one thing (rows), from the same seed, against "
        "two seeds of one and the same cell, whose range is shaded: what chance alone gives. CKA compares what the "
        "features span, whatever their order or rotation; same prediction is the share of test images with the same "
        "answer; r in place correlates feature i of one with feature i of the other, r matched does so after the "
        "one-to-one matching of features that makes it largest (such a maximum is above 0 for unrelated features too: "
        "the shaded range shows by how much). In place as high as matched: the same features in the same order. Low in "
        f"place, high matched: similar features, in another order. {sampled(tables, found['factor'].unique())}"
    )
    columns = ["dataset", "network", "pair", *found.columns.drop(["dataset", "network", "pair"])]
    return [Exhibit("feature-pairs", "The same features?", caption, f"Strip plots. {seen}", found[columns], fig)]


def _means(tables: Tables) -> str:
    """A sentence on the mean CKA by factor with its interval, of each network and data set by itself."""
    told: dict[str, list[str]] = {}
    for row in likeness(compared(tables), MEASURES):
        if row["measure"] == "cka" and row["n"]:
            told.setdefault(place(row), []).append(beside(row))
    return f"Mean CKA: {'; '.join(f'{where} {enumerated(parts)}' for where, parts in told.items())}."


# ------------------------------------------------------------------------------------------- correlations


def cross_correlation(tables: Tables) -> list[Exhibit]:
    """Correlations between the features of two models, in place and matched, a column per pair."""
    found = compared(tables).drop_duplicates(["cell_a", "seed_a", "cell_b", "seed_b"])
    models = [found[f"cell_{side}"] + "/seed" + found[f"seed_{side}"].astype(str) for side in "ab"]
    found = found.assign(key=models[0] + "|" + models[1])
    kept = {key: path for path, key in tables.kept("pairs")}
    found = chance_first(found[found["key"].isin(kept)])
    if found.empty:
        raise NothingToShow("no pairs.safetensors holds a matrix of its cells.")
    strips = [(network, dataset) for network, names in panels.strips(tables, found) for dataset in names]
    return [
        _cross(own, kept, f"{network}, {dataset}", len(strips) > 1)
        for network, dataset in strips
        for own in [found[(found["network"] == network) & (found["dataset"] == dataset)]]
    ]


def _cross(own: pd.DataFrame, kept: Mapping[str, Path], where: str, many: bool) -> Exhibit:
    """The exhibit of one network and data set; own: rows of `compared` with the key of their matrix in its file."""
    first = own.assign(turn=own.groupby("factor").cumcount()).sort_values("turn", kind="stable")[:COLUMNS]
    pairs: list[Any] = own[own.index.isin(first.index)].to_dict("records")
    side = min(2.3, 8.1 / max(len(pairs), 3) - 0.1)
    fig = style.figure(2 * side + 1.8)
    grid = fig.subplots(2, max(len(pairs), 3), squeeze=False)
    for axes in grid[:, len(pairs) :].flat:
        axes.set_visible(False)
    data = pd.DataFrame(
        [row for column, pair in zip(grid.T, pairs, strict=False)
         for row in _pair(column, pair, tensor(kept[pair["key"]], pair["key"]))]
    )  # fmt: skip
    for axes, kind in zip(grid[:, 0], ("in place", "matched"), strict=True):
        axes.set_ylabel(kind, fontweight="bold")
    heatmaps.bar(fig, grid[:, : len(pairs)].flat, "correlation r")
    if hatched := heatmaps.undefined(fig, "undefined: a constant feature"):
        fig.legend(handles=hatched, loc="outside lower right")
    layout: Any = fig.get_layout_engine()
    layout.set(rect=(0, 0, 1, 1 - 0.15 / fig.get_figheight()))  # titles of three lines need it
    size = data["feature_a"].max() + 1
    some = f" ({SHOWN} of {size} features, evenly chosen)" if size > SHOWN else ""
    norms = [
        f"{pair['pair']}: {', '.join(style.number(pair[name]) for name in ('norm_a', 'norm_b', 'distance'))}"
        for pair in pairs
    ]
    shown = f"{len(pairs)} of {len(own)} pairs of models, the first" if len(pairs) < len(own) else "one pair of models"
    caption = (
        f"Correlation of each feature of one model (rows) with each of another (columns) over the test images{some}: "
        f"{where}, {shown} for each thing in which they differ. Above, both keep their order: a dark "
        "diagonal means that feature i of one is feature i of the other. Below, the columns are set so that each "
        "feature has its best partner, one to one: a dark diagonal there alone means the same features in another "
        f"order. ‖θ₁‖, ‖θ₂‖ and ‖θ₁ − θ₂‖: {'; '.join(norms)}."
    )
    means = data.groupby(["pair", "order"], sort=False)["correlation"].mean().reset_index()
    rows = means.itertuples(index=False, name=None)
    text = "; ".join(f"{pair} {order} {fixed(value)}" for pair, order, value in rows)
    alt = f"Heatmaps of correlations between the features of two models, {where}. Mean of the diagonal: {text}."
    name, tab = slug("feature-cross", where if many else ""), where if many else ""
    title = "Correlation of features between models"
    return Exhibit(name, title, caption, alt, data, fig, raster=True, palette=True, tab=tab)


def _pair(column: Sequence[Axes], pair: Mapping[str, Any], matrix: Array) -> list[dict[str, Any]]:
    """The maps of two models, in place and matched, and a row of numbers for each feature of both diagonals."""
    chosen, partners = matched(matrix)
    front = {name: pair[name] for name in ("cell_a", "seed_a", "cell_b", "seed_b", "pair")}
    rows = []
    for axes, kind, others in zip(column, ("in place", "matched"), (chosen, partners), strict=True):
        part = matrix[np.ix_(chosen, others)]
        heatmaps.correlations(axes, part)
        diagonal = np.diag(part)
        known = diagonal[np.isfinite(diagonal)]
        axes.set_xlabel(f"diagonal: {fixed(known.mean()) if len(known) else 'undefined'}", fontsize=9)
        rows += [
            {**front, "order": kind, "feature_a": a, "feature_b": b, "correlation": value}
            for a, b, value in zip(chosen.tolist(), others.tolist(), diagonal.tolist(), strict=True)
        ]
    column[0].set_title(pair["pair"].replace(": ", ":\n", 1).replace(" / ", "\n"), fontsize=8.5)
    return rows


def matched(matrix: Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """(rows, columns): at most 128 features of the first model, and their partners in the best one-to-one matching.

    Features that are undefined (constant) come last and keep their place. A matrix of more than 1024 features is
    matched for the shown rows alone.
    """
    rows = np.linspace(0, len(matrix) - 1, min(len(matrix), SHOWN)).round().astype(int)
    values = np.nan_to_num(matrix, nan=-2.0)
    if len(matrix) <= MATCHED:
        return rows, linear_sum_assignment(values, maximize=True)[1][rows]
    return rows, linear_sum_assignment(values[rows], maximize=True)[1]


# ------------------------------------------------------------------------------------------- answer


def likeness(found: pd.DataFrame, measures: Iterable[str]) -> list[Row]:
    """The mean of each measure of `compared` pairs by network, data set, factor ("seed" is chance) and measure, by
    seed: network, dataset, factor, measure, pairs, n, mean, low, high. Pairs of seeds share models: their interval is
    over these. It is cut at -1 and 1."""
    made = []
    for (network, dataset, factor), own in found.groupby(["network", "dataset", "factor"], sort=False):
        for measure in measures:
            row = grid.interval(own.groupby("seed_a")[measure].mean())
            if factor == "seed":
                row |= stats.pair_mean(by_seeds(own, measure))._asdict()
            row |= {"low": max(row["low"], -1.0), "high": min(row["high"], 1.0)} if math.isfinite(row["low"]) else {}
            names = {"network": network, "dataset": dataset, "factor": factor, "measure": measure}
            made.append({**names, "pairs": int(own[measure].notna().sum()), **row})
    return made


def by_seeds(own: pd.DataFrame, column: str) -> dict[tuple[int, int], float]:
    """The mean of a column by pair of seeds, as `stats.pair_mean` takes it."""
    means = own.groupby(["seed_a", "seed_b"])[column].mean().reset_index()
    return {(int(a), int(b)): float(value) for a, b, value in means.itertuples(index=False, name=None)}


def answer(tables: Tables) -> list[Answer]:
    """The same features? In the same order? Nothing without a pair besides the seeds."""
    found = [row for row in likeness(compared(tables), MEASURES) if row["n"]]
    if all(row["factor"] == "seed" for row in found):
        return []
    return [
        *_alike("the features of two models have a CKA of", found, "cka"),
        *_alike("features at the same place, in the same order, correlate by", found, "correlation"),
        *_alike("each feature and its best partner, in any order, correlate by", found, "matched"),
    ]


def _alike(words: str, found: Sequence[Row], measure: str) -> list[Answer]:
    """One measure, an answer for each network and data set: each factor with an interval, chance last."""
    places: dict[str, list[Row]] = {}
    for row in sorted(found, key=lambda row: row["factor"] == "seed"):
        if row["measure"] == measure:
            places.setdefault(place(row), []).append(row)
    made = []
    for where, rows in places.items():
        numbers = tuple(number(f"{measure}, {where}, {row['factor']}", row, beside(row)) for row in rows)
        sure = f"95 % intervals, {grid.seeds(row for row in rows if row['factor'] != 'seed')}"
        made.append(Answer(f"{words} {', '.join(map(beside, rows))}.", None, where, numbers, sure))
    return made


def beside(row: Row) -> str:
    """ "0.85 [0.80, 0.90] for another optimizer", "0.82 [0.75, 0.89] for two seeds of one cell (6 pairs)"."""
    if row["factor"] == "seed":
        return f"{ranged(row)} for two seeds of one cell ({plural(row['pairs'], 'pair')})"
    return f"{ranged(row)} for another {WORDS.get(row['factor'], row['factor'])}"
