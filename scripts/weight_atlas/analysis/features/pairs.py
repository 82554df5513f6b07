"""Two trained models side by side: parameters, features and predictions of those that differ in exactly one thing."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import torch

from weight_atlas import cell_table, starts
from weight_atlas.analysis.features import activations, feature_correlations, feature_matching, similarity
from weight_atlas.analysis.features.activations import Model
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.perturbed.snapshots import finished_snapshot
from weight_atlas.analysis.types import Key, Row, Rows, Tensors
from weight_atlas.analysis.weights import movement
from weight_atlas.cell_table import Cell, Child
from weight_atlas.networks.table import Table


class Pairs(ModelMeasure):
    """The comparisons of all models of a network, also with what perturbed ones were before.

    In pairs.safetensors: <cell>/seed<i>|<cell>/seed<j>, correlations of features, float16 [d, d], of the first pair of
    each factor and its two levels; all pairs of seeds count as one, since seeds are no levels. Of the perturbed ones
    each cell's first pair with its original is kept, and none with a control.
    """

    name = "pairs"
    tables = ("pairs",)

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.models: dict[Key, Model] = {}
        self.matrices: Tensors = {}

    def see(self, model: TrainedModel) -> None:
        if model.activated is not None:
            self.models[model.key] = model.activated.model

    def rows(self) -> Rows:
        compared: list[Row] = []
        originals, kept = self._originals(), set()
        for pair in partners(self.network.cells, list(self.models), originals):
            a, b = self.models.get(pair.a), self.models[pair.b]
            if pair.factor == "original":
                a = originals[pair.b]
            assert a is not None  # partners names no other
            comparison, correlations = compare(self.network.table, a, b)
            compared.append((*pair.a, *pair.b, pair.factor, pair.level_a, pair.level_b, *comparison))
            kind = {"seed": (pair.factor,), "original": (pair.factor, pair.b[0])}.get(pair.factor, pair[2:])
            if pair.factor != "control" and kind not in kept:
                kept.add(kind)
                (cell_a, seed_a), (cell_b, seed_b) = pair.a, pair.b
                self.matrices[f"{cell_a}/seed{seed_a}|{cell_b}/seed{seed_b}"] = correlations.half()
        return {"pairs": compared}

    def tensors(self) -> dict[str, Tensors]:
        return {"pairs": self.matrices}

    def _originals(self) -> dict[Key, Model]:
        """What the perturbed ones among the models were before; each snapshot is taken once."""
        network, images = self.network, self.network.images
        known = {model.snapshot: model for model in self.models.values()}
        originals = {}
        for cell_id, seed in self.models:
            child = network.children.get(cell_id)
            parent = network.cells.get(child.parent) if child else None
            path = finished_snapshot(parent, seed, child.take) if child else None
            if parent is None or path is None or images is None:
                continue
            if path not in known:
                cache = network.scratch / f"original-{len(known)}.safetensors"
                known[path], _ = activations.activate(
                    parent["cell"], network.table, path, starts.load(path), images, cache
                )
            originals[cell_id, seed] = known[path]
        return originals


class Pair(NamedTuple):
    """Two models to compare, (cell, seed) each, and what they differ in."""

    a: Key
    b: Key
    factor: str
    level_a: str
    level_b: str


class Comparison(NamedTuple):
    """Two models in numbers.

    norm_a to cosine are those of all learnable parameters; agreement is the share of test images for which both predict
    the same class (that of the largest output, the first of equals); correlation, matched and in_place are those of
    `weight_atlas.analysis.features.feature_matching`, over features that vary in both models; constant counts the
    others; the last three count images.
    """

    norm_a: float
    norm_b: float
    distance: float
    cosine: float
    cka: float
    agreement: float
    correlation: float
    matched: float
    in_place: float
    features: int
    constant: int
    divergence: float
    errors_a: int
    errors_b: int
    both_wrong: int


def partners(cells: Mapping[str, Cell], models: Sequence[Key], originals: Mapping[Key, object]) -> list[Pair]:
    """Which models to compare, in their order.

    Two cells of a study's grid that differ in one label are compared seed by seed; the same cell is compared with
    itself, seed against seed, which is what chance alone makes of the numbers (factor "seed", levels the seeds). A
    perturbed cell is compared with its original (factor "original") and with its control of the same order (factor
    "control").

    Parameters
    ----------
    cells : dict of Cell
    models : sequence of (cell, seed)
        Those that were measured, in order.
    originals : mapping
        Has those of them that were perturbed and trained again and whose original is known.
    """
    position = {model: at for at, model in enumerate(models)}
    pairs: dict[Pair, tuple[int, int]] = {}
    for contrast in cell_table.contrasts(cells):
        if contrast.factor not in ("dataset", "network"):
            for model in models:
                other = (contrast.cell_b, model[1])
                if model[0] == contrast.cell_a and other in position:
                    pair = Pair(model, other, contrast.factor, contrast.level_a, contrast.level_b)
                    pairs[pair] = (position[model], position[other])
    for a, b in combinations(models, 2):
        if a[0] == b[0] and not cell_table.derived(cells[a[0]]):
            pairs[Pair(a, b, "seed", str(a[1]), str(b[1]))] = (position[a], position[b])
    children = cell_table.children(cells)
    for model in models:
        if model[0] in children:
            for pair in _relatives(children, model, position, originals):
                pairs[pair] = (position.get(pair.a, -1), position[model])
    return sorted(pairs, key=pairs.__getitem__)


def _relatives(
    children: Mapping[str, Child], model: Key, measured: Mapping[Key, int], originals: Mapping[Key, object]
) -> Iterator[Pair]:
    """What one model that was perturbed, or a control, is compared with."""
    cell_id, seed = model
    child = children[cell_id]
    for label in child.labels:
        if model in originals:
            yield Pair((child.parent, seed), model, "original", "original", label)
        if child.control is not None and (child.control, seed) in measured:
            control_label = children[child.control].labels[0]
            yield Pair((child.control, seed), model, "control", control_label, label)


def compare(table: Table, a: Model, b: Model) -> tuple[Comparison, torch.Tensor]:
    """Compare two models; also the correlations of their features, float64 [d, d]."""
    tensors = starts.load(a.snapshot), starts.load(b.snapshot)
    moved = movement.rows(table, *tensors)[-1]
    products = feature_correlations.product(a.features, b.features)
    hsic = similarity.hsic(products, a.features.norms, b.features.norms)
    correlations = feature_correlations.correlation(products, a.features, b.features)
    varying = ~(a.features.constant | b.features.constant)
    comparison = Comparison(
        *(moved.norm_from, moved.norm_to, moved.distance, moved.cosine),
        similarity.cka(hsic, a.hsic, b.hsic),
        float((a.outputs.argmax(1) == b.outputs.argmax(1)).double().mean()),
        *feature_matching.match(correlations[varying][:, varying].numpy()),
        *(len(varying), int((~varying).sum())),
        similarity.divergence(a.outputs, b.outputs),
        *(int(which.sum()) for which in (a.wrong, b.wrong, a.wrong & b.wrong)),
    )
    return comparison, correlations
