"""Which of two modules that do the same sums and counts float32 vectors: `torch_kernels` or `numba_kernels`."""

from weight_atlas.analysis.kernels import torch_kernels
from weight_atlas.analysis.kernels.interface import Kernels

LARGE = 4_000_000  # parameters from which on compiled sums save more than numba takes to be imported, some 0.3 s


def kernels_for(size: int) -> Kernels:
    """The kernels for vectors of so many values in all."""
    if size < LARGE:
        return torch_kernels
    from weight_atlas.analysis.kernels import numba_kernels  # imports numba

    return numba_kernels
