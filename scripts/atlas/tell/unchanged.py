"""The exhibit on parameters that training leaves exactly unchanged, and how many of them are structural."""

import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from atlas.tell import dots, style
from atlas.tell.exhibit import Exhibit, NothingToShow
from atlas.tell.runs import extremes, intervals, plural, shortfall, whose, with_cells
from atlas.tell.tables import summarise

# An interval narrower than this share of the parameters is not drawn: it would be a speck.
VISIBLE = 0.005
STRUCTURAL, OTHER, CHANGED = style.PALETTE[4], style.PALETTE[0], "#DADADA"


def totals(tables):
    """Whole networks: one row a finished replicate with size, unchanged, structural and the shares of size
    unchanged_share, structural_share and kept_share (unchanged that structure explains).

    A structural weight can only change by weight decay; the part of the unchanged that structure explains is then the
    smaller of the two numbers.
    """
    found = tables.done("unchanged")
    found = found[found["layer"] == "total"]
    if found.empty:
        raise NothingToShow("unchanged.csv has no total.")
    kept = np.minimum(found["unchanged"], found["structural"])
    return found.assign(
        unchanged_share=found["unchanged"] / found["size"],
        structural_share=found["structural"] / found["size"],
        kept_share=kept / found["size"],
    )


def shares(tables):
    """By cell: the mean unchanged share with its interval, the parts of it, and the changed share (all of `size`)."""
    found = totals(tables)
    data = summarise(found, ["cell_id"], "unchanged_share")
    parts = found.groupby("cell_id")[["size", "structural_share", "kept_share"]].mean()
    data = data.merge(parts, on="cell_id")
    data["size"] = data["size"].astype("int64")
    data["other_unchanged"] = data["mean"] - data["kept_share"]
    data["changed"] = 1 - data["mean"]
    names = {"mean": "unchanged", "kept_share": "structural_unchanged", "structural_share": "structural"}
    return with_cells(tables, data.rename(columns=names))


def unchanged(tables):
    """Stacked bars: structural and unchanged, other unchanged, changed; a row a cell; [Exhibit]."""
    data = shares(tables)
    fig, rows = dots.panels(tables, "share of parameters (%)", row=0.25)
    by_cell = data.set_index("cell_id")
    # How long a bar may be before it meets its number: that takes a third of a panel if there are three, else less.
    across = min(len(rows.panels), dots.PANELS)
    room, digits = 100 - 11 * across, 1 if across == 3 else 2
    for cell, axes, at in rows.places():
        if cell.cell_id not in by_cell.index:
            continue
        row = by_cell.loc[cell.cell_id]
        bar = {"y": at, "height": 0.66, "linewidth": 0}
        structural, kept = row["structural_unchanged"] * 100, row["unchanged"] * 100
        axes.barh(width=100 - kept, left=kept, color=CHANGED, **bar)
        axes.barh(width=kept - structural, left=structural, color=OTHER, **bar)
        axes.barh(width=structural, color=STRUCTURAL, hatch="////", edgecolor="white", **bar)
        if row["high"] - row["low"] > VISIBLE:
            axes.plot([row["low"] * 100, row["high"] * 100], [at, at], color=style.INK, linewidth=1.4)
        number = style.percent(row["unchanged"], digits)
        text = axes.text(98.5, at, number, ha="right", va="center", fontsize=9, color=style.INK)
        if max(kept, row["high"] * 100) > room:
            text.set_bbox({"facecolor": "white", "alpha": 0.9, "linewidth": 0, "pad": 1})
    for axes in rows.panels.values():
        axes.set_xlim(0, 100)
        axes.set_title("unchanged", loc="right", fontsize=9, fontweight="normal", color=style.QUIET)
    rows.counts()
    parts = {
        "unchanged, structural": (STRUCTURAL, "////"),
        "unchanged, other": (OTHER, None),
        "changed": (CHANGED, None),
    }
    handles = [Patch(label=text, facecolor=c, hatch=h, edgecolor="white", lw=0) for text, (c, h) in parts.items()]
    rows.legend(fig, handles)
    caption = (
        "Share of the learnable parameters whose float32 value after the last epoch is exactly that of the start "
        "(number: mean over the finished replicates). The hatched part is structural: convolution weights whose "
        "taps only ever meet zero padding, counted in closed form from the network's shape. No gradient reaches "
        "them, whatever the optimizer or the start, so they say nothing on how training works; what training leaves "
        "alone by itself is the plain blue part (weights of units that never fire, for instance). "
    )
    if (data["high"] - data["low"] > VISIBLE).any():
        caption += f"{intervals('Black lines', data)} "
    if (totals(tables)["structural"] > totals(tables)["unchanged"]).any():
        caption += (
            "In some runs fewer parameters are unchanged than structural: something else, weight decay, moves them. "
        )
    alt = unchanged_alt(tables, data)
    return [Exhibit("unchanged", "Exactly unchanged parameters", (caption + shortfall(tables)).strip(), alt, data, fig)]


def unchanged_alt(tables, data):
    """The picture in words."""
    text = extremes(tables, data, "The exactly unchanged share", lambda share: style.percent(share, 2), "unchanged")
    high = data.loc[data["unchanged"].idxmax()]
    if high["unchanged"] > 0:
        text += f" Of the highest, {style.percent(high['structural_unchanged'] / high['unchanged'], 2)} is structural."
    return f"Stacked bars. {text}"


def facts(tables, by=("dataset", "network")):
    """One dict a group of cells (`by` columns of them): these columns, unchanged (lowest and highest of its cells'
    means), structural_part (of all that is unchanged), layers (names of those with structural weights), sentence."""
    found = []
    data = shares(tables)
    layers = tables.done("unchanged")
    layers = layers[(layers["layer"] != "total") & (layers["structural"] > 0)]
    for key, cells in data.groupby(list(by), sort=False):
        names = list(dict.fromkeys(layers.loc[layers["cell_id"].isin(cells["cell_id"]), "layer"]))
        low, high = cells["unchanged"].min(), cells["unchanged"].max()
        share = cells["structural_unchanged"].sum() / cells["unchanged"].sum() if high > 0 else float("nan")
        numbers = {"unchanged": [low, high], "structural_part": share, "layers": names}
        found.append(dict(zip(by, key, strict=True)) | numbers | {"sentence": sentence(whose(cells), numbers)})
    return found


def sentence(who, numbers):
    """What the unchanged parameters of a group of cells are; who: "lenet5 on digits"; numbers: see `facts`."""
    low, high = numbers["unchanged"]
    if high == 0:
        return f"Every parameter of {who} changed in every finished replicate."
    first, second = style.percent(low, 2), style.percent(high, 2)
    amount = first if first == second else f"{first.removesuffix(' %')} to {second}"
    text = f"{amount} of the parameters of {who} stay exactly unchanged (means of the cells)"
    if not numbers["layers"]:
        return f"{text}; none of them is structural."
    part = style.percent(numbers["structural_part"], 2)
    return (
        f"{text}; {part} of these are structural: convolution weights that only ever meet zero padding, "
        f"in {listed(numbers['layers'])}."
    )


def listed(names, most=4):
    """Layer names as text; more than `most` are gathered by their first part: "layer4 (6 layers)"."""
    if len(names) <= most:
        return ", ".join(names)
    groups = pd.Series(names).str.partition(".")[0].value_counts(sort=False)
    return ", ".join(f"{name} ({plural(count, 'layer')})" for name, count in groups.items())
