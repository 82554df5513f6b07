"""The accuracy of a run by three protocols: last epoch, best validation epoch, and the source documents' own."""

import numpy as np

from weight_atlas.vocabulary import Protocol, Status


def rows(metrics, runs, counts):
    """Rows of accuracy.csv, as tuples (cell_id, seed, status, protocol, epoch, accuracy, loss).

    metrics: the metrics table, a DataFrame; runs: the rows of runs.csv, which give the order; counts: {cell_id: (number
    of validation pictures, of test pictures)}. Runs that are done or diverged have rows, others none: a diverged run is
    listed with its status and must not enter a mean.
    """
    replicates = dict(list(metrics.groupby(["cell_id", "seed"])))
    found = []
    for cell_id, seed, status, *_ in runs:
        if status in (Status.DONE, Status.DIVERGED) and (cell_id, seed) in replicates:
            own = protocols(replicates[cell_id, seed], *counts[cell_id])
            found += [(cell_id, seed, status, *row) for row in own]
    return found


def protocols(metrics, valid, test):
    """(protocol, epoch, accuracy, loss) by each protocol, for the metrics of one replicate.

    metrics: DataFrame, one row an epoch; valid, test: the numbers of pictures behind valid_* and test_*.
    - last: on the test pictures at the last epoch.
    - best_valid: on the test pictures at the epoch of the best validation accuracy.
    - document: on validation and test pictures together, at the epoch at which that accuracy itself is best, as the
      source documents choose theirs. It flatters: the choice sees the pictures that it is judged on.
    The best is sought among epochs from 1, and is the first of equals; where there is none, the protocol has no row.
    """
    metrics = metrics.sort_values("epoch")
    last = metrics.iloc[-1]
    found = [(Protocol.LAST, int(last["epoch"]), float(last["test_accuracy"]), float(last["test_loss"]))]
    trained = metrics[metrics["epoch"] >= 1]
    best = _first_best(trained["valid_accuracy"].to_numpy(float))
    if best is not None:
        row = trained.iloc[best]
        found.append((Protocol.BEST_VALID, int(row["epoch"]), float(row["test_accuracy"]), float(row["test_loss"])))
    # Whole numbers of pictures, so that equal counts are equal and the first of them is taken.
    accuracies = trained[["valid_accuracy", "test_accuracy"]].to_numpy(float)
    right = np.rint(accuracies * (valid, test)).sum(axis=1)
    best = _first_best(right)
    if best is not None:
        row = trained.iloc[best]
        loss = (row["valid_loss"] * valid + row["test_loss"] * test) / (valid + test)
        found.append((Protocol.DOCUMENT, int(row["epoch"]), float(right[best] / (valid + test)), float(loss)))
    return found


def _first_best(values):
    """The first position of the largest value, NaN left out; None where all are NaN or there are none."""
    return int(np.nanargmax(values)) if np.isfinite(values).any() else None
