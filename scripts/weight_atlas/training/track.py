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
        self.bits = {
            bit: {name: torch.zeros_like(value, dtype=torch.bool) for name, value in self.start.items()}
            for bit in (GRADIENT, CHANGED)
        }
        self.open = {bit: list(self.parameters) for bit in self.bits}
        self.steps = 0
        if start and recorded:
            for name, value in self.start.items():
                value.copy_(start[name])
                for bit, seen in self.bits.items():
                    seen[name].copy_(recorded[name] & bit != 0)
            self.close()

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Note the nonzero gradients of a step, after its backward pass."""
        for name in self.open[GRADIENT]:
            gradient = self.parameters[name].grad
            if gradient is not None:
                self.bits[GRADIENT][name] |= gradient != 0

    @torch.no_grad()
    def add_values(self) -> None:
        """Note the changed values, after the optimizer's step."""
        for name in self.open[CHANGED]:
            self.bits[CHANGED][name] |= self.parameters[name] != self.start[name]
        self.steps += 1
        if self.steps.bit_count() == 1:  # 1, 2, 4, 8 ..: most are done after a few steps
            self.close()

    def close(self) -> None:
        """Look no more at tensors whose bits are all set: now and then, since it waits for the device."""
        for bit, names in self.open.items():
            done = torch.stack([self.bits[bit][name].all() for name in names]).tolist() if names else []
            self.open[bit] = [name for name, whole in zip(names, done, strict=True) if not whole]

    def tensors(self) -> dict[str, torch.Tensor]:
        """uint8 tensors named as the parameters: 1 for a gradient that was not zero, 2 for a changed value."""
        gradient, changed = self.bits[GRADIENT], self.bits[CHANGED]
        return {
            name: (GRADIENT * gradient[name] + CHANGED * changed[name]).to(torch.uint8).contiguous()
            for name in self.parameters
        }

    def save(self, path: Path) -> None:
        """Write the bits as a safetensors file."""
        store.save_tensors(path, self.tensors())
