"""Sums and counts over float32 vectors by torch, in chunks: for networks that are not worth importing numba.

Sums are float64. Those that would cancel are taken relative to the first value, and joined from chunk to chunk by the
pairwise update of Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance".
"""

import torch

from weight_atlas.analysis.kernels import vectors

CHUNK = 1 << 16  # values that are converted to float64 at once: what the processor's caches hold


def moments(tensor):
    """(mean, sum of squared deviations from it, sum of squares, min, max) of a tensor, as Python floats.

    The deviations of a constant tensor are exactly 0. Where a value is NaN, so are the three sums.
    """
    flat = tensor.reshape(-1)
    low, high = (float(value) for value in torch.aminmax(flat))
    origin = float(flat[0])
    count, mean, deviation, square = 0, 0.0, 0.0, 0.0
    for chunk in flat.split(CHUNK):
        values = chunk.double()
        square += float(values.dot(values))
        values = values - origin
        part = float(values.mean())
        values -= part
        both = count + len(values)
        deviation += float(values.dot(values)) + (part - mean) ** 2 * count * len(values) / both
        mean += (part - mean) * len(values) / both
        count = both
    return origin + mean, deviation, square, low, high


def products(one, other):
    """(one . one, other . other, one . other, |other - one|^2); the difference is that of the float64 values."""
    total = [0.0] * 4
    for left, right in _chunks(one, other):
        left, right = left.double(), right.double()
        step = right - left
        for at, (a, b) in enumerate(((left, left), (right, right), (left, right), (step, step))):
            total[at] += float(a.dot(b))
    return tuple(total)


def centred(one, other):
    """(one . one, other . other, one . other) of two tensors that are not empty, less their means.

    The products of a constant tensor are exactly 0.
    """
    origin = float(one.reshape(-1)[0]), float(other.reshape(-1)[0])
    count, means, sums = 0, [0.0, 0.0], [0.0, 0.0, 0.0]
    for pair in _chunks(one, other):
        x, y = (part.double() - first for part, first in zip(pair, origin, strict=True))
        parts = float(x.mean()), float(y.mean())
        x -= parts[0]
        y -= parts[1]
        both = count + len(x)
        step = [part - mean for part, mean in zip(parts, means, strict=True)]
        weight = count * len(x) / both
        sums[0] += float(x.dot(x)) + step[0] ** 2 * weight
        sums[1] += float(y.dot(y)) + step[1] ** 2 * weight
        sums[2] += float(x.dot(y)) + step[0] * step[1] * weight
        means = [mean + way * len(x) / both for mean, way in zip(means, step, strict=True)]
        count = both
    return tuple(sums)


def differing(one, other):
    """How many values of two tensors are not equal; NaN is not equal to itself."""
    return sum(int((left != right).sum()) for left, right in _chunks(one, other))


def equal(one, other, codes):
    """How many values of two tensors are equal: all, those with code 0 or 2, with 1, with 3, and with 4 or more; then
    how many codes are 4 or more, and how many are 5 or 7.

    codes: uint8 below 8, one a value.
    """
    counts = torch.zeros(16, dtype=torch.int64)
    for left, right, code in _chunks(one, other, codes):
        counts += torch.bincount(code + 8 * (left == right), minlength=16)
    same, there = counts[8:].tolist(), (counts[:8] + counts[8:]).tolist()
    return sum(same), same[0] + same[2], same[1], same[3], sum(same[4:]), sum(there[4:]), there[5] + there[7]


def beyond(one, other, steps, shares, distances):
    """How many values of two tensors are farther apart than each bound: a list, in the order of the bounds.

    steps: six numbers of steps from one float32 to the next, 0.0 and -0.0 being one; shares: six bounds of
    |other - one| / |one|, in float64 and multiplied out; distances: eight of |other - one|, in float64.
    """
    counts = torch.zeros(len(steps) + len(shares) + len(distances), dtype=torch.int64)
    for old, new in _chunks(one, other):
        apart = (places(new) - places(old)).abs_()
        old, new = old.double(), new.double()
        distance, size = (new - old).abs_(), old.abs()
        counts += torch.stack(
            [
                *((apart > bound).sum() for bound in steps),
                *((distance > bound * size).sum() for bound in shares),
                *((distance > bound).sum() for bound in distances),
            ]
        )
    return counts.tolist()


def places(values):
    """Each float32's place among all float32 in order of size, as int64; 0.0 and -0.0 are both at 0.

    The bits of a float, without the sign, count up with its size (IEEE 754), so that neighbours differ by 1.
    """
    bits = values.contiguous().view(torch.int32).long()
    size = bits & 0x7FFFFFFF
    return torch.where(bits < 0, -size, size)


def _chunks(*tensors):
    """The tensors, CHUNK values of each at a time; ValueError where they do not have as many."""
    vectors.same_size(*tensors)
    return zip(*(tensor.reshape(-1).split(CHUNK) for tensor in tensors), strict=True)
