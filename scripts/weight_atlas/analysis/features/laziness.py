"""Is training lazy? A trained network beside its linearisation at the start, and its tangent kernel before and after.

Training is lazy where the network stays close to its linearisation at the start, f(theta_0) + J(theta_0)(theta -
theta_0), so that its tangent kernel stays as it was (Jacot et al. 2018, "Neural tangent kernel"; Chizat, Oyallon and
Bach 2019, "On lazy training in differentiable programming").

Everything is computed in eval mode: no dropout, and BatchNorm with the running statistics of the last snapshot, at the
start as well, so that one function of the parameters is compared with its own linearisation. Of a cell with an output
scale alpha that function is alpha (f(theta) - f(theta_0)), whose classes are those of f(theta) - f(theta_0).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from weight_atlas import cell_table, starts
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.perturbed.snapshots import kept_snapshots
from weight_atlas.analysis.types import Row, Rows, Tensors
from weight_atlas.cell_table import GroupedCell
from weight_atlas.networks import batches
from weight_atlas.plan.measures import KERNEL_IMAGES, LINEAR_IMAGES
from weight_atlas.settings import Settings

GRADIENT_BYTES = 2**30  # of two blocks of images that are in memory together
MAPS = 4  # times the memory of an evaluation that a forward derivative, or a gradient, takes

Parameters = dict[str, Tensor]


class Linearity(NamedTuple):
    """A network beside its linearisation, over so many test images.

    accuracy, linear_accuracy: shares of right answers of both; agreement: the share of equal answers (the largest
    output, the first of equals); departure: |f_end - f_lin| / |f_end - f_0| over all outputs, 0 where training is lazy.
    """

    pictures: int
    accuracy: float
    linear_accuracy: float
    agreement: float
    departure: float


class KernelChange(NamedTuple):
    """The tangent kernel K of so many test images, from the start to the end: |K_1 - K_0| / |K_0| (Frobenius norm), and
    the cosine between the two, which leaves out that a kernel grows."""

    kernel_pictures: int
    kernel_change: float
    kernel_cosine: float


class Laziness(ModelMeasure):
    """Each model beside its linearisation at its first snapshot.

    Cells that are perturbed or transferred are left out, and so are models without an earlier snapshot.
    """

    name = "laziness"
    tables = ("laziness",)

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.found: list[Row] = []

    @classmethod
    def asked_for(cls, cell: GroupedCell) -> bool:
        return super().asked_for(cell) and not cell_table.derived(cell)

    def see(self, model: TrainedModel) -> None:
        paths = kept_snapshots(model.cell, model.seed)
        if self.network.images is None or len(paths) < 2:
            return
        settings, images = model.cell["cell"], self.network.images
        trained = Trained(settings, starts.load(paths[min(paths)]), model.tensors, images)
        size = max(1, batches.evaluated(self.network.table) // MAPS)
        with plain_attention():
            self.found.append((*model.key, *linearity(trained, size), *kernel_change(trained, size)))

    def rows(self) -> Rows:
        return {"laziness": self.found}


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention step by step: its fused forms have no forward derivative."""
    is_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fast)


class Trained:
    """A network as a function of its parameters, at its start and at its end.

    network: the module, in eval mode; start, end: its parameters; buffers: those of the end.
    """

    def __init__(self, settings: Settings, start: Tensors, end: Tensors, images: Images) -> None:
        self.images, device = images.seen_by(settings), images.device
        self.network: nn.Module = evaluation.module(settings, end, device)
        self.end = {name: parameter.detach() for name, parameter in self.network.named_parameters()}
        self.start = {name: start[name].to(device) for name in self.end}
        self.buffers = dict(self.network.named_buffers())
        self.is_scaled = not settings.is_given and settings.training.output_scale is not None

    def __call__(self, parameters: Parameters, batch: Tensor) -> Tensor:
        """The outputs of normalised images, before softmax."""
        outputs: Tensor = functional_call(self.network, (parameters, self.buffers), (batch,))
        return outputs

    def shown(self, most: int) -> Tensor:
        """The places of at most so many test images, evenly spaced."""
        return evaluation.evenly_spaced(len(self.images.test), most).to(self.images.device)


@torch.no_grad()
def linearity(trained: Trained, size: int) -> Linearity:
    """Compare a network with its linearisation over at most LINEAR_IMAGES test images, `size` at a time."""
    chosen = trained.shown(LINEAR_IMAGES)
    change = {name: trained.end[name] - parameter for name, parameter in trained.start.items()}
    right, squares = torch.zeros(3, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for places in chosen.split(size):
        batch, labels = trained.images.normalised(trained.images.test[places]), trained.images.labels[places]
        first, derivative = linearised(trained, change, batch)
        end = trained(trained.end, batch).double()
        base = first if trained.is_scaled else 0.0
        answers, linear = (end - base).argmax(1), (first - base + derivative).argmax(1)
        equal = (answers == labels, linear == labels, answers == linear)
        right += torch.stack([one.sum() for one in equal]).cpu()
        away = (end - first - derivative, end - first)
        squares += torch.stack([one.square().sum() for one in away]).cpu()
    accuracy, linear_accuracy, agreement = (right / len(chosen)).tolist()
    apart, moved = squares.sqrt().tolist()
    return Linearity(len(chosen), accuracy, linear_accuracy, agreement, apart / moved if moved else math.nan)


def linearised(trained: Trained, change: Parameters, batch: Tensor) -> tuple[Tensor, Tensor]:
    """f(theta_0) and J(theta_0) `change` of normalised images: float64 [N, classes] each, computed in float32 by a
    forward derivative."""
    found = jvp(lambda parameters: trained(parameters, batch), (trained.start,), (change,))
    return found[0].double(), found[1].double()


def kernel_change(trained: Trained, size: int) -> KernelChange:
    """The tangent kernel of at most KERNEL_IMAGES test images at the start and at the end."""
    chosen = trained.shown(KERNEL_IMAGES)
    batch, labels = trained.images.normalised(trained.images.test[chosen]), trained.images.labels[chosen]
    before, after = (tangent_kernel(trained, one, batch, labels, size) for one in (trained.start, trained.end))
    norm = float(before.norm())
    cosine = float((before * after).sum()) / (norm * float(after.norm())) if norm and after.any() else math.nan
    return KernelChange(len(batch), float((after - before).norm()) / norm if norm else math.nan, cosine)


def tangent_kernel(trained: Trained, parameters: Parameters, batch: Tensor, labels: Tensor, size: int) -> Tensor:
    """The empirical tangent kernel of the outputs of the images' own classes, K_ij = <grad f_y(x_i), grad f_y'(x_j)>.

    Here y and y' are the classes of images i and j. It is the part of the whole kernel (Jacot et al. 2018) that has one
    row and column per image, not per image and class: it takes one gradient per image.

    Parameters
    ----------
    trained : Trained
    parameters : dict of tensors
        Where the gradients, with respect to all learnable parameters, are taken.
    batch, labels : tensor [n, C, H, W], int64 [n]
        Normalised images, and their classes.
    size : int
        How many images at a time, at most; fewer where the gradients would not fit into GRADIENT_BYTES.

    Returns
    -------
    float64 [n, n]; products are summed in float32 within a parameter, and in float64 over them.
    """
    most = GRADIENT_BYTES // (8 * sum(parameter.numel() for parameter in parameters.values()))
    blocks = torch.arange(len(batch)).split(max(1, min(size, most)))
    kernel = torch.zeros(len(batch), len(batch), dtype=torch.float64)
    for at, rows in enumerate(blocks):
        left = gradients(trained, parameters, batch[rows], labels[rows])
        for columns in blocks[at:]:
            right = left if columns is rows else gradients(trained, parameters, batch[columns], labels[columns])
            for name, one in left.items():
                kernel[rows[:, None], columns] += (one @ right[name].T).double().cpu()
    return kernel.triu() + kernel.triu(1).T


def gradients(trained: Trained, parameters: Parameters, batch: Tensor, labels: Tensor) -> Parameters:
    """The gradients of each image's output of its class: {parameter: float32 [n, values]}."""

    def output(values: Parameters, image: Tensor, label: Tensor) -> Tensor:
        return trained(values, image[None])[0].gather(0, label[None])[0]

    found = vmap(grad(output), in_dims=(None, 0, 0))(parameters, batch, labels)
    return {name: tensor.detach().flatten(1) for name, tensor in found.items()}
