"""Files of trained cells that were altered, swapped or removed: what is said, and that the advice mends it."""

import csv
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests import pages
from tests.conftest import Workflow
from tests.unit.test_analysis import turn
from tests.workflow.test_keep import copied

RETRY = ["--config", "retry_failed=true"]


def block(workflow, network="lenet1", init="kaiming_uniform", optimizer="sgd", role="grid") -> Path:
    """The folder of the block of the one cell that has these labels."""
    wanted = {"network": network, "init": init, "optimizer": optimizer, "role": role}
    with open(workflow.root / "results/tiny/cells.csv", newline="") as file:
        (cell,) = (row for row in csv.DictReader(file) if row.items() >= wanted.items())
    return workflow.root / cell["blocks"]


def statuses(workflow) -> dict[tuple[str, int], tuple[str, str]]:
    """{(cell, seed): (status, cause)} by the table runs of the last run."""
    with open(workflow.root / "results/tiny/tables/runs.csv", newline="") as file:
        return {(row["cell_id"], int(row["seed"])): (row["status"], row["cause"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def damaged(finished, tmp_path_factory) -> Workflow:
    """A finished run of which three replicates were harmed before it was measured again, and a fourth, which others
    start from, before one of these was trained again."""
    workflow = copied(finished, tmp_path_factory.mktemp("damaged"))
    sgd, adam = (block(workflow, optimizer=name) for name in ("sgd", "adam"))
    large, source = block(workflow, network="resnet18-small"), block(workflow, role="source")
    workflow.harmed = {
        (sgd.parent.name, 1): "seed1/epoch_1.safetensors was altered",
        (adam.parent.name, 0): "seed0/epoch_2.safetensors was altered",
        (large.parent.name, 2): "seed2/epoch_0.safetensors is missing",
    }
    turn(sgd / "snapshots/seed1/epoch_1.safetensors")
    shutil.copy(sgd / "snapshots/seed0/epoch_2.safetensors", adam / "snapshots/seed0/epoch_2.safetensors")
    (large / "snapshots/seed2/epoch_0.safetensors").unlink()
    workflow.source, workflow.child = source, block(workflow, init="pretrained")
    turn(source / "snapshots/seed2/epoch_2.safetensors")
    shutil.rmtree(workflow.child)
    shutil.rmtree(workflow.root / "results/tiny")
    workflow.first = workflow.run("all")
    return workflow


def test_what_is_not_whole_is_not_measured_and_told_with_its_cause(damaged):
    found = {key: told for key, told in statuses(damaged).items() if told[0] != "done"}
    child = damaged.child.parent.name, 2
    assert found.keys() == damaged.harmed.keys() | {child}
    for key, cause in damaged.harmed.items():
        assert found[key][0] == "missing" and cause in found[key][1]
    assert found[child][0] == "failed" and "its parent" in found[child][1] and "was altered" in found[child][1]
    page = pages.whole(damaged.root / "results/tiny")
    assert "23 of 27" in page and "retry_failed=true" in page
    for cause in damaged.harmed.values():
        assert cause in page and cause in damaged.first.stdout
    for table in ("statistics", "accuracy", "pairs"):
        with open(damaged.root / f"results/tiny/tables/{table}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        models = {(row.get("cell_id"), row.get("seed")) for row in rows}
        models |= {(row.get(f"cell_{side}"), row.get(f"seed_{side}")) for side in "ab" for row in rows}
        assert rows and not models & {(cell, str(seed)) for cell, seed in damaged.harmed}, table


def test_the_named_command_trains_these_alone_and_to_the_same_bits(damaged, finished):
    line = next(line for line in damaged.first.stdout.splitlines() if "retry_failed" in line)
    assert shlex.split(line)[-2:] == RETRY
    before = {path: path.stat().st_mtime_ns for path in (damaged.root / "results/cells").rglob("epoch_*.safetensors")}
    damaged.run("all", *RETRY)
    assert {status for status, _ in statuses(damaged).values()} == {"done"}
    assert damaged.weights() == finished.weights()
    after = {path: path.stat().st_mtime_ns for path in (damaged.root / "results/cells").rglob("epoch_*.safetensors")}
    trained = {(path.parts[-5], int(path.parts[-2][4:])) for path in after if after[path] != before.get(path)}
    with open(damaged.root / "results/tiny/cells.csv", newline="") as file:
        followers = {row["cell_id"] for row in csv.DictReader(file) if row["parent"]}  # they start from what was harmed
    assert {key for key in trained if key[0] not in followers} == {*damaged.harmed, (damaged.source.parent.name, 2)}
    page = pages.whole(damaged.root / "results/tiny")
    assert "27 of 27" in page and "retry_failed" not in page
    assert "Nothing to be done" in damaged.run("all").stdout


@pytest.mark.parametrize("text", ["{", "[]", '{"replicates": [], "cell_id": "x"}', "another cell's"])
def test_a_run_json_that_is_no_record_ends_in_one_line_before_any_job(finished, tmp_path, text):
    workflow = copied(finished, tmp_path)
    path = block(workflow) / "run.json"
    other = block(workflow, optimizer="adam") / "run.json"
    path.write_text(other.read_text() if text == "another cell's" else text)
    done = workflow.run("all", check=False)
    lines = [line for line in done.stdout.splitlines() if "Using workflow specific profile" not in line]
    assert done.returncode != 0 and len(lines) == 1, done.stdout
    assert str(path.relative_to(tmp_path)) in lines[0] and "remove the file" in lines[0]


def test_a_run_json_that_is_removed_is_made_again_and_nothing_is_trained(finished, tmp_path):
    workflow = copied(finished, tmp_path)
    path = block(workflow) / "run.json"
    before, weights = path.read_text(), {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}
    path.unlink()
    (path.parent / "metrics.csv").unlink()
    shutil.rmtree(tmp_path / "results/tiny")
    done = workflow.run("all", "--omit-from", "measure")
    assert path.read_text() == before and len(re.findall(r"^Job \d+: training", done.stdout, re.M)) == 1
    assert {p: p.stat().st_mtime_ns for p in weights if "cells" in p.parts} == {
        p: at for p, at in weights.items() if "cells" in p.parts
    }


def test_results_below_another_folder_are_an_error(finished, tmp_path):
    """Where a declared input is there and what it names is not, no table is written with its header alone."""
    workflow = copied(finished, tmp_path)
    (tmp_path / "results/cells").rename(tmp_path / "results/elsewhere")
    cells = tmp_path / "results/tiny/cells.csv"
    with open(cells, newline="") as file:
        group = next(csv.DictReader(file))["group"]
    command = ["scripts/measure.py", "--cells", str(cells), "--group", group, "--output", str(tmp_path / "out")]
    done = workflow.python(*command, "--data", "--card")
    assert done.returncode != 0 and "run.json: is missing" in done.stdout.splitlines()[-1]
    cards = [str(path) for path in (tmp_path / "data").glob("*.json")]
    measures = [str(path) for path in (tmp_path / "results/tiny/measures").iterdir()]
    command = ["scripts/collect.py", "--cells", str(cells), "--measures", *measures, "--cards", *cards]
    done = workflow.python(*command, "--output", str(tmp_path / "out"))
    assert done.returncode != 0 and "metrics.csv" in done.stdout.splitlines()[-1]
