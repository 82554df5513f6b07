"""Exhibits on what spectra of weights say: do they go with test accuracy, over the cells of a network and data set?"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.checkpoints.checkpoints import fitted
from weight_atlas.reporting.exhibits.runs.runs import intervals, shortfall
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import Answer, Verdict, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import LEVEL
from weight_atlas.reporting.grammar.tables import Tables, last
from weight_atlas.reporting.grammar.words import enumerated, plural, q_words, ranged, slug
from weight_atlas.vocabulary import Protocol

# What is taken of a model's layers: the mean over them; of norms that of logarithms, which is their geometric mean.
QUANTITIES = {"alpha": "exponent α", "stable_rank": "stable rank", "spectral_norm": "spectral norm"}
FEWEST = 5  # cells; fewer ranks cannot be significant


def models(tables: Tables) -> pd.DataFrame:
    """By finished replicate at its last checkpoint: cell_id, seed, and QUANTITIES over its layers, NaN for none."""
    found = last(tables.done("spectra")).assign(spectral_norm=lambda rows: np.log(rows["spectral_norm"]))
    means = found.groupby(["cell_id", "seed"], sort=False)[[*QUANTITIES]].mean().reset_index()
    return means.assign(spectral_norm=np.exp(means["spectral_norm"]))


def cells(tables: Tables) -> pd.DataFrame:
    """By cell: cell_id, label, network, dataset, the means of QUANTITIES over replicates, and n, mean, low and high of
    the test accuracy at the last epoch."""
    means = models(tables).groupby("cell_id", sort=False)[[*QUANTITIES]].mean().reset_index()
    reached = tables.summary("accuracy")
    reached = reached.loc[reached["key"] == Protocol.LAST, ["cell_id", "n", "mean", "low", "high"]]
    named = tables.cells[["cell_id", "label", "network", "dataset"]]
    return named.merge(means, on="cell_id").merge(reached, on="cell_id")


def _places(tables: Tables) -> Iterator[tuple[str, pd.DataFrame, list[dict[str, Any]]]]:
    """(network on data set, its cells, the rank correlation of each quantity with accuracy, with q by Holm)."""
    for (network, dataset), own in cells(tables).groupby(["network", "dataset"], sort=False):
        rows: list[dict[str, Any]] = []
        for name in QUANTITIES:
            known = own[own[name].notna()]
            found = stats.rank_correlation(known[name], known["mean"])
            rows.append({"quantity": name, **found._asdict(), "mean": found.correlation})
        corrected = stats.holm([row["p"] for row in rows])
        yield f"{network} on {dataset}", own, [row | {"q": q} for row, q in zip(rows, corrected, strict=True)]


def accuracy(tables: Tables) -> list[Exhibit]:
    """Test accuracy against each quantity, a dot for each cell, a figure for each network and data set."""
    made, fits = [], tables.done("spectra")
    for where, own, rows in _places(tables):
        seen = _told(where, rows).statement
        kept = last(fits[fits["cell_id"].isin(own["cell_id"])])
        of_fits = kept[kept["alpha"].notna()]
        layers = enumerated(list(dict.fromkeys(of_fits["layer"])))
        caption = (
            f"{seen} Each dot is a cell: the mean over its finished seeds and, first, over its layers, at the last "
            f"checkpoint (of norms the geometric mean). {intervals('Vertical lines', own)} α is the exponent of the "
            "power law that fits the tail of the squared singular values best; where the tail begins is chosen layer "
            "by layer by the smallest Kolmogorov-Smirnov distance (Clauset et al. 2009). "
            f"{f'Fitted layers: {layers}.' if layers else 'No layer has 20 singular values to fit.'} {fitted(of_fits)} "
            "ρ is Spearman's correlation over cells, with the interval of Bonett and Wright (2000); p is corrected for "
            f"the three by Holm. Cells differ by design, so that ρ says nothing of causes. {shortfall(tables)}"
        )
        alt = f"Scatter plots of test accuracy against spectra of {plural(len(own), 'cell')}. {seen}"
        title, name = "Do spectra go with accuracy?", slug("spectra-accuracy", where)
        made.append(Exhibit(name, title, caption, alt, own, _figure(own, rows), tab=where))
    return made


def _figure(own: pd.DataFrame, rows: list[dict[str, Any]]) -> Figure:
    fig = style.figure(3.0)
    grid = fig.subplots(1, len(rows), sharey=True)
    for axes, row in zip(grid, rows, strict=True):
        name = row["quantity"]
        for cell in own[own[name].notna()].to_dict("records"):
            marks.dot(axes, cell[name], cell, "cell", "o", style.PALETTE[0], upright=True, scale=100, bounds=(0, 1))
        axes.set_xlabel(f"{QUANTITIES[name]}, mean of layers")
        axes.set_title(f"ρ = {_rho(row)}" if row["n"] >= FEWEST else "too few cells", fontsize=9.5)
    grid[0].set_ylabel("test accuracy (%)")
    marks.legend(fig, grid)
    return fig


def _rho(row: dict[str, Any]) -> str:
    """ "0.81 [0.45, 0.97]"."""
    return ranged(row) if row["mean"] == row["mean"] else "undefined"


def answer(tables: Tables) -> list[Answer]:
    """Does the exponent go with test accuracy, and do the other quantities? By network and data set."""
    found = [_told(where, rows) for where, _, rows in _places(tables)]
    if not found:
        raise NothingToShow("spectra.csv has no cell with a test accuracy.")
    return found


def _told(where: str, rows: list[dict[str, Any]]) -> Answer:
    """Yes where α is clearly correlated; the others beside it."""
    alpha, *others = rows
    if alpha["n"] < FEWEST:
        text = f"α is known of {plural(alpha['n'], 'cell')}; a correlation needs {FEWEST} at least."
        return Answer(text, Verdict.UNDECIDED, where, decide=f"{FEWEST} or more cells")
    clear = alpha["q"] < LEVEL
    higher = f"A higher α goes with {'higher' if alpha['mean'] > 0 else 'lower'} test accuracy"
    text = higher if clear else "α does not clearly go with test accuracy"
    beside = [f"{QUANTITIES[row['quantity']]} {_rho(row)}" for row in others if row["n"] >= FEWEST]
    sentence = f"{text}: Spearman's ρ over {alpha['n']} cells is {_rho(alpha)}{_corrected(alpha)}"
    sentence += f"; of {enumerated(beside)}." if beside else "."
    numbers = tuple(number(f"ρ of {QUANTITIES[row['quantity']]}, {where}", row, _rho(row)) for row in rows)
    return Answer(sentence, Verdict.YES if clear else Verdict.UNDECIDED, where, numbers, f"Holm's p < {LEVEL}")


def _corrected(row: dict[str, Any]) -> str:
    return f" ({q_words(row['q'])} by Holm)" if row["q"] == row["q"] else ""
