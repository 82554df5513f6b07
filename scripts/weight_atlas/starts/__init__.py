"""Where weights come from: an init scheme, published weights or a file, a trained parent, or that perturbed.

What a start is made of stays on disk (its seed, its file), so that a start itself need not: it can be recreated.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from weight_atlas import store, streams
from weight_atlas.networks.build import empty, module
from weight_atlas.networks.foreign import TracedTable
from weight_atlas.networks.table import Table
from weight_atlas.settings import Draw, Settings, Start
from weight_atlas.starts import perturb
from weight_atlas.tensors_on_disk import TensorsOnDisk

DRAWN = ("Conv2d", "Linear", "MultiheadAttention")  # the kinds of layers that a scheme is for


class Missing(RuntimeError):
    """The weights to start from are not there."""


def initialise(model: nn.Module, table: Table, start: Start, seed: int, stream: str = "init") -> None:
    """Draw every layer's start in place, layer by layer from the stream (seed, `stream`, layer name).

    Weights of convolutions, linear layers and attention by the function of torch.nn.init that has the scheme's name,
    times the scale; their biases are zero. default: each torch layer's own `reset_parameters`, times the scale in its
    weights. BatchNorm starts with gamma 1, beta 0, mean 0 and variance 1. A traced network first gets all that its
    constructor draws (stream layer "constructor"): that is its default, and what its other layers start with.
    """
    is_traced = isinstance(table, TracedTable)
    if is_traced:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.key(seed, stream, "constructor"))
            model.load_state_dict(module(table).state_dict())
    draws = {name: draw for draw in start.draws for name in table.select(draw.layers)}
    for layer in table.layers:
        if layer.parameters:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(streams.key(seed, stream, layer.name))
                if not is_traced:
                    cast(Any, model.get_submodule(layer.name)).reset_parameters()
                if layer.kind in DRAWN:
                    _draw([model.get_parameter(layer.tensor(own)) for own in layer.parameters], draws[layer.name])


@torch.no_grad()
def _draw(parameters: list[nn.Parameter], draw: Draw) -> None:
    """Give the weights and biases of a layer their start, where that is not their own."""
    for parameter in parameters:
        if draw.scheme != "default":
            if parameter.ndim > 1:
                _fill(parameter, draw)
            else:
                nn.init.zeros_(parameter)
        if parameter.ndim > 1 and draw.scale != 1:
            parameter.mul_(draw.scale)


def _fill(weight: torch.Tensor, draw: Draw) -> None:
    """Give a weight its values by a scheme of torch.nn.init: He et al. 2015 (kaiming_*, for ReLU unless the options
    name another nonlinearity), Glorot & Bengio 2010 (xavier_*), Saxe et al. 2014 (orthogonal), the identity (dirac)."""
    options = ({"nonlinearity": "relu"} if draw.scheme.startswith("kaiming") else {}) | draw.options
    if draw.scheme == "dirac" and weight.ndim == 2:
        nn.init.eye_(weight)
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a QR decomposition on more has other last bits
    try:
        getattr(nn.init, f"{draw.scheme}_")(weight, **options)
    finally:
        torch.set_num_threads(threads)


def drawn(table: Table, start: Start, seed: int, stream: str) -> dict[str, torch.Tensor]:
    """The parameters and buffers that a start draws, without a model: {torch name: float32 tensor}."""
    model = module(table)
    initialise(model, table, start, seed, stream)
    return model.state_dict()


def begin(model: nn.Module, table: Table, start: Start, seed: int, file: str | None) -> perturb.Begun:
    """Give the model (on the CPU) its start in place: drawn, and then as far as the start says taken from the
    safetensors `file`, and perturbed.

    Grey images on weights for three channels: `sum_conv1` adds the first layer's weights over its input channels
    (`replicate` instead gives the network three equal channels: nothing to do here). Missing where there is no file;
    ValueError where a tensor does not fit.
    """
    initialise(model, table, start, seed, streams.init_stream(start))
    tensors = model.state_dict()
    if not start.is_drawn:
        if file is None:
            raise Missing(f"seed {seed}: there are no weights to start from")
        _copy(tensors, table, start, file)
    if start.steps is None:
        return perturb.Begun({}, {})
    return perturb.apply(tensors, table, start, seed, Path(file).parent if file else None)


def _copy(tensors: dict[str, torch.Tensor], table: Table, start: Start, file: str) -> None:
    """Fill those of the tensors that the start takes from the file."""
    loaded, first = load(file), table.parameters()[0][0]
    for name in table.copied_tensors(start):
        if name not in loaded:
            raise ValueError(f"{file}: has no tensor {name}; it is not of this network")
        target, source = tensors[name], loaded[name]
        if name == first and start.grey == "sum_conv1" and target.shape[1] == 1 and source.shape[1] == 3:
            source = source.sum(dim=1, keepdim=True)
        if source.shape != target.shape:
            raise ValueError(f"{file}: {name} has the shape {list(source.shape)}; the network has {list(target.shape)}")
        target.copy_(source)


def fingerprint(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over all parameters and buffers of a state dict, in its order."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def open_snapshot(path: str | Path) -> Mapping[str, torch.Tensor]:
    """{torch name: float32 tensor} of a snapshot to read: of one that leaves its tensors to a user's files they stay
    there, and each is read when it is asked for. Else, and in what it raises, as `load`."""
    if Path(path).exists() and store.is_linked(path):
        return TensorsOnDisk(store.tensor_files(path))
    return load(path)


def load(path: str | Path) -> dict[str, torch.Tensor]:
    """{torch name: tensor} of a snapshot, on the CPU; the start of a pruned replicate is recreated.

    Code that may be given an epoch 0 reads it by this function, and asks `store.is_kept` whether it exists. ValueError
    in one line where that fails; otherwise raises what `store.load_tensors` raises.
    """
    path = Path(path)
    if path.exists() or not store.is_kept(path):
        return store.load_tensors(path)
    block, seed = path.parents[2], int(path.parent.name.removeprefix("seed"))
    run = store.read_json(block / "run.json")
    record = next(record for record in run["replicates"] if record["seed"] == seed)
    try:
        return recreate(Settings.parse(run["cell"]), record, block)
    except (ValueError, OSError, Missing) as error:
        raise ValueError(f"{path}: is kept as a hash alone and cannot be made again: {error}") from None


def recreate(settings: Settings, record: dict[str, Any], block: Path) -> dict[str, torch.Tensor]:
    """The start of a replicate, {torch name: tensor}, as its training began with it.

    settings: the cell's; record: the replicate's, as the trainer leaves it; block: its directory. ValueError, in one
    line, where what it was made of is missing, or where other values come of it now.
    """
    model, table = empty(*settings.network_arguments)  # no storage and no draws for what is about to be drawn
    model, file = model.to_empty(device="cpu"), record["start_file"]
    if file is not None:
        file = os.path.normpath(block / file)
        if not store.is_kept(file):
            raise ValueError(f"{file}, which it was made from, is not there; remove {block}, to train it again")
    begin(model, table, settings.start, record["seed"], file)
    tensors = model.state_dict()
    if fingerprint(tensors) != record["start_sha256"]:
        raise ValueError(
            f"torch {torch.__version__} makes other values here than the training began with; use the torch (and the "
            f"kind of processor) that {block}/run.json names, or remove {block}, to train it again"
        )
    return tensors
