"""What flipping, permuting and rescaling do to the outputs of small networks, computed."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from weight_atlas.analysis.alignment import transforms
from weight_atlas.analysis.types import Tensors
from weight_atlas.networks.build import TableModule, fill
from weight_atlas.networks.table import Table

TOLERANCE = 1e-10

Change = Callable[[Tensors], Tensors]


class Fact(NamedTuple):
    """A row of facts.csv. expected: "f" or "-f"; error: largest |f' - expected| over largest |f|; holds: whether the
    error is at most TOLERANCE."""

    network: str
    transformation: str
    expected: str
    error: float
    holds: bool


def rows(seed: int = 0) -> list[Fact]:
    """What transformations of the weights do to a network's outputs, computed in float64.

    Small networks with random weights and statistics. "Batch" is with the batch's statistics in BatchNorm, "eval" with
    the running ones.
    """
    conv, tanh, odd, relu = _conv_bn(), _linear("tanh", 4), _linear("tanh", 3), _linear("relu", 3)
    biased = _linear("tanh", 3, bias=True)
    facts: list[Fact] = []

    def add(
        network: str,
        table: Table,
        transformation: str,
        change: Change,
        expected: str,
        zeroed: Sequence[str] = (),
        batch: bool = False,
    ) -> None:
        """zeroed: endings of names whose tensors are 0 at first."""
        tensors = noise(table, seed)
        tensors |= {name: torch.zeros_like(x) for name, x in tensors.items() if name.endswith(tuple(zeroed))}
        before, after = (outputs(table, x, seed, batch) for x in (tensors, change(tensors)))
        error = float((after - (before if expected == "f" else -before)).abs().max() / before.abs().max())
        facts.append(Fact(network, transformation, expected, error, error <= TOLERANCE))

    def symmetric(table: Table, kind: str) -> Change:
        return lambda tensors: transforms.apply(table, tensors, transforms.random(table, seed, (kind,)))

    beta = ("norm.bias", "norm2.bias")
    name = "conv, BatchNorm, ReLU; beta = 0"
    add(name, conv, "all parameters flipped, batch", _flip(conv), "-f", beta, batch=True)
    add(name, conv, "all parameters flipped, eval", _flip(conv), "-f", beta)
    add(name, conv, "all parameters and running means flipped, eval", _flip(conv, "running_mean"), "-f", beta)
    name = "conv, BatchNorm, ReLU"
    add(name, conv, "all parameters flipped, batch", _flip(conv), "-f", batch=True)
    add(name, conv, "a conv, its gamma and running mean flipped, eval", _flip_conv_and_norm, "f")
    add(name, conv, "a conv and its gamma flipped, batch", _flip_conv_and_norm, "f", batch=True)
    add("tanh, no biases, 4 weight layers", tanh, "all parameters flipped", _flip(tanh), "f")
    add("tanh, no biases, 3 weight layers", odd, "all parameters flipped", _flip(odd), "-f")
    add("tanh, biases, 3 weight layers", biased, "all parameters flipped", _flip(biased), "-f")
    add("ReLU", relu, "all parameters flipped", _flip(relu), "f")
    add("ReLU", relu, "all parameters flipped", _flip(relu), "-f")
    for name, table in (("ReLU", relu), ("tanh, biases, 3 weight layers", biased), ("conv, BatchNorm, ReLU", conv)):
        add(name, table, "channels permuted", symmetric(table, "permutation"), "f")
    name = "tanh, biases, 3 weight layers"
    add(name, biased, "channels flipped, and the columns that read them", symmetric(biased, "sign"), "f")
    for name, table in (("ReLU", relu), ("conv, BatchNorm, ReLU", conv)):
        add(name, table, "channels rescaled, and the columns that read them", symmetric(table, "scale"), "f")
    name = "tanh, biases, 3 weight layers"
    add(name, biased, "one layer's rows doubled, the next one's columns halved", _rescale("fc0", "fc1"), "f")
    return facts


def noise(table: Table, seed: int) -> Tensors:
    """Random float64 tensors of a layer table, weights scaled by their fan-in, gammas of either sign."""
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for name, shape in (*table.parameters(), *table.buffers()):
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        if name.endswith("running_var"):
            values = values.square() + 0.5
        elif name.endswith("num_batches_tracked"):
            values = torch.tensor(1)
        elif name.endswith(".bias"):
            values *= 0.3
        elif len(shape) > 1:
            values *= (2 / math.prod(shape[1:])) ** 0.5
        tensors[name] = values
    return tensors


@torch.no_grad()
def outputs(table: Table, tensors: Tensors, seed: int, batch: bool = False) -> torch.Tensor:
    """Outputs, float64 [8, classes], of a layer table's network for eight random images.

    batch: BatchNorm uses the statistics of these images, else its running ones.
    """
    model = TableModule(table).double().eval()
    fill(model, tensors)
    for part in model.modules():
        if batch and isinstance(part, torch.nn.BatchNorm2d):
            part.train()
    generator = torch.Generator().manual_seed(seed)
    shape = (8, table.channels, table.size, table.size)
    result: torch.Tensor = model(torch.randn(shape, generator=generator, dtype=torch.float64))
    return result


def _flip(table: Table, *endings: str) -> Change:
    """Negates all parameters, and the tensors whose names end so."""
    learnable = {name for name, _ in table.parameters()}
    return lambda tensors: {n: -x if n in learnable or n.endswith(endings or "-") else x for n, x in tensors.items()}


def _flip_conv_and_norm(tensors: Tensors) -> Tensors:
    """Negates the first convolution, its BatchNorm's weight and running mean."""
    return tensors | {x: -tensors[x] for x in ("conv.weight", "conv.bias", "norm.weight", "norm.running_mean")}


def _rescale(layer: str, reader: str) -> Change:
    """Doubles a layer's rows and halves the next one's columns."""
    factors = {f"{layer}.weight": 2, f"{layer}.bias": 2, f"{reader}.weight": 0.5}
    return lambda tensors: {name: x * factors.get(name, 1) for name, x in tensors.items()}


def _conv_bn() -> Table:
    """conv - BatchNorm - ReLU - conv - BatchNorm - ReLU - average - linear."""
    table = Table(2, 8)
    for n in ("", "2"):
        table.conv(f"conv{n}", 6, 3, padding=1)
        table.batchnorm(f"norm{n}")
        table.relu(f"relu{n}")
    table.adaptive_avgpool("pool", 1)
    table.flatten("flat")
    table.linear("fc", 5)
    return table


def _linear(activation: str, layers: int, bias: bool | None = None) -> Table:
    """So many linear layers with tanh (without biases unless asked) or ReLU (with them) between."""
    table = Table(1, 4)
    table.flatten("flat")
    for n in range(layers):
        table.linear(f"fc{n}", 5 if n == layers - 1 else 8, bias=activation == "relu" if bias is None else bias)
        if n < layers - 1:
            getattr(table, activation)(f"{activation}{n}")
    return table
