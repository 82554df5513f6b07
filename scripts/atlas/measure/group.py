"""Measure a group of cells that share data set and network: every snapshot read once, the group's tables written."""

import math
import tempfile
import time
from pathlib import Path

import torch

from atlas import networks, store
from atlas.measure import (
    features,
    movement,
    pairs,
    parameters,
    runs,
    similarity,
    statistics,
    tables,
    tolerance,
    unchanged,
)
from atlas.networks import inputs
from atlas.networks.build import build

TEST = 2  # the test pictures in a data file's `split`


def measure(cells, data, card, output, threads=1):
    """Write the tables of `atlas.measure.tables.MEASURES`, features.safetensors and pairs.safetensors to `output`.

    cells: the cells of a group as `atlas.measure.cells.grouped` gives them; data: the data set's safetensors file;
    card: its card, a dict; threads: torch's. Prints one line a replicate. Replicates that failed or that lack a
    snapshot are skipped. Of a diverged one all snapshots get statistics, but movement ends at the last finite one, and
    what needs the last epoch is left out. The features of all models are compared with one another; they wait on disk,
    in a directory below `output` that is gone at the end, and are read from there as memory has room.
    """
    torch.set_num_threads(threads)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    images = _test_images(data)
    found = {name: [] for name in tables.MEASURES}
    matrices, models = {}, {}
    with tempfile.TemporaryDirectory(prefix=".features-", dir=output) as scratch:
        for entry in cells:
            layers = networks.table(*_network(entry["cell"]))
            found["parameters"] += [(entry["cell_id"], *row) for row in parameters.rows(layers)]
            for seed, block, _, replicate in runs.replicates(entry["blocks"], entry["seeds"]):
                since = time.perf_counter()
                epochs, why = available(entry["cell"], block, replicate)
                if why:
                    print(f"{entry['cell_id']} seed {seed}: skipped, {why}", flush=True)
                    continue
                rows, last = _series(layers, block, replicate, epochs)
                if last is not None:
                    caught = Path(scratch) / f"{len(models)}.safetensors"
                    rows["features"], matrix, model = _features(entry["cell"], layers, last, images, card, caught)
                    if not any(cell_id == entry["cell_id"] for cell_id, _ in models):
                        matrices[f"{entry['cell_id']}/seed{seed}"] = matrix.half()
                    models[entry["cell_id"], seed] = model
                for name, own in rows.items():
                    found[name] += [(entry["cell_id"], seed, *row) for row in own]
                seconds = time.perf_counter() - since
                print(f"{entry['cell_id']} seed {seed}: {len(epochs)} snapshots, {seconds:.2f} s", flush=True)
        since = time.perf_counter()
        found["pairs"], crossed = pairs.rows(layers, cells, models)
        print(f"{len(found['pairs'])} pairs of models, {time.perf_counter() - since:.2f} s", flush=True)
    for name, rows in found.items():
        tables.write(output / f"{name}.csv", name, rows, digits=9 if name == "statistics" else None)
    store.save_tensors(output / "features.safetensors", matrices, {})
    store.save_tensors(output / "pairs.safetensors", crossed, {})


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


def _network(cell):
    """The network of a resolved cell, as `networks.table` and `build` take it."""
    return cell["network"], cell["input"]["channels"], cell["input"]["size"], cell["classes"]


def _series(layers, block, replicate, epochs):
    """({measure: rows without cell and seed}, last snapshot's path or None) of one replicate's snapshots.

    The path is None where the replicate did not reach its last epoch with finite values.
    """
    rows = {"statistics": [], "movement": []}
    start = previous = None
    finite = True
    for epoch in epochs:
        path = store.snapshot_path(block, replicate["seed"], epoch)
        current = (epoch, store.load_tensors(path))
        described = statistics.rows(layers, current[1])
        rows["statistics"] += [(epoch, *row) for row in described]
        finite = finite and all(math.isfinite(row[-1]) for row in described)
        if finite and previous:
            rows["movement"] += _moved(layers, start, previous, current)
        start, previous = start or current, current
    if replicate["status"] != "done" or not finite:
        return rows, None
    track = store.track_path(block, replicate["seed"])
    bits = store.load_tensors(track) if track.exists() else None
    rows["unchanged"] = unchanged.rows(layers, start[1], current[1], bits)
    rows["tolerance"] = tolerance.rows(layers, start[1], current[1])
    return rows, path


def _features(cell, layers, path, images, card, caught):
    """(rows of features.csv, correlations of the activations, pairs.Model) of the snapshot at `path`.

    caught: the file that the penultimate features are kept in.
    """
    tensors = store.load_tensors(path)
    with torch.device("meta"):  # no storage and no start: the snapshot's own tensors take the place of the parameters
        module, _ = build(*_network(cell))
    module.load_state_dict(tensors, assign=True)
    pictures = inputs.pictures(images, card, cell["input"]["channels"], cell["input"]["size"])
    values, predictions = features.penultimate(module, layers.head.name, pictures, card)
    store.save_tensors(caught, {"features": values})
    active = features.Centred(store.load_tensors(caught)["features"])
    products = features.product(active, active)
    model = pairs.Model(path, active, similarity.hsic(products, active.norms, active.norms), predictions)
    matrix = features.correlation(products, active, active)
    rows = [("activations", *features.describe(matrix))]
    layer = features.maker(layers)
    if layer is not None:
        weights = features.Centred(features.weight_rows(layers, layer, tensors[f"{layer.name}.weight"]))
        own = features.correlation(features.product(weights, weights), weights, weights)
        rows.append(("weights", *features.describe(own)))
    return rows, matrix, model


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
