"""Images that are replaced, and classes that are added, once everything is trained."""

import os

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Workflow
from weight_atlas import store
from weight_atlas.datasets.card import Card


@pytest.fixture
def pets(tmp_path) -> Workflow:
    """The workflow on a folder of images, with one cell that is trained."""
    config = {
        "name": "tiny",
        "data_root": "images",
        "replicates": 1,
        "device": "cpu",
        "datasets": {"pets": {"source": "folder", "path": "pets"}},
        "networks": {"lenet1": {}},
        "optimizers": {"sgd": {"type": "sgd"}},
        "training": {"epochs": 1, "batch_size": 8},
        "definitions": {
            "first": {"grid": {"dataset": ["pets"], "network": ["lenet1"], "init": ["default"], "optimizer": ["sgd"]}}
        },
    }
    workflow = Workflow(tmp_path, config)
    for name in "ab":
        put(workflow, name)
    workflow.run("--until", "train")
    return workflow


def put(workflow: Workflow, name: str, darker: int = 1) -> None:
    """Ten images of noise in a class folder."""
    folder = workflow.root / "images/pets" / name
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(10):
        pixels = np.random.default_rng([ord(name), number]).integers(0, 256, (28, 28, 3), np.uint8) // darker
        Image.fromarray(pixels).save(folder / f"{number}.png")


def card(workflow: Workflow) -> Card:
    (path,) = (workflow.root / "data").glob("*.json")
    read: Card = store.read_json(path)
    return read


def run_json(workflow: Workflow) -> dict:
    (path,) = (workflow.root / "results/cells").glob("*/*/run.json")
    return store.read_json(path)


def test_what_was_trained_follows_the_images(pets):
    trained, before = run_json(pets), card(pets)
    for path in (pets.root / "images").rglob("*.png"):
        os.utime(path, (1, 1))
    assert pets.jobs("--until", "train") == set(), "the content is the same"

    put(pets, "a", darker=5)
    said = pets.run("--until", "train").stdout
    assert "warning: pets: its images have changed; it is prepared again" in said
    again, after = run_json(pets), card(pets)
    assert before["sha256"] != after["sha256"] == again["replicates"][0]["recipe"]["data"]
    assert trained["replicates"][0]["sha256"] != again["replicates"][0]["sha256"]
    assert pets.jobs("--until", "train") == set()

    put(pets, "c")
    pets.run("--until", "measure")
    assert card(pets)["classes"] == ["a", "b", "c"]
    assert run_json(pets)["cell"]["classes"] == 3 and run_json(pets)["replicates"][0]["status"] == "done"
    assert pets.jobs("--until", "train") == set()
