"""How many parameters training left exactly as they were, and how many of them it never could have changed."""

from atlas.measure.statistics import CHUNK


def rows(table, start, last):
    """(layer, parameter, size, unchanged, structural) of each learnable parameter, then of ("total", "all").

    table: the network's layer table; start, last: snapshots, {torch name: float32 tensor}. unchanged counts x == y in
    float32; structural counts the weights of convolution taps that only ever meet their own zero padding, which get no
    gradient whatever the data (closed form, from the layer table).
    """
    found = []
    for layer in table.layers:
        for name, shape in layer.parameters.items():
            full = f"{layer.name}.{name}"
            have = tuple(start[full].shape)
            if have != tuple(shape):
                raise ValueError(f"{full} is {have} in the snapshot, {shape} in the layer table; train the cell again")
            structural = table.structural(layer) if name == "weight" else 0
            found.append((layer.name, name, start[full].numel(), equal(start[full], last[full]), structural))
    totals = [sum(row[column] for row in found) for column in (2, 3, 4)]
    return [*found, ("total", "all", *totals)]


def equal(one, other):
    """The number of positions at which two float32 tensors of one shape hold the same value."""
    pairs = zip(one.reshape(-1).split(CHUNK), other.reshape(-1).split(CHUNK), strict=True)
    return sum(int((left == right).sum()) for left, right in pairs)
