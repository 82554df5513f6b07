"""Labels of cells: rules that choose cells by them, and names that cannot be told apart."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weight_atlas import schema
from weight_atlas.plan import spec
from weight_atlas.plan.checks import ConfigError
from weight_atlas.vocabulary import AXES, OTHER_AXES

Labels = dict[str, str]  # axis -> label
Where = Mapping[str, Any]  # axis -> label, or labels

MOST = 20_000  # cells of a plan, and combinations of any one thing

# Columns of tables that the report makes of an axis beside the axis itself.
JOINED = ("settings", "value", "label", "tint", "panel", "asked", "gap", "last", "best_valid", "document", "name")
# Axes of the studies here: the tables that have a column of that name are never joined with the axes.
FREE = ("alpha", "features", "filters", "rate")


def matches(where: Where, labels: Mapping[str, Any]) -> bool:
    """Whether the labels are those that `where` names (one or several per axis)."""
    return all(labels.get(axis) in _listed(allowed) for axis, allowed in where.items())


def check_rule(where: Where, cells: Sequence[Mapping[str, Any]], place: str) -> None:
    """Refuse a rule that names an axis or a label which none of the cells has, or that chooses none of them."""
    axes = dict.fromkeys(axis for labels in cells for axis in labels)
    for axis, allowed in where.items():
        if axis not in axes:
            raise ConfigError(f"{place}: {axis!r} is not an axis; {spec.near(axis, axes)}")
        known = dict.fromkeys(labels[axis] for labels in cells if axis in labels)
        for label in _listed(allowed):
            if label not in known:
                raise ConfigError(f"{place}.{axis}: no cell here has the label {label!r}; {spec.near(label, known)}")
    if not any(matches(where, labels) for labels in cells):
        raise ConfigError(f"{place}: matches no cell of the grid; leave it out, or give labels that one cell has")


def check_names(names: Iterable[str], place: str) -> None:
    """Refuse two names that files and the page's links would not tell apart."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(re.sub(r"[^a-z0-9]+", "-", name.lower()), name)
        if other != name:
            raise ConfigError(
                f"{place}: {other!r} and {name!r} differ only in capitals or signs, which names of files may not keep; "
                f"rename one, such as {name + '-2'!r}"
            )


def check_axis(axis: str, place: str) -> None:
    """Refuse an axis of the user's that is called as one of the grid's, or as a column that it would stand beside."""
    if axis.lower() in (*AXES, *OTHER_AXES):
        raise ConfigError(f"{place}: {axis!r} is an axis already; give it another name, such as {axis + '-2'!r}")
    columns = {name for table in schema.TABLES for name in schema.names(table)} | {*JOINED, "index"}
    if axis.lower() in columns.difference(FREE):
        raise ConfigError(
            f"{place}: {axis!r} is a column of the result tables; give the axis another name, such as {'my-' + axis!r}"
        )


def check_count(count: int, place: str, what: str) -> None:
    """Refuse more combinations than a plan could list."""
    if count > MOST:
        raise ConfigError(f"{place}: has {count:,} {what}; allowed: up to {MOST:,}")


def _listed(allowed: Any) -> list[Any]:
    return allowed if isinstance(allowed, list) else [allowed]
