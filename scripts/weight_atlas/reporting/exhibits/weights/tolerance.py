"""Exhibits on what counts as changed: the changed share against a tolerance; and how many parameters there are."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.exhibits.weights.movement import DASHES
from weight_atlas.reporting.exhibits.weights.unchanged import listed, totals
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, by_network, plural, shares
from weight_atlas.stats import summarise

CRITERIA = {"ulp": "ulp", "relative": "|θ − θ₀| / |θ₀|", "absolute": "|θ − θ₀|"}


def tolerance(tables: Tables) -> list[Exhibit]:
    """The share of parameters that differ from their start by more than a tolerance."""
    data = _curves(tables)
    caption = (
        "Share of the parameters that differ from their start by more than a tolerance: in units in the last place "
        "(ulp: steps from one 32-bit number to the next), relative to the start, and absolute. At 0 ulp the share is "
        "that of exactly changed parameters. Where a curve is flat over orders of magnitude, unchanged and changed are "
        "two kinds of parameters, and no tolerance blurs them; a slope is a spectrum of small movements. Means over "
        f"the cells of a line, shaded their 95 % interval over replicates. {shortfall(tables)}"
    )
    exact, loose = (
        by_network(
            data[(data["criterion"] == criterion) & (data["tolerance"] == step)], lambda own: shares(own["mean"])
        )
        for criterion, step in (("ulp", 0), ("relative", 0.01))
    )
    alt = f"Line charts. Parameters that changed at all: {exact}. By more than 1 % of the start: {loose}."
    return [Exhibit("tolerance", "Changed by how much?", caption, alt, data, _figure(tables, data))]


def _curves(tables: Tables) -> pd.DataFrame:
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


def _figure(tables: Tables, data: pd.DataFrame) -> Figure:
    """A row of panels for each network, a column for each criterion."""
    networks, datasets = ([name for name in tables.values(column) if name in set(data[column])]
                          for column in ("network", "dataset"))  # fmt: skip
    colours = dict(zip(datasets, style.colours(len(datasets)), strict=True))
    dashes = {kind: DASHES[at % len(DASHES)] for at, kind in enumerate(tables.values("panel"))}
    rows = [f"{network}\nchanged (%)" for network in networks]
    fig, grid = panels.grid(rows, list(CRITERIA.values()), 1.75, 0.95, sharex="col", sharey=True)
    for line, network in zip(grid, networks, strict=True):
        for axes, criterion in zip(line, CRITERIA, strict=True):
            _panel(axes, data[(data["network"] == network) & (data["criterion"] == criterion)], colours, dashes)
    for axes in grid[-1]:
        axes.set_xlabel("more than")
    named = [marks.entry(name, color=colours[name], linewidth=3) for name in datasets if len(datasets) > 1]
    named += [marks.entry(kind, linestyle=dash, linewidth=1.3) for kind, dash in dashes.items() if kind]
    marks.legend(fig, (), ncols=4, extra=named)
    return fig


def _panel(axes: Axes, data: pd.DataFrame, colours: Mapping[Any, str], dashes: Mapping[Any, str]) -> None:
    """One panel: tolerances at equal steps, a line for each data set and setting."""
    steps = sorted(set(data["tolerance"]))
    for (dataset, kind), own in data.groupby(["dataset", "panel"], sort=False):
        own = own.assign(at=own["tolerance"].map(steps.index)).sort_values("at")
        look: dict[str, Any] = {"color": colours[dataset], "linestyle": dashes[kind], "marker": "o", "markersize": 3}
        marks.band(axes, own, "at", scale=100, bounds=SHARE, linewidth=1.3, **look)
    every = -(-len(steps) // 4)
    axes.set_xticks(range(0, len(steps), every), [style.short(step) for step in steps[::every]])
    axes.set_ylim(-3, 103)


def effective(tables: Tables) -> list[Exhibit]:
    """Parameters, structural, tied and effective ones of each network, as a table."""
    found = tables.read("parameters")
    found = found[found["layer"] == "total"]
    if found.empty:
        raise NothingToShow("parameters.csv has no total.")
    counts = ["size", "structural", "tied", "effective"]
    try:
        kept = totals(tables).groupby(["network", "dataset"], sort=False)["share"].mean().to_dict()
    except NothingToShow:
        kept = {}
    rows = []
    for _, own in found.groupby(["network", *counts], sort=False):
        network, size, structural, tied, free = own[["network", *counts]].iloc[0]
        names = list(dict.fromkeys(own["dataset"]))
        still = [kept[network, name] for name in names if (network, name) in kept]
        rows.append(
            {
                "network": network,
                "on": listed(names, 9),
                "parameters": size,
                "structural": structural,
                "tied": tied,
                "effective": free,
                "effective (%)": f"{free / size * 100:.1f}",
                "unchanged (%)": f"{sum(still) / len(still) * 100:.1f}" if still else "",
            }
        )
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
    return [Exhibit("effective", "Parameters, and those that are free", caption, alt, pd.DataFrame(rows))]
