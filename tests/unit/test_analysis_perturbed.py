"""Perturbed and trained again: geometry, aftermath, lines between networks, and answers, against independent sums."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import scipy.spatial
import scipy.special
import torch
from test_analysis import (
    by_hand,
    cell,
    flat,
    layers,
    replicate,
    run,
    snapshot,
    torches,
    write_block,
    write_cells,
    write_data,
)

import collect
import measure
from tests.unit import cells
from tests.unit.tables import read_table
from weight_atlas import cell_table, schema, store
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.alignment import transforms, weight_matching
from weight_atlas.analysis.features import similarity
from weight_atlas.analysis.perturbed import distance_to_original, immediate_accuracy, paths, precision, snapshots
from weight_atlas.networks import inputs, symmetry
from weight_atlas.networks.build import build

SAME, OTHER, REPEATED = "none (same order)", "none (other order)", "none (repeated)"
POINTS = [step / 12 for step in range(13)]


def child(parent, steps=(), order="same", repeat=0, take="last", state="fresh", **training):
    """A resolved cell that starts from a parent."""
    start = {"kind": "perturb", "cell": parent, "take": take, "scheme": "kaiming_uniform", "steps": list(steps)}
    start |= {"order": order, "repeat": repeat, "state": state}
    return cells.settings(start=start, training={"epochs": 2} | training, snapshots="ends")


FLIP = {"type": "flip", "layers": None, "tensors": "all"}


def entry(settings, label, role="perturbed", study="s"):
    """A cell as `cell_table.read` gives it."""
    labels = {"dataset": "d", "network": "n", "perturbation": label}
    return {"seeds": [0], "cell": settings, "named": [{"study": study, "kind": "k", "role": role, "labels": labels}]}


# ------------------------------------------------------------------------------------------------ answers


def test_divergence_is_scipys():
    random = np.random.default_rng(40)
    a, b = (random.normal(0, scale, (200, 7)).astype("float32") for scale in (1, 8))
    shares = [scipy.special.softmax(x.astype("float64"), 1) for x in (a, b)]
    expected = np.mean(scipy.spatial.distance.jensenshannon(*shares, base=2, axis=1) ** 2)
    assert similarity.divergence(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(expected, rel=1e-12)


def test_divergence_is_0_for_equal_answers_and_1_for_opposite_ones():
    certain = 1e4 * torch.eye(3)  # of two classes both models say 0, without any digit left
    assert similarity.divergence(certain, certain) == 0
    assert similarity.divergence(certain, certain.roll(1, 0)) == 1
    some = torch.randn(50, 4)
    assert similarity.divergence(some, some + 3) == pytest.approx(0, abs=1e-12), "softmax does not see a shift"


# ------------------------------------------------------------------------------------------------ which control


def test_the_control_starts_and_is_trained_as_the_cell():
    found = cell_table.children(
        {
            "p": entry(cell(), "", role="grid"),
            "flip": entry(child("p", [FLIP]), "flip"),
            "short": entry(child("p", [FLIP], epochs=1), "flip"),
            "best": entry(child("p", [FLIP], take="best"), "flip"),
            "carried": entry(child("p", [FLIP], state="carried"), "flip"),
            "tracked": entry(child("p", [FLIP], track=True), "flip"),
            "other-parent": entry(child("q", [FLIP]), "flip"),
            "same": entry(child("p", track=False), SAME, "control"),
            "other": entry(child("p", order="other"), OTHER, "control"),
            "again": entry(child("p", repeat=1), REPEATED, "control"),
            "best-same": entry(child("p", take="best"), SAME, "control"),
            "transferred": entry(child("p"), "", role="transfer"),
        }
    )
    controls = {name: own.control for name, own in found.items()}
    expected = dict.fromkeys(("flip", "tracked", "other", "again"), "same") | {"best": "best-same"}
    assert controls == dict.fromkeys(("short", "carried", "other-parent", "same", "best-same")) | expected
    assert found["best"] == ("p", "best", "best-same", ("flip",)) and found["other-parent"].parent == "q"


def test_a_cell_that_two_studies_name_has_both_labels():
    both = entry(child("p", [FLIP]), "flip")
    both["named"] += entry(None, "flip", study="t")["named"] + entry(None, "negated", study="u")["named"]
    assert cell_table.children({"x": both})["x"].labels == ("flip", "negated")


# ------------------------------------------------------------------------------------------------ formats


def rounded(values, kept):
    """float32 values with the last bits of their mantissa gone but for `kept` of 23: to the nearest, ties to even."""
    bits, away = values.astype("float32").view("uint32").astype("uint64"), 23 - kept
    bits += (1 << (away - 1)) - 1 + ((bits >> away) & 1)
    return ((bits >> away) << away).astype("uint32").view("float32")


@pytest.mark.parametrize("size", [1e-6, 1e-4, 1e-3])
def test_the_parameters_that_an_addition_changes_in_each_format(size):
    """bfloat16 by its bits and float16 by numpy's, on values between 1e-8 and 10; the rest of a network counts too."""
    table, random = layers(cell()), np.random.default_rng(6)
    original, start, expected = {}, {}, dict.fromkeys(("float32", "float16", "bfloat16"), 0)
    for name, shape in table.parameters():
        values = (10 ** random.uniform(-8, 1, shape) * random.choice([-1, 1], shape)).astype("float32")
        moved = values + np.float32(size)
        original[name], start[name] = torch.from_numpy(values), torch.from_numpy(moved)
        delta = moved - values
        expected["float32"] += int((moved != values).sum())
        half = values.astype("float16")
        expected["float16"] += int(((half.astype("float32") + delta).astype("float16") != half).sum())
        brain = rounded(values, 7)
        expected["bfloat16"] += int((rounded(brain + delta, 7) != brain).sum())
    found = precision.rows(table, original, start)
    assert {row.format: row.changed for row in found} == expected
    assert {row.parameters for row in found} == {sum(tensor.numel() for tensor in original.values())}
    assert 0 < expected["bfloat16"] < expected["float16"] < expected["float32"]


def test_values_on_the_edge_between_two_of_a_format():
    """Above 1 a step is 2^-10 in float16 and 2^-7 in bfloat16: half of it is rounded to even, more is a step."""
    table = layers(cell())
    zero = {name: torch.zeros(shape) for name, shape in table.parameters()}
    for format, step in (("float32", 2**-23), ("float16", 2**-10), ("bfloat16", 2**-7)):
        for part, changed in ((0.25, 0), (0.5, 0), (0.75, 1), (1, 1)):
            if format == "float32" and part < 1:
                continue  # the start itself is held in float32
            original, start = ({name: tensor.clone() for name, tensor in zero.items()} for _ in range(2))
            original["conv1.weight"].view(-1)[3], start["conv1.weight"].view(-1)[3] = 1, 1 + part * step
            counts = {row.format: row.changed for row in precision.rows(table, original, start)}
            assert counts[format] == changed, (format, part)


# ------------------------------------------------------------------------------------------------ pictures


@pytest.mark.parametrize(("count", "size"), [(1, 5), (5, 5), (6, 5), (501, 500), (1000, 250), (1001, 250), (0, 5)])
def test_batches_are_even_and_hold_everything_once(count, size):
    found = list(evaluation.interleaved_batches(torch.arange(count), size))
    assert sorted(torch.cat([*found, torch.zeros(0)]).tolist()) == list(range(count))
    lengths = [len(batch) for batch in found]
    assert not count or (max(lengths) <= size and max(lengths) - min(lengths) <= 1)


def test_pictures_of_a_file_in_order_of_class_show_every_class():
    labels = torch.arange(10).repeat_interleave(500)
    assert torch.equal(labels[evaluation.evenly_spaced(5000, 2000)].bincount(), torch.full((10,), 200))
    assert all(len(batch.unique()) == 10 for batch in evaluation.interleaved_batches(labels, 500))
    assert evaluation.evenly_spaced(7, 10).tolist() == list(range(7)) and len(evaluation.evenly_spaced(0, 10)) == 0
    assert len(evaluation.evenly_spaced(2001, 2000).unique()) == 2000


def test_pictures_of_a_data_file(tmp_path):
    data, card, images = write_data(tmp_path, count=40, size=26)
    held = store.load_arrays(data)
    found = evaluation.load_images(data, store.read_json(card), 3, 28, train=4)
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1))).repeat(3, axis=1)
    assert np.array_equal(found.test, padded) and np.array_equal(found.labels, held["labels"][held["split"] == 2])
    train = held["images"][held["split"] == 0][[0, 2, 5, 7]]
    assert np.array_equal(found.train[:, :, 1:-1, 1:-1], train.repeat(3, axis=1))
    store.save_tensors(data, held | {"split": np.zeros_like(held["split"])})
    with pytest.raises(ValueError, match=r"made-up.safetensors: no image has split 2 \(test\)"):
        evaluation.load_images(data, store.read_json(card), 3, 28, 4)


# ------------------------------------------------------------------------------------------------ geometry


def test_returns_of_planted_points():
    """The original, its negation, and the original again."""
    table = layers(cell())
    original = torches(snapshot(table, np.random.default_rng(41)))
    start = {name: -tensor for name, tensor in original.items()}
    start["conv1.bias"] = original["conv1.bias"].clone()
    columns = [name for name in schema.names("returns") if name not in ("cell_id", "seed")]
    found = pd.DataFrame(distance_to_original.rows(table, original, start, original, start), columns=columns)
    assert list(found["pair"].unique()) == ["perturbation", "original", "moved", "control"]
    assert found["layer"].tolist() == ["conv1", "conv2", "fc", "total"] * 4
    own = {pair: rows.set_index("layer") for pair, rows in found.groupby("pair")}
    assert (own["original"][["changed", "distance"]] == 0).all(axis=None)
    assert own["original"]["cosine"].tolist() == pytest.approx([1] * 4, abs=1e-15)
    flipped = own["perturbation"].drop(["conv1", "total"])
    assert (flipped["distance"] == 2 * flipped["norm_a"]).all() and (flipped["relative"] == 2).all()
    assert flipped["cosine"].tolist() == pytest.approx([-1, -1], abs=1e-15)
    assert own["perturbation"]["changed"].to_dict() == {"conv1": 100, "conv2": 1212, "fc": 1930, "total": 3242}
    assert own["moved"]["size"].to_dict() == {"conv1": 104, "conv2": 1212, "fc": 1930, "total": 3246}
    pd.testing.assert_frame_equal(own["moved"].drop(columns="pair"), own["control"].drop(columns="pair"))


# ------------------------------------------------------------------------------------------------ BatchNorm


@pytest.fixture(scope="module")
def normed(tmp_path_factory):
    """ResNet18 at 1/16 of its width: (cell, layers, two snapshots, pictures); 260 for BatchNorm, in two batches."""
    folder = tmp_path_factory.mktemp("normed")
    torch.set_num_threads(1)
    settings = cell("resnet18", 1, 32, width=1 / 16)
    table, random = layers(settings), np.random.default_rng(42)
    ends = [torches(snapshot(table, random)) for _ in range(2)]
    data, card, _ = write_data(folder, count=61, size=32)
    shown = evaluation.load_images(data, store.read_json(card), 1, 32, paths.TRAIN)
    train = torch.from_numpy(random.integers(0, 256, (260, 1, 32, 32), dtype="uint8"))
    return settings, table, ends, evaluation.Images(shown.test, shown.labels, train, shown.mean, shown.std)


def fresh(settings, tensors):
    """The network built with storage of its own."""
    model, _ = build(*settings.network_arguments)
    model.load_state_dict(tensors)
    return model.eval()


def judged(model, pictures):
    """(accuracy, loss) of a model in one batch."""
    with torch.no_grad():
        outputs = model(inputs.normalise(pictures.test, pictures.mean, pictures.std)).double()
    loss = torch.nn.functional.cross_entropy(outputs, pictures.labels)
    return (outputs.argmax(1) == pictures.labels).double().mean().item(), loss.item()


def test_aftermath_in_three_modes(normed):
    settings, _, (tensors, _), pictures = normed
    kept = copy.deepcopy(tensors)
    found = immediate_accuracy.rows(settings, tensors, pictures)
    assert [row[:2] for row in found] == [("eval", 61), ("batch", 61), ("flipped_means", 61)]
    assert found[0][2:] == pytest.approx(judged(fresh(settings, tensors), pictures), rel=1e-5)
    training = fresh(settings, tensors).train()  # it has no dropout
    assert found[1][2:] == pytest.approx(judged(training, pictures), rel=1e-5)
    flipped = fresh(settings, tensors)
    for part in flipped.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.neg_()
    assert found[2][2:] == pytest.approx(judged(flipped, pictures), rel=1e-5)
    assert len({row[3] for row in found}) == 3
    assert all(torch.equal(tensors[name], kept[name]) for name in kept), "the snapshot stays as it is"


def test_aftermath_keeps_dropout_off_in_batch_mode(normed):
    settings = cell("vgg11_bn", 1, 32, width=1 / 32)
    tensors = torches(snapshot(layers(settings), np.random.default_rng(43), scale=0.5))
    model = fresh(settings, tensors)
    assert any(isinstance(part, torch.nn.Dropout) for part in model.modules())
    for part in model.modules():
        part.training = isinstance(part, torch.nn.BatchNorm2d)
    found = immediate_accuracy.rows(settings, tensors, normed[3])
    assert found[1][2:] == pytest.approx(judged(model, normed[3]), rel=1e-4)


def test_statistics_are_made_anew_as_torch_does(normed):
    """Against torch's own update_bn, and the first layer's against the moments of what enters it."""
    settings, _, (tensors, _), pictures = normed
    module = evaluation.module(settings, {name: tensor.clone() for name, tensor in tensors.items()})
    norms = evaluation.batchnorms(module)
    paths.reestimate(module, norms, pictures)
    assert not any(part.training for part in module.modules())
    batches = [inputs.normalise(pictures.train[at::2], pictures.mean, pictures.std) for at in range(2)]
    other = fresh(settings, tensors)
    torch.optim.swa_utils.update_bn(batches, other)
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[name], rtol=1e-5, atol=1e-6)
    maps = [other.conv1(batch).detach().double().transpose(0, 1).flatten(1).numpy() for batch in batches]
    mean = np.mean([own.mean(1) for own in maps], axis=0)
    spread = np.mean([own.var(1, ddof=1) for own in maps], axis=0)
    np.testing.assert_allclose(module.bn1.running_mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(module.bn1.running_var, spread, rtol=1e-4)
    whole = np.concatenate(maps, axis=1)
    np.testing.assert_allclose(module.bn1.running_mean, whole.mean(1), rtol=5e-3, atol=1e-3)
    np.testing.assert_allclose(module.bn1.running_var, whole.var(1), rtol=5e-3)


def test_a_line_has_statistics_of_its_own_at_every_point(normed):
    settings, _, (a, b), pictures = normed
    kept = copy.deepcopy(a)
    line = paths.walk(settings, a, b, pictures)
    batches = [inputs.normalise(pictures.train[at::2], pictures.mean, pictures.std) for at in range(2)]
    for t, count, loss, accuracy in (line[0], line[5], line[12]):
        mixed = {name: ((1 - t) * a[name].double() + t * b[name].double()).to(a[name].dtype) for name in a}
        model = fresh(settings, mixed)
        torch.optim.swa_utils.update_bn(batches, model)
        assert (accuracy, loss) == pytest.approx(judged(model.eval(), pictures), rel=1e-4) and count == 61
    assert [point[0] for point in line] == POINTS
    assert all(torch.equal(a[name], kept[name]) for name in kept), "the snapshot stays as it is"
    assert paths.walk(settings, a, b, pictures, line[0]) == line


def test_a_point_of_a_line_is_mixed_in_float64():
    random = np.random.default_rng(44)
    a, b = (torch.from_numpy(random.normal(0, 1, (3, paths.CHUNK // 2 + 1)).astype("float32")) for _ in range(2))
    out = torch.empty_like(a)
    for t in POINTS:
        paths.mix(out, a, b, t)
        expected = (1 - t) * a.double().numpy() + t * b.double().numpy()
        np.testing.assert_allclose(out, expected, rtol=2**-24 * 1.001, atol=1e-15)
        assert t not in (0, 1) or torch.equal(out, b if t else a)


def test_barriers_of_made_up_lines():
    line = [(t, 9, 1 + 2 * t, 0.9 - 0.2 * t) for t in POINTS]
    assert paths.barrier(line) == pytest.approx((0, 0), abs=1e-15)
    line[5] = (POINTS[5], 9, 1 + 2 * POINTS[5] + 0.7, 0.9 - 0.2 * POINTS[5] - 0.3)
    line[7] = (POINTS[7], 9, 1 + 2 * POINTS[7] - 5, 1.0)
    assert paths.barrier(line) == pytest.approx((0.7, 0.3))
    line[6] = (0.5, 9, math.nan, 0.1)
    assert math.isnan(paths.barrier(line)[0]) and paths.barrier(line)[1] == pytest.approx(0.7)


def test_a_renamed_network_has_no_barrier_once_it_is_aligned(normed):
    settings, table, (a, _), pictures = normed
    renamed = transforms.apply(table, a, transforms.random(table, 3, ["permutation"]))
    points, barriers = paths.rows(settings, table, a, renamed, pictures)
    assert [row[0] for row in points] == ["plain"] * 13 + ["aligned"] * 13
    plain, aligned = barriers
    assert plain[3] > 1 and plain[4:] == (0, 0)
    assert aligned[:2] == ("aligned", pytest.approx(0, abs=1e-4)) and aligned[3] == pytest.approx(0, abs=1e-3)
    assert aligned[4] > 0


# ------------------------------------------------------------------------------------------------ a group, whole


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """LeNet-1 measured and collected: (folder, {(cell, seed): {epoch: tensors}}, test pictures, labels).

    perturb-a, three seeds asked for: 0 and 1 done, 2 failed. Its children: flip (the start is negated; the end is
    random; seed 1 diverged), back (the end is the original), the three controls, and a longer one without a control.
    perturb-b, from the best epoch of a: its original is no last epoch.
    """
    folder = tmp_path_factory.mktemp("family")
    random, table = np.random.default_rng(45), layers(cell())
    data, card, images = write_data(folder, count=90)
    held = store.load_arrays(data)
    add = {"type": "add", "layers": None, "tensors": "all", "size": 1e-6, "noise": "constant"}
    wanted = {
        "base-a": (cell(epochs=1, snapshots="ends"), "", "grid"),
        "base-c": (cell(epochs=1, snapshots="ends"), "", "grid"),
        "flip": (child("base-a", [FLIP]), "flip", "perturbed"),
        "back": (child("base-a", [add]), "add", "perturbed"),
        "same": (child("base-a"), SAME, "control"),
        "other": (child("base-a", order="other"), OTHER, "control"),
        "again": (child("base-a", repeat=1), REPEATED, "control"),
        "long": (child("base-a", [FLIP], epochs=3), "flip", "perturbed"),
        "best": (child("base-a", [FLIP], take="best"), "flip", "perturbed"),
    }
    made, rows = {}, []
    for name, (settings, label, role) in wanted.items():
        last = settings.epochs
        series = {seed: {epoch: balanced(table, random, images) for epoch in (0, last)} for seed in (0, 1)}
        series[2] = {0: snapshot(table, random), last: snapshot(table, random)}
        for seed, own in series.items():
            if role != "grid":
                original = made["base-a", seed]["best" if name == "best" else 1]
                own[0] = {key: -values for key, values in original.items()} if label == "flip" else dict(original)
            if name == "back":
                own[0] = {key: (values + 1e-6).astype("float32") for key, values in original.items()}
                own[last] = original
            if name == "again":
                own[last] = made["same", seed][last]
            if name == "base-a":
                own["best"] = balanced(table, random, images)
            made |= {(name, seed): own}
        states = ["done", "diverged" if name == "flip" else "done", "failed" if name == "base-a" else "done"]
        blocks = [folder / name / "seeds_0-2"]
        write_block(blocks[0], name, settings, [replicate(k, s, last) for k, s in enumerate(states)], series)
        (blocks[0] / "metrics.csv").write_text(",".join(schema.names("metrics")) + "\n")
        labels = {"perturbation": label, "role": role, "optimizer": "adam" if name == "base-c" else "sgd"}
        rows.append((name, blocks, 3, card, settings, labels))
    listed = write_cells(folder / "cells.csv", rows)
    out = folder / "measures"
    run(measure, folder, [f"--cells={listed}", "--group=g", f"--data={data}", f"--card={card}", f"--output={out}"])
    flags = [f"--cells={listed}", "--measures", str(out), f"--cards={card}", f"--output={folder / 'tables'}"]
    run(collect, folder, flags)
    return folder, made, images, held["labels"][held["split"] == 2]


def balanced(table, random, images):
    """A random snapshot whose outputs lie around 0, so that the pictures are told apart."""
    tensors = snapshot(table, random)
    tensors["conv2.bias"][:] = 0.2
    middle = by_hand(tensors, images, 0.3, 0.2).mean(0) @ tensors["fc.weight"].T
    tensors["fc.bias"] = -middle.astype("float32")
    return tensors


def read(family, name):
    """A collected table; nothing is read as a missing value but numbers."""
    return read_table(family[0] / "tables" / f"{name}.csv")


MEASURED = ("back", "same", "other", "again", "long", "best")
COMPARED = [("flip", 0), *((name, seed) for name in MEASURED for seed in (0, 1))]


def test_replicates_of_finished_parents_have_rows(family):
    """Seed 2's parent failed, flip's seed 1 diverged: they have no rows, though seed 2 of the children was measured."""
    for name in ("returns", "aftermath", "paths", "barriers"):
        found = read(family, name)
        assert list(found.columns) == schema.names(name)
        assert list(dict.fromkeys(found[["cell_id", "seed"]].itertuples(index=False, name=None))) == COMPARED
        assert (family[0] / "tables" / f"{name}.csv").read_bytes() == (
            family[0] / "measures" / f"{name}.csv"
        ).read_bytes()
    assert ("flip", 2) in set(read(family, "movement")[["cell_id", "seed"]].itertuples(index=False, name=None))
    found = read(family, "symmetries")
    expected = [("base-a", *row) for row in symmetry.rows(layers(cell()))]
    assert list(found.itertuples(index=False, name=None)) == expected and len(found.columns) == len(expected[0])


def points(family, name, seed):
    """(original, start, end, end of the control or None) of a replicate."""
    made = family[1]
    last = 3 if name == "long" else 2
    control = None if name in ("same", "long", "best") else made["same", seed][2]
    return made["base-a", seed]["best" if name == "best" else 1], made[name, seed][0], made[name, seed][last], control


def test_returns_against_numpy(family):
    table, found = layers(cell()), read(family, "returns")
    learnable = [layer for layer in table.layers if layer.parameters]
    names = {layer.name: [f"{layer.name}.{own}" for own in layer.parameters] for layer in learnable}
    names["total"] = [name for name, _ in table.parameters()]
    for (name, seed), own in found.groupby(["cell_id", "seed"]):
        original, start, end, control = points(family, name, seed)
        pairs = {"perturbation": (original, start), "original": (original, end), "moved": (start, end)}
        pairs |= {"control": (control, end)} if control else {}
        keys = list(own[["pair", "layer"]].itertuples(index=False, name=None))
        assert keys == [(pair, layer) for pair in pairs for layer in names]
        for row in own.itertuples():
            a, b = (flat(tensors, names[row.layer]) for tensors in pairs[row.pair])
            norms = np.linalg.norm(a), np.linalg.norm(b), np.linalg.norm(a - b)
            assert (row.norm_a, row.norm_b, row.distance) == pytest.approx(norms, rel=1e-12)
            assert row.cosine == pytest.approx(a @ b / (norms[0] * norms[1]), abs=1e-12)
            assert row.relative == pytest.approx(norms[2] / norms[0], rel=1e-12)
            assert (row.size, row.changed) == (len(a), np.sum(a != b))


def test_planted_replicates(family):
    """The one that came back is nowhere; the repeated control is the control; the flip is twice as far."""
    total = read(family, "returns").query("layer == 'total'").set_index(["cell_id", "seed", "pair"])
    assert (total.loc[("back", 0, "original"), ["distance", "changed"]] == 0).all()
    assert (total.loc[("again", 1, "control"), ["distance", "changed"]] == 0).all()
    flip = total.loc[("flip", 0, "perturbation")]
    assert flip["distance"] == pytest.approx(2 * flip["norm_a"], rel=1e-15) and flip["cosine"] == pytest.approx(-1)
    barriers = read(family, "barriers").set_index(["cell_id", "seed", "alignment"])
    for alignment in ("plain", "aligned"):
        found = barriers.loc[("back", 0, alignment)]
        assert found[["loss_barrier", "accuracy_barrier"]].tolist() == pytest.approx([0, 0], abs=1e-12)
        assert (found[["distance", "permuted", "signs"]] == 0).all()
    pairs = read(family, "pairs").query("factor == 'original'").set_index(["cell_b", "seed_b"])
    found = pairs.loc[("back", 0)]
    assert found[["distance", "divergence"]].tolist() == [0, 0] and found["agreement"] == 1
    assert found["cka"] == pytest.approx(1) and found["errors_a"] == found["errors_b"] == found["both_wrong"]


def outputs(tensors, images):
    """LeNet-1's outputs, by functional calls."""
    return by_hand(tensors, images, 0.3, 0.2) @ tensors["fc.weight"].T.astype("float64") + tensors["fc.bias"]


def loss_accuracy(tensors, images, labels):
    found = outputs(tensors, images)
    logs = scipy.special.log_softmax(found, 1)
    return -logs[range(len(labels)), labels].mean(), (found.argmax(1) == labels).mean()


def test_what_was_perturbed_is_counted_in_each_format(family):
    """Controls have no row; a flip changes all but zeros, in float32 as `returns` counts them."""
    found, counted = read(family, "precision"), read(family, "returns").query("pair == 'perturbation'")
    assert list(found.columns) == schema.names("precision")
    assert (
        set(found["cell_id"]) == {"flip", "back", "long", "best"}
        and not found.duplicated(["cell_id", "seed", "format"]).any()
    )
    counted = counted[(counted["layer"] == "total") & counted["cell_id"].isin(found["cell_id"])]
    whole = found[found["format"] == "float32"].merge(counted, on=["cell_id", "seed"], suffixes=("", "_returns"))
    assert len(whole) == len(counted) > 0
    assert (whole["changed"] == whole["changed_returns"]).all() and (whole["parameters"] == whole["size"]).all()


def test_aftermath_is_the_starts(family):
    _, made, images, labels = family
    found = read(family, "aftermath")
    assert (found["mode"] == "eval").all() and (found["pictures"] == 90).all(), "LeNet-1 has no BatchNorm"
    for row in found.itertuples():
        expected = loss_accuracy(made[row.cell_id, row.seed][0], images, labels)
        assert (row.loss, row.accuracy) == pytest.approx(expected, rel=1e-5)


def test_lines_against_hand_made_networks(family):
    _, _, images, labels = family
    table, names = layers(cell()), [name for name, _ in layers(cell()).parameters()]
    lines, barriers = read(family, "paths"), read(family, "barriers").set_index(["cell_id", "seed", "alignment"])
    moved = 0
    for (name, seed, alignment), line in lines.groupby(["cell_id", "seed", "alignment"]):
        a, _, b, _ = points(family, name, seed)
        kept = barriers.loc[(name, seed, alignment)][["permuted", "signs"]].sum() == 0
        if (
            alignment == "aligned" and not kept
        ):  # the smaller barrier counts, and to leave a network as it is aligns it too
            aligned, counts = weight_matching.align(table, torches(a), torches(b))
            b = {key: tensor.numpy() for key, tensor in aligned.items()}
            moved += counts.permuted
        assert line["t"].tolist() == pytest.approx(POINTS) and (line["pictures"] == 90).all()
        assert line["t"].iloc[0] == 0 and line["t"].iloc[-1] == 1
        values = []
        for t in POINTS:
            mixed = {key: ((1 - t) * a[key].astype("float64") + t * b[key]).astype("float32") for key in names}
            values.append(loss_accuracy(mixed, images, labels))
        values = np.array(values)
        assert line[["loss", "accuracy"]].to_numpy() == pytest.approx(values, rel=1e-4)
        straight = np.outer(1 - np.array(POINTS), values[0]) + np.outer(POINTS, values[-1])
        own = barriers.loc[(name, seed, alignment)]
        assert own["accuracy_barrier"] <= barriers.loc[(name, seed, "plain")]["accuracy_barrier"]
        expected = (values[:, 0] - straight[:, 0]).max(), (straight[:, 1] - values[:, 1]).max()
        assert own[["loss_barrier", "accuracy_barrier"]].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert own["distance"] == pytest.approx(np.linalg.norm(flat(a, names) - flat(b, names)), rel=1e-9)
        assert alignment == "aligned" or (own[["permuted", "signs"]] == 0).all()
    assert moved > 0
    distance = barriers["distance"].unstack()
    assert (distance["aligned"] <= distance["plain"] * (1 + 1e-12)).all()


def test_pairs_with_the_original_and_with_the_control(family):
    folder, made, images, labels = family
    found = read(family, "pairs")
    keys = ["cell_a", "seed_a", "cell_b", "seed_b", "level_a", "level_b"]
    names = {"flip": "flip", "back": "add", "same": SAME, "other": OTHER, "again": REPEATED, "long": "flip"}
    names |= {"best": "flip"}
    kinds = {factor: set(own[keys].itertuples(index=False, name=None)) for factor, own in found.groupby("factor")}
    assert kinds["original"] == {("base-a", s, name, s, "original", names[name]) for name, s in COMPARED}
    # Seed 2 of the children is done: there is a control, if no original.
    controlled = [("flip", 0), ("flip", 2), *((name, s) for name in ("back", "other", "again") for s in (0, 1, 2))]
    assert kinds["control"] == {("same", s, name, s, SAME, names[name]) for name, s in controlled}
    assert {key[:4] for key in kinds["seed"]} == {
        ("base-a", 0, "base-a", 1),
        *(("base-c", a, "base-c", b) for a, b in ((0, 1), (0, 2), (1, 2))),
    }, "the seeds of a child are not compared"
    assert {key[4:] for key in kinds["optimizer"]} == {("sgd", "adam")} and len(kinds) == 4
    best = 0
    for row in found[found["factor"].isin(["original", "control"])].itertuples():
        original, _, end, control = points(family, row.cell_b, row.seed_b)
        a, b = (outputs(tensors, images) for tensors in (original if row.factor == "original" else control, end))
        assert row.agreement == np.mean(a.argmax(1) == b.argmax(1))
        wrong = [own.argmax(1) != labels for own in (a, b)]
        assert (row.errors_a, row.errors_b) == tuple(own.sum() for own in wrong)
        assert row.both_wrong == (wrong[0] & wrong[1]).sum()
        shares = [scipy.special.softmax(own, 1) for own in (a, b)]
        squares = scipy.spatial.distance.jensenshannon(*shares, base=2, axis=1) ** 2
        assert row.divergence == pytest.approx(np.nan_to_num(squares).mean(), rel=1e-4, abs=1e-9)
        best += row.cell_b == "best"
    assert best == 2
    kept = set(store.load_arrays(folder / "measures" / "pairs.safetensors"))
    expected = {f"base-a/seed0|{name}/seed0" for name in ("flip", *MEASURED)}
    assert kept == expected | {"base-a/seed0|base-a/seed1", "base-a/seed0|base-c/seed0"}


def test_children_change_nothing_for_the_grid(family, tmp_path):
    """The tables of a config without them: the same rows of grid cells, the same tests."""
    folder = family[0]
    listed = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    listed[listed["role"] == "grid"].drop(columns="perturbation").to_csv(tmp_path / "cells.csv", index=False)
    data, out = folder / "made-up", tmp_path / "measures"
    flags = [f"--cells={tmp_path / 'cells.csv'}", "--group=g", f"--data={data}.safetensors", f"--card={data}.json"]
    run(measure, folder, [*flags, f"--output={out}"])
    flags = [flags[0], "--measures", str(out), f"--cards={data}.json", f"--output={tmp_path / 'tables'}"]
    run(collect, folder, flags)
    assert (tmp_path / "tables" / "tests.csv").read_bytes() == (folder / "tables" / "tests.csv").read_bytes()
    for name in ("statistics", "movement", "unchanged", "parameters", "tolerance", "features", "summary", "accuracy"):
        own, whole = (read_table(path / "tables" / f"{name}.csv") for path in (tmp_path, folder))
        whole = whole[whole["cell_id"].isin(["base-a", "base-c"])].reset_index(drop=True)
        assert len(own) or name == "accuracy"
        pd.testing.assert_frame_equal(own, whole, check_dtype=False)
    own, whole = (read_table(path / "tables" / "pairs.csv") for path in (tmp_path, folder))
    whole = whole[~whole["factor"].isin(["original", "control"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, whole, check_dtype=False)


def test_a_snapshot_that_is_not_there(tmp_path):
    block = tmp_path / "base-a/seeds_0-1"
    for seed in (0, 1):
        for epoch in (2, 3):
            store.save_tensors(store.snapshot_path(block, seed, epoch), {"x": np.zeros(1)})
    write_block(block, "base-a", cell(), [replicate(0, epochs=3), replicate(1, "diverged", 3)])
    asked = {"blocks": [str(block)]}
    assert snapshots.finished_snapshot(asked, 0).name == "epoch_3.safetensors"
    assert snapshots.finished_snapshot(asked, 0, 2).name == "epoch_2.safetensors"
    missing = [(asked, 0, "best"), (asked, 0, 1), (asked, 1), (None, 0)]
    assert [snapshots.finished_snapshot(*own) for own in missing] == [None] * 4
    store.snapshot_path(block, 0, 3).unlink()
    assert snapshots.finished_snapshot(asked, 0) is None, "its files are not those of its record"


def test_a_parent_that_is_not_in_the_group(tmp_path, capsys):
    settings, random = child("elsewhere", [FLIP]), np.random.default_rng(46)
    series = {0: {epoch: snapshot(layers(cell()), random) for epoch in (0, 2)}}
    block = tmp_path / "lost/seeds_0-0"
    write_block(block, "lost", settings, [replicate(0, epochs=2)], series)
    data, card, _ = write_data(tmp_path, count=20)
    labels = {"perturbation": "flip", "role": "perturbed"}
    listed = write_cells(tmp_path / "cells.csv", [("lost", [block], 1, card, settings, labels)])
    flags = [f"--cells={listed}", "--group=g", f"--data={data}", f"--card={card}", f"--output={tmp_path / 'out'}"]
    run(measure, tmp_path, flags)
    assert "lost seed 0: its parent elsewhere has no such replicate" in capsys.readouterr().out
    counts = {name: len(schema.rows(tmp_path / "out" / f"{name}.csv", name)) for name in schema.MEASURES}
    assert not any(
        counts[name] for name in ("returns", "precision", "aftermath", "paths", "barriers", "symmetries", "pairs")
    )
    assert counts["features"] == 2
