"""How many parameters training left exactly as they were, and why: each in one class, by evidence.

Every class has a condition of its own, and none is what the others leave:
    changed     the end is not the start;
    structural  unchanged, the weight of a convolution tap that only ever meets its own zero padding (closed form);
    dead        unchanged, no such tap, and no step ever gave it a gradient other than zero;
    rounding    unchanged, no such tap, with a gradient, and yet no step ever changed it: each update was rounded away;
    returned    unchanged, no such tap, with a gradient, changed by some step, and back at its start in the end.
The last three need what training recorded of each parameter (`track`); without it they are unknown.
"""

import torch

from weight_atlas.analysis.kernels import vectors

GRADIENT, CHANGED = 1, 2  # the bits of a track file: had ever a nonzero gradient, was ever changed
TAP = 4  # a third bit, added here: is at a structural tap


def rows(table, start, last, bits=None):
    """(layer, parameter, size, unchanged, taps, structural, dead, rounding, returned, changed, contradicted) of each
    learnable parameter, then of ("total", "all").

    table: the network's layer table; start, last: snapshots, {torch name: float32 tensor}; bits: the replicate's track
    file, {torch name: uint8 tensor}, or None, which leaves dead, rounding, returned and contradicted None.
    unchanged counts x == y in float32; taps is the closed form's number of structural weights, changed or not;
    contradicted counts those of them that had a gradient after all, which must be 0. Raises ValueError where a tensor
    is missing or has another shape than in the table.
    """
    found, by = [], vectors.chosen(table.parameter_count)
    for layer in table.layers:
        for name, shape in layer.parameters.items():
            full = f"{layer.name}.{name}"
            for kind, tensors in (("snapshot", start), ("snapshot", last), ("track file", bits)):
                _check(full, kind, tensors, tuple(shape))
            taps = structural(table, layer) if name == "weight" and table.padding_weight_count(layer) else None
            counts = count(start[full], last[full], taps, bits and bits[full], by)
            found.append((layer.name, name, start[full].numel(), *counts))
    columns = list(zip(*found, strict=True))[2:]
    return [*found, ("total", "all", *(None if None in column else sum(column) for column in columns))]


def structural(table, layer):
    """Which weights of a convolution sit at structural taps: bool, of the weight's shape."""
    return torch.from_numpy(~table.tap_mask(layer)).expand(layer.parameters["weight"])


def count(start, last, taps=None, bits=None, by=None):
    """(unchanged, taps, structural, dead, rounding, returned, changed, contradicted) of one parameter tensor.

    start, last: float32; taps: bool, True at structural taps (None: there are none); bits: uint8 (None: not recorded).
    All of one shape. by: what counts (default: chosen by their size).
    """
    by, size = by or vectors.chosen(start.numel()), start.numel()
    if taps is None and bits is None:
        changed = by.differing(start, last)
        return size - changed, 0, 0, None, None, None, changed, None
    codes = torch.zeros(start.shape, dtype=torch.uint8) if bits is None else bits.reshape(start.shape)
    if taps is not None:
        codes = codes + TAP * taps.byte()
    unchanged, dead, rounding, returned, padded, taps, contradicted = by.equal(start, last, codes)
    if bits is None:
        dead = rounding = returned = contradicted = None
    return unchanged, taps, padded, dead, rounding, returned, size - unchanged, contradicted


def _check(full, kind, tensors, shape):
    """Raise ValueError where a tensor of a file is missing or has not the table's shape."""
    if tensors is None:
        return
    have = tuple(tensors[full].shape) if full in tensors else "missing"
    if have != shape:
        raise ValueError(f"{full} is {have} in the {kind}, {shape} in the layer table; train the cell again")
