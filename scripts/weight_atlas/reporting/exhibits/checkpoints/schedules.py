"""The document's Tables 1 to 4 with the workflow's numbers beside, and its curves (Figures 2 and 3)."""

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.checkpoints.checkpoints import CUSTOM, PRELOAD, Family, families, models, points
from weight_atlas.reporting.exhibits.design.grid import tested
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, last
from weight_atlas.reporting.grammar.words import SHARE, SIZE, mean_text, plural, slug, whole

# The columns of the document's Tables 1 and 2, in order: name in metrics.csv -> heading, digits behind the point.
PRINTED = 4  # digits behind the point of the document's numbers
COLUMNS = {
    "seconds": ("seconds", 1),
    "rate": ("rate", None),
    "train_loss": ("train loss", 3),
    "train_accuracy": ("train acc.", 3),
    "valid_loss": ("valid loss", 3),
    "valid_accuracy": ("valid acc.", 3),
}
TABLES = {PRELOAD: 1, CUSTOM: 2}  # the number of a model's
# The rows of its Table 3: name -> heading, digits behind the point.
OVERALL = {
    "epochs": ("epochs", 0),
    "seconds": ("time (s)", 0),
    "train_loss": ("train loss", 3),
    "train_accuracy": ("train accuracy", 3),
    "valid_loss": ("valid loss", 3),
    "valid_accuracy": ("valid accuracy", 3),
    "test_loss": ("test loss", 3),
    "test_accuracy": ("test accuracy", 3),
}
CURVES = {"loss": ("loss (cross-entropy)", 1), "accuracy": ("accuracy (%)", 100)}
THEIRS: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2, "marker": "x", "markersize": 4.5}
TINTS = {"train": style.PALETTE[1], "valid": style.PALETTE[0]}


def reported(tables: Tables, model: str) -> pd.DataFrame:
    """The document's epochs of a model: a DataFrame with epoch and COLUMNS, empty where it reports none."""
    rows = tables.document.get("epochs", {}).get(model, [])
    return pd.DataFrame([[at, *row] for at, row in enumerate(rows, 1)], columns=["epoch", *COLUMNS])


def here(tables: Tables) -> pd.DataFrame:
    """Means of metrics.csv over the finished replicates, by cell, epoch and quantity, with their intervals."""
    found = tables.done("metrics")
    columns = [*COLUMNS, "test_loss", "test_accuracy"]
    long = found.melt(["cell_id", "seed", "epoch"], columns, "quantity", "value").dropna(subset="value")
    return stats.summarise(long, ["cell_id", "epoch", "quantity"], "value")


def _models(tables: Tables, family: Family) -> list[tuple[Any, str]]:
    """The cells of a family that stand for a model of the document: (its row, "preload" or "custom") each."""
    kinds = models(tables)
    found: list[Any] = list(family.cells.itertuples())
    return [(cell, kinds[cell.cell_id]) for cell in found if kinds[cell.cell_id] in TABLES]


def _beside(tables: Tables, which: str) -> str:
    """A sentence on the columns with the document's numbers, which are those of one of its tables; empty without."""
    source = tables.document.get("source")
    return f"The document's numbers beside them are those of {which} of the {source}." if source else ""


def _filled(table: pd.DataFrame) -> list[Hashable]:
    """The columns of a printed table that are not empty."""
    return [name for name in table.columns if (table[name] != "").any()]


# ------------------------------------------------------------------------------------------- epoch by epoch


def epochs(tables: Tables) -> list[Exhibit]:
    """Each epoch of each model, the mean here and the document's (its Tables 1 and 2)."""
    data = here(tables)
    made = []
    for family in families(tables):
        for cell, kind in _models(tables, family):
            own = data[data["cell_id"] == cell.cell_id].pivot(index="epoch", columns="quantity", values="mean")
            table = _epochs(own, reported(tables, kind).set_index("epoch"))
            if table.empty:
                continue
            caption = (
                f"Every epoch of {cell.label}: means over the finished replicates. "
                f"{_beside(tables, f'Table {TABLES[kind]}')} Training values are means during the epoch, with dropout, "
                f"so that they lag behind. Times depend on the machine and the images. {shortfall(tables)}"
            )
            alt = f"Table of {plural(len(table), 'epoch')} of {cell.label} with {len(COLUMNS)} quantities."
            name, tab = slug("epochs", family.tab, cell.label), ", ".join(filter(None, [family.tab, cell.label]))
            parts: dict[str, Any] = {"tab": tab, "columns": _filled(table), "behind": "course"}
            made.append(Exhibit(name, "Epoch by epoch", caption, alt, table, **parts))
    return made


def _epochs(own: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """The table of a model's epochs, as texts: both frames have COLUMNS by epoch."""
    rows = []
    for epoch in sorted({*own.index[own.index > 0], *theirs.index}):
        row = {"epoch": epoch}
        for name, (heading, digits) in COLUMNS.items():
            row[heading] = _text(own, epoch, name, digits)
            row[f"{heading} (doc.)"] = _text(theirs, epoch, name, 0 if name == "seconds" else digits and PRINTED)
        rows.append(row)
    return pd.DataFrame(rows)


def _text(frame: pd.DataFrame, epoch: int, column: str, digits: int | None) -> str:
    """A number of a frame as text, empty where it has none; digits None: as short as it is."""
    value = frame[column].get(epoch, np.nan) if column in frame else np.nan
    if not np.isfinite(value):
        return ""
    return style.short(value) if digits is None else f"{value:.{digits}f}"


# ------------------------------------------------------------------------------------------- the end


def totals(tables: Tables) -> pd.DataFrame:
    """One row a finished replicate: cell_id, seed and the quantities of OVERALL, those of the last epoch."""
    ends = last(tables.done("metrics"))[["cell_id", "seed", "epoch", *list(OVERALL)[2:]]]
    runs = tables.done("runs")[["cell_id", "seed", "wall_seconds"]]
    found = ends.rename(columns={"epoch": "epochs"}).merge(runs, on=["cell_id", "seed"])
    return found.rename(columns={"wall_seconds": "seconds"})


def document_total(tables: Tables, model: str, quantity: str) -> float:
    """What the document reports of a model overall, NaN where it does not."""
    own = reported(tables, model)
    if quantity.startswith("test_"):
        told: Mapping[str, float] = tables.document.get("test", {}).get(model, {})
        return told.get(quantity.removeprefix("test_"), np.nan)
    if own.empty:
        return np.nan
    sums = {"epochs": len(own), "seconds": own["seconds"].sum()}
    return float(sums[quantity] if quantity in sums else own[quantity].iloc[-1])


def two(tables: Tables) -> Iterator[tuple[str, str, Family]]:
    """(preload cell_id, custom cell_id, family) of each family that has both models: the first of each."""
    for family in families(tables):
        first = {kind: cell.cell_id for cell, kind in reversed(_models(tables, family))}
        if len(first) == len(TABLES):
            yield first[PRELOAD], first[CUSTOM], family


def difference(tables: Tables, one: str, other: str, quantity: str) -> dict[str, Any]:
    """The mean of a quantity of OVERALL, other less one, paired by seed: a dict of n, mean, low, high, p."""
    found = totals(tables)
    sides = [found[found["cell_id"] == cell].set_index("seed")[quantity] for cell in (one, other)]
    test = stats.blocked_difference(*sides)
    if not test.n:
        raise NothingToShow("no seed of both models has finished.")
    return tested(test)


def overall(tables: Tables) -> list[Exhibit]:
    """Both models at the end, the document's beside (its Table 3), and their difference by seed."""
    made = []
    label = tables.cells.set_index("cell_id")["label"]
    for preload, custom, family in two(tables):
        table = _overall(tables, {preload: PRELOAD, custom: CUSTOM})
        caption = (
            f"Both models of {family.where} after the last epoch: means over the finished replicates, with half the "
            f"95 % Student t interval after ±. {_beside(tables, 'Table 3')} The difference is {label[preload]} less "
            f"{label[custom]} here, paired by seed. {shortfall(tables)}"
        )
        alt = f"Table of {len(table)} quantities of {label[preload]} and {label[custom]} at the end of training."
        title = "Both models at the end"
        made.append(family.exhibit("overall", title, caption, alt, table, columns=_filled(table)))
    return made


def _overall(tables: Tables, kinds: Mapping[str, str]) -> pd.DataFrame:
    """The table of two cells, as texts: each quantity of OVERALL of both, and of the first less the second."""
    found, rows = totals(tables), []
    label = tables.cells.set_index("cell_id")["label"]
    first, second = kinds
    for quantity, (heading, digits) in OVERALL.items():
        row = {"quantity": heading}
        for cell, kind in kinds.items():
            [mean] = stats.summarise(found[found["cell_id"] == cell], ["cell_id"], quantity).to_dict("records")
            theirs = document_total(tables, kind, quantity)
            row[label[cell]] = mean_text(mean, 1, digits, bounds=SHARE if quantity.endswith("accuracy") else SIZE)
            row[f"{label[cell]}, document"] = f"{theirs:,.{digits and PRINTED}f}" if np.isfinite(theirs) else ""
        rows.append(row | {"difference": mean_text(difference(tables, second, first, quantity), 1, digits)})
    return pd.DataFrame(rows)


# ------------------------------------------------------------------------------------------- checkpoints


def checkpoints(tables: Tables) -> list[Exhibit]:
    """Each model at each checkpoint: its epoch, losses and accuracies, the document's beside (its Table 4)."""
    made = []
    for family in families(tables):
        table = _checkpoints(tables, family)
        caption = (
            "The checkpoints of each model: the epoch whose weights are compared, and the means of the finished "
            f"replicates there. {_beside(tables, 'Table 4')} Training values are means during the epoch. "
            f"{shortfall(tables)}"
        )
        alt = f"Table of {plural(len(family.cells), 'model')} at {plural(table['checkpoint'].nunique(), 'checkpoint')}."
        made.append(family.exhibit("checkpoints", "Checkpoints", caption, alt, table, columns=_filled(table)))
    return made


def _checkpoints(tables: Tables, family: Family) -> pd.DataFrame:
    """The table of a family's checkpoints, as texts: a row for each checkpoint and model."""
    there, data, kinds = points(tables), here(tables), models(tables)
    there = there[there["cell_id"].isin(family.cells["cell_id"])]
    means = {cell: own.pivot(index="epoch", columns="quantity", values="mean") for cell, own in data.groupby("cell_id")}
    documented = itertools.chain(tables.document.get("checkpoints", []), itertools.repeat({}))
    rows = []
    for name, theirs in zip(there["checkpoint"].unique(), documented, strict=False):
        for cell_id, label in zip(family.cells["cell_id"], family.cells["label"], strict=True):
            taken = set(there.loc[(there["cell_id"] == cell_id) & (there["checkpoint"] == name), "epoch"])
            epoch = theirs.get(kinds[cell_id], "")
            row = {"checkpoint": name, "model": label, "epoch": whole(taken), "epoch (doc.)": str(epoch)}
            row |= _at(means.get(cell_id, pd.DataFrame()), taken, reported(tables, kinds[cell_id]), epoch)
            rows.append(row | {"why, in the document": theirs.get("why", "")})
    return pd.DataFrame(rows)


def _at(own: pd.DataFrame, taken: set[int], theirs: pd.DataFrame, epoch: int | str) -> dict[str, str]:
    """Losses and accuracies of a model at its epochs of a checkpoint, and at the document's epoch."""
    row = {}
    mean, reported_ = own[own.index.isin(taken)].mean().to_frame().T, theirs.set_index("epoch")
    for name, (heading, digits) in list(COLUMNS.items())[2:]:
        row[heading] = _text(mean, 0, name, digits)
        row[f"{heading} (doc.)"] = _text(reported_, int(epoch), name, digits and PRINTED) if epoch != "" else ""
    return row


# ------------------------------------------------------------------------------------------- curves


def course(tables: Tables) -> list[Exhibit]:
    """Loss and accuracy of each model by epoch, the document's curves beside (its Figures 2 and 3)."""
    made = []
    for family in families(tables):
        if own := _models(tables, family):
            made.append(_course(tables, family, own))
    if not made:
        raise NothingToShow("no cell at checkpoints stands for a model of the document.")
    return made


def _course(tables: Tables, family: Family, own: Sequence[tuple[Any, str]]) -> Exhibit:
    rows = [row for cell, kind in own for row in _curves(tables, cell, kind)]
    data = pd.DataFrame(rows, columns=["model", "quantity", "of", "epoch", "mean"])
    source = tables.document.get("source", "document")
    beside = f"Dashed are the curves of the {source} (Figures 2 and 3), drawn from its tables, whatever data it had."
    told = (data["of"] == "document").any()
    frozen = any(stage.frozen for cell, _ in own for stage in tables.settings[cell.cell_id].stages)
    seen = _endings(data)
    caption = (
        f"{seen} "
        "Loss and accuracy of each model by epoch, on train and valid: thick lines are means over the finished "
        f"replicates, thin lines single ones. {beside if told else ''} "
        f"{'A grey line: all layers learn from there on.' if frozen else ''} Epoch 0 is before the first step; "
        f"training values are means during their epoch, with dropout. {shortfall(tables)}"
    )
    alt, title = f"Line charts of loss and accuracy. {seen}", "Loss and accuracy, epoch by epoch"
    return family.exhibit("course", title, caption, alt, data, _panels(tables, [cell for cell, _ in own], data))


def _curves(tables: Tables, cell: Any, kind: str) -> Iterator[tuple[Any, ...]]:
    """(label, quantity, "here" or "document", epoch, value) of each quantity that is drawn of a model."""
    found, theirs = tables.done("metrics"), reported(tables, kind).set_index("epoch")
    own = found[found["cell_id"] == cell.cell_id].groupby("epoch")
    for measure, split in itertools.product(CURVES, TINTS):
        column = f"{split}_{measure}"
        for of, values in (("here", own[column].mean().dropna()), ("document", theirs[column])):
            yield from ((cell.label, column, of, epoch, value) for epoch, value in values.items())


def _panels(tables: Tables, cells: Sequence[Any], data: pd.DataFrame) -> Figure:
    """A column of panels per model: its loss, and below it its accuracy."""
    fig = style.figure(5.2)
    grid = fig.subplots(2, len(cells), sharey="row", sharex="col", squeeze=False)
    for cell, column in zip(cells, grid.T, strict=True):
        for axes, measure in zip(column, CURVES, strict=True):
            _lines(axes, tables, cell, measure, data[data["model"] == cell.label])
        column[0].set_title(cell.label)
        column[1].set_xlabel("epoch")
    for axes, (label, _) in zip(grid[:, 0], CURVES.values(), strict=True):
        axes.set_ylabel(label)
    style.log_if_wide(grid[0, 0], data.loc[data["quantity"].str.endswith("loss"), "mean"])
    theirs = marks.entry("the document's", **THEIRS)
    marks.legend(fig, grid.flat, extra=[theirs] if (data["of"] == "document").any() else [])
    return fig


def _lines(axes: Axes, tables: Tables, cell: Any, measure: str, data: pd.DataFrame) -> None:
    """The replicates of a cell, their mean, the document's curve, and where a stage with frozen layers ends."""
    found, scale = tables.done("metrics"), CURVES[measure][1]
    for split, colour in TINTS.items():
        column = f"{split}_{measure}"
        for _, run in found[found["cell_id"] == cell.cell_id].groupby("seed"):
            axes.plot(run["epoch"], run[column] * scale, color=colour, linewidth=0.6, alpha=0.45)
        own = data[data["quantity"] == column].assign(mean=data["mean"] * scale)
        mean, theirs = (own[own["of"] == of] for of in ("here", "document"))
        axes.plot(mean["epoch"], mean["mean"], color=colour, marker="o", markersize=3.5, label=split)
        axes.plot(theirs["epoch"], theirs["mean"], color=colour, **THEIRS)
    epoch = 0
    for stage in tables.settings[cell.cell_id].stages:
        epoch += stage.epochs
        if stage.frozen:
            axes.axvline(epoch + 0.5, color="#9A9A9A", linewidth=1, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _endings(data: pd.DataFrame) -> str:
    """The figure of `course` in words."""
    own = data[data["quantity"] == "valid_accuracy"]
    words = []
    for (model, of), part in own.groupby(["model", "of"], sort=False):
        share = style.percent(part.sort_values("epoch")["mean"].iloc[-1])
        words.append(f"{model}{', document' if of == 'document' else ''} {share}")
    return f"Validation accuracy at the last epoch: {'; '.join(words)}."
