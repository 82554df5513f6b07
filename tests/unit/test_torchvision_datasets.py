"""torchvision's data sets, from files made here in the published formats: against what torchvision's classes give."""

import bz2
import gzip
import hashlib
import inspect
import json
import struct
import subprocess
import sys
import tarfile
import typing
import zipfile
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
import yaml
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from tests.conftest import ROOT
from tests.unit.servers import served
from tests.unit.test_datasets import idx_files, make, refused, spec
from weight_atlas.datasets import known, source_info
from weight_atlas.datasets.known import DATASETS
from weight_atlas.datasets.prepare import prepare_dataset
from weight_atlas.plan import checks
from weight_atlas.plan.spec import Torchvision
from weight_atlas.plan.study import Plan
from weight_atlas.vocabulary import SPLITS

DRAW = np.random.default_rng(0)
COUNTS = {"train": [5, 4, 6, 4, 5, 4, 4, 7, 4, 5], "test": [4, 5, 4, 6, 4, 4, 5, 4, 4, 6]}


def labelled(counts, first=0):
    return DRAW.permutation(np.repeat(np.arange(first, first + len(counts)), counts))


def noise(*shape):
    return DRAW.integers(0, 256, shape, np.uint8)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def idx(path, array, kind=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    path.write_bytes(head + array.astype(">i4" if kind == 12 else np.uint8).tobytes())


def published(monkeypatch, name, **keys):
    """A data set as if it had been published with the files of a test."""
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], **keys))


# ------------------------------------------------------------------------------------------- files in their formats


def kmnist(root, monkeypatch):
    idx_files(root / "KMNIST/raw", COUNTS["train"], COUNTS["test"])


def emnist(split, classes, first=0):
    def write(root, monkeypatch):
        for part in ("train", "test"):
            labels = labelled([2 + number % 3 for number in range(classes)], first)
            prefix = root / f"EMNIST/raw/emnist-{split}-{part}"
            idx(prefix.with_name(f"{prefix.name}-images-idx3-ubyte"), noise(len(labels), 28, 28))
            idx(prefix.with_name(f"{prefix.name}-labels-idx1-ubyte"), labels)

    return write


def qmnist(root, monkeypatch):
    for part in ("train", "test"):
        labels = labelled(COUNTS[part])
        rest = DRAW.integers(0, 3000, (len(labels), 7))
        idx(root / f"QMNIST/raw/qmnist-{part}-images-idx3-ubyte", noise(len(labels), 28, 28))
        idx(root / f"QMNIST/raw/qmnist-{part}-labels-idx2-int", np.column_stack([labels, rest]), 12)


def usps(root, monkeypatch):
    for part, name in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        lines = [
            f"{label + 1} " + " ".join(f"{at}:{value:.6f}" for at, value in enumerate(DRAW.uniform(-1, 1, 256), 1))
            for label in labelled(COUNTS[part])
        ]
        (root / name).write_bytes(bz2.compress("\n".join(lines).encode()))
    published(monkeypatch, "USPS", **COUNTS, md5={name: md5(root / name) for name in ("usps.bz2", "usps.t.bz2")})


def svhn(root, monkeypatch):
    listed = {}
    for part in ("train", "test"):
        labels, path = labelled(COUNTS[part]), root / f"{part}_32x32.mat"
        y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]  # the files call the digit 0 "10"
        scipy.io.savemat(path, {"X": noise(32, 32, 3, len(labels)), "y": y})
        listed[part] = ["", path.name, md5(path)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", listed)
    published(monkeypatch, "SVHN", **COUNTS)


def stl10(root, monkeypatch):
    folder = root / "stl10_binary"
    folder.mkdir()
    for part in ("train", "test"):
        labels = labelled(COUNTS[part], 1).astype(np.uint8)
        (folder / f"{part}_y.bin").write_bytes(labels.tobytes())
        (folder / f"{part}_X.bin").write_bytes(noise(len(labels), 3, 96, 96).tobytes())
    kind = torchvision.datasets.STL10
    sums = {part: [[f"{part}_{kind}.bin", md5(folder / f"{part}_{kind}.bin")] for kind in "Xy"] for part in COUNTS}
    monkeypatch.setattr(kind, "train_list", [*sums["train"], ["unlabeled_X.bin", "no such file"]])
    monkeypatch.setattr(kind, "test_list", sums["test"])
    published(monkeypatch, "STL10", **COUNTS)


def image(path, grey=False):
    """An image with sides of 20 to 40 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = DRAW.integers(20, 41, 2)
    Image.fromarray(noise(height, width) if grey else noise(height, width, 3)).save(path)


def tree(folder, suffix, parts=("",), classes=("alpha", "beta", "gamma"), least=4):
    def write(root, monkeypatch):
        for part in parts:
            for number, name in enumerate(classes):
                for at in range(1, least + number + 1):
                    file = f"{name[:3]}_{at:04d}" if name[0].isdigit() else f"image_{at:04d}"
                    image(root / folder / part / name / f"{file}{suffix}", grey=at == 2)

    return write


def caltech101(root, monkeypatch):
    tree("caltech101/101_ObjectCategories", ".jpg", classes=("BACKGROUND_Google", "Faces", "ant"))(root, monkeypatch)


def dtd(root, monkeypatch):
    for number in (1, 3):
        for part in ("train", "val", "test"):
            names = [f"{name}/{name}_{number}{part}{at}.jpg" for name in ("banded", "zigzagged") for at in range(4)]
            for name in names:
                image(root / "dtd/dtd/images" / name)
            path = root / f"dtd/dtd/labels/{part}{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{name}\n" for name in DRAW.permutation(names)))


def aircraft(root, monkeypatch):
    data = root / "fgvc-aircraft-2013b/data"
    levels = {"variant": ("variants", ["737-200", "A 300", "C-47"]), "family": ("families", ["A 300", "Boeing 737"])}
    for level, (names, classes) in levels.items():
        data.mkdir(parents=True, exist_ok=True)
        (data / f"{names}.txt").write_text("".join(f"{name}\n" for name in classes))
        for start, part in ((100, "train"), (200, "val"), (300, "test")):
            lines = [f"{start + at:07d} {classes[at % len(classes)]}\n" for at in range(9)]
            (data / f"images_{level}_{part}.txt").write_text("".join(lines))
            for line in lines:
                image(data / f"images/{line[:7]}.jpg")


def flowers(root, monkeypatch):
    folder = root / "flowers-102"
    labels = DRAW.permutation(np.repeat(np.arange(1, 103), 9))
    for number in range(1, len(labels) + 1):
        image(folder / f"jpg/image_{number:05d}.jpg")
    ids = {key: [] for key in ("trnid", "valid", "tstid")}
    for label in range(1, 103):
        of = np.flatnonzero(labels == label) + 1
        for key, some in zip(ids, (of[:2], of[2:4], of[4:]), strict=True):
            ids[key] += some.tolist()
    scipy.io.savemat(folder / "setid.mat", ids)
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": labels})
    sums = {name: md5(folder / name) for name in ("imagelabels.mat", "setid.mat")}
    listed = {"label": ("imagelabels.mat", sums["imagelabels.mat"]), "setid": ("setid.mat", sums["setid.mat"])}
    monkeypatch.setattr(torchvision.datasets.Flowers102, "_file_dict", listed)
    published(monkeypatch, "Flowers102", md5=sums)


def food(root, monkeypatch):
    for part, numbers in (("train", range(6)), ("test", range(6, 10))):
        named = {name: [f"{name}/{at}" for at in numbers] for name in ("waffles", "apple_pie")}
        for name in sum(named.values(), []):
            image(root / f"food-101/images/{name}.jpg")
        (root / "food-101/meta").mkdir(exist_ok=True)
        (root / f"food-101/meta/{part}.json").write_text(json.dumps(named))


def traffic_signs(root, monkeypatch):
    tree("gtsrb/GTSRB/Training", ".ppm", classes=("00000", "00001", "00002"))(root, monkeypatch)
    (root / "gtsrb/GTSRB/Training/00000/GT-00000.csv").write_text("Filename;Width\n")
    lines = ["Filename;Width;Height;ClassId"]
    for at in range(12):
        image(root / f"gtsrb/GTSRB/Final_Test/Images/{at:05d}.ppm")
        lines.append(f"{at:05d}.ppm;30;30;{at % 3}")
    (root / "gtsrb/GT-final_test.csv").write_text("\n".join(lines))


def pets(root, monkeypatch):
    for part, start in (("trainval", 0), ("test", 100)):
        lines = []
        for at in range(12):
            label, name = ((1, "Abyssinian"), (2, "american_bulldog"), (3, "Birman"))[at % 3]
            image(root / f"oxford-iiit-pet/images/{name}_{start + at}.jpg", grey=at == 4)
            lines.append(f"{name}_{start + at} {label} 1 1")
        path = root / f"oxford-iiit-pet/annotations/{part}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def scenes(root, monkeypatch):
    classes = ("/a/abbey", "/c/church/outdoor", "/c/cliff")
    for name in classes:
        for at in range(7):
            image(root / f"SUN397{name}/sun_{name[-4:]}{at}.jpg", grey=at == 3)
    (root / "SUN397/ClassName.txt").write_text("".join(f"{name}\n" for name in classes))
    (root / "SUN397/README.txt").write_text("no image")


WNIDS = ("n01440764", "n03028079", "n03888257")
# Who writes the files of each data set, and its options.
MADE = {
    "KMNIST": (kmnist, {}),
    "EMNIST letters": (emnist("letters", 26, 1), {"split": "letters"}),
    "EMNIST byclass": (emnist("byclass", 62), {"split": "byclass"}),
    "QMNIST": (qmnist, {}),
    "USPS": (usps, {}),
    "SVHN": (svhn, {}),
    "STL10": (stl10, {}),
    "Caltech101": (caltech101, {}),
    "Caltech256": (
        tree("caltech256/256_ObjectCategories", ".jpg", classes=("001.ak47", "002.flag", "003.bag"), least=5),
        {},
    ),
    "Country211": (tree("country211", ".jpg", ("train", "valid", "test"), ("AD", "AE")), {}),
    "DTD": (dtd, {}),
    "DTD 3": (dtd, {"partition": 3}),
    "EuroSAT": (tree("eurosat/2750", ".jpg", classes=("AnnualCrop", "Forest", "River"), least=5), {}),
    "FGVCAircraft": (aircraft, {}),
    "FGVCAircraft family": (aircraft, {"annotation_level": "family"}),
    "Flowers102": (flowers, {}),
    "Food101": (food, {}),
    "GTSRB": (traffic_signs, {}),
    "Imagenette": (tree("imagenette2", ".jpeg", ("train", "val"), WNIDS), {}),
    "Imagenette 160px": (tree("imagenette2-160", ".jpeg", ("train", "val"), WNIDS), {"size": "160px"}),
    "OxfordIIITPet": (pets, {}),
    "SUN397": (scenes, {}),
    "RenderedSST2": (tree("rendered-sst2", ".png", ("train", "valid", "test"), ("negative", "positive")), {}),
}


def theirs(root, wanted, size):
    """{(part, label): the images that torchvision's class gives, as a list of bytes, sorted}."""
    found, entry = defaultdict(list), known.known(wanted)
    change = Compose([Resize(size), CenterCrop(size)]) if size else lambda image: image
    first = entry.first
    for part, arguments in entry.parts.items():
        kind = getattr(torchvision.datasets, wanted["dataset"])
        if wanted["dataset"] == "STL10":
            kind = type("STL10", (kind,), {"train_list": kind.train_list[:2]})
        for picture, label in kind(root, **arguments):
            if size and picture.mode != "RGB":
                picture = picture.convert("RGB")
            found[part, label - first].append(np.asarray(change(picture)).tobytes())
    return {key: sorted(images) for key, images in found.items()}


@pytest.mark.parametrize("name", MADE)
def test_the_same_images_as_torchvision(tmp_path, monkeypatch, name):
    write, options = MADE[name]
    root = tmp_path / "data"
    root.mkdir()
    write(root, monkeypatch)
    wanted = spec("torchvision", dataset=name.split()[0], options=options)
    entry = known.known(wanted)
    size = 24 if entry.list_images else None
    card, arrays = make(tmp_path, wanted | {"size": size}, root)
    expected, held = theirs(root, wanted, size), set(entry.parts) - {"train"}
    parts = {"train": ["train"], "all": list(SPLITS)} | ({min(held): ["valid", "test"]} if len(held) == 1 else {})
    if held == {"all"}:
        parts = {"all": list(SPLITS)}
    for (part, label), images in expected.items():
        splits = [SPLITS.index(split) for split in parts.get(part, [part])]
        chosen = np.isin(arrays.split, splits) & (arrays.labels == label)
        assert sorted(one.transpose(1, 2, 0).tobytes() for one in arrays.images[chosen]) == images, (part, label)
    assert sum(map(len, expected.values())) == len(arrays.images)
    trained = arrays.images[arrays.split == 0].astype(np.float64) / 255
    np.testing.assert_allclose(card["mean"], trained.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(card["std"], trained.std((0, 2, 3)), rtol=1e-12)
    assert card["title"].startswith(entry.title)
    source = source_info.describe(wanted | {"size": size}, root)
    assert set(source.counts) == set(entry.parts)


def test_every_name_is_known_and_is_a_class_of_torchvision():
    assert set(typing.get_args(known.Name)) == set(DATASETS) == set(DATASETS) & set(dir(torchvision.datasets))
    assert {name.split()[0] for name in MADE} | {"MNIST", "FashionMNIST", "CIFAR10", "CIFAR100"} == set(DATASETS)


def test_what_is_known_is_what_torchvision_says():
    listed = torchvision.datasets.Flowers102._file_dict
    assert dict(listed[key] for key in ("label", "setid")) == DATASETS["Flowers102"].md5
    assert DATASETS["USPS"].md5 == {name: digest for _, name, digest in torchvision.datasets.USPS.split_list.values()}
    assert known.FLOWERS.split(", ") == torchvision.datasets.Flowers102.classes
    assert DATASETS["KMNIST"].classes == torchvision.datasets.KMNIST.classes
    for split, classes in torchvision.datasets.EMNIST.classes_split_dict.items():
        entry = known.known({"dataset": "EMNIST", "options": {"split": split}})
        assert entry.classes == [name for name in classes if name != "N/A"]
    named = {wnid: names[0] for wnid, names in torchvision.datasets.Imagenette._WNID_TO_CLASS.items()}
    assert named == known.listings.IMAGENETTE


def test_the_full_config_has_the_published_checksum_of_caltech_256():
    config = yaml.safe_load((ROOT / "config/convnets.yaml").read_text(encoding="utf-8"))
    published = inspect.getsource(torchvision.datasets.Caltech256.download)
    given = config["datasets"]["Caltech-256"]["download"]
    assert f'"{given["url"]}"' in published and f'md5="{given["md5"]}"' in published


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"dataset": "EMNIST"}, "options: split is missing; allowed: byclass, bymerge, balanced, letters, digits"),
        ({"dataset": "EMNIST", "options": {"split": "all"}}, "options: split is 'all'; allowed: byclass, bymerge"),
        ({"dataset": "DTD", "options": {"partition": 11}}, "options: partition is 11; allowed: 1, 2, 3, 4, 5, 6, 7"),
        ({"dataset": "DTD", "options": {"partitoin": 1}}, "options: unknown option 'partitoin'; did you mean 'parti"),
        ({"dataset": "SVHN", "options": {"split": "extra"}}, "options: unknown option 'split'; none are defined"),
        ({"dataset": "Food101", "archive": "a.zip"}, "archive: is not read for the image files of Food101; unpack it"),
        ({"dataset": "SVNH"}, "dataset: 'SVNH' is not allowed; did you mean 'SVHN'?"),
    ],
)
def test_options_are_checked_with_the_config(keys, said):
    with pytest.raises(checks.ConfigError) as error:
        checks.check(Torchvision, {"source": "torchvision", **keys}, "datasets.mine")
    assert said in str(error.value)


def test_a_default_option_is_no_other_data_set():
    one, other = (
        checks.check(Torchvision, {"source": "torchvision", "dataset": "DTD", **keys}, "")
        for keys in ({}, {"options": {"partition": 1}})
    )
    assert one.model_dump() == other.model_dump()


ODD = {
    "a list that names another place": (
        "Food101", food, "food-101/meta/train.json", '{"waffles": ["../../../etc/passwd"]}', "which is not in it"
    ),
    "a list that is no JSON": ("Food101", food, "food-101/meta/train.json", "{", "train.json: is no file of JSON"),
    "a list of nothing": ("Food101", food, "food-101/meta/test.json", "{}", "has no images of test; replace it"),
    "a list of something else": ("Food101", food, "food-101/meta/test.json", "[1]", "does not list images by class"),
    "an image twice": ("Food101", food, "food-101/meta/test.json", '{"waffles": ["waffles/1"]}', "waffles/1.jpg twice"),
    "an image that is not there": (
        "Food101", food, "food-101/meta/test.json", '{"waffles": ["waffles/77"]}', "waffles/77.jpg: cannot be read as a"
    ),
    "a line of something else": ("DTD", dtd, "dtd/dtd/labels/val1.txt", "banded\n", "its line 1 is none of the orig"),
    "no text": ("DTD", dtd, "dtd/dtd/labels/val1.txt", b"\xff\xfe", "val1.txt: cannot be read ("),
    "a class without a name": (
        "FGVCAircraft", aircraft, "fgvc-aircraft-2013b/data/variants.txt", "A 300\n", "has the class '737-200', and"
    ),
    "a table without columns": (
        "GTSRB", traffic_signs, "gtsrb/GT-final_test.csv", "a;b\n1;2\n", "has no Filename and ClassId in each row"
    ),
    "another file of Matlab": (
        "Flowers102", flowers, "flowers-102/setid.mat", "x", "setid.mat: is not that of the published Oxford 102 Flower"
    ),
    "another file of USPS": ("USPS", usps, "usps.t.bz2", "x", "usps.t.bz2: is not that of the published USPS (its MD5"),
    "another file of SVHN": ("SVHN", svhn, "train_32x32.mat", "x", "torchvision cannot read its files (Dataset not fo"),
    "QMNIST cut": (
        "QMNIST", qmnist, "QMNIST/raw/qmnist-test-labels-idx2-int", b"\0\0\x0c\2\0\0\0\1\0\0\0\x08", "(44 bytes); repl"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_damaged_files_are_one_line(tmp_path, monkeypatch, capsys, name):
    dataset, write, path, content, said = ODD[name]
    root = tmp_path / "data"
    root.mkdir()
    write(root, monkeypatch)
    (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    wanted = spec("torchvision", dataset=dataset, size=24 if known.known({"dataset": dataset}).list_images else None)
    assert said in refused(tmp_path, capsys, wanted, root)


def test_images_of_several_sizes_ask_for_a_size(tmp_path, monkeypatch, capsys):
    root = tmp_path / "data"
    food(root, monkeypatch)
    assert "set size: to bring them to one" in refused(tmp_path, capsys, spec("torchvision", dataset="Food101"), root)


def test_without_files_and_without_a_download_one_line_says_what_is_missing(tmp_path, capsys):
    text = refused(tmp_path, capsys, spec("torchvision", dataset="Food101", size=24), tmp_path)
    assert (
        f"{tmp_path}/food-101/images not found (data_root is {tmp_path}); set data_root to the folder of food" in text
    )
    assert "archive" not in text


def test_files_in_data_root_itself_come_from_an_archive_too(tmp_path, monkeypatch, capsys):
    """SVHN has no folder of its own; without its files the line names one of them."""
    (tmp_path / "made").mkdir()
    svhn(tmp_path / "made", monkeypatch)
    root = tmp_path / "data"
    root.mkdir()
    wanted = spec("torchvision", dataset="SVHN", archive="svhn.tar.xz")
    text = refused(tmp_path, capsys, wanted, root)
    assert "set data_root to the folder of train_32x32.mat, put the archive svhn.tar.xz there, or set download" in text
    with tarfile.open(root / "svhn.tar.xz", "w:xz") as file:
        for path in (tmp_path / "made").iterdir():
            file.add(path, path.name)
    _, packed = make(tmp_path, wanted, root, "packed")
    _, plain = make(tmp_path, spec("torchvision", dataset="SVHN"), tmp_path / "made", "plain")
    np.testing.assert_array_equal(packed.images, plain.images)
    assert [path.name for path in root.iterdir()] == ["svhn.tar.xz"]


# ------------------------------------------------------------------------------------------------------- downloads


def test_emnist_is_downloaded_as_torchvision_does(tmp_path, monkeypatch):
    """Its zip of gzip files, checked by MD5; all of its splits stay."""
    emnist("letters", 26, 1)(tmp_path / "made", monkeypatch)
    emnist("digits", 10)(tmp_path / "made", monkeypatch)
    (tmp_path / "web").mkdir()
    with zipfile.ZipFile(tmp_path / "web/gzip.zip", "w") as file:
        for path in sorted((tmp_path / "made/EMNIST/raw").iterdir()):
            file.writestr(f"gzip/{path.name}.gz", gzip.compress(path.read_bytes()))
    monkeypatch.setattr(torchvision.datasets.EMNIST, "md5", md5(tmp_path / "web/gzip.zip"))
    root = tmp_path / "data"
    wanted = spec("torchvision", dataset="EMNIST", options={"split": "letters"}, download=True)
    with served(tmp_path / "web") as (address, _):
        monkeypatch.setattr(torchvision.datasets.EMNIST, "url", f"{address}/gzip.zip")
        card, arrays = make(tmp_path, wanted, root)
    expected = theirs(tmp_path / "made", wanted, None)
    assert sum(map(len, expected.values())) == len(arrays.images)
    assert (card["title"], card["classes"][0]) == ("EMNIST letters", "a")
    names = sorted(path.name for path in root.rglob("*") if path.is_file())
    assert names == sorted(path.name for path in (tmp_path / "made").rglob("*") if path.is_file())
    make(tmp_path, wanted | {"options": {"split": "digits"}}, root, "digits")  # without the server


def test_image_files_are_downloaded_and_moved_as_a_whole(tmp_path, monkeypatch):
    tree("made/2750", ".jpg", classes=("Forest", "River"), least=9)(tmp_path, monkeypatch)
    (tmp_path / "web").mkdir()
    with zipfile.ZipFile(tmp_path / "web/EuroSAT.zip", "w") as file:
        for path in sorted((tmp_path / "made").rglob("*.jpg")):
            file.write(path, path.relative_to(tmp_path / "made"))
    real = torchvision.datasets.eurosat.download_and_extract_archive
    wanted = spec("torchvision", dataset="EuroSAT", size=24, download=True)
    with served(tmp_path / "web") as (address, _):

        def elsewhere(url, md5, **how):
            real(f"{address}/EuroSAT.zip", md5=digest, **how)

        monkeypatch.setattr(torchvision.datasets.eurosat, "download_and_extract_archive", elsewhere)
        digest = "0" * 32
        with pytest.raises(ValueError, match="^dataset EuroSAT: download to .* failed .File not found or corrupted"):
            prepare_dataset(wanted, "no", tmp_path / "data", tmp_path / "no.safetensors")
        assert not list((tmp_path / "data").rglob("*.jpg"))
        digest = md5(tmp_path / "web/EuroSAT.zip")
        card, arrays = make(tmp_path, wanted, tmp_path / "data")
    assert [sum(of) for of in card["counts"].values()] == [13, 4, 2]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["eurosat"]
    assert not list((tmp_path / "data").rglob("*.zip"))


def plan(root, **how):
    grid = {"dataset": ["food"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]}
    config = {
        "name": "food",
        "data_root": str(root),
        "datasets": {"food": {"source": "torchvision", "dataset": "Food101", "size": 32}},
        "networks": {"lenet5": {}},
        "optimizers": {"sgd": {"type": "sgd"}},
        "definitions": {"first": {"grid": grid}},
    }
    return Plan(config, root, **how)


def test_what_only_the_files_say_is_downloaded_before_the_plan(tmp_path, monkeypatch, capsys):
    """By a process of its own, which here has no network; then from the files that are there."""
    with pytest.raises(checks.ConfigError) as error:
        plan(tmp_path)
    assert str(error.value) == (
        f"datasets.food: dataset Food101: {tmp_path}/food-101/images is not there yet; a run downloads it before it "
        "plans"
    )
    absent = plan(tmp_path, absent=True, fetch=True)
    assert not absent.datasets[absent.absent[0].dataset_id].known
    for kind in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(kind, "http://127.0.0.1:9")
    with pytest.raises(checks.ConfigError) as error:
        plan(tmp_path, fetch=True)
    said = str(error.value)
    assert said.startswith(f"datasets.food: dataset Food101: download to {tmp_path} failed (") and said.isprintable()
    assert said.endswith("; fetch food-101 by other means and set data_root to the folder that holds it")
    assert capsys.readouterr().err == f"downloading the data set food to {tmp_path}\n"
    assert not list(tmp_path.rglob("*.gz"))
    food(tmp_path, monkeypatch)
    [data] = plan(tmp_path, fetch=True).datasets.values()
    assert data.facts["classes"] == ["apple_pie", "waffles"]
    assert data.facts["counts"] == {"train": 12, "valid": 4, "test": 4}


def test_the_page_of_the_docs_is_what_the_command_writes(tmp_path):
    subprocess.run([sys.executable, "docs/datasets.py", str(tmp_path / "datasets.md")], cwd=ROOT, check=True)
    page = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    assert page == (tmp_path / "datasets.md").read_text(encoding="utf-8"), "run: python docs/datasets.py"
    assert all(f"| `{name}`" in page for name in DATASETS)
    assert f"[{len(DATASETS)} data sets of torchvision](datasets.md)" in (ROOT / "docs/data.md").read_text("utf-8")
