"""Filters and activations of the first and last convolution, and how many filters are distinct."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit import cells
from weight_atlas import networks, starts, store
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.features import filters
from weight_atlas.analysis.measure import Network, Replicate, Snapshot, TrainedModel
from weight_atlas.networks.build import build
from weight_atlas.settings import Start

CELL = cells.settings(network={"architecture": "tutorial"}, input={"channels": 3, "size": 32})


def entry(*measures, name="base-a"):
    return {"cell_id": name, "cell": CELL, "measures": [*measures], "named": []}


@pytest.fixture(scope="module")
def model():
    """(module, layer table) of the tutorial's network."""
    built, layers = build(*CELL.network_arguments)
    starts.initialise(built, layers, Start("init", scheme="default"), 0)
    return built.eval(), layers


@pytest.fixture(scope="module")
def images():
    test = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return evaluation.Images(test, None, None, [0.5] * 3, [0.25] * 3)


def identical(layers, weights):
    """Rows of identical.csv, without cell and seed, of snapshots with these first weights, from epoch 0 on."""
    measure = filters.IdenticalFilters(Replicate(layers, Path(), {"seed": 0}))
    for epoch, weight in enumerate(weights):
        measure.see(Snapshot(epoch, {"conv1.weight": weight}, [], True))
    return measure.rows()["identical"]


def changed(model, change=lambda weight: None):
    """The first weight of a model, changed in place by a function."""
    weight = model.conv1.weight.detach().clone()
    change(weight)
    return weight


def test_distinct_filters_and_their_spread(model):
    def equal(weight):
        weight[:] = weight[0].clone()

    def one(weight):
        equal(weight)
        weight[3] += 0.5 * weight[0]

    built, layers = model
    rows = identical(layers, [changed(built, equal), changed(built, one), changed(built)])
    assert [row[:4] for row in rows] == [(0, "conv1", 6, 1), (1, "conv1", 6, 2), (2, "conv1", 6, 6)]
    assert rows[0][4] == 0
    assert rows[1][4] == pytest.approx(0.5 / (6.5 / 6))  # half a norm apart, of a mean norm of 6.5 / 6
    weight = built.conv1.weight.detach().flatten(1).double().numpy()
    apart = max(np.linalg.norm(a - b) for a in weight for b in weight)
    assert rows[2][4] == pytest.approx(apart / np.linalg.norm(weight, axis=1).mean())


def test_a_bit_is_enough_and_nan_is_left_out(model):
    def bit(weight):
        weight[:] = weight[0].clone()
        weight[1, 0, 0, 0] = torch.nextafter(weight[1, 0, 0, 0], torch.tensor(9.0))

    def broken(weight):
        weight[0, 0, 0, 0] = math.nan

    built, layers = model
    [row] = identical(layers, [changed(built, bit), changed(built, broken)])
    assert row[:4] == (0, "conv1", 6, 2) and 0 < row[4] < 1e-6


def kept(folder, model, images, cell, seeds):
    """What is kept of the finished replicates of a cell, all with the weights of one model."""
    built, layers = model
    path = folder / "end.safetensors"
    store.save_tensors(path, {name: tensor.detach().clone() for name, tensor in built.state_dict().items()})
    network = Network(layers, {cell["cell_id"]: cell}, {}, images, folder)
    measure = filters.FilterImages(network)
    for seed in seeds:
        measure.see(TrainedModel(network, cell["cell_id"], seed, path))
    return measure.tensors()["filters"]


def test_what_is_kept_is_what_the_network_computes(tmp_path, model, images):
    built, _ = model
    found = kept(tmp_path, model, images, entry(), (2, 3))  # one replicate is enough
    assert set(found) == {"base-a/picture", *(f"base-a/seed2/{name}" for name in ("weights", "first", "last"))}
    assert found["base-a/picture"].equal(images.test[0]) and found["base-a/picture"].dtype == torch.uint8
    assert found["base-a/seed2/weights"].equal(built.conv1.weight)
    with torch.no_grad():
        first = built.conv1(images.normalised(images.test[:1]))
        last = built.conv2(torch.nn.functional.max_pool2d(first.relu(), 2))
    assert found["base-a/seed2/first"].equal(first[0].half()) and first.min() < 0  # before ReLU
    torch.testing.assert_close(found["base-a/seed2/last"], last[0].half())
    store.save_tensors(tmp_path / "filters.safetensors", found)


def test_they_are_taken_where_they_are_asked_for_by_name():
    for measure, other in ((filters.FilterImages, "identical"), (filters.IdenticalFilters, "filters")):
        assert measure.asked_for(entry(measure.name)) and not measure.asked_for(entry(other))


def test_the_convolutions_of_a_network():
    assert filters.convolutions(networks.layer_table(*CELL.network_arguments)) == ["conv1", "conv2"]
