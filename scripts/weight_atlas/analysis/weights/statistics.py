"""Mean, spread, range and norm of every parameter and buffer of a snapshot."""

import math

from weight_atlas.analysis.kernels import vectors


def names(table):
    """(layer name, parameter name) of all parameters and running statistics, layer by layer, parameters first.

    num_batches_tracked, a counter, is left out.
    """
    found = []
    for layer in table.layers:
        found += [(layer.name, name) for name in (*layer.parameters, *layer.buffers) if name != "num_batches_tracked"]
    return found


def rows(table, tensors):
    """(layer, parameter, size, mean, std, min, max, range, norm) of each tensor of a snapshot.

    table: the network's layer table; tensors: the snapshot, {torch name: float32 tensor}. Raises ValueError
    where the snapshot lacks a tensor of the table.
    """
    found, by = [], vectors.chosen(table.parameter_count)
    for layer, name in names(table):
        full = f"{layer}.{name}"
        if full not in tensors:
            raise ValueError(f"{full} is in the layer table but not in the snapshot; train the cell again")
        found.append((layer, name, tensors[full].numel(), *moments(tensors[full], by)))
    return found


def moments(tensor, by=None):
    """(mean, population standard deviation, min, max, range, Euclidean norm) of a tensor's values, as Python floats.

    by: what sums them (default: chosen by the size). Sums are float64, and a constant tensor has a standard deviation
    of exactly 0. Where a value is NaN, all six are NaN.
    """
    mean, deviation, square, low, high = (by or vectors.chosen(tensor.numel())).moments(tensor)
    if math.isnan(square):
        return (math.nan,) * 6
    return mean, math.sqrt(deviation / tensor.numel()), low, high, high - low, math.sqrt(square)
