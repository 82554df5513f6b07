"""Replicates that were perturbed and trained again: the rows of their tables."""

from weight_atlas import starts
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.perturbed import distance_to_original, immediate_accuracy, paths, precision
from weight_atlas.analysis.perturbed.snapshots import finished_snapshot
from weight_atlas.analysis.types import Rows
from weight_atlas.cell_table import Child


class Retrained(ModelMeasure):
    """Where each perturbed model, or control, came from, what it knew at its start, and the line to its original.

    Each is compared with its parent's replicate of the same seed, where that one finished, and with its control's. A
    data set is needed.
    """

    name = "retrained"
    tables = ("returns", "precision", "aftermath", "paths", "barriers")

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.collected: Rows = {name: [] for name in self.tables}

    def see(self, model: TrainedModel) -> None:
        child, images = self.network.children.get(model.cell_id), self.network.images
        if child is None or images is None:
            return
        for name, rows in self._measure(model, child, images).items():
            self.collected[name] += [(*model.key, *row) for row in rows]

    def rows(self) -> Rows:
        return self.collected

    def _measure(self, model: TrainedModel, child: Child, images: Images) -> Rows:
        """The rows of one model, without cell and seed; none without its original."""
        cells, seed, settings, table = self.network.cells, model.seed, model.cell["cell"], self.network.table
        images = images.seen_by(settings)
        original_path = finished_snapshot(cells.get(child.parent), seed, child.take)
        start_path = finished_snapshot(model.cell, seed, 0)
        control_path = finished_snapshot(cells.get(child.control), seed) if child.control is not None else None
        if original_path is None or start_path is None:
            print(
                f"{model.cell_id} seed {seed}: its parent {child.parent} has no such replicate to compare", flush=True
            )
            return {}
        original, start, end = starts.load(original_path), starts.load(start_path), model.tensors
        control = starts.load(control_path) if control_path is not None else None
        returns = distance_to_original.rows(table, original, start, end, control)
        changed = precision.rows(table, original, start) if settings.start.steps else []
        aftermath = immediate_accuracy.rows(settings, start, images)
        del start, control  # the paths hold two more of the size
        line, barriers = paths.rows(settings, table, original, end, images)
        return {
            "returns": [*returns],
            "precision": [*changed],
            "aftermath": [*aftermath],
            "paths": [*line],
            "barriers": [*barriers],
        }
