"""The attempts at a block, and why the last one ended: for the launcher that records a failure which nobody saw."""

import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

from weight_atlas import store
from weight_atlas.plan.recipe import Recipe

LIMITS = ("TIMEOUT", "OUT_OF_MEMORY")  # how SLURM calls the end of a job that asked for too little
SILENT = "ended without a word: its machine, its scheduler or somebody stopped it"


class Attempts:
    """The journal of a block's attempts, a JSON file: a list of {attempt, host, job, recipe, ended, stopped}.

    recipe: what the attempt began from; stopped: whether somebody asked it to end.
    """

    def __init__(self, path: Path):
        """ValueError, in one line, where the file is no journal."""
        self.path = path
        self.entries: list[dict[str, Any]] = store.read_json(path) if path.exists() else []
        keys = {"attempt", "host", "job", "recipe", "ended", "stopped"}
        whole = isinstance(self.entries, list) and all(
            isinstance(one, dict) and one.keys() == keys for one in self.entries
        )
        if not whole:
            raise ValueError(f"{path}: is no journal of attempts; remove the file")

    def begin(self, attempt: int, recipe: Recipe) -> None:
        """Note that an attempt begins here; `job` is that of SLURM, or None."""
        job = os.environ.get("SLURM_JOB_ID")
        entry = {"attempt": attempt, "host": socket.gethostname(), "job": job, "recipe": recipe}
        self.entries.append(entry | {"ended": None, "stopped": False})
        store.write_json(self.path, self.entries)

    def end(self, why: str, stopped: bool = False) -> None:
        """Note why the last attempt ended, and whether it was stopped from outside."""
        if self.entries:
            self.entries[-1] |= {"ended": why, "stopped": stopped}
            store.write_json(self.path, self.entries)

    def was_stopped(self) -> bool:
        """Whether somebody stopped the last attempt: not SLURM for its time or memory, which are the cell's own."""
        last = self.entries[-1] if self.entries else {"stopped": False}
        by_slurm = last["stopped"] and last["job"] and job_state(str(last["job"])) in LIMITS
        return bool(last["stopped"] and not by_slurm)

    def is_of_other_recipe(self, recipe: Recipe) -> bool:
        """Whether there was an attempt that began from something else, so that training does not go on from it."""
        return bool(self.entries) and self.entries[-1]["recipe"] != recipe

    def last_message(self) -> str:
        """Why the last attempt ended, in one line: its own message, and what SLURM says of its job."""
        if not self.entries:
            return "never begun: its scheduler did not start it"
        last = self.entries[-1]
        state = job_state(last["job"]) if last["job"] else None
        slurm = f" (SLURM ended job {last['job']} on {last['host']} as {state})" if state else ""
        return f"{last['ended'] or SILENT}{slurm}"


def job_state(job: str) -> str | None:
    """How a SLURM job ended, in SLURM's word (TIMEOUT, OUT_OF_MEMORY, NODE_FAIL ..), or None where it does not say."""
    commands = (["scontrol", "show", "job", job, "--oneliner"], ["sacct", "-j", job, "-X", "-n", "-o", "State%30"])
    for command, pattern in zip(commands, (r"JobState=(\w+)", r"^\s*(\w+)"), strict=True):
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            continue
        match = re.search(pattern, answer.stdout) if answer.returncode == 0 else None
        if match and match[1] not in ("RUNNING", "PENDING"):
            return match[1]
    return None
