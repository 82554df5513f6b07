"""After a crash the same command is all that a user must know; and one Snakemake at a time trains in a directory."""

import json
import os
import re
import signal

import pytest

from tests import pages
from tests.conftest import SLOW, Workflow, altered, small, until

# LeNet-1 that takes the launcher with it while a file `kill` is there, as a node does that fails.
NODE = altered("""
    if os.path.exists("kill"):
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
""")


# What is typed while a training is under way.
BESIDE = [["all"], ["prune", "--config", "prune=remove"], ["plan"], ["status"], ["prune"]]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """A workflow whose Snakemake was killed in the middle of a training: (it, what others said that were typed
    beside it, the training's log, and its page, as it was then)."""
    root = tmp_path_factory.mktemp("a crash")
    workflow = Workflow(root, small("slow", epochs=6))
    (root / "scripts/weight_atlas/networks/architectures/slow.py").write_text(SLOW)
    # Two batches before the first epoch and six in each: the fourth does not end while others look on.
    (root / "slow").write_text("0.1 " * 22 + "30")
    first = workflow.start("all", WEIGHT_ATLAS_CHECKPOINT_SECONDS="0.5")
    log = lambda: "".join(path.read_text() for path in (root / "logs/train").rglob("*.log"))  # noqa: E731
    page = root / "results/tiny/status.html"  # which the run itself writes
    until(lambda: "epoch 3/6" in log() and page.exists() and "epoch 3/6" in page.read_text())
    live = page.read_text()
    others = [workflow.run(*words, check=False) for words in BESIDE]
    # The power goes: Snakemake first, then whatever it had started.
    first.kill()
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.path.samefile(os.readlink(f"/proc/{entry}/cwd"), root):
                os.kill(int(entry), signal.SIGKILL)
        except OSError:
            continue
    first.wait()
    return workflow, others, log(), live


def test_a_second_snakemake_is_refused_and_one_that_looks_on_is_not(crashed):
    _, (second, removing, plan, status, prune), *_ = crashed
    for refused in (second, removing):
        assert refused.returncode != 0 and "another snakemake works in this directory (process" in refused.stdout
    assert "training" not in second.stdout.split("another snakemake")[1] and "wanted by" not in removing.stdout
    assert plan.returncode == 0 and "study dynamics" in plan.stdout
    assert prune.returncode == 0 and "wanted by none of them: 0 in all" in prune.stdout
    assert status.returncode == 0 and "running   1 training job; a snakemake works here" in status.stdout
    running = re.findall(r"^  (base-\S+)  digits x slow x default x sgd  seed 0  (.+)", status.stdout, re.M)
    assert len(running) == 1 and re.match(r"epoch [3-6]/6.*  valid [\d.]+%  [\d,]+ images/s  .+ left", running[0][1])


def test_its_page_follows_a_run(crashed):
    *_, live = crashed
    assert '<meta http-equiv="refresh"' in live and "Running: 1 training job." in live
    assert live.count('<path class="curve running" d="M') >= 2, "accuracy and loss of the epochs so far"


def test_the_same_command_goes_on_where_the_crash_was(crashed):
    workflow, _, before, _ = crashed
    (workflow.root / "slow").unlink()
    assert "running   0 training jobs; no snakemake works here" in workflow.run("status").stdout
    done = workflow.run("all")
    assert "unlock" not in done.stdout
    after = "".join(path.read_text() for path in (workflow.root / "logs/train").rglob("*.log"))
    assert "goes on after" in after and after.count("seed 0  epoch 1/6") == 1 and after.startswith(before)
    assert (workflow.root / "results/tiny/report/report.html").exists()
    assert "Nothing to be done" in workflow.run("all").stdout
    left = {path.name for path in (workflow.root / "results/cells").rglob(".*")} - {".snakemake_timestamp"}
    assert not left, "no scratch directory, no lock, no half file"


def test_a_launcher_that_dies_at_every_attempt_is_recorded(tmp_path):
    workflow = Workflow(tmp_path, small("node") | {"replicates": 1})
    (tmp_path / "scripts/weight_atlas/networks/architectures/node.py").write_text(NODE)
    (tmp_path / "kill").touch()
    with workflow.start("all") as running:  # as users do: here the launcher is what starts the trainer
        said = running.stdout.read()
    assert running.returncode == 0, said
    run = json.loads(next((tmp_path / "results/cells").glob("*/seeds_*/run.json")).read_text())
    assert [record["status"] for record in run["replicates"]] == ["failed"]
    assert "ended without a word" in run["replicates"][0]["cause"]
    assert "3 attempts failed, the last one ended without a word" in said
    assert "ended without a word" in pages.whole(tmp_path / "results/tiny")
