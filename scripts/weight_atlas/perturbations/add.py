"""theta -> theta + noise, of one size for all parameters or in proportion to each value; the sum in float32."""

from typing import Literal

from weight_atlas.perturbations import Weights


def perturb(
    weights: Weights,
    names: list[str],
    *,
    size: float = 1e-6,
    noise: Literal["constant", "gaussian", "relative", "filter"] = "constant",
) -> None:
    """Add to each tensor, with z a standard normal tensor of its shape:

    constant: size; gaussian: size z; relative: size |theta| z, element by element; filter: size z, scaled so that each
    filter (the weights of one output channel; a vector as a whole) gets noise of `size` times its own norm: the filter
    normalisation of Li et al. 2018, "Visualizing the loss landscape of neural nets".
    """
    import torch

    for name in names:
        tensor = weights.tensors[name]
        if noise == "constant":
            tensor.add_(size)
            continue
        z = torch.randn(tensor.shape, generator=weights.generator(name))
        if noise == "relative":
            z *= tensor.abs()
        elif noise == "filter":
            filters = (tensor.shape[0], -1) if tensor.dim() > 1 else (1, -1)
            norms = [values.reshape(filters).norm(dim=1, keepdim=True) for values in (tensor, z)]
            z = (z.reshape(filters) * (norms[0] / norms[1])).reshape(tensor.shape)
        tensor.add_(z, alpha=size)
