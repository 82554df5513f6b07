"""A study in short: its cells and replicates, its best cells, and what became of the others."""

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import PROTOCOLS, accuracy_means, cell_name
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.grammar.dots import fate, remarks, unlearnt
from weight_atlas.reporting.grammar.words import mean_text, plural
from weight_atlas.vocabulary import TRANSFERRED, Kind


def facts(tables):
    """Computed numbers and sentences that a chapter may quote: cells, replicates, best (a dict a data set), trouble (a
    sentence a cell with unfinished replicates), sentences (the study in short), left_out (`exhibits` fills it)."""
    tables = tables.part()  # a cell may stand in two experiments
    total = {name: int(count) for name, count in tables.status().sum().items()}
    best = best_cells(tables)
    sentences = [files_sentence(tables, total) or replicates_sentence(tables, total)] + best_sentence(best)
    sentences += transfers_sentence(tables)
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


def files_sentence(tables, total):
    """ "12 files in 3 series." where all cells are given checkpoints; otherwise empty."""
    if set(tables.cells["kind"]) != {Kind.GIVEN}:
        return ""
    files = sum(len(tables.settings[cell.cell_id].snapshots) * cell.replicates for cell in tables.cells.itertuples())
    return f"{plural(files, 'file')} in {total['asked']} series."


def transfers_sentence(tables):
    """ "Transfers have 39 replicates: all finished." or how many did not, in a list; empty where nothing transfers."""
    if not tables.rows["role"].isin(TRANSFERRED).any():
        return []
    total = transfers.status(tables)
    ended = "all finished" if total["done"] >= total["asked"] else f"{total['done']} finished, {fate(total)}"
    return [f"Transfers have {plural(total['asked'], 'replicate')}: {ended}."]


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
                "words": f"{mean_text(top, 100, 1)} % on {dataset} ({name.removeprefix(f'{dataset}, ')})",
            }
        )
    return found


def best_sentence(best):
    """One sentence on the best cells of all data sets, in a list; [] without any."""
    named = len(best) <= 3  # more cells than that by name are no sentence any more; the table has them
    words = "; ".join(item["words"] if named else item["words"].partition(" (")[0] for item in best)
    return [f"The highest mean test accuracy ({PROTOCOLS['last'][0]}) is {words}."] if best else []


def best_answer(tables):
    """As `best_sentence`, of the study's cells."""
    return best_sentence(best_cells(tables))


def reached(tables, experiment):
    """As `best_sentence`, of an experiment's cells."""
    return best_sentence(best_cells(tables.part(experiment=experiment.name) if experiment.name else tables))
