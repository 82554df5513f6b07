"""A model of which only the tensors are known: the layer table of a file, with a row per tensor and no graph.

A row is called as its tensor, and holds it under its role, which is guessed from the name and the shape, or given. In
settings the tensors are folded: those that differ in their numbers alone are one entry,
`{"h.{0-11}.attn.c_attn.weight": ["weight", 768, 2304]}`.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from weight_atlas.networks.table import Layer, Shape, Table
from weight_atlas.tensor_names import family, natural

ROLES = ("weight", "bias", "norm", "embedding", "buffer")  # a buffer is no parameter: it counts as not learnable
BUFFER = "buffer"
MATRICES = ("weight", "embedding")  # the roles whose tensors are taken as matrices, from two dimensions on
MOST = 20_000  # tensors of a model
NAME = re.compile(r"[\w.:/+@-]+", re.ASCII)  # of a tensor: what is plain in a table, a pattern and a page
LONGEST = 200  # characters of a name

# Words of names, between the marks . _ / : and digits.
NORMS = {"ln", "norm", "norm1", "norm2", "layernorm", "rmsnorm", "batchnorm", "groupnorm", "bn", "gn", "gamma"}
EMBEDDINGS = {"embed", "embedding", "embeddings", "emb", "wte", "wpe", "token", "tokens", "pos", "position", "cls"}
BIASES = {"bias", "beta", "b"}
BUFFERS = {"running_mean", "running_var", "num_batches_tracked", "position_ids", "inv_freq", "masked_bias"}


class Entry(NamedTuple):
    """A tensor: its role (one of ROLES) and its shape."""

    role: str
    shape: Shape


Folded = dict[str, list[Any]]


class Tensor(Layer):
    """The row of one tensor: its name is the tensor's, and the key of its shape is its role."""

    def tensor(self, name: str) -> str:
        """The name of its only tensor."""
        return self.name


class Stored(Table):
    """The rows of a model of which only the tensors are known, in the natural order of their names."""

    is_network = False

    def __init__(self, tensors: Mapping[str, Entry]) -> None:
        super().__init__(0, 0)
        for name in sorted(tensors, key=natural):
            role, shape = tensors[name]
            learnt, kept = ({}, {role: shape}) if role == BUFFER else ({role: shape}, {})
            self.layers.append(Tensor(name, "Tensor", (), {}, (), (), learnt, kept))
        self._rows = {layer.name: layer for layer in self.layers}

    @property
    def weight_layers(self) -> list[Layer]:
        """The weights and embeddings of two or more dimensions."""
        return [layer for layer in self.layers if any(len(layer.parameters.get(role, ())) > 1 for role in MATRICES)]

    @property
    def largest(self) -> int:
        """The number of values of the largest tensor."""
        return max(math.prod(shape) for layer in self.layers for shape in (layer.parameters | layer.buffers).values())

    def _registered(self) -> list[Layer]:
        return self.layers


# ------------------------------------------------------------------------------------------------- roles


def entries(shapes: Mapping[str, Shape], floats: Mapping[str, bool], roles: Mapping[str, str]) -> dict[str, Entry]:
    """The tensors with their roles.

    Parameters
    ----------
    shapes : {name: shape}
        A tensor without values is left out.
    floats : {name: whether its dtype is of floats}
        One of whole numbers never learns, and is a buffer.
    roles : {pattern: role}
        As `fnmatch` has patterns ("*" stands for any characters); the first that fits a name counts, and takes the
        place of what is guessed.
    """
    flat = {_module(name) for name, shape in shapes.items() if _own(name) == "weight" and len(shape) == 1}
    found = {}
    for name, shape in shapes.items():
        if math.prod(shape):
            given = next((role for pattern, role in roles.items() if fnmatchcase(name, pattern)), None)
            guessed = guess(name, shape, _module(name) in flat) if floats[name] else BUFFER
            found[name] = Entry(given or guessed, tuple(shape))
    return found


def guess(name: str, shape: Sequence[int], beside_vector: bool = False) -> str:
    """The role that a name and a shape speak for.

    - buffer: a running statistic, a counter, a mask (a "bias" of three or more dimensions);
    - norm: a vector of a module that is called so, or whose weight is a vector (`beside_vector`): scale and shift;
    - bias: another vector that is called so;
    - embedding: a tensor of two or more dimensions that is called so, or whose module is;
    - weight: all else.
    """
    own, words = _own(name), {*_words(_own(name)), *_words(_own(_module(name)))}
    if own in BUFFERS or (own == "bias" and len(shape) > 2):
        return BUFFER
    if len(shape) < 2:
        if beside_vector or words & NORMS:
            return "norm"
        return "bias" if BIASES & {*_words(own)} else "weight"
    return "embedding" if words & EMBEDDINGS and len(shape) < 4 else "weight"


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _own(name: str) -> str:
    return name.rpartition(".")[2]


def _words(name: str) -> list[str]:
    """ "post_attention_layernorm" -> post, attention, layernorm, and "LayerNorm" -> layernorm; ln_1, ln1 -> ln."""
    return [word.lower() for word in re.split(r"[^A-Za-z]+", name) if word]


# ------------------------------------------------------------------------------------------------- folding


def fold(tensors: Mapping[str, Entry]) -> Folded:
    """The tensors, those of one role and shape whose names differ in numbers alone as one: "{a-b}" stands for every
    whole number from a to b. `unfold` gives them back."""
    families: dict[tuple[str, Entry], list[tuple[int, ...]]] = {}
    for name, entry in tensors.items():
        template, numbers = family(name)
        families.setdefault((template, entry), []).append(numbers)
    folded: Folded = {}
    for (template, (role, shape)), every in families.items():
        for ranges in _ranges(sorted(every)):
            parts = [str(low) if low == high else f"{{{low}-{high}}}" for low, high in ranges]
            folded[template.format(*parts)] = [role, *shape]
    return dict(sorted(folded.items(), key=lambda item: natural(item[0])))


def unfold(folded: Mapping[str, Sequence[Any]]) -> dict[str, Entry]:
    """The tensors that `fold` folded."""
    return {name: Entry(role, tuple(shape)) for pattern, (role, *shape) in folded.items() for name in _names(pattern)}


def _ranges(rows: Sequence[tuple[int, ...]]) -> Iterator[list[tuple[int, int]]]:
    """Sorted tuples of numbers as products of ranges, each (first, last)."""
    ends = [(min(column), max(column)) for column in zip(*rows, strict=True)]
    if math.prod(high - low + 1 for low, high in ends) == len(rows):
        yield ends
        return
    if len(ends) == 1:
        for _, run in itertools.groupby(enumerate(rows), key=lambda pair: pair[1][0] - pair[0]):
            numbers = [row[0] for _, row in run]
            yield [(numbers[0], numbers[-1])]
        return
    for first, own in itertools.groupby(rows, key=lambda row: row[0]):
        yield from ([(first, first), *rest] for rest in _ranges([row[1:] for row in own]))


def _names(pattern: str) -> Iterable[str]:
    """The names that a folded one stands for."""
    parts = re.split(r"\{(\d+)-(\d+)\}", pattern)
    ranges = [range(int(low), int(high) + 1) for low, high in zip(parts[1::3], parts[2::3], strict=True)]
    for numbers in itertools.product(*ranges):
        yield "".join(itertools.chain.from_iterable(itertools.zip_longest(parts[::3], map(str, numbers), fillvalue="")))
