"""How many parameters count as changed, from the start to the end, by how much they must differ for it."""

from typing import NamedTuple

import torch

from weight_atlas.analysis.kernels.interface import Kernels
from weight_atlas.analysis.kernels.select import kernels_for
from weight_atlas.analysis.types import Readable
from weight_atlas.networks.table import Table

ULP = (0, 1, 8, 64, 512, 4096)
RELATIVE = (0, *(float(f"1e-{digits}") for digits in range(6, 0, -1)))
ABSOLUTE = tuple(float(f"1e-{digits}") for digits in range(8, 0, -1))
CRITERIA: list[tuple[str, float]] = [
    (name, bound) for name, bounds in (("ulp", ULP), ("relative", RELATIVE), ("absolute", ABSOLUTE)) for bound in bounds
]


class ToleranceRow(NamedTuple):
    """How many of the `size` parameters of a layer, or of "total", differ by more than a tolerance."""

    layer: str
    criterion: str
    tolerance: float
    size: int
    changed: int


def rows(table: Table, start: Readable, last: Readable) -> list[ToleranceRow]:
    """Count each layer's parameters, weight and bias together, and "total", by each tolerance of CRITERIA.

    Counted are the parameters that differ by more than the tolerance:

    - ulp: by more than so many steps from one float32 to the next (0: not equal; 0.0 and -0.0 are equal);
    - relative: |last - start| > tolerance |start|, in float64;
    - absolute: |last - start| > tolerance, in float64.

    Parameters
    ----------
    table : Table
        The network's layer table.
    start, last : dict of float32 tensors
        Snapshots, by torch names.
    """
    kernels = kernels_for(table.parameter_count)
    counted: list[ToleranceRow] = []
    total, size = [0] * len(CRITERIA), 0
    for layer in table.layers:
        if layer.parameters:
            names = [layer.tensor(name) for name in layer.parameters]
            counts = [count(start[name], last[name], kernels) for name in names]
            changed = [sum(column) for column in zip(*counts, strict=True)]
            counted += _rows(layer.name, layer.parameter_count, changed)
            total = [sum(pair) for pair in zip(total, changed, strict=True)]
            size += layer.parameter_count
    return [*counted, *_rows("total", size, total)]


def count(start: torch.Tensor, last: torch.Tensor, kernels: Kernels | None = None) -> list[int]:
    """How many values of two float32 tensors of one shape differ by more than each tolerance of CRITERIA.

    kernels: what counts (default: chosen by their size).
    """
    counts = (kernels or kernels_for(start.numel())).beyond(start, last, ULP, RELATIVE[1:], ABSOLUTE)
    # By more than 0 of what it was is by more than 0 steps.
    return [*counts[: len(ULP)], counts[0], *counts[len(ULP) :]]


def _rows(layer: str, size: int, changed: list[int]) -> list[ToleranceRow]:
    return [
        ToleranceRow(layer, criterion, tolerance, size, number)
        for (criterion, tolerance), number in zip(CRITERIA, changed, strict=True)
    ]
