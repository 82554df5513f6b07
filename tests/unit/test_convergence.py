"""Layers beside their ends, snapshot by snapshot: against numpy, from independent kernels and permutations."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_analysis import cell, layers, replicate, snapshot, torches, write_block, write_data

from weight_atlas import schema, store
from weight_atlas.analysis import evaluation, group
from weight_atlas.analysis.features import convergence, similarity
from weight_atlas.analysis.features.feature_correlations import Centred
from weight_atlas.networks import inputs

IMAGES = 40


def numpy_cka(x, y):
    """Debiased linear CKA of features [n, d] in float64, from Song et al.'s equation 4 with both kernel matrices."""

    def hsic(a, b):
        k, other = (np.einsum("id,jd->ij", z, z) * (1 - np.eye(len(z))) for z in (a - a.mean(0), b - b.mean(0)))
        n, trace, sums = len(a), (k * other.T).sum(), k.sum() * other.sum()
        return (trace + sums / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k.sum(0) * other.sum(1)).sum()) / (n * (n - 3))

    x, y = x.astype("float64"), y.astype("float64")
    return hsic(x, y) / math.sqrt(hsic(x, x) * hsic(y, y))


def lenet1(tensors, images):
    """The outputs of LeNet-1's three weight layers, by hand, {layer: float32 [N, ..]}."""
    weights = torches(tensors)

    def conv(name, maps):
        return F.conv2d(maps, weights[f"{name}.weight"], weights[f"{name}.bias"])

    with torch.no_grad():
        first = conv("conv1", images)
        second = conv("conv2", F.max_pool2d(first.relu(), 2))
        flat = F.max_pool2d(second.relu(), 2).flatten(1)
        last = F.linear(flat, weights["fc.weight"], weights["fc.bias"])
    return {"conv1": first.numpy(), "conv2": second.numpy(), "fc": last.numpy()}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """({table: rows}, {(cell, seed): {epoch: outputs by layer}}) of two cells that differ in their optimizer."""
    folder, random, settings = tmp_path_factory.mktemp("convergence"), np.random.default_rng(3), cell(epochs=2)
    data, card, test = write_data(folder, count=IMAGES)
    images = inputs.normalise(torch.from_numpy(test), [0.3], [0.2])
    members, outputs = [], {}
    for name in ("sgd", "adam", "unasked"):
        series = {seed: {epoch: snapshot(layers(settings), random) for epoch in range(3)} for seed in (0, 1)}
        write_block(folder / name / "seeds_0-1", name, settings, [replicate(seed, epochs=2) for seed in (0, 1)], series)
        outputs |= {
            (name, seed): {epoch: lenet1(one, images) for epoch, one in own.items()} for seed, own in series.items()
        }
        labels = {"dataset": "d", "network": "n", "init": "i", "optimizer": name}
        named = [{"study": "s", "kind": "base", "role": "grid", "labels": labels, "against": {}}]
        members.append(
            {
                "cell_id": name,
                "blocks": [folder / name / "seeds_0-1"],
                "seeds": [0, 1],
                "cell": settings,
                "named": named,
            }
        )
        members[-1] |= {"checkpoints": {}, "measures": ["convergence"] * (name != "unasked")}
    group.measure(members, data, store.read_json(card), folder / "out")
    return {name: schema.read(folder / f"out/{name}.csv", name) for name in ("convergence", "settled")}, outputs


def test_each_snapshot_is_beside_its_own_end_and_those_of_its_partners(measured):
    rows = measured[0]["convergence"]
    own = rows[["cell_a", "seed_a", "cell_b", "seed_b", "factor", "level_a", "level_b"]].drop_duplicates()
    models = list(itertools.product(("sgd", "adam"), (0, 1)))
    expected = {(*model, *model, "end", "", "") for model in models}
    expected |= {(*(name, seed), *(name, 1 - seed), "seed", str(seed), str(1 - seed)) for name, seed in models}
    others = {"sgd": "adam", "adam": "sgd"}
    expected |= {(name, seed, others[name], seed, "optimizer", name, others[name]) for name, seed in models}
    assert {*own.itertuples(index=False, name=None)} == expected
    assert len(rows) == len(expected) * 3 * 3, "epochs and layers"


def test_cka_is_that_of_the_kernels(measured):
    tables, outputs = measured
    for row in tables["convergence"].itertuples():
        now = outputs[row.cell_a, row.seed_a][row.epoch][row.layer].reshape(IMAGES, -1)
        end = outputs[row.cell_b, row.seed_b][2][row.layer].reshape(IMAGES, -1)
        assert row.cka == pytest.approx(numpy_cka(now, end), abs=1e-5), row
    own = tables["convergence"].query("factor == 'end' and epoch == 2")
    assert own[["cka", "correlation", "matched"]].to_numpy() == pytest.approx(1)


def test_channels_are_correlated_in_place_and_in_their_best_order(measured):
    """Of the four channels of the first layer, over all 24 orders."""
    tables, outputs = measured
    for row in tables["convergence"].query("layer == 'conv1'").itertuples():
        now, end = (
            outputs[cell, seed][epoch]["conv1"].astype("float64").mean((2, 3))
            for cell, seed, epoch in ((row.cell_a, row.seed_a, row.epoch), (row.cell_b, row.seed_b, 2))
        )
        matrix = np.corrcoef(now.T, end.T)[:4, 4:]
        best = max(matrix[range(4), order].mean() for order in itertools.permutations(range(4)))
        assert (row.correlation, row.matched) == pytest.approx((matrix.diagonal().mean(), best), abs=1e-5)


def test_the_kernel_of_features_gives_the_hsic_of_their_products():
    random = torch.Generator().manual_seed(1)
    x, y = (torch.randn(30, d, generator=random) for d in (70, 5))
    a, b = Centred(x), Centred(y)
    products = torch.cat([*a.parts()]).T @ torch.cat([*b.parts()])
    expected = similarity.hsic(products, a.norms, b.norms)
    assert similarity.kernel_hsic(convergence.kernel(x), convergence.kernel(y)) == pytest.approx(expected, rel=1e-9)


def test_a_layer_that_does_not_vary_is_undefined_and_never_settles():
    constant = torch.full((9, 3), 0.1)
    flat = convergence._seen(convergence.kernel(constant), convergence.normalised(constant))
    found = convergence.compare(flat, flat)
    assert math.isnan(found.cka) and math.isnan(found.matched)
    assert [row[-1] for row in convergence.settled({"fc": {0: found.cka, 1: found.cka}})] == [None] * 3


def test_a_layer_settles_where_it_stays_above_the_threshold():
    courses = {"conv": {0: 0.96, 1: 0.85, 4: 0.91, 9: 1.0}, "fc": {0: 0.5, 1: 0.81, 4: 0.7, 9: 1.0}}
    assert convergence.settled(courses) == [
        ("conv", 1, 0.8, 0), ("conv", 1, 0.9, 4), ("conv", 1, 0.95, 9),
        ("fc", 2, 0.8, 9), ("fc", 2, 0.9, 9), ("fc", 2, 0.95, 9),
    ]  # fmt: skip


def test_a_large_map_is_averaged_over_places():
    output = torch.randn(2, 64, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = output.numpy().reshape(2, 64, 8, 4, 8, 4).mean((3, 5))  # 65,536 values become 4,096
    np.testing.assert_allclose(convergence.pooled(output).numpy(), expected, atol=1e-6)
    assert convergence.pooled(torch.ones(2, 5000, 3, 2)).shape == (2, 5000, 1, 1)
    assert convergence.pooled(output[:, :4]).equal(output[:, :4])


def test_what_is_seen_is_before_what_changes_it_in_place(tmp_path):
    """ResNet18's ReLU works in place; its running statistics are those of the snapshot."""
    settings = cell("resnet18", channels=3, size=32, width=0.125)
    tensors = torches(snapshot(layers(settings), np.random.default_rng(0)))
    test = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = evaluation.Images(test, None, None, [0.5] * 3, [0.25] * 3)
    found = convergence.look(settings, layers(settings), tensors, images)
    shown = images.normalised(test)
    first = F.conv2d(shown, tensors["conv1.weight"], stride=2, padding=3)
    torch.testing.assert_close(found["conv1"].kernel, convergence.kernel(first.flatten(1)))
    whole = evaluation.module(settings, tensors)
    with torch.no_grad():
        torch.testing.assert_close(found["fc"].kernel, convergence.kernel(whole(shown)))


def test_only_cells_of_a_grid_that_ask_for_it():
    def entry(role, *measures):
        return {"measures": [*measures], "named": [{"role": role}]}

    assert convergence.Convergence.asked_for(entry("grid", "convergence"))
    assert not convergence.Convergence.asked_for(entry("perturbed", "convergence"))
    assert not convergence.Convergence.asked_for(entry("grid", "filters"))
