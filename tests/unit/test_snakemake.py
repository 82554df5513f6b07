"""What the rules take from Snakemake that it does not document, and the version that it was seen in."""

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from weight_atlas.plan import snakemake_internals, stored

ROOT = Path(__file__).resolve().parents[2]
SEEN_IN = "9.27"  # read its workflow.py and scheduling/job_scheduler.py again before this is raised
DOCUMENTED = {"snakefile"}


def test_the_installed_version_is_the_one_that_was_read():
    assert metadata.version("snakemake").startswith(f"{SEEN_IN}."), "does it still have these attributes?"
    assert f'min_version("{SEEN_IN}")' in (ROOT / "Snakefile").read_text()


def test_the_rules_take_nothing_else_from_it():
    rules = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    used = {name for file in rules for name in re.findall(r"\bworkflow\.(\w+)", file.read_text())}
    # The Snakefile's default config, before anything can be imported.
    assert used - DOCUMENTED == {"config_settings"}


def test_every_attribute_is_one_of_the_installed_snakemake():
    import snakemake.api  # noqa: F401 (first: the others import it in a circle)
    from snakemake.scheduling.job_scheduler import JobScheduler
    from snakemake.workflow import Workflow

    tree = ast.parse(Path(snakemake_internals.__file__).read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "workflow"}
    used |= set(re.findall(r"self\.workflow\.(\w+)", Path(stored.__file__).read_text()))
    fields = set(Workflow.__dataclass_fields__)
    assert used and used <= fields | set(dir(Workflow))
    assert "job_rate_limiter" in JobScheduler.__init__.__code__.co_names
    from snakemake.dag import DAG
    from snakemake.rules import Rule

    assert "Terminating processes on user request" in inspect.getsource(JobScheduler.schedule)
    assert list(inspect.signature(DAG.check_output_mtime).parameters) == ["self", "job", "expanded_output"]
    assert "snakefile" in Rule.__dict__
    from snakemake_interface_storage_plugins.storage_object import StorageObjectBase, StorageObjectGlob

    assert {"local_path", "set_local_path"} <= set(dir(StorageObjectBase))
    assert {"list_candidate_matches"} <= set(dir(StorageObjectGlob))


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("plan --cores 1 --configfile x.yaml --config name=a", True),
        ("--cores 1 --configfile x.yaml -- plan", True),
        ("plan -n", True),
        ("--cores 1", False),
        ("plan all --cores 1", False),
        ("all --configfile plan --cores 1", False),
        ("--until plan --cores 1", False),
    ],
)
def test_the_target_is_known_while_rules_are_read(monkeypatch, words, asked):
    monkeypatch.setattr(sys, "argv", ["snakemake", *words.split()])
    assert snakemake_internals.asks_only_for("plan") is asked


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("-n", True),
        ("-nq --cores 1", True),
        ("all --dry-run", True),
        ("--unlock", True),
        ("--dag=dot", True),
        ("--cores 1 --config name=x-n", False),
        ("--cores 1 --latency-wait 9 -k", False),
    ],
)
def test_that_no_job_will_run_is_known_while_rules_are_read(monkeypatch, words, asked):
    monkeypatch.setattr(sys, "argv", ["snakemake", *words.split()])
    assert snakemake_internals.only_looks() is asked


def test_the_options_that_run_no_job_are_snakemake_s():
    from snakemake.cli import get_argument_parser

    known = {option for action in get_argument_parser()._actions for option in action.option_strings}
    assert known >= snakemake_internals.LOOKING


def test_dates_are_ignored_for_these_rules_alone(monkeypatch, tmp_path):
    import snakemake.api  # noqa: F401
    from snakemake import dag

    checked = []

    async def check(self, job, outputs):
        checked.append(job.rule.snakefile)

    monkeypatch.setattr(dag.DAG, "check_output_mtime", check)
    snakemake_internals.ignore_dates(tmp_path)
    for file in (tmp_path / "rules/train.smk", tmp_path.parent / "Snakefile"):
        job = SimpleNamespace(rule=SimpleNamespace(snakefile=str(file)))
        asyncio.run(dag.DAG.check_output_mtime(None, job, []))
    assert checked == [str(tmp_path.parent / "Snakefile")]


def test_once_a_user_has_stopped_it_nothing_more_is_said():
    from snakemake.logging import logger

    quiet = snakemake_internals.QuietOnceStopped()
    try:
        said = []
        for text in ("a job ends", "Terminating processes on user request, this might ..", "Error in rule train"):
            record = logger.makeRecord(logger.name, 40, "", 0, text, (), None)
            said.append((bool(logger.filter(record)), quiet.stopped))
    finally:
        logger.removeFilter(quiet)
    assert said == [(True, False), (False, True), (False, True)]


def test_a_job_that_ended_by_ctrl_c_is_not_told_of_before_the_stop_is_known(monkeypatch):
    from snakemake.logging import logger

    monkeypatch.setattr(snakemake_internals, "PATIENCE", 0.0)
    quiet = snakemake_internals.QuietOnceStopped()
    records = {
        text: logger.makeRecord(logger.name, 40, "", 0, text, (), None)
        for text in ("a command returned non-zero exit status 1.", "a command returned non-zero exit status 130.")
    }
    passed = {}
    try:
        threads = [
            threading.Thread(target=lambda text=text: passed.update({text: bool(logger.filter(records[text]))}))
            for text in records
        ]
        threads[0].start()
        threads[0].join()
        threads[1].start()
        stop = logger.makeRecord(logger.name, 40, "", 0, "Terminating processes on user request", (), None)
        assert not logger.filter(stop)
        threads[1].join()
    finally:
        logger.removeFilter(quiet)
    assert list(passed.values()) == [True, False]


MISSED = """
import logging, os, signal, threading
from weight_atlas.plan import snakemake_internals

snakemake_internals.PATIENCE_ONCE_STOPPED = 20.0
quiet, waiting, lock = snakemake_internals.QuietOnceStopped(), threading.Event(), threading.Lock()

def passes(text):
    return quiet.filter(logging.makeLogRecord({"levelno": 40, "msg": text}))

def job():
    waiting.wait()
    os.kill(os.getpid(), signal.SIGINT)  # which this thread takes, since the main one blocks it
    print("told of" if passes("a command returned non-zero exit status 130.") else "quiet")
    lock.release()

lock.acquire()
threading.Thread(target=job).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
try:
    waiting.set()
    lock.acquire()
except KeyboardInterrupt:
    passes("Terminating processes on user request, this might take some time.")
"""


def test_a_ctrl_c_that_another_thread_took_reaches_the_main_one():
    env = {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", MISSED], env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("quiet\n", "")


@pytest.mark.parametrize(
    ("methods", "own"),
    [((), True), (("APPTAINER",), True), (("ENV_MODULES", "APPTAINER"), True), (("CONDA",), False)],
)
def test_jobs_use_this_python_unless_conda_makes_them_another(monkeypatch, methods, own):
    import snakemake.api  # noqa: F401
    from snakemake.settings.types import DeploymentMethod

    monkeypatch.setenv("WEIGHT_ATLAS_PYTHON", "before")
    chosen = {getattr(DeploymentMethod, name) for name in methods}
    snakemake_internals.share_python(SimpleNamespace(deployment_settings=SimpleNamespace(deployment_method=chosen)))
    assert os.environ["WEIGHT_ATLAS_PYTHON"] == (str(Path(sys.executable).parent) if own else "")


def test_profiles_of_a_site_add_to_the_one_of_the_workflow(tmp_path):
    """One deploys containers and modules, which changes no job; another one prints the commands."""
    for name, text in (
        ("software", "software-deployment-method: [apptainer, env-modules]\n"),
        ("shown", "printshellcmds: true\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "profile.yaml").write_text(text)
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "-s", ROOT / "Snakefile"]
    said = [
        subprocess.run([*command, *more], capture_output=True, text=True, check=True, cwd=tmp_path)
        for more in ([], ["--profile", tmp_path / "software", "--profile", tmp_path / "shown"])
    ]
    plain, both = (done.stdout + done.stderr for done in said)
    counts = [re.findall(r"^(\w+) +(\d+)$", text, re.M) for text in (plain, both)]
    assert counts[0] == counts[1] and ("cells", "1") in counts[0]
    assert "/job.sh; logged" in both and "/job.sh; logged" not in plain
    assert "Reason:" not in plain + both, "as the workflow's own profile says"
