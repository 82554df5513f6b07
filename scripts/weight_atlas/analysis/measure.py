"""What a measure is: what it sees of the cells of a group, and the rows of its tables.

`weight_atlas.analysis.group` walks over the cells, their replicates and their snapshots once, and hands each to the
measures of `weight_atlas.analysis.measures`. There are three kinds, by what they see:

- CellMeasure: every cell, also one of which no replicate finished; made once per group;
- CourseMeasure: every snapshot of a replicate, in order; made anew for each replicate;
- ModelMeasure: the last snapshot of every finished replicate; made anew for each network. What compares models with one
  another does so in `rows`, when it has seen them all.

A measure has a name, by which a config asks for it (`weight_atlas.plan.measures`), states which tables it writes
(`tables`), is handed what it wants to see (`see`), and returns its rows at the end (`rows`).

A measure that raises costs no other: what it was shown then is left out of this measure alone, and its rows of all else
stand. So `see` keeps what it finds in its last step, and keeps nothing where it raises. A CourseMeasure that raises has
no rows of that replicate, and where `rows` or `tensors` raises the measure has none of all that it saw. The table
`faults` lists what was left out.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch

from weight_atlas import starts, store
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.features import activations, feature_correlations
from weight_atlas.analysis.features.activations import Model
from weight_atlas.analysis.types import Key, Readable, Record, Row, Rows, Tensors
from weight_atlas.cell_table import Child, GroupedCell
from weight_atlas.networks.table import Table
from weight_atlas.plan.measures import MEASURES, MeasureName, Taken


@dataclass(frozen=True)
class Network:
    """The cells of a group that share a layer table.

    cells: by their ids; children: those that were perturbed and their controls, by their ids; images: what measures
    show to the network, None without a data set; scratch: a folder for what waits on disk, gone at the end.
    """

    table: Table
    cells: dict[str, GroupedCell]
    children: dict[str, Child]
    images: Images | None
    scratch: Path


@dataclass(frozen=True)
class Replicate:
    """A replicate and where its files are. block: the directory of its block; record: what became of it."""

    table: Table
    block: Path
    record: Record

    @property
    def seed(self) -> int:
        seed: int = self.record["seed"]
        return seed

    @property
    def folder(self) -> Path:
        """The folder of its snapshots."""
        return store.replicate_path(self.block, self.seed)

    def snapshot(self, epoch: int) -> Path:
        """The path of one of its snapshots."""
        return store.snapshot_path(self.block, self.seed, epoch)


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a replicate.

    tensors: parameters and buffers, float32, which may stay on disk; statistics: its rows of
    `weight_atlas.analysis.weights.statistics`; finite: whether all of its values are.
    """

    epoch: int
    tensors: Readable
    statistics: list[Row]
    finite: bool


class Activated(NamedTuple):
    """A model, and the correlations of its features with one another, float64 [d, d]."""

    model: Model
    correlations: torch.Tensor


class TrainedModel:
    """The last snapshot of a finished replicate, and what it computes: once, for all measures that look at it."""

    def __init__(self, network: Network, cell_id: str, seed: int, path: Path) -> None:
        self.network, self.cell_id, self.seed, self.path = network, cell_id, seed, path

    @property
    def cell(self) -> GroupedCell:
        return self.network.cells[self.cell_id]

    @property
    def key(self) -> Key:
        return self.cell_id, self.seed

    @cached_property
    def tensors(self) -> Tensors:
        """Its parameters and buffers."""
        return starts.load(self.path)

    @cached_property
    def activated(self) -> Activated | None:
        """What it computes of the test images; None without a data set."""
        network = self.network
        if network.images is None:
            return None
        cache = network.scratch / f"{self.cell_id}-{self.seed}.safetensors"
        model, products = activations.activate(
            self.cell["cell"], network.table, self.path, self.tensors, network.images, cache
        )
        return Activated(model, feature_correlations.correlation(products, model.features, model.features))


def ends_job(error: Exception) -> bool:
    """Whether an exception is of the machine and not of a measure: no memory, a disk or a GPU that fails.

    It ends the job: Snakemake may try that again, with twice the memory.
    """
    if isinstance(error, (MemoryError, OSError, torch.OutOfMemoryError, torch.AcceleratorError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)  # torch, on a processor


class Measure(ABC):
    """The base of all measures. name: what configs call it; tables: the tables that it writes rows of."""

    name: ClassVar[MeasureName]
    tables: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def asked_for(cls, cell: GroupedCell) -> bool:
        """Whether it is to be taken of a cell, where the cell has what it needs."""
        return MEASURES[cls.name].taken is not Taken.ASKED or cls.name in cell["measures"]

    @classmethod
    def fits(cls, table: Table) -> bool:
        """Whether what is known of a model suffices: of one that is stored tensors alone, nobody knows what it
        computes."""
        return table.is_network or not MEASURES[cls.name].network

    @abstractmethod
    def rows(self) -> Rows:
        """{table: rows} of all that it saw."""


class CellMeasure(Measure):
    """A measure that sees every cell of a group."""

    @abstractmethod
    def see(self, cell: GroupedCell, network: Network) -> None:
        """Take in a cell."""


class CourseMeasure(Measure):
    """A measure that sees every snapshot of a replicate, in order. Its rows leave out cell and seed."""

    def __init__(self, replicate: Replicate) -> None:
        self.replicate = replicate

    @abstractmethod
    def see(self, snapshot: Snapshot) -> None:
        """Take in the next snapshot."""


class ModelMeasure(Measure):
    """A measure that sees the last snapshot of every finished replicate of a network."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @abstractmethod
    def see(self, model: TrainedModel) -> None:
        """Take in a model."""

    def tensors(self) -> dict[str, Tensors]:
        """{name of a safetensors file: its tensors} of all that it saw."""
        return {}
