"""Analysis of variance against statsmodels, against a closed form, and as a table of a config."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from weight_atlas import schema, stats
from weight_atlas.analysis.runs import anova
from weight_atlas.vocabulary import AXES

LEVELS = {"blocks": ("1", "3", "5"), "kernel": ("2", "3", "4", "5"), "dropout": ("0.1", "0.5")}


def sample(factors, replicates=3, seed=0):
    """A full grid with main effects, an interaction and noise, as a DataFrame with a column `value`."""
    draw = np.random.default_rng(seed)
    rows = []
    for place in itertools.product(*(LEVELS[name] for name in factors)):
        row = dict(zip(factors, place, strict=True))
        numbers = [LEVELS[name].index(level) for name, level in row.items()] + [0]
        for _ in range(replicates):
            centre = 0.6 + 0.03 * numbers[0] - 0.01 * numbers[1] + 0.008 * numbers[0] * numbers[1]
            rows.append(row | {"value": centre + draw.normal(0, 0.01)})
    return pd.DataFrame(rows)


def analysed(frame, factors, blocks=None):
    found = stats.anova(frame["value"], {name: frame[name].tolist() for name in factors}, blocks)
    return {term.name: term for term in found}


def blocked(frame, factors):
    """The frame with the seed of each value, and what all values of a seed share added to them."""
    seeds = frame.groupby(list(factors)).cumcount()
    return frame.assign(seed=seeds, value=frame["value"] + 0.05 * seeds)


def reference(frame, factors):
    """statsmodels' table of the same model with sums of squares of type II, indexed by the names of the terms; the
    column `seed` is a block, where there is one."""
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    formula = "value ~ " + " * ".join(f"C({name}, Sum)" for name in factors)
    formula += " + C(seed, Sum)" if "seed" in frame else ""
    table = anova_lm(ols(formula, frame).fit(), typ=2)
    return table.rename(
        index=lambda name: (
            ":".join(part.partition("(")[2].partition(",")[0] for part in name.split(":"))
            if name != "Residual"
            else stats.RESIDUAL
        )
    )


@pytest.mark.parametrize("lost", [0, 1, 9])
@pytest.mark.parametrize("factors", [("blocks", "kernel"), ("blocks", "kernel", "dropout")])
def test_it_is_what_statsmodels_gives(factors, lost):
    """A balanced grid, and ones that lost runs, though no cell of its own."""
    frame = sample(factors)
    keep = np.random.default_rng(3).permutation(len(frame) // 3)[:lost] * 3
    frame = frame.drop(index=keep).reset_index(drop=True)
    expected, found = reference(frame, factors), analysed(frame, factors)
    assert set(found) == set(expected.index)
    for name, row in expected.iterrows():
        assert found[name].df == row["df"]
        assert found[name].sum_sq == pytest.approx(row["sum_sq"], rel=1e-8)
        if name != stats.RESIDUAL:
            assert found[name].f == pytest.approx(row["F"], rel=1e-8)
            assert found[name].p == pytest.approx(row["PR(>F)"], rel=1e-6)


def test_effect_sizes_by_their_definitions():
    factors = ("blocks", "kernel")
    frame = sample(factors)
    found = analysed(frame, factors)
    error = found[stats.RESIDUAL]
    mean = error.sum_sq / error.df
    for name in ("blocks", "kernel", "blocks:kernel"):
        one = found[name]
        assert one.eta == pytest.approx(one.sum_sq / (one.sum_sq + error.sum_sq))
        above = one.sum_sq - one.df * mean
        assert one.omega == pytest.approx(above / (one.sum_sq + (len(frame) - one.df) * mean))


def test_the_interval_of_an_explained_share_is_of_the_noncentral_f():
    """Its ends are the shares at which the F that was seen is the 2.5 % and the 97.5 % quantile (scipy.stats.ncf)."""
    factors = ("blocks", "kernel")
    frame = sample(factors, replicates=4)
    found = analysed(frame, factors)
    for name in ("blocks", "kernel", "blocks:kernel"):
        one, df_error = found[name], found[stats.RESIDUAL].df
        assert one.low <= max(one.omega, 0) <= one.high < 1
        for share, probability in ((one.low, 0.975), (one.high, 0.025)):
            if share > 0:
                noncentral = scipy.stats.ncf(one.df, df_error, len(frame) * share / (1 - share))
                assert noncentral.cdf(one.f) == pytest.approx(probability, abs=1e-6)
            else:
                assert scipy.stats.f(one.df, df_error).cdf(one.f) <= probability + 1e-9


def test_the_interval_of_an_explained_share_covers_it():
    """Two groups whose means differ by one standard deviation: the term explains 0.2 of the variance."""
    draw, groups = np.random.default_rng(0), ["a", "b"] * 10
    shift = np.array([0.5 if group == "a" else -0.5 for group in groups])
    found = [stats.anova(draw.normal(shift, 1), {"group": groups})[0] for _ in range(400)]
    covered = np.mean([one.low <= 0.2 <= one.high for one in found])
    assert 0.92 <= covered <= 0.98


def test_a_balanced_grid_splits_the_whole_sum_of_squares():
    factors = ("blocks", "kernel", "dropout")
    frame = sample(factors)
    total = np.square(frame["value"] - frame["value"].mean()).sum()
    assert sum(term.sum_sq for term in analysed(frame, factors).values()) == pytest.approx(total)


def test_two_levels_are_a_t_test():
    frame = sample(("dropout",), replicates=6)
    one = analysed(frame, ("dropout",))["dropout"]
    groups = [own["value"] for _, own in frame.groupby("dropout")]
    expected = scipy.stats.ttest_ind(*groups)
    assert one.f == pytest.approx(expected.statistic**2)
    assert one.p == pytest.approx(expected.pvalue)


def test_without_a_replicate_there_is_no_test():
    found = analysed(sample(("blocks", "kernel"), replicates=1), ("blocks", "kernel"))
    assert found[stats.RESIDUAL].df == 0
    assert math.isnan(found["blocks"].p) and math.isnan(found["blocks"].omega)


def test_what_a_seed_shares_is_neither_effect_nor_error():
    factors = ("blocks", "kernel")
    plain = sample(factors)
    frame = blocked(plain, factors)
    found, expected = analysed(frame, factors, frame["seed"].tolist()), reference(frame, factors)
    for name in ("blocks", "kernel", "blocks:kernel"):
        row = expected.loc[name]
        assert (found[name].df, found[name].f, found[name].p) == pytest.approx((row["df"], row["F"], row["PR(>F)"]))
    assert found[stats.RESIDUAL].df == 36 - 12 - 2, "two degrees of freedom for three seeds"
    assert found["blocks"].sum_sq == pytest.approx(analysed(plain, factors)["blocks"].sum_sq, rel=1e-9)
    assert found["blocks:kernel"].p < analysed(frame, factors)["blocks:kernel"].p, "without blocks it is error"


def test_a_cell_that_was_lost_costs_a_degree_of_freedom():
    frame = sample(("blocks", "kernel"))
    frame = frame[(frame["blocks"] != "5") | (frame["kernel"] != "5")]
    found = analysed(frame, ("blocks", "kernel"))
    assert [found[name].df for name in ("blocks", "kernel", "blocks:kernel")] == [2, 3, 5]


# --- of a config


def config(frame, factors, study="cinic", experiment="blocks", **labels):
    """(cells, runs, accuracy, metrics) of a grid; its values are validation accuracies."""
    cells, runs, accuracy, metrics = {}, [], [], []
    for place, own in frame.groupby(list(factors), sort=False):
        cell_id = f"base-{study}-{experiment}-{'-'.join([*place, *labels.values()])}"
        named = dict.fromkeys(AXES, "x") | {"experiment": experiment, "rate": ""} | labels
        named |= dict(zip(factors, place, strict=True))
        cells[cell_id] = {"named": [{"study": study, "role": "grid", "kind": "base", "labels": named}]}
        for seed, value in enumerate(own["value"]):
            front = {"cell_id": cell_id, "seed": seed}
            runs.append(front | {"status": "done"})
            accuracy.append(front | {"protocol": "best_valid", "accuracy": value - 0.01})
            for epoch in (0, 1, 2):
                row = {"epoch": epoch, "valid_accuracy": value - 0.1 * (epoch != 1)}
                metrics.append(front | row | {"train_accuracy": 0.9, "test_accuracy": value - 0.02})
    return cells, *map(pd.DataFrame, (runs, accuracy, metrics))


def test_the_table_of_a_config():
    factors = ("blocks", "kernel")
    frame = blocked(sample(factors), factors)
    found = pd.DataFrame(anova.rows(*config(frame, factors)), columns=schema.names("anova"))
    assert list(dict.fromkeys(found["outcome"])) == ["valid_accuracy", "accuracy", "gap"]
    own = found[found["outcome"] == "valid_accuracy"].set_index("term")
    expected = reference(frame, factors)
    np.testing.assert_allclose(own["sum_sq"], expected.loc[own.index, "sum_sq"], rtol=1e-8)
    assert set(own["n"]) == {36} and set(own["setting"]) == {""}
    tested = found["p"].notna()
    np.testing.assert_allclose(found.loc[tested, "q"], scipy.stats.false_discovery_control(found.loc[tested, "p"]))
    assert found.loc[found["term"] == stats.RESIDUAL, "q"].isna().all()


def test_a_failed_run_is_left_out_and_two_data_sets_are_two_grids():
    factors = ("blocks", "kernel")
    frame = sample(factors)
    cells, runs, accuracy, metrics = (
        [one, other]
        for one, other in zip(
            config(frame, factors, dataset="a"), config(sample(factors, seed=1), factors, dataset="b"), strict=True
        )
    )
    runs[0].loc[0, "status"] = "diverged"
    merged = cells[0] | cells[1], *(pd.concat(parts, ignore_index=True) for parts in (runs, accuracy, metrics))
    found = pd.DataFrame(anova.rows(*merged), columns=schema.names("anova"))
    assert found.groupby("setting")["n"].unique().map(list).to_dict() == {"a": [35], "b": [36]}


def test_the_optimizer_is_a_factor_and_what_another_axis_sets_is_none():
    frame = sample(("blocks", "kernel"))
    cells, *tables = config(frame, ("blocks", "kernel"))
    for cell in cells.values():
        labels = cell["named"][0]["labels"]
        labels["optimizer"] = labels.pop("blocks")
        labels["init"] = f"as {labels['kernel']}"
    found = pd.DataFrame(anova.rows(cells, *tables), columns=schema.names("anova"))
    own = found[found["outcome"] == "valid_accuracy"].set_index("term")["sum_sq"]
    assert set(own.index) == {"optimizer", "kernel", "optimizer:kernel", stats.RESIDUAL}
    expected = reference(frame, ("blocks", "kernel"))["sum_sq"]
    np.testing.assert_allclose(own["optimizer"], expected["blocks"], rtol=1e-8)


def test_one_axis_is_no_grid():
    frame = sample(("blocks",))
    assert anova.rows(*config(frame, ("blocks",))) == []
