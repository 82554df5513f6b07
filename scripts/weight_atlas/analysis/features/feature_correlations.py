"""Correlations between features: Pearson's r of the columns of matrices [N, d], in float64."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch

BATCH = 500
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# A feature whose values differ by less than this share of the largest is constant: float32 rounding, about 8 ulp.
ROUNDING = 1e-6


class Description(NamedTuple):
    """A correlation matrix in numbers: of features, of constant ones and of defined pairs; then the mean of the pairs'
    correlations, that of their absolute values, and their quantiles."""

    features: int
    constant: int
    pairs: int
    mean_correlation: float
    mean_absolute: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


@dataclass
class Centred:
    """Features [N, d] with what centring them takes; sums over images are float64.

    values: float32 [N, d], as they are; mean, squares: float64 [d], the sums of squares those of the centred columns;
    norms: float64 [N], the squared length of each centred row; constant: bool [d].
    """

    values: torch.Tensor

    def __post_init__(self) -> None:
        self.mean = reduce(torch.add, (part.double().sum(0) for part in self.values.split(BATCH))) / len(self.values)
        self.squares = reduce(torch.add, (part.square().sum(0) for part in self.parts()))
        self.norms = torch.cat([part.square().sum(1) for part in self.parts()])
        low, high = self.values.amin(0), self.values.amax(0)
        self.constant = high - low <= ROUNDING * torch.maximum(low.abs(), high.abs())

    def parts(self) -> Iterator[torch.Tensor]:
        """The centred rows, float64, BATCH at a time."""
        return (part.double() - self.mean for part in self.values.split(BATCH))


def product(a: Centred, b: Centred) -> torch.Tensor:
    """The products of the centred columns of two feature matrices of as many rows: float64 [d_a, d_b]."""
    products = torch.zeros(len(a.mean), len(b.mean), dtype=torch.float64)
    for left, right in zip(a.parts(), b.parts(), strict=True):
        products.addmm_(left.T, right)
    return products


def correlation(products: torch.Tensor, a: Centred, b: Centred) -> torch.Tensor:
    """Pearson's correlation of each column of a with each of b: float64 [d_a, d_b]; NaN where one is constant.

    products: `product` of the two; its storage is used for the result.
    """
    left, right = (torch.where(x.constant, torch.nan, x.squares.sqrt()) for x in (a, b))
    return products.div_(right).div_(left[:, None]).clamp_(-1, 1)


def describe(correlations: torch.Tensor) -> Description:
    """Describe the correlations of d features with each other, [d, d], over the pairs above the diagonal.

    Undefined pairs count in none of the numbers, and where no pair is defined the means and quantiles are NaN.
    """
    matrix = correlations.numpy()
    values = matrix[np.triu(np.ones(matrix.shape, bool), 1)]
    values = values[~np.isnan(values)]
    counts = (len(matrix), int(np.isnan(matrix.diagonal()).sum()), len(values))
    if not len(values):
        return Description(*counts, *[np.nan] * (2 + len(QUANTILES)))
    means = float(values.mean()), float(np.abs(values).mean())
    return Description(*counts, *means, *(float(x) for x in np.quantile(values, QUANTILES)))
