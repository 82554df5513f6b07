"""The process of a run that has imported what jobs use, of which they are forks (weight_atlas/warm.py)."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from weight_atlas import warm

SECONDS = 2.0  # that its end is waited for
SOCKET = "WEIGHT_ATLAS_WARM"  # the variable by which jobs find it (scripts/job.sh)
# What a training imports, which is imported in a second of its first step by torch itself as well.
PACKAGES = ("torch._dynamo", "safetensors.torch", "pydantic", "psutil")
# It counts when a library is imported, and not after: jobs of more threads are no forks.
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}


class Preloaded:
    """The process, once it is begun; it ends with this one, or earlier by `end`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> Path | None:
        """Begin it; it imports nothing until a job asks.

        The folder of its socket; None where there is one already, or where there can be none: then each job imports for
        itself.
        """
        if sys.platform != "linux" or SOCKET in os.environ:
            return None
        try:
            folder = Path(tempfile.mkdtemp(prefix="weight-atlas-"))
        except OSError:
            return None
        self._process = subprocess.Popen(
            [sys.executable, "-P", warm.__file__, folder, *PACKAGES],
            env=warm.MEMORY | os.environ | ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what jobs say goes to their own
        )
        assert self._process.stdout
        if not self._process.stdout.readline():  # the path of a socket has at most 107 bytes
            shutil.rmtree(folder, ignore_errors=True)
            self.end()
            return None
        os.environ[SOCKET] = str(folder / warm.SOCKET)
        return folder

    def end(self) -> None:
        """Let it end, which it does once its last fork has."""
        if self._process and self._process.stdin:
            os.environ.pop(SOCKET, None)
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):  # a user stops the run, and jobs are still ending
                self._process.wait(SECONDS)
            self._process = None
