"""The launcher: what it makes of a full disk, of attempts that nobody saw the end of, and of what SLURM says."""

import sys

import pytest

from atlas import store
from atlas.learn import launcher
from atlas.learn.attempts import SILENT, Attempts

FULL = "import sys; sys.exit('OSError: [Errno 28] No space left on device: seed0.json')"
GOOD = """
import json, pathlib, sys
scratch = pathlib.Path(sys.argv[1])
record = {"seed": 0, "status": "diverged", "cause": "as asked", "epochs": 0, "best_epoch": None}
(scratch / "seed0.json").write_text(json.dumps(record))
print("done")
"""


@pytest.fixture
def block(tmp_path):
    return launcher.Block(tmp_path / "cells" / "base-x" / "seeds_0-0", "base-x", {})


def launch(block, program, attempt=1, log=None, stop=False):
    command = [sys.executable, "-c", program, str(block.scratch)]
    log = log or block.directory.parents[2] / "train.log"
    return launcher.launch(block, command, log, attempt, 3, stop, [], 1)


def test_a_full_disk_is_no_failure_of_the_cell(block, capfd):
    assert [launch(block, FULL, attempt) for attempt in (1, 2, 3, 4)] == [1] * 4
    said = capfd.readouterr().err
    assert said.count("the disk is full; make room and run the same command again") == 4
    assert not (block.directory / "run.json").exists()
    assert launch(block, GOOD) == 0 and (block.directory / "run.json").exists() and not block.scratch.exists()


def test_a_launcher_that_cannot_write_says_why(block, tmp_path, capfd):
    """/dev/full answers every write as a full disk does."""
    (tmp_path / "full.log").symlink_to("/dev/full")
    assert launch(block, GOOD, log=tmp_path / "full.log") == 1
    assert "the disk is full" in capfd.readouterr().err
    assert launch(block, GOOD) == 0


def test_what_earlier_attempts_said_stands_first_in_the_log(block, tmp_path):
    log = tmp_path / "train.log"
    launch(block, "import sys; print('one'); sys.exit(3)")
    log.unlink()  # as Snakemake does
    launch(block, "import sys; print('two'); sys.exit(3)", attempt=2)
    assert log.read_text() == "one\ntwo\n"


def test_what_other_code_left_is_not_gone_on_with(block, capfd):
    part = "import pathlib, sys; (pathlib.Path(sys.argv[1]) / 'seed7.json').write_text('{}'); sys.exit(1)"
    assert launch(block, part) == 1 and (block.scratch / "seed7.json").exists()
    assert launch(block, part, attempt=2) == 1 and "begins anew" not in capfd.readouterr().out
    edited = launcher.Block(block.directory, block.cell_id, block.settings, "other code")
    assert launch(edited, "import sys; sys.exit(1)") == 1
    assert not (block.scratch / "seed7.json").exists() and "it begins anew" in capfd.readouterr().out


def test_one_more_attempt_records_what_nobody_saw(block, capfd):
    block.scratch.mkdir(parents=True)
    Attempts(block.scratch / "attempts.json").begin(3, block.origin)
    assert launch(block, "raise SystemExit('not to be run')", attempt=4) == 0
    run = store.read_json(block.directory / "run.json")
    assert [(record["status"], record["cause"]) for record in run["replicates"]] == [("failed", SILENT)]
    assert f"3 attempts failed, the last one {SILENT}" in capfd.readouterr().err


def test_failures_that_stop_are_not_recorded_then_either(block):
    assert launch(block, "raise SystemExit(1)", attempt=4, stop=True) == 1
    assert not (block.directory / "run.json").exists()


@pytest.mark.parametrize(
    ("scontrol", "sacct", "told"),
    [
        ("echo JobId=7 JobName=x JobState=TIMEOUT Reason=None", "exit 1", "as TIMEOUT"),
        ("exit 1", "echo '                 OUT_OF_MEMORY'", "as OUT_OF_MEMORY"),
        ("exit 1", "echo '    CANCELLED by 1000'", "as CANCELLED"),
        ("echo JobState=RUNNING", "exit 1", None),
    ],
)
def test_slurm_is_asked_how_the_job_ended(tmp_path, monkeypatch, scontrol, sacct, told):
    for name, line in (("scontrol", scontrol), ("sacct", sacct)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    made = Attempts(tmp_path / "attempts.json")
    assert made.last_words() == "never begun: its scheduler did not start it"
    made.begin(1, "code")
    made.end("stopped by SIGTERM")
    words = Attempts(tmp_path / "attempts.json").last_words()
    assert words.startswith("stopped by SIGTERM") and (told in words if told else "SLURM" not in words)


def test_the_trainer_keeps_its_memory_unless_the_user_says_otherwise(block, tmp_path, monkeypatch):
    for name in launcher.MEMORY:
        monkeypatch.delenv(name, raising=False)
    tell = f"import os; print([os.environ[name] for name in {list(launcher.MEMORY)}])\n"
    launch(block, tell + GOOD)
    assert str(list(launcher.MEMORY.values())) in (tmp_path / "train.log").read_text()
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "12345")
    launch(block, tell + GOOD)
    assert "'12345']" in (tmp_path / "train.log").read_text()
