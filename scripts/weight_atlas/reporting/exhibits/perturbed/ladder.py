"""The exhibit on noise of growing size: where does the basin end?"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import ADD, CUT, SAME
from weight_atlas.reporting.exhibits.perturbed.paths import CONNECTED
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import by_network, span


class Quantity(NamedTuple):
    """What a column of the figure shows: its title, and what the numbers are multiplied by."""

    title: str
    scale: int


QUANTITIES = {
    "right": Quantity("accuracy right\nafter (%)", 100),
    "trained": Quantity("accuracy after\ntraining again (%)", 100),
    "distance": Quantity("distance\n‖θ₁ − θ₂‖", 1),
    "barrier": Quantity("barrier to the\noriginal (points)", 100),
}
# quantity -> (table, column, its value, column of the quantity)
SOURCES = {
    "right": ("aftermath", "mode", "eval", "accuracy"),
    "trained": ("accuracy", "protocol", "last", "accuracy"),
    "barrier": ("barriers", "alignment", "plain", "accuracy_barrier"),
}
SIZES = {
    "constant": "size, added to every parameter",
    "gaussian": "size, standard deviation of the noise",
    "relative": "size, relative to each parameter",
    "filter": "size, relative to each filter's norm",
}


def ladder(tables: Tables) -> list[Exhibit]:
    """Accuracy, distance and barrier against the size of noise, an exhibit for each ladder; none without one."""
    found = families.family(tables)
    names = list(dict.fromkeys(found.loc[found["ladder"] != "", "ladder"]))
    if not names:
        return []
    data = _rungs(tables, found)
    made = []
    for name in names:
        climbed = set(data.loc[data["ladder"] == name, "branch"])
        own, rows = (
            every[(every["ladder"] == name) | ((every["what"] == SAME) & every["branch"].isin(climbed))]
            for every in (data, found)
        )
        if climbed:
            made.append(_exhibit(tables, own, rows, name if len(names) > 1 else ""))
    if not made:
        raise NothingToShow("no rung of a ladder has a finished replicate.")
    return made


def _rungs(tables: Tables, found: pd.DataFrame) -> pd.DataFrame:
    """Means of rungs and same-order controls by quantity, as `families.means` gives them."""
    chosen = found.loc[(found["ladder"] != "") | (found["what"] == SAME), "cell_id"]
    journeys = families.journeys(tables)
    parts = [families.means(journeys[journeys["cell_id"].isin(chosen)], "distance").assign(quantity="distance")]
    for quantity, (table, column, value, name) in SOURCES.items():
        try:
            rows = families.children(tables, table)
        except NothingToShow:
            continue
        rows = rows[(rows[column] == value) & rows["cell_id"].isin(chosen)]
        parts.append(families.means(rows, name).assign(quantity=quantity))
    return pd.concat(parts)


def _exhibit(tables: Tables, data: pd.DataFrame, rows: pd.DataFrame, tab: str) -> Exhibit:
    """The exhibit of one ladder: `_rungs` of it and of its controls; rows: of `families.family`, finished or not."""
    caption = (
        "A perturbation of growing size, on a logarithmic axis: test accuracy right after it and after training again, "
        "the distance between the original and the end, and the accuracy barrier on the straight line between these "
        f"two: means over the finished replicates. {intervals('Vertical lines', data)} {CUT} Dashed: the control in "
        "the same order without a perturbation. Where the barrier stays below 2 points (dotted), original and end lie "
        f"in one basin; where it rises, the basin ends. {_basin(data)} {families.shortfall(tables, rows)}"
    )
    alt = f"Line charts against the size of the noise. {_basin(data)}"
    return families.exhibit("ladder", "Where does the basin end?", caption, alt, data, _figure(tables, data), tab)


def _figure(tables: Tables, data: pd.DataFrame) -> Figure:
    """A row for each network and data set, a column for each quantity, a line for each original."""
    places = [(network, name) for network, names in panels.strips(tables, data) for name in names]
    several = data["dataset"].nunique() > 1
    rows = [" · ".join([network] + [dataset] * several) for network, dataset in places]
    originals = list(dict.fromkeys(data["name"]))
    colours = dict(zip(originals, style.colours(len(originals)), strict=True))
    titles = [quantity.title for quantity in QUANTITIES.values()]
    fig, grid = panels.grid(rows, titles, 1.75, 1.4, sharex=True, sharey="col")
    for line, place in zip(grid, places, strict=True):
        part = panels.of(data, *place)
        for axes, (name, quantity) in zip(line, QUANTITIES.items(), strict=True):
            _climb(axes, part[part["quantity"] == name], colours, quantity)
        line[-1].axhline(100 * CONNECTED, color=style.INK, linestyle=":", linewidth=1.2, zorder=1, label="2 points")
    for axes, name in zip(grid[0], QUANTITIES, strict=True):
        _limit(axes, name, data.loc[data["quantity"] == name, "mean"])
    sizes = sorted(set(data["size"].dropna()))
    grid[0, 0].set(xscale="log", xlim=(sizes[0] / 2, sizes[-1] * 2))
    for axes in grid.flat:
        axes.tick_params(labelleft=True)
        slanted: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(sizes) > 3 else {}
        axes.xaxis.set_ticks(sizes, [style.short(size) for size in sizes], **slanted)
        axes.xaxis.set_minor_formatter("")
    fig.supxlabel(SIZES.get(_noise(tables, data), "size"), fontsize=10)
    control = marks.entry("no perturbation, same order", linestyle="--", linewidth=1.2)
    marks.legend(fig, grid.flat, extra=[control])
    return fig


def _climb(axes: Axes, data: pd.DataFrame, colours: Mapping[str, str], quantity: Quantity) -> None:
    """One panel."""
    scale, bounds = quantity.scale, (0.0, 1.0 if quantity.scale == 100 else math.inf)
    for name, own in data.groupby("name", sort=False):
        colour, label = colours[str(name)], str(name) if len(colours) > 1 else "perturbed, trained again"
        steps = own[own["what"] == ADD].sort_values("size")
        marks.points(axes, steps, "size", scale=scale, bounds=bounds, color=colour, label=label)
        for value in own.loc[own["what"] == SAME, "mean"]:
            axes.axhline(value * scale, color=colour, linestyle="--", linewidth=1.1, alpha=0.8, zorder=1)


def _limit(axes: Axes, quantity: str, values: "pd.Series[float]") -> None:
    """The limits of a column of panels."""
    if quantity == "distance":
        style.from_zero(axes, values)
    else:
        axes.set_ylim(-3, max(10, 110 * values.max()) if quantity == "barrier" else 103)


def _noise(tables: Tables, data: pd.DataFrame) -> str:
    """The kind of noise of a ladder's rungs."""
    cell = data.loc[data["what"] == ADD, "cell_id"].iloc[0]
    steps = families.perturbed(tables).settings[cell].start.steps or [{}]
    return str(steps[0].get("noise", "constant"))


def _basin(data: pd.DataFrame) -> str:
    """A sentence: up to which size the barrier stays below CONNECTED."""

    def reach(own: pd.DataFrame) -> str:
        within = (own["mean"] <= CONNECTED).groupby(own["branch"]).cumprod() == 1
        reached = own["size"].where(within, 0).groupby(own["branch"]).max()
        if reached.max() == 0:
            return "at no size"
        largest = "the largest size," if reached.min() == own["size"].max() else "a size of"
        return f"up to {largest} {span(reached, style.short)}"

    walls = data[(data["quantity"] == "barrier") & (data["what"] == ADD)].sort_values("size", kind="stable")
    told = by_network(walls, reach)
    return f"The barrier stays below 2 points {told}." if told else "No barrier was measured."
