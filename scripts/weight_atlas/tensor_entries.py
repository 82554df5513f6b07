"""The header of a safetensors file (https://huggingface.co/docs/safetensors), read from whoever wrote it.

What is accepted here the safetensors library loads into torch. Nothing but the header is read, and no more memory is
taken than a header of :data:`LONGEST` bytes can ask for.
"""

import collections
import json
import math
import os
import reprlib
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

# Names of numpy and torch dtypes in the format, widest first: tensors are written in this order, so that each starts at
# a multiple of its item size.
DTYPES = {
    "float64": "F64",
    "int64": "I64",
    "float32": "F32",
    "int32": "I32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int16": "I16",
    "uint8": "U8",
    "int8": "I8",
    "bool": "BOOL",
}
ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1}

LONGEST = 16 << 20  # bytes of a header, which has about 100 a tensor
MOST_DIMENSIONS = 64  # numpy's
MOST_BYTES = 2**63 - 1  # what a size may be in torch
SHOWN = 60  # characters of a name of the file in a message

_REPR = reprlib.Repr()
_REPR.maxstring = SHOWN

MAKE_AGAIN = "remove it (to be made again) or replace it"


class Entry(TypedDict):
    """A tensor in the header of a safetensors file; data_offsets: its first byte, and the one behind its last."""

    dtype: str
    shape: Sequence[int]
    data_offsets: Sequence[int]


class Entries(NamedTuple):
    """The header of a safetensors file: its metadata, and its tensors by name."""

    metadata: dict[str, str]
    tensors: dict[str, Entry]


def read(path: str | Path, remedy: str = MAKE_AGAIN) -> Entries:
    """The header of a safetensors file; shapes are tuples.

    The format: 8 bytes, little-endian, the length of a JSON header; the header; the tensors' bytes, without gaps.

    Parameters
    ----------
    path : str or path
    remedy : str
        What a user can do about a file that is not whole, for the message.

    Raises
    ------
    FileNotFoundError
    ValueError
        In one line, where the file is cut short, or is no safetensors file of the dtypes in :data:`DTYPES`.
    """
    try:
        return _read(Path(path))
    except FileNotFoundError:
        raise
    except RecursionError:
        why = "its header is nested too deeply"
    except OSError as error:
        why = error.strerror or str(error)
    except ValueError as error:
        why = str(error)
    raise ValueError(f"{path}: not a whole safetensors file ({why}); {remedy}")


def _read(path: Path) -> Entries:
    """As `read`; the ValueError says only what is wrong."""
    if not stat.S_ISREG(path.stat().st_mode):  # before it is opened: a pipe would wait for its writer
        raise ValueError("it is no regular file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(8)
        if len(first) < 8:
            raise ValueError(f"{size} bytes")
        (length,) = struct.unpack("<Q", first)
        if length > size - 8:
            raise ValueError(f"{size} bytes, and its header should have {length}")
        if length > LONGEST:
            raise ValueError(f"its header has {length} bytes; allowed: {LONGEST}")
        header = _parse(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise ValueError(f"__metadata__ is {shown(metadata)}; allowed: names and texts")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise ValueError(f"__metadata__: {shown(key)} is {shown(value)}; allowed: texts")
    tensors = {name: _entry(name, fields) for name, fields in header.items()}
    end = _check_layout(tensors)
    if end != size - 8 - length:
        raise ValueError(f"{size - 8 - length} bytes of tensors, and its header has {end}")
    return Entries(metadata, tensors)


def _parse(text: bytes) -> dict[str, Any]:
    """The JSON object of a header; ValueError for JSON that only Python takes, and for floats, which have no place."""
    decoded = text.decode("utf-8")
    if not decoded.startswith("{"):
        raise ValueError("its header is no JSON object")
    try:
        header: dict[str, Any] = json.loads(
            decoded, object_pairs_hook=_unique, parse_int=_count, parse_float=_count, parse_constant=_count
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"its header is not valid JSON: {error}") from None
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where a name is there twice, or holds half of a character."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = collections.Counter(name for name, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise ValueError(f"{shown(twice)} is in its header twice")
    for text in (*found, *(value for value in found.values() if isinstance(value, str))):
        text.encode("utf-8")
    return found


def _count(text: str) -> int:
    """A number of a header."""
    if not (text.isdecimal() and len(text) <= len(str(MOST_BYTES)) and int(text) <= MOST_BYTES):
        raise ValueError(f"{shown(text)} is in its header; allowed: whole numbers from 0 to {MOST_BYTES}")
    return int(text)


def _entry(name: str, fields: Any) -> Entry:
    """The entry of a tensor; ValueError where it does not fit together."""
    what = f"tensor {shown(name)}"
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{what} is {shown(fields)}; allowed: dtype, shape and data_offsets")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise ValueError(f"{what} has the dtype {shown(dtype)}; allowed: {', '.join(ITEM_BYTES)}")
    if not _is_counts(shape) or len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"{what} has the shape {shown(shape)}; allowed: up to {MOST_DIMENSIONS} whole numbers")
    if not _is_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"{what} has the data_offsets {shown(offsets)}; allowed: two whole numbers")
    if math.prod(max(side, 1) for side in shape) * ITEM_BYTES[dtype] > MOST_BYTES:
        raise ValueError(f"{what} has the shape {shown(shape)}, which is too large")
    if math.prod(shape) * ITEM_BYTES[dtype] != offsets[1] - offsets[0]:
        raise ValueError(f"{what} has the shape {shown(shape)} of {dtype} in {offsets[1] - offsets[0]} bytes")
    return {"dtype": dtype, "shape": tuple(shape), "data_offsets": offsets}


def _is_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int for one in value)  # a bool is none


def _check_layout(tensors: dict[str, Entry]) -> int:
    """The number of bytes of all tensors; ValueError where they overlap, or leave bytes out."""
    end = 0
    for name, entry in sorted(tensors.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        first, behind = entry["data_offsets"]
        if first != end:
            what = "overlaps another" if first < end else f"leaves {first - end} bytes before it to no tensor"
            raise ValueError(f"tensor {shown(name)} {what}")
        end = behind
    return end


def shown(value: Any) -> str:
    """Something of a file for a message: in one line, and not long; a plain name as it is."""
    plain = isinstance(value, str) and value.isprintable() and len(value) <= SHOWN
    return str(value) if plain else _REPR.repr(value)
