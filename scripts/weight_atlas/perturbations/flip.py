"""theta -> -theta: the sign of every chosen parameter, and of the running means of the BatchNorms where asked for."""


def perturb(weights, names, *, running_mean: bool = False):
    """Negate the tensors; `running_mean` also negates the running mean of each BatchNorm that is chosen, or whose
    convolution is: what keeps BatchNorm in step with a flipped convolution (see `weight_atlas.networks.symmetry`)."""
    for name in names:
        weights.tensors[name].neg_()
    if running_mean:
        for layer in weights.norms(names):
            weights.tensors[f"{layer}.running_mean"].neg_()
