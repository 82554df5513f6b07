"""Exhibits on models of which only the tensors are known: which move, by role and by depth, and which never do."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall
from weight_atlas.reporting.exhibits.weights.unchanged import listed
from weight_atlas.reporting.grammar import heatmaps, layer_rows, marks, style
from weight_atlas.reporting.grammar.answers import Answer
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, last
from weight_atlas.reporting.grammar.words import enumerated, plural, slug, three
from weight_atlas.stats import summarise
from weight_atlas.tensor_names import family

SHOWN = 10  # tensors in a table
BLOCKS = 3  # numbers from which on a figure by depth says something
FIRST_FILE = "its norm at the first file"


def moved(tables: Tables) -> pd.DataFrame:
    """How far each tensor is at the last file from where it was at the first, by cell: cell_id, label, layer, parameter
    (its role), size, n, mean, low, high (of the distance over the first norm), angle (degrees, of the mean cosine), and
    unchanged (the share of its values). Raises NothingToShow where no cell is one of tensors alone."""
    own = [cell for cell in tables.cells["cell_id"] if tables.are_tensors([cell])]
    found = tables.done("movement")
    found = last(found[(found["interval"] == "start") & (found["layer"] != "total")], "to_epoch")
    found = found[found["cell_id"].isin(own)]
    still = tables.done("unchanged").assign(share=lambda rows: rows["unchanged"] / rows["size"])
    if found.empty:
        raise NothingToShow("a network is named for every series.")
    data = summarise(found.assign(relative=found["relative"].where(np.isfinite(found["relative"]))),
                     ["cell_id", "layer"], "relative")  # fmt: skip
    cosines = found.groupby(["cell_id", "layer"], sort=False)["cosine"].mean().clip(-1, 1)
    angles = np.degrees(np.arccos(cosines)).rename("angle").reset_index()
    shares = still.groupby(["cell_id", "layer", "parameter", "size"], sort=False)["share"].mean()
    data = data.merge(angles).merge(shares.rename("unchanged").reset_index())
    data.loc[(data["unchanged"] == 1) & data["angle"].notna(), "angle"] = 0.0  # but for the rounding of a cosine of 1
    named = tables.cells.drop_duplicates("cell_id")[["cell_id", "network", "label"]]
    made: pd.DataFrame = named.merge(data, on="cell_id")
    return made


def _tabs(data: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each cell, with what tells it from the others."""
    several = data["cell_id"].nunique() > 1
    return [(str(own["label"].iloc[0]) if several else "", own) for _, own in data.groupby("cell_id", sort=False)]


def table(tables: Tables) -> list[Exhibit]:
    """The tensors that move most, and those that never change, as a table of each cell."""
    made = []
    for tab, own in _tabs(moved(tables)):
        never = own[own["unchanged"] == 1]
        most = own[own["unchanged"] < 1].sort_values("mean", ascending=False, kind="stable")
        shown = pd.concat([most.head(SHOWN), never.head(SHOWN)])
        printed = pd.DataFrame({
            "tensor": shown["layer"], "role": shown["parameter"], "values": [f"{size:,}" for size in shown["size"]],
            "‖θ − θ₀‖ / ‖θ₀‖": [three(value) if value == value else "undefined" for value in shown["mean"]],
            "angle (°)": [three(value) if value == value else "undefined" for value in shown["angle"]],
            "unchanged (%)": [f"{share * 100:.1f}" for share in shown["unchanged"]],
        })  # fmt: skip
        rest = len(never) - SHOWN
        also = ", then those that never change" if len(never) else ""
        also += f" ({rest} more do not either)" if rest > 0 else ""
        caption = (
            f"The {min(SHOWN, len(most))} of {plural(len(own), 'tensor')} that move most from first to last file, "
            f"relative to {FIRST_FILE}{also}: means over the finished replicates. Roles are guessed from names and "
            f"shapes where the config does not set them. {shortfall(tables)}"
        )
        alt = f"Table of {plural(len(shown), 'tensor')}: {_said(own)}"
        made.append(Exhibit(slug("tensors", tab), "Tensors that move most, and never", caption, alt, printed, tab=tab))
    return made


def roles(tables: Tables) -> list[Exhibit]:
    """Tensors, values, movement and unchanged values by role, as a table with a row per cell and role."""
    data, found = moved(tables), tables.done("movement")
    found = last(found[(found["interval"] == "start") & (found["layer"] != "total")], "to_epoch")
    found = found.merge(data[["cell_id", "layer", "parameter"]], on=["cell_id", "layer"])
    squares = found.assign(distance=found["distance"] ** 2, norm_from=found["norm_from"] ** 2)
    keys = ["cell_id", "parameter", "seed"]
    ways = squares.groupby(keys, sort=False)[["distance", "norm_from"]].sum()
    relative = (ways["distance"] / ways["norm_from"]).pow(0.5).groupby(level=[0, 1], sort=False).mean()
    rows: list[dict[str, Any]] = []
    key: Any
    for key, own in data.groupby(["cell_id", "parameter"], sort=False):
        cell, role = key
        whole = data[data["cell_id"] == cell]["size"].sum()
        still = (own["unchanged"] * own["size"]).sum() / own["size"].sum()
        moved_by = float(relative.loc[key])
        rows.append({
            "cell_id": cell, "given": own["label"].iloc[0], "role": role,
            "tensors": len(own), "values": own["size"].sum(),
            "values (%)": f"{own['size'].sum() / whole * 100:.1f}",
            "‖θ − θ₀‖ / ‖θ₀‖": three(moved_by) if np.isfinite(moved_by) else "undefined",
            "unchanged (%)": f"{still * 100:.1f}",
        })  # fmt: skip
    order = {cell: at for at, cell in enumerate(data["cell_id"].unique())}
    rows.sort(key=lambda row: (order[row["cell_id"]], layer_rows.KINDS.index(row["role"])))
    printed = pd.DataFrame(rows).astype({"values": "int64"})
    columns = [name for name in printed.columns if name != "cell_id" and (name != "given" or len(order) > 1)]
    printed["values"] = [f"{count:,}" for count in printed["values"]]
    caption = (
        "Tensors by their role, from the first file to the last: all tensors of a role as one vector, relative to its "
        f"norm at the first file. Means over the finished replicates. {shortfall(tables)}"
    )
    most = max(rows, key=lambda row: float(str(row["‖θ − θ₀‖ / ‖θ₀‖"]).replace("undefined", "nan")))
    alt = f"Table of {plural(len(rows), 'row')}. The role {most['role']} moves most, by {most['‖θ − θ₀‖ / ‖θ₀‖']}."
    return [Exhibit("tensors-roles", "Movement by role", caption, alt, printed, columns=columns)]


def depth(tables: Tables) -> list[Exhibit]:
    """Relative movement by block and by what tensors of all blocks have in common, as a heatmap of each cell."""
    made = []
    for tab, own in _tabs(moved(tables)):
        rows, blocks = zip(*(_placed(name) for name in own["layer"]), strict=True)
        data = own.assign(row=rows, block=blocks).dropna(subset="block")
        if data["row"].nunique() > layer_rows.MOST:
            data = data.assign(row=[layer_rows.by_all(name) for name in data["layer"]])
        data = data[data.groupby("row")["block"].transform("nunique") >= BLOCKS]
        if data.empty:
            continue
        values = data.pivot_table(index="row", columns="block", values="mean", sort=False)
        values = values.reindex(columns=sorted(values.columns))
        seen = _deepest(values)
        caption = (
            f"{seen} Movement from the first file to the last relative to {FIRST_FILE}, by the number in the tensors' "
            "names (*) and by the rest of the name: means over the finished replicates. Exactly 0 has its own colour. "
            f"Hatched: no such tensor, or one whose norm was 0. {shortfall(tables)}"
        )
        name, title = slug("tensors-depth", tab), "Movement by depth"
        made.append(Exhibit(name, title, caption, f"Heatmap. {seen}", data, _heatmap(values), tab=tab))
    if not made:
        raise NothingToShow(f"no tensors are numbered from {BLOCKS} blocks on.")
    return made


def _placed(name: str) -> tuple[str, float]:
    """A name with * for its first number, and that number; NaN where it has none."""
    _, numbers = family(name)
    return layer_rows.by_first(name), numbers[0] if numbers else np.nan


def _deepest(values: pd.DataFrame) -> str:
    """Where movement is largest, in a sentence."""
    every: Any = values.stack().dropna()
    if every.empty:
        return ""
    (row, block), means = every.idxmax(), every.groupby(level=1).mean()
    return (
        f"{row} moves most in block {int(block)} (by {three(every.max())}); over all of a block's tensors the mean is "
        f"{three(means.max())} at most (block {int(means.idxmax())}) and {three(means.min())} at least (block "
        f"{int(means.idxmin())})."
    )


def _heatmap(values: pd.DataFrame) -> Figure:
    fig = style.figure(0.19 * len(values) + 1.3)
    axes = fig.subplots()
    image = heatmaps.heatmap(
        axes, values, style.positive_scale(values.to_numpy(float)), [str(row) for row in values.index]
    )
    every = max(1, len(values.columns) // 24)
    shown = range(0, len(values.columns), every)
    axes.set_xticks(shown, [str(int(values.columns[at])) for at in shown])
    axes.set_xlabel("number in the name (*)")
    style.colourbar(fig, image, axes, "‖θ − θ₀‖ / ‖θ₀‖", location="bottom", aspect=50, pad=0.02)
    marks.legend(fig, (), extra=heatmaps.undefined(fig))
    return fig


def _said(own: pd.DataFrame) -> str:
    """Which tensors of a cell never change, and which moves most and least, in sentences."""
    never, rest = own[own["unchanged"] == 1], own[(own["unchanged"] < 1) & own["mean"].notna()]
    count = f"{len(never)} of {plural(len(own), 'tensor')}" if len(never) else f"none of {plural(len(own), 'tensor')}"
    verb = "never changes" if len(never) == 1 else "never change"
    names = f" ({_few(list(never['layer']))})" if len(never) else ""
    told = [f"{count} {verb}{names}."]
    if len(rest):
        ways = rest.set_index("layer")["mean"]
        most = f"{ways.idxmax()} moves most, by {three(ways.max())} of {FIRST_FILE}"
        told.append(f"{most}; of those that move {ways.idxmin()} least, by {three(ways.min())}.")
    return " ".join(told)


def _few(names: list[str]) -> str:
    """Names in a sentence: all of a few, or what they have in common."""
    if len(names) <= 4:
        return enumerated(names)
    return listed(list(dict.fromkeys(map(layer_rows.by_first, names))))


def answer(tables: Tables) -> list[Answer]:
    """Which tensors never change, and which move most and least, of each cell."""
    data: Any = moved(tables)
    sure = f"means, n = {int(data['n'].min())}"
    return [Answer(_said(own), None, tab, sure=sure) for tab, own in _tabs(data)]
