"""Where small multiples stand: strips of panels, one or more a network, with a panel for each of its data sets."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.tables import Tables

Strips = Sequence[tuple[str, list[str]]]  # (network, data sets)
Panels = dict[tuple[str, str], Axes]  # by network and data set

MOST = 3
TITLE = 0.36  # inches that a strip takes beside its panels: titles, tick labels, gaps


def strips(tables: Tables, data: pd.DataFrame, most: int = MOST) -> list[tuple[str, list[str]]]:
    """[(network, [data sets])] in the config's order: those that `data` (with dataset and network columns) has.

    A network with more than `most` data sets takes several strips.
    """
    found: list[tuple[str, list[str]]] = []
    for network in tables.values("network"):
        own = set(data.loc[data["network"] == network, "dataset"])
        names = [name for name in tables.values("dataset") if name in own]
        found += [(network, names[at : at + most]) for at in range(0, len(names), most)]
    return found


def layout(strips: Strips, heights: Sequence[float], around: float, **share: bool) -> tuple[Figure, Panels]:
    """A figure with these strips: (figure, {(network, dataset): Axes}).

    heights: inches of each strip's panels; around: inches that legend and axis labels take; share: of Figure.subplots
    within a strip ("sharey=True"). Titles say what differs: the data set of each panel, and the network at the first
    of its strip.
    """
    across = max(len(names) for _, names in strips)
    fig = style.figure(sum(heights) + TITLE * len(strips) + around)
    cells = fig.add_gridspec(len(strips), across, height_ratios=heights)
    networks = {network for network, _ in strips}
    datasets = {name for _, names in strips for name in names}
    found: Panels = {}
    first: dict[str, Axes] = {}
    for down, (network, names) in enumerate(strips):
        for right, name in enumerate(names):
            tied: dict[str, Any] = {axis: first.get(network) for axis, on in share.items() if on}
            axes = fig.add_subplot(cells[down, right], **tied)
            first.setdefault(network, axes)
            axes.tick_params(labelleft=right == 0 or not share.get("sharey"))
            named = [network] * (len(networks) > 1 and right == 0) + [name] * (len(datasets) > 1)
            axes.set_title(" · ".join(named))
            found[network, name] = axes
    return fig, found


def rows(
    strips: Strips,
    names: Mapping[str, Sequence[str]],
    xlabel: str,
    row: float,
    around: float = 0.75,
    most: float = math.inf,
    blocks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
) -> tuple[Figure, Panels]:
    """As `layout`, with named rows, which the panels of a network have in common.

    Parameters
    ----------
    strips : sequence
    names : mapping
        The rows of each network from the top.
    xlabel : str
    row : float
        Height of a row in inches.
    around : float
        As in `layout`.
    most : float
        Where there are more rows, they share the height of so many, and only the first and the last are named.
    blocks : mapping, optional
        (first, last) row of each network's blocks, every second of which is shaded, instead of every second row.
    """
    heights = [row * (min(len(names[network]), most) + 0.4) for network, _ in strips]
    fig, found = layout(strips, heights, around, sharey=True)
    for (network, _), axes in found.items():
        own = names[network]
        crowded = len(own) > most
        shown = [0, len(own) - 1] if crowded else list(range(len(own)))
        axes.set_yticks(shown, [own[at] for at in shown])
        marks.shade([axes], len(own), [] if crowded else None if blocks is None else blocks[network])
    for key in lowest(strips):
        found[key].set_xlabel(xlabel)
    return fig, found


def of(data: pd.DataFrame, network: str, dataset: str) -> pd.DataFrame:
    """The rows of one panel."""
    return data[(data["network"] == network) & (data["dataset"] == dataset)]


def grid(rows: Sequence[str], columns: Sequence[str], height: float, around: float, **share: Any) -> tuple[Figure, Any]:
    """A figure with a line of panels for each row, named at its left, and a column for each of some titles.

    Parameters
    ----------
    rows, columns : sequence of str
    height : float
        Inches of a line of panels.
    around : float
        Inches that legend and axis labels take.
    **share
        Of Figure.subplots: sharex and sharey.

    Returns
    -------
    (Figure, array of Axes)
    """
    fig = style.figure(height * len(rows) + around)
    made = fig.subplots(len(rows), len(columns), squeeze=False, **share)
    for axes, title in zip(made[0], columns, strict=True):
        axes.set_title(title, fontsize=9.5)
    for axes, name in zip(made[:, 0], rows, strict=True):
        axes.set_ylabel(name, fontsize=9.5)
    return fig, made


def lowest(strips: Strips) -> list[tuple[str, str]]:
    """The (network, data set) of the panels that have no panel below them."""
    found: dict[int, tuple[str, str]] = {}
    for network, names in strips:
        found |= {right: (network, name) for right, name in enumerate(names)}
    return list(found.values())


def leftmost(strips: Strips) -> list[tuple[str, str]]:
    """The (network, data set) of each strip's first panel."""
    return [(network, names[0]) for network, names in strips]
