"""Mean, spread, range and norm of every parameter and buffer of a snapshot."""

import math

import torch

# Values that are converted to float64 at once: 8 MB, so that a large vector never has a float64 copy.
CHUNK = 1 << 20


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
    found = []
    for layer, name in names(table):
        full = f"{layer}.{name}"
        if full not in tensors:
            raise ValueError(f"{full} is in the layer table but not in the snapshot; train the cell again")
        found.append((layer, name, tensors[full].numel(), *moments(tensors[full])))
    return found


def moments(tensor):
    """(mean, population standard deviation, min, max, range, Euclidean norm) of a tensor's values, as Python floats.

    Sums are float64, in chunks that are joined by the pairwise update of Chan, Golub and LeVeque (1983), "Algorithms
    for computing the sample variance". Values are taken relative to the first one, so that a constant tensor has a
    standard deviation of exactly 0. Where a value is NaN, all six are NaN.
    """
    flat = tensor.reshape(-1)
    low, high = (float(value) for value in torch.aminmax(flat))
    origin = float(flat[0])
    count, mean, deviation, square = 0, 0.0, 0.0, 0.0
    for chunk in flat.split(CHUNK):
        values = chunk.double()
        square += float(values.dot(values))
        values = values - origin
        part = float(values.mean())
        values -= part
        both = count + len(values)
        deviation += float(values.dot(values)) + (part - mean) ** 2 * count * len(values) / both
        mean += (part - mean) * len(values) / both
        count = both
    return origin + mean, math.sqrt(deviation / count), low, high, high - low, math.sqrt(square)
