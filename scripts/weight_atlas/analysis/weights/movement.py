"""How far the parameters moved between two snapshots: distance, angle and relative distance, layer by layer."""

import math
from typing import NamedTuple

import torch

from weight_atlas.analysis.kernels.interface import Kernels, Products
from weight_atlas.analysis.kernels.select import kernels_for
from weight_atlas.analysis.measure import CourseMeasure, Replicate, Snapshot
from weight_atlas.analysis.types import Readable, Row, Rows
from weight_atlas.networks.table import Table


class Movement(CourseMeasure):
    """Movement from each snapshot to the next and from the first, up to the last snapshot with finite values."""

    name = "movement"
    tables = ("movement",)

    def __init__(self, replicate: Replicate) -> None:
        super().__init__(replicate)
        self.movement: list[Row] = []
        self.start: Snapshot | None = None
        self.previous: Snapshot | None = None
        self.finite = True

    def see(self, snapshot: Snapshot) -> None:
        self.finite = self.finite and snapshot.finite
        if self.finite and self.start is not None and self.previous is not None:
            table = self.replicate.table
            consecutive = rows(table, self.previous.tensors, snapshot.tensors)
            from_start = consecutive
            if self.previous is not self.start:
                from_start = rows(table, self.start.tensors, snapshot.tensors)
            for interval, since, moved in (
                ("consecutive", self.previous, consecutive),
                ("start", self.start, from_start),
            ):
                self.movement += [(row.layer, since.epoch, snapshot.epoch, interval, *row[1:]) for row in moved]
        self.start, self.previous = self.start or snapshot, snapshot

    def rows(self) -> Rows:
        return {"movement": self.movement}


class Geometry(NamedTuple):
    """The norms of two vectors, their distance, the cosine of their angle, and distance / norm_from."""

    norm_from: float
    norm_to: float
    distance: float
    cosine: float
    relative: float


class LayerMovement(NamedTuple):
    """The `Geometry` of a layer, or of "total", between two snapshots."""

    layer: str
    norm_from: float
    norm_to: float
    distance: float
    cosine: float
    relative: float


def rows(table: Table, before: Readable, after: Readable) -> list[LayerMovement]:
    """The movement of each layer with parameters, then of "total".

    A layer's weight and bias count as one vector, "total" is all learnable parameters; buffers do not count.

    Parameters
    ----------
    table : Table
        The network's layer table.
    before, after : dict of float32 tensors
        Snapshots, by torch names.
    """
    kernels = kernels_for(table.parameter_count)
    moved = []
    total = [0.0] * 4
    for layer in table.layers:
        if layer.parameters:
            names = [layer.tensor(name) for name in layer.parameters]
            products = [sums(before[name], after[name], kernels) for name in names]
            layer_sums = [math.fsum(column) for column in zip(*products, strict=True)]
            total = [sum(pair) for pair in zip(total, layer_sums, strict=True)]
            moved.append(LayerMovement(layer.name, *geometry(Products(*layer_sums))))
    return [*moved, LayerMovement("total", *geometry(Products(*total)))]


def sums(before: torch.Tensor, after: torch.Tensor, kernels: Kernels | None = None) -> Products:
    """(before . before, after . after, before . after, |after - before|^2) of two tensors of one shape.

    kernels: what sums them (default: chosen by their size). Sums are float64; the difference is that of the float64
    values, so it is exact for float32 input.
    """
    return (kernels or kernels_for(before.numel())).products(before, after)


def geometry(sums: Products) -> Geometry:
    """Norms, distance and angle of two vectors; cosine and relative are NaN where a norm that they divide by is 0."""
    norm_from, norm_to, distance = math.sqrt(sums.a_a), math.sqrt(sums.b_b), math.sqrt(sums.squared_distance)
    both = norm_from * norm_to
    cosine = max(-1.0, min(1.0, sums.a_b / both)) if both > 0 else math.nan
    return Geometry(norm_from, norm_to, distance, cosine, distance / norm_from if norm_from > 0 else math.nan)
