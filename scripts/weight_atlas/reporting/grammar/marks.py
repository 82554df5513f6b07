"""Marks that know no measure: dots, points and lines with intervals, levels, forests, shaded rows; and their legend."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy.typing as npt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from weight_atlas.reporting.grammar import style

LEVEL = 0.05  # a difference is filled below it: of p after correction
ZERO: dict[str, Any] = {"color": style.QUIET, "linewidth": 0.8, "zorder": 1}  # the line of no difference
REFERENCE: dict[str, Any] = {"color": style.INK, "linewidth": 1, "linestyle": (0, (4, 2))}  # what others stand beside
CROSS: dict[str, Any] = {"color": style.WARNING, "marker": "X", "markersize": 6, "linestyle": "", "zorder": 4}
WIDTHS = {"low": 1.1, "low90": 3.2}  # of the lines of a 95 % and of a 90 % interval
ENTRIES, NAMED = 24, 8  # of a legend: more than that are not all named, but so many of them
LINES, BANDS = "intervals as lines", "intervals as bands"  # what `legend` knows them by
INTERVAL = "95 % interval"  # of what dot, band and points draw, unless their caller says otherwise
ABOVE: dict[str, Any] = {"loc": "outside upper center", "handletextpad": 0.4, "columnspacing": 1.4, "borderpad": 0.1}
Row = Mapping[Any, Any]  # with mean, low, high


def look(marker: str, colour: str) -> dict[str, Any]:
    """How a marker is drawn: squares are hollow, so that they are told apart without colour."""
    face = colour if marker != "s" else "white"
    return {"marker": marker, "color": colour, "markerfacecolor": face, "markersize": 5, "markeredgewidth": 1.2}


def dot(axes: Axes, at: float, row: Row, label: str, marker: str, colour: str, *, upright: bool = False,
        scale: float = 1.0, bounds: tuple[float, float] = (-math.inf, math.inf)) -> None:  # fmt: skip
    """A dot at the mean of a row with its interval, cut at the bounds, as a line.

    Parameters
    ----------
    axes : Axes
    at : float
        Its place on the other axis: the vertical one, or the horizontal one if `upright`.
    row : mapping
        mean, low and high.
    label : str
        Its entry in the legend.
    marker, colour : str
    upright : bool
    scale : float
        What the numbers are multiplied by, after the cut.
    bounds : tuple of float
    """
    mean, low, high = (min(max(row[name], bounds[0]), bounds[1]) * scale for name in ("mean", "low", "high"))
    if math.isfinite(row["low"]):
        line = axes.vlines if upright else axes.hlines
        line(at, low, high, color=colour, linewidth=1.4, gid=LINES)
    place = (at, mean) if upright else (mean, at)
    axes.plot(*([value] for value in place), linestyle="", zorder=3, label=label, **look(marker, colour))


def forest(axes: Axes, row: Row, at: float, scale: float = 1.0, colour: str = "black") -> None:
    """A difference with its interval at height `at`, filled where its q is below LEVEL; nothing where n is 0."""
    if not row["n"]:
        return
    if math.isfinite(row["low"]):
        axes.plot([row["low"] * scale, row["high"] * scale], [at, at], color=colour, linewidth=1.4)
    clear = row["q"] < LEVEL
    label = f"q < {LEVEL}" if clear else f"q ≥ {LEVEL}, or no test"
    axes.plot(row["mean"] * scale, at, "o", color=colour, markerfacecolor=colour if clear else "white", markersize=5,
              zorder=3, label=label, linestyle="")  # fmt: skip


def band(axes: Axes, frame: pd.DataFrame, across: str, *, scale: float = 1.0, shade: bool = True,
         bounds: tuple[float, float] = (-math.inf, math.inf), **look: Any) -> None:  # fmt: skip
    """Means as a line with their intervals, cut at the bounds, shaded in its colour.

    Parameters
    ----------
    axes : Axes
    frame : DataFrame
        With mean, low, high and the column `across`.
    across : str
        What lies on the horizontal axis.
    scale : float
        What the numbers are multiplied by, after the cut.
    shade : bool
        Whether the intervals are drawn.
    bounds : tuple of float
    **look
        Of Axes.plot: label, color, linestyle, marker.
    """
    frame = frame.sort_values(across)
    (line,) = axes.plot(frame[across], frame["mean"] * scale, **look)
    if shade:
        # Equal replicates have no interval: there the band is as narrow as the line, and its neighbours keep theirs.
        equal = frame["n"] > 1 if "n" in frame else False
        low, high = (
            frame[name].where(frame[name].notna() | ~equal, frame["mean"]).clip(*bounds) * scale
            for name in ("low", "high")
        )
        axes.fill_between(frame[across], low, high, color=line.get_color(), alpha=0.15, linewidth=0, gid=BANDS)


def level(axes: Axes, row: Row, label: str, scale: float = 1.0) -> None:
    """A mean that others are compared with: a dashed line across a panel, with its interval shaded."""
    axes.axhline(row["mean"] * scale, label=label, zorder=1, **REFERENCE)
    if math.isfinite(row["low"]):
        axes.axhspan(row["low"] * scale, row["high"] * scale, color=style.INK, alpha=0.07, linewidth=0, zorder=0)


def equivalence(axes: Axes, margin: float, label: str) -> None:
    """The line of no difference in the band of those that count as none."""
    axes.axhspan(-margin, margin, color=style.QUIET, alpha=0.15, linewidth=0, zorder=0, label=label)
    axes.axhline(0, **ZERO)


def widths(axes: Axes, at: npt.ArrayLike, frame: pd.DataFrame, *, scale: float = 1.0, **look: Any) -> None:
    """Means at their places with two intervals each: low90 to high90 as a thick line, low to high as a thin one.

    Parameters
    ----------
    axes : Axes
    at : array of float
        Places on the horizontal axis.
    frame : DataFrame
        With mean, low, high, low90 and high90.
    scale : float
        What the numbers are multiplied by.
    **look
        Of Axes.plot: color, linestyle, marker.
    """
    for low, width in WIDTHS.items():
        high = low.replace("low", "high")
        axes.vlines(at, frame[low] * scale, frame[high] * scale, color=look["color"], linewidth=width)
    axes.plot(at, frame["mean"] * scale, **look)


def entries_of_widths() -> list[Line2D]:
    """The entries of a legend for the intervals of `widths`."""
    return [entry("90 % interval", linewidth=WIDTHS["low90"]), entry("95 % interval", linewidth=WIDTHS["low"])]


def entry(label: str, **look: Any) -> Line2D:
    """An entry of a legend that no single mark stands for: a colour, a dash or a marker on its own."""
    return Line2D([], [], label=label, **{"color": style.QUIET} | look)


def points(axes: Axes, frame: pd.DataFrame, across: str, *, scale: float = 1.0,
           bounds: tuple[float, float] = (-math.inf, math.inf), **look: Any) -> None:  # fmt: skip
    """Means as markers that a line joins, with their intervals, cut at the bounds, as vertical lines in its colour.

    Parameters
    ----------
    axes : Axes
    frame : DataFrame
        With mean, low and high, ordered by the column `across`.
    across : str
        What lies on the horizontal axis.
    scale : float
        What the numbers are multiplied by, after the cut.
    bounds : tuple of float
    **look
        Of Axes.plot: label, color, linestyle, marker.
    """
    drawn: dict[str, Any] = {"marker": "o", "markersize": 4, "linewidth": 1.2} | look
    (line,) = axes.plot(frame[across], frame["mean"] * scale, **drawn)
    low, high = (frame[name].clip(*bounds) * scale for name in ("low", "high"))
    axes.vlines(frame[across], low, high, color=line.get_color(), linewidth=1.2, gid=LINES)


def aside(axes: Axes, at: float, text: str, colour: str = style.QUIET, place: float = 1.01) -> None:
    """Words at a row, by default at the right of its panel: `place` is a share of the panel's width."""
    axes.text(place, at, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9, linespacing=1.1,
              color=colour)  # fmt: skip


def heads(axes: Axes, rows: Collection[int]) -> None:
    """Bold names of the rows that head others, all other names as they are."""
    for at, label in enumerate(axes.get_yticklabels()):
        label.set_fontweight("bold" if at in rows else "normal")


def shade(panels: Iterable[Axes], count: int, blocks: Sequence[tuple[int, int]] | None = None) -> None:
    """Bands behind every second of `count` rows from the top, and no grid across them.

    blocks: (first, last) row of each block that is shaded as one, instead of single rows.
    """
    for axes in panels:
        axes.set_ylim(count - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        for first, last in ([(at, at) for at in range(count)] if blocks is None else blocks)[1::2]:
            axes.axhspan(first - 0.5, last + 0.5, color=style.BAND, linewidth=0, zorder=0)


def legend(fig: Figure, panels: Iterable[Axes], ncols: int = 3, extra: Iterable[Artist] = ()) -> None:
    """The legend above a figure: each labelled mark of its panels once, as they were drawn, then the `extra` ones, and
    what the figure's intervals are; in one line where it fits, else in so many columns.

    Of more than ENTRIES whose colours are steps of a scale NAMED are named, evenly spread, and how many there are.
    """
    found: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    drawn = {collection.get_gid() for axes in fig.axes for collection in axes.collections}
    found |= {str(handle.get_label()): handle for handle in extra}
    steps = [name for name, handle in found.items() if _is_step(handle)]
    if len(steps) > ENTRIES:
        named = {steps[at]: found[steps[at]] for at in thinned(len(steps), NAMED)}
        others = {name: handle for name, handle in found.items() if name not in steps}
        found = named | {f"{NAMED} of {len(steps)}": entry("", linestyle="")} | others
    if BANDS in drawn:
        found.setdefault(INTERVAL, Patch(facecolor=style.QUIET, alpha=0.25, label=INTERVAL))
    if LINES in drawn:
        found.setdefault(INTERVAL, entry(INTERVAL, linewidth=1.4))
    if found:
        ncols = len(found) if sum(map(_width, found)) < fig.get_figwidth() else ncols
        fig.legend(list(found.values()), list(found), ncols=ncols, **ABOVE)


def _is_step(handle: Artist) -> bool:
    """Whether a line has a colour of a scale (`style.colours`), and none that stands for itself."""
    colour = handle.get_color() if isinstance(handle, Line2D) else style.INK
    return to_hex(colour).upper() not in {to_hex(own).upper() for own in (style.INK, style.QUIET, *style.PALETTE)}


def thinned(count: int, most: int) -> list[int]:
    """Of so many places in a row at most `most`, evenly spread, the first and the last among them."""
    steps = min(count, most) - 1
    return [round(at * (count - 1) / steps) for at in range(steps + 1)] if steps > 0 else list(range(count))


def _width(label: str) -> float:
    """About how many inches an entry of the legend takes."""
    return 0.072 * len(label) + 0.55
