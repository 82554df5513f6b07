"""Which test images a replicate classifies right: recorded by training, and what follows for new images."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy
import torch

from tests.unit.test_training import load, settings, snapshot, stage, train
from weight_atlas import right_answers, stats, store
from weight_atlas.analysis import comparisons
from weight_atlas.analysis.runs import right
from weight_atlas.networks import build
from weight_atlas.reporting.claims import measured

CELLS = ("one", "other")
SEEDS, IMAGES = 4, 37


@pytest.fixture(scope="module")
def answers():
    """{(cell, seed): bool [images]}; the second cell is right more often, and images differ in how hard they are."""
    draw = np.random.default_rng(0)
    hard = draw.uniform(0.2, 0.9, IMAGES)
    chances = {"one": hard, "other": np.minimum(hard + 0.08, 1)}
    return {(cell, seed): draw.random(IMAGES) < chances[cell] for cell in CELLS for seed in range(SEEDS)}


def as_table(answers):
    rows = [
        (cell, seed, "best_valid", len(bits), right_answers.to_text(np.packbits(bits)))
        for (cell, seed), bits in answers.items()
    ]
    return pd.DataFrame(rows, columns=["cell_id", "seed", "protocol", "test_images", "bits"])


def runs(answers, status="done"):
    return pd.DataFrame([(*key, status) for key in answers], columns=["cell_id", "seed", "status"])


def by_hand(values):
    """Half of the 95 % interval of a mean over new rows and columns, no narrower than over new rows alone: a two-way
    layout's mean squares with Satterthwaite's degrees of freedom."""
    rows, columns = values.shape
    total, by_row, by_column = values.var(), values.mean(1).var(), values.mean(0).var()
    df = rows - 1, columns - 1, (rows - 1) * (columns - 1)
    first, second = by_row * rows * columns / df[0], by_column * rows * columns / df[1]
    rest = (total - by_row - by_column) * rows * columns / df[2]
    both = first + second - rest
    df_both = both**2 / (first**2 / df[0] + second**2 / df[1] + rest**2 / df[2])
    kinds = (first, df[0]), max((first, df[0]), (second, df[1]), (both, df_both))
    return max(scipy.stats.t(own).ppf(0.975) * math.sqrt(square / (rows * columns)) for square, own in kinds)


def test_training_records_which_images_are_right(toy, tmp_path):
    """At the last and at the best validation epoch, as the snapshots of these epochs classify them."""
    run, record = train(toy, tmp_path, settings(stages=[stage(4, 0.02)]))
    path, images = store.right_path(tmp_path, 0), load(toy)
    count = int(store.tensor_header(path).metadata["images"])
    assert count == len(images.test)
    for protocol, epoch in (("last", 4), ("best_valid", record["best_epoch"])):
        model, _ = build.build(*run.settings.network_arguments)
        model.load_state_dict(snapshot(tmp_path, epoch))
        with torch.inference_mode():
            outputs = model.eval()(images.batch(images.test.images))
        found = np.unpackbits(store.load_arrays(path)[protocol], count=count).astype(bool)
        assert found.tolist() == (outputs.argmax(1) == images.test.labels).tolist()
        assert found.mean() == pytest.approx(run.state.rows[epoch]["test_accuracy"])


def test_bits_survive_the_table(answers):
    for bits in answers.values():
        assert right_answers.from_text(right_answers.to_text(np.packbits(bits)), IMAGES).tolist() == bits.tolist()


def test_a_cell_has_both_uncertainties(answers):
    table = as_table(answers)
    made = right.crossed(table, runs(answers))
    assert [row[:2] for row in made] == [(cell, "best_valid") for cell in CELLS]
    for cell_id, _, n, images, mean, low, high, low_new, high_new, *parts in made:
        values = np.stack([answers[cell_id, seed] for seed in range(SEEDS)]).astype(float)
        assert (n, images, mean) == (SEEDS, IMAGES, pytest.approx(values.mean()))
        assert (low, high) == pytest.approx(stats.mean_interval(values.mean(1))[2:4])
        assert low_new <= low < mean < high <= high_new
        assert sum(parts) > 0 and parts[1] > 0
    unlearnt = runs(answers)[lambda frame: frame["cell_id"] == "one"]
    assert [row[0] for row in right.crossed(table, unlearnt)] == ["one"]


def test_a_difference_is_paired_on_images(answers):
    """The interval over new images is that of the differences image by image, and not that of two sets of images."""
    table = as_table(answers)
    bits = right.by_cell(table, runs(answers))
    low, high = comparisons.on_new_images([CELLS], bits)
    values = np.stack([answers["other", s].astype(float) - answers["one", s] for s in range(SEEDS)])
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(by_hand(values))
    assert all(math.isnan(end) for end in comparisons.on_new_images([CELLS], {"one": bits["one"]}))
    shorter = bits | {"other": {seed: own[:-1] for seed, own in bits["other"].items()}}
    assert all(math.isnan(end) for end in comparisons.on_new_images([CELLS], shorter))


def tables(answers, datasets=("d", "d")):
    rows = pd.DataFrame({"cell_id": CELLS, "dataset_id": datasets})
    return SimpleNamespace(rows=rows, right=lambda cells: {key: own for key, own in answers.items() if key[0] in cells})


def test_a_claim_knows_what_it_is_on_new_images(answers):
    rows = runs(answers)
    first, second = (rows[rows["cell_id"] == cell] for cell in ("other", "one"))
    found = measured.on_new_images(tables(answers), first, second)
    values = np.stack([answers["other", s].astype(float) - answers["one", s] for s in range(SEEDS)])
    assert (found.n, found.mean) == (SEEDS, pytest.approx(values.mean()))
    assert found.high - found.mean == pytest.approx(by_hand(values))
    alone = measured.on_new_images(tables(answers), first)
    assert alone.mean == pytest.approx(np.mean([answers["other", seed] for seed in range(SEEDS)]))
    assert measured.on_new_images(tables(answers, ("d", "e")), first, second) is None
    missing = {key: own for key, own in answers.items() if key != ("one", 2)}
    assert measured.on_new_images(tables(missing), first, second) is None
    assert measured.on_new_images(tables(answers), first[:1], second[:1]) is None


def test_levels_beside_are_averaged_where_both_sides_have_them(answers):
    """A side that lacks a level at a seed does not tip the balance."""
    rows = pd.DataFrame([(*key, level) for key in answers for level in "xy"], columns=["cell_id", "seed", "beside"])
    kept = rows[~((rows["cell_id"] == "one") & (rows["seed"] == 0) & (rows["beside"] == "y"))]
    first, second = (kept[kept["cell_id"] == cell] for cell in ("other", "one"))
    found = measured.on_new_images(tables(answers), first, second, ["beside"])
    values = np.stack([answers["other", s].astype(float) - answers["one", s] for s in range(SEEDS)])
    assert found.mean == pytest.approx(values.mean())


def test_a_number_says_what_it_is_on_new_images():
    here, new = (stats.Evidence(4, 0.012, error, 3) for error in (0.002, 0.004))
    made = measured.Measured("C less B", here, measured.POINTS, frozenset(), new=new)
    half, wide = (scipy.stats.t(3).ppf(0.975) * error for error in (0.002, 0.004))
    ends = [f"{100 * (0.012 + sign * size):.1f}".replace("-", "−") for size in (half, wide) for sign in (-1, 1)]
    text = "C less B +1.2 points [{}, {}], n = 4 (for new images [{}, {}])".format(*ends)
    assert made.text == text
    assert (made.json["low_new"], made.json["high_new"]) == pytest.approx((0.012 - wide, 0.012 + wide))
    alone = measured.Measured("C less B", here, measured.POINTS, frozenset())
    assert alone.text == text.partition(" (for")[0] and alone.json["low_new"] is None
