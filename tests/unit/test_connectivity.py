"""Lines between models: a numpy network in float64, a renamed copy, and what is told of made-up barriers."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_analysis import cell, layers, replicate, snapshot, write_block, write_data

from tests.unit.designs import CONFIG, GRID, made
from tests.unit.tables import write_table
from weight_atlas import schema, store
from weight_atlas.analysis import group
from weight_atlas.analysis.alignment import transforms
from weight_atlas.plan import measuring
from weight_atlas.plan.study import Plan
from weight_atlas.reporting.exhibits.weights import connectivity

SIDES = ["cell_a", "seed_a", "cell_b", "seed_b"]


# ------------------------------------------------------------------------------------------------ measured


def convolved(maps, weight, bias):
    """A valid convolution of maps [n, c, h, w] in numpy."""
    windows = np.lib.stride_tricks.sliding_window_view(maps, weight.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None]


def pooled(maps):
    """Maxima over 2 x 2."""
    n, c, h, w = maps.shape
    return maps.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))


def judged(weights, images, labels):
    """(loss, accuracy, answers) of LeNet-1 in float64: two convolutions with ReLU and maximum, and a linear layer."""
    names = ["conv1", "conv2", "fc"]
    w = {name: [weights[f"{name}.{part}"].astype(float) for part in ("weight", "bias")] for name in names}
    maps = images
    for name in names[:2]:
        maps = pooled(np.maximum(convolved(maps, *w[name]), 0))
    outputs = maps.reshape(len(maps), -1) @ w["fc"][0].T + w["fc"][1]
    highest = outputs.max(axis=1, keepdims=True)
    logs = outputs - highest - np.log(np.exp(outputs - highest).sum(axis=1, keepdims=True))
    answers = outputs.argmax(1)
    return -logs[np.arange(len(labels)), labels].mean(), (answers == labels).mean(), answers


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """(folder of the tables, {(cell, seed): tensors}, test images as the network sees them, labels).

    `renamed` has at seed 0 the channels of `plain` in another order, and at seed 1 weights of its own; nobody asks for
    `unasked`. The labels are what `plain` answers at seed 0, so that it is always right."""
    folder, random = tmp_path_factory.mktemp("lines"), np.random.default_rng(12)
    settings = cell("lenet1", 1, 28, snapshots="ends")
    data, card, images = write_data(folder, count=60, size=28)
    table = layers(settings)
    names = ("plain", "renamed", "unasked")
    ends = {(name, seed): snapshot(table, random, scale=0.3) for name in names for seed in (0, 1)}
    torches = {name: torch.from_numpy(values) for name, values in ends["plain", 0].items()}
    other = transforms.apply(table, torches, transforms.random(table, 5, ["permutation"]))
    ends["renamed", 0] = {name: tensor.numpy() for name, tensor in other.items()}
    held = store.load_arrays(data)
    seen = (images / 255.0 - 0.3) / 0.2
    labels = judged(ends["plain", 0], seen, np.zeros(60, int))[2]
    held["labels"][held["split"] == 2] = labels
    store.save_tensors(data, held)
    members = []
    for name in names:
        series = {seed: {0: snapshot(table, random), 3: ends[name, seed]} for seed in (0, 1)}
        block = folder / name / "seeds_0-1"
        write_block(block, name, settings, [replicate(seed) for seed in (0, 1)], series)
        axes = {"dataset": "d", "network": "n", "init": name, "optimizer": "o"}
        named = [{"study": "s", "kind": "base", "role": "grid", "labels": axes, "against": {}}]
        members.append({"cell_id": name, "blocks": [block], "seeds": [0, 1], "cell": settings, "named": named})
        members[-1] |= {"checkpoints": {}, "measures": ["connectivity"] * (name != "unasked")}
    group.measure(members, data, store.read_json(card), folder / "out")
    return folder / "out", ends, seen, labels


def test_pairs_are_those_of_the_cells_that_ask(measured):
    folder, *_ = measured
    found = schema.read(folder / "connectivity.csv", "connectivity")
    sides = found[[*SIDES, "factor"]].itertuples(index=False, name=None)
    expected = {(name, 0, name, 1, "seed") for name in ("plain", "renamed")}
    assert {*sides} == expected | {("plain", seed, "renamed", seed, "init") for seed in (0, 1)}
    assert len(found) == 8 and found["pictures"].eq(60).all()
    assert len(schema.read(folder / "lines.csv", "lines")) == 8 * 13


def test_lines_are_those_of_numpy(measured):
    """Every plain point against a forward pass in numpy; the barrier is the largest departure from the chord."""
    folder, ends, images, labels = measured
    lines = schema.read(folder / "lines.csv", "lines")
    rows = schema.read(folder / "connectivity.csv", "connectivity").set_index([*SIDES, "alignment"])
    for sides, line in lines[lines["alignment"] == "plain"].groupby(SIDES):
        a, b = (ends[sides[at], sides[at + 1]] for at in (0, 2))
        expected = []
        for t in line["t"]:
            mixed = {name: ((1 - t) * a[name].astype(float) + t * b[name]).astype("float32") for name in a}
            expected.append(judged(mixed, images, labels)[:2])
        losses, accuracies = np.array(expected).T
        np.testing.assert_allclose(line["loss"], losses, rtol=1e-4)
        np.testing.assert_allclose(line["accuracy"], accuracies, atol=1.01 / 60)
        row = rows.loc[(*sides, "plain")]
        between = (1 - line["t"]) * losses[0] + line["t"] * losses[-1]
        assert row["loss_barrier"] == pytest.approx((losses - between).max(), rel=1e-3, abs=1e-5)
        assert row["merged_loss"] == pytest.approx(losses[6], rel=1e-4)
        assert row["merged_accuracy"] == pytest.approx(accuracies[6], abs=1.01 / 60)
        assert [row["accuracy_a"], row["accuracy_b"]] == pytest.approx(accuracies[[0, -1]], abs=1.01 / 60)


def test_a_renamed_copy_has_no_barrier_once_channels_are_matched(measured):
    rows = schema.read(measured[0] / "connectivity.csv", "connectivity").set_index([*SIDES, "alignment"])
    copy = ("plain", 0, "renamed", 0)
    plain, aligned = rows.loc[(*copy, "plain")], rows.loc[(*copy, "aligned")]
    assert plain["distance"] > 1 and plain["accuracy_a"] == 1 and plain["accuracy_barrier"] > 0.2
    assert aligned["distance"] == pytest.approx(0, abs=1e-5) and aligned["permuted"] > 0
    assert aligned[["loss_barrier", "accuracy_barrier"]].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert aligned["merged_accuracy"] == aligned["accuracy_a"] == aligned["accuracy_b"]
    heights = rows["accuracy_barrier"].unstack()
    assert (heights["aligned"] <= heights["plain"]).all(), "the smaller one counts"


def test_the_plan_counts_the_lines_that_are_walked():
    """Of three seeds and two optimizers: three pairs of seeds each, and each seed with itself."""
    grid = GRID | {"optimizer": ["sgd", "adam"]}
    plan = Plan(CONFIG | {"definitions": {"study": {"grid": grid, "measure": ["connectivity"]}}})
    need = measuring.group([*plan.cells.values()], plan.listed)["connectivity"]
    assert need.rows == {"connectivity": 2 * 9, "lines": 26 * 9} and need.seconds > 0 and need.csv > 0
    plan = Plan(CONFIG | {"definitions": {"study": {"grid": grid}}})
    assert not any(measuring.group([*plan.cells.values()], plan.listed)["connectivity"].rows.values())


# ------------------------------------------------------------------------------------------------ as told


def told(folder, barriers, seeds=4):
    """Tables of two optimizers: {pair: (plain, matched, half the spread)} are the barriers of "sgd", "adam" (two seeds
    of each) and "both"; merged models lose what the matched barrier is."""
    tables = made(folder, {"grid": GRID | {"optimizer": ["sgd", "adam"]}}, lambda *_: 0.9, replicates=seeds).tables
    ids = dict(zip(("sgd", "adam"), tables.cells["cell_id"], strict=True))
    rows, points, random = [], [], np.random.default_rng(9)

    def add(a, first, b, second, factor, levels, name):
        sides = {"cell_a": ids[a], "seed_a": first, "cell_b": ids[b], "seed_b": second, "factor": factor}
        front = sides | dict(zip(("level_a", "level_b"), levels, strict=True))
        for alignment, height in zip(("plain", "aligned"), barriers[name][:2], strict=True):
            drop = height + random.uniform(-1, 1) * barriers[name][2]
            row = {"alignment": alignment, "loss_barrier": 3 * drop, "accuracy_barrier": drop, "distance": 5.0}
            row |= {"permuted": 3, "signs": 0, "pictures": 1000, "accuracy_a": 0.9, "accuracy_b": 0.9}
            rows.append(front | row | {"merged_loss": 1.0, "merged_accuracy": 0.9 - drop})
            for t in (0.0, 0.5, 1.0):
                of = {"alignment": alignment, "t": t, "pictures": 1000, "loss": 1.0}
                points.append(front | of | {"accuracy": 0.9 - drop * (t == 0.5)})

    for one in ("sgd", "adam"):
        for first in range(seeds):
            for second in range(first + 1, seeds):
                add(one, first, one, second, "seed", (str(first), str(second)), one)
    for seed in range(seeds):
        add("sgd", seed, "adam", seed, "optimizer", ("sgd", "adam"), "both")
    write_table(folder / "tables/connectivity.csv", pd.DataFrame(rows))
    write_table(folder / "tables/lines.csv", pd.DataFrame(points))
    write_table(folder / "tables/compared.csv", pd.DataFrame(columns=["study", "factor", "compared", "of"]))
    return tables


def test_one_basin_a_barrier_and_what_nobody_can_say(tmp_path):
    tables = told(tmp_path, {"sgd": (0.3, 0.005, 0.002), "adam": (0.3, 0.005, 0.02), "both": (0.5, 0.2, 0.01)})
    yes, unclear, no = connectivity.answer(tables)
    where = "(lenet5 on digits)"
    assert yes.text.startswith(f"Yes {where}. In one basin once channels are matched: two seeds of sgd, barrier 0.")
    assert unclear.text.startswith(f"Cannot say {where}. Not clear once channels are matched: two seeds of adam, ")
    assert unclear.decide == "more seeds" and "n = 4" in yes.sure
    assert no.text.startswith(f"No {where}. Apart, also once channels are matched: sgd / adam (optimizer), barrier ")
    assert float(yes.text.rpartition("before: ")[2].rstrip(").")) == pytest.approx(30, abs=0.5)
    [number] = no.numbers
    own = pd.read_csv(tmp_path / "tables/connectivity.csv")
    own = own[(own["factor"] == "optimizer") & (own["alignment"] == "aligned")]["accuracy_barrier"]
    half = 3.182446305284263 * own.std(ddof=1) / 2  # Student's t of three degrees of freedom, four values
    assert (number.mean, number.low, number.high) == pytest.approx((own.mean(), own.mean() - half, own.mean() + half))


def test_barriers_that_are_all_zero_have_the_width_of_a_step(tmp_path):
    tables = told(tmp_path, {"sgd": (0.3, 0.0, 0.0), "adam": (0.3, 0.0, 0.0), "both": (0.5, 0.0, 0.0)})
    [yes] = connectivity.answer(tables)
    assert yes.verdict == "yes" and all(0 < one.high < 0.002 and one.low == 0 for one in yes.numbers)


def test_the_figure_the_lines_and_the_table_show_every_pair(tmp_path):
    tables = told(tmp_path, {"sgd": (0.3, 0.005, 0.002), "adam": (0.3, 0.02, 0.02), "both": (0.5, 0.2, 0.01)})
    [figure], [lines], [table] = connectivity.barriers(tables), connectivity.lines(tables), connectivity.table(tables)
    assert len(figure.data) == 6 and figure.data["pair"].unique().tolist() == [
        "two seeds of sgd",
        "two seeds of adam",
        "sgd / adam (optimizer)",
    ]
    assert table.data["pairs"].tolist() == [6, 6, 4] and table.data["merged model"].iloc[2].startswith(("69.", "70."))
    assert table.data["less the mean of both"].iloc[2].startswith(("−19.", "−20."))
    assert len(lines.data) == 3 * 2 * 3 and "sgd / adam (optimizer) 69.9 %" in lines.alt
