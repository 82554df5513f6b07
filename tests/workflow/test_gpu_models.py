"""Which model of GPU each job asks SLURM for, by the lines of docs/clusters.md; `sbatch` is pretended, and refuses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import STREAMS, Workflow, bare

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "sbatch": 'printf "%s\\n" "$*" >> submitted.txt; exit 1',
    "sinfo": 'echo "main*"',
    **dict.fromkeys(("sacct", "sacctmgr", "squeue", "scontrol"), "exit 1"),
}
CONFIG = {
    "name": "two",
    "device": "cuda",
    "page": "single",
    "replicates": 1,
    "datasets": {"digits": {"source": "digits", "per_class": {"train": 10, "valid": 5, "test": 5}}},
    "networks": {"lenet1": {}, "resnet18": {"width": 0.1}},
    "optimizers": {"sgd": {"type": "sgd", "lr": 0.02}},
    "training": {"epochs": 1},
    "definitions": {
        "first": {
            "grid": {
                "dataset": ["digits"],
                "network": ["lenet1", "resnet18"],
                "init": ["default"],
                "optimizer": ["sgd"],
            }
        }
    },
}


@pytest.fixture
def submitted(tmp_path):
    """[arguments of sbatch] of all jobs that a cluster was asked for, which it refused."""
    pytest.importorskip("snakemake_executor_plugin_slurm")
    workflow = Workflow(tmp_path, CONFIG)
    workflow.run("--until", "prepare")
    (tmp_path / "bin").mkdir()
    for name, text in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    page = (ROOT / "docs/clusters.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"^  ```yaml\n(  set-resources:\n.*?)^  ```$", page, re.M | re.S)
    profile = (ROOT / "profiles/slurm/profile.yaml").read_text(encoding="utf-8")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/profile.yaml").write_text(profile + re.sub("^  ", "", lines, flags=re.M))
    env = bare() | {"PATH": f"{tmp_path}/bin:{bare()['PATH']}"}
    words = ["all", "--until", "train", "--workflow-profile", "site", "--configfile", "config/tiny.yaml"]
    done = subprocess.run([sys.executable, "-m", "snakemake", *words], cwd=tmp_path, env=env, **STREAMS)
    assert done.returncode == 1, done.stdout
    return (tmp_path / "submitted.txt").read_text().splitlines()


def test_each_cell_asks_for_its_model(submitted):
    asked = {}
    for line in submitted:
        if found := re.search(r"rule_train_wildcards_base-digits-(\w+)-.* --gpus=(\S+)", line):
            asked.setdefault(found[1], []).append(found[2])
    assert {network: models[0] for network, models in asked.items()} == {"lenet1": "a100:1", "resnet18": "h100:1"}
