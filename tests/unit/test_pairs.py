"""Which cells and seeds are compared: all pairs of few, and of many those that a question needs, and a sample."""

from collections import Counter
from itertools import combinations, product

import pytest

from weight_atlas import pairs


def grid(**axes):
    """A study's cells with these levels crossed, as `cell_table.read` gives them: {id: cell}."""
    cells = {}
    for levels in product(*axes.values()):
        labels = {"dataset": "d", "network": "n", "experiment": ""} | dict(zip(axes, map(str, levels), strict=True))
        entry = {"study": "s", "kind": "base", "role": "grid", "labels": labels, "against": {}}
        cells["-".join(map(str, levels))] = {"seeds": [0, 1, 2], "named": [entry]}
    return cells


def found(cells):
    return {(one.factor, one.cell_a, one.cell_b) for one in pairs.contrasts(cells)}


def by_definition(cells):
    """All pairs of cells that differ in one label, by comparing each with each."""
    differing = set()
    for (a, one), (b, other) in combinations(cells.items(), 2):
        labels = [cell["named"][0]["labels"] for cell in (one, other)]
        factors = [axis for axis in labels[0] if labels[0][axis] != labels[1][axis]]
        if len(factors) == 1:
            differing.add((factors[0], a, b))
    return differing


def test_all_pairs_of_few_levels_are_compared():
    cells = grid(init="abcdef", rate=(0.1, 0.2, 0.3), network="xy")
    assert found(cells) == by_definition(cells) and len(cells) == 36
    assert [(count.factor, count.compared == count.of) for count in pairs.counts(cells)] == [
        ("network", True), ("init", True), ("rate", True), ("seed", True)
    ]  # fmt: skip


@pytest.mark.parametrize("axes", [{"rate": range(300)}, {"rate": range(50), "init": "abcdef"}], ids=len)
def test_the_pairs_of_300_cells_are_bounded(axes):
    """Of an axis with k > 6 levels and s settings of the others: (2 k - 3 + 20) s; with fewer k (k - 1) s / 2."""
    cells = grid(**axes)
    counts = {count.factor: count for count in pairs.counts(cells)}
    for axis, levels in axes.items():
        k, settings = len(levels), 300 // len(levels)
        bound = (2 * k - 3 + pairs.SAMPLED if k > pairs.FEW else k * (k - 1) // 2) * settings
        assert counts[axis].compared == bound <= 5 * len(cells)
        assert counts[axis].of == k * (k - 1) // 2 * settings
    assert found(cells) <= by_definition(cells) and len(found(cells)) == len(pairs.contrasts(cells))
    models = [(cell, seed) for cell in cells for seed in range(3)]
    assert len(pairs.partners(cells, models, {})) == 3 * len(found(cells)) + 3 * len(cells)


def test_what_a_question_needs_is_there_whatever_is_drawn():
    levels = ["10", "1", *map(str, range(20, 50))]  # numbers, not in their order
    chosen = pairs.level_pairs("rate", levels, {"48": ["20"], "49": ["gone", "49"]})
    assert {("10", level) for level in levels[1:]} < chosen, "the first"
    assert {(str(level), str(level + 1)) for level in range(20, 49)} < chosen, "neighbours"
    assert ("20", "48") in chosen, "what the plan names"
    assert len(chosen) == 31 + 29 + 1 + pairs.SAMPLED
    assert chosen == pairs.level_pairs("rate", levels, {"48": ["20"]}), "the same in every run"
    assert chosen != pairs.level_pairs("other", levels, {"48": ["20"]})
    assert len(pairs.level_pairs("step", list("abcdefg"), {})) == 21, "no more than there are"


def test_a_level_is_compared_in_every_setting_alike():
    cells = grid(rate=range(30), init="ab")
    drawn = {}
    for one in pairs.contrasts(cells):
        if one.factor == "rate":
            drawn.setdefault(one.labels["init"], set()).add((one.level_a, one.level_b))
    assert drawn["a"] == drawn["b"] and len(drawn["a"]) == 2 * 30 - 3 + pairs.SAMPLED


@pytest.mark.parametrize("count", range(12))
def test_seeds_are_compared_evenly(count):
    seeds = [7 * seed for seed in range(count)]
    chosen = pairs.seed_pairs(seeds)
    assert len(set(chosen)) == len(chosen) and all(one < other for one, other in chosen)
    assert chosen == [*combinations(seeds, 2)] if count <= 7 else len(chosen) == 3 * count
    assert len({sum(seed in pair for pair in chosen) for seed in seeds}) <= 1


@pytest.mark.parametrize(("width", "most"), [(84, 40), (4096, 14), (40_000, 1)])
def test_few_matrices_are_kept_of_many_pairs(width, most):
    cells = grid(rate=range(30), init="abc")
    chosen = pairs.partners(cells, [(cell, seed) for cell in cells for seed in range(3)], {})
    kept = pairs.with_matrix(chosen, width)
    assert Counter(pair.factor for pair in kept) == {"rate": most, "init": min(3, most), "seed": 1}
    levels = [pair[2:] for pair in kept if pair.factor != "seed"]
    assert len(set(levels)) == len(levels), "one of each two levels"
