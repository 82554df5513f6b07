"""VGG11 with BatchNorm for 32x32 images: torchvision's features, then linear 512-4096-4096-classes.

28,149,514 parameters with 10 classes. At 32x32 the features end in a 1x1 map; of larger images the map's average is
taken, so that the classifier stays the same.
"""

from typing import TYPE_CHECKING

from weight_atlas.networks.architectures import _vgg
from weight_atlas.networks.table import Table

if TYPE_CHECKING:
    from torch import nn

MIN_SIZE = 32
PLAN = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")  # torchvision.models.vgg, configuration A


def published() -> tuple[str, list[str] | None]:
    """Whose ImageNet weights fit, and for which layers: torchvision's own, whose classifier reads a larger map."""
    return "vgg11_bn", ["features"]


def layers(table: Table, classes: int, *, width: float = 1.0) -> None:
    """Eight convolutions with BatchNorm and ReLU, five max pools, three linear layers with dropout 0.5."""
    _vgg.features(table, PLAN, width, batchnorm=True)
    _vgg.classifier(table, classes, width, pool=1)


def skeleton(classes: int) -> "nn.Module":
    """torchvision's vgg11_bn, its average pool made one to 1x1."""
    from torch import nn
    from torchvision.models import vgg11_bn

    model: nn.Module = vgg11_bn(num_classes=classes, init_weights=False)
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    return model
