"""The explorer's data against the tables, its size, and that texts of others do nothing in it."""

import base64
import csv
import hashlib
import html.parser
import json
import math
import re
from pathlib import Path

import pytest

from weight_atlas import schema, store
from weight_atlas.analysis.runs import summary
from weight_atlas.reporting.pages import explorer
from weight_atlas.schema.outcomes import MEAN, OUTCOMES

TEMPLATES = Path(__file__).resolve().parents[2] / "report"
HOSTILE = "</script><script>alert('x')</script><!--\"&"
CELLS = [*schema.names("cells"), "fancy"]
CURVE = ("study", "network", "init", "optimizer", "setting", "base", "target", "mode")


def cell(cell_id, study, network, init, fancy="", role="grid"):
    row = dict.fromkeys(CELLS, "") | {"cell_id": cell_id, "study": study, "kind": "base", "role": role, "fancy": fancy}
    row |= {"dataset": "digits", "network": network, "init": init, "optimizer": "sgd", "replicates": 3, "group": "g"}
    return [(row | {"parameters": 10, "cell": "{}"})[name] for name in CELLS]


def summarised(measure, key, cell_id, n, *ends):
    return [measure, cell_id, key, n, 3, *ends, math.nan]


def make(root):
    """Made-up results: two studies that share a cell, an outcome of each table, labels that are hostile."""
    folder = root / "results/mine"
    cells = [
        cell("base-a", "one", "lenet1", "first"),
        cell("base-b", "one", "lenet5", HOSTILE),
        cell("base-c", "one", "lenet5", "first", role="source"),
        cell("base-a", "two", "lenet1", "first", "0.5"),
        cell("base-d", "two", "lenet1", "first", "2"),
    ]
    schema.write(folder / "cells.csv", "cells", cells, header=CELLS)
    means = [
        summarised("accuracy", "last", "base-a", 3, 0.98, 0.93, 1.04),
        summarised("accuracy", "last", "base-b", 0, math.nan, math.nan, math.nan),
        summarised("accuracy", "last", "base-c", 3, 0.5, 0.4, 0.6),
        summarised("accuracy", "last", "base-d", 2, 1 / 3, math.nan, math.nan),
        summarised("wall_seconds", "run", "base-a", 3, 12.5, -1.0, 26.0),
        summarised("distance", "0-1", "base-a", 3, 1.0, 0.5, 1.5),
    ]
    schema.write(folder / "tables/summary.csv", "summary", means)
    curve = ("two", "lenet1", "first", "sgd", "", "digits", "digits", "frozen")
    drops = [[*curve, depth, "D", 3, 3, -0.125, -0.2, -0.05, -0.1, -0.06, 0.9] for depth in (0, 1)]
    schema.write(folder / "tables/drops.csv", "drops", drops)
    schema.write(folder / "tables/reach.csv", "reach", [])
    store.write_json(folder / "config.json", {"name": "mine", "asked": ["one", "two"]})
    return folder


def write(results, output, templates=TEMPLATES):
    explorer.write(results / "cells.csv", results / "tables", results / "config.json", templates, output)


@pytest.fixture
def results(tmp_path):
    return make(tmp_path)


def gathered(results):
    return explorer.gather(results / "cells.csv", results / "tables", ["one", "two"])


def flat(data, name, study):
    """The rows of an outcome as the page has them: their labels by axis, and numbers."""
    (outcome,) = (one for one in data["outcomes"] if one["name"] == name)
    frame = data["studies"][study][outcome["table"]]
    return [(dict(zip(frame["axes"], frame["labels"][at], strict=True)), ends) for at, *ends in outcome["rows"][study]]


def test_rows_are_those_of_the_tables(results):
    data = gathered(results)
    found = flat(data, "summary-accuracy-last", "one")
    assert found == [
        ({"network": "lenet1", "init": "first", "role": "grid"}, [3, 3, 98.0, 93.0, 100.0]),
        ({"network": "lenet5", "init": HOSTILE, "role": "grid"}, [0, 3, None, None, None]),
        ({"network": "lenet5", "init": "first", "role": "source"}, [3, 3, 50.0, 40.0, 60.0]),
    ]
    assert flat(data, "summary-accuracy-last", "two") == [
        ({"network": "lenet1", "fancy": "0.5", "role": "grid"}, [3, 3, 98.0, 93.0, 100.0]),
        ({"network": "lenet1", "fancy": "2", "role": "grid"}, [2, 3, 33.3333, None, None]),
    ]
    assert [ends for _, ends in flat(data, "summary-wall_seconds-run", "one")] == [[3, 3, 12.5, 0.0, 26.0]]
    assert flat(data, "drops-D", "two") == [
        ({"network": "lenet1", "depth": depth}, [3, 3, -12.5, -20.0, -5.0]) for depth in ("0", "1")
    ]
    units = {one["name"]: one["unit"] for one in data["outcomes"]}
    assert units == {"summary-accuracy-last": "%", "summary-wall_seconds-run": "s", "drops-D": "points"}


def test_a_cell_that_two_experiments_name_alike_is_there_once(results):
    with open(results / "cells.csv", "a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(cell("base-a", "one", "lenet1", "first"))
    assert len(flat(gathered(results), "summary-accuracy-last", "one")) == 3


def test_every_outcome_of_the_summary_tables_has_words_and_a_unit():
    told = {tuple(one.where.values()) for one in OUTCOMES if one.table == "summary"}
    assert told == set(summary.ALWAYS)
    for table, column in (("drops", "quantity"), ("reach", "level")):
        declared = schema.TABLES[table].column(column).values
        assert {one.where[column] for one in OUTCOMES if one.table == table} == set(declared)
    for one in OUTCOMES:
        assert {*one.where, MEAN[one.table], "low", "high", "n", "of"} <= set(schema.names(one.table))
        unit = schema.TABLES[one.table].column(MEAN[one.table]).unit
        assert one.unit == {"share": "points", "epoch": "epochs"}[unit] if unit else one.table == "summary"
    assert len({one.name for one in OUTCOMES}) == len(OUTCOMES) == len({one.words for one in OUTCOMES})


class Scripts(html.parser.HTMLParser):
    """The script elements of a page as a browser delimits them: (attributes, text)."""

    def __init__(self, text):
        super().__init__()
        self.found, self.policy = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "script":
            self.found.append((dict(attributes), ""))
        if dict(attributes).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attributes)["content"]

    def handle_data(self, data):
        if self.lasttag == "script" and self.found:
            self.found[-1] = (self.found[-1][0], self.found[-1][1] + data)


def test_the_page_is_whole_small_and_keeps_others_texts_in_its_data(results):
    output = results / "explorer.html"
    write(results, output)
    text = output.read_text(encoding="utf-8")
    assert len(text.encode()) < explorer.PAGE_LIMIT and "alert" in text
    page = Scripts(text)
    assert [attributes.get("type") for attributes, _ in page.found] == ["application/json", "module", "module"]
    data = json.loads(page.found[0][1])
    assert HOSTILE in {label for row in data["studies"]["one"]["summary"]["labels"] for label in row}
    assert {key: data[key] for key in ("axes", "studies", "outcomes")} == gathered(results)
    assert page.policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe-eval" not in page.policy
    for script in re.findall(r'<script type="module">(.*?)</script>', text, re.S):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page.policy
    assert not re.search(r'\b(src|href)="(?!data:,")', text.split("<script")[0])


def test_a_page_of_many_cells_stays_below_its_limit(results, monkeypatch):
    """300 cells with every outcome of the summary: what the acceptance of a large study asks for."""
    cells = [cell(f"base-{at}", "one", f"network-{at % 10}", f"start-{at}", str(at)) for at in range(300)]
    schema.write(results / "cells.csv", "cells", cells, header=CELLS)
    rows = [
        summarised(measure, key, f"base-{at}", 3, 0.123456789, 0.0123456789, 0.23456789)
        for at in range(300)
        for measure, key in summary.ALWAYS
    ]
    schema.write(results / "tables/summary.csv", "summary", rows)
    text = explorer.page(gathered(results), "mine", TEMPLATES)
    assert len(text.encode()) < explorer.PAGE_LIMIT / 3
    monkeypatch.setattr(explorer, "PAGE_LIMIT", 100_000)
    with pytest.raises(ValueError, match=r"^the explorer would have \d\.\d MB; allowed: 0.1 MB$"):
        explorer.page(gathered(results), "mine", TEMPLATES)
