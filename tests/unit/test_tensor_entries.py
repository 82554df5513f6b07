"""Headers of safetensors files, right and wrong: against the safetensors library, and the line that each gets."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import headers
import pytest
import torch
from headers import of, raw, tensor
from safetensors.torch import load_file

from weight_atlas import store, tensor_entries

ROOT = Path(__file__).resolve().parents[2]
DATA = bytes(8)
OTHERS = f"allowed: {', '.join(tensor_entries.ITEM_BYTES)}"
MIB = 1 << 20

# What is in the brackets of `not a whole safetensors file (..)`.
WRONG = {
    "empty": (b"", "0 bytes"),
    "seven bytes": (b"1234567", "7 bytes"),
    "a header of no bytes": (raw(b""), "its header is no JSON object"),
    "longer than the file": (raw(b"{}", length=100), "10 bytes, and its header should have 100"),
    "2^63": (raw(b"{}", length=2**63), "10 bytes, and its header should have 9223372036854775808"),
    "2^64 - 1": (raw(b"{}", length=2**64 - 1), "10 bytes, and its header should have 18446744073709551615"),
    "no JSON": (raw(b"{nothing}"), "its header is not valid JSON: Expecting property name enclosed in double quotes.*"),
    "a list": (raw(b"[]"), "its header is no JSON object"),
    "UTF-16": (raw("{}".encode("utf-16")), "'utf-8' codec can't decode byte .*"),
    "a byte order mark": (raw("\ufeff{}".encode()), "its header is no JSON object"),
    "a NUL": (raw(b"{}\x00"), "its header is not valid JSON: Extra data.*"),
    "deep": (raw(b'{"a":' * 100_000), "its header is nested too deeply"),
    "deep lists": (raw(b'{"a":' + b"[" * 100_000), "its header is nested too deeply"),
    "twice": (raw(b'{"a":{"dtype":"U8"},"\\u0061":{}}'), "a is in its header twice"),
    "a key twice": (raw(b'{"a":{"dtype":"U8","dtype":"U8"}}'), "dtype is in its header twice"),
    "half a character": (raw(b'{"\\ud800":{}}'), "'utf-8' codec can't encode .*"),
    "a number in the metadata": (of({"__metadata__": {"epoch": 3}}), "__metadata__: epoch is 3; allowed: texts"),
    "null in the metadata": (of({"__metadata__": {"a": None}}), "__metadata__: a is None; allowed: texts"),
    "a text as metadata": (of({"__metadata__": "epoch 3"}), "__metadata__ is epoch 3; allowed: names and texts"),
    "no entry": (of({"a": 3}), "tensor a is 3; allowed: dtype, shape and data_offsets"),
    "no shape": (
        of({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, DATA),
        r"tensor a is \{'data_offsets': \[0, 8\], 'dtype': 'F32'\}; allowed: dtype, shape and data_offsets",
    ),
    "a key too many": (of({"a": tensor(more=1)}, DATA), "tensor a is .*; allowed: dtype, shape and data_offsets"),
    "an unknown dtype": (of({"a": tensor("F8_E4M3")}, DATA), f"tensor a has the dtype F8_E4M3; {OTHERS}"),
    "a number as dtype": (of({"a": tensor(32)}, DATA), f"tensor a has the dtype 32; {OTHERS}"),
    "a list as dtype": (of({"a": tensor([])}, DATA), rf"tensor a has the dtype \[\]; {OTHERS}"),
    "a negative side": (of({"a": tensor(shape=[-2])}, DATA), "-2 is in its header; allowed: whole .*"),
    "minus zero": (raw(b'{"a":{"shape":[-0]}}'), "-0 is in its header; allowed: whole numbers from 0 to .*"),
    "a fraction": (of({"a": tensor(shape=[2.0])}, DATA), r"2\.0 is in its header; allowed: whole numbers from 0 to .*"),
    "not a number": (of({"a": tensor(shape=[float("nan")])}), "NaN is in its header; allowed: whole numbers .*"),
    "10^40": (of({"a": tensor(shape=[0, 10**40], offsets=[0, 0])}), "1000+ is in its header; allowed: .*"),
    "10^5000": (raw(b'{"a":1' + b"0" * 5000 + b"}"), r"'10+\.\.\.0+' is in its header; allowed: whole numbers .*"),
    "a true side": (of({"a": tensor(shape=[2, True])}, DATA), r"tensor a has the shape \[2, True\]; allowed: .*"),
    "a text as shape": (of({"a": tensor(shape="2")}, DATA), "tensor a has the shape 2; allowed: up to 64 .*"),
    "too many sides": (of({"a": tensor(shape=[1] * 65)}, DATA), "tensor a has the shape .*; allowed: up to 64 .*"),
    "sides beyond any memory": (
        of({"a": tensor(shape=[0, 2**40, 2**40], offsets=[0, 0])}),
        r"tensor a has the shape \[0, 1099511627776, 1099511627776\], which is too large",
    ),
    "textual offsets": (
        of({"a": tensor(offsets=["0", "8"])}, DATA),
        r"tensor a has the data_offsets \['0', '8'\]; allowed: two whole numbers",
    ),
    "one offset": (of({"a": tensor(offsets=[8])}, DATA), r"tensor a has the data_offsets \[8\]; allowed: two .*"),
    "a negative offset": (of({"a": tensor(offsets=[-8, 0])}, DATA), "-8 is in its header; allowed: whole numbers .*"),
    "offsets the wrong way": (of({"a": tensor(offsets=[8, 0])}, DATA), r"tensor a has the shape .* of F32 in -8 bytes"),
    "a shape of fewer bytes": (of({"a": tensor(shape=[1])}, DATA), r"tensor a has the shape \[1\] of F32 in 8 bytes"),
    "cut short": (of({"a": tensor()}, bytes(7)), "7 bytes of tensors, and its header has 8"),
    "bytes behind": (of({"a": tensor()}, bytes(9)), "9 bytes of tensors, and its header has 8"),
    "an overlap": (
        of({"a": tensor(), "b": tensor(offsets=[4, 12])}, bytes(12)),
        "tensor b overlaps another",
    ),
    "the same bytes": (of({"a": tensor(), "b": tensor()}, DATA), "tensor b overlaps another"),
    "a hole": (of({"a": tensor(offsets=[4, 12])}, bytes(12)), "tensor a leaves 4 bytes before it to no tensor"),
    "none within another": (
        of({"a": tensor(), "b": tensor(shape=[0], offsets=[4, 4])}, DATA),
        "tensor b overlaps another",
    ),
    "an odd name": (of({"a\nb\u202e": 3}), r"tensor 'a\\nb\\u202e' is 3; allowed: .*"),
    "a long name": (of({"a" * 10_000: 3}), r"tensor 'a+\.\.\.a+' is 3; allowed: .*"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path, case):
    content, why = WRONG[case]
    path = headers.write(tmp_path / "a.safetensors", content)
    line = (
        rf"{re.escape(str(path))}: not a whole safetensors file \({why}\); remove it \(to be made again\) or replace it"
    )
    for read in (tensor_entries.read, store.tensor_header, store.load_tensors, store.load_arrays, store.tensor_files):
        with pytest.raises(ValueError) as refused:
            read(path)
        assert re.fullmatch(line, str(refused.value)), refused.value  # in which a dot is no line break
    with pytest.raises(ValueError, match=r"\); give another$"):
        tensor_entries.read(path, "give another")


@pytest.mark.parametrize("case", WRONG)
def test_the_library_refuses_it_too_but_for_what_is_ambiguous(tmp_path, case):
    """Where the library reads a file that is refused here, the reason is one of these."""
    stricter = {"twice", "sides beyond any memory", "a key too many", "an unknown dtype", "too many sides"}
    path = headers.write(tmp_path / "a.safetensors", WRONG[case][0])
    try:
        load_file(path)
    except Exception:  # of the library's own, of torch, of Python: whatever it raises, it refuses
        return
    assert case in stricter


def test_what_is_no_file_is_said(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "/dev/zero"):
        with pytest.raises(ValueError, match=r"not a whole safetensors file \(it is no regular file\); "):
            tensor_entries.read(tmp_path / name)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ValueError, match=r"not a whole safetensors file \(Too many levels of symbolic links\); "):
        tensor_entries.read(tmp_path / "loop")
    with pytest.raises(FileNotFoundError):
        tensor_entries.read(tmp_path / "nothing")


@pytest.mark.parametrize("seed", range(4))
def test_what_is_read_here_the_library_loads(tmp_path, seed):
    """Files at random from a seed: what is accepted has the library's shapes and types; what it refuses is refused."""
    rng = random.Random(seed)
    accepted = refused = 0
    for _ in range(1500):
        path = headers.write(tmp_path / "a.safetensors", headers.at_random(rng))
        try:
            entries = tensor_entries.read(path).tensors
        except ValueError as error:
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 600
            refused += 1
            continue
        accepted += 1
        loaded = load_file(path)
        assert {name: tuple(one.shape) for name, one in loaded.items()} == {
            name: entry["shape"] for name, entry in entries.items()
        }
        names = {store_name: name for name, store_name in tensor_entries.DTYPES.items()}
        assert all(loaded[name].dtype == getattr(torch, names[entry["dtype"]]) for name, entry in entries.items())
        if all(entry["dtype"] != "BF16" for entry in entries.values()):  # numpy has none
            assert store.load_arrays(path).keys() == entries.keys()
    assert accepted > 200 and refused > 200


BOUND = 512  # MiB beyond what the process has when it begins; the longest header is of 16
READ = """
import resource, sys
from pathlib import Path
from weight_atlas import tensor_entries
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]) * 2**20,) * 2)
for path in sys.argv[2:]:
    try:
        tensor_entries.read(path)
    except ValueError as error:
        print(str(error).splitlines()[0][-300:])
"""


def test_a_header_takes_no_more_memory_than_the_bound(tmp_path):
    """The costliest headers of the longest length, and those of a gigabyte and of more, which are not read."""
    length = tensor_entries.LONGEST
    texts = {
        "lists": b'{"a":[' + b"[]," * ((length - 9) // 3) + b"0]}",
        "names": b"{" + b",".join(b'"%x":0' % i for i in range(length // 12)) + b"}",
        "nesting": b'{"a":' * (length // 5),
    }
    paths = [headers.write(tmp_path / name, raw(text)) for name, text in texts.items()]
    assert all(path.stat().st_size <= length + 8 for path in paths)
    for name, size in (("a gigabyte", 2**30), ("a terabyte", 2**40)):  # with holes: they take no room
        path = headers.write(tmp_path / name, raw(b"{}", length=size - 8))
        os.truncate(path, size)
        paths.append(path)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(BOUND), *paths],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(paths)
    assert f"(its header has {2**30 - 8} bytes; allowed: {length}); " in done.stdout
