"""How redundant the features of a network are: correlations between its features, and between the weights that make
them."""

import torch

from weight_atlas.analysis.features import feature_correlations
from weight_atlas.analysis.features.feature_correlations import Centred, Description
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.types import Row, Rows, Tensors
from weight_atlas.networks.table import Layer, Table
from weight_atlas.pairs import matrices_kept


class FeatureStatistics(ModelMeasure):
    """The correlations of each model's penultimate features ("activations") and of the weights that make them.

    In features.safetensors: <cell>/seed<k>, the correlations of the first finished replicate of each cell, float16 [d,
    d], of the first cells of the network (`weight_atlas.pairs.matrices_kept`).
    """

    name = "features"
    tables = ("features",)

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.features: list[Row] = []
        self.matrices: dict[str, tuple[int, torch.Tensor]] = {}

    def see(self, model: TrainedModel) -> None:
        rows: list[Row] = []
        matrix: dict[str, tuple[int, torch.Tensor]] = {}
        if model.activated is not None:
            correlations = model.activated.correlations
            rows.append((*model.key, "activations", *feature_correlations.describe(correlations)))
            if model.cell_id not in self.matrices and len(self.matrices) < matrices_kept(len(correlations)):
                matrix[model.cell_id] = model.seed, correlations.half()
        weights = describe_weights(self.network.table, model.tensors)
        if weights is not None:
            rows.append((*model.key, "weights", *weights))
        self.features += rows
        self.matrices |= matrix

    def rows(self) -> Rows:
        return {"features": self.features}

    def tensors(self) -> dict[str, Tensors]:
        return {"features": {f"{cell}/seed{seed}": matrix for cell, (seed, matrix) in self.matrices.items()}}


def describe_weights(table: Table, tensors: Tensors) -> Description | None:
    """The correlations of the rows of the weight that makes the features; None where the head reads the image."""
    layer = feature_layer(table)
    if layer is None:
        return None
    weights = Centred(weight_rows(table, layer, tensors[f"{layer.name}.weight"]))
    products = feature_correlations.product(weights, weights)
    return feature_correlations.describe(feature_correlations.correlation(products, weights, weights))


def feature_layer(table: Table) -> Layer | None:
    """The layer whose weight makes the penultimate features: the last Conv2d or Linear before the head, by what feeds
    it (where parts are joined, that with the most such layers before it, and of equal ones the first: a block's own,
    not its skip). None where the head reads the image.
    """
    layers, depths = {layer.name: layer for layer in table.layers}, table.depths()
    source = layers.get(table.head.inputs[0])
    while source is not None and source.kind not in ("Conv2d", "Linear"):
        source = layers.get(max(source.inputs, key=depths.__getitem__, default=""))
    return source


def weight_rows(table: Table, layer: Layer, weight: torch.Tensor) -> torch.Tensor:
    """The rows of a layer's weight, flattened, as columns: float32 [values per row, d], for `Centred`.

    Weights at structural taps are left out: they are no part of what the network computes, and stay where the start
    has put them (see `weight_atlas.analysis.weights.unchanged`).
    """
    if layer.kind == "Conv2d":
        weight = weight[:, :, torch.from_numpy(table.tap_mask(layer))]
    return weight.flatten(1).T
