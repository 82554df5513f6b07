"""summary.csv of a folder of tables that a test wrote by hand, as collecting makes it."""

from pathlib import Path

from tests.unit.tables import complete
from weight_atlas import schema
from weight_atlas.analysis.runs import summary

NAMES = ("runs", "accuracy", "movement", "unchanged", "features", "parameters")


def write(folder: Path) -> None:
    """Write summary.csv from the other tables below `folder`; tables that a test leaves out are empty."""
    complete(folder)
    frames = [schema.read(folder / f"{name}.csv", name) for name in NAMES]
    schema.write(folder / "summary.csv", "summary", summary.rows(*frames))
