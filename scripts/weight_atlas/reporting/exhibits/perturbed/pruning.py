"""Exhibits on pruned networks that are trained again: is a ticket a winning one, and how sparse may it be?

A ticket is the start of a network under the mask of what training made large. Frankle and Carbin 2019, "The lottery
ticket hypothesis", call it a winning one where it learns as well as the whole network, and the same mask with other
weights does not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.effects import records
from weight_atlas.reporting.exhibits.design.grid import Row, amount, share
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import PRUNE, SAME
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import MARGIN, Answer, Verdict, number, seeds_needed, settle
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, enumerated, plural
from weight_atlas.stats import Decision, Statement
from weight_atlas.vocabulary import Protocol

# (by, remaining) -> (words, colour, marker, dash)
LINES = {
    ("magnitude", "rewound"): ("ticket: largest weights, own start", style.PALETTE[0], "o", "-"),
    ("magnitude", "rerandomised"): ("the same mask, new start", style.PALETTE[1], "s", "-"),
    ("random", "rewound"): ("random mask, own start", style.PALETTE[2], "^", "-"),
    ("random", "rerandomised"): ("random mask, new start", style.PALETTE[3], "v", "-"),
    ("magnitude", "trained"): ("largest weights, as trained", style.PALETTE[0], "o", ":"),
    ("random", "trained"): ("random mask, as trained", style.PALETTE[2], "^", ":"),
}
TICKET, NEW_START, RANDOM_MASK = ("magnitude", "rewound"), ("magnitude", "rerandomised"), ("random", "rewound")
WINS = Statement(low=0.0, margin=MARGIN)  # against another start
HOLDS = Statement(low=-MARGIN)  # against the whole network
ACROSS = 2  # panels
CEILING, TICKS = 100.3, (0, 20, 50, 70, 80, 85, 90, 93, 95, 96, 97, 98, 99, 99.5, 100)  # percent


class Ladder(NamedTuple):
    """The pruned cells of one original, of one scope.

    where: words; original: its cell; control: the cell of what is trained on without pruning, "" for none; cells:
    {(by, remaining): {sparsity: cell}}; accuracy: {cell: accuracy at the last epoch by seed}, of finished replicates.
    """

    where: str
    original: str
    control: str
    cells: dict[tuple[str, str], dict[float, str]]
    accuracy: "dict[str, pd.Series[float]]"

    def values(self, cell: str) -> "pd.Series[float]":
        return self.accuracy.get(cell, pd.Series(dtype=float))

    def less(self, cell: str, other: str) -> Row:
        """The accuracy of a cell less that of another one, seed by seed."""
        return grid.tested(stats.blocked_difference(self.values(other), self.values(cell)))


def ladders(tables: Tables) -> list[Ladder]:
    """The pruned cells of a study; NothingToShow without a finished one."""
    own, found = families.perturbed(tables), families.family(tables)
    ends = pd.concat([tables.done("accuracy"), own.done("accuracy")])
    ends = ends[ends["protocol"] == Protocol.LAST]
    by = {str(cell): rows.set_index("seed")["accuracy"] for cell, rows in ends.groupby("cell_id")}
    pruned = found[found["what"] == PRUNE]
    if not any(cell in by for cell in pruned["cell_id"]):
        raise NothingToShow("no pruned replicate has finished.")
    steps: dict[str, Any] = {cell: own.settings[cell].start.pruning for cell in pruned["cell_id"]}
    pruned = pruned.assign(part=[_part(steps[cell]) for cell in pruned["cell_id"]])
    made = []
    for (branch, part), rows in pruned.groupby(["branch", "part"], sort=False):
        cells: dict[tuple[str, str], dict[float, str]] = {}
        for cell, step in ((cell, steps[cell]) for cell in rows["cell_id"]):
            cells.setdefault((step["by"], step["remaining"]), {})[float(step["sparsity"])] = cell
        first = rows.iloc[0]
        same = found.loc[(found["branch"] == branch) & (found["what"] == SAME), "cell_id"]
        words = [f"{first['network']} on {first['dataset']}"]
        words += [str(first["name"])] * (found["name"].nunique() > 1) + [str(part)] * (pruned["part"].nunique() > 1)
        made.append(Ladder(", ".join(words), first["parent"], next(iter(same), ""), cells, by))
    return made


def _part(step: Mapping[str, Any]) -> str:
    """What is ranked together: "pruned layer by layer", "pruned over all layers", "pruned over all of conv1"."""
    layers = enumerated(step["layers"] or [])
    if step["tensors"] == "convolutions":
        layers = f"the convolutions{' of ' if layers else ''}{layers}"
    if step["scope"] == "global":
        return f"pruned over all{' of' if layers else ''} {layers or 'layers'}"
    return f"pruned layer by layer{', ' if layers else ''}{layers}"


# ------------------------------------------------------------------------------------------- figure


def pruning(tables: Tables) -> list[Exhibit]:
    """Accuracy over sparsity, a line for each kind of mask and start, a panel for each original."""
    found = ladders(tables)
    data = pd.DataFrame([row for one in found for row in _means(one)])
    pruned = families.family(tables)
    seen = _seen(data)
    caption = (
        f"{seen} Test accuracy at the last epoch after a share of the weights was set to zero for good and the others "
        "were trained again: means over the finished replicates. The horizontal axis is logarithmic in the weights "
        f"that remain, the vertical one in the error. {intervals('Vertical lines', data)} Dashed: the original, with "
        "nothing pruned, its interval shaded. A ticket keeps the weights that training made largest, and goes back to "
        "the original's own start; the same mask with a new start is its control (Frankle and Carbin 2019). Biases and "
        f"normalisations are never pruned. {families.shortfall(tables, pruned[pruned['what'] == PRUNE])}"
    )
    return [Exhibit("pruning", "Accuracy over sparsity", caption, f"Line charts. {seen}", data, _figure(found, data))]


def _seen(data: pd.DataFrame) -> str:
    """A sentence on the first and the last rung of each ladder, of tickets where there are any."""
    told = []
    for where, own in data[data["sparsity"] > 0].groupby("where", sort=False):
        lines = own.groupby(["mask", "remaining"], sort=False)
        line = TICKET if TICKET in lines.groups else next(iter(lines.groups))
        rungs = records(lines.get_group(line).sort_values("sparsity"))
        ends = [f"{share(row)} with {_pruned(row)} pruned" for row in (rungs[:1] + rungs[1:][-1:])]
        told.append(f"{where}: {LINES[line][0].partition(':')[0]}, {' and '.join(ends)}.")
    return " ".join(told)


def _means(ladder: Ladder) -> Iterator[Row]:
    """The mean accuracy of the original, of its control and of every pruned cell that finished."""
    front = {"where": ladder.where, "mask": "", "remaining": "", "sparsity": 0.0}
    named = [(front | {"remaining": "original"}, ladder.original), (front | {"remaining": "trained"}, ladder.control)]
    for (by, remaining), rungs in ladder.cells.items():
        named += [
            (front | {"mask": by, "remaining": remaining, "sparsity": sparsity}, rungs[sparsity])
            for sparsity in sorted(rungs)
        ]
    for names, cell in named:
        row = grid.interval(ladder.values(cell))
        if row["n"]:
            yield {**names, "cell_id": cell, **{key: row[key] for key in ("n", "mean", "low", "high")}}


def _figure(found: Sequence[Ladder], data: pd.DataFrame) -> Figure:
    across = min(ACROSS, len(found))
    down = -(-len(found) // across)
    fig = style.figure(2.9 * down + 0.9)
    grid_ = fig.subplots(down, across, squeeze=False)
    for axes in grid_.flat[len(found) :]:
        axes.set_visible(False)
    for axes, ladder in zip(grid_.flat, found, strict=False):
        _panel(axes, data[data["where"] == ladder.where])
        axes.set_title(ladder.where if len(found) > 1 else "")
    for axes in grid_[:, 0]:
        axes.set_ylabel("test accuracy (%)")
    marks.legend(fig, list(grid_.flat)[: len(found)], ncols=2)
    return fig


def _panel(axes: Axes, data: pd.DataFrame) -> None:
    for row in data[data["remaining"] == "original"].to_dict("records"):
        marks.level(axes, row, "the original, nothing pruned", 100)
    pruned = data[data["sparsity"] > 0].assign(left=1 - data["sparsity"])
    for (by, remaining), (words, colour, marker, dash) in LINES.items():
        own = pruned[(pruned["mask"] == by) & (pruned["remaining"] == remaining)]
        if len(own):
            marks.points(axes, own, "left", scale=100, bounds=SHARE, label=words, color=colour, marker=marker,
                         linestyle=dash)  # fmt: skip
    places = sorted(set(pruned["left"]))
    axes.set(xscale="log", xlim=(places[-1] * 1.25, places[0] / 1.25), xlabel="weights pruned (%)")
    axes.xaxis.set_ticks(places, [f"{100 * (1 - left):.4g}" for left in places])
    axes.xaxis.set_minor_formatter("")
    axes.set_yscale("function", functions=(_up, _down))
    seen = 100 * data[["mean", "low", "high"]].clip(0, 1).to_numpy(float)
    low, high = max(-2.0, float(np.nanmin(seen)) - 5), CEILING - 0.6 * (CEILING - float(np.nanmax(seen)))
    axes.set_ylim(low, high)
    axes.set_yticks([tick for tick in TICKS if low < tick < high])


def _up(accuracy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Where an accuracy in percent stands: by the logarithm of the error, from CEILING on, so that 100 has a place."""
    return np.asarray(-np.log10(np.maximum(CEILING - np.asarray(accuracy), 0.01)))


def _down(place: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(CEILING - 10 ** -np.asarray(place))


# ------------------------------------------------------------------------------------------- differences


def differences(ladder: Ladder) -> list[Row]:
    """What a ticket has more than the others at each sparsity, in its order.

    Returns
    -------
    list of dict
        sparsity; start, mask, whole: the difference to the same mask with a new start, to a random mask, and to the
        original (`grid.tested`; n = 0 where there is none); p: of the test that it wins, the larger one of those
        against a new start and against the original (an intersection-union test), corrected by Holm over sparsities;
        decision: of `stats`, at this sparsity alone.
    """
    rows: list[Row] = []
    for sparsity, cell in sorted(ladder.cells.get(TICKET, {}).items()):
        beside = [ladder.cells.get(line, {}).get(sparsity, "") for line in (NEW_START, RANDOM_MASK)]
        start, mask, original = (ladder.less(cell, other) for other in (*beside, ladder.original))
        tests = [statement.tests(*_evidence(row)) for statement, row in ((WINS, start), (HOLDS, original))]
        decision = Decision(str(stats.decide([one.for_it for one in tests], [one.against_it for one in tests])))
        p = max(float(one.for_it) for one in tests)
        rows.append({"sparsity": sparsity, "start": start, "mask": mask, "whole": original, "p": p,
                     "decision": decision})  # fmt: skip
    return [row | {"p": p} for row, p in zip(rows, stats.holm([row["p"] for row in rows]), strict=True)]


def _evidence(row: Row) -> tuple[float, float, float]:
    """The mean, its standard error and the degrees of freedom of a difference with an interval of 95 %."""
    half = (row["high"] - row["low"]) / 2
    return row["mean"], half / stats.t_quantile(0.975, row["n"] - 1) if row["n"] > 1 else float("nan"), row["n"] - 1


def table(tables: Tables) -> list[Exhibit]:
    """What tickets have more than their controls, by sparsity, as a table."""
    rows = []
    for ladder in ladders(tables.learnt()):
        for row in differences(ladder):
            cell = ladder.cells[TICKET][row["sparsity"]]
            rows.append({
                "network and data set": ladder.where,
                "pruned": _pruned(row),
                "ticket": share(grid.interval(ladder.values(cell))),
                "less the same mask, new start": amount(row["start"], unit=""),
                "less a random mask": amount(row["mask"], unit=""),
                "less the original": amount(row["whole"], unit=""),
                "p of winning": "<0.001" if row["p"] < 0.001 else f"{row['p']:.3f}",
            })  # fmt: skip
    if not rows:
        raise NothingToShow("no cell is a ticket: pruned by magnitude, with the remaining weights rewound.")
    found = pd.DataFrame(rows)
    caption = (
        "Test accuracy of each ticket, and what it has more than the same mask with a new start, than a random mask "
        "and than the original, in percentage points, seed by seed, with 95 % intervals. It wins where it has more "
        "than with a new start, and lies less than one point below the original: p is the larger one of the two "
        "one-sided tests, corrected for all sparsities (Holm); 0.025 counts as clear."
    )
    alt = f"Table of {plural(len(found), 'ticket')}."
    return [Exhibit("pruning-table", "Tickets in numbers", caption, alt, found, behind="pruning")]


# ------------------------------------------------------------------------------------------- answer


def answer(tables: Tables) -> list[Answer]:
    """Is a ticket a winning one? By original."""
    found = [(ladder, differences(ladder)) for ladder in ladders(tables)]
    return [_told(ladder, rows) for ladder, rows in found if rows] or [_without_tickets(found[0][0])]


def _without_tickets(ladder: Ladder) -> Answer:
    kinds = ", ".join(LINES[line][0] for line in ladder.cells)
    return Answer(f"No cell is a ticket, pruned by magnitude and rewound (there are: {kinds}).", Verdict.UNDECIDED)


def _told(ladder: Ladder, rows: Sequence[Row]) -> Answer:
    """Yes where a ticket wins at some sparsity after correction; no where each is shown not to; else undecided."""
    won = [row for row in rows if row["p"] <= stats.LEVEL]
    lost = all(row["decision"] == Decision.CONTRADICTED for row in rows)
    verdict = Verdict.YES if won else Verdict.NO if lost else Verdict.UNDECIDED
    shown = won[-1] if won else min(rows, key=lambda row: (row["p"], -row["sparsity"]))
    said = {
        Verdict.YES: f"Tickets win with {enumerated([_pruned(row) for row in won])} of the weights pruned",
        Verdict.NO: "No ticket wins",
        Verdict.UNDECIDED: "No ticket clearly wins, and not all clearly fail",
    }[verdict]
    beside = {
        "start": "the same mask with a new start",
        "whole": "the original",
        "mask": "a random mask",
    }
    parts = [f"{amount(shown[name])} against {words}" for name, words in beside.items() if shown[name]["n"]]
    told = enumerated(parts) or "nothing to be compared with"
    numbers = tuple(
        number(f"ticket less {words}, {ladder.where}, {_pruned(shown)} pruned", shown[name], amount(shown[name]))
        for name, words in beside.items()
        if shown[name]["n"]
    )
    pair = [shown["start"], shown["whole"]]
    sure = (
        f"one-sided tests at {stats.LEVEL:g}, corrected by Holm for {plural(len(rows), 'ticket')}, {grid.seeds(pair)}"
    )
    needed = settle(seeds_needed(pair)) if ladder.cells.get(NEW_START) else "new starts (remaining: rerandomised)"
    decide = needed if verdict is Verdict.UNDECIDED else ""
    sentence = f"{said}. With {_pruned(shown)} pruned a ticket has {told}."
    return Answer(sentence, verdict, ladder.where, numbers, sure, decide)


def _pruned(row: Row) -> str:
    return f"{100 * row['sparsity']:.4g} %"
