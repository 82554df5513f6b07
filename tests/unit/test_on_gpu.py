"""Training on a GPU that is pretended by torch's device `meta`: it knows shapes, dtypes and devices, refuses to tell a
value, and computes nothing."""

import gc
import os
import weakref
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from tests.unit.test_plan import pictures
from tests.unit.test_training import SGD, load, settings, stage
from weight_atlas import device, store
from weight_atlas import gpu_slots as slots
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.features import activations, filters
from weight_atlas.analysis.perturbed import immediate_accuracy, paths
from weight_atlas.analysis.runs import given
from weight_atlas.networks import batches, build, layer_table
from weight_atlas.plan import cost, outcome, study
from weight_atlas.settings import Settings
from weight_atlas.training import engine
from weight_atlas.training.data import ImageData, Split
from weight_atlas.training.feed import Part
from weight_atlas.training.track import GradientTracker

GPU = "meta"
ROOT = Path(__file__).resolve().parents[2]
ADAM = {"type": "adam", "lr": 0.003, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}
EVERY_CHANGE = {
    "crop": 2,
    "flip": "both",
    "rotation": 15.0,
    "shift": 0.1,
    "shear": 5.0,
    "zoom": [0.8, 1.2],
    "brightness": 0.2,
    "cutout": 4,
}
OPTIONS = {
    "plain": {},
    "adam": {"optimizer": ADAM},
    "nesterov": {"optimizer": SGD | {"nesterov": True, "weight_decay": 0.01}},
    "bfloat16": {"precision": "bfloat16"},
    "tf32": {"precision": "tf32"},
    "track": {"track": True},
    "track in bfloat16": {"track": True, "precision": "bfloat16", "optimizer": ADAM},
    "penalty": {"penalty": {"weight": 0.01, "alpha": 0.5, "layers": None}},
    "every change": {"augment": EVERY_CHANGE},
    "crop and flip": {"augment": {"crop": 4, "flip": True}},
    "copies": {"copies": [{}, {"flip": "always"}, {"rotation": 20.0, "fill": "nearest"}]},
    "copies once": {"copies": [{}, EVERY_CHANGE], "redraw": False},
    "frozen": {"stages": [stage(2, frozen=1)], "frozen_batchnorm": "fixed"},
    "frozen that learns statistics": {"stages": [stage(2, frozen=1)], "frozen_batchnorm": "running"},
    "kept features": {"stages": [stage(2, frozen=1)], "cache_features": True},
}
# With and without BatchNorm, dropout, residuals and a skeleton of torchvision's.
NETWORKS = ("lenet5", "resnet18", "vgg11_bn", "vgg16")


class Watch(TorchDispatchMode):
    """Operations on tensors of two devices, and the bytes of what lives on the pretended GPU: now and at most."""

    def __init__(self):
        super().__init__()
        self.crossings, self.now, self.most = [], 0, 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if len({leaf.device.type for leaf in _large((args, kwargs, found))}) > 1:
            self.crossings.append(str(function))
        for tensor in _large(found):
            self._count(tensor)
        return found

    def _count(self, tensor):
        storage = tensor.untyped_storage()
        key = storage._cdata
        if tensor.device.type == GPU and key not in self.known:
            self.known.add(key)
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key, size):
        self.known.discard(key)
        self.now -= size


def _large(value):
    """The tensors of a value, numbers apart: those are arguments of a kernel."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor) and leaf.dim()]


def put(value):
    """The same on the pretended GPU."""
    return tree_map(_moved, value)


def _moved(leaf):
    if not isinstance(leaf, torch.Tensor):
        return leaf
    there = leaf.detach().to(GPU)
    return nn.Parameter(there, leaf.requires_grad) if isinstance(leaf, nn.Parameter) else there


def moved(run: engine.Run) -> None:
    """Put a replicate that is ready to train, its batches drawn, on the pretended GPU."""
    run.device = torch.device(GPU)
    for module in run.model.modules():
        for held in (module._parameters, module._buffers):
            held.update({name: put(tensor) for name, tensor in held.items()})
    feed = run.feed
    run.data = feed.data = ImageData(
        *(Split(put(one.images), put(one.labels)) for one in (run.data.train, run.data.valid, run.data.test)),
        put(run.data.mean),
        put(run.data.std),
    )
    feed.images, feed.labels, feed.features = put(feed.images), put(feed.labels), put(feed.features)
    feed.feature_batches, run.features = put(feed.feature_batches), put(run.features)
    feed.batches = [[Part(*put(tuple(part))) for part in step] for step in feed.batches]


def ready(toy, tmp_path, network, changes, batch=16) -> engine.Run:
    """A replicate with an epoch of batches, on the processor."""
    cell = settings(network, width=0.1)
    cell["training"] |= {"batch_size": batch} | changes
    run = engine.Run("base-toy", Settings.parse(cell), 0, load(toy), torch.device("cpu"), tmp_path)
    run.enter_stage(run.training.stages[0])
    run.model.to(memory_format=torch.channels_last)
    run.feed.shuffle_epoch(1)
    return run


def take_step(run, watch):
    """A step of training and a batch of an evaluation under a watch."""
    optimizer = run.enter_stage(run.training.stages[0])
    run.model.train()
    with watch:
        images, labels = run.feed.batch(0)
        sums = run.train_step(images, labels, optimizer)
        run.train_step(*run.feed.batch(1), optimizer)
    assert sums.device.type == GPU and not watch.crossings


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", OPTIONS)
def test_no_step_mixes_devices_or_waits_for_the_host(toy, tmp_path, monkeypatch, network, name):
    """Backward pass and autocast included: fake tensors refuse what is on two devices, and what asks for a value."""
    run = ready(toy, tmp_path, network, OPTIONS[name])
    monkeypatch.setattr(run, "_cache", lambda rows: None)  # it was done on the processor
    monkeypatch.setattr(run, "_precision", nullcontext)  # see below
    moved(run)
    run.tracker = GradientTracker(run.model) if run.training.track else None
    monkeypatch.setattr(GradientTracker, "close", lambda tracker: None)  # now and then it waits, and says so
    take_step(run, Watch())
    assert all(value.device.type == GPU for value in run.model.parameters())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_autocast_makes_bfloat16_of_the_products_and_float32_of_the_loss(
    toy, tmp_path, monkeypatch, network, precision
):
    """On a device that calls itself cuda. Its backward pass needs a driver, fake tensors or not: that of the step is
    above, in float32, and in bfloat16 on the processor (test_training.py)."""
    run = ready(toy, tmp_path, network, {"precision": precision})
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)
    run.device, seen = torch.device("cuda"), []
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        for module in run.model.modules():
            for held in (module._parameters, module._buffers):
                held.update(
                    {name: mode.from_tensor(own).detach().to("cuda") for name, own in held.items() if own is not None}
                )
        for module in run.model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs.dtype))
        with run._precision():
            outputs = run.forward(torch.zeros(4, 1, 32, 32, device="cuda")).float()
    assert outputs.dtype == torch.float32 and outputs.device.type == "cuda"
    assert set(seen) == {torch.bfloat16 if precision == "bfloat16" else torch.float32}


def test_the_watch_sees_what_it_is_for():
    """A copy between the devices, tensors of both, and a value that is asked for."""
    value = put(torch.ones(3))
    with Watch() as watch:
        torch.ones(3).to(GPU)
        assert watch.crossings == ["aten._to_copy.default"]
        with pytest.raises(RuntimeError, match="meta"):
            value.sum().item()
        with pytest.raises((RuntimeError, NotImplementedError)):
            value + torch.ones(3)


# ------------------------------------------------------------------------------------------------ memory


def peak(network, size, batch, grad):
    """Bytes at most of a step (grad), or of a batch that is evaluated, on the pretended GPU, as they are allocated."""
    with Watch() as watch:
        with torch.device(GPU):
            model, table = build.build({"architecture": network}, 3, size, 10)
            images = torch.empty(batch, 3, size, size)
        gc.collect()
        at_first = watch.now
        with torch.set_grad_enabled(grad):
            outputs = model.train(grad)(images)
            if grad:
                outputs.sum().backward()
        return table, watch.most - at_first


@pytest.mark.parametrize(("network", "size"), [("lenet5", 32), ("resnet18", 32), ("vgg11_bn", 32), ("vgg16", 224)])
def test_the_maps_of_an_evaluation_are_bounded_by_what_there_is(network, size):
    table = layer_table({"architecture": network}, 3, size, 10)
    batch = batches.evaluated(table)
    _, used = peak(network, size, batch, grad=False)
    assert used <= batches.map_bytes(table) * batch <= 2**30, "never more than said"
    assert batch == 500 or used > 2**30 / 4, "and no smaller than it must be"
    assert batch == 500 or (network, size) == ("vgg16", 224)


@pytest.mark.parametrize(
    ("network", "size", "batch"), [("resnet18", 32, 128), ("vgg11_bn", 32, 128), ("vgg16", 224, 32)]
)
def test_the_plans_memory_is_that_of_an_allocator(network, size, batch):
    """Maps and gradients of a step: the plan expects no less, and less than three times as much."""
    table, used = peak(network, size, batch, grad=True)
    expected = cost._map_bytes(table, batch) + 4 * table.parameter_count
    assert used <= expected < 3 * used


@pytest.mark.parametrize("name", ["cinic", "convnets", "dynamics", "dynamics-126", "transferability", "vgg22"])
def test_the_full_studies_fit_a_gpu_of_16_gb_and_the_plan_says_what_does_not(tmp_path, name):
    pictures(tmp_path)
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) | {"data_root": str(tmp_path), "device": "cuda"}
    plan = study.Plan(config, tmp_path)
    [line] = outcome.gpu_memory(plan, 16 << 30)
    assert line.startswith("GPU       up to ") and line.endswith("; the GPU here has 17.2 GB")
    [_, over] = outcome.gpu_memory(plan, 1 << 30)
    assert "too much for " in over and "lower their batch_size, or take a larger GPU" in over
    [line] = outcome.gpu_memory(plan, None)
    assert line.endswith("no GPU is seen here")


def test_a_step_on_a_gpu_takes_as_long_as_its_operations_need_to_start():
    config = yaml.safe_load((ROOT / "config/dynamics.yaml").read_text()) | {"replicates": 1}
    plan = study.Plan(config, Path("nowhere"))
    cells = {cell.architecture: cell for cell in plan.cells.values()}
    for name in ("lenet5", "resnet18"):
        cell = cells[name]
        steps = -(-cell.data.facts["counts"]["train"] // cell.settings.training.batch_size) * cell.settings.epochs
        seconds = cost.need(cell, 1, "cuda").seconds
        assert seconds > steps * 0.001, "a thousand steps a second at most"
        assert seconds < cost.need(cell, 1, "cpu").seconds


# --------------------------------------------------------------------------------------------- measuring


def measured(cell, tensors, images):
    """Everything that runs a network to measure it, by name."""
    table = layer_table(*cell.network_arguments)
    return {
        "features": lambda: activations.penultimate(
            evaluation.module(cell, tensors, images.device), table.head.name, images
        ),
        "maps of a layer": lambda: filters.activations(cell, tensors, [table.weight_layers[0].name], images),
        "the line between two": lambda: paths.walk(cell, tensors, tensors, images),
        "accuracy at once": lambda: immediate_accuracy.rows(cell, tensors, images),
        "given": lambda: given.evaluate(cell, tensors, given.Splits(images, {"test": (images.test, images.labels)})),
    }


@pytest.mark.parametrize("network", ["lenet5", "resnet18"])
@pytest.mark.parametrize("name", measured(Settings.parse(settings()), {}, None))
def test_what_runs_a_network_runs_it_on_the_device_of_the_images(toy, network, name):
    """All of it, until a result is fetched: that is where `meta` has nothing to tell."""
    cell = Settings.parse(settings(network, width=0.1))
    model, _ = build.build(*cell.network_arguments)
    card = store.read_json(toy / "toy.json")
    images = evaluation.load_images(toy / "toy.safetensors", card, 1, 32, 20, GPU)
    assert {images.test.device.type, images.labels.device.type, images.train.device.type} == {GPU}
    watch = Watch()
    with watch, pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        measured(cell, dict(model.state_dict()), images)[name]()
    allowed = {"aten._to_copy.default", "aten.copy_.default"}  # the tensors on their way to the device
    assert set(watch.crossings) <= allowed


@pytest.mark.parametrize(("kind", "gpus", "expected"), [("auto", 0, "cpu"), ("cpu", 1, "cpu"), ("auto", 1, "cuda")])
def test_a_measure_holds_a_slot_of_a_gpu_like_a_training(monkeypatch, tmp_path, kind, gpus, expected):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(slots.tempfile, "tempdir", None)
    for name in ("CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(slots, "gpus", lambda: [slots.Gpu("7", "GPU-a")][:gpus])
    monkeypatch.setattr(device, "find", torch.device)
    monkeypatch.setattr(device, "set_up", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    with slots.held(kind, 1, torch.get_num_threads()) as found:
        assert found.type == expected
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ("7" if expected == "cuda" else "")
        taken = slots._try_lock(slots.folder() / "GPU-a.0.lock") is None
        assert taken == (expected == "cuda")


def test_a_measure_that_asks_for_a_gpu_says_that_there_is_none(monkeypatch):
    monkeypatch.setattr(slots, "gpus", list)
    with pytest.raises(slots.NoDevice, match="`device: cuda`, but there is no GPU here"), slots.held("cuda", 1, 1):
        pass
