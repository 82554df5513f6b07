"""How many of a network's parameters training can move on their own: a closed form, from the layer table alone."""

import math


def rows(table):
    """(layer, parameter, size, structural, tied, effective) of each learnable parameter, then of ("total", "all").

    structural: weights of convolution taps that only ever meet their own zero padding
    (`Table.padding_weight_count`); tied: weights whose gradient always equals another's
    (`Table.tied_weight_count`); effective = size - structural - tied. No torch.
    """
    found = []
    for layer in table.layers:
        for name, shape in layer.parameters.items():
            size = math.prod(shape)
            padded, tied = (
                (table.padding_weight_count(layer), table.tied_weight_count(layer)) if name == "weight" else (0, 0)
            )
            found.append((layer.name, name, size, padded, tied, size - padded - tied))
    return [*found, ("total", "all", *(sum(column) for column in list(zip(*found, strict=True))[2:]))]
