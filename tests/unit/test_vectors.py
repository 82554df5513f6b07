"""Sums and counts over vectors: torch's and numba's against numpy, and which networks get which."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from weight_atlas import networks
from weight_atlas.analysis.kernels import numba_kernels, select, torch_kernels
from weight_atlas.analysis.perturbed import distance_to_original
from weight_atlas.analysis.weights import movement, statistics, tolerance, unchanged

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SIZES = (1, 2, 17, numba_kernels.BLOCK, numba_kernels.BLOCK + 1, torch_kernels.CHUNK + 3 * numba_kernels.BLOCK + 5)
both = pytest.mark.parametrize("by", [torch_kernels, numba_kernels], ids=["plain", "compiled"])
sizes = pytest.mark.parametrize("size", SIZES)


def pair(size, seed=0):
    """Two float32 vectors: some values equal, some a few steps apart, zeros of both signs, sizes from 1e-8 to 10."""
    random = np.random.default_rng(seed)
    one = (random.normal(0, 1, size) * 10.0 ** random.integers(-8, 2, size)).astype("float32")
    step = random.choice([0, 1e-9, 1e-7, 1e-5, 1e-3, 1e-1], size) * random.normal(0, 1, size)
    other = (one * (1 + step) + random.choice([0, 1], size) * step).astype("float32")
    one[::11], other[::11] = 0.0, -0.0
    near = random.random(size) < 0.2
    other[near] = (one.view("int32") + random.integers(-70, 70, size).astype("int32")).view("float32")[near]
    other[np.isnan(other)] = 1.0
    return one, other


def tensors(*arrays):
    return tuple(torch.from_numpy(array) for array in arrays)


@both
@sizes
@pytest.mark.parametrize("mean, std", [(0.0, 1.0), (1000.0, 0.01), (-3e-6, 1e-7)])
def test_moments_are_numpys(by, size, mean, std):
    values = np.random.default_rng(1).normal(mean, std, size).astype("float32")
    values[0] = mean + 100 * std  # what is not like the others comes first
    wide = values.astype("float64")
    found = by.moments(*tensors(values))
    expected = wide.mean(), ((wide - wide.mean()) ** 2).sum(), wide @ wide, wide.min(), wide.max()
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-300)
    assert found[3:] == expected[3:] and all(isinstance(value, float) for value in found)


@both
@sizes
@pytest.mark.parametrize("value", [0.1, -1e30, 1e-40, 0.0])
def test_a_constant_vector_has_no_spread(by, size, value):
    constant = torch.full((size,), value)
    mean, deviation, _, low, high = by.moments(constant)
    assert deviation == 0 and mean == low == high == float(constant[0])
    assert by.centred(constant, torch.arange(float(size)))[0] == 0
    assert by.centred(constant, torch.arange(float(size)))[2] == 0


@both
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_shows(by, value):
    values = torch.ones(numba_kernels.BLOCK + 9)
    values[-2] = value
    moments = statistics.moments(values, by)
    assert not math.isfinite(moments[-1]) and (math.isinf(value) or all(math.isnan(number) for number in moments))
    assert moments[2:4] == ((value, 1) if value < 0 else (1, value)) or math.isnan(value)
    assert not math.isfinite(by.products(values, torch.ones(len(values)))[0])


@both
@sizes
def test_products_are_numpys(by, size):
    one, other = pair(size)
    a, b = one.astype("float64"), other.astype("float64")
    np.testing.assert_allclose(by.products(*tensors(one, other)), (a @ a, b @ b, a @ b, (b - a) @ (b - a)), rtol=1e-12)


@both
@sizes
def test_centred_products_are_numpys(by, size):
    one, other = (values + np.float32(3) for values in pair(size))
    a, b = (values.astype("float64") - values.astype("float64").mean() for values in (one, other))
    np.testing.assert_allclose(by.centred(*tensors(one, other)), (a @ a, b @ b, a @ b), rtol=1e-9, atol=1e-12)


@both
@sizes
def test_counts_are_numpys(by, size):
    one, other = pair(size)
    codes = np.random.default_rng(2).integers(0, 8, size).astype("uint8")
    same = one == other
    assert by.differing(*tensors(one, other)) == (~same).sum()
    expected = [same, same & np.isin(codes, (0, 2)), same & (codes == 1), same & (codes == 3), same & (codes > 3)]
    expected += [codes > 3, np.isin(codes, (5, 7))]
    assert list(by.equal(*tensors(one, other, codes))) == [int(which.sum()) for which in expected]


@both
@sizes
def test_counts_beyond_bounds_are_numpys(by, size):
    one, other = pair(size)
    a, b = one.astype("float64"), other.astype("float64")
    places = [np.where(x < 0, -(x.astype("int64") & 0x7FFFFFFF), x) for x in (one.view("int32"), other.view("int32"))]
    expected = [int((np.abs(places[1] - places[0]) > bound).sum()) for bound in tolerance.ULP]
    expected += [int((np.abs(b - a) > bound * np.abs(a)).sum()) for bound in tolerance.RELATIVE]
    expected += [int((np.abs(b - a) > bound).sum()) for bound in tolerance.ABSOLUTE]
    assert tolerance.count(*tensors(one, other), by) == expected


@both
def test_the_largest_steps(by):
    """From the least float32 to the largest: more steps than an int32 can count."""
    largest = np.finfo("float32").max
    ends = np.array([-largest, largest, -math.inf, 1e-45, -1e-45], "float32")
    assert tolerance.count(*tensors(ends, -ends), by)[:6] == [5, 5, 3, 3, 3, 3]


@both
def test_vectors_of_two_sizes_are_refused(by):
    one, other = torch.zeros(numba_kernels.BLOCK + 1), torch.zeros(numba_kernels.BLOCK)
    for function in (by.products, by.centred, by.differing):
        with pytest.raises(ValueError, match="8193 and 8192 values"):
            function(one, other)


def test_a_large_network_has_the_rows_of_a_small_one(monkeypatch):
    """Counts are equal, sums but for their last digits, whatever computes them; views and transposed tensors too."""
    table = networks.layer_table({"architecture": "resnet18", "width": 1 / 8, "options": {}}, 1, 28, 10)
    draw = torch.Generator().manual_seed(0)
    start = {name: torch.randn(shape, generator=draw) for name, shape in table.parameters()}
    for layer, name in statistics.names(table):
        start.setdefault(f"{layer}.{name}", torch.rand(table[layer].buffers.get(name, ()), generator=draw))
    last = {name: values + (torch.rand(values.shape, generator=draw) < 0.5) * 1e-6 for name, values in start.items()}
    last = {name: x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for name, x in last.items()}
    bits = {name: torch.randint(4, shape, dtype=torch.uint8, generator=draw) for name, shape in table.parameters()}
    found = []
    for large in (math.inf, 0):
        monkeypatch.setattr(select, "LARGE", large)
        assert select.kernels_for(table.parameter_count) is (torch_kernels if large else numba_kernels)
        found.append(
            [
                *statistics.rows(table, last),
                *movement.rows(table, start, last),
                *distance_to_original.changes(table, start, last),
                *unchanged.rows(table, start, last),
                *unchanged.rows(table, start, last, bits),
                *tolerance.rows(table, start, last),
            ]
        )
    assert any(row[5] for row in unchanged.rows(table, start, last, bits))  # with structural taps
    for one, other in zip(*found, strict=True):
        assert [type(value) for value in one] == [type(value) for value in other]
        for a, b in zip(one, other, strict=True):
            assert a == pytest.approx(b, rel=1e-10, abs=1e-15) if isinstance(a, float) else a == b


def test_small_networks_wait_for_no_compiler():
    code = "import sys, torch; from weight_atlas.analysis import group\n"
    code += "from weight_atlas.analysis.weights import statistics, tolerance\n"
    code += "statistics.moments(torch.ones(5)), tolerance.count(torch.ones(5), torch.ones(5))\n"
    code += "assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPTS)


def test_without_a_place_to_keep_it_numba_compiles_anew(monkeypatch):
    asked = []

    def njit(cache=False, **settings):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(numba_kernels, "njit", njit)
    assert numba_kernels._kept()(abs) is abs and asked == [True, False]
