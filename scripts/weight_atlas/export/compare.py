"""Two results, A and B: which cells are the same to the last bit, how far others are apart, what is set otherwise."""

import math
import statistics
from contextlib import ExitStack
from typing import NamedTuple

from weight_atlas.analysis import comparisons
from weight_atlas.export.result import Result, tensors_sha256
from weight_atlas.reporting.pages import render
from weight_atlas.store import parts

OUTCOMES = {
    "accuracy": "test accuracy at the best validation epoch",
    "norm": "norm of the final weights",
    "distance": "distance of the final weights from their start",
}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # of BatchNorm: no weights


class Pair(NamedTuple):
    """A cell of A and its counterpart in B; either is None where only one result has it."""

    a: str | None
    b: str | None

    @property
    def by(self):
        """What they were paired by."""
        if self.a is None or self.b is None:
            return "only A" if self.b is None else "only B"
        return "id" if self.a == self.b else "labels"


def pairs(a: Result, b: Result) -> list[Pair]:
    """The cells of A with their counterparts in B, and then those that only B has.

    Equal settings give equal ids, so cells meet by id. Those whose id only one result has meet by their labels in a
    study: the same cell of two versions or configs with other settings.
    """
    places = {}
    for cell_id, cell in b.cells.items():
        if cell_id not in a.cells:
            places |= {key: cell_id for key in _names(cell) if key not in places}
    found, left = [], [cell_id for cell_id in b.cells if cell_id not in a.cells]
    for cell_id, cell in a.cells.items():
        other = cell_id if cell_id in b.cells else next((places[key] for key in _names(cell) if key in places), None)
        if other in left:
            left.remove(other)
        elif other != cell_id:
            other = None
        found.append(Pair(cell_id, other))
    return found + [Pair(None, cell_id) for cell_id in left]


def _names(cell):
    """What the studies call a cell: (study, role, labels) of each."""
    return [
        (entry["study"], entry["role"], *sorted(item for item in entry["labels"].items() if item[1]))
        for entry in cell["named"]
    ]


def words(cell):
    """A cell in words: its labels in the first study that has it."""
    return " · ".join(label for label in cell["named"][0]["labels"].values() if label)


# ---------------------------------------------------------------------------------------------------- identity


def identity(a: Result, b: Result, pair: Pair, seed: int) -> dict | None:
    """How many snapshots of a replicate are bit-identical; None where there are not two to compare.

    shared: the snapshots that both have; equal: how many of these are; last: whether those of the last epoch are;
    first_different: the first epoch that is not, or "best", or None.
    """
    ours, theirs = _hashes(a, b, pair, seed)
    shared = [at for at in ours if at in theirs]
    if not shared:
        return None
    different = [at for at in shared if ours[at] != theirs[at]]
    ends = [max((at for at in found if at != "best"), default=None) for found in (ours, theirs)]
    return {
        "shared": len(shared),
        "equal": len(shared) - len(different),
        "last": ends[0] == ends[1] and ends[0] not in different,
        "first_different": different[0] if different else None,
    }


def _hashes(a, b, pair, seed):
    """{epoch, or "best": hash} of each of the two: of tensors, or, where one is a bundle, of whole files, as it lists
    them. Of a file that leaves something out and one that does not, these hashes tell nothing: then there are none."""
    sides = (a, pair.a), (b, pair.b)
    for one, cell in sides:
        one.check(cell, seed, list(one.snapshots(cell, seed).values()))
    if pair.by != "id" or not (a.is_bundle or b.is_bundle):
        return [{at: tensors_sha256(path) for at, path in one.snapshots(cell, seed).items()} for one, cell in sides]
    found = [one.hashes(cell, seed) for one, cell in sides]
    other = set.symmetric_difference(*(one.partial(cell, seed) for one, cell in sides))
    return [{}, {}] if any(at in other for at in found[0] if at in found[1]) else found


def apart(path, other):
    """(distance between the weights of two snapshots, norm of those of the first), over all learnable parameters.

    Sums are taken with 64 bits. None where the two have other tensors, or tensors of other shapes.
    """
    with ExitStack() as opened:
        one, two = (_opened(snapshot, opened) for snapshot in (path, other))
        shapes = [{name: file.get_slice(name).get_shape() for name, file in side.items()} for side in (one, two)]
        if shapes[0] != shapes[1]:
            return None
        steps, squares = [], []
        for name in one:
            if not name.endswith(BUFFERS):
                before, after = (side[name].get_tensor(name).astype("float64").ravel() for side in (one, two))
                steps.append(float(((after - before) ** 2).sum()))
                squares.append(float((before**2).sum()))
    return math.sqrt(math.fsum(steps)), math.sqrt(math.fsum(squares))


def _opened(path, opened):
    """{name: the open file that holds it} of every tensor of a snapshot; `opened` closes them."""
    from safetensors import safe_open

    files = [opened.enter_context(safe_open(part, "np")) for part in reversed(parts(path))]
    return {name: file for file in files for name in file.keys()}  # noqa: SIM118, a file is no dict


def replicates(a: Result, b: Result, found: list[Pair]) -> list[dict]:
    """One row a replicate of each pair: what became of it in both, what is identical, how far its ends are apart."""
    return [
        _replicate(a, b, pair, seed)
        for pair in found
        if pair.a and pair.b
        for seed in a.cells[pair.a]["seeds"]
        if seed in b.cells[pair.b]["seeds"]
    ]


def _replicate(a, b, pair, seed):
    same = identity(a, b, pair, seed) or dict.fromkeys(("shared", "equal", "last", "first_different"))
    row = {"cell_a": pair.a, "cell_b": pair.b, "seed": seed, "status_a": a.status(pair.a, seed)}
    row |= {"status_b": b.status(pair.b, seed), **same, "distance": None, "relative": None}
    ends = [_end(result, cell_id, seed) for result, cell_id in ((a, pair.a), (b, pair.b))]
    if same["last"] is False and all(ends) and (between := apart(*ends)):
        row |= {"distance": between[0], "relative": between[0] / between[1] if between[1] else None}
    return row


def _end(result, cell_id, seed):
    """The snapshot of a replicate's last epoch, or None."""
    epochs = {at: path for at, path in result.snapshots(cell_id, seed).items() if at != "best"}
    return epochs[max(epochs)] if epochs else None


def between_seeds(result: Result, cell_id: str) -> float | None:
    """The mean distance between the final weights of two replicates of a cell; None where fewer than two are done."""
    seeds = [seed for seed in result.cells[cell_id]["seeds"] if result.status(cell_id, seed) == "done"]
    ends = [end for seed in seeds if (end := _end(result, cell_id, seed))]
    found = [apart(one, two) for place, one in enumerate(ends) for two in ends[place + 1 :]]
    return statistics.fmean(distance for distance, _ in found) if found and all(found) else None


# -------------------------------------------------------------------------------------------------- differences


def outcomes(result: Result) -> dict:
    """{outcome: {cell id: {seed: value}}} of the replicates that are done, for each of OUTCOMES."""
    found, reached = {outcome: {} for outcome in OUTCOMES}, {}

    def note(outcome, row, column):
        cell_id, seed = row["cell_id"], int(row["seed"])
        if result.status(cell_id, seed) == "done" and row[column]:
            found[outcome].setdefault(cell_id, {})[seed] = float(row[column])

    for row in result.rows("accuracy"):
        if row["protocol"] == "best_valid":
            note("accuracy", row, "accuracy")
    for row in result.rows("movement"):
        replicate, epoch = (row["cell_id"], row["seed"]), int(row["to_epoch"])
        if row["layer"] == "total" and row["interval"] == "start" and epoch >= reached.get(replicate, 0):
            reached[replicate] = epoch
            note("norm", row, "norm_to")
            note("distance", row, "distance")
    return found


def differences(a: Result, b: Result, found: list[Pair]) -> list[dict]:
    """One row a pair and outcome, B - A, paired by seed over the replicates that are done in both.

    spread: the standard deviation over seeds, of both sides together; spreads: the difference in terms of it (None
    where it has none); low, high: the 95 % interval of the mean by Student's t; q: p corrected over all rows.
    """
    rows, ours, theirs = [], outcomes(a), outcomes(b)
    for pair in (pair for pair in found if pair.a and pair.b):
        for outcome in OUTCOMES:
            one, two = ours[outcome].get(pair.a, {}), theirs[outcome].get(pair.b, {})
            if seeds := sorted(set(one) & set(two)):
                rows.append({"cell_a": pair.a, "cell_b": pair.b, "outcome": outcome})
                rows[-1] |= difference([one[seed] for seed in seeds], [two[seed] for seed in seeds])
    corrected = comparisons.correct([math.nan if row["p"] is None else row["p"] for row in rows])
    return [row | {"q": _defined(q)} for row, q in zip(rows, corrected, strict=True)]


def difference(one: list[float], two: list[float]) -> dict:
    """n, mean_a, mean_b, difference, low, high, spread, spreads and p of paired values; None for what is undefined."""
    n, mean, low, high, _, p, _ = comparisons.paired(one, two)
    spread = math.sqrt((statistics.variance(one) + statistics.variance(two)) / 2) if n > 1 else None
    spreads = (mean / spread if spread else 0.0 if mean == 0 else None) if n > 1 else None
    means = {"n": n, "mean_a": statistics.fmean(one), "mean_b": statistics.fmean(two), "difference": mean}
    ends = {"low": _defined(low), "high": _defined(high)}
    return means | ends | {"spread": spread, "spreads": spreads, "p": _defined(p)}


def _defined(value):
    return None if math.isnan(value) else value


# ----------------------------------------------------------------------------------------------------- settings


def settings(a: Result, b: Result, found: list[Pair]) -> list[dict]:
    """One row a pair and setting that is not the same in both: cell_a, cell_b, setting, a, b (as text)."""
    rows = []
    for pair in (pair for pair in found if pair.by == "labels"):
        cells = {"a": a.cells[pair.a]["cell"], "b": b.cells[pair.b]["cell"]}
        _, own = render.settings([{"cell_id": side, "settings": cell} for side, cell in cells.items()])
        rows += [
            {"cell_a": pair.a, "cell_b": pair.b, "setting": name, "a": own["a"][name], "b": own["b"][name]}
            for name in own["a"]
        ]
    return rows


def datasets(a: Result, b: Result) -> list[dict]:
    """One row a data set: its id and title, which result has it, and whether the two have the same pictures in it."""
    cards = [{(card := result.card(name))["dataset_id"]: card for name in result.cards} for result in (a, b)]
    rows = []
    for name in sorted(set(cards[0]) | set(cards[1])):
        own = [side.get(name) for side in cards]
        contents = "same" if all(own) and own[0]["sha256"] == own[1]["sha256"] else "different" if all(own) else ""
        side = "both" if all(own) else "only A" if own[0] else "only B"
        rows.append({"dataset_id": name, "title": (own[0] or own[1])["title"], "in": side, "contents": contents})
    return rows
