"""Exhibits on accuracy right after a perturbation, before training again, and after it."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import FLIP, LAYERS, OTHER, SAME
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE

# The modes in which a perturbed model is looked at before it is trained again: words, marker, colour.
MODES = {
    "eval": ("right after: running statistics", "o", style.PALETTE[0]),
    "batch": ("right after: statistics of the batch", "s", style.PALETTE[4]),
    "flipped_means": ("right after: running means flipped too", "^", style.PALETTE[3]),
}


def aftermath(tables):
    """Accuracy right after the perturbation, in its modes, beside that after training again; list[Exhibit]."""
    rows = families.shown(families.family(tables))
    return accuracies(tables, rows[rows["what"] != OTHER], "aftermath", "Right after, and after training again")


def aftermath_layers(tables):
    """The same of perturbations of single layers; [] where there is none."""
    found = families.family(tables)
    rows = found[found["what"] == LAYERS]
    controls = found[found["branch"].isin(rows["branch"]) & (found["what"] == SAME)]
    title = "Perturbed layer by layer"
    return accuracies(tables, pd.concat([controls, rows]), "aftermath-layers", title) if len(rows) else []


def accuracies(tables, rows, name, title):
    """The exhibits of `aftermath`, of the rows of `families.family` that are given."""
    after = families.children(tables, "aftermath")
    found = [families.means(after[after["mode"] == mode], "accuracy").assign(mode=mode) for mode in MODES]
    ends = families.children(tables, "accuracy")
    found.append(families.means(ends[ends["protocol"] == "last"], "accuracy").assign(mode="trained"))
    data = pd.concat(found)
    data = data[data["cell_id"].isin(rows["cell_id"]) & ((data["mode"] != "flipped_means") | (data["what"] == FLIP))]
    if data.empty:
        raise NothingToShow("aftermath.csv has no finished perturbed replicate.")
    made = []
    for suffix, tab, part in families.split(tables, rows):
        own = data[data["cell_id"].isin(part["cell_id"])]
        blocks = families.Blocks(tables, part, "accuracy (%)", around=1.05)
        looks = MODES | {"trained": ("after training again", "D", style.PALETTE[2])}
        for row in own.itertuples():
            axes, at = blocks.place(row)
            _, marker, colour = looks[row.mode]
            if np.isfinite(row.low):
                ends = [max(row.low, 0) * 100, min(row.high, 1) * 100]
                axes.plot(ends, [at, at], color=colour, linewidth=1.3, zorder=2)
            face = colour if row.mode in ("eval", "trained") else "white"
            axes.plot(row.mean * 100, at, marker, color=colour, markerfacecolor=face, markersize=5.5, zorder=4)
        for axes in blocks.panels.values():
            axes.set_xlim(-3, 103)
        blocks.short(part, tables)
        there = [mode for mode in looks if mode in set(own["mode"])]
        handles = [
            Line2D([], [], linestyle="", markersize=5.5, color=colour, marker=marker, label=words,
                   markerfacecolor=colour if mode in ("eval", "trained") else "white")
            for mode, (words, marker, colour) in looks.items() if mode in there
        ]  # fmt: skip
        blocks.figure.legend(handles=handles, ncols=2, **ABOVE)
        batch = "batch" in there
        caption = (
            "Test accuracy right after the perturbation, before any training, and after training again: means over the "
            f"finished replicates; right after no perturbation it is that of the original. {intervals('Lines', own)} "
            + (f"{NORMS}{FLIPPED * ('flipped_means' in there)}. " if batch else "")
            + f"{told_accuracies(own)} {families.shortfall(tables, part)}"
        )  # fmt: skip
        alt = f"Dot plot. {told_accuracies(own)}"
        made.append(Exhibit(name + suffix, title, caption.strip(), alt, families.csv(own), blocks.figure, tab=tab))
    return made


NORMS = "Where a network has BatchNorm, it is also looked at with the statistics of each batch"
FLIPPED = (
    ", and after a flip with its running means flipped: a flip of all signs leaves the running means of the unflipped "
    "network behind, and what is then seen is their mismatch as much as the flip"
)


def told_accuracies(data):
    """A sentence on the lowest and highest mean accuracy by perturbation, right after and after training again."""
    parts = []
    for words, own in data[~data["what"].isin([SAME])].groupby("words", sort=False):
        right, end = own[own["mode"] == "eval"]["mean"], own[own["mode"] == "trained"]["mean"]
        if len(right) and len(end):
            parts.append(f"{words} {shares(right)} right after, {shares(end)} after training again")
    return f"Accuracy with {'; '.join(parts)}." if parts else "No perturbed cell has both accuracies."


def shares(values):
    """ "11.0 to 12.3 %", or one share."""
    low, high = style.percent(values.min()), style.percent(values.max())
    return low if low == high else f"{low.removesuffix(' %')} to {high}"
