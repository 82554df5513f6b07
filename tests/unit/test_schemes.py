"""Schemes of torch.nn.init, with their options, against the distributions that they are named after."""

import inspect
import math

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats

from tests.conftest import tiny
from weight_atlas import starts
from weight_atlas.networks.build import build
from weight_atlas.plan import study
from weight_atlas.plan.checks import ConfigError
from weight_atlas.plan.spec.networks import OPTIONS
from weight_atlas.settings import Start
from weight_atlas.starts import perturb

FAN_IN, FAN_OUT = 120, 84  # of LeNet-5's fc2
RELU = math.sqrt(2)


def drawn(scheme="kaiming_uniform", seed=0, **more):
    """{torch name: float64 array} of LeNet-5 drawn so."""
    model, table = build({"architecture": "lenet5"}, 1, 32, 10)
    starts.initialise(model, table, Start("init", scheme=scheme, **more), seed)
    return {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}


def uniform(reach):
    return scipy_stats.uniform(-reach, 2 * reach)


@pytest.mark.parametrize(
    ("scheme", "options", "law"),
    [
        ("kaiming_uniform", {}, uniform(math.sqrt(6 / FAN_IN))),
        ("kaiming_uniform", {"mode": "fan_out"}, uniform(math.sqrt(6 / FAN_OUT))),
        ("kaiming_normal", {"nonlinearity": "tanh"}, scipy_stats.norm(0, 5 / 3 / math.sqrt(FAN_IN))),
        ("kaiming_normal", {"nonlinearity": "leaky_relu", "a": 0.5},
         scipy_stats.norm(0, math.sqrt(2 / (1 + 0.25) / FAN_IN))),
        ("xavier_uniform", {}, uniform(math.sqrt(6 / (FAN_IN + FAN_OUT)))),
        ("xavier_normal", {"gain": 3.0}, scipy_stats.norm(0, 3 * math.sqrt(2 / (FAN_IN + FAN_OUT)))),
        ("uniform", {"a": -0.2, "b": 0.1}, scipy_stats.uniform(-0.2, 0.3)),
        ("normal", {"std": 0.01}, scipy_stats.norm(0, 0.01)),
        ("normal", {"mean": 0.5, "std": 0.1}, scipy_stats.norm(0.5, 0.1)),
        ("trunc_normal", {"std": 0.5, "a": -0.25, "b": 1.0}, scipy_stats.truncnorm(-0.5, 2.0, 0, 0.5)),
    ],
)  # fmt: skip
def test_each_scheme_has_its_law(scheme, options, law):
    found = drawn(scheme, options=options)
    assert scipy_stats.kstest(found["fc2.weight"].ravel(), law.cdf).pvalue > 1e-4
    assert not any(values.any() for name, values in found.items() if name.endswith("bias"))


@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_rows_are_orthogonal(gain):
    for values in drawn("orthogonal", options={"gain": gain}).values():
        if values.ndim > 1:
            matrix = values.reshape(len(values), -1)
            matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
            assert np.allclose(matrix @ matrix.T, gain**2 * np.eye(len(matrix)), atol=1e-5)


def test_the_number_of_threads_changes_no_bit():
    found, threads = [], torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(drawn("orthogonal"))
        assert torch.get_num_threads() == count
    torch.set_num_threads(threads)
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_the_identity_passes_channels_on():
    weights = {name: values for name, values in drawn("dirac").items() if name.endswith("weight")}
    first = next(values for values in weights.values() if values.ndim == 4)
    image = np.random.default_rng(0).normal(size=(1, first.shape[1], 12, 12))
    output = torch.nn.functional.conv2d(torch.from_numpy(image), torch.from_numpy(first)).numpy()
    edge = first.shape[2] // 2
    assert np.array_equal(output[0, 0], image[0, 0, edge:-edge, edge:-edge]) and not output[0, 1:].any()
    assert np.array_equal(weights["fc2.weight"], np.eye(*weights["fc2.weight"].shape))


def test_constant_scale_and_default():
    assert (drawn("constant", options={"val": 0.25})["fc1.weight"] == 0.25).all()
    once, scaled = drawn("xavier_normal"), drawn("xavier_normal", scale=0.5)
    assert all(np.array_equal(scaled[name], 0.5 * once[name]) for name in once)
    own, less = drawn("default"), drawn("default", scale=0.5)
    assert np.array_equal(less["fc1.weight"], 0.5 * own["fc1.weight"])
    assert np.array_equal(less["fc1.bias"], own["fc1.bias"]) and own["fc1.bias"].any()


def test_some_layers_are_drawn_otherwise():
    others = [{"layers": ["fc1", "fc2"], "scheme": "constant", "options": {"val": 1.0}},
              {"layers": ["fc2"], "scheme": "normal", "scale": 2.0}]  # fmt: skip
    found, plain = drawn("kaiming_normal", by_layer=others), drawn("kaiming_normal")
    assert (found["fc1.weight"] == 1).all()
    assert np.array_equal(found["fc2.weight"], 2 * drawn("normal")["fc2.weight"]), "the last that names it"
    assert all(np.array_equal(found[name], plain[name]) for name in plain if not name.startswith(("fc1", "fc2")))


def test_what_is_drawn_anew_is_drawn_by_the_same_scheme():
    model, table = build({"architecture": "lenet5"}, 1, 32, 10)
    step = {"type": "rerandomise", "layers": ["fc2"], "tensors": "all"}
    start = Start("perturb", scheme="normal", options={"std": 0.01}, steps=[step])
    starts.initialise(model, table, start, 0)
    tensors = model.state_dict()
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    perturb.apply(tensors, table, start, 0, None)
    changed = tensors["fc2.weight"].double().numpy().ravel()
    assert scipy_stats.kstest(changed, scipy_stats.norm(0, 0.01).cdf).pvalue > 1e-4
    assert not torch.equal(tensors["fc2.weight"], before["fc2.weight"])
    assert torch.equal(tensors["fc1.weight"], before["fc1.weight"])


def test_options_are_those_of_the_installed_torch():
    """Of `dirac_` and of all others; a generator is the workflow's own matter."""
    for scheme, options in OPTIONS.items():
        if scheme != "default":
            known = inspect.signature(getattr(torch.nn.init, f"{scheme}_")).parameters
            assert set(options) == set(known) - {"tensor", "generator"}, scheme


# ------------------------------------------------------------------------------------------- in a config


def config(**init):
    """The tiny config, with an init of its own."""
    grid = {"dataset": ["digits"], "network": ["lenet1"], "init": ["own"], "optimizer": ["sgd"]}
    return tiny() | {"inits": {"own": init}, "sources": {}, "definitions": {"only": {"grid": grid}}}


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"scheme": "orthogonal", "mode": "fan_in"}, "inits.own: gives mode to the scheme orthogonal; allowed: gain"),
        ({"scheme": "default", "std": 0.1}, "gives std to the scheme default; it takes no option"),
        ({"scheme": "constant"}, "names the scheme constant without val"),
        ({"scheme": "uniform", "a": 2}, "draws from 2 to 1; allowed: a below b"),
        ({"scheme": "othogonal"}, "did you mean 'orthogonal'"),
        ({"scheme": "normal", "std": 0}, "inits.own.std"),
        ({"by_layer": [{"layers": ["fcX"]}]}, "inits.own.by_layer[0].layers: 'fcX' is no layer"),
        ({"scheme": "dirac", "groups": 5}, "5 do not divide the"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, init, message):
    with pytest.raises(ConfigError) as refused:
        study.Plan(config(**init), tmp_path)
    assert message in str(refused.value)


def test_options_are_in_the_recipe_and_in_the_id(tmp_path):
    ids = set()
    for init in ({"scheme": "normal"}, {"scheme": "normal", "std": 0.1}, {"scheme": "normal", "scale": 0.5}):
        [(cell_id, cell)] = study.Plan(config(**init), tmp_path).cells.items()
        ids.add(cell_id)
        assert cell.settings.start.draws[0].options == {key: init[key] for key in ("std",) if key in init}
        assert cell.settings.start.draws[0].scale == init.get("scale", 1.0)
    assert len(ids) == 3
