"""A block that is put in place comes out the same to the bit, whatever interrupts it: every state that an interruption
can leave is made again, and the same command goes on from there."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import random
import runpy
import signal
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from tests.unit import replay
from tests.unit.test_training import settings, stage
from weight_atlas import store
from weight_atlas.training import checkpoint, engine, launcher

ROOT = Path(__file__).resolve().parents[2]
CELL = settings("lenet1", stages=[stage(2, frozen=1)], batch_size=40)
CELL["training"] |= {"batch_size": 40, "track": True, "keep_optimizer": True}
BLOCK = "results/cells/base-toy/seeds_0-1"
OUTPUTS = ("run.json", "metrics.csv")  # what Snakemake knows of a block: it removes them whenever it likes
TIMES = {"started", "wall_seconds", "seconds", "images_per_second", "peak_memory_mib", "peak_gpu_memory_mib"}
TRAINED = "all is trained\n"  # what the log of a recording says then: nothing is to be trained again
SHOWN = 20
SAMPLE = 12  # what the quick tests take where the long ones take every state
LONG = pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)], ids=["sample", "every"])


@dataclass(frozen=True)
class Launch:
    """One job: what its training begins from (`toy` or `other` images), and whether seed 1 brings the trainer down."""

    data: str = "toy"
    attempt: int = 1
    attempts: int = 3
    dying: bool = False


@dataclass(frozen=True)
class Scene:
    """Jobs that come `before`, those that are `recorded`, and the one that is started after an interruption."""

    keep: str
    sample: int | None  # how many states the quick tests take while the block is put in place; None: every one
    resumed: Launch
    before: tuple[Launch, ...] = ()
    recorded: tuple[Launch, ...] = ()


DYING = Launch(attempts=1, dying=True)
SCENES = {
    "all": Scene("all", None, Launch()),
    "thinned": Scene("ends", 3 * SAMPLE, Launch()),
    "second attempt": Scene("all", 2 * SAMPLE, Launch(), recorded=(Launch(dying=True), Launch(attempt=2))),
    "second failed": Scene("ends", 2 * SAMPLE, DYING, recorded=(DYING,)),
    "other code": Scene("ends", 2 * SAMPLE, Launch(), before=(Launch("other"),)),
    "other code begun": Scene("all", SAMPLE, Launch(), before=(Launch("other", dying=True),)),
}


@dataclass
class Bench:
    """Where the data are; what a block is launched with."""

    folders: dict[str, Path]
    log: Path

    def launch(self, root: Path, scene: Scene, job: Launch, said: io.StringIO | None = None) -> int:
        """Launch the block below `root`; the exit status. What launcher and trainer say goes to `said`."""
        said = said or io.StringIO()
        block = launcher.Block(root / BLOCK, "base-toy", CELL, {"data": str(job.data)}, scene.keep)
        stem = self.folders[job.data] / "toy"
        command = [sys.executable, str(ROOT / "scripts/train.py"), "--cell-id", "base-toy", "--cell", json.dumps(CELL)]
        command += ["--data", f"{stem}.safetensors", "--card", f"{stem}.json", "--device", "cpu"]
        command += ["--output", str(root / BLOCK), "--log", str(self.log), "--child"]

        def follow(_, command, *__):
            found = _run(command, job.dying, said)
            last = found[0] == 0 or job.attempt == job.attempts
            said.write(TRAINED if "train.py" in command[1] and last else "")
            return found

        with (
            mock.patch.object(launcher.Launch, "follow", follow),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            launch = launcher.Job(command, self.log, job.attempt, job.attempts, False, [], 1)
            return launcher.launch(block, launch)


def _run(command: list[str], dying: bool, said: io.StringIO) -> tuple[int, list[str]]:
    """What a process of `command`, a script of the project's, does, in this one; (exit status, its last lines)."""
    train, began = engine.Run.train, len(said.getvalue())
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def dies(run, file):
        if dying and run.seed == 1:
            raise RuntimeError("as asked")
        return train(run, file)

    status = 0
    with mock.patch.object(sys, "argv", command[1:]), mock.patch.object(engine.Run, "train", dies):
        try:
            runpy.run_path(command[1], run_name="__main__")
        except SystemExit as ended:
            status = ended.code or 0
        except Exception:
            traceback.print_exc()
            status = 1
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return status, said.getvalue()[began:].splitlines()


def told(found: replay.Tree) -> dict:
    """{path: what it says}, without how long anything took: a digest of a file with times is that of the rest of it."""
    texts = {place: _text(place, held) for place, held in found.items() if place.endswith((".json", ".csv"))}
    digests = {hashlib.sha256(found[place]).hexdigest(): repr(text) for place, text in texts.items()}
    return {place: _replaced(texts[place], digests) if place in texts else held for place, held in found.items()}


def _text(place: str, held: bytes):
    if place.endswith(".csv"):
        return [_timeless(row) for row in csv.DictReader(io.StringIO(held.decode()))]
    try:
        return json.loads(held, object_hook=_timeless)
    except ValueError:  # half a file
        return held


def _timeless(found: dict) -> dict:
    return {key: value for key, value in found.items() if key not in TIMES}


def _replaced(value, by: dict):
    """The value, with each string in it that `by` has replaced."""
    if isinstance(value, dict):
        return {key: _replaced(own, by) for key, own in value.items()}
    if isinstance(value, list):
        return [_replaced(own, by) for own in value]
    return by.get(value, value) if isinstance(value, str) else value


def differences(found: replay.Tree, expected: dict) -> list[str]:
    """The files and folders that are gone, are too many or differ, in words; none where all is as `expected`."""
    mine = told(found)
    names = {"gone": expected.keys() - mine.keys(), "too many": mine.keys() - expected.keys()}
    names["differs"] = {place for place in mine.keys() & expected.keys() if mine[place] != expected[place]}
    return [f"{place} {what}" for what, places in names.items() for place in sorted(places)]


@pytest.fixture(scope="module")
def bench(toy, tmp_path_factory):
    torch.set_num_threads(1)
    other = tmp_path_factory.mktemp("other")
    held = {name: tensor.numpy().copy() for name, tensor in store.load_tensors(toy / "toy.safetensors").items()}
    store.save_tensors(other / "toy.safetensors", held | {"images": np.ascontiguousarray(held["images"][..., ::-1])})
    store.write_json(other / "toy.json", store.read_json(toy / "toy.json"))
    return Bench({"toy": toy, "other": other}, tmp_path_factory.mktemp("logs") / "train.log")


@pytest.fixture(scope="module", autouse=True)
def _no_disk():
    """What is replayed need not reach the disk; what is recorded is patched by the recorder above this."""
    with mock.patch("os.fsync", lambda _: None):
        yield


@pytest.fixture(scope="module", params=SCENES)
def scene(request):
    return SCENES[request.param]


@pytest.fixture(scope="module")
def expected(scene, bench, tmp_path_factory):
    """What an undisturbed run leaves."""
    root = begin(tmp_path_factory.mktemp("alone"))
    assert bench.launch(root, scene, scene.resumed) == 0
    found = replay.tree(root)
    assert f"{BLOCK}/run.json" in found and f"{BLOCK}/snapshots/seed0/epoch_2.safetensors" in found
    return told(found)


@pytest.fixture(scope="module")
def recorded(scene, bench, tmp_path_factory):
    """A recorder of the scene's jobs, with a checkpoint at every step."""
    root = begin(tmp_path_factory.mktemp("recorded"))
    for job in scene.before:
        assert bench.launch(root, scene, job) == int(job.dying)
    remove_outputs(root)
    said = io.StringIO()
    recorder = replay.Recorder(root, said.getvalue)
    with mock.patch.object(checkpoint, "SECONDS", 0.0), recorder.recording():
        for job in scene.recorded or (scene.resumed,):
            status = bench.launch(root, scene, job, said)
    assert status == 0
    recorder.left = replay.tree(root)
    return recorder


def begin(root: Path) -> Path:
    """The folders that are there before the first job."""
    (root / BLOCK).parent.mkdir(parents=True)
    return root


def remove_outputs(root: Path, names=OUTPUTS) -> None:
    for name in names:
        (root / BLOCK / name).unlink(missing_ok=True)


def placing(state: replay.State) -> bool:
    """Whether the last epoch of the block has ended (a seed that dies has none)."""
    return "seed 1  epoch 2/2" in state.said or ("as asked" in state.said and "attempt 1 of 1" in state.said)


def removals(tree: replay.Tree, every: bool) -> list[tuple[str, ...]]:
    """What Snakemake may have removed before it starts the job again: nothing, one of the two outputs, or both."""
    there = [name for name in OUTPUTS if f"{BLOCK}/{name}" in tree]
    one = [(name,) for name in there] if every or len(there) == 1 else []
    return [(), *one, *([OUTPUTS] if len(there) == 2 else [])]


def distinct(states: list[replay.State]) -> list[replay.State]:
    """Of states with the same files the first of each kind of interruption that may train again, or may not."""
    found = {}
    for state in states:
        must = state.kind in ("killed", "torn") and TRAINED in state.said
        found.setdefault((must, frozenset(state.tree.items())), state)
    return list(found.values())


def chosen(states: list, every: bool, count: int | None = SAMPLE) -> list:
    """All of them, or as many drawn by a seed, in their order."""
    if every or count is None or len(states) <= count:
        return list(states)
    return [states[at] for at in sorted(random.Random(0).sample(range(len(states)), count))]


def resume(bench, scene, expected, states, root, every=True, job=None) -> tuple[int, list[str]]:
    """Go on from each state; (how many runs that were, what went wrong in words)."""
    count, wrong = 0, []
    for state in states:
        for names in removals(state.tree, every):
            replay.restore(state.tree, root)
            remove_outputs(root, names)
            said, count = io.StringIO(), count + 1
            place = f"{state.kind} before {state.next}, without {' and '.join(names) or 'removals'}"
            try:
                status = bench.launch(root, scene, job or scene.resumed, said)
                found = differences(replay.tree(root), expected) or [f"exit status {status}"] * bool(status)
            except Exception as error:
                found = [f"{type(error).__name__}: {error}"]
            again = state.kind in ("killed", "torn") and TRAINED in state.said and "epoch 1/2" in said.getvalue()
            found += ["trained again what was trained"] * again
            if found:
                wrong.append(f"{place}: {'; '.join(found)}")
    return count, wrong


def report(name: str, count: int, of: int, wrong: list[str]) -> None:
    """Print how many runs there were from how many states; fail, with the first of them, where any `wrong` ones are."""
    print(f"{name}: {count} runs from {of} states; {len(wrong)} went wrong")
    assert not wrong, f"{len(wrong)} of {count} went wrong, the first:\n" + "\n".join(wrong[:SHOWN])


# ------------------------------------------------------------------------------------------------------ the recorder


def states_after(folder, *steps):
    """{kind of interruption: the tree that it leaves} after steps in a folder that holds one file, `old`."""
    (folder / "old").write_bytes(b"old")
    recorder = replay.Recorder(folder)
    with recorder.recording():
        for step in steps:
            step(folder)
    return {state.kind: state.tree for state in recorder.states}


def write(name, flush=False):
    def step(folder):
        with open(folder / name, "wb") as file:
            file.write(b"new!")
            file.flush()
            if flush:
                os.fsync(file.fileno())

    return step


def flush(name):
    def step(folder):
        handle = os.open(folder / name, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)

    return step


def rename(name, to):
    return lambda folder: os.replace(folder / name, folder / to)


def test_a_rename_counts_after_its_folder_is_flushed_and_a_file_after_itself(tmp_path):
    old, new = {"old": b"old"}, {"old": b"new!"}
    cases = {
        "nothing flushed": ([write("part"), rename("part", "old")], old, {"old": b""}),
        "file": ([write("part", flush=True), rename("part", "old")], old, new),
        "folder": ([write("part"), rename("part", "old"), flush(".")], {"old": b""}, {"old": b""}),
        "both": ([write("part", flush=True), rename("part", "old"), flush(".")], new, new),
        "too early": ([write("part", flush=True), flush("."), rename("part", "old")], old | {"part": b"new!"}, new),
    }
    for name, (steps, cut, emptied) in cases.items():
        (tmp_path / name).mkdir()
        assert states_after(tmp_path / name, *steps) == {
            "torn": new,
            "killed": new,
            "cut": cut,
            "emptied": emptied,
        }, name


def test_folders_links_and_removals_count_after_their_folder_is_flushed(tmp_path):
    make, link = (lambda folder: os.mkdir(folder / "new")), (lambda folder: os.link(folder / "old", folder / "two"))
    steps = [make, write("new/file", flush=True), flush("new"), link, lambda folder: os.remove(folder / "old")]
    for name, more in {"not flushed": [], "flushed": [flush(".")]}.items():
        (tmp_path / name).mkdir()
        left = states_after(tmp_path / name, *steps, *more)
        assert left["killed"] == {"new": None, "new/file": b"new!", "two": b"old"}
        assert left["cut"] == (left["killed"] if more else {"old": b"old"})


def test_each_change_and_the_half_of_each_write_are_recorded(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    recorder = replay.Recorder(tmp_path)
    with recorder.recording():
        for step in (write("part"), rename("part", "old")):
            step(tmp_path)
    assert recorder.changes == [("open", "part"), ("os.rename", "old")]
    seen = [state.tree for state in recorder.states if state.kind == "killed"]
    assert seen == [{"old": b"old"}, {"old": b"old", "part": b"new!"}, {"old": b"new!"}]
    assert {"old": b"old", "part": b"ne"} in [state.tree for state in recorder.states if state.kind == "torn"]


# -------------------------------------------------------------------------------------------------- any interruption


@LONG
def test_every_interruption_while_a_block_is_put_in_place(bench, scene, expected, recorded, tmp_path, every):
    states = chosen(distinct([state for state in recorded.states if placing(state)]), every, scene.sample)
    count, wrong = resume(bench, scene, expected, states, tmp_path / "root", every)
    report("put in place", count, len(states), wrong)


@LONG
def test_interruptions_before_the_last_epoch_has_ended(bench, scene, expected, recorded, tmp_path, every):
    states = distinct([state for state in recorded.states if not placing(state)])
    begun = [state for state in states if "epoch" in state.said]
    # Where there was something before, all that is done until the first epoch: it clears that away.
    first = chosen([state for state in states if "epoch" not in state.said], every, None if scene.before else SAMPLE)
    states = first + chosen(begun, every)
    count, wrong = resume(bench, scene, expected, states, tmp_path / "root", every)
    report("trained", count, len(states), wrong)


@LONG
def test_interrupted_again_while_it_goes_on(bench, scene, expected, recorded, tmp_path, every):
    firsts = chosen([state for state in recorded.states if placing(state)], every=False, count=5 if every else 2)
    count, of, wrong = 0, 0, []
    for first in firsts:
        replay.restore(first.tree, tmp_path / "first")
        remove_outputs(tmp_path / "first")
        said = io.StringIO()
        second = replay.Recorder(tmp_path / "first", said.getvalue)
        with contextlib.suppress(Exception), second.recording():
            bench.launch(tmp_path / "first", scene, scene.resumed, said)
        states = chosen(distinct(second.states), every, SAMPLE // 2)
        found = resume(bench, scene, expected, states, tmp_path / "root", every)
        count, of = count + found[0], of + len(states)
        wrong += [f"{first.kind} before {first.next}, then {line}" for line in found[1]]
    report("interrupted twice", count, of, wrong)


def test_what_has_ended_well_survives_a_power_cut(recorded):
    cut = [state for state in recorded.states if state.kind == "cut"][-1].tree
    lost = [place for place, held in recorded.left.items() if cut.get(place, "") != held]
    assert not lost, "not flushed, though the job has ended: " + ", ".join(lost)


# ------------------------------------------------------------------------------------------- what comes in between


@pytest.fixture(scope="module")
def others(scene, bench, tmp_path_factory):
    """What an undisturbed run leaves that begins from the other images."""
    root = begin(tmp_path_factory.mktemp("others"))
    assert bench.launch(root, scene, Launch("other")) == 0
    return told(replay.tree(root))


@LONG
def test_other_code_takes_nothing_over(bench, scene, expected, others, recorded, tmp_path, every):
    """A job that begins from something else, after any interruption, is as if nothing had been there."""
    best = f"{BLOCK}/snapshots/seed0/best.safetensors"
    assert others[best] != expected[best], "nor would anybody see it"
    states = chosen(distinct([state for state in recorded.states if placing(state)]), every)
    count, wrong = resume(bench, scene, others, _untrained(states), tmp_path / "root", every, Launch("other"))
    report("other code", count, len(states), wrong)


def _untrained(states):
    """The states as those from which something may be trained."""
    return [replay.State(state.kind, state.tree, state.next, "") for state in states]


@pytest.mark.parametrize("removed", [(), *((name,) for name in OUTPUTS), OUTPUTS], ids=" and ".join)
def test_a_finished_block_is_taken_as_it_is(bench, scene, recorded, tmp_path, removed):
    """To the byte, times included."""
    replay.restore(recorded.left, tmp_path / "root")
    # One that failed is tried again; what is finished beside it stays.
    mine = f"{BLOCK}/snapshots/seed0/" if scene.resumed.dying else f"{BLOCK}/"
    snapshots = {place for place in recorded.left if place.startswith(mine) and place.endswith(".safetensors")}
    before = {place: (tmp_path / "root" / place).stat().st_ino for place in snapshots}
    remove_outputs(tmp_path / "root", removed)
    said = io.StringIO()
    assert bench.launch(tmp_path / "root", scene, scene.resumed, said) == 0
    left = replay.tree(tmp_path / "root")
    assert not differences(left, told(recorded.left)) and "epoch 1/2" not in said.getvalue()
    assert scene.resumed.dying or [place for place in left if left[place] != recorded.left[place]] == []
    assert {place: (tmp_path / "root" / place).stat().st_ino for place in snapshots} == before


class FullDisk:
    """Called before each change, it counts the writes; the disk is full at the `number`th, or from there on."""

    def __init__(self, number, lasting=False):
        self.number, self.lasting, self.seen = number, lasting, 0

    def __call__(self, change, path, handle):
        if change not in replay.WRITES or (change == "os.mkdir" and path.exists()):  # that one needs no room
            return
        self.seen += 1
        if self.seen == self.number or (self.lasting and self.seen > self.number > 0):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Removal:
    """Called before each change, it removes the block's outputs at the `number`th; `there`: when there were any."""

    def __init__(self, root, number):
        self.root, self.number, self.seen, self.there = root, number, 0, []

    def __call__(self, change, path, handle):
        self.seen += 1
        if any((self.root / BLOCK / name).exists() for name in OUTPUTS):
            self.there.append(self.seen)
        if self.seen == self.number:
            remove_outputs(self.root)


@pytest.fixture
def trained(scene, recorded, tmp_path):
    """(root, the state just after the last epoch): what the last part of a job begins from; it trains nothing more."""
    return tmp_path / "root", next(s.tree for s in recorded.states if placing(s) and s.kind == "killed")


def disturbed(bench, scene, trained, watch) -> tuple[int | None, str]:
    """The last part of a job with something that happens in between; (its exit status or None, what was said)."""
    root, tree = trained
    replay.restore(tree, root)
    said, last = io.StringIO(), replace(scene.resumed, attempt=scene.resumed.attempts)
    try:
        with replay.watched(root, watch):
            return bench.launch(root, scene, last, said), said.getvalue()
    except OSError as error:
        return None, f"{said.getvalue()}{type(error).__name__}: {error}"


@LONG
@pytest.mark.parametrize("scene", [name for name in SCENES if not SCENES[name].resumed.dying], indirect=True)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "until there is room"])
def test_a_disk_that_is_full_at_any_write(bench, expected, scene, trained, every, lasting):
    count = FullDisk(0)
    assert disturbed(bench, scene, trained, count)[0] == 0
    numbers, wrong = chosen(range(1, count.seen + 1), every, SAMPLE if lasting else scene.sample), []
    for number in numbers:
        status, said = disturbed(bench, scene, trained, FullDisk(number, lasting))
        found = [] if status == 1 and "the disk is full" in said else [f"ended with {status}: {said[-200:]}"]
        after = io.StringIO()
        try:
            status = bench.launch(trained[0], scene, scene.resumed, after)
            found += differences(replay.tree(trained[0]), expected) or [f"then exit status {status}"] * bool(status)
        except Exception as error:
            found += [f"then {type(error).__name__}: {error}"]
        found += ["then trained again"] * (TRAINED in said and "epoch 1/2" in after.getvalue())
        wrong += [f"write {number} of {count.seen}: {'; '.join(found)}"] * bool(found)
    report("full disk", len(numbers), 1, wrong)


def test_outputs_that_snakemake_removes_meanwhile(bench, expected, scene, trained):
    """Whatever the job makes of that: the next one ends with all of them."""
    count, wrong = Removal(trained[0], 0), []
    disturbed(bench, scene, trained, count)
    assert count.there, "there are moments at which they are there"
    for number in count.there:
        disturbed(bench, scene, trained, Removal(trained[0], number))
        status = bench.launch(trained[0], scene, scene.resumed)
        found = differences(replay.tree(trained[0]), expected) or [f"exit status {status}"] * bool(status)
        wrong += [f"before change {number}: {'; '.join(found)}"] * bool(found)
    report("removed meanwhile", len(count.there), 1, wrong)
