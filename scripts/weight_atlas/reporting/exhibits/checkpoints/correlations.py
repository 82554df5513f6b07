"""Exhibits on two models side by side: correlations of their weights and biases, as they are and matched."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.checkpoints.checkpoints import drawn_like, shown
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar import heatmaps, layer_rows, marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.heatmaps import Column, Map
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import fixed, signed, slug, whole

LEVEL = 0.05
COEFFICIENTS = {"pearson": "Pearson", "spearman": "Spearman"}
NOUNS = {"weight": "weights", "bias": "biases"}
MATCHINGS = {
    "raw": "as they are",
    "permuted": "channels matched",
    "signed": "matched, signs free",
}


class Pair(NamedTuple):
    """Two models: their rows, "preload and custom", and what tells the pair from others."""

    rows: pd.DataFrame
    words: str
    tab: str


def likeness(tables: Tables, matching: str = "") -> pd.DataFrame:
    """likeness.csv with the labels of both models (one, other) and `clear`: whether q < 0.05."""
    found = shown(tables, "likeness")
    if matching:
        found = found[found["matching"] == matching]
    cells = tables.cells.set_index("cell_id")
    labels = {"one": found["cell_a"].map(cells["label"]), "other": found["cell_b"].map(cells["label"])}
    places = {name: found["cell_a"].map(cells[name]) for name in ("dataset", "network")}
    return found.assign(**labels, **places, clear=found["q"] < LEVEL)


def pairs(tables: Tables, frame: pd.DataFrame) -> Iterator[Pair]:
    """The pairs of cells of a frame of `likeness`."""
    many = len(frame[["cell_a", "cell_b"]].drop_duplicates()) > 1
    columns = [name for name in ("network", "dataset") if frame[name].nunique() > 1]
    for _, own in frame.groupby(["cell_a", "cell_b"], sort=False):
        first = own.iloc[0]
        words = f"{first['one']} and {first['other']}"
        yield Pair(own, words, ", ".join([*(first[name] for name in columns), words]) if many else "")


def _counted(counts: "pd.Series[int]") -> str:
    """ "3", "1 to 3" or "no": the numbers of pairs where there are any."""
    return whole(counts[counts > 0]) or "no"


# ------------------------------------------------------------------------------------------- as they are


def correlation(tables: Tables) -> list[Exhibit]:
    """Pearson's and Spearman's correlation of two models by layer and checkpoint, as a heatmap."""
    return [_correlation(tables, pair) for pair in pairs(tables, likeness(tables, "raw"))]


def _correlation(tables: Tables, pair: Pair) -> Exhibit:
    own = pair.rows
    seen = " ".join(f"The largest correlation of {NOUNS[name]} is {place(row)}." for name, row in largest(own).items())
    caption = (
        f"{seen} "
        f"Correlation of every weight and bias of {pair.words} at the same checkpoint: the mean over "
        f"{_counted(own['n'])} pairs (of Fisher's z, as an r), value by value in place. Each pair takes different "
        "seeds, since models of one seed begin with the same draws. N, at the right, counts the values. The null is "
        f"{_counted(own['null_n'])} pairs of independent runs of one cell at the same checkpoint; a frame marks what "
        "differs from it (Welch's t-test on z, q < 0.05 corrected over all layers, checkpoints, coefficients and "
        f"matchings): {own['clear'].sum()} of {own['q'].count()} tests. Of a batch normalisation weight is γ and bias "
        f"β. {drawn_like(tables, 'Figure 7')} {shortfall(tables)}"
    )
    alt = f"Heatmap of correlations between {pair.words}. {seen}"
    name, title = slug("correlation", pair.tab), "Correlation between the two models"
    return Exhibit(name, title, caption, alt, own, _heatmap(own), tab=pair.tab)


def _heatmap(own: pd.DataFrame) -> Figure:
    """The mean correlations of a pair, with their numbers where there is room; frames where they are clear."""
    rows = layer_rows.ordered(own)
    columns = [
        Column((name, kind), text, name) for name in own["checkpoint"].unique() for kind, text in COEFFICIENTS.items()
    ]
    values = own.pivot(index=["layer", "parameter"], columns=["checkpoint", "coefficient"], values="mean")
    top = float(style.magnitudes(own["mean"])[-1])
    frame = marks.entry("q < 0.05", color=style.INK, marker="s", linestyle="", markerfacecolor="none", markersize=9)
    fig = heatmaps.side_by_side(
        [Map("", values, Normalize(-top, top), "mean correlation")],
        rows,
        columns,
        heatmaps.ROW + 0.015,
        "undefined: a constant vector",
        [frame] if own["clear"].any() else [],
    )
    axes = fig.axes[0]
    if len(columns) <= heatmaps.ANNOTATED:
        heatmaps.annotate(axes, axes.images[0], signed)
    down, across = list(rows), [column.key for column in columns]
    row: Any
    for row in own[own["clear"]].itertuples():
        place = across.index((row.checkpoint, row.coefficient)) - 0.46, down.index((row.layer, row.parameter)) - 0.44
        axes.add_patch(Rectangle(place, 0.92, 0.88, fill=False, edgecolor=style.INK, linewidth=1.3, zorder=3))
    sizes = own.drop_duplicates(["layer", "parameter"]).set_index(["layer", "parameter"])["size"]
    for at, size in enumerate(sizes.loc[rows]):
        marks.aside(axes, at, f"{size:,}")
    axes.set_title("N", loc="right", fontweight="normal", fontsize=9, color=style.QUIET)
    return fig


def largest(data: pd.DataFrame) -> dict[str, Any]:
    """The rows (dicts) of the largest correlation of weights and of biases, by parameter."""
    known = data[data["mean"].notna() & data["parameter"].isin(NOUNS)].sort_values(
        "mean", key=abs, ascending=False, kind="stable"
    )
    found: dict[Any, Any] = known.drop_duplicates("parameter").set_index("parameter").to_dict("index")
    return {name: found[name] for name in NOUNS if name in found}


def place(row: Mapping[Any, Any]) -> str:
    """ "+0.012 [−0.010, 0.034] (Pearson, fc1, N = 4,096, CP2)"."""
    ends = f" [{fixed(row['low'], 3)}, {fixed(row['high'], 3)}]" if np.isfinite(row["low"]) else ""
    where = f"{COEFFICIENTS[row['coefficient']]}, {row['layer']}, N = {row['size']:,}, {row['checkpoint']}"
    return f"{signed(row['mean'])}{ends} ({where})"


# ------------------------------------------------------------------------------------------- matched


def aligned(tables: Tables) -> list[Exhibit]:
    """Pearson's r of the weights as they are, matched, and matched with free signs, beside the null."""
    found = likeness(tables)
    found = found[(found["coefficient"] == "pearson") & (found["parameter"] == "weight")]
    made = []
    for pair in pairs(tables, found):
        if pair.rows["null_n"].max() == 0:
            raise NothingToShow("no two finished replicates of a cell are independent, so there is no null.")
        for name, part in pair.rows.groupby("checkpoint", sort=False):
            made.append(_aligned(tables, pair, str(name), part))
    return made


def _aligned(tables: Tables, pair: Pair, checkpoint: str, part: pd.DataFrame) -> Exhibit:
    layers = list(part["layer"].unique())
    fig = style.figure(0.19 * len(layers) + 1.1)
    grid = fig.subplots(1, len(MATCHINGS), sharex=True, sharey=True)
    for axes, (matching, text) in zip(grid, MATCHINGS.items(), strict=True):
        _beside(axes, part[part["matching"] == matching].set_index("layer"), layers, pair.words)
        axes.set_title(text)
        axes.set_xlabel("Pearson's r")
    marks.shade(grid, len(layers))
    marks.legend(fig, grid, ncols=2)
    means = part.groupby("matching", sort=False)[["mean", "null_mean"]].mean()
    told = [f"{MATCHINGS[str(kind)]} {' and '.join(map(signed, row))}" for kind, row in means.iterrows()]
    seen = f"Mean over the layers of {pair.words} and of independent runs: {'; '.join(told)}."
    caption = (
        f"{seen} "
        f"Correlation of the weights of {pair.words} at {checkpoint}, layer by layer, with 95 % intervals, and of "
        "pairs of independent runs of one cell, matched in the same way. Channels matched: the order of the hidden "
        "channels that brings the two networks closest, a symmetry: the network computes the same. Signs free: layer "
        "by layer from the input, channels where they are most alike, negated or not; behind a ReLU that is no "
        "symmetry but a freer measure of likeness. Matching raises r by chance alone, and more the fewer weights a "
        "channel has, so the null is what counts. Outputs are classes and stay; "
        f"{_counted(part['n'])} and {_counted(part['null_n'])} pairs. {shortfall(tables)}"
    )
    alt = f"Dots by layer at {checkpoint}. {seen}"
    name, tab = slug("aligned", pair.tab, checkpoint), ", ".join(filter(None, [pair.tab, checkpoint]))
    return Exhibit(name, "Correlation after matching channels", caption, alt, part, fig, tab=tab)


def _beside(axes: Axes, part: pd.DataFrame, layers: Sequence[str], words: str) -> None:
    """A dot with its interval per layer for the two models, and below it one for the null."""
    rows: dict[Any, Any] = part.to_dict("index")
    for at, layer in enumerate(layers):
        null = {name: rows[layer][f"null_{name}"] for name in ("mean", "low", "high")}
        marks.dot(axes, at - 0.17, rows[layer], words, "o", style.PALETTE[0])
        marks.dot(axes, at + 0.17, null, "independent runs", "s", style.PALETTE[1])
    axes.axvline(0, color="#9A9A9A", linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(layers)), layers)
    reach = part[["mean", "null_mean"]].to_numpy(float)
    axes.set_xlim(max(-1, min(-0.05, np.nanmin(reach) - 0.15)), min(1, np.nanmax(reach) + 0.15))
