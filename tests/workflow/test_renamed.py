"""What a document calls its studies, experiments, axes and levels decides nothing: with all of them renamed, in config
and documents alike, the same results have the same exhibits, answers and verdicts."""

import json
import random
import string
from pathlib import Path

import pytest
import yaml

import collect
from weight_atlas import cell_table, schema, store
from weight_atlas.plan import chapters
from weight_atlas.plan.study import Plan
from weight_atlas.reporting import telling
from weight_atlas.reporting.claims import verdicts
from weight_atlas.reporting.claims.evidence import EVIDENCE

ROOT = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
NAMING = ("levels", "experiments", "best")  # options that name levels or experiments
BY_LEVEL = ("steps", "features", "accuracies")  # parts of documents that name experiments or levels
JUDGED = ("verdict", "seen", "reason")
PARTS = ("all", "artefact")  # of a claim: lists of statements
PARAMETERS = {
    **{"experiment": "experiments", "axis": "axes", "other": "axes"},
    **dict.fromkeys(("level", "levels", "larger", "without", "against"), "levels"),
}
LABELLED = ("where", "to", "exclude", "beyond", "reference")  # keys that hold rules {axis: label or labels}


def named(config: dict) -> dict[str, list[str]]:
    """The names to change: studies, experiments, axes of `vary` and their levels."""
    studies = config["definitions"].values()
    parts = [part for study in studies for part in (study, *study.get("experiments", {}).values())]
    axes = [(axis, levels) for part in parts for axis, levels in part.get("vary", {}).items()]
    return {
        "studies": list(config["definitions"]),
        "experiments": [name for study in studies for name in study.get("experiments", {})],
        "axes": [axis for axis, _ in axes],
        "levels": list(dict.fromkeys(level for _, levels in axes for level in levels)),
    }


def tokens(names: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    """A random word for each name."""
    draw = random.Random(30)
    return {
        kind: {name: "q" + "".join(draw.choices(string.ascii_lowercase, k=9)) for name in own}
        for kind, own in names.items()
    }


def renamed(config: dict, words: dict[str, dict[str, str]]) -> dict:
    """The config with the words in the place of the names."""

    def labels(rule):
        """A rule {axis: label or labels}: the levels are those of a renamed axis alone."""
        if isinstance(rule, list):
            return [labels(inner) for inner in rule]
        return {
            words["axes"].get(axis, axis): changed(value) if axis in words["axes"] else value
            for axis, value in rule.items()
        }

    def changed(value):
        return [changed(inner) for inner in value] if isinstance(value, list) else words["levels"].get(value, value)

    def part(design):
        made = {}
        for key, value in design.items():
            if key == "experiments":
                value = {words["experiments"][name]: part(inner) for name, inner in value.items()}
            elif key == "vary":
                value = {
                    words["axes"][axis]: {words["levels"][level]: inner for level, inner in levels.items()}
                    for axis, levels in value.items()
                }
            elif key in LABELLED:
                value = labels(value)
            elif key in ("adjust", "checkpoints", "perturb"):
                value = [part(rule) for rule in value]
            made[key] = value
        return made

    definitions = {words["studies"][name]: part(study) for name, study in config["definitions"].items()}
    return config | {"definitions": definitions}


def told_otherwise(value, words):
    """What a document's file says, with the words of experiments, axes and levels in the place of their names."""
    change = words["experiments"] | words["axes"] | words["levels"]
    if isinstance(value, dict):
        return {change.get(str(key), key): told_otherwise(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [told_otherwise(inner, words) for inner in value]
    return change.get(value, value) if isinstance(value, str) else value


def by_level(content, words):
    """What a document reports or claims, with the words in those parts that name experiments, axes or levels."""
    if isinstance(content, list):
        return [
            claim
            | {part: [statement_otherwise(asked, words) for asked in claim[part]] for part in PARTS if part in claim}
            for claim in content
        ]
    return {
        key: told_otherwise(value, words) if key in BY_LEVEL else [chosen(one, words) for one in listed(value)] or value
        for key, value in content.items()
    }


def listed(value) -> list[dict]:
    """The numbers of a list that an exhibit shows; none of anything else."""
    return value if isinstance(value, list) and all(isinstance(one, dict) for one in value) else []


def chosen(number: dict, words) -> dict:
    """A number of a document, with the words in what chooses the cells beside it."""
    return number | ({"where": told_otherwise(number["where"], words)} if "where" in number else {})


def statement_otherwise(asked: dict, words) -> dict:
    """A statement of a claim with the words in those of its parameters that name something of the config: where it is
    about an experiment."""
    found = asked.get("parameters", {})
    kinds = PARAMETERS if "experiment" in found else {}
    if asked.get("evidence") == "experiments":
        kinds = kinds | {"against": "experiments"}
    return asked | {
        "parameters": {key: parameter(value, words.get(kinds.get(key), {})) for key, value in found.items()}
    }


def parameter(value, change):
    """A parameter of a statement, one name or several, with the words in their place."""
    if isinstance(value, list):
        return [parameter(one, change) for one in value]
    return change.get(value, value) if isinstance(value, str) else value


def chapter_otherwise(chapter: dict, words) -> dict:
    """A chapter with the words of its experiments, in the options of its parts too; parts are named by the registry."""

    def part(called):
        if isinstance(called, str):
            return called
        [(name, options)] = called.items()
        return {name: {key: told_otherwise(one, words) if key in NAMING else one for key, one in options.items()}}

    questions = []
    for question in chapter["questions"]:
        made = question | {
            "exhibits": [part(called) for called in question["exhibits"]],
            "answer": part(question["answer"]),
        }
        if "experiment" in question:
            made["experiment"] = words["experiments"][question["experiment"]]
        questions.append(made)
    return chapter | {"questions": questions}


@pytest.fixture(scope="module")
def world(tour, tmp_path_factory):
    """(the folder of the renamed results and documents, the words)."""
    folder, words = tmp_path_factory.mktemp("renamed"), tokens(named(CONFIG))
    for path in sorted(chapters.DOCUMENTS.glob("*/*.yaml")):
        target = folder / "documents" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        content = chapter_otherwise(content, words) if path.stem == "chapter" else by_level(content, words)
        target.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chapters, "DOCUMENTS", folder / "documents")
        patch.chdir(tour.parents[1])
        plan = Plan(renamed(CONFIG, words), tour.parents[1])
        rows = plan.rows()
        header = schema.header("cells", list(dict.fromkeys(key for row in rows for key in row)))
        lines = ([row.get(name, "") for name in header] for row in rows)
        schema.write(folder / "cells.csv", "cells", lines, header=header)
        store.write_json(folder / "config.json", plan.resolved)
        measures = [tour / "measures" / group for group in plan.groups]
        cards = sorted(Path("data").glob("*.json"))
        collect.collect(cell_table.read(folder / "cells.csv"), measures, cards, folder / "tables")
    return folder, words


@pytest.mark.parametrize("study", CONFIG["definitions"])
def test_renaming_changes_no_exhibit_no_answer_no_verdict(tour, world, study, monkeypatch):
    folder, words = world
    monkeypatch.chdir(tour.parents[1])
    document = folder / "documents" / CONFIG["definitions"][study]["document"]
    files = {name: folder / name for name in ("cells.csv", "config.json", "tables")} | {"measures": tour / "measures"}
    results = {name.partition(".")[0]: path for name, path in files.items()}
    tables = telling.open_study(words["studies"][study], results, document, sorted(Path("data").glob("*.json")))
    told = telling.tell(chapters.read(document), tables)
    judged = verdicts.judge(verdicts.ledger(document / "claims.yaml"), EVIDENCE, tables)
    assert not tables.faults
    back = {token: name for own in words.values() for name, token in own.items()}
    before = store.read_json(tour / f"figures/{study}/exhibits.json")
    assert len(told.exhibits) == len(before["exhibits"])
    for exhibit, entry in zip(told.exhibits, before["exhibits"], strict=True):
        path = tour / f"figures/{study}" / entry["csv"]
        assert restored(schema.frame_text(exhibit.data), back) == path.read_text(encoding="utf-8"), entry["name"]
        assert restored(exhibit.caption, back) == entry["caption"], entry["name"]
    for question, asked in zip(told.questions, before["questions"], strict=True):
        assert restored(question["answer"], back) == asked["answer"], asked["key"]
    assert restored(told.closing, back) == before["closing"]
    for one, other in zip(restored(judged, back), store.read_json(tour / f"figures/{study}/claims.json"), strict=True):
        assert [one[key] for key in JUDGED] == [other[key] for key in JUDGED], one["id"]


def restored(value, back: dict[str, str]):
    """A value (text, or what JSON holds) with the names in the place of the words."""
    text = value if isinstance(value, str) else json.dumps(value)
    for token, name in back.items():
        text = text.replace(token, name)
    return text if isinstance(value, str) else json.loads(text)
