"""Exhibits on the lines between trained models that differ in one thing: do they lie in one basin?"""

import math
from typing import Any

import pandas as pd

from weight_atlas import stats
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.effects import records
from weight_atlas.reporting.exhibits.design.grid import Row, amount, share
from weight_atlas.reporting.exhibits.design.spans import place
from weight_atlas.reporting.exhibits.features import pairs
from weight_atlas.reporting.exhibits.perturbed.paths import ALIGNMENTS, CONNECTED
from weight_atlas.reporting.exhibits.runs.runs import WORDS, intervals
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.answers import Answer, Verdict, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, as_row
from weight_atlas.reporting.grammar.words import by_network, fixed, plural, span

SEED = "seed"  # the factor of two seeds of one cell
KEYS = ["network", "dataset", "factor", "pair"]
MOST = 6  # pairs of the figure of lines
SAID = {
    Verdict.YES: "In one basin once channels are matched",
    Verdict.NO: "Apart, also once channels are matched",
    Verdict.UNDECIDED: "Not clear once channels are matched",
}


def compared(tables: Tables, name: str) -> pd.DataFrame:
    """connectivity.csv or lines.csv, with the words of each pair; seeds first, by cell where there are several."""
    found = pairs.chance_first(pairs.compared(tables, name))
    labels = found["cell_a"].map(tables.cells.drop_duplicates("cell_id").set_index("cell_id")["label"])
    seeds = "two seeds" + (" of " + labels if tables.axes else "")
    levels = found["level_a"] + " / " + found["level_b"] + " (" + found["factor"].map(lambda x: WORDS.get(x, x)) + ")"
    return found.assign(pair=levels.where(found["factor"] != SEED, seeds))


def estimates(tables: Tables) -> list[Row]:
    """Of each pair of levels and each alignment: the barrier (n, mean, low, high), loss (its mean), merged (a row: the
    accuracy of the model half-way) and gain (a row: that less the mean of its ends)."""
    found = compared(tables, "connectivity")
    gain = found["merged_accuracy"] - (found["accuracy_a"] + found["accuracy_b"]) / 2
    made = []
    for keys, own in found.assign(gain=gain).groupby([*KEYS, "alignment"], sort=False):
        barrier, merged, gained = (_mean(own, name) for name in ("accuracy_barrier", "merged_accuracy", "gain"))
        front = dict(zip([*KEYS, "alignment"], keys, strict=True))
        loss = own["loss_barrier"].mean()
        row = front | barrier | {"low": max(0.0, barrier["low"]) if math.isfinite(barrier["low"]) else math.nan}
        made.append(row | {"pairs": len(own), "loss_barrier": loss, "merged": merged, "gain": gained})
    return made


def _mean(own: pd.DataFrame, column: str) -> Row:
    """The mean of a column with its interval over seeds: of pairs of seeds, which share models, by the jackknife; where
    all are equal, as wide as the step of an accuracy makes it."""
    if (own["factor"] == SEED).all():
        known = pairs.by_seeds(own, column)
        values, row, fewest = pd.Series(list(known.values())), as_row(stats.pair_mean(known)), 3
    else:
        values, fewest = own.groupby("seed_a")[column].mean(), 2
        row = grid.interval(values)
    if row["n"] >= fewest and not row["low"] < row["high"] and values.nunique() == 1:
        equal = stats.evidence([row["mean"]] * row["n"], resolution=1 / own["pictures"].iloc[0])
        row |= {"low": equal.low, "high": equal.high}
    return row


def barriers(tables: Tables) -> list[Exhibit]:
    """The accuracy barrier of each pair, before and after channels are matched, as dots with intervals."""
    data = pd.DataFrame(estimates(tables)).drop(columns=["merged", "gain"])
    strips = panels.strips(tables, data)
    names = {network: list(dict.fromkeys(data.loc[data["network"] == network, "pair"])) for network, _ in strips}
    fig, found = panels.rows(strips, names, "accuracy barrier (points)", 0.3, 1.0)
    for row in records(data):
        words, _, marker, shift = ALIGNMENTS[row["alignment"]]
        axes, at = found[row["network"], row["dataset"]], names[row["network"]].index(row["pair"])
        colour = style.PALETTE[0] if row["alignment"] == "plain" else style.PALETTE[1]
        marks.dot(axes, at + shift, row, _words(words), marker, colour, scale=100, bounds=(0, 1))
    highest = min(103, max(axes.get_xlim()[1] for axes in found.values()))
    for axes in found.values():
        axes.axvline(100 * CONNECTED, color=style.INK, linestyle=":", linewidth=1.2, zorder=1, label="2 points")
        axes.set_xlim(-1, highest)
    marks.legend(fig, found.values())
    matched = data[data["alignment"] == "aligned"]
    left = by_network(matched, lambda rows: f"{span(100 * rows['mean'], lambda value: fixed(value, 1))} points")
    seen = f"Mean barriers that are left when channels are matched: {left}."
    caption = (
        f"{seen} By how many points test accuracy falls at most below the straight line between its ends, on the way "
        "from one trained model to another that differs in one thing. Models that differ in something else than the "
        f"seed share it, and so their start and the order of images. {intervals('Lines', data)} Plain, and with the "
        "channels of the second model matched to those of the first, which changes no output; the smaller barrier of "
        "the two counts. Left of the dotted line, 2 points, two models are called linearly connected (Frankle et al. "
        f"2020): one basin. {pairs.sampled(tables, data['factor'].unique())}"
    )
    return [Exhibit("connectivity", "Barriers between models", caption, f"Dot plot. {seen}", data, fig)]


def _words(alignment: str) -> str:
    return "channels matched" if alignment != "plain" else alignment


def table(tables: Tables) -> list[Exhibit]:
    """Barriers and merged models in numbers."""
    rows = estimates(tables)
    plain = {tuple(row[key] for key in KEYS): row for row in rows if row["alignment"] == "plain"}
    shown = [
        {
            "network": row["network"],
            "data set": row["dataset"],
            "models": row["pair"],
            "pairs": row["pairs"],
            "barrier": _points(plain[tuple(row[key] for key in KEYS)], ""),
            "matched": _points(row, ""),
            "merged model": share(row["merged"]),
            "less the mean of both": amount(row["gain"], unit=""),
        }
        for row in rows
        if row["alignment"] == "aligned"
    ]
    found = pd.DataFrame(shown)
    columns = [name for name in found if name not in ("network", "data set") or found[name].nunique() > 1]
    caption = (
        "Accuracy barriers in points, plain and with channels matched, and the test accuracy of the merged "
        "model: the mean of both models' weights, channels matched. Where a network has BatchNorm, running statistics "
        "are estimated anew, from up to 1,000 training images, for the merged model and for both ends. Brackets are "
        "95 % intervals over seeds; those of two seeds, which share models, are by a jackknife."
    )
    alt = f"Table of {plural(len(shown), 'kind')} of pairs."
    return [Exhibit("connectivity-table", "Barriers and merged models", caption, alt, found, columns=columns,
                    behind="connectivity")]  # fmt: skip


def lines(tables: Tables) -> list[Exhibit]:
    """Mean accuracy along the lines, a colour for each pair."""
    found = compared(tables, "lines")
    shown = list(dict.fromkeys(found["pair"]))[:MOST]
    found = found[found["pair"].isin(shown)]
    data = found.groupby([*KEYS, "alignment", "t"], sort=False)[["accuracy", "loss"]].mean().reset_index()
    strips = panels.strips(tables, data)
    fig, grid_ = panels.layout(strips, [2.2] * len(strips), 1.0, sharey=True)
    for (network, dataset), axes in grid_.items():
        own = panels.of(data, network, dataset)
        for (pair, alignment), line in own.groupby(["pair", "alignment"], sort=False):
            look: Any = {"color": style.PALETTE[shown.index(str(pair))], "linestyle": ALIGNMENTS[str(alignment)][1]}
            axes.plot(line["t"], 100 * line["accuracy"], linewidth=1.5, **look)
        axes.set_xticks([0, 0.5, 1], ["one", "half-way", "the other"])
        axes.set_ylim(-3, 103)
    for key in panels.leftmost(strips):
        grid_[key].set_ylabel("accuracy (%)")
    extra = [marks.entry(pair, color=style.PALETTE[at], linewidth=3) for at, pair in enumerate(shown)]
    extra += [marks.entry(_words(words), linestyle=dash) for words, dash, *_ in ALIGNMENTS.values()]
    marks.legend(fig, grid_.values(), extra=extra)
    caption = (
        "Mean test accuracy on the straight line between two models, plain and with channels matched (dashed); the "
        "loss is in the CSV. Half-way is the merged model."
    )
    lowest = data[data["alignment"] == "aligned"].groupby("pair", sort=False)["accuracy"].min()
    alt = "Line charts. Lowest mean accuracy, channels matched: " + "; ".join(
        f"{pair} {style.percent(value)}" for pair, value in lowest.items()
    )
    title = "On the line between two models"
    return [Exhibit("connectivity-lines", title, caption, f"{alt}.", data, fig, behind="connectivity")]


def answer(tables: Tables) -> list[Answer]:
    """Which models lie in one basin once channels are matched? One answer per network, data set and verdict."""
    plain, groups = {}, dict[tuple[str, Verdict], list[Row]]()
    for row in estimates(tables):
        if row["alignment"] == "plain":
            plain[tuple(row[key] for key in KEYS)] = row
        else:
            groups.setdefault((place(row), _verdict(row)), []).append(row)
    places, made = [where for where, _ in groups], []
    for (where, verdict), rows in sorted(groups.items(), key=lambda group: places.index(group[0][0])):
        each = [_told(row, plain[tuple(row[key] for key in KEYS)]) for row in rows]
        numbers = tuple(number(f"barrier, channels matched, {where}, {row['pair']}", row, _points(row)) for row in rows)
        sure = f"95 % intervals against {100 * CONNECTED:g} points, {grid.seeds(rows)}"
        decide = "more seeds" if verdict is Verdict.UNDECIDED else ""
        made.append(Answer(f"{SAID[verdict]}: {'; '.join(each)}.", verdict, where, numbers, sure, decide))
    return made


def _verdict(row: Row) -> Verdict:
    """By which side of CONNECTED its interval lies on."""
    return Verdict.YES if row["high"] < CONNECTED else Verdict.NO if row["low"] > CONNECTED else Verdict.UNDECIDED


def _told(row: Row, plain: Row) -> str:
    """ "two seeds of sgd, barrier 0.3 points [0.1, 0.5] (before: 15.2)"."""
    return f"{row['pair']}, barrier {_points(row)} (before: {100 * plain['mean']:.1f})"


def _points(row: Row, unit: str = " points") -> str:
    return amount(row, unit=unit).removeprefix("+")
