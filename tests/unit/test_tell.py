"""Exhibits: the numbers behind them, their words, their bytes, and what they do with failed and undefined cells."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from atlas.store import save_tensors

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


def sample(folder, datasets=("digits", "fashion"), networks=tuple(NETWORKS), inits=INITS, optimizers=OPTIMIZERS, seeds=3):
    """Write cells.csv, tables/ and measures/ with plausible random numbers below `folder`; returns the cells."""
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
    rows["runs"].append({**front, "status": status, "cause": "", "epochs": EPOCHS, "best_epoch": 4, "wall_seconds": 3.2})
    if status == "failed":
        return
    end = (0.935 if digits else 0.80) + 0.02 * adam + random.normal(0, 0.006) + 0.01 * (cell.network != "lenet5")
    end += 0.015 * INITS.index(cell.init)
    speed = 0.6 + 0.4 * INITS.index(cell.init) + 0.5 * adam + random.normal(0, 0.05)
    for epoch in range(EPOCHS + 1):
        rise = 1 - math.exp(-speed * epoch)
        test = 0.1 + (end - 0.1) * rise + random.normal(0, 0.003)
        row = {"epoch": epoch, "stage": 0, "rate": 0.01, "train_loss": 2.3 * math.exp(-1.2 * speed * epoch) + 0.01}
        row |= {"train_accuracy": min(1, test + 0.02 * epoch / 5), "test_accuracy": test, "test_loss": 2.4 * (1.05 - rise)}
        row |= {"valid_accuracy": test + random.normal(0, 0.006), "valid_loss": row["test_loss"] * random.uniform(0.95, 1.1)}
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
    pace, total = (2.2 if adam else 0.35) * random.uniform(0.95, 1.05), 0.0
    for layer, size in NETWORKS[cell.network].items():
        batchnorm = "bn" in layer
        for parameter, share in (("weight", 0.95), ("bias", 0.05)):
            if parameter == "bias" and "conv" in layer and cell.network.startswith("resnet"):
                continue
            for epoch in (0, EPOCHS):
                std = 0 if epoch == 0 and (batchnorm or parameter == "bias") else 3 / size**0.5 * random.uniform(0.8, 1.2)
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
