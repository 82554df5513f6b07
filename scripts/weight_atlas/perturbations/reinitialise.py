"""The selected tensors as they were before the parent was trained (re-initialisation in Zhang, Bengio and Singer 2022,
"Are all layers created equal?")."""

from weight_atlas.perturbations import Weights


def perturb(weights: Weights, names: list[str]) -> None:
    """Put back the values of the parent's epoch 0, the running statistics of their BatchNorms included."""
    initial = weights.initial()
    for name in names:
        weights.tensors[name].copy_(initial[name])
    for layer in weights.batchnorms(names):
        for name in (f"{layer}.running_mean", f"{layer}.running_var"):
            weights.tensors[name].copy_(initial[name])
