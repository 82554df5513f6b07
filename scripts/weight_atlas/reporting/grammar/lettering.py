"""The letters of a figure: each text as it was written, in fonts that have its letters, and short enough to fit.

Names of classes, data sets and cells are the user's and may hold anything. No figure escapes them for itself: `settle`
goes through all texts of a finished figure, just before it is saved.
"""

import functools
import unicodedata
from collections.abc import Iterator, Sequence

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, Formatter, FuncFormatter

from weight_atlas.text import escape, literal

FONT = "DejaVu Sans"  # comes with matplotlib
# Fonts for letters that it lacks, as systems have them.
FALLBACKS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR"),
    *("WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic"),
    *("Malgun Gothic", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Thai", "Nirmala UI", "Leelawadee UI"),
    *("Arial Unicode MS", "Noto Emoji", "Segoe UI Symbol"),
)
MOST = 44  # letters of a name at an axis or in a legend: a third of the figure's width
LINE = 110  # letters of a title across the whole figure
ELLIPSIS = "…"


@functools.cache
def families() -> list[str]:
    """The fonts of all figures, best first: the house's, and those fallbacks that this machine has."""
    there = set(font_manager.get_font_names())
    return [FONT, *(name for name in FALLBACKS if name in there)]


@functools.cache
def _letters(weight: str | int) -> frozenset[int]:
    """The code points that the fonts have in this weight."""
    paths = [font_manager.findfont(FontProperties(family=name, weight=weight)) for name in families()]
    return frozenset(code for path in paths for code in font_manager.get_font(path).get_charmap())


def shown(text: str, most: int, weight: str | int = "normal") -> str:
    """`text` as a figure shows it: what no font has and what would not show as an escape (``\\u732b``), and at most
    `most` letters a line, with an ellipsis in the middle of a longer one, since names often differ at their end."""
    known = _letters(weight)
    marks = [[mark if ord(mark) in known else escape(mark) for mark in literal(line)] for line in text.split("\n")]
    return "\n".join("".join(_short(line, most)) for line in marks)


def _short(marks: Sequence[str], most: int) -> list[str]:
    """The marks, without those in the middle where all together are wider than `most` letters."""
    widths = [_width(mark) for mark in marks]
    if sum(widths) <= most:
        return list(marks)
    head, tail = _fitting(widths, most - most // 3 - 1), _fitting(widths[::-1], most // 3)
    return [*marks[:head], ELLIPSIS, *marks[len(marks) - tail :]]


def _fitting(widths: Sequence[int], most: int) -> int:
    """How many of the first marks fit into `most` letters."""
    ends = [sum(widths[: count + 1]) for count in range(min(len(widths), most))]
    return sum(end <= most for end in ends)


def _width(mark: str) -> int:
    """Letters that a mark (or its escape) takes: two for an ideograph."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in mark)


class _Shown(Formatter):
    """The tick labels of another formatter as figures show them."""

    def __init__(self, inner: Formatter, most: int):
        self.inner, self.most = inner, most

    def __call__(self, x: float, pos: int | None = None) -> str:
        return shown(self.inner(x, pos), self.most)

    def set_locs(self, locs: list[float]) -> None:
        self.inner.set_locs(locs)


def settle(figure: Figure) -> None:
    """Make all texts of a figure literal, readable and short: see `shown`. To be called just before it is saved."""
    places = {title: room for axes in figure.findobj(Axes) for title, room in _titles(axes)}
    places |= {name: MOST for legend in figure.findobj(Legend) for name in legend.get_texts()}
    for text in figure.findobj(Text):
        text.set_text(shown(text.get_text(), places.get(text, LINE), text.get_fontweight()))
    for axes in figure.axes:
        _settle_ticks(axes.xaxis)
        _settle_ticks(axes.yaxis)


def _titles(axes: Axes) -> Iterator[tuple[Text, int]]:
    """The titles of a panel, each with the number of letters that it has room for: a panel's share of a row."""
    slot = axes.get_subplotspec()
    share = len(slot.colspan) / slot.get_gridspec().ncols if slot else 1
    for title in axes.get_children():
        if isinstance(title, Text) and title not in axes.texts:
            yield title, max(MOST // 2, round(LINE * share))


def _settle_ticks(axis: Axis) -> None:
    """Named ticks only: numbers come from formatters of another kind."""
    formatter = axis.get_major_formatter()
    if isinstance(formatter, FixedFormatter | FuncFormatter):
        axis.set_major_formatter(_Shown(formatter, MOST))
