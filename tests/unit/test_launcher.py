"""The launcher: what it makes of a full disk, of attempts that nobody saw the end of, and of what SLURM says."""

import contextlib
import os
import shutil
import signal
import sys

import pytest

from tests.conftest import until
from weight_atlas import store
from weight_atlas.training import launcher
from weight_atlas.training.attempts import SILENT, Attempts

FULL = "import sys; sys.exit('OSError: [Errno 28] No space left on device: seed0.json')"
GOOD = """
import json, pathlib, sys
scratch = pathlib.Path(sys.argv[1])
record = {"seed": 0, "status": "diverged", "cause": "as asked", "epochs": 0, "best_epoch": None}
folder = scratch / "snapshots/seed0"
folder.mkdir(parents=True)
(folder / "record.json").write_text(json.dumps(record))
print("done")
"""


@pytest.fixture
def block(tmp_path):
    return launcher.Block(tmp_path / "cells" / "base-x" / "seeds_0-0", "base-x", {})


def launch(block, program, attempt=1, log=None, stop=False):
    command = [sys.executable, "-c", program, str(block.scratch)]
    log = log or block.directory.parents[2] / "train.log"
    return launcher.launch(block, launcher.Job(command, log, attempt, 3, stop, [], 1))


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
    edited = launcher.Block(block.directory, block.cell_id, block.settings, {"code": "other"})
    assert launch(edited, "import sys; sys.exit(1)") == 1
    assert not (block.scratch / "seed7.json").exists() and "it begins anew" in capfd.readouterr().out


def test_one_more_attempt_records_what_nobody_saw(block, capfd):
    block.scratch.mkdir(parents=True)
    Attempts(block.scratch / "attempts.json").begin(3, block.recipe)
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
    assert made.last_message() == "never begun: its scheduler did not start it"
    made.begin(1, {"code": "some"})
    made.end("stopped by SIGTERM")
    words = Attempts(tmp_path / "attempts.json").last_message()
    assert words.startswith("stopped by SIGTERM") and (told in words if told else "SLURM" not in words)


def test_the_trainer_keeps_its_memory_unless_the_user_says_otherwise(block, tmp_path, monkeypatch):
    for name in launcher.MEMORY:
        monkeypatch.delenv(name, raising=False)
    tell = f"import os; print([os.environ[name] for name in {list(launcher.MEMORY)}])\n"
    launch(block, tell + GOOD)
    assert str(list(launcher.MEMORY.values())) in (tmp_path / "train.log").read_text()
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "12345")
    shutil.rmtree(block.directory)
    launch(block, tell + GOOD)
    assert "'12345']" in (tmp_path / "train.log").read_text()


STOP = "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
ASKED = "import sys; print('asked to stop'); sys.exit(143)"


@pytest.mark.parametrize(("program", "status"), [(STOP, 143), (ASKED, 143)], ids=["launcher", "trainer"])
def test_being_stopped_is_no_failure(block, capfd, program, status):
    """Whether somebody stops the launcher or the trainer alone: nothing is recorded, and the same command goes on."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    assert [launch(block, program, attempt) for attempt in (1, 2, 3, 4)] == [status] * 3 + [1]
    for number, handler in before.items():
        signal.signal(number, handler)
    assert "stopped by SIGTERM: the same command goes on where it was" in capfd.readouterr().err
    assert not (block.directory / "run.json").exists() and block.unfinished() == [0]
    another = launcher.Block(block.directory, block.cell_id, block.settings)
    assert launch(another, GOOD) == 0 and not block.scratch.exists()


@pytest.mark.parametrize(("state", "recorded"), [("TIMEOUT", True), ("CANCELLED", False)])
def test_what_slurm_ends_for_its_time_is_the_cells_own_failure(block, tmp_path, monkeypatch, state, recorded):
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho JobState={state}\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert launch(block, ASKED, attempt=3) == 143
    assert launch(block, "raise SystemExit('not to be run')", attempt=4) == (0 if recorded else 1)
    assert (block.directory / "run.json").exists() == recorded


def test_who_waited_takes_what_the_other_finished(block, tmp_path, monkeypatch):
    """A launcher that outlived its Snakemake, and the one that a new Snakemake starts meanwhile: one training."""
    (tmp_path / "go").touch()
    program = "import os, time; open('trained', 'a').write('x')\nwhile os.path.exists('go'): time.sleep(0.01)\n"
    monkeypatch.chdir(tmp_path)
    first = os.fork()
    if not first:
        os._exit(launch(block, program + GOOD))
    until(lambda: (tmp_path / "trained").exists())
    second = os.fork()
    if not second:
        with open("said", "w", buffering=1) as said, contextlib.redirect_stdout(said):
            os._exit(launch(block, program + GOOD))
    until(lambda: (tmp_path / "said").exists() and "waiting for it" in (tmp_path / "said").read_text())
    (tmp_path / "go").unlink()
    assert [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in (first, second)] == [0, 0]
    assert (tmp_path / "trained").read_text() == "x" and (block.directory / "run.json").exists()


def test_of_a_block_only_what_is_not_whole_is_trained_again(tmp_path, capfd):
    two = launcher.Block(tmp_path / "cells" / "base-x" / "seeds_0-1", "base-x", {})
    program = """
import json, pathlib, sys
for seed in (0, 1):
    folder = pathlib.Path(sys.argv[1]) / f"snapshots/seed{seed}"
    if not (pathlib.Path(sys.argv[1]).parent / f"seeds_0-1/snapshots/seed{seed}/record.json").exists():
        folder.mkdir(parents=True)
        (folder / "epoch_0.safetensors").write_bytes(b"weights")
        record = {"seed": seed, "status": "diverged", "epochs": 0, "best_epoch": 0}
        (folder / "record.json").write_text(json.dumps(record))
        print("trained", seed)
"""
    assert launch(two, program) == 0
    run = (two.directory / "run.json").read_bytes()
    for harm in (lambda path: path.write_bytes(b"Weights"), lambda path: path.unlink()):
        harm(two.directory / "snapshots/seed1/epoch_0.safetensors")
        (two.directory / "run.json").unlink()  # as Snakemake does
        assert launch(two, program) == 0 and (two.directory / "run.json").read_bytes() == run
        log = (tmp_path / "train.log").read_text()
        assert log == "trained 1\n", "the other is whole"
    said = capfd.readouterr().out
    assert "seed1: " in said and said.count("it is trained again") == 2
    assert "was altered" in said and "is missing" in said
    again = launcher.Block(two.directory, two.cell_id, two.settings, {"code": "other"})
    assert launch(again, program) == 0 and (tmp_path / "train.log").read_text() == "trained 0\ntrained 1\n"
