"""The report as PDF and for Word: nothing of the pages is lost, and every text comes out literally."""

import json
import re
import zipfile
from html import unescape

import pypdf
import pytest

from tests.unit.test_render import CLAIMS, NASTY, sample, squeezed
from weight_atlas.reporting.pages import paper, render

TITLE = 'Ends #in $x$ @fig-y <label> \\ "q" ~ * _ ` [b] // /* = '


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The arguments of the sample, and its PDF."""
    arguments = sample(tmp_path_factory.mktemp("paper"), page="several")
    config = json.loads(arguments["config"].read_text())
    arguments["config"].write_text(json.dumps(config | {"title": TITLE}))
    arguments["output"] = arguments["output"].with_suffix(".pdf")
    paper.paper(**arguments)
    return arguments, pypdf.PdfReader(arguments["output"])


def exhibits(arguments):
    """What exhibits.json says of all exhibits."""
    told = sorted(arguments["figures"].glob("*/exhibits.json"))
    return [exhibit for path in told for exhibit in json.loads(path.read_text())["exhibits"]]


def plain(text):
    """Text without spaces, at which lines break, and without what a PDF cannot tell of a letter."""
    return re.sub(r"\s|[\u200b\u00ad]", "", text)


def pictures(pdf):
    """The texts of the pictures in the structure of a tagged PDF."""
    found, left = [], [pdf.trailer["/Root"]["/StructTreeRoot"]]
    while left:
        node = left.pop().get_object()
        if isinstance(node, list):
            left += [child for child in node if hasattr(child.get_object(), "__iter__")]
        elif isinstance(node, dict):
            found += [node["/Alt"]] if node.get("/S") == "/Figure" else []
            left += [node["/K"]] if hasattr(node.get("/K"), "get_object") and "/K" in node else []
    return found


def test_the_pdf_has_every_figure_claim_and_file(made):
    arguments, pdf = made
    text = plain(" ".join(page.extract_text() for page in pdf.pages))
    told = exhibits(arguments)
    figures = [exhibit for exhibit in told if exhibit["kind"] == "figure"]
    assert sorted(map(squeezed, pictures(pdf))) == sorted(squeezed(exhibit["alt"]) for exhibit in figures)
    assert len(set(re.findall(r"Figure(\d+):", text))) == len(figures) > 5
    for exhibit in told:
        assert plain(exhibit["caption"]) in text, exhibit["name"]
    assert all(claim["id"] in text for claim in CLAIMS)
    content = {path.read_bytes() for path in arguments["figures"].glob("*/*.csv")}
    assert {data for files in pdf.attachments.values() for data in files} >= content
    assert "Howthiswasmade" in text, "what folds is open"


def test_texts_come_out_literally(made):
    arguments, pdf = made
    text = plain(" ".join(page.extract_text() for page in pdf.pages))
    assert plain(TITLE) in text and plain(NASTY) in text
    assert pdf.metadata.title == TITLE.strip()


def test_the_same_results_give_the_same_pdf(made, tmp_path):
    arguments, _ = made
    paper.paper(**arguments | {"output": tmp_path / "again.pdf"})
    assert (tmp_path / "again.pdf").read_bytes() == arguments["output"].read_bytes()


def test_word_has_every_figure_table_and_claim(made):
    arguments = made[0] | {"output": made[0]["output"].with_suffix(".docx")}
    paper.paper(**arguments)
    with zipfile.ZipFile(arguments["output"]) as archive:
        text = archive.read("word/document.xml").decode()
    words = plain(unescape(re.sub("<[^>]+>", "", text)))
    told = exhibits(arguments)
    figures = [exhibit for exhibit in told if exhibit["kind"] == "figure"]
    alts = re.findall(r'<wp:docPr descr="([^"]*)"', text)
    assert sorted(squeezed(unescape(alt)) for alt in alts) == sorted(squeezed(one["alt"]) for one in figures)
    assert all(plain(exhibit["caption"]) in words for exhibit in told)
    assert all(claim["id"] in words for claim in CLAIMS) and plain(TITLE) in words
    assert text.count("<w:tbl>") >= len(told) - len(figures)


@pytest.mark.parametrize("kind", ["pdf", "docx"])
def test_a_fault_is_told_in_one_line(tmp_path, monkeypatch, kind):
    arguments = sample(tmp_path)
    told = render.document.source
    monkeypatch.setattr(render.document, "source", lambda *given: told(*given) + "\nSee @fig-nobody.\n")
    with pytest.raises(ValueError, match="@fig-nobody refers to nothing") as caught:
        paper.paper(**arguments | {"output": tmp_path / f"report.{kind}"})
    assert "\n" not in str(caught.value) and not (tmp_path / f"report.{kind}").exists()
