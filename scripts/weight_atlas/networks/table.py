"""The layer table: what is known of a network without torch.

A network's `layers` function fills a `Table` row by row; the table knows the shape of every tensor and map, and from
them the counts, the multiplications and the taps that are never trained. `build` makes a torch module of the same rows.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weight_atlas.settings import Start

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")  # of a layer
LAYERS = 10_000  # of a network, at most: a loop without end is seen
# Words that a module of torch (or the one that `build` makes) has for itself: no part of a layer is called so.
TAKEN = {"apply", "bfloat16", "buffers", "children", "compile", "cpu", "cuda", "double", "eval"}
TAKEN |= {"float", "forward", "half", "ipu", "modules", "mtia", "parameters", "steps"}
TAKEN |= {"to", "train", "training", "type", "xpu"}

Shape = tuple[int, ...]
Size = int | tuple[int, int]  # of a kernel, stride or padding; a pair is (height, width)


class TooSmall(ValueError):
    """A map would become smaller than one pixel."""


@dataclass(frozen=True)
class Layer:
    """One row of a layer table.

    kind is the name of the torch.nn class (or "Add"), options its keyword arguments, inputs the names of the layers
    that feed it ("input" is the image). Shapes leave the batch out: (C, H, W) or (F,). parameters and buffers map a
    tensor's own name ("weight", "running_mean") to its shape. A row of the kind "Parameter" or "Buffer" is one tensor,
    called "value", of a module that holds others too; the row has the tensor's name.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    options: dict[str, Any]
    in_shape: Shape
    out_shape: Shape
    parameters: dict[str, Shape] = field(default_factory=dict)
    buffers: dict[str, Shape] = field(default_factory=dict)

    @property
    def parameter_count(self) -> int:
        """Number of learnable values."""
        return sum(math.prod(shape) for shape in self.parameters.values())

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image: every weight at every output position, padding included; attention its
        projections and products besides. Biases and all other layers count nothing."""
        if self.kind == "Linear":
            return math.prod(self.parameters["weight"]) * math.prod(self.out_shape[:-1])
        if self.kind == "Conv2d":
            return math.prod(self.parameters["weight"]) * math.prod(self.out_shape[1:])
        if self.kind == "MultiheadAttention" and len(self.in_shape) == 2:
            tokens, width = self.in_shape
            return tokens * (4 * width**2 + 2 * tokens * width)
        return 0

    @property
    def is_batchnorm(self) -> bool:
        """Whether it is normalised by the statistics of a batch."""
        return self.kind.startswith("BatchNorm")

    @property
    def is_depthwise(self) -> bool:
        """Whether it is a convolution that makes each of its maps from the map of the same number."""
        return self.kind == "Conv2d" and self.options.get("groups") == self.in_shape[0] == self.out_shape[0]

    def tensor(self, own: str) -> str:
        """The torch name of one of its parameters or buffers."""
        return self.name if self.kind in ("Parameter", "Buffer") else f"{self.name}.{own}"


def scaled(channels: int, width: float) -> int:
    """Channels (or features) of a layer under a width multiplier: rounded, at least 1."""
    return max(1, round(channels * width))


class Table:
    """The rows of one network for images of shape (channels, size, size).

    The methods that add a layer take its torch name (dots make nested modules) and `input`, the name of the layer
    that feeds it (default: the last one added, or "input"); they return the new layer's name. Kernels, strides and
    paddings are a number or a pair (height, width). Every method raises ValueError for a name used twice or unknown and
    for shapes that do not fit, and TooSmall (a ValueError) where a map would become smaller than 1.
    """

    is_network = True  # whether it is known how the layers are connected, and what they compute

    def __init__(self, channels: int, size: int) -> None:
        self.channels = channels
        self.size = size
        self.layers: list[Layer] = []
        self._rows: dict[str, Layer] = {}
        self._modules: set[str] = set()  # the names of the layers and of the modules that hold them

    def __getitem__(self, layer: str | Layer) -> Layer:
        """The layer of that name (a Layer is given back as it is). Raises ValueError for an unknown name."""
        if isinstance(layer, Layer):
            return layer
        if layer not in self._rows:
            raise ValueError(f"layer '{layer}': no such layer; known: {', '.join(self._rows) or 'none yet'}")
        return self._rows[layer]

    # Adding layers

    def conv(
        self,
        name: str,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        bias: bool = True,
        input: str | None = None,
    ) -> str:
        """Conv2d; weight (out, in, kh, kw), bias (out,)."""
        source, (channels, *size) = self._map(name, input)
        kernel, stride = _pair(name, "kernel_size", kernel_size), _pair(name, "stride", stride)
        padding = _pair(name, "padding", padding, least=0)
        options = {"in_channels": channels, "out_channels": out_channels, "kernel_size": kernel}
        options |= {"stride": stride, "padding": padding, "bias": bias}
        parameters: dict[str, Shape] = {"weight": (out_channels, channels, *kernel)}
        parameters |= {"bias": (out_channels,)} if bias else {}
        shape = (out_channels, *_window_positions(name, "Conv2d", size, kernel, stride, padding))
        return self._append(name, "Conv2d", (source,), options, shape, parameters)

    def batchnorm(self, name: str, input: str | None = None, keras: bool = False) -> str:
        """BatchNorm2d over the channels of a map.

        keras: Keras's defaults, epsilon 0.001 and (in torch's words) momentum 0.01, for torch's 0.00001 and 0.1: a
        batch enters the running statistics with 1 %, so that after a hundred steps they are 63 % those of the data.
        """
        source, shape = self._map(name, input)
        vector = (shape[0],)
        options: dict[str, Any] = {"num_features": shape[0]}
        options |= {"eps": 1e-3, "momentum": 0.01} if keras else {}
        parameters: dict[str, Shape] = {"weight": vector, "bias": vector}
        buffers: dict[str, Shape] = {"running_mean": vector, "running_var": vector, "num_batches_tracked": ()}
        return self._append(name, "BatchNorm2d", (source,), options, shape, parameters, buffers)

    def linear(self, name: str, out_features: int, bias: bool = True, input: str | None = None) -> str:
        """Linear on a flat input; weight (out, in), bias (out,)."""
        source, shape = self._source(name, input)
        if len(shape) != 1:
            raise ValueError(f"layer '{name}' (Linear): needs a vector, but '{source}' gives {shape}; flatten it first")
        options = {"in_features": shape[0], "out_features": out_features, "bias": bias}
        parameters: dict[str, Shape] = {"weight": (out_features, shape[0])}
        parameters |= {"bias": (out_features,)} if bias else {}
        return self._append(name, "Linear", (source,), options, (out_features,), parameters)

    def relu(self, name: str, input: str | None = None) -> str:
        """ReLU."""
        return self._elementwise(name, "ReLU", {}, input)

    def tanh(self, name: str, input: str | None = None) -> str:
        """Tanh."""
        return self._elementwise(name, "Tanh", {}, input)

    def dropout(self, name: str, p: float, input: str | None = None) -> str:
        """Dropout with probability p."""
        if not 0 <= p < 1:
            raise ValueError(f"layer '{name}' (Dropout): its probability is {p}; allowed: from 0 to below 1")
        return self._elementwise(name, "Dropout", {"p": p}, input)

    def maxpool(
        self, name: str, kernel_size: Size, stride: Size | None = None, padding: Size = 0, input: str | None = None
    ) -> str:
        """MaxPool2d; the default stride is the kernel's size."""
        return self._pool(name, "MaxPool2d", kernel_size, stride, padding, input)

    def avgpool(
        self, name: str, kernel_size: Size, stride: Size | None = None, padding: Size = 0, input: str | None = None
    ) -> str:
        """AvgPool2d; the default stride is the kernel's size."""
        return self._pool(name, "AvgPool2d", kernel_size, stride, padding, input)

    def adaptive_avgpool(self, name: str, size: Size, input: str | None = None) -> str:
        """AdaptiveAvgPool2d to a map of `size`, whatever comes in."""
        source, shape = self._map(name, input)
        size = _pair(name, "size", size)
        return self._append(name, "AdaptiveAvgPool2d", (source,), {"output_size": size}, (shape[0], *size))

    def zeropad(self, name: str, padding: tuple[int, int, int, int], input: str | None = None) -> str:
        """ZeroPad2d by (left, right, top, bottom): what an even kernel needs for 'same' padding."""
        source, (channels, height, width) = self._map(name, input)
        if len(padding) != 4 or any(type(pixels) is not int or pixels < 0 for pixels in padding):
            raise ValueError(f"layer '{name}' (ZeroPad2d): padding is {padding}; allowed: 4 whole numbers from 0")
        left, right, top, bottom = padding
        shape = (channels, height + top + bottom, width + left + right)
        return self._append(name, "ZeroPad2d", (source,), {"padding": tuple(padding)}, shape)

    def flatten(self, name: str, input: str | None = None) -> str:
        """Flatten a map to a vector."""
        source, shape = self._source(name, input)
        return self._append(name, "Flatten", (source,), {}, (math.prod(shape),))

    def add(self, name: str, a: str, b: str) -> str:
        """The sum of two layers of equal shape."""
        shapes = [self._source(name, input)[1] for input in (a, b)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"layer '{name}' (Add): '{a}' gives {shapes[0]} and '{b}' {shapes[1]}; they must be equal")
        return self._append(name, "Add", (a, b), {}, shapes[0])

    def _elementwise(self, name: str, kind: str, options: dict[str, Any], input: str | None) -> str:
        source, shape = self._source(name, input)
        return self._append(name, kind, (source,), options, shape)

    def _pool(
        self, name: str, kind: str, kernel_size: Size, stride: Size | None, padding: Size, input: str | None
    ) -> str:
        source, (channels, *size) = self._map(name, input)
        kernel, padding = _pair(name, "kernel_size", kernel_size), _pair(name, "padding", padding, least=0)
        stride = kernel if stride is None else _pair(name, "stride", stride)
        if any(2 * before > window for before, window in zip(padding, kernel, strict=True)):
            raise ValueError(f"layer '{name}' ({kind}): padding is {padding}; allowed: up to half of {kernel}")
        options = {"kernel_size": kernel, "stride": stride, "padding": padding}
        shape = (channels, *_window_positions(name, kind, size, kernel, stride, padding))
        return self._append(name, kind, (source,), options, shape)

    def _source(self, name: str, input: str | None) -> tuple[str, Shape]:
        """The name of the feeding layer and the shape of its output."""
        if input is None:
            input = self.layers[-1].name if self.layers else "input"
        if input == "input":
            return input, (self.channels, self.size, self.size)
        if input not in self._rows:
            raise ValueError(f"layer '{name}': it is fed by '{input}', which is no layer above it")
        return input, self._rows[input].out_shape

    def _map(self, name: str, input: str | None) -> tuple[str, Shape]:
        source, shape = self._source(name, input)
        if len(shape) != 3:
            raise ValueError(f"layer '{name}': needs a map (C, H, W), but '{source}' gives {shape}")
        return source, shape

    def _append(
        self,
        name: str,
        kind: str,
        inputs: tuple[str, ...],
        options: dict[str, Any],
        out_shape: Shape,
        parameters: dict[str, Shape] | None = None,
        buffers: dict[str, Shape] | None = None,
    ) -> str:
        if not NAME.fullmatch(str(name)):
            raise ValueError(f"layer {name!r} ({kind}): is no name; give letters, digits, _ and -, with points between")
        if name == "input" or self._clashes(name):
            raise ValueError(f"layer '{name}' ({kind}): the name is taken; give every layer another one")
        if taken := TAKEN.intersection(name.split(".")):
            raise ValueError(f"layer '{name}' ({kind}): torch keeps {min(taken)!r} for itself; rename it")
        if len(self.layers) == LAYERS:
            raise ValueError(f"layer '{name}' ({kind}): is number {LAYERS + 1:,}; allowed: up to {LAYERS:,} layers")
        for size in (*out_shape, *(size for shape in (parameters or {}).values() for size in shape)):
            if type(size) is not int or size < 1:
                raise ValueError(
                    f"layer '{name}' ({kind}): {size!r} is no size; give a whole number, such as scaled(64, width)"
                )
        in_shape = self._source(name, inputs[0])[1]
        layer = Layer(name, kind, inputs, options, in_shape, out_shape, parameters or {}, buffers or {})
        self._rows[name] = layer
        self._modules.update(_prefixes(name))
        self.layers.append(layer)
        return name

    def _clashes(self, name: str) -> bool:
        """Whether the name is taken, or one is a module that holds the other: 'a' and 'a.b' exclude each other."""
        return name in self._modules or any(prefix in self._rows for prefix in _prefixes(name))

    # Reading the table

    @property
    def weight_layers(self) -> list[Layer]:
        """The Conv2d and Linear layers, in order of execution."""
        return [layer for layer in self.layers if layer.kind in ("Conv2d", "Linear")]

    @property
    def head(self) -> Layer:
        """The last weight layer: its input is the penultimate features, its output the classes."""
        return self.weight_layers[-1]

    def with_batchnorm(self, layer: str | Layer) -> list[Layer]:
        """The layer and the BatchNorm that it feeds directly, if any: they are frozen or copied together."""
        layer = self[layer]
        norms = [row for row in self.layers if row.is_batchnorm and row.inputs == (layer.name,)]
        return [layer, *norms]

    def select(self, layers: int | Sequence[str] | None) -> list[str]:
        """Names of layers with parameters, in the table's order, each weight layer with its BatchNorm.

        Parameters
        ----------
        layers : int, list of str, or None
            The number of weight layers from the input, with all that comes before the last of them; or names and
            prefixes of names ("features" is all of features.0, features.1, ..); or None for all.
        """
        rows = [layer.name for layer in self.layers if layer.parameters]
        if layers is None:
            return rows
        if isinstance(layers, int):
            if layers <= 0:
                return []
            last = self.weight_layers[:layers][-1]
            before = self.layers[: self.layers.index(last)]
            taken = {layer.name for layer in (*before, *self.with_batchnorm(last))}
            return [row for row in rows if row in taken]
        named = [row for row in rows if any(f"{row}.".startswith(f"{name}.") for name in layers)]
        norms = [norm.name for row in named if self[row] in self.weight_layers for norm in self.with_batchnorm(row)]
        return [row for row in rows if row in named or row in norms]

    def copied_tensors(self, start: Start) -> list[str]:
        """Torch names of the tensors that a start takes from its file: those of its `layers` (see `select`), without
        the head's where its `head` is "fresh"."""
        layers = self.select(start.layers)
        if start.head == "fresh" and self.head.name in layers:
            layers.remove(self.head.name)
        return [self[name].tensor(own) for name in layers for own in (*self[name].parameters, *self[name].buffers)]

    @property
    def layer_of(self) -> dict[str, str]:
        """{torch name of a tensor: name of its layer}."""
        return {row.tensor(own): row.name for row in self.layers for own in (*row.parameters, *row.buffers)}

    def depths(self, *kinds: str) -> dict[str, int]:
        """{row: the most convolutions and linear layers (and layers of these kinds) on a way to it from the image}.

        A convolution on a skip is beside that way, so that the last row has the 18 of ResNet18. What reads nothing,
        such as a token that is a parameter, has 0.
        """
        longest = {"input": 0}
        for layer in self.layers:
            before = max((longest[name] for name in layer.inputs), default=0)
            longest[layer.name] = before + (layer.kind in ("Conv2d", "Linear", *kinds))
        return longest

    def parameters(self) -> list[tuple[str, Shape]]:
        """(torch name, shape) of every learnable tensor, in named_parameters() order of the built module."""
        return [(row.tensor(name), shape) for row in self._registered() for name, shape in row.parameters.items()]

    def buffers(self) -> list[tuple[str, Shape]]:
        """(torch name, shape) of every buffer, in named_buffers() order of the built module."""
        return [(row.tensor(name), shape) for row in self._registered() for name, shape in row.buffers.items()]

    def _registered(self) -> list[Layer]:
        """The layers in torch's order: those that share a dotted prefix come together, at the place of the first."""
        first: dict[str, int] = {}
        for index, layer in enumerate(self.layers):
            for prefix in _prefixes(layer.name):
                first.setdefault(prefix, index)
        return sorted(self.layers, key=lambda layer: [first[prefix] for prefix in _prefixes(layer.name)])

    @property
    def stages(self) -> list[int]:
        """How many weight layers there are up to the end of each stage: the depths at which everything that comes
        after reads one map alone. Branches that run side by side are in one stage."""
        last_read = {source: row for row, layer in enumerate(self.layers) for source in layer.inputs}
        weights = {layer.name for layer in self.weight_layers}
        ends: list[int] = []
        count, furthest = 0, last_read["input"]
        for row, layer in enumerate(self.layers):
            count += layer.name in weights
            if furthest <= row and count > (ends or [0])[-1]:
                ends.append(count)
            furthest = max(furthest, last_read.get(layer.name, row))
        return ends

    def stage_name(self, depth: int) -> str:
        """What the stage is called that ends with so many weight layers: the last of them."""
        return self.weight_layers[depth - 1].name

    @property
    def parameter_count(self) -> int:
        """Number of learnable values."""
        return sum(layer.parameter_count for layer in self.layers)

    @property
    def buffer_count(self) -> int:
        """Number of values in buffers: running means and variances, and each BatchNorm's batch counter."""
        return sum(math.prod(shape) for _, shape in self.buffers())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass of one image: the sum of `Layer.macs`."""
        return sum(layer.macs for layer in self.layers)

    @property
    def activation_count(self) -> int:
        """Number of values in the outputs of all layers for one image."""
        return sum(math.prod(layer.out_shape) for layer in self.layers)

    # Weights that are never trained, or always trained alike

    def tap_mask(self, layer: str | Layer) -> "npt.NDArray[np.bool_]":
        """Bool [kh, kw] of a Conv2d: True where some output position reads the tap from inside the map.

        Tap i of an axis with n values, `before` zeros in front, stride s and o outputs reads position t*s + i - before
        for t = 0 .. o-1 (i times the dilation); it is effective iff one of these lies in 0 .. n-1. A ZeroPad2d that
        feeds the convolution counts as its own padding. A tap that is not effective only ever multiplies zeros: its
        gradient is exactly 0. Where the padding repeats the map's own values all are effective.
        Raises ValueError for a layer that is no Conv2d.
        """
        import numpy as np

        layer = self[layer]
        if layer.kind != "Conv2d":
            raise ValueError(f"layer '{layer.name}' ({layer.kind}): only a Conv2d has taps")
        if "padding_mode" in layer.options:
            return np.ones(layer.options["kernel_size"], dtype=bool)
        top, left = layer.options["padding"]
        sizes = layer.in_shape[1:]
        source = self._rows.get(layer.inputs[0])
        while source is not None and source.kind == "ZeroPad2d":
            left, top = left + source.options["padding"][0], top + source.options["padding"][2]
            sizes = source.in_shape[1:]
            source = self._rows.get(source.inputs[0])
        axes = []
        for axis, before in enumerate((top, left)):
            taps = np.arange(layer.options["kernel_size"][axis]) * layer.options.get("dilation", (1, 1))[axis]
            starts = np.arange(layer.out_shape[1 + axis]) * layer.options["stride"][axis] - before
            reads = starts[:, None] + taps
            axes.append(((reads >= 0) & (reads < sizes[axis])).any(axis=0))
        return np.outer(axes[0], axes[1])

    def padding_weight_count(self, layer: str | Layer) -> int:
        """Number of weights of a convolution whose taps only ever meet its own zero padding; 0 for any other layer."""
        layer = self[layer]
        if layer.kind != "Conv2d":
            return 0
        out, channels = layer.parameters["weight"][:2]
        return out * channels * int((~self.tap_mask(layer)).sum())

    def tied_weight_count(self, layer: str | Layer) -> int:
        """Number of weights of a Linear whose gradient always equals that of another one; 0 for any other layer.

        An AdaptiveAvgPool2d whose map is larger than its input copies pixels: output i of an axis is the mean of the
        input from floor(i n / o) to ceil((i + 1) n / o) (torch's definition for n values and o outputs), so that some
        outputs average the same ones. Where a Linear reads such a map flattened, the columns of the copies always get
        one gradient: with E equal columns E - 1 are tied. Element by element functions between the two keep copies
        equal; a dropout, which draws each value by itself, does not.
        """
        layer = self[layer]
        if layer.kind != "Linear":
            return 0
        source = self._rows.get(layer.inputs[0])
        while source is not None and source.kind in ("Flatten", "ReLU", "Tanh"):
            source = self._rows.get(source.inputs[0])
        if source is None or source.kind != "AdaptiveAvgPool2d":
            return 0
        axes = zip(source.in_shape[1:], source.out_shape[1:], strict=True)
        distinct = source.out_shape[0] * math.prod(len(_windows(n, outputs)) for n, outputs in axes)
        out, columns = layer.parameters["weight"]
        return out * (columns - distinct)


def _pair(layer: str, what: str, value: Size, least: int = 1) -> tuple[int, int]:
    """The value as (height, width); ValueError unless each is a whole number from `least`."""
    height, width = value if isinstance(value, tuple | list) and len(value) == 2 else (value, value)
    if type(height) is not int or type(width) is not int or min(height, width) < least:
        raise ValueError(f"layer '{layer}': {what} is {value!r}; allowed: a whole number from {least}, or a pair")
    return height, width


def _windows(size: int, outputs: int) -> set[tuple[int, int]]:
    """The distinct windows (first, behind the last) that AdaptiveAvgPool2d averages along one axis."""
    return {(i * size // outputs, -((i + 1) * size // -outputs)) for i in range(outputs)}


def _prefixes(name: str) -> list[str]:
    """'a.b.c' -> ['a', 'a.b', 'a.b.c']."""
    parts = name.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def _window_positions(
    name: str,
    kind: str,
    size: Sequence[int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Shape:
    """Height and width of the map that a sliding window leaves (torch.nn.Conv2d's formula, without dilation).

    Raises TooSmall where the padded map is smaller than the window.
    """
    room = [n + 2 * p - k for n, p, k in zip(size, padding, kernel, strict=True)]
    if min(room) < 0:
        map_size, window = "x".join(map(str, size)), "x".join(map(str, kernel))
        raise TooSmall(f"layer '{name}' ({kind}): a map of {map_size} is too small for its window of {window}")
    return tuple(r // s + 1 for r, s in zip(room, stride, strict=True))
