"""Perturbations: one module a way to change trained weights before they are trained again, read without torch.

A perturbation is a file of this folder; its name is the file's, and the config names it as `type`. To add one, drop a
file here. This is a whole one (scripts/weight_atlas/perturbations/scale.py):

    def perturb(weights, names, *, factor: float = 2.0):
        for name in names:
            weights.tensors[name] *= factor

`perturb` changes `weights.tensors` ({torch name: float32 tensor on the CPU}, buffers included) in place; `names` are
the learnable tensors that the config chose. `weights.draw(name)` is a torch.Generator for what is random, and
`weights.table` the network's layer table (see `weight_atlas.starts.perturb.Weights`). Keyword-only parameters are the
options in the config: each needs a default and an annotation (Literal, int, float or bool). The file imports no torch
at its top.
"""

import importlib
from pathlib import Path

from weight_atlas.options import declared


def types() -> list[str]:
    """Sorted names of all perturbations: the files of this folder without a leading underscore."""
    names = {file.stem for folder in __path__ for file in Path(folder).glob("*.py")}
    return sorted(name for name in names if name.isidentifier() and not name.startswith("_"))


def module(kind: str):
    """The module of a perturbation. Raises ValueError where there is no such file, or where it has no `perturb`."""
    if kind not in types():
        raise ValueError(f"type '{kind}': no such perturbation; known: {', '.join(types())}")
    found = importlib.import_module(f"weight_atlas.perturbations.{kind}")
    if not hasattr(found, "perturb"):
        raise ValueError(f"type '{kind}': {found.__file__} has no perturb(weights, names)")
    return found


def options(kind: str) -> dict[str, tuple]:
    """The options of a perturbation: name -> (annotation, default)."""
    return declared(module(kind).perturb, f"type '{kind}'")
