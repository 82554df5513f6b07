"""Planes of weights around the end of a training, and the loss on them.

One goes through the end, the start and another end. The other one follows two random directions that are normalised
filter by filter (Li et al. 2018, "Visualizing the loss landscape of neural nets", section 4): a direction's values at a
filter have the norm of the filter, and are 0 at biases and at the parameters of normalisations, so that networks whose
filters differ in scale alone have the same picture.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from weight_atlas.analysis import evaluation
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.perturbed.paths import TRAIN_BATCH, reestimate
from weight_atlas.analysis.types import Tensors
from weight_atlas.plan.measures import LANDSCAPE_SIDE
from weight_atlas.settings import Settings

MARGIN = 0.2  # of the span of the points that a plane goes through, on each side
REACH = 1.0  # of random directions: as long as the filters themselves

Place = tuple[float, float]


class Plane(NamedTuple):
    """origin: a network's tensors; across, up: two directions, {parameter: values}, of which others are 0."""

    origin: Tensors
    across: Tensors
    up: Tensors

    def at(self, place: Place) -> Tensors:
        """The parameters at a place: origin + x across + y up, computed in float64, in the origin's type."""
        x, y = place
        return {
            name: (self.origin[name].double() + x * along.double() + y * self.up[name].double()).to(self.origin[name])
            for name, along in self.across.items()
        }


class Height(NamedTuple):
    """Loss in nats and accuracy as a fraction at a place of a plane; NaN where the loss is not finite."""

    x: float
    y: float
    loss: float
    accuracy: float


class Projected(NamedTuple):
    """Where a network is beside a plane of orthonormal directions: its place on it, and its distance from it."""

    x: float
    y: float
    off: float


def inner(a: Tensors, b: Tensors) -> float:
    """The inner product of two directions, in float64."""
    return math.fsum(float(one.double().flatten() @ b[name].double().flatten()) for name, one in a.items())


def difference(a: Tensors, b: Tensors, names: Iterable[str]) -> Tensors:
    """a - b of the named tensors, in float64."""
    return {name: a[name].double() - b[name].double() for name in names}


def through(origin: Tensors, second: Tensors, third: Tensors, names: Sequence[str]) -> Plane | None:
    """The plane through three networks with orthonormal directions, the second one to the right of the first; None
    where they are on one line."""
    across, up = difference(second, origin, names), difference(third, origin, names)
    length = math.sqrt(inner(across, across))
    if not length:
        return None
    across = {name: one / length for name, one in across.items()}
    along, whole = inner(across, up), math.sqrt(inner(up, up))
    up = {name: one - along * across[name] for name, one in up.items()}
    height = math.sqrt(inner(up, up))
    if height <= 1e-6 * whole:
        return None
    return Plane(origin, across, {name: one / height for name, one in up.items()})


def projected(plane: Plane, tensors: Tensors) -> Projected:
    """A network on a plane of orthonormal directions."""
    moved = difference(tensors, plane.origin, plane.across)
    x, y = inner(moved, plane.across), inner(moved, plane.up)
    return Projected(x, y, math.sqrt(max(0.0, inner(moved, moved) - x * x - y * y)))


def along_filters(origin: Tensors, names: Sequence[str], seed: int) -> Plane:
    """The plane along two random directions, normalised filter by filter; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    across, up = ({name: _like_filters(origin[name], generator) for name in names} for _ in range(2))
    return Plane(origin, across, up)


def _like_filters(values: Tensor, generator: torch.Generator) -> Tensor:
    """Normal values, those of each filter (values [i]) with the norm of the filter; 0 for a vector."""
    drawn = torch.randn(values.shape, generator=generator).to(values)
    if values.ndim < 2:
        return torch.zeros_like(values)
    norms = (one.flatten(1).double().norm(dim=1) for one in (values, drawn))
    scale: Tensor = next(norms) / next(norms)
    like: Tensor = (drawn * scale.view(-1, *[1] * (values.ndim - 1))).to(values)
    return like


def ticks(places: Iterable[float], margin: float) -> list[float]:
    """LANDSCAPE_SIDE evenly spaced numbers over the span of some places, and this share of it on each side."""
    known = list(places)
    low, high = min(known), max(known)
    room = margin * (high - low)
    found: list[float] = torch.linspace(low - room, high + room, LANDSCAPE_SIDE, dtype=torch.float64).tolist()
    return found


def heights(settings: Settings, plane: Plane, images: Images, places: Iterable[Place]) -> list[Height]:
    """Loss and accuracy over test images at places of a plane.

    A network with BatchNorm gets running statistics of its own at every place, as on the lines between networks
    (`perturbed.paths`).
    """
    shown = images.seen_by(settings)
    network = evaluation.module(settings, {name: one.clone() for name, one in plane.origin.items()}, images.device)
    parameters, norms = dict(network.named_parameters()), evaluation.batchnorms(network)
    size, found = evaluation.batch_size(settings), []
    for place in places:
        with torch.no_grad():
            for name, values in plane.at(place).items():
                parameters[name].copy_(values)
        if norms:
            reestimate(network, norms, shown, min(TRAIN_BATCH, size))
        loss, accuracy = evaluation.evaluate(network, shown, images.test, images.labels, size)
        found.append(Height(*place, loss if math.isfinite(loss) else math.nan, accuracy))
    return found
