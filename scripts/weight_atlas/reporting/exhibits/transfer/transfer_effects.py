"""Exhibits on why the deepest transfer drops: what each suspect changes, and the document's numbers beside ours."""

import math

import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.transfer import transfer_tables as transfers
from weight_atlas.reporting.exhibits.transfer.segments import chance
from weight_atlas.reporting.exhibits.transfer.transfer_curves import exhibit
from weight_atlas.reporting.exhibits.transfer.transfer_tables import BASE, CURVE, points
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import mean_text
from weight_atlas.stats import summarise

LEVEL = 0.05
QUANTITIES = {"accuracy": "accuracy at n", "step": "accuracy at n less that at n − 1"}


def suspects(tables):
    """effects.csv of the axes in which transfers differ, the number of outputs apart, with the words of a row."""
    found = transfers.effects(tables)
    other = found["factor"] + ": " + found["level_b"].where(found["level_b"] != "", "left as it is")
    return found.assign(change=other)


def diagnosis(tables):
    """A forest of what each level of each suspect changes at the deepest n, one exhibit a family; list[Exhibit]."""
    found = suspects(tables)
    made = []
    for _, own, words in transfers.families(tables, found):
        own = own[own["depth"] == own.groupby(CURVE)["depth"].transform("max")]
        kept = [name for name in QUANTITIES if name in set(own["quantity"])]
        ticks, places, at = {}, {}, 0
        for row, part in transfers.each(own):
            ticks[at] = f"{transfers.name(row)}, n = {row.depth}"
            for change in sorted(set(part["change"])):
                at += 1
                ticks[at] = change
                places[transfers.name(row), change] = at
            at += 1
        fig = style.figure(0.27 * (at + 1) + 1.1)
        grid = fig.subplots(1, len(kept), squeeze=False, sharey=True)[0]
        for axes, quantity in zip(grid, kept, strict=True):
            axes.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
            for row in own[own["quantity"] == quantity].itertuples():
                place = places[transfers.name(row), row.change]
                if math.isfinite(row.low):
                    axes.plot([row.low * 100, row.high * 100], [place] * 2, color=style.PALETTE[0], linewidth=1.4)
                face = style.PALETTE[0] if row.q < LEVEL else "white"
                axes.plot(row.difference * 100, place, "o", color=style.PALETTE[0], markerfacecolor=face, markersize=5)
            axes.set_title(QUANTITIES[quantity])
            axes.set_xlabel("change in points of accuracy")
            axes.grid(axis="y", visible=False)
            axes.spines["left"].set_visible(False)
        grid[0].set_ylim(at - 0.4, -0.6)
        grid[0].set_yticks(list(ticks), list(ticks.values()))
        for place, label in zip(ticks, grid[0].get_yticklabels(), strict=True):
            label.set_fontweight("normal" if place in places.values() else "bold")
        look = {"color": style.PALETTE[0], "marker": "o", "markersize": 5, "linestyle": ""}
        handles = [
            Line2D([], [], label=f"q < {LEVEL}", **look),
            Line2D([], [], label=f"q ≥ {LEVEL}, or no test", markerfacecolor="white", **look),
            Line2D([], [], color=style.PALETTE[0], linewidth=1.4, label="95 % interval"),
        ]
        fig.legend(handles=handles, ncols=3, **ABOVE)
        caption = (
            "What one change of the training does to the deepest transfer: the difference to the document's own "
            "setting, paired by seed and averaged over all other changes first "
            f"(n = {transfers.number_of(own)}), with its 95 % Student t interval. Right of 0 the change helps. "
            + ("In the right panel a change that removes the last drop is right of 0. " if "step" in kept else "")
            + "Filled where q < 0.05: p corrected by Benjamini and Hochberg for all such comparisons of the study "
            f"({len(found)}). Accuracy is that on test at the best validation epoch. " + transfers.shortfall(tables)
        )
        alt = f"Forest plot. {strongest(own)}"
        made.append(exhibit("diagnosis", "What makes the last step drop?", caption, alt, own, fig, words))
    return made


def strongest(data):
    """The largest change in accuracy in a sentence."""
    own = data[data["quantity"] == "accuracy"]
    top = own.loc[own["difference"].abs().idxmax()]
    row = next(own.loc[[top.name]].itertuples())
    return (
        f"The largest change at n = {top['depth']} of {transfers.name(row)} is that of {top['change']}: "
        f"{points(top['difference'])} points (q = {chance(top['q']) or 'not tested'})."
    )


def diagnosis_table(tables):
    """The numbers of `diagnosis` at every depth; [Exhibit]."""
    found = suspects(tables)
    many = len(transfers.families(tables, found)) > 1
    rows = []
    for row in found.sort_values(["q"], kind="stable").itertuples():
        mean = {"mean": row.difference, "low": row.low, "high": row.high}
        shown = {"network": row.network} if many else {}
        shown |= {"transfer": transfers.name(row), "n": str(row.depth), "change": row.change}
        shown |= {"to": row.level_a or "the document's", "of": QUANTITIES[row.quantity], "seeds": str(row.n)}
        rows.append(shown | {"points": mean_text(mean, 100, 2), "p": chance(row.p), "q": chance(row.q)})
    table = pd.DataFrame(rows)
    caption = (
        "Differences to the document's own setting, the clearest first; ± is half the 95 % interval, q is p corrected "
        "for all of them. With few seeds a large q is no evidence of no effect."
    )
    alt = f"Table of {len(rows)} differences. {strongest(found)}"
    return [Exhibit("diagnosis-table", "The changes in numbers", caption, alt, table)]


# ------------------------------------------------------------------------------------------- the document's numbers


def document_numbers(tables):
    """The document's numbers beside ours, by both protocols; [Exhibit]."""
    given = tables.document.get("numbers", [])
    found = transfers.main(transfers.shown(tables, "curves"))
    if not given:
        raise NothingToShow("report/documents.yaml reports no number of this study's document.")
    reach = transfers.main(transfers.shown(tables, "reach"))
    families = transfers.families(tables, found)
    rows = []
    for key, own, words in families:
        epochs = reach[(reach[transfers.FAMILY] == list(key)).all(axis=1) & (reach["level"] == "document")]
        for one in given:
            row = {"of": words or key[0]} if len(families) > 1 else {}
            row |= {"what": one["what"], "document": one["says"]}
            rows.append(row | ours(one, own, epochs))
    table = pd.DataFrame(rows)
    caption = (
        "What the document reports, and the same number here: mean ± half its 95 % interval over the finished "
        "replicates, on test at the best validation epoch, and by the document's own protocol (the best epoch on "
        "validation and test together, which flatters); epochs are medians with their 95 % bootstrap interval. "
        "The document's are of vgg11_bn on groups of CIFAR-10 classes over 200 epochs, a single run each: whatever "
        "here is smaller is no test of them (the claims say so)."
    )
    return [Exhibit("document-numbers", "The document's numbers beside ours", caption, "Table of numbers.", table)]


def beside_document(tables):
    """The first number of the document and ours, in a sentence."""
    [exhibit] = document_numbers(tables)
    row = exhibit.data.iloc[0]
    here = f"here, with {' and '.join(tables.values('network'))}, it is {row['here']}"
    text = f"The document reports {row['document']} as {row['what']}; {here}"
    return [f"{text} (best validation epoch), and {row['by its protocol']} by the document's protocol."]


def ours(one, own, epochs):
    """The two columns of a number of the document: {"here": .., "by its protocol": ..}.

    one: {"of": "base" | "cross" | "own", "depth": n, "measure": "accuracy" | "epochs"}.
    """
    goals = transfers.targets(own)
    chosen = {
        "base": lambda rows: rows[rows["mode"] == BASE],
        "cross": lambda rows: rows[(rows["mode"] == "frozen") & (rows["base"] != rows["target"])],
        "own": lambda rows: rows[(rows["mode"] == "frozen") & (rows["base"] == rows["target"])],
    }[one["of"]]

    def rows_of(frame):
        rows = chosen(frame[frame["target"].isin(goals)])
        return rows[rows["depth"] == one["depth"]] if "depth" in one else rows

    if one["measure"] == "epochs":
        found = [span(row) for row in rows_of(epochs).itertuples()]
        return {"here": "; ".join(found) or "none", "by its protocol": ""}
    values = {}
    for words, column in (("here", "accuracy"), ("by its protocol", "document_accuracy")):
        means = summarise(rows_of(own), CURVE, column)
        values[words] = "; ".join(mean_text(row, 100, 2) + " %" for _, row in means.iterrows()) or "none"
    return values


def span(row):
    """ "12 [10, 14]" of a row of reach.csv, or how many got there."""
    if not math.isfinite(row.median):
        return f"reached by {int(row.reached)} of {int(row.n)}"
    low, high = (f"{value:g}" if math.isfinite(value) else "…" for value in (row.low, row.high))
    return f"{row.median:g} [{low}, {high}]" if row.n > 1 else f"{row.median:g}"


def document_networks(tables):
    """The document's appendix of networks, as far as its rows are at hand; [Exhibit]."""
    given = tables.document.get("networks", {})
    if not given.get("rows"):
        raise NothingToShow("report/documents.yaml lists no networks of this study's document.")
    rows = [
        {
            "network": one["network"],
            "parameters": f"{one['millions']:.1f} M",
            "top-1 error (%)": f"{one['top1']:.2f}",
            "top-5 error (%)": f"{one['top5']:.2f}",
            "GPU memory": one.get("memory", "not given"),
        }
        for one in given["rows"]
    ]
    table = pd.DataFrame(rows)
    caption = (
        f"Reference data, not results: networks trained on {given['data']}, from the document's appendix, which copies "
        f"them from {given['source']}. The appendix has {given['all']} rows; these {len(rows)} are the ones on hand."
    )
    return [Exhibit("document-networks", "The document's table of networks", caption,
                    f"Table of {len(rows)} networks.", table)]  # fmt: skip
