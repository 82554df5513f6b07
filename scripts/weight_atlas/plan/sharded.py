"""A checkpoint in several safetensors files, and the index that says which of them has which tensor. No torch.

The form is that of Hugging Face's libraries: `model.safetensors.index.json` has a `weight_map`, {tensor: file}. What is
wrong is a ValueError in one line, which names the file and says what to do.
"""

import json
import math
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from weight_atlas import store, tensor_entries
from weight_atlas.networks.table import Shape
from weight_atlas.tensor_entries import shown

SUFFIX = ".safetensors"
INDEX = ".safetensors.index.json"
LARGEST = 64 << 20  # bytes of an index
REMEDY = "replace it, or leave it out"


class Tensor(NamedTuple):
    """A tensor of a file: its dtype as safetensors calls it, and its shape."""

    dtype: str
    shape: Shape


Tensors = dict[str, Tensor]


def is_index(path: Path) -> bool:
    """Whether a path is that of an index, by its name."""
    return path.name.endswith(INDEX)


def stem(path: Path) -> str:
    """The name of a checkpoint without its suffix."""
    return path.name.removesuffix(INDEX) if is_index(path) else path.stem


def files(path: Path) -> list[Path]:
    """The files of a checkpoint: itself, and of an index those that it names."""
    return [path, *shards(path)] if is_index(path) else [path]


def shards(index: Path) -> list[Path]:
    """The files that an index names, in the order of their names, whether or not they are there."""
    return [index.parent / name for name in sorted({*weight_map(index).values()})]


def weight_map(index: Path) -> dict[str, str]:
    """{tensor: file} of an index; ValueError where it is none, or names a file that is not below its folder."""
    try:
        found = _parsed(index)
    except (ValueError, RecursionError, OSError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{index}: is no index of safetensors files ({why}); {REMEDY}") from None
    for tensor, name in found.items():
        if not isinstance(name, str) or not name.endswith(SUFFIX):
            raise ValueError(
                f"{index}: {shown(tensor)} is in {shown(name)}; allowed: a file *{SUFFIX} below its folder"
            )
        if PurePosixPath(name).is_absolute() or {"..", "."} & {*name.split("/")} or "\\" in name or "\0" in name:
            raise ValueError(
                f"{index}: {shown(tensor)} is in {shown(name)}, which is not below its folder; put it there"
            )
    return found


def _parsed(index: Path) -> dict[str, Any]:
    """What stands under weight_map; a ValueError says only what is wrong."""
    about = index.stat()
    if not stat.S_ISREG(about.st_mode):  # before it is opened: a pipe would wait for its writer
        raise ValueError("it is no regular file")
    if about.st_size > LARGEST:
        raise ValueError(f"it has {about.st_size:,} bytes; allowed: {LARGEST:,}")
    content = json.loads(index.read_bytes().decode("utf-8"), object_pairs_hook=_once)
    found = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(found, dict) or not found:
        raise ValueError("it has no weight_map of tensors and files")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = set[str]()
    for name, _ in pairs:
        if name in names:
            raise ValueError(f"{shown(name)} is there twice")
        names.add(name)
    return dict(pairs)


def header(index: Path) -> Tensors:
    """The tensors of the files of an index; ValueError where it and the files are not of one mind on a tensor."""
    where = weight_map(index)
    found: Tensors = {}
    for path in shards(index):
        if not path.is_file():
            raise ValueError(
                f"{index}: names {shown(_below(path, index))}, which is not there; put it beside the index"
            )
        own = single(path)
        for name in own:
            if where.get(name) != _below(path, index):
                raise ValueError(f"{index}: {_misplaced(name, where.get(name), _below(path, index))}; {REMEDY}")
        found |= own
    for name, file in where.items():
        if name not in found:
            raise ValueError(f"{index}: {shown(name)} should be in {shown(file)}, which does not have it; {REMEDY}")
    return found


def _misplaced(name: str, mapped: str | None, there: str) -> str:
    if mapped is None:
        return f"leaves out the tensor {shown(name)} of {shown(there)}"
    return f"the tensor {shown(name)} is in {shown(there)}, and by the index in {shown(mapped)}"


def _below(path: Path, index: Path) -> str:
    return path.relative_to(index.parent).as_posix()


def single(path: Path) -> Tensors:
    """The tensors of one file, or of a snapshot with those that it leaves to another file."""
    try:
        parts = store.tensor_files(path, REMEDY)
    except FileNotFoundError as error:
        raise ValueError(str(error).replace("train the cell again", "put that file beside it")) from None
    tensors: Tensors = {}
    for part in parts:
        entries = tensor_entries.read(part).tensors.items()
        tensors = {name: Tensor(entry["dtype"], tuple(entry["shape"])) for name, entry in entries} | tensors
    return tensors


def size(tensors: Iterable[Tensor]) -> int:
    """The bytes of some tensors in their files."""
    return sum(math.prod(shape) * tensor_entries.ITEM_BYTES[dtype] for dtype, shape in tensors)
