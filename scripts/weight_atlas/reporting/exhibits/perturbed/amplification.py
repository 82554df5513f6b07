"""The exhibit on what training makes of a perturbation: is it larger at the end than at the start?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import (
    ADD,
    CONTROLS,
    ELSE,
    FLIP,
    LAYERS,
    LOOKS,
    OTHER,
    PRUNE,
    REPEATED,
)
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural, span

BAND = "#DDDDDD"
KINDS = {ADD: "added noise", FLIP: "flip", PRUNE: "pruning", LAYERS: "single layers", ELSE: "other"}


def amplification(tables: Tables) -> list[Exhibit]:
    """The distance to the same-order control at the end against the size of the perturbation, on logarithmic axes."""
    every = families.journeys(tables)
    found = every[~every["what"].isin(CONTROLS) & (every["start"] > 0) & (every["apart"] > 0)]
    if found.empty:
        raise NothingToShow("returns.csv has no perturbed replicate beside its control of the same order.")
    data = families.means(found, "apart", also=["start", "amplification"])
    shown, alone = _told_apart(data)
    strips = panels.strips(tables, shown)
    fig, grid = panels.layout(strips, [2.5] * len(strips), 0.95, sharey=True)
    others = every[every["what"] == OTHER].dropna(subset="apart")
    for place, axes in grid.items():
        _scatter(axes, panels.of(shown, *place), panels.of(others, *place)["apart"])
    for network, _ in strips:
        _frame([axes for (name, _), axes in grid.items() if name == network], shown[shown["network"] == network])
    for key in panels.lowest(strips):
        grid[key].set_xlabel("size of the perturbation, ‖start − θ₁‖")
    for key in panels.leftmost(strips):
        grid[key].set_ylabel("distance at the end\nto the control")
    marks.legend(fig, grid.values())
    caption = (
        "How far a perturbed model ends from its control, which is the same original trained again without the "
        "perturbation on the same images in the same order, against how far the perturbation took it at the start. "
        "Points are means over the finished replicates, on logarithmic axes. "
        f"{intervals('Vertical lines', data)} Above the dashed line training makes a perturbation larger, below it "
        "smaller. The grey band is the range of all controls that saw the images in another order. "
        f"{_seen(data)} {alone} {_repeated(every)}{families.shortfall(tables, families.family(tables))}"
    )
    alt = f"Scatter plots on logarithmic axes. {_seen(data)}"
    return [families.exhibit("amplification", "What training makes of a perturbation", caption, alt, data, fig)]


def _told_apart(data: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows that are drawn, and a sentence on the others: a panel of a single point is left out beside fuller
    ones."""
    count = data.groupby(["network", "dataset"])["cell_id"].transform("size")
    few = data[count < 2]
    if few.empty or len(few) == len(data):
        return data, ""
    parts = [
        f"{row['words']} ({row['network']} on {row['dataset']}, {style.number(row['start'], 3)} at the start) ends "
        f"{factor(row['amplification'])} times as far away"
        for row in few.to_dict("records")
    ]
    return data[count >= 2], f"Not drawn, the only one of its network: {'; '.join(parts)}."


def _scatter(axes: Axes, data: pd.DataFrame, shuffled: "pd.Series[float]") -> None:
    """One panel; shuffled: distances of the other-order controls."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    if len(shuffled):
        low, high = shuffled.min(), shuffled.max()
        axes.axhspan(
            low / 1.02, high * 1.02, color=BAND, linewidth=0, zorder=0, label="control in another order (range)"
        )
    for _, rungs in data[data["ladder"] != ""].groupby(["branch", "ladder"], sort=False):
        rungs = rungs.sort_values("start")
        axes.plot(rungs["start"], rungs["mean"], color=LOOKS[ADD][0], linewidth=1, alpha=0.5, zorder=2)
    for row in data.to_dict("records"):
        marks.dot(axes, row["start"], row, KINDS[row["what"]], "o", LOOKS[row["what"]][0], upright=True,
                  bounds=(row["mean"] / 10, np.inf))  # fmt: skip


def _frame(grid: Sequence[Axes], data: pd.DataFrame) -> None:
    """The limits of the panels of one network, and in each the line of no amplification."""
    low, high = data["start"].min() / 2, 2 * np.nanmax(data[["start", "mean", "high"]])
    under = min(data["mean"].min(), data["start"].min()) / 2
    for axes in grid:
        axes.plot([low, high], [low, high], color=style.INK, linestyle="--", linewidth=1.1, zorder=1,
                  label="as far as at the start")  # fmt: skip
        axes.set_xlim(low, high)
        axes.set_ylim(under, high)
        style.log_axis(axes.xaxis)
        style.log_axis(axes.yaxis)


def _seen(data: pd.DataFrame) -> str:
    """A sentence on the amplification of the smallest and the largest perturbation that is no flip."""
    added = data[data["what"] == ADD].sort_values("start")
    ends = added.iloc[[0, -1]] if len(added) > 1 else added
    parts = [
        f"{row['words']} ({row['network']}, {style.number(row['start'], 2)} at the start) ends "
        f"{factor(row['amplification'])} times as far away"
        for row in ends.to_dict("records")
    ]
    return f"{'; '.join(parts)}." if parts else f"{plural(len(data), 'perturbation')} are drawn."


def factor(value: float) -> str:
    """A factor in few digits: "0.95", "3,415"."""
    return f"{value:,.0f}" if value >= 1000 else style.number(value, 3)


def _repeated(every: pd.DataFrame) -> str:
    """A sentence on the repeated control, which a logarithmic axis cannot show where it is 0."""
    again = every.loc[every["what"] == REPEATED, "apart"].dropna()
    if again.empty:
        return ""
    if (again == 0).all():
        return "The control repeated in the same order ends at a distance of exactly 0, which the axis cannot show. "
    return f"The control repeated in the same order ends {span(again)} away. "
