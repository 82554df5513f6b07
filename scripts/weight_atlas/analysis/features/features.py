"""The penultimate features of a network over the test pictures, and the correlations between features."""

from dataclasses import dataclass

import numpy as np
import torch

BATCH = 500
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# A feature whose values differ by less than this share of the largest is constant: float32 rounding, about 8 ulp.
ROUNDING = 1e-6


def penultimate(module, head, pictures):
    """What enters the module's last weight layer, and its outputs, for each picture: float32 [N, d] and [N, classes].

    module: the network, put in eval mode (normalised by running statistics, no dropout); head: the torch name of the
    layer; pictures: the test pictures of these `weight_atlas.analysis.evaluation.Pictures` pass in batches of 500 with
    gradients off.
    """
    module.eval()
    caught, outputs = [], []
    hook = module.get_submodule(head).register_forward_pre_hook(lambda _, args: caught.append(args[0].flatten(1)))
    try:
        with torch.inference_mode():
            for batch in pictures.test.split(BATCH):
                outputs.append(module(pictures.normalised(batch)))
    finally:
        hook.remove()
    return torch.cat(caught), torch.cat(outputs)


def maker(table):
    """The layer whose weight makes the penultimate features: the last Conv2d or Linear before the head, by what feeds
    it (of a sum, its first part: in ResNet18 the block's own, not the skip's). None where the head reads the picture.
    """
    rows = {layer.name: layer for layer in table.layers}
    source = rows.get(table.head.inputs[0])
    while source is not None and source.kind not in ("Conv2d", "Linear"):
        source = rows.get(source.inputs[0])
    return source


def weight_rows(table, layer, weight):
    """The rows of a layer's weight, flattened, as columns: float32 [values of a row, d], for `Centred`.

    Weights at structural taps are left out: they are no part of what the network computes, and stay where the start
    has put them (see `weight_atlas.analysis.weights.unchanged`).
    """
    if layer.kind == "Conv2d":
        weight = weight[:, :, torch.from_numpy(table.tap_mask(layer))]
    return weight.flatten(1).T


@dataclass
class Centred:
    """Features [N, d] with what centring them takes; sums over pictures are float64.

    values: float32 [N, d], as they are; mean, squares: float64 [d], the sums of squares those of the centred columns;
    norms: float64 [N], the squared length of each centred row; constant: bool [d].
    """

    values: torch.Tensor

    def __post_init__(self):
        self.mean = sum(part.double().sum(0) for part in self.values.split(BATCH)) / len(self.values)
        self.squares = sum(part.square().sum(0) for part in self.parts())
        self.norms = torch.cat([part.square().sum(1) for part in self.parts()])
        low, high = self.values.amin(0), self.values.amax(0)
        self.constant = high - low <= ROUNDING * torch.maximum(low.abs(), high.abs())

    def parts(self):
        """The centred rows, float64, BATCH at a time."""
        return (part.double() - self.mean for part in self.values.split(BATCH))


def product(a, b):
    """The products of the centred columns of two Centred of as many rows: float64 [d_a, d_b]."""
    found = torch.zeros(len(a.mean), len(b.mean), dtype=torch.float64)
    for left, right in zip(a.parts(), b.parts(), strict=True):
        found.addmm_(left.T, right)
    return found


def correlation(products, a, b):
    """Pearson's correlation of each column of a with each of b: float64 [d_a, d_b]; NaN where one is constant.

    products: `product` of the two Centred; its storage is used for the result.
    """
    left, right = (torch.where(own.constant, torch.nan, own.squares.sqrt()) for own in (a, b))
    return products.div_(right).div_(left[:, None]).clamp_(-1, 1)


def describe(matrix):
    """(features, constant, pairs, mean, mean of absolute values, quantiles 5 25 50 75 95 %) of a correlation matrix.

    matrix: [d, d], the correlations of d features with each other. Over the pairs above the diagonal; undefined pairs
    count in none of the numbers, and where no pair is defined the means and quantiles are NaN.
    """
    matrix = matrix.numpy()
    values = matrix[np.triu(np.ones(matrix.shape, bool), 1)]
    values = values[~np.isnan(values)]
    counts = (len(matrix), int(np.isnan(matrix.diagonal()).sum()), len(values))
    if not len(values):
        return *counts, *[np.nan] * (2 + len(QUANTILES))
    return *counts, *(float(x) for x in (values.mean(), np.abs(values).mean(), *np.quantile(values, QUANTILES)))
