"""LeNet-5 (LeCun et al. 1998) with ReLU and max pooling: 61,706 parameters for grey images, 62,006 for RGB, at 32x32.

As in the paper the network takes 32x32: MNIST's 28x28 are zero-padded by 2 on each side.
"""

from weight_atlas.networks.table import Table, scaled

MIN_SIZE = 32


def layers(table: Table, classes: int, *, width: float = 1.0) -> None:
    """conv 6@5x5 - pool 2 - conv 16@5x5 - pool 2 - linear 120 - 84 - classes."""
    for name, channels in (("1", 6), ("2", 16)):
        table.conv(f"conv{name}", scaled(channels, width), 5)
        table.relu(f"relu{name}")
        table.maxpool(f"pool{name}", 2)
    table.flatten("flatten")
    for name, features in (("1", 120), ("2", 84)):
        table.linear(f"fc{name}", scaled(features, width))
        table.relu(f"relu{int(name) + 2}")
    table.linear("fc3", classes)
