"""Exhibits on which layers are generic, transition or specific: the strip under a network's layers, and its numbers."""

import math

import pandas as pd
from matplotlib.patches import Patch, Rectangle

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.transfer import transfer_tables as transfers
from weight_atlas.reporting.exhibits.transfer.transfer_curves import exhibit
from weight_atlas.reporting.exhibits.transfer.transfer_tables import CURVE, VERDICTS, points, stretch
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import mean_text

RULE = (
    "Generic: the 90 % interval of the drop D(n) below the target's base lies within ± 1 point (two one-sided "
    "t-tests). Specific: the lower end of the 95 % interval of S(n), what is lost beyond a transfer from one's own "
    "task, is above 1 point, and accuracy still falls: D(n) exceeds the mean drop at all smaller n. Undecided: fewer "
    "than 3 replicates, no transfer from one's own task to compare with, or a 90 % interval of D that is wider than "
    "± 1 point or does not lie above 0. Transition: the rest, a clear drop that is not yet specific"
)
DOCUMENT = "above .91 generic, .90 as printed a transition, below specific"


def judged(tables):
    """segments.csv of the frozen and tuned transfers of the document's setting."""
    found = transfers.shown(tables, "segments")
    return found.astype({"depth": int})


def strip(tables):
    """Verdicts in the columns of a network's weight layers, one exhibit a family; list[Exhibit]."""
    found = judged(tables)
    found = found[found["mode"] == "frozen"]
    if found.empty:
        raise NothingToShow("no frozen transfer from another task has a base of its target.")
    drops = transfers.shown(tables, "drops")
    drops = drops[drops["quantity"] == "D"].rename(columns={"mean": "drop"})
    found = found.merge(drops[[*CURVE, "depth", "drop"]], on=[*CURVE, "depth"])
    made = []
    for key, own, words in transfers.families(tables, found):
        names = transfers.layers(tables, key[0])
        rows, bends = rows_of(tables, own, len(names.names))
        fig = style.figure(0.42 * len(rows) + 1.45)
        axes = fig.subplots()
        boxes(axes, names)
        for at, (_, verdicts, bend) in enumerate(rows):
            for depth, verdict, beneath in verdicts:
                cell(axes, depth, at, verdict, beneath)
            if bend is not None:
                bar(axes, bend, at)
        frame(axes, names, [row[0] for row in rows])
        fig.legend(handles=[swatch(verdict) for verdict in VERDICTS], ncols=4, **ABOVE)
        caption = (
            f"What the first n layers of {key[0]} are to another task: column n says it of the copied layers up to "
            f"that one, with the mean drop in accuracy, in points, below the target's base (negative: transfer is "
            f"better), paired by seed, n = {transfers.number_of(own)} replicates. {RULE}. "
            f"Document's rule: {DOCUMENT}, on the accuracy by its own protocol, which is written beneath. "
            + breakpoint_words(bends)
            + transfers.shortfall(tables)
        )
        alt = f"Strip of verdicts by layer. {told(own)}"
        made.append(exhibit("segments", "Generic, transition and specific layers", caption, alt, own, fig, words))
    return made


def rows_of(tables, own, layers):
    """(rows from the top, as (label, [(depth, verdict, text beneath)], breakpoints or None); the breakpoints shown).

    The main tasks come first, with the breakpoints of their curves, the document's rule, and what the document says.
    """
    goals = set(transfers.targets(transfers.shown(tables, "curves").query("mode == 'frozen'")))
    first = next(own.itertuples())
    rows, shown = {True: [], False: []}, [breaks(tables).head(0)]
    for row, part in transfers.each(own):
        verdicts = [(one.depth, one.verdict, points(one.drop, 1)) for one in part.itertuples()]
        rows[row.target in goals].append((transfers.name(row), verdicts, None))
        if row.target in goals:
            shown.append(of(breaks(tables), row))
            rows[True] += [("breakpoints", [], bend) for bend in shown[-1].itertuples()]
            rule = [one for one in part.itertuples() if one.document_verdict]
            rule = [(one.depth, one.document_verdict, style.percent(one.document_accuracy)) for one in rule]
            rows[True].append(("document's rule", rule, None))
    given = assigned(tables, first.network, layers)
    if given:
        rows[True].append(("in the document", [(*one, "") for one in given.items()], None))
    return rows[True] + rows[False], pd.concat(shown)


def breaks(tables):
    """breakpoints.csv, empty where no curve has depths enough."""
    try:
        return transfers.shown(tables, "breakpoints")
    except NothingToShow:
        return pd.DataFrame(columns=[*CURVE])


def of(frame, row):
    """The rows of a frame that belong to a curve, given as a named tuple."""
    if frame.empty:
        return frame
    return frame[(frame[CURVE] == [getattr(row, column) for column in CURVE]).all(axis=1)]


def assigned(tables, network, layers):
    """{depth: verdict} that the document gives, where it tells of this architecture and as many layers; else {}."""
    given = tables.document.get("segments", {})
    settings = transfers.cells(tables).set_index("network")["settings"].loc[[network]].iloc[0].network
    if given.get("architecture") != settings.architecture or layers != given.get("layers"):
        return {}
    names = [name for name in VERDICTS if name in given]
    return {depth: name for name in names for depth in range(given[name][0], given[name][1] + 1)}


def boxes(axes, names):
    """The weight layers as a row of boxes above the strip: convolutions light, linear layers darker."""
    for place, (name, size) in enumerate(zip(names.names, names.sizes, strict=True), 1):
        colour = "#E8EEF4" if name.startswith("conv") else "#D5D9DE"
        axes.add_patch(Rectangle((place - 0.47, -1.5), 0.94, 0.95, facecolor=colour, edgecolor=style.QUIET, lw=0.6))
        axes.text(place, -1.03, f"{name}\n{size}", ha="center", va="center", fontsize=9, linespacing=1.15)


def swatch(verdict):
    """The legend's entry for a verdict."""
    letter, colour = VERDICTS[verdict]
    look = {"hatch": "////", "edgecolor": "#C8C8C8"} if verdict == "undecided" else {"edgecolor": style.QUIET}
    return Patch(facecolor=colour, label=f"{letter}  {verdict}", linewidth=0.6, **look)


def cell(axes, depth, at, verdict, beneath):
    """One verdict: its letter on its colour, and a number beneath."""
    letter, colour = VERDICTS[verdict]
    hatch = "////" if verdict == "undecided" else None
    edge = "#C8C8C8" if hatch else "white"
    look = {"facecolor": colour, "edgecolor": edge, "hatch": hatch, "linewidth": 0.6}
    axes.add_patch(Rectangle((depth - 0.47, at - 0.44), 0.94, 0.88, **look))
    text = f"{letter}\n{beneath}" if beneath else letter
    backed = {"facecolor": "white", "edgecolor": "none", "pad": 0.6} if hatch else None
    axes.text(depth, at, text, ha="center", va="center", fontsize=9, linespacing=1.1, bbox=backed, zorder=4)


def bar(axes, row, at):
    """Two breakpoints with their intervals, at their place among the layers."""
    for name, shift, colour in (("first", -0.16, style.PALETTE[0]), ("second", 0.16, style.PALETTE[1])):
        value, low, high = (getattr(row, column) for column in (name, f"{name}_low", f"{name}_high"))
        if math.isfinite(low):
            axes.plot([low, high], [at + shift] * 2, color=colour, linewidth=1.8, solid_capstyle="butt")
        axes.plot(value, at + shift, "D", color=colour, markersize=6, zorder=4)


def frame(axes, names, labels):
    """Limits, labels of rows, and n beneath; the last layer, which is never copied, is said to be fresh."""
    last = len(names.names)
    axes.set_xlim(0.4, last + 0.6)
    axes.set_ylim(len(labels) - 0.4, -1.6)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xticks(range(1, last + 1), [str(place) for place in range(1, last + 1)])
    axes.set_xlabel("n: this layer and all before it are copied")
    axes.text(last, 0, "always\nfresh", ha="center", va="center", fontsize=9, color=style.QUIET, linespacing=1.1)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if "→" in label.get_text() else "normal")


def breakpoint_words(data):
    """A sentence on the breakpoints of the curves, where they were fitted."""
    if data.empty:
        return "Two breakpoints need a curve of 7 depths, and are left out. "
    words = (
        "Breakpoints (blue, orange): where three joined straight lines, fitted by least squares to the mean accuracy "
        "over n, bend; lines are 95 % bootstrap intervals over seeds"
    )
    few = ", coarse with so few seeds" if data["n"].min() < 5 else ""
    return f"{words}{few}. "


def told(data):
    """ "A → B: generic 1–6, transition 7–8, specific 9–10; .." of verdicts."""
    return "; ".join(f"{transfers.name(row)}: {in_short(own)}" for row, own in transfers.each(data)) + "."


def in_short(own, column="verdict"):
    """ "generic 1–6, specific 9–10" of one curve."""
    parts = []
    for verdict in VERDICTS:
        depths = own.loc[own[column] == verdict, "depth"]
        if len(depths):
            parts.append(f"{verdict} {stretch(depths)}")
    return ", ".join(parts)


def table(tables):
    """The numbers behind the verdicts: D with its 90 % interval and p, S with its 95 % interval; [Exhibit]."""
    found = judged(tables)
    drops = transfers.shown(tables, "drops").astype({"depth": int})
    where = [*CURVE, "depth"]
    many = len(transfers.families(tables, found)) > 1
    rows = []
    for row in found.sort_values("mode", kind="stable").itertuples():
        own = drops[(drops[where] == [getattr(row, column) for column in where]).all(axis=1)].set_index("quantity")
        drop = own.loc["D"]
        shown = {"network": row.network} if many else {}
        shown |= {"transfer": transfers.name(row), "n": str(row.depth), "done": f"{row.n} of {row.of}"}
        low, high = points(drop["low90"]), points(drop["high90"])
        shown |= {
            "D": points(drop["mean"]),
            "90 % interval": f"{low} to {high}" if math.isfinite(drop["low90"]) else "",
        }
        shown |= {"p (equivalence)": chance(drop["p_tost"])}
        shown |= {"S": mean_text(own.loc["S"], 100, 2) if "S" in own.index else "none"}
        shown |= {"verdict": row.verdict, "document's rule": row.document_verdict or "none"}
        rows.append(shown)
    frame_ = pd.DataFrame(rows)
    whole = all(row["done"].split(" of ")[0] == row["done"].split(" of ")[1] for row in rows)
    columns = [name for name in frame_ if name != "done" or not whole]
    caption = (
        "The numbers behind the verdicts, in percentage points, paired by seed"
        + (f" (n = {transfers.number_of(found)})" if whole else " (done: finished of requested)")
        + f": the drop D with its 90 % interval and the p-value of equivalence within one point, S ± half its 95 % "
        f"interval. {RULE}. The document's rule: {DOCUMENT}."
    )
    alt = f"Table of {len(rows)} verdicts. {told(found)}"
    return [Exhibit("segments-table", "Verdicts in numbers", caption, alt, frame_, columns=columns)]


def chance(p):
    """A probability: "0.013", "<0.001", empty where there is no test."""
    return "" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"
