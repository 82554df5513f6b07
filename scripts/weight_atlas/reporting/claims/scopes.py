"""Whether what a claim compares is within its scope, and what keeps it out, in words."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from weight_atlas.plan.spec import Within
from weight_atlas.reporting.claims.measured import Measured
from weight_atlas.reporting.exhibits.design.starts import imagenet, start
from weight_atlas.reporting.grammar.tables import PUBLISHED, Tables
from weight_atlas.settings import Settings
from weight_atlas.vocabulary import Status


@dataclass(frozen=True)
class Cell:
    """A cell that a claim compares: its labels, settings, number of training images and of replicates that ended; of a
    transfer the number of copied layers."""

    dataset: str
    network: str
    settings: Settings
    images: int
    replicates: int
    depth: int


@dataclass(frozen=True)
class Scoped:
    """kept: what a claim is judged on; outside: what keeps it out of the scope, empty where it is within."""

    kept: list[Measured]
    outside: str


def scoped(within: Within | None, found: Sequence[Measured], tables: Tables, ended: Collection[Status]) -> Scoped:
    """The numbers of those groups that are within a scope, or all of them where none is, with what they lack.

    ended: the statuses of replicates that count as results.
    """
    if within is None:
        return Scoped(list(found), "")
    known = cells(tables, {cell_id for one in found for cell_id in one.cells}, ended)
    groups: dict[str, set[str]] = defaultdict(set)
    for one in found:
        groups[one.group] |= one.cells
    lacking = {group: lacks(within, [known[one] for one in sorted(own)]) for group, own in groups.items()}
    inside = [one for one in found if not lacking[one.group]]
    if inside:
        return Scoped(inside, "")
    return Scoped(list(found), "; ".join(dict.fromkeys(words for own in lacking.values() for words in own)))


def cells(tables: Tables, wanted: Collection[str], ended: Collection[Status]) -> dict[str, Cell]:
    """What is known of some cells of a study, whatever their role."""
    runs = tables.table("runs")
    counts = runs[runs["status"].isin(list(ended))].groupby("cell_id").size()
    rows = tables.rows[tables.rows["cell_id"].isin(list(wanted))].drop_duplicates("cell_id")
    found = {}
    row: Any
    for row in rows.itertuples():
        card = tables.cards.get(row.dataset_id)
        images = sum(card["counts"]["train"]) if card else 0
        settings = Settings.parse(json.loads(row.cell))
        found[row.cell_id] = Cell(row.dataset, row.network, settings, images, int(counts.get(row.cell_id, 0)),
                                  int(getattr(row, "depth", "") or 0))  # fmt: skip
    return found


def lacks(within: Within, compared: Sequence[Cell]) -> list[str]:
    """What keeps some cells out of a scope, a phrase a kind; empty where all are within."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    deepest = max((cell.depth for cell in compared), default=0)
    if deepest < within.depth:
        found["depth"][f"n up to {deepest} instead of {within.depth}"] = None
    for cell in compared:
        for kind, words in _lacks(within, cell).items():
            found[kind][words] = None
    return [", ".join(words) for words in found.values()]


def _lacks(within: Within, cell: Cell) -> dict[str, str]:
    """{kind: what there is instead} of one cell."""
    settings, found = cell.settings, {}
    name = settings.dataset_id.partition("-")[0]
    sizes = within.images.get(name, [])
    sizes = sizes if isinstance(sizes, list) else [sizes]
    if not sizes:
        published = " or ".join(PUBLISHED.get(one, one) for one in within.images)
        found["data"] = f"{cell.dataset} instead of {published}"
    elif cell.images not in sizes:
        found["images"] = f"{cell.dataset} has {cell.images:,} of {sizes[0]:,} training images"
    if settings.network.architecture not in within.architecture:
        found["network"] = f"{settings.network.architecture} instead of {' or '.join(within.architecture)}"
    if settings.network.width != 1:
        found["width"] = f"{cell.network} has {settings.network.width:g} of the full width"
    if settings.epochs < within.epochs:
        found["epochs"] = f"{settings.epochs} of {within.epochs} epochs"
    if cell.replicates < within.replicates:
        found["replicates"] = f"{cell.replicates} of {within.replicates} replicates"
    allowed = within.start.get(settings.network.architecture)
    kind = "imagenet" if imagenet(settings) else "drawn" if settings.start.kind == "init" else ""
    if allowed and kind not in allowed:
        found["start"] = f"a start from {start(settings)} instead of ImageNet weights"
    return found
