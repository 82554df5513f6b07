"""One step of every pair of network and data, so that what cannot work is found in seconds."""

from dataclasses import replace
from pathlib import Path

import torch

from weight_atlas import store
from weight_atlas.plan.cell import Cell
from weight_atlas.plan.identity import digest
from weight_atlas.plan.study import Plan
from weight_atlas.settings import Start
from weight_atlas.training import data, engine
from weight_atlas.training.data import Pictures, Split


def run(plan: Plan) -> int:
    """Train one step of one cell a network, options and all, and data set; the number of pairs that do not work."""
    failed, pairs = 0, {}
    for cell_id, cell in plan.cells.items():
        settings = cell.settings
        if cell.kind == "given":  # nothing to train
            continue
        key = digest([cell.data.dataset_id, settings.json["network"], settings.json["input"], settings.classes])
        options = ", ".join(f"{name} {value}" for name, value in settings.network.options.items())
        pairs.setdefault(key, (f"{plan.group(cell_id)}{f' ({options})' if options else ''}", cell))
    for name, cell in pairs.values():
        try:
            loss = _step(cell, f"data/{cell.data.dataset_id}")
            print(f"  works   {name}: loss {loss:.3f} in its first step", flush=True)
        except (RuntimeError, ValueError) as error:
            failed += 1
            print(f"  fails   {name}: {str(error).splitlines()[0]}", flush=True)
    return failed


def _step(cell: Cell, stem: str) -> float:
    settings = replace(cell.settings, start=Start("init", scheme="kaiming_uniform"))
    card, shape = store.read_json(f"{stem}.json"), settings.input
    full = data.load(f"{stem}.safetensors", card, shape.channels, shape.size, torch.device("cpu"))
    size = settings.training.batch_size
    few = Pictures(_few(full.train, size), _few(full.valid, size), _few(full.test, size), full.mean, full.std)
    return engine.Run(cell.cell_id, settings, 0, few, torch.device("cpu"), Path()).try_step()


def _few(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])
