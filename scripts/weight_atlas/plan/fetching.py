"""Download data sets before the plan, which needs their classes and the numbers of their images."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PREPARE = Path(__file__).resolve().parents[2] / "prepare.py"
NEWS = "downloading "  # how lines begin that a user should see meanwhile


def fetch(label: str, spec: dict[str, Any], data_root: Path) -> None:
    """Have what the data set called `label` may download downloaded, by a process that may import torchvision.

    ValueError, in the line that the process ends with, where it fails.
    """
    command = [sys.executable, str(PREPARE), "fetch", "--spec", json.dumps(spec), "--data-root", str(data_root)]
    print(f"{NEWS}the data set {label} to {data_root}", file=sys.stderr, flush=True)
    last = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stderr or ():
            last = line.strip() or last
            if line.startswith(NEWS):
                print(line, end="", file=sys.stderr, flush=True)
    if process.returncode:
        raise ValueError(last.removeprefix("prepare: ") or f"the download ended with {process.returncode}; try again")
