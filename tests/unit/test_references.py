"""Published curves beside a study's own: the drops of both over relative depth, and whether they agree."""

import json

import numpy as np
import pytest
from scipy import stats
from test_claims_transferability import Truth, falling, halves, sudden
from test_reporting_transfer import opened

from tests.unit import told
from weight_atlas.plan import chapters, checks
from weight_atlas.reporting.claims import transfer
from weight_atlas.reporting.exhibits.transfer import references

# As Yosinski et al.'s logs give them: base, then by n = 1 to 7.
BASE, OWN = 0.6251, (0.6267, 0.6235, 0.6211, 0.6048, 0.5935, 0.6188, 0.6232)
OTHER = (0.6282, 0.6239, 0.6189, 0.5998, 0.5780, 0.5806, 0.5425)


def published_loss(base, target, depth, rate):
    """What the published curves lose at n of 10, on a line between their points."""
    curve = OWN if base == target else OTHER
    return float(np.interp(depth / 10, np.arange(8) / 7, [0, *(BASE - mean for mean in curve)]))


def study(folder, loss, **more):
    made = Truth(loss, **more)
    halves(made)
    return made, opened(made.write(folder))


def test_drops_are_compared_at_the_same_relative_depth(tmp_path):
    made, tables = study(tmp_path, falling(0.01))
    found = {(one.row.base, one.row.target): one for one in references.beside(tables)}
    assert set(found) == {("A", "B"), ("B", "B")}
    other = found["A", "B"]
    assert other.places == pytest.approx([n / 10 for n in range(1, 11)])
    base, copied = made.of("", "B", ""), made.of("A", "B", 6)
    # 0.6 of all layers is n = 4.2 of 7: 0.8 of the accuracy at n = 4 and 0.2 of that at n = 5.
    wanted = 0.8 * 0.5998 + 0.2 * 0.5780
    own = other.more[5]
    assert own.mean == pytest.approx(base.mean() - copied.mean() - (BASE - wanted))
    errors = [
        stats.sem(base),
        stats.sem(copied),
        0.0055 / np.sqrt(8),
        0.8 * 0.0066 / np.sqrt(8),
        0.2 * 0.0068 / np.sqrt(8),
    ]
    assert own.error == pytest.approx(np.linalg.norm(errors))
    assert own.n == 3


def test_own_layers_are_paired_with_their_base(tmp_path):
    made, tables = study(tmp_path, sudden(0.04))
    own = next(one for one in references.beside(tables) if one.row.base == "B")
    difference = made.of("", "B", "") - made.of("B", "B", 10)
    assert own.here[-1][:3] == pytest.approx((3, difference.mean(), stats.sem(difference)))


def test_before_the_first_published_depth_the_drop_is_a_part_of_it():
    [reference] = told.references("transferability").values()
    curve = references.Published(reference, next(one for one in reference.curves if one.name == "AnB"))
    assert curve.evidence(0.5 / 7).mean == pytest.approx((BASE - 0.6282) / 2)
    assert curve.evidence(1.0).mean == pytest.approx(BASE - 0.5425)
    assert np.sum(curve.drop(0.0)) == 0 and curve.drop(0.37).sum() == pytest.approx(0)


@pytest.mark.parametrize(
    ("loss", "spread", "words", "decision"),
    [
        (published_loss, 0.001, "Yes. A → B agrees with AnB of Yosinski et al. (2014)", "reproduced"),
        (falling(0.03), 0.001, "No. At n = ", "contradicted"),
        (published_loss, 0.03, "Cannot say. Whether A → B agrees with AnB", "undecided"),
    ],
)
def test_an_agreement_is_judged(tmp_path, loss, spread, words, decision):
    _, tables = study(tmp_path, loss, spread=spread)
    other = next(one for one in references.beside(tables) if one.row.base == "A")
    assert other.decision() == decision
    answer = references.answer(tables)
    [told_] = [one for one in answer if "A → B" in one.text]
    assert told_.text.startswith(words) and told_.sure == f"drops agree within ± 1.6 points, n = {told_.numbers[0].n}"
    assert (told_.numbers[0].low, told_.numbers[0].high) in [(one.low, one.high) for one in other.more]
    numbers = transfer.reference(tables, kin="other")
    assert [one.evidence for one in numbers] == other.more, "claims are judged on the same numbers"


def test_one_replicate_cannot_say(tmp_path):
    _, tables = study(tmp_path, published_loss, seeds=1)
    assert all("Cannot say" in one.text for one in references.answer(tables))


def test_the_published_numbers_are_printed_and_drawn(tmp_path):
    _, tables = study(tmp_path, falling(0.01))
    [printed] = references.numbers(tables)
    rows = printed.data.set_index("curve")
    assert rows.loc["BnB", "base"] == "0.6251 (0.0055), 8 runs" and rows.loc["BnB", "n = 5"] == "0.5935 (0.0041)"
    assert rows.loc["random, frozen", "n = 3"] == "" and "below 0.05" in rows.loc["random, frozen", "note"]
    [drawn] = references.curves(tables)
    natural = drawn.data[drawn.data["curve"] == "target natural"]
    np.testing.assert_allclose(
        natural["mean"], 0.6534 - np.array([0.6571, 0.6506, 0.6250, 0.5824, 0.5219, 0.4851, 0.3990])
    )
    assert natural["low"].isna().all(), "no interval where no spread is published"
    assert set(drawn.data["by"]) == {"here", "Yosinski et al. (2014)"}
    [table] = references.agreement_table(tables)
    assert set(table.data["transfer"]) == {"A → B", "B → B"} and len(table.data) == 20


def test_without_references_the_reader_is_told(tmp_path):
    _, tables = study(tmp_path, falling(0.01))
    tables.references = {}
    assert told.drawn(tables, "reference-curves") == []
    assert "neither the study nor its document names published curves" in " ".join(tables.left_out)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": [0.5]}, "mean has 1 numbers for 2 depths"),
        ({"depths": [2, 1]}, "depths are not in order"),
        ({"depths": [1, 9]}, "n = 9 of 8 layers"),
        ({"sd": [0.1, 0.1]}, "give both sd and runs, or neither"),
        ({"kind": "own"}, "unknown key 'kind'"),
    ],
)
def test_a_file_that_holds_no_curves_is_refused_in_one_line(tmp_path, change, words):
    curve = {"name": "mine", "kin": "own", "base": {"mean": 0.9}, "depths": [1, 2], "mean": [0.9, 0.8]} | change
    content = {"source": "me", "network": "mine", "data": "mine", "layers": 8, "margin": 0.01, "origin": "a point"}
    (tmp_path / "mine.yaml").write_text(json.dumps(content | {"curves": [curve]}))
    with pytest.raises(checks.ConfigError, match=words) as caught:
        chapters.reference(tmp_path / "mine.yaml")
    assert "\n" not in str(caught.value) and "mine.yaml" in str(caught.value)


def test_a_study_names_one_of_the_workflows_or_its_own():
    [known] = chapters.references(["yosinski"])
    assert known == chapters.folder("transferability") / "yosinski.yaml"
    assert [str(path) for path in chapters.references(["mine/curves.yaml"])] == ["mine/curves.yaml"]


def test_only_published_curves_of_a_kind_that_is_here_are_drawn(tmp_path):
    """All are in the numbers of the figure."""
    _, tables = study(tmp_path, falling(0.01))
    [drawn] = references.curves(tables)
    here = drawn.data[drawn.data["by"] == "here"]
    titled = [axes for axes in drawn.figure.axes if axes.get_title(loc="left")]
    assert (
        len(titled) == len(here[["kin", "mode"]].drop_duplicates()) < len(drawn.data[["kin", "mode"]].drop_duplicates())
    )
    shown = {label for axes in titled for label in axes.get_legend_handles_labels()[1]}
    assert set(here["curve"]) <= shown and "target natural (published)" not in shown
