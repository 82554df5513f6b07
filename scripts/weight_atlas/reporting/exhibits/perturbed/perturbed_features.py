"""Exhibits on the features of perturbed models: how alike to the original's, and their correlations as heatmaps."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.features.features import by_similarity
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import ADD, FLIP, LAYERS, OTHER, REPEATED, SAME
from weight_atlas.reporting.grammar import heatmaps, marks, panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.stripplots import strip_plots
from weight_atlas.reporting.grammar.tables import Tables, tensor
from weight_atlas.reporting.grammar.words import fixed, slug

MEASURES = {
    "cka": "CKA",
    "agreement": "same\nprediction",
    "correlation": "r in place",
    "matched": "r matched",
    "divergence": "divergence\n(bits)",
}
ERRORS = ("errors_a", "errors_b", "both_wrong")
SHOWN = 256
RANK = (FLIP, ADD, OTHER, SAME)  # which of an original's children are shown as heatmaps: the first two that are there
NORMS = {"norm": "‖θ₁‖", "norm_end": "‖θ₂‖", "distance": "‖θ₁ − θ₂‖"}  # of `families.journeys`
TITLES = {"original": "original", "end": "trained again", "between": "original (rows) with trained again"}


# ------------------------------------------------------------------------------------------- likeness


def likeness(tables: Tables) -> list[Exhibit]:
    """Likeness of features and predictions to the original's by perturbation, against chance."""
    every = families.family(tables)
    rows = pd.concat([families.shown(every), every[every["rung"]]]).drop_duplicates("cell_id")
    rows = rows[rows["what"] != LAYERS]
    found = _compared(tables, every)
    found = found[found["cell_id"].isin(rows["cell_id"])].assign(pair=lambda own: own["words"])
    fig, grid = strip_plots(tables, found, _chance(tables), MEASURES, "one model and its original")
    most = float(f"{max(0.01, found['divergence'].max() if found['divergence'].notna().any() else 1):.0e}")
    for axes in grid[:, -1]:
        axes.set_xlim(-0.06 * most, 1.15 * most)
        axes.set_xticks([0, most], ["0", style.short(most)])
    caption = (
        "How alike a model that was perturbed and trained again is to its original, in its features and its answers; "
        "shaded, what two seeds of one cell give. CKA compares what the features span, whatever their order or "
        "rotation; same prediction is the share of test images with the same answer; r in place correlates feature i "
        "of one with feature i of the other, r matched after the best one-to-one matching; divergence is the mean "
        "Jensen-Shannon divergence of the predicted probabilities, in bits (0: the same). "
        f"{_wrong(found)} {families.shortfall(tables, rows)}"
    )
    defined = found.dropna(subset=["cka", "correlation"])
    text = families.told(defined, lambda own: f"{fixed(own['cka'].mean())} and {fixed(own['correlation'].mean())}")
    alt = f"Strip plots. Mean CKA with the original, and mean r in place: {text}."
    data = found[[name for name in (*families.FRONT, "seed", *MEASURES, *ERRORS) if name in found]]
    title = "The same features after a perturbation?"
    return [Exhibit("perturbed-pairs", title, caption, alt, data.reset_index(drop=True), fig)]


def _compared(tables: Tables, rows: pd.DataFrame) -> pd.DataFrame:
    """The pairs of perturbed models with their originals: pairs.csv with the columns of `families.family`, as of b."""
    found = tables.relatives()
    found = found[found["factor"] == "original"]
    found = rows.merge(found.rename(columns={"cell_b": "cell_id", "seed_b": "seed"}), on="cell_id")
    if found.empty:
        raise NothingToShow("pairs.csv has no perturbed model beside its original.")
    return found


def _chance(tables: Tables) -> pd.DataFrame:
    """The pairs of two seeds of one cell of the grid: what chance alone gives; empty where there is none."""
    columns = ["network", "dataset", "pair", *MEASURES]
    try:
        found = tables.pairs()
    except NothingToShow:
        return pd.DataFrame(columns=columns)
    return found[found["factor"] == "seed"].assign(pair="").reindex(columns=columns)


def _wrong(found: pd.DataFrame) -> str:
    """A sentence on the errors that model and original share, by perturbation."""
    if not set(ERRORS) <= set(found):
        return ""

    def shared(own: pd.DataFrame) -> str:
        either = (own["errors_a"] + own["errors_b"] - own["both_wrong"]).sum()
        return style.percent(own["both_wrong"].sum() / either, 0) if either > 0 else ""

    told = families.told(found[(found["what"] != REPEATED) & ~found["rung"]], shared)
    return f"Of the images that either gets wrong, both get wrong: {told}." if told else ""


# ------------------------------------------------------------------------------------------- correlations


class Compared(NamedTuple):
    """A perturbed replicate (row: its cell's of `families.family`) and where its matrices are: file and key."""

    row: Any
    seed: str
    places: Mapping[str, tuple[Path, str]]


def correlations(tables: Tables) -> list[Exhibit]:
    """Correlations of the features of an original, of it trained again, and between both, as heatmaps."""
    rows = families.shown(families.family(tables))
    rows = rows[rows["what"].isin(RANK)]
    rows = rows.sort_values("what", key=lambda column: column.map(RANK.index), kind="stable")
    places = itertools.product(tables.values("network"), tables.values("dataset"))
    made = {(one, on): _chosen(tables, rows[(rows["network"] == one) & (rows["dataset"] == on)]) for one, on in places}
    made = {place: chosen for place, chosen in made.items() if chosen}
    if not made:
        raise NothingToShow("no file of matrices holds an original, a perturbed model and what lies between them.")
    differ = [at for at in (0, 1) if len({place[at] for place in made}) > 1]
    return [_heatmaps(tables, chosen, ", ".join(place[at] for at in differ)) for place, chosen in made.items()]


def _chosen(tables: Tables, rows: pd.DataFrame) -> list[Compared]:
    """The first two perturbations of the first original of which all matrices are there."""
    single = {key: path for path, key in tables.kept("features")}
    done = {f"{run.cell_id}/seed{run.seed}" for run in families.perturbed(tables).done("runs").itertuples()}
    between: dict[tuple[str, str], Compared] = {}
    for path, key in tables.kept("pairs"):
        original, _, end = key.partition("|")
        if end in done and {original, end} <= set(single):
            places = {"original": (single[original], original), "end": (single[end], end), "between": (path, key)}
            cell, _, seed = end.rpartition("/seed")
            between.setdefault((original.rpartition("/")[0], cell), Compared(None, seed, places))
    for _, options in rows.groupby("branch", sort=False):
        keys = [((row.parent, row.cell_id), row) for row in options.itertuples()]
        found = [between[key]._replace(row=row) for key, row in keys if key in between]
        if found:
            return found[:2]
    return []


def _heatmaps(tables: Tables, chosen: Sequence[Compared], tab: str) -> Exhibit:
    """The exhibit of a network's first original on a data set: a row for each perturbation: original, end, between."""
    fig, grid = panels.grid([one.row.words for one in chosen], list(TITLES.values()), 2.75, 0.75)
    data = pd.DataFrame([row for line, one in zip(grid, chosen, strict=True) for row in _draw(line, one)])
    heatmaps.bar(fig, grid.flat, "correlation r")
    marks.legend(fig, (), extra=heatmaps.undefined(fig, "undefined: a constant feature"))
    first, size = chosen[0].row, data["features"].max()
    some = f" ({SHOWN} of {size} features, evenly chosen)" if size > SHOWN else ""
    means = data.loc[data["matrix"] == "between", "diagonal"]
    told = ", ".join(f"{one.row.words} {fixed(mean) or 'undefined'}" for one, mean in zip(chosen, means, strict=True))
    where = f"{first.network} on {first.dataset}" + (f", {first.name}" if tables.axes else "")
    take = families.perturbed(tables).settings[first.cell_id].start.take
    at = "" if take == "last" else f"The original is shown at its last epoch; it was perturbed at {take}."
    caption = (
        f"Correlations of features over the test images{some}: within the original, within the model that was "
        f"perturbed and trained again, and between the two ({where}; seed {chosen[0].seed}). All maps of a row keep "
        "the order of features in which those of the original that fire together are neighbours. A dark diagonal in "
        "the map between: feature i is still feature i. Where only that diagonal is gone, the model has features of "
        f"the same kind in other places. Mean of that diagonal: {told}. {_norms(tables, chosen)} {at}"
    )
    alt = f"Heatmaps of feature correlations, {where}. Mean r of a feature with itself before and after: {told}."
    name, title = slug("perturbed-features", tab), "Features before and after"
    return Exhibit(name, title, caption, alt, data, fig, raster=True, palette=True, tab=tab)


def _norms(tables: Tables, chosen: Sequence[Compared]) -> str:
    """A sentence on the norms of the models that are shown; empty where there are none."""
    try:
        found = families.journeys(tables).set_index(["cell_id", "seed"])
    except NothingToShow:
        return ""
    told = []
    for one in chosen:
        place = (one.row.cell_id, int(one.seed))
        if place in found.index:
            row = found.loc[[place]].iloc[0]
            words = ", ".join(f"{symbol} = {style.number(row[name])}" for name, symbol in NORMS.items())
            told.append(f"{one.row.words} {words}")
    return f"Original θ₁, trained again θ₂: {'; '.join(told)}." if told else ""


def _draw(line: Sequence[Axes], one: Compared) -> list[dict[str, Any]]:
    """The maps of one perturbation, in the order of the original's features, and a row of numbers for each."""
    matrices = {name: tensor(*one.places[name]) for name in TITLES}
    order = by_similarity(matrices["original"])
    order = order[np.linspace(0, len(order) - 1, min(len(order), SHOWN)).round().astype(int)]
    columns = ("network", "dataset", "name", "perturbation")
    front = {"cell_id": one.row.cell_id, "original": one.row.parent, "seed": one.seed}
    front |= {column: getattr(one.row, column) for column in columns}
    rows = []
    for axes, (name, matrix) in zip(line, matrices.items(), strict=True):
        heatmaps.correlations(axes, matrix[np.ix_(order, order)])
        off = matrix[~np.eye(len(matrix), dtype=bool)]
        numbers = {"mean_absolute": _average(np.abs(off)), "diagonal": _average(np.diag(matrix))}
        what, column = ("diagonal", "diagonal") if name == "between" else ("mean |r|", "mean_absolute")
        axes.set_xlabel(f"{what} {fixed(numbers[column]) or 'undefined'}", fontsize=9)
        rows.append({**front, "matrix": name, "features": len(matrix), **numbers})
    return rows


def _average(values: npt.NDArray[np.floating]) -> float:
    """The mean of the finite values, NaN where there is none."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")
