"""The cells of a config, from its cells.csv. No torch, no pandas."""

import csv
import json
from collections import namedtuple
from itertools import combinations

# The columns of cells.csv that are no labels; whatever else it has is an axis.
PLAIN = (
    *("cell_id", "study", "kind", "role", "replicates", "blocks", "parent", "group"),
    *("dataset_id", "card", "data", "parameters", "cell"),
)

# Two cells of a study that differ in the label of one axis, the factor: level_a is what the config names first.
# labels: those that they share, {axis: label}.
Contrast = namedtuple("Contrast", "factor level_a level_b cell_a cell_b labels")


def read(path):
    """{cell_id: {"blocks": [directories], "seeds": [..], "card", "group", "cell": resolved cell, "named": [..]}} in the
    file's order.

    A cell that several studies ask for is there once, with the most replicates: seeds are 0 .. replicates - 1. named
    has one entry a study: {"study", "kind", "role", "labels": {axis: label}}.
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
                "named": [],
            }
            cell = cells.setdefault(row["cell_id"], new)
            cell["blocks"] += [block for block in row["blocks"].split(";") if block and block not in cell["blocks"]]
            cell["seeds"] = list(range(max(int(row["replicates"]), len(cell["seeds"]))))
            labels = {axis: label for axis, label in row.items() if axis not in PLAIN}
            cell["named"].append({key: row[key] for key in ("study", "kind", "role")} | {"labels": labels})
    return cells


def grouped(path, group):
    """The cells of one measure group of a cells.csv, as `atlas.measure.group.measure` takes them.

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
        (cell_id, entry) for cell_id, cell in cells.items() for entry in cell["named"] if entry["role"] == "grid"
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


def _contrast(one, other, places):
    """The Contrast of two (cell_id, entry), or None where they differ in nothing or in more than one thing."""
    if any(one[1][key] != other[1][key] for key in ("study", "kind")):
        return None
    labels = one[1]["labels"]
    differing = [axis for axis in labels if labels[axis] != other[1]["labels"][axis]]
    if len(differing) != 1 or one[0] == other[0]:
        return None
    factor = differing[0]
    a, b = sorted((one, other), key=lambda entry: places[factor][entry[1]["labels"][factor]])
    shared = {axis: label for axis, label in labels.items() if axis != factor}
    return Contrast(factor, a[1]["labels"][factor], b[1]["labels"][factor], a[0], b[0], shared)
