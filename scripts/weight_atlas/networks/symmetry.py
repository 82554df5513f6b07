"""The symmetries of a network, from its layer table: what may be renamed, flipped or rescaled without changing it.

Two kinds of joints hold them. A *wire* is what a convolution, a linear layer or a BatchNorm writes, carried through
layers without tensors to the layers that read it. A factor that a channel of a wire is multiplied by where it is
written is undone where it is read. A *group* is all wires that share their channels: a BatchNorm reads one and writes
another of the same channels, and a sum joins its summands. The channels of a group are permuted together.

What a wire allows, exactly (all in evaluation mode, with the batch's statistics, and in exact arithmetic):
    sign   every layer on it is odd: no ReLU and no max pooling. A BatchNorm that reads it takes the sign off:
           g (-x - (-m)) / s + b with -g for g is what it was (s, the standard deviation, does not change).
    scale  every layer on it is positively homogeneous, f(a x) = a f(x) for a > 0: no tanh. No BatchNorm may read it:
           with the batch's statistics it takes any factor off by itself, all but for the constant that it adds to the
           variance; nothing undoes it exactly in both modes.
The image and the network's output are fixed, and so is a wire that reaches one of them, or a layer of a kind that is
not known here (a normalisation over channels, attention, a concatenation, a convolution in several groups). A depthwise
convolution joins the channels of two wires, as a BatchNorm does.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from weight_atlas.networks.table import Layer, Table

# Layers without tensors that keep channels apart: (f(-x) = -f(x), f(a x) = a f(x) for a > 0).
_THROUGH = {
    "ReLU": (False, True),
    "Tanh": (True, False),
    "Dropout": (True, True),
    "MaxPool2d": (False, True),
    "AvgPool2d": (True, True),
    "AdaptiveAvgPool2d": (True, True),
    "ZeroPad2d": (True, True),
    "Flatten": (True, True),
    "Add": (True, True),
    "Identity": (True, True),
    "Mean": (True, True),
    "StochasticDepth": (True, True),
    "LeakyReLU": (False, True),
    "ReLU6": (False, False),
    "Multiply": (False, False),
    "Sigmoid": (False, False),
    "GELU": (False, False),
    "SiLU": (False, False),
    "ELU": (False, False),
    "Hardswish": (False, False),
    "Hardsigmoid": (False, False),
}


@dataclass(frozen=True)
class Axis:
    """One axis of one tensor that channels index: channel c holds the entries c * block .. (c + 1) * block - 1 of it.

    power: what a factor of the channel does to the entries: 1 multiplies, -1 divides, 0 leaves them.
    """

    tensor: str
    axis: int
    block: int
    power: int


@dataclass(frozen=True)
class Wire:
    """What one or more layers write, up to the layers that read it. name: the first layer on it.

    sign: "no", "odd" (a weight layer reads it: its columns flip too) or "conv-BN" (only BatchNorms read it).
    """

    name: str
    axes: tuple[Axis, ...]
    sign: str
    scale: bool


@dataclass(frozen=True)
class Group:
    """Channels that are renamed together. name: the first layer that has them; wires in the table's order."""

    name: str
    channels: int
    permutation: bool
    wires: tuple[Wire, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Every tensor axis that the channels index, once; a BatchNorm's weight lies on two wires. Ignore `power`."""
        return tuple({(axis.tensor, axis.axis): axis for wire in self.wires for axis in wire.axes}.values())

    @property
    def sign(self) -> str:
        """ "no", "odd", "conv-BN" or "odd and conv-BN": the signs that its wires allow."""
        return " and ".join(kind for kind in ("odd", "conv-BN") if kind in {w.sign for w in self.wires}) or "no"

    @property
    def scale(self) -> bool:
        """Whether one of its wires may be rescaled."""
        return any(wire.scale for wire in self.wires)


class SymmetryRow(NamedTuple):
    """A row of symmetries.csv without its cell."""

    layer_group: str
    channels: int
    permutation: bool
    sign: str
    scale: bool


def groups(table: Table) -> list[Group]:
    """The groups of a layer table that have a symmetry, in the table's order.

    A group that reaches the image or the output is not permuted; it is there only where one of its wires may be
    flipped or rescaled.
    """
    wire_of, group_of = _first_sharing(table, _passes), _first_sharing(table, _keeps_channels)
    fixed = _fixed(table)
    result = []
    for name in dict.fromkeys(group_of.values()):
        members = [layer for layer in wire_of if group_of[layer] == name]
        # Flattened maps have C * H * W features; where sums join several maps only their common blocks can move.
        channels = math.gcd(*(_channels(table, x) for x in members)) or 1
        own = dict.fromkeys(wire_of[layer] for layer in members)
        wires = tuple(_wire(table, wire_of, x, channels, fixed) for x in own)
        group = Group(name, channels, fixed.isdisjoint(members), wires)
        if group.permutation or group.sign != "no" or group.scale:
            result.append(group)
    return result


def rows(table: Table) -> list[SymmetryRow]:
    """The rows of symmetries.csv of a network: one per group of channels that has a symmetry."""
    return [SymmetryRow(x.name, x.channels, x.permutation, x.sign, x.scale) for x in groups(table)]


def _is_known(layer: Layer) -> bool:
    """Whether what the layer does to channels is known: a convolution in one group or depthwise, and not one row of
    several tokens."""
    if layer.kind in ("Linear", "BatchNorm2d"):
        return len(layer.out_shape) == (1 if layer.kind == "Linear" else 3)
    if layer.kind in _THROUGH:
        return layer.kind == "Flatten" or layer.in_shape[:1] == layer.out_shape[:1]
    return layer.kind == "Conv2d" and (layer.is_depthwise or "groups" not in layer.options)


def _passes(layer: Layer) -> bool:
    """Whether a layer without tensors carries its input's channels on."""
    return layer.kind in _THROUGH and _is_known(layer)


def _keeps_channels(layer: Layer) -> bool:
    """Whether channel c of what it writes is made of channel c of what it reads."""
    return _passes(layer) or layer.kind == "BatchNorm2d" or layer.is_depthwise


def _fixed(table: Table) -> set[str]:
    """The image, the output, and what is read or written by layers that are not known, or that join maps whose channels
    differ in number."""
    fixed = {"input", table.layers[-1].name}
    for layer in table.layers:
        joined = {_channels(table, name) for name in (layer.name, *layer.inputs)}
        if not _is_known(layer) or (len(layer.inputs) > 1 and len(joined) > 1):
            fixed |= {layer.name, *layer.inputs}
    return fixed


def _channels(table: Table, name: str) -> int:
    """How many channels a layer writes, or the image has; 0 of a single value."""
    return table.channels if name == "input" else (*table[name].out_shape, 0)[0]


def _first_sharing(table: Table, keeps: Callable[[Layer], bool]) -> dict[str, str]:
    """{layer: first layer that it shares its channels with}, where layers that it `keeps` have their input's."""
    first = {"input": "input"}
    for layer in table.layers:
        joins = keeps(layer) and layer.inputs
        first[layer.name] = first[layer.inputs[0]] if joins else layer.name
        for other in layer.inputs[1:] if joins else ():
            one, two = sorted((first[layer.name], first[other]), key=list(first).index)
            first = {name: one if root == two else root for name, root in first.items()}
    return first


def _wire(table: Table, wire_of: Mapping[str, str], name: str, channels: int, fixed: Collection[str]) -> Wire:
    """The wire of that name, from the layers on it, those that write it and those that read it."""
    odd = homogeneous = name not in {wire_of[layer] for layer in fixed}
    powers: dict[tuple[str, int], int] = {}
    readers = set()

    def index(tensor: str, axis: int, power: int) -> None:
        powers[tensor, axis] = powers.get((tensor, axis), 0) + power

    for layer in table.layers:
        if _passes(layer):
            if wire_of[layer.name] == name:
                odd &= _THROUGH[layer.kind][0]
                homogeneous &= _THROUGH[layer.kind][1]
            continue
        if not _is_known(layer):
            continue
        if wire_of[layer.name] == name:
            for tensor in layer.parameters:
                index(f"{layer.name}.{tensor}", 0, 1)
        if wire_of[layer.inputs[0]] == name:
            readers.add(layer.kind)
            if layer.kind == "BatchNorm2d":
                for tensor, power in (("weight", -1), ("running_mean", 1), ("running_var", 0)):
                    index(f"{layer.name}.{tensor}", 0, power)
            else:
                index(f"{layer.name}.weight", 0 if layer.is_depthwise else 1, -1)
    axes = tuple(Axis(x, n, _size(table, x, n) // channels, power) for (x, n), power in powers.items())
    sign = "no" if not odd else "conv-BN" if readers == {"BatchNorm2d"} else "odd"
    return Wire(name, axes, sign, homogeneous and "BatchNorm2d" not in readers)


def _size(table: Table, tensor: str, axis: int) -> int:
    """Length of one axis of a tensor given by its torch name."""
    layer, name = tensor.rsplit(".", 1)
    return (table[layer].parameters | table[layer].buffers)[name][axis]
