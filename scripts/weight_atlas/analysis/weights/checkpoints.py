"""Checkpoints, the named epochs of a cell: which they are, and what is measured between the models at them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from weight_atlas import pairs, records, schema, starts, store
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.perturbed.snapshots import kept_snapshots
from weight_atlas.analysis.types import Key, Row, Rows
from weight_atlas.analysis.weights import correlation, spectra
from weight_atlas.cell_table import GroupedCell


class AtCheckpoints(ModelMeasure):
    """What is measured of the models whose cells name checkpoints, or are asked for it: these at their ends."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.points: dict[Key, dict[str, Checkpoint]] = {}

    @classmethod
    def asked_for(cls, cell: GroupedCell) -> bool:
        return bool(cell["checkpoints"]) or cls.name in cell["measures"]

    def see(self, model: TrainedModel) -> None:
        self.points[model.key] = checkpoints_of(self.network.cells, *model.key)


class Checkpoints(AtCheckpoints):
    """Which epochs they are, also where another measure is taken at them."""

    name = "checkpoints"
    tables = ("checkpoints",)

    @classmethod
    def asked_for(cls, cell: GroupedCell) -> bool:
        return super().asked_for(cell) or Correlations.asked_for(cell) or Spectra.asked_for(cell)

    def rows(self) -> Rows:
        rows = [(*key, name, point.epoch) for key, points in self.points.items() for name, point in points.items()]
        return {"checkpoints": [*rows]}


class Spectra(AtCheckpoints):
    """The singular values of the weights of each model."""

    name = "spectra"
    tables = ("spectra",)

    def rows(self) -> Rows:
        table = self.network.table
        return {
            "spectra": [
                (*key, name, point.epoch, *row)
                for key, points in self.points.items()
                for name, point in points.items()
                for row in spectra.rows(table, starts.open_snapshot(point.snapshot))
            ]
        }


class Correlations(AtCheckpoints):
    """The correlations between models.

    Correlated are

    - models: two cells of a study that differ in one label, each replicate with the next one of the other cell (the
      last with the first), at the checkpoints that both have. Two of one seed begin with the same draws, so that they
      are alike whatever they learn;
    - twins: those of one seed nevertheless;
    - checkpoints: each replicate with itself, from one checkpoint to the next and from the first to the last;
    - independent: two replicates of one cell at one checkpoint, which is what chance and the data make alike
      (`weight_atlas.pairs` says which cells and seeds are compared).

    Models and independent ones are also correlated after matching (`correlation.match`).
    """

    name = "correlations"
    tables = ("correlations",)

    def rows(self) -> Rows:
        rows: list[Row] = []
        for pair in pairs.at_checkpoints(self.network.cells, self.points):
            is_matched = pair.is_matched and self.network.table.is_network
            matchings = correlation.MATCHINGS if is_matched else ("raw",)
            a, b = self.points[pair.model_a][pair.checkpoint_a], self.points[pair.model_b][pair.checkpoint_b]
            ends = (pair.checkpoint_a, pair.checkpoint_b, a.epoch, b.epoch)
            tensors = starts.open_snapshot(a.snapshot), starts.open_snapshot(b.snapshot)
            found = correlation.rows(self.network.table, *tensors, matchings)
            rows += [(*pair.model_a, *pair.model_b, pair.comparison, *ends, *row) for row in found]
        return {"correlations": rows}


class Checkpoint(NamedTuple):
    """An epoch, and the path of its snapshot."""

    epoch: int
    snapshot: Path


def checkpoints_of(cells: Mapping[str, GroupedCell], cell_id: str, seed: int) -> dict[str, Checkpoint]:
    """The checkpoints of a finished replicate by their names, "first" and "last" of a cell that names none; those
    without a snapshot are left out."""
    named, paths = cells[cell_id]["checkpoints"], kept_snapshots(cells[cell_id], seed)
    if not named:
        named = {"first": min(paths)} | ({"last": max(paths)} if len(paths) > 1 else {})
    elif "match" in named:
        [(_, block, _, _)] = records.replicates(cells[cell_id]["blocks"], [seed])
        named = matching_epochs(cells, named, block, seed, list(paths))
    return {name: Checkpoint(epoch, paths[epoch]) for name, epoch in named.items() if epoch in paths}


def matching_epochs(
    cells: Mapping[str, GroupedCell], rule: Mapping[str, Any], block: Path, seed: int, kept: Sequence[int]
) -> dict[str, int]:
    """{checkpoint: epoch} where a replicate's metric is nearest to that of the other cell's replicate of the same seed.

    Before training is before training: where the other's epoch is 0, so is this one. Without the other replicate there
    is no checkpoint but that.

    Parameters
    ----------
    cells : dict of GroupedCell
    rule : dict
        {"match": the other cell, "by": a column of metrics.csv, "epochs": the other's checkpoints}.
    block, seed : path, int
        The replicate.
    kept : sequence of int
        The epochs to choose from, of which the first of equals is taken.
    """
    ours = metric(block, seed, rule["by"])
    theirs: dict[int, float] = {}
    if rule["match"] in cells:
        [(_, other, _, _)] = records.replicates(cells[rule["match"]]["blocks"], [seed])
        theirs = metric(other, seed, rule["by"])
    epochs = {}
    candidates = [epoch for epoch in kept if epoch and epoch in ours]
    for name, epoch in rule["epochs"].items():
        if epoch == 0:
            epochs[name] = 0
        elif epoch in theirs and candidates:
            target = theirs[epoch]
            epochs[name] = min(candidates, key=lambda candidate: abs(ours[candidate] - target))
    return epochs


def metric(block: Path, seed: int, name: str) -> dict[int, float]:
    """{epoch: value} of one column of a replicate's metrics, where it has a value; {} of one that left none."""
    path = store.metrics_path(block, seed)
    lines = schema.rows(path, "metrics") if path.exists() else []
    metrics = [dict(zip(schema.names("metrics"), line, strict=True)) for line in lines]
    values = {int(row["epoch"]): float(row[name] or "nan") for row in metrics}
    return {epoch: value for epoch, value in values.items() if value == value}
