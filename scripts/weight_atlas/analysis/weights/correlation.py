"""How alike two models' parameters are: Pearson's and Spearman's correlation, as they are and after matching."""

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from weight_atlas.analysis.alignment import matching, transforms, weight_matching
from weight_atlas.analysis.kernels.interface import CentredProducts, Kernels
from weight_atlas.analysis.kernels.select import kernels_for
from weight_atlas.analysis.types import Readable, Tensors
from weight_atlas.analysis.weights import movement, statistics
from weight_atlas.networks import symmetry
from weight_atlas.networks.table import Table

MATCHINGS = ("raw", "permuted", "signed")
CHUNK = 1 << 20  # values that are converted to float64 at once
LOWER = 0 if sys.byteorder == "little" else 1  # where the lower half of a 64-bit number is


class Correlation(NamedTuple):
    """How alike a parameter, or a running statistic, of two models is. changed: how many values are not equal."""

    layer: str
    parameter: str
    size: int
    matching: str
    pearson: float
    spearman: float
    changed: int
    cosine: float


def rows(table: Table, one: Readable, other: Readable, matchings: Sequence[str] = MATCHINGS) -> list[Correlation]:
    """Correlate each parameter and running statistic of two models.

    Parameters
    ----------
    table : Table
        The network's layer table.
    one, other : dict of float32 tensors
        Snapshots, by torch names.
    matchings : sequence of str
        Some of MATCHINGS: "raw" takes the tensors as they are, the others the other's after `match`.
    """
    kernels, correlations = kernels_for(table.parameter_count), []
    for name_of_matching in matchings:
        theirs = other
        if name_of_matching != "raw":
            theirs = match(table, dict(one), dict(other), name_of_matching == "signed")
        for layer, name in statistics.names(table):
            full = table[layer].tensor(name)
            a, b = one[full], theirs[full]
            coefficients = pearson(a, b, kernels), spearman(a, b)
            changed, cosine = kernels.differing(a, b), movement.geometry(movement.sums(a, b, kernels)).cosine
            correlations.append(Correlation(layer, name, a.numel(), name_of_matching, *coefficients, changed, cosine))
    return correlations


def match(table: Table, one: Tensors, other: Tensors, signs: bool = False) -> Tensors:
    """The other's tensors with the channels of its hidden layers in the order that makes it most like the one.

    Without signs: by the symmetry that brings all parameters closest (`weight_matching.align`, permutations alone;
    cheap enough for every pair of models at every checkpoint). The network computes the same, and a copy with its
    channels in another order is found exactly. With signs: layer by layer from the input, whose channels are in place
    by then, each layer's rows go where the sum of |Pearson's r| over all pairs of rows is largest
    (`matching.match_units`), negated where r is below 0; biases, batch normalisation and the columns that read them
    follow (what a batch normalisation writes is not negated). Behind a ReLU that is no symmetry but a freer measure of
    likeness. Outputs are classes, and stay.
    """
    if not signs:
        return weight_matching.align(table, one, other, ("permutation",)).tensors
    for group in symmetry.groups(table):
        weight = f"{group.name}.weight"
        if group.permutation and one[weight].ndim > 1:
            order, flips, _ = matching.match_units(one[weight].flatten(1), other[weight].flatten(1), allow_signs=True)
            factors = np.ones(group.channels)
            factors[order] = flips
            transform = transforms.Transform({group.name: order}, {group.name: factors})
            other = transforms.apply(table, other, transform)
    return other


def pearson(one: torch.Tensor, other: torch.Tensor, kernels: Kernels | None = None) -> float:
    """Pearson's r of two float32 tensors of one size; NaN where one of them is constant or not finite.

    kernels: what sums them (default: chosen by their size). Sums are float64, and a constant tensor has a spread of
    exactly 0.
    """
    size = one.numel()
    return _ratio((kernels or kernels_for(size)).centred(one, other)) if size else math.nan


def spearman(one: torch.Tensor, other: torch.Tensor) -> float:
    """Spearman's rho of two float32 tensors of one size: Pearson's r of their average ranks.

    NaN where one of them is constant or has a NaN. Two sorts of 64-bit numbers, as numpy sorts numbers much faster than
    it finds their order: by (one's value, other's value), and then by (other's value, place in the first order). Runs
    of equal values share their mean rank. Ranks are doubled and centred whole numbers, so that nothing is rounded
    before the sums, which are float64. Memory: some 20 bytes a value.
    """
    a, b = (tensor.detach().reshape(-1).float().numpy() for tensor in (one, other))
    if not len(a) or np.isnan(a).any() or np.isnan(b).any():
        return math.nan
    half = np.uint64(32)
    sorting = _keys(a).astype(np.uint64)
    sorting <<= half
    sorting |= _keys(b)
    sorting.sort()
    first = _ranks(_upper(sorting))
    sorting <<= half
    sorting |= np.arange(len(a), dtype=np.uint32)
    sorting.sort()
    moved = first[sorting.view(np.uint32)[LOWER::2]]
    x_x = _dot(first, first)
    del first
    second = _ranks(_upper(sorting))
    del sorting
    return _ratio(CentredProducts(x_x, _dot(second, second), _dot(moved, second)))


def _upper(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """The upper halves of 64-bit numbers, a view."""
    return values.view(np.uint32)[1 - LOWER :: 2]


def _dot(a: npt.NDArray[np.signedinteger], b: npt.NDArray[np.signedinteger]) -> float:
    """The inner product of two vectors of whole numbers, in float64."""
    parts = range(0, len(a), CHUNK)
    return math.fsum(float(a[at : at + CHUNK].astype(float) @ b[at : at + CHUNK].astype(float)) for at in parts)


def _keys(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """uint32 numbers in the order of float32 values; 0 and -0 are equal."""
    bits = (values + np.float32(0)).view(np.int32)
    return (bits ^ ((bits >> 31) | np.int32(-(1 << 31)))).view(np.uint32)


def _ranks(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.signedinteger]:
    """Doubled and centred average ranks of sorted values: 2 * rank - (n + 1), whole numbers.

    A run of equal values from place s to place e has the mean rank (s + e) / 2 + 1, counted from 0.
    """
    n = len(values)
    dtype: type[np.signedinteger] = np.int32 if n < 2**30 else np.int64
    begins = values[1:] != values[:-1]
    if (count := np.count_nonzero(begins)) == n - 1:
        return np.arange(1 - n, n, 2, dtype=dtype)
    if count < n // 4:
        edges = np.concatenate([[0], np.flatnonzero(begins) + 1, [n]])
        return np.repeat((edges[1:] + edges[:-1] - n).astype(dtype), np.diff(edges))
    first, last = np.arange(n, dtype=dtype), np.arange(n, dtype=dtype)
    first[1:][~begins] = 0
    np.maximum.accumulate(first, out=first)
    last[:-1][~begins] = n - 1
    np.minimum.accumulate(last[::-1], out=last[::-1])
    first += last
    first -= n - 1
    return first


def _ratio(products: CentredProducts) -> float:
    """Pearson's r from the centred sums of squares and products."""
    scale = math.sqrt(products.a_a) * math.sqrt(products.b_b)
    return max(-1.0, min(1.0, products.a_b / scale)) if 0 < scale < math.inf else math.nan
