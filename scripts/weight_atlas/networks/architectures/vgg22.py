"""VGG22: VGG19's convolutions and a dense end of its own: 20,461,194 parameters for RGB and 10 classes.

It has 22 layers with weights: 16 convolutions, a BatchNorm and five linear layers. The convolutions have torchvision's
names and shapes, so that the weights that it publishes for VGG19 fit. Keras counts 20,462,218, with the running
statistics. `keras_batchnorm` is Keras's epsilon 0.001 and momentum 0.99 (in torch's words 0.01; torch's own are 0.00001
and 0.1): evaluation, which uses the running statistics, then needs some hundred steps to be of use.
"""

from weight_atlas.networks.architectures import _vgg
from weight_atlas.networks.architectures._dense import dense
from weight_atlas.networks.architectures.vgg19 import PLAN
from weight_atlas.networks.table import Table

MIN_SIZE = 32


def published(**_: object) -> tuple[str, list[str] | None]:
    """Whose ImageNet weights fit, and for which layers: torchvision's VGG19, for the convolutions."""
    return "vgg19", ["features"]


def layers(
    table: Table,
    classes: int,
    *,
    width: float = 1.0,
    fc1: int = 512,
    fc2: int = 256,
    fc3: int = 128,
    fc4: int = 64,
    dropout_features: float = 0.5,
    dropout: float = 0.3,
    keras_batchnorm: bool = False,
) -> None:
    """VGG19's features, BatchNorm, global average, dropout, four linear layers with ReLU and dropout, linear."""
    _vgg.features(table, PLAN, width, batchnorm=False)
    table.batchnorm("norm", keras=keras_batchnorm)
    table.adaptive_avgpool("avgpool", 1)
    if dropout_features:
        table.dropout("dropout", dropout_features)
    dense(table, classes, width, (fc1, fc2, fc3, fc4), [dropout] * 4)
