"""What a network knows right after it was perturbed, before it is trained again: accuracy and loss on test images."""

from typing import NamedTuple

from torch import nn

from weight_atlas.analysis import evaluation
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.types import Tensors
from weight_atlas.settings import Settings


class ImmediateAccuracy(NamedTuple):
    """Accuracy, a fraction, and loss, in nats, over so many test images."""

    mode: str
    pictures: int
    accuracy: float
    loss: float


def rows(settings: Settings, tensors: Tensors, images: Images) -> list[ImmediateAccuracy]:
    """Evaluate a network over all test images.

    Modes:

    - eval: as it is judged everywhere else, by running statistics and without dropout;
    - batch: BatchNorm takes the statistics of the batch that it sees, all else as in eval;
    - flipped_means: eval, with every running mean negated.

    The last two are those of networks with BatchNorm only.

    Parameters
    ----------
    settings : dict
        The resolved cell.
    tensors : dict of tensors
        The snapshot, by torch names.
    images : Images
    """
    size = evaluation.batch_size(settings)
    evaluated = [_row("eval", evaluation.module(settings, tensors, images.device), images, size)]
    batch = evaluation.module(settings, tensors, images.device)
    norms = evaluation.batchnorms(batch)
    if norms:
        for norm in norms:  # torch: without running statistics BatchNorm takes the batch's, in eval mode too
            norm.running_mean = norm.running_var = None
        flipped = {name: -tensor for name, tensor in tensors.items() if name.endswith(".running_mean")}
        with_flipped_means = evaluation.module(settings, tensors | flipped, images.device)
        evaluated += [_row("batch", batch, images, size), _row("flipped_means", with_flipped_means, images, size)]
    return evaluated


def _row(mode: str, network: nn.Module, images: Images, size: int) -> ImmediateAccuracy:
    loss, accuracy = evaluation.evaluate(network, images, images.test, images.labels, size)
    return ImmediateAccuracy(mode, len(images.test), accuracy, loss)
