"""Results that are moved, copied or linked, and other checkouts: only other code or settings train again."""

import copy
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import pages, warm
from tests.conftest import STREAMS, Workflow, bare, tiny

STATE = ("results", "data", "logs", ".snakemake")
ENGINE = "scripts/weight_atlas/training/engine.py"


def trainings(jobs: set[str]) -> set[str]:
    """The jobs that make data or weights."""
    return {job for job in jobs if job.startswith(("preparing", "training", "retraining"))}


def planned(snakefile: Path, folder: Path) -> set[str]:
    """The jobs of a dry run in `folder`, whose config is `tiny.yaml`, with the workflow of `snakefile`."""
    words = ["-m", "snakemake", "--dry-run", "--cores", "2", "-s", snakefile, "--configfile", "tiny.yaml"]
    done = subprocess.run([warm.python(bare()), *words], cwd=folder, env=bare(), **STREAMS)
    assert done.returncode == 0, done.stdout
    return set(re.findall(r"^Job \d+: (.+)$", done.stdout, re.M))


def clone(finished: Workflow, root: Path, *parts: str, times: bool = True) -> Workflow:
    """The workflow in a folder of its own, with these parts of what the finished one has made."""
    root.mkdir(parents=True)
    made = Workflow(root, tiny())
    for part in parts:
        shutil.copytree(finished.root / part, root / part, copy_function=shutil.copy2 if times else shutil.copy)
    return made


def moved(finished: Workflow, folder: Path) -> set[str]:
    clone(finished, folder / "before", *STATE).root.rename(folder / "after it was moved")
    there = copy.copy(finished)
    there.root = folder / "after it was moved"
    return there.jobs()


def copied_without_times(finished: Workflow, folder: Path) -> set[str]:
    return clone(finished, folder / "copy", *STATE, times=False).jobs()


def without_snakemakes_records(finished: Workflow, folder: Path) -> set[str]:
    return clone(finished, folder / "copy", "results", "data", times=False).jobs()


def linked_into_another_clone(finished: Workflow, folder: Path) -> set[str]:
    there = clone(finished, folder / "clone")
    for part in ("results", "data"):
        (there.root / part).symlink_to(finished.root / part)
    return there.jobs()


def from_another_folder(finished: Workflow, folder: Path) -> set[str]:
    shutil.copytree(finished.root / "results", folder / "results")
    shutil.copytree(finished.root / "data", folder / "data")
    shutil.copy(finished.root / "config/tiny.yaml", folder / "tiny.yaml")
    return planned(finished.root / "Snakefile", folder)


def with_the_checkout_elsewhere(finished: Workflow, folder: Path) -> set[str]:
    there = clone(finished, folder / "work", *STATE)
    shutil.copy(there.root / "config/tiny.yaml", there.root / "tiny.yaml")
    return planned(clone(finished, folder / "checkout").root / "Snakefile", there.root)


def blocks_made_in_parts(finished: Workflow, folder: Path) -> set[str]:
    """The same replicates, asked for in other blocks."""
    there = clone(finished, folder / "copy", "results", "data")
    there.write(there.config | {"replicates_per_job": 1})
    return there.jobs()


def comments_and_annotations(finished: Workflow, folder: Path) -> set[str]:
    there = clone(finished, folder / "copy", *STATE)
    file = there.root / ENGINE
    text = re.sub(r"\) -> [\w\[\], |.]+:$", "):", file.read_text(), flags=re.M)
    assert text.count("->") < file.read_text().count("->") / 2
    file.write_text('"""Another docstring."""\n# and a comment\n' + text.split('"""', 2)[2])
    return there.jobs()


UNCHANGED = [
    moved,
    copied_without_times,
    without_snakemakes_records,
    linked_into_another_clone,
    from_another_folder,
    with_the_checkout_elsewhere,
    blocks_made_in_parts,
    comments_and_annotations,
]


@pytest.mark.parametrize("way", UNCHANGED)
def test_nothing_is_trained_where_the_code_is_the_same(finished, tmp_path, way):
    assert trainings(way(finished, tmp_path)) == set()


def edited(finished: Workflow, folder: Path) -> Workflow:
    """A copy whose training does something else."""
    there = clone(finished, folder / "copy", *STATE)
    file = there.root / ENGINE
    file.write_text(file.read_text().replace("DIVERGED = 1000.0", "DIVERGED = 999.0"))
    return there


def test_other_code_trains_everything_unless_it_is_to_be_adopted(finished, tmp_path):
    there = edited(finished, tmp_path)
    jobs = trainings(there.jobs())
    assert len(jobs) == len(list((there.root / "results/cells").glob("*/seeds_*"))) == 9
    there.write(there.config | {"adopt": True})
    assert trainings(there.jobs()) == set()


def test_what_is_adopted_is_said_on_the_page(finished, tmp_path):
    there = edited(finished, tmp_path)
    there.write(there.config | {"adopt": True})
    there.run("all")
    assert "by other versions of the training code" in pages.whole(there.root / "results/tiny")


def test_results_without_their_data_are_taken_as_they_are(finished, tmp_path):
    """The data set is prepared again; then each job sees that its replicates are from the same data."""
    there = clone(finished, tmp_path / "copy", "results")
    snapshots = {path: path.stat().st_mtime_ns for path in (there.root / "results/cells").rglob("*.safetensors")}
    said = there.run("all", "--omit-from", "measure").stdout
    assert "is trained again" not in said
    assert snapshots == {path: os.stat(path).st_mtime_ns for path in snapshots}
    assert "Nothing to be done" in there.run("all", "--omit-from", "measure").stdout


def test_other_data_train_again(finished, tmp_path):
    there = clone(finished, tmp_path / "copy", *STATE)
    for card in (there.root / "data").glob("*.json"):
        card.unlink()
    assert len(trainings(there.jobs())) == 9 + 2, "until the data are there, nobody knows"
