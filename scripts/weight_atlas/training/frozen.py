"""What stays the same while some layers of a network are frozen. It imports no torch."""

from weight_atlas.networks.foreign import TracedTable
from weight_atlas.networks.table import Table
from weight_atlas.settings import Training


def fixed_layers(table: Table, frozen: list[str], training: Training) -> list[str]:
    """The names of the layers that stay in evaluation mode while the layers `frozen` are.

    Those are the frozen BatchNorms, whose statistics thus stay fixed (unless `frozen_batchnorm` is "batch"), and, where
    `frozen_dropout` is off, each dropout that comes before the first weight layer that learns.
    """
    fixed = training.frozen_batchnorm == "fixed"
    names = [name for name in frozen if fixed or not table[name].is_batchnorm]
    if frozen and not training.frozen_dropout:
        first = next(layer for layer in table.weight_layers if layer.name not in frozen)
        before = table.layers[: table.layers.index(first)]
        names += [layer.name for layer in before if layer.kind == "Dropout"]
    return names


def same_rows(table: Table, frozen: list[str], training: Training) -> int:
    """How many rows of the table, from the first one, make the same of an image whenever they see it, so that what the
    last of them makes is all that the others need; 0 where there are none.

    Such a row has no parameter that learns, and no dropout or statistics of a batch that change it. Of a traced network
    no rows can be run alone.
    """
    if isinstance(table, TracedTable):
        return 0
    fixed = fixed_layers(table, frozen, training)
    names = [layer.name for layer in table.layers]
    can_change = [bool(layer.parameters) or layer.kind == "Dropout" for layer in table.layers]
    changing = [row for row, name in enumerate(names) if can_change[row] and name not in fixed]
    for count in range(min(changing, default=0), 0, -1):
        earlier = {"input", *names[: count - 1]}
        if not any(earlier.intersection(layer.inputs) for layer in table.layers[count:]):
            return count
    return 0


def constant(table: Table, training: Training) -> list[str]:
    """Torch names of the tensors that are bit by bit those of the start in every snapshot: those of the layers that all
    stages freeze, running statistics included where these are fixed."""
    stages = [set(table.select(stage.frozen)) for stage in training.stages]
    rows = [table[name] for name in table.select(None) if all(name in frozen for frozen in stages)]
    fixed = training.frozen_batchnorm == "fixed"
    return [row.tensor(name) for row in rows for name in (*row.parameters, *(row.buffers if fixed else ()))]
