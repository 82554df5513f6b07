"""What became of each replicate: its entry in the run.json of the block that trained it. No torch, no pandas."""

from pathlib import Path

from atlas import store


def replicates(blocks, seeds):
    """Find each seed's replicate: a list of (seed, block directory or None, run or None, replicate).

    blocks: directories named seeds_<a>-<b>; run: the content of the block's run.json; replicate: the seed's entry in
    it. Where there is none the replicate is {"seed", "status": "missing", "cause": why}.
    """
    found = []
    for seed in seeds:
        block = next((block for block in blocks if seed in store.block_seeds(block)), None)
        run, cause = None, "no block holds this seed"
        if block is not None:
            path = Path(block) / "run.json"
            run = store.read_json(path) if path.exists() else None
            cause = f"{path} has no such seed" if run else f"{path} does not exist"
        entries = run["replicates"] if run else []
        missing = {"seed": seed, "status": "missing", "cause": cause}
        found.append((seed, block, run, next((entry for entry in entries if entry["seed"] == seed), missing)))
    return found


def rows(cell_id, blocks, seeds):
    """One row a seed for runs.csv, in the order of its columns; what a run did not report is None."""
    described = []
    for seed, _, run, replicate in replicates(blocks, seeds):
        run = run or {}
        own = [replicate.get(key) for key in ("status", "cause", "epochs", "best_epoch", "wall_seconds")]
        own += [replicate.get(key) for key in ("images_per_second", "peak_memory_mib")]
        shared = [run.get(key) for key in ("device", "device_name", "threads")]
        described.append([cell_id, seed, *own, *shared, run.get("versions", {}).get("torch")])
    return described
