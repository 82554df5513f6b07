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
    words = f"distance from the {'first file' if given else 'start'}, relative to its norm"
    return [spans(tables, replace(outcome("distance"), words=words), replicates(tables, "distance"))]


def independence(tables: Tables) -> list[Answer]:
    """How strongly features are correlated, and the weights that make them."""
    rows, told = tables.done("features"), outcome("features.mean_absolute")
    words = {"activations": "mean |r| of two features", "weights": "mean |r| of the weights of two features"}
    return [
        spans(tables, replace(told, words=words[name]), own.assign(value=own["mean_absolute"]))
        for name in words
        if len(own := rows[rows["of"] == name])
    ]
