"""Data sets of numpy's arrays: in .npz and in pairs of .npy, against the arrays themselves, whatever is in them."""

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import prepare
from tests.unit.test_datasets import TEST, TRAIN, idx_files, make, of, refused
from tests.unit.test_datasets import spec as idx_spec
from tests.unit.test_torchvision_datasets import COUNTS, food
from weight_atlas.datasets import array_file, facts
from weight_atlas.datasets.prepare import prepare_dataset
from weight_atlas.plan import checks
from weight_atlas.plan.jobs import Jobs
from weight_atlas.plan.spec import Npy
from weight_atlas.plan.study import Plan
from weight_atlas.vocabulary import SPLITS

DRAW = np.random.default_rng(3)
COMMON = {"size": None, "seed": 0, "channels": None, "classes": None, "labels": "original", "per_class": None}
MEDMNIST = {"train": ("train_images", "train_labels"), "valid": ("val_images", "val_labels")}
MEDMNIST |= {"test": ("test_images", "test_labels")}
KERAS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}


def spec(**keys):
    return {"source": "npz", "path": "a.npz", **COMMON, **keys}


def arrays(counts, *form, column=False, dtype=np.int64):
    """Images of this form, uint8, and labels with these numbers, in any order."""
    labels = DRAW.permutation(np.repeat(np.arange(len(counts)), counts)).astype(dtype)
    return DRAW.integers(0, 256, (len(labels), *form), np.uint8), labels[:, None] if column else labels


def written(path, layout, parts, save=np.savez_compressed):
    save(path, **{key: array for part, keys in layout.items() for key, array in zip(keys, parts[part], strict=True)})


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("form", [(9, 11), (9, 11, 1), (9, 11, 3)])
def test_medmnist_with_its_own_splits(tmp_path, save, form):
    parts = {part: arrays([3, 4, 5], *form, column=True, dtype=np.uint8) for part in SPLITS}
    written(tmp_path / "a.npz", MEDMNIST, parts, save)
    card, made = make(tmp_path, spec(names=["plain", "odd", "rare"]), tmp_path)
    assert (card["title"], card["classes"], card["size"]) == ("a", ["plain", "odd", "rare"], [9, 11])
    assert card["channels"] == (3 if form[2:] == (3,) else 1)
    for part, (images, labels) in parts.items():
        assert card["counts"][part] == np.bincount(labels.ravel()).tolist() == [3, 4, 5]
        for label in range(3):
            wanted = images[labels.ravel() == label].reshape(-1, 9, 11, card["channels"])
            np.testing.assert_array_equal(of(made, part, label).transpose(0, 2, 3, 1), wanted)
    train = parts["train"][0].reshape(-1, 9, 11, card["channels"]).astype(np.float64) / 255
    np.testing.assert_allclose(card["mean"], train.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(card["std"], train.std((0, 1, 2)), rtol=1e-12)
    assert card["notes"][0] == "Arrays of a.npz, images of 9 x 11 pixels: 12 of train, 12 of valid, 12 of test."


def test_keras_is_halved_and_resized(tmp_path):
    parts = {part: arrays(counts, 20, 30, 3) for part, counts in COUNTS.items()}
    written(tmp_path / "a.npz", KERAS, parts)
    card, made = make(tmp_path, spec(size=16), tmp_path)
    from torchvision.transforms import CenterCrop, Compose, Resize

    change = Compose([Resize(16), CenterCrop(16)])
    images, labels = parts["train"]
    for image, mine in zip(images[labels == 7], of(made, "train", 7), strict=True):
        np.testing.assert_array_equal(np.asarray(change(Image.fromarray(image))), mine.transpose(1, 2, 0))
    assert [sum(counts) for counts in zip(card["counts"]["valid"], card["counts"]["test"], strict=True)] == COUNTS[
        "test"
    ]
    assert any("halved" in note for note in card["notes"]) and any("resized" in note for note in card["notes"])


def test_training_images_alone_are_divided_and_grey_is_made_of_colour(tmp_path):
    images, labels = arrays([20, 30], 8, 12, 3)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels)
    card, made = make(tmp_path, spec(channels=1), tmp_path)
    assert card["counts"] == {"train": [14, 21], "valid": [3, 5], "test": [3, 4]} and card["size"] == [8, 12]
    luma = {np.asarray(Image.fromarray(image).convert("L")).tobytes() for image in images}
    assert {image.tobytes() for image in made.images} == luma


def test_pairs_of_npy_in_any_order_and_of_any_whole_type(tmp_path):
    parts = {"train": arrays([5, 6], 9, 9, dtype=np.float32), "test": arrays([4, 4], 9, 9, dtype=">i2", column=True)}
    for part, (images, labels) in parts.items():
        np.save(tmp_path / f"{part}-x.npy", np.asfortranarray(images) if part == "test" else images)
        np.save(tmp_path / f"{part}-y.npy", labels)
    wanted = {"source": "npy", **COMMON, "valid": None}
    wanted |= {part: {"images": f"{part}-x.npy", "labels": f"{part}-y.npy"} for part in parts}
    card, made = make(tmp_path, wanted, tmp_path)
    np.testing.assert_array_equal(of(made, "train", 1)[:, 0], parts["train"][0][parts["train"][1] == 1])
    mine = np.concatenate([of(made, "valid", 0), of(made, "test", 0)])[:, 0]
    theirs = parts["test"][0][parts["test"][1].ravel() == 0]
    assert sorted(image.tobytes() for image in mine) == sorted(image.tobytes() for image in theirs)
    assert card["title"] == "train-x"
    (tmp_path / "test-y.npy").unlink()
    with pytest.raises(ValueError, match="^dataset npy: .*test-y.npy not found .data_root is .*; set data_root to"):
        facts(wanted, tmp_path)


def test_other_content_is_another_fingerprint(tmp_path):
    images, labels = arrays([9, 9], 8, 8)
    prints = set()
    for change in (0, 1):
        images[0, 0, 0] ^= change
        np.savez(tmp_path / "a.npz", x_train=images, y_train=labels)
        prints.add(make(tmp_path, spec(), tmp_path)[0]["fingerprint"])
    assert len(prints) == 2


def test_little_is_in_memory_at_a_time(tmp_path):
    """Of 200 MB of images that are resized, less than a fifth."""
    import tracemalloc

    counts = [250, 250]
    labels = np.repeat(np.arange(2, dtype=np.uint8), counts)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("x_train.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "|u1", "fortran_order": False, "shape": (500, 640, 640)}
            )
            for number in range(500):
                member.write(bytes([number % 251]) * 640 * 640)
        content = io.BytesIO()
        np.save(content, labels)
        file.writestr("y_train.npy", content.getvalue())
    tracemalloc.start()
    try:
        card = prepare_dataset(spec(size=8), "a", tmp_path, tmp_path / "a.safetensors")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(map(sum, card["counts"].values())) == 500
    assert peak < 40e6


# ------------------------------------------------------------------------------------------------------- odd arrays


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def head(text, version=(1, 0)):
    """A .npy of this header."""
    content = text.encode()
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(content)) + content


class Trap:
    def __reduce__(self):
        return (open, ("/tmp/trapped-by-a-pickle", "w"))


X, Y = arrays([9, 9], 8, 8)
GOOD = {"x_train": npy(X), "y_train": npy(Y)}
SHAPE = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s)}"
ODD = {
    "no labels": ({"y_train": None}, "a.npz: has no y_train; it has x_train"),
    "no images": ({"x_train": None}, "a.npz: has no x_train; it has y_train"),
    "other keys": (
        {"x_train": None, "y_train": None, "a": npy(X)}, "has no train_images and train_labels or x_train and y_"
    ),
    "test labels alone": ({"y_test": npy(Y)}, "has no x_test; it has x_train, y_train, y_test"),
    "float images": ({"x_train": npy(X / 255)}, "x_train: is of float64; allowed is uint8, with values from 0 to 255"),
    "channels first": (
        {"x_train": npy(X[:, None].repeat(3, 1))}, "has the shape 18 x 3 x 8 x 8; allowed: images x height x width (x 1"
    ),
    "one image": ({"x_train": npy(X[0])}, "x_train: has the shape 8 x 8; allowed: images x height"),
    "no pixels": ({"x_train": npy(X[:, :0])}, "x_train: has the shape 18 x 0 x 8; allowed"),
    "more labels than images": ({"y_train": npy(np.tile(Y, 2))}, "y_train: has 36 labels, and "),
    "fewer labels than images": ({"y_train": npy(Y[:-1])}, "y_train: has 17 labels, and "),
    "one-hot labels": ({"y_train": npy(np.eye(2)[Y])}, "y_train: has the shape 18 x 2; allowed is one label per image"),
    "labels that are no whole numbers": ({"y_train": npy(Y + 0.5)}, "has the label "),
    "labels that are no numbers": ({"y_train": npy(np.where(Y > 0, np.nan, 0))}, "has the label nan; allowed are"),
    "labels as text": ({"y_train": npy(Y.astype(str))}, "y_train: is of <U21; allowed are whole numbers"),
    "negative labels": ({"y_train": npy(Y - 1)}, "has the label -1; allowed are 0 to 99,999"),
    "labels without a bound": ({"y_train": npy(Y * 10**9)}, "has the label 1000000000; allowed are 0 to 99,999"),
    "labels of a name too few": ({"y_train": npy(Y + 1)}, "has the label 2; allowed are 0 to 1 (of names:)"),
    "a class without images": ({"y_train": npy(Y * 2)}, "has the label 2; allowed are 0 to 1"),
    "test images of another size": (
        {"x_test": npy(X[:, :7]), "y_test": npy(Y)}, "x_test: has the shape 18 x 7 x 8, "
    ),
    "a pickle for images": ({"x_train": npy(np.array([Trap()] * 18))}, "x_train: holds Python objects, which"),
    "a pickle for labels": ({"y_train": npy(np.array([Trap()] * 18))}, "y_train: holds Python objects, which"),
    "a pickle": ({"x_train": pickle.dumps(Trap())}, "x_train: is no array of numpy ("),
    "cut": ({"x_train": npy(X)[:-9]}, "x_train: has 1,143 bytes, its header says 1,152; replace it"),
    "too long": ({"x_train": npy(X) + b"\0"}, "x_train: has 1,153 bytes, its header says 1,152; replace it"),
    "a header that says a lot": ({"x_train": head(SHAPE % "18, 99999999, 99999999")}, "bytes are more than the 68,"),
    "a negative header": ({"x_train": head(SHAPE % "-18, 8, 8")}, "has the shape -18 x 8 x 8, which is none"),
    "a header that runs": ({"x_train": head("__import__('os').getpid()")}, "x_train: is no array of numpy ("),
    "a long header": ({"x_train": head("(" * 20_000)}, "x_train: is no array of numpy ("),
    "a version of tomorrow": ({"x_train": head(SHAPE % "1, 1, 1", (9, 0))}, "is no array of numpy (version 9.0"),
    "nothing": ({"x_train": b""}, "x_train: is no array of numpy ("),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_arrays_are_one_line(tmp_path, name):
    changed, said = ODD[name]
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        for key, content in (GOOD | changed).items():
            if content is not None:
                file.writestr(f"{key}.npy", content)
    with pytest.raises(ValueError) as error:
        prepare_dataset(spec(names=["no", "yes"] if "0 to 1" in said else None), "a", tmp_path, tmp_path / "no")
    assert said in str(error.value) and str(error.value).isprintable() and "a.npz" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_what_is_no_npz_is_one_line(tmp_path, capsys):
    path = tmp_path / "a.npz"
    path.write_bytes(b"no zip")
    assert "a.npz: no readable .npz (File is not a zip file); replace it" in refused(tmp_path, capsys, spec(), tmp_path)
    np.savez_compressed(path, x_train=X, y_train=Y)
    content = bytearray(path.read_bytes())
    content[120:160] = bytes(40)
    path.write_bytes(content)
    text = refused(tmp_path, capsys, spec(), tmp_path)
    assert "a.npz" in text and ("cannot be read (" in text or "is no array of numpy (" in text)
    path.unlink()
    assert "set data_root to the folder that holds it" in refused(tmp_path, capsys, spec(), tmp_path)


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(array_file, "MOST_BYTES", 2**20)
    np.savez_compressed(tmp_path / "a.npz", x_train=np.zeros((200, 100, 100), np.uint8), y_train=np.zeros(200, int))
    with pytest.raises(ValueError, match="its 2,000,000 bytes are more than the 1,048,576 that are read"):
        facts(spec(), tmp_path)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=9))
    with pytest.raises(ValueError, match="x_train: unpacks to 1,280 bytes, .* has 9; set TMPDIR"):
        prepare_dataset(spec(), "a", tmp_path, tmp_path / "no")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "mine.train: is missing; the config must give it"),
        ({"train": {"images": "a.npy"}}, "mine.train.labels: is missing"),
        ({"train": {"images": "a.npy", "labels": "a.npy"}}, "mine: names 'a.npy' twice; give each path once"),
        ({"train": {"images": "../a.npy", "labels": "b.npy"}}, "'../a.npy' is not a path below data_root"),
        ({"train": {"images": "a.npy", "labels": "b.npy"}, "names": ["a", "a"]}, "mine.names: names 'a' twice"),
        (
            {"train": {"images": "a.npy", "labels": "b.npy"}, "names": ["a\nb", "c"]},
            "is no name; give one line",
        ),
    ],
)
def test_pairs_are_checked_with_the_config(keys, said):
    with pytest.raises(checks.ConfigError) as error:
        checks.check(Npy, {"source": "npy", **keys}, "mine")
    assert said in str(error.value)


def test_facts_of_arrays_read_no_image(tmp_path, monkeypatch):
    written(tmp_path / "a.npz", KERAS, {part: arrays(counts, 9, 9) for part, counts in COUNTS.items()})
    monkeypatch.setattr(array_file.ArrayFile, "mapped", None)
    assert json.loads(json.dumps(facts(spec(), tmp_path)))["counts"]["train"] == sum(COUNTS["train"])


def test_arrays_are_planned_and_links_out_of_data_root_refused(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    np.savez(root / "a.npz", x_train=X, y_train=Y)
    np.save(root / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    (root / "y.npy").symlink_to(tmp_path / "y.npy")
    config = {
        "name": "arrays",
        "data_root": str(root),
        "datasets": {
            "one": {"source": "npz", "path": "a.npz", "size": 28},
            "two": {"source": "npy", "train": {"images": "x.npy", "labels": "y.npy"}, "size": 28},
        },
        "networks": {"lenet5": {}},
        "optimizers": {"sgd": {"type": "sgd"}},
        "definitions": {
            "first": {
                "grid": {"dataset": ["one", "two"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]}
            }
        },
    }
    with pytest.raises(
        checks.ConfigError, match="^datasets.two.train.labels: 'y.npy' is a link that leads out of data"
    ):
        Plan(config, tmp_path)
    plan = Plan(config | {"outside_data_root": True}, tmp_path)
    assert {data.dataset_id.rsplit("-", 1)[0] for data in plan.datasets.values()} == {"a", "x"}
    [one, two] = plan.datasets
    jobs = Jobs(plan, "scripts")
    assert jobs.dataset_memory(SimpleNamespace(dataset=one)) == 4000
    plan.datasets[two].facts["counts"]["train"] = 10_000_000  # 28 x 28 values each
    assert jobs.dataset_memory(SimpleNamespace(dataset=two)) == 1500 + 3 * 7840
    plan.datasets[two].facts["counts"]["train"] = 12
    assert all(data.facts["counts"] == {"train": 12, "valid": 4, "test": 2} for data in plan.datasets.values())


def test_the_same_images_are_the_same_data_set_whatever_holds_them(tmp_path):
    """MNIST's files, an npz, pairs of npy and a table of PNGs give the same tensors, split and order."""
    made = idx_files(tmp_path / "MNIST/raw", TRAIN, TEST)
    written(tmp_path / "a.npz", KERAS, made)
    pairs, rows = {}, ["path,label,split"]
    for part, (images, labels) in made.items():
        np.save(tmp_path / f"{part}-x.npy", images)
        np.save(tmp_path / f"{part}-y.npy", labels)
        pairs[part] = {"images": f"{part}-x.npy", "labels": f"{part}-y.npy"}
        for at, (image, label) in enumerate(zip(images, labels, strict=True)):
            (tmp_path / "scans").mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / f"scans/{part}{at:05d}.png")
            rows.append(f"scans/{part}{at:05d}.png,{label},{part}")
    (tmp_path / "mnist.csv").write_text("\n".join(rows))
    every = [
        idx_spec("torchvision"),
        spec(),
        {"source": "npy", **COMMON, **pairs},
        {"source": "csv", **COMMON, "path": "mnist.csv"},
    ]
    cards = [make(tmp_path, wanted, tmp_path, wanted["source"])[0] for wanted in every]
    for key in ("sha256", "counts", "classes", "mean", "std", "repeats", "channels", "size"):
        assert all(card[key] == cards[0][key] for card in cards), key


def test_facts_import_neither_torch_nor_pandas(tmp_path, monkeypatch):
    written(tmp_path / "a.npz", KERAS, {part: arrays(counts, 9, 9) for part, counts in COUNTS.items()})
    food(tmp_path, monkeypatch)
    rows = [f"food-101/images/waffles/{at}.jpg,{at % 2}\n" for at in range(10)]
    (tmp_path / "birds.csv").write_text("path,label\n" + "".join(rows))
    every = [
        spec(),
        {"source": "csv", **COMMON, "path": "birds.csv", "size": 16},
        idx_spec("torchvision", dataset="Food101", size=16),
        idx_spec("torchvision", dataset="SVHN", download=True),
        idx_spec("torchvision", dataset="EMNIST", options={"split": "letters"}, download=True),
    ]
    code = (
        "import json, sys\nfrom weight_atlas.datasets import facts, files\n"
        "for spec in json.loads(sys.argv[1]): facts(spec, sys.argv[2]), files(spec, sys.argv[2])\n"
        "sys.exit(bool({'torch', 'torchvision', 'sklearn', 'pandas', 'scipy', 'urllib.request'} & set(sys.modules)))"
    )
    scripts = Path(prepare.__file__).parent
    subprocess.run([sys.executable, "-c", code, json.dumps(every), str(tmp_path)], cwd=scripts, check=True)
