"""Copies of the training pictures, plateau, early stopping and penalty: the engine, the plan and what is refused."""

import inspect
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit import blocks
from tests.unit.test_plan import D, ids, plan
from tests.unit.test_training import SGD, load, settings, snapshot, stage, train
from weight_atlas import networks, store, streams
from weight_atlas.analysis import course
from weight_atlas.plan import checks, cost
from weight_atlas.settings import Augmentation, EarlyStopping, Optimizer, Settings, Stage, Start, Training
from weight_atlas.training import block, engine, optimizers, rates
from weight_atlas.training.augment import Augment
from weight_atlas.training.feed import Feed
from weight_atlas.training.frozen import same_rows

ROOT = Path(__file__).resolve().parents[2]
FLIPPED = [{}, {"flip": "always"}]
MIXED = [{}, {"flip": "always"}, {"rotation": 20.0, "shift": 0.2, "zoom": [0.8, 1.2], "fill": "nearest"}]


def feed(toy, prefix="", seed=0, **training):
    return Feed(load(toy), Training.parse(settings()["training"] | training), seed, prefix)


def epoch(found, number):
    """All pictures of an epoch and their labels, in the order of their numbers."""
    order = found.order(number)
    found.shuffle_epoch(number)
    batches = [found.batch(step) for step in range(math.ceil(len(found) / 16))]
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    # Within a batch the pictures stand in the order of their numbers where there are several copies.
    numbers = torch.cat([part.sort().values if len(found.copies) > 1 else part for part in order.split(16)])
    place = numbers.argsort()
    return images[place], labels[place]


# -------------------------------------------------------------------------------------------- optimizers

ADAM = {"type": "adam", "lr": 0.01, "betas": [0.8, 0.99], "eps": 1e-8, "weight_decay": 0.1, "amsgrad": True}


@pytest.mark.parametrize(
    ("options", "kind"), [(SGD | {"nesterov": True, "weight_decay": 0.1}, torch.optim.SGD), (ADAM, torch.optim.Adam)]
)
def test_an_optimizer_takes_the_steps_of_torch(options, kind):
    draw = torch.Generator().manual_seed(0)
    named, given = options["type"], {name: value for name, value in options.items() if name != "type"}
    ours, torchs = (torch.nn.Parameter(torch.ones(3, 5)) for _ in range(2))
    pairs = [
        (optimizers.create_optimizer(Optimizer(named, given), {"w": ours}, 0.03), ours),
        (kind([torchs], **(given | {"lr": 0.03})), torchs),
    ]
    for _ in range(4):
        grad = torch.randn(3, 5, generator=draw)
        for optimizer, parameter in pairs:
            optimizer.zero_grad(set_to_none=True)
            (parameter * grad).sum().backward()
            optimizer.step()
    assert torch.equal(ours, torchs) and not torch.equal(ours, torch.ones(3, 5))
    (one, other) = (optimizers.optimizer_state(optimizer, {"w": parameter}) for optimizer, parameter in pairs)
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_training_imports_nothing_of_torchs_compiler():
    """It takes longer than all else that a small job does to begin."""
    lines = """
        import sys, torch
        from weight_atlas import device
        from weight_atlas.settings import Optimizer
        from weight_atlas.training import block, optimizers
        device.set_up(torch.device("cpu"), "float32", 1)
        weight = torch.nn.Parameter(torch.ones(3))
        for kind in optimizers.NAMES:
            made = optimizers.create_optimizer(Optimizer(kind, {}), {"w": weight}, 0.1)
            made.zero_grad(set_to_none=True)
            weight.sum().backward()
            torch.nn.utils.clip_grad_norm_([weight], 0.1)
            made.step()
        print({"torch._dynamo", "torch._inductor"} & set(sys.modules))
    """
    done = subprocess.run(
        [sys.executable, "-c", inspect.cleandoc(lines)], cwd=ROOT / "scripts", capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr


# ------------------------------------------------------------------------------------------------ copies


def test_an_epoch_has_every_picture_once_a_copy(toy):
    found, pictures = feed(toy, copies=FLIPPED), load(toy).train
    assert len(found) == 2 * 80
    for number in (1, 2):
        order = found.order(number)
        assert torch.equal(order.sort().values, torch.arange(160))
        assert torch.equal(order, torch.randperm(160, generator=streams.generator(0, "order", number)))
        images, labels = epoch(found, number)
        plain = load(toy).batch(pictures.images)
        assert torch.equal(images[:80], plain) and torch.equal(images[80:], plain.flip(3))
        assert torch.equal(labels, pictures.labels.repeat(2))
    found.shuffle_epoch(1)
    images, labels = found.batch(0)
    assert images.is_contiguous(memory_format=torch.channels_last) and images.shape == (16, 1, 32, 32)


def test_one_copy_is_what_augment_alone_is(toy):
    change = {"crop": 2, "flip": True, "rotation": 10.0}
    alone, copy = feed(toy, augment=change), feed(toy, copies=[change])
    assert torch.equal(epoch(alone, 1)[0], epoch(copy, 1)[0])
    assert not torch.equal(epoch(alone, 1)[0], epoch(alone, 2)[0])


def test_a_fixed_multiset_is_drawn_once_whatever_starts_from_it(toy):
    fixed, drawn = feed(toy, copies=MIXED, redraw=False), feed(toy, copies=MIXED)
    other = feed(toy, "retrain-other-", copies=MIXED, redraw=False)
    first = epoch(fixed, 1)[0]
    assert torch.equal(first, epoch(fixed, 2)[0]) and torch.equal(first, epoch(other, 5)[0])
    assert not torch.equal(fixed.order(1), other.order(1))
    assert not torch.equal(first, epoch(feed(toy, seed=1, copies=MIXED, redraw=False), 1)[0])
    moved = epoch(drawn, 1)[0], epoch(drawn, 2)[0]
    assert torch.equal(first[:160], moved[0][:160]) and torch.equal(moved[0][:160], moved[1][:160])
    assert not torch.equal(moved[0][160:], moved[1][160:]) and not torch.equal(first[160:], moved[0][160:])
    pictures = load(toy)
    augment = Augment(Augmentation(**MIXED[2]))
    table = augment.draw(80, (32, 32), streams.generator(0, "multiset", 2))
    made = pictures.batch(augment.apply(pictures.train.images, torch.arange(80), table))
    assert torch.allclose(first[160:], made, atol=1e-6)


def test_a_run_on_copies_counts_them_all(toy, tmp_path):
    """With a rate that moves nothing the training loss is that of the pictures, over all copies."""
    cell = settings(stages=[stage(1, 1e-12)], optimizer=SGD | {"lr": 1e-12, "momentum": 0.0})
    cell["training"] |= {"copies": [{}, {}], "redraw": False}
    run, _ = train(toy, tmp_path / "two", cell)
    assert run.steps == 10 and run.state.images == 160
    (loss, accuracy), _ = run.evaluate(load(toy).train)
    assert run.state.rows[1]["train_loss"] == pytest.approx(loss, rel=1e-5)
    assert run.state.rows[1]["train_accuracy"] == pytest.approx(accuracy)
    assert run.state.rows[1]["images_per_second"] == pytest.approx(160 / run.state.rows[1]["seconds"])


def test_runs_on_copies_repeat_bit_by_bit(toy, tmp_path):
    cell = settings("resnet18", width=0.0625)
    cell["training"] |= {"copies": MIXED, "redraw": False}
    train(toy, tmp_path / "a", cell)
    train(toy, tmp_path / "b", cell)
    assert all(torch.equal(snapshot(tmp_path / "b", 2)[name], x) for name, x in snapshot(tmp_path / "a", 2).items())


# --------------------------------------------------------------------------------------- cached features

# How a network is frozen, and the last row that makes the same of a picture in every epoch (by reading its table).
FROZEN = {
    "three blocks": ("vgg16", {"blocks": 3}, 7, {}, "flatten"),
    "all but the last layer": ("vgg16", {"blocks": 5}, 15, {"frozen_dropout": False}, "classifier.5"),
    "dropout goes on": ("vgg16", {"blocks": 5}, 15, {}, "classifier.1"),
    "blocks with skips": ("resnet18", {}, 8, {}, "layer2.0.relu2"),
    "within a block": ("resnet18", {}, 6, {}, "layer1.1.relu2"),
    "statistics of batches": ("resnet18", {}, 6, {"frozen_batchnorm": "batch"}, "conv1"),
    "a layer in the middle": ("lenet5", {}, ["conv2"], {}, None),
    "two stages": ("simple_cnn", {}, 2, {"copies": MIXED, "redraw": False}, "pool2"),
}


@pytest.mark.parametrize("case", FROZEN)
def test_cached_features_give_the_same_run(toy, tmp_path, case):
    """Features of batches of other pictures differ in the last bits, so that equal is equal up to rounding."""
    architecture, options, frozen, training, last = FROZEN[case]
    stages = [stage(2, 0.01, frozen=frozen), stage(1, 0.01)]
    cell = settings(architecture, width=0.0625, stages=stages)
    cell["network"]["options"] = options
    cell["training"] |= training
    plain, _ = train(toy, tmp_path / "plain", cell)
    kept = settings(architecture, width=0.0625, stages=stages)
    kept["network"]["options"] = options
    kept["training"] |= training | {"cache_features": True}
    seen = []
    build_split = engine.build.split
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.build, "split", lambda *given: seen.append(given[2]) or build_split(*given))
        run, _ = train(toy, tmp_path / "kept", kept)
    names = [layer.name for layer in run.table.layers]
    assert seen == ([] if last is None else [names.index(last) + 1])
    assert run.feed.features is None and run.forward is run.model, "the last stage has nothing frozen"
    for epoch in range(4):
        one, other = (snapshot(tmp_path / name, epoch) for name in ("plain", "kept"))
        assert all(torch.allclose(one[name].float(), other[name].float(), rtol=1e-4, atol=1e-6) for name in one)
        for column in ("train_loss", "valid_loss", "test_loss", "train_accuracy", "test_accuracy"):
            assert run.state.rows[epoch][column] == pytest.approx(
                plain.state.rows[epoch][column], rel=1e-5, nan_ok=True
            )


def test_frozen_layers_run_once_a_picture(toy, tmp_path):
    cell = settings("vgg16", width=0.0625, stages=[stage(5, frozen=13)])
    cell["training"] |= {"cache_features": True, "copies": MIXED, "redraw": False}
    torch.set_num_threads(1)
    run = engine.Run("base-toy", Settings.parse(cell), 0, load(toy), torch.device("cpu"), tmp_path / "out")
    counts = {"features.0": 0, "classifier.0": 0}
    for name in counts:
        hook = lambda _, given, __, name=name: counts.update({name: counts[name] + len(given[0])})  # noqa: E731
        run.model.get_submodule(name).register_forward_hook(hook)
    run.train(None)
    pictures = load(toy)
    evaluated = len(pictures.valid) + len(pictures.test)
    assert counts["features.0"] == 3 * len(pictures.train) + 2 * evaluated  # and before the first epoch
    assert counts["classifier.0"] == 5 * 3 * len(pictures.train) + 6 * evaluated


def test_the_rows_that_stay_the_same_by_hand():
    table = networks.layer_table({"architecture": "tutorial", "width": 1.0, "options": {}}, 3, 32, 10)
    training = Training.parse(settings()["training"])
    names = [layer.name for layer in table.layers]
    for frozen, last in ((["conv1"], "pool1"), (["conv1", "conv2"], "flatten"), (["conv2"], None)):
        assert same_rows(table, frozen, training) == (names.index(last) + 1 if last else 0)


def test_frozen_layers_cost_less_and_cached_ones_less_still():
    at, found = ("definitions", "dynamics"), {}
    part = {"stages": [{"epochs": 10, "frozen": 2}]}
    for name, training in (("free", {"epochs": 10}), ("frozen", part), ("cached", part | {"cache_features": True})):
        made = plan(((*at, "training"), training))
        cell = made.cells[next(entry.cell_id for entry in made.entries if entry.role == "grid")]
        assert cell.architecture == "lenet5" and cell.settings.json["training"]["epochs"] == 10
        found[name] = cost.need(cell, 1, "cpu")
    assert found["free"].seconds > found["frozen"].seconds > found["cached"].seconds
    assert found["cached"].mem_mb > found["frozen"].mem_mb == found["free"].mem_mb


def test_pictures_that_change_are_not_cached():
    at = ("definitions", "dynamics", "training")
    for changes in ({"augment": {"flip": True}}, {"copies": MIXED}):
        with pytest.raises(checks.ConfigError, match="cache_features.*redraw: false"):
            plan((at, {"cache_features": True} | changes))
        plan((at, {"cache_features": True, "redraw": False} | changes))


# --------------------------------------------------------------------------------- plateau, early stopping


def losses(seed, count=60):
    """Validation losses that fall, rise and stay."""
    draw = np.random.default_rng(seed)
    return np.abs(np.cumsum(draw.choice([-0.05, -0.001, 0.0, 0.03], count)) + 2).tolist()


@pytest.mark.parametrize(
    "rule",
    [
        {"factor": 0.5, "patience": 3, "threshold": 1e-4, "min_lr": 0.0},
        {"factor": 0.1, "patience": 0, "threshold": 0.02, "min_lr": 1e-4},
        {"factor": 0.3, "patience": 2, "threshold": 0.0, "min_lr": 0.0},
    ],
)
def test_plateau_is_that_of_torch(rule):
    part = stage(60, 0.1, type="plateau", warmup=0.0, **{k: v for k, v in rule.items()})
    for seed in range(5):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler, seen, changes = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **rule), [], 0
        for number, loss in enumerate([*losses(seed), 0.0]):
            ours = rates.learning_rate(Stage.parse(part), number * 7 + 3, 7, seen)
            assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
            scheduler.step(loss)
            seen.append(loss)
            changes += optimizer.param_groups[0]["lr"] != ours
        assert changes > 2


def test_a_plateau_warms_up_as_the_others_do():
    part = stage(5, 0.1, type="plateau", factor=0.5, patience=0, threshold=0.0, min_lr=0.0, warmup=1.0)
    assert rates.learning_rate(Stage.parse(part), 0, 4) == pytest.approx(0.025)
    assert rates.learning_rate(Stage.parse(part), 9, 4, [1.0, 1.0]) == pytest.approx(0.05)


def keras(found, patience, min_delta):
    """The epoch (from 1) after which keras.callbacks.EarlyStopping on val_loss stops, or None: its own lines."""
    best, wait = np.inf, 0
    for number, current in enumerate(found):
        wait += 1
        if np.less(current - -min_delta, best):
            best, wait = current, 0
            continue
        if wait >= patience and number > 0:
            return number + 1
    return None


def test_early_stopping_is_that_of_keras():
    stops = []
    for found in (*map(losses, range(8)), np.linspace(2, 1, 60).tolist()):
        for patience in (1, 3, 8):
            for min_delta in (0.0, 0.01):
                rule = {"patience": patience, "min_delta": min_delta}
                ours = next((n for n in range(1, 61) if rates.stops_early(EarlyStopping(**rule), found[:n])), None)
                assert ours == keras(found, patience, min_delta)
                stops.append(ours)
    assert None in stops and len(set(stops)) > 5
    assert not rates.stops_early(None, [1.0] * 99) and not rates.stops_early(EarlyStopping(1, 0.0), [])


def stopping(*stages, patience=2, **changes):
    """A cell in whose every stage no loss is below the first by enough: it stops `patience` epochs after it."""
    cell = settings(stages=list(stages), **changes)
    cell["training"]["early_stopping"] = {"patience": patience, "min_delta": 100.0}
    return cell


def test_a_stage_ends_early_and_its_last_snapshot_is_kept(toy, tmp_path):
    run, record = train(toy, tmp_path, stopping(stage(9), snapshots="ends"))
    assert record["status"] == "done" and record["stopped_early"] and record["epochs"] == 3
    assert [row["epoch"] for row in run.state.rows] == [0, 1, 2, 3]
    assert {path.stem for path in (tmp_path / "snapshots/seed0").glob("*.safetensors")} == {
        "epoch_0",
        "epoch_3",
        "best",
        "right",
    }
    cell = stopping(stage(9), snapshots="ends")
    assert course.available(Settings.parse(cell), tmp_path, record) == ([0, 3], None)

    listed = stopping(stage(9), snapshots=[0, 2, 5, 9])
    _, record = train(toy, tmp_path / "listed", listed)
    assert course.available(Settings.parse(listed), tmp_path / "listed", record) == ([0, 2, 3], None)

    run, record = train(toy, tmp_path / "stages", stopping(stage(9, 0.01, 1), stage(2, 0.02), stage(9, 0.03)))
    assert [row["stage"] for row in run.state.rows[1:]] == [0, 0, 0, 1, 1, 2, 2, 2] and record["stopped_early"]
    assert [row["rate"] for row in run.state.rows[1:]] == [0.01] * 3 + [0.02] * 2 + [0.03] * 3
    assert store.snapshot_path(tmp_path / "stages", 0, 8).exists()

    _, record = train(toy, tmp_path / "full", stopping(stage(3)))
    assert not record["stopped_early"] and record["epochs"] == 3


def test_a_child_takes_the_epoch_at_which_its_parent_stopped(toy, tmp_path):
    files = {"data": toy / "toy.safetensors", "card": toy / "toy.json", "weights": None, "parents": []}
    parent = tmp_path / "results/cells/base-parent/seeds_0-0"
    cell = stopping(stage(9))
    block.train("base-parent", Settings.parse(cell), range(1), files, "cpu", parent)
    blocks.write(parent, "base-parent", cell, [store.read_json(store.record_path(parent, 0))])
    start = {"kind": "parent", "cell": "base-parent", "scheme": "default", "head": "copied", "grey": "replicate"}
    for take, epoch in (("last", 3), ("best", "best"), (2, 2)):
        file = block._start_file(Start(**start | {"take": take}), 0, files | {"parents": [str(parent)]})
        assert Path(file) == store.snapshot_path(parent, 0, epoch) and Path(file).exists()
    with pytest.raises(Exception, match="stopped after epoch 3"):
        block._start_file(Start(**start | {"take": 5}), 0, files | {"parents": [str(parent)]})


def test_the_engine_lowers_the_rate_at_a_plateau_of_its_own_losses(toy, tmp_path):
    plateau = {"type": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.05, "min_lr": 0.0, "warmup": 0.0}
    run, _ = train(toy, tmp_path, settings(stages=[stage(6, 0.02, **plateau), stage(3, 0.01, **plateau)]))
    found = [row["valid_loss"] for row in run.state.rows[1:]]
    first = [rates.learning_rate(run.training.stages[0], 0, 1, found[:n]) for n in range(6)]
    second = [rates.learning_rate(run.training.stages[1], 0, 1, found[6 : 6 + n]) for n in range(3)]
    assert [row["rate"] for row in run.state.rows[1:]] == first + second
    assert second[0] == 0.01 and len(set(first)) > 1


# ----------------------------------------------------------------------------------------------- penalty


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_penalty_has_the_gradient_of_its_closed_form(toy, tmp_path, alpha):
    cell = settings()
    cell["training"]["penalty"] = {"layers": ["conv1", "fc2"], "alpha": alpha, "weight": 0.01}
    run = engine.Run("base-toy", Settings.parse(cell), 0, load(toy), torch.device("cpu"), tmp_path)
    plain = engine.Run("base-toy", Settings.parse(settings()), 0, load(toy), torch.device("cpu"), tmp_path)
    plain.model.load_state_dict(run.model.state_dict())
    before = {name: value.detach().clone() for name, value in run.model.named_parameters()}
    run.feed.shuffle_epoch(1)
    images, labels = run.feed.batch(0)
    sums = [one.train_step(images, labels, torch.optim.SGD(one.model.parameters(), lr=0.1)) for one in (run, plain)]
    assert torch.equal(*sums), "what is recorded is the loss without the penalty"
    ours, theirs = dict(run.model.named_parameters()), dict(plain.model.named_parameters())
    for name, w in before.items():
        if name in ("conv1.weight", "fc2.weight"):
            gradient = 0.01 * (alpha * w.sign() + 2 * (1 - alpha) * w)
            assert torch.allclose(ours[name], theirs[name] - 0.1 * gradient, rtol=1e-5, atol=1e-7)
        else:
            assert torch.equal(ours[name], theirs[name])


def test_a_penalty_is_for_the_weights_of_its_layers():
    table = networks.layer_table({"architecture": "resnet18", "width": 0.0625}, 1, 32, 4)
    assert engine.penalised_layers(table, None) == ["fc"]
    assert engine.penalised_layers(table, ["layer1.0", "fc"]) == ["layer1.0.conv1", "layer1.0.conv2", "fc"]


# ------------------------------------------------------------------------------------------------- plan


def training(**changes):
    return [(("training", key), value) for key, value in changes.items()]


WRONG = {
    "a change unknown": (training(augment={"blur": 1}), ["training.augment", "'blur'", "cutout"]),
    "a flip unknown": (training(augment={"flip": "sideways"}), ["training.augment.flip", "'sideways'", "'vertical'"]),
    "a shift out of the picture": (training(augment={"shift": 1.5}), ["training.augment.shift", "1.5", "1"]),
    "a shear too large": (training(augment={"shear": 90}), ["training.augment.shear", "90"]),
    "a unit unknown": (training(augment={"shear_unit": "radians"}), ["shear_unit", "'radians'", "'fraction'"]),
    "one factor": (training(augment={"zoom": 0.2}), ["training.augment.zoom", "0.2", "list"]),
    "factors that go down": (training(augment={"zoom": [1.2, 0.8]}), ["augment.zoom", "[1.2, 0.8]", "smaller"]),
    "a factor of zero": (training(augment={"zoom": [0, 1]}), ["training.augment.zoom.0", "above 0"]),
    "too bright": (training(augment={"brightness": 2}), ["training.augment.brightness", "2", "1"]),
    "half a pixel": (training(augment={"cutout": 0.5}), ["training.augment.cutout", "0.5", "whole number"]),
    "a fill unknown": (training(augment={"fill": "wrap"}), ["training.augment.fill", "'wrap'", "'nearest'"]),
    "no copies": (training(copies=[]), ["training.copies", "is empty", "at least 1"]),
    "a wrong copy": (training(copies=[{}, {"flip": 2}]), ["training.copies.1.flip", "2", "'always'"]),
    "changes twice": (training(copies=[{}], augment={"crop": 2}), ["`augment` and `copies`", "one of them"]),
    "a redraw as text": (training(redraw="yes"), ["training.redraw", "'yes'", "true or false"]),
    "patience without end": (training(early_stopping={}), ["training.early_stopping.patience", "missing"]),
    "no patience": (training(early_stopping={"patience": 0}), ["early_stopping.patience", "0", "above 0"]),
    "a delta below zero": (training(early_stopping={"patience": 3, "min_delta": -1}), ["min_delta", "-1", "0"]),
    "weights to restore": (training(early_stopping={"patience": 3, "restore": "best"}), ["'restore'", "min_delta"]),
    "a factor above one": (training(schedule={"type": "plateau", "factor": 2}), ["schedule", "factor", "2", "1"]),
    "a penalty without weight": (training(penalty={"alpha": 0.5}), ["training.penalty.weight", "missing"]),
    "a share above one": (training(penalty={"alpha": 2, "weight": 0.1}), ["training.penalty.alpha", "2", "1"]),
    "a penalty on no layer": (
        training(penalty={"alpha": 0.5, "weight": 0.1, "layers": ["bn1"]}),
        ["training.penalty.layers", "'bn1'", "conv1"],
    ),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_wrong_option_is_refused_in_one_line(case):
    changes, words = WRONG[case]
    with pytest.raises(checks.ConfigError) as found:
        plan(*changes)
    message = str(found.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "changes",
    [
        training(augment={"shift": 0.0, "shear": 0, "zoom": [1, 1], "fill": "black", "flip": False}),
        training(redraw=True),
    ],
)
def test_options_that_are_off_leave_the_cells_as_they_are(changes):
    assert ids(*changes) == ids()


@pytest.mark.parametrize(
    "changes",
    [
        training(augment={"shift": 0.1}),
        training(augment={"flip": "both"}),
        training(copies=[{}, {}]),
        training(augment={"flip": True}, redraw=False),
        training(schedule={"type": "plateau"}),
        training(early_stopping={"patience": 3}),
        training(penalty={"alpha": 0.5, "weight": 0.01}),
    ],
)
def test_every_option_makes_other_cells(changes):
    assert not ids(*changes) & ids()


def test_what_means_the_same_is_the_same_cell():
    assert ids(*training(augment={"flip": "horizontal"})) == ids(*training(augment={"flip": True}))
    full = training(copies=[{}, {"flip": "always", "fill": "black", "zoom": [1.0, 1.0]}])
    assert ids(*full) == ids(*training(copies=FLIPPED))
    assert ids(*full) != ids(*training(copies=FLIPPED[::-1]))


def test_the_plan_counts_the_copies():
    def seconds(*changes):
        cell = next(c for c in plan(*changes).cells.values() if c.kind == "base" and c.architecture == "lenet5")
        return cost.need(cell, 1, "cpu").seconds - cost.START

    once, twice = seconds(), seconds(*training(copies=[{}, {}]))
    assert 1.5 * once < twice < 2 * once


def test_one_axis_can_vary_the_options():
    """Study 004: elastic net on the output layer, and each augmentation beside its control."""
    levels = {
        "none": {},
        "duplicate": {"training": {"copies": [{}, {}]}},
        "zoom": {"training": {"copies": [{}, {"zoom": [0.5, 1.0]}]}},
        "penalty": {"training": {"penalty": {"alpha": 0.5, "weight": "1e-3"}}},
    }
    found = plan(((*D, "vary"), {"change": levels}))
    grid = [entry for entry in found.entries if entry.role == "grid"]
    assert len({entry.cell_id for entry in grid}) == len(grid) == 4 * 12
    chosen = {entry.labels["change"]: found.cells[entry.cell_id].settings.json["training"] for entry in grid}
    assert chosen["none"]["copies"] is None and len(chosen["zoom"]["copies"]) == 2
    assert chosen["penalty"]["penalty"] == {"layers": None, "alpha": 0.5, "weight": 1e-3}
