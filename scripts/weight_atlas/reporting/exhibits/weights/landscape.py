"""Exhibits on the loss around trained networks: planes of weights with the course of training, and sharpness."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import cell_name, shortfall, with_cells
from weight_atlas.reporting.grammar import heatmaps, marks, style
from weight_atlas.reporting.grammar.answers import Answer, Verdict, is_clear, number
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import LEVEL
from weight_atlas.reporting.grammar.tables import Tables, as_row
from weight_atlas.reporting.grammar.words import plural, slug, span, three, whole

ACROSS, MOST = 3, 12  # panels of a row, and of a figure
LINES = 12  # contour lines over the scale of a figure
LEAST, HIGHEST = 1e-4, 10.0  # nats: losses below and above look alike
TITLES = {"ends": "The loss between start, end and control", "random": "The loss around the end, in random directions"}
PLACES: dict[str, dict[str, Any]] = {
    "start": {"marker": "s", "color": style.PALETTE[1]},
    "end": {"marker": "o", "color": style.PALETTE[1]},
    "control": {"marker": "D", "color": style.PALETTE[4]},
}


def parts(tables: Tables, name: str) -> Iterator[tuple[Tables, pd.DataFrame]]:
    """The cells of the grid, and those that were perturbed, each with their rows of a table, where they have some."""
    for own in filter(None, (tables, tables.children)):
        try:
            yield own, own.done(name)
        except NothingToShow:
            continue


def planes(tables: Tables) -> list[Exhibit]:
    """Loss on both planes of the first finished replicate of each cell, a panel each, and the trajectory on it."""
    made = []
    known = list(parts(tables, "landscape"))
    for plane, (own, found) in product(TITLES, known):
        landmarks, of_plane = _landmarks(own), found[found["plane"] == plane]
        for (network, dataset), data in of_plane.groupby(["network", "dataset"], sort=False):
            shown = list(dict.fromkeys(data["cell_id"]))[:MOST]
            data = data[data["cell_id"].isin(shown)]
            place = str(network), str(dataset)
            tab = ", ".join([*place, *(["perturbed"] if own is not tables else [])])
            seen = " ".join(one.statement for one in _answers(own, own is not tables, place))
            fig = _figure(own, data, landmarks, plane)
            caption = (
                f"{seen} {_recipe(plane, data)} {_off(landmarks, shown) if plane == 'ends' else ''} {shortfall(own)}"
            )
            name, alt = slug("landscape", plane, tab), f"Maps of loss over {plural(len(shown), 'plane')}. {seen}"
            made.append(Exhibit(name, TITLES[plane], caption, alt, data, fig, tab=tab))
    if not made:
        raise NothingToShow(f"landscape.csv has no finished replicate of study {tables.study}.")
    return made


def _recipe(plane: str, data: pd.DataFrame) -> str:
    """How a map is made, in sentences."""
    side = round(math.sqrt(len(data) / data["cell_id"].nunique()))
    how = {
        "ends": "The plane goes through the start (square), the end (dot) and another end (diamond): of a perturbed "
        "network its control's, else the next seed's. Axes are distances of weights, each on its own scale; the line "
        "is the training, projected on the plane.",
        "random": "The two directions are random, seeded by the replicate, and normalised filter by filter (Li et al. "
        "2018): as long as each filter, 0 for biases and normalisations. The end is in the middle; at the edges a "
        "direction is added or taken once. The course of a training has no place there.",
    }
    return (
        f"Loss on a grid of {side} × {side} weights, for the first finished seed of each cell: over at most 250 test "
        "images, evenly spaced over the file, in evaluation mode, with running statistics made anew at each point. "
        f"{how[plane]} The scale is logarithmic, and one for all panels; accuracy is in the CSV."
    )


def _off(landmarks: pd.DataFrame, shown: list[str]) -> str:
    """A sentence on how far the trainings leave the plane; empty without a snapshot between start and end."""
    own = landmarks[landmarks["cell_id"].isin(shown) & (landmarks["kind"] == "snapshot")]
    shares = [
        part["off_plane"].max() / math.hypot(part["plane_x"].iloc[0], part["plane_y"].iloc[0])
        for _, part in own.groupby("cell_id")
        if len(part) > 2
    ]
    text = span(shares, style.percent)
    return f"In between, the training is up to {text} of the way from start to end off the plane." if text else ""


def _landmarks(tables: Tables) -> pd.DataFrame:
    try:
        return tables.done("landmarks")
    except NothingToShow:
        return pd.DataFrame(columns=["cell_id", "seed", "kind", "epoch", "plane_x", "plane_y", "off_plane", "loss"])


def _figure(tables: Tables, data: pd.DataFrame, landmarks: pd.DataFrame, plane: str) -> Figure:
    cells = list(dict.fromkeys(data["cell_id"]))
    down, across = math.ceil(len(cells) / ACROSS), min(ACROSS, max(2, len(cells)))
    fig = style.figure(2.9 * down + 1.0)
    grid = fig.subplots(down, across, squeeze=False)
    losses = data["loss"].clip(LEAST, HIGHEST)
    norm = LogNorm(losses.min(), max(losses.max(), losses.min() * 1.01))
    labels = tables.cells.set_index("cell_id")["label"]
    for at, axes in enumerate(grid.flat):
        if at >= len(cells):
            axes.set_visible(False)
            continue
        own = data[data["cell_id"] == cells[at]]
        _map(axes, own, norm)
        if plane == "ends":
            _course(axes, landmarks[landmarks["cell_id"] == cells[at]])
        axes.set_title("\n".join(heatmaps.fitted(labels[cells[at]], 7 / across) or [labels[cells[at]]]), fontsize=9)
    shown = list(grid.flat)[: len(cells)]
    bar = heatmaps.bar(fig, shown, f"loss (nats; {HIGHEST:g} and more look alike)")
    steps = style.log_ticks(float(losses.min()), float(losses.max()), 6)
    bar.minorticks_off()
    bar.set_ticks(steps, labels=[style.short(step) for step in steps])
    marks.legend(fig, shown, extra=heatmaps.undefined(fig, "loss not finite"))
    return fig


def _map(axes: Axes, own: pd.DataFrame, norm: LogNorm) -> None:
    """The heights of one plane as colours, with contour lines."""
    values = own.pivot(index="plane_y", columns="plane_x", values="loss").clip(LEAST, HIGHEST)
    xs, ys = values.columns.to_numpy(float), values.index.to_numpy(float)
    half = (xs[1] - xs[0]) / 2, (ys[1] - ys[0]) / 2
    axes.patch.set(**style.UNDEFINED)
    extent = (xs[0] - half[0], xs[-1] + half[0], ys[0] - half[1], ys[-1] + half[1])
    axes.imshow(np.ma.masked_invalid(values), norm=norm, cmap=style.SEQUENTIAL, extent=extent, origin="lower",
                interpolation="none", aspect="auto")  # fmt: skip
    levels = np.geomspace(norm.vmin or LEAST, norm.vmax or 1, LINES)[1:-1]
    axes.contour(xs, ys, np.ma.masked_invalid(values), levels=levels, colors="white", linewidths=0.6, alpha=0.6)
    axes.grid(False)


def _course(axes: Axes, own: pd.DataFrame) -> None:
    """The snapshots of a training on its plane, its start, its end and its control."""
    way = own[own["kind"] == "snapshot"].sort_values("epoch")
    axes.plot(way["plane_x"], way["plane_y"], color="white", linewidth=3, zorder=3)
    axes.plot(
        way["plane_x"],
        way["plane_y"],
        color="black",
        linewidth=1.2,
        marker=".",
        markersize=3,
        zorder=4,
        label="training",
    )
    ends = {"start": way.iloc[:1], "end": way.iloc[-1:], "control": own[own["kind"] == "control"]}
    for name, row in ends.items():
        axes.plot(row["plane_x"], row["plane_y"], linestyle="", markersize=7, markeredgecolor="white", zorder=5,
                  label=name,
                  **PLACES[name])  # fmt: skip


# ------------------------------------------------------------------------------------------- sharpness


def ratios(tables: Tables) -> pd.DataFrame:
    """The largest eigenvalue at the end over that at the start, by cell: the labels, n, of, mean, low, high, p, q.

    Ratios are averaged on a log scale, and tested against 1; q is corrected (Benjamini and Hochberg) for the cells of a
    network and data set. start, end: geometric means of the eigenvalues. Replicates where one is not positive are left
    out.
    """
    rows = []
    for cell, own in tables.done("sharpness").groupby("cell_id", sort=False):
        course = own.sort_values("epoch").groupby("seed")["eigenvalue"]
        ends = pd.DataFrame({"start": course.first(), "end": course.last()})[course.count() > 1]
        ends = ends[(ends > 0).all(axis=1)]
        ratio = ends["end"] / ends["start"]
        row = {"cell_id": cell, **as_row(stats.ratio_mean(ratio)), "p": stats.mean_test(np.log(ratio)).p}
        rows.append(row | {name: stats.ratio_mean(ends[name]).mean for name in ends})
    data: pd.DataFrame = with_cells(tables, pd.DataFrame(rows))
    groups = data.groupby(["network", "dataset"], sort=False)["p"]
    return data.assign(q=groups.transform(lambda p: pd.Series(stats.benjamini_hochberg(p), p.index)))


def sharpness(tables: Tables) -> list[Exhibit]:
    """The largest eigenvalues at start and end as a table."""
    found = list(parts(tables, "sharpness"))
    if not found:
        raise NothingToShow(f"sharpness.csv has no finished replicate of study {tables.study}.")
    data = pd.concat([ratios(own) for own, _ in found], ignore_index=True)
    names = [cell_name(own, cell) for own, _ in found for cell in ratios(own)["cell_id"]]
    ends = {f"λ at the {end}": data[end].map(three) for end in ("start", "end")}
    table = pd.DataFrame({"cell": names, **ends})
    table["end / start"] = [_ratio(row) for row in data.to_dict("records")]
    table["q"] = [f"{q:.3f}" if q == q else "" for q in data["q"]]
    table["n"] = data["n"]
    errors = pd.concat([rows["residual"] for _, rows in found])
    caption = (
        "How sharp the loss is: the largest eigenvalue λ of its Hessian with respect to all weights, over at most 250 "
        "test images in evaluation mode. Power iteration on Hessian-vector products; its error is at most "
        f"{style.percent(errors.max())} of λ (residual). Means and ratios over finished replicates on a log scale, "
        "with 95 % intervals; q is corrected for all cells of a network and data set."
    )
    alt = f"Table of the Hessian's largest eigenvalue of {plural(len(table), 'cell')}."
    return [Exhibit("sharpness", "Sharpness at start and end", caption, alt, table)]


def _ratio(row: Any) -> str:
    if not row["n"]:
        return "none"
    interval = f" [{three(row['low'])}, {three(row['high'])}]" if row["low"] == row["low"] else ""
    return f"{three(row['mean'])}{interval}"


SHARPER = {
    Verdict.YES: "The loss is flatter at the end than at the start",
    Verdict.NO: "The loss is sharper at the end than at the start",
    Verdict.PARTLY: "The loss is flatter at the end in some cells",
    Verdict.UNDECIDED: "Whether the loss is flatter or sharper at the end is not decided",
}


def answer(tables: Tables) -> list[Answer]:
    """Does training end where the loss is flatter than at its start? By network and data set, perturbed ones apart."""
    found = [told for own, _ in parts(tables, "sharpness") for told in _answers(own, own is not tables)]
    if not found:
        raise NothingToShow(f"sharpness.csv has no finished replicate of study {tables.study}.")
    return found


def _answers(tables: Tables, perturbed: bool, place: tuple[str, str] | None = None) -> list[Answer]:
    """The answers of one role; place: the network and the data set that are asked for alone."""
    told = []
    for (network, dataset), own in ratios(tables).groupby(["network", "dataset"], sort=False):
        if place is None or place == (network, dataset):
            where = f"{network} on {dataset}{', perturbed' if perturbed else ''}"
            told += [_sharper(own, where), *_barrier(tables, list(own["cell_id"]), where)]
    return told


def _sharper(own: pd.DataFrame, where: str) -> Answer:
    rows = own[own["n"] > 0].to_dict("records")
    if not rows:
        return Answer("No replicate has a start and an end to compare.", Verdict.UNDECIDED, where)
    logs = [row | {"mean": math.log(row["mean"])} for row in rows]
    flat, sharp = (sum(is_clear(row, sign) for row in logs) for sign in (-1, 1))
    verdict = _verdict(flat, sharp, len(rows))
    clear = f": clearly flatter in {flat} and clearly sharper in {sharp} of {len(rows)}" if len(rows) > 1 else ""
    text = (
        f"{SHARPER[verdict]}{clear}. The largest eigenvalue of its Hessian is {span(own['start'])} at the start and "
        f"{span(own['end'])} at the end, {span(own['mean'])} times as large."
    )
    numbers = tuple(number(f"eigenvalue, end over start, {where}", row, _ratio(row)) for row in rows)
    return Answer(text, verdict, where, numbers, f"q < {LEVEL}, n = {whole(own['n'])}")


def _verdict(flat: int, sharp: int, cells: int) -> Verdict:
    """Yes where all cells are clearly flatter, no where all are sharper; partly where some are flatter."""
    if flat == cells or sharp == cells:
        return Verdict.YES if flat == cells else Verdict.NO
    return Verdict.PARTLY if flat else Verdict.UNDECIDED


def _barrier(tables: Tables, cells: list[str], where: str) -> Iterator[Answer]:
    """A sentence on the loss half-way between the end and that of the control."""
    found = _landmarks(tables)
    found = found[found["cell_id"].isin(cells)]
    rises = {}
    for cell, own in found.groupby("cell_id", sort=False):
        by = own.groupby("kind")["loss"].last()
        rises[str(cell)] = by["between"] - (by["snapshot"] + by["control"]) / 2
    if rises:
        crossed = found["cell_id"].ne(found["control_cell"])
        whose = (
            "of its control"
            if crossed.all()
            else "of the next seed"
            if not crossed.any()
            else "of its control, or of the next seed,"
        )
        text = (
            f"half-way from the end to that {whose} the loss is {span(rises.values(), _nats)} nats above the mean of "
            "the two ends (one seed per cell, so without an interval)."
        )
        yield Answer(text, about=where)


def _nats(value: float) -> str:
    return style.number(value, 2)
