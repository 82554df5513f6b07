"""Exhibits on norms and distances of perturbed models: the document's triples beside ours, and what a flip's are."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import ADD, FLIP, REPEATED
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.exhibits.weights.norms import cosine
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.tables import PUBLISHED
from weight_atlas.reporting.grammar.words import mean_text, plural
from weight_atlas.stats import summarise

# The quantities of a flip: column of `families.journeys` -> (symbol, words, colour).
LENGTHS = {
    "norm": ("‖θ₁‖", "the original", style.QUIET),
    "norm_end": ("‖θ₂‖", "flipped and trained again", style.PALETTE[0]),
    "distance": ("‖θ₁ − θ₂‖", "the distance between them", style.PALETTE[1]),
    "moved": ("‖θ₂ + θ₁‖", "what training moved", style.PALETTE[2]),
}
# What lies behind a number, so that no line goes through it.
BEHIND = {"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.85, "linewidth": 0}
SLIDES = {"distortion": ADD, "flip": FLIP}


def geometry(tables):
    """Bars of what a flip's distance is made of, in blocks, with 2‖θ₁‖ drawn in; list[Exhibit], [] where nothing is
    flipped."""
    if FLIP not in set(families.family(tables)["what"]):
        return []
    found = families.journeys(tables)
    found = found[found["what"] == FLIP]
    if found.empty:
        raise NothingToShow(f"no replicate of study {tables.study} with all signs flipped has finished.")
    several = found.groupby("branch")["cell_id"].transform("nunique") > 1
    found = found.assign(name=found["name"].where(~several, found["name"] + " · " + found["perturbation"]))
    parts = [families.means(found, name).assign(quantity=name, words=LENGTHS[name][0]) for name in LENGTHS]
    data = pd.concat(parts)
    turned = summarise(found, ["cell_id"], "cosine").set_index("cell_id")["mean"]
    floor = (2 * summarise(found, ["cell_id"], "norm").set_index("cell_id")["mean"]).rename("floor")
    data = data.assign(floor=data["cell_id"].map(floor), cosine=data["cell_id"].map(turned))
    order = {name: at for at, name in enumerate(found["cell_id"].drop_duplicates())}
    data = data.sort_values("cell_id", key=lambda column: column.map(order), kind="stable")
    made = []
    for suffix, tab, part in families.split(tables, data):
        blocks = families.Blocks(tables, part, "Euclidean norm")
        for (network, _), axes in blocks.panels.items():
            most = part.loc[part["network"] == network, ["mean", "floor"]].max().max()
            axes.set_xlim(0, (1.1 + 0.09 * blocks.across) * most)
        for row in part.itertuples():
            bar(blocks, row)
        handles = [Patch(color=colour, label=f"{symbol}, {words}") for symbol, words, colour in LENGTHS.values()]
        handles.append(Line2D([], [], color=style.INK, linewidth=1.6, label="2‖θ₁‖, right after the flip"))
        blocks.figure.legend(handles=handles, ncols=3, **ABOVE)
        own = found[found["cell_id"].isin(part["cell_id"])]
        caption = (
            "What the distance after a flip of all signs is made of. The flip alone puts 2‖θ₁‖ between the model and "
            "its mirror image (the line); training again then moves it by the lowest bar of each block. Beside "
            "it stands the cosine of the angle between θ₁ and θ₂ (−1: exactly opposite). Means over the finished "
            f"replicates. {intervals('Black lines', part)} {families.CUT}"
            f"{parts_of(own)}{families.shortfall(tables, part)}"
        )
        alt = f"Bar charts. {parts_of(own)}".strip()
        columns = families.csv(part)
        made.append(
            Exhibit(f"flip-geometry{suffix}", "What a flip's distance is", caption.strip(), alt, columns,
                    blocks.figure, tab=tab)
        )  # fmt: skip
    return made


def bar(blocks, row):
    """One bar of `geometry` with its interval and number, and the line of 2‖θ₁‖ across the block."""
    axes, at = blocks.place(row)
    axes.barh(at, row.mean, height=0.72, color=LENGTHS[row.quantity][2], zorder=2)
    axes.plot([row.low, row.high], [at, at], color=style.INK, linewidth=1.2, zorder=3)
    text = style.number(row.mean, 3)
    if row.quantity == "moved":
        text += f", cos {style.number(row.cosine, 3)}"
    right = row.high if row.high < 0.85 * axes.get_xlim()[1] else row.mean
    near = right > 0.8 * row.floor
    place = (max(right, row.floor) if near else right, at)
    axes.annotate(text, place, (5, 0), textcoords="offset points", va="center", fontsize=9, zorder=5, bbox=BEHIND)
    if row.quantity == "norm":
        _, first, last = blocks.block(row)
        axes.plot([row.floor] * 2, [first, last], color=style.INK, linewidth=1.6, zorder=4)


def parts_of(flips):
    """A sentence on how much of the distance the flip itself makes, from rows of `families.journeys`."""
    parts = []
    for network, own in flips.groupby("network", sort=False):
        by = own.assign(floor=own["start"] / own["distance"], way=own["moved"] / own["norm"]).groupby("branch")
        floor, way = by["floor"].mean() * 100, by["way"].mean() * 100
        parts.append(f"in {network} 2‖θ₁‖ is {span(floor)} % of the distance, and training moves {span(way)} % of ‖θ₁‖")
    return f"{'; '.join(parts)}. ".replace("in ", "In ", 1) if parts else ""


def triples(tables):
    """The triples ‖θ₁‖, ‖θ₂‖, ‖θ₁ − θ₂‖ of the document and of this run, with its controls, as a table; [Exhibit]."""
    found = families.journeys(tables)
    rows = families.shown(families.family(tables))
    found = found[found["cell_id"].isin(rows["cell_id"]) & (found["what"] != REPEATED)]
    if found.empty:
        raise NothingToShow("no perturbed replicate that is shown has finished.")
    kinds, architectures = set(found["what"]), tables.architectures()
    told = [one for one in tables.document.get("norms", []) if SLIDES.get(one["slide"]) in kinds]
    table = []
    for architecture in dict.fromkeys(architectures[name] for name in tables.values("network")):
        table += [reported(one) for one in told if one["architecture"] == architecture]
        own = found[found["network"].map(architectures) == architecture]
        keys = ["network", "dataset", "words"]
        table += [measured(group, *key) for key, group in own.groupby(keys, sort=False)]
    others = [one["architecture"] for one in told if one["architecture"] not in architectures.values()]
    table = pd.DataFrame(table)
    source = f" ({tables.document['source']})" if told else ""
    caption = (
        f"The document's triples of norms{source} beside this run's, with controls that are trained again without a "
        "perturbation: the original θ₁, the model after the perturbation and training again θ₂, and their distance. "
        "Here: means over the finished replicates, with half the 95 % interval where there is one original, else the "
        "lowest and highest mean of an original. Read the distance of a small distortion against that of no "
        "perturbation, and that of a flip against 2‖θ₁‖. "
        + (f"Triples of {', '.join(dict.fromkeys(others))} have no network here. " if others else "")
        + families.shortfall(tables, rows)
    )
    alt = f"Table of {plural(len(table), 'triple')} of norms, {len(table) - sum(table['of'] == 'here')} the document's."
    return [Exhibit("triples", "The document's triples, and ours", caption.strip(), alt, table)]


def reported(one):
    """A row of `triples`: one of the document's."""
    return {
        "network": one["architecture"],
        "data set": PUBLISHED.get(one["dataset"], one["dataset"]),
        "perturbation": one["slide"],
        "of": "the document",
        "‖θ₁‖": f"{one['first']:.2f}",
        "‖θ₂‖": f"{one['second']:.2f}",
        "‖θ₁ − θ₂‖": f"{one['distance']:.2f}",
        "relative": f"{100 * one['distance'] / one['first']:.2f} %",
        "cosine": f"{cosine(**one):.4f}".replace("-", "−"),
    }


def measured(rows, network, dataset, words):
    """A row of `triples`: the replicates of one perturbation, of all originals."""
    relative = rows.assign(relative=rows["distance"] / rows["norm"])
    by = relative.groupby("cell_id")[["relative", "cosine"]].mean()
    share = span(by["relative"] * 100)
    return {
        "network": network,
        "data set": dataset,
        "perturbation": words,
        "of": "here",
        **{text: amount(rows, column) for text, column in
           (("‖θ₁‖", "norm"), ("‖θ₂‖", "norm_end"), ("‖θ₁ − θ₂‖", "distance"))},
        "relative": f"{share} %",
        "cosine": span(by["cosine"], 4),
    }  # fmt: skip


def amount(rows, column):
    """ "2.20 ± 0.05" of one cell, "1.9 to 2.3" of the means of several."""
    found = summarise(rows, ["cell_id"], column)
    return mean_text(found.iloc[0]) if len(found) == 1 else span(found["mean"], 4)


def span(values, digits=3):
    """ "1.19 to 1.21", or one number: the lowest and highest of some values."""
    values = pd.Series(values).dropna()
    if values.empty:
        return ""
    low, high = style.number(values.min(), digits), style.number(values.max(), digits)
    return low if low == high else f"{low} to {high}"
