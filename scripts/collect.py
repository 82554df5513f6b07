#!/usr/bin/env python3
"""Collect what one config asked for: runs, metrics, accuracies, the groups' measures, their summary, and tests."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from weight_atlas import cell_table, store
from weight_atlas.analysis import comparisons, tables
from weight_atlas.analysis.runs import accuracy, anova, runs, summary
from weight_atlas.analysis.transfer import transfer
from weight_atlas.analysis.weights import correlation_tests


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", required=True, type=Path, help="results/<name>/cells.csv")
    parser.add_argument("--measures", required=True, type=Path, nargs="*", help="the directories that measure.py wrote")
    parser.add_argument("--cards", required=True, type=Path, nargs="*", help="the data sets' cards, JSON files")
    parser.add_argument("--output", required=True, type=Path, help="results/<name>/tables")
    chosen = parser.parse_args(arguments)
    collect(cell_table.read(chosen.cells), chosen.measures, chosen.cards, chosen.output)


def collect(
    wanted: Mapping[str, Mapping[str, Any]], measures: Sequence[Path], cards: Sequence[Path], output: Path
) -> None:
    """Write every table to `output`; rows in the order of the cells and of their seeds.

    wanted: the cells as `weight_atlas.cell_table.read` gives them; measures: directories with the CSV files of
    measure.py; cards: the data sets' cards.
    """
    asked = [(cell_id, cell["blocks"], cell["seeds"]) for cell_id, cell in wanted.items()]
    blocks = [Path(block) for _, own, _ in asked for block in own]
    found = {"metrics": ordered(wanted, "metrics", [block / "metrics.csv" for block in blocks])}
    for name in tables.MEASURES:
        found[name] = ordered(wanted, name, [folder / f"{name}.csv" for folder in measures])
    missing = {(cell_id, int(seed)): cause for cell_id, seed, cause in found["missing"]}
    found["runs"] = [row for cell in asked for row in runs.rows(*cell, missing)]
    for name, rows in found.items():
        tables.write(output / f"{name}.csv", name, rows)
    counted = {path.name: counts(path) for path in cards}
    pictures = {cell_id: counted[Path(cell["card"]).name] for cell_id, cell in wanted.items() if cell["card"]}
    rows = accuracy.rows(frame(output / "metrics.csv"), found["runs"], pictures)
    tables.write(output / "accuracy.csv", "accuracy", rows)
    names = ("runs", "accuracy", "movement", "unchanged", "features", "parameters")
    *frames, free = (frame(output / f"{name}.csv") for name in names)
    tables.write(output / "summary.csv", "summary", summary.rows(*frames, free))
    tables.write(output / "tests.csv", "tests", comparisons.rows(wanted, comparisons.outcomes(*frames)))
    correlations = pd.read_csv(output / "correlations.csv", keep_default_na=False, na_values=[""])
    tables.write(output / "likeness.csv", "likeness", correlation_tests.rows(wanted, correlations))
    effects = anova.rows(wanted, *frames[:2], frame(output / "metrics.csv"))
    tables.write(output / "anova.csv", "anova", effects)
    transfers = transfer.rows(wanted, *frames[:2], frame(output / "metrics.csv"))
    for name, rows in transfers.items():
        tables.write(output / f"{name}.csv", name, rows)


def ordered(wanted: Mapping[str, Mapping[str, Any]], table: str, paths: Iterable[Path]) -> list[list[str]]:
    """The rows of several CSV files of one kind, as text: the cells and seeds that are asked for, in their order.

    A row of two replicates has the place of the first one.
    """
    place: dict[tuple[str, str | None], int] = {}
    for cell_id, cell in wanted.items():
        for replicate in (None, *map(str, cell["seeds"])):
            place[cell_id, replicate] = len(place)
    rows = [row for path in paths for row in tables.rows(path, table)]
    if table == "facts":  # of no cell: every group writes the same
        return list(map(list, dict.fromkeys(map(tuple, rows))))
    rows = [row for row in rows if all(replicate in place for replicate in replicates(table, row))]
    return sorted(rows, key=lambda row: place[replicates(table, row)[0]])


def replicates(table: str, row: Sequence[str]) -> list[tuple[str, str | None]]:
    """The (cell, seed) that a row of a table tells of; the seed is None where it tells of the cell as such."""
    if table in ("parameters", "symmetries"):
        return [(row[0], None)]
    return [(row[0], row[1]), (row[2], row[3])] if table in ("pairs", "correlations") else [(row[0], row[1])]


def frame(path: Path) -> pd.DataFrame:
    """A table as a DataFrame; a seed is a whole number in a table without rows too."""
    return pd.read_csv(path, dtype={"cell_id": str, "seed": int})


def counts(card: Path) -> tuple[int, int]:
    """(number of validation images, of test images) from a data set's card."""
    split = store.read_json(card)["counts"]
    return sum(split["valid"]), sum(split["test"])


if __name__ == "__main__":
    main()
