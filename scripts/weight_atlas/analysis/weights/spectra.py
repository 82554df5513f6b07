"""The singular values of a layer's weights: spectral norm, stable rank, and the power law of their squares' tail."""

import math

import numpy as np
import torch

FEWEST = 20  # eigenvalues that a tail must have


def rows(table, tensors):
    """(layer, size, spectral_norm, stable_rank, alpha, xmin, tail, ks) of each convolution and linear layer.

    table: the network's layer table; tensors: a snapshot, {torch name: float32 tensor}. The weight is taken as a matrix
    [outputs, inputs x taps]; size is the number of its singular values. stable_rank = |W|_F^2 / |W|_2^2 (Rudelson and
    Vershynin 2007); the last four are those of `power_law` for the squares. NaN for a weight of zeros, or not finite.
    """
    found = []
    for layer in table.weight_layers:
        squares = eigenvalues(tensors[f"{layer.name}.weight"].flatten(1))
        top = float(squares[-1])
        if not 0 < top < math.inf:
            found.append((layer.name, len(squares), *[math.nan] * 4, 0, math.nan))
            continue
        found.append((layer.name, len(squares), math.sqrt(top), float(squares.sum()) / top, *power_law(squares)))
    return found


def eigenvalues(matrix):
    """The squared singular values of a matrix, ascending, float64 [min of its sides]; NaN where it is not finite.

    From the smaller product of the matrix with itself, in float64: exact to some 1e-16 of the largest one.
    """
    matrix = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    matrix = matrix.double()
    if not bool(torch.isfinite(matrix).all()):
        return np.full(len(matrix), math.nan)
    return torch.linalg.eigvalsh(matrix @ matrix.T).clamp_min(0).numpy()


def power_law(values):
    """(alpha, xmin, tail, ks): the power law p(x) ~ x^-alpha, x >= xmin, that fits the tail of some values best.

    Clauset, Shalizi and Newman (2009), "Power-law distributions in empirical data", continuous values: for each xmin
    among the values alpha = 1 + n / sum(ln(x / xmin)) over the n values from xmin on, by maximum likelihood (their
    equation 3.1); taken is the xmin with the smallest Kolmogorov-Smirnov distance between those values and the law
    (3.9). For eigenvalues of weights: Martin and Mahoney (2021), "Implicit self-regularization in deep neural
    networks". tail is n, ks the distance. A tail has FEWEST values at least; with fewer positive values, or all of them
    equal, the fit is undefined: NaN, NaN, 0, NaN.
    """
    values = np.sort(np.asarray(values, dtype=np.float64))
    logs = np.log(values[values > 0])
    best = (math.nan, math.nan, 0, math.nan)
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
        if not ks >= best[3]:
            best = (float(alpha), float(math.exp(logs[start])), n, float(ks))
    return best
