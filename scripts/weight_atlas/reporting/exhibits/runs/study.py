"""A study in short: its cells and replicates, its best cells, and what became of the others."""

from collections.abc import Mapping, Sequence
from typing import Any

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import PROTOCOLS, cell_name, with_cells
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.grammar.answers import Answer, number
from weight_atlas.reporting.grammar.dots import Counts, fate, remarks, unlearnt
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, mean_text, plural
from weight_atlas.shapes import Experiment
from weight_atlas.stats import summarise
from weight_atlas.vocabulary import TRANSFERRED, Kind, Protocol


def facts(tables: Tables) -> dict[str, Any]:
    """Computed numbers and sentences that a chapter may quote: cells, replicates, best (a dict a data set), trouble (a
    sentence a cell with unfinished replicates), sentences (the study in short), left_out (`exhibits` fills it)."""
    tables = tables.part()  # a cell may stand in two experiments
    total = {name: int(count) for name, count in tables.status().sum().items()}
    best, sources = best_cells(tables.learnt()), tables.sources
    first = _files(tables, total) or replicates(tables, total)
    if sources is not None:
        are = "is" if len(sources.cells) == 1 else "are"
        first += f" {plural(len(sources.cells), 'source cell')}, whose weights others start from, {are} told apart."
    return {
        "study": tables.study,
        "cells": len(tables.cells),
        "datasets": tables.values("dataset"),
        "networks": tables.values("network"),
        "replicates": total,
        "best": best,
        "trouble": trouble(tables),
        "sentences": [first, *best_sentence(best), *_transfers(tables)],
        "left_out": list(tables.left_out),
        **({} if sources is None else {"sources": len(sources.cells)}),
    }


def _files(tables: Tables, total: Counts) -> str:
    """ "12 files in 3 series." where all cells are given checkpoints; otherwise empty."""
    if set(tables.cells["kind"]) != {Kind.GIVEN}:
        return ""
    named = zip(tables.cells["cell_id"], tables.cells["replicates"], strict=True)
    files = sum(len(tables.settings[cell].snapshots) * count for cell, count in named)
    return f"{plural(files, 'file')} in {total['asked']} series."


def _transfers(tables: Tables) -> list[str]:
    """ "Transfers have 39 replicates: all finished." or how many did not, in a list; empty where nothing transfers."""
    if not tables.rows["role"].isin(TRANSFERRED).any():
        return []
    total = transfers.status(tables)
    return [f"Transfers have {plural(total['asked'], 'replicate')}: {_ended(total)}."]


def replicates(tables: Tables, total: Counts) -> str:
    """ "The study has 18 cells with 54 replicates: all finished." or how many did not."""
    text = f"The study has {plural(len(tables.cells), 'cell')} with {plural(total['asked'], 'replicate')}"
    return " ".join(filter(None, [f"{text}: {_ended(total)}.", unlearnt(total["unlearnt"])]))


def _ended(total: Counts) -> str:
    """ "all finished", or "37 finished, 2 diverged"."""
    return f"{total['done']} finished, {fate(total)}" if total["done"] < total["asked"] else "all finished"


def trouble(tables: Tables) -> list[str]:
    """A sentence for each cell with replicates that did not finish, or never learnt."""
    status = tables.status()
    short = status[(status["done"] < status["asked"]) | (status["unlearnt"] > 0)]
    return [
        f"Of the {plural(of['asked'], 'replicate')} of {cell_name(tables, str(cell))}, "
        f"{of['done']} finished ({remarks(of)})."
        for cell, of in short.iterrows()
    ]


def best_cells(tables: Tables) -> list[dict[str, Any]]:
    """The cell with the highest mean test accuracy at the last epoch, for each data set, with its sentence."""
    try:
        means = with_cells(tables, summarise(tables.done("accuracy"), ["cell_id", "protocol"], "accuracy"))
    except NothingToShow:
        return []
    means = means[means["protocol"] == Protocol.LAST]
    tops: list[Any] = means.loc[means.groupby("dataset", sort=False)["mean"].idxmax()].to_dict("records")
    return [_best(top, cell_name(tables, top["cell_id"])) for top in tops]


def _best(top: Mapping[str, Any], name: str) -> dict[str, Any]:
    dataset = top["dataset"]
    words = (
        f"{mean_text(top, 100, 1, bounds=SHARE)} % on {dataset} ({name.removeprefix(f'{dataset}, ')}; n = {top['n']})"
    )
    means = {column: top[column] for column in ("mean", "low", "high", "n", "of")}
    return {"dataset": dataset, "cell_id": top["cell_id"], "cell": name, **means, "words": words}


def best_sentence(best: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence on the best cells of all data sets, in a list; [] without any."""
    named = len(best) <= 3  # more cells than that by name are no sentence any more; the table has them
    words = "; ".join(item["words"] if named else item["words"].partition(" (")[0] for item in best)
    return [f"The highest mean test accuracy ({PROTOCOLS[Protocol.LAST][0]}) is {words}."] if best else []


def best_answer(tables: Tables) -> list[Answer]:
    """As `best_sentence`, of the study's cells."""
    best = best_cells(tables)
    numbers = tuple(number(f"{item['cell']}, test accuracy", item, item["words"]) for item in best)
    sure = "95 % interval; the highest of several means is too high rather than too low" if best else ""
    return [Answer(text, numbers=numbers, sure=sure) for text in best_sentence(best)]


def reached(tables: Tables, experiment: Experiment) -> list[Answer]:
    """As `best_answer`, of an experiment's cells."""
    return best_answer(tables.part(experiment=experiment.name) if experiment.name else tables)
