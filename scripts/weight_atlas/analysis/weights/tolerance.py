"""How many parameters count as changed, from the start to the end, by how much they must differ for it."""

from weight_atlas.analysis.kernels import vectors

ULP = (0, 1, 8, 64, 512, 4096)
RELATIVE = (0, *(float(f"1e-{digits}") for digits in range(6, 0, -1)))
ABSOLUTE = tuple(float(f"1e-{digits}") for digits in range(8, 0, -1))
CRITERIA = [
    (name, bound) for name, own in (("ulp", ULP), ("relative", RELATIVE), ("absolute", ABSOLUTE)) for bound in own
]


def rows(table, start, last):
    """(layer, criterion, tolerance, size, changed) of each layer with parameters, weight and bias together, then of
    "total".

    table: the network's layer table; start, last: snapshots, {torch name: float32 tensor}. changed counts the
    parameters that differ by more than the tolerance:
    - ulp: by more than so many steps from one float32 to the next (0: not equal; 0.0 and -0.0 are equal);
    - relative: |end - start| > tolerance |start|, in float64;
    - absolute: |end - start| > tolerance, in float64.
    """
    found, total, size, by = [], [0] * len(CRITERIA), 0, vectors.chosen(table.parameter_count)
    for layer in table.layers:
        if layer.parameters:
            full = [f"{layer.name}.{name}" for name in layer.parameters]
            own = [sum(column) for column in zip(*(count(start[name], last[name], by) for name in full), strict=True)]
            found += _rows(layer.name, layer.parameter_count, own)
            total = [sum(pair) for pair in zip(total, own, strict=True)]
            size += layer.parameter_count
    return [*found, *_rows("total", size, total)]


def _rows(layer, size, counts):
    return [(layer, *criterion, size, changed) for criterion, changed in zip(CRITERIA, counts, strict=True)]


def count(start, last, by=None):
    """How many values of two float32 tensors of one shape differ by more than each tolerance of CRITERIA: a list.

    by: what counts (default: chosen by their size).
    """
    found = (by or vectors.chosen(start.numel())).beyond(start, last, ULP, RELATIVE[1:], ABSOLUTE)
    # By more than 0 of what it was is by more than 0 steps.
    return [*found[: len(ULP)], found[0], *found[len(ULP) :]]
