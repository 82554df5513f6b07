"""When something fails: what is recorded, what goes on, and how it is tried again."""

import csv
import json
import shlex

import pytest

from tests import pages
from tests.conftest import Workflow, altered, tiny

# LeNet-1 that kills its process while a file named `kill` lies in the working directory.
FATAL = altered("""
    if os.path.exists("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
""")


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A run with a cell that is killed at every attempt, one that diverges, and one that works."""
    config = tiny()
    config["networks"] = {"lenet1": {}, "fatal": {}}
    config["optimizers"] = {"sgd": config["optimizers"]["sgd"], "wild": {"type": "sgd", "lr": 1.0e6}}
    study = config["definitions"]["dynamics"]
    study["grid"] |= {
        "network": ["lenet1", "fatal"],
        "init": ["kaiming_uniform", "pretrained"],
        "optimizer": ["sgd", "wild"],
    }
    study["exclude"] = [{"network": "fatal", "optimizer": "wild"}, {"network": "lenet1", "init": "pretrained"}]
    study["perturb"]["where"]["optimizer"] = ["sgd", "wild"]
    root = tmp_path_factory.mktemp("troubled run")
    workflow = Workflow(root, config)
    (root / "scripts/weight_atlas/networks/architectures/fatal.py").write_text(FATAL)
    (root / "kill").touch()
    workflow.first = workflow.run("all", check=False)
    return workflow


def statuses(workflow):
    """{(architecture, init kind, optimizer's rate): statuses of the replicates}."""
    found = {}
    for path in (workflow.root / "results/cells").glob("*/seeds_*/run.json"):
        run = json.loads(path.read_text())
        cell = run["cell"]
        key = (cell["network"]["architecture"], cell["start"]["kind"], cell["training"]["optimizer"]["lr"])
        found.setdefault(key, []).append([record["status"] for record in run["replicates"]])
    return found


def test_the_others_are_trained_and_the_report_says_which_failed(troubled):
    assert troubled.first.returncode == 0, troubled.first.stdout[-4000:]
    found = statuses(troubled)
    assert found["lenet1", "init", 0.02] == [["done"] * 3]
    assert found["lenet1", "init", 1e6] == [["diverged"] * 3]
    assert found["fatal", "init", 0.02] == [["failed"] * 3] * 2
    assert found["fatal", "parent", 0.02] == [["failed"] * 3]
    page = pages.whole(troubled.root / "results/tiny")
    assert "SIGKILL" in page and "diverged" in page and "retry_failed=true" in page


def test_every_attempt_was_made_and_the_console_ends_with_the_command(troubled):
    text = troubled.first.stdout
    for attempt in (1, 2, 3):
        assert f"attempt {attempt} of 3 failed, killed by SIGKILL" in text
    last = text.splitlines()[-12:]
    assert any("retry_failed=true" in line for line in last) and any("report.html" in line for line in last)


def test_summaries_leave_out_what_failed_and_say_so(troubled):
    with open(troubled.root / "results/tiny/tables/summary.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["measure"] == "accuracy" and row["key"] == "last"]
    counts = sorted((row["n"], row["of"]) for row in rows)
    assert ("3", "3") in counts and ("0", "3") in counts


def test_the_named_command_trains_the_failed_ones_again(troubled):
    line = next(line for line in troubled.first.stdout.splitlines() if "retry_failed" in line)
    again = ["--config", "retry_failed=true"]
    assert shlex.split(line) == ["snakemake", "--cores", "all", "--configfile", "config/tiny.yaml", *again]
    assert not [job for job in troubled.jobs() if "training" in job], "they are not tried again unasked"
    assert "3 training jobs to do" in troubled.run("plan", *again).stdout, "one follows from another"
    trained = [job for job in troubled.jobs(*again) if "training" in job]
    assert len(trained) == 3 and all(job.startswith("training base-digits") and "-fatal-" in job for job in trained)
    assert statuses(troubled)["fatal", "init", 0.02] == [["failed"] * 3] * 2, "a plan and a dry run change nothing"
    (troubled.root / "kill").unlink()
    done = troubled.run("all", *again)
    found = statuses(troubled)
    assert found["fatal", "init", 0.02] == [["done"] * 3] * 2 and found["fatal", "parent", 0.02] == [["done"] * 3]
    assert "training base-digits-lenet1-" not in done.stdout and "retraining" not in done.stdout
    assert "Nothing to be done" in troubled.run("all").stdout


def test_what_starts_from_a_diverged_run_is_not_tried_again(troubled):
    causes = [
        record["cause"]
        for path in (troubled.root / "results/cells").glob("perturb-*/seeds_*/run.json")
        for record in json.loads(path.read_text())["replicates"]
        if record["status"] == "failed"
    ]
    assert len(causes) == 6 and all("has status diverged" in cause for cause in causes)
    assert "Nothing to be done" in troubled.run("all", "--config", "retry_failed=true").stdout


def test_failures_stop_makes_it_an_error(tmp_path):
    config = tiny()
    config["networks"], config["failures"] = {"fatal": {}}, "stop"
    config["definitions"]["dynamics"]["grid"] |= {"network": ["fatal"], "init": ["default"], "optimizer": ["sgd"]}
    config["definitions"]["dynamics"]["exclude"] = []
    workflow = Workflow(tmp_path, config)
    (tmp_path / "scripts/weight_atlas/networks/architectures/fatal.py").write_text(FATAL)
    (tmp_path / "kill").touch()
    done = workflow.run("all", check=False)
    assert done.returncode != 0 and not list((tmp_path / "results/cells").glob("*/seeds_*/run.json"))
