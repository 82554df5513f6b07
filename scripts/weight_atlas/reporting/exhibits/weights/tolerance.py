"""Exhibits on what counts as changed: the changed share against a tolerance; and how many parameters there are."""

import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.exhibits.weights.unchanged import listed, totals
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.words import plural
from weight_atlas.stats import summarise

CRITERIA = {"ulp": "ulp", "relative": "|θ − θ₀| / |θ₀|", "absolute": "|θ − θ₀|"}
LINES = ("-", "--", ":", "-.")


def curves(tables):
    """The changed share by data set, network, panel (the setting with fewest values), criterion and tolerance.

    First the mean over the cells for each replicate, then the mean and interval over replicates.
    """
    found = tables.done("tolerance")
    found = found[found["layer"] == "total"]
    if found.empty:
        raise NothingToShow("tolerance.csv has no total.")
    keys = ["dataset", "network", "panel", "criterion", "tolerance"]
    one = found.assign(share=found["changed"] / found["size"]).groupby([*keys, "seed"], sort=False)["share"].mean()
    return summarise(one.reset_index(), keys, "share")


def tolerance(tables):
    """The share of parameters that differ by more than a tolerance, a row a network, a column a criterion."""
    data = curves(tables)
    networks = [name for name in tables.values("network") if name in set(data["network"])]
    datasets = [name for name in tables.values("dataset") if name in set(data["dataset"])]
    kinds = tables.values("panel")
    colours = dict(zip(datasets, style.colours(len(datasets)), strict=True))
    fig = style.figure(1.75 * len(networks) + 0.95)
    grid = fig.subplots(len(networks), len(CRITERIA), sharex="col", sharey=True, squeeze=False)
    for down, network in enumerate(networks):
        for axes, (criterion, words) in zip(grid[down], CRITERIA.items(), strict=True):
            own = data[(data["network"] == network) & (data["criterion"] == criterion)]
            steps = sorted(set(own["tolerance"]))
            for (dataset, kind), line in own.groupby(["dataset", "panel"], sort=False):
                line = line.sort_values("tolerance")
                at = [steps.index(step) for step in line["tolerance"]]
                look = {"color": colours[dataset], "linestyle": LINES[kinds.index(kind) % len(LINES)]}
                axes.plot(at, line["mean"] * 100, marker="o", markersize=3, linewidth=1.3, **look)
                axes.fill_between(at, line["low"] * 100, line["high"] * 100, color=colours[dataset], alpha=0.15, lw=0)
            every = -(-len(steps) // 4)
            axes.set_xticks(range(0, len(steps), every), [style.short(step) for step in steps[::every]])
            axes.set_ylim(-3, 103)
            axes.set_title(f"{network}: {words}" if criterion == "ulp" and len(networks) > 1 else words)
        grid[down, 0].set_ylabel("changed (%)")
    for axes in grid[-1]:
        axes.set_xlabel("more than")
    colour = [Line2D([], [], color=colours[name], linewidth=3, label=name) for name in datasets if len(datasets) > 1]
    grey = {"color": style.QUIET, "linewidth": 1.3}
    dash = [Line2D([], [], linestyle=LINES[i % 4], label=name, **grey) for i, name in enumerate(kinds) if name]
    if colour + dash:
        fig.legend(handles=colour + dash, ncols=4, **ABOVE)
    exact = data[(data["criterion"] == "ulp") & (data["tolerance"] == 0)]
    loose = data[(data["criterion"] == "relative") & (data["tolerance"] == 0.01)]
    caption = (
        "Share of the parameters that differ from their start by more than a tolerance: in units in the last place "
        "(ulp: steps from one 32-bit number to the next), relative to the start, and absolute. At 0 ulp the share is "
        "that of exactly changed parameters. Where a curve is flat over orders of magnitude, unchanged and changed are "
        "two kinds of parameters, and no tolerance blurs them; a slope is a spectrum of small movements. Means over "
        "the cells of a line, shaded their 95 % interval over replicates. "
    )
    alt = f"Line charts. Changed at all: {reach(exact)}; by more than 1 % of the start: {reach(loose)}."
    return [Exhibit("tolerance", "Changed by how much?", (caption + shortfall(tables)).strip(), alt, data, fig)]


def reach(data):
    """ "38.1 to 100 % of the parameters"."""
    if data.empty:
        return "not measured"
    low, high = style.percent(data["mean"].min()), style.percent(data["mean"].max())
    return (low if low == high else f"{low.removesuffix(' %')} to {high}") + " of the parameters"


def effective(tables):
    """The table of parameters, structural, tied and effective ones, a row a network; [Exhibit]."""
    found = tables.read("parameters")
    found = found[found["layer"] == "total"]
    if found.empty:
        raise NothingToShow("parameters.csv has no total.")
    counts = ["size", "structural", "tied", "effective"]
    try:
        kept = totals(tables).groupby(["network", "dataset"], sort=False)["share"].mean()
    except NothingToShow:
        kept = pd.Series(dtype=float)
    rows = []
    for (network, *numbers), own in found.groupby(["network", *counts], sort=False):
        names = list(dict.fromkeys(own["dataset"]))
        still = [kept[network, name] for name in names if (network, name) in kept.index]
        rows.append(
            {
                "network": network,
                "on": listed(names, 9),
                "parameters": numbers[0],
                "structural": numbers[1],
                "tied": numbers[2],
                "effective": numbers[3],
                "effective (%)": f"{numbers[3] / numbers[0] * 100:.1f}",
                "unchanged (%)": f"{sum(still) / len(still) * 100:.1f}" if still else "",
            }
        )
    table = pd.DataFrame(rows)
    caption = (
        "How many parameters each network has to learn with, counted from its shapes. Structural weights only ever "
        "meet zero padding. Tied weights share their gradient with others in every step, because a pooled map of "
        "one pixel is copied to a larger one: they move, but never apart. Effective is what is left. Unchanged is "
        "measured: the mean share over all finished replicates."
    )
    least = min(rows, key=lambda row: row["effective"] / row["parameters"])
    alt = (
        f"Table of {plural(len(rows), 'network')}. The smallest effective share is that of {least['network']}: "
        f"{least['effective (%)']} % of {least['parameters']:,}."
    )
    return [Exhibit("effective", "Parameters, and those that are free", caption, alt, table)]
