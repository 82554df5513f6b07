"""A claim: a sentence, where it holds, and how results decide it."""

import math
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from weight_atlas.plan.spec.values import Model, Text, Title

Judge = Literal[
    "difference", "equivalence", "trend", "best", "effect", "contrast", "share", "correlation", "ratio", "exact"
]
JUDGES: tuple[Judge, ...] = get_args(Judge)
# The functions that find the numbers (weight_atlas/reporting/claims/evidence.py), by their names.
Evidence = Literal[
    "mean",
    "difference",
    "others",
    "experiments",
    "trend",
    "best",
    "effect",
    "corner",
    "unfrozen",
    "turns",
    "unchanged",
    "changed",
    "structural",
    "distance",
    "identical",
    "feature-correlation",
    "amplification",
    "drift",
    "barrier",
    "transfer-slope",
    "transfer-late",
    "transfer-step",
    "transfer-drop",
    "transfer-specificity",
    "transfer-similarity",
    "transfer-outputs",
    "transfer-rate",
    "transfer-epochs",
    "transfer-reference",
    "transfer-reference-step",
    "ending",
    "overfit",
    "one-way",
    "smaller",
    "calm",
    "restless",
    "alike",
    "last-biases",
    "chance-biases",
    "undefined",
]
Count = Annotated[int, Field(ge=0)]


class Within(Model):
    """The scope of a claim.

    Attributes
    ----------
    images : {published data set: numbers of training images, one or several}
    architecture : list of str
    epochs : int
        At least so many.
    replicates : int
        At least so many that finished.
    start : {architecture: what its weights may start from}
        "imagenet" weights, or "drawn" ones.
    depth : int
        Of transfers, the number of copied layers that they must go to.
    """

    images: dict[str, Count | list[Count]]
    architecture: list[Title]
    epochs: Count
    replicates: Count
    start: dict[str, list[Literal["imagenet", "drawn"]]] = {}
    depth: Count = 0


class Statement(Model):
    """What one judge is asked: which numbers, and where their mean must lie.

    Attributes
    ----------
    judge : str
    evidence : str
        The function that finds the numbers, by its name in the registry; by default that of the judge.
    parameters : dict
        Its options: experiments, axes and levels as the config names them.
    above, below : float
    between : [float, float]
        One of the three: the region of the mean, in natural units (accuracies and shares from 0 to 1).
    margin : float
        With one bound, the smallest effect that matters; with two, how far outside of them still counts.
    """

    judge: Judge
    evidence: Evidence | None = None
    parameters: dict[str, Any] = {}
    above: float | None = None
    below: float | None = None
    between: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    margin: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _one_region(self) -> Self:
        given = sum(bound is not None for bound in (self.above, self.below, self.between))
        if given != (self.judge != "exact"):
            raise ValueError("give one of above, below and between; an exact judge has none")
        if self.between and self.between[0] > self.between[1]:
            raise ValueError("between: the first number must not be above the second")
        return self

    @model_validator(mode="after")
    def _has_evidence(self) -> Self:
        if self.evidence is None and self.judge not in get_args(Evidence):
            raise ValueError(f"evidence: the judge {self.judge} needs the name of what finds its numbers")
        return self

    @property
    def finder(self) -> str:
        """The name of the function that finds the numbers."""
        return self.evidence or self.judge

    @property
    def low(self) -> float:
        return self.between[0] if self.between else -math.inf if self.above is None else self.above

    @property
    def high(self) -> float:
        return self.between[1] if self.between else math.inf if self.below is None else self.below


class Claim(Model):
    """A claim of a document, or of one's own.

    Attributes
    ----------
    id, says : str
    scope : str
        Where it holds, in words; `within` says the same for the workflow. Without it any scale will do.
    all : list of Statement
        What must hold for the claim to be reproduced.
    artefact : list of Statement
        Where these hold too, the number is right and comes from something else than it is read as.
    origin : str
        Where the margins come from.
    shows : str
        What the claim can and cannot show, where that is not plain.
    """

    id: Title
    says: Text
    scope: Text
    within: Within | None = None
    all: Annotated[list[Statement], Field(min_length=1)]
    artefact: list[Statement] = []
    origin: Text = ""
    shows: Text = ""
