"""VGG16 without BatchNorm, torchvision's, or the head on its first three or four blocks of convolutions.

138,357,544 parameters with ImageNet's 1000 classes, 135,309,376 with 256. With `blocks: 3` or `4` the features end
after so many max pools (at 224x224 in 256 x 28 x 28 or 512 x 14 x 14 values), and linear 1024 - classes follows. The
convolutions keep torchvision's names and shapes, so that the weights that it publishes for VGG16 fit.
"""

from typing import Literal

from weight_atlas.networks.architectures import _vgg
from weight_atlas.networks.architectures._dense import dense
from weight_atlas.networks.table import Table

MIN_SIZE = 32
BLOCKS = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
PLAN = tuple(step for block in BLOCKS for step in (*block, "M"))  # torchvision.models.vgg, configuration D


def published(**_: object) -> tuple[str, list[str] | None]:
    """Whose ImageNet weights fit, and for which layers: torchvision's own, for all but a head of this file's."""
    return "vgg16", ["features", "classifier"]


def layers(table: Table, classes: int, *, width: float = 1.0, blocks: Literal[3, 4, 5] = 5) -> None:
    """Thirteen convolutions with ReLU, five max pools, three linear layers with dropout 0.5; or fewer of them."""
    if blocks == 5:
        _vgg.features(table, PLAN, width, batchnorm=False)
        _vgg.classifier(table, classes, width, pool=7)
    else:
        plan = [step for block in BLOCKS[:blocks] for step in (*block, "M")]
        _vgg.features(table, plan, width, batchnorm=False)
        dense(table, classes, width, (1024,))
