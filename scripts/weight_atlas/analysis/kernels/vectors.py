"""By which of two modules that do the same, `torch_kernels` and `numba_kernels`, float32 vectors are summed and
counted."""

LARGE = 4_000_000  # parameters from which on compiled sums save more than numba takes to be imported, some 0.3 s


def chosen(size):
    """The module for vectors of so many values in all: `weight_atlas.analysis.kernels.numba_kernels`, imported here, or
    `torch_kernels`."""
    if size >= LARGE:
        from weight_atlas.analysis.kernels import numba_kernels as found
    else:
        from weight_atlas.analysis.kernels import torch_kernels as found
    return found


def same_size(one, *others):
    """Raise ValueError where tensors have not the same number of values."""
    for other in others:
        if one.numel() != other.numel():
            raise ValueError(f"tensors of {one.numel()} and {other.numel()} values; they must have as many")
