"""An experiment of one axis in numbers: a table of its levels, and one of its settings."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from weight_atlas.plan.shapes import leaves
from weight_atlas.reporting.exhibits.design import grid, levels
from weight_atlas.reporting.exhibits.design.figures import compared_as
from weight_atlas.reporting.exhibits.design.levels import Levels
from weight_atlas.reporting.exhibits.runs.runs import HEADINGS, WORDS, of_asked, shortfall
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.dots import whole
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import DIFFERENCE, SHARE, chance, mean_text
from weight_atlas.shapes import Experiment

MORE = {"train_accuracy": "train", "gap": "gap"}  # of `grid.reached`, beside the protocols


def table(tables: Tables, experiment: Experiment, *, outcome: str = "", reported: str = "") -> list[Exhibit]:
    """The levels in numbers: means, and the difference to the level that each is compared with.

    Parameters
    ----------
    outcome : str
        One outcome, instead of those that the config asks about.
    reported : str
        The part of the document's numbers that has {level: {"train": share, "test": share, "says": text}}.
    """
    given = tables.document.get(reported, {}) if reported else {}
    return [
        _exhibit(levels.read(tables, experiment, name), given if name == "accuracy" else {})
        for name in levels.asked(experiment, outcome)
    ]


def _exhibit(shown: Levels, given: Mapping[str, Any]) -> Exhibit:
    status, rows = shown.found.status(), []
    extra = grid.reached(shown.found) if shown.outcome.name == "accuracy" else pd.DataFrame()
    for family in shown.families:
        for name in shown.names(family):
            cell = shown.mean(family, name)["cell_id"]
            row = {**_front(shown, family, name), **_number(shown, name), "done": of_asked(status.loc[cell])}
            row |= _means(shown, family, name, extra) | _reported(given, name)
            rows.append(row | _difference(shown, family, name))
    frame = pd.DataFrame(rows)
    said = {"done": whole(status.sum()), _setting(shown): _says_numbers(shown)}
    columns = [str(name) for name in frame if not said.get(str(name))]
    unit = f" in {shown.outcome.unit}" if shown.outcome.unit not in shown.outcome.words else ""
    best = ", and for all pairs of levels, since the best is chosen by its mean" if shown.chosen else ""
    caption = (
        f"{levels.title(shown)}{unit} ({shown.outcome.meaning}): mean ± half its 95 % interval over the finished "
        f"replicates. {_columns(shown)} Differences are paired by seed; q is the p of their t-test, corrected for all "
        f"of them by Benjamini and Hochberg{best}. {levels.told_by(shown) if given else ''} "
        f"{shown.values.note} {shortfall(shown.found)}"
    )
    alt = f"Table of {len(frame)} levels of {shown.axis.name}."
    title = f"{levels.title(shown)} in numbers"
    name, behind = (levels.file(shown, kind) for kind in ("table", "levels"))
    return Exhibit(name, title, caption, alt, frame, columns=columns, behind=behind)


def _columns(shown: Levels) -> str:
    """What the columns of a table are that do not say it themselves."""
    if shown.outcome.name != "accuracy":
        return ""
    return (
        "Accuracies on test are by three protocols, that on training images and the gap between the two are at the "
        "last epoch."
    )


def _front(shown: Levels, family: str, name: str) -> dict[str, str]:
    """The labels of a row: its family's and its level."""
    row = shown.mean(family, name)
    return {WORDS.get(column, column): row[column] for column in (*shown.experiment.families, shown.axis.name)}


def _number(shown: Levels, name: str) -> dict[str, str]:
    """What a level sets, where levels are numbers."""
    axis = shown.axis
    numbers = dict(zip(axis.levels, axis.numbers, strict=True)) if axis.is_numeric else {}
    return {_setting(shown): grid.plain(numbers[name])} if numbers else {}


def _setting(shown: Levels) -> str:
    """What the column is called that says what levels set: "sets batch size"."""
    return f"sets {shown.axis.setting.rpartition('.')[2].replace('_', ' ')}"


def _says_numbers(shown: Levels) -> bool:
    """Whether the labels of the levels are the numbers that they set."""
    try:
        return [float(level) for level in shown.axis.levels] == list(shown.axis.numbers)
    except ValueError:
        return False


def _means(shown: Levels, family: str, name: str, extra: pd.DataFrame) -> dict[str, str]:
    """The means of a level, as they are printed."""
    outcome = shown.outcome
    if outcome.name != "accuracy":
        row = shown.mean(family, name)
        decimals = 1 if outcome.scale == 100 else None
        text = mean_text(row, outcome.scale, decimals, bounds=outcome.bounds) if row["n"] else "none"
        never = int(shown.values.censored[row["cell_id"]])
        return {outcome.words: f"{text} ({never} never)" if never else text}
    means = {words: shown.mean(family, name, protocol) for protocol, words in HEADINGS.items()}
    own = extra[extra["cell_id"] == shown.mean(family, name)["cell_id"]]
    means |= {words: grid.interval(own[column]) for column, words in MORE.items()}
    return {
        words: mean_text(row, 100, 1, bounds=DIFFERENCE if words == "gap" else SHARE) if row["n"] else "none"
        for words, row in means.items()
    }


def _reported(given: Mapping[str, Any], name: str) -> dict[str, str]:
    """What the document reports of a level, a column for each kind of number that it reports of some level."""
    own, row = given.get(name, {}), {}
    if any("train" in numbers for numbers in given.values()):
        row["document, train"] = style.percent(own["train"], 2) if own.get("train") else "none"
    if given:
        row["document, test"] = own.get("says") or (style.percent(own["test"], 2) if own.get("test") else "none")
    return row


def _difference(shown: Levels, family: str, name: str) -> dict[str, str]:
    """The difference of a level to what it is compared with, and its q."""
    row, compared = shown.difference(family, name), shown.compared(family)
    scale = shown.outcome.scale
    text = mean_text(row, scale, 1 if scale == 100 else None, 3) if row and row["n"] else ""
    told = {"after": row["to"] if row else ""} if shown.axis.after else {}
    to = "the best" if compared_as(shown) == "best" else compared
    words = "difference" if shown.axis.after or not compared else f"to {to}"
    text = compared_as(shown) if not row and name == compared else text
    return {**told, words: text, "q": chance(row["q"]) if row else ""}


# ------------------------------------------------------------------------------------------- settings


def settings(tables: Tables, experiment: Experiment, *, reported: str = "") -> list[Exhibit]:
    """The levels with the settings in which they differ, and their accuracies beside what the document says.

    Parameters
    ----------
    reported : str
        The part of the document's numbers that has {level: {"says": text}}.
    """
    shown = levels.read(tables, experiment)
    given = tables.document.get(reported, {}) if reported else {}
    status, rows = shown.found.status(), []
    cells = {
        (family, name): str(shown.mean(family, name)["cell_id"])
        for family in shown.families
        for name in shown.names(family)
    }
    own = {_setting(shown).removeprefix("sets "), *_front(shown, *next(iter(cells)))}
    words = differing({cell: dict(leaves(shown.found.settings[cell].json)) for cell in cells.values()})
    extra = grid.reached(shown.found)
    for (family, name), cell in cells.items():
        told = {f"sets {word}" if word in own else word: value for word, value in words[cell].items()}
        row = {**_front(shown, family, name), **told, "document": given.get(name, {}).get("says", "")}
        rows.append({**row, "done": of_asked(status.loc[cell]), **_means(shown, family, name, extra)})
    frame = pd.DataFrame(rows)
    same = {"done": whole(status.sum()), "document": not given}
    columns = [name for name in frame if not same.get(str(name))]
    caption = (
        f"The levels of {shown.axis.name} with the settings in which they differ, and accuracy in percent: mean ± half "
        f"its 95 % interval. {_columns(shown)} {levels.told_by(shown) if given else ''} "
        f"{shortfall(shown.found)}"
    )
    alt = f"Table of {len(frame)} levels with settings and accuracies."
    title = f"Settings and accuracies by {shown.axis.name}"
    name = f"{grid.prefix(experiment)}-settings"
    return [Exhibit(name, title, caption, alt, frame, columns=columns)]


def differing(flat: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """{cell: {setting: its value in words}} of the settings of which the cells have different values.

    A setting that some cells do not have counts where the others differ in it: options of an optimizer follow from its
    type. Of settings that always change together, as the rate of the first stage and the optimizer's, the first counts.
    """
    names = dict.fromkeys(name for one in flat.values() for name in one)
    vectors: dict[tuple[str, ...], str] = {}
    for name in sorted(names, key=lambda name: name.count(".")):
        values = tuple(written(one.get(name)) for one in flat.values())
        if len({value for value in values if value}) > 1:
            vectors.setdefault(values, name)
    short = headings(vectors.values())
    order = [name for name in names if name in vectors.values()]
    return {cell: {short[name]: written(one.get(name)) for name in order} for cell, one in flat.items()}


def headings(names: Iterable[str]) -> dict[str, str]:
    """{dotted name: the shortest end of it that is its alone, in words}; a type is told by what it is of."""
    made = {}
    every = list(names)
    for name in every:
        parts = name.removesuffix(".type").removesuffix(".scheme").split(".")
        ends = [".".join(parts[-size:]) for size in range(1, len(parts) + 1)]
        alone = (end for end in ends if sum(f".{other}".endswith(f".{end}") for other in every) <= 1)
        made[name] = next(alone, name).replace("_", " ").replace(".", " ")
    return made


def written(value: Any) -> str:
    """A setting as it is written by hand."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return grid.plain(value) if isinstance(value, float) else str(value).replace("_", " ")
