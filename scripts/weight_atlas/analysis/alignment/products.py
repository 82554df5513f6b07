"""Inner products and distances of tensors channel by channel, in float64 and in pieces that fit in memory."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch

from weight_atlas.analysis.kernels.torch_kernels import CHUNK
from weight_atlas.analysis.types import FloatArray, Tensors

PIECE = 1 << 23  # values of one float64 factor of a matrix product: 64 MB


class Squares(NamedTuple):
    """|a - b|^2 and |a|^2 + |b|^2 of two tensors a and b."""

    difference: float
    size: float


def channel_products(a: torch.Tensor, b: torch.Tensor, axis: int, channels: int) -> FloatArray:
    """Inner products of every channel of one tensor with every one of another: float64 [channels, channels].

    Channel c holds the entries c * block .. (c + 1) * block - 1 of the axis, with block = its length / channels.
    """
    total = torch.zeros(channels, channels, dtype=torch.float64)
    for one, other in _unfolded(a, b, axis, channels):
        total.addmm_(one, other.T)
    return total.numpy()


def channel_dots(a: torch.Tensor, b: torch.Tensor, axis: int, channels: int) -> FloatArray:
    """Inner product of every channel of one tensor with the same one of another: float64 [channels]."""
    total = torch.zeros(channels, dtype=torch.float64)
    for one, other in _unfolded(a, b, axis, channels):
        total += (one * other).sum(1)
    return total.numpy()


def squares(a: torch.Tensor, b: torch.Tensor) -> Squares:
    """The squared distance of two tensors of one shape, and the sum of their squared norms, in float64."""
    difference = size = 0.0
    for one, other in zip(a.reshape(-1).split(CHUNK), b.reshape(-1).split(CHUNK), strict=True):
        one, other = one.double(), other.double()
        size += float(one.dot(one) + other.dot(other))
        other = other - one
        difference += float(other.dot(other))
    return Squares(difference, size)


def distance(a: Tensors, b: Tensors, names: Iterable[str]) -> float:
    """Euclidean distance of two networks over the named tensors, in float64."""
    return math.sqrt(sum(squares(a[name], b[name]).difference for name in names))


def _unfolded(a: torch.Tensor, b: torch.Tensor, axis: int, channels: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Pairs of float64 pieces [channels, n], of PIECE values at most each, of two tensors unfolded along an axis."""
    views = [x.reshape(math.prod(x.shape[:axis]), channels, -1) for x in (a, b)]
    if len(views[0]) == 1:
        pieces = [view[0].split(max(1, PIECE // channels), dim=1) for view in views]
    else:
        pieces = [view.split(max(1, PIECE // views[0][0].numel())) for view in views]
    for pair in zip(*pieces, strict=True):
        yield tuple(x.double() if x.ndim == 2 else x.transpose(0, 1).reshape(channels, -1).double() for x in pair)
