"""Jobs that are forks of one process that has imported torch, and jobs of their own."""

import csv
import re
import subprocess

import pytest

from tests.conftest import Workflow, small


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{whether it preloads: a workflow that has trained}, the same config."""
    made = {}
    for preload in (True, False):
        made[preload] = Workflow(
            tmp_path_factory.mktemp("preload"), small("lenet1", snapshots="ends") | {"preload": preload}
        )
        (made[preload].root / "temporary").mkdir()
        running = made[preload].start("--until", "train", TMPDIR=str(made[preload].root / "temporary"))
        said, _ = running.communicate()
        assert running.returncode == 0, said
    return made


def test_the_weights_and_the_metrics_are_the_same(runs):
    warm, cold = runs[True].weights(), runs[False].weights()
    assert warm == cold and warm

    def metrics(workflow: Workflow) -> list[list[dict[str, str]]]:
        paths = sorted((workflow.root / "results/cells").rglob("metrics.csv"))
        rows = [list(csv.DictReader(path.open())) for path in paths]
        return [[{k: v for k, v in row.items() if "second" not in k} for row in table] for table in rows]

    assert metrics(runs[True]) == metrics(runs[False])


def test_only_forks_start_in_no_time(runs):
    said = {preload: (workflow.root / "logs/train").rglob("*.log") for preload, workflow in runs.items()}
    starts = {
        preload: [float(line) for log in logs for line in re.findall(r"([\d.]+) of them to start", log.read_text())]
        for preload, logs in said.items()
    }
    assert max(starts[True]) < min(starts[False]), starts


def test_the_benchmark_of_a_job_counts_what_the_fork_uses(runs):
    """A client alone has 10 MiB; a process with torch more than 150."""
    for workflow in runs.values():
        tables = sorted((workflow.root / "logs/benchmarks/train").rglob("*.tsv"))
        largest = [float(row["max_rss"]) for path in tables for row in csv.DictReader(path.open(), delimiter="\t")]
        assert largest and max(largest) > 150, largest


def test_nothing_is_left_of_it_after_the_run(runs):
    processes = subprocess.check_output(["ps", "-eo", "args"], text=True)
    assert not [line for line in processes.splitlines() if str(runs[True].root) in line and "warm.py" in line]
    assert not list((runs[True].root / "temporary").glob("weight-atlas-*"))
