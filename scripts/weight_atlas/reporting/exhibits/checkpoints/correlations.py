"""Exhibits on two models side by side: correlations of their weights and biases, as they are and matched."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.checkpoints.checkpoints import NORM, ROW, blocks, maps, named, shown
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE

LEVEL = 0.05
COEFFICIENTS = {"pearson": "Pearson", "spearman": "Spearman"}
MATCHINGS = {
    "raw": "as they are",
    "permuted": "channels matched",
    "signed": "matched, signs free",
}
ANNOTATED = 12  # columns with numbers in them at most


def likeness(tables, matching=None):
    """likeness.csv with the labels of both models (one, other) and `clear`: whether q < 0.05."""
    found = shown(tables, "likeness")
    if matching:
        found = found[found["matching"] == matching]
    cells = tables.cells.set_index("cell_id")
    labels = {"one": found["cell_a"].map(cells["label"]), "other": found["cell_b"].map(cells["label"])}
    places = {name: found["cell_a"].map(cells[name]) for name in ("dataset", "network")}
    return found.assign(**labels, **places, clear=found["q"] < LEVEL)


def pairs(tables, frame):
    """(frame of one pair of cells, "preload and custom", what tells the pair from others) each."""
    many = len(frame[["cell_a", "cell_b"]].drop_duplicates()) > 1
    columns = [name for name in ("network", "dataset") if frame[name].nunique() > 1]
    for _, own in frame.groupby(["cell_a", "cell_b"], sort=False):
        first = own.iloc[0]
        words = f"{first['one']} and {first['other']}"
        yield own, words, ", ".join([*(first[name] for name in columns), words]) if many else ""


def correlation(tables):
    """Pearson's and Spearman's correlation of two models by layer and checkpoint, as a map; list[Exhibit]."""
    made = []
    for own, words, tab in pairs(tables, likeness(tables, "raw")):
        rows = blocks(own)
        sizes = own.drop_duplicates(["layer", "parameter"]).set_index(["layer", "parameter"])["size"]
        columns = [
            ((name, kind), f"{name}, {text}", kind == "pearson")
            for name in dict.fromkeys(own["checkpoint"])
            for kind, text in COEFFICIENTS.items()
        ]
        values = own.pivot(index=["layer", "parameter"], columns=["checkpoint", "coefficient"], values="mean")
        clear = own.pivot(index=["layer", "parameter"], columns=["checkpoint", "coefficient"], values="clear")
        top = float(style.magnitudes(values)[-1])
        panels = [("", values, style.Normalize(-top, top), style.DIVERGING, "mean correlation")]
        fig = maps(panels, rows, columns, ROW + 0.015, [f"{sizes[row]:,}" for row in rows])
        axes = fig.axes[0]
        if len(columns) <= ANNOTATED:
            style.annotate(axes, axes.images[0], signed)
        framed = frame_clear(
            axes, clear.reindex(index=pd.MultiIndex.from_tuples(rows), columns=[c for c, *_ in columns])
        )
        axes.set_title("N", loc="right", fontweight="normal", fontsize=9, color=style.QUIET)
        handles = [style.undefined_patch("undefined: a constant vector")]
        if framed:
            handles.append(Line2D([], [], color=style.INK, marker="s", ls="", mfc="none", ms=9, label="q < 0.05"))
        for legend in list(fig.legends):
            legend.remove()
        fig.legend(handles=handles, ncols=2, **ABOVE)
        title = "Correlation between the two models"
        tested = own["q"].notna()
        caption = (
            f"Correlation of every weight and bias of {words} at the same checkpoint: the mean over "
            f"{told(own['n'])} pairs (of Fisher's z, as an r), value by value in place. Each pair takes different "
            "seeds, since models of one seed begin with the same draws. N, at the right, counts the values. The null "
            f"is {told(own['null_n'])} pairs of independent runs of one cell at the same checkpoint; a frame marks "
            "what differs from it (Welch's t-test on z, q < 0.05 corrected over all layers, checkpoints, coefficients "
            f"and matchings): {int(own['clear'].sum())} of {int(tested.sum())} tests. {NORM.split(';')[0]}. Shape: the "
            f"document's Figure 7. {shortfall(tables)}"
        )
        made.append(Exhibit(named("correlation", tab), title, caption.strip(), largest(own), own, fig, tab=tab))
    return made


def frame_clear(axes, clear):
    """A frame about each cell of a map that is clear: how many there are."""
    count = 0
    for (row, column), value in np.ndenumerate(clear.to_numpy()):
        if value is True or value == 1:
            axes.add_patch(
                Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, ec=style.INK, lw=1.3, zorder=3)
            )
            count += 1
    return count


def told(counts):
    """ "3", or "1 to 3": the numbers of pairs where there are any."""
    counts = sorted({int(n) for n in counts if n > 0})
    return "no" if not counts else str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def largest(data):
    """The picture in words: the largest correlation of weights and of biases, with N."""
    words = []
    for kind, noun in (("weight", "weights"), ("bias", "biases")):
        own = data[(data["parameter"] == kind) & data["mean"].notna()]
        if len(own):
            row = own.loc[own["mean"].abs().idxmax()]
            words.append(
                f"Of {noun} the largest is {signed(row['mean'])} ({COEFFICIENTS[row['coefficient']]}, {row['layer']}, "
                f"N = {row['size']:,}, {row['checkpoint']})"
            )
    return f"Heatmap of correlations between {data['one'].iloc[0]} and {data['other'].iloc[0]}. {'. '.join(words)}."


def signed(value):
    """A correlation with its sign and three decimals."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text[1:] == "0.000" else text


def aligned(tables):
    """Pearson's r of the weights as they are, matched, and matched with free signs, beside the null; list[Exhibit]."""
    found = likeness(tables)
    found = found[(found["coefficient"] == "pearson") & (found["parameter"] == "weight")]
    made = []
    for own, words, tab in pairs(tables, found):
        if own["null_n"].max() == 0:
            raise NothingToShow("no two finished replicates of a cell are independent, so there is no null.")
        for name, part in own.groupby("checkpoint", sort=False):
            layers = list(dict.fromkeys(part["layer"]))
            fig = style.figure(0.19 * len(layers) + 1.1)
            grid = fig.subplots(1, len(MATCHINGS), sharex=True, sharey=True)
            for axes, (matching, text) in zip(grid, MATCHINGS.items(), strict=True):
                beside(axes, part[part["matching"] == matching].set_index("layer"), layers)
                axes.set_title(text)
                axes.set_xlabel("Pearson's r")
            handles = [
                Line2D([], [], color=style.PALETTE[0], marker="o", ms=5, lw=1.4, label=words),
                Line2D([], [], color=style.PALETTE[1], marker="s", ms=5, mfc="white", lw=1.4, label="independent runs"),
            ]
            fig.legend(handles=handles, ncols=2, **ABOVE)
            caption = (
                f"Correlation of the weights of {words} at {name}, layer by layer, with 95 % intervals, and of pairs "
                "of independent runs of one cell, matched in the same way. Channels matched: the order of the hidden "
                "channels that brings the two networks closest, a symmetry: the network computes the same. Signs free: "
                "layer by layer from the input, channels where they are most alike, negated or not; behind a ReLU that "
                "is no symmetry but a freer measure of likeness. Matching raises r by chance alone, and more the fewer "
                "weights a channel has, so the null is what counts. Outputs are classes and stay; "
                f"{told(part['n'])} and {told(part['null_n'])} pairs. {shortfall(tables)}"
            )
            title, tabs = "Correlation after matching channels", [*([tab] if tab else []), name]
            alt = apart(part, words, name)
            exhibit = Exhibit(named("aligned", *tabs), title, caption.strip(), alt, part, fig, tab=", ".join(tabs))
            made.append(exhibit)
    return made


def beside(axes, part, layers):
    """A dot with its interval a layer for the models, and one for the null below it."""
    for at, layer in enumerate(layers):
        if at % 2:
            axes.axhspan(at - 0.5, at + 0.5, color=style.BAND, linewidth=0, zorder=0)
        row = part.loc[layer]
        for shift, front, colour, marker in (
            (-0.17, "", style.PALETTE[0], "o"),
            (0.17, "null_", style.PALETTE[1], "s"),
        ):
            mean, low, high = (float(row[f"{front}{name}"]) for name in ("mean", "low", "high"))
            if np.isfinite(low):
                axes.plot([low, high], [at + shift] * 2, color=colour, linewidth=1.2)
            face = "white" if marker == "s" else colour
            axes.plot(mean, at + shift, marker, color=colour, mfc=face, ms=4.5, mew=1.1, zorder=3)
    axes.axvline(0, color="#9A9A9A", linewidth=0.8, zorder=1)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_yticks(range(len(layers)), layers)
    axes.grid(axis="y", visible=False)
    reach = part[["mean", "null_mean"]].to_numpy(float)
    axes.set_xlim(max(-1, min(-0.05, np.nanmin(reach) - 0.15)), min(1, np.nanmax(reach) + 0.15))


def apart(data, words, name):
    """The picture in words: the mean over layers of both, by matching."""
    means = data.groupby("matching", sort=False)[["mean", "null_mean"]].mean()
    parts = [
        f"{MATCHINGS[kind]} {signed(row['mean'])} and {signed(row['null_mean'])}" for kind, row in means.iterrows()
    ]
    return f"Dots by layer at {name}. Mean over the layers of {words} and of independent runs: {'; '.join(parts)}."
