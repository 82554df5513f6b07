"""Every exhibit, claim and answer of a finished run says which function made it, and from which files."""

import html
import importlib
import json
import re
from pathlib import Path

import pytest

from tests import pages
from tests.conftest import ROOT

CHAPTERS = ("data", "dynamics", "transferability", "vgg22", "convnets", "cinic")


def sources(tour: Path, chapter: str) -> dict[str, dict]:
    """{what it is: its source} of a chapter."""
    folder = tour / "figures" / chapter
    told = json.loads((folder / "exhibits.json").read_text(encoding="utf-8"))
    found = {f"exhibit {exhibit['name']}": exhibit["source"] for exhibit in told["exhibits"]}
    if (folder / "claims.json").exists():
        claims = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
        found |= {f"claim {claim['id']}": claim["source"] for claim in claims}
    asked = [(question["key"], answer) for question in told.get("questions", []) for answer in question["answer"]]
    return found | {f"answer {key}": answer["source"] for key, answer in asked}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_source_names_functions_and_files_that_are_there(tour, chapter):
    found = sources(tour, chapter)
    assert len(found) > 1
    places = (tour, tour / "tables", *(tour / "measures").iterdir(), tour.parents[1] / "data",
              ROOT / "report/documents" / chapter)  # fmt: skip
    for what, source in found.items():
        assert source["functions"] and source["files"], what
        for function in source["functions"]:
            module, _, name = function.rpartition(".")
            assert callable(getattr(importlib.import_module(module), name)), (what, function)
        for file in source["files"]:
            assert any((place / file).is_file() for place in places), (what, file)


def test_the_source_of_the_norms(tour):
    """One that is known beforehand: the function's own text says what it reads."""
    assert sources(tour, "dynamics")["exhibit norms"] == {
        "functions": ["weight_atlas.reporting.exhibits.weights.norms.norms"],
        "files": ["cells.csv", "movement.csv", "runs.csv", "summary.csv"],
    }


def test_every_link_of_every_page_leads_somewhere(tour):
    found = pages.pages(tour)
    assert sorted(found) == sorted(
        ["report", "data", "runs", "methods", *(f"study-{name}" for name in CHAPTERS if name != "data")]
    )
    assert pages.dead_links(found) == []


def test_the_page_says_each_of_them(tour):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", " ".join(pages.pages(tour).values())))
    text = html.unescape(text)
    for chapter in CHAPTERS:
        told = json.loads((tour / "figures" / chapter / "exhibits.json").read_text(encoding="utf-8"))
        shown = {f"answer {question['key']}" for question in told.get("questions", []) if question["exhibits"]}
        assert chapter == "data" or len(shown) > 3
        for what, source in sources(tour, chapter).items():
            if not what.startswith("answer") or what in shown:
                words = f"Made by {' and '.join(source['functions'])} from {', '.join(source['files'])}."
                assert words in text, what
