"""Exhibits and answers of training in stages: the course with its stages, and cells of several experiments compared."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.effects import MOST, records
from weight_atlas.reporting.exhibits.design.grid import Row, prefix
from weight_atlas.reporting.exhibits.design.starts import start
from weight_atlas.reporting.exhibits.runs import course as courses
from weight_atlas.reporting.exhibits.runs.runs import HEADINGS, PROTOCOLS, intervals, of_asked, shortfall
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import MARGIN, Answer, Verdict, is_clear, number, weighed
from weight_atlas.reporting.grammar.dots import whole
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, joined
from weight_atlas.reporting.grammar.words import DIFFERENCE, SHARE, enumerated, mean_text, plural, points
from weight_atlas.settings import Settings
from weight_atlas.shapes import Experiment

DRAWN = 8  # cells in one figure of courses
NAMED = 3  # cells that a caption tells one by one
# Published data sets whose test images others may have been trained on, by what their ids begin with.
OVERLAPS = {
    "cinic": "CINIC-10's test images hold CIFAR-10's and 70,000 of ImageNet's: weights from either may have been "
    "trained on the very images, so that the comparison flatters them."
}


def overlap(found: Tables) -> str:
    """A sentence where cells start from trained weights that may know their test images; otherwise empty."""
    for cell in found.cells["cell_id"]:
        settings = found.settings[cell]
        if not settings.start.is_drawn:
            for name, text in OVERLAPS.items():
                if settings.dataset_id.startswith(name):
                    return text
    return ""


# ------------------------------------------------------------------------------------------- stages


def labelled(tables: Tables, experiment: Experiment) -> Tables:
    """The cells of an experiment with the column `curve`: what tells them apart, or the network of the only one."""
    found: Tables = grid.cells_of(tables, experiment).part()
    named = joined(found.cells, grid.columns(experiment))
    found.cells = found.cells.assign(curve=named.where(named.ne(""), found.cells["network"]))
    return found


def unfrozen(found: Tables) -> pd.DataFrame:
    """One row per finished replicate and stage after the first that it reached: cell_id, seed, stage, epoch (the first
    of the stage), valid_jump and test_jump: accuracy in that epoch less that in the last epoch of the stage before."""
    metrics = found.done("metrics").sort_values(["cell_id", "seed", "epoch"])
    metrics = metrics[metrics["epoch"] >= 1]
    before = metrics.groupby(["cell_id", "seed"])[["stage", "valid_accuracy", "test_accuracy"]].shift()
    first = metrics["stage"].gt(before["stage"])
    jumps: pd.DataFrame = metrics.loc[first, ["cell_id", "seed", "stage", "epoch"]].assign(
        valid_jump=(metrics["valid_accuracy"] - before["valid_accuracy"])[first],
        test_jump=(metrics["test_accuracy"] - before["test_accuracy"])[first],
    )
    return jumps


def course(tables: Tables, experiment: Experiment) -> list[Exhibit]:
    """Accuracy and loss by epoch of each cell, with the epoch at which each further stage begins."""
    found = labelled(tables, experiment)
    names = found.values("curve")
    jumps = _named(found)

    def mark(name: str, panels: Sequence[Axes]) -> None:
        for epoch, own in jumps[jumps["curve"] == name].groupby("epoch"):
            for axes in panels:
                axes.axvline(float(str(epoch)) - 0.5, color=style.INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
            change = points(grid.interval(own["valid_jump"])["mean"])
            beside: dict[str, Any] = {"transform": panels[0].get_xaxis_transform(), "ha": "right", "va": "bottom"}
            panels[0].text(float(str(epoch)) - 0.6, 0.02, f"{change} points", fontsize=9, **beside)

    few = f" The first {DRAWN} of {len(names)} cells; the table has all." if len(names) > DRAWN else ""
    dashed = " A dashed line is where a stage begins, with what its first epoch adds to validation accuracy."
    told = f"{grid.told('Accuracy and loss by epoch', found)}{_schedules(found)}."
    told += (dashed if len(jumps) else "") + few + _ended(found)
    made: list[Exhibit] = courses.course(
        found, "curve", names[:DRAWN], name=f"{prefix(experiment)}-course", title="Training by stages" if len(jumps)
        else "Training", told=" ".join(filter(None, [told, overlap(found)])), after=mark,
    )  # fmt: skip
    return made


def _schedules(found: Tables) -> str:
    """What the cells start from and their stages, where they all have the same; otherwise empty."""
    words = {f", from {start(found.settings[cell])}{_schedule(found, cell)}" for cell in found.cells["cell_id"]}
    return words.pop() if len(words) == 1 else ""


def _schedule(found: Tables, cell: str) -> str:
    """ ": 10 epochs with 16 layers frozen at a learning rate of 0.001, then .."; empty of one stage."""
    parts = [
        f"{plural(int(one['epochs']), 'epoch')} with {one['frozen']} frozen"
        + (f" at a learning rate of {one['learning rate']}" if one["learning rate"] else "")
        for one in _stages(found, cell)
    ]
    return f": {', then '.join(parts)}" if len(parts) > 1 else ""


def _stages(found: Tables, cell: str) -> list[dict[str, str]]:
    """The stages of a cell in words: stage, epochs, frozen, and the learning rates that its runs had."""
    made, metrics = [], found.done("metrics")
    for stage, one in enumerate(found.settings[cell].stages):
        count = len(one.frozen) if isinstance(one.frozen, list) else one.frozen
        rates = metrics.loc[(metrics["cell_id"] == cell) & (metrics["stage"] == stage), "rate"].dropna()
        ends = dict.fromkeys(grid.plain(rate) for rate in (rates.max(), rates.min())) if len(rates) else {}
        row = {"stage": str(stage + 1), "epochs": str(one.epochs), "learning rate": " to ".join(ends)}
        made.append(row | {"frozen": plural(count, "layer") if count else "no layer"})
    return made


def _ended(found: Tables) -> str:
    """A sentence where runs ended before the epochs that were asked for; otherwise empty."""
    runs = found.done("metrics")
    last = runs.groupby(["cell_id", "seed"])["epoch"].max().reset_index()
    asked = last["cell_id"].map({cell: found.settings[cell].epochs for cell in found.cells["cell_id"]})
    early = last.loc[last["epoch"] < asked, "epoch"]
    if early.empty:
        return ""
    count = f"{len(early)} of {plural(len(last), 'run')} ended by themselves"
    return f" {count} after {' to '.join(map(str, dict.fromkeys((int(early.min()), int(early.max())))))} epochs."


def table(tables: Tables, experiment: Experiment) -> list[Exhibit]:
    """Every stage of every cell in numbers."""
    found = labelled(tables, experiment)
    metrics, jumps = found.done("metrics"), unfrozen(found)
    ends = metrics[metrics["epoch"] == metrics.groupby(["cell_id", "seed", "stage"])["epoch"].transform("max")]
    made = []
    for cell in records(found.cells):
        for at, stage in enumerate(_stages(found, cell["cell_id"])):
            place = (cell["cell_id"], at)
            last, change = _mean(ends, place, "valid_accuracy"), _mean(jumps, place, "valid_jump")
            made.append({"cell": cell["curve"], **stage, "validation at its end": last, "its first epoch adds": change})
    frame = pd.DataFrame(made)
    if frame["stage"].eq("1").all():
        raise NothingToShow("no cell of it is trained in several stages.")
    caption = (
        "The stages of every cell: validation accuracy in percent at the end of each, and what its first epoch adds to "
        f"that of the stage before, in points; means ± half their 95 % interval. {shortfall(found)}"
    )
    alt = f"Table of {plural(len(frame), 'stage')}."
    name, behind = (f"{prefix(experiment)}-{kind}" for kind in ("stages", "course"))
    return [Exhibit(name, "Stages in numbers", caption, alt, frame, behind=behind)]


def _mean(frame: pd.DataFrame, place: tuple[str, int], column: str) -> str:
    """The mean of a column in a stage of a cell, empty where there is none."""
    own = frame.loc[(frame["cell_id"] == place[0]) & (frame["stage"] == place[1]), column]
    mean = grid.interval(own)
    return mean_text(mean, 100, 1, bounds=DIFFERENCE if column == "valid_jump" else SHARE) if mean["n"] else ""


# ------------------------------------------------------------------------------------------- compared


class Cell(NamedTuple):
    """A cell of one of several experiments: what it is called, its Tables of one, `grid.reached` of it."""

    experiment: str
    name: str
    found: Tables
    rows: pd.DataFrame

    @property
    def settings(self) -> Settings:
        return self.found.settings[self.found.cells["cell_id"].iloc[0]]


def gathered(tables: Tables, experiments: Sequence[str]) -> list[Cell]:
    """The cells of several experiments in their order, each with its finished replicates.

    Raises
    ------
    NothingToShow
        Where the config asks for one of the experiments not at all, or none of its replicates finished.
    """
    made = []
    for name in experiments:
        found = grid.part(tables, name)
        several = [axis for axis in ("dataset", "network") if found.cells[axis].nunique() > 1]
        labels = joined(found.cells, [*several, *found.axes] or ["network"])
        for cell, words in zip(found.cells["cell_id"], labels, strict=True):
            part = found.part(cell_id=cell)
            made.append(Cell(name, f"{name} ({words})", part, grid.reached(part)))
    return made


def chosen(tables: Tables, experiments: Sequence[str]) -> Cell:
    """The cell of several experiments with the highest mean validation accuracy at its best epoch, over the replicates
    that learnt. Test images have no part in the choice, so that its test accuracy is not flattered by it.

    Raises
    ------
    NothingToShow
        Where no replicate of them has finished and learnt.
    """
    sound = tables.learnt()
    named = zip(sound.cells["experiment"], sound.cells["cell_id"], strict=True) if "experiment" in sound.cells else ()
    every, done = sound.only(cell for name, cell in named if name in experiments), set(sound.done("metrics")["cell_id"])
    pairs = zip(every.cells["cell_id"], every.cells["label"], strict=True)
    labels = {cell: label for cell, label in pairs if cell in done}
    if not labels:
        raise NothingToShow(f"no replicate of {enumerated(list(experiments))} has finished and learnt.")
    rows = grid.reached(sound.only(labels))
    means = rows.groupby("cell_id")["valid_accuracy"].mean()
    best = max(labels, key=lambda cell: float(means[cell]))
    name = f"best of {plural(len(labels), 'cell')} on validation ({labels[best]})"
    return Cell(str(experiments[0]), name, sound.only([best]), rows[rows["cell_id"] == best])


def differences(cells: Sequence[Cell]) -> list[Row]:
    """Test accuracy at the best validation epoch of each cell less that of the first, paired by seed: name, n, mean,
    low, high, p, q."""
    first, *others = cells
    rows = [{"name": cell.name, **grid.paired(first.rows, cell.rows, "best_valid")} for cell in others]
    return grid.corrected(rows)


def compared(
    tables: Tables, *, experiments: Sequence[str], reported: str = "", best: Sequence[str] = ()
) -> list[Exhibit]:
    """Test accuracy of the cells of several experiments by three protocols.

    Parameters
    ----------
    experiments : sequence of str
        Their names, the one first that the others are compared with.
    reported : str
        The part of the document's numbers that has {experiment: {"test": share}}.
    best : sequence of str
        Experiments whose best cell on validation the others are compared with too.
    """
    every = gathered(tables, experiments)
    verdicts, asked = _of_all(tables.learnt(), experiments, best), len(every)
    every += [chosen(tables, best)] if best else []
    cells, given = every[:MOST], tables.document.get(reported, {})
    fig = style.figure(0.4 * len(cells) + 1.15)
    axes = fig.subplots()
    marks.shade([axes], len(cells))
    made = []
    for at, cell in enumerate(cells):
        for place, (protocol, (words, marker, colour)) in enumerate(PROTOCOLS.items()):
            row = grid.interval(cell.rows[protocol])
            made.append({"experiment": cell.experiment, "cell": cell.name, "protocol": protocol, **row})
            if row["n"]:
                marks.dot(axes, at + 0.24 * (place - 1), row, words, marker, colour, scale=100.0, bounds=(0.0, 1.0))
        if "test" in given.get(cell.experiment, {}) and at < asked:
            axes.plot(given[cell.experiment]["test"] * 100, at, "|", color="black", markersize=22, markeredgewidth=2.2,
                      zorder=4)  # fmt: skip
    axes.set_yticks(range(len(cells)), [cell.name for cell in cells])
    axes.set_xlabel("test accuracy (%)")
    line = marks.entry("in the document (one run)", linestyle="", marker="|", color="black", markersize=11,
                       markeredgewidth=2.2)  # fmt: skip
    marks.legend(fig, [axes], ncols=2, extra=[line] if given else [])
    data = pd.DataFrame(made)
    few = f"The first {MOST} of {len(every)} cells; the table has all." if len(every) > MOST else ""
    caption = " ".join(
        [
            f"Test accuracy of {enumerated(list(experiments))}{', and what the document reports' if given else ''}.",
            *(one.statement for one in verdicts),
            few,
            intervals("Lines", data),
            _overlaps(every),
        ]
    )
    alt = f"Dot plot of {plural(len(cells), 'cell')} by three protocols. {' '.join(one.statement for one in verdicts)}"
    title = f"{enumerated(list(experiments))} compared"
    return [Exhibit("compared", title, caption, alt, data, fig)]


def _overlaps(cells: Sequence[Cell]) -> str:
    """That test images may be known to some of the cells."""
    return " ".join(dict.fromkeys(filter(None, (overlap(cell.found) for cell in cells))))


def _verdicts(cells: Sequence[Cell]) -> list[Answer]:
    """For each cell but the first whether it is better; of more than three only those that are clear."""
    rows = [row for row in differences(cells) if row["n"]]
    shown = rows if len(rows) <= NAMED else [row for row in rows if is_clear(row)]
    told = [_better(row, cells[0].name) for row in shown]
    if len(rows) > NAMED:
        sure = f"q < {grid.LEVEL}, {grid.seeds(rows)}"
        told.append(Answer(f"{len(shown)} of {len(rows)} cells differ clearly from {cells[0].name}.", sure=sure))
    return told


def _of_all(tables: Tables, experiments: Sequence[str], best: Sequence[str]) -> list[Answer]:
    """`_verdicts` of the cells of some experiments, and of all but the first against the best cell of others."""
    cells = gathered(tables, experiments)
    return [*_verdicts(cells), *(_verdicts([chosen(tables, best), *cells[1:]]) if best else [])]


def _better(row: Row, other: str) -> Answer:
    """Whether a cell is better than another, by their difference."""
    verdict = weighed([row], MARGIN, 1)
    words = {
        Verdict.YES: "is clearly above",
        Verdict.PARTLY: "is clearly, by less than one point, above",
        Verdict.NO: "is clearly below" if is_clear(row, -1) else "is not a point above",
        Verdict.UNDECIDED: "is clearly below" if is_clear(row, -1) else "cannot be told from",
    }
    change = grid.amount(row)
    text = f"{row['name']} {words[verdict]} {other} in test accuracy (best validation epoch): {change}, paired by seed."
    numbers = (number(f"{row['name']} less {other}", row, change),)
    return Answer(text, verdict, "", numbers, *grid.certainty([row], verdict))


def compared_table(tables: Tables, *, experiments: Sequence[str], reported: str = "") -> list[Exhibit]:
    """The cells of several experiments in numbers; those of which the study has none are left out.

    Parameters
    ----------
    experiments, reported
        As of `compared`.
    """
    given, made, total = tables.document.get(reported, {}), [], 0
    for name in experiments:
        try:
            cells = gathered(tables, [name])
        except NothingToShow:
            continue
        for cell in cells:
            status = cell.found.status().iloc[0]
            row = {"cell": cell.name, "start": start(cell.settings)}
            row |= {"parameters": str(cell.found.cells["parameters"].iloc[0]), "done": of_asked(status)}
            for column, heading in (*HEADINGS.items(), ("train_accuracy", "train"), ("gap", "gap")):
                mean = grid.interval(cell.rows[column])
                bounds = DIFFERENCE if column == "gap" else SHARE
                row[heading] = mean_text(mean, 100, 1, bounds=bounds) if mean["n"] else "none"
            total += not whole(status)
            one = given.get(name, {}).get("test")
            made.append(row | {"document": "none" if one is None else style.percent(one, 2)})
    if not made:
        raise NothingToShow(f"the config asks for none of {enumerated(list(experiments))}.")
    frame = pd.DataFrame(made)
    same = {"done": not total, "document": not given}
    columns = [name for name in frame if not same.get(str(name))]
    caption = (
        "Accuracy in percent, mean ± half its 95 % interval over the finished replicates: on test by three protocols, "
        "on training images at the last epoch, and the gap at the last epoch in points"
        + ("; in the last column what the document reports of one run." if given else ".")
    )
    title = f"{enumerated(list(experiments))} in numbers"
    alt = f"Table of {plural(len(made), 'cell')}."
    return [Exhibit("compared-table", title, caption, alt, frame, columns=columns, behind="compared")]


# ------------------------------------------------------------------------------------------- answers


def answer(tables: Tables, experiment: Experiment) -> list[Answer]:
    """What the first epoch of the second stage changes, what it begins with, and at which rate.

    Raises
    ------
    NothingToShow
        Where no run has reached a second stage.
    """
    found = labelled(tables, experiment)
    told = _told(_named(found))
    if not told:
        raise NothingToShow("no run has reached a second stage.")
    return [*told, *_between(found)]


def _between(found: Tables) -> list[Answer]:
    """For each cell a sentence on validation accuracy at the end of its first stage, and on the rate of the second."""
    metrics, made = found.done("metrics"), []
    for cell in records(found.cells):
        own, stages = metrics[metrics["cell_id"] == cell["cell_id"]], _stages(found, cell["cell_id"])
        first, rates = own[own["stage"] == 0], own.groupby("stage")["rate"].max()
        if len(stages) < 2 or 1 not in rates:
            continue
        ends = grid.interval(first[first["epoch"] == first["epoch"].max()].set_index("seed")["valid_accuracy"])
        front = "At" if len(found.cells) == 1 else f"{cell['curve']}: at"
        text = (
            f"{front} the end of the first stage ({stages[0]['frozen']} frozen) validation accuracy is "
            f"{grid.share(ends)}. The second stage begins at a learning rate of {grid.plain(rates[1])}, "
            f"{_part(rates[1] / rates[0])} of the first."
        )
        told = (number("validation accuracy at the end of the first stage", ends, grid.share(ends)),)
        made.append(Answer(text, numbers=told))
    return made if len(made) <= NAMED else []


def _part(ratio: float) -> str:
    """ "1/100" or "1.5 times that" as a part of something; "that" of the same."""
    if np.isclose(ratio, 1):
        return "that"
    return f"1/{1 / ratio:.3g}" if ratio < 1 else f"{ratio:.3g} times that"


def _named(found: Tables) -> pd.DataFrame:
    """`unfrozen` with the column `curve`."""
    return unfrozen(found).merge(found.cells[["cell_id", "curve"]], on="cell_id")


def _told(jumps: pd.DataFrame) -> list[Answer]:
    """An answer per cell on the first epoch of its second stage."""
    own = [(str(name), rows) for name, rows in jumps[jumps["stage"] == 1].groupby("curve", sort=False)]
    found = grid.corrected([grid.interval(rows["valid_jump"]) for _, rows in own])
    return [_jump(name if len(own) > 1 else "", row, rows) for row, (name, rows) in zip(found, own, strict=True)]


def _jump(name: str, valid: Row, rows: pd.DataFrame) -> Answer:
    """What the second stage does at once to validation accuracy, and beside it to test accuracy."""
    verdict, test = weighed([valid], MARGIN), grid.interval(rows["test_jump"])
    clear = "clearly raises" if is_clear(valid, 1) else "clearly lowers" if is_clear(valid, -1) else ""
    how = {Verdict.NO: "does not change {} by a point", Verdict.UNDECIDED: "does not clearly change {}"}
    words = how.get(verdict, f"{clear} {{}}").format("validation accuracy")
    change = [grid.amount(one) for one in (valid, test)]
    text = f"In its first epoch the second stage {words}: {change[0]} (test accuracy: {change[1]})."
    numbers = tuple(
        number(f"{split} accuracy, first epoch of the second stage less the epoch before", row, words)
        for split, row, words in zip(("validation", "test"), (valid, test), change, strict=True)
    )
    return Answer(text, verdict, name, numbers, *grid.certainty([valid], verdict))


def compared_answer(tables: Tables, *, experiments: Sequence[str], best: Sequence[str] = ()) -> list[Answer]:
    """Whether cells of some experiments are better than those of the first.

    Parameters
    ----------
    experiments, best
        As of `compared`.
    """
    told, seen = _of_all(tables, experiments, best), _overlaps(gathered(tables, experiments))
    if not told:
        raise NothingToShow("no seed of two of the cells has finished.")
    return [*told, *(Answer(text) for text in [seen] if text)]
