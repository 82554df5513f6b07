"""Tables as CSV files: the writer, and the reader. No torch; pandas inside the reader alone."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weight_atlas import store
from weight_atlas.schema import tables
from weight_atlas.schema.spreadsheet import neutralise, restore

if TYPE_CHECKING:
    import pandas as pd

AGAIN = "remove the file, so that it is made again"


def write(
    path: Path, table: str, rows: Iterable[Sequence[Any]], digits: int | None = None, header: Sequence[str] = ()
) -> None:
    """Write rows (values in the order of the table's columns) as CSV, whole.

    Floats are written so that they read back the same, or with `digits` significant digits; NaN and None are empty.
    Text that a spreadsheet would run is neutralised. header: all columns, of a table that has free ones.
    """
    names = header or tables.names(table)
    with store.atomic_write(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        file.write(_line(names))
        for row in rows:
            file.write(_line(_text(value, digits) for value in row))


def _text(value: Any, digits: int | None) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        value = f"{value:.{digits}g}" if digits else repr(float(value))
    return str(value)


def frame_text(frame: "pd.DataFrame") -> str:
    """The numbers of an exhibit as CSV text: ten significant digits, empty cells for what is undefined, the same bytes
    every time, and text that a spreadsheet would run neutralised."""
    columns = [_column(frame.iloc[:, at]) for at in range(frame.shape[1])]
    return "".join(map(_line, [map(str, frame.columns), *zip(*columns, strict=True)]))


def _column(values: "pd.Series[Any]") -> list[str]:
    """The texts of a column."""
    text = "{:.10g}".format if values.dtype.kind == "f" else str
    return ["" if gone else text(value) for value, gone in zip(values, values.isna(), strict=True)]


def _line(fields: Iterable[str]) -> str:
    """Fields as a line of CSV; numbers stay numbers, text that a spreadsheet would run is neutralised.

    Python's csv writer leaves a carriage return unquoted, which readers take for the end of the line.
    """
    return (",".join(map(_field, fields)) or '""') + "\n"


def _field(text: str) -> str:
    text = neutralise(text)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


_QUOTED = re.compile('[,"\r\n]')


def rows(path: Path, table: str) -> list[list[str]]:
    """The rows of a table as lists of text; ValueError where its columns are others, or where it is no CSV file."""
    lines = _lines(path)
    _header(path, table, next(lines, []))
    return list(lines)


def dicts(path: str | Path, needed: Iterable[str] = ()) -> Iterator[dict[str, str]]:
    """The rows of any table as dicts of text, also of another version's.

    Raises
    ------
    ValueError
        In one line, where it is no CSV file, or has none of the columns `needed`.
    """
    lines = _lines(path)
    header = next(lines, [])
    if missing := [name for name in needed if name not in header]:
        raise ValueError(f"{path}: has no column {missing[0]!r}; {AGAIN}")
    for line in lines:
        yield dict(zip(header, line, strict=True))


def columns(path: str | Path) -> list[str]:
    """The header of any table; ValueError where it is no CSV file."""
    return next(_lines(path), [])


def _lines(path: str | Path) -> Iterator[list[str]]:
    """The header and the rows of a CSV file, as they were before the writer neutralised them."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        count = None
        try:
            for line in filter(None, reader):
                count = count or len(line)
                if len(line) != count:
                    raise ValueError(f"{path}: line {reader.line_num} has {len(line)} fields and the header {count}")
                yield [restore(field) for field in line]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: line {reader.line_num + 1}: {error}; {AGAIN}") from None


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
    header = _header(path, table, columns(path))
    declared = [tables.TABLES[table].column(name) for name in header]
    dtypes = {column.name: column.dtype for column in declared}
    missing = {column.name: [""] for column in declared if column.empty != "text"}
    try:
        frame = pd.read_csv(
            path, header=0, names=header, dtype=dtypes, keep_default_na=False, na_values=missing, encoding="utf-8"
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {AGAIN}") from None
    for column in declared:
        if column.dtype == "str" and frame[column.name].str.contains("'", regex=False).any():
            frame[column.name] = frame[column.name].map(restore, na_action="ignore").astype("str")
    return frame


def _header(path: str | Path, table: str, found: list[str]) -> list[str]:
    try:
        return tables.header(table, found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {AGAIN}") from None
