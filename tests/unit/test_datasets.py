"""Data sets and weights: against pictures made here, scikit-learn's scans, torchvision's transforms, float64 sums."""

import hashlib
import io
import json
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image
from sklearn.datasets import load_digits

import prepare
from weight_atlas.datasets import digits, facts, known, pixels, resize, split
from weight_atlas.datasets import files as source_files
from weight_atlas.datasets.image import decode
from weight_atlas.datasets.prepare import mean_std
from weight_atlas.plan import recipe
from weight_atlas.store import load_arrays, load_tensors, save_tensors, tensor_header
from weight_atlas.vocabulary import SPLITS

COMMON = {"size": None, "seed": 0, "channels": None, "classes": None, "labels": "original", "per_class": None}


def spec(source, **keys):
    own = {
        "digits": {},
        "torchvision": {"dataset": "MNIST", "download": False, "archive": None},
        "folder": {"path": None, "train": [], "valid": [], "test": []},
    }
    return {"source": source, **own[source], **COMMON, **keys}


def make(tmp_path, wanted, data_root=None, name="set"):
    """Run the command; return the card and the arrays, after checking that the facts said the same."""
    output, card = tmp_path / f"{name}.safetensors", tmp_path / f"{name}.json"
    paths = ["--output", str(output), "--card", str(card)]
    root = ["--data-root", str(data_root)] if data_root else []
    assert prepare.main(["dataset", "--spec", json.dumps(wanted), "--dataset-id", name, *root, *paths]) == 0
    card, arrays = json.loads(card.read_text()), load_arrays(output)
    known = facts(wanted, data_root)
    assert known == {
        "classes": card["classes"],
        "channels": card["channels"],
        "size": card["size"],
        "counts": {part: sum(counts) for part, counts in card["counts"].items()},
        "per_class": card["counts"],
        "warnings": card["warnings"][: len(known["warnings"])],
    }
    images, labels, parts = arrays["images"], arrays["labels"], arrays["split"]
    assert (images.dtype, labels.dtype, parts.dtype) == (np.uint8, np.int64, np.uint8)
    assert images.shape == (len(labels), card["channels"], *card["size"])
    for number, part in enumerate(SPLITS):
        assert np.bincount(labels[parts == number], minlength=len(card["classes"])).tolist() == card["counts"][part]
    assert card["sha256"] == hashlib.sha256(images.tobytes() + labels.tobytes() + parts.tobytes()).hexdigest()
    return card, SimpleNamespace(images=images, labels=labels, split=parts)


def refused(tmp_path, capsys, wanted, data_root=None):
    """Run the command; return its one line, after checking that it fails without a traceback and without files."""
    output, card = tmp_path / "no.safetensors", tmp_path / "no.json"
    root = ["--data-root", str(data_root)] if data_root else []
    capsys.readouterr()
    paths = ["--output", str(output), "--card", str(card)]
    assert prepare.main(["dataset", "--spec", json.dumps(wanted), "--dataset-id", "no", *root, *paths]) == 1
    text = capsys.readouterr().err
    assert text.startswith("prepare: ")
    assert text.count("\n") == 1
    assert not output.exists()
    assert not card.exists()
    return text


def of(arrays, part, label):
    """The pictures of one class in one split, in their order."""
    return arrays.images[(arrays.split == SPLITS.index(part)) & (arrays.labels == label)]


def as_set(images):
    return {image.tobytes() for image in images}


# ---------------------------------------------------------------------------------------------------------- digits


def test_digits_hold_every_scan_once(tmp_path):
    card, arrays = make(tmp_path, spec("digits"))
    scans, targets = load_digits(return_X_y=True)
    assert len(arrays.images) == 1797
    assert np.bincount(targets).tolist() == digits.COUNTS
    for digit in range(10):
        mine = sorted(image.tobytes() for image in arrays.images[arrays.labels == digit])
        # x 255 / 16, rounded to the nearest, in whole numbers
        theirs = (scans[targets == digit].astype(int) * 255 * 2 + 16) // 32
        assert mine == sorted(scan.astype(np.uint8).tobytes() for scan in theirs)
    assert card["counts"]["train"][0] == 124  # 178 scans: 124.6, 26.7, 26.7
    assert card["counts"]["valid"][0] == card["counts"]["test"][0] == 27
    for digit, count in enumerate(digits.COUNTS):
        for part, share in split.FRACTIONS.items():
            assert abs(card["counts"][part][digit] - share * count) < 1


def triangle(small, large):
    """The matrix of linear interpolation from `small` to `large` samples, centres aligned, edges renormalised."""
    centres = (np.arange(large)[:, None] + 0.5) * small / large - 0.5
    matrix = np.clip(1 - np.abs(centres - np.arange(small)), 0, None)
    return matrix / matrix.sum(1, keepdims=True)


def test_digits_are_enlarged_by_linear_interpolation(tmp_path):
    _, native = make(tmp_path, spec("digits"), name="native")
    _, large = make(tmp_path, spec("digits", size=28), name="large")
    matrix = triangle(8, 28)
    expected = matrix @ native.images[:, 0].astype(float) @ matrix.T
    # along rows, then along columns, each rounded to whole grey levels: off by 1/2 + 1/2 at most
    assert np.abs(large.images[:, 0] - expected).max() < 1.01
    np.testing.assert_array_equal(large.labels, native.labels)


def test_mean_and_std_are_those_of_float64(tmp_path):
    card, arrays = make(tmp_path, spec("digits", channels=3))
    train = arrays.images[arrays.split == 0].astype(np.float64) / 255
    np.testing.assert_allclose(card["mean"], train.mean((0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(card["std"], train.std((0, 2, 3)), rtol=1e-13)
    noise = np.random.default_rng(0).integers(0, 256, (2500, 3, 5, 4), np.uint8)
    noise[:, 2] = 7
    mean, std = mean_std(noise, chunk=999)
    np.testing.assert_allclose(mean, (noise / 255).mean((0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(std[:2], (noise / 255).std((0, 2, 3))[:2], rtol=1e-13)
    assert std[2] == 0


def test_the_same_spec_gives_the_same_bytes_and_another_seed_another_split(tmp_path):
    wanted = spec("digits", size=16, per_class={"train": 20, "valid": None, "test": 9})
    _, first = make(tmp_path, wanted, name="set")
    bytes_of = [(tmp_path / f"set.{suffix}").read_bytes() for suffix in ("safetensors", "json")]
    make(tmp_path, wanted, name="set")
    assert bytes_of == [(tmp_path / f"set.{suffix}").read_bytes() for suffix in ("safetensors", "json")]
    _, other = make(tmp_path, wanted | {"seed": 1}, name="other")
    assert as_set(of(first, "test", 3)) != as_set(of(other, "test", 3))


# ------------------------------------------------------------------------------------------- classes, caps and splits


def test_a_class_subset_leaves_the_draws_of_its_classes_alone(tmp_path):
    caps = {"train": 30, "valid": 10, "test": None}
    card, every = make(tmp_path, spec("digits", per_class=caps), name="every")
    assert card["counts"]["train"] == [30] * 10
    assert card["counts"]["valid"] == [10] * 10
    card, some = make(tmp_path, spec("digits", per_class=caps, classes=[7, "2"]), name="some")
    assert card["classes"] == [str(digit) for digit in range(10)]
    assert card["counts"]["train"] == [0, 0, 30, 0, 0, 0, 0, 30, 0, 0]
    compact, renumbered = make(
        tmp_path, spec("digits", per_class=caps, classes=[7, 2], labels="compact"), name="compact"
    )
    assert compact["classes"] == ["2", "7"]
    assert set(renumbered.labels) == {0, 1}
    np.testing.assert_array_equal(some.images, renumbered.images)
    for part in SPLITS:
        for number, label in enumerate((2, 7)):
            np.testing.assert_array_equal(of(every, part, label), of(some, part, label))
            np.testing.assert_array_equal(of(every, part, label), of(renumbered, part, number))


def test_a_smaller_cap_keeps_a_subset_and_touches_no_other_split(tmp_path):
    _, full = make(tmp_path, spec("digits"), name="full")
    caps = {"train": 40, "valid": None, "test": None}
    _, forty = make(tmp_path, spec("digits", per_class=caps), name="forty")
    _, ten = make(tmp_path, spec("digits", per_class=caps | {"train": 10}), name="ten")
    for digit in range(10):
        assert as_set(of(ten, "train", digit)) < as_set(of(forty, "train", digit)) < as_set(of(full, "train", digit))
        np.testing.assert_array_equal(of(ten, "test", digit), of(full, "test", digit))
        np.testing.assert_array_equal(of(ten, "valid", digit), of(full, "valid", digit))


def test_numbers_of_a_long_tail(tmp_path):
    """Against the closed form, with the images of a smaller imbalance and of no other split touched."""
    cap = {"per_class": {"train": 100, "valid": None, "test": None}}
    _, whole = make(tmp_path, spec("digits", **cap), name="whole")
    kept = {}
    for ratio in (4, 100):
        card, kept[ratio] = make(tmp_path, spec("digits", imbalance=ratio, **cap), name=f"r{ratio}")
        assert card["counts"]["train"] == [int(100 * ratio ** (-k / 9) + 1e-9) for k in range(10)]
        assert f"to 1/{ratio} of it in the last" in " ".join(card["notes"])
        for part in ("valid", "test"):
            assert np.array_equal(of(kept[ratio], part, 3), of(whole, part, 3))
    for label in range(10):
        assert (
            as_set(of(kept[100], "train", label))
            <= as_set(of(kept[4], "train", label))
            <= as_set(of(whole, "train", label))
        )


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_noisy_labels_are_spread_evenly_over_the_other_classes(tmp_path, share):
    _, clean = make(tmp_path, spec("digits"), name="clean")
    card, noisy = make(tmp_path, spec("digits", label_noise=share), name="noisy")
    _, less = make(tmp_path, spec("digits", label_noise=share / 2), name="less")
    train = clean.split == 0
    changed = noisy.labels != clean.labels
    assert changed[train].sum() == round(share * train.sum()) and not changed[~train].any()
    assert np.array_equal(noisy.images, clean.images)
    step = (noisy.labels - clean.labels)[changed] % 10
    assert scipy.stats.chisquare(np.bincount(step, minlength=10)[1:]).pvalue > 1e-3
    halved = less.labels != clean.labels
    assert (changed | ~halved).all(), "a smaller share is part of a larger one"
    assert f"Label noise: {int(changed.sum()):,} of {int(train.sum()):,} training images" in " ".join(card["notes"])


def test_noise_stays_within_the_classes_that_are_kept(tmp_path):
    for numbering in ("original", "compact"):
        wanted = spec("digits", classes=[2, 5, 7], labels=numbering, label_noise=0.5)
        _, found = make(tmp_path, wanted, name=numbering)
        assert set(found.labels) == ({2, 5, 7} if numbering == "original" else {0, 1, 2})


def test_every_class_and_seed_has_draws_of_its_own():
    def kept(seed):
        wanted = spec("folder", seed=seed, per_class={"train": 9, "valid": 9, "test": 9})
        picks = split.choose(wanted, ["cat", "dog"], {part: [50, 50] for part in SPLITS})
        return [tuple(positions) for part in SPLITS for _, positions in picks[part].values()]

    draws = kept(0) + kept(1)
    assert kept(0) == draws[:6]
    assert len(set(draws)) == 12
    assert all(list(draw) == sorted(set(draw)) and len(draw) == 9 for draw in draws)


def test_shares_are_whole_and_sum_up():
    def shares(count, *fractions):
        return split.apportion(count, dict(zip(SPLITS, map(split.Fraction, fractions), strict=True)))

    assert shares(180, "0.7", "0.15", "0.15") == [126, 27, 27]
    assert shares(10, "0.7", "0.15", "0.15") == [7, 2, 1]  # 7, 1.5, 1.5: the first of equals
    assert shares(3, "0.7", "0.15", "0.15") == [2, 1, 0]
    assert shares(7, "1/3", "1/3", "1/3") == [3, 2, 2]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"classes": ["11"]}, "'11' is no class of this data set; allowed are the names 0, 1, 2, 3"),
        ({"classes": [10]}, "10 is no class"),
        ({"classes": [3, "3"]}, "'3' (label 3) is listed twice"),
        ({"classes": []}, "the list is empty"),
        ({"per_class": {"train": 5, "valid": 0, "test": 5}}, "per_class: valid is 0, which leaves nothing"),
        ({"split": {"train": 0.8, "valid": 0.3, "test": 0.1}}, "that sum to 1"),
        ({"split": {"train": 0.8, "valid": 0, "test": 0.2}}, "above 0"),
        ({"split": {"train": 0.998, "valid": 0.001, "test": 0.001}}, "too few for a share in"),
    ],
)
def test_impossible_wishes_are_one_line(tmp_path, capsys, keys, said):
    wanted = spec("digits", **keys)
    assert said in refused(tmp_path, capsys, wanted)
    with pytest.raises(ValueError, match="^.*$"):
        facts(wanted, None)


def test_own_fractions(tmp_path):
    card, _ = make(tmp_path, spec("digits", split={"train": 0.5, "valid": 0.25, "test": 0.25}))
    assert card["counts"]["train"][0] == 89
    assert sum(card["counts"]["valid"]) in range(445, 455)
    assert any("50 % train, 25 % valid, 25 % test" in note for note in card["notes"])


# ----------------------------------------------------------------------------------------------------- torchvision


def idx_files(folder, train, test, seed=0):
    """Write MNIST's four files with these numbers of pictures of each class; return {part: (images, labels)}."""
    folder.mkdir(parents=True)
    made, draw = {}, np.random.default_rng(seed)
    for part, prefix, counts in (("train", "train", train), ("test", "t10k", test)):
        labels = draw.permutation(np.repeat(np.arange(10, dtype=np.uint8), counts))
        images = draw.integers(0, 256, (len(labels), 28, 28), np.uint8)
        head = struct.pack(">IIII", 0x803, len(labels), 28, 28)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())
        made[part] = images, labels
    return made


TRAIN, TEST = [4, 3, 5, 6, 4, 3, 7, 4, 3, 8], [2, 3, 4, 5, 2, 3, 4, 5, 7, 2]


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """MNIST as if it had been published with few images, those of `idx_files`."""
    idx_files(tmp_path / "published", TRAIN, TEST)
    digests = {path.name: sha256(path) for path in (tmp_path / "published").iterdir()}
    keys = known.DATASETS["MNIST"].__dict__ | {"train": TRAIN, "test": TEST, "digests": digests}
    monkeypatch.setitem(known.DATASETS, "MNIST", known.KnownDataset(**keys))


def check_mnist(card, arrays, made):
    assert card["counts"]["train"] == TRAIN
    assert card["counts"]["valid"] == [count // 2 for count in TEST]
    assert card["counts"]["test"] == [count - count // 2 for count in TEST]
    for label in range(10):
        np.testing.assert_array_equal(of(arrays, "train", label)[:, 0], made["train"][0][made["train"][1] == label])
        theirs = made["test"][0][made["test"][1] == label]
        valid, test = of(arrays, "valid", label), of(arrays, "test", label)
        assert as_set(valid) | as_set(test) == as_set(theirs)
        order = [image.tobytes() for image in theirs]
        for half in (valid, test):
            places = [order.index(image.tobytes()) for image in half]
            assert places == sorted(places)


def below(folder):
    return sorted((str(path.relative_to(folder)), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def test_idx_files_of_any_number(tmp_path):
    root = tmp_path / "data"
    made = idx_files(root / "MNIST" / "raw", TRAIN, TEST)
    before = below(root)
    card, arrays = make(tmp_path, spec("torchvision"), root)
    check_mnist(card, arrays, made)
    assert card["title"] == "Own data in MNIST's format"
    assert any("not the published MNIST (their SHA-256 differs)" in warning for warning in card["warnings"])
    assert any("halved" in note for note in card["notes"])
    assert below(root) == before
    assert [path.name for path in source_files(spec("torchvision"), root)] == list(known.IDX)
    # files that may be downloaded are no one's input: they may come and go without a difference
    assert source_files(spec("torchvision", download=True), root) == []


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_idx_files_in_an_archive(tmp_path, small_mnist, suffix):
    made = idx_files(tmp_path / "unpacked" / "MNIST" / "raw", TRAIN, TEST)
    root = tmp_path / "data"
    root.mkdir()
    if suffix == "zip":
        with zipfile.ZipFile(root / "m.zip", "w") as file:
            for path in sorted((tmp_path / "unpacked").rglob("*ubyte")):
                file.write(path, path.relative_to(tmp_path / "unpacked"))
    else:
        with tarfile.open(root / "m.tar.gz", "w:gz") as file:
            file.add(tmp_path / "unpacked" / "MNIST", "MNIST")
    before = below(root)
    wanted = spec("torchvision", archive=f"m.{suffix}", download=True)
    card, arrays = make(tmp_path, wanted, root)
    check_mnist(card, arrays, made)
    assert (card["title"], card["warnings"]) == ("MNIST", [])
    assert below(root) == before
    assert source_files(wanted, root) == [root / f"m.{suffix}"]


def test_published_numbers():
    totals = {name: (sum(one.train), sum(one.test)) for name, one in known.DATASETS.items() if one.counts}
    assert totals.pop("MNIST") == totals.pop("FashionMNIST") == totals.pop("KMNIST") == (60000, 10000)
    assert totals.pop("CIFAR10") == totals.pop("CIFAR100") == (50000, 10000)
    assert totals == {"USPS": (7291, 2007), "SVHN": (73257, 26032), "STL10": (5000, 8000)}
    from torchvision.datasets import FashionMNIST

    assert known.DATASETS["FashionMNIST"].classes == FashionMNIST.classes
    names = known.DATASETS["CIFAR100"].classes
    assert len(set(names)) == 100
    assert names == sorted(names)


def cifar_files(folder, monkeypatch):
    """CIFAR-10's files with 20 random training and 20 test pictures, and torchvision told of their checksums."""
    from torchvision.datasets import CIFAR10

    folder.mkdir(parents=True)
    made, sums, draw = {}, {}, np.random.default_rng(1)
    for name, _ in CIFAR10.train_list + CIFAR10.test_list:
        labels = list(range(10)) * (2 if name == "test_batch" else 1)
        made[name] = draw.integers(0, 256, (len(labels), 3072), np.uint8), labels
        (folder / name).write_bytes(pickle.dumps({"data": made[name][0], "labels": labels}))
    names = known.DATASETS["CIFAR10"].classes
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name, _ in CIFAR10.train_list])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    keys = known.DATASETS["CIFAR10"].__dict__ | {"train": [5] * 10, "test": [2] * 10}
    monkeypatch.setitem(known.DATASETS, "CIFAR10", known.KnownDataset(**keys))
    return made


def test_cifar_in_colour_and_in_grey(tmp_path, monkeypatch, capsys):
    root = tmp_path / "data"
    made = cifar_files(root / "cifar-10-batches-py", monkeypatch)
    wanted = spec("torchvision", dataset="CIFAR10")
    card, colour = make(tmp_path, wanted, root, "colour")
    assert (card["channels"], card["size"], card["classes"][3]) == (3, [32, 32], "cat")
    batches = [made[f"data_batch_{number}"][0].reshape(-1, 3, 32, 32) for number in range(1, 6)]
    for label in range(10):
        np.testing.assert_array_equal(of(colour, "train", label), np.stack([batch[label] for batch in batches]))
    _, grey = make(tmp_path, wanted | {"channels": 1}, root, "grey")
    luma = np.tensordot(colour.images.astype(float), [0.299, 0.587, 0.114], (1, 0))
    assert np.abs(grey.images[:, 0] - luma).max() <= 0.51
    (root / "cifar-10-batches-py" / "test_batch").write_bytes(b"damaged")
    text = refused(tmp_path, capsys, wanted, root)
    assert "dataset CIFAR10" in text
    assert str(root) in text


def test_grey_pictures_get_three_equal_channels(tmp_path):
    root = tmp_path / "data"
    made = idx_files(root / "MNIST" / "raw", TRAIN, TEST)
    card, arrays = make(tmp_path, spec("torchvision", channels=3, size=32), root)
    assert (card["channels"], card["size"]) == (3, [32, 32])
    assert any(note.startswith("84 of 84 images were grey") for note in card["notes"])
    assert (arrays.images == arrays.images[:, :1]).all()
    from torchvision.transforms import Resize

    for image, mine in zip(made["train"][0][made["train"][1] == 4], of(arrays, "train", 4), strict=True):
        np.testing.assert_array_equal(np.asarray(Resize(32)(Image.fromarray(image))), mine[0])


def test_missing_and_damaged_published_files_are_one_line(tmp_path, capsys):
    root = tmp_path / "data"
    root.mkdir()
    wanted = spec("torchvision")
    text = refused(tmp_path, capsys, wanted, root)
    assert f"{root}/MNIST/raw/train-images-idx3-ubyte not found (data_root is {root})" in text
    assert "download: true" in text
    assert "set data_root" in refused(tmp_path, capsys, wanted)
    text = refused(tmp_path, capsys, wanted | {"archive": "m.tar.gz"}, root)
    assert "put the archive m.tar.gz there" in text
    (root / "m.tar.gz").write_bytes(b"no archive")
    assert "m.tar.gz: cannot be unpacked" in refused(tmp_path, capsys, wanted | {"archive": "m.tar.gz"}, root)
    idx_files(root / "MNIST" / "raw", TRAIN, TEST)
    with tarfile.open(root / "m.tar.gz", "w:gz") as file:
        file.add(root / "MNIST" / "raw", "raw")
    (root / "MNIST").rename(root / "elsewhere")
    text = refused(tmp_path, capsys, wanted | {"archive": "m.tar.gz"}, root)
    assert "holds no MNIST/raw/train-images-idx3-ubyte" in text
    (root / "elsewhere").rename(root / "MNIST")
    images = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-100])
    assert "has 36,764 bytes, and its header says 47 x 28 x 28 (36,864 bytes)" in refused(
        tmp_path, capsys, wanted, root
    )


def test_an_archive_with_other_numbers_than_published_is_refused(tmp_path, capsys):
    idx_files(tmp_path / "unpacked" / "MNIST" / "raw", TRAIN, TEST)
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as file:
        file.add(tmp_path / "unpacked" / "MNIST", "MNIST")
    text = refused(tmp_path, capsys, spec("torchvision", archive="m.tar.gz"), tmp_path)
    assert f"{tmp_path}/m.tar.gz: its train-images-idx3-ubyte is not that of the published MNIST" in text


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archive_members_outside_are_refused(tmp_path, capsys, kind):
    root = tmp_path / "data"
    root.mkdir()
    name = "../../outside-the-archive"
    if kind == "zip":
        with zipfile.ZipFile(root / "evil", "w") as file:
            file.writestr(name, "x")
    else:
        with tarfile.open(root / "evil", "w:gz") as file:
            file.addfile(tarfile.TarInfo(name), io.BytesIO())
    assert "evil: holds no MNIST/raw/train-images" in refused(
        tmp_path, capsys, spec("torchvision", archive="evil"), root
    )
    assert not list(tmp_path.rglob("outside-the-archive"))


def test_a_failing_download_is_one_line_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    from torchvision.datasets import MNIST

    def fail(self):
        raise RuntimeError("Error downloading:\nTried a, got:\nno route")

    monkeypatch.setattr(MNIST, "download", fail)
    text = refused(tmp_path, capsys, spec("torchvision", download=True), tmp_path / "data")
    assert "download to" in text
    assert "no route" in text
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_a_download_ends_in_its_place(tmp_path, small_mnist, monkeypatch):
    from torchvision.datasets import MNIST

    made = {}

    def fetch(self):
        if not made:  # of both parts
            made.update(idx_files(Path(self.raw_folder), TRAIN, TEST))

    monkeypatch.setattr(MNIST, "download", fetch)
    root = tmp_path / "data"
    card, arrays = make(tmp_path, spec("torchvision", download=True), root)
    check_mnist(card, arrays, made)
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == sorted(known.IDX)


# ---------------------------------------------------------------------------------------------------------- folders


def picture(seed, width=12, height=10, mode="RGB"):
    draw = np.random.default_rng(seed)
    shape = (height, width) if mode == "L" else (height, width, 3)
    return Image.fromarray(draw.integers(0, 256, shape, np.uint8))


def put(folder, counts, seed=0, **how):
    """Write counts[class] pictures a class below `folder`; return {class: [uint8 [C,H,W]]} in their order."""
    made = {}
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            seed += 1
            image = picture(seed, **how)
            image.save(folder / name / f"{number:03d}.png")
            array = np.asarray(image)
            made.setdefault(name, []).append(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))
    return made


def zipped(path, folder, prefix=""):
    with zipfile.ZipFile(path, "w") as file:
        for entry in sorted(folder.rglob("*")):
            file.write(entry, f"{prefix}{entry.relative_to(folder)}")


def test_a_plain_folder_in_its_native_size(tmp_path):
    made = put(tmp_path / "data" / "pets", {"dog": 20, "cat": 10, "ant": 7})
    card, arrays = make(tmp_path, spec("folder", path="pets"), tmp_path / "data")
    assert card["classes"] == ["ant", "cat", "dog"]
    assert (card["title"], card["channels"], card["size"]) == ("pets", 3, [10, 12])
    assert card["counts"] == {"train": [5, 7, 14], "valid": [1, 2, 3], "test": [1, 1, 3]}
    for label, name in enumerate(card["classes"]):
        order = [image.tobytes() for image in made[name]]
        assert as_set(arrays.images[arrays.labels == label]) == set(order)
        for part in SPLITS:
            places = [order.index(image.tobytes()) for image in of(arrays, part, label)]
            assert places == sorted(places)
    assert source_files(spec("folder", path="pets"), tmp_path / "data") == [tmp_path / "data" / "pets"]


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "Valid"])
def test_splits_above_the_classes(tmp_path, valid):
    root = tmp_path / "data"
    made = {
        part: put(root / "pets" / name, {"cat": 3, "dog": 4}, 100 * number, mode="L")
        for number, (part, name) in enumerate((("train", "train"), ("valid", valid), ("test", "test")))
    }
    (root / "pets" / "README.txt").write_text("beside the splits")
    card, arrays = make(tmp_path, spec("folder", path="pets"), root)
    assert card["channels"] == 1
    for part in SPLITS:
        for label, name in enumerate(("cat", "dog")):
            np.testing.assert_array_equal(of(arrays, part, label), made[part][name])


def test_train_and_test_alone_are_halved(tmp_path):
    root = tmp_path / "data"
    put(root / "train", {"cat": 3, "dog": 4}, 1)
    test = put(root / "test", {"cat": 8, "dog": 9}, 50)
    wanted = spec("folder", train=["train"], test=["test"])
    card, arrays = make(tmp_path, wanted, root)
    assert card["counts"] == {"train": [3, 4], "valid": [4, 4], "test": [4, 5]}
    for label, name in enumerate(("cat", "dog")):
        valid = as_set(of(arrays, "valid", label))
        assert not valid & as_set(of(arrays, "test", label))
        assert valid | as_set(of(arrays, "test", label)) == as_set(test[name])
    draws = {make(tmp_path, wanted | {"seed": seed}, root)[0]["sha256"] for seed in range(4)}
    assert len(draws) > 1


def test_zips_in_parts_give_what_the_folder_gives(tmp_path):
    root = tmp_path / "data"
    put(root / "all" / "train", {"cat": 6, "dog": 5, "emu": 4}, 1)
    put(root / "all" / "test", {"cat": 4, "dog": 4, "emu": 4}, 50)
    _, folder = make(tmp_path, spec("folder", path="all"), root, "folder")
    zipped(root / "whole.zip", root / "all")
    zipped(root / "wrapped.zip", root / "all", "top/pets/")
    zipped(root / "test.zip", root / "all" / "test")
    # the parts of one split: a half of the classes' pictures each, one of them below train/, and a class in one alone
    with zipfile.ZipFile(root / "a.zip", "w") as a, zipfile.ZipFile(root / "b.zip", "w") as b:
        for number, path in enumerate(sorted((root / "all" / "train").rglob("*.png"))):
            name = path.relative_to(root / "all" / "train")
            if number % 2 and name.parts[0] != "emu":
                a.write(path, f"train/{name}")
            else:
                b.write(path, str(name))
        b.writestr("__MACOSX/cat/000.png", "rubbish")
        b.writestr("cat/.DS_Store", "rubbish")
        b.writestr("cat/notes.txt", "no picture")
    parts = {"train": ["a.zip", "b.zip"], "test": ["test.zip"]}
    both = {"train": ["whole.zip"], "test": ["whole.zip"]}
    for keys in ({"path": "whole.zip"}, {"path": "wrapped.zip"}, parts, both):
        card, arrays = make(tmp_path, spec("folder", **keys), root, "zip")
        assert card["classes"] == ["cat", "dog", "emu"]
        for name in ("images", "labels", "split"):
            np.testing.assert_array_equal(getattr(arrays, name), getattr(folder, name))


def test_zips_of_a_source_without_a_split(tmp_path):
    root = tmp_path / "data"
    put(root / "all", {"cat": 10, "dog": 10})
    zipped(root / "cat.zip", root / "all" / "cat", "cat/")
    zipped(root / "dog.zip", root / "all" / "dog", "dog/")
    _, folder = make(tmp_path, spec("folder", path="all"), root, "folder")
    card, arrays = make(tmp_path, spec("folder", train=["cat.zip", "dog.zip"]), root, "zips")
    assert card["counts"] == {"train": [7, 7], "valid": [2, 2], "test": [1, 1]}
    np.testing.assert_array_equal(arrays.images, folder.images)


def test_mixed_sizes_and_modes_are_brought_to_one(tmp_path):
    from torchvision.transforms import CenterCrop, Compose, Resize

    root = tmp_path / "data"
    sizes = [(16, 16), (40, 33), (21, 64), (16, 90), (9, 12), (17, 16), (31, 7)]
    made = []
    (root / "pets" / "train" / "cat").mkdir(parents=True)
    for number, (width, height) in enumerate(sizes):
        made.append(picture(number, width, height, "L" if number % 3 == 1 else "RGB"))
        made[-1].save(root / "pets" / "train" / "cat" / f"{number}.png")
    put(root / "pets" / "train", {"dog": 2}, mode="L", seed=90)
    put(root / "pets" / "test", {"cat": 2, "dog": 2}, mode="L")
    same = Compose([Resize(16), CenterCrop(16)])
    card, arrays = make(tmp_path, spec("folder", path="pets", size=16), root)
    assert (card["channels"], card["size"]) == (3, [16, 16])
    for image, mine in zip(made, of(arrays, "train", 0), strict=True):
        np.testing.assert_array_equal(np.asarray(same(image.convert("RGB"))).transpose(2, 0, 1), mine)
    _, grey = make(tmp_path, spec("folder", path="pets", size=16, channels=1), root)
    for image, mine in zip(made, of(grey, "train", 0), strict=True):
        np.testing.assert_array_equal(np.asarray(same(image.convert("L"))), mine[0])
    assert any(note.startswith("12 of 13 images were not 16 x 16 pixels: they were resized") for note in card["notes"])
    assert any(note.startswith("8 of 13 images were grey") for note in card["notes"])


def test_unusual_modes_and_orientation(tmp_path):
    colour, grey = picture(1), picture(2, mode="L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 256 + 99)
    palette = colour.quantize(16)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees clockwise
    cases = [
        (grey, {}, grey),
        (deep, {}, grey),
        (palette, {}, palette.convert("RGB")),
        (colour, {"exif": turned, "format": "TIFF"}, colour.transpose(Image.Transpose.ROTATE_270)),
    ]
    for number, (image, how, expected) in enumerate(cases):
        path = tmp_path / f"{number}.png"
        image.save(path, **how)
        opened = decode(path.read_bytes())
        mine = pixels.to_8_bits(opened.image, opened.bits or 16)
        assert mine.mode == expected.mode
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(expected))
    Image.new("F", (3, 3)).save(path, format="TIFF")
    with pytest.raises(ValueError, match="32 bits"):
        decode(path.read_bytes())


def test_an_image_is_cut_before_it_is_enlarged_to_the_same_bits(monkeypatch):
    draw = np.random.default_rng(0)
    for number in range(150):
        sides = [int(draw.integers(1, 7)), int(draw.integers(7, 200))][:: 1 if number % 2 else -1]
        image = picture(number, *sides, mode="L" if number % 3 else "RGB")
        size = int(draw.choice([8, 28, 31]))
        monkeypatch.setattr(resize, "MOST_ENLARGED", 2**30)
        whole = resize.resize(image, 3, size)
        monkeypatch.setattr(resize, "MOST_ENLARGED", 0)
        np.testing.assert_array_equal(resize.resize(image, 3, size), whole)


def test_bad_folders_are_one_line(tmp_path, capsys):
    root = tmp_path / "data"
    root.mkdir()
    wanted = spec("folder", path="pets", size=8)
    text = refused(tmp_path, capsys, wanted, root)
    assert f"{root}/pets not found (data_root is {root}); set data_root" in text
    assert "data_root, which is not set" in refused(tmp_path, capsys, wanted)
    assert "names no images" in refused(tmp_path, capsys, spec("folder"), root)
    (root / "pets" / "dog").mkdir(parents=True)
    assert "no images found in class directories" in refused(tmp_path, capsys, wanted, root)
    put(root / "pets", {"cat": 10, "emu": 1, "fox": 10})
    assert "class 'dog' has no images" in refused(tmp_path, capsys, wanted, root)
    text = refused(tmp_path, capsys, wanted | {"classes": ["cat", "cow"]}, root)
    assert "'cow' is no class" in text
    assert "did you mean 'fox'?" not in text
    assert "the names cat, dog, emu, fox" in text
    assert "did you mean 'fox'?" in refused(tmp_path, capsys, wanted | {"classes": ["cat", "fxo"]}, root)
    text = refused(tmp_path, capsys, wanted | {"classes": ["cat"]}, root)
    assert "class 'cat' is the only one, and there is nothing to tell apart; name more with classes:" in text
    assert "class 'emu' has only 1 images" in refused(tmp_path, capsys, wanted | {"classes": ["cat", "emu"]}, root)
    make(tmp_path, wanted | {"classes": ["cat", "fox"]}, root)
    (root / "pets" / "cat" / "010.png").write_text("no picture")
    text = refused(tmp_path, capsys, wanted | {"classes": ["cat", "fox"]}, root)
    assert f"{root}/pets/cat/010.png: cannot be read as an image" in text


def test_a_cut_picture_in_a_zip_is_named(tmp_path, capsys):
    root = tmp_path / "data"
    put(root / "pets", {"cat": 10, "dog": 10}, width=60, height=60)
    cut = root / "pets" / "cat" / "004.png"
    cut.write_bytes(cut.read_bytes()[:2000])
    zipped(root / "pets.zip", root / "pets")
    text = refused(tmp_path, capsys, spec("folder", path="pets.zip", size=8), root)
    assert f"{root}/pets.zip: cat/004.png: cannot be read as an image" in text
    # a member whose bytes changed after packing
    damaged = bytearray((root / "pets.zip").read_bytes())
    damaged[damaged.index(b"cat/002.png") + 500] ^= 255
    (root / "damaged.zip").write_bytes(damaged)
    assert "damaged.zip: cat/002.png" in refused(tmp_path, capsys, spec("folder", path="damaged.zip", size=8), root)
    (root / "no.zip").write_text("no zip")
    assert "no.zip: neither a folder nor" in refused(tmp_path, capsys, spec("folder", path="no.zip", size=8), root)


def test_an_empty_class_of_one_split_is_named(tmp_path, capsys):
    root = tmp_path / "data"
    put(root / "pets" / "train", {"cat": 3, "dog": 3})
    put(root / "pets" / "test", {"cat": 3})
    wanted = spec("folder", path="pets", size=8)
    assert "class 'dog' has no images in test" in refused(tmp_path, capsys, wanted, root)
    with zipfile.ZipFile(root / "pets.zip", "w") as file:
        file.writestr("emu/", "")
        for path in (root / "pets" / "train").rglob("*.png"):
            file.write(path, path.relative_to(root / "pets" / "train"))
    assert "class 'emu' has no images" in refused(tmp_path, capsys, wanted | {"path": "pets.zip"}, root)
    (root / "pets" / "valid").mkdir()
    assert "valid holds no images" in refused(tmp_path, capsys, wanted, root)


def test_mixed_pictures_without_a_size_or_channels_are_named(tmp_path, capsys):
    root = tmp_path / "data"
    put(root / "pets", {"cat": 10, "dog": 10}, mode="L")
    picture(0, 5, 6).save(root / "pets" / "dog" / "007.png")
    text = refused(tmp_path, capsys, spec("folder", path="pets"), root)
    assert "dog/007.png: has colour" in text
    text = refused(tmp_path, capsys, spec("folder", path="pets", channels=3), root)
    assert "dog/007.png: is 5 x 6 pixels and the first is 12 x 10; set size:" in text
    (root / "pets" / "dog" / "007.png").rename(root / "pets" / "dog" / "000.png")
    with pytest.raises(ValueError, match="dog/000.png: is 5 x 6 pixels and .*cat/000.png is 12 x 10; set size:"):
        facts(spec("folder", path="pets"), root)


def test_facts_need_neither_torch_nor_scikit_learn(tmp_path):
    put(tmp_path / "pets", {"cat": 10, "dog": 10})
    idx_files(tmp_path / "MNIST" / "raw", TRAIN, TEST)
    specs = [spec("digits"), spec("torchvision"), spec("folder", path="pets")]
    code = (
        "import json, sys\nfrom weight_atlas.datasets import facts, files\n"
        "for spec in json.loads(sys.argv[1]): facts(spec, sys.argv[2]), files(spec, sys.argv[2])\n"
        "sys.exit(bool({'torch', 'torchvision', 'sklearn'} & set(sys.modules)))"
    )
    scripts = Path(prepare.__file__).parent
    subprocess.run([sys.executable, "-c", code, json.dumps(specs), str(tmp_path)], cwd=scripts, check=True)


# ---------------------------------------------------------------------------------------------------------- weights


def weights(tmp_path, wanted):
    output = tmp_path / "out" / "w.safetensors"
    code = prepare.main(
        ["weights", "--spec", json.dumps(wanted), "--data-root", str(tmp_path / "data"), "--output", str(output)]
    )
    return code, output


@pytest.fixture
def state(tmp_path):
    """A state_dict, also saved as data/w.pth and data/w.safetensors, with their hashes."""
    (tmp_path / "data").mkdir()
    tensors = {"a.weight": torch.randn(3, 2), "a.bias": torch.randn(3), "n": torch.tensor(4)}
    torch.save(tensors, tmp_path / "data" / "w.pth")
    save_tensors(tmp_path / "data" / "w.safetensors", tensors)
    return tensors, {name: sha256(tmp_path / "data" / name) for name in ("w.pth", "w.safetensors")}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_weights_are_converted_with_their_hash(tmp_path, state, name):
    tensors, hashes = state
    spec = {"file": name, "sha256": hashes[name].upper()}
    code, output = weights(tmp_path, spec)
    assert code == 0
    read = load_tensors(output)
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[key], tensors[key]) for key in tensors)
    origin = {"source": "file", "file": name, "sha256": hashes[name]}
    assert tensor_header(output)[0] == origin | {"recipe": recipe.weights(spec)}, "what the plan compares with"
    assert source_files({"file": name, "sha256": None}, tmp_path) == [tmp_path / name]


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
@pytest.mark.parametrize("under", [None, "state_dict", "model_state_dict", "model"])
def test_names_that_wrappers_lengthen_and_checkpoints_are_read(tmp_path, prefix, under):
    """As DataParallel, torch.compile and training loops save them."""
    (tmp_path / "data").mkdir(exist_ok=True)
    tensors = {"conv.weight": torch.rand(2, 3), "fc.bias": torch.rand(4)}
    saved: dict = {prefix + name: tensor for name, tensor in tensors.items()}
    torch.save({under: saved, "epoch": 3} if under else saved, tmp_path / "data/c.pth")
    code, output = weights(tmp_path, {"file": "c.pth", "sha256": sha256(tmp_path / "data/c.pth")})
    read = load_tensors(output)
    assert code == 0 and read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


def test_a_wrong_hash_is_refused_before_the_file_is_opened(tmp_path, state, capsys, monkeypatch):
    def opened(*_, **__):
        raise AssertionError("the file was opened")

    monkeypatch.setattr(torch, "load", opened)
    monkeypatch.setattr("weight_atlas.datasets.weights.load_tensors", opened)
    for name, digest in state[1].items():
        code, output = weights(tmp_path, {"file": name, "sha256": "0" * 64})
        text = capsys.readouterr().err
        assert code == 1
        assert f"{name} has sha256 {digest}, expected {'0' * 64}; it was not opened" in text
        assert text.count("\n") == 1
        assert not output.exists()
    # the prefix of a hash is no hash
    assert weights(tmp_path, {"file": "w.pth", "sha256": state[1]["w.pth"][:8]})[0] == 1
    assert "all 64" in capsys.readouterr().err
    assert weights(tmp_path, {"file": "w.pth", "sha256": None})[0] == 1
    assert "not opened without its sha256" in capsys.readouterr().err
    # torchvision's own name, whose digits are those of another file
    (tmp_path / "data" / "weights").mkdir()
    (tmp_path / "data" / "w.pth").rename(tmp_path / "data" / "weights" / "resnet18-f37072fd.pth")
    assert weights(tmp_path, {"published": "resnet18", "sha256": None})[0] == 1
    assert f"has sha256 {state[1]['w.pth']}, expected f37072fd; it was not opened" in capsys.readouterr().err


def test_published_weights(tmp_path, state, monkeypatch, capsys):
    import torchvision

    tensors, hashes = state
    url = f"https://example.org/vgg19-{hashes['w.pth'][:8]}.pth"
    known = SimpleNamespace(IMAGENET1K_V1=SimpleNamespace(url=url))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: known)
    wanted = {"published": "vgg19", "sha256": None}

    def fail(*_, **__):
        raise OSError("no\nroute")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    assert weights(tmp_path, wanted)[0] == 1
    assert f"download of {url} failed (no route)" in capsys.readouterr().err
    for folder in (tmp_path / "data" / "weights", tmp_path / "hub" / "hub" / "checkpoints"):
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "w.pth").replace(folder / url.rsplit("/", 1)[1])
        code, output = weights(tmp_path, wanted)
        assert code == 0
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in load_tensors(output).items())
        assert tensor_header(output)[0] == {
            "source": "torchvision vgg19 IMAGENET1K_V1",
            "url": url,
            "file": url.rsplit("/", 1)[1],
            "sha256": hashes["w.pth"],
            "recipe": recipe.weights(wanted),
        }
        (folder / url.rsplit("/", 1)[1]).replace(tmp_path / "data" / "w.pth")
    assert weights(tmp_path, {"published": "lenet7", "sha256": None})[0] == 1
    assert "lenet7 is no ImageNet network of torchvision" in capsys.readouterr().err


class Command:
    def __reduce__(self):
        return (print, ("a pickle ran code",))


def test_a_pickle_that_is_no_state_dict_does_nothing(tmp_path, state, capsys):
    path = tmp_path / "data" / "evil.pth"
    for content, said in ((Command(), "cannot be opened as weights"), ([1, 2], "holds no state_dict")):
        torch.save(content, path)
        assert weights(tmp_path, {"file": "evil.pth", "sha256": sha256(path)})[0] == 1
        captured = capsys.readouterr()
        assert said in captured.err
        assert captured.err.count("\n") == 1
        assert "ran code" not in captured.out
    assert weights(tmp_path, {"file": "none.pth", "sha256": "0" * 64})[0] == 1
    assert "none.pth not found" in capsys.readouterr().err
