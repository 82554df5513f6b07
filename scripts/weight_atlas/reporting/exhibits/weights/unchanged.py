"""The exhibits on parameters that training leaves exactly unchanged: why, in each cell and in each layer."""

import pandas as pd
from matplotlib.patches import Patch

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import ESTIMATE, extremes, intervals, shortfall, with_cells
from weight_atlas.reporting.grammar import dots, panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import plural

# An interval narrower than this share of the parameters is not drawn: it would be a speck.
VISIBLE = 0.005
# A layer of which no more than this is unchanged has no row of its own: its bar would be a speck too.
SPECK = 0.001
# class -> (words, colour, hatch); `unknown` is what is unchanged, not structural, and has no record of its training.
CLASSES = {
    "structural": ("structural", style.PALETTE[4], "////"),
    "dead": ("dead", style.PALETTE[0], None),
    "rounding": ("rounding", style.PALETTE[3], None),
    "returned": ("returned", style.PALETTE[2], None),
    "unknown": ("unchanged, cause not recorded", "#7A8BA0", None),
    "changed": ("changed", "#DADADA", None),
}
MEANING = (
    "Structural: weights of kernel taps that only ever multiply zero padding, counted from the network's shapes. Dead: "
    "never a gradient other than zero. Rounding: a gradient, but every update too small for a 32-bit number. Returned: "
    "moved, and back at its first value in the end. "
)


def classed(tables):
    """unchanged.csv, finished replicates: each class as a share of `size` (unknown included, NaN as 0), `share` (of
    unchanged) and tap_share (of structural taps, changed or not)."""
    found = tables.done("unchanged")
    known = found[["dead", "rounding", "returned"]].notna().all(axis=1)
    rest = found["unchanged"] - found["structural"]
    found = found.assign(unknown=rest.where(~known, 0), share=found["unchanged"] / found["size"])
    found["tap_share"] = found["taps"] / found["size"]
    return found.assign(**{name: found[name].fillna(0) / found["size"] for name in CLASSES})


def totals(tables):
    """`classed` for whole networks: one row a finished replicate."""
    found = classed(tables)
    found = found[found["layer"] == "total"]
    if found.empty:
        raise NothingToShow("unchanged.csv has no total.")
    return found


def shares(tables):
    """By cell: unchanged (mean share with n, low, high), the share of each class, taps (share), contradicted (sum of
    the replicates' structural weights that had a gradient; NaN where none was recorded)."""
    found = totals(tables)
    data = tables.summary("unchanged")[["cell_id", *ESTIMATE]].rename(columns={"mean": "unchanged"})
    groups = found.groupby("cell_id", sort=False)
    parts = groups[["size", *CLASSES, "tap_share"]].mean().rename(columns={"tap_share": "taps"})
    parts["contradicted"] = groups["contradicted"].sum(min_count=1)
    data = data.merge(parts, on="cell_id")
    data["size"] = data["size"].astype("int64")
    return with_cells(tables, data)


def unchanged(tables):
    """Stacked bars of the classes, a row a cell; [Exhibit]."""
    data = shares(tables)
    fig, rows = dots.rows(tables, "share of parameters (%)", 0.25, data.rename(columns={"unchanged": "mean"}))
    by_cell = data.set_index("cell_id")
    for cell, axes, at in rows.places():
        if cell.cell_id not in by_cell.index:
            continue
        row = by_cell.loc[cell.cell_id]
        stack(axes, at, row, 0.66)
        if rows.crowd:
            continue
        if row["high"] - row["low"] > VISIBLE:
            axes.plot([row["low"] * 100, row["high"] * 100], [at, at], color=style.INK, linewidth=1.4)
        text = axes.text(98, at, style.percent(row["unchanged"]), ha="right", va="center", fontsize=9, color=style.INK)
        if max(row["unchanged"], row["high"]) > 0.6:
            text.set_bbox({"facecolor": "white", "alpha": 0.9, "linewidth": 0, "pad": 1})
    for axes in rows.panels.values():
        axes.set_xlim(0, 100)
    rows.counts()
    rows.legend(fig, handles(data))
    caption = (
        "Share of the learnable parameters whose 32-bit value after the last epoch is exactly that of the start "
        f"(number: mean over the finished replicates), by why. {MEANING}The hatched part says nothing of how training "
        "works: no optimizer and no start could move it. "
    )
    if (data["high"] - data["low"] > VISIBLE).any():
        caption += f"{intervals('Black lines', data)} "
    if (data["taps"] - data["structural"] > 1e-9).any():
        caption += "In some runs structural weights changed: something else than a gradient, weight decay, moves them. "
    caption += residues(data)
    caption = f"{caption}{rows.crowd} {shortfall(tables)}".strip()
    return [Exhibit("unchanged", "Exactly unchanged parameters", caption, unchanged_alt(tables, data), data, fig)]


def residues(data):
    """A sentence on the cells whose structural weights had a gradient, which is 0 by their shape; empty without any."""
    found = data[data["contradicted"] > 0]
    if found.empty:
        return ""
    cells = ", ".join(f"{row.cell_id} ({row.contradicted:,.0f})" for row in found.head(3).itertuples())
    cells += f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (
        "The recorded gradients contradict the shape: structural weights, whose gradient is exactly 0, had another one "
        f"in {cells}. An algorithm of the GPU's convolutions left a residue there, and what follows from it is no "
        "result; see `docs/gpu.md`. "
    )


def stack(axes, at, row, height):
    """One bar of `row`'s classes, shares 0..1 drawn in percent."""
    left = 0.0
    for name, (_, colour, hatch) in CLASSES.items():
        edge = {"hatch": hatch, "edgecolor": "white"} if hatch else {}
        axes.barh(at, row[name] * 100, left=left, height=height, color=colour, linewidth=0, **edge)
        left += row[name] * 100


def handles(data):
    """The legend's entries: the classes that the data has at all, and always structural and changed."""
    shown = [name for name in CLASSES if name in ("structural", "changed") or data[name].max() > 0]
    return [Patch(label=CLASSES[n][0], facecolor=CLASSES[n][1], hatch=CLASSES[n][2], ec="white", lw=0) for n in shown]


def unchanged_alt(tables, data):
    """The picture in words."""
    text = extremes(tables, data, "The exactly unchanged share", lambda share: style.percent(share, 2), "unchanged")
    high = data.loc[data["unchanged"].idxmax()]
    if high["unchanged"] > 0:
        text += f" Of the highest, {style.percent(high['structural'] / high['unchanged'], 2)} is structural."
    return f"Stacked bars. {text}"


def unchanged_layers(tables):
    """Stacked bars of the classes by layer (rows, input on top), means over the cells of a panel; [Exhibit]."""
    data = by_layer(tables)
    held = data.groupby(["network", "layer"], sort=False)["changed"].min() < 1 - SPECK
    kept = data[[held[key] for key in zip(data["network"], data["layer"], strict=True)]]
    if kept.empty:
        raise NothingToShow(f"more than {style.percent(1 - SPECK)} of every layer of every network changed.")
    strips = panels.strips(tables, kept)
    layers = {network: list(dict.fromkeys(kept.loc[kept["network"] == network, "layer"])) for network, _ in strips}
    heights = [0.2 * (len(layers[network]) + 0.4) for network, _ in strips]
    fig, grid = panels.layout(strips, heights, 0.8, sharey=True)
    for (network, dataset), axes in grid.items():
        names = layers[network]
        for row in kept[(kept["network"] == network) & (kept["dataset"] == dataset)].to_dict("records"):
            stack(axes, names.index(row["layer"]), row, 0.7)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(0, 100)
        axes.grid(axis="y", visible=False)
    for key in panels.lowest(strips):
        grid[key].set_xlabel("share of parameters (%)")
    fig.legend(handles=handles(kept), ncols=3, **ABOVE)
    left_out = [f"{plural(int((~own).sum()), 'layer')} of {name}" for name, own in held.groupby("network", sort=False)
                if not own.all()]  # fmt: skip
    caption = (
        "Where the unchanged parameters are: the classes by layer (weights and biases together), means over the "
        f"replicates and cells of a network and data set. {MEANING}"
    )
    if left_out:
        caption += f"Left out, with at most {style.percent(SPECK)} unchanged in any panel: {', '.join(left_out)}. "
    top = kept.loc[kept["changed"].idxmin()]
    alt = (
        f"Stacked bars by layer. The least changed layer is {top['layer']} of {top['network']} on {top['dataset']}: "
        f"{style.percent(1 - top['changed'])} of it is unchanged, {style.percent(top['structural'])} is structural."
    )
    caption = (caption + shortfall(tables)).strip()
    return [Exhibit("unchanged-layers", "Unchanged parameters by layer", caption, alt, data, fig)]


def by_layer(tables):
    """Mean share of each class by data set, network and layer (weights and biases together), over cells and seeds."""
    found = classed(tables)
    found = found[found["layer"] != "total"]
    counts = found.assign(**{name: found[name] * found["size"] for name in CLASSES})
    keys = ["dataset", "network", "layer", "cell_id", "seed"]
    sums = counts.groupby(keys, sort=False)[["size", *CLASSES]].sum().reset_index()
    sums = sums.assign(**{name: sums[name] / sums["size"] for name in CLASSES})
    means = sums.groupby(keys[:3], sort=False)[[*CLASSES]].mean()
    means.insert(0, "size", sums.groupby(keys[:3], sort=False)["size"].first())
    means.insert(1, "runs", sums.groupby(keys[:3], sort=False).size())
    return means.reset_index()


def facts(tables):
    """One dict a network: network, unchanged (lowest and highest mean of its cells), taps (highest share), parts (class
    -> its part of all that is unchanged), layers (names of those with structural taps)."""
    data, layers = shares(tables), tables.done("unchanged")
    layers = layers[(layers["layer"] != "total") & (layers["taps"] > 0)]
    found = []
    for network, cells in data.groupby("network", sort=False):
        whole = cells["unchanged"].sum()
        found.append(
            {
                "network": network,
                "datasets": list(dict.fromkeys(cells["dataset"])),
                "unchanged": [cells["unchanged"].min(), cells["unchanged"].max()],
                "taps": cells["taps"].max(),
                "parts": {name: cells[name].sum() / whole for name in CLASSES if name != "changed" and whole},
                "layers": list(dict.fromkeys(layers.loc[layers["network"] == network, "layer"])),
            }
        )
    return found


def answer(tables):
    """Two sentences at most from `facts`: on networks with structural taps beside what the document says, and the rest.

    Of the networks with taps, those of an architecture that a network without taps shares name it as their control.
    """
    said, found = tables.document.get("unchanged", {}), facts(tables)
    padded = [item for item in found if item["taps"] > 0]
    rest = [item for item in found if item["taps"] == 0]
    families = tables.architectures()
    sentences = []
    if padded:
        families_said = [said[families[item["network"]]] for item in padded if families[item["network"]] in said]
        text = f"{families_said[0]} Here " if families_said else ""
        text += "; ".join(
            f"{span(item)} of {item['network']} on {listed(item['datasets'])} is unchanged, and {explained(item)}"
            for item in padded
        )
        text += f": kernel taps that only ever multiply zero padding, in {listed(padded[0]['layers'])}."
        controls = [item for item in rest if families[item["network"]] in {families[one["network"]] for one in padded}]
        for item in controls:
            text += f" With {item['network']}, whose maps stay larger, {span(item)} is unchanged."
            rest.remove(item)
        sentences.append(text)
    if rest:
        parts = [f"of {item['network']} {span(item)} is unchanged{why(item)}" for item in rest]
        text = "; ".join(parts)
        sentences.append(f"{f'Where no tap is structural, {text}' if padded else text[0].upper() + text[1:]}.")
    return sentences


def span(item):
    """ "61.9 to 62.0 %" of a dict of `facts`, or one number."""
    low, high = (style.percent(share) for share in item["unchanged"])
    return low if low == high else f"{low.removesuffix(' %')} to {high}"


def explained(item):
    """How much of the unchanged is structural."""
    part = item["parts"].get("structural", 0)
    return "all of it is structural" if part > 0.9995 else f"{style.percent(part)} of it is structural"


def why(item):
    """ " (dead 98.1 %, returned 1.9 % of it)": the classes of what is unchanged; empty where they are not known."""
    parts = [f"{name} {style.percent(part)}" for name, part in item["parts"].items() if part > 0 and name != "unknown"]
    return f" ({', '.join(parts)} of it)" if parts else ""


def listed(names, most=4):
    """Names as text; more than `most` are gathered by their first part: "layer4 (6 layers)"."""
    if len(names) <= most:
        return ", ".join(names)
    groups = pd.Series(names).str.partition(".")[0].value_counts(sort=False)
    return ", ".join(f"{name} ({plural(count, 'layer')})" if count > 1 else name for name, count in groups.items())
