"""The dense end that several networks share."""

from collections.abc import Sequence

from weight_atlas.networks.table import Table, scaled


def dense(
    table: Table, classes: int, width: float, units: Sequence[int], dropouts: Sequence[float] | None = None
) -> None:
    """Flatten, a linear layer with ReLU and dropout for each of `units` (fc1, fc2, ..), then linear to the classes.

    dropouts: the probability after each of `units`; 0 leaves that dropout out, None all of them.
    """
    table.flatten("flatten")
    for number, (features, dropout) in enumerate(zip(units, dropouts or [0] * len(units), strict=True), start=1):
        if features < 1:
            raise ValueError(f"layer 'fc{number}' (Linear): has {features} units; allowed: 1 or more")
        table.linear(f"fc{number}", scaled(features, width))
        table.relu(f"fc{number}_relu")
        if dropout:
            table.dropout(f"fc{number}_dropout", dropout)
    table.linear(f"fc{len(units) + 1}", classes)
