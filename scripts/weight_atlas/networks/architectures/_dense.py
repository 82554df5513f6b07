"""The dense end that several networks share."""

from weight_atlas.networks.table import scaled


def dense(table, classes, width, units, dropouts=None):
    """Flatten, a linear layer with ReLU and dropout for each of `units` (fc1, fc2, ..), then linear to the classes.

    dropouts: a probability for each of `units`; where it is 0, or without dropouts, there is no such layer.
    """
    table.flatten("flatten")
    for number, (many, dropout) in enumerate(zip(units, dropouts or [0] * len(units), strict=True), start=1):
        if many < 1:
            raise ValueError(f"layer 'fc{number}' (Linear): has {many} units; allowed: 1 or more")
        table.linear(f"fc{number}", scaled(many, width))
        table.relu(f"fc{number}_relu")
        if dropout:
            table.dropout(f"fc{number}_dropout", dropout)
    table.linear(f"fc{len(units) + 1}", classes)
