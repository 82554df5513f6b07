"""How many of a network's parameters training can move on their own: a closed form, from the layer table alone."""

import math
from typing import NamedTuple

from weight_atlas.analysis.measure import CellMeasure, Network
from weight_atlas.analysis.types import Row, Rows
from weight_atlas.cell_table import GroupedCell
from weight_atlas.networks.table import Table


class Parameters(CellMeasure):
    """The parameters of every cell's network."""

    name = "parameters"
    tables = ("parameters",)

    def __init__(self) -> None:
        self.parameters: list[Row] = []

    def see(self, cell: GroupedCell, network: Network) -> None:
        self.parameters += [(cell["cell_id"], *row) for row in rows(network.table)]

    def rows(self) -> Rows:
        return {"parameters": self.parameters}


class ParameterCounts(NamedTuple):
    """The counts of one learnable parameter, or of ("total", "all").

    structural: weights of convolution taps that only ever meet their own zero padding (`Table.structural`); tied:
    weights whose gradient always equals another's (`Table.tied`); effective = size - structural - tied.
    """

    layer: str
    parameter: str
    size: int
    structural: int
    tied: int
    effective: int


def rows(table: Table) -> list[ParameterCounts]:
    """Count each learnable parameter of a layer table, then all of them."""
    counts = []
    for layer in table.layers:
        for name, shape in layer.parameters.items():
            size = math.prod(shape)
            structural, tied = (
                (table.padding_weight_count(layer), table.tied_weight_count(layer)) if name == "weight" else (0, 0)
            )
            counts.append(ParameterCounts(layer.name, name, size, structural, tied, size - structural - tied))
    totals = (sum(column) for column in zip(*(row[2:] for row in counts), strict=True))
    return [*counts, ParameterCounts("total", "all", *totals)]
