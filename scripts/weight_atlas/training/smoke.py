"""One step of every network on every data set, in every way that it is trained: what cannot work is found soon."""

import math
from dataclasses import replace
from pathlib import Path

import torch

from weight_atlas import store
from weight_atlas.plan.cell import Cell
from weight_atlas.plan.identity import digest
from weight_atlas.plan.study import Plan
from weight_atlas.settings import Start
from weight_atlas.text import printable
from weight_atlas.training import data, engine
from weight_atlas.training.data import ImageData, Split


def run(plan: Plan) -> int:
    """Train one step of one cell per network, options and all, data set and training; the number that do not work."""
    failures = 0
    trials: dict[str, tuple[str, Cell]] = {}
    for cell_id, cell in plan.cells.items():
        settings = cell.settings
        if settings.is_given:  # nothing to train
            continue
        parts = [settings.json[part] for part in ("network", "input", "training")]
        key = digest([settings.dataset_id, settings.classes, *parts])
        options = ", ".join(f"{name} {value}" for name, value in settings.network.options.items())
        trials.setdefault(key, (f"{plan.group(cell_id)}{f' ({options})' if options else ''} as {cell_id}", cell))
    for name, cell in trials.values():
        try:
            loss = _first_loss(cell, str(plan.path(f"data/{cell.settings.dataset_id}")))
            if not math.isfinite(loss):
                raise ValueError(f"loss {loss} in its first step; see the data, the learning rate and the precision")
            print(f"  works   {name}: loss {loss:.3f} in its first step", flush=True)
        except Exception as error:  # of a network's own code it may be any
            failures += 1
            print(
                f"  fails   {name}: {printable(str(error).partition(chr(10))[0] or type(error).__name__)}", flush=True
            )
    return failures


def _first_loss(cell: Cell, stem: str) -> float:
    settings = replace(cell.settings, start=Start("init", scheme="kaiming_uniform"))
    card = store.read_json(f"{stem}.json")
    full = data.load(f"{stem}.safetensors", card, settings.input, torch.device("cpu"))
    size = settings.training.batch_size
    first = ImageData(_head(full.train, size), _head(full.valid, size), _head(full.test, size), full.mean, full.std)
    return engine.Run(cell.cell_id, settings, 0, first, torch.device("cpu"), Path()).try_step()


def _head(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])
