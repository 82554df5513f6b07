"""Answers on distances and on correlations, by network and data set."""

from dataclasses import replace

from weight_atlas.reporting.exhibits.design.outcomes import outcome, replicates
from weight_atlas.reporting.exhibits.design.spans import spans
from weight_atlas.reporting.grammar.answers import Answer
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.vocabulary import Kind


def way(tables: Tables) -> list[Answer]:
    """How far weights end from their start, or from the first file of given checkpoints."""
    given = set(tables.cells["kind"]) == {Kind.GIVEN}
    start = "first file" if given else "start"
    told = replace(outcome("distance"), words=f"distance from the {start}, relative to its norm")
    said = f"the weights move by {{}} of their norm at the {start}."
    return spans(tables, told, replicates(tables, "distance"), said)


def independence(tables: Tables) -> list[Answer]:
    """How strongly features are correlated, and the weights that make them."""
    rows, told = tables.done("features"), outcome("features.mean_absolute")
    words = {"activations": "mean |r| of two features", "weights": "mean |r| of the weights of two features"}
    rows, made = rows.assign(value=rows["mean_absolute"]), []
    for name, said in words.items():
        if len(own := rows[rows["of"] == name]):
            made += spans(tables, replace(told, words=said), own, f"the {said} is {{}}.")
    return made
