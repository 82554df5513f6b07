"""Variance components, power, bootstrap and breakpoints: closed forms, statsmodels, and simulations of a fixed seed."""

import math

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.power import TTestPower

from weight_atlas import stats
from weight_atlas.stats.bootstrap import FEWEST, medians
from weight_atlas.stats.breakpoints import pieces

# ----------------------------------------------------------------------------------------------- variance components


def crossed(draw, seeds, images, deviations):
    """A table [seeds, images] of mean 0 whose seeds, images and residuals have these standard deviations."""
    by_seed, by_image, rest = deviations
    table = draw.normal(0, rest, (seeds, images))
    return table + draw.normal(0, by_seed, (seeds, 1)) + draw.normal(0, by_image, (1, images))


def test_components_are_those_of_the_analysis_of_variance():
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = crossed(np.random.default_rng(3), 4, 9, (0.5, 0.7, 0.4))
    long = pd.DataFrame(table).stack().rename("value").rename_axis(["seed", "image"]).reset_index()
    square = anova_lm(ols("value ~ C(seed) + C(image)", long).fit())["mean_sq"]
    seeds, images, rest = square["C(seed)"], square["C(image)"], square["Residual"]
    found = stats.crossed_means(table)
    components = found.var_seeds, found.var_images, found.var_residual
    assert components == pytest.approx(((seeds - rest) / 9, (images - rest) / 4, rest))
    error = np.sqrt(components[0] / 4 + components[1] / 9 + components[2] / 36)
    df = (seeds + images - rest) ** 2 / (seeds**2 / 3 + images**2 / 8 + rest**2 / 24)
    # On these images alone it is the interval over the seeds' means; on new ones it is never narrower.
    these = stats.mean_interval(table.mean(axis=1))
    assert found.these_images[:2] == pytest.approx((these.low, these.high))
    half = max(stats.t_quantile(0.975, df) * error, these.high - these.mean)
    assert found.new_images[:2] == pytest.approx((these.mean - half, these.mean + half))


@pytest.mark.parametrize("deviations", [(1, 1, 1), (1, 0, 1), (0, 1, 1), (0, 0, 1), (0.1, 5, 1)])
def test_an_interval_over_seeds_and_images_covers_95_of_100(deviations):
    draw = np.random.default_rng(4)
    found = [stats.crossed_means(crossed(draw, 4, 30, deviations)) for _ in range(1000)]
    covered = np.mean([one.new_images.low <= 0 <= one.new_images.high for one in found])
    assert 0.93 <= covered <= (1 if 0 in deviations else 0.97)


def test_an_interval_over_seeds_alone_covers_too_little_where_images_vary():
    """Three seeds of one test set: the interval speaks of these images, and not of new ones."""
    draw = np.random.default_rng(6)
    found = [stats.crossed_means(crossed(draw, 4, 30, (0.1, 5, 1))) for _ in range(300)]
    assert np.mean([one.these_images.low <= 0 <= one.these_images.high for one in found]) < 0.6


def test_what_does_not_vary_has_no_width_and_too_little_is_refused():
    found = stats.crossed_means(np.full((3, 5), 0.25))
    assert found.new_images[:2] == found.these_images[:2] == (0.25, 0.25)
    with pytest.raises(ValueError, match="two seeds and two images, not 1 and 5"):
        stats.crossed_means(np.ones((1, 5)))


# ------------------------------------------------------------------------------------------- spreads are not pooled


@pytest.mark.parametrize("n", [3, 6])
def test_a_spread_that_is_pooled_after_a_test_covers_too_little(n):
    """Six cells, one of which spreads twice as much: why each mean has its own spread (docs/honest-numbers.md)."""
    draw = np.random.default_rng(5)
    cells = draw.normal(0, 1, (600, 6, n)) * np.array([2, 1, 1, 1, 1, 1])[:, None]
    covered = {"own": [], "pooled": []}
    for values in cells:
        own = stats.mean_interval(values[0])
        covered["own"].append(own.low <= 0 <= own.high)
        spread, df = np.sqrt(values.var(axis=1, ddof=1).mean()), 6 * (n - 1)
        pooled = abs(own.mean) <= stats.t_quantile(0.975, df) * spread / np.sqrt(n)
        is_equal = scipy.stats.levene(*values, center="median").pvalue >= 0.05
        covered["pooled"].append(pooled if is_equal else covered["own"][-1])
    assert 0.92 <= np.mean(covered["own"]) <= 0.98
    assert 0.74 <= np.mean(covered["pooled"]) <= 0.86


# ------------------------------------------------------------------------------------------------------------- power


def samples(difference, n, draws):
    """Simulated differences [draws, n] with a standard deviation of 1."""
    return np.random.default_rng(8).normal(difference, 1, (draws, n))


@pytest.mark.parametrize(("difference", "n"), [(0.0, 5), (1.0, 4), (1.0, 10)])
def test_the_power_of_a_t_test_is_its_share_of_rejections(difference, n):
    p = scipy.stats.ttest_1samp(samples(difference, n, 4000), 0, axis=1).pvalue
    assert stats.difference_power(difference, 1.0, n) == pytest.approx(np.mean(p < 0.05), abs=0.02)


@pytest.mark.parametrize(("difference", "n"), [(0.0, 6), (0.3, 12), (1.0, 12), (0.0, 3)])
def test_the_power_of_equivalence_is_its_share_of_rejections(difference, n):
    shown = [stats.equivalence(one, 1.0).p < 0.05 for one in samples(difference, n, 2000)]
    assert stats.equivalence_power(1.0, 1.0, n, difference) == pytest.approx(np.mean(shown), abs=0.03)


def test_a_textbook_number_of_pairs():
    """An effect of 0.5 standard deviations, two-sided 0.05, power 0.8: 34 pairs (Cohen 1988; G*Power)."""
    assert stats.seeds_for_difference(0.5, 1.0) == 34
    assert stats.seeds_for_difference(-0.5, 1.0, power=0.95) == 54


@pytest.mark.parametrize("std", [0.02, 0.05])
def test_the_number_of_seeds_is_the_smallest(std):
    n = stats.seeds_for_width(0.01, std)
    widths = [stats.t_quantile(0.975, k - 1) * std / math.sqrt(k) for k in range(2, n + 1)]
    assert widths[-1] <= 0.01 < min(widths[:-1])
    n = stats.seeds_for_difference(0.02, std)
    assert stats.difference_power(0.02, std, n) >= 0.8 > stats.difference_power(0.02, std, n - 1)
    n = stats.seeds_for_equivalence(0.02, std, 0.005)
    assert stats.equivalence_power(0.02, std, n, 0.005) >= 0.8 > stats.equivalence_power(0.02, std, n - 1, 0.005)


def test_where_no_number_of_seeds_would_do():
    assert stats.seeds_for_difference(0.0, 1.0) is None
    assert stats.seeds_for_equivalence(0.01, 1.0, difference=0.01) is None
    assert stats.seeds_for_width(1e-6, 1.0) is None
    assert stats.seeds_for_difference(0.1, 0.0) == stats.seeds_for_equivalence(0.1, 0.0) == 2
    assert math.isnan(stats.difference_power(0.1, 1.0, 1)) and math.isnan(stats.equivalence_power(0.1, 1.0, 1))
    assert stats.equivalence_power(0.01, 100.0, 200) == 0


# --------------------------------------------------------------------------------------------------------- bootstrap


def test_a_bootstrap_interval_is_scipys_percentile_interval():
    values = np.random.default_rng(9).normal(size=40)
    found = stats.bootstrap_interval(values, lambda draws: draws.mean(axis=1), resamples=20000)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found == pytest.approx(np.array(expected), abs=0.02)


def test_a_bootstrap_of_several_statistics_and_of_too_few_values():
    values = np.random.default_rng(9).normal(size=(12, 4))
    found = stats.bootstrap_interval(values, lambda draws: draws.mean(axis=1))
    one = stats.bootstrap_interval(values[:, 2], lambda draws: draws.mean(axis=1))
    assert found.shape == (2, 4) and found[:, 2] == pytest.approx(one)
    few = stats.bootstrap_interval(values[: FEWEST - 1], lambda draws: draws.mean(axis=1))
    assert few.shape == (2, 4) and np.isnan(few).all()


def test_a_median_of_censored_values():
    assert stats.median_interval([3.0, math.inf, 5.0]).median == 5
    for values in ([3.0, math.inf], [3.0, math.inf, math.inf], [-math.inf, -math.inf, 4.0]):
        assert math.isnan(stats.median_interval(values).median)
    assert all(math.isnan(value) for value in stats.median_interval([]))
    assert medians(np.array([[1.0, 2.0], [math.inf, 1.0]])).tolist() == [1.5, math.inf]


@pytest.mark.parametrize("n", [3, 5, 6, 9, 12, 25])
def test_a_median_has_the_interval_of_the_sign_test(n):
    values = np.random.default_rng(n).normal(size=n)
    found = stats.median_interval(values)
    if n < 6:
        assert math.isnan(found.low) and math.isnan(found.high), "no interval of so few has 95 %"
    else:
        below = [
            value for value in np.sort(values) if scipy.stats.binom.cdf((values <= value).sum() - 1, n, 0.5) <= 0.025
        ]
        assert found.low == below[-1] and found.high == -stats.median_interval(-values).low


def test_the_interval_of_a_median_covers_it():
    draws = np.random.default_rng(4).exponential(size=(3000, 8))
    covered = [found.low <= math.log(2) <= found.high for found in map(stats.median_interval, draws)]
    assert np.mean(covered) >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 3000)


@pytest.mark.parametrize("n", [2, 3, 6, 10])
def test_a_difference_that_is_seen_in_four_of_five(n):
    size = stats.detectable_difference(0.02, n)
    assert stats.difference_power(size, 0.02, n) == pytest.approx(0.8)
    values = np.random.default_rng(n).normal(size, 0.02, (20000, n))
    p = scipy.stats.ttest_1samp(values, 0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.01)
    if n > 2:  # statsmodels has no power of two values
        assert stats.difference_power(0.02, 0.02, n) == pytest.approx(TTestPower().power(1, n, 0.05), rel=1e-6)
    assert math.isnan(stats.detectable_difference(0.02, 1))


# ------------------------------------------------------------------------------------------------------- breakpoints


def test_breakpoints_recover_exact_pieces():
    depths = list(range(11))
    curve = 0.95 - 0.002 * np.arange(11) - 0.03 * np.maximum(np.arange(11) - 6, 0) + 0.02 * np.maximum(
        np.arange(11) - 8.5, 0
    )  # fmt: skip
    first, low, high, second, low2, high2, left = stats.breakpoints(depths, np.tile(curve, (3, 1)), fewest=2)
    assert (first, second) == (6, 8.5)
    assert (low, high, low2, high2) == (6, 6, 8.5, 8.5)
    assert left < 1e-9
    assert math.isnan(stats.breakpoints(depths, curve[None])[1])


def test_the_breakpoint_fit_by_hand():
    """y = 0, 0, 1, 2, 2 over n = 0 .. 4 bends at 1 and 3; every other grid point leaves more."""
    values = np.array([[0.0, 0.0, 1.0, 2.0, 2.0]])
    pairs, makers = pieces(range(5), step=1)
    assert pairs.tolist() == [[1, 2], [1, 3], [2, 3]]
    left = [float(((values @ maker) ** 2).sum()) for maker in makers]
    expected = []
    for a, b in pairs:
        design = np.stack([np.ones(5), np.arange(5), np.maximum(np.arange(5) - a, 0), np.maximum(np.arange(5) - b, 0)])
        expected.append(float(np.linalg.lstsq(design.T, values[0])[1].sum()))
    assert left == pytest.approx(expected, abs=1e-12)
    assert stats.breakpoints(range(5), values)[::3][:2] == (1, 3)


def test_bootstrap_of_breakpoints_is_that_of_resampled_seeds():
    """The same resamples, fitted one by one with numpy's least squares on all grid points."""
    random = np.random.default_rng(1)
    values = 0.9 - 0.03 * np.maximum(np.arange(8) - 4, 0) + random.normal(0, 0.01, (4, 8))
    found = stats.breakpoints(range(8), values, resamples=40, seed=3, fewest=2)
    draws = np.random.default_rng(3).integers(4, size=(40, 4))
    fitted = []
    for draw in draws:
        y, best = values[draw].mean(axis=0), (math.inf, None)
        for a, b in pieces(range(8))[0]:
            x = np.stack([np.ones(8), np.arange(8), np.maximum(np.arange(8) - a, 0), np.maximum(np.arange(8) - b, 0)])
            left = ((y - x.T @ np.linalg.lstsq(x.T, y, rcond=None)[0]) ** 2).sum()
            best = min(best, (left, (a, b)), key=lambda item: item[0])
        fitted.append(best[1])
    low, high = np.quantile(fitted, (0.025, 0.975), axis=0)
    assert (found[1], found[4], found[2], found[5]) == pytest.approx((*low, *high))
