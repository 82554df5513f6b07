"""What a config may say: one line for what cannot be run, and the pieces that the plan checks by."""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from weight_atlas import perturbations
from weight_atlas.networks.table import Table
from weight_atlas.plan import spec
from weight_atlas.plan.cell import Data
from weight_atlas.plugins import Option
from weight_atlas.settings import Settings

T = TypeVar("T")


class ConfigError(ValueError):
    """Something in the config that cannot be run, in one line."""


def check(model: type[T] | TypeAdapter[T], value: Any, where: str) -> T:
    """`value` as `model`, or a ConfigError with the one line that says what is wrong."""
    adapter: TypeAdapter[T] = model if isinstance(model, TypeAdapter) else _adapter(cast(Hashable, model))
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise ConfigError(spec.line(error, where, value)) from None


@cache  # making one takes longer than what it checks
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def merge(*parts: dict[str, Any]) -> dict[str, Any]:
    """The parts on top of each other; dictionaries are merged, everything else is replaced."""
    result: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            same = both and value.get("type", result[key].get("type")) == result[key].get("type")
            result[key] = merge(result[key], value) if same else value
    return result


def matches(where: dict[str, Any], labels: dict[str, Any], key: str) -> bool:
    """Whether the labels are those that `where` names (one or several a key)."""
    for axis, allowed in where.items():
        if axis not in labels:
            raise ConfigError(f"{key}: {axis!r} is not an axis; allowed: {', '.join(labels)}")
        if labels[axis] not in (allowed if isinstance(allowed, list) else [allowed]):
            return False
    return True


def step_options(kind: str, where: str) -> dict[str, Option]:
    """The options of a type of perturbation; ConfigError where there is none of that name."""
    try:
        return perturbations.options(kind)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def check_images(data: Data, channels: int, classes: int, where: str) -> None:
    """Refuse a data set that a given network cannot see, or whose classes it has no output for."""
    image_channels = data.facts["channels"]
    if image_channels not in (1, channels):
        raise ConfigError(
            f"{where}.dataset: its images have {image_channels} channels, the network takes {channels}; give others"
        )
    if classes < len(data.facts["classes"]):
        raise ConfigError(
            f"{where}.dataset: has {len(data.facts['classes'])} classes, and the network {classes} outputs; give "
            "another data set, or leave it out"
        )


def check_frozen(stages: list[dict[str, Any]], table: Table, where: str) -> None:
    """Refuse stages that freeze all layers, or layers that are not there."""
    names = [layer.name for layer in table.weight_layers]
    for stage in stages:
        frozen = stage["frozen"]
        if isinstance(frozen, int) and frozen >= len(names):
            raise ConfigError(
                f"{where}.training.stages.frozen: {frozen} of {len(names)} weight layers leaves nothing to train; "
                f"allowed: 0 to {len(names) - 1}"
            )
        check_layers(frozen if isinstance(frozen, list) else None, table, f"{where}.training.stages.frozen")


def check_penalty(penalty: dict[str, Any] | None, table: Table, where: str) -> None:
    """Refuse a penalty on layers without weights."""
    names = [layer.name for layer in table.weight_layers]
    for name in (penalty["layers"] or []) if penalty else []:
        if not any(f"{layer}.".startswith(f"{name}.") for layer in names):
            raise ConfigError(f"{where}.training.penalty.layers: {name!r} has no weights; allowed: {', '.join(names)}")


def check_layers(layers: list[str] | None, table: Table, where: str) -> None:
    """Refuse names that are of no layer with tensors."""
    names = [layer.name for layer in table.layers if layer.parameters]
    for name in layers or []:
        if not any(f"{layer}.".startswith(f"{name}.") for layer in names):
            raise ConfigError(f"{where}: {name!r} is no layer; allowed: {', '.join(names)}")


def check_snapshots(snapshots: str | list[int], epochs: int, where: str) -> str | list[int]:
    """The epochs whose snapshots are kept, the ends among them; ConfigError where there is no such epoch."""
    if isinstance(snapshots, list):
        for epoch in snapshots:
            if epoch > epochs:
                raise ConfigError(f"{where}.training.snapshots: there is no epoch {epoch}; allowed: 0 to {epochs}")
        return sorted({0, *snapshots, epochs})
    return snapshots


def check_take(epoch: int, settings: Settings, where: str) -> None:
    """Refuse an epoch whose snapshot a cell of these settings does not keep."""
    kept, epochs = settings.snapshots, settings.epochs
    is_kept = epoch <= epochs if kept == "all" else epoch in ((0, epochs) if kept == "ends" else kept)
    if not is_kept:
        raise ConfigError(f"{where}: epoch {epoch} of the cell is not kept; allowed: last, best, or a kept epoch")
