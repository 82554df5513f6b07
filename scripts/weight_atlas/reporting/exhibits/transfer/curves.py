"""Exhibits over n, the number of layers that are copied: accuracy, its decomposition, similar tasks, outputs."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.exhibits.transfer.transfers import BASE, CURVE, MARGIN, MODES, Family
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, points, whole
from weight_atlas.stats import summarise

DEPTH = "n, copied layers"
PROTOCOL = "Accuracy is that on test at the best validation epoch"
SAME = "± 1 point: no difference"  # the band of MARGIN


def accuracy_depth(tables: Tables) -> list[Exhibit]:
    """Test accuracy against n of every curve to a task, and the base of that task as a level."""
    found = transfers.main(transfers.shown(tables, "curves"))
    made = [_accuracy(tables, family) for family in transfers.families(found) if (family.rows["mode"] != BASE).any()]
    return transfers.some(made, "no transfer of the document's own setting has finished.")


def _accuracy(tables: Tables, family: Family) -> Exhibit:
    data = means(family.rows.fillna({"depth": -1}))
    goals, shown = transfers.targets(family.rows), data[data["mode"] != BASE]
    several = {"frozen"} < set(shown["mode"])
    kinds = {"copied and frozen": ["frozen"], "all kinds": [*MODES]} if several else {"": [*MODES]}
    fig, grid = panels.grid(_toward(goals, "test accuracy (%)"), list(kinds), 3.1, 0.5)
    for axes, (target, modes) in zip(grid.flat, product(goals, kinds.values()), strict=True):
        part = data[data["target"] == target]
        for row, own in transfers.each(part[part["mode"].isin(modes)]):
            line(axes, own, row.mode, transfers.colour(row), transfers.name(row))
        for row in part[part["mode"] == BASE].to_dict("records"):
            marks.level(axes, row, "base, from scratch", 100)
        depth_axis(axes, part[part["mode"].isin(modes)])
    marks.legend(fig, grid[:, ::-1].flat, ncols=6)
    caption = (
        f"Test accuracy against n, the number of weight layers, from the input, that are copied. {_modes(shown)} "
        f"{over(shown)} {_bases(data)} Where the curve of another task falls below that of one's own, the layers "
        f"have become specific to their task. {transfers.overlaps(tables)} "
        f"{'Panels differ in scale. ' if several else ''}{transfers.shortfall(tables)}"
    )
    data = data.assign(depth=data["depth"].where(data["mode"] != BASE).astype("Int64"))
    return transfers.exhibit("transfer-accuracy", "Accuracy by copied layers", caption, f"Line chart. {ends(shown)}",
                             data, fig, family.words)  # fmt: skip


def _toward(goals: Sequence[str], label: str) -> list[str]:
    """What lies on the vertical axis of each target's panels, with the target where there are several."""
    return [f"to {target}\n{label}" if len(goals) > 1 else label for target in goals]


def means(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy by curve and n with its 95 % interval over the finished replicates."""
    return summarise(frame, [*CURVE, "depth"], "accuracy")


def line(axes: Axes, own: pd.DataFrame, mode: str, colour: str, label: str) -> None:
    """The means of one curve against n, with the band of their intervals."""
    marks.band(axes, own, "depth", scale=100, bounds=SHARE, label=label, zorder=3, **transfers.look(mode, colour))


def depth_axis(axes: Axes, data: pd.DataFrame) -> None:
    """A tick for each n."""
    depths = sorted(set(data["depth"].astype(int)))
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.set_xlim(depths[0] - 0.45, depths[-1] + 0.45)
    axes.set_xlabel(DEPTH)


def over(data: pd.DataFrame) -> str:
    """By which protocol the means are, and over how many replicates."""
    return f"{PROTOCOL}: means over n = {whole(data['n'])} finished replicates, shaded the 95 % Student t interval."


def _modes(data: pd.DataFrame) -> str:
    """What the modes among these curves mean."""
    words = {
        "frozen": "A → B: the first n layers come from a network of task A and stay frozen, the others start fresh and "
        "are trained on task B.",
        "tuned": "Tuned (dashed): the copied layers are trained on too.",
        "random": "Random (dotted): the first n layers are drawn and frozen without any training.",
    }
    return " ".join(text for mode, text in words.items() if mode == "frozen" or mode in set(data["mode"]))


def _bases(data: pd.DataFrame) -> str:
    """What the base's level is, and n = 0."""
    if not (data["mode"] == BASE).any():
        return "The target's own base was not trained."
    zero = " At n = 0 nothing is copied: the same training again from another start."
    return f"The dashed level is the target's base, trained from scratch.{zero if (data['depth'] == 0).any() else ''}"


def ends(data: pd.DataFrame) -> str:
    """ "A → B goes from 94.9 % at n = 1 to 83.0 % at n = 10; ..", curve by curve."""
    words = []
    for row, own in transfers.each(data[data["depth"] >= 1]):
        first, last = (f"{style.percent(one['mean'])} at n = {one['depth']}" for _, one in own.iloc[[0, -1]].iterrows())
        words.append(f"{transfers.name(row)} goes from {first} to {last}")
    return "; ".join(words) + "."


# ------------------------------------------------------------------------------------------- D, C and S

PARTS = {
    "D": ("drop D = base − A→B", style.PALETTE[1]),
    "C": ("co-adaptation C = base − B→B", style.PALETTE[0]),
    "S": ("specificity S = B→B − A→B", style.PALETTE[3]),
}


def decomposition(tables: Tables) -> list[Exhibit]:
    """The drop D below the base against n, and its parts: co-adaptation C and specificity S."""
    found = transfers.main(transfers.shown(tables, "drops"))
    families = transfers.families(found[found["mode"] != "random"])
    made = [_decomposition(tables, family) for family in families if "S" in set(family.rows["quantity"])]
    return transfers.some(made, "no task has transfers from another task and from its own.")


def _decomposition(tables: Tables, family: Family) -> Exhibit:
    own = family.rows
    kept = [part for part in PARTS if part in set(own["quantity"])]
    goals = transfers.targets(own)
    titles = [PARTS[part][0] for part in kept]
    fig, grid = panels.grid(_toward(goals, "points of accuracy"), titles, 2.5, 0.9, sharey="row")
    for axes, (target, part) in zip(grid.flat, product(goals, kept), strict=True):
        _part(axes, own[(own["target"] == target) & (own["quantity"] == part)], PARTS[part][1])
    modes = [mode for mode in MODES if mode in set(own["mode"])]
    told = [marks.entry(mode, **transfers.look(mode, style.QUIET)) for mode in modes] if len(modes) > 1 else []
    marks.legend(fig, grid.flat, ncols=5, extra=[*marks.entries_of_widths(), *told])
    caption = (
        "The drop D below the target's base against n, and its two parts, C + S = D (Yosinski et al. 2014), in "
        f"percentage points (n = {whole(own['n'])}). C is lost where layers that were learnt together "
        "are parted (co-adaptation), S because the copied layers were learnt for another task (specificity). The band "
        "is the margin of equivalence: a drop whose 90 % interval lies in it counts as none. Intervals are Student's "
        f"t, of C and S paired by seed. {PROTOCOL}. {transfers.shortfall(tables)}"
    )
    return transfers.exhibit("decomposition", "What the drop consists of", caption, _deepest(own, kept), own, fig,
                             family.words)  # fmt: skip


def _part(axes: Axes, data: pd.DataFrame, colour: str) -> None:
    """One quantity against n with both intervals, and the margin; modes side by side."""
    marks.equivalence(axes, MARGIN * 100, SAME)
    curves = list(transfers.each(data))
    for place, (row, own) in enumerate(curves):
        at = own["depth"] + 0.22 * (place - (len(curves) - 1) / 2)
        marks.widths(axes, at, own, scale=100, linewidth=1, **transfers.look(row.mode, colour))
    depth_axis(axes, data)


def _deepest(data: pd.DataFrame, kept: list[str]) -> str:
    """The deepest n of the frozen curves in words."""
    own = data[data["mode"] == "frozen"]
    own = own[own["depth"] == own["depth"].max()]
    words = [
        f"{part} is {points(row['mean'], 2)} points ({row['base']} → {row['target']})"
        for part in kept
        for _, row in own[own["quantity"] == part].iterrows()
    ]
    return f"Dot plots of D, C and S against n. At n = {int(own['depth'].max())} {', '.join(words)}."


# ------------------------------------------------------------------------------------------- similar tasks


def pairs(tables: Tables) -> pd.DataFrame:
    """The curves between tasks beside the main ones: rows of curves.csv, frozen, whose targets are not `targets`.

    Raises NothingToShow where fewer than two such curves have finished.
    """
    found = transfers.shown(tables, "curves")
    found = found[found["mode"] == "frozen"]
    found = found[~found["target"].isin(transfers.targets(found)) & (found["base"] != found["target"])]
    if len(found.drop_duplicates(CURVE)) < 2:
        raise NothingToShow("no two tasks beside the main ones were transferred between.")
    return found


def kind(tables: Tables, dataset: str) -> str:
    """The kind ("animal") that all classes of a data set's label are of, by the document's `kinds`; "" where they are
    of several or none."""
    known = set(transfers.classes(tables, dataset))
    kinds: dict[str, list[str]] = tables.document.get("kinds", {})
    return next((name for name, own in kinds.items() if known and known <= set(own)), "")


def alike(tables: Tables, row: Any) -> str:
    """ "similar", "different", or "" where the document's kinds say nothing of one of the two."""
    kinds = kind(tables, row.base), kind(tables, row.target)
    return "" if "" in kinds else "similar" if kinds[0] == kinds[1] else "different"


def similarity(tables: Tables) -> list[Exhibit]:
    """Accuracy, and the drop below the base, against n of transfers between similar and different tasks."""
    found, drops = pairs(tables), transfers.shown(tables, "drops")
    drops = drops[(drops["quantity"] == "D") & (drops["mode"] == "frozen")].merge(found[CURVE].drop_duplicates())
    return [_similarity(tables, family, family.of(drops)) for family in transfers.families(found)]


def _similarity(tables: Tables, family: Family, drops: pd.DataFrame) -> Exhibit:
    data = means(family.rows)
    labels = {}
    for row, _ in transfers.each(data):
        note = alike(tables, row)
        labels[row.base, row.target] = transfers.name(row) + (f" ({note})" if note else "")
    colours = dict(zip(labels, style.colours(len(labels)), strict=True))
    fig = style.figure(3.3)
    left, *right = fig.subplots(1, 1 + bool(len(drops)), squeeze=False)[0]
    left.set(title="accuracy", ylabel="test accuracy (%)")
    for axes in right:
        marks.equivalence(axes, MARGIN * 100, SAME)
        axes.set(title="drop below the base", ylabel="points of accuracy")
    for axes, frame in zip([left, *right], [data, drops], strict=False):
        for row, own in transfers.each(frame):
            place = (row.base, row.target)
            line(axes, own, row.mode, colours[place], labels[place])
        depth_axis(axes, frame)
    marks.legend(fig, [left, *right])
    beside = (
        "Tasks differ in difficulty, so the right panel gives each drop below the base of its own target; "
        "the band is the margin of one point. A lower curve there: more of what was copied is of use."
    )
    caption = (
        "Frozen transfers between other pairs of tasks, against n. "
        f"{beside if right else 'The bases of the targets are missing, so there are no drops.'} "
        f"{over(data)} {transfers.shortfall(tables, set(family.rows['cell_id']))}"
    )
    kept = drops[[*CURVE, "depth", "n", "mean", "low", "high"]].assign(quantity="drop")
    return transfers.exhibit("similarity", "Similar and different tasks", caption, f"Line charts. {ends(data)}",
                             pd.concat([data.assign(quantity="accuracy"), kept]), fig, family.words)  # fmt: skip


# ------------------------------------------------------------------------------------------- outputs


def output_curves(tables: Tables) -> list[Exhibit]:
    """Accuracy against n with few and with many outputs, and their difference."""
    effects = transfers.effects(tables, outputs=True)
    groups = list(effects[effects["quantity"] == "accuracy"].groupby(CURVE, sort=False))
    return [_outputs(tables, own, len(groups) > 1) for _, own in groups]


def _outputs(tables: Tables, own: pd.DataFrame, several: bool) -> Exhibit:
    row = next(transfers.rows(own))
    few, many = row.network, transfers.twins(tables)[row.network]
    both = transfers.of(transfers.read(tables, "curves"), transfers.curve(row)[1:], CURVE[1:])
    both = both[both["network"].isin([few, many])]
    data = means(both.astype({"depth": int}))
    fig = style.figure(3.1)
    left, right = fig.subplots(1, 2)
    dashed = {"linestyle": "--", "markerfacecolor": "white"}
    for network, level, colour, other in ((few, row.level_a, 0, {}), (many, row.level_b, 1, dashed)):
        look = transfers.look("frozen", style.PALETTE[colour]) | other
        part = data[data["network"] == network].sort_values("depth")
        marks.band(left, part, "depth", scale=100, bounds=SHARE, label=f"{level} outputs", **look)
    left.set(title=f"{transfers.name(row)}, accuracy", ylabel="test accuracy (%)")
    depth_axis(left, data)
    _difference(right, own)
    right.set(title=f"{row.level_b} less {row.level_a} outputs", ylabel="points of accuracy")
    marks.legend(fig, [left, right], ncols=5, extra=marks.entries_of_widths())
    same = own.loc[own["p_tost"] < marks.LEVEL, "depth"]
    places = f": n = {transfers.stretch(same)}" if len(same) else ""
    verdict = (
        f"Equivalent within one point (two one-sided t-tests, p < {marks.LEVEL}) at {len(same)} of {len(own)} "
        f"depths{places}."
    )
    caption = (
        f"Accuracy against n with {row.level_a} and with {row.level_b} outputs of the last layer; the target has "
        f"as many classes in both. Right: their difference, paired by seed (n = {whole(own['n'])}), with Student t "
        f"intervals; the band is the margin of equivalence. {verdict} {PROTOCOL}, shaded its 95 % interval. "
        f"{transfers.shortfall(tables, set(both['cell_id']))}"
    )
    return transfers.exhibit("outputs", "Number of outputs", caption, f"Line chart and dot plot. {verdict}", own, fig,
                             transfers.name(row) if several else "")  # fmt: skip


def _difference(axes: Axes, data: pd.DataFrame) -> None:
    """Differences against n with both intervals, and the margin; 0 in the middle."""
    marks.equivalence(axes, MARGIN * 100, SAME)
    data = data.rename(columns={"difference": "mean"})
    marks.widths(axes, data["depth"], data, scale=100, color=style.INK, marker="o", markersize=5, linestyle="")
    depth_axis(axes, data)
    reach = max(1.6, 1.15 * np.nanmax(np.abs(axes.dataLim.intervaly)))
    axes.set_ylim(-reach, reach)
