"""What the first and the last convolution of a network have learnt to see: their filters and their activations for one
image, and how many of the first layer's filters differ from one another."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn

from weight_atlas.analysis import evaluation
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.measure import CourseMeasure, ModelMeasure, Network, Replicate, Snapshot, TrainedModel
from weight_atlas.analysis.types import Row, Rows, Tensors
from weight_atlas.networks.table import Table
from weight_atlas.settings import Settings


class IdenticalFilters(CourseMeasure):
    """The number of different filters of the first convolution in every snapshot; nothing without a convolution."""

    name = "identical"
    tables = ("identical",)

    def __init__(self, replicate: Replicate) -> None:
        super().__init__(replicate)
        self.layers = convolutions(replicate.table)
        self.identical: list[Row] = []

    def see(self, snapshot: Snapshot) -> None:
        for layer in self.layers[:1]:
            counted = distinct_filters(snapshot.tensors[f"{layer}.weight"])
            if counted is not None:
                self.identical.append((snapshot.epoch, layer, *counted))

    def rows(self) -> Rows:
        return {"identical": self.identical}


class FilterImages(ModelMeasure):
    """Filters and activations of the first finished replicate of each cell that is asked for them.

    In filters.safetensors: <cell>/seed<k>/weights, those of the first convolution, float32 [out, in, h, w];
    <cell>/seed<k>/first and /last, the outputs of the first and the last convolution, before BatchNorm and ReLU, for
    the first test image, float16 [channels, h, w]; <cell>/picture, that image as the network takes it, uint8 [channels,
    h, w].
    """

    name = "filters"

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.kept: Tensors = {}

    def see(self, model: TrainedModel) -> None:
        images, name = self.network.images, model.cell_id
        layers = convolutions(self.network.table)
        if images is None or not layers or f"{name}/picture" in self.kept:
            return
        outputs = activations(model.cell["cell"], model.tensors, (layers[0], layers[-1]), images)
        prefix = f"{name}/seed{model.seed}"
        self.kept |= {
            f"{prefix}/weights": model.tensors[f"{layers[0]}.weight"].float().clone(),
            f"{prefix}/first": outputs[layers[0]].half(),
            f"{prefix}/last": outputs[layers[-1]].half(),
            f"{name}/picture": images.test[0].contiguous(),
        }

    def rows(self) -> Rows:
        return {}

    def tensors(self) -> dict[str, Tensors]:
        return {"filters": self.kept}


class FilterCounts(NamedTuple):
    """How many filters there are, how many of them differ from all before them in at least one bit of value, and the
    largest distance between two of them over their mean norm."""

    filters: int
    distinct: int
    spread: float


def distinct_filters(weight: torch.Tensor) -> FilterCounts | None:
    """Count the filters of a convolution, without their biases; None where a value is not finite.

    weight: float32 [out, in, h, w]; distances are float64.
    """
    filters = weight.flatten(1).double()
    if not filters.isfinite().all():
        return None
    largest = torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist").max()
    spread = float(largest / filters.norm(dim=1).mean())
    return FilterCounts(len(filters), len(filters.unique(dim=0)), spread)


def activations(settings: Settings, tensors: Tensors, layers: Iterable[str], images: Images) -> Tensors:
    """The outputs of layers for the first test image, {layer: float32 [channels, h, w]}, in eval mode."""
    network = evaluation.module(settings, tensors, images.device)
    outputs: Tensors = {}
    hooks = []
    for layer in set(layers):

        def catch(_: nn.Module, __: object, output: torch.Tensor, layer: str = layer) -> None:
            outputs[layer] = output[0].clone().cpu()  # what follows may change it in place

        hooks.append(network.get_submodule(layer).register_forward_hook(catch))
    try:
        with torch.inference_mode():
            network(images.seen_by(settings).normalised(images.test[:1]))
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def convolutions(table: Table) -> list[str]:
    """The names of a layer table's convolutions, from the input."""
    return [layer.name for layer in table.weight_layers if layer.kind == "Conv2d"]
