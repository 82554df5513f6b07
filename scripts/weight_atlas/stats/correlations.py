"""Correlation coefficients: their mean on Fisher's scale, and how large one must be to be significant."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from weight_atlas.stats.estimates import MeanError, mean_error, t_quantile

LARGEST = math.nextafter(1, 0)  # an r of 1 has no finite Fisher z


class MeanCorrelation(NamedTuple):
    """The mean of n correlations with its 95 % interval; NaN where undefined."""

    n: int
    mean: float
    low: float
    high: float


def fisher_mean(correlations: ArrayLike) -> MeanError:
    """The mean and standard error of Fisher's z = artanh r of correlations (Fisher 1921); NaN are left out."""
    values = np.asarray(correlations, float)
    return mean_error(np.arctanh(np.clip(values[~np.isnan(values)], -LARGEST, LARGEST)))


def mean_correlation(fisher: MeanError) -> MeanCorrelation:
    """A `fisher_mean` and its 95 % interval by Student's t, taken back to the scale of r."""
    n, mean, error = fisher
    half = t_quantile(0.975, n - 1) * error if n > 1 else math.nan
    return MeanCorrelation(n, *(math.tanh(z) for z in (mean, mean - half, mean + half)))


def significant_correlation(n: int) -> float:
    """The |r| from which one correlation of n pairs is significant at 0.05, t / sqrt(n - 2 + t^2); NaN for n < 3."""
    if n < 3:
        return math.nan
    t = t_quantile(0.975, n - 2)
    return t / math.sqrt(n - 2 + t * t)
