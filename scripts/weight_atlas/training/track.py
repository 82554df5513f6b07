"""Two bits per parameter while a network trains: had it ever a nonzero gradient, did an update ever change it?

A tensor all of whose bits are set is looked at no more, so that the cost falls to nearly nothing after the first steps
of a network without dead or structural weights.
"""

from pathlib import Path

import torch
from torch import nn

from weight_atlas import store

GRADIENT, CHANGED = 1, 2


class GradientTracker:
    """The two bits of every parameter of `model`, gathered from its start on.

    A value is *changed* when, after some step, it is not the one that it started with: the first step that changes it
    shows, whether or not it ever comes back.
    """

    def __init__(
        self,
        model: nn.Module,
        start: dict[str, torch.Tensor] | None = None,
        recorded: dict[str, torch.Tensor] | None = None,
    ):
        """start, recorded: the values that training started with and what `tensors` returned, to go on from there."""
        self.parameters = dict(model.named_parameters())
        self.start = {name: value.detach().clone() for name, value in self.parameters.items()}
        # For each bit the largest absolute gradient or change so far, of the tensors whose bits are not all set: with
        # numbers of the parameters' own type, a step is a few operations on lists of tensors.
        self.open = {
            bit: {name: torch.zeros_like(value) for name, value in self.start.items()} for bit in (GRADIENT, CHANGED)
        }
        self.steps = 0
        if start and recorded:
            for name, value in self.start.items():
                value.copy_(start[name])
                for bit, largest in self.open.items():
                    largest[name].copy_(recorded[name] & bit != 0)
            self.close()

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Note the nonzero gradients of a step, after its backward pass."""
        pairs = [(largest, self.parameters[name].grad) for name, largest in self.open[GRADIENT].items()]
        found = [(largest, gradient) for largest, gradient in pairs if gradient is not None]
        if found:
            largest, gradients = map(list, zip(*found, strict=True))
            torch._foreach_maximum_(largest, torch._foreach_abs(gradients))

    @torch.no_grad()
    def add_values(self) -> None:
        """Note the changed values, after the optimizer's step."""
        largest = self.open[CHANGED]
        if largest:
            # Subnormal differences count too: x - y is 0 in IEEE arithmetic only where x equals y.
            changes = torch._foreach_sub([self.parameters[name] for name in largest], [self.start[n] for n in largest])
            torch._foreach_abs_(changes)
            torch._foreach_maximum_(list(largest.values()), changes)
        self.steps += 1
        if self.steps.bit_count() == 1:  # 1, 2, 4, 8 ..: most are done after a few steps
            self.close()

    def close(self) -> None:
        """Look no more at tensors whose bits are all set: now and then, since it waits for the device."""
        for bit, largest in self.open.items():
            done = torch.stack([(value != 0).all() for value in largest.values()]).tolist() if largest else []
            self.open[bit] = {
                name: value for (name, value), whole in zip(largest.items(), done, strict=True) if not whole
            }

    def tensors(self) -> dict[str, torch.Tensor]:
        """uint8 tensors named as the parameters: 1 for a gradient that was not zero, 2 for a changed value."""
        return {name: self._bits(GRADIENT, name) + self._bits(CHANGED, name) for name in self.parameters}

    def _bits(self, bit: int, name: str) -> torch.Tensor:
        """A bit of every value of a tensor, uint8; closed tensors have all of them."""
        largest = self.open[bit].get(name)
        if largest is None:
            return torch.full(self.start[name].shape, bit, dtype=torch.uint8, device=self.start[name].device)
        return (bit * (largest != 0)).to(torch.uint8).contiguous()

    def save(self, path: Path) -> None:
        """Write the bits as a safetensors file."""
        store.save_tensors(path, self.tensors())
