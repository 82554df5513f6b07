"""The course of replicates so far, for the page of a run: which are shown, what their metrics say, and their charts."""

import contextlib
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median_low
from typing import NamedTuple

from weight_atlas import schema, store
from weight_atlas.plan.progress import Progress
from weight_atlas.plan.study import block_path
from weight_atlas.text import literal

MOST = 40  # curves on a page
WIDTH, HEIGHT = 250, 160  # of a chart, in its own units
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 8, 34  # around its lines
FAR = 1000  # heights of a chart up to which a curve is followed: browsers draw no numbers without end
OUTLYING = 3  # a curve that goes so many times higher than half of them do leaves the scale to the others


class Point(NamedTuple):
    """An epoch of a replicate: the share of validation images that are classified right, and their mean loss."""

    epoch: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Curve:
    """What a replicate has recorded so far. state: one of `progress.STATES`; epochs: those that it is to be trained."""

    cell_id: str
    seed: int
    state: str
    epochs: int
    points: tuple[Point, ...]

    @property
    def last(self) -> Point:
        """Its last epoch so far."""
        return self.points[-1]


class Shown(NamedTuple):
    """Curves to show, and how many replicates that have begun are left out."""

    curves: list[Curve]
    left_out: int


def read(progress: Progress, most: int = MOST) -> Shown:
    """The curves of at most so many replicates: those that run, then those that failed or diverged, then those that are
    done, the last that began first. Given checkpoints have none, nor has what ended before its first evaluation."""
    asked = progress.plan.replicates
    ended = [
        (record["status"] == "done", record.get("started") or "", cell_id, seed)
        for (cell_id, seed), record in progress.finished.items()
        if seed < asked[cell_id] and progress.plan.cells[cell_id].kind != "given"
    ]
    ended.sort(reverse=True)
    ended.sort(key=lambda one: one[0])  # stable
    order = [(one.cell_id, one.seed) for one in progress.running] + [(cell_id, seed) for *_, cell_id, seed in ended]
    curves: list[Curve] = []
    for tried, (cell_id, seed) in enumerate(order):
        if len(curves) == most:
            return Shown(curves, len(order) - tried)
        if points := _points(progress, cell_id, seed):
            epochs = max(progress.plan.cells[cell_id].settings.epochs, points[-1].epoch)
            curves.append(Curve(cell_id, seed, progress.state(cell_id, seed), epochs, points))
    return Shown(curves, 0)


def _points(progress: Progress, cell_id: str, seed: int) -> tuple[Point, ...]:
    """The epochs that a replicate has recorded, as far as their numbers are finite; none where it has no metrics."""
    block = next(block for block in progress.plan.blocks[cell_id] if block[0] <= seed <= block[1])
    directory = progress.plan.path(block_path(cell_id, block))
    for where in (directory, store.scratch_path(directory)):
        with contextlib.suppress(OSError, ValueError):  # not there, or just being moved
            rows = schema.dicts(store.metrics_path(where, seed), ("epoch", "valid_accuracy", "valid_loss"))
            return tuple(itertools.takewhile(lambda point: all(map(math.isfinite, point)), map(_point, rows)))
    return ()


def _point(row: dict[str, str]) -> Point:
    accuracy, loss = (float(row[name] or "nan") for name in ("valid_accuracy", "valid_loss"))
    return Point(int(row["epoch"]), accuracy, loss)


# -------------------------------------------------------------------------------------------------- their charts


def percent(share: float) -> str:
    """A share for a reader: 91.9 %."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def nats(loss: float) -> str:
    """A loss for a reader: three significant digits."""
    return f"{loss:.3g}"


def chart(curves: Sequence[Curve], labels: dict[str, str], of_loss: bool = False) -> str:
    """Validation accuracy, or loss, by epoch as SVG; each curve says on hover whose it is.

    Accuracies go from 0 to 100 %, losses to the highest that is not outlying: what goes beyond is cut off.
    """
    lines = [[(point.epoch, point.loss if of_loss else point.accuracy) for point in curve.points] for curve in curves]
    top, spoken = (loss_top(lines), nats) if of_loss else (1.0, percent)
    epochs = max(1, *(curve.epochs for curve in curves))
    ends = [line[-1][1] for line in lines]
    low, high = spoken(min(ends)), spoken(max(ends))
    title = "Validation loss, nats" if of_loss else "Validation accuracy"
    count = f"{len(curves)} curve{'s' * (len(curves) > 1)}"
    name = f"{title} by epoch: {count}, now at {low if low == high else f'{low} to {high}'}"
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    drawn = [
        f'<path class="curve {curve.state}" d="{_path(line, epochs, top, width, height)}">'
        f"<title>{_said(curve, line, labels[curve.cell_id], spoken)}</title></path>"
        # What still runs is drawn last, above the others.
        for curve, line in sorted(zip(curves, lines, strict=True), key=lambda one: one[0].state == "running")
    ]
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">',
            *_scale(epochs, top, spoken, width, height),
            # What lies outside of an inner SVG is not drawn.
            f'<svg x="{LEFT}" y="{TOP}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            *drawn,
            "</svg>",
            "</svg>",
        ]
    )


def loss_top(lines: Sequence[Sequence[tuple[int, float]]]) -> float:
    """The upper end of a scale of losses: above the highest of the curves, without those that go far higher than most;
    an even number of tenths of its power of ten, so that its half is short too."""
    peaks = [max(value for _, value in line) for line in lines]
    most = OUTLYING * median_low(peaks)
    peak = max((peak for peak in peaks if peak <= most), default=0.0) or 1.0
    step = 2 * 10.0 ** (math.floor(math.log10(peak)) - 1)
    return math.ceil(peak / step) * step


def _path(line: Sequence[tuple[int, float]], epochs: int, top: float, width: int, height: int) -> str:
    """A curve's points; one alone is a dot, since a line that goes nowhere has round ends."""
    shares = [(epoch / epochs, min(value / top, FAR)) for epoch, value in line]
    places = [f"{x * width:.1f},{height * (1 - y):.1f}" for x, y in shares]
    return f"M{places[0]}L{' '.join(places)}"


def _said(curve: Curve, line: Sequence[tuple[int, float]], label: str, spoken: Callable[[float], str]) -> str:
    epoch, value = line[-1]
    return escape(f"{literal(label)}, seed {curve.seed}, {curve.state}: {spoken(value)} after epoch {epoch}")


def _scale(epochs: int, top: float, spoken: Callable[[float], str], width: int, height: int) -> list[str]:
    """The lines and numbers of both axes."""
    marks = []
    for share in (0.0, 0.5, 1.0):
        y = TOP + height * (1 - share)
        marks.append(f'<line x1="{LEFT}" x2="{LEFT + width}" y1="{y:g}" y2="{y:g}"/>')
        value = spoken(float(f"{top * share:.2g}"))
        marks.append(f'<text x="{LEFT - 5}" y="{y + 4:g}" text-anchor="end">{value}</text>')
    foot = TOP + height + 14
    for epoch in sorted({0, epochs // 2, epochs}) if epochs % 2 == 0 else (0, epochs):
        x = LEFT + width * epoch / epochs
        anchor = "end" if epoch == epochs else "middle"
        marks.append(f'<text x="{x:g}" y="{foot}" text-anchor="{anchor}">{epoch}</text>')
    return [*marks, f'<text x="{LEFT + width / 2:g}" y="{foot + 14}" text-anchor="middle">epoch</text>']
