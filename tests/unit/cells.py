"""A whole resolved cell, as a plan makes it, with what a test asks for laid over it."""

import copy
from typing import Any

from weight_atlas.settings import Settings

TRAINING: dict[str, Any] = {
    "optimizer": {"type": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0},
    "epochs": 3,
    "batch_size": 16,
    "augment": {},
    "copies": None,
    "redraw": True,
    "precision": "float32",
    "early_stopping": None,
    "penalty": None,
    "label_smoothing": 0.0,
    "clip_norm": None,
    "average": None,
    "output_scale": None,
    "frozen_batchnorm": "fixed",
    "frozen_dropout": True,
    "cache_features": False,
    "track": False,
    "keep_optimizer": False,
}
CELL: dict[str, Any] = {
    "dataset_id": "made-up",
    "classes": 10,
    "input": {"channels": 1, "size": 28},
    "network": {"architecture": "lenet1", "width": 1.0, "options": {}, "threads": 1},
    "start": {"kind": "init", "scheme": "default"},
    "training": TRAINING,
    "snapshots": "all",
}


def record(**changes: Any) -> dict[str, Any]:
    """The JSON of a cell.

    What `training`, `network` and `input` leave out stays as above; any other setting is the one that is given. Without
    `stages` the training has one stage of all its epochs, and a stage may leave out what that one has.
    """
    cell = copy.deepcopy(CELL)
    for part in ("training", "network", "input"):
        cell[part] |= changes.pop(part, {})
    training = cell["training"]
    stage = {"epochs": training["epochs"], "lr": 0.05, "schedule": {"type": "constant"}, "frozen": 0}
    training["stages"] = [stage | given for given in training.get("stages", [{}])]
    training["penalty"] = training["penalty"] and {"layers": None} | training["penalty"]
    return cell | changes


def settings(**changes: Any) -> Settings:
    """The parsed cell of `record`."""
    return Settings.parse(record(**changes))
