"""How many replicates would decide: power of the paired tests, and the number of seeds for a power or a width."""

import math
from collections.abc import Callable

import numpy as np
from scipy import integrate, optimize, special
from scipy.stats import chi

from weight_atlas.stats.estimates import t_quantile

POWER = 0.8
LEVEL = 0.05
MOST = 2**20  # replicates: a larger number is no answer


def difference_power(difference: float, std: float, n: int, level: float = LEVEL) -> float:
    """The power of the two-sided t-test of a mean difference whose standard deviation is `std`, with n replicates.

    The test rejects where |mean| > t s / sqrt(n); given s the mean is normal, so that the power is one integral over
    the distribution of s. (The noncentral t distribution of scipy has no number where the effect is large.)
    """
    if n < 2 or std <= 0:
        return math.nan
    t, shift, df = t_quantile(1 - level / 2, n - 1), abs(difference) / std * math.sqrt(n), n - 1

    def share(x: float) -> float:
        beyond = t * x / math.sqrt(df)
        return float((special.ndtr(shift - beyond) + special.ndtr(-shift - beyond)) * chi.pdf(x, df))

    low, high = float(chi.ppf(1e-12, df)), float(chi.ppf(1 - 1e-12, df))
    middle = min(max(shift * math.sqrt(df) / t, low), high)  # where the share falls from 1 to 0
    found = sum(integrate.quad(share, one, other, limit=200)[0] for one, other in ((low, middle), (middle, high)))
    return float(np.clip(found, 0.0, 1.0))


def detectable_difference(std: float, n: int, power: float = POWER, level: float = LEVEL) -> float:
    """The smallest mean difference that the two-sided t-test finds with this power; NaN for fewer than 2 replicates."""
    if n < 2 or std <= 0:
        return math.nan if n < 2 else 0.0
    return float(optimize.brentq(lambda size: difference_power(size, 1.0, n, level) - power, 1e-6, 1e3)) * std


def equivalence_power(margin: float, std: float, n: int, difference: float = 0.0, level: float = LEVEL) -> float:
    """The power of two one-sided tests (TOST) to show that a true `difference` lies within the margin.

    Both tests reject where |mean| < margin - t s / sqrt(n); given s the mean is normal, so that the power is one
    integral over the distribution of s (Phillips 1990).
    """
    if n < 2 or std <= 0:
        return math.nan
    t, error, df = t_quantile(1 - level, n - 1), std / math.sqrt(n), n - 1
    widest = margin / (t * error) * math.sqrt(df)  # the chi at which no mean is left that both tests reject

    def share(x: float) -> float:
        reach = margin - t * error * x / math.sqrt(df)
        both = special.ndtr((reach - difference) / error) - special.ndtr((-reach - difference) / error)
        return float(both * chi.pdf(x, df))

    low, high = float(chi.ppf(1e-12, df)), float(chi.ppf(1 - 1e-12, df))
    if widest <= low:
        return 0.0
    found, _ = integrate.quad(share, low, min(widest, high), limit=200)
    return float(np.clip(found, 0.0, 1.0))


def seeds_for_difference(difference: float, std: float, power: float = POWER) -> int | None:
    """The fewest replicates whose two-sided t-test finds a difference with this power; None beyond MOST."""
    if not difference:
        return None
    return _fewest(lambda n: difference_power(difference, std, n) >= power) if std > 0 else 2


def seeds_for_equivalence(
    margin: float, std: float, difference: float = 0.0, power: float = POWER, level: float = LEVEL
) -> int | None:
    """The fewest replicates that show equivalence with this power; None beyond MOST, or where the margin is passed."""
    if abs(difference) >= margin:
        return None
    return _fewest(lambda n: equivalence_power(margin, std, n, difference, level) >= power) if std > 0 else 2


def seeds_for_width(half_width: float, std: float) -> int | None:
    """The fewest replicates whose 95 % interval reaches at most `half_width` to each side; None beyond MOST."""
    return _fewest(lambda n: t_quantile(0.975, n - 1) * std / math.sqrt(n) <= half_width)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """The smallest n from 2 for which `enough` holds, which then holds for all larger ones."""
    high = 2
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2  # not enough, or below 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
