"""Make docs/tables.md, the data dictionary, from weight_atlas/schema."""

import argparse
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from weight_atlas.schema.column import Column, Table  # noqa: E402
from weight_atlas.schema.tables import SUBJECTS  # noqa: E402

HEAD = """# Tables and columns

A run leaves its tables in `results/<name>/tables/`, `cells.csv` beside that folder, and those of a comparison in
`compare/`. They are CSV files in UTF-8 with a header. This page is made from `scripts/weight_atlas/schema` by
`python docs/tables.py`; `datapackage.json` beside the tables says the same to machines, as a
[Frictionless Data Package](https://datapackage.org).

- An empty field is a missing or undefined value, but in the columns that say *may be empty*: there it is an empty text.
  Nothing else is missing: a label may be `NA`, `None` or `nan`.
- `wa.table("accuracy")` reads a table with the types given here. A whole number that may be missing is a float there.
- A text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-` or `@`) has an apostrophe before it, in
  every CSV file, also of the page and of a bundle. `wa.table` takes it away again. Numbers have none.
- *share*: a fraction from 0 to 1. Without a unit: text, a ratio, or in the units of the parameters themselves.
- *key*: the columns that no two rows share.
- *made by*: the module that computes the numbers. On the report's page the fold below an exhibit names the function
  that made it and the tables that it read.
"""


def contents() -> list[str]:
    """The list of the subjects with links to their tables."""
    lines = []
    for subject, tables in SUBJECTS.items():
        links = ", ".join(f"[`{table.name}`](#{anchor(table)})" for table in tables)
        lines.append(wrapped(f"- {subject}: {links}", "  "))
    return [*lines, ""]


def wrapped(text: str, indent: str = "") -> str:
    """Text in lines of at most 120 characters."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def anchor(table: Table) -> str:
    """The link that Markdown gives the heading of a table."""
    return "".join(letter for letter in table.name if letter.isalnum() or letter in "-_")


def section(table: Table) -> list[str]:
    """The lines of one table: heading, what a row is, who makes it, its columns."""
    lines = [f"### {table.name}", "", wrapped(f"{table.meaning} Made by `{table.made_by}`.")]
    if table.key:
        key = ", ".join(f"`{name}`" for name in table.key)
        lines += ["", wrapped(f"Key: {key}" + (" and the further axes." if table.free else "."))]
    lines += ["", "| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
    lines += [row(column, f"`{column.name}`") for column in table.columns]
    if table.free:
        lines.append(row(table.free, "one per further axis"))
    return [*lines, ""]


def row(column: Column, name: str) -> str:
    """A column as a row of its table."""
    meaning = column.meaning
    if column.values:
        meaning += f" One of {', '.join(f'`{value}`' for value in column.values)}."
    kinds = {"never": "", "missing": " or missing", "text": ", may be empty"}
    return f"| {name} | {column.type}{kinds[column.empty]} | {column.unit} | {meaning} |"


def page() -> str:
    """The whole page, Markdown."""
    lines = [HEAD, *contents()]
    for subject, tables in SUBJECTS.items():
        lines += [f"## {subject}", ""]
        for table in tables:
            lines += section(table)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=ROOT / "docs/tables.md", help="the page to write")
    parser.parse_args().target.write_text(page(), encoding="utf-8")
