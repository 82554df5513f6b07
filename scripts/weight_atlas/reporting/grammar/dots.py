"""The plot with one row a cell: dots with intervals or bars, a panel a network and data set, n of N at the right."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.panels import Panels
from weight_atlas.reporting.grammar.tables import Tables

Counts = Any  # a row, or the sum, of Tables.status()

ROW = 0.27
MOST = 20  # rows of a panel that have a name and a height of their own
NEVER = "never learnt"  # what is said of replicates that classify no better than always naming the largest class


def rows(tables: Tables, xlabel: str, row: float = ROW, by: pd.DataFrame | None = None) -> "tuple[Figure, Rows]":
    """A figure with one panel a network and data set and in it one row a cell: (figure, Rows).

    row is the height of a row in inches. by: cell_id and mean, what the rows of a panel with more than MOST of them
    are ordered by, the largest first: it shows a distribution, and names the cells at its ends.
    """
    strips = panels.strips(tables, tables.cells)
    labels = {network: _labels(tables, network, by) for network, _ in strips}
    names = labels if tables.axes else {network: [""] * len(own) for network, own in labels.items()}
    fig, axes = panels.rows(strips, names, xlabel, row, most=MOST)
    return fig, Rows(tables, axes, labels)


def _labels(tables: Tables, network: str, by: pd.DataFrame | None) -> list[str]:
    """The rows of a network's panels from the top: in the config's order, of many in that of their means."""
    own = tables.where(network=network)
    names = list(dict.fromkeys(own["label"]))
    if len(names) <= MOST or by is None:
        return names
    means = own.merge(by[["cell_id", "mean"]], on="cell_id", how="left").groupby("label")["mean"].mean()
    return sorted(names, key=means.fillna(-math.inf).__getitem__, reverse=True)


class Rows:
    """Where each cell's row lies: panels[(network, dataset)] -> Axes, labels[network] -> its rows from the top."""

    def __init__(self, tables: Tables, axes: Panels, labels: Mapping[str, Sequence[str]]) -> None:
        self.tables, self.panels, self.labels = tables, axes, labels

    @property
    def crowd(self) -> str:
        """A sentence on panels with more than MOST rows; empty without any."""
        most = max(map(len, self.labels.values()))
        what = f"Of {most} cells a panel shows the distribution, the largest mean first, and names those at its ends"
        return f"{what}; the table has all." if most > MOST else ""

    def places(self) -> Iterator[tuple[Any, Axes, int]]:
        """(cell row of `tables.cells` as a named tuple, its Axes, its vertical position), cell by cell."""
        cell: Any
        for cell in self.tables.cells.itertuples():
            yield cell, self.panels[cell.network, cell.dataset], self.labels[cell.network].index(cell.label)

    def dots(
        self, data: pd.DataFrame, *, colour: str, marker: str, label: str, shift: float = 0.0, scale: float = 1.0
    ) -> None:
        """A dot at the mean with its interval as a line; `data` has cell_id, mean, low, high; shift is in rows."""
        data = data.set_index("cell_id")
        for cell, axes, at in self.places():
            if cell.cell_id not in data.index:
                continue
            marks.dot(axes, at + shift, data.loc[cell.cell_id], label, marker, colour, scale=scale)

    def align(self) -> None:
        """Give the panels of one data set one scale, the widest of theirs."""
        for dataset in {dataset for _, dataset in self.panels}:
            own = [axes for (_, name), axes in self.panels.items() if name == dataset]
            low, high = min(axes.get_xlim()[0] for axes in own), max(axes.get_xlim()[1] for axes in own)
            for axes in own:
                axes.set_xlim(low, high)

    def counts(self) -> None:
        """n of N beside the rows of a panel with few, with what became of replicates that did not finish."""
        status = self.tables.status()
        for cell, axes, at in self.places():
            if len(self.labels[cell.network]) > MOST:
                continue
            of = status.loc[cell.cell_id]
            short = not whole(of)
            colour = style.WARNING if short else style.QUIET
            text = f"{of['done']}/{of['asked']}" + (f"\n{remarks(of)}" if short and of["done"] else "")
            marks.aside(axes, at, text, colour)
            if not of["done"]:
                marks.aside(axes, at, f"✕ {fate(of)}", colour, 0.02)

    def legend(self, fig: Figure, extra: Sequence[Artist] = (), ncols: int = 3) -> None:
        """The legend above the panels: each label once, then the `extra` handles."""
        marks.legend(fig, self.panels.values(), ncols=ncols, extra=extra)


def fate(of: Counts) -> str:
    """What became of the replicates that did not finish: "1 diverged, 1 failed"."""
    return ", ".join(f"{of[kind]} {kind}" for kind in ("diverged", "failed", "missing") if of[kind])


def whole(of: Counts) -> bool:
    """Whether all replicates finished and learnt, of a row (or the sum) of Tables.status()."""
    return bool(of["done"] >= of["asked"] and not of["unlearnt"])


def remarks(of: Counts) -> str:
    """What is to be said beside n of N: `fate`, and how many of those that finished never learnt."""
    return ", ".join(filter(None, [fate(of), f"{of['unlearnt']} {NEVER}" if of["unlearnt"] else ""]))


def tally(of: Counts) -> str:
    """ "2/3", or "3/3, 1 never learnt"."""
    return f"{of['done']}/{of['asked']}" + (f", {of['unlearnt']} {NEVER}" if of["unlearnt"] else "")


def unlearnt(count: int) -> str:
    """A sentence on so many finished replicates that never learnt; empty for none."""
    if count == 1:
        return f"1 finished replicate {NEVER}; means count it only where no other of its cell learnt."
    told = f"{count} finished replicates {NEVER}; means count only those of cells in which none learnt."
    return told if count else ""
