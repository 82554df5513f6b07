"""Exhibits on augmentation: examples, what each kind changes against pictures that are only doubled, and its course."""

from pathlib import Path

import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas import store
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.grid import chance
from weight_atlas.reporting.exhibits.experiments import steps
from weight_atlas.reporting.exhibits.runs import course
from weight_atlas.reporting.exhibits.runs.runs import HEADINGS, mean_text, of_asked, shortfall
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.dots import ABOVE, whole
from weight_atlas.reporting.grammar.exhibit import Exhibit, NothingToShow
from weight_atlas.reporting.grammar.source import note

EXPERIMENT, AXIS = "augmentation", "augmentation"
NONE, CONTROL = "none", "duplicate"
ORDER = (NONE, CONTROL, "brightness", "flip", "rotation", "zoom", "cutout")
SEED = 3  # of the examples
# outcome -> words of a panel
EFFECTS = {"best_valid": "test accuracy", "gap": "train − test", "valid_accuracy": "validation accuracy"}


def opened(tables):
    """(Tables of the experiment, its levels, `reached` of it)."""
    found = grid.part(tables, EXPERIMENT, AXIS)
    return found, grid.levels(found, AXIS, ORDER), grid.reached(found)


def differences(tables):
    """A list of dicts with outcome, level, n, mean, low, high, p, q: each kind less the control, paired by seed."""
    found, names, rows = opened(tables)
    if CONTROL not in names:
        raise NothingToShow(f"the experiment {EXPERIMENT} has no control {CONTROL}.")
    control, made = rows[rows[AXIS] == CONTROL], []
    for outcome in EFFECTS:
        for name in names:
            if name != CONTROL:
                own = grid.paired(control, rows[rows[AXIS] == name], outcome)
                made.append({"outcome": outcome, "level": name, **own})
    return found, [name for name in names if name != CONTROL], grid.corrected(made)


def effects(tables):
    """A forest of what each kind changes against the control; [Exhibit]."""
    found, names, made = differences(tables)
    fig = style.figure(0.3 * (len(names) + 0.4) + 1.2)
    panels = fig.subplots(1, len(EFFECTS), sharey=True)
    for axes, (outcome, words) in zip(panels, EFFECTS.items(), strict=True):
        axes.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
        for row in made:
            if row["outcome"] == outcome:
                steps.forest(axes, row, names.index(row["level"]), colour=style.PALETTE[0])
        axes.set_title(words)
        axes.set_xlabel("points")
    steps.shade(panels, len(names))
    panels[0].set_yticks(range(len(names)), names)
    look = {"color": style.PALETTE[0], "marker": "o", "markersize": 5, "linestyle": ""}
    handles = [
        Line2D([], [], label=f"q < {grid.LEVEL}", **look),
        Line2D([], [], label=f"q ≥ {grid.LEVEL}, or no test", markerfacecolor="white", **look),
        Line2D([], [], color=style.PALETTE[0], linewidth=1.4, label="95 % interval"),
    ]
    fig.legend(handles=handles, ncols=3, **ABOVE)
    caption = (
        f"{grid.told('Augmentation against its control', found)}: the difference to {CONTROL}, every picture twice and "
        "unchanged, which takes as many steps an epoch as an augmented set; none has half of them. Paired by seed "
        f"({grid.seeds(made)}), with 95 % Student t intervals. Test accuracy is at the best validation epoch, train − "
        "test at the last. Filled where q < 0.05: p corrected by Benjamini and Hochberg for all "
        f"{len(made)} comparisons. {shortfall(found)}"
    )
    alt = f"Forest plot of {len(names)} kinds by {len(EFFECTS)} outcomes. {' '.join(answer(tables))}"
    data = pd.DataFrame(made)
    return [Exhibit("augmentation-effects", "What augmentation changes", caption.strip(), alt, data, fig)]


def table(tables):
    """The kinds in numbers; [Exhibit]."""
    found, names, rows = opened(tables)
    try:
        beside = {(row["outcome"], row["level"]): row for row in differences(tables)[2]}
    except NothingToShow:
        beside = {}
    status, made = found.status(), []
    for name in names:
        own = rows[rows[AXIS] == name]
        cell = found.cells.loc[found.cells[AXIS] == name, "cell_id"].iloc[0]
        row = {"augmentation": name, "done": of_asked(status.loc[cell])}
        columns = (*HEADINGS.items(), ("valid_accuracy", "validation"), ("train_accuracy", "train"), ("gap", "gap"))
        for column, heading in columns:
            mean = grid.interval(own[column])
            row[heading] = mean_text(mean, 100, 1) if mean["n"] else "none"
        other = beside.get(("best_valid", name))
        row["to the control"] = "control" if name == CONTROL else mean_text(other, 100, 1) if other else ""
        row["q"] = chance(other["q"]) if other else ""
        made.append(row)
    frame = pd.DataFrame(made)
    total = status.sum()
    columns = [name for name in frame if name != "done" or not whole(total)]
    caption = (
        "Accuracy in percent by augmentation, mean ± half its 95 % interval over the finished replicates: on test by "
        "three protocols, on validation pictures at their best epoch, on training pictures at the last epoch, and the "
        f"gap, training less test accuracy, in points. To the control: the difference to {CONTROL} on test at the best "
        f"validation epoch, with q. {shortfall(found)}"
    )
    alt = f"Table of {len(frame)} kinds of augmentation."
    title = "Augmentation in numbers"
    return [Exhibit("augmentation-table", title, caption.strip(), alt, frame, columns=columns)]


def courses(tables):
    """Accuracy and loss by epoch and kind; [Exhibit]."""
    found, names, _ = opened(tables)
    told = f"{grid.told('Augmentation by epoch', found)}."
    title = "Training with each augmentation"
    return course.course(found, AXIS, names, name="augmentation-course", title=title, told=told)


def gap(tables):
    """Overfitting by kind; [Exhibit]."""
    found, names, _ = opened(tables)
    return steps.gaps(found, AXIS, names, names, "augmentation-gap", "Overfitting by augmentation")


def examples(tables):
    """A training picture of each class, as it is and as each kind changes it; [Exhibit]."""
    found = grid.part(tables, EXPERIMENT, AXIS)
    shown = changed(found)
    count = max(map(len, shown.values()))
    side = (style.WIDTH - 1.0) / max(count, 8)
    fig = style.figure(len(shown) * side + 0.35)
    fig.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.0)
    panels = fig.subplots(len(shown), count, squeeze=False)
    classes = named(tables, found, count)
    for row, (name, pictures) in enumerate(shown.items()):
        for column, picture in enumerate(pictures):
            axes = panels[row, column]
            grey = len(picture) == 1
            axes.imshow(picture[0] if grey else picture.transpose(1, 2, 0), cmap="gray" if grey else None, vmin=0,
                        vmax=255, interpolation="nearest")  # fmt: skip
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            if column == 0:
                axes.set_ylabel(name, rotation=0, ha="right", va="center")
            if row == 0 and classes:
                axes.set_title(classes[column], fontsize=9, fontweight="normal", loc="center")
    caption = (
        f"{grid.told('The first training picture of each class', found)}, and what each augmentation makes of it: one "
        "draw of many, with a fixed seed. Training sees each picture as it is and so changed."
    )
    alt = f"Grid of pictures, {len(shown)} rows ({', '.join(shown)}) by {count} classes."
    data = pd.DataFrame([{"augmentation": name, "pictures": len(own)} for name, own in shown.items()])
    return [Exhibit("augmentation-pictures", "What augmentation does", caption, alt, data, fig, raster=True)]


def changed(found):
    """kind -> its pictures, uint8 [classes, C, H, W], of the first training picture of each class; "as it is" first.

    Read from the data set's file, as far as it is there, and changed by what training changes them by.
    """
    import torch  # only where there is something to draw

    from weight_atlas.training.augment import Augment

    path = Path(found.cells["data"].iloc[0])
    if not path.is_file():
        raise NothingToShow(f"{path} is not there to take examples from.")
    note(path.name)
    tensors = store.load_tensors(path)
    there = (tensors["split"] == 0).nonzero().squeeze(1)
    labels = tensors["labels"][there]
    picked = torch.stack([there[labels == kind][0] for kind in labels.unique()])
    images = tensors["images"][picked]
    made = {"as it is": images.numpy()}
    for name in grid.levels(found, AXIS, ORDER):
        cell = found.cells[found.cells[AXIS] == name].iloc[0]
        training = found.settings[cell["cell_id"]].training
        kinds = [Augment(one) for one in training.copies or [training.augment]]
        for kind in filter(None, kinds):
            drawn = kind.draw(len(images), tuple(images.shape[2:]), torch.Generator().manual_seed(SEED))
            pictures = kind.apply(kind.pad(images), torch.arange(len(images)), drawn)
            made[name] = pictures.round().to(torch.uint8).numpy()
    if len(made) == 1:
        raise NothingToShow("no cell of it changes its pictures.")
    return made


def named(tables, found, count):
    """The names of the first `count` classes, [] where no card tells them."""
    card = tables.cards.get(found.cells["dataset_id"].iloc[0], {})
    return list(card.get("classes", []))[:count] if len(card.get("classes", [])) >= count else []


def answer(tables):
    """Q4.3: which augmentation helps, against the control."""
    _, names, made = differences(tables)
    made = [row for row in made if row["n"] and row["level"] != NONE]
    if not made:
        raise NothingToShow("no augmentation has finished together with its control.")
    answers = []
    for outcome, words, good in (("best_valid", "test accuracy", "gains"), ("gap", "the gap", "closes")):
        own = [row for row in made if row["outcome"] == outcome]
        sign = 1 if outcome == "best_valid" else -1
        clear = [row for row in own if row["q"] < grid.LEVEL and row["mean"] * sign > 0]
        named_ = ", ".join(f"{row['level']} ({grid.amount(row)})" for row in clear) or "none"
        text = f"Clearly {good} {words}" if outcome == "gap" else f"Clearly {good} in {words}"
        answers.append(f"{text} against the control: {named_}, of {len(own)} kinds.")
    return answers
