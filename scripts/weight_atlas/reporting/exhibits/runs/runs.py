"""Exhibits on how the runs ended: test accuracy by cell, and the same as a table."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs import beside
from weight_atlas.reporting.grammar import dots, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, mean_text, plural, whole
from weight_atlas.vocabulary import NO_DATA, Protocol

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


def accuracy_means(tables: Tables) -> pd.DataFrame:
    """Accuracy by cell and protocol: the labels, protocol, n, of, mean, low, high (shares)."""
    found = tables.summary("accuracy").rename(columns={"key": "protocol"})
    return with_cells(tables, found[["cell_id", "protocol", *ESTIMATE]])


def with_cells(tables: Tables, data: pd.DataFrame) -> pd.DataFrame:
    """`data` (one or more rows a cell_id) with the cell's labels in front and `of`, in the config's order."""
    named = tables.cells.rename(columns={"replicates": "of"})
    labels = ["cell_id", "dataset", "network", *tables.axes]
    out = named[[*labels, "of"]].merge(data, on="cell_id")
    columns = [column for column in out.columns if column != "of"]
    if "n" in columns:
        columns.insert(columns.index("n") + 1, "of")
    return out[columns]


def accuracy(tables: Tables) -> list[Exhibit]:
    """Test accuracy as dots with intervals (cut at 0 and 100 %), a row per cell."""
    tables = tables.seeing()
    data = accuracy_means(tables)
    data[["low", "high"]] = data[["low", "high"]].clip(0, 1)
    present = [name for name in PROTOCOLS if name in set(data["protocol"])]
    fig, rows = dots.rows(tables, "accuracy (%)", by=data[data["protocol"] == present[0]])
    for place, name in enumerate(present):
        words, marker, colour = PROTOCOLS[name]
        shift = 0.24 * (place - (len(present) - 1) / 2)
        rows.dots(data[data["protocol"] == name], colour=colour, marker=marker, label=words, shift=shift, scale=100)
    for axes in rows.panels.values():
        left, right = axes.get_xlim()
        axes.set_xlim(max(left, -2), min(right, 101))
    rows.align()
    rows.counts()
    rows.legend(fig)
    scales = "Each data set has its own scale." if tables.cells["dataset"].nunique() > 1 else ""
    cut = "An interval that would pass 100 % is cut there." if (data["high"] == 1).any() else ""
    caption = (
        "Test accuracy of every cell. Dots are means over the finished replicates; n/N beside a row counts finished "
        f"and requested replicates. {intervals('Lines', data)} The dots of a row are one set of runs, reported by "
        "three protocols: at the last epoch and at the best validation epoch, both on the "
        f"{beside.test_set(tables)}, and at the best epoch on valid and test together, which flatters, since it is "
        f"chosen on the very images that it reports (many documents do so). {scales} {cut} {beside.sentences(tables)} "
        f"{rows.crowd} {shortfall(tables)}"
    )
    return [Exhibit("accuracy", "Test accuracy", caption, _alt(tables, data), data, fig)]


def _alt(tables: Tables, data: pd.DataFrame) -> str:
    """The figure in words: the lowest and the highest mean at the last epoch, and which cells they are."""
    one = data[data["protocol"] == ("last" if "last" in set(data["protocol"]) else data["protocol"].iloc[0])]
    what = f"Accuracy ({PROTOCOLS[one['protocol'].iloc[0]][0]})"
    return f"Dot plot. {extremes(tables, one, what, style.percent)} {shortfall(tables)}"


def accuracy_table(
    tables: Tables,
    name: str = "accuracy-table",
    title: str = "Test accuracy in numbers",
    behind: str = "accuracy",
) -> list[Exhibit]:
    """The numbers of `accuracy` as a table in percent; cells without a finished replicate keep their row."""
    tables.read("accuracy")
    try:
        data = accuracy_means(tables)
    except NothingToShow:
        data = pd.DataFrame(columns=["cell_id", "protocol", *ESTIMATE])
    means: Any = data.set_index(["cell_id", "protocol"]).to_dict("index")
    status = tables.status()
    rows = []
    for cell in tables.cells.to_dict("records"):
        row = labels(tables, cell) | {"done": of_asked(status.loc[cell["cell_id"]])}
        for protocol, words in HEADINGS.items():
            mean = means.get((cell["cell_id"], protocol))
            row[words] = mean_text(mean, 100, 1, bounds=SHARE) if mean else "none"
        rows.append(row)
    table = pd.DataFrame(rows)
    columns = printed(tables, table)
    caption = (
        f"Accuracy in percent{everywhere(tables)}: mean over the finished replicates{counted(columns)} at the last "
        "epoch and at the best validation epoch, both on test, and at the epoch that is best on valid and test "
        f"together, as many documents report it. {half(data)} {beside.sentences(tables)} "
        f"{shortfall(tables)}"
    )
    alt = f"Table of accuracies of {plural(len(table), 'cell')} by three protocols."
    return [Exhibit(name, title, caption, alt, table, columns=columns, behind=behind)]


def labels(tables: Tables, cell: Mapping[Any, str]) -> dict[str, str]:
    """The settings of a cell (a dict) as the first columns of a printed table."""
    return {WORDS.get(column, column): cell[column] for column in ("dataset", "network", *tables.axes)}


def printed(tables: Tables, table: pd.DataFrame) -> list[str]:
    """The columns of a table that begins with `labels`, without those that say the same of every cell: data set or
    network where there is but one, and "done" where every replicate is and learnt."""
    alone = [WORDS.get(name, name) for name in ("dataset", "network") if tables.cells[name].nunique() == 1]
    total = tables.status().sum()
    return [name for name in table.columns if name not in alone and (name != "done" or not dots.whole(total))]


def counted(columns: Iterable[str]) -> str:
    """What the column "done" means, where a table prints it."""
    return " (done: finished of requested)" if "done" in columns else ""


def everywhere(tables: Tables) -> str:
    """ " of lenet5 on digits": what all cells share and a table does not repeat; empty where they share neither."""
    shared = {"of": tables.values("network"), "on": tables.values("dataset")}
    return "".join(f" {word} {names[0]}" for word, names in shared.items() if len(names) == 1 and names[0] != NO_DATA)


def sources(tables: Tables) -> list[Exhibit]:
    """The accuracy table of the source cells, whose weights others start from."""
    if tables.sources is None:
        return []
    return accuracy_table(tables.sources, "sources", "Source cells, whose weights others start from", behind="")


def of_asked(status: dots.Counts) -> str:
    """ "3 of 3", or "1 of 3 (2 diverged, 1 never learnt)" from a row of Tables.status()."""
    text = f"{status['done']} of {status['asked']}"
    return text if dots.whole(status) else f"{text} ({dots.remarks(status)})"


def half(data: pd.DataFrame) -> str:
    """What stands behind ± in a table of `data` (with a column n)."""
    return intervals("The numbers after ± (half its width) and in brackets (its ends)", data)


def intervals(what: str, data: pd.DataFrame) -> str:
    """A sentence on what the bars of `data` (with a column n) are, and how many replicates they rest on: "Lines give
    the 95 % Student t interval over n = 3 replicates."."""
    n = whole(count for count in data["n"] if count >= 2) if "n" in data else ""
    if not n:
        return "No cell has two finished replicates, so there is no interval."
    alone = "; a cell with one finished replicate has none" if (data["n"] == 1).any() else ""
    return f"{what} give the 95 % Student t interval over n = {n} replicates{alone}."


def shortfall(tables: Tables, **settings: str) -> str:
    """Sentences on replicates (of the cells with these settings) that did not finish, or finished and never learnt;
    empty where all finished and learnt."""
    return fallen_short(tables.status().loc[tables.where(**settings)["cell_id"]].sum())


def fallen_short(total: dots.Counts, which: str = "") -> str:
    """The sentences of `shortfall` on a sum of Tables.status(); which: words on whose replicates they are."""
    told = f"Of {plural(total['asked'], 'replicate')}{which} {total['done']} finished ({dots.fate(total)})."
    return " ".join(filter(None, [told if total["done"] < total["asked"] else "", dots.unlearnt(total["unlearnt"])]))


def cell_name(tables: Tables, cell_id: str) -> str:
    """ "digits, lenet5, kaiming · sgd": a cell in words."""
    cell: Any = tables.cells.set_index("cell_id").loc[cell_id]
    return ", ".join([cell["dataset"], cell["network"], *([cell["label"]] if tables.axes else [])])


def extremes(tables: Tables, data: pd.DataFrame, what: str, text: Callable[[float], str], column: str = "mean") -> str:
    """ "<what> goes from 1.2 (cell) to 3.4 (cell) over 6 cells." of a column of `data`, numbers written by `text`."""
    ends: list[Any] = [data[column].idxmin(), data[column].idxmax()]
    low, high = data.loc[ends].to_dict("records")
    if low[column] == high[column]:
        one = cell_name(tables, low["cell_id"]) if len(data) == 1 else f"all {len(data)} cells"
        return f"{what} is {text(low[column])} ({one})."
    span = f"from {text(low[column])} ({cell_name(tables, low['cell_id'])})"
    return f"{what} goes {span} to {text(high[column])} ({cell_name(tables, high['cell_id'])}) over {len(data)} cells."
