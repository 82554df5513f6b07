"""Exhibits on why the deepest transfer drops: what each suspect changes, and the document's numbers beside ours."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.exhibits.transfer.transfers import BASE, CURVE, Family
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.answers import Answer
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, chance, enumerated, mean_text, plural, sentence, whole
from weight_atlas.stats import summarise

QUANTITIES = {"accuracy": "accuracy at n", "step": "accuracy at n less that at n − 1"}
NAMELESS = "(no name)"
PROTOCOLS = {"here": "accuracy", "by its protocol": "document_accuracy"}  # columns of a table and of curves.csv


def suspects(tables: Tables) -> pd.DataFrame:
    """effects.csv of the axes in which transfers differ, the number of outputs apart, with the words of a row."""
    found = transfers.effects(tables)
    return found.assign(change=found["factor"] + ": " + found["level_b"].where(found["level_b"] != "", "left as it is"))


def diagnosis(tables: Tables) -> list[Exhibit]:
    """What each level of each suspect changes at the deepest n, as a forest."""
    found = suspects(tables)
    return [_diagnosis(tables, family, len(found)) for family in transfers.families(found)]


def _diagnosis(tables: Tables, family: Family, tests: int) -> Exhibit:
    own = family.rows[family.rows["depth"] == family.rows.groupby(CURVE)["depth"].transform("max")]
    kept = [name for name in QUANTITIES if name in set(own["quantity"])]
    rows: list[tuple[str, str]] = []  # (curve, change) from the top, a curve's heading first
    for row, part in transfers.each(own):
        curve = f"{transfers.name(row)}, n = {row.depth}"
        rows += [(curve, change) for change in ["", *sorted(set(part["change"]))]]
    titles = [QUANTITIES[quantity] for quantity in kept]
    fig, [grid] = panels.grid([""], titles, 0.27 * (len(rows) + 1), 1.1, sharey=True)
    for axes, quantity in zip(grid, kept, strict=True):
        axes.axvline(0, **marks.ZERO)
        for row in transfers.rows(own[own["quantity"] == quantity]):
            at = rows.index((f"{transfers.name(row)}, n = {row.depth}", row.change))
            estimate = {"n": row.n, "mean": row.difference, "low": row.low, "high": row.high, "q": row.q}
            marks.forest(axes, estimate, at, 100, style.PALETTE[0])
        axes.set_xlabel("change in points of accuracy")
    marks.shade(grid, len(rows))
    grid[0].set_yticks(range(len(rows)), [change or curve for curve, change in rows])
    marks.heads(grid[0], [at for at, (_, change) in enumerate(rows) if not change])
    marks.legend(fig, grid, extra=[marks.entry("95 % interval", color=style.PALETTE[0], linewidth=1.4)])
    caption = (
        "What one change of the training does to the deepest transfer: the difference to the setting of "
        f"{transfers.reported(tables)}, paired by seed and averaged over all other changes first "
        f"(n = {whole(own['n'])}), with its 95 % Student t interval. Right of 0 the change helps. "
        + ("In the right panel a change that removes the last drop is right of 0. " if "step" in kept else "")
        + f"Filled where q < {marks.LEVEL}: p corrected by Benjamini and Hochberg for all such comparisons of the "
        f"study ({tests}). Accuracy is that on test at the best validation epoch. {transfers.shortfall(tables)}"
    )
    return transfers.exhibit("diagnosis", "What makes the last step drop?", caption, f"Forest plot. {strongest(own)}",
                             own, fig, family.words)  # fmt: skip


def largest(data: pd.DataFrame) -> dict[Any, Any]:
    """The row of the largest change in accuracy."""
    own = data[data["quantity"] == "accuracy"]
    return own.loc[[own["difference"].abs().idxmax()]].to_dict("records")[0]


def strongest(data: pd.DataFrame) -> str:
    """The largest change in accuracy in a sentence."""
    found = largest(data)
    row = next(transfers.rows(pd.DataFrame([found])))
    told = grid.amount(found | {"mean": row.difference}, 2)
    return f"The largest change at n = {row.depth} of {transfers.name(row)} is that of {row.change}: {told}."


def diagnosis_table(tables: Tables) -> list[Exhibit]:
    """The numbers of `diagnosis` at every n, the clearest first."""
    found = suspects(tables)
    many = len(transfers.families(found)) > 1
    rows = [
        ({"network": row.network} if many else {})
        | {"transfer": transfers.name(row), "n": str(row.depth), "change": row.change}
        | {"to": row.level_a or "the document's", "of": QUANTITIES[row.quantity], "seeds": str(row.n)}
        | {"points": mean_text({"mean": row.difference, "low": row.low, "high": row.high}, 100, 1)}
        | {"p": chance(row.p), "q": chance(row.q)}
        for row in transfers.rows(found.sort_values("q", kind="stable"))
    ]
    caption = (
        f"Differences to the setting of {transfers.reported(tables)}, the clearest first; ± is half the 95 % interval, "
        "q is p corrected for all of them. With few seeds a large q is no evidence of no effect."
    )
    alt = f"Table of {plural(len(rows), 'difference')}. {strongest(found)}"
    frame = pd.DataFrame(rows)
    return [Exhibit("diagnosis-table", "The changes in numbers", caption, alt, frame, behind="diagnosis")]


# ------------------------------------------------------------------------------------------- the document's numbers


def document_numbers(tables: Tables) -> list[Exhibit]:
    """The document's numbers beside ours, by both protocols."""
    given = tables.document.get("numbers", [])
    found = transfers.main(transfers.shown(tables, "curves"))
    if not given:
        raise NothingToShow("the study's document reports no number.")
    reach = transfers.main(transfers.shown(tables, "reach"))
    families = transfers.families(found)
    rows = []
    for family in families:
        epochs = family.of(reach[reach["level"] == "document"])
        named = {"of": family.words or family.key[0]} if len(families) > 1 else {}
        for one in given:
            ours = _ratio(tables, family) if one.get("measure") == "ratio" else _ours(one, family, epochs)
            rows.append(named | {"what": one["what"], "document": one["says"]} | ours)
    caption = (
        f"What {transfers.reported(tables)} says, and the same number here: mean ± half its 95 % interval over the "
        "finished replicates, on test at the best validation epoch, and by its own protocol (the best epoch on "
        "validation and test together, which flatters); epochs are medians, from six replicates on "
        "with the 95 % interval of the sign test. "
        "Its numbers are of vgg11_bn on groups of CIFAR-10 classes over 200 epochs, a single run each: whatever "
        "here is smaller is no test of them (the claims say so)."
    )
    alt = f"Table of {plural(len(rows), 'number')} of {transfers.reported(tables)}, each with the same number here."
    return [Exhibit("document-numbers", "The document's numbers beside ours", caption, alt, pd.DataFrame(rows))]


def beside_document(tables: Tables) -> list[Answer]:
    """The first number of the document and ours."""
    [exhibit] = document_numbers(tables)
    row = exhibit.data.iloc[0]
    text = (
        f"{transfers.reported(tables)} reports {row['document']} as {row['what']}; here, with "
        f"{enumerated(tables.values('network'))}, it is {row['here']} at the best validation epoch, and "
        f"{row['by its protocol']} by the document's protocol"
    )
    return [Answer(sentence(text), sure="± is half the 95 % interval; the document has one run")]


def _ours(one: Mapping[str, Any], family: Family, epochs: pd.DataFrame) -> dict[str, str]:
    """The columns of PROTOCOLS for a number of the document.

    one: {"of": "base" | "cross" | "own", "depth": n, "measure": "accuracy" | "epochs"}; without "of" it is quoted, and
    nothing here is its like.
    """
    if "of" not in one:
        return {"here": "not trained here", "by its protocol": ""}
    frame = epochs if one["measure"] == "epochs" else family.rows
    frame = frame[frame["target"].isin(transfers.targets(family.rows))]
    alone, frozen = frame["base"] == frame["target"], frame["mode"] == "frozen"
    frame = frame[{"base": frame["mode"] == BASE, "cross": frozen & ~alone, "own": frozen & alone}[one["of"]]]
    frame = frame[frame["depth"] == one["depth"]] if "depth" in one else frame
    if one["measure"] == "epochs":
        texts = [_median(row) for row in frame.to_dict("records")]
        return {"here": "; ".join(texts) or "none", "by its protocol": ""}
    means = {words: summarise(frame, CURVE, column).to_dict("records") for words, column in PROTOCOLS.items()}
    return {
        words: "; ".join(f"{mean_text(row, 100, 1, bounds=SHARE)} % (n = {row['n']})" for row in rows) or "none"
        for words, rows in means.items()
    }


def _ratio(tables: Tables, family: Family) -> dict[str, str]:
    """The columns of PROTOCOLS for the images that accuracy is judged on (validation and test) per training image."""
    ids = tables.cells.loc[tables.cells["dataset"].isin(transfers.targets(family.rows)), "dataset_id"]
    counts = [tables.cards[name]["counts"] for name in dict.fromkeys(ids) if name in tables.cards]
    held = [(sum(sum(one.get(split, [])) for split in ("valid", "test")), sum(one["train"])) for one in counts]
    texts = dict.fromkeys(f"{out / trained:.2g}" for out, trained in held if trained)
    return {"here": "; ".join(texts) or "none", "by its protocol": ""}


def _median(row: Mapping[Any, Any]) -> str:
    """ "12 [10, 14]" of a row of reach.csv, or how many got there."""
    if not math.isfinite(row["median"]):
        return f"reached by {int(row['reached'])} of {int(row['n'])}"
    return transfers.bracketed(row["median"], row["low"], row["high"])


def document_networks(tables: Tables) -> list[Exhibit]:
    """The document's appendix of networks as it is printed, with our count of parameters beside those that are here."""
    given = tables.document.get("networks", {})
    if not given.get("rows"):
        raise NothingToShow("the study's document lists no networks.")
    rows = [
        {
            "network": one.get("network", NAMELESS),
            "parameters": one["parameters"],
            "parameters here": f"{transfers.parameter_count(one['ours'], given):,}" if "ours" in one else "",
            "top-1 error (%)": one["top1"],
            "top-5 error (%)": one["top5"],
            "GPU memory": one["memory"],
        }
        for one in given["rows"]
    ]
    lost = sum("network" not in one for one in given["rows"])
    caption = (
        f"Reference data, not results: networks trained on {given['data']}, from the appendix of "
        f"{transfers.reported(tables)}, which copies them from {given['source']}. Of its {len(rows)} rows {lost} have "
        f"lost their name. Parameters here: counted from the layer table of the same network, with {given['outputs']} "
        "outputs."
    )
    title, alt = "The document's table of networks", f"Table of {plural(len(rows), 'network')}."
    return [Exhibit("document-networks", title, caption, alt, pd.DataFrame(rows), behind="document-numbers")]
