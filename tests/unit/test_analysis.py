"""The measures against independent numpy and scipy computations, on small made-up series of snapshots."""

import contextlib
import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
import torch.nn.functional as F

import collect
import measure
from tests.unit import blocks, cells
from tests.unit.tables import read_table
from weight_atlas import cell_table, networks, schema, store
from weight_atlas.analysis import course, evaluation, group
from weight_atlas.analysis.features import activations, feature_correlations, feature_statistics
from weight_atlas.analysis.kernels import torch_kernels
from weight_atlas.analysis.runs import accuracy, summary
from weight_atlas.analysis.weights import movement, statistics, unchanged
from weight_atlas.networks import inputs

SCRIPTS = Path(collect.__file__).parent
CLASSES = 10


def cell(architecture="lenet1", channels=1, size=28, width=1.0, epochs=3, **changes):
    """The settings of a cell."""
    return cells.settings(
        classes=CLASSES,
        input={"channels": channels, "size": size},
        network={"architecture": architecture, "width": width},
        training={"epochs": epochs},
        **changes,
    )


def layers(settings):
    return networks.layer_table(*settings.network_arguments)


def snapshot(table, random, scale=0.1):
    """Random values for every tensor of a table; variances positive, counters whole."""
    tensors = {name: random.normal(0.01, scale, shape).astype("float32") for name, shape in table.parameters()}
    for name, shape in table.buffers():
        values = random.uniform(0.5, 2, shape).astype("float32")
        tensors[name] = np.array(7) if name.endswith("num_batches_tracked") else values
    return tensors


def write_block(folder, cell_id, settings, replicates, series=None):
    """A block: run.json and the snapshots of `series`, {seed: {epoch: tensors}}."""
    for seed, epochs in (series or {}).items():
        for epoch, tensors in epochs.items():
            store.save_tensors(store.snapshot_path(folder, seed, epoch), tensors, {"epoch": epoch})
    blocks.write(folder, cell_id, settings.json, replicates)


def turn(path, at=-1):
    """Turn over one bit of a file."""
    held = bytearray(path.read_bytes())
    held[at] ^= 1
    path.write_bytes(held)


def write_cells(path, rows):
    """A cells.csv of (cell_id, blocks, replicates, card, settings, study and labels), in one group "g"; role and kind
    can be among the labels. Paths are relative to its folder, in which `run` runs what reads it."""
    columns = {}
    for cell_id, folders, replicates, card, settings, labels in rows:
        folders = [folder.relative_to(path.parent) for folder in folders]
        card = card and Path(card).relative_to(path.parent)
        row = {"cell_id": cell_id, "study": "s", "kind": "base", "role": "grid", "dataset": "d", "network": "n"}
        row |= {"init": "i", "optimizer": "o"} | labels
        row |= {"replicates": replicates, "blocks": ";".join(map(str, folders)), "card": card, "group": "g"}
        columns[len(columns)] = row | {"cell": json.dumps(settings.json)}
    pd.DataFrame(columns.values()).to_csv(path, index=False)
    return path


def run(command, folder, flags):
    """Run a command in a folder."""
    with contextlib.chdir(folder):
        command.main(flags)


def replicate(seed, status="done", epochs=3, **other):
    return {"seed": seed, "status": status, "cause": None, "epochs": epochs, "best_epoch": 1} | other


def write_data(folder, count=530, channels=1, size=28, seed=5):
    """A data set of random pictures: (data file, card file, test pictures)."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count + 30, channels, size, size), dtype="uint8")
    split = np.array([0] * 10 + [1] * 20 + [2] * count, dtype="uint8")
    random.shuffle(split)
    tensors = {"images": images, "labels": random.integers(0, CLASSES, len(split)), "split": split}
    store.save_tensors(folder / "made-up.safetensors", tensors)
    card = {
        "dataset_id": "made-up",
        "channels": channels,
        "size": [size, size],
        "counts": {"train": [1] * 10, "valid": [2] * 10, "test": [count // 10] * 10},
        "mean": [0.3, 0.4, 0.5][:channels],
        "std": [0.2, 0.25, 0.3][:channels],
    }
    store.write_json(folder / "made-up.json", card)
    return folder / "made-up.safetensors", folder / "made-up.json", images[split == 2]


def flat(tensors, names):
    """The named tensors as one float64 vector."""
    return np.concatenate([tensors[name].astype("float64").ravel() for name in names])


def torches(tensors):
    return {name: torch.from_numpy(np.array(array, order="C")) for name, array in tensors.items()}


# ------------------------------------------------------------------------------------------------ numbers of a vector


@pytest.mark.parametrize("mean, std", [(0.0, 0.05), (1000.0, 0.01)])
def test_moments_of_a_vector_longer_than_a_chunk(mean, std):
    """Population moments against numpy's float64 ones, with a mean that would cancel in a sum of squares."""
    values = np.random.default_rng(1).normal(mean, std, 2 * torch_kernels.CHUNK + 17).astype("float32")
    wide = values.astype("float64")
    expected = wide.mean(), wide.std(), wide.min(), wide.max(), np.ptp(wide), np.linalg.norm(wide)
    found = statistics.moments(torch.from_numpy(values))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert found[2:5] == expected[2:5]


def test_a_constant_tensor_has_no_spread_and_nan_stays_nan():
    mean, std, low, high, span, norm = statistics.moments(torch.full((1001,), 0.1))
    assert std == 0 and span == 0 and low == high == mean == pytest.approx(0.1)
    assert norm == pytest.approx(math.sqrt(1001) * float(np.float32(0.1)), rel=1e-12)
    values = torch.ones(5)
    values[3] = math.nan
    assert all(math.isnan(value) for value in statistics.moments(values))


def test_sums_are_exact_where_float32_is_not():
    """A tiny step on a large vector: float32 sums would be off in the fourth digit."""
    random = np.random.default_rng(2)
    old = random.normal(0, 1, torch_kernels.CHUNK + 5).astype("float32")
    new = (old + random.normal(0, 1e-4, len(old))).astype("float32")
    a, b = old.astype("float64"), new.astype("float64")
    expected = a @ a, b @ b, a @ b, (b - a) @ (b - a)
    np.testing.assert_allclose(movement.sums(torch.from_numpy(old), torch.from_numpy(new)), expected, rtol=1e-11)


# ------------------------------------------------------------------------------------------------ pictures


def test_pictures_are_padded_before_they_are_normalised():
    images = torch.from_numpy(np.random.default_rng(4).integers(0, 256, (6, 1, 5, 6), dtype="uint8"))
    padded = inputs.fit_images(images, {}, 3, 9)
    expected = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (1, 2))).repeat(3, axis=1)
    assert padded.dtype == torch.uint8 and np.array_equal(padded.numpy(), expected)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    by_hand = (expected / 255 - np.reshape(mean, (1, 3, 1, 1))) / np.reshape(std, (1, 3, 1, 1))
    normal = inputs.normalise(padded, mean, std)
    assert normal.dtype == torch.float32 and np.allclose(normal, by_hand, rtol=1e-5, atol=1e-6)
    assert np.array_equal(padded.numpy(), expected), "normalise must not write to its input"
    one = inputs.normalise(padded, [0.1], [0.5])
    assert np.allclose(one, (expected / 255 - 0.1) / 0.5, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels, size, word", [(3, 4, "4x5"), (1, 9, "channels")])
def test_pictures_that_do_not_fit_are_refused(channels, size, word):
    with pytest.raises(ValueError, match=f"made-up.*{word}"):
        inputs.fit_images(torch.zeros(1, 3, 4, 5, dtype=torch.uint8), {"dataset_id": "made-up"}, channels, size)


# ------------------------------------------------------------------------------------------------ a group, whole


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """ResNet18 at 1/16 of its width with three snapshots (0, 2, 5), measured: (tables, snapshots, layers)."""
    folder = tmp_path_factory.mktemp("resnet")
    settings = cell("resnet18", 3, 32, width=1 / 16, epochs=5, snapshots=[0, 2, 5])
    table = layers(settings)
    random = np.random.default_rng(6)
    series = {epoch: snapshot(table, random) for epoch in (0, 2, 5)}
    for tensors in series.values():
        tensors["layer1.0.bn1.bias"] = np.zeros_like(tensors["layer1.0.bn1.bias"])
        tensors["layer1.0.bn1.weight"] = np.zeros_like(tensors["layer1.0.bn1.weight"])
    series[5]["layer4.1.conv2.weight"][:, :, 0, :] = series[0]["layer4.1.conv2.weight"][:, :, 0, :]
    series[5]["fc.bias"] = series[0]["fc.bias"].copy()
    series[5]["fc.bias"][4] = np.nextafter(series[5]["fc.bias"][4], np.float32(9))
    block = folder / "base-r/seeds_0-4"
    lost = [replicate(seed, "failed", 0, best_epoch=None) for seed in range(4)]
    write_block(block, "base-r", settings, [*lost, replicate(4, epochs=5)], {4: series})
    data, card, _ = write_data(folder, count=40, channels=3, size=32)
    listed = write_cells(folder / "cells.csv", [("base-r", [block], 5, card, settings, {})])
    flags = [f"--cells={listed}", "--group=g", f"--data={data}", f"--card={card}", f"--output={folder / 'out'}"]
    run(measure, folder, flags)
    return {name: schema.read(folder / "out" / f"{name}.csv", name) for name in schema.MEASURES}, series, table


def test_statistics_of_every_tensor(resnet):
    found, series, table = resnet
    found = found["statistics"]
    own = [name for name, _ in [*table.parameters(), *table.buffers()] if not name.endswith("num_batches_tracked")]
    assert len(found) == 3 * len(own) and set(found["layer"] + "." + found["parameter"]) == set(own)
    assert set(found["parameter"]) == {"weight", "bias", "running_mean", "running_var"}
    for row in found.itertuples():
        values = series[row.epoch][f"{row.layer}.{row.parameter}"].astype("float64")
        assert row.size == values.size and (row.cell_id, row.seed) == ("base-r", 4)
        expected = values.mean(), values.std(), values.min(), values.max(), np.ptp(values), np.linalg.norm(values)
        np.testing.assert_allclose(row[7:], expected, rtol=2e-8, atol=1e-12)
        assert np.float32(row.min) == values.min(), "nine digits give a float32 back"


def test_movement_of_every_layer(resnet):
    found, series, table = resnet
    found = found["movement"]
    learnable = [layer for layer in table.layers if layer.parameters]
    names = {layer.name: [f"{layer.name}.{name}" for name in layer.parameters] for layer in learnable}
    names["total"] = [name for name, _ in table.parameters()]
    wanted = [("consecutive", 0, 2), ("start", 0, 2), ("consecutive", 2, 5), ("start", 0, 5)]
    keys = found[["interval", "from_epoch", "to_epoch", "layer"]].itertuples(index=False, name=None)
    assert list(keys) == [(*key, name) for key in wanted for name in names]
    for row in found.itertuples():
        a, b = (flat(series[epoch], names[row.layer]) for epoch in (row.from_epoch, row.to_epoch))
        norms = np.linalg.norm(a), np.linalg.norm(b), np.linalg.norm(b - a)
        np.testing.assert_allclose((row.norm_from, row.norm_to, row.distance), norms, rtol=1e-12)
        if row.layer == "layer1.0.bn1":
            assert row.norm_from == 0 and math.isnan(row.cosine) and math.isnan(row.relative), "undefined, not 0"
        else:
            assert row.cosine == pytest.approx(a @ b / (norms[0] * norms[1]), rel=1e-12)
            assert row.relative == pytest.approx(norms[2] / norms[0], rel=1e-12)


def test_cosine_of_equal_and_opposite_vectors():
    table = layers(cell())
    tensors = torches(snapshot(table, np.random.default_rng(7)))
    for sign in (1, -1):
        rows = movement.rows(table, tensors, {name: sign * tensor for name, tensor in tensors.items()})
        assert all(row[4] == pytest.approx(sign, abs=1e-15) and abs(row[4]) <= 1 for row in rows)
        assert all(row[5] == pytest.approx(1 - sign, abs=1e-15) for row in rows)


def test_unchanged_is_exact_and_structural_is_the_closed_form(resnet):
    found, series, table = resnet
    found = found["unchanged"].set_index(["layer", "parameter"])
    for (layer, parameter), row in found.drop(("total", "all")).iterrows():
        start, last = (series[epoch][f"{layer}.{parameter}"] for epoch in (0, 5))
        assert row["size"] == start.size and row["unchanged"] == np.sum(start == last)
    assert found.loc[("layer4.1.conv2", "weight"), "unchanged"] == 32 * 32 * 3
    assert found.loc[("fc", "bias"), "unchanged"] == CLASSES - 1, "one unit in the last place is a change"
    # On 1x1 maps eight of nine taps meet padding alone; where a stride leads from 2x2 to 1x1, five of nine.
    structural = found.drop(("total", "all"))["taps"]
    ones = ("layer4.0.conv2", "layer4.1.conv1", "layer4.1.conv2")
    expected = {(layer, "weight"): 32 * 32 * 8 for layer in ones} | {("layer4.0.conv1", "weight"): 16 * 32 * 5}
    assert structural[structural > 0].to_dict() == expected
    total = found.loc[("total", "all")]
    columns = ["size", "unchanged", "taps", "structural", "changed"]
    counts = found.drop(("total", "all"))[columns].sum()
    assert found[["dead", "rounding", "returned", "contradicted"]].isna().all(axis=None), "no track file: unknown"
    assert total[counts.index].to_list() == counts.to_list() and total["size"] == table.parameter_count


def test_unchanged_counts_across_chunks():
    start = np.random.default_rng(8).normal(0, 1, torch_kernels.CHUNK + 9).astype("float32")
    last = start.copy()
    last[[0, 77, torch_kernels.CHUNK + 3]] += 1
    found = unchanged.count(torch.from_numpy(start), torch.from_numpy(last))
    assert found == (len(start) - 3, 0, 0, None, None, None, 3, None)


# ------------------------------------------------------------------------------------------------ features


def by_hand(tensors, images, mean, std):
    """LeNet-1's penultimate features of pictures (already padded), by functional calls in float32."""
    weights = torches(tensors)
    x = ((torch.from_numpy(images).double() / 255 - mean) / std).float()
    x = F.max_pool2d(F.relu(F.conv2d(x, weights["conv1.weight"], weights["conv1.bias"])), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, weights["conv2.weight"], weights["conv2.bias"])), 2)
    return x.flatten(1).double().numpy()


def test_features_of_lenet1(tmp_path):
    """Grey 27x27 pictures, a network of 3 channels and 32x32; one of twelve channels is dead: 25 constant features."""
    settings = cell(channels=3, size=32)
    table = layers(settings)
    random = np.random.default_rng(9)
    series = {seed: {epoch: snapshot(table, random) for epoch in range(4)} for seed in (0, 1)}
    for epochs in series.values():
        epochs[3]["conv2.bias"][:] = 0.2
        epochs[3]["conv2.bias"][3] = -1000
    block = tmp_path / "base-l/seeds_0-1"
    write_block(block, "base-l", settings, [replicate(0), replicate(1)], series)
    data, card, images = write_data(tmp_path, size=27)
    asked = [{"cell_id": "base-l", "blocks": [block], "seeds": [0, 1], "cell": settings, "named": []}]
    asked[0] |= {"checkpoints": {}, "measures": []}
    group.measure(asked, data, store.read_json(card), tmp_path / "out")
    found = read_table(tmp_path / "out" / "features.csv")
    assert found["of"].tolist() == ["activations", "weights"] * 2
    active, rows = (found[found["of"] == of].set_index("seed") for of in ("activations", "weights"))
    found = active
    padded = np.pad(images, ((0, 0), (0, 0), (2, 3), (2, 3))).repeat(3, axis=1)
    for seed, epochs in series.items():
        values = by_hand(epochs[3], padded, 0.3, 0.2)
        constant = np.ptp(values, axis=0) == 0
        assert constant.sum() == 25 and found.loc[seed, "constant"] == 25 and found.loc[seed, "features"] == 300
        matrix = np.corrcoef(values[:, ~constant], rowvar=False)
        pairs = matrix[np.triu_indices(275, 1)]
        assert found.loc[seed, "pairs"] == len(pairs) == 275 * 274 / 2
        expected = pairs.mean(), np.abs(pairs).mean(), *np.quantile(pairs, [0.05, 0.25, 0.5, 0.75, 0.95])
        assert found.loc[seed].iloc[5:].to_list() == pytest.approx(expected, rel=1e-4, abs=1e-6)
        own = np.corrcoef(epochs[3]["conv2.weight"].reshape(12, -1).astype("float64"))[np.triu_indices(12, 1)]
        assert rows.loc[seed, ["features", "constant", "pairs"]].tolist() == [12, 0, 66]
        expected = own.mean(), np.abs(own).mean(), *np.quantile(own, [0.05, 0.25, 0.5, 0.75, 0.95])
        assert rows.loc[seed].iloc[5:].to_list() == pytest.approx(expected, rel=1e-12)
        if seed == 0:
            kept = store.load_arrays(tmp_path / "out" / "features.safetensors")
            assert list(kept) == ["base-l/seed0"], "the first replicate only"
            kept = kept["base-l/seed0"]
            assert kept.dtype == np.float16 and np.allclose(kept[np.ix_(~constant, ~constant)], matrix, atol=1e-3)
            assert np.isnan(kept[constant]).all() and np.isnan(kept[:, constant]).all()


def test_weight_rows_leave_out_structural_taps(resnet):
    """The layer that makes ResNet18's features is the block's own; on 1x1 maps only a centre counts."""
    found, series, _ = resnet
    row = found["features"].set_index("of").loc["weights"]
    centre = series[5]["layer4.1.conv2.weight"][:, :, 1, 1].astype("float64")
    pairs = np.corrcoef(centre)[np.triu_indices(32, 1)]
    assert row[["features", "constant", "pairs"]].tolist() == [32, 0, len(pairs)]
    assert row[["mean_correlation", "mean_absolute"]].tolist() == pytest.approx([pairs.mean(), np.abs(pairs).mean()])
    makers = {"lenet1": "conv2", "lenet5": "fc2", "vgg19": "classifier.3", "resnet18": "layer4.1.conv2"}
    for architecture, name in makers.items():
        assert (
            feature_statistics.feature_layer(networks.layer_table({"architecture": architecture}, 1, 32, 10)).name
            == name
        )


def correlations(values):
    """The correlations of features with each other."""
    centred = feature_correlations.Centred(values)
    return feature_correlations.correlation(feature_correlations.product(centred, centred), centred, centred)


def test_features_are_taken_in_eval_mode():
    """Dropout passes everything and running statistics stay as they are: two passes give the same features."""
    from torch import nn

    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, 10))
    images = torch.from_numpy(np.random.default_rng(10).integers(0, 256, (700, 3, 2, 2), dtype="uint8"))
    pictures = evaluation.Images(images, torch.zeros(700), images[:0], [0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
    found, outputs = activations.penultimate(module.train(), "3", pictures)
    expected = inputs.normalise(images, pictures.mean, pictures.std).flatten(1) / math.sqrt(1 + 1e-5)
    assert found.shape == (700, 12) and torch.allclose(found, expected, rtol=1e-5)
    assert torch.equal(module[1].running_mean, torch.zeros(12))
    assert torch.equal(outputs, module[3](found))


def test_of_very_many_features_some_are_taken_evenly_spaced(monkeypatch):
    """The correlations of 200,000 features would be a matrix of 320 GB."""
    from torch import nn

    monkeypatch.setattr(activations, "MOST", 5)
    images = torch.from_numpy(np.random.default_rng(10).integers(0, 256, (40, 3, 2, 2), dtype="uint8"))
    pictures = evaluation.Images(images, torch.zeros(40), images[:0], [0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
    found, outputs = activations.penultimate(nn.Sequential(nn.Flatten(), nn.Linear(12, 10)), "1", pictures)
    every = inputs.normalise(images, pictures.mean, pictures.std).flatten(1)
    assert torch.equal(found, every[:, [0, 2, 4, 7, 9]]) and outputs.shape == (40, 10)


def test_a_feature_that_only_rounds_is_constant():
    random = np.random.default_rng(11)
    values = random.normal(0, 1, (600, 4)).astype("float32")
    values[:, 1] = np.float32(0.3)
    values[::2, 1] = np.nextafter(np.float32(0.3), np.float32(1))
    values[:, 2] = 1e-9 * values[:, 2]
    values[:, 3] = -2 * values[:, 0]
    assert feature_correlations.Centred(torch.from_numpy(values)).constant.tolist() == [False, True, False, False]
    matrix = correlations(torch.from_numpy(values))
    assert torch.isnan(matrix[1]).all() and torch.isnan(matrix[:, 1]).all()
    assert matrix[0, 3] == pytest.approx(-1, abs=1e-12) and matrix.nan_to_num(0).abs().max() <= 1
    assert float(matrix[0, 2]) == pytest.approx(np.corrcoef(values[:, 0], values[:, 2])[0, 1], abs=1e-12)
    assert feature_correlations.describe(matrix)[:3] == (4, 1, 3)


def test_features_without_a_defined_pair_are_undefined():
    counted = feature_correlations.describe(correlations(torch.ones(50, 3)))
    assert counted[:3] == (3, 3, 0) and all(math.isnan(value) for value in counted[3:])


# ------------------------------------------------------------------------------------------------ accuracy

# Of replicate 0, epochs 1 and 3 are equal on validation (8 of 10), epochs 1 and 2 on both sets together (23 of 30);
# epoch 0 is the best on validation, but is no trained epoch.
METRICS = """\
base-a,0,0,,,,,1.50,0.9,1.40,0.10,1,
base-a,0,1,0,0.1,2.0,0.5,1.10,0.8,1.00,0.75,1,50
base-a,0,2,0,0.1,1.5,0.6,0.90,0.6,0.70,0.85,1,50
base-a,0,3,0,0.1,1.0,0.7,1.20,0.8,0.80,0.7,1,50
base-a,1,0,,,,,2.00,0.1,2.10,0.1,1,
base-a,1,1,0,0.1,2.0,0.5,1.00,0.5,1.30,0.4,1,50
base-a,1,2,0,0.1,,0.1,,0.1,,0.05,1,50
base-a,2,0,,,,,2.00,0.1,2.10,0.1,1,
"""


@pytest.fixture
def metrics(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(",".join(schema.names("metrics")) + "\n" + METRICS)
    return path


def read_brutally(path, seed, valid, test):
    """The three protocols by a plain loop over the file."""
    with open(path) as file:
        rows = [row for row in csv.DictReader(file) if int(row["seed"]) == seed]
    numbers = [{key: float(value or "nan") for key, value in row.items() if key != "cell_id"} for row in rows]
    best_valid = best_both = None
    for row in numbers[1:]:
        row["both"] = round(row["valid_accuracy"] * valid) + round(row["test_accuracy"] * test)
        if best_valid is None or row["valid_accuracy"] > best_valid["valid_accuracy"]:
            best_valid = row
        if best_both is None or row["both"] > best_both["both"]:
            best_both = row
    loss = (best_both["valid_loss"] * valid + best_both["test_loss"] * test) / (valid + test)
    return [
        ("last", numbers[-1]["epoch"], numbers[-1]["test_accuracy"], numbers[-1]["test_loss"]),
        ("best_valid", best_valid["epoch"], best_valid["test_accuracy"], best_valid["test_loss"]),
        ("document", best_both["epoch"], best_both["both"] / (valid + test), loss),
    ]


def test_accuracy_by_three_protocols(metrics):
    runs = [("base-a", 0, "done"), ("base-a", 1, "diverged"), ("base-a", 2, "failed"), ("base-b", 0, "missing")]
    found = accuracy.rows(read_table(metrics), runs, {"base-a": (10, 20), "base-b": (10, 20)})
    assert [row[:3] for row in found] == [("base-a", 0, "done")] * 3 + [("base-a", 1, "diverged")] * 3
    for seed in (0, 1):
        for row, expected in zip(found[3 * seed :], read_brutally(metrics, seed, 10, 20), strict=False):
            assert row[3:5] == expected[:2] and row[5:] == pytest.approx(expected[2:], rel=1e-12, nan_ok=True)
    assert [row[4:6] for row in found[:3]] == [(3, 0.7), (1, 0.75), (1, pytest.approx(23 / 30))]
    assert math.isnan(found[3][6]), "the loss of a diverged run stays NaN"


def test_an_untrained_run_has_its_last_epoch_only(metrics):
    frame = read_table(metrics)
    assert accuracy.protocols(frame[frame["seed"] == 2], 10, 20) == [("last", 0, 0.1, 2.1)]


# ------------------------------------------------------------------------------------------------ from blocks to tables


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Two cells measured and collected.

    base-x, in two studies, 3 replicates in two blocks: done, done, failed; its second block holds a seed 3 that was not
    asked for. base-y, 3 replicates: 0 diverged with a NaN in its last snapshot, 1 done, 2 done, and one bit of its
    first snapshot was turned over afterwards.
    """
    folder = tmp_path_factory.mktemp("told")
    settings = cell()
    table = layers(settings)
    random = np.random.default_rng(12)
    names = ("x0", "x1", "x3", "y0", "y1", "y2")
    made = {name: {epoch: snapshot(table, random) for epoch in range(4)} for name in names}
    del made["y0"][3]
    made["y0"][2]["conv2.weight"][0, 0, 0, 0] = np.nan
    x, y = folder / "base-x", folder / "base-y"
    speed = [{"wall_seconds": seconds, "images_per_second": 1000 / seconds} for seconds in (10.0, 12.5, 99.0)]
    first = [replicate(0, **speed[0]), replicate(1, **speed[1])]
    failed = replicate(2, "failed", 0, cause="killed:\nsignal 9", best_epoch=None)
    write_block(x / "seeds_0-1", "base-x", settings, first, {0: made["x0"], 1: made["x1"]})
    write_block(x / "seeds_2-3", "base-x", settings, [failed, replicate(3)], {3: made["x3"]})
    diverged = replicate(0, "diverged", 2, cause="NaN loss in epoch 2", **speed[2])
    write_block(y / "seeds_0-1", "base-y", settings, [diverged, replicate(1)], {0: made["y0"], 1: made["y1"]})
    write_block(y / "seeds_2-2", "base-y", settings, [replicate(2)], {2: made["y2"]})
    turn(store.snapshot_path(y / "seeds_2-2", 2, 0))
    header, body = ",".join(schema.names("metrics")), {}
    for name in names:
        row = f"base-{name[0]},{name[1]},{{}},0,0.1,1,0.95,1,0.5,1.0,{{:.4f}},1,9"
        body[name] = "\n".join(row.format(epoch, random.uniform()) for epoch in range(3 if name == "y0" else 4))
    held = {x / "seeds_0-1": "x0 x1", x / "seeds_2-3": "x3", y / "seeds_0-1": "y0 y1", y / "seeds_2-2": "y2"}
    for path, own in held.items():
        (path / "metrics.csv").write_text("\n".join([header, *(body[name] for name in own.split())]) + "\n")
    data, card, _ = write_data(folder, count=60)
    blocks = {"base-x": [x / "seeds_0-1", x / "seeds_2-3"], "base-y": [y / "seeds_0-1", y / "seeds_2-2"]}
    asked = (("base-x", "one", 2, "sgd"), ("base-y", "one", 3, "adam"), ("base-x", "two", 3, "sgd"))
    rows = [
        (name, blocks[name], count, card, settings, {"study": study, "optimizer": optimizer})
        for name, study, count, optimizer in asked
    ]
    write_cells(folder / "cells.csv", rows)

    def make(output):
        flags = [f"--data={data}", f"--card={card}", f"--output={output / 'measures'}"]
        run(measure, folder, ["--cells=cells.csv", "--group=g", *flags])
        flags = ["--measures", str(output / "measures"), f"--cards={card}", f"--output={output / 'tables'}"]
        run(collect, folder, ["--cells=cells.csv", *flags])
        return output

    return make(folder / "out"), make, made


def read(told, name):
    return read_table(told[0] / "tables" / f"{name}.csv")


def test_a_group_is_a_part_of_cells_csv(told):
    path = told[0].parent / "cells.csv"
    found = {cell["cell_id"]: cell for cell in cell_table.grouped(path, "g")}
    assert list(found) == ["base-x", "base-y"] and found["base-x"]["seeds"] == [0, 1, 2]
    assert found["base-x"]["cell"] == cell() and [Path(x).name for x in found["base-x"]["blocks"]] == [
        "seeds_0-1",
        "seeds_2-3",
    ]
    labels = {"dataset": "d", "network": "n", "init": "i", "optimizer": "sgd"}
    assert found["base-x"]["named"] == [
        {"study": study, "kind": "base", "role": "grid", "labels": labels, "against": {}} for study in ("one", "two")
    ]
    with pytest.raises(ValueError, match="no group 'none'; its groups: g"):
        cell_table.grouped(path, "none")


def test_runs_say_what_became_of_every_replicate(told):
    found = read(told, "runs")
    assert list(found.columns) == schema.names("runs")
    expected = [("base-x", 0, "done"), ("base-x", 1, "done"), ("base-x", 2, "failed")]
    expected += [("base-y", 0, "diverged"), ("base-y", 1, "done"), ("base-y", 2, "missing")]
    assert list(found[["cell_id", "seed", "status"]].itertuples(index=False, name=None)) == expected
    assert found["cause"][2] == "killed:\nsignal 9"
    assert "seed2/epoch_0.safetensors was altered" in found["cause"][5] and found["torch"].eq("2.15.0").all()
    assert found["epochs"].tolist()[:4] == [3, 3, 0, 2]


def test_tables_hold_what_is_asked_for_in_order(told):
    seeds = read(told, "metrics")[["cell_id", "seed", "epoch"]].itertuples(index=False, name=None)
    expected = [("base-x", seed, epoch) for seed in (0, 1) for epoch in range(4)]
    expected += [("base-y", 0, epoch) for epoch in range(3)] + [
        ("base-y", seed, epoch) for seed in (1, 2) for epoch in range(4)
    ]
    assert list(seeds) == expected, "seed 3 is in a block but was not asked for"
    for name in schema.MEASURES:
        assert (told[0] / "tables" / f"{name}.csv").read_bytes() == (told[0] / "measures" / f"{name}.csv").read_bytes()


def test_a_diverged_replicate_is_measured_where_it_is_finite(told):
    found = read(told, "statistics")
    found = found[(found["cell_id"] == "base-y") & (found["seed"] == 0)].set_index(["epoch", "layer", "parameter"])
    assert set(found.index.get_level_values("epoch")) == {0, 1, 2}
    assert found.loc[(2, "conv2", "weight"), "mean":].isna().all()
    assert found.drop((2, "conv2", "weight"))["norm"].notna().all()
    moved = read(told, "movement")
    moved = moved[(moved["cell_id"] == "base-y") & (moved["seed"] == 0)]
    assert set(moved["to_epoch"]) == {1} and moved["distance"].notna().all()
    for name in ("unchanged", "tolerance", "features"):
        found = read(told, name)[["cell_id", "seed"]].drop_duplicates()
        assert list(found.itertuples(index=False, name=None)) == [("base-x", 0), ("base-x", 1), ("base-y", 1)]


def test_a_diverged_replicate_with_finite_snapshots_has_no_last_epoch(tmp_path):
    """What compares with the last epoch is left out: it was never reached."""
    settings, random = cell(), np.random.default_rng(14)
    series = {0: {epoch: snapshot(layers(settings), random) for epoch in (0, 1)}}
    block = tmp_path / "base-d/seeds_0-0"
    write_block(block, "base-d", settings, [replicate(0, "diverged", 2)], series)
    data, card, _ = write_data(tmp_path, count=20)
    asked = [{"cell_id": "base-d", "blocks": [block], "seeds": [0], "cell": settings, "named": []}]
    asked[0] |= {"checkpoints": {}, "measures": []}
    group.measure(asked, data, store.read_json(card), tmp_path)
    counts = {name: len(schema.rows(tmp_path / f"{name}.csv", name)) for name in schema.MEASURES}
    expected = {"statistics": 2 * 6, "movement": 2 * 4, "parameters": 6 + 1}
    assert counts == dict.fromkeys(schema.MEASURES, 0) | expected


def test_summary_averages_finished_replicates_only(told):
    found = read(told, "summary").set_index(["cell_id", "measure", "key"]).sort_index()
    unknown = found.index.get_level_values("measure").isin(["dead", "rounding", "returned"])
    assert (found.loc[unknown, "n"] == 0).all(), "no track file"
    assert (found["of"] == 3).all() and set(found[~unknown].loc["base-x", "n"]) == {2}
    status = read(told, "runs")
    speed = status[status["cell_id"] == "base-x"]["wall_seconds"].dropna()
    assert found.loc[("base-x", "wall_seconds", "run"), "mean"] == speed.mean() == 11.25
    assert found.loc[("base-y", "wall_seconds", "run"), "n"] == 0, "the diverged run's seconds do not count"
    listed = read(told, "accuracy")
    assert listed[listed["status"] == "diverged"]["protocol"].tolist() == ["last", "best_valid", "document"]
    for protocol in ("last", "best_valid", "document"):
        own = listed[(listed["protocol"] == protocol) & (listed["status"] == "done")]
        for cell_id in ("base-x", "base-y"):
            check(found.loc[(cell_id, "accuracy", protocol)], own[own["cell_id"] == cell_id]["accuracy"])


def test_summary_of_weights_against_numpy(told):
    found = read(told, "summary").set_index(["cell_id", "measure", "key"]).sort_index()
    _, _, made = told
    names = [name for name, _ in layers(cell()).parameters()]
    vectors = {name: [flat(made[name][epoch], names) for epoch in range(4)] for name in ("x0", "x1")}
    for epoch in range(3):
        own = [np.linalg.norm(v[epoch + 1] - v[epoch]) for v in vectors.values()]
        check(found.loc[("base-x", "distance", f"{epoch}-{epoch + 1}")], own)
    distance = [np.linalg.norm(v[3] - v[0]) for v in vectors.values()]
    start, end = ([np.linalg.norm(v[epoch]) for v in vectors.values()] for epoch in (0, 3))
    cosine = [v[0] @ v[3] / (a * b) for v, a, b in zip(vectors.values(), start, end, strict=True)]
    check(found.loc[("base-x", "distance_from_start", "total")], distance)
    check(found.loc[("base-x", "relative_from_start", "total")], np.divide(distance, start))
    check(found.loc[("base-x", "cosine_from_start", "total")], cosine)
    check(found.loc[("base-x", "norm_at_end", "total")], end)
    check(found.loc[("base-x", "unchanged", "total")], [np.mean(v[0] == v[3]) for v in vectors.values()])
    check(found.loc[("base-x", "changed", "total")], [np.mean(v[0] != v[3]) for v in vectors.values()])
    for name, value in (("structural", 0.0), ("taps", 0.0), ("effective", 1.0)):
        check(found.loc[("base-x", name, "total")], [value, value])
    own = read(told, "features")
    own = own[(own["cell_id"] == "base-x") & (own["of"] == "activations")]
    for name in ("mean_correlation", "mean_absolute"):
        check(found.loc[("base-x", name, "features")], own[name])
    assert list(found.loc["base-x"].loc["distance"].index) == ["0-1", "1-2", "2-3"]


def check(row, values):
    """A row of summary.csv against scipy's interval of these values."""
    values = np.asarray(values, float)
    assert row["n"] == len(values) and row["mean"] == pytest.approx(values.mean(), rel=1e-12)
    if len(values) > 1 and not np.ptp(values):
        assert row["std"] == 0 and row[["low", "high"]].isna().all(), "equal values have no interval"
    elif len(values) > 1:
        half = scipy.stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
        expected = [values.mean() - half, values.mean() + half, values.std(ddof=1)]
        assert row[["low", "high", "std"]].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-15)
    else:
        assert row[["low", "high", "std"]].isna().all()


def test_the_same_inputs_give_the_same_files(told, tmp_path):
    again = told[1](tmp_path)
    files = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert len(files) == len(schema.MEASURES) + 2 + len(schema.COLLECTED) + 1  # and the data dictionary
    for path in files:
        assert (again / path).read_bytes() == (told[0] / path).read_bytes(), path


def test_a_config_whose_runs_all_failed_has_tables(tmp_path):
    failed = [replicate(seed, "failed", 0, cause="no memory") for seed in (0, 1)]
    block = tmp_path / "base-f/seeds_0-1"
    write_block(block, "base-f", cell(), failed)
    data, card, _ = write_data(tmp_path, count=20)
    entry = {"blocks": [str(block)], "seeds": [0, 1], "card": card, "cell": cell(), "named": []}
    group.measure([{"cell_id": "base-f"} | entry], data, store.read_json(card), tmp_path / "measures")
    for name in ("features", "pairs"):
        assert store.load_arrays(tmp_path / "measures" / f"{name}.safetensors") == {}
    collect.collect({"base-f": entry}, [tmp_path / "measures"], [card], tmp_path / "tables")
    found = read_table(tmp_path / "tables" / "summary.csv")
    assert (found["n"] == 0).all() and (found["of"] == 2).all() and found["mean"].isna().all()
    assert len(found) == len(summary.ALWAYS) == 19
    assert len(read_table(tmp_path / "tables" / "tests.csv")) == 0
    assert len(read_table(tmp_path / "tables" / "accuracy.csv")) == 0


@pytest.mark.parametrize(
    "snapshots, status, epochs, there, expected",
    [
        ("all", "done", 2, [0, 1, 2], [0, 1, 2]),
        ("all", "done", 2, [0, 1, 2, 3], [0, 1, 2]),
        ("ends", "done", 3, [0, 2, 3], [0, 3]),
        ([2, 9], "done", 4, [0, 2, 4], [0, 2, 4]),
        ("all", "done", 2, [0, 2], "no snapshot of epoch 1"),
        ("all", "diverged", 3, [0, 1], [0, 1]),
        ("all", "diverged", 1, [], "no snapshots"),
        ("all", "failed", 0, [0], "status failed"),
    ],
)
def test_which_snapshots_are_measured(tmp_path, snapshots, status, epochs, there, expected):
    for epoch in there:
        store.save_tensors(store.snapshot_path(tmp_path, 0, epoch), {"x": np.zeros(1)})
    found, why = course.available(cell(snapshots=snapshots), tmp_path, replicate(0, status, epochs))
    assert (why if found is None else found) == expected


def test_given_checkpoints_begin_at_any_epoch(tmp_path):
    for epoch in (3, 5):
        store.save_tensors(store.snapshot_path(tmp_path, 0, epoch), {"x": np.zeros(1)})
    one = cell(snapshots=[3, 5], start={"kind": "given"})
    assert course.available(one, tmp_path, replicate(0, "done", 5)) == ([3, 5], None)


def test_a_snapshot_of_another_network_is_refused(tmp_path):
    tensors = torches(snapshot(layers(cell()), np.random.default_rng(13)))
    with pytest.raises(ValueError, match="conv3.weight|fc1.weight"):
        statistics.rows(layers(cell("lenet5", size=32)), tensors)
    with pytest.raises(ValueError, match="conv1.weight is .* in the snapshot"):
        unchanged.rows(layers(cell(channels=3)), tensors, tensors)


def test_a_table_with_other_columns_is_refused(tmp_path):
    path = tmp_path / "features.csv"
    path.write_text("cell_id,seed\n")
    with pytest.raises(ValueError, match="features.csv: columns cell_id,seed; allowed: cell_id,seed,of,features"):
        schema.rows(path, "features")


def test_collecting_imports_no_torch():
    code = "import sys; import collect; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS).returncode == 0
