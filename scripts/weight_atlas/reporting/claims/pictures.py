"""The small figure of a claim: each number with its interval, beside the line that it is judged against."""

import math
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.lettering import shown
from weight_atlas.reporting.grammar.words import plural, slug

Json = dict[str, Any]
Ends = tuple[float, float]

WIDTH = 3.6  # inches: the figure fits on a phone and, three in a row, on a page
LINE = 0.175  # inches of a line of text
LETTERS = 48  # of a line
ROWS = 3  # of a figure
# Whether a number is as claimed: its colour and marker; None: it can be either.
LOOKS = {True: (style.PALETTE[2], "o"), False: (style.PALETTE[1], "D"), None: (style.QUIET, "s")}
SAYS = {True: "as claimed", False: "not as claimed", None: "either way"}
CLAIMED, EDGE = "#BBD7EA", "#E3EEF6"  # where the claim is right, and where the margin makes it so


class Row(NamedTuple):
    """A number as it is drawn, in the units of its axis; its ends are cut where the number cannot be.

    core: where it is as claimed whatever the margin; outer: where it is, margin and all; an open end is infinite.
    """

    number: Json
    mean: float
    low: float
    high: float
    core: Ends
    outer: Ends


def picture(claim: Mapping[str, Any]) -> Exhibit | None:
    """The figure of a judged claim (as claims.json holds it); None where none of its numbers has an interval."""
    rows = [row(number) for number in chosen(claim["numbers"])]
    if not rows:
        return None
    data = pd.DataFrame([one._asdict() for one in rows])
    return Exhibit(slug("claim", claim["id"]), claim["says"], "", _alt(rows), data, _figure(rows))


def chosen(numbers: Iterable[Json]) -> list[Json]:
    """The numbers that are drawn, in their order: the clearest, and the next ones of its unit."""
    known = [number for number in numbers if number["low"] is not None and "asked" in number]
    ranked = sorted(known, key=lambda number: -(number["clear"] or 0))
    own = [number for number in ranked if number["unit"] == ranked[0]["unit"]][:ROWS]
    return [number for number in known if number in own]


def row(number: Json) -> Row:
    """A number of claims.json as it is drawn."""
    unit = number["unit"]
    (bottom, top), asked = (_open(ends) for ends in (unit["bounds"], (number["low_asked"], number["high_asked"])))
    wider = -1 if all(map(math.isfinite, asked)) else 1  # two bounds are wider by the margin; one is further away
    moved = [_moved(end, sign * wider * number["margin"], unit) for end, sign in zip(asked, (1, -1), strict=True)]
    core = (max(asked[0], moved[0]), min(asked[1], moved[1]))
    outer = (min(asked[0], moved[0]), max(asked[1], moved[1]))
    cut = (min(max(number[name], bottom), top) for name in ("mean", "low", "high"))
    scale = unit["scale"]
    mean, low, high = (value * scale for value in cut)
    return Row(number, mean, low, high, (core[0] * scale, core[1] * scale), (outer[0] * scale, outer[1] * scale))


def _open(ends: Sequence[float | None]) -> Ends:
    """The two ends of a stretch, of which JSON has an infinite one as null."""
    low, high = ends
    return -math.inf if low is None else low, math.inf if high is None else high


def _moved(end: float, by: float, unit: Json) -> float:
    """A bound moved by a margin; that of a ratio is a factor."""
    return end * (1 + abs(by)) ** math.copysign(1, by) if unit["is_ratio"] else end + by


def _alt(rows: Sequence[Row]) -> str:
    numbers = (
        f"{one.number['words']} {one.number['value']} (claimed: {one.number['asked']}; {SAYS[one.number['holds']]})"
        for one in rows
    )
    return f"Dot plot of {plural(len(rows), 'number')}: {'; '.join(numbers)}."


def _figure(rows: Sequence[Row]) -> Figure:
    """From the top, for each row: its name, its value, its dot, and, once for rows that share it, what is claimed."""
    places, tall = [], 0.0
    for at, one in enumerate(rows):
        last = at + 1 == len(rows) or rows[at + 1].number["asked"] != one.number["asked"]
        names = wrap(one.number["words"], LETTERS)
        places.append((one, names, tall, last))
        tall += len(names) + (3.6 if last else 2.6)
    fig = style.figure(LINE * tall + 0.45, WIDTH)
    axes, unit = fig.subplots(), rows[0].number["unit"]
    if unit["is_ratio"]:
        axes.set_xscale("log")
    ends = limits(rows)
    axes.set_xlim(ends)
    axes.set_ylim(tall, -0.2)
    for one, names, top, last in places:
        _draw(axes, one, names, top, ends, last)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    if unit["is_ratio"]:
        style.log_axis(axes.xaxis, 4)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}".replace("-", "−")))
    axes.set_xlabel(unit["words"].strip())
    return fig


def limits(rows: Sequence[Row]) -> Ends:
    """The axis: all means, intervals and finite bounds, with some room."""
    ends = [end for one in rows for end in (one.mean, one.low, one.high, *one.core, *one.outer) if math.isfinite(end)]
    low, high = min(ends), max(ends)
    if rows[0].number["unit"]["is_ratio"]:
        room = (high / low) ** 0.12 or 1.1
        return low / room, high * room
    room = 0.12 * (high - low) or 1.0
    return low - room, high + room


def _draw(axes: Axes, one: Row, names: Sequence[str], top: float, ends: Ends, last: bool) -> None:
    """A row from the height `top`; names: the lines of its name; last: of those that share what is claimed."""
    number, at = one.number, top + len(names) + 1.8
    for (low, high), colour in ((one.outer, EDGE), (one.core, CLAIMED)):
        stretch = [max(low, ends[0]), min(high, ends[1])]
        axes.fill_between(stretch, at - 0.6, at + 0.6, color=colour, linewidth=0, zorder=0)
    for end in (number["low_asked"], number["high_asked"]):
        if end is not None:
            axes.plot(
                [end * number["unit"]["scale"]] * 2, [at - 0.75, at + 0.75], color=style.PALETTE[0], linewidth=1.2
            )
    colour, marker = LOOKS[number["holds"]]
    marks.dot(axes, at, one._asdict(), "", marker, colour)
    lines = [*((at - 1.3 - len(names) + down, name, style.INK) for down, name in enumerate(names))]
    lines += [(at - 1.3, number["value"], style.QUIET)]
    lines += [(at + 1.2, f"claimed: {number['asked']}", style.PALETTE[0])] if last else []
    for down, text, ink in lines:
        axes.text(0, down, shown(text, LETTERS), transform=axes.get_yaxis_transform(), fontsize=9, va="center",
                  color=ink)  # fmt: skip
