"""The outcomes of the summary tables: what their means are of, and in which unit. No torch, no pandas."""

from collections.abc import Mapping
from dataclasses import dataclass

MEAN = {"summary": "mean", "drops": "mean", "reach": "median"}  # the column whose interval low and high are


@dataclass(frozen=True)
class Outcome:
    """A number that a summary table has of each cell, or of each point of a curve.

    Attributes
    ----------
    table : str
        One of MEAN.
    where : {column: value}
        Which of its rows have it.
    words, unit : str
        What it is called, and its unit as the table has it; "share" is a fraction from 0 to 1.
    """

    table: str
    where: Mapping[str, str]
    words: str
    unit: str = ""

    @property
    def name(self) -> str:
        """A name for links: "summary-accuracy-last"."""
        return "-".join([self.table, *self.where.values()])


def _summary(measure: str, key: str, words: str, unit: str = "") -> Outcome:
    return Outcome("summary", {"measure": measure, "key": key}, words, unit)


def _of_all(measure: str, words: str) -> Outcome:
    return _summary(measure, "total", f"parameters {words}, of all", "share")


OUTCOMES = (
    _summary("accuracy", "best_valid", "test accuracy at the best validation epoch", "share"),
    _summary("accuracy", "last", "test accuracy at the last epoch", "share"),
    _summary("accuracy", "document", "accuracy at the best epoch on validation and test images, on these", "share"),
    _summary("relative_from_start", "total", "distance from the start over the norm of the start"),
    _summary("distance_from_start", "total", "distance from the start"),
    _summary("cosine_from_start", "total", "cosine of the weights with the start"),
    _summary("norm_at_end", "total", "norm of the weights at the end"),
    _of_all("unchanged", "that never change"),
    _of_all("changed", "that change"),
    _of_all("dead", "unchanged that never had a gradient"),
    _of_all("rounding", "unchanged whose every update was rounded away"),
    _of_all("returned", "unchanged that some step had changed"),
    _of_all("structural", "unchanged at taps that only meet zero padding"),
    _of_all("taps", "at taps that only meet zero padding"),
    _of_all("effective", "neither at such taps nor tied to others"),
    _summary("mean_correlation", "features", "mean correlation of features"),
    _summary("mean_absolute", "features", "mean absolute correlation of features"),
    _summary("images_per_second", "run", "training images per second", "images/s"),
    _summary("wall_seconds", "run", "time of a training", "s"),
    Outcome("drops", {"quantity": "D"}, "accuracy lost by a transfer (D)", "points"),
    Outcome("drops", {"quantity": "C"}, "accuracy lost by co-adaptation (C)", "points"),
    Outcome("drops", {"quantity": "S"}, "accuracy lost by specificity (S)", "points"),
    Outcome("reach", {"level": "base"}, "epochs until the base's accuracy is reached", "epochs"),
    Outcome("reach", {"level": "near"}, "epochs until a point less than the base's accuracy is reached", "epochs"),
    Outcome("reach", {"level": "document"}, "epochs until the document's accuracy is reached", "epochs"),
)
