"""Evidence on weights: what stays exactly unchanged and why, how far networks move from their start, equal filters."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.measured import CORRELATION, PERCENT, RATIO, Measured, exact, less, measured
from weight_atlas.reporting.exhibits.features import filters
from weight_atlas.reporting.exhibits.weights import movement, unchanged
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.tables import Tables, last

EXPLAINED = 0.99  # the structural part of what is unchanged from which on structure explains it


def _totals(tables: Tables, architectures: Collection[str]) -> pd.DataFrame:
    """unchanged.csv of whole networks of some architectures, with `cell` as it is called in words."""
    found: pd.DataFrame = unchanged.totals(tables)
    own = tables.architectures()
    labels = tables.cells.set_index("cell_id")
    found = found.assign(
        architecture=found["cell_id"].map(labels["network"]).map(own),
        cell=found["cell_id"].map(labels["network"] + " on " + labels["dataset"] + ", " + labels["label"]),
    )
    found = found[found["architecture"].isin(list(architectures))]
    if found.empty:
        raise NothingToShow(f"no network of the architecture {' or '.join(architectures)} has finished.")
    return found


def unchanged_share(tables: Tables, *, architectures: list[str]) -> list[Measured]:
    """The share of parameters whose 32-bit value is that of the start, cell by cell, where padding can leave any."""
    found = _totals(tables, architectures)
    return _shares(_padded(found), "share", "unchanged")


def changed_share(tables: Tables, *, architectures: list[str]) -> list[Measured]:
    """The share of parameters whose 32-bit value is not that of the start, cell by cell."""
    found = _totals(tables, architectures)
    return _shares(found.assign(changed_share=1 - found["share"]), "changed_share", "changed")


def _padded(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of networks in which padding can leave weights unchanged."""
    found = found[found["taps"] > 0]
    if found.empty:
        raise NothingToShow("no network has weights that only ever multiply zero padding.")
    return found


def _shares(found: pd.DataFrame, column: str, words: str) -> list[Measured]:
    """A column of replicates, a share of the parameters, one number a cell."""
    made = []
    for cell_id, own in _by_cell(found):
        name = own["cell"].iloc[0]
        made.append(measured(f"{name}: {words}", own[column], PERCENT, [cell_id], cell_id, 1 / own["size"].max()))
    return made


def _by_cell(found: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """(cell_id, its rows) of each cell."""
    for cell_id in dict.fromkeys(found["cell_id"]):
        yield cell_id, found[found["cell_id"] == cell_id]


def structural(tables: Tables, *, architectures: list[str]) -> list[Measured]:
    """Whether what is unchanged are weights that only ever multiply zero padding, counted from the shapes; exact."""
    found = _padded(_totals(tables, architectures))
    made = []
    for cell_id, own in _by_cell(found):
        part = (own["structural"] * own["size"] / own["unchanged"]).where(own["unchanged"] > 0, 0.0)
        words = (
            f"{own['cell'].iloc[0]}: {style.percent(part.min())} of what is unchanged only ever multiplies zero padding"
        )
        made.append(exact(words, bool((part >= EXPLAINED).all()), [cell_id], cell_id))
    return made


def distance(
    tables: Tables, *, optimizer: str, architectures: list[str], against: str = "", beside: list[str] | None = None
) -> list[Measured]:
    """How far networks end from their start, relative to its norm: as a ratio to the same with another optimizer, or
    to another network with the same optimizer on the same data.

    optimizer, against : types of optimizers. architectures, beside : of the networks.
    """
    rows, axes = _of_kinds(tables, last(movement.steps(tables, "start"), "to_epoch"))
    rows = rows.assign(size=np.log(rows["relative"]))
    made = []
    for (dataset, network), own in rows[rows["family"].isin(architectures)].groupby(["dataset", "network"], sort=False):
        one, group = own[own["rule"] == optimizer], f"{network} on {dataset}"
        others = {f"with {against}": own[own["rule"] == against]} if against else {}
        if beside is not None:
            there = rows[(rows["dataset"] == dataset) & (rows["rule"] == optimizer) & rows["family"].isin(beside)]
            others |= {f"of {name}": part for name, part in there.groupby("network", sort=False)}
        for what, other in others.items():
            if len(one) and len(other):
                words = f"relative distance of {group} with {optimizer} over that {what}"
                cells = {*one["cell_id"], *other["cell_id"]}
                made.append(measured(words, less(one, other, "size", axes), RATIO, cells, group))
    if not made:
        raise NothingToShow(f"no two networks to compare were trained with {optimizer}.")
    return made


def _of_kinds(tables: Tables, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows of a table with `rule`, the type of optimizer, and `family`, the architecture; and the axes but data set,
    network and optimizer in which the cells differ."""
    axes = [axis for axis in tables.axes if axis not in ("dataset", "network", "optimizer")]
    labels = tables.cells[["cell_id", *(axis for axis in axes if axis not in rows)]]
    settings = {cell: tables.settings[cell] for cell in tables.cells["cell_id"]}
    rules = {cell: one.training.optimizer.type for cell, one in settings.items() if not one.is_given}
    rows = rows.merge(labels, on="cell_id")
    return rows.assign(rule=rows["cell_id"].map(rules), family=rows["network"].map(tables.architectures())), axes


def identical(tables: Tables, *, variant: str) -> list[Measured]:
    """Whether filters that begin alike stay alike, to the bit: with equal incoming weights, or outgoing ones too."""
    _, rows = filters.identical_rows(tables)
    found = filters.outcome(rows)
    if variant not in found:
        raise NothingToShow(f"no run with {filters.VARIANTS[variant]} has a snapshot.")
    cells = rows.loc[rows["variant"] == variant, "cell_id"]
    return [exact(filters.phrase(variant, found[variant]), bool(found[variant]["equal"]), cells)]


def correlation(tables: Tables, *, outcome: str, architectures: list[str], first: str, second: str) -> list[Measured]:
    """How much more the features of networks correlate with one optimizer than with another, by seed and by the levels
    of other axes that both have, over which it is averaged.

    outcome : mean_correlation or mean_absolute, of features.csv. first, second : types of optimizers.
    """
    rows: pd.DataFrame = tables.done("features")
    rows, axes = _of_kinds(tables, rows[rows["of"] == "activations"])
    words = {"mean_absolute": "mean |r|", "mean_correlation": "mean r"}[outcome]
    made = []
    for (dataset, network), own in rows[rows["family"].isin(architectures)].groupby(["dataset", "network"], sort=False):
        one, other = (own[own["rule"] == rule] for rule in (first, second))
        if len(one) and len(other):
            group, cells = f"{network} on {dataset}", {*one["cell_id"], *other["cell_id"]}
            told = f"{words} of {group}, {first} less {second}"
            made.append(measured(told, less(one, other, outcome, axes), CORRELATION, cells, group))
    if not made:
        raise NothingToShow(f"no network was trained with {first} and with {second}.")
    return made


EVIDENCE: Mapping[str, Any] = {
    "unchanged": unchanged_share,
    "changed": changed_share,
    "structural": structural,
    "distance": distance,
    "identical": identical,
    "feature-correlation": correlation,
}
