"""What the Snakefile and the commands begin with: the plan of a config, or the end in one line."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weight_atlas.plan import config_files
from weight_atlas.plan.checks import ConfigError, found
from weight_atlas.plan.study import Plan


def plan_or_exit(
    config: dict[str, Any],
    files: Iterable[str | Path] = (),
    given: dict[str, Any] | None = None,
    look: bool = False,
    absent: bool = False,
    fetch: bool = False,
) -> Plan:
    """The plan of a config, which was read from these files, with what is given on the command line; ends the process,
    with one line, where something is wrong with it. look: whether to see if prepared data sets are still as their
    sources are; absent: whether data sets that are not at hand may be planned; fetch: whether they are downloaded
    first, where the config says from where."""
    try:
        return load(config, files, given, look, absent, fetch)
    except ConfigError as problem:
        sys.exit(f"config: {problem}")
    except ValueError as error:  # of results that are there
        sys.exit(str(error))


def load(
    config: dict[str, Any],
    files: Iterable[str | Path] = (),
    given: dict[str, Any] | None = None,
    look: bool = False,
    absent: bool = False,
    fetch: bool = False,
) -> Plan:
    """The plan of a config, as `plan_or_exit` gives it. Raises ConfigError, in one line."""
    names = [str(file) for file in files]
    for name in names:
        config_files.check(Path(name))
    try:
        return Plan(config, look=look, absent=absent, fetch=fetch)
    except ConfigError as problem:
        sources = _sources(str(problem).partition(": ")[0].split("."), names, given or {})
        raise ConfigError(f"{', '.join(sources)}: {problem}" if sources else str(problem)) from None


def _sources(keys: list[str], files: list[str], given: dict[str, Any]) -> list[str]:
    """Where a value is written: on the command line, in the files, or in both, for a mapping."""
    value = found({key: "" if value is None else value for key, value in given.items()}, keys)
    if value is None:
        return files
    return [*files, "--config"] if isinstance(value, dict) else ["--config"]
