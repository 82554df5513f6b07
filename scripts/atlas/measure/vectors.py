"""By which of two modules that do the same, `plain` and `compiled`, float32 vectors are summed and counted."""

LARGE = 4_000_000  # parameters from which on compiled sums save more than numba takes to be imported, some 0.3 s


def chosen(size):
    """The module for vectors of so many values in all: `atlas.measure.compiled`, imported here, or `plain`."""
    if size >= LARGE:
        from atlas.measure import compiled as found
    else:
        from atlas.measure import plain as found
    return found


def same_size(one, *others):
    """Raise ValueError where tensors have not the same number of values."""
    for other in others:
        if one.numel() != other.numel():
            raise ValueError(f"tensors of {one.numel()} and {other.numel()} values; they must have as many")
