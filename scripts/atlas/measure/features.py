"""Correlations between the penultimate features of a network over the test pictures."""

import numpy as np
import torch

from atlas.networks import inputs

BATCH = 500
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# A feature whose values differ by less than this share of the largest is constant: float32 rounding, about 8 ulp.
ROUNDING = 1e-6


def penultimate(module, head, images, card):
    """What enters the module's last weight layer, for each picture: float32 [N, d].

    module: the network, put in eval mode (normalised by running statistics, no dropout); head: the torch name of the
    layer; images: uint8 [N, channels, size, size] as `atlas.networks.inputs.pictures` returns them; card: the data
    set's card, for the normalisation. Pictures pass in batches of 500 with gradients off.
    """
    module.eval()
    caught = []
    hook = module.get_submodule(head).register_forward_pre_hook(lambda _, args: caught.append(args[0].flatten(1)))
    try:
        with torch.inference_mode():
            for batch in images.split(BATCH):
                module(inputs.normalise(batch, card["mean"], card["std"]))
    finally:
        hook.remove()
    return torch.cat(caught)


def correlation(features):
    """Pearson's correlation of each pair of columns: float64 [d, d]; NaN where one of the two is constant.

    features: float32 [N, d]. Columns are centred and multiplied in float64, BATCH rows at a time.
    """
    mean = sum(part.double().sum(0) for part in features.split(BATCH)) / len(features)
    product = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    for part in features.split(BATCH):
        centred = part.double() - mean
        product.addmm_(centred.T, centred)
    spread = product.diagonal().sqrt()
    spread = torch.where(constant(features), torch.nan, spread)
    return product.div_(spread).div_(spread[:, None]).clamp_(-1, 1)


def constant(features):
    """Which columns of `features` [N, d] are constant but for float32 rounding: bool [d]."""
    low, high = features.amin(0), features.amax(0)
    return high - low <= ROUNDING * torch.maximum(low.abs(), high.abs())


def describe(matrix):
    """(features, constant, pairs, mean, mean of absolute values, quantiles 5 25 50 75 95 %) of a correlation matrix.

    matrix: [d, d] from `correlation`. Over the pairs above the diagonal; undefined pairs count in none of the numbers,
    and where no pair is defined the means and quantiles are NaN.
    """
    matrix = matrix.numpy()
    values = matrix[np.triu(np.ones(matrix.shape, bool), 1)]
    values = values[~np.isnan(values)]
    counts = (len(matrix), int(np.isnan(matrix.diagonal()).sum()), len(values))
    if not len(values):
        return *counts, *[np.nan] * (2 + len(QUANTILES))
    return *counts, *(float(x) for x in (values.mean(), np.abs(values).mean(), *np.quantile(values, QUANTILES)))
