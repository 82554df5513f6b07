"""One step of every pair of network and data, so that what cannot work is found in seconds."""

from pathlib import Path

import torch

from atlas import store
from atlas.learn import data, engine
from atlas.learn.data import Pictures, Split
from atlas.plan.study import Plan


def run(plan: Plan) -> int:
    """Train one step of one cell a measure group, on at most two batches; the number of pairs that do not work."""
    failed = 0
    for name, cells in plan.groups.items():
        cell = plan.cells[cells[0]]
        try:
            loss = _step(cell, f"data/{cell.data.dataset_id}")
            print(f"  works   {name}: loss {loss:.3f} in its first step", flush=True)
        except (RuntimeError, ValueError) as error:
            failed += 1
            print(f"  fails   {name}: {str(error).splitlines()[0]}", flush=True)
    return failed


def _step(cell, stem: str) -> float:
    settings = cell.settings | {"start": {"kind": "init", "scheme": "kaiming_uniform"}}
    card, shape = store.read_json(f"{stem}.json"), settings["input"]
    full = data.load(f"{stem}.safetensors", card, shape["channels"], shape["size"], torch.device("cpu"))
    size = settings["training"]["batch_size"]
    few = Pictures(_few(full.train, size), _few(full.valid, size), _few(full.test, size), full.mean, full.std)
    return engine.Run(cell.cell_id, settings, 0, few, torch.device("cpu"), Path()).try_step()


def _few(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])
