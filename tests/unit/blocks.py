"""A block as a run leaves it, of replicates and snapshots that a test has made up."""

from pathlib import Path

from weight_atlas import records, store

MACHINE = {"device": "cpu", "device_name": "a processor", "threads": 1}
MACHINE |= {"versions": {"python": "3.11.0", "torch": "2.15.0", "numpy": "2.4.0"}}


def again(block: Path) -> None:
    """Record the block's files as they are now, as if they had been trained so."""
    run = records.read(block)
    write(block, run["cell_id"], run["cell"], run["replicates"])


def write(block: Path, cell_id: str, settings: dict, replicates: list[dict], recipe: dict | None = None) -> dict:
    """Record the replicates, whose snapshots are there already, and write the block's files; what run.json says."""
    for record in replicates:
        store.write_json(store.record_path(block, record["seed"]), {"machine": MACHINE} | record)
        records.seal(block, record["seed"], recipe or {})
    return records.assemble(block, cell_id, settings)
