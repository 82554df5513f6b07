"""Exhibits on how the runs ended: test accuracy by cell, and the same as a table."""

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs import beside
from weight_atlas.reporting.grammar import dots, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.words import mean_text, plural
from weight_atlas.vocabulary import Protocol

# protocol -> (words, marker, colour)
PROTOCOLS = {
    Protocol.LAST: ("last epoch, on test", "o", style.PALETTE[0]),
    Protocol.BEST_VALID: ("best validation epoch, on test", "D", style.PALETTE[1]),
    Protocol.DOCUMENT: ("best epoch, on valid and test", "s", style.PALETTE[2]),
}

HEADINGS = {
    Protocol.LAST: "last epoch",
    Protocol.BEST_VALID: "best validation",
    Protocol.DOCUMENT: "document's own",
}

# Column headings of printed tables.
WORDS = {"dataset": "data set", "init": "start"}

# The columns of an estimate.
ESTIMATE = ("n", "mean", "low", "high")


def accuracy_means(tables):
    """Accuracy by cell and protocol: the labels, protocol, n, of, mean, low, high (shares)."""
    found = tables.summary("accuracy").rename(columns={"key": "protocol"})
    return with_cells(tables, found[["cell_id", "protocol", *ESTIMATE]])


def with_cells(tables, data):
    """`data` (one or more rows a cell_id) with the cell's labels in front and `of`, in the config's order."""
    named = tables.cells.rename(columns={"replicates": "of"})
    labels = ["cell_id", "dataset", "network", *tables.axes]
    out = named[[*labels, "of"]].merge(data, on="cell_id")
    columns = [column for column in out.columns if column != "of"]
    if "n" in columns:
        columns.insert(columns.index("n") + 1, "of")
    return out[columns]


def accuracy(tables):
    """Dots and intervals (cut at 0 and 100 %) of test accuracy, a row a cell; [Exhibit]."""
    tables = tables.seeing()
    data = accuracy_means(tables)
    data[["low", "high"]] = data[["low", "high"]].clip(0, 1)
    present = [name for name in PROTOCOLS if name in set(data["protocol"])]
    fig, rows = dots.rows(tables, "accuracy (%)", by=data[data["protocol"] == present[0]])
    for place, name in enumerate(present):
        words, marker, colour = PROTOCOLS[name]
        shift = 0.24 * (place - (len(present) - 1) / 2)
        part = data[data["protocol"] == name]
        rows.dots(part, colour=colour, marker=marker, label=words, shift=shift, scale=100)
    for axes in rows.panels.values():
        left, right = axes.get_xlim()
        axes.set_xlim(max(left, -2), min(right, 101))
    rows.align()
    rows.counts()
    rows.legend(fig)
    on = f"both on the {beside.test_set(tables)}"
    caption = (
        "Test accuracy of every cell. Dots are means over the finished replicates; n/N beside a row counts finished "
        f"and requested replicates. {intervals('Lines', data)} The dots of a row are one set of runs told in three "
        f"ways: the last epoch and the best validation epoch, {on}, and the best epoch on "
        "valid and test together, which flatters, since it is chosen on the very pictures that it reports (many "
        "documents do so). "
        + ("Each data set has its own scale. " if tables.cells["dataset"].nunique() > 1 else "")
        + ("An interval that would pass 100 % is cut there. " if (data["high"] == 1).any() else "")
        + f"{beside.sentences(tables)} {rows.crowd} {shortfall(tables)}"
    )
    return [Exhibit("accuracy", "Test accuracy", " ".join(caption.split()), accuracy_alt(tables, data), data, fig)]


def accuracy_alt(tables, data):
    """The picture in words: the lowest and the highest mean at the last epoch, and which cells they are."""
    one = data[data["protocol"] == ("last" if "last" in set(data["protocol"]) else data["protocol"].iloc[0])]
    what = f"Accuracy ({PROTOCOLS[one['protocol'].iloc[0]][0]})"
    return f"Dot plot. {extremes(tables, one, what, style.percent)} {shortfall(tables)}".strip()


def accuracy_table(tables, name="accuracy-table", title="Test accuracy in numbers"):
    """The numbers of `accuracy` as a table in percent; cells without a finished replicate keep their row; [Exhibit]."""
    tables.read("accuracy")
    try:
        data = accuracy_means(tables).set_index(["cell_id", "protocol"])
    except NothingToShow:
        data = pd.DataFrame(columns=["n", "mean", "low", "high"], index=pd.MultiIndex.from_arrays([[], []]))
    status = tables.status()
    rows = []
    for cell in tables.cells.to_dict("records"):
        row = labels(tables, cell) | {"done": of_asked(status.loc[cell["cell_id"]])}
        for protocol, words in HEADINGS.items():
            key = (cell["cell_id"], protocol)
            row[words] = mean_text(data.loc[key], 100, 1) if key in data.index else "none"
        rows.append(row)
    table = pd.DataFrame(rows)
    columns = printed(tables, table)
    caption = (
        f"Accuracy in percent{everywhere(tables)}: mean over the finished replicates{counted(columns)} at the last "
        "epoch and at the best validation epoch, both on test, and at the epoch that is best on valid and test "
        f"together, as many documents report it. {half(data)} {beside.sentences(tables)} "
    )
    alt = f"Table of accuracies of {plural(len(table), 'cell')} by three protocols."
    return [Exhibit(name, title, " ".join((caption + shortfall(tables)).split()), alt, table, columns=columns)]


def labels(tables, cell):
    """The settings of a cell (a dict) as the first columns of a printed table."""
    return {WORDS.get(column, column): cell[column] for column in ("dataset", "network", *tables.axes)}


def printed(tables, table):
    """The columns of a table that begins with `labels`, without those that say the same of every cell: data set or
    network where there is but one, and "done" where every replicate is and learnt."""
    alone = [WORDS.get(name, name) for name in ("dataset", "network") if tables.cells[name].nunique() == 1]
    total = tables.status().sum()
    return [name for name in table.columns if name not in alone and (name != "done" or not dots.whole(total))]


def counted(columns):
    """What the column "done" means, where a table prints it."""
    return " (done: finished of requested)" if "done" in columns else ""


def everywhere(tables):
    """ " of lenet5 on digits": what all cells share and a table does not repeat; empty where they share neither."""
    names = {name: tables.values(name) for name in ("network", "dataset")}
    network = f" of {names['network'][0]}" if len(names["network"]) == 1 else ""
    return network + (f" on {names['dataset'][0]}" if len(names["dataset"]) == 1 else "")


def sources(tables):
    """The accuracy table of the source cells, whose weights others start from; [Exhibit]."""
    if tables.sources is None:
        return []
    return accuracy_table(tables.sources, "sources", "Source cells, whose weights others start from")


def of_asked(status):
    """ "3 of 3", or "1 of 3 (2 diverged, 1 never learnt)" from a row of Tables.status()."""
    text = f"{status['done']} of {status['asked']}"
    return text if dots.whole(status) else f"{text} ({dots.remarks(status)})"


def half(data):
    """What stands behind ± in a table of `data` (with a column n)."""
    return intervals("The numbers after ± (half its width)", data)


def intervals(what, data):
    """A sentence on what the bars of `data` (with a column n) are, and how many replicates they rest on: "Lines give
    the 95 % Student t interval over n = 3 replicates."."""
    counts = sorted({int(n) for n in data["n"] if n >= 2}) if "n" in data else []
    if not counts:
        return "No cell has two finished replicates, so there is no interval."
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    alone = "; a cell with one finished replicate has none" if (data["n"] == 1).any() else ""
    return f"{what} give the 95 % Student t interval over n = {n} replicates{alone}."


def shortfall(tables, **settings):
    """Sentences on replicates (of the cells with these settings) that did not finish, or finished and never learnt;
    empty where all finished and learnt."""
    return fallen_short(tables.status().loc[tables.where(**settings)["cell_id"]].sum())


def fallen_short(total: dots.Counts, which: str = "") -> str:
    """The sentences of `shortfall` on a sum of Tables.status(); which: words on whose replicates they are."""
    told = f"Of {plural(total['asked'], 'replicate')}{which} {total['done']} finished ({dots.fate(total)})."
    return " ".join(filter(None, [told if total["done"] < total["asked"] else "", dots.unlearnt(total["unlearnt"])]))


def cell_name(tables, cell_id):
    """ "digits, lenet5, kaiming · sgd": a cell in words."""
    cell = tables.cells.set_index("cell_id").loc[cell_id]
    parts = [cell["dataset"], cell["network"]] + ([cell["label"]] if tables.axes else [])
    return ", ".join(parts)


def extremes(tables, data, what, text, column="mean"):
    """ "<what> goes from 1.2 (cell) to 3.4 (cell) over 6 cells." of a column of `data`, numbers written by `text`."""
    low, high = data.loc[data[column].idxmin()], data.loc[data[column].idxmax()]
    if low[column] == high[column]:
        one = cell_name(tables, low["cell_id"]) if len(data) == 1 else f"all {len(data)} cells"
        return f"{what} is {text(low[column])} ({one})."
    span = f"from {text(low[column])} ({cell_name(tables, low['cell_id'])})"
    return f"{what} goes {span} to {text(high[column])} ({cell_name(tables, high['cell_id'])}) over {len(data)} cells."


def whose(cells):
    """ "lenet5 on digits and fashion": the networks and data sets of some rows."""
    networks, datasets = (" and ".join(dict.fromkeys(cells[column])) for column in ("network", "dataset"))
    return f"{networks} on {datasets}"
