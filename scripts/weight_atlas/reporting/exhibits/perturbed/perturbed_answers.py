"""The answers on perturbed models: the numbers behind them, and the sentences that they make."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families, paths
from weight_atlas.reporting.exhibits.perturbed.amplification import factor
from weight_atlas.reporting.exhibits.perturbed.families import FLIP, OTHER, SAME
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import shares, span

Told = dict[str, Any]


def distortions(tables: Tables) -> list[Told]:
    """One dict a network: network, words, ratio and amplification (lowest and highest mean of an original), other
    (the same of the other-order control's distance to the same-order one), apart (distance to the latter)."""
    found = families.journeys(tables)
    low = families.small(found)
    told: list[Told] = []
    for network, own in low.groupby("network", sort=False):
        beside = found[(found["network"] == network) & (found["what"] == OTHER)]
        row: Told = {"network": network, "words": list(dict.fromkeys(own["words"]))}
        for name in ("ratio", "amplification", "apart"):
            row[name] = ends(own.groupby("branch")[name].mean())
        told.append(row | {"other": ends(beside.groupby("branch")["apart"].mean())})
    return told


def flips(tables: Tables) -> list[Told]:
    """One dict a network: network, floor (2‖θ₁‖ over the distance), way (from the flipped start, over ‖θ₁‖), cosine,
    plain and aligned (barriers of accuracy), trained and still (accuracy after training again, and with no flip):
    lowest and highest mean of an original."""
    every = families.journeys(tables)
    found = every[every["what"] == FLIP]
    found = found.assign(floor=found["start"] / found["distance"], way=found["moved"] / found["norm"])
    walls = paths.heights(tables)
    told: list[Told] = []
    for network, own in found.groupby("network", sort=False):
        row: Told = {"network": network}
        for name in ("floor", "way", "cosine"):
            row[name] = ends(own.groupby("branch")[name].mean())
        tall = walls.merge(own[["cell_id", "seed"]]) if len(walls) else walls
        for name in ("plain", "aligned"):
            row[name] = ends(tall.groupby("cell_id")[name].mean()) if name in tall else []
        same = every[(every["what"] == SAME) & every["branch"].isin(own["branch"])]
        row |= {"trained": _accuracy(tables, own), "still": _accuracy(tables, same)}
        told.append(row)
    return told


def _accuracy(tables: Tables, rows: pd.DataFrame) -> list[float]:
    """[lowest, highest] mean test accuracy at the last epoch of the cells of some rows, [] where there is none."""
    try:
        found = families.children(tables, "accuracy")
    except NothingToShow:
        return []
    found = found[found["protocol"] == "last"].merge(rows[["cell_id", "seed"]])
    return ends(found.groupby("cell_id")["accuracy"].mean())


def ends(values: "pd.Series[float]") -> list[float]:
    """[lowest, highest] of the defined values of a Series, [] where there is none."""
    values = values.dropna()
    return [float(values.min()), float(values.max())] if len(values) else []


def answer_distortion(tables: Tables) -> list[str]:
    """Two sentences from `distortions`; none where nothing is beside a control."""
    told = [item for item in distortions(tables) if item["ratio"]]
    if not told:
        return []
    words = " or ".join(dict.fromkeys(word for item in told for word in item["words"]))
    first = "; ".join(f"{span(item['ratio'], digits=4)} times in {item['network']}" for item in told)
    second = "; ".join(
        f"in {item['network']} {span(item['apart'])} from where it would have ended, "
        f"{span(item['amplification'], factor)} times the distortion itself"
        + (f" (in another order: {span(item['other'])})" if item["other"] else "")
        for item in told
        if item["amplification"]
    )
    back = all(item["amplification"][1] < 1 for item in told if item["amplification"])
    sentences = [
        f"After {words} and training again the distance to the original, relative to that after training on with no "
        f"distortion, is {first}."
    ]
    if second:
        sentences.append(f"{'It comes back' if back else 'It does not come back'}: it ends {second}.")
    return sentences


def answer_flip(tables: Tables) -> list[str]:
    """Two sentences from `flips`; none where there is none."""
    told = flips(tables)
    if not told:
        return []
    found = [f"No: {'; '.join(map(_mirrored, told))}."]
    if _walled(told):
        found.append(f"On the straight line between the two accuracy falls by up to {_walled(told)}.")
    return found


def _mirrored(item: Told) -> str:
    """A dict of `flips` in words, as far as distances go."""
    floor = f"{shares(item['floor'])} of ‖θ₁ − θ₂‖ is 2‖θ₁‖, which the flip itself puts between them"
    way = f"training moves {shares(item['way'])} of ‖θ₁‖ from there (cosine to the original {span(item['cosine'])})"
    again = f" and ends at an accuracy of {shares(item['trained'])}" if item["trained"] else ""
    beside = f" ({shares(item['still'])} with no flip)" if again and item["still"] else ""
    return f"in {item['network']} {floor}, and {way}{again}{beside}"


def _walled(told: Iterable[Told]) -> str:
    """The barriers of `flips` in words: "76.7 points in lenet5 (70.1 after symmetries are removed)"; may be empty."""
    parts = []
    for item in told:
        points = {name: span([100 * value for value in item[name]]) for name in ("plain", "aligned") if item[name]}
        if "plain" in points:
            after = f" ({points['aligned']} after symmetries are removed)" if "aligned" in points else ""
            parts.append(f"{points['plain']} points in {item['network']}{after}")
    return "; ".join(parts)
