"""The exhibits and computed sentences of every study; the whole chapter of one that has no module of its own."""

from atlas.tell import exhibit, movement, runs, style
from atlas.tell.dots import fate
from atlas.tell.exhibit import NothingToShow
from atlas.tell.runs import PROTOCOLS, accuracy_means, cell_name, plural
from atlas.tell.statistics import statistics
from atlas.tell.training import training_curves

PARTS = {
    "accuracy": runs.accuracy,
    "accuracy-table": runs.accuracy_table,
    "sources": runs.sources,
    "training-curves": training_curves,
    "movement": movement.movement,
    "movement-layers": movement.movement_layers,
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
    sentences = [replicates_sentence(tables, total)] + [item["sentence"] for item in best]
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
        sentences.append(
            f"{plural(len(tables.sources.cells), 'source cell')} trained the weights that others start from; told "
            "apart."
        )
    return found


def replicates_sentence(tables, total):
    """ "The study has 18 cells with 54 replicates: all finished." or how many did not."""
    text = f"The study has {plural(len(tables.cells), 'cell')} with {plural(total['asked'], 'replicate')}"
    ended = f"{total['done']} finished, {fate(total)}" if total["done"] < total["asked"] else "all finished"
    return f"{text}: {ended}."


def trouble(tables):
    """A sentence for each cell with replicates that did not finish."""
    status = tables.status()
    short = status[status["done"] < status["asked"]]
    return [
        f"Of the {plural(of['asked'], 'replicate')} of {cell_name(tables, cell)}, {of['done']} finished ({fate(of)})."
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
        interval = f" (95 % interval {style.percent(top['low'])} to {style.percent(top['high'])})"
        found.append(
            {
                "dataset": dataset,
                "cell_id": top["cell_id"],
                "cell": name,
                **{column: top[column] for column in ("mean", "low", "high", "n", "of")},
                "sentence": f"On {dataset} the highest mean accuracy ({PROTOCOLS['last'][0]}) is "
                f"{style.percent(top['mean'])}{interval if top['n'] > 1 else ''}, that of "
                f"{name.removeprefix(f'{dataset}, ')} ({top['n']} of {plural(top['of'], 'replicate')}).",
            }
        )
    return found
