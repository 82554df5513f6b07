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
from pathlib import Path

from atlas import store
from atlas.learn import slots
from atlas.learn.attempts import Attempts

FOLLOW_SECONDS = 30.0
# glibc gives large blocks back to the system when they are freed, which clears every page again at the next step: this
# keeps those of up to 64 MiB (https://man7.org/linux/man-pages/man3/mallopt.3.html). Elsewhere it means nothing.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(64 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
FULL = os.strerror(errno.ENOSPC)
TAIL = 15
# Thinning is started by its path and not imported: measures are no part of the code that training depends on, so that
# an edit of a measure never trains a cell again. What they leave says by which code it was made.
THIN = Path(__file__).resolve().parents[2] / "thin.py"


class Block:
    """One block of a cell: its directory, its scratch directory beside it, and its lock."""

    def __init__(self, directory: Path, cell_id: str, settings: dict, origin: str = "", keep: str = "all"):
        """origin: a digest of what its training begins from, code included; keep: the snapshots that stay once it is
        trained, `all`, `ends`, or these and some epochs, as 5+10."""
        self.directory, self.cell_id, self.settings, self.origin = directory, cell_id, settings, origin
        self.keep = keep
        self.seeds = store.block_seeds(directory)
        self.scratch = store.scratch_path(directory)
        self.interrupted = 0

    @contextlib.contextmanager
    def lock(self):
        """Hold the block's lock; wait, and say so, while another process trains it."""
        path = store.lock_path(self.directory)
        path.parent.mkdir(parents=True, exist_ok=True)
        told = False
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The holder before us may have removed the file that we have just locked.
                if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
                    break
            except BlockingIOError:
                if not told:
                    print(f"{self.cell_id}: another process trains {self.directory.name}; waiting for it", flush=True)
                told = True
                time.sleep(1)
            os.close(handle)
        try:
            yield handle
        finally:
            path.unlink(missing_ok=True)
            os.close(handle)

    def follow(
        self, command: list[str], log: Path, locks: tuple[int, ...], device: str | None = None
    ) -> tuple[int, list[str]]:
        """Run the trainer on a device (None: whatever there is), its output into `log`; (exit status, the last lines).

        A line every half minute is shown. Snakemake removes the log before each attempt: what earlier ones said is kept
        in the scratch directory, and stands before it.
        """
        last, told = collections.deque(maxlen=TAIL), time.monotonic()
        environment = MEMORY | os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
        environment |= {"CUDA_VISIBLE_DEVICES": device} if device else {}
        log.parent.mkdir(parents=True, exist_ok=True)
        kept = self.scratch / "train.log"
        log.write_bytes(kept.read_bytes() if kept.exists() else b"")
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
            for line in child.stdout:
                file.write(line)
                copy.write(line)
                last.append(line.rstrip())
                if line.startswith("seed ") and time.monotonic() - told > FOLLOW_SECONDS:
                    told = time.monotonic()
                    print(f"{self.cell_id}  {line.rstrip()}", flush=True)
        return child.returncode, list(last)

    def _interrupt(self, number: int, child: subprocess.Popen) -> None:
        self.interrupted = number
        child.terminate()

    def thinning(self) -> list[str]:
        """The command that measures the snapshots and removes those that are not to stay."""
        command = [sys.executable, str(THIN), "--block", str(self.scratch), "--cell-id", self.cell_id]
        return [*command, "--cell", json.dumps(self.settings), "--keep", self.keep]

    def records(self) -> list[dict]:
        """The records of the replicates that are finished, by seed."""
        found = (self.scratch / f"seed{seed}.json" for seed in self.seeds)
        return [store.read_json(path) for path in found if path.exists()]

    def record_failure(self, cause: str) -> None:
        """Record every replicate that is not finished as failed, with its cause."""
        finished = {record["seed"] for record in self.records()}
        for seed in self.seeds:
            if seed not in finished:
                failed = {"seed": seed, "status": "failed", "cause": cause, "epochs": 0, "best_epoch": None}
                store.write_json(self.scratch / f"seed{seed}.json", failed)

    def finish(self) -> dict:
        """Put snapshots, metrics and run.json into place and remove the scratch directory; what run.json says."""
        machine = self.scratch / "machine.json"
        run = {"cell_id": self.cell_id, "kind": self.cell_id.split("-")[0], "seeds": list(self.seeds)}
        run |= store.read_json(machine) if machine.exists() else {"device": None, "device_name": None, "versions": {}}
        run |= {"replicates": self.records(), "cell": self.settings}
        self.directory.mkdir(parents=True, exist_ok=True)
        _join([self.scratch / f"metrics_seed{seed}.csv" for seed in self.seeds], self.directory / "metrics.csv")
        snapshots = self.scratch / "snapshots"
        snapshots.mkdir(exist_ok=True)
        for half in snapshots.rglob(".part-*"):  # what a child that was killed was writing
            half.unlink()
        shutil.rmtree(self.directory / "snapshots", ignore_errors=True)
        os.replace(snapshots, self.directory / "snapshots")
        store.write_json(self.directory / "run.json", run)
        shutil.rmtree(self.scratch)
        return run


def cause(status: int, last: list[str]) -> str:
    """Why a trainer ended, in one line: the signal that killed it, or the last thing that it said."""
    if status < 0:
        name = signal.Signals(-status).name
        hint = " (out of memory, or killed from outside)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    said = next((line for line in reversed(last) if line.strip()), "nothing")
    return f"exit status {status}: {said}"


def summary(run: dict, metrics: Path, seconds: float) -> str:
    """The line that a person sees when a block is finished."""
    counts = collections.Counter(record["status"] for record in run["replicates"])
    states = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    with open(metrics, newline="", encoding="utf-8") as file:
        rows = {(int(row["seed"]), int(row["epoch"])): row["test_accuracy"] for row in csv.DictReader(file)}
    done = [record for record in run["replicates"] if record["status"] == "done"]
    found = [float(rows[record["seed"], record["best_epoch"]]) for record in done]
    accuracy = f", test accuracy {sum(found) / len(found):.1%}" if found else ""
    return f"{run['cell_id']}: replicates {states}{accuracy}, {seconds:.0f} s"


def launch(
    block: Block, command: list[str], log: Path, attempt: int, attempts: int, stop: bool, gpus: list[str], jobs: int
) -> int:
    """Train a block under its lock, in one of the `jobs` slots of one of the `gpus` where there are any.

    An `attempt` beyond the `attempts` only records why the last one ended; a full disk is no failure of the cell, and
    never recorded. Returns the exit status for Snakemake; prints what became of it in one line.
    """
    try:
        return _launch(block, command, log, attempt, attempts, stop, gpus, jobs)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    _complain(block, "the disk is full; make room and run the same command again: what is finished stays")
    return 1


def _complain(block: Block, text: str) -> None:
    """A line on the console about what went wrong with a block."""
    print(f"{block.cell_id}: {text}", file=sys.stderr, flush=True)


def _check_room(why: str) -> None:
    """OSError where a trainer ended for want of room on the disk."""
    if FULL in why:
        raise OSError(errno.ENOSPC, FULL)


def _launch(
    block: Block, command: list[str], log: Path, attempt: int, attempts: int, stop: bool, gpus: list[str], jobs: int
) -> int:
    began = time.monotonic()
    with block.lock() as handle, contextlib.ExitStack() as held:
        block.scratch.mkdir(parents=True, exist_ok=True)
        made = Attempts(block.scratch / "attempts.json")
        if attempt > attempts:
            why = made.last_words()
            _check_room(why)
            _complain(block, f"{attempts} attempts failed, the last one {why}; see {log}")
            if not stop:
                block.record_failure(why)
                print(summary(block.finish(), block.directory / "metrics.csv", 0), flush=True)
            return int(stop)
        if made.foreign(block.origin):
            print(
                f"{block.cell_id}: its code or its parent changed since it was interrupted: it begins anew", flush=True
            )
            shutil.rmtree(block.scratch)
            made = Attempts(block.scratch / "attempts.json")
        made.begin(attempt, block.origin)
        device, locks = None, (handle,)
        if gpus:
            device, own = held.enter_context(slots.slot(gpus, jobs, lambda text: print(f"{block.cell_id}: {text}")))
            locks = (handle, own)
        status, last = block.follow(command, log, locks, device)
        if block.interrupted:
            # Somebody stopped the launcher itself: that is no failure of the cell.
            made.end(f"stopped by {signal.Signals(block.interrupted).name}")
            return 128 + block.interrupted
        if status != 0:
            why = cause(status, last)
            made.end(why)
            _check_room(why)
            _complain(block, f"attempt {attempt} of {attempts} failed, {why}; see {log}")
            if stop or attempt < attempts:
                return 1
            block.record_failure(why)
        held.close()
        if block.keep != "all" and (status := _thin(block, made, log, handle, attempt < attempts)):
            return status
        print(summary(block.finish(), block.directory / "metrics.csv", time.monotonic() - began), flush=True)
    return 0


def _thin(block: Block, made: Attempts, log: Path, lock: int, again: bool) -> int:
    """Thin the snapshots of a block that is trained; 0, or the exit status where the job must be started `again`.

    It goes on then where it was. A block that cannot be thinned at all is finished with all of its snapshots.
    """
    status, last = block.follow(block.thinning(), log, (lock,))
    if block.interrupted:
        made.end(f"stopped by {signal.Signals(block.interrupted).name}")
        return 128 + block.interrupted
    if status == 0:
        return 0
    why = cause(status, last)
    made.end(why)
    _check_room(why)
    _complain(block, f"removing snapshots failed{'' if again else ', so they stay'}, {why}; see {log}")
    return int(again)


def _join(parts: list[Path], path: Path) -> None:
    """One CSV file of the replicates'; its header stands even where none got as far as a row."""
    lines = [",".join(store.METRICS)]
    for part in parts:
        lines += part.read_text(encoding="utf-8").splitlines()[1:] if part.exists() else []
    with store.whole(path) as whole:
        whole.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
