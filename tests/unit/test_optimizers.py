"""Every optimizer of torch.optim: its options and defaults, its steps, and that a resumed one goes on as it was."""

import inspect

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.nn import functional

from tests.unit.cells import record
from weight_atlas import networks, starts, streams
from weight_atlas.networks import build
from weight_atlas.plan import spec
from weight_atlas.plan.cost import MOMENTS
from weight_atlas.settings import Optimizer, Settings, Start
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
    assert ours.pop("type") == name and ours.pop("decay", "all") == "all" and ours.pop("lr_scale") is None
    assert {key: tuple(value) if isinstance(value, list) else value for key, value in ours.items()} == torchs


def test_a_type_may_be_written_as_torch_writes_it():
    assert ADAPTER.validate_python({"type": "AdamW"}) == ADAPTER.validate_python({"type": "adamw"})
    for wrong in ({"type": "lbfgs"}, {"type": "rprop", "weight_decay": 0.1}, {"type": "rprop", "etas": [1.1, 1.2]}):
        with pytest.raises(ValidationError):
            ADAPTER.validate_python(wrong)


def named(parameters):
    return {f"p{at}.weight": one for at, one in enumerate(parameters)}


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
    walk(optimizers.create_optimizer(settings, named(ours), 0.05), ours, torch.Generator().manual_seed(0), 6)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.options.items()}
    given = {key: value for key, value in given.items() if key not in ("decay", "lr_scale")}
    plain = getattr(torch.optim, optimizers.NAMES[name])(torchs, **given | {"lr": 0.05})
    walk(plain, torchs, torch.Generator().manual_seed(0), 6)
    draw = torch.Generator().manual_seed(0)
    first = optimizers.create_optimizer(settings, named(resumed), 0.05)
    walk(first, resumed, draw, 3)
    saved = optimizers.optimizer_state(first, named(resumed))
    second = optimizers.create_optimizer(settings, named(resumed), 0.05)
    optimizers.load_optimizer_state(second, named(resumed), saved)
    walk(second, resumed, draw, 3)
    for one, other, third, begun in zip(ours, torchs, resumed, start, strict=True):
        assert torch.equal(one, other) and torch.equal(one, third) and not torch.equal(one, begun)


def test_decay_of_weights_alone_leaves_biases_and_norms():
    settings = full("adamw", {"weight_decay": 0.5, "decay": "weights"})
    ours, torchs = ([torch.nn.Parameter(torch.ones(shape)) for shape in ((3, 2), (3,))] for _ in range(2))
    groups = [{"params": torchs[:1], "weight_decay": 0.5}, {"params": torchs[1:], "weight_decay": 0.0}]
    for made, parameters in (
        (optimizers.create_optimizer(settings, named(ours), 0.1), ours),
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


# ------------------------------------------------------------------------------------------- rates by layer


def test_factors_by_depth_and_by_layer():
    """ResNet18 has 18 weight layers beside three shortcuts, whose BatchNorms go with them."""
    table = networks.layer_table({"architecture": "lenet5"}, 1, 32, 10)
    first, *_, before, last = [layer.name for layer in table.weight_layers]
    found = optimizers.rate_factors(table, 0.5)
    weights = [found[f"{layer}.weight"] for layer in (last, before, first)]
    assert weights == [1, 0.5, 0.5 ** (len(table.weight_layers) - 1)]
    assert optimizers.rate_factors(table, {last: 10.0}) == {f"{last}.weight": 10.0, f"{last}.bias": 10.0}
    deep = networks.layer_table({"architecture": "resnet18", "width": 0.0625}, 3, 32, 10)
    found = optimizers.rate_factors(deep, {"layer1": 0.1, "layer1.0.conv1": 0.2})
    assert found.keys() == {name for name, _ in deep.parameters() if name.startswith("layer1.")}
    assert found["layer1.0.conv1.weight"] == found["layer1.0.bn1.bias"] == 0.2 and found["layer1.1.bn2.weight"] == 0.1
    whole = optimizers.rate_factors(deep, 0.9)
    assert whole["conv1.weight"] == whole["bn1.weight"] and whole["fc.bias"] == 1
    assert whole.keys() == {name for name, _ in deep.parameters()}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adamw", {"decay": "weights", "weight_decay": 0.1}),
        ("rmsprop", {"momentum": 0.5}),
        ("nadam", {}),
        ("sgd", {"momentum": 0.9, "decay": "weights", "weight_decay": 0.01, "lr_scale": {"conv1": 0.1, "fc3": 3.0}}),
        ("sgd", {"momentum": 0.9, "lr_scale": 0.5}),
    ],
)
def test_ten_epochs_are_those_of_a_plain_loop(toy, tmp_path, name, options):
    """The engine's weights after ten epochs equal, to the bit, those of a loop of torch's own."""
    from test_training import load, settings, snapshot, stage, train

    given = full(name, options)
    cell = settings(stages=[stage(10, 0.01)], optimizer={"type": name, **given.options})
    run, _ = train(toy, tmp_path / "ours", cell)
    model, table = build.build(cell["network"], 1, 32, 4)
    starts.initialise(model, table, Start("init", scheme="kaiming_uniform"), 0)
    heavy = [layer.name for layer in table.weight_layers]
    groups = []
    for parameter_name, parameter in model.named_parameters():
        layer, scale = parameter_name.rpartition(".")[0], options.get("lr_scale", 1.0)
        if isinstance(scale, dict):
            factor = next((value for key, value in scale.items() if layer.startswith(key)), 1.0)
        else:
            factor = scale ** (len(heavy) - 1 - heavy.index(layer))
        bare = parameter.ndim == 1 and options.get("decay") == "weights"
        groups.append({"params": [parameter], "lr": 0.01 * factor} | ({"weight_decay": 0.0} if bare else {}))
    torchs = {key: value for key, value in options.items() if key not in ("decay", "lr_scale")}
    plain = getattr(torch.optim, optimizers.NAMES[name])(groups, lr=0.01, **torchs)
    pictures = load(toy)
    model.to(memory_format=torch.channels_last).train()
    for epoch in range(1, 11):
        order = torch.randperm(80, generator=streams.generator(0, "order", epoch))
        for picked in order.split(16):
            plain.zero_grad()
            outputs = model(pictures.batch(pictures.train.images[picked]))
            functional.cross_entropy(outputs, pictures.train.labels[picked]).backward()
            plain.step()
    final = snapshot(tmp_path / "ours", 10)
    assert all(torch.equal(final[key], value) for key, value in model.state_dict().items())
    assert run.state.rows[-1]["rate"] == 0.01
