"""Given checkpoints as a trained block has them: the same files at the same places, so that all else finds them."""

import shutil

import torch

from weight_atlas import records, schema, store
from weight_atlas.analysis import evaluation
from weight_atlas.networks import inputs

VALID = 1  # of a data file's `split`


def lay_out(cell_id, cell, files, data, card, block):
    """Write run.json, metrics.csv and snapshots of a block directory, seeds_<first>-<last>, from a user's files.

    cell: the resolved cell, whose `snapshots` are the epochs of each series; files: those of the block's seeds, series
    after series; data, card: the data set's file and its card (a dict) to evaluate every snapshot on, or None, which
    leaves metrics.csv its header. Tensors become float32; a series with a value that is not finite counts as diverged.
    The same files give the same bytes. Prints a line a replicate; ValueError where a file is none.
    """
    torch.set_num_threads(cell["network"]["threads"])
    shutil.rmtree(block / "snapshots", ignore_errors=True)
    shape = cell["input"]
    pictures = shown(data, card, shape["channels"], shape["size"]) if data else None
    for place, seed in enumerate(store.block_seeds(block)):
        epochs = cell["snapshots"]
        series = dict(zip(epochs, files[place * len(epochs) :][: len(epochs)], strict=True))
        record, rows = _replicate(cell_id, cell, seed, series, pictures, block)
        schema.write(store.metrics_path(block, seed), "metrics", rows)
        store.write_json(store.record_path(block, seed), record)
        records.seal(block, seed, "", records.NO_MACHINE)
        print(f"{cell_id} seed {seed}: {len(series)} files, {record['status']}", flush=True)
    records.assemble(block, cell_id, cell)


def shown(data, card, channels, size):
    """(the Pictures of `evaluation.pictures`, {"valid", "test": (pictures, labels)}) of a data set."""
    found = evaluation.pictures(data, card, channels, size, 0)
    tensors = store.load_tensors(data)
    chosen = (tensors["split"] == VALID).nonzero().squeeze(1)
    valid = inputs.fit_images(tensors["images"][chosen], card, channels, size), tensors["labels"][chosen]
    return found, {"valid": valid, "test": (found.test, found.labels)}


def _replicate(cell_id, cell, seed, series, pictures, block):
    """(the record of one series for run.json, its rows of metrics.csv), with its snapshots in place."""
    read, metrics, bad = [], [], None
    for epoch, path in series.items():
        tensors, changed = converted(store.load_tensors(path))
        store.save_tensors(
            store.snapshot_path(block, seed, epoch), tensors, {"cell_id": cell_id, "seed": seed, "epoch": epoch}
        )
        read.append({"epoch": epoch, "file": path.name, "sha256": store.sha256(path), "converted_from": changed})
        if bad is None and not all(tensor.isfinite().all() for tensor in tensors.values()):
            bad = epoch
        if pictures and bad is None:
            metrics.append((cell_id, seed, epoch, *evaluated(cell, tensors, *pictures)))
    best = _best(metrics)
    if best is not None:
        store.snapshot_path(block, seed, "best").hardlink_to(store.snapshot_path(block, seed, best))
    cause = None if bad is None else f"a value of the file of epoch {bad} is not finite"
    status = "done" if bad is None else "diverged"
    record = {"seed": seed, "status": status, "cause": cause, "epochs": max(series), "best_epoch": best, "files": read}
    return record, metrics


def converted(tensors):
    """(the tensors with floats as float32 and whole numbers as int64, the types that others had, sorted)."""
    found, changed = {}, set()
    for name, tensor in tensors.items():
        kind = torch.float32 if tensor.is_floating_point() else torch.int64
        changed |= {str(tensor.dtype).removeprefix("torch.")} if tensor.dtype != kind else set()
        found[name] = tensor.to(kind)
    return found, sorted(changed)


def evaluated(cell, tensors, pictures, splits):
    """The columns of metrics.csv from `stage` on, for a snapshot: loss and accuracy on validation and test, no more."""
    module = evaluation.module(cell, tensors)
    values = {}
    for name, (images, labels) in splits.items():
        values[f"{name}_loss"], values[f"{name}_accuracy"] = evaluation.evaluate(module, pictures, images, labels)
    return [values.get(column) for column in store.METRICS[3:]]


def _best(metrics):
    """The epoch (from 1) of the best validation accuracy, the first of equals; None where none was evaluated."""
    column = store.METRICS.index("valid_accuracy")
    rows = [row for row in metrics if row[2] >= 1]
    return max(rows, key=lambda row: row[column])[2] if rows else None
