"""The parts that the VGG networks (Simonyan and Zisserman 2015) share, under torchvision's names."""

from collections.abc import Sequence

from weight_atlas.networks.table import Table, scaled


def features(table: Table, plan: Sequence[int | str], width: float, batchnorm: bool) -> None:
    """3x3 convolutions of padding 1, each with BatchNorm (if asked for) and ReLU; "M" in the plan is a 2x2 max pool.

    The rows are named features.0, features.1, .. as torchvision numbers them.
    """
    index = 0
    for step in plan:
        if isinstance(step, str):
            table.maxpool(f"features.{index}", 2)
            index += 1
            continue
        table.conv(f"features.{index}", scaled(step, width), 3, padding=1)
        if batchnorm:
            table.batchnorm(f"features.{index + 1}")
        table.relu(f"features.{index + 1 + batchnorm}")
        index += 2 + batchnorm


def classifier(table: Table, classes: int, width: float, pool: int) -> None:
    """Average pool to a pool x pool map, then linear 4096 - 4096 - classes with ReLU and dropout 0.5."""
    table.adaptive_avgpool("avgpool", pool)
    table.flatten("flatten")
    for index in (0, 3):
        table.linear(f"classifier.{index}", scaled(4096, width))
        table.relu(f"classifier.{index + 1}")
        table.dropout(f"classifier.{index + 2}", 0.5)
    table.linear("classifier.6", classes)
