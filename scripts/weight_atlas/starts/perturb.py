"""Trained weights, changed before they are trained again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from weight_atlas import perturbations, store, streams
from weight_atlas.networks.table import Table
from weight_atlas.settings import Start


@dataclass
class Weights:
    """What a perturbation changes, and what it may look at.

    tensors: {torch name: float32 tensor on the CPU}, parameters and buffers, changed in place; table: the network's
    layer table; folder: that of the parent's snapshots, None without one; seed: of the start; step: the number of this
    change among those of the cell; masks: bool tensors by the names of parameters, False where these are pruned.
    """

    tensors: dict[str, torch.Tensor]
    table: Table
    folder: Path | None
    start: Start
    seed: int
    step: int
    masks: dict[str, torch.Tensor]

    def generator(self, name: str) -> torch.Generator:
        """The stream of random numbers for one tensor."""
        return streams.generator(self.seed, "perturb", self.step, name)

    def initial(self) -> dict[str, torch.Tensor]:
        """The parent's weights before it was trained; ValueError where there is no parent."""
        if self.folder is None:
            raise ValueError("the start is drawn: there is no parent whose first weights could be put back")
        from weight_atlas import starts  # which itself needs this module

        return starts.load(store.snapshot_file(self.folder, 0))

    def redrawn(self) -> dict[str, torch.Tensor]:
        """Weights drawn as the parent's start was, from a different stream."""
        from weight_atlas import starts  # which itself needs this module

        return starts.drawn(self.table, self.start, self.seed, f"perturb-init/{self.step}")

    def batchnorms(self, names: list[str]) -> list[str]:
        """The BatchNorm layers among those of the tensors `names`, and those fed directly by one of these."""
        layer_of = self.table.layer_of
        layers = dict.fromkeys(layer_of[name] for name in names)
        attached = dict.fromkeys(row.name for layer in layers for row in self.table.with_batchnorm(layer))
        return [name for name in {**layers, **attached} if self.table[name].is_batchnorm]


class Begun(NamedTuple):
    """What a start was: what a run's record says of it, and the masks of parameters that are pruned.

    record: of a perturbed one {"perturbed": number of learnable values that are not what they were, "perturbed_of": how
    many there are, "perturbation_norm": the Euclidean norm of the change, in float64}; masks: {torch name: bool tensor,
    False where a value is 0 for good}.
    """

    record: dict[str, Any]
    masks: dict[str, torch.Tensor]


@torch.no_grad()
def apply(tensors: dict[str, torch.Tensor], table: Table, start: Start, seed: int, folder: Path | None) -> Begun:
    """Change the tensors in place by the start's steps, one after the other, and set to zero what they prune."""
    masks: dict[str, torch.Tensor] = {}
    parameters = [name for name, _ in table.parameters()]
    before = {name: tensors[name].clone() for name in parameters}
    for number, step in enumerate(start.steps or []):
        weights = Weights(tensors, table, folder, start, seed, number, masks)
        settings = {key: value for key, value in step.items() if key not in ("type", "layers", "tensors")}
        perturbations.load_perturbation(step["type"]).perturb(weights, tensor_names(table, step), **settings)
    for name, mask in masks.items():
        tensors[name].masked_fill_(~mask, 0.0)
    changed = sum(int((tensors[name] != before[name]).sum()) for name in parameters)
    square = sum(float((tensors[name].double() - before[name].double()).square().sum()) for name in parameters)
    record = {
        "perturbed": changed,
        "perturbed_of": sum(before[name].numel() for name in parameters),
        "perturbation_norm": square**0.5,
    }
    return Begun(record, masks)


def tensor_names(table: Table, step: dict[str, Any]) -> list[str]:
    """Torch names of the learnable tensors that a step changes: those of its `layers`, all of them, the `weights` of
    convolutions and linear layers alone, or those of `convolutions` alone."""
    kinds = {"weights": ("Conv2d", "Linear"), "convolutions": ("Conv2d",)}.get(step["tensors"])
    rows = [table[name] for name in table.select(step["layers"])]
    if kinds is None:
        return [row.tensor(name) for row in rows for name in row.parameters]
    return [f"{row.name}.weight" for row in rows if row.kind in kinds]
