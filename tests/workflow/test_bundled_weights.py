"""Weights in a bundle, and trained networks opened from it in another folder: by ids, by labels, and not when altered.

One of the networks is the user's own: its module and what its trace found are in the bundle.
"""

import csv
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import weight_atlas as wa
from tests.conftest import Workflow
from weight_atlas import store

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes: int = 10, in_channels: int = 1, filters: int = 8):
        super().__init__()
        self.features = nn.Conv2d(in_channels, filters, 5, stride=2)
        self.norm = nn.BatchNorm2d(filters)
        self.fc = nn.Linear(filters, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.norm(self.features(x))).mean((2, 3)))
"""
CONFIG = {
    "name": "small",
    "device": "cpu",
    "page": "single",
    "replicates": 2,
    "datasets": {"digits": {"source": "digits", "per_class": {"train": 20, "valid": 5, "test": 10}}},
    "networks": {"lenet1": {}, "own": {"module": "mine.py:Net", "filters": 6}},
    "optimizers": {"sgd": {"type": "sgd", "lr": 0.05}},
    "training": {"epochs": 1},
    "definitions": {
        "first": {
            "grid": {
                "dataset": ["digits"],
                "network": ["lenet1", "own"],
                "init": ["default", "xavier_uniform"],
                "optimizer": ["sgd"],
            }
        }
    },
}
XAVIER = {"network": "lenet1", "init": "xavier_uniform"}
OWN = {"network": "own", "init": "default"}


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    root = tmp_path_factory.mktemp("where it ran")
    (root / "mine.py").write_text(MODULE)
    made = Workflow(root, CONFIG)
    made.run("all")
    return made


@pytest.fixture(scope="module")
def bundle(workflow, tmp_path_factory):
    """The bundle with weights, taken to another folder."""
    said = workflow.run("bundle", "--config", "weights=last").stdout
    assert "weights (last): 8 snapshots, 8 files, 0.1 MB\n" in said and "small.zip: " in said
    return shutil.copy(workflow.root / "results/small/small.zip", tmp_path_factory.mktemp("elsewhere") / "small.zip")


@pytest.fixture(scope="module")
def unpacked(bundle):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(bundle.parent / "small")
    return bundle.parent / "small"


@pytest.fixture(autouse=True)
def elsewhere(bundle, monkeypatch):
    """Nothing of the run is in the working directory."""
    monkeypatch.chdir(bundle.parent)


def images_of(workflow):
    """float32 [100, 1, 28, 28] and int64 [100] of the test split, from the prepared file and its card alone."""
    [path] = (workflow.root / "data").glob("digits-*.safetensors")
    kept, card = load_file(path), store.read_json(path.with_suffix(".json"))
    test = kept["split"] == 2
    images = (kept["images"][test].double() / 255 - card["mean"][0]) / card["std"][0]
    return images.float(), kept["labels"][test]


def told(text: str) -> dict:
    """{(network, init, seed): row} of networks.csv."""
    return {(row["network"], row["init"], int(row["seed"])): row for row in csv.DictReader(io.StringIO(text))}


@pytest.mark.parametrize("where", ["bundle", "unpacked"])
def test_a_network_from_elsewhere_has_the_recorded_accuracy(workflow, unpacked, bundle, where):
    images, labels = images_of(workflow)
    assert len(labels) == 100
    rows = told((unpacked / "networks.csv").read_text(encoding="utf-8"))
    assert len(rows) == 8
    for (network, init, seed), row in rows.items():
        root = bundle if where == "bundle" else unpacked
        model = wa.load(root, network=network, init=init, seed=seed, trust_code=network == "own")
        with torch.inference_mode():
            right = int((model(images).argmax(1) == labels).sum())
        assert right / 100 == pytest.approx(float(row["accuracy"])), row
        metrics = (workflow.root / row["file"]).parent / "metrics.csv"
        [recorded] = [one for one in csv.DictReader(metrics.read_text().splitlines()) if one["epoch"] == "1"]
        assert float(recorded["test_accuracy"]) == pytest.approx(right / 100)


def test_its_tensors_are_those_of_the_file_by_id_and_by_labels(workflow, bundle, unpacked):
    row = told((unpacked / "networks.csv").read_text(encoding="utf-8"))["lenet1", "xavier_uniform", 1]
    kept = load_file(workflow.root / row["file"])
    labels = dict(study="first", **XAVIER)
    for model in (
        wa.load(row["cell_id"], 1, root=bundle),
        wa.load(row["cell_id"][-10:], 1, root=unpacked),
        wa.load(bundle, seed=1, **labels),
        wa.load(labels, 1, root=str(bundle)),
        wa.load(workflow.root, seed=1, **XAVIER),
        wa.load(workflow.root / "results/small", seed=1, **XAVIER),
    ):
        state = model.state_dict()
        assert state.keys() == kept.keys() and not model.training
        assert all(torch.equal(state[name], tensor) for name, tensor in kept.items())


def test_a_network_of_ones_own_computes_what_its_module_does(workflow, bundle):
    spec = importlib.util.spec_from_file_location("mine_by_hand", workflow.root / "mine.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    [path] = workflow.root.glob("results/cells/base-digits-mine.py-net-default-*/seeds_0-1/snapshots/seed0/epoch_1.*")
    by_hand = module.Net(filters=6)
    by_hand.load_state_dict(load_file(path))
    images, _ = images_of(workflow)
    for model in (wa.load(bundle, **OWN, trust_code=True), wa.load(workflow.root, **OWN)):
        assert np.array_equal(model(images).detach(), by_hand.eval()(images).detach())


def test_a_fresh_python_opens_it_with_nothing_but_the_library(bundle):
    assert python(f"wa.load({str(bundle)!r}, trust_code=True, **{OWN!r})", "type(_).__name__") == "Net\n"


def test_the_example_of_the_docs_runs(bundle):
    text = (ROOT / "docs/notebook.md").read_text(encoding="utf-8").split("## From a bundle")[1]
    example = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)[0]
    for word, own in {"tour": "small", "dynamics": "first", "lenet5": "lenet1", "pretrained": "default"}.items():
        assert word in example
        example = example.replace(word, own)
    assert python("None", "model.training, len(accuracy) > 8", example) == "False True\n"


def python(value, shown, before=""):
    """What a fresh Python prints in the working directory, with the library on its path."""
    source = f"import weight_atlas as wa\n{before}\n_ = {value}\nprint(*[x for x in [{shown}]])"
    env = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", source], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_code_of_others_runs_only_where_it_is_trusted(bundle, unpacked):
    [source] = (unpacked / "networks").glob("*.py.txt")
    assert source.read_text() == MODULE
    with pytest.raises(ValueError, match=rf"networks/{source.name} of the bundle; read it, and give trust_code=True"):
        wa.load(bundle, **OWN)


def test_tables_come_from_a_bundle_too(workflow, bundle):
    for name in ("accuracy", "summary"):
        assert wa.table(name, root=bundle).equals(wa.table(name, root=workflow.root))


WRONG = {
    "ambiguous": (lambda root: wa.load(root, network="lenet1"), r"2 cells have .*more of init \(default, xavier_unif"),
    "no label": (lambda root: wa.load(root, network="lenet5"), "no cell has network 'lenet5'; there are: lenet1, own$"),
    "no axis": (lambda root: wa.load(root, net="lenet1"), "no label is called 'net'; allowed: study, kind, role, data"),
    "seed": (lambda root: wa.load(root, seed=2, **XAVIER), "has no seed 2; there are: 0, 1$"),
    "epoch": (lambda root: wa.load(root, epoch=0, **XAVIER), "has no snapshot 0; there are: 1$"),
    "both": (lambda root: wa.load("lenet1-default", root=root, network="lenet1"), "an id and labels are given; give"),
    "images": (lambda root: wa.images(root, **XAVIER), "a bundle has no images; give root=, a folder that the"),
    "no file": (lambda root: wa.load(root.with_name("none.zip"), **XAVIER), "there is no such folder or bundle$"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_errors_are_one_line_that_says_what_there_is(bundle, wrong):
    call, words = WRONG[wrong]
    with pytest.raises(ValueError, match=words) as caught:
        call(bundle)
    assert "\n" not in str(caught.value)


def test_an_altered_snapshot_is_not_opened(unpacked, tmp_path):
    folder = shutil.copytree(unpacked, tmp_path / "altered")
    [path] = folder.glob("results/cells/base-digits-lenet1-xavier_uniform-*/seeds_0-1/snapshots/seed1/epoch_1.*")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="epoch_1.safetensors was altered: .*; get the bundle again$"):
        wa.load(folder, seed=1, **XAVIER)
    wa.load(folder, seed=0, **XAVIER)


def test_a_file_that_is_no_bundle_is_said(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(ValueError, match="x.zip: is no bundle that can be read .*; get it again$"):
        wa.load(tmp_path / "x.zip", **XAVIER)


def test_then_a_bundle_without_weights_says_so(workflow, bundle, tmp_path):
    """The last test here: it makes the bundle of the run again."""
    assert workflow.run("bundle", "--config", "weights=last").stdout.count("bundling") == 0
    workflow.run("bundle")
    small = workflow.root / "results/small/small.zip"
    with zipfile.ZipFile(small) as archive, zipfile.ZipFile(bundle) as other:
        assert not [name for name in archive.namelist() if name.endswith((".safetensors", ".py.txt", "run.json"))]
        assert archive.read("weights.sha256") == other.read("weights.sha256")
    with pytest.raises(ValueError, match="seed 0 is not in the bundle, which was made without its weights"):
        wa.load(small, **XAVIER)
