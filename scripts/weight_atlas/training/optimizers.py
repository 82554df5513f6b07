"""A cell's optimizer, and its state as tensors by name."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from weight_atlas.networks.table import Table
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


def create_optimizer(
    settings: Optimizer, parameters: Mapping[str, nn.Parameter], lr: float, table: Table | None = None
) -> torch.optim.Optimizer:
    """The optimizer of these parameters (by their torch names) at the learning rate of a stage.

    Parameters are in groups: where `weight_decay` is for weights alone, biases and the parameters of normalisations
    have none, and `lr_scale` gives each layer of the table its own factor, "scale" of a group.
    """
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.options.items()}
    decay: Any = options.pop("decay", "all")
    scale: Any = options.pop("lr_scale", None)
    factors = rate_factors(table, scale) if table and scale else {}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        key = factors.get(name, 1.0), decay == "weights" and parameter.ndim <= 1
        groups.setdefault(key, []).append(parameter)
    own: list[dict[str, Any]] = [
        {"params": members, "lr": lr * factor, "scale": factor} | ({"weight_decay": 0.0} if bare else {})
        for (factor, bare), members in groups.items()
    ]
    made: torch.optim.Optimizer = plain(settings.type)(own, **(options | {"lr": lr}))
    return made


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group its learning rate: that of the stage, times the group's factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]


def rate_factors(table: Table, scale: float | Mapping[str, float]) -> dict[str, float]:
    """{parameter: factor of its learning rate}.

    scale: a number is raised to how many weight layers come after the layer, so that the last has 1; or a factor for
    each of some layers (names, or prefixes of names; the last that fits counts), 1 for all others.
    """
    rows = table.select(None)
    heavy = [rows.index(layer.name) for layer in table.weight_layers]
    if isinstance(scale, Mapping):
        factors = {name: factor for layers, factor in scale.items() for name in table.select([layers])}
    else:
        factors = {name: scale ** sum(other > at for other in heavy) for at, name in enumerate(rows)}
    return {table[name].tensor(own): factor for name, factor in factors.items() for own in table[name].parameters}


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
