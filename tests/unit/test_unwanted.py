"""What `snakemake prune` lists, what it removes, and what it never touches."""

import csv
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.conftest import tiny
from weight_atlas import store
from weight_atlas.plan import lock, removal, study, unwanted
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
    card |= {"mean": [0.5], "std": [0.5], "sha256": "0"}
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


def table(plan, remove):
    """What is said."""
    said = []
    unwanted.table(plan, remove, "the command", said.append)
    return "".join(said).removesuffix("\n")


def listed(plan):
    found = table(plan, False)
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
    text = table(plan, False)
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
    text = table(plan, False)
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
    text = table(plan, True)
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
        text = table(plan, True)
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
    text = table(plan, False)
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
        table(plan, False)


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


# ------------------------------------------------------------------------------------------------- links and errors

OLD = "results/cells/base-old-0123456789"


def everything(root):
    """All files and links below a folder, with what they hold or name."""
    return {
        path: os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("linked", ["results", "results/cells", "data", "data/weights", "results/mine/measures"])
def test_what_lies_behind_a_link_is_listed_and_stays(place, tmp_path_factory, linked):
    """Results on a large disk: other folders may use them as well, and what these ask for nobody here knows."""
    root, plan, block = place
    train(root, f"{OLD}/seeds_0-2")
    prepare(root, "digits-0000000000")
    store.save_tensors(root / "data/weights/vgg16-0123456789.safetensors", {}, {"source": "x", "sha256": "y"})
    (root / "results/mine/measures/digits-old-01234567").mkdir()
    every = {OLD, "data/digits-0000000000", "data/weights/vgg16-0123456789"}
    every |= {"results/mine/measures/digits-old-01234567"}
    assert set(listed(plan)) == every
    disk = tmp_path_factory.mktemp("disk") / "there"
    (root / linked).rename(disk)
    (root / linked).symlink_to(disk)
    behind = {path for path in every if path.startswith(f"{linked}/")}
    before, text = everything(disk), table(plan, True)
    assert everything(disk) == before and (root / linked).is_symlink()
    assert f"removed: {len(every - behind)} in all" in text
    for path in every:
        (line,) = [line for line in text.splitlines() if f"old  {path}" in line]
        why = f"  (stays: {linked} is a link, to {disk}; remove it there)"
        assert line.endswith(f"old  {path}{why if path in behind else ''}")


def test_a_link_inside_goes_and_what_it_names_stays(place, tmp_path_factory):
    root, plan, _ = place
    train(root, f"{OLD}/seeds_0-2")
    disk = tmp_path_factory.mktemp("disk")
    (disk / "mine.txt").write_text("mine")
    (root / OLD / "seeds_0-2/snapshots/seed0").symlink_to(disk)
    (root / OLD / "seeds_0-2/snapshots/file").symlink_to(disk / "mine.txt")
    assert "removed: 1 in all" in table(plan, True)
    assert not (root / OLD).exists() and (disk / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["digits-0000000000.safetensors", "digits-0000000000.json"])
def test_a_file_that_is_a_link_stays(place, tmp_path_factory, name):
    root, plan, _ = place
    prepare(root, "digits-0000000000")
    there = tmp_path_factory.mktemp("disk") / name
    (root / "data" / name).rename(there)
    (root / "data" / name).symlink_to(there)
    assert f"(stays: data/{name} is a link, to {there}; remove it there)" in table(plan, True)
    assert there.exists() and (root / "data" / name).is_symlink()


def test_a_wanted_block_that_is_a_link_stays_with_its_cell(place, tmp_path_factory):
    root, plan, block = place
    train(root, f"{os.path.dirname(block)}/seeds_3-4")
    disk = tmp_path_factory.mktemp("disk") / "there"
    (root / block).rename(disk)
    (root / block).symlink_to(disk)
    assert listed(plan) == [f"{os.path.dirname(block)}/seeds_3-4"]
    table(plan, True)
    assert (root / block / "run.json").exists()


def test_a_lock_that_is_a_link_overwrites_nothing(place, tmp_path_factory):
    root, plan, _ = place
    train(root, f"{OLD}/seeds_0-2")
    theirs = tmp_path_factory.mktemp("disk") / "theirs"
    theirs.write_text("theirs")
    path = store.lock_path(root / OLD / "seeds_0-2")
    path.symlink_to(theirs)
    assert "seeds_0-2.lock is a link, to " in table(plan, True)
    with pytest.raises(lock.Busy, match="is a link, and no lock file; remove it"):
        lock.hold(path)
    assert theirs.read_text() == "theirs"


def test_an_error_at_the_third_of_ten_stops_no_other_and_is_told(place, monkeypatch):
    root, plan, _ = place
    cells = [f"results/cells/base-old-{number:010d}" for number in range(10)]
    train(root, *(f"{cell}/seeds_0-2" for cell in cells))
    rmtree = removal.shutil.rmtree

    def denied(name, **named):
        if name == cells[2].rpartition("/")[2]:
            raise PermissionError(errno.EACCES, "Permission denied", name)
        rmtree(name, **named)

    monkeypatch.setattr(removal.shutil, "rmtree", denied)
    said = []
    assert unwanted.table(plan, True, "the command", said.append) == 1
    text = "".join(said)
    for cell in cells:
        (line,) = [line for line in text.splitlines() if f"old  {cell}" in line]
        stays = "  (stays: not all of it could be removed: Permission denied: base-old-0000000002)"
        assert line.endswith(stays if cell == cells[2] else cell)
        assert (root / cell).exists() == (cell == cells[2])
    assert "removed: 9 in all" in text
    assert not (root / cells[2] / "seeds_0-2/run.json").exists(), "what may be half removed must not look finished"


def test_a_line_is_said_before_its_files_go(place):
    """Whatever ends the process: nothing is gone that was not listed."""
    root, plan, _ = place
    cells = [f"results/cells/base-old-{number:010d}" for number in range(4)]
    train(root, *(f"{cell}/seeds_0-2" for cell in cells))
    told = ""

    def say(text):
        nonlocal told
        told += text
        assert all((root / cell).exists() or cell in told for cell in cells)
        if cells[1] in told:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unwanted.table(plan, True, "the command", say)
    assert [(root / cell).exists() for cell in cells] == [False, True, True, True]


def test_what_vanishes_meanwhile_is_as_good_as_removed(place, monkeypatch):
    root, plan, _ = place
    train(root, f"{OLD}/seeds_0-2")
    unlink = os.unlink

    def late(name, **named):
        unlink(name, **named)
        unlink(name, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", late)
        removal.remove(root, root / OLD / "seeds_0-2/snapshots")
    assert not (root / OLD / "seeds_0-2/snapshots").exists()
    removal.remove(root, root / "results/none/none")


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(place, tmp_path_factory):
    root, _, block = place
    disk = tmp_path_factory.mktemp("disk") / "there"
    (root / "results/cells").rename(disk)
    (root / "results/cells").symlink_to(disk)
    before = everything(disk)
    with pytest.raises(OSError):
        removal.remove(root, root / block)
    with pytest.raises(OSError):
        removal.remove(root, root / block / "run.json")
    assert everything(disk) == before
    removal.remove(root, root / "results/cells")
    assert everything(disk) == before and not (root / "results/cells").is_symlink(), "the link itself goes"


def test_odd_names_are_escaped_and_odd_files_pass(place):
    root, plan, _ = place
    name = "a\x1b[31m\u202e\nb"
    prepare(root, name)
    (root / "results/cells/base-\x1b[2J").mkdir()
    train(root, "results/cells/base-\x1b[2J/seeds_0-1")
    os.mkfifo(root / "data/pipe.json")
    (root / "data/weights").mkdir()
    os.mkfifo(root / "data/weights/pipe-0123456789.safetensors")
    (root / "data/weights/half-0123456789.safetensors").write_bytes(b"half")
    (root / "data/deep.json").write_text("[" * 100_000)
    (root / "data/folder.json").mkdir()
    assert listed(plan) == ["results/cells/base-\\x1b[2J", "data/a\\x1b[31m\\u202e\\nb"]
    assert "removed: 2 in all" in table(plan, True)


@pytest.mark.parametrize("denied", [False, True])
def test_the_command_ends_with_an_error_where_something_stays(place, denied):
    root, _, _ = place
    train(root, f"{OLD}/seeds_0-2")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); import os, prune\n"
    code += "def no(*given, **named): raise PermissionError(13, 'Permission denied', 'x')\n"
    code += "prune.unwanted.removal.os.unlink = no\n" if denied else ""
    words = ["--config", json.dumps(small() | {"prune": "remove"}), "--command", "x"]
    command = [sys.executable, "-c", f"{code}sys.exit(prune.main())", Path(__file__).parents[2] / "scripts", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (int(denied), ""), done.stderr
    stays = "  (stays: not all of it could be removed: Permission denied: x)" if denied else ""
    assert done.stdout.splitlines()[-2].endswith(f"old  {OLD}{stays}")
    assert done.stdout.splitlines()[-1].startswith(f"removed: {int(not denied)} in all")
    assert (root / OLD).exists() == denied


MODULE = """
from torch import nn


def net(num_classes=10, filters=2):
    rest = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(filters, num_classes)]
    return nn.Sequential(nn.Conv2d(1, filters, 5), *rest)
"""


def own(name, filters):
    """A config with a network of the user's own."""
    config = small(name) | {"networks": {"lenet1": {"module": "mine.py:net", "filters": filters}}}
    config["definitions"]["dynamics"]["grid"]["init"] = ["xavier_uniform"]
    return config


def prune(root, config):
    """What the command prints, and the layer tables that are left."""
    script = Path(__file__).parents[2] / "scripts/prune.py"
    command = [sys.executable, str(script), "--config", json.dumps(config), "--command", "x"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, {path.name for path in (root / ".snakemake/atlas/networks").iterdir()}


def test_layer_tables_go_when_no_config_names_the_network_any_more(tmp_path, monkeypatch):
    """One is of this config, one of a file in config/, one of the results of a third config, one of none of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / "config").mkdir()
    made = {}
    for name, filters in {"mine": 3, "second": 4, "third": 5, "gone": 6}.items():
        _, there = prune(tmp_path, own(name, filters))  # which plans, and so traces it
        [made[name]] = there - set(made.values())
    (tmp_path / "config/second.yaml").write_text(yaml.safe_dump(own("second", 4)))
    plan = study.Plan(own("third", 5), tmp_path, look=False)
    write(tmp_path, plan)
    store.write_json(tmp_path / "results/third/config.json", plan.config.model_dump(mode="json"))
    said, there = prune(tmp_path, own("mine", 3))
    [line] = [line for line in said.splitlines() if ".snakemake/atlas/networks" in line]
    assert line.endswith(f"old  .snakemake/atlas/networks/{made['gone']}  (the layer table of mine.py:net)")
    assert there == set(made.values())
    said, there = prune(tmp_path, own("mine", 3) | {"prune": "remove"})
    assert said.splitlines()[-1].startswith("removed: 1 in all") and there == set(made.values()) - {made["gone"]}
    (tmp_path / "mine.py").write_text(MODULE + "# another one\n")
    said, there = prune(tmp_path, own("mine", 3) | {"prune": "remove"})
    assert not there & set(made.values()) and len(there) == 3  # of another file, each is traced again
