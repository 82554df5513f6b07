"""Sums and counts over float32 vectors, compiled by numba: each value is read from memory once, and nothing is copied.

For large networks; what each function returns says `weight_atlas.analysis.kernels.interface`. Sums that would cancel
are taken block by block, relative to the block's first value, and joined as in `torch_kernels`. What is compiled, on
first use, is kept beside this file, or in the user's cache directory where that cannot be written.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from numba import njit

from weight_atlas.analysis.kernels.interface import CentredProducts, EqualCounts, Moments, Products, check_same_size

BLOCK = 1 << 13  # values whose sums are joined to those before them
REORDERED = {"reassoc", "contract"}  # sums may be taken several at a time; NaN and infinity stay what they are
SIZE = 0x7FFFFFFF  # the bits of a float32 but for its sign, which count up with its size (IEEE 754)

Float32s = npt.NDArray[np.float32]
Int32s = npt.NDArray[np.int32]
Function = TypeVar("Function", bound=Callable[..., Any])


def moments(tensor: torch.Tensor) -> Moments:
    (values,) = _flat(tensor)
    mean, deviation, square, low, high = _moments(values, values.view(np.int32))
    return Moments(mean, deviation, square, _value(low), _value(high))


def products(a: torch.Tensor, b: torch.Tensor) -> Products:
    return Products(*_products(*_flat(a, b)))


def centred(a: torch.Tensor, b: torch.Tensor) -> CentredProducts:
    return CentredProducts(*_centred(*_flat(a, b)))


def differing(a: torch.Tensor, b: torch.Tensor) -> int:
    return _differing(*_flat(a, b))


def equal(a: torch.Tensor, b: torch.Tensor, codes: torch.Tensor) -> EqualCounts:
    return EqualCounts(*_equal(*_flat(a, b, codes)))


def beyond(
    a: torch.Tensor, b: torch.Tensor, steps: Sequence[int], shares: Sequence[float], distances: Sequence[float]
) -> list[int]:
    old, new = _flat(a, b)
    # Not constants but arguments: the processor then adds where a comparison holds in a single instruction.
    one_uint32, one = np.uint32(1), 1
    return [
        *_steps_beyond(old.view(np.int32), new.view(np.int32), tuple(map(np.uint32, steps)), one_uint32),
        *_shares_beyond(old, new, shares, one),
        *_distances_beyond(old, new, distances, one),
    ]


def _flat(*tensors: torch.Tensor) -> list[npt.NDArray[Any]]:
    """The tensors as numpy vectors; ValueError where they do not have as many values."""
    check_same_size(*tensors)
    return [tensor.detach().reshape(-1).numpy() for tensor in tensors]


def _value(place: int) -> float:
    """The float32 at a place of `_moments`."""
    return float(np.array(place ^ (place >> 31 & SIZE), np.int32).view(np.float32))


def _kept(**settings: Any) -> Callable[[Function], Function]:
    """numba.njit that keeps what it compiles, where there is a place to keep it."""

    def compile_function(function: Function) -> Function:
        try:
            compiled: Function = njit(cache=True, **settings)(function)
        except RuntimeError:  # numba's "no locator available": neither directory can be written
            compiled = njit(**settings)(function)
        return compiled

    return compile_function


@_kept(fastmath=REORDERED)
def _moments(values: Float32s, bits: Int32s) -> tuple[Any, ...]:
    """values: float32; bits: the same as int32. For min and max it gives their places in order of size, int32."""
    origin = np.float64(values[0])
    low, high = np.int32(SIZE), np.int32(-SIZE - 1)
    count, mean, deviation, square = 0, 0.0, 0.0, 0.0
    for start in range(0, len(values), BLOCK):
        block, block_bits = values[start : start + BLOCK], bits[start : start + BLOCK]
        size, first = len(block), np.float64(block[0])
        x = xx = raw = 0.0
        for at in range(size):
            value = np.float64(block[at])
            step = value - first
            x += step
            xx += step * step
            raw += value * value
            # Below 0 the bits count down: turned round.
            place = block_bits[at] ^ ((block_bits[at] >> 31) & np.int32(SIZE))
            low, high = min(low, place), max(high, place)
        way = first - origin + x / size - mean
        deviation += max(xx - x * x / size, 0.0) + way * way * (count * size / (count + size))
        square += raw
        count += size
        mean += way * size / count
    return origin + mean, deviation, square, low, high


@_kept(fastmath=REORDERED)
def _products(one: Float32s, other: Float32s) -> tuple[float, float, float, float]:
    first = second = both = steps = 0.0
    for at in range(len(one)):
        left, right = np.float64(one[at]), np.float64(other[at])
        step = right - left
        first += left * left
        second += right * right
        both += left * right
        steps += step * step
    return first, second, both, steps


@_kept(fastmath=REORDERED)
def _centred(one: Float32s, other: Float32s) -> tuple[float, float, float]:
    origins = np.float64(one[0]), np.float64(other[0])
    count, left, right = 0, 0.0, 0.0
    first = second = both = 0.0
    for start in range(0, len(one), BLOCK):
        xs, ys = one[start : start + BLOCK], other[start : start + BLOCK]
        size, x0, y0 = len(xs), np.float64(xs[0]), np.float64(ys[0])
        x = y = xx = yy = xy = 0.0
        for at in range(size):
            u, v = np.float64(xs[at]) - x0, np.float64(ys[at]) - y0
            x += u
            y += v
            xx += u * u
            yy += v * v
            xy += u * v
        share = count * size / (count + size)
        u, v = x0 - origins[0] + x / size - left, y0 - origins[1] + y / size - right
        first += xx - x * x / size + u * u * share
        second += yy - y * y / size + v * v * share
        both += xy - x * y / size + u * v * share
        count += size
        left += u * size / count
        right += v * size / count
    return first, second, both


@_kept()
def _differing(one: Float32s, other: Float32s) -> int:
    count = 0
    for at in range(len(one)):
        count += one[at] != other[at]
    return count


@_kept()
def _equal(one: Float32s, other: Float32s, codes: npt.NDArray[np.uint8]) -> tuple[int, ...]:
    equal = dead = rounding = returned = structural = taps = contradicted = 0
    for at in range(len(one)):
        same, code = one[at] == other[at], codes[at]
        equal += same
        dead += same & ((code & 5) == 0)
        rounding += same & (code == 1)
        returned += same & (code == 3)
        structural += same & (code >= 4)
        taps += code >= 4
        contradicted += (code & 5) == 5
    return equal, dead, rounding, returned, structural, taps, contradicted


@_kept()
def _steps_beyond(old: Int32s, new: Int32s, bounds: Sequence[Any], one: Any) -> tuple[Any, ...]:
    """old, new: the bits of float32 values, int32; bounds: uint32 [6]. For fewer than 2^32 values."""
    a, b, c, d, e, f = bounds
    nothing = np.uint32(0)
    na = nb = nc = nd = ne = nf = nothing
    for at in range(len(old)):
        left, right = old[at] & np.int32(SIZE), new[at] & np.int32(SIZE)
        left, right = left if old[at] >= 0 else np.int32(-left), right if new[at] >= 0 else np.int32(-right)
        steps = np.uint32(np.uint32(max(left, right)) - np.uint32(min(left, right)))
        na = np.uint32(na + (one if steps > a else nothing))
        nb = np.uint32(nb + (one if steps > b else nothing))
        nc = np.uint32(nc + (one if steps > c else nothing))
        nd = np.uint32(nd + (one if steps > d else nothing))
        ne = np.uint32(ne + (one if steps > e else nothing))
        nf = np.uint32(nf + (one if steps > f else nothing))
    return na, nb, nc, nd, ne, nf


@_kept()
def _shares_beyond(old: Float32s, new: Float32s, bounds: Sequence[float], one: int) -> tuple[int, ...]:
    a, b, c, d, e, f = bounds
    na = nb = nc = nd = ne = nf = one - one
    for at in range(len(old)):
        start = np.float64(old[at])
        distance, size = abs(np.float64(new[at]) - start), abs(start)
        na += one if distance > a * size else 0
        nb += one if distance > b * size else 0
        nc += one if distance > c * size else 0
        nd += one if distance > d * size else 0
        ne += one if distance > e * size else 0
        nf += one if distance > f * size else 0
    return na, nb, nc, nd, ne, nf


@_kept()
def _distances_beyond(old: Float32s, new: Float32s, bounds: Sequence[float], one: int) -> tuple[int, ...]:
    a, b, c, d, e, f, g, h = bounds
    na = nb = nc = nd = ne = nf = ng = nh = one - one
    for at in range(len(old)):
        distance = abs(np.float64(new[at]) - np.float64(old[at]))
        na += one if distance > a else 0
        nb += one if distance > b else 0
        nc += one if distance > c else 0
        nd += one if distance > d else 0
        ne += one if distance > e else 0
        nf += one if distance > f else 0
        ng += one if distance > g else 0
        nh += one if distance > h else 0
    return na, nb, nc, nd, ne, nf, ng, nh
