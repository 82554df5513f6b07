"""All tables by name, and what is asked of their columns most often. No torch, no pandas."""

from collections.abc import Iterable

from weight_atlas.schema import bundle, compare, measures, runs, transfer
from weight_atlas.vocabulary import AXES

SUBJECTS = {
    "Cells, runs and tests": runs.TABLES,
    "Weights": measures.WEIGHTS,
    "Features": measures.FEATURES,
    "The loss around models": measures.LANDSCAPES,
    "Perturbed models": measures.PERTURBED,
    "Correlations against chance": measures.CHANCE,
    "Freeze-depth transfer": transfer.TABLES,
    "Comparison of two results": compare.TABLES,
    "Networks of a bundle": bundle.TABLES,
}
TABLES = {table.name: table for tables in SUBJECTS.values() for table in tables}
# The tables that one measure job writes for its group of cells, and those that `collect` leaves in tables/.
BY_MEASURES = (*measures.WEIGHTS, *measures.FEATURES, *measures.LANDSCAPES, *measures.PERTURBED)
MEASURES = (*(table.name for table in BY_MEASURES), "missing", "faults", "right")
COLLECTED = tuple(name for name in TABLES if name != "cells" and "/" not in name)


def names(table: str) -> list[str]:
    """The names of a table's columns, in order; of cells.csv without a study's further axes."""
    return TABLES[table].names


def axes(header: Iterable[str]) -> list[str]:
    """Those of the columns of a cells.csv that are axes: the four that every config has, and a study's further ones."""
    plain = set(names("cells")) - set(AXES)
    return [name for name in header if name not in plain]


def header(table: str, found: list[str]) -> list[str]:
    """`found`, where it is a header of the table.

    Raises
    ------
    ValueError
        Where a declared column is missing or another one is there; a table with free columns may have them anywhere.
    """
    declared = TABLES[table]
    wrong = set(declared.names) - set(found) if declared.free else found != declared.names
    if wrong:
        allowed = ",".join([*declared.names, *([".."] if declared.free else [])])
        raise ValueError(f"columns {','.join(found) or 'none'}; allowed: {allowed}")
    return found
