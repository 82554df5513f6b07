"""What has become of a config so far: its replicates, what is running now, how long the rest takes, and the disk."""

import collections
import os
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from weight_atlas import store
from weight_atlas.plan import lock, measuring, outcome, pace
from weight_atlas.plan.blocks import Block
from weight_atlas.plan.disk import used
from weight_atlas.plan.study import Plan, block_path
from weight_atlas.records import read, read_replicate

STATES = ("done", "running", "failed", "diverged", "waiting")
TAIL = 65536  # bytes of a training log: some hundred lines
# What the trainer says: `seed 0  epoch 3/8  45%  loss 0.12  train 91.90%  1,068 images/s  12 s left` within an epoch,
# `seed 0  epoch 3/8  loss ..  train ..  valid 48.52%  test 48.51%  1,068 images/s  12 s left` at its end.
LINE = re.compile(r"seed (\d+)  epoch (\d+)/(\d+)(?: +(\d+)%)?  (.+)")


def records(block: Path) -> dict[int, dict[str, Any]]:
    """What is recorded of the finished replicates of a block, by seed: in place, or while it is trained."""
    by_seed: dict[int, dict[str, Any]] = {}
    for seed in store.block_seeds(block):
        for where in (block, store.scratch_path(block)):
            # There may be none any more: a run that works beside may just have moved it.
            if (record := read_replicate(where, seed, sealed=False)) is not None:
                by_seed[seed] = record
    if not by_seed and (block / "run.json").exists():  # a copy from a storage, where snapshots are elsewhere
        by_seed = {record["seed"]: record for record in read(block)["replicates"]}
    return by_seed


@dataclass(frozen=True)
class Running:
    """A replicate that is being trained, and the last line of its log.

    trained: the share of its epochs that is done, from 0 to 1; line: as `last_line` gives it.
    """

    cell_id: str
    block: Block
    seed: int
    trained: float
    line: str


def running(cell_id: str, block: Block, directory: Path, finished: dict[int, dict[str, Any]]) -> Running | None:
    """The replicate of a block that is being trained now: the first that is not finished, where the lock is held."""
    seeds = [seed for seed in store.block_seeds(directory) if seed not in finished]
    if not seeds or not lock.held(store.lock_path(directory)):
        return None
    return Running(cell_id, block, seeds[0], *last_line(_tail(store.scratch_path(directory) / "train.log"), seeds[0]))


def _tail(log: Path) -> list[str]:
    """The last lines of a log; none where it has not begun."""
    try:
        with open(log, "rb") as file:
            file.seek(-min(TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def last_line(lines: list[str], seed: int) -> tuple[float, str]:
    """(share of the epochs that is trained, "epoch 3/8 45%  valid 91.90%  1,068 images/s  12 s left") of a replicate.

    The accuracy is that of the last whole epoch, on the validation images; (0.0, "starting") before the first line.
    """
    matches = [match for line in lines if (match := LINE.fullmatch(line)) and int(match[1]) == seed]
    if not matches:
        return 0.0, "starting"
    _, epoch, epochs, percent, rest = matches[-1].groups()
    # A line within an epoch counts it as begun, one at its end as done.
    trained = (int(epoch) - 1 + int(percent) / 100 if percent else int(epoch)) / int(epochs)
    valid = next((word for match in reversed(matches) for word in re.findall(r"valid \S+", match[5])), None)
    speed = re.findall(r"\S+ images/s", rest) + re.findall(r"images/s  (.+ left)", rest)
    return trained, "  ".join(
        filter(None, [f"epoch {epoch}/{epochs}{f' {percent}%' if percent else ''}", valid, *speed])
    )


class Progress:
    """The state of every replicate that a plan asks for, read once."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.finished: dict[tuple[str, int], dict[str, Any]] = {}
        self.running: list[Running] = []
        for cell_id, blocks in plan.blocks.items():
            for block in blocks:
                directory = plan.path(block_path(cell_id, block))
                finished = records(directory)
                self.finished |= {(cell_id, seed): record for seed, record in finished.items()}
                if replicate := running(cell_id, block, directory, finished):
                    self.running.append(replicate)
        self._running_by_replicate = {(replicate.cell_id, replicate.seed): replicate for replicate in self.running}

    def state(self, cell_id: str, seed: int) -> str:
        """One of STATES."""
        if (cell_id, seed) in self._running_by_replicate:
            return "running"
        record = self.finished.get((cell_id, seed))
        return str(record["status"]) if record else "waiting"

    def counts(self, replicates: dict[str, int]) -> collections.Counter[str]:
        """How many of so many replicates of these cells are in each state."""
        return collections.Counter(
            self.state(cell_id, seed) for cell_id, count in replicates.items() for seed in range(count)
        )

    @property
    def works(self) -> bool:
        """Whether a Snakemake works in this folder now."""
        return lock.held(self.plan.root / ".snakemake/atlas.lock")

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each cell is called where it is first asked for, "digits x lenet1 x default x adam", by its id."""
        labels: dict[str, str] = {}
        for entry in self.plan.entries:
            labels.setdefault(entry.cell_id, " x ".join(filter(None, entry.labels.values())))
        return labels

    def replicates(self, study: str, experiment: str | None = None) -> dict[str, int]:
        """How many replicates of each cell a study asks for, or one of its experiments ("" for cells of none)."""
        most: dict[str, int] = {}
        for entry in self.plan.entries:
            if entry.study == study and experiment in (None, entry.labels.get("experiment", "")):
                most[entry.cell_id] = max(most.get(entry.cell_id, 0), entry.replicates)
        return most

    @cached_property
    def pace(self) -> dict[str, float]:
        """How many times longer than expected a replicate took, by architecture and for all of them together."""
        return self.paces()

    def paces(self, least: float = 0.0) -> dict[str, float]:
        """The same, where so many seconds were expected of what is done, or more."""
        measured: dict[str, float] = collections.defaultdict(float)
        expected: dict[str, float] = collections.defaultdict(float)
        for (cell_id, _), record in self.finished.items():
            cell = self.plan.cells[cell_id]
            if record["status"] == "done" and cell.kind != "given":
                for key in (cell.architecture, pace.ALL):
                    measured[key] += record.get("wall_seconds") or 0.0
                    expected[key] += pace.expected(self.plan, cell)
        return {key: measured[key] / expected[key] for key in measured if expected[key] >= least and measured[key]}

    def seconds_left(self) -> float:
        """The expected wall time of the training that remains, at the pace that was measured.

        As many jobs at a time as are running now, or, where none is, as many as the cores take.
        """
        jobs, paces = [], pace.Pace(self.plan, self.pace)
        for cell_id, blocks in self.plan.blocks.items():
            cell = self.plan.cells[cell_id]
            if cell.kind == "given":
                continue
            seconds = paces.replicate(cell)
            for first, last in blocks:
                states = {seed: self.state(cell_id, seed) for seed in range(first, last + 1)}
                left = [seed for seed, state in states.items() if state in ("running", "waiting")]
                done = sum(
                    self._running_by_replicate[cell_id, seed].trained for seed in left if states[seed] == "running"
                )
                if left:
                    threads = 1 if self.running else cell.settings.network.threads
                    jobs.append((paces.start + seconds * (len(left) - done), threads))
        return outcome.shared(jobs, len(self.running) or os.cpu_count() or 1)

    def measuring_seconds_left(self) -> float:
        """The expected wall time of the measures that are not there yet, one group of cells per core."""
        plan = self.plan
        groups = [
            [plan.cells[cell_id] for cell_id in members]
            for name, members in plan.groups.items()
            if not plan.path(f"results/{plan.config.name}/measures/{name}").exists()
        ]
        known = [cells for cells in groups if all(cell.is_known for cell in cells)]
        needs = [measuring.group(cells, plan.listed, plan.config.device) for cells in known]
        jobs = [(sum(need.seconds for need in by_measure.values()), 1) for by_measure in needs]
        return outcome.shared(jobs, outcome.all_cores())


def table(progress: Progress) -> str:
    """What `snakemake status` prints: the replicates of each study, what is running, time left and disk."""
    plan = progress.plan
    rows: list[tuple[str, tuple[object, ...]]] = [("replicates", (*STATES, "of"))]
    rows += [(study, _counts(progress, progress.replicates(study))) for study in plan.asked]
    rows.append(("in all", _counts(progress, plan.replicates)))
    width = max(len(name) for name, _ in rows) + 2
    lines = ["", *(f"{name:{width}}{''.join(f'{value:>10}' for value in values)}" for name, values in rows), ""]
    return "\n".join([*lines, *_running_lines(progress), *_time_lines(progress), *_disk_lines(plan)])


def _counts(progress: Progress, replicates: dict[str, int]) -> tuple[int, ...]:
    counts = progress.counts(replicates)
    return (*(counts[state] for state in STATES), sum(replicates.values()))


def _running_lines(progress: Progress) -> list[str]:
    """How many jobs train now, and a line for each."""
    works = f"{'a' if progress.works else 'no'} snakemake works here"
    lines = [f"running   {_jobs(progress)}; {works}"]
    return lines + [
        f"  {replicate.cell_id}  {progress.labels[replicate.cell_id]}  seed {replicate.seed}  {replicate.line}"
        for replicate in progress.running
    ]


def _jobs(progress: Progress) -> str:
    return f"{len(progress.running)} training job{'' if len(progress.running) == 1 else 's'}"


def _time_lines(progress: Progress) -> list[str]:
    left = progress.seconds_left()
    if not left:
        return ["time      all training is done"]
    done = sum(record["status"] == "done" for record in progress.finished.values())
    why = f"at the pace of the {done} replicates that are done" if progress.pace else "an estimate"
    jobs = f"{_jobs(progress)} at a time" if progress.running else f"on {os.cpu_count()} cores"
    return [f"time      about {outcome.spoken(left)} of training left, {jobs} ({why})"]


def _disk_lines(plan: Plan) -> list[str]:
    """What the snapshots of this config take, what all cells and all data do, and what is free."""
    blocks = [plan.path(block_path(cell_id, block)) for cell_id, blocks in plan.blocks.items() for block in blocks]
    current, expected = used([*blocks, *map(store.scratch_path, blocks)]).size, outcome.disk_bytes(plan)
    cells, data = (used([plan.path(path)]).size for path in ("results/cells", "data"))
    free = shutil.disk_usage(plan.root).free
    return [
        f"disk      {outcome.size(current)} of about {outcome.size(expected)} of this config's cells; all cells "
        f"{outcome.size(cells)}, data {outcome.size(data)}; {outcome.size(free)} are free"
    ]
