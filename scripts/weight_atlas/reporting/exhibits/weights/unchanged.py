"""The exhibits on parameters that training leaves exactly unchanged: why, in each cell and in each layer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design.outcomes import outcome
from weight_atlas.reporting.exhibits.design.spans import place, spans
from weight_atlas.reporting.exhibits.runs.runs import ESTIMATE, extremes, intervals, shortfall, with_cells
from weight_atlas.reporting.grammar import dots, layer_rows, marks, panels, style
from weight_atlas.reporting.grammar.answers import Answer
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import enumerated, plural

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
CAUSES = {
    "structural": "are kernel taps without an effect",
    "dead": "never had a gradient",
    "rounding": "had updates too small for 32 bits",
    "returned": "moved and came back",
}
MEANING = (
    "Structural: weights of kernel taps that only ever multiply zero padding, counted from the network's shapes. Dead: "
    "never a gradient other than zero. Rounding: a gradient, but every update too small for a 32-bit number. Returned: "
    "moved, and back at its first value in the end. "
)


# ------------------------------------------------------------------------------------------- numbers


def _classed(tables: Tables) -> pd.DataFrame:
    """unchanged.csv, finished replicates: each class as a share of `size` (unknown included, NaN as 0), `share` (of
    unchanged) and tap_share (of structural taps, changed or not)."""
    found = tables.done("unchanged")
    known = found[["dead", "rounding", "returned"]].notna().all(axis=1)
    rest = found["unchanged"] - found["structural"]
    found = found.assign(unknown=rest.where(~known, 0), share=found["unchanged"] / found["size"])
    found["tap_share"] = found["taps"] / found["size"]
    return found.assign(**{name: found[name].fillna(0) / found["size"] for name in CLASSES})


def totals(tables: Tables) -> pd.DataFrame:
    """`_classed` for whole networks: one row a finished replicate."""
    found = _classed(tables)
    found = found[found["layer"] == "total"]
    if found.empty:
        raise NothingToShow("unchanged.csv has no total.")
    return found


def shares(tables: Tables) -> pd.DataFrame:
    """By cell: unchanged (mean share with n, low, high), the share of each class, taps (share), contradicted (sum of
    the replicates' structural weights that had a gradient; NaN where none was recorded)."""
    found = totals(tables)
    data = tables.summary("unchanged")[["cell_id", *ESTIMATE]].rename(columns={"mean": "unchanged"})
    groups = found.groupby("cell_id", sort=False)
    parts = groups[["size", *CLASSES, "tap_share"]].mean().rename(columns={"tap_share": "taps"})
    parts["contradicted"] = groups["contradicted"].sum(min_count=1)
    data = data.merge(parts, on="cell_id").astype({"size": "int64"})
    made: pd.DataFrame = with_cells(tables, data)
    return made


def _by_layer(tables: Tables) -> pd.DataFrame:
    """Mean share of each class by data set, network and layer (weights and biases together), over cells and seeds."""
    found = _classed(tables)
    found = found[found["layer"] != "total"]
    counts = found.assign(**{name: found[name] * found["size"] for name in CLASSES})
    keys = ["dataset", "network", "layer", "cell_id", "seed"]
    sums = counts.groupby(keys, sort=False)[["size", *CLASSES]].sum().reset_index()
    sums = sums.assign(**{name: sums[name] / sums["size"] for name in CLASSES})
    groups = sums.groupby(keys[:3], sort=False)
    means = groups[[*CLASSES]].mean()
    means.insert(0, "size", groups["size"].first())
    means.insert(1, "runs", groups.size())
    return means.reset_index()


# ------------------------------------------------------------------------------------------- exhibits


def unchanged(tables: Tables) -> list[Exhibit]:
    """The share of parameters that are exactly unchanged in each cell, by why, as stacked bars."""
    data = shares(tables)
    fig, rows = dots.rows(tables, "share of parameters (%)", 0.25, data.rename(columns={"unchanged": "mean"}))
    by_cell = {row["cell_id"]: row for row in data.to_dict("records")}
    for cell, axes, at in rows.places():
        if cell.cell_id in by_cell:
            _stack(axes, at, by_cell[cell.cell_id], 0.66)
            if not rows.crowd:
                _number(axes, at, by_cell[cell.cell_id])
    for axes in rows.panels.values():
        axes.set_xlim(0, 100)
    rows.counts()
    rows.legend(fig, _entries(data))
    lines = f"{intervals('Black lines', data)} " if (data["high"] - data["low"] > VISIBLE).any() else ""
    moved = (
        "In some runs structural weights changed: something else than a gradient, weight decay, moves them. "
        if (data["taps"] - data["structural"] > 1e-9).any()
        else ""
    )
    caption = (
        "Share of the learnable parameters whose 32-bit value after the last epoch is exactly that of the start "
        f"(number: mean over the finished replicates), by why. {MEANING}The hatched part says nothing of how training "
        f"works: no optimizer and no start could move it. {lines}{moved}{residues(data)}{rows.crowd} "
        f"{shortfall(tables)}"
    )
    alt = extremes(tables, data, "The exactly unchanged share", lambda share: style.percent(share, 2), "unchanged")
    high = max(by_cell.values(), key=lambda row: float(row["unchanged"]))
    if high["unchanged"] > 0:
        alt += f" Of the highest, {style.percent(high['structural'] / high['unchanged'], 2)} is structural."
    return [Exhibit("unchanged", "Exactly unchanged parameters", caption, f"Stacked bars. {alt}", data, fig)]


def residues(data: pd.DataFrame) -> str:
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


def _stack(axes: Axes, at: float, row: Mapping[Any, Any], height: float) -> None:
    """One bar of a row's classes, shares 0..1 drawn in percent."""
    left = 0.0
    for name, (_, colour, hatch) in CLASSES.items():
        edge: dict[str, Any] = {"hatch": hatch, "edgecolor": "white"} if hatch else {}
        axes.barh(at, row[name] * 100, left=left, height=height, color=colour, linewidth=0, **edge)
        left += row[name] * 100


def _number(axes: Axes, at: float, row: Mapping[Any, Any]) -> None:
    """The unchanged share of a row with its interval."""
    if row["high"] - row["low"] > VISIBLE:
        axes.plot([row["low"] * 100, row["high"] * 100], [at, at], color=style.INK, linewidth=1.4)
    text = axes.text(98, at, style.percent(row["unchanged"]), ha="right", va="center", fontsize=9, color=style.INK)
    if max(row["unchanged"], row["high"]) > 0.6:
        text.set_bbox({"facecolor": "white", "alpha": 0.9, "linewidth": 0, "pad": 1})


def _entries(data: pd.DataFrame) -> list[Patch]:
    """The legend's entries: the classes that the data has at all, and always structural and changed."""
    return [
        Patch(label=label, facecolor=colour, hatch=hatch, ec="white", lw=0)
        for name, (label, colour, hatch) in CLASSES.items()
        if name in ("structural", "changed") or data[name].max() > 0
    ]


def unchanged_layers(tables: Tables) -> list[Exhibit]:
    """The share of parameters that are exactly unchanged in each layer, by why, as stacked bars."""
    data = _by_layer(tables)
    held = data.groupby(["network", "layer"], sort=False)["changed"].min() < 1 - SPECK
    kept = data[[held[key] for key in zip(data["network"], data["layer"], strict=True)]]
    if kept.empty:
        raise NothingToShow(f"more than {style.percent(1 - SPECK)} of every layer of every network changed.")
    drawn = _by_row(kept)
    strips = panels.strips(tables, drawn)
    layers = {network: list(dict.fromkeys(drawn.loc[drawn["network"] == network, "layer"])) for network, _ in strips}
    fig, grid = panels.rows(strips, layers, "share of parameters (%)", 0.2, 0.8)
    for row in drawn.to_dict("records"):
        _stack(grid[row["network"], row["dataset"]], layers[row["network"]].index(row["layer"]), row, 0.7)
    for axes in grid.values():
        axes.set_xlim(0, 100)
    marks.legend(fig, (), extra=_entries(kept))
    few = [f"{plural(int((~own).sum()), tables.noun)} of {name}" for name, own in held.groupby("network", sort=False)
           if not own.all()]  # fmt: skip
    together = " (weights and biases together)" if tables.noun == "layer" else ""
    left_out = f"Left out, with at most {style.percent(SPECK)} unchanged in any panel: {', '.join(few)}. "
    caption = (
        f"Where the unchanged parameters are: the classes by {tables.noun}{together}, means over the replicates and "
        f"cells of a network and data set. {layer_rows.told(kept, tables.noun)} {MEANING}"
        f"{left_out if few else ''}{shortfall(tables)}"
    )
    top: Any = min(kept.to_dict("records"), key=lambda row: float(row["changed"]))
    alt = (
        f"Stacked bars by {tables.noun}. The least changed {tables.noun} is {top['layer']} of {place(top)}: "
        f"{style.percent(1 - top['changed'])} of it is unchanged, "
        f"{style.percent(top['structural'])} is structural."
    )
    return [Exhibit("unchanged-layers", f"Unchanged parameters by {tables.noun}", caption, alt, data, fig)]


def _by_row(data: pd.DataFrame) -> pd.DataFrame:
    """`_by_layer` by the rows of a figure: the shares of layers that share one are those of all their values."""
    if not layer_rows.is_shared(data):
        return data
    found = []
    for _, own in data.groupby("network", sort=False):
        own = own.assign(layer=own["layer"].map(layer_rows.shared(own["layer"])))
        counts = own.assign(**{name: own[name] * own["size"] for name in CLASSES})
        sums = counts.groupby(["dataset", "network", "layer"], sort=False)[["size", *CLASSES]].sum().reset_index()
        found.append(sums.assign(**{name: sums[name] / sums["size"] for name in CLASSES}))
    return pd.concat(found, ignore_index=True)


# ------------------------------------------------------------------------------------------- the answer


def answer(tables: Tables) -> list[Answer]:
    """The share that is unchanged, and by network and data set why; last what the document says of an architecture."""
    found = totals(tables)
    told, shares = replace(outcome("unchanged"), words="unchanged"), found.assign(value=found["share"])
    made = spans(tables, told, shares, "{} of the parameters stay unchanged.")
    layers = tables.done("unchanged")
    layers = layers[(layers["layer"] != "total") & (layers["taps"] > 0)]
    said, padded = tables.document.get("unchanged", {}), set(found.loc[found["tap_share"] > 0, "network"])
    for (network, dataset), own in found.groupby(["network", "dataset"], sort=False):
        taps = list(dict.fromkeys(layers.loc[layers["network"] == network, "layer"]))
        why = _why(own, taps)
        if why:
            where = place({"network": network, "dataset": dataset})
            sure = f"means over {plural(len(own), 'run')} of {plural(own['cell_id'].nunique(), 'cell')}"
            made.append(Answer(f"of the unchanged parameters {why}.", about=where, sure=sure))
    families = tables.architectures()
    return [*made, *(Answer(said[name]) for name in dict.fromkeys(map(families.get, sorted(padded))) if name in said)]


def _why(own: pd.DataFrame, taps: Sequence[str]) -> str:
    """ "98.1 % never had a gradient (dead) and 1.9 % moved and came back (returned)": the causes of what is unchanged;
    empty where there is none, or not known."""
    causes = own[list(CAUSES)].mean()
    shares = {str(name): part / own["share"].mean() for name, part in causes.items() if part > 0}
    told = [f"{style.percent(part)} {CAUSES[name]} ({name})" for name, part in shares.items()]
    meant = f": they only ever multiply zero padding, in {listed(taps)}" if taps and "structural" in shares else ""
    return f"{enumerated(told)}{meant}" if told else ""


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names as text; more than `most` are gathered by their first part: "layer4 (6 layers)"."""
    if len(names) <= most:
        return ", ".join(names)
    groups = pd.Series(names).str.partition(".")[0].value_counts(sort=False)
    return ", ".join(f"{name} ({plural(count, 'layer')})" if count > 1 else str(name) for name, count in groups.items())
