"""How many layers to copy: the rule, what it is made from, and what the report and the console say."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats as scipy_stats
from test_claims_transferability import Truth, halves
from test_reporting_transfer import opened
from test_transfer import of, table
from torchvision.models import vgg11_bn

from weight_atlas import schema, stats
from weight_atlas.analysis.transfer import recommend, transfer
from weight_atlas.faults import NothingToShow
from weight_atlas.plan import outcome, spec
from weight_atlas.reporting.exhibits.transfer import recommendations

POINT = 0.01


def lost(depth, deep=0.05, until=6):
    return deep * (depth > until)


def steps(base, target, depth, rate):
    """Nothing is lost up to n = 6, five points beyond; at the lower rate nothing up to n = 8."""
    return lost(depth, until=8 if rate else 6) * (base != target)


def made(folder, seeds=3, loss=steps, rates=(), thresholds=None, **more):
    sample = Truth(loss, seeds=seeds, **more)
    halves(sample, range(1, 11))
    for rate in rates:
        for depth in range(1, 11):
            sample.cell("extra", "B", curve=("a-to-b", "A", "frozen", depth), extra={"rate": rate})
    sample.write(folder)
    if thresholds:
        rows = transfer.rows(*sample.frames(folder), thresholds)
        for name in ("segments", "recommendations"):
            schema.write(folder / f"tables/{name}.csv", name, rows[name])
    return sample


def row(folder, **where):
    [found] = of(table(folder, "recommendations"), base="A", target="B", **where).to_dict("records")
    return found


def drop(low90, high90):
    return stats.Equivalence(5, (low90 + high90) / 2, low90 - 0.01, high90 + 0.01, low90, high90, math.nan)


@pytest.mark.parametrize(
    ("drops", "depth", "possible", "verdict"),
    [
        ({1: drop(-0.01, 0.005), 2: drop(-0.02, 0.009), 3: drop(0.02, 0.03)}, 2, 2, "recommended"),
        ({1: drop(-0.01, 0.005), 2: drop(0.0, 0.011), 3: drop(0.02, 0.03)}, 1, 2, "recommended"),
        ({1: drop(-0.09, -0.05)}, 1, 1, "recommended"),  # better than the base is no reason against it
        ({1: drop(-0.01, 0.02), 2: drop(0.02, 0.03)}, None, 1, "undecided"),
        ({1: drop(0.011, 0.02), 2: drop(0.02, 0.03)}, None, None, "none"),
        ({1: drop(math.nan, math.nan)}, None, 1, "undecided"),
        ({}, None, None, "none"),
    ],
)
def test_the_deepest_n_within_the_margin_is_chosen(drops, depth, possible, verdict):
    found = recommend.choice(drops, POINT)
    assert (found.depth, found.possible, found.verdict) == (depth, possible, verdict)


def test_the_drop_is_tested_against_the_base(tmp_path):
    """One-sided Welch tests at 5 %, by scipy."""
    sample = made(tmp_path)
    base = sample.of("", "B", "")
    tests = {n: scipy_stats.ttest_ind(base - POINT, sample.of("A", "B", n), equal_var=False) for n in range(1, 11)}
    safe = [n for n, test in tests.items() if test.statistic < 0 and test.pvalue / 2 < 0.05]
    found = row(tmp_path)
    assert found["recommended"] == max(safe) == 6 and found["deepest"] == 10 and found["verdict"] == "recommended"
    low, high = scipy_stats.ttest_ind(base, sample.of("A", "B", 6), equal_var=False).confidence_interval(0.9)
    assert (found["low90"], found["high90"]) == pytest.approx((low, high))
    assert found["drop"] == pytest.approx(base.mean() - sample.of("A", "B", 6).mean())


def test_parameters_that_learn_are_those_that_are_not_copied(tmp_path):
    """Of torchvision's network, whose first linear layer reads 512 values here: the convolutions and their norms."""
    made(tmp_path)
    network = vgg11_bn(num_classes=10)
    copied = sum(one.numel() for layer in network.features[:22] for one in layer.parameters())  # six convolutions
    whole = sum(one.numel() for one in network.parameters()) - 4096 * 512 * 48
    found = row(tmp_path)
    assert (found["parameters"], found["trained_parameters"]) == (whole, whole - copied)


def test_a_tenth_of_the_epochs_is_judged_by_itself(tmp_path):
    """Replicates of A to B end at the tenth epoch already, those of the base later: a tenth would take any n."""
    made(tmp_path, epochs=100, first={"base": [60] * 3, "transfer": [10] * 3})
    found = row(tmp_path)
    assert (found["early_epochs"], found["early_verdict"], found["early_recommended"]) == (10, "recommended", 10)
    assert found["recommended"] == 6


def test_the_rate_that_goes_deepest_is_chosen(tmp_path):
    made(tmp_path, rates=("0.01",))
    slow, usual = row(tmp_path, setting="rate 0.01"), row(tmp_path, setting="")
    assert (slow["recommended"], slow["rate"], slow["chosen"]) == (8, 0.01, True)
    assert (usual["recommended"], usual["rate"], usual["chosen"]) == (6, 0.1, False)
    [answer] = recommendations.answer(opened(tmp_path))
    assert answer.text.startswith(
        "Copy 8 (at most 10) of the layers of A for B, freezing them at a learning rate of 0.01: "
    )


def test_resamples_say_how_often_the_same_n_comes_out(tmp_path):
    made(tmp_path / "few")
    assert math.isnan(row(tmp_path / "few")["agreement"]), "no bootstrap of fewer than ten replicates"
    made(tmp_path / "clear", seeds=10)
    assert row(tmp_path / "clear")["agreement"] > 0.99
    made(
        tmp_path / "close",
        seeds=10,
        loss=lambda base, target, depth, rate: 0.0009 * depth * (base != target),
        spread=0.002,
    )
    assert 0.1 < row(tmp_path / "close")["agreement"] < 0.95


def test_resamples_are_drawn_with_replacement():
    places = stats.resampled(4, 1000)
    assert places.shape == (1000, 4) and set(places.ravel()) == {0, 1, 2, 3}
    assert np.bincount(places.ravel()) / 4000 == pytest.approx(0.25, abs=0.03)
    assert (places == stats.resampled(4, 1000)).all(), "the same every time"


def test_the_margin_and_the_rule_on_accuracy_are_the_studys(tmp_path):
    thresholds = {
        "margin": 0.06,
        "origin": "as much as a user accepts",
        "accuracies": {"generic": 0.5, "transition": 0.4},
    }
    made(tmp_path, thresholds={"transferability": spec.Thresholds(**thresholds)})
    found = row(tmp_path)
    assert (found["recommended"], found["margin"], found["margin_origin"]) == (10, 0.06, "as much as a user accepts")
    own = of(table(tmp_path, "segments"), base="A", target="B")
    assert set(own["verdict"]) == {"generic"} and set(own["document_verdict"]) == {"generic"}
    assert set(own["generic"]) == {0.5} and set(own["transition"]) == {0.4}
    [made_] = recommendations.table(opened(tmp_path))
    assert "below 6 points (as much as a user accepts)" in made_.caption


def test_wrong_thresholds_are_refused():
    with pytest.raises(ValueError, match="transition is 0.9, above generic; give at most 0.8"):
        spec.Accuracies(generic=0.8, transition=0.9)
    assert spec.Thresholds().rule == spec.Accuracies(generic=0.91, transition=0.90)


def test_what_cannot_be_said_is_said(tmp_path):
    made(tmp_path / "one", seeds=1)
    assert "there is no interval" in recommendations.answer(opened(tmp_path / "one"))[0].text
    made(tmp_path / "wide", spread=0.03)
    [wide] = recommendations.answer(opened(tmp_path / "wide"))
    assert wide.text.startswith("Cannot say. Of the layers of A for B, freezing them, no n is shown to lose less")
    assert "seeds would decide it" in wide.decide and "; up to n = " in wide.sure
    made(tmp_path / "none", loss=lambda base, target, depth, rate: 0.1 * (base != target))
    assert recommendations.answer(opened(tmp_path / "none"))[0].text.startswith("Copy none of the layers of A for B")


def test_times_are_those_of_the_runs(tmp_path):
    made(tmp_path)
    tables = opened(tmp_path)
    runs = tables.table("runs")
    runs["wall_seconds"] = np.where(runs["cell_id"].str.startswith("base"), 80.0, 20.0)
    [answer] = recommendations.answer(tables)
    assert "Transfer and base take 20.0 and 80.0 s" in answer.text
    [shown] = recommendations.table(tables)
    assert of(shown.data, transfer="A → B")["time (s)"].tolist() == ["20.0 of 80.0"]


def test_a_study_of_its_own_layers_alone_has_none(tmp_path):
    sample = Truth(steps)
    sample.cell("grid", "B")
    sample.transfers("b-to-b", "B", "B", range(1, 4))
    with pytest.raises(NothingToShow):
        recommendations.answer(opened(sample.write(tmp_path)))


def test_the_console_repeats_what_the_report_recommends(tmp_path):
    name = f"{recommendations.__name__}.answer"
    said = {
        "text": "Copy 6 of at most 10 layers.",
        "sure": "n = 3",
        "decide": "",
        "source": {"functions": [name], "files": []},
    }
    other = said | {"text": "Something else.", "source": {"functions": ["weight_atlas.other"], "files": []}}
    asked = [{"answer": [said]}, {"answer": [other]}, {"answer": []}]
    folder = tmp_path / "results/tour/figures/mine"
    folder.mkdir(parents=True)
    (folder / "exhibits.json").write_text(json.dumps({"questions": asked}))
    plan = SimpleNamespace(config=SimpleNamespace(name="tour"), asked=["mine", "another"])
    plan.path = tmp_path.joinpath
    assert outcome.recommended(plan) == ["mine: Copy 6 of at most 10 layers. (n = 3)"]
