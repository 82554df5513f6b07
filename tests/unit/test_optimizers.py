"""Every optimizer of torch.optim: its options and defaults, its steps, and that a resumed one goes on as it was."""

import inspect

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.nn import functional

from tests.unit.cells import record
from weight_atlas.plan import spec
from weight_atlas.plan.cost import MOMENTS
from weight_atlas.settings import Optimizer, Settings
from weight_atlas.training import engine, optimizers

CHOICES = {"foreach", "fused", "capturable", "differentiable", "maximize"}  # of an implementation
ALONE = {"LBFGS", "SparseAdam", "Muon"}  # they cannot train every network alone
ADAPTER = TypeAdapter(spec.Optimizer)
# Options that are not the defaults, as far as they change the state.
OTHERS = {
    "sgd": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "adam": {"amsgrad": True, "betas": [0.8, 0.99]},
    "rmsprop": {"momentum": 0.5, "centered": True},
    "adagrad": {"lr_decay": 0.1, "initial_accumulator_value": 0.1},
    "asgd": {"t0": 2.0},
    "adafactor": {"eps": [1e-6, 1e-3]},
}
CASES = [(name, {}) for name in optimizers.NAMES] + list(OTHERS.items())


def classes():
    """{name: class} of all optimizers of the installed torch."""
    found = {name: getattr(torch.optim, name) for name in dir(torch.optim)}
    kind = torch.optim.Optimizer
    return {name: one for name, one in found.items() if inspect.isclass(one) and issubclass(one, kind) and one != kind}


def full(name, options):
    """An optimizer as a plan makes it."""
    given = ADAPTER.validate_python({"type": name, **options}).model_dump()
    return Optimizer(given.pop("type"), given)


def test_every_optimizer_of_torch_that_can_train_alone_is_there():
    assert classes().keys() - ALONE == set(optimizers.NAMES.values())
    assert MOMENTS.keys() == optimizers.NAMES.keys()


@pytest.mark.parametrize("name", optimizers.NAMES)
def test_options_and_defaults_are_those_of_the_installed_torch(name):
    signature = inspect.signature(getattr(torch.optim, optimizers.NAMES[name])).parameters
    torchs = {key: one.default for key, one in signature.items() if key not in CHOICES | {"params"}}
    ours = ADAPTER.validate_python({"type": name}).model_dump()
    assert ours.pop("type") == name and ours.pop("decay", "all") == "all"
    assert {key: tuple(value) if isinstance(value, list) else value for key, value in ours.items()} == torchs


def test_a_type_may_be_written_as_torch_writes_it():
    assert ADAPTER.validate_python({"type": "AdamW"}) == ADAPTER.validate_python({"type": "adamw"})
    for wrong in ({"type": "lbfgs"}, {"type": "rprop", "weight_decay": 0.1}, {"type": "rprop", "etas": [1.1, 1.2]}):
        with pytest.raises(ValidationError):
            ADAPTER.validate_python(wrong)


def walk(made, parameters, draw, count):
    """Take some steps with drawn gradients."""
    for _ in range(count):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=draw)
        made.step()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_steps_are_torchs_and_go_on_from_a_saved_state(name, options):
    """Six steps equal, to the bit, torch's own six, and three, a save, and three more."""
    start = [torch.ones(3, 5), torch.ones(5), torch.ones(4, 3, 2, 2)]
    settings = full(name, options)
    ours, torchs, resumed = ([torch.nn.Parameter(one.clone()) for one in start] for _ in range(3))
    walk(optimizers.create_optimizer(settings, ours, 0.05), ours, torch.Generator().manual_seed(0), 6)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.options.items()}
    given.pop("decay", None)
    plain = getattr(torch.optim, optimizers.NAMES[name])(torchs, **given | {"lr": 0.05})
    walk(plain, torchs, torch.Generator().manual_seed(0), 6)
    draw = torch.Generator().manual_seed(0)
    first = optimizers.create_optimizer(settings, resumed, 0.05)
    walk(first, resumed, draw, 3)
    named = {f"p{at}": one for at, one in enumerate(resumed)}
    saved = optimizers.optimizer_state(first, named)
    second = optimizers.create_optimizer(settings, resumed, 0.05)
    optimizers.load_optimizer_state(second, named, saved)
    walk(second, resumed, draw, 3)
    for one, other, third, begun in zip(ours, torchs, resumed, start, strict=True):
        assert torch.equal(one, other) and torch.equal(one, third) and not torch.equal(one, begun)


def test_decay_of_weights_alone_leaves_biases_and_norms():
    settings = full("adamw", {"weight_decay": 0.5, "decay": "weights"})
    ours, torchs = ([torch.nn.Parameter(torch.ones(shape)) for shape in ((3, 2), (3,))] for _ in range(2))
    groups = [{"params": torchs[:1], "weight_decay": 0.5}, {"params": torchs[1:], "weight_decay": 0.0}]
    for made, parameters in (
        (optimizers.create_optimizer(settings, ours, 0.1), ours),
        (torch.optim.AdamW(groups, lr=0.1), torchs),
    ):
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        made.step()
    assert torch.equal(ours[0], torchs[0]) and torch.equal(ours[1], torchs[1])
    assert torch.equal(ours[1], torch.ones(3)) and ours[0][0, 0].item() == pytest.approx(0.95)


def test_smoothed_labels_and_clipped_gradients_are_torchs(toy, tmp_path):
    """One step of the engine beside a plain one; the gradients' norm is well above the limit."""
    from test_training import load

    cell = record(
        dataset_id="toy",
        classes=4,
        network={"architecture": "lenet5", "width": 0.5},
        input={"size": 32},
        start={"kind": "init", "scheme": "kaiming_uniform"},
        training={"label_smoothing": 0.1, "clip_norm": 0.01, "optimizer": {"type": "sgd", "lr": 0.5}},
    )
    run = engine.Run("base-toy", Settings.parse(cell), 0, load(toy), torch.device("cpu"), tmp_path)
    run._begin(None)
    images, labels = run.data.batch(run.data.train.images[:16]), run.data.train.labels[:16]
    before = [parameter.detach().clone() for parameter in run.model.parameters()]
    run.model.train()
    functional.cross_entropy(run.model(images), labels, label_smoothing=0.1).backward()
    gradients = [parameter.grad.clone() for parameter in run.model.parameters()]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    assert norm > 0.02
    optimizer = run.enter_stage(run.training.stages[0])
    loss, _ = run.train_step(images, labels, optimizer).tolist()
    after = [one - 0.05 * 0.01 / norm * gradient for one, gradient in zip(before, gradients, strict=True)]
    for one, other in zip(run.model.parameters(), after, strict=True):
        assert torch.allclose(one, other, atol=1e-7)
    assert loss / 16 > 0
