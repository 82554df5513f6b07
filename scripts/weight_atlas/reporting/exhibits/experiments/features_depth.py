"""Exhibits on a new last layer on the features of another network: its course, its overfitting, and its numbers."""

import pandas as pd

from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.starts import start
from weight_atlas.reporting.exhibits.experiments import steps
from weight_atlas.reporting.exhibits.runs import course as courses
from weight_atlas.reporting.exhibits.runs.runs import HEADINGS, mean_text, of_asked, shortfall
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.dots import whole
from weight_atlas.reporting.grammar.exhibit import Exhibit, NothingToShow

EXPERIMENT, AXIS = "last-layer", "features"
ALL, FOUR, THREE = "all", "four-blocks", "three-blocks"


def opened(tables):
    """(Tables of the experiment, its levels)."""
    found = grid.part(tables, EXPERIMENT, AXIS)
    return found, grid.levels(found, AXIS, (ALL, FOUR, THREE))


def whence(found):
    """What the cells of some Tables start from, in words."""
    return " and ".join(dict.fromkeys(start(found.settings[cell]) for cell in found.cells["cell_id"]))


def course(tables):
    """Accuracy and loss by epoch; [Exhibit]."""
    found, names = opened(tables)
    told = f"{grid.told('A new last layer', found)}, on features that start from {whence(found)} and stay frozen."
    title = "Training of a new last layer"
    return courses.course(found, AXIS, names, name="last-layer-course", title=title, told=told)


def gap(tables):
    """Overfitting by depth of the features; [Exhibit]."""
    found, names = opened(tables)
    return steps.gaps(found, AXIS, names, names, "last-layer-gap", "Overfitting by depth of the features")


def table(tables):
    """Accuracies and losses beside the document's; [Exhibit]."""
    found, names = opened(tables)
    given = tables.document.get("features", {})
    rows, status, made = grid.reached(found), found.status(), []
    for name in names:
        cell = found.cells[found.cells[AXIS] == name].iloc[0]
        own = rows[rows[AXIS] == name]
        row = {"features": name, "network": cell["network"], "done": of_asked(status.loc[cell["cell_id"]])}
        columns = (("train_accuracy", "train"), *HEADINGS.items(), ("gap", "gap"))
        for column, heading in columns:
            mean = grid.interval(own[column].dropna())
            row[heading] = mean_text(mean, 100, 1) if mean["n"] else "none"
        losses = [grid.interval(own[column].dropna()) for column in ("train_loss", "test_loss")]
        row["loss, train / test"] = " / ".join(style.number(loss["mean"], 3) or "none" for loss in losses)
        one = given.get(name, {})
        row["document, train"] = style.percent(one["train"], 2) if one.get("train") else "none"
        row["document, test"] = one.get("says") or (style.percent(one["test"], 2) if one.get("test") else "none")
        made.append(row)
    frame = pd.DataFrame(made)
    total = status.sum()
    same = {"done": whole(total), "document, train": not given, "document, test": not given}
    columns = [name for name in frame if not same.get(name)]
    caption = (
        f"Accuracy in percent of new layers on frozen features (start: {whence(found)}), mean ± half its 95 % interval "
        "over the finished replicates: on training pictures at the last epoch, on test by three protocols, and their "
        "gap at the last epoch in points; losses at the last epoch. The document's are of one run on Caltech-256, with "
        f"32 training and 8 test pictures a class. {shortfall(found)}"
    )
    alt = f"Table of {len(frame)} depths of features."
    title = "A new last layer in numbers"
    return [Exhibit("last-layer-table", title, caption.strip(), alt, frame, columns=columns)]


def answer(tables):
    """What a new last layer reaches, and what the depth of the features changes."""
    found, names = opened(tables)
    rows = grid.reached(found)
    reached = {name: rows[rows[AXIS] == name] for name in names if (rows[AXIS] == name).any()}
    if not reached:
        raise NothingToShow("no new last layer has finished.")
    words = [
        f"{grid.share(grid.interval(own['best_valid']))} with {name} (gap {grid.amount(grid.interval(own['gap']))})"
        for name, own in reached.items()
    ]
    dataset = found.values("dataset")[0]
    answers = [f"New layers on frozen features ({whence(found)}) reach on test of {dataset} {', '.join(words)}."]
    if {THREE, FOUR} <= set(reached):
        change = grid.paired(reached[THREE], reached[FOUR], "best_valid")
        answers.append(f"Four blocks of features instead of three change test accuracy by {grid.amount(change)}.")
    return answers
