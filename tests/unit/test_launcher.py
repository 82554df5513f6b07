"""The launcher: what it makes of a full disk, of attempts that nobody saw the end of, and of what SLURM says."""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.conftest import until
from weight_atlas import gpu_slots as slots
from weight_atlas import store, warm
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


def launch(block, program, attempt=1, log=None, stop=False, **options):
    command = [sys.executable, "-c", program, str(block.scratch)]
    log = log or block.directory.parents[2] / "train.log"
    return launcher.launch(block, launcher.Job(command, log, attempt, 3, stop, **options))


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
    for name in warm.MEMORY:
        monkeypatch.delenv(name, raising=False)
    tell = f"import os; print([os.environ[name] for name in {list(warm.MEMORY)}])\n"
    launch(block, tell + GOOD)
    assert str(list(warm.MEMORY.values())) in (tmp_path / "train.log").read_text()
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


# ------------------------------------------------------------------------------------------ where there is a GPU


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(slots.tempfile, "tempdir", None)
    monkeypatch.setattr(slots, "gpus", lambda: [slots.Gpu("0", "GPU-a"), slots.Gpu("1", "GPU-b")])


SHOW = "import os, sys; print('device:', os.environ.get('CUDA_VISIBLE_DEVICES'), *sys.argv[2:], flush=True)\n"


@pytest.mark.parametrize(("device", "shown"), [("auto", "0 --device cuda"), ("cuda", "0 --device cuda"), ("cpu", None)])
def test_a_training_sees_its_own_gpu_and_says_so(block, two_gpus, monkeypatch, capfd, device, shown):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert launch(block, SHOW + GOOD, device=device) == 0
    assert ("device: 0 --device cuda" in capfd.readouterr().out) == bool(shown)
    log = (block.directory.parents[2] / "train.log").read_text()
    assert log.startswith(f"device: {shown or 'None --device cpu'}\n")


def test_auto_without_a_gpu_is_the_cpu(block, monkeypatch):
    monkeypatch.setattr(slots, "gpus", list)
    assert launch(block, SHOW + GOOD, device="auto") == 0
    assert "--device cpu" in (block.directory.parents[2] / "train.log").read_text()


def test_where_no_gpu_is_to_be_seen_nothing_is_trained_and_nothing_recorded(block, monkeypatch, capfd):
    monkeypatch.setattr(slots, "gpus", list)
    program = "raise SystemExit('not to be run')"
    assert [launch(block, program, attempt, device="cuda") for attempt in (1, 2, 3, 4)] == [1] * 4
    said = capfd.readouterr().err
    assert said.count("`device: cuda`, but there is no GPU here") == 4 and "not to be run" not in said
    assert not (block.directory / "run.json").exists() and block.unfinished() == [0]


def test_the_last_attempt_is_recorded_without_a_gpu_too(block, monkeypatch):
    """The job that records a failure asks for no GPU, and a scheduler shows it none."""
    monkeypatch.setattr(slots, "gpus", list)
    block.scratch.mkdir(parents=True)
    Attempts(block.scratch / "attempts.json").begin(3, block.recipe)
    assert launch(block, "raise SystemExit('not to be run')", attempt=4, device="cuda") == 0
    assert store.read_json(block.directory / "run.json")["replicates"][0]["status"] == "failed"


def test_a_gpu_that_torch_cannot_use_stops_everything_unrecorded(block, two_gpus, capfd):
    """In torch's own words; the trainer is the real one, which finds no driver here."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(launcher.__file__).parents[2])!r})
from weight_atlas import device
device.find(sys.argv[-1])
"""
    assert [launch(block, program, attempt, device="auto") for attempt in (1, 2, 3, 4)] == [1] * 4
    said = capfd.readouterr().err
    assert said.count("the GPU 0 is there, but torch finds no GPU: ") == 4 and "NVIDIA" in said
    assert not (block.directory / "run.json").exists() and block.unfinished() == [0]
    assert launch(block, GOOD, device="auto") == 0


FULL_GPU = """
import sys
print("Traceback (most recent call last):")
print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB")
sys.exit(1)
"""


def test_a_gpu_that_is_full_is_tried_again_with_one_for_itself_alone(block, two_gpus, capfd):
    held = []

    def taken(number):
        locks = [slots._try_lock(slots.folder() / f"GPU-a.{slot}.lock") for slot in range(2)]
        held.append(sum(lock is None for lock in locks))
        for lock in locks:
            if lock is not None:
                os.close(lock)

    follow = launcher.Launch.follow
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher.Launch, "follow", lambda *arguments: [taken(0), follow(*arguments)][1])
        assert launch(block, FULL_GPU, 1, device="auto", jobs_per_gpu=2) == 1
        assert launch(block, FULL_GPU, 2, device="auto", jobs_per_gpu=2) == 0, "nothing else to try: recorded"
    assert held == [1, 2]
    record = store.read_json(block.directory / "run.json")["replicates"][0]
    assert record["status"] == "failed" and "OutOfMemoryError: CUDA out of memory" in record["cause"]


def test_a_gpu_that_a_training_had_for_itself_is_not_tried_again(block, two_gpus):
    assert launch(block, FULL_GPU, 1, device="auto") == 0
    assert store.read_json(block.directory / "run.json")["replicates"][0]["status"] == "failed"


ASSERTION = """\
Indexing.cu:1284: block: [0,0,0], thread: [0,0,0] Assertion `srcIndex < srcSelectDimSize` failed.
Traceback (most recent call last):
  File "engine.py", line 1, in train_step
torch.AcceleratorError: CUDA error: device-side assert triggered
Search for `cudaErrorAssert' in https://docs.nvidia.com/cuda/cuda-runtime-api for more information.
CUDA kernel errors might be asynchronously reported at some other API call.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.

"""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (ASSERTION, "exit status 1: torch.AcceleratorError: CUDA error: device-side assert triggered"),
        ("ValueError: one\nKeyError: 'two'\n", "exit status 1: KeyError: 'two'"),
        ("first\nlast\n\n", "exit status 1: last"),
        ("", "exit status 1: nothing"),
    ],
)
def test_the_cause_is_the_error_by_its_name(said, expected):
    assert launcher.cause(1, said.splitlines()) == expected
