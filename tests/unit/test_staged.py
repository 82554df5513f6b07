"""Training in stages, and cells of several experiments beside one another, on made-up results."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.unit.designs import GRID, made
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import staged
from weight_atlas.reporting.grammar import exhibit

LUCK = (-0.01, 0.0, 0.012)
STAGES = [{"epochs": 2, "frozen": 2}, {"epochs": 2, "frozen": 0, "lr": 0.001}]
BATCHES = {"small": {"training": {"batch_size": 16}}, "large": {"training": {"batch_size": 64}}}


def unfreeze(folder, jump):
    """Give the last two epochs to a second stage, which adds jump(seed) to accuracy from its first epoch on."""
    path = folder / "tables" / "metrics.csv"
    rows = pd.read_csv(path)
    late = rows["epoch"] > 2
    rows.loc[late, "stage"] = 1
    for split in ("valid", "test"):
        rows.loc[late, f"{split}_accuracy"] += rows.loc[late, "seed"].map(jump)
    rows.to_csv(path, index=False)


def built(folder, jump=lambda seed: 0.15 + 0.01 * seed, reach=None, design=None, **options):
    design = design or {"grid": GRID, "training": {"stages": STAGES}}
    found = made(folder, design, reach or (lambda _, seed: 0.5 + LUCK[seed]), **options)
    unfreeze(folder, jump)
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return built(tmp_path_factory.mktemp("plain"))


def test_a_jump_is_what_the_first_epoch_of_a_stage_adds(plain):
    jumps = staged.unfrozen(staged.labelled(plain.tables, plain.only))
    assert set(jumps["epoch"]) == {3} and set(jumps["stage"]) == {1}
    rise = [(0.5 + luck - 0.1) / 4 for luck in LUCK]  # of every epoch
    expected = [0.15 + 0.01 * seed + rise[seed] for seed in range(3)]
    assert jumps["valid_jump"].tolist() == pytest.approx(expected)
    told, before = staged.answer(plain.tables, plain.only)
    end = sum(0.1 + (0.4 + luck) * 2 / 4 for luck in LUCK) / 3
    front = f"At the end of the first stage (2 layers frozen) validation accuracy is {100 * end:.1f} % ["
    assert before.text.startswith(front) and before.text.endswith("at a learning rate of 0.1, that of the first.")
    assert before.numbers[0].mean == pytest.approx(end)
    assert told.text.startswith("Yes. In its first epoch the second stage clearly raises validation accuracy: +")
    assert told.numbers[0].mean == pytest.approx(np.mean(expected)) and told.sure == "q < 0.05, n = 3"


@pytest.mark.parametrize(
    ("jump", "verdict", "words"),
    [
        ((-0.30, -0.29, -0.28), "yes", "clearly lowers validation accuracy: −"),
        ((-0.30, 0.10, -0.10), "cannot say", "does not clearly change validation accuracy: "),
        ((-0.100, -0.1005, -0.0995), "no", "does not change validation accuracy by a point: "),
    ],
)
def test_what_a_stage_does_is_told_both_ways(tmp_path, jump, verdict, words):
    found = built(tmp_path, lambda seed: jump[seed], reach=lambda *_: 0.5)
    told, _ = staged.answer(found.tables, found.only)
    assert told.verdict == verdict and words in told.sentence


@pytest.mark.parametrize(
    ("rate", "words"), [(0.001, "0.001, 1/100 of the first"), (0.2, "0.2, 2 times that of the first")]
)
def test_the_rate_of_the_second_stage_is_said_beside_the_first(tmp_path, rate, words):
    found = built(tmp_path)
    path = tmp_path / "tables" / "metrics.csv"
    rows = pd.read_csv(path)
    rows.loc[rows["stage"] == 1, "rate"] = rate
    rows.to_csv(path, index=False)
    assert staged.answer(found.tables, found.only)[1].text.endswith(f"a learning rate of {words}.")


def test_the_course_marks_its_stages(plain, tmp_path):
    [item] = staged.course(plain.tables, plain.only)
    assert item.name == "study-course" and item.title == "Training by stages"
    assert "2 epochs with 2 layers frozen at a learning rate of 0.1, then 2 epochs with no layer frozen" in item.caption
    dashed = [line for axes in item.figure.axes for line in axes.lines if line.get_linestyle() == "--"
              and len(set(line.get_xdata())) == 1]  # fmt: skip
    assert {line.get_xdata()[0] for line in dashed} == {2.5} and len(dashed) == 2
    own = pd.read_csv(plain.tables.folder / "metrics.csv").query("epoch == 4")["test_accuracy"]
    shown = item.data.query("quantity == 'test_accuracy' and epoch == 4").iloc[0]
    assert shown["mean"] == pytest.approx(own.mean()) and shown["n"] == 3
    exhibit.write_png(tmp_path, [item], faults := [])
    assert not faults


def test_the_table_has_every_stage_of_every_cell(tmp_path):
    design = {"grid": GRID, "vary": {"batch": BATCHES}, "training": {"stages": STAGES}}
    found = built(tmp_path, design=design)
    [item] = staged.table(found.tables, found.only)
    assert item.data["cell"].tolist() == ["small", "small", "large", "large"]
    assert item.data["frozen"].tolist() == ["2 layers", "no layer"] * 2
    assert item.data["its first epoch adds"].tolist()[::2] == ["", ""]
    own = pd.read_csv(found.tables.folder / "metrics.csv").query("epoch == 2")["valid_accuracy"].mean()
    assert item.data["validation at its end"][0].startswith(f"{own * 100:.1f} ±")
    [drawn] = staged.course(found.tables, found.only)
    assert set(drawn.data["curve"]) == {"small", "large"}
    first, second, *ends = staged.answer(found.tables, found.only)
    assert [first.about, second.about] == [one.text.partition(":")[0] for one in ends] == ["small", "large"]


def test_one_stage_is_a_course_without_marks(tmp_path):
    found = made(tmp_path, {"grid": GRID}, lambda _, seed: 0.5 + LUCK[seed])
    [item] = staged.course(found.tables, found.only)
    assert item.title == "Training" and "stage" not in item.caption
    with pytest.raises(NothingToShow, match="second stage"):
        staged.answer(found.tables, found.only)
    with pytest.raises(NothingToShow, match="several stages"):
        staged.table(found.tables, found.only)


def test_runs_that_stop_early_are_counted(tmp_path):
    found = made(tmp_path, {"grid": GRID}, lambda _, seed: 0.5)
    path = tmp_path / "tables" / "metrics.csv"
    rows = pd.read_csv(path)
    rows[(rows["seed"] != 1) | (rows["epoch"] < 4)].to_csv(path, index=False)
    assert "1 of 3 runs ended by themselves after 3 epochs." in staged.course(found.tables, found.only)[0].caption


def test_what_did_not_finish(tmp_path):
    found = built(tmp_path, fate=lambda _, seed: "diverged" if seed == 0 else "done")
    [item] = staged.course(found.tables, found.only)
    assert "1 diverged" in item.caption
    none = built(tmp_path / "none", fate=lambda *_: "failed")
    for part in (staged.course, staged.table, staged.answer):
        with pytest.raises(NothingToShow):
            part(none.tables, none.only)


def test_of_many_cells_the_first_are_drawn(tmp_path):
    vary = {"batch": {str(size): {"training": {"batch_size": size}} for size in range(8, 20)}}
    found = built(tmp_path, design={"grid": GRID, "vary": vary, "training": {"stages": STAGES}})
    [item] = staged.course(found.tables, found.only)
    assert item.data["curve"].nunique() == staged.DRAWN and "The first 8 of 12 cells" in item.caption
    assert len(staged.table(found.tables, found.only)[0].data) == 24


# --- compared


def two(folder, gain, names=("one", "other"), **options):
    """Two experiments; the second one's cells are better by gain(seed)."""
    design = {"experiments": {names[0]: {"grid": GRID}, names[1]: {"grid": GRID | {"network": ["lenet1"]}}}}

    def reach(labels, seed):
        return 0.5 + LUCK[seed] + (gain(seed) if labels["experiment"] == names[1] else 0)

    return made(folder, design, reach, **options)


def test_cells_are_compared_with_the_first(tmp_path):
    found = two(tmp_path, lambda seed: 0.1 + 0.004 * seed)
    [item] = staged.compared(found.tables, experiments=["one", "other"])
    [told] = staged.compared_answer(found.tables, experiments=["one", "other"])
    assert told.text.startswith("Yes. other (lenet1) is clearly above one (lenet5) in test accuracy (best validation ")
    assert "+10.4 points [9.4, 11.4], paired by seed." in told.text and told.sure == "q < 0.05, n = 3"
    assert told.statement in item.caption and told.statement in item.alt
    low, high = stats.ttest_1samp([0.1, 0.104, 0.108], 0).confidence_interval(0.95)
    [row] = staged.differences(staged.gathered(found.tables, ["one", "other"]))
    assert [row["mean"], row["low"], row["high"]] == pytest.approx([0.104, low, high])
    [told] = staged.compared_answer(found.tables, experiments=["other", "one"])
    assert told.text.startswith("No. one (lenet5) is clearly below other (lenet1) in test accuracy")
    assert told.numbers[0][2:] == pytest.approx((3, -0.104, -high, -low))
    exhibit.write_png(tmp_path, [item], faults := [])
    assert not faults


def grid_and_tuned(folder, valid, test, **options):
    """A grid of two batch sizes, and another experiment that ends at 0.6; validation and test accuracy of the grid."""
    design = {"experiments": {"grid": {"grid": GRID, "vary": {"batch": BATCHES}},
                              "tuned": {"grid": GRID | {"network": ["lenet1"]}}}}  # fmt: skip

    def reach(row, seed):
        batch = row.get("batch", "")
        return test[batch] + LUCK[seed] if batch else 0.6 + 1.1 * LUCK[seed]

    found = made(folder, design, reach, **options)
    path = folder / "tables" / "metrics.csv"
    batches = dict(zip(found.tables.cells["cell_id"], found.tables.cells["batch"], strict=True))
    rows = pd.read_csv(path)
    late = rows["epoch"] == rows["epoch"].max()
    known = late & rows["cell_id"].map(batches).isin(valid)
    rows.loc[known, "valid_accuracy"] = rows.loc[known, "cell_id"].map(batches).map(valid)
    rows.to_csv(path, index=False)
    return found


def test_the_best_cell_of_a_grid_is_chosen_on_validation_images(tmp_path):
    """The cell that is better on test is not taken for that."""
    found = grid_and_tuned(tmp_path, {"small": 0.9, "large": 0.8}, {"small": 0.5, "large": 0.55})
    best = staged.chosen(found.tables, ["grid"])
    assert best.name == "best of 2 cells on validation (small)"
    assert best.rows["test_accuracy"].tolist() == pytest.approx([0.5 + luck for luck in LUCK])
    _, against = staged.compared_answer(found.tables, experiments=["tuned", "tuned"], best=["grid"])
    assert against.text.startswith("Yes. tuned (lenet1) is clearly above best of 2 cells on validation (small) in test")
    assert against.numbers[0].mean == pytest.approx(0.1 + 0.1 * sum(LUCK) / 3)
    [item] = staged.compared(found.tables, experiments=["tuned", "tuned"], best=["grid"])
    assert against.statement in item.caption and "best of 2 cells on validation (small)" in set(item.data["cell"])


def test_a_cell_that_never_learnt_is_not_the_best(tmp_path):
    found = grid_and_tuned(tmp_path, {"small": 0.9, "large": 0.8}, {"small": 0.5, "large": 0.55})
    path = tmp_path / "tables" / "runs.csv"
    runs = pd.read_csv(path)
    small = found.tables.cells.set_index("batch").loc["small", "cell_id"]
    runs.assign(learnt=runs["cell_id"] != small).to_csv(path, index=False)
    assert staged.chosen(found.tables, ["grid"]).name == "best of 1 cell on validation (large)"
    with pytest.raises(NothingToShow, match="no replicate of third has finished"):
        staged.chosen(found.tables, ["third"])


@pytest.mark.parametrize(
    ("gain", "verdict", "words"),
    [
        ((0.1, -0.1, 0.0), "cannot say", "cannot be told from"),
        ((0.001, -0.001, 0.0), "no", "is not a point above"),
        ((0.004, 0.005, 0.0045), "partly", "is clearly, by less than one point, above"),
    ],
)
def test_what_is_not_better_and_what_cannot_be_told_apart_is_said(tmp_path, gain, verdict, words):
    found = two(tmp_path, lambda seed: gain[seed])
    [told] = staged.compared_answer(found.tables, experiments=["one", "other"])
    assert told.verdict == verdict and words in told.sentence


def test_the_document_stands_beside(tmp_path):
    found = two(tmp_path, lambda _: 0.1)
    found.tables.document = {"given": {"one": {"test": 0.42}}}
    [item] = staged.compared(found.tables, experiments=["one", "other"], reported="given")
    assert "in the document (one run)" in [text.get_text() for text in item.figure.legends[0].get_texts()]
    [table] = staged.compared_table(found.tables, experiments=["one", "other"], reported="given")
    assert table.data["document"].tolist() == ["42.00 %", "none"] and "document" in table.columns
    [table] = staged.compared_table(found.tables, experiments=["one", "other"])
    assert "document" not in table.columns


def test_an_experiment_that_is_not_there(tmp_path):
    found = two(tmp_path, lambda _: 0.1)
    with pytest.raises(NothingToShow, match="no experiment third"):
        staged.compared(found.tables, experiments=["one", "third"])
    assert len(staged.compared_table(found.tables, experiments=["one", "third"])[0].data) == 1
    with pytest.raises(NothingToShow):
        staged.compared_table(found.tables, experiments=["third"])


def test_other_names_give_the_same_numbers(tmp_path):
    first = two(tmp_path / "a", lambda seed: 0.1 + 0.004 * seed)
    second = two(tmp_path / "b", lambda seed: 0.1 + 0.004 * seed, names=("zeta", "alpha"))
    [one] = staged.compared(first.tables, experiments=["one", "other"])
    [other] = staged.compared(second.tables, experiments=["zeta", "alpha"])
    assert one.data.select_dtypes("number").equals(other.data.select_dtypes("number"))
    assert other.caption.replace("zeta", "one").replace("alpha", "other") == one.caption
