"""What else matters to a transfer at each depth: the number of outputs, and every axis that a study varies."""

import json
from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from weight_atlas import stats
from weight_atlas.analysis.transfer.curves import Cell, Cells, Curve, Curves, Row, Runs, accuracies, named
from weight_atlas.analysis.transfer.drops import MARGIN

Transfers = Mapping[Curve, Mapping[int, Cell]]


class Factor(NamedTuple):
    """What some pairs of curves differ in, the first at level_a and the second at level_b; curve: what they share."""

    curve: Curve
    factor: str
    level_a: str
    level_b: str


class Side(NamedTuple):
    """A curve at some depths (all, where none is given), and which of a Run's accuracies is taken."""

    curve: Curve
    depths: frozenset[int]
    taken: str


Compared = dict[Factor, list[tuple[Side, Side]]]
TAKEN, BEST = "epoch taken", "best on validation"
EPOCHS = {"last": "last", "best on validation and test": "document"}  # level -> the accuracy of a Run


class Head(NamedTuple):
    """A network's settings without its outputs, as text, and the number of its outputs."""

    settings: str
    outputs: int


def effect_rows(cells: Cells, curves: Curves, values: Runs) -> list[Row]:
    """Rows of effects.csv: what changes at a depth when one thing does, level_b - level_a, paired by seed.

    factor "outputs": two networks that differ in the number of outputs alone. Every other factor is an axis in which a
    study's transfers differ: level_a is that of the document's own transfers (role transfer), and differences of one
    seed are first averaged over all other settings. Beside such axes stands TAKEN, the epoch whose accuracy counts:
    that of the best validation accuracy, against the last one and that of the document's protocol. quantity: accuracy,
    or "step", the accuracy at n less that at the depth before. q is p corrected over the rows of a study (Benjamini and
    Hochberg 1995), outputs apart.
    """
    rows: list[Row] = []
    for study in dict.fromkeys(curve.study for curve in curves.transfers):
        transfers = {curve: depths for curve, depths in curves.transfers.items() if curve.study == study}
        factors = factor_pairs(transfers)
        for compared in (_sides(output_pairs(cells, transfers)), _sides(factors) | epoch_pairs(factors, transfers)):
            tested = [row for factor, pairs in compared.items() for row in _effects(factor, pairs, transfers, values)]
            corrected = stats.benjamini_hochberg([row[-2] for row in tested])
            rows += [(*row[:-1], q, row[-1]) for row, q in zip(tested, corrected, strict=True)]
    return rows


def _sides(compared: Mapping[Factor, list[tuple[Curve, Curve]]]) -> Compared:
    """Pairs of curves at all depths, by the accuracy at the best validation epoch."""
    return {
        factor: [(Side(a, frozenset(), "accuracy"), Side(b, frozenset(), "accuracy")) for a, b in pairs]
        for factor, pairs in compared.items()
    }


def epoch_pairs(factors: Mapping[Factor, list[tuple[Curve, Curve]]], transfers: Transfers) -> Compared:
    """{Factor TAKEN: [(side by the best validation epoch, side by another)]} of the document's own curves for which an
    axis is compared, at the depths at which one is."""
    found: Compared = {}
    for place in dict.fromkeys(factor.curve for factor in factors):
        pairs = [pair for factor, own in factors.items() if factor.curve == place for pair in own]
        depths = frozenset().union(*(transfers[curve].keys() for _, curve in pairs))
        for curve, own in transfers.items():
            if curve._replace(setting=()) == place and any(cell.role == "transfer" for cell in own.values()):
                for level, quantity in EPOCHS.items():
                    sides = Side(curve, depths, "accuracy"), Side(curve, depths, quantity)
                    found.setdefault(Factor(place, TAKEN, BEST, level), []).append(sides)
    return found


def _effects(factor: Factor, pairs: list[tuple[Side, Side]], transfers: Transfers, values: Runs) -> list[Row]:
    """The rows, without q, of one comparison at every depth that all of its pairs of curves have; p_tost comes last."""
    sides = [side for pair in pairs for side in pair]
    depths = sorted(
        set.intersection(*({*transfers[one.curve]} & (one.depths or {*transfers[one.curve]}) for one in sides))
    )
    rows: list[Row] = []
    for depth in depths:
        for quantity in ("accuracy", "step"):
            if quantity == "step" and depth - 1 not in depths:
                continue
            reached = {one: _outcome(one, transfers, depth, quantity, values) for one in sides}
            first, second = stats.block_means(pairs, reached)
            if first:
                test = stats.paired_difference(first, second)
                *numbers, p_tost = stats.equivalence([b - a for a, b in zip(first, second, strict=True)], MARGIN)
                rows.append((*named(factor.curve), depth, quantity, *factor[1:], *numbers, test.p, p_tost))
    return rows


def _outcome(side: Side, transfers: Transfers, depth: int, quantity: str, values: Runs) -> dict[int, float]:
    """{seed: accuracy at a depth}, or what it is above that at the depth before."""
    depths = transfers[side.curve]
    reached = accuracies(values, depths[depth].cell_id, side.taken)
    if quantity == "accuracy":
        return reached
    before = accuracies(values, depths[depth - 1].cell_id, side.taken)
    return {seed: reached[seed] - before[seed] for seed in reached.keys() & before.keys()}


def output_pairs(cells: Cells, transfers: Transfers) -> dict[Factor, list[tuple[Curve, Curve]]]:
    """{Factor "outputs" of two numbers: [(curve a, curve b)]}: networks that differ in their outputs alone."""
    pairs = {}
    for a, b in combinations(transfers, 2):
        if a.network == b.network or a._replace(network=b.network) != b:
            continue
        heads = {curve: head(cells, transfers[curve]) for curve in (a, b)}
        a, b = sorted(heads, key=lambda curve: heads[curve].outputs)
        one, other = heads[a], heads[b]
        if one.settings == other.settings and one.outputs != other.outputs:
            pairs[Factor(a, "outputs", str(one.outputs), str(other.outputs))] = [(a, b)]
    return pairs


def head(cells: Cells, depths: Mapping[int, Cell]) -> Head:
    """The Head of a curve's cells."""
    settings = cells[next(iter(depths.values())).cell_id]["cell"]
    network = {key: value for key, value in settings.json["network"].items() if key != "outputs"}
    return Head(json.dumps(network, sort_keys=True), settings.classes)


def factor_pairs(transfers: Transfers) -> dict[Factor, list[tuple[Curve, Curve]]]:
    """{Factor of an axis in which transfers differ: [(curve at the document's level, curve at the other), ..]}.

    A level that a transfer leaves open is an empty text. The document's transfers may leave an axis open that another
    one varies: the document's level is then that under which the other one has a cell of the document's.
    """
    documents: dict[Curve, list[dict[str, str]]] = {}
    reported = {cell.cell_id for depths in transfers.values() for cell in depths.values() if cell.role == "transfer"}
    for curve, depths in transfers.items():
        if any(cell.cell_id in reported for cell in depths.values()):
            documents.setdefault(curve._replace(setting=()), []).append(dict(curve.setting))
    axes = list(dict.fromkeys(axis for curve in transfers for axis, _ in curve.setting))
    pairs: dict[Factor, list[tuple[Curve, Curve]]] = {}
    for curve in transfers:
        place = curve._replace(setting=())
        setting = dict(curve.setting)
        for axis in axes if place in documents else ():
            named_levels = [one[axis] for one in documents[place] if axis in one] or [""]
            level = Counter(named_levels).most_common(1)[0][0]
            other = setting.get(axis, "")
            changed = {**setting, axis: level}
            twin = curve._replace(setting=tuple((name, changed[name]) for name in axes if changed.get(name)))
            if other != level and twin in transfers:
                pairs.setdefault(Factor(place, axis, level, other), []).append((twin, curve))
    return pairs
