"""Where a network that was perturbed and trained again ends: its distance and angle to three other points, by layer."""

from weight_atlas.analysis.kernels import vectors
from weight_atlas.analysis.weights import movement


def rows(table, original, start, end, control=None):
    """(layer, pair, size, changed, norm_a, norm_b, distance, cosine, relative) of each pair of points a, b.

    table: the network's layer table; the points are snapshots, {torch name: float32 tensor}. Pairs:
    - perturbation: the original and the start, which is the original perturbed;
    - original: the original and the end, after training from the start;
    - moved: the start and the end;
    - control: the end of the control of the same order (the original trained again in the same way, unperturbed), and
      the end. There is none where `control` is None.
    A layer's row takes its weight and bias as one vector, "total" all learnable parameters; buffers do not count.
    changed counts the parameters that are not equal; the rest is what `weight_atlas.analysis.weights.movement` says.
    """
    pairs = {"perturbation": (original, start), "original": (original, end), "moved": (start, end)}
    if control is not None:
        pairs["control"] = (control, end)
    found = []
    for pair, (a, b) in pairs.items():
        for (layer, *geometry), (size, changed) in zip(movement.rows(table, a, b), changes(table, a, b), strict=True):
            found.append((layer, pair, size, changed, *geometry))
    return found


def changes(table, a, b):
    """(parameters, how many of them differ) of each layer with parameters, then of all."""
    found, by = [], vectors.chosen(table.parameter_count)
    for layer in table.layers:
        if layer.parameters:
            full = [f"{layer.name}.{name}" for name in layer.parameters]
            found.append((layer.parameter_count, sum(by.differing(a[name], b[name]) for name in full)))
    return [*found, tuple(sum(column) for column in zip(*found, strict=True))]
