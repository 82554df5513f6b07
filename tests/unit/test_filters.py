"""Filters and activations of the first and last convolution, and how many filters are distinct."""

import math

import numpy as np
import pytest
import torch

from weight_atlas import networks, starts, store
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.features import filters
from weight_atlas.networks.build import build

CELL = {
    "network": {"architecture": "tutorial", "width": 1.0, "options": {}},
    "input": {"channels": 3, "size": 32},
    "classes": 10,
}


def entry(experiment, role="grid", name="base-a"):
    return {"cell_id": name, "cell": CELL, "named": [{"role": role, "labels": {"experiment": experiment}}]}


@pytest.fixture(scope="module")
def model():
    """(module, layer table) of the tutorial's network."""
    built, layers = build(*evaluation.network(CELL))
    starts.initialise(built, layers, "default", 0)
    return built.eval(), layers


@pytest.fixture(scope="module")
def pictures():
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return evaluation.Pictures(images, None, None, [0.5] * 3, [0.25] * 3)


def saved(path, model, change=None):
    """The state of a model in a file, its first weight changed in place by a function."""
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    if change:
        change(state["conv1.weight"])
    store.save_tensors(path, state)
    return path


def test_distinct_filters_and_their_spread(tmp_path, model):
    def equal(weight):
        weight[:] = weight[0].clone()

    def one(weight):
        equal(weight)
        weight[3] += 0.5 * weight[0]

    built, layers = model
    files = {
        0: saved(tmp_path / "0", built, equal),
        1: saved(tmp_path / "1", built, one),
        2: saved(tmp_path / "2", built),
    }
    rows = filters.rows(layers, files)
    assert [row[:4] for row in rows] == [(0, "conv1", 6, 1), (1, "conv1", 6, 2), (2, "conv1", 6, 6)]
    assert rows[0][4] == 0
    assert rows[1][4] == pytest.approx(0.5 / (6.5 / 6))  # half a norm apart, of a mean norm of 6.5 / 6
    weight = built.conv1.weight.detach().flatten(1).double().numpy()
    apart = max(np.linalg.norm(a - b) for a in weight for b in weight)
    assert rows[2][4] == pytest.approx(apart / np.linalg.norm(weight, axis=1).mean())


def test_a_bit_is_enough_and_nan_is_left_out(tmp_path, model):
    def bit(weight):
        weight[:] = weight[0].clone()
        weight[1, 0, 0, 0] = torch.nextafter(weight[1, 0, 0, 0], torch.tensor(9.0))

    def broken(weight):
        weight[0, 0, 0, 0] = math.nan

    built, layers = model
    files = {0: saved(tmp_path / "0", built, bit), 1: saved(tmp_path / "1", built, broken)}
    [row] = filters.rows(layers, files)
    assert row[:4] == (0, "conv1", 6, 2) and 0 < row[4] < 1e-6


def test_what_is_kept_is_what_the_network_computes(tmp_path, model, pictures):
    built, layers = model
    kept, path = {}, saved(tmp_path / "end", built)
    filters.keep(kept, entry("filters"), 2, layers, path, pictures)
    filters.keep(kept, entry("filters"), 3, layers, path, pictures)  # one replicate is enough
    assert set(kept) == {"base-a/picture", *(f"base-a/seed2/{name}" for name in ("weights", "first", "last"))}
    assert kept["base-a/picture"].equal(pictures.test[0]) and kept["base-a/picture"].dtype == torch.uint8
    assert kept["base-a/seed2/weights"].equal(built.conv1.weight)
    with torch.no_grad():
        first = built.conv1(pictures.normalised(pictures.test[:1]))
        last = built.conv2(torch.nn.functional.max_pool2d(first.relu(), 2))
    assert kept["base-a/seed2/first"].equal(first[0].half()) and first.min() < 0  # before ReLU
    torch.testing.assert_close(kept["base-a/seed2/last"], last[0].half())
    store.save_tensors(tmp_path / "filters.safetensors", kept)


def test_other_experiments_are_not_asked(tmp_path, model, pictures):
    built, layers = model
    path = saved(tmp_path / "end", built)
    for other in (entry("path"), entry(""), entry("filters", role="transfer")):
        kept = {}
        filters.keep(kept, other, 0, layers, path, pictures)
        assert kept == {}
    kept = {}
    filters.keep(kept, entry("last-layer"), 0, layers, path, pictures)
    assert kept


def test_a_study_without_experiments_has_no_label():
    named = [{"role": "grid", "labels": {"dataset": "digits"}}]
    assert filters.experiments({"named": named}) == {""}
    assert filters.convolutions(networks.layer_table(CELL["network"], 3, 32, 10)) == ["conv1", "conv2"]
