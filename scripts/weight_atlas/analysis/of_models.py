"""The measures of weights for models that no workflow trained: torch modules, state dicts, safetensors files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

import torch
from torch import nn

from weight_atlas.analysis import course
from weight_atlas.analysis.measure import CourseMeasure, Replicate
from weight_atlas.analysis.types import Readable, Row, Rows
from weight_atlas.analysis.weights import correlation, parameters, spectra
from weight_atlas.analysis.weights.ends import Ends
from weight_atlas.analysis.weights.movement import Movement
from weight_atlas.analysis.weights.statistics import Statistics
from weight_atlas.networks import stored
from weight_atlas.plan import given, sharded
from weight_atlas.tensors_on_disk import TensorsOnDisk

Model: TypeAlias = nn.Module | Mapping[str, torch.Tensor] | str | Path
Series: TypeAlias = Sequence[Model] | Mapping[int, Model]

COURSE: tuple[type[CourseMeasure], ...] = (Statistics, Movement, Ends)
TABLES = ("statistics", "movement", "unchanged", "tolerance", "parameters", "spectra", "correlations")
ALONE = "run"  # the name of a series that has none
NOWHERE = Path("nowhere")  # the folder of a replicate without files


class Known(NamedTuple):
    """The tensors of a model, and what is known of them.

    shapes: by name; floats: whether a tensor's values are floats; buffers: those that a module says do not learn.
    """

    tensors: Readable
    shapes: dict[str, tuple[int, ...]]
    floats: dict[str, bool]
    buffers: frozenset[str]


class InMemory(Mapping[str, torch.Tensor]):
    """The tensors of a module or a state dict, each on the CPU and as float32 when it is asked for."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._tensors[name].detach().to("cpu", torch.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def measure(runs: Mapping[str, Series], roles: Mapping[str, str], with_spectra: bool) -> Rows:
    """The rows of TABLES; see `weight_atlas.api.measure`."""
    series = {name: _read(name, run) for name, run in runs.items()}
    first = _checked(series)
    floats = {name: is_float and name not in first.buffers for name, is_float in first.floats.items()}
    table = stored.Stored(stored.entries(first.shapes, floats, roles))
    rows: Rows = {name: [] for name in TABLES}
    for run, models in series.items():
        replicate = Replicate(table, NOWHERE, {"seed": 0, "status": "done"})
        snapshots = ((epoch, known.tensors) for epoch, known in models.items())
        for name, own in course.walked(replicate, snapshots, COURSE, _raise).items():
            if name in rows:
                rows[name] += [(run, 0, *row) for row in own]
        rows["parameters"] += [(run, *row) for row in parameters.rows(table)]
        for name, epoch in _ends(models).items() if with_spectra else ():
            rows["spectra"] += [(run, 0, name, epoch, *row) for row in spectra.rows(table, models[epoch].tensors)]
    rows["correlations"] += _correlations(table, series)
    return rows


def _raise(_: str) -> AbstractContextManager[None]:
    return nullcontext()


def named(runs: Model | Series | Mapping[str, Series]) -> dict[str, Series]:
    """The series by their names, of what `weight_atlas.api.measure` takes; ValueError where it is something else."""
    if _is_model(runs):
        return {ALONE: [cast(Model, runs)]}
    if isinstance(runs, Mapping) and runs and all(isinstance(name, str) for name in runs):
        return cast(dict[str, Series], dict(runs))
    return {ALONE: cast(Series, runs)}


def _is_model(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(one, torch.Tensor) for one in value.values())
    return isinstance(value, nn.Module | str | Path)


def _read(run: str, series: Series) -> dict[int, Known]:
    """The models of a series by epoch."""
    if not isinstance(series, Mapping | Sequence) or not series or _is_model(series):
        raise ValueError(
            f"the run {run!r} is {type(series).__name__}; give a list of models, or a dict of them by epoch"
        )
    by_epoch = dict(series) if isinstance(series, Mapping) else dict(enumerate(series))
    for epoch, model in by_epoch.items():
        if type(epoch) is not int or not _is_model(model):
            what = f"{epoch!r}: {type(model).__name__}"
            raise ValueError(
                f"the run {run!r} has {what}; allowed: modules, state dicts and safetensors files by epoch"
            )
    return {epoch: _known(by_epoch[epoch]) for epoch in sorted(by_epoch)}


def _known(model: Model) -> Known:
    if isinstance(model, str | Path):
        path = Path(model)
        if not path.is_file():
            raise ValueError(f"{path} is not there; give a safetensors file, or an index of several")
        header = given.header(path)
        files = sharded.shards(path) if sharded.is_index(path) else [path]
        shapes = {name: tensor.shape for name, tensor in header.items()}
        floats = {name: tensor.dtype in given.FLOATS for name, tensor in header.items()}
        return Known(TensorsOnDisk(files), shapes, floats, frozenset())
    buffers = dict(model.named_buffers()) if isinstance(model, nn.Module) else {}
    tensors = {**dict(model.named_parameters()), **buffers} if isinstance(model, nn.Module) else dict(model)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    floats = {name: tensor.is_floating_point() for name, tensor in tensors.items()}
    return Known(InMemory(tensors), shapes, floats, frozenset(buffers))


def _checked(series: Mapping[str, Mapping[int, Known]]) -> Known:
    """The first model; ValueError where another one has other tensors, or where none has a value that learns."""
    every = [(run, epoch, known) for run, models in series.items() for epoch, known in models.items()]
    first = every[0][2]
    for run, epoch, known in every[1:]:
        for name in [*first.shapes, *known.shapes]:
            if first.shapes.get(name) != known.shapes.get(name):
                shapes = [str(list(one.shapes[name])) if name in one.shapes else "missing" for one in (known, first)]
                where = f"{name} is {shapes[0]} in the run {run!r} at {epoch}, and {shapes[1]} in the first model"
                raise ValueError(f"{where}; give models of the same tensors")
    if not any(is_float and name not in first.buffers for name, is_float in first.floats.items()):
        raise ValueError("the first model has no tensor of weights; give models with some")
    return first


def _ends(models: Mapping[int, Known]) -> dict[str, int]:
    """The first and the last epoch of a series, by what they are called."""
    return {"first": min(models)} | ({"last": max(models)} if len(models) > 1 else {})


def _correlations(table: stored.Stored, series: Mapping[str, Mapping[int, Known]]) -> list[Row]:
    """From first to last of each run, and of each two runs at both ends."""
    ends = {run: _ends(models) for run, models in series.items()}
    pairs = [(run, "first", run, "last", "checkpoints") for run in series if "last" in ends[run]]
    names = list(series)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            pairs += [(one, end, other, end, "models") for end in ends[one] if end in ends[other]]
    rows: list[Row] = []
    for one, end_a, other, end_b, comparison in pairs:
        epochs = ends[one][end_a], ends[other][end_b]
        tensors = series[one][epochs[0]].tensors, series[other][epochs[1]].tensors
        found = correlation.rows(table, *tensors, ("raw",))
        rows += [(one, 0, other, 0, comparison, end_a, end_b, *epochs, *row) for row in found]
    return rows
