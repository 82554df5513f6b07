"""The tables of a finished run against the schema, and its data dictionary."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.test_schema import check
from weight_atlas import schema

NAMES = ("cells", *schema.COLLECTED)


def path_of(tour: Path, name: str) -> Path:
    return tour / "cells.csv" if name == "cells" else tour / "tables" / f"{name}.csv"


@pytest.mark.parametrize("name", NAMES)
def test_every_table_of_a_run_fits_its_schema(tour, name):
    table, found = schema.TABLES[name], schema.read(path_of(tour, name), name)
    plain = pd.read_csv(path_of(tour, name), dtype=str, na_filter=False)  # as it stands in the file
    for column in map(table.column, found):
        values, texts = found[column.name], plain[column.name]
        assert str(values.dtype) == column.dtype, column.name
        assert column.empty != "never" or not (texts == "").any(), column.name
        assert values.isna().equals((texts == "") & (column.empty != "text")), column.name
        assert not column.values or set(values.dropna()) <= set(column.values), column.name
        if column.type == "integer":
            assert texts[texts != ""].str.fullmatch(r"-?\d+").all(), column.name
        if column.type == "object":
            assert all(isinstance(json.loads(text), dict) for text in texts if text), column.name
    if table.key:
        key = [*table.key, *(name for name in found if name not in table.names)]
        assert not found.duplicated(key).any()


def test_a_run_has_all_tables_and_no_other(tour):
    assert {path.stem for path in (tour / "tables").glob("*.csv")} == set(schema.COLLECTED)
    filled = [name for name in NAMES if len(schema.read(path_of(tour, name), name))]
    empty = set(NAMES) - set(filled)
    unasked = {"confusion", "connectivity", "landmarks", "landscape", "lines", "representations", "sharpness", "tuning"}
    assert {"faults"} <= empty <= {"faults", "missing", "breakpoints", "effects"} | unasked  # no bends, no further axis


def test_the_tables_have_a_data_package(tour):
    package = json.loads((tour / "tables/datapackage.json").read_text(encoding="utf-8"))
    check(package, tour / "tables")
    assert [resource["path"] for resource in package["resources"]] == [f"{name}.csv" for name in schema.COLLECTED]


def test_every_trained_replicate_says_which_images_it_has_right(tour):
    """Those of cells that others start from as well, of which no measure is taken."""
    runs, right = (schema.read(path_of(tour, name), name) for name in ("runs", "right"))
    replicate = ["cell_id", "seed"]
    done = runs.loc[runs["status"] == "done", replicate]
    assert set(map(tuple, done.to_numpy())) == set(map(tuple, right[replicate].to_numpy()))
