"""Exhibits over n, the number of layers that are copied: accuracy, its decomposition, similar tasks, outputs."""

import math

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.transfer import transfer_tables as transfers
from weight_atlas.reporting.exhibits.transfer.transfer_tables import BASE, CURVE, MARGIN, points
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import slug
from weight_atlas.stats import summarise

DEPTH = "n, copied layers"
PROTOCOL = "Accuracy is that on test at the best validation epoch"


def means(tables, frame, by=("depth",), value="accuracy"):
    """Mean by curve and `by` with its 95 % interval over the finished replicates: CURVE, *by, n, mean, low, high."""
    return summarise(frame, [*CURVE, *by], value)


def accuracy_depth(tables):
    """Accuracy against n of every curve to a task, its base beside; one exhibit a family; list[Exhibit]."""
    found = transfers.main(transfers.shown(tables, "curves"))
    made = []
    for _, own, words in transfers.families(tables, found):
        if (own["mode"] == BASE).all():
            continue
        data = means(tables, own.fillna({"depth": -1}))
        goals = transfers.targets(own)
        shown = data[data["mode"] != BASE]
        kinds = ["frozen", "all"] if {"frozen"} < set(shown["mode"]) else ["all"]
        fig = style.figure(3.1 * len(goals) + 0.5)
        grid = fig.subplots(len(goals), len(kinds), squeeze=False)
        for across, target in zip(grid, goals, strict=True):
            for axes, kind in zip(across, kinds, strict=True):
                part = data[data["target"] == target]
                draw_base(axes, part)
                draw_curves(axes, part[part["mode"].eq("frozen") if kind == "frozen" else part["mode"] != BASE])
                words_ = {"frozen": "copied and frozen", "all": "all kinds"}[kind] if len(kinds) > 1 else ""
                axes.set_title(", ".join(filter(None, (f"to {target}" * (len(goals) > 1), words_))))
                axes.set_xlabel(DEPTH)
            across[0].set_ylabel("test accuracy (%)")
        handles = [handle(row) for row, _ in transfers.each(shown.drop_duplicates([*CURVE]))]
        fig.legend(handles=dedupe([*handles, *base_handle(data)]), ncols=6, **ABOVE)
        caption = (
            f"Test accuracy against n, the number of weight layers, from the input, that are copied. {legend(shown)} "
            f"{PROTOCOL}: means over n = {transfers.number_of(shown)} finished replicates, shaded the 95 % Student t "
            f"interval. {base_words(data)}Where the curve of another task falls below that of one's own, the layers "
            f"have become specific to their task. {'Panels differ in scale. ' if len(kinds) > 1 else ''}"
            f"{transfers.shortfall(tables)}"
        )
        alt = f"Line chart. {ends(shown)}"
        data = data.assign(depth=data["depth"].where(data["mode"] != BASE).astype("Int64"))
        made.append(exhibit("transfer-accuracy", "Accuracy by copied layers", caption, alt, data, fig, words))
    if not made:
        raise NothingToShow("no transfer of the document's own setting has finished.")
    return made


def exhibit(name, title, caption, alt, data, fig, words):
    """An Exhibit whose file and tab say which of several it is."""
    return Exhibit("-".join(filter(None, (name, slug(words)))), title, caption.strip(), alt, data, fig, tab=words)


def draw_curves(axes, data, colours=None, scale=100):
    """Lines with bands over depth; colours: (base, target) -> colour, by default that of where layers come from."""
    for row, own in transfers.each(data):
        colour = colours[row.base, row.target] if colours else transfers.colour(row)
        mean, low, high = (own[column] * scale for column in ("mean", "low", "high"))
        look = {"color": colour, "linestyle": transfers.LINES[row.mode], "marker": transfers.MARKERS[row.mode]}
        face = "white" if row.mode == "tuned" else colour
        axes.plot(own["depth"], mean, markersize=4.5, markerfacecolor=face, zorder=3, **look)
        axes.fill_between(own["depth"], low, high, color=colour, alpha=0.15, linewidth=0)
    depth_axis(axes, data)


def depth_axis(axes, data):
    """A tick a depth."""
    depths = sorted(set(data["depth"].astype(int)))
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.set_xlim(depths[0] - 0.45, depths[-1] + 0.45)


def draw_base(axes, data):
    """The base of the target as a level line with its interval."""
    for row in data[data["mode"] == BASE].itertuples():
        axes.axhline(row.mean * 100, color=style.INK, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
        if math.isfinite(row.low):
            axes.axhspan(row.low * 100, row.high * 100, color=style.INK, alpha=0.07, linewidth=0, zorder=0)


def base_handle(data):
    """The legend's entry for the base's line, where there is one."""
    if not (data["mode"] == BASE).any():
        return []
    return [Line2D([], [], color=style.INK, linewidth=1, linestyle=(0, (4, 2)), label="base, from scratch")]


def handle(row):
    """The legend's entry for a curve."""
    colour = transfers.colour(row)
    face = "white" if row.mode == "tuned" else colour
    look = {"linestyle": transfers.LINES[row.mode], "marker": transfers.MARKERS[row.mode], "markersize": 4.5}
    return Line2D([], [], color=colour, markerfacecolor=face, label=transfers.name(row), **look)


def dedupe(handles):
    """The handles without those whose label came before."""
    return list({handle.get_label(): handle for handle in reversed(handles)}.values())[::-1]


def legend(data):
    """What the modes among these curves mean, in words."""
    kinds = set(data["mode"])
    words = ["A → B: the first n layers come from a network of task A and stay frozen, the others start fresh and "
             "are trained on task B."]  # fmt: skip
    if "tuned" in kinds:
        words.append("Tuned (dashed): the copied layers are trained on too.")
    if "random" in kinds:
        words.append("Random (dotted): the first n layers are drawn and frozen without any training.")
    return " ".join(words)


def base_words(data):
    """A sentence on the base's level and on n = 0."""
    if not (data["mode"] == BASE).any():
        return "The target's own base was not trained. "
    zero = ""
    if (data["depth"] == 0).any():
        zero = " At n = 0 nothing is copied: the same training again from another start."
    return f"The dashed level is the target's base, trained from scratch.{zero} "


def ends(data):
    """ "A → B goes from 94.9 % at n = 1 to 83.0 % at n = 10; ..", curve by curve."""
    words = []
    for row, own in transfers.each(data):
        own = own[own["depth"] >= 1]
        if len(own):
            first, end = own.iloc[0], own.iloc[-1]
            words.append(
                f"{transfers.name(row)} goes from {style.percent(first['mean'])} at n = {first['depth']} to "
                f"{style.percent(end['mean'])} at n = {end['depth']}"
            )
    return "; ".join(words) + "."


# ------------------------------------------------------------------------------------------- D, C and S

PARTS = {
    "D": ("drop D = base − A→B", style.PALETTE[1]),
    "C": ("co-adaptation C = base − B→B", style.PALETTE[0]),
    "S": ("specificity S = B→B − A→B", style.PALETTE[3]),
}


def decomposition(tables):
    """D, C and S against n, a panel each, one exhibit a family; list[Exhibit]."""
    found = transfers.main(transfers.shown(tables, "drops"))
    found = found[found["mode"] != "random"]
    made = []
    for _, own, words in transfers.families(tables, found):
        kept = [part for part in PARTS if part in set(own["quantity"])]
        goals = transfers.targets(own)
        if "S" not in kept:
            continue
        fig = style.figure(2.5 * len(goals) + 0.9)
        grid = fig.subplots(len(goals), len(kept), squeeze=False, sharey="row")
        for axes, target in zip(grid, goals, strict=True):
            for one, part in zip(axes, kept, strict=True):
                draw_part(one, own[(own["target"] == target) & (own["quantity"] == part)], part)
                one.set_xlabel(DEPTH)
                one.set_title((f"to {target}: " if len(goals) > 1 else "") + PARTS[part][0], fontsize=9.5)
            axes[0].set_ylabel("points of accuracy")
        band = Patch(color=style.QUIET, alpha=0.15, label="± 1 point: no difference")
        grey = {"color": style.QUIET, "markersize": 5}
        handles = [band, Line2D([], [], linewidth=3.2, label="90 % interval", color=style.QUIET)]
        handles += [Line2D([], [], linewidth=1.1, label="95 % interval", color=style.QUIET)]
        if own["mode"].nunique() > 1:
            handles += [Line2D([], [], marker="o", linestyle="-", label="frozen", **grey)]
            handles += [Line2D([], [], marker="s", markerfacecolor="white", linestyle="--", label="tuned", **grey)]
        fig.legend(handles=handles, ncols=5, **ABOVE)
        caption = (
            "What of the accuracy is lost, and to what (Yosinski's decomposition), in percentage points, paired by "
            f"seed (n = {transfers.number_of(own)}). D, the whole drop below the target's base, is the sum of C, what "
            "is lost where layers that were learnt together are parted, and S, what is lost because the copied layers "
            "were learnt for another task. The band is the margin of equivalence: a drop whose 90 % interval lies in "
            "it is none. Thin lines: 95 % Student t intervals. "
            f"{PROTOCOL}. {transfers.shortfall(tables)}"
        )
        made.append(
            exhibit("decomposition", "What the drop consists of", caption, part_alt(own, kept), own, fig, words)
        )
    if not made:
        raise NothingToShow("no task has transfers from another task and from its own.")
    return made


def draw_part(axes, data, part):
    """One quantity against n with both intervals, and the margin; modes side by side."""
    axes.axhspan(-MARGIN * 100, MARGIN * 100, color=style.QUIET, alpha=0.15, linewidth=0, zorder=0)
    axes.axhline(0, color=style.QUIET, linewidth=0.8, zorder=1)
    curves = list(transfers.each(data))
    for place, (row, own) in enumerate(curves):
        at = own["depth"] + 0.22 * (place - (len(curves) - 1) / 2)
        colour = PARTS[part][1]
        axes.vlines(at, own["low"] * 100, own["high"] * 100, color=colour, linewidth=1.1)
        axes.vlines(at, own["low90"] * 100, own["high90"] * 100, color=colour, linewidth=3.2)
        look = {"linestyle": transfers.LINES[row.mode], "marker": transfers.MARKERS[row.mode]}
        face = "white" if row.mode == "tuned" else colour
        axes.plot(at, own["mean"] * 100, color=colour, markersize=4.5, linewidth=1, markerfacecolor=face, **look)
    depth_axis(axes, data)


def part_alt(data, kept):
    """The deepest n of the frozen curves in words."""
    own = data[data["mode"] == "frozen"]
    own = own[own["depth"] == own["depth"].max()]
    words = [
        f"{row.quantity} is {points(row.mean)} points ({row.base} → {row.target})"
        for part in kept
        for row in own[own["quantity"] == part].itertuples()
    ]
    return f"Dot plots of D, C and S against n. At n = {int(own['depth'].max())} " + ", ".join(words) + "."


# ------------------------------------------------------------------------------------------- similar tasks


def pairs(tables):
    """The curves between tasks beside the main ones: rows of curves.csv, frozen, whose targets are not `targets`.

    Raises NothingToShow where fewer than two such curves have finished."""
    found = transfers.shown(tables, "curves")
    found = found[found["mode"] == "frozen"]
    found = found[~found["target"].isin(transfers.targets(found)) & (found["base"] != found["target"])]
    if len(found.drop_duplicates(CURVE)) < 2:
        raise NothingToShow("no two tasks beside the main ones were transferred between.")
    return found


def kind(tables, dataset):
    """The kind ("animal") that all classes of a data set's label are of, by the document's `kinds`; "" where they are
    of several or none."""
    ids = tables.where(dataset=dataset)["dataset_id"]
    card = tables.cards.get(ids.iloc[0]) if len(ids) else None
    # A group of classes that keeps its original labels names the others too: those without a picture.
    counts = dict(zip(card["classes"], card["counts"]["train"], strict=True)) if card else {}
    classes = {name for name, count in counts.items() if count}
    return next((name for name, own in tables.document.get("kinds", {}).items() if classes and classes <= set(own)), "")


def alike(tables, row):
    """ "similar", "different", or "" where the document's kinds say nothing of one of the two."""
    kinds = kind(tables, row.base), kind(tables, row.target)
    return "" if "" in kinds else "similar" if kinds[0] == kinds[1] else "different"


def similarity(tables):
    """Accuracy, and the drop below the base, against n of transfers between similar and different tasks; [Exhibit]."""
    found = pairs(tables)
    drops = transfers.shown(tables, "drops")
    drops = drops[(drops["quantity"] == "D") & (drops["mode"] == "frozen")]
    made = []
    for key, own, words in transfers.families(tables, found):
        data = means(tables, own)
        of = drops[(drops[transfers.FAMILY] == list(key)).all(axis=1)].merge(own[CURVE].drop_duplicates(), on=CURVE)
        order = list(data.drop_duplicates(CURVE).itertuples())
        colours = dict(zip([(row.base, row.target) for row in order], style.colours(len(order)), strict=True))
        fig = style.figure(3.3)
        grid = fig.subplots(1, 1 + bool(len(of)), squeeze=False)[0]
        draw_curves(grid[0], data, colours)
        grid[0].set(title="accuracy", xlabel=DEPTH, ylabel="test accuracy (%)")
        if len(of):
            draw_curves(grid[1], of, colours)
            grid[1].axhspan(-MARGIN * 100, MARGIN * 100, color=style.QUIET, alpha=0.15, linewidth=0, zorder=0)
            grid[1].axhline(0, color=style.QUIET, linewidth=0.8, zorder=1)
            grid[1].set(title="drop below the base", xlabel=DEPTH, ylabel="points of accuracy")
        handles = []
        for row in order:
            note = alike(tables, row)
            label = transfers.name(row) + (f" ({note})" if note else "")
            colour = colours[row.base, row.target]
            handles.append(Line2D([], [], color=colour, marker="o", markersize=4.5, label=label))
        fig.legend(handles=handles, ncols=4, **ABOVE)
        beside = (
            "Tasks differ in difficulty, so the right panel gives each drop below the base of its own target, paired "
            "by seed; the band is the margin of one point. "
        )
        caption = (
            "Frozen transfers between other pairs of tasks, against n. "
            f"{beside if len(of) else 'The bases of the targets are missing, so there are no drops. '}"
            f"A lower curve on the right: more of what was copied is of use. {PROTOCOL}: means over n = "
            f"{transfers.number_of(data)} finished replicates, shaded the 95 % Student t interval. "
            f"{transfers.shortfall(tables, set(own['cell_id']))}"
        )
        shown = pd.concat([data.assign(quantity="accuracy"), of[[*CURVE, "depth", "n", "mean", "low", "high"]]
                           .assign(quantity="drop")])  # fmt: skip
        made.append(exhibit("similarity", "Similar and different tasks", caption, f"Line charts. {ends(data)}", shown,
                            fig, words))  # fmt: skip
    return made


# ------------------------------------------------------------------------------------------- outputs


def output_curves(tables):
    """Accuracy against n with few and with many outputs, and their difference; list[Exhibit]."""
    effects = transfers.effects(tables, outputs=True)
    effects = effects[effects["quantity"] == "accuracy"]
    curves = transfers.read(tables, "curves")
    other = transfers.twins(tables)
    made = []
    groups = list(effects.groupby(CURVE, sort=False))
    for key, own in groups:
        row = next(own.itertuples())
        both = curves[(curves[CURVE[1:]] == list(key[1:])).all(axis=1)]
        both = both[both["network"].isin([row.network, other[row.network]])]
        data = means(tables, both.astype({"depth": int}))
        fig = style.figure(3.1)
        left, right = fig.subplots(1, 2)
        handles = []
        for network, number, colour, line in zip(
            (row.network, other[row.network]), (row.level_a, row.level_b), style.PALETTE, ("-", "--"), strict=False
        ):
            part = data[data["network"] == network].sort_values("depth")
            face = colour if line == "-" else "white"
            look = {"color": colour, "linestyle": line, "marker": "o", "markersize": 4.5, "markerfacecolor": face}
            left.plot(part["depth"], part["mean"] * 100, **look)
            left.fill_between(part["depth"], part["low"] * 100, part["high"] * 100, color=colour, alpha=0.15, lw=0)
            handles.append(Line2D([], [], label=f"{number} outputs", **look))
        left.set(title=f"{transfers.name(row)}, accuracy", xlabel=DEPTH, ylabel="test accuracy (%)")
        depth_axis(left, data)
        difference(right, own)
        right.set(title=f"{row.level_b} less {row.level_a} outputs", xlabel=DEPTH, ylabel="points of accuracy")
        handles.append(Patch(color=style.QUIET, alpha=0.15, label="± 1 point: no difference"))
        fig.legend(handles=handles, ncols=3, **ABOVE)
        same = own[own["p_tost"] < 0.05]["depth"].astype(int)
        verdict = (
            f"Equivalent within one point (two one-sided t-tests, p < 0.05) at {len(same)} of {len(own)} depths"
            + (f": n = {transfers.stretch(same)}." if len(same) else ".")
        )
        caption = (
            f"Accuracy against n with {row.level_a} and with {row.level_b} outputs of the last layer; the target has "
            f"as many classes in both. Right: their difference, paired by seed (n = {transfers.number_of(own)}), thick "
            f"the 90 %, thin the 95 % Student t interval; the band is the margin of equivalence. {verdict} {PROTOCOL}, "
            f"shaded its 95 % interval. {transfers.shortfall(tables, set(both['cell_id']))}"
        )
        words = transfers.name(row) if len(groups) > 1 else ""
        made.append(exhibit("outputs", "Number of outputs", caption, f"Line chart and dot plot. {verdict}", own, fig,
                            words))  # fmt: skip
    return made


def difference(axes, data):
    """Differences against n with both intervals, and the margin."""
    axes.axhspan(-MARGIN * 100, MARGIN * 100, color=style.QUIET, alpha=0.15, linewidth=0, zorder=0)
    axes.axhline(0, color=style.QUIET, linewidth=0.8, zorder=1)
    axes.vlines(data["depth"], data["low"] * 100, data["high"] * 100, color=style.INK, linewidth=1.1)
    axes.vlines(data["depth"], data["low90"] * 100, data["high90"] * 100, color=style.INK, linewidth=3.2)
    axes.plot(data["depth"], data["difference"] * 100, "o", color=style.INK, markersize=5)
    depth_axis(axes, data)
    reach = np.nanmax(np.abs(axes.dataLim.intervaly)) * 1.15
    axes.set_ylim(-max(reach, 1.6), max(reach, 1.6))
