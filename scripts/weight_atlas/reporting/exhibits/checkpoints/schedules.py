"""The document's Tables 1 to 4 with the workflow's numbers beside, and its curves (Figures 2 and 3)."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.checkpoints.checkpoints import CUSTOM, PRELOAD, families, models, named, points
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.tables import as_row, last
from weight_atlas.reporting.grammar.words import mean_text, plural

# The columns of the document's Tables 1 and 2, in order: name in metrics.csv -> heading, digits behind the point.
COLUMNS = {
    "seconds": ("seconds", 1),
    "rate": ("rate", None),
    "train_loss": ("train loss", 4),
    "train_accuracy": ("train acc.", 4),
    "valid_loss": ("valid loss", 4),
    "valid_accuracy": ("valid acc.", 4),
}
# The rows of its Table 3: name -> heading, digits behind the point.
OVERALL = {
    "epochs": ("epochs", 0),
    "seconds": ("time (s)", 0),
    "train_loss": ("train loss", 4),
    "train_accuracy": ("train accuracy", 4),
    "valid_loss": ("valid loss", 4),
    "valid_accuracy": ("valid accuracy", 4),
    "test_loss": ("test loss", 4),
    "test_accuracy": ("test accuracy", 4),
}
TINTS = {"train": style.PALETTE[1], "valid": style.PALETTE[0]}


def reported(tables, model):
    """The document's epochs of a model: a DataFrame with epoch and COLUMNS, empty where it reports none."""
    rows = tables.document.get("epochs", {}).get(model, [])
    return pd.DataFrame([[at, *row] for at, row in enumerate(rows, 1)], columns=["epoch", *COLUMNS])


def here(tables):
    """Means of metrics.csv over the finished replicates, by cell, epoch and quantity, with their intervals."""
    found = tables.done("metrics")
    columns = [*COLUMNS, "test_loss", "test_accuracy"]
    long = found.melt(["cell_id", "seed", "epoch"], columns, "quantity", "value").dropna(subset="value")
    return stats.summarise(long, ["cell_id", "epoch", "quantity"], "value")


def kinds(tables):
    """(cell as a named tuple, "preload" or "custom", what tells its family from others) of the cells at checkpoints."""
    which = models(tables)
    for _, _, cells, tab in families(tables):
        for cell in cells.itertuples():
            if which[cell.cell_id] in (PRELOAD, CUSTOM):
                yield cell, which[cell.cell_id], tab


def epochs(tables):
    """The document's Tables 1 and 2: each epoch of each model, the mean here and the document's; list[Exhibit]."""
    data, made = here(tables), []
    for cell, model, tab in kinds(tables):
        own = data[data["cell_id"] == cell.cell_id].pivot(index="epoch", columns="quantity", values="mean")
        theirs = reported(tables, model).set_index("epoch")
        rows = []
        for epoch in sorted({*own.index[own.index > 0], *theirs.index}):
            row = {"epoch": epoch}
            for name, (heading, digits) in COLUMNS.items():
                row[heading] = text(own, epoch, name, digits)
                row[f"{heading} (doc.)"] = text(theirs, epoch, name, 0 if name == "seconds" else digits)
            rows.append(row)
        if not rows:
            continue
        table = pd.DataFrame(rows)
        columns = list(table.columns)
        if theirs.empty:
            columns = [name for name in columns if not name.endswith("(doc.)")]
        number = {PRELOAD: 1, CUSTOM: 2}[model]
        caption = (
            f"Every epoch of {cell.label}: means over the finished replicates, each column with the document's "
            f"beside it (doc., its Table {number}). Training values are means during the epoch, with dropout, so that "
            f"they lag behind. Times depend on the machine and the pictures. {shortfall(tables)}"
        )
        alt = f"Table of {plural(len(table), 'epoch')} of {cell.label} with {len(COLUMNS)} quantities."
        tabs = (tab, cell.label)
        title = "Epoch by epoch"
        made.append(
            Exhibit(named("epochs", *tabs), title, caption.strip(), alt, table, tab=joined(tabs), columns=columns)
        )
    return made


def joined(tabs):
    """The words of a tab."""
    return ", ".join(filter(None, tabs))


def text(frame, row, column, digits):
    """A number of a frame as text, empty where it has none; digits None: as short as it is."""
    if row not in frame.index or column not in frame or not np.isfinite(frame.loc[row, column]):
        return ""
    value = frame.loc[row, column]
    return style.short(value) if digits is None else f"{value:.{digits}f}"


def totals(tables):
    """One row a finished replicate: cell_id, seed and the quantities of OVERALL, those of the last epoch."""
    ends = last(tables.done("metrics"))[["cell_id", "seed", "epoch", *list(OVERALL)[2:]]]
    runs = tables.done("runs")[["cell_id", "seed", "wall_seconds"]]
    found = ends.rename(columns={"epoch": "epochs"}).merge(runs, on=["cell_id", "seed"])
    return found.rename(columns={"wall_seconds": "seconds"})


def document_total(tables, model, quantity):
    """What the document reports of a model overall, NaN where it does not."""
    own = reported(tables, model)
    if quantity.startswith("test_"):
        return tables.document.get("test", {}).get(model, {}).get(quantity.removeprefix("test_"), np.nan)
    if own.empty:
        return np.nan
    return {"epochs": len(own), "seconds": own["seconds"].sum()}.get(quantity, own.iloc[-1].get(quantity))


def two(tables):
    """(preload cell_id, custom cell_id, dataset, network, tab) of each family that has both: the first of each."""
    which = models(tables)
    for dataset, network, cells, tab in families(tables):
        own = {kind: [cell for cell in cells["cell_id"] if which[cell] == kind] for kind in (PRELOAD, CUSTOM)}
        if all(own.values()):
            yield own[PRELOAD][0], own[CUSTOM][0], dataset, network, tab


def difference(tables, one, other, quantity):
    """The mean of a quantity of OVERALL, other less one, paired by seed: a dict of n, mean, low, high."""
    found = totals(tables)
    sides = [found[found["cell_id"] == cell].set_index("seed")[quantity] for cell in (one, other)]
    test = stats.blocked_difference(*sides)
    if not test.n:
        raise NothingToShow("no seed of both models has finished.")
    return as_row(test)


def overall(tables):
    """The document's Table 3: both models at the end, and their difference by seed; list[Exhibit]."""
    found, made = totals(tables), []
    label = tables.cells.set_index("cell_id")["label"]
    for preload, custom, dataset, network, tab in two(tables):
        rows = []
        for quantity, (heading, digits) in OVERALL.items():
            row = {"quantity": heading}
            for cell, model in ((preload, PRELOAD), (custom, CUSTOM)):
                mean = stats.summarise(found[found["cell_id"] == cell], ["cell_id"], quantity).iloc[0]
                row[label[cell]] = plain(mean, digits)
                theirs = document_total(tables, model, quantity)
                row[f"{label[cell]}, document"] = f"{theirs:,.{digits}f}" if np.isfinite(theirs) else ""
            row["difference"] = plain(difference(tables, custom, preload, quantity), digits)
            rows.append(row)
        table = pd.DataFrame(rows)
        columns = [name for name in table.columns if (table[name] != "").any()]
        caption = (
            f"Both models of {network} on {dataset} after the last epoch: means over the finished replicates, with "
            "half the 95 % Student t interval after ±, the document's numbers beside (its Table 3), and "
            f"{label[preload]} less {label[custom]} here, paired by seed. {shortfall(tables)}"
        )
        alt = f"Table of {len(rows)} quantities of {label[preload]} and {label[custom]} at the end of training."
        title = "Both models at the end"
        made.append(Exhibit(named("overall", tab), title, caption.strip(), alt, table, tab=tab, columns=columns))
    return made


def plain(row, digits):
    """A mean with half its interval after ±, the mean alone where all replicates have the same."""
    return mean_text(dict(row) if row["low"] != row["high"] else dict(row) | {"low": np.nan, "high": np.nan}, 1, digits)


def checkpoints(tables):
    """The document's Table 4: the epochs of the checkpoints, here and there, and the accuracy there; list[Exhibit]."""
    there, data, made = points(tables), here(tables), []
    accuracy = data[data["quantity"] == "valid_accuracy"].set_index(["cell_id", "epoch"])["mean"]
    documented = tables.document.get("checkpoints", [])
    which = models(tables)
    for _, _, cells, tab in families(tables):
        own = there[there["cell_id"].isin(cells["cell_id"])]
        rows = []
        for at, name in enumerate(dict.fromkeys(own["checkpoint"])):
            row = {"checkpoint": name}
            theirs = documented[at] if at < len(documented) else {}
            for cell in cells.itertuples():
                taken = sorted(set(own.loc[(own["cell_id"] == cell.cell_id) & (own["checkpoint"] == name), "epoch"]))
                values = [accuracy.get((cell.cell_id, epoch)) for epoch in taken]
                values = [value for value in values if value is not None]
                row[f"{cell.label}: epoch"] = (
                    f"{taken[0]}" if len(taken) == 1 else f"{taken[0]} to {taken[-1]}" if taken else ""
                )
                row[f"{cell.label}: epoch (doc.)"] = str(theirs.get(which[cell.cell_id], ""))
                row[f"{cell.label}: valid acc."] = f"{np.mean(values):.4f}" if values else ""
            row["why, in the document"] = theirs.get("why", "")
            rows.append(row)
        table = pd.DataFrame(rows)
        columns = [name for name in table.columns if (table[name] != "").any()]
        caption = (
            "The checkpoints of each model: the epoch whose weights are compared, the document's beside (doc., its "
            f"Table 4), and the mean validation accuracy there. {shortfall(tables)}"
        )
        alt = f"Table of {plural(len(rows), 'checkpoint')} of {plural(len(cells), 'model')}."
        made.append(
            Exhibit(named("checkpoints", tab), "Checkpoints", caption.strip(), alt, table, tab=tab, columns=columns)
        )
    return made


def course(tables):
    """Loss and accuracy of each model by epoch, the document's curves beside; list[Exhibit]."""
    found = tables.done("metrics")
    made = []
    chosen = list(kinds(tables))
    for tab in dict.fromkeys(tab for *_, tab in chosen):
        cells = [(cell, model) for cell, model, own in chosen if own == tab]
        fig = style.figure(5.2)
        grid = fig.subplots(2, len(cells), sharey="row", sharex="col", squeeze=False)
        data, told = [], False
        for right, (cell, model) in enumerate(cells):
            own, theirs = found[found["cell_id"] == cell.cell_id], reported(tables, model)
            told |= len(theirs) > 0
            for down, measure in enumerate(("loss", "accuracy")):
                axes, scale = grid[down, right], 100 if measure == "accuracy" else 1
                for split, colour in TINTS.items():
                    column = f"{split}_{measure}"
                    for _, run in own.groupby("seed"):
                        axes.plot(run["epoch"], run[column] * scale, color=colour, linewidth=0.6, alpha=0.45)
                    mean = own.groupby("epoch")[column].mean().dropna()
                    axes.plot(mean.index, mean * scale, color=colour, marker="o", ms=3.5)
                    axes.plot(
                        theirs["epoch"], theirs[column] * scale, color=colour, ls="--", lw=1.2, marker="x", ms=4.5
                    )
                    data += [(cell.label, column, "here", epoch, value) for epoch, value in mean.items()]
                    pairs = zip(theirs["epoch"], theirs[column], strict=True)
                    data += [(cell.label, column, "document", epoch, value) for epoch, value in pairs]
                mark(axes, tables.settings[cell.cell_id])
                axes.xaxis.get_major_locator().set_params(integer=True)
            grid[0, right].set_title(cell.label)
            grid[1, right].set_xlabel("epoch")
        seen = pd.DataFrame(data, columns=["model", "quantity", "of", "epoch", "mean"])
        grid[0, 0].set_ylabel("loss (cross-entropy)")
        grid[1, 0].set_ylabel("accuracy (%)")
        style.log_if_wide(grid[0, 0], seen.loc[seen["quantity"].str.endswith("loss"), "mean"])
        handles = [Line2D([], [], color=colour, marker="o", ms=3.5, label=split) for split, colour in TINTS.items()]
        if told:
            handles.append(
                Line2D([], [], color=style.QUIET, ls="--", lw=1.2, marker="x", ms=4.5, label="the document's")
            )
        fig.legend(handles=handles, ncols=3, **ABOVE)
        beside = (
            "Dashed are the document's curves, drawn from its tables, whatever data it had (its Figures 2 and 3). "
            if told
            else ""
        )
        caption = (
            "Loss and accuracy of each model by epoch, on train and valid: thick lines are means over the finished "
            f"replicates, thin lines single ones. {beside}A grey line: all layers learn from there on. Epoch 0 is "
            f"before the first step; training values are means during their epoch, with dropout. {shortfall(tables)}"
        )
        alt = f"Line charts of loss and accuracy. {endings(seen)}"
        title = "Loss and accuracy, epoch by epoch"
        made.append(Exhibit(named("course", tab), title, caption.strip(), alt, seen, fig, tab=tab))
    if not made:
        raise NothingToShow("no cell at checkpoints stands for a model of the document.")
    return made


def mark(axes, settings):
    """A line where a stage with frozen layers ends."""
    epoch = 0
    for stage in settings.stages:
        epoch += stage.epochs
        if stage.frozen:
            axes.axvline(epoch + 0.5, color="#9A9A9A", linewidth=1, zorder=0)


def endings(data):
    """The picture of `course` in words."""
    own = data[data["quantity"] == "valid_accuracy"]
    words = []
    for (model, of), part in own.groupby(["model", "of"], sort=False):
        share = style.percent(part.loc[part["epoch"].idxmax(), "mean"])
        words.append(f"{model}{', document' if of == 'document' else ''} {share}")
    return f"Validation accuracy at the last epoch: {'; '.join(words)}."
