"""Count the weights of each trained replicate that lie near zero."""

# ruff: noqa: F821  Snakemake puts `snakemake` there

import csv
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

with open(snakemake.input.cells, newline="", encoding="utf-8") as file:
    labels = {row["cell_id"]: row["optimizer"] for row in csv.DictReader(file)}
with open(snakemake.output[0], "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file)
    writer.writerow(["optimizer", "seed", "share"])
    for path in map(Path, snakemake.input.blocks):
        run = json.loads(path.read_text(encoding="utf-8"))
        for replicate in run["replicates"]:
            name = f"snapshots/seed{replicate['seed']}/epoch_{replicate['epochs']}.safetensors"
            weights = load_file(path.parent / name)
            values = np.concatenate([one.ravel() for key, one in weights.items() if key.endswith("weight")])
            share = float((np.abs(values) < snakemake.params.threshold).mean())
            writer.writerow([labels[run["cell_id"]], replicate["seed"], f"{share:.4f}"])
