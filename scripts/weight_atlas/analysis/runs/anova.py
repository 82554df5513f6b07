"""Analysis of variance of an experiment's grid: what each factor explains of an outcome, and what only two or three do
together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from weight_atlas import stats
from weight_atlas.shapes import FAMILIES, varying_axes
from weight_atlas.vocabulary import Role


@dataclass
class Grid:
    """The cells of one experiment that differ in two or more factors: cells: {cell_id: {factor: level}}."""

    study: str
    experiment: str
    setting: str
    factors: list[str]
    cells: dict[str, dict[str, str]]


def rows(
    cells: Mapping[str, Any],
    runs: pd.DataFrame,
    accuracy: pd.DataFrame,
    metrics: pd.DataFrame,
    tuning: pd.DataFrame | None = None,
) -> list[tuple[Any, ...]]:
    """Rows of anova.csv: (study, experiment, setting, outcome, term, df, sum_sq, F, p, q, eta, omega, low,
    high, n).

    cells: as `weight_atlas.cell_table.read` gives them; the others are DataFrames with the columns of the tables of
    their names. n is the number of finished replicates. q is p corrected over all terms of a study (Benjamini and
    Hochberg 1995). Seeds are blocks: replicates of one seed share random streams. Of a cell whose learning rate is
    tuned those at the best rate count that did not choose it; tuning: the table of that name.
    """
    values = outcomes(runs, accuracy, metrics)
    table: list[tuple[Any, ...]] = []
    for grid in grids(cells):
        for outcome, by_cell in values.items():
            tuned = by_cell if tuning is None else at_chosen(by_cell, tuning[tuning["study"] == grid.study])
            runs_ = [(place, *one) for cell_id, place in grid.cells.items() for one in tuned.get(cell_id, {}).items()]
            if any(len({place[factor] for place, *_ in runs_}) < 2 for factor in grid.factors):
                continue
            levels = {factor: [place[factor] for place, *_ in runs_] for factor in grid.factors}
            _, seeds, values_ = zip(*runs_, strict=True)
            for term in stats.anova(values_, levels, seeds):
                numbers = (term.df, term.sum_sq, term.f, term.p, math.nan, term.eta, *term[6:], len(runs_))
                table.append((grid.study, grid.experiment, grid.setting, outcome, term.name, *numbers))
    for study in dict.fromkeys(row[0] for row in table):
        places = [at for at, row in enumerate(table) if row[0] == study]
        for at, q in zip(places, stats.benjamini_hochberg([table[at][8] for at in places]), strict=True):
            table[at] = (*table[at][:9], q, *table[at][10:])
    return table


def outcomes(
    runs: pd.DataFrame, accuracy: pd.DataFrame, metrics: pd.DataFrame
) -> dict[str, dict[str, dict[int, float]]]:
    """{outcome: {cell_id: {seed: value of the finished replicate}}}.

    valid_accuracy: on the validation images at their own best epoch, from 1; accuracy: on test at that epoch; gap:
    training less test accuracy at the last epoch.
    """
    done = runs.loc[runs["status"] == "done", ["cell_id", "seed"]]
    trained = metrics[metrics["epoch"] >= 1].merge(done, on=["cell_id", "seed"])
    last = trained[trained["epoch"] == trained.groupby(["cell_id", "seed"])["epoch"].transform("max")]
    best = accuracy[accuracy["protocol"] == "best_valid"].merge(done, on=["cell_id", "seed"])
    columns = {
        "valid_accuracy": trained.groupby(["cell_id", "seed"])["valid_accuracy"].max(),
        "accuracy": best.set_index(["cell_id", "seed"])["accuracy"],
        "gap": (last["train_accuracy"] - last["test_accuracy"]).set_axis(last.set_index(["cell_id", "seed"]).index),
    }
    return {
        name: {
            str(cell_id): dict(zip(group.index.get_level_values("seed"), group.tolist(), strict=True))
            for cell_id, group in values.dropna().groupby(level="cell_id", sort=False)
        }
        for name, values in columns.items()
    }


def at_chosen(by_cell: Mapping[str, dict[int, float]], tuning: pd.DataFrame) -> dict[str, dict[int, float]]:
    """{cell_id: {seed: value}} with the values of tuned cells at their best rates, without the seeds that chose them.

    tuning: the rows of tuning.csv of one study.
    """
    found = dict(by_cell)
    for (tuned, cell_id), own in tuning[tuning["best"] & ~tuning["chooses"]].groupby(["tuned", "cell_id"]):
        values, seeds = by_cell.get(str(cell_id), {}), set(own["seed"])
        found[str(tuned)] = {seed: value for seed, value in values.items() if seed in seeds}
    return found


def grids(cells: Mapping[str, Any]) -> list[Grid]:
    """The Grids of a config: of each study's experiments, those whose cells differ in two or more factors.

    Each combination of a data set and a network is a Grid: these are no factors, but what a question is repeated for.
    """
    entries: dict[tuple[str, str], list[tuple[str, dict[str, str]]]] = {}
    for cell_id, cell in cells.items():
        for entry in cell["named"]:
            if entry["role"] == Role.GRID:
                key = (entry["study"], entry["labels"].get("experiment", ""))
                entries.setdefault(key, []).append((cell_id, entry["labels"]))
    found = []
    for (study, experiment), labelled in entries.items():
        axes = varying_axes([labels for _, labels in labelled])
        factors = [axis for axis in axes if axis not in FAMILIES]
        if len(factors) < 2:
            continue
        settings: dict[str, dict[str, dict[str, str]]] = {}
        for cell_id, labels in labelled:
            setting = " · ".join(labels[axis] for axis in axes if axis in FAMILIES)
            settings.setdefault(setting, {})[cell_id] = {name: labels[name] for name in factors}
        found += [Grid(study, experiment, setting, factors, by_cell) for setting, by_cell in settings.items()]
    return found
