"""The cells that start from cells of a study's grid: perturbed and trained again, or grafted onto another task."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from weight_atlas.networks.table import Table
from weight_atlas.plan import spec
from weight_atlas.plan.cell import Cell, LayerTransfer, Perturbation
from weight_atlas.plan.checks import ConfigError, Overlay
from weight_atlas.plan.fits import step_options
from weight_atlas.plan.labels import Labels, check_count, check_rule, matches
from weight_atlas.plan.resolve import Combination, Resolver

CONTROLS = {
    "same": ("none (same order)", Perturbation([])),
    "other": ("none (other order)", Perturbation([], order="other")),
    "repeat": ("none (repeated)", Perturbation([], repeat=1)),
}


@dataclass(frozen=True)
class Parent:
    """A cell of a grid with what it was made from: its labels, its network (a variant of the one that its label names,
    where a level gives it other options), and what was put on top of its training."""

    cell: Cell
    labels: dict[str, str]
    network: str
    changes: list[Overlay]
    sets: list[Overlay]


class Child(NamedTuple):
    """A cell that starts from one of the grid: its role in the study, its labels, its id."""

    role: str
    labels: dict[str, str]
    cell_id: str


class Change(NamedTuple):
    """A perturbation, or a control of some, with the role of its cells and the label that tells it apart."""

    role: str
    label: str
    perturbation: Perturbation


class Level(NamedTuple):
    """A level of an axis, the settings that it puts on top, and where it is written."""

    axis: str
    label: str
    overrides: spec.Overrides
    place: str

    def overlay(self, key: Literal["training", "set", "options"]) -> Overlay:
        """One part of its settings."""
        return Overlay(f"{self.place}.{key}", getattr(self.overrides, key))


class Rung(NamedTuple):
    """The steps of a perturbation with one value per option, and the words that tell them from the other rungs'."""

    words: list[str]
    steps: list[spec.Step]


class StepChoice(NamedTuple):
    """A step with one value per option, and the words that tell it from the other choices."""

    words: list[str]
    step: spec.Step


def perturbed(
    resolver: Resolver, study: spec.Design, parents: list[Parent], every: list[Labels], where: str
) -> Iterator[Child]:
    """Each chosen parent's perturbed cells, and its controls: the same retraining without a perturbation.

    every: the labels of the grid, also of cells that are left out.
    """
    is_list = isinstance(study.perturb, list)
    for number, perturb in enumerate(study.perturb if isinstance(study.perturb, list) else [study.perturb]):
        key = f"{where}.perturb.{number}" if is_list else f"{where}.perturb"
        check_rule(perturb.where, every, f"{key}.where")
        for parent in parents:
            if not matches(perturb.where, parent.labels):
                continue
            changes = [*parent.changes, Overlay(f"{key}.training", perturb.training)]
            sets = [*parent.sets, Overlay(f"{key}.set", perturb.set)]
            combination = Combination(parent.labels | {"network": parent.network}, changes, sets, key)
            for role, label, perturbation in _changes(resolver.config, perturb, parent.cell.table, key):
                perturbation = replace(perturbation, take=perturb.take, state=perturb.state)
                cell = resolver.perturbed(parent.cell, combination, perturbation)
                yield Child(role, parent.labels | {"perturbation": label}, cell.cell_id)


def _changes(config: spec.Config, perturb: spec.Perturb, table: Table, where: str) -> Iterator[Change]:
    """The perturbations that a study names, ladders expanded, then the controls."""
    for name in perturb.perturbations:
        if name not in config.perturbations:
            near = spec.near(name, config.perturbations)
            raise ConfigError(f"{where}.perturbations: {name!r} is not one of the perturbations; {near}")
        steps = config.perturbations[name]
        for rung in _rungs(steps if isinstance(steps, list) else [steps], table, name):
            change = Perturbation(rung.steps, place=f"perturbations.{name}")
            yield Change("perturbed", "-".join([name, *rung.words]), change)
    for control in perturb.controls:
        yield Change("control", *CONTROLS[control])


def _rungs(steps: list[spec.Step], table: Table, name: str) -> Iterator[Rung]:
    """Every rung of a ladder of steps."""
    places = [
        f"perturbations.{name}.{number}" if len(steps) > 1 else f"perturbations.{name}" for number in range(len(steps))
    ]
    choices = [list(_choices(step, table, place)) for step, place in zip(steps, places, strict=True)]
    check_count(math.prod(map(len, choices)), f"perturbations.{name}", "perturbations")
    for rung in itertools.product(*choices):
        yield Rung([word for choice in rung for word in choice.words], [choice.step for choice in rung])


def _choices(step: spec.Step, table: Table, where: str) -> Iterator[StepChoice]:
    """The step with one value of each of its options that is a list, and with one layer after the other for `each`."""
    declared = step_options(step.type, where)
    extra = step.model_extra or {}
    values = {name: value if isinstance(value, list) else [value] for name, value in extra.items()}
    for name, listed in values.items():
        if not listed or any(value in listed[:place] for place, value in enumerate(listed)):
            raise ConfigError(f"{where}.{name}: {spec.shown(listed)} is empty or has a value twice; give each once")
    check_count(math.prod(map(len, values.values())), where, "values of its options")
    each = step.layers == "each"
    layer_choices = [[layer.name] for layer in table.weight_layers] if step.layers == "each" else [step.layers]
    for layers, *choice in itertools.product(layer_choices, *values.values()):
        # YAML 1.1 reads 1e-3 as text: what is written as a number is taken as one.
        options = {
            name: spec.number(value) if name in declared and declared[name].annotation is float else value
            for name, value in zip(values, choice, strict=True)
        }
        words = list(layers or []) if each else []
        words += [_word(value) for name, value in options.items() if len(values[name]) > 1]
        yield StepChoice(words, spec.Step(type=step.type, layers=layers, tensors=step.tensors, **options))


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def transferred(
    resolver: Resolver, study: spec.Design, parents: list[Parent], every: list[Labels], where: str
) -> Iterator[Child]:
    """The cells of each transfer experiment: every mode and depth, for every base cell that it names.

    every: the labels of the grid, also of cells that are left out.
    """
    for name, transfer in study.transfer.items():
        if transfer.extra and resolver.config.cells == "document":
            continue
        key = f"{where}.transfer.{name}"
        bases = _bases(resolver, transfer, parents, every, key)
        for base, levels in itertools.product(bases, combined(transfer.vary, key)):
            labels = base.labels | {"dataset": transfer.target}
            for level in levels:
                labels |= level.overrides.labels
            has_other_network = labels["network"] != base.labels["network"]
            network = labels["network"] if has_other_network else base.network
            places = {"dataset": f"{key}.target"} | label_places(levels)
            options = [level.overlay("options") for level in levels]
            network = resolver.variant(network, options, places.get("network", key))
            own_training = Overlay(f"{key}.training", transfer.training)
            changes = [*base.changes, own_training, *(level.overlay("training") for level in levels)]
            sets = [*base.sets, Overlay(f"{key}.set", transfer.set), *(level.overlay("set") for level in levels)]
            combination = Combination(labels | {"network": network}, changes, sets, key, places)
            labels_in_full = labels | {level.axis: level.label for level in levels}
            for mode, depth in itertools.product(transfer.modes, _depths(transfer, base.cell.table, key)):
                layers = LayerTransfer(depth, mode, transfer.take)
                cell = resolver.transferred(base.cell, combination, layers)
                about = {"experiment": name, "base": transfer.base, "mode": mode, "depth": str(depth)}
                yield Child("extra" if transfer.extra else "transfer", labels_in_full | about, cell.cell_id)


def _bases(
    resolver: Resolver, transfer: spec.Transfer, parents: list[Parent], every: list[Labels], key: str
) -> list[Parent]:
    """The cells that a transfer takes layers of: those of the grid on its base; or given checkpoints, with the recipe
    of each cell of the grid on its target that has their network."""
    datasets, given = dict.fromkeys(labels["dataset"] for labels in every), resolver.config.given
    cell, wanted = None, {"dataset": transfer.base}
    if transfer.base in given and transfer.base not in datasets:
        cell = resolver.given_parent(transfer.base, transfer.take, f"{key}.base", f"{key}.take")
        wanted = {"dataset": transfer.target, "network": str(given[transfer.base].network)}
    own = [labels for labels in every if wanted.items() <= labels.items()]
    if not own:
        what = f"the data set {wanted['dataset']!r}" + (f" and the network {wanted['network']!r}" if cell else "")
        near = "add it to the grid" if cell else spec.near(transfer.base, [*datasets, *given])
        raise ConfigError(f"{key}.{'target' if cell else 'base'}: no cell of the grid has {what}; {near}")
    check_rule(transfer.where, own, f"{key}.where")
    found = [parent for parent in parents if wanted.items() <= parent.labels.items()]
    found = [parent for parent in found if matches(transfer.where, parent.labels)]
    return [replace(parent, cell=cell) for parent in found] if cell else found


def label_places(levels: Iterable[Level]) -> dict[str, str]:
    """Where the labels that levels put in place of the grid's are written, by axis."""
    return {axis: f"{level.place}.{axis}" for level in levels for axis in level.overrides.labels}


def combined(vary: dict[str, dict[str, spec.Overrides]], where: str) -> list[tuple[Level, ...]]:
    """Every combination of the levels of some further axes."""
    check_count(math.prod(map(len, vary.values())), f"{where}.vary", "combinations")
    axes = [
        [Level(axis, label, overrides, f"{where}.vary.{axis}.{label}") for label, overrides in levels.items()]
        for axis, levels in vary.items()
    ]
    return list(itertools.product(*axes))


def _depths(transfer: spec.Transfer, table: Table, where: str) -> list[int]:
    """The numbers of layers to take: those of the config, from none to all but the last, or as many as each stage of
    the network has up to its end."""
    last = len(table.weight_layers) - 1
    if transfer.depths == "all":
        return list(range(last + 1))
    if transfer.depths == "stages":
        return [0, *(depth for depth in table.stages if depth <= last)]
    for depth in transfer.depths:
        if depth > last:
            raise ConfigError(f"{where}.depths: {depth} of {last + 1} weight layers; allowed: 0 to {last}")
    return transfer.depths
