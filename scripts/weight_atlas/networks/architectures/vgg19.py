"""VGG19 without BatchNorm, torchvision's: 139,611,210 parameters with 10 classes, 143,667,240 with ImageNet's 1000.

torchvision's average pool to 7x7 is kept: of a 32x32 picture it copies the one pixel that is left 49 times.
"""

from weight_atlas.networks.architectures import _vgg

MINIMUM = 32
PLAN = (64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M")  # configuration E


def published():
    """Whose ImageNet weights fit, and for which layers: torchvision's own, for all."""
    return "vgg19", None


def layers(table, classes, *, width=1.0):
    """Sixteen convolutions with ReLU, five max pools, three linear layers with dropout 0.5."""
    _vgg.features(table, PLAN, width, batchnorm=False)
    _vgg.classifier(table, classes, width, pool=7)


def skeleton(classes):
    """torchvision's vgg19."""
    from torchvision.models import vgg19

    return vgg19(num_classes=classes, init_weights=False)
