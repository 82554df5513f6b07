"""Symmetries of a network applied to its weights: channels are permuted, flipped and rescaled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from weight_atlas.analysis.types import FloatArray, IntArray, Tensors
from weight_atlas.networks import symmetry
from weight_atlas.networks.table import Table

KINDS = ("permutation", "sign", "scale")


class Counts(NamedTuple):
    """How many channels a symmetry moves, flips, and multiplies by something else than 1 and -1 (per wire)."""

    permuted: int
    signs: int
    scaled: int


@dataclass
class Transform:
    """A symmetry of a network. Channels are first multiplied by their factors, then permuted.

    permutations: {group: int64 [channels]}, new channel i is the old channel order[i]; factors: {wire: float64
    [channels]}, in the old order. What is left out stays as it is.
    """

    permutations: dict[str, IntArray] = field(default_factory=dict)
    factors: dict[str, FloatArray] = field(default_factory=dict)

    def counts(self) -> Counts:
        """How many channels it changes, and how."""
        factors = list(self.factors.values())
        return Counts(
            permuted=sum(int((order != np.arange(len(order))).sum()) for order in self.permutations.values()),
            signs=sum(int((factor < 0).sum()) for factor in factors),
            scaled=sum(int((abs(factor) != 1).sum()) for factor in factors),
        )


def apply(table: Table, tensors: Tensors, transform: Transform) -> Tensors:
    """The tensors after a symmetry.

    Parameters
    ----------
    table : Table
        The network's layer table.
    tensors : dict of float tensors
        Parameters and buffers by their torch names.
    transform : Transform

    Returns
    -------
    dict of tensors
        A new dict, of the same dtypes; tensors that the symmetry does not touch are shared. Signs and factors that are
        powers of two are exact.

    Raises
    ------
    ValueError
        Where a tensor is missing or has another shape.
    """
    check(table, tensors)
    changed = dict(tensors)
    for group in symmetry.groups(table):
        changed |= apply_to_group(group, changed, transform)
    return changed


def random(table: Table, seed: int, kinds: Sequence[str] = KINDS) -> Transform:
    """A random symmetry of the network, of the kinds it allows; factors are powers of two from 1/4 to 4.

    Raises ValueError for other kinds than KINDS.
    """
    if not set(kinds) <= set(KINDS):
        raise ValueError(f"kinds are {', '.join(kinds)}; allowed: {', '.join(KINDS)}")
    generator, transform = np.random.default_rng(seed), Transform()
    for group in symmetry.groups(table):
        if "permutation" in kinds and group.permutation:
            transform.permutations[group.name] = generator.permutation(group.channels)
        for wire in group.wires:
            factors = np.ones(group.channels)
            if "sign" in kinds and wire.sign != "no":
                factors *= generator.choice([-1.0, 1.0], group.channels)
            if "scale" in kinds and wire.scale:
                factors *= 2.0 ** generator.integers(-2, 3, group.channels)
            if (factors != 1).any():
                transform.factors[wire.name] = factors
    return transform


def apply_to_group(group: symmetry.Group, tensors: Tensors, transform: Transform) -> Tensors:
    """Those tensors of one group that a transform changes, after it; those that `tensors` lacks are left out."""
    changed: Tensors = {}

    def view(name: str, axis: int) -> torch.Tensor:
        """The tensor as [before, channels, after] about an axis."""
        tensor = changed.get(name, tensors[name])
        return tensor.reshape(math.prod(tensor.shape[:axis]), group.channels, -1)

    for wire in group.wires:
        factors = transform.factors.get(wire.name)
        if factors is None or (factors == 1).all():
            continue
        for name, axis, power in ((x.tensor, x.axis, x.power) for x in wire.axes if x.power and x.tensor in tensors):
            channels = torch.from_numpy(factors).to(tensors[name].dtype).view(1, -1, 1)
            new = view(name, axis) * channels if power > 0 else view(name, axis) / channels
            changed[name] = new.reshape(tensors[name].shape)
    order = transform.permutations.get(group.name)
    if order is not None and (order != np.arange(group.channels)).any():
        for name, axis in ((x.tensor, x.axis) for x in group.axes if x.tensor in tensors):
            new = view(name, axis).index_select(1, torch.from_numpy(order))
            changed[name] = new.reshape(tensors[name].shape)
    return changed


def check(table: Table, tensors: Tensors) -> None:
    """Raise ValueError where a tensor of the table is missing or has another shape."""
    for name, shape in (*table.parameters(), *table.buffers()):
        have = tuple(tensors[name].shape) if name in tensors else "missing"
        if have != tuple(shape):
            raise ValueError(f"{name} is {have} in the snapshot, {tuple(shape)} in the layer table")
