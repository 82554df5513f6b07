"""Cells at their checkpoints: which epochs these are, and heatmaps of every weight and bias there."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design.spans import place
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.exhibits.weights.statistics import MEASURES, measured
from weight_atlas.reporting.grammar import layer_rows, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.heatmaps import Column, Map, side_by_side
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural, slug, span, whole
from weight_atlas.stats import summarise

PRELOAD, CUSTOM = "preload", "custom"
STARTS = {"weights": PRELOAD, "parent": PRELOAD, "init": CUSTOM}
NORM = "Of a batch normalisation weight is γ and bias β; its running statistics are at the bottom."

Scales = Mapping[str, tuple[str, Callable[[pd.DataFrame], Normalize]]]  # of a quantity: its title and its scale


class Family(NamedTuple):
    """The cells with checkpoints of one network on one data set; tab: what tells them from those of others."""

    dataset: str
    network: str
    cells: pd.DataFrame
    tab: str

    @property
    def where(self) -> str:
        """Which network it is, and on which data set, where one is named."""
        return place({"network": self.network, "dataset": self.dataset})

    def drawn(self, data: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        """The data of one of its figures by row (see `layer_rows`); keys: what tells its means apart."""
        return layer_rows.merged(data.assign(network=self.network), ["network", *keys])

    def told(self, data: pd.DataFrame, noun: str) -> str:
        """A sentence on rows that layers share; empty where none do."""
        return layer_rows.told(data.assign(network=self.network), noun)

    def exhibit(
        self, kind: str, title: str, caption: str, alt: str, data: pd.DataFrame, figure: Figure | None = None,
        columns: Sequence[Hashable] | None = None,
    ) -> Exhibit:  # fmt: skip
        """An exhibit of the family, named by its kind."""
        return Exhibit(slug(kind, self.tab), title, caption, alt, data, figure, tab=self.tab, columns=columns)


def points(tables: Tables) -> pd.DataFrame:
    """checkpoints.csv, finished replicates, with labels and `model`: "preload" or "custom" by the cell's start."""
    found = tables.done("checkpoints")
    return found.assign(model=found["cell_id"].map(models(tables)))


def models(tables: Tables) -> dict[str, str]:
    """cell_id -> which of the document's two models it stands for: weights of other training, or drawn ones."""
    kinds = {cell_id: settings.start.kind for cell_id, settings in tables.settings.items()}
    return {cell_id: STARTS.get(kind, kind) for cell_id, kind in kinds.items()}


def shown(tables: Tables, name: str) -> pd.DataFrame:
    """correlations.csv or likeness.csv: the rows of two of this study's cells, numbers as they are."""
    frame = tables.table(name)
    own = set(tables.cells["cell_id"])
    frame = frame[frame["cell_a"].isin(own) & frame["cell_b"].isin(own)]
    if frame.empty:
        raise NothingToShow(f"{name}.csv has no pair of models of study {tables.study} at checkpoints.")
    return frame.reset_index(drop=True)


def families(tables: Tables) -> Iterator[Family]:
    """The families of the study's cells with checkpoints."""
    own = tables.cells[tables.cells["cell_id"].isin(points(tables)["cell_id"])]
    several = [column for column in ("network", "dataset") if own[column].nunique() > 1]
    for (network, dataset), cells in own.groupby(["network", "dataset"], sort=False):
        yield Family(str(dataset), str(network), cells, ", ".join(cells[column].iloc[0] for column in several))


def at_checkpoints(tables: Tables, name: str) -> pd.DataFrame:
    """A table of epochs (statistics.csv ..): its rows at checkpoints, with `checkpoint`."""
    where = points(tables)[["cell_id", "seed", "checkpoint", "epoch"]]
    return tables.done(name).merge(where, on=["cell_id", "seed", "epoch"])


def drawn_like(tables: Tables, figures: str) -> str:
    """A sentence on the figures of the study's document that an exhibit is shaped like; empty without a document."""
    source = tables.document.get("source")
    return f"Drawn like {figures} of the {source}." if source else ""


def _labelled(data: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of these cells with their labels in front, in the cells' order."""
    return cells[["cell_id", "label"]].merge(data, on="cell_id").rename(columns={"label": "model"})


def _columns(cells: pd.DataFrame, frame: pd.DataFrame, column: str) -> list[Column]:
    """The columns of heatmaps: what a column of a frame has for each cell, a group with the cell's label."""
    found: list[Column] = []
    cell: Any
    for cell in cells.itertuples():
        own = dict.fromkeys(frame.loc[frame["cell_id"] == cell.cell_id, column])
        found += [Column((cell.cell_id, name), name, cell.label) for name in own]
    return found


def _maps(data: pd.DataFrame, scales: Scales, rows: list[str], columns: list[str]) -> list[Map]:
    """A heatmap per quantity, of the means by these columns of a frame."""
    found = []
    for quantity, (title, scale) in scales.items():
        values = data[data["quantity"] == quantity].pivot(index=rows, columns=columns, values="mean")
        found.append(Map(title, values, scale(values)))
    return found


def _growth(data: pd.DataFrame, what: str, noun: str) -> str:
    """A sentence on how the means of `what` go by layer from the first checkpoint to the last, model by model."""
    told = []
    for model, own in data.groupby("model", sort=False):
        ends = own.groupby("layer", sort=False)["mean"].agg(["first", "last"])
        more, most = int((ends["last"] > ends["first"]).sum()), style.number(ends["last"].max(), 3)
        told.append(f"with {model} in {more} of {plural(len(ends), noun)} (up to {most})")
    return f"From the first checkpoint to the last {what} grows {'; '.join(told)}."


# ------------------------------------------------------------------------------------------- statistics


def statistics(tables: Tables) -> list[Exhibit]:
    """Mean, standard deviation and range of every weight and bias at every checkpoint, as heatmaps."""
    long = at_checkpoints(tables, "statistics").melt(
        ["cell_id", "seed", "layer", "parameter", "size", "checkpoint"], list(MEASURES), "statistic", "value"
    )
    data = summarise(long, ["cell_id", "checkpoint", "layer", "parameter", "size", "statistic"], "value")
    made = []
    for family in families(tables):
        own = _labelled(data, family.cells)
        spread = own[(own["statistic"] == "std") & (own["parameter"] == "weight")]
        seen = _growth(spread, "the standard deviation of the weights", tables.noun)
        caption = (
            f"{seen} "
            f"Mean, standard deviation and range of every weight and bias of {family.where}, at the checkpoints of "
            "each model: means over the finished replicates (intervals are in the CSV). Rows are all weights, then all "
            f"biases, in the network's order. {NORM} Scales are logarithmic where values span more than a factor of "
            "20; the mean's is symmetric about 0, and exactly 0 has its own colour. "
            f"{drawn_like(tables, 'Figures 4, 5 and 6')} {shortfall(tables)}"
        )
        alt = f"Heatmaps by layer and checkpoint of {family.network}. {seen}"
        columns = _columns(family.cells, points(tables), "checkpoint")
        drawn = family.drawn(own, ["cell_id", "checkpoint", "layer", "parameter", "statistic"])
        rows = layer_rows.ordered(drawn)
        texts = layer_rows.texts(rows, tables.are_tensors(family.cells["cell_id"]))
        fig = side_by_side(measured(drawn, ["cell_id", "checkpoint"]), rows, columns, texts=texts)
        made.append(family.exhibit("statistics", "Weights and biases at the checkpoints", caption, alt, own, fig))
    return made


# ------------------------------------------------------------------------------------------- steps

STEPS: Scales = {
    "changed": ("values that changed (%)", lambda _: Normalize(0, 100)),
    "angle": ("rotation (°)", style.positive_scale),
    "pearson": ("Pearson's r", lambda _: Normalize(-1, 1)),
}


def between(tables: Tables) -> list[Exhibit]:
    """The share of values that change from checkpoint to checkpoint, rotation and correlation, as heatmaps."""
    data, made = steps(tables), []
    for family in families(tables):
        own = _labelled(data, family.cells)
        if own.empty:
            continue
        caption = (
            f"{_still(own)} "
            f"From one checkpoint to the next, and from the first to the last, within each model of {family.where}: "
            "the share of values that are not exactly equal, the angle between the two vectors, and Pearson's r of the "
            "two (Spearman's is in the CSV); means over the finished replicates. "
            f"{family.told(own, tables.noun) or NORM} Exactly 0 has its own colour: "
            "a frozen tensor. No value: an angle with a vector of zeros, or a correlation with a constant one. "
            f"{shortfall(tables)}"
        )
        alt = f"Heatmaps by layer and interval between checkpoints of {family.network}. {_still(own)}"
        drawn = family.drawn(own, ["cell_id", "step", "layer", "parameter", "quantity"])
        maps = _maps(drawn, STEPS, ["layer", "parameter"], ["cell_id", "step"])
        rows = layer_rows.ordered(drawn)
        texts = layer_rows.texts(rows, tables.are_tensors(family.cells["cell_id"]))
        fig = side_by_side(maps, rows, _columns(family.cells, own, "step"), texts=texts)
        made.append(family.exhibit("between", "From checkpoint to checkpoint", caption, alt, own, fig))
    return made


STEP = ["cell_id", "checkpoint_a", "checkpoint_b", "step", "layer", "parameter", "size"]


def steps(tables: Tables) -> pd.DataFrame:
    """Means of `turns` over replicates: STEP, quantity, n, mean, low, high."""
    return summarise(turns(tables), [*STEP, "quantity"], "value")


def turns(tables: Tables) -> pd.DataFrame:
    """By replicate, step ("CP1→CP2"), parameter and quantity (changed in percent, angle in degrees, pearson, spearman):
    STEP, seed_a, quantity, value."""
    found = shown(tables, "correlations")
    found = found[found["comparison"] == "checkpoints"]
    if found.empty:
        raise NothingToShow("correlations.csv has no replicate with two checkpoints.")
    found = found.assign(
        cell_id=found["cell_a"],
        step=found["checkpoint_a"] + "→" + found["checkpoint_b"],
        changed=found["changed"] / found["size"] * 100,
        angle=np.degrees(np.arccos(found["cosine"].clip(-1, 1))),
    )
    # Two equal vectors have a cosine of 1 but for rounding, which arccos would make some seconds of arc.
    found.loc[(found["changed"] == 0) & found["cosine"].notna(), "angle"] = 0.0
    return found.melt([*STEP, "seed_a"], ["changed", "angle", "pearson", "spearman"], "quantity", "value")


def _still(data: pd.DataFrame) -> str:
    """A sentence on how many tensors are exactly the same at two checkpoints."""
    own = data[(data["quantity"] == "changed") & data["parameter"].isin(layer_rows.LEARNT)]
    told = [
        f"{model} keeps {int((part['mean'] == 0).sum())} of {len(part)} tensors exactly, {step}"
        for (model, step), part in own.groupby(["model", "step"], sort=False)
        if (part["mean"] == 0).any()
    ]
    return f"Unchanged: {'; '.join(told)}." if told else "Every tensor changes in every interval."


# ------------------------------------------------------------------------------------------- spectra


def _from_smallest(values: npt.ArrayLike) -> Normalize:
    """A scale from the smallest to the largest value, logarithmic where they are WIDE apart."""
    found = style.magnitudes(values)
    if found[0] * style.WIDE < found[-1]:
        return style.positive_scale(values)
    return Normalize(found[0], found[-1])


SPECTRA: Scales = {
    "spectral_norm": ("spectral norm", _from_smallest),
    "stable_rank": ("stable rank", _from_smallest),
    "alpha": ("exponent α of the tail", _from_smallest),
}


def spectra(tables: Tables) -> list[Exhibit]:
    """Spectral norm, stable rank and power-law exponent of each layer at each checkpoint, as heatmaps."""
    found = tables.done("spectra")
    quantities = [*SPECTRA, "xmin", "tail", "ks"]
    long = found.melt(["cell_id", "seed", "checkpoint", "layer", "size"], quantities, "quantity")
    data = summarise(long, ["cell_id", "checkpoint", "layer", "size", "quantity"], "value")
    made = []
    for family in families(tables):
        own = _labelled(data, family.cells)
        seen = _growth(own[own["quantity"] == "spectral_norm"], "the spectral norm", tables.noun)
        fits = found[found["cell_id"].isin(family.cells["cell_id"]) & found["alpha"].notna()]
        caption = (
            f"{seen} "
            f"Singular values σ of the weights of {family.where} as matrices [outputs, inputs × taps]: the largest one "
            "(spectral norm), ‖W‖² / σ² of the largest (stable rank: how many directions carry the norm), and the "
            "exponent of the power law that fits the tail of σ² best (maximum likelihood, with the start of the tail "
            "where the Kolmogorov-Smirnov distance is smallest): means over the finished replicates. "
            f"{fitted(fits)} {family.told(own, tables.noun)} No value: fewer than 20 singular values have no such "
            f"fit. {shortfall(tables)}"
        )
        alt = f"Heatmaps by layer and checkpoint of {family.network}. {seen}"
        drawn = family.drawn(own, ["cell_id", "checkpoint", "layer", "quantity"])
        maps = _maps(drawn, SPECTRA, ["layer"], ["cell_id", "checkpoint"])
        columns = _columns(family.cells, points(tables), "checkpoint")
        fig = side_by_side(maps, pd.Index(drawn["layer"].unique()), columns, 0.19)
        made.append(family.exhibit("spectra", "Spectra of the weights", caption, alt, own, fig))
    return made


def fitted(fits: pd.DataFrame) -> str:
    """On how many values the fits rest and how good they are, in sentences; empty without any."""
    if fits.empty:
        return ""
    return (
        f"The tails hold {whole(fits['tail'])} values, from σ² = {span(fits['xmin'], digits=2)} on, and the distances "
        f"(0: a perfect fit) are {span(fits['ks'], digits=2)}; those of each layer are in the CSV. A tail has 20 at "
        "least, where a law may fit fewer better; a short tail fits many laws."
    )
