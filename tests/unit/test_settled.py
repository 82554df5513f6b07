"""The order in which layers settle, as told and drawn, from made-up courses whose order is known."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from tests.unit.designs import GRID, made
from tests.unit.tables import write_table
from weight_atlas import stats
from weight_atlas.analysis.features import convergence as measure
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.features import convergence

LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")
EPOCHS = (0, 1, 2, 3, 4, 5)


def courses(order):
    """{layer: {epoch: CKA}}: each layer jumps to its end at the epoch that `order` names."""
    return {
        layer: {epoch: 1.0 if epoch >= since else 0.3 for epoch in EPOCHS}
        for layer, since in zip(LAYERS, order, strict=True)
    }


def study(folder, order):
    """The Tables of LeNet-5 with two optimizers, 4 seeds, whose layers settle as order(optimizer, seed) says."""
    design = {"grid": GRID | {"optimizer": ["sgd", "adam"]}, "measure": ["convergence"]}
    tables = made(folder, design, lambda *_: 0.9, replicates=4).tables
    cells = dict(zip(tables.cells["optimizer"], tables.cells["cell_id"], strict=True))
    rows, settled = [], []
    for optimizer, cell in cells.items():
        for seed in range(4):
            own = courses(order(optimizer, seed))
            settled += [(cell, seed, *row) for row in measure.settled(own)]
            others = [(cell, seed, "end", "", "")]
            others += [(cell, other, "seed", str(seed), str(other)) for other in range(4) if other != seed]
            others += [(that, seed, "optimizer", optimizer, name) for name, that in cells.items() if name != optimizer]
            for cell_b, seed_b, *named in others:
                values = ((*named, epoch, layer, cka) for layer, course in own.items() for epoch, cka in course.items())
                rows += [(cell, seed, cell_b, seed_b, *value) for value in values]
    columns = ["cell_a", "seed_a", "cell_b", "seed_b", "factor", "level_a", "level_b", "epoch", "layer", "cka"]
    write_table(folder / "tables/convergence.csv", pd.DataFrame(rows, columns=columns))
    columns = ["cell_id", "seed", "layer", "place", "threshold", "epoch"]
    write_table(folder / "tables/settled.csv", pd.DataFrame(settled, columns=columns).astype({"epoch": object}))
    return tables


def upwards(optimizer, seed):
    """From the input on, but for two neighbours that another seed, or Adam, swaps."""
    order = [1, 2, 3, 4, 5]
    if seed == 3:
        order[0], order[1] = order[1], order[0]
    if optimizer == "adam" and seed:
        order[-1], order[-2] = order[-2], order[-1]
    return order


def test_agreements_are_kendalls(tmp_path):
    found = convergence.agreements(study(tmp_path, upwards)).set_index("factor")
    assert found.index.tolist() == ["depth", "seed", "optimizer"]
    taus = {
        (optimizer, seed): scipy.stats.kendalltau(range(5), upwards(optimizer, seed)).statistic
        for optimizer in ("sgd", "adam")
        for seed in range(4)
    }
    depth = [np.mean([taus["sgd", seed], taus["adam", seed]]) for seed in range(4)]
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(depth), scipy.stats.sem(depth))
    row = found.loc["depth"]
    assert (row["n"], row["mean"], row["low"], row["high"]) == pytest.approx((4, np.mean(depth), low, min(high, 1)))
    between = [scipy.stats.kendalltau(upwards("sgd", seed), upwards("adam", seed)).statistic for seed in range(4)]
    assert found.loc["optimizer", "mean"] == pytest.approx(np.mean(between))
    apart = [
        scipy.stats.kendalltau(upwards(name, a), upwards(name, b)).statistic
        for name in ("sgd", "adam") for a in range(4) for b in range(a)
    ]  # fmt: skip
    assert found.loc["seed", "mean"] == pytest.approx(np.mean(apart)) and found.loc["seed", "n"] == 4


def test_the_answer_begins_with_what_the_intervals_say(tmp_path):
    told_, beside = convergence.answer(study(tmp_path / "same", upwards))
    assert told_.text.startswith("Yes (lenet5 on digits). Layers settle in the same order: Kendall's tau is ")
    assert beside.text.startswith("lenet5 on digits: layers near the input settle first (tau ")
    draws = {
        (name, seed): np.random.default_rng(at).permutation(5).tolist()
        for at, (name, seed) in enumerate((name, seed) for name in ("sgd", "adam") for seed in range(4))
    }
    told_, _ = convergence.answer(study(tmp_path / "drawn", lambda name, seed: draws[name, seed]))
    assert told_.verdict == "cannot say"
    [told_] = convergence.answer(study(tmp_path / "once", lambda *_: [2] * 5))
    assert told_.text.startswith("Cannot say (lenet5 on digits). All layers settle at the same epoch")


def test_what_is_drawn_is_the_means(tmp_path):
    tables = study(tmp_path, upwards)
    [course] = convergence.course(tables)
    cell = tables.cells["cell_id"].iloc[0]
    row = course.data.query("cell_id == @cell and layer == 'conv1' and epoch == 1")
    assert row["mean"].item() == pytest.approx((3 * 1.0 + 0.3) / 4), "seed 3 settles one epoch later"
    assert "conv1 is most like its end" in course.caption
    [settled] = convergence.settled(tables)
    found = settled.data.set_index(["cell_id", "layer"])["mean"]
    assert found[cell, "conv1"] == pytest.approx(5 / 4) and found[cell, "fc3"] == 5
    [others] = convergence.others(tables)
    assert set(others.data["factor"]) == {"end", "seed", "optimizer"}
    [table] = convergence.agreement_table(tables)
    assert table.data["two orders"].tolist() == [
        "of settling and from the input", "of two seeds of one cell", "of two models with another optimizer"
    ]  # fmt: skip


def test_without_the_measure_there_is_nothing_to_show(tmp_path):
    tables = made(tmp_path, {"grid": GRID}, lambda *_: 0.9).tables
    for function in (convergence.course, convergence.others, convergence.settled, convergence.answer):
        with pytest.raises(NothingToShow):
            function(tables)


# ------------------------------------------------------------------------------------------------ statistics


def test_ranks_agree_as_scipy_says():
    random = np.random.default_rng(0)
    one, other = random.integers(0, 4, (2, 12))
    assert stats.rank_agreement(one, other) == pytest.approx(scipy.stats.kendalltau(one, other).statistic)
    assert math.isnan(stats.rank_agreement([1, 1, 1], [1, 2, 3])) and math.isnan(stats.rank_agreement([1], [1]))
    assert stats.rank_agreement([1, 2, np.inf], [3, 5, 7]) == 1


def test_the_mean_over_pairs_covers_as_it_says():
    """The pairs' means of x_i + x_j + noise, n = 6 units: the interval covers the truth about 95 times in 100."""
    random, held, draws = np.random.default_rng(1), 0, 600
    for _ in range(draws):
        unit = random.normal(size=6)
        values = {(i, j): unit[i] + unit[j] + random.normal(0, 0.5) for i in range(6) for j in range(i)}
        found = stats.pair_mean(values)
        held += found.low < 0 < found.high
    assert found.n == 6 and found.mean == pytest.approx(np.mean([*values.values()]))
    assert 0.92 < held / draws < 0.985


def test_two_units_have_no_interval():
    found = stats.pair_mean({(0, 1): 0.5})
    assert (found.n, found.mean) == (2, 0.5) and math.isnan(found.low)
    assert stats.pair_mean({(0, 1): math.nan}).n == 0
