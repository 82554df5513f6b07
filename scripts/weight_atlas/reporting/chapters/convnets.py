"""The chapter on convolutional networks: what each part of one buys, what a new last layer does, what filters show."""

from contextlib import suppress

from weight_atlas.reporting.chapters import study
from weight_atlas.reporting.claims import claims_convnets
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.experiments import features_depth, steps, sweeps
from weight_atlas.reporting.exhibits.features import filters
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.exhibit import NothingToShow

TITLE = "Convolutional networks"

PARTS = {
    "path": steps.path,
    "methods": steps.methods,
    "course": steps.models,
    "gap": steps.gap,
    "rates": sweeps.rates,
    "momentum": sweeps.momentum,
    "sources": study.PARTS["sources"],
    "last-layer": features_depth.course,
    "last-layer-gap": features_depth.gap,
    "last-layer-table": features_depth.table,
    "filter-weights": filters.weights,
    "filter-activations": filters.activations,
    "identical": filters.identical,
}

CLAIMS = claims_convnets.TESTS


def exhibits(tables):
    """The study's exhibits, list[Exhibit]; reasons for those left out go to tables.left_out."""
    return exhibit.build(PARTS, tables)


def facts(tables):
    """Those of every study, each cell once, and `answers`: question -> its sentences, of which `sentences` has the
    first of each."""
    found = study.facts(tables.part()) | {"left_out": list(tables.left_out)}
    found["answers"], found["answer_sources"] = study.answers(QUESTIONS, tables)
    for key in ("parts", "sweeps", "last-layer", "filters"):
        found["sentences"] += found["answers"][key][:1]
    return found


def swept(tables):
    """Which learning rate and which momentum are best, and what diverged."""
    answers = []
    for axis, (experiment, words, _) in sweeps.SWEEPS.items():
        with suppress(NothingToShow):
            found = grid.part(tables, experiment, axis)
            best, rows = sweeps.against_best(found, axis)
            own = grid.reached(found)
            mean = grid.interval(own.loc[own[axis] == best, "best_valid"])
            equal = [row["level"] for row in rows if not row["q"] < grid.LEVEL]
            text = f"The best {words} is {best}, with a test accuracy of {grid.share(mean)}"
            text += f"; not clearly worse: {', '.join(equal)}" if equal else "; all others are clearly worse"
            status = found.status()
            gone = [getattr(cell, axis) for cell in found.cells.itertuples() if status.loc[cell.cell_id, "diverged"]]
            answers.append(f"{text}." + (f" Runs diverged at {', '.join(gone)}." if gone else ""))
    if not answers:
        raise NothingToShow("the config asks for no sweep.")
    return answers


def overfitted(tables):
    """How far training accuracy is above test accuracy, from the widest gap to the narrowest."""
    found, names = steps.steps(tables)
    rows = grid.reached(found)
    gaps = {name: grid.interval(rows.loc[rows[steps.AXIS] == name, "gap"].dropna()) for name in names}
    gaps = {name: one for name, one in gaps.items() if one["n"]}
    if not gaps:
        raise NothingToShow("no step has finished.")
    wide, narrow = max(gaps, key=lambda name: gaps[name]["mean"]), min(gaps, key=lambda name: gaps[name]["mean"])
    return [
        f"Training less test accuracy at the last epoch is widest in {wide}, {grid.amount(gaps[wide])}, and "
        f"narrowest in {narrow}, {grid.amount(gaps[narrow])}."
    ]


QUESTIONS = {
    "parts": steps.answer,
    "gap": overfitted,
    "sweeps": swept,
    "last-layer": features_depth.answer,
    "filters": filters.answer,
}
