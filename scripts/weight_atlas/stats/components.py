"""Two sources of uncertainty that are crossed, seeds and test images: variance components of a mean over both."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from weight_atlas.stats.estimates import t_quantile


class Interval(NamedTuple):
    """The 95 % interval of a mean, with its standard error and degrees of freedom."""

    low: float
    high: float
    error: float
    df: float


class Crossed(NamedTuple):
    """The mean of a table [seeds, images], its variance components, and two intervals.

    var_seeds, var_images: how the rows' and the columns' true means vary; var_residual: their interaction and noise.
    Estimates below 0 are 0. these_images: the mean over new seeds on these images. new_images: over new seeds and new
    images of the same kind.
    """

    seeds: int
    images: int
    mean: float
    var_seeds: float
    var_images: float
    var_residual: float
    these_images: Interval
    new_images: Interval


def crossed_means(values: NDArray[np.float64]) -> Crossed:
    """Variance components of a two-way random layout with one value per cell (Searle, Casella and McCulloch 1992).

    The variance of the mean over new seeds and images is (MS_seeds + MS_images - MS_residual) / (seeds x images), with
    Satterthwaite's (1946) degrees of freedom. Where a component is estimated below 0, the variance is that without it;
    and the interval is never narrower than that on these images.

    Parameters
    ----------
    values : [seeds, images], such as 1 for a correct answer and 0 for a wrong one, or the difference of two networks'.

    Raises
    ------
    ValueError : fewer than two seeds or two images.
    """
    values = np.asarray(values, float)
    seeds, images = values.shape
    if seeds < 2 or images < 2:
        raise ValueError(f"variance components need two seeds and two images, not {seeds} and {images}")
    mean = float(values.mean())
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    ms_seeds = images * float(np.square(rows - mean).sum()) / (seeds - 1)
    ms_images = seeds * float(np.square(columns - mean).sum()) / (images - 1)
    rest = values - rows[:, None] - columns[None, :] + mean
    df_rest = (seeds - 1) * (images - 1)
    ms_rest = float(np.square(rest).sum()) / df_rest
    both = ms_seeds + ms_images - ms_rest
    below = ms_seeds**2 / (seeds - 1) + ms_images**2 / (images - 1) + ms_rest**2 / df_rest
    candidates = [
        (ms_seeds, seeds - 1.0),
        (ms_images, images - 1.0),
        (both, both**2 / below if below > 0 else math.inf),
    ]
    size = seeds * images
    these = _interval(mean, ms_seeds / size, seeds - 1.0)
    new = _interval(mean, *max((square / size, df) for square, df in candidates))
    return Crossed(
        seeds,
        images,
        mean,
        max(0.0, (ms_seeds - ms_rest) / images),
        max(0.0, (ms_images - ms_rest) / seeds),
        ms_rest,
        these,
        max(these, new, key=lambda interval: interval.high),
    )


def _interval(mean: float, variance: float, df: float) -> Interval:
    """mean -+ t(0.975; df) sqrt(variance); without width where nothing varies."""
    error = math.sqrt(variance)
    half = t_quantile(0.975, df) * error if error else 0.0
    return Interval(mean - half, mean + half, error, df)
