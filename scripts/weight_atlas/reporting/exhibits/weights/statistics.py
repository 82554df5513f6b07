"""Exhibits on single layers: mean, standard deviation and range of every weight and bias, at the start and the end."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.effects import records
from weight_atlas.reporting.exhibits.design.spans import place
from weight_atlas.reporting.exhibits.runs.runs import ESTIMATE, shortfall, with_cells
from weight_atlas.reporting.grammar import heatmaps, layer_rows, style
from weight_atlas.reporting.grammar.answers import Answer, Number, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.heatmaps import Column, Map
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural, slug
from weight_atlas.stats import summarise

MEASURES = {"mean": "mean", "std": "standard deviation", "range": "range (max − min)"}
MOMENTS = ("start", "end")


def statistics(tables: Tables) -> list[Exhibit]:
    """Mean, standard deviation and range of every weight and bias at the start and at the end, as heatmaps."""
    several = [column for column in ("network", "dataset") if len(tables.values(column)) > 1]
    return [
        _exhibit(tables, part.reset_index(drop=True), [part[column].iloc[0] for column in several])
        for _, part in _start_and_end(tables).groupby(["network", "dataset"], sort=False)
    ]


def _start_and_end(tables: Tables) -> pd.DataFrame:
    """Means over replicates by cell, layer, parameter, moment (start, end) and statistic, weights and biases alone."""
    found = tables.done("statistics")
    found = found[found["parameter"].isin(layer_rows.LEARNT)]
    if found.empty:
        raise NothingToShow("statistics.csv has no weight or bias.")
    epochs = found.groupby(["cell_id", "seed"])["epoch"]
    ends = [found["epoch"] == epochs.transform(end) for end in ("min", "max")]
    found = found.assign(moment=np.select(ends, list(MOMENTS), ""))
    long = found[found["moment"] != ""].melt(
        ["cell_id", "seed", "layer", "parameter", "moment"], list(MEASURES), "statistic", "value"
    )
    data = with_cells(tables, summarise(long, ["cell_id", "layer", "parameter", "moment", "statistic"], "value"))
    order = {name: place for place, name in enumerate(tables.values("network"))}
    made: pd.DataFrame = data.sort_values("network", key=lambda column: column.map(order), kind="stable")
    return made.reset_index(drop=True)


def _exhibit(tables: Tables, data: pd.DataFrame, names: Sequence[str]) -> Exhibit:
    """The exhibit of one network and data set; names: those of the two that differ in the study."""
    network, dataset = (str(data[column].iloc[0]) for column in ("network", "dataset"))
    given = (tables.where(network=network, dataset=dataset)["kind"] == "given").any()
    are_tensors, where = tables.are_tensors(data["cell_id"].unique()), place({"network": network, "dataset": dataset})
    what = "tensor" if are_tensors else "weight and bias"
    kinds, order = (
        ("weights, embeddings, norms", "by name") if are_tensors else ("all weights", "in the network's order")
    )
    caption = (
        f"Mean, standard deviation and range of every {what} of {where}, each cell at its "
        f"start ({'epoch 0; of given checkpoints the first' if given else 'epoch 0'}) and at its last epoch: means "
        f"over the finished replicates (intervals are in the CSV). Rows are first {kinds}, then all biases, {order}. "
        f"{layer_rows.told(data, tables.noun)} The mean is coloured symmetrically about 0. A scale is logarithmic "
        "where its values span more than a factor of 20, and exactly 0 (biases that start at 0) has its own colour. "
        f"{shortfall(tables, network=network, dataset=dataset)}"
    )
    alt = f"Heatmaps of mean, standard deviation and range by {tables.noun} of {where}. {_growth(data, tables.noun)}"
    title, tab = "Statistics by tensor" if are_tensors else "Weights and biases by layer", ", ".join(names)
    return Exhibit(slug("statistics", *names), title, caption, alt, data, _figure(tables, data), tab=tab)


def _figure(tables: Tables, data: pd.DataFrame) -> Figure:
    """The heatmaps of one network and data set: rows weights, then biases; columns cells, each at start and end."""
    labels = tables.cells.drop_duplicates("cell_id").set_index("cell_id")["label"]
    columns = [
        Column((cell, moment), moment, labels[cell] if tables.axes else "")
        for cell in data["cell_id"].unique()
        for moment in MOMENTS
    ]  # fmt: skip
    are_tensors = tables.are_tensors(data["cell_id"].unique())
    keys = ["network", "cell_id", "moment", "layer", "parameter", "statistic"]
    drawn = layer_rows.merged(data, keys)
    rows = layer_rows.ordered(drawn)
    texts = layer_rows.texts(rows, are_tensors)
    return heatmaps.side_by_side(measured(drawn, ["cell_id", "moment"]), rows, columns, texts=texts)


def measured(data: pd.DataFrame, columns: Sequence[str]) -> list[Map]:
    """The heatmap of each of MEASURES by layer and parameter, with these columns."""
    found = []
    for statistic, title in MEASURES.items():
        own = data[data["statistic"] == statistic]
        values = own.pivot(index=["layer", "parameter"], columns=list(columns), values="mean")
        scale = style.signed_scale if statistic == "mean" else style.positive_scale
        found.append(Map(title, values, scale(values)))
    return found


def _spreads(data: pd.DataFrame) -> pd.DataFrame:
    """The weights' standard deviation by layer, at the start and at the end: means over the cells that have both."""
    weights = data[(data["parameter"] == "weight") & (data["statistic"] == "std")]
    pairs = weights.pivot_table(index=["layer", "cell_id"], columns="moment", values="mean", sort=False)
    return pairs.reindex(columns=list(MOMENTS)).dropna().groupby("layer", sort=False).mean()


def _growth(data: pd.DataFrame, noun: str) -> str:
    """In how many layers the standard deviation of the weights grew, as a sentence; "" where it is not known."""
    ends = _spreads(data)
    if ends.empty:
        return ""
    change = ends["end"] - ends["start"]
    return (
        f"From start to end the standard deviation of the weights grew in {int((change > 0).sum())} of {len(change)} "
        f"{noun}s (mean over cells), most in {change.idxmax()} (by {style.number(change.max(), 3)})."
    )


def grown(tables: Tables) -> pd.DataFrame:
    """How the standard deviation of each layer's weights grows from start to end, as `growth` has it by network, data
    set and layer."""
    found = tables.done("statistics")
    found = found[found["parameter"] == "weight"]
    epochs = found.groupby(["cell_id", "seed"])["epoch"]
    first, end = (found[found["epoch"] == epochs.transform(which)] for which in ("min", "max"))
    return growth(first, end, ["network", "dataset", "layer"])


def growth(first: pd.DataFrame, end: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """How many times the standard deviation at the end is that at first, where that is above 0.

    Parameters
    ----------
    first, end : DataFrame
        cell_id, seed, std and the columns `by`.
    by : sequence of str
        What names a row of the result.

    Returns
    -------
    DataFrame
        by, n, mean, low, high (of a geometric mean by seed, that of the cells first), p and q, corrected over all rows.
    """
    before, after = (side.set_index([*by, "cell_id", "seed"])["std"] for side in (first, end))
    kept = (before > 0) & (after.reindex(before.index) > 0)
    logs = pd.Series(np.log(after.reindex(before.index)[kept] / before[kept]))
    by_seed: Any = logs.groupby(level=[*by, "seed"], sort=False).mean().groupby(level=list(by), sort=False)
    rows = [dict(zip(by, key, strict=True)) | grid.interval(own) for key, own in by_seed]
    made = pd.DataFrame(grid.corrected(rows), columns=[*by, *ESTIMATE, "p", "q"])
    return made.assign(**{name: np.exp(made[name]) for name in ("mean", "low", "high")})


def growing(rows: pd.DataFrame, noun: str = "layer") -> tuple[str, Number]:
    """ "clearly grows in 4 and shrinks in 0 of 5 layers, most in fc3: 1.09 times [1.04, 1.15]" of rows of `growth`, and
    the number of that layer; of none that is clear the number of the layer with the largest change."""
    every = records(rows)
    clear = [row for row in every if row["q"] < grid.LEVEL]
    more = sum(row["mean"] > 1 for row in clear)
    most = max(clear or every, key=lambda row: abs(math.log(row["mean"])))
    change = f"{style.number(most['mean'], 3)} times"
    if math.isfinite(most["low"]):
        change += f" [{', '.join(style.number(most[end], 3) for end in ('low', 'high'))}]"
    changed = f"grows in {more} and shrinks in {len(clear) - more} of" if clear else "changes in none of"
    text = f"clearly {changed} {plural(len(every), noun)}, most in {most['layer']}: {change}"
    return text, number(f"standard deviation of {most['layer']}, last over first", most, change)


def answer(tables: Tables) -> list[Answer]:
    """In how many layers the spread of the weights clearly grows and shrinks, by network and data set."""
    found = grown(tables)
    if found.empty:
        return []
    sure = f"q < {grid.LEVEL}, corrected for all {tables.noun}s, {grid.seeds(records(found))}"
    told = [
        (place(records(own)[0]), *growing(own, tables.noun))
        for _, own in found.groupby(["network", "dataset"], sort=False)
    ]
    words = "from start to end the standard deviation of the weights"
    return [Answer(f"{words} {text}.", None, where, (one,), sure) for where, text, one in told]
