"""What two models make of the same images, by several measures of likeness beside one another.

All are of the penultimate features X, Y [n, d] of n test images, centred, and see their geometry alone: 1 for features
that are equal but for rotation, reflection, scale and shift, and less the less alike they are.

- cka: debiased linear CKA (`similarity.cka`), of the kernels XX' and YY'; large principal components count most.
- procrustes: |X'Y|_* / (|X| |Y|), with the nuclear norm: 1 - d^2 / 2 of the distance d of the two at norm 1 after the
  best rotation (Schoenemann 1966; Williams et al. 2021, "Generalized shape metrics on neural representations").
- rsa: Spearman's correlation of the distances between images (Kriegeskorte et al. 2008, "Representational similarity
  analysis"): the order of distances alone.
- neighbours: the share of each image's NEIGHBOURS nearest ones that are the same, less what chance gives, over what
  there is to gain (mutual nearest neighbours of Huh et al. 2024, "The platonic representation hypothesis", corrected
  for chance): near images alone.
"""

import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from weight_atlas import stats, store
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.features import similarity
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.types import Key, Row, Rows
from weight_atlas.pairs import partners
from weight_atlas.plan.measures import REPRESENTED_IMAGES
from weight_atlas.vocabulary import RELATIVES

NEIGHBOURS = 10  # of an image; fewer where there are no more than ten others


class Likeness(NamedTuple):
    """How alike two sets of features are, over so many images; NaN where one is constant."""

    pictures: int
    cka: float
    procrustes: float
    rsa: float
    neighbours: float


class Representations(ModelMeasure):
    """The pairs of models of `weight_atlas.pairs.partners` that are not perturbed."""

    name = "representations"
    tables = ("representations",)

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.models: list[Key] = []

    def see(self, model: TrainedModel) -> None:
        if model.activated is not None:
            features = model.activated.model.features.values
            shown = features[evaluation.evenly_spaced(len(features), REPRESENTED_IMAGES)]
            store.save_tensors(self._cache(model.key), {"features": compact(shown)})
            self.models.append(model.key)

    def rows(self) -> Rows:
        rows: list[Row] = []
        for pair in partners(self.network.cells, self.models, {}):
            if pair.factor not in RELATIVES:
                a, b = (store.load_tensors(self._cache(key))["features"] for key in (pair.a, pair.b))
                rows.append((*pair.a, *pair.b, pair.factor, pair.level_a, pair.level_b, *compare(a, b)))
        return {"representations": rows}

    def _cache(self, key: Key) -> Path:
        return self.network.scratch / f"representations-{key[0]}-{key[1]}.safetensors"


def compact(features: Tensor) -> Tensor:
    """Features [n, d] centred, with no more than n columns and the same products of rows: float64 [n, min(n, d)]."""
    centred = features.double() - features.double().mean(0)
    if centred.shape[1] <= len(centred):
        return centred
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    found: Tensor = vectors * values.clamp_min(0).sqrt()
    return found


def compare(a: Tensor, b: Tensor) -> Likeness:
    """Compare two sets of features of the same images, as `compact` gives them."""
    kernels = a @ a.T, b @ b.T
    hsic = [similarity.kernel_hsic(*two) for two in (kernels, kernels[:1] * 2, kernels[1:] * 2)]
    if min(float(kernel.trace()) for kernel in kernels) <= 0:
        return Likeness(len(a), *[math.nan] * 4)
    return Likeness(len(a), similarity.cka(*hsic), procrustes(a, b), rsa(*kernels), neighbours(*kernels))


def procrustes(a: Tensor, b: Tensor) -> float:
    """|A'B|_* / (|A| |B|) of centred features [n, d]."""
    return float(torch.linalg.svdvals(a.T @ b).sum() / (a.norm() * b.norm()))


def rsa(first: Tensor, second: Tensor) -> float:
    """Spearman's correlation of the distances between images, of kernels of centred features [n, n]."""
    above = torch.ones_like(first, dtype=torch.bool).triu(1)
    one, other = (squared_distances(kernel)[above].numpy() for kernel in (first, second))
    return stats.rank_correlation(one, other).correlation


def neighbours(first: Tensor, second: Tensor) -> float:
    """The share of nearest images in common, corrected for chance, of kernels [n, n]; NaN for fewer than three."""
    n = len(first)
    k = min(NEIGHBOURS, n - 2)
    if k < 1:
        return math.nan
    near = []
    for kernel in (first, second):
        apart = squared_distances(kernel).fill_diagonal_(math.inf)
        nearest = apart.topk(k, largest=False).indices
        near.append(torch.zeros(n, n, dtype=torch.bool).scatter_(1, nearest, value=True))
    shared, chance = float((near[0] & near[1]).sum()) / (n * k), k / (n - 1)
    return (shared - chance) / (1 - chance)


def squared_distances(kernel: Tensor) -> Tensor:
    """The squared Euclidean distances of rows, of their products [n, n]."""
    lengths = kernel.diagonal()
    return lengths[:, None] + lengths - 2 * kernel
