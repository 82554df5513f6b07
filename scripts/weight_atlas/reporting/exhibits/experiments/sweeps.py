"""Exhibits on a sweep over one setting: accuracy by level, with the runs that diverged, and by epoch; and its table."""

import matplotlib
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.grid import chance
from weight_atlas.reporting.exhibits.runs import course
from weight_atlas.reporting.exhibits.runs.runs import HEADINGS, PROTOCOLS, intervals, mean_text, of_asked, shortfall
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.dots import ABOVE, fate, tally, whole
from weight_atlas.reporting.grammar.exhibit import Exhibit, NothingToShow

# axis -> (experiment, words, title)
SWEEPS = {
    "rate": ("rates", "learning rate", "The sweep of learning rates"),
    "momentum": ("momentum", "momentum", "The sweep of momentum"),
}


def rates(tables):
    """The sweep of learning rates and its table; list[Exhibit]."""
    return sweep(tables, "rate")


def momentum(tables):
    """The sweep of momentum and its table; list[Exhibit]."""
    return sweep(tables, "momentum")


def sweep(tables, axis):
    """Accuracy by level (three protocols) and test accuracy by epoch; then the levels in numbers: list[Exhibit]."""
    experiment, words, title = SWEEPS[axis]
    found = grid.part(tables, experiment, axis)
    levels = grid.levels(found, axis)
    data = protocols(found, axis)
    fig = style.figure(3.5)
    left, right = fig.subplots(1, 2, width_ratios=(1.15, 1))
    accuracy_by_level(left, found, axis, levels, data)
    left.set_xlabel(words)
    epochs = course.means(found, ["cell_id", axis], ["test_accuracy"])
    colours = dict(zip(levels, ramp(len(levels)), strict=True))
    by_epoch(right, found, axis, levels, epochs, colours)
    handles = [
        Line2D([], [], linestyle="", label=text, **look(marker, colour)) for text, marker, colour in PROTOCOLS.values()
    ]
    if any(found.status()["diverged"]):
        handles.append(Line2D([], [], color=style.WARNING, marker="X", linestyle="", label="diverged"))
    fig.legend(handles=handles, ncols=4, **ABOVE)
    caption = (
        f"{grid.told(title, found)}: test accuracy by level on the left, by three protocols; on the right the course "
        "of test accuracy by epoch, means with their 95 % band. Levels stand at equal distances. "
        f"{intervals('Lines', data)} A run whose loss is no longer finite has diverged: it ends at a cross, and no "
        f"mean counts it. {shortfall(found)}"
    )
    best = best_level(data)
    alt = f"Dot plot and line chart over {len(levels)} levels of the {words}. {best_words(best, words)}"
    shown = data.drop(columns="cell_id")
    made = [Exhibit(experiment, title, caption.strip(), alt, shown, fig)]
    return made + [table(found, axis, experiment, words, title)]


def protocols(found, axis):
    """Mean accuracy by level and protocol: cell_id, axis, protocol, n, of, mean, low, high."""
    rows = grid.reached(found)
    parts = [grid.means(found, name, [axis], rows).assign(protocol=name) for name in PROTOCOLS]
    return pd.concat(parts, ignore_index=True)


def accuracy_by_level(axes, found, axis, levels, data):
    """Dots with intervals, a cross at the bottom where a level has diverged runs."""
    for place, (name, (_, marker, colour)) in enumerate(PROTOCOLS.items()):
        own = data[(data["protocol"] == name) & (data["n"] > 0)]
        at = own[axis].map(levels.index) + 0.2 * (place - 1)
        axes.vlines(at, own["low"].clip(0, 1) * 100, own["high"].clip(0, 1) * 100, color=colour, linewidth=1.4)
        axes.plot(at, own["mean"] * 100, linestyle="", **look(marker, colour))
    bottom = max(0, axes.get_ylim()[0])
    bottom, top = bottom - 0.12 * (axes.get_ylim()[1] - bottom), axes.get_ylim()[1]
    status = found.status()
    for cell in found.cells.itertuples():
        of, at = status.loc[cell.cell_id], levels.index(getattr(cell, axis))
        if of["diverged"]:
            axes.plot(at, bottom + 0.05 * (top - bottom), "X", color=style.WARNING, markersize=7, zorder=4)
        if not whole(of):
            axes.text(at, bottom + 0.1 * (top - bottom), tally(of).replace(", ", "\n").replace("never ", "never\n"),
                      ha="center", va="bottom", fontsize=9, color=style.WARNING)  # fmt: skip
    axes.set_ylim(bottom, min(top, 101))
    axes.set_xlim(-0.6, len(levels) - 0.4)
    axes.set_xticks(range(len(levels)), levels)
    axes.grid(axis="x", visible=False)
    for at in range(1, len(levels), 2):
        axes.axvspan(at - 0.5, at + 0.5, color=style.BAND, linewidth=0, zorder=0)
    axes.set_ylabel("test accuracy (%)")


def by_epoch(axes, found, axis, levels, epochs, colours):
    """Test accuracy by epoch, a line a level with its name at the end where there is room."""
    for level in levels:
        own = epochs[epochs[axis] == level]
        course.band(axes, own, colours[level], scale=100, label=level)
    runs = found.read("metrics").dropna(subset="test_accuracy")
    names = found.cells.set_index("cell_id")[axis]
    for row in course.unfinished(found, runs).itertuples():
        own = runs[(runs["cell_id"] == row.cell_id) & (runs["seed"] == row.seed)]
        axes.plot(own["epoch"], own["test_accuracy"] * 100, color=colours[names[row.cell_id]], linewidth=0.8)
        axes.plot(row.epoch, row.test_accuracy * 100, "X", color=style.WARNING, markersize=5.5, zorder=4)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy (%)")
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2, borderaxespad=0.2)


def ramp(count):
    """`count` steps of the sequential map, dark to light, the palest left out."""
    return [
        matplotlib.colors.to_hex(matplotlib.colormaps[style.SEQUENTIAL](i / max(count, 2) * 0.98)) for i in range(count)
    ]


def look(marker, colour):
    """The marker of a protocol."""
    face = colour if marker != "s" else "white"
    return {"marker": marker, "color": colour, "markerfacecolor": face, "markersize": 5, "markeredgewidth": 1.2}


def best_level(data, protocol="best_valid"):
    """The row of the level with the highest mean, None where no run finished."""
    own = data[(data["protocol"] == protocol) & (data["n"] > 0)]
    return None if own.empty else own.loc[own["mean"].idxmax()]


def best_words(best, words):
    """Which level is best, in a sentence."""
    if best is None:
        return "No run finished."
    axis = best.index[1]
    return f"The best {words} is {best[axis]}, with a test accuracy of {grid.share(best)}."


def against_best(found, axis):
    """Each level against the best one (by mean test accuracy at the best validation epoch), paired by seed: a list of
    dicts with level, n, mean, low, high, p, q; the best level's own is left out."""
    rows = grid.reached(found)
    best = rows.groupby(axis, sort=False)["best_valid"].mean().idxmax()
    others = [level for level in grid.levels(found, axis) if level != best and (rows[axis] == level).any()]
    of = {level: rows[rows[axis] == level] for level in (best, *others)}
    made = [{"level": level, **grid.paired(of[best], of[level], "best_valid")} for level in others]
    return best, grid.corrected(made)


def table(found, axis, experiment, words, title):
    """The levels in numbers: accuracies by protocol, and the difference to the best level; Exhibit."""
    data = protocols(found, axis).set_index([axis, "protocol"])
    status = found.status()
    try:
        best, rows = against_best(found, axis)
    except NothingToShow:
        best, rows = None, []
    beside = {row["level"]: row for row in rows}
    ends = grid.reached(found)
    made = []
    for level in grid.levels(found, axis):
        cell = found.cells.loc[found.cells[axis] == level, "cell_id"].iloc[0]
        row = {words: level, "done": of_asked(status.loc[cell])}
        for protocol, heading in HEADINGS.items():
            mean = data.loc[(level, protocol)]
            row[heading] = mean_text(mean, 100, 1) if mean["n"] else "none"
        train = grid.interval(ends.loc[ends[axis] == level, "train_accuracy"])
        row["train"] = mean_text(train, 100, 1) if train["n"] else "none"
        other = beside.get(level)
        row["to the best"] = "best" if level == best else mean_text(other, 100, 1) if other else ""
        row["q"] = chance(other["q"]) if other else ""
        made.append(row)
    frame = pd.DataFrame(made)
    total = status.sum()
    columns = [name for name in frame if name != "done" or not whole(total)]
    caption = (
        f"Accuracy in percent by {words}: mean ± half its 95 % interval over the finished replicates, on test by three "
        "protocols and on training pictures at the last epoch. To the best: the difference to the best level in points "
        "(best validation epoch, on test), paired by seed; q is the p of its t-test, corrected for all levels by "
        f"Benjamini and Hochberg. {shortfall(found)}"
    )
    alt = f"Table of {len(frame)} levels of the {words}."
    return Exhibit(f"{experiment}-table", f"{title} in numbers", caption.strip(), alt, frame, columns=columns)


def ended(found):
    """What became of the replicates that did not finish, in words; empty where all did."""
    total = found.status().sum()
    return fate(total) if total["done"] < total["asked"] else ""
