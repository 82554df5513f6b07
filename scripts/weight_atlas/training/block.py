"""The trainer: the replicates of one block, one after another, in one process that imports torch once."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from weight_atlas import device as devices
from weight_atlas import records, starts, store
from weight_atlas.settings import Settings, Start
from weight_atlas.training import checkpoint, data, engine
from weight_atlas.vocabulary import Status


class Files(TypedDict):
    """What a block is trained from: the data set and its card, the weights to start from, or blocks of the parent."""

    data: str | Path
    card: str | Path
    weights: str | Path | None
    parents: Sequence[str | Path]


def train(cell_id: str, settings: Settings, seeds: Sequence[int], files: Files, device: str, scratch: Path) -> None:
    """Train these seeds, leaving the folder of each replicate below `scratch`: snapshots, metrics and record.

    device: cpu or cuda. A seed whose parent was not trained is recorded as failed.
    """
    began = time.process_time()
    torch_device = devices.find(device)
    devices.set_up(torch_device, settings.training.precision, settings.network.threads)
    machine = devices.machine(torch_device)
    print(f"device: {device}, {machine['device_name']}", flush=True)
    for part in scratch.rglob(".part-*"):  # what an attempt that was killed was writing
        part.unlink()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(engine.Run, "stopping", True))
    images = data.load(files["data"], store.read_json(files["card"]), settings.input, torch_device)
    for seed in seeds:
        try:
            file = _start_file(settings.start, seed, files)
            record = engine.Run(cell_id, settings, seed, images.of_replicate(seed), torch_device, scratch).train(file)
        except starts.Missing as error:
            record = {"seed": seed, "status": "failed", "cause": str(error), "epochs": 0, "best_epoch": None}
            print(f"seed {seed}: failed: {error}", flush=True)
        record |= devices.peak_memory(torch_device) | {"machine": machine}
        store.write_json(store.record_path(scratch, seed), record)
        checkpoint.path(scratch, seed).unlink(missing_ok=True)
    print(f"core-seconds: {time.process_time():.1f}, {began:.1f} of them to start", flush=True)


def _start_file(start: Start, seed: int, files: Files) -> str | None:
    """The safetensors file that a seed starts from: the same replicate of the parent, or the one weights file."""
    if start.is_drawn:
        return None
    if start.kind == "weights":
        return None if files["weights"] is None else str(files["weights"])
    for block in files["parents"]:
        if seed in store.block_seeds(block):
            [(_, _, _, parent)] = records.replicates([block], [seed])
            if parent["status"] == Status.MISSING:
                raise starts.Missing(f"its parent {start.cell} is not whole: {parent['cause']}")
            if parent["status"] != Status.DONE:
                raise starts.Missing(f"its parent {start.cell} has status {parent['status']} for seed {seed}")
            epoch = start.taken_snapshot(parent["epochs"])
            if isinstance(epoch, int) and epoch > parent["epochs"]:
                raise starts.Missing(f"its parent {start.cell} stopped after epoch {parent['epochs']} for seed {seed}")
            path = store.snapshot_path(block, seed, epoch)
            if not store.is_kept(path):
                raise starts.Missing(
                    f"its parent {start.cell} has not kept epoch {epoch} (see `keep`); remove {block} and type the "
                    "same command, to train it again so that it does"
                )
            return str(path)
    raise starts.Missing(f"its parent {start.cell} has no replicate {seed}")
