"""What the console says of data sets before, while and after they are used; and a smoke test that fails."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import prepare
from weight_atlas import store
from weight_atlas.plan import data_lines, outdated, study
from weight_atlas.training import smoke

ROOT = Path(__file__).resolve().parents[2]


def config(root, **keys):
    return {
        "name": "mine",
        "data_root": str(root / "data"),
        "replicates": 1,
        "device": "cpu",
        "datasets": {"pets": {"source": "folder", "path": "pets", "size": 28} | keys},
        "networks": {"lenet1": {}},
        "optimizers": {"sgd": {"type": "sgd"}},
        "training": {"epochs": 1, "batch_size": 8},
        "definitions": {
            "first": {"grid": {"dataset": ["pets"], "network": ["lenet1"], "init": ["default"], "optimizer": ["sgd"]}}
        },
    }


def write(root, counts):
    """counts[name] images of noise per class folder below `pets`."""
    for place, (name, count) in enumerate(counts.items()):
        for number in range(count):
            path = root / f"data/pets/{name}/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng([place, number]).integers(0, 256, (28, 28, 3), np.uint8)
            Image.fromarray(pixels).save(path)


def prepared(root, plan):
    """Prepare the data set of a plan where the plan looks for it."""
    ((dataset_id, data),) = plan.datasets.items()
    stem = root / "data" / dataset_id
    paths = ["--output", f"{stem}.safetensors", "--card", f"{stem}.json", "--data-root", plan.config.data_root]
    assert prepare.main(["dataset", "--spec", json.dumps(data.spec), "--dataset-id", dataset_id, *paths]) == 0
    return stem.with_suffix(".json")


def test_classes_and_images_are_listed(tmp_path):
    write(tmp_path, {"cat": 20, "a longer name": 7})
    assert data_lines.found(study.Plan(config(tmp_path), tmp_path)) == [
        "data set pets: 2 classes; 19 train, 4 valid, 4 test images, 28 x 28 pixels, colour",
        "  class            train    valid     test",
        "  a longer name        5        1        1",
        "  cat                 14        3        3",
    ]
    write(tmp_path, {f"class {number:02}": 10 + number // 10 for number in range(21)})
    assert data_lines.found(study.Plan(config(tmp_path), tmp_path)) == [
        "data set pets: 23 classes; 177 train, 46 valid, 26 test images, 28 x 28 pixels, colour",
        "  each class: 5 to 14 train, 1 to 3 valid, 1 to 3 test; from a longer name to class 20",
    ]
    some = study.Plan(config(tmp_path, classes=["cat", "class 00"]), tmp_path)
    assert data_lines.found(some)[0].startswith("data set pets: 2 classes (of 23); 21 train")
    assert len(data_lines.found(some)) == 4


def test_warnings_are_those_of_the_card_once_there_is_one(tmp_path):
    write(tmp_path, {"cat": 20, "dog": 20})
    (tmp_path / "data/pets/cat/1.heic").write_text("x")
    plan = study.Plan(config(tmp_path), tmp_path)
    passed = "warning: pets: Passed over: 1 file with the suffix .heic in class folders, such as pets/cat/1.heic."
    assert data_lines.warnings(plan, outdated.outdated(plan)) == data_lines.warnings(plan) == [passed]
    (tmp_path / "data/pets/cat/2.png").write_bytes((tmp_path / "data/pets/cat/1.png").read_bytes())
    card = prepared(tmp_path, plan)
    told = store.read_json(card)["warnings"]
    assert len(told) > 1
    assert any("pets/cat/1.png and pets/cat/2.png" in one or "pets/cat/2.png and pets/cat/1.png" in one for one in told)
    assert data_lines.warnings(plan, outdated.outdated(plan)) == [f"warning: pets: {one}" for one in told]
    # one that will be prepared again says only what is known of the new images
    assert data_lines.warnings(plan, {outdated.data_path(card.stem): outdated.OTHER}) == [passed]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_fails_the_smoke_test(tmp_path, monkeypatch, capsys, loss):
    write(tmp_path, {"cat": 20, "dog": 20})
    plan = study.Plan(config(tmp_path), tmp_path)
    monkeypatch.setattr(smoke, "_first_loss", lambda cell, stem: loss)
    assert smoke.run(plan) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("  fails   pets-")
    assert f"loss {loss} in its first step; see the data, the learning rate and the precision" in lines[0]


def test_the_command_fails_with_status_1_where_a_loss_is_not_finite(tmp_path):
    """By the command itself, with a learning rate that makes the penalty overflow."""
    write(tmp_path, {"cat": 20, "dog": 20})
    plan = study.Plan(config(tmp_path), tmp_path)
    card = prepared(tmp_path, plan)
    store.write_json(card, store.read_json(card) | {"std": [1.0, 1.0, 0.0]})  # as cards of older versions had it
    command = [sys.executable, str(ROOT / "scripts/plan.py"), "--smoke", "--config", json.dumps(config(tmp_path))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "  fails   pets-lenet1" in done.stdout
    assert "loss nan in its first step" in done.stdout
    assert "data set pets: 2 classes; 28 train, 6 valid, 6 test images" in done.stdout
    assert done.stderr == ""
