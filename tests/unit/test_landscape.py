"""The loss around models: planes, heights and curvature against numpy in float64, and as it is told."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from test_analysis import cell, layers, replicate, snapshot, torches, write_block, write_data

from tests.unit.designs import GRID, made
from tests.unit.tables import write_table
from weight_atlas import schema, store
from weight_atlas.analysis import evaluation, group
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.landscape import planes
from weight_atlas.analysis.landscape.sharpness import Hessian, largest
from weight_atlas.plan.measures import LANDSCAPE_SIDE
from weight_atlas.reporting.exhibits.weights import landscape as exhibits

CLASSES, PIXELS, COUNT = 3, 4, 25


# ------------------------------------------------------------------------------------------------ linear softmax


class Regression(torch.nn.Module):
    """Softmax regression on the pixels."""

    def __init__(self, weight, bias):
        super().__init__()
        self.fc = torch.nn.Linear(PIXELS, CLASSES, dtype=torch.float64)
        self.fc.weight.data, self.fc.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)

    def forward(self, batch):
        return self.fc(batch.flatten(1).to(self.fc.weight.dtype))


@pytest.fixture
def regression():
    """(weight [c, p], bias [c], images float64 [n, p], labels)."""
    random = np.random.default_rng(0)
    images = random.normal(size=(COUNT, PIXELS))
    return (
        random.normal(size=(CLASSES, PIXELS)),
        random.normal(size=CLASSES),
        images,
        random.integers(0, CLASSES, COUNT),
    )


def probabilities(weight, bias, images):
    outputs = images @ weight.T + bias
    raised = np.exp(outputs - outputs.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def closed_form(weight, bias, images):
    """The Hessian of the mean cross-entropy of softmax regression, in the order of (weight, bias): the mean over images
    of (diag p - p p') times the products of the image's values, with a 1 for the bias."""
    whole = 0
    for p, image in zip(probabilities(weight, bias, images), images, strict=True):
        seen = np.append(image, 1.0)
        whole = whole + np.einsum("ab,ij->aibj", np.diag(p) - np.outer(p, p), np.outer(seen, seen)) / len(images)
    side = PIXELS + 1
    places = [c * side + i for c in range(CLASSES) for i in range(PIXELS)] + [c * side + PIXELS for c in range(CLASSES)]
    return whole.reshape(CLASSES * side, -1)[np.ix_(places, places)]


@pytest.mark.parametrize("size", [COUNT, 4])
def test_products_and_the_largest_eigenvalue_are_those_of_the_closed_form(regression, size):
    weight, bias, images, labels = regression
    network = Regression(weight, bias)
    hessian = Hessian(network, torch.from_numpy(images), torch.from_numpy(labels), size)
    expected = closed_form(weight, bias, images)
    vectors = torch.eye(len(expected), dtype=torch.float64)
    found = np.stack([hessian(vector).numpy() for vector in vectors])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    top = largest(hessian, hessian.start(3), 1000)
    assert top.eigenvalue == pytest.approx(np.linalg.eigvalsh(expected)[-1], rel=1e-2)
    assert top.eigenvalue <= np.linalg.eigvalsh(expected)[-1] + 1e-12
    assert top == largest(hessian, hessian.start(3), 1000), "the same seed, the same number"


@pytest.mark.parametrize("values", [(-9.0, 1.0, 4.0), (-9.0, -2.0, -1.0), (5.0, 4.0, -4.5), (0.0, 0.0, 0.0)])
def test_the_largest_eigenvalue_is_not_the_one_of_the_largest_magnitude(values):
    turned, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    matrix = torch.from_numpy(turned @ np.diag(values) @ turned.T)
    top = largest(lambda vector: matrix @ vector, torch.ones(3, dtype=torch.float64), 500)
    assert top.eigenvalue == pytest.approx(max(values), rel=1e-2, abs=1e-9)
    assert not max(values) or top.residual < 0.2


def test_heights_are_those_of_numpy(regression, monkeypatch):
    """Loss and accuracy on a plane of softmax regression, by numpy in float64."""
    random = np.random.default_rng(2)
    weight, bias, _, labels = regression
    pixels = random.integers(0, 256, (COUNT, 1, 2, 2), dtype="uint8")
    images = Images(torch.from_numpy(pixels), torch.from_numpy(labels), torch.from_numpy(pixels), [0.3], [0.2])
    tensors = [
        {"fc.weight": random.normal(size=weight.shape), "fc.bias": random.normal(size=bias.shape)} for _ in "abc"
    ]
    end, start, other = map(torches, tensors)
    plane = planes.through(end, start, other, [*end])
    monkeypatch.setattr(evaluation, "module", lambda _, own, device: Regression(weight, bias))
    monkeypatch.setattr(evaluation, "batch_size", lambda _: 10)
    monkeypatch.setattr(Images, "seen_by", lambda self, _: self)
    flat = [np.concatenate([one["fc.weight"].ravel(), one["fc.bias"]]) for one in tensors]
    across = flat[1] - flat[0]
    across /= np.linalg.norm(across)
    up = flat[2] - flat[0] - across * (across @ (flat[2] - flat[0]))
    up /= np.linalg.norm(up)
    seen = (pixels.reshape(COUNT, -1) / 255 - 0.3) / 0.2
    places = [(0.0, 0.0), (1.3, -0.4), (-2.0, 0.7)]
    for (x, y), found in zip(places, planes.heights(None, plane, images, places), strict=True):
        moved = flat[0] + x * across + y * up
        shares = probabilities(moved[: weight.size].reshape(weight.shape), moved[weight.size :], seen)
        loss = -np.log(shares[np.arange(COUNT), labels]).mean()
        assert found == pytest.approx((x, y, loss, (shares.argmax(1) == labels).mean()), rel=1e-5)
    for one, point in zip((start, other), flat[1:], strict=True):
        place = planes.projected(plane, one)
        expected = across @ (point - flat[0]), up @ (point - flat[0])
        assert (place.x, place.y) == pytest.approx(expected, abs=1e-9) and place.off == pytest.approx(0, abs=1e-6)


def test_what_is_off_a_plane_is_known():
    end = {"w": torch.zeros(3)}
    plane = planes.through(end, {"w": torch.tensor([2.0, 0, 0])}, {"w": torch.tensor([1.0, 3, 0])}, ["w"])
    assert planes.projected(plane, {"w": torch.tensor([0.5, -1, 7])}) == pytest.approx((0.5, -1, 7))
    assert planes.through(end, {"w": torch.tensor([2.0, 0, 0])}, {"w": torch.tensor([-4.0, 0, 0])}, ["w"]) is None
    assert planes.through(end, end, {"w": torch.ones(3)}, ["w"]) is None


def test_random_directions_have_the_norms_of_the_filters_and_repeat():
    end = torches(snapshot(layers(cell("resnet18", channels=3, size=32, width=0.125)), np.random.default_rng(4)))
    names = [name for name, _ in layers(cell("resnet18", channels=3, size=32, width=0.125)).parameters()]
    plane, again, other = (planes.along_filters(end, names, seed) for seed in (7, 7, 8))
    seen = 0
    for name in names:
        for own, same, apart in zip(plane[1:], again[1:], other[1:], strict=True):
            assert own[name].equal(same[name])
            if end[name].ndim < 2:
                assert not own[name].any()
                continue
            seen += 1
            assert not own[name].equal(apart[name])
            norms = [np.linalg.norm(one[name].double().flatten(1).numpy(), axis=1) for one in (own, end)]
            np.testing.assert_allclose(*norms, rtol=1e-6)
    assert seen > 20


# ------------------------------------------------------------------------------------------------ of a group


def members_of(folder, names=("asked", "unasked"), epochs=2):
    random, found = np.random.default_rng(1), []
    settings = cell(size=16, epochs=epochs)
    for name in names:
        series = {seed: {epoch: snapshot(layers(settings), random) for epoch in range(epochs + 1)} for seed in (0, 1)}
        block = folder / name / "seeds_0-1"
        write_block(block, name, settings, [replicate(seed, epochs=epochs) for seed in (0, 1)], series)
        found.append({"cell_id": name, "blocks": [block], "seeds": [0, 1], "named": [], "checkpoints": {}})
        found[-1] |= {"cell": settings, "measures": ["landscape"] * (name == "asked")}
    return found


def test_rows_of_the_cells_that_ask(tmp_path):
    data, card, _ = write_data(tmp_path, count=30, size=16)
    members = members_of(tmp_path)
    for out in ("out", "again"):
        group.measure(members, data, store.read_json(card), tmp_path / out)
    found = {name: schema.read(tmp_path / f"out/{name}.csv", name) for name in ("landscape", "landmarks", "sharpness")}
    for name, rows in found.items():
        assert set(rows["cell_id"]) == {"asked"}, name
        assert (tmp_path / f"out/{name}.csv").read_bytes() == (tmp_path / f"again/{name}.csv").read_bytes(), name
    assert found["landscape"].groupby(["seed", "plane"]).size().to_dict() == {
        (0, plane): LANDSCAPE_SIDE**2 for plane in ("ends", "random")
    }
    marks = found["landmarks"]
    assert marks["kind"].tolist() == ["snapshot"] * 3 + ["control", "between"]
    assert marks["control_seed"].eq(1).all() and marks["epoch"].tolist() == [0, 1, 2, 2, 2]
    assert marks.loc[[0, 2, 3, 4], "off_plane"].to_numpy() == pytest.approx(0, abs=1e-3) and marks["off_plane"][1] > 1
    assert marks.loc[2, ["plane_x", "plane_y"]].tolist() == [0, 0] and marks.loc[0, "plane_y"] == pytest.approx(
        0, abs=1e-6
    )
    assert marks.loc[4, ["plane_x", "plane_y"]].tolist() == pytest.approx(
        (marks.loc[3, ["plane_x", "plane_y"]] / 2).tolist(), rel=1e-5
    )
    sharp = found["sharpness"]
    assert sharp[["seed", "epoch"]].to_numpy().tolist() == [[0, 0], [0, 2], [1, 0], [1, 2]]
    assert sharp["eigenvalue"].gt(0).all() and sharp["residual"].lt(0.2).all()
    middle = found["landscape"].query("plane == 'random' and plane_x == 0 and plane_y == 0")["loss"].item()
    assert middle == pytest.approx(marks.loc[2, "loss"], rel=1e-6)


# ------------------------------------------------------------------------------------------------ as told


def told(folder, ends):
    """Tables of two optimizers, 3 seeds each, whose eigenvalues go from 10 to so much, with planes of seed 0."""
    tables = made(folder, {"grid": GRID | {"optimizer": ["sgd", "adam"]}}, lambda *_: 0.9).tables
    sharp, heights, marks = [], [], []
    for cell_id, end in zip(tables.cells["cell_id"], ends, strict=True):
        for seed in range(3):
            for epoch, value in ((0, 10.0), (4, end * (1 + 0.01 * seed))):
                sharp.append({"cell_id": cell_id, "seed": seed, "epoch": epoch, "eigenvalue": value, "residual": 0.01})
        for plane in ("ends", "random"):
            heights += [
                {"cell_id": cell_id, "seed": 0, "plane": plane, "plane_x": x, "plane_y": y, "loss": x * x + y * y + 0.1}
                for x in np.linspace(-1, 1, 5) for y in np.linspace(-1, 1, 5)
            ]  # fmt: skip
        front = {"cell_id": cell_id, "seed": 0, "control_cell": cell_id, "control_seed": 1}
        course = [("snapshot", 0, 1.0, 0.0, 0.0, 2.3), ("snapshot", 2, 0.5, 0.1, 0.25, 1.0)]
        course += [("snapshot", 4, 0.0, 0.0, 0.0, 0.1), ("control", 4, 0.1, 0.9, 0.0, 0.3)]
        course += [("between", 4, 0.05, 0.45, 0.0, 1.7)]
        names = ("kind", "epoch", "plane_x", "plane_y", "off_plane", "loss")
        marks += [front | dict(zip(names, one, strict=True)) for one in course]
    for name, rows in (("sharpness", sharp), ("landscape", heights), ("landmarks", marks)):
        write_table(folder / f"tables/{name}.csv", pd.DataFrame(rows))
    return tables


@pytest.mark.parametrize(
    ("ends", "word", "what", "counts"),
    [
        ((1.0, 2.0), "Yes", "is flatter at the end than at the start", (2, 0)),
        ((20.0, 40.0), "No", "is sharper at the end than at the start", (0, 2)),
        ((1.0, 40.0), "Partly", "is flatter at the end in some cells", (1, 1)),
    ],
)
def test_the_verdict_follows_from_the_corrected_tests(ends, word, what, counts, tmp_path):
    answer, beside = exhibits.answer(told(tmp_path, ends))
    counted = "clearly flatter in {} and clearly sharper in {} of 2".format(*counts)
    assert answer.text.startswith(f"{word} (lenet5 on digits). The loss {what}: {counted}. ")
    assert beside.text.startswith(
        "lenet5 on digits: half-way from the end to that of the next seed the loss is 1.5 nats"
    )


def test_what_is_not_clear_is_not_decided(tmp_path):
    answer, _ = exhibits.answer(told(tmp_path, (9.9, 9.9)))
    assert answer.text.startswith("Cannot say (lenet5 on digits). ")


def test_the_ratio_is_that_of_logarithms(tmp_path):
    row = exhibits.ratios(told(tmp_path, (1.0, 2.0))).iloc[0]
    logs = np.log(np.array([1, 1.01, 1.02]) / 10)
    half = 4.302652729911275 * logs.std(ddof=1) / math.sqrt(3)  # Student's t with 2 degrees of freedom
    expected = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
    assert row[["mean", "low", "high"]].astype(float).tolist() == pytest.approx(expected)


def test_a_map_for_each_plane_and_a_table(tmp_path):
    tables = told(tmp_path, (1.0, 2.0))
    ends, random = exhibits.planes(tables)
    assert ends.name == "landscape-ends-lenet5-digits" and random.name == "landscape-random-lenet5-digits"
    assert "5 × 5" in ends.caption and "up to 25.0 % of the way" in ends.caption and "Li et al." in random.caption
    panels = [axes for axes in ends.figure.axes if axes.images]
    assert len(panels) == 2 and len(panels[0].get_lines()) == 5 and len(panels[0].images[0].get_array()) == 5
    [table] = exhibits.sharpness(tables)
    assert table.data["end / start"].str.startswith(("0.101 [", "0.202 [")).all()
