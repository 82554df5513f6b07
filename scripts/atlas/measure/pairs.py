"""Two trained models side by side: parameters, features and predictions of those that differ in exactly one thing."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch

from atlas import store
from atlas.measure import cells, features, movement, similarity


@dataclass
class Model:
    """One trained model: its last snapshot's file, its features over the test pictures, their HSIC, its predictions."""

    snapshot: Path
    features: features.Centred
    hsic: float
    predictions: torch.Tensor


def partners(group, models):
    """Which models to compare: a list of ((cell, seed), (cell, seed), factor, level, level).

    group: the cells, as `atlas.measure.cells.grouped` gives them; models: the (cell, seed) that were measured, in
    order. Two cells of a study's grid that differ in one label are compared seed by seed; the same cell is compared
    with itself, seed against seed, which is what chance alone makes of the numbers (factor "seed", levels the seeds).
    """
    place = {model: at for at, model in enumerate(models)}
    found = {}
    for contrast in cells.contrasts({cell["cell_id"]: cell for cell in group}):
        if contrast.factor not in ("dataset", "network"):
            for cell_id, seed in models:
                other = (contrast.cell_b, seed)
                if cell_id == contrast.cell_a and other in place:
                    key = ((cell_id, seed), other, contrast.factor, contrast.level_a, contrast.level_b)
                    found[key] = (place[key[0]], place[other])
    for a, b in combinations(models, 2):
        if a[0] == b[0]:
            found[a, b, "seed", str(a[1]), str(b[1])] = (place[a], place[b])
    return sorted(found, key=found.get)


def rows(table, group, models):
    """(rows of pairs.csv, {"<cell>/seed<i>|<cell>/seed<j>": float16 correlations of features}) of a group's models.

    table: the layer table that they share; group: see `partners`; models: {(cell, seed): Model}. The correlations are
    those of the first pair of each factor and its two levels; all pairs of seeds count as one, since seeds are no
    levels. Features are correlated where they vary in both models; `constant` counts the others.
    """
    found, matrices, kept = [], {}, set()
    for a, b, factor, *levels in partners(group, list(models)):
        numbers, matrix = compare(table, models[a], models[b])
        found.append((*a, *b, factor, *levels, *numbers))
        kind = (factor,) if factor == "seed" else (factor, *levels)
        if kind not in kept:
            kept.add(kind)
            matrices[f"{a[0]}/seed{a[1]}|{b[0]}/seed{b[1]}"] = matrix.half()
    return found, matrices


def compare(table, a, b):
    """(norm_a, norm_b, distance, cosine, cka, agreement, correlation, matched, in_place, features, constant) of two
    Models, and the correlations of their features, float64 [d, d].

    The first four are those of all learnable parameters; agreement is the share of test pictures for which both predict
    the same class.
    """
    tensors = (store.load_tensors(model.snapshot) for model in (a, b))
    geometry = movement.rows(table, *tensors)[-1][1:5]
    products = features.product(a.features, b.features)
    alike = similarity.cka(similarity.hsic(products, a.features.norms, b.features.norms), a.hsic, b.hsic)
    agreement = float((a.predictions == b.predictions).double().mean())
    matrix = features.correlation(products, a.features, b.features)
    varying = ~(a.features.constant | b.features.constant)
    matched = similarity.match(matrix[varying][:, varying].numpy())
    counts = len(varying), int((~varying).sum())
    return (*geometry, alike, agreement, *matched, *counts), matrix
