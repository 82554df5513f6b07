"""Equal tuning: its cells, how a rate is chosen, and comparisons of which the truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.unit.designs import CONFIG, GRID, made
from weight_atlas import cell_table, schema
from weight_atlas.analysis.runs import anova, tuning
from weight_atlas.plan import checks, outcome
from weight_atlas.plan.study import Plan
from weight_atlas.reporting import sections
from weight_atlas.reporting.exhibits.design import answers, figures, levels, tuned
from weight_atlas.reporting.grammar.answers import Verdict
from weight_atlas.vocabulary import Role

TWO = GRID | {"optimizer": ["sgd", "adam"]}
# Validation accuracy by optimizer and factor: sgd is best at its own rate, adam at a tenth of its own.
TRUTH = {"sgd": {"0.1": 0.5, "": 0.8, "10": 0.4}, "adam": {"0.1": 0.8, "": 0.6, "10": 0.3}}


def planned(design, **config):
    return Plan(CONFIG | config | {"definitions": {"study": design}})


def luck(labels, seed, size=0.01):
    """What chance adds to a replicate, the same in each call."""
    words = f"{labels['optimizer']} {labels.get('tuned', '')} {seed}"
    return float(np.random.default_rng([ord(one) for one in words]).normal(0, size))


def planted(labels, seed):
    return TRUTH[labels["optimizer"]][labels.get("tuned", "")] + luck(labels, seed)


# ------------------------------------------------------------------------------------------- the plan


def test_every_cell_is_planned_at_every_rate():
    plan = planned({"grid": TWO, "tune": [0.1, 10]})
    rates = {}
    for entry in plan.entries:
        lr = plan.cells[entry.cell_id].settings.training.optimizer.options["lr"]
        rates.setdefault(entry.labels["optimizer"], {})[entry.role, entry.labels.get("tuned")] = lr
    own, other = (Role.GRID, None), Role.TUNING
    assert rates["sgd"] == {own: 0.1, (other, "0.1"): 0.01, (other, "10"): 1.0}
    assert rates["adam"] == {own: 0.001, (other, "0.1"): 0.0001, (other, "10"): 0.01}
    [experiment] = plan.experiments
    assert [axis.name for axis in experiment.axes] == ["optimizer"] and experiment.rates == 3
    assert "2 cells in the grid + 4 at other learning rates = 6 trainings a replicate" in outcome.table(plan, ())
    by_default = planned({"grid": TWO, "tune": True})
    assert {entry.labels.get("tuned") for entry in by_default.entries} == {None, "0.3", "3"}
    assert by_default.experiments[0].rates == 3 and len(planned({"grid": TWO}).entries) == 2


def test_whether_optimizers_are_compared_at_one_rate_is_known():
    rates = {"rate": {"low": {"set": {"lr": 0.01}}, "high": {"set": {"lr": 0.1}}}}
    assert planned({"grid": TWO}).experiments[0].rates == 1
    assert planned({"grid": TWO, "vary": rates}).experiments[0].rates == 0
    assert planned({"grid": GRID, "vary": rates}).experiments[0].rates == 0
    assert planned({"grid": GRID | {"init": ["default", "orthogonal"]}, "tune": [2]}).experiments[0].rates == 2
    method = {"method": {"sgd": {}, "adam": {"optimizer": "adam"}}}
    assert planned({"grid": GRID, "vary": method}).experiments[0].rates == 1, "whatever the axis is called"


@pytest.mark.parametrize(
    ("design", "config", "line"),
    [
        ({"tune": [10], "replicates": 1}, {}, "definitions.study.tune: needs 2 replicates or more, since those that"),
        ({"tune": [0]}, {}, "definitions.study.tune.0: 0 is not allowed; give a number above 0"),
        ({"tune": [2, 2]}, {}, "definitions.study.tune: names 2.0 twice; give each once"),
        (
            {"tune": [10], "training": {"stages": [{"epochs": 1}, {"epochs": 1, "lr": 0.5}]}},
            {},
            "definitions.study.tune: stage 1 has the rate 0.5 whatever the optimizer's rate is; give it none",
        ),
        (
            {"tune": [10], "training": {"schedule": {"type": "table", "rates": [0.1] * 4}}},
            {},
            "definitions.study.tune: stage 0 has a table of rates whatever the optimizer's rate is",
        ),
        (
            {"tune": [10], "perturb": {"perturbations": ["flip"]}},
            {"perturbations": {"flip": {"type": "flip"}}},
            "definitions.study: has `tune` and `perturb`; allowed: one of them",
        ),
        (
            {"tune": [10], "vary": {"rate": {"low": {}, "high": {"set": {"lr": 1.0}}}}},
            {},
            "definitions.study.tune: the rate 1 of digits x lenet5 x default x sgd x low makes it a cell that digits x "
            "lenet5 x default x sgd x high has too",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_one_line(design, config, line):
    with pytest.raises(checks.ConfigError) as error:
        planned({"grid": GRID} | design, **config)
    assert str(error.value).startswith(line)


def test_a_cell_is_tuned_in_one_way_within_a_study():
    experiments = {"one": {"grid": GRID, "tune": [10]}, "two": {"grid": GRID}}
    with pytest.raises(checks.ConfigError, match="two.tune: its cell .* is also in the experiment one"):
        planned({"experiments": experiments})
    experiments["two"]["tune"] = [10.0]
    assert len(planned({"experiments": experiments}).cells) == 2


# ------------------------------------------------------------------------------------------- the choice


def test_a_rate_is_chosen_by_the_seeds_that_choose():
    found = {
        "a": {0: 0.9, 1: 0.5, 2: 0.5, 3: 0.5},
        "b": {0: 0.1, 1: 0.6, 2: 0.6, 3: 0.6},
        "c": {1: 0.9},  # the others failed
    }
    assert tuning.choose(["a", "b"], found, [0]) == "a" and tuning.choose(["a", "b"], found, [1, 2]) == "b"
    assert tuning.choose(["a", "b", "c"], found, [0, 1]) == "c"
    assert tuning.choose(["a", "b"], {"a": {0: 0.5}, "b": {0: 0.5}}, [0]) == "a", "the own rate of equals"
    assert tuning.choose(["a", "b"], {}, [0]) == "a"
    assert [cell_table.choosing(count) for count in (2, 3, 5, 6, 10)] == [1, 1, 1, 2, 3]


def test_a_rate_at_which_runs_diverge_is_not_chosen():
    runs = pd.DataFrame({"cell_id": ["a", "a", "b"], "seed": [0, 1, 0], "status": ["done", "diverged", "failed"]})
    metrics = pd.DataFrame({"cell_id": ["a", "a", "a"], "seed": [0, 0, 1], "epoch": [0, 1, 1]})
    found = tuning.scores(runs, metrics.assign(valid_accuracy=[0.9, 0.7, 0.8]))
    assert found == {"a": {0: 0.7, 1: 0.0}}


def test_the_choice_does_not_flatter():
    """Five rates that are equal in truth: those that chose the best are above it, the others are not."""
    draw, rates = np.random.default_rng(0), list("abcde")
    flattered, fair = [], []
    for _ in range(2000):
        values = {rate: dict(enumerate(draw.normal(0, 1, 6))) for rate in rates}
        best = values[tuning.choose(rates, values, range(2))]
        flattered.append(np.mean([best[seed] for seed in range(2)]))
        fair.append(np.mean([best[seed] for seed in range(2, 6)]))
    assert np.mean(flattered) > 0.5 and stats.ttest_1samp(fair, 0).pvalue > 0.01
    assert abs(np.mean(fair)) < 0.05


# ------------------------------------------------------------------------------------------- the report


def difference(found):
    shown = levels.read(found.tables, found.only)
    [row] = shown.differences
    return shown, row


def test_what_is_equal_at_its_best_is_not_called_worse(tmp_path):
    """At its own rate adam is 20 points worse; tuned it is as good, and so is the verdict."""
    default = made(tmp_path / "default", {"grid": TWO}, planted, replicates=6)
    _, row = difference(default)
    assert row["mean"] == pytest.approx(-0.2, abs=0.02) and row["q"] < 0.001
    told = answers.answer(default.tables, default.only)
    assert "lowers" in told[0].text and told[-1].text == tuned.NOT_TUNED

    equal = made(tmp_path / "tuned", {"grid": TWO, "tune": [0.1, 10]}, planted, replicates=6)
    shown, row = difference(equal)
    expected = [
        planted({"optimizer": "adam", "tuned": "0.1"}, seed) - planted({"optimizer": "sgd"}, seed)
        for seed in range(2, 6)
    ]
    assert row["mean"] == pytest.approx(np.mean(expected)) and row["n"] == 4 and row["q"] > 0.05
    told = answers.answer(equal.tables, equal.only)
    assert told[0].verdict in (Verdict.NO, Verdict.UNDECIDED) and "lowers" not in told[0].text
    assert told[-1].text == "Each is at the best of 3 learning rates, chosen on validation accuracy."
    [exhibit] = figures.by_level(equal.tables, equal.only)
    assert told[-1].text in exhibit.caption and "that chose it are not among those" in exhibit.caption
    assert set(shown.means["n"]) == {4} and set(shown.means["of"]) == {4}
    assert not shown.found.status()["missing"].any()


def test_the_luck_of_those_that_choose_does_not_count(tmp_path):
    """Seed 0, which chooses, is lucky at a rate that is worse otherwise: that rate is taken, and not its luck."""

    def reach(labels, seed):
        lucky = labels["optimizer"] == "sgd" and labels.get("tuned") == "10" and seed == 0
        return 0.95 if lucky else planted(labels, seed)

    found = made(tmp_path, {"grid": TWO, "tune": [0.1, 10]}, reach, replicates=5)
    rows = found.tables.table("tuning")
    assert rows.loc[rows["best"], "lr"].unique().tolist() == [1.0, 0.0001]
    assert rows.loc[rows["chooses"], "seed"].unique().tolist() == [0]
    shown, row = difference(found)
    values = shown.values.frame[shown.values.frame["optimizer"] == "sgd"].set_index("seed")["value"]
    expected = {seed: planted({"optimizer": "sgd", "tuned": "10"}, seed) for seed in range(1, 5)}
    assert values.to_dict() == pytest.approx(expected) and row["mean"] > 0.3


def test_the_study_shows_each_cell_once_at_its_best_rate(tmp_path):
    found = made(tmp_path, {"grid": TWO, "tune": [0.1, 10]}, planted, replicates=4)
    tables = found.tables
    rates = [tables.settings[cell].training.optimizer.options["lr"] for cell in tables.cells["cell_id"]]
    assert tables.cells["optimizer"].tolist() == ["sgd", "adam"] and rates == [0.1, 0.0001]
    assert tables.status()["done"].tolist() == [4, 4] and len(tables.done("runs")) == 8
    [exhibit] = tuned.table(tables, found.only)
    assert exhibit.data["lr"].tolist() == ["0.01", "0.1", "1", "0.0001", "0.001", "0.01"]
    assert exhibit.data["taken"].tolist() == ["", "yes", "", "yes", "", ""]
    assert "rates beyond may be better: adam (0.0001)" in exhibit.caption
    named = [part.name for question in sections.chapter(tables).questions for part in question.exhibits]
    tables.experiments = found.experiments
    assert "tuning" not in named and "tuning" in [
        part.name for question in sections.chapter(tables).questions for part in question.exhibits
    ]


def test_verdicts_on_equal_optimizers_are_right_nearly_always():
    """By simulation: optimizers that are equal at their best rates, of which one has two, and another nearly has."""
    draw, wrong, count = np.random.default_rng(1), 0, 3000
    truths = {"one": {"a": 0.80, "b": 0.80, "c": 0.70}, "other": {"d": 0.60, "e": 0.80, "f": 0.80}}
    for _ in range(count):
        taken = {}
        for name, rates in truths.items():
            values = {rate: dict(enumerate(draw.normal(mean, 0.02, 6))) for rate, mean in rates.items()}
            best = values[tuning.choose(list(rates), values, range(cell_table.choosing(6)))]
            taken[name] = [best[seed] for seed in range(2, 6)]
        wrong += stats.ttest_rel(taken["one"], taken["other"]).pvalue < 0.05
    assert stats.binomtest(int(wrong), count, 0.05).pvalue > 0.01


def test_the_analysis_of_variance_is_at_the_best_rates(tmp_path):
    """Two optimizers by two starts: at their own rates the optimizer explains nearly all, at the best ones nothing."""
    grid = TWO | {"init": ["default", "orthogonal"]}

    def terms(folder, **design):
        found = made(folder, {"grid": grid} | design, planted, replicates=6)
        frames = {name: found.tables.table(name) for name in ("runs", "accuracy", "metrics", "tuning")}
        rows = anova.rows(cell_table.read(folder / "cells.csv"), *frames.values())
        frame = pd.DataFrame(rows, columns=schema.names("anova"))
        return frame[frame["outcome"] == "accuracy"].set_index("term")

    own, best = terms(tmp_path / "own"), terms(tmp_path / "best", tune=[0.1, 10])
    assert own.loc["optimizer", "eta"] > 0.9 and best.loc["optimizer", "p"] > 0.05
    assert (set(own["n"]), set(best["n"])) == ({24}, {16})
