"""From a config to cells: what is refused and how, what counts for a cell's id, and which blocks train it."""

import copy
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from PIL import Image

from weight_atlas import pairs
from weight_atlas.plan import (
    blocks,
    checks,
    code,
    cost,
    data_lines,
    jobs,
    outcome,
    outdated,
    outside,
    pace,
    recipe,
    spec,
    study,
)
from weight_atlas.plan.checks import ConfigError
from weight_atlas.plan.identity import digest, slug
from weight_atlas.settings import IMAGENET, UNCHANGED

ROOT = Path(__file__).resolve().parents[2]
D = ("definitions", "dynamics")


def tour():
    """The tour's study of parameter dynamics, with its whole grid."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["definitions"] = {"dynamics": config["definitions"]["dynamics"]}
    del config["definitions"]["dynamics"]["exclude"]
    return config


def changed(*changes):
    """The tour's config with (path, value) changes; the value None removes the key."""
    config = copy.deepcopy(tour())
    for path, value in changes:
        *above, last = path
        place = config
        for key in above:
            place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
        if value is None:
            place.pop(last)
        else:
            place[last] = value
    return config


def plan(*changes, root=Path("nowhere")):
    return study.Plan(changed(*changes), root)


WRONG = {
    "unknown key": ([(("epochz",), 3)], ["'epochz'", "datasets"]),
    "unknown nested key": ([(("training", "epoch"), 3)], ["training", "'epoch'", "epochs"]),
    "unknown measure": ([(("measure",), ["filter"])], ["measure.0", "'filter'", "'filters'"]),
    "wrong type": ([(("replicates",), "three")], ["replicates", "'three'", "whole number"]),
    "zero replicates": ([(("replicates",), 0)], ["replicates", "0", "above 0"]),
    "negative epochs": ([(("training", "epochs"), -3)], ["training.epochs", "-3", "above 0"]),
    "a flag as text": (
        [(("optimizers", "sgd", "nesterov"), "yes")],
        ["optimizers.sgd.nesterov", "'yes'", "true or false"],
    ),
    "unknown network": ([(("networks", "lenet5"), {"architecture": "lenet9"})], ["lenet9", "lenet5"]),
    "unknown stem": ([(("networks", "resnet18-quarter", "stem"), "big")], ["'big'", "'imagenet'", "'cifar'"]),
    "unknown option": ([(("networks", "lenet5", "depth"), 3)], ["networks.lenet5", "'depth'", "width"]),
    "unknown optimizer": ([(("optimizers", "sgd", "type"), "lbfgs")], ["optimizers.sgd", "lbfgs", "adam"]),
    "text for a number": ([(("optimizers", "sgd", "momentum"), "fast")], ["optimizers.sgd.momentum", "'fast'"]),
    "nesterov alone": (
        [(("optimizers", "sgd"), {"type": "sgd", "nesterov": True})],
        ["optimizers.sgd", "momentum > 0"],
    ),
    "one beta": ([(("optimizers", "adam", "betas"), [0.9])], ["optimizers.adam.betas", "[0.9]", "2"]),
    "missing folder": (
        [
            (("datasets", "mine"), {"source": "folder", "path": "nothere", "size": 28}),
            ((*D, "grid", "dataset"), ["mine"]),
        ],
        ["datasets.mine", "nothere", "data_root"],
    ),
    "missing files": (
        [(("datasets", "digits"), {"source": "torchvision", "dataset": "MNIST", "download": False})],
        ["datasets.digits", "MNIST", "download: true"],
    ),
    "folder without a place": ([(("datasets", "digits", "source"), "folder")], ["datasets.digits", "`path`"]),
    "unknown class": ([(("datasets", "digits", "classes"), ["11"])], ["datasets.digits", "'11'", "the names 0, 1"]),
    "a path outside": (
        [(("datasets", "digits"), {"source": "folder", "path": "../x", "size": 28})],
        ["datasets.digits.path", "data_root"],
    ),
    "an archive outside": (
        [(("datasets", "digits"), {"source": "torchvision", "dataset": "MNIST", "archive": "a/../../x.tar"})],
        ["datasets.digits.archive", "'a/../../x.tar'", "data_root"],
    ),
    "weights outside": (
        [(("inits", "pretrained"), {"file": "/x.pth"})],
        ["inits.pretrained.file", "'/x.pth'", "data_root"],
    ),
    "checkpoints outside": (
        [(("given",), {"mine": {"network": "lenet5", "files": ["a", "../b"]}})],
        ["given.mine.files", "'../b'", "data_root"],
    ),
    "unknown data set": ([((*D, "grid", "dataset"), ["mnist"])], ["'mnist'", "digits, digits-0-4"]),
    "unknown init": ([((*D, "grid", "init"), ["kaiming"])], ["'kaiming'", "kaiming_uniform"]),
    "empty axis": ([((*D, "grid", "network"), [])], ["grid.network", "is empty", "at least 1"]),
    "unknown axis": ([((*D, "grid", "inits"), ["default"])], ["grid", "'inits'", "init"]),
    "nothing left": ([((*D, "exclude"), [{"dataset": "digits"}])], ["exclude", "at least one"]),
    "exclude by no axis": ([((*D, "exclude"), [{"datset": "digits"}])], ["exclude", "'datset'", "dataset"]),
    "unknown study": ([(("studies",), "dynamix")], ["studies", "'dynamix'", "dynamics"]),
    "an unknown experiment": ([(("studies",), "dynamics.path")], ["studies", "'dynamics.path'", "give 'dynamics'"]),
    "nothing of the document": (
        [((*D, "beyond"), [{"dataset": "digits"}]), (("cells",), "document")],
        ["cells", "no cell", "all"],
    ),
    "a name with slashes": ([(("name",), "../x")], ["name", "'../x'"]),
    "no name": ([(("name",), None)], ["name", "missing"]),
    "a cycle of parents": ([(("sources", "digits-0-4", "init"), "pretrained")], ["sources.digits-0-4", "cycle"]),
    "unknown source": (
        [(("inits", "pretrained"), {"source": "no"})],
        ["inits.pretrained.source", "'no'", "digits-0-4"],
    ),
    "two origins": (
        [(("inits", "pretrained"), {"source": "digits-0-4", "weights": "imagenet"})],
        ["inits.pretrained", "weights and source", "one of"],
    ),
    "weights nobody published": (
        [(("inits", "pretrained"), {"weights": "imagenet"})],
        ["imagenet", "lenet5", "source"],
    ),
    "frozen beyond the end": (
        [(("training", "stages"), [{"epochs": 3, "frozen": 9}])],
        ["stages.0.frozen", "9", "0 to 4"],
    ),
    "a table too short": ([(("training", "schedule"), {"type": "table", "rates": [0.1]})], ["rates", "8 epochs"]),
    "unknown schedule": ([(("training", "schedule"), {"type": "cosin"})], ["training.schedule", "cosin", "'cosine'"]),
    "a snapshot too late": ([(("training", "snapshots"), [99])], ["snapshots", "99", "0 to 8"]),
    "unknown device": ([(("device",), "gpu")], ["device", "'gpu'", "'cuda'"]),
    "shares above one": (
        [(("datasets", "digits", "split"), {"train": 0.9})],
        ["datasets.digits.split", "1.2", "allowed: 1"],
    ),
    "unknown study key": ([((*D, "training"), {"batchsize": 3})], ["training", "'batchsize'", "batch_size"]),
    "a perturbation unknown": (
        [((*D, "perturb", 0, "perturbations"), ["blur"])],
        ["perturb.0.perturbations", "'blur'", "flip"],
    ),
    "a type of perturbation unknown": (
        [(("perturbations", "flip"), {"type": "blur"})],
        ["perturbations", "'blur'", "rerandomise"],
    ),
    "an option of a perturbation unknown": (
        [(("perturbations", "flip"), {"type": "flip", "size": 1})],
        ["perturbations", "'size'", "running_mean"],
    ),
    "a size as text": (
        [(("perturbations", "add"), {"type": "add", "size": "large"})],
        ["perturbations", "'size'", "'large'", "float"],
    ),
    "a layer to perturb unknown": (
        [(("perturbations", "flip"), {"type": "flip", "layers": ["conv9"]})],
        ["perturbations.flip.layers", "'conv9'", "conv2"],
    ),
    "neither a grid nor experiments": ([((*D, "grid"), None)], ["definitions.dynamics", "experiments"]),
    "a grid beside experiments": (
        [((*D, "experiments"), {"one": {"grid": tour()["definitions"]["dynamics"]["grid"]}})],
        ["definitions.dynamics", "`experiments` and `grid`"],
    ),
    "a checkpoint that is not kept": (
        [((*D, "checkpoints"), [{"epochs": {"end": 99}}])],
        ["checkpoints.0.epochs", "epoch 99"],
    ),
    "a checkpoint that matches nothing": (
        [((*D, "checkpoints"), [{"match": {"to": {"init": "pretrained"}}}])],
        ["checkpoints.0.match.to", "first"],
    ),
    "checkpoints of neither kind": ([((*D, "checkpoints"), [{}])], ["checkpoints.0", "exactly one"]),
    "nobody to perturb": ([((*D, "perturb", 0, "where", "init"), "default")], ["perturb.0.where.init", "no cell here"]),
    "a state that nobody keeps": ([((*D, "perturb", 0, "state"), "carried")], ["perturb.0.state", "keep_optimizer"]),
    "a kept epoch for the children": ([((*D, "perturb", 0, "take"), 99)], ["perturb.0.take", "epoch 99"]),
    "an init perturbed by nothing known": (
        [(("inits", "odd"), {"perturb": ["blur"]}), ((*D, "grid", "init"), ["odd"])],
        ["inits.odd.perturb", "'blur'", "flip"],
    ),
    "a class left out that is not there": (
        [(("datasets", "digits", "without"), ["11"])],
        ["datasets.digits", "without", "'11'"],
    ),
    "an unknown base": (
        [((*D, "transfer"), {"t": {"base": "letters", "target": "digits"}})],
        ["transfer.t.base", "'letters'"],
    ),
    "more layers than there are": (
        [
            (
                (*D, "transfer"),
                {"t": {"base": "digits", "target": "digits", "depths": [5], "where": {"network": "lenet5"}}},
            )
        ],
        ["transfer.t.depths", "5", "0 to 4"],
    ),
    "fewer outputs than classes": ([(("networks", "lenet5", "outputs"), 5)], ["networks.lenet5.outputs", "5", "10"]),
    "an axis of the children": (
        [((*D, "vary"), {"depth": {"a": {"init": "default"}}})],
        ["vary", "'depth'", "another name"],
    ),
    "groups of classes beyond the last": (
        [(("datasets", "digits", "classes"), {"count": 4, "group": 2})],
        ["datasets.digits", "group 2", "12 of 10"],
    ),
    "an axis twice": (
        [((*D, "vary"), {"init": {"a": {"init": "default"}}})],
        ["vary", "'init'", "another name"],
    ),
}


OUTSIDE = {
    "archive": (
        ("datasets", "digits"),
        {"source": "torchvision", "dataset": "MNIST", "archive": "a/x"},
        "datasets.digits.archive",
    ),
    "file": (("inits", "pretrained"), {"file": "a/x"}, "inits.pretrained.file"),
    "files": (("given",), {"mine": {"network": "lenet5", "files": "a/x"}}, "given.mine.files"),
    "a file of a folder": (("given",), {"mine": {"network": "lenet5", "files": ["b"]}}, "given.mine.files"),
}


@pytest.mark.parametrize("case", OUTSIDE)
@pytest.mark.parametrize("target", ["elsewhere/x", "root/c"])
def test_a_link_out_of_data_root_is_refused_unless_the_config_allows_it(tmp_path, case, target):
    for name in ("elsewhere/x", "root/a/y", "root/b/y", "root/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for link in ("root/a/x", "root/b/x.safetensors"):
        (tmp_path / link).symlink_to(tmp_path / target)
    (tmp_path / "link to the root").symlink_to("root")
    path, value, key = OUTSIDE[case]
    asked = changed((path, value), (("data_root",), str(tmp_path / "link to the root")))

    def refused(config) -> str:
        try:
            outside.check(spec.Config.model_validate(config))
        except ConfigError as error:
            return str(error)
        return ""

    line = refused(asked)
    assert bool(line) == (target == "elsewhere/x")
    if line:
        name = "b/x.safetensors" if case == "a file of a folder" else "a/x"
        assert line.startswith(f"{key}: {name!r} is a link that leads out of data_root, to {tmp_path}/elsewhere/x; put")
        assert "\n" not in line
        with pytest.raises(ConfigError, match="leads out of data_root"):
            study.Plan(asked, tmp_path)
    assert refused(asked | {"outside_data_root": True}) == ""


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_wrong_config_is_refused_in_one_line(case):
    changes, words = WRONG[case]
    with pytest.raises(checks.ConfigError) as found:
        plan(*changes)
    message = str(found.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_the_tour_plans_without_torch():
    lines = (
        "import sys, yaml; from weight_atlas.plan import study, outcome; "
        "plan = study.Plan(yaml.safe_load(open('config/config.yaml'))); print(outcome.table(plan, {})); "
        "print({'torch', 'torchvision', 'pandas', 'matplotlib', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=ROOT,
        env={"PYTHONPATH": "scripts"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_grid_is_the_product_and_sources_stand_apart():
    found = plan()
    grid = [entry for entry in found.entries if entry.role == "grid"]
    assert len(grid) == 1 * 2 * 3 * 2
    sources = [entry for entry in found.entries if entry.role == "source"]
    assert {entry.labels["network"] for entry in sources} == {"lenet5", "resnet18-quarter"}
    assert {found.cells[e.cell_id].parent for e in grid if e.labels["init"] == "pretrained"} == {
        e.cell_id for e in sources
    }
    order = list(found.cells)
    assert all(order.index(cell.parent) < order.index(name) for name, cell in found.cells.items() if cell.parent)


def test_exclude_and_adjust_and_vary():
    found = plan(((*D, "exclude"), [{"network": "lenet5", "init": ["pretrained", "kaiming_normal"]}]))
    assert sum(e.role == "grid" for e in found.entries) == 12 - 4
    adjusted = plan(
        ((*D, "adjust"), [{"where": {"optimizer": "adam"}, "set": {"lr": 1e-4}, "training": {"epochs": 2}}])
    )
    for entry in adjusted.entries:
        training = adjusted.cells[entry.cell_id].settings.json["training"]
        expected = (1e-4, 2) if entry.labels["optimizer"] == "adam" else (0.02, 8)
        assert (training["optimizer"]["lr"], training["epochs"]) == expected
    levels = {"small": {"training": {"batch_size": 8}}, "large": {"training": {"batch_size": 256}, "set": {"lr": 0.5}}}
    varied = plan(((*D, "vary"), {"batch": levels}))
    assert sum(e.role == "grid" for e in varied.entries) == 24
    by_level = {
        e.labels["batch"]: varied.cells[e.cell_id].settings.json["training"] for e in varied.entries if e.role == "grid"
    }
    assert by_level["large"]["batch_size"] == 256 and by_level["large"]["optimizer"]["lr"] == 0.5


def ids(*changes):
    return set(plan(*changes).cells)


@pytest.mark.parametrize(
    "changes",
    [
        [(("title",), "Another"), (("text",), "words")],
        [(("datasets", "digits", "title"), "Scans")],
        [((*D, "title"), "Motion")],
        [(("device",), "auto"), (("failures",), "stop")],
        [(("replicates",), 5), (("replicates_per_job",), 1)],
        [(("optimizers", "sgd", "nesterov"), False)],
        [(("optimizers", "adam", "betas"), [0.9, 0.999])],
        [(("training", "schedule"), {"type": "constant"})],
        [(("networks", "resnet18-quarter", "stem"), "imagenet")],
        [(("name",), "other")],
    ],
)
def test_labels_resources_and_defaults_do_not_change_a_cell(changes):
    assert ids(*changes) == ids()


def test_a_label_renamed_does_not_change_a_cell():
    config = tour()
    config["networks"]["small"] = config["networks"].pop("lenet5") | {"architecture": "lenet5"}
    config["definitions"]["dynamics"]["grid"]["network"][0] = "small"
    config["optimizers"]["descent"] = config["optimizers"].pop("sgd")
    config["definitions"]["dynamics"]["grid"]["optimizer"][0] = "descent"
    config["sources"]["digits-0-4"]["optimizer"] = "descent"
    for part in config["definitions"]["dynamics"]["perturb"]:
        part["where"] |= {"optimizer": "descent"} | (
            {"network": "small"} if part["where"]["network"] == "lenet5" else {}
        )
    assert set(study.Plan(config, Path("nowhere")).cells) == ids()


@pytest.mark.parametrize(
    "changes",
    [
        [(("training", "batch_size"), 32)],
        [(("datasets", "digits", "seed"), 1), (("datasets", "digits-0-4", "seed"), 1)],
        [(("networks", "lenet5", "threads"), 2), (("networks", "resnet18-quarter", "threads"), 2)],
        [(("training", "augment"), {"flip": True})],
        [(("training", "schedule"), {"type": "cosine"})],
        [(("training", "precision"), "bfloat16")],
        [(("training", "snapshots"), "ends")],
    ],
)
def test_what_changes_the_result_changes_every_cell(changes):
    assert not ids(*changes) & ids()


def test_one_learning_rate_changes_its_cells_and_their_children_alone():
    before, after = plan(), plan((("optimizers", "adam", "lr"), 0.002))
    kept = set(before.cells) & set(after.cells)
    assert {before.cells[c].settings.json["training"]["optimizer"]["type"] for c in kept} == {"sgd"}
    assert len(kept) == 6 + 2 + 7 + 2
    moved = plan((("sources", "digits-0-4", "training"), {"epochs": 2}))
    lost = set(before.cells) - set(moved.cells)
    assert {before.cells[c].settings.json["start"]["kind"] for c in lost} == {"init", "parent"}
    assert len(lost) == 2 + 4


def test_ids_are_readable_unique_and_safe():
    for cell_id in ids():
        assert re.fullmatch(r"(base|perturb)-digits-(lenet5|resnet18)-[a-z_-]+-(sgd|adam)-[0-9a-f]{10}", cell_id)
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1}) != digest({"a": 2, "b": 2})
    assert slug("A b/c", "$(x)") == "a-b-c-x"


def test_blocks_cover_every_seed_once_and_keep_what_is_finished():
    assert blocks.cover(3, 3, []) == [(0, 2)]
    assert blocks.cover(5, 3, [(0, 2)]) == [(0, 2), (3, 4)]
    assert blocks.cover(3, 3, [(0, 4)]) == [(0, 4)]
    assert blocks.cover(7, 2, [(3, 4)]) == [(0, 1), (2, 2), (3, 4), (5, 6)]
    for replicates, per_job in itertools.product(range(1, 9), range(1, 5)):
        first = blocks.cover(replicates, per_job, [])
        assert [s for a, b in first for s in range(a, b + 1)] == list(range(replicates))
        # Whatever part of it is finished, the rest keeps its shape: a job started elsewhere plans the same blocks.
        for count in range(len(first) + 1):
            for finished in itertools.combinations(first, count):
                assert blocks.cover(replicates, per_job, sorted(finished)) == first


def test_more_replicates_train_only_the_new_ones(tmp_path):
    for cell_id in plan().cells:
        done = tmp_path / "results/cells" / cell_id / "seeds_0-2"
        done.mkdir(parents=True)
        (done / "run.json").touch()
    more = plan((("replicates",), 5), root=tmp_path)
    assert all(found == [(0, 2), (3, 4)] for found in more.blocks.values())


def test_the_closure_of_the_trainer_leaves_out_what_it_does_not_need():
    trainer = code.closure(recipe.TRAINING, "weight_atlas/networks/architectures/lenet5.py")
    assert {
        "weight_atlas/training/block.py",
        "weight_atlas/training/engine.py",
        "weight_atlas/networks/table.py",
        "weight_atlas/networks/architectures/lenet5.py",
    } <= set(trainer)
    assert not [file for file in trainer if "/plan/" in file or "/reporting/" in file or "/analysis/" in file]
    assert "weight_atlas/networks/architectures/resnet18.py" not in trainer
    assert "weight_atlas/networks/architectures/_vgg.py" in code.closure("weight_atlas/networks/architectures/vgg19.py")
    for command in ("render.py", "collect.py", "measure.py"):
        assert not [file for file in code.closure(command) if "/training/" in file]
    drawn = {file for file in code.closure("draw.py") if "/training/" in file}
    assert drawn == {"weight_atlas/training/__init__.py", "weight_atlas/training/augment.py"}, (
        "examples of changed images"
    )
    assert "weight_atlas/analysis/prune_snapshots.py" in code.closure(
        "prune_snapshots.py"
    ) and "prune_snapshots.py" not in code.closure("measure.py", "train.py")


def test_cost_grows_with_the_work_and_a_cpu_asks_for_no_gpu():
    found = plan()
    by_network = {cell.architecture: cell for cell in found.cells.values() if cell.kind == "base"}
    small, large = cost.need(by_network["lenet5"], 3, "cpu"), cost.need(by_network["resnet18"], 3, "cpu")
    assert large.seconds > small.seconds > cost.need(by_network["lenet5"], 1, "cpu").seconds
    table = by_network["resnet18"].table
    tensors = 9 * 4 * (table.parameter_count + table.buffer_count) + table.parameter_count  # and what `track` records
    assert 0 < large.disk_bytes - 3 * tensors < 0.02 * large.disk_bytes, "`best` is another name of one of the nine"
    assert small.gpu == 0 and cost.need(by_network["lenet5"], 3, "cuda").gpu == 1


def test_a_batch_larger_than_the_training_split_needs_no_more_memory_than_that_split():
    def memory(batch_size):
        found = plan((("datasets", "digits", "per_class"), {"train": 25}), (("training", "batch_size"), batch_size))
        grid = [entry.cell_id for entry in found.entries if entry.role == "grid"]
        return [cost.need(found.cells[cell_id], 3, "cpu").mem_mb for cell_id in grid]

    assert memory(100_000) == memory(250) > memory(25)


def test_every_default_is_allowed_where_it_stands():
    """A config that writes out every default is the same config."""
    full = spec.Config.model_validate(tour()).model_dump(mode="json")
    assert set(study.Plan(full, Path("nowhere")).cells) == ids()


def test_the_longest_chain_comes_first():
    found = plan()
    seconds = {cell_id: cost.need(cell, 1, "cpu").seconds for cell_id, cell in found.cells.items()}
    urgency = cost.urgency(found.cells, "cpu")
    children = {cell_id: [c for c, cell in found.cells.items() if cell.parent == cell_id] for cell_id in found.cells}
    for cell_id, value in urgency.items():
        assert value == seconds[cell_id] + max((seconds[child] for child in children[cell_id]), default=0)
    assert sum(bool(own) for own in children.values()) == 2 + 2


def test_experiments_are_grids_of_their_own_with_a_label():
    grid = tour()["definitions"]["dynamics"]["grid"]
    small = grid | {"network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]}
    rates = {"slow": {"set": {"lr": 0.001}}, "fast": {"set": {"lr": 0.1}}}
    config = tour() | {
        "definitions": {
            "two": {
                "training": {"epochs": 3},
                "experiments": {
                    "rates": {"grid": small, "vary": {"rate": rates | {"plain": {}}}},
                    "long": {"grid": small, "training": {"epochs": 5}},
                    "again": {"grid": small},
                },
            }
        }
    }
    found = study.Plan(config, Path("nowhere"))
    assert [(e.labels["experiment"], e.labels.get("rate")) for e in found.entries] == [
        ("rates", "slow"),
        ("rates", "fast"),
        ("rates", "plain"),
        ("long", None),
        ("again", None),
    ]
    assert len(found.cells) == 4, "the same cell in two experiments is one cell"
    assert [found.cells[e.cell_id].settings.json["training"]["epochs"] for e in found.entries] == [3, 3, 3, 5, 3]


def convnets(tmp_path, **changes):
    """The plan of config/convnets.yaml, and what may stand in for its data where it is asked."""
    config = yaml.safe_load((ROOT / "config/convnets.yaml").read_text())
    return study.Plan(config | {"data_root": str(tmp_path)} | changes, tmp_path)


def test_one_experiment_is_planned_with_what_it_starts_from_and_stops_for_no_other_data(tmp_path):
    pictures(tmp_path)
    whole = convnets(tmp_path)
    shutil.rmtree(tmp_path / "256_ObjectCategories")
    with pytest.raises(ConfigError, match="256_ObjectCategories"):
        convnets(tmp_path)
    found = convnets(tmp_path, studies="convnets.path")
    assert found.config.asked == ["convnets"] and [one.name for one in found.experiments] == ["path"]
    assert found.entries == [entry for entry in whole.entries if entry.labels.get("experiment") == "path"]
    both = convnets(tmp_path, studies=["convnets.rates", "convnets.path"])
    assert {entry.labels["experiment"] for entry in both.entries} == {"rates", "path"}
    for studies in (["convnets.path", "convnets"], "convnets,convnets.path", "all"):
        with pytest.raises(ConfigError, match="256_ObjectCategories"):
            convnets(tmp_path, studies=studies)
    for name, hint in {"convnets.pth": "did you mean 'convnets.path'", "convnet.path": "convnets"}.items():
        with pytest.raises(ConfigError, match=f"studies: '{name}' is not defined; .*{hint}"):
            convnets(tmp_path, studies=name)


def test_a_plan_without_its_data_lists_the_same_cells_and_says_what_it_cannot_know(tmp_path):
    pictures(tmp_path)
    config = yaml.safe_load((ROOT / "config/convnets.yaml").read_text()) | {"data_root": str(tmp_path)}
    whole = study.Plan(config, tmp_path)
    folder = tmp_path / "256_ObjectCategories"
    shutil.rmtree(folder)
    found = study.Plan(config, tmp_path, absent=True)
    assert found.entries == whole.entries and found.replicates == whole.replicates and found.blocks == whole.blocks
    assert [data.label for data in found.absent] == ["Caltech-256"] and whole.absent == []
    again = outdated.outdated(found)
    before, lines = (
        outcome.table(whole, outdated.outdated(whole)).splitlines(),
        outcome.table(found, again).splitlines(),
    )
    for old, new in zip(before, lines, strict=True):
        if "Caltech-256 x " in old:
            assert (
                re.search(r" \? parameters +\d+ epochs +\? MB +\?  base-", new) and new.split()[-1] == old.split()[-1]
            )
        elif not old.startswith(("time", "disk", "measures", " " * 10, "GPU")):
            assert new == old
    text, jobs = "\n".join(lines), len(outcome.trained(whole))
    assert f"{jobs} training jobs to do" in text and "without 3 cells whose data are not at hand" in text
    assert re.search(
        rf"about .+ for {jobs - 3 * whole.config.replicates} of them, whose data are at hand, on ",
        outcome.before(found, again),
    )
    [line] = [line for line in data_lines.found(found) if "Caltech-256" in line]
    assert "is not at hand" in line and "time, memory and disk of its cells, are not known" in line and "\n" not in line
    assert f"{folder} is not there yet; a run downloads it before it plans" in line
    with pytest.raises(ConfigError, match="256_ObjectCategories is not there yet; a run downloads it before it plans"):
        study.Plan(config, tmp_path)
    del config["datasets"]["Caltech-256"]["download"]
    with pytest.raises(ConfigError, match=f"256_ObjectCategories not found .data_root is {tmp_path}."):
        study.Plan(config, tmp_path)


def test_published_numbers_stand_for_images_that_are_not_at_hand(tmp_path):
    known = {"source": "torchvision", "dataset": "MNIST"}
    grid = {"dataset": ["MNIST"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]}
    config = tour() | {"datasets": {"MNIST": known}, "definitions": {"s": {"grid": grid}}, "data_root": str(tmp_path)}
    for key in ("sources", "inits"):
        del config[key]
    at_hand = study.Plan(config, tmp_path)  # torchvision would download it
    config["datasets"] = {"MNIST": known | {"download": False}}
    with pytest.raises(ConfigError, match="not found"):
        study.Plan(config, tmp_path)
    found = study.Plan(config, tmp_path, absent=True)
    assert outcome.table(found, {}) == outcome.table(at_hand, {}) and "?" not in outcome.table(found, {})
    [line] = data_lines.warnings(found)
    assert "its published numbers are shown, but: " in line and "MNIST/raw" in line


def test_a_start_from_data_that_are_not_at_hand_is_planned(tmp_path):
    """Their size is not known, so that nobody can say whether the weights fit."""
    config = tour()
    config["datasets"]["digits-0-4"] = {"source": "folder", "path": "mine"}
    config["data_root"] = str(tmp_path)
    found = study.Plan(config, tmp_path, absent=True)
    assert [data.label for data in found.absent] == ["digits-0-4"]
    assert found.entries and "for " in outcome.before(found, outdated.outdated(found))


def test_an_experiment_brings_its_sources():
    grid = tour()["definitions"]["dynamics"]["grid"]
    small = grid | {"network": ["lenet5"], "optimizer": ["sgd"]}
    parts = {"plain": {"grid": small | {"init": ["default"]}}, "later": {"grid": small | {"init": ["pretrained"]}}}
    config = tour() | {"definitions": {"two": {"experiments": parts}}}
    roles = {part: study.Plan(config | {"studies": f"two.{part}"}, Path("nowhere")).entries for part in parts}
    assert [[entry.role for entry in entries] for entries in roles.values()] == [["grid"], ["source", "grid"]]


def test_the_cells_of_the_documents_alone():
    """The same cells, with the same ids, less those apart; sources and controls stay."""
    for name in ("dynamics", "transferability", "config"):
        config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
        whole, found = (study.Plan(config | {"cells": cells}, Path("nowhere")) for cells in ("all", "document"))
        kept = [entry for entry in whole.entries if not entry.beyond and entry.role != "extra"]
        assert found.entries == kept != whole.entries, name
        assert {entry.role for entry in kept} >= ({"source", "control"} if name == "dynamics" else {"transfer"})


def test_a_study_with_no_cell_of_the_document_is_not_asked_for():
    grid = tour()["definitions"]["dynamics"]["grid"]
    more = {"grid": grid | {"init": ["default"]}, "beyond": [{"init": "default"}]}
    config = tour() | {"definitions": {"own": {"grid": grid}, "more": more}}
    whole, found = (study.Plan(config | {"cells": cells}, Path("nowhere")) for cells in ("all", "document"))
    assert whole.asked == ["own", "more"] and found.asked == ["own"] == found.resolved["asked"]
    assert [experiment.study for experiment in found.experiments] == ["own"]
    assert [name for name in ("own", "more") if f"study {name}" in outcome.table(found, {})] == ["own"]


def test_what_starts_from_a_cell_beyond_the_document_is_left_out_with_it():
    config = tour()
    part = config["definitions"]["dynamics"] | {"beyond": [{"network": "lenet5"}]}
    part |= {"perturb": [{"perturbations": ["flip"], "where": {"network": ["lenet5"]}}]}
    whole, found = (
        study.Plan(config | {"definitions": {"dynamics": part}, "cells": cells}, Path("nowhere"))
        for cells in ("all", "document")
    )
    assert {entry.labels["network"] for entry in whole.entries if entry.role == "perturbed"} == {"lenet5"}
    assert found.entries and all(entry.role in ("grid", "source") for entry in found.entries)
    assert "lenet5" not in {entry.labels["network"] for entry in found.entries if entry.role == "grid"}


def test_the_document_of_study_002_has_162_or_126_trainings():
    for name, expected in {"dynamics": (54, 108), "dynamics-126": (54, 72)}.items():
        found = study.Plan(yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()), Path("nowhere"))
        roles = [entry.role for entry in found.entries if not entry.beyond]
        assert (roles.count("grid"), roles.count("perturbed")) == expected
        assert len(set(found.cells)) == len(found.entries)
        assert roles.count("control") == expected[1], "one in the same order and one in another for each parent"
        beyond = [entry for entry in found.entries if entry.beyond]
        tables = {(e.labels["network"], e.labels["dataset"]): found.cells[e.cell_id].table for e in beyond}
        sizes = {labels: table.parameter_count for labels, table in tables.items()}
        assert len(beyond) == 12 and sizes["lenet1", "MNIST"] == 3246 and sizes["lenet1", "CIFAR-10"] == 4526
        assert sizes["resnet18-cifar", "CIFAR-10"] == 11_173_962
        assert not {entry.cell_id for entry in beyond} & {cell.parent for cell in found.cells.values()}
        text = outcome.table(found, {})
        assert f"= {sum(expected)} trainings a replicate; apart: " in text
        assert "12 cells beyond the document's" in text
    one, other = (yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for name in ("dynamics", "dynamics-126"))
    where = one["definitions"]["dynamics"]["perturb"]["where"] | {"init": ["kaiming_uniform", "kaiming_normal"]}
    assert other["definitions"]["dynamics"]["perturb"].pop("where") == where
    del one["definitions"]["dynamics"]["perturb"]["where"]
    assert {key for key in one if one[key] != other[key]} == {"name", "title"}


def test_the_variants_of_study_002_share_their_originals_with_it():
    one, other = (
        study.Plan(yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()), Path("nowhere"))
        for name in ("variants", "dynamics")
    )
    perturbed = [entry for entry in one.entries if entry.role == "perturbed"]
    assert {one.cells[entry.cell_id].parent for entry in perturbed} <= set(other.cells)
    sizes = [one.cells[entry.cell_id].table for entry in one.entries if entry.study == "sizes"]
    shares = [sum(map(table.padding_weight_count, table.layers)) / table.parameter_count for table in sizes]
    assert shares == [pytest.approx(0.6213, abs=1e-4), 0, 0], "of ResNet18 at 32, 64 and 224 pixels"
    channels = {
        e.labels["init"]: one.cells[e.cell_id].settings.input.channels
        for e in one.entries
        if e.study == "imagenet-on-grey"
    }
    assert channels == {"repeated": 3, "summed": 1}


def test_the_document_of_study_001_has_76_networks():
    found = study.Plan(yaml.safe_load((ROOT / "config/transferability.yaml").read_text()), Path("nowhere"))
    own = [entry for entry in found.entries if entry.study == "transferability"]
    count = {role: len({e.cell_id for e in own if e.role == role}) for role in ("grid", "transfer", "extra")}
    assert count["grid"] == 5 + 1 and count["transfer"] == 10 + 10 + 40 + 10 and count["extra"] > 0
    assert "6 cells in the grid + 70 transfers = 76 trainings a replicate; apart:" in outcome.table(found, {})
    for entry in own:
        if entry.role == "transfer":
            cell = found.cells[entry.cell_id]
            base = found.cells[cell.parent]
            depth = int(entry.labels["depth"])
            assert cell.settings.start.layers == depth == cell.settings.training.stages[0].frozen
            if entry.labels["base"] != entry.labels["dataset"]:
                assert not set(base.data.spec["classes"]) & set(cell.data.spec["classes"])


def pictures(root):
    """Folders that stand for CINIC-10 and Caltech-256."""
    for split in ("train", "valid", "test"):
        for name in ("airplane", "ship"):
            (root / "CINIC-10" / split / name).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(root / "CINIC-10" / split / name / "1.png")
    for name in ("001.ak47", "002.american-flag", "257.clutter"):
        (root / "256_ObjectCategories" / name).mkdir(parents=True)
        for number in range(60):
            Image.new("RGB", (40, 30)).save(root / "256_ObjectCategories" / name / f"{number}.png")


def experiments(name, root):
    """{experiment: its cells} of the config's study of that name, which has several."""
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) | {"data_root": str(root)}
    found, cells = study.Plan(config, root), {}
    for entry in found.entries:
        if entry.study == name:
            cells.setdefault(entry.labels["experiment"], []).append((entry.labels, found.cells[entry.cell_id]))
    return cells


def test_without_imagenet_the_same_protocols_start_from_cifar_100(tmp_path):
    """Every other setting is that of the study with ImageNet's weights; no cell of that is trained in another way."""
    pictures(tmp_path)
    for name, init in {"vgg22": "preload", "convnets": "imagenet"}.items():
        config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) | {"data_root": str(tmp_path)}
        found = study.Plan(config, tmp_path)
        there = {(e.study, e.labels["init"], e.labels.get("features")): found.cells[e.cell_id] for e in found.entries}
        few = [(key, cell) for key, cell in there.items() if key[:2] == ("without-imagenet", "from-cifar-100")]
        assert len(few) == {"vgg22": 1, "convnets": 3}[name]
        for (_, _, features), cell in few:
            assert found.cells[cell.parent].data.label == "CIFAR-100" and cell.data.dataset_id.startswith("cifar10-")
            assert cell.settings.training == there[name, init, features].settings.training
    assert few[0][1].data.facts["counts"] == {"train": 320, "valid": 40, "test": 80}


def test_checkpoints_of_equal_accuracy_are_of_the_same_cells():
    found = study.Plan(yaml.safe_load((ROOT / "config/vgg22.yaml").read_text()), Path("nowhere"))
    given, equal = (
        {e.labels["init"]: e for e in found.entries if e.study == name} for name in ("vgg22", "equal-accuracy")
    )
    assert {e.cell_id for e in given.values()} == {e.cell_id for e in equal.values()}
    assert given["preload"].checkpoints == equal["preload"].checkpoints == equal["custom"].checkpoints["epochs"]
    assert equal["custom"].checkpoints["match"] == given["preload"].cell_id


def test_the_experiments_of_study_003(tmp_path):
    pictures(tmp_path)
    found = experiments("convnets", tmp_path)
    assert {name: len(cells) for name, cells in found.items()} == {
        "rates": 5,
        "momentum": 7,
        "path": 18,
        "last-layer": 3,
        "filters": 3,
    }
    rates = [cell.settings.json["training"]["optimizer"]["lr"] for _, cell in found["rates"]]
    assert rates == [0.1, 0.01, 0.001, 0.0001, 0.00001]
    assert [cell.settings.json["training"]["optimizer"]["momentum"] for _, cell in found["momentum"]][-2:] == [1.0, 1.2]
    for labels, cell in found["last-layer"]:
        assert {"mean": cell.settings.input.mean, "std": cell.settings.input.std} == IMAGENET
        assert cell.data.facts["classes"] == ["001.ak47", "002.american-flag"], "the clutter class is left out"
        assert cell.data.facts["counts"] == {"train": 64, "valid": 8, "test": 16}
        frozen = cell.settings.json["training"]["stages"][0]["frozen"]
        assert len(cell.table.weight_layers) - frozen == {"all": 1}.get(labels["features"], 2)
    steps = {labels["step"]: cell.settings for labels, cell in found["path"]}
    for step, options in {
        "kernel-3": {"kernel": 3},
        "pool-average": {"pool": "average"},
        "pool-stride": {"pool": "stride"},
    }.items():
        assert steps[step].network.options == steps["adam"].network.options | options
        assert steps[step].json["training"] == steps["adam"].json["training"]
    assert steps["flips"].training.augment.flip and not steps["adam"].training.augment.flip
    nesterov, plain = (steps[step].json["training"]["optimizer"] for step in ("nesterov", "tutorial"))
    assert nesterov == plain | {"nesterov": True}
    batches = {labels["step"]: cell.settings.json["training"]["batch_size"] for labels, cell in found["path"]}
    assert {step for step, size in batches.items() if size == 125} == {"B", "B-no-bn", "B-sgd", "C"}


def test_the_experiments_of_study_004(tmp_path):
    pictures(tmp_path)
    found = experiments("cinic", tmp_path)
    assert {name: len(cells) for name, cells in found.items()} == {
        "handmade": 1,
        "blocks": 12,
        "penalty": 27,
        "augmentation": 7,
        "transfer": 1,
    }
    options = {
        (labels["block-count"], labels["kernel"]): cell.settings.json["network"]["options"]
        for labels, cell in found["blocks"]
    }
    assert all((str(own["blocks"]), str(own["kernel"])) == key for key, own in options.items()) and len(options) == 12
    assert {cell.settings.json["network"]["architecture"] for _, cell in found["blocks"]} == {"handmade_resnet"}
    images = [cell.settings.input for cells in found.values() for _, cell in cells]
    assert all({"mean": one.mean, "std": one.std} == UNCHANGED for one in images), "scaled to [0, 1] and no more"
    for labels, cell in found["penalty"]:
        penalty, own = cell.settings.json["training"]["penalty"], cell.settings.json["network"]["options"]
        assert (str(penalty["alpha"]), f"{penalty['weight']:g}") == (labels["alpha"], labels["lambda"])
        assert str(own["dropout"]) == labels["dropout"] and (own["blocks"], own["kernel"]) == (3, 3)
    copies = {
        labels["augmentation"]: cell.settings.json["training"].get("copies") for labels, cell in found["augmentation"]
    }
    assert copies["none"] is None and len({len(copy) for name, copy in copies.items() if name != "none"}) == 1
    ((_, cell),) = found["transfer"]
    assert [stage["frozen"] for stage in cell.settings.json["training"]["stages"]] == [16, 0]
    assert cell.settings.json["start"]["layers"] == ["features"] and cell.table.parameter_count == 20_817_482 - 8 * 513


def test_the_tour_keeps_to_its_shares_of_processes_with_torch():
    """benchmarks/README.md gives each study a share of 60; a cell that two studies share counts for the first."""
    found = study.Plan(yaml.safe_load((ROOT / "config/config.yaml").read_text()), Path("nowhere"))
    page = (ROOT / "benchmarks/README.md").read_text().split("## The tour, by study")[1].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (\w+) \| (\d+) \| \d+ \| \d+ \|", page, re.M))
    seen, counts = set(), {}
    for entry in found.entries:
        processes = {(entry.cell_id, block) for block in found.blocks[entry.cell_id]}
        processes |= {found.group(entry.cell_id)} if entry.role != "source" else set()
        counts[entry.study] = counts.get(entry.study, 0) + len(processes - seen)
        seen |= processes
    assert counts == {name: int(share) for name, share in rows.items()} and sum(counts.values()) <= 60
    assert sum(counts.values()) == sum(map(len, found.blocks.values())) + len(found.groups)


def kept_of(keep, **changes):
    """{label of the cell's optimizer and perturbation: what stays of it} of a study of two cells, one perturbed."""
    grid = {"dataset": ["digits"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd", "adam"]}
    perturb = {"perturbations": ["flip"], "take": 3, "where": {"optimizer": "sgd"}, "controls": []}
    one = {"grid": grid, "perturb": perturb, "keep": keep} | changes
    found = study.Plan(tour() | {"definitions": {"one": one}}, Path("nowhere"))
    return {(e.labels["optimizer"], e.role): found.kept[e.cell_id] for e in found.entries}


def test_what_stays_of_a_cell():
    grid, others, child = ("sgd", "grid"), ("adam", "grid"), ("sgd", "perturbed")
    assert kept_of("all") == {grid: "all", others: "all", child: "all"}
    assert kept_of("ends") == {grid: [3], others: [], child: []}, "its child takes epoch 3"
    rules = [
        {"where": {"optimizer": "sgd"}, "epochs": {"start": 0, "middle": 5, "end": 8}},
        {"match": {"to": {"optimizer": "sgd"}}},
    ]
    assert kept_of("checkpoints", checkpoints=rules) == {grid: [3, 5, 8], others: "all", child: []}
    with pytest.raises(checks.ConfigError, match="definitions.one: has `checkpoints` and `keep: ends`; allowed: keep"):
        kept_of("ends", checkpoints=rules)


def test_of_a_cell_of_two_studies_the_most_stays_and_no_id_changes():
    grid = {"dataset": ["digits"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd", "adam"]}
    few = {"grid": grid, "keep": "ends"}
    some = {"grid": grid | {"optimizer": ["sgd"]}, "keep": "checkpoints", "checkpoints": [{"epochs": {"middle": 4}}]}
    every = {"grid": grid | {"optimizer": ["adam"]}}
    two = {"few": few, "some": some, "every": every}
    found = study.Plan(tour() | {"definitions": two}, Path("nowhere"))
    by_name = {e.labels["optimizer"]: found.kept[e.cell_id] for e in found.entries}
    assert by_name == {"sgd": [4], "adam": "all"}
    plain = study.Plan(tour() | {"definitions": {"few": {"grid": grid}}}, Path("nowhere"))
    assert set(plain.cells) == set(found.cells)
    assert ids(((*D, "keep"), "ends")) == ids()


def test_the_full_study_of_dynamics_takes_less_than_100_gb_a_replicate():
    config = yaml.safe_load((ROOT / "config/dynamics.yaml").read_text()) | {"replicates": 1}
    found = study.Plan(config, Path("nowhere"))
    blocks_of_all = [study.block_path(cell_id, block) for cell_id, block in outcome.trained(found)]
    table = outcome.table(found, blocks_of_all)
    told = re.search(r"^disk +about ([\d.]+) GB of snapshots, and up to ([\d.]+) GB more", table, re.M)
    assert 80 < float(told[1]) < 100 and float(told[2]) < 5
    config["definitions"]["dynamics"].pop("keep")
    assert outcome.disk_bytes(study.Plan(config, Path("nowhere"))) > 180e9


# ------------------------------------------------------------------------------------------------------------- measures


def test_measures_that_are_asked_for_add_up_and_change_no_cell():
    plain, asked = (
        plan(((*D, "measure"), [])),
        plan((("measure",), ["spectra"]), ((*D, "measure"), ["filters", "spectra"])),
    )
    assert asked.cells.keys() == plain.cells.keys() and not any(row["measure"] for row in plain.rows())
    measures = {(row["role"] == "source", row["measure"]) for row in asked.rows()}
    assert measures == {(False, "spectra;filters"), (True, "")}  # sources are not measured


def test_another_measure_takes_its_own_groups_again_alone():
    """By the key alone: what studies, experiments, axes and levels are called does not count."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    layouts = []
    for extra in ([], ["filters"]):
        convnets = config["definitions"]["convnets"]
        parts = {f"part-{number}": part for number, part in enumerate(convnets["experiments"].values())}
        parts["part-3"] = parts["part-3"] | {"measure": extra}
        definitions = {"other": convnets | {"experiments": parts, "document": None}}
        made = study.Plan(config | {"definitions": definitions}, Path("nowhere"))
        wildcards = {group: SimpleNamespace(group=group) for group in made.groups}
        layouts.append({group: jobs.Jobs(made, "scripts").group_layout(each) for group, each in wildcards.items()})
    changed_groups = {group for group in layouts[0] if layouts[0][group] != layouts[1][group]}
    assert len(changed_groups) == 1 and "vgg16" in changed_groups.pop() and len(layouts[0]) > 1


def test_a_cell_says_what_its_level_is_compared_with_where_there_are_many():
    """Of 8 batch sizes: the reference, and the one before by number; nothing of the two optimizers."""
    sizes = ["4", "128", "64", "32", "16", "8", "256", "2"]
    vary = {"batch": {f"size-{size}": {"training": {"batch_size": int(size)}} for size in sizes}}
    made = plan(((*D, "vary"), vary), ((*D, "reference"), {"batch": "size-16"}), ((*D, "perturb"), []))
    against = {row["batch"]: row["against"] for row in made.rows() if row["role"] == "grid"}
    assert json.loads(against["size-64"]) == {"batch": ["size-16", "size-32"]}
    assert json.loads(against["size-16"]) == {"batch": ["size-8"]}
    assert json.loads(against["size-2"]) == {"batch": ["size-16"]}
    found = {(one.level_a, one.level_b) for one in pairs.contrasts(made.listed) if one.factor == "batch"}
    assert {("size-16", "size-2"), ("size-64", "size-32")} < found
    assert not any(row["against"] for row in plan().rows())


def test_trainings_on_gpus_share_as_many_as_snakemake_is_told(tmp_path, monkeypatch):
    """`--resources gpu=N`, and neither cores nor threads; without it, and on a processor, the cores."""
    monkeypatch.chdir(tmp_path)  # nothing was trained here before
    found = study.Plan(tour() | {"device": "cuda"})
    jobs = outcome.trained(found)
    needs = [cost.need(found.cells[cell], last - first + 1, "cuda") for cell, (first, last) in jobs]
    seconds = [need.seconds - cost.START + pace.FORKED for need in needs]
    for gpu in (1, 4, len(jobs) + 1):
        assert outcome.wall_seconds(found, jobs, gpu) == pytest.approx(max(max(seconds), sum(seconds) / gpu))
    again = [study.block_path(*job) for job in jobs]
    assert outcome.before(found, again, 4).endswith(f"about {outcome.spoken(sum(seconds) / 4)} with 4 jobs at a time")
    assert re.search(r"^time +about .+ with 4 jobs at a time to train", outcome.table(found, again, None, 4), re.M)
    here = study.Plan(tour() | {"device": "cpu"})
    assert outcome.before(here, again, 4) == outcome.before(here, again)
    assert outcome.before(here, again).endswith(f" on {os.cpu_count()} cores")
