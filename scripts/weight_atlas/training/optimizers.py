"""A cell's optimizer, and its state as tensors by name."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from weight_atlas.settings import Optimizer

# The classes of torch.optim by their names in a config.
NAMES = {
    name.lower(): name
    for name in (
        *("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta", "ASGD", "Rprop"),
        "Adafactor",
    )
}


def plain(name: str) -> Any:
    """A class of torch.optim, by its name in a config, with its methods as they are below their decorators.

    These are for torch's compiler, which nothing here uses, and import it: two seconds of each job.
    """
    kind = getattr(torch.optim, NAMES[name])
    methods = {method: inspect.unwrap(getattr(kind, method)) for method in ("add_param_group", "zero_grad", "step")}
    return type(kind.__name__, (kind,), methods | {"step": torch.no_grad()(methods["step"])})


def create_optimizer(settings: Optimizer, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """The optimizer of these parameters at the learning rate of a stage.

    Where `weight_decay` is for weights alone, biases and the parameters of normalisations are a group without.
    """
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.options.items()}
    own = list(parameters)
    groups: list[dict[str, Any]] = [{"params": own}]
    if options.pop("decay", "all") == "weights":
        groups = [{"params": [one for one in own if one.ndim > 1]}]
        groups += [{"params": [one for one in own if one.ndim <= 1], "weight_decay": 0.0}]
        groups = [group for group in groups if group["params"]]
    made: torch.optim.Optimizer = plain(settings.type)(groups, **(options | {"lr": lr}))
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
            # Counters stay on the CPU; all else goes where the parameter is, in its order of memory.
            parameter = parameters[name]
            if value.shape == parameter.shape:
                held = torch.empty_like(parameter).copy_(value)
            else:
                held = value.to(parameter.device if value.ndim else "cpu", copy=True)
            optimizer.state[parameter][key] = held
