"""Parts of a chapter that raise: noted with their cause, while all others are made."""

import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

import draw
from tests.conftest import tiny
from tests.unit import results
from tests.unit.tables import write_table
from weight_atlas import schema, store
from weight_atlas.faults import Fault, spared
from weight_atlas.plan import measure_faults, outcome
from weight_atlas.plan.study import Plan
from weight_atlas.reporting.chapters import data, study
from weight_atlas.reporting.claims import claims
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.exhibit import Exhibit, NothingToShow
from weight_atlas.reporting.grammar.source import Source
from weight_atlas.reporting.grammar.tables import Tables


class Undrawable(Figure):
    """A figure that cannot be saved."""

    def savefig(self, *_, **__):
        raise RuntimeError("no \x1b[31mink\nleft")


def table(name, figure=None):
    return Exhibit(name, "t", "c", "a", pd.DataFrame({"x": [1]}), figure, source=Source(["f"]))


def broken(*_):
    raise KeyError("no such \u202ecell")


def empty(*_):
    raise NothingToShow("there is no row.")


@pytest.fixture
def folder(tmp_path):
    made = results.make(tmp_path)
    write_table(made / "tables/runs.csv", pd.read_csv(made / "tables/runs.csv"))
    return made


@pytest.fixture
def tables(folder):
    return Tables("first", folder / "cells.csv", folder / "tables", folder / "measures")


def test_a_part_that_raises_is_noted_and_the_next_one_is_made(tables, capsys):
    parts = {"one": broken, "two": empty, "three": lambda _: [table("three")]}
    assert [made.name for made in exhibit.build(parts, tables)] == ["three"]
    assert tables.faults == [Fault("the exhibit one", "KeyError: 'no such \\u202ecell'")]
    assert len(tables.left_out) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback") and "in broken" in said, "the log has it all"


def test_exhibits_of_one_name_are_kept_apart(tables):
    """Their files and labels come from the name: two labels that differ in signs alone may give the same."""
    parts = {"one": lambda _: [table("x-a"), table("x-a")], "two": lambda _: [table("x-a"), table("x-a-2")]}
    assert [made.name for made in exhibit.build(parts, tables)] == ["x-a", "x-a-2", "x-a-3", "x-a-2-2"]


def test_a_figure_that_cannot_be_saved_is_no_exhibit(tmp_path):
    faults = []
    exhibit.write(tmp_path, "first", "First", [table("bad", Undrawable()), table("good")], {}, faults)
    told = store.read_json(tmp_path / "exhibits.json")
    assert [entry["name"] for entry in told["exhibits"]] == ["good"]
    assert told["faults"] == [{"what": "the exhibit bad", "why": "RuntimeError: no \\x1b[31mink\\nleft"}]
    assert not (tmp_path / "bad.svg").exists()


def test_answers_and_claims_that_raise_leave_the_others(tables):
    told, sources = study.answers({"a": broken, "b": empty, "c": lambda _: ["Yes."]}, tables)
    assert told == {"a": [], "b": [], "c": ["Yes."]} and set(sources) == set(told)
    questions = {"d": (broken, lambda *_: []), "e": (lambda _: [1], broken), "f": (lambda _: [2], lambda *_: ["No."])}
    numbers, told, _ = study.reckoned(questions, tables)
    assert told == {"d": [], "e": [], "f": ["No."]} and numbers == {"d": [], "e": [], "f": [2]}
    ledger = [dict.fromkeys(claims.FIELDS, key) for key in ("x", "y")]
    judged = claims.judge(ledger, {"x": broken, "y": lambda *_: claims.Verdict("reproduced", "So.")}, tables)
    assert [claim["verdict"] for claim in judged] == ["not testable here", "reproduced"]
    assert judged[0]["reason"] == "Its test failed; the chapter's list of failures says why."
    named = [fault.what for fault in tables.faults]
    assert named == ["the answer to a", "the answer to d", "the answer to e", "the test of claim x"]


def test_no_memory_is_a_fault_and_a_stop_is_none():
    faults = []
    with spared(faults, "a"):
        raise MemoryError
    with pytest.raises(KeyboardInterrupt), spared(faults, "b"):
        raise KeyboardInterrupt
    assert [fault.what for fault in faults] == ["a"]


def test_sentences_that_raise_leave_the_exhibits(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "facts", broken)
    monkeypatch.setattr(study, "PARTS", {"three": lambda _: [table("three")]})
    draw.main(["study", "--study", "first", "--cells", str(folder / "cells.csv"), "--tables", str(folder / "tables"),
               "--measures", str(folder / "measures"), "--output", str(tmp_path / "out")])  # fmt: skip
    told = store.read_json(tmp_path / "out/exhibits.json")
    assert [entry["name"] for entry in told["exhibits"]] == ["three"]
    assert [fault["what"] for fault in told["faults"]] == ["the chapter's sentences"]


def test_images_that_cannot_be_drawn_leave_the_counts(monkeypatch):
    monkeypatch.setattr(data, "pictures", broken)
    counts = {split: [1] for split in ("train", "valid", "test")}
    faults = []
    card = {"dataset_id": "a-1", "title": "A", "classes": ["x"], "counts": counts}
    made = data.exhibits([card], ["data/a-1.safetensors"], faults)
    assert [one.name for one in made] == ["class-counts"] and [fault.what for fault in faults] == ["the images of A"]


def test_the_console_says_what_failed(tmp_path):
    plan = Plan(tiny(), tmp_path)
    assert outcome.faults(plan) == []
    name, chapter = plan.config.name, plan.config.asked[0]
    path = tmp_path / f"results/{name}/figures/{chapter}/exhibits.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"faults": [{"what": "the exhibit norms", "why": "KeyError: 'x'"}]}))
    line = f"  {chapter}: the exhibit norms: KeyError: 'x' (log: logs/draw/{name}/{chapter}.log)"
    assert outcome.faults(plan) == [f"{name}: parts of the report failed (1); all else stands", line]
    assert line in outcome.after(plan, "snakemake")


def test_the_console_says_which_measures_failed(tmp_path):
    plan = Plan(tiny(), tmp_path)
    name, (group, (one, other, *_)) = plan.config.name, next(iter(plan.groups.items()))
    rows = [(one, 0, "pairs", "A: b"), (one, 2, "pairs", "A: b"), (other, 0, "pairs", "A: b"), ("gone", 0, "C", "D")]
    rows += [(other, None, "facts", "A: b"), (other, 1, "facts", "E: f")]
    schema.write(tmp_path / f"results/{name}/tables/faults.csv", "faults", rows)
    log = f"(log: logs/measure/{name}/{group}.log)"
    lines = [
        f"{name}: measures failed (3); all else stands",
        f"  the measure pairs of {one} (seeds 0, 2) and 1 more cell: A: b {log}",
        f"  the measure facts of {other}: A: b {log}",
        f"  the measure facts of {other} (seed 1): E: f {log}",
        f"  {measure_faults.ADVICE}",
    ]
    assert outcome.faults(plan) == lines
    assert outcome.after(plan, "snakemake") == "\n".join(lines), "no replicate is to be trained again"
