"""Averaged weights: ten epochs beside a plain loop with torch's AveragedModel, and a run that goes on."""

import pytest
import torch
from torch.nn import functional
from torch.optim import swa_utils

from tests.unit.test_checkpoint import files
from tests.unit.test_training import SGD, load, settings, snapshot, stage, train
from weight_atlas import networks, starts, streams
from weight_atlas.networks import build
from weight_atlas.plan import checks, cost, spec, study
from weight_atlas.settings import Settings, Start
from weight_atlas.training import checkpoint, engine

EPOCHS = 10
AVERAGES = {"ema": {"type": "ema", "decay": 0.9}, "swa": {"type": "swa", "start": 4}}
NETWORKS = {"resnet18": 0.125, "vgg11_bn": 0.02, "lenet5": 0.5}  # running statistics; with dropout; neither


def cell(kind, architecture="resnet18", epochs=EPOCHS):
    made = settings(architecture, width=NETWORKS[architecture], stages=[stage(epochs, 0.02)], optimizer=SGD)
    made["training"]["average"] = AVERAGES[kind]
    return made


def plain(toy, kind, architecture):
    """{epoch: (state, losses and accuracies on validation and test)} of a loop that knows nothing of the engine."""
    images, network = load(toy), {"architecture": architecture, "width": NETWORKS[architecture]}
    model, table = build.build(network, 1, 32, 4)
    starts.initialise(model, table, Start("init", scheme="kaiming_uniform"), 0)
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    is_ema = kind == "ema"
    averaged = swa_utils.AveragedModel(
        model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9) if is_ema else None, use_buffers=is_ema
    )
    found = {}
    for epoch in range(1, EPOCHS + 1):
        model.train()
        torch.manual_seed(streams.key(0, "dropout", epoch))
        order = torch.randperm(len(images.train), generator=streams.generator(0, "order", epoch)).split(16)
        batches = [(images.batch(images.train.images[rows]), images.train.labels[rows]) for rows in order]
        for batch, labels in batches:
            optimizer.zero_grad()
            functional.cross_entropy(model(batch), labels).backward()
            optimizer.step()
            if is_ema:
                averaged.update_parameters(model)
        if not is_ema and epoch >= AVERAGES["swa"]["start"]:
            averaged.update_parameters(model)
            swa_utils.update_bn(batches, averaged)
        kept = averaged.module if averaged.n_averaged else model
        found[epoch] = {name: one.clone() for name, one in kept.state_dict().items()}, scores(kept, images)
    return found


@torch.no_grad()
def scores(model, images):
    model.eval()
    told = []
    for split in (images.valid, images.test):
        outputs = model(images.batch(split.images))
        told.append(functional.cross_entropy(outputs, split.labels).item())
        told.append((outputs.argmax(1) == split.labels).double().mean().item())
    return told


@pytest.mark.parametrize("architecture", NETWORKS)
@pytest.mark.parametrize("kind", AVERAGES)
def test_ten_epochs_are_those_of_a_plain_loop(toy, tmp_path, kind, architecture):
    run, record = train(toy, tmp_path, cell(kind, architecture))
    assert record["status"] == "done"
    expected = plain(toy, kind, architecture)
    for epoch, (state, told) in expected.items():
        kept = snapshot(tmp_path, epoch)
        assert kept.keys() == state.keys()
        assert all(torch.equal(kept[name], state[name]) for name in kept), epoch
        columns = ("valid_loss", "valid_accuracy", "test_loss", "test_accuracy")
        assert [run.state.rows[epoch][name] for name in columns] == pytest.approx(told, rel=1e-6)
    trained = run.model.state_dict()
    assert not all(torch.equal(trained[name], expected[EPOCHS][0][name]) for name in trained)


def test_until_it_begins_the_trained_weights_are_kept(toy, tmp_path):
    """The trajectory is that of the run without an average: nothing of it depends on the average."""
    train(toy, tmp_path / "averaged", cell("swa"))
    without = cell("swa")
    without["training"]["average"] = None
    train(toy, tmp_path / "plain", without)
    for epoch in range(EPOCHS + 1):
        one, other = (snapshot(tmp_path / name, epoch) for name in ("averaged", "plain"))
        same = all(torch.equal(one[name], other[name]) for name, _ in networks_parameters())
        assert same == (epoch <= 4), "the average of one epoch is that epoch"


def networks_parameters():
    return networks.layer_table({"architecture": "resnet18", "width": NETWORKS["resnet18"]}, 1, 32, 4).parameters()


@pytest.mark.parametrize("kind", AVERAGES)
@pytest.mark.parametrize("after", [5, 12, 23])
def test_a_run_that_goes_on_ends_in_the_same_bits(toy, tmp_path, monkeypatch, kind, after):
    """Five steps an epoch: between two epochs, within one, and before and after an average begins."""
    made = cell(kind, "vgg11_bn", epochs=6)
    train(toy, tmp_path / "alone", made)
    step, steps = engine.Run.train_step, []

    def counted(*given):
        steps.append(1)
        engine.Run.stopping = len(steps) == after
        return step(*given)

    monkeypatch.setattr(engine.Run, "train_step", counted)
    monkeypatch.setattr(engine.Run, "stopping", False)  # and again at the end
    with pytest.raises(checkpoint.Stopped):
        train(toy, tmp_path / "again", made)
    engine.Run.stopping = False
    train(toy, tmp_path / "again", made)
    checkpoint.path(tmp_path / "again", 0).unlink()
    assert len(steps) == 30 and files(tmp_path / "again") == files(tmp_path / "alone")


# ------------------------------------------------------------------------------------------- the plan


def plan(network="lenet5", **training):
    config = {
        "name": "made-up",
        "datasets": {"digits": {"source": "digits"}},
        "networks": {"lenet5": {}, "resnet18": {"width": 0.0625}},
        "optimizers": {"sgd": {"type": "sgd"}},
        "training": {"epochs": 4} | training,
        "definitions": {"one": {"grid": {"dataset": ["digits"], "network": [network], "init": ["default"],
                                         "optimizer": ["sgd"]}}},
    }  # fmt: skip
    return study.Plan(config)


@pytest.mark.parametrize(
    ("training", "line"),
    [
        (
            {"average": {"type": "swa", "start": 5}},
            "training.average.start: 5 of 4 epochs; allowed: 1 to 4",
        ),
        (
            {"average": {"type": "swa", "start": 2}, "stages": [{"epochs": 4, "frozen": 3}]},
            "training.average: 'swa' estimates all running statistics anew, and the frozen BatchNorm 'bn1' keeps its "
            "own; allowed: ema, or frozen_batchnorm: batch",
        ),
        (
            {"average": {"type": "ema"}, "keep_optimizer": True},
            "training: has `average` and `keep_optimizer`; allowed: one of them",
        ),
        ({"average": {"type": "ema", "decay": 1}}, "training.average.decay: 1 is not allowed; give a number below 1"),
    ],
)
def test_what_cannot_be_averaged_is_refused(training, line):
    with pytest.raises(checks.ConfigError) as error:
        plan("resnet18", **training)
    assert str(error.value) == line


def test_an_average_makes_another_cell_that_needs_more():
    def only(**training):
        [made] = plan("resnet18", **training).cells.values()
        return made, cost.need(made, 1, "cpu")

    (none, least), (ema, more), (swa, most) = (
        only(**training) for training in ({}, {"average": {"type": "ema"}}, {"average": {"type": "swa", "start": 2}})
    )
    assert len({none.cell_id, ema.cell_id, swa.cell_id}) == 3 and only(average=None)[0].cell_id == none.cell_id
    assert Settings.parse(ema.settings.json).training.average.decay == spec.EMA(type="ema").decay == 0.999
    assert least.working_bytes < more.working_bytes == most.working_bytes
    assert least.seconds == more.seconds < most.seconds
