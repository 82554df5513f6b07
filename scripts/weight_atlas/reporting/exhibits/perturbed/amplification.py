"""The exhibit on what training makes of a perturbation: is it larger at the end than at the start?"""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import ADD, CONTROLS, FLIP, LAYERS, LOOKS, OTHER
from weight_atlas.reporting.exhibits.perturbed.mirror import span
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import plural
from weight_atlas.stats import summarise

BAND = "#DDDDDD"


def amplification(tables):
    """Distance to the same-order control at the end against the size of the perturbation, on log axes; [Exhibit]."""
    every = families.journeys(tables)
    rows = families.family(tables)
    found = every[~every["what"].isin(CONTROLS) & (every["start"] > 0) & (every["apart"] > 0)]
    if found.empty:
        raise NothingToShow("returns.csv has no perturbed replicate beside its control of the same order.")
    data = families.means(found, "apart")
    sizes = summarise(found, ["cell_id"], "start").rename(columns={"mean": "start"})[["cell_id", "start"]]
    ratios = summarise(found, ["cell_id"], "amplification").rename(columns={"mean": "amplification"})
    data = data.merge(sizes, on="cell_id").merge(ratios[["cell_id", "amplification"]], on="cell_id")
    strips = panels.strips(tables, data)
    fig, grid = panels.layout(strips, [2.5] * len(strips), 0.95, sharey=True)
    others = every[every["what"] == OTHER].dropna(subset="apart")
    for (network, dataset), axes in grid.items():
        own = data[(data["network"] == network) & (data["dataset"] == dataset)]
        shuffled = others[(others["network"] == network) & (others["dataset"] == dataset)]["apart"]
        scatter(axes, own, shuffled)
    for network, _ in strips:
        frame([axes for (name, _), axes in grid.items() if name == network], data[data["network"] == network])
    for key in panels.lowest(strips):
        grid[key].set_xlabel("size of the perturbation, ‖start − θ₁‖")
    for key in panels.leftmost(strips):
        grid[key].set_ylabel("distance at the end\nto the control")
    kinds = {ADD: "added noise", FLIP: "flip", LAYERS: "single layers", families.ELSE: "other"}
    handles = [
        Line2D([], [], color=LOOKS[what][0], marker="o", linestyle="", label=words)
        for what, words in kinds.items() if what in set(data["what"])
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=style.INK, linestyle="--", linewidth=1.1, label="as far as at the start"),
        Patch(color=BAND, label="control in another order (range)"),
    ]
    fig.legend(handles=handles, ncols=3, **ABOVE)
    caption = (
        "How far a perturbed model ends from where it would have ended without the perturbation (its control: the same "
        "original, trained again with the same pictures in the same order), against how far the perturbation took it "
        "at the start: means over the finished replicates, both axes logarithmic. "
        f"{intervals('Vertical lines', data)} Above the dashed line training makes a perturbation larger, below it "
        "smaller. The grey band is what nothing but another order of the pictures does, over all replicates. "
        f"{told(data)} {repeated(every)}{families.shortfall(tables, rows)}"
    )
    alt = f"Scatter plots on logarithmic axes. {told(data)}"
    made = Exhibit("amplification", "What training makes of a perturbation", caption.strip(), alt,
                   families.csv(data), fig)  # fmt: skip
    return [made]


def scatter(axes, data, shuffled):
    """One panel of `amplification`; shuffled: distances of the other-order controls, a Series."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    if len(shuffled):
        low, high = shuffled.min(), shuffled.max()
        axes.axhspan(low / 1.02, high * 1.02, color=BAND, linewidth=0, zorder=0)
    for _, rungs in data[data["ladder"] != ""].groupby(["branch", "ladder"], sort=False):
        rungs = rungs.sort_values("start")
        axes.plot(rungs["start"], rungs["mean"], color=LOOKS[ADD][0], linewidth=1, alpha=0.5, zorder=2)
    for row in data.itertuples():
        colour = LOOKS[row.what][0]
        if np.isfinite(row.low):
            axes.plot([row.start] * 2, [max(row.low, row.mean / 10), row.high], color=colour, linewidth=1.3, zorder=3)
        axes.plot(row.start, row.mean, "o", color=colour, markersize=5, markeredgecolor="white", markeredgewidth=0.5,
                  zorder=4)  # fmt: skip


def frame(grid, data):
    """The limits of the panels of one network, and in each the line of no amplification."""
    low = data["start"].min() / 2
    ends = np.array([data["start"].max(), data["mean"].max(), data["high"].max()])
    high = 2 * ends[np.isfinite(ends)].max()
    under = min(data["mean"].min(), data["start"].min()) / 2
    for axes in grid:
        axes.plot([low, high], [low, high], color=style.INK, linestyle="--", linewidth=1.1, zorder=1)
        axes.set_xlim(low, high)
        axes.set_ylim(under, high)
        style.log_axis(axes.xaxis)
        style.log_axis(axes.yaxis)


def told(data):
    """A sentence on the amplification of the smallest and the largest perturbation that is no flip."""
    added = data[data["what"] == ADD].sort_values("start")
    rows = [added.iloc[0], added.iloc[-1]] if len(added) > 1 else [row for _, row in added.iterrows()]
    parts = [
        f"{row['words']} ({row['network']}, {style.number(row['start'], 2)} at the start) ends "
        f"{factor(row['amplification'])} times as far away"
        for row in rows
    ]
    return f"{'; '.join(parts)}." if parts else f"{plural(len(data), 'perturbation')} are drawn."


def factor(value):
    """A factor in few digits: "0.95", "3,415"."""
    return f"{value:,.0f}" if value >= 1000 else style.number(value, 3)


def repeated(every):
    """A sentence on the repeated control, which a logarithmic axis cannot show where it is 0."""
    again = every.loc[every["what"] == families.REPEATED, "apart"].dropna()
    if again.empty:
        return ""
    if (again == 0).all():
        return "The control repeated in the same order ends at a distance of exactly 0, which the axis cannot show. "
    return f"The control repeated in the same order ends {span(again)} away. "
