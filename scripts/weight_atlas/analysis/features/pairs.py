"""Two trained models side by side: parameters, features and predictions of those that differ in exactly one thing."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch

from weight_atlas import cell_table, starts
from weight_atlas.analysis.features import features, similarity
from weight_atlas.analysis.weights import movement
from weight_atlas.vocabulary import Factor


@dataclass
class Model:
    """One trained model: a snapshot's file, and what it makes of the test pictures.

    features: penultimate ones; hsic: their HSIC with themselves; outputs: before softmax, float32 [N, classes]; wrong:
    which pictures it takes for another class than theirs, bool [N].
    """

    snapshot: Path
    features: features.Centred
    hsic: float
    outputs: torch.Tensor
    wrong: torch.Tensor


def partners(group, models, originals=()):
    """Which models to compare: a list of ((cell, seed), (cell, seed), factor, level, level).

    group: the cells, as `weight_atlas.cell_table.grouped` gives them; models: the (cell, seed) that were measured,
    in order; originals: those of them that were perturbed and trained again and whose original is known. Two cells of a
    study's grid that differ in one label are compared seed by seed; the same cell is compared with itself, seed against
    seed, which is what chance alone makes of the numbers (factor "seed", levels the seeds). A perturbed cell is
    compared with its original (factor "original") and with its control of the same order (factor "control").
    """
    place = {model: at for at, model in enumerate(models)}
    found = {}
    group = {cell["cell_id"]: cell for cell in group}
    for contrast in cell_table.contrasts(group):
        if contrast.factor not in ("dataset", "network"):
            for cell_id, seed in models:
                other = (contrast.cell_b, seed)
                if cell_id == contrast.cell_a and other in place:
                    key = ((cell_id, seed), other, contrast.factor, contrast.level_a, contrast.level_b)
                    found[key] = (place[key[0]], place[other])
    for a, b in combinations(models, 2):
        if a[0] == b[0] and not cell_table.derived(group[a[0]]):
            found[a, b, "seed", str(a[1]), str(b[1])] = (place[a], place[b])
    children = cell_table.children(group)
    for model in models:
        if model[0] in children:
            for key in _relatives(children, model, place, originals):
                found[key] = (place.get(key[0], -1), place[model])
    return sorted(found, key=found.get)


def _relatives(children, model, place, originals):
    """What one model that was perturbed, or a control, is compared with: as `partners` returns it."""
    cell_id, seed = model
    child = children[cell_id]
    for label in child.labels:
        if model in originals:
            yield (child.parent, seed), model, Factor.ORIGINAL, "original", label
        if (child.control, seed) in place:
            yield (child.control, seed), model, Factor.CONTROL, children[child.control].labels[0], label


def rows(table, group, models, originals=None):
    """(rows of pairs.csv, {"<cell>/seed<i>|<cell>/seed<j>": float16 correlations of features}) of a group's models.

    table: the layer table that they share; group: see `partners`; models: {(cell, seed): Model}, after the last epoch;
    originals: {(cell, seed): Model} of what perturbed replicates were before, which need not be a last epoch. The
    correlations are those of the first pair of each factor and its two levels; all pairs of seeds count as one, since
    seeds are no levels. Of the perturbed ones each cell's first pair with its original is kept, and none with a
    control. Features are correlated where they vary in both models; `constant` counts the others.
    """
    found, matrices, kept = [], {}, set()
    originals = originals or {}
    for a, b, factor, *levels in partners(group, list(models), originals):
        numbers, matrix = compare(table, originals[b] if factor == Factor.ORIGINAL else models[a], models[b])
        found.append((*a, *b, factor, *levels, *numbers))
        kind = {Factor.SEED: (factor,), Factor.ORIGINAL: (factor, b[0])}.get(factor, (factor, *levels))
        if factor != Factor.CONTROL and kind not in kept:
            kept.add(kind)
            matrices[f"{a[0]}/seed{a[1]}|{b[0]}/seed{b[1]}"] = matrix.half()
    return found, matrices


def compare(table, a, b):
    """(norm_a, norm_b, distance, cosine, cka, agreement, correlation, matched, in_place, features, constant,
    divergence, errors_a, errors_b, both_wrong) of two Models, and the correlations of their features, float64 [d, d].

    The first four are those of all learnable parameters; agreement is the share of test pictures for which both predict
    the same class (that of the largest output, the first of equals); the last three count pictures.
    """
    tensors = (starts.load(model.snapshot) for model in (a, b))
    geometry = movement.rows(table, *tensors)[-1][1:5]
    products = features.product(a.features, b.features)
    alike = similarity.cka(similarity.hsic(products, a.features.norms, b.features.norms), a.hsic, b.hsic)
    agreement = float((a.outputs.argmax(1) == b.outputs.argmax(1)).double().mean())
    matrix = features.correlation(products, a.features, b.features)
    varying = ~(a.features.constant | b.features.constant)
    matched = similarity.match(matrix[varying][:, varying].numpy())
    counts = len(varying), int((~varying).sum())
    wrong = [int(which.sum()) for which in (a.wrong, b.wrong, a.wrong & b.wrong)]
    answers = similarity.divergence(a.outputs, b.outputs), *wrong
    return (*geometry, alike, agreement, *matched, *counts, *answers), matrix
