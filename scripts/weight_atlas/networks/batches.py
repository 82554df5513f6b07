"""How many images a network sees at a time where nothing is learnt from them."""

import math

from weight_atlas.networks.table import Table

MOST = 500
MAP_BYTES = 2**30
MAPS = 4  # that are in memory at a time, without gradients: what a row reads and makes, what goes around it, and room


def map_bytes(table: Table) -> int:
    """Bytes of float32 maps of one image while a network is evaluated: four of the largest one."""
    return MAPS * 4 * max(math.prod(layer.out_shape) for layer in table.layers)


def evaluated(table: Table) -> int:
    """Images per batch of an evaluation: 500, or as many as 1 GiB has room for."""
    return max(1, min(MOST, MAP_BYTES // map_bytes(table)))


def evaluation_bytes(table: Table) -> int:
    """Bytes of maps of a batch of an evaluation."""
    return map_bytes(table) * evaluated(table)
