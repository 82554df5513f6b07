"""How far a replicate is."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Score(NamedTuple):
    """Mean cross-entropy in nats, and accuracy from 0 to 1."""

    loss: float
    accuracy: float


class Evaluation(NamedTuple):
    """The score on a split, and bool [images]: which of them are classified right."""

    score: Score
    right: "Tensor"


@dataclass
class State:
    """How far a replicate is, as a checkpoint holds it in JSON.

    stage: the number of the current one; epoch: how many are trained; rows: those of metrics.csv; start: what the
    record says of the start; best_epoch: that of the highest validation accuracy, 0 before the first epoch; images: how
    many were trained on so far, in train_seconds.
    """

    stage: int = 0
    epoch: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    start: dict[str, Any] = field(default_factory=dict)
    best_accuracy: float = -1.0
    best_epoch: int = 0
    stopped_early: bool = False
    images: int = 0
    train_seconds: float = 0.0

    def valid_losses(self, stage: int) -> list[float]:
        """The validation losses after each epoch of a stage so far."""
        return [row["valid_loss"] for row in self.rows if row["stage"] == stage]
