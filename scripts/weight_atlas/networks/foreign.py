"""Networks that are not of this library: torchvision's by their names, and those of a user's module.

Such a network is named by a module (see `weight_atlas.networks.named`). Its layer table is traced by torch in a process
of its own (see `weight_atlas.networks.trace`), once: it is kept below the working directory under a digest of all that
it depends on, and every job reads it from there. This module imports no torch.
"""

import functools
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from weight_atlas.networks.named import source_file
from weight_atlas.networks.table import Layer, Shape, Table
from weight_atlas.store import atomic_write

KEPT = Path(".snakemake/atlas/networks")  # below the working directory; nothing is kept where there is no .snakemake
_asked: set[str] = set()  # the files of KEPT that this process had a use for, by name, whether or not they are there


class TracedTable(Table):
    """A layer table that was traced, with what makes its module: the arguments of `weight_atlas.networks.layer_table`.

    Its rows are all that was executed, of whatever kind; those of a kind that nothing here knows have a name and a
    shape alone.
    """

    def __init__(self, arguments: tuple[Mapping[str, Any], int, int, int], record: Mapping[str, Any]) -> None:
        network, channels, _, classes = arguments
        super().__init__(channels, record["size"])
        self.arguments = (network, channels, record["size"], classes)
        self.layers = [_layer(row) for row in record["rows"]]
        self._rows = {layer.name: layer for layer in self.layers}
        self._blocks = record["blocks"]
        self._order = {name: place for place, name in enumerate(record["order"])}

    @property
    def stages(self) -> list[int]:
        """As of any table, but for those that end within a block."""
        blocks = [self._block(layer.name) for layer in self.weight_layers]
        return [end for end in super().stages if end == len(blocks) or blocks[end - 1] != blocks[end]]

    def stage_name(self, depth: int) -> str:
        """What the stage is called that ends with so many weight layers: the block of the last of them."""
        return self._block(self.weight_layers[depth - 1].name)

    def _block(self, layer: str) -> str:
        return next((block for block in self._blocks if f"{layer}.".startswith(f"{block}.")), layer)

    def parameters(self) -> list[tuple[str, Shape]]:
        return self._in_order(super().parameters())

    def buffers(self) -> list[tuple[str, Shape]]:
        return self._in_order(super().buffers())

    def _registered(self) -> list[Layer]:
        return self.layers  # `_in_order` sorts their tensors

    def _in_order(self, tensors: list[tuple[str, Shape]]) -> list[tuple[str, Shape]]:
        return sorted(tensors, key=lambda tensor: self._order[tensor[0]])


def _layer(row: Mapping[str, Any]) -> Layer:
    """A row from its JSON."""
    shapes = {key: {name: tuple(shape) for name, shape in row[key].items()} for key in ("parameters", "buffers")}
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in row["options"].items()}
    return Layer(
        row["name"],
        row["kind"],
        tuple(row["inputs"]),
        options,
        tuple(row["in_shape"]),
        tuple(row["out_shape"]),
        **shapes,
    )


def traced(network: Mapping[str, Any], channels: int, size: int, classes: int) -> TracedTable:
    """The table for the smallest images of `size` pixels or more that the network takes.

    Raises
    ------
    ValueError
        In one line, where there is no such network, or where it cannot be made or run: with the file and line of the
        user's own code that failed.
    """
    return TracedTable((network, channels, size, classes), record(network, channels, size, classes))


def record(network: Mapping[str, Any], channels: int, size: int, classes: int) -> dict[str, Any]:
    """What the trace leaves that `traced` makes its table of, as JSON; raises the same."""
    return _record(_request(network, channels, size, classes), _content(network))


def stem(network: Mapping[str, Any], channels: int, size: int, classes: int) -> str:
    """A name for that record: the network's, and a digest of what it was traced for, versions apart."""
    name = re.sub(r"[^a-z0-9]+", "-", network["architecture"].lower()).strip("-")
    return f"{name}-{hashlib.sha256(_request(network, channels, size, classes).encode()).hexdigest()[:10]}"


def _request(network: Mapping[str, Any], channels: int, size: int, classes: int) -> str:
    request = {key: network.get(key) for key in ("architecture", "width", "options")}
    return json.dumps(request | {"channels": channels, "size": size, "classes": classes}, sort_keys=True)


def _content(network: Mapping[str, Any]) -> str | None:
    """The SHA-256 of the user's file that makes a network, where one does."""
    file = source_file(network["architecture"])
    if file is not None and not file.is_file():
        raise ValueError(f"module: there is no file {file}; give its path from the working directory, {Path.cwd()}")
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else None


def published(network: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """{name of torchvision's weights of a network: {"mean", "std"} that its images are normalised by, per channel}."""
    request = {"architecture": network["architecture"], "width": 1.0, "options": {}}
    made = _record(_request(request, 3, 224, 1000), None)
    weights: dict[str, dict[str, list[float]]] = made["published"]
    return weights


@functools.lru_cache(maxsize=4096)
def _record(request: str, content: str | None) -> dict[str, Any]:
    """What the trace of a request leaves, from the file of an earlier one where there is one.

    content: SHA-256 of the user's file.
    """
    path = KEPT / f"{_digest(request, content)}.json"
    _asked.add(path.name)
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    made = _trace(request)
    if Path(".snakemake").is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps({"architecture": json.loads(request)["architecture"], **made}))
    return made


def asked() -> frozenset[str]:
    """The names of the files of KEPT that this process had a use for: those of the configs that it has planned."""
    return frozenset(_asked)


def _digest(request: str, content: str | None) -> str:
    versions = [_version(package) for package in ("torch", "torchvision")]
    tracer = Path(__file__).with_name("trace.py").read_text()
    return hashlib.sha256(json.dumps([request, content, versions, tracer]).encode()).hexdigest()[:32]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _trace(request: str) -> dict[str, Any]:
    """Trace in a process of its own, which imports torch and runs the user's code; in this one where torch is there."""
    if "torch" in sys.modules:
        from weight_atlas.networks import trace

        return _checked(trace.answer(json.loads(request)))
    library = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "weight_atlas.networks.trace"],
        input=request,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with exit status {done.returncode}"])[-1]
        raise ValueError(f"it could not be traced: {last}")
    return _checked(json.loads(done.stdout.splitlines()[-1]))


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer
