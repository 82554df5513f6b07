"""Diagrams of networks: every layer in a box, every way from layer to layer drawn, parameters as torch counts them."""

import io

import matplotlib.colors
import pytest
import torch
from PIL import Image

from weight_atlas import networks as plugins
from weight_atlas.networks import layer_table
from weight_atlas.networks.build import build
from weight_atlas.reporting.exhibits import diagrams
from weight_atlas.reporting.exhibits.networks import Form
from weight_atlas.reporting.grammar import exhibit, flow, style

CASES = [(name, {}) for name in plugins.names()]
CASES += [("handmade_resnet", {"kernel": 4, "blocks": 5}), ("resnet18", {"stem": "cifar"}), ("vgg16", {"blocks": 3})]


def form(name, options, size=32):
    table = layer_table({"architecture": name, "options": options}, 3, size, 10)
    return Form(name, name, ("CIFAR-10",), table)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_layer_and_every_way_is_in_the_diagram(name, options):
    """Each layer is in one box, what feeds it is in the same or in one that the box says feeds it."""
    table = form(name, options).table
    rows = diagrams.rows(table)
    place = {layer: at for at, row in enumerate(rows) for layer in row.layers} | {"input": 0}
    assert sorted(place) == sorted([*(layer.name for layer in table.layers), "input"])
    ways = {(place[source], place[layer.name]) for layer in table.layers for source in layer.inputs}
    assert {(source, at) for at, row in enumerate(rows) for source in row.sources} == {
        (source, at) for source, at in ways if source != at
    }
    with torch.device("meta"):
        model = build({"architecture": name, "width": 1.0, "options": options}, 3, 32, 10).model
    assert sum(row.parameters for row in rows) == sum(one.numel() for one in model.parameters())


def test_what_a_residual_block_says():
    rows = diagrams.rows(form("resnet18", {}).table)
    told = [", ".join(filter(None, row.words)) for row in rows]
    assert told[:4] == ["input", "7×7 conv 64 /2, BN, ReLU", "max pool 3×3 /2", "3×3 conv 64, BN, ReLU"]
    assert (told[11], rows[11].sources, rows[12].sources) == ("1×1 conv 128 /2, BN", (8,), (10, 11))
    even = diagrams.rows(form("handmade_resnet", {"kernel": 2}).table)
    assert ", ".join(filter(None, even[1].words)) == "2×2 conv 32, BN, ReLU" and even[1].shape == (32, 32, 32)


def test_the_exhibit_is_small_and_fits_on_a_phone():
    """A phone of 390 pixels has 336 for a figure; letters have 12 of them."""
    made = diagrams._diagram(form("resnet18", {}), several=True)
    svg = exhibit.picture(made, made.figure)
    assert len(svg) < 100_000 and b"width='277.2pt'" in svg and flow.LETTERS * 96 / 72 * 336 / 370 > 10
    assert "11,181,642 parameters" in made.caption and "pass layers by" in made.caption and made.tab == "resnet18"
    assert "32 boxes" in made.alt and made.data["parameters"].sum() == 11_181_642
    plain = diagrams._diagram(form("lenet5", {}), several=False)
    assert "pass layers by" not in plain.caption and plain.tab == ""


@pytest.mark.parametrize(("name", "size"), [("resnet18", 32), ("vgg22", 32), ("handmade_resnet", 32), ("vgg16", 224)])
def test_no_words_leave_their_box(name, size):
    made = diagrams._diagram(form(name, {}, size), several=False)
    style.apply()
    made.figure.draw_without_rendering()
    [axes] = made.figure.axes
    boxes = [patch for patch in axes.patches if hasattr(patch, "get_xy") and patch.get_width() > 0.3]
    spans = [text.get_window_extent() for text in axes.texts]
    columns = [spans[2 + 3 * at : 5 + 3 * at] for at in range(len(boxes))]
    for box, (words, leaves, counted) in zip(boxes, columns, strict=True):
        room = box.get_window_extent()
        assert room.x0 < words.x0 and words.x1 < room.x1 <= leaves.x0
        assert leaves.x1 < counted.x0 or counted.width < 1
        assert counted.x1 <= made.figure.bbox.x1


def test_ways_side_by_side_have_lanes():
    assert flow.lanes([(0, 3), (2, 4), (4, 6)]) == [0, 1, 0]
    assert flow.lanes([]) == []


def test_letters_on_each_colour_can_be_read():
    """WCAG's contrast of at least 7 on every box."""

    def luminance(colour):
        parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(colour)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for tint in (*diagrams.TINTS.values(), diagrams.POOL):
        assert (luminance(tint) + 0.05) / (luminance(style.INK) + 0.05) > 7


def test_a_very_deep_network_has_no_diagram(monkeypatch):
    made = diagrams._diagram(form("lenet1", {}), several=False)
    assert Image.open(io.BytesIO(exhibit.picture(exhibit.replace(made, raster=True), made.figure))).width == 739
    monkeypatch.setattr(diagrams, "MOST", 3)
    monkeypatch.setattr(diagrams, "forms", lambda tables: [form("lenet1", {})])
    with pytest.raises(diagrams.NothingToShow, match="more than 3 layers"):
        diagrams.diagrams(None)
