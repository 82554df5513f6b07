"""Data sets that a CSV file lists: against the same images in folders, and whatever a file may hold instead."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from tests.unit.test_datasets import make, of, picture, refused
from tests.unit.test_datasets import spec as folder_spec
from weight_atlas.datasets import facts, source_info
from weight_atlas.vocabulary import SPLITS

COMMON = {"size": None, "seed": 0, "channels": None, "classes": None, "labels": "original", "per_class": None}


def spec(**keys):
    return {"source": "csv", "path": "study/labels.csv", **COMMON, **keys}


def study(root, splits=(), labels=("wren", "robin"), count=10, **how):
    """Write images and the file that lists them, in any order, with a column that means nothing here."""
    rows = []
    for split in splits or ("",):
        for label in labels:
            for number in range(count):
                name = f"scans/{split}{label[:2]}{number}.png"
                (root / "study/scans").mkdir(parents=True, exist_ok=True)
                picture(len(rows), **how).save(root / "study" / name)
                rows.append({"note": "x, y", "path": name, "label": label} | ({"split": split} if split else {}))
    order = np.random.default_rng(0).permutation(len(rows))
    with open(root / "study/labels.csv", "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[at] for at in order)
    return rows


def pixels(root, row):
    return np.asarray(Image.open(root / "study" / row["path"])).transpose(2, 0, 1).tobytes()


def test_a_table_gives_what_folders_give(tmp_path):
    for row in study(tmp_path):
        target = tmp_path / "birds" / row["label"] / row["path"].split("/")[1]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((tmp_path / "study" / row["path"]).read_bytes())
    card, mine = make(tmp_path, spec(), tmp_path)
    other, theirs = make(tmp_path, folder_spec("folder", path="birds"), tmp_path, "birds")
    for key in ("classes", "counts", "mean", "std", "sha256", "repeats"):
        assert card[key] == other[key], key
    assert card["title"] == "labels" and card["notes"][0] == "20 images of 2 classes, as labels.csv lists them."
    np.testing.assert_array_equal(mine.images, theirs.images)


@pytest.mark.parametrize("valid", ["valid", "val", "Validation"])
def test_splits_are_the_table_s(tmp_path, valid):
    rows = study(tmp_path, ("train", valid, "TEST"))
    card, made = make(tmp_path, spec(), tmp_path)
    assert card["counts"] == dict.fromkeys(SPLITS, [10, 10])
    for split, word in zip(SPLITS, ("train", valid, "TEST"), strict=True):
        for label, name in enumerate(("robin", "wren")):
            wanted = [row for row in rows if row["split"] == word and row["label"] == name]
            assert [one.tobytes() for one in of(made, split, label)] == [pixels(tmp_path, row) for row in wanted]


def test_train_and_test_alone_are_halved_and_numbers_are_in_order(tmp_path):
    study(tmp_path, ("train", "test"), ("10", "9", "2"), 4)
    card, _ = make(tmp_path, spec(), tmp_path)
    assert card["classes"] == ["2", "9", "10"]
    assert card["counts"] == {"train": [4] * 3, "valid": [2] * 3, "test": [2] * 3}
    picked, _ = make(tmp_path, spec(classes=[10, 2], labels="compact"), tmp_path, "picked")
    assert picked["classes"] == ["2", "10"]


def test_sizes_are_brought_to_one_as_those_of_a_folder(tmp_path, capsys):
    study(tmp_path)
    picture(99, 30, 17).save(tmp_path / "study/scans/wr3.png")
    card, _ = make(tmp_path, spec(size=8), tmp_path)
    assert any("20 of 20 images were not 8 x 8 pixels" in note for note in card["notes"])
    assert "is 30 x 17 pixels and the first is 12 x 10; set size:" in refused(tmp_path, capsys, spec(), tmp_path)


def test_what_is_listed_is_watched(tmp_path):
    study(tmp_path)
    record = tmp_path / "seen.json"
    before = source_info.look(spec(), tmp_path, record)
    picture(77).save(tmp_path / "study/scans/ro3.png")
    os.utime(tmp_path / "study/scans/ro3.png", (10**9, 10**9))
    after = source_info.look(spec(), tmp_path, record)
    assert before != after == source_info.look(spec(), tmp_path, record)
    text = (tmp_path / "study/labels.csv").read_text("utf-8-sig")
    (tmp_path / "study/labels.csv").write_text(text.replace("ro3.png,robin", "ro3.png,wren"))
    assert source_info.look(spec(), tmp_path, record) not in (before, after)


ODD = {
    "nothing": (b"", "has no column path, or has it twice; its first line is: []; correct it"),
    "no rows": (b"path,label\n", "labels.csv: lists no images; correct it"),
    "no label": (
        b"path,class\na.png,b\n",
        "has no column label, or has it twice; its first line is: ['path', 'class']",
    ),
    "a column twice": (b"path,path,label\na.png,a.png,b\n", "has no column path, or has it twice"),
    "semicolons": (b"path;label\na.png;b\n", "has no column path, or has it twice; its first line is: ['path;label']"),
    "fewer fields": (b"path,label\nscans/ro0.png\n", "line 2: has more or fewer fields than the first line"),
    "more fields": (b"path,label\nscans/ro0.png,a,b\n", "line 2: has more or fewer fields than the first line"),
    "an empty label": (b"path,label\nscans/ro0.png, \n", "line 2: has no label"),
    "an empty path": (b"path,label\n,a\n", "line 2: has no path"),
    "a path outside": (b"path,label\n../secret.png,a\n", "line 2: '../secret.png' is no path below the folder of the"),
    "a path from the root": (b"path,label\n/etc/x.png,a\n", "line 2: '/etc/x.png' is no path below the folder of the"),
    "backslashes": (b"path,label\nscans\\ro0.png,a\n", "is no path below the folder of the file (with slashes)"),
    "a line end in a path": (b'path,label\n"a\nb.png",a\n', "is no path below the folder of the file"),
    "no image": (b"path,label\nlabels.csv,a\n", "line 2: 'labels.csv' is no image; allowed are .png .jpg"),
    "an image that is not there": (b"path,label\nscans/ro99.png,a\n", "line 2: scans/ro99.png is not there; correct"),
    "an image twice": (b"path,label\nscans/ro0.png,a\nscans/./ro0.png,b\n", "lines 2 and 3: both list scans/ro0.png"),
    "a label that does not show": ("path,label\nscans/ro0.png,a\u202eb\n".encode(), "has characters that do not show"),
    "an unknown split": (
        b"path,label,split\nscans/ro0.png,a,extra\n",
        "the split is 'extra'; allowed are train, valid",
    ),
    "no split in a line": (b"path,label,split\nscans/ro0.png,a,\n", "line 2: the split is ''; allowed are train"),
    "test alone": (b"path,label,split\nscans/ro0.png,a,test\n", "has test; train is needed, with test (or valid)"),
    "train alone": (b"path,label,split\nscans/ro0.png,a,train\n", "has train; train is needed, with test (or valid)"),
    "one class": (b"path,label\nscans/ro0.png,a\nscans/ro1.png,a\n", "class 'a' is the only one"),
    "no text": (b"path,label\n\xff\xfe.png,a\n", "codec can't decode byte"),
    "a quote that never ends": (b'path,label\n"scans/ro0.png,a\n', "unexpected end of data"),
    "a long field": (b"path,label\n" + b"x" * 5000 + b".png,a\n", "field larger than field limit (4096)"),
    "a null byte": (b"path,label\nscans/ro0.png,a\0b\n", "labels.csv: "),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tables_are_one_line(tmp_path, capsys, name):
    content, said = ODD[name]
    study(tmp_path)
    limit = csv.field_size_limit()
    (tmp_path / "study/labels.csv").write_bytes(content)
    text = refused(tmp_path, capsys, spec(), tmp_path)
    assert said in text and text[:-1].isprintable()
    assert csv.field_size_limit() == limit


def test_a_table_that_is_not_there_or_a_pipe_is_one_line(tmp_path, capsys):
    assert "labels.csv not found (data_root is" in refused(tmp_path, capsys, spec(), tmp_path)
    (tmp_path / "study").mkdir()
    os.mkfifo(tmp_path / "study/labels.csv")
    assert "it is a pipe, not a file" in refused(tmp_path, capsys, spec(), tmp_path)


def test_a_damaged_image_is_named(tmp_path, capsys):
    study(tmp_path)
    (tmp_path / "study/scans/ro3.png").write_bytes(b"no image")
    assert "study/scans/ro3.png: cannot be read as an image" in refused(tmp_path, capsys, spec(), tmp_path)
    assert facts(spec(size=8, channels=3), tmp_path)["counts"] == {"train": 14, "valid": 4, "test": 2}
