"""`wa.measure`: torch modules, state dicts and safetensors files, measured without a workflow; beside numpy."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from scipy import stats

import weight_atlas as wa
from weight_atlas import schema

ROOT = Path(__file__).resolve().parents[2]


def encoder(seed):
    """A small transformer with an embedding, whose output is tied to it."""
    torch.manual_seed(seed)
    layer = torch.nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=12)
    model = torch.nn.ModuleDict({"embed": torch.nn.Embedding(20, 8), "layer": layer, "norm": torch.nn.LayerNorm(8)})
    model["head"] = torch.nn.Linear(8, 20, bias=False)
    model["head"].weight = model["embed"].weight
    model.register_buffer("mask", torch.ones(3, 3).tril())
    return model


def moved(model, names, by=0.01):
    """A copy of a model in which some tensors moved."""
    made, draw = copy.deepcopy(model), torch.Generator().manual_seed(1)
    for name, parameter in made.named_parameters():
        if name in names:
            parameter.data += by * torch.randn(parameter.shape, generator=draw)
    return made


@pytest.fixture(scope="module")
def pair():
    before = encoder(0)
    names = [name for name, _ in before.named_parameters() if name != "layer.linear1.weight"]
    return before, moved(before, names)


def flat(tensor):
    return tensor.detach().double().numpy().ravel()


def test_modules_are_measured_tensor_by_tensor(pair):
    found = wa.measure([*pair])
    before, after = (dict(model.named_parameters()) for model in pair)
    movement = found["movement"].query("interval == 'start'").set_index("layer")
    assert {*movement.index} == {*before, "total"}
    for name, tensor in before.items():
        a, b = flat(tensor), flat(after[name])
        row = movement.loc[name]
        assert row["distance"] == pytest.approx(np.linalg.norm(b - a), abs=1e-14)
        if np.linalg.norm(a):
            assert row["relative"] == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-12)
    never = found["unchanged"].query("unchanged == size")["layer"]
    assert list(never) == ["layer.linear1.weight"]
    statistics = found["statistics"].query("epoch == 1").set_index("layer")
    assert statistics.loc["mask", "parameter"] == "buffer" and "mask" not in movement.index
    assert statistics.loc["embed.weight", "parameter"] == "embedding"
    assert statistics.loc["norm.weight", "parameter"] == "norm" and "head.weight" not in statistics.index
    assert statistics.loc["embed.weight", "std"] == pytest.approx(flat(after["embed.weight"]).std(), rel=1e-12)
    spectra = found["spectra"].query("checkpoint == 'last'").set_index("layer")
    matrix = after["layer.linear2.weight"].detach().double().numpy()
    assert spectra.loc["layer.linear2.weight", "spectral_norm"] == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-10)


def test_the_tables_are_those_of_the_schema(pair):
    found = wa.measure({"one": [*pair], "other": {3: pair[1], 7: encoder(5)}})
    for name, frame in found.items():
        declared = schema.TABLES[name]
        assert list(frame.columns) == declared.names and isinstance(frame, pd.DataFrame)
        assert {column.name: str(frame[column.name].dtype) for column in declared.columns} == {
            column.name: column.dtype for column in declared.columns
        }
        assert not frame.duplicated(list(declared.key)).any()
    assert set(found["movement"]["cell_id"]) == {"one", "other"}
    assert sorted(set(found["statistics"].query("cell_id == 'other'")["epoch"])) == [3, 7]


def test_runs_are_compared_at_both_ends(pair):
    found = wa.measure({"one": [*pair], "other": [encoder(3), encoder(4)]}, spectra=False)
    assert found["spectra"].empty
    frame = found["correlations"]
    assert frame.groupby("comparison").size().nunique() == 1 and len(frame) % 4 == 0
    own = frame.query("comparison == 'models' and checkpoint_a == 'last' and layer == 'layer.linear2.weight'").iloc[0]
    a, b = (flat(dict(model.named_parameters())["layer.linear2.weight"]) for model in (pair[1], encoder(4)))
    assert own["pearson"] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)
    assert own["spearman"] == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-12)
    assert own["cosine"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-12)


def test_files_state_dicts_and_modules_say_the_same(pair, tmp_path):
    """A state dict has the tied head too, and no word on which tensors are buffers."""
    states = [{name: x for name, x in model.state_dict().items() if name != "head.weight"} for model in pair]
    where = {}
    for at, state in enumerate(states):
        save_file(state, tmp_path / f"{at}.safetensors")
    names = list(states[1])
    for half, own in enumerate((names[::2], names[1::2])):
        save_file({name: states[1][name] for name in own}, tmp_path / f"part-{half}.safetensors")
        where |= dict.fromkeys(own, f"part-{half}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    roles = {"mask": "buffer"}
    expected = wa.measure([*pair])
    for series in (states, [tmp_path / "0.safetensors", str(tmp_path / "1.safetensors")], [states[0], index]):
        found = wa.measure(series, roles=roles)
        for name, frame in expected.items():
            pd.testing.assert_frame_equal(found[name], frame)
    tied = wa.measure([model.state_dict() for model in pair], roles=roles | {"head.weight": "buffer"}, spectra=False)
    assert tied["movement"].equals(expected["movement"])


def test_halves_and_whole_numbers_are_measured_as_float32():
    before = {"a.weight": torch.arange(6.0, dtype=torch.bfloat16).reshape(2, 3), "calls": torch.tensor(3)}
    after = {"a.weight": before["a.weight"] + 1, "calls": torch.tensor(5)}
    found = wa.measure([before, after])
    row = found["movement"].query("layer == 'a.weight'").iloc[0]
    assert row["distance"] == pytest.approx(6**0.5, rel=1e-12)
    calls = found["statistics"].query("layer == 'calls'")
    assert list(calls["mean"]) == [3, 5] and set(calls["parameter"]) == {"buffer"}


def test_a_single_model_has_statistics_alone():
    found = wa.measure({"a.weight": torch.ones(2, 3)})
    assert len(found["statistics"]) == 1 and found["movement"].empty and found["correlations"].empty
    assert found["statistics"]["cell_id"].tolist() == ["run"]


WRONG = {
    "nothing": ([], "the run 'run' is list; give a list of models"),
    "a number": ([3], "the run 'run' has 0: int; allowed: modules, state dicts and safetensors files by epoch"),
    "no file": (["nowhere.safetensors"], "nowhere.safetensors is not there; give a safetensors file"),
    "another shape": (
        [{"a": torch.zeros(3)}, {"a": torch.zeros(4)}],
        "a is [4] in the run 'run' at 1, and [3] in the first model; give models of the same tensors",
    ),
    "another name": (
        {"x": [{"a": torch.zeros(3)}], "y": [{"b": torch.zeros(3)}]},
        "a is missing in the run 'y' at 0, and [3] in the first model",
    ),
    "no weights": ([{"a": torch.tensor(3)}], "the first model has no tensor of weights"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_measured_is_one_line(case):
    models, words = WRONG[case]
    with pytest.raises(ValueError) as error:
        wa.measure(models)
    assert "\n" not in str(error.value) and words in str(error.value)


def test_a_role_that_is_none_is_one_line():
    with pytest.raises(ValueError, match="roles: a: 'head' is no role; allowed: weight, bias, norm"):
        wa.measure([{"a": torch.zeros(3)}], roles={"a": "head"})


def test_the_example_of_the_docs_runs(tmp_path):
    examples = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/notebook.md").read_text(), re.M | re.S)
    [example] = [one for one in examples if "wa.measure" in one]
    source = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n{example}"
    done = subprocess.run([sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    moved, _, never = done.stdout.rstrip().rpartition("\n")
    assert len(moved.splitlines()) == 6 and "relative" in moved and never.startswith("[")
