"""What the workflow says before it does anything, and how it begins."""

import copy
import hashlib
import tarfile

import pytest

from tests.conftest import Workflow, small, tiny
from tests.unit.servers import served
from tests.unit.test_datasets import put
from tests.unit.test_plan import WRONG


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    return Workflow(tmp_path_factory.mktemp("fresh"), tiny())


def test_the_plan_prints_cells_jobs_time_and_disk(fresh):
    text = fresh.run("plan").stdout
    head, _, _ = text.partition("study dynamics")
    assert len(head.splitlines()) < 12 and "SNAKEMAKE" not in head and "Reason" not in head
    for word in (
        "study dynamics: 6 cells in the grid + 1 perturbed and retrained = 7 trainings a replicate; "
        "apart: 1 source cells, 1 controls of the perturbed",
        "27 trainings",
        "9 training jobs",
        "disk",
        "measures  about",
        "statistics",
    ):
        assert word in text
    assert not (fresh.root / "results").exists() and not (fresh.root / "data").exists()


def test_only_the_plan_is_made_without_the_data(fresh):
    config = tiny()
    config["datasets"]["digits-0-4"] = {"source": "folder", "path": "mine"}
    fresh.write(config)
    try:
        text = fresh.run("plan").stdout
        others = [fresh.run(*words, check=False) for words in (["--dry-run"], ["status"])]
    finally:
        fresh.write(tiny())
    assert "data set digits-0-4: is not at hand" in text and "data/downloads/mine not found" in text
    assert "9 training jobs" in text and "? parameters" in text
    for other in others:
        assert other.returncode and "datasets.digits-0-4: dataset folder: data/downloads/mine not found" in other.stdout


def test_data_are_downloaded_by_a_run_and_by_nothing_else(tmp_path):
    """A dry run, the plan and the status ask no server; a run asks once, before it plans."""
    put(tmp_path / "web/birds", {"robin": 30, "wren": 30}, mode="L", width=28, height=28)
    with tarfile.open(tmp_path / "web/birds.tar.xz", "w:xz") as file:
        file.add(tmp_path / "web/birds", "birds")
    digest = hashlib.sha256((tmp_path / "web/birds.tar.xz").read_bytes()).hexdigest()
    (tmp_path / "workflow").mkdir()
    with served(tmp_path / "web") as (address, server):
        config = small("lenet1")
        given = {"url": f"{address}/birds.tar.xz", "sha256": digest}
        config["datasets"] = {"birds": {"source": "folder", "path": "birds", "download": given}}
        config["definitions"]["dynamics"]["grid"]["dataset"] = ["birds"]
        workflow = Workflow(tmp_path / "workflow", config)
        others = [workflow.run(*words, check=False) for words in (["--dry-run"], ["status"])]
        planned = workflow.run("plan").stdout
        assert server.told == []
        done = workflow.run("--until", "prepare")
        jobs = workflow.jobs()
    said = "datasets.birds: dataset folder: data/downloads/birds is not there yet; a run downloads it before it plans"
    assert all(other.returncode and said in other.stdout for other in others)
    assert "data set birds: is not at hand" in planned
    assert server.told == [None] and "downloading the data set birds to data/downloads" in done.stdout
    assert any(job.startswith("training") for job in jobs) and not any(job.startswith("preparing") for job in jobs)


def test_a_dry_run_lists_every_job(fresh):
    jobs = fresh.jobs()
    assert sum(job.startswith("training") for job in jobs) == 7
    assert sum(job.startswith("retraining") for job in jobs) == 2
    assert sum(job.startswith("preparing") for job in jobs) == 2
    assert not (fresh.root / "results").exists()


def test_the_smoke_test_tries_every_way_to_train(fresh):
    text = fresh.run("smoke").stdout
    # Both optimizers on all digits, and that of the source on the digits 0 to 4.
    assert text.count("  works   digits-lenet1") == 3 and text.count("  works   digits-resnet18") == 2
    assert not (fresh.root / "results").exists()


@pytest.mark.parametrize("case", ["unknown nested key", "missing folder", "a cycle of parents"])
def test_a_wrong_config_ends_in_one_line_before_any_job(fresh, case):
    config = copy.deepcopy(tiny())
    for path, value in WRONG[case][0]:
        *above, last = path
        place = config
        for key in above:
            place = place[key]
        place[last] = value
    fresh.write(config)
    try:
        done = fresh.run("all", check=False)
    finally:
        fresh.write(tiny())
    lines = [line for line in done.stdout.splitlines() if "Using workflow specific profile" not in line]
    assert done.returncode != 0 and len(lines) == 1, done.stdout
    assert all(word in lines[0] for word in WRONG[case][1])
    assert not (fresh.root / "results").exists()


def test_lint_is_content(fresh):
    done = fresh.run("--lint", check=False)
    assert done.returncode == 0, done.stdout
    assert "Congratulations" in done.stdout


def test_snakemake_looks_for_jobs_when_one_has_ended_and_at_no_other_time(tmp_path):
    config = small("lenet1")
    few, names = config["datasets"]["digits"], [f"digits-{number}" for number in range(6)]
    config["datasets"] |= {name: few | {"seed": number} for number, name in enumerate(names)}
    config["definitions"]["dynamics"]["grid"]["dataset"] = names
    said = Workflow(tmp_path, config).run("--until", "prepare", "--verbose", cores=1).stdout
    ended, looks = said.count("Finished jobid"), said.count("Ready jobs: ")
    assert ended >= len(names) and looks <= ended + 1, said
