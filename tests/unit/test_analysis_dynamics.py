"""Parameter dynamics: classes of unchanged parameters, effective ones, tolerances, pairs of models, paired tests."""

import itertools
import math
import struct

import numpy as np
import pandas as pd
import pytest
import scipy.spatial
import scipy.stats
import test_training
import torch
from test_analysis import (
    by_hand,
    cell,
    flat,
    layers,
    replicate,
    run,
    snapshot,
    torches,
    write_block,
    write_cells,
    write_data,
)

import collect
import measure
from tests.unit.tables import read_table
from weight_atlas import networks, pairs, schema, starts, store
from weight_atlas.analysis import comparisons
from weight_atlas.analysis.features import feature_correlations, feature_matching, similarity
from weight_atlas.analysis.kernels import torch_kernels
from weight_atlas.analysis.weights import parameters, tolerance, unchanged
from weight_atlas.networks.build import build
from weight_atlas.plan.measures import MEASURES, Taken
from weight_atlas.training import track

CLASSES = ["structural", "dead", "rounding", "returned", "changed"]
CHILDREN = (
    "returns",
    "aftermath",
    "precision",
    "paths",
    "barriers",
    "symmetries",
    "facts",
)  # no cell of these tests was perturbed
NOT_ASKED = tuple(table for one in MEASURES.values() if one.taken is Taken.ASKED for table in one.tables)
ABSENT = (*CHILDREN, *NOT_ASKED, "checkpoints", "correlations", "spectra", "missing", "faults", "right")


def frame(table, rows):
    """Rows of a measure as a DataFrame, with the columns of its table but cell and seed."""
    return pd.DataFrame(rows, columns=[c for c in schema.names(table) if c not in ("cell_id", "seed")])


def by_parameter(found):
    return found.set_index(["layer", "parameter"])


# ------------------------------------------------------------------------------------------------ classes, planted


@pytest.fixture(scope="module")
def planted():
    """LeNet-1's start, end and bits with every class planted by hand, and the counts of each."""
    table, random = layers(cell()), np.random.default_rng(20)
    start = snapshot(table, random)
    last = {name: values + 1 for name, values in start.items()}
    bits = {name: np.full(shape, 3, "uint8") for name, shape in table.parameters()}
    flags = {"dead": 0, "rounding": 1, "returned": 3}
    counts = {"conv2.weight": (4, 5, 6), "conv2.bias": (1, 0, 2), "fc.weight": (0, 7, 0)}
    assert set(counts) < set(bits)
    for name, own in counts.items():
        places = random.permutation(start[name].size)
        for flag, count in zip(flags.values(), own, strict=True):
            chosen, places = places[:count], places[count:]
            last[name].ravel()[chosen], bits[name].ravel()[chosen] = start[name].ravel()[chosen], flag
    return table, start, last, bits, counts


def test_every_planted_parameter_is_in_its_class(planted):
    table, start, last, bits, counts = planted
    found = by_parameter(frame("unchanged", unchanged.rows(table, torches(start), torches(last), torches(bits))))
    for name, (dead, rounding, returned) in counts.items():
        row = found.loc[tuple(name.rsplit(".", 1))]
        assert row[["dead", "rounding", "returned"]].tolist() == [dead, rounding, returned]
        assert row["unchanged"] == dead + rounding + returned == row["size"] - row["changed"]
    assert (found[CLASSES].sum(axis=1) == found["size"]).all()
    expected = np.sum(list(counts.values()), axis=0).tolist()
    assert found.loc[("total", "all"), ["dead", "rounding", "returned"]].tolist() == expected
    assert found.loc[("total", "all"), ["taps", "structural", "contradicted"]].tolist() == [0, 0, 0]


def test_no_class_is_a_remainder():
    """Every combination of evidence, one parameter each, across the border of two chunks."""
    combinations = list(itertools.product((False, True), (False, True), (0, 1, 2, 3)))
    same, taps, bits = (np.array(column) for column in zip(*combinations, strict=True))
    start = np.arange(1, 17, dtype="float32")
    last = np.where(same, start, start + 1)
    expected = {
        "unchanged": same,
        "taps": taps,
        "structural": same & taps,
        "dead": same & ~taps & np.isin(bits, (0, 2)),
        "rounding": same & ~taps & (bits == 1),
        "returned": same & ~taps & (bits == 3),
        "changed": ~same,
        "contradicted": taps & np.isin(bits, (1, 3)),
    }
    repeated = torch_kernels.CHUNK // 16 + 2
    found = unchanged.count(
        *(torch.from_numpy(np.tile(x, repeated)) for x in (start, last.astype("float32"))),
        *(torch.from_numpy(np.tile(x, repeated)) for x in (taps, bits.astype("uint8"))),
    )
    assert dict(zip(expected, found, strict=True)) == {k: repeated * int(v.sum()) for k, v in expected.items()}
    assert sum(dict(zip(expected, found, strict=True))[name] for name in CLASSES) == 16 * repeated


def test_a_structural_tap_that_changed_or_had_a_gradient():
    """Weight decay changes a tap that gets no gradient: it is changed, not structural. A gradient contradicts."""
    table = layers(cell("resnet18", 1, 28, width=1 / 16))
    start = snapshot(table, np.random.default_rng(21))
    last = {name: values.copy() for name, values in start.items()}
    bits = {name: np.zeros(shape, "uint8") for name, shape in table.parameters()}
    weight = "layer4.1.conv1.weight"
    last[weight][:, :, 0, 0] *= 0.5
    bits[weight][:, :, 0, 0] = track.CHANGED
    bits[weight][0, :5, 2, 2] = track.GRADIENT
    found = by_parameter(frame("unchanged", unchanged.rows(table, torches(start), torches(last), torches(bits))))
    row = found.loc[("layer4.1.conv1", "weight")]
    channels = 32 * 32
    assert row[["taps", "structural", "dead", "changed"]].tolist() == [8 * channels, 7 * channels, channels, channels]
    assert row["contradicted"] == found.loc[("total", "all"), "contradicted"] == 5
    assert (found[CLASSES].sum(axis=1) == found["size"]).all()


def test_a_track_file_of_another_network_is_refused(planted):
    table, start, last, bits, _ = planted
    with pytest.raises(ValueError, match="conv2.weight is missing in the track file"):
        bits = {name: tensor for name, tensor in torches(bits).items() if name != "conv2.weight"}
        unchanged.rows(table, torches(start), torches(last), bits)


# ------------------------------------------------------------------------------------------------ classes, trained


def trained(folder, toy, settings):
    """unchanged.csv's rows of one replicate trained by the engine with `track`, and what was read."""
    settings["training"]["track"] = True
    run, record = test_training.train(toy, folder, settings)
    assert record["status"] == "done"
    first, last = (store.load_tensors(store.snapshot_path(folder, 0, epoch)) for epoch in (0, record["epochs"]))
    bits = store.load_tensors(store.track_path(folder, 0))
    found = by_parameter(frame("unchanged", unchanged.rows(run.table, first, last, bits)))
    assert (found[CLASSES].sum(axis=1) == found["size"]).all()
    assert found.loc[("total", "all"), "contradicted"] == 0
    return found, first, last, bits


def test_all_that_a_resnet_leaves_unchanged_is_structural(toy, tmp_path):
    settings = test_training.settings("resnet18", width=0.125, stages=[test_training.stage(3, 0.01)])
    found, first, last, bits = trained(tmp_path, toy, settings)
    total = found.loc[("total", "all")]
    assert total["unchanged"] == total["structural"] == total["taps"] > 0.5 * total["size"]
    assert total[["dead", "rounding", "returned"]].tolist() == [0, 0, 0]
    names = list(bits)
    same = {name: (first[name] == last[name]).sum().item() for name in names}
    assert total["unchanged"] == sum(same.values()) and total["structural"] == sum((bits[n] == 0).sum() for n in names)


def test_a_unit_that_never_fires_is_dead(toy, tmp_path, monkeypatch):
    begin = starts.begin

    def kill(model, *rest):
        noted = begin(model, *rest)
        with torch.no_grad():
            model.fc2.bias[3] = -1e9
        return noted

    monkeypatch.setattr(starts, "begin", kill)
    found, *_ = trained(tmp_path, toy, test_training.settings("lenet5", width=1.0))
    monkeypatch.undo()
    plain, *_ = trained(tmp_path / "plain", toy, test_training.settings("lenet5", width=1.0))
    assert found.loc[("fc2", "weight"), "dead"] >= 120 and found.loc[("fc2", "bias"), "dead"] >= 1
    assert found.loc[("fc3", "weight"), "dead"] >= 4 and plain.loc[("fc2", "weight"), "dead"] < 84 * 120 / 2
    assert (found["structural"] == 0).all() and found.loc[("total", "all"), "changed"] > 0


def test_a_rate_too_small_to_change_a_value_is_rounding(toy, tmp_path):
    slow = test_training.SGD | {"lr": 1e-12, "momentum": 0.0}
    settings = test_training.settings("lenet5", stages=[test_training.stage(2, 1e-12)], optimizer=slow)
    found, first, last, bits = trained(tmp_path, toy, settings)
    weights = found[found.index.get_level_values("parameter") == "weight"]
    assert (weights["changed"] == 0).all() and (weights["rounding"] > 0).all() and (weights["returned"] == 0).all()
    for (layer, parameter), row in weights.iterrows():
        assert row["rounding"] == (bits[f"{layer}.{parameter}"] == track.GRADIENT).sum()


# ------------------------------------------------------------------------------------------------ taps and tied columns


def sizes(architecture):
    smallest = networks.input_size(architecture, 1)
    return sorted({smallest, networks.input_size(architecture, 28), smallest + 9, 40 if smallest < 32 else 64})


@pytest.mark.parametrize(("architecture", "size"), [(name, size) for name in networks.names() for size in sizes(name)])
def test_closed_form_and_recorded_gradients_agree_tap_by_tap(architecture, size):
    """A tap is structural where `track` records no gradient for any of its weights, over several starts."""
    reached = {}
    for seed in range(3):
        torch.manual_seed(seed)
        model, table = build({"architecture": architecture, "width": 0.1}, 2, size, 5)
        evidence = track.GradientTracker(model)
        model(torch.randn(6, 2, size, size)).square().sum().backward()
        evidence.add_gradients()
        for name, bits in evidence.tensors().items():
            reached[name] = reached.get(name, False) | (bits & track.GRADIENT != 0)
    convolutions = [layer for layer in table.layers if layer.kind == "Conv2d"]
    assert convolutions
    for layer in convolutions:
        had = reached[f"{layer.name}.weight"]
        structural = unchanged.structural(table, layer)
        assert torch.equal(had.any(0).any(0), ~structural[0, 0]), layer.name
        assert not (had & structural).any() and structural.sum() == table.padding_weight_count(layer)


def test_effective_parameters_of_vgg19():
    """At 32 px one pixel is copied 49 times: of the first linear layer's 49 equal columns one is free."""
    found = by_parameter(
        frame("parameters", parameters.rows(networks.layer_table({"architecture": "vgg19"}, 3, 32, 10)))
    )
    assert found.loc[("classifier.0", "weight")].tolist() == [102_760_448, 0, 100_663_296, 2_097_152]
    assert found.loc[("total", "all")].tolist() == [139_611_210, 0, 100_663_296, 38_947_914]
    assert (found["structural"] + found["tied"] + found["effective"] == found["size"]).all()


def test_effective_parameters_of_resnet18():
    found = by_parameter(
        frame("parameters", parameters.rows(networks.layer_table({"architecture": "resnet18"}, 3, 32, 10)))
    )
    assert found.loc[("total", "all")].tolist() == [11_181_642, 6_946_816, 0, 11_181_642 - 6_946_816]
    assert found.drop(("total", "all")).sum().tolist() == found.loc[("total", "all")].tolist()


# ------------------------------------------------------------------------------------------------ tolerance


def test_steps_between_floats():
    """numpy.nextafter walked step by step; numpy.spacing within a power of two; Python's own bits for random pairs."""
    starts_, steps = np.array([1.0, -1.0, 0.0, 1e-45, -3e-39, 255.99998, -0.0], "float32"), np.array([0, 1, 8, 9, 65])
    for start in starts_:
        end, walked = start, 0
        for goal in steps:
            while walked < goal:
                end, walked = np.nextafter(end, np.float32(np.inf)), walked + 1
            pair = torch_kernels.places(torch.tensor([start, end]))
            assert (pair[1] - pair[0]).item() == goal, (start, goal)
    random = np.random.default_rng(22)
    start = random.uniform(1, 1.5, 1000).astype("float32")
    end = (start + random.integers(-4, 4000, 1000).clip(0) * np.spacing(start)).astype("float32")
    expected = ((end.astype("float64") - start) / np.spacing(start)).astype(int)
    found = torch_kernels.places(torch.from_numpy(end)) - torch_kernels.places(torch.from_numpy(start))
    assert (found.numpy() == expected).all()

    def place(value):
        number = struct.unpack("<I", struct.pack("<f", value))[0]
        return number if number < 2**31 else 2**31 - number

    values = (random.normal(0, 1, 500) * 10.0 ** random.integers(-44, 30, 500)).astype("float32")
    assert torch_kernels.places(torch.from_numpy(values)).tolist() == [place(value) for value in values.tolist()]


def test_counts_by_tolerance(planted):
    """Every criterion of every layer against numpy, with steps of all sizes and zeros among the values."""
    table, start, *_ = planted
    random = np.random.default_rng(23)
    last = {}
    for name, values in start.items():
        values.ravel()[:3] = 0
        step = random.choice([0, 1e-9, 1e-7, 1e-5, 1e-3, 1e-1], values.shape) * random.normal(0, 1, values.shape)
        last[name] = (values + step).astype("float32")
    found = frame("tolerance", tolerance.rows(table, torches(start), torches(last)))
    learnable = [layer for layer in table.layers if layer.parameters]
    names = {layer.name: [f"{layer.name}.{own}" for own in layer.parameters] for layer in learnable}
    names["total"] = [name for name, _ in table.parameters()]
    assert list(found["layer"].unique()) == list(names)
    for layer, own in found.groupby("layer"):
        a, b = flat(start, names[layer]), flat(last, names[layer])
        counted = {}
        for bound in (0, 1, 8, 64, 512, 4096):
            whole = [np.concatenate([x[name].ravel() for name in names[layer]]).view("int32") for x in (start, last)]
            ordered = [np.where(x < 0, -(x.astype("int64") & 0x7FFFFFFF), x) for x in whole]
            counted["ulp", bound] = np.sum(np.abs(ordered[1] - ordered[0]) > bound)
        for bound in (0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1):
            counted["relative", bound] = np.sum(np.abs(b - a) > bound * np.abs(a))
        for bound in (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1):
            counted["absolute", bound] = np.sum(np.abs(b - a) > bound)
        assert (
            own.set_index(["criterion", "tolerance"])["changed"].to_dict() == counted and (own["size"] == len(a)).all()
        )
        assert counted["ulp", 0] == counted["relative", 0] == np.sum(a != b)


def test_zero_and_minus_zero_are_one_value():
    assert sum(tolerance.count(torch.tensor([0.0, -0.0]), torch.tensor([-0.0, 0.0]))) == 0


# ------------------------------------------------------------------------------------------------ similarity


def definition(x, y):
    """Debiased linear CKA as it is written (Song et al. 2012, eq. 4), with n x n matrices, uncentred, float64."""
    n = len(x)

    def hsic(k, m):
        k, m = k - np.diag(k.diagonal()), m - np.diag(m.diagonal())
        one = np.ones(n)
        middle = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + middle - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))

    kernels = [np.asarray(z, "float64") @ np.asarray(z, "float64").T for z in (x, y)]
    return hsic(*kernels) / math.sqrt(hsic(kernels[0], kernels[0]) * hsic(kernels[1], kernels[1]))


def cka(x, y):
    a, b = (feature_correlations.Centred(torch.from_numpy(z.astype("float32"))) for z in (x, y))
    sums = [similarity.hsic(feature_correlations.product(i, j), i.norms, j.norms) for i, j in ((a, b), (a, a), (b, b))]
    return similarity.cka(*sums)


@pytest.mark.parametrize(("n", "d"), [(4, 3), (60, 20), (70, 150), (1203, 8)])
def test_cka_is_its_definition(n, d):
    random = np.random.default_rng(24)
    x = random.normal(3, 1, (n, d)).astype("float32")
    y = np.maximum(x @ random.normal(0, 1, (d, d + 2)) + random.normal(0, 2, (n, d + 2)), 0).astype("float32")
    assert cka(x, y) == pytest.approx(definition(x, y), rel=1e-9, abs=1e-12)


def test_cka_of_rotated_scaled_and_unrelated_features():
    random = np.random.default_rng(25)
    x = random.normal(0, 1, (400, 30))
    rotation = scipy.stats.ortho_group.rvs(30, random_state=random)
    assert cka(x, 5 * x @ rotation - 7) == pytest.approx(1, abs=1e-5)
    assert cka(x, x) == pytest.approx(1, abs=1e-12)
    unrelated = [cka(x, random.normal(0, 1, (400, 30))) for _ in range(40)]
    assert abs(np.mean(unrelated)) < 4 * np.std(unrelated) / math.sqrt(40) and min(unrelated) < 0, "no bias"
    assert math.isnan(cka(x, np.ones((400, 30)))) and math.isnan(cka(x[:3], x[:3]))


def test_matching_is_the_best_permutation():
    random = np.random.default_rng(26)
    for _ in range(20):
        matrix = random.uniform(-1, 1, (5, 5))
        best = max(itertools.permutations(range(5)), key=lambda order: matrix[range(5), order].sum())
        expected = matrix.diagonal().mean(), matrix[range(5), best].mean(), np.mean(np.array(best) == range(5))
        assert feature_matching.match(matrix) == pytest.approx(expected, abs=1e-15)
    assert all(math.isnan(value) for value in feature_matching.match(np.zeros((0, 0))))


def test_features_that_say_the_same_stay_in_place():
    """A network against itself: many of its features answer to one image alone, by so and so much."""
    random = np.random.default_rng(27)
    values = np.zeros((300, 70), dtype="float32")
    values[:, :30] = random.normal(0, 1, (300, 30))
    values[random.integers(0, 4, 40), range(30, 70)] = random.uniform(0.1, 3, 40)
    features = feature_correlations.Centred(torch.from_numpy(values[:, random.permutation(70)]))
    correlations = feature_correlations.correlation(
        feature_correlations.product(features, features), features, features
    )
    assert feature_matching.match(correlations.numpy()) == pytest.approx((1, 1, 1), abs=1e-9)


# ------------------------------------------------------------------------------------------------ which are compared


def named(study="s", kind="base", role="grid", **labels):
    return {
        "study": study,
        "kind": kind,
        "role": role,
        "labels": {"dataset": "d", "network": "n"} | labels,
        "against": {},
    }


def wanted(**entries):
    """Cells as `cell_table.read` gives them: {id: [named, ..]}."""
    return {name: {"cell_id": name, "seeds": [0, 1], "named": own} for name, own in entries.items()}


def test_contrasts_differ_in_one_label():
    found = pairs.contrasts(
        wanted(
            adam=[named(init="k", optimizer="adam")],
            sgd=[named(init="k", optimizer="sgd"), named("t", init="k", optimizer="sgd")],
            both=[named(init="x", optimizer="sgd"), named("t", init="x", optimizer="sgd")],
            other=[named(init="x", optimizer="adam", network="m")],
            flipped=[named(init="x", optimizer="adam", kind="perturb")],
            source=[named(init="x", optimizer="adam", role="source")],
            elsewhere=[named("t", init="k", optimizer="adam")],
        )
    )
    shared = {"dataset": "d", "network": "n"}
    assert found == [
        ("optimizer", "adam", "sgd", "adam", "sgd", shared | {"init": "k"}),
        ("init", "k", "x", "sgd", "both", shared | {"optimizer": "sgd"}),
        ("optimizer", "adam", "sgd", "elsewhere", "sgd", shared | {"init": "k"}),
    ]


def test_levels_have_the_order_of_the_config():
    """A pair whose second cell has the level that came first elsewhere is turned round."""
    rows = [("a", "x", 1), ("b", "y", 2), ("c", "y", 1), ("d", "x", 2)]
    found = pairs.contrasts(wanted(**{name: [named(init=init, rate=str(rate))] for name, init, rate in rows}))
    assert {(c.level_a, c.level_b, c.cell_a, c.cell_b) for c in found if c.factor == "init"} == {
        ("x", "y", "a", "c"),
        ("x", "y", "d", "b"),
    }


def test_models_are_compared_seed_by_seed_and_seed_against_seed():
    group = wanted(a=[named(init="x")], b=[named(init="y")], c=[named(init="x", dataset="e")])
    models = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 2), ("c", 0)]
    assert pairs.partners(group, models, {}) == [
        (("a", 0), ("a", 1), "seed", "0", "1"),
        (("a", 0), ("a", 2), "seed", "0", "2"),
        (("a", 0), ("b", 0), "init", "x", "y"),
        (("a", 1), ("a", 2), "seed", "1", "2"),
        (("a", 2), ("b", 2), "init", "x", "y"),
        (("b", 0), ("b", 2), "seed", "0", "2"),
    ]


# ------------------------------------------------------------------------------------------------ a group, whole


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """LeNet-1 in two cells of two seeds, one channel dead in one cell: (folder, end snapshots, test pictures)."""
    folder = tmp_path_factory.mktemp("compared")
    settings, random = cell(epochs=1, snapshots="ends"), np.random.default_rng(27)
    data, card, images = write_data(folder, count=300)
    ends, rows = {}, []
    for name, optimizer in (("base-a", "sgd"), ("base-b", "adam")):
        series = {seed: {epoch: snapshot(layers(settings), random) for epoch in (0, 1)} for seed in (0, 1)}
        for seed, epochs in series.items():
            epochs[1]["conv2.bias"][:] = 0.2
            epochs[1]["conv2.bias"][5] = -1000 if name == "base-b" else 0.2
            # Outputs around 0, so that the pictures are told apart.
            middle = by_hand(epochs[1], images, 0.3, 0.2).mean(0) @ epochs[1]["fc.weight"].T
            epochs[1]["fc.bias"] = -middle.astype("float32")
            epochs[0]["fc.bias"][:4] = epochs[1]["fc.bias"][:4]
            bits = {own: np.full(shape, 3, "uint8") for own, shape in layers(settings).parameters()}
            bits["fc.bias"][:4] = 0, 1, 1, 3
            store.save_tensors(store.track_path(folder / name / "seeds_0-1", seed), bits)
            ends[name, seed] = epochs[1]
        blocks = [folder / name / "seeds_0-1"]
        write_block(blocks[0], name, settings, [replicate(0, epochs=1), replicate(1, epochs=1)], series)
        (blocks[0] / "metrics.csv").write_text(",".join(schema.names("metrics")) + "\n")
        rows.append((name, blocks, 2, card, settings, {"optimizer": optimizer}))
    listed = write_cells(folder / "cells.csv", rows)
    out = folder / "measures"
    run(measure, folder, [f"--cells={listed}", "--group=g", f"--data={data}", f"--card={card}", f"--output={out}"])
    flags = [f"--cells={listed}", "--measures", str(out), f"--cards={card}", f"--output={folder / 'tables'}"]
    run(collect, folder, flags)
    return folder, ends, images


def test_pairs_against_numpy(compared):
    folder, ends, images = compared
    found = read_table(folder / "measures" / "pairs.csv")
    kinds = [("seed", "0", "1")] + [("optimizer", "sgd", "adam")] * 2 + [("seed", "0", "1")]
    assert list(found[["factor", "level_a", "level_b"]].itertuples(index=False, name=None)) == kinds
    names = [name for name, _ in layers(cell()).parameters()]
    data = store.load_arrays(folder / "made-up.safetensors")
    labels = data["labels"][data["split"] == 2]
    for row in found.itertuples():
        tensors = [ends[row.cell_a, row.seed_a], ends[row.cell_b, row.seed_b]]
        a, b = (flat(own, names) for own in tensors)
        norms = np.linalg.norm(a), np.linalg.norm(b), np.linalg.norm(a - b)
        expected = *norms, a @ b / (norms[0] * norms[1])
        assert (row.norm_a, row.norm_b, row.distance, row.cosine) == pytest.approx(expected, rel=1e-10)
        x, y = (by_hand(own, images, 0.3, 0.2) for own in tensors)
        assert row.cka == pytest.approx(definition(x, y), rel=1e-5)
        outputs = [z @ own["fc.weight"].T + own["fc.bias"] for z, own in zip((x, y), tensors, strict=True)]
        answers = [own.argmax(1) for own in outputs]
        assert row.agreement == np.mean(answers[0] == answers[1]) and 0 < row.agreement < 1
        varying = (np.ptp(x, axis=0) > 0) & (np.ptp(y, axis=0) > 0)
        assert (row.features, row.constant) == (192, (~varying).sum())
        d = varying.sum()
        assert d == (176 if "base-b" in (row.cell_a, row.cell_b) else 192)
        matrix = np.corrcoef(x[:, varying], y[:, varying], rowvar=False)[:d, d:]
        order = scipy.optimize.linear_sum_assignment(-matrix)[1]
        expected = matrix.diagonal().mean(), matrix[range(d), order].mean()
        assert (row.correlation, row.matched) == pytest.approx(expected, rel=1e-3, abs=1e-5)
        assert row.in_place == pytest.approx(np.mean(order == np.arange(d)), abs=2.1 / d)
        wrong = [own != labels for own in answers]
        assert (row.errors_a, row.errors_b) == tuple(own.sum() for own in wrong)
        assert row.both_wrong == (wrong[0] & wrong[1]).sum() > 0
        shares = [scipy.special.softmax(own, 1) for own in outputs]
        squares = scipy.spatial.distance.jensenshannon(*shares, base=2, axis=1) ** 2
        assert row.divergence == pytest.approx(squares.mean(), rel=1e-4) and 0 < row.divergence < 1


def test_the_first_pair_of_each_kind_is_kept(compared):
    folder, ends, images = compared
    kept = store.load_arrays(folder / "measures" / "pairs.safetensors")
    assert set(kept) == {"base-a/seed0|base-a/seed1", "base-a/seed0|base-b/seed0"}
    matrix = kept["base-a/seed0|base-b/seed0"]
    x, y = (by_hand(ends[name, 0], images, 0.3, 0.2) for name in ("base-a", "base-b"))
    constant = np.ptp(y, axis=0) == 0
    assert matrix.dtype == np.float16 and np.isnan(matrix[:, constant]).all() and constant.sum() == 16
    expected = np.corrcoef(x, y[:, ~constant], rowvar=False)[:192, 192:]
    assert np.allclose(matrix[:, ~constant], expected, atol=1e-3)


def test_tables_of_a_group(compared):
    """Columns, classes that add up, nothing left behind, and what is collected is what was measured."""
    folder = compared[0]
    assert {path.stem for path in (folder / "measures").iterdir()} == {*schema.MEASURES}
    for name in schema.MEASURES:
        found = read_table(folder / "measures" / f"{name}.csv")
        assert list(found.columns) == schema.names(name) and (len(found) > 0) == (name not in ABSENT)
        assert (folder / "tables" / f"{name}.csv").read_bytes() == (folder / "measures" / f"{name}.csv").read_bytes()
    found = read_table(folder / "tables" / "unchanged.csv")
    assert (found[CLASSES].sum(axis=1) == found["size"]).all() and (found["contradicted"] == 0).all()
    total = found[found["layer"] == "total"]
    assert len(total) == 4 and (total[["dead", "rounding", "returned"]] == [1, 2, 1]).all(axis=None)
    found = read_table(folder / "tables" / "summary.csv").set_index(["cell_id", "measure", "key"])["mean"]
    size = layers(cell()).parameter_count
    shares = [found["base-a", name, "total"] for name in CLASSES]
    assert shares == pytest.approx([0, 1 / size, 2 / size, 1 / size, 1 - 4 / size]) and sum(shares) == pytest.approx(1)
    assert found["base-a", "effective", "total"] == 1


# ------------------------------------------------------------------------------------------------ paired tests


def outcome_tables(values):
    """The tables that outcomes are read from: `values` {(cell, seed): number} as every outcome of each."""
    base = pd.DataFrame([(name, seed, x) for (name, seed), x in values.items()], columns=["cell_id", "seed", "x"])
    ids = base[["cell_id", "seed"]]
    x = base["x"]
    runs = ids.assign(status="done")
    return (
        pd.concat([runs, pd.DataFrame([("a", 7, "diverged")], columns=runs.columns)]),
        pd.concat([ids.assign(protocol="best_valid", accuracy=x), ids.assign(protocol="last", accuracy=-9.0)]),
        pd.concat(
            ids.assign(layer="total", interval=kind, to_epoch=to, relative=x if good else -9.0)
            for kind, to, good in (("start", 1, False), ("start", 2, True), ("consecutive", 2, False))
        ),
        ids.assign(layer="total", size=1000.0, unchanged=1000 * x, structural=200.0),
        pd.concat(
            ids.assign(of=of, mean_absolute=x * k, mean_correlation=-x * k)
            for of, k in (("activations", 1), ("weights", 50))
        ),
    )


def test_tests_average_over_the_other_axes_first():
    """Two initialisations by two optimizers by two networks; n is the number of seeds."""
    random = np.random.default_rng(29)
    grid = {
        f"{network}-{init}-{optimizer}": named(network=network, init=init, optimizer=optimizer)
        for network in ("n", "m")
        for init in ("k", "x")
        for optimizer in ("sgd", "adam")
    }
    del grid["m-x-adam"]
    values = {(name, seed): random.uniform(0.3, 0.9) for name in grid for seed in range(3)}
    del values["n-x-sgd", 2]
    asked = wanted(**{name: [own] for name, own in grid.items()})
    found = pd.DataFrame(
        comparisons.rows(asked, comparisons.outcomes(*outcome_tables(values)), {}), columns=schema.names("tests")
    )
    assert list(found["outcome"].unique()) == list(comparisons.OUTCOMES)
    own = found[found["outcome"] == "accuracy"].fillna({"network": ""}).set_index(["factor", "network"])
    assert set(own.index) == {("optimizer", "n"), ("init", "n"), ("optimizer", "m"), ("init", "m"), ("network", "")}

    def mean(names, seeds):
        return [np.mean([values[name, seed] for name in names.split()]) for seed in seeds]

    expected = {
        ("optimizer", "n"): (mean("n-k-sgd n-x-sgd", (0, 1)), mean("n-k-adam n-x-adam", (0, 1))),
        ("init", "n"): (mean("n-k-sgd n-k-adam", (0, 1)), mean("n-x-sgd n-x-adam", (0, 1))),
        ("optimizer", "m"): (mean("m-k-sgd", range(3)), mean("m-k-adam", range(3))),
        ("init", "m"): (mean("m-k-sgd", range(3)), mean("m-x-sgd", range(3))),
        ("network", ""): (mean("n-k-sgd n-k-adam n-x-sgd", (0, 1)), mean("m-k-sgd m-k-adam m-x-sgd", (0, 1))),
    }
    for key, (first, second) in expected.items():
        test, row = scipy.stats.ttest_rel(second, first), own.loc[[key]].iloc[0]
        assert row["n"] == len(first) and row["dataset"] == "d"
        assert row[["difference", "t", "p"]].tolist() == pytest.approx(
            [np.mean(second) - np.mean(first), test.statistic, test.pvalue], rel=1e-9
        )
    everywhere = scipy.stats.false_discovery_control(found["p"])
    assert found["q"].tolist() == pytest.approx(everywhere.tolist()) and len(found) == 5 * 6
    by_outcome = found.pivot_table(index=["factor", "level_a", "level_b"], columns="outcome", values="difference")
    for outcome in ("unchanged", "unchanged_other", "relative_distance", "mean_absolute"):
        assert by_outcome[outcome].tolist() == pytest.approx(by_outcome["accuracy"].tolist())
    assert by_outcome["mean_correlation"].tolist() == pytest.approx((-by_outcome["accuracy"]).tolist())


def test_data_sets_are_compared_within_a_network():
    asked = wanted(**{name: [named(dataset=name, init="k", optimizer="sgd")] for name in ("d", "e")})
    values = {("d", 0): 0.2, ("d", 1): 0.3, ("e", 0): 0.5, ("e", 1): 0.7}
    found = comparisons.rows(
        asked, {"accuracy": {name: {s: values[name, s] for s in (0, 1)} for name in ("d", "e")}}, {}
    )
    assert [row[:7] for row in found] == [("accuracy", "dataset", "d", "e", None, "n", 2)]
    assert found[0][7] == pytest.approx(0.35) and found[0][-1] == pytest.approx(0.35 / math.sqrt(0.005))
    assert found[0][-2] == found[0][-3], "one test: nothing to correct"


def test_tests_of_a_group(compared):
    """Two seeds of two cells; an outcome that is the same everywhere has a difference of 0 and no test."""
    found = pd.read_csv(compared[0] / "tables" / "tests.csv")
    assert list(found.columns) == schema.names("tests") and set(found["factor"]) == {"optimizer"}
    same = found[found["outcome"] == "unchanged"].iloc[0]
    assert same["n"] == 2 and same["difference"] == 0 and same[["t", "p", "q", "effect"]].isna().all()
    moved = found[found["outcome"] == "relative_distance"].iloc[0]
    assert 0 <= moved["p"] <= moved["q"] <= 1
