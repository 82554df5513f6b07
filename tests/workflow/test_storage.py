"""Without a folder that machines share: each job in a folder that is gone with it, and files by way of a storage.

A node is a new folder here, to which Snakemake takes the sources by the storage. So a file that a rule reads and does
not name is not there. Needs Debian's package rsync, by which the storage plugin `fs` copies.
"""

import csv
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from tests import warm
from tests.conftest import STREAMS, Workflow, bare

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("rsync"), reason="needs Debian's package rsync"),
]

SUBMIT = """#!/bin/bash
node=$(mktemp -d "{nodes}/XXXXXX")
(cd "$node" && PATH="{python}:$PATH" bash "$1" && state=success || state=failed
 rm -rf "$node" && echo $state > "$node") > "$node.log" 2>&1 &
echo "$node"
"""
STATUS = """#!/bin/bash
if [ -f "$1" ]; then cat "$1"; else echo running; fi
"""


def config(root: Path) -> dict:
    """A transfer, a perturbed cell and its parent, on digits and on images that are on this machine alone."""
    digits = load_digits()
    parts = {"train": slice(0, 100), "val": slice(100, 150), "test": slice(150, 200)}
    arrays = {f"{part}_images": digits.images[span].astype(np.uint8) * 15 for part, span in parts.items()}
    arrays |= {f"{part}_labels": digits.target[span] for part, span in parts.items()}
    (root / "images").mkdir()
    np.savez(root / "images/here.npz", **arrays)
    study = {
        "grid": {
            "dataset": ["digits", "here"],
            "network": ["lenet1"],
            "init": ["kaiming_uniform"],
            "optimizer": ["sgd"],
        },
        "perturb": {"perturbations": ["flip"], "where": {"dataset": "digits"}, "controls": []},
        "transfer": {"here-digits": {"base": "here", "target": "digits", "depths": [1]}},
        "measure": ["spectra"],
    }
    return {
        "name": "stored",
        "device": "cpu",
        "page": "single",
        "replicates": 2,
        "data_root": "images",
        "datasets": {
            "digits": {"source": "digits", "per_class": {"train": 10, "valid": 5, "test": 5}},
            "here": {"source": "npz", "path": "here.npz", "size": 28},
        },
        "networks": {"lenet1": {}},
        "optimizers": {"sgd": {"type": "sgd", "lr": 0.02}},
        "perturbations": {"flip": {"type": "flip"}},
        "training": {"epochs": 1},
        "definitions": {"first": study},
    }


class Stored:
    """A workflow whose jobs share no folder, and its storage."""

    def __init__(self, root: Path):
        self.clone, self.store, self.nodes = root / "clone", root / "store", root / "nodes"
        for folder in (self.clone, self.store, self.nodes):
            folder.mkdir()
        self.workflow = Workflow(self.clone, config(self.clone))
        (self.clone / ".gitignore").write_text(".snakemake\nimages\n")  # and so with what Python has compiled
        for words in (["init", "--quiet"], ["add", "--all"]):  # Snakemake takes to the nodes what git knows
            subprocess.run(["git", *words], cwd=self.clone, check=True)
        python = Path(warm.python(bare())).parent
        for name, text in (("submit", SUBMIT), ("status", STATUS)):
            (root / name).write_text(text.format(nodes=self.nodes, python=python) if name == "submit" else text)
            (root / name).chmod(0o755)
        self.options = ["--workflow-profile", "profiles/storage", "--jobs", "2", "--seconds-between-status-checks", "1"]
        self.options += [f"--cluster-generic-{name}-cmd={root}/{name}" for name in ("submit", "status")]
        self.options += ["--default-storage-prefix", str(self.store)]

    def run(self, *words: str, **values: object) -> str:
        """What Snakemake says, with such values in the config."""
        text = yaml.safe_dump(self.workflow.config | values, sort_keys=False)
        (self.clone / "config/tiny.yaml").write_text(text)
        command = [warm.python(bare()), "-m", "snakemake", *words, *self.options, "--configfile", "config/tiny.yaml"]
        done = subprocess.run(command, cwd=self.clone, env=bare(), **STREAMS)
        logs = "".join(path.read_text()[-2000:] for path in self.nodes.glob("*.log")) if done.returncode else ""
        assert done.returncode == 0, f"{logs}\n{done.stdout[-6000:]}"
        return done.stdout

    def weights(self) -> dict[str, bytes]:
        """The bytes of every snapshot in the storage, by its path."""
        found = (self.store / "results/cells").rglob("*.safetensors")
        return {str(path.relative_to(self.store)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    pytest.importorskip("snakemake_storage_plugin_fs")
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    made = Stored(tmp_path_factory.mktemp("storage"))
    said = made.run("all")
    assert "(100%) done" in said and "are not as asked" not in said and "failed" not in said
    return made


def test_a_study_runs_to_its_report(stored):
    results = stored.store / "results/stored"
    assert (results / "report/report.html").stat().st_size > 10_000 and (results / "explorer.html").is_file()
    assert (results / "tables/spectra.csv").read_text().count("\n") > 1
    assert {path.name for path in stored.clone.iterdir()} & {"results", "data", "logs"} == set()
    assert [path for path in stored.nodes.iterdir() if path.is_dir()] == []


def test_then_there_is_nothing_to_be_done(stored):
    assert "Nothing to be done" in stored.run("all")


def test_the_state_of_the_study_is_known(stored):
    assert re.search(r"in all +8 +0 +0 +0 +0 +8", stored.run("status"))


def test_the_weights_are_those_of_a_run_that_shares_a_folder(stored, tmp_path):
    other = Workflow(tmp_path, stored.workflow.config)
    shutil.copytree(stored.clone / "images", tmp_path / "images")
    other.run("--until", "measure")
    assert other.weights() == stored.weights() and len(other.weights()) > 8


def test_more_replicates_train_the_new_ones_alone(stored):
    said = stored.run("--dry-run", replicates=3)
    assert set(re.findall(r"replicates (\d+ to \d+)", said)) == {"2 to 2"}


def test_a_bundle_is_whole(stored):
    stored.run("bundle")
    made = stored.workflow.python("scripts/bundle.py", "--check", str(stored.store / "results/stored/stored.zip"))
    assert made.returncode == 0 and made.stdout.endswith("stored.zip: ok\n")


def test_it_is_compared_with_its_own_bundle(stored, tmp_path):
    """What is compared lies on this machine, unpacked."""
    with zipfile.ZipFile(stored.store / "results/stored/stored.zip") as archive:
        archive.extractall(tmp_path / "sent")
    stored.run("compare", compare=str(tmp_path / "sent"))
    folder = stored.store / "results/stored/compare"
    with open(folder / "cells.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and all(row["paired_by"] == "id" for row in rows)
    assert all(row["replicates"] == row["last"] == "2" for row in rows)


def test_a_failed_replicate_is_trained_again_where_it_is_asked_for(stored):
    """The last test here: a record is changed, and with it what follows."""
    [path] = stored.store.glob("results/cells/transfer-digits-*-frozen-*/seeds_0-1/run.json")
    before, weights = json.loads(path.read_text()), stored.weights()
    run = json.loads(path.read_text())
    run["replicates"][1] |= {"status": "failed", "cause": "a fault that has gone"}
    path.write_text(json.dumps(run))
    assert "transferring" not in stored.run("all", "--dry-run")
    said = stored.run("all", retry_failed=True)
    trained = re.findall(r"Job \d+: ((?:training|retraining|transferring) .*)", said)
    assert trained == [f"transferring {run['cell_id']}, replicates 0 to 1"]
    after = json.loads(path.read_text())
    assert [record["status"] for record in after["replicates"]] == ["done", "done"]
    assert [one["sha256"]["best.safetensors"] for one in after["replicates"]] == [
        one["sha256"]["best.safetensors"] for one in before["replicates"]
    ]
    assert stored.weights() == weights
    assert "Nothing to be done" in stored.run("all")
