"""Pairwise differences of a whole study: few comparisons are all drawn, of many the clearest."""

import pandas as pd
import pytest

from tests.unit.designs import GRID, made
from weight_atlas import cell_table, schema
from weight_atlas.analysis import comparisons
from weight_atlas.reporting.exhibits.design import effects, factors

LUCK = (-0.01, 0.0, 0.013)


def built(folder, sizes, end, names=("batch", "{}"), **grid):
    """A study of batch sizes whose tests are those of the measures."""
    vary = {names[0]: {names[1].format(size): {"training": {"batch_size": size}} for size in sizes}}

    def reach(labels, seed):
        size = int(labels[names[0]].rpartition("-")[2])
        noise = 0.002 * ((size * (seed + 1)) % 5)
        return {"test": end(labels, size) + LUCK[seed] + noise, "unchanged": 0.1 + noise}

    found = made(folder, {"grid": GRID | grid, "vary": vary}, reach)
    tables = [schema.read(folder / "tables" / f"{name}.csv", name)
              for name in ("runs", "accuracy", "movement", "unchanged", "features")]  # fmt: skip
    rows = comparisons.rows(cell_table.read(folder / "cells.csv"), comparisons.outcomes(*tables), {})
    schema.write(folder / "tables" / "tests.csv", "tests", rows)
    return found.tables


def drawn(item):
    """The labels of the rows of a figure."""
    return [text.get_text() for text in item.figure.axes[0].get_yticklabels()]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Seven sizes, of which one is worse than all others."""
    return built(tmp_path_factory.mktemp("many"), range(8, 15), lambda _, size: 0.5 if size == 12 else 0.8)


def test_of_many_comparisons_the_figure_has_the_clearest_and_the_table_all(many):
    [item] = factors.factors(many)
    rows = drawn(item)
    assert len(rows) == 1 + effects.MOST and "The 20 clearest of 21 comparisons; the table has all." in item.caption
    others = [size for size in range(8, 15) if size != 12]
    assert {row for row in rows if "12" in row} == {f"{max(size, 12)} − {min(size, 12)}" for size in others}
    [table] = factors.factors_table(many)
    outcomes = item.data["outcome"].nunique()
    assert len(item.data) == len(table.data) == 21 * outcomes
    assert item.figure.get_figheight() < 7


def test_what_is_clear_is_told_both_ways(many, tmp_path):
    told = factors.answer(many)
    tests = pd.read_csv(many.folder / "tests.csv")
    own = tests[tests["outcome"] == "accuracy"]
    clear, top = int((own["q"] < 0.05).sum()), own.sort_values("q").iloc[0]
    assert clear >= 6 and 12 in {top["level_a"], top["level_b"]}
    [first] = [one for one in told if one.sentence.startswith("Accuracy")]
    assert first.sentence.startswith(f"Accuracy clearly differs in {clear} of 21 comparisons, most clearly by batch: ")
    assert f"{top['level_b']} less {top['level_a']} " in first.sentence and first.sure.endswith("n = 3")
    assert first.numbers[0][2:] == pytest.approx((3, top["difference"], top["low"], top["high"]))
    assert [one.verdict for one in told] == ["yes", *[None] * (len(told) - 1)]
    alike = built(tmp_path, range(8, 11), lambda *_: 0.8)
    [told] = factors.answer(alike)
    assert told.verdict == "cannot say" and told.sure.endswith("n = 3, which is no evidence of no effect")


def test_families_are_told_apart(tmp_path):
    found = built(tmp_path, (8, 16), lambda one, size: 0.8 - 0.3 * (size == 16 and one["network"] == "lenet1"),
                  network=["lenet5", "lenet1"])  # fmt: skip
    [item] = factors.factors(found)
    assert drawn(item) == ["network", "lenet1 − lenet5", "batch", "16 − 8: lenet5", "16 − 8: lenet1"]
    rows = item.data[(item.data["outcome"] == "accuracy") & (item.data["factor"] == "batch")]
    assert rows.set_index("network")["difference"].to_dict() == pytest.approx({"lenet5": 0, "lenet1": -0.3}, abs=0.01)


def test_other_names_give_the_same_rows(many, tmp_path):
    other = built(tmp_path, range(8, 15), lambda _, size: 0.5 if size == 12 else 0.8, names=("thing", "level-{}"))
    [one], [two] = factors.factors(many), factors.factors(other)
    assert [row.replace("level-", "").replace("thing", "batch") for row in drawn(two)] == drawn(one)
    numbers = [item.data.select_dtypes("number") for item in (one, two)]
    pd.testing.assert_frame_equal(*numbers)
