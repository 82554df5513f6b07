"""Parts of a chapter that raise: noted with their cause, while all others are made."""

import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

import draw
from tests.conftest import tiny
from tests.unit import results, told
from tests.unit.tables import complete, write_table
from weight_atlas import schema, store
from weight_atlas.faults import Fault, NothingToShow, spared
from weight_atlas.plan import measure_faults, outcome, spec
from weight_atlas.plan.study import Plan
from weight_atlas.reporting import registry, sections, telling
from weight_atlas.reporting.claims import measured, verdicts
from weight_atlas.reporting.exhibits import data
from weight_atlas.reporting.exhibits.runs import study
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.answers import Answer, Verdict
from weight_atlas.reporting.grammar.exhibit import Exhibit
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
    write_table(made / "tables/accuracy.csv", pd.read_csv(made / "tables/accuracy.csv"))
    complete(made / "tables")
    return made


@pytest.fixture
def tables(folder):
    return Tables("first", folder / "cells.csv", folder / "tables", folder / "measures")


@pytest.fixture
def registered(monkeypatch):
    """A function that puts functions in the place of the registry's: exhibits and answers by name."""

    def register(exhibits=None, answers=None):
        monkeypatch.setattr(registry, "EXHIBITS", registry.Functions(exhibits or {}, {}))
        monkeypatch.setattr(registry, "ANSWERS", registry.Functions(answers or {}, {}))

    return register


def test_a_part_that_raises_is_noted_and_the_next_one_is_made(tables, registered, capsys):
    registered({"one": broken, "two": empty, "three": lambda _: [table("three")]})
    assert [made.name for made in told.drawn(tables, "one", "two", "three", "four")] == ["three"]
    unknown = "ValueError: no function is called 'four'; allowed: one, two, three"
    assert tables.faults == [
        Fault("the exhibit one", "KeyError: 'no such \\u202ecell'"),
        Fault("the exhibit four", unknown),
    ]
    assert tables.left_out == ["The exhibit two is left out: there is no row."]
    said = capsys.readouterr().err
    assert said.startswith("Traceback") and "in broken" in said, "the log has it all"


def test_what_a_whole_question_lacks_is_said_once(tables, registered):
    registered({"one": empty, "two": empty, "three": lambda _: []})
    asked = [["one", "two"], ["one", "two", "three"], ["one"]]
    questions = [spec.Question(key=f"q{at}", heading=f"Q{at}?", exhibits=names) for at, names in enumerate(asked)]
    telling.tell(spec.Chapter(questions=questions), tables)
    assert tables.left_out == [
        "All exhibits on “Q0?” are left out: there is no row.",
        *(f"The exhibit {name} is left out: there is no row." for name in ("one", "two", "one")),
    ]


def test_exhibits_of_one_name_are_kept_apart(tables, registered):
    """Their files and labels come from the name: two labels that differ in signs alone may give the same."""
    registered({"one": lambda _: [table("x-a"), table("x-a")], "two": lambda _: [table("x-a"), table("x-a-2")]})
    assert [made.name for made in told.drawn(tables, "one", "two")] == ["x-a", "x-a-2", "x-a-3", "x-a-2-2"]


def test_a_figure_that_cannot_be_saved_is_no_exhibit(tmp_path):
    faults = []
    exhibit.write(tmp_path, [table("bad", Undrawable()), table("good")], {"chapter": "first"}, faults)
    written = store.read_json(tmp_path / "exhibits.json")
    assert [entry["name"] for entry in written["exhibits"]] == ["good"] and written["chapter"] == "first"
    assert written["faults"] == [{"what": "the exhibit bad", "why": "RuntimeError: no \\x1b[31mink\\nleft"}]
    assert not (tmp_path / "bad.svg").exists()


def test_answers_and_claims_that_raise_leave_the_others(tables, registered):
    yes, no = (lambda _: [Answer("So it is.", Verdict.YES)]), (lambda _: [Answer("It is not.", Verdict.NO)])
    registered(answers={"a": broken, "b": empty, "c": yes, "d": broken, "e": no})
    questions = [spec.Question(key=name, heading=name, answer=name) for name in "abc"]
    closing = [spec.Closing(key="end", heading="end", sentences=["c", "d", "b", "e"])]
    found = telling.tell(spec.Chapter(questions=questions, closing=closing), tables)
    assert told.in_short(found)["answers"] == {"a": [], "b": [], "c": ["So it is."]}
    [answer] = found.questions[2]["answer"]
    assert answer["verdict"] == "yes" and answer["source"]["functions"]
    assert [one["sentences"] for one in found.closing] == [["So it is.", "It is not."]]
    ledger = [
        spec.Claim.model_validate(
            dict.fromkeys(("id", "says", "scope"), key) | {"all": [{"judge": "exact", "evidence": name}]}
        )
        for key, name in {"x": "mean", "y": "best"}.items()
    ]
    evidence = {"mean": broken, "best": lambda *_: [measured.exact("so", True, ())]}
    judged = verdicts.judge(ledger, evidence, tables)
    assert [claim["verdict"] for claim in judged] == ["not testable here", "reproduced"]
    assert judged[0]["reason"] == "Its test failed; the chapter's list of failures says why."
    named = [fault.what for fault in tables.faults]
    assert named == ["the answer a", "the answer d", "the test of claim x"]


def test_no_memory_is_a_fault_and_a_stop_is_none():
    faults = []
    with spared(faults, "a"):
        raise MemoryError
    with pytest.raises(KeyboardInterrupt), spared(faults, "b"):
        raise KeyboardInterrupt
    assert [fault.what for fault in faults] == ["a"]


def test_sentences_that_raise_leave_the_exhibits(folder, tmp_path, monkeypatch, registered):
    monkeypatch.setattr(study, "facts", broken)
    registered({"three": lambda _: [table("three")]})
    asked = spec.Question(key="asked", heading="Asked?", exhibits=["three"])
    monkeypatch.setattr(sections, "chapter", lambda _: spec.Chapter(questions=[asked]))
    draw.main(told.command(folder, "first", tmp_path / "out"))
    written = store.read_json(tmp_path / "out/exhibits.json")
    assert [entry["name"] for entry in written["exhibits"]] == ["three"]
    assert [fault["what"] for fault in written["faults"]] == ["the study in short"]
    assert written["facts"] == {"left_out": []}


def test_images_that_cannot_be_drawn_leave_the_counts(monkeypatch):
    monkeypatch.setattr(data, "pictures", broken)
    counts = {split: [1] for split in ("train", "valid", "test")}
    faults = []
    card = {"dataset_id": "a-1", "title": "A", "classes": ["x"], "counts": counts, "sha256": ""}
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
