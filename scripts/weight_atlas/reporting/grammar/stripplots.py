"""Strip plots: a row for each name, a column for each measure, each value a dot, and what chance gives shaded."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.tables import Tables

BAND = "#D9E4EE"
ROW = 0.24  # inches


def strip_plots(
    tables: Tables, data: pd.DataFrame, chance: pd.DataFrame, measures: Mapping[str, str], label: str
) -> tuple[Figure, Any]:
    """Strip plots of measures from 0 to 1, with a strip of panels for each network and data set.

    Parameters
    ----------
    tables : Tables
    data : DataFrame
        A row for each dot: network, dataset, pair (the name of its row), and the measures.
    chance : DataFrame
        The same of what chance alone gives: its range is shaded, and if its pairs are also in `data`, they are grey.
    measures : mapping
        Column -> title.
    label : str
        What a dot is.

    Returns
    -------
    (Figure, array of Axes) : the panels have a line for each network and data set, a column for each measure.
    """
    places = [(network, name) for network, names in panels.strips(tables, data) for name in names]
    owns = [panels.of(data, *place) for place in places]
    names = [list(dict.fromkeys(own["pair"])) for own in owns]
    heights = [ROW * (len(rows) + 0.3) for rows in names]
    fig = style.figure(sum(heights) + panels.TITLE * len(places) + 0.85)
    grid = fig.subplots(len(places), len(measures), sharex="col", squeeze=False, height_ratios=heights)
    several = [at for at in (0, 1) if len({place[at] for place in places}) > 1]
    for line, place, own, rows in zip(grid, places, owns, names, strict=True):
        beside = panels.of(chance, *place)
        for axes, measure in zip(line, measures, strict=True):
            _strip(axes, own, beside, measure, rows, label)
            axes.tick_params(labelleft=axes is line[0])
        line[0].set_title(" · ".join(place[at] for at in several))
    for axes, title in zip(grid[0], measures.values(), strict=True):
        axes.annotate(title, (0.5, 1), (0, 22), "axes fraction", "offset points", ha="center", fontsize=9)
    for axes in grid.flat:
        axes.set_xlim(min(-0.05, axes.get_xlim()[0]), 1.05)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    marks.legend(fig, grid.flat)
    return fig, grid


def _strip(axes: Axes, own: pd.DataFrame, chance: pd.DataFrame, measure: str, names: Sequence[str], label: str) -> None:
    """One panel: in each row a dot for each value, and a bar at their mean."""
    shaded = chance[measure].dropna()
    for at, name in enumerate(names):
        values = own.loc[own["pair"] == name, measure].dropna()
        grey = name in set(chance["pair"])
        look: dict[str, Any] = {"color": style.QUIET if grey else style.PALETTE[0], "linestyle": ""}
        axes.plot(values, np.full(len(values), at), marker="o", alpha=0.5, markersize=4, markeredgewidth=0,
                  label="" if grey else label, **look)  # fmt: skip
        if len(values):
            axes.plot(values.mean(), at, marker="|", markersize=11, markeredgewidth=2, label="" if grey else "mean",
                      **look)  # fmt: skip
    if len(shaded):
        axes.axvspan(shaded.min(), shaded.max(), color=BAND, linewidth=0, zorder=0,
                     label="range over two seeds of one cell (chance)")  # fmt: skip
    marks.shade([axes], len(names), [])
    axes.set_yticks(range(len(names)), names)
