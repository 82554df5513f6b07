"""Two results, A and B: which cells are the same to the last bit, how far others are apart, which settings differ."""

import math
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from weight_atlas import stats
from weight_atlas.cell_table import Cell
from weight_atlas.export.result import Result, tensors_sha256
from weight_atlas.reporting.pages import gather
from weight_atlas.store import tensor_files

Row = dict[str, Any]

OUTCOMES = {
    "accuracy": "test accuracy at the best validation epoch",
    "norm": "norm of the final weights",
    "distance": "distance of the final weights from their start",
}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # of BatchNorm: not weights


class Pair(NamedTuple):
    """A cell of A and its counterpart in B; either is None where only one result has it."""

    a: str | None
    b: str | None

    @property
    def by(self) -> str:
        """What they were paired by."""
        if self.a is None or self.b is None:
            return "only A" if self.b is None else "only B"
        return "id" if self.a == self.b else "labels"


class Identity(NamedTuple):
    """How many snapshots of a replicate are bit-identical; all None where there are not two to compare.

    shared: the snapshots that both have; equal: how many of these are; last: whether those of the last epoch are;
    first_different: the first epoch that is not, or "best", or None.
    """

    shared: int | None = None
    equal: int | None = None
    last: bool | None = None
    first_different: int | str | None = None


class Distance(NamedTuple):
    """The distance between the weights of two snapshots, and the norm of those of the first."""

    distance: float
    norm: float


def pairs(a: Result, b: Result) -> list[Pair]:
    """The cells of A with their counterparts in B, and then those that only B has.

    Equal settings give equal ids, so cells meet by id. Those whose id only one result has meet by their labels in a
    study: the same cell of two versions or configs with other settings.
    """
    by_labels: dict[tuple[Any, ...], str] = {}
    for cell_id, cell in b.cells.items():
        if cell_id not in a.cells:
            by_labels |= {key: cell_id for key in _label_keys(cell) if key not in by_labels}
    result, unpaired = [], [cell_id for cell_id in b.cells if cell_id not in a.cells]
    for cell_id, cell in a.cells.items():
        other = next((by_labels[key] for key in _label_keys(cell) if key in by_labels), None)
        if cell_id in b.cells:
            other = cell_id
        elif other in unpaired:
            unpaired.remove(other)
        else:
            other = None
        result.append(Pair(cell_id, other))
    return result + [Pair(None, cell_id) for cell_id in unpaired]


def _label_keys(cell: Cell) -> list[tuple[Any, ...]]:
    """(study, role, labels) of a cell in each of its studies."""
    return [
        (entry["study"], entry["role"], *sorted(item for item in entry["labels"].items() if item[1]))
        for entry in cell["named"]
    ]


def describe(cell: Cell) -> str:
    """A cell in words: its labels in the first study that has it."""
    return " · ".join(label for label in cell["named"][0]["labels"].values() if label)


# ---------------------------------------------------------------------------------------------------- identity


def identity(a: Result, b: Result, cell_a: str, cell_b: str, seed: int) -> Identity:
    """Which snapshots of a replicate are bit-identical in two results."""
    hashes_a, hashes_b = _hashes(a, b, cell_a, cell_b, seed)
    shared = [epoch for epoch in hashes_a if epoch in hashes_b]
    if not shared:
        return Identity()
    different = [epoch for epoch in shared if hashes_a[epoch] != hashes_b[epoch]]
    last = [max((epoch for epoch in hashes if isinstance(epoch, int)), default=None) for hashes in (hashes_a, hashes_b)]
    return Identity(
        shared=len(shared),
        equal=len(shared) - len(different),
        last=last[0] == last[1] and last[0] not in different,
        first_different=different[0] if different else None,
    )


def _hashes(a: Result, b: Result, cell_a: str, cell_b: str, seed: int) -> list[dict[int | str, str]]:
    """{epoch, or "best": hash} of each of the two: of tensors or, where one is a bundle, of whole files, as it lists
    them. The hash of a file without some tensors and that of a whole file cannot be compared: then there are none."""
    sides = (a, cell_a), (b, cell_b)
    for result, cell in sides:
        result.check(cell, seed, list(result.snapshots(cell, seed).values()))
    if cell_a != cell_b or not (a.is_bundle or b.is_bundle):
        return [
            {at: tensors_sha256(path) for at, path in result.snapshots(cell, seed).items()} for result, cell in sides
        ]
    hashes = [result.hashes(cell, seed) for result, cell in sides]
    incomparable = a.partial(cell_a, seed) ^ b.partial(cell_b, seed)
    return [{}, {}] if incomparable & set(hashes[0]) & set(hashes[1]) else hashes


def distance(path: Path, other: Path) -> Distance | None:
    """The distance between the weights of two snapshots over all learnable parameters.

    Sums are taken with 64 bits. None where the two have other tensors, or tensors of other shapes.
    """
    with ExitStack() as stack:
        one, two = _open_tensors(path, stack), _open_tensors(other, stack)
        shapes = [{name: file.get_slice(name).get_shape() for name, file in side.items()} for side in (one, two)]
        if shapes[0] != shapes[1]:
            return None
        steps, squares = [], []
        for name in one:
            if not name.endswith(BUFFERS):
                before, after = (side[name].get_tensor(name).astype("float64").ravel() for side in (one, two))
                steps.append(float(((after - before) ** 2).sum()))
                squares.append(float((before**2).sum()))
    return Distance(math.sqrt(math.fsum(steps)), math.sqrt(math.fsum(squares)))


def _open_tensors(path: Path, stack: ExitStack) -> dict[str, Any]:
    """{name: the open file that holds it} of every tensor of a snapshot; the stack closes them."""
    from safetensors import safe_open

    files = [stack.enter_context(safe_open(part, "np")) for part in reversed(tensor_files(path))]
    return {name: file for file in files for name in file.keys()}  # noqa: SIM118, a file is not a dict


def replicates(a: Result, b: Result, paired: list[Pair]) -> list[Row]:
    """One row per replicate of each pair: how it ended in both, what is identical, how far its last weights differ."""
    return [
        _replicate(a, b, pair.a, pair.b, seed)
        for pair in paired
        if pair.a and pair.b
        for seed in a.cells[pair.a]["seeds"]
        if seed in b.cells[pair.b]["seeds"]
    ]


def _replicate(a: Result, b: Result, cell_a: str, cell_b: str, seed: int) -> Row:
    identical = identity(a, b, cell_a, cell_b, seed)
    row: Row = {"cell_a": cell_a, "cell_b": cell_b, "seed": seed, "status_a": a.status(cell_a, seed)}
    row |= {"status_b": b.status(cell_b, seed), **identical._asdict(), "distance": None, "relative": None}
    last_a, last_b = a.last_snapshot(cell_a, seed), b.last_snapshot(cell_b, seed)
    if identical.last is False and last_a and last_b and (apart := distance(last_a, last_b)):
        row |= {"distance": apart.distance, "relative": apart.distance / apart.norm if apart.norm else None}
    return row


def between_seeds(result: Result, cell_id: str) -> float | None:
    """The mean distance between the final weights of two replicates of a cell; None where fewer than two are done."""
    seeds = [seed for seed in result.cells[cell_id]["seeds"] if result.status(cell_id, seed) == "done"]
    ends = [path for seed in seeds if (path := result.last_snapshot(cell_id, seed))]
    distances = [distance(*paths) for paths in combinations(ends, 2)]
    known = [apart.distance for apart in distances if apart]
    return statistics.fmean(known) if known and len(known) == len(distances) else None


# -------------------------------------------------------------------------------------------------- differences


def outcomes(result: Result) -> dict[str, dict[str, dict[int, float]]]:
    """{outcome: {cell id: {seed: value}}} of the replicates that are done, for each of OUTCOMES."""
    values: dict[str, dict[str, dict[int, float]]] = {outcome: {} for outcome in OUTCOMES}
    last_epoch: dict[tuple[str, str], int] = {}

    def add(outcome: str, row: dict[str, str], column: str) -> None:
        cell_id, seed = row["cell_id"], int(row["seed"])
        if result.status(cell_id, seed) == "done" and row[column]:
            values[outcome].setdefault(cell_id, {})[seed] = float(row[column])

    for row in result.rows("accuracy"):
        if row["protocol"] == "best_valid":
            add("accuracy", row, "accuracy")
    for row in result.rows("movement"):
        replicate, epoch = (row["cell_id"], row["seed"]), int(row["to_epoch"])
        if row["layer"] == "total" and row["interval"] == "start" and epoch >= last_epoch.get(replicate, 0):
            last_epoch[replicate] = epoch
            add("norm", row, "norm_to")
            add("distance", row, "distance")
    return values


def differences(a: Result, b: Result, paired: list[Pair]) -> list[Row]:
    """One row per pair and outcome, B - A, paired by seed over the replicates that are done in both.

    spread: the standard deviation over seeds, of both sides together; spreads: the difference in terms of it (None
    where it has none); low, high: the 95 % interval of the mean by Student's t; q: p corrected over all rows.
    """
    rows: list[Row] = []
    outcomes_a, outcomes_b = outcomes(a), outcomes(b)
    for pair in (pair for pair in paired if pair.a and pair.b):
        for outcome in OUTCOMES:
            one, two = outcomes_a[outcome].get(pair.a or "", {}), outcomes_b[outcome].get(pair.b or "", {})
            if seeds := sorted(set(one) & set(two)):
                rows.append({"cell_a": pair.a, "cell_b": pair.b, "outcome": outcome})
                rows[-1] |= difference([one[seed] for seed in seeds], [two[seed] for seed in seeds])
    corrected = stats.benjamini_hochberg([math.nan if row["p"] is None else row["p"] for row in rows])
    return [row | {"q": _defined(q)} for row, q in zip(rows, corrected, strict=True)]


def difference(one: Sequence[float], two: Sequence[float]) -> Row:
    """n, mean_a, mean_b, difference, low, high, spread, spreads and p of paired values; None for what is undefined."""
    n, mean, low, high, _, p, _ = stats.paired_difference(one, two)
    spread = stats.pooled_std(one, two) if n > 1 else None
    spreads = (mean / spread if spread else 0.0 if mean == 0 else None) if n > 1 else None
    means = {"n": n, "mean_a": statistics.fmean(one), "mean_b": statistics.fmean(two), "difference": mean}
    ends = {"low": _defined(low), "high": _defined(high)}
    return means | ends | {"spread": spread, "spreads": spreads, "p": _defined(p)}


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


# ----------------------------------------------------------------------------------------------------- settings


def settings(a: Result, b: Result, paired: list[Pair]) -> list[Row]:
    """One row per pair and setting that is not the same in both: cell_a, cell_b, setting, a, b (as text)."""
    rows: list[Row] = []
    for cell_a, cell_b in ((pair.a, pair.b) for pair in paired):
        if cell_a is None or cell_b is None or cell_a == cell_b:
            continue
        cells = {"a": a.cells[cell_a]["cell"], "b": b.cells[cell_b]["cell"]}
        _, differing = gather.settings([{"cell_id": side, "settings": cell} for side, cell in cells.items()])
        rows += [
            {"cell_a": cell_a, "cell_b": cell_b, "setting": name, "a": value, "b": differing["b"][name]}
            for name, value in differing["a"].items()
        ]
    return rows


def datasets(a: Result, b: Result) -> list[Row]:
    """One row per data set: its id and title, which result has it, and whether the two have the same images in it."""
    cards_a, cards_b = ({card["dataset_id"]: card for card in map(x.card, x.cards)} for x in (a, b))
    rows = []
    for dataset_id, card in sorted((cards_b | cards_a).items()):
        side, contents = "only A" if dataset_id in cards_a else "only B", ""
        if dataset_id in cards_a and dataset_id in cards_b:
            same = cards_a[dataset_id]["sha256"] == cards_b[dataset_id]["sha256"]
            side, contents = "both", "same" if same else "different"
        rows.append({"dataset_id": dataset_id, "title": card["title"], "in": side, "contents": contents})
    return rows
