"""Spectra against test accuracy: Spearman's correlation against scipy and by simulation, and as it is told."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from tests.unit.designs import GRID, made
from tests.unit.tables import write_table
from weight_atlas import stats
from weight_atlas.reporting.exhibits.weights import spectra

LEVELS = [f"o{at}" for at in range(6)]
OPTIMIZERS = {name: {"type": "sgd", "lr": 0.1 + at / 100} for at, name in enumerate(LEVELS)}


@pytest.mark.parametrize("n", [5, 8, 30])
def test_the_coefficient_its_interval_and_p(n):
    random = np.random.default_rng(n)
    x = random.normal(size=n)
    y = x + random.normal(size=n)
    found = stats.rank_correlation(x, y)
    expected = scipy.stats.spearmanr(x, y)
    assert found.n == n and found.correlation == pytest.approx(expected.statistic)
    error = math.sqrt((1 + found.correlation**2 / 2) / (n - 3))
    ends = np.tanh(np.arctanh(expected.statistic) + scipy.stats.norm.ppf([0.025, 0.975]) * error)
    assert (found.low, found.high) == pytest.approx(tuple(ends))
    if n == 5:  # all pairings, one by one
        orders = [scipy.stats.spearmanr(order, y).statistic for order in itertools.permutations(x)]
        assert found.p == pytest.approx(np.mean(np.abs(orders) >= abs(found.correlation) - 1e-9))
    elif n == 30:
        assert found.p == pytest.approx(expected.pvalue)


def test_without_ranks_there_is_no_coefficient():
    assert math.isnan(stats.rank_correlation([1, 2], [1, 2]).correlation)
    assert math.isnan(stats.rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]).p)
    perfect = stats.rank_correlation(range(6), range(6))
    assert perfect.correlation == 1 and math.isnan(perfect.low) and perfect.p == pytest.approx(2 / math.factorial(6))


def test_nineteen_of_twenty_intervals_hold_the_truth():
    """Of normal values with a correlation r Spearman's is 6 / pi arcsin(r / 2) (Pearson 1907)."""
    random, r, held = np.random.default_rng(0), 0.6, 0
    truth = 6 / math.pi * math.asin(r / 2)
    for _ in range(400):
        x, y = random.multivariate_normal([0, 0], [[1, r], [r, 1]], 15).T
        found = stats.rank_correlation(x, y)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.98


def told(folder, alphas, levels=LEVELS):
    """Tables of an optimizer a level that reach 0.70, 0.72 .., whose first of two fitted layers has these alphas."""
    reached = {name: 0.7 + at / 50 for at, name in enumerate(levels)}
    design = {"grid": GRID | {"optimizer": levels}, "measure": ["spectra"]}
    tables = made(
        folder, design, lambda row, seed: reached[row["optimizer"]] + seed / 1000, optimizers=OPTIMIZERS
    ).tables
    rows = []
    for cell_id, alpha in zip(tables.cells["cell_id"], alphas, strict=True):
        for seed, (at, epoch) in itertools.product(range(3), enumerate((0, 4))):
            law = {"fc1": alpha, "fc2": 4.0, "conv1": math.nan}
            for place, (layer, value) in enumerate(law.items()):
                rows.append({
                    "cell_id": cell_id, "seed": seed, "checkpoint": ("first", "last")[at], "epoch": epoch,
                    "layer": layer, "size": 30, "spectral_norm": 2.0**place, "stable_rank": 3.0,
                    "alpha": value if epoch else 100.0, "xmin": 0.5, "tail": 25, "ks": 0.1,
                })  # fmt: skip
    write_table(folder / "tables/spectra.csv", pd.DataFrame(rows))
    return tables


def test_a_planted_order_is_found(tmp_path):
    tables = told(tmp_path, [7.0, 6.0, 5.0, 4.0, 3.0, 2.0])
    [answer] = spectra.answer(tables)
    assert answer.text.startswith(
        "Yes (lenet5 on digits). A higher α goes with lower test accuracy: Spearman's ρ over 6 "
    )
    assert "is −1.00 (q = 0.003 by Holm)" in answer.text, "2 of 720 orders"
    found = spectra.cells(tables)
    assert found["alpha"].tolist() == pytest.approx([(alpha + 4) / 2 for alpha in (7, 6, 5, 4, 3, 2)]), "at the end"
    assert found["spectral_norm"].tolist() == pytest.approx([2.0] * 6), "the geometric mean of 1, 2 and 4"
    [figure] = spectra.accuracy(tables)
    assert "Fitted layers: fc1 and fc2." in figure.caption and "tails hold 25 values" in figure.caption
    assert len([axes for axes in figure.figure.axes if axes.get_xlabel()]) == 3


def test_what_is_not_clear_is_not_said(tmp_path):
    [answer] = spectra.answer(told(tmp_path / "six", [3.0, 5.0, 2.0, 6.0, 4.0, 3.5]))
    assert answer.text.startswith("Cannot say (lenet5 on digits). α does not clearly go with test accuracy: ")
    [answer] = spectra.answer(told(tmp_path / "few", [3.0, 5.0, 2.0], LEVELS[:3]))
    assert answer.text == "Cannot say (lenet5 on digits). α is known of 3 cells; a correlation needs 5 at least."
