"""Networks whose BatchNorms are evaluated by statistics that still hold much of their start."""

import math

from weight_atlas.plan.cell import Cell
from weight_atlas.plan.study import Plan

USUAL = 0.1  # torch's momentum, by which nothing of a start is left after some dozens of steps
MUCH = 0.05  # share of the start in a running mean, above which a user should look


def lines(plan: Plan) -> list[str]:
    """A warning per network and number of steps, for cells that train it from drawn weights."""
    found = {}
    for cell in plan.cells.values():
        if _is_known(cell) and cell.settings.start.is_drawn and (kept := share(cell)) > MUCH:
            found[cell.settings.network.architecture, steps(cell)] = kept
    return [
        f"warning: {architecture}: after its {count:,} steps the running statistics of BatchNorms are still "
        f"{kept * 100:.0f} % those of the start, and validation and test go by them; train for more steps (more epochs "
        "or images, smaller batches)"
        for (architecture, count), kept in sorted(found.items())
    ]


def _is_known(cell: Cell) -> bool:
    """Whether it is trained, on images whose number is known."""
    return cell.kind != "given" and cell.trained_on.known


def steps(cell: Cell) -> int:
    """How many steps a replicate trains for."""
    training = cell.settings.training
    images = cell.trained_on.facts["counts"]["train"] * len(training.copies or [1])
    return math.ceil(images / training.batch_size) * training.epochs


def share(cell: Cell) -> float:
    """The share of the start that the slowest running mean keeps: (1 - momentum)^steps; 0 by torch's usual momentum."""
    momenta = [layer.options.get("momentum", USUAL) for layer in cell.table.layers if layer.buffers]
    slowest = min((float(one) for one in momenta if one is not None), default=1.0)
    return (1 - slowest) ** steps(cell) if slowest < USUAL else 0.0
