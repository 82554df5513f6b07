"""Where a run's files are: the four folders that Snakemake's pathvars name. Imports no torch and no pandas.

Tables, records and messages of the plan call files by names that never change: `data/<dataset>.json`,
`data/weights/<weights>.safetensors`, `results/cells/<cell>/seeds_0-2`, `results/<name>/tables`, `logs/..`. Here they
become places. By default a place is called as its name, relative to the folder that Snakemake runs in.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from weight_atlas import store

NAMES = ("data", "cells", "results", "logs")
BESIDE = ("data", "cells", "logs")  # what config.json has of them, relative to the folder of the results


class Folders(NamedTuple):
    """The folders of a config's data, of trained cells, of its results, and of logs. name: that of the config."""

    name: str
    data: str
    cells: str
    results: str
    logs: str

    @classmethod
    def of(cls, name: str, given: Mapping[Any, str] | None = None) -> "Folders":
        """Those that are given by their names, and the usual ones for all others."""
        usual = {"data": "data", "cells": "results/cells", "results": f"results/{name}", "logs": "logs"}
        chosen = {key: os.path.normpath(value) for key, value in (given or {}).items()}
        return cls(name, **(usual | chosen))

    @classmethod
    def beside(cls, results: Path, config: Mapping[str, Any]) -> "Folders | None":
        """The folders of results, wherever these are now, by their config.json; None where they are the usual ones."""
        if not (given := config.get("folders")):
            return None
        places = {key: os.path.abspath(results / given[key]) for key in BESIDE}
        return cls.of(str(config["name"]), places | {"results": os.path.abspath(results)})

    @property
    def are_usual(self) -> bool:
        """Whether all places are called as their names."""
        return self == Folders.of(self.name)

    @property
    def relative(self) -> dict[str, str]:
        """What config.json holds: each as seen from the results, so that all can be moved together; where one was given
        as an absolute path, that."""
        places = {key: getattr(self, key) for key in BESIDE}
        return {
            key: place if os.path.isabs(place) else os.path.relpath(place, self.results)
            for key, place in places.items()
        }

    def place(self, name: str) -> str:
        """Where the file or folder of a name is; other results are beside these."""
        first, _, rest = name.partition("/")
        if first == "results":
            second, _, rest = rest.partition("/")
            own = {"cells": self.cells, self.name: self.results, "": str(Path(self.results).parent)}
            folder = own.get(second) or str(Path(self.results).with_name(second))
        else:
            folder = {"data": self.data, "logs": self.logs}.get(first, first)
        return os.path.join(folder, rest) if rest else folder


def read(results: Path) -> Folders | None:
    """As `Folders.beside`, of the config.json among results; None where there is no such file."""
    file = results / "config.json"
    return Folders.beside(results, store.read_json(file)) if file.is_file() else None
