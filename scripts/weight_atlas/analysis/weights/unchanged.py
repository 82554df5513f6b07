"""How many parameters training left exactly as they were, and why: each in one class, by evidence.

Every class has its own condition, and none is what the others leave:
    changed     the end is not the start;
    structural  unchanged, the weight of a convolution tap that only ever meets its own zero padding (closed form);
    dead        unchanged, no such tap, and no step ever gave it a gradient other than zero;
    rounding    unchanged, no such tap, with a gradient, and yet no step ever changed it: each update was rounded away;
    returned    unchanged, no such tap, with a gradient, changed by some step, and back at its start in the end.
The last three need what training recorded of each parameter (`track`); without it they are unknown.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from weight_atlas.analysis.kernels.interface import Kernels
from weight_atlas.analysis.kernels.select import kernels_for
from weight_atlas.analysis.types import Readable, Tensors
from weight_atlas.networks.table import Layer, Table

GRADIENT, CHANGED = 1, 2  # the bits of a track file: had ever a nonzero gradient, was ever changed
TAP = 4  # a third bit, added here: is at a structural tap


class UnchangedCounts(NamedTuple):
    """How many parameters are in each class; None where it is not known.

    taps: the closed form's number of structural weights, changed or not; contradicted: those of them that had a
    gradient after all, which must be 0.
    """

    unchanged: int
    taps: int
    structural: int
    dead: int | None
    rounding: int | None
    returned: int | None
    changed: int
    contradicted: int | None


UnchangedRow = tuple[str, str, int, int, int, int, int | None, int | None, int | None, int, int | None]


def rows(table: Table, start: Readable, last: Readable, bits: Tensors | None = None) -> list[UnchangedRow]:
    """Count each learnable parameter's values by class, then those of all ("total", "all").

    Parameters
    ----------
    table : Table
        The network's layer table.
    start, last : dict of float32 tensors
        Snapshots, by torch names.
    bits : dict of uint8 tensors, or None
        The replicate's track file. Without it dead, rounding, returned and contradicted are None.

    Returns
    -------
    list of (layer, parameter, size, *UnchangedCounts)
        Unchanged is start == last in float32.

    Raises
    ------
    ValueError
        Where a tensor is missing or has another shape than in the table.
    """
    kernels = kernels_for(table.parameter_count)
    counted: list[UnchangedRow] = []
    classes: list[UnchangedCounts] = []
    for layer in table.layers:
        for name, shape in layer.parameters.items():
            full = layer.tensor(name)
            first, end = _checked(full, "snapshot", start, shape), _checked(full, "snapshot", last, shape)
            recorded = None if bits is None else _checked(full, "track file", bits, shape)
            taps = structural(table, layer) if name == "weight" and table.padding_weight_count(layer) else None
            counts = count(first, end, taps, recorded, kernels)
            classes.append(counts)
            counted.append((layer.name, name, first.numel(), *counts))
    return [*counted, ("total", "all", sum(size for _, _, size, *_ in counted), *_total(classes))]


def structural(table: Table, layer: Layer) -> torch.Tensor:
    """Which weights of a convolution sit at structural taps: bool, of the weight's shape."""
    return torch.from_numpy(~table.tap_mask(layer)).expand(layer.parameters["weight"])


def count(
    start: torch.Tensor,
    last: torch.Tensor,
    taps: torch.Tensor | None = None,
    bits: torch.Tensor | None = None,
    kernels: Kernels | None = None,
) -> UnchangedCounts:
    """Count the values of one parameter tensor by class.

    Parameters
    ----------
    start, last : tensor, float32
    taps : tensor, bool, or None
        True at structural taps; None: there are none.
    bits : tensor, uint8, or None
        What training recorded; None: nothing.
    kernels : Kernels, optional
        What counts; by default chosen by the size.
    """
    kernels, size = kernels or kernels_for(start.numel()), start.numel()
    if taps is None and bits is None:
        changed = kernels.differing(start, last)
        return UnchangedCounts(size - changed, 0, 0, None, None, None, changed, None)
    codes = torch.zeros(start.shape, dtype=torch.uint8) if bits is None else bits.reshape(start.shape)
    if taps is not None:
        codes = codes + TAP * taps.byte()
    counts = kernels.equal(start, last, codes)
    known = bits is not None
    return UnchangedCounts(
        unchanged=counts.equal,
        taps=counts.taps,
        structural=counts.structural,
        dead=counts.dead if known else None,
        rounding=counts.rounding if known else None,
        returned=counts.returned if known else None,
        changed=size - counts.equal,
        contradicted=counts.contradicted if known else None,
    )


def _total(counts: Sequence[UnchangedCounts]) -> UnchangedCounts:
    """The sums over all parameters; None where a number is not known."""
    return UnchangedCounts(
        unchanged=sum(row.unchanged for row in counts),
        taps=sum(row.taps for row in counts),
        structural=sum(row.structural for row in counts),
        dead=_sum_of_known([row.dead for row in counts]),
        rounding=_sum_of_known([row.rounding for row in counts]),
        returned=_sum_of_known([row.returned for row in counts]),
        changed=sum(row.changed for row in counts),
        contradicted=_sum_of_known([row.contradicted for row in counts]),
    )


def _sum_of_known(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _checked(full: str, kind: str, tensors: Readable, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor of a file, read once; ValueError where it is missing or has not the table's shape."""
    tensor = tensors.get(full)
    if tensor is None or tuple(tensor.shape) != tuple(shape):
        have = "missing" if tensor is None else tuple(tensor.shape)
        raise ValueError(f"{full} is {have} in the {kind}, {tuple(shape)} in the layer table; train the cell again")
    return tensor
