"""ResNet18 (He et al. 2016), torchvision's, with the ImageNet stem or the one usual for CIFAR.

For RGB and 10 classes: 11,181,642 parameters with the ImageNet stem (7x7 convolution of stride 2, max pool), which
leaves 1x1 maps in layer4 at 32x32; 11,173,962 with the CIFAR stem (3x3 convolution of stride 1, no pool).
"""

from typing import TYPE_CHECKING, Literal

from weight_atlas.networks.table import Table, scaled

if TYPE_CHECKING:
    from torch import nn

MIN_SIZE = 1


def published(*, stem: str) -> tuple[str, list[str] | None] | None:
    """Whose ImageNet weights fit, and for which layers: torchvision's own, with its own stem."""
    return ("resnet18", None) if stem == "imagenet" else None


def layers(table: Table, classes: int, *, width: float = 1.0, stem: Literal["imagenet", "cifar"] = "imagenet") -> None:
    """The stem, four stages of two basic blocks with 64, 128, 256 and 512 channels, global average, linear."""
    if stem == "imagenet":
        table.conv("conv1", scaled(64, width), 7, stride=2, padding=3, bias=False)
    else:
        table.conv("conv1", scaled(64, width), 3, padding=1, bias=False)
    table.batchnorm("bn1")
    x = table.relu("relu")
    if stem == "imagenet":
        x = table.maxpool("maxpool", 3, stride=2, padding=1)
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _block(table, f"layer{stage}.{block}", x, scaled(channels, width), stride)
    table.adaptive_avgpool("avgpool", 1)
    table.flatten("flatten")
    table.linear("fc", classes)


def _block(table: Table, name: str, x: str, channels: int, stride: int) -> str:
    """torchvision's BasicBlock, whose one ReLU module runs twice; a stride gives the skip a 1x1 convolution."""
    table.conv(f"{name}.conv1", channels, 3, stride=stride, padding=1, bias=False, input=x)
    table.batchnorm(f"{name}.bn1")
    table.relu(f"{name}.relu")
    table.conv(f"{name}.conv2", channels, 3, padding=1, bias=False)
    residual = table.batchnorm(f"{name}.bn2")
    if stride != 1:
        table.conv(f"{name}.downsample.0", channels, 1, stride=stride, bias=False, input=x)
        x = table.batchnorm(f"{name}.downsample.1")
    table.add(f"{name}.add", residual, x)
    return table.relu(f"{name}.relu2")


def skeleton(classes: int, *, stem: str = "imagenet") -> "nn.Module":
    """torchvision's resnet18; with the CIFAR stem without its max pool."""
    from torch import nn
    from torchvision.models import resnet18

    model: nn.Module = resnet18(num_classes=classes)
    if stem == "cifar":
        model.maxpool = nn.Identity()
    return model
