"""Checkpoints that a user gives as files: which they are, in what order, and whether they fit their network. No torch.

What is wrong is a ValueError in one line, which names the file and says what to do.
"""

import bisect
import collections
import fnmatch
import hashlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from weight_atlas import networks, tensor_entries
from weight_atlas.networks import stored
from weight_atlas.networks.table import Layer, Shape, Table
from weight_atlas.plan import sharded
from weight_atlas.plan.sharded import SUFFIX, Tensor, Tensors
from weight_atlas.tensor_names import natural

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl")  # never opened
OTHER_STEMS = ("best", "track", "optimizer")  # the other files of a replicate that this workflow trained
FLOATS = ("F32", "F64", "F16", "BF16")  # kept as float32
WHOLE = ("I64", "I32", "I16", "U8", "I8")  # of BatchNorm's counter of batches
LARGEST = 512  # pixels of an image's side
TRACED = 224  # pixels at which a traced network is looked at
SAMPLE = 65536  # bytes of a file's end that its fingerprint looks at


# ------------------------------------------------------------------------------------------------ the files


class Series(NamedTuple):
    """The checkpoints of each replicate in order, each a file or an index of several (see `sharded`), and the epochs
    that all replicates have."""

    files: list[list[Path]]
    epochs: list[int]


def series(files: str | list[str], root: Path) -> Series:
    """The given checkpoints in order.

    files: a folder below `root`, a list of files, or a list of folders, one per replicate. A folder has its checkpoints
    in it, or each in a folder inside it. The epoch of a checkpoint is the number after "epoch" in its name (or that of
    its folder), else the last number there; where no name has one they are 0, 1, 2 ..
    """
    paths = [root / file for file in ([files] if isinstance(files, str) else files)]
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path} is not there{_beside(path)}; correct files: or data_root")
    folders = [path.is_dir() for path in paths]
    if any(folders) and not all(folders):
        raise ValueError(
            f"{paths[folders.index(False)]} is a file beside folders; give files, or a folder per replicate"
        )
    replicates = [_folder(path) for path in paths] if all(folders) else [(paths, _epochs(paths))]
    first = replicates[0][1]
    for path, (_, epochs) in zip(paths, replicates, strict=False):
        if epochs != first:
            raise ValueError(
                f"{path} has the epochs {_few(epochs)}, {paths[0]} {_few(first)}; give each replicate the same"
            )
    return Series([in_order for in_order, _ in replicates], first)


def _folder(path: Path) -> tuple[list[Path], list[int]]:
    """The checkpoints of a folder in order, and their epochs."""
    checkpoints, numbers = _inside(path), {}
    if checkpoints:
        numbers = {file: _number(sharded.stem(file)) for file in checkpoints}
    for folder in [] if checkpoints else sorted((one for one in path.iterdir() if one.is_dir()), key=_by_name):
        own = _inside(folder)
        if len(own) > 1:
            raise ValueError(
                f"{folder} has several checkpoints ({_few([file.name for file in own])}); give one of them"
            )
        numbers |= {file: _number(folder.name) for file in own}
        checkpoints += own
    if not checkpoints:
        every = sorted((file for file in path.iterdir() if not file.name.startswith(".")), key=_by_name)
        pickle = next((file for file in every if file.suffix in PICKLES), None)
        names = _few([file.name for file in every]) or "nothing"
        raise ValueError(
            _convert(pickle) if pickle else f"{path} has no *{SUFFIX} file (it has {names}); put them there"
        )
    if set(numbers.values()) == {None}:
        return checkpoints, list(range(len(checkpoints)))
    without = [file for file in checkpoints if numbers[file] is None]
    counts = collections.Counter(numbers.values())
    twice = sorted((file for file in checkpoints if counts[numbers[file]] > 1), key=lambda file: numbers[file] or 0)
    if without or twice:
        name = [str(file.relative_to(path)) for file in without or twice]
        why = f"{name[0]} has no number" if without else f"{name[0]} and {name[1]} are one epoch"
        raise ValueError(f"{path}: the order of its files is not clear ({why}); give files: as a list, in order")
    in_order = sorted((number, file) for file, number in numbers.items() if number is not None)
    return [file for _, file in in_order], [number for number, _ in in_order]


def _inside(folder: Path) -> list[Path]:
    """The checkpoints in a folder: its indices, and its safetensors files that no index names."""
    every = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    indices = [file for file in every if sharded.is_index(file)]
    parts = {part for index in indices for part in sharded.shards(index)}
    files = [file for file in every if file.suffix == SUFFIX and file.stem not in OTHER_STEMS and file not in parts]
    return sorted([*indices, *files], key=_by_name)


def _by_name(path: Path) -> list[tuple[int, int, str]]:
    return natural(path.name)


def _epochs(paths: list[Path]) -> list[int]:
    """The epochs of files that are listed in order: the numbers of their names, or of their folders', where these rise;
    else 0, 1, 2 .."""
    for names in ([sharded.stem(path) for path in paths], [path.parent.name for path in paths if len(paths) > 1]):
        known = [number for name in names if (number := _number(name)) is not None]
        if len(known) == len(paths) and all(a < b for a, b in itertools.pairwise(known)):
            return known
    return list(range(len(paths)))


def _number(stem: str) -> int | None:
    match = re.search(r"epoch[^0-9a-z]*(\d+)", stem, re.IGNORECASE) or re.search(r"(\d+)\D*$", stem)
    return int(match[1]) if match and int(match[1]) < 2**63 else None  # beyond that no table has it


def _beside(path: Path) -> str:
    """What there is instead of a path: the names in its folder, or that there is no such folder."""
    if not path.parent.is_dir():
        return f", nor is {path.parent}"
    names = sorted((file.name for file in path.parent.iterdir() if not file.name.startswith(".")), key=natural)
    return f" ({path.parent} has {_few(names) or 'nothing'})"


def _few(values: Sequence[object]) -> str:
    """ "a, b, c", or "a, b, c .. z" of many."""
    some = [tensor_entries.shown(value) for value in values]
    return ", ".join(some) if len(some) <= 5 else f"{', '.join(some[:3])} .. {some[-1]}"


def _convert(path: Path) -> str:
    new = path.with_suffix(SUFFIX)
    return (
        f"{path} may be a pickle, which can run code and is not opened; convert it, if you trust it: python -c "
        f"\"import torch, safetensors.torch as s; s.save_file(torch.load('{path}', map_location='cpu', "
        f"weights_only=True), '{new}')\""
    )


def fingerprint(paths: list[Path]) -> str:
    """16 hex digits that change with the files' names, sizes and last bytes, which training changes; quick."""
    sha = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        with open(path, "rb") as file:
            file.seek(max(0, size - SAMPLE))
            sha.update(f"{path.name} {size} ".encode() + file.read())
    return sha.hexdigest()[:16]


# --------------------------------------------------------------------------------------------- do they fit?


def header(path: Path) -> Tensors:
    """The tensors of a checkpoint by name; ValueError where a file of it is no safetensors file."""
    if path.suffix in PICKLES:
        raise ValueError(_convert(path))
    return sharded.header(path) if sharded.is_index(path) else sharded.single(path)


def folded(checkpoints: Sequence[Path], roles: Mapping[str, str]) -> stored.Folded:
    """The tensors of a model of which no more is known, with their roles, as settings have them (see `stored`).

    Parameters
    ----------
    checkpoints : sequence of paths
        Those of all replicates; all have the tensors of the first.
    roles : {pattern: role}
        What takes the place of what is guessed.

    Raises
    ------
    ValueError
        Where a checkpoint has other tensors, where a name or their number is none that is read, or where a pattern
        fits no tensor.
    """
    first, *others = checkpoints
    tensors = header(first)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    for name in shapes:
        if len(name) > stored.LONGEST or not stored.NAME.fullmatch(name):
            allowed = f"letters, digits and _ - . / : + @, up to {stored.LONGEST}"
            raise ValueError(f"{first}: a tensor is called {tensor_entries.shown(name)}; allowed: {allowed}")
    for path in others:
        if difference := _other_shape(shapes, {name: tensor.shape for name, tensor in header(path).items()}):
            raise ValueError(f"{path}: {difference} in {first}; give checkpoints of one model")
    for pattern in roles:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in shapes):
            raise ValueError(f"roles: {pattern!r} fits no tensor of {first} (it has {_few(list(shapes))}); correct it")
    floats = {name: tensor.dtype in FLOATS for name, tensor in tensors.items()}
    found = stored.entries(shapes, floats, roles)
    if all(role == stored.BUFFER for role, _ in found.values()):
        raise ValueError(
            f"{first}: has no tensor of weights ({_few(list(shapes)) or 'it is empty'}); give another file"
        )
    if len(found) > stored.MOST:
        raise ValueError(f"{first}: has {len(found):,} tensors; allowed: up to {stored.MOST:,}")
    return stored.fold(found)


def _other_shape(shapes: dict[str, Shape], others: dict[str, Shape]) -> str | None:
    """The first tensor that is not in both, or not of one shape; None where all are."""
    for name in [*shapes, *others]:
        if shapes.get(name) != others.get(name):
            one, other = (str(list(found[name])) if name in found else "missing" for found in (others, shapes))
            return f"{name} is {one} there, and {other}"
    return None


def table(network: dict[str, Any], tensors: Tensors, size: int | None, outputs: int | None) -> Table:
    """The layer table of a network as the tensors of a file (see `header`) say it: channels, classes, and the size of
    the images where it is None.

    outputs: what the config says of the last layer, or None. ValueError where the size cannot be told from the shapes.
    """
    is_traced = networks.is_foreign(network["architecture"])
    if size is None and is_traced:
        raise ValueError("names no dataset; give the `size` of the images that its network takes, in pixels")
    first, head = _ends(network, TRACED if is_traced else LARGEST)
    classes = outputs or _shape(tensors, head.name, 2)[0] or 10
    channels = [_shape(tensors, first.name, 4)[1] or 3] if first.kind == "Conv2d" else [1, 3]
    if size is not None:
        size = networks.fitting_size(network, channels[0], size, classes)
        candidates = [networks.layer_table(network, count, size, classes) for count in channels]
        return next((layers for layers in candidates if _misfit(layers, tensors) is None), candidates[-1])
    for count in channels:
        sizes = _sizes(network, tensors, count, classes)
        if sizes:
            return _only(network, sizes, count, classes)
    return networks.layer_table(network, channels[0], networks.fitting_size(network, channels[0], 32, classes), classes)


def _ends(network: dict[str, Any], size: int) -> tuple[Layer, Layer]:
    """The first and the last layer with weights; their names and kinds do not depend on the images."""
    layers = networks.layer_table(network, 3, networks.fitting_size(network, 3, size, 10), 10).weight_layers
    return layers[0], layers[-1]


def _shape(tensors: Tensors, layer: str, dimensions: int) -> tuple[int | None, ...]:
    """The shape of a layer's weight; as many None where there is no weight of so many dimensions."""
    shape = tensors.get(f"{layer}.weight", Tensor("", ())).shape
    return shape if len(shape) == dimensions else (None,) * dimensions


def _sizes(network: dict[str, Any], tensors: Tensors, channels: int, classes: int) -> range:
    """The sizes of images with which a network has as many parameters as the file: these rise with the size."""

    def parameters(size: int) -> dict[str, Shape]:
        try:
            return dict(networks.layer_table(network, channels, size, classes).parameters())
        except ValueError:  # too small
            return {}

    count = sum(math.prod(tensors[name].shape) for name in parameters(LARGEST) if name in tensors)
    sizes = range(networks.fitting_size(network, channels, 1, classes), LARGEST + 1)
    low, high = (
        side(sizes, count, key=lambda size: sum(math.prod(shape) for shape in parameters(size).values()))
        for side in (bisect.bisect_left, bisect.bisect_right)
    )
    return sizes[low:high]


def _only(network: dict[str, Any], sizes: range, channels: int, classes: int) -> Table:
    """The table for the smallest of the sizes; ValueError where another leaves other weights without a part to play."""
    ends = [networks.layer_table(network, channels, size, classes) for size in (sizes[0], sizes[-1])]
    idle = [
        [(table.padding_weight_count(layer), table.tied_weight_count(layer)) for layer in table.weight_layers]
        for table in ends
    ]
    if idle[0] != idle[1]:
        raise ValueError(
            f"size: is missing; {network['architecture']} has the same tensors for images of {sizes[0]} to "
            f"{sizes[-1]} pixels, but not the same weights at work: give the size of the images, or a dataset"
        )
    return ends[0]


def check(path: Path, layers: Table, architecture: str) -> None:
    """ValueError with the first difference where the tensors of a file are not those of a network."""
    difference = _misfit(layers, header(path))
    if difference:
        raise ValueError(f"{path} is not of {architecture}: {difference}")


def _misfit(layers: Table, tensors: Tensors) -> str | None:
    """The first tensor that a file lacks, has otherwise or has too much, and what to do; None where all fit."""
    shapes = dict(layers.parameters()) | dict(layers.buffers())
    for name, shape in shapes.items():
        if name not in tensors:
            spare = [other for other in tensors if other not in shapes]
            instead = f"has {_few(spare)} instead" if spare else "has no other in its place"
            return f"it has no tensor {name} (and {instead}); rename its tensors, or name another network"
        dtype, actual = tensors[name]
        if actual != tuple(shape):
            return f"{name} has the shape {list(actual)}, not {list(shape)}; correct the network's options, or the size"
        allowed = WHOLE if name.endswith(".num_batches_tracked") else FLOATS
        if dtype not in allowed:
            return f"{name} is of the type {dtype}, allowed: {', '.join(allowed)}; save it as one of these"
    spare = [name for name in tensors if name not in shapes]
    return f"it has a tensor {_few(spare[:1])} too many; leave it out, or name another network" if spare else None
