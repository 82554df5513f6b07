"""Text that a spreadsheet would run as a formula: neutralised in what is passed on, and read back as it was."""

import ast
import csv
import io
import random
from pathlib import Path

import pandas as pd
import pytest

from tests.unit import results
from weight_atlas import cell_table, schema
from weight_atlas.export import latex
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.source import Source
from weight_atlas.reporting.pages import document
from weight_atlas.schema.spreadsheet import neutralise, restore

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

# {a text: what stands in the file}
NEUTRALISED = {
    "=1+1": "'=1+1",
    "+1-1": "'+1-1",
    "-f": "'-f",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\t'=1",
    "\r=1": "'\r'=1",
    "\n=1": "'\n'=1",
    "\x0b=1": "\x0b=1",
    "＝1+1": "'＝1+1",
    "＋1": "'＋1",
    "－1": "'－1",
    "＠x": "'＠x",
    "﹣1": "'﹣1",
    " =1": "' =1",
    "\u00a0=1": "'\u00a0=1",
    "\ufeff=1": "'\ufeff=1",
    '"=1': "'\"=1",
    "'=1": "''=1",
    "''=1": "'''=1",
    "a;=1": "a;'=1",
    'a;"=1': "a;'\"=1",
    "a\n=1": "a\n'=1",
    "a\t-1": "a\t'-1",
    "=HYPERLINK(\"http://x\"; \"y\")": "'=HYPERLINK(\"http://x\"; \"y\")",
    "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0",
    "-1 to 2": "'-1 to 2",
    "-1,5": "'-1,5",
    "--1": "'--1",
    "-": "'-",
    "=": "'=",
}  # fmt: skip
UNTOUCHED = (
    *("", "a", "a=1", "a-b", "'", "''", "'a", "'tis", '"a"', "a;b", "−0.5", "±1", "0", "1e-6", "-0.5", "+1", "-1e+06"),
    *("-.5", "-inf", "nan", "inf", "a, =1", "a =1", "x\ny", '{"a": [-1, 2]}', "results/cells/a/seeds_0-2;results/b"),
)


@pytest.mark.parametrize("text", NEUTRALISED)
def test_what_would_run_is_neutralised_and_restored(text):
    assert neutralise(text) == NEUTRALISED[text]
    assert restore(neutralise(text)) == text


@pytest.mark.parametrize("text", UNTOUCHED)
def test_other_text_and_numbers_stay(text):
    assert neutralise(text) == text and restore(text) == text


def test_every_text_comes_back(tmp_path):
    """Through each writer and reader; no two texts become one."""
    draw = random.Random(0)
    letters = "=+-@\t\r\n'\" ;,ab1.e\u00a0＝－|\ufeff\u200bé"
    texts = ["".join(draw.choices(letters, k=draw.randint(1, 8))) for _ in range(20_000)] + list(NEUTRALISED)
    texts += [neutralise(text) for text in texts]
    assert len(set(map(neutralise, texts))) == len(set(texts))
    assert [restore(neutralise(text)) for text in texts] == texts
    path = tmp_path / "missing.csv"
    schema.write(path, "missing", [(text, number, text) for number, text in enumerate(texts)])
    assert [line[2] for line in schema.rows(path, "missing")] == texts
    assert [row["cell_id"] for row in schema.dicts(path)] == texts
    frame = schema.read(path, "missing")
    assert list(frame["cause"]) == texts and list(frame["seed"]) == list(range(len(texts)))
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert not row["cause"].lstrip(" '\"\u00a0\u200b\ufeff").startswith(("=", "@")) or row["cause"][0] == "'"


def test_numbers_stay_numbers(tmp_path):
    values = [-0.5, -1e-300, 1e300, -0.0, float("-inf"), float("inf"), 0.1]
    path = tmp_path / "runs.csv"
    columns = schema.names("metrics")
    rows = [["a", 0, number, 1, *[value] * (len(columns) - 4)] for number, value in enumerate(values)]
    schema.write(path, "metrics", rows)
    assert "'" not in path.read_text()
    assert list(schema.read(path, "metrics")["train_loss"]) == values
    assert list(pd.read_csv(path)["train_loss"]) == values


def test_exhibits_are_as_pandas_writes_them_but_for_formulas():
    frame = pd.DataFrame(
        {
            "label": ["=1+1", "b,c", 'd"e', None, "f\rg"],
            "value": [-0.5, 1 / 3, float("nan"), 1e-12, -1e22],
            "count": [1, -2, 3, 4, 5],
            "mixed": [-0.125, "-f", 3, None, True],
            "-yes": [True, False, True, False, True],
        }
    )
    text = schema.frame_text(frame)
    plain = frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    assert text == plain.replace("=1", "'=1").replace(",-f,", ",'-f,").replace("-yes", "'-yes").replace(
        "f\rg", '"f\rg"'
    )
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [restore(row["label"]) for row in found] == ["=1+1", "b,c", 'd"e', "", "f\rg"]


def test_the_page_and_latex_show_the_text_itself(tmp_path):
    source = Source(["weight_atlas.one"], ["cells.csv"])
    data = pd.DataFrame({"name": ["-f", "=1"], "value": [-0.5, 2]})
    exhibit.write(tmp_path, [exhibit.Exhibit("x", "x", "x", "x", data, source=source)], {}, [])
    assert (tmp_path / "x.csv").read_text() == "name,value\n'-f,-0.5\n'=1,2\n"
    shown = document.rows_of({"csv_path": tmp_path / "x.csv", "columns": ["name", "value"]})
    assert shown["rows"] == [["-f", "-0.5"], ["=1", "2"]]
    text = latex.longtable(tmp_path / "x.csv", ["name", "value"], "x", "tbl-x")
    assert "=1 &" in text and "'" not in text


def test_the_cells_of_a_config_come_back(tmp_path):
    """Labels that begin a formula, and a further axis of such a name."""
    folder = results.make(tmp_path)
    rows = [row | {"optimizer": "=cmd|'x'!A0", "-axis": "@a"} for row in schema.dicts(folder / "cells.csv")]
    schema.write(folder / "cells.csv", "cells", [list(row.values()) for row in rows], header=list(rows[0]))
    assert ",'-axis\n" in (folder / "cells.csv").read_text()
    for cell in cell_table.read(folder / "cells.csv").values():
        assert cell["named"][0]["labels"]["optimizer"] == "=cmd|'x'!A0"
        assert cell["named"][0]["labels"]["-axis"] == "@a"
    frame = schema.read(folder / "cells.csv", "cells")
    assert set(frame["optimizer"]) == {"=cmd|'x'!A0"} and set(frame["-axis"]) == {"@a"}


# Modules that write or read CSV by themselves: what they hold are numbers and our own ids, and nothing is passed on.
OWN = {"schema/files.py", "training/recorder.py", "training/launcher.py"}
FOREIGN = {"datasets/listings.py", "datasets/table.py"}  # what others wrote is read as it is


def test_no_other_module_reads_or_writes_csv():
    found = set()
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if "csv" in names or (isinstance(node, ast.Attribute) and node.attr in ("to_csv", "read_csv")):
                found.add(path.relative_to(SCRIPTS / "weight_atlas").as_posix())
    assert found == OWN | FOREIGN
