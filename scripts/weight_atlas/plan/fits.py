"""Whether a cell's settings fit its network and its data, so that what cannot train is seen before anything does."""

import math
from collections.abc import Mapping
from typing import Any

from weight_atlas import perturbations
from weight_atlas.networks.table import Table
from weight_atlas.plan import spec
from weight_atlas.plan.cell import Data
from weight_atlas.plan.checks import ConfigError, Overlay, place
from weight_atlas.plan.plugin_errors import in_one_line
from weight_atlas.plugins import Option
from weight_atlas.settings import SWA, Settings, Training
from weight_atlas.training.frozen import fixed_layers

LARGEST = 10**9  # number in an option
EPOCHS = 100_000  # of all stages
PARAMETERS = 10**10  # of a network, at most: 40 GB per snapshot


def step_options(kind: str, where: str) -> dict[str, Option]:
    """The options of a type of perturbation; ConfigError where there is none of that name."""
    known = perturbations.names()
    if kind not in known:
        raise ConfigError(f"{where}.type: there is no perturbation {kind!r}; {spec.near(kind, known)}")
    with in_one_line(f"{where}.type"):
        return perturbations.options(kind)


def check_known(options: dict[str, Any], declared: Mapping[str, Option], where: str, others: list[str]) -> None:
    """Refuse options that are none of those declared (or `others`, keys beside them), and numbers that are none."""
    for name, value in options.items():
        if name not in declared:
            raise ConfigError(f"{where}: unknown key {name!r}; {spec.near(name, [*others, *declared])}")
        if isinstance(value, int | float) and not abs(value) <= LARGEST:
            raise ConfigError(f"{where}.{name}: {spec.shown(value)} is not allowed; give a number up to {LARGEST:,}")


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


def check_size(table: Table, architecture: str, where: str) -> None:
    """Refuse a network that no machine here could hold."""
    if table.parameter_count > PARAMETERS:
        raise ConfigError(
            f"{where}: {architecture} has {table.parameter_count:,} parameters; allowed: up to {PARAMETERS:,}; "
            "lower its width or its options"
        )


def check_frozen(stages: list[dict[str, Any]], table: Table, overlays: list[Overlay]) -> None:
    """Refuse stages that freeze all layers, or layers that are not there."""
    names = [layer.name for layer in table.weight_layers]
    for number, stage in enumerate(stages):
        frozen, key = stage["frozen"], place(overlays, "stages", str(number), "frozen")
        if isinstance(frozen, int) and frozen >= len(names):
            raise ConfigError(
                f"{key}: {frozen} of {len(names)} weight layers leaves nothing to train; allowed: 0 to {len(names) - 1}"
            )
        if isinstance(frozen, list):
            check_layers(frozen, table, key)
            if set(names) <= set(table.select(frozen)):
                raise ConfigError(f"{key}: all {len(names)} weight layers leaves nothing to train; leave some out")


def check_penalty(penalty: dict[str, Any] | None, table: Table, overlays: list[Overlay]) -> None:
    """Refuse a penalty on layers without weights."""
    names = [layer.name for layer in table.weight_layers]
    for name in (penalty["layers"] or []) if penalty else []:
        if not any(f"{layer}.".startswith(f"{name}.") for layer in names):
            key = place(overlays, "penalty", "layers")
            raise ConfigError(f"{key}: {name!r} is no layer with weights; {spec.near(name, names)}")


def check_output_scale(scale: float | None, table: Table, overlays: list[Overlay]) -> None:
    """Refuse an output scale where a network is not one function of its parameters while it is trained."""
    kinds = [layer.kind for layer in table.layers if layer.kind.startswith(("BatchNorm", "Dropout"))]
    if scale is not None and kinds:
        raise ConfigError(
            f"{place(overlays, 'output_scale')}: {scale:g}, for a network with {kinds[0]}; allowed: networks without "
            "BatchNorm and dropout"
        )


def check_average(training: Training, table: Table, overlays: list[Overlay]) -> None:
    """Refuse an average that never begins, and one whose statistics are estimated anew where some are to stay."""
    average = training.average
    if not isinstance(average, SWA):
        return
    if average.start > training.epochs:
        raise ConfigError(
            f"{place(overlays, 'average', 'start')}: {average.start} of {training.epochs} epochs; allowed: 1 to "
            f"{training.epochs}"
        )
    for stage in training.stages:
        for name in fixed_layers(table, table.select(stage.frozen), training):
            if table[name].kind == "BatchNorm2d":
                raise ConfigError(
                    f"{place(overlays, 'average')}: 'swa' estimates all running statistics anew, and the frozen "
                    f"BatchNorm {name!r} keeps its own; allowed: ema, or frozen_batchnorm: batch"
                )


def check_layers(layers: list[str] | None, table: Table, where: str) -> None:
    """Refuse names that are of no layer with tensors."""
    names = [layer.name for layer in table.layers if layer.parameters]
    for name in layers or []:
        if not any(f"{layer}.".startswith(f"{name}.") for layer in names):
            raise ConfigError(f"{where}: {name!r} is no layer; {spec.near(name, names)}")


def check_scaled(optimizer: dict[str, Any], table: Table, where: str) -> None:
    """Refuse rates for layers that are not there."""
    scale = optimizer["lr_scale"]
    check_layers(list(scale) if isinstance(scale, dict) else None, table, f"{where}.lr_scale")


def check_drawn(start: dict[str, Any], table: Table, where: str) -> None:
    """Refuse schemes for layers that are not there, and groups that do not divide the channels."""
    draws = [start, *start.get("by_layer", [])]
    for number, draw in enumerate(draws[1:]):
        check_layers(draw["layers"], table, f"{where}.by_layer[{number}].layers")
    groups = max((draw.get("options", {}).get("groups", 1) for draw in draws), default=1)
    for layer in table.layers if groups > 1 else ():
        if layer.kind == "Conv2d" and layer.parameters["weight"][0] % groups:
            channels = layer.parameters["weight"][0]
            raise ConfigError(f"{where}.groups: {groups} do not divide the {channels} channels of {layer.name}")


def check_batches(training: Training, table: Table, images: int, overlays: list[Overlay]) -> None:
    """Refuse batches of one image where a BatchNorm that learns statistics sees one value per channel.

    images: of the training split. A last batch of one is left out (see `training.engine.steps_per_epoch`).
    """
    batch = min(training.batch_size, images * len(training.copies or [1]))
    if batch > 1:
        return
    for stage in training.stages:
        fixed = fixed_layers(table, table.select(stage.frozen), training)
        for layer in table.layers:
            if layer.is_batchnorm and layer.name not in fixed and math.prod(layer.out_shape[1:]) == 1:
                raise ConfigError(
                    f"{place(overlays, 'batch_size')}: one image per batch leaves the BatchNorm {layer.name!r} one "
                    "value per channel (its map is 1 x 1), of which it has no variance; give 2 or more"
                )


def check_schedules(training: spec.Training, overlays: list[Overlay]) -> None:
    """Refuse more epochs than anybody trains, and schedules that do not fit into the epochs of their stage."""
    stages = training.stages or [spec.Stage(epochs=training.epochs)]
    if (total := sum(stage.epochs for stage in stages)) > EPOCHS:
        raise ConfigError(f"{place(overlays, 'stages')}: has {total:,} epochs in all; allowed: up to {EPOCHS:,}")
    for number, stage in enumerate(stages):
        if stage.schedule:
            _check_schedule(stage.schedule, stage.epochs, overlays, ("stages", str(number), "schedule"))
    sharing = [stage.epochs for stage in stages if not stage.schedule]
    if sharing:
        _check_schedule(training.schedule, max(sharing), overlays, ("schedule",))


def _check_schedule(schedule: spec.Schedule, epochs: int, overlays: list[Overlay], keys: tuple[str, ...]) -> None:
    """Refuse a warmup that never ends, milestones that no epoch reaches, and tables of rates that are too short."""
    warmup = getattr(schedule, "warmup", 0)
    if warmup > epochs:
        raise ConfigError(f"{place(overlays, *keys, 'warmup')}: {warmup:g} of {epochs} epochs; allowed: 0 to {epochs}")
    late = [epoch for epoch in getattr(schedule, "milestones", []) if epoch >= epochs]
    if late:
        raise ConfigError(
            f"{place(overlays, *keys, 'milestones')}: {late[0]} is never reached, there are {epochs} epochs; "
            f"{f'allowed: 1 to {epochs - 1}' if epochs > 1 else 'give more epochs'}"
        )
    if isinstance(schedule, spec.RateTable) and len(schedule.rates) < epochs:
        raise ConfigError(
            f"{place(overlays, *keys, 'rates')}: {len(schedule.rates)} rates for {epochs} epochs; allowed: one each"
        )


def check_snapshots(snapshots: str | list[int], epochs: int, overlays: list[Overlay]) -> str | list[int]:
    """The epochs whose snapshots are kept, the ends among them; ConfigError where there is no such epoch."""
    if isinstance(snapshots, list):
        for epoch in snapshots:
            if epoch > epochs:
                key = place(overlays, "snapshots")
                raise ConfigError(f"{key}: there is no epoch {epoch}; allowed: 0 to {epochs}")
        return sorted({0, *snapshots, epochs})
    return snapshots


def check_take(epoch: int, settings: Settings, where: str) -> None:
    """Refuse an epoch whose snapshot a cell of these settings does not keep."""
    kept, epochs = settings.snapshots, settings.epochs
    is_kept = epoch <= epochs if kept == "all" else epoch in ((0, epochs) if kept == "ends" else kept)
    if not is_kept:
        few = ", ".join(map(str, (0, epochs) if kept == "ends" else kept[:20])) if kept != "all" else f"0 to {epochs}"
        raise ConfigError(f"{where}: epoch {epoch} of the cell is not kept; its kept epochs: {few}")
