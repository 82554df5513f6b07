"""Exhibits on the course of training: accuracy and loss against epoch."""

from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from weight_atlas.reporting.exhibits.runs.runs import shortfall, with_cells
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, last
from weight_atlas.reporting.grammar.words import plural, shares, slug
from weight_atlas.stats import summarise
from weight_atlas.vocabulary import Status


class Measure(NamedTuple):
    """What a loss or an accuracy is called on an axis, and what it is multiplied by there."""

    label: str
    scale: float


SPLITS = {"train": "--", "valid": ":", "test": "-"}
MEASURES = {"accuracy": Measure("accuracy (%)", 100), "loss": Measure("loss (cross-entropy)", 1)}
ENDED: dict[str, Any] = {"label": "diverged or failed here", **marks.CROSS}
TRAINED = (
    "train is dashed, valid dotted, test solid. Epoch 0 is before the first step and has no training value, and a "
    "training value is the mean during its epoch, so it lags behind. Where the test line turns while the dashed one "
    "goes on, the network memorises."
)


def training_curves(tables: Tables) -> list[Exhibit]:
    """Accuracy and loss against epoch, one exhibit per data set."""
    names, runs = tables.values("dataset"), tables.read("metrics")
    there = [name for name in names if name in set(runs["dataset"])]
    return [_curves(tables, name, runs[runs["dataset"] == name], name if len(names) > 1 else "") for name in there]


def _curves(tables: Tables, dataset: str, runs: pd.DataFrame, tab: str) -> Exhibit:
    cells = tables.where(dataset=dataset)
    networks = [name for name in tables.values("network") if name in set(cells["network"])]
    panels = list(dict.fromkeys(cells["panel"]))
    split = len(panels) > 1  # a column per panel instead of one per measure
    places = list(product(networks, MEASURES, panels))
    across = len(panels if split else MEASURES)
    fig = style.figure(1.75 * len(places) / across + 0.9)
    grid = fig.subplots(len(places) // across, across, sharex=True, sharey="row" if split else False, squeeze=False)
    tints = list(dict.fromkeys(tables.cells["tint"]))
    colours = dict(zip(tints, style.colours(len(tints)), strict=True))
    for axes, (network, key, panel) in zip(grid.flat, places, strict=True):
        own = runs[(runs["network"] == network) & (runs["panel"] == panel)]
        _panel(axes, own, key, colours)
        crosses(axes, unfinished(tables, own.dropna(subset=f"test_{key}")), key)
        axes.set_ylabel(MEASURES[key].label if not split or panel == panels[0] else "")
        if key == "accuracy":
            axes.set_title(" · ".join([network] * (len(networks) > 1 or not split) + [panel] * split))
        else:
            style.log_if_wide(axes, own[[f"{name}_loss" for name in SPLITS]])
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    there = [name for name in SPLITS if runs[f"{name}_accuracy"].notna().any()]  # given ones have no training
    entries = [marks.entry(tint, color=colours[tint]) for tint in tints if tint]
    entries += [marks.entry(name, linestyle=SPLITS[name]) for name in there]
    entries += [marks.entry(**ENDED)] if len(unfinished(tables, runs)) else []
    marks.legend(fig, [], ncols=min(len(entries), 4 if len(entries) > 5 else 5), extra=entries)
    caption = (
        f"Accuracy and loss of {dataset} against epoch. Thick lines are means over the replicates that reached the "
        f"epoch, thin lines single replicates (test alone); "
        f"{TRAINED if 'train' in there else 'valid is dotted, test solid.'} {shortfall(tables, dataset=dataset)}"
    )
    data = _means(tables, runs)
    name = slug("training-curves", tab)
    return Exhibit(name, "Training curves", caption, _alt(data, dataset), data, fig, tab=tab)


def _means(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """Mean by cell, epoch and quantity over the replicates that reached the epoch: labels, quantity, epoch, n .."""
    columns = [f"{split}_{measure}" for measure in MEASURES for split in SPLITS]
    long = runs.melt(["cell_id", "seed", "epoch"], columns, "quantity", "value").dropna(subset="value")
    return with_cells(tables, summarise(long, ["cell_id", "quantity", "epoch"], "value"))


def _panel(axes: Axes, runs: pd.DataFrame, key: str, colours: Mapping[str, str]) -> None:
    """Means (thick) and single test curves (thin) of one panel."""
    scale = MEASURES[key].scale
    for _, cell in runs.groupby("cell_id", sort=False):
        colour = colours[cell["tint"].iloc[0]]
        if cell["seed"].nunique() > 1:
            for _, one in cell.groupby("seed"):
                axes.plot(one["epoch"], one[f"test_{key}"] * scale, color=colour, linewidth=0.6, alpha=0.45)
        for split, line in SPLITS.items():
            mean = cell.groupby("epoch")[f"{split}_{key}"].mean().dropna()
            width = 1.2 if split == "valid" else 1.7
            axes.plot(mean.index, mean * scale, color=colour, linestyle=line, linewidth=width)
    axes.margins(x=0.03)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def unfinished(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """The last rows of the replicates among `runs` that diverged or failed."""
    status = tables.read("runs")[["cell_id", "seed", "status"]]
    ends = last(runs).merge(status, on=["cell_id", "seed"])
    return ends[ends["status"] != Status.DONE]


def crosses(axes: Axes, ended: pd.DataFrame, key: str) -> None:
    """A cross at the last epoch of each replicate that ended early."""
    if len(ended):
        axes.plot(ended["epoch"], ended[f"test_{key}"] * MEASURES[key].scale, **ENDED)


def _alt(data: pd.DataFrame, dataset: str) -> str:
    """The figure in words: where test accuracy starts and where it ends."""
    test = data[data["quantity"] == "test_accuracy"]
    first = test.loc[test["epoch"] == test["epoch"].min(), "mean"]
    ends = test.loc[test["epoch"] == test.groupby("cell_id")["epoch"].transform("max"), "mean"]
    return (
        f"Line charts for {dataset}. Test accuracy of {plural(len(ends), 'cell')} goes from {shares(first)} at epoch "
        f"{test['epoch'].min()} to {shares(ends)} at the last epoch ({test['epoch'].max()})."
    )
