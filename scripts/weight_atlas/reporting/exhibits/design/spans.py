"""What a number is in the cells of each network and data set: the lowest and the highest mean, never their mean."""

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.effects import records
from weight_atlas.reporting.exhibits.design.grid import Row
from weight_atlas.reporting.exhibits.design.outcomes import Outcome
from weight_atlas.reporting.grammar.answers import Answer, number
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.stats import summarise
from weight_atlas.vocabulary import NO_DATA


def spans(tables: Tables, outcome: Outcome, values: pd.DataFrame, said: str) -> list[Answer]:
    """The lowest and the highest mean of a cell with their intervals, an answer for each network and data set.

    Parameters
    ----------
    tables : Tables
    outcome : Outcome
        What the values are, and how they are written.
    values : DataFrame
        cell_id, seed and value of finished replicates.
    said : str
        The sentence, with {} for the numbers.
    """
    means = summarise(values.dropna(subset="value"), ["cell_id"], "value")
    rows = records(tables.cells[["cell_id", "network", "dataset", "label"]].merge(means, on="cell_id"))
    if not rows:
        raise NothingToShow(f"no finished replicate has a value of {outcome.words}.")
    places: dict[str, list[Row]] = {}
    for row in rows:
        places.setdefault(place(row), []).append(row)
    made = []
    for where, own in places.items():
        numbers = [number(f"{outcome.words}, {where}, {row['label']}", row, outcome.text(row)) for row in own]
        sure = f"95 % intervals of cells' means, {grid.seeds(own)}"
        made.append(Answer(said.format(_span(outcome, own)), None, where, tuple(numbers), sure))
    return made


def place(row: Row) -> str:
    """ "lenet5 on digits"; given checkpoints need no data set."""
    return f"{row['network']} on {row['dataset']}" if row["dataset"] not in ("", NO_DATA) else str(row["network"])


def _span(outcome: Outcome, rows: list[Row]) -> str:
    """ "0.17 [0.16, 0.18] (kaiming · adam) to 0.42 [0.40, 0.44] (xavier · sgd)"; one number where all are alike."""
    ends = sorted(rows, key=lambda row: float(row["mean"]))
    if outcome.text(ends[0]) == outcome.text(ends[-1]):
        return outcome.text(ends[0])
    return " to ".join(f"{outcome.text(row)} ({row['label']})" for row in (ends[0], ends[-1]))
