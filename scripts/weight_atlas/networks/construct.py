"""The torch module of a network that a module of Python makes: torchvision's, or a user's."""

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from weight_atlas.networks import named


class Untraceable(ValueError):
    """A network that cannot be made or run; one line."""


def construct(network: Mapping[str, Any], channels: int, size: int, classes: int) -> nn.Module:
    """The module of a network that a module of Python makes, for images [N, channels, size, size].

    What makes it is called with the options of the config, and with `num_classes`, `in_channels` and `image_size` as
    far as it declares them. torchvision's classifiers get a first convolution for `channels` where these are not three,
    and `stem: small` gives any network one of 3x3 pixels and stride 1 without a max pooling behind it.

    Raises
    ------
    Untraceable
        Where there is no such module or name, or what it makes is no torch module.
    """
    module, _, name = network["architecture"].partition(":")
    factory = getattr(_module(module), name, None)
    if not callable(factory):
        raise Untraceable(f"{module} has no {name}; give the name of a class or function that makes a network")
    options = dict(network.get("options") or {})
    stem = options.pop("stem", None)
    if stem not in (None, "small"):
        raise Untraceable(f"stem is {stem!r}; allowed: small")
    if network.get("width", 1.0) != 1.0:
        options["width"] = network["width"]
    declared = inspect.signature(factory).parameters
    known = {"num_classes": classes, "in_channels": channels, "image_size": size}
    given = {key: value for key, value in known.items() if key in declared}
    if named.is_torchvision(network["architecture"]):
        given |= {"num_classes": classes} | _of_torchvision(name, size)
    model = factory(**(given | options))
    if not isinstance(model, nn.Module):
        raise Untraceable(f"{name} of {module} makes a {type(model).__name__}; it must make a torch.nn.Module")
    if stem or named.is_torchvision(network["architecture"]):
        _fit_stem(model, channels, is_small=stem == "small")
    return model


def _module(name: str) -> Any:
    """A module by its name, or by its file's."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    content = hashlib.sha256(Path(name).read_bytes()).hexdigest()[:16]
    label = f"weight_atlas_user_{content}"  # another content is another module
    if label not in sys.modules:
        spec = importlib.util.spec_from_file_location(label, name)
        if spec is None or spec.loader is None:
            raise Untraceable(f"{name} is no file of Python")
        sys.modules[label] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[label])
        except BaseException:
            del sys.modules[label]
            raise
    return sys.modules[label]


def _of_torchvision(name: str, size: int) -> dict[str, Any]:
    """What torchvision's classifiers need beside the number of classes."""
    if name.startswith("vit_"):
        return {"image_size": size}
    if name.startswith("maxvit_"):
        return {"input_size": (size, size)}
    return {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}


def _fit_stem(model: nn.Module, channels: int, is_small: bool) -> None:
    """Replace the first convolution by one for `channels`; where `is_small`, one of at most 3x3 pixels and stride 1,
    and by nothing the max pooling before the second one."""
    layers = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Conv2d | nn.MaxPool2d)]
    convolutions = [name for name, part in layers if isinstance(part, nn.Conv2d)]
    if not convolutions:
        raise Untraceable("it has no convolution, and so no stem to change")
    first = model.get_submodule(convolutions[0])
    assert isinstance(first, nn.Conv2d)
    if first.in_channels == channels and not is_small:
        return
    kernel: tuple[int, ...] = tuple(min(side, 3) for side in first.kernel_size) if is_small else first.kernel_size
    made = nn.Conv2d(
        channels,
        first.out_channels,
        kernel,  # type: ignore[arg-type]  # a pair
        1 if is_small else first.stride,  # type: ignore[arg-type]
        tuple(side // 2 for side in kernel) if is_small else first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    model.set_submodule(convolutions[0], made)
    after = [name for name, _ in layers]
    end = after.index(convolutions[1]) if len(convolutions) > 1 else len(after)
    for name, part in layers[:end] if is_small else ():
        if isinstance(part, nn.MaxPool2d):
            model.set_submodule(name, nn.Identity())


@contextlib.contextmanager
def no_storage() -> Iterator[None]:
    """Within, parameters of new modules have shapes and no values; all other tensors are real.

    torch.device("meta") would take the values from what a constructor computes too (as RegNet's does).
    """
    register = nn.Module.register_parameter

    def emptied(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None and param.device.type != "meta":
            param = nn.Parameter(param.to("meta"), param.requires_grad)
        register(self, name, param)

    nn.Module.register_parameter = emptied  # type: ignore[method-assign]
    try:
        with torch.device("cpu"):
            yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
