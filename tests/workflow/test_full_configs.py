"""Every full config, run end to end at the smallest scale: with one cell of each kind, and (long) with every cell.

`tests/overlays.py` makes the small configs by rule, so that a new config is tested as well.
"""

import csv
import re

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
    if config.get("device") == "cuda" and any("document" in study for study in config["definitions"].values())
}


# What the report of a study leaves out where one cell of each kind was trained for an epoch: by config and study, the
# exhibits, and the headings of questions of which all are. Nothing else may be left out, and nothing that is listed may
# be drawn. What needs networks that learnt is in none of these reports; its own tests have it.
UNLEARNT_TRANSFERS = sorted([
    *("segments", "segments-table", "decomposition", "reference-curves", "reference-agreement"),
    *("similarity", "outputs", "recommendation", "reported-numbers"),
    "What does the deepest transfer lose, and why?",
    "How many epochs does transfer save?",
])  # fmt: skip
DYNAMICS = sorted([
    *("convergence", "convergence-others", "settled", "settled-order"),  # not asked of cells that keep their ends alone
    "Which factors matter?",
])  # fmt: skip
LEFT_OUT = {
    "cinic": {"cinic": ["compared", "effects", "effects", "effects-table", "effects-table"]},
    # A sixteenth of six filters is one, which is like no other.
    "convnets": {"convnets": ["identical"], "without-imagenet": []},
    "dynamics": {"dynamics": DYNAMICS},
    "dynamics-126": {"dynamics": DYNAMICS},
    "transferability": {"transferability": UNLEARNT_TRANSFERS, "cifar-100": UNLEARNT_TRANSFERS},
    "vgg22": {"vgg22": [], "equal-accuracy": [], "without-imagenet": []},
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
    """Run a config, look whether all that it asks for is there, and return what each study leaves out. It ends with 1
    where a measure failed."""
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
    studies = {name: plan.config.definitions[name] for name in plan.asked}
    assert all(study.title in page for study in studies.values())
    return {name: check_study(results / "figures" / name, study) for name, study in studies.items()}


def check_study(drawn, study):
    """Look whether nothing of a study's chapter raised, and whether each claim has a verdict; returns the names of the
    exhibits that are left out, and the headings of questions of which all are."""
    told = store.read_json(drawn / "exhibits.json")
    assert not told["faults"]
    for exhibit in told["exhibits"]:
        assert all((drawn / exhibit[key]).stat().st_size for key in ("csv", "file") if exhibit[key])
    if study.document:
        document = chapters.folder(study.document)
        asked = [question.key for question in chapters.read(document).questions]
        assert [question["key"] for question in told["questions"]] == asked
        claims = yaml.safe_load((document / "claims.yaml").read_text(encoding="utf-8"))
        judged = store.read_json(drawn / "claims.json")
        assert [claim["id"] for claim in judged] == [claim["id"] for claim in claims]
        assert all(claim["verdict"] for claim in judged)
    return sorted(left_out(sentence) for sentence in told["facts"]["left_out"])


def left_out(sentence):
    """Which exhibit, or which question, a sentence says is left out."""
    [found] = re.findall(r"^The exhibit (\S+) is left out: |^All exhibits on “(.+)” are left out: ", sentence)
    return "".join(found)


@pytest.mark.parametrize("name", IN_THE_GATE)
def test_one_cell_of_each_kind_makes_the_whole_report(workflow, name):
    whole = overlays.small(FULL[name], workflow.root / "images")
    config = overlays.covered(whole)
    asked, kept = kinds(Plan(whole, workflow.root)), kinds(Plan(config, workflow.root))
    assert {study for study, _ in kept} == set(config["studies"])
    assert all(kinds_ <= kept[one] for one, kinds_ in asked.items() if one[0] in config["studies"])
    assert check(workflow, config) == {study: LEFT_OUT[name][study] for study in config["studies"]}


@pytest.mark.long
@pytest.mark.parametrize("name", FULL)
def test_every_cell_makes_the_whole_report(workflow, name):
    """More cells may show more than LEFT_OUT allows to be left out, and never less."""
    found = check(workflow, overlays.small(FULL[name], workflow.root / "images"))
    allowed = LEFT_OUT[name]
    assert {study: sorted(set(names) - set(allowed[study])) for study, names in found.items()} == dict.fromkeys(
        found, []
    )
