"""Sources that change after they were prepared: what is seen, what is read again, and what is said."""

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.unit.test_data_lines import config, prepared, write
from weight_atlas import store
from weight_atlas.datasets import image, known, seen, source_info, torchvision_datasets
from weight_atlas.datasets.source import ImageFile
from weight_atlas.datasets.weights import prepare_weights
from weight_atlas.plan import data_lines, outdated, parts, recipe, study
from weight_atlas.plan.checks import ConfigError

CHANGED = "pets: its images have changed; it is prepared again, and what was trained on other images is trained again"


@pytest.fixture
def pets(tmp_path, monkeypatch) -> Path:
    """A folder of images whose data set is prepared, as a run leaves it; each file that is read is counted."""
    write(tmp_path, {"cat": 20, "dog": 20})
    prepared(tmp_path, study.Plan(config(tmp_path), tmp_path))
    assert data_reasons(tmp_path) == {}
    read = image._file
    monkeypatch.setattr(image, "_file", lambda path: READ.append(path) or read(path))
    READ.clear()
    return tmp_path / "data/pets"


READ: list[Path] = []


def data_reasons(root: Path, **keys) -> dict[str, str]:
    """Why the data set of a plan is prepared again, where it is; what follows from that left out."""
    plan = study.Plan(config(root, **keys), root)
    return {name: why for name, why in outdated.outdated(plan).items() if name.startswith("data/")}


def other_pixels(path: Path) -> None:
    """An image of other pixels under the same name, of the same size in bytes and the same time."""
    before, size = path.stat(), path.stat().st_size
    for seed in range(99):
        pixels = np.random.default_rng([9, seed]).integers(0, 256, (28, 28, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        if path.stat().st_size == size:
            break
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (size, before.st_mtime_ns)


def test_unchanged_files_are_not_read_again(pets):
    assert data_reasons(pets.parents[1]) == {}
    assert READ == []


@pytest.mark.parametrize("name", ["dog/7.png", "cat/0.png"])
def test_an_image_replaced_under_its_name_is_seen(pets, name):
    other_pixels(pets / name)
    root = pets.parents[1]
    assert list(data_reasons(root).values()) == [outdated.CHANGED]
    plan = study.Plan(config(root), root)
    again = outdated.outdated(plan)
    assert set(again.values()) == {outdated.CHANGED, outdated.ABSENT}
    assert data_lines.warnings(plan, again) == [f"warning: {CHANGED}"]
    prepared(root, plan)
    assert data_reasons(root) == {}


def test_other_times_of_the_same_content_change_nothing_and_are_read_once(pets):
    shutil.copytree(pets, pets.with_name("copy"), copy_function=shutil.copy)
    shutil.rmtree(pets)
    pets.with_name("copy").rename(pets)
    root = pets.parents[1]
    assert data_reasons(root) == {}
    assert len(READ) == 40 + 2, "each for its content, and the first of both classes for channels and size"
    assert data_reasons(root) == {}
    assert len(READ) == 40 + 2
    shutil.rmtree(root / ".snakemake")  # results that were copied without Snakemake's records
    assert data_reasons(root) == {}


def test_a_record_that_is_none_is_no_reason_to_trust(pets):
    root = pets.parents[1]
    (record,) = (root / parts.seen_path("x").parent).iterdir()
    for text in ("", "[]", "{}", '{"mark": 1, "content": 2}'):
        record.write_text(text)
        assert data_reasons(root) == {}
        assert store.read_json(record).keys() == {"mark", "content"}


def test_of_a_reduced_data_set_only_the_chosen_images_count(pets):
    root = pets.parents[1]
    few = {"per_class": {"train": 3, "valid": 1, "test": 1}}
    prepared(root, study.Plan(config(root, **few), root))
    source = source_info.describe(study.Plan(config(root, **few), root).datasets.popitem()[1].spec, root / "data")
    chosen = {
        str(one.container / one.name)
        for one in source_info.folder.chosen(study.Plan(config(root, **few), root).datasets.popitem()[1].spec, source)
    }
    assert len(chosen) == 10
    other_pixels(next(path for path in sorted(pets.rglob("*.png")) if str(path) not in chosen))
    assert data_reasons(root, **few) == {}
    other_pixels(Path(min(chosen)))
    assert list(data_reasons(root, **few).values()) == [outdated.CHANGED]


@pytest.mark.parametrize("way", ["other content", "same content"])
def test_a_zip_with_the_same_members(tmp_path, way):
    def pack(pixels: int) -> None:
        with zipfile.ZipFile(tmp_path / "data/pets.zip", "w") as file:
            for number in range(20):
                file.writestr(f"{'ab'[number % 2]}/{number}.ppm", b"P5 28 28 255\n" + bytes([pixels + number]) * 784)

    (tmp_path / "data").mkdir()
    pack(3)
    keys = {"path": "pets.zip", "channels": 1}
    prepared(tmp_path, study.Plan(config(tmp_path, **keys), tmp_path))
    assert data_reasons(tmp_path, **keys) == {}
    pack(4 if way == "other content" else 3)
    assert list(data_reasons(tmp_path, **keys).values()) == [outdated.CHANGED] * (way == "other content")


def test_files_that_are_passed_over_from_now_on_are_said(pets):
    (pets / "cat/new.heic").write_text("x")
    plan = study.Plan(config(pets.parents[1]), pets.parents[1])
    again = outdated.outdated(plan)
    passed = "Passed over: 1 file with the suffix .heic in class folders, such as pets/cat/new.heic."
    assert data_lines.warnings(plan, again) == [f"warning: {CHANGED}", f"warning: pets: {passed}"]


def test_classes_that_were_added_are_planned_with(pets):
    root = pets.parents[1]
    write(root, {"cat": 20, "dog": 20, "eel": 20})
    plan = study.Plan(config(root), root)
    assert [cell.settings.classes for cell in plan.cells.values()] == [3]
    assert data_lines.found(plan)[0].startswith("data set pets: 3 classes; 42 train, 9 valid, 9 test images")
    assert outdated.CHANGED in outdated.outdated(plan).values()
    # so does a job of that plan; without one the card counts
    assert [cell.settings.classes for cell in study.Plan(config(root), root, look=False).cells.values()] == [3]
    shutil.rmtree(root / ".snakemake")
    assert [cell.settings.classes for cell in study.Plan(config(root), root, look=False).cells.values()] == [2]


def test_a_class_that_was_removed_is_refused_before_anything_runs(pets):
    shutil.rmtree(pets / "cat")
    with pytest.raises(ConfigError, match="datasets.pets: class 'dog' is the only one, and there is nothing to tell"):
        study.Plan(config(pets.parents[1]), pets.parents[1])


def test_an_image_that_became_something_else_is_named(pets):
    (pets / "dog/3.png").unlink()
    os.mkfifo(pets / "dog/3.png")
    with pytest.raises(ConfigError, match=r"datasets.pets: .*dog/3.png: cannot be read as an image \(it is a pipe"):
        data_reasons(pets.parents[1])


def test_the_content_of_an_image_is_never_that_of_a_device(tmp_path):
    (tmp_path / "1.png").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"1.png: cannot be read as an image \(it is a device"):
        image.digest(ImageFile(tmp_path, "1.png"))
    (tmp_path / "2.png").write_bytes(b"x")
    assert image.digest(ImageFile(tmp_path, "2.png")) == hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_results_of_a_source_that_is_gone_stay_and_this_is_said(pets, left):
    root = pets.parents[1]
    shutil.rmtree(pets)
    if left == "an empty folder":  # as a disk that is not mounted leaves it
        pets.mkdir()
    plan = study.Plan(config(root), root)
    assert [name for name in outdated.outdated(plan) if name.startswith("data/")] == []
    (line,) = data_lines.warnings(plan, outdated.outdated(plan))
    why = "not found" if left == "nothing" else "no images found in class directories"
    assert (
        line.startswith("warning: pets: what was prepared from it is used, but: ") and why in line and "\n" not in line
    )


def test_a_file_of_weights_replaced_under_its_name_is_seen(tmp_path, monkeypatch):
    """By the plan's own look: the cells that start from it are not asked here."""
    plan = study.Plan(weights_config(tmp_path), tmp_path)
    (weights_id,) = plan.weights
    name, source = f"data/weights/{weights_id}", tmp_path / "w.safetensors"

    def save(value: float) -> None:
        tensors = {name: torch.full(shape, value) for name, shape in next(iter(plan.cells.values())).table.parameters()}
        store.save_tensors(source, tensors)

    def reason() -> str | None:
        return outdated.outdated(study.Plan(weights_config(tmp_path), tmp_path)).get(name)

    save(0.5)
    spec = plan.weights[weights_id]
    prepare_weights(spec, tmp_path, tmp_path / f"{name}.safetensors", recipe.weights(spec))
    assert reason() is None
    os.utime(source, (1, 1))
    assert reason() is None
    hashed: list[Path] = []
    monkeypatch.setattr(store, "sha256", hashed.append)
    assert reason() is None and hashed == []
    monkeypatch.undo()
    save(0.25)
    assert reason() == outdated.CHANGED
    changed = study.Plan(weights_config(tmp_path), tmp_path)
    assert data_lines.warnings(changed, outdated.outdated(changed)) == [
        "warning: w.safetensors: has changed; it is read again, and what started from it is trained again"
    ]
    source.unlink()
    gone = study.Plan(weights_config(tmp_path), tmp_path)
    assert outdated.outdated(gone).get(name) is None
    assert data_lines.warnings(gone) == [
        "warning: w.safetensors: is not below data_root any more; what was read of it is used"
    ]


def weights_config(root: Path) -> dict:
    asked = config(root) | {"data_root": str(root), "datasets": {"pets": {"source": "digits", "size": 28}}}
    asked["inits"] = {"mine": {"file": "w.safetensors"}}
    asked["definitions"]["first"]["grid"] |= {"init": ["mine"]}
    return asked


def test_published_idx_files_are_alike_wherever_they_lie(tmp_path):
    """A data set that was prepared from an archive stays when the same files are unpacked beside it."""
    mnist = known.DATASETS["MNIST"]
    spec = {"source": "torchvision", "dataset": "MNIST", "download": True, "archive": None}
    source = source_info.describe(spec, tmp_path)
    published = torchvision_datasets.digests(spec, tmp_path, source)
    assert published == [mnist.digests[name] for name in mnist.files]
    (tmp_path / mnist.folder).mkdir(parents=True)
    for name in mnist.files:
        (tmp_path / mnist.folder / name).write_bytes(name.encode())
    assert set(torchvision_datasets.digests(spec, tmp_path, source)).isdisjoint(published)


def test_a_mark_changes_with_names_sizes_and_times(tmp_path):
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a/1").write_text("x")
    (folder / "a/link").symlink_to("nowhere")
    marks = [seen.mark([folder])]
    (folder / "a/1").write_text("xy")
    marks.append(seen.mark([folder]))
    os.utime(folder / "a/1", (1, 1))
    marks.append(seen.mark([folder]))
    (folder / "a/1").rename(folder / "a/2")
    marks.append(seen.mark([folder]))
    marks.append(seen.mark([folder / "a/2"]))
    assert None not in marks and len(set(marks)) == 5
    assert seen.mark([folder]) == marks[3]
    assert seen.mark([folder, folder / "none"]) is None
