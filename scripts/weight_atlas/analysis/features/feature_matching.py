"""Which feature of one model is which of another."""

import math
from typing import NamedTuple

import numpy as np

from weight_atlas.analysis.alignment.matching import best_order
from weight_atlas.analysis.types import FloatArray


class FeatureMatching(NamedTuple):
    """correlation: mean of the features in place; matched: mean when matched; in_place: share that matching does not
    move."""

    correlation: float
    matched: float
    in_place: float


def match(correlations: FloatArray) -> FeatureMatching:
    """Match the features of two models.

    The mean in place is that of the diagonal. Matching permutes the columns so that the mean of the diagonal becomes
    largest (an assignment problem, `best_order`); of equally good matchings it takes one that moves few.

    Parameters
    ----------
    correlations : array, float64 [d, d]
        Without NaN; row i is feature i of the one model, column j feature j of the other.

    Returns
    -------
    FeatureMatching
        All NaN for d = 0.
    """
    if not len(correlations):
        return FeatureMatching(math.nan, math.nan, math.nan)
    rows, columns = np.arange(len(correlations)), best_order(correlations)
    in_place = correlations.diagonal().mean()
    return FeatureMatching(float(in_place), float(correlations[rows, columns].mean()), float((rows == columns).mean()))
