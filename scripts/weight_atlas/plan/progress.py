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
from weight_atlas.plan import cost, lock, outcome
from weight_atlas.plan.disk import used
from weight_atlas.plan.study import Plan, block_path

STATES = ("done", "running", "failed", "diverged", "waiting")
TAIL = 65536  # bytes of a training log: some hundred lines
# What the trainer says: `seed 0  epoch 3/8  45%  loss 0.12  train 91.90%  1,068 images/s  12 s left` within an epoch,
# `seed 0  epoch 3/8  loss ..  train ..  valid 48.52%  test 48.51%  1,068 images/s  12 s left` at its end.
LINE = re.compile(r"seed (\d+)  epoch (\d+)/(\d+)(?: +(\d+)%)?  (.+)")


def records(block: Path) -> dict[int, dict[str, Any]]:
    """What is recorded of the finished replicates of a block, by seed: in place, or while it is trained."""
    found = {}
    for seed in store.block_seeds(block):
        for where in (block, store.scratch_path(block)):
            if (record := _read(store.record_path(where, seed))) is not None:
                found[seed] = record
    return found


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON file, or None where there is none (any more: a run that works beside may just have moved it)."""
    try:
        return store.read_json(path)
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class Running:
    """A replicate that is being trained, and the last that its log says of it.

    trained: the share of its epochs that is behind it, from 0 to 1.
    """

    cell_id: str
    block: tuple[int, int]
    seed: int
    trained: float
    said: str


def running(
    cell_id: str, block: tuple[int, int], directory: Path, finished: dict[int, dict[str, Any]]
) -> Running | None:
    """The replicate of a block that is being trained now: the first that is not finished, where the lock is held."""
    seeds = [seed for seed in store.block_seeds(directory) if seed not in finished]
    if not seeds or not lock.held(store.lock_path(directory)):
        return None
    return Running(cell_id, block, seeds[0], *last_words(_tail(store.scratch_path(directory) / "train.log"), seeds[0]))


def _tail(log: Path) -> list[str]:
    """The last lines of a log; none where it has not begun."""
    try:
        with open(log, "rb") as file:
            file.seek(-min(TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def last_words(lines: list[str], seed: int) -> tuple[float, str]:
    """(share of the epochs that is trained, "epoch 3/8 45%  valid 91.90%  1,068 images/s  12 s left") of a replicate.

    The accuracy is that of the last whole epoch, on the validation pictures; (0.0, "starting") before the first line.
    """
    found = [match for line in lines if (match := LINE.fullmatch(line)) and int(match[1]) == seed]
    if not found:
        return 0.0, "starting"
    _, epoch, of, part, rest = found[-1].groups()
    # A line within an epoch counts it as begun, one at its end as done.
    trained = (int(epoch) - 1 + int(part) / 100 if part else int(epoch)) / int(of)
    valid = next((word for match in reversed(found) for word in re.findall(r"valid \S+", match[5])), None)
    speed = re.findall(r"\S+ images/s", rest) + re.findall(r"images/s  (.+ left)", rest)
    return trained, "  ".join(filter(None, [f"epoch {epoch}/{of}{f' {part}%' if part else ''}", valid, *speed]))


class Progress:
    """The state of every replicate that a plan asks for, read once."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.finished: dict[tuple[str, int], dict[str, Any]] = {}
        self.running: list[Running] = []
        for cell_id, blocks in plan.blocks.items():
            for block in blocks:
                directory = plan.root / block_path(cell_id, block)
                found = records(directory)
                self.finished |= {(cell_id, seed): record for seed, record in found.items()}
                if now := running(cell_id, block, directory, found):
                    self.running.append(now)
        self._busy = {(now.cell_id, now.seed): now for now in self.running}

    def state(self, cell_id: str, seed: int) -> str:
        """One of STATES."""
        if (cell_id, seed) in self._busy:
            return "running"
        return self.finished.get((cell_id, seed), {"status": "waiting"})["status"]

    def counts(self, replicates: dict[str, int]) -> collections.Counter:
        """How many of so many replicates of these cells are in each state."""
        asked = ((cell, seed) for cell, count in replicates.items() for seed in range(count))
        return collections.Counter(self.state(cell, seed) for cell, seed in asked)

    @cached_property
    def pace(self) -> dict[str, float]:
        """How many times longer than the plan thinks a replicate took, by architecture; "" stands for all of them."""
        took, thought = collections.Counter(), collections.Counter()
        for (cell_id, _), record in self.finished.items():
            if record["status"] == "done" and self.plan.cells[cell_id].kind != "given":
                for key in (self.plan.cells[cell_id].architecture, ""):
                    took[key] += record["wall_seconds"]
                    thought[key] += self._alone(cell_id)
        return {key: took[key] / thought[key] for key in took}

    def _alone(self, cell_id: str) -> float:
        """Seconds that the plan thinks a replicate takes, without what every job takes to start."""
        return cost.need(self.plan.cells[cell_id], 1, self.plan.config.device).seconds - cost.START

    def seconds_left(self) -> float:
        """A guess at the wall time of the training that remains: the plan's, at the pace that was measured.

        As many jobs at a time as are running now, or, where none is, as many as the cores take.
        """
        jobs = []
        for cell_id, blocks in self.plan.blocks.items():
            cell = self.plan.cells[cell_id]
            if cell.kind == "given":
                continue
            one = self._alone(cell_id) * self.pace.get(cell.architecture, self.pace.get("", 1.0))
            for first, last in blocks:
                states = {seed: self.state(cell_id, seed) for seed in range(first, last + 1)}
                open_ = [seed for seed, state in states.items() if state in ("running", "waiting")]
                behind = sum(self._busy[cell_id, seed].trained for seed in open_ if states[seed] == "running")
                if open_:
                    threads = 1 if self.running else cell.settings.network.threads
                    jobs.append((cost.START + one * (len(open_) - behind), threads))
        return outcome.shared(jobs, len(self.running) or os.cpu_count() or 1)


def table(plan: Plan) -> str:
    """What `snakemake status` prints: the replicates study by study, what is running, time left and disk."""
    found = Progress(plan)
    rows = [("replicates", (*STATES, "of"))]
    for study in plan.config.asked:
        asked: dict[str, int] = {}
        for entry in plan.entries:
            if entry.study == study:
                asked[entry.cell_id] = max(asked.get(entry.cell_id, 0), entry.replicates)
        rows.append((study, _row(found, asked)))
    rows.append(("in all", _row(found, plan.replicates)))
    wide = max(len(name) for name, _ in rows) + 2
    lines = ["", *(f"{name:{wide}}{''.join(f'{value:>10}' for value in values)}" for name, values in rows), ""]
    return "\n".join([*lines, *_now(found), *_time(found), *_disk(plan)])


def _row(found: Progress, asked: dict[str, int]) -> tuple:
    counts = found.counts(asked)
    return (*(counts[state] for state in STATES), sum(asked.values()))


def _now(found: Progress) -> list[str]:
    """How many jobs train now, and a line for each."""
    plan, labels = found.plan, {}
    for entry in plan.entries:
        labels.setdefault(entry.cell_id, " x ".join(filter(None, entry.labels.values())))
    works = "a snakemake works here" if lock.held(plan.root / ".snakemake/atlas.lock") else "no snakemake works here"
    lines = [f"running   {_jobs(found)}; {works}"]
    return lines + [f"  {now.cell_id}  {labels[now.cell_id]}  seed {now.seed}  {now.said}" for now in found.running]


def _jobs(found: Progress) -> str:
    return f"{len(found.running)} training job{'' if len(found.running) == 1 else 's'}"


def _time(found: Progress) -> list[str]:
    left = found.seconds_left()
    if not left:
        return ["time      all training is done"]
    done = sum(record["status"] == "done" for record in found.finished.values())
    why = f"at the pace of the {done} replicates that are done" if found.pace else "an estimate"
    jobs = f"{_jobs(found)} at a time" if found.running else f"on {os.cpu_count()} cores"
    return [f"time      about {outcome.spoken(left)} of training left, {jobs} ({why})"]


def _disk(plan: Plan) -> list[str]:
    """What the snapshots of this config take, what all cells and all data do, and what is free."""
    blocks = [plan.root / block_path(cell, block) for cell, found in plan.blocks.items() for block in found]
    own = used([*blocks, *map(store.scratch_path, blocks)])[0]
    whole = outcome.disk_bytes(plan)
    cells, data = (used([plan.root / path])[0] for path in ("results/cells", "data"))
    own, whole, cells, data, free = map(outcome.size, (own, whole, cells, data, shutil.disk_usage(plan.root).free))
    return [f"disk      {own} of about {whole} of this config's cells; all cells {cells}, data {data}; {free} are free"]
