"""What is wrong with a config, in one line: the key, the value, what is allowed."""

import difflib
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

MANY = 30  # names that a line lists in full

Error = Mapping[str, Any]  # one of pydantic's ValidationError.errors()

# What a name may look like, by the pattern that pydantic checks: a pattern is for machines.
PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$": "letters, digits and _ . + -, a letter or digit first",
    r"^[a-z0-9][a-z0-9_-]*$": "small letters, digits, _ and -, a letter or digit first",
    r"^[a-z][a-z0-9_-]*$": "small letters, digits, _ and -, a letter first",
    r"^[0-9a-f]{32}$": "the 32 hexadecimal digits that md5sum prints",
    r"^[0-9a-f]{64}$": "the 64 hexadecimal digits that sha256sum prints",
}

# What may stand where a value is of another type or out of its range, by pydantic's word for the error.
ALLOWED: dict[str, Callable[[dict[str, Any]], str]] = {
    "int_type": lambda limit: "a whole number",
    "int_from_float": lambda limit: "a whole number",
    "float_type": lambda limit: "a number",
    "bool_type": lambda limit: "true or false",
    "string_type": lambda limit: "text (a number or a date as text is written in quotes)",
    "string_unicode": lambda limit: "text without half a character (\\ud800 to \\udfff)",
    "list_type": lambda limit: "a list, such as [a, b]",
    "dict_type": lambda limit: "a mapping, such as {key: value}",
    "model_type": lambda limit: "a mapping, such as {key: value}",
    "model_attributes_type": lambda limit: "a mapping, such as {key: value}",
    "finite_number": lambda limit: "a finite number",
    "greater_than": lambda limit: f"a number above {limit['gt']:g}",
    "greater_than_equal": lambda limit: f"{limit['ge']:g} or more",
    "less_than": lambda limit: f"a number below {limit['lt']:g}",
    "less_than_equal": lambda limit: f"at most {limit['le']:g}",
    "string_pattern_mismatch": lambda limit: PATTERNS.get(limit["pattern"], limit["pattern"]),
    "string_too_long": lambda limit: f"at most {limit['max_length']:,} characters",
    "too_short": lambda limit: f"at least {limit['min_length']} of them",
    "too_long": lambda limit: f"at most {limit['max_length']} of them",
    "literal_error": lambda limit: limit["expected"],
}


class UnknownKey(ValueError):
    """A key that a mapping does not have."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Shown(reprlib.Repr):
    """A value for a line: short, however large it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 60, 60

    def repr_date(self, value: object, level: int) -> str:
        return str(value)

    def repr_datetime(self, value: object, level: int) -> str:
        return str(value)

    def repr_int(self, value: int, level: int) -> str:
        return repr(value) if abs(value) < 10**30 else "a number of more than 30 digits"


shown = Shown().repr


def near(word: object, known: Iterable[str], given: str = "allowed") -> str:
    """ "did you mean 'x'?" where one of the known words is close, else what is allowed."""
    words = list(known)
    lower = {name.lower(): name for name in reversed(words)}
    if close := difflib.get_close_matches(str(word)[:100].lower(), lower, n=1, cutoff=0.7):
        return f"did you mean {lower[close[0]]!r}?"
    if not words:
        return "none are defined"
    return f"{given}: {', '.join(words[:MANY])}{' ..' if len(words) > MANY else ''}"


def line(error: ValidationError, where: str, given: Any) -> str:
    """The first thing that is wrong with `given`, in one line: the key (after `where`), the value, what is allowed."""
    wrong = first(error, given)
    place = ".".join(filter(None, [where, *wrong.keys]))
    return f"{place}: {wrong.message}" if place else wrong.message


class Wrong(NamedTuple):
    """What is wrong with the value at some keys; `key` is the one too much there, where it is that."""

    keys: list[str]
    message: str
    key: str | None


def first(error: ValidationError, given: Any) -> Wrong:
    """The first thing that is wrong with `given`.

    Where a value may be one of several things, it is told of the one that it fits furthest.
    """
    found = [(_keys(one, given), one) for one in error.errors(include_url=False)]
    start = found[0][0]
    there = [keys for keys, _ in found if keys[: len(start)] == start]
    deepest = max(there, key=len)
    errors = [one for keys, one in found if keys == deepest]
    raised = [one["ctx"]["error"] for one in errors if one["type"] == "value_error"]
    unknown = next((error.key for error in raised if isinstance(error, UnknownKey)), None)
    return Wrong(deepest, _message(errors), unknown)


def _keys(error: Error, given: Any) -> list[str]:
    """The keys of the config in pydantic's location, which also names the branches of unions."""
    loc = error["loc"][:-2] if error["loc"][-1:] == ("[key]",) else error["loc"]
    keys = []
    for position, step in enumerate(loc):
        has_step = step in given if isinstance(given, dict) else isinstance(given, list) and isinstance(step, int)
        if has_step:
            given = given[step]
        if has_step or (error["type"] == "missing" and position == len(loc) - 1):
            keys.append(str(step))
    return keys


def _message(errors: Sequence[Error]) -> str:
    """What is wrong with one value; several errors are of the several things that it may be."""
    one = next((one for one in errors if one["type"] not in ALLOWED), errors[0])
    value, limits = one["input"], one.get("ctx", {})
    if one["loc"][-1:] == ("[key]",):
        if isinstance(value, str):
            return f"the name {shown(value)} is not allowed; give {ALLOWED[one['type']](limits)}"
        return f"the name {shown(value)} is no text; write it in quotes"
    match one["type"]:
        case "missing":
            return "is missing; the config must give it"
        case "union_tag_not_found":
            return f"its {_tag(limits)} is missing; the config must give it"
        case "union_tag_invalid":
            tags = [tag.strip("' ") for tag in limits["expected_tags"].split(",")]
            return f"its {_tag(limits)} {limits['tag']!r} is not known; {near(limits['tag'], tags)}"
        case "value_error":
            return str(one["msg"]).removeprefix("Value error, ")
    if value is None:
        return "is empty; give it a value, or leave the key out"
    if one["type"] == "too_short" and not value:
        return f"is empty; {_allowed(errors)}"
    return f"{shown(value)} is not allowed; {_allowed(errors)}"


def _allowed(errors: Sequence[Error]) -> str:
    """What may stand there instead, by all of the errors of one value."""
    words = [ALLOWED[one["type"]](one.get("ctx", {})) for one in errors if one["type"] in ALLOWED]
    literals = [one["ctx"]["expected"] for one in errors if one["type"] == "literal_error"]
    choices = [choice for text in literals for choice in re.findall(r"'([^']*)'", text)]
    if isinstance(errors[0]["input"], str) and (close := near(errors[0]["input"], choices)).endswith("?"):
        return close
    return f"give {' or '.join(dict.fromkeys(words))}"


def _tag(limits: Mapping[str, Any]) -> str:
    """The key that says which of several things a mapping is."""
    return f"`{limits['discriminator'].strip(chr(39))}`"
