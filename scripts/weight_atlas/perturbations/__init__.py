"""Perturbations: one module per way to change trained weights before they are trained again, read without torch.

A perturbation is a file of this folder; its name is the file's, and the config names it as `type`. To add one, drop a
file here. This is a whole one (scripts/weight_atlas/perturbations/scale.py):

    from weight_atlas.perturbations import Weights


    def perturb(weights: Weights, names: list[str], *, factor: float = 2.0) -> None:
        for name in names:
            weights.tensors[name] *= factor

`perturb` changes `weights.tensors` in place; `names` are the learnable tensors that the config selects. Keyword-only
parameters are the options in the config: each needs a default and an annotation (Literal, int, float or bool). A
function `check`, where there is one, takes all of them and raises ValueError for values that make no sense. What is
False in `weights.masks` (`prune.py` sets it) is 0 after all changes and stays so. The file imports no torch at its top.
"""

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from weight_atlas import plugins
from weight_atlas.networks.table import Table

if TYPE_CHECKING:
    import torch


class Weights(Protocol):
    """What a perturbation changes and may look at (`weight_atlas.starts.perturb.Weights`).

    tensors: float32 tensors on the CPU by their torch names, buffers included; table: the network's layer table; masks:
    bool tensors by the names of parameters, False where these are pruned: 0 for good.
    """

    tensors: "dict[str, torch.Tensor]"
    table: Table
    masks: "dict[str, torch.Tensor]"

    def generator(self, name: str) -> "torch.Generator":
        """The stream of random numbers for one tensor."""

    def initial(self) -> "dict[str, torch.Tensor]":
        """The parent's weights before it was trained; ValueError where there is no parent."""

    def redrawn(self) -> "dict[str, torch.Tensor]":
        """Weights drawn as the parent's start was, from a different stream."""

    def batchnorms(self, names: list[str]) -> list[str]:
        """The BatchNorm layers among those of the tensors `names`, and those fed directly by one of these."""


def names() -> list[str]:
    """Sorted names of all perturbations: the files of this folder without a leading underscore."""
    return plugins.names(__path__)


def load_perturbation(kind: str) -> ModuleType:
    """The module of a perturbation. Raises ValueError where there is no such file, or where it has no `perturb`."""
    return plugins.load(sys.modules[__name__], kind, "type", "perturb(weights, names)")


def options(kind: str) -> dict[str, plugins.Option]:
    """The options of a perturbation by name. Raises ValueError for one without a default or an allowed annotation."""
    return plugins.declared_options(load_perturbation(kind).perturb, f"type '{kind}'")


def check(kind: str, values: Mapping[str, object]) -> None:
    """Raises ValueError where the `check` of a perturbation refuses the values of its options, of all of them."""
    refuse = getattr(load_perturbation(kind), "check", None)
    if refuse is not None:
        refuse(**values)
