"""Mean, spread, range and norm of every parameter and buffer of a snapshot."""

import math
from typing import NamedTuple

import torch

from weight_atlas.analysis.kernels.interface import Kernels
from weight_atlas.analysis.kernels.select import kernels_for
from weight_atlas.analysis.measure import CourseMeasure, Replicate, Snapshot
from weight_atlas.analysis.types import Readable, Row, Rows
from weight_atlas.networks.table import Table


class Statistics(CourseMeasure):
    """The statistics of every snapshot."""

    name = "statistics"
    tables = ("statistics",)

    def __init__(self, replicate: Replicate) -> None:
        super().__init__(replicate)
        self.statistics: list[Row] = []

    def see(self, snapshot: Snapshot) -> None:
        self.statistics += [(snapshot.epoch, *row) for row in snapshot.statistics]

    def rows(self) -> Rows:
        return {"statistics": self.statistics}


class Moments(NamedTuple):
    """Mean, population standard deviation, smallest and largest value, range and Euclidean norm of a tensor."""

    mean: float
    std: float
    min: float
    max: float
    range: float
    norm: float


def names(table: Table) -> list[tuple[str, str]]:
    """(layer name, parameter name) of all parameters and running statistics, layer by layer, parameters first.

    num_batches_tracked, a counter, is left out.
    """
    return [
        (layer.name, name)
        for layer in table.layers
        for name in (*layer.parameters, *layer.buffers)
        if name != "num_batches_tracked"
    ]


def rows(table: Table, tensors: Readable) -> list[tuple[str, str, int, float, float, float, float, float, float]]:
    """Describe each tensor of a snapshot.

    Parameters
    ----------
    table : Table
        The network's layer table.
    tensors : dict of float32 tensors
        The snapshot, by torch names.

    Returns
    -------
    list of (layer, parameter, size, mean, std, min, max, range, norm)

    Raises
    ------
    ValueError
        Where the snapshot lacks a tensor of the table.
    """
    kernels = kernels_for(table.parameter_count)
    described = []
    for layer, name in names(table):
        full = table[layer].tensor(name)
        if full not in tensors:
            raise ValueError(f"{full} is in the layer table but not in the snapshot; train the cell again")
        tensor = tensors[full]
        described.append((layer, name, tensor.numel(), *moments(tensor, kernels)))
    return described


def moments(tensor: torch.Tensor, kernels: Kernels | None = None) -> Moments:
    """The moments of a tensor's values; all of them are NaN where a value is.

    kernels: what sums them (default: chosen by the size). Sums are float64, and a constant tensor has a standard
    deviation of exactly 0.
    """
    sums = (kernels or kernels_for(tensor.numel())).moments(tensor)
    if math.isnan(sums.squares):
        return Moments(*[math.nan] * 6)
    std = math.sqrt(sums.squared_deviations / tensor.numel())
    return Moments(sums.mean, std, sums.min, sums.max, sums.max - sums.min, math.sqrt(sums.squares))
