"""What `snakemake status` says of replicates, of what is running, of the time left and of the disk."""

import csv
import os
import re

import pytest
from test_training import settings, stage, train

from tests.conftest import tiny
from tests.unit import blocks
from weight_atlas import store
from weight_atlas.plan import cost, lock, outcome, pace, progress, study
from weight_atlas.plan.disk import used
from weight_atlas.training import engine, launcher

SAID = [
    "seed 0  epoch 6/6  loss 0.5268  train 91.90%  valid 48.52%  test 48.51%  1,068 images/s  0 s left",
    "seed 1  epoch 0/6  valid 9.63%  test 9.70%",
    "seed 1  epoch 1/6  loss 2.7289  train 15.57%  valid 13.70%  test 14.93%  1,080 images/s  1 min 11 s left",
    "seed 1  epoch 2/6  50%  loss 1.8723  train 40.98%  1,064 images/s  1 min 02 s left",
]


def four(root):
    """A plan of four cells of three replicates, one study: each cell is one block that one job trains."""
    config = tiny() | {"networks": {"lenet1": {}, "lenet5": {}}, "sources": {}, "inits": {}}
    grid = {"dataset": ["digits"], "network": ["lenet1", "lenet5"], "init": ["default"], "optimizer": ["sgd", "adam"]}
    config["definitions"]["dynamics"] = {"grid": grid}
    return study.Plan(config, root)


def record(seed, status="done", cause=None, wall_seconds=8.0):
    return {"seed": seed, "status": status, "cause": cause, "epochs": 2, "wall_seconds": wall_seconds}


def finish(plan, cell_id, *records):
    directory = plan.root / study.block_path(cell_id, (0, 2))
    blocks.write(directory, cell_id, {}, records)


def untrained(plan):
    paths = [study.block_path(cell_id, block) for cell_id, blocks in plan.blocks.items() for block in blocks]
    return [path for path in paths if not (plan.root / path / "run.json").exists()]


@pytest.fixture
def halfway(tmp_path):
    """(the plan, its cells, the launcher's lock): one cell is finished, one is at its second replicate, one was left
    off after its first, one waits."""
    plan = four(tmp_path)
    done, now, left, waiting = plan.cells
    finish(plan, done, record(0), record(1, "failed", "killed"), record(2, "diverged", "the loss"))
    for cell_id in (now, left):
        scratch = store.scratch_path(tmp_path / study.block_path(cell_id, (0, 2)))
        store.write_json(store.record_path(scratch, 0), record(0))
        (scratch / "train.log").write_text("".join(f"{line}\n" for line in SAID))
    launching = launcher.Block(tmp_path / study.block_path(now, (0, 2)), now, {}).lock()
    return plan, (done, now, left, waiting), launching


def test_every_replicate_has_its_state(halfway):
    plan, (done, now, left, waiting), launching = halfway
    with launching:
        found = progress.Progress(plan)
    states = {cell: [found.state(cell, seed) for seed in range(3)] for cell in plan.cells}
    assert states == {
        done: ["done", "failed", "diverged"],
        now: ["done", "running", "waiting"],
        left: ["done", "waiting", "waiting"],
        waiting: ["waiting"] * 3,
    }
    assert found.counts(plan.replicates) == {"done": 3, "running": 1, "failed": 1, "diverged": 1, "waiting": 6}
    (running,) = found.running
    assert (running.cell_id, running.seed, running.trained) == (now, 1, pytest.approx(1.5 / 6))
    assert running.line == "epoch 2/6 50%  valid 13.70%  1,064 images/s  1 min 02 s left"
    assert not progress.Progress(plan).running, "whose lock is free is not running"


def test_the_table_says_it_all(halfway):
    plan, (_, now, *_), launching = halfway
    with launching:
        text = progress.table(progress.Progress(plan))
    for row in ("dynamics", "in all"):
        assert re.search(rf"^{row} +3 +1 +1 +1 +6 +12$", text, re.M)
    assert "running   1 training job; no snakemake works here" in text
    assert f"  {now}  digits x lenet1 x default x adam  seed 1  epoch 2/6 50%  valid" in text
    assert re.search(r"^time +about .+ of training left, 1 training job at a time \(at the pace of the 3 ", text, re.M)
    held = lock.hold(plan.root / ".snakemake/atlas.lock")
    try:
        assert "running   0 training jobs; a snakemake works here" in progress.table(progress.Progress(plan))
    finally:
        os.close(held)


def test_time_left_is_the_plans_at_the_pace_that_was_measured(tmp_path):
    plan = four(tmp_path)
    thought = {cell: cost.need(plan.cells[cell], 1, "cpu").seconds - cost.START for cell in plan.cells}
    sgd1, adam1, sgd5, adam5 = plan.cells
    cores = os.cpu_count() or 1
    fresh = progress.Progress(plan).seconds_left()
    assert fresh == pytest.approx(outcome.wall_seconds(plan, outcome.missing(plan, untrained(plan)))), (
        "the plan's own, to begin with"
    )
    finish(plan, sgd1, *(record(seed, wall_seconds=5 * thought[sgd1]) for seed in range(3)))
    found = progress.Progress(plan)
    assert found.pace["lenet1"] == pytest.approx(5) and found.pace[""] == pytest.approx(5)
    jobs = [pace.FORKED + 15 * thought[cell] for cell in (adam1, sgd5, adam5)]
    assert found.seconds_left() == pytest.approx(max(max(jobs), sum(jobs) / cores))
    finish(plan, sgd5, *(record(seed, wall_seconds=2 * thought[sgd5]) for seed in range(3)))
    jobs = [pace.FORKED + 15 * thought[adam1], pace.FORKED + 6 * thought[adam5]]
    assert progress.Progress(plan).seconds_left() == pytest.approx(max(max(jobs), sum(jobs) / cores))
    for cell in (adam1, adam5):
        finish(plan, cell, *(record(seed) for seed in range(3)))
    assert progress.Progress(plan).seconds_left() == 0 and "all training is done" in progress.table(
        progress.Progress(plan)
    )


def test_the_next_plan_is_at_the_pace_of_what_was_trained_here(tmp_path):
    plan = four(tmp_path)
    first, *others = plan.cells
    thought = {cell: cost.need(plan.cells[cell], 1, "cpu").seconds - cost.START for cell in plan.cells}
    finish(plan, first, *(record(seed, wall_seconds=5 * thought[first]) for seed in range(3)))
    pace.remember(plan, progress.Progress(plan).paces(1e6))
    assert not pace.Pace(plan).is_measured, "of too little nothing is kept"
    pace.remember(plan, progress.Progress(plan).paces())
    for kept, times in ((None, 5.0), ("[1]", 1.0), ('{"cpu": {"": "fast"}}', 1.0), ('{"cpu": {"": 3.0}}', 3.0)):
        if kept is not None:
            (tmp_path / pace.PATH).write_text(kept)
        for cell in others:
            assert pace.Pace(plan).job(plan.cells[cell], cost.need(plan.cells[cell], 2, "cpu")) == pytest.approx(
                pace.FORKED + 2 * times * thought[cell]
            )
    plan.config.preload = False
    assert pace.Pace(plan).start == cost.START


def test_what_is_trained_of_a_running_replicate_is_not_left(halfway):
    plan, (_, now, left, waiting), launching = halfway
    with launching:
        found = progress.Progress(plan)
    one = {cell: (cost.need(plan.cells[cell], 1, "cpu").seconds - cost.START) for cell in plan.cells}
    counts = {now: 1.75, left: 2, waiting: 3}
    whole = [count * one[cell] * found.pace[plan.cells[cell].architecture] for cell, count in counts.items()]
    assert found.seconds_left() == pytest.approx(3 * pace.FORKED + sum(whole)), "one job at a time"


def test_the_last_words_are_read_as_the_trainer_says_them(toy, tmp_path, capsys, monkeypatch):
    """80 pictures in batches of 16, two epochs: a line at each of the five steps, and one at the end of each epoch."""
    monkeypatch.setattr(engine, "LOG_SECONDS", -1.0)
    train(toy, tmp_path, settings("lenet1", stages=[stage(epochs=2)]), seed=3)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("seed")]
    assert progress.last_line(lines, 2) == (0.0, "starting")
    shares = [progress.last_line(lines[:end], 3)[0] for end in range(1, len(lines) + 1)]
    assert shares == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0])
    with open(store.metrics_path(tmp_path, 3), newline="") as file:
        valid = [f"valid {float(row['valid_accuracy']):.2%}" for row in csv.DictReader(file)]
    first, second, third = (progress.last_line(lines[:end], 3)[1] for end in (3, 9, 13))
    assert re.fullmatch(rf"epoch 1/2 40%  {valid[0]}  [\d,]+ images/s  \d+ s left", first)
    assert re.fullmatch(rf"epoch 2/2 40%  {valid[1]}  [\d,]+ images/s  \d+ s left", second)
    assert re.fullmatch(rf"epoch 2/2  {valid[2]}  [\d,]+ images/s  0 s left", third)


def test_paths_and_lock_are_those_of_the_launcher(tmp_path):
    block = launcher.Block(tmp_path / "base-x/seeds_0-2", "base-x", {})
    assert store.scratch_path(block.directory) == block.scratch
    assert not lock.held(store.lock_path(block.directory)), "there is none yet"
    with block.lock():
        assert lock.held(store.lock_path(block.directory)) and lock.held(store.lock_path(block.directory))
    assert not lock.held(store.lock_path(block.directory))
    with block.lock():  # looking on left nothing that a launcher would have to wait for
        pass


def test_files_count_once_and_what_vanishes_not_at_all(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/one").write_bytes(b"x" * 1000)
    (tmp_path / "a/b/two").write_bytes(b"x" * 200)
    (tmp_path / "a/b/again").hardlink_to(tmp_path / "a/one")
    (tmp_path / "far").write_bytes(b"x" * 5000)
    (tmp_path / "a/link").symlink_to(tmp_path / "far")
    os.utime(tmp_path / "a/b/two", (1, 4e9))
    size, latest = used([tmp_path / "a", tmp_path / "a/one", tmp_path / "gone"])
    assert size == 1200 + len(str(tmp_path / "far")) and latest == 4e9
    assert used([tmp_path / "far"])[0] == 5000 and used([]) == (0, 0.0)


# -------------------------------------------------------------------------------------------------- retry_failed


def test_blocks_that_failed_of_themselves_are_tried_again(tmp_path):
    plan = four(tmp_path)
    one, two, three, _ = plan.cells
    finish(plan, one, record(0), record(1, "failed", "killed by SIGKILL"), record(2, "failed", "killed by SIGKILL"))
    finish(plan, two, record(0), record(1, "diverged", "the loss"), record(2))
    finish(plan, three, record(0), record(1, "failed", "its parent x has status diverged for seed 1"), record(2))
    assert outcome.retried(plan) == [study.block_path(one, (0, 2))]
    assert "again:\n  the command" in outcome.after(plan, "the command")
    finish(plan, one, record(0), record(1), record(2))
    assert outcome.retried(plan) == [] and "the command" not in outcome.after(plan, "the command")


def test_the_key_is_read_as_the_command_line_gives_it():
    given = {text: study.Plan(tiny() | {"retry_failed": text}).config.retry_failed for text in ("true", "false", True)}
    assert given == {"true": True, "false": False, True: True}
    with pytest.raises(study.ConfigError, match="retry_failed: 'yes' is not allowed"):
        study.Plan(tiny() | {"retry_failed": "yes"})
