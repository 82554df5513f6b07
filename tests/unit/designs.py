"""Studies as the plan makes them, with results that a test has made up: what is true of each replicate is known."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from tests.unit import summaries
from tests.unit.tables import complete, write_table
from weight_atlas import cell_table, schema
from weight_atlas.analysis.runs import accuracy, tuning
from weight_atlas.plan.study import Plan
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.shapes import Experiment

EPOCHS, IMAGES = 4, 10_000
CONFIG = {
    "name": "mine",
    "replicates": 3,
    "datasets": {"digits": {"source": "digits"}, "low": {"source": "digits", "classes": [0, 1, 2, 3, 4]}},
    "networks": {"lenet5": {}, "lenet1": {}},
    "optimizers": {"sgd": {"type": "sgd", "lr": 0.1}, "adam": {"type": "adam", "lr": 0.001}},
    "training": {"epochs": EPOCHS, "batch_size": 64},
}
GRID = {"dataset": ["digits"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]}

# (labels of the cell, seed) -> test accuracy at the last epoch, or a dict with `test` and what else is to differ.
Reach = Callable[[Mapping[str, str], int], "float | dict[str, float]"]
Fate = Callable[[Mapping[str, str], int], str]


class Made(NamedTuple):
    """The Tables of a study and its experiments."""

    tables: Tables
    experiments: list[Experiment]

    @property
    def only(self) -> Experiment:
        """Its one experiment."""
        [experiment] = self.experiments
        return experiment


def made(folder: Path, design: dict[str, Any], reach: Reach, fate: Fate = lambda *_: "done", **config: Any) -> Made:
    """A study of this design whose replicates reached what `reach` says, and ended as `fate` says.

    Test accuracy rises in equal steps from 0.1 to its end, and validation accuracy with it; training accuracy ends at
    `train` (default: `test`), the weights at the relative distance `distance` (0.5), and the share `unchanged` (0) of
    10,000 parameters never changes. A replicate that diverged or failed has one epoch.
    """
    plan = Plan(CONFIG | config | {"definitions": {"study": design}})
    rows = plan.rows()
    columns = schema.header("cells", list(dict.fromkeys(key for row in rows for key in row)))
    cells = [[row.get(name, "") for name in columns] for row in rows]
    schema.write(folder / "cells.csv", "cells", cells, header=columns)
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in ("runs", "metrics", "movement", "unchanged")}
    done: set[str] = set()
    for row in rows:
        if row["cell_id"] not in done:
            done.add(row["cell_id"])
            for seed in range(row["replicates"]):
                fill(tables, {"cell_id": row["cell_id"], "seed": seed}, reach(row, seed), fate(row, seed))
    for name, own in tables.items():
        write_table(folder / "tables" / f"{name}.csv", pd.DataFrame(own))
    ended = [(run["cell_id"], run["seed"], run["status"]) for run in tables["runs"]]
    counts = dict.fromkeys(done, (IMAGES, IMAGES))
    reached = accuracy.rows(pd.DataFrame(tables["metrics"]), ended, counts)
    schema.write(folder / "tables" / "accuracy.csv", "accuracy", reached)
    listed = cell_table.read(folder / "cells.csv")
    rates = tuning.rows(listed, *(pd.DataFrame(tables[name]) for name in ("runs", "metrics")))
    schema.write(folder / "tables" / "tuning.csv", "tuning", rates)
    summaries.write(folder / "tables")
    complete(folder / "tables")
    return Made(Tables("study", folder / "cells.csv", folder / "tables", folder / "measures"), plan.experiments)


def fill(tables: dict[str, list[dict[str, Any]]], front: dict[str, Any], end: "float | dict[str, float]", status: str):
    """The rows of one replicate."""
    told = {"distance": 0.5, "unchanged": 0.0} | (end if isinstance(end, dict) else {"test": end})
    test, train = told["test"], told.get("train", told["test"])
    last = EPOCHS if status == "done" else 1
    run = {"status": status, "epochs": last, "best_epoch": last, "wall_seconds": 10 * test, "learnt": test > 0.15}
    tables["runs"].append(front | run)
    for epoch in range(last + 1):
        risen, lost = 0.1 + (test - 0.1) * epoch / EPOCHS, math.nan if status == "diverged" and epoch else 1 - test
        seen = 0.1 + (train - 0.1) * epoch / EPOCHS if epoch else math.nan
        row = {"epoch": epoch, "stage": 0, "rate": 0.1, "train_accuracy": seen, "train_loss": lost}
        row |= {f"{split}_accuracy": risen for split in ("valid", "test")}
        tables["metrics"].append(front | row | {f"{split}_loss": lost for split in ("valid", "test")})
    if status == "done":
        at = {"layer": "total", "from_epoch": 0, "interval": "start", "norm_from": 2.0, "norm_to": 2.0, "cosine": 0.9}
        for epoch in (1, last):
            apart = told["distance"] * epoch / last
            tables["movement"].append(front | at | {"to_epoch": epoch, "distance": 2 * apart, "relative": apart})
        kept = round(10_000 * told["unchanged"])
        counted = {"size": 10_000, "unchanged": kept, "changed": 10_000 - kept}
        tables["unchanged"].append(front | {"layer": "total", "parameter": "all"} | counted)
