"""Exhibits and answers by the shape of an experiment, on made-up results of which the truth is known."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.stats import power

from tests.unit.designs import EPOCHS, GRID, made
from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.plan import spec
from weight_atlas.reporting import telling
from weight_atlas.reporting.exhibits.design import answers, courses, figures, grid, levels, numbers, outcomes
from weight_atlas.reporting.exhibits.runs import runs, study
from weight_atlas.shapes import OUTCOMES
from weight_atlas.vocabulary import Protocol

LUCK = (-0.01, 0.0, 0.01)  # what a seed adds in all cells


def batches(*sizes, axis="batch", word="{}"):
    return {axis: {word.format(size): {"training": {"batch_size": size}} for size in sizes}}


def by_batch(ends):
    """A reach: the end of the level, and the seed's luck."""
    return lambda labels, seed: ends[labels["batch"]] + LUCK[seed % 3]


def by_level(found, axis="batch"):
    """{level: values by seed} of a frame of values."""
    return {level: own.sort_values("seed")["value"].tolist() for level, own in found.frame.groupby(axis)}


# ------------------------------------------------------------------------------------------- outcomes


@pytest.fixture(scope="module")
def sized(tmp_path_factory):
    """Two levels; a seed of one diverged."""
    ends = {
        "16": {"test": 0.8, "train": 0.95, "distance": 0.4, "unchanged": 0.25},
        "64": {"test": 0.5, "train": 0.6, "distance": 0.7, "unchanged": 0.0},
    }

    def reach(labels, seed):
        return {name: value + LUCK[seed] for name, value in ends[labels["batch"]].items()}

    def fate(labels, seed):
        return "diverged" if (labels["batch"], seed) == ("64", 2) else "done"

    design = {"grid": GRID, "vary": batches(16, 64)}
    return made(tmp_path_factory.mktemp("sized"), design, reach, fate)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("accuracy", {"16": [0.79, 0.8, 0.81], "64": [0.49, 0.5]}),
        ("loss", {"16": [0.21, 0.2, 0.19], "64": [0.51, 0.5]}),
        ("gap", {"16": [0.15] * 3, "64": [0.1] * 2}),
        ("distance", {"16": [0.39, 0.4, 0.41], "64": [0.69, 0.7]}),
        ("unchanged", {"16": [0.24, 0.25, 0.26], "64": [-0.01, 0.0]}),
        ("runs.wall_seconds", {"16": [7.9, 8.0, 8.1], "64": [4.9, 5.0]}),
        ("metrics.valid_accuracy", {"16": [0.79, 0.8, 0.81], "64": [0.49, 0.5]}),
    ],
)
def test_an_outcome_is_what_its_table_says_of_each_finished_replicate(sized, name, expected):
    found = outcomes.values(sized.tables, sized.only, name)
    assert list(found.frame.columns) == ["cell_id", "seed", "batch", "value"]
    assert by_level(found) == {level: pytest.approx(values) for level, values in expected.items()}
    assert not found.censored.any()


def test_accuracy_has_three_protocols(sized):
    for protocol in Protocol:
        found = outcomes.values(sized.tables, sized.only, protocol=protocol)
        raw = pd.read_csv(sized.tables.folder / "accuracy.csv")
        raw = raw[(raw["protocol"] == protocol) & (raw["status"] == "done")]
        assert sorted(found.frame["value"]) == pytest.approx(sorted(raw["accuracy"]))
        assert ("best validation epoch" in found.outcome.meaning) == (protocol == Protocol.BEST_VALID)


def test_every_outcome_of_the_vocabulary_has_values_and_words(sized):
    for name, meaning in OUTCOMES.items():
        assert outcomes.values(sized.tables, sized.only, name).outcome.meaning == meaning
    shown = outcomes.outcome("metrics.valid_accuracy")
    assert (shown.label, shown.scale, shown.bounds) == ("valid accuracy (%)", 100, (0, 1))
    assert outcomes.outcome("runs.wall_seconds").label == "wall seconds (s)"


def test_epochs_are_counted_to_what_the_weakest_cell_ends_with(sized):
    """64 ends at 0.495 on average, of two seeds; 16 rises from 0.1 to about 0.8 in 4 epochs."""
    found = outcomes.values(sized.tables, sized.only, "epochs")
    level, expected = np.mean([0.49, 0.5]), []
    for end in (0.79, 0.8, 0.81):
        course = [0.1 + (end - 0.1) * epoch / EPOCHS for epoch in range(EPOCHS + 1)]
        expected.append(next(epoch for epoch, reached in enumerate(course) if reached >= level))
    assert by_level(found) == {"16": expected, "64": [EPOCHS]}
    cells = sized.tables.cells.set_index("batch")["cell_id"]
    assert found.censored.to_dict() == {cells["16"]: 0, cells["64"]: 1}, "the seed below the mean never gets there"
    assert "49.5 %" in found.note


def test_epochs_are_to_a_level_of_the_own_family_and_of_cells_that_learnt(tmp_path):
    """On one data set all is easier; a cell that never learnt is not the weakest one."""
    design = {"grid": GRID | {"dataset": ["digits", "low"]}, "vary": batches(16, 32, 64)}
    ends = {"16": 0.6, "32": 0.4, "64": 0.1}

    def reach(labels, _):
        return ends[labels["batch"]] + (0.3 if labels["dataset"] == "low" and labels["batch"] != "64" else 0)

    found = made(tmp_path, design, reach)
    shown = outcomes.values(found.tables, found.only, "epochs")
    assert list(shown.frame.columns) == ["cell_id", "seed", "batch", "dataset", "value"]
    assert "40.0 % (digits)" in shown.note and "70.0 % (low)" in shown.note
    assert set(shown.frame["batch"]) == {"16", "32"} and shown.censored.sum() == 6
    assert shown.frame.set_index("batch").loc["32", "value"].tolist() == [EPOCHS] * 6


def test_a_study_of_experiments_gives_each_its_own_cells(tmp_path):
    study = {
        "experiments": {
            "one": {"grid": GRID, "vary": batches(16, 64)},
            "two": {"grid": GRID, "vary": batches(64, 8, axis="many")},
        }
    }
    found = made(
        tmp_path, study, lambda labels, seed: {"16": 0.3, "64": 0.5, "8": 0.7}[labels.get("batch") or labels["many"]]
    )
    one, two = (outcomes.values(found.tables, experiment) for experiment in found.experiments)
    assert by_level(one) == {"16": [0.3] * 3, "64": [0.5] * 3}
    assert by_level(two, "many") == {"8": [0.7] * 3, "64": [0.5] * 3}, "a cell of both has both labels"


def test_nothing_finished_is_said(tmp_path):
    found = made(tmp_path, {"grid": GRID, "vary": batches(16, 64)}, lambda *_: 0.5, lambda *_: "failed")
    for name in (*OUTCOMES, "runs.wall_seconds"):
        with pytest.raises(NothingToShow):
            outcomes.values(found.tables, found.only, name)


def test_numbers_are_written_with_unit_and_interval():
    accuracy, loss, gap = (outcomes.outcome(name) for name in ("accuracy", "loss", "gap"))
    row = {"n": 3, "mean": 0.9712, "low": 0.951, "high": 1.02}
    assert accuracy.text(row) == "97.1 % [95.1, 100.0]", "cut at its bounds"
    assert accuracy.change({"n": 3, "mean": -0.012, "low": -0.016, "high": 0.0}) == "−1.2 points [−1.6, 0.0]"
    assert gap.text({"n": 3, "mean": -0.012, "low": -0.016, "high": 0.01}) == "−1.2 points [−1.6, 1.0]"
    assert loss.text({"n": 3, "mean": 1.2345, "low": 1.1, "high": 1.3}) == "1.23 nats [1.10, 1.30]"
    assert loss.change({"n": 3, "mean": 0.012345, "low": -0.01, "high": 0.03}) == "+0.0123 nats [−0.0100, 0.0300]"
    alone = {"n": 1, "mean": 0.5, "low": np.nan, "high": np.nan}
    assert accuracy.text(alone) == "50.0 %" and accuracy.change(alone) == "+50.0 points (one seed, no interval)"
    assert accuracy.text({"n": 3, "mean": 0.5, "low": np.nan, "high": np.nan}) == "50.0 % (all 3 seeds equal)"
    assert accuracy.text({"n": 0}) == "none finished" and accuracy.change({"n": 0}) == "no pair of seeds"


def test_cells_of_an_experiment_that_a_study_lacks(sized):
    with pytest.raises(NothingToShow, match="no axis experiment|no experiment"):
        grid.cells_of(sized.tables, sized.only.__class__("study", "other", (), (), (), True, "", ("accuracy",)))


# ------------------------------------------------------------------------------------------- one axis


def wobbling(ends, axis="batch", size=0.004):
    """A reach: the end of the level, the seed's luck, and noise that is the cell's own."""

    def reach(labels, seed):
        level = labels[axis]
        own = np.random.default_rng([seed, *(level + labels["dataset"]).encode()]).normal(0, size)
        return ends[level] + LUCK[seed % 3] + own

    return reach


def every(found, experiment):
    """All exhibits of an experiment of one axis."""
    functions = (figures.by_level, numbers.table, numbers.settings, courses.lines, courses.course, courses.gaps)
    return [item for function in functions for item in function(found.tables, experiment)]


def check(items):
    """Exhibits have words, and none that a program says of nothing."""
    assert len({item.name for item in items}) == len(items), [item.name for item in items]
    for item in items:
        for text in (item.caption, item.alt, item.title, item.tab):
            assert text == text.strip() and not any(word in text for word in ("nan", "None", "  ", "..")), text
        assert item.caption and item.alt and item.title and len(item.data)
        if item.figure is not None:
            item.figure.draw_without_rendering()


def paired(one, other):
    """What `other` has more than `one`, as scipy has it."""
    change = np.subtract(other, one)
    low, high = scipy.stats.ttest_1samp(change, 0).confidence_interval(0.95)
    return change.mean(), low, high, scipy.stats.ttest_1samp(change, 0).pvalue


FALLING = {"16": 0.9, "32": 0.86, "64": 0.82, "128": 0.78}


@pytest.fixture(scope="module")
def falling(tmp_path_factory):
    design = {"grid": GRID, "vary": batches(64, 16, 128, 32)}
    return made(tmp_path_factory.mktemp("falling"), design, wobbling(FALLING))


def test_a_sweep_that_falls_by_four_points_with_each_doubling(falling):
    found = outcomes.values(falling.tables, falling.only)
    values = by_level(found)
    slopes = [np.polyfit([4, 5, 6, 7], [values[size][seed] for size in FALLING], 1)[0] for seed in range(3)]
    low, high = (100 * end for end in scipy.stats.ttest_1samp(slopes, 0).confidence_interval(0.95))
    fall = f"{-100 * np.mean(slopes):.1f} points [{-high:.1f}, {-low:.1f}]"
    told = answers.answer(falling.tables, falling.only)
    assert told[0].text == f"Yes. Test accuracy falls by {fall} with each doubling of batch (n = 3 seeds)."
    assert (told[0].sure, told[0].decide) == ("q < 0.05, n = 3", "")
    assert told[1].text.startswith("It is highest at 16, 90.") and told[1].text.endswith(
        "; clearly worse: 32, 64, 128."
    )
    for number, size in zip(told[0].numbers, ("32", "64", "128"), strict=True):
        assert number.words == f"{size} against 16"
        assert number[2:] == pytest.approx((3, *paired(values["16"], values[size])[:3]))


def test_differences_are_to_the_best_and_corrected(falling):
    shown = levels.read(falling.tables, falling.only)
    values = by_level(shown.values)
    assert [(row["level"], row["to"]) for row in shown.differences] == [(size, "16") for size in ("32", "64", "128")]
    for row in shown.differences:
        expected = paired(values["16"], values[row["level"]])
        assert [row[key] for key in ("mean", "low", "high", "p")] == pytest.approx(expected)
    p = np.array([row["p"] for row in shown.differences])
    q = scipy.stats.false_discovery_control(np.minimum(p * 6 / 3, 1))
    assert [row["q"] for row in shown.differences] == pytest.approx(q), "the best may have been of any of 6 pairs"


def test_the_best_of_equal_levels_is_seldom_clear():
    """Five equal levels, three seeds: a difference to the best by its mean is clear in 5 % at most."""
    random, many, hits, uncorrected = np.random.default_rng(0), 500, 0, 0
    for _ in range(many):
        values = random.normal(size=(5, 3))
        best = values.mean(axis=1).argmax()
        rows = [grid.interval(values[best] - own) for at, own in enumerate(values) if at != best]
        hits += min(row["q"] for row in levels._corrected(rows, [5 / 2] * 4)) < 0.05
        uncorrected += min(row["q"] for row in levels._corrected(rows, [1.0] * 4)) < 0.05
    assert hits <= many * 0.05 < uncorrected


def test_levels_that_are_numbers_stand_on_their_scale(falling, tmp_path):
    [item] = figures.by_level(falling.tables, falling.only)
    axes = item.figure.axes[0]
    assert axes.get_xticks() == pytest.approx(np.log10([16, 32, 64, 128]), abs=1e-9), "numbers that double"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["16", "32", "64", "128"]
    vary = {"momentum": {str(value): {"set": {"momentum": value}} for value in (0.5, 0.6, 0.9)}}
    near = made(tmp_path, {"grid": GRID, "vary": vary}, lambda *_: 0.5)
    [item] = figures.by_level(near.tables, near.only)
    assert item.figure.axes[0].get_xticks() == pytest.approx([0.5, 0.6, 0.9])


THREE = dict.fromkeys(("16", "32", "64"), 0.8)


@pytest.mark.parametrize(
    ("ends", "size", "verdict", "sentence"),
    [
        (THREE, 0.0005, "no", "No level changes test accuracy by a point. The largest is "),
        (THREE, 0.02, "cannot say", "No difference is clear. The largest is "),
        (THREE | {"32": 0.85}, 0.002, "yes", "Test accuracy is highest at 32, 8"),
        (THREE | {"32": 0.805}, 0.0005, "partly", "Test accuracy is highest at 32, 80."),
    ],
)
def test_a_verdict_is_what_tests_and_intervals_say(tmp_path, ends, size, verdict, sentence):
    """Equal levels are equal where the seeds show it, and undecided where these are too far apart."""
    found = made(tmp_path, {"grid": GRID, "vary": batches(16, 32, 64)}, wobbling(ends, size=size))
    first, *rest = answers.answer(found.tables, found.only)
    assert (first.verdict, first.sentence[: len(sentence)]) == (verdict, sentence)
    assert bool(first.decide) == (verdict == "cannot say") and first.sure.endswith("n = 3")
    assert ("Every difference is smaller than one point." in [one.text for one in rest]) == (verdict == "partly")


def test_what_decides_is_the_number_of_seeds_for_a_point_either_way(tmp_path):
    found = made(tmp_path, {"grid": GRID, "vary": batches(16, 32)}, wobbling({"16": 0.8, "32": 0.8}, size=0.02))
    [told] = answers.answer(found.tables, found.only)
    count = int(told.decide.split()[1])
    [row] = levels.read(found.tables, found.only).differences
    values = by_level(levels.read(found.tables, found.only).values)
    std = float(np.std([values[row["level"]][seed] - values[row["to"]][seed] for seed in range(3)], ddof=1))
    found_by = power.TTestPower().solve_power(effect_size=0.01 / std, alpha=0.05, power=0.8)
    assert found_by < count < 1.5 * found_by, "to show that a difference is smaller takes more than to find it"
    assert stats.equivalence_power(0.01, std, count, level=0.025) >= 0.8
    assert stats.equivalence_power(0.01, std, count - 1, level=0.025) < 0.8


STEPS = {
    "first": {},
    "second": {"optimizer": "adam"},
    "third": {"optimizer": "adam", "training": {"batch_size": 8}},
    "fourth": {"optimizer": "adam", "training": {"batch_size": 8}, "network": "lenet1"},
}
REACHED = {"first": 0.6, "second": 0.7, "third": 0.7, "fourth": 0.5}


def test_a_path_compares_each_step_with_the_one_before(tmp_path):
    design = {"grid": GRID, "vary": {"step": STEPS}}
    found = made(tmp_path, design, wobbling(REACHED, "step", 0.002), lambda labels, seed: (
        "failed" if (labels["step"], seed) == ("third", 1) else "done"))  # fmt: skip
    shown = levels.read(found.tables, found.only)
    assert {row["level"]: row["to"] for row in shown.differences} == found.only.axes[0].after
    assert {row["level"]: row["n"] for row in shown.differences} == {"second": 3, "third": 2, "fourth": 2}
    told = [one.text for one in answers.answer(found.tables, found.only)]
    assert told[0].startswith("Yes. 1 of 3 changes clearly raises test accuracy: second after first by +10.")
    assert told[1].startswith("1 of 3 changes clearly lowers it: fourth after third by −19.8 points")
    assert told[2] == "Not clear: third."
    said = {"second": {"test": 0.71, "says": "71 %"}, "third": {"test": 0.95}}
    found.tables.document = {"source": "A and B (1998)", "said": said}
    [item] = figures.by_level(found.tables, found.only, reported="said")
    ticks = [line for line in item.figure.axes[0].lines if line.get_marker() == "|"]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ticks]
    assert places == [(pytest.approx(71), 1), (pytest.approx(95), 2)]
    assert 95 < item.figure.axes[0].get_xlim()[1] < 100, "far from the dots, and in view"
    assert "The document (A and B (1998)) reports one run." in item.caption
    [table] = numbers.table(found.tables, found.only, reported="said")
    assert table.data["document, test"].tolist() == ["none", "71 %", "95.00 %", "none"]
    assert "document, train" not in table.data, "the document reports of none"
    texts = [text.get_text() for text in item.figure.axes[1].texts]
    assert texts == ["the start", "after first", "after second (2/3)", "after third"]
    [table] = numbers.settings(found.tables, found.only, reported="said")
    rows = table.data.set_index("step")
    assert rows[["optimizer", "batch size", "architecture"]].to_numpy().tolist() == [
        ["sgd", "64", "lenet5"], ["adam", "64", "lenet5"], ["adam", "8", "lenet5"], ["adam", "8", "lenet1"],
    ]  # fmt: skip
    assert "momentum" not in rows and rows["document"].tolist() == ["", "71 %", "", ""]
    check(every(found, found.only))


def test_a_comparison_of_two_families_is_corrected_over_both(tmp_path):
    vary = {
        "sort": {
            "plain": {},
            "new": {"optimizer": "adam"},
            "small": {"training": {"batch_size": 8}, "set": {"lr": 0.5}},
        }
    }
    design = {"grid": GRID | {"dataset": ["digits", "low"]}, "vary": vary, "reference": {"sort": "plain"}}
    ends = {"plain": 0.6, "new": 0.7, "small": 0.6}
    found = made(tmp_path, design, wobbling(ends, "sort"))
    shown = levels.read(found.tables, found.only)
    assert shown.families == ["digits", "low"] and len(shown.differences) == 4
    q = scipy.stats.false_discovery_control([row["p"] for row in shown.differences])
    assert [row["q"] for row in shown.differences] == pytest.approx(q)
    told = [one.text for one in answers.answer(found.tables, found.only)]
    assert told[0].startswith("Yes (digits). 1 of 2 levels clearly raises test accuracy against plain (59.9 %")
    assert any(text.startswith("Yes (low). ") for text in told)
    items = every(found, found.only)
    check(items)
    by_level_ = items[0]
    assert len(by_level_.figure.axes) == 4 and by_level_.figure.axes[0].get_title("left") == "digits"
    assert "(lenet5 on digits, low)" in by_level_.caption
    assert set(by_level_.data["dataset"]) == {"digits", "low"}
    table = next(item for item in items if item.name == "study-table")
    assert table.data["data set"].tolist() == ["digits"] * 3 + ["low"] * 3
    assert {item.tab for item in items if "-course" in item.name} == {"digits", "low"}


def test_diverged_runs_are_crosses_and_one_seed_has_no_interval(tmp_path):
    design = {"grid": GRID, "vary": batches(16, 32, 64)}
    gone = made(tmp_path / "gone", design, wobbling({"16": 0.8, "32": 0.7, "64": 0.6}),
                lambda labels, seed: "diverged" if labels["batch"] == "64" else "done")  # fmt: skip
    items = every(gone, gone.only)
    check(items)
    crosses = [line for line in items[0].figure.axes[0].lines if line.get_marker() == "X"]
    assert [line.get_xdata()[0] for line in crosses] == pytest.approx([np.log10(64)])
    told = [one.text for one in answers.answer(gone.tables, gone.only)]
    assert "; clearly worse: 32." in told[0] + told[1] and told[-1] == "3 runs diverged: at 64."
    one = made(tmp_path / "one", design, wobbling({"16": 0.8, "32": 0.7, "64": 0.6}), replicates=1)
    check(every(one, one.only))
    [told] = answers.answer(one.tables, one.only)
    assert told.text.startswith("Cannot say. One seed gives no interval. The largest is 64 against 16, −19.9 points")
    assert (told.sure, told.decide) == ("no interval, n = 1", "more seeds")


def test_answers_rest_on_replicates_that_learnt_and_say_the_others(tmp_path):
    """Two levels are equal but for a replicate that stays at chance."""
    reach = wobbling(THREE, size=0.0005)
    found = made(tmp_path, {"grid": GRID, "vary": batches(16, 32)},
                 lambda labels, seed: 0.1 if (labels["batch"], seed) == ("32", 2) else reach(labels, seed))  # fmt: skip
    question = {"key": "a", "heading": "A?", "exhibits": ["levels"], "answer": "levels"}
    found.tables.experiments = found.experiments
    chapter = telling.tell(spec.Chapter.model_validate({"questions": [question]}), found.tables)
    first, said = chapter.questions[0]["answer"]
    assert first["verdict"] == "no" and first["sure"].endswith("n = 2")
    assert said["text"] == "1 run never learnt: at 32."
    assert first["text"] in chapter.exhibits[0].caption and first["text"] in chapter.exhibits[0].alt


def test_the_best_cell_is_that_of_the_replicates_that_learnt(tmp_path):
    found = made(tmp_path, {"grid": GRID, "vary": batches(16, 32)},
                 lambda labels, seed: 0.1 if labels["batch"] == "32" and seed else by_batch({"16": 0.8, "32": 0.9})(
                     labels, seed))  # fmt: skip
    [told] = study.best_answer(found.tables.learnt())
    assert [one.n for one in told.numbers] == [1] and "(lenet5, 32; n = 1)" in told.text
    assert study.facts(found.tables)["sentences"][1] == told.text


def test_nothing_finished_together(tmp_path):
    found = made(tmp_path, {"grid": GRID, "vary": batches(16, 64)}, wobbling({"16": 0.8, "64": 0.6}),
                 lambda labels, seed: "diverged" if labels["batch"] == "64" else "done")  # fmt: skip
    [told, _] = answers.answer(found.tables, found.only)
    assert told.text == "Cannot say. Fewer than two of the levels have runs that finished and learnt."
    check(every(found, found.only))


def test_a_reference_that_never_finished(tmp_path):
    vary = {"step": {"plain": {}, "new": {"optimizer": "adam"}, "small": {"network": "lenet1"}}}
    found = made(tmp_path, {"grid": GRID, "vary": vary}, wobbling({"plain": 0.6, "new": 0.7, "small": 0.8}, "step"),
                 lambda labels, _: "failed" if labels["step"] == "plain" else "done")  # fmt: skip
    told, *_ = answers.answer(found.tables, found.only)
    assert told.text == "Cannot say. No run of plain, which the others are compared with, has finished and learnt."
    check(every(found, found.only))


def test_thirty_levels_are_shown_by_their_rank(tmp_path):
    ends = {f"choice-{at}": 0.4 + 0.017 * ((7 * at) % 30) for at in range(30)}
    sets = [{"momentum": at / 100, "weight_decay": 0.0001 * (at % 2)} for at in range(30)]
    vary = {"choice": {name: {"set": values} for name, values in zip(ends, sets, strict=True)}}
    found = made(tmp_path, {"grid": GRID, "vary": vary}, wobbling(ends, "choice", 0.0001))
    [item] = figures.by_level(found.tables, found.only)
    assert len(item.figure.axes) == 1 and item.figure.get_size_inches()[1] < 5
    ranked = sorted(ends, key=ends.get)
    assert [text.get_text() for text in item.figure.axes[0].texts] == [*ranked[:3], *ranked[-3:]]
    assert len(item.data) == 90 and len(numbers.table(found.tables, found.only)[0].data) == 30
    check([item, *courses.lines(found.tables, found.only), *courses.course(found.tables, found.only)])
    with pytest.raises(NothingToShow, match="too many levels"):
        courses.gaps(found.tables, found.only)


def test_every_outcome_can_be_asked_for(sized):
    for name in (*OUTCOMES, "runs.wall_seconds"):
        items = [function(sized.tables, sized.only, outcome=name)[0] for function in (figures.by_level, numbers.table)]
        check(items)
        assert items[0].title == f"{outcomes.outcome(name).words.capitalize()} by batch"
    assert answers.answer(sized.tables, sized.only, outcome="gap")


MOMENTA = {name: {"set": {"momentum": float(name)}} for name in ("0.5", "0.7", "0.9")}


@pytest.mark.parametrize(
    "axis, levels_, ends",
    [("step", STEPS, REACHED), ("momentum", MOMENTA, {"0.5": 0.6, "0.7": 0.8, "0.9": 0.7})],
)
def test_names_decide_nothing(tmp_path, axis, levels_, ends):
    """An axis and levels called otherwise give the same numbers."""
    words = {axis: "zzz", **{name: f"t{at}" for at, name in enumerate(levels_)}}
    plain = made(tmp_path / "plain", {"grid": GRID, "vary": {axis: levels_}}, wobbling(ends, axis))
    back = {new: old for old, new in words.items()}
    renamed = made(
        tmp_path / "renamed",
        {"grid": GRID, "vary": {"zzz": {words[name]: value for name, value in levels_.items()}}},
        lambda labels, seed: wobbling(ends, axis)(labels | {axis: back[labels["zzz"]]}, seed),
    )
    for one, other in zip(every(plain, plain.only), every(renamed, renamed.only), strict=True):
        same = other.data.rename(columns=back).replace(back)
        pd.testing.assert_frame_equal(one.data, same)
        assert one.name.replace(axis, "zzz") == other.name.replace(axis, "zzz")


def test_the_gap_is_train_less_test_at_the_last_epoch(sized):
    data = courses.gaps(sized.tables, sized.only)[0].data
    found = data[data["quantity"] == "gap"].set_index("batch")
    assert found.loc["16", "mean"] == pytest.approx(0.15) and found.loc["64", "n"] == 2
    [told] = courses.gap_answer(sized.tables, sized.only)
    assert told.text.startswith("The gap at the last epoch is widest with 16, 15.0 points (all 3 seeds equal)")
    assert [(one.words, one.n) for one in told.numbers] == [("gap of 64", 2), ("gap of 16", 3)]


# ------------------------------------------------------------------------------------------- many cells


def test_the_accuracies_of_many_cells_are_a_distribution_with_its_ends_named(tmp_path):
    levels = {f"level{at}": {"training": {"batch_size": 8 + at}} for at in range(60)}
    places = {name: (at * 7) % 60 for at, name in enumerate(levels)}  # in another order than the config's
    study = made(tmp_path, {"grid": GRID, "vary": {"batch": levels}}, lambda row, _: 0.3 + 0.01 * places[row["batch"]])
    [found] = runs.accuracy(study.tables)
    assert found.figure.get_size_inches()[1] < 0.27 * 20.4 + 1.5, "as tall as 20 rows"
    [axes] = found.figure.axes
    best, worst = max(places, key=places.get), min(places, key=places.get)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [best, worst]
    assert "Of 60 cells a panel shows the distribution" in found.caption
    assert found.data["cell_id"].nunique() == 60
    heights = dict(zip(found.data["cell_id"], found.data["mean"], strict=False))
    shown = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert sorted(shown) == pytest.approx(sorted(100 * mean for mean in heights.values()))


def test_no_difference_is_told_with_an_interval_beyond_what_is_possible():
    """Two shares differ by 100 points at most, two gaps by 200; a loss has no bound."""
    row = {"n": 3, "mean": -0.596, "low": -1.089, "high": -0.103}
    accuracy, loss, gap = (outcomes.outcome(name) for name in ("accuracy", "loss", "gap"))
    assert accuracy.change(row) == "−59.6 points [−100.0, −10.3]"
    assert gap.change(row) == "−59.6 points [−108.9, −10.3]"
    assert loss.change(row | {"low": -50.0}).endswith("[−50.0, −0.1]")
    assert accuracy.change(row | {"low": np.nan, "high": np.nan}) == "−59.6 points (all 3 seeds equal)"
