"""GPUs of this machine, and slots of them: at most so many jobs at a time on each. Imports no torch until one is held.

A slot is a locked file. The lock belongs to the launcher and its trainer, and is free when both are gone, whatever
ended them; it counts for all workflows of a user on the machine. It is called after the GPU's UUID: every job of a
scheduler may see its own GPU as number 0.
"""

import contextlib
import fcntl
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

POLL_SECONDS = 1.0
ANSWER_SECONDS = 60.0  # for nvidia-smi, which hangs where a driver does
NVIDIA = Path("/dev/nvidiactl"), Path("/dev/dxg")  # what the driver puts there, in containers and under WSL too
NONE = ("", "-1", "NoDevFiles")  # in CUDA_VISIBLE_DEVICES: no GPU
ABSENT = "the config says `device: cuda`, but there is no GPU here"
LISTED = re.compile(r"\s*(GPU|MIG) .*\(UUID: ([^)]+)\)")
ASK_TORCH = "import torch; [print(torch.cuda.get_device_properties(n).uuid) for n in range(torch.cuda.device_count())]"


class Gpu(NamedTuple):
    """A GPU that a job may use: its name for CUDA_VISIBLE_DEVICES, and what tells it from others on the machine."""

    name: str
    uuid: str


class NoDevice(Exception):
    """Raised where the config asks for a GPU and the machine has none."""


class Slot(NamedTuple):
    """A slot that is held: the GPU's name for CUDA_VISIBLE_DEVICES, and the file descriptors of its locks."""

    device: str
    locks: tuple[int, ...]


def gpus() -> list[Gpu]:
    """The GPUs that jobs may use: those of CUDA_VISIBLE_DEVICES, where it is set (a scheduler does so), else all.

    nvidia-smi tells their UUIDs. Where it is missing, or does not answer, torch is asked, if there is a driver.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [Gpu(uuid, uuid) for own in _by_nvidia_smi() for uuid in own.instances or [own.uuid]] or _by_torch()
    # CUDA sees none of those after one that is none either.
    names = list(itertools.takewhile(lambda name: name not in NONE, (part.strip() for part in visible.split(","))))
    cards = _by_nvidia_smi() if names else []
    return [Gpu(name, _uuid(name, cards)) for name in names]


class _Card(NamedTuple):
    """A GPU as nvidia-smi lists it, and the UUIDs of the MIG instances that it is divided into."""

    uuid: str
    instances: list[str]


def _ask_nvidia_smi(*options: str) -> str:
    """What nvidia-smi prints; nothing where it is missing, fails or does not answer."""
    try:
        asked = subprocess.run(
            ["nvidia-smi", *options], capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout if asked.returncode == 0 else ""


def _by_nvidia_smi() -> list[_Card]:
    cards: list[_Card] = []
    for match in map(LISTED.match, _ask_nvidia_smi("-L").splitlines()):
        if match and match[1] == "GPU":
            cards.append(_Card(match[2], []))
        elif match and cards:
            cards[-1].instances.append(match[2])
    return cards


def _by_torch() -> list[Gpu]:
    """What torch finds, in a process of its own; nothing where there is no sign of a driver."""
    if not any(path.exists() for path in NVIDIA):
        return []
    asked = subprocess.run([sys.executable, "-c", ASK_TORCH], capture_output=True, text=True, check=False)
    return [Gpu(str(number), uuid) for number, uuid in enumerate(asked.stdout.split())]


def _uuid(name: str, cards: Sequence[_Card]) -> str:
    """The UUID of a GPU that is named by its index, or by the first letters of its UUID.

    Where it is not known, an index counts within its SLURM job.
    """
    known = [uuid for card in cards for uuid in (card.uuid, *card.instances)]
    if name.isdecimal():
        job = os.environ.get("SLURM_JOB_ID")
        return cards[int(name)].uuid if int(name) < len(cards) else f"{job}-{name}" if job else name
    return next((uuid for uuid in known if uuid.startswith(name)), name)


def memory() -> int | None:
    """Bytes of memory of the smallest GPU here, as nvidia-smi has it; None where it does not say."""
    told = _ask_nvidia_smi("--query-gpu=memory.total", "--format=csv,noheader,nounits")
    return min((int(word) << 20 for word in told.split() if word.isdecimal()), default=None)


def folder() -> Path:
    """Where the locks are: one folder per user, on this machine."""
    path = Path(tempfile.gettempdir()) / f"weight-atlas-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path}: belongs to somebody else; set TMPDIR to a folder of your own")
    return path


@contextlib.contextmanager
def slot(found: Sequence[Gpu], jobs: int, report: Callable[[str], None] = print, whole: bool = False) -> Iterator[Slot]:
    """Hold one of `jobs` slots of one of the GPUs, or, if `whole`, all slots of one.

    The first slots of all GPUs are taken before the second of any. Where none is free it waits, and says so once.
    """
    numbers = [range(jobs)] if whole else [range(number, number + 1) for number in range(jobs)]
    reported = False
    while True:
        for wanted in numbers:
            for gpu in found:
                if locks := _try_locks(gpu.uuid, wanted):
                    try:
                        yield Slot(gpu.name, locks)
                    finally:
                        for lock in locks:
                            os.close(lock)
                    return
        if not reported:
            taken = f"all {jobs * len(found)} slots of {len(found)} GPUs are taken"
            report(f"none of {len(found)} GPUs is free; waiting" if whole else f"{taken}; waiting for one")
        reported = True
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def held(kind: str, jobs_per_gpu: int, threads: int) -> "Iterator[torch.device]":
    """A device to measure on, "auto", "cpu" or "cuda" as the config has it, set up; of a GPU a slot is held.

    Raises
    ------
    NoDevice, NoGpu
        Where there is no GPU though the config says "cuda", and where torch does not find it.
    """
    import torch

    from weight_atlas import device as devices

    found = [] if kind == "cpu" else gpus()
    if kind == "cuda" and not found:
        raise NoDevice(f"{ABSENT}; docs/gpu.md says what is needed")
    with slot(found, jobs_per_gpu) if found else contextlib.nullcontext() as taken:
        if taken is None:
            torch.set_num_threads(threads)
            yield torch.device("cpu")
        else:
            os.environ |= {"CUDA_VISIBLE_DEVICES": taken.device, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
            device = devices.find("cuda")
            devices.set_up(device, "float32", threads)
            print(f"device: cuda, {devices.name(device)}", flush=True)
            yield device


def _try_locks(uuid: str, numbers: Sequence[int]) -> tuple[int, ...]:
    """The descriptors of the locked files of these slots, or none where another process holds one of them."""
    name = "".join(c if c.isalnum() else "-" for c in uuid)
    locks: list[int] = []
    for number in numbers:
        handle = _try_lock(folder() / f"{name}.{number}.lock")
        if handle is None:
            for lock in locks:
                os.close(lock)
            return ()
        locks.append(handle)
    return tuple(locks)


def _try_lock(path: Path) -> int | None:
    """The descriptor of the locked file, or None where another process holds it. The file stays: removing it could
    leave two processes with a lock each."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
