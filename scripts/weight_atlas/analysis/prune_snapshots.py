"""Remove those snapshots of a block that are not to stay, once all that needs them has been measured.

What is lost, and cannot be measured again, is the course between the snapshots that stay: its rows are kept as tables
(`weight_atlas.analysis.course`). The start is kept as a hash, from which it can be made again; that it can is tried
first.
"""

import functools
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from weight_atlas import networks, starts, store
from weight_atlas.analysis import course
from weight_atlas.analysis.measure import Replicate, ends_job
from weight_atlas.analysis.types import Record
from weight_atlas.faults import Fault, spared
from weight_atlas.settings import Settings


def thin(block: Path, cell_id: str, settings: Settings, kept: Collection[int]) -> None:
    """Thin the replicates of a block that have ended (done or diverged). Prints a line per replicate.

    A link below the block is not followed: its replicate stays as it is.

    May be killed at any moment, and called again.

    Parameters
    ----------
    block : path
        The directory where they were trained.
    cell_id : str
        The cell's id.
    settings : Settings
        The resolved cell.
    kept : collection of int
        The numbered epochs that stay beside the start, the last one and the best one.
    """
    table = networks.layer_table(*settings.network_arguments)
    for file in sorted(block.glob("snapshots/seed*/record.json")):
        record = store.read_json(file)
        if link := next((path for path in (file.parents[1], file.parent) if path.is_symlink()), None):
            print(f"seed {record['seed']}  not thinned: {link} is a link, which is not followed", flush=True)
            continue
        epochs, why = course.available(settings, block, record)
        if epochs is None:
            print(f"seed {record['seed']}  not thinned: {why}", flush=True)
            continue
        replicate = Replicate(table, block, record)
        if not store.course_path(replicate.folder).exists():
            faults: list[Fault] = []
            spare = functools.partial(spared, faults, ends=ends_job)
            course_rows = course.measured(replicate, epochs, course.MEASURES, spare)
            if faults:  # a measure needs the snapshots once it is mended
                told = "; ".join(f"{fault.what}: {fault.why}" for fault in faults)
                print(f"seed {replicate.seed}  not thinned: {told}", flush=True)
                continue
            course.write(replicate.folder, cell_id, replicate.seed, course_rows, epochs)
        removed: list[int] = []
        try:
            removed.extend(prune(replicate.folder, kept, _can_be_made_again(settings, block, record)))
            store.track_path(block, replicate.seed).unlink(missing_ok=True)  # its counts are in unchanged.csv
        finally:  # also where it fails at one of them: what is gone is said
            epochs_removed = f" (epochs {', '.join(map(str, removed))})" if removed else ""
            told = f"measured {len(epochs)} snapshots, removed {len(removed)}{epochs_removed}"
            print(f"seed {replicate.seed}  {told}", flush=True)


def _can_be_made_again(settings: Settings, block: Path, record: Record) -> bool:
    """Whether the start can be made again, to the last bit."""
    try:
        starts.recreate(settings, record, block)
    except (ValueError, KeyError, OSError, starts.Missing) as error:
        print(f"seed {record['seed']}  its start stays, since it cannot be made again: {error}", flush=True)
        return False
    return True


def prune(folder: Path, kept: Collection[int], start_can_be_made_again: bool) -> Iterator[int]:
    """Remove the snapshots in a replicate's folder that are not to stay, and give the epoch of each once it is gone.

    What snapshots leave out because the start has it is put into the last one before the start is removed, and the
    others then name that one.
    """
    existing = sorted(int(path.stem.removeprefix("epoch_")) for path in folder.glob("epoch_*.safetensors"))
    staying = {existing[-1], *kept} | (set() if start_can_be_made_again else {0})
    if 0 not in staying:
        _complete_last(folder, existing[-1], [epoch for epoch in existing if epoch in staying])
    # The start goes last: as long as it is there, what names it can be read.
    gone = sorted((epoch for epoch in existing if epoch not in staying), reverse=True)
    for epoch in gone:
        store.snapshot_file(folder, epoch).unlink()
        yield epoch


def _complete_last(folder: Path, last: int, staying: Sequence[int]) -> None:
    """Make the last snapshot whole, and let the others that stay, and the best one, name it instead of the start."""
    start, whole = store.snapshot_file(folder, 0).name, store.snapshot_file(folder, last).name
    epochs: list[int | str] = [last, *staying, "best"]
    for epoch in epochs:
        path = store.snapshot_file(folder, epoch)
        metadata, shapes = store.tensor_header(path) if path.exists() else ({}, {})
        if metadata.get(store.REST) != start:
            continue
        if epoch == "best" and int(metadata["epoch"]) in staying:  # another name of that epoch's file, as before
            with store.atomic_write(path) as part:
                os.link(store.snapshot_file(folder, int(metadata["epoch"])), part)
            continue
        tensors, about = store.load_tensors(path), {key: metadata[key] for key in metadata if key != store.REST}
        if epoch != last:
            tensors, about = {name: tensors[name] for name in shapes}, about | {store.REST: whole}
        store.save_tensors(path, tensors, about)
