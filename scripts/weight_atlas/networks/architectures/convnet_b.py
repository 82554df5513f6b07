"""Convolutional network B: VGG11's convolutions, two linear layers; 9,493,770 parameters for 32x32 RGB and 10 classes.

The convolutions have the names and shapes that torchvision's vgg11_bn has, or without BatchNorm its vgg11.
"""

from weight_atlas.networks.architectures import _vgg
from weight_atlas.networks.architectures._dense import dense
from weight_atlas.networks.architectures.vgg11_bn import PLAN
from weight_atlas.networks.table import Table

MIN_SIZE = 32


def layers(table: Table, classes: int, *, width: float = 1.0, batchnorm: bool = True, dropout: float = 0.5) -> None:
    """Eight convolutions with BatchNorm and ReLU, five max pools, linear 512 with ReLU and dropout, linear."""
    _vgg.features(table, PLAN, width, batchnorm)
    dense(table, classes, width, (512,), (dropout,))
