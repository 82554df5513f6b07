"""Snakemake and the commands of the workflow without their start, as jobs do (`weight_atlas.warm`).

Tests run the workflow many times at the smallest scale, and most of the time that such a run takes, Python imports
torch. The tour, and what is killed, stopped or submitted in tests, starts as it does for users.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from weight_atlas import warm
from weight_atlas.plan import preload

# What Snakemake and the commands import; of the workflow nothing.
PACKAGES = [
    *preload.PACKAGES,
    "jinja2",
    "matplotlib.pyplot",
    "numba",
    "pandas",
    "scipy.stats",
    "sklearn.datasets",
    "smart_open",
    "snakemake.cli",
    "snakemake.profiles",
    "snakemake.report",
    "snakemake.storage",
    "statsmodels.stats.multitest",
    "torchvision.datasets",
    "yte",
]
PROGRAM = """#!/bin/sh
export {name}="{socket}"
case "$1" in *.py) ;; *) [ "$1 $2" = "-m snakemake" ] || exec "{python}" "$@" ;; esac
exec "{python}" -IS "{client}" "$0" "{socket}" "$@"
"""
CLIENT = Path(warm.__file__).with_name("warm_client.py")
_python: Path | None = None


def python(environment: Mapping[str, str]) -> Path:
    """A program that stands for Python: `python FILE ..` and `python -m snakemake ..` are forks of a process that is
    started for the first who asks, in this environment. Where coverage counts what processes run, it is Python."""
    global _python
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        return Path(sys.executable)
    if _python is None:
        folder = Path(tempfile.mkdtemp(prefix="warm-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        server = subprocess.Popen(
            [sys.executable, "-P", warm.__file__, folder, *PACKAGES],
            env={**environment, **preload.ONE_THREAD},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # it ends with this process, when its input does
        assert server.stdout and server.stdout.readline(), "it did not start"
        _python = folder / "python"
        names = {"name": preload.SOCKET, "socket": folder / warm.SOCKET, "python": sys.executable, "client": CLIENT}
        _python.write_text(PROGRAM.format(**names))
        _python.chmod(0o755)
    return _python
