"""The file formats: against the safetensors library, the standard JSON reader and the file system."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from weight_atlas import store

ARRAYS = {
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "scalar": np.array(3.5, np.float32),
    "bytes": np.arange(3, dtype=np.uint8),
    "none": np.zeros((0, 3), np.float32),
    "flags": np.array([True, False]),
    "labels": np.arange(4),
}


def test_the_library_reads_what_is_written(tmp_path):
    path = tmp_path / "new" / "folder" / "a.safetensors"
    store.save_tensors(path, ARRAYS, {"epoch": 3, "cell_id": "é"})
    read = load_file(path)
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {"cell_id": "é", "epoch": "3"}
    assert store.tensor_header(path) == (
        {"cell_id": "é", "epoch": "3"},
        {name: array.shape for name, array in ARRAYS.items()},
    )


def test_torch_and_numpy_give_the_same_bytes_whatever_the_order(tmp_path):
    tensors = {name: torch.from_numpy(np.ascontiguousarray(ARRAYS[name])) for name in reversed(ARRAYS)}
    tensors["scalar"] = torch.tensor(3.5)
    store.save_tensors(tmp_path / "numpy.safetensors", ARRAYS, {"a": 1, "b": 2})
    store.save_tensors(tmp_path / "torch.safetensors", tensors, {"b": 2, "a": 1})
    assert (tmp_path / "numpy.safetensors").read_bytes() == (tmp_path / "torch.safetensors").read_bytes()


def test_torch_tensors_come_back_mapped(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {"half": torch.randn(3, 4).bfloat16().T, "grad": torch.randn(5, requires_grad=True)}
    store.save_tensors(path, tensors)
    read = store.load_tensors(path)
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    before = path.read_bytes()
    read["grad"][0] = 7
    assert path.read_bytes() == before


def test_a_dtype_outside_the_format_is_named(tmp_path):
    with pytest.raises(ValueError, match="tensor z has dtype complex128; allowed: float64, "):
        store.save_tensors(tmp_path / "a.safetensors", {"z": np.zeros(2, complex)})


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_a_cut_file_is_refused_in_one_line(tmp_path, cut):
    path = tmp_path / "a.safetensors"
    store.save_tensors(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:cut])
    for read in (store.tensor_header, store.load_arrays, store.load_tensors):
        with pytest.raises(ValueError, match=r"^\S*a.safetensors: not a whole safetensors file .*$"):
            read(path)


def test_whole_leaves_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), store.atomic_write(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "old"
    with store.atomic_write(path) as part:
        assert part.parent == path.parent
        assert part.suffix == path.suffix
        part.write_text("new")
        assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "new"


def test_json(tmp_path):
    path = tmp_path / "a.json"
    content = {"b": [1, None, 0.1], "a": "é"}
    store.write_json(path, content)
    assert json.loads(path.read_text(encoding="utf-8")) == store.read_json(path) == content
    with pytest.raises(ValueError):
        store.write_json(path, {"loss": float("nan")})
    assert store.read_json(path) == content
    path.write_text('{"b": ')
    with pytest.raises(ValueError, match=r"^\S*a.json: not valid JSON .*$"):
        store.read_json(path)


def test_where_snapshots_lie():
    assert (
        str(store.snapshot_path("cells/x/seeds_0-2", 1, 5)) == "cells/x/seeds_0-2/snapshots/seed1/epoch_5.safetensors"
    )
    assert store.snapshot_path("b", 0, "best").name == "best.safetensors"
    assert list(store.block_seeds("cells/x/seeds_3-4")) == [3, 4]
    for wrong in ("seeds_1", "seeds_a-b", "x"):
        with pytest.raises(ValueError, match="seeds_<first>-<last>"):
            store.block_seeds(wrong)
