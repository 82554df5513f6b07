"""Which unit of one network is which of another: assignment problems."""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from weight_atlas.analysis.alignment.products import channel_products
from weight_atlas.analysis.types import FloatArray, IntArray


class UnitMatching(NamedTuple):
    """Unit i of one matrix goes with signs[i] times unit order[i] of the other.

    order: int64 [units]; signs: float64 [units], 1 or -1; correlation: the mean of signs[i] * Pearson's r of the pairs.
    """

    order: IntArray
    signs: FloatArray
    correlation: float


def match_units(a: FloatArray | torch.Tensor, b: FloatArray | torch.Tensor, allow_signs: bool = False) -> UnitMatching:
    """Match the rows of two matrices so that the sum of their correlations is the largest there is.

    This is a measure of likeness and no symmetry.

    Parameters
    ----------
    a, b : array or tensor [units, n]
        Rows are standardised; a constant row becomes 0.
    allow_signs : bool
        Whether a row may be matched with the negative of another.

    Raises
    ------
    ValueError
        Where the shapes differ or are no matrices.
    """
    a, b = _standardised(a), _standardised(b)
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"matrices of shapes {tuple(a.shape)} and {tuple(b.shape)}; they must be equal, [units, n]")
    products = channel_products(a, b, 0, len(a))
    order = best_order(np.abs(products) if allow_signs else products)
    paired = products[np.arange(len(order)), order]
    signs = np.where(allow_signs & (paired < 0), -1.0, 1.0)
    return UnitMatching(order, signs, float((signs * paired).mean()) if len(order) else math.nan)


def best_order(gain: FloatArray) -> IntArray:
    """The order, int64 [n], that makes the sum of gain[i, order[i]] largest; between equals, channels stay in place.

    scipy's linear_sum_assignment; gain: float64 [n, n].
    """
    gain = gain + np.eye(len(gain)) * 1e-12 * np.abs(gain).max(initial=0)
    order: IntArray = linear_sum_assignment(gain, maximize=True)[1]
    return order


def _standardised(matrix: FloatArray | torch.Tensor) -> torch.Tensor:
    """Rows of mean 0 and length 1, float64; a constant row becomes 0."""
    rows = torch.as_tensor(matrix).double()
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    return rows / torch.where(length > 0, length, 1.0)
