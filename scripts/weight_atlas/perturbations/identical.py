"""Every filter of the chosen layers made equal to its first one: do equal starts stay equal?"""

from weight_atlas.networks import symmetry


def perturb(weights, names, *, outgoing: bool = False):
    """Copy the first filter (weights and bias) of each tensor over the others.

    `outgoing` also makes the weights equal that read these filters' maps. Only then do all filters of a layer get one
    gradient: with equal incoming weights alone, each is pulled by the different weights that read it.
    """
    for name in names:
        weights.tensors[name].copy_(weights.tensors[name][:1].clone().expand_as(weights.tensors[name]))
    if outgoing:
        chosen = set(names)
        for group in symmetry.groups(weights.table):
            if any(axis.tensor in chosen and axis.axis == 0 for axis in group.axes):
                for axis in group.axes:
                    if axis.axis == 1:
                        read = weights.tensors[axis.tensor]
                        apart = read.unflatten(1, (group.channels, axis.block))
                        apart.copy_(apart[:, :1].clone().expand_as(apart))
