"""Files of results and data that are not what they were: each is refused in one line, whose remedy mends it."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import blocks
import pytest

from tests.conftest import tiny
from weight_atlas import records, store
from weight_atlas.datasets.card import read as read_card
from weight_atlas.datasets.prepare import prepare_dataset
from weight_atlas.plan import outcome, outdated, progress, recipe, study
from weight_atlas.training import launcher

DEEP = "[" * 100_000
# What any JSON file may have become, and what the line says of it.
SPOILED = {
    "nothing": (b"", "Expecting value.*"),
    "half of it": (b'{"cell_id": "ba', "Unterminated string.*"),
    "NULs": (bytes(4096), "Expecting value.*"),
    "random bytes": (b"\x93\xff\x00\xd8" * 100, "'utf-8' codec can't decode.*"),
    "UTF-16": ("{}".encode("utf-16"), "'utf-8' codec can't decode.*"),
    "deep": (DEEP.encode(), "nested too deeply"),
    "deep objects": (b'{"a":' * 100_000, "nested too deeply"),
    "not a number": (b'{"epochs": NaN}', "NaN is no finite number"),
    "infinity": (b'{"epochs": -Infinity}', "-Infinity is no finite number"),
    "beyond any float": (b'{"epochs": 1e999}', "1e999 is no finite number"),
    "10^5000": (b'{"epochs": 1' + b"0" * 5000 + b"}", "Exceeds the limit.*"),
    "a folder": ("folder", "no regular file"),
    "a pipe": ("pipe", "no regular file"),
}
# Other JSON than a record.
OTHERS = {
    "null": (None, "None is no JSON object"),
    "a list": ([1, 2], r"\[1, 2\] is no JSON object"),
    "a text": ("run", "'run' is no JSON object"),
    "an empty object": ({}, "cell_id is missing"),
}


def _machine(run: dict, **changed) -> None:
    run["replicates"][0]["machine"].update(changed)


# Changes to a good run.json, and what the line says of them.
RECORDS = {
    "no replicates": (lambda run: run.pop("replicates"), "replicates is missing"),
    "replicates by name": (lambda run: run.update(replicates={}), r"replicates is \{\}"),
    "another cell": (lambda run: run.update(cell_id="base-other"), "cell_id is 'base-other'"),
    "a cell that is a list": (lambda run: run.update(cell=[]), r"cell is \[\]"),
    "other settings": (lambda run: run["cell"].update(classes=3), None),
    "a version that is a number": (lambda run: _machine(run, versions={"torch": 2}), "replicates: machine is .*"),
    "a device that is a number": (lambda run: _machine(run, device=1), "replicates: machine is .*"),
    "a replicate too few": (lambda run: run["replicates"].pop(), r"replicates: the seeds are \[0\]"),
    "a replicate twice": (lambda run: run["replicates"].append(run["replicates"][0]), r"replicates: the seeds are .*"),
    "the same seed": (lambda run: run["replicates"][1].update(seed=0), r"replicates: the seeds are \[0, 0\]"),
    "the other order": (lambda run: run["replicates"].reverse(), r"replicates: the seeds are \[1, 0\]"),
    "a replicate that is none": (lambda run: run["replicates"].__setitem__(0, None), "replicates: None is no JSON .*"),
    "a text as seed": (lambda run: run["replicates"][0].update(seed="0"), "replicates: seed is '0'"),
    "a true seed": (lambda run: run["replicates"][1].update(seed=True), "replicates: seed is True"),
    "a status of nobody's": (lambda run: run["replicates"][0].update(status="works"), "replicates: status is 'works'"),
    "a list as status": (lambda run: run["replicates"][0].update(status=["done"]), r"replicates: status is \['done'\]"),
    "no epochs": (lambda run: run["replicates"][0].pop("epochs"), "replicates: epochs is missing"),
    "negative epochs": (lambda run: run["replicates"][0].update(epochs=-1), "replicates: epochs is -1"),
    "half an epoch": (lambda run: run["replicates"][0].update(epochs=0.5), "replicates: epochs is 0.5"),
    "10^40 epochs": (lambda run: run["replicates"][0].update(epochs=10**40), "replicates: epochs is 100.*"),
    "a text as best epoch": (lambda run: run["replicates"][0].update(best_epoch="1"), "replicates: best_epoch is '1'"),
    "a recipe of numbers": (lambda run: run["replicates"][0].update(recipe={"code": 3}), "replicates: recipe is .*"),
    "no digests": (lambda run: run["replicates"][0].pop("sha256"), "replicates: sha256 is missing"),
    "a digest that is null": (lambda run: run["replicates"][0].update(sha256={"a": None}), "replicates: sha256 is .*"),
    "a cause in a list": (lambda run: run["replicates"][0].update(cause=["a"]), r"replicates: cause is \['a'\]"),
    "seconds in words": (lambda run: run["replicates"][0].update(wall_seconds="1 s"), "replicates: wall_seconds is .*"),
    "a long text": (lambda run: run["replicates"][0].update(seed="a\n" * 9999), "replicates: seed is 'a.*"),
}
CARDS = {
    "no classes": (lambda card: card.pop("classes"), "classes is missing"),
    "classes that are numbers": (lambda card: card.update(classes=[0, 1]), r"classes is \[0, 1\]"),
    "a size of one number": (lambda card: card.update(size=[28]), r"size is \[28\]"),
    "channels in words": (lambda card: card.update(channels="grey"), "channels is 'grey'"),
    "counts in a list": (lambda card: card.update(counts=[[1]]), r"counts is \[\[1\]\]"),
    "counts of other classes": (lambda card: card["counts"]["test"].pop(), "counts are not of 10 classes"),
    "a mean too many": (lambda card: card["mean"].append(0.5), "mean and std have 2 and 1 values for 1 channels"),
    "a mean in words": (lambda card: card.update(mean=["half"]), r"mean is \['half'\]"),
    "another data set's": (lambda card: card.update(dataset_id="mnist"), "dataset_id is 'mnist'"),
    "no fingerprint": (lambda card: card.pop("fingerprint"), "fingerprint is missing"),
}


def config() -> dict:
    """A base, and the same flipped and trained again."""
    asked = tiny() | {"networks": {"lenet1": {}}, "sources": {}, "inits": {}, "replicates": 2}
    grid = {"dataset": ["digits"], "network": ["lenet1"], "init": ["default"], "optimizer": ["sgd"]}
    asked["definitions"] = {"dynamics": {"grid": grid, "perturb": {"perturbations": ["flip"], "controls": []}}}
    return asked


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> study.Plan:
    """A plan whose data are there and whose cells are finished, with records and what they were made from."""
    root = tmp_path_factory.mktemp("made")
    plan = study.Plan(config(), root)
    for name, data in plan.datasets.items():
        facts = prepare_dataset(data.spec, name, root, root / f"data/{name}.safetensors")
        store.write_json(
            root / f"data/{name}.json", facts | {"recipe": recipe.dataset(data.spec, facts["fingerprint"])}
        )
    for cell_id, cell in plan.cells.items():
        block = root / study.block_path(cell_id, (0, 1))
        parents = [
            one for path in plan.parent_blocks(cell_id, (0, 1)) for one in records.read(root / path)["replicates"]
        ]
        card = root / f"data/{cell.settings.dataset_id}.json"
        for seed in (0, 1):
            store.save_tensors(store.snapshot_path(block, seed, 2), {})
        ended = {"status": "diverged", "cause": "as asked", "epochs": 2, "best_epoch": None}
        made_from = recipe.block(cell.settings, card, None, parents, (0, 1))
        blocks.write(block, cell_id, cell.settings.json, [{"seed": seed, **ended} for seed in (0, 1)], made_from)
    assert outdated.outdated(plan) == {}
    return plan


@pytest.fixture
def plan(made, tmp_path) -> study.Plan:
    root = tmp_path / "results of mine"
    shutil.copytree(made.root, root)
    return study.Plan(config(), root)


def spoil(path: Path, content: bytes | str) -> None:
    """Put something else in place of a file: bytes, a folder or a pipe."""
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)


def remove(path: Path) -> None:
    """What the line says: remove the file."""
    path.rmdir() if path.is_dir() else path.unlink()


def launched(plan: study.Plan, cell_id: str) -> None:
    """What Snakemake starts where run.json is missing: nothing is left to train."""
    directory, cell = plan.root / study.block_path(cell_id, (0, 1)), plan.cells[cell_id]
    parents = [
        one for path in plan.parent_blocks(cell_id, (0, 1)) for one in records.read(plan.root / path)["replicates"]
    ]
    made_from = recipe.block(cell.settings, plan.root / f"data/{cell.settings.dataset_id}.json", None, parents, (0, 1))
    block = launcher.Block(directory, cell_id, cell.settings.json, made_from)
    job = launcher.Job([sys.executable, "-c", "raise SystemExit(9)"], plan.root / "log", 1, 3, False, [], 1)
    assert launcher.launch(block, job) == 0


def refused(plan: study.Plan) -> str:
    with pytest.raises(ValueError) as error:
        outdated.outdated(study.Plan(config(), plan.root))
    line = str(error.value)
    assert "\n" not in line and len(line) < 600
    return line


@pytest.mark.parametrize("case", [*SPOILED, *OTHERS, *RECORDS])
def test_a_record_of_a_block_is_refused_and_made_again_once_it_is_removed(plan, case):
    cell_id = next(iter(plan.cells))
    path = plan.root / study.block_path(cell_id, (0, 1)) / "run.json"
    before = path.read_bytes()
    if case in SPOILED:
        spoil(path, SPOILED[case][0])
        why = rf"not valid JSON \({SPOILED[case][1]}\)"
    elif case in OTHERS:
        path.write_text(json.dumps(OTHERS[case][0]))
        why = f"is not the record of this block: {OTHERS[case][1]}"
    else:
        run = json.loads(before)
        RECORDS[case][0](run)
        path.write_text(json.dumps(run))
        words = RECORDS[case][1]
        why = (
            f"is not the record of this block: {words}"
            if words
            else "its settings are not those that it was trained .*"
        )
    line = refused(plan)
    assert re.fullmatch(rf"{re.escape(str(path))}: {why}; remove the file, so that it is made again", line), line
    assert "replicates" in progress.table(progress.Progress(plan)), "the state of the rest can be looked at"
    assert outcome.after(plan, "snakemake").startswith(str(path)) == (case != "other settings")
    remove(path)
    launched(plan, cell_id)
    assert path.read_bytes() == before
    assert outdated.outdated(plan) == {}


@pytest.mark.parametrize("case", [*SPOILED, *OTHERS, *CARDS])
def test_a_card_is_refused_and_made_again_once_it_is_removed(plan, case):
    (name,) = plan.datasets
    path = plan.root / f"data/{name}.json"
    if case in SPOILED:
        spoil(path, SPOILED[case][0])
        why = rf"not valid JSON \({SPOILED[case][1]}\)"
    else:
        card = json.loads(path.read_text())
        changed, words = OTHERS[case] if case in OTHERS else (card, CARDS[case][1])
        if case in CARDS:
            CARDS[case][0](card)
        path.write_text(json.dumps(changed))
        why = f"is not the card of a data set: {words.replace('cell_id', 'dataset_id')}"
    line = refused(plan)
    assert re.fullmatch(rf"(datasets.digits: )?{re.escape(str(path))}: {why}; remove the file, so .* again", line), line
    remove(path)
    assert outdated.outdated(study.Plan(config(), plan.root))[f"data/{name}"] == outdated.ABSENT
    data = plan.datasets[name]
    facts = prepare_dataset(data.spec, name, plan.root, plan.root / f"data/{name}.safetensors")
    store.write_json(path, facts | {"recipe": recipe.dataset(data.spec, facts["fingerprint"])})
    assert read_card(path)["classes"] and outdated.outdated(study.Plan(config(), plan.root)) == {}


def test_prepared_data_that_are_not_those_of_the_card_are_refused(plan):
    (path,) = (plan.root / "data").glob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert re.fullmatch(r".*: not a whole safetensors file \(.*\); remove it \(to be made again\) or .*", refused(plan))
    tensors = store.load_arrays(path.rename(path.with_name("others"))) if path.write_bytes(whole) else {}
    store.save_tensors(path, tensors | {"images": tensors["images"][:, :, :20]})
    assert re.fullmatch(
        r".*: its images are \(.*, 20, 28\), and its card has \(.*, 28, 28\); remove both, .*", refused(plan)
    )
    path.unlink()
    assert outdated.ABSENT in outdated.outdated(plan).values()


@pytest.mark.parametrize("case", [*SPOILED, *OTHERS])
def test_a_replicate_without_a_record_of_its_own_is_trained_again(plan, case, capfd):
    """Its other files cannot be relied on then. Only that replicate is."""
    cell_id = next(iter(plan.cells))
    directory = plan.root / study.block_path(cell_id, (0, 1))
    path = store.record_path(directory, 1)
    if case in SPOILED:
        spoil(path, SPOILED[case][0])
    else:
        path.write_text(json.dumps(OTHERS[case][0]))
    (directory / "run.json").unlink()
    assert progress.Progress(plan).counts({cell_id: 2}) == {"diverged": 1, "waiting": 1}
    block = launcher.Block(directory, cell_id, {}, records.read_replicate(directory, 0)["recipe"])
    block.review(again=True)
    assert block.unfinished() == [1] and not path.parent.exists()
    assert "seed1: it is there in part: it is trained again" in capfd.readouterr().out


@pytest.mark.parametrize("case", [*SPOILED, *OTHERS])
def test_what_lies_in_the_scratch_directory_and_is_no_record_is_trained_again(tmp_path, case, capfd):
    block = launcher.Block(tmp_path / "cells/base-x/seeds_0-0", "base-x", {}, {"code": "c"})
    for path in (store.record_path(block.scratch, 0), block.scratch / launcher.JOURNAL):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if case in SPOILED:
            spoil(path, SPOILED[case][0])
        else:
            path.write_text(json.dumps(OTHERS[case][0]))
    program = "import json, pathlib, sys; path = pathlib.Path(sys.argv[1]) / 'snapshots/seed0/record.json'; "
    program += "path.parent.mkdir(parents=True); "
    program += "path.write_text(json.dumps({'seed': 0, 'status': 'diverged', 'epochs': 0, 'best_epoch': None}))"
    job = launcher.Job([sys.executable, "-c", program, str(block.scratch)], tmp_path / "log", 1, 3, False, [], 1)
    assert launcher.launch(block, job) == 0
    assert records.read(block.directory)["replicates"][0]["status"] == "diverged"
