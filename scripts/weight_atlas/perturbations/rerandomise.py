"""The chosen tensors drawn anew from the distribution that the parent started from (re-randomisation in Zhang, Bengio
and Singer 2022, "Are all layers created equal?")."""


def perturb(weights, names):
    """Draw them by the parent's init scheme from a stream of their own; running statistics of their BatchNorms start
    again at mean 0 and variance 1."""
    fresh = weights.fresh()
    for name in names:
        weights.tensors[name].copy_(fresh[name])
    for layer in weights.norms(names):
        weights.tensors[f"{layer}.running_mean"].zero_()
        weights.tensors[f"{layer}.running_var"].fill_(1)
