"""Exhibits on the straight line between a trained model and what became of it, and the symmetries of networks."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import LOOKS
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import plural, slug
from weight_atlas.stats import summarise

DASHES = {"plain": "-", "aligned": "--"}
# Frankle et al. (2020), "Linear mode connectivity and the lottery ticket hypothesis", call two networks linearly
# connected where the error rises by less than 2 points on the line between them.
CONNECTED = 0.02


def heights(tables):
    """One row a finished replicate: cell_id, seed, plain, aligned (accuracy barriers, as fractions). Empty where
    barriers.csv has none."""
    try:
        found = families.children(tables, "barriers")
    except NothingToShow:
        return pd.DataFrame()
    wide = found.pivot_table(index=["cell_id", "seed"], columns="alignment", values="accuracy_barrier", sort=False)
    return wide.reset_index()


def barriers(tables):
    """The accuracy barrier on the line to the original, plain and aligned, in blocks; list[Exhibit]."""
    found = families.children(tables, "barriers")
    found = found[found["alignment"].isin(list(DASHES))]
    rows = families.shown(families.family(tables))
    data = families.means(found, "accuracy_barrier", ["alignment"])
    nats = summarise(found, ["cell_id", "alignment"], "loss_barrier").rename(columns={"mean": "loss_barrier"})
    data = data.merge(nats[["cell_id", "alignment", "loss_barrier"]], on=["cell_id", "alignment"])
    data = data[data["cell_id"].isin(rows["cell_id"])]
    if data.empty:
        raise NothingToShow("barriers.csv has no perturbed cell that is shown.")
    made = []
    for suffix, tab, part in families.split(tables, rows):
        own = data[data["cell_id"].isin(part["cell_id"])]
        blocks = families.Blocks(tables, part, "accuracy barrier (points)")
        for row in own.itertuples():
            axes, at = blocks.place(row)
            plain = row.alignment == "plain"
            colour = LOOKS[row.what][0]
            at += -0.16 if plain else 0.16
            if np.isfinite(row.low):
                axes.plot([max(row.low, 0) * 100, row.high * 100], [at, at], color=colour, linewidth=1.2, zorder=2)
            face = colour if plain else "white"
            axes.plot(row.mean * 100, at, "o", color=colour, markerfacecolor=face, markersize=5, zorder=4)
        for axes in blocks.panels.values():
            axes.axvline(100 * CONNECTED, color=style.INK, linestyle=":", linewidth=1.2, zorder=1)
            axes.set_xlim(-1, min(axes.get_xlim()[1], 103))
        blocks.short(part, tables)
        grey = {"color": style.QUIET, "linestyle": "", "marker": "o", "markersize": 5}
        handles = [
            Line2D([], [], label="plain", **grey),
            Line2D([], [], markerfacecolor="white", label="symmetries removed", **grey),
            Line2D([], [], color=style.INK, linestyle=":", label="2 points"),
        ]
        blocks.figure.legend(handles=handles, ncols=3, **ABOVE)
        lower = reduced(own)
        caption = (
            "Accuracy barrier: by how many points test accuracy falls at most below the straight line between its "
            "ends, on the way from the original to the model that was perturbed and trained again: means over the "
            f"finished replicates (the barrier of the loss is in the CSV). {intervals('Lines', own)} {families.CUT}"
            "Plain, and with the end first mapped by that symmetry of the network that brings it closest to the "
            "original, which changes no output. Left of the dotted line, 2 points, two models are called linearly "
            f"connected: one basin. {lower}{families.shortfall(tables, part)}"
        )
        alt = f"Dot plot. {told(own)}"
        made.append(
            Exhibit(f"barriers{suffix}", "Barriers", caption.strip(), alt, families.csv(own), blocks.figure, tab=tab)
        )
    return made


def reduced(data):
    """A sentence on what removing symmetries does to the barriers of perturbed cells."""
    wide = data[~data["what"].isin(families.CONTROLS)].pivot_table(
        index=["words", "cell_id"], columns="alignment", values="mean", sort=False
    )
    if not set(DASHES) <= set(wide.columns):
        return ""
    parts = [
        f"{words} from {style.number(100 * own['plain'].mean(), 3)} to {style.number(100 * own['aligned'].mean(), 3)}"
        for words, own in wide.groupby(level="words", sort=False)
    ]
    return f"Removing symmetries takes the mean barrier of {', of '.join(parts)} points. "


def told(data):
    """The plain barriers by perturbation, in a sentence."""
    own = data[data["alignment"] == "plain"].groupby("words", sort=False)["mean"].mean() * 100
    return f"Mean plain barrier in points: {', '.join(f'{words} {style.number(v, 3)}' for words, v in own.items())}."


def paths(tables):
    """Loss and accuracy along the line, a column a perturbation, one exhibit a data set; list[Exhibit]."""
    found = families.children(tables, "paths")
    found = found[found["alignment"].isin(list(DASHES))]
    rows = families.shown(families.family(tables))
    found = found[found["cell_id"].isin(rows["cell_id"])]
    if found.empty:
        raise NothingToShow("paths.csv has no perturbed cell that is shown.")
    long = found.melt(["cell_id", "seed", "alignment", "t"], ["loss", "accuracy"], "quantity", "value")
    named = rows.drop(columns=[column for column in ("rung",) if column in rows])
    data = families.means(named.merge(long, on="cell_id"), "value", ["alignment", "quantity", "t"])
    many = data["dataset"].nunique() > 1
    made = []
    for dataset, own in data.groupby("dataset", sort=False):
        name = f"paths-{slug(dataset)}" if many else "paths"
        made.append(path_exhibit(tables, own, rows, name, dataset if many else ""))
    return made


def path_exhibit(tables, data, rows, name, tab):
    """The exhibit of one data set; rows: those of `families.family` that are shown, finished or not."""
    networks = [network for network in tables.values("network") if network in set(data["network"])]
    columns = list(dict.fromkeys(data["words"]))[:6]
    originals = list(dict.fromkeys(data["name"]))
    colours = dict(zip(originals, style.colours(len(originals)), strict=True))
    fig = style.figure(2.5 * len(networks) + 0.95)
    grid = fig.subplots(2 * len(networks), len(columns), sharex=True, sharey="row", squeeze=False)
    for down, (network, quantity) in enumerate((n, q) for n in networks for q in ("accuracy", "loss")):
        percent = 100 if quantity == "accuracy" else 1
        for axes, words in zip(grid[down], columns, strict=True):
            part = data[(data["network"] == network) & (data["words"] == words) & (data["quantity"] == quantity)]
            for (original, alignment), line in part.groupby(["name", "alignment"], sort=False):
                look = {"color": colours[original], "linestyle": DASHES[alignment]}
                axes.plot(line["t"], line["mean"] * percent, linewidth=1.5, **look)
                if alignment == "plain":
                    low, high = line["low"] * percent, line["high"] * percent
                    axes.fill_between(line["t"], low, high, color=colours[original], alpha=0.12, linewidth=0)
            if down == 0:
                axes.set_title(words.replace(" (", "\n("), fontsize=9)
            axes.set_xticks([0, 0.5, 1], ["θ₁", "½", "θ₂"])
        grid[down, 0].set_ylabel(f"{network}\n{'accuracy (%)' if percent == 100 else 'loss'}", fontsize=9)
        shown = data[(data["network"] == network) & (data["quantity"] == quantity)]["mean"]
        if percent == 100:
            grid[down, 0].set_ylim(-3, 103)
        else:
            style.log_if_wide(grid[down, 0], shown)
            if grid[down, 0].get_yscale() == "log":
                grid[down, 0].set_ylim(style.magnitudes(shown)[0] / 1.5, style.magnitudes(shown)[-1] * 1.5)
    grey = {"color": style.QUIET}
    handles = [
        Line2D([], [], color=colour, linewidth=3, label=text) for text, colour in colours.items() if len(colours) > 1
    ]
    handles += [
        Line2D([], [], linestyle=DASHES["plain"], label="plain", **grey),
        Line2D([], [], linestyle=DASHES["aligned"], label="symmetries removed", **grey),
    ]
    fig.legend(handles=handles, ncols=4, **ABOVE)
    worst = data[(data["quantity"] == "accuracy") & (data["alignment"] == "plain")]
    lowest = worst.groupby("words", sort=False)["mean"].min()
    text = ", ".join(f"{words} {style.percent(value)}" for words, value in lowest.items())
    caption = (
        "Accuracy and loss on test pictures along the straight line from the original (θ₁) to the model that was "
        f"perturbed and trained again (θ₂){f' on {tab}' if tab else ''}: means over the finished replicates. "
        f"{intervals('Shaded bands of the plain lines', data)} {families.CUT}Dashed: the end is first mapped by the "
        "symmetry that brings it closest to the original; where no dashed line is seen, no symmetry does. A valley in "
        "the accuracy is a barrier: the two ends lie in different basins. "
        "BatchNorm, where a network has it, gets running statistics of its own at every point. "
        + families.shortfall(tables, rows[rows["dataset"] == data["dataset"].iloc[0]])
    )
    alt = f"Line charts. Lowest mean accuracy on the plain line: {text}."
    return Exhibit(name, "On the line between original and end", caption.strip(), alt, families.csv(data), fig, tab=tab)


# What a symmetry does, by its column: words of a heading.
KINDS = {"permutation": "can be renamed", "sign": "can be negated", "scale": "can be scaled"}


def symmetries(tables):
    """The table of the symmetries that each perturbed network has; [Exhibit]."""
    families.perturbed(tables)
    found = tables.read("symmetries")
    found = found.drop_duplicates(["network", "layer_group", "channels"]).astype(dict.fromkeys(KINDS, str))
    rows = []
    for network, own in found.groupby("network", sort=False):
        row = {"network": network, "groups": len(own), "channels": f"{int(own['channels'].sum()):,}"}
        for kind, words in KINDS.items():
            some = own[~own[kind].str.lower().isin(["no", "false", "0", "nan"])]
            how = f" ({', '.join(dict.fromkeys(some[kind]))})" if kind == "sign" else ""
            count = f"{plural(len(some), 'group')}, {int(some['channels'].sum()):,} channels{how}"
            row[words] = count if len(some) else "none"
        rows.append(row)
    table = pd.DataFrame(rows)
    signs = [row["network"] for row in rows if row["can be negated"] != "none"]
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
    return [Exhibit("symmetries", "Symmetries of the networks", caption, alt, table)]


def tried(tables):
    """The table of what transformations of small networks did to their outputs, computed; [Exhibit]."""
    families.perturbed(tables)
    found = tables.table("facts")
    if found.empty:
        raise NothingToShow("facts.csv has no fact.")
    words = {"f": "the same, f", "-f": "the opposite, -f"}
    shown = pd.DataFrame(
        {
            "network": found["network"],
            "what was done": found["transformation"],
            "asked": found["expected"].map(words).str.replace("-f", "−f"),
            "relative difference": [f"{error:.1e}" for error in found["error"]],
            "holds": ["yes" if holds else "no" for holds in found["holds"]],
        }
    )
    caption = (
        "What transformations of the parameters do to the outputs of small networks with random weights, computed with "
        "64 bits: the largest difference between the outputs and what was asked for, relative to the largest output. "
        f"{int((shown['holds'] == 'yes').sum())} of {len(shown)} hold (below 1e-10). With batch normalisation and no "
        "shift, flipping all signs turns the answer around; with plain ReLU it gives another function altogether. "
        "Batch: normalised by the batch's statistics; eval: by the running ones."
    )
    alt = f"Table of {len(shown)} transformations, of which {int((shown['holds'] == 'yes').sum())} hold."
    return [Exhibit("symmetries-tried", "Symmetries, tried out", caption, alt, shown)]
