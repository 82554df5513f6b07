"""Evidence on freeze-depth transfer, from the accuracies of each replicate by the number n of copied layers.

Layers of another task and the base of the target share no random stream, so their difference is that of independent
means (Welch). A transfer of a network's own layers starts from its base, and what differs in n alone shares the base:
there replicates are paired by seed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.measured import POINTS, RATIO, Measured, measured, on_new_images, step
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.exhibits.transfer.curves import alike
from weight_atlas.reporting.exhibits.transfer.references import Beside, beside
from weight_atlas.reporting.exhibits.transfer.transfers import BASE
from weight_atlas.reporting.grammar.tables import Tables

COLUMNS = {"accuracy": "test accuracy", "train_accuracy": "training accuracy"}
Curve = tuple[Any, pd.DataFrame]  # its first row as a named tuple, and all


def _finished(tables: Tables) -> pd.DataFrame:
    """curves.csv of the document's own setting, replicates that finished (and learnt)."""
    return transfers.shown(tables, "curves")


def _frozen(tables: Tables, kin: str) -> Iterator[Curve]:
    """The frozen curves of the document's own setting, each with its accuracies by seed.

    kin : "own" task's layers or "other" task's, of the main tasks; "similar" or "different" tasks, by the document.
    """
    found = _finished(tables)
    found = found[found["mode"] == "frozen"].astype({"depth": int})
    crossed = found["base"] != found["target"]
    if kin in ("similar", "different"):
        found = found[crossed & np.array([alike(tables, row) == kin for row in found.itertuples()])]
    else:
        found = transfers.main(found)  # of both kinds: a target is a main one where it has both
        found = found[(found["base"] != found["target"]) == (kin == "other")]
    if found.empty:
        raise NothingToShow(f"no frozen transfer of {kin} tasks has finished.")
    yield from transfers.each(found)


def _by_depth(own: pd.DataFrame, column: str = "accuracy") -> pd.DataFrame:
    """A column by seed (down) and depth (across), seeds with every depth."""
    return own.pivot_table(index="seed", columns="depth", values=column).dropna()


def _bases(found: pd.DataFrame, row: Any) -> pd.DataFrame:
    """The rows (of `_finished`) of the base of a curve's target."""
    found = found[(found["mode"] == BASE) & (found["target"] == row.target) & (found["network"] == row.network)]
    if found.empty:
        raise NothingToShow(f"the base of {row.target} has not finished.")
    return found


def _number(tables: Tables, row: Any, words: str, values: Any, own: pd.DataFrame) -> Measured:
    """A number of one curve, in points, paired by seed."""
    name = f"{transfers.name(row)}: {words}"
    return measured(name, values, POINTS, own["cell_id"], _group(row), step(tables, own["cell_id"]))


def _group(row: Any) -> str:
    return f"{row.network}: {transfers.name(row)}"


def slope(tables: Tables, *, kin: str, first: int = 1, until: int = 0, of: str = "accuracy") -> list[Measured]:
    """How much accuracy changes over n, from `first` to the deepest but `until`, along a line fitted by seed."""
    made = []
    for row, own in _frozen(tables, kin):
        table = _by_depth(own[own["depth"] >= first], of)
        table = table.iloc[:, : table.shape[1] - until]
        if table.shape[1] < 3:
            continue
        at = table.columns.to_numpy(float)
        change = stats.slopes(at, table.to_numpy()) * np.ptp(at)
        words = f"{COLUMNS[of]} at n = {table.columns[-1]} less n = {table.columns[0]}, along a fitted line"
        made.append(_number(tables, row, words, change, own))
    if not made:
        raise NothingToShow(f"no transfer has three numbers of copied layers from n = {first}.")
    return made


def late(tables: Tables, *, kin: str, last: int, of: str = "accuracy") -> list[Measured]:
    """The mean accuracy at the deepest `last` n less that at the others from 1."""
    made = []
    for row, own in _frozen(tables, kin):
        table = _by_depth(own[own["depth"] >= 1], of)
        if table.shape[1] <= last:
            continue
        change = table.iloc[:, -last:].mean(axis=1) - table.iloc[:, :-last].mean(axis=1)
        deep = " and ".join(str(depth) for depth in table.columns[-last:])
        made.append(_number(tables, row, f"{COLUMNS[of]} at n = {deep} less the smaller n", change, own))
    if not made:
        raise NothingToShow(f"no transfer has more than {last} numbers of copied layers.")
    return made


def last_step(tables: Tables, *, kin: str) -> list[Measured]:
    """The accuracy at the deepest n less that at the one before."""
    made = []
    for row, own, table in _deep(tables, kin):
        before, deepest = table.columns[-2:]
        words = f"n = {deepest} less n = {before}"
        whole = own[own["seed"].isin(table.index)]
        new = on_new_images(tables, whole[whole["depth"] == deepest], whole[whole["depth"] == before])
        made.append(replace(_number(tables, row, words, table[deepest] - table[before], own), new=new))
    return made


def _deep(tables: Tables, kin: str) -> Iterator[tuple[Any, pd.DataFrame, pd.DataFrame]]:
    """Each curve with two depths from 1: its first row, its rows, its accuracies by seed and depth."""
    found = [(row, own, _by_depth(own[own["depth"] >= 1])) for row, own in _frozen(tables, kin)]
    there = [one for one in found if one[2].shape[1] >= 2]
    if not there:
        raise NothingToShow("no transfer has two numbers of copied layers.")
    yield from there


def drop(tables: Tables, *, kin: str, depths: list[int]) -> list[Measured]:
    """The accuracy of the target's base less that of the transfer, at each of some n."""
    made, finished = [], _finished(tables)
    for row, own in _frozen(tables, kin):
        base = _bases(finished, row)
        first = stats.mean_error(base["accuracy"])
        for depth in depths:
            there = own[own["depth"] == depth]
            if there.empty:
                continue
            words = f"{transfers.name(row)}: drop below the base at n = {depth}"
            evidence = stats.independent(first, stats.mean_error(there["accuracy"]))
            cells = frozenset({*there["cell_id"], *base["cell_id"]})
            new = on_new_images(tables, base, there)
            made.append(Measured(words, evidence, POINTS, cells, _group(row), new=new))
    if not made:
        raise NothingToShow("no transfer at these numbers of copied layers has finished.")
    return made


def specificity(tables: Tables, *, depths: list[int]) -> list[Measured]:
    """The accuracy with one's own task's layers less that with another's, at each of some n."""
    own = {(row.network, row.target): rows for row, rows in _frozen(tables, "own")}
    made = []
    for row, rows in _frozen(tables, "other"):
        beside = own.get((row.network, row.target), rows.iloc[:0])
        for depth in depths:
            first, second = (side[side["depth"] == depth] for side in (beside, rows))
            if len(first) and len(second):
                sides = (stats.mean_error(side["accuracy"]) for side in (first, second))
                words = f"{transfers.name(row)}: less than with its own layers at n = {depth}"
                cells = frozenset({*first["cell_id"], *second["cell_id"]})
                new = on_new_images(tables, first, second)
                made.append(Measured(words, stats.independent(*sides), POINTS, cells, _group(row), new=new))
    if not made:
        raise NothingToShow("no task has transfers from another task and from its own at these n.")
    return made


def similarity(tables: Tables) -> list[Measured]:
    """The mean drop over n between different tasks less that between similar ones."""
    finished = _finished(tables)
    similar, different = (
        [_mean_drop(finished, *one) for one in _frozen(tables, kin)] for kin in ("similar", "different")
    )
    return [
        Measured(f"mean drop over n, {other[0]} less {one[0]}", stats.independent(other[1], one[1]), POINTS,
                 one[2] | other[2])
        for other in different for one in similar
    ]  # fmt: skip


def _mean_drop(finished: pd.DataFrame, row: Any, own: pd.DataFrame) -> tuple[str, stats.MeanError, frozenset[str]]:
    """A curve's name, its mean drop over n from 1 below the base with its error, and the cells."""
    base = _bases(finished, row)
    first = stats.mean_error(base["accuracy"])
    second = stats.mean_error(_by_depth(own[own["depth"] >= 1]).mean(axis=1))
    error = float(np.hypot(first.error, second.error))
    drop_ = stats.MeanError(min(first.n, second.n), first.mean - second.mean, error)
    return transfers.name(row), drop_, frozenset({*own["cell_id"], *base["cell_id"]})


def outputs(tables: Tables) -> list[Measured]:
    """The accuracy with more outputs less that with as many as classes, at every n; paired by seed."""
    found = transfers.read(tables, "curves")
    found = found[(found["mode"] == "frozen") & (found["base"] != found["target"])]
    made = []
    for few, many in transfers.twins(tables).items():
        sides = [found[found["network"] == name] for name in (few, many)]
        keys = ["setting", "base", "target", "depth", "seed"]
        both = sides[0].merge(sides[1], on=keys, suffixes=("", "_many")).astype({"depth": int})
        for depth, own in both.groupby("depth"):
            change = (own["accuracy_many"] - own["accuracy"]).groupby(own["seed"]).mean()
            words = f"{many} less {few} at n = {depth}"
            cells = {*own["cell_id"], *own["cell_id_many"]}
            made.append(measured(words, change, POINTS, cells, few, step(tables, cells)))
    if not made:
        raise NothingToShow("no two networks with transfers differ in their number of outputs alone.")
    return made


def rate(tables: Tables) -> list[Measured]:
    """What a lower learning rate gains at the deepest n of a network's own task, less half of the last step's loss."""
    plain = {(row.network, row.target): (row, own, table) for row, own, table in _deep(tables, "own")}
    found = transfers.read(tables, "curves")
    found = found[(found["mode"] == "frozen") & (found["base"] == found["target"])].astype({"depth": int})
    cells = transfers.cells(tables)
    rates = {cell: one.stages[0].lr for cell, one in zip(cells["cell_id"], cells["settings"], strict=True)}
    made = []
    for (network, target), (row, own, table) in plain.items():
        deepest, before = table.columns[-1], table.columns[-2]
        usual = rates[own["cell_id"].iloc[-1]]
        there = found[(found["network"] == network) & (found["target"] == target) & (found["depth"] == deepest)]
        lower = there[[rates[cell] < usual for cell in there["cell_id"]]]
        for setting, other in lower.groupby("setting", sort=False):
            gain = other.set_index("seed")["accuracy"] - table[deepest] - (table[before] - table[deepest]) / 2
            words = f"gain by {setting} at n = {deepest} less half of the last step"
            made.append(_number(tables, row, words, gain.dropna(), pd.concat([own, other])))
    if not made:
        raise NothingToShow("no transfer of a network's own task was trained at a lower learning rate.")
    return made


def epochs(tables: Tables, *, of: str, accuracy: float, depth: int = 1) -> list[Measured]:
    """Epochs until a test accuracy is first reached: of the targets' "base", or of the "transfer" at an n."""
    metrics = tables.table("metrics")
    metrics = metrics[(metrics["epoch"] >= 1) & (metrics["test_accuracy"] >= accuracy)]
    first = metrics.groupby(["cell_id", "seed"])["epoch"].min()
    made, finished = [], _finished(tables)
    for row, own in _frozen(tables, "other"):
        rows = _bases(finished, row) if of == "base" else own[own["depth"] == depth]
        taken = first.reindex(pd.MultiIndex.from_frame(rows[["cell_id", "seed"]]))
        if not len(taken) or taken.isna().any():
            raise NothingToShow(f"not every replicate of {transfers.name(row)} and its base reaches {accuracy:g}.")
        name = f"the base of {row.target}" if of == "base" else f"{transfers.name(row)} at n = {depth}"
        values = np.log(taken.to_numpy(float))
        made.append(measured(f"epochs to {accuracy:g} of {name}", values, RATIO, rows["cell_id"], _group(row)))
    return made


def reference(tables: Tables, *, kin: str, mode: str = "frozen") -> list[Measured]:
    """What a drop below the base is more than a published one of its kind at the same relative depth, at every n."""
    made = [
        Measured(f"{transfers.name(one.row)} less {one.published.curve.name}: drop at n = {depth}", more, POINTS, cells,
                 _group(one.row))
        for one in _beside(tables, kin, mode)
        for depth, more, cells in zip(one.depths, one.more, one.cells, strict=True)
    ]  # fmt: skip
    return made


def reference_step(tables: Tables, *, kin: str) -> list[Measured]:
    """The accuracy at the deepest n less that at the one before, less the same of a published curve of its kind."""
    deep = {(row.network, row.base, row.target): (own, table) for row, own, table in _deep(tables, kin)}
    made = []
    for one in _beside(tables, kin, "frozen"):
        own, table = deep[one.row.network, one.row.base, one.row.target]
        before, last = (one.published.drop(place) for place in one.places[-2:])
        here = stats.mean_error(table.iloc[:, -1] - table.iloc[:, -2])
        evidence = stats.combined([(1.0, here), *one.published.parts(last - before)])._replace(n=here.n)
        words = (
            f"{transfers.name(one.row)}: n = {table.columns[-1]} less n = {table.columns[-2]}, less the same step of "
            f"{one.published.curve.name}"
        )
        made.append(Measured(words, evidence, POINTS, frozenset(own["cell_id"]), _group(one.row)))
    return made


def _beside(tables: Tables, kin: str, mode: str) -> list[Beside]:
    """The curves of a kind beside published ones whose spread is known."""
    found = [one for one in beside(tables) if (one.published.curve.kin, one.row.mode) == (kin, mode)]
    found = [one for one in found if one.published.is_judged]
    if not found:
        raise NothingToShow(f"no {mode} transfer of {kin} tasks stands beside a published curve with its spread.")
    return found


EVIDENCE: Mapping[str, Any] = {
    "transfer-slope": slope,
    "transfer-late": late,
    "transfer-step": last_step,
    "transfer-drop": drop,
    "transfer-specificity": specificity,
    "transfer-similarity": similarity,
    "transfer-outputs": outputs,
    "transfer-rate": rate,
    "transfer-epochs": epochs,
    "transfer-reference": reference,
    "transfer-reference-step": reference_step,
}
