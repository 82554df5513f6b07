"""The straight lines between trained models that differ in one thing, before and after their channels are matched.

Two seeds of one cell, two starts, two optimizers: do they lie in one basin (Frankle et al. 2020, "Linear mode
connectivity and the lottery ticket hypothesis"), and is it a matter of the order of channels alone (Entezari et al.
2022, "The role of permutation invariance in linear mode connectivity of neural networks")? The lines are those of
`weight_atlas.analysis.perturbed.paths`; half-way is the merged model.
"""

from pathlib import Path

from weight_atlas import starts
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.perturbed import paths
from weight_atlas.analysis.perturbed.paths import Point
from weight_atlas.analysis.types import Key, Rows
from weight_atlas.pairs import partners
from weight_atlas.vocabulary import RELATIVES


class Connectivity(ModelMeasure):
    """The lines between the models of `weight_atlas.pairs.partners` that are not perturbed and see images alike."""

    name = "connectivity"
    tables = ("connectivity", "lines")

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.snapshots: dict[Key, Path] = {}

    def see(self, model: TrainedModel) -> None:
        if self.network.images is not None:
            self.snapshots[model.key] = model.path

    def rows(self) -> Rows:
        found: Rows = {name: [] for name in self.tables}
        cells, images = self.network.cells, self.network.images
        for pair in partners(cells, list(self.snapshots), {}):
            a, b = (cells[cell_id]["cell"] for cell_id, _ in (pair.a, pair.b))
            if images is None or pair.factor in RELATIVES or a.input != b.input:
                continue
            one, other = (starts.load(self.snapshots[key]) for key in (pair.a, pair.b))
            line, barriers = paths.rows(a, self.network.table, one, other, images.seen_by(a))
            front = (*pair.a, *pair.b, pair.factor, pair.level_a, pair.level_b)
            found["lines"] += [(*front, *point) for point in line]
            for row in barriers:
                own = {point[1]: Point(*point[1:]) for point in line if point[0] == row.alignment}
                first, half, last = (own[t] for t in (0.0, 0.5, 1.0))
                merged = (half.pictures, first.accuracy, last.accuracy, half.loss, half.accuracy)
                found["connectivity"].append((*front, *row, *merged))
        return found
