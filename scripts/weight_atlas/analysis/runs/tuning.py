"""Which learning rate a tuned cell is taken at: the best on validation, by replicates that then do not count."""

import math
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from weight_atlas import cell_table
from weight_atlas.cell_table import Cell, Sweep
from weight_atlas.vocabulary import Status

Scores = Mapping[str, Mapping[int, float]]  # cell -> seed -> validation accuracy


class TuningRow(NamedTuple):
    """A row of tuning.csv."""

    study: str
    experiment: str
    tuned: str
    cell_id: str
    seed: int
    factor: float
    lr: float
    valid_accuracy: float
    chooses: bool
    best: bool


def rows(cells: Mapping[str, Cell], runs: pd.DataFrame, metrics: pd.DataFrame) -> list[TuningRow]:
    """A row for each rate and seed of each sweep.

    cells: as `weight_atlas.cell_table.read` gives them; runs, metrics: DataFrames with the columns of these tables.
    """
    found = scores(runs, metrics)
    return [row for sweep in cell_table.sweeps(cells) for row in _rows(sweep, cells, found)]


def scores(runs: pd.DataFrame, metrics: pd.DataFrame) -> dict[str, dict[int, float]]:
    """What a rate is chosen by: the validation accuracy of each replicate at its best epoch.

    A replicate that diverged has 0, so that a rate at which some do is not taken for those that did not. One that
    failed, or is missing, has none.
    """
    best = metrics[metrics["epoch"] >= 1].groupby(["cell_id", "seed"])["valid_accuracy"].max().reset_index()
    keys = zip(best["cell_id"], best["seed"], strict=True)
    by_run: dict[tuple[str, int], float] = dict(zip(keys, best["valid_accuracy"], strict=True))
    found: dict[str, dict[int, float]] = {}
    for cell_id, seed, status in runs[["cell_id", "seed", "status"]].itertuples(index=False, name=None):
        value = by_run.get((cell_id, seed), math.nan) if status == Status.DONE else 0.0
        if status in (Status.DONE, Status.DIVERGED) and math.isfinite(value):
            found.setdefault(cell_id, {})[seed] = value
    return found


def choose(rates: Sequence[str], found: Scores, seeds: Container[int]) -> str:
    """The cell with the highest mean validation accuracy of some seeds: the first of equals, and where there is none.

    All other seeds are independent of the choice, so that a test on these alone keeps its level. (To choose for each
    seed by all others would use them all, and be unbiased too; but where two rates are nearly equal its outcomes are
    correlated, and a t-test at 5 % errs in 11 %.)
    """
    means = {
        cell_id: float(np.mean(values))
        for cell_id in rates
        if (values := [value for seed, value in found.get(cell_id, {}).items() if seed in seeds])
    }
    return max(means, key=means.__getitem__) if means else rates[0]


def _rows(sweep: Sweep, cells: Mapping[str, Cell], found: Scores) -> list[TuningRow]:
    seeds = cells[sweep.cell_id]["seeds"]
    choosing = seeds[: cell_table.choosing(len(seeds))]
    best = choose(list(sweep.rates.values()), found, choosing)
    return [
        TuningRow(
            study=sweep.study,
            experiment=sweep.experiment,
            tuned=sweep.cell_id,
            cell_id=cell_id,
            seed=seed,
            factor=float(factor),
            lr=cells[cell_id]["cell"].training.optimizer.options["lr"],
            valid_accuracy=found.get(cell_id, {}).get(seed, math.nan),
            chooses=seed in choosing,
            best=cell_id == best,
        )
        for factor, cell_id in sweep.rates.items()
        for seed in seeds
    ]
