"""Exhibits on single layers: how far each moved from its start, and how far it turned, as heatmaps."""

import numpy as np
import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import shortfall, with_cells
from weight_atlas.reporting.grammar import heatmaps, layer_rows, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, last
from weight_atlas.reporting.grammar.words import by_network, three
from weight_atlas.stats import summarise

READING = {
    "layer": "Rows are layers, the input at the top; columns are cells. All panels share one scale.",
    "tensor": "Rows are tensors, in the order of their names; columns are cells.",
}
UNDEFINED = "Hatched: not in the grid, no finished replicate, or a start of norm 0, so that there is no value."


def movement_layers(tables: Tables) -> list[Exhibit]:
    """Relative movement of every layer in every cell, as heatmaps."""
    data = _layer_means(tables, "relative")
    fig = heatmaps.by_layer(tables, data, style.positive_scale(data["mean"]), f"‖θ − θ₀‖ / ‖θ₀‖ of the {tables.noun}")
    noun = tables.noun
    caption = (
        f"Movement of every {noun} from its start to the last epoch, relative to the norm of its start, ‖θ − θ₀‖ / "
        f"‖θ₀‖: means over the finished replicates (intervals are in the CSV). {READING[noun]} "
        f"{layer_rows.told(data, noun)} Exactly 0 (a frozen {noun}) has its own colour. {UNDEFINED} {shortfall(tables)}"
    )
    alt = f"Heatmap of relative movement by {noun} and cell: {_most_and_least(data, 'moved', ' of its norm')}."
    return [Exhibit("movement-layers", f"Movement by {noun}", caption, alt, data, fig)]


def rotation(tables: Tables) -> list[Exhibit]:
    """The angle between every layer's start and end in every cell, as heatmaps."""
    data = _layer_means(tables, "cosine")
    data["angle"] = np.degrees(np.arccos(data["mean"].clip(-1, 1)))
    angles = data.assign(mean=data["angle"])
    fig = heatmaps.by_layer(tables, angles, style.positive_scale(angles["mean"]), "angle between θ₀ and θ (°)")
    noun = tables.noun
    caption = (
        f"How far every {noun} turned: the angle between its values at the start and after the last epoch, from the "
        f"mean cosine over the finished replicates (the cosine with its interval is in the CSV). {READING[noun]} "
        f"{layer_rows.told(data, noun)} 0°: the {noun} still points where it pointed, and training has at most scaled "
        f"it; 90°: nothing is left of the start's direction. {UNDEFINED} {shortfall(tables)}"
    )
    alt = f"Heatmap of the angle to the start by {noun} and cell: {_most_and_least(angles, 'turned', '°')}."
    return [Exhibit("rotation", f"Rotation by {noun}", caption, alt, data, fig)]


def _layer_means(tables: Tables, column: str) -> pd.DataFrame:
    """`column` of movement.csv from the start to the last epoch by cell and layer: labels, layer, n, of, mean .."""
    moved = tables.done("movement")
    moved = last(moved[(moved["interval"] == "start") & (moved["layer"] != "total")], "to_epoch")
    if moved.empty:
        raise NothingToShow("movement.csv has no layer's way from the start.")
    moved = moved.assign(**{column: moved[column].where(np.isfinite(moved[column]))})
    found: pd.DataFrame = with_cells(tables, summarise(moved, ["cell_id", "layer"], column))
    return found


def _most_and_least(data: pd.DataFrame, verb: str, unit: str) -> str:
    """ "in lenet5 fc3 moved most (0.3 of its norm, mean over the cells) and conv1 least (0.1 of its norm)"."""

    def ends(own: pd.DataFrame) -> str:
        means = own.groupby("layer", sort=False)["mean"].mean().dropna()
        if means.empty:
            return ""
        most, least = (f"({three(value)}{unit}" for value in (means.max(), means.min()))
        return f"{means.idxmax()} {verb} most {most}, mean over the cells) and {means.idxmin()} least {least})"

    return by_network(data, ends)
