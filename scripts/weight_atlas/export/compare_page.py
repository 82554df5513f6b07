"""What the comparison of two results says: its tables, its page, and a few lines for the console."""

import csv
import shutil
import tempfile
from pathlib import Path

from weight_atlas.export import compare
from weight_atlas.export.result import Result
from weight_atlas.reporting.pages import render
from weight_atlas.store import whole

TEMPLATES = Path(__file__).resolve().parents[3] / "report"
CLEAR = 0.05  # q below which a difference is called clear
COLUMNS = {
    "cells": "paired_by study role cell cell_a cell_b replicates compared last all first_different distance "
    "between_seeds",
    "replicates": "cell_a cell_b seed status_a status_b shared equal last first_different distance relative",
    "differences": "cell_a cell_b outcome n mean_a mean_b difference low high spread spreads p q",
    "settings": "cell_a cell_b setting a b",
    "datasets": "dataset_id title in contents",
}


def write(first, second, output):
    """Compare two folders of results: compare.html and a CSV file a table in `output`; returns the console's lines.

    ValueError, in one line, where a folder holds no results.
    """
    a, b = Result(first), Result(second)
    found = gather(a, b)
    output = Path(output)
    for name in COLUMNS:
        _csv(output / f"{name}.csv", name, found[name])
    facts = summary(a, b, found)
    _page(facts | found, output)
    return lines(facts, output)


def gather(a: Result, b: Result) -> dict:
    """{table: its rows as dicts} for each of COLUMNS."""
    paired = compare.pairs(a, b)
    replicates = compare.replicates(a, b, paired)
    return {
        "cells": [_cell(a, b, pair, replicates) for pair in paired],
        "replicates": replicates,
        "differences": compare.differences(a, b, paired),
        "settings": compare.settings(a, b, paired),
        "datasets": compare.datasets(a, b),
    }


def _cell(a, b, pair, replicates):
    """The row of one pair: how many replicates there are, how many are identical, and how far apart the others end."""
    cell = a.cells[pair.a] if pair.a else b.cells[pair.b]
    own = [row for row in replicates if (row["cell_a"], row["cell_b"]) == pair]
    compared = [row for row in own if row["shared"]]
    far = [row["distance"] for row in own if row["distance"] is not None]
    firsts = {row["first_different"] for row in compared} - {None}
    return {
        "paired_by": pair.by,
        **{key: cell["named"][0][key] for key in ("study", "role")},
        "cell": compare.words(cell),
        "cell_a": pair.a,
        "cell_b": pair.b,
        "replicates": len(own),
        "compared": len(compared),
        "last": sum(row["last"] for row in compared),
        "all": sum(row["equal"] == row["shared"] for row in compared),
        "first_different": min(firsts, key=lambda at: (at == "best", at), default=None),
        "distance": sum(far) / len(far) if far else None,
        "between_seeds": compare.between_seeds(a, pair.a) if far else None,
    }


def summary(a: Result, b: Result, found: dict) -> dict:
    """The counts and extremes that the page and the console say, and what the two results are."""
    cells = [cell for cell in found["cells"] if cell["cell_a"] and cell["cell_b"]]
    compared = [cell for cell in cells if cell["compared"]]
    ways = {way: [cell for cell in found["cells"] if cell["paired_by"] == way] for way in WAYS}
    accuracy = [row for row in found["differences"] if row["outcome"] == "accuracy"]
    return {
        "sides": [_side(name, result) for name, result in (("A", a), ("B", b))],
        "ways": {way: len(own) for way, own in ways.items()},
        "both": len(cells),
        "compared": len(compared),
        "last": sum(cell["last"] == cell["compared"] for cell in compared),
        "all": sum(cell["all"] == cell["compared"] for cell in compared),
        "replicates": sum(cell["compared"] for cell in compared),
        "replicates_last": sum(cell["last"] for cell in compared),
        "clear": [row for row in found["differences"] if row["q"] is not None and row["q"] < CLEAR],
        "different": sum(row["difference"] != 0 for row in found["differences"]),
        "most": max(accuracy, key=lambda row: abs(row["difference"]), default=None),
        "words": {cell["cell_a"] or cell["cell_b"]: cell["cell"] for cell in found["cells"]},
        "set_otherwise": len({row["cell_a"] for row in found["settings"]}),
    }


WAYS = ("id", "labels", "only A", "only B")


def _side(name, result):
    """One of the two results: where it is, and what made it."""
    runs = list(result.runs.values())
    done = sum(run["status"] == "done" for run in runs)
    return {
        "name": name,
        "folder": str(result.folder),
        "config": result.config["name"],
        "cells": len(result.cells),
        "replicates": f"{done} of {len(runs)}",
        "device": _several(f"{run['device_name'] or run['device']}" for run in runs),
        "torch": _several(run["torch"] for run in runs),
    }


def _several(values):
    return ", ".join(sorted({value for value in values if value})) or "unknown"


def lines(facts: dict, output: Path) -> str:
    """What the console says."""
    ways, sides = facts["ways"], facts["sides"]
    words = "{name}: {folder} ({cells} cells, {replicates} replicates done)"
    said = [words.format(**side) for side in sides]
    by_labels = f" ({ways['labels']} of them by their labels: their settings differ)" if ways["labels"] else ""
    said.append(f"{facts['both']} cells in both{by_labels}, {ways['only A']} only in A, {ways['only B']} only in B")
    said.append(
        f"bit-identical: {facts['last']} of {facts['compared']} cells at their last epoch "
        f"({facts['replicates_last']} of {facts['replicates']} replicates), {facts['all']} in every snapshot"
    )
    if facts["most"] and facts["most"]["difference"]:
        said.append(f"test accuracy differs most in {most(facts)}")
    return "\n".join([*said, f"The page: {output}/compare.html"])


def most(facts: dict) -> str:
    """The largest difference of accuracy, in words."""
    row = facts["most"]
    points = f"{100 * row['difference']:+.2f} points (B − A)"
    if row["spreads"] is not None:
        points += f", {row['spreads']:+.2g} standard deviations over seeds"
    return f"{facts['words'][row['cell_a']]}: {points.replace('-', '−')}"


def _csv(path, table, rows):
    with whole(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS[table].split(), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _page(context, output):
    """Render compare.html with the report's style; it carries the CSV files that lie beside it."""
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        folder = Path(folder)
        for name in render.FILES:
            shutil.copyfile(TEMPLATES / name, folder / name)
        for name in COLUMNS:
            shutil.copyfile(output / f"{name}.csv", folder / f"{name}.csv")
        context |= {"outcomes": compare.OUTCOMES, "most": most(context) if context["most"] else ""}
        text = render.document(TEMPLATES, context, "compare.qmd.j2")
        (folder / "report.qmd").write_text(text, encoding="utf-8")
        render.render(folder)
        with whole(output / "compare.html") as part:
            shutil.copyfile(folder / "report.html", part)
