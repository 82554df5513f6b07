"""Learning rates that an experiment's cells were tuned over: what is said of them, and which were chosen."""

from typing import Any

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.effects import records
from weight_atlas.reporting.exhibits.runs.runs import WORDS
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, mean_text, plural, slug
from weight_atlas.shapes import Experiment

NOT_TUNED = "Each optimizer is at one learning rate, not tuned."


def said(experiment: Experiment) -> str:
    """At which learning rates cells are compared: a sentence; empty where no optimizers are compared, or tuned."""
    if experiment.rates < 2:
        return NOT_TUNED if experiment.rates else ""
    return f"Each is at the best of {experiment.rates} learning rates, chosen on validation accuracy."


def explained(experiment: Experiment) -> str:
    """As `said`, and how a choice does not flatter what it chose."""
    how = "The replicates that chose it are not among those compared, so that no accuracy owes anything to the choice."
    return " ".join(filter(None, [said(experiment), how if experiment.rates > 1 else ""]))


def table(tables: Tables, experiment: Experiment) -> list[Exhibit]:
    """Validation accuracy at each learning rate, and which one was chosen.

    Raises
    ------
    NothingToShow
        Where nothing is tuned.
    """
    if experiment.rates < 2:
        raise NothingToShow(f"no learning rate of {grid.label(experiment)} is tuned.")
    found = grid.cells_of(tables, experiment)
    tuning: pd.DataFrame = tables.table("tuning")
    tuning = tuning[(tuning["study"] == tables.study) & (tuning["experiment"] == experiment.name)]
    best = tuning[tuning["best"]].drop_duplicates("tuned").set_index("cell_id")["tuned"]
    named = found.cells.assign(tuned=found.cells["cell_id"].map(best))
    rows: list[dict[str, Any]] = []
    ends: list[str] = []
    for cell in records(named):
        own = tuning[tuning["tuned"] == cell["tuned"]]
        labels = {WORDS.get(name, name): cell[name] for name in grid.columns(experiment)}
        rates = own.drop_duplicates("cell_id").sort_values("lr")
        for rate in records(rates):
            runs = own[own["cell_id"] == rate["cell_id"]]
            mean, chose = (grid.interval(part["valid_accuracy"]) for part in (runs, runs[runs["chooses"]]))
            rows.append(
                labels
                | {
                    "lr": f"{rate['lr']:g}",
                    "validation accuracy": mean_text(mean, 100, 1, bounds=SHARE) if mean["n"] else "none",
                    "of those that chose": f"{100 * chose['mean']:.1f}" if chose["n"] else "none",
                    "taken": "yes" if rate["best"] else "",
                }
            )
        if rates["best"].iloc[0] or rates["best"].iloc[-1]:
            ends.append(f"{' · '.join(labels.values())} ({rates.loc[rates['best'], 'lr'].iloc[0]:g})")
    frame = pd.DataFrame(rows)
    caption = (
        "Validation accuracy in percent at its best epoch, mean ± half its 95 % interval, at each learning rate that "
        "was tried, of all replicates and of those that chose. A diverged replicate counts as 0. "
        f"{_ends(ends)}"
    )
    alt = f"Table of {plural(len(rows), 'rate')} of {plural(len(named), 'cell')}."
    name = slug(grid.prefix(experiment), "tuning")
    return [Exhibit(name, "Learning rates that were tried", caption, alt, frame, columns=list(frame))]


def _ends(cells: list[str]) -> str:
    """What is said where the best rate is the lowest or the highest that was tried."""
    if not cells:
        return ""
    return f"Best at the lowest or the highest rate, so that rates beyond may be better: {', '.join(cells)}."
