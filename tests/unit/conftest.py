"""What several files of tests share."""

import numpy as np
import pytest

from weight_atlas import store


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A prepared data set of 120 easy pictures: the class is the quadrant that is bright."""
    folder = tmp_path_factory.mktemp("toy")
    draw = np.random.default_rng(0)
    labels = np.arange(120) % 4
    images = draw.integers(0, 90, (120, 1, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, 14 * (label // 2) :, 14 * (label % 2) :][:14, :14] += 120
    split = np.repeat([0, 1, 2], [80, 20, 20]).astype(np.uint8)
    store.save_tensors(folder / "toy.safetensors", {"images": images, "labels": labels, "split": split})
    pixels = images[split == 0] / 255
    card = {"dataset_id": "toy", "mean": [float(pixels.mean())], "std": [float(pixels.std())]}
    store.write_json(folder / "toy.json", card)
    return folder


@pytest.fixture(scope="module")
def parent(toy, tmp_path_factory):
    """A trained replicate: a small ResNet18 with biases of BatchNorm, running statistics and an optimizer's state."""
    from tests.unit.test_training import settings, train

    out = tmp_path_factory.mktemp("parent")
    cell = settings("resnet18", width=0.0625)
    cell["training"]["keep_optimizer"] = True
    train(toy, out, cell)
    return out
