"""The shape of an experiment: what it asks, as the plan can tell, whatever its names are. No torch, no pandas."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from weight_atlas.vocabulary import AXES, CHILD_AXES

# Axes over which a question is repeated.
FAMILIES = ("dataset", "network")


class Shape(StrEnum):
    """What an experiment is; it may be several at once."""

    SWEEP = "sweep"  # one axis, whose levels are numbers
    COMPARISON = "comparison"  # one axis, whose levels are compared with a reference
    PATH = "path"  # one change at a time, each compared with an earlier level
    FACTORIAL = "factorial"  # two or more axes crossed
    PRUNED = "pruned"  # perturbed by pruning alone
    PERTURBED = "perturbed"  # in some other way
    TRANSFERRED = "transferred"
    CHECKPOINTED = "checkpointed"
    STAGED = "staged"
    AUGMENTED = "augmented"
    GIVEN = "given"


@dataclass(frozen=True)
class Axis:
    """An axis that an experiment asks about.

    Attributes
    ----------
    name : str
        Its column in cells.csv.
    levels : tuple of str
        Ascending where they are numbers, else in the config's order.
    numbers : tuple of float
        What each level sets, where all of them set one number; otherwise empty.
    setting : str
        Which setting that is, as the resolved cell names it ("training.batch_size"); otherwise empty.
    reference : str
        The level that the others are compared with: the config's, or the one that changes nothing, or its first.
    after : dict
        Of a path, {level: the earlier level that it is compared with}; the first level has none.
    """

    name: str
    levels: tuple[str, ...]
    numbers: tuple[float, ...] = ()
    setting: str = ""
    reference: str = ""
    after: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def is_numeric(self) -> bool:
        return bool(self.numbers)


@dataclass(frozen=True)
class Experiment:
    """An experiment of a study, or a study that is one.

    Attributes
    ----------
    study, name : str
        name is empty where the study is one experiment.
    shapes : tuple of Shape
    axes : tuple of Axis
        Those that it asks about.
    families : tuple of str
        Axes over which its question is repeated, a panel or a line per level: data sets and networks.
    complete : bool
        Whether each combination of levels of `axes` and `families` has a cell.
    question : str
        As the config asks it; empty where it does not.
    of : tuple of str
        The outcomes that are asked about (OUTCOMES, or "table.column").
    rates : int
        How many learning rates each of its cells is tried at, of which the best is taken; 1 where optimizers are
        compared at one rate each; 0 where nothing is tuned and no optimizers are compared.
    """

    study: str
    name: str
    shapes: tuple[Shape, ...]
    axes: tuple[Axis, ...]
    families: tuple[str, ...]
    complete: bool
    question: str
    of: tuple[str, ...]
    rates: int = 0

    def axis(self, name: str) -> Axis:
        """One of its axes; KeyError where it does not ask about it."""
        return {axis.name: axis for axis in self.axes}[name]

    @property
    def json(self) -> dict[str, Any]:
        """As config.json holds it."""
        return asdict(self)

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> "Experiment":
        """From config.json."""
        axes = tuple(
            Axis(**{**axis, "levels": tuple(axis["levels"]), "numbers": tuple(axis["numbers"])})
            for axis in record["axes"]
        )
        shapes = tuple(Shape(shape) for shape in record["shapes"])
        lists = {key: tuple(record[key]) for key in ("families", "of")}
        return cls(**{**record, **lists, "axes": axes, "shapes": shapes})


# Outcomes of a replicate that a config may ask about, and what the plan calls them.
OUTCOMES = {
    "accuracy": "test accuracy at the best validation epoch",
    "valid_accuracy": "validation accuracy at its best epoch",
    "loss": "test loss at the last epoch",
    "gap": "training less test accuracy at the last epoch",
    "epochs": "epochs until the test accuracy of the weakest cell is reached",
    "distance": "distance from the start, relative to its norm",
    "unchanged": "share of parameters that never change",
}

# What the report shows for each shape, as `snakemake plan` says it.
SHOWN = {
    Shape.SWEEP: "the outcome by level, its trend, each level against the best one",
    Shape.COMPARISON: "the outcome by level, each level against the reference",
    Shape.PATH: "the outcome by step, and what each change buys",
    Shape.FACTORIAL: "the outcome by combination, effects and interactions (analysis of variance)",
    Shape.PRUNED: "accuracy over sparsity: tickets beside random masks and new starts",
    Shape.PERTURBED: "distance to the original beside controls, accuracy before and after retraining",
    Shape.TRANSFERRED: "accuracy by freeze depth, what is lost by each, and epochs saved",
    Shape.CHECKPOINTED: "weights at the named epochs, and how alike the cells are there",
    Shape.STAGED: "accuracy by epoch with the stages marked",
    Shape.AUGMENTED: "examples of the images, and what each kind of change buys",
    Shape.GIVEN: "movement from the first file to the last, weights by layer",
}


def varying_axes(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """The axes in which some cells differ, without those that a further axis sets with each of its levels.

    Parameters
    ----------
    labels : sequence of {axis: level}
        One of each cell.
    """
    names = [
        axis for axis in dict.fromkeys(axis for one in labels for axis in one) if axis not in (*CHILD_AXES, "given")
    ]
    several = [axis for axis in names if len({one.get(axis, "") for one in labels}) > 1]
    further = [axis for axis in several if axis not in AXES]
    kept = list(several)
    for axis in several:
        setters = [other for other in further if other != axis and other in kept]
        if any(_sets(other, axis, labels) for other in setters):
            kept.remove(axis)
    return kept


def _sets(one: str, other: str, labels: Sequence[Mapping[str, str]]) -> bool:
    """Whether each level of an axis comes with one level of the other."""
    return len({(each[one], each[other]) for each in labels}) == len({each[one] for each in labels})
