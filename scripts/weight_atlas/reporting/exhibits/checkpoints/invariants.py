"""What must hold exactly at the checkpoints: frozen tensors, biases of 0 and weights of 1 before training."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from weight_atlas.reporting.exhibits.checkpoints.checkpoints import (
    CUSTOM,
    at_checkpoints,
    families,
    models,
    points,
    shown,
)
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import plural
from weight_atlas.settings import Frozen, Settings

Statement = tuple[str, int, int]  # its words, the tensors that it is about, and for how many of them it holds


def invariants(tables: Tables) -> list[Exhibit]:
    """A table of what must hold exactly, and whether it does, model by model."""
    found, made = checked(tables), []
    for family in families(tables):
        table = found[found["cell_id"].isin(family.cells["cell_id"])].drop(columns="cell_id").reset_index(drop=True)
        if table.empty:
            continue
        caption = (
            "What must hold to the last bit, in every finished replicate: the layers that are frozen between two "
            "checkpoints, with their running statistics, and the values before training. Tensors of all replicates are "
            f"counted. {shortfall(tables)}"
        )
        alt = (
            f"Table of {plural(len(table), 'exact statement')} on {family.network}, of which "
            f"{(table['holds'] != 'yes').sum()} do not hold."
        )
        exhibit = family.exhibit("invariants", "What must hold exactly", caption, alt, table)
        made.append(replace(exhibit, behind="between"))
    return made


def checked(tables: Tables) -> pd.DataFrame:
    """One row a statement and model: cell_id, model, statement, tensors (that it is about), exact (of them), holds."""
    rows = [
        (cell_id, label, *statement)
        for family in families(tables)
        for cell_id, label in zip(family.cells["cell_id"], family.cells["label"], strict=True)
        for statement in (*_frozen(tables, cell_id), *_before_training(tables, cell_id))
    ]
    found = pd.DataFrame(rows, columns=["cell_id", "model", "statement", "tensors", "exact"])
    return found.assign(holds=(found["tensors"] == found["exact"]).map({True: "yes", False: "no"}))


def _before_training(tables: Tables, cell_id: str) -> Iterator[Statement]:
    """What holds of a cell's values at its first checkpoint, where that is before training."""
    first = first_statistics(tables)
    own = first[first["cell_id"] == cell_id]
    norm = own["layer"].isin(own.loc[own["parameter"] == "running_mean", "layer"])
    weight, bias = (own["parameter"] == name for name in ("weight", "bias"))
    custom = models(tables)[cell_id] == CUSTOM
    drawn = custom | own["layer"].isin(fresh(tables, cell_id, own))
    parts = [
        (f"{'all biases' if custom else 'the biases of the layers that are drawn'} are 0", bias & ~norm & drawn, 0),
        ("γ of the batch normalisation is 1", weight & norm, 1),
        ("β of the batch normalisation is 0", bias & norm, 0),
    ]
    for words, about, value in parts:
        part = own[about]
        if len(part):
            exact = int(((part["min"] == value) & (part["max"] == value)).sum())
            yield f"{_first_name(tables, cell_id)}: {words}", len(part), exact


def _first_name(tables: Tables, cell_id: str) -> str:
    """The name of a cell's first checkpoint."""
    there = points(tables)
    return str(there.loc[there["cell_id"] == cell_id, "checkpoint"].iloc[0])


def first_statistics(tables: Tables) -> pd.DataFrame:
    """statistics.csv at each cell's first checkpoint, where that is before training."""
    found = at_checkpoints(tables, "statistics")
    first = found["cell_id"].map({cell: _first_name(tables, cell) for cell in found["cell_id"].unique()})
    return found[(found["epoch"] == 0) & (found["checkpoint"] == first)]


def fresh(tables: Tables, cell_id: str, statistics: pd.DataFrame) -> list[str]:
    """The layers of a cell that its start draws, instead of taking them from other weights."""
    start = tables.settings[cell_id].start
    layers = list(statistics["layer"].unique())
    if start.layers is None:
        return layers[-1:] if start.head in (None, "fresh") else []
    if isinstance(start.layers, int):  # a batch normalisation goes with the weight layer before it
        norms = set(statistics.loc[statistics["parameter"] == "running_mean", "layer"])
        first = [name for name in layers if name not in norms][start.layers : start.layers + 1]
        return layers[layers.index(first[0]) :] if first else []
    taken = _selected(layers, start.layers)
    return [name for name in layers if name not in taken]


def _selected(layers: Sequence[str], of: Frozen) -> list[str]:
    """So many of the layers from the input, or those that are named, themselves or by the part that they are in."""
    if isinstance(of, int):
        return list(layers[:of])
    return [name for name in layers if any(f"{name}.".startswith(f"{part}.") for part in of)]


def _frozen(tables: Tables, cell_id: str) -> Iterator[Statement]:
    """Whether the layers that are frozen all the way from one checkpoint of a cell to the next do not change."""
    found = shown(tables, "correlations")
    found = found[(found["comparison"] == "checkpoints") & (found["cell_a"] == cell_id)]
    norms = set(found.loc[found["parameter"] == "running_mean", "layer"])
    order = [name for name in found["layer"].unique() if name not in norms]
    for (first, second), own in found.groupby(["checkpoint_a", "checkpoint_b"], sort=False):
        still = frozen_layers(tables.settings[cell_id], own["epoch_a"].min(), own["epoch_b"].max(), order)
        part = own[own["layer"].isin(still)]
        if len(part):
            words = f"{first} to {second}: the {len(still)} frozen layers do not change"
            yield words, len(part), int((part["changed"] == 0).sum())


def frozen_layers(settings: Settings, begin: int, end: int, order: Sequence[str]) -> list[str]:
    """The layers that are frozen in all epochs after `begin` up to `end`: so many of `order` (weight layers from the
    input), or those that are named."""
    at, frozen = 0, []
    for stage in settings.stages:
        first, at = at, at + stage.epochs
        if at > begin and first < end:
            frozen.append(_selected(order, stage.frozen))
    return [name for name in order if frozen and all(name in own for own in frozen)]
