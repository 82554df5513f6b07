"""Slots of GPUs: at most so many training jobs at a time on each device of this machine. Imports no torch.

A slot is a locked file. The lock belongs to the launcher and its trainer, and is free when both are gone, whatever
ended them; it counts for all workflows of a user on the machine.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

POLL_SECONDS = 1.0


class Slot(NamedTuple):
    """A slot that is held: its device, and the file descriptor of its lock."""

    device: str
    lock: int


def devices() -> list[str]:
    """The GPUs that jobs may use, as CUDA_VISIBLE_DEVICES names them: those that it names already, where it is set
    (a scheduler does so), and otherwise all that nvidia-smi lists."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, "--query-gpu=uuid", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return answer.stdout.split() if answer.returncode == 0 else []


def folder() -> Path:
    """Where the locks are: one folder per user, on this machine."""
    path = Path(tempfile.gettempdir()) / f"weight-atlas-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path}: belongs to somebody else; set TMPDIR to a folder of your own")
    return path


@contextlib.contextmanager
def slot(names: Sequence[str], jobs: int, report: Callable[[str], None] = print) -> Iterator[Slot]:
    """Hold one of `jobs` slots of one of the devices `names`.

    The first slots of all devices are taken before the second of any. Where none is free it waits, and says so once.
    """
    reported = False
    while True:
        for number in range(jobs):
            for name in names:
                handle = _try_lock(folder() / f"{''.join(c if c.isalnum() else '-' for c in name)}.{number}.lock")
                if handle is not None:
                    try:
                        yield Slot(name, handle)
                    finally:
                        os.close(handle)
                    return
        if not reported:
            report(f"all {jobs * len(names)} slots of {len(names)} GPUs are taken; waiting for one")
        reported = True
        time.sleep(POLL_SECONDS)


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
