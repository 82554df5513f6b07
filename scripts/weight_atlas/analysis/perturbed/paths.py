"""The straight line between two networks: is there a barrier in loss and accuracy, and is it one of symmetry only?

Linear interpolation after Goodfellow et al. (2015), "Qualitatively characterizing neural network optimization
problems"; the barrier after Frankle et al. (2020), "Linear mode connectivity and the lottery ticket hypothesis";
BatchNorm's statistics made anew along the line after Jordan et al. (2023), "REPAIR: REnormalizing permuted activations
for interpolation repair".
"""

import numpy as np
import torch

from weight_atlas.analysis import evaluation
from weight_atlas.analysis.alignment import align
from weight_atlas.analysis.kernels.torch_kernels import CHUNK
from weight_atlas.analysis.weights import movement

POINTS = 13
TEST = 2000
TRAIN = 1000
TRAIN_BATCH = 250


def rows(cell, table, original, end, pictures):
    """(rows of paths.csv, rows of barriers.csv), without cell and seed, from one network to another of the same kind.

    cell: resolved; table: the layer table; original (t = 0), end (t = 1): snapshots, {torch name: tensor}; pictures:
    `weight_atlas.analysis.evaluation.Pictures`, of which at most TEST test pictures, spread evenly, are looked at. The
    line "plain" ends at `end`, "aligned" at `end` mapped by the symmetry of the network that brings it closest to the
    original (`weight_atlas.analysis.alignment.align`): the same function, elsewhere.
    """
    plain = walk(cell, original, end, pictures)
    aligned, counts = align.align(table, original, end)
    same = all(torch.equal(aligned[name], end[name]) for name, _ in table.parameters())
    lines = {
        "plain": (end, plain, {"permuted": 0, "signs": 0}),
        "aligned": (aligned, plain if same else walk(cell, original, aligned, pictures, plain[0]), counts),
    }
    points, barriers = [], []
    for alignment, (last, line, moved) in lines.items():
        points += [(alignment, *point) for point in line]
        distance = movement.rows(table, original, last)[-1][3]
        barriers.append((alignment, *barrier(line), distance, moved["permuted"], moved["signs"]))
    return points, barriers


def barrier(line):
    """(loss barrier in nats, accuracy barrier as a fraction) of the points (t, pictures, loss, accuracy) of a line.

    The largest excess of the loss over the straight line between its ends, max_t [L(t) - ((1 - t) L(0) + t L(1))], and
    the largest shortfall of the accuracy; neither is below 0, the ends being points too. NaN where a loss is.
    """
    t, _, loss, accuracy = np.array(line, float).T
    between = [(1 - t) * values[0] + t * values[-1] for values in (loss, accuracy)]
    return float(np.max(loss - between[0])), float(np.max(between[1] - accuracy))


def walk(cell, a, b, pictures, first=None):
    """(t, pictures, loss, accuracy) at POINTS evenly spaced t from a (t = 0) to b (t = 1); a list.

    first: the point at t = 0, where it is known already. Networks with BatchNorm get running statistics of their own at
    every t, the ends included (`reestimate`): those of a and b belong to no network between them.
    """
    module = evaluation.module(cell, {name: tensor.clone() for name, tensor in a.items()})
    norms = evaluation.norms(module)
    chosen = evaluation.spread(len(pictures.test), TEST)
    images, labels = pictures.test[chosen], pictures.labels[chosen]
    found = [] if first is None else [first]
    for step in range(len(found), POINTS):
        t = step / (POINTS - 1)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                mix(parameter, a[name], b[name], t)
        if norms:
            reestimate(module, norms, pictures)
        found.append((t, len(images), *evaluation.evaluate(module, pictures, images, labels)))
    return found


def mix(out, a, b, t):
    """Write (1 - t) a + t b to `out`: computed in float64, CHUNK values at a time, and rounded to float32.

    t = 0 and t = 1 give a and b themselves.
    """
    flat = (tensor.reshape(-1).split(CHUNK) for tensor in (a, b))
    for target, left, right in zip(out.view(-1).split(CHUNK), *flat, strict=True):
        target.copy_(left.double().mul_(1 - t).add_(right.double(), alpha=t))


def reestimate(module, norms, pictures):
    """Make the running statistics of the BatchNorm layers `norms` anew, in place, from the training pictures.

    The pictures pass unchanged (not augmented) in batches of at most TRAIN_BATCH, always the same, dropout off. The
    statistics are the mean over the batches of each batch's mean and unbiased variance (torch's momentum=None).
    """
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.inference_mode():
        for batch in evaluation.deal(pictures.train, TRAIN_BATCH):
            module(pictures.normalised(batch).contiguous(memory_format=torch.channels_last))
    for norm in norms:
        norm.eval()
