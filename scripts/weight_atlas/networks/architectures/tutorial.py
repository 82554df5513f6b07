"""The network of PyTorch's tutorial on CIFAR-10: 62,006 parameters for RGB; without options it is `lenet5`.

The options change one thing each: BatchNorm between every convolution and its ReLU, a second convolution in each block
(of the same kernel, padded, so that nothing else changes its size), dropout after both hidden linear layers.
"""

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
) -> None:
    """conv 6@5x5 - pool 2 - conv 16@5x5 - pool 2 - linear 120 - 84 - classes."""
    for block, channels in (("1", scaled(6, width)), ("2", scaled(16, width))):
        for name, padding in ((block, 0), (f"{block}b", 2)) if double else ((block, 0),):
            table.conv(f"conv{name}", channels, 5, padding=padding)
            if batchnorm:
                table.batchnorm(f"norm{name}")
            table.relu(f"relu{name}")
        table.maxpool(f"pool{block}", 2)
    dense(table, classes, width, (120, 84), (dropout, dropout))
