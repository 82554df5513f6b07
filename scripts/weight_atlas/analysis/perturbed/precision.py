"""How many parameters a perturbation changes at all, where they are held with fewer digits."""

from typing import Final, NamedTuple

import torch

from weight_atlas.analysis.kernels.torch_kernels import CHUNK
from weight_atlas.analysis.types import Tensors
from weight_atlas.networks.table import Table
from weight_atlas.vocabulary import Format

TYPES: Final[dict[Format, torch.dtype]] = {one: getattr(torch, one) for one in Format}


class FormatCount(NamedTuple):
    """The number of learnable parameters, and how many of them a perturbation changes in a format."""

    format: Format
    parameters: int
    changed: int


def rows(table: Table, original: Tensors, start: Tensors) -> list[FormatCount]:
    """Count, in each format, the parameters that would differ if the network were held and perturbed in it.

    The original is rounded to the format, and the perturbation, start less original, is added in float32 and rounded
    again, to the nearest and to even, as torch adds to a tensor of the format. In float32 the count is that of the
    parameters which differ.

    Parameters
    ----------
    table : Table
        The network's layer table.
    original, start : dict of float32 tensors
        Snapshots, by torch names: trained, and the same perturbed.
    """
    names = [name for name, _ in table.parameters()]
    counts = {name: sum(_changed(original[one], start[one], kind) for one in names) for name, kind in TYPES.items()}
    return [FormatCount(name, table.parameter_count, count) for name, count in counts.items()]


def _changed(original: torch.Tensor, start: torch.Tensor, kind: torch.dtype) -> int:
    """How many values of a tensor differ; CHUNK values at a time."""
    count = 0
    for before, after in zip(original.reshape(-1).split(CHUNK), start.reshape(-1).split(CHUNK), strict=True):
        held = before.to(kind)
        count += int(torch.count_nonzero((held.float() + (after - before)).to(kind) != held))
    return count
