"""Curves of training with bands: small multiples, one column a level, accuracy above loss."""

import math

from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.exhibits.runs.training import MEASURES, span, unfinished
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import plural
from weight_atlas.stats import summarise

# split -> (line, colour)
SPLITS = {
    "train": ("--", style.PALETTE[1]),
    "valid": (":", style.QUIET),
    "test": ("-", style.PALETTE[0]),
}
ACROSS = 4  # columns of small multiples
BAND = 0.16


def means(found, by, columns):
    """Means over the finished replicates that reached an epoch: *by (columns of cells), quantity, epoch, n, mean .."""
    runs = found.done("metrics")
    runs = runs.drop(columns=[name for name in by if name in runs and name != "cell_id"])
    extra = [name for name in by if name != "cell_id"]
    runs = runs.merge(found.cells[["cell_id", *extra]], on="cell_id")
    long = runs.melt([*by, "seed", "epoch", "stage"], columns, "quantity", "value").dropna(subset="value")
    if long.empty:
        raise NothingToShow("no epoch of any of its runs is recorded.")
    return summarise(long, [*by, "quantity", "epoch"], "value")


def course(found, axis, names, *, name, title, told, after=None, tab=""):
    """Accuracy and loss by epoch of the levels `names` of an axis; [Exhibit].

    told: what the caption begins with; after: function of (level, the column's axes) that adds marks.
    """
    columns = [f"{split}_{measure}" for measure in MEASURES for split in SPLITS]
    data = means(found.part(), ["cell_id", axis], columns)
    names = [level for level in names if level in set(data[axis])]
    data = data[data[axis].isin(names)]
    if not names:
        raise NothingToShow("none of its runs has recorded an epoch.")
    across = min(len(names), ACROSS)
    strips = math.ceil(len(names) / across)
    fig = style.figure(strips * (2 * 1.75 + 0.35) + 0.75)
    grid = fig.subplots(2 * strips, across, squeeze=False, sharex=True)
    ended = unfinished(found, found.read("metrics").dropna(subset="test_accuracy"))
    for at, level in enumerate(names):
        top, right = 2 * (at // across), at % across
        for down, measure in enumerate(MEASURES):
            axes = grid[top + down, right]
            scale = 100 if measure == "accuracy" else 1
            own = data[(data[axis] == level)]
            for split, (line, colour) in SPLITS.items():
                rows = own[own["quantity"] == f"{split}_{measure}"]
                band(axes, rows, colour, line, scale, ends=(0, 1) if measure == "accuracy" else (0, math.inf),
                     filled=split != "valid")  # fmt: skip
            cells = set(found.cells.loc[found.cells[axis] == level, "cell_id"])
            for row in ended[ended["cell_id"].isin(cells)].to_dict("records"):
                axes.plot(
                    row["epoch"], row[f"test_{measure}"] * scale, "X", color=style.WARNING, markersize=6, zorder=4
                )
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.margins(x=0.03)
        grid[top, right].set_title(level)
    share(grid, strips, across, data, len(names))
    if after:
        for at, level in enumerate(names):
            after(level, [grid[2 * (at // across) + down, at % across] for down in (0, 1)])
    handles = [Line2D([], [], color=colour, linestyle=line, label=split) for split, (line, colour) in SPLITS.items()]
    handles.append(Patch(facecolor=style.QUIET, alpha=BAND + 0.1, label="95 % interval"))
    if len(ended):
        handles.append(Line2D([], [], color=style.WARNING, marker="X", linestyle="", label="diverged or failed here"))
    fig.legend(handles=handles, ncols=5, **ABOVE)
    counts = sorted(set(data["n"]))
    caption = (
        f"{told} Lines are means over the finished replicates that reached the epoch (n = "
        f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))}), bands their 95 % Student t interval, cut "
        "at 0 and 100 %; train is dashed, valid dotted, test solid. Epoch 0 is before the first step; a training "
        f"value is the mean during its epoch. {shortfall(found)}"
    )
    return [Exhibit(name, title, caption.strip(), alt(data, axis), data.drop(columns="cell_id"), fig, tab=tab)]


def band(axes, rows, colour, line="-", scale=1.0, ends=(0, 1), filled=True, label=None, width=1.6):
    """A mean by epoch with its interval, cut at `ends`."""
    rows = rows.sort_values("epoch")
    axes.plot(rows["epoch"], rows["mean"] * scale, color=colour, linestyle=line, linewidth=width, label=label)
    if filled:
        low, high = (rows[name].clip(*ends) * scale for name in ("low", "high"))
        axes.fill_between(rows["epoch"], low, high, color=colour, alpha=BAND, linewidth=0)


def share(grid, strips, across, data, count):
    """One accuracy scale and one loss scale for all panels, that of the means; labels at the left and the bottom; empty
    places stay empty."""
    tops = {}
    for measure in MEASURES:
        rows = data[data["quantity"].str.endswith(measure)]
        tops[measure] = float(rows["mean"].max())
    least = float(data.loc[data["quantity"].str.endswith("accuracy"), "mean"].min())
    for strip in range(strips):
        for down, measure in enumerate(MEASURES):
            for right in range(across):
                axes = grid[2 * strip + down, right]
                if strip * across + right >= count:
                    axes.set_visible(False)
                    continue
                if measure == "accuracy":
                    axes.set_ylim(max(0, 100 * least - 5), min(102, 100 * tops[measure] + 5))
                else:
                    axes.set_ylim(0, min(tops[measure] * 1.08, LOSS))
                axes.tick_params(labelleft=right == 0, labelbottom=lowest(strip, right, down, strips, across, count))
                if right == 0:
                    axes.set_ylabel(MEASURES[measure])
                if lowest(strip, right, down, strips, across, count):
                    axes.set_xlabel("epoch")


LOSS = 5.0  # a loss above is off the scale


def lowest(strip, right, down, strips, across, count):
    """Whether no panel stands below this one."""
    return down == 1 and (strip == strips - 1 or (strip + 1) * across + right >= count)


def alt(data, axis):
    """The picture in words: what test accuracy ends at."""
    test = data[data["quantity"] == "test_accuracy"]
    ends = test.loc[test["epoch"] == test.groupby("cell_id")["epoch"].transform("max")]
    return (
        f"Line charts of {plural(ends[axis].nunique(), 'cell')}: {', '.join(dict.fromkeys(ends[axis]))}. Mean test "
        f"accuracy at the last epoch is {span(ends['mean'])}."
    )
