"""Models at checkpoints: correlations as they are and matched, their null, spectra, and which epochs are compared."""

import json
import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from test_analysis import cell, layers, replicate, run, snapshot, torches, write_block, write_cells, write_data

import collect
import measure
from weight_atlas import networks, schema, store
from weight_atlas.analysis.alignment import facts, products, transforms
from weight_atlas.analysis.kernels import torch_kernels
from weight_atlas.analysis.weights import checkpoints, correlation, correlation_tests, spectra
from weight_atlas.networks.table import Table

SIZE = torch_kernels.CHUNK + 1234  # across the border of two chunks


def pair(kind, size=SIZE):
    """Two float32 vectors."""
    random = np.random.default_rng(3)
    one = random.standard_normal(size)
    other = 0.3 * one + random.standard_normal(size)
    if kind == "tied":
        one, other = np.round(one), np.round(2 * other)
    if kind == "far":
        one, other = one * 1e-3 + 1000, other * 1e-4 - 7
    if kind == "zeros":
        one[::3], one[1::3], other[::2] = 0.0, -0.0, 0.0
    if kind == "two":
        one, other = np.arange(size) % 2, (np.arange(size) % 3 == 0)
    return [values.astype("float32") for values in (one, other)]


# ------------------------------------------------------------------------------------------------ two vectors


@pytest.mark.parametrize("size", [3, 10, SIZE])
@pytest.mark.parametrize("kind", ["random", "tied", "far", "zeros", "two"])
def test_coefficients_are_scipys(kind, size):
    one, other = pair(kind, size)
    tensors = torch.from_numpy(one), torch.from_numpy(other)
    # scipy computes in the type that it is given: float64, for what float32 rounds.
    expected = scipy.stats.pearsonr(one.astype(float), other.astype(float)).statistic
    # Far from 0 the mean that scipy takes away is itself rounded.
    assert correlation.pearson(*tensors) == pytest.approx(expected, abs=1e-9 if kind == "far" else 1e-12)
    assert correlation.spearman(*tensors) == pytest.approx(scipy.stats.spearmanr(one, other).statistic, abs=1e-12)


def test_the_coefficients_of_infinite_and_extreme_values():
    values = torch.tensor([-math.inf, -3e38, -1e-45, 0.0, 1e-45, 3e38, math.inf])
    assert correlation.spearman(values, torch.arange(7.0)) == pytest.approx(1)
    assert correlation.spearman(values, -torch.arange(7.0)) == pytest.approx(-1)
    assert math.isnan(correlation.pearson(values, torch.arange(7.0)))


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e30])
def test_a_constant_vector_has_no_correlation(constant):
    other = torch.arange(SIZE).float()
    flat = torch.full((SIZE,), constant)
    for coefficient in (correlation.pearson, correlation.spearman):
        for one in ((flat, other), (other, flat), (flat, flat), (torch.empty(0), torch.empty(0))):
            assert math.isnan(coefficient(*one))
    assert math.isnan(correlation.spearman(torch.tensor([0.0, -0.0, 0.0]), torch.arange(3.0)))
    assert math.isnan(correlation.spearman(torch.tensor([0.0, math.nan, 1.0]), torch.arange(3.0)))


def test_equal_and_opposite_vectors():
    one = torch.from_numpy(pair("tied")[0])
    for coefficient in (correlation.pearson, correlation.spearman):
        assert (coefficient(one, one), coefficient(one, -2 * one)) == pytest.approx((1, -1), abs=1e-12)


def test_the_memory_that_ranks_need():
    """At most 1 GiB beyond ten million values: 107 bytes each."""
    tensors = [torch.from_numpy(values) for values in pair("tied", 400_000)]
    tracemalloc.start()
    correlation.spearman(*tensors)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 * 400_000


# ------------------------------------------------------------------------------------------------ two networks


def tiny(kind, norm=True):
    """conv - BatchNorm - conv - linear - linear with a kind of activation between."""
    table = Table(2, 8)
    table.conv("conv", 6, 3, padding=1)
    if norm:
        table.batchnorm("norm")
    getattr(table, kind)("act")
    table.conv("conv2", 5, 3)
    getattr(table, kind)("act2")
    table.flatten("flat")
    table.linear("fc", 7)
    getattr(table, kind)("act3")
    table.linear("head", 4)
    return table


def found(table, one, other, **more):
    columns = schema.names("correlations")[9:]
    return pd.DataFrame(correlation.rows(table, one, other, **more), columns=columns)


def test_a_permuted_copy_is_found_exactly():
    """The same network with its channels in another order, and a little noise in the head: matched, it is the same."""
    table = tiny("relu")
    one = torches(snapshot(table, np.random.default_rng(1)))
    other = transforms.apply(table, one, transforms.random(table, 5, ("permutation",)))
    rows = found(table, one, other).set_index(["matching", "layer", "parameter"]).sort_index()
    assert (rows.loc["permuted", "changed"] == 0).all() and (rows.loc["signed", "changed"] == 0).all()
    assert (rows.loc["permuted", "pearson"] > 1 - 1e-9).all() and (rows.loc["permuted", "cosine"] > 1 - 1e-9).all()
    assert abs(rows.loc[("raw", "conv2", "weight"), "pearson"]) < 0.3
    # The output's channels are classes: they stay, but what reads the layer before is renamed with it.
    assert rows.loc[("raw", "head", "bias"), "changed"] == 0 and rows.loc[("raw", "head", "weight"), "changed"] > 0
    assert rows.loc["raw", "size"].sum() == sum(math.prod(s) for _, s in table.parameters()) + 2 * 6


def test_signs_are_found_where_they_are_free():
    table = tiny("tanh", norm=False)
    one = torches(snapshot(table, np.random.default_rng(1)))
    other = transforms.apply(table, one, transforms.random(table, 5, ("permutation", "sign")))
    rows = found(table, one, other).set_index(["matching", "layer", "parameter"])
    for layer in ("conv", "conv2", "fc", "head"):
        assert rows.loc[("signed", layer, "weight"), "pearson"] > 1 - 1e-9
    assert rows.loc[("permuted", "conv", "weight"), "pearson"] < 0.9


def test_matching_is_a_symmetry_of_the_network():
    """What the matched network computes does not change, permuted; the tensors that come in stay as they are."""
    table = tiny("relu")
    one, other = (torches(snapshot(table, np.random.default_rng(seed))) for seed in (1, 2))
    before = {name: tensor.clone() for name, tensor in other.items()}
    permuted, signed = (correlation.match(table, one, other, signs) for signs in (False, True))
    assert all(torch.equal(other[name], tensor) for name, tensor in before.items())
    own = [facts.outputs(table, {k: v.double() for k, v in x.items()}, 0) for x in (other, permuted, signed)]
    assert torch.allclose(own[0], own[1]) and not torch.allclose(own[0], own[2])
    learnable = [name for name, _ in table.parameters()]
    assert products.distance(one, permuted, learnable) < products.distance(one, other, learnable)
    free, raw = (correlation.pearson(one["conv.weight"], x["conv.weight"]) for x in (signed, other))
    assert free > raw


def test_vgg22_has_rows_for_its_22_layers():
    table = networks.layer_table({"architecture": "vgg22", "width": 1 / 64}, 3, 32, 10)
    one, other = (torches(snapshot(table, np.random.default_rng(seed))) for seed in (1, 2))
    rows = found(table, one, other, matchings=("raw",))
    assert len(rows) == 22 * 2 + 2
    assert rows.loc[rows["parameter"] == "weight", "layer"].nunique() == 22
    values = one["fc1.weight"].numpy().ravel(), other["fc1.weight"].numpy().ravel()
    row = rows[(rows["layer"] == "fc1") & (rows["parameter"] == "weight")].iloc[0]
    assert row["pearson"] == pytest.approx(scipy.stats.pearsonr(*(x.astype(float) for x in values)).statistic)
    cosine = np.dot(*(x.astype(float) / np.linalg.norm(x.astype(float)) for x in values))
    assert row["cosine"] == pytest.approx(cosine)


# ------------------------------------------------------------------------------------------------ spectra


def test_spectra_against_numpy():
    table = tiny("relu")
    one = torches(snapshot(table, np.random.default_rng(1)))
    one["fc.weight"].zero_()
    one["head.weight"][0, 0] = math.nan
    rows = {row[0]: row[1:] for row in spectra.rows(table, one)}
    assert list(rows) == ["conv", "conv2", "fc", "head"]
    for name in ("conv", "conv2"):
        values = np.linalg.svd(one[f"{name}.weight"].flatten(1).numpy().astype(float), compute_uv=False)
        assert rows[name][0] == len(values)
        assert rows[name][1:3] == pytest.approx((values[0], (values**2).sum() / values[0] ** 2))
        assert np.isnan(rows[name][3]) and rows[name][5] == 0  # fewer than 20 values have no tail
    for name in ("fc", "head"):
        assert np.isnan(rows[name][1:5]).all()
    tall = torch.randn(40, 7, generator=torch.Generator().manual_seed(0))
    assert spectra.eigenvalues(tall) == pytest.approx(np.linalg.svd(tall.numpy().astype(float))[1][::-1] ** 2)


@pytest.mark.parametrize("alpha", [2.0, 3.5])
def test_a_planted_power_law_is_found(alpha):
    """Pareto's law from 0.5 on, above a body that is none: the exponent, where the tail begins, and scipy's fit."""
    random = np.random.default_rng(8)
    tail = 0.5 * (1 + random.pareto(alpha - 1, 3000))
    values = np.concatenate([tail, random.uniform(0, 0.5, 1500), [0.0, 0.0]])
    found_, xmin, count, ks = spectra.power_law(values)
    assert found_ == pytest.approx(alpha, abs=4 * (alpha - 1) / math.sqrt(count))
    assert 0.4 < xmin < 1 and 1000 < count <= 3500
    above = values[values >= xmin * (1 - 1e-12)]
    shape, _, _ = scipy.stats.pareto.fit(above, floc=0, fscale=xmin)
    assert (len(above), found_) == (count, pytest.approx(1 + shape, rel=1e-6))
    assert ks == pytest.approx(scipy.stats.kstest(above, "pareto", args=(shape, 0, xmin)).statistic, rel=1e-6)
    assert ks < 0.05


def test_a_law_without_a_tail_is_undefined():
    for values in (np.arange(1, spectra.FEWEST), np.zeros(50), np.full(50, 2.0), []):
        alpha, xmin, tail, ks = spectra.power_law(values)
        assert np.isnan([alpha, xmin, ks]).all() and tail == 0
    assert spectra.power_law(np.arange(1.0, spectra.FEWEST + 1))[2] == spectra.FEWEST


# ------------------------------------------------------------------------------------------------ a null


def test_welchs_test_is_scipys():
    one, other = [0.5, 0.42, 0.61], [0.1, -0.05, 0.02, 0.3]
    numbers = correlation_tests.compare([*one, math.nan], other)
    expected = scipy.stats.ttest_ind(np.arctanh(one), np.arctanh(other), equal_var=False)
    assert (numbers[0], numbers[4]) == (3, 4)
    assert numbers[-1] == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert numbers[8:11] == pytest.approx((np.arctanh(one).mean() - np.arctanh(other).mean(), *interval))
    assert numbers[1] == pytest.approx(math.tanh(np.arctanh(one).mean()))


@pytest.mark.parametrize(("one", "other"), [([0.5], [0.1, 0.2]), ([0.5, 0.4], []), ([math.nan] * 3, [0.1, 0.2])])
def test_too_few_pairs_make_no_test(one, other):
    assert all(math.isnan(value) for value in correlation_tests.compare(one, other)[-3:])


def test_the_null_is_that_of_independent_replicates():
    kinds = {"a": "weights", "b": "init", "c": "parent", "d": "init"}
    members = {name: {"cell": cell(start={"kind": kind})} for name, kind in kinds.items()}
    assert correlation_tests.independent(members, ("a", "b")) == ["b"]
    assert correlation_tests.independent(members, ("b", "c")) == ["b"]
    assert correlation_tests.independent(members, ("b", "d")) == ["b", "d"]
    assert correlation_tests.independent(members, ("a", "c")) == ["c"]
    assert correlation_tests.independent(members, ("a", "a")) == []


def test_a_planted_correlation_stands_out_of_the_null():
    """Of two layers one is alike in both models: it is clear, the other is not, and a constant one is not tested."""
    random, rows = np.random.default_rng(2), []
    for layer, level in (("alike", 0.6), ("other", 0.0), ("constant", math.nan)):
        for one, other, kind in [("a", "b", "models")] * 6 + [("b", "b", "independent")] * 6:
            r = level * (kind == "models") + random.normal(0, 0.02)
            rows.append([one, 0, other, 1, kind, "end", "end", 5, 5, layer, "weight", 99, "raw", r, r, 99, 0.1])
    frame = pd.DataFrame(rows, columns=schema.names("correlations"))
    members = {name: {"cell": cell()} for name in "ab"}
    made = pd.DataFrame(correlation_tests.rows(members, frame), columns=schema.names("likeness")).set_index("layer")
    assert (made.loc["alike", "q"] < 1e-6).all() and (made.loc["other", "q"] > 0.05).all()
    assert made.loc["constant", "q"].isna().all() and (made.loc["constant", "n"] == 0).all()
    assert correlation_tests.rows(members, frame[:0]) == []


# ------------------------------------------------------------------------------------------------ from blocks to tables

ACCURACIES = {"x": (0.1, 0.5, 0.7, 0.9), "y": (0.1, 0.55, 0.86, 0.68)}  # by epoch


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Cells x and y, 3 replicates each, of which y's last one failed; x has checkpoints, y matches them, z has none but
    is asked for its spectra.

    Layer fc of x is frozen from epoch 0 to 2.
    """
    folder = tmp_path_factory.mktemp("checkpoints")
    random, asked = np.random.default_rng(12), []
    data, card, _ = write_data(folder, count=60)
    named = {"x": {"start": 0, "middle": 2, "end": 3}, "y": None, "z": None}
    named["y"] = {"match": "base-x", "by": "valid_accuracy", "epochs": named["x"]}
    table = layers(cell())
    for name, kind in (("x", "weights"), ("y", "init"), ("z", "init")):
        settings = cell(start={"kind": kind})
        block, series = folder / f"base-{name}/seeds_0-2", {}
        for seed in range(3):
            series[seed] = {epoch: snapshot(table, random) for epoch in range(4)}
            if name == "x":
                for tensor in ("fc.weight", "fc.bias"):
                    series[seed][2][tensor] = series[seed][0][tensor]
        entries = [replicate(seed, "failed" if (name, seed) == ("y", 2) else "done") for seed in range(3)]
        for seed in range(3):
            rows = []
            for epoch, accuracy in enumerate(ACCURACIES.get(name, (0.1,) * 4)):
                loss = 1 - accuracy if epoch else None
                rows.append([f"base-{name}", seed, epoch, 0, 0.1, loss, 0.5, 1, accuracy, 1, accuracy, 1, 9])
            schema.write(store.metrics_path(block, seed), "metrics", rows)
        write_block(block, f"base-{name}", settings, entries, series)
        checked = json.dumps(named[name]) if named[name] else ""
        labels = {"init": name, "checkpoints": checked, "measure": "spectra" if name == "z" else ""}
        asked.append((f"base-{name}", [block], 3, card, settings, labels))
    write_cells(folder / "cells.csv", asked)
    flags = [f"--data={data}", f"--card={card}", f"--output={folder / 'measures'}"]
    run(measure, folder, ["--cells=cells.csv", "--group=g", *flags])
    flags = ["--measures", str(folder / "measures"), f"--cards={card}", f"--output={folder / 'tables'}"]
    run(collect, folder, ["--cells=cells.csv", *flags])
    return folder, table


def read(told, name):
    return pd.read_csv(told[0] / "tables" / f"{name}.csv")


def test_checkpoints_are_epochs_or_what_matches_them(told):
    """x's own; y is nearest to x's 0.7 at its epoch 3 and to x's 0.9 at its epoch 2; failed replicates have none; z
    has its ends, where its spectra are taken."""
    rows = read(told, "checkpoints")
    found_ = {key: dict(zip(x["checkpoint"], x["epoch"], strict=True)) for key, x in rows.groupby(["cell_id", "seed"])}
    own = {"start": 0, "middle": 2, "end": 3}
    matched = {"start": 0, "middle": 3, "end": 2}
    expected = {("base-x", seed): own for seed in range(3)} | {("base-y", seed): matched for seed in range(2)}
    assert found_ == expected | {("base-z", seed): {"first": 0, "last": 3} for seed in range(3)}


def test_which_models_are_compared(told):
    rows = read(told, "correlations")
    ends = ["cell_a", "seed_a", "cell_b", "seed_b", "checkpoint_a", "checkpoint_b", "matching"]
    assert "base-z" not in {*rows["cell_a"], *rows["cell_b"]}
    pairs = {kind: set(x[ends].itertuples(index=False, name=None)) for kind, x in rows.groupby("comparison")}
    matchings = ("raw", "permuted", "signed")
    crossed = {("base-x", a, "base-y", b, n, n, m) for a, b in ((0, 1), (1, 0)) for n in ("start", "middle", "end")
               for m in matchings}  # fmt: skip
    assert pairs["models"] == crossed
    assert {key[:4] for key in pairs["twins"]} == {("base-x", seed, "base-y", seed) for seed in (0, 1)}
    null = {("base-x", 0, "base-x", 1), ("base-x", 0, "base-x", 2), ("base-x", 1, "base-x", 2),
            ("base-y", 0, "base-y", 1)}  # fmt: skip
    assert {key[:4] for key in pairs["independent"]} == null
    assert {key[-1] for key in pairs["independent"]} == set(matchings)
    steps = {("start", "middle"), ("middle", "end"), ("start", "end")}
    assert {key[4:6] for key in pairs["checkpoints"]} == steps and {key[-1] for key in pairs["checkpoints"]} == {"raw"}
    epochs = rows[rows["comparison"] == "models"].set_index("checkpoint_a").loc["end", ["epoch_a", "epoch_b"]]
    assert set(epochs.itertuples(index=False, name=None)) == {(3, 2)}


def test_a_frozen_layer_is_equal_to_the_last_bit(told):
    rows = read(told, "correlations")
    own = rows[(rows["comparison"] == "checkpoints") & (rows["cell_a"] == "base-x") & (rows["layer"] == "fc")]
    own = own.groupby(["checkpoint_a", "checkpoint_b"])[["changed", "pearson", "cosine"]]
    assert own.max().loc[("start", "middle")].tolist() == pytest.approx([0, 1, 1])
    assert own.min().loc[("middle", "end"), "changed"] > 0


def test_a_spectrum_for_each_checkpoint_and_weight(told):
    rows = read(told, "spectra")
    weights = [layer.name for layer in told[1].weight_layers]
    assert len(rows) == (5 * 3 + 3 * 2) * len(weights) and rows["layer"].unique().tolist() == weights


def test_likeness_is_judged_by_the_drawn_cells_alone(told):
    """The replicates of x start from one file: y alone is the null, and with one pair there is no test."""
    rows = read(told, "likeness")
    assert set(rows["null_n"]) == {1} and set(rows["n"]) == {2} and rows["q"].isna().all()
    assert set(zip(rows["cell_a"], rows["cell_b"], strict=True)) == {("base-x", "base-y")}


def test_what_is_measured_at_checkpoints_needs_some_or_the_name_of_the_measure():
    every = (checkpoints.Checkpoints, checkpoints.Correlations, checkpoints.Spectra)
    asked = {(): 0, ("spectra",): 2, ("correlations",): 2, ("checkpoints",): 1, ("filters",): 0}
    for measures, count in asked.items():
        assert sum(one.asked_for({"checkpoints": {}, "measures": [*measures]}) for one in every) == count, measures
    assert all(one.asked_for({"checkpoints": {"end": 1}, "measures": []}) for one in every)


def test_a_match_without_its_other_replicate_is_the_start_alone(tmp_path):
    rule = {"match": "gone", "by": "train_loss", "epochs": {"start": 0, "end": 3}}
    assert checkpoints.matching_epochs({}, rule, tmp_path, 0, [0, 1, 2]) == {"start": 0}
