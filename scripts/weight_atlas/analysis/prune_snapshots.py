"""Remove those snapshots of a block that are not to stay, once all that needs them has been measured.

What is lost, and cannot be measured again, is the course between the snapshots that stay: its rows are kept as tables
(`weight_atlas.analysis.course`). The start is kept as a hash, from which it can be made again; that it can is tried
first.
"""

import os

from weight_atlas import networks, starts, store
from weight_atlas.analysis import course, evaluation
from weight_atlas.settings import Settings


def thin(block, cell_id, settings, kept):
    """Thin the replicates of a block that have ended (done or diverged), below the directory `block` where they were
    trained. Printed is a line a replicate.

    kept: the numbered epochs that stay beside the start, the last one and the best one. May be killed at any moment,
    and called again.
    """
    layers = networks.layer_table(*evaluation.network(settings))
    for file in sorted(block.glob("snapshots/seed*/record.json")):
        replicate = store.read_json(file)
        epochs, why = course.available(settings, block, replicate)
        if why:
            print(f"seed {replicate['seed']}  not thinned: {why}", flush=True)
            continue
        own = course.folder(block, replicate)
        if not store.course_path(own).exists():
            course.write(own, cell_id, replicate["seed"], course.taken(layers, block, replicate, epochs), epochs)
        removed = prune(own, kept, _again(settings, block, replicate))
        store.track_path(block, replicate["seed"]).unlink(missing_ok=True)  # its counts are in unchanged.csv
        print(f"seed {replicate['seed']}  measured {len(epochs)} snapshots, removed {removed}", flush=True)


def _again(settings, block, replicate):
    """Whether the start can be made again, to the last bit."""
    try:
        starts.made_again(Settings.parse(settings), replicate, block)
    except (ValueError, KeyError, OSError, starts.Missing) as error:
        print(f"seed {replicate['seed']}  its start stays, since it cannot be made again: {error}", flush=True)
        return False
    return True


def prune(own, kept, again):
    """Remove the snapshots in the folder `own` that are not to stay; how many.

    again: whether the start can be made again. What snapshots leave out because the start has it is put into the last
    one first, and the others then name that one.
    """
    there = sorted(int(path.stem.removeprefix("epoch_")) for path in own.glob("epoch_*.safetensors"))
    stay = {there[-1], *kept} | (set() if again else {0})
    if 0 not in stay:
        _lead(own, there[-1], [epoch for epoch in there if epoch in stay])
    # The start goes last: as long as it is there, what names it can be read.
    gone = sorted((epoch for epoch in there if epoch not in stay), reverse=True)
    for epoch in gone:
        store.snapshot_file(own, epoch).unlink()
    return len(gone)


def _lead(own, last, staying):
    """Make the last snapshot whole, and let the others that stay, and the best one, name it instead of the start."""
    start, lead = store.snapshot_file(own, 0).name, store.snapshot_file(own, last).name
    for at in (last, *staying, "best"):
        path = store.snapshot_file(own, at)
        metadata, shapes = store.tensor_header(path) if path.exists() else ({}, {})
        if metadata.get(store.REST) != start:
            continue
        if at == "best" and int(metadata["epoch"]) in staying:  # another name of that epoch's file, as before
            with store.atomic_write(path) as part:
                os.link(store.snapshot_file(own, metadata["epoch"]), part)
            continue
        tensors, about = store.load_tensors(path), {key: metadata[key] for key in metadata if key != store.REST}
        if at != last:
            tensors, about = {name: tensors[name] for name in shapes}, about | {store.REST: lead}
        store.save_tensors(path, tensors, about)
