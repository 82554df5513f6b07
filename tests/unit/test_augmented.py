"""Changed training images: which level is the control is found by its settings, and what each change buys is told."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.unit.designs import GRID, made
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import augmented, effects
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.settings import Augmentation
from weight_atlas.store import save_tensors

LUCK = (-0.01, 0.0, 0.012)
PLAIN, FLIP, TURN = {}, {"flip": "both"}, {"rotation": 90}
LEVELS = {
    "none": {},
    "turned": {"copies": [PLAIN, TURN]},
    "twice": {"copies": [PLAIN, PLAIN]},
    "flipped": {"copies": [PLAIN, FLIP]},
    "thrice": {"copies": [PLAIN, FLIP, TURN]},
}
# level -> (test accuracy, training accuracy)
GOOD = {"none": (0.60, 0.95), "twice": (0.62, 0.98), "turned": (0.62, 0.85), "flipped": (0.68, 0.80),
        "thrice": (0.58, 0.9)}  # fmt: skip


def design(levels=LEVELS, axis="images", word="{}", **more):
    return {"grid": GRID, "vary": {axis: {word.format(name): {"training": own} for name, own in levels.items()}}} | more


def built(folder, ends=GOOD, plan=None, axis="images", word="{}", fate=lambda *_: "done"):
    names = {word.format(name): name for name in LEVELS}

    def reach(labels, seed):
        test, train = ends[names[labels[axis]]]
        noise = 0.001 * ((7 * len(names[labels[axis]]) * (seed + 1)) % 5)
        return {"test": test + LUCK[seed] + noise, "train": train + LUCK[seed]}

    return made(folder, plan or design(axis=axis, word=word), reach, fate)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return built(tmp_path_factory.mktemp("plain"))


def ends(found):
    """Test accuracy, seeds down and levels across, from the table."""
    rows = pd.read_csv(found.tables.folder / "accuracy.csv").query("status == 'done' and protocol == 'best_valid'")
    return rows.merge(found.tables.cells, on="cell_id").pivot(index="seed", columns="images", values="accuracy")


def test_the_control_has_as_many_copies_and_none_is_changed(plain):
    shown = augmented.opened(plain.tables, plain.only)
    assert shown.controls == {"turned": "twice", "flipped": "twice"}
    assert shown.axis.reference == "none"
    assert {level: len(augmented.changed(one)) for level, one in shown.trainings.items()} == {
        "none": 0, "turned": 1, "twice": 0, "flipped": 1, "thrice": 2
    }  # fmt: skip


def test_a_change_is_one_of_pixels():
    assert not augmented.changes(Augmentation(fill="nearest", shear_unit="share"))
    assert augmented.changes(Augmentation(crop=4)) and augmented.changes(Augmentation(zoom=[0.9, 1.0]))


def test_differences_are_to_the_reference_and_to_the_control(plain):
    own = ends(plain)
    shown = augmented.opened(plain.tables, plain.only)
    pairs = {(row["level"], row["to"]) for row in shown.differences}
    assert pairs == {(level, "none") for level in LEVELS if level != "none"} | {
        ("turned", "twice"), ("flipped", "twice")
    }  # fmt: skip
    for row in shown.differences:
        if row["outcome"] == "best_valid":
            values = own[row["level"]] - own[row["to"]]
            low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
            assert [row["mean"], row["low"], row["high"]] == pytest.approx([values.mean(), low, high])
    found = [row for row in shown.differences if np.isfinite(row["p"])]
    q = stats.false_discovery_control([row["p"] for row in found])
    assert [row["q"] for row in found] == pytest.approx(q)


def test_what_helps_is_told_both_ways(plain, tmp_path):
    gain, gap, more = augmented.answer(plain.tables, plain.only)
    assert (
        gain.text.startswith("Yes. flipped (+")
        and " against twice) clearly raises test accuracy; 3 tried." in gain.text
    )
    assert "turned" not in gain.text and gap.text.startswith("Yes. ") and "lower the gap" in gap.text
    assert more.text.startswith("More images alone (twice: each 2 times) change test accuracy by +")
    own = ends(plain)
    flipped = next(one for one in gain.numbers if one.words == "flipped less twice")
    assert flipped.mean == pytest.approx((own["flipped"] - own["twice"]).mean()) and flipped.n == 3
    other = built(tmp_path, {level: (0.6, 0.9) for level in LEVELS})
    gain, gap, _ = augmented.answer(other.tables, other.only)
    for told, words in ((gain, "raises test accuracy"), (gap, "lowers the gap")):
        how = "" if told.verdict == "no" else "clearly "
        assert told.verdict in ("no", "cannot say") and told.sentence.startswith(f"None of 3 changes {how}{words}")


ONLY = "turned, the only change tried,"


@pytest.mark.parametrize(
    ("gain", "noise", "verdict", "words"),
    [
        (0.05, 0.001, "yes", "turned (+"),
        (0.005, 0.0002, "partly", "turned (+"),
        (-0.05, 0.001, "no", f"{ONLY} does not raise test accuracy against twice by a point: −"),
        (0.0, 0.0005, "no", f"{ONLY} does not raise test accuracy against twice by a point: "),
        (
            0.0,
            0.02,
            "cannot say",
            f"{ONLY} does not clearly raise test accuracy against twice: ",
        ),
    ],
)
def test_one_change_helps_or_does_not_or_cannot_be_told(tmp_path, gain, noise, verdict, words):
    plan = design({name: LEVELS[name] for name in ("none", "twice", "turned")})
    chance = np.random.default_rng(2)
    found = made(tmp_path, plan, lambda labels, seed: {
        "test": 0.6 + gain * (labels["images"] == "turned") + chance.normal(0, noise), "train": 0.9})  # fmt: skip
    told = augmented.answer(found.tables, found.only)[0]
    assert told.verdict == verdict and told.sentence.startswith(words)
    assert bool(told.decide) == (verdict == "cannot say") and told.sure.endswith("n = 3")


def test_a_change_that_costs_is_told(tmp_path):
    found = built(tmp_path, GOOD | {"turned": (0.50, 0.99)})
    gain, gap, _ = augmented.answer(found.tables, found.only)
    assert gain.text.startswith("Yes. flipped (+") and " turned (−" in gain.text
    assert gain.text.endswith("clearly lower it.")
    assert " turned (+" in gap.text and gap.text.endswith("clearly raises it.")


def test_without_a_control_it_is_said(tmp_path):
    found = built(tmp_path, plan=design({name: LEVELS[name] for name in ("none", "flipped", "turned")}))
    [item] = augmented.effects(found.tables, found.only)
    assert "more images and changed ones cannot be told apart" in item.caption
    assert set(item.data["kind"]) == {"reference"}
    assert augmented.answer(found.tables, found.only)[0].text.endswith(
        "clearly raise test accuracy against none; 2 tried."
    )
    [table] = augmented.table(found.tables, found.only)
    assert not any("control" in column for column in table.columns)


def test_changes_on_the_fly_need_no_control(tmp_path):
    levels = {"none": {}, "flipped": {"augment": FLIP}, "turned": {"augment": TURN}}
    found = built(tmp_path, plan=design(levels))
    shown = augmented.opened(found.tables, found.only)
    assert shown.controls == {} and [len(augmented.changed(one)) for one in shown.trainings.values()] == [0, 1, 1]
    assert "cannot be told apart" not in augmented.effects(found.tables, found.only)[0].caption


def test_exhibits_have_words_and_numbers(plain, tmp_path):
    [item], [table] = (part(plain.tables, plain.only) for part in (augmented.effects, augmented.table))
    assert item.title == "What each images changes" and item.name == "study-effects"
    assert len(item.figure.axes) == 3 and len(item.data) == 3 * (4 + 2)
    rows = table.data.set_index("images")
    assert rows.index.tolist() == list(LEVELS)
    own = ends(plain)
    for level in LEVELS:
        assert float(rows.loc[level, "best validation"].split(" ±")[0]) == pytest.approx(
            100 * own[level].mean(), abs=0.05
        )
    assert rows.loc["none", "to the reference"] == rows.loc["thrice", "to the control"] == ""
    exhibit.write_png(tmp_path, [item], faults := [])
    assert not faults


def test_other_names_give_the_same_numbers(plain, tmp_path):
    other = built(tmp_path, axis="z", word="level-{}")
    for part in (augmented.effects, augmented.table):
        [one], [two] = part(plain.tables, plain.only), part(other.tables, other.only)
        renamed = two.data.rename(columns={"z": "images"}).replace("level-", "", regex=True)
        pd.testing.assert_frame_equal(renamed, one.data)
    texts = [[one.text for one in augmented.answer(found.tables, found.only)] for found in (plain, other)]
    assert [text.replace("level-", "") for text in texts[1]] == texts[0]


def test_two_families_are_corrected_together(tmp_path):
    found = built(tmp_path, plan=design(grid=GRID | {"network": ["lenet5", "lenet1"]}))
    items = augmented.effects(found.tables, found.only)
    assert [item.tab for item in items] == ["lenet5", "lenet1"]
    assert all("all 36 differences" in item.caption for item in items)
    told = augmented.answer(found.tables, found.only)
    assert [one.about for one in told] == ["lenet5"] * 3 + ["lenet1"] * 3
    assert len(augmented.table(found.tables, found.only)[0].data) == 2 * len(LEVELS)


def test_what_did_not_finish_is_left_out(tmp_path):
    found = built(tmp_path, fate=lambda labels, _: "diverged" if labels["images"] == "twice" else "done")
    [item] = augmented.effects(found.tables, found.only)
    assert set(item.data["kind"]) == {"reference"} and "3 diverged" in item.caption
    assert augmented.table(found.tables, found.only)[0].data.set_index("images").loc["twice", "gap"] == "none"
    none = built(tmp_path / "none", fate=lambda labels, _: "done" if labels["images"] == "none" else "failed")
    for part in (augmented.effects, augmented.answer):
        with pytest.raises(NothingToShow, match="has finished together"):
            part(none.tables, none.only)


def test_many_levels_stay_readable(tmp_path):
    levels = {"none": {}} | {f"turn-{at}": {"augment": {"rotation": at}} for at in range(1, 31)}
    found = made(tmp_path, design(levels), lambda one, seed: 0.6 + 0.01 * seed + 0.1 * (one["images"] == "turn-7"))
    [item] = augmented.effects(found.tables, found.only)
    shown = [text.get_text() for text in item.figure.axes[0].get_yticklabels()]
    assert len(shown) == effects.MOST and "turn-7" in shown
    assert "The 20 clearest levels; the table has all." in item.caption
    assert len(augmented.table(found.tables, found.only)[0].data) == 31


def test_no_axis_that_changes_images(tmp_path):
    vary = {"batch": {size: {"training": {"batch_size": int(size)}} for size in ("16", "64")}}
    found = made(tmp_path, {"grid": GRID, "vary": vary}, lambda *_: 0.5)
    for part in (augmented.effects, augmented.table, augmented.examples, augmented.answer):
        with pytest.raises(NothingToShow, match="changes training images"):
            part(found.tables, found.only)


def test_examples_are_changed_as_training_changes_them(plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no data set was prepared
    path = tmp_path / "digits.safetensors"
    images = np.zeros((20, 1, 8, 8), np.uint8)
    labels = np.arange(20) % 10
    images[np.arange(20), 0, 1, labels % 8] = 20 * labels + 50
    save_tensors(path, {"images": images, "labels": labels.astype(np.int64), "split": np.zeros(20, np.uint8)})
    with pytest.raises(NothingToShow, match="is not there"):
        augmented.examples(plain.tables, plain.only)
    tables = plain.tables.part()
    tables.cells = tables.cells.assign(data=str(path))
    [item] = augmented.examples(tables, plain.only)
    assert item.raster and item.data["images"].tolist() == [10] * 4
    kinds = {level: one for level in ("flipped", "turned")
             for one in augmented.changed(augmented.opened(plain.tables, plain.only).trainings[level])}  # fmt: skip
    shown = augmented.pictures(path, kinds)
    assert list(shown) == ["as it is", "flipped", "turned"]
    np.testing.assert_array_equal(shown["as it is"], images[:10])
    mirrored = [shown["as it is"][3][:, ::down, ::right] for down in (1, -1) for right in (1, -1)]
    assert any((shown["flipped"][3] == one).all() for one in mirrored)
    assert (shown["turned"] != shown["as it is"]).any()
