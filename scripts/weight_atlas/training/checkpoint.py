"""What a replicate leaves while it trains, so that another process can go on with it bit by bit.

One safetensors file beside the scratch files of its block, written whole, removed when the replicate is recorded: the
model, the optimizer, what `track` recorded, and in its metadata where training was and what it had told so far. Every
random number comes from a stream that is named by epoch and step, so that only the generator that dropout draws from
has a state to keep.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch

from weight_atlas import store

# Between two checkpoints: a shorter run leaves none unless it is asked to stop.
SECONDS = float(os.environ.get("WEIGHT_ATLAS_CHECKPOINT_SECONDS", 60))


class Stopped(SystemExit):
    """Raised after the checkpoint that a request to stop leaves: the process ends with the status of SIGTERM."""

    def __init__(self) -> None:
        super().__init__(143)


def path(out: Path, seed: int) -> Path:
    """The file of a replicate in the block's scratch directory."""
    return out / f"checkpoint_seed{seed}.safetensors"


def identity(settings: dict[str, Any], seed: int, device: torch.device) -> str:
    """What a checkpoint must have been made by: the same cell and seed, the same torch on the same kind of device."""
    told = [settings, seed, torch.__version__, device.type, torch.get_num_threads()]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def save(file: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any], maker: str) -> None:
    """Write the tensors and the facts (JSON) of a replicate that `maker` (see `identity`) trains."""
    told = json.dumps(facts)
    store.save_tensors(file, tensors, {"maker": maker, "digest": digest(tensors, told), "facts": told})


def load(file: Path, maker: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """(tensors, facts) of a checkpoint, or None where there is none, or none that can be used: then a line says why."""
    if not file.exists():
        return None
    try:
        metadata, _ = store.tensor_header(file)
        tensors = {name: tensor.clone() for name, tensor in store.load_tensors(file).items()}
        why = None if metadata.get("maker") == maker else "it is of another run, machine or version of torch"
        sound = metadata.get("digest") == digest(tensors, metadata.get("facts", ""))
        why = why or (None if sound else "its contents are damaged")
    except (ValueError, OSError) as error:
        why = str(error)
    if why:
        print(f"{file.name}: not used, since {why}; training begins anew", flush=True)
        return None
    return tensors, json.loads(metadata["facts"])


def digest(tensors: dict[str, torch.Tensor], facts: str) -> str:
    """SHA-256 over the facts, as they are written, and the tensors' names and bytes."""
    found = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
