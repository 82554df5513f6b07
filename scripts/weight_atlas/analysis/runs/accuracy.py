"""The accuracy of a run by three protocols: last epoch, best validation epoch, and the source documents' own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd


class Counts(NamedTuple):
    """The numbers of validation and of test images of a data set."""

    valid: int
    test: int


class ProtocolAccuracy(NamedTuple):
    """Accuracy, a fraction, and loss, in nats, by one protocol, at the epoch that it chooses."""

    protocol: str
    epoch: int
    accuracy: float
    loss: float


class AccuracyRow(NamedTuple):
    """A row of accuracy.csv."""

    cell_id: str
    seed: int
    status: str
    protocol: str
    epoch: int
    accuracy: float
    loss: float


def rows(
    metrics: pd.DataFrame, runs: Iterable[Sequence[Any]], counts: Mapping[str, tuple[int, int]]
) -> list[AccuracyRow]:
    """The accuracies of all runs that are done or diverged.

    Others have no rows. A diverged run is listed with its status and must not enter a mean.

    Parameters
    ----------
    metrics : DataFrame
        The metrics table.
    runs : rows of runs.csv
        They give the order.
    counts : {cell_id: Counts}
    """
    replicates: dict[Any, pd.DataFrame] = dict(list(metrics.groupby(["cell_id", "seed"])))
    accuracies = []
    for cell_id, seed, status, *_ in runs:
        if status in ("done", "diverged") and (cell_id, seed) in replicates:
            by_protocol = protocols(replicates[cell_id, seed], *counts[cell_id])
            accuracies += [AccuracyRow(cell_id, seed, status, *row) for row in by_protocol]
    return accuracies


def protocols(metrics: pd.DataFrame, valid: int, test: int) -> list[ProtocolAccuracy]:
    """The accuracy of one replicate by each protocol.

    - last: on the test images at the last epoch.
    - best_valid: on the test images at the epoch of the best validation accuracy.
    - document: on validation and test images together, at the epoch at which that accuracy itself is best, as the
      source documents choose theirs. It flatters: the choice sees the images that it is judged on.

    The best is sought among epochs from 1, and is the first of equals; where there is none, the protocol has no row.

    Parameters
    ----------
    metrics : DataFrame
        One row per epoch.
    valid, test : int
        The numbers of images behind valid_* and test_*.
    """
    metrics = metrics.sort_values("epoch")
    last = metrics.iloc[-1]
    accuracies = [ProtocolAccuracy("last", int(last["epoch"]), float(last["test_accuracy"]), float(last["test_loss"]))]
    trained = metrics[metrics["epoch"] >= 1]
    best = _first_best(trained["valid_accuracy"].to_numpy(float))
    if best is not None:
        row = trained.iloc[best]
        on_test = float(row["test_accuracy"]), float(row["test_loss"])
        accuracies.append(ProtocolAccuracy("best_valid", int(row["epoch"]), *on_test))
    # Whole numbers of images, so that equal counts are equal and the first of them is taken.
    fractions = trained[["valid_accuracy", "test_accuracy"]].to_numpy(float)
    correct = np.rint(fractions * (valid, test)).sum(axis=1)
    best = _first_best(correct)
    if best is not None:
        row = trained.iloc[best]
        loss = (row["valid_loss"] * valid + row["test_loss"] * test) / (valid + test)
        on_both = float(correct[best] / (valid + test)), float(loss)
        accuracies.append(ProtocolAccuracy("document", int(row["epoch"]), *on_both))
    return accuracies


def _first_best(values: npt.NDArray[np.float64]) -> int | None:
    """The first position of the largest value, NaN left out; None where all are NaN or there are none."""
    return int(np.nanargmax(values)) if np.isfinite(values).any() else None
