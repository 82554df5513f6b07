"""One replicate that was perturbed and trained again: where it came from, and the rows of its tables."""

from weight_atlas import records, starts, store
from weight_atlas.analysis.perturbed import distance_to_original, immediate_accuracy, paths


def snapshot(cell, seed, take="last"):
    """The path of a snapshot of a finished replicate, or None where it did not finish or has no such snapshot.

    cell: as `weight_atlas.cell_table.grouped` gives it, or None; take: "last" (its last epoch), "best" or an epoch.
    """
    if cell is None:
        return None
    [(_, block, _, replicate)] = records.replicates(cell["blocks"], [seed])
    if replicate["status"] != "done":
        return None
    path = store.snapshot_path(block, seed, replicate["epochs"] if take == "last" else take)
    return path if store.is_kept(path) else None


def rows(cell, layers, files, pictures):
    """{"returns", "aftermath", "paths", "barriers": rows without cell and seed} of one replicate.

    cell: resolved; layers: its layer table; files: {"original", "start", "end", "control": paths of snapshots}, control
    None where it is not to be compared with; pictures: `weight_atlas.analysis.evaluation.Pictures`.
    """
    original, start, end, control = (
        starts.load(files[name]) if files[name] else None for name in ("original", "start", "end", "control")
    )
    found = {
        "returns": distance_to_original.rows(layers, original, start, end, control),
        "aftermath": immediate_accuracy.rows(cell, start, pictures),
    }
    del start, control  # the paths hold two more of the size
    found["paths"], found["barriers"] = paths.rows(cell, layers, original, end, pictures)
    return found
