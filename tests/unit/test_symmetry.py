"""Symmetries: what a layer table allows leaves a network's outputs as they were, and alignment finds it again."""

from typing import get_args, get_origin

import numpy as np
import pytest
import torch

from weight_atlas import networks
from weight_atlas.analysis.alignment import facts, matching, products, transforms, weight_matching
from weight_atlas.networks import symmetry
from weight_atlas.networks.table import Table

KINDS = ("permutation", "sign", "scale")


def tanh():
    """A tanh network with convolutions, average pools, padding and a dropout: every channel may be flipped."""
    table = Table(2, 9)
    table.zeropad("pad", (1, 0, 0, 1))
    table.conv("conv1", 5, 3)
    table.tanh("tanh1")
    table.avgpool("pool1", 2)
    table.conv("conv2", 6, 2)
    table.tanh("tanh2")
    table.flatten("flat")
    table.linear("fc1", 7)
    table.tanh("tanh3")
    table.dropout("drop", 0.5)
    table.linear("fc2", 4)
    return table


def residual():
    """Residual layers without BatchNorm: a weight with both axes on one wire, and a stage shared by three layers."""
    table = Table(2, 8)
    table.conv("stem", 6, 3, padding=1)
    x = table.relu("relu0")
    for n in (1, 2):
        table.conv(f"block{n}.conv", 6, 3, padding=1, input=x)
        table.relu(f"block{n}.relu")
        x = table.add(f"block{n}.add", x, f"block{n}.relu")
    table.maxpool("pool", 2)
    table.flatten("flat")
    table.linear("fc", 4)
    return table


def tanh_bn():
    """BatchNorm and tanh with a sum: a channel has one sign before each BatchNorm and one behind."""
    table = Table(2, 8)
    table.conv("stem", 6, 3, padding=1)
    table.batchnorm("norm0")
    x = table.tanh("tanh0")
    table.conv("conv1", 6, 3, padding=1)
    table.batchnorm("norm1")
    table.add("add", x, "norm1")
    table.tanh("tanh1")
    table.avgpool("pool", 2)
    table.conv("conv2", 5, 3)
    table.batchnorm("norm2")
    table.relu("relu2")
    table.flatten("flat")
    table.linear("fc", 4)
    return table


OWN = {"tanh": tanh, "residual": residual, "tanh_bn": tanh_bn}


def tables():
    """Every network, with the first and the last of its Literal options, at two inputs, and the three above."""
    for architecture in networks.names():
        choices = {n: get_args(kind) for n, (kind, _) in networks.options(architecture).items() if get_origin(kind)}
        width = 1.0 if architecture.startswith("lenet") else 0.0625
        for values in {tuple(kind[at] for kind in choices.values()): None for at in (0, -1)}:
            network = {"architecture": architecture, "width": width, "options": dict(zip(choices, values, strict=True))}
            for size, channels in ((1, 3), (37, 1)):
                size = networks.input_size(architecture, size)
                table = networks.layer_table(network, channels, size, 6)
                yield pytest.param(table, id=f"{architecture}-{','.join(map(str, values))}-{size}")
    for name, make in OWN.items():
        yield pytest.param(make(), id=name)


TABLES = list(tables())
SMALLEST = [case for case in TABLES if not case.id.endswith("-37")]


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks are quickest on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def error(table, before, after, batch=False):
    """Largest difference of two models' outputs over the largest output."""
    one, other = (facts.outputs(table, x, seed=3, batch=batch) for x in (before, after))
    return float((one - other).abs().max() / one.abs().max())


def correlations(table, a, b):
    """Pearson's r of the two models' weights, layer by layer."""
    weights = [f"{layer.name}.weight" for layer in table.weight_layers]
    return [np.corrcoef(a[name].reshape(-1), b[name].reshape(-1))[0, 1] for name in weights]


def learnable(table):
    return [name for name, _ in table.parameters()]


# Groups -------------------------------------------------------------------------------------------


def test_groups_of_lenet5():
    groups = symmetry.groups(networks.layer_table({"architecture": "lenet5"}, 1, 32, 10))
    assert [(x.name, x.channels, x.permutation, x.sign, x.scale) for x in groups] == [
        (name, channels, True, "no", True)
        for name, channels in (("conv1", 6), ("conv2", 16), ("fc1", 120), ("fc2", 84))
    ]
    assert [(x.tensor, x.axis, x.block) for x in groups[1].axes] == [
        ("conv2.weight", 0, 1),
        ("conv2.bias", 0, 1),
        ("fc1.weight", 1, 25),  # 5x5 maps, flattened
    ]


def test_groups_of_resnet18():
    """Four stages, each one group, and a group inside each block but where there is none: 4 + 8."""
    table = networks.layer_table({"architecture": "resnet18"}, 3, 32, 10)
    groups = {group.name: group for group in symmetry.groups(table)}
    assert len(groups) == 12
    assert [name for name in groups if not name.endswith(".conv1")] == [
        "conv1",
        *(f"layer{n}.0.conv2" for n in (2, 3, 4)),
    ]
    assert {(x.permutation, x.sign, x.scale) for x in groups.values()} == {(True, "conv-BN", True)}
    wires = {wire.name: (wire.sign, wire.scale) for wire in groups["conv1"].wires}
    assert wires == {
        "conv1": ("conv-BN", False),
        "bn1": ("no", True),  # what the stage's sums are of
        "layer1.0.conv2": ("conv-BN", False),
        "layer1.1.conv2": ("conv-BN", False),
    }
    stage = next(wire for wire in groups["conv1"].wires if wire.name == "bn1")
    assert {(x.tensor, x.axis) for x in stage.axes if x.power == -1} == {
        (f"{name}.weight", 1)
        for name in ("layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "layer2.0.downsample.0")
    }
    assert {x.tensor for x in stage.axes if x.power == 1} == {
        f"{name}.{own}" for name in ("bn1", "layer1.0.bn2", "layer1.1.bn2") for own in ("weight", "bias")
    }


def test_rows():
    assert symmetry.rows(tanh()) == [
        ("conv1", 5, True, "odd", False),
        ("conv2", 6, True, "odd", False),
        ("fc1", 7, True, "odd", False),
    ]
    assert symmetry.rows(tanh_bn()) == [
        ("stem", 6, True, "odd and conv-BN", False),
        ("conv2", 5, True, "conv-BN", True),
    ]
    assert symmetry.rows(residual()) == [("stem", 6, True, "no", True)]


def test_what_reaches_the_picture_or_the_output_is_fixed():
    """A sum with the picture, and a BatchNorm behind the head, whose own sign is still free."""
    table = Table(3, 4)
    table.conv("conv", 3, 3, padding=1)
    table.add("add", "input", "conv")
    table.conv("head", 2, 4)
    table.batchnorm("norm")
    table.flatten("flat")
    assert symmetry.rows(table) == [("head", 2, False, "conv-BN", False)]
    tensors = facts.noise(table, 1)
    assert error(table, tensors, transforms.apply(table, tensors, transforms.random(table, 0))) < 1e-10


def test_a_vector_that_joins_flattened_maps_moves_in_their_blocks():
    table = Table(1, 4)
    table.conv("conv", 4, 3)
    table.flatten("flat")
    table.flatten("pixels", input="input")
    table.linear("fc", 16)
    table.add("add", "flat", "fc")
    table.linear("head", 3)
    assert symmetry.rows(table) == [("conv", 4, True, "odd", True)]
    blocks = {(x.tensor, x.axis): x.block for x in symmetry.groups(table)[0].axes}
    assert blocks["fc.weight", 0] == blocks["fc.bias", 0] == blocks["head.weight", 1] == 4
    tensors = facts.noise(table, 1)
    assert error(table, tensors, transforms.apply(table, tensors, transforms.random(table, 0))) < 1e-10


def test_what_an_unknown_kind_reads_or_writes_stays():
    """Of tanh(): the channels on either side of the layer, and no others."""
    table = tanh()
    free = {group.name for group in symmetry.groups(table) if group.permutation}
    object.__setattr__(table.layers[2], "kind", "Softmax")
    left = {group.name for group in symmetry.groups(table) if group.permutation}
    assert free - left == {table.layers[1].name} and left < free


# What is allowed changes nothing, and what is not does ----------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_symmetries_leave_the_outputs(table):
    tensors = facts.noise(table, 1)
    norms = any(layer.kind == "BatchNorm2d" for layer in table.layers)
    signs = any(wire.sign != "no" for group in symmetry.groups(table) for wire in group.wires)
    for kinds in (*((kind,) for kind in KINDS), KINDS):
        transform = transforms.random(table, 2, kinds)
        counts = transform.counts()
        assert bool(counts.signs) == ("sign" in kinds and signs)
        assert bool(counts.permuted) <= ("permutation" in kinds)
        after = transforms.apply(table, tensors, transform)
        assert {name: (x.shape, x.dtype) for name, x in after.items()} == {
            name: (x.shape, x.dtype) for name, x in tensors.items()
        }
        for batch in {False, norms}:
            assert error(table, tensors, after, batch) < 1e-10, (kinds, batch)


@pytest.mark.parametrize("table", TABLES)
def test_what_is_no_symmetry_changes_the_outputs(table):
    """A wire that allows no sign, or no factor, is one that a sign or a factor would change (a factor before BatchNorm
    with the batch's statistics alone, which its weight cannot undo)."""
    tensors = facts.noise(table, 1)
    groups = symmetry.groups(table)
    for group in (groups[0], groups[-1]):
        for wire in group.wires:
            for factor, allowed in ((-1.0, wire.sign != "no"), (2.0, wire.scale)):
                transform = transforms.Transform({}, {wire.name: np.full(group.channels, factor)})
                reached = error(table, tensors, transforms.apply(table, tensors, transform), batch=True)
                assert (reached < 1e-10) == allowed, (wire.name, factor, reached)


def test_permuting_one_axis_alone_changes_the_outputs():
    table = networks.layer_table({"architecture": "lenet5"}, 1, 32, 10)
    tensors = facts.noise(table, 1)
    after = tensors | {"conv1.weight": tensors["conv1.weight"].flip(0)}
    assert error(table, tensors, after) > 1e-3


def test_apply_keeps_float32_and_shares_what_it_leaves():
    table = networks.layer_table({"architecture": "resnet18", "width": 0.0625}, 3, 32, 10)
    tensors = {name: x.float() if x.is_floating_point() else x for name, x in facts.noise(table, 1).items()}
    transform = transforms.random(table, 5)
    after = transforms.apply(table, tensors, transform)
    assert all(after[name].dtype == x.dtype for name, x in tensors.items())
    assert after["fc.bias"] is tensors["fc.bias"]
    back = {name: np.argsort(order) for name, order in transform.permutations.items()}
    restored = transforms.apply(table, after, transforms.Transform(back))
    undone = transforms.apply(
        table, restored, transforms.Transform({}, {name: 1 / x for name, x in transform.factors.items()})
    )
    assert all(torch.equal(undone[name], x) for name, x in tensors.items())  # powers of two are exact
    with pytest.raises(ValueError, match="bn1.weight is missing"):
        transforms.apply(table, {name: x for name, x in tensors.items() if name != "bn1.weight"}, transform)
    with pytest.raises(ValueError, match="kinds are rotation; allowed: permutation, sign, scale"):
        transforms.random(table, 0, ("rotation",))


# Alignment ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("permutation",), ("permutation", "sign"), ("scale",), KINDS], ids="+".join)
@pytest.mark.parametrize("table", SMALLEST)
def test_a_planted_symmetry_is_found_again(table, kinds):
    reference = facts.noise(table, 1)
    transform = transforms.random(table, 2, kinds)
    moved = transforms.apply(table, reference, transform)
    aligned, counts = weight_matching.align(table, reference, moved, kinds)
    if kinds == ("permutation",):
        assert min(correlations(table, reference, moved)) < 0.9
    assert min(correlations(table, reference, aligned)) > 1 - 1e-6
    assert products.distance(reference, aligned, learnable(table)) < 1e-6
    for name, x in reference.items():  # running statistics have followed
        assert torch.allclose(aligned[name].double(), x.double(), rtol=1e-6, atol=1e-9), name
    assert counts == transform.counts()
    assert error(table, reference, aligned) < 1e-6


@pytest.mark.parametrize("table", SMALLEST)
def test_the_distance_never_grows_and_the_function_stays(table):
    """Unrelated networks, and one with noise on it: closer than before, the same outputs."""
    reference, other = facts.noise(table, 1), facts.noise(table, 2)
    near = {
        name: x + 1e-3 * facts.noise(table, 3)[name] if name in learnable(table) else x for name, x in reference.items()
    }
    for tensors in (other, near):
        aligned, counts = weight_matching.align(table, reference, tensors)
        before, after = (products.distance(reference, x, learnable(table)) for x in (tensors, aligned))
        assert after <= before if tensors is near else after < before
        assert error(table, tensors, aligned) < 1e-9
        if tensors is near:
            assert (counts.permuted, counts.signs) == (0, 0)


@pytest.mark.parametrize("make", OWN.values())
def test_alignment_is_repeatable(make):
    reference, tensors = (facts.noise(make(), seed) for seed in (1, 2))
    one, other = (weight_matching.align(make(), reference, tensors) for _ in range(2))
    assert one[1] == other[1] and all(torch.equal(one[0][name], x) for name, x in other[0].items())


def test_a_network_is_closest_to_itself_and_a_diverged_one_stays():
    table = networks.layer_table({"architecture": "lenet1"}, 1, 28, 10)
    tensors = facts.noise(table, 1)
    nothing = transforms.Counts(0, 0, 0)
    aligned, counts = weight_matching.align(table, tensors, tensors)
    assert counts == nothing and all(torch.equal(aligned[name], x) for name, x in tensors.items())
    broken = tensors | {"fc.bias": tensors["fc.bias"] * float("nan")}
    assert weight_matching.align(table, tensors, broken)[1] == nothing


def test_dead_channels():
    """Channels of zeros do not upset the factors, and stay where they are."""
    table = networks.layer_table({"architecture": "lenet1"}, 1, 28, 10)
    reference, tensors = facts.noise(table, 1), facts.noise(table, 1)
    for x in (reference, tensors):
        x["conv2.weight"][3:6] = x["conv2.bias"][3:6] = 0
        x["fc.weight"].view(10, 12, 16)[:, 4] = 0
    tensors["fc.weight"] = tensors["fc.weight"] + 1e-3
    aligned, counts = weight_matching.align(table, reference, tensors)
    assert all(x.isfinite().all() for x in aligned.values())
    assert (counts.permuted, counts.signs) == (0, 0)


def test_bounded_pieces_give_the_same_sums(monkeypatch):
    table = networks.layer_table({"architecture": "lenet5"}, 1, 32, 10)
    reference, moved = facts.noise(table, 1), facts.noise(table, 2)
    whole, counts = weight_matching.align(table, reference, moved)
    monkeypatch.setattr(products, "PIECE", 300)
    parts, same = weight_matching.align(table, reference, moved)
    assert counts == same
    assert all(torch.allclose(parts[name], x, rtol=1e-9) for name, x in whole.items())


def test_nearest_factors():
    """The roots against a fine grid of factors, and zeros on either side."""
    generator = np.random.default_rng(0)
    q, v = generator.normal(size=(2, 50))
    p, u = generator.uniform(0.1, 3, size=(2, 50))
    found = weight_matching.nearest_factors(q, p, v, u)
    grid = np.geomspace(1e-3, 1e3, 200_001)[:, None]

    def squares(a):
        return a**2 * p - 2 * a * q + u / a**2 - 2 * v / a

    assert (squares(found) <= squares(grid).min(0) + 1e-9).all()
    assert weight_matching.nearest_factors(*np.array([[0, 2], [0, 4], [3, 0], [1, 0]], float)).tolist() == [1, 1]


def test_matched_matrices():
    generator = np.random.default_rng(0)
    a = generator.normal(size=(30, 40))
    order, flips = generator.permutation(30), generator.choice([-1.0, 1.0], 30)
    b = np.empty_like(a)
    b[order] = flips[:, None] * a * generator.uniform(0.5, 2, (30, 1)) + 3  # standardised away
    assert [x.tolist() for x in matching.match_units(a, b, allow_signs=True)[:2]] == [order.tolist(), flips.tolist()]
    assert matching.match_units(a, torch.from_numpy(b), allow_signs=True)[2] == pytest.approx(1)
    plain, ones, likeness = matching.match_units(a, b)
    assert (ones == 1).all() and sorted(plain) == list(range(30)) and likeness < 0.9
    assert matching.match_units(np.ones((2, 3)), np.ones((2, 3)))[2] == 0  # constant rows
    with pytest.raises(ValueError, match="must be equal"):
        matching.match_units(a, b[:5])


# Facts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_facts(seed):
    """What holds, holds to rounding; what does not is off by far more than the tolerance."""
    rows = facts.rows(seed)
    failing = {
        ("conv, BatchNorm, ReLU; beta = 0", "all parameters flipped, eval"),
        ("conv, BatchNorm, ReLU", "all parameters flipped, batch"),
        ("tanh, biases, 3 weight layers", "all parameters flipped"),
        ("ReLU", "all parameters flipped"),
        ("tanh, biases, 3 weight layers", "one layer's rows doubled, the next one's columns halved"),
    }
    assert {(x.network, x.transformation) for x in rows if not x.holds} == failing
    assert [x.expected for x in rows if x.network == "ReLU" and not x.holds] == ["f", "-f"]
    assert all(x.error < 1e-12 if x.holds else x.error > 1e-3 for x in rows)
    assert len({x[:3] for x in rows}) == len(rows)
