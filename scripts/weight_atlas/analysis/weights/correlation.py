"""How alike two models' parameters are: Pearson's and Spearman's correlation, as they are and after matching."""

import math

import numpy as np
import torch

from weight_atlas.analysis.alignment import align
from weight_atlas.analysis.kernels import vectors
from weight_atlas.analysis.weights import movement, statistics
from weight_atlas.networks import symmetry

MATCHINGS = ("raw", "permuted", "signed")


def rows(table, one, other, matchings=MATCHINGS):
    """(layer, parameter, size, matching, pearson, spearman, changed, cosine) of each parameter and running statistic.

    table: the network's layer table; one, other: snapshots, {torch name: float32 tensor}; matchings: some of MATCHINGS,
    "raw" for the tensors as they are, else the other's after `matched`. changed counts the values that are not equal.
    """
    found, by = [], vectors.chosen(table.parameter_count)
    for matching in matchings:
        theirs = other if matching == "raw" else matched(table, one, other, matching == "signed")
        for layer, name in statistics.names(table):
            pair = [tensors[f"{layer}.{name}"] for tensors in (one, theirs)]
            alike = pearson(*pair, by), spearman(*pair)
            changed, cosine = by.differing(*pair), movement.geometry(*movement.sums(*pair, by))[3]
            found.append((layer, name, pair[0].numel(), matching, *alike, changed, cosine))
    return found


def matched(table, one, other, signs=False):
    """The other's tensors with the channels of its hidden layers in the order that makes it most like the one.

    Without signs: by the symmetry that brings all parameters closest (`align.align`, permutations alone; cheap enough
    for every pair of models at every checkpoint). The network computes the same, and a copy with its channels in
    another order is found exactly. With signs: layer by layer from the input, whose channels are in place by then, each
    layer's rows go where the sum of |Pearson's r| over all pairs of rows is largest (`align.matched`), negated where r
    is below 0; biases, batch normalisation and the columns that read them follow (what a batch normalisation writes is
    not negated). Behind a ReLU that is no symmetry but a freer measure of likeness. Outputs are classes, and stay.
    """
    if not signs:
        return align.align(table, one, other, ("permutation",))[0]
    for group in symmetry.groups(table):
        weight = f"{group.name}.weight"
        if group.permutation and one[weight].ndim > 1:
            order, flips, _ = align.matched(one[weight].flatten(1), other[weight].flatten(1), signs=True)
            factors = np.ones(group.channels)
            factors[order] = flips
            other = align.apply(table, other, align.Transform({group.name: order}, {group.name: factors}))
    return other


def pearson(one, other, by=None):
    """Pearson's r of two float32 tensors of one size, a float; NaN where one of them is constant or not finite.

    by: what sums them (default: chosen by their size). Sums are float64, and a constant tensor has a spread of exactly
    0.
    """
    size = one.numel()
    return _ratio(*(by or vectors.chosen(size)).centred(one, other)) if size else math.nan


def spearman(one, other):
    """Spearman's rho of two float32 tensors of one size: Pearson's r of their average ranks, a float.

    NaN where one of them is constant or has a NaN. Two sorts of 64-bit numbers, as numpy sorts numbers much faster than
    it finds their order: by (one's value, other's value), and then by (other's value, place in the first order). Runs
    of equal values share their mean rank. Ranks are doubled and centred whole numbers, so that nothing is rounded
    before the sums, which are float64. Memory: some 50 bytes a value.
    """
    one, other = (tensor.detach().reshape(-1).float().numpy() for tensor in (one, other))
    if not len(one) or np.isnan(one).any() or np.isnan(other).any():
        return math.nan
    half = np.uint64(32)
    sorting = _keys(one).astype(np.uint64)
    sorting <<= half
    sorting |= _keys(other)
    sorting.sort()
    first = _ranks((sorting >> half).astype(np.uint32))
    sorting <<= half
    sorting |= np.arange(len(one), dtype=np.uint32)
    sorting.sort()
    place = sorting.astype(np.uint32)  # the lower half
    sorting >>= half
    second = _ranks(sorting.astype(np.uint32))
    del sorting
    moved = first[place]
    first, moved, second = (torch.from_numpy(ranks) for ranks in (first, moved, second))
    return _ratio(float(first.dot(first)), float(second.dot(second)), float(moved.dot(second)))


def _keys(values):
    """uint32 numbers in the order of float32 values; 0 and -0 are equal."""
    bits = (values + np.float32(0)).view(np.int32)
    return (bits ^ ((bits >> 31) | np.int32(-(1 << 31)))).view(np.uint32)


def _ranks(values):
    """Doubled and centred average ranks of sorted values, float64: 2 * rank - (n + 1), whole numbers."""
    n = len(values)
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    if len(starts) == n - 1:
        return np.arange(1 - n, n, 2, dtype=np.float64)
    edges = np.concatenate([[0], starts, [n]])
    return np.repeat((edges[1:] + edges[:-1] - n).astype(np.float64), np.diff(edges))


def _ratio(left, right, both):
    """Pearson's r from the centred sums of squares and products."""
    scale = math.sqrt(left) * math.sqrt(right)
    return max(-1.0, min(1.0, both / scale)) if 0 < scale < math.inf else math.nan
