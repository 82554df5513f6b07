"""The trainer: the replicates of one block, one after another, in one process that imports torch once."""

import os
import platform
import resource
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch

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

    A seed whose parent was not trained is recorded as failed.
    """
    began = time.process_time()
    torch.set_num_threads(settings.network.threads)
    torch_device = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    if device == "cuda" and torch_device.type != "cuda":
        raise RuntimeError("the config says `device: cuda`, but torch finds no GPU; set it to auto or cpu")
    # On a GPU some of torch's backward passes have no deterministic form: they warn instead of stopping the run.
    torch.use_deterministic_algorithms(True, warn_only=torch_device.type == "cuda")
    torch.backends.cudnn.benchmark = False
    for part in scratch.rglob(".part-*"):  # what an attempt that was killed was writing
        part.unlink()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(engine.Run, "stopping", True))
    store.write_json(scratch / "machine.json", machine(torch_device, settings.network.threads))
    images = data.load(files["data"], store.read_json(files["card"]), settings.input, torch_device)
    for seed in seeds:
        try:
            file = _start_file(settings.start, seed, files)
            record = engine.Run(cell_id, settings, seed, images, torch_device, scratch).train(file)
        except starts.Missing as error:
            record = {"seed": seed, "status": "failed", "cause": str(error), "epochs": 0, "best_epoch": None}
            print(f"seed {seed}: failed: {error}", flush=True)
        store.write_json(store.record_path(scratch, seed), record | {"peak_memory_mib": _peak_memory(torch_device)})
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


def machine(device: torch.device, threads: int) -> dict[str, Any]:
    """What trained: device, threads and versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    versions: dict[str, str | None] = {"python": platform.python_version(), "torch": torch.__version__}
    if device.type == "cuda":
        versions["cuda"] = torch.version.cuda
    return {"device": device.type, "device_name": name, "threads": threads, "versions": versions}


def _processor() -> str:
    """The processor's own name where Linux tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _peak_memory(device: torch.device) -> float:
    """Peak memory in MiB: of the device where it is a GPU, else resident memory of this process."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(kilobytes / (1024 if os.uname().sysname == "Linux" else 2**20), 1)
