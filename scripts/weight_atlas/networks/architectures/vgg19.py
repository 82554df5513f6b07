"""VGG19 without BatchNorm, torchvision's: 139,611,210 parameters with 10 classes, 143,667,240 with ImageNet's 1000.

torchvision's average pool to 7x7 is kept: of a 32x32 image it copies the one pixel that is left 49 times.
"""

from typing import TYPE_CHECKING

from weight_atlas.networks.architectures import _vgg
from weight_atlas.networks.table import Table

if TYPE_CHECKING:
    from torch import nn

MIN_SIZE = 32
# torchvision.models.vgg, configuration E
PLAN: tuple[int | str, ...] = (64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M")


def published() -> tuple[str, list[str] | None]:
    """Whose ImageNet weights fit, and for which layers: torchvision's own, for all."""
    return "vgg19", None


def layers(table: Table, classes: int, *, width: float = 1.0) -> None:
    """Sixteen convolutions with ReLU, five max pools, three linear layers with dropout 0.5."""
    _vgg.features(table, PLAN, width, batchnorm=False)
    _vgg.classifier(table, classes, width, pool=7)


def skeleton(classes: int) -> "nn.Module":
    """torchvision's vgg19."""
    from torchvision.models import vgg19

    model: nn.Module = vgg19(num_classes=classes, init_weights=False)
    return model
