"""The attempts at a block, and why the last one ended: for the one who has to record a failure that nobody saw."""

import os
import re
import socket
import subprocess
from pathlib import Path

from weight_atlas import store
from weight_atlas.plan.recipe import Recipe

LIMITS = ("TIMEOUT", "OUT_OF_MEMORY")  # how SLURM calls the end of a job that asked for too little
SILENT = "ended without a word: its machine, its scheduler or somebody stopped it"


class Attempts:
    """The journal of a block's attempts, a JSON file: a list of {attempt, host, job, recipe, ended, stopped}.

    recipe: what the attempt began from; stopped: whether somebody asked it to end.
    """

    def __init__(self, path: Path):
        self.path = path
        self.made = store.read_json(path) if path.exists() else []

    def begin(self, attempt: int, recipe: Recipe) -> None:
        """Note that an attempt begins here; `job` is that of SLURM, or None."""
        job = os.environ.get("SLURM_JOB_ID")
        here = {"attempt": attempt, "host": socket.gethostname(), "job": job, "recipe": recipe}
        self.made.append(here | {"ended": None, "stopped": False})
        store.write_json(self.path, self.made)

    def end(self, why: str, stopped: bool = False) -> None:
        """Note why the last attempt ended, and whether it was stopped from outside."""
        if self.made:
            self.made[-1] |= {"ended": why, "stopped": stopped}
            store.write_json(self.path, self.made)

    def stopped(self) -> bool:
        """Whether somebody stopped the last attempt: not SLURM for its time or memory, which are the cell's own."""
        last = self.made[-1] if self.made else {"stopped": False}
        by_slurm = last["stopped"] and last["job"] and job_state(str(last["job"])) in LIMITS
        return bool(last["stopped"] and not by_slurm)

    def foreign(self, recipe: Recipe) -> bool:
        """Whether there was an attempt that began from something else: what it left is not to be gone on with."""
        return bool(self.made) and self.made[-1]["recipe"] != recipe

    def last_words(self) -> str:
        """Why the last attempt ended, in one line: what it said, and what SLURM says of its job."""
        if not self.made:
            return "never begun: its scheduler did not start it"
        last = self.made[-1]
        state = job_state(last["job"]) if last["job"] else None
        told = f" (SLURM ended job {last['job']} on {last['host']} as {state})" if state else ""
        return f"{last['ended'] or SILENT}{told}"


def job_state(job: str) -> str | None:
    """How a SLURM job ended, in SLURM's word (TIMEOUT, OUT_OF_MEMORY, NODE_FAIL ..), or None where it does not say."""
    asked = (["scontrol", "show", "job", job, "--oneliner"], ["sacct", "-j", job, "-X", "-n", "-o", "State%30"])
    for command, pattern in zip(asked, (r"JobState=(\w+)", r"^\s*(\w+)"), strict=True):
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            continue
        found = re.search(pattern, said.stdout) if said.returncode == 0 else None
        if found and found[1] not in ("RUNNING", "PENDING"):
            return found[1]
    return None
