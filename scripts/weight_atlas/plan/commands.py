"""What the Snakefile and the commands begin with: the plan of a config, or the end in one line."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weight_atlas.plan import config_files
from weight_atlas.plan.checks import ConfigError
from weight_atlas.plan.study import Plan


def plan_or_exit(config: dict[str, Any], files: Iterable[str | Path] = (), look: bool = False) -> Plan:
    """The plan of a config, which was read from these files; ends the process, with one line, where something is
    wrong with it. look: whether to see if prepared data sets are still as their sources are."""
    try:
        return load(config, files, look)
    except ConfigError as problem:
        sys.exit(f"config: {problem}")
    except ValueError as error:  # of results that are there
        sys.exit(str(error))


def load(config: dict[str, Any], files: Iterable[str | Path] = (), look: bool = False) -> Plan:
    """The plan of a config, as `plan_or_exit` gives it. Raises ConfigError, in one line."""
    for file in files:
        config_files.check(Path(file))
    return Plan(config, look=look)
