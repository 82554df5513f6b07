"""Sums and counts over float32 vectors by torch, in chunks: for networks that are not worth importing numba.

Sums are float64. Those that would cancel are taken relative to the first value, and joined from chunk to chunk by the
pairwise update of Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance". What each function
returns says `weight_atlas.analysis.kernels.interface`.
"""

from collections.abc import Iterator, Sequence

import torch

from weight_atlas.analysis.kernels.interface import CentredProducts, EqualCounts, Moments, Products, check_same_size

CHUNK = 1 << 16  # values that are converted to float64 at once: what the processor's caches hold


def moments(tensor: torch.Tensor) -> Moments:
    flat = tensor.reshape(-1)
    low, high = (float(value) for value in torch.aminmax(flat))
    origin = float(flat[0])
    count, mean, deviation, square = 0, 0.0, 0.0, 0.0
    for chunk in flat.split(CHUNK):
        values = chunk.double()
        square += float(values.dot(values))
        values = values - origin
        chunk_mean = float(values.mean())
        values -= chunk_mean
        joined = count + len(values)
        deviation += float(values.dot(values)) + (chunk_mean - mean) ** 2 * count * len(values) / joined
        mean += (chunk_mean - mean) * len(values) / joined
        count = joined
    return Moments(origin + mean, deviation, square, low, high)


def products(a: torch.Tensor, b: torch.Tensor) -> Products:
    total = [0.0] * 4
    for left, right in _chunks(a, b):
        left, right = left.double(), right.double()
        step = right - left
        for at, (one, other) in enumerate(((left, left), (right, right), (left, right), (step, step))):
            total[at] += float(one.dot(other))
    return Products(*total)


def centred(a: torch.Tensor, b: torch.Tensor) -> CentredProducts:
    origin = float(a.reshape(-1)[0]), float(b.reshape(-1)[0])
    count, means, sums = 0, [0.0, 0.0], [0.0, 0.0, 0.0]
    for chunk in _chunks(a, b):
        x, y = (values.double() - first for values, first in zip(chunk, origin, strict=True))
        chunk_means = float(x.mean()), float(y.mean())
        x -= chunk_means[0]
        y -= chunk_means[1]
        joined = count + len(x)
        steps = [chunk_mean - mean for chunk_mean, mean in zip(chunk_means, means, strict=True)]
        weight = count * len(x) / joined
        sums[0] += float(x.dot(x)) + steps[0] ** 2 * weight
        sums[1] += float(y.dot(y)) + steps[1] ** 2 * weight
        sums[2] += float(x.dot(y)) + steps[0] * steps[1] * weight
        means = [mean + step * len(x) / joined for mean, step in zip(means, steps, strict=True)]
        count = joined
    return CentredProducts(*sums)


def differing(a: torch.Tensor, b: torch.Tensor) -> int:
    return sum(int((left != right).sum()) for left, right in _chunks(a, b))


def equal(a: torch.Tensor, b: torch.Tensor, codes: torch.Tensor) -> EqualCounts:
    counts = torch.zeros(16, dtype=torch.int64)
    for left, right, code in _chunks(a, b, codes):
        counts += torch.bincount(code + 8 * (left == right), minlength=16)
    same, coded = counts[8:].tolist(), (counts[:8] + counts[8:]).tolist()
    return EqualCounts(
        equal=sum(same),
        dead=same[0] + same[2],
        rounding=same[1],
        returned=same[3],
        structural=sum(same[4:]),
        taps=sum(coded[4:]),
        contradicted=coded[5] + coded[7],
    )


def beyond(
    a: torch.Tensor, b: torch.Tensor, steps: Sequence[int], shares: Sequence[float], distances: Sequence[float]
) -> list[int]:
    counts = torch.zeros(len(steps) + len(shares) + len(distances), dtype=torch.int64)
    for old, new in _chunks(a, b):
        apart = places(new) - places(old)
        apart.abs_()
        old, new = old.double(), new.double()
        distance, size = (new - old).abs_(), old.abs()
        counts += torch.stack(
            [
                *((apart > bound).sum() for bound in steps),
                *((distance > bound * size).sum() for bound in shares),
                *((distance > bound).sum() for bound in distances),
            ]
        )
    result: list[int] = counts.tolist()
    return result


def places(values: torch.Tensor) -> torch.Tensor:
    """Each float32's place among all float32 in order of size, as int64; 0.0 and -0.0 are both at 0.

    The bits of a float, without the sign, count up with its size (IEEE 754), so that neighbours differ by 1.
    """
    bits = values.contiguous().view(torch.int32).long()
    size = bits & 0x7FFFFFFF
    return torch.where(bits < 0, -size, size)


def _chunks(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """The tensors, CHUNK values of each at a time; ValueError where they do not have as many."""
    check_same_size(*tensors)
    return zip(*(tensor.reshape(-1).split(CHUNK) for tensor in tensors), strict=True)
