"""What the Snakefile and the commands begin with: the plan of a config, or the end in one line."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weight_atlas.plan import config_files
from weight_atlas.plan.checks import ConfigError
from weight_atlas.plan.study import Plan


def plan_or_exit(config: dict[str, Any], files: Iterable[str | Path] = ()) -> Plan:
    """The plan of a config, which was read from these files; ends the process, with one line, where something is
    wrong with it."""
    try:
        return load(config, files)
    except ConfigError as problem:
        sys.exit(f"config: {problem}")
    except ValueError as error:  # of results that are there
        sys.exit(str(error))


def load(config: dict[str, Any], files: Iterable[str | Path] = ()) -> Plan:
    """The plan of a config, which was read from these files. Raises ConfigError, in one line."""
    for file in files:
        config_files.check(Path(file))
    return Plan(config)
