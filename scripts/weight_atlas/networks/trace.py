"""The layer table of any torch module, traced by torch.fx; a command that reads a request and prints the rows as JSON.

A module of torch.nn is one row, and so is a function that is called between them. A module whose inside cannot be
traced (its control flow depends on values) is one row too, with all of its tensors.
"""

import contextlib
import json
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, fx, nn

from weight_atlas.networks import named
from weight_atlas.networks.construct import Untraceable, construct, no_storage

BATCH = 2  # images that the trace sees
USUAL, LARGEST = 224, 512  # pixels: of most networks' images, and where the search for a size that works ends
# What functions are called as rows: as the module of torch.nn that does the same, where there is one.
FUNCTIONS = {
    "add": "Add",
    "add_": "Add",
    "iadd": "Add",
    "mul": "Multiply",
    "mul_": "Multiply",
    "cat": "Concat",
    "concat": "Concat",
    "relu": "ReLU",
    "relu_": "ReLU",
    "relu6": "ReLU6",
    "hardtanh": "Hardtanh",
    "gelu": "GELU",
    "silu": "SiLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "hardswish": "Hardswish",
    "hardsigmoid": "Hardsigmoid",
    "dropout": "Dropout",
    "stochastic_depth": "StochasticDepth",
    "flatten": "Flatten",
    "mean": "Mean",
    "adaptive_avg_pool2d": "AdaptiveAvgPool2d",
    "max_pool2d": "MaxPool2d",
    "avg_pool2d": "AvgPool2d",
    "layer_norm": "LayerNorm",
}


class _Tracer(fx.Tracer):
    """A tracer to which a module is one row where its inside cannot be traced."""

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            # Whatever is wrong with it, running it will say.
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


class _Shapes(fx.Interpreter):
    """Runs a graph and notes what each node gives."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        made = super().run_node(n)
        if isinstance(made, Tensor):
            self.shapes[n] = tuple(made.shape)
        return made


def trace(network: Mapping[str, Any], channels: int, size: int, classes: int) -> dict[str, Any]:
    """The rows of a network for the smallest images of at least `size` pixels that it takes, as JSON.

    Raises Untraceable, in one line, where it takes none.
    """
    try:
        return traced(network, channels, size, classes)
    except Exception as error:
        first = error
    said = _said(first, network["architecture"])
    try:
        traced(network, channels, USUAL, classes)
    except Exception as error:
        if _said(error, network["architecture"]) == said:  # it is not the size that is wrong
            raise Untraceable(said) from None
    for larger in _larger(size):
        with contextlib.suppress(Exception):
            return traced(network, channels, larger, classes)
    raise Untraceable(said)


def _larger(size: int) -> Iterator[int]:
    """Sizes above `size` to try, from the smallest on.

    A multiple of 32 is what networks divide their images by, or of 14 in a few; the rest up to twice the size is for
    those whose convolutions and poolings just need more room.
    """
    yield from sorted({n for n in range(size + 1, LARGEST + 1) if n <= 2 * size + 4 or n % 14 == 0 or n % 32 == 0})


def traced(network: Mapping[str, Any], channels: int, size: int, classes: int) -> dict[str, Any]:
    """The rows of a network for images of `size` pixels, as JSON; raises whatever the network raises for these."""
    with no_storage():
        model = construct(network, channels, size, classes)
    model.eval()
    if untied := _tied(model):
        raise Untraceable(f"its parameters {untied} are one tensor; each needs values of its own")
    runnable = fx.GraphModule(model, _Tracer().trace(model))
    runnable.graph.eliminate_dead_code()
    runner = _Shapes(runnable)
    buffers = {name for name in model.state_dict() if name not in dict(model.named_parameters())}
    runnable.to("meta")
    images = torch.empty(BATCH, channels, size, size, device="meta")
    with torch.no_grad():
        try:
            made = runner.run(images)
        except Exception:
            model.to("meta")(images)  # raises the same from the user's own line
            raise
    if not isinstance(made, Tensor) or tuple(made.shape) != (BATCH, classes):
        shape = tuple(made.shape[1:]) if isinstance(made, Tensor) else f"a {type(made).__name__}"
        raise Untraceable(
            f"gives {shape} for an image; it must give {(classes,)}: let its constructor take num_classes"
        )
    rows = _Rows(model, runnable.graph, runner.shapes, buffers)
    order = [name for name in model.state_dict() if name in rows.known]
    weights = _published(network["architecture"])
    return {"size": size, "rows": rows.made, "order": order, "blocks": _blocks(model), "published": weights}


def _published(architecture: str) -> dict[str, dict[str, list[float]]]:
    """What the images of each of torchvision's weights of a network are normalised by."""
    name = architecture.partition(":")[2]
    if not named.is_torchvision(architecture) or name not in torchvision.models.list_models(torchvision.models):
        return {}
    found = {}
    for weights in torchvision.models.get_model_weights(name):
        preset = weights.transforms()
        # These two networks take off ImageNet's constants themselves, where torchvision makes them with weights.
        half = name in ("googlenet", "inception_v3")
        mean, std = ([0.5] * 3, [0.5] * 3) if half else (list(preset.mean), list(preset.std))
        found[weights.name] = {"mean": mean, "std": std}
    return found


def _blocks(model: nn.Module) -> list[str]:
    """The names of the modules that are each one part of the network, in the order of registration.

    The network is opened, and what in an opened module is a list of modules, or has more than half of all layers with
    weights; what is not opened is a block.
    """

    def weights(module: nn.Module) -> int:
        return sum(isinstance(part, nn.Conv2d | nn.Linear) for part in module.modules())

    def look(module: nn.Module, name: str) -> Iterator[str]:
        for label, child in module.named_children():
            full = f"{name}.{label}" if name else label
            is_list = isinstance(child, nn.Sequential | nn.ModuleList | nn.ModuleDict)
            if list(child.children()) and (is_list or 2 * weights(child) > weights(model)):
                yield from look(child, full)
            else:
                yield full

    return list(look(model, ""))


def _tied(model: nn.Module) -> str:
    """The names of the first two parameters that are one tensor."""
    seen: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            return f"{seen[id(parameter)]} and {name}"
        seen[id(parameter)] = name
    return ""


class _Rows:
    """The rows of a graph."""

    def __init__(
        self, model: nn.Module, graph: fx.Graph, shapes: Mapping[fx.Node, tuple[int, ...]], buffers: set[str]
    ) -> None:
        self.model, self.shapes, self.buffers = model, shapes, buffers
        self.parameters = dict(model.named_parameters())
        self.made: list[dict[str, Any]] = []
        self.known: set[str] = set()  # names of tensors that a row has
        self.names: set[str] = {"input"}
        self.modules = {name for name, _ in model.named_modules()}
        self.row_of: dict[fx.Node, str] = {}  # of nodes that give a tensor
        for node in graph.nodes:
            self._see(node)
        if idle := [name for name in self.parameters if name not in self.known]:
            raise Untraceable(f"its parameter {idle[0]} is never used; leave it out")
        for name in sorted(buffers - self.known):
            self._tensors(name)

    def _see(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self.row_of[node] = "input"
        elif node.op == "get_attr":
            self._tensors(str(node.target), node)
        elif node.op == "call_module":
            self._call(node)
        elif node.op != "output" and node in self.shapes:
            self._function(node)

    def _call(self, node: fx.Node) -> None:
        """A module's row. Of one that is called again the tensors are in its first row."""
        target = str(node.target)
        module = self.model.get_submodule(target)
        kind = type(module).__name__
        if target in self.names:
            kind = "Shared" if list(module.parameters()) else kind
            self._append(node, self._free(target), kind, _options(module) if kind != "Shared" else {})
            return
        tensors = {name: tuple(one.shape) for name, one in module.named_parameters()}
        buffers = {name: tuple(one.shape) for name, one in module.named_buffers() if f"{target}.{name}" in self.buffers}
        self._append(node, target, kind, _options(module), tensors, buffers)

    def _function(self, node: fx.Node) -> None:
        called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "function")
        kind = FUNCTIONS.get(called.lstrip("_"), called)
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        owner = str(stack[-1][0]) if stack else ""
        name = self._free(".".join(filter(None, [owner, kind.lower()])))
        self._append(node, name, kind, {})
        row = self.made[-1]
        if kind == "AdaptiveAvgPool2d":
            row["options"] = {"output_size": row["out_shape"][1:]}
        if kind == "Flatten" and len(row["out_shape"]) != 1:
            row["kind"] = "flatten"

    def _tensors(self, name: str, node: fx.Node | None = None) -> None:
        """The row of a parameter or a buffer that no call of its module uses: with all others of a module that has no
        modules in it, else by itself."""
        owner, _, own = name.rpartition(".")
        if name not in self.parameters and name not in self.buffers:
            return
        if name not in self.known:
            module = self.model.get_submodule(owner)
            alone = not owner or any(True for _ in module.children()) or owner in self.names
            names = [own] if alone else [*module._parameters, *module._buffers]
            kept: tuple[dict[str, Any], dict[str, Any]] = {}, {}
            for one in names:
                full = f"{owner}.{one}" if owner else one
                if full in self.parameters or full in self.buffers:
                    kept[full in self.buffers]["value" if alone else one] = self._shape(full)
            kind = ("Parameter" if kept[0] else "Buffer") + ("" if alone else "s")
            self._add(name if alone else owner, kind, (), {}, (), self._shape(name), *kept)
        if node is not None:
            self.row_of[node] = next(row["name"] for row in reversed(self.made) if name in _names(row))

    def _shape(self, name: str) -> tuple[int, ...]:
        owner, _, own = name.rpartition(".")
        return tuple(getattr(self.model.get_submodule(owner), own).shape)

    def _free(self, name: str) -> str:
        """The name, with a number where it is taken."""
        taken = self.names | self.modules
        return next(full for n in range(1, len(taken) + 2) if (full := f"{name}-{n}" if n > 1 else name) not in taken)

    def _sources(self, node: fx.Node) -> list[str]:
        """The rows that feed a node, also by way of sizes and pieces that are no tensors."""
        found: dict[str, None] = {}
        for source in node.all_input_nodes:
            for name in [self.row_of[source]] if source in self.row_of else self._sources(source):
                found[name] = None
        return list(found)

    def _append(
        self,
        node: fx.Node,
        name: str,
        kind: str,
        options: dict[str, Any],
        parameters: Mapping[str, Any] | None = None,
        buffers: Mapping[str, Any] | None = None,
    ) -> None:
        first = next((self.shapes[source] for source in node.all_input_nodes if source in self.shapes), (BATCH,))
        shape = self.shapes.get(node, (BATCH,))
        self._add(name, kind, self._sources(node), options, first[1:], shape[1:], parameters or {}, buffers or {})
        self.row_of[node] = name

    def _add(
        self,
        name: str,
        kind: str,
        inputs: Any,
        options: Any,
        in_shape: Any,
        out_shape: Any,
        parameters: Any,
        buffers: Any,
    ) -> None:
        row = {"name": name, "kind": kind, "inputs": list(inputs), "options": options, "in_shape": list(in_shape)}
        row |= {"out_shape": list(out_shape), "parameters": dict(parameters), "buffers": dict(buffers)}
        self.made.append(row)
        self.names.add(name)
        self.known.update(_names(row))


def _names(row: Mapping[str, Any]) -> list[str]:
    """The full names of a row's tensors."""
    alone = row["kind"] in ("Parameter", "Buffer")
    return [row["name"] if alone else f"{row['name']}.{own}" for own in (*row["parameters"], *row["buffers"])]


def _options(module: nn.Module) -> dict[str, Any]:
    """What the layer table says of a module: of one that it knows, all that its shapes and symmetries depend on."""
    if isinstance(module, nn.Conv2d):
        return _convolution(module)
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return {key: _pair(getattr(module, key)) for key in ("kernel_size", "stride", "padding")}
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return {"output_size": _pair(module.output_size)}
    if isinstance(module, nn.ZeroPad2d):
        return {"padding": module.padding}
    if isinstance(module, nn.Linear):
        return {"in_features": module.in_features, "out_features": module.out_features, "bias": module.bias is not None}
    if isinstance(module, nn.BatchNorm2d):
        return {"num_features": module.num_features, "eps": module.eps, "momentum": module.momentum}
    return {"p": module.p} if isinstance(module, nn.Dropout) else {}


def _convolution(module: nn.Conv2d) -> dict[str, Any]:
    """A convolution's options as `weight_atlas.networks.table` has them; groups, dilation and another kind of padding
    where they are not torch's defaults."""
    padding: Any = module.padding
    if isinstance(padding, str):
        reach = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        padding = [n // 2 for n in reach] if padding == "same" else [0, 0]
    more = {"groups": (module.groups, 1), "dilation": (tuple(module.dilation), (1, 1))}
    more["padding_mode"] = (module.padding_mode, "zeros")
    return {
        "in_channels": module.in_channels,
        "out_channels": module.out_channels,
        "kernel_size": _pair(module.kernel_size),
        "stride": _pair(module.stride),
        "padding": _pair(padding),
        "bias": module.bias is not None,
    } | {key: value for key, (value, default) in more.items() if value != default}


def _pair(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple | list) else [value, value]


def _said(error: Exception, architecture: str) -> str:
    """An error in one line, with the last line of the user's own code that it went through."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Untraceable):
        return text
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}: {error.msg}; correct the file"
    file = named.source_file(architecture)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file and Path(frame.filename).absolute() == file.absolute()]
    place = f"{file}, line {own[-1].lineno} ({(own[-1].line or '').strip()}): " if own else ""
    return f"{place}{kind}: {text[:500]}"


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that a request asks for, or the line on what is wrong with the network as `error`.

    torch's stream of random numbers is left as it is.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            return trace(request, request["channels"], request["size"], request["classes"])
    except Exception as error:
        return {"error": _said(error, request["architecture"])}


def main() -> None:
    """Trace the network of a request on the standard input."""
    sys.path.insert(0, "")  # a user's module is found beside the config's working directory
    with contextlib.redirect_stdout(sys.stderr):
        made = answer(json.load(sys.stdin))
    print(json.dumps(made))


if __name__ == "__main__":
    main()
