"""Two trained models side by side: parameters, features and predictions of those that differ in exactly one thing."""

from typing import NamedTuple

import torch

from weight_atlas import starts
from weight_atlas.analysis.features import activations, feature_correlations, feature_matching, similarity
from weight_atlas.analysis.features.activations import Model
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.perturbed.snapshots import finished_snapshot
from weight_atlas.analysis.types import Key, Row, Rows, Tensors
from weight_atlas.analysis.weights import movement
from weight_atlas.networks.table import Table
from weight_atlas.pairs import counts, partners, with_matrix


class Pairs(ModelMeasure):
    """The comparisons of all models of a network, also with what perturbed ones were before.

    In pairs.safetensors: <cell>/seed<i>|<cell>/seed<j>, correlations of features, float16 [d, d], of some of them
    (`weight_atlas.pairs.with_matrix`).
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
        self._say_sampled()
        originals = self._originals()
        chosen = partners(self.network.cells, list(self.models), originals)
        kept = with_matrix(chosen, len(self.models[chosen[0].b].features.mean)) if chosen else set()
        for pair in chosen:
            a, b = self.models.get(pair.a), self.models[pair.b]
            if pair.factor == "original":
                a = originals[pair.b]
            assert a is not None  # partners names no other
            comparison, correlations = compare(self.network.table, a, b)
            compared.append((*pair.a, *pair.b, pair.factor, pair.level_a, pair.level_b, *comparison))
            if pair in kept:
                (cell_a, seed_a), (cell_b, seed_b) = pair.a, pair.b
                self.matrices[f"{cell_a}/seed{seed_a}|{cell_b}/seed{seed_b}"] = correlations.half()
        return {"pairs": compared}

    def _say_sampled(self) -> None:
        """A line for each axis, or seeds, of which some pairs are left out."""
        for count in counts(self.network.cells):
            if count.compared < count.of:
                print(f"{count.study}: {count.compared} of {count.of} pairs by {count.factor} are compared", flush=True)

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
