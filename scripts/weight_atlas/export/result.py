"""A folder of results, as a run leaves it in results/<name> or as a bundle holds it, and the snapshots of its cells."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from weight_atlas import cell_table, records, schema, store
from weight_atlas.folders import Folders
from weight_atlas.vocabulary import Status

REQUIRED = ("cells.csv", "config.json", "tables/runs.csv", "tables/accuracy.csv", "tables/movement.csv")
# A line of a bundle's weights.sha256: hash, cell, seed and epoch of a snapshot.
WEIGHTS_LINE = re.compile(r"([0-9a-f]{64})  results/cells/([^/]+)/[^/]+/snapshots/seed(\d+)/epoch_(\d+)\.safetensors")


class Result:
    """The results of one config: `folder` is results/<name>, with results/cells beside it and data/ above, or a bundle.

    ValueError, in one line, where a file is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        for name in REQUIRED:
            if not (self.folder / name).is_file():
                raise ValueError(f"{folder} has no {name}; give a finished run's results/<name>, or an unpacked bundle")
        self.root = Path(os.path.abspath(folder)).parents[1]
        self.is_bundle = (self.folder / "weights.sha256").is_file()
        self.config: dict[str, Any] = store.read_json(self.folder / "config.json")
        self.folders = None if self.is_bundle else Folders.beside(self.folder, self.config)
        self.cells = cell_table.read(self.folder / "cells.csv")

    def rows(self, table: str) -> Iterator[dict[str, str]]:
        """The rows of tables/<table>.csv as dicts of text."""
        # Not by the schema: results of another version, which may have other columns, are compared too.
        yield from schema.dicts(self.folder / "tables" / f"{table}.csv")

    @cached_property
    def runs(self) -> dict[tuple[str, int], dict[str, str]]:
        """{(cell id, seed): its row of runs.csv}."""
        return {(row["cell_id"], int(row["seed"])): row for row in self.rows("runs")}

    def status(self, cell_id: str, seed: int) -> str:
        """How a replicate ended: done, diverged, failed or missing."""
        return self.runs.get((cell_id, seed), {}).get("status", Status.MISSING)

    def path(self, name: str) -> Path:
        """Where the file or folder of a name is (`weight_atlas.folders`), if it is there."""
        return Path(self.folders.place(name)) if self.folders else self.root / name

    @property
    def cards(self) -> list[str]:
        """The names of the data sets' cards, sorted; given cells may have no data set."""
        return sorted({cell["card"] for cell in self.cells.values()} - {""})

    def card(self, name: str) -> dict[str, Any]:
        """The card of this name."""
        card: dict[str, Any] = store.read_json(self.folder / name if self.is_bundle else self.path(name))
        return card

    def snapshots(self, cell_id: str, seed: int) -> dict[int | str, Path]:
        """{epoch, or "best": path of the snapshot} of a replicate, epochs in order; empty where none is kept."""
        block = next((one for one in self.cells[cell_id]["blocks"] if seed in store.block_seeds(one)), None)
        if block is None or self.is_bundle:  # cells beside an unpacked bundle are not its own
            return {}
        folder = self.path(block) / "snapshots" / f"seed{seed}"
        epochs = {int(path.stem[6:]): path for path in folder.glob("epoch_*.safetensors")}
        best = store.snapshot_file(folder, "best")
        return dict(sorted(epochs.items())) | ({"best": best} if best.exists() else {})

    def last_snapshot(self, cell_id: str, seed: int) -> Path | None:
        """The snapshot of a replicate's last epoch, where one is kept."""
        epochs = {epoch: path for epoch, path in self.snapshots(cell_id, seed).items() if isinstance(epoch, int)}
        return epochs[max(epochs)] if epochs else None

    def check(self, cell_id: str, seed: int, paths: Sequence[Path]) -> None:
        """ValueError, in one line, where one of these snapshots of a replicate is not the file that was recorded."""
        if paths:
            block = paths[0].parents[2]
            [replicate] = records.replicates([block], [seed], check=False)
            if why := records.find_damage(block, replicate.record, [path.name for path in paths]):
                raise ValueError(f"{why}; remove {block}/run.json and run the workflow again, which trains it again")

    @cached_property
    def listed(self) -> dict[tuple[str, int], dict[int | str, str]]:
        """{(cell id, seed): {epoch: SHA-256}} of the last snapshots, as a bundle lists them, and of what they name."""
        lines = (self.folder / "weights.sha256").read_text(encoding="utf-8").splitlines()
        listed: dict[tuple[str, int], dict[int | str, str]] = {}
        for match in filter(None, map(WEIGHTS_LINE.fullmatch, lines)):
            listed.setdefault((match[2], int(match[3])), {})[int(match[4])] = match[1]
        return listed

    def hashes(self, cell_id: str, seed: int) -> dict[int | str, str]:
        """{epoch, or "best": SHA-256 of the snapshot's file}; a bundle lists those of the last epochs."""
        if self.is_bundle:
            return self.listed.get((cell_id, seed), {})
        return {epoch: store.sha256(path) for epoch, path in self.snapshots(cell_id, seed).items()}

    def partial(self, cell_id: str, seed: int) -> set[int | str]:
        """The snapshots of a replicate without the tensors that another file has: their hashes cover only the rest."""
        if self.is_bundle:  # it lists that other file beside the last one
            hashes = self.hashes(cell_id, seed)
            return {epoch for epoch in hashes if epoch and len(hashes) > 1}
        return {epoch for epoch, path in self.snapshots(cell_id, seed).items() if len(store.tensor_files(path)) > 1}


def tensors_sha256(path: Path) -> str:
    """The SHA-256 of the tensors of a safetensors file without its metadata (which name the cell): equal for equal
    tensors, whether one file holds them all or two do."""
    if len(store.tensor_files(path)) > 1:
        arrays = store.load_arrays(path)
        header = store.layout(path, arrays)
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        for name in header:
            digest.update(store.as_bytes(arrays[name]))
        return digest.hexdigest()
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        header.pop("__metadata__", None)
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
