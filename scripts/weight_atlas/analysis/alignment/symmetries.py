"""The tables on symmetries: those of each network whose weights are perturbed, and what they do to small networks."""

from weight_atlas.analysis.alignment import facts
from weight_atlas.analysis.measure import CellMeasure, Network
from weight_atlas.analysis.types import Row, Rows
from weight_atlas.cell_table import GroupedCell
from weight_atlas.networks import symmetry


class Symmetries(CellMeasure):
    """The symmetries of every cell's network that others start from, perturbed."""

    name = "symmetries"
    tables = ("symmetries",)

    def __init__(self) -> None:
        self.symmetries: list[Row] = []

    def see(self, cell: GroupedCell, network: Network) -> None:
        if cell["cell_id"] in {child.parent for child in network.children.values()}:
            self.symmetries += [(cell["cell_id"], *row) for row in symmetry.rows(network.table)]

    def rows(self) -> Rows:
        return {"symmetries": self.symmetries}


class Facts(CellMeasure):
    """The facts on small networks, where a cell was perturbed."""

    name = "facts"
    tables = ("facts",)

    def __init__(self) -> None:
        self.perturbed = False

    def see(self, cell: GroupedCell, network: Network) -> None:
        self.perturbed = self.perturbed or bool(network.children)

    def rows(self) -> Rows:
        return {"facts": [*facts.rows()] if self.perturbed else []}
