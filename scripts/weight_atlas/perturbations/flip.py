"""theta -> -theta: the sign of every chosen parameter, and of the running means of the BatchNorms on request."""

from weight_atlas.perturbations import Weights


def perturb(weights: Weights, names: list[str], *, running_mean: bool = False) -> None:
    """Negate the tensors; `running_mean` also negates the running mean of each BatchNorm that is selected, or whose
    convolution is: that keeps BatchNorm in step with a flipped convolution (see `weight_atlas.networks.symmetry`)."""
    for name in names:
        weights.tensors[name].neg_()
    if running_mean:
        for layer in weights.batchnorms(names):
            weights.tensors[f"{layer}.running_mean"].neg_()
