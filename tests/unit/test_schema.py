"""The schema: its declarations, the reader and the writer, the data dictionary and the page of the docs."""

import csv
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from weight_atlas import schema, store, vocabulary
from weight_atlas.schema import dictionary

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = [(table, column) for table in schema.TABLES.values() for column in table.columns]
IDS = [f"{table.name}.{column.name}" for table, column in COLUMNS]

# The types of a field that Table Schema 2.0 knows (https://datapackage.org/standard/table-schema/#field-types).
TYPES = (
    *("string", "number", "integer", "boolean", "object", "array", "list", "datetime", "date", "time", "year"),
    *("yearmonth", "duration", "geopoint", "geojson", "any"),
)
# As far as we use them, the rules of Data Package, Data Resource and Table Schema 2.0 (https://datapackage.org).
FIELD = {
    "type": "object",
    "required": ["name", "type"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "type": {"enum": list(TYPES)},
        "description": {"type": "string", "minLength": 10},
        "unit": {"type": "string", "minLength": 1},
        "missingValues": {"type": "array", "items": {"type": "string"}},
        "constraints": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"required": {"type": "boolean"}, "enum": {"type": "array", "minItems": 1}},
        },
    },
    "additionalProperties": False,
}
TABLE = {
    "type": "object",
    "required": ["fields"],
    "properties": {
        "fields": {"type": "array", "minItems": 1, "items": FIELD},
        "primaryKey": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}},
        "missingValues": {"const": [""]},
    },
    "additionalProperties": False,
}
RESOURCE = {
    "type": "object",
    "required": ["name", "path", "schema"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9._-]+$"},
        "path": {"type": "string", "pattern": r"^(?![/~])(?!.*\.\.).+\.csv$"},
        "type": {"const": "table"},
        "format": {"const": "csv"},
        "mediatype": {"const": "text/csv"},
        "encoding": {"const": "utf-8"},
        "schema": TABLE,
    },
}
PACKAGE = {
    "type": "object",
    "required": ["$schema", "name", "resources"],
    "properties": {
        "$schema": {"const": "https://datapackage.org/profiles/2.0/datapackage.json"},
        "name": {"type": "string", "pattern": "^[a-z0-9._-]+$"},
        "resources": {"type": "array", "minItems": 1, "items": RESOURCE},
    },
}


def check(package: dict, folder: Path) -> None:
    """A data package against the rules of the standard, and against the files that it describes."""
    jsonschema.validate(package, PACKAGE)
    names = [resource["name"] for resource in package["resources"]]
    assert len(set(names)) == len(names)
    for resource in package["resources"]:
        fields = [field["name"] for field in resource["schema"]["fields"]]
        assert len(set(fields)) == len(fields)
        assert set(resource["schema"].get("primaryKey", [])) <= set(fields)
        with open(folder / resource["path"], newline="", encoding="utf-8") as file:
            assert next(csv.reader(file)) == fields, resource["path"]


# ---------------------------------------------------------------------------------------------- declarations


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=IDS)
def test_every_column_has_a_plain_sentence(table, column):
    assert column.meaning[0].isupper() or column.meaning[0] in "`p", column.meaning
    assert column.meaning.endswith(".") and len(column.meaning) < 120 and "picture" not in column.meaning
    assert column.type in TYPES
    assert column.values == () or column.type == "string"
    assert column.unit == "" or column.type in ("integer", "number")


@pytest.mark.parametrize("table", schema.TABLES.values(), ids=lambda table: table.name)
def test_every_table_says_its_rows_its_key_and_who_makes_it(table):
    assert table.meaning.endswith(".") and len(set(table.names)) == len(table.names)
    assert set(table.key) <= set(table.names)
    assert importlib.util.find_spec(table.made_by) is not None
    assert all(table.column(name).empty != "missing" for name in table.key), "a key is never missing"


def test_names_that_are_said_elsewhere_too_are_the_same():
    assert schema.names("metrics") == list(store.METRICS)  # training has them without the schema
    assert set(vocabulary.AXES) < set(schema.names("cells"))
    assert {*schema.MEASURES, "cells"} < set(schema.TABLES) and set(schema.MEASURES) < set(schema.COLLECTED)


def test_the_schema_is_imported_without_pandas_and_torch():
    code = "import sys; import weight_atlas.schema; print({'pandas', 'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------------------------------- reader and writer


def test_what_is_written_is_read_back_with_the_declared_types(tmp_path):
    path = tmp_path / "unchanged.csv"
    rows = [("base-1", 0, "conv1", "weight", 9, 4, 3, 3, None, None, math.nan, 5, None), ("1e5", 1, *"ab", *range(9))]
    schema.write(path, "unchanged", rows)
    found = schema.read(path, "unchanged")
    declared = {column.name: column.dtype for column in schema.TABLES["unchanged"].columns}
    assert found.dtypes.astype(str).to_dict() == declared
    assert found["cell_id"].tolist() == ["base-1", "1e5"]
    assert found["unchanged"].tolist() == [4, 1] and found["unchanged"].dtype == "int64"
    assert found["dead"].isna().tolist() == [True, False] and found["dead"].dtype == "float64"


LABELS = [
    "NA",
    "None",
    "nan",
    "null",
    "NULL",
    "N/A",
    "#N/A",
    "inf",
    "-1.#IND",
    "1",
    "01",
    "1e3",
    "True",
    "",
    " ",
    "<NA>",
]


def test_only_what_is_empty_is_missing(tmp_path):
    path = tmp_path / "tests.csv"
    rows = [("accuracy", "batch", label, "x", label, "n", 1, 0.1, *[None] * 6) for label in LABELS]
    schema.write(path, "tests", rows)
    found = schema.read(path, "tests")
    assert found["level_a"].tolist() == found["dataset"].tolist() == LABELS
    assert found[["low", "high", "t", "p", "q", "effect"]].isna().all(axis=None)


def test_text_that_is_missing_is_told_from_text_that_is_empty(tmp_path):
    path = tmp_path / "runs.csv"
    rest = (*[None] * 11, True, None)
    rows = [("base-1", 0, "done", None, 3, *rest), ("base-1", 1, "failed", "NA", 0, *rest)]
    schema.write(path, "runs", rows)
    found = schema.read(path, "runs")
    assert found["cause"].isna().tolist() == [True, False] and found["cause"][1] == "NA"
    assert found["threads"].isna().all() and found["threads"].dtype == "float64"


def test_numbers_read_back_the_same(tmp_path):
    path, values = tmp_path / "paths.csv", [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, math.inf]
    schema.write(path, "paths", [("base-1", 0, "plain", t, 3, t, t) for t in values])
    assert [value.hex() for value in schema.read(path, "paths")["loss"]] == [value.hex() for value in values]
    schema.write(path, "paths", [("base-1", 0, "plain", 1 / 3, 3, 1 / 3, 1 / 3)], digits=3)
    assert path.read_text().endswith("plain,0.333,3,0.333,0.333\n")


def test_a_table_without_rows_has_its_types_too(tmp_path):
    schema.write(tmp_path / "facts.csv", "facts", [])
    found = schema.read(tmp_path / "facts.csv", "facts")
    assert len(found) == 0 and found["holds"].dtype == bool and found["error"].dtype == "float64"


def test_further_axes_of_cells_are_text(tmp_path):
    path = tmp_path / "cells.csv"
    header = [*schema.names("cells"), "rate"]
    row = dict.fromkeys(header, "") | {"replicates": 3, "parameters": 5, "rate": "0.10", "init": "nan"}
    pd.DataFrame([row]).to_csv(path, index=False)
    found = schema.read(path, "cells")
    assert schema.axes(found) == [*vocabulary.AXES, "rate"]
    assert found["rate"].tolist() == ["0.10"] and found["init"].tolist() == ["nan"] and found["parent"].tolist() == [""]
    assert found["replicates"].dtype == found["parameters"].dtype == "int64"


WRONG = {
    "absent": (None, "missing.csv: is not there; run the workflow again, which makes it"),
    "empty": ("", "missing.csv: columns none; allowed: cell_id,seed,cause; remove the file, so that it is made again"),
    "lacking": ("cell_id,seed\na,0\n", "columns cell_id,seed; allowed: cell_id,seed,cause; remove"),
    "other": ("cell_id,seed,why\na,0,x\n", "columns cell_id,seed,why; allowed: cell_id,seed,cause; remove"),
    "type": ("cell_id,seed,cause\na,one,x\n", "missing.csv: .*one.*; remove the file"),
    "hole": ("cell_id,seed,cause\na,,x\n", "missing.csv: Integer column has NA values in column 1; remove the file"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_such_table_is_an_error_in_one_line(tmp_path, wrong):
    text, words = WRONG[wrong]
    if text is not None:
        (tmp_path / "missing.csv").write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        schema.read(tmp_path / "missing.csv", "missing")
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------ data dictionary


def test_the_data_package_is_valid_and_says_what_the_schema_says(tmp_path):
    for name in schema.COLLECTED:
        schema.write(tmp_path / f"{name}.csv", name, [])
    dictionary.write(tmp_path, "Some Tables", schema.COLLECTED)
    package = json.loads((tmp_path / "datapackage.json").read_text())
    check(package, tmp_path)
    assert package["name"] == "some-tables"
    by_path = {resource["path"]: resource for resource in package["resources"]}
    assert set(by_path) == {f"{name}.csv" for name in schema.COLLECTED}
    (seconds,) = (field for field in by_path["metrics.csv"]["schema"]["fields"] if field["name"] == "seconds")
    assert seconds["type"] == "number" and seconds["unit"] == "s" and "constraints" not in seconds
    (status,) = (field for field in by_path["runs.csv"]["schema"]["fields"] if field["name"] == "status")
    assert status["constraints"] == {"required": True, "enum": ["done", "diverged", "failed", "missing"]}
    assert by_path["movement.csv"]["made_by"] == "weight_atlas.analysis.weights.movement"


def test_the_check_of_packages_finds_what_is_wrong(tmp_path):
    schema.write(tmp_path / "missing.csv", "missing", [])
    good = dictionary.package("x", [dictionary.resource(schema.TABLES["missing"], "missing.csv")])
    check(good, tmp_path)
    for path, value in {
        ("path",): "../missing.csv",
        ("schema", "primaryKey"): ["no"],
        ("schema", "fields"): [],
    }.items():
        wrong = json.loads(json.dumps(good))
        place = wrong["resources"][0]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        with pytest.raises((AssertionError, jsonschema.ValidationError)):
            check(wrong, tmp_path)


def test_the_page_of_the_docs_is_what_the_command_writes(tmp_path):
    subprocess.run([sys.executable, "docs/tables.py", str(tmp_path / "tables.md")], cwd=ROOT, check=True)
    page = (ROOT / "docs/tables.md").read_text(encoding="utf-8")
    assert page == (tmp_path / "tables.md").read_text(encoding="utf-8"), "run: python docs/tables.py"
    for table, column in COLUMNS:
        assert f"### {table.name}\n" in page and f"| `{column.name}` | {column.type}" in page
