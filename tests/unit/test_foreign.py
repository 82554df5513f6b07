"""Networks of torchvision and of a user's file: their tables, starts, symmetries and training."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import cells
from weight_atlas import networks, starts
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.alignment import facts, transforms
from weight_atlas.analysis.features import convergence
from weight_atlas.analysis.features.feature_statistics import feature_layer
from weight_atlas.networks import construct, foreign, inputs, symmetry, trace
from weight_atlas.networks.build import build, empty, fill, recorded
from weight_atlas.plan import lagging, stages, study
from weight_atlas.plan.checks import ConfigError
from weight_atlas.reporting.exhibits import diagrams
from weight_atlas.settings import IMAGENET, Start

# One of each family that torchvision has and that is small; a ViT of few layers. VGG and AlexNet are large, and nothing
# but convolutions and linear layers.
FAMILIES = [
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "VisionTransformer",
]
VIT = {"patch_size": 8, "num_layers": 3, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 64}

MIXER = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.GELU(), nn.Linear(2 * tokens, tokens))
        self.channels = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self, num_classes, in_channels, image_size, patch=8, width=32, blocks=2):
        super().__init__()
        self.patches = nn.Conv2d(in_channels, width, patch, patch)
        self.places = nn.Parameter(torch.zeros(1, (image_size // patch) ** 2, width))
        self.blocks = nn.Sequential(*[Block((image_size // patch) ** 2, width) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.blocks(x)).mean(dim=1))
"""


def network(name: str, **options) -> dict:
    return {"architecture": name if ":" in name else f"torchvision.models:{name}", "width": 1.0, "options": options}


def table(name: str, size: int = 32, channels: int = 3, classes: int = 10, **options) -> foreign.TracedTable:
    """A table that is traced in this process, which has torch already."""
    arguments = network(name, **options), channels, size, classes
    return foreign.TracedTable(arguments, json.loads(json.dumps(trace.trace(*arguments))))


@pytest.fixture(scope="module")
def tables() -> dict[str, foreign.TracedTable]:
    return {}


@pytest.fixture
def mixer(tmp_path, monkeypatch) -> str:
    """The architecture of a user's file in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("mixer.py").write_text(MIXER)
    return "mixer.py:Mixer"


def known(tables: dict[str, foreign.TracedTable], name: str, size: int = 32) -> foreign.TracedTable:
    if name not in tables:
        tables[name] = table(name, size, **(VIT if name == "VisionTransformer" else {}))
    return tables[name]


# ----------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("name", FAMILIES)
def test_a_table_has_the_tensors_and_the_sizes_of_torchvisions_module(tables, name):
    """Against the module itself: names, shapes and order of tensors; what hooks see of every layer with weights."""
    found = known(tables, name)
    model = construct.construct(*found.arguments).eval()
    parameters = {key: tuple(one.shape) for key, one in model.named_parameters()}
    assert dict(found.parameters()) == parameters
    assert [key for key, _ in found.parameters()] == [key for key in model.state_dict() if key in parameters]
    assert dict(found.buffers()) == {
        key: tuple(one.shape) for key, one in model.state_dict().items() if key not in parameters
    }
    assert found.parameter_count == sum(one.numel() for one in model.parameters())
    seen: dict[str, tuple[int, ...]] = {}
    multiplied = [0]

    def watch(label):
        def hook(module, _, output):
            seen[label] = tuple(output.shape[1:])
            multiplied[0] += module.weight.numel() * output[0].numel() // module.weight.shape[0]

        return hook

    for label, part in model.named_modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.register_forward_hook(watch(label))
    with torch.no_grad():
        made = model(torch.rand(2, 3, found.size, found.size))
    assert made.shape == (2, 10)
    assert {layer.name: layer.out_shape for layer in found.weight_layers} == seen
    assert sum(layer.macs for layer in found.weight_layers) == multiplied[0]
    assert [layer.name for layer in found.weight_layers] == list(seen)  # in the order of execution


def test_what_torchvision_says_of_its_networks_is_what_the_tables_say():
    """Parameters and multiply-accumulates of the published networks, which its weights' `meta` gives."""
    for name in ("mobilenet_v3_small", "resnet50", "densenet121"):
        meta = torchvision.models.get_model_weights(name).DEFAULT.meta
        found = table(name, 224, classes=1000)
        assert found.parameter_count == meta["num_params"]
        assert found.macs / 1e9 == pytest.approx(meta["_ops"], rel=0.02)


def test_stages_end_where_the_blocks_of_a_network_do(tables):
    expected = {
        "resnet18": [1, 3, 5, 8, 10, 13, 15, 18, 20, 21],  # the stem, eight blocks (three with a shortcut), the head
        "squeezenet1_1": [1, 4, 7, 10, 13, 16, 19, 22, 25, 26],
        "mobilenet_v3_small": [1, 5, 8, 11, 16, 21, 26, 31, 36, 41, 46, 51, 52, 53, 54],
        "densenet121": [1, 13, 14, 38, 39, 87, 88, 120, 121],
        "VisionTransformer": [1, 3, 5, 7, 8],
    }
    assert {name: known(tables, name).stages for name in expected} == expected
    own = networks.layer_table({"architecture": "resnet18", "options": {"stem": "cifar"}}, 3, 32, 10)
    heavy = [layer.name for layer in own.weight_layers]
    blocks = [f"layer{n}" for n in (1, 1, 2, 2, 3, 3, 4, 4)]
    assert [heavy[end - 1].split(".")[0] for end in own.stages] == ["conv1", *blocks, "fc"]


def test_layers_that_are_frozen_by_number_are_all_up_to_there(tables):
    """In a ViT the tokens' own parameters, the norms and the attention before a layer go with it."""
    found = known(tables, "VisionTransformer")
    block = [f"encoder.layers.encoder_layer_0.{part}" for part in ("ln_1", "self_attention", "ln_2", "mlp.0", "mlp.3")]
    assert found.select(1) == ["conv_proj"]
    assert found.select(3) == ["conv_proj", "class_token", "encoder.pos_embedding", *block]


def test_small_stems_and_grey_images():
    found = table("resnet18", 28, channels=1, stem="small")
    first = found.weight_layers[0]
    assert first.parameters == {"weight": (64, 1, 3, 3)} and first.out_shape == (64, 28, 28)
    assert found["layer1.0.conv1"].in_shape == (64, 28, 28)  # and no max pooling before it
    assert table("resnet18", 28, channels=1)["layer1.0.conv1"].in_shape == (64, 7, 7)


def test_taps_of_a_dilated_and_of_a_circular_convolution(tmp_path, monkeypatch):
    """Against gradients: a tap that only meets zeros has none."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from torch import nn\n\n\n"
        "def net(num_classes, mode):\n"
        "    return nn.Sequential(nn.Conv2d(3, 2, 3, padding=4, dilation=4, padding_mode=mode),\n"
        "        nn.Flatten(), nn.LazyLinear(num_classes) if False else nn.Linear(2 * 4 * 4, num_classes))\n"
    )
    for mode in ("zeros", "circular"):
        found = table("net.py:net", 4, mode=mode)
        model = construct.construct(*found.arguments)
        model(torch.rand(8, 3, 4, 4)).square().sum().backward()
        gradient = model.get_parameter("0.weight").grad
        assert gradient is not None
        reached = (gradient != 0).any(0).any(0).numpy()
        assert np.array_equal(found.tap_mask("0"), reached) and reached.all() == (mode == "circular")


# ------------------------------------------------------------------------------------------- symmetries


@pytest.mark.parametrize("name", FAMILIES)
def test_every_exhibit_of_a_network_follows_its_ways(tables, name):
    """Boxes for all rows, the longest way, and as the maker of its features the last weight before the head on it: also
    where a row reads nothing (tokens, positions, scales of layers)."""
    found = known(tables, name)
    boxes, depths = diagrams.rows(found), found.depths()
    assert [row for box in boxes[1:] for row in box.layers] == [layer.name for layer in found.layers]
    assert sum(box.parameters for box in boxes) == found.parameter_count
    assert depths[found.head.name] == max(depths.values()) == 1 + depths[feature_layer(found).name]


@pytest.mark.parametrize("name", FAMILIES)
def test_symmetries_that_are_found_change_nothing(tables, name):
    """Channels permuted, rescaled and negated as the table allows: the outputs stay, in float64."""
    found = known(tables, name)
    model = construct.construct(*found.arguments).double().eval()
    drawn = facts.noise(found, 1)
    tensors = {key: drawn[key] if one.is_floating_point() else one for key, one in model.state_dict().items()}
    fill(model, tensors)
    changed = transforms.apply(found, tensors, transforms.random(found, 3))
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        before = model(images)
        fill(model, changed)
        after = model(images)
    assert (after - before).abs().max() < 1e-9 * before.abs().max()
    moved = sum(not torch.equal(changed[key], tensors[key]) for key, _ in found.parameters())
    assert moved == 0 if not symmetry.groups(found) else moved > 0


def test_how_many_layers_channels_can_be_moved(tables):
    """All of a network of convolutions, batch normalisations and sums; of a depthwise one both sides together."""
    groups = {name: [group for group in symmetry.groups(known(tables, name)) if group.permutation] for name in FAMILIES}
    resnet = groups["resnet18"]
    assert {group.name for group in resnet} >= {"conv1", "layer1.0.conv1", "layer4.1.conv1"}
    mobile = {group.name: {axis.tensor for axis in group.axes} for group in groups["mobilenet_v2"]}
    assert "features.2.conv.1.0.weight" in mobile["features.2.conv.0.0"]
    inside = {"encoder.layers.encoder_layer_0.mlp.0", "heads.head"}
    assert not inside & {group.name for group in groups["VisionTransformer"]}


# ------------------------------------------------------------------------------------- starts, training


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "VisionTransformer", "regnet_y_400mf"])
def test_a_start_is_its_constructors_and_follows_the_seed(tables, name):
    found = known(tables, name)
    made = starts.drawn(found, Start("init", scheme="default"), 7, "init")
    again = starts.drawn(found, Start("init", scheme="default"), 7, "init")
    other = starts.drawn(found, Start("init", scheme="default"), 8, "init")
    assert all(torch.equal(made[key], again[key]) for key in made)
    first, head = (f"{layer.name}.weight" for layer in (found.weight_layers[0], found.head))
    assert not torch.equal(made[first], other[first])
    scheme = starts.drawn(found, Start("init", scheme="orthogonal"), 7, "init")
    rows = scheme[head].double()
    assert torch.allclose(rows @ rows.T, torch.eye(len(rows), dtype=torch.float64), atol=1e-5)
    assert all(not scheme[f"{layer.name}.bias"].any() for layer in found.weight_layers if "bias" in layer.parameters)
    kept = [row for row in found.layers if row.kind in ("LayerNorm", "Parameter", "Parameters")]
    assert all(torch.equal(scheme[row.tensor(own)], made[row.tensor(own)]) for row in kept for own in row.parameters)


def test_a_module_without_storage_takes_a_snapshot(tables):
    """Buffers that a constructor computes are real, also where they are in no state dict."""
    found = known(tables, "swin_t")
    made = starts.drawn(found, Start("init", scheme="default"), 1, "init")
    model, _ = empty(*found.arguments)
    assert all(one.is_meta for one in model.parameters())
    fill(model, made, assign=True)
    plain = construct.construct(*found.arguments)
    fill(plain, made)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), plain.eval()(images))


# ------------------------------------------------------------------------------------------- users' own


def test_a_users_network_is_traced_once(mixer, monkeypatch):
    Path(".snakemake").mkdir()
    foreign._record.cache_clear()
    found = networks.layer_table(network(mixer, patch=4), 1, 28, 10)
    assert found["places"].parameters == {"value": (1, 49, 32)} and found["places"].tensor("value") == "places"
    assert found.stages == [1, 5, 9, 10]
    model, _ = build(network(mixer, patch=4), 1, 28, 10)
    assert [(name, tuple(one.shape)) for name, one in model.named_parameters()] == found.parameters()
    assert len(list(foreign.KEPT.iterdir())) == 1
    foreign._record.cache_clear()
    monkeypatch.setattr(foreign, "_trace", None)  # a later job only reads
    assert networks.layer_table(network(mixer, patch=4), 1, 28, 10).layers == found.layers
    Path("mixer.py").write_text(MIXER + "# another file\n")
    with pytest.raises(TypeError):
        networks.layer_table(network(mixer, patch=4), 1, 28, 10)


def test_the_next_size_that_works_is_found(mixer):
    """Images of 28 pixels do not divide into patches of 8: they are padded to 32, and not cut."""
    assert networks.fitting_size(network(mixer), 3, 5, 10) == 8
    assert table("vit_b_32", 28).size == 32
    with pytest.raises(ValueError, match="images of 5x5: does not run; the smallest size that works is 8"):
        networks.layer_table(network(mixer), 3, 5, 10)


@pytest.mark.parametrize(
    ("name", "options", "text", "said"),
    [
        ("net.py:Other", {}, "", "net.py has no Other"),
        ("net.py:Net", {}, "self.a = nn.Linear(3, 4", r"net.py, line \d+: '\(' was never closed"),
        (
            "net.py:Net",
            {},
            "raise KeyError('width')",
            r"net.py, line 8 \(raise KeyError\('width'\)\): KeyError: 'width'",
        ),
        ("net.py:Net", {"depth": 3}, "", r"unexpected keyword argument 'depth'"),
        (
            "net.py:Net",
            {},
            "self.a = nn.Linear(5, num_classes)",
            r"net.py, line 11 \(return self.a\(x.flatten\(1\)\)\)",
        ),
        ("net.py:Net", {}, "self.a = nn.Linear(3 * 8 * 8, 7)", r"gives \(7,\) for an image; it must give \(10,\)"),
        ("net.py:Net", {}, "self.a = nn.Linear(192, num_classes); self.b = nn.Linear(2, 2)", r"b.weight is never used"),
        ("nowhere.models:Net", {}, "", "No module named 'nowhere'"),
        ("torchvision.models:resnet19", {}, "", "torchvision.models has no resnet19"),
        ("torchvision.models:resnet18", {"stem": "cifar"}, "", "stem is 'cifar'; allowed: small"),
        ("torchvision.models:vit_b_32", {"image_size": 33}, "", "[Pp]atch size|shape"),
    ],
)
def test_what_is_wrong_with_a_network_is_said_in_one_line(tmp_path, monkeypatch, name, options, text, said):
    monkeypatch.chdir(tmp_path)
    body = text or "self.a = nn.Linear(3 * 8 * 8, num_classes)"
    Path("net.py").write_text(
        "from torch import nn\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, num_classes):\n"
        "        super().__init__()\n\n"
        f"        {body}\n\n"
        "    def forward(self, x):\n"
        "        return self.a(x.flatten(1))\n"
    )
    request = network(name, **options) | {"channels": 3, "size": 8, "classes": 10}
    line = trace.answer(request)["error"]
    assert re.search(said, line), line
    assert "\n" not in line and "Traceback" not in line


def test_what_ends_the_tracing_process_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "torch")  # as in a plan
    with pytest.raises(ValueError, match="there is no file none.py; give its path from the working directory"):
        networks.layer_table(network("none.py:Net"), 3, 8, 10)
    for end in ("import os; os._exit(3)", "raise SystemExit('no such option')"):
        Path("net.py").write_text(end)
        with pytest.raises(ValueError, match=r"could not be traced: (it ended with exit status 3|no such option)$"):
            networks.layer_table(network("net.py:Net"), 3, 8, 10)


def test_a_module_whose_inside_depends_on_values_is_one_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from torch import nn\n\n\n"
        "class Odd(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.a, self.b = nn.Linear(12, 12), nn.Linear(12, 12)\n\n"
        "    def forward(self, x):\n"
        "        return self.a(x) if x.shape[0] > 1 else self.b(x)\n\n\n"
        "def net(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(48, 12), Odd(), nn.Linear(12, num_classes))\n"
    )
    found = table("net.py:net", 4)
    odd = found["2"]
    assert odd.kind == "Odd" and set(odd.parameters) == {"a.weight", "a.bias", "b.weight", "b.bias"}
    assert [layer.name for layer in found.weight_layers] == ["1", "3"] and found.stages == [1, 2]


def test_a_plan_traces_in_a_process_of_its_own_and_imports_no_torch(mixer):
    code = (
        "import sys\nfrom weight_atlas import networks\n"
        f"print(networks.layer_table({network(mixer)!r}, 3, 32, 10).parameter_count)\n"
        "assert 'torch' not in sys.modules"
    )
    library = str(Path(networks.__file__).parents[2])
    said = subprocess.check_output([sys.executable, "-c", code], env={"PYTHONPATH": library, "PATH": "/usr/bin"})
    assert int(said) == sum(one.numel() for one in build(network(mixer), 3, 32, 10).model.parameters())


def test_the_images_of_an_evaluation_are_seen_as_by_the_module_itself(tables):
    """Accuracy over images in batches, with running statistics, of a depthwise network."""
    found = known(tables, "mobilenet_v2")
    tensors = starts.drawn(found, Start("init", scheme="default"), 3, "init")
    model, _ = empty(*found.arguments)
    fill(model, tensors, assign=True)
    assert len(evaluation.batchnorms(model)) == sum(layer.is_batchnorm for layer in found.layers)


def test_a_plan_lists_the_stages_and_takes_as_many_layers():
    config = {
        "name": "p",
        "datasets": {name: {"source": "digits", "classes": list(name)} for name in ("01234", "56789")},
        "networks": {"vit": {"module": "torchvision.models:VisionTransformer", **VIT, "num_layers": 2}, "lenet5": {}},
        "optimizers": {"sgd": {"type": "sgd", "lr": 0.1}},
        "training": {"epochs": 1},
    }
    grid = {"dataset": ["01234", "56789"], "network": ["vit", "lenet5"], "init": ["default"], "optimizer": ["sgd"]}
    transfer = {"there": {"base": "01234", "target": "56789", "depths": "stages"}}
    plan = study.Plan(config | {"definitions": {"s": {"grid": grid, "transfer": transfer}}}, Path("nowhere"))
    assert stages.lines(plan) == [
        "network vit: 6 layers with weights in 4 stages, up to 1 (conv_proj), 3 (encoder.layers.encoder_layer_0), "
        "5 (encoder.layers.encoder_layer_1), 6 (heads.head)",
        "network lenet5: 5 layers with weights in 5 stages, up to 1 (conv1), 2 (conv2), 3 (fc1), 4 (fc2), 5 (fc3)",
    ]
    taken = [entry.labels for entry in plan.entries if entry.labels["network"] == "vit" and "depth" in entry.labels]
    assert [int(labels["depth"]) for labels in taken] == [0, 1, 3, 5]


# ------------------------------------------------------------------------------------- published weights


def planned(init: dict, **more) -> study.Plan:
    config = {
        "name": "p",
        "datasets": {"digits": {"source": "digits", "channels": 3}},
        "networks": {"net": {"torchvision": "mobilenet_v3_small"}, "plain": {"architecture": "resnet18"}} | more,
        "inits": {"theirs": init},
        "optimizers": {"sgd": {"type": "sgd", "lr": 0.1}},
        "training": {"epochs": 1},
        "definitions": {
            "s": {"grid": {"dataset": ["digits"], "network": ["net"], "init": ["theirs"], "optimizer": ["sgd"]}}
        },
    }
    return study.Plan(config, Path("nowhere"))


def test_batchnorms_that_lag_behind_are_warned_of():
    """By what torch's own layer keeps of its start after as many steps."""
    config = {
        "name": "slow",
        "datasets": {"digits": {"source": "digits", "per_class": {"train": 16}}},
        "networks": {"mobile": {"torchvision": "mobilenet_v3_small", "width_mult": 0.25}, "lenet1": {}},
        "optimizers": {"sgd": {"type": "sgd"}},
        "training": {"epochs": 10, "batch_size": 32},
        "definitions": {
            "first": {
                "grid": {
                    "dataset": ["digits"],
                    "network": ["mobile", "lenet1"],
                    "init": ["default"],
                    "optimizer": ["sgd"],
                }
            }
        },
    }
    layer = nn.BatchNorm2d(1, momentum=0.01)
    for _ in range(5 * 10):
        layer(torch.ones(2, 1, 2, 2))
    [line] = lagging.lines(study.Plan(config, Path("nowhere")))
    kept = 1 - layer.running_mean.item()
    assert "mobilenet_v3_small: after its 50 steps" in line and f"still {kept * 100:.0f} % those of the start" in line
    config["training"]["epochs"] = 100
    assert not lagging.lines(study.Plan(config, Path("nowhere")))


def test_published_weights_come_by_torchvisions_names_with_their_normalisation():
    """Against torchvision's own presets; EfficientNetV2-L has others than ImageNet's."""
    [cell] = planned({"weights": "IMAGENET1K_V1"}).cells.values()
    assert cell.weights is not None and cell.weights.spec == {"published": "mobilenet_v3_small", "sha256": None}
    assert cell.settings.input.mean == [0.485, 0.456, 0.406]
    [large] = planned({"weights": "imagenet"}, net={"torchvision": "efficientnet_v2_l"}).cells.values()
    preset = torchvision.models.EfficientNet_V2_L_Weights.IMAGENET1K_V1.transforms()
    assert (large.settings.input.mean, large.settings.input.std) == (list(preset.mean), list(preset.std))
    assert list(preset.mean) == [0.5, 0.5, 0.5]
    [second] = planned({"weights": "IMAGENET1K_V2"}, net={"torchvision": "resnet50"}).cells.values()
    assert second.weights is not None and second.weights.spec["weights"] == "IMAGENET1K_V2"
    with pytest.raises(ConfigError, match="inits.theirs.weights: IMAGENET1K_V2 for network 'net'; .*IMAGENET1K_V1"):
        planned({"weights": "IMAGENET1K_V2"})
    with pytest.raises(ConfigError, match="is not published for network 'net'"):
        planned({"weights": "imagenet"}, net={"torchvision": "resnet50", "stem": "small"})


def test_inceptions_own_constants_are_those_that_it_is_run_with():
    """torchvision makes GoogLeNet with `transform_input`: ImageNet's constants taken off, others put on."""
    own = foreign.published(network("googlenet"))["IMAGENET1K_V1"]
    theirs = torchvision.models.googlenet(transform_input=True, aux_logits=False, init_weights=False).eval()
    plain = torchvision.models.googlenet(aux_logits=False, init_weights=False).eval()
    plain.load_state_dict(theirs.state_dict())
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        expected = theirs(inputs.normalise(images, IMAGENET["mean"], IMAGENET["std"]))
        found = plain(inputs.normalise(images, own["mean"], own["std"]))
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


# ----------------------------------------------------------------------------------------------- measures


def test_layers_that_go_over_tokens_are_compared_with_places(tables):
    """What a ViT's layers make of images, against hooks: all values for CKA, features averaged over tokens."""
    found = known(tables, "VisionTransformer")
    settings = cells.settings(
        classes=10, input={"channels": 3, "size": 32}, network=dict(found.arguments[0]), training={"epochs": 1}
    )
    tensors = starts.drawn(found, Start("init", scheme="kaiming_uniform"), 1, "init")
    test = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = evaluation.Images(test, None, None, [0.5] * 3, [0.25] * 3)
    seen = convergence.look(settings, found, tensors, images)
    assert list(seen) == [layer.name for layer in found.weight_layers]
    model, name, caught = evaluation.module(settings, tensors), "encoder.layers.encoder_layer_1.mlp.3", []
    model.get_submodule(name).register_forward_hook(lambda _, __, output: caught.append(output.clone()))
    with torch.no_grad():
        model(images.normalised(test))
    [tokens] = caught
    assert tokens.shape == (12, 17, 32)
    torch.testing.assert_close(seen[name].kernel, convergence.kernel(tokens.transpose(1, 2).flatten(1)))
    means = tokens.double().mean(1).numpy()
    centred = means - means.mean(0)
    np.testing.assert_allclose(seen[name].channels, centred / np.sqrt((centred**2).sum(0)), atol=1e-5)


# ----------------------------------------------------------------------------------------------- the page


def test_lines_of_the_page_on_torchvisions_classifiers_are_what_is_traced():
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, str(root / "docs/classifiers.py"), "--check", "squeezenet1_1", "mobilenet_v2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (root / "docs/classifiers.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE)) == set(
        torchvision.models.list_models(torchvision.models)
    )


@pytest.mark.long
@pytest.mark.parametrize("name", torchvision.models.list_models(torchvision.models))
def test_every_line_of_the_page_is_what_is_traced(name):
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, str(root / "docs/classifiers.py"), "--check", name], check=True)


def test_a_network_is_made_of_what_its_trace_left():
    """As in a bundle: no trace, the same outputs; and other tensors are refused in one line."""
    network = {"architecture": "torchvision.models:squeezenet1_1", "width": 1.0, "options": {"stem": "small"}}
    arguments = (network, 1, 32, 10)
    torch.manual_seed(0)
    model = construct.construct(*arguments).eval()
    kept = json.loads(json.dumps(foreign.record(*arguments)))
    made = recorded(arguments, kept, model.state_dict())
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        assert not made.training and torch.equal(made(images), model(images))
    with pytest.raises(ValueError, match="^torchvision.models:squeezenet1_1: makes another network than the one that"):
        recorded(arguments, kept, {"other.weight": torch.zeros(1)})
    assert foreign.stem(*arguments).startswith("torchvision-models-squeezenet1-1-")
    assert foreign.stem(*arguments) != foreign.stem(network, 1, 64, 10)
