"""Freeze-depth transfer: accuracy against the number n of layers that are copied, what it is lost to, and where.

Yosinski et al. (2014), "How transferable are features in deep neural networks?": a target network takes its first n
weight layers from a base network (A to B), or from one of its own task (B to B), and its others are fresh. No torch.
"""

from collections.abc import Mapping

import pandas as pd

from weight_atlas.analysis.runs import learnt
from weight_atlas.analysis.transfer.curves import Cells, Row, curve_rows, curves, outcomes
from weight_atlas.analysis.transfer.drops import drop_rows, segment_rows
from weight_atlas.analysis.transfer.effects import effect_rows
from weight_atlas.analysis.transfer.reach import reach_rows
from weight_atlas.analysis.transfer.recommend import recommendation_rows
from weight_atlas.analysis.transfer.shapes import breakpoint_rows, trend_rows
from weight_atlas.plan.spec import Thresholds

USUAL: Mapping[str, Thresholds] = {}


def rows(
    cells: Cells,
    runs: pd.DataFrame,
    accuracy: pd.DataFrame,
    metrics: pd.DataFrame,
    thresholds: Mapping[str, Thresholds] = USUAL,
) -> dict[str, list[Row]]:
    """{table: rows} of the transfers of all studies: curves, drops, segments, recommendations, breakpoints, trends,
    effects, reach.

    cells: as `weight_atlas.cell_table.read` gives them; runs, accuracy, metrics: DataFrames with the columns of the
    tables of their names; thresholds: {study: its own, where they are not the usual ones}. curves has all finished
    replicates, the others are of those that learnt; accuracies are those of the best validation epoch on test.
    """
    known, every = curves(cells), outcomes(runs, accuracy, metrics)
    sound = set(learnt.without(runs)[["cell_id", "seed"]].itertuples(index=False, name=None))
    values = {cell: {seed: run for seed, run in own.items() if (cell, seed) in sound} for cell, own in every.items()}
    asked = {cell_id: len(cell["seeds"]) for cell_id, cell in cells.items()}
    return {
        "curves": curve_rows(known, every),
        "drops": drop_rows(known, values, asked),
        "segments": segment_rows(known, values, asked, thresholds),
        "recommendations": recommendation_rows(cells, known, values, metrics, asked, thresholds),
        "breakpoints": breakpoint_rows(known, values),
        "trends": trend_rows(known, values),
        "effects": effect_rows(cells, known, values),
        "reach": reach_rows(known, values, asked),
    }
