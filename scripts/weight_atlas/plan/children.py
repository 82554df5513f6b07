"""The cells that start from cells of a study's grid: perturbed and trained again, or grafted onto another task."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from weight_atlas.networks.table import Table
from weight_atlas.plan import spec
from weight_atlas.plan.cell import Cell, LayerTransfer, Perturbation
from weight_atlas.plan.checks import ConfigError, matches, step_options
from weight_atlas.plan.resolve import Resolver

CONTROLS = {
    "same": ("none (same order)", {}),
    "other": ("none (other order)", {"order": "other"}),
    "repeat": ("none (repeated)", {"repeat": 1}),
}


@dataclass(frozen=True)
class Parent:
    """A cell of a grid with what it was made from: its labels, its network (a variant of the one that its label names,
    where a level gives it other options), and what was put on top of its training."""

    cell: Cell
    labels: dict[str, str]
    network: str
    changes: list[dict[str, Any]]
    sets: list[dict[str, Any]]


Child = tuple[str, dict[str, str], str]  # role, labels, cell id


def perturbed(resolver: Resolver, study: spec.Design, parents: list[Parent], where: str) -> Iterator[Child]:
    """Each chosen parent's perturbed cells, and its controls: the same retraining without a perturbation."""
    wanted = study.perturb if isinstance(study.perturb, list) else [study.perturb]
    for number, asked in enumerate(wanted):
        here = f"{where}.perturb.{number}" if isinstance(study.perturb, list) else f"{where}.perturb"
        chosen = [parent for parent in parents if matches(asked.where, parent.labels, f"{here}.where")]
        if not chosen:
            raise ConfigError(f"{here}.where: matches no cell of the grid; allowed: labels that its cells have")
        for parent in chosen:
            changes, sets = [*parent.changes, asked.training], [*parent.sets, asked.set]
            common = {"take": asked.take, "state": asked.state}
            for role, label, change in _changes(resolver.config, asked, parent.cell.table, here):
                change = Perturbation(**change, **common)
                known = parent.labels | {"network": parent.network}
                cell = resolver.perturbed(parent.cell, known, change, changes, sets, here)
                yield role, parent.labels | {"perturbation": label}, cell.cell_id


def _changes(config: spec.Config, asked: spec.Perturb, table: Table, where: str) -> Iterator[tuple]:
    """(role, label, what is done) of the perturbations that are asked for, ladders expanded, then of the controls."""
    for name in asked.perturbations:
        if name not in config.perturbations:
            known = ", ".join(config.perturbations) or "none"
            raise ConfigError(f"{where}.perturbations: {name!r} is not one of the perturbations; allowed: {known}")
        steps = config.perturbations[name]
        for suffix, chosen in _rungs(steps if isinstance(steps, list) else [steps], table, name):
            yield "perturbed", "-".join([name, *suffix]), {"steps": chosen}
    for control in asked.controls:
        label, settings = CONTROLS[control]
        yield "control", label, {"steps": [], **settings}


def _rungs(steps: list[spec.Step], table: Table, name: str) -> Iterator[tuple[list[str], list[spec.Step]]]:
    """(words that tell it from the others, steps with single values) of every rung of a ladder of steps."""
    for rung in itertools.product(*(list(_values(step, table, f"perturbations.{name}")) for step in steps)):
        yield [word for words, _ in rung for word in words], [step for _, step in rung]


def _values(step: spec.Step, table: Table, where: str) -> Iterator[tuple[list[str], spec.Step]]:
    """The step with one value of each of its options that is a list, and with one layer after the other for `each`."""
    known = step_options(step.type, where)
    given = {key: value if isinstance(value, list) else [value] for key, value in step.model_extra.items()}
    layers = [[layer.name] for layer in table.weight_layers] if step.layers == "each" else [step.layers]
    for chosen, *values in itertools.product(layers, *given.values()):
        # YAML 1.1 reads 1e-3 as text: what is written as a number is taken as one.
        numbers = [
            spec.number(value) if known.get(key, (None,))[0] is float else value
            for key, value in zip(given, values, strict=True)
        ]
        words = chosen if step.layers == "each" else []
        words = [*words, *(_word(value) for value, of in zip(numbers, given.values(), strict=True) if len(of) > 1)]
        options = dict(zip(given, numbers, strict=True))
        yield words, spec.Step(type=step.type, layers=chosen, tensors=step.tensors, **options)


def _word(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def transferred(resolver: Resolver, study: spec.Design, parents: list[Parent], where: str) -> Iterator[Child]:
    """The cells of each experiment: every mode and depth, for every base cell that it names."""
    for name, asked in study.transfer.items():
        here = f"{where}.transfer.{name}"
        bases = [p for p in parents if p.labels["dataset"] == asked.base and matches(asked.where, p.labels, here)]
        if not bases:
            raise ConfigError(f"{here}.base: no cell of the grid has the data set {asked.base!r}; add it to the grid")
        for parent, levels in itertools.product(bases, itertools.product(*_levels(asked))):
            extra = {axis: level for axis, level, _ in levels}
            labels = parent.labels | {"dataset": asked.target}
            for _, _, over in levels:
                labels |= over.labels
            own_network = labels["network"] != parent.labels["network"]
            network = labels["network"] if own_network else parent.network
            known = labels | {"network": resolver.variant(network, [over.options for _, _, over in levels])}
            changes = [*parent.changes, asked.training, *(over.training for _, _, over in levels)]
            sets = [*parent.sets, asked.set, *(over.set for _, _, over in levels)]
            for mode, depth in itertools.product(asked.modes, _depths(asked, parent.cell.table, here)):
                cell = resolver.transferred(
                    parent.cell, known, LayerTransfer(depth, mode, asked.take), changes, sets, here
                )
                own = {"experiment": name, "base": asked.base, "mode": mode, "depth": str(depth)}
                yield "extra" if asked.extra else "transfer", labels | extra | own, cell.cell_id


def _levels(asked: spec.Transfer) -> list[list[tuple]]:
    """For each axis that the experiment varies, its levels as (axis, level, what is put on top)."""
    return [[(axis, level, over) for level, over in levels.items()] for axis, levels in asked.vary.items()]


def _depths(asked: spec.Transfer, table: Table, where: str) -> list[int]:
    """The numbers of layers to take: those asked for, or from none to all but the last."""
    last = len(table.weight_layers) - 1
    if asked.depths == "all":
        return list(range(last + 1))
    for depth in asked.depths:
        if depth > last:
            raise ConfigError(f"{where}.depths: {depth} of {last + 1} weight layers; allowed: 0 to {last}")
    return asked.depths
