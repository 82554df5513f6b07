"""Measures of likeness: known orders by construction, definitions in numpy and scipy, and as they are told."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.spatial
import scipy.stats
import torch
from test_analysis import cell, layers, replicate, snapshot, write_block, write_data

from tests.unit.designs import GRID, made
from tests.unit.tables import write_table
from weight_atlas import schema, store
from weight_atlas.analysis import group
from weight_atlas.analysis.features import representations as measure
from weight_atlas.reporting.exhibits.features import representations

IMAGES, MEASURES = 60, ("cka", "procrustes", "rsa", "neighbours")


def likeness(x, y):
    """The four measures of two matrices of features."""
    return measure.compare(*(measure.compact(torch.from_numpy(np.asarray(one))) for one in (x, y)))._asdict()


@pytest.fixture(params=[12, 150], ids=["narrow", "wide"])
def features(request):
    return np.random.default_rng(request.param).normal(size=(IMAGES, request.param)) * np.linspace(
        3, 0.2, request.param
    )


# ------------------------------------------------------------------------------------------------ by construction


def test_rotation_reflection_scale_and_shift_change_nothing(features):
    turned, _ = np.linalg.qr(np.random.default_rng(1).normal(size=[features.shape[1]] * 2))
    found = likeness(features, 7.0 * features @ turned + 3.0)
    for name in MEASURES:
        assert found[name] == pytest.approx(1, abs=1e-9), name


def test_another_number_of_features_can_hold_the_same():
    x = np.random.default_rng(2).normal(size=(IMAGES, 5))
    wide, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(9, 5)))
    assert [likeness(x, x @ wide.T)[name] for name in MEASURES] == pytest.approx([1] * 4)


def test_growing_noise_makes_them_less_alike(features):
    noise = np.random.default_rng(4).normal(size=features.shape)
    series = [likeness(features, features + size * noise) for size in (0.0, 0.2, 0.5, 1.0, 3.0)]
    for name in MEASURES:
        course = [one[name] for one in series]
        assert course == sorted(course, reverse=True) and len(set(course)) == len(course), name


def test_permuted_images_are_unrelated(features):
    """Over many permutations those with a correction for chance are 0; the Procrustes likeness has none, and is not."""
    random, found = np.random.default_rng(5), []
    for _ in range(40):
        found.append(likeness(features, features[random.permutation(IMAGES)]))
    means = pd.DataFrame(found).mean()
    for name in ("cka", "rsa", "neighbours"):
        assert abs(means[name]) < 0.06, name
    assert means["procrustes"] > 0.15
    assert all(means[name] < likeness(features, features + 1.0)[name] for name in MEASURES)


def test_each_measure_sees_something_else():
    """A common large component makes unrelated features alike by CKA and Procrustes, not by the nearest images; where
    clusters stay and what is inside them does not, it is the nearest images that change."""
    random = np.random.default_rng(6)
    shared = 20 * random.normal(size=(IMAGES, 1))
    one, other = (np.concatenate([shared, 3 * random.normal(size=(IMAGES, 20))], axis=1) for _ in "ab")
    found = likeness(one, other)
    assert found["cka"] > 0.9 and found["procrustes"] > 0.8 and found["rsa"] > 0.6 and found["neighbours"] < 0.6
    clusters = np.repeat(np.eye(3) * 40, IMAGES // 3, axis=0)
    one, other = (clusters + random.normal(size=clusters.shape) for _ in "ab")
    found = likeness(one, other)
    assert found["cka"] > 0.99 and found["procrustes"] > 0.99 and found["neighbours"] < 0.6


# ------------------------------------------------------------------------------------------------ definitions


def test_numbers_are_those_of_their_definitions(features):
    random = np.random.default_rng(7)
    x, y = features, features @ random.normal(size=(features.shape[1], 30)) + 2 * random.normal(size=(IMAGES, 30))
    found = likeness(x, y)
    a, b = ((one - one.mean(0)) / np.linalg.norm(one - one.mean(0)) for one in (x, y))
    side = max(a.shape[1], b.shape[1])
    a, b = (np.pad(one, ((0, 0), (0, side - one.shape[1]))) for one in (a, b))
    _, scale = scipy.linalg.orthogonal_procrustes(a, b)
    assert found["procrustes"] == pytest.approx(scale)
    rotation, _ = scipy.linalg.orthogonal_procrustes(a, b)
    assert found["procrustes"] == pytest.approx(1 - np.linalg.norm(a @ rotation - b) ** 2 / 2)
    apart = [scipy.spatial.distance.pdist(one) for one in (x, y)]
    assert found["rsa"] == pytest.approx(scipy.stats.spearmanr(*apart).statistic)
    near = []
    for one in (x, y):
        _, indices = scipy.spatial.cKDTree(one).query(one, k=11)
        near.append([set(row[1:]) for row in indices])
    shared = np.mean([len(one & other) / 10 for one, other in zip(*near, strict=True)])
    assert found["neighbours"] == pytest.approx((shared - 10 / 59) / (1 - 10 / 59))


def test_constant_features_have_no_likeness(features):
    found = likeness(features, np.ones_like(features))
    assert all(math.isnan(found[name]) for name in MEASURES)


def test_rows_are_of_the_pairs_of_the_cells_that_ask(tmp_path):
    random, settings = np.random.default_rng(8), cell(size=16, snapshots="ends")
    data, card, _ = write_data(tmp_path, count=40, size=16)
    members = []
    for name in ("sgd", "adam", "unasked"):
        series = {seed: {epoch: snapshot(layers(settings), random) for epoch in (0, 3)} for seed in (0, 1)}
        block = tmp_path / name / "seeds_0-1"
        write_block(block, name, settings, [replicate(seed) for seed in (0, 1)], series)
        labels = {"dataset": "d", "network": "n", "init": "i", "optimizer": name}
        named = [{"study": "s", "kind": "base", "role": "grid", "labels": labels, "against": {}}]
        members.append({"cell_id": name, "blocks": [block], "seeds": [0, 1], "cell": settings, "named": named})
        members[-1] |= {"checkpoints": {}, "measures": ["representations"] * (name != "unasked")}
    group.measure(members, data, store.read_json(card), tmp_path / "out")
    found = schema.read(tmp_path / "out/representations.csv", "representations")
    sides = found[["cell_a", "seed_a", "cell_b", "seed_b", "factor"]].itertuples(index=False, name=None)
    expected = {(name, 0, name, 1, "seed") for name in ("sgd", "adam")}
    assert {*sides} == expected | {("sgd", seed, "adam", seed, "optimizer") for seed in (0, 1)}
    pairs = schema.read(tmp_path / "out/pairs.csv", "pairs")
    both = found.merge(pairs, on=["cell_a", "seed_a", "cell_b", "seed_b", "factor"], suffixes=("", "_pairs"))
    assert len(both) == 4 and both["cka"].to_numpy() == pytest.approx(both["cka_pairs"].to_numpy(), abs=1e-6)
    assert found["pictures"].eq(40).all()


# ------------------------------------------------------------------------------------------------ as told


def told(folder, gaps):
    """Tables of two optimizers, 3 seeds each: two seeds are 0.8 alike, two optimizers so much less by each measure."""
    tables = made(folder, {"grid": GRID | {"optimizer": ["sgd", "adam"]}}, lambda *_: 0.9).tables
    sgd, adam = tables.cells["cell_id"]
    rows, random = [], np.random.default_rng(9)

    def row(a, seed_a, b, seed_b, factor, levels, gap):
        values = {name: 0.8 - gap.get(name, 0) + random.uniform(-0.004, 0.004) for name in MEASURES}
        front = {"cell_a": a, "seed_a": seed_a, "cell_b": b, "seed_b": seed_b, "factor": factor, "pictures": 100}
        rows.append(front | dict(zip(("level_a", "level_b"), levels, strict=True)) | values)

    for one in (sgd, adam):
        for first, second in ((0, 1), (0, 2), (1, 2)):
            row(one, first, one, second, "seed", (str(first), str(second)), {})
    for seed in range(3):
        row(sgd, seed, adam, seed, "optimizer", ("sgd", "adam"), gaps)
    write_table(folder / "tables/representations.csv", pd.DataFrame(rows))
    write_table(folder / "tables/compared.csv", pd.DataFrame(columns=["study", "factor", "compared", "of"]))
    return tables


def test_the_measures_that_tell_are_named(tmp_path):
    tables = told(tmp_path, {"cka": 0.3, "rsa": 0.2, "neighbours": -0.15})
    [answer] = representations.answer(tables)
    assert answer.text == (
        "lenet5 on digits: Models with another optimizer are less alike by CKA and RSA and more alike by nearest "
        "images than two seeds of one cell; Procrustes cannot tell."
    )
    [figure] = representations.measures(tables)
    assert "n = 100 test images" in figure.caption and len(figure.data) == 9
    [table] = representations.table(tables)
    assert table.data["pairs"].tolist() == ["two seeds of one cell", "another optimizer"]
    assert table.data["CKA"].str.startswith(("0.80 [", "0.50 [")).all()


def test_nothing_is_told_where_the_intervals_meet(tmp_path):
    [answer] = representations.answer(told(tmp_path, {}))
    assert answer.text.startswith("Cannot say (lenet5 on digits). No measure tells models with another optimizer from ")
