"""Exhibits: the numbers behind them, their words, their bytes, and what they do with failed and undefined cells."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import draw
from atlas.store import save_tensors, write_json
from atlas.tell import data as pictures
from atlas.tell import dynamics, exhibit, features, movement, runs, statistics, study, style, unchanged
from atlas.tell.tables import Tables, summarise

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
STRUCTURAL = {"resnet18-quarter": 8 / 9}
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
                "cell": "{}",
            }
        )
    return pd.DataFrame(rows)


def sample(
    folder, datasets=("digits", "fashion"), networks=tuple(NETWORKS), inits=INITS, optimizers=OPTIMIZERS, **more
):
    """Write cells.csv, tables/ and measures/ with plausible random numbers below `folder`; returns the cells."""
    seeds = more.get("seeds", 3)
    cells = cell_table(datasets, networks, inits, optimizers, seeds)
    random = np.random.default_rng(7)
    rows = {name: [] for name in ("accuracy", "metrics", "runs", "statistics", "movement", "unchanged", "features")}
    matrices = {}
    for cell in cells.itertuples():
        key = (cell.dataset, cell.network, cell.init, cell.optimizer)
        for seed in range(seeds):
            status = "diverged" if key == DIVERGED and seed == 2 else "failed" if key == FAILED else "done"
            one_run(rows, matrices, cell, seed, status, random)
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    cells.to_csv(folder / "cells.csv", index=False)
    for name, found in rows.items():
        pd.DataFrame(found).to_csv(folder / "tables" / f"{name}.csv", index=False)
    for group, found in matrices.items():
        save_tensors(folder / "measures" / group / "features.safetensors", found)
    return cells


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
        stays = closed + (int(random.integers(0, 9)) if cell.network.startswith("vgg") else 0)
        row = {"layer": layer, "parameter": "weight", "size": size, "unchanged": stays, "structural": closed}
        rows["unchanged"].append({**front, **row})
        sizes, structural, still = sizes + size, structural + closed, still + stays
    row = {"layer": "total", "parameter": "all", "size": sizes, "unchanged": still, "structural": structural}
    rows["unchanged"].append({**front, **row})
    features = {"lenet5": 84, "resnet18-quarter": 128, "vgg19-eighth": 600}[cell.network]
    latent = random.normal(size=(400, 10))
    mixed = np.maximum(latent @ random.normal(size=(10, features)) * (1.3 if adam else 0.7), 0)
    matrix = np.corrcoef((mixed + random.normal(size=mixed.shape)).T)
    if cell.network == "vgg19-eighth":
        matrix[:7], matrix[:, :7] = math.nan, math.nan
    pairs = matrix[np.triu_indices(features, 1)]
    pairs = pairs[np.isfinite(pairs)]
    values = {"features": features, "constant": int(np.isnan(np.diag(matrix)).sum()), "pairs": len(pairs)}
    values |= {"mean_correlation": pairs.mean(), "mean_absolute": np.abs(pairs).mean()}
    rows["features"].append({**front, **values})
    if seed == 0:
        matrices.setdefault(cell.group, {})[f"{cell.cell_id}/seed{seed}"] = matrix.astype(np.float16)


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
def exhibits(tables):
    return {item.name: item for item in dynamics.exhibits(tables)}


@pytest.fixture
def small(tmp_path):
    """One network on one data set, two optimizers, two replicates: quick to draw."""
    sample(tmp_path, datasets=("fashion",), networks=("lenet5",), inits=("pretrained",), seeds=2)
    return tmp_path


def opened(folder):
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
    if len(values) < 2:
        return len(values), mean, math.nan, math.nan
    if np.ptp(values) == 0:
        return len(values), mean, mean, mean
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


def test_interval_is_students_t():
    """n = 3: 4.302652729911275 standard errors (table of Student's t, two degrees of freedom, 97.5 %)."""
    frame = pd.DataFrame({"cell_id": ["a"] * 3 + ["b"], "value": [1.0, 2.0, 6.0, 5.0]})
    out = summarise(frame, ["cell_id"], "value").set_index("cell_id")
    half = 4.302652729911275 * math.sqrt(7.0) / math.sqrt(3)
    assert out.loc["a", "low"] == pytest.approx(3 - half)
    assert out.loc["a", "high"] == pytest.approx(3 + half)
    assert out.loc["b", "mean"] == 5
    assert math.isnan(out.loc["b", "low"])


def test_undefined_values_are_not_in_n():
    frame = pd.DataFrame({"cell_id": ["a"] * 3, "value": [1.0, math.nan, 3.0]})
    assert summarise(frame, ["cell_id"], "value")[["n", "mean"]].to_numpy().tolist() == [[2, 2.0]]


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
            words = f"{mean:.1f} ({max(low, 0):.1f} to {min(high, 100):.1f})"
            assert row["best validation epoch, on test (%)"] == words
        else:
            assert row["best validation epoch, on test (%)"] == "none"
            assert row["replicates"] == "0 of 3 (3 failed)"


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
        words = row["‖θ − θ₀‖"].replace("−", "-")
        printed = [float(text) for text in words.replace("(", "").replace(")", "").replace("to", "").split()]
        np.testing.assert_allclose(printed, [mean, low, high], rtol=6e-4)
        assert row["cosine of θ₀ and θ"].startswith(f"{own['cosine'].mean():.6f} (")


def test_unchanged_parts_add_up(folder, exhibits):
    """Shares of structural, other unchanged and changed parameters, from the layers' rows rather than the total."""
    rows = raw(folder, "unchanged")
    layers = rows[rows["layer"] != "total"]
    for row in exhibits["unchanged"].data.to_dict("records"):
        own = layers[layers["cell_id"] == row["cell_id"]].groupby("seed")[["size", "unchanged", "structural"]].sum()
        share = own["unchanged"] / own["size"]
        np.testing.assert_allclose([row["n"], row["unchanged"], row["low"], row["high"]], interval(share), atol=1e-12)
        assert row["structural_unchanged"] == pytest.approx((own["structural"] / own["size"]).mean())
        assert row["structural_unchanged"] + row["other_unchanged"] + row["changed"] == pytest.approx(1)


def test_unchanged_facts_name_the_structural_part(tables):
    found = {(item["dataset"], item["network"]): item for item in unchanged.facts(tables)}
    size = sum(NETWORKS["resnet18-quarter"].values())
    closed = sum(
        int(n * 8 / 9)
        for name, n in NETWORKS["resnet18-quarter"].items()
        if name.startswith("layer4.") and "conv" in name
    )
    resnet = found["digits", "resnet18-quarter"]
    assert resnet["unchanged"] == pytest.approx([closed / size] * 2)
    assert resnet["structural_part"] == 1
    assert f"{closed / size * 100:.2f} %" in resnet["sentence"]
    assert "100 % of these are structural" in resnet["sentence"]
    assert "layer4.0.conv1" in resnet["sentence"]
    assert "none of them is structural" in found["digits", "vgg19-eighth"]["sentence"]
    assert "Every parameter" in found["digits", "lenet5"]["sentence"]


def test_more_structural_than_unchanged_is_said(tmp_path):
    """With weight decay a structural weight changes: the structural part of the bar is then what stayed, no more."""
    sample(tmp_path, datasets=("digits",), networks=("resnet18-quarter",), inits=("pretrained",), seeds=2)
    path = tmp_path / "tables" / "unchanged.csv"
    rows = pd.read_csv(path)
    rows["unchanged"] = rows["unchanged"] // 2
    rows.to_csv(path, index=False)
    [made] = unchanged.unchanged(opened(tmp_path))
    np.testing.assert_allclose(made.data["structural_unchanged"], made.data["unchanged"])
    assert (made.data["structural"] > made.data["unchanged"]).all()
    assert "weight decay" in made.caption


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
    for name in ("mean_correlation", "mean_absolute"):
        check(data[data["quantity"] == name], ["cell_id"], found, name)
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
    np.testing.assert_allclose(features.shrink(matrix, 4), matrix.reshape(4, 2, 4, 2).mean(axis=(1, 3)))
    uneven = features.shrink(np.arange(25.0).reshape(5, 5), 3)
    assert uneven.shape == (3, 3)
    assert uneven[2, 2] == 24
    assert features.shrink(matrix, 8) is matrix


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


# --- words and files


def test_every_exhibit_has_words(exhibits):
    assert set(exhibits) >= {name for name in dynamics.PARTS if name != "sources"} - {
        "training-curves", "statistics", "feature-correlation"
    }  # fmt: skip
    for name, item in exhibits.items():
        assert len(item.caption) > 60, name
        assert len(item.alt) > 20, name
        assert item.title, name
        assert len(item.data), name
        assert name == name.lower(), name
        assert "_" not in name, name
        assert not set("*`[]|$^~") & set(item.caption + item.alt), name
        assert "nan" not in item.caption + item.alt, name


def test_accuracy_alt_has_the_extremes(folder, exhibits):
    found = raw(folder, "accuracy")
    means = found[found["protocol"] == "last"].groupby("cell_id")["accuracy"].mean()
    alt = exhibits["accuracy"].alt
    assert f"{means.min() * 100:.1f} %" in alt
    assert f"{means.max() * 100:.1f} %" in alt
    assert f"over {len(means)} cells" in alt


def test_same_tables_same_bytes(small, tmp_path_factory):
    """Once here and once in a process with other hashes of strings."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    arguments = ["study", "--study", "dynamics", "--cells", str(small / "cells.csv"), "--tables", str(small / "tables")]
    arguments += ["--measures", str(small / "measures"), "--output"]
    draw.main([*arguments, str(first)])
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    command = [sys.executable, str(SCRIPTS / "draw.py"), *arguments, str(second)]
    subprocess.run(command, check=True, env=environment)
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    assert {Path(name).suffix for name in names} == {".csv", ".json", ".png", ".svg"}
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    told = json.loads((first / "exhibits.json").read_text())
    assert (told["chapter"], told["title"]) == ("dynamics", "Parameter dynamics")
    for item in told["exhibits"]:
        assert item["columns"] == list(pd.read_csv(first / item["csv"], nrows=0).columns)
        assert (item["kind"] == "figure") == (item["file"] is not None)
        assert item["file"] is None or (first / item["file"]).stat().st_size < 2_000_000


def test_drawing_needs_no_torch():
    code = "import draw, atlas.tell.dynamics, atlas.tell.data, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPTS)


def test_facts(folder, tables):
    facts = dynamics.facts(tables)
    assert facts["replicates"] == {"asked": 72, "done": 68, "diverged": 1, "failed": 3, "missing": 0}
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
    for item in facts["moved"]:
        own = moved[(moved["dataset"] == item["dataset"]) & (moved["network"] == item["network"])]
        means = own.groupby(["optimizer", "cell_id"])["relative"].mean()
        for name, ends in item["by_optimizer"].items():
            assert ends == pytest.approx([means[name].min(), means[name].max()])


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
    for axes, dataset in zip(figure.axes, ("digits", "fashion"), strict=True):
        own = data[(data["dataset"] == dataset) & (data["protocol"] == "last")]
        drawn = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(sorted(drawn), sorted(own["mean"] * 100))
        assert axes.get_xlim()[1] <= 101


def test_structural_part_is_hatched(exhibits):
    """The hatched bars are as long as the structural share, and the three parts fill each bar."""
    item = exhibits["unchanged"]
    bars = [bar for axes in item.figure.axes for bar in axes.patches if bar.get_height() == pytest.approx(0.66)]
    hatched = [bar.get_width() for bar in bars if bar.get_hatch()]
    np.testing.assert_allclose(sorted(hatched), sorted(item.data["structural_unchanged"] * 100))
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
    figure, images = movement.layer_maps(tables, data, "")
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
    _, images = statistics.maps(tables, item.data)
    image = images[1]  # standard deviation
    rows = [text.get_text() for text in images[0].axes.get_yticklabels()]
    columns = [text.get_text() for text in image.axes.get_xticklabels()]
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
    made = {item.name: item for item in dynamics.exhibits(opened(tmp_path))}
    assert made["accuracy"].data["low"].isna().all()
    assert "there is no interval" in made["accuracy"].caption
    lines = [line for line in made["accuracy"].figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert not lines
    assert "(" not in made["norms"].data["‖θ − θ₀‖"].iloc[0]


@pytest.mark.parametrize("gone", ["unchanged", "features", "movement", "metrics", "accuracy", "statistics"])
def test_an_empty_table_leaves_its_exhibits_out(small, gone):
    path = small / "tables" / f"{gone}.csv"
    pd.read_csv(path).head(0).to_csv(path, index=False)
    tables = opened(small)
    # Only what reads the table, so that the six cases are quick.
    names = {"unchanged": ["unchanged"], "features": ["feature-correlation-summary"], "metrics": ["training-curves"]}
    names |= {"movement": ["movement", "interval-norms", "norms", "movement-layers"], "statistics": ["statistics"]}
    names |= {"accuracy": ["accuracy", "accuracy-table"]}
    parts = {name: dynamics.PARTS[name] for name in names[gone]}
    assert exhibit.build(parts, tables) == []
    assert len(tables.left_out) == len(parts)
    assert all(f"{gone}.csv" in sentence for sentence in tables.left_out)
    assert dynamics.facts(tables)["left_out"] == tables.left_out


def test_no_matrix_and_no_file(small):
    for path in (small / "measures").glob("*/features.safetensors"):
        path.unlink()
    (small / "tables" / "unchanged.csv").unlink()
    tables = opened(small)
    names = {item.name for item in dynamics.exhibits(tables)}
    assert "feature-correlation" not in names
    assert "unchanged" not in names
    assert "movement" in names
    assert len(tables.left_out) == 2


def test_nothing_finished(small):
    path = small / "tables" / "runs.csv"
    pd.read_csv(path).assign(status="failed").to_csv(path, index=False)
    tables = opened(small)
    made = {item.name: item for item in dynamics.exhibits(tables)}
    assert "accuracy" not in made
    assert (made["accuracy-table"].data["last epoch, on test (%)"] == "none").all()
    facts = dynamics.facts(tables)
    assert facts["best"] == facts["unchanged"] == []
    assert "0 finished, 4 failed" in facts["sentences"][0]


def test_missing_replicates_are_counted(small):
    path = small / "tables" / "runs.csv"
    pd.read_csv(path).query("seed == 0").to_csv(path, index=False)
    [made] = runs.accuracy(opened(small))
    assert made.data["n"].tolist() == [1] * 6
    assert "1/2\n1 missing" in texts(made.figure)
    assert "Of 4 replicates 2 finished (2 missing)." in made.caption


def test_unknown_study_ends_in_one_line(small):
    with pytest.raises(SystemExit) as ended:
        draw.main(["study", "--study", "dynamiks", "--cells", str(small / "cells.csv"), "--tables", str(small),
                   "--measures", str(small), "--output", str(small / "out")])  # fmt: skip
    assert "dynamiks" in str(ended.value)
    assert "dynamics" in str(ended.value)
    assert "\n" not in str(ended.value)


# --- cells


def test_sources_are_told_apart(small):
    cells = pd.read_csv(small / "cells.csv", dtype=str, keep_default_na=False)
    cells.loc[0, "role"] = "source"
    cells.to_csv(small / "cells.csv", index=False)
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
    cells.to_csv(tmp_path / "cells.csv", index=False)
    tables = Tables("mine", tmp_path / "cells.csv", tmp_path, tmp_path)
    assert tables.axes == ["init", "dropout"]
    assert tables.cells["label"].tolist() == ["None · 0.5", "nan · 0"]
    assert runs.cell_name(tables, tables.cells["cell_id"][1]) == "digits, lenet5, nan · 0"


def test_which_module_tells_a_study():
    assert draw.chapter_module("dynamics") is dynamics
    assert draw.chapter_module("my-own-study") is study
    assert draw.chapter_module("data") is study  # a module of the package, but none that tells a study
    assert draw.chapter_module("a b") is study


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
    card |= {"classes": [f"class {kind}" for kind in range(classes)], "counts": counts, "notes": []}
    write_json(folder / f"{name}.json", card)
    return [folder / f"{name}.json"], [folder / f"{name}.safetensors"]


def test_ten_training_pictures_a_class(tmp_path):
    cards, files = data_files(tmp_path, classes=3, channels=1)
    grid, counts = pictures.exhibits(pictures.cards(cards, {}), files)
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


def test_colour_pictures_and_many_classes(tmp_path):
    cards, files = data_files(tmp_path, classes=30, channels=3)
    grid, counts = pictures.exhibits(pictures.cards(cards, {}), files)
    assert grid.data["class"].nunique() == 20
    assert "20 of its 30 classes" in grid.caption
    assert grid.figure.axes[0].images[0].get_array().shape[-1] == 3
    assert counts.data["class"].tolist() == ["each of 30", "all classes"]


def test_cards_and_data_must_fit(tmp_path):
    cards, files = data_files(tmp_path, classes=2, channels=1)
    _, others = data_files(tmp_path, classes=2, channels=1, name="other")
    with pytest.raises(ValueError, match="in the same order"):
        pictures.exhibits(pictures.cards(cards, {}), others)
    draw.main(["data", "--cards", str(cards[0]), "--data", str(files[0]), "--output", str(tmp_path / "out")])
    told = json.loads((tmp_path / "out" / "exhibits.json").read_text())
    assert [item["name"] for item in told["exhibits"]] == ["pictures-some-0123", "class-counts"]
    assert told["facts"]["datasets"][0]["totals"] == {"train": 24, "valid": 6, "test": 4}


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
