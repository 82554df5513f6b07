"""The report as several pages: which there are, what each is made from, and that all links between them hold."""

import json
import re
import shutil

import pandas as pd
import pytest

from tests import pages as read
from tests.unit.test_render import NASTY, Reader, sample
from weight_atlas.export import active
from weight_atlas.plan.pages import pages
from weight_atlas.reporting.pages import markdown, render

NAMES = ["report", "study-dynamics", "study-own_study", "data", "runs", "methods"]


def made(root, names=NAMES, **options):
    """The folder of the sample's results with these pages rendered."""
    arguments = sample(root, page="several", **options)
    for name in names:
        render.report(**arguments | {"output": arguments["output"].with_name(f"{name}.html")})
    return arguments["output"].parents[1]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        return made(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def no_quarto(monkeypatch):
    monkeypatch.setenv("PATH", "")


def test_a_study_may_be_called_as_any_other_page():
    found = pages(["runs", "report", "methods", "study-runs"], "several")
    assert list(found) == ["report", "study-runs", "study-report", "study-methods", "study-study-runs", *NAMES[3:]]
    assert found["study-report"] == ["report"] and found["runs"] == found["methods"] == []
    assert found["report"] == ["data", "runs", "report", "methods", "study-runs"]
    assert pages(["a"], "single") == {"report": ["data", "a"]}


def test_names_that_differ_in_punctuation_alone_have_labels_that_differ():
    assert markdown.slugs(["data", "a_b", "a-b", "A.b", "Data"]) == {
        "data": "data",
        "a_b": "a-b",
        "a-b": "a-b-2",
        "A.b": "a-b-3",
        "Data": "data-2",
    }


def test_every_link_of_every_page_leads_somewhere(results):
    found = read.pages(results)
    assert sorted(found) == sorted(NAMES) and read.dead_links(found) == []
    between = [link for page in found.values() for link in re.findall(r'href="([\w-]+\.html[^"]*)"', page)]
    assert {link.partition("#")[0] for link in between} == {f"{name}.html" for name in NAMES}
    for place in ("runs.html#sec-missing", "data.html#sec-data-digits-1a2b3c", "study-dynamics.html#claim-002-1"):
        assert place in between


def test_a_link_that_leads_nowhere_is_found(results):
    found = read.pages(results)
    spoilt = found | {"runs": found["runs"].replace('id="sec-missing"', 'id="sec-other"')}
    assert {address for _, address in read.dead_links(spoilt)} >= {"runs.html#sec-missing"}
    assert ("report", "methods.html") in read.dead_links({"report": found["report"]})


def test_each_page_is_whole_and_names_all_others(results):
    for name, page in read.pages(results).items():
        reader = Reader(page)
        loaded = [found[key] for _, found in reader.tags for key in ("src", "srcset", "poster") if key in found]
        assert all(address.startswith("data:") for address in loaded)
        ids = [found["id"] for _, found in reader.tags if "id" in found]
        assert len(ids) == len(set(ids))
        assert len(reader.all("div", role="navigation")) == 1
        links = [link["href"] for link in reader.all("a") if re.fullmatch(r"[\w-]+\.html", link["href"])]
        assert links[: len(NAMES)] == [f"{one}.html" for one in NAMES]
        assert [link["href"] for link in reader.all("a", **{"aria-current": "page"})] == [f"{name}.html"]
        levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False)), name
        plain = reader.text.replace(NASTY, "")
        assert [mark for mark in (":::", "{#", "@fig", "@tbl", "@sec", "](", "{{") if mark in plain] == []


def test_a_bundle_may_have_every_page_and_its_source(results):
    found = sorted((results / "report").iterdir())
    assert [path.name for path in found] == sorted(f"{name}.{kind}" for name in NAMES for kind in ("html", "qmd"))
    for path in found:
        assert active.problem(path.name, path.read_bytes()) is None, path.name
        assert active.reads(path.name)
    assert active.problem("other.html", b"<!DOCTYPE html><p>x") == "is of a kind that no bundle has"


def test_every_exhibit_and_claim_stands_on_one_page(results):
    found = {name: Reader(page) for name, page in read.pages(results).items()}
    for path in (results / "figures").glob("*/exhibits.json"):
        chapter = path.parent.name
        own = "data" if chapter == "data" else f"study-{chapter}"
        for exhibit in json.loads(path.read_text())["exhibits"]:
            kind = "tbl" if exhibit["kind"] == "table" else "fig"
            if kind == "tbl" and len(pd.read_csv(path.parent / exhibit["csv"])) == 1:
                continue  # a line of the page, which no link needs
            label = f"{kind}-{markdown.slug(chapter)}-{exhibit['name']}"
            assert [name for name, reader in found.items() if reader.all("figure", id=label)] == [own]
    for claim in json.loads((results / "figures/dynamics/claims.json").read_text()):
        at = [name for name, reader in found.items() if reader.all("div", id=f"claim-{claim['id']}")]
        assert at == ["study-dynamics"]
    assert found["study-dynamics"].texts["content"].startswith("Parameter dynamics")


@pytest.mark.usefixtures("no_quarto")
def test_a_page_is_made_from_its_own_chapters_alone(tmp_path):
    """So that Snakemake, which is told of these alone, makes again what is out of date and nothing else."""
    arguments = sample(tmp_path, page="several")
    shutil.rmtree(arguments["figures"] / "dynamics")
    for name in ("study-own_study", "data", "runs", "methods"):
        render.report(**arguments | {"output": arguments["output"].with_name(f"{name}.html")})
    for name in ("report", "study-dynamics"):
        with pytest.raises((ValueError, OSError), match="dynamics"):
            render.report(**arguments | {"output": arguments["output"].with_name(f"{name}.html")})


@pytest.mark.usefixtures("no_quarto")
def test_pages_of_what_is_no_longer_asked_for_are_removed(tmp_path):
    arguments = sample(tmp_path, page="several")
    folder = arguments["output"].parent
    folder.mkdir(parents=True)
    for name in (*NAMES[1:], "study-gone", "study-gone.notes", "mine", "report-of-last-week"):
        (folder / f"{name}.html").write_text("x")
    (folder / "study-gone.qmd").write_text("x")
    (folder / "study-gone.txt").write_text("x")
    render.report(**arguments)
    kept = {f"{name}.html" for name in (*NAMES, "mine", "report-of-last-week")}
    assert {path.name for path in folder.iterdir()} == kept | {"report.qmd", "study-gone.txt"}


@pytest.mark.usefixtures("no_quarto")
def test_one_page_to_send_needs_no_other(tmp_path):
    arguments = sample(tmp_path, page="single")
    render.report(**arguments)
    found = read.pages(arguments["output"].parents[1])
    assert list(found) == ["report"] and read.dead_links(found) == []
    reader = Reader(found["report"])
    assert not reader.all("div", role="navigation")
    assert len(reader.all("img")) == 8 and {"sec-methods", "sec-data", "sec-runs"} <= set(reader.texts)
