"""Every full config, run end to end at the smallest scale: with one cell of each kind, and (long) with every cell.

`tests/overlays.py` makes the small configs by rule, so that a new config is tested as well.
"""

import csv

import pytest
import yaml

from tests import overlays, pages
from tests.conftest import ROOT, Workflow, tiny
from weight_atlas import store
from weight_atlas.plan import chapters
from weight_atlas.plan.study import Plan

FULL = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "config").glob("*.yaml"))
}
FULL = {
    name: config
    for name, config in FULL.items()
    if config.get("device") == "cuda" and all("document" in study for study in config["definitions"].values())
}


# The cells of dynamics, of which fewer are perturbed: in the long tests alone.
IN_THE_GATE = [name for name in FULL if name != "dynamics-126"]


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    """The folder in which all of them run: what is made for one serves the next."""
    return Workflow(tmp_path_factory.mktemp("full configs"), tiny())


def kinds(plan):
    """What is told apart of the cells of a plan: for each experiment the kinds of its cells."""
    asked = {(one.study, one.name) for one in plan.experiments}
    return {one: set().union(*overlays.kinds(plan, *one).values()) for one in asked}


def check(workflow, config):
    """Run a config, and look whether all that it asks for is there. It ends with 1 where a measure failed."""
    workflow.write(config)
    workflow.run("all")
    results, plan = workflow.root / "results" / config["name"], Plan(config, workflow.root)
    for cell_id in plan.cells:
        runs = [store.read_json(path) for path in (workflow.root / "results/cells" / cell_id).glob("*/run.json")]
        statuses = [record["status"] for run in runs for record in run["replicates"]]
        assert len(statuses) == overlays.REPLICATES and set(statuses) <= {"done", "diverged"}, cell_id
    with open(results / "cells.csv", newline="", encoding="utf-8") as file:
        assert {row["cell_id"] for row in csv.DictReader(file)} == set(plan.cells)
    page = pages.whole(results)
    for name, study in plan.config.definitions.items():
        check_study(results / "figures" / name, chapters.folder(study.document))
        assert study.title in page


def check_study(drawn, document):
    """Look whether nothing of a study's chapter raised, and whether each claim has a verdict.

    Networks of one epoch hardly learn: what says something of those that learnt may be left out.
    """
    told, chapter = store.read_json(drawn / "exhibits.json"), chapters.read(document)
    assert not told["faults"]
    assert [question["key"] for question in told["questions"]] == [question.key for question in chapter.questions]
    for exhibit in told["exhibits"]:
        assert all((drawn / exhibit[key]).stat().st_size for key in ("csv", "file") if exhibit[key])
    claims = yaml.safe_load((document / "claims.yaml").read_text(encoding="utf-8"))
    judged = store.read_json(drawn / "claims.json")
    assert [claim["id"] for claim in judged] == [claim["id"] for claim in claims]
    assert all(claim["verdict"] for claim in judged)


@pytest.mark.parametrize("name", IN_THE_GATE)
def test_one_cell_of_each_kind_makes_the_whole_report(workflow, name):
    whole = overlays.small(FULL[name], workflow.root / "images")
    config = overlays.covered(whole)
    asked, kept = kinds(Plan(whole, workflow.root)), kinds(Plan(config, workflow.root))
    assert asked.keys() == kept.keys() and all(asked[one] <= kept[one] for one in asked)
    check(workflow, config)


@pytest.mark.long
@pytest.mark.parametrize("name", FULL)
def test_every_cell_makes_the_whole_report(workflow, name):
    check(workflow, overlays.small(FULL[name], workflow.root / "images"))
