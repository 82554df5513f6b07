"""What runs again after which change: edit X, these jobs and no others."""

import copy
import os
import re
import shutil

import pytest

from tests.conftest import Workflow, tiny


def edited(workflow, path, jobs=True):
    """The jobs of a dry run while one line, of code in Python, is added to the file at `path`; the file is put back."""
    file = workflow.root / path
    before = file.read_bytes()
    ends = {".css": b"\n/* edited */\n", ".lua": b"\n-- edited\n", ".j2": b"\n{# edited #}\n", ".yaml": b"\n# edited\n"}
    end = ends.get(file.suffix, b"\nEDITED = True\n")
    file.write_bytes(before + end)
    try:
        return kinds(workflow.jobs())
    finally:
        file.write_bytes(before)


def kinds(jobs):
    """The jobs by what they are: training and measuring with the architecture, the rest by their first word."""
    found = set()
    for job in jobs:
        network = re.search(r"lenet1|resnet18", job)
        verb = job.split()[0]
        found.add(f"{verb} {network.group()}" if network and verb in ("training", "retraining", "measuring") else verb)
    return found


RETRAIN = {"retraining lenet1"}
TRAIN = {"training lenet1", "training resnet18"} | RETRAIN
MEASURE = {"measuring lenet1", "measuring resnet18"}
TELL = {"joining", "drawing", "rendering", "writing"}


def test_a_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in finished.run("all").stdout


def test_touching_any_file_runs_nothing(finished):
    for part in ("Snakefile", "rules", "scripts", "config", "report", "envs", "profiles", "data", "results"):
        for file in [finished.root / part, *(finished.root / part).rglob("*")]:
            # Snakemake's own time stamp of a directory is no file of the workflow's.
            if file.is_file() and file.name != ".snakemake_timestamp":
                os.utime(file)
    assert finished.jobs() == set()


EDITS = {
    "scripts/weight_atlas/reporting/grammar/style.py": {"drawing", "rendering"},
    "scripts/weight_atlas/reporting/registry.py": {"drawing", "rendering"},
    "scripts/draw.py": {"drawing", "rendering"},
    "scripts/render.py": {"rendering"},
    "scripts/explore.py": {"writing"},
    "report/explorer.js": {"writing"},
    "report/style.css": {"rendering"},
    "report/filter.lua": {"rendering"},
    "report/page.qmd.j2": {"rendering"},
    "report/chapter.qmd.j2": {"rendering"},
    "report/documents/dynamics/chapter.yaml": {"drawing", "rendering"},
    "report/documents/dynamics/claims.yaml": {"drawing", "rendering"},
    "report/documents/dynamics/document.yaml": {"drawing", "rendering"},
    "report/documents/vgg22/claims.yaml": set(),
    "scripts/collect.py": TELL,
    "scripts/weight_atlas/analysis/weights/statistics.py": MEASURE | TELL,
    "scripts/weight_atlas/analysis/course.py": MEASURE | TELL,
    "scripts/measure.py": MEASURE | TELL,
    "scripts/weight_atlas/analysis/prune_snapshots.py": set(),
    "scripts/prune_snapshots.py": set(),
    "scripts/weight_atlas/networks/architectures/lenet1.py": {"training lenet1", "measuring lenet1"} | RETRAIN | TELL,
    "scripts/weight_atlas/networks/architectures/resnet18.py": {"training resnet18", "measuring resnet18"} | TELL,
    "scripts/weight_atlas/networks/architectures/vgg19.py": set(),
    "scripts/weight_atlas/networks/architectures/lenet5.py": set(),
    "scripts/weight_atlas/perturbations/flip.py": {"measuring lenet1"} | RETRAIN | TELL,
    "scripts/weight_atlas/perturbations/add.py": set(),
    "scripts/weight_atlas/training/engine.py": TRAIN | MEASURE | TELL,
    "scripts/train.py": set(),
    "scripts/weight_atlas/training/launcher.py": set(),
    "scripts/weight_atlas/datasets/digits.py": {"preparing", "listing"} | TRAIN | MEASURE | TELL,
    "scripts/weight_atlas/plan/resolve.py": {"listing"},
    "scripts/weight_atlas/plan/cost.py": set(),
    "scripts/plan.py": set(),
    "README.md": set(),
}


@pytest.mark.parametrize("path", [path for path in EDITS if path != "README.md"])
def test_an_edit_runs_again_what_depends_on_it(finished, path):
    found = edited(finished, path)
    if EDITS[path] == {"listing"}:
        # The table of the cells is written again; what reads it follows, and nothing is trained or measured.
        assert "listing" in found and not found & (TRAIN | MEASURE | {"preparing"})
    else:
        assert found == EDITS[path]


def with_config(workflow, change):
    config = copy.deepcopy(tiny())
    change(config)
    workflow.write(config)
    try:
        return workflow.jobs()
    finally:
        workflow.write(tiny())


def test_another_measure_trains_nothing(finished):
    found = kinds(with_config(finished, lambda config: config.update(measure=["spectra"])))
    assert found >= {"listing", "joining"} and not found & {*TRAIN, "preparing"}


def test_one_learning_rate_trains_its_cells_alone(finished):
    jobs = with_config(finished, lambda c: c["optimizers"]["adam"].update(lr=0.003))
    trained = {job for job in jobs if job.startswith("training")}
    assert len(trained) == 3 and all("-adam-" in job for job in trained)
    assert not [job for job in jobs if job.startswith("preparing")]


def test_one_cell_of_the_grid_changed_trains_that_cell(finished):
    where = {"network": "lenet1", "init": "kaiming_uniform", "optimizer": "sgd"}

    def change(config):
        config["definitions"]["dynamics"]["adjust"] = [{"where": where, "set": {"lr": 0.01}}]

    jobs = with_config(finished, change)
    assert len([job for job in jobs if job.startswith("training")]) == 1
    assert kinds(jobs) >= {"measuring lenet1", "joining"} and "measuring resnet18" not in kinds(jobs)


def test_labels_train_nothing(finished):
    def change(config):
        config["title"] = "Another title"
        config["datasets"]["digits"]["title"] = "Scans of digits"
        config["networks"]["renamed"] = config["networks"].pop("lenet1") | {"architecture": "lenet1"}
        config["definitions"]["dynamics"]["grid"]["network"][0] = "renamed"
        config["definitions"]["dynamics"]["perturb"]["where"]["network"] = "renamed"

    jobs = kinds(with_config(finished, change))
    assert "rendering" in jobs and not jobs & (TRAIN | MEASURE | {"preparing"})


def test_resources_train_nothing(finished):
    jobs = kinds(with_config(finished, lambda c: c.update(device="auto", failures="stop")))
    assert not jobs & (TRAIN | MEASURE | {"preparing"})


def test_what_stays_of_the_snapshots_trains_nothing(finished):
    jobs = kinds(with_config(finished, lambda c: c["definitions"]["dynamics"].update(keep="ends")))
    assert not jobs & (TRAIN | MEASURE | {"preparing"})


def test_more_replicates_train_only_the_new_ones(finished):
    jobs = with_config(finished, lambda c: c.update(replicates=5))
    trained = [job for job in jobs if job.startswith(("training", "retraining"))]
    assert len(trained) == 7 + 2 and all(job.endswith("replicates 3 to 4") for job in trained)


def test_two_clones_and_one_core_give_the_same_bits(finished, tmp_path):
    other = Workflow(tmp_path, tiny())
    other.run("all", "--omit-from", "measure", cores=1)
    mine, theirs = finished.weights(), other.weights()
    assert mine.keys() == theirs.keys() and len(mine) == 7 * 3 * 5 + 2 * 3 * 4
    assert [name for name in mine if mine[name] != theirs[name]] == []


def test_a_measure_runs_again_together_with_the_list_of_cells(finished, tmp_path):
    """Checkpoints change both the list of cells, which a measure does not follow, and what is measured."""
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    config = copy.deepcopy(finished.config)
    config["definitions"]["dynamics"]["checkpoints"] = [{"epochs": {"first": 0, "second": 1}}]
    copied = copy.copy(finished)
    copied.root = tmp_path / "copy"
    copied.write(config)
    said = copied.run("all", "--until", "collect").stdout
    assert kinds(re.findall(r"^Job \d+: (.+)$", said, re.M)) >= MEASURE
    named = (copied.root / "results/tiny/tables/checkpoints.csv").read_text()
    assert ",first," in named and ",second," in named
    assert "Nothing to be done" in copied.run("all", "--until", "collect").stdout
