"""A network beside its linearisation: against finite differences, closed forms and explicit Jacobians, in float64."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from test_analysis import cell, layers, replicate, snapshot, torches, write_block, write_data

from tests.unit import cells
from tests.unit.designs import GRID, made
from tests.unit.tables import write_table
from weight_atlas import schema, store
from weight_atlas.analysis import evaluation, group
from weight_atlas.analysis.features import laziness
from weight_atlas.networks.build import build
from weight_atlas.reporting.exhibits.features import laziness as exhibits

CELL = cell("lenet1", size=16)


def images(count=12, channels=1, size=16):
    test = torch.randint(
        0, 256, (count, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    labels = torch.arange(count) % 10
    return evaluation.Images(test, labels, None, [0.5] * channels, [0.25] * channels)


def trained(settings=CELL, scale=0.1, shown=None, seed=0):
    """A network with a random start, and an end at some distance."""
    random = np.random.default_rng(seed)
    start = torches(snapshot(layers(settings), random))
    end = {name: tensor.clone() for name, tensor in start.items()}
    for name, _ in layers(settings).parameters():
        end[name] += scale * torch.from_numpy(random.normal(size=end[name].shape)).float()
    return laziness.Trained(settings, start, end, shown or images())


def double(found):
    """The same in float64: its module, its start, its end and a batch."""
    found.network.double()
    found.buffers = {
        name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in found.buffers.items()
    }
    found.start, found.end = (
        {name: tensor.double() for name, tensor in one.items()} for one in (found.start, found.end)
    )
    return found.images.normalised(found.images.test).double()


def moved(found, h):
    return {name: one + h * (found.end[name] - one) for name, one in found.start.items()}


@pytest.mark.parametrize("architecture", ["lenet1", "tutorial"])
def test_the_derivative_is_that_of_finite_differences(architecture):
    """Central differences in float64 along the way from the start to the end."""
    channels, size = (1, 16) if architecture == "lenet1" else (3, 32)
    settings = cell(architecture, channels=channels, size=size)
    found = trained(settings, shown=images(4, channels, size))
    batch = double(found)
    change = {name: found.end[name] - one for name, one in found.start.items()}
    with torch.no_grad():
        first, derivative = laziness.linearised(found, change, batch)
        h = 1e-6  # small enough that no ReLU or pooling changes its mind
        ahead, behind = (found(moved(found, step), batch) for step in (h, -h))
        torch.testing.assert_close(first, found(found.start, batch))
    torch.testing.assert_close(derivative, (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-6)


def test_attention_has_a_derivative_and_gradients():
    """A ViT's, whose fused attention has no forward derivative: the one of finite differences, and the kernel of it."""
    vit = {"patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
    network = {"architecture": "torchvision.models:VisionTransformer", "width": 1.0, "options": vit}
    settings = cells.settings(classes=10, input={"channels": 3, "size": 16}, network=network)
    found = trained(settings, shown=images(4, 3, 16))
    batch = double(found)
    change = {name: found.end[name] - one for name, one in found.start.items()}
    with torch.no_grad(), laziness.plain_attention():
        _, derivative = laziness.linearised(found, change, batch)
        h = 1e-6
        ahead, behind = (found(moved(found, step), batch) for step in (h, -h))
        torch.testing.assert_close(derivative, (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-6)
        [one] = laziness.gradients(found, found.start, batch[:1], torch.tensor([3]))["heads.head.bias"]
    assert one.tolist() == [float(place == 3) for place in range(10)]
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_batchnorm_keeps_the_statistics_of_the_end():
    settings = cell("resnet18", channels=3, size=32, width=0.125)
    found = trained(settings, shown=images(2, 3, 32), scale=0.02)
    running = "bn1.running_mean"
    start, end = (torch.full_like(found.buffers[running], value) for value in (5.0, 0.25))
    found.network.get_buffer(running).copy_(end)
    assert found.buffers[running].equal(end) and not found.buffers[running].equal(start)
    batch = double(found)
    change = {name: found.end[name] - one for name, one in found.start.items()}
    with torch.no_grad():
        _, derivative = laziness.linearised(found, change, batch)
        h = 1e-6
        ahead, behind = (found(moved(found, step), batch) for step in (h, -h))
        torch.testing.assert_close(found(found.end, batch), found.network(batch))
    torch.testing.assert_close(derivative, (ahead - behind) / (2 * h), rtol=1e-4, atol=1e-5)
    assert found.buffers[running].equal(end.double()), "nothing is learnt from the images"


def linear_alone(found):
    """Only the last layer has moved: a model that is linear in what moves."""
    for name, one in found.start.items():
        if not name.startswith("fc."):
            found.end[name].copy_(one)
    return found


def test_a_model_that_is_linear_in_what_moved_is_its_linearisation():
    found = laziness.linearity(linear_alone(trained(scale=1.0)), 5)
    assert found.agreement == 1 and found.accuracy == found.linear_accuracy and found.departure < 1e-5


def test_the_kernel_of_a_linear_model_never_changes():
    """Logistic regression on the pixels: K_ij = x_i . x_j + 1 of two images of one class, else 0, at any parameters."""

    class Regression(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(256, 10)

        def forward(self, batch):
            return self.fc(batch.flatten(1))

    found = trained()
    found.network, found.buffers = Regression(), {}
    found.start, found.end = (
        {name: torch.randn_like(one) for name, one in found.network.named_parameters()} for _ in range(2)
    )
    change = laziness.kernel_change(found, 5)
    assert change.kernel_change == pytest.approx(0, abs=1e-6) and change.kernel_cosine == pytest.approx(1)
    pixels = found.images.normalised(found.images.test).flatten(1).double()
    labels = found.images.labels
    kernel = laziness.tangent_kernel(found, found.end, pixels.float().view(-1, 1, 16, 16), labels, 5)
    expected = (pixels @ pixels.T + 1) * (labels[:, None] == labels)
    torch.testing.assert_close(kernel, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("memory", [2**29, 1])
def test_the_kernel_is_that_of_explicit_gradients(memory, monkeypatch):
    """All images at once, and one at a time; the gradients by torch.autograd, an image at a time."""
    monkeypatch.setattr(laziness, "GRADIENT_BYTES", memory)
    found = trained()
    batch, labels = found.images.normalised(found.images.test[:4]), torch.tensor([3, 1, 1, 9])
    network, _ = build(*CELL.network_arguments)
    network.load_state_dict(found.start | found.buffers)
    rows = []
    for image, label in zip(batch, labels, strict=True):
        parts = torch.autograd.grad(network.eval()(image[None])[0, label], network.parameters())
        rows.append(torch.cat([part.flatten() for part in parts]).double())
    jacobian = torch.stack(rows)
    kernel = laziness.tangent_kernel(found, found.start, batch, labels, 500)
    torch.testing.assert_close(kernel, jacobian @ jacobian.T, rtol=1e-4, atol=1e-4)
    assert kernel.equal(kernel.T)


def test_numbers_are_those_of_their_definitions():
    found = trained(scale=0.05)
    whole, batched = laziness.linearity(found, 100), laziness.linearity(found, 5)
    assert batched == pytest.approx(whole, rel=1e-5)
    batch = double(found)
    change = {name: found.end[name] - one for name, one in found.start.items()}
    with torch.no_grad():
        first, derivative = (one.numpy() for one in laziness.linearised(found, change, batch))
        end = found(found.end, batch).numpy()
    labels, linear = found.images.labels.numpy(), first + derivative
    assert whole.accuracy == (end.argmax(1) == labels).mean()
    assert whole.linear_accuracy == (linear.argmax(1) == labels).mean()
    assert whole.agreement == (end.argmax(1) == linear.argmax(1)).mean()
    expected = np.linalg.norm(end - linear) / np.linalg.norm(end - first)
    assert whole.departure == pytest.approx(expected, rel=1e-4) and whole.departure > 0.01


def test_a_model_that_never_moved_has_no_departure():
    found = trained(scale=0.0)
    assert math.isnan(laziness.linearity(found, 100).departure)
    assert laziness.kernel_change(found, 100).kernel_change == 0


def test_a_row_for_each_replicate_of_the_cells_that_ask(tmp_path):
    random = np.random.default_rng(1)
    data, card, _ = write_data(tmp_path, count=30, size=16)
    members = []
    for name in ("asked", "unasked"):
        series = {seed: {epoch: snapshot(layers(CELL), random) for epoch in (0, 3)} for seed in (0, 1)}
        folder = tmp_path / name / "seeds_0-1"
        write_block(folder, name, CELL, [replicate(seed) for seed in (0, 1)], series)
        members.append({"cell_id": name, "blocks": [folder], "seeds": [0, 1], "named": [], "checkpoints": {}})
        members[-1] |= {"cell": cell(size=16, snapshots="ends"), "measures": ["laziness"] * (name == "asked")}
    group.measure(members, data, store.read_json(card), tmp_path / "out")
    rows = schema.read(tmp_path / "out/laziness.csv", "laziness")
    assert rows[["cell_id", "seed"]].to_numpy().tolist() == [["asked", 0], ["asked", 1]]
    assert (rows["pictures"] == 30).all() and (rows["kernel_pictures"] == 20).all()
    assert rows["departure"].gt(0).all()


# ------------------------------------------------------------------------------------------------ as told


def told(folder, departures):
    """The answer on LeNet-5 with two optimizers, whose linearisations depart so far, 3 seeds each."""
    tables = made(folder, {"grid": GRID | {"optimizer": ["sgd", "adam"]}}, lambda *_: 0.9).tables
    rows = [
        {"cell_id": cell_id, "seed": seed, "pictures": 100, "accuracy": 0.9, "linear_accuracy": 0.9 - away / 10,
         "agreement": 1 - away / 10, "departure": away * (1 + 0.01 * seed), "kernel_change": 2 * away}
        for cell_id, away in zip(tables.cells["cell_id"], departures, strict=True)
        for seed in range(3)
    ]  # fmt: skip
    write_table(folder / "tables/laziness.csv", pd.DataFrame(rows))
    return tables


@pytest.mark.parametrize(
    ("departures", "word"),
    [
        ((0.5, 2.0), "No (lenet5 on digits). Training is not lazy: the network classifies "),
        ((0.02, 0.05), "Yes (lenet5 on digits). Training is lazy: "),
        ((0.02, 0.5), "Partly (lenet5 on digits). Lazy in some cells"),
        ((0.1, 0.5), "Cannot say (lenet5 on digits). Not lazy in some cells"),
        ((0.1, 0.1), "Cannot say"),
    ],
)
def test_the_verdict_follows_from_the_intervals(departures, word, tmp_path):
    answer, beside = exhibits.answer(told(tmp_path, departures))
    assert answer.text.startswith(word)
    assert beside.text.startswith("lenet5 on digits: the linearisation misses the outputs by ")


def test_ratios_are_averaged_on_a_log_scale(tmp_path):
    tables = told(tmp_path, (0.5, 2.0))
    data = exhibits.means(tables).set_index(["optimizer", "quantity"])
    logs = np.log(0.5 * np.array([1, 1.01, 1.02]))
    low, high = np.exp(scipy.stats.t.interval(0.95, 2, logs.mean(), scipy.stats.sem(logs)))
    row = data.loc[("sgd", "departure"), ["mean", "low", "high"]]
    assert row.astype(float).tolist() == pytest.approx([np.exp(logs.mean()), low, high])
    figure, table = exhibits.lazy(tables)
    assert set(figure.data["quantity"]) == {"accuracy", "linear_accuracy"} and figure.figure is not None
    assert table.data["departure"].str.startswith(("0.505 [", "2.02 [")).all()
