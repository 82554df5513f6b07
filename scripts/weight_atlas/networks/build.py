"""A torch module of a layer table."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from weight_atlas import networks
from weight_atlas.networks import construct
from weight_atlas.networks.foreign import TracedTable
from weight_atlas.networks.table import Layer, Table

NARROW = 8  # channels


class Network(NamedTuple):
    """A torch module and its layer table."""

    model: nn.Module
    table: Table


class Halves(NamedTuple):
    """Two functions that run the first rows of a network, and the rest from what these return."""

    first: Callable[[Tensor], Tensor]
    rest: Callable[[Tensor], Tensor]


class Step(NamedTuple):
    """One row to run: its layer, what it reads, and the maps that nothing reads after it."""

    name: str
    inputs: tuple[str, ...]
    spent: list[str]


def build(network: Mapping[str, Any], channels: int, size: int, classes: int) -> Network:
    """The network and its layer table for images [N, channels, size, size] (`size` after padding).

    The module is float32, on the CPU, in training mode; each layer has torch's own default start (a traced network
    that of its constructor), drawn from torch's global generator. Its tensors have the table's names and shapes.

    Parameters
    ----------
    network, channels, size, classes
        As `weight_atlas.networks.layer_table` takes them.

    Raises
    ------
    ValueError
        What `layer_table` raises, and where the network's skeleton and its table do not name the same layers.
    """
    table = networks.layer_table(network, channels, size, classes)
    if isinstance(table, TracedTable):
        return Network(module(table), table)
    architecture = networks.load_architecture(network["architecture"])
    if not hasattr(architecture, "skeleton"):
        return Network(TableModule(table), table)
    with torch.device("meta"):  # no storage and no start for layers that are about to be replaced
        model = architecture.skeleton(classes, **(network.get("options") or {}))
    _replace_layers(model, table)
    return Network(model, table)


def empty(network: Mapping[str, Any], channels: int, size: int, classes: int) -> Network:
    """As `build`, but the parameters have no storage and no start: a state dict will take their place."""
    with construct.no_storage() if networks.is_foreign(network["architecture"]) else torch.device("meta"):
        return build(network, channels, size, classes)


def module(table: Table) -> nn.Module:
    """A module whose tensors are those of a layer table, with a start drawn from torch's global generator."""
    return construct.construct(*table.arguments) if isinstance(table, TracedTable) else TableModule(table)


def recorded(
    arguments: tuple[Mapping[str, Any], int, int, int], record: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> nn.Module:
    """A traced network by what its trace left (`foreign.record`), with these tensors, in eval mode.

    arguments: as of `build`. Raises ValueError in one line where other tensors belong to what its module makes now.
    """
    with construct.no_storage():
        model = module(TracedTable(arguments, record))
    try:
        fill(model, tensors, assign=True)
    except RuntimeError as error:  # torch's, of several lines
        raise ValueError(
            f"{arguments[0]['architecture']}: makes another network than the one that was traced"
        ) from error
    return model.eval()


def fill(model: nn.Module, tensors: Mapping[str, Tensor], assign: bool = False) -> None:
    """Give a module the values of its tensors by their names; where `assign`, the tensors themselves.

    With them go the versions of its parts, which a state dict of torch has beside the tensors and some modules ask for.
    """
    state = OrderedDict(tensors)
    state._metadata = getattr(model.state_dict(), "_metadata", None)  # type: ignore[attr-defined]
    model.load_state_dict(state, assign=assign)


class Add(nn.Module):
    """The sum of two maps."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Sampled(nn.Conv2d):
    """A convolution of single pixels with a stride: reads the pixels that count, and goes over these without one.

    torch 2.15's own writes beyond its memory in the backward pass of fewer than 8 channels, last in memory, on
    processors without AVX-512.
    """

    def forward(self, input: Tensor) -> Tensor:
        rows, columns = self.stride
        return nn.functional.conv2d(input[:, :, ::rows, ::columns], self.weight, self.bias)


class TableModule(nn.Module):
    """A layer table as a module: runs the rows in order and frees a map after the last row that reads it."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.steps = _steps(table)
        for layer in table.layers:
            self._register(layer)

    def _register(self, layer: Layer) -> None:
        """Registers the layer under its dotted name, with empty modules for the names before the dots."""
        *path, leaf = layer.name.split(".")
        parent: nn.Module = self
        try:
            for name in path:
                if name not in parent._modules:
                    parent.add_module(name, nn.Module())
                parent = parent.get_submodule(name)
            parent.add_module(leaf, _module(layer))
        except KeyError:
            raise ValueError(f"layer '{layer.name}': torch keeps one of these names for itself; rename it") from None

    def forward(self, images: Tensor) -> Tensor:
        return _run(self.get_submodule, self.steps, {"input": images})


def split(model: nn.Module, table: Table, rows: int) -> Halves:
    """The network in two: its first `rows` rows, and the rest.

    Both halves use the model's own modules, in whatever mode these are. Of the first rows the rest may read only the
    last one's output.
    """
    steps, last, modules = _steps(table), table.layers[rows - 1].name, dict(model.named_modules())
    find = {layer.name: modules.get(layer.name) or _module(layer) for layer in table.layers}.__getitem__
    return Halves(
        lambda images: _run(find, steps[:rows], {"input": images}),
        lambda features: _run(find, steps[rows:], {last: features}),
    )


def _steps(table: Table) -> list[Step]:
    last_reader = {source: layer.name for layer in table.layers for source in layer.inputs}
    return [
        Step(layer.name, layer.inputs, [name for name in set(layer.inputs) if last_reader[name] == layer.name])
        for layer in table.layers
    ]


def _run(find: Callable[[str], nn.Module], steps: list[Step], maps: dict[str, Tensor]) -> Tensor:
    """What the last of the steps returns; `find` gives a row's module, `maps` has what they read from before."""
    for name, inputs, spent in steps:
        maps[name] = find(name)(*[maps[source] for source in inputs])
        for source in spent:
            del maps[source]
    return maps[name]


def _module(layer: Layer) -> nn.Module:
    if layer.kind == "Add":
        return Add()
    is_sampled = layer.kind == "Conv2d" and layer.options["kernel_size"] == (1, 1) != layer.options["stride"]
    if is_sampled and layer.in_shape[0] < NARROW and layer.options["padding"] == (0, 0):
        return Sampled(**layer.options)
    made: nn.Module = getattr(nn, layer.kind)(**layer.options)
    return made


def _replace_layers(model: nn.Module, table: Table) -> None:
    """Replaces every layer of a skeleton that has tensors by one of the table's shape, under the same name."""
    layers = {layer.name: layer for layer in table.layers if layer.parameters or layer.buffers}
    names = {name for name, part in model.named_modules() if list(part.parameters(recurse=False)) or part._buffers}
    if names != set(layers):
        raise ValueError(f"skeleton and layer table differ in: {', '.join(sorted(names ^ set(layers)))}")
    for name, layer in layers.items():
        model.set_submodule(name, _module(layer))
