"""The cells of a config, from its cells.csv. No torch, no pandas."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from weight_atlas import folders, schema
from weight_atlas.settings import Settings
from weight_atlas.text import printable
from weight_atlas.vocabulary import Role

# The columns of cells.csv that are read here, and the most replicates that a cell has.
NEEDED = ("cell_id", "study", "kind", "role", "replicates", "blocks", "card", "group", "cell")
MOST = 1_000_000

# The keys of a cell's training that say what is recorded, and change nothing else.
RECORDED = ("track", "keep_optimizer")

# The roles of cells that start from another trained cell and are compared with it, and not with one another.
DERIVED = ("perturbed", "control", "transfer", "extra")


class Named(TypedDict):
    """What one study calls a cell. labels: {axis: label}; against: {axis: the labels that its own is compared with}, of
    axes with so many that not all pairs are compared."""

    study: str
    kind: str
    role: str
    labels: dict[str, str]
    against: dict[str, list[str]]


class Cell(TypedDict):
    """One cell of a config.

    blocks: the directories of its replicates; cell: its settings, resolved; checkpoints: {name: epoch}, or {"match":
    cell, "by": metric, "epochs": {name: epoch}}; measures: those that some study asks for by name; named: one entry per
    study.
    """

    blocks: list[str]
    seeds: list[int]
    card: str
    group: str
    cell: Settings
    checkpoints: dict[str, Any]
    measures: list[str]
    named: list[Named]


class GroupedCell(Cell):
    """A cell of one measure group, with its id."""

    cell_id: str


class Sweep(NamedTuple):
    """A cell of a study's grid whose learning rate is tuned: its id, and all cells of its sweep, {factor on the rate:
    id}, its own first."""

    study: str
    experiment: str
    cell_id: str
    rates: dict[str, str]


class Child(NamedTuple):
    """A cell that was perturbed and trained again, or a control of such ones.

    parent: the cell that it starts from; take: which snapshot of it ("last", "best" or an epoch); control: the control
    of the same order, None for that one itself and where there is none; labels: what its studies call the perturbation,
    most often one.
    """

    parent: str
    take: str | int
    control: str | None
    labels: tuple[str, ...]


def located(path: str | Path) -> dict[str, Cell]:
    """As `read`, with the blocks and cards at the places where they are (`weight_atlas.folders`)."""
    cells, places = read(path), folders.read(Path(path).parent)
    for cell in cells.values():
        if places is None:
            break
        cell["blocks"] = [places.place(block) for block in cell["blocks"]]
        cell["card"] = cell["card"] and places.place(cell["card"])
    return cells


def read(path: str | Path) -> dict[str, Cell]:
    """The cells of a cells.csv by their ids, in the file's order.

    A cell that several studies ask for is there once, with the most replicates: seeds are 0 .. replicates - 1.
    Its checkpoints are those of the first study that gives some. Raises ValueError, in one line, for settings of
    another version, and where it is not such a table: it may be a stranger's.
    """
    return parse(schema.dicts(path, NEEDED), str(path))


def parse(rows: Iterable[Mapping[str, str]], path: str) -> dict[str, Cell]:
    """What `read` gives, of the rows of such a table; path is for errors."""
    cells: dict[str, Cell] = {}
    for row in rows:
        try:
            _check(row)
            settings = Settings.parse(json.loads(row["cell"]))
            checkpoints = json.loads(row.get("checkpoints") or "{}")
            against = json.loads(row.get("against") or "{}")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}: {printable(row['cell_id'])}: {printable(error)}") from None
        new: Cell = {
            "blocks": [],
            "seeds": [],
            "card": row["card"],
            "group": row["group"],
            "cell": settings,
            "checkpoints": {},
            "measures": [],
            "named": [],
        }
        cell = cells.setdefault(row["cell_id"], new)
        cell["blocks"] += [block for block in row["blocks"].split(";") if block and block not in cell["blocks"]]
        cell["seeds"] = list(range(max(int(row["replicates"]), len(cell["seeds"]))))
        cell["checkpoints"] = cell["checkpoints"] or checkpoints
        cell["measures"] += [
            name for name in row.get("measure", "").split(";") if name and name not in cell["measures"]
        ]
        labels = {axis: row[axis] for axis in schema.axes(row)}
        entry = Named(study=row["study"], kind=row["kind"], role=row["role"], labels=labels, against=against)
        cell["named"].append(entry)
    return cells


def _check(row: Mapping[str, str]) -> None:
    """ValueError where a row names files that are not below the folder that it speaks of, or no number of replicates.

    Blocks of given cells and of tests may be anywhere below it.
    """
    for name in [*row["blocks"].split(";"), row["card"]]:
        if name.startswith("/") or {"..", "\\"} & {*name.split("/"), *name} or "\0" in name:
            raise ValueError(f"{printable(name)} is not a path below the folder of the workflow")
    if not (row["replicates"].isascii() and row["replicates"].isdigit() and int(row["replicates"][:9]) <= MOST):
        raise ValueError(f"replicates {printable(row['replicates'])}; allowed: 0 to {MOST}")


def grouped(path: str | Path, group: str) -> list[GroupedCell]:
    """The cells of one measure group of a cells.csv, as `weight_atlas.analysis.group.measure` takes them.

    Raises ValueError where there is no such group.
    """
    cells = located(path)
    members = [GroupedCell(cell_id=cell_id, **cell) for cell_id, cell in cells.items() if cell["group"] == group]
    if not members:
        known = ", ".join(sorted({cell["group"] for cell in cells.values()}))
        raise ValueError(f"{path}: no group {group!r}; its groups: {known or 'none'}")
    return members


def derived(cell: Cell) -> bool:
    """Whether a cell is one of DERIVED."""
    return any(entry["role"] in DERIVED for entry in cell["named"])


def choosing(replicates: int) -> int:
    """How many of the replicates of a tuned cell, the first ones, choose its learning rate: a third, at least one."""
    return max(1, replicates // 3)


def sweeps(cells: Mapping[str, Cell]) -> list[Sweep]:
    """The sweeps of learning rates of all studies, in the order of the cells."""
    others: dict[tuple[str, ...], dict[str, str]] = {}
    for cell_id, cell in cells.items():
        for entry in cell["named"]:
            if entry["role"] == Role.TUNING:
                own = {axis: label for axis, label in entry["labels"].items() if axis != "tuned"}
                others.setdefault((entry["study"], *own.values()), {})[entry["labels"]["tuned"]] = cell_id
    found = []
    for cell_id, cell in cells.items():
        for entry in cell["named"]:
            key = (entry["study"], *(label for axis, label in entry["labels"].items() if axis != "tuned"))
            if entry["role"] == Role.GRID and key in others:
                experiment = entry["labels"].get("experiment", "")
                found.append(Sweep(entry["study"], experiment, cell_id, {"1": cell_id} | others[key]))
    return found


def children(cells: Mapping[str, Cell]) -> dict[str, Child]:
    """The perturbed cells and their controls, by their ids, in the order of the cells.

    The control of a cell starts from the same snapshot of the same parent, unperturbed, and is trained in the same way,
    with the images in the same order.
    """
    children: dict[str, Child] = {}
    controls: dict[str, str] = {}
    for cell_id, cell in cells.items():
        entries = [entry for entry in cell["named"] if entry["role"] in ("perturbed", "control")]
        if entries:
            start = cell["cell"].start
            labels = tuple(dict.fromkeys(entry["labels"]["perturbation"] for entry in entries))
            children[cell_id] = Child(start.cell or "", start.take or "last", None, labels)
            if not start.steps and start.order == "same" and not start.repeat:
                controls.setdefault(_retraining(cell["cell"]), cell_id)
    for cell_id, child in children.items():
        control = controls.get(_retraining(cells[cell_id]["cell"]))
        children[cell_id] = child._replace(control=None if control == cell_id else control)
    return children


def _retraining(settings: Settings) -> str:
    """What the children that are compared have in common: their original, and how they are trained, as a text."""
    start, training = settings.start, settings.json["training"]
    common = {key: value for key, value in training.items() if key not in RECORDED}
    return json.dumps([start.cell, start.take, start.state, common], sort_keys=True)
