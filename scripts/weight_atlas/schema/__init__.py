"""Every table: each column once, with its dtype, unit and meaning; the writer, the reader and the data dictionary.

Declared by subject: `runs`, `measures`, `transfer` and `compare`. A new column is declared there and nowhere else.
Training imports none of it, so that an edited sentence trains nothing again. No torch; pandas inside the reader alone.
"""

from weight_atlas.schema.column import Column, Table
from weight_atlas.schema.files import columns, dicts, frame_text, read, rows, write
from weight_atlas.schema.tables import COLLECTED, MEASURES, TABLES, axes, header, names

__all__ = [
    "COLLECTED",
    "MEASURES",
    "TABLES",
    "Column",
    "Table",
    "axes",
    "columns",
    "dicts",
    "frame_text",
    "header",
    "names",
    "read",
    "rows",
    "write",
]
