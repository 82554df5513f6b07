"""The plot with one row a cell: dots with intervals or bars, a panel for each data set, n of N at the right."""

import math

from atlas.tell import style

PANELS = 3
ROW = 0.27


def panels(tables, xlabel, row=ROW):
    """A figure with one panel a data set and one row a cell, networks as headings: (figure, Rows).

    row is the height of a row in inches. The rows are those of any data set, in the config's order; a panel leaves a
    row empty that its data set does not have.
    """
    rows = Rows(tables)
    names = tables.values("dataset")
    across = min(len(names), PANELS)
    down = math.ceil(len(names) / across)
    fig = style.figure(down * (row * (rows.count + 0.6) + 0.55) + 0.55)
    grid = fig.subplots(down, across, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        rows.panels[name] = axes
        axes.set_title(name)
        axes.set_xlabel(xlabel)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    rows.frame()
    return fig, rows


class Rows:
    """Where each cell's row lies: position[(network, label)] in row units, downwards; panels[dataset] -> Axes."""

    def __init__(self, tables):
        self.tables = tables
        self.panels = {}
        self.position = {}
        self.headings = {}
        cells = tables.cells
        headed = cells["network"].nunique() > 1 and bool(tables.axes)
        at = 0
        for network in tables.values("network"):
            if headed:
                self.headings[network] = at
                at += 1
            for label in dict.fromkeys(cells.loc[cells["network"] == network, "label"]):
                self.position[network, label] = at
                at += 1
        self.count = at

    def frame(self):
        """Row labels, headings in bold, and light bands behind every second row."""
        ticks = {at: label for (_, label), at in self.position.items()}
        ticks |= {at: network for network, at in self.headings.items()}
        for axes in self.panels.values():
            axes.set_ylim(self.count - 0.4, -0.6)
            axes.set_yticks(list(ticks), list(ticks.values()))
            axes.grid(axis="y", visible=False)
            axes.spines["left"].set_visible(False)
            for at in self.position.values():
                if at % 2:
                    axes.axhspan(at - 0.5, at + 0.5, color=style.BAND, linewidth=0, zorder=0)
            for label in axes.get_yticklabels():
                if label.get_text() in self.headings:
                    label.set_fontweight("bold")

    def places(self):
        """(cell row of `tables.cells` as a named tuple, its Axes, its vertical position), cell by cell."""
        for cell in self.tables.cells.itertuples():
            yield cell, self.panels[cell.dataset], self.position[cell.network, cell.label]

    def dots(self, data, *, colour, marker, label, shift=0.0, scale=1.0):
        """A dot at the mean with its interval as a line; `data` has cell_id, mean, low, high; shift is in rows."""
        data = data.set_index("cell_id")
        for cell, axes, at in self.places():
            if cell.cell_id not in data.index:
                continue
            mean, low, high = (data.loc[cell.cell_id, ["mean", "low", "high"]] * scale).astype(float)
            if math.isfinite(low):
                axes.plot([low, high], [at + shift] * 2, color=colour, linewidth=1.4, solid_capstyle="butt")
            filled = {"color": colour, "markerfacecolor": colour if marker != "s" else "white"}
            axes.plot(mean, at + shift, marker, markersize=5, label=label, markeredgewidth=1.2, zorder=3, **filled)

    def counts(self):
        """n of N beside every row, with what became of replicates that did not finish (in the row where none did)."""
        status = self.tables.status()
        for cell, axes, at in self.places():
            of = status.loc[cell.cell_id]
            short = of["done"] < of["asked"]
            beside = axes.get_yaxis_transform()
            options = {"va": "center", "fontsize": 9, "color": style.WARNING if short else style.QUIET}
            text = f"{of['done']}/{of['asked']}" + (f"\n{fate(of)}" if short and of["done"] else "")
            axes.text(1.01, at, text, transform=beside, ha="left", linespacing=1.1, **options)
            if not of["done"]:
                axes.text(0.02, at, f"✕ {fate(of)}", transform=beside, ha="left", **options)

    def legend(self, fig, extra=(), ncols=3):
        """The legend above the panels: each label once, then the `extra` handles."""
        found = {}
        for axes in self.panels.values():
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                found.setdefault(label, handle)
        fig.legend([*found.values(), *extra], [*found, *(item.get_label() for item in extra)], ncols=ncols, **ABOVE)


ABOVE = {"loc": "outside upper center", "handletextpad": 0.4, "columnspacing": 1.4, "borderpad": 0.1}


def fate(of):
    """What became of the replicates that did not finish: "1 diverged, 1 failed"."""
    return ", ".join(f"{of[kind]} {kind}" for kind in ("diverged", "failed", "missing") if of[kind])
