"""What the fields of a JSON file may be, so that who reads one need not ask. No torch, no pandas."""

import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

LARGEST = 2**63  # no table has a larger number

Fields = Mapping[str, Callable[[Any], bool]]


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST  # a bool is none


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < LARGEST


def or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether a value is None, or fits."""
    return lambda value: value is None or fits(value)


def list_of(fits: Callable[[Any], bool], length: int | None = None) -> Callable[[Any], bool]:
    """Whether a value is a list (of this length), all of whose values fit."""
    return lambda value: isinstance(value, list) and length in (None, len(value)) and all(map(fits, value))


def object_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether a value is a JSON object all of whose values fit."""
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def find_mismatch(found: Any, needed: Fields, optional: Fields | None = None) -> str | None:
    """The first of the fields of a JSON object that is missing or not as it must be, in one line; None without any."""
    if not isinstance(found, dict):
        return f"{reprlib.repr(found)} is no JSON object"
    for name, fits in {**needed, **(optional or {})}.items():
        if name in found and not fits(found[name]):
            return f"{name} is {reprlib.repr(found[name])}"
        if name not in found and name in needed:
            return f"{name} is missing"
    return None
