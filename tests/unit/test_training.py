"""The training engine against plain torch, closed forms and itself."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.unit import blocks
from tests.unit.cells import record
from weight_atlas import networks, starts, store, streams
from weight_atlas.networks import build
from weight_atlas.settings import Input, Settings, Stage, Start
from weight_atlas.training import block, data, engine, rates, track

CHANGED = {"crop": 2, "flip": "both", "rotation": 15.0, "brightness": 0.2, "cutout": 4}
PLAIN = {"crop": 0, "flip": False, "rotation": 0.0}
SGD = {"type": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0}


def stage(epochs=2, lr=0.05, frozen=0, **schedule):
    return {"epochs": epochs, "lr": lr, "schedule": {"type": "constant", "warmup": 0.0} | schedule, "frozen": frozen}


def settings(architecture="lenet5", *, width=0.5, stages=None, optimizer=SGD, augment=PLAIN, **changes):
    stages = stages or [stage()]
    training = {"optimizer": optimizer, "stages": stages, "epochs": sum(part["epochs"] for part in stages)}
    return (
        record(
            dataset_id="toy",
            classes=4,
            input={"size": 32},
            network={"architecture": architecture, "width": width},
            start={"kind": "init", "scheme": "kaiming_uniform"},
            training=training | {"augment": augment},
        )
        | changes
    )


def load(toy, channels=1, size=32):
    card = store.read_json(toy / "toy.json")
    return data.load(toy / "toy.safetensors", card, Input(channels, size), torch.device("cpu"))


def train(toy, out, cell, seed=0, file=None):
    torch.set_num_threads(1)
    run = engine.Run("base-toy", Settings.parse(cell), seed, load(toy), torch.device("cpu"), out)
    return run, run.train(file)


def snapshot(out, epoch, seed=0):
    return store.load_tensors(store.snapshot_path(out, seed, epoch))


# ------------------------------------------------------------------------------------------------ rates


def torch_rates(make, epochs, steps, per_step, lr=0.1):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=lr)
    scheduler, found = make(optimizer), []
    for _ in range(epochs):
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if per_step:
                scheduler.step()
        if not per_step:
            scheduler.step()
    return found


@pytest.mark.parametrize(
    ("schedule", "make", "per_step"),
    [
        (
            {"type": "multistep", "milestones": [2, 4], "gamma": 0.2},
            lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2, 4], 0.2),
            False,
        ),
        (
            {"type": "cosine", "floor": 0.1},
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 42, eta_min=0.01),
            True,
        ),
        (
            {"type": "onecycle", "rise": 0.3, "start_divisor": 25.0, "end_divisor": 1e4},
            lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=42, cycle_momentum=False),
            True,
        ),
    ],
)
def test_rates_are_those_of_torch(schedule, make, per_step):
    ours = [rates.learning_rate(Stage.parse(stage(6, 0.1, **schedule)), step, 7) for step in range(42)]
    if schedule["type"] == "onecycle":
        per = torch_rates(make, 6, 7, per_step=True, lr=0.1)[:42]
    else:
        per = torch_rates(make, 6, 7, per_step)
    np.testing.assert_allclose(ours, per, rtol=1e-9)


def test_rate_table_and_warmup():
    table = stage(3, 0.1, type="table", rates=[0.3, 0.2, 0.1])
    assert [rates.learning_rate(Stage.parse(table), step, 2) for step in range(6)] == [0.3, 0.3, 0.2, 0.2, 0.1, 0.1]
    warm = stage(4, 0.1, warmup=1.0)
    np.testing.assert_allclose(
        [rates.learning_rate(Stage.parse(warm), s, 5) for s in range(7)], [0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.1]
    )


# --------------------------------------------------------------------------------------------- streams


def test_streams_are_repeatable_and_apart():
    draws = [
        torch.rand(4, generator=streams.generator(*key)) for key in [(0, "a", 1), (0, "a", 1), (0, "b", 1), (1, "a", 1)]
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])


# ----------------------------------------------------------------------------------------------- starts


@pytest.mark.parametrize("scheme", ["kaiming_uniform", "kaiming_normal"])
def test_kaiming_norms_are_the_closed_form(scheme):
    """fan_in and gain sqrt(2): each row of a weight has an expected squared norm of 2; gamma adds 1 a channel."""
    for architecture, channels, size, expected in (("resnet18", 3, 32, 120.08), ("lenet5", 1, 32, 21.73)):
        model, table = build.build({"architecture": architecture}, channels, size, 10)
        starts.initialise(model, table, Start("init", scheme=scheme), seed=3)
        norm = math.sqrt(sum(p.detach().double().square().sum().item() for p in model.parameters()))
        assert norm == pytest.approx(expected, rel=0.02)
        biases = [
            m.bias for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear) and m.bias is not None
        ]
        assert biases and all(not b.any() for b in biases)


def test_xavier_bounds_and_default():
    model, table = build.build({"architecture": "lenet5"}, 1, 32, 10)
    starts.initialise(model, table, Start("init", scheme="xavier_uniform"), seed=0)
    weight = model.get_submodule(table.head.name).weight
    assert weight.abs().max() <= math.sqrt(6 / sum(weight.shape)) and weight.abs().max() > 0.9 * math.sqrt(
        6 / sum(weight.shape)
    )
    starts.initialise(model, table, Start("init", scheme="default"), seed=0)
    first = model.get_submodule(table.weight_layers[0].name)
    assert first.bias.any() and first.weight.abs().max() <= 1 / math.sqrt(first.weight[0].numel())


def test_a_layer_draws_the_same_whatever_the_others_are():
    small, table = build.build({"architecture": "lenet5"}, 1, 32, 10)
    other, wider = build.build({"architecture": "lenet5"}, 1, 32, 7)
    starts.initialise(small, table, Start("init", scheme="kaiming_normal"), 5)
    starts.initialise(other, wider, Start("init", scheme="kaiming_normal"), 5)
    head = table.head.name
    for name, tensor in small.state_dict().items():
        assert name.startswith(head) or torch.equal(tensor, other.state_dict()[name])


def test_loaded_starts(tmp_path):
    network = {"architecture": "resnet18", "width": 0.0625}
    rgb, rgb_table = build.build(network, 3, 32, 10)
    starts.initialise(rgb, rgb_table, Start("init", scheme="kaiming_uniform"), 1)
    store.save_tensors(tmp_path / "w.safetensors", rgb.state_dict(), {})
    start = {"kind": "weights", "scheme": "kaiming_normal", "head": "fresh", "grey": "sum_conv1"}
    grey, table = build.build(network, 1, 32, 10)
    starts.begin(grey, table, Start(**start), 0, str(tmp_path / "w.safetensors"))
    assert torch.equal(grey.conv1.weight, rgb.conv1.weight.sum(1, keepdim=True))
    assert torch.equal(grey.layer2[0].conv1.weight, rgb.layer2[0].conv1.weight)
    assert not torch.equal(grey.fc.weight, rgb.fc.weight)
    starts.begin(grey, table, Start(**start | {"head": "copied"}), 0, str(tmp_path / "w.safetensors"))
    assert torch.equal(grey.fc.weight, rgb.fc.weight)
    with pytest.raises(ValueError, match="has the shape"):
        starts.begin(grey, table, Start(**start | {"grey": "replicate"}), 0, str(tmp_path / "w.safetensors"))
    with pytest.raises(starts.Missing):
        starts.begin(grey, table, Start(**start), 0, None)


# ----------------------------------------------------------------------------------------------- engine


def test_the_engine_trains_as_a_plain_loop_does(toy, tmp_path):
    """Two epochs of SGD against a loop written out here: same order, same start, same updates."""
    cell = settings()
    run, record = train(toy, tmp_path, cell)
    pictures = load(toy)
    model, table = build.build(cell["network"], 1, 32, 4)
    starts.initialise(model, table, Start("init", scheme="kaiming_uniform"), 0)
    velocity = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    inputs = (pictures.train.images.double() / 255 - pictures.mean[0]) / pictures.std[0]
    model.double()
    velocity = {name: v.double() for name, v in velocity.items()}
    for epoch in (1, 2):
        order = torch.randperm(80, generator=streams.generator(0, "order", epoch))
        for picked in order.split(16):
            loss = torch.nn.functional.cross_entropy(model(inputs[picked]), pictures.train.labels[picked])
            for (name, p), g in zip(
                model.named_parameters(), torch.autograd.grad(loss, model.parameters()), strict=True
            ):
                velocity[name] = 0.9 * velocity[name] + g
                p.data -= 0.05 * velocity[name]
    final = snapshot(tmp_path, 2)
    for name, p in model.named_parameters():
        torch.testing.assert_close(final[name].double(), p.data, rtol=2e-3, atol=2e-4)
    assert record["status"] == "done" and record["epochs"] == 2
    model.eval()
    test = (pictures.test.images.double() / 255 - pictures.mean[0]) / pictures.std[0]
    loss = torch.nn.functional.cross_entropy(model(test), pictures.test.labels).item()
    assert run.state.rows[-1]["test_loss"] == pytest.approx(loss, rel=1e-2, abs=1e-4)


def test_two_runs_are_bit_identical_and_seeds_differ(toy, tmp_path):
    cell = settings("resnet18", width=0.0625, augment={"crop": 2, "flip": True, "rotation": 15.0})
    train(toy, tmp_path / "a", cell)
    train(toy, tmp_path / "b", cell)
    train(toy, tmp_path / "c", cell, seed=1)
    names = sorted(path.name for path in (tmp_path / "a/snapshots/seed0").glob("*.safetensors"))
    snapshots = ["best.safetensors", "epoch_0.safetensors", "epoch_1.safetensors", "epoch_2.safetensors"]
    assert names == [*snapshots, "right.safetensors"]
    for name in names:
        first, second = (tmp_path / run / "snapshots/seed0" / name for run in "ab")
        assert first.read_bytes() == second.read_bytes()
    assert not torch.equal(snapshot(tmp_path / "a", 0)["fc.weight"], snapshot(tmp_path / "c", 0, 1)["fc.weight"])


def test_within_an_epoch_nothing_is_read_back_from_the_device(toy, tmp_path):
    """On a GPU each such reading waits for all that was asked of it: `aten::_local_scalar_dense` is `.item()`."""

    class Reading(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            read.append(function.name())
            return function(*arguments, **(keywords or {}))

    read = []
    run = engine.Run("base-toy", Settings.parse(settings(augment=CHANGED)), 0, load(toy), torch.device("cpu"), tmp_path)
    optimizer = run.enter_stage(run.training.stages[0])
    run.feed.shuffle_epoch(1)
    with Reading():
        for step in range(run.steps):
            run.train_step(*run.feed.batch(step), optimizer)
        assert "aten::convolution" in read and "aten::_local_scalar_dense" not in read
        float(torch.ones(1).sum())
    assert "aten::_local_scalar_dense" in read


def test_best_is_the_best_validation_epoch(toy, tmp_path):
    run, record = train(toy, tmp_path, settings(stages=[stage(5, 0.01)]))
    valid = [row["valid_accuracy"] for row in run.state.rows[1:]]
    assert record["best_epoch"] == 1 + int(np.argmax(valid))
    best, same = snapshot(tmp_path, "best"), snapshot(tmp_path, record["best_epoch"])
    assert all(torch.equal(best[name], same[name]) for name in same)


@pytest.mark.parametrize("kind", ["parent", "weights"])
def test_a_fresh_head_is_not_the_one_that_the_source_began_with(toy, tmp_path, kind):
    """At one seed and scheme: its features would know that head already."""
    train(toy, tmp_path / "source", settings())
    began, ended = (snapshot(tmp_path / "source", epoch) for epoch in (0, 2))
    start = {"kind": kind, "scheme": "kaiming_uniform", "head": "fresh", "grey": "replicate", "take": "last"}
    file = store.snapshot_path(tmp_path / "source", 0, 2)
    train(toy, tmp_path / "child", settings(start=start), file=str(file))
    found = snapshot(tmp_path / "child", 0)
    for name, value in found.items():
        if name == "fc3.weight":
            assert abs(float(torch.corrcoef(torch.stack([value.flatten(), began[name].flatten()]))[0, 1])) < 0.3
        elif name != "fc3.bias":
            assert torch.equal(value, ended[name]), name


def test_frozen_layers_keep_every_bit(toy, tmp_path):
    cell = settings("resnet18", width=0.0625, stages=[stage(1, frozen=3), stage(1, frozen=["layer4"]), stage(1)])
    run, _ = train(toy, tmp_path, cell)
    epochs = [snapshot(tmp_path, epoch) for epoch in range(4)]

    def same(first, second, layer):
        return all(torch.equal(epochs[first][n], epochs[second][n]) for n in epochs[0] if n.startswith(f"{layer}."))

    for layer in run.table.select(3):
        assert same(0, 1, layer) and not same(1, 2, layer)
    assert "bn1" in run.table.select(3)
    assert not same(0, 1, "layer4") and same(1, 2, "layer4") and not same(2, 3, "layer4")
    optimizer = run.enter_stage(Stage.parse(stage(frozen=["layer4"])))
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    frozen = {id(p) for n, p in run.model.named_parameters() if n.startswith("layer4.")}
    assert held and frozen and not held & frozen


def test_divergence_is_a_result(toy, tmp_path):
    _, record = train(toy, tmp_path, settings(stages=[stage(4, 1e6)], optimizer=SGD | {"lr": 1e6}))
    assert record["status"] == "diverged" and 1 <= record["epochs"] <= 4
    kept = sorted((tmp_path / "snapshots/seed0").glob("epoch_*"))
    assert len(kept) <= record["epochs"]
    assert all(torch.isfinite(t).all() for path in kept for t in store.load_tensors(path).values())


def test_bfloat16_keeps_float32_parameters(toy, tmp_path):
    cell = settings()
    cell["training"]["precision"] = "bfloat16"
    _, record = train(toy, tmp_path, cell)
    assert record["status"] == "done"
    assert {tensor.dtype for tensor in snapshot(tmp_path, 2).values()} == {torch.float32}
    plain_out = tmp_path / "plain"
    train(toy, plain_out, settings())
    assert not torch.equal(snapshot(tmp_path, 2)["fc1.weight"], snapshot(plain_out, 2)["fc1.weight"])


def test_only_the_asked_snapshots_are_kept(toy, tmp_path):
    train(toy, tmp_path, settings(stages=[stage(3)], snapshots="ends"))
    there = {path.stem for path in (tmp_path / "snapshots/seed0").glob("*.safetensors")}
    assert there == {"epoch_0", "epoch_3", "best", "right"}


def test_a_last_batch_of_one_is_left_out_under_batchnorm():
    tables = {name: networks.layer_table({"architecture": name}, 1, 32, 10) for name in ("lenet5", "resnet18")}
    assert engine.steps_per_epoch(33, 16, tables["lenet5"]) == 3
    assert engine.steps_per_epoch(33, 16, tables["resnet18"]) == 2
    assert engine.steps_per_epoch(34, 16, tables["resnet18"]) == 3


def test_a_block_trains_its_seeds_and_takes_parents(toy, tmp_path):
    files = {"data": toy / "toy.safetensors", "card": toy / "toy.json", "weights": None, "parents": []}
    parent = tmp_path / "results/cells/base-parent/seeds_0-1"
    block.train("base-parent", Settings.parse(settings()), range(2), files, "cpu", parent)
    records = [store.read_json(store.record_path(parent, seed)) for seed in (0, 1)]
    assert [r["status"] for r in records] == ["done", "done"] and records[0]["peak_memory_mib"] > 0
    blocks.write(parent, "base-parent", settings(), [records[0], records[1] | {"status": "failed"}])
    child = settings(
        start={"kind": "parent", "cell": "base-parent", "take": "last", "scheme": "default", "head": "fresh"}
    )
    child["start"]["grey"] = "replicate"
    out = tmp_path / "child"
    block.train("base-child", Settings.parse(child), range(2), files | {"parents": [str(parent)]}, "cpu", out)
    mine, theirs = snapshot(out, 0), snapshot(parent, 2)
    head = networks.layer_table(child["network"], 1, 32, 4).head.name
    for name in mine:
        assert torch.equal(mine[name], theirs[name]) != name.startswith(f"{head}.weight") or name == f"{head}.bias"
    second = store.read_json(store.record_path(out, 1))
    assert second["status"] == "failed" and "status failed" in second["cause"]
    assert json.dumps(second)


def test_metrics_have_one_row_an_epoch(toy, tmp_path):
    train(toy, tmp_path, settings())
    with open(store.metrics_path(tmp_path, 0), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert rows[0]["train_loss"] == "" and float(rows[2]["train_accuracy"]) > 0
    assert float(rows[2]["rate"]) == 0.05


def test_track_records_dead_rounding_and_returned_values(toy, tmp_path, monkeypatch):
    """Planted: a unit that never fires, a rate too small to change anything, a value moved and moved back."""
    cell = settings()
    cell["training"]["track"] = True

    begin = starts.begin

    def kill(model, *rest):
        begun = begin(model, *rest)
        with torch.no_grad():
            model.fc2.bias[3] = -1e9
        return begun

    monkeypatch.setattr(starts, "begin", kill)
    train(toy, tmp_path / "dead", cell)
    bits = store.load_tensors(store.track_path(tmp_path / "dead", 0))
    assert not bits["fc2.weight"][3].any() and not bits["fc2.bias"][3] and not bits["fc3.weight"][:, 3].any()
    assert (bits["fc2.bias"] == 3).any() and set(bits) == {
        n for n, _ in networks.layer_table(cell["network"], 1, 32, 4).parameters()
    }

    monkeypatch.setattr(starts, "begin", begin)
    slow = settings(stages=[stage(2, 1e-12)], optimizer=SGD | {"lr": 1e-12, "momentum": 0.0})
    slow["training"]["track"] = True
    train(toy, tmp_path / "slow", slow)
    bits, first, last = (
        store.load_tensors(path)
        for path in (
            store.track_path(tmp_path / "slow", 0),
            store.snapshot_path(tmp_path / "slow", 0, 0),
            store.snapshot_path(tmp_path / "slow", 0, 2),
        )
    )
    # Zero biases are the exception: any nonzero update of a zero changes it.
    weights = [name for name in bits if name.endswith("weight")]
    assert all(torch.equal(first[name], last[name]) for name in weights)
    assert any((bits[name] == 1).any() for name in weights) and not any((bits[name] > 1).any() for name in weights)

    model = torch.nn.Linear(2, 1)
    evidence = track.GradientTracker(model)
    before = model.weight.detach().clone()
    for value in (before + 1, before):
        model.weight.grad = torch.tensor([[1.0, 0.0]])
        evidence.add_gradients()
        with torch.no_grad():
            model.weight[0, 0] = value[0, 0]
        evidence.add_values()
    evidence.close()
    evidence.save(tmp_path / "returned.safetensors")
    assert torch.equal(model.weight, before)
    assert store.load_tensors(tmp_path / "returned.safetensors")["weight"].tolist() == [[3, 0]]


def test_the_bits_are_those_of_plain_comparisons():
    """Against `!=` and `|=` value by value, for all that float32 has: zeros of both signs, subnormals, huge ones,
    infinities and NaN; and the same when it is interrupted after any step."""
    special = torch.tensor([0.0, -0.0, 1e-45, -1e-45, 1e-38, 1.0, 1.0 + 2**-23, 3e38, math.inf, math.nan])
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(5, 4), "b": torch.nn.Linear(10, 1), "c": torch.nn.Linear(3, 1)})
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(special[torch.randint(8, value.shape, generator=draw)])
    model["c"].requires_grad_(False)
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    evidence = track.GradientTracker(model)
    gradient, changed = ({name: torch.zeros(value.shape, dtype=bool) for name, value in start.items()} for _ in "ab")
    for step in range(9):
        for name, value in model.named_parameters():
            few = torch.rand(value.shape, generator=draw) < 0.15
            if value.requires_grad and not (name.startswith("b") and step < 2):
                value.grad = torch.where(few, special[torch.randint(10, value.shape, generator=draw)], 0.0)
                gradient[name] |= value.grad != 0
        evidence.add_gradients()
        for name, value in model.named_parameters():
            if value.requires_grad:
                few = torch.rand(value.shape, generator=draw) < 0.15
                value.data = torch.where(few, special[torch.randint(8, value.shape, generator=draw)], value.data)
                changed[name] |= value.data != start[name]
        evidence.add_values()
        expected = {name: (gradient[name] + 2 * changed[name]).to(torch.uint8) for name in start}
        assert all(torch.equal(bits, expected[name]) for name, bits in evidence.tensors().items()), step
        evidence = track.GradientTracker(model, start, evidence.tensors())


def test_track_changes_no_weight(toy, tmp_path):
    plain, tracked = settings(), settings()
    tracked["training"]["track"] = True
    train(toy, tmp_path / "plain", plain)
    train(toy, tmp_path / "tracked", tracked)
    first, second = snapshot(tmp_path / "plain", 2), snapshot(tmp_path / "tracked", 2)
    assert all(torch.equal(first[name], second[name]) for name in first)
    start, bits = snapshot(tmp_path / "tracked", 0), store.load_tensors(store.track_path(tmp_path / "tracked", 0))
    for name, tensor in bits.items():
        # What differs at the end was changed, and nothing changes without a gradient here (no weight decay).
        assert ((second[name] != start[name]) <= (tensor >= 2)).all() and (tensor != 2).all()
