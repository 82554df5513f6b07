"""What images are normalised by: what the plan makes of the key, and that training, evaluation and measures obey it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torchvision.transforms.functional import normalize

from tests.unit.cells import record
from weight_atlas import networks, store
from weight_atlas.analysis import evaluation
from weight_atlas.analysis.features import activations
from weight_atlas.analysis.runs import given as laid
from weight_atlas.networks import inputs
from weight_atlas.plan import checks, study
from weight_atlas.settings import UNCHANGED, Input, Settings
from weight_atlas.training import data as training_data

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def config(inits=None, **more):
    return {
        "name": "mine",
        "replicates": 1,
        "datasets": {
            "digits": {"source": "digits", "size": 32},
            "colour": {"source": "digits", "size": 32, "channels": 3},
        },
        "networks": {"resnet18": {}},
        "inits": {"trained": {"weights": "imagenet"}} | (inits or {}),
        "optimizers": {"sgd": {"type": "sgd"}},
        "training": {"epochs": 1},
        "definitions": {
            "first": {
                "grid": {"dataset": ["colour"], "network": ["resnet18"], "init": ["trained"], "optimizer": ["sgd"]}
            }
        },
    } | more


def cells(*arguments, **more):
    return list(study.Plan(config(*arguments, **more), Path("nowhere")).cells.values())


def shape(*arguments, **more):
    [cell] = cells(*arguments, **more)
    return cell.settings.input


def grid(**axes):
    whole = {"dataset": ["colour"], "network": ["resnet18"], "init": ["trained"], "optimizer": ["sgd"]} | axes
    return {"definitions": {"first": {"grid": whole}}}


def test_published_weights_take_imagenets():
    assert shape() == Input(3, 32, **IMAGENET)
    assert shape({"trained": {"weights": "imagenet", "normalise": "data"}}) == Input(3, 32)
    assert shape({"trained": {"weights": "imagenet", "normalise": "none"}}) == Input(3, 32, [0.0], [1.0])
    assert shape({"trained": {"weights": "imagenet"}}, **grid(dataset=["digits"])) == Input(3, 32, **IMAGENET)
    summed = shape({"trained": {"weights": "imagenet", "grey": "sum_conv1"}}, **grid(dataset=["digits"]))
    assert summed.mean == [pytest.approx(0.449)]
    assert summed.std == [pytest.approx(0.226)]


def test_what_is_drawn_takes_the_data_sets_own():
    assert shape(**grid(init=["default"])) == Input(3, 32)
    assert "mean" not in cells(**grid(init=["default"]))[0].settings.json["input"]


def test_the_key_is_part_of_the_identity():
    own = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]}
    kinds = ["data", "none", "imagenet", own, {"mean": [0.1], "std": [0.5]}]
    found = [cells({"trained": {"scheme": "default", "normalise": kind}})[0] for kind in kinds]
    assert len({cell.cell_id for cell in found}) == len(kinds)
    assert found[3].settings.input == Input(3, 32, **own)
    [plain] = cells(**grid(init=["default"]))
    assert found[0].cell_id == plain.cell_id, "the default counts for nothing"
    plan = study.Plan(config({"other": {"scheme": "default"}}, **grid(init=["trained", "other"])), Path("nowhere"))
    assert len(plan.groups) == 1, "cells are compared with one another however their images are normalised"


def test_what_starts_from_a_cell_takes_what_that_takes():
    sources = {"colour": {"dataset": "colour", "init": "trained", "optimizer": "sgd"}}
    inits = {
        "again": {"source": "colour"},
        "own": {"source": "colour", "normalise": "data"},
        "summed": {"source": "colour", "grey": "sum_conv1"},
    }
    for init, expected in (("again", IMAGENET), ("own", {})):
        plan = study.Plan(config(inits, sources=sources, **grid(init=[init])), Path("nowhere"))
        child = next(cell for cell in plan.cells.values() if cell.parent)
        assert child.settings.input == Input(3, 32, **expected)
        assert plan.cells[child.parent].settings.input == Input(3, 32, **IMAGENET)
    plan = study.Plan(config(inits, sources=sources, **grid(init=["summed"], dataset=["digits"])), Path("nowhere"))
    child = next(cell for cell in plan.cells.values() if cell.parent)
    assert child.settings.input.mean == [pytest.approx(0.449)]
    design = grid()["definitions"]["first"] | {"perturb": {"perturbations": ["noise"]}}
    changed = config(definitions={"first": design}, perturbations={"noise": {"type": "add", "size": 0.1}})
    for cell in study.Plan(changed, Path("nowhere")).cells.values():
        assert cell.settings.input == Input(3, 32, **IMAGENET)
    transfer = {"move": {"base": "colour", "target": "colour", "depths": [1], "modes": ["frozen"]}}
    design = grid()["definitions"]["first"] | {"transfer": transfer}
    for cell in study.Plan(config(definitions={"first": design}), Path("nowhere")).cells.values():
        assert cell.settings.input == Input(3, 32, **IMAGENET)


@pytest.mark.parametrize(
    ("normalise", "words"),
    [
        ("imagnet", ["inits.trained", "normalise", "imagnet"]),
        ({"mean": [0.1]}, ["inits.trained", "normalise", "std"]),
        ({"mean": [0.1, 0.2], "std": [0.1]}, ["2 values of `mean` and 1 of `std`"]),
        ({"mean": [0.1, 0.2], "std": [0.1, 0.2]}, ["inits.trained.normalise: 2 values", "3 channels", "1, or 3"]),
        ({"mean": [123.7], "std": [58.4]}, ["inits.trained", "mean", "123.7", "1"]),
        ({"mean": [0.1], "std": [0.0]}, ["std", "0"]),
        ({"mean": [0.1], "std": [float("nan")]}, ["std"]),
        ({"mean": [], "std": []}, ["mean"]),
    ],
)
def test_wrong_constants_are_one_line(normalise, words):
    with pytest.raises(checks.ConfigError) as error:
        cells({"trained": {"scheme": "default", "normalise": normalise}})
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


# ---------------------------------------------------------------------------------------- training and evaluation


@pytest.fixture
def toy(tmp_path):
    """A data set of noise in colour: its file and its card."""
    draw = np.random.default_rng(0)
    count = 30
    store.save_tensors(
        tmp_path / "toy.safetensors",
        {
            "images": draw.integers(0, 256, (count, 3, 32, 32), np.uint8),
            "labels": np.arange(count, dtype=np.int64) % 10,
            "split": np.repeat([0, 1, 2], count // 3).astype(np.uint8),
        },
    )
    card = {"dataset_id": "toy", "classes": [str(label) for label in range(10)], "mean": [0.5, 0.4, 0.3]}
    return tmp_path / "toy.safetensors", card | {"std": [0.3, 0.2, 0.1]}


@pytest.mark.parametrize(
    ("named", "mean", "std"),
    [
        ({}, [0.5, 0.4, 0.3], [0.3, 0.2, 0.1]),
        (IMAGENET, *IMAGENET.values()),
        ({"mean": [0.25], "std": [0.125]}, [0.25] * 3, [0.125] * 3),
        (UNCHANGED, [0.0] * 3, [1.0] * 3),
    ],
)
def test_training_and_measures_see_the_same_images(toy, named, mean, std):
    path, card = toy
    seen = training_data.load(path, card, Input(3, 32, **named), torch.device("cpu"))
    pixels = torch.from_numpy(store.load_arrays(path)["images"]).float() / 255
    expected = normalize(pixels, mean, std)
    torch.testing.assert_close(seen.batch(seen.train.images), expected[:10], rtol=0, atol=1e-5)
    settings = Settings.parse(record() | {"input": {"channels": 3, "size": 32} | named})
    shown = evaluation.load_images(path, card, 3, 32, 10).seen_by(settings)
    torch.testing.assert_close(shown.normalised(shown.test), expected[20:], rtol=0, atol=1e-5)
    assert inputs.constants(card, settings.input) == (named.get("mean", mean), named.get("std", std))


def test_given_weights_are_evaluated_by_what_they_were_trained_with(toy, tmp_path):
    """Their accuracies, and the features that measures see, are those of torch with the constants of the config."""
    path, card = toy
    table = networks.layer_table({"architecture": "lenet1"}, 3, 32, 10)
    draw = np.random.default_rng(1)
    weights = {name: draw.normal(0, 0.3, form).astype(np.float32) for name, form in table.parameters()}
    (tmp_path / "run").mkdir()
    save_file(weights, tmp_path / "run/epoch_1.safetensors")
    asked = {"network": "lenet1", "files": "run", "dataset": "digits"}
    datasets = {"digits": {"source": "digits", "channels": 3, "size": 32}}
    found = {}
    for kind, (mean, std) in {
        "data": card_of(card),
        "imagenet": tuple(IMAGENET.values()),
        "none": ([0.0], [1.0]),
    }.items():
        whole = {"name": "mine", "data_root": str(tmp_path), "networks": {"lenet1": {}}, "datasets": datasets}
        plan = study.Plan(whole | {"given": {"run": asked | {"normalise": kind}}}, Path("nowhere"))
        [cell] = plan.cells.values()
        block = tmp_path / kind / cell.cell_id / "seeds_0-0"
        laid.lay_out(cell.cell_id, cell.settings, [tmp_path / "run/epoch_1.safetensors"], path, card, block)
        line = dict(zip(*[one.split(",") for one in (block / "metrics.csv").read_text().splitlines()], strict=True))
        arrays = store.load_arrays(path)
        chosen = arrays["split"] == 2
        pixels = torch.from_numpy(arrays["images"][chosen]).float() / 255
        network = evaluation.module(cell.settings, {name: torch.from_numpy(value) for name, value in weights.items()})
        with torch.inference_mode():
            outputs = network(normalize(pixels, mean * (3 // len(mean)), std * (3 // len(std)))).double()
        loss = torch.nn.functional.cross_entropy(outputs, torch.from_numpy(arrays["labels"][chosen]))
        assert float(line["test_loss"]) == pytest.approx(float(loss), rel=1e-5)
        found[kind] = loss
        images = evaluation.load_images(path, card, 3, 32, 0)
        tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
        cache = tmp_path / f"{kind}.safetensors"
        activations.activate(cell.settings, cell.table, block, tensors, images, cache)
        torch.testing.assert_close(store.load_tensors(cache)["outputs"].double(), outputs, rtol=1e-4, atol=1e-4)
    assert len(set(found.values())) == 3


def card_of(card):
    return card["mean"], card["std"]


def test_normalise_without_images_is_refused(tmp_path):
    whole = {"name": "mine", "data_root": str(tmp_path), "networks": {"lenet1": {}}}
    with pytest.raises(checks.ConfigError, match="normalise.* without `dataset`"):
        study.Plan(whole | {"given": {"run": {"network": "lenet1", "files": "run", "normalise": "none"}}}, Path("x"))
