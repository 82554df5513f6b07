"""Tables as CSV files: the writer, and the reader. No torch; pandas inside the reader alone."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weight_atlas import store
from weight_atlas.schema import tables

if TYPE_CHECKING:
    import pandas as pd

AGAIN = "remove the file, so that it is made again"


def write(path: Path, table: str, rows: Iterable[Sequence[Any]], digits: int | None = None) -> None:
    """Write rows (values in the order of the table's columns) as CSV, whole.

    Floats are written so that they read back the same, or with `digits` significant digits; NaN and None are empty.
    """
    with store.atomic_write(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(tables.names(table))
        writer.writerows([_text(value, digits) for value in row] for row in rows)


def _text(value: Any, digits: int | None) -> Any:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.{digits}g}" if digits else repr(float(value))
    return value


def rows(path: Path, table: str) -> list[list[str]]:
    """The rows of a table as lists of text, as they stand in the file; ValueError where its columns are others."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        _header(path, table, next(reader, []))
        return list(reader)


def read(path: str | Path, table: str) -> "pd.DataFrame":
    """A table as a DataFrame with the dtypes that its columns declare, in the order of the file.

    An empty field is NaN, but for columns in which an empty text is a label. Nothing else is missing: a label that is
    called NA, None or nan stays that text.

    Parameters
    ----------
    path : the CSV file
    table : the name that the table has in the schema

    Raises
    ------
    ValueError
        In one line, where the file is not there, has other columns, or holds what is not of the declared type.
    """
    import pandas as pd

    if not Path(path).is_file():
        raise ValueError(f"{path}: is not there; run the workflow again, which makes it")
    with open(path, newline="", encoding="utf-8") as file:
        header = _header(path, table, next(csv.reader(file), []))
    columns = [tables.TABLES[table].column(name) for name in header]
    dtypes = {column.name: column.dtype for column in columns}
    missing = {column.name: [""] for column in columns if column.empty != "text"}
    try:
        return pd.read_csv(path, dtype=dtypes, keep_default_na=False, na_values=missing, encoding="utf-8")
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {AGAIN}") from None


def _header(path: str | Path, table: str, found: list[str]) -> list[str]:
    try:
        return tables.header(table, found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {AGAIN}") from None
