"""The exhibits and computed sentences of every study; the whole chapter of one that has no module of its own."""

from contextlib import suppress
from dataclasses import asdict

from weight_atlas.faults import spared
from weight_atlas.reporting.exhibits.runs import runs
from weight_atlas.reporting.exhibits.runs.runs import PROTOCOLS, accuracy_means, cell_name, plural
from weight_atlas.reporting.exhibits.runs.training import training_curves
from weight_atlas.reporting.exhibits.weights import layers, movement
from weight_atlas.reporting.exhibits.weights.statistics import statistics
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.dots import fate, remarks, unlearnt
from weight_atlas.reporting.grammar.exhibit import NothingToShow
from weight_atlas.reporting.grammar.source import recorded

PARTS = {
    "accuracy": runs.accuracy,
    "accuracy-table": runs.accuracy_table,
    "sources": runs.sources,
    "training-curves": training_curves,
    "movement": movement.movement,
    "movement-layers": layers.movement_layers,
    "statistics": statistics,
}


def exhibits(tables):
    """The study's exhibits, list[Exhibit]; reasons for those left out go to tables.left_out."""
    return exhibit.build(PARTS, tables)


def facts(tables):
    """Computed numbers and sentences that a chapter may quote: cells, replicates, best (a dict a data set), trouble (a
    sentence a cell with unfinished replicates), sentences (the study in short), left_out (`exhibits` fills it)."""
    total = {name: int(count) for name, count in tables.status().sum().items()}
    best = best_cells(tables)
    sentences = [replicates_sentence(tables, total)] + best_sentence(best)
    found = {
        "study": tables.study,
        "cells": len(tables.cells),
        "datasets": tables.values("dataset"),
        "networks": tables.values("network"),
        "replicates": total,
        "best": best,
        "trouble": trouble(tables),
        "sentences": sentences,
        "left_out": list(tables.left_out),
    }
    if tables.sources is not None:
        found["sources"] = len(tables.sources.cells)
        count = len(tables.sources.cells)
        are = "is" if count == 1 else "are"
        sentences[0] += f" {plural(count, 'source cell')}, whose weights others start from, {are} told apart."
    return found


def replicates_sentence(tables, total):
    """ "The study has 18 cells with 54 replicates: all finished." or how many did not."""
    text = f"The study has {plural(len(tables.cells), 'cell')} with {plural(total['asked'], 'replicate')}"
    ended = f"{total['done']} finished, {fate(total)}" if total["done"] < total["asked"] else "all finished"
    return " ".join(filter(None, [f"{text}: {ended}.", unlearnt(total["unlearnt"])]))


def trouble(tables):
    """A sentence for each cell with replicates that did not finish, or never learnt."""
    status = tables.status()
    short = status[(status["done"] < status["asked"]) | (status["unlearnt"] > 0)]
    return [
        f"Of the {plural(of['asked'], 'replicate')} of {cell_name(tables, cell)}, "
        f"{of['done']} finished ({remarks(of)})."
        for cell, of in short.iterrows()
    ]


def best_cells(tables):
    """The cell with the highest mean test accuracy at the last epoch, for each data set, with its sentence."""
    try:
        means = accuracy_means(tables)
    except NothingToShow:
        return []
    means = means[means["protocol"] == "last"]
    found = []
    for dataset, cells in means.groupby("dataset", sort=False):
        top = cells.loc[cells["mean"].idxmax()]
        name = cell_name(tables, top["cell_id"])
        found.append(
            {
                "dataset": dataset,
                "cell_id": top["cell_id"],
                "cell": name,
                **{column: top[column] for column in ("mean", "low", "high", "n", "of")},
                "words": f"{runs.mean_text(top, 100, 1)} % on {dataset} ({name.removeprefix(f'{dataset}, ')})",
            }
        )
    return found


def best_sentence(best):
    """One sentence on the best cells of all data sets, in a list; [] without any."""
    named = len(best) <= 3  # more cells than that by name are no sentence any more; the table has them
    words = "; ".join(item["words"] if named else item["words"].partition(" (")[0] for item in best)
    return [f"The highest mean test accuracy ({PROTOCOLS['last'][0]}) is {words}."] if best else []


def best_answer(_, best):
    """As `best_sentence`, of a question's numbers."""
    return best_sentence(best)


def answers(questions, tables):
    """({question: its sentences}, {question: their source, a dict}); no sentence where there is nothing to tell.

    questions: {question: function of tables}.
    """
    told, sources = {}, {}
    for key, answer in questions.items():
        told[key] = []
        with recorded(answer) as source, suppress(NothingToShow), spared(tables.faults, f"the answer to {key}"):
            told[key] = answer(tables)
        sources[key] = asdict(source)
    return told, sources


def reckoned(questions, tables):
    """({question: the numbers behind its answer}, {question: its sentences}, {question: their source, a dict}); numbers
    and sentences are [] where there is nothing to tell.

    questions: {question: (function of tables, function of tables and these numbers)}.
    """
    numbers, told, sources = {}, {}, {}
    for key, (count, answer) in questions.items():
        numbers[key], told[key] = [], []
        with recorded(count, answer) as source, suppress(NothingToShow), spared(tables.faults, f"the answer to {key}"):
            found = count(tables)
            numbers[key], told[key] = found, answer(tables, found)
        sources[key] = asdict(source)
    return numbers, told, sources
