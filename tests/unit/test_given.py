"""Checkpoints of the user's own: which files they are and in what order, whether they fit, and what becomes of them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import headers
import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from weight_atlas import cell_table, networks, schema, store
from weight_atlas.analysis import group
from weight_atlas.analysis.runs import given as laid
from weight_atlas.plan import checks, cost, given, outcome, study

ROOT = Path(__file__).resolve().parents[2]


def tensors(network="lenet1", channels=1, size=28, classes=10, seed=0):
    """Normally distributed weights by their torch names, running statistics of a start."""
    table = networks.layer_table({"architecture": network}, channels, networks.input_size(network, size), classes)
    draw = np.random.default_rng(seed)
    found = {name: draw.normal(0, 0.1, shape).astype(np.float32) for name, shape in table.parameters()}
    for name, shape in table.buffers():
        found[name] = np.zeros(shape, np.int64) if name.endswith("tracked") else np.ones(shape, np.float32)
    return found


def write(folder, *names, **kind):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        save_file(tensors(seed=number, **kind), folder / f"{name}.safetensors")


def config(root, **asked):
    return {
        "name": "mine",
        "data_root": str(root),
        "networks": {"lenet1": {}, "resnet18": {"width": 0.0625}},
        "given": {"run": {"network": "lenet1", "files": "run"} | asked},
    }


def planned(root, **asked):
    return study.Plan(config(root, **asked), Path("nowhere"))


def only(plan):
    [cell] = plan.cells.values()
    return cell


# ---------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize(
    ("names", "epochs"),
    [
        (["epoch_10", "epoch_2", "epoch_0"], {"epoch_0": 0, "epoch_2": 2, "epoch_10": 10}),
        (
            ["lenet5_Epoch-7_acc0.91", "lenet5_Epoch-30_acc0.95"],
            {"lenet5_Epoch-7_acc0.91": 7, "lenet5_Epoch-30_acc0.95": 30},
        ),
        (["step000500", "step001000"], {"step000500": 500, "step001000": 1000}),
        (["trained", "begun"], {"begun": 0, "trained": 1}),
        (["epoch_1", "best", "track", "optimizer", "epoch_0"], {"epoch_0": 0, "epoch_1": 1}),
    ],
)
def test_a_folder_is_a_series_in_the_order_of_its_numbers(tmp_path, names, epochs):
    write(tmp_path / "run", *names)
    [files], found = given.series("run", tmp_path)
    assert dict(zip([file.stem for file in files], found, strict=True)) == epochs


def test_a_list_keeps_its_order_and_several_folders_are_replicates(tmp_path):
    write(tmp_path / "a", "first", "second", "epoch_4", "epoch_3")
    listed = [f"a/{name}.safetensors" for name in ("second", "first")]
    [files], epochs = given.series(listed, tmp_path)
    assert [file.stem for file in files] == ["second", "first"] and epochs == [0, 1]
    rising, falling = [["epoch_3", "epoch_4"], ["epoch_4", "epoch_3"]]
    assert given.series([f"a/{name}.safetensors" for name in rising], tmp_path)[1] == [3, 4]
    assert given.series([f"a/{name}.safetensors" for name in falling], tmp_path)[1] == [0, 1]
    for seed in (0, 1):
        write(tmp_path / f"b/{seed}", "epoch_1", "epoch_5")
    files, epochs = given.series(["b/1", "b/0"], tmp_path)
    assert epochs == [1, 5] and [file.parent.name for own in files for file in own] == ["1", "1", "0", "0"]
    plan = planned(tmp_path, files=["b/1", "b/0"])
    assert plan.blocks == {only(plan).cell_id: [(0, 1)]} and only(plan).settings.json["snapshots"] == [1, 5]


def test_the_fingerprint_follows_the_content(tmp_path):
    write(tmp_path / "run", "epoch_0", "epoch_1")
    files = sorted((tmp_path / "run").iterdir())
    before = given.fingerprint(files)
    assert given.fingerprint(files) == before
    changed = bytearray(files[1].read_bytes())
    changed[-1] ^= 1
    files[1].write_bytes(changed)
    assert given.fingerprint(files) != before


def started(root, series=2, replicates=2, **source):
    """A config that trains a cell from given checkpoints."""
    for seed in range(series):
        write(root / f"run/{seed}", "epoch_0", "epoch_2")
    asked = config(root, files=[f"run/{seed}" for seed in range(series)]) | {"replicates": replicates}
    asked |= {"datasets": {"digits": {"source": "digits"}}, "optimizers": {"sgd": {"type": "sgd"}}}
    asked |= {"sources": {"theirs": {"given": "run"} | source}, "inits": {"theirs": {"source": "theirs"}}}
    grid = {"dataset": ["digits"], "network": ["lenet1"], "init": ["theirs", "default"], "optimizer": ["sgd"]}
    return asked | {"definitions": {"tuned": {"grid": grid, "given": ["run"]}}}


def test_given_checkpoints_start_cells(tmp_path):
    plan = study.Plan(started(tmp_path), Path("nowhere"))
    [parent] = [cell for cell in plan.cells.values() if cell.kind == "given"]
    [child] = [cell for cell in plan.cells.values() if cell.parent]
    assert child.parent == parent.cell_id and child.settings.start.taken_snapshot(parent.settings.epochs) == 2
    roles = {(entry.role, entry.cell_id) for entry in plan.entries}
    assert {("source", parent.cell_id), ("grid", parent.cell_id), ("grid", child.cell_id)} <= roles
    [experiment] = plan.experiments
    assert [(axis.name, axis.levels) for axis in experiment.axes] == [("init", ("theirs", "default"))]
    assert plan.parent_blocks(child.cell_id, (0, 1)) == [f"results/cells/{parent.cell_id}/seeds_0-1"]


UNSTARTED = {
    "too few series": (
        {"series": 1},
        {},
        ["replicates: 2 of a cell start from", "which are 1 series; lower replicates"],
    ),
    "more than given": ({"init": "default"}, {}, ["sources.theirs: names `given` and `init`; allowed: `given` alone"]),
    "not given": ({"given": None}, {}, ["sources.theirs: names no `dataset`; allowed: with `dataset`, `init` and"]),
    "given unknown": ({"given": "runs"}, {}, ["sources.theirs.given: 'runs'", "did you mean 'run'?"]),
    "the best of none": ({}, {"take": "best"}, ["inits.theirs.take: 'best' is not known; give given.run.dataset"]),
    "no such epoch": ({}, {"take": 1}, ["inits.theirs.take: epoch 1 of the cell is not kept; its kept epochs: 0, 2"]),
}


@pytest.mark.parametrize("case", UNSTARTED)
def test_what_cannot_start_a_cell_is_said_in_one_line(tmp_path, case):
    source, init, words = UNSTARTED[case]
    asked = started(tmp_path, **source)
    asked["inits"]["theirs"] |= init
    with pytest.raises(checks.ConfigError) as error:
        study.Plan(asked, Path("nowhere"))
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value


def lent(root, **transfer):
    """A config that copies the first layers of given checkpoints, frozen, into cells of its grid's recipe."""
    asked = started(root)
    [grid] = [study["grid"] for study in asked["definitions"].values()]
    own = {"grid": grid | {"init": ["default"]}, "transfer": {"lent": {"base": "run", "target": "digits"} | transfer}}
    return asked | {"definitions": {"lent": own}}


def test_given_checkpoints_are_the_base_of_a_transfer(tmp_path):
    plan = study.Plan(lent(tmp_path, take="last"), Path("nowhere"))
    [parent] = [cell for cell in plan.cells.values() if cell.kind == "given"]
    assert {(entry.role, entry.cell_id) for entry in plan.entries} >= {("source", parent.cell_id)}
    moved = [entry for entry in plan.entries if entry.role == "transfer"]
    assert [(entry.labels["base"], entry.labels["depth"]) for entry in moved] == [
        ("run", "0"),
        ("run", "1"),
        ("run", "2"),
    ]
    for entry in moved:
        cell, depth = plan.cells[entry.cell_id], int(entry.labels["depth"])
        assert cell.parent == (parent.cell_id if depth else None)
        assert cell.settings.training.stages[0].frozen == depth
        assert cell.settings.start.taken_snapshot(parent.settings.epochs) == 2
    with pytest.raises(checks.ConfigError, match="take: 'best' is not known; give given.run.dataset, or take an epoch"):
        study.Plan(lent(tmp_path), Path("nowhere"))
    with pytest.raises(
        checks.ConfigError, match="base: no cell of the grid has the data set 'runs'; did you mean 'run'"
    ):
        study.Plan(lent(tmp_path, base="runs"), Path("nowhere"))
    with pytest.raises(
        checks.ConfigError, match="target: no cell of the grid has the data set 'other' and the network"
    ):
        study.Plan(lent(tmp_path, take="last", target="other"), Path("nowhere"))


def test_tensors_without_a_network_start_no_cell(tmp_path):
    asked = started(tmp_path)
    del asked["given"]["run"]["network"]
    with pytest.raises(checks.ConfigError, match="sources.theirs.given: 'run' names no network; a cell starts from"):
        study.Plan(asked, Path("nowhere"))


def test_given_networks_are_aligned(tmp_path, monkeypatch):
    """A copy with its channels in another order is the same network, once they are matched."""
    monkeypatch.chdir(tmp_path)
    one = tensors()
    first, second = np.array([2, 0, 3, 1]), np.random.default_rng(2).permutation(12)
    other = {name: one[name][first] for name in ("conv1.weight", "conv1.bias")}
    other |= {"conv2.weight": one["conv2.weight"][second][:, first], "conv2.bias": one["conv2.bias"][second]}
    columns = one["fc.weight"].reshape(10, 12, 16)[:, second].reshape(10, 192)
    other |= {"fc.weight": columns, "fc.bias": one["fc.bias"]}
    for name, found in {"one": one, "other": other}.items():
        (tmp_path / name).mkdir()
        save_file({key: np.ascontiguousarray(value) for key, value in found.items()}, tmp_path / name / "a.safetensors")
    asked = config(tmp_path)
    asked["given"] = {name: {"network": "lenet1", "files": name} for name in ("one", "other")}
    plan = study.Plan(asked, tmp_path)
    rows, [named] = plan.rows(), plan.groups
    header = schema.header("cells", list(rows[0]))
    schema.write(tmp_path / "cells.csv", "cells", ([row[key] for key in header] for row in rows), header=header)
    for cell in plan.cells.values():
        laid.lay_out(
            cell.cell_id, cell.settings, cell.files[0], None, None, Path(f"results/cells/{cell.cell_id}/seeds_0-0")
        )
    group.measure(cell_table.grouped("cells.csv", named), None, None, tmp_path / "measures")
    frame = schema.read(tmp_path / "measures/correlations.csv", "correlations")
    frame = frame[(frame["comparison"] == "models") & (frame["parameter"] == "weight")].set_index(["matching", "layer"])
    assert set(frame.index.levels[0]) == {"raw", "permuted", "signed"}
    assert frame.loc["permuted", "pearson"].to_numpy() == pytest.approx(1, abs=1e-12)
    assert frame.loc["raw", "pearson"].abs().max() < 0.6


# ------------------------------------------------------------------------------------------- what is refused


def spoiled(root, change):
    """A series of two files, of which the second one's tensors went through `change`."""
    write(root / "run", "epoch_0", "epoch_1")
    path = root / "run/epoch_1.safetensors"
    found = load_file(path)
    change(found)
    save_file(found, path)


def renumbered(root):
    """A file of which the metadata hold a number, which the safetensors library refuses."""
    write(root / "run", "epoch_0")
    path = root / "run/epoch_0.safetensors"
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length]) | {"__metadata__": {"epoch": 3}}
    path.write_bytes(headers.of(header, path.read_bytes()[8 + length :]))


def lacking(found):
    found["module.conv1.bias"] = found.pop("conv1.bias")


WRONG = {
    "a tensor missing": (lambda root: spoiled(root, lacking), {}, ["epoch_1", "conv1.bias", "module.conv1.bias"]),
    "a tensor too many": (
        lambda root: spoiled(root, lambda found: found.update(ema=np.zeros(3, np.float32))),
        {},
        ["epoch_1.safetensors", "lenet1", "ema", "too many"],
    ),
    "another shape": (
        lambda root: spoiled(root, lambda found: found.update({"fc.bias": np.zeros(3, np.float32)})),
        {},
        ["epoch_1.safetensors", "fc.bias", "[3]", "[10]"],
    ),
    "another type": (
        lambda root: spoiled(root, lambda found: found.update({"fc.bias": np.zeros(10, np.int32)})),
        {},
        ["epoch_1.safetensors", "fc.bias", "I32", "F32"],
    ),
    "another network": (lambda root: write(root / "run", "a", network="lenet5"), {}, ["a.safetensors", "lenet1"]),
    "an unknown network": (
        lambda root: write(root / "run", "a"),
        {"network": "net"},
        ["run.network", "'net'", "lenet1"],
    ),
    "no such folder": (lambda root: write(root / "runs", "a"), {}, ["run is not there", "runs", "data_root"]),
    "no such file": (
        lambda root: write(root / "run", "epoch_1"),
        {"files": ["run/epoch_2.safetensors"]},
        ["epoch_2.safetensors is not there", "epoch_1.safetensors"],
    ),
    "an empty folder": (lambda root: (root / "run").mkdir(), {}, ["has no *.safetensors file", "nothing"]),
    "pickles": (
        lambda root: [(root / "run").mkdir(), (root / "run/epoch_1.pt").write_bytes(b"never read")],
        {},
        ["epoch_1.pt", "pickle", "torch.load", "save_file", "epoch_1.safetensors"],
    ),
    "a pickle by name": (
        lambda root: [(root / "run").mkdir(), (root / "run/1.pth").write_bytes(b"never read")],
        {"files": ["run/1.pth"]},
        ["1.pth", "pickle", "torch.load"],
    ),
    "no safetensors": (
        lambda root: [(root / "run").mkdir(), (root / "run/1.safetensors").write_bytes(b"something else")],
        {},
        ["1.safetensors", "not a whole safetensors file"],
    ),
    "a number in the metadata": (
        renumbered,
        {},
        [
            "given.run: ",
            "epoch_0.safetensors",
            "(__metadata__: epoch is 3; allowed: texts); replace it, or leave it out",
        ],
    ),
    "a tensor of an odd name": (
        lambda root: spoiled(root, lambda found: found.update({"a\nb": np.zeros(3, np.float32)})),
        {},
        ["it has a tensor 'a\\nb' too many"],
    ),
    "an odd digit": (lambda root: write(root / "run", "²", "epoch_1"), {}, ["²", "has no number"]),
    "a part of a snapshot": (
        lambda root: [
            (root / "run").mkdir(),
            store.save_tensors(root / "run/epoch_1.safetensors", {}, {"rest": "epoch_0.safetensors"}),
        ],
        {},
        ["the tensors that it shares with epoch_0.safetensors are gone with it; put that file beside it"],
    ),
    "some without a number": (
        lambda root: write(root / "run", "start", "epoch_1"),
        {},
        ["order", "start.safetensors has no number", "list"],
    ),
    "two of an epoch": (
        lambda root: write(root / "run", "a1", "a2", "b1", "b2"),
        {},
        ["a1.safetensors and b1.safetensors", "list"],
    ),
    "a file beside folders": (
        lambda root: write(root / "run", "a1"),
        {"files": ["run", "run/a1.safetensors"]},
        ["a1.safetensors", "folder per replicate"],
    ),
    "replicates of other epochs": (
        lambda root: [write(root / "run/0", "epoch_1"), write(root / "run/1", "epoch_2")],
        {"files": ["run/0", "run/1"]},
        ["run/1", "epochs 2", "give each replicate the same"],
    ),
    "a size that shapes do not tell": (
        lambda root: write(root / "run", "a", network="resnet18"),
        {"network": "wide"},
        ["given.run", "size: is missing", "1 to 512"],
    ),
    "size and data set": (
        lambda root: write(root / "run", "a"),
        {"dataset": "digits", "size": 28},
        ["given.run", "size"],
    ),
    "an unknown data set": (
        lambda root: write(root / "run", "a"),
        {"dataset": "mnist"},
        ["run.dataset", "mnist", "digits"],
    ),
    "too many classes": (
        lambda root: write(root / "run", "a", classes=4),
        {"dataset": "digits"},
        ["run.dataset", "10 classes", "4 outputs"],
    ),
    "pictures of another size": (
        lambda root: write(root / "run", "a", size=40),
        {"dataset": "digits"},
        ["a.safetensors", "fc.weight", "the size"],
    ),
    "colours on grey": (
        lambda root: write(root / "run", "a"),
        {"dataset": "coloured"},
        ["run.dataset", "3 channels", "takes 1"],
    ),
    "an unknown key": (lambda root: write(root / "run", "a"), {"epochs": 3}, ["given.run", "'epochs'", "files"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_said_in_one_line(tmp_path, case):
    make, asked, words = WRONG[case]
    make(tmp_path)
    wrong = config(tmp_path, **asked)
    wrong["networks"]["wide"] = {"architecture": "resnet18"}
    wrong["datasets"] = {"digits": {"source": "digits"}, "coloured": {"source": "digits", "channels": 3}}
    with pytest.raises(checks.ConfigError) as error:
        study.Plan(wrong, Path("nowhere"))
    said = str(error.value)
    assert "\n" not in said and all(word in said for word in words), said


def test_a_snapshot_that_leaves_tensors_to_the_start_is_whole_with_it(tmp_path):
    """As training writes them where layers are frozen."""
    whole, trained = tensors(seed=0), tensors(seed=1)
    own = {name: trained[name] for name in list(trained)[2:]}
    store.save_tensors(tmp_path / "run/epoch_0.safetensors", whole)
    store.save_tensors(tmp_path / "run/epoch_1.safetensors", own, {"rest": "epoch_0.safetensors"})
    cell = only(planned(tmp_path))
    block = tmp_path / "results" / cell.cell_id / "seeds_0-0"
    laid.lay_out(cell.cell_id, cell.settings, cell.files[0], None, None, block)
    read = store.load_arrays(store.snapshot_path(block, 0, 1))
    assert all(np.array_equal(read[name], (whole | own)[name]) for name in whole)


def test_the_line_on_pickles_converts_one(tmp_path):
    """The command that the message gives is the one that is run, and then the file fits."""
    folder = tmp_path / "run"
    folder.mkdir()
    torch.save({name: torch.from_numpy(value) for name, value in tensors().items()}, folder / "epoch_1.pt")
    with pytest.raises(checks.ConfigError) as error:
        planned(tmp_path)
    command = str(error.value).partition('python -c "')[2].removesuffix('"')
    subprocess.run([sys.executable, "-c", command], check=True)
    assert only(planned(tmp_path)).settings.json["snapshots"] == [1]


# ------------------------------------------------------------------------------------------------- the cells


@pytest.mark.parametrize(
    ("network", "channels", "size", "classes"),
    [("lenet1", 1, 28, 10), ("lenet5", 3, 32, 7), ("simple_cnn", 1, 64, 3), ("convnet_a", 3, 96, 100)],
)
def test_the_input_is_read_from_the_shapes(tmp_path, network, channels, size, classes):
    write(tmp_path / "run", "a", network=network, channels=channels, size=size, classes=classes)
    asked = config(tmp_path, network="net") | {"networks": {"net": {"architecture": network}}}
    settings = only(study.Plan(asked, Path("nowhere"))).settings.json
    assert settings["input"]["channels"] == channels and settings["classes"] == classes
    table = networks.layer_table({"architecture": network}, channels, settings["input"]["size"], classes)
    assert dict(table.parameters()) == {
        name: x.shape
        for name, x in tensors(network, channels, size, classes).items()
        if "running" not in name and "tracked" not in name
    }
    assert settings["input"]["size"] <= size < settings["input"]["size"] + 8


def test_a_size_that_is_given_is_taken(tmp_path):
    (tmp_path / "run").mkdir()
    table = networks.layer_table({"architecture": "resnet18", "width": 0.0625}, 3, 48, 10)
    found = {name: np.zeros(shape, np.float32) for name, shape in (*table.parameters(), *table.buffers())}
    found = {name: x.astype(np.int64) if name.endswith("tracked") else x for name, x in found.items()}
    save_file(found, tmp_path / "run/a.safetensors")
    assert only(planned(tmp_path, network="resnet18", size=48)).settings.json["input"] == {"channels": 3, "size": 48}


def test_an_id_follows_what_is_given_and_not_where(tmp_path):
    for place in ("here", "there"):
        write(tmp_path / place / "run", "epoch_0")
        write(tmp_path / place / "other", "epoch_0")
    cell = only(planned(tmp_path / "here"))
    assert cell.cell_id.startswith("given-lenet1-run-") and cell.kind == "given"
    assert only(planned(tmp_path / "there")).cell_id == cell.cell_id
    write(tmp_path / "here/run", "epoch_0", "epoch_1")
    assert only(planned(tmp_path / "here")).cell_id == cell.cell_id, "a series that grows stays the same cell"
    assert only(planned(tmp_path / "here", files="other")).cell_id != cell.cell_id
    seen = config(tmp_path / "here", dataset="digits") | {"datasets": {"digits": {"source": "digits"}}}
    [other] = study.Plan(seen, Path("nowhere")).cells.values()
    assert other.cell_id.startswith("given-digits-lenet1-run-")


def test_what_no_study_names_is_a_study_of_its_own(tmp_path):
    write(tmp_path / "run", "epoch_0", "epoch_3")
    write(tmp_path / "other", "epoch_0")
    asked = config(tmp_path)
    asked["given"]["other"] = {"network": "lenet1", "files": "other"}
    plan = study.Plan(asked, Path("nowhere"))
    assert plan.config.asked == ["given"] and plan.datasets == {}
    assert plan.config.definitions["given"].document is None
    assert [entry.labels["given"] for entry in plan.entries] == ["run", "other"]
    assert [entry.checkpoints for entry in plan.entries] == [{"first": 0, "last": 3}, {"first": 0}]
    asked["definitions"] = {"mine": {"given": ["other"], "title": "Another"}}
    assert study.Plan(asked, Path("nowhere")).config.asked == ["mine", "given"]
    asked["definitions"]["mine"]["given"].append("run")
    plan = study.Plan(asked, Path("nowhere"))
    assert plan.config.asked == ["mine"] and len(plan.groups) == 1
    again = plan.config.model_dump(mode="json")
    assert study.Plan(again, Path("nowhere")).rows() == plan.rows(), "a config in full says the same"


def test_given_cells_stand_beside_trained_ones(tmp_path):
    write(tmp_path / "run", "epoch_0", "epoch_3")
    asked = config(tmp_path, dataset="digits") | {
        "datasets": {"digits": {"source": "digits"}},
        "optimizers": {"sgd": {"type": "sgd"}},
    }
    grid = {"dataset": ["digits"], "network": ["lenet1"], "init": ["default"], "optimizer": ["sgd"]}
    asked["definitions"] = {"both": {"grid": grid, "given": ["run"]}}
    plan = study.Plan(asked, tmp_path)
    assert [cell.kind for cell in plan.cells.values()] == ["given", "base"] and len(plan.groups) == 1
    assert plan.replicates == dict(zip(plan.cells, (1, 3), strict=True))
    text = outcome.table(plan, [study.block_path(cell_id, block) for cell_id, block in outcome.trained(plan)])
    assert "study both: 1 cells in the grid; apart: 1 given cells" in text
    assert "cells     2 (3 trainings" in text and "1 training jobs to do, 0 done" in text
    for cell in plan.cells.values():
        need = cost.need(cell, 1, "cpu")
        assert need.seconds > 0 and need.disk_bytes > 0 and need.gpu == 0


UNSAID = {
    "nothing at all": ({"given": {}}, "definitions: is missing"),
    "no data sets": ({"definitions": {"a": {"grid": {}}}}, "definitions.a.grid.dataset: is missing"),
    "an unknown one": (
        {"definitions": {"a": {"given": ["runs"]}}},
        "definitions.a.given: 'runs' is not one of the given",
    ),
    "its name taken": ({"definitions": {"given": {"given": ["more"]}}}, "definitions.given.given: does not name 'run'"),
    "an axis without a grid": (
        {"definitions": {"a": {"given": ["run"], "vary": {"x": {"y": {}}}}}},
        "definitions.a: names `vary` without `grid`",
    ),
}


@pytest.mark.parametrize("case", UNSAID)
def test_a_config_that_cannot_be_is_refused(tmp_path, case):
    change, words = UNSAID[case]
    write(tmp_path / "run", "epoch_0")
    with pytest.raises(checks.ConfigError) as error:
        study.Plan(config(tmp_path) | change, Path("nowhere"))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_grid_still_needs_its_data_sets_and_optimizers():
    whole = yaml.safe_load((ROOT / "config/quick.yaml").read_text())
    for key in ("datasets", "optimizers", "definitions"):
        with pytest.raises(checks.ConfigError, match=f"{key}: is missing; the config must give it"):
            study.Plan({name: value for name, value in whole.items() if name != key}, Path("nowhere"))


# ------------------------------------------------------------------------------------------------- laid out


def block(root, series, **asked):
    """The block directory that is made of one series of {name: tensors}, and its run.json."""
    folder = root / "run"
    folder.mkdir(exist_ok=True)
    for name, found in series.items():
        save_torch({key: torch.as_tensor(value) for key, value in found.items()}, folder / f"{name}.safetensors")
    cell = only(planned(root, **asked))
    made = root / "cells/seeds_0-0"
    laid.lay_out(cell.cell_id, cell.settings, cell.files[0], None, None, made)
    return made, json.loads((made / "run.json").read_text())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_floats_become_float32(tmp_path, dtype):
    series = {
        f"epoch_{at}": {key: torch.as_tensor(x).to(dtype) for key, x in tensors(seed=at).items()} for at in (0, 1)
    }
    made, run = block(tmp_path, series)
    [record] = run["replicates"]
    assert run["kind"] == "given" and record["status"] == "done" and record["epochs"] == 1
    for at, file in enumerate(record["files"]):
        assert file["converted_from"] == ([] if dtype == torch.float32 else [str(dtype).removeprefix("torch.")])
        found = load_file(made / f"snapshots/seed0/epoch_{at}.safetensors")
        assert found.keys() == series[f"epoch_{at}"].keys()
        for name, x in found.items():
            assert (
                x.dtype == np.float32 and (x == series[f"epoch_{at}"][name].double().numpy().astype(np.float32)).all()
            )
    assert (made / "metrics.csv").read_text().startswith("cell_id,seed,epoch")
    assert len((made / "metrics.csv").read_text().splitlines()) == 1


def test_a_series_that_is_not_finite_has_diverged(tmp_path):
    series = {f"epoch_{at}": tensors(seed=at) for at in (0, 1, 2)}
    series["epoch_1"]["fc.bias"][3] = np.nan
    _, run = block(tmp_path, series)
    [record] = run["replicates"]
    assert record["status"] == "diverged" and "epoch 1" in record["cause"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 17, 69_999])
def test_a_value_that_is_not_finite_is_found_wherever_it_is(value, at):
    values = torch.linspace(-3, 3, 70_000)
    assert laid.is_finite(values) and laid.is_finite(values[:0]) and laid.is_finite(torch.arange(3))
    values[at] = value
    assert not laid.is_finite(values)


def test_laying_out_again_leaves_no_file_of_before(tmp_path):
    made, run = block(tmp_path, {f"epoch_{at}": tensors(seed=at) for at in (0, 1, 2)})
    first = (made / "run.json").read_bytes()
    assert block(tmp_path, {})[1] == run and (made / "run.json").read_bytes() == first
    (tmp_path / "run/epoch_1.safetensors").unlink()
    made, _ = block(tmp_path, {})
    assert sorted(path.name for path in (made / "snapshots/seed0").glob("*.safetensors")) == [
        "epoch_0.safetensors",
        "epoch_2.safetensors",
    ]


# ------------------------------------------------------------------------------------------------- the pages


@pytest.mark.parametrize("page", ["docs/checkpoints.md", "config/README.md"])
def test_the_pages_show_configs_that_are_planned(tmp_path, page):
    """The first example of a page is a whole config but for its name, and its files are where it says. The others are
    laid over it."""
    shown = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    first, *others = (yaml.safe_load(one) for one in shown if re.search("^given:", one, re.M))
    for part in ({}, *others):
        asked = {"name": "page"} | first | part | {"data_root": str(tmp_path)}
        write_asked(asked, tmp_path)
        plan = study.Plan(asked, Path("nowhere"))
        assert len(plan.cells) == len(asked["given"]) and {cell.kind for cell in plan.cells.values()} == {"given"}


def write_asked(asked, root):
    """A file of zeros wherever a config looks for checkpoints: of 10 classes and images of 32 x 32 in grey, or of any
    model."""
    for one in asked["given"].values():
        if "network" not in one:
            (root / one["files"]).mkdir(parents=True, exist_ok=True)
            zeros = {name: np.zeros((4, 4), np.float32) for name in ("h.0.attn.bias", "lm_head.weight")}
            save_file(zeros, root / one["files"] / "epoch_0.safetensors")
            continue
        network = asked["networks"][one["network"]]
        options = {key: network[key] for key in network if key != "architecture"}
        chosen = {"architecture": network.get("architecture", one["network"]), "options": options}
        table = networks.layer_table(chosen, 1, 32, 10)
        found = {name: np.zeros(shape, np.float32) for name, shape in (*table.parameters(), *table.buffers())}
        found = {name: x.astype(np.int64) if name.endswith("tracked") else x for name, x in found.items()}
        for file in [one["files"]] if isinstance(one["files"], str) else one["files"]:
            path = root / (file if file.endswith(".safetensors") else f"{file}/epoch_0.safetensors")
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(found, path)


def test_the_pages_conversion_of_a_pickled_file_gives_one_that_fits(tmp_path, monkeypatch):
    [code] = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/checkpoints.md").read_text(), re.M | re.S)
    state = {name: torch.from_numpy(x) for name, x in tensors().items()}
    state["fc.weight"] = state["fc.weight"].T.contiguous().T  # what training code may leave behind
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    torch.save(state, "epoch_1.pt")
    exec(code, {})
    Path("epoch_1.pt").unlink()
    assert only(planned(tmp_path)).kind == "given"
    written = load_file("epoch_1.safetensors")
    assert written.keys() == state.keys()
    assert all(np.array_equal(written[name], x.numpy()) for name, x in state.items())
