"""The ledger of claims: what a file may hold, how statements become a verdict, and what is said beside it."""

import math

import numpy as np
import pytest
from scipy import stats
from test_reporting_convnets import CARDS, TUTORIAL, opened

from tests.unit import designs, told
from tests.unit.claimed import Truth
from weight_atlas.faults import NothingToShow
from weight_atlas.plan import spec
from weight_atlas.reporting.claims import design, measured, verdicts
from weight_atlas.reporting.claims.evidence import EVIDENCE

CLAIM = {"id": "x", "says": "y", "scope": "z"}
SHARE = {"judge": "share", "evidence": "mean", "above": 0.5, "margin": 0.1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1", "list"),
        ("- {id: x}", "says"),
        ("- {id: x, says: y, scope: z}", "all"),
        ("- {id: x, says: y, scope: z, all: []}", "all"),
        ("- {id: x, says: y, scope: z, all: [{judge: best, above: 0}], tests: 3}", "tests"),
        ("- {id: x, says: y, scope: z, all: [{judge: guess}]}", "judge"),
        ("- {id: x, says: y, scope: z, all: [{judge: share, evidence: mean}]}", "above, below and between"),
        (
            "- {id: x, says: y, scope: z, all: [{judge: share, evidence: mean, above: 0, below: 1}]}",
            "above, below and between",
        ),
        (
            "- {id: x, says: y, scope: z, all: [{judge: exact, evidence: undefined, above: 0}]}",
            "above, below and between",
        ),
        ("- {id: x, says: y, scope: z, all: [{judge: share, evidence: mean, between: [1, 0]}]}", "between"),
        ("- {id: x, says: y, scope: z, all: [{judge: share, evidence: mean, above: 0, margin: -1}]}", "margin"),
        ("- {id: x, says: y, scope: z, all: [{judge: share, above: 0}]}", "needs the name of what finds its numbers"),
        ("- {id: x, says: y, scope: z, all: [{judge: best, evidence: guess, above: 0}]}", "evidence"),
        ("- &a {id: x, says: y, scope: z, all: [{judge: best, above: 0}]}\n- *a", "the id x stands there twice"),
    ],
)
def test_a_faulty_ledger_ends_in_one_line(tmp_path, text, words):
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        verdicts.ledger(tmp_path / "claims.yaml")
    assert "\n" not in str(caught.value) and "claims.yaml" in str(caught.value)


def test_without_a_file_there_are_no_claims(tmp_path):
    assert verdicts.ledger(tmp_path / "claims.yaml") == []


def test_every_statement_of_a_document_finds_its_evidence():
    for document in told.DOCUMENTS:
        for claim in told.ledger(document):
            for asked in (*claim.all, *claim.artefact):
                assert asked.finder in EVIDENCE, claim.id
            assert claim.origin or all(asked.judge == "exact" for asked in claim.all), claim.id


@pytest.fixture
def judge(tmp_path):
    """A function that judges one claim on values that a test gives: numbers by name of evidence."""
    made = Truth("convnets")
    made.put("rates", {"rate": "0.1"}, TUTORIAL, 0.6)
    tables = opened(made.write(tmp_path))

    def verdict(all_, artefact=(), **values):
        evidence = {
            name: lambda _, numbers=numbers: [measured.measured("it", own, measured.PERCENT, ()) for own in numbers]
            for name, numbers in values.items()
        }
        claim = spec.Claim.model_validate(CLAIM | {"all": all_, "artefact": list(artefact)})
        return *verdicts.judge([claim], evidence, tables), tables

    return verdict


def test_parameters_that_evidence_does_not_have_are_a_fault_of_the_chapter(judge):
    item, tables = judge([SHARE | {"parameters": {"axes": "x"}}], mean=[[0.6, 0.7]])
    assert item["verdict"] == "not testable here" and len(tables.faults) == 1


VALUES = [0.5, 0.52, 0.54, 0.56]


@pytest.mark.parametrize("margin", [0.0, 0.005, 0.02, 0.03, 0.05, 0.08, 0.2])
def test_half_and_double_the_margin_are_judged_too(judge, margin):
    item, _ = judge([SHARE | {"margin": margin}], mean=[VALUES])
    found = []
    for factor in (1, 0.5, 2):
        shown = stats.ttest_1samp(VALUES, 0.5, alternative="greater").pvalue <= 0.025
        refuted = stats.ttest_1samp(VALUES, 0.5 + factor * margin, alternative="less").pvalue <= 0.025
        found.append("contradicted" if refuted > shown else "reproduced" if shown > refuted else "undecided")
    assert [item["seen"], *((item["half"], item["double"]) if margin else ())] == found[: 3 if margin else 1]
    assert (item["half"], item["double"]) == ("", "") or margin


def test_an_undecided_claim_says_where_the_means_lie_and_how_many_seeds_would_decide(judge):
    item, _ = judge([SHARE | {"margin": 0.02}], mean=[VALUES])
    assert (item["seen"], item["lean"]) == ("undecided", "reproduced")
    std, seeds = np.std(VALUES, ddof=1), item["seeds"]

    def power(n):
        edge = stats.t(n - 1).ppf(0.975)
        return stats.nct(n - 1, 0.02 / (std / math.sqrt(n))).sf(edge)

    assert power(seeds) >= 0.8 > power(seeds - 1)
    item, _ = judge([SHARE | {"margin": 0.02}], mean=[[one - 0.035 for one in VALUES]])
    assert (item["seen"], item["lean"]) == ("undecided", "contradicted")


def test_replicates_that_are_all_equal_decide_nothing(judge):
    item, _ = judge([SHARE], mean=[[0.9, 0.9, 0.9]])
    assert (item["seen"], item["lean"], item["seeds"]) == ("undecided", "reproduced", None)
    assert "equal in all 3 replicates, no interval" in item["reason"] and item["numbers"][0]["low"] is None


@pytest.mark.parametrize(("images", "seen"), [(10_000, "reproduced"), (20, "undecided")])
def test_equal_accuracies_have_the_width_of_their_step(tmp_path, images, seen):
    """Dropout that changes no accuracy on 10,000 images gains less than a point; on 20 images nobody knows."""
    made = Truth("convnets")
    for step in ("adam", "dropout"):
        made.put("path", {"step": step}, TUTORIAL, [0.60, 0.61, 0.62])
    tables = opened(made.write(tmp_path))
    counts = {"train": [50_000], "valid": [images], "test": [images]}
    tables.cards = {"cifar10-0000": CARDS["cifar10-0000"] | {"counts": counts}}
    item = told.judged(tables, "convnets", ids=("003-4",))["003-4"]
    [number] = item["numbers"]
    half = stats.t(2).ppf(0.975) / images / math.sqrt(6 * 3)
    assert item["verdict"] == item["seen"] == seen
    assert [number["low"], number["high"]] == pytest.approx([-half, half]) and number["mean"] == pytest.approx(0)


def test_one_of_many_that_is_not_is_named_and_corrected_for(judge):
    """Of 8 numbers one lies below by what is clear for one alone, and not for one of 8."""
    good = [[0.8, 0.81, 0.82]] * 7
    low = [0.46, 0.5, 0.54]
    p = stats.ttest_1samp(low, 0.6, alternative="less").pvalue
    assert 0.025 / 8 < p <= 0.025
    item, _ = judge([SHARE], mean=[*good, low])
    assert item["seen"] == "undecided"
    assert "Of 8 numbers" in item["reason"] and "furthest from the claim: it 50.0 %" in item["reason"]
    assert judge([SHARE], mean=[low])[0]["seen"] == "contradicted"
    item, _ = judge([SHARE], mean=[*good, [0.1, 0.11, 0.12]])
    assert item["seen"] == "contradicted" and "7 are as the claim says, 1 is not, and 0 can be either" in item["reason"]


def test_an_artefact_is_what_explains_a_decision_and_nothing_else(judge):
    explains = {"judge": "share", "evidence": "others", "below": 0.1}
    low, high, wide = [0.01, 0.02, 0.015], [0.8, 0.81, 0.82], [0.2, 0.8, 0.5]
    seen = {
        (first, second): judge([SHARE], [explains], mean=[values], others=[others])[0]["seen"]
        for first, values in {"high": high, "low": low, "wide": wide}.items()
        for second, others in {"explained": low, "not": high, "perhaps": [0.0, 0.2, 0.1]}.items()
    }
    plain = {"high": "reproduced", "low": "contradicted", "wide": "undecided"}
    for (first, second), verdict in seen.items():
        explained = second == "explained" and first != "wide"
        assert verdict == ("artefact" if explained else plain[first]), (first, second)


def test_no_number_is_no_verdict(judge):
    item, _ = judge([SHARE], mean=[[]])
    assert item["seen"] == "undecided" and "nothing finished" in item["reason"]


def test_words_of_a_test():
    mean = {"evidence": "mean"}
    statements = [
        ({"judge": "exact", **mean}, "exact: holds or does not, without a test"),
        ({"judge": "share", **mean, "above": 0.6}, "share above 0.6"),
        (
            {"judge": "ratio", **mean, "below": 1, "margin": 0.1},
            "ratio below 1, smallest effect that matters 0.1",
        ),
        (
            {"judge": "equivalence", **mean, "between": [0, 0], "margin": 0.01},
            "equivalence equal to 0, margin 0.01",
        ),
        (
            {"judge": "equivalence", **mean, "between": [0.7, 0.75]},
            "equivalence between 0.7 and 0.75, margin 0",
        ),
    ]
    for asked, words in statements:
        assert verdicts.described(spec.Statement.model_validate(asked)) == words


def test_networks_are_not_pooled_in_one_number(tmp_path):
    grid = {"dataset": ["digits"], "network": ["lenet1", "lenet5"], "init": ["default"], "optimizer": ["sgd"]}
    vary = {"batch": {"16": {"training": {"batch_size": 16}}, "64": {}}}
    found = designs.made(tmp_path, {"grid": grid, "vary": vary}, lambda *_: 0.5)
    found.tables.experiments = found.experiments
    with pytest.raises(NothingToShow, match="lenet1 and lenet5 are not pooled in one number"):
        design.difference(found.tables, level="16", against="64", axis="batch")
