"""The networks of the studies: counts by hand, torchvision's tensors, and forward passes written out a second time."""

import re
from pathlib import Path

import pytest
import test_networks
import torch
import torch.nn.functional as F
import torchvision
from test_networks import fails, plain
from torch import nn

from weight_atlas import networks
from weight_atlas.networks.build import build
from weight_atlas.networks.table import Table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def one_thread():
    """Small maps are slow with threads that wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(architecture, width=1.0, **options):
    return {"architecture": architecture, "width": width, "options": options}


def on_meta(architecture, channels, size, classes, **options):
    """The module without storage, and its table."""
    with torch.device("meta"):
        return build(network(architecture, **options), channels, size, classes)


# Counts -------------------------------------------------------------------------------------------


def conv(before, after, kernel=3):
    return before * after * kernel * kernel + after


def linear(before, after):
    return before * after + after


def norm(channels):
    return 2 * channels


VGG11 = conv(3, 64) + conv(64, 128) + conv(128, 256) + conv(256, 256) + conv(256, 512) + 3 * conv(512, 512)
VGG13 = conv(3, 64) + conv(64, 64) + conv(64, 128) + conv(128, 128) + conv(128, 256) + conv(256, 256)  # its 3 blocks
VGG16 = VGG13 + conv(256, 256) + conv(256, 512) + 5 * conv(512, 512)
VGG19 = VGG13 + 2 * conv(256, 256) + conv(256, 512) + 7 * conv(512, 512)
VGG22 = norm(512) + linear(512, 512) + linear(512, 256) + linear(256, 128) + linear(128, 64) + linear(64, 10)
TUTORIAL = conv(3, 6, 5) + conv(6, 16, 5) + linear(16 * 5 * 5, 120) + linear(120, 84) + linear(84, 10)
MODEL_A = conv(3, 64) + conv(64, 64) + conv(64, 128) + conv(128, 128) + linear(8192, 512) + linear(512, 10)
SMALL_END = linear(512, 512) + linear(512, 10)
SIMPLE = conv(3, 32) + conv(32, 64) + conv(64, 128) + linear(128 * 4 * 4, 256) + linear(256, 128) + linear(128, 10)


def block(before, after, kernel=3):
    """A residual block: two convolutions with BatchNorm, and a 1x1 convolution where it gets wider."""
    skip = conv(before, after, 1) if before != after else 0
    return conv(before, after, kernel) + conv(after, after, kernel) + 2 * norm(after) + skip


COUNTS = [
    ("vgg22", {}, 32, 10, VGG19 + VGG22, 20_461_194),
    ("vgg22", {}, 64, 10, VGG19 + VGG22, 20_461_194),
    (
        "vgg22",
        {"fc1": 100, "fc2": 50, "fc3": 20, "fc4": 7},
        32,
        10,
        VGG19 + norm(512) + linear(512, 100) + linear(100, 50) + linear(50, 20) + linear(20, 7) + linear(7, 10),
        20_083_005,
    ),
    ("vgg19_dense", {}, 32, 10, VGG19 + 3 * linear(512, 512) + linear(512, 10), 20_817_482),
    ("vgg16", {}, 224, 1000, VGG16 + linear(25088, 4096) + linear(4096, 4096) + linear(4096, 1000), 138_357_544),
    ("vgg16", {}, 224, 256, VGG16 + linear(25088, 4096) + linear(4096, 4096) + 1_048_832, 134_260_544 + 1_048_832),
    (
        "vgg16",
        {"blocks": 3},
        224,
        256,
        VGG13 + conv(256, 256) + linear(200_704, 1024) + linear(1024, 256),
        1_735_488 + 205_784_320,
    ),
    (
        "vgg16",
        {"blocks": 4},
        224,
        256,
        VGG16 - 3 * conv(512, 512) + linear(100_352, 1024) + linear(1024, 256),
        7_635_264 + 103_023_872,
    ),
    ("tutorial", {}, 32, 10, TUTORIAL, 62_006),
    ("tutorial", {"dropout": 0.4}, 32, 10, TUTORIAL, 62_006),
    ("tutorial", {"batchnorm": True}, 32, 10, TUTORIAL + norm(6) + norm(16), 62_050),
    ("tutorial", {"double": True}, 32, 10, TUTORIAL + conv(6, 6, 5) + conv(16, 16, 5), 69_328),
    (
        "tutorial",
        {"double": True, "batchnorm": True, "dropout": 0.4},
        32,
        10,
        TUTORIAL + conv(6, 6, 5) + conv(16, 16, 5) + 2 * norm(6) + 2 * norm(16),
        69_416,
    ),
    (
        "tutorial",
        {"kernel": 3},
        32,
        10,
        conv(3, 6, 3) + conv(6, 16, 3) + linear(576, 120) + linear(120, 84) + linear(84, 10),
        81_302,
    ),
    ("tutorial", {"pool": "average"}, 32, 10, TUTORIAL, 62_006),
    ("tutorial", {"pool": "stride"}, 32, 10, TUTORIAL, 62_006),
    ("convnet_a", {}, 32, 10, MODEL_A + norm(64) + norm(128), 4_460_490),
    ("convnet_a", {"batchnorm": False, "dropout": 0.5}, 32, 10, MODEL_A, 4_460_106),
    ("convnet_b", {}, 32, 10, VGG11 + norm(64 + 128 + 2 * 256 + 4 * 512) + SMALL_END, 9_493_770),
    ("convnet_b", {"batchnorm": False, "dropout": 0.0}, 32, 10, VGG11 + SMALL_END, 9_488_266),
    ("convnet_c", {}, 32, 10, VGG16 + norm(2 * 64 + 2 * 128 + 3 * 256 + 6 * 512) + SMALL_END, 14_990_922),
    ("convnet_c", {"batchnorm": False}, 32, 10, VGG16 + SMALL_END, 14_982_474),
    ("simple_cnn", {}, 32, 10, SIMPLE, 651_978),
    ("handmade_resnet", {"blocks": 1}, 32, 10, block(3, 32) + linear(32, 10), 10_730),
    ("handmade_resnet", {"blocks": 2}, 32, 10, block(3, 32) + block(32, 64) + linear(64, 10), 68_842),
    ("handmade_resnet", {}, 32, 10, block(3, 32) + block(32, 64) + block(64, 128) + linear(128, 10), 299_754),
    (
        "handmade_resnet",
        {"blocks": 5, "kernel": 2, "dropout": 0.0},
        32,
        10,
        block(3, 32, 2) + block(32, 64, 2) + block(64, 128, 2) + 2 * block(128, 128, 2) + linear(128, 10),
        404_234,
    ),
    (
        "handmade_resnet",
        {"blocks": 4, "kernel": 5},
        32,
        10,
        block(3, 32, 5) + block(32, 64, 5) + block(64, 128, 5) + block(128, 128, 5) + linear(128, 10),
        1_629_162,
    ),
]


@pytest.mark.parametrize(("architecture", "options", "size", "classes", "by_hand", "count"), COUNTS)
def test_parameter_counts(architecture, options, size, classes, by_hand, count):
    model, table = on_meta(architecture, 3, size, classes, **options)
    assert table.parameter_count == sum(p.numel() for p in model.parameters()) == by_hand == count


def test_the_documented_counts():
    """What config/README.md and the networks' own first lines say."""
    rows = re.findall(r"^\| `(\w+)` \| .+ \| ([\d,]+) \|$", (ROOT / "config/README.md").read_text("utf-8"), re.M)
    assert [name for name, _ in rows] == networks.names()
    for name, count in rows:
        assert f"{networks.layer_table(network(name), 3, 32, 10).parameter_count:,}" == count, name
    for name in {case[0] for case in COUNTS} - {"vgg16", "lenet1"}:
        assert dict(rows)[name] in networks.load_architecture(name).__doc__
    assert (
        "138,357,544" in networks.load_architecture("vgg16").__doc__
        and "135,309,376" in networks.load_architecture("vgg16").__doc__
    )


def test_vgg22_counts_as_keras_does():
    """Keras counts the running mean and variance, and no batch counter; 22 layers have weights."""
    table = networks.layer_table(network("vgg22"), 3, 32, 10)
    running = [shape for name, shape in table.buffers() if "running" in name]
    assert VGG19 == 20_024_384
    assert table.parameter_count + sum(torch.Size(shape).numel() for shape in running) == 20_462_218
    kinds = [layer.kind for layer in table.layers if layer.parameters]
    assert kinds == ["Conv2d"] * 16 + ["BatchNorm2d"] + ["Linear"] * 5


def test_the_heads_on_three_and_four_blocks_read_what_the_document_says():
    for blocks, shape, values, head in ((3, (256, 28, 28), 200_704, 205.8), (4, (512, 14, 14), 100_352, 103.0)):
        table = networks.layer_table(network("vgg16", blocks=blocks), 3, 224, 256)
        assert table["flatten"].in_shape == shape and table["fc1"].in_shape == (values,)
        own = sum(layer.parameter_count for layer in table.layers if layer.kind == "Linear")
        assert round(own / 1e6, 1) == head and table["fc2"].parameters["weight"] == (256, 1024)
    assert networks.layer_table(network("vgg16"), 3, 224, 256).head.parameter_count == 1_048_832


# The table against the built module, for options that are no literals -----------------------------

OPTIONS = [
    ("vgg22", {"fc1": 31, "fc4": 5, "dropout_features": 0, "dropout": 0.1, "keras_batchnorm": True}),
    ("vgg22", {"dropout": 0.0}),
    ("vgg19_dense", {"dropout": 0}),
    ("tutorial", {"dropout": 0.4}),
    ("tutorial", {"batchnorm": True}),
    ("tutorial", {"double": True, "batchnorm": True, "dropout": 0.4}),
    ("convnet_a", {"batchnorm": False, "dropout": 0.5}),
    ("convnet_b", {"batchnorm": False, "dropout": 0.0}),
    ("convnet_c", {"batchnorm": False}),
    ("handmade_resnet", {"dropout": 0.0, "keras_batchnorm": True, "blocks": 5, "kernel": 4}),
]


@pytest.mark.parametrize(("architecture", "options"), OPTIONS)
def test_options_that_are_no_literals(architecture, options):
    smallest = networks.input_size(architecture, 1)
    for size, channels, width in ((smallest, 3, 0.05), (max(smallest, 28), 1, 0.125), (smallest + 17, 2, 0.1)):
        test_networks.test_table_is_the_module(network(architecture, width, **options), channels, size, 7)
    test_networks.test_module_runs_and_learns(architecture, options)
    test_networks.test_the_rows_alone_compute_the_same(architecture, options)


def dropouts(architecture, **options):
    table = networks.layer_table(network(architecture, **options), 3, 32, 10)
    return [(layer.name, layer.options["p"]) for layer in table.layers if layer.kind == "Dropout"]


def test_dropout_stands_where_it_should():
    hidden = [(f"fc{n}_dropout", 0.3) for n in (1, 2, 3, 4)]
    assert dropouts("vgg22") == [("dropout", 0.5), *hidden]
    assert dropouts("vgg22", dropout_features=0.0) == hidden and dropouts("vgg22", dropout=0) == [("dropout", 0.5)]
    assert dropouts("vgg19_dense") == [("fc3_dropout", 0.4)]
    assert dropouts("convnet_b") == dropouts("convnet_c") == [("fc1_dropout", 0.5)]
    assert dropouts("tutorial") == dropouts("convnet_a") == dropouts("simple_cnn") == []
    assert dropouts("tutorial", dropout=0.4) == [("fc1_dropout", 0.4), ("fc2_dropout", 0.4)]
    assert dropouts("handmade_resnet") == [(f"block{n}.dropout", 0.2) for n in (1, 2, 3)]


def test_the_smallest_pictures():
    found = {"vgg22": 32, "vgg19_dense": 32, "vgg16": 32, "convnet_b": 32, "convnet_c": 32}
    found |= {"tutorial": 32, "convnet_a": 4, "simple_cnn": 8, "handmade_resnet": 1}
    for name, size in found.items():
        assert networks.input_size(name, 1) == size and networks.input_size(name, 100) == 100
        networks.layer_table(network(name), 3, size, 10)
    for name in ("vgg22", "convnet_a", "simple_cnn"):
        too_small = found[name] - 1
        fails(lambda n=name, s=too_small: networks.layer_table(network(n), 3, s, 10), name, f"is {found[name]}")


def test_wrong_options_are_named():
    def make(architecture, **options):
        return lambda: networks.layer_table(network(architecture, **options), 3, 32, 10)

    for p in (-0.1, 1, 1.5, float("nan")):
        fails(make("vgg22", dropout=p), "fc1_dropout", str(p), "0 to below 1")
    for units in (0, -5):
        fails(make("vgg22", fc2=units), "fc2", str(units), "1 or more")
    fails(make("vgg22", fc1=51.2), "'fc1'", "51.2", "int")
    fails(make("vgg16", blocks=2), "'blocks'", "2", "3, 4, 5")
    fails(make("handmade_resnet", kernel=6), "'kernel'", "6", "2, 3, 4, 5")
    fails(make("handmade_resnet", blocks=True), "'blocks'", "True")
    fails(make("convnet_a", batchnorm=1), "'batchnorm'", "1", "bool")


def test_batchnorm_as_keras_has_it():
    table = Table(3, 4)
    table.batchnorm("torch")
    assert table["torch"].options == {"num_features": 3}
    for name in ("vgg22", "handmade_resnet"):
        for keras, eps, momentum in ((False, 1e-5, 0.1), (True, 1e-3, 1 - 0.99)):
            model, _ = on_meta(name, 3, 32, 10, keras_batchnorm=keras)
            norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
            assert norms and all(part.eps == eps and part.momentum == pytest.approx(momentum) for part in norms)


def test_the_batchnorm_of_vgg22_is_frozen_with_no_convolution():
    """It reads the last max pool, so that the 16 convolutions are a base of their own."""
    table = networks.layer_table(network("vgg22"), 3, 32, 10)
    base = [row.name for layer in table.weight_layers[:16] for row in table.with_batchnorm(layer)]
    assert base == [f"features.{n}" for n in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)]
    assert table["norm"].inputs == ("features.36",) and table["norm"].in_shape == (512, 1, 1)


# Against torchvision ------------------------------------------------------------------------------

BASES = [
    ("vgg22", {}, "vgg19", None),
    ("vgg19_dense", {}, "vgg19", None),
    ("vgg16", {}, "vgg16", None),
    ("vgg16", {"blocks": 4}, "vgg16", 24),
    ("vgg16", {"blocks": 3}, "vgg16", 17),
    ("convnet_b", {}, "vgg11_bn", None),
    ("convnet_b", {"batchnorm": False}, "vgg11", None),
    ("convnet_c", {}, "vgg16_bn", None),
    ("convnet_c", {"batchnorm": False}, "vgg16", None),
]


@pytest.mark.parametrize(("architecture", "options", "theirs", "end"), BASES)
def test_published_features_fit_by_name_and_shape(architecture, options, theirs, end):
    """All that torchvision publishes of the convolutions (its layers before `end`), and no more, is in ours."""
    model, table = on_meta(architecture, 3, 64, 10, **options)
    published = plain(getattr(torchvision.models, theirs), 1000).features[:end].state_dict()
    ours = {name: shape for name, shape in [*table.parameters(), *table.buffers()] if name.startswith("features.")}
    assert ours == {f"features.{name}": tuple(tensor.shape) for name, tensor in published.items()}
    assert list(model.features.state_dict()) == list(published)
    clash = set(dict(table.parameters())) & set(plain(getattr(torchvision.models, theirs), 1000).state_dict())
    assert (architecture, options) == ("vgg16", {}) or clash <= set(ours), "another tensor has a published one's name"


def test_vgg16_is_torchvisions():
    test_networks.test_torchvision_gives_the_same_output("vgg16", 32)
    theirs, (_, table) = plain(torchvision.models.vgg16, 1000), on_meta("vgg16", 3, 224, 1000)
    assert table.parameters() == [(name, tuple(p.shape)) for name, p in theirs.named_parameters()]


@torch.no_grad()
def outputs(architecture, size, width=1.0, **options):
    """The module in eval mode, its table, pictures, and what it says of them.

    Its start lets pictures through a deep network (torch's own does not), and its running statistics are not 0 and 1.
    """
    torch.manual_seed(1)
    model, table = build(network(architecture, width, **options), 3, size, 10)
    for part in model.eval().modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu"), nn.init.normal_(part.bias, std=0.1)
        elif isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(std=0.1), part.running_var.uniform_(0.5, 1.5)
            part.weight.normal_(1, 0.1), part.bias.normal_(std=0.1)
    pictures = torch.randn(2, 3, size, size)
    return model, table, pictures, model(pictures)


def tail(model, values, hidden):
    """The dense end: `hidden` linear layers with ReLU, and the last one."""
    for n in range(1, hidden + 1):
        layer = model.get_submodule(f"fc{n}")
        values = F.linear(values, layer.weight, layer.bias).relu()
    last = model.get_submodule(f"fc{hidden + 1}")
    return F.linear(values, last.weight, last.bias)


HEADS = [
    ("vgg22", {}, "vgg19", None, 4),
    ("vgg22", {"keras_batchnorm": True}, "vgg19", None, 4),
    ("vgg19_dense", {}, "vgg19", None, 3),
    ("vgg16", {"blocks": 4}, "vgg16", 24, 1),
    ("vgg16", {"blocks": 3}, "vgg16", 17, 1),
    ("convnet_b", {}, "vgg11_bn", None, 1),
    ("convnet_b", {"batchnorm": False}, "vgg11", None, 1),
    ("convnet_c", {}, "vgg16_bn", None, 1),
]


@pytest.mark.parametrize(("architecture", "options", "theirs", "end", "hidden"), HEADS)
def test_torchvisions_features_and_a_dense_end(architecture, options, theirs, end, hidden):
    size = 64 if architecture == "vgg22" else 32  # 64: the global average has something to do
    model, _, pictures, found = outputs(architecture, size, **options)
    features = plain(getattr(torchvision.models, theirs), 10).features[:end].eval()
    features.load_state_dict(model.features.state_dict(), strict=True, assign=True)
    with torch.no_grad():
        maps = features(pictures)
        if architecture == "vgg22":
            own, shape = model.norm, (1, -1, 1, 1)
            eps = 1e-3 if options else 1e-5
            maps = (maps - own.running_mean.view(shape)) / (own.running_var.view(shape) + eps).sqrt()
            maps = (maps * own.weight.view(shape) + own.bias.view(shape)).mean((2, 3))
        assert torch.allclose(found, tail(model, maps.flatten(1), hidden), rtol=1e-4, atol=1e-4)
    assert found.std(0).max() > 0.1


# Against plain torch ------------------------------------------------------------------------------


class Tutorial(nn.Module):
    """As the tutorial "Training a Classifier" has it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def test_the_tutorials_network():
    for options in ({}, {"dropout": 0.4}):
        model, _, pictures, found = outputs("tutorial", 32, **options)
        theirs = Tutorial()
        theirs.load_state_dict(model.state_dict(), strict=True)
        assert torch.equal(found, theirs(pictures))


def convolution(before, after, kernel, padding, batchnorm):
    return [nn.Conv2d(before, after, kernel, padding=padding), *[nn.BatchNorm2d(after)] * batchnorm, nn.ReLU()]


def hidden_layers(*features, dropout):
    pairs = zip(features, features[1:], strict=False)
    return [part for pair in pairs for part in (nn.Linear(*pair), nn.ReLU(), nn.Dropout(dropout))]


def sequences():
    """(architecture, options, the same as a torch sequence without its last layer, that layer's inputs)."""
    for double, batchnorm in ((True, False), (False, True), (True, True)):
        parts = []
        for before, after in ((3, 6), (6, 16)):
            parts += convolution(before, after, 5, 0, batchnorm)
            parts += convolution(after, after, 5, 2, batchnorm) if double else []
            parts.append(nn.MaxPool2d(2))
        options = {"double": double, "batchnorm": batchnorm, "dropout": 0.4}
        yield "tutorial", options, [*parts, nn.Flatten(), *hidden_layers(400, 120, 84, dropout=0.4)], 84
    for pool, kernel in (("average", 5), ("stride", 5), ("max", 3), ("stride", 3)):
        parts = []
        for before, after in ((3, 6), (6, 16)):
            halves = {"average": [nn.AvgPool2d(2)], "max": [nn.MaxPool2d(2)], "stride": []}[pool]
            parts += [nn.Conv2d(before, after, kernel, stride=2 if pool == "stride" else 1), nn.ReLU(), *halves]
        options = {"pool": pool, "kernel": kernel, "dropout": 0.4}
        size = {("max", 3): 6, ("stride", 3): 7}.get((pool, kernel), 5)
        yield "tutorial", options, [*parts, nn.Flatten(), *hidden_layers(16 * size**2, 120, 84, dropout=0.4)], 84
    for batchnorm in (True, False):
        parts = []
        for before, after in ((3, 64), (64, 128)):
            parts += convolution(before, after, 3, 1, batchnorm)
            parts += [*convolution(after, after, 3, 1, False), nn.MaxPool2d(2)]
        options = {"batchnorm": batchnorm, "dropout": 0.5}
        yield "convnet_a", options, [*parts, nn.Flatten(), *hidden_layers(8192, 512, dropout=0.5)], 512
    parts = []
    for before, after in ((3, 32), (32, 64), (64, 128)):
        parts += [*convolution(before, after, 3, 1, False), nn.MaxPool2d(2)]
    yield "simple_cnn", {}, [*parts, nn.Flatten(), *hidden_layers(2048, 256, 128, dropout=0.0)], 128


@pytest.mark.parametrize(("architecture", "options", "parts", "last"), list(sequences()))
def test_sequences_written_out(architecture, options, parts, last):
    model, table, pictures, found = outputs(architecture, 32, **options)
    theirs = nn.Sequential(*parts, nn.Linear(last, 10))
    state = [model.get_parameter(name) for name, _ in table.parameters()]
    mine = dict(theirs.named_parameters())
    assert [tuple(p.shape) for p in mine.values()] == [shape for _, shape in table.parameters()]
    theirs.load_state_dict(dict(zip(mine, state, strict=True)), strict=False)
    statistics = [b for name, b in model.named_buffers()]
    theirs.load_state_dict(dict(zip(dict(theirs.named_buffers()), statistics, strict=True)), strict=False)
    with torch.no_grad():
        assert torch.equal(found, theirs.eval()(pictures))


# The residual network -----------------------------------------------------------------------------


def same(x, layer, kernel, padded):
    """A convolution that keeps the map: zeros around it by hand, or torch's own 'same' padding."""
    if not padded:
        return F.conv2d(x, layer.weight, layer.bias, padding="same")
    before, behind = {2: (0, 1), 3: (1, 1), 4: (1, 2), 5: (2, 2)}[kernel]
    return F.conv2d(F.pad(x, (before, behind, before, behind)), layer.weight, layer.bias)


def residual(model, x, blocks, kernel, padded):
    for number in range(1, blocks + 1):
        own, part = x, model.get_submodule(f"block{number}")
        for n in (1, 2):
            conv, norm = part.get_submodule(f"conv{n}"), part.get_submodule(f"norm{n}")
            own = same(own, conv, kernel, padded)
            assert own.shape[2:] == x.shape[2:]
            own = F.batch_norm(own, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()
        if number <= 3:
            x = torch.einsum("oi,nihw->nohw", part.skip.weight[:, :, 0, 0], x) + part.skip.bias.view(1, -1, 1, 1)
        x = own + x
        if x.shape[2] > 1:
            x = F.max_pool2d(x, 2)
    return F.linear(x.mean((2, 3)), model.fc.weight, model.fc.bias)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_the_residual_network_written_out(blocks, kernel):
    for size in (32, 13):
        model, table, pictures, _ = outputs("handmade_resnet", size, 0.125, blocks=blocks, kernel=kernel)
        model, pictures = model.double(), pictures.double()
        with torch.no_grad():
            found = model(pictures)
            for padded in (True, False):
                assert torch.allclose(found, residual(model, pictures, blocks, kernel, padded), atol=1e-12)
        rows = {layer.name: layer for layer in table.layers if layer.kind == "Conv2d"}
        sizes = {32: (32, 16, 8, 4, 2), 13: (13, 6, 3, 1, 1)}[size]
        for name, layer in rows.items():
            side = sizes[int(name[5]) - 1]
            assert layer.out_shape[1:] == (side, side), name
        assert len(rows) == 2 * blocks + min(blocks, 3)
        assert table["avgpool"].in_shape[1] == max(1, size // 2**blocks)
    full = networks.layer_table(network("handmade_resnet", blocks=blocks, kernel=kernel), 3, 32, 10)
    assert [full[f"block{n}.conv1"].out_shape[0] for n in range(1, blocks + 1)] == [32, 64, 128, 128, 128][:blocks]


@pytest.mark.parametrize("kernel", [2, 4])
def test_an_even_kernel_has_its_odd_pixel_right_and_bottom(kernel):
    """One white pixel: the map that a kernel of ones makes of it says where the zeros were put."""
    model, _ = build(network("handmade_resnet", kernel=kernel, blocks=1), 1, 9, 10)
    part = model.block1.conv1
    nn.init.ones_(part.weight), nn.init.zeros_(part.bias)
    picture = torch.zeros(1, 1, 9, 9)
    picture[0, 0, 4, 4] = 1
    with torch.no_grad():
        lit = part(model.block1.conv1_pad(picture))[0, 0].nonzero()
    before, behind = kernel // 2 - 1, kernel // 2
    assert lit.min(0).values.tolist() == [4 - behind] * 2 and lit.max(0).values.tolist() == [4 + before] * 2


def test_dropout_of_a_block_stands_before_its_pool():
    table = networks.layer_table(network("handmade_resnet"), 3, 32, 10)
    names = [layer.name for layer in table.layers if layer.name.startswith("block2")]
    assert names[-4:] == ["block2.skip", "block2.add", "block2.dropout", "block2.pool"]
    assert table["block2.add"].inputs == ("block2.relu2", "block2.skip")
    last = networks.layer_table(network("handmade_resnet", blocks=5), 3, 16, 10)
    assert last["avgpool"].inputs == ("block5.dropout",) and last["block5.add"].inputs[1] == "block4.pool"
