"""The cells of a config, from its cells.csv. No torch, no pandas."""

import csv
import json
from collections import namedtuple
from itertools import combinations

from weight_atlas import schema
from weight_atlas.vocabulary import DERIVED, RETRAINED, Role

# The keys of a cell's training that say what is recorded, and change nothing else.
RECORDED = ("track", "keep_optimizer")

# Two cells of a study that differ in the label of one axis, the factor: level_a is what the config names first.
# labels: those that they share, {axis: label}.
Contrast = namedtuple("Contrast", "factor level_a level_b cell_a cell_b labels")


# A cell that was perturbed and trained again, or a control of such ones. parent: the cell that it starts from; take:
# which snapshot of it ("last", "best" or an epoch); control: the control of the same order, None for that one itself
# and where there is none; labels: what its studies call the perturbation, most often one.
Child = namedtuple("Child", "parent take control labels")


def read(path):
    """{cell_id: {"blocks": [directories], "seeds": [..], "card", "group", "cell": resolved cell, "checkpoints": {..},
    "named": [..]}} in the file's order.

    A cell that several studies ask for is there once, with the most replicates: seeds are 0 .. replicates - 1.
    checkpoints are those of the first study that gives some: {name: epoch}, or {"match": cell, "by": metric, "epochs":
    its own}. named has one entry a study: {"study", "kind", "role", "labels": {axis: label}}.
    """
    cells = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            new = {
                "blocks": [],
                "seeds": [],
                "card": row["card"],
                "group": row["group"],
                "cell": json.loads(row["cell"]),
                "checkpoints": {},
                "named": [],
            }
            cell = cells.setdefault(row["cell_id"], new)
            cell["blocks"] += [block for block in row["blocks"].split(";") if block and block not in cell["blocks"]]
            cell["seeds"] = list(range(max(int(row["replicates"]), len(cell["seeds"]))))
            cell["checkpoints"] = cell["checkpoints"] or json.loads(row.get("checkpoints") or "{}")
            labels = {axis: row[axis] for axis in schema.axes(row)}
            cell["named"].append({key: row[key] for key in ("study", "kind", "role")} | {"labels": labels})
    return cells


def grouped(path, group):
    """The cells of one measure group of a cells.csv, as `weight_atlas.analysis.group.measure` takes them.

    Raises ValueError where there is no such group.
    """
    cells = read(path)
    found = [{"cell_id": cell_id, **cell} for cell_id, cell in cells.items() if cell["group"] == group]
    if not found:
        known = ", ".join(sorted({cell["group"] for cell in cells.values()}))
        raise ValueError(f"{path}: no group {group!r}; its groups: {known or 'none'}")
    return found


def contrasts(cells):
    """The pairs of cells that differ in exactly one thing, in the order of the cells: a list of Contrast.

    cells: as `read` gives them. Compared are cells of one study's grid and of one kind; sources are not. Two studies
    that hold the same pair under the same labels give it once.
    """
    entries = [
        (cell_id, entry) for cell_id, cell in cells.items() for entry in cell["named"] if entry["role"] == Role.GRID
    ]
    places = {}
    for _, entry in entries:
        for axis, label in entry["labels"].items():
            places.setdefault(axis, {}).setdefault(label, len(places[axis]))
    found = {}
    for one, other in combinations(entries, 2):
        contrast = _contrast(one, other, places)
        if contrast:
            found.setdefault((*contrast[:5], *contrast.labels.items()), contrast)
    return list(found.values())


def derived(cell):
    """Whether a cell, as `read` gives it, is one of DERIVED."""
    return any(entry["role"] in DERIVED for entry in cell["named"])


def children(cells):
    """{cell_id: Child} of the perturbed cells and their controls, in the order of the cells.

    cells: as `read` gives them. The control of a cell starts from the same snapshot of the same parent, unperturbed,
    and is trained in the same way, with the pictures in the same order.
    """
    found, controls = {}, {}
    for cell_id, cell in cells.items():
        own = [entry for entry in cell["named"] if entry["role"] in RETRAINED]
        if own:
            start = cell["cell"]["start"]
            labels = tuple(dict.fromkeys(entry["labels"]["perturbation"] for entry in own))
            found[cell_id] = Child(start["cell"], start["take"], None, labels)
            if not start["steps"] and start["order"] == "same" and not start["repeat"]:
                controls.setdefault(_retraining(cell["cell"]), cell_id)
    for cell_id, child in found.items():
        control = controls.get(_retraining(cells[cell_id]["cell"]))
        found[cell_id] = child._replace(control=None if control == cell_id else control)
    return found


def _retraining(settings):
    """What the children that are compared have in common: their original, and how they are trained, as a text."""
    start = {key: settings["start"][key] for key in ("cell", "take", "state")}
    training = {key: value for key, value in settings["training"].items() if key not in RECORDED}
    return json.dumps([start, training], sort_keys=True)


def _contrast(one, other, places):
    """The Contrast of two (cell_id, entry), or None where they differ in nothing or in more than one thing."""
    if any(one[1][key] != other[1][key] for key in ("study", "kind")):
        return None
    labels = one[1]["labels"]
    differing = [axis for axis in labels if labels[axis] != other[1]["labels"][axis]]
    if len(differing) != 1 or differing == ["experiment"] or one[0] == other[0]:
        return None
    factor = differing[0]
    a, b = sorted((one, other), key=lambda entry: places[factor][entry[1]["labels"][factor]])
    shared = {axis: label for axis, label in labels.items() if axis != factor}
    return Contrast(factor, a[1]["labels"][factor], b[1]["labels"][factor], a[0], b[0], shared)
