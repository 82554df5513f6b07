"""Options that a user's config sets, declared where they are used: as keyword-only parameters of a function."""

import inspect
from typing import Literal, get_args, get_origin


def declared(function, what: str, skip: tuple[str, ...] = ()) -> dict[str, tuple]:
    """The options of a function: name -> (annotation, default), from its keyword-only parameters but `skip`.

    The annotation is a Literal, int, float or bool. Raises ValueError, which begins with `what`, for an option without
    such an annotation or without a default.
    """
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or name in skip:
            continue
        kind = parameter.annotation
        if parameter.default is parameter.empty or not (kind in (int, float, bool) or get_origin(kind) is Literal):
            raise ValueError(
                f"{what}: option '{name}' of its {function.__name__}() needs a default and an annotation: "
                "Literal[..], int, float or bool"
            )
        found[name] = (kind, parameter.default)
    return found


def check(known: dict[str, tuple], chosen: dict, what: str) -> None:
    """Raises ValueError, which begins with `what`, naming the first option that is unknown or whose value is not
    allowed; known: as `declared` returns it."""
    for name, value in chosen.items():
        if name not in known:
            names = ", ".join(known) or "none"
            raise ValueError(f"{what}: option '{name}' ({value!r}) is unknown; allowed: {names}")
        kind = known[name][0]
        if not _fits(value, kind):
            allowed = ", ".join(map(repr, get_args(kind))) or f"a value of type {kind.__name__}"
            raise ValueError(f"{what}: option '{name}' is {value!r}; allowed: {allowed}")


def _fits(value, kind) -> bool:
    """Whether a value is of an option's type; True is no 1, and a whole number is a float."""
    if get_origin(kind) is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(kind))
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind
