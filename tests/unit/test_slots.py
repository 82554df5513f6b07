"""Slots of pretended GPUs: never more jobs on one than it has slots, every device used, and none lost."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import until
from weight_atlas import gpu_slots as slots

SCRIPTS = Path(__file__).parents[2] / "scripts"
# A job that writes that it waits, whose slot it takes, and that it leaves it, once the file `go` is there.
JOB = """
import sys, time
from pathlib import Path
sys.path.insert(0, {scripts!r})
from weight_atlas import gpu_slots as slots
folder = Path({folder!r})
def write(*words):
    with open(folder / "log", "a") as file:
        file.write(" ".join(words) + "\\n")
slots.POLL_SECONDS = 0.05
found = [slots.Gpu(name, name) for name in {names!r}]
with slots.slot(found, {jobs}, lambda text: write("waits")) as (name, locks):
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


def gpus(*names):
    return [slots.Gpu(name, name) for name in names]


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
    with slots.slot(gpus("a"), 1, pytest.fail) as (name, _):
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
    with slots.slot(gpus("a", "b"), 1, told.append):
        pass
    assert told == ["all 2 slots of 2 GPUs are taken; waiting for one"] and len(looks) >= 3
    assert [job.wait() for job in jobs] == [0, 0]


LIST = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa-1)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb-2)
"""
DIVIDED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa-1)
  MIG 3g.20gb     Device  0: (UUID: MIG-cccc-3)
  MIG 3g.20gb     Device  1: (UUID: MIG-dddd-4)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb-2)
"""


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts a pretended nvidia-smi on the PATH, which prints a text and ends with a status."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(slots, "NVIDIA", ())

    def pretend(text, status=0):
        command = tmp_path / "nvidia-smi"
        command.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {status}\n")
        command.chmod(0o755)

    return pretend


@pytest.mark.parametrize(
    ("text", "visible", "expected"),
    [
        (LIST, None, [("GPU-aaaa-1", "GPU-aaaa-1"), ("GPU-bbbb-2", "GPU-bbbb-2")]),
        (LIST, "1", [("1", "GPU-bbbb-2")]),
        (LIST, "1, GPU-aaaa", [("1", "GPU-bbbb-2"), ("GPU-aaaa", "GPU-aaaa-1")]),
        (LIST, "0,-1,1", [("0", "GPU-aaaa-1")]),
        (LIST, "", []),
        (LIST, "NoDevFiles", []),
        (DIVIDED, None, [("MIG-cccc-3", "MIG-cccc-3"), ("MIG-dddd-4", "MIG-dddd-4"), ("GPU-bbbb-2", "GPU-bbbb-2")]),
        (DIVIDED, "MIG-dddd-4", [("MIG-dddd-4", "MIG-dddd-4")]),
        (DIVIDED, "1", [("1", "GPU-bbbb-2")]),
        ("", None, []),
        ("", "0", [("0", "0")]),
    ],
)
def test_the_gpus_are_those_that_a_scheduler_names_or_that_there_are(nvidia_smi, monkeypatch, text, visible, expected):
    nvidia_smi(text)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert slots.gpus() == expected


def test_an_index_that_nobody_explains_counts_within_its_slurm_job(nvidia_smi, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    keys = []
    for job in ("71", "72"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        keys += [gpu.uuid for gpu in slots.gpus()]
    assert len(set(keys)) == 2
    nvidia_smi(LIST, status=9)
    assert [gpu.uuid for gpu in slots.gpus()] == keys[1:], "what a command that fails prints is not believed"


def test_a_command_that_hangs_or_is_missing_is_no_end(nvidia_smi, tmp_path, monkeypatch):
    assert slots.gpus() == [] and slots.memory() is None
    nvidia_smi("")
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(slots, "ANSWER_SECONDS", 0.1)
    assert slots.gpus() == [] and slots.memory() is None


def test_where_only_torch_knows_the_gpus_it_is_asked(nvidia_smi, tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    pretended = """
class Card:
    def __init__(self, number):
        self.uuid = f"aaaa-{number}"
class cuda:
    device_count = staticmethod(lambda: 2)
    get_device_properties = Card
"""
    (tmp_path / "torch/__init__.py").write_text(pretended)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert slots.gpus() == [], "without a sign of a driver torch is not even started"
    monkeypatch.setattr(slots, "NVIDIA", (tmp_path,))
    assert slots.gpus() == [("0", "aaaa-0"), ("1", "aaaa-1")]


def test_the_memory_is_that_of_the_smallest_gpu(nvidia_smi):
    nvidia_smi("81920\n40960\n")
    assert slots.memory() == 40960 * 2**20


def test_a_whole_gpu_is_one_where_nobody_else_is(start, tmp_path):
    job = start(["a", "b"], 2)  # holds the first slot of a
    until(lambda: said(tmp_path, "takes"))
    with slots.slot(gpus("a", "b"), 2, pytest.fail, whole=True) as (name, locks):
        assert name == "b" and len(locks) == 2
        with slots.slot(gpus("a", "b"), 2, pytest.fail) as (other, _):
            assert other == "a"
    (tmp_path / "go").touch()
    assert job.wait() == 0
