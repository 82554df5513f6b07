"""Starts from a trained parent: perturbed, or with some of its layers grafted onto another task."""

import numpy as np
import pytest
import torch

from tests.unit.test_training import settings, snapshot, stage, train
from weight_atlas import networks, perturbations, starts, store, streams
from weight_atlas.networks import build
from weight_atlas.settings import Start
from weight_atlas.starts import perturb

NETWORK = {"architecture": "resnet18", "width": 0.0625, "options": {}, "threads": 1}


def changed(parent, *steps, seed=0):
    """(weights before, weights after, what is recorded) of perturbation steps."""
    path = store.snapshot_path(parent, 0, 2)
    table = networks.layer_table(NETWORK, 1, 32, 4)
    start = {"kind": "perturb", "scheme": "kaiming_uniform", "order": "same", "cell": "x", "steps": list(steps)}
    model = build.TableModule(table)
    noted = starts.begin(model, table, Start(**start), seed, str(path)).record
    return store.load_tensors(path), model.state_dict(), noted


def step(kind, layers=None, tensors="all", **settings):
    known = {name: default for name, (_, default) in perturbations.options(kind).items()}
    return {"type": kind, "layers": layers, "tensors": tensors} | known | settings


def differing(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def learnable():
    return {name for name, _ in networks.layer_table(NETWORK, 1, 32, 4).parameters()}


def test_nothing_is_changed_without_a_step(parent):
    before, after, noted = changed(parent)
    assert differing(before, after) == set() and before.keys() == after.keys()
    count = sum(before[name].numel() for name in learnable())
    assert noted == {"perturbed": 0, "perturbed_of": count, "perturbation_norm": 0.0}


def test_a_flip_negates_what_it_names_and_nothing_else(parent):
    before, after, noted = changed(parent, step("flip"))
    for name in before:
        expected = -before[name] if name in learnable() else before[name]
        assert torch.equal(after[name], expected), name
    theta = np.concatenate([before[name].double().numpy().ravel() for name in sorted(learnable())])
    assert noted["perturbed"] == np.count_nonzero(theta) and noted["perturbed_of"] == theta.size
    assert noted["perturbation_norm"] == pytest.approx(2 * np.linalg.norm(theta), rel=1e-12)

    means = {name for name in before if name.endswith("running_mean")}
    assert differing(*changed(parent, step("flip", running_mean=True))[:2]) == learnable() | means
    convolutions = {name for name in learnable() if "conv" in name or "downsample.0" in name}
    assert differing(*changed(parent, step("flip", tensors="convolutions"))[:2]) == convolutions
    assert differing(*changed(parent, step("flip", tensors="weights"))[:2]) == convolutions | {"fc.weight"}
    assert differing(*changed(parent, step("flip", ["layer1.0"], running_mean=True))[:2]) == {
        name for name in before if name.startswith("layer1.0") and "running_var" not in name and "tracked" not in name
    }
    # A convolution takes the running mean of the BatchNorm that it feeds with it, and so do both of them together.
    lone = differing(*changed(parent, step("flip", ["conv1"], "convolutions", running_mean=True))[:2])
    assert lone == {"conv1.weight", "bn1.running_mean"}
    assert not differing(*changed(parent, step("flip"), step("flip"))[:2])


def test_noise_has_the_size_and_the_shape_that_it_says(parent):
    before, after, noted = changed(parent, step("add", size=1e-3))
    for name in learnable():
        assert np.array_equal(after[name].numpy(), before[name].numpy() + np.float32(1e-3))
    assert noted["perturbation_norm"] == pytest.approx(1e-3 * noted["perturbed_of"] ** 0.5, rel=1e-4)

    def draws(**settings):
        before, after, _ = changed(parent, step("add", **settings))
        return {name: (after[name].double() - before[name].double()).numpy() for name in learnable()}, before

    for kind in ("gaussian", "relative", "filter"):
        found, before = draws(size=1e-2, noise=kind)
        for name in learnable():
            z = torch.randn(before[name].shape, generator=streams.generator(0, "perturb", 0, name)).double().numpy()
            theta = before[name].double().numpy()
            if kind == "relative":
                z = z * np.abs(theta)
            if kind == "filter":
                rows = (len(theta), -1) if theta.ndim > 1 else (1, -1)
                flat, own = z.reshape(rows), theta.reshape(rows)
                scale = np.linalg.norm(own, axis=1, keepdims=True) / np.linalg.norm(flat, axis=1, keepdims=True)
                z = (flat * scale).reshape(z.shape)
            assert np.allclose(found[name], 1e-2 * z, rtol=1e-3, atol=1e-7), (kind, name)
    again, other = (
        changed(parent, step("add", noise="gaussian", size=1.0)),
        changed(parent, step("add", noise="gaussian", size=1.0), seed=1),
    )
    assert differing(again[1], changed(parent, step("add", noise="gaussian", size=1.0))[1]) == set()
    assert learnable() <= differing(again[1], other[1])
    twice = changed(parent, *[step("add", noise="gaussian", size=1.0)] * 2)
    assert twice[2]["perturbation_norm"] < 1.7 * again[2]["perturbation_norm"], "each step draws from its own stream"


def test_a_layer_is_put_back_or_drawn_anew(parent):
    first = store.load_tensors(store.snapshot_path(parent, 0, 0))
    before, after, _ = changed(parent, step("reinitialise", ["layer2.0.conv1"]))
    own = {"layer2.0.conv1.weight", "layer2.0.bn1.weight", "layer2.0.bn1.bias"}
    own |= {"layer2.0.bn1.running_mean", "layer2.0.bn1.running_var"}
    assert differing(before, after) == own and all(torch.equal(after[name], first[name]) for name in own)

    before, after, _ = changed(parent, step("rerandomise", ["layer2.0.conv1"]))
    assert differing(before, after) == own
    assert not torch.equal(after["layer2.0.conv1.weight"], first["layer2.0.conv1.weight"])
    bound = (6 / (9 * before["layer2.0.conv1.weight"].shape[1])) ** 0.5  # He et al. 2015, uniform
    assert 0.9 * bound < after["layer2.0.conv1.weight"].abs().max() <= bound
    assert (after["layer2.0.bn1.weight"] == 1).all() and (after["layer2.0.bn1.running_var"] == 1).all()


def test_every_perturbation_can_be_found_and_explains_itself():
    assert perturbations.names() == ["add", "flip", "identical", "prune", "reinitialise", "rerandomise"]
    assert set(perturbations.options("add")) == {"size", "noise"}
    with pytest.raises(ValueError, match="type 'blur'.*add, flip"):
        perturbations.load_perturbation("blur")
    assert perturb.tensor_names(networks.layer_table(NETWORK, 1, 32, 4), step("flip", ["fc"])) == [
        "fc.weight",
        "fc.bias",
    ]


def retrain(toy, out, parent, order="same", repeat=0, state="fresh", steps=()):
    cell = settings("resnet18", width=0.0625)
    cell["start"] = {"kind": "perturb", "cell": "p", "take": "last", "scheme": "kaiming_uniform", "steps": list(steps)}
    cell["start"] |= {"order": order, "repeat": repeat, "state": state}
    train(toy, out, cell, file=str(store.snapshot_path(parent, 0, 2)))
    return snapshot(out, 0), snapshot(out, 2)


def test_the_control_repeats_itself_and_another_order_does_not(toy, tmp_path, parent):
    start, end = retrain(toy, tmp_path / "a", parent)
    assert differing(snapshot(parent, 2), start) == set()
    assert differing(end, retrain(toy, tmp_path / "b", parent, repeat=1)[1]) == set()
    assert learnable() <= differing(end, retrain(toy, tmp_path / "c", parent, order="other")[1])
    carried = retrain(toy, tmp_path / "d", parent, state="carried")[1]
    assert learnable() <= differing(end, carried)


def test_a_carried_optimizer_goes_on_where_it_was(toy, tmp_path, parent):
    """The first step with momentum: theta - lr (mu v + g), with the parent's own v."""
    from weight_atlas.training import optimizers

    table = networks.layer_table(NETWORK, 1, 32, 4)
    model = build.TableModule(table)
    parameters = dict(model.named_parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    path = store.optimizer_path(parent, 0)
    optimizers.load_optimizer_state(optimizer, parameters, store.load_tensors(path))
    before = {name: value.detach().clone() for name, value in parameters.items()}
    for value in parameters.values():
        value.grad = torch.ones_like(value)
    optimizer.step()
    kept = store.load_tensors(path)
    assert set(kept) == {f"{name}:momentum_buffer" for name in parameters}
    for name, value in parameters.items():
        expected = before[name] - 0.1 * (0.9 * kept[f"{name}:momentum_buffer"] + 1)
        assert torch.allclose(value, expected, rtol=1e-6, atol=1e-7)

    adam = torch.optim.Adam(model.parameters())
    for value in parameters.values():
        value.grad = torch.ones_like(value)
    adam.step()
    store.save_tensors(tmp_path / "adam.safetensors", optimizers.optimizer_state(adam, parameters))
    fresh = torch.optim.Adam(model.parameters())
    optimizers.load_optimizer_state(fresh, parameters, store.load_tensors(tmp_path / "adam.safetensors"))
    for value in parameters.values():
        assert {key: torch.equal(x, fresh.state[value][key]) for key, x in adam.state[value].items()} == {
            "step": True,
            "exp_avg": True,
            "exp_avg_sq": True,
        }


# ------------------------------------------------------------------------------------------------ grafts


@pytest.fixture(scope="module")
def base(toy, tmp_path_factory):
    """A trained vgg11_bn in small, from torch's default start, whose biases are drawn too."""
    out = tmp_path_factory.mktemp("base")
    train(toy, out, grafted(0, init="init"))
    return out


def grafted(layers, mode="frozen", init="graft", cell="base", **training):
    """The settings of a cell with so many layers of the base."""
    frozen = 0 if mode == "tuned" else layers
    found = settings("vgg11_bn", width=0.02, stages=[stage(1, frozen=frozen)])
    found["start"] = {"kind": init, "scheme": "default"}
    if init == "graft":
        parent = cell if layers and mode != "random" else None
        found["start"] |= {"cell": parent, "take": "best", "layers": layers}
    found["training"] |= training
    return found


def owned(table, layers):
    """Names of the tensors of the first layers, their BatchNorms included."""
    return {name for name in table.copied_tensors(Start("graft", layers=layers))}


@pytest.mark.parametrize("layers", range(11))
@pytest.mark.parametrize("mode", ["frozen", "tuned", "random"])
def test_a_graft_copies_and_freezes_exactly_its_layers(toy, base, tmp_path, mode, layers):
    run, record = train(toy, tmp_path, grafted(layers, mode), file=str(store.snapshot_path(base, 0, "best")))
    assert record["status"] == "done"
    theirs, own = snapshot(base, "best"), snapshot(base, 0)
    start, end = snapshot(tmp_path, 0), snapshot(tmp_path, 1)
    taken, weights = owned(run.table, layers), {name for name, _ in run.table.parameters()}
    assert len(taken) == sum(6 + 1 if layer.kind == "Conv2d" else 2 for layer in run.table.weight_layers[:layers])
    copied = taken if mode != "random" else set()
    fixed = taken if mode != "tuned" else set()
    varied = {name for name in weights if "weight" in name and own[name].dim() > 1}
    for name in weights:
        # Drawn tensors differ from the base's, at its end and at its start; gamma and beta start alike in every run.
        assert torch.equal(start[name], theirs[name]) == (name in copied), name
        if name in varied:
            assert not torch.equal(start[name], own[name]) or name in copied, name
    # A convolution's bias before a BatchNorm has a gradient of rounding errors alone: it may well stay where it is.
    idle = {f"{layer.name}.bias" for layer in run.table.layers if layer.kind == "Conv2d"} - fixed
    for name in set(start) - idle:
        assert torch.equal(start[name], end[name]) == (name in fixed), name
    held = {id(p) for group in run.enter_stage(run.training.stages[0]).param_groups for p in group["params"]}
    parameters = dict(run.model.named_parameters())
    assert held == {id(parameters[name]) for name in weights - fixed}


def test_without_layers_a_graft_is_a_fresh_run_of_its_own_stream(toy, base, tmp_path):
    train(toy, tmp_path / "none", grafted(0))
    table = networks.layer_table(grafted(0)["network"], 1, 32, 4)
    drawn = starts.drawn(table, Start("init", scheme="default"), 0, "graft-init")
    start = snapshot(tmp_path / "none", 0)
    assert all(torch.equal(start[name], drawn[name]) for name, _ in table.parameters())
    train(toy, tmp_path / "some", grafted(4), file=str(store.snapshot_path(base, 0, "best")))
    fresh = snapshot(tmp_path / "some", 0)
    rest = {name for name, _ in table.parameters()} - owned(table, 4)
    assert rest and all(torch.equal(fresh[name], start[name]) for name in rest), "fresh layers are the same for all n"
    # The same fresh start, trained by an engine that knows of no graft but its stream, ends in the same bits.
    train(toy, tmp_path / "again", grafted(0, "tuned"))
    assert differing(snapshot(tmp_path / "none", 1), snapshot(tmp_path / "again", 1)) == set()


def test_options_of_frozen_layers(toy, base, tmp_path):
    file = str(store.snapshot_path(base, 0, "best"))
    train(toy, tmp_path / "batch", grafted(9, frozen_batchnorm="batch"), file=file)
    start, end = snapshot(tmp_path / "batch", 0), snapshot(tmp_path / "batch", 1)
    running = {name for name in start if "running" in name or "tracked" in name}
    table = networks.layer_table(grafted(9)["network"], 1, 32, 4)
    assert differing(start, end) == running | ({name for name, _ in table.parameters()} - owned(table, 9))
    run, _ = train(toy, tmp_path / "on", grafted(10), file=file)
    names = {id(module): name for name, module in run.model.named_modules()}
    assert not [names[id(m)] for m in run.fixed if isinstance(m, torch.nn.Dropout)]
    run, _ = train(toy, tmp_path / "off", grafted(10, frozen_dropout=False), file=file)
    assert [names for names in run.fixed if isinstance(names, torch.nn.Dropout)] == [
        run.model.get_submodule("classifier.2"),
        run.model.get_submodule("classifier.5"),
    ]
    assert learnable_differs(tmp_path / "on", tmp_path / "off")


def learnable_differs(one, other):
    return differing(snapshot(one, 1), snapshot(other, 1)) == {"classifier.6.weight", "classifier.6.bias"}


# ------------------------------------------------------------------------------------------------ equal filters


@pytest.mark.parametrize(("outgoing", "distinct"), [(False, 6), (True, 1)])
def test_equal_filters_stay_equal_only_with_equal_outgoing_weights(toy, tmp_path, outgoing, distinct):
    """Exactly: with equal incoming and outgoing weights every filter gets the same gradient, bit for bit."""
    cell = settings("lenet5", width=1.0)
    cell["start"] = {"kind": "init", "scheme": "default", "steps": [step("identical", ["conv1"], outgoing=outgoing)]}
    train(toy, tmp_path, cell)
    start, end = snapshot(tmp_path, 0), snapshot(tmp_path, 2)
    filters = [torch.cat([x["conv1.weight"].flatten(1), x["conv1.bias"][:, None]], 1) for x in (start, end)]
    assert len(torch.unique(filters[0], dim=0)) == 1 and not torch.equal(*filters)
    assert len(torch.unique(filters[1], dim=0)) == distinct
    read = start["conv2.weight"]
    assert (len(torch.unique(read.transpose(0, 1).flatten(1), dim=0)) == 1) == outgoing
    drawn = starts.drawn(networks.layer_table(cell["network"], 1, 32, 4), Start("init", scheme="default"), 0, "init")
    assert torch.equal(start["conv1.weight"][0], drawn["conv1.weight"][0])


def test_equal_filters_before_a_linear_layer(toy, tmp_path):
    """The weights that read a flattened map: one block of columns a channel."""
    cell = settings("lenet5", width=1.0)
    cell["start"] = {"kind": "init", "scheme": "default", "steps": [step("identical", ["conv2"], outgoing=True)]}
    cell["snapshots"] = "ends"
    train(toy, tmp_path, cell)
    blocks = snapshot(tmp_path, 0)["fc1.weight"].unflatten(1, (16, 25))
    assert (blocks == blocks[:, :1]).all() and len(torch.unique(blocks[0, 0])) > 20
