"""Exhibits and answers by the shape of an experiment, on made-up results of which the truth is known."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.designs import EPOCHS, GRID, made
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid, outcomes
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
    assert accuracy.text({"n": 3, "mean": 0.5, "low": 0.5, "high": 0.5}) == "50.0 % (all 3 seeds equal)"
    assert accuracy.text({"n": 0}) == "none finished" and accuracy.change({"n": 0}) == "no pair of seeds"


def test_cells_of_an_experiment_that_a_study_lacks(sized):
    with pytest.raises(NothingToShow, match="no axis experiment|no experiment"):
        grid.cells_of(sized.tables, sized.only.__class__("study", "other", (), (), (), True, "", ("accuracy",)))
