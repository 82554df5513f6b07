"""What sums and counts over float32 vectors return, and the functions that each module of kernels has."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch


class Moments(NamedTuple):
    """Mean, sum of squared deviations from it, sum of squares, smallest and largest value of a vector."""

    mean: float
    squared_deviations: float
    squares: float
    min: float
    max: float


class Products(NamedTuple):
    """a . a, b . b, a . b and |b - a|^2 of two vectors."""

    a_a: float
    b_b: float
    a_b: float
    squared_distance: float


class CentredProducts(NamedTuple):
    """a . a, b . b and a . b of two vectors, less their means."""

    a_a: float
    b_b: float
    a_b: float


class EqualCounts(NamedTuple):
    """How many values of two vectors are equal, by a code per value (bits: 1 had a gradient, 2 was changed by a step,
    4 is at a structural tap; see `weight_atlas.analysis.weights.unchanged`).

    equal: all; dead, rounding, returned: those with code 0 or 2, with 1, with 3; structural: those with 4 or more;
    taps: codes of 4 or more, equal or not; contradicted: codes 5 and 7, equal or not.
    """

    equal: int
    dead: int
    rounding: int
    returned: int
    structural: int
    taps: int
    contradicted: int


class Kernels(Protocol):
    """Sums and counts over float32 tensors, read in flattened order. Sums are float64."""

    def moments(self, tensor: torch.Tensor, /) -> Moments:
        """The moments of a tensor that is not empty; a constant one deviates by exactly 0, and where a value is NaN, so
        are the three sums."""
        ...

    def products(self, a: torch.Tensor, b: torch.Tensor, /) -> Products:
        """The inner products of two tensors; the difference is that of the float64 values."""
        ...

    def centred(self, a: torch.Tensor, b: torch.Tensor, /) -> CentredProducts:
        """The centred products of two tensors that are not empty; those of a constant one are exactly 0."""
        ...

    def differing(self, a: torch.Tensor, b: torch.Tensor, /) -> int:
        """How many values of two tensors are not equal; NaN is not equal to itself."""
        ...

    def equal(self, a: torch.Tensor, b: torch.Tensor, codes: torch.Tensor, /) -> EqualCounts:
        """How many values are equal, by codes: uint8 below 8, one per value."""
        ...

    def beyond(
        self,
        a: torch.Tensor,
        b: torch.Tensor,
        steps: Sequence[int],
        shares: Sequence[float],
        distances: Sequence[float],
        /,
    ) -> list[int]:
        """How many values of two tensors are farther apart than each bound, in the order of the bounds.

        steps: six numbers of steps from one float32 to the next, 0.0 and -0.0 being one; shares: six bounds of
        |b - a| / |a|, in float64 and multiplied out; distances: eight of |b - a|, in float64.
        """
        ...


def check_same_size(tensor: torch.Tensor, *others: torch.Tensor) -> None:
    """Raise ValueError where tensors have not the same number of values."""
    for other in others:
        if tensor.numel() != other.numel():
            raise ValueError(f"tensors of {tensor.numel()} and {other.numel()} values; they must have as many")
