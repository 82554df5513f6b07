"""Which layers are generic, transition or specific: the strip under a network's layers, and the numbers behind it."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.exhibits.transfer.recommendations import margin
from weight_atlas.reporting.exhibits.transfer.transfers import CURVE, VERDICTS, Family, stretch
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import chance, mean_text, plural, points, whole

ENDS = {
    "first": (-0.16, style.PALETTE[0]),
    "second": (0.16, style.PALETTE[1]),
}  # of breakpoints
MANY = 22  # layers: of more the strip has a column for each n that was tried alone


def rule(found: pd.DataFrame) -> str:
    """The rule by tests in words, with the margin of the rows of segments.csv."""
    most = margin(found["margin"].iloc[0])
    return (
        f"Generic: the 90 % interval of the drop D(n) below the target's base lies within ± {most} (two one-sided "
        "t-tests). Specific: the lower end of the 95 % interval of S(n), what is lost beyond a transfer from one's own "
        f"task, is above {most}, and accuracy still falls: D(n) exceeds the mean drop at all smaller n. Undecided: "
        "fewer than 3 replicates, no transfer from one's own task to compare with, or a 90 % interval of D that is "
        f"wider than ± {most} or does not lie above 0. Transition: the rest, a clear drop that is not yet specific"
    )


def other_rule(tables: Tables) -> str:
    """What the rule on accuracy is called, which stands beside that by tests."""
    return f"The rule of {transfers.reported(tables)}" if tables.document else "A rule on accuracy alone"


def on_accuracy(found: pd.DataFrame) -> str:
    """The rule on accuracy in words, with the thresholds of the rows of segments.csv."""
    generic, transition = (f"{found[name].iloc[0]:.2f}" for name in ("generic", "transition"))
    return f"above {generic} generic, {transition} as printed a transition, below specific"


class Row(NamedTuple):
    """A row of the strip: verdicts as (depth, verdict, text beneath), or the breakpoints of a curve."""

    label: str
    verdicts: Sequence[tuple[int, str, str]] = ()
    bends: pd.DataFrame = pd.DataFrame()


def judged(tables: Tables) -> pd.DataFrame:
    """segments.csv of the frozen and tuned transfers of the main setting."""
    return transfers.shown(tables, "segments").astype({"depth": int})


def strip(tables: Tables) -> list[Exhibit]:
    """Verdicts in the columns of a network's weight layers, with breakpoints and what the document says."""
    found = judged(tables)
    found = found[found["mode"] == "frozen"]
    if found.empty:
        raise NothingToShow("no frozen transfer from another task has a base of its target.")
    drops = transfers.shown(tables, "drops")
    drops = drops[drops["quantity"] == "D"].rename(columns={"mean": "drop"})
    found = found.merge(drops[[*CURVE, "depth", "drop"]], on=[*CURVE, "depth"])
    return [_strip(tables, family) for family in transfers.families(found)]


def _strip(tables: Tables, family: Family) -> Exhibit:
    network, own = family.key[0], family.rows
    layers = transfers.layers(tables, network)
    rows = _rows(tables, own, len(layers))
    columns = Columns.of(layers, own["depth"])
    fig = style.figure(0.42 * len(rows) + 1.45)
    axes = fig.subplots()
    _boxes(axes, columns.boxes)
    for at, row in enumerate(rows):
        for depth, verdict, beneath in row.verdicts:
            _cell(axes, columns.place(depth), at, verdict, beneath if columns.are_wide else "")
        for bend in row.bends.to_dict("records"):
            _bend(axes, bend, at, columns)
    _frame(axes, columns, [row.label for row in rows])
    legend = [Patch(label=f"{letter}  {name}", **_fill(name, style.QUIET)) for name, (letter, _) in VERDICTS.items()]
    marks.legend(fig, [], ncols=4, extra=legend)
    note = tables.document.get("segments", {}).get("note", "")
    added = f"Of its {len(layers)} weight layers, a column has those that its n adds (+). "
    fewer = added if len(layers) > MANY else ""
    caption = (
        f"What the first n layers of {network} are to another task: column n is about the copied layers up to "
        f"that one. Numbers are the mean drop in accuracy, in points, below the target's base (negative: transfer is "
        f"better), n = {whole(own['n'])} replicates. {fewer}{rule(own)}. "
        f"{other_rule(tables)}: {on_accuracy(own)}, on the accuracy by its own protocol, which is written beneath. "
        f"{note} {_bends_words(rows)} {transfers.shortfall(tables)}"
    )
    return transfers.exhibit("segments", "Generic, transition and specific layers", caption,
                             f"Strip of verdicts by layer. {told(own)}", own, fig, family.words)  # fmt: skip


class Columns(NamedTuple):
    """The columns of a strip, from the left: the n of each, the last of which is never copied, and what its box says.

    Of many layers there is one for each n that was tried, whose box says how many layers it adds.
    """

    depths: list[int]
    boxes: list[str]

    @classmethod
    def of(cls, layers: Sequence[tuple[str, str]], tried: Iterable[int]) -> "Columns":
        """The columns of a network's layers where these n were tried."""
        if len(layers) <= MANY:
            return cls(list(range(1, len(layers) + 1)), ["\n".join(layer) for layer in layers])
        depths = [*sorted({*tried} - {len(layers)}), len(layers)]
        return cls(depths, [f"+{depth - before}" for before, depth in itertools.pairwise([0, *depths])])

    @property
    def are_wide(self) -> bool:
        """Whether a number fits into one."""
        return len(self.depths) <= MANY

    def place(self, depth: float) -> float:
        """Where an n is, also one between columns."""
        return float(np.interp(depth, self.depths, range(1, len(self.depths) + 1)))


def _rows(tables: Tables, own: pd.DataFrame, layers: int) -> list[Row]:
    """The rows from the top: the main tasks with the breakpoints of their curves, the document's rule, and what the
    document says; then the other tasks."""
    goals = set(transfers.targets(transfers.shown(tables, "curves").query("mode == 'frozen'")))
    first, rest = [], []
    for row, part in transfers.each(own):
        verdicts = [(one.depth, one.verdict, points(one.drop)) for one in transfers.rows(part)]
        drawn = Row(transfers.name(row), verdicts)
        if row.target not in goals:
            rest.append(drawn)
            continue
        bends = transfers.of(breaks(tables), transfers.curve(row))
        rule = part[part["document_verdict"] != ""]
        texts = [style.percent(share) for share in rule["document_accuracy"]]
        ruled = list(zip(rule["depth"], rule["document_verdict"], texts, strict=True))
        bent = [Row("breakpoints", bends=bends)] if len(bends) else []
        first += [drawn, *bent, Row("document's rule" if tables.document else "by accuracy alone", ruled)]
    given = assigned(tables, own["network"].iloc[0], layers)
    said = Row("in the document", [(depth, verdict, "") for depth, verdict in given.items()])
    return [*first, *([said] if given else []), *rest]


def breaks(tables: Tables) -> pd.DataFrame:
    """breakpoints.csv, empty where no curve has depths enough."""
    try:
        return transfers.shown(tables, "breakpoints")
    except NothingToShow:
        return pd.DataFrame(columns=[*CURVE])


def assigned(tables: Tables, network: str, layers: int) -> dict[int, str]:
    """{depth: verdict} that the document gives, where it is about this architecture and as many layers; else {}."""
    given = tables.document.get("segments", {})
    architecture = transfers.settings(tables, network).network.architecture
    if given.get("architecture") != architecture or layers != given.get("layers"):
        return {}
    names = [name for name in VERDICTS if name in given]
    return {depth: name for name in names for depth in range(given[name][0], given[name][1] + 1)}


def _boxes(axes: Axes, boxes: Sequence[str]) -> None:
    """The weight layers as a row of boxes above the strip: convolutions light, linear layers darker."""
    for place, words in enumerate(boxes, 1):
        colour = "#D5D9DE" if words.startswith("fc") else "#E8EEF4"
        axes.add_patch(Rectangle((place - 0.47, -1.5), 0.94, 0.95, facecolor=colour, edgecolor=style.QUIET, lw=0.6))
        if len(boxes) <= MANY:
            axes.text(place, -1.03, words, ha="center", va="center", fontsize=9, linespacing=1.15)


def _fill(verdict: str, edge: str) -> dict[str, Any]:
    """How the box of a verdict is filled."""
    hatched = {"hatch": "////", "edgecolor": "#C8C8C8"} if verdict == "undecided" else {"edgecolor": edge}
    return {"facecolor": VERDICTS[verdict][1], "linewidth": 0.6, **hatched}


def _cell(axes: Axes, place: float, at: int, verdict: str, beneath: str) -> None:
    """One verdict: its letter on its colour, and a number beneath."""
    fill = _fill(verdict, "white")
    axes.add_patch(Rectangle((place - 0.47, at - 0.44), 0.94, 0.88, **fill))
    text = "\n".join(filter(None, [VERDICTS[verdict][0], beneath]))
    backed = {"facecolor": "white", "edgecolor": "none", "pad": 0.6} if "hatch" in fill else None
    axes.text(place, at, text, ha="center", va="center", fontsize=9, linespacing=1.1, bbox=backed, zorder=4)


def _bend(axes: Axes, row: Any, at: int, columns: Columns) -> None:
    """Two breakpoints with their intervals, at their place among the layers."""
    for name, (shift, colour) in ENDS.items():
        if math.isfinite(row[f"{name}_low"]):
            low, high = (columns.place(row[f"{name}_{end}"]) for end in ("low", "high"))
            axes.hlines(at + shift, low, high, color=colour, linewidth=1.8)
        axes.plot(columns.place(row[name]), at + shift, "D", color=colour, markersize=6, zorder=4)


def _frame(axes: Axes, columns: Columns, labels: Sequence[str]) -> None:
    """Limits, labels of rows, and n beneath; the last layer, which is never copied, is said to be fresh."""
    layers = len(columns.depths)
    axes.set_xlim(0.4, layers + 0.6)
    axes.set_ylim(len(labels) - 0.4, -1.6)
    axes.set_yticks(range(len(labels)), labels)
    every = math.ceil(layers / MANY)
    axes.set_xticks(range(1, layers + 1)[::every], [str(depth) for depth in columns.depths[::every]])
    axes.set_xlabel("n: this layer and all before it are copied")
    axes.text(layers, 0, "always\nfresh", ha="center", va="center", fontsize=9, color=style.QUIET, linespacing=1.1)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    marks.heads(axes, [at for at, label in enumerate(labels) if "→" in label])


def _bends_words(rows: Sequence[Row]) -> str:
    """A sentence on the breakpoints of the curves, where they were fitted."""
    counts = [n for row in rows if len(row.bends) for n in row.bends["n"]]
    if not counts:
        return "Two breakpoints need a curve of 7 depths, and are left out."
    few = ", coarse with so few seeds" if min(counts) < 5 else ""
    return (
        "Breakpoints (blue, orange): where three joined straight lines, fitted by least squares to the mean accuracy "
        f"over n, bend; lines are 95 % bootstrap intervals over seeds{few}."
    )


def told(data: pd.DataFrame) -> str:
    """ "A → B: generic 1–6, transition 7–8, specific 9–10; .." of verdicts."""
    return "; ".join(f"{transfers.name(row)}: {in_short(own)}" for row, own in transfers.each(data)) + "."


def in_short(own: pd.DataFrame) -> str:
    """ "generic 1–6, specific 9–10" of one curve."""
    depths = {verdict: own.loc[own["verdict"] == verdict, "depth"] for verdict in VERDICTS}
    return ", ".join(f"{verdict} {stretch(there)}" for verdict, there in depths.items() if len(there))


def table(tables: Tables) -> list[Exhibit]:
    """The numbers behind the verdicts: D with its 90 % interval and p, S with its 95 % interval."""
    found = judged(tables)
    drops = transfers.shown(tables, "drops").astype({"depth": int})
    many = len(transfers.families(found)) > 1
    rows = []
    for row in transfers.rows(found.sort_values("mode", kind="stable")):
        own = transfers.of(drops, transfers.curve(row))
        rows.append(({"network": row.network} if many else {}) | _numbers(row, own[own["depth"] == row.depth]))
    made = pd.DataFrame(rows)
    whole_ = (found["n"] == found["of"]).all()
    columns = [name for name in made if name != "done" or not whole_]
    caption = (
        "The numbers behind the verdicts, in percentage points "
        + (f"(n = {whole(found['n'])})" if whole_ else "(done: finished of requested)")
        + ": the drop D with its 90 % interval and the p-value of equivalence within one point, S ± half its 95 % "
        f"interval. {rule(found)}. {other_rule(tables)}: {on_accuracy(found)}."
    )
    alt = f"Table of {plural(len(rows), 'verdict')}. {told(found)}"
    return [Exhibit("segments-table", "Verdicts in numbers", caption, alt, made, columns=columns, behind="segments")]


def _numbers(row: Any, drops: pd.DataFrame) -> dict[str, str]:
    """A row of the table: a verdict (of segments.csv) with the drops at its n."""
    own: Any = drops.set_index("quantity").to_dict("index")
    drop = own["D"]
    low, high = points(drop["low90"]), points(drop["high90"])
    return {
        "transfer": transfers.name(row),
        "n": str(row.depth),
        "done": f"{row.n} of {row.of}",
        "D": points(drop["mean"]),
        "90 % interval": f"{low} to {high}" if math.isfinite(drop["low90"]) else "",
        "p (equivalence)": chance(drop["p_tost"]),
        "S": mean_text(own["S"], 100, 1) if "S" in own else "none",
        "verdict": row.verdict,
        "document's rule": row.document_verdict or "none",
    }
