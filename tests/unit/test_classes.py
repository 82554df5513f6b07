"""Accuracy by class and confusion counts: planted answers, counted in numpy, and as they are told."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from test_analysis import cell, layers, replicate, snapshot, write_block, write_data

from tests.unit.designs import GRID, made
from tests.unit.tables import write_table
from weight_atlas import schema, store
from weight_atlas.analysis import group
from weight_atlas.analysis.features import classes as measure
from weight_atlas.networks.build import build
from weight_atlas.reporting.exhibits.runs import classes

LABELS = 4


def test_planted_confusion_is_counted():
    """Every class is taken for the next one three times, and for itself as often as is left; the last class never
    occurs."""
    planted = {(label, (label + 1) % 3): 3 for label in range(3)} | {(label, label): 5 + label for label in range(3)}
    pairs = np.array([pair for pair, count in planted.items() for _ in range(count)])
    np.random.default_rng(0).shuffle(pairs)
    outputs = np.random.default_rng(1).uniform(0, 1, (len(pairs), LABELS))
    outputs[np.arange(len(pairs)), pairs[:, 1]] = 2.0
    found = measure.confusion(torch.from_numpy(pairs[:, 0]), torch.from_numpy(outputs))
    assert {(label, answer): images for label, answer, images in found} == planted | {(3, 3): 0}
    assert [row[:2] for row in found] == sorted(row[:2] for row in found)


def test_of_equal_outputs_the_first_is_the_answer():
    assert measure.confusion(torch.tensor([1]), torch.ones(1, 2)) == [(0, 0, 0), (1, 0, 1), (1, 1, 0)]


def test_counts_of_networks_are_those_of_their_answers(tmp_path):
    """Against the answers of the network, run here image by image."""
    settings, random = cell(size=16, snapshots="ends"), np.random.default_rng(2)
    data, card, test = write_data(tmp_path, count=40, size=16)
    ends = {seed: snapshot(layers(settings), random, 0.5) for seed in (0, 1)}
    series = {seed: {0: end, 3: end} for seed, end in ends.items()}
    write_block(tmp_path / "x/seeds_0-1", "x", settings, [replicate(seed) for seed in (0, 1)], series)
    asked = {"cell_id": "x", "blocks": [tmp_path / "x/seeds_0-1"], "seeds": [0, 1], "cell": settings, "named": []}
    group.measure([asked | {"checkpoints": {}, "measures": ["classes"]}], data, store.read_json(card), tmp_path / "out")
    found = schema.read(tmp_path / "out/confusion.csv", "confusion")
    tensors = store.load_arrays(data)
    labels = tensors["labels"][tensors["split"] == 2]
    for seed, end in ends.items():
        network, _ = build(*settings.network_arguments)
        network.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in end.items()})
        pixels = torch.from_numpy((test / 255 - 0.3) / 0.2).float()
        with torch.no_grad():
            answers = np.array([int(network.eval()(one[None]).argmax()) for one in pixels])
        expected = np.zeros((10, 10), int)
        np.add.at(expected, (labels, answers), 1)
        own = found[found["seed"] == seed]
        counted = np.zeros((10, 10), int)
        counted[own["true_class"], own["predicted_class"]] = own["pictures"]
        np.testing.assert_array_equal(counted, expected)
        assert own["pictures"].sum() == 40
        assert (own["pictures"].gt(0) | (own["true_class"] == own["predicted_class"])).all()


# ------------------------------------------------------------------------------------------------ as told


def told(folder, right, seeds=4):
    """Tables of sgd and adam; right(optimizer, label, seed): of 100 images so many are right, others the next class."""
    tables = made(folder, {"grid": GRID | {"optimizer": ["sgd", "adam"]}}, lambda *_: 0.9, replicates=seeds).tables
    rows = []
    for cell_id, optimizer in tables.cells[["cell_id", "optimizer"]].itertuples(index=False, name=None):
        for seed in range(seeds):
            for label in range(LABELS):
                hits = right(optimizer, label, seed)
                counts = {label: hits, (label + 1) % LABELS: 100 - hits}
                front = {"cell_id": cell_id, "seed": seed, "true_class": label}
                rows += [front | {"predicted_class": answer, "pictures": images} for answer, images in counts.items()]
    write_table(folder / "tables/confusion.csv", pd.DataFrame(rows))
    return tables


def lost(optimizer, label, seed):
    """Adam loses 30 images of class 2, but for noise."""
    noise = np.random.default_rng([seed, label, optimizer == "adam"]).integers(-1, 2)
    return 90 + noise - 30 * (optimizer == "adam" and label == 2)


def test_the_class_that_loses_is_found(tmp_path):
    tables = told(tmp_path, lost)
    [answer] = classes.answer(tables)
    assert answer.text.startswith("Yes (lenet5 on digits). Class 2 loses most, −")
    assert "points with adam against sgd" in answer.text and "1 of 4" in answer.text
    [figure] = classes.classes(tables)
    row = figure.data[figure.data["label"] == 2].iloc[0]
    values = np.array([[lost(name, 2, seed) for seed in range(4)] for name in ("sgd", "adam")]) / 100
    expected = scipy.stats.ttest_1samp(values[1] - values[0], 0)
    assert row["mean"] == pytest.approx((values[1] - values[0]).mean())
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected.confidence_interval()))
    assert row["p"] == pytest.approx(expected.pvalue) and figure.figure is not None
    tested = figure.data["p"].dropna()
    assert row["q"] == pytest.approx(row["p"] * len(tested)), "Holm's smallest p"


def test_without_a_difference_no_class_is_said_to_lose(tmp_path):
    """Noise alone: over many draws Holm's correction keeps false alarms below their level, give or take chance."""
    wrong = 0
    for draw in range(10):
        noise = np.random.default_rng(draw).integers(0, 5, (2, LABELS, 4))
        tables = told(
            tmp_path / str(draw), lambda name, label, seed, noise=noise: 80 + noise[int(name == "adam"), label, seed]
        )
        [answer] = classes.answer(tables)
        wrong += answer.text.startswith(("Yes", "Partly"))
    assert wrong <= 2


def test_what_is_taken_for_what(tmp_path):
    [figure] = classes.confusions(told(tmp_path, lost))
    assert figure.caption.startswith("Most often 2 is taken for 3: ") and "(adam)" in figure.caption
    shares = figure.data[figure.data["cell_id"].str.contains("adam")].pivot(
        index="label", columns="predicted", values="share"
    )
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares.loc[2, 3] == pytest.approx(1 - np.mean([lost("adam", 2, seed) for seed in range(4)]) / 100)
    panels = [axes for axes in figure.figure.axes if axes.images]
    assert len(panels) == 2 and np.ma.getmaskarray(panels[0].images[0].get_array()).sum() == LABELS
