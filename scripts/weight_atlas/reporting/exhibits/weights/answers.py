"""Answers on distances and on correlations, by network and optimizer."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import span, three
from weight_atlas.vocabulary import Kind


def moved(tables: Tables) -> list[dict[str, Any]]:
    """Relative distance from the start to the last epoch, by network and optimizer: see `spans`."""
    return spans(tables.summary("relative_from_start"))


def correlated(tables: Tables) -> list[dict[str, Any]]:
    """Mean absolute correlation of activations, by network and optimizer: see `spans`."""
    return spans(tables.summary("mean_absolute"))


def spans(means: pd.DataFrame) -> list[dict[str, Any]]:
    """One dict a network: network, by_optimizer (optimizer -> lowest and highest of the means of the cells)."""
    found = []
    for network, cells in means.groupby("network", sort=False):
        ends = cells.groupby("optimizer", sort=False)["mean"].agg(["min", "max"])
        found.append(
            {"network": network, "by_optimizer": {name: [end["min"], end["max"]] for name, end in ends.iterrows()}}
        )
    return found


def told(found: Iterable[dict[str, Any]]) -> str:
    """ "0.28 to 0.42 with sgd and 0.16 to 0.18 with adam in lenet5; ..", of what `spans` returns."""
    return "; ".join(
        " and ".join(span(ends) + (f" with {name}" if name else "") for name, ends in item["by_optimizer"].items())
        + f" in {item['network']}"
        for item in found
    )


def way(tables: Tables) -> list[str]:
    """The answer on distances, from the start or from the first file of given checkpoints."""
    given = set(tables.cells["kind"]) == {Kind.GIVEN}
    whole = (
        "the norm of the first file, the parameters of the last one are"
        if given
        else "the norm of their start, parameters end"
    )
    return [f"Relative to {whole} at a distance of {told(moved(tables))} (lowest and highest mean of a cell)."]


def independence(tables: Tables) -> list[str]:
    """The answer on correlations: of activations, and of the weights beside them."""
    answers = [f"The mean magnitude of the correlation between two features is {told(correlated(tables))}."]
    rows = tables.done("features")
    means: dict[Any, Any] = rows.groupby("of")[["mean_correlation", "mean_absolute"]].mean().to_dict("index")
    if {"activations", "weights"} <= set(means):
        active, weights = means["activations"], means["weights"]
        answers.append(
            f"Over all runs activations have a mean r of {three(active['mean_correlation'])} and a mean |r| of "
            f"{three(active['mean_absolute'])}, the weights that make them {three(weights['mean_correlation'])} and "
            f"{three(weights['mean_absolute'])}."
        )
    return answers
