"""What the first page says of all studies: claims in short, how sure they are, and a study's main answer."""

import pytest

from weight_atlas.reporting.pages import summary

CLAIM = {"test": "share above 0.6", "numbers": [{"n": 3}], "half": "", "double": "", "seen": "reproduced"}


@pytest.mark.parametrize(
    ("reason", "test", "shown"),
    [
        ("Here: a 1.5 % [1, 2], n = 3.", "share above 0.6", "a 1.5 % [1, 2], n = 3."),
        ("Here: a 1; b 2; c 3. But: d 4; e 5.", "share above 0.6", "a 1 (and 2 more). But: d 4 (and 1 more)."),
        ("Here: a 1; b 2.", "exact: holds or does not, without a test", "a 1; b 2."),
        ("Here: a 1. Outside its scope: 8 of 20 epochs.", "share above 0.6", "a 1."),
        ("Here: a 1. 2 replicates never learnt and are not counted.", "share above 0.6", "a 1."),
        ("Here: a 1. Seed 2 of b ends far from its other replicates.", "share above 0.6", "a 1."),
        ("Of 9 numbers 3 are as the claim says; furthest: x 1.", "share above 0.6", None),
        ("The results lack what the test needs: no replicate has learnt.", "share above 0.6", None),
    ],
)
def test_what_was_seen_is_told_in_short(reason, test, shown):
    assert summary.here(CLAIM | {"reason": reason, "test": test}) == (shown or reason)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "95 % intervals, n = 3"),
        ({"numbers": [{"n": 6}, {"n": 3}, {"n": 4}]}, "95 % intervals, n = 3 to 6"),
        ({"numbers": []}, "95 % intervals"),
        ({"test": "exact: holds or does not, without a test"}, "exact"),
        (
            {"half": "reproduced", "double": "reproduced"},
            "95 % intervals, n = 3; the same with half and twice the margin",
        ),
        (
            {"half": "undecided", "double": "reproduced"},
            "95 % intervals, n = 3; with half the margin undecided, with twice reproduced",
        ),
    ],
)
def test_how_sure_a_verdict_is(changes, said):
    assert summary.sure(CLAIM | changes) == said


def test_the_main_answer_is_the_first_clear_one():
    """Else one that cannot say, else any; of questions that have exhibits."""

    def told(*verdicts):
        own = [{"verdict": verdict, "text": str(at)} for at, verdict in enumerate(verdicts)]
        question = {"key": "k", "heading": "Which?", "exhibits": ["one"], "answer": own}
        return summary.main_answer({"questions": [question], "exhibits": [{"name": "one"}]})

    for verdicts, chosen in {
        (None, "cannot say", "no", "yes"): "2",
        (None, "cannot say", "partly"): "2",
        (None, "cannot say", "cannot say"): "1",
        (None, None): "0",
    }.items():
        assert told(*verdicts)["main"]["text"] == chosen and told(*verdicts)["heading"] == "Which?"
    assert told() == {} and summary.main_answer({"questions": [], "exhibits": []}) == {}


def test_what_a_study_asks_is_its_first_sentence():
    for text, first in {
        "Do they move? And how far?": "Do they move?",
        "1. Do they move?\n\n- At all?": "1. Do they move?",
        "": "",
        "No end": "No end",
    }.items():
        assert summary.asked({"text": text}) == first
