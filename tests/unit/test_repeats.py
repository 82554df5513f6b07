"""What a card says a user should look at: equal images, classes of unequal size, channels without variance."""

import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image

import prepare
from weight_atlas.datasets import facts, remarks, repeats
from weight_atlas.networks import inputs
from weight_atlas.settings import Input
from weight_atlas.store import load_arrays
from weight_atlas.training import data as training_data
from weight_atlas.vocabulary import SPLITS


def counted(images, labels, split):
    """The counts, pair by pair of images, without a digest."""
    pairs = [(i, j) for i, j in itertools.permutations(range(len(images)), 2) if np.array_equal(images[i], images[j])]
    part = [SPLITS[place] for place in split]
    return {
        "test_in_train": len({i for i, j in pairs if (part[i], part[j]) == ("test", "train")}),
        "valid_in_train": len({i for i, j in pairs if (part[i], part[j]) == ("valid", "train")}),
        "test_in_valid": len({i for i, j in pairs if (part[i], part[j]) == ("test", "valid")}),
        "two_classes": len({i for i, j in pairs if labels[i] != labels[j]}),
        "within": len({i for i, j in pairs if j < i and labels[i] == labels[j] and part[i] == part[j]}),
    }


@pytest.mark.parametrize("seed", range(20))
def test_equal_images_are_counted_as_by_hand(seed):
    draw = np.random.default_rng(seed)
    different = draw.integers(0, 256, (draw.integers(5, 60), 1, 2, 2), np.uint8)
    images = different[draw.integers(0, len(different), 40)]
    labels, split = draw.integers(0, 3, 40), draw.integers(0, 3, 40).astype(np.uint8)
    counts, sentences = repeats.find(images, labels, split, str)
    expected = counted(images, labels, split)
    assert counts == expected
    assert len(sentences) == sum(count > 0 for count in expected.values())
    for sentence in sentences:
        one, other = sentence.removesuffix(".").split(" such as ")[1].split(" and ")
        assert np.array_equal(images[int(one)], images[int(other)])
        assert one != other


def test_without_equal_images_nothing_is_said():
    images = np.arange(30, dtype=np.uint8).reshape(30, 1, 1, 1)
    counts, sentences = repeats.find(images, np.zeros(30, np.int64), np.zeros(30, np.uint8), str)
    assert set(counts.values()) == {0}
    assert sentences == []


# -------------------------------------------------------------------------------------------- from folders to cards


def spec(**keys):
    return {"source": "folder", "size": None, "seed": 0, "channels": None, "classes": None, "labels": "original"} | keys


def prepared(tmp_path, **keys):
    """The card of a folder below `data`, the path of its images, and what was printed."""
    stem = tmp_path / "set"
    paths = ["--output", f"{stem}.safetensors", "--card", f"{stem}.json", "--data-root", str(tmp_path / "data")]
    assert prepare.main(["dataset", "--spec", json.dumps(spec(**keys)), "--dataset-id", "set", *paths]) == 0
    return json.loads(stem.with_suffix(".json").read_text()), stem.with_suffix(".safetensors")


def noise(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)).save(path)


def test_a_test_set_of_training_images_is_told(tmp_path, capsys):
    """Half of the test images are training images, under other names and as another format without loss."""
    for label, name in enumerate("ab"):
        for number in range(6):
            noise(tmp_path / f"data/same/train/{name}/{number}.png", 10 * label + number)
            noise(tmp_path / f"data/same/valid/{name}/{number}.png", 100 + 10 * label + number)
            seed = 10 * label + number if number < 3 else 200 + 10 * label + number
            noise(tmp_path / f"data/same/test/{name}/{number}.{'png' if number % 2 else 'bmp'}", seed)
    card, _ = prepared(tmp_path, path="same")
    assert card["repeats"] == {
        "test_in_train": 6, "valid_in_train": 0, "test_in_valid": 0, "two_classes": 0, "within": 0
    }  # fmt: skip
    said = (
        "6 of 12 test images (50 %) are in train too, equal in every pixel, such as same/test/a/0.bmp and "
        "same/train/a/0.png."
    )
    assert card["warnings"] == [said]
    assert f"warning: set: {said}\n" in capsys.readouterr().out


def test_images_of_two_classes_and_copies_are_told(tmp_path):
    for name in "ab":
        for number in range(20):
            noise(tmp_path / f"data/twins/{name}/{number}.png", number)  # the same in both
    card, path = prepared(tmp_path, path="twins")
    arrays = load_arrays(path)
    assert card["repeats"] == counted(arrays["images"], arrays["labels"], arrays["split"])
    assert card["repeats"]["two_classes"] == 40
    assert any(one.startswith("40 of 40 images are in two classes, equal in every pixel") for one in card["warnings"])
    for name in "ab":
        for number in range(20):
            noise(tmp_path / f"data/copies/{name}/{number}.png", 50 * (name == "b") + number)
            noise(tmp_path / f"data/copies/{name}/{number} (1).png", 50 * (name == "b") + number)
    card, path = prepared(tmp_path, path="copies")
    arrays = load_arrays(path)
    assert card["repeats"] == counted(arrays["images"], arrays["labels"], arrays["split"])
    assert card["repeats"]["within"] > 0
    assert card["repeats"]["two_classes"] == 0


def test_images_of_a_source_without_files_have_a_place(tmp_path):
    card, path = prepared(tmp_path, source="digits")
    arrays = load_arrays(path)
    assert card["repeats"] == {key: 0 for key in card["repeats"]}
    assert len(np.unique(arrays["images"].reshape(len(arrays["images"]), -1), axis=0)) == len(arrays["images"])
    assert card["warnings"] == []


# ------------------------------------------------------------------------------------------------- unequal classes


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ([100, 100], False),
        ([299, 100], False),
        ([300, 100], True),
        ([300, 100, 100], True),
        ([299, 100, 100], False),
        ([0, 0, 10, 10], False),  # classes that are not used
        ([0, 30, 10, 10], True),
    ],
)
def test_one_class_far_larger_is_told(train, told):
    names = [str(label) for label in range(len(train))]
    said = remarks.imbalance(names, {"train": train, "valid": train, "test": [count // 10 for count in train]})
    assert bool(said) == told


def test_the_share_of_the_largest_class_is_known_before_an_image_is_read(tmp_path):
    for name, count in {"cat": 40, "dog": 10}.items():
        for number in range(count):
            noise(tmp_path / f"data/pets/{name}/{number:02}.png", 100 * len(name) * count + number)
    said = (
        "The class 'cat' has 28 of 35 training images (80 %). Always naming the largest class is right for 85.7 % of "
        "the test images."
    )
    assert facts(spec(path="pets"), tmp_path / "data")["warnings"] == [said]
    assert prepared(tmp_path, path="pets")[0]["warnings"] == [said]


# ----------------------------------------------------------------------------------------- channels without variance


def test_a_channel_without_variance_is_divided_by_one(tmp_path):
    draw = np.random.default_rng(0)
    for name in "ab":
        for number in range(20):
            image = draw.integers(0, 256, (9, 9, 3), np.uint8)
            image[..., 2] = 51
            path = tmp_path / f"data/cells/{name}/{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    card, path = prepared(tmp_path, path="cells")
    assert card["std"][2] == 1.0
    assert card["mean"][2] == pytest.approx(0.2)
    assert card["warnings"] == [
        "Channel 3 of 3: the same value in every pixel of the training images. It is divided by 1, since the standard "
        "deviation is 0."
    ]
    images = training_data.load(path, card, Input(3, 9), torch.device("cpu"))
    seen = images.batch(images.train.images).double()
    pixels = images.train.images.double() / 255
    for channel in range(2):
        mean, std = pixels[:, channel].mean(), pixels[:, channel].std(correction=0)
        torch.testing.assert_close(seen[:, channel], (pixels[:, channel] - mean) / std, rtol=0, atol=1e-6)
    assert seen[:, 2].abs().max() < 1e-6
    assert inputs.normalise(images.test.images, card["mean"], card["std"]).isfinite().all()
