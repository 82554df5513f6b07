"""Weight Atlas: from a grid of experiments to a report on how their weights moved."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("cells", "table", "exhibits", "load", "images", "measure"):
        # By its name as a string: an import would make api.py an input of every rule (see plan/code.py).
        return getattr(importlib.import_module("weight_atlas.api"), name)
    raise AttributeError(f"module 'weight_atlas' has no attribute {name!r}")
