"""The course of a replicate: what is measured of all its snapshots, from the start to the last.

It is taken from the snapshots, or, where some of them were removed (`weight_atlas.analysis.prune_snapshots`), from the
tables that were made of them before.
"""

import hashlib
import math
from functools import cache
from pathlib import Path

from weight_atlas import schema, starts, store
from weight_atlas.analysis.features import filters
from weight_atlas.analysis.weights import movement, statistics, tolerance, unchanged
from weight_atlas.vocabulary import Kind, Status

TABLES = ("statistics", "movement", "unchanged", "tolerance", "identical")
# The modules that make their rows.
MADE = (
    *("course", "features/filters", "kernels/numba_kernels", "kernels/torch_kernels", "kernels/vectors"),
    *("weights/movement", "weights/statistics", "weights/tolerance", "weights/unchanged"),
)
WORDS = ("layer", "parameter", "interval", "criterion")  # their columns that hold no numbers


def available(cell, block, replicate):
    """(epochs, None) of the snapshots to measure, or (None, why not), for one replicate of a resolved cell.

    A finished replicate needs every snapshot that the cell asks for, up to the epoch at which it ended; of a diverged
    one, those are taken that exist. Given ones may begin at another epoch than 0. Of a thinned one, they are those that
    were measured before.
    """
    if replicate["status"] not in (Status.DONE, Status.DIVERGED):
        return None, replicate["cause"] if replicate["status"] == Status.MISSING else f"status {replicate['status']}"
    last, asked = replicate["epochs"], cell["snapshots"]
    if isinstance(asked, str):
        asked = range(last + 1) if asked == "all" else ()
    first = min(asked) if cell.get("start", {}).get("kind") == Kind.GIVEN else 0
    wanted = sorted({first, last, *(epoch for epoch in asked if epoch <= last)})
    told = store.course_path(folder(block, replicate))
    taken = store.read_json(told)["epochs"] if told.exists() else ()
    there = [epoch for epoch in wanted if epoch in taken or store.is_kept(snapshot(block, replicate, epoch))]
    if replicate["status"] == Status.DONE and not snapshot(block, replicate, last).exists():
        there = [epoch for epoch in there if epoch != last]
    if replicate["status"] == Status.DONE and there != wanted:
        return None, f"no snapshot of epoch {min(set(wanted) - set(there))}"
    return (there, None) if there else (None, "no snapshots")


def folder(block, replicate):
    """The folder of a replicate's snapshots."""
    return store.snapshot_path(block, replicate["seed"], 0).parent


def snapshot(block, replicate, epoch):
    """The path of one of its snapshots."""
    return store.snapshot_path(block, replicate["seed"], epoch)


def rows(layers, block, replicate, epochs):
    """{table: rows without cell and seed} for each of TABLES, of one replicate's snapshots.

    layers: the layer table of its network; epochs: as `available` gives them. Movement ends at the last snapshot with
    finite values; where that is not the replicate's last epoch, unchanged and tolerance have no rows.
    """
    own = folder(block, replicate)
    return read(own) if store.course_path(own).exists() else taken(layers, block, replicate, epochs)


def taken(layers, block, replicate, epochs):
    """What `rows` gives, from the snapshots."""
    found = {name: [] for name in TABLES}
    start = previous = None
    finite = True
    for epoch in epochs:
        current = (epoch, starts.load(snapshot(block, replicate, epoch)))
        described = statistics.rows(layers, current[1])
        found["statistics"] += [(epoch, *row) for row in described]
        finite = finite and all(math.isfinite(row[-1]) for row in described)
        if finite and previous:
            found["movement"] += _moved(layers, start, previous, current)
        start, previous = start or current, current
    # One file that is given has nothing beside it.
    if replicate["status"] == Status.DONE and finite and len(epochs) > 1:
        track = store.track_path(block, replicate["seed"])
        bits = store.load_tensors(track) if track.exists() else None
        found["unchanged"] = unchanged.rows(layers, start[1], current[1], bits)
        found["tolerance"] = tolerance.rows(layers, start[1], current[1])
    files = {epoch: snapshot(block, replicate, epoch) for epoch in epochs}
    return found | {"identical": filters.rows(layers, files)}


def _moved(layers, start, previous, current):
    """Rows of movement.csv for one snapshot: since the previous one, and since the start. Each is (epoch, tensors)."""
    consecutive = movement.rows(layers, previous[1], current[1])
    whole = consecutive if previous is start else movement.rows(layers, start[1], current[1])
    return [
        (row[0], since[0], current[0], interval, *row[1:])
        for interval, since, found in (("consecutive", previous, consecutive), ("start", start, whole))
        for row in found
    ]


# ------------------------------------------------------------------------------------- beside the snapshots


def write(own, cell_id, seed, found, epochs):
    """Write the rows of a replicate beside its snapshots, in the folder `own`: a CSV file a table, and, when all of
    them are there, the file that says so, with the epochs and the code (see `code`) that they were taken by."""
    for name in TABLES:
        schema.write(own / f"{name}.csv", name, [(cell_id, seed, *row) for row in found[name]])
    store.write_json(store.course_path(own), {"epochs": list(epochs), "code": code()})


def read(own):
    """The rows that `write` wrote, with the same values. ValueError where they are of another version."""
    found = {}
    for name in TABLES:
        columns = schema.names(name)[2:]
        try:
            held = schema.rows(own / f"{name}.csv", name)
        except ValueError:
            block = own.parents[1]
            raise ValueError(
                f"{own / name}.csv: has other columns than now, and the snapshots that it was made of are gone; remove "
                f"{block}, to train it again"
            ) from None
        found[name] = [tuple(map(_value, columns, row[2:])) for row in held]
    return found


def _value(column, text):
    """What stands in a CSV file as the value that was written: a word, a whole number, a float, or nothing (NaN)."""
    if column in WORDS:
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text or "nan")


@cache
def code():
    """A digest of the code that makes the rows.

    It is no input of the rule that trains, since a measure that is edited must not train anything again: rows that are
    kept stay those of the code that made them, and whoever reads them can say so.
    """
    own = (Path(__file__).parent / f"{name}.py" for name in MADE)
    return hashlib.sha256(b"".join(file.read_bytes() for file in own)).hexdigest()


def outdated(block, replicate):
    """Whether the rows of a thinned replicate were made by other code than there is now."""
    told = store.course_path(folder(block, replicate))
    return told.exists() and store.read_json(told)["code"] != code()
