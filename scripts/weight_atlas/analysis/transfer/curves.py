"""Curves of accuracy over the number n of copied layers: their cells, and what the replicates reached."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from weight_atlas import schema
from weight_atlas.vocabulary import CHILD_AXES

MODES = ("frozen", "tuned", "random")  # copied and frozen, copied and trained on, drawn and frozen
BASE = "base"  # the mode of a base network's own rows
KEYS = (*schema.names("cells"), *CHILD_AXES)

Row = tuple[Any, ...]
Cells = Mapping[str, Any]  # as `weight_atlas.cell_table.read` gives them
Entry = dict[str, Any]  # what a study calls a cell: one of the cell's "named"


class Curve(NamedTuple):
    """What one curve against n shares.

    setting: ((axis, label), ..) of the axes in which a study's transfers differ beside these; base and target: labels
    of data sets.
    """

    study: str
    network: str
    init: str
    optimizer: str
    setting: tuple[tuple[str, str], ...]
    base: str
    target: str
    mode: str


class Run(NamedTuple):
    """One replicate at its best validation epoch: accuracies on test, train and valid.

    course: the test accuracy of its every epoch; document: the accuracy by the document's protocol; last: that on test
    at the last epoch.
    """

    epoch: int
    accuracy: float
    train: float
    valid: float
    document: float
    last: float
    course: list[tuple[int, float]]


class Cell(NamedTuple):
    """A cell of a curve, and its role."""

    cell_id: str
    role: str


class Curves(NamedTuple):
    """The cells of each curve by depth, and the cell of its target's base (None where there is none)."""

    transfers: dict[Curve, dict[int, Cell]]
    bases: dict[Curve, str | None]


Runs = dict[str, dict[int, Run]]  # {cell_id: {seed: Run}}


def curves(cells: Cells) -> Curves:
    """The Curves of a config.

    A target's base is the grid cell of its data set with the same network, start, optimizer and axes of the study.
    Experiments that share a Curve are one, as far as they share the cells of common depths; where they do not, the
    later one's name becomes part of its setting.
    """
    entries = [(cell_id, entry) for cell_id, cell in cells.items() for entry in cell["named"]]
    derived = [(cell_id, entry) for cell_id, entry in entries if entry["role"] in ("transfer", "extra")]
    derived.sort(key=lambda pair: pair[1]["role"] == "extra")
    axes = {entry["study"]: varying(derived, entry["study"]) for _, entry in derived}
    asked: dict[tuple[Curve, str], dict[int, Cell]] = {}
    for cell_id, entry in derived:
        labels = entry["labels"]
        setting = tuple((axis, labels[axis]) for axis in axes[entry["study"]] if labels[axis])
        place = trained_as(cells, cell_id, entry)
        curve = Curve(entry["study"], *place, setting, labels["base"], labels["dataset"], labels["mode"])
        asked.setdefault((curve, labels["experiment"]), {})[int(labels["depth"])] = Cell(cell_id, entry["role"])
    transfers: dict[Curve, dict[int, Cell]] = {}
    for (curve, experiment), depths in asked.items():
        there = transfers.get(curve, {})
        if any(there[depth].cell_id != depths[depth].cell_id for depth in there.keys() & depths.keys()):
            curve = curve._replace(setting=(*curve.setting, ("experiment", experiment)))
        for depth, cell in depths.items():
            transfers.setdefault(curve, {}).setdefault(depth, cell)
    bases = {curve: base_of(curve, entries) for curve in transfers}
    return Curves({curve: dict(sorted(depths.items())) for curve, depths in transfers.items()}, bases)


def trained_as(cells: Cells, cell_id: str, entry: Entry) -> tuple[str, str, str]:
    """(network, init, optimizer) of the base of a transfer, which an axis may override for the transfer itself; its own
    where it has no base."""
    base = cells.get(cells[cell_id]["cell"].start.cell)
    for named in base["named"] if base else ():
        if named["role"] == "grid" and named["study"] == entry["study"]:
            entry = named
            break
    labels = entry["labels"]
    return labels["network"], labels["init"], labels["optimizer"]


def varying(derived: list[tuple[str, Entry]], study: str) -> list[str]:
    """The axes, beside those that every transfer has, in which a study's transfers differ."""
    labels = [entry["labels"] for _, entry in derived if entry["study"] == study]
    names = [axis for axis in labels[0] if axis not in KEYS]
    return [axis for axis in names if len({one[axis] for one in labels}) > 1]


def base_of(curve: Curve, entries: list[tuple[str, Entry]]) -> str | None:
    """The cell_id of the network that was trained on the target's data set from scratch; None where there is none."""
    wanted = {"dataset": curve.target, "network": curve.network, "init": curve.init, "optimizer": curve.optimizer}
    for cell_id, entry in entries:
        labels, of_study = entry["labels"], entry["role"] == "grid" and entry["study"] == curve.study
        same = wanted.items() <= labels.items() and all(labels[axis] in ("", label) for axis, label in curve.setting)
        if of_study and same:
            return cell_id
    return None


def outcomes(runs: pd.DataFrame, accuracy: pd.DataFrame, metrics: pd.DataFrame) -> Runs:
    """{cell_id: {seed: Run}} of the finished replicates that have an accuracy of their best validation epoch."""
    done = runs.loc[runs["status"] == "done", ["cell_id", "seed"]]
    rated = accuracy.merge(done, on=["cell_id", "seed"])
    document, last = (
        rated[rated["protocol"] == name].set_index(["cell_id", "seed"])["accuracy"].to_dict()
        for name in ("document", "last")
    )
    courses = dict(list(metrics.sort_values("epoch").groupby(["cell_id", "seed"])))
    values: Runs = {}
    best = rated[rated["protocol"] == "best_valid"]
    columns = (best[name] for name in ("cell_id", "seed", "epoch", "accuracy"))
    for cell_id, seed, epoch, reached in zip(*columns, strict=True):
        epochs = courses[cell_id, seed][courses[cell_id, seed]["epoch"] >= 1]
        row = epochs[epochs["epoch"] == epoch]
        train, valid = (float(row[f"{split}_accuracy"].iloc[0]) for split in ("train", "valid"))
        course = list(zip(epochs["epoch"].tolist(), epochs["test_accuracy"].tolist(), strict=True))
        by_document, at_end = (float(one.get((cell_id, seed), math.nan)) for one in (document, last))
        run = Run(epoch, float(reached), train, valid, by_document, at_end, course)
        values.setdefault(cell_id, {})[seed] = run
    return values


def named(curve: Curve) -> Row:
    """The first columns of every table: study, network, init, optimizer, setting as text, base, target, mode."""
    setting = " · ".join(f"{axis} {label}" for axis, label in curve.setting)
    return (*curve[:4], setting, *curve[5:])


def accuracies(values: Runs, cell_id: str | None, quantity: str = "accuracy") -> dict[int, float]:
    """{seed: value} of the finished replicates of a cell; empty where there is no such cell."""
    by_seed = {seed: getattr(run, quantity) for seed, run in values.get(cell_id or "", {}).items()}
    return {seed: value for seed, value in by_seed.items() if math.isfinite(value)}


def curve_rows(curves: Curves, values: Runs) -> list[Row]:
    """Rows of curves.csv: a replicate each; first the bases, whose mode is BASE and whose depth is empty."""
    rows: list[Row] = []
    written = set()
    for curve, cell_id in curves.bases.items():
        base = curve._replace(setting=(), base=curve.target, mode=BASE)
        if cell_id is not None and base not in written:
            written.add(base)
            rows += _replicates(base, None, Cell(cell_id, "grid"), values)
    for curve, depths in curves.transfers.items():
        for depth, cell in depths.items():
            rows += _replicates(curve, depth, cell, values)
    return rows


def _replicates(curve: Curve, depth: int | None, cell: Cell, values: Runs) -> list[Row]:
    return [
        (*named(curve), depth, cell.role, cell.cell_id, seed, *run[:5])
        for seed, run in sorted(values.get(cell.cell_id, {}).items())
    ]
