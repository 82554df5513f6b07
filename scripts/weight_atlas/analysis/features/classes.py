"""Which classes a trained model takes for which: its answers to the test images, counted."""

import torch

from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.types import Row, Rows


class Classes(ModelMeasure):
    """The confusion counts of each model, of its largest output (the first of equals) at its last snapshot."""

    name = "classes"
    tables = ("confusion",)

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.found: list[Row] = []

    def see(self, model: TrainedModel) -> None:
        if model.activated is not None and self.network.images is not None:
            own = confusion(self.network.images.labels.cpu(), model.activated.model.outputs)
            self.found += [(*model.key, *row) for row in own]

    def rows(self) -> Rows:
        return {"confusion": self.found}


def confusion(labels: torch.Tensor, outputs: torch.Tensor) -> list[tuple[int, int, int]]:
    """(class, answer, images) for each class with itself, and for all others that occur, in this order.

    Parameters
    ----------
    labels : int64 [N]
    outputs : float [N, classes]
        Before softmax.
    """
    classes = outputs.shape[1]
    counts = torch.bincount(labels * classes + outputs.argmax(1), minlength=classes**2).view(classes, classes)
    shown = (counts > 0) | torch.eye(classes, dtype=torch.bool)
    return [(label, answer, int(counts[label, answer])) for label, answer in shown.nonzero().tolist()]
