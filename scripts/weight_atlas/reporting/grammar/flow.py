"""A flow diagram: boxes from the top to the bottom, what each leaves beside it, and ways that pass boxes by.

A figure of 3.85 inches is 370 pixels: a phone that has 336 for it shows it whole, with letters of 11 pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from weight_atlas.reporting.grammar import style

WIDTH = 3.85  # inches
ROW = 0.27  # inches a box and the gap below it
HIGH = 0.74  # of a row is its box
LETTERS = 9
# Columns, in shares of the width: the boxes, what they leave (right-aligned), their size (right-aligned).
LEFT, RIGHT, LEAVES, SIZE = 0.055, 0.528, 0.783, 1.0
LANE = 0.02
ASIDE = 0.16  # of a row: how far below its middle a way leaves a box, and above it reaches one


@dataclass(frozen=True)
class Box:
    """A box of the diagram.

    Attributes
    ----------
    text : str
        What stands in it.
    leaves, size : str
        What stands beside it.
    tint : str
        Its colour, light enough for black letters.
    sources : tuple of int
        The places of the boxes that feed it; from the one above it a short arrow leads to it, from others a way that
        passes the boxes between.
    """

    text: str
    leaves: str
    size: str
    tint: str
    sources: tuple[int, ...]


def flow(boxes: Sequence[Box], leaves: str, size: str) -> Figure:
    """The diagram of some boxes, the first on top.

    Parameters
    ----------
    boxes : sequence of Box
    leaves, size : str
        The headings of the two columns.
    """
    fig = style.figure(ROW * (len(boxes) + 1) + 0.1, WIDTH)
    fig.set_layout_engine("none")  # all places are given
    axes = fig.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(-0.01, 1.01), ylim=(len(boxes) - 0.4, -1.1))
    for place, words in ((LEAVES, leaves), (SIZE, size)):
        axes.text(place, -0.75, words, ha="right", va="center", fontsize=LETTERS, color=style.QUIET)
    passing = [(source, at) for at, box in enumerate(boxes) for source in box.sources if source != at - 1]
    for (source, at), lane in zip(passing, lanes(passing), strict=True):
        _pass(axes, source, at, LEFT - LANE * (lane + 1))
    for at, box in enumerate(boxes):
        _box(axes, at, box)
    return fig


def lanes(ways: Sequence[tuple[int, int]]) -> list[int]:
    """The lane of each way (from, to), from 0: two ways that are side by side anywhere have different ones."""
    chosen: list[int] = []
    for at, (begin, end) in enumerate(ways):
        taken = {chosen[other] for other in range(at) if ways[other][0] < end and begin < ways[other][1]}
        chosen.append(next(lane for lane in range(len(ways)) if lane not in taken))
    return chosen


def _box(axes: Axes, at: int, box: Box) -> None:
    """A box with what stands beside it, and the arrow from the one above."""
    axes.add_patch(
        Rectangle((LEFT, at - HIGH / 2), RIGHT - LEFT, HIGH, facecolor=box.tint, edgecolor=style.INK, linewidth=0.6)
    )
    axes.text((LEFT + RIGHT) / 2, at, box.text, ha="center", va="center", fontsize=LETTERS, color=style.INK)
    axes.text(LEAVES, at, box.leaves, ha="right", va="center", fontsize=LETTERS, color=style.INK)
    axes.text(SIZE, at, box.size, ha="right", va="center", fontsize=LETTERS, color=style.INK)
    if at - 1 in box.sources:
        middle = (LEFT + RIGHT) / 2
        axes.plot([middle, middle], [at - 1 + HIGH / 2, at - HIGH / 2], color=style.INK, linewidth=1, zorder=0)


def _pass(axes: Axes, source: int, at: int, x: float) -> None:
    """The way from a box to another one, beside those between."""
    begin, end = source + ASIDE, at - ASIDE
    axes.plot([LEFT, x, x], [begin, begin, end], color=style.PALETTE[1], linewidth=1.3)
    arrow = FancyArrowPatch((x, end), (LEFT, end), arrowstyle="-|>", mutation_scale=7, color=style.PALETTE[1],
                            linewidth=1.3, shrinkA=0, shrinkB=0)  # fmt: skip
    axes.add_patch(arrow)
