"""The exhibit on noise of growing size: where does the basin end?"""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import ADD, CONTROLS, SAME
from weight_atlas.reporting.exhibits.perturbed.paths import CONNECTED
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import slug

# What a ladder's figure has in its columns: quantity -> (title, words of an axis, factor).
COLUMNS = {
    "right": ("right after", "accuracy (%)", 100),
    "trained": ("after training again", "accuracy (%)", 100),
    "distance": ("‖θ₁ − θ₂‖", "distance", 1),
    "barrier": ("barrier to the original", "points", 100),
}
SIZES = {
    "constant": "size, added to every parameter",
    "gaussian": "size, standard deviation of the noise",
    "relative": "size, relative to each parameter",
    "filter": "size, relative to each filter's norm",
}


def ladder(tables):
    """Accuracy, distance and barrier against the size of noise, one exhibit a ladder, [] without one; list[Exhibit]."""
    found = families.family(tables)
    names = list(dict.fromkeys(found.loc[found["ladder"] != "", "ladder"]))
    if not names:
        return []
    data = rungs(tables, found)
    made = []
    for name in names:
        own = data[(data["ladder"] == name) | data["what"].isin(CONTROLS)]
        climbed = own.loc[own["ladder"] == name, "branch"]
        own = own[own["branch"].isin(climbed)]
        rows = found[(found["ladder"] == name) | (found["branch"].isin(climbed) & (found["what"] == SAME))]
        if own["what"].isin([ADD]).any():
            suffix = f"-{slug(name)}" if len(names) > 1 else ""
            made.append(ladder_exhibit(tables, own, rows, f"ladder{suffix}", name if len(names) > 1 else ""))
    if not made:
        raise NothingToShow("no rung of a ladder has a finished replicate.")
    return made


def rungs(tables, found):
    """Means by rung (and same-order control) and quantity of COLUMNS, as `families.means` gives them."""
    chosen = found[(found["ladder"] != "") | (found["what"] == SAME)]["cell_id"]
    parts = []
    journeys = families.journeys(tables)
    parts.append(families.means(journeys[journeys["cell_id"].isin(chosen)], "distance").assign(quantity="distance"))
    sources = {
        "right": ("aftermath", "mode", "eval", "accuracy"),
        "trained": ("accuracy", "protocol", "last", "accuracy"),
        "barrier": ("barriers", "alignment", "plain", "accuracy_barrier"),
    }
    for quantity, (table, column, value, name) in sources.items():
        try:
            rows = families.children(tables, table)
        except NothingToShow:
            continue
        rows = rows[(rows[column] == value) & rows["cell_id"].isin(chosen)]
        parts.append(families.means(rows, name).assign(quantity=quantity))
    return pd.concat(parts)


def ladder_exhibit(tables, data, rows, name, tab):
    """The exhibit of one ladder: a row a network and data set, a column a quantity, a line an original.

    data: `rungs` of the ladder and of its controls; rows: those of `families.family`, finished or not."""
    strips = panels.strips(tables, data)
    places = [(network, dataset) for network, names in strips for dataset in names]
    originals = list(dict.fromkeys(data["name"]))
    colours = dict(zip(originals, style.colours(len(originals)), strict=True))
    fig = style.figure(1.75 * len(places) + 1.25)
    grid = fig.subplots(len(places), len(COLUMNS), sharex=True, sharey="col", squeeze=False)
    sizes = sorted(set(data["size"].dropna()))
    for line, (network, dataset) in zip(grid, places, strict=True):
        part = data[(data["network"] == network) & (data["dataset"] == dataset)]
        for axes, (quantity, (title, unit, factor)) in zip(line, COLUMNS.items(), strict=True):
            climb(axes, part[part["quantity"] == quantity], colours, factor)
            axes.set_xscale("log")
            axes.set_xlim(sizes[0] / 2, sizes[-1] * 2)
            axes.xaxis.set_ticks(sizes, [style.short(size) for size in sizes], rotation=90 if len(sizes) > 3 else 0)
            axes.xaxis.set_minor_formatter("")
            axes.set_ylabel(unit, fontsize=9)
            axes.tick_params(labelleft=True)
            if (network, dataset) == places[0]:
                axes.set_title(title, fontsize=9.5)
        where = " · ".join([network] + [dataset] * (data["dataset"].nunique() > 1))
        line[0].set_ylabel(f"{where}\n{COLUMNS['right'][1]}", fontsize=9)
    for axes, (quantity, (_, _, factor)) in zip(grid[0], COLUMNS.items(), strict=True):
        values = data.loc[data["quantity"] == quantity, "mean"]
        if factor == 1:
            style.log_if_wide(axes, values)
            if axes.get_yscale() == "log":
                axes.set_ylim(style.magnitudes(values)[0] / 1.5, style.magnitudes(values)[-1] * 1.5)
                style.log_axis(axes.yaxis)
            else:
                axes.set_ylim(bottom=0)
        elif quantity != "barrier":
            axes.set_ylim(-3, 103)
        else:
            axes.set_ylim(-3, max(10, 110 * values.max()))
    for axes in grid[:, -1]:
        axes.axhline(100 * CONNECTED, color=style.INK, linestyle=":", linewidth=1.2, zorder=1)
    fig.supxlabel(SIZES.get(noise(tables, data), "size"), fontsize=10)
    grey = {"color": style.QUIET}
    words = originals if len(originals) > 1 else ["perturbed, trained again"]
    handles = [
        Line2D([], [], color=colours[name], marker="o", markersize=4, label=text)
        for name, text in zip(originals, words, strict=True)
    ]
    handles += [
        Line2D([], [], linestyle="--", linewidth=1.2, label="no perturbation, same order", **grey),
        Line2D([], [], linestyle=":", color=style.INK, label="2 points"),
    ]
    fig.legend(handles=handles, ncols=3, **ABOVE)
    ends = basin(data)
    caption = (
        "A perturbation of growing size, on a logarithmic axis: test accuracy right after it and after training again, "
        "the distance between the original and the end, and the accuracy barrier on the straight line between these "
        f"two: means over the finished replicates. {intervals('Vertical lines', data)} {families.CUT}Dashed: the "
        "control in the same order without a perturbation. Where the barrier stays below 2 points (dotted), original "
        "and end lie in one basin; where it rises, the basin ends. "
        f"{ends} {families.shortfall(tables, rows)}"
    )
    alt = f"Line charts against the size of the noise. {ends}"
    shown = families.csv(data.assign(ladder=tab) if tab else data)
    return Exhibit(name, "Where does the basin end?", caption.strip(), alt, shown, fig, tab=tab)


def climb(axes, data, colours, factor):
    """One panel of a ladder."""
    for name, own in data.groupby("name", sort=False):
        steps = own[own["what"] == ADD].sort_values("size")
        axes.plot(steps["size"], steps["mean"] * factor, "-o", color=colours[name], markersize=4, linewidth=1.3)
        low, high = (np.clip(steps[name_] * factor, 0, None) for name_ in ("low", "high"))
        axes.vlines(steps["size"], low, high, color=colours[name], linewidth=1.2)
        for value in own.loc[own["what"] == SAME, "mean"]:
            axes.axhline(value * factor, color=colours[name], linestyle="--", linewidth=1.1, alpha=0.8, zorder=1)


def noise(tables, data):
    """The kind of noise of a ladder's rungs."""
    cell = data.loc[data["what"] == ADD, "cell_id"].iloc[0]
    return tables.children.settings[cell].start.steps[0].get("noise", "constant")


def basin(data):
    """A sentence: up to which size the barrier stays below CONNECTED, and from where accuracy is lost for good."""
    parts = []
    walls = data[(data["quantity"] == "barrier") & (data["what"] == ADD)]
    for network, own in walls.groupby("network", sort=False):
        reached = []
        for _, line in own.groupby("branch", sort=False):
            line = line.sort_values("size")
            within = (line["mean"] <= CONNECTED).cumprod().astype(bool)
            reached.append(line.loc[within, "size"].max() if within.any() else 0)
        low, high = min(reached), max(reached)
        top = own["size"].max()
        if high == 0:
            parts.append(f"in {network} at no size")
        elif low == top:
            parts.append(f"in {network} up to the largest size, {style.short(top)}")
        else:
            ends = " to ".join(dict.fromkeys(style.short(value) for value in (low, high)))
            parts.append(f"in {network} up to a size of {ends}")
    return f"The barrier stays below 2 points {'; '.join(parts)}." if parts else "No barrier was measured."
