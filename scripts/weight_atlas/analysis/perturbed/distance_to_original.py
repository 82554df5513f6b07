"""Where a network that was perturbed and trained again ends: its distance and angle to three other points, by layer."""

from typing import NamedTuple

from weight_atlas.analysis.kernels.select import kernels_for
from weight_atlas.analysis.types import Tensors
from weight_atlas.analysis.weights import movement
from weight_atlas.networks.table import Table


class Difference(NamedTuple):
    """Two points a and b by layer, or "total". changed: the parameters, of `size`, that are not equal; the rest is what
    `weight_atlas.analysis.weights.movement` says."""

    layer: str
    pair: str
    size: int
    changed: int
    norm_a: float
    norm_b: float
    distance: float
    cosine: float
    relative: float


class ChangedCount(NamedTuple):
    """The number of parameters, and how many of them differ."""

    size: int
    changed: int


def rows(
    table: Table, original: Tensors, start: Tensors, end: Tensors, control: Tensors | None = None
) -> list[Difference]:
    """The differences of each pair of points.

    Pairs:

    - perturbation: the original and the start, which is the original perturbed;
    - original: the original and the end, after training from the start;
    - moved: the start and the end;
    - control: the end of the control of the same order (the original trained again in the same way, unperturbed), and
      the end. There is none where `control` is None.

    A layer's row takes its weight and bias as one vector, "total" all learnable parameters; buffers do not count.

    Parameters
    ----------
    table : Table
        The network's layer table.
    original, start, end, control : dict of float32 tensors
        Snapshots, by torch names.
    """
    pairs = {"perturbation": (original, start), "original": (original, end), "moved": (start, end)}
    if control is not None:
        pairs["control"] = (control, end)
    differences = []
    for pair, (a, b) in pairs.items():
        for moved, counts in zip(movement.rows(table, a, b), changes(table, a, b), strict=True):
            differences.append(Difference(moved.layer, pair, *counts, *moved[1:]))
    return differences


def changes(table: Table, a: Tensors, b: Tensors) -> list[ChangedCount]:
    """How many parameters differ, of each layer with parameters, then of all."""
    kernels, counts = kernels_for(table.parameter_count), []
    for layer in table.layers:
        if layer.parameters:
            names = [layer.tensor(name) for name in layer.parameters]
            changed = sum(kernels.differing(a[name], b[name]) for name in names)
            counts.append(ChangedCount(layer.parameter_count, changed))
    return [*counts, ChangedCount(sum(row.size for row in counts), sum(row.changed for row in counts))]
