"""Training with an output scale: what it trains, that it goes on to the bit, and that it makes training lazy."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from tests.unit.test_plan import D, ids, plan
from tests.unit.test_training import SGD, load, settings, snapshot, stage, train
from weight_atlas import store
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.features import laziness
from weight_atlas.plan import checks
from weight_atlas.settings import Settings
from weight_atlas.training import checkpoint, engine

PLAIN_SGD = SGD | {"momentum": 0.0}
ALPHA = 100.0


def scaled(alpha, lr=0.05, epochs=2, optimizer=PLAIN_SGD):
    """A cell that is trained with an output scale (None: without), at the rate that keeps its function's speed."""
    rate = lr / (alpha or 1.0) ** 2
    cell = settings(stages=[stage(epochs, rate)], optimizer=optimizer | {"lr": rate})
    cell["training"]["output_scale"] = alpha
    return cell


def test_a_step_is_one_of_the_scaled_difference(toy, tmp_path):
    """The first: outputs are 0, the loss is ln 4, and the gradient that of alpha f at these outputs."""
    torch.set_num_threads(1)
    run = engine.Run("base-toy", Settings.parse(scaled(ALPHA)), 0, load(toy), torch.device("cpu"), tmp_path)
    run._begin(None)
    model = copy.deepcopy(run.model)
    optimizer = run.enter_stage(run.training.stages[0])
    run.feed.shuffle_epoch(1)
    batch, labels = run.feed.batch(0)
    loss, _ = run.train_step(batch, labels, optimizer).tolist()
    assert loss / len(labels) == pytest.approx(math.log(4), rel=1e-6)
    outputs = model(batch)
    F.cross_entropy(ALPHA * (outputs - outputs.detach()), labels).backward()
    for ours, theirs in zip(run.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs - 0.05 / ALPHA**2 * theirs.grad)


def test_what_is_evaluated_is_the_scaled_difference(toy, tmp_path):
    run, _ = train(toy, tmp_path, scaled(ALPHA))
    images = run.data.batch(run.data.test.images)
    start, end = copy.deepcopy(run.model), copy.deepcopy(run.model)
    start.load_state_dict(snapshot(tmp_path, 0))
    end.load_state_dict(snapshot(tmp_path, 2))
    with torch.no_grad():
        outputs = ALPHA * (end(images) - start(images))
    expected = F.cross_entropy(outputs, run.data.test.labels)
    assert run.state.rows[-1]["test_loss"] == pytest.approx(float(expected), rel=1e-4)


def test_an_interrupted_run_goes_on_to_the_bit(toy, tmp_path, monkeypatch):
    train(toy, tmp_path / "alone", scaled(ALPHA, optimizer=SGD))
    monkeypatch.setattr(engine.Run, "stopping", True)
    with pytest.raises(checkpoint.Stopped):
        train(toy, tmp_path / "stopped", scaled(ALPHA, optimizer=SGD))
    monkeypatch.setattr(engine.Run, "stopping", False)
    train(toy, tmp_path / "stopped", scaled(ALPHA, optimizer=SGD))
    one, other = (snapshot(tmp_path / name, 2) for name in ("alone", "stopped"))
    assert all(one[name].equal(other[name]) for name in one)


def test_a_large_scale_makes_training_lazy(toy, tmp_path):
    """Both learn; the scaled one stays near its linearisation, its kernel as it was, and the plain one does neither."""
    card = store.read_json(toy / "toy.json")
    images = evaluation.load_images(toy / "toy.safetensors", card, 1, 32, 10)
    found = {}
    for alpha in (None, ALPHA):
        cell = scaled(alpha, lr=0.1, epochs=12)
        run, _ = train(toy, tmp_path / str(alpha), cell)
        assert run.state.rows[-1]["test_accuracy"] > 0.9
        ends = (snapshot(tmp_path / str(alpha), epoch) for epoch in (0, 12))
        trained = laziness.Trained(Settings.parse(cell), *ends, images)
        found[alpha] = laziness.linearity(trained, 20), laziness.kernel_change(trained, 20)
        assert found[alpha][0].accuracy == pytest.approx(run.state.rows[-1]["test_accuracy"])
    (plain, plain_kernel), (lazy, lazy_kernel) = found[None], found[ALPHA]
    assert lazy.departure < 0.1 < plain.departure and lazy.agreement == 1
    assert lazy_kernel.kernel_change < 0.1 < plain_kernel.kernel_change
    assert lazy_kernel.kernel_cosine > plain_kernel.kernel_cosine


def test_a_scale_is_another_cell_and_needs_one_function():
    study = {"grid": {"dataset": ["digits"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]}}
    definitions = ("definitions",), {"mine": study}
    both = study | {"vary": {"alpha": {"plain": {}, "scaled": {"training": {"output_scale": 100}}}}}
    assert (
        ids(definitions) < ids((("definitions",), {"mine": both})) and len(ids((("definitions",), {"mine": both}))) == 2
    )
    with pytest.raises(checks.ConfigError, match=r"output_scale: 2, for a network with BatchNorm2d; allowed:"):
        plan(((*D, "training"), {"output_scale": 2}))
    with pytest.raises(checks.ConfigError, match="cache_features"):
        plan(((*D, "training"), {"output_scale": 2, "cache_features": True}))
