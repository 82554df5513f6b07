"""Means over replicates, with their number and their 95 % interval."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from weight_atlas import stats

# Columns of unchanged.csv, given as fractions of all learnable parameters; the last five are its classes.
FRACTIONS = ("unchanged", "taps", "structural", "dead", "rounding", "returned", "changed")
# Every cell has a row for these, with n = 0 where no replicate gave a value: (measure, key).
ALWAYS = (
    ("accuracy", "last"),
    ("accuracy", "best_valid"),
    ("accuracy", "document"),
    ("distance_from_start", "total"),
    ("cosine_from_start", "total"),
    ("relative_from_start", "total"),
    ("norm_at_end", "total"),
    *((measure, "total") for measure in FRACTIONS),
    ("effective", "total"),
    ("mean_correlation", "features"),
    ("mean_absolute", "features"),
    ("images_per_second", "run"),
    ("wall_seconds", "run"),
)


def rows(
    runs: pd.DataFrame,
    accuracy: pd.DataFrame,
    movement: pd.DataFrame,
    unchanged: pd.DataFrame,
    features: pd.DataFrame,
    parameters: pd.DataFrame,
) -> list[tuple[Any, ...]]:
    """Rows of summary.csv, as tuples (measure, cell_id, key, n, of, mean, low, high, std), cell by cell.

    The arguments are DataFrames with the columns of the tables of their names. Replicates that are `counted` in
    runs are averaged and no others; `of` is the number asked for, so that n < of shows what is missing.
    Measures: those of ALWAYS and, for each interval between consecutive snapshots, distance with key "<from>-<to>".
    Those of FRACTIONS and effective are fractions of the learnable parameters; effective is a closed form, the same for
    every replicate. *_from_start compare the last snapshot with epoch 0. The correlations are those of activations.
    """
    done = runs[runs["counted"]]
    active = features[features["of"] == "activations"]
    free = parameters[parameters["layer"] == "total"].merge(done[["cell_id", "seed"]], on="cell_id")
    values = pd.concat(
        [
            _long(accuracy, "accuracy", accuracy["protocol"], "accuracy"),
            *_movement(movement),
            *_unchanged(unchanged),
            _long(free.assign(effective=free["effective"] / free["size"]), "effective", "total", "effective"),
            *(_long(active, name, "features", name) for name in ("mean_correlation", "mean_absolute")),
            *(_long(done, name, "run", name) for name in ("images_per_second", "wall_seconds")),
        ]
    ).merge(done[["cell_id", "seed"]], on=["cell_id", "seed"])
    grouped = values.groupby(["cell_id", "measure", "key"], sort=False)["value"]
    groups = {tuple(map(str, key)): list(group) for key, group in grouped}
    intervals = sorted((key for key in groups if key[1] == "distance"), key=lambda key: int(key[2].split("-")[0]))
    summary: list[tuple[Any, ...]] = []
    for cell_id, asked in runs.groupby("cell_id", sort=False)["seed"].count().items():
        for measure, key in [*ALWAYS, *(key[1:] for key in intervals if key[0] == cell_id)]:
            n, *numbers = stats.mean_interval(groups.get((str(cell_id), measure, key), ()))
            summary.append((measure, cell_id, key, n, asked, *numbers))
    return summary


def _long(frame: pd.DataFrame, measure: str, key: "str | pd.Series[Any]", column: str) -> pd.DataFrame:
    """One value a row: cell_id, seed, measure, key (a text or a column of texts), value."""
    long = frame[["cell_id", "seed"]].assign(measure=measure, value=frame[column].astype(float))
    return long.assign(key=key)


def _movement(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """From the start to the last snapshot, and from each snapshot to the next, for the whole network."""
    total = frame[frame["layer"] == "total"]
    start = total[total["interval"] == "start"]
    end = start[start["to_epoch"] == start.groupby(["cell_id", "seed"])["to_epoch"].transform("max")]
    for measure in ("distance", "cosine", "relative"):
        yield _long(end, f"{measure}_from_start", "total", measure)
    yield _long(end, "norm_at_end", "total", "norm_to")
    step = total[total["interval"] == "consecutive"]
    yield _long(step, "distance", step["from_epoch"].astype(str) + "-" + step["to_epoch"].astype(str), "distance")


def _unchanged(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Fractions of all learnable parameters."""
    total = frame[(frame["layer"] == "total") & (frame["parameter"] == "all")]
    for measure in FRACTIONS:
        yield _long(total.assign(**{measure: total[measure] / total["size"]}), measure, "total", measure)
