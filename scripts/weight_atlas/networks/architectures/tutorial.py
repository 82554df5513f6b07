"""The network of PyTorch's tutorial on CIFAR-10: 62,006 parameters for RGB; without options it is `lenet5`.

The options change one thing each: BatchNorm between every convolution and its ReLU, a second convolution in each block
(of the same kernel, padded, so that nothing else changes its size), dropout after both hidden linear layers, smaller
kernels, and means or a stride of the block's last convolution instead of its max pool, which leave maps of equal size.
"""

from typing import Literal

from weight_atlas.networks.architectures._dense import dense
from weight_atlas.networks.table import Table, scaled

MIN_SIZE = 32


def layers(
    table: Table,
    classes: int,
    *,
    width: float = 1.0,
    dropout: float = 0.0,
    batchnorm: bool = False,
    double: bool = False,
    kernel: Literal[3, 5] = 5,
    pool: Literal["max", "average", "stride"] = "max",
) -> None:
    """conv 6@5x5 - pool 2 - conv 16@5x5 - pool 2 - linear 120 - 84 - classes."""
    for block, channels in (("1", scaled(6, width)), ("2", scaled(16, width))):
        names = [(block, 0), (f"{block}b", kernel // 2)] if double else [(block, 0)]
        for name, padding in names:
            stride = 2 if pool == "stride" and name == names[-1][0] else 1
            table.conv(f"conv{name}", channels, kernel, stride=stride, padding=padding)
            if batchnorm:
                table.batchnorm(f"norm{name}")
            table.relu(f"relu{name}")
        if pool == "max":
            table.maxpool(f"pool{block}", 2)
        elif pool == "average":
            table.avgpool(f"pool{block}", 2)
    dense(table, classes, width, (120, 84), (dropout, dropout))
