"""What a replicate leaves while it trains, so that another process can go on with it bit by bit.

One safetensors file beside the scratch files of its block, written whole, removed when the replicate is recorded: the
model, the optimizer, what `track` recorded, and in its metadata how far training was and what it had recorded so far.
Every random number comes from a stream that is named by epoch and step, so that only the generator that dropout draws
from has a state to keep.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from weight_atlas import store

# Between two checkpoints: a shorter run leaves none unless it is asked to stop. One that takes longer to write than
# COSTLY, 2 % of the minute, is as much rarer.
SECONDS = float(os.environ.get("WEIGHT_ATLAS_CHECKPOINT_SECONDS", 60))
COSTLY = 1.2


class Checkpoint(NamedTuple):
    """The tensors of a checkpoint by name, and its facts, JSON."""

    tensors: dict[str, torch.Tensor]
    facts: dict[str, Any]


class Stopped(SystemExit):
    """Raised after the checkpoint that a request to stop leaves: the process ends with the status of SIGTERM."""

    def __init__(self) -> None:
        super().__init__(143)


def path(out: Path, seed: int) -> Path:
    """The file of a replicate in the block's scratch directory."""
    return out / f"checkpoint_seed{seed}.safetensors"


def identity(settings: Mapping[str, Any], seed: int, device: torch.device) -> str:
    """What a checkpoint must have been made by: the same cell and seed, the same torch on the same kind of device, and
    of GPU."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    maker = [settings, seed, torch.__version__, card, torch.get_num_threads()]
    return hashlib.sha256(json.dumps(maker, sort_keys=True).encode()).hexdigest()


def interval(spent: float) -> float:
    """Seconds from a checkpoint, which took so many seconds to write, to the next one."""
    return SECONDS * max(1.0, spent / COSTLY)


def save(file: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], maker: str) -> None:
    """Write the tensors and the facts (JSON) of a replicate that `maker` (see `identity`) trains."""
    text = json.dumps(facts)
    tensors = {name: tensor.detach().cpu() for name, tensor in tensors.items()}  # once, for the digest and the file
    store.save_tensors(file, tensors, {"maker": maker, "digest": digest(tensors, text), "facts": text})


def load(file: Path, maker: str) -> Checkpoint | None:
    """A checkpoint, or None where there is none, or none that can be used: then a line says why."""
    if not file.exists():
        return None
    try:
        metadata, _ = store.tensor_header(file)
        tensors = {name: tensor.clone() for name, tensor in store.load_tensors(file).items()}
        problem = None if metadata.get("maker") == maker else "it is of another run, machine or version of torch"
        is_intact = metadata.get("digest") == digest(tensors, metadata.get("facts", ""))
        problem = problem or (None if is_intact else "its contents are damaged")
    except (ValueError, OSError) as error:
        problem = str(error)
    if problem:
        print(f"{file.name}: not used, since {problem}; training begins anew", flush=True)
        return None
    return Checkpoint(tensors, json.loads(metadata["facts"]))


def digest(tensors: Mapping[str, torch.Tensor], facts: str) -> str:
    """SHA-256 over the facts, as they are written, and the tensors' names and bytes."""
    sha = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()
