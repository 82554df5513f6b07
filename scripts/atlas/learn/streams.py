"""Named streams of random numbers, keyed by (seed, stream, index).

Each consumer draws from a stream of its own, so that adding one changes no other, and a resumed run draws what an
uninterrupted one would have drawn.
"""

import hashlib

import torch


def key(seed: int, stream: str, *index: int | str) -> int:
    """A number in [0, 2**63) for (seed, stream, index): the first 63 bits of a SHA-256 of their text."""
    text = "/".join(map(str, (seed, stream, *index)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, stream: str, *index: int | str) -> torch.Generator:
    """A CPU generator at the beginning of the stream: the same numbers whatever device trains."""
    return torch.Generator().manual_seed(key(seed, stream, *index))
