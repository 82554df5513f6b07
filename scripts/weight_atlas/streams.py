"""Named streams of random numbers, keyed by (seed, stream, index).

Each consumer draws from a stream of its own, so that adding one changes no other, and a resumed run draws what an
uninterrupted one would have drawn.
"""

import hashlib

import torch

from weight_atlas.settings import Start


def key(seed: int, stream: str, *index: int | str) -> int:
    """A number in [0, 2**63) for (seed, stream, index): the first 63 bits of a SHA-256 of their text."""
    text = "/".join(map(str, (seed, stream, *index)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, stream: str, *index: int | str) -> torch.Generator:
    """A CPU generator at the beginning of the stream: the same numbers whatever device trains."""
    return torch.Generator().manual_seed(key(seed, stream, *index))


def prefix(start: Start) -> str:
    """What a start puts before the names of its streams: nothing for a base cell, whose training is its own.

    A graft draws its fresh layers and its order from streams of its own, the same for every number of layers: else what
    is grafted on its own base would draw the base's start again. Retraining goes through the images in another order,
    the same for a perturbed model and its control; a control in another order has other streams.
    """
    if start.kind == "graft":
        return "graft-"
    if start.kind == "perturb":
        return "retrain-" if start.order == "same" else "retrain-other-"
    return ""


def init_stream(start: Start) -> str:
    """The stream of the weights that a start draws.

    Beside trained weights it is one of its own: drawn from `init`, a fresh last layer would be the very one that the
    source began with at this seed, and its features grew up with.
    """
    return "fresh-init" if start.kind in ("parent", "weights") else f"{prefix(start)}init"
