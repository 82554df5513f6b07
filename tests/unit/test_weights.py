"""Weights of the user's own to start from: what does not fit is said before anything is trained."""

import re

import headers
import numpy as np
import pytest

from tests.conftest import small
from weight_atlas import networks, store
from weight_atlas.plan import outdated, study


def tensors(channels=1):
    table = networks.layer_table({"architecture": "lenet1"}, channels, 28, 10)
    return {name: np.zeros(shape, np.float32) for name, shape in table.parameters()}


def planned(root, **init):
    config = small("lenet1", ["mine"]) | {"inits": {"mine": {"file": "w.safetensors", **init}}, "data_root": str(root)}
    return study.Plan(config, root)


FITS = {
    "its own": (tensors(), {}),
    "another head": (tensors() | {"fc.weight": np.zeros((2, 192)), "fc.bias": np.zeros(2)}, {"head": "fresh"}),
    "a tensor more": (tensors() | {"ema": np.zeros(1)}, {}),
    "three channels for grey images": (tensors(3), {"grey": "sum_conv1"}),
    "only its first layer": ({name: one for name, one in tensors().items() if "conv1" in name}, {"layers": ["conv1"]}),
}
WRONG = {
    "a tensor missing": (
        {name: one for name, one in tensors().items() if name != "conv2.bias"},
        {},
        "weights: .*/w.safetensors has no tensor conv2.bias, which base-.* starts from; name another file",
    ),
    "another shape": (
        tensors() | {"fc.bias": np.zeros(2, np.float32)},
        {"head": "copied"},
        r"weights: .*/w.safetensors: fc.bias has the shape \[2\], and base-.* takes \[10\]; name another file, or .*",
    ),
    "three channels": (
        tensors(3),
        {"grey": "replicate"},
        r"weights: .*: conv1.weight has the shape \[4, 3, 5, 5\], and base-.* takes \[4, 1, 5, 5\]; .*",
    ),
    "two channels": (
        tensors(2),
        {"grey": "sum_conv1"},
        r"weights: .*/w.safetensors: conv1.weight has the shape \[4, 2, 5, 5\], and base-.* takes \[4, 1, 5, 5\]; .*",
    ),
    "cut short": (
        b"cut",
        {},
        r"weights: .*/w.safetensors: not a whole safetensors file \(3 bytes\); replace it, or correct file:",
    ),
    "a number in the metadata": (
        headers.of({"__metadata__": {"epoch": 3}}),
        {},
        r"weights: .*w.safetensors: not a whole .* \(__metadata__: epoch is 3; allowed: texts\); replace it, or .*",
    ),
    "no file": (None, {}, "weights: .*/w.safetensors not found .*"),
}


def write(root, content):
    if isinstance(content, bytes):
        (root / "w.safetensors").write_bytes(content)
    elif content is not None:
        store.save_tensors(root / "w.safetensors", content)


@pytest.mark.parametrize("case", FITS)
def test_what_fits_is_taken(tmp_path, case):
    content, init = FITS[case]
    write(tmp_path, content)
    assert outdated.outdated(planned(tmp_path, **init))


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_said_in_one_line(tmp_path, case):
    content, init, line = WRONG[case]
    write(tmp_path, content)
    plan = planned(tmp_path, **init)
    with pytest.raises(ValueError) as error:
        outdated.outdated(plan)
    assert re.fullmatch(line, str(error.value)), error.value


def test_prepared_weights_are_looked_at_in_place_of_the_file(tmp_path):
    """The user's file may be gone then."""
    write(tmp_path, tensors())
    plan = planned(tmp_path)
    ((name, spec),) = plan.weights.items()
    made_from = outdated.recipe.weights(spec)
    prepared = tmp_path / f"{outdated.weights_path(name)}.safetensors"
    (tmp_path / "w.safetensors").unlink()
    store.save_tensors(prepared, tensors(), {"recipe": made_from})
    assert outdated.outdated(plan)
    store.save_tensors(prepared, {}, {"recipe": made_from})
    with pytest.raises(ValueError, match="has no tensor conv1.weight"):
        outdated.outdated(plan)
    prepared.write_bytes(b"")
    with pytest.raises(ValueError, match=r"\(0 bytes\); remove it \(to be made again\) or replace it$"):
        outdated.outdated(plan)
