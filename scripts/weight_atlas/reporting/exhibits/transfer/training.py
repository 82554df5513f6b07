"""Exhibits on the course of transfers: training curves by n, base beside target, and epochs to an accuracy."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.exhibits.transfer.curves import DEPTH, depth_axis
from weight_atlas.reporting.exhibits.transfer.transfers import BASE, CURVE, Family
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, plural, whole
from weight_atlas.stats import summarise

SPLITS = {"train": "training", "valid": "validation"}
OTHERS = "#BBBBBB"
# level of reach.csv -> its words in a sentence, in a title, and in a table's heading
LEVELS = {
    "base": ("the base's own accuracy", "base", "base"),
    "near": ("a point below the base's accuracy", "base − 1 point", "base − 1 pt"),
    "document": ("the reported accuracy", "document", "document"),
}
UNREACHED = "no transfer whose target has a base has finished."


def levels(tables: Tables) -> dict[str, tuple[str, str, str]]:
    """The LEVELS of a study: an accuracy is reported where its document has one."""
    return {level: words for level, words in LEVELS.items() if level != "document" or "reached" in tables.document}


def courses(tables: Tables, mode: str = "frozen") -> pd.DataFrame:
    """Accuracies by epoch of the main curves of a mode and of their bases, finished replicates: CURVE, depth, cell_id,
    seed, epoch, train, valid (depth is -1 for a base)."""
    found = transfers.main(transfers.shown(tables, "curves"))
    found = found[found["mode"].isin([mode, BASE])]
    if not (found["mode"] == mode).any():
        raise NothingToShow("no frozen transfer has finished.")
    metrics = tables.table("metrics")
    metrics = metrics[metrics["epoch"] >= 1].rename(columns={f"{split}_accuracy": split for split in SPLITS})
    own = found.fillna({"depth": -1}).astype({"depth": int})[[*CURVE, "depth", "cell_id", "seed"]]
    return own.merge(metrics[["cell_id", "seed", "epoch", *SPLITS]], on=["cell_id", "seed"])


def by_epoch(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean of each split by curve, depth and epoch with its interval."""
    long = rows.melt([*CURVE, "depth", "seed", "epoch"], list(SPLITS), "split", "value").dropna(subset="value")
    return summarise(long, [*CURVE, "depth", "split", "epoch"], "value")


def course(tables: Tables) -> list[Exhibit]:
    """Training and validation accuracy by epoch of each curve over n, a line for each n."""
    found = courses(tables)
    return [
        _course(tables, family, transfers.name(row), pd.concat([own, _bases(family.of(found), row.target)]))
        for family in transfers.families(found[found["mode"] != BASE])
        for row, own in transfers.each(family.rows)
    ]


def _bases(found: pd.DataFrame, target: str) -> pd.DataFrame:
    """The rows of a task's base."""
    return found[(found["mode"] == BASE) & (found["target"] == target)]


def _course(tables: Tables, family: Family, name: str, own: pd.DataFrame) -> Exhibit:
    data, cells = by_epoch(own), set(own.loc[own["mode"] != BASE, "cell_id"])
    caption = (
        f"Accuracy by epoch of {name}, frozen: one curve for each number n of copied layers, coloured from dark (few) "
        f"to light (many), and dashed the base of {own['target'].iloc[0]}, from scratch. Curves are means over the "
        f"finished replicates (n = {whole(data.loc[data['depth'] >= 0, 'n'])}). A training value is the mean during "
        "its epoch, with augmentation and dropout on, so it lags behind. The first epochs may lie below the axis. Read "
        f"from the right edge whether curves end in the order of n. {transfers.shortfall(tables, cells)}"
    )
    tab = ", ".join(filter(None, [family.words, name]))
    return transfers.exhibit("course", "Training curves by copied layers", caption, _last(data, name), data,
                             _by_depth(data), tab)  # fmt: skip


def _by_depth(data: pd.DataFrame) -> Figure:
    """Two panels, train and valid, of the mean accuracy against epoch, a colour for each depth."""
    depths = sorted(set(data.loc[data["depth"] >= 0, "depth"]))
    colours = matplotlib.colormaps[style.SEQUENTIAL](np.linspace(0, 0.93, len(depths)))
    titles = [f"on the {words} images" for words in SPLITS.values()]
    fig, [grid] = panels.grid(["accuracy (%)"], titles, 3.4, 0, sharey=True)
    for axes, split in zip(grid, SPLITS, strict=True):
        own = data[data["split"] == split]
        for depth, colour in zip(depths, colours, strict=True):
            part = own[(own["depth"] == depth) & (own["mode"] != BASE)]
            marks.band(axes, part, "epoch", scale=100, shade=False, color=colour, linewidth=1.3)
        base = own[own["mode"] == BASE]
        marks.band(axes, base, "epoch", scale=100, shade=False, zorder=4, **marks.REFERENCE)
        _epochs_axis(axes)
    late = data[(data["epoch"] >= max(1, 0.1 * data["epoch"].max())) & (data["mode"] != BASE)]["mean"] * 100
    room = 0.06 * max(late.max() - late.min(), 1)
    grid[0].set_ylim(late.min() - room, min(late.max() + room, 101))  # without the first tenth
    edges = np.arange(len(depths) + 1) - 0.5
    scale = matplotlib.cm.ScalarMappable(BoundaryNorm(edges, len(depths)), ListedColormap(colours))
    bar = style.colourbar(fig, scale, grid, DEPTH, pad=0.01, aspect=24)
    bar.set_ticks(range(len(depths)), labels=[str(depth) for depth in depths])
    return fig


def _epochs_axis(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _last(data: pd.DataFrame, name: str) -> str:
    """The last epoch in words: the lowest and the highest n by training and by validation accuracy."""
    last = data[(data["epoch"] == data["epoch"].max()) & (data["mode"] != BASE)]
    words = []
    for split, what in SPLITS.items():
        own = last[last["split"] == split].set_index("depth")["mean"]
        low, high = (f"{style.percent(own[n])} (n = {n})" for n in (own.idxmin(), own.idxmax()))
        words.append(f"{what} accuracy goes from {low} to {high}")
    return f"Line charts of {name} by epoch. At the last epoch {' and '.join(words)}."


def base_target(tables: Tables) -> list[Exhibit]:
    """Training and validation accuracy by epoch of a base, and beside it of the transfer of its first layer."""
    made = []
    for family in transfers.families(courses(tables)):
        own = family.rows
        one = own[(own["depth"] == 1) & (own["base"] != own["target"])]
        if len(one) and (own["mode"] == BASE).any():
            made.append(_base_target(tables, family, next(transfers.rows(one))))
    return transfers.some(made, "no transfer with n = 1 stands beside the base of its target.")


def _base_target(tables: Tables, family: Family, one: Any) -> Exhibit:
    own, level = family.rows, tables.document.get("reached")
    others = own[(own["base"] == one.base) & (own["target"] == one.target) & (own["mode"] != BASE)]
    data = by_epoch(pd.concat([others, _bases(own, one.target)]))
    single, base, name = data[data["depth"] == 1], data[data["mode"] == BASE], transfers.name(one)
    titles = [f"base {one.target}, from scratch", f"{name}, n = 1"]
    fig, [[left, right]] = panels.grid(["accuracy (%)"], titles, 3.2, 0, sharey=True)
    for axes, part in ((left, base), (right, single)):
        for split, colour, dash in zip(SPLITS, style.PALETTE, ("--", "-"), strict=False):
            curve = part[part["split"] == split]
            marks.band(axes, curve, "epoch", scale=100, bounds=SHARE, color=colour, linestyle=dash, label=split)
        _epochs_axis(axes)
    rest = data[(data["depth"] > 1) & (data["split"] == "valid")]
    for _, curve in rest.groupby("depth"):
        marks.band(right, curve, "epoch", scale=100, shade=False, color=OTHERS, linewidth=0.8, zorder=1,
                   label="valid, other n")  # fmt: skip
    if level:
        look = {"color": style.QUIET, "linewidth": 0.9, "linestyle": ":", "label": f"the document's {level:.2f}"}
        for axes in (left, right):
            axes.axhline(level * 100, **look)
    marks.legend(fig, [right], ncols=4)
    crossed = " ".join(
        [_crossing(base, level, f"the base of {one.target}"), _crossing(single, level, f"{name} at n = 1")]
    )
    caption = (
        f"Training from scratch (left) beside training on one copied, frozen layer (right), on {one.target}: means "
        f"over the finished replicates (n = {whole(single['n'])}), shaded the 95 % Student t interval; "
        "grey: the validation accuracy of the other n. "
        f"{crossed} {transfers.shortfall(tables, set(others['cell_id']))}"
    )
    return transfers.exhibit("base-target", "Base and target, by epoch", caption, f"Line charts. {crossed}", data, fig,
                             family.words)  # fmt: skip


def _crossing(data: pd.DataFrame, level: float | None, what: str) -> str:
    """Where the mean validation accuracy ends, and when it is first at a level, as a sentence."""
    own = data[data["split"] == "valid"].sort_values("epoch")
    end = f"ends at {style.percent(own['mean'].iloc[-1])}"
    if level:
        there = own[own["mean"] >= level]
        reach = f"reaches {level:.2f} at epoch {there['epoch'].iloc[0]}" if len(there) else f"never reaches {level:.2f}"
        end = f"{reach} and {end}"
    return f"The mean validation accuracy of {what} {end}."


# ------------------------------------------------------------------------------------------- epochs


def epochs(tables: Tables) -> list[Exhibit]:
    """Epochs until three accuracies are reached, against n."""
    found = transfers.main(transfers.shown(tables, "reach"))
    families = transfers.families(found[found["mode"].isin(["frozen", BASE])])
    made = [_epochs(tables, family) for family in families if (family.rows["mode"] != BASE).any()]
    return transfers.some(made, UNREACHED)


def _epochs(tables: Tables, family: Family) -> Exhibit:
    own = family.rows
    curves = own[own["mode"] != BASE]
    kept = [level for level in levels(tables) if level in set(own["level"])]
    accuracies = {level: sorted(set(own.loc[own["level"] == level, "accuracy"].round(3))) for level in kept}
    titles = [f"to {LEVELS[level][1]} ({' and '.join(f'{at:.3g}' for at in accuracies[level])})" for level in kept]
    fig, [grid] = panels.grid(["epochs"], titles, 3.3, 0, sharey=True)
    top = 1.12 * float(np.nanmax(own[["median", "high"]].to_numpy(float), initial=1))
    for axes, level in zip(grid, kept, strict=True):
        _medians(axes, own[own["level"] == level], top)
    late = curves[curves["reached"] < curves["n"]]
    missed = [marks.entry("not reached by half of the runs", marker="x", linestyle="")] if len(late) else []
    marks.legend(fig, grid, ncols=4, extra=missed)
    censored = (
        f"In {len(late)} of {len(curves)} places some replicate never got there: it counts as later than any. "
        if len(late)
        else ""
    )
    reported = f", and at the .88 of {transfers.reported(tables)}" if "document" in kept else ""
    caption = (
        "Epochs until the test accuracy is first at that of the target's base (the same seed's, at its best "
        f"validation epoch), at a point less{reported} (in brackets the mean level): medians over n = "
        f"{whole(curves['n'])} finished replicates, from six on with the 95 % interval of the sign test, open at the "
        "top where it holds runs that never get there. Points of one n are set side by side. Below the "
        f"dashed line (the base's median) transfer saves epochs; the table has all curves. {censored}"
        f"{transfers.shortfall(tables)}"
    )
    return transfers.exhibit("epochs", "Epochs to an accuracy", caption, _epochs_alt(own), own, fig, family.words)


def _medians(axes: Axes, data: pd.DataFrame, top: float) -> None:
    """Medians with intervals against n; a cross at the top where half of the runs never get there."""
    curves = list(transfers.each(data[data["mode"] != BASE]))
    for place, (row, own) in enumerate(curves):
        own = own.assign(at=own["depth"] + min(0.26, 0.7 / len(curves)) * (place - (len(curves) - 1) / 2))
        look = transfers.look(row.mode, transfers.colour(row)) | {"linestyle": ""}
        there, never = own[own["median"].notna()], own[own["median"].isna()]
        high = there["high"].where(there["high"].notna() | there["low"].isna(), top)
        axes.vlines(there["at"], there["low"], high, color=look["color"], linewidth=1.2)
        axes.plot(there["at"], there["median"], label=transfers.name(row), **look)
        axes.plot(never["at"], [top] * len(never), **look | {"marker": "x", "markersize": 5})
    for row in transfers.rows(data[data["mode"] == BASE].dropna(subset="median")):
        axes.axhline(row.median, label="base", zorder=1, **marks.REFERENCE)
    depth_axis(axes, data[data["mode"] != BASE])
    axes.set_ylim(0, 1.05 * top)


def _epochs_alt(data: pd.DataFrame) -> str:
    """The first and last n of the frozen curves in words."""
    words = []
    near = data[(data["level"] == "near") & (data["mode"] == "frozen") & (data["depth"] >= 1)]
    for row, own in transfers.each(near):
        parts = [f"{count(one)} at n = {one['depth']}" for one in own.iloc[[0, -1]].to_dict("records")]
        words.append(f"{transfers.name(row)} takes {' and '.join(parts)}")
    return f"Dot plots of epochs. To a point below the base's accuracy, {'; '.join(words)}."


def count(row: Mapping[Any, Any]) -> str:
    """ "12", or "too long (1 of 3 runs get there)" of a row of reach.csv."""
    if math.isfinite(row["median"]):
        return f"{row['median']:g}"
    return f"too long ({int(row['reached'])} of {int(row['n'])} runs get there)"


def saved_table(tables: Tables) -> list[Exhibit]:
    """The epochs that transfer saves, curve by curve and n by n."""
    found = transfers.main(transfers.shown(tables, "reach"))
    own = found[(found["mode"] != BASE) & (found["depth"] >= 1)]
    if own.empty:
        raise NothingToShow(UNREACHED)
    many = len(transfers.families(own)) > 1
    rows = []
    for (*key, depth), part in own.astype({"depth": int}).groupby([*CURVE, "depth"], sort=False):
        row = ({"network": key[0]} if many else {}) | {
            "transfer": transfers.name(next(transfers.rows(part))),
            "n": str(depth),
        }
        reached: Any = part.set_index("level").to_dict("index")
        for level, (_, _, words) in levels(tables).items():
            if level in reached:
                one = reached[level]
                there = math.isfinite(one["median"])
                row[f"to {words}"] = count(one) if there else f"{one['reached']} of {one['n']} runs"
                row[f"saved ({words})"] = saving(one)
        rows.append(row)
    reported = f", and until the .88 of {transfers.reported(tables)}" if "document" in levels(tables) else ""
    caption = (
        f"Epochs until the accuracy of the target's base, until a point less{reported}, and how many fewer than the "
        "base takes (saved; medians over pairs of one seed, in brackets the 95 % interval of the sign "
        "test, from six replicates on; negative: transfer takes longer). Where half of the replicates never "
        "get there, how many do is said, and nothing is saved. An end of an interval that no run reaches is open (…)."
    )
    alt = f"Table of the epochs taken and saved by {plural(len(rows), 'transfer')}."
    frame = pd.DataFrame(rows)
    return [Exhibit("epochs-saved", "Epochs that transfer saves", caption, alt, frame, behind="epochs")]


def saving(row: Mapping[Any, Any]) -> str:
    """ "110 [90, 120]" of a row of reach.csv, "none" where half of the runs never get there."""
    if not math.isfinite(row["saved"]):
        return "none"
    return transfers.bracketed(row["saved"], row["saved_low"], row["saved_high"])
