"""Settings that are put on top of each other, and the one line for what cannot be run: it names the place where the
user wrote it."""

from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from weight_atlas.plan import spec

T = TypeVar("T")


DEEPEST = 20  # levels of a config
VALUES = 100_000  # in a config, aliases written out


class ConfigError(ValueError):
    """Something in the config that cannot be run, in one line."""


def check(model: type[T] | TypeAdapter[T], value: Any, where: str) -> T:
    """`value` as `model`, or a ConfigError with the one line that says what is wrong."""
    try:
        return _validated(model, value)
    except ValidationError as error:
        raise ConfigError(spec.line(error, where, value)) from None


def _validated(model: type[T] | TypeAdapter[T], value: Any) -> T:
    adapter: TypeAdapter[T] = model if isinstance(model, TypeAdapter) else _adapter(cast(Hashable, model))
    return adapter.validate_python(value)


@cache  # making one takes longer than what it checks
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def check_extent(config: Any) -> None:
    """Refuse a config that is nested deeper, or whose aliases stand for more values, than anybody writes; and what is
    no plain value, or no text as a key."""
    waiting, count = [(config, "", 0)], 0
    while waiting:
        value, where, depth = waiting.pop()
        count += 1
        if depth > DEEPEST:
            raise ConfigError(f"{where.split('.')[0]}: is nested deeper than {DEEPEST} levels; write it flatter")
        if count > VALUES:
            raise ConfigError(f"{where.split('.')[0]}: the config has more than {VALUES:,} values; allowed: fewer")
        if isinstance(value, dict):
            place = f"{where}: " if where else ""
            for key in value:
                if isinstance(key, str) and len(key) > 200:
                    raise ConfigError(f"{place}the name {spec.shown(key)} is too long; allowed: up to 200 characters")
                if not isinstance(key, str):
                    raise ConfigError(f"{place}the name {spec.shown(key)} is no text; write it in quotes")
            waiting += [(inner, f"{where}.{key}".lstrip("."), depth + 1) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(inner, f"{where}.{place}", depth + 1) for place, inner in reversed(list(enumerate(value)))]
        elif not isinstance(value, str | int | float | None):
            raise ConfigError(f"{where or 'config'}: {spec.shown(value)} is no text; write it in quotes")


def merge(*parts: dict[str, Any]) -> dict[str, Any]:
    """The parts on top of each other; dictionaries are merged, everything else is replaced."""
    result: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            same = both and value.get("type", result[key].get("type")) == result[key].get("type")
            result[key] = merge(result[key], value) if same else value
    return result


class Overlay(NamedTuple):
    """Settings that are put on top of others, and where in the config they are written."""

    place: str
    settings: dict[str, Any]


def check_overlaid(model: type[T] | TypeAdapter[T], overlays: list[Overlay]) -> T:
    """The overlays on top of each other as `model`, or a ConfigError that names the place where it was written."""
    merged = merge(*(overlay.settings for overlay in overlays))
    try:
        return _validated(model, merged)
    except ValidationError as error:
        wrong = spec.first(error, merged)
        deepest = written(overlays, *wrong.keys, *([wrong.key] if wrong.key else []))
        raise ConfigError(f"{'.'.join([deepest.place, *wrong.keys])}: {wrong.message}") from None


def written(overlays: list[Overlay], *keys: str) -> Overlay:
    """The overlay that has the last word on the value of these keys, or on what lies above it; the first where none
    has."""
    depths = [_depth(overlay.settings, keys) for overlay in overlays]
    last = len(overlays) - 1 - depths[::-1].index(max(depths))
    return overlays[last if max(depths) or not keys else 0]


def found(settings: Any, keys: Sequence[str]) -> Any:
    """The value that the keys lead to, one within the other; None where they lead to nothing."""
    for key in keys:
        if isinstance(settings, list) and key.isdigit() and int(key) < len(settings):
            settings = settings[int(key)]
        else:
            settings = settings.get(key) if isinstance(settings, dict) else None
    return settings


def place(overlays: list[Overlay], *keys: str) -> str:
    """Where the user wrote the value of these keys."""
    return ".".join([written(overlays, *keys).place, *keys])


def _depth(settings: Any, keys: tuple[str, ...]) -> int:
    """How many of the keys lead into the settings, one within the other."""
    for depth, key in enumerate(keys):
        if isinstance(settings, list) and key.isdigit() and int(key) < len(settings):
            settings = settings[int(key)]
        elif isinstance(settings, dict) and key in settings:
            settings = settings[key]
        else:
            return depth
    return len(keys)
