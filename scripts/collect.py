#!/usr/bin/env python3
"""Collect what one config asked for: runs, metrics, accuracies, the groups' measures, their summary, and tests."""

import argparse
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from weight_atlas import cell_table, pairs, records, right_answers, schema, store
from weight_atlas.analysis import comparisons
from weight_atlas.analysis.runs import accuracy, anova, learnt, right, runs, summary, tuning
from weight_atlas.analysis.transfer import transfer
from weight_atlas.analysis.weights import correlation_tests
from weight_atlas.plan.spec import Thresholds
from weight_atlas.schema import dictionary

Cells = Mapping[str, cell_table.Cell]
NO_THRESHOLDS: Mapping[str, Thresholds] = {}
Replicate = tuple[str, str | None]  # a cell and its seed, as text; None of the cell as such


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", required=True, type=Path, help="results/<name>/cells.csv")
    parser.add_argument("--measures", required=True, type=Path, nargs="*", help="the directories that measure.py wrote")
    parser.add_argument("--cards", required=True, type=Path, nargs="*", help="the data sets' cards, JSON files")
    parser.add_argument("--thresholds", type=json.loads, default={}, help="{study: its thresholds} as JSON")
    parser.add_argument("--output", required=True, type=Path, help="results/<name>/tables")
    chosen = parser.parse_args(arguments)
    thresholds = {study: Thresholds(**given) for study, given in chosen.thresholds.items()}
    collect(cell_table.located(chosen.cells), chosen.measures, chosen.cards, chosen.output, thresholds)


def collect(
    asked: Cells,
    measures: Sequence[Path],
    cards: Sequence[Path],
    output: Path,
    thresholds: Mapping[str, Thresholds] = NO_THRESHOLDS,
) -> None:
    """Write every table to `output`, rows in the order of the cells and of their seeds, and the data dictionary.

    measures: directories with the CSV files of measure.py; cards: the data sets' cards; thresholds: those of a study's
    transfers, where they are not the usual ones.
    """

    def write(table: str, rows: Iterable[Sequence[Any]]) -> None:
        schema.write(output / f"{table}.csv", table, rows)

    def read(table: str) -> pd.DataFrame:
        return schema.read(output / f"{table}.csv", table)

    blocks = [Path(block) for cell in asked.values() for block in cell["blocks"]]
    paths = {"metrics": [block / "metrics.csv" for block in blocks]}
    paths |= {name: [folder / f"{name}.csv" for folder in measures] for name in schema.MEASURES}
    found: dict[str, list[Any]] = {
        name: [row for path in own for row in schema.rows(path, name)] for name, own in paths.items()
    }
    found["right"] += right_alone(asked, {row[0] for row in found["right"]})
    joined = {name: ordered(asked, name, rows) for name, rows in found.items()}
    missing = {(cell_id, int(seed)): cause for cell_id, seed, cause in joined["missing"]}
    for name, rows in joined.items():
        write(name, rows)
    counted = {path.name: store.read_json(path)["counts"] for path in cards}
    images = {cell_id: counted[Path(cell["card"]).name] for cell_id, cell in asked.items() if cell["card"]}
    metrics = read("metrics")
    learning = learnt.learnt(metrics, images)
    became = [
        row
        for cell_id, cell in asked.items()
        for row in runs.rows(cell_id, cell["blocks"], cell["seeds"], missing, learning)
    ]
    write("runs", became)
    ended = read("runs")
    held_out = {cell_id: (sum(count["valid"]), sum(count["test"])) for cell_id, count in images.items()}
    write("accuracy", accuracy.rows(metrics, became, held_out))
    rated = read("accuracy")
    measured = rated, read("movement"), read("unchanged"), read("features")
    write("summary", summary.rows(ended, *measured, read("parameters")))
    sound = learnt.without(ended)  # of these are all tests and effects
    answers = read("right")
    write("crossed", right.crossed(answers, sound))
    of_best = right.by_cell(answers, sound)
    write("tests", comparisons.rows(asked, comparisons.outcomes(sound, *measured), of_best))
    write("compared", pairs.counts(asked))
    write("likeness", correlation_tests.rows(asked, read("correlations")))
    write("tuning", tuning.rows(asked, ended, metrics))
    write("anova", anova.rows(asked, sound, rated, metrics, read("tuning")))
    for name, effects in transfer.rows(asked, ended, rated, metrics, thresholds).items():
        write(name, effects)
    dictionary.write(output, "weight-atlas-tables", schema.COLLECTED)


def right_alone(asked: Cells, measured: Collection[str]) -> list[list[str]]:
    """The rows of right.csv of cells that others start from, of which nothing else is measured; in a storage, where
    their snapshots are elsewhere, there are none."""
    alone = {cell_id: cell for cell_id, cell in asked.items() if cell_id not in measured}
    return [
        list(map(str, row))
        for cell_id, cell in alone.items()
        for _, block, _, record in records.replicates(cell["blocks"], cell["seeds"], check=False)
        for row in right_answers.of_replicate(cell_id, Path(block), record)
    ]


def ordered(asked: Cells, table: str, rows: Iterable[list[str]]) -> list[list[str]]:
    """The rows of one kind, as text: those of the cells and seeds that are asked for, in their order.

    A row of two replicates has the place of the first one.
    """
    place: dict[Replicate, int] = {}
    for cell_id, cell in asked.items():
        for seed in (None, *map(str, cell["seeds"])):
            place[cell_id, seed] = len(place)
    if table == "facts":  # of no cell: every group writes the same
        return list(map(list, dict.fromkeys(map(tuple, rows))))
    rows = [row for row in rows if all(replicate in place for replicate in replicates(table, row))]
    return sorted(rows, key=lambda row: place[replicates(table, row)[0]])


def replicates(table: str, row: Sequence[str]) -> list[Replicate]:
    """The replicates that a row of a table is on."""
    if table in ("parameters", "symmetries"):
        return [(row[0], None)]
    if table == "faults":
        return [(row[0], row[1] or None)]
    pair = table in ("pairs", "correlations")
    return [(row[at], row[at + 1]) for at in ((0, 2) if pair else (0,))]


if __name__ == "__main__":
    main()
