"""The first page's figures: which claims are shown, in what order, and where the marks of a number stand."""

import json
import math

import pytest

from tests.unit.test_render import Reader, sample
from weight_atlas.plan import spec
from weight_atlas.reporting.claims import measured, pictures, verdicts
from weight_atlas.reporting.pages import findings, render
from weight_atlas.stats import Evidence


def number(values, unit=measured.POINTS, words="a less b", **asked):
    """A judged number of values by replicate."""
    statement = spec.Statement(judge="difference", **asked)
    made = measured.measured(words, values, unit, ["cell"])
    return verdicts.plain(verdicts.judged(verdicts.Found(made, statement), 1))


def claim(name, study, clear, seen="reproduced", verdict=None, **more):
    holds = seen != "contradicted"
    numbers = [{"words": name, "asked": "above 0", "clear": clear, "holds": holds, "value": f"{clear} [1, 2], n = 3"}]
    told = {"id": name, "study": {"name": study}, "seen": seen, "verdict": verdict or seen, "half": "", "double": ""}
    return told | {"here": "So.", "numbers": numbers, "figure": {"file": f"{name}.svg"}} | more


def names(claims):
    return [one["id"] for one in findings.findings(claims)]


def test_the_clearest_claim_of_each_study_comes_before_any_second_one():
    claims = [claim("a1", "a", 2.0), claim("a2", "a", 9.0), claim("b1", "b", 3.0), claim("c1", "c", 1.5)]
    assert names(claims) == ["a2", "b1", "c1", "a1"]
    assert names([*claims, *(claim(f"d{at}", "d", at) for at in range(1, 6))]) == ["a2", "d5", "b1", "c1", "a1", "d4"]


def test_what_is_within_its_scope_and_holds_with_other_margins_comes_first():
    claims = [
        claim("toy", "a", 99.0, verdict="toy"),
        claim("frail", "b", 50.0, half="reproduced", double="undecided"),
        claim("firm", "c", 2.0, half="reproduced", double="reproduced"),
        claim("plain", "d", 3.0),
    ]
    assert names(claims) == ["plain", "firm", "frail", "toy"]


def test_claims_without_a_figure_and_twins_on_the_same_numbers_are_left_out():
    twin = claim("a2", "b", 4.0)
    twin["numbers"][0]["words"] = "a1"
    assert names([claim("a1", "a", 5.0), twin, claim("b", "b", 9.0) | {"figure": None}]) == ["a1"]
    assert names([]) == []
    exact = claim("c", "c", 1.0) | {"numbers": [{"words": "so", "clear": None, "holds": True}]}
    assert names([exact]) == []


def test_a_decision_hangs_on_one_number():
    """On the weakest of a claim that holds, on the strongest against one that does not."""
    both = claim("a", "a", 2.0, seen="contradicted")
    both["numbers"] += [{"clear": 5.0, "holds": False, "words": "most", "value": "−3 [−4, −2], n = 3"}]
    both["numbers"] += [{"clear": 8.0, "holds": True}, {"clear": None, "holds": None}]
    assert findings.finding(both) == "most −3 [−4, −2]."
    shown = claim("a", "a", 2.0)
    shown["numbers"] += [{"clear": 5.0, "holds": True, "words": "more"}]
    assert findings.finding(shown) == "a 2.0 [1, 2]."
    assert findings.finding(shown | {"here": "a 1. But: it is padding."}) == "it is padding."


def test_a_number_is_clear_by_its_distance_from_the_line_in_half_widths():
    values = [0.05, 0.07, 0.06]
    half = 4.302652729911275 * 0.01 / math.sqrt(3)  # the t quantile of two degrees of freedom
    above = number(values, above=0.0, margin=0.01)
    assert above["holds"] is True and above["clear"] == pytest.approx(0.06 / half)
    below = number(values, below=0.0, margin=0.01)
    assert below["holds"] is False and below["clear"] == pytest.approx((0.06 + 0.01) / half)
    between = number(values, between=[0.0, 0.01], margin=0.005)
    assert between["holds"] is False and between["clear"] == pytest.approx((0.06 - 0.015) / half)
    open_ = number([0.0, 0.02, -0.02], above=0.0, margin=0.01)
    assert (open_["holds"], open_["clear"]) == (None, None)
    assert (above["asked"], between["asked"]) == ("above 0 points", "0 to 1 points")
    assert number(values, measured.PERCENT, between=[0.7119, 0.7119])["asked"] == "71.19 %"


@pytest.mark.parametrize(
    ("asked", "core", "outer"),
    [
        ({"above": 0.02, "margin": 0.01}, (3, math.inf), (2, math.inf)),
        ({"below": 0.02, "margin": 0.01}, (-math.inf, 1), (-math.inf, 2)),
        ({"between": [0.02, 0.04], "margin": 0.01}, (2, 4), (1, 5)),
        ({"above": 0.02}, (2, math.inf), (2, math.inf)),
    ],
)
def test_the_shaded_stretch_is_where_a_claim_is_right(asked, core, outer):
    """A bound's margin lies inside of it, the effects that are too small to matter; two bounds are wider by it."""
    row = pictures.row(number([0.05, 0.07, 0.06], **asked))
    assert row.core == pytest.approx(core) and row.outer == pytest.approx(outer)
    low, high = pictures.limits([row])
    ends = [end for end in (row.mean, row.low, row.high, *core, *outer) if math.isfinite(end)]
    assert low < min(ends) and max(ends) < high


def test_a_ratio_is_wider_by_a_factor():
    row = pictures.row(number([0.5, 0.6, 0.7], measured.RATIO, below=1.0, margin=0.1))
    assert row.core == (-math.inf, pytest.approx(1 / 1.1)) and row.outer == (-math.inf, 1)
    assert row.mean == pytest.approx(math.exp(0.6))


@pytest.mark.parametrize(
    ("unit", "values", "low", "high", "text"),
    [
        (measured.PERCENT, [0.99, 0.95, 1.0], None, 100, ", 100.0]"),
        (measured.PERCENT, [0.01, 0.05, 0.0], 0, None, "[0.0, "),
        (measured.POINTS, [-0.9, -0.95, -0.5], -100, None, "[−100.0, "),
    ],
)
def test_no_interval_leaves_what_a_share_can_be(unit, values, low, high, text):
    made = number(values, unit, above=0.0)
    row = pictures.row(made)
    assert low in (None, row.low) and high in (None, row.high) and text in made["value"]


def test_a_figure_has_the_clearest_numbers_of_one_unit():
    numbers = [
        number([0.0, 0.2, -0.2], above=0.0, words="unclear"),
        number([0.05, 0.07, 0.06], measured.PERCENT, above=0.0, words="a share"),
        number([0.5, 0.51, 0.52], above=0.0, words="clear"),
        *(number([0.3, 0.31, 0.35 + at / 100], above=0.0, words=f"more {at}") for at in range(2)),
        {"words": "exact", "holds": True, "low": None},
    ]
    assert [one["words"] for one in pictures.chosen(numbers)] == ["clear", "more 0", "more 1"]
    made = pictures.picture({"id": "x-1", "says": "It is so.", "numbers": numbers})
    assert made.name == "claim-x-1" and made.alt.count("as claimed") == 3 and "clear +51.0 points [" in made.alt
    drawn = [text.get_text() for text in made.figure.axes[0].texts]
    assert [text for text in drawn if text.startswith("claimed")] == ["claimed: above 0 points"]
    assert pictures.picture({"id": "x-2", "says": "", "numbers": numbers[-1:]}) is None


def test_a_number_without_an_interval_is_judged_and_not_drawn():
    one = verdicts.judged(
        verdicts.Found(
            measured.Measured("a", Evidence(3, 0.5, 0.0, 2.0), measured.PERCENT, frozenset()),
            spec.Statement(judge="difference", above=0.1),
        ),
        1,
    )
    assert one["holds"] is None and one["clear"] is None
    assert pictures.chosen([verdicts.plain(one)]) == []


def test_the_first_page_shows_a_claim_and_leads_to_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = sample(tmp_path, page="")
    folder = arguments["figures"] / "dynamics"
    claims = json.loads((folder / "claims.json").read_text())
    numbers = [number([0.05, 0.07, 0.06], below=0.0, words="a < b *and* more")]
    claims[2] |= {"numbers": numbers, "figure": {"file": "claim-002-3.svg", "alt": 'It | "shows" <it>'}}
    (folder / "claims.json").write_text(json.dumps(claims))
    (folder / "claim-002-3.svg").write_text((folder / "accuracy.svg").read_text())
    render.report(**arguments)
    page = arguments["output"].read_text()
    reader = Reader(page)
    assert "Not as claimed: a < b *and* more +6.0 points [3.5, 8.5]." in reader.text
    pictured = [image for image in reader.all("img") if image["alt"] == 'It | "shows" <it>']
    assert len(pictured) == 1 and pictured[0]["src"].startswith("data:image/svg+xml") and "narrow" not in pictured[0]
    before = page[: page.index('alt="It |')]
    assert before[before.rindex("<a ") :].startswith('<a href="study-dynamics.html#claim-002-3"')
    assert page.count('class="finding') == 2  # the grid and its one figure


@pytest.mark.parametrize(
    ("unit", "ends", "text"),
    [
        (measured.PERCENT, (0.6186, 0.6194), "[61.86, 61.94]"),
        (measured.PERCENT, (0.618641, 0.618649), "[61.864, 61.865]"),
        (measured.PERCENT, (0.61, 0.62), "[61.0, 62.0]"),
        (measured.PERCENT, (1.0, 1.2), "[100.0, 100.0]"),
        (measured.POINTS, (0.01201, 0.01204), "[1.201, 1.204]"),
        (measured.RATIO, (math.log(1.0001), math.log(1.0004)), "[1.0001, 1.0004]"),
    ],
)
def test_an_interval_has_the_digits_that_tell_its_ends_apart(unit, ends, text):
    assert unit.interval(*ends) == text
