"""A torch module of a layer table."""

import torch
from torch import nn

from weight_atlas import networks
from weight_atlas.networks.table import Layer, Table


def build(network: dict, channels: int, size: int, classes: int) -> tuple[nn.Module, Table]:
    """The network and its layer table for pictures [N, channels, size, size] (`size` after padding).

    network: as `weight_atlas.networks.table` takes it. The module is float32, on the CPU, in training mode; each layer
    has torch's own default start, drawn from torch's global generator in the table's order. Its tensors have the
    table's names and shapes. Raises what `weight_atlas.networks.table` raises, and ValueError where the network's
    skeleton and its table do not name the same layers.
    """
    table = networks.table(network, channels, size, classes)
    source = networks.module(network["architecture"])
    if not hasattr(source, "skeleton"):
        return Rows(table), table
    with torch.device("meta"):  # no storage and no start for layers that are about to be replaced
        model = source.skeleton(classes, **(network.get("options") or {}))
    _fit(model, table)
    return model, table


class Add(nn.Module):
    """The sum of two maps."""

    def forward(self, a, b):
        return a + b


class Rows(nn.Module):
    """A layer table as a module: runs the rows in order and frees a map after the last row that reads it."""

    def __init__(self, table: Table):
        super().__init__()
        self.steps = _steps(table)
        for layer in table.layers:
            self._place(layer)

    def _place(self, layer: Layer):
        """Registers the layer under its dotted name, with empty modules for what stands before the dots."""
        *path, leaf = layer.name.split(".")
        holder = self
        try:
            for part in path:
                if part not in holder._modules:
                    holder.add_module(part, nn.Module())
                holder = holder._modules[part]
            holder.add_module(leaf, _layer(layer))
        except KeyError:
            raise ValueError(f"layer '{layer.name}': torch keeps one of these names for itself; rename it") from None

    def forward(self, pictures):
        return _along(self.get_submodule, self.steps, {"input": pictures})


def cut(model: nn.Module, table: Table, rows: int):
    """Two functions that run the first `rows` rows of the model's table, and the rest from what these return.

    They use the model's own modules, in whatever mode these are. Of the first rows the others read the last one alone.
    """
    steps, last, own = _steps(table), table.layers[rows - 1].name, dict(model.named_modules())
    find = {layer.name: own.get(layer.name) or _layer(layer) for layer in table.layers}.__getitem__
    return (
        lambda pictures: _along(find, steps[:rows], {"input": pictures}),
        lambda features: _along(find, steps[rows:], {last: features}),
    )


def _steps(table: Table) -> list[tuple]:
    """(name, inputs, those that nothing reads later) of each row."""
    reader = {source: layer.name for layer in table.layers for source in layer.inputs}  # the last one of each map
    return [
        (layer.name, layer.inputs, [source for source in set(layer.inputs) if reader[source] == layer.name])
        for layer in table.layers
    ]


def _along(find, steps: list[tuple], maps: dict):
    """What the last of the steps returns; `find` gives a row's module, `maps` has what they read from before."""
    for name, inputs, spent in steps:
        maps[name] = find(name)(*[maps[source] for source in inputs])
        for source in spent:
            del maps[source]
    return maps[name]


def _layer(layer: Layer) -> nn.Module:
    return Add() if layer.kind == "Add" else getattr(nn, layer.kind)(**layer.options)


def _fit(model: nn.Module, table: Table):
    """Replaces every layer of a skeleton that has tensors by one of the table's shape, under the same name."""
    fitted = {layer.name: layer for layer in table.layers if layer.parameters or layer.buffers}
    names = {name for name, part in model.named_modules() if list(part.parameters(recurse=False)) or part._buffers}
    if names != set(fitted):
        raise ValueError(f"skeleton and layer table differ in: {', '.join(sorted(names ^ set(fitted)))}")
    for name, layer in fitted.items():
        model.set_submodule(name, _layer(layer))
