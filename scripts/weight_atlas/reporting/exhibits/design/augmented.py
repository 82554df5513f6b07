"""Exhibits and the answer of changed training images: examples, and what each change buys.

Changed copies beside the images make more images as well. The control has as many copies, all unchanged; it is found by
its settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from weight_atlas import store
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.effects import MOST, records
from weight_atlas.reporting.exhibits.design.grid import Row, label, prefix
from weight_atlas.reporting.exhibits.runs.runs import HEADINGS, of_asked, shortfall
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.answers import MARGIN, Answer, Verdict, is_clear, number, weighed
from weight_atlas.reporting.grammar.dots import whole
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.source import note
from weight_atlas.reporting.grammar.tables import Tables, joined
from weight_atlas.reporting.grammar.words import DIFFERENCE, SHARE, chance, enumerated, mean_text, plural, slug
from weight_atlas.settings import Augmentation, Training
from weight_atlas.shapes import Axis, Experiment

SEED = 3  # of the examples
REFERENCE, CONTROL = "reference", "control"
COLOURS = {REFERENCE: style.PALETTE[1], CONTROL: style.PALETTE[0]}
# column of `grid.reached` -> words of a panel
OUTCOMES = {"best_valid": "test accuracy", "gap": "train − test", "valid_accuracy": "validation accuracy"}


class Augmented(NamedTuple):
    """An experiment whose axis changes training images.

    Attributes
    ----------
    found : Tables
        The experiment's cells.
    axis : Axis
    trainings : {level: Training}
    controls : {level: level}
        The one with as many copies, all of them unchanged, of each level that has one.
    rows : DataFrame
        As `grid.reached`, with `family`: what tells cells of one level apart.
    differences : list of Row
        Of each level to the reference and to its control: family, outcome, level, kind, to, n, mean, low, high, p, q.
    """

    found: Tables
    axis: Axis
    trainings: dict[str, Training]
    controls: dict[str, str]
    rows: pd.DataFrame
    differences: list[Row]

    @property
    def families(self) -> list[str]:
        return list(dict.fromkeys(self.rows["family"]))

    def difference(self, family: str, outcome: str, level: str, kind: str) -> Row | None:
        """One of the differences; None where there is none."""
        key = (family, outcome, level, kind)
        own = (row for row in self.differences if (row["family"], row["outcome"], row["level"], row["kind"]) == key)
        return next(own, None)


def changes(one: Augmentation) -> bool:
    """Whether it changes an image at all."""
    return one != replace(Augmentation(), fill=one.fill, shear_unit=one.shear_unit)


def changed(training: Training) -> list[Augmentation]:
    """What changes its training images; [] where nothing does."""
    return [one for one in training.copies or [training.augment] if changes(one)]


def control(level: str, trainings: Mapping[str, Training]) -> str | None:
    """The level that has as many copies as this one, all of them unchanged; None where there is no other such level."""
    copies = len(trainings[level].copies or [])
    alike = (other for other, one in trainings.items() if len(one.copies or []) == copies and not changed(one))
    return next((other for other in alike if copies and other != level), None)


def opened(tables: Tables, experiment: Experiment) -> Augmented:
    """The axis that changes training images, and what each level changes against its reference and its control.

    Raises
    ------
    NothingToShow
        Where no axis changes training images alone.
    """
    found = grid.cells_of(tables, experiment)
    axis, trainings = _axis(found, experiment)
    others = [name for name in grid.columns(experiment) if name != axis.name]
    rows = grid.reached(found)
    rows = rows.assign(family=joined(rows, others))
    controls = {level: other for level in axis.levels if (other := control(level, trainings))}
    made = []
    for family, own in rows.groupby("family", sort=False):
        levels = {str(level): part for level, part in own.groupby(axis.name, sort=False)}
        for level in axis.levels:
            against = {REFERENCE: axis.reference, CONTROL: controls.get(level)}
            for kind, other in against.items():
                if other != level and other in levels and level in levels:
                    key = {"family": str(family), "level": level, "kind": kind, "to": other}
                    made += [
                        {**key, "outcome": outcome, **grid.paired(levels[other], levels[level], outcome)}
                        for outcome in OUTCOMES
                    ]
    return Augmented(found, axis, trainings, controls, rows, grid.corrected(made))


def _axis(found: Tables, experiment: Experiment) -> tuple[Axis, dict[str, Training]]:
    """The axis whose levels change training images, and {level: its training}."""
    for axis in experiment.axes:
        cells = {level: found.where(**{axis.name: level})["cell_id"].iloc[0] for level in axis.levels}
        trainings = {level: found.settings[cell].training for level, cell in cells.items()}
        if len({repr((one.augment, one.copies)) for one in trainings.values()}) > 1:
            return axis, trainings
    raise NothingToShow(f"no axis of {label(experiment)} changes training images.")


# ------------------------------------------------------------------------------------------- what a change buys


def effects(tables: Tables, experiment: Experiment) -> list[Exhibit]:
    """A forest of what each level changes against the reference and against its control; one exhibit per family."""
    shown = opened(tables, experiment)
    return [_effects(shown, experiment, family) for family in shown.families]


def _effects(shown: Augmented, experiment: Experiment, family: str) -> Exhibit:
    rows = [row for row in shown.differences if row["family"] == family]
    ranked = sorted((row for row in rows if row["n"]), key=lambda row: (row["q"] != row["q"], row["q"]))
    clearest = list(dict.fromkeys(row["level"] for row in ranked))[:MOST]
    names = [level for level in shown.axis.levels if level in clearest]
    if not names:
        raise NothingToShow(f"no level of {shown.axis.name} has finished together with its reference or control.")
    fig = style.figure(0.34 * (len(names) + 0.4) + 1.2)
    panels = fig.subplots(1, len(OUTCOMES), sharey=True)
    marks.shade(panels, len(names))
    for axes, (outcome, words) in zip(panels, OUTCOMES.items(), strict=True):
        axes.axvline(0, **marks.ZERO)
        for row in rows:
            if row["outcome"] == outcome and row["level"] in names:
                shift = 0.0 if row["level"] not in shown.controls else 0.16 if row["kind"] == REFERENCE else -0.16
                marks.forest(axes, row, names.index(row["level"]) + shift, 100.0, COLOURS[row["kind"]])
        axes.set_title(words)
        axes.set_xlabel("points")
    panels[0].set_yticks(range(len(names)), names)
    marks.legend(fig, panels, ncols=4, extra=_handles(shown))
    data = pd.DataFrame(rows).drop(columns=[] if family else ["family"])
    few = f"The {len(names)} clearest levels; the table has all. " if len(names) < len(set(data["level"])) else ""
    caption = (
        f"{grid.told(f'What each {shown.axis.name} changes', shown.found)}, paired by seed ({grid.seeds(rows)}), with "
        f"95 % Student t intervals. {few}{_control_words(shown)} Test accuracy is at the best validation epoch, "
        f"train − test at the last. Filled where q < {grid.LEVEL}: p corrected by Benjamini and Hochberg for all "
        f"{len(shown.differences)} differences. {shortfall(shown.found)}"
    )
    alt = f"Forest plot of {plural(len(names), 'level')} by {len(OUTCOMES)} outcomes."
    name = slug(prefix(experiment), "effects", family)
    return Exhibit(name, f"What each {shown.axis.name} changes", caption, alt, data, fig, tab=family)


def _handles(shown: Augmented) -> list[Line2D]:
    """The legend's entries for what levels are compared with."""
    words = {REFERENCE: f"less {shown.axis.reference}", CONTROL: f"less {' or '.join(_controls(shown))}"}
    kinds = [REFERENCE, CONTROL] if shown.controls else [REFERENCE]
    lines = [marks.entry(words[kind], color=COLOURS[kind], linewidth=1.4) for kind in kinds]
    faces = {f"q < {grid.LEVEL}": style.INK, f"q ≥ {grid.LEVEL}, or no test": "white"}
    look: dict[str, Any] = {"marker": "o", "linestyle": "", "color": style.INK, "markersize": 5}
    return [*lines, *(marks.entry(text, markerfacecolor=face, **look) for text, face in faces.items())]


def _controls(shown: Augmented) -> list[str]:
    """The levels that are controls of others, in the axis' order."""
    return [level for level in shown.axis.levels if level in shown.controls.values()]


def _control_words(shown: Augmented) -> str:
    """What the controls are, or that there is none though copies make more images."""
    names = _controls(shown)
    if names:
        are = "has" if len(names) == 1 else "have"
        return f"{enumerated(names)} {are} as many copies, all unchanged: what is left is the change itself."
    sizes = {len(one.copies or [0]) for one in shown.trainings.values()}
    if len(sizes) > 1:
        return "No level has as many copies, all unchanged: more images and changed ones cannot be told apart."
    return ""


def table(tables: Tables, experiment: Experiment) -> list[Exhibit]:
    """The levels in numbers, beside what they change."""
    shown = opened(tables, experiment)
    others = [name for name in grid.columns(experiment) if name != shown.axis.name]
    status, cells = shown.found.status(), shown.found.cells
    columns = (*HEADINGS.items(), ("valid_accuracy", "validation"), ("train_accuracy", "train"), ("gap", "gap"))
    made = []
    for cell in sorted(records(cells), key=lambda row: shown.axis.levels.index(row[shown.axis.name])):
        own = shown.rows[shown.rows["cell_id"] == cell["cell_id"]]
        level, family = cell[shown.axis.name], " · ".join(cell[name] for name in others)
        row = {name: cell[name] for name in (*others, shown.axis.name)}
        row["done"] = of_asked(status.loc[cell["cell_id"]])
        means = {heading: grid.interval(own[column]) for column, heading in columns}
        row |= {
            heading: mean_text(mean, 100, 1, bounds=DIFFERENCE if heading == "gap" else SHARE) if mean["n"] else "none"
            for heading, mean in means.items()
        }
        for kind in (REFERENCE, CONTROL):
            one = shown.difference(family, "best_valid", level, kind)
            row |= {f"to the {kind}": mean_text(one, 100, 1) if one and one["n"] else ""}
            row |= {f"q, {kind}": chance(one["q"]) if one else ""}
        made.append(row)
    frame = pd.DataFrame(made)
    hidden = {"done": whole(status.sum())} | dict.fromkeys((f"to the {CONTROL}", f"q, {CONTROL}"), not shown.controls)
    caption = (
        f"Accuracy in percent by {shown.axis.name}, mean ± half its 95 % interval over the finished replicates: on "
        "test by three protocols, on validation images at their best epoch, on training images at the last epoch; the "
        f"gap, training less test accuracy, in points. To the reference ({shown.axis.reference}): the difference on "
        f"test at the best validation epoch, with q. {_control_words(shown)} {shortfall(shown.found)}"
    )
    name, behind = (f"{prefix(experiment)}-{kind}" for kind in ("table", "effects"))
    title = f"Each {shown.axis.name} in numbers"
    alt = f"Table of {plural(len(frame), 'cell')} by {shown.axis.name}."
    kept = [column for column in frame if not hidden.get(str(column))]
    return [Exhibit(name, title, caption, alt, frame, columns=kept, behind=behind)]


# ------------------------------------------------------------------------------------------- examples


def examples(tables: Tables, experiment: Experiment) -> list[Exhibit]:
    """A training image of each class, as it is and as each level changes it; one exhibit per data set."""
    found = grid.cells_of(tables, experiment)
    axis, trainings = _axis(found, experiment)
    kinds = {level: one for level in axis.levels for one in changed(trainings[level])[-1:]}
    if not kinds:
        raise NothingToShow(f"no level of {axis.name} changes its images.")
    parts = [found.part(dataset=name) for name in found.values("dataset")]
    return [_examples(tables, experiment, part, axis.name, kinds, len(parts) > 1) for part in parts]


def _examples(
    tables: Tables, experiment: Experiment, found: Tables, axis: str, kinds: Mapping[str, Augmentation], several: bool
) -> Exhibit:
    shown = pictures(tables.place(found.cells["data"].iloc[0]), dict(list(kinds.items())[:MOST]))
    count = max(map(len, shown.values()))
    fig = style.figure(len(shown) * (style.WIDTH - 1.0) / max(count, 8) + 0.35)
    layout: Any = fig.get_layout_engine()
    layout.set(w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.0)
    panels = fig.subplots(len(shown), count, squeeze=False)
    for row, (name, images) in zip(panels, shown.items(), strict=True):
        for axes, image in zip(row, images, strict=False):
            grey = len(image) == 1
            axes.imshow(image[0] if grey else image.transpose(1, 2, 0), cmap="gray" if grey else None, vmin=0,
                        vmax=255, interpolation="nearest")  # fmt: skip
        for axes in row:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    classes = tables.cards.get(found.cells["dataset_id"].iloc[0], {}).get("classes", [])
    for axes, name in zip(panels[0], classes if len(classes) >= count else [], strict=False):
        axes.set_title(name, fontsize=9, fontweight="normal", loc="center")
    dataset = found.values("dataset")[0] if several else ""
    few = f" The first {MOST} of {len(kinds)} levels." if len(kinds) > MOST else ""
    caption = (
        f"{grid.told('The first training image of each class', found)}, and what each {axis} makes of it: one draw of "
        f"many, with a fixed seed.{few}"
    )
    alt = f"Grid of images, {len(shown)} rows ({', '.join(shown)}) by {count} classes."
    data = pd.DataFrame([{axis: name, "images": len(own)} for name, own in shown.items()])
    name = slug(prefix(experiment), "examples", dataset)
    return Exhibit(name, f"What each {axis} does", caption, alt, data, fig, raster=True, tab=dataset)


def pictures(path: Path, kinds: Mapping[str, Augmentation]) -> dict[str, NDArray[np.uint8]]:
    """The first training image of each class as it is, and by level as training changes it: {name: [classes, C, H, W]}.

    Raises
    ------
    NothingToShow
        Where the data set's file is not there.
    """
    import torch  # only where there is something to draw

    from weight_atlas.training.augment import Augment

    if not path.is_file():
        raise NothingToShow(f"{path} is not there to take examples from.")
    note(path.name)
    tensors = store.load_tensors(path)
    there = (tensors["split"] == 0).nonzero().squeeze(1)
    labels = tensors["labels"][there]
    images = tensors["images"][torch.stack([there[labels == kind][0] for kind in labels.unique()])]
    made = {"as it is": images.numpy()}
    for name, kind in kinds.items():
        augment = Augment(kind)
        drawn = augment.draw(len(images), tuple(images.shape[2:]), torch.Generator().manual_seed(SEED))
        made[name] = (
            augment.apply(augment.pad(images), torch.arange(len(images)), drawn).round().to(torch.uint8).numpy()
        )
    return made


# ------------------------------------------------------------------------------------------- answer


def answer(tables: Tables, experiment: Experiment) -> list[Answer]:
    """Which changes of images help, against the control where there is one; a family after the other."""
    shown = opened(tables, experiment)
    told = [one for family in shown.families for one in _told(shown, family)]
    if not told:
        raise NothingToShow(f"no level of {shown.axis.name} has finished together with its reference or control.")
    return told


def _told(shown: Augmented, family: str) -> list[Answer]:
    """The answer of one family."""
    levels = [level for level in shown.axis.levels if changed(shown.trainings[level]) and level != shown.axis.reference]
    told = []
    for outcome, sign, *words in (
        ("best_valid", 1, "raise", "lower", "test accuracy"),
        ("gap", -1, "lower", "raise", "the gap"),
    ):
        found = [
            shown.difference(family, outcome, level, CONTROL if level in shown.controls else REFERENCE)
            for level in levels
        ]
        rows = [row for row in found if row and row["n"]]
        if rows:
            told.append(_verdict(family, rows, sign, *words))
    for level in _controls(shown):
        more = shown.difference(family, "best_valid", level, REFERENCE)
        if more and more["n"]:
            copies = len(shown.trainings[level].copies or [])
            change = grid.amount(more)
            text = (
                f"More images alone ({level}: each {copies} times) change test accuracy by {change} against "
                f"{shown.axis.reference}."
            )
            numbers = (number(f"{level} less {shown.axis.reference}", more, change),)
            told.append(Answer(text, None, family, numbers, f"95 % interval, {grid.seeds([more])}"))
    return told


def _verdict(family: str, rows: Sequence[Row], sign: int, verb: str, opposite: str, what: str) -> Answer:
    """Which of some differences are clear and of the wanted sign, or what comes closest; then which are clear and of
    the other sign."""
    several = len({row["to"] for row in rows}) > 1
    named = {row["level"]: f"{grid.amount(row)}{' against ' + row['to'] if several else ''}" for row in rows}
    what = what if several else f"{what} against {rows[0]['to']}"
    good, bad = ([row["level"] for row in rows if is_clear(row, wanted)] for wanted in (sign, -sign))
    best = max(rows, key=lambda row: row["mean"] * sign)["level"]
    verdict = weighed(rows, MARGIN, sign)
    how = ("", " by a point") if verdict == Verdict.NO else ("clearly ", "")
    if good:
        less = ", by less than one point" if verdict == Verdict.PARTLY else ""
        made = [f"{_do(good, named, verb)} {what}{less}; {len(rows)} tried."]
    elif len(rows) == 1:
        made = [f"{best}, the only change tried, does not {how[0]}{verb} {what}{how[1]}: {named[best]}."]
    else:
        made = [f"None of {len(rows)} changes {how[0]}{verb}s {what}{how[1]}; the most is {best}, {named[best]}."]
    if bad:
        made.append(f"{_do(bad, named, opposite)} it.")
    numbers = tuple(number(f"{row['level']} less {row['to']}", row, grid.amount(row)) for row in rows)
    return Answer(" ".join(made), verdict, family, numbers, *grid.certainty(rows, verdict))


def _do(levels: Sequence[str], named: Mapping[str, str], verb: str) -> str:
    """ "flip (+2.1 points [1.6, 2.6]) clearly raises"."""
    words = enumerated([f"{level} ({named[level]})" for level in levels])
    return f"{words} clearly {verb}{'s' * (len(levels) == 1)}"
