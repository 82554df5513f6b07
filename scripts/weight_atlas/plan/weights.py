"""Whether the weights that cells start from are there, and are of their networks: before anything is trained. No torch.

What is wrong is a ValueError in one line.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

from weight_atlas.datasets import weights
from weight_atlas.plan import given, sharded
from weight_atlas.plan.cell import Cell


def check(cells: Iterable[Cell], prepared: dict[str, Path], again: Collection[str], data_root: Path) -> None:
    """Refuse weights that are missing or of another network than the cell that starts from them.

    Parameters
    ----------
    cells : those that are to be trained; one without weights is passed over
    prepared : where the prepared weights are, by id
    again : the ids of those that must be prepared: the user's file is looked at instead. What is published is not, nor
        what only torch can read.
    data_root : the folder of the user's files
    """
    for cell in cells:
        if cell.weights is None:
            continue
        path: Path | None = prepared[cell.weights.weights_id]
        if cell.weights.weights_id in again:
            path = weights.source_file(cell.weights.spec, data_root) if "file" in cell.weights.spec else None
        if path is not None and path.suffix == sharded.SUFFIX:
            _check_fit(cell, path)


def _check_fit(cell: Cell, path: Path) -> None:
    """Refuse a file without the tensors that a cell takes from it, as `weight_atlas.starts.begin` does."""
    shapes = dict(cell.table.parameters()) | dict(cell.table.buffers())
    first, start, tensors = cell.table.parameters()[0][0], cell.settings.start, given.header(path)
    for name in cell.table.copied_tensors(start):
        if name not in tensors:
            raise ValueError(
                f"weights: {path} has no tensor {name}, which {cell.cell_id} starts from; name another file"
            )
        actual, wanted = tensors[name].shape, tuple(shapes[name])
        grey = name == first and start.grey == "sum_conv1" and wanted[1] == 1 and len(actual) == 4 and actual[1] == 3
        if (actual[:1] + (1,) + actual[2:] if grey else actual) != wanted:
            raise ValueError(
                f"weights: {path}: {name} has the shape {list(actual)}, and {cell.cell_id} takes {list(wanted)}; name "
                "another file, or correct the network's options"
            )
