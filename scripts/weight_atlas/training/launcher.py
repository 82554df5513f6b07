"""The launcher: what Snakemake starts for a training job. It imports no torch.

It holds the block's lock, starts the trainer as its child, follows its output, and puts the finished files into place.
A child that dies is an error (Snakemake starts the job again) until the last attempt, where its death is recorded. One
more attempt trains nothing: it records a failure of the last one that killed the launcher too.
"""

import collections
import contextlib
import csv
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from weight_atlas import records, store
from weight_atlas.plan.recipe import Recipe, agrees
from weight_atlas.training import slots
from weight_atlas.training.attempts import Attempts

FOLLOW_SECONDS = 30.0
# glibc gives large blocks back to the system when they are freed, which clears every page again at the next step: this
# keeps those of up to 64 MiB (https://man7.org/linux/man-pages/man3/mallopt.3.html). Elsewhere it means nothing.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(64 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
DISK_FULL = os.strerror(errno.ENOSPC)
LAST_LINES = 15
MIN_FREE = 16 << 20  # bytes that must be free before a death without a message counts as the cell's own failure
JOURNAL = "attempts.json"
STOPPED = 143  # what the trainer ends with when it was asked to stop (weight_atlas/training/checkpoint.py)
# This command is started by its path and not imported: measures are no part of the code that training depends on, so
# that an edit of a measure never trains a cell again. What they leave says by which code it was made.
PRUNE_SNAPSHOTS = Path(__file__).resolve().parents[2] / "prune_snapshots.py"


class Exit(NamedTuple):
    """How a process ended: its exit status (minus the signal that killed it), and its last lines."""

    status: int
    lines: list[str]


@dataclass(frozen=True)
class Job:
    """What Snakemake asks of a launcher.

    command: that of the trainer; log: where its lines go; attempt: which one this is of `attempts` that train; stop:
    whether a failure stops the workflow instead of being recorded; gpus: as `slots.devices` names them, each of which
    takes `jobs_per_gpu` trainings at a time.
    """

    command: Sequence[str]
    log: Path
    attempt: int
    attempts: int
    stop: bool
    gpus: Sequence[str]
    jobs_per_gpu: int


class Block:
    """One block of a cell: its directory, its scratch directory beside it, and its lock."""

    def __init__(
        self,
        directory: Path,
        cell_id: str,
        settings: dict[str, Any],
        recipe: Recipe | None = None,
        keep: str = "all",
        adopt: bool = False,
    ):
        """recipe: what it is trained from; keep: the snapshots that stay once it is trained, `all`, `ends`, or these
        and some epochs, as 5+10; adopt: whether replicates that other code trained stay."""
        self.directory, self.cell_id, self.settings, self.recipe = directory, cell_id, settings, recipe or {}
        self.keep, self.adopt = keep, adopt
        self.seeds = store.block_seeds(directory)
        self.scratch = store.scratch_path(directory)
        self.interrupted = 0

    @contextlib.contextmanager
    def lock(self) -> Iterator[int]:
        """Hold the block's lock; wait, and say so, while another process trains it."""
        path = store.lock_path(self.directory)
        store.make_folder(path.parent)
        reported = False
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The holder before us may have removed the file that we have just locked.
                if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
                    break
            except BlockingIOError:
                if not reported:
                    print(f"{self.cell_id}: another process trains {self.directory.name}; waiting for it", flush=True)
                reported = True
                time.sleep(1)
            os.close(handle)
        try:
            yield handle
        finally:
            path.unlink(missing_ok=True)
            os.close(handle)

    def follow(self, command: Sequence[str], log: Path, locks: tuple[int, ...], device: str | None = None) -> Exit:
        """Run the trainer on a device (None: whatever there is), its output into `log`.

        A line every half minute is shown.
        """
        last: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        shown = time.monotonic()
        environment = MEMORY | os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
        environment |= {"CUDA_VISIBLE_DEVICES": device} if device else {}
        kept = self.restore_log(log)
        with (
            open(log, "a", encoding="utf-8", buffering=1) as file,
            open(kept, "a", encoding="utf-8", buffering=1) as copy,
            # The child inherits the locks: should the launcher be killed, they last as long as the child.
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
                pass_fds=locks,
            ) as child,
        ):
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, _: self._interrupt(number, child))
            for line in child.stdout or ():
                file.write(line)
                copy.write(line)
                last.append(line.rstrip())
                if line.startswith("seed ") and time.monotonic() - shown > FOLLOW_SECONDS:
                    shown = time.monotonic()
                    print(f"{self.cell_id}  {line.rstrip()}", flush=True)
        return Exit(child.returncode, list(last))

    def restore_log(self, log: Path) -> Path:
        """Put back what earlier attempts wrote, since Snakemake removes the log; returns the file that keeps it."""
        kept = self.scratch / "train.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(kept.read_bytes() if kept.exists() else b"")
        return kept

    def append_log(self, text: str, log: Path) -> None:
        """Add a line to the log, among those of the trainer."""
        with open(self.scratch / "train.log", "a", encoding="utf-8") as file:
            file.write(f"{text}\n")
        self.restore_log(log)

    def _interrupt(self, number: int, child: subprocess.Popen[str]) -> None:
        self.interrupted = number
        child.terminate()

    def prune_command(self) -> list[str]:
        """The command that measures the snapshots and removes those that are not kept."""
        command = [sys.executable, str(PRUNE_SNAPSHOTS), "--block", str(self.scratch), "--cell-id", self.cell_id]
        return [*command, "--cell", json.dumps(self.settings), "--keep", self.keep]

    def review(self, again: bool) -> None:
        """Keep the replicates that an earlier job put in place, as far as they can be relied on; remove the others.

        again: whether those that failed are tried again. Snakemake removes run.json and metrics.csv whenever it starts
        this job; the replicates stay, so that only what is not whole is trained.
        """
        for folder in sorted((self.directory / "snapshots").glob("seed*")):
            path = folder / "record.json"
            if problem := self._find_problem(store.read_json(path) if path.exists() else None, again):
                print(f"{self.cell_id} {folder.name}: {problem}: it is trained again", flush=True)
                path.unlink(missing_ok=True)  # first: what is half removed must not look finished
                store.flush(folder)
                shutil.rmtree(folder)

    def _find_problem(self, record: dict[str, Any] | None, again: bool) -> str | None:
        """Why a replicate that is in place cannot stay there, or None."""
        if record is None:
            return "it is there in part"
        if not agrees(record["recipe"], self.recipe, self.adopt):
            return "its code, data or parent changed"
        if record["status"] == "failed":
            return "it failed" if again else None
        return records.find_damage(self.directory, record)

    def unfinished(self) -> list[int]:
        """The seeds that have no record yet, neither in place nor in the scratch directory."""
        return [
            seed
            for seed in self.seeds
            if not any(store.record_path(where, seed).exists() for where in (self.directory, self.scratch))
        ]

    def unplaced(self) -> list[int]:
        """The seeds whose replicates are not in place."""
        return [seed for seed in self.seeds if not store.record_path(self.directory, seed).exists()]

    def record_failure(self, cause: str) -> None:
        """Record every replicate that is not finished as failed, with its cause."""
        for seed in self.unfinished():
            failed = {"seed": seed, "status": "failed", "cause": cause, "epochs": 0, "best_epoch": None}
            store.write_json(store.record_path(self.scratch, seed), failed)

    def finish(self) -> dict[str, Any]:
        """Put the replicates into place one by one, then metrics.csv and run.json; what run.json says.

        Whatever interrupts it, each replicate is whole in one of the two directories, and the next job goes on here.
        """
        path = self.scratch / "machine.json"
        machine = store.read_json(path) if path.exists() else records.NO_MACHINE
        store.make_folder(self.directory / "snapshots")
        # What a process that was killed was writing.
        for part in (*self.directory.glob(".part-*"), *self.scratch.rglob(".part-*")):
            part.unlink()
        for seed in self.unplaced():
            source, target = (store.replicate_path(where, seed) for where in (self.scratch, self.directory))
            records.seal(self.scratch, seed, self.recipe, machine)
            os.replace(source, target)
            store.flush(target.parent)
        for folder in self.directory.parents[:2]:  # Snakemake makes these, and does not flush them
            store.flush(folder)
        run = records.assemble(self.directory, self.cell_id, self.settings)
        self.clear()
        return run

    def clear(self) -> None:
        """Remove the scratch directory, the journal last: what is left of the others must not look like its own."""
        for path in self.scratch.iterdir():
            if path.name != JOURNAL:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        store.flush(self.scratch)
        shutil.rmtree(self.scratch)


def cause(status: int, last: list[str]) -> str:
    """Why a trainer ended, in one line: the signal that killed it, or its last line."""
    if status < 0:
        name = signal.Signals(-status).name
        hint = " (out of memory, or killed from outside)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    message = next((line for line in reversed(last) if line.strip()), "nothing")
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
    """Train a block under its lock, in a slot of one of the job's GPUs where there are any.

    An attempt beyond the last one that trains only records why that one ended; a full disk is no failure of the cell,
    and never recorded. Returns the exit status for Snakemake; prints what became of the block in one line.
    """
    began = time.monotonic()
    try:
        with block.lock() as lock:
            if status := _Launch(block, job, _open_attempts(block), lock).run():
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
    attempts = Attempts(block.scratch / JOURNAL)
    if not attempts.is_of_other_recipe(block.recipe):
        return attempts
    print(f"{block.cell_id}: its code or parent changed since it was interrupted: it begins anew", flush=True)
    block.clear()
    store.make_folder(block.scratch)
    return Attempts(block.scratch / JOURNAL)


@dataclass(frozen=True)
class _Launch:
    """One attempt at a block, under its lock (a file descriptor). Its methods return 0, or Snakemake's exit status."""

    block: Block
    job: Job
    attempts: Attempts
    lock: int

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

        At the last attempt a failure is recorded, unless it stops the workflow.
        """
        block, job = self.block, self.job
        self.attempts.begin(job.attempt, block.recipe)
        with contextlib.ExitStack() as held:
            device: str | None = None
            locks: tuple[int, ...] = (self.lock,)
            if job.gpus:
                slot = slots.slot(job.gpus, job.jobs_per_gpu, lambda text: print(f"{block.cell_id}: {text}"))
                device, slot_lock = held.enter_context(slot)
                locks = (self.lock, slot_lock)
            status, last = block.follow(job.command, job.log, locks, device)
        stopped, why = self._end(status, last)
        if stopped or why is None:
            return stopped
        _log_problem(block, f"attempt {job.attempt} of {job.attempts} failed, {why}; see {job.log}")
        if job.stop or job.attempt < job.attempts:
            return 1
        block.record_failure(why)
        return 0

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

    def _end(self, status: int, last: list[str]) -> tuple[int, str | None]:
        """(the exit status where somebody stopped the launcher or its child, else 0; why the child failed, or None).

        Being stopped is no failure of the cell, nor is a full disk: OSError.
        """
        if number := self.block.interrupted or (signal.SIGTERM if status == STOPPED else 0):
            self.attempts.end(f"stopped by {signal.Signals(number).name}", stopped=True)
            return 128 + number, None
        if status == 0:
            return 0, None
        why = cause(status, last)
        self.attempts.end(why)
        _check_disk(why)
        return 0, why

    def _prune(self) -> int:
        """Remove the snapshots that are not kept; not 0 where the job must be started again, to go on where it was.

        A block whose snapshots cannot be removed at all is finished with all of them.
        """
        block, job = self.block, self.job
        again = job.attempt < job.attempts
        stopped, why = self._end(*block.follow(block.prune_command(), job.log, (self.lock,)))
        if stopped or why is None:
            return stopped
        _log_problem(block, f"removing snapshots failed{'' if again else ', so they stay'}, {why}; see {job.log}")
        return int(again)
