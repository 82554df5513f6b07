"""tests/coverage.yaml, what the source documents contain, against the full configs, the finished tour and the page."""

import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.unit.test_plan import pictures
from weight_atlas import schema
from weight_atlas.plan import chapters
from weight_atlas.plan.study import Plan
from weight_atlas.reporting.claims import verdicts

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = yaml.safe_load((ROOT / "tests/coverage.yaml").read_text(encoding="utf-8"))["documents"]
FOLDERS = sorted((ROOT / "report/documents").iterdir())
LEDGER = [claim for folder in FOLDERS if folder.is_dir() for claim in verdicts.ledger(folder / "claims.yaml")]

KINDS = {"experiment", "table", "figure", "number", "conclusion", "question", "empty section"}
STATES = {"complete", "partly", "missing"}
PLANNED = {"config", "study", "experiment", "cells"}
SHOWN = {"exhibit", "facts", "table", "column", "claim", "printed"}
KEYS = {"id", "kind", "state", "says", "lacks", "added", "tour"} | PLANNED | SHOWN


def listed(value) -> list:
    """A value that may be a list or stand alone, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def entries(document: str) -> list[dict]:
    """The entries of a document, each with the document's config and study where it names no other."""
    own = DOCUMENTS[document]
    return [{"config": own["config"], "study": own["study"]} | entry for entry in own["entries"]]


EVERY = [entry for document in DOCUMENTS for entry in entries(document)]
CONFIGS = sorted({entry["config"] for entry in EVERY})


# ------------------------------------------------------------------------------------------- the file itself


def faults(document: str, entry: dict) -> list[str]:
    """What is wrong with how an entry is written."""
    found = [f"unknown key {key}" for key in sorted(set(entry) - KEYS)]
    found += [f"no {key}" for key in ("id", "kind", "state", "says") if not entry.get(key)]
    if not re.fullmatch(rf"{document}-[a-z0-9-]+", entry["id"], re.IGNORECASE):
        found.append(f"its id does not begin with {document}-")
    if entry["kind"] not in KINDS or entry["state"] not in STATES:
        found.append(f"unknown kind or state: {entry['kind']}, {entry['state']}")
    if ("lacks" in entry) != (entry["state"] != "complete"):
        found.append("`lacks` belongs to what is partly there or missing, and to nothing else")
    if entry["state"] == "missing" and set(entry) & (SHOWN | {"experiment", "cells"}):
        found.append("is missing and names a place")
    if entry["state"] == "complete" and not set(entry) & (SHOWN | {"experiment", "cells"}):
        found.append("is complete and names no place")
    if entry["state"] == "complete" and entry["kind"] == "number" and not entry.get("printed"):
        found.append("a number is complete where the document's own is printed: name it under `printed`")
    if "printed" in entry and not set(entry) & {"exhibit", "facts", "claim"}:
        found.append("says what is printed and not where")
    if set(listed(entry.get("column"))) - set(schema.TABLES[entry["table"]].names if "table" in entry else ()):
        found.append(f"the table {entry.get('table')} has no such column: {entry['column']}")
    if entry.get("tour", False) is not False or entry.get("added", True) is not True:
        found.append("`tour` may be false, and `added` true")
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_entry_is_well_formed(document):
    assert set(DOCUMENTS[document]) == {"title", "config", "study", "entries"}
    found = {entry["id"]: wrong for entry in DOCUMENTS[document]["entries"] if (wrong := faults(document, entry))}
    assert not found


def test_no_id_stands_twice():
    assert not [name for name, count in Counter(entry["id"] for entry in EVERY).items() if count > 1]


def test_every_claim_has_its_conclusion_and_no_other_is_named():
    known = {claim.id for claim in LEDGER}
    conclusions = [entry["claim"] for entry in EVERY if re.fullmatch(r"\d+-claim-\d+", entry["id"])]
    assert sorted(conclusions) == sorted(known), "one entry <document>-claim-<number> for each claim"
    assert all(entry["claim"] == entry["id"].replace("-claim-", "-") for entry in EVERY if "-claim-" in entry["id"])
    assert {entry["claim"] for entry in EVERY if "claim" in entry} <= known


# ------------------------------------------------------------------------------------------- the full configs


@pytest.mark.parametrize("config", CONFIGS)
def test_the_full_configs_plan_what_is_said_of_them(config, tmp_path):
    """Every study, experiment and combination of labels that an entry names is among the planned cells."""
    pictures(tmp_path)
    settings = yaml.safe_load((ROOT / config).read_text(encoding="utf-8")) | {"data_root": str(tmp_path)}
    planned = Plan(settings, tmp_path).entries
    absent = {}
    for entry in EVERY:
        if entry["config"] != config or entry["state"] == "missing":
            continue
        labels = [own.labels for own in planned if own.study == entry["study"]]
        assert labels, f"{entry['id']}: {config} has no study {entry['study']}"
        axes = {axis: [str(level) for level in listed(levels)] for axis, levels in entry.get("cells", {}).items()}
        axes |= {"experiment": listed(entry["experiment"])} if "experiment" in entry else {}
        for chosen in itertools.product(*axes.values()):
            wanted = dict(zip(axes, chosen, strict=True))
            if not any(wanted.items() <= own.items() for own in labels):
                absent.setdefault(entry["id"], []).append(wanted)
    assert not absent


# ------------------------------------------------------------------------------------------- the tour


class Tour:
    """The results of the tour: exhibits, facts, claims and tables of its studies."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.cells = pd.read_csv(folder / "cells.csv", dtype=str)

    def exhibits(self, study: str, name: str) -> list[dict]:
        """The exhibits of this name, or whose names begin with it; of another chapter than the study's: data/<name>."""
        chapter, _, name = name.rpartition("/")
        path = self.folder / "figures" / (chapter or study) / "exhibits.json"
        if not path.is_file():
            return []
        told = json.loads(path.read_text(encoding="utf-8"))
        return [
            own | {"folder": path.parent}
            for own in told["exhibits"]
            if own["name"] == name or own["name"].startswith(f"{name}-")
        ]

    def fact(self, study: str, path: str):
        """The sentences at answers.<question> or sections.<closing section>, None where the study has none."""
        file = self.folder / "figures" / study / "exhibits.json"
        told = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"questions": [], "closing": []}
        answers = {question["key"]: [one["text"] for one in question["answer"]] for question in told["questions"]}
        found = {"answers": answers}
        found["sections"] = {section["key"]: section["sentences"] for section in told["closing"]}
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def claims(self, study: str) -> dict[str, dict]:
        """The ledger of a study by claim."""
        file = self.folder / "figures" / study / "claims.json"
        return {claim["id"]: claim for claim in json.loads(file.read_text(encoding="utf-8"))}

    def rows(self, study: str, table: str) -> pd.DataFrame:
        """The rows of a table that are of the study's cells; all of a table that names no cell."""
        found = pd.read_csv(self.folder / f"tables/{table}.csv", dtype=str)
        if "study" in found:
            return found[found["study"] == study]
        own = set(self.cells.loc[self.cells["study"] == study, "cell_id"])
        cell = next((name for name in ("cell_id", "cell_a") if name in found), None)
        return found[found[cell].isin(own)] if cell else found


def absent(tour: Tour, entry: dict) -> list[str]:
    """What the tour's results lack of the places that an entry names."""
    study, found = entry["study"], []
    for name in listed(entry.get("exhibit")):
        shown = tour.exhibits(study, name)
        found += [] if shown else [f"no exhibit {name}"]
        for own in shown:
            if own["kind"] == "figure" and not (own["folder"] / own["file"]).stat().st_size:
                found.append(f"{own['file']} is empty")
            if pd.read_csv(own["folder"] / own["csv"], dtype=str).empty:
                found.append(f"{own['csv']} has no row")
    if "facts" in entry and not tour.fact(study, entry["facts"]):
        found.append(f"no facts {entry['facts']}")
    if "table" in entry:
        rows = tour.rows(study, entry["table"])
        found += [] if len(rows) else [f"{entry['table']}.csv has no row of the study {study}"]
        for column in listed(entry.get("column")) if len(rows) else ():
            found += [] if rows[column].notna().any() else [f"{entry['table']}.csv: the column {column} is empty"]
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_tour_has_every_exhibit_and_table_that_is_named(document, tour):
    results, wrong = Tour(tour), {}
    for entry in entries(document):
        lacking = absent(results, entry)
        if "tour" not in entry and lacking:
            wrong[entry["id"]] = lacking
        if "tour" in entry and not lacking:
            wrong[entry["id"]] = "the tour has all of it: leave `tour: false` out"
    assert not wrong


# What exhibits are called that have another name than the function that draws them has in the registry.
NAMES = {"norms-reported": "norms-document"}


def parts(document: str) -> list[str]:
    """The exhibits that the chapter of a document asks for, as the registry calls them."""
    asked = chapters.read(chapters.folder(document)).questions
    return [part.name for question in asked for part in question.exhibits]


def test_what_the_tour_is_too_small_for_is_an_exhibit_of_its_chapter():
    for entry in EVERY:
        if "tour" in entry:
            study = DOCUMENTS[entry["id"][:3]]["study"]
            made = {name for part in parts(study) for name in (part, NAMES.get(part, part))}
            assert set(listed(entry["exhibit"])) <= made, entry["id"]


def test_the_tour_judges_every_claim(tour):
    results = Tour(tour)
    for document, own in DOCUMENTS.items():
        judged = results.claims(own["study"])
        assert set(judged) == {claim.id for claim in LEDGER if claim.id.startswith(document)}
        for claim in judged.values():
            assert claim["verdict"] and claim["reason"] and "test failed" not in claim["reason"], claim["id"]


def reported(entry: dict) -> str:
    """What the document of an entry reports."""
    folder = chapters.folder(DOCUMENTS[entry["id"][:3]]["study"])
    return (folder / "document.yaml").read_text(encoding="utf-8")


def test_every_number_of_a_document_is_printed_where_the_entry_says(tour):
    """In the exhibits, facts or claim that the entry names; where the tour draws fewer rows than the full study, in
    document.yaml of its document, which exhibits print."""
    results, said, wrong = Tour(tour), {claim.id: claim.says for claim in LEDGER}, {}
    for entry in EVERY:
        exhibits = [own for name in listed(entry.get("exhibit")) for own in results.exhibits(entry["study"], name)]
        texts = [said.get(entry.get("claim"), ""), reported(entry) if "exhibit" in entry else ""]
        texts += listed(results.fact(entry["study"], entry["facts"])) if "facts" in entry else []
        for own in exhibits:
            texts += pd.read_csv(own["folder"] / own["csv"], dtype=str, keep_default_na=False).stack().tolist()
        if lacking := [text for text in listed(entry.get("printed")) if not any(text in where for where in texts)]:
            wrong[entry["id"]] = lacking
    assert not wrong


# ------------------------------------------------------------------------------------------- the page


def test_the_page_is_made_from_the_file(tmp_path):
    subprocess.run([sys.executable, "docs/coverage.py", tmp_path / "coverage.md"], cwd=ROOT, check=True)
    made = (tmp_path / "coverage.md").read_text(encoding="utf-8")
    assert made == (ROOT / "docs/coverage.md").read_text(encoding="utf-8"), "run python docs/coverage.py"
    assert all(f"| {entry['id']} |" in made for entry in EVERY)
