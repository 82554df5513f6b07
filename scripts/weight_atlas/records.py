"""How each replicate ended, and whether its files are still those that were recorded. No torch, no pandas.

A replicate's folder, `snapshots/seed<k>` of a block, holds all its files: snapshots, metrics.csv, and record.json,
which has the SHA-256 of each of the others. A block's run.json and metrics.csv are made from these.
"""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from weight_atlas import store
from weight_atlas.json_fields import (
    Fields,
    find_mismatch,
    is_count,
    is_list,
    is_number,
    is_object,
    is_text,
    object_of,
    or_none,
)
from weight_atlas.vocabulary import ENDED, Status

# What run.json must say; what is said of the machine that trained a replicate; and of a replicate what record.json must
# say, what both must once it is in place, and what they may say.
RUN: Fields = {"cell_id": is_text, "replicates": is_list, "cell": is_object}
MACHINE: Fields = {
    "device": or_none(is_text),
    "device_name": or_none(is_text),
    "threads": or_none(is_count),
    "versions": object_of(is_text),
}
ENDING: Fields = {
    "seed": is_count,
    "status": lambda value: isinstance(value, str) and value in ENDED,
    "epochs": is_count,
}
SEALED: Fields = {
    **ENDING,
    "machine": lambda value: find_mismatch(value, {}, MACHINE) is None,
    "recipe": object_of(or_none(is_text)),
    "sha256": object_of(is_text),
}
COURSE: Fields = {
    "cause": or_none(is_text),
    "best_epoch": or_none(is_count),
    "start_file": or_none(is_text),
    "start_sha256": or_none(is_text),
    "started": or_none(is_text),
    "wall_seconds": or_none(is_number),
    "images_per_second": or_none(is_number),
    "peak_memory_mib": or_none(is_number),
    "peak_gpu_memory_mib": or_none(is_number),
}

NO_MACHINE: dict[str, Any] = {"device": None, "device_name": None, "versions": {}}


class Replicate(NamedTuple):
    """A replicate: its seed, its block's directory, what the block's run.json says, and the seed's entry there."""

    seed: int
    block: Path
    run: dict[str, Any]
    record: dict[str, Any]


def timestamp() -> str:
    """The time in UTC, to the second, as ISO 8601 has it: such times sort as text."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def digests(folder: Path) -> dict[str, str]:
    """{name: SHA-256} of the files of a replicate's folder except its record, sorted by name."""
    files = sorted(path for path in folder.iterdir() if path.name != "record.json" and path.is_file())
    return {path.name: sha256(path) for path in files}


def seal(block: Path, seed: int, recipe: Mapping[str, str | None]) -> None:
    """Add to the record of a replicate what it was trained from, and the digests of its files."""
    path = store.record_path(block, seed)
    sealed = {"recipe": recipe, "sha256": digests(path.parent)}
    store.write_json(path, {"machine": NO_MACHINE} | store.read_json(path) | sealed)


def assemble(block: Path, cell_id: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write metrics.csv and run.json of a block from the records of its replicates; returns what run.json says.

    The same records give the same bytes: the two files may be removed at any time, and made again.
    """
    lines = [",".join(store.METRICS)]
    records = []
    for seed in store.block_seeds(block):
        path = store.metrics_path(block, seed)
        lines += path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []
        records.append(store.read_json(store.record_path(block, seed)))
    run: dict[str, Any] = {"cell_id": cell_id, "kind": cell_id.split("-")[0], "seeds": list(store.block_seeds(block))}
    run |= {"replicates": records, "cell": settings}
    with store.atomic_write(block / "metrics.csv") as part:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    store.write_json(block / "run.json", run)
    return run


def read(block: str | Path) -> dict[str, Any]:
    """What the run.json of a block says; ValueError, in one line, where it is not a record of this block."""
    path = Path(block) / "run.json"
    run = store.read_json(path)
    if problem := _find_problem(run, path.parts[-3], list(store.block_seeds(block))):
        raise ValueError(
            f"{path}: is not the record of this block: {problem}; remove the file, so that it is made again"
        )
    found: dict[str, Any] = run
    return found


def _find_problem(run: Any, cell_id: str, seeds: list[int]) -> str | None:
    """Why what a run.json holds is no record of a block of these seeds, in one line; None where it is."""
    if problem := find_mismatch(run, RUN):
        return problem
    if run["cell_id"] != cell_id:
        return f"cell_id is {reprlib.repr(run['cell_id'])}"
    for record in run["replicates"]:
        if problem := find_mismatch(record, SEALED, COURSE):
            return f"replicates: {problem}"
    found = [record["seed"] for record in run["replicates"]]
    return None if found == seeds else f"replicates: the seeds are {reprlib.repr(found)}"


def read_replicate(block: Path, seed: int, sealed: bool = True) -> dict[str, Any] | None:
    """What the record.json of a replicate says, or None where there is none that says how it ended.

    sealed: whether it must say what the replicate was trained from. OSError where it cannot be read.
    """
    try:
        record = store.read_json(store.record_path(block, seed))
    except (FileNotFoundError, ValueError):
        return None
    if find_mismatch(record, SEALED if sealed else ENDING, COURSE) or record["seed"] != seed:
        return None
    found: dict[str, Any] = record
    return found


def find_damage(block: Path, record: Mapping[str, Any], names: Iterable[str] | None = None) -> str | None:
    """What is wrong with the files of a replicate (those of these names, or all), in one line; None where they are as
    recorded.
    """
    folder, recorded = store.replicate_path(block, record["seed"]), record["sha256"]
    for name in recorded if names is None else names:
        path, digest = folder / name, recorded.get(name)
        if not path.is_file():
            return f"{path} is missing"
        if sha256(path) != digest:
            return f"{path} was altered: its SHA-256 is not the recorded one"
    return None


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex; of one that stays the same it is computed once per process, also behind a link."""
    stat = path.stat()
    return _sha256(path.resolve(), stat.st_ino, stat.st_size, stat.st_mtime_ns)


@cache
def _sha256(path: Path, *stat: int) -> str:
    return store.sha256(path)


def replicates(blocks: Sequence[str | Path], seeds: Iterable[int], check: bool = True) -> list[Replicate]:
    """The replicate of each seed.

    Parameters
    ----------
    blocks : directories named seeds_<a>-<b>
    seeds : int
    check : bool
        Compare the files of each replicate that ended with its record: where they differ its status is "missing", and
        its cause names the file.

    Raises
    ------
    FileNotFoundError, ValueError
        In one line, where a seed has no block, or a block no run.json.
    """
    result = []
    for seed in seeds:
        block = next((Path(block) for block in blocks if seed in store.block_seeds(block)), None)
        if block is None:
            raise ValueError(f"no block of {', '.join(map(str, blocks)) or 'none'} holds the replicate {seed}")
        if not (block / "run.json").exists():
            raise FileNotFoundError(f"{block}/run.json: is missing; run the workflow again, which makes it")
        run = read(block)
        record = next(record for record in run["replicates"] if record["seed"] == seed)
        why = find_damage(block, record) if check and record["status"] != Status.FAILED else None
        result.append(Replicate(seed, block, run, record | {"status": Status.MISSING, "cause": why} if why else record))
    return result
