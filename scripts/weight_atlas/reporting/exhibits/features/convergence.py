"""Exhibits on the order in which layers are learnt: each layer beside its own end and other models', epoch by epoch."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.features.pairs import by_seeds
from weight_atlas.reporting.exhibits.runs.runs import WORDS, shortfall, with_cells
from weight_atlas.reporting.grammar import heatmaps, style
from weight_atlas.reporting.grammar.answers import Answer, Verdict, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, as_row
from weight_atlas.reporting.grammar.words import by_network, enumerated, fixed, ranged, slug, three, whole
from weight_atlas.stats import summarise

THRESHOLD = 0.9  # the CKA from which a layer has settled; `settled.csv` has others beside it
ACROSS = 4  # panels of a row
OWN = "end"  # the factor of a model beside its own end
DEPTH = "depth"  # the order of the layers from the input
LAYERS = "Rows are the convolutions and linear layers, the input at the top."


def course(tables: Tables) -> list[Exhibit]:
    """CKA of each layer to its own end by epoch, a panel for each cell."""
    found = tables.pairs("convergence")
    own = found[found["factor"] == OWN].rename(columns={"cell_a": "cell_id", "seed_a": "seed"})
    data = with_cells(tables, summarise(own, ["cell_id", "layer", "epoch"], "cka"))
    labels = tables.cells.set_index("cell_id")["label"]
    made = []
    for network, dataset, part in _places(data):
        part = part.assign(panel=part["cell_id"].map(labels))
        seen = _least(part)
        caption = (
            f"{seen} "
            f"How alike each layer of {network} on {dataset} is, epoch by epoch, to the same layer at the end of the "
            "same training: CKA of its outputs over test images, before normalisation and activation, means over the "
            f"finished replicates. 1: the layer already computes what it ends with, but for rotation and scale. "
            f"{LAYERS} {shortfall(tables)}"
        )
        title, tab = "When does each layer become what it is?", f"{network}, {dataset}"
        fig = _maps(part)
        name = slug("convergence", tab)
        made.append(Exhibit(name, title, caption, f"Heatmaps of CKA by layer and epoch. {seen}", part, fig, tab=tab))
    return made


def others(tables: Tables) -> list[Exhibit]:
    """CKA of each layer to the end of other models by epoch, a panel for each thing in which they differ."""
    found = tables.pairs("convergence")
    by = found.groupby(["network", "dataset", "factor", "layer", "epoch"], sort=False)
    data = by[["cka", "correlation", "matched"]].mean().reset_index().rename(columns={"cka": "mean"})
    if set(data["factor"]) == {OWN}:
        raise NothingToShow("convergence.csv has no two models.")
    made = []
    for network, dataset, part in _places(data):
        part = part.assign(panel=[_beside(factor) for factor in part["factor"]])
        last = part[part["epoch"] == part["epoch"].max()].groupby("panel", sort=False)[["mean", "matched"]].mean()
        told = [f"{panel} {fixed(row['mean'])}" for panel, row in last.iterrows()]
        seen = f"Mean CKA of the layers at the last epoch to {'; '.join(told)}."
        caption = (
            f"{seen} "
            f"How alike each layer of {network} on {dataset} is, epoch by epoch, to the same layer at the end of "
            "training: of its own, and of another model that differs in one thing; means over all pairs. Layers that "
            "come as close to another model's end as two seeds of one cell do have learnt the same. Correlations of "
            f"channels, in place and matched, are in the CSV. {LAYERS}"
        )
        title, tab = "The same features, in the same order?", f"{network}, {dataset}"
        name, alt = slug("convergence-others", tab), f"Heatmaps of CKA by layer and epoch. {seen}"
        made.append(Exhibit(name, title, caption, alt, part, _maps(part), tab=tab))
    return made


def _places(data: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(network, data set, rows) of each."""
    for (network, dataset), part in data.groupby(["network", "dataset"], sort=False):
        yield str(network), str(dataset), part


def _maps(data: pd.DataFrame) -> Figure:
    """Heatmaps of `mean` by layer and epoch on one scale, one for each `panel`."""
    panels, layers = list(dict.fromkeys(data["panel"])), list(dict.fromkeys(data["layer"]))
    epochs = sorted(data["epoch"].unique())
    down = math.ceil(len(panels) / ACROSS)
    across = min(ACROSS, len(panels))
    fig = style.figure(down * (heatmaps.ROW * len(layers) + 0.9) + 0.7)
    grid = fig.subplots(down, across, squeeze=False)
    for at, axes in enumerate(grid.flat):
        if at >= len(panels):
            axes.set_visible(False)
            continue
        values = data[data["panel"] == panels[at]].pivot(index="layer", columns="epoch", values="mean")
        values = values.reindex(index=layers, columns=epochs)
        heatmaps.heatmap(axes, values, Normalize(0, 1), layers)
        axes.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
        axes.tick_params(labelleft=at % across == 0)
        room = 0.85 * (style.WIDTH - 1) / across  # bold letters are wider
        axes.set_title("\n".join(heatmaps.fitted(panels[at], room) or [panels[at]]), fontsize=9)
        if at + across >= len(panels):
            axes.set_xlabel("epoch")
    shown = list(grid.flat)[: len(panels)]
    heatmaps.bar(fig, shown, "CKA to the end")
    if hatched := heatmaps.undefined(fig, "undefined: outputs that do not vary"):
        fig.legend(handles=hatched, loc="outside lower right")
    return fig


def _beside(factor: str) -> str:
    return "its own end" if factor == OWN else f"the end of another {WORDS.get(factor, factor)}"


def _least(data: pd.DataFrame) -> str:
    """A sentence on the layers that are least and most like their end after the first epoch that is kept."""
    epochs = sorted(data["epoch"].unique())
    first = data[data["epoch"] == epochs[min(1, len(epochs) - 1)]]
    means = first.groupby("layer", sort=False)["mean"].mean().dropna()
    if means.empty:
        return "No layer's outputs vary."
    return (
        f"After epoch {first['epoch'].iloc[0]}, {means.idxmax()} is most like its end (CKA {fixed(means.max())}) and "
        f"{means.idxmin()} least ({fixed(means.min())})."
    )


# ------------------------------------------------------------------------------------------- settled


def _epochs(tables: Tables, threshold: float = THRESHOLD) -> pd.DataFrame:
    """settled.csv, finished replicates, at one threshold; a layer that never settles has an infinite epoch."""
    found = tables.done("settled")
    return found[found["threshold"] == threshold].assign(epoch=lambda rows: rows["epoch"].astype(float).fillna(np.inf))


def settled(tables: Tables) -> list[Exhibit]:
    """The mean epoch from which each layer of each cell stays like its end, as heatmaps."""
    found = _epochs(tables)
    known = found.assign(epoch=found["epoch"].where(np.isfinite(found["epoch"])))
    data = with_cells(tables, summarise(known, ["cell_id", "layer"], "epoch"))
    fig = heatmaps.by_layer(tables, data, Normalize(0, max(1.0, float(data["mean"].max()))), "epoch")

    def ends(own: pd.DataFrame) -> str:
        means = own.groupby("layer", sort=False)["mean"].mean().dropna()
        if means.empty:
            return ""
        first, last = f"{means.idxmin()} settles first (epoch {three(means.min())}", f"{means.idxmax()} last ("
        return f"{first}, mean over the cells) and {last}{three(means.max())})"

    seen = f"When layers settle: {by_network(data, ends)}."
    caption = (
        f"{seen} "
        f"The first epoch from which a layer's CKA to its own end stays at least {THRESHOLD}: means over the finished "
        f"replicates; 0 is the start. A layer near the input can be like its end from the start: what it computes is "
        f"mostly the image, whatever its filters. {LAYERS} Columns are cells. The table settled.csv has the same for "
        f"{enumerated([str(one) for one in _thresholds(tables) if one != THRESHOLD])}. {shortfall(tables)}"
    )
    return [Exhibit("settled", "The epoch at which each layer settles", caption, f"Heatmaps. {seen}", data, fig)]


def _thresholds(tables: Tables) -> list[float]:
    return sorted(tables.done("settled")["threshold"].unique())


def agreements(tables: Tables, threshold: float = THRESHOLD) -> pd.DataFrame:
    """How far two orders in which layers settle agree, by network, data set and what the two differ in.

    Returns
    -------
    DataFrame : network, dataset, factor (`depth`: the order from the input; `seed`: two seeds of one cell; or an axis),
        and n, mean, low, high of Kendall's tau-b: over seeds, the settings of the other axes averaged first; of two
        seeds as `stats.pair_mean` has it. Intervals are cut at -1 and 1. n is 0 where all layers settle at once.
    """
    found, pairs = _epochs(tables, threshold), tables.pairs("convergence")
    orders: dict[Any, Any] = {
        key: own.set_index("layer")["epoch"] for key, own in found.groupby(["cell_id", "seed"], sort=False)
    }
    rows = []
    for network, dataset, own in _places(found):
        taus = {DEPTH: _depth(own)} | _compared(orders, pairs[pairs["cell_a"].isin(own["cell_id"])])
        for factor, values in taus.items():
            if factor == "seed":
                estimate = stats.pair_mean(by_seeds(values, "tau"))
            else:
                estimate = stats.mean_interval(values.groupby("seed_a")["tau"].mean())
            row = as_row(estimate)
            row |= {"low": np.maximum(row["low"], -1.0), "high": np.minimum(row["high"], 1.0)}
            rows.append({"network": network, "dataset": dataset, "factor": factor, **row})
    return pd.DataFrame(rows)


def _depth(found: pd.DataFrame) -> pd.DataFrame:
    """tau of each model's order with that of the layers from the input."""
    rows = [
        {"seed_a": seed, "tau": stats.rank_agreement(own["place"], own["epoch"])}
        for (_, seed), own in found.groupby(["cell_id", "seed"], sort=False)
    ]
    return pd.DataFrame(rows)


def _compared(orders: dict[Any, Any], pairs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """{factor: tau of the orders of two models that differ in it, each pair once}."""
    columns = ["factor", "cell_a", "seed_a", "cell_b", "seed_b"]
    found: dict[str, list[dict[str, Any]]] = {}
    seen = set()
    for factor, *sides in pairs[columns].drop_duplicates().itertuples(index=False, name=None):
        a, b = (sides[0], sides[1]), (sides[2], sides[3])
        if factor != OWN and (factor, b, a) not in seen and {a, b} <= orders.keys():
            seen.add((factor, a, b))
            tau = stats.rank_agreement(orders[a], orders[b].reindex(orders[a].index))
            found.setdefault(factor, []).append({"seed_a": a[1], "seed_b": b[1], "tau": tau})
    return {factor: pd.DataFrame(rows) for factor, rows in found.items()}


def agreement_table(tables: Tables) -> list[Exhibit]:
    """The numbers of `agreements` as a table."""
    found = agreements(tables)
    table = found[["dataset", "network"]].rename(columns=WORDS)
    table["two orders"] = [_words(factor) for factor in found["factor"]]
    table["Kendall's tau"] = [_tau(row) for row in found.to_dict("records")]
    table["n"] = found["n"]
    caption = (
        "Whether layers settle in the same order: Kendall's tau between the epochs at which the layers of two models "
        f"settle (CKA to their end at least {THRESHOLD}), 1 for the same order, 0 for unrelated ones, −1 for the "
        "opposite, with its 95 % interval over n seeds. Layers that settle at the same epoch are ties; where all are, "
        "there is no order."
    )
    alt = f"Table of {len(table)} comparisons of the order in which layers settle."
    return [Exhibit("settled-order", "The order in which layers settle", caption, alt, table)]


def _words(factor: str) -> str:
    named = {DEPTH: "of settling and from the input", "seed": "of two seeds of one cell"}
    return named.get(factor, f"of two models with another {WORDS.get(factor, factor)}")


def _tau(row: Any) -> str:
    """ "0.81 [0.45, 1.00]"."""
    if not row["n"] or not math.isfinite(row["mean"]):
        return "no order: all layers settle at once"
    return ranged(row)


# ------------------------------------------------------------------------------------------- answer


def answer(tables: Tables) -> list[Answer]:
    """Do layers settle in the same order, and from the input on? By network and data set."""
    told = []
    for network, dataset, own in _places(agreements(tables)):
        rows: dict[str, Any] = {row["factor"]: row for row in own.to_dict("records")}
        depth = rows.pop(DEPTH)
        others = {factor: row for factor, row in rows.items() if row["n"]}
        where = f"{network} on {dataset}"
        if not others:
            told.append(Answer("All layers settle at the same epoch, or there is one model.", Verdict.UNDECIDED, where))
            continue
        parts = [f"{_tau(row)} between two {_several(factor)} (n = {row['n']})" for factor, row in others.items()]
        verdict = _verdict(list(others.values()))
        text = f"{ORDER[verdict]}: Kendall's tau is {enumerated(parts)}."
        beside = f"{_upwards(depth)} (tau with the order from the input {_tau(depth)})."
        numbers = tuple(number(f"tau, {where}, {factor}", row, _tau(row)) for factor, row in others.items())
        sure = f"95 % intervals, n = {whole(row['n'] for row in others.values())}"
        told += [Answer(text, verdict, where, numbers, sure), Answer(beside, about=where)]
    return told


ORDER = {
    Verdict.YES: "Layers settle in the same order",
    Verdict.NO: "Layers settle in opposite orders",
    Verdict.PARTLY: "Not all models settle in the same order",
    Verdict.UNDECIDED: "Whether layers settle in the same order is not decided",
}


def _several(factor: str) -> str:
    return {"seed": "seeds", "init": "starts"}.get(factor, f"{WORDS.get(factor, factor)}s")


def _verdict(rows: Sequence[Any]) -> Verdict:
    """Each interval above 0, each below, or not."""
    if all(row["low"] > 0 for row in rows):
        return Verdict.YES
    if all(row["high"] < 0 for row in rows):
        return Verdict.NO
    return Verdict.PARTLY if any(row["low"] > 0 for row in rows) else Verdict.UNDECIDED


def _upwards(row: Any) -> str:
    if row["low"] > 0:
        return "layers near the input settle first"
    if row["high"] < 0:
        return "layers near the output settle first"
    return "neither end of the network clearly settles first"
