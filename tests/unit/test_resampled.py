"""Splits that follow the replicate: what each draws, what stays, and that the trainer and the card know of it."""

import json

import numpy as np
import pytest
import torch
from scipy import stats
from test_plan import plan

from tests.unit.cells import record
from weight_atlas import starts
from weight_atlas.datasets.prepare import prepare_dataset
from weight_atlas.plan import spec
from weight_atlas.settings import Input, Settings
from weight_atlas.training import block, data, engine

DIGITS = spec.Digits(source="digits").model_dump()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """{resample: the digits}, with the card of each."""
    found = {}
    for resample in (False, True):
        folder = tmp_path_factory.mktemp("data")
        asked = DIGITS | {"split": DIGITS["split"] | {"resample": resample}}
        card = prepare_dataset(asked, "digits", folder, folder / "digits.safetensors")
        there = json.loads(json.dumps(card))
        shape = Input(1, 28)
        (folder / "digits.json").write_text(json.dumps(card))
        found[resample] = data.load(folder / "digits.safetensors", there, shape, torch.device("cpu")), there
    found["folder"] = folder
    return found


def sorted_rows(*splits):
    """The images of some splits with their labels, in an order that their values give."""
    rows = np.concatenate([np.c_[split.images.flatten(1).numpy(), split.labels.numpy()] for split in splits])
    return rows[np.lexsort(rows.T)]


def test_without_it_every_replicate_has_the_same_images(loaded):
    images, card = loaded[False]
    assert images.of_replicate(3) is images and card["resample"] is False
    assert not any("replicate" in note for note in card["notes"])


def test_each_replicate_draws_train_and_valid_from_both_and_keeps_counts_and_test(loaded):
    images, card = loaded[True]
    first, again, second = images.of_replicate(0), images.of_replicate(0), images.of_replicate(1)
    assert torch.equal(first.train.images, again.train.images), "a seed draws the same images whenever it is asked"
    assert not torch.equal(first.valid.images, second.valid.images)
    for own in (first, second):
        assert own.test is images.test and own.mean is images.mean
        assert np.array_equal(sorted_rows(own.train, own.valid), sorted_rows(images.train, images.valid))
        for name in ("train", "valid"):
            counts = np.bincount(getattr(own, name).labels.numpy(), minlength=10)
            assert counts.tolist() == card["counts"][name]
    assert any("Each replicate draws its own training and validation images" in note for note in card["notes"])


def test_every_image_is_as_often_in_valid_as_chance_has_it(loaded):
    """Over many seeds the counts are binomial: chi-square by scipy."""
    images, _ = loaded[True]
    numbered = torch.arange(len(images.train) + len(images.valid)).reshape(-1, 1, 1, 1)
    train = data.Split(numbered[: len(images.train)], images.train.labels)
    valid = data.Split(numbered[len(images.train) :], images.valid.labels)
    pool = data.ImageData(train, valid, images.test, images.mean, images.std, resample=True)
    draws = 200
    often = torch.zeros(len(numbered))
    for seed in range(draws):
        often[pool.of_replicate(seed).valid.images.flatten()] += 1
    share = len(valid) / len(numbered)
    spread = float(((often - draws * share) ** 2 / (draws * share * (1 - share))).sum())
    assert 1e-4 < stats.chi2.cdf(spread, len(numbered)) < 1 - 1e-4


def test_the_trainer_gives_each_seed_its_own_images(loaded, tmp_path, monkeypatch):
    given = {}

    class Stopped:
        stopping = False

        def __init__(self, cell_id, settings, seed, images, device, out):
            given[seed] = images

        def train(self, file):
            raise starts.Missing("stopped before it trains")

    monkeypatch.setattr(engine, "Run", Stopped)
    cell = record(start={"kind": "init", "scheme": "default"}, network={"architecture": "lenet1"}, input={"size": 28})
    stem = loaded["folder"] / "digits"
    files = {"data": f"{stem}.safetensors", "card": f"{stem}.json", "weights": None, "parents": []}
    block.train("base-x", Settings.parse(cell), [0, 1], files, "cpu", tmp_path)
    for seed, images in given.items():
        assert torch.equal(images.valid.images, loaded[True][0].of_replicate(seed).valid.images)
    assert set(given) == {0, 1}


def test_it_is_another_data_set_and_other_cells():
    changed = plan((("datasets", "digits", "split"), {"resample": True}))
    assert set(changed.datasets) != set(plan().datasets)
    trained = [
        {cell.cell_id for cell in one.cells.values() if cell.trained_on.label == "digits"} for one in (plan(), changed)
    ]
    assert trained[0] and trained[1] and not trained[0] & trained[1]
