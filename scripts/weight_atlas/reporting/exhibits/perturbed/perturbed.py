"""Exhibits on models that were perturbed and trained again: where they end, beside controls; and the answers."""

import numpy as np
from matplotlib.lines import Line2D

from weight_atlas.reporting.exhibits.perturbed import families, mirror
from weight_atlas.reporting.exhibits.perturbed.families import LOOKS, SAME
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.stats import summarise


def returns(tables):
    """Distance to the original after training again, a row a perturbation, in blocks with the controls; [Exhibit]."""
    every = families.journeys(tables)
    rows = families.shown(families.family(tables))
    found = every[every["cell_id"].isin(rows["cell_id"])]
    data = families.means(found, "distance")
    starts = summarise(found, ["cell_id"], "start").rename(columns={"mean": "start"})[["cell_id", "start"]]
    ratios = summarise(found, ["cell_id"], "ratio").rename(columns={"mean": "ratio"})[["cell_id", "ratio"]]
    data = data.merge(starts, on="cell_id").merge(ratios, on="cell_id")
    made = []
    for suffix, tab, part in families.split(tables, rows):
        own = data[data["cell_id"].isin(part["cell_id"])]
        blocks = families.Blocks(tables, part, "‖θ₁ − θ₂‖")
        for row in own.itertuples():
            journey(blocks, row)
        blocks.short(part, tables)
        widen(blocks, own)
        grey = {"color": style.QUIET, "linestyle": ""}
        handles = [
            Line2D([], [], color=style.INK, marker="|", markersize=10, markeredgewidth=2, linestyle="",
                   label="right after the perturbation"),
            Line2D([], [], marker="o", markersize=5, label="after training again", **grey),
            Line2D([], [], color=style.QUIET, linestyle=":", label="as far as with no perturbation, same order"),
        ]  # fmt: skip
        blocks.figure.legend(handles=handles, ncols=3, **ABOVE)
        caption = (
            "How far from the original θ₁ a model ends that is perturbed and trained again (θ₂), beside controls that "
            "are trained again without a perturbation, in the same or in another order of the pictures: means over "
            f"the finished replicates, on a logarithmic axis. {intervals('Lines', own)} A bar marks where the "
            "perturbation itself put the model; for a flip of all signs that is 2‖θ₁‖, the floor from which it starts. "
            f"{seen(found[found['cell_id'].isin(part['cell_id'])])}{repeats(tables)} {families.shortfall(tables, part)}"
        )
        alt = f"Dot plot. {told_distances(own)}"
        columns = families.csv(own)
        made.append(
            Exhibit(
                f"returns{suffix}", "Back to the same model?", caption.strip(), alt, columns, blocks.figure, tab=tab
            )
        )
    return made


def journey(blocks, row):
    """One row of `returns`: from where the perturbation put the model to where it ends."""
    axes, at = blocks.place(row)
    colour, marker, filled = LOOKS[row.what]
    if row.start > 0:
        axes.plot([row.start, row.mean], [at, at], color=colour, linewidth=1, alpha=0.45, zorder=2)
        axes.plot(row.start, at, "|", color=style.INK, markersize=13, markeredgewidth=2, zorder=4)
    if np.isfinite(row.low):
        axes.plot([max(row.low, row.mean / 100), row.high], [at, at], color=colour, linewidth=3, alpha=0.5, zorder=2)
    axes.plot(
        row.mean, at, marker, color=colour, markerfacecolor=colour if filled else "white", markersize=5.5, zorder=5
    )
    right = max(value for value in (row.mean, row.start, row.high) if np.isfinite(value))
    axes.annotate(style.number(row.mean, 3), (right, at), (6, 0), textcoords="offset points", va="center", fontsize=9)
    if row.what == SAME:
        _, first, last = blocks.block(row)
        axes.plot([row.mean] * 2, [first, last], color=style.QUIET, linestyle=":", linewidth=1.3, zorder=1)


def widen(blocks, data):
    """A logarithmic scale, the same in every panel of a network, with room for the numbers at the right."""
    for (network, _), axes in blocks.panels.items():
        own = data[data["network"] == network]
        values = style.magnitudes(own[["mean", "start", "high"]].to_numpy())
        axes.set_xscale("log")
        room = (2 * values[-1] / values[0]) ** (0.13 * blocks.across)
        axes.set_xlim(values[0] / 2, values[-1] * room)
        style.log_axis(axes.xaxis)


def seen(found):
    """A sentence on the smallest distortion beside no perturbation, from rows of `families.journeys`."""
    low = families.small(found).dropna(subset="ratio")
    if low.empty:
        return ""
    by = low.groupby("branch")["ratio"].mean()
    names = " and ".join(dict.fromkeys(low["words"]))
    each = "" if len(by) == 1 else f" (over {len(by)} originals: {mirror.span(by, 4)})"
    return f"With {names} the distance is {style.number(by.mean(), 4)} times that with no perturbation at all{each}. "


def repeats(tables):
    """A sentence on the repeated controls, "" where there is none."""
    found = families.journeys(tables)
    again = found[found["what"] == families.REPEATED]["apart"].dropna()
    if again.empty:
        return ""
    same = int((again == 0).sum())
    if same == len(again):
        return (
            f"Repeated, the control ends at the very same parameters (distance 0 in {same} of {len(again)} "
            "replicates): whatever differs here, the machine did not add it."
        )
    return (
        f"Repeated, the control ends at a distance of up to {style.number(again.max(), 3)} from itself ({same} of "
        f"{len(again)} replicates are the same): so much the machine adds."
    )


def told_distances(data):
    """ "Mean distance to the original with flip 44.2 to 121, with none (same order) 1.90." of `families.means`."""
    parts = [f"with {words} {mirror.span(own['mean'])}" for words, own in data.groupby("words", sort=False)]
    return f"Mean distance to the original {', '.join(parts)}."
