"""Exhibits on the straight line between a trained model and what became of it, and the symmetries of networks."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import CONTROLS, CUT, LOOKS, Blocks, Part
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import fixed, plural

# alignment -> (words, dash, marker, how far from the middle of a row)
ALIGNMENTS = {"plain": ("plain", "-", "o", -0.16), "aligned": ("symmetries removed", "--", "s", 0.16)}
SCALES = {"accuracy": 100, "loss": 1}  # what the numbers are multiplied by
MOST = 6  # perturbations abreast
# Frankle et al. (2020), "Linear mode connectivity and the lottery ticket hypothesis", call two networks linearly
# connected where the error rises by less than 2 points on the line between them.
CONNECTED = 0.02
# What a symmetry does, by its column: words of a heading.
KINDS = {"permutation": "can be renamed", "sign": "can be negated", "scale": "can be scaled"}


def heights(tables: Tables) -> pd.DataFrame:
    """One row a finished replicate: cell_id, seed, plain, aligned (accuracy barriers, as fractions). Empty where
    barriers.csv has none."""
    try:
        found = families.children(tables, "barriers")
    except NothingToShow:
        return pd.DataFrame()
    wide = found.pivot_table(index=["cell_id", "seed"], columns="alignment", values="accuracy_barrier", sort=False)
    return wide.reset_index()


# ------------------------------------------------------------------------------------------- barriers


def barriers(tables: Tables) -> list[Exhibit]:
    """The accuracy barrier on the line to the original, with and without symmetries."""
    found = families.children(tables, "barriers")
    rows = families.shown(families.family(tables))
    found = found[found["alignment"].isin(list(ALIGNMENTS)) & found["cell_id"].isin(rows["cell_id"])]
    if found.empty:
        raise NothingToShow("barriers.csv has no perturbed cell that is shown.")
    data = families.means(found, "accuracy_barrier", ["alignment"], also=["loss_barrier"])
    return [_barriers(tables, part) for part in families.split(tables, rows, data)]


def _barriers(tables: Tables, part: Part) -> Exhibit:
    """The exhibit of one part."""
    blocks = Blocks(tables, part.rows, "accuracy barrier (points)")
    for row in part.data.to_dict("records"):
        axes, at = blocks.place(row)
        _, _, marker, shift = ALIGNMENTS[row["alignment"]]
        marks.dot(axes, at + shift, row, "", marker, LOOKS[row["what"]][0], scale=100, bounds=(0, math.inf))
    for axes in blocks.panels.values():
        axes.axvline(100 * CONNECTED, color=style.INK, linestyle=":", linewidth=1.2, zorder=1, label="2 points")
        axes.set_xlim(-1, min(axes.get_xlim()[1], 103))
    blocks.shortfall(tables, part.rows)
    kinds = [
        marks.entry(words, linestyle="", **marks.look(marker, style.QUIET))
        for words, _, marker, _ in ALIGNMENTS.values()
    ]
    marks.legend(blocks.figure, blocks.panels.values(), extra=kinds)
    caption = (
        "Accuracy barrier: by how many points test accuracy falls at most below the straight line between its "
        "ends, on the way from the original to the model that was perturbed and trained again: means over the "
        f"finished replicates (the barrier of the loss is in the CSV). {intervals('Lines', part.data)} {CUT} "
        "Plain, and with the end first mapped by that symmetry of the network that brings it closest to the "
        "original, which changes no output. Left of the dotted line, 2 points, two models are called linearly "
        f"connected: one basin. {_reduced(part.data)}{families.shortfall(tables, part.rows)}"
    )
    plain = part.data[part.data["alignment"] == "plain"]
    told = families.told(plain, lambda rows: fixed(100 * rows["mean"].mean(), 1))
    alt = f"Dot plot. Mean plain barrier in points: {told}."
    return families.exhibit("barriers", "Barriers", caption, alt, part.data, blocks.figure, part.tab)


def _reduced(data: pd.DataFrame) -> str:
    """A sentence on what removing symmetries does to the barriers of perturbed cells."""

    def change(rows: pd.DataFrame) -> str:
        ends = [100 * rows.loc[rows["alignment"] == name, "mean"].mean() for name in ALIGNMENTS]
        return "" if np.isnan(ends).any() else f"from {fixed(ends[0], 1)} to {fixed(ends[1], 1)}"

    told = families.told(data[~data["what"].isin(CONTROLS)], change)
    return f"Removing symmetries changes the mean barrier in points: {told}. " if told else ""


# ------------------------------------------------------------------------------------------- the line


def paths(tables: Tables) -> list[Exhibit]:
    """Loss and accuracy along the line to the original, an exhibit for each data set."""
    found = families.children(tables, "paths")
    rows = families.shown(families.family(tables))
    found = found[found["alignment"].isin(list(ALIGNMENTS)) & found["cell_id"].isin(rows["cell_id"])]
    if found.empty:
        raise NothingToShow("paths.csv has no perturbed cell that is shown.")
    long = found.melt(["cell_id", "seed", "alignment", "t"], ["loss", "accuracy"], "quantity", "value")
    data = families.means(rows.merge(long, on="cell_id"), "value", ["alignment", "quantity", "t"])
    many = data["dataset"].nunique() > 1
    return [
        _paths(tables, own, rows[rows["dataset"] == dataset], str(dataset) if many else "")
        for dataset, own in data.groupby("dataset", sort=False)
    ]


def _paths(tables: Tables, data: pd.DataFrame, rows: pd.DataFrame, tab: str) -> Exhibit:
    """The exhibit of one data set; rows: those of `families.family` that are shown, finished or not."""
    worst = data[(data["quantity"] == "accuracy") & (data["alignment"] == "plain")]
    caption = (
        "Accuracy and loss on test images along the straight line from the original (θ₁) to the model that was "
        f"perturbed and trained again (θ₂){f' on {tab}' if tab else ''}: means over the finished replicates. "
        f"{intervals('Shaded bands of the plain lines', data)} {CUT} Dashed: the end is first mapped by the symmetry "
        "that brings it closest to the original; where no dashed line is seen, no symmetry does. A valley in the "
        "accuracy is a barrier: the two ends lie in different basins. BatchNorm, where a network has it, gets new "
        f"running statistics at every point. {families.shortfall(tables, rows)}"
    )
    lowest = families.told(worst, lambda rows: style.percent(rows["mean"].min()))
    alt = f"Line charts. Lowest mean accuracy on the plain line: {lowest}."
    return families.exhibit("paths", "On the line between original and end", caption, alt, data,
                            _lines(tables, data), tab)  # fmt: skip


def _lines(tables: Tables, data: pd.DataFrame) -> Figure:
    """Accuracy and loss of each network (rows) against the place on the line, a column for each perturbation."""
    networks = [network for network in tables.values("network") if network in set(data["network"])]
    columns = list(dict.fromkeys(data["words"]))[:MOST]
    originals = list(dict.fromkeys(data["name"]))
    colours = dict(zip(originals, style.colours(len(originals)), strict=True))
    places = [(network, quantity) for network in networks for quantity in SCALES]
    rows = [f"{network}\n{'accuracy (%)' if quantity == 'accuracy' else 'loss'}" for network, quantity in places]
    titles = [words.replace(" (", "\n(") for words in columns]
    fig, grid = panels.grid(rows, titles, 1.25, 0.95, sharex=True, sharey="row")
    for line, (network, quantity) in zip(grid, places, strict=True):
        own = data[(data["network"] == network) & (data["quantity"] == quantity)]
        for axes, words in zip(line, columns, strict=True):
            _line(axes, own[own["words"] == words], colours, SCALES[quantity])
        if quantity == "accuracy":
            line[0].set_ylim(-3, 103)
        else:
            style.from_zero(line[0], own["mean"])
    grid[0, 0].set_xticks([0, 0.5, 1], ["θ₁", "½", "θ₂"])
    _clear_blank(grid)
    named = [marks.entry(name, color=colour, linewidth=3) for name, colour in colours.items() if len(colours) > 1]
    dashes = [marks.entry(words, linestyle=dash) for words, dash, *_ in ALIGNMENTS.values()]
    marks.legend(fig, grid.flat, ncols=4, extra=named + dashes)
    return fig


def _clear_blank(grid: Any) -> None:
    """Remove the panels of a grid in which nothing is drawn; the lowest panel left in a column has its labels."""
    for column in grid.T:
        drawn = [axes for axes in column if axes.has_data()]
        for axes in column:
            axes.set_visible(axes in drawn)
        if drawn:
            drawn[-1].tick_params(labelbottom=True)


def _line(axes: Axes, data: pd.DataFrame, colours: Mapping[Any, str], scale: int) -> None:
    """One panel: a line for each original and alignment, the plain ones with their intervals."""
    for (name, alignment), own in data.groupby(["name", "alignment"], sort=False):
        look: dict[str, Any] = {"color": colours[name], "linestyle": ALIGNMENTS[str(alignment)][1]}
        marks.band(axes, own, "t", scale=scale, shade=alignment == "plain", linewidth=1.5, **look)


# ------------------------------------------------------------------------------------------- symmetries


def symmetries(tables: Tables) -> list[Exhibit]:
    """The symmetries that each perturbed network has, as a table."""
    families.perturbed(tables)
    found = tables.read("symmetries")
    found = found.drop_duplicates(["network", "layer_group", "channels"]).astype(dict.fromkeys(KINDS, str))
    rows = [_symmetries_of(str(network), own) for network, own in found.groupby("network", sort=False)]
    signs = [row["network"] for row in rows if row[KINDS["sign"]] != "none"]
    caption = (
        "Which symmetries the networks really have: what can be done to the parameters without changing the function, "
        "from their shapes alone. A group is a set of channels that go by one name in several layers (those of a "
        "residual stream are one group). Renamed: permuted together in every layer of the group. Negated: the signs of "
        "a channel flipped where it is written and where it is read; odd where no ReLU and no max pooling lies "
        "between, conv-BN where a BatchNorm takes the sign off. Scaled: multiplied by a positive factor where a "
        "channel is written, and divided by it where it is read. "
        + (f"Signs can be flipped in {', '.join(signs)} alone. " if signs else "No network can have signs flipped. ")
        + "A flip of all parameters at once is none of these."
    )
    alt = f"Table of the symmetries of {plural(len(rows), 'network')}."
    return [Exhibit("symmetries", "Symmetries of the networks", caption, alt, pd.DataFrame(rows))]


def _symmetries_of(network: str, groups: pd.DataFrame) -> dict[str, Any]:
    """A row of `symmetries`."""
    row = {"network": network, "groups": len(groups), "channels": f"{int(groups['channels'].sum()):,}"}
    for kind, words in KINDS.items():
        some = groups[~groups[kind].str.lower().isin(["no", "false", "0", "nan"])]
        how = f" ({', '.join(dict.fromkeys(some[kind]))})" if kind == "sign" else ""
        count = f"{plural(len(some), 'group')}, {int(some['channels'].sum()):,} channels{how}"
        row[words] = count if len(some) else "none"
    return row


def tried(tables: Tables) -> list[Exhibit]:
    """What transformations of small networks did to their outputs, computed, as a table."""
    families.perturbed(tables)
    found = tables.table("facts")
    if found.empty:
        raise NothingToShow("facts.csv has no fact.")
    words = {"f": "the same, f", "-f": "the opposite, −f"}
    shown = pd.DataFrame(
        {
            "network": found["network"],
            "what was done": found["transformation"],
            "asked": found["expected"].map(words),
            "relative difference": [style.number(error, 2) for error in found["error"]],
            "holds": ["yes" if holds else "no" for holds in found["holds"]],
        }
    )
    held = f"{int((shown['holds'] == 'yes').sum())}"
    caption = (
        "What transformations of the parameters do to the outputs of small networks with random weights, computed with "
        "64 bits: the largest difference between the outputs and what was asked for, relative to the largest output. "
        f"{held} of {len(shown)} hold (below 1e-10). With batch normalisation and no shift, flipping all signs turns "
        "the answer around; with plain ReLU it gives another function altogether. Batch: normalised by the batch's "
        "statistics; eval: by the running ones."
    )
    alt = f"Table of {len(shown)} transformations, of which {held} hold."
    return [Exhibit("symmetries-tried", "Symmetries, tried out", caption, alt, shown, behind="symmetries")]
