"""Probabilities corrected for the number of tests."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control


def benjamini_hochberg(probabilities: ArrayLike) -> list[float]:
    """q: the false discovery rate at which each test is significant (Benjamini and Hochberg 1995).

    NaN stay NaN and do not count as tests.
    """
    values = np.array(probabilities, float)
    tested = ~np.isnan(values)
    if tested.any():
        values[tested] = false_discovery_control(values[tested])
    return [float(value) for value in values]


def holm(probabilities: ArrayLike) -> list[float]:
    """p that keeps the chance of any false positive over the family below its level (Holm 1979); NaN as above."""
    from statsmodels.stats.multitest import multipletests

    values = np.array(probabilities, float)
    tested = ~np.isnan(values)
    if tested.any():
        values[tested] = multipletests(values[tested], method="holm")[1]
    return [float(value) for value in values]
