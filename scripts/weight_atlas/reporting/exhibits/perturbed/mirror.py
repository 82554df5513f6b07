"""Exhibits on norms and distances of perturbed models: reported triples beside ours, and what a flip's are made of."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import ADD, CUT, FLIP, REPEATED, Blocks, Part
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.exhibits.weights.norms import cosine
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import PUBLISHED, Tables
from weight_atlas.reporting.grammar.words import SIZE, by_network, mean_text, plural, sentence, span, three
from weight_atlas.stats import summarise

# The quantities of a flip: column of `families.journeys` -> (symbol, words, colour).
LENGTHS = {
    "norm": ("‖θ₁‖", "the original", style.QUIET),
    "norm_end": ("‖θ₂‖", "flipped and trained again", style.PALETTE[0]),
    "distance": ("‖θ₁ − θ₂‖", "the distance between them", style.PALETTE[1]),
    "moved": ("‖θ₂ + θ₁‖", "what training moved", style.PALETTE[2]),
}
TRIPLE = ("norm", "norm_end", "distance")
SLIDES = {"distortion": ADD, "flip": FLIP}


def geometry(tables: Tables) -> list[Exhibit]:
    """The lengths that a flip's distance is made of, as bars; none where nothing is flipped."""
    if FLIP not in set(families.family(tables)["what"]):
        return []
    found = families.journeys(tables)
    found = found[found["what"] == FLIP]
    if found.empty:
        raise NothingToShow(f"no replicate of study {tables.study} with all signs flipped has finished.")
    several = found.groupby("branch")["cell_id"].transform("nunique") > 1
    found = found.assign(name=found["name"].where(~several, found["name"] + " · " + found["perturbation"]))
    parts = [families.means(found, name).assign(quantity=name, words=LENGTHS[name][0]) for name in LENGTHS]
    by = found.groupby("cell_id")[["norm", "cosine"]].mean()
    data = pd.concat(parts)
    data = data.assign(floor=data["cell_id"].map(2 * by["norm"]), cosine=data["cell_id"].map(by["cosine"]))
    order = {name: at for at, name in enumerate(found["cell_id"].drop_duplicates())}
    data = data.sort_values("cell_id", key=lambda column: column.map(order), kind="stable")
    return [_bars(tables, part, found) for part in families.split(tables, data, data)]


def _bars(tables: Tables, part: Part, flips: pd.DataFrame) -> Exhibit:
    """The exhibit of one part; flips: rows of `families.journeys`."""
    blocks = Blocks(tables, part.rows, "Euclidean norm")
    for (network, _), axes in blocks.panels.items():
        most = part.data.loc[part.data["network"] == network, ["mean", "floor"]].max().max()
        axes.set_xlim(0, (1.1 + 0.09 * blocks.across) * most)
    for row in part.data.to_dict("records"):
        _bar(blocks, row)
    marks.legend(blocks.figure, blocks.panels.values())
    told = _parts_of(flips[flips["cell_id"].isin(part.rows["cell_id"])])
    caption = (
        "What the distance after a flip of all signs is made of. The flip alone puts 2‖θ₁‖ between the model and "
        "its mirror image (the line); training again then moves it by the lowest bar of each block. Beside that bar "
        "stands the cosine of the angle between θ₁ and θ₂ (−1: exactly opposite). Means over the finished replicates. "
        f"{intervals('Black lines', part.data)} {CUT} {told} {families.shortfall(tables, part.rows)}"
    )
    alt, title = f"Bar charts. {told}", "What a flip's distance is"
    return families.exhibit("flip-geometry", title, caption, alt, part.data, blocks.figure, part.tab)


def _bar(blocks: Blocks, row: Any) -> None:
    """One bar with its interval and number, and at the first of a block the line of 2‖θ₁‖ across it."""
    axes, at = blocks.place(row)
    symbol, words, colour = LENGTHS[row["quantity"]]
    axes.barh(at, row["mean"], height=0.72, color=colour, zorder=2, label=f"{symbol}, {words}")
    axes.plot([row["low"], row["high"]], [at, at], color=style.INK, linewidth=1.2, zorder=3,
              label=marks.INTERVAL)  # fmt: skip
    text = style.number(row["mean"], 3)
    if row["quantity"] == "moved":
        text += f", cos {style.number(row['cosine'], 3)}"
    marks.aside(axes, at, text, style.INK)
    if row["quantity"] == "norm":
        blocks.across_block(row, row["floor"], color=style.INK, linewidth=1.6, zorder=4,
                            label="2‖θ₁‖, right after the flip")  # fmt: skip


def _parts_of(flips: pd.DataFrame) -> str:
    """A sentence on how much of the distance the flip itself makes, from rows of `families.journeys`."""

    def parts(own: pd.DataFrame) -> str:
        by = own.assign(floor=own["start"] / own["distance"], way=own["moved"] / own["norm"]).groupby("branch")
        floor, way = (span(100 * by[name].mean()) for name in ("floor", "way"))
        return f"2‖θ₁‖ is {floor} % of the distance, and training moves {way} % of ‖θ₁‖"

    return sentence(by_network(flips, parts))


def triples(tables: Tables) -> list[Exhibit]:
    """The triples ‖θ₁‖, ‖θ₂‖, ‖θ₁ − θ₂‖ that a document reports, and those of this run and its controls: a table."""
    found = families.journeys(tables)
    rows = families.shown(families.family(tables))
    found = found[found["cell_id"].isin(rows["cell_id"]) & (found["what"] != REPEATED)]
    if found.empty:
        raise NothingToShow("no perturbed replicate that is shown has finished.")
    kinds, architectures = set(found["what"]), tables.architectures()
    told = [one for one in tables.document.get("norms", []) if SLIDES.get(one["slide"]) in kinds]
    lines = []
    for architecture in dict.fromkeys(architectures[name] for name in tables.values("network")):
        lines += [reported(one) for one in told if one["architecture"] == architecture]
        own = found[found["network"].map(architectures) == architecture]
        lines += [_measured(group) for _, group in own.groupby(["network", "dataset", "words"], sort=False)]
    others = dict.fromkeys(one["architecture"] for one in told if one["architecture"] not in architectures.values())
    theirs = f"Norms that the {tables.document['source']} report, beside this run's" if told else "Norms"
    caption = (
        f"{theirs}, with controls that are trained again without a perturbation: the original θ₁, the model "
        "after the perturbation and training again θ₂, and their distance. Here: means over the finished replicates, "
        "with half the 95 % interval where there is one original, else the lowest and highest mean of an original. "
        "Read the distance of a small distortion against that of no perturbation, and that of a flip against 2‖θ₁‖: "
        "‖θ₂ + θ₁‖ is what training moved the flipped model (in brackets, relative to ‖θ₁‖). "
        + (f"Triples of {', '.join(others)} have no network here. " if others else "")
        + families.shortfall(tables, rows)
    )
    table = pd.DataFrame(lines).drop(columns=[] if told else ["of"])
    theirs = f", {sum(one['of'] != 'here' for one in lines)} of them reported" if told else ""
    alt = f"Table of {plural(len(table), 'triple')} of norms{theirs}."
    title = "Reported norms, and ours" if told else "Norms before and after"
    return [Exhibit("triples", title, caption, alt, table)]


def reported(one: Mapping[str, Any]) -> dict[str, str]:
    """A row of `triples`: one of the document's."""
    return {
        "network": one["architecture"],
        "data set": PUBLISHED.get(one["dataset"], one["dataset"]),
        "perturbation": one["slide"],
        "of": "the document",
        "‖θ₁‖": f"{one['first']:.2f}",
        "‖θ₂‖": f"{one['second']:.2f}",
        "‖θ₁ − θ₂‖": f"{one['distance']:.2f}",
        "relative": f"{three(100 * one['distance'] / one['first'])} %",
        "cosine": f"{cosine(**one):.4f}".replace("-", "−"),
        LENGTHS["moved"][0]: _moved(one) if SLIDES[one["slide"]] == FLIP else "",
    }


def _moved(one: Mapping[str, Any]) -> str:
    """What training moved after a flip, by a document's triple: ‖θ₂ + θ₁‖² = 2‖θ₁‖² + 2‖θ₂‖² − ‖θ₁ − θ₂‖²."""
    moved = math.sqrt(2 * one["first"] ** 2 + 2 * one["second"] ** 2 - one["distance"] ** 2)
    return f"{three(moved)} ({three(100 * moved / one['first'])} %)"


def _measured(rows: pd.DataFrame) -> dict[str, str]:
    """A row of `triples`: the replicates of one perturbation of a network on a data set, of all originals."""
    by = rows.assign(relative=100 * rows["distance"] / rows["norm"]).groupby("cell_id")[["relative", "cosine"]].mean()
    network, dataset, words = rows[["network", "dataset", "words"]].iloc[0]
    return {
        "network": network,
        "data set": dataset,
        "perturbation": words,
        "of": "here",
        **{LENGTHS[column][0]: _amount(rows, column) for column in TRIPLE},
        "relative": f"{span(by['relative'])} %",
        "cosine": span(by["cosine"], digits=4),
        LENGTHS["moved"][0]: _amount(rows, "moved") if rows["what"].iloc[0] == FLIP else "",
    }


def _amount(rows: pd.DataFrame, column: str) -> str:
    """ "2.20 ± 0.05" of one cell, "1.9 to 2.3" of the means of several."""
    found = summarise(rows, ["cell_id"], column)
    return mean_text(found.iloc[0].to_dict(), bounds=SIZE) if len(found) == 1 else span(found["mean"])
