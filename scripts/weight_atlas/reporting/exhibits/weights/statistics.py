"""Exhibits on single layers: mean, standard deviation and range of every weight and bias, at the start and the end."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall, with_cells
from weight_atlas.reporting.grammar import heatmaps, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.heatmaps import Column, Map
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import slug
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
    found = found[found["parameter"].isin(["weight", "bias"])]
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
    caption = (
        f"Mean, standard deviation and range of every weight and bias of {network} on {dataset}, each cell at its "
        f"start ({'epoch 0; of given checkpoints the first' if given else 'epoch 0'}) and at its last epoch: means "
        "over the finished replicates (intervals are in the CSV). Rows are first all weights, then all biases, in the "
        "network's order. The mean is coloured symmetrically about 0. A scale is logarithmic where its values span "
        "more than a factor of 20, and exactly 0 (biases that start at 0) has its own colour. "
        f"{shortfall(tables, network=network, dataset=dataset)}"
    )
    alt = f"Heatmaps of mean, standard deviation and range by layer of {network} on {dataset}. {_growth(data)}"
    title, tab = "Weights and biases by layer", ", ".join(names)
    return Exhibit(slug("statistics", *names), title, caption, alt, data, _figure(tables, data), tab=tab)


def _figure(tables: Tables, data: pd.DataFrame) -> Figure:
    """The heatmaps of one network and data set: rows weights, then biases; columns cells, each at start and end."""
    labels = tables.cells.drop_duplicates("cell_id").set_index("cell_id")["label"]
    columns = [
        Column((cell, moment), f"{labels[cell]}, start" if moment == "start" and tables.axes else moment,
               moment == "start")
        for cell in data["cell_id"].unique()
        for moment in MOMENTS
    ]  # fmt: skip
    rows = data[["layer", "parameter"]].drop_duplicates().sort_values("parameter", ascending=False, kind="stable")
    return heatmaps.side_by_side(measured(data, ["cell_id", "moment"]), pd.MultiIndex.from_frame(rows), columns)


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


def _growth(data: pd.DataFrame) -> str:
    """In how many layers the standard deviation of the weights grew, as a sentence; "" where it is not known."""
    ends = _spreads(data)
    if ends.empty:
        return ""
    change = ends["end"] - ends["start"]
    return (
        f"From start to end the standard deviation of the weights grew in {int((change > 0).sum())} of {len(change)} "
        f"layers (mean over cells), most in {change.idxmax()} (by {style.number(change.max(), 3)})."
    )


def facts(tables: Tables) -> list[dict[str, Any]]:
    """One dict a network: `layers` with weights, in how many of them their standard deviation `grew` from start to end
    (mean over cells), and the layer where it changed `most`, by which `factor`; layers that begin at 0 have none."""
    found = []
    for network, own in _start_and_end(tables).groupby("network", sort=False):
        ends = _spreads(own)
        if ends.empty:
            continue
        factors = (ends["end"] / ends["start"])[ends["start"] > 0].to_dict()
        most = max(factors, key=lambda layer: abs(math.log(factors[layer])), default=None)
        grew = int((ends["end"] > ends["start"]).sum())
        one = {"network": network, "layers": len(ends), "grew": grew, "most": most}
        found.append(one | {"factor": float(factors[most]) if most else None})
    return found


def answer(tables: Tables) -> list[str]:
    """Where the weights spread, network by network."""
    words = []
    for item in facts(tables):
        text = f"{item['grew']} of {item['layers']} layers of {item['network']}"
        most = f" (most in {item['most']}, by a factor of {style.number(item['factor'], 3)})" if item["most"] else ""
        words.append(text + most)
    text = "From start to end the standard deviation of the weights grows in"
    return [f"{text} {'; in '.join(words)}: means over cells."] if words else []
