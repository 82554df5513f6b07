"""What `snakemake prune` lists, what it removes, and what it never touches."""

import csv
import json
import os

import numpy as np
import pytest
import yaml

from tests.conftest import tiny
from weight_atlas import store
from weight_atlas.plan import study, unwanted
from weight_atlas.training import launcher


def small(name="mine", inits=("default",), **changes):
    config = tiny() | {"name": name, "networks": {"lenet1": {}}, "sources": {}, "inits": {}} | changes
    config["definitions"]["dynamics"] = {
        "grid": {"dataset": ["digits"], "network": ["lenet1"], "init": list(inits), "optimizer": ["sgd"]}
    }
    return config


def train(root, *blocks):
    """Directories as a run leaves them."""
    for block in blocks:
        store.write_json(root / block / "run.json", {"replicates": []})
        (root / block / "snapshots").mkdir()
        (root / block / "snapshots/best.safetensors").write_bytes(b"x" * 1_000_000)


def prepare(root, dataset):
    counts = {"train": [12] * 10, "valid": [4] * 10, "test": [4] * 10}
    card = {"classes": [str(digit) for digit in range(10)], "channels": 1, "size": [28, 28], "counts": counts}
    store.write_json(root / f"data/{dataset}.json", card | {"dataset_id": dataset, "fingerprint": "0"})
    store.save_tensors(root / f"data/{dataset}.safetensors", {"images": np.zeros(5)})


def write(root, plan):
    """The cells.csv of a plan's results."""
    rows = plan.rows()
    path = root / f"results/{plan.config.name}/cells.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def listed(plan):
    found = unwanted.table(plan, False, "the command")
    return [line.split(" old  ")[1] for line in found.splitlines() if " old  " in line]


@pytest.fixture
def place(tmp_path):
    """(root, plan, its only block): a config whose cell is trained, with its data and measures."""
    plan = study.Plan(small(), tmp_path)
    ((cell, blocks),) = plan.blocks.items()
    train(tmp_path, study.block_path(cell, blocks[0]))
    prepare(tmp_path, next(iter(plan.datasets)))
    write(tmp_path, plan)
    (tmp_path / f"results/mine/measures/{next(iter(plan.groups))}").mkdir(parents=True)
    return tmp_path, study.Plan(small(), tmp_path), study.block_path(cell, blocks[0])


def test_what_the_config_asks_for_is_not_listed(place):
    root, plan, _ = place
    text = unwanted.table(plan, False, "the command")
    assert listed(plan) == [] and "wanted by none of them: 0 in all" in text and "the command" not in text


def test_what_nobody_asks_for_is_listed_with_its_size_and_age_and_stays(place):
    root, plan, block = place
    cell = os.path.dirname(block)
    gone = ["results/cells/base-old-0123456789/seeds_0-2", "results/cells/base-old-0123456789/seeds_3-4"]
    train(root, *gone, f"{cell}/seeds_3-4")
    (root / "results/cells/perturb-cut-0123456789/.seeds_0-2").mkdir(parents=True)
    prepare(root, "digits-0000000000")
    store.save_tensors(root / "data/weights/vgg16-0123456789.safetensors", {}, {"source": "x", "sha256": "y"})
    (root / "results/mine/measures/digits-old-01234567").mkdir()
    os.utime(root / gone[0] / "run.json", (0, 0))
    text = unwanted.table(plan, False, "the command")
    assert set(listed(plan)) == {
        "results/cells/base-old-0123456789",
        f"{cell}/seeds_3-4",
        "results/cells/perturb-cut-0123456789",
        "data/digits-0000000000",
        "data/weights/vgg16-0123456789",
        "results/mine/measures/digits-old-01234567",
    }
    row = next(line for line in text.splitlines() if line.endswith("results/cells/base-old-0123456789"))
    assert row.split()[:2] == ["2.0", "MB"] and "s old" in row, "as old as what changed last"
    assert "wanted by none of them: 6 in all, 3.0 MB" in text and text.endswith("To remove them:\n  the command")
    assert all((root / path / "run.json").exists() for path in gone)


def test_told_so_it_removes_what_it_listed_and_no_more(place):
    root, plan, block = place
    train(root, "results/cells/base-old-0123456789/seeds_0-2", f"{os.path.dirname(block)}/seeds_3-4")
    (root / f"{os.path.dirname(block)}/.seeds_3-4").mkdir()
    prepare(root, "digits-0000000000")
    (root / "results/mine/measures/digits-old-01234567").mkdir()
    text = unwanted.table(plan, True, "the command")
    assert "removed: 4 in all, 2.0 MB" in text and "the command" not in text
    assert [path.name for path in (root / "results/cells").iterdir()] == [os.path.basename(os.path.dirname(block))]
    assert [path.name for path in (root / block).parent.iterdir()] == ["seeds_0-2"]
    assert len(list((root / "data").glob("*.*"))) == 2 and len(list((root / "results/mine/measures").iterdir())) == 1
    assert (root / block / "snapshots/best.safetensors").exists() and listed(plan) == []


def test_what_is_being_trained_stays(place):
    root, plan, _ = place
    gone = ["results/cells/base-old-0123456789/seeds_0-2", "results/cells/base-old-0123456789/seeds_3-4"]
    train(root, *gone)
    with launcher.Block(root / gone[1], "base-old-0123456789", {}).lock():
        text = unwanted.table(plan, True, "the command")
    assert "(stays: it is being trained)" in text and "removed: 0 in all" in text
    assert all((root / path / "run.json").exists() for path in gone)
    assert not store.lock_path(root / gone[0]).exists(), "no lock file is left"


def test_what_other_results_and_configs_ask_for_is_theirs(place):
    root, plan, _ = place
    theirs = study.Plan(small("theirs", ["kaiming_normal"]), root)
    planned = small("planned", ["xavier_normal"])
    for other in (theirs, study.Plan(planned, root)):
        train(root, *(study.block_path(cell, blocks[0]) for cell, blocks in other.blocks.items()))
    assert len(listed(plan)) == 2
    write(root, theirs)
    (root / "config").mkdir()
    (root / "config/planned.yaml").write_text(yaml.safe_dump(planned))
    (root / "config/lost.yaml").write_text(yaml.safe_dump(small() | {"epochz": 3}))
    assert listed(plan) == []
    text = unwanted.table(plan, False, "the command")
    assert "wanted by: this config (mine), config/planned.yaml, results/theirs\n" in text
    assert "cannot say: config/lost.yaml: unknown key 'epochz'" in text


def test_what_the_last_run_of_a_changed_config_shows_is_marked(place):
    root, _, block = place
    changed = study.Plan(small(inits=["kaiming_normal"]), root)
    assert listed(changed) == [f"{os.path.dirname(block)}  (still shown in results/mine)"]


def test_a_file_of_weights_that_results_start_from_is_theirs(place):
    root, plan, _ = place
    store.save_tensors(root / "data/weights/mine-0123456789.safetensors", {}, {"source": "x", "sha256": "y"})
    assert listed(plan) == ["data/weights/mine-0123456789"]
    row = plan.rows()[0]
    row["cell"] = json.dumps({"start": {"kind": "weights", "weights_id": "mine-0123456789"}})
    (root / "results/theirs").mkdir()
    with open(root / "results/theirs/cells.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    assert listed(plan) == []


def test_a_broken_list_of_cells_ends_in_one_line(place):
    root, plan, _ = place
    (root / "results/theirs").mkdir()
    (root / "results/theirs/cells.csv").write_text("cell_id,study\na,b\n")
    with pytest.raises(ValueError, match="theirs/cells.csv: no list of cells; remove .*, or run its config again"):
        unwanted.table(plan, False, "the command")


def test_what_a_user_put_there_is_never_listed(place):
    root, plan, _ = place
    (root / "elsewhere/seeds_0-2").mkdir(parents=True)
    (root / "results/cells/base-linked-0123456789").symlink_to(root / "elsewhere")
    (root / "results/cells/notes").mkdir()
    (root / "results/cells/base-notes").mkdir()
    (root / "results/cells/base-notes/mine.txt").write_text("mine")
    (root / "data/mine.json").write_text('{"dataset_id": "mine"}')
    (root / "data/list.json").write_text("[1]")
    (root / "data/no.json").write_text("no JSON")
    for name in ("data/mine", "data/weights/mine", "data/weights/mine-0123456789"):
        store.save_tensors(root / f"{name}.safetensors", {"w": np.zeros(3)})
    (root / "data/downloads").mkdir()
    (root / "results/other/measures/kept").mkdir(parents=True)
    assert listed(plan) == []
