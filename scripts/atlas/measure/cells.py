"""The cells of a config, from its cells.csv. No torch, no pandas."""

import csv
import json


def read(path):
    """{cell_id: {"blocks": [directories], "seeds": [..], "card", "group", "cell": resolved cell}} in the file's order.

    A cell that several studies ask for is there once, with the most replicates: seeds are 0 .. replicates - 1.
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
            }
            cell = cells.setdefault(row["cell_id"], new)
            cell["blocks"] += [block for block in row["blocks"].split(";") if block and block not in cell["blocks"]]
            cell["seeds"] = list(range(max(int(row["replicates"]), len(cell["seeds"]))))
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
