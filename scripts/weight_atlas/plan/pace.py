"""How long trainings take here: as estimated, times how much longer those took that were done here."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from weight_atlas import store
from weight_atlas.plan import cost
from weight_atlas.plan.cell import Cell
from weight_atlas.plan.study import Plan

PATH = Path(".snakemake/atlas/pace.json")  # below the plan's root, by device and architecture
ALL = ""  # stands for all architectures
LEAST = 5.0  # expected seconds of what is measured; of less, pauses and starts are the most
FORKED = 0.7  # seconds that a job takes beside its training where it is a fork (benchmarks/tiny_cells.py)

Paces = Mapping[str, float]  # how many times longer than expected, by architecture and for ALL


class Pace:
    """The expected seconds of trainings; of architectures that were never trained here as of all that were."""

    def __init__(self, plan: Plan, measured: Paces | None = None) -> None:
        """measured: the paces of a run, which count before those of earlier ones."""
        self._plan = plan
        self.start = FORKED if plan.config.preload and sys.platform == "linux" else cost.START
        self._paces = measured or _read(plan.root / PATH).get(plan.config.device, {})

    @property
    def is_measured(self) -> bool:
        """Whether trainings were done here."""
        return bool(self._paces)

    def replicate(self, cell: Cell) -> float:
        """The expected seconds of a replicate, without the start of its job."""
        return expected(self._plan, cell) * self._times(cell)

    def job(self, cell: Cell, need: cost.Need) -> float:
        """The expected seconds of a job that trains, whose need is this one."""
        return self.start + (need.seconds - cost.START) * self._times(cell)

    def _times(self, cell: Cell) -> float:
        """How many times longer than expected."""
        return self._paces.get(cell.architecture, self._paces.get(ALL, 1.0))


def expected(plan: Plan, cell: Cell) -> float:
    """The seconds of a replicate by its cost alone."""
    return cost.need(cell, 1, plan.config.device).seconds - cost.START


def remember(plan: Plan, measured: Paces) -> None:
    """Keep the paces of a run for the next estimates."""
    known = _read(plan.root / PATH)
    paces = known.get(plan.config.device, {}) | dict(measured)
    if paces and known.get(plan.config.device) != paces:
        with suppress(OSError):  # a full disk stops no run here
            store.write_json(plan.root / PATH, known | {plan.config.device: paces})


def _read(path: Path) -> dict[str, dict[str, float]]:
    with suppress(OSError, ValueError, TypeError, AttributeError):  # none yet, or not ours
        known = store.read_json(path)
        return {
            device: {name: float(pace) for name, pace in paces.items() if pace > 0} for device, paces in known.items()
        }
    return {}
