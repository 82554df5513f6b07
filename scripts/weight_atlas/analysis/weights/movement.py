"""How far the parameters moved between two snapshots: distance, angle and relative distance, layer by layer."""

import math

from weight_atlas.analysis.kernels import vectors


def rows(table, before, after):
    """(layer, norm_from, norm_to, distance, cosine, relative) of each layer with parameters, then of "total".

    table: the network's layer table; before, after: snapshots, {torch name: float32 tensor}. A layer's row takes its
    weight and bias as one vector, "total" all learnable parameters; buffers do not count. relative is distance /
    norm_from; cosine and relative are NaN (undefined) where a vector that they divide by is zero.
    """
    found, total, by = [], [0.0] * 4, vectors.chosen(table.parameter_count)
    for layer in table.layers:
        if layer.parameters:
            full = [f"{layer.name}.{name}" for name in layer.parameters]
            parts = [sums(before[name], after[name], by) for name in full]
            parts = [math.fsum(column) for column in zip(*parts, strict=True)]
            total = [sum(pair) for pair in zip(total, parts, strict=True)]
            found.append((layer.name, *geometry(*parts)))
    return [*found, ("total", *geometry(*total))]


def sums(before, after, by=None):
    """(before . before, after . after, before . after, |after - before|^2) of two tensors of one shape.

    by: what sums them (default: chosen by their size). Sums are float64; the difference is that of the float64 values,
    so it is exact for float32 input.
    """
    return (by or vectors.chosen(before.numel())).products(before, after)


def geometry(old, new, dot, step):
    """(norm_from, norm_to, distance, cosine, relative) from the four sums of `sums`."""
    norm_from, norm_to, distance = math.sqrt(old), math.sqrt(new), math.sqrt(step)
    both = norm_from * norm_to
    cosine = max(-1.0, min(1.0, dot / both)) if both > 0 else math.nan
    return norm_from, norm_to, distance, cosine, distance / norm_from if norm_from > 0 else math.nan
