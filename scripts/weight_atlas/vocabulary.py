"""The words that configs, tables and pages share: each once. A StrEnum's member is equal to its text, in pandas too.

Axes and splits are plain text, since they are keys of YAML and JSON files and names of columns.
"""

from enum import StrEnum
from typing import Final, Literal, get_args

Axis = Literal["dataset", "network", "init", "optimizer"]
AXES: Final[tuple[Axis, ...]] = get_args(Axis)  # every cell has a label on each
# Further axes of cells.csv: what a study calls its experiments and given checkpoints, and what tells children apart.
CHILD_AXES: Final = ("experiment", "perturbation", "base", "mode", "depth")
NO_DATA: Final = "no data"  # the label of given checkpoints for which no data set is named
OTHER_AXES: Final = (*CHILD_AXES, "given", "tuned")

Split = Literal["train", "valid", "test"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)  # in the order of their numbers in a prepared data set

Weights = Literal["none", "last", "best", "all"]  # which snapshots of networks go along with a bundle


class Kind(StrEnum):
    """How a cell came by its weights; its id begins with it."""

    BASE = "base"
    GIVEN = "given"
    PERTURB = "perturb"
    TRANSFER = "transfer"


class Role(StrEnum):
    """Why a study has a cell."""

    GRID = "grid"
    SOURCE = "source"  # others start from it
    TUNING = "tuning"  # a cell of the grid at another learning rate, its label on the axis `tuned`
    PERTURBED = "perturbed"  # a trained cell, changed and trained again
    CONTROL = "control"  # the same without the change
    TRANSFER = "transfer"
    EXTRA = "extra"  # a transfer that the study's document does not have


# Roles of cells that start from another trained cell and are compared with it, and not with one another.
RETRAINED: Final = (Role.PERTURBED, Role.CONTROL)
TRANSFERRED: Final = (Role.TRANSFER, Role.EXTRA)
DERIVED: Final = (*RETRAINED, *TRANSFERRED)


class Status(StrEnum):
    """What became of a replicate."""

    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"
    MISSING = "missing"  # trained, but its files are not those of its record


ENDED: Final = (Status.DONE, Status.DIVERGED, Status.FAILED)  # what a record may say


class Protocol(StrEnum):
    """How the accuracy of a run is chosen among its epochs."""

    LAST = "last"  # the last epoch, on test
    BEST_VALID = "best_valid"  # the best epoch on validation, on test
    DOCUMENT = "document"  # the best epoch on validation and test together, on these


class Factor(StrEnum):
    """What two models of pairs.csv differ in, where it is none of the axes."""

    SEED = "seed"
    ORIGINAL = "original"  # a perturbed model, trained again, beside what it was before
    CONTROL = "control"  # a perturbed model beside its control


RELATIVES: Final = (Factor.ORIGINAL, Factor.CONTROL)


class Format(StrEnum):
    """What numbers a parameter may be held in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


class Interval(StrEnum):
    """Which snapshots a row of movement.csv compares."""

    START = "start"  # a snapshot with the first one
    CONSECUTIVE = "consecutive"  # a snapshot with the one before
