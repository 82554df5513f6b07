"""Rows of figures by layer: which layers share one, and what is drawn there."""

import numpy as np
import pandas as pd
import pytest

from weight_atlas.reporting.grammar import layer_rows


def test_few_layers_have_a_row_each():
    names = [f"conv{number}" for number in range(layer_rows.MOST)]
    assert layer_rows.shared(names) == {name: name for name in names}
    assert layer_rows.shared([*names, "fc"])["conv3"] == "conv*" and layer_rows.shared([*names, "fc"])["fc"] == "fc"


def test_layers_share_a_row_by_their_first_number_then_by_all_then_by_the_beginning():
    blocks = [f"h.{block}.ln_{own}.weight" for block in range(40) for own in (1, 2)]
    assert set(layer_rows.shared(blocks).values()) == {"h.*.ln_1.weight", "h.*.ln_2.weight"}
    experts = [f"h.{block}.experts.{expert}.w" for block in range(3) for expert in range(70)]
    assert set(layer_rows.shared(experts).values()) == {"h.*.experts.*.w"}
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [f"{one}.{two}.x" for one in letters[:3] for two in [*letters, *letters.upper()]]
    assert set(layer_rows.shared(words).values()) == {"a", "b", "c"}


def test_a_shared_row_is_the_mean_of_its_layers_network_by_network():
    draw = np.random.default_rng(0)
    rows = [("many", f"h.{block}.{own}", draw.normal()) for block in range(40) for own in ("q", "k")]
    rows += [("few", "fc1", 0.25), ("few", "fc2", 0.75)]
    data = pd.DataFrame(rows, columns=["network", "layer", "mean"])
    found = layer_rows.merged(data, ["network", "layer"]).set_index(["network", "layer"])["mean"]
    for own in ("q", "k"):
        assert found["many", f"h.*.{own}"] == pytest.approx(np.mean([value for _, name, value in rows if own in name]))
    assert found["few", "fc1"] == 0.25 and found["few", "fc2"] == 0.75
    few = data[data["network"] == "few"]
    assert layer_rows.merged(few, ["network", "layer"]) is few and layer_rows.told(few) == ""
    assert layer_rows.told(data, "tensor").startswith("Tensors whose names differ in numbers alone (*) share a row")


def test_rows_go_kind_by_kind_and_tensors_are_called_by_their_names():
    data = pd.DataFrame(
        {"layer": ["a", "a", "b", "c", "d"], "parameter": ["bias", "weight", "norm", "weight", "other"]}
    )
    rows = layer_rows.ordered(data)
    assert list(rows) == [("a", "weight"), ("c", "weight"), ("b", "norm"), ("a", "bias")]
    assert layer_rows.texts(rows, are_tensors=False) == ["a.weight", "c.weight", "b.norm", "a.bias"]
    assert layer_rows.texts(rows, are_tensors=True) == ["a", "c", "b", "a"]
