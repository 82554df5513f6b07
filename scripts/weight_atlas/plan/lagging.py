"""Networks whose BatchNorms are evaluated by statistics that still hold much of their start."""

from weight_atlas.plan.cell import Cell
from weight_atlas.plan.cost import step_count
from weight_atlas.plan.study import Plan

USUAL = 0.1  # torch's momentum, by which nothing of a start is left after some dozens of steps
MUCH = 0.05  # share of the start in a running mean, above which a user should look


def lines(plan: Plan) -> list[str]:
    """A warning per network and number of steps, for cells that train it from drawn weights."""
    found = {}
    for cell in plan.cells.values():
        if cell.kind != "given" and cell.is_known and cell.settings.start.is_drawn and (kept := share(cell)) > MUCH:
            found[cell.settings.network.architecture, step_count(cell)] = kept
    return [
        f"warning: {architecture}: after its {count:,} steps the running statistics of BatchNorms are still "
        f"{kept * 100:.0f} % those of the start, and validation and test go by them; train for more steps (more epochs "
        "or images, smaller batches)"
        for (architecture, count), kept in sorted(found.items())
    ]


def share(cell: Cell) -> float:
    """The share of the start that the slowest running mean keeps: (1 - momentum)^steps; 0 by torch's usual momentum."""
    momenta = [layer.options.get("momentum", USUAL) for layer in cell.table.layers if layer.buffers]
    slowest = min((float(one) for one in momenta if one is not None), default=1.0)
    return (1 - slowest) ** step_count(cell) if slowest < USUAL else 0.0
