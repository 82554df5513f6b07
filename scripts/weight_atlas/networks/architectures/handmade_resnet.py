"""A small residual network of one to five blocks: 299,754 parameters with three blocks for RGB and 10 classes.

A max pool after each block halves the map, so that five blocks leave one pixel of 32x32. Convolutions keep the size of
a map: of an even kernel's padding the odd pixel is on the right and at the bottom, as in Keras. `keras_batchnorm` is
Keras's epsilon 0.001 and momentum 0.99 (in torch's words 0.01; torch's own are 0.00001 and 0.1): evaluation, which uses
the running statistics, then needs some hundred steps to be of use.
"""

from typing import Literal

from weight_atlas.networks.table import Table, scaled

MIN_SIZE = 1
CHANNELS = (32, 64, 128, 128, 128)


def layers(
    table: Table,
    classes: int,
    *,
    width: float = 1.0,
    blocks: Literal[1, 2, 3, 4, 5] = 3,
    kernel: Literal[2, 3, 4, 5] = 3,
    dropout: float = 0.2,
    keras_batchnorm: bool = False,
) -> None:
    """Blocks with dropout, each with a max pool 2 while the map has more than one pixel; global average, linear."""
    x = "input"
    for number, channels in enumerate(CHANNELS[:blocks], start=1):
        name = f"block{number}"
        wider = number == 1 or channels != CHANNELS[number - 2]
        x = _block(table, name, x, scaled(channels, width), kernel, wider, keras_batchnorm)
        if dropout:
            x = table.dropout(f"{name}.dropout", dropout)
        if table[x].out_shape[1] > 1:
            x = table.maxpool(f"{name}.pool", 2)
    table.adaptive_avgpool("avgpool", 1)
    table.flatten("flatten")
    table.linear("fc", classes)


def _block(table: Table, name: str, x: str, channels: int, kernel: int, wider: bool, keras: bool) -> str:
    """Twice convolution, BatchNorm and ReLU, plus the block's input, by a 1x1 convolution where it gets wider."""
    branch = x
    for number in (1, 2):
        branch = _conv(table, f"{name}.conv{number}", channels, kernel, branch)
        table.batchnorm(f"{name}.norm{number}", keras=keras)
        branch = table.relu(f"{name}.relu{number}")
    if wider:
        x = table.conv(f"{name}.skip", channels, 1, input=x)
    return table.add(f"{name}.add", branch, x)


def _conv(table: Table, name: str, channels: int, kernel: int, input: str) -> str:
    """A convolution that keeps the size of its map."""
    if kernel % 2:
        return table.conv(name, channels, kernel, padding=kernel // 2, input=input)
    before, behind = kernel // 2 - 1, kernel // 2
    table.zeropad(f"{name}_pad", (before, behind, before, behind), input=input)
    return table.conv(name, channels, kernel)
