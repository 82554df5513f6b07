"""The source of an exhibit, an answer or a verdict: the functions that made it, and the files that they read.

Nobody types it. Whoever calls such a function does so within `recorded`, and whoever reads a file says so by `note`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Source:
    """functions: module.function of each; files: the names of the tables and other results that they read, sorted."""

    functions: list[str]
    files: list[str] = field(default_factory=list)


_open: list[set[str]] = []  # the files noted so far, for every `recorded` that is under way


def note(file: str) -> None:
    """Say that a file of the results is read, by its name: it is part of the source of all that is being made."""
    for files in _open:
        files.add(file)


@contextmanager
def recorded(*functions: Callable[..., Any]) -> Iterator[Source]:
    """The Source of what is made inside by these functions; its files are known at the end, after an exception too."""
    source, files = Source([name(function) for function in functions]), set[str]()
    _open.append(files)
    try:
        yield source
    finally:
        _open.pop()
        source.files = sorted(files)


def name(function: Callable[..., Any]) -> str:
    """The module.function of a function, of one made by another the maker's."""
    return f"{function.__module__}.{function.__qualname__.partition('.<locals>')[0]}"
