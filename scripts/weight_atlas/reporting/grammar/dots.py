"""The plot with one row a cell: dots with intervals or bars, a panel a network and data set, n of N at the right."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.marks import ABOVE as ABOVE
from weight_atlas.reporting.grammar.panels import Panels
from weight_atlas.reporting.grammar.tables import Tables

Counts = Any  # a row, or the sum, of Tables.status()

ROW = 0.27
NEVER = "never learnt"  # what is said of replicates that classify no better than always naming the largest class


def rows(tables: Tables, xlabel: str, row: float = ROW) -> "tuple[Figure, Rows]":
    """A figure with one panel a network and data set and in it one row a cell: (figure, Rows).

    row is the height of a row in inches.
    """
    strips = panels.strips(tables, tables.cells)
    labels = {network: list(dict.fromkeys(tables.where(network=network)["label"])) for network, _ in strips}
    heights = [row * (len(labels[network]) + 0.4) for network, _ in strips]
    fig, axes = panels.layout(strips, heights, 0.75, sharey=True)
    for key in panels.lowest(strips):
        axes[key].set_xlabel(xlabel)
    return fig, Rows(tables, axes, labels)


class Rows:
    """Where each cell's row lies: panels[(network, dataset)] -> Axes, labels[network] -> its rows from the top."""

    def __init__(self, tables: Tables, axes: Panels, labels: Mapping[str, Sequence[str]]) -> None:
        self.tables, self.panels, self.labels = tables, axes, labels
        for (network, _), one in axes.items():
            names = labels[network]
            one.set_ylim(len(names) - 0.4, -0.6)
            one.set_yticks(range(len(names)), names if tables.axes else [""] * len(names))
            one.grid(axis="y", visible=False)
            one.spines["left"].set_visible(False)
            for at in range(1, len(names), 2):
                one.axhspan(at - 0.5, at + 0.5, color=style.BAND, linewidth=0, zorder=0)

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
        """n of N beside every row, with what became of replicates that did not finish (in the row where none did)."""
        status = self.tables.status()
        for cell, axes, at in self.places():
            of = status.loc[cell.cell_id]
            short = not whole(of)
            beside = axes.get_yaxis_transform()
            options: dict[str, Any] = {"va": "center", "fontsize": 9, "color": style.WARNING if short else style.QUIET}
            text = f"{of['done']}/{of['asked']}" + (f"\n{remarks(of)}" if short and of["done"] else "")
            axes.text(1.01, at, text, transform=beside, ha="left", linespacing=1.1, **options)
            if not of["done"]:
                axes.text(0.02, at, f"✕ {fate(of)}", transform=beside, ha="left", **options)

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
    told = "1 finished replicate" if count == 1 else f"{count} finished replicates"
    return f"{told} {NEVER}; {'it is' if count == 1 else 'they are'} included." if count else ""
