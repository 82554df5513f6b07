"""The report: escaping, numbers, the filters' constructs, the choice of renderer, and the page of a small sample."""

import csv
import html.parser
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.pages import without_notes
from tests.unit.cells import record
from weight_atlas.reporting.grammar.answers import Answer, Verdict
from weight_atlas.reporting.grammar.source import Source
from weight_atlas.reporting.pages import arranged, document, gather, markdown, render
from weight_atlas.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "report"
NASTY = "<script>alert(1)</script> *x*| _y_ `z` [a](b) {#fig-x} ::: {{< video >}} @fig-x $q$ &lt; \\ ^u^ ~s~ \"'#"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="720" height="200" viewBox="0 0 720 200">'
    '<rect width="720" height="200" fill="white"/><circle cx="{x}" cy="100" r="60" fill="#0072B2"/></svg>\n'
)


# ------------------------------------------------------------------------------------------- a sample of results


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cell(study, role, dataset, network, optimizer, rate, replicates=3, **extra):
    cell_id = f"base-{dataset}-{network}-{optimizer}-0123abcd"
    settings = record(
        dataset_id=f"{dataset}-1a2b3c",
        network={"architecture": network},
        start={"kind": "init", "scheme": "kaiming_uniform"},
        training={
            "optimizer": {"type": optimizer, "lr": rate},
            "epochs": 4,
            "stages": [{"epochs": 4, "lr": rate, "frozen": []}],
        },
    )
    return {
        "cell_id": cell_id,
        "study": study,
        "kind": "base",
        "role": role,
        "dataset": dataset,
        "network": network,
        "init": "kaiming_uniform",
        "optimizer": optimizer,
        **extra,
        "replicates": replicates,
        "blocks": f"results/cells/{cell_id}/seeds_0-1;results/cells/{cell_id}/seeds_2-2",
        "parent": "",
        "group": f"{dataset}-{network}",
        "dataset_id": f"{dataset}-1a2b3c",
        "card": f"data/{dataset}-1a2b3c.json",
        "data": f"data/{dataset}-1a2b3c.safetensors",
        "parameters": 61706,
        "cell": json.dumps(settings),
    }


def run(cell, seed, status="done", cause=""):
    done = status == "done"
    return {
        "cell_id": cell["cell_id"],
        "seed": seed,
        "status": status,
        "cause": cause,
        "epochs": 4 if done else 1,
        "best_epoch": 3 if done else "",
        "wall_seconds": 10.5 + seed if done else "",
        "images_per_second": 2000 + seed if done else "",
        "peak_memory_mib": 512.25 if done else "",
        "peak_gpu_memory_mib": "",
        "device": "cpu",
        "device_name": "A processor",
        "threads": 1,
        "torch": "2.11.0",
    }


def draw(folder, chapter, exhibits, facts, **more):
    """Write a chapter's exhibits in the format of exhibits.json: (name, title, kind, rows, tab, behind) with plain
    pictures.

    more: what else exhibits.json says, `questions` and `closing`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for at, (name, title, kind, rows, *told) in enumerate(exhibits):
        tab, behind = [*told, "", ""][:2]
        write_csv(folder / f"{name}.csv", rows)
        file = {"svg": f"{name}.svg", "png": f"{name}.png", "table": None}[kind]
        if kind == "svg":
            (folder / file).write_text(SVG.format(x=100 + 100 * at))
        elif kind == "png":
            Image.new("RGB", (400, 120), (30 + 40 * at, 90, 160)).save(folder / file)
        entries.append(
            {
                "name": name,
                "title": title,
                "tab": tab,
                "behind": behind,
                "caption": f"The caption of {title}, with {NASTY}.",
                "alt": f'A picture of "{title}" | <b>bold</b> & more.',
                "kind": "table" if kind == "table" else "figure",
                "file": file,
                "csv": f"{name}.csv",
                "columns": list(rows[0]),
                "source": {"functions": [f"weight_atlas.drawn.{at}"], "files": ["cells.csv", f"{name}.csv"]},
            }
        )
    chapter = {"chapter": chapter, "exhibits": entries, "facts": facts} | more
    (folder / "exhibits.json").write_text(json.dumps(chapter))


def question(key, heading, exhibits, answer=()):
    """A question as exhibits.json has it."""
    words = f"How {key} is told."
    told = [one.json for one in answer]
    return {"key": key, "heading": heading, "words": words, "exhibits": exhibits, "answer": told}


SOURCE = Source(["weight_atlas.a.b", "weight_atlas.c.d"], ["x.csv"])
ANSWERS = [
    Answer("The answer is 42 %.", Verdict.YES, "toy", sure="q < 0.05, n = 3", source=SOURCE),
    Answer("So it is.", source=SOURCE),
    Answer("It may be 7.", Verdict.UNDECIDED, "other", sure="n = 3", decide="about 9 seeds", source=SOURCE),
]


QUESTIONS = [
    question("learnt", "What the networks learnt", ["accuracy", "accuracy-table"]),
    question("unchanged", "How many parameters stay exactly as they began?", ["unchanged"], ANSWERS),
    question("moved", "How far do they move, and when?", []),
    question("features", "Are the learnt features independent?", ["feature-correlation"]),
    question("alike", "Do all models learn the same features?", ["feature-cross-a", "feature-cross-b"]),
]
CLOSING = [
    {"key": "results", "heading": "Results", "words": "Of the above.", "sentences": ["It ends at 7 %.", "So, so."]},
    {"key": "discussion", "heading": "Discussion", "words": "Nothing to say.", "sentences": []},
]


CLAIMS = [
    {"id": f"002-{at}", "says": f"What they say, {NASTY}", "scope": "Only there.", "test": "exact", "verdict": verdict,
     "reason": f"Because of {at} %, *so*.", "numbers": [], "origin": "a tenth", "shows": "", "seen": verdict,
     "lean": "", "half": "", "double": "", "new": "", "seeds": None, "stated": "",
     "source": {"functions": ["weight_atlas.claims.judged"], "files": [] if at == 4 else ["runs.csv", "summary.csv"]}}
    for at, verdict in enumerate(
        ("artefact", "reproduced", "contradicted", "not testable here", "undecided", "toy"), 1)
]  # fmt: skip
CLAIMS[3] |= {"seen": ""}
CLAIMS[4] |= {
    "lean": "contradicted",
    "seeds": 12,
    "half": "undecided",
    "double": "contradicted",
    "shows": "It is small.",
    "stated": "Stated on a day.",
}
CLAIMS[5] |= {"seen": "reproduced"}
OUTSIDE = ("not testable here", "toy")


def sample(root, troubles=True, page="single"):
    """A small set of results below `root`; returns the arguments of render.report as a dict of paths.

    page: as the config says it.
    """
    cells = [
        cell("dynamics", "source", "fashion", "lenet5", "sgd", 0.1),
        cell("dynamics", "grid", "digits", "lenet5", "sgd", 0.1),
        cell("dynamics", "grid", "digits", "resnet18", "adam", 0.001),
        cell("own_study", "grid", "digits", "lenet5", "sgd", 0.1, replicates=2, level="a_b"),
    ]
    runs = [run(cell, seed) for cell in cells[:3] for seed in range(3)]
    if troubles:
        runs[4] = run(cells[1], 1, "failed", f"Traceback:\n\x1b[31mRuntimeError\x1b[0m: {NASTY}")
        runs[6] = run(cells[2], 0, "diverged", "the loss is nan at epoch 2")
        del runs[8]
    results = root / "results" / "sample"
    write_csv(results / "cells.csv", cells)
    write_csv(results / "tables" / "runs.csv", runs)
    for name in ("movement", "unchanged", "features", "statistics"):
        write_csv(results / "tables" / f"{name}.csv", [{"cell_id": cells[0]["cell_id"], "seed": 0}])
    numbers = [{"network": "lenet5", "n": 3, "of": 3, "mean": 0.98 + at / 7, "empty_one": ""} for at in range(40)]
    draw(
        results / "figures" / "dynamics",
        "dynamics",
        [
            ("accuracy", "Test accuracy", "svg", numbers),
            ("accuracy-table", "Test accuracy in numbers", "table", numbers),
            ("unchanged", "Exactly unchanged", "svg", numbers[:3]),
            ("feature-correlation", "Correlation", "png", numbers[:2]),
            ("feature-cross-a", "Cross", "svg", numbers[:2], "first, *a*"),
            ("feature-cross-b", "Cross", "svg", numbers[:2], "second | b"),
            ("surprise", "Something new", "svg", numbers[:2]),
        ],
        {
            "sentences": ["A sentence with a number in it."],
            "left_out": ["The exhibit norms is left out: <no> rows."],
        },
        questions=QUESTIONS,
        closing=CLOSING,
    )
    (results / "figures" / "dynamics" / "claims.json").write_text(json.dumps(CLAIMS))
    own = [
        ("accuracy-table", "Accuracy in numbers", "table", numbers[:5], "", "accuracy"),
        ("accuracy", "Accuracy", "svg", numbers[:5]),
        ("sources", "The source", "table", numbers[:1]),
    ]
    draw(results / "figures" / "own_study", "own_study", own, {})
    pictures = [("pictures-digits-1a2b3c", "Digits", "png", [{"class": 0, "index": 7}])]
    draw(results / "figures" / "data", "data", [*pictures, ("counts", "Counts", "table", numbers[:4])], {})
    cards = []
    for name in ("digits", "fashion"):
        card = {
            "dataset_id": f"{name}-1a2b3c",
            "title": f"The {name} | <i>set</i>",
            "source": name,
            "classes": ["zero", "one"],
            "channels": 1,
            "size": [28, 28],
            "counts": {"train": [1100, 1101], "valid": [20, 20], "test": [30, 31]},
            "mean": [0.30412],
            "std": [0.32756],
            "notes": [f"How it was made: {NASTY}"],
            "warnings": [f"Look at {NASTY}"] if name == "digits" else [],
            "repeats": {"test_in_train": 12 if name == "digits" else 0, "test_in_valid": 0},
            "sha256": {"digits": "ab", "fashion": "cd"}[name] * 32,
        }
        cards.append(root / "data" / f"{name}-1a2b3c.json")
        cards[-1].parent.mkdir(exist_ok=True)
        cards[-1].write_text(json.dumps(card))
    config = {
        "name": "sample",
        "title": f"A title with {NASTY}",
        "page": page,
        "text": "What this is.\n\nAnd *more* of it.",
        "studies": {
            "dynamics": {"title": "Parameter dynamics", "text": "1. Do they move?\n\n- At all?"},
            "own_study": {"title": None, "text": None},
        },
    }
    (results / "config.json").write_text(json.dumps(config))
    return {
        "cells": results / "cells.csv",
        "tables": results / "tables",
        "figures": results / "figures",
        "cards": cards,
        "config": results / "config.json",
        "templates": TEMPLATES,
        "output": results / "report" / "report.html",
    }


# ------------------------------------------------------------------------------------------- reading HTML back


class Reader(html.parser.HTMLParser):
    """The tags of a page in order as (tag, attributes), and its text without script and style.

    plain: without the numbers of footnotes.
    """

    def __init__(self, page, plain=True):
        super().__init__()
        self.tags, self.text, self.texts, self._open = [], "", {}, []
        page = page.replace("\u2060", "")  # in the braces of what would be a shortcode
        self.feed(without_notes(page) if plain else page)
        self.text = squeezed(self.text)
        self.texts = {name: squeezed(text) for name, text in self.texts.items()}

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "link", "meta", "br", "hr", "input", "col", "!doctype"):
            self._open.append(dict(attributes).get("id") if tag not in ("script", "style") else "")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self._open.pop()

    def handle_data(self, data):
        if "" in self._open:
            return
        self.text += data
        for name in filter(None, self._open):
            self.texts[name] = self.texts.get(name, "") + data

    def all(self, tag, **attributes):
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]


def squeezed(text):
    """Text as a browser lays it out: a line break of the source is a space (a hard space stays one)."""
    return re.sub(r"[ \n]+", " ", text).strip()


@pytest.fixture(autouse=True)
def no_quarto(monkeypatch, tmp_path):
    """Only Pandoc renders, whatever this machine has."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@pytest.fixture
def convert(tmp_path):
    """Render Markdown (body, front matter) as the report is; returns its Reader."""
    folder = tmp_path / "document"
    folder.mkdir()
    for name in document.FILES:
        shutil.copyfile(TEMPLATES / name, folder / name)
    (folder / "a.svg").write_text(SVG.format(x=1))

    def body(text, head="title: T\nlang: en\nbibliography: references.bib"):
        (folder / "report.qmd").write_text(f"---\n{head}\n---\n\n{text}\n", encoding="utf-8")
        assert render.render(folder) == "pandoc"
        return Reader((folder / "report.html").read_text(encoding="utf-8"))

    body.folder = folder
    return body


SCRIPTS = 3  # of the page itself: whether it is dark before it shows, page.js, exhibits.js


# ------------------------------------------------------------------------------------------- escaping


TEXTS = [
    NASTY,
    "<b>bold</b>",
    "*x*|",
    "1. one",
    "(a) one",
    "- one",
    "+ one",
    ": one",
    "# one",
    "> one",
    "--- ... 'it' \"is\"",
    "Table: a caption?",
    "***",
    "===",
    "a@fig-b and @nobody2020",
    "http://example.org/a_b_c",
    "50 % of x_1^2 \\alpha $5 {.class} [^1] ![x](y)",
    "‖θ − θ₀‖ · ünïcode 漢字",
    "{{< include x >}} {{% y %}}",
    "|",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_out_literally_wherever_it_stands(convert, text):
    table = markdown.table(["h " + text, "n"], [[text, "1"], ["plain", "2"]], text, "tbl-t")
    page = convert(
        f"{markdown.escape(text)}\n\n# {markdown.escape(text)} {{#here}}\n\n"
        f"![{markdown.escape(text)}](a.svg){{#fig-f fig-alt={markdown.attribute(text)}}}\n\n{table}\n",
        f"title: {markdown.quoted(text)}\nlang: en\nbibliography: references.bib",
    )
    shown = page.text.replace("\u00a0%", " %")
    # The page's title (twice), the paragraph, the heading and its entry in the contents, two captions, two cells.
    assert shown.count(text) == 9
    assert page.all("img")[0]["alt"] == text
    assert not page.all("b") and not page.all("em") and len(page.all("script")) == SCRIPTS
    assert len(page.all("td")) == 4


def test_text_becomes_one_line_without_control_characters():
    assert markdown.escape("a\n b\t\x1b[31mred\x1b[0m") == "a b red"
    assert markdown.escape("a\u00a0b\u202fc") == "a\u00a0b\u202fc"
    assert markdown.escape("a\x00b\u202egnp\u2028\x85\udcff") == r"a\\x00b\\u202egnp\\u2028\\x85\\udcff"
    assert markdown.escape("می\u200cخواهم 👩\u200d🔬") == "می\u200cخواهم 👩\u200d🔬"
    assert "a\\x00\nb\\u202e" in markdown.fence("a\x00\nb\u202e")


def test_paragraphs_stay_apart_and_literal(convert):
    page = convert(markdown.paragraphs("1. first\nstill first\n\n- second"))
    assert page.all("p") and not page.all("li")
    assert "1. first still first" in page.text and "- second" in page.text


@pytest.mark.parametrize("text", ["plain", "two\nlines", "```\nfence ````` in it", "<b>{{< x >}}"])
def test_code_comes_out_literally(convert, text):
    page = convert(markdown.fence(text))
    assert squeezed(text) in page.text and len(page.all("pre")) == 1
    assert markdown.code("a_b-c.1/d") == "`a_b-c.1/d`"
    assert markdown.code("a`|{{<") == "a\\`\\|\\{\\{\\<"


def test_templates_escape_by_themselves(tmp_path):
    (tmp_path / "page.qmd.j2").write_text("{% macro m(x) %}[{{ x }}](y){% endmacro %}{{ m(v) }} {{ n }} {{ m(m(v)) }}")
    assert document.source(tmp_path, {"v": "*a*", "n": 3}) == "[\\*a\\*](y) 3 [[\\*a\\*](y)](y)"
    (tmp_path / "page.qmd.j2").write_text("{{ nobody }}")
    with pytest.raises(Exception, match="nobody"):
        document.source(tmp_path, {})


# ------------------------------------------------------------------------------------------- numbers


def read_back(text):
    """A number as it is shown, as float: an independent reading of it."""
    text = text.replace("−", "-").replace(",", "")
    mantissa, _, power = text.partition(" × 10^")
    return float(mantissa) * 10.0 ** float(power.rstrip("^") or 0)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.0123456, 1234.567, 5.4321e-7, -9.87e12, 0.99951, 61706, 1e-4, 123456.7])
def test_number_keeps_three_digits(value):
    shown = markdown.number(value)
    assert read_back(shown) == pytest.approx(value, rel=5e-3, abs=1e-300)
    assert "-" not in shown


def test_number_of_nothing_is_a_dash():
    assert {markdown.number(value) for value in (None, "", float("nan"), "nan")} == {"–"}


def test_column_of_measurements_has_one_number_of_decimals():
    cells, numeric = markdown.column(["0.9812345678", "-0.5", "", "nan", "0.25"])
    assert numeric and cells == ["0.9812", "−0.5000", "–", "–", "0.2500"]


def test_column_over_many_magnitudes_keeps_digits_of_each():
    values = ["123456.789", "0.00000123456", "0.5"]
    cells, numeric = markdown.column(values)
    assert numeric and [read_back(cell) for cell in cells] == pytest.approx(
        [float(value) for value in values], rel=5e-3
    )


def test_columns_of_settings_counts_and_text():
    assert markdown.column(["0.001", "0.1", "1e-08"]) == (["0.001", "0.1", "1e−08"], True)
    assert markdown.column(["61706", "-3", ""]) == (["61,706", "−3", "–"], True)
    assert markdown.column(["none", "sgd", ""]) == (["none", "sgd", "–"], False)
    assert markdown.column(["", "nan"]) == (["–", "nan"], False)
    assert markdown.column([]) == ([], False)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(4.23, "4.23 s"), (59.6, "59.6 s"), (750, "12 min 30 s"), (61, "1 min 01 s"), (11100, "3 h 05 min")],
)
def test_duration(seconds, shown):
    assert markdown.duration(seconds).replace("\u00a0", " ") == shown


def test_settings_are_split_into_shared_and_own():
    cells = [json.loads(cell("s", "grid", "d", "n", "sgd", rate)["cell"]) for rate in (0.1, 0.2)]
    cells = [{"cell_id": str(at), "settings": Settings.parse(settings)} for at, settings in enumerate(cells)]
    shared, own = gather.settings(cells)
    assert shared["training.epochs"] == "4" and shared["network.options"] == "none"
    assert shared["training.stages[0].epochs"] == "4"
    assert own == {
        str(at): {"training.optimizer.lr": rate, "training.stages[0].lr": rate}
        for at, rate in enumerate(("0.1", "0.2"))
    }


# ------------------------------------------------------------------------------------------- the filter's constructs


@pytest.mark.parametrize("kind", ["note", "tip", "warning", "important", "caution"])
def test_callout(convert, kind):
    page = convert(f"::: {{.callout-{kind}}}\nSome *text*.\n:::")
    assert page.all("div", **{"class": f"callout callout-{kind}", "role": "note"})
    assert kind.title() in page.text and "Some text." in page.text and ":::" not in page.text


def test_callout_titles_and_folding(convert):
    page = convert(
        '::: {.callout-note title="By *attribute*"}\nx\n:::\n\n'
        '::: {.callout-tip collapse="true" #folded}\n## By heading\n\ny\n:::\n\n'
        '::: {.callout-warning collapse="false"}\nz\n:::'
    )
    details = page.all("details", id="folded") + page.all("details", **{"class": "callout callout-warning"})
    assert len(details) == 2 and "open" not in details[0] and "open" in details[1]
    assert "By attribute" in page.text and len(page.all("em")) == 1
    assert "By heading" in page.texts["folded"]
    assert not page.all("h2") and not page.all("h3")


def test_callout_numbers_follow_the_document(convert):
    page = convert(
        "See @tbl-b, @fig-a and @fig-c.\n\n::: {.callout-note}\n![A](a.svg){#fig-a}\n\n"
        "| x |\n|---|\n| 1 |\n\n: B {#tbl-b}\n:::\n\n"
        "::: {.panel-tabset}\n## One\n\n![C](a.svg){#fig-c}\n\n## Two\n\ntwo\n:::"
    )
    assert "See Table\u00a01, Figure\u00a01 and Figure\u00a02." in page.text
    assert "Figure 1: A" in page.text and "Table 1: B" in page.text and "Figure 2: C" in page.text


def test_tabset_is_a_tablist_of_tabs_and_panels(convert):
    page = convert(
        "::: {.panel-tabset}\n## One\n\nfirst\n\n### Deeper\n\n## *Two*\n\nsecond\n:::\n\n# After {#sec-after}"
    )
    tabs, panels = page.all("button", role="tab"), page.all("div", role="tabpanel")
    assert len(page.all("div", role="tablist")) == 1 and len(tabs) == len(panels) == 2
    assert [tab["aria-controls"] for tab in tabs] == [panel["id"] for panel in panels]
    assert [panel["aria-labelledby"] for panel in panels] == [tab["id"] for tab in tabs]
    assert [tab["aria-selected"] for tab in tabs] == ["true", "false"]
    assert [tab["tabindex"] for tab in tabs] == ["0", "-1"]
    assert "first" in page.texts[panels[0]["id"]] and "second" in page.texts[panels[1]["id"]]
    assert "Two" in page.texts[tabs[1]["id"]]


def test_cross_references_are_numbered_links(convert):
    page = convert(
        "![Cap](a.svg){#fig-one}\n\n| a |\n|---|\n| 1 |\n\n: Tab {#tbl-one}\n\n![Other](a.svg){#fig-two}\n\n"
        "A @fig-one B @Fig-two C @tbl-one D [-@fig-two] E [@fig-one; @fig-two] F."
    )
    space = "\u00a0"
    expected = f"A Figure{space}1 B Figure{space}2 C Table{space}1 D 2 E Figure{space}1, Figure{space}2 F."
    assert expected in page.text
    assert page.text.count("Figure 1: Cap") == 1 and "Table 1: Tab" in page.text
    links = [link["href"] for link in page.all("a", **{"class": "crossref"})]
    assert links == ["#fig-one", "#fig-two", "#tbl-one", "#fig-two", "#fig-one", "#fig-two"]
    ids = {found["id"] for _, found in page.tags if "id" in found}
    assert {link[1:] for link in links} <= ids


@pytest.mark.parametrize("marks", ["#", "##"])
def test_the_first_headings_follow_the_title(convert, marks):
    """Whatever their level in the source; those of callouts and tabs are none."""
    page = convert(f"::: {{.callout-note}}\n# No\n\nx\n:::\n\n{marks} One\n\n{marks}# Two\n\n{marks} Three")
    levels = [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels == ["h1", "h2", "h3", "h2"] and "No" in page.text


def test_figures_have_their_alternative_text(convert):
    page = convert('![A *cap*](a.svg){#fig-a fig-alt="What \\"it\\" shows" width=50}\n\n![](a.svg){fig-alt="Bare"}')
    first, second = page.all("img")
    assert first["alt"] == 'What "it" shows' and first["width"] == "50" and second["alt"] == "Bare"
    assert not {"fig-alt", "data-fig-alt"} & set(first)
    for image in (first, second):  # as text, which is smaller than base64
        kind, _, data = image["src"].partition(",")
        assert kind == "data:image/svg+xml" and urllib.parse.unquote(data) == SVG.format(x=1)
    assert "Figure 1: A cap" in page.text and page.all("figure", id="fig-a")


def test_figure_divs_have_lettered_parts_and_columns(convert):
    page = convert(
        "::: {#fig-all layout-ncol=2}\n![One](a.svg){#fig-one}\n\n![Two](a.svg)\n\nTogether\n:::\n\n"
        "@fig-all, @fig-one.\n\n::: {layout-ncol=3}\none\n\ntwo\n:::\n\n::: {#fig-box}\nWords in a box.\n\nA box\n:::"
    )
    assert "Figure\u00a01, Figure\u00a01 (a)." in page.text
    assert "(a) One" in page.text and "(b) Two" in page.text and "Figure 1: Together" in page.text
    assert "Figure 2: A box" in page.text
    assert [box["style"] for box in page.all("div", **{"class": "columns"})] == ["--columns: 2", "--columns: 3"]
    assert page.all("figure", id="fig-all") and page.all("figure", id="fig-one")


def test_tables_have_a_box_and_a_caption_outside_of_it(convert):
    wide = "| " + " | ".join(f"column {at}" for at in range(40)) + " |"
    page = convert(
        f"{wide}\n|{'---|' * 40}\n{wide}\n\n: Wide {{#tbl-wide}}\n\n"
        "::: {#tbl-div}\n| a |\n|---|\n| 1 |\n\nBy div\n:::\n\n| bare |\n|---|\n| 1 |\n\nSee @tbl-div."
    )
    boxes = page.all("div", role="group", tabindex="0")
    assert len(boxes) == 3 and boxes[2]["aria-label"] == "Table"
    for box, caption in zip(boxes, ("Table 1: Wide", "Table 2: By div"), strict=False):
        assert page.texts[box["aria-labelledby"]] == caption
    assert not page.all("col") and not page.all("caption")
    assert "See Table\u00a02." in page.text


def test_citations_are_citeprocs(convert):
    page = convert(
        "As [@he2015] and @kingma2015 say of @fig-a.\n\n![A](a.svg){#fig-a}\n\n# References\n\n::: {#refs}\n:::"
    )
    assert re.search(r"As \(He et al\. 2015\) and Kingma and Ba \(2015\) say of Figure\s1\.", page.text)
    assert "Delving Deep into Rectifiers" in page.texts["refs"]


def test_percent_signs_stay_with_their_numbers(convert):
    page = convert("It is 61.86 % of all, and 5 % more. Two % signs.")
    assert "61.86\u00a0% of all, and 5\u00a0% more. Two % signs." in page.text


GLOSSARY = yaml.safe_load((TEMPLATES / "glossary.yaml").read_text(encoding="utf-8"))["entries"]


def notes(convert, text):
    """The words that a page explains, and its text with a mark behind each."""
    convert(text)
    page = (convert.folder / "report.html").read_text(encoding="utf-8")
    marked = re.sub(r'<a\s[^>]*class="footnote-ref"[^>]*>.*?</a>', "*", page, flags=re.DOTALL)
    body = squeezed(re.sub(r"<[^>]+>", "", marked.split("<main")[1].split('class="footnotes')[0]))
    return re.findall(r'id="fn\d+"><p><strong>([^<]+)</strong>', page), body


@pytest.mark.parametrize("entry", GLOSSARY, ids=lambda entry: entry["words"][0])
def test_every_word_of_the_glossary_is_explained_where_it_first_stands(convert, entry):
    for word in entry["words"]:
        chip = f"[{word}]{{.verdict}}"
        text = f"A {chip} that is.\n\nAnd {chip}" if " " in word else f"A ({word}), that is.\n\nAnd {word}."
        found, body = notes(convert, text)
        assert found == [entry["words"][0]] and body.count("*") == 1
        assert re.search(rf"A \(?{word}\)?,?\*", body), body
        page = Reader((convert.folder / "report.html").read_text(encoding="utf-8"))
        assert squeezed(entry["says"]).rstrip(".") in page.text.replace("\u00a0", " ")


def test_a_word_is_explained_in_the_text_alone(convert):
    elsewhere = (
        "# A cell {#a}\n\n[a cell](#a) `cell` [cell]{.x}\n\n| cell |\n|---|\n| cell |\n\n: Of cells {#tbl-x}\n\n"
        "![The cell](a.svg){#fig-x}\n\n::: {.strip}\n- the cell\n:::\n"
    )
    found, body = notes(convert, elsewhere.replace("[cell]{.x}", "") + "\nThe last cell, and the cells.")
    assert found == ["cell"] and "The last cell,* and the cells." in body
    assert notes(convert, "The cellar of a subcell, celled.")[0] == []
    assert notes(convert, "Q and cka, *cell*, [Cells]{.sure}")[0] == ["cell"], "letters alone are meant as they stand"
    assert notes(convert, "::: {.callout-note}\nq < 0.05 in a cell\n:::\n\n- CKA")[0] == ["q", "cell", "CKA"]


def test_math_is_mathml(convert):
    page = convert("$$\\bar{x} \\pm \\frac{s}{\\sqrt{n}}$$")
    assert len(page.all("math")) == 1 and page.all("mfrac") and "$$" not in page.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("See @fig-nobody.", "@fig-nobody refers to nothing"),
        ("See [@tbl-nobody].", "@tbl-nobody refers to nothing"),
        ("# A {#sec-a}\n\nSee @sec-a.", "@sec-a refers to nothing"),
        ("See @eq-one.\n\n$$x$$ {#eq-one}", "@eq-one refers to nothing"),
        ("![A](a.svg){#fig-a}\n\n![B](a.svg){#fig-a}", "#fig-a is used twice"),
        ("See @nobody2020.", "nobody2020"),
        ("![A](nobody.svg)", "nobody.svg"),
        ("[numbers](nobody.csv)", "nobody.csv"),
        ("::: {#tbl-a}\nno table\n\nCaption\n:::", "#tbl-a"),
    ],
)
def test_what_a_reader_would_stumble_over_is_an_error(convert, text, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        convert(text)
    assert "\n" not in str(caught.value)


def test_all_references_to_nothing_are_named_at_once(convert):
    with pytest.raises(ValueError, match="@fig-a refers to nothing.*@fig-b refers to nothing"):
        convert("@fig-a and @fig-b")


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        bytes(range(256)) * 3,
        'x,"quoted, ""twice""",%41&#;?=+\r\nünï,漢字,\n'.encode(),
        b"",
    ],
)
def test_csv_files_are_carried_byte_for_byte(convert, content):
    (convert.folder / "deep").mkdir(exist_ok=True)
    (convert.folder / "deep" / "a.csv").write_bytes(content)
    page = convert(
        '[numbers](deep/a.csv){download="other.csv"} [again](deep/a.csv) [not](https://example.org/a.csv) [a](a.txt)'
    )
    links = [link for link in page.all("a") if link["href"].startswith("data:")]
    assert [link["download"] for link in links] == ["other.csv", "a.csv"]
    for link in links:
        kind, _, data = link["href"].partition(",")
        assert kind == "data:text/csv;charset=utf-8"
        assert urllib.parse.unquote_to_bytes(data) == content
    assert {"https://example.org/a.csv", "a.txt"} <= {link["href"] for link in page.all("a")}


# ------------------------------------------------------------------------------------------- Quarto


def fake_quarto(monkeypatch, folder, script):
    """Put a `quarto` first on PATH that notes its arguments and its folder, then runs the shell script."""
    folder.mkdir()
    program = folder / "quarto"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/arguments"\nls > "{folder}/files"\n{script}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")


# What Quarto 1.11 says of faults, with its colours; it ends well all the same. The last is an error of our filter.
UNRESOLVED = (
    "\x1b[33mWARNING (/opt/quarto/share/filters/main.lua:128) Unable to resolve crossref @fig-nobody\n"
    "\x1b[39mOutput created: report.html\n"
)
SHORTCODE = (
    "\x1b[33mWARNING (/opt/quarto/share/filters/main.lua:461) Shortcode 'nobody' not found\n"
    "\x1b[39mOutput created: report.html\n"
)
TWICE = "\x1b[31mERROR ([C]:-1) the label #fig-a is used twice\n\x1b[39mOutput created: report.html\n"


def quarto_says(words, page="x"):
    """A shell script that prints the words and leaves a page."""
    return f"printf %s {shlex.quote(words)} >&2; printf %s {shlex.quote(page)} > report.html"


def test_quarto_renders_where_it_is(monkeypatch, tmp_path):
    fake_quarto(monkeypatch, tmp_path / "bin", "echo 'WARNING: a harmless one' >&2; echo made by quarto > report.html")
    arguments = sample(tmp_path)
    assert render.report(**arguments) == "quarto"
    assert arguments["output"].read_text() == "made by quarto\n"
    assert (tmp_path / "bin" / "arguments").read_text().split() == ["render", "report.qmd", "--to", "html"]
    files = (tmp_path / "bin" / "files").read_text().split()
    assert {"report.qmd", "figures", "runs.csv", "cells.csv", *document.FILES} <= set(files)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (quarto_says(UNRESOLVED), "Unable to resolve crossref @fig-nobody"),
        (quarto_says(SHORTCODE), "Shortcode 'nobody' not found"),
        (quarto_says("[WARNING] Citeproc: citation nobody2020 not found\n"), "citation nobody2020 not found"),
        (quarto_says("[WARNING] Could not fetch resource nobody.svg\n"), "Could not fetch resource nobody.svg"),
        (quarto_says("", "<img src='x'><img src=\"no.svg\">"), "no.svg, which the document names, is not there"),
        (quarto_says(TWICE), "the label #fig-a is used twice"),
        ("echo 'ERROR: no idea' >&2; exit 3", "quarto failed (3): ERROR: no idea"),
        ("true", "made no report.html"),
    ],
)
def test_quarto_may_not_warn_of_a_fault(monkeypatch, tmp_path, script, words):
    fake_quarto(monkeypatch, tmp_path / "bin", script)
    arguments = sample(tmp_path)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        render.report(**arguments)
    assert "\n" not in str(caught.value)
    assert not arguments["output"].exists() and not arguments["output"].with_suffix(".qmd").exists()


# Keys of https://quarto.org/docs/reference/formats/html.html and of its filters, crossref and bibliography pages.
DOCUMENTED = {"title", "subtitle", "date", "lang", "from", "bibliography", "link-citations", "crossref", "filters"}
DOCUMENTED_HTML = {"template", "minimal", "theme", "toc", "toc-depth", "html-math-method"}


def test_front_matter_is_quartos(tmp_path):
    arguments = sample(tmp_path)
    render.report(**arguments)
    source = arguments["output"].with_suffix(".qmd").read_text(encoding="utf-8")
    head = yaml.safe_load(source.split("---\n")[1])
    assert set(head) - {"format"} <= DOCUMENTED and set(head["format"]) == {"html"}
    assert set(head["format"]["html"]) <= DOCUMENTED_HTML
    assert head["format"]["html"]["template"] == "template.html" and head["format"]["html"]["minimal"] is True
    # Our filters go before all of Quarto's, which then number nothing again.
    assert head["filters"] == [{"at": "pre-ast", "path": f"{name}.lua"} for name in ("glossary", "filter")]
    assert head["crossref"] is False
    # No cell that runs code, no shortcode, no label with an underscore, and every fenced div is closed.
    assert "```{" not in source and "{{<" not in source
    assert not re.search(r"\{#[\w-]*_", source)
    fences = re.findall(r"^(:{3,})(.*)$", source, re.MULTILINE)
    assert sum(bool(rest.strip()) for _, rest in fences) == sum(not rest.strip() for _, rest in fences) > 4


# ------------------------------------------------------------------------------------------- the whole report


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(the arguments, the source, the page) of the sample's report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        arguments = sample(tmp_path_factory.mktemp("sample"))
        assert render.report(**arguments) == "pandoc"
    page = arguments["output"].read_text(encoding="utf-8")
    return arguments, arguments["output"].with_suffix(".qmd").read_text(encoding="utf-8"), page


def test_report_is_one_page_with_everything_in_it(made):
    arguments, _, page = made
    reader = Reader(page, plain=False)
    assert sorted(path.name for path in arguments["output"].parent.iterdir()) == ["report.html", "report.qmd"]
    sources = [found[key] for _, found in reader.tags for key in ("src", "srcset", "poster") if key in found]
    assert sources and all(source.startswith("data:") for source in sources)
    assert [link["href"] for link in reader.all("link")] == ["data:,"]
    assert "@import" not in page and "url(http" not in page
    ids = [found["id"] for _, found in reader.tags if "id" in found]
    assert len(ids) == len(set(ids))
    for link in reader.all("a"):
        assert re.match(r"#|data:text/csv|https://(doi|arxiv)\.org/", link["href"])
        assert not link["href"].startswith("#") or link["href"][1:] in ids
    assert all(image["alt"] for image in reader.all("img"))
    assert reader.all("html")[0]["lang"] == "en" and reader.all("main") and reader.all("nav")


def test_report_shows_text_literally_and_no_markers(made):
    reader = Reader(made[2])
    text = reader.text
    assert text.count(f"A title with {NASTY}") == 2  # title and heading
    assert text.count(f"How it was made: {NASTY}") == 2
    assert text.count(f"Look at {NASTY}") == 1
    assert f"Traceback: RuntimeError: {NASTY}" in text
    assert "1. Do they move?" in text and "- At all?" in text and "And *more* of it." in text
    assert "The digits | <i>set</i>" in text and "<no> rows." in text
    plain = text.replace(NASTY, "")
    for marker in (":::", "{#", "@fig", "@tbl", "@sec", "{{<", "{.", "![", "](", "**", "${", "{{", "{%"):
        assert marker not in plain
    assert len(reader.all("script")) == SCRIPTS and not reader.all("i")
    assert (
        reader.all("img")[-1]["alt"].startswith('A picture of "')
        and "<b>bold</b> & more." in reader.all("img")[-1]["alt"]
    )


def test_first_page_says_which_test_images_are_training_images(made):
    text = Reader(made[2]).text.replace("\xa0", " ")
    short = text.split("A mean is over")[1].split("Studies Parameter dynamics")[0]
    assert "The digits | <i>set</i>: its test images are not all new" in short
    assert "12 of 61 test images (19.7 %) are training images too, equal in every pixel." in short
    assert "validation images too" not in short
    assert "The fashion | <i>set</i>: its test images" not in short
    assert "There are warnings on 1 data set: The digits | <i>set</i>." in short


def test_report_counts_replicates(made):
    """4 cells with 3, 3, 3 and 2 replicates: 11; of dynamics one failed, one diverged and one is missing, of the own
    study (whose cell has the same id as the first one of the grid) none is its own."""
    arguments, _, page = made
    cells, runs = read_csv(arguments["cells"]), read_csv(arguments["tables"] / "runs.csv")
    most = {}
    for row in cells:
        most[row["cell_id"]] = max(most.get(row["cell_id"], 0), int(row["replicates"]))
    done = sum(run["status"] == "done" for run in runs)
    text = Reader(page).text
    assert (len(most), sum(most.values()), done) == (3, 9, 6)
    assert "6 of 9 replicates done" in text and "3 of 9 replicates not done" in text
    assert "1 diverged, 1 failed, 1 missing." in text
    assert "1 cell with 1 of 2 replicates done" in text  # the own study asks for seeds 0 and 1, and seed 1 failed
    assert (
        "2 cells with 3 of 6 replicates done, and 1 source cell, whose weights others start from, with 3 of 3." in text
    )
    seconds = sum(float(run["wall_seconds"]) for run in runs if run["status"] == "done")
    assert f"{int(seconds // 60)}\u00a0min\u00a0{round(seconds) % 60:02d}\u00a0s of training" in text


def test_report_says_how_to_retry(made):
    arguments, _, page = made
    text = Reader(page).text
    assert "--config retry_failed=true How it was run" in text and text.count("retry_failed") == 1
    retry = "snakemake --cores all --configfile x.yaml --config retry_failed=true"
    config = json.loads(arguments["config"].read_text()) | {"retry": retry}
    other = arguments["config"].with_name("other.json")
    other.write_text(json.dumps(config))
    context = gather.gather(*(arguments[key] for key in ("cells", "tables", "figures", "cards")), other)
    assert f"\n{retry}\n" in document.source(TEMPLATES, context)


def test_report_shows_means_with_their_number(made):
    text = Reader(made[2]).texts["tbl-runs-dynamics"]
    # The resnet18's one finished replicate is seed 1; of the grid's lenet5 seeds 0 and 2 are done, of the source all.
    assert "resnet18 kaiming_uniform adam grid 61,706 4 1 of 3 11.5\u00a0s 2,001 512" in text
    assert "digits lenet5 kaiming_uniform sgd grid 61,706 4 2 of 3 11.5\u00a0s 2,001 512" in text
    assert "fashion lenet5 kaiming_uniform sgd source 61,706 4 3 of 3 11.5\u00a0s 2,001 512" in text


def test_report_has_every_chapter_and_exhibit(made):
    arguments, source, page = made
    reader = Reader(page)
    for path in arguments["figures"].glob("*/exhibits.json"):
        for exhibit in json.loads(path.read_text())["exhibits"]:
            kind = "tbl" if exhibit["kind"] == "table" else "fig"
            label = f"{kind}-{markdown.slug(path.parent.name)}-{exhibit['name']}"
            alone = exhibit["name"] == "sources"  # a table of one row is a line without a label
            assert source.count(f"{{#{label}") == (not alone) and alone != bool(reader.all("figure", id=label))
            assert f"The caption of {exhibit['title']}, with" in (reader.text if alone else reader.texts[label])
    carried = [urllib.parse.unquote_to_bytes(a["href"].partition(",")[2]) for a in reader.all("a") if "download" in a]
    files = [*arguments["figures"].glob("*/*.csv"), arguments["cells"], arguments["tables"] / "runs.csv"]
    assert sorted(carried) == sorted(path.read_bytes() for path in files)
    assert len(re.findall("lenet5 3 3 ", reader.texts["tbl-dynamics-accuracy-table"])) == 40
    headings = [
        "Summary",
        "Parameter dynamics",
        "own_study",
        "The data",
        "Runs",
        "Methods",
    ]
    found = [re.sub(r"^\d+ ", "", reader.texts[name]) for name in reader.texts if re.match(r"sec-\w+$", name)]
    assert len(re.findall(r"(?m)^# (.*) \{#sec-", source)) == len(headings)
    for heading, text in zip(headings, re.findall(r"(?m)^# (.*) \{#sec-", source), strict=True):
        assert text.replace("\\", "").startswith(heading)
    assert all(any(heading in text for text in found) for heading in (headings[0], *headings[3:]))
    assert "Further exhibits" in reader.text and "The answer is 42\u00a0%." in reader.text


def test_claims_stand_in_short_and_in_full(made):
    """Each verdict is a square and a chip, both with links, and stands in full beside the sentence and a reason."""
    reader = Reader(made[2])
    links = [link["href"] for link in reader.all("a")]
    squares = [link for link in reader.all("a") if "square" in link.get("class", "")]
    assert [link["href"] for link in squares] == [f"#claim-{claim['id']}" for claim in CLAIMS]
    for claim, square in zip(CLAIMS, squares, strict=True):
        name, outside = markdown.slug(claim["verdict"]), claim["verdict"] in OUTSIDE
        assert len(reader.all("span", **{"class": f"verdict verdict-{name}"})) == 2
        assert len(reader.all("div", **{"class": f"claim claim-{name}", "id": f"claim-{claim['id']}"})) == 1
        assert links.count(f"#claim-{claim['id']}") == 2
        assert reader.text.count(f"{claim['verdict']} {claim['id']} “{claim['says']}”") == 1
        assert f"{claim['id']} {claim['says']} Because of" in reader.text, "in the table of the first page"
        assert claim["reason"].replace(" %", "\u00a0%") in reader.text
        assert square["title"].startswith(f"{claim['id']}, {claim['verdict']}") and claim["says"] in square["title"]
        assert f"verdict-{claim['seen'] or 'none'}" in square["class"]
        assert ("outside" in square["class"]) == outside
    assert "≠ 1 ✓ 2 ✗ 3 – 4 ? 5 ✓ 6" in reader.text and "toy here reproduced" in reader.text
    assert reader.text.count("Scope: Only there. Test: exact. Margin: a tenth.") == len(CLAIMS)
    assert "Of 6 claims 3 were decided within their scope: 1 reproduced, 1 contradicted, 1 an artefact." in reader.text
    assert "1 other was seen at toy scale alone: 1 as claimed; 2 are open." in reader.text
    assert "3 claims not decided within their scope here" in reader.text
    assert "2 claims outside their scope here, with what was seen" in reader.text
    assert "#sec-dynamics-claims" in links and "What is claimed" in reader.texts["sec-dynamics-claims"]


def test_a_claim_says_what_it_leans_to_and_what_other_margins_and_scales_give(made):
    text = Reader(made[2]).text
    said = "Because of 5\u00a0%, *so*. The means lean to contradicted; about 12 seeds would decide it. "
    assert text.count(said + "With half the margin: undecided; with twice: contradicted. It is small.") == 1
    assert "Stated on a day. Scope: Only there." in text and text.count("Stated on") == 1
    assert text.count("The means lean to") == text.count("With half the margin") == 1
    assert text.count("At this scale: ") == 1 and "At this scale: reproduced. Because of 6\u00a0%" in text


def test_first_page_has_each_study_with_its_main_answer(made):
    """The first clear answer; the heading of each question that has exhibits stands above them."""
    _, source, page = made
    reader = Reader(page)
    first = source[source.index("\n# Summary") : source.index("\n# Parameter dynamics")]
    assert "**How many parameters stay exactly as they began?** Yes (toy). The answer is 42 %." in first
    assert "A sentence with a number in it." not in first
    assert "The studies' own questions have 2 verdicts: 1 “yes”, 1 “cannot say”." in reader.text
    for key, heading in (
        ("learnt", "What the networks learnt"),
        ("unchanged", "How many parameters stay exactly as they began?"),
        ("features", "Are the learnt features independent?"),
        ("alike", "Do all models learn the same features?"),
    ):
        assert reader.texts[f"sec-dynamics-question-{key}"].endswith(heading)
    assert "own_study 1 cell, 1 of 2 replicates done" in reader.text
    assert "3 cells, 6 of 9 replicates done · Results 1. Do they move?" in reader.text


def test_a_study_without_a_document_has_its_answers_on_the_first_page(made):
    """In a table, clear ones before what is open."""
    _, source, page = made
    reader = Reader(page)
    rows = [line for line in source.splitlines() if line.startswith("| ") and "question-" in line]
    assert [re.search(r"question-([a-z]+)", row)[1] for row in rows] == ["unchanged", "learnt", "features", "alike"]
    assert "Yes (toy). The answer is 42\u00a0%. Cannot say (other). It may be 7. q < 0.05, n = 3; n = 3" in reader.text
    assert "3 questions without a clear answer" in reader.text and "Test accuracy · Test accuracy in numbers" in source


def test_a_document_is_named_where_it_is_spoken_of(tmp_path):
    arguments = sample(tmp_path)
    path = arguments["figures"] / "dynamics" / "exhibits.json"
    about = {
        "authors": ["A*b", "Öne", "Two"],
        "year": 1999,
        "title": f"On {NASTY}",
        "kind": "slides",
        "did": "They ran.",
    }
    path.write_text(json.dumps(json.loads(path.read_text()) | {"document": about}))
    render.report(**arguments)
    reader = Reader(arguments["output"].read_text(encoding="utf-8"))
    text = reader.text
    assert (
        len(reader.all("script")) == SCRIPTS
        and f"This study repeats On {NASTY} (slides, A*b et al. 1999). They ran." in text
    )
    assert reader.texts["ref-document-dynamics"].startswith("A*b, Öne, and Two. 1999.")
    assert reader.all("a", href="#ref-document-dynamics")
    assert "The study repeats 1 document: A*b, Öne and Two (1999)." in text
    assert f"A*b, Öne and Two (1999): On {NASTY} (slides) · 3 cells" in text and "A*b et al. 1999 ≠ 1" in text
    assert "1 question" not in text.split("Limitations")[0], "its claims stand there, and no table of its questions"


def test_closing_sections_stand_at_the_end_of_their_chapter(made):
    """Those that have a sentence, behind all questions and before the claims."""
    _, source, page = made
    reader = Reader(page)
    at = [source.index(f"{{#sec-dynamics-{name}}}") for name in ("question-alike", "further", "results", "claims")]
    assert at == sorted(at) and "Of the above. It ends at 7\u00a0%. So, so." in reader.text
    assert "sec-dynamics-discussion" not in reader.texts and "Nothing to say." not in reader.text
    assert "How unchanged is told." in reader.text and "How moved is told." not in reader.text


def test_long_tables_show_their_first_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "ROWS", 30)
    arguments = sample(tmp_path)
    render.report(**arguments)
    reader = Reader(arguments["output"].read_text(encoding="utf-8"))
    assert "The first 30 of 40 rows; the CSV file has them all." in reader.text
    assert len(re.findall("lenet5 3 3 ", reader.texts["tbl-dynamics-accuracy-table"])) == 30


def test_exhibits_of_one_title_stand_behind_tabs(made):
    reader = Reader(made[2])
    assert [heading for heading in reader.texts if heading == "sec-dynamics-cross"]
    assert "first, *a*" in reader.text and "second | b" in reader.text
    panels = [found["id"] for found in reader.all("div", role="tabpanel")]
    for label in ("fig-dynamics-feature-cross-a", "fig-dynamics-feature-cross-b"):
        assert reader.all("figure", id=label)
        assert sum("The caption of Cross" in reader.texts[panel] for panel in panels) == 2


def test_many_axes_of_a_grid_share_a_column_of_the_runs(tmp_path):
    """A column each would push what the runs did off the page; two have their own."""
    arguments = sample(tmp_path, page="")
    rows = read_csv(arguments["cells"])
    page = arguments["output"].with_name("runs.html")
    for axes, head, shown in (
        ({"rate": "0.1"}, "level rate parameters", "sgd a_b 0.1 61,706"),
        ({"depth": "2"}, "optimizer varied parameters", "sgd level a_b · rate 0.1 · depth 2 61,706"),
    ):
        rows[3] |= axes
        write_csv(arguments["cells"], rows)
        render.report(**arguments | {"output": page})
        text = Reader(page.read_text()).texts["tbl-runs-own-study"]
        assert head in text and shown in text


def test_one_exhibit_folds_behind_another_and_keeps_its_label(made):
    """As a callout directly after it, whatever their order was; a table of one row is a line without a number."""
    page = made[2]
    figure, table = (
        page.index(f'id="{kind}-own-study-accuracy{end}"') for kind, end in (("fig", ""), ("tbl", "-table"))
    )
    before = page[figure:table]
    assert before.count("<details") - before.count("</details>") == 1 and "<h" not in before
    assert 'class="callout callout-note"' in before and "Accuracy in numbers" in before
    assert "sec-own-study-accuracy-table" not in page and "tbl-own-study-sources" not in page
    assert "network lenet5 · n 3 · of 3 · mean 0.98" in Reader(page).text


def test_an_exhibit_folds_behind_what_is_there_alone():
    """What it names may have a tab in its name; behind nothing, behind itself or in a circle it stands as it is."""
    asked = {"b-table": "b", "a-table": "a", "a-one": "", "a-two": "", "b": "b", "c": "d", "d": "c", "lone": "gone"}
    tabs = {"a-one": "x", "a-two": "y"}
    exhibits = [
        {"name": name, "title": "A" if name in tabs else name, "tab": tabs.get(name, ""), "behind": behind}
        for name, behind in asked.items()
    ]
    found = [
        ([one["name"] for one in place.family], [one["name"] for family in place.behind for one in family])
        for place in arranged.arranged(exhibits)
    ]
    assert found == [
        (["a-one", "a-two"], ["a-table"]), (["lone"], []), (["b-table"], []), (["b"], []), (["c"], []), (["d"], []),
    ]  # fmt: skip


def test_neighbours_of_one_title_make_a_family():
    alone = [{"title": "a"}, {"title": "a", "tab": "x"}, {"title": "a", "tab": "y"}, {"title": "b", "tab": "z"}]
    assert [len(family) for family in arranged.families(alone)] == [1, 2, 1]


def test_every_exhibit_answer_and_claim_says_how_it_was_made(made):
    arguments, _, page = made
    reader = Reader(page)
    count = 0
    for chapter in arguments["figures"].iterdir():
        for at, item in enumerate(json.loads((chapter / "exhibits.json").read_text())["exhibits"]):
            words = f"How this was made Made by weight_atlas.drawn.{at} from cells.csv, {item['name']}.csv."
            assert words in reader.text
            count += 1
    answer = (
        "Yes (toy). The answer is 42\u00a0%. q < 0.05, n = 3 So it is. Cannot say (other). It may be 7. n = 3 · about "
        "9 seeds How this was made Made by weight_atlas.a.b and weight_atlas.c.d from x.csv."
    )
    assert answer in reader.text
    assert reader.text.count("Made by weight_atlas.claims.judged from runs.csv, summary.csv.") == len(CLAIMS) - 1
    assert reader.text.count("Made by weight_atlas.claims.judged.") == 1
    assert len(reader.all("details", **{"class": "made"})) == count + 1 + len(CLAIMS)


def test_nothing_missing_is_said(tmp_path):
    arguments = sample(tmp_path, troubles=False)
    render.report(**arguments)
    text = Reader(arguments["output"].read_text(encoding="utf-8")).text
    assert "Nothing: all 9 replicates that were asked for are done." in text
    assert "not done" not in text and "retry_failed" not in text


def test_pictures_say_their_size(made, tmp_path):
    """A PNG has two pixels for each of the page's (the sample's are 400 x 120), an SVG its own unit."""
    sizes = [(image["width"], image["height"]) for image in Reader(made[2]).all("img")]
    assert sorted(set(sizes)) == [("200", "60"), ("720", "200")] and sizes.count(("200", "60")) == 2
    points = tmp_path / "points.svg"
    points.write_text(
        '<?xml version="1.0"?>\n<svg xmlns:x="y" width="630pt" height="332.64pt" viewBox="0 0 630 332.64">'
    )
    assert document.size({"path": points}) == " width=840 height=444"
    narrow = tmp_path / "narrow.svg"
    narrow.write_text('<svg width="277.2pt" height="72pt" viewBox="0 0 277.2 72">', encoding="utf-8")
    assert document.size({"path": narrow}) == " width=370 height=96 .narrow", "a phone shows it as it is"
    points.write_text("<svg>")
    assert document.size({"path": points}) == ""


def test_methods_tell_what_was_measured_alone(tmp_path):
    arguments = sample(tmp_path)
    (arguments["tables"] / "features.csv").write_text("cell_id,seed\n")
    render.report(**arguments)
    text = Reader(arguments["output"].read_text(encoding="utf-8")).text
    assert "Correlation of features" not in text and "Statistics of layers" in text


def test_studies_may_stand_in_the_config_as_definitions(tmp_path):
    arguments = sample(tmp_path)
    config = json.loads(arguments["config"].read_text())
    config |= {"definitions": config["studies"], "asked": ["own_study", "dynamics"], "studies": "all"}
    arguments["config"].write_text(json.dumps(config))
    context = gather.gather(*(arguments[key] for key in ("cells", "tables", "figures", "cards", "config")))
    assert [(study["name"], study["title"]) for study in context["studies"]] == [
        ("own_study", "own_study"),
        ("dynamics", "Parameter dynamics"),
    ]


def test_a_cell_of_two_experiments_counts_once(tmp_path):
    arguments = sample(tmp_path)
    write_csv(arguments["cells"], 2 * read_csv(arguments["cells"]))
    studies = gather.gather(*(arguments[key] for key in ("cells", "tables", "figures", "cards", "config")))["studies"]
    assert [len(study["grid"]) for study in studies] == [2, 1]
    assert [len(study["cells"]) for study in studies] == [6, 2]


# ------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda paths: (paths["tables"] / "runs.csv").unlink(), "runs.csv: is not there"),
        (lambda paths: paths["cards"].pop(), "none is for the data set fashion-1a2b3c"),
        (lambda paths: (paths["figures"] / "dynamics" / "unchanged.svg").unlink(), "unchanged.svg: is not there"),
        (lambda paths: (paths["figures"] / "dynamics" / "unchanged.csv").unlink(), "unchanged.csv: is not there"),
        (lambda paths: paths["config"].write_text("{"), "not valid JSON"),
    ],
)
def test_input_that_is_not_there_is_named(tmp_path, spoil, words):
    arguments = sample(tmp_path)
    spoil(arguments)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        render.report(**arguments)
    assert "\n" not in str(caught.value) and not arguments["output"].exists()


def test_page_has_a_largest_size(tmp_path, monkeypatch):
    arguments = sample(tmp_path)
    monkeypatch.setattr(render, "PAGE_LIMIT", 10_000)
    with pytest.raises(ValueError, match=r"report\.html: 0\.\d MB; allowed: 0 MB.*figures/"):
        render.report(**arguments)
    assert not arguments["output"].exists()


def test_large_csv_files_are_named_instead(tmp_path, monkeypatch):
    arguments = sample(tmp_path)
    large = arguments["figures"] / "dynamics" / "accuracy.csv"
    monkeypatch.setattr(document, "CSV_LIMIT", large.stat().st_size - 1)
    render.report(**arguments)
    page = Reader(arguments["output"].read_text(encoding="utf-8"))
    assert "too large for this page" in page.text and str(large) in page.text
    assert "dynamics-accuracy.csv" not in {link.get("download") for link in page.all("a")}


def test_command_writes_the_report(tmp_path):
    arguments = sample(tmp_path)
    options = []
    for key, value in arguments.items():
        options += [f"--{key}", *map(str, value if isinstance(value, list) else [value])]
    command = [sys.executable, str(ROOT / "scripts" / "render.py"), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"report\.html: rendered by Pandoc [\d.]+$", done.stdout.strip())
    assert arguments["output"].exists()
    arguments["cards"][0].unlink()
    (arguments["tables"] / "runs.csv").unlink()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("render.py: ") and done.stderr.count("\n") == 1


def test_failed_parts_are_named_and_all_else_stands(tmp_path):
    arguments = sample(tmp_path)
    before = gather.gather(*(arguments[key] for key in ("cells", "tables", "figures", "cards", "config")))
    assert before["faults"] == [] and "of the report failed" not in document.source(TEMPLATES, before)
    for chapter, what in {"dynamics": "the exhibit norms", "data": f"the images of {NASTY}"}.items():
        path = arguments["figures"] / chapter / "exhibits.json"
        fault = {"what": what, "why": f"ValueError: {NASTY}"}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"faults": [fault]}))
    render.report(**arguments)
    reader = Reader(arguments["output"].read_text(encoding="utf-8"))
    assert "2 parts of the report failed" in reader.text
    norms = f"ValueError: {NASTY} (log: logs/draw/sample/dynamics.log)"
    assert reader.text.count(f"the exhibit norms: {norms}") == 1, "on the first page"
    assert reader.text.count(f"the exhibit norms failed: {norms}") == 1, "at the end of its chapter"
    assert f"the images of {NASTY}: ValueError: {NASTY} (log: logs/draw/sample/data.log)" in reader.text
    assert len(reader.all("img")) == len(before["studies"][0]["exhibits"]) - 1 + 1 + 1
    assert len(reader.all("script")) == SCRIPTS


def test_replicates_that_never_learnt_are_told_apart(tmp_path):
    arguments = sample(tmp_path)
    runs = read_csv(arguments["tables"] / "runs.csv")
    for at, row in enumerate(runs):
        row["learnt"] = "" if row["status"] != "done" else str(at not in (3, 5))
    write_csv(arguments["tables"] / "runs.csv", runs)
    render.report(**arguments)
    text = Reader(arguments["output"].read_text(encoding="utf-8")).text
    assert "2 of 6 finished replicates never learnt: at the last epoch they do not classify clearly better than" in text
    short = text.split("A mean is over")[1].split("Studies Parameter dynamics")[0]
    assert "Means count them only in a cell of which no replicate learnt." in short
    assert "digits lenet5 kaiming_uniform sgd grid 61,706 4 2 of 3 (2 never learnt)" in text
    assert "2 cells with 3 of 6 replicates done (2 never learnt), and 1 source cell" in text
    listed = "digits · lenet5 · kaiming_uniform · sgd 0, 2 2 of 2 base-digits-lenet5-sgd-0123abcd"
    assert listed in text[text.rindex("What is missing or failed") :]
    assert "Replicates that never learnt" in text[text.index("one replicate has none") :]


def test_where_all_learnt_nothing_is_said_of_it(made):
    assert "never learnt" not in Reader(made[2]).text.replace("Replicates that never learnt", "").split("Methods")[0]


def test_any_text_comes_out_literally_at_any_place(tmp_path):
    """Every place that holds a text of the user's has one of its own, with all markup, and none costs the page."""
    arguments, said = sample(tmp_path), []

    def odd(place):
        said.append(f"{place}: {NASTY} &amp; $x_1$ \u202etxt %\\n ` | {'long' * 60}")
        return said[-1]

    cells, runs = read_csv(arguments["cells"]), read_csv(arguments["tables"] / "runs.csv")
    for axis in ("dataset", "network", "init", "optimizer", "level"):
        cells[-1][axis] = odd(axis)
    for row, name in ((runs[0], "device_name"), (runs[4], "cause")):
        row[name] = odd(name)
    write_csv(arguments["cells"], cells)
    write_csv(arguments["tables"] / "runs.csv", runs)
    config = json.loads(arguments["config"].read_text())
    config["studies"]["own_study"] = {"title": odd("study title"), "text": odd("study text")}
    arguments["config"].write_text(json.dumps(config | {"title": odd("title"), "text": odd("text")}))
    card = json.loads(arguments["cards"][0].read_text())
    card |= {"title": odd("data title"), "source": odd("source"), "notes": [odd("note")], "warnings": [odd("warning")]}
    arguments["cards"][0].write_text(json.dumps(card))
    for chapter in ("own_study", "data"):
        path = arguments["figures"] / chapter / "exhibits.json"
        told = json.loads(path.read_text())
        for entry in told["exhibits"]:
            places = ("caption", "title" if chapter == "own_study" else "tab", "alt")
            entry |= {
                place: odd(f"{chapter} {place}") for place in places if entry["kind"] == "figure" or place != "alt"
            }
            rows = [{"of_class": odd("class") if entry["kind"] == "table" else ""}]
            write_csv(path.parent / entry["csv"], rows)
            entry["columns"] = list(rows[0])
        told["facts"] = {"sentences": [odd("sentence")], "left_out": [odd("left out")]}
        path.write_text(json.dumps(told))
    render.report(**arguments)
    reader = Reader(arguments["output"].read_text(encoding="utf-8"))
    shown = " ".join([reader.text, *(image["alt"] for image in reader.all("img"))]).replace("\u00a0%", " %")
    missing = {text.partition(":")[0] for text in said if text.replace("\u202e", r"\u202e") not in shown}
    assert missing == {"data tab"}, "a picture of the data has no tab"
    assert "\u202e" not in shown and len(reader.all("script")) == SCRIPTS and not reader.all("b")


LONG = "A sentence of seventy characters with 1.5 % (n = 3) and its interval, say."


@pytest.mark.parametrize(
    ("seen", "reading"),
    [
        ([LONG, LONG], ["Three.", "Four."]),
        ([LONG, LONG, "One sentence does not fold."], []),
        (["Cannot say.", "Short.", LONG, "To a hundred."], ["Three.", "Four."]),
        ([LONG, "As Yosinski et al. (2014) say, et al. In short.", "‖θ‖ is one sentence more."], []),
        (["No word"], []),
    ],
)
def test_a_caption_folds_after_two_sentences_and_a_hundred_characters(seen, reading):
    """A sentence ends before one that begins with a capital letter or a symbol; no word is lost."""
    assert markdown.parted(" ".join([*seen, *reading])) == (" ".join(seen), " ".join(reading))
