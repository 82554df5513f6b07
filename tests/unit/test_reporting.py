"""Exhibits: the numbers behind them, their words, their bytes, and what they do with failed and undefined cells."""

import io
import itertools
import json
import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as tree
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import draw
from tests.unit import summaries, told
from tests.unit.cells import record
from tests.unit.tables import complete, write_table
from weight_atlas import schema
from weight_atlas.reporting.exhibits import data as pictures
from weight_atlas.reporting.exhibits.design import factors
from weight_atlas.reporting.exhibits.features import features, pairs
from weight_atlas.reporting.exhibits.runs import beside, runs, study
from weight_atlas.reporting.exhibits.weights import answers, norms, statistics, unchanged
from weight_atlas.reporting.grammar import dots, exhibit, heatmaps, panels, style
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.settings import IMAGENET
from weight_atlas.store import save_tensors, write_json

SCRIPTS = Path(__file__).parents[2] / "scripts"
INITS, OPTIMIZERS = ("kaiming_uniform", "kaiming_normal", "pretrained"), ("sgd", "adam")
NETWORKS = {
    "lenet5": {"conv1": 156, "conv2": 2416, "fc1": 48120, "fc2": 10164, "fc3": 850},
    "resnet18-quarter": {
        "conv1": 2352,
        "bn1": 32,
        **{
            f"layer{stage}.{block}.{kind}{i}": (9 * width * width if kind == "conv" else 2 * width)
            for stage, width in enumerate((16, 32, 64, 128), 1)
            for block in (0, 1)
            for i in (1, 2)
            for kind in ("conv", "bn")
        },
        "fc": 1290,
    },
    "vgg19-eighth": {f"features.{i}": 9 * 64 * 64 for i in range(0, 16, 2)} | {"classifier.6": 5130},
}
ARCHITECTURES = {"lenet5": "lenet5", "resnet18-quarter": "resnet18", "vgg19-eighth": "vgg19"}
EPOCHS = 5
DIVERGED = ("digits", "lenet5", "kaiming_normal", "sgd")
FAILED = ("fashion", "vgg19-eighth", "pretrained", "adam")


def cell_table(datasets, networks, inits, optimizers, replicates, study="dynamics"):
    """cells.csv as a DataFrame."""
    rows = []
    for place, (dataset, network, init, optimizer) in enumerate(
        (d, n, i, o) for d in datasets for n in networks for i in inits for o in optimizers
    ):
        rows.append(
            {
                "cell_id": f"base-{dataset}-{network}-{place:08x}",
                "study": study,
                "kind": "base",
                "role": "grid",
                "dataset": dataset,
                "network": network,
                "init": init,
                "optimizer": optimizer,
                "replicates": replicates,
                "blocks": "",
                "parent": "",
                "group": f"{dataset}-{network}",
                "dataset_id": dataset,
                "card": f"data/{dataset}.json",
                "data": f"data/{dataset}.safetensors",
                "parameters": sum(NETWORKS[network].values()),
                "cell": json.dumps(settings(dataset, network, optimizer)),
            }
        )
    return pd.DataFrame(rows)


def settings(dataset, network, optimizer):
    """A resolved cell, as far as exhibits and claims read it."""
    width = {"quarter": 0.25, "eighth": 0.125}.get(network.partition("-")[2], 1.0)
    return record(
        dataset_id=dataset,
        input={"size": 32},
        network={"architecture": ARCHITECTURES.get(network, network), "width": width},
        training={"epochs": EPOCHS, "optimizer": {"type": optimizer, "lr": 0.01}},
    )


def sample(
    folder, datasets=("digits", "fashion"), networks=tuple(NETWORKS), inits=INITS, optimizers=OPTIMIZERS, **more
):
    """Write cells.csv, tables/ and measures/ with plausible random numbers below `folder`; returns the cells."""
    seeds = more.get("seeds", 3)
    cells = cell_table(datasets, networks, inits, optimizers, seeds)
    random = np.random.default_rng(7)
    rows = {name: [] for name in TABLES}
    matrices = {}
    for cell in cells.itertuples():
        key = (cell.dataset, cell.network, cell.init, cell.optimizer)
        for seed in range(seeds):
            status = "diverged" if key == DIVERGED and seed == 2 else "failed" if key == FAILED else "done"
            one_run(rows, matrices, cell, seed, status, random)
    crossed = compare(rows, cells, seeds, random)
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    write_table(folder / "cells.csv", cells)
    for name, found in rows.items():
        write_table(folder / "tables" / f"{name}.csv", pd.DataFrame(found))
    summaries.write(folder / "tables")
    complete(folder / "tables")
    for group, found in matrices.items():
        save_tensors(folder / "measures" / group / "features.safetensors", found)
        save_tensors(folder / "measures" / group / "pairs.safetensors", crossed.get(group, {}))
    return cells


TABLES = ("accuracy", "metrics", "runs", "statistics", "movement", "unchanged", "parameters", "tolerance", "features",
          "pairs", "tests")  # fmt: skip
CRITERIA = {"ulp": (0, 1, 64, 4096), "relative": (0, 1e-6, 1e-2, 1e-1), "absolute": (1e-8, 1e-4, 1e-1)}


def compare(rows, cells, seeds, random):
    """Append pairs and tests; returns {group: {key of pairs.safetensors: matrix}}."""
    finished = {(run["cell_id"], run["seed"]) for run in rows["runs"] if run["status"] == "done"}
    matrices = {}
    for (group, network), own in cells.groupby(["group", "network"], sort=False):
        models = [(cell, cell, "seed", a, b) for cell in own.itertuples() for a in range(seeds) for b in range(a)]
        for factor, other in (("init", "optimizer"), ("optimizer", "init")):
            for _, level in own.groupby(other, sort=False):
                two = list(level.itertuples())
                models += [(a, b, factor, seed, seed) for i, a in enumerate(two) for b in two[i + 1 :]
                           for seed in range(seeds)]  # fmt: skip
        kept = set()
        for a, b, factor, first, second in models:
            if not {(a.cell_id, first), (b.cell_id, second)} <= finished:
                continue
            levels = (str(first), str(second)) if factor == "seed" else (getattr(a, factor), getattr(b, factor))
            place = random.uniform(0.3, 0.6) if factor == "optimizer" else random.uniform(-0.05, 0.05)
            row = dict(
                zip(("cell_a", "seed_a", "cell_b", "seed_b"), (a.cell_id, first, b.cell_id, second), strict=True)
            )
            row |= {"factor": factor, "level_a": levels[0], "level_b": levels[1], "norm_a": 21.0, "norm_b": 22.0}
            row |= {"distance": 5.0, "cosine": 0.97, "cka": random.uniform(0.7, 0.95), "agreement": 0.97}
            row |= {"correlation": place, "matched": random.uniform(0.5, 0.7), "in_place": 0.1, "features": 84}
            rows["pairs"].append(row | {"constant": 0})
            kind = factor if factor == "seed" else (factor, *levels)
            if kind not in kept:
                kept.add(kind)
                size = FEATURES[network]
                matrix = random.uniform(-0.4, 0.4, size=(size, size))
                matrix[np.arange(size), random.permutation(size)] = 0.9
                key = f"{a.cell_id}/seed{first}|{b.cell_id}/seed{second}"
                matrices.setdefault(group, {})[key] = matrix.astype(np.float16)
    places = cells.drop_duplicates(["dataset", "network"])
    for outcome in factors.OUTCOMES:
        for factor in ("init", "optimizer"):
            levels = list(dict.fromkeys(cells[factor]))
            for place in places.itertuples():
                for a, b in zip(levels, levels[1:], strict=False):
                    centre, half = random.normal(0, 0.02), random.uniform(0.001, 0.05)
                    row = {"outcome": outcome, "factor": factor, "level_a": a, "level_b": b, "dataset": place.dataset}
                    row |= {"network": place.network, "n": seeds, "difference": centre, "low": centre - half}
                    row |= {"high": centre + half, "t": 2.0, "p": random.uniform(0, 0.2), "q": random.uniform(0, 0.3)}
                    rows["tests"].append(row | {"effect": centre / half})
    return matrices


def one_run(rows, matrices, cell, seed, status, random):
    """Append one replicate's rows to every table."""
    front = {"cell_id": cell.cell_id, "seed": seed}
    adam, digits = cell.optimizer == "adam", cell.dataset == "digits"
    rows["runs"].append({**front, "status": status, "cause": "", "epochs": EPOCHS, "best_epoch": 4})
    if status == "failed":
        return
    end = (0.935 if digits else 0.80) + 0.02 * adam + random.normal(0, 0.006) + 0.01 * (cell.network != "lenet5")
    end += 0.015 * INITS.index(cell.init)
    speed = 0.6 + 0.4 * INITS.index(cell.init) + 0.5 * adam + random.normal(0, 0.05)
    for epoch in range(EPOCHS + 1):
        rise = 1 - math.exp(-speed * epoch)
        test = 0.1 + (end - 0.1) * rise + random.normal(0, 0.003)
        row = {"epoch": epoch, "stage": 0, "rate": 0.01, "train_loss": 2.3 * math.exp(-1.2 * speed * epoch) + 0.01}
        row |= {"train_accuracy": min(1, test + 0.02 * epoch / 5), "test_accuracy": test}
        row |= {"test_loss": 2.4 * (1.05 - rise), "valid_accuracy": test + random.normal(0, 0.006)}
        row |= {"valid_loss": row["test_loss"] * random.uniform(0.95, 1.1)}
        if epoch == 0:
            row |= {"train_loss": math.nan, "train_accuracy": math.nan, "rate": math.nan}
        if status == "diverged" and epoch == 3:
            row |= {"test_loss": math.nan, "train_loss": math.nan, "valid_loss": math.nan}
        rows["metrics"].append({**front, **row})
        if status == "diverged" and epoch == 3:
            break
    for protocol, plus in (("last", 0), ("best_valid", 0.002), ("document", 0.005)):
        accuracy = math.nan if status == "diverged" else end + plus
        rows["accuracy"].append({**front, "status": status, "protocol": protocol, "epoch": 5, "accuracy": accuracy})
    if status == "diverged":
        return
    pace = (2.2 if adam else 0.35) * random.uniform(0.95, 1.05)
    for layer, size in NETWORKS[cell.network].items():
        batchnorm = "bn" in layer
        for parameter, share in (("weight", 0.95), ("bias", 0.05)):
            if parameter == "bias" and "conv" in layer and cell.network.startswith("resnet"):
                continue
            for epoch in (0, EPOCHS):
                spread = 3 / size**0.5 * random.uniform(0.8, 1.2)
                std = 0 if epoch == 0 and (batchnorm or parameter == "bias") else spread
                mean = (1.0 if batchnorm and parameter == "weight" else 0.0) + (epoch > 0) * random.normal(0, std / 9)
                values = {"size": int(size * share), "mean": mean, "std": std, "range": 6 * std}
                rows["statistics"].append({**front, "epoch": epoch, "layer": layer, "parameter": parameter, **values})
    for layer in (*NETWORKS[cell.network], "total"):
        norm = {"lenet5": 21.0, "resnet18-quarter": 60.0}.get(cell.network, 83.0)
        norm = norm if layer == "total" else random.uniform(1, norm / 2)
        way = 0.0
        for epoch in range(1, EPOCHS + 1):
            step = pace * norm**0.5 / 5 * math.exp(-0.4 * epoch) * random.uniform(0.9, 1.1)
            way = math.hypot(way, step) * 1.05
            spans = [("consecutive", epoch - 1, step), ("start", 0, way)]
            for interval, begin, distance in spans:
                values = {"layer": layer, "from_epoch": begin, "to_epoch": epoch, "interval": interval}
                values |= {"norm_from": norm, "norm_to": math.hypot(norm, distance), "distance": distance}
                values |= {"cosine": 1 - (distance / norm) ** 2 / 2, "relative": distance / norm}
                rows["movement"].append({**front, **values})
    sizes, structural, still = 0, 0, 0
    for layer, size in NETWORKS[cell.network].items():
        closed = int(size * 8 / 9) if layer.startswith("layer4") and "conv" in layer else 0
        stays = closed + (20 * int(random.integers(0, 9)) if cell.network.startswith("vgg") else 0)
        rows["unchanged"].append({**front, "layer": layer, "parameter": "weight", **classes(size, stays, closed)})
        sizes, structural, still = sizes + size, structural + closed, still + stays
    rows["unchanged"].append({**front, "layer": "total", "parameter": "all", **classes(sizes, still, structural)})
    if seed == 0:
        tied = sizes // 2 if cell.network.startswith("vgg") else 0
        row = {"size": sizes, "structural": structural, "tied": tied, "effective": sizes - structural - tied}
        rows["parameters"].append({"cell_id": cell.cell_id, "layer": "total", "parameter": "all", **row})
    for criterion, bounds in CRITERIA.items():
        for place, bound in enumerate(bounds):
            share = 1 - (place / len(bounds)) ** 2 * random.uniform(0.8, 1)
            row = {"layer": "total", "criterion": criterion, "tolerance": bound, "size": sizes}
            rows["tolerance"].append({**front, **row, "changed": int((sizes - still) * share)})
    features = FEATURES[cell.network]
    latent = random.normal(size=(400, 10))
    mixed = np.maximum(latent @ random.normal(size=(10, features)) * (1.3 if adam else 0.7), 0)
    matrix = np.corrcoef((mixed + random.normal(size=mixed.shape)).T)
    if cell.network == "vgg19-eighth":
        matrix[:7], matrix[:, :7] = math.nan, math.nan
    pairs = matrix[np.triu_indices(features, 1)]
    pairs = pairs[np.isfinite(pairs)]
    values = {"features": features, "constant": int(np.isnan(np.diag(matrix)).sum()), "pairs": len(pairs)}
    values |= {"mean_correlation": pairs.mean(), "mean_absolute": np.abs(pairs).mean()}
    rows["features"].append({**front, "of": "activations", **values})
    rows["features"].append({**front, "of": "weights", **values, "mean_correlation": 0.001, "mean_absolute": 0.07})
    if seed == 0:
        matrices.setdefault(cell.group, {})[f"{cell.cell_id}/seed{seed}"] = matrix.astype(np.float16)


FEATURES = {"lenet5": 84, "resnet18-quarter": 128, "vgg19-eighth": 600}


def classes(size, unchanged, structural):
    """The columns of unchanged.csv: of what is unchanged and not structural, a third returned, others dead."""
    returned = (unchanged - structural) // 3
    row = {"size": size, "unchanged": unchanged, "taps": structural, "structural": structural, "rounding": 0}
    row |= {"dead": unchanged - structural - returned, "returned": returned, "changed": size - unchanged}
    return row | {"contradicted": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two data sets, three networks, two starts, two optimizers; one diverged replicate and one failed cell."""
    folder = tmp_path_factory.mktemp("tell")
    sample(folder, inits=("kaiming_normal", "pretrained"))
    return folder


@pytest.fixture(scope="module")
def tables(folder):
    return Tables("dynamics", folder / "cells.csv", folder / "tables", folder / "measures")


@pytest.fixture(scope="module")
def chapter(tables):
    return told.told(tables, "dynamics")


@pytest.fixture(scope="module")
def exhibits(chapter):
    return {item.name: item for item in chapter.exhibits}


@pytest.fixture
def small(tmp_path):
    """One network on one data set, two optimizers, two replicates: quick to draw."""
    sample(tmp_path, datasets=("fashion",), networks=("lenet5",), inits=("pretrained",), seeds=2)
    return tmp_path


def opened(folder):
    """The Tables of a folder, its summary.csv that of the other tables as they are now."""
    summaries.write(folder / "tables")
    return Tables("dynamics", folder / "cells.csv", folder / "tables", folder / "measures")


def raw(folder, name):
    """A table without the replicates that did not finish, read afresh."""
    status = pd.read_csv(folder / "tables" / "runs.csv").set_index(["cell_id", "seed"])["status"]
    frame = pd.read_csv(folder / "tables" / f"{name}.csv")
    return frame[[status[key] == "done" for key in zip(frame["cell_id"], frame["seed"], strict=True)]]


def interval(values):
    """Mean and 95 % t interval by scipy's own distribution object, in float64."""
    values = np.asarray(values, dtype=float)
    mean = values.mean()
    if len(values) < 2 or np.ptp(values) == 0:
        return len(values), mean, math.nan, math.nan
    low, high = stats.t(len(values) - 1, loc=mean, scale=values.std(ddof=1) / math.sqrt(len(values))).interval(0.95)
    return len(values), mean, low, high


def check(data, by, raw_rows, value, most=np.inf):
    """Every row of `data` (n, mean, low, high) against `interval` of the raw rows with the same `by` columns."""
    assert len(data) == len(raw_rows.groupby(by))
    for row in data.to_dict("records"):
        own = raw_rows
        for column in by:
            own = own[own[column] == row[column]]
        n, mean, low, high = interval(own[value])
        expected = [n, mean, max(low, 0) if most < np.inf else low, min(high, most)]
        found = [row[column] for column in ("n", "mean", "low", "high")]
        np.testing.assert_allclose(found, expected, rtol=1e-9, equal_nan=True)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


# --- numbers


def test_accuracy_numbers(folder, exhibits):
    check(exhibits["accuracy"].data, ["cell_id", "protocol"], raw(folder, "accuracy"), "accuracy", most=1)


def test_accuracy_table_prints_the_same_numbers(folder, exhibits):
    found = raw(folder, "accuracy")
    table, cells = exhibits["accuracy-table"].data, pd.read_csv(folder / "cells.csv")
    assert len(table) == len(cells)
    for row, cell in zip(table.to_dict("records"), cells.to_dict("records"), strict=True):
        assert (row["data set"], row["network"], row["start"]) == (cell["dataset"], cell["network"], cell["init"])
        own = found[(found["cell_id"] == cell["cell_id"]) & (found["protocol"] == "best_valid")]["accuracy"]
        if len(own):
            _, mean, low, high = interval(own * 100)
            inside = f"± {(high - low) / 2:.1f}" if high <= 100 else f"[{low:.1f}, 100]"
            assert row["best validation"] == f"{mean:.1f} {inside}"
        else:
            assert row["best validation"] == "none"
            assert row["done"] == "0 of 3 (3 failed)"
    assert exhibits["accuracy-table"].columns == list(table.columns)


def test_accuracy_stands_beside_the_largest_class_and_beside_leaks(folder):
    tables = Tables("dynamics", folder / "cells.csv", folder / "tables", folder / "measures")
    tables.cards = {
        name: {"counts": {"test": [30, 10]}, "repeats": {"test_in_train": 10 * place, "test_in_valid": 4 * place}}
        for place, name in enumerate(sorted(set(tables.cells["dataset_id"])))
    }
    label = dict(zip(tables.cells["dataset_id"], tables.cells["dataset"], strict=True))
    clean, leaky = (label[name] for name in tables.cards)
    (figure,), (table,) = runs.accuracy(tables), runs.accuracy_table(tables)
    for text in (figure.caption, table.caption):
        for name in (clean, leaky):
            assert f"75.0 % on {name}" in text
        assert (
            f"Not all of this is about new images: 10 of 40 test images of {leaky} (25.0 %) are training images too "
            f"and 4 of 40 test images of {leaky} (10.0 %) are validation images too."
        ) in text
        assert f"test images of {clean}" not in text
    assert "untouched" not in figure.caption
    for card in tables.cards.values():
        card["repeats"] = {"test_in_train": 0, "test_in_valid": 0, "within": 3}
    (figure,) = runs.accuracy(tables)
    assert "both on the untouched test set" in figure.caption
    assert "new images" not in figure.caption


def test_accuracy_says_what_images_were_normalised_by(folder):
    tables = Tables("dynamics", folder / "cells.csv", folder / "tables", folder / "measures")
    assert "ormalised" not in runs.accuracy(tables)[0].caption
    for cell in tables.cells.itertuples():
        if cell.init == "pretrained":
            settings = tables.settings[cell.cell_id]
            tables.settings[cell.cell_id] = replace(settings, input=replace(settings.input, **IMAGENET))
    said = beside.normalised(tables)
    assert said == (
        "Images are normalised by ImageNet's mean and standard deviation for pretrained · sgd and pretrained · adam; "
        "by the data set's own mean and standard deviation for kaiming_normal · sgd and kaiming_normal · adam."
    )
    for made in (runs.accuracy(tables), runs.accuracy_table(tables)):
        assert said in made[0].caption
    tables.cells["kind"] = "given"
    assert "Given weights without the key normalise are evaluated by" in runs.accuracy(tables)[0].caption


def test_training_numbers_keep_what_a_diverged_replicate_reached(folder, exhibits):
    metrics = pd.read_csv(folder / "tables" / "metrics.csv")
    data = exhibits["training-curves-digits"].data
    cell = metrics.loc[metrics["cell_id"].str.startswith("base-digits-lenet5"), "cell_id"].iloc[0]
    own = data[(data["cell_id"] == cell) & (data["quantity"] == "test_accuracy")].set_index("epoch")
    rows = metrics[metrics["cell_id"] == cell]
    assert own["n"].tolist() == [3, 3, 3, 3, 2, 2]  # seed 2 ended at epoch 3
    for epoch in range(EPOCHS + 1):
        expected = interval(rows.loc[rows["epoch"] == epoch, "test_accuracy"])
        np.testing.assert_allclose(own.loc[epoch, ["n", "mean", "low", "high"]].astype(float), expected, rtol=1e-9)
    losses = data[(data["cell_id"] == cell) & (data["quantity"] == "test_loss")].set_index("epoch")
    assert losses.loc[3, "n"] == 2  # not a number in the third, and not in the mean


def test_movement_numbers(folder, exhibits):
    moved = raw(folder, "movement")
    total, layers = moved[moved["layer"] == "total"], moved[moved["layer"] != "total"]
    check(exhibits["movement"].data, ["cell_id", "to_epoch"], total[total["interval"] == "start"], "distance")
    steps = total[total["interval"] == "consecutive"]
    check(exhibits["interval-norms"].data, ["cell_id", "from_epoch", "to_epoch"], steps, "distance")
    ends = layers[(layers["interval"] == "start") & (layers["to_epoch"] == EPOCHS)]
    check(exhibits["movement-layers"].data, ["cell_id", "layer"], ends, "relative")
    check(exhibits["rotation"].data, ["cell_id", "layer"], ends, "cosine")
    turned = exhibits["rotation"].data.dropna()
    np.testing.assert_allclose(np.cos(np.radians(turned["angle"])), turned["mean"], rtol=1e-9)


def test_norms_table(folder, exhibits):
    moved = raw(folder, "movement")
    moved = moved[(moved["layer"] == "total") & (moved["interval"] == "start") & (moved["to_epoch"] == EPOCHS)]
    table, cells = exhibits["norms"].data, pd.read_csv(folder / "cells.csv")
    for row, cell in zip(table.to_dict("records"), cells["cell_id"], strict=True):
        own = moved[moved["cell_id"] == cell]
        if own.empty:
            assert row["‖θ − θ₀‖"] == "none"
            continue
        _, mean, low, high = interval(own["distance"])
        printed = [float(text) for text in row["‖θ − θ₀‖"].split(" ± ")]
        np.testing.assert_allclose(printed[0], mean, rtol=6e-3)
        np.testing.assert_allclose(printed[1], (high - low) / 2, atol=0.006)
        assert row["cosine"].startswith(f"{own['cosine'].mean():.3f} ± ")


def test_unchanged_classes_add_up(folder, exhibits):
    """Shares of every class from the layers' rows rather than the total; together they are everything."""
    rows = raw(folder, "unchanged")
    layers = rows[rows["layer"] != "total"]
    names = ["structural", "dead", "rounding", "returned", "changed"]
    for row in exhibits["unchanged"].data.to_dict("records"):
        own = layers[layers["cell_id"] == row["cell_id"]].groupby("seed")[["size", "unchanged", *names]].sum()
        share = own["unchanged"] / own["size"]
        np.testing.assert_allclose([row["n"], row["unchanged"], row["low"], row["high"]], interval(share), atol=1e-12)
        assert row["structural"] == pytest.approx((own["structural"] / own["size"]).mean())
        assert row["dead"] + row["returned"] == pytest.approx(
            ((own["dead"] + own["returned"]) / own["size"]).mean(), abs=1e-4
        )
        assert row["unknown"] == 0
        assert sum(row[name] for name in names) == pytest.approx(1)


def test_unchanged_by_layer(folder, exhibits):
    """The classes of a layer, means over cells and replicates; wholly changed layers are left out and told."""
    rows = raw(folder, "unchanged").merge(pd.read_csv(folder / "cells.csv")[["cell_id", "dataset", "network"]])
    item = exhibits["unchanged-layers"]
    for row in item.data[item.data["network"] == "vgg19-eighth"].to_dict("records"):
        own = rows[(rows["dataset"] == row["dataset"]) & (rows["network"] == row["network"])]
        own = own[own["layer"] == row["layer"]]
        assert row["dead"] == pytest.approx((own["dead"] / own["size"]).mean())
        assert row["changed"] == pytest.approx((own["changed"] / own["size"]).mean())
    drawn = {label.get_text() for axes in item.figure.axes for label in axes.get_yticklabels()}
    assert {"layer4.0.conv1", "layer4.1.conv2", "features.0"} <= drawn
    assert not {"conv1", "layer1.0.conv1", "fc1"} & drawn
    assert "5 layers of lenet5" in item.caption


def test_zeros_that_had_a_gradient_are_named_by_cell(small):
    """What a convolution's algorithm may leave on a GPU: by shape there is nothing."""
    path = small / "tables" / "unchanged.csv"
    rows = pd.read_csv(path)
    [made] = unchanged.unchanged(opened(small))
    assert "contradict the shape" not in made.caption
    cell_id = rows["cell_id"].iloc[0]
    there = (rows["cell_id"] == cell_id) & (rows["layer"] == "total")
    rows.loc[there, "contradicted"] = 700
    write_table(path, rows)
    [made] = unchanged.unchanged(opened(small))
    assert f"had another one in {cell_id} ({700 * int(there.sum()):,})." in made.caption


def test_unknown_causes_are_told_apart(small):
    """Without a record of training, what is unchanged and not structural has no cause."""
    path = small / "tables" / "unchanged.csv"
    rows = pd.read_csv(path)
    rows["unchanged"], rows["changed"] = 10, rows["size"] - 10
    rows[["dead", "rounding", "returned", "contradicted"]] = math.nan
    write_table(path, rows)
    tables = opened(small)
    [made] = unchanged.unchanged(tables)
    np.testing.assert_allclose(made.data["unknown"], 10 / 61706)
    assert (made.data[["dead", "rounding", "returned"]] == 0).all(axis=None)
    assert "unchanged, cause not recorded" in [text.get_text() for text in made.figure.legends[0].get_texts()]
    [told] = unchanged.answer(tables)
    assert told.text == "lenet5 on fashion: <0.1 % (all 2 seeds equal) of the parameters stay unchanged."


def test_unchanged_answer_names_the_structural_part(tables):
    size = sum(NETWORKS["resnet18-quarter"].values())
    closed = sum(
        int(n * 8 / 9)
        for name, n in NETWORKS["resnet18-quarter"].items()
        if name.startswith("layer4.") and "conv" in name
    )
    tables.document = {"unchanged": {"resnet18": "The document says so."}}
    told = unchanged.answer(tables)
    for one in [one for answer in told for one in answer.numbers]:
        if "resnet18-quarter" in one.words:
            assert one.mean == pytest.approx(closed / size)
    words = [one.text for one in told]
    [resnet] = [text for text in words if text.startswith("resnet18-quarter on digits: of the unchanged parameters ")]
    assert "100 % are kernel taps without an effect (structural): they only ever multiply zero padding, in" in resnet
    assert words[-1] == "The document says so." and not any("lenet5" in text and "taps" in text for text in words)


def test_more_taps_than_unchanged_is_said(tmp_path):
    """With weight decay a structural weight changes: it is then a changed one, and the caption says so."""
    sample(tmp_path, datasets=("digits",), networks=("resnet18-quarter",), inits=("pretrained",), seeds=2)
    path = tmp_path / "tables" / "unchanged.csv"
    rows = pd.read_csv(path)
    rows["structural"] = rows["unchanged"] = rows["unchanged"] // 2
    rows["changed"] = rows["size"] - rows["unchanged"]
    rows[["dead", "returned"]] = 0
    write_table(path, rows)
    [made] = unchanged.unchanged(opened(tmp_path))
    np.testing.assert_allclose(made.data["structural"], made.data["unchanged"])
    assert (made.data["taps"] > made.data["unchanged"]).all()
    assert "weight decay" in made.caption


def test_tolerance_curves(folder, exhibits):
    """Per replicate the mean over the cells of a line, then mean and interval over replicates."""
    rows = raw(folder, "tolerance").merge(pd.read_csv(folder / "cells.csv")[["cell_id", "dataset", "network", "init"]])
    rows = rows.merge(pd.read_csv(folder / "cells.csv")[["cell_id", "optimizer"]])
    rows["share"] = rows["changed"] / rows["size"]
    data = exhibits["tolerance"].data
    for row in data[data["network"] == "resnet18-quarter"].to_dict("records"):
        own = rows[(rows["dataset"] == row["dataset"]) & (rows["network"] == row["network"])]
        own = own[(own["criterion"] == row["criterion"]) & (own["tolerance"] == row["tolerance"])]
        kind = "optimizer" if row["panel"] in OPTIMIZERS else "init"
        own = own[own[kind] == row["panel"]].groupby("seed")["share"].mean()
        np.testing.assert_allclose([row[name] for name in ("n", "mean", "low", "high")], interval(own), rtol=1e-9)
    assert data["tolerance"].nunique() == len({bound for bounds in CRITERIA.values() for bound in bounds})


def test_effective_table(exhibits):
    table = exhibits["effective"].data.set_index("network")
    size = sum(NETWORKS["vgg19-eighth"].values())
    assert table.loc["vgg19-eighth", "effective"] == size - size // 2
    assert table.loc["vgg19-eighth", "on"] == "digits, fashion"
    assert (table["parameters"] - table["structural"] - table["tied"] == table["effective"]).all()
    assert float(table.loc["lenet5", "effective (%)"]) == 100


def test_statistics_numbers(folder, exhibits):
    rows = raw(folder, "statistics")
    rows = rows.assign(moment=rows["epoch"].map({0: "start", EPOCHS: "end"}))
    data = exhibits["statistics-lenet5-digits"].data
    own = rows[rows["cell_id"].isin(data["cell_id"])]
    for name in ("mean", "std", "range"):
        check(data[data["statistic"] == name], ["cell_id", "layer", "parameter", "moment"], own, name)


def test_feature_numbers(folder, exhibits, tables):
    found = raw(folder, "features")
    data = exhibits["feature-correlation-summary"].data
    found = found.rename(columns={"of": "kind"})
    for name in ("mean_correlation", "mean_absolute"):
        check(data[data["quantity"] == name], ["cell_id", "kind"], found, name)
    histogram = exhibits["feature-correlation-digits"].data
    cell = tables.where(dataset="digits", network="vgg19-eighth", init="kaiming_normal", optimizer="adam")
    matrix = tables.matrix(cell["cell_id"].iloc[0]).astype(np.float64)
    values = [matrix[i, j] for i in range(len(matrix)) for j in range(i) if math.isfinite(matrix[i, j])]
    own = histogram[(histogram["network"] == "vgg19-eighth") & (histogram["optimizer"] == "adam")]
    assert own["pairs"].sum() == len(values) == 593 * 592 // 2  # 7 of 600 are constant
    counts = [sum(low <= value < high for value in values) for low, high in zip(own["low"], own["high"], strict=True)]
    assert own["pairs"].tolist() == counts
    assert own["share"].sum() == pytest.approx(1)


def test_both_optimizers_show_where_nothing_else_varies(small):
    [made] = features.feature_correlation(opened(small))
    assert made.data.groupby("optimizer", sort=False)["cell_id"].nunique().to_dict() == {"sgd": 1, "adam": 1}
    assert [axes.get_title(loc="left") for axes in made.figure.axes[:3]] == ["sgd", "adam", "all pairs"]
    moved = pd.read_csv(small / "tables" / "movement.csv").query(
        "layer == 'total' and interval == 'start' and to_epoch == 5 and seed == 0"
    )
    for cell, norm in moved.groupby("cell_id")["norm_to"].first().items():
        assert made.data.loc[made.data["cell_id"] == cell, "norm"].iloc[0] == pytest.approx(norm)
        assert f"{norm:.2f}" in made.caption


def test_block_means():
    matrix = np.arange(64.0).reshape(8, 8)
    np.testing.assert_allclose(heatmaps.shrink(matrix, 4), matrix.reshape(4, 2, 4, 2).mean(axis=(1, 3)))
    uneven = heatmaps.shrink(np.arange(25.0).reshape(5, 5), 3)
    assert uneven.shape == (3, 3)
    assert uneven[2, 2] == 24
    assert heatmaps.shrink(matrix, 8) is matrix


def test_order_by_similarity_gathers_groups():
    """Two groups of features, shuffled: neighbours again, and a constant feature last."""
    group = np.array([0, 1, 0, 1, 0, 1, 0])
    matrix = np.where(group[:, None] == group, 0.9, -0.2)
    np.fill_diagonal(matrix, 1)
    matrix[3], matrix[:, 3] = math.nan, math.nan
    order = features.by_similarity(matrix)
    assert sorted(order) == list(range(7))
    assert order[-1] == 3
    assert np.count_nonzero(np.diff(group[order[:-1]])) == 1


# --- pairs and factors


def jackknifed(means):
    """What each seed adds to a mean over pairs of seeds: n U - (n - 1) times the mean of the pairs without it."""
    sides = [means.index.get_level_values(name) for name in ("seed_a", "seed_b")]
    seeds = sorted({*sides[0], *sides[1]})
    without = [means[(sides[0] != seed) & (sides[1] != seed)].mean() for seed in seeds]
    return [len(seeds) * means.mean() - (len(seeds) - 1) * one for one in without]


def test_pairs_are_those_of_finished_models(folder, exhibits):
    """Every pair of pairs.csv whose two models finished, with its data set and network; chance is two seeds."""
    status = pd.read_csv(folder / "tables" / "runs.csv").set_index(["cell_id", "seed"])["status"]
    rows = pd.read_csv(folder / "tables" / "pairs.csv")
    data = exhibits["feature-pairs"].data
    assert len(data) == len(rows)
    for row in data.to_dict("records"):
        assert status[row["cell_a"], row["seed_a"]] == status[row["cell_b"], row["seed_b"]] == "done"
        assert (row["pair"] == "seeds (chance)") == (row["factor"] == "seed")
    found = opened(folder)
    for row in pairs.likeness(pairs.compared(found), pairs.MEASURES):
        own = data[(data["network"] == row["network"]) & (data["dataset"] == row["dataset"])]
        own = own[own["factor"] == row["factor"]]
        units = ["seed_a", "seed_b"] if row["factor"] == "seed" else ["seed_a"]
        means = own.groupby(units)[row["measure"]].mean()
        assert (row["mean"], row["pairs"]) == (pytest.approx(means.mean()), len(own))
        if math.isfinite(row["low"]):
            values = jackknifed(means) if row["factor"] == "seed" else means
            half = np.diff(stats.ttest_1samp(values, 0).confidence_interval(0.95)) / 2
            ends = np.clip([means.mean() - half, means.mean() + half], -1, 1).ravel()
            assert [row["low"], row["high"]] == pytest.approx(ends)
    same, order = [one for one in pairs.answer(found) if one.about == "lenet5 on digits"][:2]
    assert same.text.startswith("lenet5 on digits: the features of two models have a CKA of ")
    assert "for two seeds of one cell (" in same.text
    assert " for another optimizer" in order.text and order.sure.startswith("95 % intervals, n = ")


def test_pair_panels_show_the_pairs(exhibits):
    """The dots of a panel are its pairs, and the shaded range is that of two seeds."""
    item = exhibits["feature-pairs"]
    axes = item.figure.axes[0]  # the first network and data set, CKA
    own = item.data[(item.data["network"] == "lenet5") & (item.data["dataset"] == "digits")]
    drawn = [value for line in axes.lines if line.get_marker() == "o" for value in line.get_xdata()]
    np.testing.assert_allclose(sorted(drawn), sorted(own["cka"]))
    chance = own.loc[own["factor"] == "seed", "cka"]
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    np.testing.assert_allclose([band.x0, band.x1], [chance.min(), chance.max()])


@pytest.mark.parametrize(("levels", "words"), [(6, 15), (7, 1)])
def test_an_axis_of_many_levels_has_one_row_for_all_of_its_pairs(levels, words):
    """15 pairs of 6 levels have a row each; 21 of 7 have one for the axis. Two seeds are chance in any case."""
    each = list(itertools.combinations("abcdefg"[:levels], 2))
    rows = [("rate", a, b) for a, b in each] + [("seed", f"{a}", f"{a}") for a, _ in each]
    rows += [("optimizer", "sgd", "adam")]
    frame = pd.DataFrame(rows, columns=["factor", "level_a", "level_b"]).assign(dataset="digits", network="lenet5")
    found = pairs.compared(SimpleNamespace(pairs=lambda name: frame))
    named = found.loc[found["factor"] == "rate", "pair"].unique()
    assert len(named) == words and (words > 1 or named[0] == "rate: any two levels")
    assert set(found.loc[found["factor"] == "seed", "pair"]) == {"seeds (chance)"}
    assert found["pair"].iloc[-1] == "optimizer: sgd / adam"


def test_of_many_pairs_the_first_of_each_axis_are_drawn(monkeypatch):
    rows = [("seed", 0), *(("rate", at) for at in range(9)), *(("optimizer", at) for at in range(3))]
    own = pd.DataFrame(rows, columns=["factor", "key"])
    own = own.assign(pair=own["factor"] + own["key"].astype(str), norm_a=1.0, norm_b=1.0, distance=0.5)
    for side in "ab":
        own = own.assign(**{f"cell_{side}": side, f"seed_{side}": 0})
    matrix = np.random.default_rng(0).uniform(-1, 1, (5, 5))
    monkeypatch.setattr(pairs, "tensor", lambda path, key: matrix)
    made = pairs._cross(own, dict.fromkeys(own["key"], Path()), "lenet5, digits", many=False)
    drawn = list(dict.fromkeys(made.data["pair"]))
    assert drawn == ["seed0", "rate0", "rate1", "rate2", "optimizer0", "optimizer1"]
    assert "lenet5, digits, 6 of 13 pairs of models, the first for each thing in which they differ" in made.caption


def test_a_sample_of_pairs_is_said_to_be_one(small):
    rows = [("dynamics", "optimizer", 97, 1225), ("dynamics", "seed", 2, 2), ("other", "optimizer", 1, 9)]
    schema.write(small / "tables" / "compared.csv", "compared", rows)
    [made] = pairs.feature_pairs(opened(small))
    assert made.caption.endswith("a sample is compared: optimizer 97 of 1,225 pairs.")
    schema.write(small / "tables" / "compared.csv", "compared", rows[1:])
    [made] = pairs.feature_pairs(opened(small))
    assert "sample" not in made.caption


def test_matching_finds_a_permutation():
    random = np.random.default_rng(3)
    permutation = random.permutation(40)
    matrix = random.uniform(-0.5, 0.5, size=(40, 40)).astype(np.float32)
    matrix[np.arange(40), permutation] = 0.9
    rows, columns = pairs.matched(matrix)
    assert rows.tolist() == list(range(40))
    assert columns.tolist() == permutation.tolist()
    matrix[3], matrix[:, permutation[3]] = math.nan, math.nan
    rows, columns = pairs.matched(matrix)
    assert columns.tolist() == permutation.tolist()
    large = np.full((1100, 1100), 0.1, np.float32)
    np.fill_diagonal(large, 0.8)
    rows, columns = pairs.matched(large)
    assert len(rows) == 128
    assert rows[[0, -1]].tolist() == [0, 1099]
    assert columns.tolist() == rows.tolist()


def test_forest_plot_and_table(folder, exhibits):
    """Filled where q < 0.05, at the difference; the table has the same tests, the smallest q first."""
    rows = pd.read_csv(folder / "tables" / "tests.csv")
    item = exhibits["factors"]
    assert len(item.data) == len(rows)
    own = rows[rows["outcome"] == "accuracy"]
    axes = item.figure.axes[-1]
    dots_ = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(sorted(line.get_xdata()[0] for line in dots_), sorted(own["difference"] * 100))
    assert sum(line.get_markerfacecolor() != "white" for line in dots_) == (own["q"] < 0.05).sum()
    table = exhibits["factors-table"].data
    assert len(table) == len(rows)
    assert [float(q) for q in table["q"].str.lstrip("<")] == pytest.approx(rows["q"].sort_values(), abs=6e-4)
    assert f" {rows['p'].notna().sum()} tests" in factors.answer(opened(folder))[0].sure


@pytest.mark.parametrize(
    ("effect", "p", "texts"),
    [(2.5, 0.0123, ("2.50", "0.012")), (-1e6, 0.5, ("−9999+", "0.500")),
     (math.inf, 0.0, ("∞", "<0.001")), (-math.inf, 1e-4, ("−∞", "<0.001")),
     (math.nan, math.nan, ("", ""))],
)  # fmt: skip
def test_effects_and_chances(effect, p, texts):
    assert (factors.size(effect), factors.chance(p)) == texts


# --- the documents


DOCUMENT = {
    "source": "the slides",
    "norms": [
        {"slide": "flip", "architecture": "lenet5", "dataset": "fashion", "first": 3.0, "second": 4.0, "distance": 5.0},
        {"slide": "flip", "architecture": "vgg19", "dataset": "fashion", "first": 9.0, "second": 9.0, "distance": 0.0},
    ],
}


def test_the_documents_norms_stand_beside_cells_of_their_kind(small):
    tables = opened(small)
    assert norms.norms_document(tables) == []
    tables.document = DOCUMENT
    [made] = norms.norms_document(tables)
    assert made.data["cosine"].tolist() == ["0.000000", "1.000000"]  # 3, 4, 5 is a right angle
    assert made.data["|θ₁ − θ₂| / |θ₁|"].tolist() == ["166.67 %", "0.00 %"]
    moved = raw(small, "movement").query("layer == 'total' and interval == 'start' and to_epoch == 5")
    means = moved.groupby("cell_id")["norm_to"].mean()
    assert made.data["‖θ‖ here"].tolist() == [f"{means.min():.2f} to {means.max():.2f}", ""]


def test_the_documents_data_files():
    """The ledger has every claim once; the norms are triangles that close, as those of three vectors do."""
    ids = [claim.id for document in told.DOCUMENTS for claim in told.ledger(document)]
    expected = {0: 8, 1: 10, 2: 8, 3: 13, 4: 9}
    assert sorted(ids) == sorted(f"00{study}-{at + 1}" for study, count in expected.items() for at in range(count))
    triples = told.reported("dynamics")["norms"]
    assert len(triples) == 10
    for triple in triples:
        assert -1 <= norms.cosine(**triple) <= 1


# --- words and files


def test_every_exhibit_has_words(exhibits):
    families = {"training-curves", "statistics", "feature-correlation", "feature-cross"}
    assert set(exhibits) >= set(told.parts("dynamics")) - families - {
        "documented",
        "sources",
        "norms-reported",
        *("diagrams", "laziness", "convergence", "settled", "settled-order", "convergence-others"),  # on other tables
        *told.PERTURBED,
    }
    for family in families:
        tabs = [item.tab for name, item in exhibits.items() if name.startswith(family) and item.tab]
        assert len(tabs) == len(set(tabs)) > 1, family
    for name, item in exhibits.items():
        assert len(item.caption) > 60, name
        assert len(item.alt) > 20, name
        assert item.title, name
        assert len(item.data), name
        assert name == name.lower(), name
        assert "_" not in name, name
        assert not set("*`$^~") & set(item.caption + item.alt), name
        assert "nan" not in item.caption + item.alt, name


def test_accuracy_alt_has_the_extremes(folder, exhibits):
    found = raw(folder, "accuracy")
    means = found[found["protocol"] == "last"].groupby("cell_id")["accuracy"].mean()
    alt = exhibits["accuracy"].alt
    assert f"{means.min() * 100:.1f} %" in alt
    assert f"{means.max() * 100:.1f} %" in alt
    assert f"over {len(means)} cells" in alt


def drawn(svg):
    """What an SVG draws, in order: of each mark its outline in absolute points, its place and its look."""
    root = tree.fromstring(svg)
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        node.attrib = {key.rpartition("}")[2]: value for key, value in node.attrib.items()}
    ids = {node.get("id"): node for node in root.iter() if node.get("id")}
    sheet = dict(re.findall(r"\.(\w+)\{([^}]*)\}", root.find(".//style").text))
    found = []

    def outline(path):
        points, here, start, last = [], np.zeros(2), np.zeros(2), ""
        for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
            values = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
            axes = {"h": [0], "v": [1]}.get(command, [0, 1])
            for at in range(0, len(values), len(axes)):
                base = here if command.islower() else np.zeros(2)
                point = here.copy() if len(axes) == 1 else np.zeros(2)
                point[axes] = base[axes] + values[at : at + len(axes)]
                points.append((*point, {"q": 2, "c": 3}.get(command.lower(), command in "mM" and at == 0)))
                size = {"q": 2, "c": 3}.get(command.lower(), 1)
                if (at // len(axes) + 1) % size == 0:
                    here = point
                if command.lower() == "m" and at == 0:
                    start = here
            here = start if command in "zZ" else here
            last += command if command in "zZ" else ""
        return points, len(last)

    def style_of(node):
        said = node.get("style") or sheet.get(node.get("class"), "")
        return sorted(
            re.sub(r"url\(#[^)]*\)", "url", part.replace(" ", "")) for part in said.split(";") if part.strip()
        )

    def look(node, around):
        if node.tag in ("defs", "clipPath", "pattern"):
            return
        move = re.fullmatch(r"translate\(([-\d.]+) ([-\d.]+)\)", node.get("transform", ""))
        if move and node.tag == "use":
            place = [float(number) for number in move.groups()]
        else:
            place = [float(node.get(name, 0)) for name in "xy"]
            around = [*around, re.sub(r"[-\d.]+", lambda one: f"{float(one[0]):.2g}", node.get("transform", ""))]
        around = [*around, *style_of(node), "clipped" if node.get("clip-path") else ""]
        shape = ids[node.get("href")[1:]] if node.tag == "use" else node
        if node.tag in ("path", "use"):
            found.append((outline(shape.get("d", "")), place, [said for said in around if said], style_of(shape)))
        for child in node:
            look(child, around)

    look(root, [])
    return found


def test_an_svg_is_slimmed_and_looks_the_same():
    """The same marks in the same places, to a hundredth of a point, in the same styles."""
    fig = style.figure(2)
    axes = fig.subplots()
    axes.plot([0, 1 / 3, 1], [0, 2 / 7, 1], "o-", label="a label")
    axes.plot(np.linspace(0, 1, 50), np.linspace(0, 1, 50) ** 2)
    axes.bar([0, 1], [0.5, 0.25], hatch="//")
    axes.legend()
    style.apply()
    buffer = io.BytesIO()
    fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    whole = buffer.getvalue().decode()
    slim = exhibit.slim(whole)
    assert len(slim) < 0.6 * len(whole) and "<metadata" not in slim and "<!--" not in slim and '"' not in slim
    assert len(drawn(whole)) == len(drawn(slim)) > 50
    for old, new in zip(drawn(whole), drawn(slim), strict=True):
        assert np.array(new[0][0]) == pytest.approx(np.array(old[0][0]), abs=0.00501) and new[0][1] == old[0][1]
        assert new[1] == pytest.approx(old[1], abs=0.00501) and new[2:] == old[2:]
    assert len({tuple(mark[3]) for mark in drawn(slim)} | {tuple(mark[2]) for mark in drawn(slim)}) > 5


def test_same_tables_same_bytes(small, tmp_path_factory):
    """Once here and once in a process with other hashes of strings."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    draw.main(told.command(small, "dynamics", first, "dynamics"))
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    command = [sys.executable, str(SCRIPTS / "draw.py"), *told.command(small, "dynamics", second, "dynamics")]
    subprocess.run(command, check=True, env=environment)
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    assert {Path(name).suffix for name in names} == {".csv", ".json", ".png", ".svg"}
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    written = json.loads((first / "exhibits.json").read_text())
    assert written["chapter"] == "dynamics" and not written["faults"]
    listed = [name for question in written["questions"] for name in question["exhibits"]]
    assert listed == [item["name"] for item in written["exhibits"]], "each under its question, in order"
    for item in written["exhibits"]:
        columns = list(pd.read_csv(first / item["csv"], nrows=0).columns)
        assert item["columns"] == (
            columns if item["kind"] == "figure" else [n for n in columns if n in item["columns"]]
        )
        assert (item["kind"] == "figure") == (item["file"] is not None)
        assert item["file"] is None or (first / item["file"]).stat().st_size < 2_000_000


def test_drawing_needs_no_torch():
    code = "import draw, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPTS)


def test_facts(folder, tables, chapter):
    facts = told.in_short(chapter)
    assert facts["replicates"] == {"asked": 72, "done": 68, "diverged": 1, "failed": 3, "missing": 0, "unlearnt": 0}
    assert facts["sentences"][0].endswith("24 cells with 72 replicates: 68 finished, 1 diverged, 3 failed.")
    found = raw(folder, "accuracy")
    found = found[found["protocol"] == "last"].merge(pd.read_csv(folder / "cells.csv"), on="cell_id")
    for best in facts["best"]:
        means = found[found["dataset"] == best["dataset"]].groupby("cell_id")["accuracy"].mean()
        assert best["cell_id"] == means.idxmax()
        assert best["mean"] == pytest.approx(means.max())
    assert len(facts["trouble"]) == 2
    assert "vgg19-eighth, pretrained · adam, 0 finished (3 failed)" in " ".join(facts["trouble"])
    moved = raw(folder, "movement")
    moved = moved[(moved["layer"] == "total") & (moved["interval"] == "start") & (moved["to_epoch"] == EPOCHS)]
    moved = moved.merge(pd.read_csv(folder / "cells.csv"), on="cell_id")
    ways = {one.about: one for one in answers.way(tables)}
    means = moved.groupby(["network", "dataset"])["relative"].count()
    assert sum(len(one.numbers) for one in ways.values()) == moved["cell_id"].nunique()
    assert set(ways) == {f"{network} on {dataset}" for network, dataset in means.index}
    own = moved[(moved["network"] == "lenet5") & (moved["dataset"] == "digits")].groupby("cell_id")["relative"].mean()
    ends = [one.mean for one in ways["lenet5 on digits"].numbers]
    assert sorted(ends) == pytest.approx(sorted(own))
    spread = raw(folder, "statistics").merge(pd.read_csv(folder / "cells.csv"), on="cell_id")
    spread = spread[(spread["parameter"] == "weight") & spread["epoch"].isin([0, EPOCHS])]
    keys = ["network", "dataset", "layer", "seed", "cell_id"]
    ends = spread.pivot_table(index=keys, columns="epoch", values="std").dropna()
    logs = np.log(ends[EPOCHS] / ends[0]).groupby(level=keys[:4]).mean()
    for row in statistics.grown(tables).to_dict("records"):
        mine = logs.loc[row["network"], row["dataset"], row["layer"]]
        assert (row["mean"], row["n"]) == (pytest.approx(np.exp(mine.mean())), len(mine))
    assert len(facts["sentences"]) <= 8


# --- pictures


def test_unfinished_replicates_are_seen(exhibits):
    shown = texts(exhibits["accuracy"].figure)
    assert shown.count("2/3\n1 diverged") == 1
    assert "✕ 3 failed" in shown
    assert shown.count("0/3") == 1
    assert shown.count("3/3") == 22
    assert "Of 72 replicates 68 finished (1 diverged, 3 failed)." in exhibits["accuracy"].caption
    crosses = [line for axes in exhibits["training-curves-digits"].figure.axes for line in axes.lines]
    crosses = [line for line in crosses if line.get_marker() == "X"]
    assert sorted(line.get_xdata()[0] for line in crosses) == [2, 3]  # its last finite loss, its last accuracy


def test_dots_lie_where_the_numbers_are(exhibits):
    data, figure = exhibits["accuracy"].data, exhibits["accuracy"].figure
    places = [(network, dataset) for network in NETWORKS for dataset in ("digits", "fashion")]
    limits = {}
    for axes, (network, dataset) in zip(figure.axes, places, strict=True):
        assert axes.get_title(loc="left") == (f"{network} · {dataset}" if dataset == "digits" else dataset)
        own = data[(data["dataset"] == dataset) & (data["network"] == network) & (data["protocol"] == "last")]
        drawn = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(sorted(drawn), sorted(own["mean"] * 100))
        assert axes.get_xlim()[1] <= 101
        limits.setdefault(dataset, set()).add(axes.get_xlim())
    assert all(len(found) == 1 for found in limits.values())


def test_a_sparse_grid_has_no_empty_panels(tmp_path):
    """Every network with its own data sets alone: a panel a pair that is there, at most three a strip."""
    first = cell_table(("a", "b", "c", "d"), ("lenet5",), ("kaiming",), OPTIMIZERS, 2)
    second = cell_table(("few",), ("vgg19-eighth",), ("kaiming",), OPTIMIZERS, 2)
    write_table(tmp_path / "cells.csv", pd.concat([first, second]))
    tables = opened(tmp_path)
    assert panels.strips(tables, tables.cells) == [
        ("lenet5", ["a", "b", "c"]),
        ("lenet5", ["d"]),
        ("vgg19-eighth", ["few"]),
    ]
    _, rows = dots.rows(tables, "x")
    assert list(rows.panels) == [*(("lenet5", name) for name in "abcd"), ("vgg19-eighth", "few")]


def test_structural_part_is_hatched(exhibits):
    """The hatched bars are as long as the structural share, and the classes fill each bar."""
    item = exhibits["unchanged"]
    bars = [bar for axes in item.figure.axes for bar in axes.patches if bar.get_height() == pytest.approx(0.66)]
    hatched = [bar.get_width() for bar in bars if bar.get_hatch()]
    np.testing.assert_allclose(sorted(hatched), sorted(item.data["structural"] * 100))
    assert sum(bar.get_width() for bar in bars) == pytest.approx(100 * len(item.data))


def test_diverging_maps_are_centred_at_zero(exhibits):
    maps = [exhibits[name].figure for name in ("statistics-lenet5-digits", "statistics-resnet18-quarter-digits")]
    maps += [exhibits["feature-correlation-digits"].figure]
    images = [image for figure in maps for axes in figure.axes for image in axes.images]
    images = [image for image in images if image.get_cmap().name == style.DIVERGING]
    assert len(images) == 2 + 6
    for image in images:
        assert image.norm.vmin == -image.norm.vmax
        assert image.norm(0) == pytest.approx(0.5)
        assert abs(image.get_array()).max() <= image.norm.vmax


def test_undefined_cells_are_hatched(tables, exhibits):
    data = exhibits["movement-layers"].data
    figure = heatmaps.by_layer(tables, data, style.positive_scale(data["mean"]), "")
    images = [image for axes in figure.axes for image in axes.images]
    undefined = 0
    for image in images:
        assert image.axes.patch.get_hatch() == style.UNDEFINED["hatch"]
        undefined += np.ma.getmaskarray(image.get_array()).sum()
    assert undefined == len(NETWORKS["vgg19-eighth"])  # the column of the failed cell
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no value"]
    matrices = [image for axes in exhibits["feature-correlation-digits"].figure.axes for image in axes.images]
    masked = [np.ma.getmaskarray(image.get_array()).sum() for image in matrices]
    assert sorted(masked) == [0, 0, 0, 0] + [600**2 - 593**2] * 2


def test_heatmap_shows_the_table(tables, exhibits):
    """A cell of the picture, found by its row's and column's labels, has the number of the table."""
    item = exhibits["statistics-lenet5-digits"]
    images = [image for axes in item.figure.axes for image in axes.images]
    image = images[1]  # standard deviation
    rows = [text.get_text() for text in images[0].axes.get_yticklabels()]
    columns = [text.get_text() for text in image.axes.texts]
    cell = tables.where(dataset="digits", network="lenet5", init="pretrained", optimizer="adam")["cell_id"].iloc[0]
    own = item.data[(item.data["cell_id"] == cell) & (item.data["statistic"] == "std")]
    own = own.set_index(["layer", "parameter", "moment"])["mean"]
    at = columns.index("pretrained · adam, start")
    assert rows[0] == "conv1.weight"
    assert image.get_array()[rows.index("fc1.weight"), at] == pytest.approx(own["fc1", "weight", "start"])
    assert image.get_array()[rows.index("fc1.bias"), at + 1] == pytest.approx(own["fc1", "bias", "end"])


# --- what is missing


def test_one_replicate_has_no_interval(tmp_path):
    sample(tmp_path, datasets=("digits",), networks=("lenet5",), inits=("pretrained",), seeds=1)
    made = {item.name: item for item in told.exhibits(opened(tmp_path), "dynamics")}
    assert made["accuracy"].data["low"].isna().all()
    assert "there is no interval" in made["accuracy"].caption
    lines = [line for line in made["accuracy"].figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert not lines
    assert "±" not in made["norms"].data["‖θ − θ₀‖"].iloc[0]


@pytest.mark.parametrize("gone", [name for name in TABLES if name != "runs"])
def test_an_empty_table_leaves_its_exhibits_out(small, gone):
    path = small / "tables" / f"{gone}.csv"
    write_table(path, pd.read_csv(path).head(0))
    tables = opened(small)
    # Only what reads the table, so that the six cases are quick.
    names = {"unchanged": ["unchanged", "unchanged-layers"], "features": ["feature-correlation-summary"]}
    names |= {"movement": ["movement", "interval-norms", "norms", "movement-layers", "rotation"]}
    names |= {"metrics": ["training-curves"], "statistics": ["statistics"], "tolerance": ["tolerance"]}
    names |= {"parameters": ["effective"], "tests": ["factors", "factors-table"]}
    names |= {"pairs": ["feature-pairs", "feature-cross"]}
    names |= {"accuracy": ["accuracy", "accuracy-table"]}
    assert told.drawn(tables, *names[gone]) == []
    assert len(tables.left_out) == len(names[gone])
    assert all(f"{gone}.csv" in sentence or "summary.csv" in sentence for sentence in tables.left_out)
    facts = told.facts(tables, "dynamics")
    assert facts["left_out"] == tables.left_out and len(set(facts["left_out"])) > len(names[gone])


def test_no_matrix_and_no_row(small):
    for path in (small / "measures").glob("*/features.safetensors"):
        path.unlink()
    schema.write(small / "tables" / "unchanged.csv", "unchanged", [])
    tables = opened(small)
    names = {item.name for item in told.exhibits(tables, "dynamics")}
    assert "feature-correlation" not in names
    assert not {"unchanged", "unchanged-layers"} & names
    assert {"movement", "effective"} <= names
    # What the study does not ask for, and what has no number of a document, apart.
    never = ("documented", "convergence", "settled", "laziness")
    told_ = [text for text in tables.left_out if not any(f"The exhibit {name}" in text for name in never)]
    own = [text for text in told_ if text.startswith("The exhibit ")]
    perturbed = [text for text in told_ if text.endswith("study dynamics perturbs no cell.")]
    assert len(own) == 3 and len(perturbed) == 2 and len(told_) == 5, "one each for two questions"


def test_a_table_that_is_absent_costs_only_what_is_made_of_it(small):
    tables, path = opened(small), small / "tables" / "statistics.csv"
    path.unlink()
    names = {item.name for item in told.exhibits(tables, "dynamics")}
    assert {"accuracy", "movement", "effective"} <= names and "statistics" not in names
    assert [fault.what for fault in tables.faults] == ["the exhibit statistics", "the answer layers"]
    for fault in tables.faults:
        assert fault.why.startswith(f"ValueError: {path}: is not there; run the workflow again")


def test_nothing_finished(small):
    path = small / "tables" / "runs.csv"
    write_table(path, pd.read_csv(path).assign(status="failed"))
    tables = opened(small)
    made = {item.name: item for item in told.exhibits(tables, "dynamics")}
    assert "accuracy" not in made
    assert (made["accuracy-table"].data["last epoch"] == "none").all()
    facts = told.facts(tables, "dynamics")
    assert facts["best"] == facts["answers"]["unchanged"] == facts["answers"]["alike"] == []
    assert "pairs.csv has no pair" in " ".join(tables.left_out)
    assert "0 finished, 4 failed" in facts["sentences"][0]


def test_missing_replicates_are_counted(small):
    path = small / "tables" / "runs.csv"
    write_table(path, pd.read_csv(path).query("seed == 0"))
    [made] = runs.accuracy(opened(small))
    assert made.data["n"].tolist() == [1] * 6
    assert "1/2\n1 missing" in texts(made.figure)
    assert "Of 4 replicates 2 finished (2 missing)." in made.caption


def test_unknown_study_ends_in_one_line(small):
    with pytest.raises(SystemExit) as ended:
        draw.main(told.command(small, "dynamiks", small / "out", "dynamics"))
    assert "dynamiks" in str(ended.value)
    assert "dynamics" in str(ended.value)
    assert "\n" not in str(ended.value)


# --- cells


def test_sources_are_told_apart(small):
    cells = pd.read_csv(small / "cells.csv", dtype=str, keep_default_na=False)
    cells.loc[0, "role"] = "source"
    write_table(small / "cells.csv", cells)
    tables = opened(small)
    assert len(tables.cells) == len(tables.sources.cells) == 1
    [made] = runs.sources(tables)
    assert made.name == "sources"
    assert len(made.data) == 1
    [grid] = runs.accuracy(tables)
    assert set(grid.data["cell_id"]) == {cells.loc[1, "cell_id"]}


def test_extra_axes_and_odd_labels(tmp_path):
    """A label that pandas takes for missing stays, and an axis of the study's own is part of a cell's name."""
    cells = cell_table(("digits",), ("lenet5",), ("None", "nan"), ("sgd",), 2, study="mine")
    cells.insert(8, "dropout", ["0.5", "0"])
    write_table(tmp_path / "cells.csv", cells)
    tables = Tables("mine", tmp_path / "cells.csv", tmp_path, tmp_path)
    assert tables.axes == ["init", "dropout"]
    assert tables.cells["label"].tolist() == ["None · 0.5", "nan · 0"]
    assert runs.cell_name(tables, tables.cells["cell_id"][1]) == "digits, lenet5, nan · 0"


# --- the data


def data_files(folder, classes, channels, name="some-0123"):
    """A small data set: 12 train, 3 valid and 2 test pictures a class, each picture full of its own index."""
    labels = np.repeat(np.arange(classes), 17)
    split = np.tile(np.repeat([0, 1, 2], [12, 3, 2]), classes).astype(np.uint8)
    images = (np.arange(len(labels)) % 251).astype(np.uint8)[:, None, None, None].repeat(channels, 1)
    images = images.repeat(4, 2).repeat(4, 3)
    save_tensors(folder / f"{name}.safetensors", {"images": images, "labels": labels, "split": split})
    counts = {"train": [12] * classes, "valid": [3] * classes, "test": [2] * classes}
    card = {"dataset_id": name, "title": "Some", "source": "made up", "channels": channels, "size": [4, 4]}
    card |= {"classes": [f"class {kind}" for kind in range(classes)], "counts": counts, "notes": [], "sha256": name}
    write_json(folder / f"{name}.json", card)
    return [folder / f"{name}.json"], [folder / f"{name}.safetensors"]


def test_images_that_two_data_sets_share_are_shown_once(tmp_path):
    cards, files = data_files(tmp_path, classes=3, channels=1)
    read = pictures.cards(cards, {})
    twin = read[0] | {"title": "The same, of other classes"}
    made = pictures.exhibits([read[0], twin, read[0] | {"sha256": "other"}], files * 3, [])
    assert [one.title for one in made] == ["Some", "Some", "Images by class and split"]


def test_ten_training_pictures_a_class(tmp_path):
    cards, files = data_files(tmp_path, classes=3, channels=1)
    grid, counts = pictures.exhibits(pictures.cards(cards, {}), files, [])
    assert grid.data.groupby("class").size().tolist() == [10] * 3
    assert grid.data["index"].is_unique
    for kind, rows in grid.data.groupby("class"):
        start = 17 * int(kind.split()[1])
        assert rows["index"].between(start, start + 11).all()  # of the class, and of the train split
    shown = grid.figure.axes[0].images[0].get_array()
    for row in grid.data.itertuples():
        top, left = 5 * int(row[1].split()[1]), 5 * row.column
        assert (shown[top : top + 4, left : left + 4] == row.index).all()
    assert [text.get_text() for text in grid.figure.axes[0].get_yticklabels()] == ["class 0", "class 1", "class 2"]
    assert "36 train, 9 valid and 6 test" in grid.caption
    assert counts.data.to_numpy().tolist()[-1] == ["Some", "all classes", "36", "9", "6"]
    assert grid.raster


def test_classes_without_pictures_take_no_row(tmp_path):
    """A data set of some classes that keeps all labels."""
    cards, files = data_files(tmp_path, classes=3, channels=1)
    card = json.loads(cards[0].read_text())
    counts = {split: [*each, 0] for split, each in card["counts"].items()}
    write_json(cards[0], card | {"classes": [*card["classes"], "none of these"], "counts": counts})
    grid, _ = pictures.exhibits(pictures.cards(cards, {}), files, [])
    assert grid.figure.axes[0].images[0].get_array().shape[0] == 3 * 5 - 1
    assert "10 training images per class of 3 of its 4 classes" in grid.caption and "none of these" not in grid.alt


def test_colour_pictures_and_many_classes(tmp_path):
    cards, files = data_files(tmp_path, classes=30, channels=3)
    grid, counts = pictures.exhibits(pictures.cards(cards, {}), files, [])
    assert grid.data["class"].nunique() == 20
    assert "20 of its 30 classes" in grid.caption
    assert grid.figure.axes[0].images[0].get_array().shape[-1] == 3
    assert counts.data["class"].tolist() == ["each of 30", "all classes"]


def test_cards_and_data_must_fit(tmp_path):
    cards, files = data_files(tmp_path, classes=2, channels=1)
    _, others = data_files(tmp_path, classes=2, channels=1, name="other")
    with pytest.raises(ValueError, match="in the same order"):
        pictures.exhibits(pictures.cards(cards, {}), others, [])
    draw.main(["data", "--cards", str(cards[0]), "--data", str(files[0]), "--output", str(tmp_path / "out")])
    written = json.loads((tmp_path / "out" / "exhibits.json").read_text())
    assert [item["name"] for item in written["exhibits"]] == ["pictures-some-0123", "class-counts"]
    assert written["facts"]["datasets"][0]["totals"] == {"train": 24, "valid": 6, "test": 4}


# --- numbers as text


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [(0.983, 1, "98.3 %"), (0, 2, "0 %"), (1, 2, "100 %"), (0.00001, 1, "<0.1 %"), (0.99999, 1, ">99.9 %"),
     (0.6216, 2, "62.16 %"), (-0.01, 1, "−1.0 %"), (1.011, 1, "101.1 %"), (math.nan, 1, "undefined")],
)  # fmt: skip
def test_percent(share, digits, text):
    assert style.percent(share, digits) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(120.3012, 4, "120.3"), (0.00998, 2, "0.010"), (0, 3, "0"), (-2.5, 2, "−2.5"), (9.996, 3, "10.0"),
     (123456.0, 3, "123456"), (math.nan, 3, ""), (0.0000123, 3, "1.2e−5")],
)  # fmt: skip
def test_number(value, digits, text):
    assert style.number(value, digits) == text


def test_scales():
    """Linear where values lie close, logarithmic where they spread; 0 keeps its end or its middle."""
    assert style.positive_scale([0, 0.1, 0.5]).__class__.__name__ == "Normalize"
    wide = style.positive_scale([0, 0.001, 0.5, math.nan])
    assert wide(0) == 0
    assert wide(0.5) == 1
    assert wide(0.001) > 0.03
    signed = style.signed_scale([1.0, -0.001, 0.002, 0.0, -0.003])
    assert signed.vmin == -1
    assert signed(0) == pytest.approx(0.5)
    assert style.log_ticks(0.001, 1, 3) == [0.01, 1.0]
    assert style.log_ticks(0.02, 0.3, 3) == [0.05, 0.2]


def test_many_best_cells_are_told_without_their_names():
    best = [{"words": f"9{number}.0 % on d{number} (lenet5, sgd)"} for number in range(4)]
    assert study.best_sentence(best[:2])[0].endswith("is 90.0 % on d0 (lenet5, sgd); 91.0 % on d1 (lenet5, sgd).")
    assert study.best_sentence(best)[0].endswith("is 90.0 % on d0; 91.0 % on d1; 92.0 % on d2; 93.0 % on d3.")
