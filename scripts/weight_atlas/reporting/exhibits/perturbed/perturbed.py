"""The exhibit on where models end that were perturbed and trained again, beside controls."""

from typing import Any

import numpy as np
import pandas as pd

from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import LOOKS, REPEATED, SAME, Blocks, Part
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import by_network, sentence, span


def returns(tables: Tables) -> list[Exhibit]:
    """The distance to the original after training again, by perturbation, with the controls."""
    every = families.journeys(tables)
    rows = families.shown(families.family(tables))
    found = every[every["cell_id"].isin(rows["cell_id"])]
    data = families.means(found, "distance", also=["start", "ratio"])
    return [_exhibit(tables, part, every) for part in families.split(tables, rows, data)]


def _exhibit(tables: Tables, part: Part, every: pd.DataFrame) -> Exhibit:
    """The exhibit of one part; every: all `families.journeys`."""
    blocks = Blocks(tables, part.rows, "‖θ₁ − θ₂‖")
    for row in part.data.to_dict("records"):
        _journey(blocks, row)
    blocks.shortfall(tables, part.rows)
    _widen(blocks, part.data)
    again = marks.entry("after training again", marker="o", markersize=5, linestyle="")
    marks.legend(blocks.figure, blocks.panels.values(), extra=[again])
    caption = (
        "How far from the original θ₁ a model ends that is perturbed and trained again (θ₂), beside controls that are "
        "trained again without a perturbation, in the same or in another order of the images: means over the finished "
        f"replicates, on a logarithmic axis. {intervals('Lines', part.data)} A bar marks where the perturbation itself "
        "put the model; for a flip of all signs that is 2‖θ₁‖, the floor from which it starts. "
        f"{_beside_control(every[every['cell_id'].isin(part.rows['cell_id'])])} {_repeats(every)} "
        f"{families.shortfall(tables, part.rows)}"
    )
    alt = f"Dot plot. Mean distance to the original: {families.told(part.data, lambda rows: span(rows['mean']))}."
    return families.exhibit("returns", "Back to the same model?", caption, alt, part.data, blocks.figure, part.tab)


def _journey(blocks: Blocks, row: Any) -> None:
    """One row: from where the perturbation put the model to where it ends."""
    axes, at = blocks.place(row)
    colour, marker = LOOKS[row["what"]]
    if row["start"] > 0:
        axes.plot([row["start"], row["mean"]], [at, at], color=colour, linewidth=1, alpha=0.45, zorder=2)
        axes.plot(row["start"], at, "|", color=style.INK, markersize=13, markeredgewidth=2, zorder=2, linestyle="",
                  label="right after the perturbation")  # fmt: skip
    marks.dot(axes, at, row, "", marker, colour, bounds=(row["mean"] / 100, np.inf))
    right = np.nanmax([row["mean"], row["start"], row["high"]])
    text = style.number(row["mean"], 3)
    axes.annotate(text, (right, at), (6, 0), textcoords="offset points", va="center", fontsize=9)
    if row["what"] == SAME:
        label = "as far as with no perturbation, same order"
        blocks.across_block(row, row["mean"], color=style.QUIET, linestyle=":", linewidth=1.3, zorder=1, label=label)


def _widen(blocks: Blocks, data: pd.DataFrame) -> None:
    """A logarithmic scale, the same in every panel of a network, with room for the numbers at the right."""
    for (network, _), axes in blocks.panels.items():
        own = data[data["network"] == network]
        values = style.magnitudes(own[["mean", "start", "high"]].to_numpy())
        axes.set_xscale("log")
        room = (2 * values[-1] / values[0]) ** (0.13 * blocks.across)
        axes.set_xlim(values[0] / 2, values[-1] * room)
        style.log_axis(axes.xaxis)


def _beside_control(found: pd.DataFrame) -> str:
    """A sentence on the smallest distortion beside no perturbation, from rows of `families.journeys`."""

    def ratios(own: pd.DataFrame) -> str:
        by = own.groupby("branch")["ratio"].mean()
        each = "" if len(by) == 1 else f" (over {len(by)} originals: {span(by, digits=4)})"
        mean = f"{style.number(by.mean(), 4)} times that with no perturbation at all{each}"
        return f"the distance with {' and '.join(own['words'].unique())} is {mean}"

    return sentence(by_network(families.small(found).dropna(subset="ratio"), ratios))


def _repeats(every: pd.DataFrame) -> str:
    """A sentence on the repeated controls among `families.journeys`, "" where there is none."""
    again = every.loc[every["what"] == REPEATED, "apart"].dropna()
    if again.empty:
        return ""
    same = int((again == 0).sum())
    if same == len(again):
        return (
            f"Repeated, the control ends at the very same parameters (distance 0 in {same} of {len(again)} "
            "replicates): no difference here comes from the machine."
        )
    return (
        f"Repeated, the control ends at a distance of up to {style.number(again.max(), 3)} from itself ({same} of "
        f"{len(again)} replicates are the same): this much comes from the machine."
    )
