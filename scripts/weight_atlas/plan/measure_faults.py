"""What raised while cells were measured, as `collect` leaves it in tables/faults.csv: for the console and the page."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from weight_atlas import schema

# What to do, behind the list: a measure's code is an input of it.
ADVICE = "Once its code is mended the same command measures it again; to try as it is, add --forcerun measure."


class MeasureFault(NamedTuple):
    """A measure that raised the same error for some cells of a group.

    replicates: (cell, seed), None for all seeds; why: the error in one line; log: that of the measure job.
    """

    measure: str
    replicates: list[tuple[str, int | None]]
    why: str
    log: str

    @property
    def cells(self) -> list[str]:
        """The cells that have no rows of it, or fewer."""
        return list(dict.fromkeys(cell for cell, _ in self.replicates))

    @property
    def what(self) -> str:
        """The measure, as a reader would name it, and for which cells it raised."""
        first, *others = self.cells
        seeds = [str(seed) for cell, seed in self.replicates if cell == first and seed is not None]
        own = f" (seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})" if seeds else ""
        more = f" and {len(others)} more cell{'s' * (len(others) > 1)}" if others else ""
        return f"the measure {self.measure} of {first}{own}{more}"


def read(tables: Path, groups: Mapping[str, str], logs: str) -> list[MeasureFault]:
    """The measures that raised, in the order of the cells; none where the table is not there.

    Parameters
    ----------
    tables : path
        The folder of tables.
    groups : mapping
        {cell id: its measure group}
    logs : str
        The folder with the logs of the measure jobs.

    Raises
    ------
    ValueError
        In one line, where the file is no such table.
    """
    path = tables / "faults.csv"
    found: dict[tuple[str, str, str], list[tuple[str, int | None]]] = {}
    for cell, seed, measure, why in schema.rows(path, "faults") if path.exists() else []:
        if cell in groups:
            found.setdefault((groups[cell], measure, why), []).append((cell, int(seed) if seed else None))
    return [
        MeasureFault(measure, replicates, why, f"{logs}/{group}.log")
        for (group, measure, why), replicates in found.items()
    ]
