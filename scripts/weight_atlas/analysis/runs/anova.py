"""Analysis of variance of an experiment's grid: what each factor explains of an outcome, and what only two or three do
together."""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import special

from weight_atlas.analysis.comparisons import correct
from weight_atlas.vocabulary import AXES, CHILD_AXES, Role

MOST = 3  # factors of an interaction: those of more are part of what is left over
RESIDUAL = "residual"


@dataclass(frozen=True)
class Term:
    """A line of the table: its factors ("a", "a:b", "a:b:c", or "residual"), degrees of freedom, sum of squares, f, p,
    partial eta squared, partial omega squared; NaN where there is none."""

    name: str
    df: int
    sum_sq: float
    f: float = math.nan
    p: float = math.nan
    eta: float = math.nan
    omega: float = math.nan


def analyse(values, levels):
    """The Terms of a fixed-effects factorial: main effects, interactions of two and of three factors, the residual.

    values: N numbers; levels: {factor: its N levels}. Sums of squares are of type II (Langsrud 2003): what a term
    explains beyond all terms that do not contain it, so that a balanced grid gives the usual decomposition and one that
    lost a few runs no order of the factors. The error is that of the full model.
    partial eta^2 = SS / (SS + SS_error); partial omega^2 = df (F - 1) / (df (F - 1) + N) (Olejnik and Algina 2003), the
    same less what chance alone would give, and therefore below 0 for a term that explains less than that.
    """
    values = np.asarray(values, float)
    codes = {name: contrasts(own) for name, own in levels.items()}
    terms = [names for size in range(1, min(len(codes), MOST) + 1) for names in combinations(codes, size)]
    columns = {names: interaction([codes[name] for name in names]) for names in terms}
    error, rank = left_over(values, columns.values())
    free = len(values) - rank
    found = []
    for names in terms:
        others = [columns[other] for other in terms if not set(names) <= set(other)]
        without, before = left_over(values, others)
        beside, after = left_over(values, [*others, columns[names]])
        found.append(term(":".join(names), after - before, max(without - beside, 0.0), error, free, len(values)))
    return [*found, Term(RESIDUAL, free, error)]


def term(name, df, explained, error, free, count):
    """One Term; without a degree of freedom of its own or of the error it has no test."""
    eta = explained / (explained + error) if explained + error > 0 else math.nan
    if not df or not free or not error > 0:
        return Term(name, df, explained, eta=eta)
    ratio = explained / df / (error / free)
    p = float(special.fdtrc(df, free, ratio))
    return Term(name, df, explained, ratio, p, eta, df * (ratio - 1) / (df * (ratio - 1) + count))


def contrasts(levels):
    """Sum-to-zero coding of N labels of k levels: float64 [N, k - 1]."""
    known = list(dict.fromkeys(levels))
    rows = np.vstack([np.eye(len(known) - 1), -np.ones(len(known) - 1)])
    return rows[[known.index(level) for level in levels]]


def interaction(codes):
    """The products of the columns of several codings [N, a], [N, b], ..: [N, a b ..]."""
    made = codes[0]
    for other in codes[1:]:
        made = (made[:, :, None] * other[:, None, :]).reshape(len(made), -1)
    return made


def left_over(values, columns):
    """(residual sum of squares, rank) of the least-squares fit of a constant and these columns."""
    design = np.hstack([np.ones((len(values), 1)), *columns])
    fit, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    return float(np.square(values - design @ fit).sum()), int(rank)


# ------------------------------------------------------------------------------------------------- of a config


@dataclass
class Grid:
    """The cells of one experiment that differ in two or more factors: cells: {cell_id: {factor: level}}."""

    study: str
    experiment: str
    setting: str
    factors: list
    cells: dict


def rows(cells, runs, accuracy, metrics):
    """Rows of anova.csv: (study, experiment, setting, outcome, term, df, sum_sq, F, p, q, eta, omega, n).

    cells: as `weight_atlas.analysis.cells.read` gives them; the others are DataFrames with the columns of the tables of
    their names. n is the number of finished replicates. q is p corrected over all terms of a study (Benjamini and
    Hochberg 1995).
    """
    values = outcomes(runs, accuracy, metrics)
    found = []
    for grid in grids(cells):
        for outcome, own in values.items():
            pairs = [(value, place) for cell_id, place in grid.cells.items() for value in own.get(cell_id, ())]
            if any(len({place[factor] for _, place in pairs}) < 2 for factor in grid.factors):
                continue
            levels = {factor: [place[factor] for _, place in pairs] for factor in grid.factors}
            for one in analyse([value for value, _ in pairs], levels):
                numbers = (one.df, one.sum_sq, one.f, one.p, math.nan, one.eta, one.omega, len(pairs))
                found.append((grid.study, grid.experiment, grid.setting, outcome, one.name, *numbers))
    for study in dict.fromkeys(row[0] for row in found):
        own = [at for at, row in enumerate(found) if row[0] == study]
        for at, q in zip(own, correct([found[at][8] for at in own]), strict=True):
            found[at] = (*found[at][:9], q, *found[at][10:])
    return found


def outcomes(runs, accuracy, metrics):
    """{outcome: {cell_id: [values of the finished replicates]}}.

    valid_accuracy: on the validation pictures at their own best epoch, from 1; accuracy: on test at that epoch; gap:
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
        name: {cell_id: own.tolist() for cell_id, own in values.dropna().groupby(level="cell_id", sort=False)}
        for name, values in columns.items()
    }


def grids(cells):
    """The Grids of a config: of each study's experiments, those whose cells differ in two or more axes of their own.

    Where one combination of these has several cells (on two data sets, say), each of them is a Grid, named by its
    setting.
    """
    entries = {}
    for cell_id, cell in cells.items():
        for one in cell["named"]:
            if one["role"] == Role.GRID:
                key = (one["study"], one["labels"].get("experiment", ""))
                entries.setdefault(key, []).append((cell_id, one["labels"]))
    found = []
    for (study, experiment), own in entries.items():
        names = [name for name in own[0][1] if name not in (*AXES, *CHILD_AXES)]
        factors = [name for name in names if len({labels[name] for _, labels in own}) > 1]
        if len(factors) < 2:
            continue
        places = {}
        for _, labels in own:
            places.setdefault(tuple(labels[name] for name in factors), []).append(labels)
        apart = [name for name in AXES if any(len({one[name] for one in same}) > 1 for same in places.values())]
        settings = {}
        for cell_id, labels in own:
            place = {name: labels[name] for name in factors}
            settings.setdefault(" · ".join(labels[name] for name in apart), {})[cell_id] = place
        found += [Grid(study, experiment, setting, factors, own) for setting, own in settings.items()]
    return found
