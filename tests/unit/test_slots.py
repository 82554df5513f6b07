"""Slots of pretended GPUs: never more jobs on one than it has slots, every device used, and none lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atlas.learn import slots

SCRIPTS = Path(__file__).parents[2] / "scripts"
# A job that writes when it began and ended, and where.
JOB = """
import os, sys, time
sys.path.insert(0, {scripts!r})
from atlas.learn import slots
with slots.slot({names!r}, {jobs}, lambda text: None) as (name, handle):
    began = time.monotonic()
    time.sleep({seconds})
    with open({log!r}, "a") as file:
        file.write(f"{{name}} {{began}} {{time.monotonic()}}\\n")
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(slots.tempfile, "tempdir", None)


def start(tmp_path, names, jobs, seconds):
    code = JOB.format(scripts=str(SCRIPTS), names=names, jobs=jobs, seconds=seconds, log=str(tmp_path / "log"))
    return subprocess.Popen([sys.executable, "-c", code])


@pytest.mark.parametrize(("count", "names", "jobs"), [(6, ["a", "b"], 1), (8, ["GPU-1", "GPU-2"], 2), (4, ["a"], 3)])
def test_never_more_jobs_on_a_device_than_it_has_slots(tmp_path, monkeypatch, count, names, jobs):
    monkeypatch.setattr(slots, "POLL_SECONDS", 0.05)
    for job in [start(tmp_path, names, jobs, 0.4) for _ in range(count)]:
        assert job.wait(timeout=60) == 0
    ran = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert len(ran) == count and {name for name, *_ in ran} == set(names)
    for name in names:
        spans = [(float(began), float(ended)) for own, began, ended in ran if own == name]
        together = [sum(a <= began < b for a, b in spans) for began, _ in spans]
        assert max(together) <= jobs
    assert list(slots.folder().glob("*.lock")), "the files of the locks stay"


def test_a_slot_is_free_again_when_its_holder_is_killed(tmp_path):
    job = start(tmp_path, ["a"], 1, 60)
    path = slots.folder() / "a.0.lock"
    until = time.monotonic() + 30
    while time.monotonic() < until:
        handle = slots._try(path) if path.exists() else None
        if path.exists() and handle is None:
            break
        if handle is not None:
            os.close(handle)
        time.sleep(0.05)
    else:
        pytest.fail("the job never took its slot")
    job.send_signal(signal.SIGKILL)
    job.wait()
    with slots.slot(["a"], 1, pytest.fail) as (name, _):
        assert name == "a"


def test_it_says_once_that_it_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(slots, "POLL_SECONDS", 0.05)
    said = []
    job = start(tmp_path, ["a", "b"], 1, 1.5)
    other = start(tmp_path, ["a", "b"], 1, 1.5)
    until = time.monotonic() + 30
    while time.monotonic() < until and len(list(slots.folder().glob("*.lock"))) < 2:
        time.sleep(0.05)
    time.sleep(0.3)
    with slots.slot(["a", "b"], 1, said.append):
        pass
    assert said in (["all 2 slots of 2 GPUs are taken; waiting for one"], [])
    assert job.wait() == 0 and other.wait() == 0 and said


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
