"""Estimates, differences, trends, corrections and correlations against scipy, statsmodels and closed forms."""

import math
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.stats import proportion, weightstats

from weight_atlas import stats

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DRAW = np.random.default_rng(5)


def undefined(values):
    return all(math.isnan(value) for value in values)


def test_statsmodels_is_imported_by_what_uses_it_alone():
    code = "import sys; from weight_atlas import stats; sys.exit('statsmodels' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SCRIPTS)}, check=False).returncode == 0


# ------------------------------------------------------------------------------------------------------- estimates


@pytest.mark.parametrize("n", [2, 3, 10, 200])
def test_a_mean_has_the_interval_that_scipy_gives(n):
    values = DRAW.normal(0.7, 0.02, n)
    found = stats.mean_interval(values)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.n == n and found.mean == pytest.approx(values.mean(), rel=1e-14)
    assert found[2:4] == pytest.approx(tuple(expected), rel=1e-12)
    assert found.std == pytest.approx(values.std(ddof=1), rel=1e-12)


def test_undefined_values_do_not_count_and_one_value_has_no_interval():
    assert stats.mean_interval([0.5, math.nan, None, 0.7])[:2] == (2, pytest.approx(0.6))
    assert stats.mean_interval([0.5])[:2] == (1, 0.5) and undefined(stats.mean_interval([0.5])[2:])
    assert stats.mean_interval([]).n == 0 and undefined(stats.mean_interval([])[1:])
    equal = stats.mean_interval([0.25] * 3)
    assert (equal.n, equal.mean, equal.std) == (3, 0.25, 0) and undefined(equal[2:4]), "no interval without width"


def test_an_interval_covers_the_mean_in_95_of_100_samples():
    samples = np.random.default_rng(0).normal(1, 3, (4000, 3))
    covered = [low <= 1 <= high for _, _, low, high, _ in map(stats.mean_interval, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 4000))


def test_groups_of_a_table_have_the_same_means_and_intervals():
    sizes = {"b": 1, "a": 4, "c": 3}
    frame = pd.concat([pd.DataFrame({"key": key, "value": DRAW.normal(size=n)}) for key, n in sizes.items()])
    frame.iloc[-1, 1] = math.nan
    found = stats.summarise(frame, ["key"], "value")
    assert found.columns.tolist() == ["key", "n", "mean", "low", "high"] and found["key"].tolist() == list(sizes)
    for key, *numbers in found.itertuples(index=False):
        expected = stats.mean_interval(frame.loc[frame["key"] == key, "value"])
        assert numbers == pytest.approx(list(expected[:4]), rel=1e-12, nan_ok=True)


def test_quantiles_of_the_normal_and_of_students_distribution():
    assert stats.normal_quantile(0.975) == pytest.approx(1.959963984540054, rel=1e-12)
    # Two degrees of freedom have a closed form; 7.5 are interpolated in no table.
    assert stats.t_quantile(0.975, 2) == pytest.approx(0.95 * math.sqrt(2 / (4 * 0.975 * 0.025)), rel=1e-12)
    assert stats.t_quantile(0.95, 7.5) == pytest.approx(scipy.stats.t.isf(0.05, 7.5), rel=1e-12)


def test_a_mean_of_ratios_is_the_geometric_one():
    assert stats.ratio_mean([0.5, 2.0]).mean == pytest.approx(1)
    ratios = DRAW.lognormal(0.1, 0.4, 6)
    found, inverse = stats.ratio_mean(ratios), stats.ratio_mean(1 / ratios)
    assert found.mean == pytest.approx(scipy.stats.gmean(ratios))
    assert found.std == pytest.approx(math.log(scipy.stats.gstd(ratios)))
    assert (found.low, found.high) == pytest.approx((1 / inverse.high, 1 / inverse.low))
    assert undefined(stats.ratio_mean([2.0])[2:]) and undefined(stats.ratio_mean([math.nan])[1:])
    with pytest.raises(ValueError, match="above 0, not -1"):
        stats.ratio_mean([1.0, -1.0])


def test_a_ratio_that_varies_on_a_log_scale_is_covered():
    samples = np.random.default_rng(2).lognormal(math.log(1.3), 0.5, (2000, 4))
    covered = [low <= 1.3 <= high for _, _, low, high, _ in map(stats.ratio_mean, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_the_pooled_deviation_is_that_of_the_two_sample_test():
    one, two = DRAW.normal(size=(2, 5)).tolist()
    test = weightstats.CompareMeans.from_data(one, two)
    assert stats.pooled_std(one, two) == pytest.approx(math.sqrt(test.std_meandiff_pooledvar**2 * 5 / 2))


@pytest.mark.parametrize(("successes", "n"), [(0, 12), (7, 10), (4000, 5000), (3, 3)])
def test_wilsons_interval_by_its_closed_form(successes, n):
    p, z = successes / n, scipy.stats.norm.ppf(0.975)
    centre, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [(centre + sign * half) / (1 + z**2 / n) for sign in (-1, 1)]
    assert stats.share_interval(successes, n)[:2] == (n, p)
    assert stats.share_interval(successes, n)[2:] == pytest.approx(expected, abs=1e-12)
    by_scipy = scipy.stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert stats.share_interval(successes, n)[2:] == pytest.approx(tuple(by_scipy), abs=1e-12)


def test_no_trial_has_no_share_and_the_error_of_a_share_is_that_of_the_normal_interval():
    assert undefined(stats.share_interval(0, 0)[1:])
    low, high = proportion.proportion_confint(30, 120, method="normal")
    assert stats.share_error(0.25, 120) * stats.normal_quantile(0.975) == pytest.approx((high - low) / 2)


def test_quantiles_lie_between_neighbours():
    assert stats.quantiles([4, 1, 3, 2], (0.25, 0.5, 0.75)) == [1.75, 2.5, 3.25]


# ------------------------------------------------------------------------------------------------------ differences


@pytest.mark.parametrize("n", [2, 3, 8])
def test_a_paired_difference_is_scipys_paired_t_test(n):
    first, second = DRAW.normal(0.5, 0.1, n), DRAW.normal(0.6, 0.1, n)
    found = stats.paired_difference(first, second)
    expected = scipy.stats.ttest_rel(second, first)
    assert (found.n, found.t, found.p) == pytest.approx((n, expected.statistic, expected.pvalue), rel=1e-10)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-10)
    assert found.effect == pytest.approx(found.t / math.sqrt(n))
    assert found == stats.mean_test(second - first, max(abs(first).max(), abs(second).max()))
    assert found.mean == pytest.approx(stats.mean_interval(second - first).mean, rel=1e-12)


def test_differences_without_a_test():
    assert stats.paired_difference([], []).n == 0 and undefined(stats.paired_difference([], [])[1:])
    assert stats.paired_difference([0.1], [0.4])[:2] == (1, pytest.approx(0.3))
    assert undefined(stats.paired_difference([0.1], [0.4])[2:])
    assert stats.paired_difference([0.1, 0.7], [0.1, 0.7])[:2] == (2, 0)
    assert undefined(stats.paired_difference([0.1, 0.7], [0.1, 0.7])[2:])
    values = np.array([0.1, 0.3, 0.7])
    assert stats.paired_difference(values, values + 0.1 + 0.2 - 0.3).mean == 0  # rounding is none
    found = stats.paired_difference(values, values - 0.6)
    assert found.mean == pytest.approx(-0.6) and undefined(found[2:]), "equal differences are no proof"


def test_blocks_are_averaged_before_they_are_compared():
    """Against an analysis of variance with blocks: F of two levels after block means is t squared."""
    values = {unit: dict(enumerate(DRAW.normal(size=5))) for unit in ("a", "b", "c", "d")}
    del values["d"][1]
    sides = stats.block_means([("a", "b"), ("c", "d")], values)
    seeds = [0, 2, 3, 4]
    for side, pair in zip(sides, ("ac", "bd"), strict=True):
        assert side == pytest.approx([(values[pair[0]][s] + values[pair[1]][s]) / 2 for s in seeds])
    found = stats.paired_difference(*sides)
    frame = pd.DataFrame({"value": [*sides[0], *sides[1]], "level": ["a"] * 4 + ["b"] * 4, "block": seeds * 2})
    line = {term.name: term for term in main_effects(frame)}["level"]
    assert line["F"] == pytest.approx(found.t**2) and line["PR(>F)"] == pytest.approx(found.p)


def main_effects(frame):
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = anova_lm(ols("value ~ C(level) + C(block)", frame).fit())
    return [row.rename(name.removeprefix("C(").removesuffix(")")) for name, row in table.iterrows()]


def test_a_blocked_difference_takes_the_blocks_that_both_sides_have():
    first = pd.Series([1.0, 3.0, 5.0, 7.0, math.nan], index=[0, 0, 1, 2, 3])
    second = pd.Series([4.0, 5.5, 9.0], index=[3, 1, 0])
    expected = stats.paired_difference([2.0, 5.0], [9.0, 5.5])
    assert stats.blocked_difference(first, second) == pytest.approx(expected)
    assert stats.blocked_difference(first, second[:1]).n == 0


@pytest.mark.parametrize("margin", [0.01, 0.03])
def test_equivalence_is_statsmodels_tost(margin):
    rest = DRAW.normal(0.004, 0.008, 6)
    found = stats.equivalence(rest, margin)
    expected, *_ = weightstats.ttost_paired(rest, np.zeros(6), -margin, margin)
    assert found.p == pytest.approx(expected, rel=1e-10)
    low, high = scipy.stats.ttest_1samp(rest, 0).confidence_interval(0.9)
    assert (found.low90, found.high90) == pytest.approx((low, high))
    assert (found.p < 0.05) == (-margin < found.low90 and found.high90 < margin)


def test_equivalence_without_spread_and_without_replicates():
    equal = stats.equivalence([0.002] * 3, 0.01)
    assert equal[:2] == (3, pytest.approx(0.002)) and undefined(equal[2:]), "equal values are no proof"
    assert stats.equivalence([0.5], 0.01)[:2] == (1, 0.5) and undefined(stats.equivalence([0.5], 0.01)[2:])


def test_independent_means_are_compared_by_welchs_test():
    one, two = DRAW.normal(0, 1, 4), DRAW.normal(1, 3, 7)
    found = stats.welch(stats.mean_error([*one, math.nan]), stats.mean_error(two))
    expected = scipy.stats.ttest_ind(one, two, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-10)
    assert found.difference == pytest.approx(one.mean() - two.mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-10)
    assert undefined(stats.welch(stats.mean_error([1.0]), stats.mean_error(two))[1:])
    equal = stats.mean_error([1.0, 1.0])
    assert stats.welch(equal, equal).difference == 0 and undefined(stats.welch(equal, equal)[1:])
    apart = stats.welch(equal, stats.mean_error([2.0, 2.0]))
    assert apart.difference == -1 and undefined(apart[1:]), "two that do not spread are no proof"


def test_independent_means_are_equivalent_by_two_one_sided_tests_of_welch():
    one, two = DRAW.normal(0.9, 0.01, 5), DRAW.normal(0.9, 0.02, 4)
    found = stats.independent_equivalence(stats.mean_error(one), stats.mean_error(two), 0.03)
    expected, *_ = weightstats.ttost_ind(one, two, -0.03, 0.03, usevar="unequal")
    assert found.n == 4 and found.p == pytest.approx(expected, rel=1e-10)
    for level, ends in ((0.95, found[2:4]), (0.9, found[4:6])):
        assert ends == pytest.approx(tuple(scipy.stats.ttest_ind(one, two, equal_var=False).confidence_interval(level)))
    assert undefined(stats.independent_equivalence(stats.mean_error([1.0]), stats.mean_error(two), 0.03)[2:])


def test_the_error_of_a_mean_is_scipys():
    values = DRAW.normal(size=6)
    assert stats.mean_error(values) == pytest.approx((6, values.mean(), scipy.stats.sem(values)))
    assert undefined(stats.mean_error([])[1:]) and math.isnan(stats.mean_error([2.0]).error)


# ----------------------------------------------------------------------------------------------------- correlations


def test_a_mean_of_correlations_is_taken_on_fishers_scale():
    found = stats.mean_correlation(stats.fisher_mean([0.2, 0.5, math.nan, 0.9]))
    z = stats.mean_interval(math.atanh(r) for r in (0.2, 0.5, 0.9))
    assert found == pytest.approx((3, *map(math.tanh, z[1:4])))
    assert math.isfinite(stats.fisher_mean([1.0, -1.0, 0.5]).error)
    assert undefined(stats.mean_correlation(stats.fisher_mean([0.4]))[2:])


@pytest.mark.parametrize("n", [3, 10, 4096])
def test_a_correlation_as_large_as_needed_has_a_p_of_5_percent(n):
    r = stats.significant_correlation(n)
    beta = scipy.stats.beta(n / 2 - 1, n / 2 - 1, loc=-1, scale=2)  # of r where there is none
    assert 2 * beta.sf(r) == pytest.approx(0.05, rel=1e-6)
    assert math.isnan(stats.significant_correlation(2))


def test_the_size_of_a_layer_decides_what_is_significant():
    """0.632 with 10 biases (any table of r), 0.0013 with the 2,359,296 weights of a convolution."""
    assert stats.significant_correlation(10) == pytest.approx(0.632, abs=5e-4)
    assert stats.significant_correlation(2_359_296) == pytest.approx(0.0013, abs=5e-5)


# ------------------------------------------------------------------------------------------------------ corrections


def test_corrections_by_their_definitions():
    p = [0.01, 0.04, math.nan, 0.03, 0.005]
    known = sorted(x for x in p if not math.isnan(x))
    rank = {value: place for place, value in enumerate(known)}
    m = len(known)
    bh = {v: min(min(1, known[k] * m / (k + 1)) for k in range(rank[v], m)) for v in known}
    step_down = {v: max(min(1, known[k] * (m - k)) for k in range(rank[v] + 1)) for v in known}
    for function, expected in ((stats.benjamini_hochberg, bh), (stats.holm, step_down)):
        assert function(p) == pytest.approx([expected.get(value, math.nan) for value in p], nan_ok=True)
        assert function([]) == [] and undefined(function([math.nan]))
    assert p[0] == 0.01  # what is given stays as it is


def test_a_family_of_true_null_hypotheses_is_rejected_in_5_of_100():
    families = np.random.default_rng(1).uniform(size=(2000, 8))
    rejected = [min(stats.benjamini_hochberg(one)) < 0.05 for one in families]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.015)


# ----------------------------------------------------------------------------------------------------------- trends


def test_slopes_by_block_are_those_of_a_fit():
    places, values = np.array([1, 2, 4, 7]), DRAW.normal(size=(5, 4))
    expected = [np.polyfit(places, row, 1)[0] for row in values]
    assert stats.slopes(places, values) == pytest.approx(np.array(expected))
    assert stats.slope_trend(places, values) == pytest.approx(stats.mean_test(expected))
    by_scipy = scipy.stats.ttest_1samp(expected, 0)
    assert stats.slope_trend(places, values).p == pytest.approx(by_scipy.pvalue)


def test_a_line_is_what_statsmodels_fits():
    from statsmodels.api import OLS, add_constant

    x, y = np.arange(6.0), DRAW.normal(size=6)
    fit = OLS(y, add_constant(x)).fit()
    found = stats.line_trend(x, y)
    assert found[:2] == (6, pytest.approx(fit.params[1])) and found.p == pytest.approx(fit.pvalues[1])
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[1]))
    assert undefined(stats.line_trend([1, 2], [1, 2])[1:]) and undefined(stats.line_trend([1, 1, 1], [1, 2, 3])[1:])


def test_a_trend_of_ranks_by_every_permutation():
    """Two blocks of three levels: the share of the 36 orders whose L is as large."""
    values = np.array([[0.1, 0.2, 0.3], [0.1, 0.5, 0.4]])
    ranks = scipy.stats.rankdata(values, axis=1)
    statistic = (ranks.sum(axis=0) * [1, 2, 3]).sum()
    orders = [np.add(a, b) @ [1, 2, 3] for a in permutations((1, 2, 3)) for b in permutations((1, 2, 3))]
    found = stats.rank_trend(values)
    assert found.p_rising == pytest.approx(np.mean(np.array(orders) >= statistic))
    rho = [scipy.stats.spearmanr([1, 2, 3], row).statistic for row in values]
    assert found.correlation == pytest.approx(np.mean(rho))
    assert found.p == pytest.approx(min(1, 2 * found.p_rising))
    assert stats.rank_trend(-values).p_falling == pytest.approx(found.p_rising)
    assert undefined(stats.rank_trend(values[:1])[2:]) and undefined(stats.rank_trend(values[:, :2])[2:])
