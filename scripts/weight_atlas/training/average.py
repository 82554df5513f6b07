"""Averaged weights: what is evaluated and kept in the place of the weights that are trained."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn
from torch.optim import swa_utils

from weight_atlas.settings import EMA, SWA


class Average:
    """The average of a model's weights, by torch.optim.swa_utils.AveragedModel.

    An EMA takes in the weights and the running statistics after every step. An SWA takes in the weights after its epoch
    `start` and each later one, and its running statistics are estimated anew from the images of that epoch.
    """

    def __init__(self, settings: EMA | SWA, model: nn.Module):
        self.settings = settings
        function = swa_utils.get_ema_multi_avg_fn(settings.decay) if isinstance(settings, EMA) else None
        self.averaged = swa_utils.AveragedModel(model, multi_avg_fn=function, use_buffers=isinstance(settings, EMA))

    def add_step(self, model: nn.Module) -> None:
        """Take in the model after a step."""
        if isinstance(self.settings, EMA):
            self.averaged.update_parameters(model)

    def add_epoch(self, model: nn.Module, epoch: int, batches: Callable[[], Iterable[Tensor]]) -> None:
        """Take in the model after an epoch.

        Parameters
        ----------
        batches : callable
            The images of the epoch, as they were trained on.
        """
        if isinstance(self.settings, SWA) and epoch >= self.settings.start:
            self.averaged.update_parameters(model)
            swa_utils.update_bn(batches(), self.averaged.module)

    def model(self, trained: nn.Module) -> nn.Module:
        """The averaged model; the trained one as long as there is no average."""
        averaged: nn.Module = self.averaged.module
        return averaged if self.averaged.n_averaged else trained

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of it."""
        return self.averaged.state_dict()

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `tensors` gave."""
        self.averaged.load_state_dict(tensors)
