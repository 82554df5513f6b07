"""Convolutional network A: two blocks of two convolutions, 4,460,490 parameters for 32x32 RGB and 10 classes.

The first convolution of each block has a BatchNorm, the second none. B and C are `convnet_b` and `convnet_c`.
"""

from weight_atlas.networks.architectures._dense import dense
from weight_atlas.networks.table import Table, scaled

MIN_SIZE = 4


def layers(table: Table, classes: int, *, width: float = 1.0, batchnorm: bool = True, dropout: float = 0.0) -> None:
    """conv 64@3x3 - BatchNorm - conv 64 - pool 2, the same with 128, linear 512 with ReLU and dropout, linear."""
    for block, channels in ((1, scaled(64, width)), (2, scaled(128, width))):
        table.conv(f"conv{block}_1", channels, 3, padding=1)
        if batchnorm:
            table.batchnorm(f"norm{block}_1")
        table.relu(f"relu{block}_1")
        table.conv(f"conv{block}_2", channels, 3, padding=1)
        table.relu(f"relu{block}_2")
        table.maxpool(f"pool{block}", 2)
    dense(table, classes, width, (512,), (dropout,))
