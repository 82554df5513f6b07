"""The data dictionary: tables as a Frictionless Data Package (https://datapackage.org, version 2.0)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weight_atlas import store
from weight_atlas.schema.column import CELL, DATASET, INIT, NETWORK, OPTIMIZER, STUDY, Column, Table
from weight_atlas.schema.spreadsheet import neutralise
from weight_atlas.schema.tables import TABLES

NAME = "datapackage.json"
PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
# The columns of figures' tables that are always those of the other tables; their other columns are each figure's own.
LABELS = {column.name: column for column in (CELL, STUDY, DATASET, NETWORK, INIT, OPTIMIZER)}


def write(folder: Path, name: str, tables: Iterable[str]) -> None:
    """Write the data package of these tables, whose CSV files lie in `folder`, into it."""
    resources = [resource(TABLES[table], TABLES[table].file) for table in tables]
    store.write_json(folder / NAME, package(name, resources))


def package(name: str, resources: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A data package as a dict for JSON."""
    return {"$schema": PROFILE, "name": slug(name), "resources": list(resources)}


def resource(table: Table, path: str, header: Sequence[str] = ()) -> dict[str, Any]:
    """The entry of a table in a data package; header: the columns of its file, where it has free ones."""
    names = list(header) or table.names
    schema: dict[str, Any] = {"fields": [_field(table.column(name)) for name in names], "missingValues": [""]}
    if table.key:
        free = [name for name in names if name not in table.names]
        schema["primaryKey"] = [*table.key, *free]
    return _entry(path, table.meaning) | {"made_by": table.made_by, "schema": schema}


def figure(path: str, title: str, header: Sequence[str], source: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The entry of an exhibit's numbers: of its columns those are described that are labels of cells.

    source: {"functions": those that made it, "files": what they read}.
    """
    fields = [_field(LABELS[name]) if name in LABELS else {"name": name, "type": "any"} for name in header]
    made = {"made_by": ", ".join(source["functions"]), "made_from": list(source["files"])}
    return _entry(path, title) | made | {"schema": {"fields": fields, "missingValues": [""]}}


def _entry(path: str, description: str) -> dict[str, Any]:
    form = {"type": "table", "format": "csv", "mediatype": "text/csv", "encoding": "utf-8"}
    return {"name": slug(path.removesuffix(".csv")), "path": path, "description": description} | form


def _field(column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.name, "type": column.type, "description": column.meaning}
    if column.unit:
        field["unit"] = column.unit
    if column.empty == "text" and column.type == "string":
        field["missingValues"] = []
    constraints: dict[str, Any] = {"required": True} if column.empty == "never" else {}
    if column.values:
        constraints["enum"] = [neutralise(value) for value in column.values]  # as they stand in the file
    return field | ({"constraints": constraints} if constraints else {})


def slug(text: str) -> str:
    """A name that a data package may have: lower case, digits, hyphens, dots, underscores."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-")
