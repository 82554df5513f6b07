"""A launcher that dies, or has no room, while it puts a block into place: the same command loses nothing.

The fault strikes in the real launcher below a real Snakemake; tests/unit/test_replay.py tries every other moment.
"""

import csv
import subprocess

import pytest

from tests.conftest import Workflow, small
from weight_atlas import store
from weight_atlas.plan import preload

# Imported by every Python that starts, as PYTHONPATH names its folder. It acts in the launcher alone, and while the
# file FAULT is there, which says what is to happen.
FAULTS = '''
import errno
import os
import re
import signal
import sys
from pathlib import Path

FAULT = Path("fault")
ROOM = Path("results/cells")
launcher = any(word.endswith("train.py") for word in sys.orig_argv) and "--child" not in sys.orig_argv


def die():
    """Note which files the snapshots are, and die."""
    FAULT.unlink()
    Path("inodes").write_text(" ".join(str(path.stat().st_ino) for path in ROOM.rglob("*.safetensors")))
    os.kill(os.getpid(), signal.SIGKILL)


def fill():
    """Use up the room of a small file system, to the last byte."""
    with open(ROOM / "filler", "wb", buffering=0) as file:
        for size in (1 << 16, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC


def after(path):
    """Something has just been moved to `path`."""
    global full
    moved = re.fullmatch(r"seed\\d+|snapshots", path.name)
    if moved and what == "moved":
        die()
    if moved and what == "filled":
        fill()
    if moved and what == "no room":
        FAULT.write_text("full")  # for those who come after this process
        full = True
    if path.name == "run.json":
        placed.append(path)


def before(event, arguments):
    global removed
    if event in ("os.remove", "os.rmdir") and placed:
        name = os.path.basename(os.fsdecode(arguments[0]))
        if not name.startswith(".part-") and not name.endswith(".lock"):
            removed += 1
            if what in ("removing", "removed") and removed == (1 if what == "removing" else 2):
                die()
    if full and event == "open" and isinstance(arguments[2], int):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


if launcher and FAULT.exists():
    what, placed, removed = FAULT.read_text(), [], 0
    full = what == "full"
    for name in ("rename", "replace"):

        def moving(source, target, move=getattr(os, name), **more):
            move(source, target, **more)
            after(Path(target))

        setattr(os, name, moving)
    sys.addaudithook(before)
'''

KILLS = {
    "moved": "after the first snapshots were moved",
    "removing": "before anything of the scratch folder is removed",
    "removed": "when some of the scratch folder is removed",
}


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    """One cell of two replicates, and what an undisturbed run leaves of it."""
    root = tmp_path_factory.mktemp("in place")
    config = small("lenet1", epochs=2) | {"replicates": 2, "replicates_per_job": 2}
    workflow = Workflow(root, config)
    (root / "faults").mkdir()
    (root / "faults/sitecustomize.py").write_text(FAULTS)
    status, said = train(workflow)
    assert status == 0, said
    workflow.alone = outcome(workflow)
    return workflow


def train(workflow, fault=None):
    """Prepare and train, and no more; (exit status, what was said). No job is a fork: each has to start Python."""
    if fault:
        (workflow.root / "fault").write_text(fault)
    alone = {"PYTHONPATH": str(workflow.root / "faults"), preload.SOCKET: ""}
    running = workflow.start("all", "--until", "train", **alone)
    said, _ = running.communicate()
    return running.returncode, said


def outcome(workflow):
    """The weights; what run.json and metrics.csv say, their times apart; and every other file there is."""
    (block,) = (workflow.root / "results/cells").glob("*/seeds_0-1")
    times = ("seconds", "images_per_second")
    with open(block / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = [{key: row[key] for key in row if key not in times} for row in csv.DictReader(file)]
    statuses = [record["status"] for record in store.read_json(block / "run.json")["replicates"]]
    there = {str(path.relative_to(block.parent)) for path in block.parent.rglob("*")}
    return workflow.weights(), rows, statuses, {name for name in there if not name.endswith(".snakemake_timestamp")}


def same(workflow):
    """The outcome is that of an undisturbed run."""
    found, alone = outcome(workflow), workflow.alone
    assert found[0].keys() == alone[0].keys(), "every snapshot is there"
    assert found == alone and alone[2] == ["done", "done"]
    assert len(alone[0]) == 2 * 5, "of two replicates the epochs 0, 1 and 2, the best, and which images are right"


def forget(workflow):
    """Remove the cell."""
    (cell,) = (workflow.root / "results/cells").iterdir()
    subprocess.run(["rm", "-r", str(cell)], check=True)


@pytest.mark.parametrize("fault", KILLS, ids=KILLS.values())
def test_a_launcher_that_is_killed(workflow, fault):
    forget(workflow)
    status, said = train(workflow, fault)
    assert not (workflow.root / "fault").exists(), "it was killed"
    assert status == 0, said
    same(workflow)
    files = {path.stat().st_ino for path in (workflow.root / "results/cells").rglob("*.safetensors")}
    assert files == set(map(int, (workflow.root / "inodes").read_text().split())), "nothing was trained again"


@pytest.fixture
def full(workflow):
    """(the fault that fills the disk, a function that makes room): a small file system of its own for the cells, where
    one can be mounted, else errors as a full disk gives them."""
    forget(workflow)
    place, fault = workflow.root / "results/cells", workflow.root / "fault"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)], capture_output=True)
    if mounted.returncode:
        yield "no room", fault.unlink
        return
    yield "filled", lambda: (fault.unlink(), (place / "filler").unlink())
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full(workflow, full):
    fault, make_room = full
    status, said = train(workflow, fault)
    assert status != 0 and "the disk is full; make room and run the same command again" in said
    make_room()
    status, said = train(workflow)
    assert status == 0, said
    same(workflow)
