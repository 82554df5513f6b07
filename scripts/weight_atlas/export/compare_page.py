"""What the comparison of two results writes: its tables, its page, and a few lines for the console."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weight_atlas import schema
from weight_atlas.export import compare
from weight_atlas.export.compare import Pair, Row
from weight_atlas.export.result import Result
from weight_atlas.reporting.pages import document, render
from weight_atlas.schema import dictionary
from weight_atlas.store import atomic_write
from weight_atlas.vocabulary import Status

TEMPLATES = Path(__file__).resolve().parents[3] / "report"
CLEAR = 0.05  # q below which a difference is called clear
TABLES = tuple(name for name in schema.TABLES if name.startswith("compare/"))


def write(first: Path, second: Path, output: Path) -> str:
    """Compare two folders of results: compare.html and a CSV file per table in `output`; returns the console's lines.

    ValueError, in one line, where a folder holds no results.
    """
    a, b = Result(first), Result(second)
    found = gather(a, b)
    output = Path(output)
    for name in TABLES:
        path = output / schema.TABLES[name].file
        schema.write(path, name, ([row.get(column) for column in schema.names(name)] for row in found[path.stem]))
    dictionary.write(output, "weight-atlas-comparison", TABLES)
    facts = summary(a, b, found)
    _page(facts | found, output)
    return lines(facts, output)


def gather(a: Result, b: Result) -> dict[str, list[Row]]:
    """{table: its rows as dicts} for each of TABLES."""
    paired = compare.pairs(a, b)
    replicates = compare.replicates(a, b, paired)
    return {
        "cells": [_cell(a, b, pair, replicates) for pair in paired],
        "replicates": replicates,
        "differences": compare.differences(a, b, paired),
        "settings": compare.settings(a, b, paired),
        "datasets": compare.datasets(a, b),
    }


def _cell(a: Result, b: Result, pair: Pair, replicates: list[Row]) -> Row:
    """The row of one pair: how many replicates there are, how many are identical, and how far apart the others end."""
    cell = a.cells[pair.a] if pair.a else b.cells[pair.b or ""]
    rows = [row for row in replicates if (row["cell_a"], row["cell_b"]) == pair]
    compared = [row for row in rows if row["shared"]]
    distances = [row["distance"] for row in rows if row["distance"] is not None]
    firsts = {row["first_different"] for row in compared} - {None}
    return {
        "paired_by": pair.by,
        **{key: cell["named"][0][key] for key in ("study", "role")},
        "cell": compare.describe(cell),
        "cell_a": pair.a,
        "cell_b": pair.b,
        "replicates": len(rows),
        "compared": len(compared),
        "last": sum(row["last"] for row in compared),
        "all": sum(row["equal"] == row["shared"] for row in compared),
        "first_different": min(firsts, key=lambda epoch: (epoch == "best", epoch), default=None),
        "distance": sum(distances) / len(distances) if distances else None,
        "between_seeds": compare.between_seeds(a, pair.a) if pair.a and distances else None,
    }


def summary(a: Result, b: Result, tables: dict[str, list[Row]]) -> dict[str, Any]:
    """The counts and extremes on the page and the console, and what the two results are."""
    cells = [cell for cell in tables["cells"] if cell["cell_a"] and cell["cell_b"]]
    compared = [cell for cell in cells if cell["compared"]]
    ways = [cell["paired_by"] for cell in tables["cells"]]
    accuracy = [row for row in tables["differences"] if row["outcome"] == "accuracy"]
    return {
        "sides": [_side(name, result) for name, result in (("A", a), ("B", b))],
        "ways": {way: ways.count(way) for way in WAYS},
        "both": len(cells),
        "compared": len(compared),
        "last": sum(cell["last"] == cell["compared"] for cell in compared),
        "all": sum(cell["all"] == cell["compared"] for cell in compared),
        "replicates": sum(cell["compared"] for cell in compared),
        "replicates_last": sum(cell["last"] for cell in compared),
        "clear": [row for row in tables["differences"] if row["q"] is not None and row["q"] < CLEAR],
        "different": sum(row["difference"] != 0 for row in tables["differences"]),
        "most": max(accuracy, key=lambda row: abs(row["difference"]), default=None),
        "words": {cell["cell_a"] or cell["cell_b"]: cell["cell"] for cell in tables["cells"]},
        "set_otherwise": len({row["cell_a"] for row in tables["settings"]}),
    }


WAYS = ("id", "labels", "only A", "only B")


def _side(name: str, result: Result) -> dict[str, Any]:
    """One of the two results: where it is, and what made it."""
    runs = list(result.runs.values())
    done = sum(run["status"] == Status.DONE for run in runs)
    return {
        "name": name,
        "folder": str(result.folder),
        "config": result.config["name"],
        "cells": len(result.cells),
        "replicates": f"{done} of {len(runs)}",
        "device": _several(f"{run['device_name'] or run['device']}" for run in runs),
        "torch": _several(run["torch"] for run in runs),
    }


def _several(values: Iterable[str]) -> str:
    return ", ".join(sorted({value for value in values if value})) or "unknown"


def lines(counts: dict[str, Any], output: Path) -> str:
    """The lines for the console."""
    ways = counts["ways"]
    side_line = "{name}: {folder} ({cells} cells, {replicates} replicates done)"
    text = [side_line.format(**side) for side in counts["sides"]]
    by_labels = f" ({ways['labels']} of them by their labels: their settings differ)" if ways["labels"] else ""
    text.append(f"{counts['both']} cells in both{by_labels}, {ways['only A']} only in A, {ways['only B']} only in B")
    text.append(
        f"bit-identical: {counts['last']} of {counts['compared']} cells at their last epoch "
        f"({counts['replicates_last']} of {counts['replicates']} replicates), {counts['all']} in every snapshot"
    )
    if counts["most"] and counts["most"]["difference"]:
        text.append(f"test accuracy differs most in {most(counts)}")
    return "\n".join([*text, f"The page: {output}/compare.html"])


def most(counts: dict[str, Any]) -> str:
    """The largest difference of accuracy, in words."""
    row = counts["most"]
    points = f"{100 * row['difference']:+.2f} points (B − A)"
    if row["spreads"] is not None:
        points += f", {row['spreads']:+.2g} standard deviations over seeds"
    return f"{counts['words'][row['cell_a']]}: {points.replace('-', '−')}"


def _page(context: dict[str, Any], output: Path) -> None:
    """Render compare.html with the report's style; it contains the CSV files beside it."""
    with tempfile.TemporaryDirectory(prefix="compare-") as temporary:
        folder = Path(temporary)
        for name in document.FILES:
            shutil.copyfile(TEMPLATES / name, folder / name)
        for name in TABLES:
            file = schema.TABLES[name].file
            shutil.copyfile(output / file, folder / file)
        context |= {"outcomes": compare.OUTCOMES, "most": most(context) if context["most"] else ""}
        text = document.source(TEMPLATES, context, "compare.qmd.j2")
        (folder / "report.qmd").write_text(text, encoding="utf-8")
        render.render(folder)
        with atomic_write(output / "compare.html") as part:
            shutil.copyfile(folder / "report.html", part)
