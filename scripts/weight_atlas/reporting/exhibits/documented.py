"""What a document reports beside the same numbers here: a row each, from the lists of numbers in its document.yaml.

A number says `what` it is, what the document `says`, and of which kind it is (`of`: a name in KINDS); `where` and
`architecture` choose cells, `note` is a remark. The other keys are the kind's own.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits import networks
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.networks import COUNTS
from weight_atlas.reporting.exhibits.runs import beside
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, SIZE, mean_text, plural
from weight_atlas.vocabulary import Role

Number = Mapping[str, Any]
NONE = "none"  # where the study has no such cell


def numbers(tables: Tables, *, reported: str) -> list[Exhibit]:
    """The document's numbers beside the workflow's own.

    Parameters
    ----------
    reported : str
        The list of numbers in the document that is shown.
    """
    given = tables.document.get(reported, [])
    if not given:
        raise NothingToShow(f"the study's document has no numbers called {reported}.")
    rows = []
    for one in given:
        row = {"what": one["what"], "document": str(one["says"]), "here": KINDS[one["of"]](tables, one)}
        rows.append(row | {"it is that of": _meant(one), "note": one.get("note", "")})
    frame = pd.DataFrame(rows)
    if (frame["here"] == NONE).all():
        raise NothingToShow("the study has nothing of which the document gives a number.")
    columns = [name for name in frame if (frame[name] != "").any()]
    caption = (
        f"Numbers of the {tables.document.get('source', 'document')}, and ours here. The numbers after ± are half a "
        f"95 % interval; the document has one run. {shortfall(tables)}"
    )
    alt = f"Table of {plural(len(rows), 'number')} of the document, each beside the same here."
    return [Exhibit(f"documented-{reported}", "The document's numbers and ours", caption, alt, frame, columns=columns)]


def _chosen(tables: Tables, one: Number) -> Tables | None:
    """The cells that a number is about: those with its labels (`where`) and of its architectures; None without any."""
    cells = tables.cells
    for column, label in one.get("where", {}).items():
        cells = cells[cells[column] == str(label)] if column in cells else cells[:0]
    if "architecture" in one:
        known = tables.settings
        cells = cells[[known[cell].network.architecture in one["architecture"] for cell in cells["cell_id"]]]
    return None if cells.empty else tables.only(cells["cell_id"])


def _network(tables: Tables, one: Number) -> str:
    """A count of the networks here: "lenet5: 61,706"."""
    found = _chosen(tables, one)
    if found is None:
        return NONE
    counts = {f"{form.network}: {COUNTS[one['count']](form):,}": None for form in networks.forms(found)}
    return "; ".join(counts)


def _meant(one: Number) -> str:
    """The network that a number is exactly that of, where the document.yaml says so (`is`), and its count."""
    if "is" not in one:
        return ""
    form = networks.named(one["is"])
    return f"{form.network}: {COUNTS[one['count']](form):,}"


def _images(tables: Tables, one: Number) -> str:
    """The share of a data set's images in a split: "83.3 % of CIFAR-10 (50,000)"."""
    told = []
    for label, card in beside.cards(tables).items():
        totals = {split: sum(counts) for split, counts in card["counts"].items()}
        if own := totals.get(one["split"]):
            told.append(f"{style.percent(own / sum(totals.values()))} of {label} ({own:,})")
    return "; ".join(told) or NONE


def _metric(tables: Tables, one: Number) -> str:
    """A column of metrics.csv at the last epoch, over the finished replicates of each cell: "0.0859 ± 0.0020"."""
    found = _chosen(tables, one)
    try:
        rows = grid.means(found, one["column"], ["label"], grid.reached(found)) if found is not None else None
    except NothingToShow:
        rows = None
    if rows is None:
        return NONE
    share, bounds = (
        one["column"].endswith("accuracy"),
        SIZE if one["column"].endswith("loss") else (-math.inf, math.inf),
    )
    several = len(rows) > 1
    told = [
        (f"{row['label']}: " if several else "")
        + (mean_text(row, 100, 1, bounds=SHARE) + " %" if share else mean_text(row, bounds=bounds))
        for row in rows.to_dict("records")
        if row["n"]
    ]
    return "; ".join(told) or NONE


def _cells(tables: Tables, one: Number) -> str:
    """How many models a replicate is: "54 trained, 108 perturbed and trained again"."""
    grid_, children = _chosen(tables, one), tables.children and _chosen(tables.children, one)
    trained = 0 if grid_ is None else len(grid_.cells)
    again = 0 if children is None else int((children.cells["role"] == Role.PERTURBED).sum())
    return f"{trained} trained, {again} perturbed and trained again"


KINDS: dict[str, Callable[[Tables, Number], str]] = {
    "network": _network,
    "images": _images,
    "metric": _metric,
    "cells": _cells,
}
