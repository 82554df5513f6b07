"""Cells at their checkpoints: which epochs these are, and maps of every weight and bias there."""

import numpy as np
import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.exhibits.weights.statistics import MEASURES
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import slug
from weight_atlas.stats import summarise

ROW = 0.165  # inches of a map's row
KINDS = ("weight", "bias", "running_mean", "running_var")  # the blocks of a map's rows
PRELOAD, CUSTOM = "preload", "custom"
STARTS = {"weights": PRELOAD, "parent": PRELOAD, "init": CUSTOM}
NORM = "Of a batch normalisation weight is γ and bias β; its running statistics stand at the bottom. "


def points(tables):
    """checkpoints.csv, finished replicates, with labels and `model`: "preload" or "custom" by the cell's start."""
    found = tables.done("checkpoints")
    return found.assign(model=found["cell_id"].map(models(tables)))


def models(tables):
    """cell_id -> which of the document's two models it stands for: weights of other training, or drawn ones."""
    kinds = {cell_id: settings.start.kind for cell_id, settings in tables.settings.items()}
    return {cell_id: STARTS.get(kind, kind) for cell_id, kind in kinds.items()}


def shown(tables, name):
    """correlations.csv or likeness.csv: the rows of two of this study's cells, numbers as they are."""
    frame = tables.table(name)
    own = set(tables.cells["cell_id"])
    frame = frame[frame["cell_a"].isin(own) & frame["cell_b"].isin(own)]
    if frame.empty:
        raise NothingToShow(f"{name}.csv has no pair of models of study {tables.study} at checkpoints.")
    return frame.reset_index(drop=True)


def names(tables):
    """The names of the checkpoints, in the order of the first cell that has each."""
    return list(dict.fromkeys(points(tables)["checkpoint"]))


def families(tables):
    """(data set, network, DataFrame of the cells with checkpoints, what tells the family from others) each."""
    own = tables.cells[tables.cells["cell_id"].isin(points(tables)["cell_id"])]
    groups = list(own.groupby(["network", "dataset"], sort=False))
    several = {column: own[column].nunique() > 1 for column in ("network", "dataset")}
    for (network, dataset), cells in groups:
        tab = [text for text, column in ((network, "network"), (dataset, "dataset")) if several[column]]
        yield dataset, network, cells, ", ".join(tab)


def named(base, *tabs):
    """An exhibit's name from its kind and what tells it from others."""
    return "-".join([base, *(slug(tab) for tab in tabs if tab)])


def at_checkpoints(tables, name):
    """A table of epochs (statistics.csv ..): its rows at checkpoints, with `checkpoint`."""
    where = points(tables)[["cell_id", "seed", "checkpoint", "epoch"]]
    return tables.done(name).merge(where, on=["cell_id", "seed", "epoch"])


def blocks(frame):
    """The (layer, parameter) of a frame: all weights, then all biases, then running statistics, in layer order."""
    found = frame[["layer", "parameter"]].drop_duplicates().itertuples(index=False, name=None)
    return sorted((row for row in found if row[1] in KINDS), key=lambda row: KINDS.index(row[1]))


def statistics(tables):
    """Mean, standard deviation and range of every weight and bias at every checkpoint: three maps; list[Exhibit]."""
    long = at_checkpoints(tables, "statistics").melt(
        ["cell_id", "seed", "layer", "parameter", "size", "checkpoint"], list(MEASURES), "statistic", "value"
    )
    data = summarise(long, ["cell_id", "checkpoint", "layer", "parameter", "size", "statistic"], "value")
    made = []
    for dataset, network, cells, tab in families(tables):
        own = labelled(data[data["cell_id"].isin(cells["cell_id"])], cells)
        columns = columns_of(tables, cells)
        panels = []
        for statistic, title in MEASURES.items():
            values = own[own["statistic"] == statistic].pivot(
                index=["layer", "parameter"], columns=["cell_id", "checkpoint"], values="mean"
            )
            signed = statistic == "mean"
            norm = style.signed_scale(values) if signed else style.positive_scale(values)
            panels.append((title, values, norm, style.DIVERGING if signed else style.SEQUENTIAL, ""))
        caption = (
            f"Mean, standard deviation and range of every weight and bias of {network} on {dataset}, at the "
            f"checkpoints of each model: means over the finished replicates (intervals are in the CSV). Rows are all "
            f"weights, then all biases, in the network's order. {NORM}Scales are logarithmic where values span more "
            "than a factor of 20; the mean's is symmetric about 0, and exactly 0 has a colour of its own. Shape: the "
            f"document's Figures 4, 5 and 6. {shortfall(tables)}"
        )
        title = "Weights and biases at the checkpoints"
        fig = maps(panels, blocks(own), columns)
        made.append(Exhibit(named("statistics", tab), title, caption.strip(), grown(own, network), own, fig, tab=tab))
    return made


def labelled(data, cells):
    """A frame with the cells' labels in front, in the cells' order."""
    out = cells[["cell_id", "label"]].merge(data, on="cell_id")
    return out.rename(columns={"label": "model"})


def columns_of(tables, cells):
    """[((cell_id, checkpoint), text, whether a new cell begins)] of a map's columns."""
    there, found = points(tables), []
    for cell in cells.itertuples():
        own = list(dict.fromkeys(there.loc[there["cell_id"] == cell.cell_id, "checkpoint"]))
        for at, name in enumerate(own):
            found.append(((cell.cell_id, name), f"{cell.label}, {name}" if at == 0 else name, at == 0))
    return found


def grown(data, network):
    """The picture of `statistics` in words: how the spread of the weights goes, from first to last."""
    spread = data[(data["statistic"] == "std") & (data["parameter"] == "weight")]
    words = []
    for model, own in spread.groupby("model", sort=False):
        ends = own.groupby("layer", sort=False)["mean"].agg(["first", "last"])
        more = int((ends["last"] > ends["first"]).sum())
        words.append(f"with {model} the standard deviation of the weights grows in {more} of {len(ends)} layers")
    return f"Heatmaps by layer and checkpoint of {network}: from the first checkpoint to the last, {'; '.join(words)}."


def maps(panels, rows, columns, height=ROW, beside=None):
    """Heatmaps side by side with common rows: a Figure.

    panels: (title, DataFrame indexed by row and column keys, scale, colours, words at the colour bar) each; rows:
    (layer, parameter) keys, or layers; columns: (key, text, whether a separator stands before it) each; beside: texts
    at the right of the last panel, one a row.
    """
    fig = style.figure(height * len(rows) + 0.075 * max(len(text) for _, text, _ in columns) + 1.3)
    grid = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    kinds = [row[1] if isinstance(row, tuple) else "" for row in rows]
    texts = [".".join(row) if isinstance(row, tuple) else row for row in rows]
    hatched = False
    for axes, (title, values, norm, colours, words) in zip(grid, panels, strict=True):
        index = pd.MultiIndex.from_tuples(rows) if isinstance(rows[0], tuple) else rows
        part = values.reindex(index=index, columns=pd.MultiIndex.from_tuples([key for key, *_ in columns]))
        image = style.heatmap(axes, part, norm, colours, texts, [text for _, text, _ in columns])
        hatched |= bool(np.ma.getmaskarray(image.get_array()).any())
        for at, (_, _, begins) in enumerate(columns):
            if begins and at:
                axes.axvline(at - 0.5, color="white", linewidth=3)
        for at in range(1, len(kinds)):
            if kinds[at] != kinds[at - 1] and kinds[at] != "running_var":
                axes.axhline(at - 0.5, color="white", linewidth=4)
        axes.set_title(title)
        style.colourbar(
            fig, image, axes, words or None, location="bottom", aspect=18 if len(panels) > 1 else 50, pad=0.02
        )
    if beside is not None:
        for at, text in enumerate(beside):
            options = {"transform": grid[-1].get_yaxis_transform(), "fontsize": 9, "color": style.QUIET}
            grid[-1].text(1.01, at, text, va="center", **options)
    if hatched:
        fig.legend(handles=[style.undefined_patch("undefined")], **ABOVE)
    return fig


def between(tables):
    """From checkpoint to checkpoint within a model: share changed, rotation and correlation, maps; list[Exhibit]."""
    data = steps(tables)
    made = []
    for dataset, network, cells, tab in families(tables):
        own = labelled(data[data["cell_id"].isin(cells["cell_id"])], cells)
        if own.empty:
            continue
        columns = []
        for cell in cells.itertuples():
            taken = dict.fromkeys(own.loc[own["cell_id"] == cell.cell_id, "step"])
            columns += [
                ((cell.cell_id, step), f"{cell.label}, {step}" if at == 0 else step, at == 0)
                for at, step in enumerate(taken)
            ]
        kinds = {
            "changed": (
                "values that changed (%)",
                style.SEQUENTIAL,
                lambda values: style.positive_scale(values * 0 + 100),
            ),
            "angle": ("rotation (°)", style.SEQUENTIAL, style.positive_scale),
            "pearson": ("Pearson's r", style.DIVERGING, lambda _: style.Normalize(-1, 1)),
        }
        panels = []
        for kind, (title, colours, scale) in kinds.items():
            values = own[own["quantity"] == kind]
            values = values.pivot(index=["layer", "parameter"], columns=["cell_id", "step"], values="mean")
            panels.append((title, values, scale(values), colours, ""))
        caption = (
            f"From one checkpoint to the next, and from the first to the last, within each model of {network} on "
            f"{dataset}: the share of values that are not exactly equal, the angle between the two vectors, and "
            f"Pearson's r of the two (Spearman's is in the CSV); means over the finished replicates. {NORM}Exactly 0 "
            "has a colour of its own: a frozen tensor. Undefined: an angle with a vector of zeros, or a correlation "
            f"with a constant one. {shortfall(tables)}"
        )
        alt = f"Heatmaps by layer and interval between checkpoints of {network}: {still(own)}"
        title = "From checkpoint to checkpoint"
        fig = maps(panels, blocks(own), columns)
        made.append(Exhibit(named("between", tab), title, caption.strip(), alt, own, fig, tab=tab))
    return made


def steps(tables):
    """Means by cell, step ("CP1→CP2"), parameter and quantity (changed in percent, angle in degrees, pearson, spearman)
    over replicates: cell_id, checkpoint_a, checkpoint_b, step, layer, parameter, size, quantity, n, mean, low, high."""
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
    keys = ["cell_id", "checkpoint_a", "checkpoint_b", "step", "layer", "parameter", "size"]
    long = found.melt([*keys, "seed_a"], ["changed", "angle", "pearson", "spearman"], "quantity", "value")
    return summarise(long, [*keys, "quantity"], "value")


def still(data):
    """How many tensors are exactly the same at two checkpoints, in words."""
    own = data[(data["quantity"] == "changed") & data["parameter"].isin(["weight", "bias"])]
    words = []
    for (model, step), part in own.groupby(["model", "step"], sort=False):
        if (part["mean"] == 0).any():
            words.append(f"{model} keeps {int((part['mean'] == 0).sum())} of {len(part)} tensors exactly, {step}")
    return f"{'; '.join(words) or 'every tensor changes in every interval'}."


def spectra(tables):
    """Spectral norm, stable rank and power-law exponent of each layer at each checkpoint: three maps; list[Exhibit]."""
    found = tables.done("spectra")
    kinds = {"spectral_norm": "spectral norm", "stable_rank": "stable rank", "alpha": "exponent α of the tail"}
    long = found.melt(["cell_id", "seed", "checkpoint", "layer", "size"], [*kinds, "xmin", "tail", "ks"], "quantity")
    data = summarise(long, ["cell_id", "checkpoint", "layer", "size", "quantity"], "value")
    made = []
    for dataset, network, cells, tab in families(tables):
        own = labelled(data[data["cell_id"].isin(cells["cell_id"])], cells)
        panels = []
        for kind, title in kinds.items():
            values = own[own["quantity"] == kind].pivot(index="layer", columns=["cell_id", "checkpoint"], values="mean")
            panels.append((title, values, around(values), style.SEQUENTIAL, ""))
        fits = found[found["cell_id"].isin(cells["cell_id"]) & found["alpha"].notna()]
        caption = (
            f"Singular values σ of the weights of {network} on {dataset} as matrices [outputs, inputs × taps]: the "
            "largest one (spectral norm), ‖W‖² / σ² of the largest (stable rank: how many directions carry the norm), "
            "and the exponent of the power law that fits the tail of σ² best (maximum likelihood, with the start of "
            "the tail where the Kolmogorov-Smirnov distance is smallest): means over the finished replicates. "
            f"{fitted(fits)}Undefined: a layer with fewer than 20 singular values has no such fit. {shortfall(tables)}"
        )
        alt = f"Heatmaps by layer and checkpoint of {network}. {wider(own)}"
        fig = maps(panels, list(dict.fromkeys(own["layer"])), columns_of(tables, cells), 0.19)
        made.append(Exhibit(named("spectra", tab), "Spectra of the weights", caption.strip(), alt, own, fig, tab=tab))
    return made


def around(values):
    """A scale from the smallest to the largest value, logarithmic where they are WIDE apart."""
    found = style.magnitudes(values)
    if found[0] * style.WIDE < found[-1]:
        return style.positive_scale(values)
    return style.Normalize(found[0], found[-1])


def fitted(fits):
    """On how many values the fits rest and how good they are: a sentence, empty without any."""
    if fits.empty:
        return ""
    return (
        f"The tails hold {int(fits['tail'].min())} to {int(fits['tail'].max())} values, from σ² = "
        f"{style.number(fits['xmin'].min(), 2)} to {style.number(fits['xmin'].max(), 2)} on, and the distances (0: a "
        f"perfect fit) are {style.number(fits['ks'].min(), 2)} to {style.number(fits['ks'].max(), 2)}; those of each "
        "layer are in the CSV. A short tail fits many laws. "
    )


def wider(data):
    """The picture of `spectra` in words."""
    norms = data[data["quantity"] == "spectral_norm"]
    words = []
    for model, own in norms.groupby("model", sort=False):
        ends = own.groupby("layer", sort=False)["mean"].agg(["first", "last"])
        words.append(
            f"With {model} the spectral norm grows in {int((ends['last'] > ends['first']).sum())} of {len(ends)} "
            f"layers from the first checkpoint to the last, up to {style.number(ends['last'].max(), 3)}."
        )
    return " ".join(words)
