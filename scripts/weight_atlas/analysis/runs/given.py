"""Given checkpoints as a trained block has them: the same files at the same places, so that all else finds them."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from weight_atlas import records, schema, store, tensor_entries
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.types import AnyPath, Card, Readable, Record, Row, Tensors
from weight_atlas.networks import inputs
from weight_atlas.plan import sharded
from weight_atlas.settings import Input, Settings
from weight_atlas.tensors_on_disk import TensorsOnDisk

VALID = 1  # of a data file's `split`


class LabelledImages(NamedTuple):
    """Images as a network takes them, uint8 [N, C, S, S], and their labels, int64 [N]."""

    images: torch.Tensor
    labels: torch.Tensor


class Splits(NamedTuple):
    """The Images of a data set, and those of its splits "valid" and "test"."""

    images: Images
    labelled: dict[str, LabelledImages]


class Converted(NamedTuple):
    """Tensors with floats as float32 and whole numbers as int64, and the types that others had, sorted."""

    tensors: Tensors
    from_types: list[str]


def lay_out(
    cell_id: str,
    settings: Settings,
    files: Sequence[Path],
    data: AnyPath | None,
    card: Card | None,
    block: Path,
    device: torch.device | str = "cpu",
) -> None:
    """Write run.json, metrics.csv and snapshots of a block directory from a user's files.

    Tensors become float32; a series with a value that is not finite counts as diverged. The same files give the same
    bytes. Those of a model of which only the tensors are known are not copied: its snapshots have links to them, and
    one tensor at a time is in memory. Prints a line per replicate.

    Parameters
    ----------
    cell_id, settings : str, Settings
        The cell, and its settings, resolved, whose `snapshots` are the epochs of each series.
    files : sequence of paths
        The checkpoints of the block's seeds, series after series: files, or indices of several.
    data, card : path and dict, or None
        The data set's file and its card to evaluate every snapshot on; None leaves metrics.csv its header.
    block : path
        The block's directory, seeds_<first>-<last>.
    device : torch.device or str
        Where the network is run.

    Raises
    ------
    ValueError
        Where a file is no safetensors file.
    """
    torch.set_num_threads(settings.network.threads)
    shutil.rmtree(block / "snapshots", ignore_errors=True)
    splits = None
    if data is not None and card is not None:
        splits = load_splits(data, card, settings.input, device)
    for place, seed in enumerate(store.block_seeds(block)):
        epochs = [int(epoch) for epoch in settings.snapshots]
        series = dict(zip(epochs, files[place * len(epochs) :][: len(epochs)], strict=True))
        record, metrics = _replicate(cell_id, settings, seed, series, splits, block)
        schema.write(store.metrics_path(block, seed), "metrics", metrics)
        store.write_json(store.record_path(block, seed), record)
        records.seal(block, seed, {})
        print(f"{cell_id} seed {seed}: {len(series)} files, {record['status']}", flush=True)
    records.assemble(block, cell_id, settings.json)


def load_splits(data: AnyPath, card: Card, shape: Input, device: torch.device | str = "cpu") -> Splits:
    """The validation and test images of a data set for a network that takes images of a shape, on its device."""
    images = evaluation.load_images(data, card, shape.channels, shape.size, 0, device)
    tensors = store.load_tensors(data)
    chosen = (tensors["split"] == VALID).nonzero().squeeze(1)
    valid = inputs.fit_images(tensors["images"][chosen], card, shape.channels, shape.size, device)
    labelled = {
        "valid": LabelledImages(valid, tensors["labels"][chosen].to(device)),
        "test": LabelledImages(images.test, images.labels),
    }
    return Splits(images, labelled)


def _replicate(
    cell_id: str, settings: Settings, seed: int, series: Mapping[int, Path], splits: Splits | None, block: Path
) -> tuple[Record, list[Row]]:
    """The record of one series for run.json and its rows of metrics.csv, with its snapshots in place."""
    sources: list[Record] = []
    metrics: list[Row] = []
    accuracies: dict[int, float] = {}  # on the validation images, from epoch 1
    diverged_at = None
    for epoch, path in series.items():
        snapshot, about = store.snapshot_path(block, seed, epoch), {"cell_id": cell_id, "seed": seed, "epoch": epoch}
        tensors, said = (_linked if settings.network.tensors else _copied)(path, snapshot, about)
        sources.append({"epoch": epoch} | said)
        if diverged_at is None and not all(map(is_finite, tensors.values())):
            diverged_at = epoch
        if splits is not None and diverged_at is None:
            values = evaluate(settings, dict(tensors), splits)
            metrics.append((cell_id, seed, epoch, *(values.get(column) for column in schema.names("metrics")[3:])))
            if epoch >= 1:
                accuracies[epoch] = values["valid_accuracy"]
    best = max(accuracies, key=accuracies.__getitem__) if accuracies else None  # the first of equals
    if best is not None:
        store.snapshot_path(block, seed, "best").hardlink_to(store.snapshot_path(block, seed, best))
    cause = None if diverged_at is None else f"a value of the file of epoch {diverged_at} is not finite"
    status = "done" if diverged_at is None else "diverged"
    record = {"seed": seed, "status": status, "cause": cause, "epochs": max(series), "best_epoch": best}
    return record | {"files": sources}, metrics


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether all values of a tensor are finite: its extremes are, several times faster than asking each value."""
    return tensor.numel() == 0 or all(bool(end.isfinite()) for end in torch.aminmax(tensor))


def _copied(path: Path, snapshot: Path, about: Record) -> tuple[Readable, Record]:
    """Write a snapshot of the converted tensors of a file; returns these, and what the record says of the file."""
    tensors, from_types = converted(store.load_tensors(path))
    store.save_tensors(snapshot, tensors, about)
    return tensors, {"file": path.name, "sha256": store.sha256(path), "converted_from": from_types}


def _linked(path: Path, snapshot: Path, about: Record) -> tuple[Readable, Record]:
    """Write a snapshot with links to the files of a checkpoint; returns their tensors, and what the record says."""
    files = sharded.files(path)[1 if sharded.is_index(path) else 0 :]
    store.link_tensors(snapshot, files, about)
    dtypes = {entry["dtype"] for file in files for entry in tensor_entries.read(file).tensors.values()}
    words = sorted(word for word, dtype in tensor_entries.DTYPES.items() if dtype in dtypes - {"F32"})
    said: Record = {"file": path.name, "sha256": records.sha256(path), "converted_from": words}
    if sharded.is_index(path):
        said |= {"shards": {file.relative_to(path.parent).as_posix(): records.sha256(file) for file in files}}
    return TensorsOnDisk(files), said


def converted(tensors: Tensors) -> Converted:
    """Convert floats to float32 and whole numbers to int64."""
    result: Tensors = {}
    from_types = set()
    for name, tensor in tensors.items():
        dtype = torch.float32 if tensor.is_floating_point() else torch.int64
        if tensor.dtype != dtype:
            from_types.add(str(tensor.dtype).removeprefix("torch."))
        result[name] = tensor.to(dtype)
    return Converted(result, sorted(from_types))


def evaluate(settings: Settings, tensors: Tensors, splits: Splits) -> dict[str, float]:
    """Loss and accuracy of a snapshot on validation and test images, by their columns in metrics.csv."""
    network = evaluation.module(settings, tensors, splits.images.device)
    size = evaluation.batch_size(settings)
    values = {}
    for name, (images, labels) in splits.labelled.items():
        scores = evaluation.evaluate(network, splits.images.seen_by(settings), images, labels, size)
        values[f"{name}_loss"], values[f"{name}_accuracy"] = scores
    return values
