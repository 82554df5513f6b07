"""How images lie in folders: what is recognised as classes and splits, and what is refused, for many layouts."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

import prepare
from weight_atlas.datasets import facts, split
from weight_atlas.datasets.layout import arrange, split_of


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("train", ("train", ())),
        ("Training", ("train", ())),
        ("TEST", ("test", ())),
        ("testing", ("test", ())),
        ("Validation", ("valid", ())),
        ("dev", ("valid", ())),
        ("train_images", ("train", ())),
        ("imagesTest", ("test", ())),
        ("trainset", ("train", ())),
        ("test-set", ("test", ())),
        ("train2017", ("train", ())),
        ("seg_train", ("train", ("seg",))),
        ("flowers.val", ("valid", ("flowers",))),
        ("steam_train", ("train", ("steam",))),
        ("latest", None),
        ("strain", None),
        ("train_test", None),
        ("2017", None),
        ("", None),
    ],
)
def test_names_that_read_as_splits(name, meant):
    assert split_of(name) == meant


def two(*folders):
    """Two classes with one image each in every folder."""
    return [f"{folder}/{name}/1.png" for folder in folders for name in ("cat", "dog")]


def both(splits):
    """{split: the two classes with an image each}."""
    return {part: {"cat": 1, "dog": 1} for part in splits}


THREE = both(["train", "valid", "test"])
HALVES = both(["train", "test"])
ALL = both(["all"])
INNER = ["cat/train/1.png", "cat/test/1.png", "dog/train/1.png", "dog/test/1.png"]

# name: (images, part, what is found: {part: {class: images}})
CLEAR = {
    "classes alone": (["cat/1.png", "dog/1.png"], None, ALL),
    "one folder above": (["pets/cat/1.png", "pets/dog/1.png"], None, ALL),
    "three folders above": (["a/b/c/cat/1.png", "a/b/c/dog/1.png"], None, ALL),
    "splits": (two("train", "valid", "test"), None, THREE),
    "splits of other names": (two("training", "validation", "testing"), None, THREE),
    "capitals": (two("Training", "Test"), None, HALVES),
    "one word in common": (two("seg_train/seg_train", "seg_test/seg_test"), None, HALVES),
    "what they hold": (two("train_images", "test_images"), None, HALVES),
    "one with a word more": (two("train", "test_set"), None, HALVES),
    "years": (two("train2017", "val2017"), None, both(["train", "valid"])),
    "folders above and below": (two("data/images/Train/all", "data/images/Test/all"), None, HALVES),
    "splits in classes": (INNER, None, HALVES),
    "other names in classes": (
        [f"pets/{name}/{part}/1.png" for name in ("cat", "dog") for part in ("Training", "val", "Testing")],
        None,
        THREE,
    ),
    "train alone": (two("train"), None, both(["train"])),
    "folders within classes": (["cat/a/1.png", "cat/b/1.png", "dog/1.png"], None, {"all": {"cat": 2, "dog": 1}}),
    "a vehicle": (["bus/1.png", "car/1.png", "train/1.png"], None, {"all": {"bus": 1, "car": 1, "train": 1}}),
    "a medical test": (["control/1.png", "test/1.png"], None, {"all": {"control": 1, "test": 1}}),
    "kinds of trains": (["a_train/1.png", "b_train/1.png"], None, {"all": {"a_train": 1, "b_train": 1}}),
    "train and tube": (["steam_train/1.png", "test_tube/1.png"], None, {"all": {"steam_train": 1, "test_tube": 1}}),
    "one split, listed": (["cat/1.png", "dog/1.png"], "test", ALL),
    "its part of two": (two("train", "test"), "test", both(["test"])),
    "its part in classes": (INNER, "train", both(["train"])),
    "one folder of any split": (two("train"), "valid", both(["train"])),
    "one kind of folder in classes": (["cat/train/1.png", "dog/train/2.png"], None, ALL),
}  # fmt: skip

# name: (images, part, what the line says)
REFUSED = {
    "splits beside another": (
        [*two("seg_train/seg_train", "seg_test/seg_test"), "seg_pred/1.png"],
        None,
        "X: seg_train and seg_test read as splits, but seg_pred lies beside; name the splits with "
        "train: [.../seg_train] and test: [.../seg_test]",
    ),
    "a split beside two": ([*two("train"), *two("other"), *two("extra")], None, "but extra and other lie beside"),
    "evaluation": (two("training", "validation", "evaluation"), None, "but evaluation lies beside"),
    "twice the same split": (two("valid", "val", "train"), None, "val and valid both mean the split valid"),
    "a test without classes": (
        [*two("train"), "test/1.png"],
        None,
        "X: test holds images but no class folders; put those of each class in a folder",
    ),
    "splits without classes": (["train/1.png", "test/1.png"], None, "train holds images but no class folders"),
    "splits in some classes": (
        ["cat/train/1.png", "cat/test/1.png", "dog/1.png"],
        None,
        "cat holds train and test, which read as splits, but dog/1.png lies outside of such folders",
    ),
    "splits and more in a class": (
        ["cat/train/1.png", "cat/test/1.png", "cat/old/1.png", "dog/train/1.png", "dog/test/1.png"],
        None,
        "but cat/old/1.png lies outside",
    ),
    "splits above classes, below two": (
        [*two("images/train", "images/test"), "masks/1.png"],
        None,
        "images holds train and test, which read as splits",
    ),
    "not its part": (two("train", "valid"), "test", "X: is listed for test but has no folder for it; correct test:"),
}


@pytest.mark.parametrize("name", CLEAR)
def test_clear_layouts_are_recognised(name):
    images, part, expected = CLEAR[name]
    layout = arrange("X", images, above(images), part)
    found = {part: {one: len(entries) for one, entries in classes.items()} for part, classes in layout.parts.items()}
    assert found == expected
    assert not layout.loose
    if part is None:
        assert sorted(
            full for one in layout.parts.values() for entries in one.values() for _, full in entries
        ) == sorted(images)


@pytest.mark.parametrize("name", REFUSED)
def test_layouts_that_can_be_read_in_two_ways_are_one_line(name):
    images, part, said = REFUSED[name]
    with pytest.raises(ValueError, match=".") as error:
        arrange("X", images, above(images), part)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def above(images):
    """The folders of these images."""
    return {tuple(name.split("/")[:level]) for name in images for level in range(1, name.count("/") + 1)}


def test_what_was_understood_is_said():
    def notes(*images):
        return arrange("X", images, above(images)).notes

    assert notes(*two("train", "valid", "test")) == []
    assert notes(*two("Training", "test")) == ["The folder Training was taken for the split train."]
    assert notes("car/1.png", "train/1.png") == ["The folder train was taken for a class: images lie directly in it."]
    inner = notes(*INNER)
    assert inner == ["In each class train and test were taken for the splits of these names."]


def test_a_class_without_images_stays_a_class():
    layout = arrange("X", ["cat/1.png", "dog/1.png"], {("cat",), ("dog",), ("emu",)})
    assert layout.parts == {"all": {"cat": [("1.png", "cat/1.png")], "dog": [("1.png", "dog/1.png")], "emu": []}}


# --------------------------------------------------------------------------------------------- from folders to facts


def spec(**keys):
    return {"source": "folder", "size": 8, "seed": 0, "channels": 3, "classes": None, "labels": "original"} | keys


def write(root, *names):
    """Images of noise, each different from the others."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)).save(path)


def many(*folders, count=8):
    return [f"{folder}/{number}.png" for folder in folders for number in range(count)]


def line(wanted, root):
    with pytest.raises(ValueError, match=".") as error:
        facts(wanted, root)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_test_set_without_class_folders_is_refused(tmp_path):
    write(tmp_path, *many("a/cat", "a/dog", "b"))
    said = line(spec(train=["a"], test=["b"]), tmp_path)
    assert said.startswith(f"{tmp_path}/b: no images found in class directories; put those of each class in a folder")


def test_what_is_passed_over_is_said(tmp_path):
    write(tmp_path, *many("pets/cat", "pets/dog"), "pets/loose.png")
    for name in ("cat/1.heic", "cat/2.HEIC", "dog/a.txt", "dog/noname", "dog/Thumbs.db", "dog/.hidden", "README.md"):
        (tmp_path / "pets" / name).write_text("x")
    expected = [
        "Passed over: 1 image in no class folder, such as pets/loose.png.",
        "Passed over: 2 files with the suffix .heic in class folders, such as pets/cat/1.heic.",
        "Passed over: 1 file without a suffix in class folders, such as pets/dog/noname.",
        "Passed over: 1 file with the suffix .txt in class folders, such as pets/dog/a.txt.",
    ]
    assert facts(spec(path="pets"), tmp_path)["warnings"] == expected
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as file:
        for path in sorted((tmp_path / "pets").rglob("*")):
            file.write(path, path.relative_to(tmp_path))
    said = facts(spec(path="pets.zip"), tmp_path)["warnings"]
    assert [one.split(", such as")[0] for one in said] == [one.split(", such as")[0] for one in expected]
    assert said[0].endswith("such as pets.zip: pets/loose.png.")


def test_files_of_other_suffixes_alone_are_named(tmp_path):
    (tmp_path / "pets/cat").mkdir(parents=True)
    (tmp_path / "pets/cat/1.heic").write_text("x")
    assert "no images found in class directories (found: 1 .heic)" in line(spec(path="pets"), tmp_path)


def test_a_path_named_twice_is_refused(tmp_path):
    write(tmp_path, *many("one/cat", "one/dog", "two/cat", "two/dog"))
    (tmp_path / "link").symlink_to("one")
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as file:
        for path in sorted((tmp_path / "one").rglob("*.png")):
            file.write(path, path.relative_to(tmp_path / "one"))
    image = f"{tmp_path}/one/cat/0.png"
    cases = [
        ({"train": ["one"], "test": ["one"]}, f"{image}: is in train and test, since two paths lead to it"),
        ({"train": ["one", "one"], "test": ["two"]}, f"{image}: is in train twice, since two paths lead to it"),
        ({"train": ["one", "one/../one"], "test": ["two"]}, "is in train twice"),
        ({"train": ["one"], "test": ["link"]}, f"{tmp_path}/link/cat/0.png: is in train and test"),
        ({"train": ["one.zip"], "test": ["one.zip"]}, f"{tmp_path}/one.zip: cat/0.png: is in train and test"),
    ]
    for keys, said in cases:
        assert said in line(spec(**keys), tmp_path)
    assert facts(spec(train=["one"], test=["two"]), tmp_path)["counts"]["train"] == 16


def test_one_class_alone_is_refused(tmp_path, capsys):
    write(tmp_path, *many("pets/cat"))
    said = line(spec(path="pets"), tmp_path)
    assert (
        said
        == "class 'cat' is the only one, and there is nothing to tell apart; put images of others in folders beside it"
    )
    command = ["dataset", "--spec", json.dumps(spec(path="pets")), "--dataset-id", "x", "--data-root", str(tmp_path)]
    assert (
        prepare.main([*command, "--output", str(tmp_path / "x.safetensors"), "--card", str(tmp_path / "x.json")]) == 1
    )
    assert capsys.readouterr().err == f"prepare: {said}\n"


# ------------------------------------------------------------------------------------------------- numbers of classes

TWELVE = sorted(map(str, range(12)))  # "0", "1", "10", "11", "2", ..
MIXED = ["2", "cat", "dog", "emu"]


@pytest.mark.parametrize(
    ("classes", "asked", "chosen"),
    [
        (TWELVE, [2, 3], ["2", "3"]),
        (TWELVE, ["2", 11], ["11", "2"]),
        ([f"{number:03}" for number in range(1, 6)], [1, 5], ["001", "005"]),
        (["cat", "dog", "emu"], [0, 2], ["cat", "emu"]),
        (MIXED, [0, "2"], "twice"),
        (MIXED, [2], "2 may mean '2' (label 0) and 'dog' (label 2); write the name in quotes"),
        (MIXED, ["2", 3], ["2", "emu"]),
        (TWELVE, [12], "12 is no class of this data set; allowed are the names 0, 1, 10, 11, 2"),
        (["1", "2", "3"], [0], "0 is no class"),
        (["01", "1", "2"], [1], "1 may mean '01' (label 0) and '1' (label 1); write the name in quotes"),
        (["01", "1", "2"], ["1"], ["1"]),
        (["cat", "dog"], [2], "2 is no class of this data set; allowed are 0 to 1 and the names cat, dog"),
        (["cat", "dog"], ["dgo"], "did you mean 'dog'?"),
        (["0", "1", "²"], [2], ["²"]),
    ],
)
@pytest.mark.parametrize("key", ["classes", "without"])
def test_numbers_are_the_names_that_read_so(classes, asked, chosen, key):
    if isinstance(chosen, str):
        with pytest.raises(ValueError, match=".") as error:
            split.select_labels({key: asked}, classes)
        assert str(error.value).startswith(f"{key}: ")
        assert chosen in str(error.value)
        return
    names = [classes[label] for label in split.select_labels({key: asked}, classes)]
    assert names == (chosen if key == "classes" else [name for name in classes if name not in chosen])
