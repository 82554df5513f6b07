"""Exhibits on measures of likeness beside one another: which of them tell models apart that differ in one thing?"""

from collections.abc import Iterator

import pandas as pd

from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.grid import Row
from weight_atlas.reporting.exhibits.design.spans import place
from weight_atlas.reporting.exhibits.features import pairs
from weight_atlas.reporting.exhibits.runs.runs import WORDS
from weight_atlas.reporting.grammar.answers import Answer, Verdict, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.stripplots import strip_plots
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import enumerated, plural, ranged, whole

MEASURES = {"cka": "CKA", "procrustes": "Procrustes", "rsa": "RSA", "neighbours": "nearest\nimages"}
SEED = "seed"  # the factor of two seeds of one cell: what chance gives


def measures(tables: Tables) -> list[Exhibit]:
    """Each measure of likeness by pair of levels, against that of two seeds of one cell."""
    found = pairs.compared(tables, "representations")
    seeds = found["factor"] == SEED
    fig, _ = strip_plots(tables, pairs.chance_first(found), found[seeds], MEASURES, "one pair of models")
    seen = " ".join(one.statement for one in answer(tables))
    caption = (
        f"{seen} Likeness of the penultimate features of two trained models that differ in one thing (rows), from the "
        "same seed, against two seeds of one and the same cell, whose range is shaded: what chance alone gives. All "
        "four are 1 for features that are equal but for rotation, scale and shift. CKA (debiased) weighs large "
        "principal components most; Procrustes, the likeness after the best rotation, weighs all alike and is above 0 "
        "for unrelated features; RSA takes the order of distances between images alone; nearest images, the ten "
        "nearest ones in common less what chance gives, see the near ones alone. "
        f"n = {whole(found['pictures'])} test images. {pairs.sampled(tables, found['factor'].unique())}"
    )
    columns = ["dataset", "network", "pair", *found.columns.drop(["dataset", "network", "pair"])]
    title = "Four measures of likeness"
    return [Exhibit("representations", title, caption, f"Strip plots. {seen}", found[columns], fig)]


def _places(tables: Tables) -> Iterator[tuple[str, dict[str, dict[str, Row]]]]:
    """(network on data set, {factor: {measure: its mean and interval}}, the seeds' first)."""
    places: dict[str, dict[str, dict[str, Row]]] = {}
    rows = pairs.likeness(pairs.chance_first(pairs.compared(tables, "representations")), MEASURES)
    for row in rows:
        places.setdefault(place(row), {}).setdefault(row["factor"], {})[row["measure"]] = row
    yield from places.items()


def table(tables: Tables) -> list[Exhibit]:
    """The means of each measure by factor as a table."""
    rows = []
    for where, factors in _places(tables):
        for factor, own in factors.items():
            pair = "two seeds of one cell" if factor == SEED else f"another {WORDS.get(factor, factor)}"
            row = {"network and data set": where, "pairs": pair}
            rows.append(row | {words.replace("\n", " "): _mean(own[name]) for name, words in MEASURES.items()})
    found = pd.DataFrame(rows)
    caption = (
        "Mean likeness of pairs of models by what they differ in, with 95 % intervals over seeds: the levels are "
        "averaged first; pairs of two seeds share models, and their interval is that of a jackknife over seeds."
    )
    alt = f"Table of four measures of likeness for {plural(len(found), 'kind')} of pairs."
    title = "Measures of likeness in numbers"
    return [Exhibit("representations-table", title, caption, alt, found, behind="representations")]


def _mean(row: Row) -> str:
    """ "0.85 [0.80, 0.90]"; "none" where it is undefined."""
    return ranged(row) if row["n"] else "none"


def answer(tables: Tables) -> list[Answer]:
    """Which measures find models that differ in a factor less, or more, alike than two seeds of one cell?"""
    told = []
    for where, factors in _places(tables):
        chance = factors.pop(SEED, {})
        for factor, own in factors.items() if chance else ():
            told.append(_told(where, WORDS.get(factor, factor), own, chance))
    return told


def _told(where: str, factor: str, own: dict[str, Row], chance: dict[str, Row]) -> Answer:
    sides: dict[str, list[str]] = {"less": [], "more": [], "": []}
    for name, words in MEASURES.items():
        sides[_side(own[name], chance[name])].append(words.replace("\n", " "))
    parts = [f"{side} alike by {enumerated(names)}" for side, names in sides.items() if side and names]
    told = f"Models with another {factor} are {' and '.join(parts)} than two seeds of one cell"
    if not parts:
        told = f"No measure tells models with another {factor} from two seeds of one cell"
    elif sides[""]:
        told += f"; {enumerated(sides[''])} cannot tell"
    numbers = tuple(number(f"{name}, {where}, {factor}", row, _mean(row)) for name, row in own.items() if row["n"])
    sure = f"95 % intervals that lie apart, {grid.seeds([*own.values()])}"
    return Answer(f"{told}.", None if parts else Verdict.UNDECIDED, where, numbers, sure)


def _side(row: Row, chance: Row) -> str:
    """ "less" or "more" alike than chance gives, where the intervals lie apart; else ""."""
    return "less" if row["high"] < chance["low"] else "more" if row["low"] > chance["high"] else ""
