"""Exhibits on runs side by side: how alike a parameter is in two of them, at the first and the last checkpoint."""

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.checkpoints.checkpoints import Family, Scales, families, shown
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar import layer_rows, style
from weight_atlas.reporting.grammar.answers import Answer
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.heatmaps import Column, Map, side_by_side
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural, signed, whole
from weight_atlas.stats import summarise

SCALES: Scales = {"pearson": ("Pearson's r", lambda _: Normalize(-1, 1)), "angle": ("angle (°)", style.positive_scale)}
MATRICES = ("weight", "embedding")
KEYS = ["network", "pair", "checkpoint", "layer", "parameter", "size", "quantity"]


def alike(tables: Tables) -> pd.DataFrame:
    """By pair of runs ("a and b", or "a: replicates"), checkpoint, parameter and quantity (pearson, or angle in
    degrees): KEYS, n, mean, low, high. Parameters are as they are, without matching."""
    found = shown(tables, "correlations")
    found = found[(found["comparison"] != "checkpoints") & (found["matching"] == "raw")]
    found = found[found["checkpoint_a"] == found["checkpoint_b"]]
    if found.empty:
        raise NothingToShow("correlations.csv has no two runs at one checkpoint.")
    cells = tables.cells.drop_duplicates("cell_id").set_index("cell_id")
    one, other = (found[f"cell_{side}"].map(cells["label"]) for side in "ab")
    pair = np.where(found["cell_a"] == found["cell_b"], one + ": replicates", one + " and " + other)
    found = found.assign(
        network=found["cell_a"].map(cells["network"]),
        pair=pair,
        checkpoint=found["checkpoint_a"],
        angle=np.degrees(np.arccos(found["cosine"].clip(-1, 1))),
    )
    found.loc[(found["changed"] == 0) & found["cosine"].notna(), "angle"] = 0.0
    return summarise(found.melt(KEYS[:-1], list(SCALES), "quantity", "value"), KEYS, "value")


def between_runs(tables: Tables) -> list[Exhibit]:
    """Pearson's r and the angle of every parameter of two runs at their checkpoints, as heatmaps."""
    data, made = alike(tables), []
    for family in families(tables):
        own = data[data["network"] == family.network]
        if len(own):
            made.append(_exhibit(tables, family, own))
    return made


def _exhibit(tables: Tables, family: Family, own: pd.DataFrame) -> Exhibit:
    drawn = family.drawn(own, ["pair", "checkpoint", "layer", "parameter", "quantity"])
    maps = []
    for quantity, (title, scale) in SCALES.items():
        part = drawn[drawn["quantity"] == quantity]
        values = part.pivot(index=["layer", "parameter"], columns=["pair", "checkpoint"], values="mean")
        maps.append(Map(title, values, scale(values)))
    pairs = drawn[["pair", "checkpoint"]].drop_duplicates().itertuples(index=False, name=None)
    columns = [Column((pair, checkpoint), str(checkpoint), str(pair)) for pair, checkpoint in pairs]
    rows = layer_rows.ordered(drawn)
    are_tensors = tables.are_tensors(family.cells["cell_id"])
    fig = side_by_side(maps, rows, columns, texts=layer_rows.texts(rows, are_tensors))
    seen = " ".join(_said(pair, part) for pair, part in own.groupby("pair", sort=False))
    what = "tensor" if are_tensors else "weight and bias"
    caption = (
        f"{seen} Pearson's r and the angle of every {what} of two runs at one checkpoint, value by value in place: the "
        "channels of two networks that learnt apart are in another order, and nothing is matched. Means over pairs of "
        f"replicates. {family.told(own, tables.noun)} No value: a constant or a zero tensor. {shortfall(tables)}"
    )
    return family.exhibit("between-runs", "Between the runs", caption, f"Heatmaps by {tables.noun}. {seen}", own, fig)


def _said(pair: object, own: pd.DataFrame) -> str:
    """ "a and b: the median r of 26 weights is +0.002 at first and +0.104 at last, there most in wte.weight (+0.8)"."""
    part = own[(own["quantity"] == "pearson") & own["parameter"].isin(MATRICES) & own["mean"].notna()]
    if part.empty:
        return ""
    medians = part.groupby("checkpoint", sort=False)["mean"].median()
    told = " and ".join(f"{signed(float(value))} at {checkpoint}" for checkpoint, value in medians.items())
    end = part[part["checkpoint"] == medians.index[-1]]
    most = end.loc[end["mean"].abs().idxmax()]
    count = plural(end["layer"].nunique(), "weight")
    return f"{pair}: the median r of {count} is {told}, there most in {most['layer']} ({signed(float(most['mean']))})."


def answer(tables: Tables) -> list[Answer]:
    """How alike two runs are, pair by pair."""
    made = []
    for (_, pair), own in alike(tables).groupby(["network", "pair"], sort=False):
        if text := _said(pair, own).removeprefix(f"{pair}: "):
            made.append(Answer(text, None, str(pair), sure=f"means over {whole(own['n'])} pairs"))
    return made
