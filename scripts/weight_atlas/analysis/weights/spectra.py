"""The singular values of a layer's weights: spectral norm, stable rank, and the power law of their squares' tail."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from weight_atlas.analysis.types import FloatArray, Readable
from weight_atlas.networks.table import Table

FEWEST = 20  # eigenvalues that a tail must have


class PowerLaw(NamedTuple):
    """The power law p(x) ~ x^-alpha, x >= xmin. tail: how many values it describes; ks: its Kolmogorov-Smirnov
    distance from them."""

    alpha: float
    xmin: float
    tail: int
    ks: float


class Spectrum(NamedTuple):
    """The singular values of a layer's weight. size: how many there are; then those of `PowerLaw` for their squares."""

    layer: str
    size: int
    spectral_norm: float
    stable_rank: float
    alpha: float
    xmin: float
    tail: int
    ks: float


UNDEFINED = PowerLaw(math.nan, math.nan, 0, math.nan)


def rows(table: Table, tensors: Readable) -> list[Spectrum]:
    """The spectrum of each convolution and linear layer; NaN for a weight of zeros, or not finite.

    The weight is taken as a matrix [outputs, inputs x taps]. stable_rank = |W|_F^2 / |W|_2^2 (Rudelson and Vershynin
    2007).

    Parameters
    ----------
    table : Table
        The network's layer table.
    tensors : dict of float32 tensors
        A snapshot, by torch names.
    """
    spectra = []
    for layer in table.weight_layers:
        squares = eigenvalues(tensors[layer.tensor(next(iter(layer.parameters)))].flatten(1))
        top = float(squares[-1])
        norm, rank, law = math.nan, math.nan, UNDEFINED
        if 0 < top < math.inf:
            norm, rank, law = math.sqrt(top), float(squares.sum()) / top, power_law(squares)
        spectra.append(Spectrum(layer.name, len(squares), norm, rank, *law))
    return spectra


def eigenvalues(matrix: torch.Tensor) -> FloatArray:
    """The squared singular values of a matrix, ascending, float64 [min of its sides]; NaN where it is not finite.

    From the smaller product of the matrix with itself, in float64: exact to some 1e-16 of the largest one.
    """
    matrix = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    matrix = matrix.double()
    if not bool(torch.isfinite(matrix).all()):
        return np.full(len(matrix), math.nan)
    values: FloatArray = torch.linalg.eigvalsh(matrix @ matrix.T).clamp_min(0).numpy()
    return values


def power_law(values: npt.ArrayLike) -> PowerLaw:
    """The power law that fits the tail of some values best.

    Clauset, Shalizi and Newman (2009), "Power-law distributions in empirical data", continuous values: for each xmin
    among the values alpha = 1 + n / sum(ln(x / xmin)) over the n values from xmin on, by maximum likelihood (their
    equation 3.1); taken is the xmin with the smallest Kolmogorov-Smirnov distance between those values and the law
    (3.9). For eigenvalues of weights: Martin and Mahoney (2021), "Implicit self-regularization in deep neural
    networks". tail is n, ks the distance. A tail has FEWEST values at least; with fewer positive values, or all of them
    equal, the fit is UNDEFINED.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    logs = np.log(ordered[ordered > 0])
    best = UNDEFINED
    for start in range(len(logs) - FEWEST + 1):
        if start and logs[start] == logs[start - 1]:
            continue
        above = logs[start:] - logs[start]
        total, n = above.sum(), len(above)
        if total <= 0:
            break
        alpha = 1 + n / total
        law = -np.expm1((1 - alpha) * above)
        steps = np.arange(n + 1) / n
        ks = max((steps[1:] - law).max(), (law - steps[:-1]).max())
        if not ks >= best.ks:
            best = PowerLaw(float(alpha), float(math.exp(logs[start])), n, float(ks))
    return best
