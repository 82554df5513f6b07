"""Sums and counts over float32 vectors, compiled by numba: each value is read from memory once, and nothing is copied.

The functions of `weight_atlas.analysis.kernels.torch_kernels`, which says what each returns, for large networks. Sums
that would cancel are taken block by block, relative to the block's first value, and joined as in `torch_kernels`. What
is compiled, on first use, is kept beside this file, or in the user's cache directory where that cannot be written.
"""

import numpy as np
from numba import njit

from weight_atlas.analysis.kernels import vectors

BLOCK = 1 << 13  # values whose sums are joined to those before them
REORDERED = {"reassoc", "contract"}  # sums may be taken several at a time; NaN and infinity stay what they are
SIZE = 0x7FFFFFFF  # the bits of a float32 but for its sign, which count up with its size (IEEE 754)


def moments(tensor):
    (values,) = _flat(tensor)
    *sums, low, high = _moments(values, values.view(np.int32))
    return *sums, _value(low), _value(high)


def products(one, other):
    return _products(*_flat(one, other))


def centred(one, other):
    return _centred(*_flat(one, other))


def differing(one, other):
    return _differing(*_flat(one, other))


def equal(one, other, codes):
    return _equal(*_flat(one, other, codes))


def beyond(one, other, steps, shares, distances):
    old, new = _flat(one, other)
    # Not constants but arguments: the processor then adds where a comparison holds in a single instruction.
    few, many = np.uint32(1), 1
    return [
        *_steps_beyond(old.view(np.int32), new.view(np.int32), tuple(map(np.uint32, steps)), few),
        *_shares_beyond(old, new, shares, many),
        *_distances_beyond(old, new, distances, many),
    ]


def _flat(*tensors):
    vectors.same_size(*tensors)
    return [tensor.detach().reshape(-1).numpy() for tensor in tensors]


def _value(place):
    """The float32 at a place of `_moments`."""
    return float(np.array(place ^ (place >> 31 & SIZE), np.int32).view(np.float32))


def _kept(**settings):
    """numba.njit that keeps what it compiles, where there is a place to keep it."""

    def compiled(function):
        try:
            return njit(cache=True, **settings)(function)
        except RuntimeError:  # numba's "no locator available": neither directory can be written
            return njit(**settings)(function)

    return compiled


@_kept(fastmath=REORDERED)
def _moments(values, bits):
    """values: float32; bits: the same as int32. For min and max it gives their places in order of size, int32."""
    origin = np.float64(values[0])
    low, high = np.int32(SIZE), np.int32(-SIZE - 1)
    count, mean, deviation, square = 0, 0.0, 0.0, 0.0
    for start in range(0, len(values), BLOCK):
        block, own = values[start : start + BLOCK], bits[start : start + BLOCK]
        size, first = len(block), np.float64(block[0])
        x = xx = raw = 0.0
        for at in range(size):
            value = np.float64(block[at])
            step = value - first
            x += step
            xx += step * step
            raw += value * value
            place = own[at] ^ ((own[at] >> 31) & np.int32(SIZE))  # below 0 the bits count down: turned round
            low, high = min(low, place), max(high, place)
        way = first - origin + x / size - mean
        deviation += max(xx - x * x / size, 0.0) + way * way * (count * size / (count + size))
        square += raw
        count += size
        mean += way * size / count
    return origin + mean, deviation, square, low, high


@_kept(fastmath=REORDERED)
def _products(one, other):
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
def _centred(one, other):
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
def _differing(one, other):
    count = 0
    for at in range(len(one)):
        count += one[at] != other[at]
    return count


@_kept()
def _equal(one, other, codes):
    found = nothing = gradient = both = tap = taps = told = 0
    for at in range(len(one)):
        same, code = one[at] == other[at], codes[at]
        found += same
        nothing += same & ((code & 5) == 0)
        gradient += same & (code == 1)
        both += same & (code == 3)
        tap += same & (code >= 4)
        taps += code >= 4
        told += (code & 5) == 5
    return found, nothing, gradient, both, tap, taps, told


@_kept()
def _steps_beyond(old, new, bounds, one):
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
def _shares_beyond(old, new, bounds, one):
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
def _distances_beyond(old, new, bounds, one):
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
