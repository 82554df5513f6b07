"""Every filter of the selected layers made equal to its first one: do equal starts stay equal?"""

from weight_atlas.networks import symmetry
from weight_atlas.perturbations import Weights


def perturb(weights: Weights, names: list[str], *, outgoing: bool = False) -> None:
    """Copy the first filter (weights and bias) of each tensor over the others.

    `outgoing` also makes the weights equal that read these filters' maps. Only then do all filters of a layer get one
    gradient: with equal incoming weights alone, each is pulled by the different weights that read it.
    """
    for name in names:
        weights.tensors[name].copy_(weights.tensors[name][:1].clone().expand_as(weights.tensors[name]))
    if outgoing:
        selected = set(names)
        for group in symmetry.groups(weights.table):
            if any(axis.tensor in selected and axis.axis == 0 for axis in group.axes):
                for axis in group.axes:
                    if axis.axis == 1:
                        readers = weights.tensors[axis.tensor].unflatten(1, (group.channels, axis.block))
                        readers.copy_(readers[:, :1].clone().expand_as(readers))
