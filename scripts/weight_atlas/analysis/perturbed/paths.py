"""The straight line between two networks: is there a barrier in loss and accuracy, and is it one of symmetry only?

Linear interpolation after Goodfellow et al. (2015), "Qualitatively characterizing neural network optimization
problems"; the barrier after Frankle et al. (2020), "Linear mode connectivity and the lottery ticket hypothesis";
BatchNorm's statistics made anew along the line after Jordan et al. (2023), "REPAIR: REnormalizing permuted activations
for interpolation repair".
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from weight_atlas.analysis import evaluation
from weight_atlas.analysis.alignment import weight_matching
from weight_atlas.analysis.alignment.transforms import Counts
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.kernels.torch_kernels import CHUNK
from weight_atlas.analysis.types import Tensors
from weight_atlas.analysis.weights import movement
from weight_atlas.networks.table import Table
from weight_atlas.settings import Settings

POINTS = 13
TEST = 2000
TRAIN = 1000
TRAIN_BATCH = 250


class Point(NamedTuple):
    """Loss, in nats, and accuracy, a fraction, over so many images at a point of a line, t = 0 to 1."""

    t: float
    pictures: int
    loss: float
    accuracy: float


class Barrier(NamedTuple):
    """A line's loss barrier in nats and accuracy barrier as a fraction."""

    loss: float
    accuracy: float


class BarrierRow(NamedTuple):
    """The barrier of a line, the distance of its ends, and the channels that the alignment permuted and flipped."""

    alignment: str
    loss_barrier: float
    accuracy_barrier: float
    distance: float
    permuted: int
    signs: int


class Paths(NamedTuple):
    """Rows of paths.csv, (alignment, *Point), and of barriers.csv, without cell and seed."""

    points: list[tuple[str, float, int, float, float]]
    barriers: list[BarrierRow]


def rows(settings: Settings, table: Table, original: Tensors, end: Tensors, images: Images) -> Paths:
    """The lines from one network to another of the same kind.

    The line "plain" ends at `end`, "aligned" at `end` mapped by the symmetry of the network that brings it closest to
    the original (`weight_atlas.analysis.alignment.weight_matching`): the same function, elsewhere.

    Parameters
    ----------
    settings : dict
        The resolved cell.
    table : Table
        Its layer table.
    original, end : dict of tensors
        Snapshots, by torch names, at t = 0 and t = 1.
    images : Images
        Of which at most TEST test images, evenly spaced, are looked at.
    """
    plain = walk(settings, original, end, images)
    aligned, counts = weight_matching.align(table, original, end)
    same = all(torch.equal(aligned[name], end[name]) for name, _ in table.parameters())
    aligned_line = plain if same else walk(settings, original, aligned, images, plain[0])
    if barrier(aligned_line).accuracy > barrier(plain).accuracy:  # leaving the network as it is is a symmetry too
        aligned, aligned_line, counts = end, plain, Counts(0, 0, 0)
    result = Paths([], [])
    for alignment, last, line, moved in (
        ("plain", end, plain, Counts(0, 0, 0)),
        ("aligned", aligned, aligned_line, counts),
    ):
        result.points.extend((alignment, *point) for point in line)
        distance = movement.rows(table, original, last)[-1].distance
        result.barriers.append(BarrierRow(alignment, *barrier(line), distance, moved.permuted, moved.signs))
    return result


def barrier(line: Sequence[Point]) -> Barrier:
    """The barrier along a line.

    The largest excess of the loss over the straight line between its ends, max_t [L(t) - ((1 - t) L(0) + t L(1))], and
    the largest shortfall of the accuracy; neither is below 0, the ends being points too. NaN where a loss is.
    """
    t, _, loss, accuracy = np.array(line, float).T
    loss_between, accuracy_between = ((1 - t) * values[0] + t * values[-1] for values in (loss, accuracy))
    return Barrier(float(np.max(loss - loss_between)), float(np.max(accuracy_between - accuracy)))


def walk(settings: Settings, a: Tensors, b: Tensors, images: Images, first: Point | None = None) -> list[Point]:
    """Evaluate networks at POINTS evenly spaced t from a (t = 0) to b (t = 1).

    first: the point at t = 0, where it is known already. Networks with BatchNorm get running statistics of their own at
    every t, the ends included (`reestimate`): those of a and b belong to no network between them.
    """
    a, b = ({name: tensor.to(images.device) for name, tensor in end.items()} for end in (a, b))
    network = evaluation.module(settings, {name: tensor.clone() for name, tensor in a.items()}, images.device)
    size = evaluation.batch_size(settings)
    norms = evaluation.batchnorms(network)
    chosen = evaluation.evenly_spaced(len(images.test), TEST).to(images.device)
    shown, labels = images.test[chosen], images.labels[chosen]
    points = [] if first is None else [first]
    for step in range(len(points), POINTS):
        t = step / (POINTS - 1)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                mix(parameter, a[name], b[name], t)
        if norms:
            reestimate(network, norms, images, min(TRAIN_BATCH, size))
        points.append(Point(t, len(shown), *evaluation.evaluate(network, images, shown, labels, size)))
    return points


def mix(out: torch.Tensor, a: torch.Tensor, b: torch.Tensor, t: float) -> None:
    """Write (1 - t) a + t b to `out`: computed in float64, CHUNK values at a time, and rounded to float32.

    t = 0 and t = 1 give a and b themselves.
    """
    flat = (tensor.reshape(-1).split(CHUNK) for tensor in (a, b))
    for target, left, right in zip(out.view(-1).split(CHUNK), *flat, strict=True):
        target.copy_(left.double().mul_(1 - t).add_(right.double(), alpha=t))


def reestimate(network: nn.Module, norms: Sequence[BatchNorm], images: Images, size: int = TRAIN_BATCH) -> None:
    """Compute the running statistics of the BatchNorm layers `norms` again, in place, from the training images.

    The images pass unchanged (not augmented) in batches of at most `size`, always the same, dropout off. The
    statistics are the mean over the batches of each batch's mean and unbiased variance (torch's momentum=None).
    """
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.inference_mode():
        for batch in evaluation.interleaved_batches(images.train, size):
            network(images.normalised(batch).contiguous(memory_format=torch.channels_last))
    for norm in norms:
        norm.eval()
