"""The layer tables against torch: the built modules, forward hooks, torchvision's own models, and gradients."""

import ast
import importlib
import inspect
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
import torch
import torchvision
from torch import nn

from weight_atlas import networks
from weight_atlas.networks import architectures
from weight_atlas.networks.build import Sampled, TableModule, build
from weight_atlas.networks.table import TAKEN, Table, scaled

SCRIPTS = Path(__file__).parents[2] / "scripts"


def kinds():
    """(architecture, options) of every network found, for every combination of its Literal options."""
    for architecture in networks.names():
        choices = {n: get_args(kind) for n, (kind, _) in networks.options(architecture).items() if get_origin(kind)}
        for values in itertools.product(*choices.values()):
            yield architecture, dict(zip(choices, values, strict=True))


def cases():
    """Every network at its smallest size, a larger and an odd one, with several widths and channels."""
    for architecture, options in kinds():
        smallest = networks.input_size(architecture, 1)
        larger = max(smallest, 28)
        for size, width, channels in ((smallest, 0.05, 3), (larger, 0.125, 1), (larger + 17, 0.1, 2)):
            chosen = ",".join(map(str, options.values()))
            network = {"architecture": architecture, "width": width, "options": options, "threads": 1}
            yield pytest.param(network, channels, size, 7, id=f"{architecture}-{chosen}-{size}-{width}")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder that counts as part of the architectures: own(name, text) drops a network there."""
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(tmp_path)])

    def drop(name, text):
        monkeypatch.delitem(sys.modules, f"weight_atlas.networks.architectures.{name}", raising=False)
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return {"architecture": name}

    return drop


# Parameter counts ---------------------------------------------------------------------------------

COUNTS = [  # published or worked out by hand from the layer lists; pictures before padding
    ("lenet1", {}, 1, 28, 10, 3_246),
    ("lenet1", {}, 3, 32, 10, 4_526),
    ("lenet5", {}, 1, 28, 10, 61_706),
    ("lenet5", {}, 3, 32, 10, 62_006),
    ("resnet18", {}, 3, 32, 10, 11_181_642),
    ("resnet18", {}, 1, 28, 10, 11_175_370),
    ("resnet18", {"stem": "imagenet"}, 3, 224, 1000, 11_689_512),
    ("resnet18", {"stem": "cifar"}, 3, 32, 10, 11_173_962),
    ("vgg11_bn", {}, 3, 32, 100, 28_518_244),
    ("vgg11_bn", {}, 3, 32, 10, 28_149_514),
    ("vgg11_bn", {}, 3, 32, 5, 28_129_029),
    ("vgg19", {}, 1, 28, 10, 139_611_210 - 2 * 64 * 9),
    ("vgg19", {}, 3, 32, 10, 139_611_210),
    ("vgg19", {}, 3, 224, 1000, 143_667_240),
]


@pytest.mark.parametrize(("architecture", "options", "channels", "size", "classes", "count"), COUNTS)
def test_parameter_counts(architecture, options, channels, size, classes, count):
    size = networks.input_size(architecture, size)
    model, table = build({"architecture": architecture, "options": options}, channels, size, classes)
    assert table.parameter_count == count
    assert sum(p.numel() for p in model.parameters()) == count
    assert table.parameters() == [(name, tuple(p.shape)) for name, p in model.named_parameters()]


def test_padded():
    sizes = {"lenet1": 28, "lenet5": 32, "resnet18": 28, "vgg11_bn": 32, "vgg19": 32}
    assert {name: networks.input_size(name, 28) for name in sizes} == sizes
    assert networks.input_size("vgg19", 64) == 64


# The table against the built module ---------------------------------------------------------------


@pytest.mark.parametrize(("network", "channels", "size", "classes"), list(cases()))
def test_table_is_the_module(network, channels, size, classes):
    """Names, order and shapes of all tensors; map shapes and multiplications as forward hooks see them."""
    model, table = build(network, channels, size, classes)
    assert table.parameters() == [(name, tuple(p.shape)) for name, p in model.named_parameters()]
    assert table.buffers() == [(name, tuple(b.shape)) for name, b in model.named_buffers()]
    assert table.parameter_count == sum(p.numel() for p in model.parameters())
    assert table.buffer_count == sum(b.numel() for b in model.buffers())

    seen, macs = [], 0
    names = {part: name for name, part in model.named_modules()}

    def record(part, inputs, output):
        nonlocal macs
        seen.append(
            (
                names[part],
                "Conv2d" if isinstance(part, Sampled) else type(part).__name__,
                tuple(inputs[0].shape[1:]),
                tuple(output.shape[1:]),
            )
        )
        if isinstance(part, nn.Conv2d):
            macs += output[0].numel() * part.in_channels * part.kernel_size[0] * part.kernel_size[1]
        elif isinstance(part, nn.Linear):
            macs += part.in_features * part.out_features

    for part in model.modules():
        if isinstance(part, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            part.register_forward_hook(record)
    output = model.to("meta")(torch.empty(2, channels, size, size, device="meta"))
    assert output.shape == (2, classes)
    rows = [layer for layer in table.layers if layer.kind in ("Conv2d", "Linear", "BatchNorm2d")]
    assert seen == [(layer.name, layer.kind, layer.in_shape, layer.out_shape) for layer in rows]
    assert table.macs == macs
    assert [layer.name for layer in table.weight_layers] == [name for name, kind, _, _ in seen if kind != "BatchNorm2d"]
    assert table.head.name == seen[-1][0]


@pytest.mark.parametrize(("architecture", "options"), list(kinds()))
def test_module_runs_and_learns(architecture, options):
    """Real numbers through the module: finite, of the right shape, and a gradient for every parameter."""
    torch.manual_seed(0)
    size = networks.input_size(architecture, 20)
    model, _ = build({"architecture": architecture, "width": 0.0625, "options": options}, 3, size, 4)
    assert all(p.device.type == "cpu" and p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())
    for name, buffer in model.named_buffers():
        assert (buffer == float(name.endswith("running_var"))).all(), name
    model(torch.randn(3, 3, size, size)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("architecture", "options"), list(kinds()))
def test_the_rows_alone_compute_the_same(architecture, options):
    """The rows run one by one give what a skeleton's own forward pass gives: no pool, ReLU or sum is told wrongly."""
    torch.manual_seed(0)
    size = networks.input_size(architecture, 40)
    model, table = build({"architecture": architecture, "width": 0.0625, "options": options}, 3, size, 4)
    rows = TableModule(table)
    rows.load_state_dict(model.state_dict(), strict=True)
    pictures = torch.randn(3, 3, size, size)
    with torch.no_grad():
        assert torch.equal(rows.eval()(pictures), model.eval()(pictures))
    for layer in table.layers:
        if layer.kind == "Dropout":
            assert model.get_submodule(layer.name).p == layer.options["p"]


def test_the_start_is_torchs_default():
    """Conv2d and Linear start in U(-1/sqrt(fan_in), 1/sqrt(fan_in)), weight and bias: torch.nn's documentation."""
    torch.manual_seed(0)
    for architecture in ("lenet5", "resnet18", "vgg11_bn"):
        model, table = build({"architecture": architecture, "width": 0.25}, 3, 32, 10)
        for layer in table.weight_layers:
            for name, values in model.get_submodule(layer.name).named_parameters():
                bound = torch.Size(layer.parameters["weight"][1:]).numel() ** -0.5
                assert values.abs().max() <= bound
                if values.numel() > 200:
                    assert values.abs().max() > 0.9 * bound and values.mean().abs() < 0.2 * bound, (layer.name, name)


def test_activations_are_the_sum_of_the_maps():
    """LeNet-5 on 32x32, by hand from the paper's map sizes; relu repeats its input's."""
    maps = 2 * 6 * 28**2 + 6 * 14**2 + 2 * 16 * 10**2 + 16 * 5**2 + 400 + 2 * 120 + 2 * 84 + 10
    assert networks.layer_table({"architecture": "lenet5"}, 1, 32, 10).activation_count == maps


def test_width_scales_channels_not_classes():
    table = networks.layer_table({"architecture": "vgg11_bn", "width": 0.25}, 3, 32, 10)
    assert [layer.out_shape[0] for layer in table.weight_layers] == [16, 32, 64, 64, 128, 128, 128, 128, 1024, 1024, 10]
    assert [scaled(c, w) for c, w in ((64, 1.0), (6, 0.25), (12, 0.3), (4, 0.01), (64, 2))] == [64, 2, 4, 1, 128]


def test_attached_is_the_layer_and_its_batchnorm():
    table = networks.layer_table({"architecture": "resnet18"}, 3, 32, 10)
    names = [[row.name for row in table.with_batchnorm(layer)] for layer in table.weight_layers]
    assert names[0] == ["conv1", "bn1"] and names[-1] == ["fc"]
    assert ["layer2.0.downsample.0", "layer2.0.downsample.1"] in names
    assert sum(map(len, names)) == 21 + 20  # 20 convolutions with a BatchNorm each, and the linear layer
    assert table.with_batchnorm("layer4.1.conv2")[1].name == "layer4.1.bn2"


# Against torchvision and plain torch --------------------------------------------------------------


def plain(make, classes):
    with torch.device("meta"):
        return make(num_classes=classes)


@pytest.mark.parametrize(("architecture", "size"), [("resnet18", 32), ("resnet18", 45), ("vgg19", 32)])
def test_torchvision_gives_the_same_output(architecture, size):
    """torchvision's own model takes our tensors strictly and computes the same bits, training mode first."""
    torch.manual_seed(1)
    model, _ = build({"architecture": architecture}, 3, size, 10)
    theirs = plain(getattr(torchvision.models, architecture), 10)
    theirs.load_state_dict(model.state_dict(), strict=True, assign=True)
    pictures = torch.randn(2, 3, size, size)
    with torch.no_grad():
        if architecture == "resnet18":  # (VGG19's dropout would draw twice)
            statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
            trained = model(pictures)
            model.load_state_dict(statistics, strict=False)
            assert torch.equal(trained, theirs(pictures))
        assert torch.equal(model.eval()(pictures), theirs.eval()(pictures))


def test_vgg11_bn_has_torchvisions_features():
    torch.manual_seed(1)
    model, _ = build({"architecture": "vgg11_bn"}, 3, 32, 10)
    theirs = plain(torchvision.models.vgg11_bn, 10)
    assert list(theirs.state_dict()) == list(model.state_dict())
    theirs.features.load_state_dict(model.features.state_dict(), strict=True, assign=True)
    pictures = torch.randn(2, 3, 32, 32)
    weights = [(model.classifier[n].weight, model.classifier[n].bias) for n in (0, 3, 6)]
    with torch.no_grad():
        hidden = theirs.eval().features(pictures).reshape(2, 512)
        for weight, bias in weights[:2]:
            hidden = nn.functional.relu(nn.functional.linear(hidden, weight, bias))
        assert torch.equal(model.eval()(pictures), nn.functional.linear(hidden, *weights[2]))


def test_the_cifar_stem_is_resnet18_without_stride_and_pool():
    torch.manual_seed(1)
    model, table = build({"architecture": "resnet18", "width": 1, "options": {"stem": "cifar"}}, 3, 32, 10)
    theirs = plain(torchvision.models.resnet18, 10)
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = nn.Sequential()
    theirs.load_state_dict(model.state_dict(), strict=True, assign=True)
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.eval()(pictures), theirs.eval()(pictures))
    assert [table[f"layer{n}.1.relu2"].out_shape[1] for n in (1, 2, 3, 4)] == [32, 16, 8, 4]


def test_lenets_are_the_papers_layers():
    torch.manual_seed(1)
    for architecture, channels, linear in (("lenet1", (4, 12), ()), ("lenet5", (6, 16), (120, 84))):
        model, _ = build({"architecture": architecture}, 1, 32, 10)
        parts, before = [], 1
        for after in channels:
            parts += [nn.Conv2d(before, after, 5), nn.ReLU(), nn.MaxPool2d(2)]
            before = after
        parts, before = [*parts, nn.Flatten()], before * 25
        for after in linear:
            parts += [nn.Linear(before, after), nn.ReLU()]
            before = after
        theirs = nn.Sequential(*parts, nn.Linear(before, 10))
        theirs.load_state_dict(dict(zip(theirs.state_dict(), model.state_dict().values(), strict=True)))
        pictures = torch.randn(2, 1, 32, 32)
        assert torch.equal(model(pictures), theirs(pictures))


# Structural taps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "channels", "stem", "count", "percent"),
    [
        (32, 3, "imagenet", 3 * 2_359_296 * 8 // 9 + 1_179_648 * 5 // 9, 62.13),
        (28, 1, "imagenet", 6_946_816, 62.16),
        (64, 3, "imagenet", 0, 0),
        (224, 3, "imagenet", 0, 0),
        (32, 3, "cifar", 0, 0),
    ],
)
def test_structural_taps_of_resnet18(size, channels, stem, count, percent):
    table = networks.layer_table({"architecture": "resnet18", "options": {"stem": stem}}, channels, size, 10)
    found = sum(table.padding_weight_count(layer) for layer in table.layers)
    assert found == count
    assert round(100 * found / table.parameter_count, 2) == percent


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5, (2, 5)])
@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("padding", [0, 1, (2, 3), "same"])
def test_structural_taps_are_those_without_gradient(size, kernel, stride, padding):
    """Brute force: weights whose gradient is exactly zero in float64 over random batches and output gradients."""
    table = Table(2, size)
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    around = (0, 0, 0, 0)
    if padding == "same":  # by a row of its own, one more zero behind than in front for an even kernel
        around, padding = ((width - 1) // 2, width // 2, (height - 1) // 2, height // 2), 0
        table.zeropad("pad", around)
    pad = nn.ZeroPad2d(around)
    conv = nn.Conv2d(2, 3, kernel, stride, padding, bias=False, dtype=torch.float64)
    if size + sum(around[2:]) + 2 * conv.padding[0] < height or size + sum(around[:2]) + 2 * conv.padding[1] < width:
        fails(lambda: table.conv("conv", 3, kernel, stride, padding, bias=False), "conv", "too small")
        return
    table.conv("conv", 3, kernel, stride, padding, bias=False)
    torch.manual_seed(0)
    reached = torch.zeros_like(conv.weight, dtype=torch.bool)
    for _ in range(3):
        output = conv(pad(torch.randn(2, 2, size, size, dtype=torch.float64)))
        assert tuple(output.shape[1:]) == table["conv"].out_shape
        conv.zero_grad()
        output.backward(torch.randn_like(output))
        reached |= conv.weight.grad != 0
    mask = torch.from_numpy(table.tap_mask("conv"))
    assert torch.equal(reached, mask.expand_as(reached))
    assert table.padding_weight_count("conv") == (~reached).sum()


@pytest.mark.parametrize(("size", "padded"), [(8, True), (28, True), (64, False)])
def test_structural_taps_of_a_whole_network(size, padded):
    """ResNet18 at 1/16 width in float64: the weights that no batch from no start gives a gradient, layer by layer.

    Several starts, since a ReLU may shut a channel off at one position of a small map, where a corner tap reads it.
    """
    torch.manual_seed(0)
    reached = {}
    for _ in range(4):
        model, table = build({"architecture": "resnet18", "width": 0.0625}, 1, size, 10)
        model.double()(torch.randn(8, 1, size, size, dtype=torch.float64)).square().sum().backward()
        for layer in table.weight_layers:
            gradient = model.get_submodule(layer.name).weight.grad.abs()
            reached[layer.name] = reached.get(layer.name, 0) + gradient
    for name, gradient in reached.items():
        assert (gradient == 0).sum() == table.padding_weight_count(name), name
    assert (sum(map(table.padding_weight_count, reached)) > 0) == padded


# Tied columns -------------------------------------------------------------------------------------


def equal_columns(gradient):
    """How many columns of a gradient are distinct, and which column each one equals first, but for rounding."""
    scale = gradient.abs().max()
    assert scale > 0
    rounded = (gradient / scale * 1e9).round()
    _, first = torch.unique(rounded, dim=1, return_inverse=True)
    return len(first.unique()), first


@pytest.mark.parametrize("inputs", [1, 2, 3, 5, 7, 9])
@pytest.mark.parametrize("outputs", [1, 3, 7, (2, 5)])
def test_tied_columns_are_those_with_one_gradient(inputs, outputs):
    """Brute force over torch's own adaptive pool, in float64."""
    torch.manual_seed(0)
    table = Table(3, inputs)
    table.adaptive_avgpool("pool", outputs)
    table.relu("relu")
    table.flatten("flat")
    table.linear("fc", 4)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(outputs), nn.ReLU(), nn.Flatten(), nn.Linear(*table["fc"].in_shape, 4))
    model.double()(torch.rand(5, 3, inputs, inputs, dtype=torch.float64)).square().sum().backward()
    distinct, _ = equal_columns(model[-1].weight.grad)
    assert table.tied_weight_count("fc") == 4 * (table["fc"].in_shape[0] - distinct)


def test_dropout_between_pool_and_linear_unties():
    table = Table(3, 1)
    table.adaptive_avgpool("pool", 7)
    table.dropout("drop", 0.5)
    table.flatten("flat")
    table.linear("fc", 4)
    table.linear("out", 2)
    assert table.tied_weight_count("fc") == table.tied_weight_count("out") == table.tied_weight_count("pool") == 0


@pytest.mark.parametrize(("size", "distinct"), [(32, 1), (64, 9), (224, 49)])
def test_vgg19_copies_pixels(size, distinct):
    """At 32 px one pixel is copied 49 times; at 64 px 2x2 pixels have 3x3 windows; at 224 px all 49 differ."""
    full = networks.layer_table({"architecture": "vgg19"}, 3, size, 10)
    assert full["classifier.0"].parameter_count - 4096 == 102_760_448
    assert 102_760_448 - full.tied_weight_count("classifier.0") == 4096 * 512 * distinct
    if size == 224:
        return
    torch.manual_seed(0)
    model, table = build({"architecture": "vgg19", "width": 0.0625}, 3, size, 10)
    model.double()(torch.randn(4, 3, size, size, dtype=torch.float64)).square().sum().backward()
    gradient = model.get_submodule("classifier.0").weight.grad
    out, columns = gradient.shape
    alive = gradient.view(out, -1, 49).abs().amax((0, 2)) > 0
    _, first = equal_columns(gradient)
    first = first.view(-1, 49)[alive]
    assert len(first) > 5 and all(len(own.unique()) == distinct for own in first)
    assert len(first.unique()) == distinct * len(first), "columns of two channels are not equal"
    assert table.tied_weight_count("classifier.0") == out * (columns - distinct * columns // 49)


# Errors and the user's own network ----------------------------------------------------------------


def fails(call, *parts):
    """The call raises ValueError in one line that has all the parts."""
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message


def test_errors_name_what_is_wrong_and_what_is_allowed():
    fails(
        lambda: networks.layer_table({"architecture": "resnet19"}, 3, 32, 10),
        "'resnet19'",
        "resnet18",
        "lenet5",
        "vgg19",
    )
    check = networks.check_options
    fails(lambda: check("resnet18", {"stem": "cifr"}), "resnet18", "'stem'", "'cifr'", "'imagenet', 'cifar'")
    fails(lambda: check("resnet18", {"steam": 3}), "resnet18", "'steam'", "3", "stem")
    fails(lambda: check("lenet5", {"stem": "cifar"}), "lenet5", "'stem'", "none")
    check("resnet18", {"stem": "cifar"})
    for width in (0, -1, "wide", True, float("nan"), float("inf")):
        fails(
            lambda w=width: networks.layer_table({"architecture": "lenet5", "width": w}, 3, 32, 10),
            "width",
            repr(width),
        )
    vgg = {"architecture": "vgg19", "width": 0.25}
    fails(lambda: networks.layer_table(vgg, 1, 28, 10), "vgg19", "28x28", "features.36", "is 32")
    fails(lambda: build(vgg, 1, 28, 10), "vgg19", "28x28", "features.36", "is 32")
    fails(lambda: networks.layer_table({"architecture": "lenet1"}, 1, 8, 10), "lenet1", "8x8", "conv2", "is 16")


@pytest.mark.parametrize(("architecture", "minimum"), [("lenet1", 16), ("resnet18", 1), ("vgg11_bn", 32)])
def test_minimum_is_the_smallest_that_works(architecture, minimum):
    assert networks.input_size(architecture, 1) == minimum
    networks.layer_table({"architecture": architecture}, 1, minimum, 10)
    if minimum > 1:
        fails(lambda: networks.layer_table({"architecture": architecture}, 1, minimum - 1, 10), f"works is {minimum}")


def test_rows_that_do_not_fit():
    table = Table(3, 8)
    table.conv("a.conv", 4, 3, padding=1)
    fails(lambda: table.relu("a.conv"), "a.conv", "taken")
    fails(lambda: table.relu("a"), "'a'", "taken")
    fails(lambda: table.relu("a.conv.b"), "a.conv.b", "taken")
    fails(lambda: table.relu("input"), "input", "taken")
    fails(lambda: table.relu("b", input="conv"), "'b'", "'conv'")
    fails(lambda: table.linear("fc", 3), "fc", "(4, 8, 8)", "flatten")
    fails(lambda: table.add("sum", "a.conv", "input"), "sum", "(4, 8, 8)", "(3, 8, 8)")
    fails(lambda: table.maxpool("pool", 9), "pool", "8x8", "9x9")
    fails(lambda: table.tap_mask("nothing"), "nothing", "a.conv")
    table.flatten("flat")
    fails(lambda: table.conv("late", 1, 3), "late", "(256,)")
    assert [layer.name for layer in table.layers] == ["a.conv", "flat"]


def example():
    """The network in the package's docstring."""
    lines = inspect.getdoc(networks).splitlines()
    code = "\n".join(line[4:] for line in lines if line.startswith("    ") or not line)
    ast.parse(code)
    return code


def test_the_documented_network_works(own):
    """Dropped in by its file: found, checked, built; its sums are what a hand-written forward pass computes."""
    network = own("residual", example()) | {"width": 0.5, "options": {"blocks": 3}}
    assert "residual" in networks.names()
    assert networks.options("residual") == {"blocks": (Literal[1, 2, 3], 2)}
    assert networks.input_size("residual", 1) == 4
    fails(lambda: networks.check_options("residual", {"blocks": 4}), "blocks", "4", "1, 2, 3")
    fails(lambda: networks.check_options("residual", {"blocks": True}), "blocks", "True")
    torch.manual_seed(0)
    model, table = build(network, 3, 7, 5)
    assert table.parameters() == [(name, tuple(p.shape)) for name, p in model.named_parameters()]
    pictures = torch.randn(2, 3, 7, 7)
    x = model.stem(pictures)
    for block in (model.block1, model.block2, model.block3):
        x = x + nn.functional.relu(block.norm(block.conv(x)))
    assert torch.equal(model(pictures), model.fc(nn.functional.max_pool2d(x, 4).flatten(1)))


OWN = """
def layers(table, classes, *, width=1.0, rate: float = 0.5, deep: bool = False, kernel: int = 2):
    table.zeropad("b.pad", ((kernel - 1) // 2, kernel // 2, (kernel - 1) // 2, kernel // 2))
    table.conv("b.one", 4, kernel)
    table.tanh("a.act")
    table.avgpool("a.pool", 2)
    table.conv("a.two", 5, 3, stride=2, padding=1)
    table.batchnorm("b.norm")
    table.adaptive_avgpool("gap", (2, 1))
    table.flatten("flat")
    table.dropout("drop", rate)
    table.linear("out", classes, bias=False)
"""


def test_other_kinds_of_rows(own):
    """Every other kind of row, an even kernel with 'same' padding, and names that jump between modules."""
    network = own("mine", OWN)
    torch.manual_seed(0)
    model, table = build(network, 2, 9, 3)
    names = ["b.one.weight", "b.one.bias", "b.norm.weight", "b.norm.bias", "a.two.weight", "a.two.bias", "out.weight"]
    assert [name for name, _ in table.parameters()] == [name for name, _ in model.named_parameters()] == names
    assert [name for name, _ in table.buffers()] == [name for name, _ in model.named_buffers()]
    shapes = {layer.name: layer.out_shape for layer in table.layers}
    seen = {}
    for name in shapes:
        model.get_submodule(name).register_forward_hook(
            lambda part, inputs, output, name=name: seen.update({name: tuple(output.shape[1:])})
        )
    model(torch.randn(2, 2, 9, 9))
    assert seen == shapes and shapes["b.one"] == (4, 9, 9)
    for option, value in (("rate", "half"), ("rate", True), ("deep", 1), ("kernel", 2.0), ("kernel", True)):
        fails(lambda o=option, v=value: networks.check_options("mine", {o: v}), f"'{option}'", repr(value), "type")
    networks.check_options("mine", {"rate": 1, "deep": True, "kernel": 4})


def test_networks_that_are_no_networks(own):
    fails(lambda: networks.layer_table(own("empty", "x = 1\n"), 3, 8, 2), "empty", "layers")
    text = "def layers(table, classes, *, width=1.0, depth=3):\n    table.flatten('f')\n"
    fails(lambda: networks.layer_table(own("bare", text), 3, 8, 2), "bare", "'depth'", "annotation")
    text = "def layers(table, classes, *, width=1.0):\n    table.flatten('f')\n"
    fails(lambda: networks.layer_table(own("headless", text), 3, 8, 2), "headless", "(192,)", "(2,)")
    text += "    table.linear('idle', 4)\n    table.linear('o', classes, input='f')\n"
    fails(lambda: networks.layer_table(own("loose", text), 3, 8, 2), "loose", "'idle'")
    text = "def layers(table, classes, *, width=1.0):\n    table.flatten('type')\n    table.linear('o', classes)\n"
    fails(lambda: networks.layer_table(own("reserved", text), 3, 8, 2), "'type'", "rename")
    text = (
        text.replace("'type'", "'f'")
        + "def skeleton(classes):\n    from torch import nn\n    return nn.Sequential(nn.Linear(192, classes))\n"
    )
    fails(lambda: build(own("unlike", text), 3, 8, 2), "skeleton", "0", "o")


def test_a_map_is_freed_after_its_last_reader(own):
    """A block's input lives until the sum that reads it; every map but the last is freed, and freed once."""
    model, table = build(own("residual", example()), 3, 8, 5)
    steps = {name: spent for name, _, spent in model.steps}
    assert steps["stem"] == ["input"] and steps["block1.conv"] == []
    assert sorted(steps["block1.add"]) == ["block1.relu", "stem"]
    freed = [name for spent in steps.values() for name in spent]
    assert sorted(freed) == sorted(["input", *(layer.name for layer in table.layers[:-1])])


def test_tables_need_no_torch():
    """Importing the package and reading every network's table leaves torch, torchvision and numpy alone."""
    code = (
        "import sys; from weight_atlas import networks as n\n"
        "[n.layer_table({'architecture': a}, 3, n.input_size(a, 32), 10).parameter_count for a in n.names()]\n"
        "print(sorted({'torch', 'torchvision', 'numpy'} & set(sys.modules)), len(n.names()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"[] {len(networks.names())}"


def test_words_that_torch_keeps_are_known():
    assert {"steps", *(name for name in dir(nn.Module()) if name.isalnum())} == TAKEN
    table = Table(1, 8)
    with pytest.raises(ValueError, match="torch keeps 'training' for itself"):
        table.relu("block.training")


def test_a_narrow_strided_convolution_of_single_pixels_is_torchs():
    """In float64, outputs and gradients, where the channels lie last in memory; heights and widths odd and even."""
    table = Table(4, 9)
    table.conv("conv", 8, 1, stride=(2, 3))
    table.flatten("flat")
    table.linear("fc", 2)
    model = TableModule(table).double()
    own = model.get_submodule("conv")
    assert isinstance(own, Sampled)

    def gradient(function, images):
        images.requires_grad_()
        function(images).square().sum().backward()
        return images.grad

    def plain(images):
        return torch.nn.functional.conv2d(images, own.weight, own.bias, stride=(2, 3))

    for size in ((9, 9), (8, 7)):
        images = torch.rand(5, 4, *size, dtype=torch.float64)
        expected = gradient(plain, images.clone())
        found = gradient(own, images.contiguous(memory_format=torch.channels_last).clone())
        assert torch.allclose(found, expected, rtol=1e-12) and expected.abs().sum() > 0
