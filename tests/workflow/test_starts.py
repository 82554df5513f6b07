"""Cells that start from a file of weights, and from what the config's own cells have learnt."""

import hashlib
import json
import shutil

from safetensors.numpy import load_file

from tests.conftest import Workflow, tiny


def runs(workflow):
    """{start: directory of its only block} of the trained cells."""
    found = {}
    for path in (workflow.root / "results/cells").glob("*/seeds_*/run.json"):
        cell = json.loads(path.read_text())["cell"]
        found.setdefault((cell["network"]["architecture"], cell["start"]["kind"]), []).append(path.parent)
    return found


def test_a_source_cell_starts_its_children_replicate_by_replicate(finished):
    blocks = runs(finished)["lenet1", "parent"]
    assert len(blocks) == 2
    for block in blocks:
        parent = json.loads((block / "run.json").read_text())["cell"]["start"]["cell"]
        for seed in range(3):
            end = load_file(
                finished.root / f"results/cells/{parent}/seeds_0-2/snapshots/seed{seed}/epoch_2.safetensors"
            )
            start = load_file(block / f"snapshots/seed{seed}/epoch_0.safetensors")
            same = {
                name: end[name].shape == start[name].shape and bool((end[name] == start[name]).all()) for name in end
            }
            assert not same.pop("fc.weight") and not same.pop("fc.bias"), "the head is fresh: ten classes, not five"
            assert all(same.values()) and same


def test_a_file_of_weights_is_checked_and_loaded(finished, tmp_path):
    source = runs(finished)["lenet1", "init"][0] / "snapshots/seed0/best.safetensors"
    config = tiny()
    config["networks"], config["sources"] = {"lenet1": {}}, {}
    config["data_root"] = "mine"
    config["inits"] = {"mine": {"file": "lenet1.safetensors", "sha256": "0" * 64, "head": "copied"}}
    config["definitions"]["dynamics"] = {
        "grid": {"dataset": ["digits"], "network": ["lenet1"], "init": ["mine"], "optimizer": ["sgd"]}
    }
    workflow = Workflow(tmp_path, config)
    (tmp_path / "mine").mkdir()
    shutil.copy(source, tmp_path / "mine/lenet1.safetensors")
    refused = workflow.run("--until", "train", check=False)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert (
        refused.returncode and digest in refused.stdout and not list((tmp_path / "data").glob("weights/*.safetensors"))
    )

    config["inits"]["mine"]["sha256"] = digest
    workflow.write(config)
    workflow.run("--until", "train")
    (block,) = runs(workflow)["lenet1", "weights"]
    given = load_file(source)
    for seed in range(3):
        start = load_file(block / f"snapshots/seed{seed}/epoch_0.safetensors")
        assert start.keys() == given.keys() and all((start[name] == given[name]).all() for name in given)


def test_a_perturbed_cell_starts_from_its_parent_changed(finished):
    for block in runs(finished)["lenet1", "perturb"]:
        run = json.loads((block / "run.json").read_text())
        start, sign = run["cell"]["start"], -1 if run["cell"]["start"]["steps"] else 1
        for seed in range(3):
            end = load_file(
                finished.root / f"results/cells/{start['cell']}/seeds_0-2/snapshots/seed{seed}/epoch_2.safetensors"
            )
            first = load_file(block / f"snapshots/seed{seed}/epoch_0.safetensors")
            assert all((first[name] == sign * end[name]).all() for name in end) and first.keys() == end.keys()
            record = run["replicates"][seed]
            changed = sum(int((end[name] != 0).sum()) for name in end) if sign < 0 else 0
            assert record["perturbed"] == changed and record["perturbed_of"] == sum(x.size for x in end.values())
    assert len(runs(finished)["lenet1", "perturb"]) == 2, "the flipped one and its control"
