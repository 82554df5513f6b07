"""Exhibits on single layers: mean, standard deviation and range of every weight and bias, at the start and the end."""

import numpy as np
import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall, with_cells
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import slug
from weight_atlas.stats import summarise

MEASURES = {"mean": "mean", "std": "standard deviation", "range": "range (max − min)"}


def statistics(tables):
    """Three heatmaps (mean, standard deviation, range) for each network and data set; list[Exhibit]."""
    data = start_and_end(tables)
    made = []
    many = {column: len(tables.values(column)) > 1 for column in ("dataset", "network")}
    for (network, dataset), part in data.groupby(["network", "dataset"], sort=False):
        kept = [text for text, column in ((network, "network"), (dataset, "dataset")) if many[column]]
        name = "-".join(["statistics", *(slug(text) for text in kept)])
        title, tab = "Weights and biases by layer", ", ".join(kept)
        part = part.reset_index(drop=True)
        fig, _ = maps(tables, part)
        caption = words(tables, part, network, dataset)
        made.append(Exhibit(name, title, caption, alt(part, network, dataset), part, fig, tab=tab))
    return made


def start_and_end(tables):
    """Means over replicates by cell, layer, parameter, moment (start, end) and statistic, weights and biases alone."""
    found = tables.done("statistics")
    found = found[found["parameter"].isin(["weight", "bias"])]
    if found.empty:
        raise NothingToShow("statistics.csv has no weight or bias.")
    epochs = found.groupby(["cell_id", "seed"])["epoch"]
    ends = [found["epoch"] == epochs.transform(end) for end in ("min", "max")]
    found = found.assign(moment=np.select(ends, ["start", "end"], ""))
    long = found[found["moment"] != ""].melt(
        ["cell_id", "seed", "layer", "parameter", "moment"], list(MEASURES), "statistic", "value"
    )
    data = with_cells(tables, summarise(long, ["cell_id", "layer", "parameter", "moment", "statistic"], "value"))
    order = {name: place for place, name in enumerate(tables.values("network"))}
    return data.sort_values("network", key=lambda column: column.map(order), kind="stable").reset_index(drop=True)


def maps(tables, data):
    """The three heatmaps of one network and data set: rows weights, then biases; columns cells, start and end."""
    cells = data.drop_duplicates("cell_id")["cell_id"]
    labels = tables.cells.set_index("cell_id").loc[cells, "label"]
    rows = list(data[["layer", "parameter"]].drop_duplicates().itertuples(index=False, name=None))
    rows = sorted(rows, key=lambda row: row[1] == "bias")
    weights = sum(parameter == "weight" for _, parameter in rows)
    columns = pd.MultiIndex.from_tuples([(cell, moment) for cell in cells for moment in ("start", "end")])
    first = {cell: f"{labels[cell]}, start" if tables.axes else "start" for cell in cells}
    names = [first[cell] if moment == "start" else moment for cell, moment in columns]
    fig = style.figure(0.165 * len(rows) + 0.068 * max(map(len, names)) + 1.2)
    grid = fig.subplots(1, 3, sharey=True)
    images = []
    for axes, (statistic, title) in zip(grid, MEASURES.items(), strict=True):
        part = data[data["statistic"] == statistic]
        part = part.pivot(index=["layer", "parameter"], columns=["cell_id", "moment"], values="mean")
        part = part.reindex(index=pd.MultiIndex.from_tuples(rows), columns=columns)
        signed = statistic == "mean"
        norm = style.signed_scale(part) if signed else style.positive_scale(part)
        texts = [f"{layer}.{parameter}" for layer, parameter in rows]
        image = style.heatmap(axes, part, norm, style.DIVERGING if signed else style.SEQUENTIAL, texts, names)
        for edge in range(2, len(columns), 2):
            axes.axvline(edge - 0.5, color="white", linewidth=2)
        if 0 < weights < len(rows):
            axes.axhline(weights - 0.5, color="white", linewidth=4)
        axes.set_title(title)
        style.colourbar(fig, image, axes, None, location="bottom", aspect=18, pad=0.02)
        images.append(image)
    if any(np.ma.getmaskarray(image.get_array()).any() for image in images):
        fig.legend(handles=[style.undefined_patch("no value")], **ABOVE)
    return fig, images


def words(tables, data, network, dataset):
    """The caption."""
    given = (tables.where(network=network, dataset=dataset)["kind"] == "given").any()
    first = "epoch 0; of given checkpoints the first" if given else "epoch 0"
    text = (
        f"Mean, standard deviation and range of every weight and bias of {network} on {dataset}, each cell at its "
        f"start ({first}) and at its last epoch: means over the finished replicates (intervals are in the CSV). Rows "
        "are first all weights, then all biases, in the network's order. The mean is coloured symmetrically about "
        "0. A scale is logarithmic where its values span more than a factor of 20, and exactly 0 (biases that start "
        f"at 0) has a colour of its own. {shortfall(tables, network=network, dataset=dataset)}"
    )
    return text.strip()


def spreads(data):
    """The weights' standard deviation by layer, at the start and at the end: means over cells; None without both."""
    weights = data[(data["parameter"] == "weight") & (data["statistic"] == "std")]
    pairs = weights.pivot_table(index=["layer", "cell_id"], columns="moment", values="mean", sort=False).dropna()
    if pairs.empty or set(pairs.columns) != {"start", "end"}:
        return None
    return pairs.groupby("layer", sort=False).mean()


def facts(tables):
    """One dict a network: `layers` with weights, in how many of them their standard deviation `grew` from start to end
    (mean over cells), and the layer where it changed `most`, by which `factor`; layers that begin at 0 have none."""
    found = []
    for network, own in start_and_end(tables).groupby("network", sort=False):
        ends = spreads(own)
        if ends is not None:
            factors = (ends["end"] / ends["start"])[ends["start"] > 0]
            most = np.log(factors).abs().idxmax() if len(factors) else None
            grew = int((ends["end"] > ends["start"]).sum())
            one = {"network": network, "layers": len(ends), "grew": grew, "most": most}
            found.append(one | {"factor": float(factors[most]) if most else None})
    return found


def answer(tables):
    """Where the weights spread, network by network."""
    words = []
    for item in facts(tables):
        text = f"{item['grew']} of {item['layers']} layers of {item['network']}"
        most = f" (most in {item['most']}, by a factor of {style.number(item['factor'], 3)})" if item["most"] else ""
        words.append(text + most)
    text = "From start to end the standard deviation of the weights grows in"
    return [f"{text} {'; in '.join(words)}: means over cells."] if words else []


def alt(data, network, dataset):
    """The picture in words: how the standard deviation of the weights went from start to end."""
    ends = spreads(data)
    if ends is None:
        return f"Heatmaps of mean, standard deviation and range by layer of {network} on {dataset}."
    change = ends["end"] - ends["start"]
    grew = int((change > 0).sum())
    return (
        f"Heatmaps by layer of {network} on {dataset}. From start to end the standard deviation of the weights grew "
        f"in {grew} of {len(change)} layers (mean over cells), most in {change.idxmax()} (by "
        f"{style.number(change.max(), 3)})."
    )
