"""Curves of training with bands: small multiples, one column a level, accuracy above loss."""

import math
from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.exhibits.runs.training import MEASURES, SPLITS, crosses, unfinished
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural, shares, whole
from weight_atlas.stats import summarise

COLOURS = {"train": style.PALETTE[1], "valid": style.QUIET, "test": style.PALETTE[0]}
BOUNDS = {"accuracy": (0, 1), "loss": (0, math.inf)}
ACROSS = 4  # columns of small multiples
LOSS = 5.0  # a loss above is off the scale


def means(found: Tables, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Means over the finished replicates that reached an epoch: *by (columns of cells), quantity, epoch, n, mean .."""
    runs = found.done("metrics")
    extra = [name for name in by if name != "cell_id"]
    runs = runs.drop(columns=[name for name in extra if name in runs])
    runs = runs.merge(found.cells[["cell_id", *extra]], on="cell_id")
    long = runs.melt([*by, "seed", "epoch", "stage"], columns, "quantity", "value").dropna(subset="value")
    if long.empty:
        raise NothingToShow("no epoch of any of its runs is recorded.")
    return summarise(long, [*by, "quantity", "epoch"], "value")


def course(
    found: Tables,
    axis: str,
    names: Sequence[str],
    *,
    name: str,
    title: str,
    told: str,
    after: Callable[[str, Sequence[Axes]], None] | None = None,
    tab: str = "",
) -> list[Exhibit]:
    """Accuracy and loss by epoch of the levels `names` of an axis, a column of two panels per level.

    Parameters
    ----------
    found : Tables
    axis : str
        A column of cells.
    names : sequence of str
        The levels to draw.
    name, title : str
        Of the exhibit.
    told : str
        What the caption begins with.
    after : callable, optional
        Called with a level and its two panels, to add marks.
    tab : str
    """
    data = means(found.part(), ["cell_id", axis], [f"{split}_{measure}" for measure in MEASURES for split in SPLITS])
    names = [level for level in names if level in set(data[axis])]
    data = data[data[axis].isin(names)]
    if not names:
        raise NothingToShow("none of its runs has recorded an epoch.")
    fig, columns = _columns(names)
    ended = unfinished(found, found.read("metrics").dropna(subset="test_accuracy"))
    for level, column in columns.items():
        cells = found.cells.loc[found.cells[axis] == level, "cell_id"]
        for axes, key in zip(column, MEASURES, strict=True):
            _panel(axes, data[data[axis] == level], key)
            crosses(axes, ended[ended["cell_id"].isin(cells)], key)
            axes.set_ylim(_limits(data, key))
        if after:
            after(level, column)
    interval = Patch(facecolor=style.QUIET, alpha=0.25, label="95 % interval")
    marks.legend(fig, [axes for column in columns.values() for axes in column], ncols=5, extra=[interval])
    caption = (
        f"{told} Lines are means over the finished replicates that reached the epoch (n = {whole(data['n'])}), bands "
        "their 95 % Student t interval, cut at 0 and 100 %; train is dashed, valid dotted, test solid. Epoch 0 is "
        f"before the first step; a training value is the mean during its epoch. {shortfall(found)}"
    )
    return [Exhibit(name, title, caption, _alt(data, axis), data.drop(columns="cell_id"), fig, tab=tab)]


def _columns(names: Sequence[str]) -> tuple[Figure, dict[str, list[Axes]]]:
    """A figure with a column of two panels per level: labels at the left and the bottom, empty places stay empty."""
    across = min(len(names), ACROSS)
    strips = math.ceil(len(names) / across)
    fig = style.figure(strips * (2 * 1.75 + 0.35) + 0.75)
    grid = fig.subplots(2 * strips, across, squeeze=False, sharex=True)
    found = {}
    for at, level in enumerate(names):
        found[level] = column = list(grid[2 * (at // across) :, at % across])[:2]
        left, lowest = at % across == 0, at + across >= len(names)
        for axes, measure in zip(column, MEASURES.values(), strict=True):
            axes.set_ylabel(measure.label if left else "")
            axes.tick_params(labelleft=left, labelbottom=lowest and axes is column[1])
        column[0].set_title(level)
        column[1].set_xlabel("epoch" if lowest else "")
    for axes in grid[-2:, len(names) - (strips - 1) * across :].flat:
        axes.set_visible(False)
    return fig, found


def _panel(axes: Axes, data: pd.DataFrame, key: str) -> None:
    """A measure of one level: the mean of each split with its band."""
    for split, line in SPLITS.items():
        own = data[data["quantity"] == f"{split}_{key}"]
        marks.band(axes, own, "epoch", scale=MEASURES[key].scale, shade=split != "valid", bounds=BOUNDS[key],
                   color=COLOURS[split], linestyle=line, label=split)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.margins(x=0.03)


def _limits(data: pd.DataFrame, key: str) -> tuple[float, float]:
    """One scale of accuracy (%) and one of loss for all panels, by the means."""
    own = data.loc[data["quantity"].str.endswith(key), "mean"]
    if key == "accuracy":
        return max(0, 100 * own.min() - 5), min(102, 100 * own.max() + 5)
    return 0, min(own.max() * 1.08, LOSS)


def _alt(data: pd.DataFrame, axis: str) -> str:
    """The figure in words: what test accuracy ends at."""
    test = data[data["quantity"] == "test_accuracy"]
    ends = test.loc[test["epoch"] == test.groupby("cell_id")["epoch"].transform("max")]
    return (
        f"Line charts of {plural(ends[axis].nunique(), 'cell')}: {', '.join(dict.fromkeys(ends[axis]))}. Mean test "
        f"accuracy at the last epoch is {shares(ends['mean'])}."
    )
