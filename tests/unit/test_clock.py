"""Dates in the future, by a clock that was set back or is of another machine."""

import os
import time

import pytest

from tests.conftest import small
from weight_atlas.plan import clock, study

FUTURE = 3600


@pytest.fixture
def plan(tmp_path):
    return study.Plan(small("lenet1") | {"name": "mine"}, tmp_path)


def make(path, date):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (date, date))
    return path


def test_what_is_dated_in_the_future_is_dated_now_and_nothing_else(plan, tmp_path):
    now = time.time()
    (cell,) = plan.cells
    ours = ["data/a.json", "data/weights/b.safetensors", "results/mine/tables/c.csv"]
    ours += [f"results/cells/{cell}/seeds_0-2/{name}" for name in ("run.json", "metrics.csv")]
    others = ["results/theirs/tables/c.csv", "results/cells/other/seeds_0-0/run.json", "scripts/plan.py"]
    others += [f"results/cells/{cell}/seeds_0-2/snapshots/seed0/epoch_0.safetensors"]
    old = make(tmp_path / "data/old.json", now - FUTURE)
    for name in (*ours, *others):
        make(tmp_path / name, now + FUTURE)
    assert clock.set_right(plan) == len(ours)
    assert old.stat().st_mtime == now - FUTURE
    assert all(abs((tmp_path / name).stat().st_mtime - time.time()) < FUTURE / 2 for name in ours)
    assert all((tmp_path / name).stat().st_mtime == now + FUTURE for name in others)
    dates = {(tmp_path / name).stat().st_mtime for name in ours if name.startswith("results")}
    assert len(dates) == 1, "none is newer than another"
    assert clock.set_right(plan) == 0


def test_what_is_made_after_the_clock_was_set_back_is_newer(plan, tmp_path):
    """An interrupted run leaves a new record and old measures of it, which must look old."""
    measures = make(tmp_path / "results/mine/measures/group/.snakemake_timestamp", time.time() + FUTURE)
    clock.set_right(plan)
    record = tmp_path / f"results/cells/{next(iter(plan.cells))}/seeds_0-2/run.json"
    record.parent.mkdir(parents=True)
    record.write_text("")
    assert record.stat().st_mtime >= measures.stat().st_mtime
    clock.set_right(plan)
    assert record.stat().st_mtime >= measures.stat().st_mtime


def test_links_are_not_followed(plan, tmp_path):
    target = make(tmp_path / "elsewhere/a", time.time() + FUTURE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/folder").symlink_to(target.parent)
    (tmp_path / "data/file").symlink_to(target)
    clock.set_right(plan)
    assert target.stat().st_mtime > time.time() + FUTURE / 2


def test_without_results_there_is_nothing_to_do(plan, tmp_path):
    assert clock.set_right(plan) == 0
    assert list(tmp_path.iterdir()) == []
