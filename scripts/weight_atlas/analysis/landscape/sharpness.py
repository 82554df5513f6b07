"""How sharp the loss is at a point: the largest eigenvalue of its Hessian, by power iteration on products with it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from weight_atlas.plan.measures import HESSIAN_STEPS

TOLERANCE = 1e-3  # of an eigenvalue from step to step
Product = Callable[[Tensor], Tensor]


class Top(NamedTuple):
    """An eigenvalue. residual: |Hv - eigenvalue v| over its magnitude, v of length 1; steps: products that were
    taken."""

    eigenvalue: float
    residual: float
    steps: int


def largest(product: Product, start: Tensor, most: int = HESSIAN_STEPS) -> Top:
    """The largest eigenvalue of a symmetric matrix H that is known by its products.

    Power iteration ends at the eigenvalue of the largest magnitude. Where that one is negative, a second one of H less
    that eigenvalue times the identity, of which no eigenvalue is negative, ends at the largest.

    Parameters
    ----------
    product : function
        v -> Hv.
    start : tensor [n]
        Where it starts: it must not be orthogonal to the eigenvector.
    most : int
        Steps of an iteration, which ends before where the eigenvalue changes by less than TOLERANCE of itself.
    """
    found, vector, steps = _dominant(product, start, 0.0, most)
    if found < 0:
        found, vector, more = _dominant(product, start, found, most)
        steps += more
    away = float((product(vector).double() - found * vector.double()).norm())
    return Top(found, away / abs(found) if found else float("nan"), steps)


def _dominant(product: Product, start: Tensor, shift: float, most: int) -> tuple[float, Tensor, int]:
    """The eigenvalue of H whose distance from `shift` is largest, its vector of length 1, and the steps."""
    vector, found = start / start.norm(), float("nan")
    for step in range(1, most + 1):
        image = product(vector)
        before, found = found, float(vector.double() @ image.double())
        moved = image - shift * vector
        if abs(found - before) <= TOLERANCE * abs(found) or not moved.any():
            return found, vector, step
        vector = moved / moved.norm()
    return found, vector, most


class Hessian:
    """Products with the Hessian of the mean cross-entropy of a network over labelled images, by double backward.

    Parameters
    ----------
    network : Module
        In the mode that it is in; the Hessian is with respect to its parameters, as one vector in their order.
    images, labels : tensor [N, C, S, S], int64 [N]
        Normalised.
    size : int
        How many images at a time.
    """

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor, size: int) -> None:
        self.network, self.images, self.labels, self.size = network, images, labels, size
        self.parameters = [parameter.requires_grad_() for parameter in network.parameters()]

    def __call__(self, vector: Tensor) -> Tensor:
        """Hv of a vector of as many values as the network has parameters."""
        total = torch.zeros_like(vector)
        for images, labels in zip(self.images.split(self.size), self.labels.split(self.size), strict=True):
            loss = functional.cross_entropy(self.network(images), labels, reduction="sum") / len(self.labels)
            slope = torch.cat([one.flatten() for one in torch.autograd.grad(loss, self.parameters, create_graph=True)])
            parts = torch.autograd.grad(slope @ vector, self.parameters, materialize_grads=True)
            total += torch.cat([part.flatten() for part in parts])
        return total

    def start(self, seed: int) -> Tensor:
        """A vector to start an iteration with: normal values by a seed."""
        count = sum(parameter.numel() for parameter in self.parameters)
        drawn = torch.randn(count, generator=torch.Generator().manual_seed(seed))
        return drawn.to(self.parameters[0])
