"""The source of an exhibit, an answer or a verdict: which functions, and which files they read."""

import functools

import pytest

from tests.unit import told
from tests.unit.tables import complete, write_table
from tests.unit.test_reporting import cell_table, opened, sample
from weight_atlas.faults import NothingToShow
from weight_atlas.plan import spec
from weight_atlas.reporting.claims import verdicts
from weight_atlas.reporting.exhibits.weights import norms
from weight_atlas.reporting.grammar.source import name, note, recorded
from weight_atlas.reporting.grammar.tables import Tables

HERE = __name__


def first():
    note("one.csv")


def maker():
    def inner():
        """Made by another function."""

    return inner


def test_what_is_read_is_noted_for_all_that_is_being_made():
    note("of-nothing.csv")
    with recorded(first) as outer:
        note("two.csv")
        with recorded(maker(), first) as inner:
            first()
        note("alone.csv")
    assert (inner.functions, inner.files) == ([f"{HERE}.maker", f"{HERE}.first"], ["one.csv"])
    assert (outer.functions, outer.files) == ([f"{HERE}.first"], ["alone.csv", "one.csv", "two.csv"])


def test_an_exception_ends_it_and_keeps_what_was_read():
    with pytest.raises(NothingToShow), recorded(first) as source:
        first()
        raise NothingToShow("why")
    note("later.csv")
    assert source.files == ["one.csv"]


def test_a_wrapped_function_has_its_own_name():
    @functools.wraps(norms.norms)
    def wrapped(*arguments):
        return norms.norms(*arguments)

    assert name(wrapped) == "weight_atlas.reporting.exhibits.weights.norms.norms"


@pytest.fixture
def tables(tmp_path):
    sample(tmp_path, datasets=("fashion",), networks=("lenet5",), inits=("pretrained",), seeds=2)
    return opened(tmp_path)


def test_an_exhibit_has_the_tables_that_it_read_however_often(tables):
    for _ in range(2):  # what was read before is read no more, and is a source nevertheless
        (made,) = told.drawn(tables, "norms")
        assert made.source.functions == ["weight_atlas.reporting.exhibits.weights.norms.norms"]
        assert made.source.files == ["cells.csv", "movement.csv", "runs.csv", "summary.csv"]


def test_a_claim_has_those_of_its_test_though_there_is_nothing_to_show(tables):
    def test(tables):
        tables.done("spectra")

    statements = [{"judge": "exact", "evidence": name} for name in ("mean", "best")]
    claim = spec.Claim.model_validate({"id": "1", "says": "s", "scope": "s", "all": statements})
    (judged,) = verdicts.judge([claim], {"mean": test, "best": first}, tables)
    assert judged["verdict"] == verdicts.Verdict.UNTESTED and "spectra.csv has no row" in judged["reason"]
    assert judged["source"]["files"] == ["cells.csv", "spectra.csv"]
    assert judged["source"]["functions"] == [name(test), f"{HERE}.first"]


def test_tables_of_parts_are_noted_too(tmp_path):
    cells = cell_table(("fashion",), ("lenet5",), ("pretrained",), ("sgd", "adam"), 1)
    write_table(tmp_path / "cells.csv", cells)
    complete(tmp_path / "tables")
    found = Tables("dynamics", tmp_path / "cells.csv", tmp_path / "tables", tmp_path / "measures")
    with recorded(first) as source:
        assert len(found.part(optimizer="sgd").table("runs")) == 0
        list(found.kept("features"))
    assert source.files == ["cells.csv", "features.safetensors", "runs.csv"]
