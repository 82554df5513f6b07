"""A document's numbers beside ours: counts of networks against torch's own, and what is told of cells and images."""

import math

import pytest
import torch
from test_reporting_convnets import full, opened
from torchvision import models

from tests.unit import told
from weight_atlas.faults import NothingToShow
from weight_atlas.networks import layer_table
from weight_atlas.networks.build import build
from weight_atlas.reporting.exhibits import documented, networks
from weight_atlas.reporting.exhibits.networks import COUNTS, Form


def form(architecture, channels=3, size=32, classes=10, frozen=0, **options):
    table = layer_table({"architecture": architecture, "options": options}, channels, size, classes)
    return Form(architecture, architecture, (), table, frozen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return full().write(tmp_path_factory.mktemp("documented"))


def named(document, key, what):
    """A number of a document by what it is."""
    [one] = [one for one in told.reported(document)[key] if one["what"] == what]
    return one


# --- counts


@pytest.mark.parametrize(("what", "name", "classes"), [("VGG", "vgg16", 1000), ("ResNet", "resnet18", 10)])
def test_the_slides_parameters_are_those_of_torchvisions_networks(what, name, classes):
    """Those of VGG are VGG16's with 1,000 outputs, and not those of VGG19 with 10."""
    with torch.device("meta"):
        expected = sum(one.numel() for one in getattr(models, name)(num_classes=classes).parameters())
    one = named("dynamics", "networks", f"parameters of {what}")
    assert COUNTS["parameters"](networks.named(one["is"])) == expected
    assert f"{expected / 1e6:.0f} × 10⁶" == one["says"]


@pytest.mark.parametrize("what", ["LeNet", "ResNet", "VGG"])
def test_the_slides_layers_are_counted_as_they_say(what):
    one = named("dynamics", "networks", f"layers of {what}")
    assert COUNTS[one["count"]](networks.named(one["is"])) == int(one["says"])


def test_vgg22_has_22_layers_and_both_totals():
    """Keras counts what a state has but the numbers of batches."""
    found = form("vgg22")
    with torch.device("meta"):
        module = build({"architecture": "vgg22", "width": 1.0, "options": {}}, 3, 32, 10).model
    state = {name: one.numel() for name, one in module.state_dict().items() if not name.endswith("tracked")}
    assert COUNTS["parameters"](found) == sum(one.numel() for one in module.parameters()) == 20_461_194
    assert COUNTS["with_statistics"](found) == sum(state.values()) == 20_462_218
    assert [COUNTS[f"layers{more}"](found) for more in ("", "_with_batchnorm")] == [21, 22]


@pytest.mark.parametrize(
    ("frozen", "blocks", "expected"),
    [(15, 5, 4096 * 256 + 256), (7, 3, 200_704 * 1024 + 1024 + 1024 * 256 + 256), (0, 3, None)],
)
def test_what_learns_is_what_is_not_frozen(frozen, blocks, expected):
    found = form("vgg16", size=224, classes=256, frozen=frozen, blocks=blocks)
    assert networks.learning(found) == (expected or found.table.parameter_count)


# --- tables


def test_losses_and_parameters_of_the_last_layer_beside_the_documents(folder):
    tables = opened(folder)
    [made] = documented.numbers(tables, reported="last-layer")
    rows = made.data.set_index("what")
    assert rows.loc["training loss, last layer alone", "document"] == "0.0859"
    metrics = tables.read("metrics")
    cells = tables.cells[tables.cells["experiment"] == "last-layer"].set_index("features")["cell_id"]
    ends = metrics[(metrics["cell_id"] == cells["three-blocks"]) & (metrics["epoch"] == metrics["epoch"].max())]
    mean, told_ = ends["test_loss"].mean(), rows.loc["test loss, three blocks", "here"].partition(" ± ")
    assert float(told_[0]) == pytest.approx(mean, abs=0.01)
    half = 4.302653 * ends["test_loss"].std() / math.sqrt(3)
    assert float(told_[2]) == pytest.approx(half, abs=0.01)
    head = rows.loc["parameters that learn, last layer alone"]
    assert head["here"] == "vgg16: 1,048,832" and head["it is that of"].endswith("1,048,832")
    assert "misquote" in rows.loc["accuracy in the summary", "note"]


def test_a_number_of_which_the_study_has_nothing_says_so(folder):
    tables = opened(folder)
    tables.cells = tables.cells[tables.cells["features"] != "all"]
    [made] = documented.numbers(tables, reported="last-layer")
    assert made.data.set_index("what").loc["training loss, last layer alone", "here"] == "none"
    tables.cells = tables.cells[tables.cells["experiment"] == "path"]
    with pytest.raises(NothingToShow, match="has nothing of which"):
        documented.numbers(tables, reported="last-layer")
    with pytest.raises(NothingToShow, match="no numbers called"):
        documented.numbers(tables, reported="else")


def test_shares_of_images_by_split(folder):
    tables = opened(folder, cards={"cifar10-0000": {"counts": {"train": [50], "valid": [5], "test": [5]}}})
    tables.document = {"shares": [{"what": "for test", "says": "8 %", "of": "images", "split": "test"}]}
    [made] = documented.numbers(tables, reported="shares")
    assert made.data["here"].tolist() == ["8.3 % of CIFAR-10 (5)"]


def test_networks_are_listed_once_with_what_differs(folder):
    tables = opened(folder)
    [made] = networks.table(tables)
    rows = made.data.set_index("network")
    assert len(rows) == len(networks.forms(tables)) and {"A (batchnorm no, dropout 0)", "tutorial"} <= set(rows.index)
    assert rows.loc["tutorial", "parameters"] == f"{6 * 76 + 16 * 151 + 120 * 401 + 84 * 121 + 10 * 85:,}"
    assert (rows.loc["C", "layers"], rows.loc["C", "with BatchNorm"]) == ("15", "28")
    assert rows.loc["vgg16", "learn at first"] == "1,048,832" and "learn at first" in made.columns
    assert "with statistics" in made.columns and "frozen" in made.caption


def test_forms_of_one_label_are_told_apart_by_their_options(folder):
    tables = opened(folder)
    tables.cells["network"] = tables.cells["network"].replace({"vgg16-four": "vgg16", "vgg16-three": "vgg16"})
    found = [form.network for form in networks.forms(tables) if form.network.startswith("vgg16")]
    assert found == ["vgg16 (blocks 5)", "vgg16 (blocks 4)", "vgg16 (blocks 3)"]
