"""What measuring takes: time, memory and disk of each measure, from layer tables, replicates and pairs.

Rows are counted as the measures write them, of replicates that all finish; which pairs there are `weight_atlas.pairs`
says to both. Bytes of a row and times are fitted to those of the tour (`benchmarks/measuring.py` compares the estimate
with what 300 cells take).
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from weight_atlas import cell_table, pairs
from weight_atlas.networks import symmetry
from weight_atlas.networks.stored import Stored
from weight_atlas.networks.table import Layer, Table
from weight_atlas.plan.cell import Cell
from weight_atlas.plan.cost import GPU, forward, written
from weight_atlas.plan.measures import (
    CONVERGENCE_IMAGES,
    HESSIAN_STEPS,
    KERNEL_IMAGES,
    LANDSCAPE_IMAGES,
    LANDSCAPE_SIDE,
    LAYER_VALUES,
    LINEAR_IMAGES,
    MATCHED_CHANNELS,
    MEASURES,
    REPRESENTED_IMAGES,
    MeasureName,
)
from weight_atlas.vocabulary import RELATIVES, Format

# Bytes of a row of a table beside the ids of its cells.
ROW = {
    **{"statistics": 96, "movement": 117, "unchanged": 39, "tolerance": 34, "parameters": 29},
    **{"features": 163, "pairs": 214, "returns": 118, "precision": 25, "aftermath": 49, "paths": 66, "barriers": 59},
    **{"symmetries": 33, "facts": 79, "checkpoints": 9, "correlations": 111, "spectra": 106, "identical": 26},
    **{"convergence": 100, "settled": 20, "laziness": 110, "confusion": 8, "representations": 110},
    **{"landscape": 55, "landmarks": 95, "sharpness": 45, "connectivity": 150, "lines": 85},
}
TOLERANCES, POINTS, FACTS = 21, 13, 18  # rows per layer, per line, and in all
THRESHOLDS = 3  # rows per layer that settles
TESTED, TRAINED = 2000, 1000  # images at a point of a line, at most; the latter where there is a BatchNorm
FEATURES = 4096  # at most
MEMORY_MB, ROW_MEMORY = 2000, 500  # of a process; bytes of a row while it waits
ONE = 48  # bytes of a value of the largest tensor, where one is in memory at a time: singular values take most

# Seconds on one thread.
STARTS = 3.0  # a job: interpreter, torch, data
SNAPSHOT, TENSOR, VALUE = 1e-3, 7e-5, 2e-9  # reading a snapshot: each, each of its tensors, of its values
SUMMED = 6e-5  # of a tensor that is summed
SMALL, LARGE = 3e-9, (3e-3, 3e-10)  # of a value that is summed, and, where there are many: at first, and of each
COUNTED, COUNTED_LARGE = 6.5e-8, (0.07, 1.2e-9)  # the same of a value that is compared by all tolerances
HELD, HELD_VALUE = 2e-4, 1.5e-8  # of a tensor that is rounded to every format; of its values
BUILT = 1.3e-3  # of a layer of a module that is built and run
PRODUCT = 1 / 15e9  # of a multiplication in float64, where matrices are multiplied
ASSIGNED = 5e-11  # of matching d features or channels, times d cubed
ALIGNED = 1e-6  # of a value, where two networks are aligned
COMPARED = 6e-4  # of a layer of two models
LINEARISED, JVP = 0.1, 4  # of a model; passes through a network that its outputs and a forward derivative take
GRADIENTS = 2**30  # bytes of gradients of images in memory
GRADIENT, GRADIENT_LAYER, GRADIENT_VALUE = 9, 1.5e-3, 2e-9  # of an image: passes; of a layer; of a value
CURVED = 8  # passes through a network that a product with a Hessian takes
RANKED = 6e-8  # of a value that is ranked
SINGULAR = 4e-10  # of singular values: per value and output


@dataclass
class Need:
    """What a measure takes. rows: {table: how many}; csv, tensors: bytes on disk."""

    seconds: float = 0.0
    rows: dict[str, int] = field(default_factory=dict[str, int])
    csv: float = 0.0
    tensors: float = 0.0

    def add(self, other: "Need") -> None:
        self.seconds += other.seconds
        self.csv += other.csv
        self.tensors += other.tensors
        for table, count in other.rows.items():
            self.rows[table] = self.rows.get(table, 0) + count

    @property
    def disk_bytes(self) -> float:
        """The rows once as measured and once joined with those of the other groups, and the tensors."""
        return 2 * self.csv + self.tensors


Needs = dict[MeasureName, Need]


class GroupNeed(NamedTuple):
    """What a measure job asks a machine for, generously."""

    mem_mb: int
    minutes: int


def group(cells: Sequence[Cell], listed: Mapping[str, cell_table.Cell], device: str = "cpu") -> Needs:
    """What the measures of a group of cells take.

    Parameters
    ----------
    cells : the cells of a measure group
    listed : all cells of the plan, as `weight_atlas.cell_table` has them
    device : where networks are run: `cuda`, or another, which counts as a thread of a processor
    """
    networks: dict[str, list[Cell]] = {}
    for cell in cells:
        key = json.dumps([cell.settings.json["network"], cell.settings.classes], sort_keys=True)
        networks.setdefault(key, []).append(cell)
    needs: Needs = {name: Need() for name in MEASURES}
    for members in networks.values():
        own = {cell.cell_id: listed[cell.cell_id] for cell in members}
        for name, need in _Network(members, own, device).needs().items():
            needs[name].add(need)
    if any(cell.kind == "perturb" for cell in cells):
        needs["facts"] = Need(0.05, {"facts": FACTS}, FACTS * ROW["facts"])
    return needs


def total(groups: Iterable[Needs]) -> Needs:
    """What the measures of several groups take together."""
    summed: Needs = {name: Need() for name in MEASURES}
    for needs in groups:
        for name, need in needs.items():
            summed[name].add(need)
    return summed


def asked(needs: Needs, cells: Iterable[Cell]) -> GroupNeed:
    """What to ask a scheduler for: three times the time, at least half an hour; all rows and matrices in memory.

    A few snapshots are in memory at a time, in 64 bits where channels are matched; of a model of which only the tensors
    are known it is one tensor of two snapshots.
    """
    parameters = max(0 if isinstance(cell.table, Stored) else cell.table.parameter_count for cell in cells)
    largest = max(cell.table.largest if isinstance(cell.table, Stored) else 0 for cell in cells)
    seconds = STARTS + sum(need.seconds for need in needs.values())
    held = sum(need.tensors + ROW_MEMORY * sum(need.rows.values()) for need in needs.values())
    return GroupNeed(
        int(MEMORY_MB + (28 * parameters + ONE * largest + held) / 1e6), max(30, int(seconds * 3 / 60) + 1)
    )


class _Network:
    """The cells of a group that share a layer table, and what their measures take."""

    def __init__(self, cells: Sequence[Cell], listed: Mapping[str, cell_table.Cell], device: str) -> None:
        self.cells, self.listed = {cell.cell_id: cell for cell in cells}, listed
        self.table: Table = cells[0].table
        self.forward = forward(self.table.layers) / (GPU if device == "cuda" else 1)  # seconds, of one image
        self.images = cells[0].data.facts["counts"]["test"] if cells[0].data else 0
        self.trained = cells[0].data.facts["counts"]["train"] if cells[0].data else 0
        self.size = cells[0].settings.input.size
        self.replicates = {cell_id: len(cell["seeds"]) for cell_id, cell in listed.items()}
        self.models = [(cell_id, seed) for cell_id, cell in listed.items() for seed in cell["seeds"]]
        self.children = cell_table.children(listed)
        self.layers = [layer for layer in self.table.layers if layer.parameters]
        self.norms = sum(layer.is_batchnorm for layer in self.layers)
        self.learnt = len(self.table.parameters())
        self.described = self.learnt + (2 * self.norms if self.table.is_network else len(self.table.buffers()))
        self.moved = len(self.layers) + 1
        self.values = self.table.parameter_count + self.table.buffer_count

    @property
    def reading(self) -> float:
        """Seconds of reading a snapshot."""
        return SNAPSHOT + TENSOR * self.described + VALUE * self.values

    @property
    def summing(self) -> float:
        """Seconds of comparing the learnable parameters of two."""
        return SUMMED * self.learnt + _summed(self.table.parameter_count)

    def needs(self) -> Needs:
        """{measure: what it takes}; of a model of which only the tensors are known those that suffice for it."""
        takes: dict[MeasureName, Callable[[], Need]] = {
            "statistics": self._statistics,
            "movement": self._movement,
            "unchanged": self._unchanged,
            "parameters": self._parameters,
            "features": self._features,
            "pairs": self._pairs,
            "retrained": self._retrained,
            "symmetries": self._symmetries,
            "checkpoints": self._checkpoints,
            "correlations": self._correlations,
            "spectra": self._spectra,
            "filters": self._filters,
            "identical": self._identical,
            "convergence": self._convergence,
            "laziness": self._laziness,
            "landscape": self._landscape,
            "classes": self._classes,
            "representations": self._representations,
            "connectivity": self._connectivity,
        }
        known = self.table.is_network
        return {name: need() for name, need in takes.items() if known or not MEASURES[name].network}

    def _need(self, rows: dict[str, int], seconds: float, tensors: float = 0.0, ids: int = 1) -> Need:
        """ids: how many ids of cells a row has."""
        length = sum(len(cell_id) * count for cell_id, count in self.replicates.items()) / max(1, len(self.models))
        return Need(seconds, rows, sum(count * (ROW[table] + ids * length) for table, count in rows.items()), tensors)

    # ------------------------------------------------------------------------------- of every snapshot

    @cached_property
    def snapshots(self) -> dict[str, int]:
        """How many snapshots of each replicate of a cell are measured."""
        return {cell_id: _measured(cell) for cell_id, cell in self.cells.items()}

    def _all_snapshots(self, less: int = 0) -> int:
        return sum(self.replicates[cell_id] * max(0, count - less) for cell_id, count in self.snapshots.items())

    def _statistics(self) -> Need:
        count = self._all_snapshots()
        seconds = count * (self.reading + SUMMED * self.described + _summed(self.values))
        return self._need({"statistics": count * self.described}, seconds)

    def _movement(self) -> Need:
        count = 2 * self._all_snapshots(less=1)
        pairs_of_two = sum(self.replicates[cell_id] * max(0, 2 * one - 3) for cell_id, one in self.snapshots.items())
        return self._need({"movement": count * self.moved}, pairs_of_two * self.summing)

    def _unchanged(self) -> Need:
        count = sum(self.replicates[cell_id] for cell_id, snapshots in self.snapshots.items() if snapshots > 1)
        seconds = count * (6e-4 * self.learnt + _counted(self.table.parameter_count))
        rows = {"unchanged": count * (self.learnt + 1), "tolerance": count * TOLERANCES * self.moved}
        return self._need(rows, seconds)

    def _parameters(self) -> Need:
        return self._need({"parameters": len(self.cells) * (self.learnt + 1)}, 0.0)

    def _identical(self) -> Need:
        asked = self._asked("identical") if self.convolutions else []
        count = sum(self.replicates[cell_id] * self.snapshots[cell_id] for cell_id in asked)
        return self._need({"identical": count}, count * 3e-3)

    # ------------------------------------------------------------------------------- of the last one

    @property
    def width(self) -> int:
        """The number of penultimate features that are compared."""
        return min(FEATURES, self.table.head.parameters["weight"][1])

    @property
    def convolutions(self) -> list[Layer]:
        return [layer for layer in self.table.weight_layers if layer.kind == "Conv2d"]

    def _asked(self, name: MeasureName) -> list[str]:
        return [cell_id for cell_id, cell in self.listed.items() if name in cell["measures"]]

    def _features(self) -> Need:
        kinds = (self.images > 0) + (len(self.table.weight_layers) > 1)
        seen = self.images * (self.forward + PRODUCT * self.width**2) if self.images else 0.0
        seconds = len(self.models) * (seen + BUILT * len(self.table.layers) + 2e-7 * self.width**2)
        kept = min(len(self.cells), pairs.matrices_kept(self.width)) if self.images else 0
        return self._need({"features": kinds * len(self.models)}, seconds, kept * 2 * self.width**2)

    def _pairs(self) -> Need:
        if not self.images:
            return Need()
        originals = dict.fromkeys(model for model in self.models if self._has_original(model[0]))
        found = pairs.partners(self.listed, self.models, originals)
        each = 2 * self.reading + self.summing + ASSIGNED * self.width**3
        each += (self.images * PRODUCT + 3e-8) * self.width**2
        matrices = len(pairs.with_matrix(found, self.width)) * 2 * self.width**2
        return self._need({"pairs": len(found)}, len(found) * each, matrices, ids=2)

    def _has_original(self, cell_id: str) -> bool:
        return cell_id in self.children and self.children[cell_id].parent in self.cells

    def _retrained(self) -> Need:
        own = [cell_id for cell_id in self.children if self._has_original(cell_id)] if self.images else []
        count = sum(self.replicates[cell_id] for cell_id in own)
        compared = sum(self.replicates[cell_id] * (3 + (self.children[cell_id].control is not None)) for cell_id in own)
        modes = 3 if self.norms else 1
        each = self._lines + modes * self.images * self.forward
        seconds = count * (each + 3 * BUILT * len(self.table.layers) + 4 * (self.reading + self.summing))
        changed = sum(self.replicates[cell_id] for cell_id in own if self.cells[cell_id].settings.start.steps)
        seconds += changed * (HELD * self.learnt + HELD_VALUE * self.table.parameter_count)
        rows = {"returns": compared * self.moved, "aftermath": count * modes, "paths": count * 2 * POINTS}
        return self._need(rows | {"precision": changed * len(Format), "barriers": count * 2}, seconds)

    @property
    def _lines(self) -> float:
        """Seconds of the two lines between two models, plain and aligned."""
        shown = 2 * POINTS * (min(TESTED, self.images) + (min(TRAINED, self.trained) if self.norms else 0))
        return 1.3 * shown * self.forward + ALIGNED * self.table.parameter_count + 2 * BUILT * len(self.table.layers)

    def _symmetries(self) -> Need:
        parents = {child.parent for child in self.children.values()} & self.cells.keys()
        return self._need({"symmetries": len(parents) * len(symmetry.rows(self.table)) if parents else 0}, 0.0)

    def _filters(self) -> Need:
        asked = self._asked("filters") if self.convolutions and self.images else []
        if not asked:
            return Need()
        first, last = self.convolutions[0], self.convolutions[-1]
        each = 4 * math.prod(first.parameters["weight"]) + self.table.channels * self.size**2
        each += 2 * (math.prod(first.out_shape) + math.prod(last.out_shape))
        return Need(len(asked) * 0.05, {}, 0.0, len(asked) * each)

    def _grid(self, name: MeasureName) -> list[tuple[str, int]]:
        """The models of a grid's cells that are asked for a measure that needs images."""
        own = [cell for cell in self._asked(name) if not cell_table.derived(self.listed[cell])] if self.images else []
        return [(cell, seed) for cell in own for seed in self.listed[cell]["seeds"]]

    def _convergence(self) -> Need:
        models = self._grid("convergence")
        ends = Counter(model for pair in self._others(models) for model in (pair.a, pair.b))
        layers, images = self.table.weight_layers, min(CONVERGENCE_IMAGES, self.images)
        looked = images * self.forward + BUILT * len(self.table.layers) + self.reading
        looked += PRODUCT * images**2 * sum(min(LAYER_VALUES, math.prod(layer.out_shape)) for layer in layers)
        widths = [layer.out_shape[0] for layer in layers if layer.out_shape[0] <= MATCHED_CHANNELS]
        each = COMPARED * len(layers) + sum(images * PRODUCT * one**2 + ASSIGNED * one**3 for one in widths)
        courses = {model: self.snapshots[model[0]] for model in models if self.snapshots[model[0]] > 1}
        compared = sum(count * (1 + ends[model]) for model, count in courses.items())
        rows = {"convergence": compared * len(layers), "settled": len(courses) * len(layers) * THRESHOLDS}
        need = self._need({"settled": rows["settled"]}, sum(courses.values()) * looked + compared * each)
        need.add(self._need({"convergence": rows["convergence"]}, 0.0, ids=2))
        return need

    def _laziness(self) -> Need:
        count = sum(self.snapshots[cell] > 1 for cell, _ in self._grid("laziness"))
        shown, kernel = min(LINEAR_IMAGES, self.images), min(KERNEL_IMAGES, self.images)
        values, layers = self.table.parameter_count, len(self.table.layers)
        blocks = -(-kernel // max(1, GRADIENTS // (8 * values)))
        again = (blocks + 1) / 2  # how often the gradients of each image are computed
        each = LINEARISED + JVP * shown * self.forward + 3 * BUILT * layers + 2 * self.reading
        each += 2 * kernel * again * (GRADIENT * self.forward + GRADIENT_VALUE * values)
        each += 2 * again * GRADIENT_LAYER * layers + kernel**2 * values * PRODUCT
        return self._need({"laziness": count}, count * each)

    def _landscape(self) -> Need:
        own = self._asked("landscape") if self.images else []
        shown = min(LANDSCAPE_IMAGES, self.images)
        crossed = [cell for cell in own if self.snapshots[cell] > 1 and self._has_control(cell)]
        marks = sum(self.snapshots[cell] + 2 for cell in crossed)
        points = LANDSCAPE_SIDE**2 * (len(own) + len(crossed))
        each = (shown + bool(self.norms) * min(LANDSCAPE_IMAGES, self.trained)) * self.forward
        each += VALUE * self.table.parameter_count + TENSOR * self.learnt
        ends = sum(self.replicates[cell] * min(2, self.snapshots[cell]) for cell in own)
        curved = HESSIAN_STEPS / 4 * (CURVED * shown * self.forward + BUILT * len(self.table.layers))
        seconds = (points + marks) * each + ends * (curved + self.reading)
        need = self._need({"landscape": points, "sharpness": ends}, seconds)
        need.add(self._need({"landmarks": marks}, 0.0, ids=2))
        return need

    def _has_control(self, cell_id: str) -> bool:
        child = self.children.get(cell_id)
        return self.replicates[cell_id] > 1 or child is not None and child.control in self._asked("landscape")

    def _classes(self) -> Need:
        """The rows at most: each class with itself, and a wrong answer a row."""
        classes = self.table.head.parameters["weight"][0]
        each = classes + min(classes * (classes - 1), self.images)
        count = sum(self.replicates[cell] for cell in self._asked("classes")) if self.images else 0
        return self._need({"confusion": count * each}, 0.0)

    def _representations(self) -> Need:
        models = [model for model in self.models if model[0] in self._asked("representations")] if self.images else []
        found, shown = self._others(models), min(REPRESENTED_IMAGES, self.images)
        side = min(self.width, shown)
        each = RANKED * shown**2 + PRODUCT * (2 * shown**2 * side + 20 * side**3)
        seconds = len(found) * each + len(models) * PRODUCT * shown**2 * (self.width + 10 * shown)
        return self._need({"representations": len(found)}, seconds, ids=2)

    def _connectivity(self) -> Need:
        seen = {cell_id: cell.settings.input for cell_id, cell in self.cells.items()}
        models = [model for model in self.models if model[0] in self._asked("connectivity")] if self.images else []
        count = sum(seen[pair.a[0]] == seen[pair.b[0]] for pair in self._others(models))
        seconds = count * (self._lines + 2 * (self.reading + self.summing))
        return self._need({"connectivity": 2 * count, "lines": 2 * POINTS * count}, seconds, ids=2)

    def _others(self, models: list[tuple[str, int]]) -> list[pairs.Pair]:
        """The pairs of these models that differ in one thing."""
        return [pair for pair in pairs.partners(self.listed, models, {}) if pair.factor not in RELATIVES]

    # ------------------------------------------------------------------------------- at checkpoints

    def _points(self, *names: MeasureName) -> dict[tuple[str, int], list[str]]:
        """The names of the checkpoints of each model of which one of these measures is taken."""
        found: dict[tuple[str, int], list[str]] = {}
        for cell_id, cell in self.listed.items():
            named = cell["checkpoints"]
            if named or {*names} & {*cell["measures"]}:
                own = [*named.get("epochs", named)] or ["first", "last"][: self.snapshots[cell_id]]
                found |= {(cell_id, seed): own for seed in cell["seeds"]}
        return found

    def _checkpoints(self) -> Need:
        names = self._points("checkpoints", "correlations", "spectra").values()
        return self._need({"checkpoints": sum(map(len, names))}, 0.0)

    def _correlations(self) -> Need:
        points = self._points("correlations")
        found = pairs.at_checkpoints(self.listed, points) if points else ()
        ways = [3 if pair.is_matched and self.table.is_network else 1 for pair in found]
        each = RANKED * self.values + 2e-4 * self.described
        matched = ASSIGNED * sum((*layer.out_shape, 0)[0] ** 3 for layer in self.layers) + ALIGNED * self.values / 2
        seconds = len(ways) * 2 * self.reading + sum(ways) * each + sum(way > 1 for way in ways) * matched
        return self._need({"correlations": sum(ways) * self.described}, seconds, ids=2)

    def _spectra(self) -> Need:
        count = sum(map(len, self._points("spectra").values()))
        weights = self.table.weight_layers
        shapes = [next(iter(layer.parameters.values())) for layer in weights]
        each = sum(SINGULAR * math.prod(shape) * min(shape[0], math.prod(shape[1:])) for shape in shapes)
        return self._need({"spectra": count * len(weights)}, count * (self.reading + each + 4e-4 * len(weights)))


def _summed(values: int) -> float:
    return min(SMALL * values, LARGE[0] + LARGE[1] * values)


def _counted(values: int) -> float:
    return min(COUNTED * values, COUNTED_LARGE[0] + COUNTED_LARGE[1] * values)


def _measured(cell: Cell) -> int:
    """How many snapshots of a replicate are measured: the start and those that it writes; given ones all."""
    if cell.kind == "given":
        return len(cell.settings.snapshots)
    return 1 + len(written(cell))
