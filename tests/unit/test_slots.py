"""Slots of pretended GPUs: never more jobs on one than it has slots, every device used, and none lost."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import until
from weight_atlas.training import slots

SCRIPTS = Path(__file__).parents[2] / "scripts"
# A job that writes that it waits, whose slot it takes, and that it leaves it, once the file `go` is there.
JOB = """
import sys, time
from pathlib import Path
sys.path.insert(0, {scripts!r})
from weight_atlas.training import slots
folder = Path({folder!r})
def write(*words):
    with open(folder / "log", "a") as file:
        file.write(" ".join(words) + "\\n")
slots.POLL_SECONDS = 0.05
with slots.slot({names!r}, {jobs}, lambda text: write("waits")) as (name, handle):
    write("takes", name)
    while not (folder / "go").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    write("leaves", name)
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(slots.tempfile, "tempdir", None)


@pytest.fixture
def start(tmp_path):
    """Starts a job; none outlives the test."""
    started = []

    def start(names, jobs):
        code = JOB.format(scripts=str(SCRIPTS), names=names, jobs=jobs, folder=str(tmp_path))
        started.append(subprocess.Popen([sys.executable, "-c", code]))
        return started[-1]

    yield start
    for job in started:
        job.kill()
        job.wait()


def said(tmp_path, verb):
    """The lines of the jobs' log that begin so, in words."""
    log = tmp_path / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.split() for line in lines if line.startswith(verb)]


@pytest.mark.parametrize(("count", "names", "jobs"), [(6, ["a", "b"], 1), (8, ["GPU-1", "GPU-2"], 2), (4, ["a"], 3)])
def test_never_more_jobs_on_a_device_than_it_has_slots(tmp_path, start, count, names, jobs):
    started = [start(names, jobs) for _ in range(count)]
    places = jobs * len(names)
    until(lambda: len(said(tmp_path, "takes")) >= places and len(said(tmp_path, "waits")) >= count - places)
    assert sorted(name for _, name in said(tmp_path, "takes")) == sorted(names * jobs), "every slot, and each once"
    (tmp_path / "go").touch()
    assert [job.wait() for job in started] == [0] * count
    held = dict.fromkeys(names, 0)
    for verb, name in said(tmp_path, ("takes", "leaves")):
        held[name] += 1 if verb == "takes" else -1
        assert held[name] <= jobs
    assert len(said(tmp_path, "leaves")) == count
    assert list(slots.folder().glob("*.lock")), "the files of the locks stay"


def test_a_slot_is_free_again_when_its_holder_is_killed(tmp_path, start):
    job = start(["a"], 1)
    until(lambda: said(tmp_path, "takes"))
    assert slots._try_lock(slots.folder() / "a.0.lock") is None
    job.send_signal(signal.SIGKILL)
    job.wait()
    with slots.slot(["a"], 1, pytest.fail) as (name, _):
        assert name == "a"


def test_it_says_once_that_it_waits(tmp_path, monkeypatch, start):
    told, looks, sleep = [], [], time.sleep
    jobs = [start(["a", "b"], 1) for _ in range(2)]
    until(lambda: len(said(tmp_path, "takes")) == 2)

    def wait(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            (tmp_path / "go").touch()
        sleep(0.05)

    monkeypatch.setattr(slots.time, "sleep", wait)
    with slots.slot(["a", "b"], 1, told.append):
        pass
    assert told == ["all 2 slots of 2 GPUs are taken; waiting for one"] and len(looks) >= 3
    assert [job.wait() for job in jobs] == [0, 0]


def test_the_devices_are_those_that_a_scheduler_names_or_that_there_are(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, GPU-abc")
    assert slots.devices() == ["1", "GPU-abc"]
    for nothing in ("", "-1", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert slots.devices() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slots.devices() == []
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\nprintf 'GPU-1\\nGPU-2\\n'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert slots.devices() == ["GPU-1", "GPU-2"]
    command.write_text("#!/bin/sh\necho NVIDIA-SMI has failed; exit 9\n")
    assert slots.devices() == []
