"""The layer table: what a network says of itself without torch.

A network's `layers` function fills a `Table` row by row; the table knows the shape of every tensor and map, and from
them the counts, the multiplications and the taps that are never trained. `build` makes a torch module of the same rows.
"""

import math
from dataclasses import dataclass, field


class TooSmall(ValueError):
    """A map would become smaller than one pixel."""


@dataclass(frozen=True)
class Layer:
    """One row of a layer table.

    kind is the name of the torch.nn class (or "Add"), options its keyword arguments, inputs the names of the layers
    that feed it ("input" is the picture). Shapes leave the batch out: (C, H, W) or (F,). parameters and buffers map a
    tensor's own name ("weight", "running_mean") to its shape.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    options: dict
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)
    buffers: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def parameter_count(self) -> int:
        """Number of learnable values."""
        return sum(math.prod(shape) for shape in self.parameters.values())

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one picture: every weight at every output position, padding included; bias and
        everything but convolutions and linear layers count nothing."""
        if self.kind not in ("Conv2d", "Linear"):
            return 0
        return math.prod(self.parameters["weight"]) * math.prod(self.out_shape[1:])


def scaled(channels: int, width: float) -> int:
    """Channels (or features) of a layer under a width multiplier: rounded, at least 1."""
    return max(1, round(channels * width))


class Table:
    """The rows of one network for pictures of shape (channels, size, size).

    The methods that add a layer take its torch name (dots make nested modules) and `of`, the name of the layer that
    feeds it (default: the last one added, or "input"); they return the new layer's name. Kernels, strides and paddings
    are a number or a pair (height, width). Every method raises ValueError for a name used twice or unknown and for
    shapes that do not fit, and TooSmall (a ValueError) where a map would become smaller than 1.
    """

    def __init__(self, channels: int, size: int):
        self.channels = channels
        self.size = size
        self.layers: list[Layer] = []
        self._rows: dict[str, Layer] = {}

    def __getitem__(self, layer: str | Layer) -> Layer:
        """The layer of that name (a Layer is given back as it is). Raises ValueError for an unknown name."""
        if isinstance(layer, Layer):
            return layer
        if layer not in self._rows:
            raise ValueError(f"layer '{layer}': no such layer; known: {', '.join(self._rows) or 'none yet'}")
        return self._rows[layer]

    # Adding layers

    def conv(self, name, out, kernel, stride=1, padding=0, bias=True, of=None) -> str:
        """Conv2d with `out` output channels; weight (out, in, kh, kw), bias (out,)."""
        source, (channels, *size) = self._map(name, of)
        kernel, stride, padding = _pair(kernel), _pair(stride), _pair(padding)
        options = {
            "in_channels": channels,
            "out_channels": out,
            "kernel_size": kernel,
            "stride": stride,
            "padding": padding,
            "bias": bias,
        }
        parameters = {"weight": (out, channels, *kernel)} | ({"bias": (out,)} if bias else {})
        shape = (out, *_slide(name, "Conv2d", size, kernel, stride, padding))
        return self._row(name, "Conv2d", (source,), options, shape, parameters)

    def batchnorm(self, name, of=None, keras=False) -> str:
        """BatchNorm2d over the channels of a map.

        keras: as Keras has it by default, 0.001 added to the variance and a batch's share in the running statistics
        0.01 (torch: 0.00001 and 0.1), so that these are 63 % theirs after a hundred steps.
        """
        source, shape = self._map(name, of)
        vector = (shape[0],)
        options = {"num_features": shape[0]} | ({"eps": 1e-3, "momentum": 0.01} if keras else {})
        parameters = {"weight": vector, "bias": vector}
        buffers = {"running_mean": vector, "running_var": vector, "num_batches_tracked": ()}
        return self._row(name, "BatchNorm2d", (source,), options, shape, parameters, buffers)

    def linear(self, name, out, bias=True, of=None) -> str:
        """Linear on a flat input; weight (out, in), bias (out,)."""
        source, shape = self._feeds(name, of)
        if len(shape) != 1:
            raise ValueError(f"layer '{name}' (Linear): needs a vector, but '{source}' gives {shape}; flatten it first")
        options = {"in_features": shape[0], "out_features": out, "bias": bias}
        parameters = {"weight": (out, shape[0])} | ({"bias": (out,)} if bias else {})
        return self._row(name, "Linear", (source,), options, (out,), parameters)

    def relu(self, name, of=None) -> str:
        """ReLU."""
        return self._same(name, "ReLU", {}, of)

    def tanh(self, name, of=None) -> str:
        """Tanh."""
        return self._same(name, "Tanh", {}, of)

    def dropout(self, name, p, of=None) -> str:
        """Dropout with probability p."""
        if not 0 <= p < 1:
            raise ValueError(f"layer '{name}' (Dropout): its probability is {p}; allowed: from 0 to below 1")
        return self._same(name, "Dropout", {"p": p}, of)

    def maxpool(self, name, kernel, stride=None, padding=0, of=None) -> str:
        """MaxPool2d; the stride is the kernel's size where none is given."""
        return self._pool(name, "MaxPool2d", kernel, stride, padding, of)

    def avgpool(self, name, kernel, stride=None, padding=0, of=None) -> str:
        """AvgPool2d; the stride is the kernel's size where none is given."""
        return self._pool(name, "AvgPool2d", kernel, stride, padding, of)

    def adaptive_avgpool(self, name, size, of=None) -> str:
        """AdaptiveAvgPool2d to a map of `size` (number or pair), whatever comes in."""
        source, shape = self._map(name, of)
        size = _pair(size)
        return self._row(name, "AdaptiveAvgPool2d", (source,), {"output_size": size}, (shape[0], *size))

    def zeropad(self, name, padding, of=None) -> str:
        """ZeroPad2d by (left, right, top, bottom): what an even kernel needs for 'same' padding."""
        source, (channels, height, width) = self._map(name, of)
        left, right, top, bottom = padding
        shape = (channels, height + top + bottom, width + left + right)
        return self._row(name, "ZeroPad2d", (source,), {"padding": tuple(padding)}, shape)

    def flatten(self, name, of=None) -> str:
        """Flatten a map to a vector."""
        source, shape = self._feeds(name, of)
        return self._row(name, "Flatten", (source,), {}, (math.prod(shape),))

    def add(self, name, a, b) -> str:
        """The sum of two layers of equal shape."""
        shapes = [self._feeds(name, of)[1] for of in (a, b)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"layer '{name}' (Add): '{a}' gives {shapes[0]} and '{b}' {shapes[1]}; they must be equal")
        return self._row(name, "Add", (a, b), {}, shapes[0])

    def _same(self, name, kind, options, of):
        source, shape = self._feeds(name, of)
        return self._row(name, kind, (source,), options, shape)

    def _pool(self, name, kind, kernel, stride, padding, of):
        source, (channels, *size) = self._map(name, of)
        kernel, padding = _pair(kernel), _pair(padding)
        stride = kernel if stride is None else _pair(stride)
        options = {"kernel_size": kernel, "stride": stride, "padding": padding}
        return self._row(name, kind, (source,), options, (channels, *_slide(name, kind, size, kernel, stride, padding)))

    def _feeds(self, name, of):
        """The name of the feeding layer and the shape that it hands on."""
        if of is None:
            of = self.layers[-1].name if self.layers else "input"
        if of == "input":
            return of, (self.channels, self.size, self.size)
        if of not in self._rows:
            raise ValueError(f"layer '{name}': it is fed by '{of}', which is no layer above it")
        return of, self._rows[of].out_shape

    def _map(self, name, of):
        source, shape = self._feeds(name, of)
        if len(shape) != 3:
            raise ValueError(f"layer '{name}': needs a map (C, H, W), but '{source}' gives {shape}")
        return source, shape

    def _row(self, name, kind, inputs, options, out_shape, parameters=None, buffers=None):
        if name == "input" or not all(name.split(".")) or self._clashes(name):
            raise ValueError(f"layer '{name}' ({kind}): the name is empty or taken; give every layer a name of its own")
        in_shape = self._feeds(name, inputs[0])[1]
        layer = Layer(name, kind, inputs, options, in_shape, out_shape, parameters or {}, buffers or {})
        self._rows[name] = layer
        self.layers.append(layer)
        return name

    def _clashes(self, name):
        """Whether the name is taken, or one is a module that holds the other: 'a' and 'a.b' exclude each other."""
        return any(row in _prefixes(name) or name in _prefixes(row) for row in self._rows)

    # Reading the table

    @property
    def weight_layers(self) -> list[Layer]:
        """The Conv2d and Linear layers, in order of execution."""
        return [layer for layer in self.layers if layer.kind in ("Conv2d", "Linear")]

    @property
    def head(self) -> Layer:
        """The last weight layer: its input is the penultimate features, its output the classes."""
        return self.weight_layers[-1]

    def attached(self, layer: str | Layer) -> list[Layer]:
        """The layer and the BatchNorm that it feeds directly, if any: what is frozen or copied together."""
        layer = self[layer]
        norms = [row for row in self.layers if row.kind == "BatchNorm2d" and row.inputs == (layer.name,)]
        return [layer, *norms]

    def chosen(self, layers: int | list[str] | None) -> list[str]:
        """Names of the layers with tensors that `layers` names: so many weight layers from the input, each with its
        BatchNorm, or names and prefixes of names ("features" is all of features.0, features.1, ..); None is all."""
        if isinstance(layers, int):
            return [row.name for layer in self.weight_layers[:layers] for row in self.attached(layer)]
        rows = [layer.name for layer in self.layers if layer.parameters]
        if layers is None:
            return rows
        named = [row for row in rows if any(f"{row}.".startswith(f"{name}.") for name in layers)]
        attached = [norm.name for row in named if self[row] in self.weight_layers for norm in self.attached(row)]
        return [row for row in rows if row in named or row in attached]

    def copied(self, start: dict) -> list[str]:
        """Torch names of the tensors that a start takes from its file: those of the `layers` it names, or all, but for
        the head's where that is to be fresh."""
        layers = self.chosen(start.get("layers"))
        if start.get("head") == "fresh" and self.head.name in layers:
            layers.remove(self.head.name)
        return [f"{name}.{own}" for name in layers for own in (*self[name].parameters, *self[name].buffers)]

    def parameters(self) -> list[tuple[str, tuple[int, ...]]]:
        """(torch name, shape) of every learnable tensor, in named_parameters() order of the built module."""
        return [(f"{x.name}.{own}", shape) for x in self._registered() for own, shape in x.parameters.items()]

    def buffers(self) -> list[tuple[str, tuple[int, ...]]]:
        """(torch name, shape) of every buffer, in named_buffers() order of the built module."""
        return [(f"{x.name}.{own}", shape) for x in self._registered() for own, shape in x.buffers.items()]

    def _registered(self):
        """The layers in torch's order: those that share a dotted prefix stand together, where the first stood."""
        first: dict[str, int] = {}
        for index, layer in enumerate(self.layers):
            for prefix in _prefixes(layer.name):
                first.setdefault(prefix, index)
        return sorted(self.layers, key=lambda layer: [first[prefix] for prefix in _prefixes(layer.name)])

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
        """Multiply-accumulates of one forward pass of one picture: the sum of `Layer.macs`."""
        return sum(layer.macs for layer in self.layers)

    @property
    def activations(self) -> int:
        """Number of values in the outputs of all layers for one picture."""
        return sum(math.prod(layer.out_shape) for layer in self.layers)

    # Structural taps

    def tap_mask(self, layer: str | Layer):
        """numpy bool [kh, kw] of a Conv2d: True where some output position reads the tap from inside the map.

        Tap i of an axis with n values, `before` zeros in front, stride s and o outputs reads position t*s + i - before
        for t = 0 .. o-1; it is effective iff one of these lies in 0 .. n-1. A ZeroPad2d that feeds the convolution
        counts as its own padding. A tap that is not effective only ever multiplies zeros: its gradient is exactly 0.
        Raises ValueError for a layer that is no Conv2d.
        """
        import numpy as np

        layer = self[layer]
        if layer.kind != "Conv2d":
            raise ValueError(f"layer '{layer.name}' ({layer.kind}): only a Conv2d has taps")
        top, left = layer.options["padding"]
        sizes = layer.in_shape[1:]
        source = self._rows.get(layer.inputs[0])
        while source is not None and source.kind == "ZeroPad2d":
            left, top = left + source.options["padding"][0], top + source.options["padding"][2]
            sizes = source.in_shape[1:]
            source = self._rows.get(source.inputs[0])
        axes = []
        for axis, before in enumerate((top, left)):
            taps = np.arange(layer.options["kernel_size"][axis])
            starts = np.arange(layer.out_shape[1 + axis]) * layer.options["stride"][axis] - before
            reads = starts[:, None] + taps
            axes.append(((reads >= 0) & (reads < sizes[axis])).any(axis=0))
        return np.outer(*axes)

    def structural(self, layer: str | Layer) -> int:
        """Number of weights of a convolution whose taps only ever meet its own zero padding; 0 for any other layer."""
        layer = self[layer]
        if layer.kind != "Conv2d":
            return 0
        out, channels = layer.parameters["weight"][:2]
        return out * channels * int((~self.tap_mask(layer)).sum())

    # Tied columns

    def tied(self, layer: str | Layer) -> int:
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


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _windows(size: int, outputs: int) -> set[tuple[int, int]]:
    """The distinct windows (first, behind the last) that AdaptiveAvgPool2d averages along one axis."""
    return {(i * size // outputs, -((i + 1) * size // -outputs)) for i in range(outputs)}


def _prefixes(name: str) -> list[str]:
    """'a.b.c' -> ['a', 'a.b', 'a.b.c']."""
    parts = name.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def _slide(name, kind, size, kernel, stride, padding) -> tuple[int, int]:
    """Height and width of the map that a sliding window leaves (torch.nn.Conv2d's formula, without dilation).

    Raises TooSmall where the padded map is smaller than the window.
    """
    room = [n + 2 * p - k for n, p, k in zip(size, padding, kernel, strict=True)]
    if min(room) < 0:
        have, window = "x".join(map(str, size)), "x".join(map(str, kernel))
        raise TooSmall(f"layer '{name}' ({kind}): a map of {have} is too small for its window of {window}")
    return tuple(r // s + 1 for r, s in zip(room, stride, strict=True))
