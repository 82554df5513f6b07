"""A whole run that is killed at 40 random moments, and started again each time, ends as one that is left alone.

Some kills of jobs that train wait for the moment at which the first replicate is put into place.
"""

import collections
import csv
import random
import re
import threading
import time

import psutil
import pytest

from tests.conftest import SLOW, Workflow, small
from weight_atlas import store

pytestmark = pytest.mark.long

# How many kills while a job of each kind runs. Jobs that train have a launcher and its child, the trainer or the one
# that thins; three deaths of one such job in one run are a failure that is recorded, so that it dies twice at most.
KILLS = {
    "prepare": 3,
    "train": 7,
    "retrain": 5,
    "prune_snapshots": 6,
    "measure": 5,
    "collect": 4,
    "draw": 5,
    "render": 5,
}
TRAINING = ("train", "retrain", "prune_snapshots")
LEAST = 2
LONGEST = {"train": 4.0, "retrain": 4.0, "prune_snapshots": 3.0}  # seconds from a job's start to its death, at most
SHORT = 1.0  # of other jobs
RUNS = 150  # so many and no end: something is wrong
TIMES = {"started", "seconds", "wall_seconds", "images_per_second", "peak_memory_mib", "peak_gpu_memory_mib"}


def config():
    """Two studies of a slow network: one that is also retrained, and one of which the ends alone stay."""
    made = small("slow", ["kaiming_uniform"], epochs=3, track=True) | {"replicates": 2, "replicates_per_job": 2}
    grid = made["definitions"]["dynamics"]["grid"]
    flip = {"perturbations": ["flip"], "controls": ["same"]}
    made["definitions"] = {
        "dynamics": {"grid": grid, "perturb": flip},
        "thinned": {"grid": grid | {"optimizer": ["adam"]}, "keep": "ends"},
    }
    return made


def fresh(root):
    workflow = Workflow(root, config())
    (root / "scripts/weight_atlas/networks/architectures/slow.py").write_text(SLOW)
    (root / "slow").write_text("0.03")
    return workflow


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a run leaves that nobody disturbs."""
    workflow = fresh(tmp_path_factory.mktemp("alone"))
    workflow.run("all")
    return outcome(workflow)


def outcome(workflow):
    """The weights, and what the tables and the records of the blocks say, without times."""
    results = workflow.root / "results"
    texts = {}
    for path in sorted([*results.glob("tiny/tables/*.csv"), *results.glob("cells/*/seeds_*/metrics.csv")]):
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if not TIMES & set(row.values())]  # summary.csv has some
        texts[str(path.relative_to(results))] = [{key: row[key] for key in row if key not in TIMES} for row in rows]
    for path in results.glob("cells/*/seeds_*/run.json"):
        records = store.read_json(path)["replicates"]
        told = [[record[key] for key in ("seed", "status", "cause", "epochs", "best_epoch")] for record in records]
        texts[str(path.relative_to(results))] = told
    return workflow.weights() | texts


class Job:
    """The processes of one job that are alive below a working directory: its own one, and the children it has."""

    def __init__(self, kind, cell):
        self.kind, self.cell, self.own, self.children = kind, cell, None, []


def processes(root):
    """The processes that work in a directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def jobs(root):
    """The jobs that run in a directory."""
    found = {}
    for process in processes(root):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        script = words[1].rsplit("/")[-1].removesuffix(".py") if len(words) > 1 and words[1].endswith(".py") else ""
        if script not in KILLS:
            continue
        cell = words[words.index("--cell-id") + 1] if "--cell-id" in words else None
        kind = "retrain" if script == "train" and cell.startswith("perturb-") else script
        key = (kind, cell) if cell else (kind, process.pid)
        job = found.setdefault(key, Job(kind, cell))
        if "--child" in words or script == "prune_snapshots":
            job.children.append(process)
        else:
            job.own = process
    return list(found.values())


def killed(process):
    """Kill one process; whether it was there to be killed."""
    try:
        process.kill()
        return True
    except psutil.NoSuchProcess:
        return False


def until_placed(job, root):
    """Wait until a replicate of the job is put into place, or the job ends: few random moments would hit that one."""
    count = lambda: len(list(root.glob(f"results/cells/{job.cell}/seeds_*/snapshots/*")))  # noqa: E731
    before = count()
    while count() == before and job.own.is_running():
        time.sleep(0.0005)


class Killer:
    """Kills jobs of a workflow's runs until it were enough; `left`: how many of each kind in one folder."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.left = collections.Counter(KILLS)
        self.done = collections.Counter()
        self.how = collections.Counter()

    def over(self):
        return self.done.total() >= sum(KILLS.values()) and all(self.done[kind] >= LEAST for kind in KILLS)

    def watch(self, running, root, note):
        """Kill in a run until it ends; how often. `note` is called after each kill."""
        struck, count = collections.Counter(), 0
        while running.poll() is None:
            there = [job for job in jobs(root) if self.left[job.kind] > 0 and struck[job.cell] < 2]
            if self.over() or not there:
                time.sleep(0.02)
                continue
            job = min(there, key=lambda job: (self.done[job.kind], self.draw.random()))
            if job.own and job.kind in ("train", "retrain") and self.draw.random() < 0.5:
                until_placed(job, root)
            else:
                time.sleep(self.draw.uniform(0, LONGEST.get(job.kind, SHORT)))
            how = self.strike(job, running, root)
            note()
            if how:
                count += 1
                self.left[job.kind] -= 1
                self.done[job.kind] += 1
                self.how[how] += 1
                struck[job.cell] += bool(job.cell)
        return count

    def strike(self, job, running, root):
        """Kill a job's own process, a child of it, or all that there is; how, or None where the job has ended."""
        alive = [process for process in [job.own, *job.children] if process and process.is_running()]
        if not alive:
            return None
        how = self.draw.choice(["all", "one", "one"])
        if how == "one":
            victim = self.draw.choice(alive)
            return ("child" if victim in job.children else "job") if killed(victim) else None
        running.kill()  # Snakemake first, so that it sees nothing of the rest
        while there := processes(root):
            for process in there:
                killed(process)
        return how


def run(workflow, killer, note):
    """One run of the command with its kills; (its exit status, how many kills, what it said)."""
    running, said = workflow.start("all", WEIGHT_ATLAS_CHECKPOINT_SECONDS="0.3"), []
    reader = threading.Thread(target=lambda: said.extend(running.stdout))
    reader.start()
    count = killer.watch(running, workflow.root, note)
    running.wait()
    reader.join()
    return running.returncode, count, "".join(said)


def test_forty_kills(alone, tmp_path):
    killer, rounds, runs = Killer(40), 0, 0
    while not killer.over():
        (tmp_path / str(rounds)).mkdir()
        workflow = fresh(tmp_path / str(rounds))
        placed, killer.left = {}, collections.Counter(KILLS)

        def note(workflow=workflow, placed=placed):
            """Remember the files of the replicates in place: they must stay the same ones."""
            for path in workflow.root.glob("results/cells/*/seeds_*/snapshots/seed*/epoch_3.safetensors"):
                placed.setdefault(path, path.stat().st_ino)

        status = None
        while status != 0:
            status, count, said = run(workflow, killer, note)
            runs += 1
            assert status == 0 or count, f"nobody killed it, and it ended with {status}:\n{said[-4000:]}"
            assert runs < RUNS
        rounds += 1
        found = outcome(workflow)
        assert found.keys() == alone.keys()
        assert not [name for name in alone if found[name] != alone[name]]
        assert "Nothing to be done" in workflow.run("all").stdout
        assert {path: path.stat().st_ino for path in placed} == placed, "what was in place was not trained again"
        for log in (workflow.root / "logs/train").rglob("*.log"):
            assert in_order(log.read_text(errors="replace")), f"{log}: a finished replicate was trained again"
        left = {path.name for path in (workflow.root / "results/cells").rglob(".*")} - {".snakemake_timestamp"}
        assert not left, "no scratch directory, no lock, no half file"
    print(f"{killer.done.total()} kills, {runs} runs in {rounds} folders: {dict(killer.done)}, {dict(killer.how)}")


def in_order(log):
    """Whether no replicate was trained after a later one had begun: the trainer takes one after the other."""
    seeds = [int(seed) for seed in re.findall(r"^seed (\d+)  (?:epoch|goes on)", log, re.M)]
    return seeds == sorted(seeds)
