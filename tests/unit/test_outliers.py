"""Replicates far from the others of their cell: planted ones are found, and chance makes none."""

import numpy as np
import pytest

from tests.unit import designs
from weight_atlas import stats
from weight_atlas.plan import spec
from weight_atlas.reporting.claims import verdicts
from weight_atlas.reporting.claims.evidence import EVIDENCE
from weight_atlas.reporting.exhibits.runs import beside


def cells(random, count, n, spread):
    """Values of `count` cells of n replicates each, with their labels; spread: one for all, or one a cell."""
    means = random.uniform(0.5, 0.95, count)
    values = means[:, None] + random.normal(0, 1, (count, n)) * np.broadcast_to(spread, count)[:, None]
    return values, np.repeat(np.arange(count), n)


@pytest.mark.parametrize("n", [3, 6])
@pytest.mark.parametrize("ratio", [1, 5])
def test_chance_makes_hardly_any(n, ratio):
    """Also where the spread differs from cell to cell by up to the ratio."""
    random = np.random.default_rng(41)
    found = total = 0
    for _ in range(400):
        values, groups = cells(random, 12, n, 0.01 * random.uniform(1, ratio, 12))
        found += stats.outlying(values.ravel(), groups).sum()
        total += values.size
    assert found / total < (1e-4 if ratio == 1 else 5e-3)


@pytest.mark.parametrize("n", [3, 6])
def test_a_replicate_that_is_far_off_is_found_and_no_other(n):
    random = np.random.default_rng(42)
    right = 0
    for _ in range(200):
        values, groups = cells(random, 10, n, 0.01)
        values[4, 1] -= 0.3
        far = stats.outlying(values.ravel(), groups).reshape(values.shape)
        right += bool(far[4, 1]) and far.sum() == 1
    assert right >= 195


def test_steps_of_a_discrete_score_are_not_far():
    values = [0.9, 0.9, 0.9, 0.7, 0.7, 0.7, 0.8, 0.8, 0.81]
    groups = list("aaabbbccc")
    assert not stats.outlying(values, groups, resolution=0.01).any()
    assert stats.outlying([*values[:8], 0.99], groups, resolution=0.01).tolist() == [False] * 8 + [True]


def test_two_replicates_have_no_others_to_be_far_from():
    assert not stats.outlying([0.1, 0.9, np.nan, 0.5], list("aaab")).any()
    assert stats.outlying([], []).tolist() == []


@pytest.fixture
def swept(tmp_path):
    """Four cells of three replicates; one seed of the cell of 64 images a batch ends 40 points below the others."""
    vary = {"batch": {str(size): {"training": {"batch_size": size}} for size in (16, 32, 64, 128)}}

    def reach(labels, seed):
        return 0.9 + 0.002 * seed - (0.4 if (labels["batch"], seed) == ("64", 2) else 0.0)

    found = designs.made(tmp_path, {"grid": designs.GRID, "vary": vary}, reach)
    found.tables.experiments = found.experiments
    return found.tables


def test_the_replicate_is_named_beside_the_accuracies(swept):
    told = beside.outlying(swept)
    assert told == (
        "Seed 2 of lenet5 on digits, 64 ends far from its other replicates: 50.4 % against 90.0 % to 90.2 %; it is "
        "counted."
    )
    assert told in beside.sentences(swept)


def test_a_verdict_names_it_where_it_reads_its_cell(swept):
    cells = swept.cells.set_index("batch")["cell_id"]
    assert beside.outlying(swept, {cells["64"], cells["16"]}) and not beside.outlying(swept, {cells["16"]})
    for level, named in (("64", True), ("32", False)):
        asked = {"judge": "difference", "parameters": {"level": level, "against": "16"}, "below": 0, "margin": 0.01}
        claim = spec.Claim(id="x", says="y", scope="z", all=[spec.Statement(**asked)])
        assert ("Seed 2 of lenet5 on digits, 64" in verdicts.rule(claim, EVIDENCE, swept).reason) is named


def test_one_that_never_learnt_is_told_apart_and_not_here(tmp_path):
    vary = {"batch": {str(size): {"training": {"batch_size": size}} for size in (16, 32, 64)}}
    found = designs.made(
        tmp_path,
        {"grid": designs.GRID, "vary": vary},
        lambda labels, seed: 0.1 if (labels["batch"], seed) == ("64", 2) else 0.9 + seed / 500,
    )
    assert beside.outlying(found.tables) == ""
