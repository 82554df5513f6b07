"""Layer by layer and epoch by epoch: how alike what a layer computes is to what it computes at the end of training, and
to what it computes at the end of another model's; and the epoch from which a layer is as it ends.

After Raghu et al. (2017), "SVCCA: Singular Vector Canonical Correlation Analysis for deep learning dynamics and
interpretability", section 4.1, with debiased CKA (`similarity.cka`) in the place of SVCCA.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from weight_atlas import cell_table, starts, store
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.features import feature_correlations, feature_matching, similarity
from weight_atlas.analysis.features.feature_correlations import Centred
from weight_atlas.analysis.measure import ModelMeasure, Network, TrainedModel
from weight_atlas.analysis.perturbed.snapshots import kept_snapshots
from weight_atlas.analysis.types import Key, Row, Rows, Tensors
from weight_atlas.cell_table import GroupedCell
from weight_atlas.networks import batches
from weight_atlas.networks.table import Table
from weight_atlas.pairs import Pair, partners
from weight_atlas.plan.measures import CONVERGENCE_IMAGES, LAYER_VALUES, MATCHED_CHANNELS
from weight_atlas.settings import Settings
from weight_atlas.vocabulary import RELATIVES

# A layer is said to have settled where its CKA to its end stays at least so high. The middle one is reported; it is a
# choice of this project, since the literature has none, so what the others say stands beside it.
THRESHOLDS = (0.8, 0.9, 0.95)
OWN = "end"  # the factor of a model beside its own end


class Seen(NamedTuple):
    """What one layer computes of n images.

    kernel: XX' of the centred outputs X, float64 [n, n]; hsic: its HSIC with itself; channels: the mean of each channel
    over its map, centred and of length 1, NaN where it is constant, float64 [n, d]; d is 0 for more than
    MATCHED_CHANNELS.
    """

    kernel: torch.Tensor
    hsic: float
    channels: torch.Tensor


class Likeness(NamedTuple):
    """How alike two layers are: CKA of their outputs, and of their channels the mean correlation in place and matched
    (`feature_matching.match`; NaN without channels)."""

    cka: float
    correlation: float
    matched: float


class Convergence(ModelMeasure):
    """Every snapshot of each model beside its own end, and beside the ends of the models that it is compared with.

    These are the models of `weight_atlas.pairs.partners`, each way. Cells that are perturbed or transferred are left
    out, and so are models without an earlier snapshot.
    """

    name = "convergence"
    tables = ("convergence", "settled")

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.snapshots: dict[Key, dict[int, Path]] = {}

    @classmethod
    def asked_for(cls, cell: GroupedCell) -> bool:
        return super().asked_for(cell) and not cell_table.derived(cell)

    def see(self, model: TrainedModel) -> None:
        if self.network.images is not None:
            kept = kept_snapshots(model.cell, model.seed)
            self._save_end(model.key, self._look(model.cell["cell"], model.tensors))
            self.snapshots[model.key] = kept

    def rows(self) -> Rows:
        rows: Rows = {name: [] for name in self.tables}
        pairs = partners(self.network.cells, list(self.snapshots), {})
        for key, paths in self.snapshots.items():
            if len(paths) > 1:
                found = self._course(key, paths, pairs)
                rows["convergence"] += found
                rows["settled"] += [(*key, *row) for row in settled(self._own(found))]
        return rows

    def _course(self, key: Key, paths: Mapping[int, Path], pairs: Sequence[Pair]) -> list[Row]:
        """The rows of convergence.csv of one model."""
        settings, last = self.network.cells[key[0]]["cell"], max(paths)
        ends = [(other, named, self._end(other)) for other, named in _others(key, pairs)]
        rows: list[Row] = []
        for epoch, path in paths.items():
            seen = self._end(key) if epoch == last else self._look(settings, starts.load(path))
            for other, named, end in ends:
                found = ((layer, *compare(now, end[layer])) for layer, now in seen.items())
                rows += [(*key, *other, *named, epoch, *row) for row in found]
        return rows

    @staticmethod
    def _own(rows: Sequence[Row]) -> dict[str, dict[int, float]]:
        """{layer: {epoch: CKA to its own end}} of rows of convergence.csv."""
        found: dict[str, dict[int, float]] = {}
        for *_, factor, _, _, epoch, layer, cka, _, _ in rows:
            if factor == OWN:
                found.setdefault(str(layer), {})[int(epoch or 0)] = float(cka or 0)
        return found

    def _look(self, settings: Settings, tensors: Tensors) -> dict[str, Seen]:
        images, table = self.network.images, self.network.table
        assert images is not None  # else no model was seen
        return look(settings, table, tensors, images)

    def _save_end(self, key: Key, seen: Mapping[str, Seen]) -> None:
        kernels = {f"{layer}/kernel": one.kernel for layer, one in seen.items()}
        channels = {f"{layer}/channels": one.channels for layer, one in seen.items()}
        store.save_tensors(self._cache(key), kernels | channels)

    def _end(self, key: Key) -> dict[str, Seen]:
        cached = store.load_tensors(self._cache(key))
        names = [name.removesuffix("/kernel") for name in cached if name.endswith("/kernel")]
        return {name: _seen(cached[f"{name}/kernel"], cached[f"{name}/channels"]) for name in names}

    def _cache(self, key: Key) -> Path:
        return self.network.scratch / f"convergence-{key[0]}-{key[1]}.safetensors"


def _others(key: Key, pairs: Sequence[Pair]) -> Iterator[tuple[Key, tuple[str, str, str]]]:
    """The models whose ends one is compared with, its own first; (factor, its level, the other's level) each."""
    yield key, (OWN, "", "")
    for pair in pairs:
        if pair.factor not in RELATIVES:
            if pair.a == key:
                yield pair.b, (pair.factor, pair.level_a, pair.level_b)
            elif pair.b == key:
                yield pair.a, (pair.factor, pair.level_b, pair.level_a)


def look(settings: Settings, table: Table, tensors: Tensors, images: Images) -> dict[str, Seen]:
    """What each convolution and linear layer computes, before normalisation and activation.

    Parameters
    ----------
    settings : Settings
        The resolved cell.
    table : Table
        Its layer table.
    tensors : dict of tensors
        A snapshot: parameters, and the running statistics that normalise (eval mode, no dropout).
    images : Images
        Of which at most CONVERGENCE_IMAGES test images, evenly spaced, are looked at.

    Returns
    -------
    {layer: Seen}, from the input. A map of more than LAYER_VALUES values is averaged over squares of places first.
    """
    network = evaluation.module(settings, tensors, images.device)
    outputs: dict[str, list[torch.Tensor]] = {layer.name: [] for layer in table.weight_layers}
    channels: dict[str, list[torch.Tensor]] = {layer.name: [] for layer in table.weight_layers}

    def catch(name: str, module: nn.Module, _: object, output: torch.Tensor) -> None:
        output = with_places(output) if isinstance(module, nn.Linear) else output
        outputs[name].append(pooled(output).flatten(1).cpu())
        channels[name].append(output.flatten(2).mean(2).cpu() if output.ndim == 4 else output.cpu().clone())

    hooks = [network.get_submodule(name).register_forward_hook(partial(catch, name)) for name in outputs]
    shown = images.test[evaluation.evenly_spaced(len(images.test), CONVERGENCE_IMAGES).to(images.device)]
    try:
        with torch.inference_mode():
            for batch in shown.split(min(feature_correlations.BATCH, batches.evaluated(table))):
                shown_as = images.seen_by(settings).normalised(batch)
                network(shown_as.contiguous(memory_format=torch.channels_last))  # a quarter faster
    finally:
        for hook in hooks:
            hook.remove()
    return {
        name: _seen(kernel(torch.cat(found)), normalised(torch.cat(channels[name]))) for name, found in outputs.items()
    }


def with_places(output: torch.Tensor) -> torch.Tensor:
    """The output of a linear layer [N, F]; of one that goes over tokens or places, [N, .., F], as a map [N, F, places,
    1]."""
    return output if output.ndim == 2 else output.flatten(1, -2).transpose(1, 2).unsqueeze(3)


def pooled(output: torch.Tensor) -> torch.Tensor:
    """An output of a layer [N, C, H, W] or [N, F]; a map of more than LAYER_VALUES values is averaged over places."""
    width = math.ceil(math.sqrt(output[0].numel() / LAYER_VALUES))
    if output.ndim == 2 or width == 1:
        return output.clone()  # what follows may change it in place
    window = [min(width, length) for length in output.shape[2:]]
    return functional.avg_pool2d(output, window, ceil_mode=True)


def kernel(values: torch.Tensor) -> torch.Tensor:
    """XX' of features [N, d], centred, without constant ones: float64 [N, N]."""
    features = Centred(values)
    centred = torch.cat([*features.parts()])[:, ~features.constant]
    return centred @ centred.T


def normalised(values: torch.Tensor) -> torch.Tensor:
    """Features [N, d] centred and of length 1, NaN where constant: float64 [N, d]; [N, 0] for too many."""
    if values.shape[1] > MATCHED_CHANNELS:
        return torch.empty(len(values), 0, dtype=torch.float64)
    features = Centred(values)
    return torch.cat([*features.parts()]) / torch.where(features.constant, torch.nan, features.squares.sqrt())


def _seen(products: torch.Tensor, channels: torch.Tensor) -> Seen:
    return Seen(products, similarity.kernel_hsic(products, products), channels)


def compare(a: Seen, b: Seen) -> Likeness:
    """Compare a layer of two models, or of two snapshots of one; channels that vary in both are correlated."""
    cka = similarity.cka(similarity.kernel_hsic(a.kernel, b.kernel), a.hsic, b.hsic)
    varying = ~(a.channels[0].isnan() | b.channels[0].isnan())
    correlations = a.channels[:, varying].T @ b.channels[:, varying]
    matching = feature_matching.match(correlations.numpy())
    return Likeness(cka, matching.correlation, matching.matched)


def settled(courses: Mapping[str, Mapping[int, float]]) -> list[Row]:
    """Rows of settled.csv without cell and seed: (layer, its place from the input, threshold, epoch).

    Parameters
    ----------
    courses : {layer: {epoch: CKA to its own end}}, from the input, epochs in order.

    Returns
    -------
    The first epoch from which CKA stays at least the threshold; None where even the last one is below, which is so of
    a layer whose outputs do not vary.
    """
    rows: list[Row] = []
    for place, (layer, course) in enumerate(courses.items(), 1):
        for threshold in THRESHOLDS:
            since: int | None = None
            for epoch, cka in course.items():
                since = (epoch if since is None else since) if cka >= threshold else None
            rows.append((layer, place, threshold, since))
    return rows
