"""Measure a group of cells that share data set and architecture: every snapshot read once, the group's tables written.

Models are compared with one another where their networks are the same, options and all.
"""

import json
import math
import tempfile
import time
from pathlib import Path

import torch

from weight_atlas import cell_table, networks, records, schema, starts, store
from weight_atlas.analysis import course, evaluation
from weight_atlas.analysis.alignment import align
from weight_atlas.analysis.features import features, filters, pairs, similarity
from weight_atlas.analysis.perturbed import children, paths
from weight_atlas.analysis.weights import checkpoints, parameters
from weight_atlas.networks import symmetry
from weight_atlas.vocabulary import Status

# Of a replicate whose snapshots are gone but for a few.
OUTDATED = "its course was measured by older code, before its snapshots were removed; that stays as it is"


def measure(asked, data, card, output, threads=1):
    """Write the tables of `weight_atlas.analysis.schema.MEASURES`, features.safetensors and pairs.safetensors to
    `output`, and filters.safetensors where a cell's experiment asks for them (see
    `weight_atlas.analysis.features.filters`).

    asked: the cells of a group as `weight_atlas.cell_table.grouped` gives them; data: the data set's safetensors
    file; card: its card, a dict; both None where there are no pictures, which leaves what needs none; threads: torch's.
    Prints one line a replicate. Replicates that failed or that lack a snapshot are skipped. Of a diverged one all
    snapshots get statistics, but movement ends at the last finite one, and what needs the last epoch is left out. The
    features of all models are compared with one another; they wait on disk, in a directory below `output` that is gone
    at the end, and are read from there as memory has room. A finished replicate that was perturbed is compared with its
    parent's of the same seed, where that one finished, and with its control's.
    """
    began = time.process_time()
    torch.set_num_threads(threads)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    shape = asked[0]["cell"]["input"]
    pictures = evaluation.pictures(data, card, shape["channels"], shape["size"], paths.TRAIN) if data else None
    found = {name: [] for name in schema.MEASURES}
    found["facts"] = [tuple(fact.values()) for fact in align.facts()] if cell_table.children(_by_id(asked)) else []
    kept = {"features": {}, "pairs": {}, "filters": {}}
    for same in alike(asked):
        with tempfile.TemporaryDirectory(prefix=".features-", dir=output) as scratch:
            _network(same, pictures, found, kept, Path(scratch))
    for name, rows in found.items():
        schema.write(output / f"{name}.csv", name, rows, digits=9 if name == "statistics" else None)
    for name, tensors in kept.items():
        if tensors or name != "filters":
            store.save_tensors(output / f"{name}.safetensors", tensors, {})
    print(f"core-seconds: {time.process_time():.1f}, {began:.1f} of them to start", flush=True)


def alike(asked):
    """The cells of a group, one list a network: those in which the layer tables are the same."""
    found = {}
    for entry in asked:
        key = json.dumps([entry["cell"]["network"], entry["cell"]["classes"]], sort_keys=True)
        found.setdefault(key, []).append(entry)
    return list(found.values())


def _by_id(asked):
    return {entry["cell_id"]: entry for entry in asked}


def _network(asked, pictures, found, kept, scratch):
    """Add the rows of the cells of one network to `found`, by table, and its tensors to `kept`, by file."""
    group = _by_id(asked)
    layers = networks.layer_table(*evaluation.network(asked[0]["cell"]))
    family = cell_table.children(group)
    parents = {child.parent for child in family.values()}
    models = {}
    for entry in asked:
        if entry["cell_id"] in parents:
            found["symmetries"] += [(entry["cell_id"], *row) for row in symmetry.rows(layers)]
        found["parameters"] += [(entry["cell_id"], *row) for row in parameters.rows(layers)]
        for seed, block, _, replicate in records.replicates(entry["blocks"], entry["seeds"]):
            since = time.perf_counter()
            if replicate["status"] == Status.MISSING:
                found["missing"].append((entry["cell_id"], seed, replicate["cause"]))
            epochs, why = course.available(entry["cell"], block, replicate)
            if why:
                print(f"{entry['cell_id']} seed {seed}: skipped, {why}", flush=True)
                continue
            rows = course.rows(layers, block, replicate, epochs)
            if filters.EXPERIMENT not in filters.experiments(entry):
                rows["identical"] = []
            if course.outdated(block, replicate):
                print(f"{entry['cell_id']} seed {seed}: {OUTDATED}", flush=True)
            finite = all(math.isfinite(row[-1]) for row in rows["statistics"])
            done = replicate["status"] == Status.DONE and finite
            last = course.snapshot(block, replicate, replicate["epochs"]) if done else None
            if done and pictures is None:
                rows["features"] = _weights(layers, starts.load(last))
                models[entry["cell_id"], seed] = None
            elif done:
                filters.keep(kept["filters"], entry, seed, layers, last, pictures)
                caught = scratch / f"{len(models)}.safetensors"
                model, products = _model(entry["cell"], layers, last, pictures, caught)
                rows["features"], matrix = _features(layers, model, products)
                if not any(cell_id == entry["cell_id"] for cell_id, _ in models):
                    kept["features"][f"{entry['cell_id']}/seed{seed}"] = matrix.half()
                models[entry["cell_id"], seed] = model
                if entry["cell_id"] in family:
                    rows |= _child(group, family[entry["cell_id"]], entry, seed, layers, last, pictures)
            for name, own in rows.items():
                found[name] += [(entry["cell_id"], seed, *row) for row in own]
            seconds = time.perf_counter() - since
            print(f"{entry['cell_id']} seed {seed}: {len(epochs)} snapshots, {seconds:.2f} s", flush=True)
    since = time.perf_counter()
    originals = _originals(group, family, models, layers, pictures, scratch) if family else {}
    compared, crossed = pairs.rows(layers, asked, models, originals) if pictures else ([], {})
    found["pairs"] += compared
    kept["pairs"] |= crossed
    print(f"{len(compared)} pairs of models, {time.perf_counter() - since:.2f} s", flush=True)
    since = time.perf_counter()
    named = checkpoints.rows(layers, group, list(models))
    for name, rows in named.items():
        found[name] += rows
    print(f"{len(named['checkpoints'])} checkpoints, {time.perf_counter() - since:.2f} s", flush=True)


def _model(cell, layers, path, pictures, caught):
    """(pairs.Model, products of its features with themselves) of the snapshot at `path`.

    caught: the file that its penultimate features and its outputs are kept in.
    """
    module = evaluation.module(cell, starts.load(path))
    values, outputs = features.penultimate(module, layers.head.name, pictures)
    store.save_tensors(caught, {"features": values, "outputs": outputs})
    kept = store.load_tensors(caught)
    active, outputs = features.Centred(kept["features"]), kept["outputs"]
    products = features.product(active, active)
    own = similarity.hsic(products, active.norms, active.norms)
    return pairs.Model(path, active, own, outputs, outputs.argmax(1) != pictures.labels), products


def _features(layers, model, products):
    """(rows of features.csv, correlations of the activations) of a model; `products` are used up."""
    matrix = features.correlation(products, model.features, model.features)
    rows = [("activations", *features.describe(matrix))]
    return rows + _weights(layers, starts.load(model.snapshot)), matrix


def _weights(layers, tensors):
    """The row of features.csv on the weights that make the features, in a list; [] where the head reads the picture."""
    layer = features.maker(layers)
    if layer is None:
        return []
    weights = features.Centred(features.weight_rows(layers, layer, tensors[f"{layer.name}.weight"]))
    own = features.correlation(features.product(weights, weights), weights, weights)
    return [("weights", *features.describe(own))]


def _child(group, child, entry, seed, layers, last, pictures):
    """The rows of `children.rows` of one replicate with its last snapshot at `last`; none without its original."""
    files = {
        "original": children.snapshot(group.get(child.parent), seed, child.take),
        "start": children.snapshot(entry, seed, 0),
        "end": last,
        "control": children.snapshot(group.get(child.control), seed),
    }
    if files["original"] is None:
        print(f"{entry['cell_id']} seed {seed}: its parent {child.parent} has no such replicate to compare", flush=True)
        return {}
    return children.rows(entry["cell"], layers, files, pictures)


def _originals(group, family, models, layers, pictures, scratch):
    """{(cell, seed): Model} of what the perturbed ones among `models` were before; each snapshot is taken once."""
    known = {model.snapshot: model for model in models.values()}
    found = {}
    for cell_id, seed in models:
        if cell_id in family:
            parent = group.get(family[cell_id].parent)
            path = children.snapshot(parent, seed, family[cell_id].take)
            if path is not None and path not in known:
                caught = scratch / f"original-{len(known)}.safetensors"
                known[path], _ = _model(parent["cell"], layers, path, pictures, caught)
            if path is not None:
                found[cell_id, seed] = known[path]
    return found
