"""The files that a training leaves of each epoch: metrics.csv and snapshots."""

import csv
import math
import os
from pathlib import Path
from typing import Any

from torch import nn

from weight_atlas import store
from weight_atlas.networks.table import Table
from weight_atlas.settings import Settings
from weight_atlas.training.frozen import constant
from weight_atlas.training.state import State


class Recorder:
    """Writes the metrics and the snapshots of one replicate into its folder below `out`."""

    def __init__(self, cell_id: str, settings: Settings, seed: int, table: Table, out: Path):
        self.cell_id, self.settings, self.seed, self.table, self.out = cell_id, settings, seed, table, out

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write metrics.csv anew."""
        with store.atomic_write(store.metrics_path(self.out, self.seed)) as path, open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, store.METRICS)
            writer.writeheader()
            writer.writerows({key: _cell_text(value) for key, value in row.items()} for row in rows)

    def keep_snapshots(self, model: nn.Module, state: State, accuracy: float, is_last: bool) -> None:
        """Write this epoch's snapshot where the cell keeps it, and `best` where it is the best so far.

        accuracy: on the validation images; is_last: whether training ends here.
        """
        kept, epoch = self.settings.snapshots, state.epoch
        is_kept = is_last or kept == "all" or epoch in ((0,) if kept == "ends" else kept)
        epoch_path, best_path = (store.snapshot_path(self.out, self.seed, which) for which in (epoch, "best"))
        if is_kept:
            self._save(model, epoch_path, epoch)
        if epoch > 0 and accuracy > state.best_accuracy:
            state.best_accuracy, state.best_epoch = accuracy, epoch
            if not is_kept:
                self._save(model, best_path, epoch)
                return
            with store.atomic_write(best_path) as part:
                os.link(epoch_path, part)

    def _save(self, model: nn.Module, path: Path, epoch: int) -> None:
        """Write a snapshot: the start whole, later ones without what never changes."""
        left_out = constant(self.table, self.settings.training) if epoch else []
        kept = {name: tensor for name, tensor in model.state_dict().items() if name not in left_out}
        tensors = {name: tensor.contiguous().cpu() for name, tensor in kept.items()}
        metadata: dict[str, object] = {"cell_id": self.cell_id, "seed": self.seed, "epoch": epoch}
        metadata |= {store.REST: store.snapshot_path(self.out, self.seed, 0).name} if left_out else {}
        store.save_tensors(path, tensors, metadata)


def _cell_text(value: object) -> str:
    """A number for a CSV file: nothing for what is missing, all digits of the rest."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)
