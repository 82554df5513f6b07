"""Judges: the tests of a statement against scipy, decisions, and how often they are right."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from weight_atlas import stats
from weight_atlas.stats import Decision, Evidence, Statement

ROOT = Path(__file__).resolve().parents[2]
DRAW = np.random.default_rng(31)
ABOVE, BELOW = Statement(low=0, margin=1), Statement(high=0, margin=1)
EQUAL, RANGE = Statement(0, 0, 1), Statement(1, 2, 0.5)


@pytest.fixture(scope="module")
def verdicts():
    """The module that makes the page on how often verdicts are right."""
    made = importlib.util.spec_from_file_location("docs_verdicts", ROOT / "docs/verdicts.py")
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return module


def p(statement, values):
    """(p for, p against) of a statement on some values."""
    return tuple(map(float, statement.tests(*stats.evidence(values)[1:])))


def test_evidence_is_the_mean_with_its_standard_error():
    values = DRAW.normal(0.3, 0.1, 7)
    found = stats.evidence([*values, math.nan])
    assert found[:3] == pytest.approx((7, values.mean(), scipy.stats.sem(values))) and found.df == 6
    assert (found.low, found.high) == pytest.approx(tuple(scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)))


def test_one_value_is_no_evidence():
    found = stats.evidence([0.5])
    assert (found.n, found.mean) == (1, 0.5) and math.isnan(found.error) and math.isnan(found.low)
    assert p(ABOVE, [5.0]) == (1, 1) and p(EQUAL, []) == (1, 1)


def test_equal_values_are_no_proof():
    assert p(ABOVE, [3.0, 3.0, 3.0]) == (1, 1), "no p of 0 from a spread of 0"
    found = stats.evidence([0.9] * 4, resolution=1 / 50)
    assert found.error == pytest.approx(math.sqrt((1 / 50) ** 2 / 6 / 4)), "the step of the score is its uncertainty"
    assert found.low < 0.9 < found.high


def test_two_independent_means_have_welchs_test():
    one, other = DRAW.normal(1, 0.2, 4), DRAW.normal(0.5, 0.6, 6)
    found = stats.independent(stats.mean_error(one), stats.mean_error(other))
    expected = scipy.stats.ttest_ind(one, other, equal_var=False)
    assert (found.mean, found.df) == pytest.approx((one.mean() - other.mean(), expected.df))
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


@pytest.mark.parametrize("mean", [-1.5, 0.2, 0.7, 3.0])
def test_a_bound_is_tested_from_both_sides(mean):
    values = DRAW.normal(mean, 0.4, 6)
    less, greater = (
        lambda bound, way=way: scipy.stats.ttest_1samp(values, bound, alternative=way).pvalue
        for way in ("less", "greater")
    )
    expected = [greater(0), less(1)]
    if max(expected) <= stats.LEVEL:
        expected = [1, 1]  # there, and smaller than what matters
    assert p(ABOVE, values) == pytest.approx(tuple(expected))
    assert p(BELOW, -values) == pytest.approx(tuple(expected)), "the same from the other side"


@pytest.mark.parametrize("mean", [0.0, 0.9, 1.4, 4.0])
def test_a_range_is_tested_as_equivalence(mean):
    values = DRAW.normal(mean, 0.2, 5)
    low, high = RANGE.shown
    assert (low, high) == (0.5, 2.5)
    inside = max(
        scipy.stats.ttest_1samp(values, low, alternative="greater").pvalue,
        scipy.stats.ttest_1samp(values, high, alternative="less").pvalue,
    )
    outside = min(
        scipy.stats.ttest_1samp(values, low, alternative="less").pvalue,
        scipy.stats.ttest_1samp(values, high, alternative="greater").pvalue,
    )
    assert p(RANGE, values) == pytest.approx((inside, outside))


def test_a_verdict_is_what_the_interval_says():
    for _ in range(200):
        values = DRAW.normal(DRAW.uniform(-2, 3), DRAW.uniform(0.05, 1), 4)
        low, high = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
        for statement in (ABOVE, EQUAL, RANGE):
            region, allowed = statement.shown, statement.allowed
            shown = region.low < low and high < region.high
            refuted = high < allowed.low or low > allowed.high
            word = (Decision.REPRODUCED if shown else Decision.CONTRADICTED) if shown != refuted else Decision.UNDECIDED
            assert stats.decide(*([one] for one in p(statement, values))) == word


def test_an_effect_that_is_there_and_too_small_is_undecided():
    values = [0.2, 0.21, 0.19, 0.2]
    assert p(ABOVE, values) == (1, 1)
    assert stats.decide([1.0], [1.0]) == Decision.UNDECIDED


def test_all_statements_must_hold_and_one_refuted_is_enough():
    decide = stats.decide
    assert decide([0.02, 0.001], [1, 1]) == Decision.REPRODUCED
    assert decide([0.03, 0.001], [1, 1]) == Decision.UNDECIDED
    assert decide([1, 0.001], [0.012, 1]) == Decision.CONTRADICTED
    assert decide([1, 0.001], [0.02, 1]) == Decision.UNDECIDED, "2.5 % divided by two statements"
    both = decide([[0.01], [1.0]], [[1.0], [0.01]])
    assert both.tolist() == [Decision.REPRODUCED, Decision.CONTRADICTED], "one decision a row"


def test_a_wider_margin_makes_equivalence_easier_and_refutes_more_differences():
    values = DRAW.normal(0.4, 0.1, 6)
    assert p(EQUAL.with_margin(0.25), values)[1] < 0.025 < p(EQUAL.with_margin(0.25), values)[0]
    assert p(EQUAL.with_margin(2), values)[0] < p(EQUAL, values)[0] < 0.025


@pytest.mark.parametrize(("statement", "truth"), [(ABOVE, 1.0), (EQUAL, 0.0), (RANGE, 1.5), (BELOW, -1.0)])
def test_so_many_seeds_show_it_in_four_of_five(statement, truth):
    std = 0.6
    n = statement.seeds(std)
    values = np.random.default_rng(0).normal(truth, std, (4000, n))
    mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(n)
    shown = statement.tests(mean, error, np.full(len(mean), n - 1.0)).for_it <= stats.LEVEL
    assert 0.78 < shown.mean() < 0.97


def test_seeds_without_a_margin_are_those_for_what_is_seen():
    assert Statement(low=0.9).seeds(0.05, 0.95) == stats.seeds_for_difference(0.05, 0.05)
    assert ABOVE.seeds(0.5, 100.0) == stats.seeds_for_difference(1.0, 0.5), "with a margin, what is seen does not count"


def test_effects_of_a_grid_have_their_size_and_noise_has_none():
    levels = [(a, b, c) for a in "abc" for b in "de" for c in "fg"]
    columns = dict(zip("xyz", zip(*levels, strict=True), strict=True))
    true = np.array([{"a": 0, "b": 1, "c": 2}[a] for a, _, _ in levels], float)
    found = stats.main_spreads(true, columns)
    assert found["x"] == pytest.approx(np.std([0, 1, 2], ddof=1)) and found["y"] == found["z"] == 0
    noise = np.random.default_rng(1).normal(0, 0.3, (3000, len(levels)))
    sizes = [stats.main_spreads(true + one, columns) for one in noise]
    variances = {name: np.mean([math.copysign(one[name] ** 2, one[name]) for one in sizes]) for name in "xyz"}
    assert variances["x"] == pytest.approx(1, abs=0.02)
    assert variances["y"] == pytest.approx(0, abs=0.005) and variances["z"] == pytest.approx(0, abs=0.005)


def test_the_largest_effect_is_not_found_where_all_are_equal():
    levels = [(a, b) for a in "abc" for b in "def"]
    columns = dict(zip("xy", zip(*levels, strict=True), strict=True))
    draw = np.random.default_rng(2)
    place = {"a": 0, "b": 1, "c": 2, "d": 0, "e": 1, "f": 2}
    both = np.array([place[a] + place[b] for a, b in levels], float)
    wrong = 0
    for _ in range(1000):
        sizes = [stats.main_spreads(both + draw.normal(0, 0.5, 9), columns) for _ in range(3)]
        tests = Statement(low=0, margin=0.5).tests(*stats.evidence([one["x"] - one["y"] for one in sizes])[1:])
        wrong += float(tests.for_it) <= stats.LEVEL
    assert wrong / 1000 <= 0.05


def test_false_verdicts_are_rare_and_true_ones_are_not(verdicts, monkeypatch):
    """A part of what `python docs/verdicts.py --check` does."""
    cases = verdicts.cases()
    monkeypatch.setattr(verdicts, "REPLICATES", (3, 6))
    monkeypatch.setattr(verdicts, "SPREADS", (0.5,))
    for case in [*cases[:12:3], *cases[12::5]]:
        found = {(n, 0.5): verdicts.rates(case, n, 0.5) for n in (3, 6)}
        assert not verdicts.failures(found, case.count == 1), case.name


@pytest.mark.long
def test_every_claim_is_calibrated(verdicts):
    wrong = [f"{case.name}: {one}" for case, found in verdicts.table()
             for one in verdicts.failures(found, case.count == 1)]  # fmt: skip
    assert not wrong


def test_every_claim_that_is_not_exact_is_simulated(verdicts):
    claims = verdicts.claims()
    tested = {claim.id for claim in claims if any(one.judge != "exact" for one in claim.all)}
    assert tested <= {case.name for case in verdicts.cases()} and len(claims) == 48


def test_the_page_has_every_case(verdicts):
    page = (ROOT / "docs/verdicts.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[:2] for line in page.splitlines() if line.startswith("| ")][2:]
    assert [(name.removeprefix("| "), int(count)) for name, count in rows] == [
        (case.name, case.count) for case in verdicts.cases()
    ]
    assert page.startswith(verdicts.HEAD[:400]), "python docs/verdicts.py makes it again"


def test_an_interval_without_a_test_has_no_ends():
    assert math.isnan(Evidence(3, 1.0, 0.0, 2).low)


def test_a_weighted_sum_of_means_has_satterthwaites_test():
    """Of two samples it is Welch's; of three the formula, in full."""
    samples = [DRAW.normal(size=n) for n in (3, 5, 8)]
    weights = np.array([1.0, -0.3, 0.5])
    found = stats.combined([(w, stats.mean_error(own)) for w, own in zip(weights, samples, strict=True)])
    squares = np.array([(w * scipy.stats.sem(own)) ** 2 for w, own in zip(weights, samples, strict=True)])
    assert found.n == 3 and found.mean == pytest.approx(weights @ [own.mean() for own in samples])
    assert found.error == pytest.approx(np.sqrt(squares.sum()))
    assert found.df == pytest.approx(squares.sum() ** 2 / (squares**2 / np.array([2, 4, 7])).sum())
    assert math.isnan(stats.combined([(1.0, stats.mean_error([1.0])), (1.0, stats.mean_error(samples[0]))]).error)
    assert stats.combined([(1.0, stats.mean_error([1.0, 1.0]))]).error == 0, "no spread is no test"
