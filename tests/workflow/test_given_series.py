"""Checkpoints of the user's own: a series of files becomes measures and a report, with a data set and without one."""

import csv
import json
import os
import re

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy import stats

import weight_atlas as wa
from tests import pages
from tests.conftest import Workflow

SHAPES = {"conv1.weight": (4, 1, 5, 5), "conv1.bias": (4,), "conv2.weight": (12, 4, 5, 5), "conv2.bias": (12,)}
SHAPES |= {"fc.weight": (10, 192), "fc.bias": (10,)}  # LeNet-1 for 28 x 28 grey pixels and 10 classes
EPOCHS = (0, 2, 10)
KEPT = 7  # values of the head's weight that no epoch changes


def series(folder, seed):
    """A series of three files, {epoch: its tensors}: each epoch adds normal noise to all values but KEPT of them."""
    folder.mkdir(parents=True)
    draw, found = np.random.default_rng(seed), {}
    current = {name: draw.normal(0, 0.1, shape).astype(np.float32) for name, shape in SHAPES.items()}
    for epoch in EPOCHS:
        save_file(current, folder / f"epoch_{epoch}.safetensors")
        found[epoch] = current
        current = {name: (x + draw.normal(0, 0.01, x.shape)).astype(np.float32) for name, x in current.items()}
        current["fc.weight"].flat[:KEPT] = found[epoch]["fc.weight"].flat[:KEPT]
    return found


def knowing(folder, answers):
    """One file an epoch of a network that says the same class of every picture: {epoch: class}."""
    folder.mkdir(parents=True)
    for epoch, answer in answers.items():
        found = {name: np.full(shape, 0.01, np.float32) for name, shape in SHAPES.items()}
        found["fc.weight"][:] = 0
        found["fc.bias"][:] = np.eye(10, dtype=np.float32)[answer]
        save_file(found, folder / f"step{epoch}.safetensors")


def rows(workflow, table, **wanted):
    with open(workflow.root / f"results/mine/tables/{table}.csv", newline="") as file:
        return [row for row in csv.DictReader(file) if all(row[key] == str(value) for key, value in wanted.items())]


def flat(tensors):
    return np.concatenate([tensors[name].ravel().astype(np.float64) for name in SHAPES])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workflow after its run: a cell of two replicates without a data set, and one with the digits."""
    root = tmp_path_factory.mktemp("given ones")
    config = {"name": "mine", "data_root": "checkpoints", "networks": {"lenet1": {}}}
    config["given"] = {"plain": {"network": "lenet1", "files": ["plain/0", "plain/1"]}}
    workflow = Workflow(root, config)
    workflow.series = {seed: series(root / f"checkpoints/plain/{seed}", seed) for seed in (0, 1)}
    workflow.run("all")
    return workflow


def test_distances_are_those_that_numpy_finds(run):
    for seed, found in run.series.items():
        first = flat(found[0])
        for epoch in EPOCHS[1:]:
            now = flat(found[epoch])
            [row] = rows(run, "movement", seed=seed, layer="total", interval="start", to_epoch=epoch)
            expected = {
                "norm_from": np.linalg.norm(first),
                "norm_to": np.linalg.norm(now),
                "distance": np.linalg.norm(now - first),
                "cosine": first @ now / np.linalg.norm(first) / np.linalg.norm(now),
                "relative": np.linalg.norm(now - first) / np.linalg.norm(first),
            }
            assert {name: float(row[name]) for name in expected} == pytest.approx(expected, rel=1e-12)


def test_other_measures_of_weights_are_there_too(run):
    for seed, found in run.series.items():
        for epoch in EPOCHS:
            [row] = rows(run, "statistics", seed=seed, epoch=epoch, layer="conv2", parameter="weight")
            values = found[epoch]["conv2.weight"].astype(np.float64)
            assert [float(row[name]) for name in ("mean", "std", "min")] == pytest.approx(
                [values.mean(), values.std(), values.min()], rel=1e-7
            )
        [row] = rows(run, "unchanged", seed=seed, layer="fc", parameter="weight")
        assert int(row["unchanged"]) == int((found[0]["fc.weight"] == found[10]["fc.weight"]).sum()) >= KEPT
        [row] = rows(run, "spectra", seed=seed, checkpoint="last", layer="fc")
        assert float(row["spectral_norm"]) == pytest.approx(
            np.linalg.svd(found[10]["fc.weight"].astype(np.float64), compute_uv=False)[0], rel=1e-5
        )
        [row] = [
            row
            for row in rows(run, "correlations", seed_a=seed, seed_b=seed, layer="conv1", parameter="weight")
            if row["comparison"] == "checkpoints"
        ]
        both = (found[epoch]["conv1.weight"].ravel() for epoch in (0, 10))
        assert float(row["pearson"]) == pytest.approx(np.corrcoef(*both)[0, 1], rel=1e-5)
    assert {row["of"] for row in rows(run, "features")} == {"weights"}
    for table in ("metrics", "accuracy", "pairs"):
        assert rows(run, table) == []


def test_the_layout_is_that_of_a_trained_block(run):
    [cell] = (run.root / "results/cells").iterdir()
    assert cell.name.startswith("given-lenet1-plain-")
    record = json.loads((cell / "seeds_0-1/run.json").read_text())
    assert [(one["status"], one["epochs"]) for one in record["replicates"]] == [("done", 10)] * 2
    for seed, found in run.series.items():
        for epoch, tensors in found.items():
            kept = load_file(cell / f"seeds_0-1/snapshots/seed{seed}/epoch_{epoch}.safetensors")
            assert kept.keys() == tensors.keys() and all((kept[name] == tensors[name]).all() for name in tensors)


def test_the_report_tells_of_the_series_and_of_no_training(run):
    found = pages.pages(run.root / "results/mine").values()
    text = pages.without_notes("".join(page.split("<body", 1)[1].split("<script", 1)[0] for page in found))
    for words in ("Your own checkpoints", "6 files in 2 series.", "replicates given, none trained here", "Rotation by"):
        assert words in text
    weights = [name for name in SHAPES if name.endswith(".weight")]
    logs = [[np.log(own[10][name].std() / own[0][name].std()) for own in run.series.values()] for name in weights]
    clear = stats.false_discovery_control(stats.ttest_1samp(logs, 0, axis=1).pvalue) < 0.05
    grew, shrank = (int((clear & (way * np.mean(logs, axis=1) > 0)).sum()) for way in (1, -1))
    changes = f"grows in {grew} and shrinks in {shrank} of" if grew + shrank else "changes in none of"
    told = f"clearly {changes} {len(weights)} layers"
    assert told in " ".join(text.split())
    for words in ("epochs trained", "of training", "Three accuracies", "What trained", ">The data<", "NaN"):
        assert words not in text
    for marker in (":::", "{#", "@fig-", "@tbl-", "@sec-", "{{<", "{%"):
        assert marker not in text


def test_the_second_run_has_nothing_to_do_and_looks_see_what_there_is(run):
    assert "Nothing to be done" in run.run("all").stdout
    assert "1 given cells" in run.run("plan").stdout
    status = run.run("status").stdout
    assert " 2 " in status and "all training is done" in status


def test_changed_files_are_read_again_and_touched_ones_are_not(run):
    file = run.root / "checkpoints/plain/0/epoch_2.safetensors"
    before, at = file.read_bytes(), file.stat()
    file.write_bytes(before[:-4] + b"\0\0\0\0")
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))
    try:
        assert {job.split()[0] for job in run.jobs()} == {
            *("reading", "measuring", "joining", "drawing", "rendering", "writing")
        }
    finally:
        file.write_bytes(before)
    os.utime(file)
    assert run.jobs() == set()


def test_a_file_that_does_not_fit_ends_it_before_any_job(run):
    bad = run.root / "checkpoints/plain/1/epoch_2.safetensors"
    before = bad.read_bytes()
    save_file({name: np.zeros(shape, np.float32) for name, shape in SHAPES.items() if name != "fc.bias"}, bad)
    try:
        ended = run.run("all", check=False)
    finally:
        bad.write_bytes(before)
    assert ended.returncode and "Job" not in ended.stdout
    [line] = [line for line in ended.stdout.splitlines() if line.startswith("config: ")]
    assert "given.plain" in line and "epoch_2.safetensors" in line and "no tensor fc.bias" in line


def test_with_a_data_set_every_file_is_judged(run):
    """A network that says one class of every picture is right on that class's pictures."""
    knowing(run.root / "checkpoints/knowing", {1: 3, 2: 8, 3: 0})
    config = json.loads(json.dumps(run.config))
    config["datasets"] = {"digits": {"source": "digits", "per_class": {"train": 12}}}
    config["given"]["knowing"] = {"network": "lenet1", "files": "knowing", "dataset": "digits"}
    run.write(config)
    try:
        run.run("all")
    finally:
        run.write(run.config)
    [card] = (run.root / "data").glob("digits-*.json")
    counts = json.loads(card.read_text())["counts"]
    share = {split: [count / sum(counts[split]) for count in counts[split]] for split in ("valid", "test")}
    found = rows(run, "metrics")
    assert [int(row["epoch"]) for row in found] == [1, 2, 3]
    for row, answer in zip(found, (3, 8, 0), strict=True):
        assert {split: float(row[f"{split}_accuracy"]) for split in share} == pytest.approx(
            {split: share[split][answer] for split in share}
        )
        assert row["train_accuracy"] == row["seconds"] == ""
        rest = np.log(np.exp(1) + 9)  # cross-entropy of outputs that are 1 at one class and 0 at nine
        assert float(row["test_loss"]) == pytest.approx(rest - share["test"][answer], rel=1e-6)
    last, *others = (row["protocol"] for row in rows(run, "accuracy"))
    assert (last, *others) == ("last", "best_valid", "document")
    assert {row["of"] for row in rows(run, "features", cell_id=found[0]["cell_id"])} == {"activations", "weights"}
    page = pages.whole(run.root / "results/mine")
    for words in ("knowing", "Test accuracy", "Three accuracies", "3 of 3"):
        assert words in page
    assert "epochs trained" not in page


def test_given_weights_start_a_cell_and_are_perturbed(run):
    """Each replicate begins with the file of its series, as it is and with its first layer negated."""
    config = json.loads(json.dumps(run.config)) | {"replicates": 2, "training": {"epochs": 1}}
    config["datasets"] = {"digits": {"source": "digits", "per_class": {"train": 12}}}
    config |= {"optimizers": {"sgd": {"type": "sgd"}}, "sources": {"theirs": {"given": "plain"}}}
    config["perturbations"] = {"flipped": {"type": "flip", "layers": ["conv1"]}}
    inits = {"last": {}, "middle": {"take": 2}, "flipped": {"perturb": ["flipped"]}}
    config["inits"] = {name: {"source": "theirs", "head": "copied"} | init for name, init in inits.items()}
    grid = {"dataset": ["digits"], "network": ["lenet1"], "init": [*inits], "optimizer": ["sgd"]}
    config["definitions"] = {"tuned": {"grid": grid, "given": ["plain"]}}
    lent = {"base": "plain", "target": "digits", "take": "last", "depths": [2], "modes": ["frozen", "tuned"]}
    grid = grid | {"init": ["default"]}
    config["definitions"]["lent"] = {"grid": grid, "transfer": {"lent": lent}}
    run.write(config)
    try:
        run.run("results/mine/tables")
    finally:
        run.write(run.config)
    with open(run.root / "results/mine/cells.csv", newline="") as file:
        listed = list(csv.DictReader(file))
    cells = {row["init"]: row for row in listed if row["study"] == "tuned"}
    for name, init in inits.items():
        for seed, found in run.series.items():
            path = run.root / cells[name]["blocks"] / f"snapshots/seed{seed}/epoch_0.safetensors"
            start, file = load_file(path), found[init.get("take", EPOCHS[-1])]
            for tensor, value in file.items():
                sign = -1 if name == "flipped" and tensor.startswith("conv1") else 1
                assert np.array_equal(start[tensor], sign * value), (name, tensor)
    curves = {row["mode"]: row for row in listed if row["base"] == "plain"}
    assert set(curves) == {"frozen", "tuned"}
    for mode, row in curves.items():
        start, end = (
            load_file(run.root / row["blocks"] / f"snapshots/seed1/epoch_{epoch}.safetensors") for epoch in (0, 1)
        )
        end = start | end  # without what stays frozen
        stayed = {name for name, value in run.series[1][EPOCHS[-1]].items() if np.array_equal(end[name], value)}
        assert {name.split(".")[0] for name in stayed} == ({"conv1", "conv2"} if mode == "frozen" else set()), mode


# ------------------------------------------------------------------------------------------------ of any model


def a_model(folder, seed, blocks=30):
    """Three checkpoints in two files each of a model of hundreds of tensors, {step: its tensors}: `wpe` never changes,
    and `h.1.fc.weight` moves most."""
    draw, found = np.random.default_rng(seed), {}
    shapes = {"wte.weight": (24, 8), "wpe.weight": (6, 8)}
    for block in range(blocks):
        shapes |= {f"h.{block}.{own}": (8, 8) for own in ("q.weight", "k.weight", "v.weight", "o.weight")}
        shapes |= {f"h.{block}.fc.weight": (16, 8), f"h.{block}.fc.bias": (16,)}
        shapes |= {f"h.{block}.ln.{own}": (8,) for own in ("weight", "bias")}
        shapes |= {f"h.{block}.down.weight": (8, 16), f"h.{block}.down.bias": (8,)}
    now = {name: draw.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    for step in (0, 500, 1000):
        own = folder / f"checkpoint-{step}"
        own.mkdir(parents=True)
        where = {name: f"model-{at % 2 + 1:05}-of-00002.safetensors" for at, name in enumerate(now)}
        for file in {*where.values()}:
            save_file({name: x for name, x in now.items() if where[name] == file}, own / file)
        (own / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
        found[step] = now
        change = {name: 0.5 if name == "h.1.fc.weight" else 0.0 if name == "wpe.weight" else 0.01 for name in now}
        now = {name: (x + change[name] * draw.normal(0, 1, x.shape)).astype(np.float32) for name, x in now.items()}
    return found


@pytest.fixture(scope="module")
def any_model(tmp_path_factory):
    """A workflow after its run on two series of one model, for which no network is named."""
    root = tmp_path_factory.mktemp("any model")
    config = {"name": "mine", "data_root": "checkpoints", "given": {name: {"files": name} for name in ("one", "other")}}
    config["measure"] = ["convergence"]
    workflow = Workflow(root, config)
    workflow.series = {name: a_model(root / "checkpoints" / name, seed) for seed, name in enumerate(config["given"])}
    workflow.run("all")
    return workflow


def told(workflow):
    """The words of the report, without their notes."""
    found = pages.pages(workflow.root / "results/mine").values()
    text = "".join(page.split("<body", 1)[1].split("<script", 1)[0] for page in found)
    return " ".join(re.sub("<[^>]+>", " ", pages.without_notes(text)).split())


def test_any_model_is_told_of_tensor_by_tensor(any_model):
    text, first, last = told(any_model), any_model.series["one"][0], any_model.series["one"][1000]
    relative = {name: np.linalg.norm(last[name] - x) / np.linalg.norm(x) for name, x in first.items()}
    most = max(relative, key=relative.__getitem__)
    assert most == "h.1.fc.weight"
    assert f"one: 1 of {len(first)} tensors never changes (wpe.weight). {most} moves most, by " in text
    for words in ("Movement by tensor", "Movement by role", "Movement by depth", "Between the runs", "one and other"):
        assert words in text, words
    needed = "accuracy, features, transfer, the matching of channels and convergence"
    assert f"No network is named for one and other. One is needed for {needed}." in text
    for words in ("What the networks learnt", "Three accuracies", "NaN", "on no data", "{}"):
        assert words not in text, words


def test_hundreds_of_tensors_leave_figures_that_can_be_read(any_model):
    """Rows that tensors share: no figure has more than 60 of them."""
    folder = any_model.root / "results/mine/figures/given"
    exhibits = json.loads((folder / "exhibits.json").read_text())
    assert exhibits["faults"] == []
    drawn = {one["name"]: one for one in exhibits["exhibits"] if one["file"]}
    wanted = {"movement-layers", "rotation", "statistics", "spectra", "between", "between-runs", "tensors-depth-one"}
    assert wanted <= drawn.keys()
    for one in drawn.values():
        size = re.search(r"width='([\d.]+)pt' height='([\d.]+)pt'", (folder / one["file"]).read_text())
        width, height = map(float, size.groups())
        assert height < 1.5 * width, one["name"]
    with open(folder / "movement-layers.csv", newline="") as file:
        assert len({row["layer"] for row in csv.DictReader(file)}) == len(any_model.series["one"][0])


def test_numbers_by_depth_and_by_role_are_numpys(any_model):
    folder, series = any_model.root / "results/mine/figures/given", any_model.series["other"]
    first, last = series[0], series[1000]
    with open(folder / "tensors-depth-other.csv", newline="") as file:
        found = {row["layer"]: float(row["mean"]) for row in csv.DictReader(file)}
    ways = {
        name: np.linalg.norm(last[name].astype(float) - x) / np.linalg.norm(x.astype(float))
        for name, x in first.items()
    }
    assert found == pytest.approx({name: way for name, way in ways.items() if name.startswith("h.")}, rel=1e-9)
    with open(folder / "tensors-roles.csv", newline="") as file:
        [row] = [row for row in csv.DictReader(file) if row["given"] == "other" and row["role"] == "norm"]
    norms = [name for name in first if ".ln." in name]
    before, after = (np.concatenate([end[name].astype(float) for name in norms]) for end in (first, last))
    assert int(row["tensors"]) == len(norms) == 60
    assert float(row["‖θ − θ₀‖ / ‖θ₀‖"]) == pytest.approx(
        np.linalg.norm(after - before) / np.linalg.norm(before), rel=6e-3
    )
    with open(folder / "between-runs.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["quantity"] == "pearson" and row["checkpoint"] == "last"]
    one = any_model.series["one"][1000]
    expected = {name: np.corrcoef(one[name].ravel(), x.ravel())[0, 1] for name, x in last.items()}
    assert {row["layer"]: float(row["mean"]) for row in rows} == pytest.approx(expected, abs=1e-6)


def test_what_needs_a_network_says_so_in_a_notebook(any_model):
    with pytest.raises(
        ValueError, match="no network is named for the given cell .*'one'.*; wa.measure reads its files"
    ):
        wa.load({"given": "one"}, name="mine", root=any_model.root)
    moved = wa.table("movement", name="mine", root=any_model.root)
    assert set(moved["given"]) == {"one", "other"}


def test_a_shard_that_changes_is_read_again_and_one_that_goes_is_said(any_model):
    assert any_model.jobs() == set()
    shard = any_model.root / "checkpoints/other/checkpoint-500/model-00002-of-00002.safetensors"
    before = shard.read_bytes()
    shard.write_bytes(before[:-4] + b"\0\0\0\0")
    try:
        assert {job.split()[0] for job in any_model.jobs()} >= {"reading", "measuring", "joining", "drawing"}
        shard.unlink()
        ended = any_model.run("all", check=False)
    finally:
        shard.write_bytes(before)
    [line] = [line for line in ended.stdout.splitlines() if line.startswith("config: ")]
    assert ended.returncode and "given.other: " in line and f"names {shard.name}, which is not there" in line
