"""Exhibits and answers of factorials, on made-up results of which the truth is known."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from tests.unit.designs import GRID, made
from weight_atlas import cell_table, schema
from weight_atlas.analysis.runs import anova
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import effects, factorial
from weight_atlas.reporting.grammar import exhibit

LUCK = (-0.012, 0.002, 0.01)  # what a seed adds
BATCH, RATE = {"16": 0.10, "64": 0.05, "128": 0.0}, {"0.01": 0.0, "0.1": 0.0}
ALL = (factorial.heatmaps, factorial.distributions, factorial.interactions, factorial.table)
ANALYSED = (effects.effects, effects.table)


def design(batches=BATCH, rates=RATE, names=("batch", "rate"), word="{}", **more):
    """Batch size by learning rate, each level named by `word` of its number."""
    vary = {
        names[0]: {word.format(size): {"training": {"batch_size": int(size)}} for size in batches},
        names[1]: {word.format(rate): {"set": {"lr": float(rate)}} for rate in rates},
    }
    return {"grid": GRID, "vary": vary} | more


def built(folder, end, plan=None, **options):
    """The made-up study, its analysis of variance, and luck that differs from cell to cell."""
    chance = np.random.default_rng(0)
    found = made(folder, plan or design(), lambda labels, seed: end(labels) + LUCK[seed % 3] + chance.normal(0, 0.003),
                 **options)  # fmt: skip
    tables = [pd.read_csv(folder / "tables" / f"{name}.csv") for name in ("runs", "accuracy", "metrics")]
    rows = anova.rows(cell_table.read(folder / "cells.csv"), *tables)
    schema.write(folder / "tables" / "anova.csv", "anova", rows)
    return found


def by_batch(labels):
    return 0.6 + BATCH[labels["batch"]] + RATE[labels["rate"]]


def crossed(labels):
    """What the rate does turns with the batch."""
    return 0.6 + (0.1 if (labels["batch"] == "16") == (labels["rate"] == "0.1") else 0.0)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return built(tmp_path_factory.mktemp("plain"), by_batch)


def drawn(found, **options):
    """Every exhibit of a factorial by its name, as it is written to files."""
    parts = [part(found.tables, found.only, **options) for part in ALL[:3]]
    parts += [part(found.tables, found.only) for part in (factorial.table, *ANALYSED)]
    items = {item.name: item for part in parts for item in part}
    assert len(items) == sum(map(len, parts)), "names are unique"
    return items


def ends(found):
    """(labels, seed) -> test accuracy of finished replicates, from the tables."""
    rows = pd.read_csv(found.tables.folder / "accuracy.csv").query("status == 'done' and protocol == 'best_valid'")
    return rows.merge(found.tables.cells, on="cell_id")


def test_the_map_has_the_mean_of_every_combination(plain):
    [item] = factorial.heatmaps(plain.tables, plain.only)
    own = ends(plain).groupby(["batch", "rate"])["accuracy"]
    shown = item.data.set_index(["batch", "rate"])
    assert shown["mean"].to_dict() == pytest.approx(own.mean().to_dict()) and set(shown["n"]) == {3}
    [axes] = [axes for axes in item.figure.axes if axes.get_xlabel()]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(BATCH), "numbers ascend"
    assert axes.images[0].get_array().shape == (3, 2)
    assert item.title == "Test accuracy by batch and rate"


def test_an_outcome_may_be_named(plain):
    [item] = factorial.heatmaps(plain.tables, plain.only, outcome="loss")
    own = ends(plain).groupby(["batch", "rate"])["accuracy"].mean()
    assert item.data.set_index(["batch", "rate"])["mean"].to_dict() == pytest.approx((1 - own).to_dict(), abs=1e-3)
    assert item.title == "Test loss by batch and rate"
    assert "16" in factorial.answer(plain.tables, plain.only, outcome="loss")[0].text, "the lowest loss is the best"


def test_levels_and_pairs_have_their_means(plain):
    rows = ends(plain)
    [item] = factorial.distributions(plain.tables, plain.only)
    shown = item.data.set_index(["factor", "level"])
    for name in ("batch", "rate"):
        for level, own in rows.groupby(name)["accuracy"]:
            assert shown.loc[(name, level), ["n", "mean", "median"]].tolist() == pytest.approx(
                [len(own), own.mean(), own.median()]
            )
    [item] = factorial.interactions(plain.tables, plain.only)
    pair = item.data.set_index(["level_first", "level_second"])["mean"]
    assert pair.to_dict() == pytest.approx(rows.groupby(["batch", "rate"])["accuracy"].mean().to_dict())


def test_what_matters_is_told_and_what_does_not_is_not(plain, tmp_path):
    best, terms = factorial.answer(plain.tables, plain.only)
    assert best.text.startswith("Cannot say. batch 16, rate 0.") and "has the highest test accuracy, 70." in best.text
    assert best.text.endswith("and is clearly apart from only 4 of 5 others."), "both rates do the same"
    assert terms.text.startswith("Test accuracy clearly depends on batch (partial ω²") and "rate" not in terms.text
    assert terms.sure == "q < 0.05, 18 runs"
    other = built(tmp_path, crossed)
    best, terms = factorial.answer(other.tables, other.only)
    assert "batch × rate" in terms.text
    nothing = built(tmp_path / "none", lambda labels: 0.6)
    best, terms = factorial.answer(nothing.tables, nothing.only)
    assert best.verdict == "cannot say" and best.decide.endswith("seeds would settle one point")
    assert terms.text.startswith("No effect on test accuracy is clear, of 3 terms; the largest is ")
    assert terms.sure.endswith("no evidence of no effect")


@pytest.mark.parametrize(
    ("more", "noise", "verdict"), [(0.2, 0.002, "yes"), (0.004, 0.0002, "partly"), (0.0, 0.0005, "no")]
)
def test_the_best_is_clear_or_all_are_within_a_point(tmp_path, more, noise, verdict):
    def reach(labels, seed):
        own = np.random.default_rng([seed, *labels["batch"].encode(), *labels["rate"].encode()]).normal(0, noise)
        return 0.6 + more * (labels["batch"] == "64") * (labels["rate"] == "0.01") + own

    found = made(tmp_path, design(), reach)
    best = factorial.answer(found.tables, found.only)[0]
    assert best.verdict == verdict and ("batch 64, rate 0.01" in best.text or verdict == "no")
    rows = ends(found).groupby(["batch", "rate"])["accuracy"].mean()
    assert best.numbers[0].mean == pytest.approx(rows.max()) and best.numbers[0].n == 3


def test_effects_are_those_of_the_table_in_the_order_of_the_axes(plain):
    table = pd.read_csv(plain.tables.folder / "anova.csv")
    [item] = effects.effects(plain.tables, plain.only)
    own = table[(table["outcome"] == "accuracy") & (table["term"] != "residual")]
    shown = item.data[item.data["outcome"] == "accuracy"]
    assert shown["term"].tolist() == ["batch", "rate", "batch:rate"]
    assert shown["omega"].tolist() == pytest.approx(own.set_index("term").loc[shown["term"], "omega"].tolist())
    accuracy = next(item for item in effects.table(plain.tables, plain.only) if item.tab == "test accuracy")
    assert accuracy.data["term"].tolist() == ["batch", "rate", "batch × rate", "residual"]
    assert accuracy.columns == ["term", "df", "sum of squares", "F", "p", "q", "η²", "ω²", "95 %"]


def test_terms_are_in_one_order_whatever_the_table_has(plain, tmp_path):
    expected = effects.terms(plain.tables, plain.only)
    table = pd.read_csv(plain.tables.folder / "anova.csv", keep_default_na=False)
    table["term"] = table["term"].map(lambda name: ":".join(sorted(name.split(":"), reverse=True)))
    schema.write(tmp_path / "anova.csv", "anova", table.iloc[::-1].replace("", None).to_numpy().tolist())
    other = plain.tables.part()
    other._files, other.folder = {}, tmp_path
    pd.testing.assert_frame_equal(effects.terms(other, plain.only), expected, check_dtype=False)


def test_other_names_give_the_same_numbers(plain, tmp_path):
    names = ("z-axis", "a-axis")
    plan = design(names=names, word="level-{}")

    def end(labels):
        return by_batch(
            {ours: labels[theirs].removeprefix("level-") for ours, theirs in zip(("batch", "rate"), names, strict=True)}
        )

    other = built(tmp_path, end, plan)
    numbers = [
        [item.data.select_dtypes("number").drop(columns="cell_id", errors="ignore") for item in drawn(one).values()]
        for one in (plain, other)
    ]
    for one, two in zip(*numbers, strict=True):
        pd.testing.assert_frame_equal(one, two)
    told = [[answer.text for answer in factorial.answer(one.tables, one.only)] for one in (plain, other)]
    renamed = [text.replace("z-axis level-", "batch ").replace("a-axis level-", "rate ") for text in told[1]]
    assert [text.replace("z-axis", "batch").replace("a-axis", "rate") for text in renamed] == told[0]


def test_two_families_are_told_apart(tmp_path):
    plan = design(grid=GRID | {"network": ["lenet5", "lenet1"]})
    found = built(tmp_path, lambda one: by_batch(one) if one["network"] == "lenet5" else crossed(one), plan)
    assert found.only.families == ("network",)
    for part in (*ALL[:3], effects.effects):
        items = part(found.tables, found.only)
        assert [item.tab for item in items] == ["lenet5", "lenet1"] and len({item.title for item in items}) == 1
    maps = factorial.heatmaps(found.tables, found.only)
    own = ends(found).groupby(["network", "batch", "rate"])["accuracy"].mean()
    for item in maps:
        assert item.data.set_index(["batch", "rate"])["mean"].to_dict() == pytest.approx(own[item.tab].to_dict())
    told = factorial.answer(found.tables, found.only)
    assert [one.about for one in told] == ["lenet5", "lenet5", "lenet1", "lenet1"]
    assert "batch × rate" in told[3].text and "batch × rate" not in told[1].text
    assert set(factorial.table(found.tables, found.only)[0].data["network"]) == {"lenet5", "lenet1"}


def test_a_family_without_results_is_said_and_the_other_shown(tmp_path):
    plan = design(grid=GRID | {"network": ["lenet5", "lenet1"]})
    found = built(tmp_path, by_batch, plan, fate=lambda one, _: "done" if one["network"] == "lenet5" else "failed")
    for part in (*ALL[:3], effects.effects):
        assert [item.tab for item in part(found.tables, found.only)] == ["lenet5"]
    nothing, explained = found.tables.left_out
    assert nothing == "Nothing is shown of lenet1 in the study study: no replicate has finished."
    assert explained.startswith("What factors explain is not told of lenet1")


def test_the_study_is_told_over_all_families(tmp_path):
    plan = design(grid=GRID | {"network": ["lenet5", "lenet1"]})
    found = built(tmp_path, by_batch, plan)
    rows = pd.read_csv(found.tables.folder / "anova.csv")
    assert rows["setting"].unique().tolist() == ["lenet5", "lenet1"]
    overall = effects.overall(found.tables, outcome="accuracy")[0].text
    tested = rows[(rows["outcome"] == "accuracy") & rows["q"].notna()]
    assert overall.startswith(
        f"Of {len(tested)} effects and interactions on test accuracy, {(tested['q'] < 0.05).sum()} "
    )


def test_what_did_not_finish_is_counted(tmp_path):
    def fate(labels, seed):
        if (labels["batch"], labels["rate"]) == ("16", "0.1"):
            return "diverged"
        return "failed" if (labels["batch"], seed) == ("64", 2) else "done"

    found = built(tmp_path, by_batch, fate=fate)
    [item] = factorial.heatmaps(found.tables, found.only)
    data = item.data.set_index(["batch", "rate"])
    assert data["n"].to_dict() == {
        ("16", "0.01"): 3, ("16", "0.1"): 0, ("64", "0.01"): 2, ("64", "0.1"): 2, ("128", "0.01"): 3, ("128", "0.1"): 3
    }  # fmt: skip
    [axes] = [axes for axes in item.figure.axes if axes.get_xlabel()]
    texts = [text.get_text() for text in axes.texts]
    assert "0/3" in texts and sum("(2/3)" in text for text in texts) == 2
    assert "3 diverged, 2 failed" in item.caption and "Hatched: no value." in item.caption
    assert len(drawn(found)) == 8
    assert "batch 16, rate 0.01" in factorial.answer(found.tables, found.only)[0].text.lower()


def test_a_combination_that_the_config_leaves_out_is_said(tmp_path):
    found = built(tmp_path, by_batch, design(exclude=[{"batch": "16", "rate": "0.1"}]))
    assert not found.only.complete
    items = drawn(found)
    assert len(items["study-means"].data) == 5 and len(items["study-table"].data) == 5
    for kind in ("means", "levels", "interactions", "table"):
        assert "The config leaves some combinations out." in items[f"study-{kind}"].caption
    assert len(factorial.answer(found.tables, found.only)) == 2


def test_factors_that_cannot_be_told_apart_have_no_test(tmp_path):
    """Each optimizer has one start of its own: no analysis can tell which of the two it is."""
    grid = GRID | {"init": ["kaiming_uniform", "xavier_uniform"], "optimizer": ["sgd", "adam"]}
    apart = [{"init": "kaiming_uniform", "optimizer": "adam"}, {"init": "xavier_uniform", "optimizer": "sgd"}]
    found = built(
        tmp_path, lambda labels: 0.6 + 0.1 * (labels["optimizer"] == "adam"), {"grid": grid, "exclude": apart}
    )
    assert [axis.name for axis in found.only.axes] == ["init", "optimizer"]
    for part in ALL:
        assert part(found.tables, found.only)
    with pytest.raises(NothingToShow, match="do not tell its factors apart"):
        effects.effects(found.tables, found.only)
    assert len(factorial.answer(found.tables, found.only)) == 1


def test_one_run_a_combination_has_no_test(tmp_path):
    found = built(tmp_path, by_batch, replicates=1)
    for part in ALL:
        assert part(found.tables, found.only)
    with pytest.raises(NothingToShow, match="no error to test against"):
        effects.effects(found.tables, found.only)
    [told] = factorial.answer(found.tables, found.only)
    assert told.text.startswith("Cannot say.") and "apart from none of 5 others" in told.text


def test_one_axis_is_no_factorial(tmp_path):
    vary = {"batch": {size: {"training": {"batch_size": int(size)}} for size in BATCH}}
    found = made(tmp_path, {"grid": GRID, "vary": vary}, lambda *_: 0.5)
    for part in (*ALL, factorial.answer):
        with pytest.raises(NothingToShow, match="no factorial"):
            part(found.tables, found.only)
    with pytest.raises(NothingToShow):
        effects.effects(found.tables, found.only)


def test_three_hundred_cells_stay_readable(tmp_path):
    sizes, rates = [str(4 + at) for at in range(20)], [f"{(at + 1) / 100:g}" for at in range(15)]
    plan = design(sizes, rates)
    found = made(tmp_path, plan, lambda one, _: 0.5 + 0.01 * sizes.index(one["batch"]), replicates=1)
    items = [item for part in ALL for item in part(found.tables, found.only)]
    assert [len(item.data) for item in items] == [300, 35, 300, 300]
    assert all(item.figure.get_figheight() < 9 for item in items[:3])
    exhibit.write_png(tmp_path / "png", items[:3], faults := [])
    assert not faults
    batch, rate = found.only.axes
    more = replace(found.only, axes=(replace(batch, levels=(*batch.levels, *"abcde")), rate))
    with pytest.raises(NothingToShow, match="25 × 15 combinations are too many for a map"):
        factorial.heatmaps(found.tables, more)
    assert [len(axes.get_xticks()) for axes in items[1].figure.axes] == [10, 8], "labels do not touch"
    assert len(items[2].figure.axes[0].lines) == factorial.LINES
    assert "Lines are of at most 8 levels." in items[2].caption


def test_of_many_terms_the_figure_has_the_largest_and_the_table_all(tmp_path):
    names = ("batch", "rate", "decay", "length", "momentum")
    plan = design(["16", "64"])
    plan["vary"]["decay"] = {text: {"set": {"weight_decay": float(text)}} for text in ("0.001", "0.01")}
    plan["vary"]["length"] = {text: {"training": {"epochs": int(text)}} for text in ("2", "3")}
    plan["vary"]["momentum"] = {text: {"set": {"momentum": float(text)}} for text in ("0.1", "0.9")}
    found = built(tmp_path, lambda one: by_batch(one) + 0.05 * (one["momentum"] == "0.9"), plan, replicates=2)
    assert tuple(axis.name for axis in found.only.axes) == names
    [item] = effects.effects(found.tables, found.only)
    shown = [label.get_text() for label in item.figure.axes[0].get_yticklabels()]
    assert len(shown) == effects.MOST and {"batch", "momentum"} <= set(shown)
    assert "The 20 largest of 25 terms; the table has all." in item.caption
    assert len(effects.table(found.tables, found.only)[0].data) == 26


def test_further_factors_are_small_multiples(tmp_path):
    plan = design()
    plan["vary"]["decay"] = {text: {"set": {"weight_decay": float(text)}} for text in ("0.001", "0.01")}
    plan["vary"]["length"] = {text: {"training": {"epochs": int(text)}} for text in ("2", "3")}
    found = built(tmp_path, lambda one: by_batch(one) + 0.05 * (one["decay"] == "0.01"), plan)
    [item] = factorial.heatmaps(found.tables, found.only)
    maps = [axes for axes in item.figure.axes if axes.images and axes.get_visible()]
    panels = list(itertools.product(("0.001", "0.01"), ("2", "3")))
    assert [axes.get_title(loc="left") for axes in maps] == [f"decay {one}, length {two}" for one, two in panels]
    assert len({axes.images[0].norm for axes in maps}) == 1
    data = item.data.set_index(["batch", "rate", "decay", "length"])["mean"]
    for axes, panel in zip(maps, panels, strict=True):
        assert axes.images[0].get_array()[0, 1] == pytest.approx(100 * data[("16", "0.1", *panel)])
    [item] = factorial.interactions(found.tables, found.only)
    assert len(item.data) == 6 + 6 + 6 + 4 + 4 + 4
    own = ends(found).query("batch == '16' and decay == '0.01'").groupby("seed")["accuracy"].mean()
    shown = item.data.query("first == 'batch' and second == 'decay' and level_first == '16' and level_second == '0.01'")
    assert shown["mean"].tolist() == pytest.approx([own.mean()])


def test_the_analysis_is_that_of_a_textbook(plain):
    """Two crossed factors with the seeds as blocks, by statsmodels."""
    model = ols("accuracy ~ C(batch, Sum) * C(rate, Sum) + C(seed, Sum)", ends(plain)).fit()
    expected = anova_lm(model, typ=2).loc["C(batch, Sum)", "F"]
    found = effects.terms(plain.tables, plain.only).query("outcome == 'accuracy' and term == 'batch'")
    assert found["F"].iloc[0] == pytest.approx(expected)
