"""The selected tensors drawn anew from the distribution that the parent started from (re-randomisation in Zhang, Bengio
and Singer 2022, "Are all layers created equal?")."""

from weight_atlas.perturbations import Weights


def perturb(weights: Weights, names: list[str]) -> None:
    """Draw them by the parent's init scheme from a separate stream; running statistics of their BatchNorms restart at
    mean 0 and variance 1."""
    redrawn = weights.redrawn()
    for name in names:
        weights.tensors[name].copy_(redrawn[name])
    for layer in weights.batchnorms(names):
        weights.tensors[f"{layer}.running_mean"].zero_()
        weights.tensors[f"{layer}.running_var"].fill_(1)
