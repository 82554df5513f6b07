"""What a network computes of the test images: its penultimate features and its outputs."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from weight_atlas import store
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.features import feature_correlations, similarity
from weight_atlas.analysis.features.feature_correlations import BATCH, Centred
from weight_atlas.analysis.types import Tensors
from weight_atlas.networks import batches
from weight_atlas.networks.table import Table
from weight_atlas.settings import Settings

# Of more features than the largest network of the documents has, so many are taken, evenly spaced: their correlations
# are a matrix of as many rows and columns.
MOST = 4096


class Activations(NamedTuple):
    """What enters a network's last weight layer, float32 [N, d], d at most `MOST`, and its outputs, float32 [N,
    classes]."""

    features: torch.Tensor
    outputs: torch.Tensor


@dataclass(frozen=True)
class Model:
    """A snapshot's file, and what the model computes of the test images.

    features: penultimate ones; hsic: their HSIC with themselves; outputs: before softmax, float32 [N, classes]; wrong:
    which images it takes for another class than theirs, bool [N].
    """

    snapshot: Path
    features: Centred
    hsic: float
    outputs: torch.Tensor
    wrong: torch.Tensor


class Activated(NamedTuple):
    """A model, and the products of its centred features with themselves, float64 [d, d]."""

    model: Model
    products: torch.Tensor


def penultimate(network: nn.Module, head: str, images: Images, size: int = BATCH) -> Activations:
    """The features that enter a network's last weight layer, and its outputs, for each test image.

    Parameters
    ----------
    network : Module
        Put in eval mode (normalised by running statistics, no dropout).
    head : str
        The torch name of its last weight layer.
    images : Images
        The test images pass in batches of `size` with gradients off.
    """
    network.eval()
    caught: list[torch.Tensor] = []
    outputs: list[torch.Tensor] = []

    def catch(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        features = inputs[0].flatten(1)
        if features.shape[1] > MOST:
            features = features[:, evaluation.evenly_spaced(features.shape[1], MOST).to(features.device)]
        caught.append(features.cpu())

    hook = network.get_submodule(head).register_forward_pre_hook(catch)
    try:
        with torch.inference_mode():
            for batch in images.test.split(size):
                outputs.append(network(images.normalised(batch)).cpu())
    finally:
        hook.remove()
    return Activations(torch.cat(caught), torch.cat(outputs))


def activate(
    settings: Settings, table: Table, snapshot: Path, tensors: Tensors, images: Images, cache: Path
) -> Activated:
    """Compute what a snapshot makes of the test images.

    Parameters
    ----------
    settings : dict
        The resolved cell.
    table : Table
        Its layer table.
    snapshot, tensors : path, dict of tensors
        The snapshot's file, and its parameters and buffers.
    images : Images
    cache : path
        The file that features and outputs are kept in; they are read from there as memory has room.
    """
    values, outputs = penultimate(
        evaluation.module(settings, tensors, images.device),
        table.head.name,
        images.seen_by(settings),
        min(BATCH, batches.evaluated(table)),
    )
    store.save_tensors(cache, {"features": values, "outputs": outputs})
    del values, outputs
    cached = store.load_tensors(cache)
    features, outputs = Centred(cached["features"]), cached["outputs"]
    products = feature_correlations.product(features, features)
    hsic = similarity.hsic(products, features.norms, features.norms)
    return Activated(Model(snapshot, features, hsic, outputs, outputs.argmax(1) != images.labels), products)
