"""Finished replicates that never learnt: the rule against scipy's own test, and where the report says so."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from tests.conftest import tiny
from tests.unit import results, summaries, told
from tests.unit.tables import read_table, write_table
from weight_atlas import records, schema, stats, store
from weight_atlas.analysis.runs import learnt
from weight_atlas.analysis.runs import runs as became
from weight_atlas.plan import outcome
from weight_atlas.plan.study import Plan
from weight_atlas.reporting import registry
from weight_atlas.reporting.exhibits.runs import runs, study
from weight_atlas.reporting.grammar import dots
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.source import note
from weight_atlas.reporting.grammar.tables import Tables

ONE = "means count it only where no other of its cell learnt"
ACCURACIES = (0.1, 0.2, 0.6)
COUNTS = {"train": [300, 500, 200], "valid": [60, 100, 40], "test": [60, 100, 40]}


def metrics(*epochs, cell="c", seed=0):
    """The metrics of one replicate: (train, valid, test accuracy) per epoch, from 0."""
    names = ("train_accuracy", "valid_accuracy", "test_accuracy")
    rows = [{"cell_id": cell, "seed": seed, "epoch": at} | dict(zip(names, row, strict=True))
            for at, row in enumerate(epochs)]  # fmt: skip
    return pd.DataFrame(rows).astype({name: float for name in names})


@pytest.mark.parametrize(("right", "n", "share"), [(0, 10, 0.1), (1, 10, 0.1), (10, 10, 0.5), (130, 1000, 0.1),
                                                    (5400, 50000, 0.1), (9, 30, 0.37)])  # fmt: skip
def test_the_test_is_scipys_exact_one(right, n, share):
    expected = binomtest(right, n, share, alternative="greater").pvalue
    assert stats.exceeds_share(right, n, share) == pytest.approx(expected, rel=1e-9)


def by_hand(train, valid, test):
    """The rule as the documents say it, with scipy's test."""
    ps = []
    if not np.isnan(train):
        ps.append(binomtest(round(train * 1000), 1000, 0.5, alternative="greater").pvalue)
    if not np.isnan(test):
        ps.append(binomtest(round(valid * 200) + round(test * 200), 400, 0.5, alternative="greater").pvalue)
    return any(p < {1: 0.001, 2: 0.0005}[len(ps)] for p in ps)


@pytest.mark.parametrize("held_out", [0.2, 0.5, 0.55, 0.58, 0.585, 0.6, np.nan])
@pytest.mark.parametrize("train", [0.1, 0.5, 0.54, 0.549, 0.551, 0.553, 0.6, 1.0, np.nan])
def test_learning_is_judged_by_two_exact_tests(train, held_out):
    found = learnt.learnt(metrics((0.1, 0.1, 0.1), (train, held_out, held_out)), {"c": COUNTS})
    if np.isnan(train) and np.isnan(held_out):
        assert found == {}
    else:
        assert found == {("c", 0): by_hand(train, held_out, held_out)}


def test_a_dead_network_names_the_largest_class_alone():
    assert learnt.learnt(metrics((0.9, 0.9, 0.9), (0.5, 0.5, 0.5)), {"c": COUNTS}) == {("c", 0): False}, (
        "the last epoch"
    )
    assert learnt.learnt(metrics((0.2, 0.2, 0.2), (0.9, 0.5, 0.5)), {"c": COUNTS}) == {("c", 0): True}, "memorised"
    assert learnt.learnt(metrics((0.2, 0.2, 0.2), (0.5, 0.9, 0.9)), {"c": COUNTS}) == {("c", 0): True}, "dropout"


def test_chance_passes_for_learning_once_in_a_thousand_times():
    """2,000 networks that guess by the shares of the largest class: at most 0.1 % pass, but for chance."""
    random = np.random.default_rng(3)
    rows = [metrics(tuple(random.binomial(n, 0.5) / n for n in (1000, 200, 200)), seed=seed) for seed in range(2000)]
    found = learnt.learnt(pd.concat(rows), {"c": COUNTS})
    assert sum(found.values()) <= 8 and len(found) == 2000


# ------------------------------------------------------------------------------------------- what is told


@pytest.fixture
def tables(tmp_path):
    """Two cells of two replicates, of which one diverged (cell 1, seed 1) and one never learnt (cell 0, seed 1)."""
    folder = results.make(tmp_path)
    found = pd.read_csv(folder / "tables/runs.csv")
    found["learnt"] = [None if row.status != "done" else at != 1 for at, row in enumerate(found.itertuples())]
    write_table(folder / "tables/runs.csv", found)
    assert pd.read_csv(folder / "tables/runs.csv")["counted"].tolist() == [True, False, True, False]
    return Tables("first", folder / "cells.csv", folder / "tables", folder / "measures")


def test_they_are_counted_apart_wherever_replicates_are(tables):
    status = tables.status()
    assert status["unlearnt"].tolist() == [1, 0] and status["done"].tolist() == [2, 1]
    one, two = (status.loc[cell] for cell in status.index)
    assert runs.of_asked(one) == "2 of 2 (1 never learnt)" and runs.of_asked(two) == "1 of 2 (1 diverged)"
    assert dots.tally(one) == "2/2, 1 never learnt" and dots.tally(two) == "1/2"
    assert not dots.whole(one) and not dots.whole(two)
    both = f"1 finished replicate never learnt; {ONE}."
    assert runs.shortfall(tables) == f"Of 4 replicates 3 finished (1 diverged). {both}"
    assert runs.shortfall(tables, optimizer="level-0") == both
    assert study.replicates(tables, status.sum()).endswith(f"3 finished, 1 diverged. {both}")
    assert [text.rpartition("2 finished ")[2] for text in study.trouble(tables)][0] == "(1 never learnt)."


def test_the_console_says_how_many(tmp_path):
    plan = Plan(tiny(), tmp_path)
    path = tmp_path / f"results/{plan.config.name}/tables/runs.csv"
    assert "never learnt" not in outcome.after(plan, "again")
    frame = pd.DataFrame({"cell_id": ["a", "b", "c"], "seed": 0, "status": "done", "learnt": [False, True, None]})
    write_table(path, frame)
    assert "tiny: 1 of the finished replicates never learnt; the report lists them" in outcome.after(plan, "again")
    frame = pd.read_csv(path).drop(columns="learnt")
    frame.to_csv(path, index=False)  # of another version
    assert "never learnt" not in outcome.after(plan, "again")


def test_a_mean_counts_them_only_where_none_of_their_cell_learnt(tables):
    own = [(row.cell_id, row.seed) for row in tables.read("runs").itertuples()]

    def found(kept):
        return [(row.cell_id, row.seed) for row in tables.keeping(kept).done("runs").itertuples()]

    assert found("counted") == found("learnt") == [own[0], own[2]] and found("done") == own[:3]
    table = tables.table("runs")
    table.loc[table.index[:2], ["learnt", "counted"]] = [False, True]  # now no replicate of the first cell learnt
    assert found("counted") == own[:3] and found("learnt") == [own[2]]


@pytest.mark.parametrize(
    ("learnt_", "counted"),
    [
        ((True, True, True), (True, True, True)),
        ((True, False, None), (True, False, True)),
        ((False, False, False), (True, True, True)),
        ((False, False, "diverged"), (True, True, False)),
        ((False, True, "failed"), (False, True, False)),
    ],
)
def test_what_means_count_is_recorded(tmp_path, learnt_, counted):
    """By status and learning of three replicates, None where a record has no accuracy."""
    block = tmp_path / "base-x" / "seeds_0-2"
    for seed, one in enumerate(learnt_):
        record = {"seed": seed, "status": one if isinstance(one, str) else "done", "epochs": 1, "machine": {}}
        store.make_folder(store.record_path(block, seed).parent)
        store.write_json(store.record_path(block, seed), record)
        records.seal(block, seed, {})
    records.assemble(block, "base-x", {})
    known = {("base-x", seed): one for seed, one in enumerate(learnt_) if isinstance(one, bool)}
    rows = became.rows("base-x", [str(block)], [0, 1, 2], {}, known)
    assert tuple(row.counted for row in rows) == counted
    schema.write(tmp_path / "runs.csv", "runs", [row._replace(threads=1) for row in rows])
    every = {"cell_id": "base-x", "seed": range(3), "status": "done", "protocol": "last", "epoch": 1}
    write_table(tmp_path / "accuracy.csv", pd.DataFrame(every | {"accuracy": ACCURACIES}))
    summaries.write(tmp_path)
    last = read_table(tmp_path / "summary.csv").query("measure == 'accuracy' and key == 'last'").iloc[0]
    own = [value for value, one in zip(ACCURACIES, counted, strict=True) if one]
    assert (last["n"], last["of"]) == (len(own), 3) and last["mean"] == pytest.approx(np.mean(own))


def test_every_caption_on_replicates_says_so(tables, monkeypatch):
    def made(name, caption, file):
        def part(_):
            note(file)
            return [Exhibit(name, "t", caption, "a", pd.DataFrame({"x": [1]}))]

        return part

    parts = {"a": made("a", "One.", "runs.csv"), "b": made("b", "Two.", "parameters.csv")}
    parts["c"] = made("c", "Here 1 finished replicate never learnt.", "runs.csv")
    monkeypatch.setattr(registry, "EXHIBITS", registry.Functions(parts, {}))
    captions = [one.caption for one in told.drawn(tables, "a", "b", "c")]
    added = f"In the whole study 1 finished replicate never learnt; {ONE}."
    assert captions == [f"One. {added}", "Two.", "Here 1 finished replicate never learnt."]


def test_their_column_is_declared_and_reads_back(tables, tmp_path):
    column = schema.TABLES["runs"].column("learnt")
    assert (column.type, column.empty) == ("boolean", "missing")
    read = tables.table("runs")["learnt"]
    assert read.tolist()[:3] == [True, False, True] and read.isna().tolist() == [False, False, False, True]
    schema.write(tmp_path / "runs.csv", "runs", [tuple(row) for row in tables.table("runs").astype(object).where(
        tables.table("runs").notna(), None).to_numpy()])  # fmt: skip
    assert schema.read(tmp_path / "runs.csv", "runs")["learnt"].tolist()[:3] == [True, False, True]
    json.dumps(read.tolist()[:3])


def test_tests_and_effects_are_of_replicates_that_learnt():
    """Those of which it is not known count: they have no accuracy, or did not finish."""
    runs = pd.DataFrame({"seed": [0, 1, 2], "learnt": pd.array([True, False, None], dtype="boolean")})
    assert learnt.without(runs)["seed"].tolist() == [0, 2]
