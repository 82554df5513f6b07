"""Modules that a user may add to a folder of the library, a network or a perturbation, and the options they declare.

A module is named in the config by its file's name. Its options are the keyword-only parameters of its function.
"""

import importlib
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args, get_origin


class Option(NamedTuple):
    """What an option takes, a Literal, int, float or bool, and its default."""

    annotation: Any
    default: Any


def names(folders: Iterable[str]) -> list[str]:
    """Sorted names of the modules in some folders: their files without a leading underscore."""
    return sorted(set().union(*(_names(folder, os.stat(folder).st_mtime_ns) for folder in folders)))


@cache  # every cell of a plan asks
def _names(folder: str, changed: int) -> frozenset[str]:
    """Those of one folder, which was last changed at such a time."""
    stems = (file.stem for file in Path(folder).glob("*.py"))
    return frozenset(stem for stem in stems if stem.isidentifier() and not stem.startswith("_"))


def load(package: ModuleType, name: str, what: str, signature: str) -> ModuleType:
    """The module `name` of a package.

    Raises ValueError, which begins with `what` and the name, where there is no such file, or where it lacks the
    function of this signature.
    """
    known = names(package.__path__)
    if name not in known:
        raise ValueError(f"{what} '{name}': there is none; known: {', '.join(known)}")
    module = importlib.import_module(f"{package.__name__}.{name}")
    if not callable(getattr(module, signature.partition("(")[0], None)):
        raise ValueError(f"{what} '{name}': its file has no {signature}; add it")
    return module


def declared_options(function: Callable[..., object], what: str, skip: tuple[str, ...] = ()) -> dict[str, Option]:
    """The options of a function by name: its keyword-only parameters, `skip` apart.

    Raises ValueError, which begins with `what`, for an option without a default or an allowed annotation.
    """
    options = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or name in skip:
            continue
        kind = parameter.annotation
        if parameter.default is parameter.empty or not (kind in (int, float, bool) or get_origin(kind) is Literal):
            raise ValueError(
                f"{what}: option '{name}' of its {function.__name__}() needs a default and an annotation: "
                "Literal[..], int, float or bool"
            )
        options[name] = Option(kind, parameter.default)
    return options


def check_options(declared: Mapping[str, Option], values: Mapping[str, object], what: str) -> None:
    """Raises ValueError, which begins with `what`, for the first option that is unknown or has a wrong value."""
    for name, value in values.items():
        if name not in declared:
            known = ", ".join(declared)
            allowed = f"allowed: {known}" if known else "there are none"
            raise ValueError(f"{what}: option '{name}' ({value!r}) is unknown; {allowed}")
        kind = declared[name].annotation
        if not _has_type(value, kind):
            allowed = ", ".join(map(repr, get_args(kind))) or f"a value of type {kind.__name__}"
            raise ValueError(f"{what}: option '{name}' is {value!r}; allowed: {allowed}")


def _has_type(value: object, kind: Any) -> bool:
    """Whether a value is of an option's type; True is no 1, and a whole number is a float."""
    if get_origin(kind) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(kind))
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind
