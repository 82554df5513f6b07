"""Exhibits on the course of transfers: training curves by n, base beside target, and epochs to an accuracy."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.lines import Line2D

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.transfer import transfer_tables as transfers
from weight_atlas.reporting.exhibits.transfer.transfer_curves import DEPTH, depth_axis, exhibit, handle
from weight_atlas.reporting.exhibits.transfer.transfer_tables import BASE, CURVE
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.stats import summarise

SPLITS = {"train": "on the training pictures", "valid": "on the validation pictures"}
# level of reach.csv -> its words in a sentence, in a title, and in a table's heading
LEVELS = {
    "base": ("the base's own accuracy", "base", "base"),
    "near": ("a point below the base's accuracy", "base − 1 point", "base − 1 pt"),
    "document": ("the document's accuracy", "document", "document"),
}


def courses(tables, mode="frozen"):
    """Accuracies by epoch of the main curves of a mode and of their bases, finished replicates: CURVE, depth, cell_id,
    seed, epoch, train, valid (depth is -1 for a base)."""
    found = transfers.main(transfers.shown(tables, "curves"))
    found = found[found["mode"].isin([mode, BASE])]
    if not (found["mode"] == mode).any():
        raise NothingToShow("no frozen transfer has finished.")
    metrics = tables.table("metrics")
    metrics = metrics[metrics["epoch"] >= 1].rename(columns={f"{split}_accuracy": split for split in SPLITS})
    own = found.fillna({"depth": -1}).astype({"depth": int})[[*CURVE, "depth", "cell_id", "seed"]]
    return own.merge(metrics[["cell_id", "seed", "epoch", *SPLITS]], on=["cell_id", "seed"])


def by_epoch(rows):
    """Mean of each split by curve, depth and epoch with its interval: a tidy table."""
    long = rows.melt([*CURVE, "depth", "seed", "epoch"], list(SPLITS), "split", "value").dropna(subset="value")
    return summarise(long, [*CURVE, "depth", "split", "epoch"], "value")


def course(tables):
    """Train and validation accuracy by epoch, a curve for each n; one exhibit a curve over n; list[Exhibit]."""
    rows = courses(tables)
    made = []
    groups = transfers.families(tables, rows[rows["mode"] != BASE])
    for key, family, words in groups:
        for row, own in transfers.each(family):
            bases = rows[(rows["mode"] == BASE) & (rows["target"] == row.target)]
            bases = bases[(bases[transfers.FAMILY] == list(key)).all(axis=1)]
            data = by_epoch(pd.concat([own, bases]))
            name = transfers.name(row)
            tab = ", ".join(filter(None, (words, name)))
            caption = (
                f"Accuracy by epoch of {name}, frozen: one curve for each number n of copied layers, coloured from "
                "dark (few) to light (many); means over the finished replicates (n = "
                f"{transfers.number_of(data[data['depth'] >= 0])}). Dashed: the base of {row.target}, from scratch. A "
                "training value is the mean during its epoch, with augmentation and dropout on, so it lags behind. "
                "The first epochs may lie below the axis. Read from the right edge whether curves end in the order of "
                f"n. {transfers.shortfall(tables, set(own['cell_id']))}"
            )
            made.append(exhibit("course", "Training curves by copied layers", caption, course_alt(data, name), data,
                                by_depth(data), tab))  # fmt: skip
    return made


def by_depth(data):
    """Two panels, train and valid, of the mean accuracy against epoch, a colour for each depth."""
    depths = sorted(set(data.loc[data["depth"] >= 0, "depth"]))
    colours = matplotlib.colormaps[style.SEQUENTIAL](np.linspace(0, 0.93, len(depths)))
    fig = style.figure(3.4)
    grid = fig.subplots(1, 2, sharey=True)
    for axes, (split, words) in zip(grid, SPLITS.items(), strict=True):
        own = data[data["split"] == split]
        for depth, colour in zip(depths, colours, strict=True):
            part = own[(own["depth"] == depth) & (own["mode"] != BASE)]
            axes.plot(part["epoch"], part["mean"] * 100, color=colour, linewidth=1.3)
        base = own[own["mode"] == BASE]
        axes.plot(base["epoch"], base["mean"] * 100, color=style.INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=4)
        axes.set(title=words, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    grid[0].set_ylabel("accuracy (%)")
    grid[0].set_ylim(*zoomed(data))
    edges = np.arange(len(depths) + 1) - 0.5
    scale = matplotlib.cm.ScalarMappable(BoundaryNorm(edges, len(depths)), ListedColormap(colours))
    bar = fig.colorbar(scale, ax=grid, pad=0.01, aspect=24, ticks=range(len(depths)), label=DEPTH)
    bar.ax.set_yticklabels([str(depth) for depth in depths])
    bar.ax.grid(False)
    bar.outline.set_visible(False)
    return fig


def zoomed(data):
    """Limits of accuracy (%) that leave the first tenth of the epochs of transfers out, with a margin."""
    late = data[(data["epoch"] >= max(1, 0.1 * data["epoch"].max())) & (data["mode"] != BASE)]["mean"] * 100
    room = 0.06 * max(late.max() - late.min(), 1)
    return late.min() - room, min(late.max() + room, 101)


def course_alt(data, name):
    """The last epoch in words: the lowest and the highest n by training and by validation accuracy."""
    last = data[(data["epoch"] == data["epoch"].max()) & (data["mode"] != BASE)]
    words = []
    for split in SPLITS:
        own = last[last["split"] == split]
        low, high = own.loc[own["mean"].idxmin()], own.loc[own["mean"].idxmax()]
        what = "training" if split == "train" else "validation"
        span = f"{style.percent(low['mean'])} (n = {low['depth']}) to {style.percent(high['mean'])}"
        words.append(f"{what} accuracy goes from {span} (n = {high['depth']})")
    return f"Line charts of {name} by epoch. At the last epoch {' and '.join(words)}."


def base_target(tables):
    """Base and target (n = 1) side by side: train and validation accuracy by epoch; list[Exhibit]."""
    rows = courses(tables)
    level = tables.document.get("reached", 0.88)
    made = []
    for _, own, words in transfers.families(tables, rows):
        one = own[(own["depth"] == 1) & (own["base"] != own["target"])]
        if one.empty or not (own["mode"] == BASE).any():
            continue
        target = one["target"].iloc[0]
        others = own[(own["base"] == one["base"].iloc[0]) & (own["target"] == target) & (own["mode"] != BASE)]
        base = own[(own["mode"] == BASE) & (own["target"] == target)]
        data = by_epoch(pd.concat([others, base]))
        fig = style.figure(3.2)
        grid = fig.subplots(1, 2, sharey=True)
        single, told = data[data["depth"] == 1], transfers.name(next(one.itertuples()))
        for axes, part, title in zip(
            grid, (data[data["mode"] == BASE], single), (f"base {target}, from scratch", f"{told}, n = 1"), strict=True
        ):
            if axes is grid[1]:
                for depth in sorted(set(others["depth"]) - {0, 1}):
                    rest = data[(data["depth"] == depth) & (data["split"] == "valid")]
                    axes.plot(rest["epoch"], rest["mean"] * 100, color="#BBBBBB", linewidth=0.8, zorder=1)
            for (split, _), colour, line in zip(SPLITS.items(), style.PALETTE, ("--", "-"), strict=False):
                curve = part[part["split"] == split]
                axes.plot(curve["epoch"], curve["mean"] * 100, color=colour, linestyle=line)
                low, high = curve["low"] * 100, curve["high"] * 100
                axes.fill_between(curve["epoch"], low, high, color=colour, alpha=0.15, linewidth=0)
            axes.axhline(level * 100, color=style.QUIET, linewidth=0.9, linestyle=":")
            axes.set(title=title, xlabel="epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        grid[0].set_ylabel("accuracy (%)")
        handles = [Line2D([], [], color=style.PALETTE[0], linestyle="--", label="train")]
        handles += [Line2D([], [], color=style.PALETTE[1], label="valid")]
        handles += [Line2D([], [], color="#BBBBBB", label="valid, other n")]
        handles += [Line2D([], [], color=style.QUIET, linestyle=":", label=f"the document's {level:.2f}")]
        fig.legend(handles=handles, ncols=4, **ABOVE)
        crossed = [
            crossing(data[data["mode"] == BASE], level, f"the base of {target}"),
            crossing(single, level, f"{told} at n = 1"),
        ]
        caption = (
            f"Training from scratch (left) beside training on one copied, frozen layer (right), on {target}: means "
            f"over the finished replicates (n = {transfers.number_of(single)}), shaded the 95 % Student t interval; "
            "grey: the validation accuracy of the other n. "
            f"{' '.join(crossed)} {transfers.shortfall(tables, set(others['cell_id']))}"
        )
        alt = f"Line charts. {' '.join(crossed)}"
        made.append(exhibit("base-target", "Base and target, by epoch", caption, alt, data, fig, words))
    if not made:
        raise NothingToShow("no transfer with n = 1 stands beside the base of its target.")
    return made


def crossing(data, level, what):
    """When the mean validation accuracy is first at a level, as a sentence."""
    own = data[data["split"] == "valid"].sort_values("epoch")
    there = own[own["mean"] >= level]
    end = f"ends at {style.percent(own['mean'].iloc[-1])}"
    reach = f"reaches {level:.2f} at epoch {there['epoch'].iloc[0]}" if len(there) else f"never reaches {level:.2f}"
    return f"The mean validation accuracy of {what} {reach} and {end}."


# ------------------------------------------------------------------------------------------- epochs


def epochs(tables):
    """Epochs until two accuracies are reached, against n; list[Exhibit]."""
    found = transfers.main(transfers.shown(tables, "reach"))
    made = []
    for _, own, words in transfers.families(tables, found):
        own = own[own["mode"].isin(["frozen", BASE])]
        curves = own[own["mode"] != BASE]
        if curves.empty:
            continue
        kept = [level for level in LEVELS if level in set(own["level"])]
        fig = style.figure(3.3)
        grid = fig.subplots(1, len(kept), squeeze=False, sharey=True)[0]
        top = 1.12 * float(np.nanmax(own[["median", "high"]].to_numpy(float), initial=1))
        for axes, level in zip(grid, kept, strict=True):
            draw_epochs(axes, own[own["level"] == level], top)
            least = sorted({round(value, 3) for value in own.loc[own["level"] == level, "accuracy"]})
            axes.set(title=f"to {LEVELS[level][1]} ({' and '.join(f'{value:.3g}' for value in least)})", xlabel=DEPTH)
        grid[0].set_ylabel("epochs")
        handles = [handle(row) for row, _ in transfers.each(curves.drop_duplicates(CURVE))]
        if (own["mode"] == BASE).any():
            handles.append(Line2D([], [], color=style.INK, linewidth=1, linestyle=(0, (4, 2)), label="base"))
        if (curves["reached"] < curves["n"]).any():
            missed = {"color": style.QUIET, "marker": "x", "linestyle": ""}
            handles.append(Line2D([], [], label="not reached by half of the runs", **missed))
        fig.legend(handles=handles, ncols=4, **ABOVE)
        late = curves[curves["reached"] < curves["n"]]
        censored = (
            f"In {len(late)} of {len(curves)} places some replicate never got there: it counts as later than any. "
            if len(late)
            else ""
        )
        caption = (
            "Epochs until the test accuracy is first at that of the target's base (the same seed's, at its best "
            "validation epoch), at a point less, and at the document's .88 (in brackets the mean level): medians over "
            f"n = {transfers.number_of(curves)} finished replicates with 95 % bootstrap intervals over seeds, open at "
            "the top where it holds runs that never get there. Points of one n are set side by side. Below the dashed "
            f"line (the base's median) transfer saves epochs; the table has all curves. {censored}"
            f"{transfers.shortfall(tables)}"
        )
        made.append(exhibit("epochs", "Epochs to an accuracy", caption, epochs_alt(own), own, fig, words))
    if not made:
        raise NothingToShow("no transfer whose target has a base has finished.")
    return made


def draw_epochs(axes, data, top):
    """Medians with intervals against n; a cross at the top where half of the runs never get there."""
    for row in data[data["mode"] == BASE].dropna(subset="median").itertuples():
        axes.axhline(row.median, color=style.INK, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    curves = list(transfers.each(data[data["mode"] != BASE]))
    for place, (row, own) in enumerate(curves):
        at = own["depth"] + 0.26 * (place - (len(curves) - 1) / 2)
        colour = transfers.colour(row)
        there = own["median"].notna()
        high = own["high"].where(own["high"].notna() | own["low"].isna(), top)
        axes.vlines(at[there], own["low"][there], high[there], color=colour, linewidth=1.2)
        axes.plot(at[there], own["median"][there], transfers.MARKERS[row.mode], color=colour, markersize=4.5)
        axes.plot(at[~there], [top] * int((~there).sum()), "x", color=colour, markersize=5)
    depth_axis(axes, data[data["mode"] != BASE])
    axes.set_ylim(0, 1.05 * top)


def epochs_alt(data):
    """The first and last n of the frozen curves in words."""
    words = []
    for row, own in transfers.each(data[(data["level"] == "near") & (data["mode"] == "frozen")]):
        own = own[own["depth"] >= 1]
        if len(own):
            parts = [f"{count(one)} at n = {one['depth']}" for one in (own.iloc[0], own.iloc[-1])]
            words.append(f"{transfers.name(row)} takes {' and '.join(parts)}")
    return f"Dot plots of epochs. To a point below the base's accuracy, {'; '.join(words)}."


def count(row):
    """ "12", or "too long (1 of 3 runs get there)" of a row of reach.csv."""
    if np.isfinite(row["median"]):
        return f"{row['median']:g}"
    return f"too long ({int(row['reached'])} of {int(row['n'])} runs get there)"


def saved_table(tables):
    """The epochs saved, curve by curve and n by n, as a table; [Exhibit]."""
    found = transfers.main(transfers.shown(tables, "reach"))
    own = found[(found["mode"] != BASE) & (found["depth"] >= 1)]
    if own.empty:
        raise NothingToShow("no transfer whose target has a base has finished.")
    many = len(transfers.families(tables, own)) > 1
    rows = []
    for (*key, place), part in own.astype({"depth": int}).groupby([*CURVE, "depth"], sort=False):
        first = next(part.itertuples())
        row = {"network": key[0]} if many else {}
        row |= {"transfer": transfers.name(first), "n": str(place)}
        for level in LEVELS:
            one = part[part["level"] == level]
            if len(one):
                one = one.iloc[0]
                there = np.isfinite(one["median"])
                words = LEVELS[level][2]
                row[f"to {words}"] = f"{one['median']:g}" if there else f"{one['reached']} of {one['n']} runs"
                row[f"saved ({words})"] = saving(one)
        rows.append(row)
    table = pd.DataFrame(rows)
    caption = (
        "Epochs until the accuracy of the target's base, until a point less, and until the document's .88, and how "
        "many fewer than the base takes (saved; medians over pairs of one seed, in brackets the 95 % bootstrap "
        "interval; negative: transfer takes longer). Where half of the replicates never get there, how many do is "
        "said, and nothing is saved. An end of an interval that no run reaches is open (…)."
    )
    return [Exhibit("epochs-saved", "Epochs that transfer saves", caption, f"Table of {len(rows)} numbers n.", table)]


def saving(row):
    """ "110 [90, 120]" of a row of reach.csv, "none" where half of the runs never get there."""
    if not np.isfinite(row["saved"]):
        return "none"
    low, high = (f"{row[name]:g}" if np.isfinite(row[name]) else "…" for name in ("saved_low", "saved_high"))
    return f"{row['saved']:g} [{low}, {high}]".replace("-", "−") if row["n"] > 1 else f"{row['saved']:g}"
