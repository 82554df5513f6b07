"""What must hold exactly at the checkpoints: frozen tensors, biases of 0 and weights of 1 before training."""

import pandas as pd

from weight_atlas.reporting.exhibits.checkpoints.checkpoints import (
    CUSTOM,
    at_checkpoints,
    families,
    models,
    named,
    points,
    shown,
)
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.words import plural


def invariants(tables):
    """A table of what must hold exactly, and whether it does, model by model; list[Exhibit]."""
    found, made = checked(tables), []
    for _, network, cells, tab in families(tables):
        own = found[found["cell_id"].isin(cells["cell_id"])]
        if own.empty:
            continue
        table = own.drop(columns="cell_id").reset_index(drop=True)
        broken = int((table["holds"] != "yes").sum())
        caption = (
            "What must hold to the last bit, in every finished replicate: the layers that are frozen between two "
            "checkpoints, with their running statistics, and the values before training. Counted are tensors of all "
            f"replicates. {shortfall(tables)}"
        )
        alt = f"Table of {plural(len(table), 'exact statement')} on {network}, of which {broken} do not hold."
        made.append(Exhibit(named("invariants", tab), "What must hold exactly", caption.strip(), alt, table, tab=tab))
    return made


def checked(tables):
    """One row a statement and model: cell_id, model, statement, tensors (that it is about), exact (of them), holds."""
    rows = []
    first = first_statistics(tables)
    which = models(tables)
    for _, _, cells, _ in families(tables):
        for cell in cells.itertuples():
            rows += frozen(tables, cell)
            own = first[first["cell_id"] == cell.cell_id]
            norm = own["layer"].isin(own.loc[own["parameter"] == "running_mean", "layer"])
            drawn = own if which[cell.cell_id] == CUSTOM else own[own["layer"].isin(fresh(tables, cell.cell_id, own))]
            biases = drawn[(drawn["parameter"] == "bias") & ~(drawn["layer"].isin(own.loc[norm, "layer"]))]
            what = "all biases" if which[cell.cell_id] == CUSTOM else "the biases of the layers that are drawn"
            values = [
                (f"{what} are 0", biases, 0),
                ("γ of the batch normalisation is 1", own[norm & (own["parameter"] == "weight")], 1),
                ("β of the batch normalisation is 0", own[norm & (own["parameter"] == "bias")], 0),
            ]
            name = first_name(tables, cell.cell_id)
            for words, part, value in values:
                if len(part):
                    exact = int(((part["min"] == value) & (part["max"] == value)).sum())
                    rows.append((cell.cell_id, cell.label, f"{name}: {words}", len(part), exact))
    found = pd.DataFrame(rows, columns=["cell_id", "model", "statement", "tensors", "exact"])
    return found.assign(holds=["yes" if row.tensors == row.exact else "no" for row in found.itertuples()])


def first_name(tables, cell_id):
    """The name of a cell's first checkpoint."""
    there = points(tables)
    return there.loc[there["cell_id"] == cell_id, "checkpoint"].iloc[0]


def first_statistics(tables):
    """statistics.csv at each cell's first checkpoint, where that is before training."""
    found = at_checkpoints(tables, "statistics")
    found = found[found["epoch"] == 0]
    return found[[row.checkpoint == first_name(tables, row.cell_id) for row in found.itertuples()]]


def fresh(tables, cell_id, statistics):
    """The layers of a cell that its start draws, instead of taking them from other weights."""
    start = tables.settings[cell_id].start
    layers = list(dict.fromkeys(statistics["layer"]))
    taken = start.layers
    if taken is None:
        return layers[-1:] if start.head in (None, "fresh") else []
    return [name for name in layers if not any(f"{name}.".startswith(f"{part}.") for part in taken)]


def frozen(tables, cell):
    """Rows of `checked`: tensors of the layers that are frozen all the way from one checkpoint to the next."""
    found = shown(tables, "correlations")
    found = found[(found["comparison"] == "checkpoints") & (found["cell_a"] == cell.cell_id)]
    norms = set(found.loc[found["parameter"] == "running_mean", "layer"])
    order = [name for name in dict.fromkeys(found["layer"]) if name not in norms]
    rows = []
    for (first, second), own in found.groupby(["checkpoint_a", "checkpoint_b"], sort=False):
        still = frozen_layers(tables.settings[cell.cell_id], own["epoch_a"].min(), own["epoch_b"].max(), order)
        part = own[own["layer"].isin(still)]
        if len(part):
            words = f"{first} to {second}: the {len(still)} frozen layers do not change"
            rows.append((cell.cell_id, cell.label, words, len(part), int((part["changed"] == 0).sum())))
    return rows


def frozen_layers(settings, begin, end, order):
    """The layers that are frozen in all epochs after `begin` up to `end`: so many of `order` (weight layers from the
    input), or those that are named."""
    at, kept = 0, None
    for stage in settings.stages:
        first, at = at, at + stage.epochs
        if at <= begin or first >= end:
            continue
        named_ = stage.frozen or []
        own = (
            order[:named_]
            if isinstance(named_, int)
            else [name for name in order if any(f"{name}.".startswith(f"{part}.") for part in named_)]
        )
        kept = own if kept is None else [name for name in kept if name in own]
    return kept or []
