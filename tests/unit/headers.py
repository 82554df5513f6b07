"""Safetensors files for tests: written byte by byte, right or wrong, also at random from a seed."""

import json
import random
import struct
from pathlib import Path
from typing import Any

from weight_atlas.tensor_entries import ITEM_BYTES

DTYPES = [*ITEM_BYTES, "U16", "F8_E4M3", "C64", "f32", "", None, 7]
NUMBERS = [
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    16,
    -1,
    -0.0,
    1.0,
    1e300,
    True,
    None,
    "4",
    [],
    2**31,
    2**32,
    2**62,
    2**63,
    2**64,
    10**40,
]
NAMES = ["a", "b", "conv1.weight", "", "\n", "\u202e", "é", "__metadata__", "a" * 300, "\x00", "\ud800"]
JUNK = [None, 0, "x", [], {}, [[]], {"a": {}}, [1, 2], "\ud800", float("nan"), 1e999]


def raw(text: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A file with this header, whatever it is, and these bytes behind it."""
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def of(header: Any, data: bytes = b"") -> bytes:
    """A file with this header, as JSON."""
    return raw(json.dumps(header).encode(), data)


def tensor(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets} | more


def valid(rng: random.Random) -> tuple[dict[str, Any], int]:
    """A header that is right, with its number of bytes of tensors."""
    header: dict[str, Any] = {}
    end = 0
    for name in rng.sample(["a", "b", "c", "conv1.weight", "", "\n", "é", "a" * 300], rng.randrange(0, 5)):
        dtype = rng.choice(list(ITEM_BYTES))
        shape = [rng.choice([0, 1, 2, 3, 7]) for _ in range(rng.randrange(0, 4))]
        count = ITEM_BYTES[dtype]
        for side in shape:
            count *= side
        header[name] = tensor(dtype, shape, [end, end + count])
        end += count
    if rng.random() < 0.5:
        header["__metadata__"] = {rng.choice(NAMES[:7]): "x" * rng.randrange(3)}
    items = list(header.items())
    rng.shuffle(items)
    return dict(items), end


def spoil(rng: random.Random, header: dict[str, Any]) -> None:
    """Change something in a header, at random."""
    names = [name for name in header if isinstance(header[name], dict) and "dtype" in header[name]]
    kind = rng.randrange(9)
    if kind == 0 or not names:
        header[rng.choice(NAMES)] = rng.choice([*JUNK, tensor(), tensor(shape=[0], offsets=[0, 0])])
        return
    entry = header[rng.choice(names)]
    if kind == 1:
        entry["dtype"] = rng.choice(DTYPES)
    elif kind == 2:
        entry["shape"] = rng.choice([[rng.choice(NUMBERS) for _ in range(rng.randrange(4))], *JUNK, [1] * 70])
    elif kind == 3:
        entry["data_offsets"] = [rng.choice(NUMBERS) for _ in range(rng.choice([0, 1, 2, 2, 2, 3]))]
    elif kind == 4:
        entry["shape"] = [0, *(rng.choice([2**20, 2**31, 2**40, 2**62]) for _ in range(rng.randrange(4)))]
    elif kind == 5:
        del entry[rng.choice(list(entry))]
    elif kind == 6:
        entry[rng.choice(["dtype ", "more", "Shape"])] = rng.choice(JUNK)
    elif kind == 7 and isinstance(entry.get("data_offsets"), list) and entry["data_offsets"]:
        place = rng.randrange(len(entry["data_offsets"]))
        entry["data_offsets"][place] = rng.choice(NUMBERS)
    else:
        header["__metadata__"] = {"epoch": rng.choice([*JUNK, 3, "3"])}


def scar(rng: random.Random, text: str) -> bytes:
    """The text of a header with some of its characters or bytes changed."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[place] = rng.randrange(256)
        elif kind == 1:
            del data[place : place + rng.randrange(1, 6)]
        elif kind == 2:
            data[place:place] = rng.choice(
                [b" ", b"\n", b"\x00", b"-", b"0", b".0", b"e1", b'"', b"{", b"[" * 200, b"\xff"]
            )
        else:
            piece = data[place : place + rng.randrange(1, 40)]
            data[rng.randrange(len(data)) :][:0] = piece
        if not data:
            data = bytearray(b"{}")
    return bytes(data)


def at_random(rng: random.Random) -> bytes:
    """A safetensors file that is right, nearly right, or wrong, at random."""
    header, end = valid(rng)
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        spoil(rng, header)
    separators = rng.choice([(",", ":"), (", ", ": "), (" ,\n", " :\t")])
    text = json.dumps(header, separators=separators, ensure_ascii=rng.random() < 0.5)
    encoded = scar(rng, text) if rng.random() < 0.3 else text.encode("utf-8", "surrogatepass")
    encoded += b" " * rng.choice([0, 0, 0, 3, 8])
    data = bytes(max(0, end + rng.choice([0, 0, 0, 0, 0, 0, -1, 1, 8])))
    length = rng.choice([None] * 12 + [0, 1, len(encoded) - 1, len(encoded) + 1, 2**31, 2**63, 2**64 - 1])
    return raw(encoded, data, None if length is None else max(length, 0))


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
