"""LeNet-1 (LeCun et al. 1990) with ReLU and max pooling: 3,246 parameters on 28x28 grey, 4,526 on 32x32 RGB."""

from weight_atlas.networks.table import Table, scaled

MIN_SIZE = 16  # what two 5x5 convolutions without padding and two 2x2 poolings leave one pixel of


def layers(table: Table, classes: int, *, width: float = 1.0) -> None:
    """conv 4@5x5 - pool 2 - conv 12@5x5 - pool 2 - linear to the classes."""
    for name, channels in (("1", 4), ("2", 12)):
        table.conv(f"conv{name}", scaled(channels, width), 5)
        table.relu(f"relu{name}")
        table.maxpool(f"pool{name}", 2)
    table.flatten("flatten")
    table.linear("fc", classes)
