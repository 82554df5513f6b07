"""The launcher: what Snakemake starts for a training job. It imports no torch.

It holds the block's lock, starts the trainer as its child, follows its output, and puts the finished files into place.
A child that dies is an error (Snakemake starts the job again) until the last attempt, where its death is recorded. One
more attempt trains nothing: it records a failure of the last one that killed the launcher too.
"""

import collections
import contextlib
import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from weight_atlas import gpu_slots, store, warm
from weight_atlas.training.attempts import Attempts
from weight_atlas.training.block_files import JOURNAL, Block

FOLLOW_SECONDS = 30.0
DISK_FULL = os.strerror(errno.ENOSPC)
LAST_LINES = 40
MIN_FREE = 16 << 20  # bytes that must be free before a death without a message counts as the cell's own failure
STOPPED = 143  # what the trainer ends with when it was asked to stop (weight_atlas/training/checkpoint.py)
NO_GPU = 69  # and where torch finds no GPU (weight_atlas/device.py)
MEMORY_OF_GPU = "CUDA out of memory"  # what torch says where it is full
NAMED = re.compile(r"[\w.]*(Error|Exception)\b")  # how the last line of a traceback begins
# This command is started by its path and not imported: measures are no part of the code that training depends on, so
# that an edit of a measure never trains a cell again. What they leave says by which code it was made.
PRUNE_SNAPSHOTS = Path(__file__).resolve().parents[2] / "prune_snapshots.py"


class Failure(NamedTuple):
    """Why a child did not finish; stopped: the launcher's exit status where somebody stopped one of them, else 0."""

    stopped: int
    why: str


class Exit(NamedTuple):
    """How a process ended: its exit status (minus the signal that killed it), and its last lines."""

    status: int
    lines: list[str]


@dataclass(frozen=True)
class Job:
    """What Snakemake asks of a launcher.

    command: that of the trainer; log: where its lines go; attempt: which one this is of `attempts` that train; stop:
    whether a failure stops the workflow instead of being recorded; device: auto, cpu or cuda, as the config has it;
    each GPU takes `jobs_per_gpu` trainings at a time.
    """

    command: Sequence[str]
    log: Path
    attempt: int
    attempts: int
    stop: bool
    device: str = "cpu"
    jobs_per_gpu: int = 1


def cause(status: int, last: list[str]) -> str:
    """Why a trainer ended, in one line: the signal that killed it, its last error by name, or its last line.

    CUDA's errors go on for lines of advice after the one that names them.
    """
    if status < 0:
        name = signal.Signals(-status).name
        hint = " (out of memory, or killed from outside)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    said = [line for line in reversed(last) if line.strip()]
    message = next((line for line in said if NAMED.match(line)), said[0] if said else "nothing")
    return f"exit status {status}: {message}"


def summary(run: dict[str, Any], metrics: Path, seconds: float) -> str:
    """The line on the console when a block is finished."""
    counts = collections.Counter(record["status"] for record in run["replicates"])
    states = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    with open(metrics, newline="", encoding="utf-8") as file:
        rows = {(int(row["seed"]), int(row["epoch"])): row["test_accuracy"] for row in csv.DictReader(file)}
    done = [record for record in run["replicates"] if record["status"] == "done"]
    accuracies = [float(rows[record["seed"], record["best_epoch"]]) for record in done]
    accuracy = f", test accuracy {sum(accuracies) / len(accuracies):.1%}" if accuracies else ""
    return f"{run['cell_id']}: replicates {states}{accuracy}, {seconds:.0f} s"


def launch(block: Block, job: Job) -> int:
    """Train a block under its lock, in a slot of a GPU where the job's device says so and there is one.

    An attempt beyond the last one that trains only records why that one ended; a full disk is no failure of the cell,
    and never recorded. Returns the exit status for Snakemake; prints what became of the block in one line.
    """
    began = time.monotonic()
    try:
        with block.lock() as lock:
            if status := Launch(block, job, _open_attempts(block), lock).run():
                return status
            print(summary(block.finish(), block.directory / "metrics.csv", time.monotonic() - began), flush=True)
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    _log_problem(block, "the disk is full; make room and run the same command again: what is finished stays")
    return 1


def _log_problem(block: Block, text: str) -> None:
    """Print what went wrong with a block."""
    print(f"{block.cell_id}: {text}", file=sys.stderr, flush=True)


def _check_disk(why: str) -> None:
    """OSError where a trainer ended because the disk is full."""
    if DISK_FULL in why:
        raise OSError(errno.ENOSPC, DISK_FULL)


def _open_attempts(block: Block) -> Attempts:
    """The journal of a block's attempts, in its scratch directory, which is emptied where it is of another recipe."""
    store.make_folder(block.scratch)
    try:
        attempts = Attempts(block.scratch / JOURNAL)
        if not attempts.is_of_other_recipe(block.recipe):
            return attempts
        why = "its code or parent changed since it was interrupted"
    except ValueError as error:
        why = str(error).partition(";")[0]
    print(f"{block.cell_id}: {why}: it begins anew", flush=True)
    block.clear()
    store.make_folder(block.scratch)
    return Attempts(block.scratch / JOURNAL)


def _started(
    command: Sequence[str], environment: Mapping[str, str], locks: tuple[int, ...]
) -> subprocess.Popen[str] | warm.Forked:
    """A command of Python with its output in one stream: a fork of this process where that is one itself. It inherits
    the locks: should the launcher be killed, they last as long as its child."""
    if warm.is_fork():
        return warm.Forked(command, environment)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, pass_fds=locks
    )


@dataclass
class Launch:
    """One attempt at a block, under its lock (a file descriptor). Its methods return 0, or Snakemake's exit status."""

    block: Block
    job: Job
    attempts: Attempts
    lock: int
    interrupted: int = 0  # the signal by which somebody stopped it

    def run(self) -> int:
        """Train what is not trained, or record why it is not; then remove the snapshots that are not kept."""
        block, job = self.block, self.job
        block.review(again=job.attempt == 1)
        if not block.unfinished():
            text = f"{block.directory.name}: all replicates are trained already; they are taken as they are"
            block.append_log(text, job.log)
        elif status := self._record_last_attempt() if job.attempt > job.attempts else self._train():
            return status
        return self._prune() if block.keep != "all" and block.unplaced() else 0

    def _train(self) -> int:
        """Run the trainer; 0 where every replicate has its record then.

        At the last attempt a failure is recorded, unless it stops the workflow. One that a GPU has no memory for has
        the next attempt with a whole GPU for itself; where it had one, there is nothing else to try.
        """
        block, job = self.block, self.job
        whole = job.jobs_per_gpu == 1 or MEMORY_OF_GPU in self.attempts.last_message()
        self.attempts.begin(job.attempt, block.recipe)
        gpus = [] if job.device == "cpu" else gpu_slots.gpus()
        if job.device == "cuda" and not gpus:
            return self._no_gpu(gpu_slots.ABSENT)
        with contextlib.ExitStack() as held:
            name = ""
            locks: tuple[int, ...] = (self.lock,)
            if gpus:
                slot = gpu_slots.slot(gpus, job.jobs_per_gpu, lambda text: print(f"{block.cell_id}: {text}"), whole)
                name, slot_locks = held.enter_context(slot)
                locks += slot_locks
            status, last = self.follow([*job.command, "--device", "cuda" if gpus else "cpu"], locks, name)
        if status == NO_GPU:
            return self._no_gpu(f"the GPU {name} is there, but {last[-1] if last else 'torch cannot use it'}")
        failure = self._failure(status, last)
        if failure is None or failure.stopped:
            return failure.stopped if failure else 0
        _log_problem(block, f"attempt {job.attempt} of {job.attempts} failed, {failure.why}; see {job.log}")
        full = whole and MEMORY_OF_GPU in failure.why
        if job.stop or (job.attempt < job.attempts and not full):
            return 1
        block.record_failure(failure.why)
        return 0

    def _no_gpu(self, why: str) -> int:
        """Say that there is no GPU to train on, which is no failure of the cell; Snakemake's exit status."""
        self.attempts.end(why, stopped=True)
        _log_problem(
            self.block, f"{why}; mend that, or set `device: cpu` (docs/gpu.md), and run the same command again"
        )
        return 1

    def follow(self, command: Sequence[str], locks: tuple[int, ...], gpu: str = "") -> Exit:
        """Run a command on a GPU (none named: whatever there is), its output into the log.

        What it says of a GPU is shown, and a line every half minute.
        """
        last: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        shown = time.monotonic()
        environment = warm.MEMORY | os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
        environment |= {"CUDA_VISIBLE_DEVICES": gpu} if gpu else {}
        kept = self.block.restore_log(self.job.log)
        with (
            open(self.job.log, "a", encoding="utf-8", buffering=1) as file,
            open(kept, "a", encoding="utf-8", buffering=1) as copy,
            _started(command, environment, locks) as child,
        ):
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, _: self._interrupt(number, child))
            for line in child.stdout or ():
                file.write(line)
                copy.write(line)
                last.append(line.rstrip())
                due = line.startswith("seed ") and time.monotonic() - shown > FOLLOW_SECONDS
                if due or (gpu and line.startswith("device: ")):
                    shown = time.monotonic()
                    print(f"{self.block.cell_id}  {line.rstrip()}", flush=True)
        assert child.returncode is not None, "it was waited for"
        return Exit(child.returncode, list(last))

    def _interrupt(self, number: int, child: subprocess.Popen[str] | warm.Forked) -> None:
        self.interrupted = number
        child.terminate()

    def _record_last_attempt(self) -> int:
        """Record why the last attempt failed; not 0 where that is no failure of the cell."""
        block, job = self.block, self.job
        block.restore_log(job.log)
        why = self.attempts.last_message()
        # A full disk keeps its own cause from being recorded.
        _check_disk(DISK_FULL if shutil.disk_usage(block.scratch).free < MIN_FREE else why)
        if self.attempts.was_stopped():
            _log_problem(block, f"{why}: the same command goes on where it was")
            return 1
        _log_problem(block, f"{job.attempts} attempts failed, the last one {why}; see {job.log}")
        if not job.stop:
            block.record_failure(why)
        return int(job.stop)

    def _failure(self, status: int, last: list[str]) -> Failure | None:
        """How the child failed, or None where it did not; the journal has it, too.

        Being stopped is no failure of the cell, nor is a full disk: OSError.
        """
        if number := self.interrupted or (signal.SIGTERM if status == STOPPED else 0):
            why = f"stopped by {signal.Signals(number).name}"
            self.attempts.end(why, stopped=True)
            return Failure(128 + number, why)
        if status == 0:
            return None
        why = cause(status, last)
        self.attempts.end(why)
        _check_disk(why)
        return Failure(0, why)

    def prune_command(self) -> list[str]:
        """The command that measures the snapshots and removes those that are not kept."""
        block = self.block
        command = [sys.executable, str(PRUNE_SNAPSHOTS), "--block", str(block.scratch), "--cell-id", block.cell_id]
        return [*command, "--cell", json.dumps(block.settings), "--keep", block.keep]

    def _prune(self) -> int:
        """Remove the snapshots that are not kept; not 0 where the job must be started again, to go on where it was.

        A block whose snapshots cannot be removed at all is finished with all of them.
        """
        block, job = self.block, self.job
        again = job.attempt < job.attempts
        failure = self._failure(*self.follow(self.prune_command(), (self.lock,)))
        if failure is None or failure.stopped:
            return failure.stopped if failure else 0
        stays = "" if again else ", so they stay"
        _log_problem(block, f"removing snapshots failed{stays}, {failure.why}; see {job.log}")
        return int(again)
