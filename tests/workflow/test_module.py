"""The workflow as a module of another one, and its folders where a user wants them."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

import weight_atlas.api as wa
from tests import warm
from tests.conftest import ROOT, STREAMS, Workflow, bare

FEW = {"source": "digits", "per_class": {"train": 10, "valid": 5, "test": 5}}


def config(name="small", optimizers=("sgd",)):
    return {
        "name": name,
        "replicates": 2,
        "datasets": {"digits": FEW},
        "networks": {"lenet1": {}},
        "optimizers": {"sgd": {"type": "sgd", "lr": 0.02}, "adam": {"type": "adam"}},
        "training": {"epochs": 1},
        "definitions": {
            "first": {
                "grid": {
                    "dataset": ["digits"],
                    "network": ["lenet1"],
                    "init": ["kaiming_uniform"],
                    "optimizer": [*optimizers],
                }
            }
        },
    }


def snakemake(folder: Path, *words, check=True):
    """Snakemake in a folder, to its end; what it said."""
    command = [warm.python(bare()), "-m", "snakemake", "--cores", "2", *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=bare(), **STREAMS)
    assert done.returncode == 0 or not check, done.stdout[-6000:]
    return done.stdout


def planned(folder: Path, *words) -> set[str]:
    """The jobs of a dry run, by their messages."""
    return set(re.findall(r"^Job \d+: (.+)$", snakemake(folder, "--dry-run", *words), re.M))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The workflow's files, with a space in the name of their folder."""
    root = tmp_path_factory.mktemp("a clone") / "weight atlas"
    root.mkdir()
    Workflow(root, config())
    shutil.copytree(ROOT / "examples/module", root / "examples/module")
    return root


@pytest.fixture(scope="module")
def caller(clone, tmp_path_factory):
    """Another workflow, with two imports: one with a prefix, one with pathvars, which has a cell more; both trained."""
    folder = tmp_path_factory.mktemp("caller")
    (folder / "config.yaml").write_text(yaml.safe_dump({"one": config("one"), "two": config("two", ("sgd", "adam"))}))
    (folder / "Snakefile").write_text(f"""
configfile: "config.yaml"

module one:
    snakefile: "{clone}/Snakefile"
    config: config["one"]
    prefix: "deep/er"

use rule * from one as one_*

module two:
    snakefile: "{clone}/Snakefile"
    config: config["two"]
    pathvars:
        data="shared/data", cells="shared/cells", results="out/two", logs="out/logs",

use rule * from two as two_*

use rule train from two as two_train with:
    priority: 7

rule mine:
    default_target: True
    input:
        runs=one.trained() + two.trained(),
        tables=[*rules.one_collect.output, *rules.two_collect.output],
    output:
        "mine.txt",
    shell:
        "(type logged || echo its own shell) > {{output}} 2>&1; trap -p INT >> {{output}}"
""")
    said = snakemake(folder)
    assert "6 of" not in said or "(100%) done" in said
    return folder


def test_the_example_counts_what_it_trained(clone, tmp_path):
    """Beside a count of its own, from the snapshots where the example's pathvars put them."""
    shutil.copytree(clone / "examples/module/config", tmp_path / "config")
    whole = yaml.safe_load((tmp_path / "config/config.yaml").read_text())
    whole["weight_atlas"] |= {"datasets": {"digits": FEW}, "training": {"epochs": 2}}
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(whole))
    words = ["-s", clone / "examples/module/Snakefile"]
    snakemake(tmp_path, *words)
    with open(tmp_path / "near-zero.csv", newline="") as file:
        found = sorted((row["optimizer"], int(row["seed"]), float(row["share"])) for row in csv.DictReader(file))
    expected = []
    for path in (tmp_path / "atlas/cells").glob("*/*/run.json"):
        decay = json.loads(path.read_text())["cell"]["training"]["optimizer"]["weight_decay"]
        for seed in (0, 1):
            end = load_file(path.parent / f"snapshots/seed{seed}/epoch_2.safetensors")
            near = [abs(one) < 0.01 for name, one in end.items() if name.endswith(".weight")]
            share = sum(int(one.sum()) for one in near) / sum(one.size for one in near)
            expected.append(("decayed" if decay else "plain", seed, pytest.approx(share, abs=1e-4)))
    assert found == sorted(expected, key=lambda row: row[:2]) and len(found) == 4
    assert {path.name for path in tmp_path.iterdir()} >= {"atlas", "near-zero.csv"}
    assert not (tmp_path / "results").exists() and not (tmp_path / "data").exists()
    assert planned(tmp_path, *words) == set()


def test_two_imports_in_one_workflow(caller):
    """Each cell is trained once in each folder, in the caller's own shell, and a second run has nothing to do."""
    said = (caller / "mine.txt").read_text()
    assert "its own shell\n" in said and "exit 130" not in said, "neither functions nor traps of ours"
    trained = {str(path.relative_to(caller)) for path in caller.glob("**/seeds_0-1/run.json")}
    kinds = sorted(re.sub(r"-[0-9a-f]{10}/.*", "", path) for path in trained)
    name = "base-digits-lenet1-kaiming_uniform"
    assert kinds == [f"deep/er/results/cells/{name}-sgd", f"shared/cells/{name}-adam", f"shared/cells/{name}-sgd"]
    for results, count in (("deep/er/results/one", 2), ("out/two", 4)):
        text = (caller / results / "tables/runs.csv").read_text()
        rows = list(csv.DictReader(text.splitlines()))
        assert [row["status"] for row in rows] == ["done"] * count
    assert {path.name for path in caller.iterdir()} == {
        *("Snakefile", "config.yaml", "mine.txt", ".snakemake", "deep", "shared", "out")
    }
    assert planned(caller) == set()


def test_results_can_be_moved_wherever_they_are(caller, tmp_path):
    """Tables name no place: what they speak of is found beside them, after all was moved."""
    for part in ("deep", "shared", "out"):
        shutil.copytree(caller / part, tmp_path / "elsewhere" / part)
    for results, cells, kind in (
        ("deep/er/results/one", "deep/er/results/cells", "sgd"),
        ("out/two", "shared/cells", "adam"),
    ):
        there = tmp_path / "elsewhere" / results
        [cell] = [cell for cell in wa.cells(root=there)["cell_id"] if f"-{kind}-" in cell]
        block = tmp_path / "elsewhere" / cells / cell / "seeds_0-1"
        expected = load_file(block / "snapshots/seed1/epoch_1.safetensors")
        loaded = wa.load(cell, seed=1, root=there).state_dict()
        assert loaded.keys() == expected.keys()
        assert all(np.array_equal(loaded[name].numpy(), expected[name]) for name in loaded)
        assert len(wa.images(cell, "test", root=there).labels) > 0
        for table in (there / "cells.csv", *(there / "tables").glob("*.csv")):
            assert not re.search(r"shared/|deep/|out/two|\.\./", table.read_text()), table


def test_a_shared_cell_is_made_by_one_import(caller, tmp_path):
    """Both configs ask for the same cell in the same folder: one of the two rules makes it."""
    text = (caller / "Snakefile").read_text().replace('prefix: "deep/er"', 'pathvars: data="shared/data", '
            'cells="shared/cells", results="out/one", logs="out/logs"')  # fmt: skip
    (tmp_path / "Snakefile").write_text(text)
    shutil.copy(caller / "config.yaml", tmp_path)
    jobs = planned(tmp_path)
    assert len({job for job in jobs if job.startswith("training")}) == 2
    assert len({job for job in jobs if job.startswith("preparing")}) == 1
    assert len({job for job in jobs if job.startswith("joining")}) == 1, "with the same words"
    shutil.copytree(caller / "shared", tmp_path / "shared")
    assert not {job for job in planned(tmp_path) if job.startswith(("training", "preparing"))}, "taken as they are"


def test_folders_of_a_run_of_its_own(clone, caller, tmp_path):
    """`pathvars` in a config: nothing is elsewhere, and what was trained under another name is taken."""
    own = config("mine") | {"pathvars": {"data": "d", "cells": str(tmp_path / "trained cells"), "results": "r/x"}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    shutil.copytree(caller / "shared/cells", tmp_path / "trained cells")
    shutil.copytree(caller / "shared/data", tmp_path / "d")
    words = ["-s", clone / "Snakefile", "--configfile", "own.yaml"]
    jobs = planned(tmp_path, *words)
    assert "joining the tables" in jobs and not {job for job in jobs if job.startswith(("training", "preparing"))}
    snakemake(tmp_path, "cells", *words)
    assert (tmp_path / "r/x/cells.csv").is_file() and not (tmp_path / "results").exists()
    folders = json.loads((tmp_path / "r/x/config.json").read_text())["folders"]
    assert folders == {"data": "../../d", "cells": str(tmp_path / "trained cells"), "logs": "../../logs"}
    told = snakemake(tmp_path, "status", *words)
    assert re.search(r"in all +2 +0", told) and str(Path("r/x/status.html")) in told
    told = snakemake(tmp_path, "prune", *words)
    assert "wanted by: this config (mine)" in told and re.search(r"old +results/cells/base-digits-lenet1-.*-adam", told)


def test_a_wrong_folder_or_config_is_one_line(clone, tmp_path):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config() | {"pathvars": {"cell": "x"}}))
    said = snakemake(tmp_path, "-s", clone / "Snakefile", "--configfile", "own.yaml", check=False)
    assert "own.yaml: pathvars: 'cell' is not allowed; did you mean 'cells'?" in said or "pathvars" in said
    assert "Traceback" not in said
    (tmp_path / "Snakefile").write_text(f"""
module weight_atlas:
    snakefile: "{clone}/Snakefile"
    config: {config() | {"replicate": 2}}

use rule * from weight_atlas
""")
    said = snakemake(tmp_path, check=False)
    assert "config: unknown key 'replicate'; did you mean 'replicates'?" in said and "Traceback" not in said


def test_what_snakedeploy_writes_runs_from_a_clone(clone, tmp_path):
    """Its Snakefile with the path of the clone, beside the config that it copies (snakedeploy 0.17.1)."""
    (tmp_path / "workflow").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(config("mine")))
    (tmp_path / "workflow/Snakefile").write_text(f"""
from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


# declare https://github.com/owner/weight-atlas as a module
module weight_atlas:
    snakefile: 
        "{clone}/Snakefile"
    config:
        config


# use all rules from https://github.com/owner/weight-atlas
use rule * from weight_atlas
""")
    jobs = planned(tmp_path)
    assert {"joining the tables", "writing the explorer"} <= jobs
