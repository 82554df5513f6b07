"""The loss around trained models: on two planes of weights, and the curvature at the start and at the end."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from itertools import product
from pathlib import Path

from weight_atlas import starts
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.landscape import planes
from weight_atlas.analysis.landscape.planes import Plane
from weight_atlas.analysis.landscape.sharpness import Hessian, Top, largest
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.perturbed.snapshots import kept_snapshots
from weight_atlas.analysis.types import Key, Row, Rows, Tensors
from weight_atlas.networks import batches
from weight_atlas.plan.measures import LANDSCAPE_IMAGES
from weight_atlas.settings import Settings

MAPS = 6  # times the memory of an evaluation that a double backward takes


class Landscape(ModelMeasure):
    """Loss on planes for the first finished replicate of each cell, sharpness for all of them.

    The plane `ends` goes through the replicate's end, its start, and the end of its control: of a perturbed model the
    control of the same seed, else the next replicate of the cell. `random` follows filter-normalised directions.
    """

    name = "landscape"
    tables = ("landscape", "landmarks", "sharpness")

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.found: Rows = {name: [] for name in self.tables}
        self.seen: dict[str, list[int]] = {}

    def see(self, model: TrainedModel) -> None:
        if self.network.images is None:
            return
        paths = kept_snapshots(model.cell, model.seed)
        size = max(1, batches.evaluated(self.network.table) // MAPS)
        rows = [
            (
                *model.key,
                epoch,
                *sharpness(model.cell["cell"], starts.load(paths[epoch]), self.images, model.seed, size),
            )
            for epoch in dict.fromkeys([min(paths), max(paths)])
        ]
        self.found["sharpness"] += rows
        self.seen.setdefault(model.cell_id, []).append(model.seed)

    def rows(self) -> Rows:
        for cell_id, seeds in self.seen.items():
            self._around((cell_id, min(seeds)))
        return self.found

    def _around(self, key: Key) -> None:
        """The two planes of a model."""
        course = {epoch: self._load(path) for epoch, path in self._paths(key).items()}
        names, end = [name for name, _ in self.network.table.parameters()], course[max(course)]
        span = planes.ticks([-planes.REACH, planes.REACH], 0.0)
        self._surface(key, "random", planes.along_filters(end, names, key[1]), span, span)
        control = self._control(key)
        if control is None or len(course) < 2:
            return
        paths = self._paths(control)
        other = self._load(paths[max(paths)])
        plane = planes.through(end, course[min(course)], other, names)
        if plane is not None:
            self._ends(key, control, plane, course, other)

    def _ends(self, key: Key, control: Key, plane: Plane, course: dict[int, Tensors], other: Tensors) -> None:
        """The plane through start, end and control, with the course of the training and what lies between the ends."""
        half = {name: (values.double() + other[name].double()) / 2 for name, values in plane.origin.items()}
        between = {name: values.to(plane.origin[name]) for name, values in half.items()}
        named: list[tuple[str, int, Tensors]] = [("snapshot", epoch, own) for epoch, own in course.items()]
        named += [("control", max(self._paths(control)), other), ("between", max(course), between)]
        places = [planes.projected(plane, tensors) for *_, tensors in named]
        marks: list[Row] = []
        for (kind, epoch, tensors), place in zip(named, places, strict=True):
            [height] = self._heights(key, plane._replace(origin=tensors), [(0.0, 0.0)])
            marks.append((*key, *control, kind, epoch, *place, height.loss, height.accuracy))
        xs, ys = (
            planes.ticks(along, planes.MARGIN) for along in ([one.x for one in places], [one.y for one in places])
        )
        self._surface(key, "ends", plane, xs, ys)
        self.found["landmarks"] += marks

    def _surface(self, key: Key, name: str, plane: Plane, xs: list[float], ys: list[float]) -> None:
        self.found["landscape"] += [(*key, name, *height) for height in self._heights(key, plane, product(xs, ys))]

    def _heights(self, key: Key, plane: Plane, places: Iterable[planes.Place]) -> list[planes.Height]:
        return planes.heights(self.network.cells[key[0]]["cell"], plane, self.images, places)

    def _control(self, key: Key) -> Key | None:
        """The model whose end a plane goes through."""
        child = self.network.children.get(key[0])
        if child is not None and child.control and key[1] in self.seen.get(child.control, []):
            return child.control, key[1]
        others = [seed for seed in sorted(self.seen[key[0]]) if seed != key[1]]
        return (key[0], others[0]) if others else None

    def _paths(self, key: Key) -> dict[int, Path]:
        return kept_snapshots(self.network.cells[key[0]], key[1])

    def _load(self, path: Path) -> Tensors:
        device = self.images.device
        return {name: one.to(device) for name, one in starts.load(path).items()}

    @cached_property
    def images(self) -> Images:
        """The images that all planes and Hessians are over."""
        assert self.network.images is not None  # else no model was seen
        return sampled(self.network.images)


def sampled(images: Images) -> Images:
    """At most LANDSCAPE_IMAGES test images and as many training images, evenly spaced over the file: all classes."""
    test, train = (
        evaluation.evenly_spaced(len(own), LANDSCAPE_IMAGES).to(images.device) for own in (images.test, images.train)
    )
    return replace(images, test=images.test[test], labels=images.labels[test], train=images.train[train])


def sharpness(settings: Settings, tensors: Tensors, images: Images, seed: int, size: int) -> Top:
    """The largest eigenvalue of the Hessian of the loss over images at a snapshot, in evaluation mode."""
    network = evaluation.module(settings, tensors, images.device)
    shown = images.seen_by(settings)
    hessian = Hessian(network, shown.normalised(shown.test), shown.labels, size)
    return largest(hessian, hessian.start(seed))
