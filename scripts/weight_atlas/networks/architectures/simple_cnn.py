"""A plain network of three convolutions and three linear layers: 651,978 parameters for 32x32 RGB and 10 classes."""

from weight_atlas.networks.architectures._dense import dense
from weight_atlas.networks.table import Table, scaled

MIN_SIZE = 8


def layers(table: Table, classes: int, *, width: float = 1.0) -> None:
    """conv 32 - 64 - 128, each 3x3 with padding 1, ReLU and max pool 2, then linear 256 - 128 - classes."""
    for number, channels in enumerate((32, 64, 128), start=1):
        table.conv(f"conv{number}", scaled(channels, width), 3, padding=1)
        table.relu(f"relu{number}")
        table.maxpool(f"pool{number}", 2)
    dense(table, classes, width, (256, 128))
