"""Weights that are pruned: 0 at the start, and after every step."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class PrunedWeights:
    """The pruned weights of a model, which no optimizer moves.

    Their gradients are zero, as where torch.nn.utils.prune multiplies weights by masks: so they have no part in a norm
    that is clipped, nor in an optimizer's averages. After each step they are set to zero again, whatever momentum a
    parent's optimizer left them.
    """

    def __init__(self, model: nn.Module, masks: Mapping[str, Tensor]):
        """masks: bool tensors by the names of parameters, False where these are pruned."""
        self.masks = dict(masks)
        parameters = dict(model.named_parameters())
        self._pruned = [(parameters[name], ~mask.to(parameters[name].device)) for name, mask in masks.items()]

    @torch.no_grad()
    def clear_gradients(self) -> None:
        """Set the gradients of a step to zero, after its backward pass."""
        for parameter, pruned in self._pruned:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(pruned, 0.0)

    @torch.no_grad()
    def clear_values(self) -> None:
        """Set the weights to zero, after the optimizer's step."""
        for parameter, pruned in self._pruned:
            parameter.masked_fill_(pruned, 0.0)
