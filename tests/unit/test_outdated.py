"""What is made again: recipes, what changes them, and the stamps that Snakemake goes by."""

import ast
import errno
import json
import os
import time

import pytest
from blocks import MACHINE

from tests.conftest import tiny
from weight_atlas import records, store
from weight_atlas.datasets.prepare import prepare_dataset
from weight_atlas.plan import code, outdated, recipe, study

BLOCK = (0, 1)


def config(**keys) -> dict:
    """Two cells of two replicates: a base, and the same flipped and trained again."""
    asked = tiny() | {"networks": {"lenet1": {}}, "sources": {}, "inits": {}, "replicates": 2} | keys
    grid = {"dataset": ["digits"], "network": ["lenet1"], "init": ["default"], "optimizer": ["sgd"]}
    asked["definitions"] = {"dynamics": {"grid": grid, "perturb": {"perturbations": ["flip"], "controls": []}}}
    return asked


def replicate(seed: int, **changes) -> dict:
    digests = {"epoch_0.safetensors": f"a{seed}", "epoch_2.safetensors": f"b{seed}", "best.safetensors": f"c{seed}"}
    return {"seed": seed, "status": "done", "cause": None, "epochs": 2, "sha256": digests} | changes


def finish(plan: study.Plan, cell_id: str, *replicates: dict) -> None:
    """Write the record of a block as if it had been trained now, from what there is."""
    cell, path = plan.cells[cell_id], plan.root / study.block_path(cell_id, BLOCK)
    parents = [
        one for block in plan.parent_blocks(cell_id, BLOCK) for one in records.read(plan.root / block)["replicates"]
    ]
    card = plan.root / f"data/{cell.settings.json['dataset_id']}.json"
    made_from = recipe.block(cell.settings, card, None, parents, [one["seed"] for one in replicates])
    rows = [one | {"recipe": made_from, "machine": MACHINE} for one in replicates]
    run = {
        "cell_id": cell_id,
        "kind": cell.kind,
        "seeds": [0, 1],
        "replicates": rows,
        "cell": cell.settings.json,
    }
    store.write_json(path / "run.json", run)
    (path / "metrics.csv").write_text("")


@pytest.fixture
def plan(tmp_path) -> study.Plan:
    """A plan whose cells are finished and whose data are there."""
    plan = study.Plan(config(), tmp_path)
    for name, data in plan.datasets.items():
        facts = prepare_dataset(data.spec, name, tmp_path, tmp_path / f"data/{name}.safetensors")
        made_from = recipe.dataset(data.spec, facts["fingerprint"])
        store.write_json(tmp_path / f"data/{name}.json", facts | {"recipe": made_from})
    for cell_id in plan.cells:
        finish(plan, cell_id, replicate(0), replicate(1))
    return plan


def paths(plan: study.Plan) -> list[str]:
    return [study.block_path(cell_id, BLOCK) for cell_id in plan.cells]


def test_what_is_made_from_the_same_is_not_made_again(plan):
    assert outdated.outdated(plan) == {}


def test_other_code_makes_everything_again_unless_it_is_adopted(plan, monkeypatch):
    digest = code.digest
    monkeypatch.setattr(code, "digest", lambda *files: digest(*files) + ("" if recipe.PREPARING in files else "x"))
    base, child = paths(plan)
    assert outdated.outdated(plan) == {base: outdated.OTHER, child: outdated.FOLLOWS}
    assert outdated.outdated(study.Plan(config(adopt=True), plan.root)) == {}


def test_a_child_follows_what_it_takes_of_its_parent_and_nothing_else(plan):
    base, child = paths(plan)
    changed = replicate(1)
    changed["sha256"]["epoch_0.safetensors"] = changed["sha256"]["best.safetensors"] = "another"
    finish(plan, next(iter(plan.cells)), replicate(0), changed)
    assert outdated.outdated(plan) == {}, "it takes the last snapshot"
    changed["sha256"]["epoch_2.safetensors"] = "another"
    finish(plan, next(iter(plan.cells)), replicate(0), changed)
    assert outdated.outdated(plan) == {child: outdated.OTHER}
    finish(plan, next(iter(plan.cells)), replicate(0), replicate(1, status="diverged"))
    assert outdated.outdated(plan) == {child: outdated.OTHER}
    (plan.root / base / "run.json").unlink()
    assert outdated.outdated(plan) == {base: outdated.ABSENT, child: outdated.FOLLOWS}


def test_a_retried_parent_takes_its_children_along(plan):
    base, child = paths(plan)
    finish(plan, next(iter(plan.cells)), replicate(0), replicate(1, status="failed", cause="killed"))
    assert outdated.outdated(plan) == {child: outdated.OTHER}
    retried = study.Plan(config(retry_failed=True), plan.root)
    assert outdated.outdated(retried) == {base: outdated.RETRIED, child: outdated.FOLLOWS}


@pytest.mark.parametrize(
    ("key", "why"), [("sha256", outdated.OTHER), ("recipe", outdated.FOLLOWS)], ids=["content", "source"]
)
def test_other_data_train_again(plan, key, why):
    (card,) = (plan.root / "data").glob("*.json")
    store.write_json(card, store.read_json(card) | {key: "another"})
    found = outdated.outdated(plan)
    assert {found[path] for path in paths(plan)} <= {why, outdated.FOLLOWS}
    assert (f"data/{card.stem}" in found) == (key == "recipe")


def test_data_that_are_gone_are_made_again(plan):
    next((plan.root / "data").glob("*.safetensors")).unlink()
    assert set(outdated.outdated(plan).values()) == {outdated.ABSENT, outdated.FOLLOWS}


@pytest.mark.parametrize("shift", [-1000, 0, 1000], ids=["old", "new", "from the future"])
def test_a_stamp_is_older_than_results_that_stay_and_newer_than_others(plan, shift):
    base, child = paths(plan)
    then = time.time() + shift
    for path in (*(plan.root / base).iterdir(), *(plan.root / child).iterdir()):
        os.utime(path, (then, then))
    outdated.stamp(plan, {})
    outdated.stamp(plan, {child})
    stamps = {path: (plan.root / outdated.STAMPS / path).stat().st_mtime for path in (base, child)}
    assert stamps[base] < then < stamps[child]
    said = (plan.root / outdated.STAMPS / child).read_text()
    outdated.stamp(plan, {child})
    assert (plan.root / outdated.STAMPS / child).read_text() != said, "or Snakemake takes it for the same"
    outdated.stamp(plan, {})
    assert (plan.root / outdated.STAMPS / child).stat().st_mtime < then


SOURCE = '''"""What it is."""
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
RATE: float = 0.1

class Point:
    """A point."""
    x: int
    y: int = 2

def double(value: int, *, by: int = 2) -> int:
    """Twice."""
    # not thrice
    return value * by
'''
SAME = """
RATE = 0.1


class Point:
    x: float
    y = 2


def double(value, *, by=2):
    return (value
            * by)
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (SOURCE, SAME, True),
        ("x: int\n", "z: int\n", False),
        ("y: int = 2", "y: int = 3", False),
        ("= 0.1", "= 0.2", False),
        ("value * by", "value + by", False),
        ("by: int = 2", "by: int = 3", False),
        ("double", "twice", False),
    ],
)
def test_what_code_computes_has_one_digest(tmp_path, monkeypatch, old, new, same):
    def digest(text: str) -> str:
        (tmp_path / "some.py").write_text(text)
        for cached in (code.closure, code.digest, code._imports, code.behaviour):
            cached.cache_clear()
        return code.digest("some.py")

    monkeypatch.setattr(code, "SCRIPTS", tmp_path)
    assert (digest(SOURCE) == digest(SOURCE.replace(old, new))) == same
    for cached in (code.closure, code.digest, code._imports, code.behaviour):
        cached.cache_clear()


@pytest.fixture
def remembered(tmp_path, monkeypatch):
    """A folder of code, in a working directory where what was found in it is remembered; and how to find it anew, as
    the next process does."""

    def forget() -> None:
        for cached in (code.closure, code.digest, code._imports, code.behaviour, code._known):
            cached.cache_clear()

    monkeypatch.setattr(code, "SCRIPTS", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.py").write_text(SOURCE)
    forget()
    yield forget
    forget()


def test_what_was_found_in_code_is_found_again_without_looking(remembered, monkeypatch):
    first = code.digest("some.py"), code.closure("some.py")
    code.remember()
    remembered()
    monkeypatch.setattr(code.ast, "parse", None)
    assert (code.digest("some.py"), code.closure("some.py")) == first


def test_where_nothing_can_be_remembered_nothing_stops(remembered, monkeypatch):
    def full(path, obj):
        raise OSError(errno.ENOSPC, "no room")

    first = code.digest("some.py")
    monkeypatch.setattr(code.store, "write_json", full)
    code.remember()
    assert not code.KNOWN.exists() and code.digest("some.py") == first


@pytest.mark.parametrize("kept", ["", "[]", "{", "by another"])
def test_what_is_remembered_counts_for_the_same_code_alone(remembered, kept):
    first = code.digest("some.py")
    code.remember()
    found = json.loads(code.KNOWN.read_text())
    wrong = {"by": ["3.0.0", "other"], "behaviour": dict.fromkeys(found["behaviour"], "wrong")}
    code.KNOWN.write_text(json.dumps(wrong) if kept == "by another" else kept)
    remembered()
    assert code.digest("some.py") == first
    (code.SCRIPTS / "some.py").write_text(SOURCE.replace("0.1", "0.3"))
    remembered()
    assert code.digest("some.py") != first


ALONE = """
from weight_atlas import store  # a remark
import weight_atlas.settings as settings, json
def late():
    from weight_atlas.stats import (
        one,  # a remark
        other,
    )
    from . import near
"""
AMONG = [
    "if True: import weight_atlas.store",
    "x = 1; from weight_atlas import store",
    "from weight_atlas \\\n    import store",
    "from weight_atlas.stats import one, \\\n    other",
    "from weight_atlas.stats import *",
    "import\\\n weight_atlas.store",
    "from weight_atlas.stats import (one, # (some)\n other)",
]


@pytest.mark.parametrize("text", [ALONE, *AMONG, ALONE + AMONG[0], f'"""\nimport the others\n"""\n{ALONE}'])
def test_no_import_is_missed_however_it_is_written(text):
    assert imports_by_lines(text) == imports_by_syntax(text)


def test_no_import_of_the_library_is_missed():
    for path in code.SCRIPTS.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert imports_by_lines(text) >= imports_by_syntax(text), path


def imports_by_lines(text: str) -> set[str]:
    return {ast.unparse(node) for node in code._statements(text) if isinstance(node, ast.Import | ast.ImportFrom)}


def imports_by_syntax(text: str) -> set[str]:
    return {ast.unparse(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)}
