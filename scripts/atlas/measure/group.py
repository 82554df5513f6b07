"""Measure a group of cells that share data set and network: every snapshot read once, the group's tables written."""

import math
import time
from pathlib import Path

import torch

from atlas import networks, store
from atlas.measure import features, movement, runs, statistics, tables, unchanged
from atlas.networks import inputs
from atlas.networks.build import build

TEST = 2  # the test pictures in a data file's `split`


def measure(cells, data, card, output, threads=1):
    """Write statistics.csv, movement.csv, unchanged.csv, features.csv and features.safetensors to `output`.

    cells: a list of {"cell_id", "blocks": [directories], "seeds": [..], "cell": the resolved cell}; data: the data
    set's safetensors file; card: its card, a dict; threads: torch's. Prints one line a replicate. Replicates that
    failed or that lack a snapshot are skipped. Of a diverged one all snapshots get statistics, but movement ends at the
    last finite one, and unchanged and features, which need the last epoch, are left out.
    """
    torch.set_num_threads(threads)
    images = _test_images(data)
    found = {name: [] for name in tables.MEASURES}
    matrices = {}
    for entry in cells:
        kept = False
        for seed, block, _, replicate in runs.replicates(entry["blocks"], entry["seeds"]):
            since = time.perf_counter()
            epochs, why = available(entry["cell"], block, replicate)
            if why:
                print(f"{entry['cell_id']} seed {seed}: skipped, {why}", flush=True)
                continue
            rows, matrix = _replicate(entry["cell"], block, replicate, epochs, images, card)
            for name in tables.MEASURES:
                found[name] += [(entry["cell_id"], seed, *row) for row in rows[name]]
            if matrix is not None and not kept:
                matrices[f"{entry['cell_id']}/seed{seed}"], kept = matrix.half(), True
            seconds = time.perf_counter() - since
            print(f"{entry['cell_id']} seed {seed}: {len(epochs)} snapshots, {seconds:.2f} s", flush=True)
    for name, rows in found.items():
        tables.write(Path(output) / f"{name}.csv", name, rows, digits=9 if name == "statistics" else None)
    store.save_tensors(Path(output) / "features.safetensors", matrices, {})


def available(cell, block, replicate):
    """(epochs, None) of the snapshots to measure, or (None, why not), for one replicate of a resolved cell.

    A finished replicate needs every snapshot that the cell asks for, up to the epoch at which it ended; of a diverged
    one, those are taken that exist.
    """
    if replicate["status"] not in ("done", "diverged"):
        return None, f"status {replicate['status']}"
    last, asked = replicate["epochs"], cell["snapshots"]
    if isinstance(asked, str):
        asked = range(last + 1) if asked == "all" else ()
    wanted = sorted({0, last, *(epoch for epoch in asked if epoch <= last)})
    there = [epoch for epoch in wanted if store.snapshot_path(block, replicate["seed"], epoch).exists()]
    if replicate["status"] == "done" and there != wanted:
        return None, f"no snapshot of epoch {min(set(wanted) - set(there))}"
    return (there, None) if there else (None, "no snapshots")


def _replicate(cell, block, replicate, epochs, images, card):
    """({measure: rows without cell and seed}, feature correlations or None) of one replicate."""
    network = (cell["network"], cell["input"]["channels"], cell["input"]["size"], cell["classes"])
    layers = networks.table(*network)
    rows = {name: [] for name in tables.MEASURES}
    start = previous = current = None
    finite = True
    for epoch in epochs:
        current = (epoch, store.load_tensors(store.snapshot_path(block, replicate["seed"], epoch)))
        described = statistics.rows(layers, current[1])
        rows["statistics"] += [(epoch, *row) for row in described]
        finite = finite and all(math.isfinite(row[-1]) for row in described)
        if finite and previous:
            rows["movement"] += _moved(layers, start, previous, current)
        start, previous = start or current, current
    if replicate["status"] != "done" or not finite:
        return rows, None
    rows["unchanged"] = unchanged.rows(layers, start[1], current[1])
    with torch.device("meta"):  # no storage and no start: the snapshot's own tensors take the place of the parameters
        module, _ = build(*network)
    module.load_state_dict(current[1], assign=True)
    pictures = inputs.pictures(images, card, cell["input"]["channels"], cell["input"]["size"])
    matrix = features.correlation(features.penultimate(module, layers.head.name, pictures, card))
    rows["features"] = [features.describe(matrix)]
    return rows, matrix


def _moved(layers, start, previous, current):
    """Rows of movement.csv for one snapshot: since the previous one, and since the start. Each is (epoch, tensors)."""
    consecutive = movement.rows(layers, previous[1], current[1])
    whole = consecutive if previous is start else movement.rows(layers, start[1], current[1])
    return [
        (row[0], since[0], current[0], interval, *row[1:])
        for interval, since, found in (("consecutive", previous, consecutive), ("start", start, whole))
        for row in found
    ]


def _test_images(data):
    """The test pictures of a data set file: uint8 [N, C, H, W]."""
    tensors = store.load_tensors(data)
    images = tensors["images"][tensors["split"] == TEST]
    if not len(images):
        raise ValueError(f"{data}: no picture has split {TEST} (test); remove the file, so that it is prepared again")
    return images
