"""Make docs/coverage.md from tests/coverage.yaml."""

import argparse
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
STATES = ("complete", "partly", "missing")
HEAD = """# What the documents contain, and where it is here

Weight Atlas reproduces five documents. This page lists every experiment, table, figure, reported number, stated
conclusion, question and empty section of them, and where the project has it. It is made from `tests/coverage.yaml` by
`python docs/coverage.py`. A test checks every place that it names against the full configs and the finished tour.

- *Complete*: the full config runs it and the report shows it. Of a reported number, the report prints the document's
  next to ours.
- *Partly* and *missing*: the line says what is not there.
- *(added)*: the document has no such thing, but an honest answer to it needs one.
- *Full study only*: the tour is too small to show it.
"""


def listed(value) -> list:
    """A value that may be a list or stand alone, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def code(values) -> str:
    """Names as code, with commas."""
    return ", ".join(f"`{value}`" for value in listed(values))


def where(entry: dict) -> str:
    """The places of an entry in one cell of a table."""
    parts = []
    if "config" in entry or "study" in entry:
        parts.append(f"run by {code([entry[key] for key in ('config', 'study') if key in entry])}")
    if "experiment" in entry:
        parts.append(f"experiment {code(entry['experiment'])}")
    if "cells" in entry:
        parts += [f"{axis} {', '.join(map(str, listed(levels)))}" for axis, levels in entry["cells"].items()]
    if "exhibit" in entry:
        parts.append(f"exhibit {code(entry['exhibit'])}")
    if "facts" in entry:
        parts.append(f"text `{entry['facts']}`")
    if "table" in entry:
        parts.append(f"table `{entry['table']}`" + (f" ({code(entry['column'])})" if "column" in entry else ""))
    if "claim" in entry:
        parts.append(f"claim {entry['claim']}")
    if "tour" in entry:
        parts.append("full study only")
    return "; ".join(parts)


def anchor(heading: str) -> str:
    """The link that Markdown gives a heading."""
    return "".join(letter for letter in heading.lower().replace(" ", "-") if letter.isalnum() or letter == "-")


def section(number: str, document: dict) -> list[str]:
    """The lines of one document: heading, config, table."""
    lines = [f"## {number}: {document['title']}", ""]
    lines += [f"The full study is `{document['study']}` of `{document['config']}`.", ""]
    lines += ["| id | the document has | where it is | state |", "| --- | --- | --- | --- |"]
    for entry in document["entries"]:
        says = entry["says"] + (" *(added)*" if "added" in entry else "")
        state = f"**{entry['state']}**: {entry['lacks']}" if "lacks" in entry else entry["state"]
        cells = (entry["id"], says, where(entry), state)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [*lines, ""]


def counts(documents: dict) -> list[str]:
    """The table of entries by document and state."""
    lines = [f"| document | {' | '.join(STATES)} | all |", "| --- |" + " ---: |" * (len(STATES) + 1)]
    total = Counter()
    for number, document in documents.items():
        own = Counter(entry["state"] for entry in document["entries"])
        total += own
        heading = f"{number}: {document['title']}"
        lines.append(f"| [{heading}](#{anchor(heading)}) | {row(own)} |")
    return [*lines, f"| all | {row(total)} |", ""]


def row(own: Counter) -> str:
    """Counts by state and their sum, as cells of a table."""
    return " | ".join(str(count) for count in (*(own[state] for state in STATES), own.total()))


def page(documents: dict) -> str:
    """The whole page, Markdown."""
    lines = [HEAD, *counts(documents)]
    for number, document in documents.items():
        lines += section(number, document)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    documents = yaml.safe_load((ROOT / "tests/coverage.yaml").read_text(encoding="utf-8"))["documents"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=ROOT / "docs/coverage.md", help="the page to write")
    target = parser.parse_args().target
    target.write_text(page(documents), encoding="utf-8")
