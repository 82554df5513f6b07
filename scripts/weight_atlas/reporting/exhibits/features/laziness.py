"""Exhibits on laziness: is a trained network still its linearisation at the start, and its tangent kernel the same?"""

from typing import Any

import pandas as pd

from weight_atlas import stats
from weight_atlas.reporting.exhibits.runs.runs import intervals, labels, printed, shortfall, with_cells
from weight_atlas.reporting.grammar import dots, style
from weight_atlas.reporting.grammar.answers import Answer, Verdict, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, as_row
from weight_atlas.reporting.grammar.words import SHARE, mean_text, plural, shares, span, three, whole
from weight_atlas.stats import summarise

# Training is called lazy where the linearisation misses less than this share of the change of the outputs. A choice of
# this project: theory has a limit, of wide networks or large output scales, and no threshold.
LAZY = 0.1
SHARES = {"accuracy": "the network", "linear_accuracy": "its linearisation at the start"}
RATIOS = ("departure", "kernel_change")


def means(tables: Tables) -> pd.DataFrame:
    """laziness.csv by cell, finished replicates: the labels, quantity, n, of, mean, low, high.

    departure and kernel_change are ratios, and averaged on a log scale; those that are 0 are left out.
    """
    found = tables.done("laziness")
    parts = [summarise(found, ["cell_id"], name).assign(quantity=name) for name in (*SHARES, "agreement")]
    for name in RATIOS:
        known = found[found[name] > 0].groupby("cell_id", sort=False)[name]
        rows = [{"cell_id": cell, **as_row(stats.ratio_mean(values)), "quantity": name} for cell, values in known]
        parts.append(pd.DataFrame(rows, columns=["cell_id", "n", "mean", "low", "high", "quantity"]))
    data = pd.concat(parts, ignore_index=True)
    made: pd.DataFrame = with_cells(tables, data[["cell_id", "quantity", "n", "mean", "low", "high"]])
    return made


def lazy(tables: Tables) -> list[Exhibit]:
    """Accuracy of each cell's network and of its linearisation, and all numbers as a table."""
    tables = tables.only(tables.read("laziness")["cell_id"])
    data = means(tables)
    shown = data[data["quantity"].isin(SHARES)].copy()
    shown[["low", "high"]] = shown[["low", "high"]].clip(0, 1)
    fig, rows = dots.rows(tables, "accuracy (%)", by=shown[shown["quantity"] == "accuracy"])
    for at, (name, words) in enumerate(SHARES.items()):
        part = shown[shown["quantity"] == name]
        rows.dots(part, colour=style.PALETTE[at], marker="oD"[at], label=words, scale=100, shift=0.2 * (2 * at - 1))
    rows.align()
    rows.counts()
    rows.legend(fig)
    seen = " ".join(one.statement for one in answer(tables))
    caption = (
        f"{seen} "
        "Test accuracy of each trained network, and of its linearisation f(θ₀) + J(θ₀)(θ − θ₀) at the same weights: "
        "where training is lazy, the two are equal. Both in evaluation mode, with the running statistics of the end. "
        f"{intervals('Lines', shown)} {rows.crowd} {shortfall(tables)}"
    )
    exhibits = [Exhibit("laziness", "Is training lazy?", caption, f"Dot plot. {seen}", shown, fig)]
    return [*exhibits, _table(tables, data)]


def _table(tables: Tables, data: pd.DataFrame) -> Exhibit:
    """The numbers of `means`, a row for each cell."""
    found: Any = data.set_index(["cell_id", "quantity"]).to_dict("index")
    rows = []
    for cell in tables.cells.to_dict("records"):
        own = {name: found.get((cell["cell_id"], name)) for name in (*SHARES, "agreement", *RATIOS)}
        row = labels(tables, cell)
        for name, heading in (("accuracy", "accuracy"), ("linear_accuracy", "linearised"), ("agreement", "agreement")):
            row[f"{heading} (%)"] = mean_text(own[name], 100, 1, bounds=SHARE) if own[name] else "none"
        for name, heading in (("departure", "departure"), ("kernel_change", "kernel change")):
            row[heading] = _ratio(own[name])
        rows.append(row)
    table = pd.DataFrame(rows)
    caption = (
        "How lazy training is. Agreement: test images for which the network and its linearisation at the start predict "
        "the same class. Departure: ‖f − f_lin‖ / ‖f − f₀‖ over all outputs, 0 where training is lazy. Kernel change: "
        "‖K₁ − K₀‖ / ‖K₀‖ of the tangent kernel of a few test images, each with the output of its own class. Means "
        "over the finished replicates, of the last two on a log scale, with 95 % intervals."
    )
    alt = f"Table of laziness of {plural(len(table), 'cell')}."
    columns = printed(tables, table)
    return Exhibit("laziness-table", "Laziness in numbers", caption, alt, table, columns=columns, behind="laziness")


def _ratio(row: Any) -> str:
    """ "0.81 [0.45, 1.2]" of a mean of ratios."""
    if not row or not row["n"]:
        return "none"
    interval = f" [{three(row['low'])}, {three(row['high'])}]" if row["low"] == row["low"] else ""
    return f"{three(row['mean'])}{interval}"


def answer(tables: Tables) -> list[Answer]:
    """Lazy or not, by network and data set."""
    told = []
    for (network, dataset), own in means(tables).groupby(["network", "dataset"], sort=False):
        where, by = f"{network} on {dataset}", {str(name): rows for name, rows in own.groupby("quantity", sort=False)}
        if "departure" not in by:
            told.append(Answer("The outputs never moved.", Verdict.UNDECIDED, where))
            continue
        verdict, word = _verdict(by["departure"])
        text = (
            f"{word}: the network classifies {shares(by['accuracy']['mean'])} right, its linearisation at the start "
            f"{shares(by['linear_accuracy']['mean'])}."
        )
        kernel = f"{_span(by['kernel_change'])} its norm" if "kernel_change" in by else "nothing"
        beside = (
            f"the linearisation misses the outputs by {_span(by['departure'])} their change, and the tangent kernel "
            f"changes by {kernel} (means of cells)."
        )
        ratios = pd.concat([by[name] for name in ("departure", "kernel_change") if name in by])
        rows: list[Any] = ratios.to_dict("records")
        numbers = tuple(number(f"{row['quantity']}, {where}", row, three(row["mean"])) for row in rows)
        sure = f"95 % intervals of cells' means against {LAZY:g}, n = {whole(by['departure']['n'])}"
        told += [Answer(text, verdict, where, numbers, sure), Answer(beside, about=where)]
    return told


def _span(rows: pd.DataFrame) -> str:
    """ "0.86 to 1.6 times", of the means of some ratios."""
    return f"{span(rows['mean'], digits=2)} times"


def _verdict(departures: pd.DataFrame) -> tuple[Verdict, str]:
    """Whether the intervals of all cells lie below LAZY, or above, and the word for it."""
    if (departures["high"] < LAZY).all():
        return Verdict.YES, "Training is lazy"
    if (departures["low"] > LAZY).all():
        return Verdict.NO, "Training is not lazy"
    if (departures["high"] < LAZY).any():
        return Verdict.PARTLY, "Lazy in some cells, not in all"
    if (departures["low"] > LAZY).any():
        return Verdict.UNDECIDED, "Not lazy in some cells; in others it may be"
    return Verdict.UNDECIDED, "Whether training is lazy is not decided"
