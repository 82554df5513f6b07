"""What became of each replicate, for runs.csv. No torch, no pandas."""

from weight_atlas import records
from weight_atlas.vocabulary import Status


def rows(cell_id: str, blocks: list, seeds: list[int], missing: dict[tuple[str, int], str]) -> list[list]:
    """One row a seed for runs.csv, in the order of its columns; what a run did not report is None.

    missing: {(cell, seed): why} of the replicates whose files a measure found not to be those that were recorded.
    """
    described = []
    for seed, _, run, replicate in records.replicates(blocks, seeds, check=False):
        if (cell_id, seed) in missing:
            replicate = replicate | {"status": Status.MISSING, "cause": missing[cell_id, seed]}
        own = [replicate.get(key) for key in ("status", "cause", "epochs", "best_epoch", "wall_seconds")]
        own += [replicate.get(key) for key in ("images_per_second", "peak_memory_mib")]
        shared = [run.get(key) for key in ("device", "device_name", "threads")]
        described.append([cell_id, seed, *own, *shared, run.get("versions", {}).get("torch")])
    return described
