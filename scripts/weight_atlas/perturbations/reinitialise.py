"""The chosen tensors as they were before the parent was trained (re-initialisation in Zhang, Bengio and Singer 2022,
"Are all layers created equal?")."""


def perturb(weights, names):
    """Put back the values of the parent's epoch 0, the running statistics of their BatchNorms included."""
    first = weights.first()
    for name in names:
        weights.tensors[name].copy_(first[name])
    for layer in weights.norms(names):
        for own in ("running_mean", "running_var"):
            weights.tensors[f"{layer}.{own}"].copy_(first[f"{layer}.{own}"])
