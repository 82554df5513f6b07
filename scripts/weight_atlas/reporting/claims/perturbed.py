"""Evidence on trained networks that were changed and trained again: do they come back, are they another minimum?"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.measured import POINTS, RATIO, Measured, Unit, measured
from weight_atlas.reporting.exhibits.perturbed import families, paths
from weight_atlas.reporting.exhibits.perturbed.families import FLIP, SAME
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE

DEPTH = POINTS._replace(has_sign=False, bounds=SHARE)  # of a barrier
LEARNT = 0.9  # the part of its control's accuracy from which on a flipped network has learnt again


def _each(rows: pd.DataFrame, words: str, column: str, unit: Unit,
          change: Callable[[Any], Any] = lambda values: values) -> list[Measured]:  # fmt: skip
    """A column of some journeys, one number an original: its cell, and what it was started again with."""
    made = []
    for _, own in rows.groupby("branch", sort=False):
        first = own.iloc[0]
        about = f"{first['network']} on {first['dataset']}, {first['words']}"
        by_seed = change(own[column]).groupby(own["seed"]).mean()
        number = measured(f"{words} ({about})", by_seed, unit, {*own["cell_id"], *own["parent"]}, str(first["branch"]))
        made.append(replace(number, about=about))
    return made


def _small(tables: Tables) -> pd.DataFrame:
    """The journeys of small distortions that have a control."""
    rows: pd.DataFrame = families.small(families.journeys(tables)).dropna(subset=["ratio", "amplification"])
    if rows.empty:
        raise NothingToShow("no small distortion has a finished replicate beside its control of the same order.")
    return rows


def amplification(tables: Tables) -> list[Measured]:
    """How far from its control's end a network ends after a small distortion, over how far the distortion put it."""
    words = "distance to the end of the control over that at the start"
    return _each(_small(tables), words, "amplification", RATIO, np.log)


def drift(tables: Tables) -> list[Measured]:
    """How far from the original a network ends after a small distortion, over how far it ends without one."""
    return _each(_small(tables), "distance to the original over that without a distortion", "ratio", RATIO, np.log)


def flipped(tables: Tables) -> pd.DataFrame:
    """The journeys of networks with all signs flipped, with `again`: whether they learnt again."""
    journeys = families.journeys(tables)
    found = journeys[journeys["what"] == FLIP]
    if found.empty:
        raise NothingToShow("no replicate with all signs flipped has finished.")
    return found.assign(again=_learnt(tables, found, journeys[journeys["what"] == SAME]))


def barrier(tables: Tables) -> list[Measured]:
    """The accuracy that is lost on the straight line between a flipped, retrained network and the original, when
    symmetries are removed; of networks that learnt again."""
    found = flipped(tables)
    again = found[found["again"]]
    if again.empty:
        raise NothingToShow(f"none of {len(found)} flipped replicates learnt again, so that there is no minimum.")
    heights = paths.heights(tables)
    if not len(heights):
        raise NothingToShow("no barrier was measured.")
    sides = [name for name in ("plain", "aligned") if name in heights]  # the identity is a symmetry: the smaller counts
    lowest = heights.assign(height=heights[sides].min(axis=1))[["cell_id", "seed", "height"]]
    return _each(again.merge(lowest, on=["cell_id", "seed"]), "barrier without symmetries", "height", DEPTH)


def _learnt(tables: Tables, flipped: pd.DataFrame, controls: pd.DataFrame) -> "pd.Series[bool]":
    """Which flipped replicates learnt again: their accuracy is at least LEARNT of their control's, or one of the two is
    not known."""
    try:
        found = families.children(tables, "accuracy")
    except NothingToShow:
        return pd.Series(True, index=flipped.index)
    found = found[found["protocol"] == "last"]
    ends = found.set_index(["cell_id", "seed"])["accuracy"]
    beside = found[found["cell_id"].isin(controls["cell_id"])].set_index(["branch", "seed"])["accuracy"]
    own = ends.reindex(pd.MultiIndex.from_frame(flipped[["cell_id", "seed"]])).to_numpy()
    other = beside.reindex(pd.MultiIndex.from_frame(flipped[["branch", "seed"]])).to_numpy()
    return pd.Series(~(own < LEARNT * other), index=flipped.index)


EVIDENCE: Mapping[str, Any] = {"amplification": amplification, "drift": drift, "barrier": barrier}
