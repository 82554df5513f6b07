"""The course of a replicate: what is measured of all its snapshots, from the start to the last.

It is taken from the snapshots, or, where some of them were removed (`weight_atlas.analysis.prune_snapshots`), from the
tables that were made of them before.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from weight_atlas import schema, starts, store
from weight_atlas.analysis.features.filters import IdenticalFilters
from weight_atlas.analysis.measure import CourseMeasure, Replicate, Snapshot
from weight_atlas.analysis.types import Readable, Record, Rows, Value
from weight_atlas.analysis.weights import statistics
from weight_atlas.analysis.weights.ends import Ends
from weight_atlas.analysis.weights.movement import Movement
from weight_atlas.analysis.weights.statistics import Statistics
from weight_atlas.settings import Settings
from weight_atlas.vocabulary import Status

MEASURES: tuple[type[CourseMeasure], ...] = (Statistics, Movement, Ends, IdenticalFilters)
TABLES = tuple(name for measure in MEASURES for name in measure.tables)
# The modules that make their rows.
MODULES = (
    *("course", "features/filters", "kernels/numba_kernels", "kernels/torch_kernels", "kernels/select"),
    *("weights/ends", "weights/movement", "weights/statistics", "weights/tolerance", "weights/unchanged"),
)
WORDS = ("layer", "parameter", "interval", "criterion")  # their columns that hold no numbers


Spare = Callable[[str], AbstractContextManager[None]]


class Available(NamedTuple):
    """The epochs of the snapshots to measure, or None and why there are none."""

    epochs: list[int] | None
    why: str | None


def available(settings: Settings, block: Path, record: Record) -> Available:
    """Which snapshots of a replicate are to be measured.

    A finished replicate needs every snapshot that the cell asks for, up to the epoch at which it ended; of a diverged
    one, those are taken that exist. Given ones may begin at another epoch than 0. Of a thinned one, they are those that
    were measured before.

    Parameters
    ----------
    settings : Settings
        The resolved cell.
    block : path
        The directory of the replicate's block.
    record : dict
        What became of the replicate.
    """
    if record["status"] not in ("done", "diverged"):
        missing = record["status"] == Status.MISSING
        return Available(None, record["cause"] if missing else f"status {record['status']}")
    seed, last, asked = record["seed"], record["epochs"], settings.snapshots
    epochs: Sequence[int] = asked if not isinstance(asked, str) else range(last + 1) if asked == "all" else ()
    first = min(epochs) if settings.is_given else 0
    needed = sorted({first, last, *(epoch for epoch in epochs if epoch <= last)})
    course_file = store.course_path(store.replicate_path(block, seed))
    measured = store.read_json(course_file)["epochs"] if course_file.exists() else ()
    kept = [epoch for epoch in needed if store.is_kept(store.snapshot_path(block, seed, epoch))]
    existing = [epoch for epoch in needed if epoch in measured or epoch in kept]
    if record["status"] == "done" and not store.snapshot_path(block, seed, last).exists():
        existing = [epoch for epoch in existing if epoch != last]
    if record["status"] == "done" and existing != needed:
        return Available(None, f"no snapshot of epoch {min(set(needed) - set(existing))}")
    return Available(existing, None) if existing else Available(None, "no snapshots")


def rows(replicate: Replicate, epochs: Sequence[int], asked: Sequence[type[CourseMeasure]], spare: Spare) -> Rows:
    """{table: rows without cell and seed} for each of TABLES; none of measures that are not `asked` for.

    epochs: as `available` gives them; spare: see `measured`. Movement ends at the last snapshot with finite values;
    where that is not the replicate's last epoch, unchanged and tolerance have no rows.
    """
    if store.course_path(replicate.folder).exists():
        return read(replicate.folder)
    return measured(replicate, epochs, asked, spare)


def measured(replicate: Replicate, epochs: Sequence[int], asked: Sequence[type[CourseMeasure]], spare: Spare) -> Rows:
    """What `rows` gives, from the snapshots: each is read once and handed to every measure."""
    snapshots = ((epoch, starts.open_snapshot(replicate.snapshot(epoch))) for epoch in epochs)
    return walked(replicate, snapshots, asked, spare)


def walked(
    replicate: Replicate, snapshots: Iterable[tuple[int, Readable]], asked: Sequence[type[CourseMeasure]], spare: Spare
) -> Rows:
    """What `rows` gives, of snapshots in order, each with its epoch.

    spare: by a measure's name what takes in that it raises. It then has no rows, and the others see all snapshots.
    """
    measures = [make(replicate) for make in asked]
    for epoch, tensors in snapshots:
        described = statistics.rows(replicate.table, tensors)
        is_finite = all(math.isfinite(row[-1]) for row in described)
        sound = []
        for measure in measures:
            with spare(measure.name):
                measure.see(Snapshot(epoch, tensors, [*described], is_finite))
                sound.append(measure)
        measures = sound
    course_rows: Rows = {name: [] for name in TABLES}
    for measure in measures:
        with spare(measure.name):
            course_rows |= measure.rows()
    return course_rows


def finite(course_rows: Rows) -> bool:
    """Whether all values of all snapshots are finite: their norms are. Without norms nobody knows, and it is not."""
    norms = [row[-1] for row in course_rows["statistics"]]
    return bool(norms) and all(isinstance(norm, float) and math.isfinite(norm) for norm in norms)


# ------------------------------------------------------------------------------------- beside the snapshots


def write(folder: Path, cell_id: str, seed: int, course_rows: Rows, epochs: Sequence[int]) -> None:
    """Write the rows of a replicate beside its snapshots, in their folder: a CSV file per table, and, when all of them
    are there, the file that says so, with the epochs and the code (see `code`) that they were taken by."""
    for name in TABLES:
        schema.write(folder / f"{name}.csv", name, [(cell_id, seed, *row) for row in course_rows[name]])
    store.write_json(store.course_path(folder), {"epochs": list(epochs), "code": code()})


def read(folder: Path) -> Rows:
    """The rows that `write` wrote, with the same values. ValueError where they are of another version."""
    course_rows: Rows = {}
    for name in TABLES:
        columns = schema.names(name)[2:]
        try:
            lines = schema.rows(folder / f"{name}.csv", name)
        except ValueError:
            block = folder.parents[1]
            raise ValueError(
                f"{folder / name}.csv: has other columns than now, and the snapshots that it was made of are gone; "
                f"remove {block}, to train it again"
            ) from None
        course_rows[name] = [tuple(map(_value, columns, line[2:])) for line in lines]
    return course_rows


def _value(column: str, text: str) -> Value:
    """The text of a CSV file as the value that was written: a word, a whole number, a float, or nothing (NaN)."""
    if column in WORDS:
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text or "nan")


@cache
def code() -> str:
    """A digest of the code that makes the rows.

    It is no input of the rule that trains, since a measure that is edited must not train anything again: rows that are
    kept stay those of the code that made them, and whoever reads them can say so.
    """
    files = (Path(__file__).parent / f"{name}.py" for name in MODULES)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def outdated(block: Path, record: Record) -> bool:
    """Whether the rows of a thinned replicate were made by other code than there is now."""
    course_file = store.course_path(store.replicate_path(block, record["seed"]))
    return course_file.exists() and bool(store.read_json(course_file)["code"] != code())
