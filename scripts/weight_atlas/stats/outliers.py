"""Replicates that lie far from the others of their cell."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

FAR = 5.0  # standard errors of prediction: of normal replicates about one in a million lies so far


def outlying(values: ArrayLike, groups: ArrayLike, resolution: float = 0.0) -> NDArray[np.bool_]:
    """Whether each value lies far from the others of its group.

    A value is compared with the mean of the others, (x - mean) / (s sqrt(1 + 1 / (n - 1))), and is far beyond FAR. s is
    the largest of three: the standard deviation of the others; what is usual over all groups, the median of their
    standard deviations over that of a normal sample of their size (Rousseeuw and Croux 1993 correct other scales so);
    and the step of a discrete score. One bad value of three is thus seen, though it makes its own group's spread large.

    Parameters
    ----------
    values, groups : [k]
        Values, and a label of each one's group. NaN count in no group.
    resolution : float
        The step of a discrete score.

    Returns
    -------
    array of bool [k]
        False in groups of fewer than three values.
    """
    numbers, labels = np.asarray(values, float), np.asarray(groups)
    known = np.isfinite(numbers)
    rows = [np.flatnonzero(known & (labels == label)) for label in np.unique(labels[known])]
    rows = [own for own in rows if len(own) > 2]
    spreads = [numbers[own].std(ddof=1) / np.sqrt(special.chdtri(len(own) - 1, 0.5) / (len(own) - 1)) for own in rows]
    usual = max(float(np.median(spreads)), resolution) if rows else 0.0
    far = np.zeros(len(numbers), bool)
    for own in rows:
        n, apart = len(own), numbers[own] - numbers[own].mean()
        # Of the others: their mean lies n / (n - 1) times as far, and their squares sum to so much less.
        squares = np.maximum(np.square(apart).sum() - np.square(apart) * n / (n - 1), 0.0)
        spread = np.maximum(usual, np.sqrt(squares / (n - 2))) * np.sqrt(n / (n - 1))
        far[own] = np.abs(apart) * n / (n - 1) > FAR * spread
    return far
