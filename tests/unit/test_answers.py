"""The verdict of an answer, and the shapes of answers, on made-up numbers of which the truth is known."""

import math
import types
import typing

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting import registry
from weight_atlas.reporting.claims import answers as of_claims
from weight_atlas.reporting.claims import checkpoints
from weight_atlas.reporting.claims.measured import CORRELATION, measured
from weight_atlas.reporting.exhibits.checkpoints import answers as of_checkpoints
from weight_atlas.reporting.exhibits.design import grid, outcomes, spans
from weight_atlas.reporting.exhibits.transfer import answers as of_transfer
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.exhibits.weights import statistics
from weight_atlas.reporting.grammar.answers import Answer, Verdict, is_polar, number, seeds_needed, settle, weighed


def rows(*differences):
    """Differences of seeds as rows with q."""
    return grid.corrected([grid.interval(values) for values in differences])


CLEAR, SMALL, BOTH, WIDE = (0.05, 0.052, 0.049), (0.001, -0.001, 0.0005), (0.005, 0.0052, 0.0049), (0.05, -0.06, 0.02)


@pytest.mark.parametrize(
    ("differences", "sign", "verdict"),
    [
        ([CLEAR], 0, "yes"),
        ([SMALL], 0, "no"),
        ([BOTH], 0, "partly"),
        ([WIDE], 0, "cannot say"),
        ([CLEAR, WIDE], 0, "yes"),
        ([SMALL, WIDE], 0, "cannot say"),
        ([CLEAR], 1, "yes"),
        ([CLEAR], -1, "no"),
        ([np.negative(CLEAR)], 1, "no"),
        ([np.negative(CLEAR)], -1, "yes"),
        ([BOTH], 1, "partly"),
        ([np.negative(BOTH)], 1, "no"),
        ([WIDE], 1, "cannot say"),
        ([(0.3,)], 0, "cannot say"),
        ([(0.3, 0.3, 0.3)], 0, "cannot say"),
        ([], 0, "cannot say"),
    ],
)
def test_the_verdict_on_differences(differences, sign, verdict):
    assert weighed(rows(*differences), 0.01, sign) == verdict


def test_without_a_margin_nothing_is_small():
    assert weighed(rows(SMALL)) == "cannot say" and weighed(rows(BOTH)) == "yes"


@pytest.mark.parametrize(("truth", "allowed", "least"), [(0.0, ("no", "cannot say"), 0.0), (0.02, ("yes",), 0.8)])
def test_verdicts_are_seldom_wrong_and_mostly_right(truth, allowed, least):
    """Two margins of effect or none, n = 6, spread of a margin: at most 5 % false verdicts, 80 % true ones."""
    random, many = np.random.default_rng(3), 400
    found = [weighed(rows(random.normal(truth, 0.01, 6)), 0.01) for _ in range(many)]
    wrong = sum(one not in (*allowed, "cannot say", "partly") for one in found)
    assert wrong <= many * (0.05 + 2.6 * math.sqrt(0.05 * 0.95 / many))
    assert sum(one in allowed for one in found) >= least * many


def test_how_many_seeds_would_decide():
    [wide] = rows(WIDE)
    count, std = seeds_needed([wide], 0.01), float(np.std(WIDE, ddof=1))
    assert stats.difference_power(0.01, std, count) >= 0.8 > stats.equivalence_power(0.01, std, count - 1, level=0.025)
    assert seeds_needed(rows(CLEAR), 0.1) == 0, "three are enough"
    assert seeds_needed(rows((0.1,)), 0.01) == seeds_needed([], 0.01) == 0


def test_an_answer_as_text_and_as_json():
    [row] = rows((0.3,))
    told = Answer("It is so.", Verdict.UNDECIDED, "digits", (number("a less b", row, "+0.3"),), "n = 1", "more seeds")
    assert told.text == "Cannot say (digits). It is so." and Answer("It is so.").text == "It is so."
    assert Answer("It is so.", about="digits").text == "digits: It is so."
    assert told.json["numbers"] == [
        {"words": "a less b", "text": "+0.3", "n": 1, "mean": 0.3, "low": None, "high": None}
    ]
    assert (told.json["verdict"], told.json["text"]) == ("cannot say", told.text)


@pytest.mark.parametrize(
    ("question", "polar"),
    [
        ("Does a start from trained weights end better?", True),
        ("In which order are layers learnt, and is it the same for all models?", True),
        ("What do filters show, and do equal ones stay equal?", True),
        ("Which learning rate is best?", False),
        ("How many blocks, which kernel?", False),
        ("What the networks learnt", False),
        ("Aident-elles ces couches ?", False),
        ("", False),
    ],
)
def test_only_some_questions_ask_for_a_yes_or_no(question, polar):
    assert is_polar(question) == polar


def test_a_statement_has_neither_yes_nor_no():
    plain = {Verdict.YES: "x: It is so.", Verdict.NO: "x: It is so.", None: "x: It is so."}
    for verdict, text in (plain | {Verdict.PARTLY: "Partly (x). It is so."}).items():
        assert Answer("It is so.", verdict, "x").statement == text
    assert settle(0) == "" and settle(40) == "about 40 seeds would settle one point"
    assert settle(3244, "decide it") == "more than 1,000 seeds would decide it"


# ------------------------------------------------------------------------------------------- shapes


def test_a_span_pools_no_networks():
    cells = [("a", "lenet5", "digits", "sgd"), ("b", "lenet5", "digits", "adam"), ("c", "vgg", "digits", "sgd")]
    tables = types.SimpleNamespace(cells=pd.DataFrame(cells, columns=["cell_id", "network", "dataset", "label"]))
    values = {"a": (0.1, 0.2, 0.3), "b": (0.5, 0.6, 0.7), "c": (0.9, 0.9, 0.9)}
    frame = pd.DataFrame([(cell, seed, x) for cell, own in values.items() for seed, x in enumerate(own)],
                         columns=["cell_id", "seed", "value"])  # fmt: skip
    lenet, vgg = spans.spans(tables, outcomes.outcome("distance"), frame, "it is {}.")
    low, high = scipy.stats.ttest_1samp(values["a"], 0).confidence_interval(0.95)
    assert lenet.numbers[0][2:] == pytest.approx((3, 0.2, low, high))
    assert lenet.text.startswith("lenet5 on digits: it is 0.2")
    assert lenet.text.endswith("(sgd) to 0.600 [0.352, 0.848] (adam).")
    assert vgg.text == "vgg on digits: it is 0.900 (all 3 seeds equal)."
    with pytest.raises(NothingToShow):
        spans.spans(tables, outcomes.outcome("distance"), frame.head(0), "{}")


def test_growth_is_a_ratio_by_seed_and_tested():
    random = np.random.default_rng(1)
    front = pd.DataFrame([(layer, "x", seed) for layer in ("grows", "shrinks", "stays", "zero") for seed in range(4)],
                         columns=["layer", "cell_id", "seed"])  # fmt: skip
    first = front.assign(std=np.where(front["layer"] == "zero", 0.0, 1.0))
    times = front["layer"].map({"grows": 1.5, "shrinks": 0.5, "stays": 1.0, "zero": 1.0})
    end = front.assign(std=times * np.exp(random.normal(0, 0.01, len(front))))
    found = statistics.growth(first, end, ["layer"]).set_index("layer")
    assert list(found.index) == ["grows", "shrinks", "stays"], "nothing grows from 0"
    own = end.loc[end["layer"] == "grows", "std"]
    assert found.loc["grows", "mean"] == pytest.approx(scipy.stats.gmean(own))
    text, most = statistics.growing(found.reset_index())
    assert text.startswith("clearly grows in 1 and shrinks in 1 of 3 layers, most in shrinks: 0.50") and most.n == 4
    still, _ = statistics.growing(found.loc[["stays"]].reset_index())
    assert still.startswith("clearly changes in none of 1 layer, most in stays: ")


def losses(*whole):
    """Rows of drops.csv at one depth."""
    values = {"D": whole, "C": np.array(whole) / 2, "S": np.array(whole) / 3}
    return pd.DataFrame([{"quantity": name, "depth": 3, **grid.interval(own)} for name, own in values.items()])


@pytest.mark.parametrize(
    ("whole", "verdict"),
    [(CLEAR, "yes"), (SMALL, "no"), (BOTH, "partly"), (np.negative(CLEAR), "no"), (WIDE, "cannot say")],
)
def test_what_a_transfer_loses(whole, verdict):
    told = of_transfer._loss("lenet5", losses(*whole))
    assert (told.verdict, told.about, len(told.numbers)) == (verdict, "lenet5", 3)
    assert bool(told.decide) == (verdict == "cannot say") and told.sure == "95 % intervals, n = 3"
    assert told.numbers[0].text in told.text and "by co-adaptation" in told.text


@pytest.mark.parametrize(("own", "verdict"), [(CLEAR, "yes"), (SMALL, "no"), (WIDE, "cannot say")])
def test_whether_outputs_matter(monkeypatch, own, verdict):
    row = {"quantity": "accuracy", "level_a": "2", "level_b": "10", "depth": 1, **rows(own)[0]}
    monkeypatch.setattr(
        transfers, "effects", lambda *_, **__: pd.DataFrame([row]).rename(columns={"mean": "difference"})
    )
    [told] = of_transfer.outputs(None)
    assert told.verdict == verdict and told.numbers[0].mean == pytest.approx(np.mean(own))


@pytest.mark.parametrize(
    ("correlations", "verdict"),
    [
        ([(0.01, -0.01, 0.0), (0.0, 0.02, 0.01)], "no"),
        ([(0.5, 0.52, 0.51), (0.0, 0.02, 0.01)], "yes"),
        ([(0.3, -0.4, 0.1), (0.0, 0.02, 0.01)], "cannot say"),
    ],
)
def test_two_models_are_alike_by_the_judge_of_the_ledger(monkeypatch, correlations, verdict):
    made = [measured(f"a pair: layer {at}", own, CORRELATION, ["x"], "a pair") for at, own in enumerate(correlations)]
    monkeypatch.setattr(checkpoints, "alike", lambda tables: made)
    monkeypatch.setattr(of_checkpoints, "largest", lambda tables: [])
    [told] = of_claims.likeness(types.SimpleNamespace(learnt=lambda: None))
    assert told.verdict == verdict and bool(told.decide) == (verdict == "cannot say")
    assert f"of 2 differences of r {2 if verdict == 'no' else 1} are shown to lie within ± 0.1" in told.text


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (CLEAR, "Yes (digits). Trained weights clearly end higher than drawn ones."),
        (BOTH, "Partly (digits). Trained weights clearly end higher than drawn ones, by less than one point."),
        (SMALL, "No (digits). Trained weights do not end a point higher than drawn ones."),
        (np.negative(CLEAR), "No (digits). Trained weights clearly end lower than drawn ones."),
        (WIDE, "Cannot say (digits). Whether trained weights end higher than drawn ones is not decided."),
    ],
)
def test_whether_trained_weights_end_higher(monkeypatch, own, words):
    pair = (types.SimpleNamespace(dataset="digits"), "preload", "custom", rows(own)[0])
    monkeypatch.setattr(of_checkpoints, "better", lambda tables: [pair])
    [told] = of_checkpoints.conclusion(None)
    assert told.text == words and told.sure.endswith("n = 3")


@pytest.mark.parametrize("name", registry.ANSWERS.names)
def test_every_answer_is_typed(name):
    function = {**registry.ANSWERS.of_study, **registry.ANSWERS.of_experiment}[name]
    assert typing.get_type_hints(function)["return"] == list[Answer]
