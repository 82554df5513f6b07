"""Where the snapshots of a finished replicate are."""

from pathlib import Path

from weight_atlas import records, store
from weight_atlas.cell_table import Cell


def finished_snapshot(cell: Cell | None, seed: int, take: str | int = "last") -> Path | None:
    """The path of a snapshot of a finished replicate.

    Parameters
    ----------
    cell : Cell or None
    seed : int
    take : "last" (its last epoch), "best" or an epoch

    Returns
    -------
    Path or None
        None where there is no cell, or the replicate did not finish or has no such snapshot.
    """
    if cell is None:
        return None
    [(_, block, _, record)] = records.replicates(cell["blocks"], [seed])
    if record["status"] != "done":
        return None
    path = store.snapshot_path(block, seed, record["epochs"] if take == "last" else take)
    return path if store.is_kept(path) else None


def kept_snapshots(cell: Cell, seed: int) -> dict[int, Path]:
    """{epoch: path} of the snapshots of a finished replicate that are on disk, in their order."""
    [(_, block, _, record)] = records.replicates(cell["blocks"], [seed])
    named, is_given = cell["cell"].snapshots, cell["cell"].is_given  # numbers of given ones may be dates
    epochs = named if is_given and isinstance(named, list) else range(record["epochs"] + 1)
    paths = {epoch: store.snapshot_path(block, seed, epoch) for epoch in epochs}
    return {epoch: path for epoch, path in paths.items() if store.is_kept(path)}
