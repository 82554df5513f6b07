"""What a plan's experiments ask: their shapes, from their labels and resolved settings and never from their names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from weight_atlas.plan import spec
from weight_atlas.plan.cell import Cell, Entry
from weight_atlas.plan.checks import ConfigError
from weight_atlas.shapes import FAMILIES, Axis, Experiment, Shape, varying_axes
from weight_atlas.vocabulary import RETRAINED, TRANSFERRED, Role

# Settings that say how a cell is run or recorded, and nothing of what it asks.
SILENT = ("threads", "snapshots", "track", "keep_optimizer", "dataset_id", "mean", "std")
CHANGES_OF_IMAGES = ("training.augment.", "training.copies.", "training.redraw")

Flat = dict[str, Any]  # dotted name -> value


class _Part(NamedTuple):
    """An experiment of the config: where it is written, its design, its entries, and the settings of a cell in full."""

    study: str
    name: str
    where: str
    design: spec.Design
    entries: list[Entry]
    flat: Callable[[Entry], Flat]

    @property
    def grid(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.role == Role.GRID]

    @property
    def designed(self) -> list[Entry]:
        """Those of the grid that its axes are about: given checkpoints stand beside cells that are trained."""
        return [entry for entry in self.grid if "given" not in entry.labels] or self.grid


def experiments(config: spec.Config, entries: Sequence[Entry], cells: Mapping[str, Cell]) -> list[Experiment]:
    """The experiments of all studies, in the config's order.

    Parameters
    ----------
    config : spec.Config
    entries : sequence of Entry
        The cells of all studies, as these name them.
    cells : {cell_id: Cell}

    Raises
    ------
    ConfigError
        Where a design names a reference, a level or an order that its cells do not have.
    """

    def flat(entry: Entry) -> Flat:
        return _flat(config, entry, cells[entry.cell_id])

    return [_experiment(part, cells) for part in _parts(config, entries, flat)]


def _parts(config: spec.Config, entries: Sequence[Entry], flat: Callable[[Entry], Flat]) -> Iterator[_Part]:
    for name in config.asked:
        study, where = config.definitions[name], f"definitions.{name}"
        designs: dict[str, spec.Design] = {"": study, **study.experiments}
        for label, design in designs.items():
            own = [entry for entry in entries if entry.study == name and _is_of(entry, label, design)]
            if any(entry.role == Role.GRID for entry in own):
                yield _Part(name, label, f"{where}.experiments.{label}" if label else where, design, own, flat)


def _is_of(entry: Entry, name: str, design: spec.Design) -> bool:
    """Whether an entry is of an experiment: transfers are labelled by their own name."""
    label = entry.labels.get("experiment", "")
    return label in design.transfer if entry.role in TRANSFERRED else label == name


def _experiment(part: _Part, cells: Mapping[str, Cell]) -> Experiment:
    labels = [entry.labels for entry in part.designed]
    varying = varying_axes(labels)
    asked = [axis for axis in varying if axis not in FAMILIES]
    if not asked and "network" in varying and not _is_started_from(part):
        asked = ["network"]
    contexts = {axis: _context(part, axis, varying) for axis in asked}
    axes = tuple(_axis(part, axis, asked, contexts[axis]) for axis in asked)
    _check_statements(part, axes)
    families = tuple(axis for axis in varying if axis in FAMILIES and axis not in asked)
    combined = {tuple(label[axis] for axis in varying) for label in labels}
    whole = 1
    for axis in varying:
        whole *= len({label[axis] for label in labels})
    return Experiment(
        study=part.study,
        name=part.name,
        shapes=tuple(_shapes(part, cells, axes, contexts)),
        axes=axes,
        families=families,
        complete=len(combined) == whole,
        question=part.design.question or "",
        of=tuple(part.design.of) or ("accuracy",),
        rates=len(part.design.factors) + 1 if part.design.factors else int(_compares_optimizers(contexts)),
    )


def _compares_optimizers(contexts: Mapping[str, Mapping[str, Flat]]) -> bool:
    """Whether an axis has several optimizers, and no other axis learning rates."""
    changed = {axis: _differing(list(context.values())) for axis, context in contexts.items()}
    kinds = [axis for axis, names in changed.items() if "training.optimizer.type" in names]
    return bool(kinds) and not any("training.optimizer.lr" in changed[axis] for axis in changed if axis not in kinds)


def _is_started_from(part: _Part) -> bool:
    """Whether cells of the experiment start from its grid: that is what it asks then."""
    return any(entry.role in (*RETRAINED, *TRANSFERRED) for entry in part.entries)


# ------------------------------------------------------------------------------------------- axes


def _context(part: _Part, axis: str, varying: Sequence[str]) -> dict[str, Flat]:
    """{level: the settings in full} of cells that differ in one axis alone: those with most levels."""
    contexts: dict[tuple[str, ...], dict[str, Entry]] = {}
    for entry in part.designed:
        others = tuple(entry.labels[other] for other in varying if other != axis)
        contexts.setdefault(others, {}).setdefault(entry.labels[axis], entry)
    largest = max(contexts.values(), key=len)
    return {level: part.flat(entry) for level, entry in largest.items()}


def _flat(config: spec.Config, entry: Entry, cell: Cell) -> Flat:
    """Every setting of a cell by its dotted name, with the definition of its data set."""
    settings = cell.settings.json
    dataset = config.datasets.get(entry.labels["dataset"])
    whole = {"data": dataset.model_dump(mode="json", exclude={"title"}), **settings} if dataset else settings
    return dict(leaves(whole))


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every setting below a value of JSON, without the SILENT ones."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            if key not in SILENT:
                yield from leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _differing(levels: Sequence[Flat]) -> list[str]:
    """The names of the settings in which some of the levels differ."""
    names = dict.fromkeys(name for flat in levels for name in flat)
    return [name for name in names if len({repr(flat.get(name)) for flat in levels}) > 1]


def _axis(part: _Part, name: str, asked: Sequence[str], context: Mapping[str, Flat]) -> Axis:
    first = list(dict.fromkeys(entry.labels[name] for entry in part.designed))
    numbers, setting = _numbers(first, context)
    levels = sorted(first, key=numbers.__getitem__) if numbers else first
    vary = part.design.vary.get(name, {})
    plain = [level for level, overrides in vary.items() if not overrides.model_fields_set and level in levels]
    reference = part.design.reference.get(name, (plain or first)[0])
    is_path = not numbers and len(asked) == 1 and (part.design.order == "path" or _accumulates(context))
    return Axis(
        name=name,
        levels=tuple(levels),
        numbers=tuple(numbers[level] for level in levels) if numbers else (),
        setting=setting,
        reference=reference,
        after=_after(part, levels, context) if is_path else {},
    )


def _numbers(levels: Sequence[str], context: Mapping[str, Flat]) -> tuple[dict[str, float], str]:
    """({level: number}, setting) where all levels differ in one number alone; ({}, "") otherwise.

    Settings that follow one another, as the rate of the first stage follows the optimizer's, count once.
    """
    flats = [context.get(level, {}) for level in levels]
    names = sorted(_differing(flats), key=lambda name: name.count("."))
    vectors = {tuple(flat.get(name) for flat in flats) for name in names}
    if len(vectors) != 1:
        return {}, ""
    numbers = [
        float(value) for value in vectors.pop() if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(set(numbers)) < len(levels):
        return {}, ""
    return dict(zip(levels, numbers, strict=True)), names[0]


def _accumulates(context: Mapping[str, Flat]) -> bool:
    """Whether each level has all the changes of the one before, and more: three levels at least."""
    flats = list(context.values())
    changed = [{name for name in _differing([flats[0], flat])} for flat in flats[1:]]
    kept = all(
        before < after and all(one.get(name) == other.get(name) for name in before)
        for before, after, one, other in zip(changed, changed[1:], flats[1:], flats[2:], strict=False)
    )
    return len(flats) > 2 and kept


def _after(part: _Part, levels: Sequence[str], context: Mapping[str, Flat]) -> dict[str, str]:
    """{level: the one that it is compared with}: by the config's `after`, or the earlier one of the same architecture
    that differs in the fewest settings (the later of equals); one of a new architecture with the level before it."""
    chosen: dict[str, str] = {}
    for at, level in enumerate(levels[1:], start=1):
        flat = context[level]
        same = [
            other
            for other in levels[:at]
            if context[other].get("network.architecture") == flat.get("network.architecture")
        ]
        if level in part.design.after:
            chosen[level] = part.design.after[level]
        elif same:
            apart = {other: len(_differing([context[other], flat])) for other in same}
            chosen[level] = min(reversed(same), key=apart.__getitem__)
        else:
            chosen[level] = levels[at - 1]
    return chosen


# ------------------------------------------------------------------------------------------- shapes


def _shapes(
    part: _Part, cells: Mapping[str, Cell], axes: Sequence[Axis], contexts: Mapping[str, Mapping[str, Flat]]
) -> Iterator[Shape]:
    if len(axes) > 1:
        yield Shape.FACTORIAL
    elif axes and axes[0].after:
        yield Shape.PATH
    elif axes:
        yield Shape.SWEEP if axes[0].is_numeric else Shape.COMPARISON
    for axis in axes:
        changed = _differing(list(contexts[axis.name].values()))
        if changed and all(f"{name}.".startswith(CHANGES_OF_IMAGES) for name in changed):
            yield Shape.AUGMENTED
            break
    perturbed = [cells[entry.cell_id].settings.start for entry in part.entries if entry.role == Role.PERTURBED]
    pruned = sum(start.pruning is not None for start in perturbed)
    if pruned:
        yield Shape.PRUNED
    if any(entry.role in RETRAINED for entry in part.entries) and not 0 < pruned == len(perturbed):
        yield Shape.PERTURBED
    if any(entry.role in TRANSFERRED for entry in part.entries):
        yield Shape.TRANSFERRED
    if any(entry.checkpoints and "given" not in entry.labels for entry in part.grid):
        yield Shape.CHECKPOINTED
    if any(len(cells[entry.cell_id].settings.stages) > 1 for entry in part.grid):
        yield Shape.STAGED
    if any("given" in entry.labels for entry in part.grid):
        yield Shape.GIVEN


# ------------------------------------------------------------------------------------------- what the config says


def _check_statements(part: _Part, axes: Sequence[Axis]) -> None:
    """Refuse a reference, an order or a pair of levels that the experiment does not have."""
    known = {axis.name: axis for axis in axes}
    for name, level in part.design.reference.items():
        if name not in known:
            raise ConfigError(
                f"{part.where}.reference: {name!r} is not an axis that varies here; {spec.near(name, known)}"
            )
        _check_level(f"{part.where}.reference.{name}", level, known[name])
    if part.design.order or part.design.after:
        _check_path(part, axes)


def _check_path(part: _Part, axes: Sequence[Axis]) -> None:
    if len(axes) != 1 or axes[0].is_numeric:
        what = f"{len(axes)} axes vary" if len(axes) > 1 else "its levels are numbers" if axes else "nothing varies"
        key = "order" if part.design.order else "after"
        raise ConfigError(f"{part.where}.{key}: is for one axis of changes, and here {what}; leave it out")
    levels = axes[0].levels
    for level, other in part.design.after.items():
        for one in (level, other):
            _check_level(f"{part.where}.after", one, axes[0])
        if levels.index(other) >= levels.index(level):
            raise ConfigError(f"{part.where}.after.{level}: {other!r} does not stand before it; give an earlier level")


def _check_level(place: str, level: str, axis: Axis) -> None:
    if level not in axis.levels:
        raise ConfigError(f"{place}: no cell here has the label {level!r}; {spec.near(level, axis.levels)}")
