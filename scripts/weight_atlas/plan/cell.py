"""A cell of the plan, and what it is made from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weight_atlas.datasets.card import Facts
from weight_atlas.networks.table import Table
from weight_atlas.plan import spec
from weight_atlas.plan.measures import MeasureName
from weight_atlas.settings import Settings


@dataclass(frozen=True)
class Data:
    """A data set as the config defines it: what `prepare` needs to make it, and what it will hold.

    fingerprint: that of its source today, None where there is no card to compare it with; gone: what is said where the
    source is not there any more; absent: what is said where it never was, and `known` whether its facts are published
    or stand for what only its images say.
    """

    label: str
    dataset_id: str
    spec: dict[str, Any]
    facts: Facts
    fingerprint: str | None = None
    gone: str = ""
    absent: str = ""
    known: bool = True

    @property
    def size(self) -> int:
        """The longer side of its images in pixels."""
        return max(self.facts["size"])


@dataclass(frozen=True)
class Weights:
    """A file of weights to start from, as `prepare` makes it."""

    weights_id: str
    spec: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A combination of settings, fully resolved, without the seed.

    Of a given cell `files` are those of each replicate, in order, and data is None where no data set is named.
    """

    cell_id: str
    kind: str
    settings: Settings
    data: Data | None
    table: Table
    parent: str | None = None
    weights: Weights | None = None
    files: list[list[Path]] = field(default_factory=list)

    @property
    def trained_on(self) -> Data:
        """The data set that it is trained on; ValueError for given checkpoints without one."""
        if self.data is None:
            raise ValueError(f"{self.cell_id}: has no data set")
        return self.data

    @property
    def is_known(self) -> bool:
        """Whether its layers and its cost are known: its data set is at hand, or published."""
        return self.data is None or self.data.known

    @property
    def architecture(self) -> str:
        """The file that its network is of."""
        return self.settings.network.architecture


@dataclass(frozen=True)
class StartSpec:
    """Where a cell's weights come from: in full, what of it counts for the id, and what must be there first.

    normalise: the mean and std that its images are normalised by; nothing where by the data set's own.
    """

    start: dict[str, Any]
    identity: dict[str, Any]
    channels: int
    parent: str | None = None
    weights: Weights | None = None
    normalise: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Perturbation:
    """How a parent's weights are changed before they are trained again; without steps it is a control."""

    steps: list[spec.Step]
    take: str | int = "last"
    order: str = "same"
    repeat: int = 0
    state: str = "fresh"
    place: str = ""  # where it is written, for errors


@dataclass(frozen=True)
class LayerTransfer:
    """How many layers of a base are taken, and whether they are frozen, tuned, or replaced by random frozen ones."""

    depth: int
    mode: str
    take: str | int = "best"


@dataclass(frozen=True)
class Entry:
    """A cell as one study names it: its labels on the study's axes, and why it is there.

    measures: those that the study asks for by name.
    checkpoints: names of some of its epochs, {name: epoch}, or {"match": cell id, "by": metric, "epochs": theirs}.
    role: `grid`, or `source` (others start from it); `perturbed` or its `control`; `transfer`, or `extra` where the
    study's document has no such transfer. beyond: whether a cell of the grid is one that the document does not have.
    """

    study: str
    role: str
    labels: dict[str, str]
    cell_id: str
    replicates: int
    checkpoints: dict[str, Any] = field(default_factory=dict[str, Any])
    beyond: bool = False
    measures: tuple[MeasureName, ...] = ()
