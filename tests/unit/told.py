"""The exhibits and answers of a document's chapter, from made-up tables."""

from pathlib import Path

import pandas as pd
import yaml

from weight_atlas import store
from weight_atlas.plan import chapters, spec
from weight_atlas.reporting import sections, telling
from weight_atlas.reporting.claims import verdicts
from weight_atlas.reporting.claims.evidence import EVIDENCE
from weight_atlas.shapes import Experiment, Shape

ROOT = Path(__file__).parents[2]
# Every document that the report speaks of.
DOCUMENTS = tuple(sorted(path.parent.name for path in (ROOT / "report/documents").glob("*/chapter.yaml")))

# The exhibits of perturbed networks.
PERTURBED = sections.SECTIONS[Shape.PERTURBED][1]


def told(tables, document=None):
    """The chapter of a document (or, without one, the one that follows from the shapes) told of some tables."""
    if not tables.experiments:
        names = tables.values("experiment") if "experiment" in tables.cells else [""]
        tables.experiments = [Experiment(tables.study, name, (), (), (), True, "", ()) for name in names]
    return telling.tell(chapter(document) if document else sections.chapter(tables), tables)


def exhibits(tables, document=None):
    """The exhibits, in order."""
    return told(tables, document).exhibits


def facts(tables, document=None):
    """The study in short, with {question: sentences} as `answers` and the closing sections as `sections`."""
    return in_short(told(tables, document))


def in_short(found):
    """`facts` of what is told."""
    return found.facts | {
        "answers": {question["key"]: [one["text"] for one in question["answer"]] for question in found.questions},
        "sections": {section["key"]: section["sentences"] for section in found.closing},
    }


def drawn(tables, *names, experiment=None):
    """The exhibits that the functions of these names in the registry make, told as those of a question each."""
    asked = [
        spec.Question(key=name, heading=name, experiment=experiment, exhibits=[spec.Part(name=name)]) for name in names
    ]
    return telling.tell(spec.Chapter(questions=asked), tables).exhibits


def chapter(document):
    """The chapter of a document."""
    return chapters.read(chapters.folder(document))


def parts(document):
    """The names of all exhibits that a document's chapter asks for, in order."""
    return [part.name for question in chapter(document).questions for part in question.exhibits]


def reported(document):
    """What a document reports."""
    return yaml.safe_load((chapters.folder(document) / "document.yaml").read_text(encoding="utf-8"))


def references(document):
    """{file: the published curves in it} that a document names."""
    return {name: chapters.reference(chapters.folder(document) / name) for name in reported(document)["references"]}


def ledger(document):
    """The claims of a document."""
    return verdicts.ledger(chapters.folder(document) / "claims.yaml")


def judged(tables, document, ids=(), within=None):
    """{id: what claims.json says of it}, of all claims or of those with these ids.

    within: parts that replace those of every scope.
    """
    asked = [claim for claim in ledger(document) if not ids or claim.id in ids]
    if within:
        asked = [
            claim.model_copy(update={"within": claim.within.model_copy(update=within)}) if claim.within else claim
            for claim in asked
        ]
    return {item["id"]: item for item in verdicts.judge(asked, EVIDENCE, tables)}


def command(folder, study, output, document=None, cards=()):
    """The arguments of draw.py for a study whose cells.csv, tables/ and measures/ are in a folder.

    Writes config.json there, with an experiment for each that cells.csv names.
    """
    rows = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    names = list(dict.fromkeys(rows["experiment"])) if "experiment" in rows else [""]
    asked = [Experiment(study, name, (), (), (), True, "", ()).json for name in names]
    store.write_json(folder / "config.json", {"experiments": asked})
    given = {"cells": "cells.csv", "tables": "tables", "measures": "measures", "config": "config.json"}
    arguments = ["study", "--study", study, "--output", str(output), "--cards", *map(str, cards)]
    arguments += [word for name, file in given.items() for word in (f"--{name}", str(folder / file))]
    return [*arguments, *(["--document", str(chapters.folder(document))] if document else [])]
