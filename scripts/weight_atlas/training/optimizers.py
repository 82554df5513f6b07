"""A cell's optimizer, and its state as tensors by name."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from weight_atlas.settings import Optimizer


def _plain(kind: type[torch.optim.Optimizer]) -> Any:
    """torch's optimizer with its methods as they are below their decorators.

    These are for torch's compiler, which nothing here uses, and import it: two seconds of each job.
    """
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad", "step")}
    return type(kind.__name__, (kind,), methods | {"step": torch.no_grad()(methods["step"])})


SGD, Adam = _plain(torch.optim.SGD), _plain(torch.optim.Adam)


def create_optimizer(settings: Optimizer, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """The optimizer of these parameters at the learning rate of a stage."""
    options = settings.options | {"lr": lr}
    made: torch.optim.Optimizer
    match settings.type:
        case "sgd":
            made = SGD(parameters, **options)
        case "adam":
            made = Adam(parameters, **(options | {"betas": tuple(options["betas"])}))
        case other:
            raise ValueError(f"optimizer {other!r} is not known; allowed: sgd, adam")
    return made


def optimizer_state(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The optimizer's state as tensors named `<parameter>:<key>`, on the CPU."""
    return {
        f"{name}:{key}": value.detach().cpu().contiguous()
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
) -> None:
    """Give a fresh optimizer the state that `optimizer_state` returned, as far as it holds these parameters."""
    for name_and_key, value in state.items():
        name, _, key = name_and_key.rpartition(":")
        if parameters[name].requires_grad:
            # Adam's step counter stays on the CPU; what has the parameter's shape goes where the parameter is.
            like = parameters[name] if value.shape == parameters[name].shape else torch.empty(())
            optimizer.state[parameters[name]][key] = torch.empty_like(like).copy_(value)
