"""Which cells and models are compared: the pairs that a question needs, and of the rest a sample. No torch, no pandas.

All pairs of many levels are more than anybody reads, and grow with the square of their number. So the number of pairs
is bounded by a multiple of the number of cells (`level_pairs`) and of replicates (`seed_pairs`).
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise, product
from typing import Any, NamedTuple

from weight_atlas import cell_table
from weight_atlas.cell_table import Cell, Child, Named

FEW = 6  # levels, all pairs of which are compared
SAMPLED = 20  # further pairs of more levels
NEXT = 3  # seeds that a seed is compared with: all pairs of 7
MATRICES, MATRIX_BYTES = 40, 500_000_000  # of the correlations between features, that are kept of one kind, at most

Key = tuple[str, int]  # a replicate, by its cell and seed


class Contrast(NamedTuple):
    """Two cells of a study that differ in the label of one axis, the factor: level_a is what the config names first.

    labels: those that they share, {axis: label}.
    """

    factor: str
    level_a: str
    level_b: str
    cell_a: str
    cell_b: str
    labels: dict[str, str]


class Pair(NamedTuple):
    """Two models to compare, (cell, seed) each, and what they differ in."""

    a: Key
    b: Key
    factor: str
    level_a: str
    level_b: str


class Count(NamedTuple):
    """How many pairs there are of what a factor tells apart, and how many of them are compared."""

    study: str
    factor: str
    compared: int
    of: int


# ------------------------------------------------------------------------------------------- levels and seeds


def level_pairs(factor: str, levels: Sequence[str], against: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
    """The pairs of levels of an axis that are compared, each in the order of `levels`.

    Of up to FEW levels they are all pairs. Of more they are those that a question needs: each level with the first one,
    with the one before it (in the order of numbers, where all levels are such) and with those that the plan names; and
    SAMPLED others, drawn by the names of the factor and its levels, so that they are the same in every run.

    Parameters
    ----------
    factor : the axis
    levels : its levels, in order
    against : {level: those that the plan compares it with}, such as a reference; others are left out
    """
    place = {level: at for at, level in enumerate(levels)}

    def ordered(one: str, other: str) -> tuple[str, str]:
        return (one, other) if place[one] < place[other] else (other, one)

    if len(levels) <= FEW:
        return set(combinations(levels, 2))
    chosen = {(levels[0], level) for level in levels[1:]} | {ordered(*two) for two in pairwise(_ascending(levels))}
    named = ((level, other) for level, others in against.items() for other in others)
    chosen |= {ordered(*two) for two in named if two[0] != two[1] and place.keys() >= {*two}}
    draw, rest = random.Random("\n".join([factor, *levels])), len(levels) * (len(levels) - 1) // 2 - len(chosen)
    count = len(chosen) + min(SAMPLED, rest)
    while len(chosen) < count:
        chosen.add(ordered(*draw.sample(levels, 2)))
    return chosen


def _ascending(levels: Sequence[str]) -> list[str]:
    """The levels by their numbers, where all are such; else as they are."""
    try:
        return sorted(levels, key=float)
    except ValueError:
        return list(levels)


def seed_pairs(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """The pairs of seeds of a cell that are compared: each seed with the NEXT ones, in a circle.

    Of up to 2 NEXT + 1 seeds these are all pairs. Each seed is in as many pairs as every other.
    """
    count = len(seeds)
    places = {tuple(sorted((at, (at + step) % count))) for at in range(count) for step in range(1, NEXT + 1)}
    return [(seeds[a], seeds[b]) for a, b in sorted(places) if a != b]


# ------------------------------------------------------------------------------------------- cells


class _Listed(NamedTuple):
    """A cell as a study names it, and its place in cells.csv."""

    at: int
    cell_id: str
    named: Named


class _Axis(NamedTuple):
    """Cells of one study and kind that share all labels but that of one axis, by the levels of this one, in order."""

    study: str
    factor: str
    levels: dict[str, list[_Listed]]
    labels: dict[str, str]

    def pairs(self) -> Iterator[tuple[_Listed, _Listed]]:
        """Those that are compared."""
        against: dict[str, list[str]] = {}
        for level, members in self.levels.items():
            against[level] = [other for one in members for other in one.named["against"].get(self.factor, [])]
        for a, b in level_pairs(self.factor, [*self.levels], against):
            yield from ((x, y) for x, y in product(self.levels[a], self.levels[b]) if x.cell_id != y.cell_id)

    @property
    def all_pairs(self) -> int:
        """How many pairs of two levels there are."""
        return sum(len(a) * len(b) for a, b in combinations(self.levels.values(), 2))


def _axes(cells: Mapping[str, Cell]) -> list[_Axis]:
    """Every axis of every study at every setting of the others, where it has several levels."""
    places: dict[str, dict[str, int]] = {}  # of each label among those of its axis
    found: dict[tuple[Any, ...], list[_Listed]] = {}
    tuned = {(sweep.study, sweep.cell_id) for sweep in cell_table.sweeps(cells)}
    entries = ((cell_id, entry) for cell_id, cell in cells.items() for entry in cell["named"])
    listed = (
        (cell_id, entry)
        for cell_id, entry in entries
        if entry["role"] == "grid" and (entry["study"], cell_id) not in tuned
    )
    for at, (cell_id, entry) in enumerate(listed):
        labels = entry["labels"]
        for axis, label in labels.items():
            places.setdefault(axis, {}).setdefault(label, len(places[axis]))
            if axis != "experiment":
                others = tuple(pair for pair in labels.items() if pair[0] != axis)
                key = (entry["study"], entry["kind"], axis, others)
                found.setdefault(key, []).append(_Listed(at, cell_id, entry))
    axes = []
    for (study, _, axis, others), members in found.items():
        levels: dict[str, list[_Listed]] = {}
        for one in sorted(members, key=lambda one: places[axis][one.named["labels"][axis]]):
            levels.setdefault(one.named["labels"][axis], []).append(one)
        if len(levels) > 1:
            axes.append(_Axis(study, axis, levels, dict(others)))
    return axes


def contrasts(cells: Mapping[str, Cell]) -> list[Contrast]:
    """The pairs of cells that differ in exactly one thing and are compared (`level_pairs`), in the order of the cells.

    Compared are cells of one study's grid and of one kind; sources are not, nor are cells whose learning rate is tuned:
    which of their rates count is not known before they are trained. Two studies that hold the same pair under
    the same labels give it once.
    """
    placed: list[tuple[tuple[int, int], Contrast]] = []
    for axis in _axes(cells):
        for a, b in axis.pairs():
            levels = a.named["labels"][axis.factor], b.named["labels"][axis.factor]
            contrast = Contrast(axis.factor, *levels, a.cell_id, b.cell_id, axis.labels)
            placed.append(((min(a.at, b.at), max(a.at, b.at)), contrast))
    distinct: dict[tuple[Any, ...], Contrast] = {}
    for _, contrast in sorted(placed, key=lambda one: one[0]):
        distinct.setdefault((*contrast[:5], *contrast.labels.items()), contrast)
    return list(distinct.values())


def counts(cells: Mapping[str, Cell]) -> list[Count]:
    """How many pairs of cells are compared by axis, of how many, and how many pairs of seeds ("seed"), by study."""
    sums: dict[tuple[str, str], list[int]] = {}
    for axis in _axes(cells):
        own = sums.setdefault((axis.study, axis.factor), [0, 0])
        own[0] += sum(1 for _ in axis.pairs())
        own[1] += axis.all_pairs
    for cell in cells.values():
        seeds = cell["seeds"]
        for study in dict.fromkeys(entry["study"] for entry in cell["named"] if entry["role"] == "grid"):
            own = sums.setdefault((study, "seed"), [0, 0])
            own[0] += len(seed_pairs(seeds))
            own[1] += len(seeds) * (len(seeds) - 1) // 2
    return [Count(*key, *own) for key, own in sums.items() if own[1]]


# ------------------------------------------------------------------------------------------- models


def partners(cells: Mapping[str, Cell], models: Sequence[Key], originals: Mapping[Key, object]) -> list[Pair]:
    """Which models to compare, in their order.

    Two cells of a study's grid that differ in one label (`contrasts`) are compared seed by seed; the same cell is
    compared with itself, seed against seed (`seed_pairs`), which is what chance alone makes of the numbers (factor
    "seed", levels the seeds). A perturbed cell is compared with its original (factor "original") and with its control
    of the same order (factor "control").

    Parameters
    ----------
    cells : dict of Cell
    models : sequence of (cell, seed)
        Those that were measured, in order.
    originals : mapping
        Has those of them that were perturbed and trained again and whose original is known.
    """
    position = {model: at for at, model in enumerate(models)}
    seeds: dict[str, list[int]] = {}
    for cell_id, seed in models:
        seeds.setdefault(cell_id, []).append(seed)
    found: dict[Pair, tuple[int, int]] = {}
    for contrast in contrasts(cells):
        if contrast.factor not in ("dataset", "network"):
            for seed in seeds.get(contrast.cell_a, []):
                a, b = (contrast.cell_a, seed), (contrast.cell_b, seed)
                if b in position:
                    pair = Pair(a, b, contrast.factor, contrast.level_a, contrast.level_b)
                    found[pair] = (position[a], position[b])
    for cell_id, own in seeds.items():
        if not cell_table.derived(cells[cell_id]):
            for one, other in seed_pairs(own):
                a, b = (cell_id, one), (cell_id, other)
                found[Pair(a, b, "seed", str(one), str(other))] = (position[a], position[b])
    children = cell_table.children(cells)
    for model in models:
        if model[0] in children:
            for pair in _relatives(children, model, position, originals):
                found[pair] = (position.get(pair.a, -1), position[model])
    return sorted(found, key=found.__getitem__)


def _relatives(
    children: Mapping[str, Child], model: Key, measured: Mapping[Key, int], originals: Mapping[Key, object]
) -> Iterator[Pair]:
    """What one model that was perturbed, or a control, is compared with."""
    cell_id, seed = model
    child = children[cell_id]
    for label in child.labels:
        if model in originals:
            yield Pair((child.parent, seed), model, "original", "original", label)
        if child.control is not None and (child.control, seed) in measured:
            control_label = children[child.control].labels[0]
            yield Pair((child.control, seed), model, "control", control_label, label)


def with_matrix(pairs: Sequence[Pair], width: int) -> set[Pair]:
    """Those of the pairs whose correlations between features are kept as a matrix, float16 [width, width].

    The first pair of each factor and its two levels; all pairs of seeds count as one, since seeds are no levels. Of the
    perturbed ones each cell's first pair with its original, and none with a control. Of each factor as many as
    `matrices_kept` says.
    """
    most = matrices_kept(width)
    firsts: dict[tuple[str, ...], Pair] = {}
    held: Counter[str] = Counter()
    for pair in pairs:
        kind = {"seed": ("seed",), "original": ("original", pair.b[0])}.get(pair.factor, pair[2:])
        if pair.factor != "control" and kind not in firsts and held[pair.factor] < most:
            firsts[kind] = pair
            held[pair.factor] += 1
    return {*firsts.values()}


def matrices_kept(width: int) -> int:
    """How many matrices float16 [width, width] are kept of one kind: up to MATRICES, and as MATRIX_BYTES hold."""
    return max(1, min(MATRICES, MATRIX_BYTES // (2 * width**2)))


class Compared(NamedTuple):
    """Two models, each at one of its checkpoints, and what their comparison is."""

    model_a: Key
    checkpoint_a: str
    model_b: Key
    checkpoint_b: str
    comparison: str

    @property
    def is_matched(self) -> bool:
        """Whether they are compared once more after their channels are matched."""
        return self.comparison in ("models", "independent")


def at_checkpoints(cells: Mapping[str, Cell], points: Mapping[Key, Iterable[str]]) -> Iterator[Compared]:
    """The comparisons of models at checkpoints; points: the names of each model's checkpoints, in order."""
    seeds: dict[str, list[int]] = {}
    for cell_id, seed in points:
        seeds.setdefault(cell_id, []).append(seed)
    for contrast in contrasts(cells):
        both = [seed for seed in seeds.get(contrast.cell_a, []) if (contrast.cell_b, seed) in points]
        shifted = [*zip(both, both[1:] + both[:1], strict=True)] if len(both) > 1 else []
        twins = [*zip(both, both, strict=True)]
        if contrast.factor == "given" and not shifted:  # nobody says that two given runs share draws
            shifted, twins = twins, shifted
        for kind, two in (("models", shifted), ("twins", twins)):
            for seed_a, seed_b in two:
                yield from _at_common(points, (contrast.cell_a, seed_a), (contrast.cell_b, seed_b), kind)
    for key, checkpoints in points.items():
        names = list(checkpoints)
        steps = [*pairwise(names), *([(names[0], names[-1])] if len(names) > 2 else [])]
        yield from (Compared(key, first, key, second, "checkpoints") for first, second in steps)
    for cell_id, own in seeds.items():
        for one, other in seed_pairs(own):
            yield from _at_common(points, (cell_id, one), (cell_id, other), "independent")


def _at_common(points: Mapping[Key, Iterable[str]], one: Key, other: Key, comparison: str) -> list[Compared]:
    """The comparisons of two models at each checkpoint that both have."""
    theirs = {*points[other]}
    return [Compared(one, name, other, name, comparison) for name in points[one] if name in theirs]
