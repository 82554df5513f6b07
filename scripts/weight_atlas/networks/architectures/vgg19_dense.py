"""VGG19's convolutions and three linear layers of 512 units: 20,817,482 parameters for 32x32 RGB and 10 classes.

The convolutions have torchvision's names and shapes, so that the weights that it publishes for VGG19 fit.
"""

from weight_atlas.networks.architectures import _vgg
from weight_atlas.networks.architectures._dense import dense
from weight_atlas.networks.architectures.vgg19 import PLAN
from weight_atlas.networks.table import Table

MIN_SIZE = 32


def published(**_: object) -> tuple[str, list[str] | None]:
    """Whose ImageNet weights fit, and for which layers: torchvision's VGG19, for the convolutions."""
    return "vgg19", ["features"]


def layers(table: Table, classes: int, *, width: float = 1.0, dropout: float = 0.4) -> None:
    """VGG19's features, linear 512 - 512 - 512 with ReLU, dropout, linear to the classes."""
    _vgg.features(table, PLAN, width, batchnorm=False)
    dense(table, classes, width, (512, 512, 512), (0, 0, dropout))
