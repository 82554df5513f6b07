"""Results in a notebook: its five functions, the README's example and the notebook."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import weight_atlas as wa
from tests.unit import blocks
from tests.unit.tables import write_table
from weight_atlas import schema, store
from weight_atlas.plan import code

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "tour.ipynb"
LENET = {"study": "dynamics", "network": "lenet1", "init": "pretrained", "optimizer": "sgd"}
RESNET = {"network": "resnet18-small", "optimizer": "adam"}


def rows(path):
    return list(schema.dicts(path))


def listed(root, **labels):
    """The rows of the tiny config's cells.csv with these labels."""
    every = rows(root / "results/tiny/cells.csv")
    return [row for row in every if all(row[key] == label for key, label in labels.items())]


def the_id(root, labels):
    (row,) = listed(root, role="grid", **labels)
    return row["cell_id"]


def right(model, images, labels):
    """How many images a module gets right."""
    with torch.inference_mode():
        return int((model(images).argmax(1) == labels).sum())


def python(source, folder):
    """What a Python says that runs `source` in `folder`, as a user would, with nothing on its path."""
    plain = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, "-c", source], cwd=folder, env=plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# -------------------------------------------------------------------------------------------------- one module


@pytest.mark.parametrize("cell", [LENET, RESNET], ids=["lenet", "resnet"])
@pytest.mark.parametrize(("epoch", "file"), [(0, "epoch_0"), (1, "epoch_1"), ("last", "epoch_2"), ("best", "best")])
def test_load_is_the_snapshot_bit_for_bit(finished, cell, epoch, file):
    model = wa.load(cell, 1, epoch, root=finished.root)
    block = finished.root / "results/cells" / the_id(finished.root, cell) / "seeds_0-2"
    kept = load_file(block / f"snapshots/seed1/{file}.safetensors")
    state = model.state_dict()
    assert state.keys() == kept.keys()
    for name, tensor in state.items():
        assert tensor.device.type == "cpu" and tensor.numpy().tobytes() == kept[name].tobytes(), name
    assert not any(part.training for part in model.modules())


def test_what_is_done_to_the_module_leaves_the_file(finished):
    before = finished.weights()
    model = wa.load(LENET, root=finished.root)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert finished.weights() == before
    assert all(parameter.any() for parameter in wa.load(LENET, root=finished.root).parameters())


def test_an_id_a_part_of_it_and_labels_name_the_same_cell(finished):
    cell_id = the_id(finished.root, LENET)
    wanted = wa.load(cell_id, root=finished.root).state_dict()
    for cell in (cell_id[-10:], "lenet1-source-sgd", LENET, {"role": "grid"} | LENET):
        found = wa.load(cell, root=finished.root).state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items()), cell


def test_of_several_cells_that_fit_the_one_in_the_grid_is_taken(finished):
    labels = {"dataset": "digits", "network": "lenet1", "init": "kaiming_uniform", "optimizer": "sgd"}
    roles = {row["role"]: row["cell_id"] for row in listed(finished.root, **labels)}
    assert roles.keys() == {"grid", "perturbed", "control"}
    for wanted, role in ((labels, "grid"), (labels | {"perturbation": "flip"}, "perturbed")):
        found = wa.load(wanted, epoch=0, root=finished.root).state_dict()
        kept = load_file(finished.root / f"results/cells/{roles[role]}/seeds_0-2/snapshots/seed0/epoch_0.safetensors")
        assert all(np.array_equal(tensor.numpy(), kept[name]) for name, tensor in found.items())


# --------------------------------------------------------------------------------------- exhibits of the report


def test_an_exhibit_has_the_numbers_and_the_words_of_the_report(finished):
    [made] = wa.exhibits("movement", root=finished.root)
    folder = finished.root / "results/tiny/figures/dynamics"
    assert schema.frame_text(made.data) == (folder / "movement.csv").read_text(encoding="utf-8")
    told = store.read_json(folder / "exhibits.json")["exhibits"]
    [entry] = [one for one in told if one["name"] == "movement"]
    assert made.figure is not None and (made.title, made.alt) == (entry["title"], entry["alt"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"which": "movment"}, "no function is called 'movment'; did you mean 'movement'?"),
        ({"which": "movement", "study": "dynamic"}, "no study 'dynamic'; there are: dynamics"),
    ],
)
def test_what_is_no_exhibit_is_refused(finished, asked, message):
    with pytest.raises(ValueError) as error:
        wa.exhibits(**asked, root=finished.root)
    assert str(error.value) == message


# ------------------------------------------------------------------------------------------------- its images


@pytest.mark.parametrize("cell", [LENET, RESNET], ids=["lenet", "resnet"])
def test_accuracies_are_those_of_the_metrics_and_of_the_table(finished, cell):
    root, cell_id = finished.root, the_id(finished.root, cell)
    shown = {split: wa.images(cell, split, root=root) for split in ("valid", "test")}
    for row in rows(root / f"results/cells/{cell_id}/seeds_0-2/metrics.csv"):
        model = wa.load(cell, int(row["seed"]), int(row["epoch"]), root=root)
        for split, (images, labels) in shown.items():
            assert right(model, images, labels) / len(labels) == pytest.approx(float(row[f"{split}_accuracy"]))
    told = [row for row in rows(root / "results/tiny/tables/accuracy.csv") if row["cell_id"] == cell_id]
    for protocol, epoch in (("last", "last"), ("best_valid", "best")):
        own = {int(row["seed"]): float(row["accuracy"]) for row in told if row["protocol"] == protocol}
        assert own.keys() == {0, 1, 2}
        for seed, accuracy in own.items():
            model = wa.load(cell, seed, epoch, root=root)
            assert right(model, *shown["test"]) / len(shown["test"][1]) == pytest.approx(accuracy)


def test_images_are_those_of_the_split_padded_and_normalised(finished):
    (row,) = listed(finished.root, role="grid", **LENET)
    kept, card = load_file(finished.root / row["data"]), store.read_json(finished.root / row["card"])
    for number, split in enumerate(("train", "valid", "test")):
        images, labels = wa.images(LENET, split, root=finished.root)
        chosen = kept["split"] == number
        edge = (json.loads(row["cell"])["input"]["size"] - 28) // 2
        padded = np.pad(kept["images"][chosen].astype(float), [(0, 0), (0, 0), (edge, edge), (edge, edge)])
        wanted = (padded / 255 - card["mean"][0]) / card["std"][0]
        assert images.dtype == torch.float32 and np.allclose(images.numpy(), wanted, atol=1e-5)
        assert labels.dtype == torch.int64 and labels.tolist() == kept["labels"][chosen].tolist()
        assert len(labels) == {"train": 120, "valid": 40, "test": 40}[split]


# ---------------------------------------------------------------------------------------------------- the tables


def test_every_table_is_its_csv_with_the_labels(finished):
    named = {row["cell_id"]: row for row in rows(finished.root / "results/tiny/cells.csv")}
    found = sorted((finished.root / "results/tiny/tables").glob("*.csv"))
    assert len(found) > 20
    for path in found:
        table = wa.table(path.stem, root=finished.root)
        plain = rows(path)
        assert len(table) == len(plain), path
        for (_, row), wanted in zip(table.iterrows(), plain, strict=True):
            for column, text in wanted.items():
                value = row[column]
                same = value == "" or pd.isna(value)
                same = same if text == "" else str(value) == text or float(value) == float(text)
                assert same, (path, column, value, text)
            key = next((column for column in ("cell_id", "cell_a") if column in wanted), None)
            if key and "study" not in wanted:
                for label in ("study", "kind", "role", "dataset", "network", "init", "optimizer", "perturbation"):
                    assert row[label] == named[wanted[key]][label], (path, label)


def test_the_cells_are_those_of_the_csv(finished):
    found = wa.cells(root=finished.root)
    plain = rows(finished.root / "results/tiny/cells.csv")
    assert list(found.columns) == list(plain[0]) and wa.table("cells", root=finished.root).equals(found)
    assert found.pop("cell").tolist() == [json.loads(row.pop("cell")) for row in plain]
    assert found.astype(str).to_dict("records") == plain


@pytest.fixture
def shared(tmp_path):
    """Results by hand: a cell of two studies, with labels that look like numbers, and an axis called as a column."""
    folder = tmp_path / "results/mine"
    columns = [*schema.names("cells"), "epoch"]
    plain = dict.fromkeys(columns, "") | {"kind": "base", "role": "grid", "network": "nan", "init": "1", "cell": "{}"}
    plain |= {"cell_id": "base-a", "replicates": "1", "parameters": "7"}
    studies = [{"study": "one", "epoch": "few"}, {"study": "two", "epoch": "many"}]
    studies.append({"study": "two", "epoch": "few", "cell_id": "base-b"})
    folder.mkdir(parents=True)
    write_table(folder / "cells.csv", pd.DataFrame([plain | study for study in studies]))
    metrics = {"cell_id": ["base-a", "base-b"], "seed": 0, "epoch": 1, "test_loss": [0.1, math.nan]}
    write_table(folder / "tables/metrics.csv", pd.DataFrame(metrics))
    pairs = {"cell_a": ["base-b"], "cell_b": ["base-a"], "level_a": ["1"], "distance": [0.1 + 0.2]}
    write_table(folder / "tables/pairs.csv", pd.DataFrame(pairs))
    return tmp_path


def test_a_shared_cell_has_its_rows_once_a_study(shared):
    found = wa.table("metrics", root=shared)
    assert found["cell_id"].tolist() == ["base-a", "base-a", "base-b"]
    assert found["study"].tolist() == ["one", "two", "two"]
    assert found["epoch"].tolist() == [1, 1, 1] and found["epoch_label"].tolist() == ["few", "many", "few"]
    assert set(found["network"]) == {"nan"} and set(found["init"]) == {"1"}
    assert found["test_loss"].isna().tolist() == [False, False, True]


def test_a_pair_has_the_labels_of_its_first_cell(shared):
    (found,) = wa.table("pairs", root=shared).to_dict("records")
    assert found["epoch"] == "few" and found["study"] == "two" and found["level_a"] == "1"
    assert found["distance"] == 0.1 + 0.2


# ------------------------------------------------------------------------------------- which results, and errors


def test_one_config_alone_or_the_tour_or_the_one_that_is_named(shared):
    assert set(wa.cells(root=shared)["study"]) == {"one", "two"}
    other = shutil.copytree(shared / "results/mine", shared / "results/other")
    with pytest.raises(ValueError, match="^several configs have results; give name=; there are: mine, other$"):
        wa.cells(root=shared)
    text = (other / "cells.csv").read_text()
    (shutil.copytree(other, shared / "results/tour") / "cells.csv").write_text(text.replace(",one,", ",toured,"))
    assert "toured" in set(wa.cells(root=shared)["study"])
    assert "toured" not in set(wa.cells(root=shared, name="mine")["study"])


def test_the_current_folder_is_looked_in_first(shared, monkeypatch):
    monkeypatch.chdir(shared)
    assert set(wa.cells()["study"]) == {"one", "two"}


WRONG = {
    "nearest": (lambda root: wa.load("base-digits-lenet2-source-sgd", root=root), "no cell .*base-digits-lenet1-so"),
    "several ids": (lambda root: wa.load("lenet1", root=root), "'lenet1' is a part of 7 ids; give more of one: bas"),
    "several": (lambda root: wa.load(LENET | {"optimizer": "adam"} | {"init": "kai"}, root=root), "no cell has ini"),
    "axis": (lambda root: wa.load({"net": "lenet1"}, root=root), "no label is called 'net'; allowed: study, kind"),
    "labels": (
        lambda root: wa.load({"network": "lenet1"}, root=root),
        r"4 cells have .*give more of init \(kaiming_uniform, pretr",
    ),
    "none": (lambda root: wa.load(RESNET | {"init": "pretrained"}, root=root), "no cell has all of the labels"),
    "seed": (lambda root: wa.load(LENET, 3, root=root), "has no seed 3; there are: 0, 1, 2$"),
    "epoch": (lambda root: wa.load(LENET, 0, 9, root=root), "has no snapshot 9; there are: 0, 1, 2, best$"),
    "word": (lambda root: wa.load(LENET, 0, "first", root=root), "no snapshot 'first'; there are: 0, 1, 2, best$"),
    "split": (lambda root: wa.images(LENET, "tset", root=root), "no split 'tset'; allowed: train, valid, test$"),
    "table": (lambda root: wa.table("acuracy", root=root), "no table 'acuracy' in .*; there are: accuracy, afterm"),
    "config": (lambda root: wa.cells(name="other", root=root), "no results of a config 'other'; there are: tiny$"),
    "root": (lambda root: wa.cells(root=root / "data"), "no results in .*/data/results; run the workflow first, or"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_errors_are_one_line_that_says_what_to_do(finished, wrong):
    call, words = WRONG[wrong]
    with pytest.raises(ValueError, match=words) as caught:
        call(finished.root)
    assert "\n" not in str(caught.value)


def test_what_is_not_trained_or_prepared_any_more_is_said(finished, tmp_path):
    cell_id = the_id(finished.root, LENET)
    (block,) = (finished.root / "results/cells" / cell_id).iterdir()
    (tmp_path / "results/tiny").mkdir(parents=True)
    shutil.copy(finished.root / "results/tiny/cells.csv", tmp_path / "results/tiny")
    with pytest.raises(ValueError, match="seed 0 is not trained: .*run.json: is missing; run the workflow"):
        wa.load(cell_id, root=tmp_path)
    with pytest.raises(ValueError, match="the prepared data set is missing; run the workflow again"):
        wa.images(cell_id, root=tmp_path)
    copied = shutil.copytree(block, tmp_path / "results/cells" / cell_id / block.name)
    run = store.read_json(copied / "run.json")
    run["replicates"][0] |= {"status": "failed", "cause": "out of memory", "epochs": 0}
    store.write_json(copied / "run.json", run)
    (copied / "snapshots/seed0/epoch_0.safetensors").unlink()
    with pytest.raises(ValueError, match=r"seed 0 \(failed: out of memory\) has no snapshot 'last'; there are: best$"):
        wa.load(cell_id, root=tmp_path)
    store.save_tensors(copied / "snapshots/seed1/epoch_2.safetensors", {"other.weight": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match="seed1/epoch_2.safetensors was altered.*run.json and run the workflow again"):
        wa.load(cell_id, 1, root=tmp_path)
    blocks.again(copied)
    with pytest.raises(
        ValueError, match="does not fit the network as scripts/weight_atlas/networks/architectures/lenet1.py has it now"
    ):
        wa.load(cell_id, 1, root=tmp_path)


# ------------------------------------------------------------------------------------- what the workflow sees of it


def test_no_rule_depends_on_the_api():
    """An edit of it reruns nothing: no command and no network imports it, though `weight_atlas` hands its functions
    on."""
    files = [str(path.relative_to(ROOT / "scripts")) for path in (ROOT / "scripts").rglob("*.py")]
    others = code.closure(*(file for file in files if file != "weight_atlas/api.py"))
    assert {
        "train.py",
        "measure.py",
        "weight_atlas/__init__.py",
        "weight_atlas/networks/architectures/lenet5.py",
    } <= set(others)
    assert "weight_atlas/api.py" not in others
    assert "weight_atlas/api.py" in code.closure("weight_atlas/api.py")


def test_importing_weight_atlas_imports_neither_torch_nor_pandas(finished):
    source = "import sys; sys.path.insert(0, 'scripts'); import weight_atlas as wa; wa.load; "
    assert python(source + "print({'torch', 'pandas'} & {*sys.modules})", finished.root) == "set()\n"


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'weight_atlas' has no attribute 'loda'"):
        wa.loda  # noqa: B018


# ------------------------------------------------------------------------------------------ the docs, the notebook


def test_the_example_of_the_docs_runs(finished):
    (example, _, _) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/notebook.md").read_text(), re.M | re.S)
    assert example.count("lenet5") == 1
    said = python(example.replace("lenet5", "lenet1"), finished.root)
    cell_id = the_id(finished.root, LENET)
    (told,) = (
        float(row["accuracy"])
        for row in rows(finished.root / "results/tiny/tables/accuracy.csv")
        if (row["cell_id"], row["seed"], row["protocol"]) == (cell_id, "0", "last")
    )
    assert float(re.search(r"^accuracy (\S+)$", said, re.M)[1]) == pytest.approx(told)
    assert len(re.findall(r"^\d+ +dynamics +", said, re.M)) == len(listed(finished.root))


def test_the_notebook_is_whole_and_kept_without_outputs():
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    assert {cell.cell_type for cell in book.cells} == {"markdown", "code"}
    for cell in book.cells:
        assert cell.cell_type == "markdown" or (cell.outputs == [] and cell.execution_count is None)


def test_the_notebook_runs_and_says_the_same_accuracy_twice(finished, tmp_path):
    """Its code, cell by cell in one Python, in a folder `examples` beside the scripts."""
    (tmp_path / "scripts").symlink_to(finished.root / "scripts")
    (tmp_path / "examples").mkdir()
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    said = python("\n".join([*cells, "plt.savefig('figure.png')"]), tmp_path / "examples")
    by_hand, told = (re.search(rf"^{words}: +(0\.\d+)", said, re.M)[1] for words in ("by hand", "in the table"))
    assert by_hand == told
    figure = np.asarray(Image.open(tmp_path / "examples/figure.png").convert("L"))
    inked = (figure < 250).any(axis=0)
    assert inked[: len(inked) // 2].any() and inked[len(inked) // 2 :].any()
