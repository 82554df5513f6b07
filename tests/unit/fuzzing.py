"""Inputs at random from a seed, right, nearly right and wrong, each given to what reads it in a process of its own.

    python tests/unit/fuzzing.py config 0 100 512     # target, seed, cases (or seconds: 60s), MiB

A case is a result, or an error of the kind that ends in one line, which names the file. What else happens is printed.
"""

import io
import json
import os
import random
import resource
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from PIL import Image
from snakemake.common.configfile import load_configfile

from tests.conftest import ROOT, tiny
from tests.unit import headers
from weight_atlas import store, tensor_entries
from weight_atlas.datasets import archive, source_info
from weight_atlas.export import check
from weight_atlas.plan import commands, config_files, given, spec
from weight_atlas.plan.checks import ConfigError

LONGEST = 3000  # characters of a line

# ------------------------------------------------------------------------------------------------------------- configs

TOKENS = ["&a ", "*a", "<<: *a", "!!python/name:os.system ", "!!binary ", "!!set ", "? ", "- ", ": ", "---\n", "...\n"]
TOKENS += [
    "\t",
    "\n",
    " ",
    "  ",
    "#",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    '"',
    "|\n",
    ">\n",
    "%YAML 1.1\n",
    "__use_yte__: true\n",
]
TOKENS += ["\x00", "\x85", "\u2028", "\ufeff", "\ud800", "é", "9" * 5000, "1e999", "-", "{a: " * 30, "[" * 300]
WORDS = ["name", "training", "epochs", "type", "source", "digits", "lenet1", "sgd", "each", "all", "default", "a" * 300]
VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    10**6,
    10**30,
    0.5,
    1e300,
    float("nan"),
    float("inf"),
    "",
    " ",
    "a\nb",
    "\x07",
]
VALUES += [
    "../x",
    "/dev/zero",
    "1e-3",
    "2024-01-01",
    "$x",
    "{x}",
    [],
    [[]],
    {},
    {"": ""},
    {"type": "sgd"},
    ["digits"] * 2,
]
VALUES += [
    "folder",
    "torchvision",
    "MNIST",
    "imagenet",
    {"source": "folder", "path": "."},
    {"type": "multistep"},
    *WORDS,
]


def config(rng: random.Random, path: Path) -> None:
    """A config file whose text or values are changed, and its plan."""
    text = rng.choice(CONFIGS)
    if rng.random() < 0.6:
        values = yaml.safe_load(text)
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            _change_value(rng, values)
        text = yaml.dump(values, sort_keys=False, allow_unicode=True)
    for _ in range(rng.choice([0, 1, 1, 2]) if rng.random() < 0.6 else 0):
        text = _change_text(rng, text)
    file = path / "mine.yaml"
    file.write_bytes(_scar(rng, text.encode("utf-8", "surrogatepass"), 0.1))
    commands.load(_loaded(file), [file])


def _loaded(file: Path) -> dict[str, Any]:
    """The config as Snakemake loads it, once it was looked at."""
    config_files.check(file)
    return dict(load_configfile(str(file)))


def _change_value(rng: random.Random, values: Any) -> None:
    """Change, remove, add or move one value, somewhere inside."""
    places: list[tuple[Any, Any]] = []
    waiting = [values]
    while waiting:
        inner = waiting.pop()
        keys = list(inner) if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else []
        places += [(inner, key) for key in keys]
        waiting += [inner[key] for key in keys]
    if not places:
        return
    holder, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice([*WORDS, *map(str, VALUES[:12]), None, 3])] = holder.pop(key)
    elif kind == 2:
        other, place = rng.choice(places)
        if place in other if isinstance(other, dict) else place < len(other):
            holder[key] = json.loads(json.dumps(other[place], default=str))
    elif kind == 3 and isinstance(holder, dict):
        holder[rng.choice(WORDS)] = rng.choice(VALUES)
    else:
        holder[key] = rng.choice(VALUES)


def _change_text(rng: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    at = rng.randrange(len(text))
    match rng.randrange(6):
        case 0:
            return text[:at] + rng.choice(TOKENS) + text[at:]
        case 1:
            return text[:at] + text[at + rng.randrange(1, 40) :]
        case 2:
            return "".join([*lines[:place], lines[other], *lines[place:]])
        case 3:
            return "".join([*lines[:place], " " * rng.randrange(1, 5), *lines[place:]])
        case 4:
            return text[:at] + json.dumps(rng.choice(VALUES)) + text[at:]
        case _:
            return "".join(lines[: place + 1])


# --------------------------------------------------------------------------------------------------------------- bytes


def _scar(rng: random.Random, content: bytes, share: float = 1.0) -> bytes:
    """The bytes with some changed, cut, repeated or put in; with probability `share`."""
    if rng.random() >= share or not content:
        return content
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] = rng.randrange(256)
            case 1:
                size = rng.choice([1, 2, 4, 8])
                number = rng.choice([0, 1, 0x7F, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1])
                data[at : at + size] = (number % 256**size).to_bytes(size, rng.choice(["little", "big"]))
            case 2:
                del data[at : at + rng.choice([1, 2, 16, 200])]
            case 3:
                data[at:at] = data[at : at + rng.choice([1, 16, 200])]
            case 4:
                data[at:at] = rng.randbytes(rng.choice([1, 4, 30]))
            case _ if rng.random() < 0.3:
                del data[at:]
    return bytes(data)


def safetensors(rng: random.Random, path: Path) -> None:
    """A safetensors file."""
    file = headers.write(path / "a.safetensors", _scar(rng, headers.at_random(rng), 0.3))
    found = tensor_entries.read(file).tensors
    given.header(file)
    if all(entry["dtype"] != "BF16" for entry in found.values()):  # numpy has none
        assert store.load_arrays(file).keys() == found.keys()


PICTURES = [("L", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG"), ("P", "GIF"), ("RGB", "JPEG"), ("RGB", "BMP"), ("1", "PPM")]
PICTURES += [("RGB", "TIFF"), ("CMYK", "TIFF"), ("RGB", "PPM"), ("RGB", "WEBP")]


def _picture(rng: random.Random) -> bytes:
    """An image of 9 x 12 pixels in one of the formats that are read, some of them damaged."""
    mode, kind = rng.choice(PICTURES)
    file = io.BytesIO()
    image = Image.new(mode, (9, 12))
    image.paste(1, (0, 0, 4, 4)) if mode in ("L", "P", "1") else None
    image.save(file, kind)
    return _scar(rng, file.getvalue(), 0.02)


def _zipped(rng: random.Random, members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    method = rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def zips(rng: random.Random, path: Path) -> None:
    """A zip of images: what is in it, and its images."""
    names = ["cat", "dog", "train/cat", "test/cat", "Ünï", "a\\b", "..", "/x", "con", ".hidden", "__MACOSX", "a" * 300]
    folders = rng.sample(names[:2], 2) + rng.sample(names, rng.choice([0, 0, 0, 0, 1, 2]))
    members = {f"{one}/{number}.png": _picture(rng) for one in folders for number in range(rng.choice([1, 8, 8, 9]))}
    (path / "z.zip").write_bytes(_scar(rng, _zipped(rng, members), 0.6))
    sizes = rng.choice([{"size": 8, "channels": 1}, {"size": 8}, {"size": 8, "channels": 3}])
    _read(spec.Folder(source="folder", path="z.zip", **sizes).model_dump(), path)


def archives(rng: random.Random, path: Path) -> None:
    """A tar or zip with the files of a data set."""
    members = {f"MNIST/raw/{name}": content for name, content in _idx(rng).items()}
    file = io.BytesIO()
    if rng.random() < 0.5:
        content = _zipped(rng, members)
    else:
        with tarfile.open(fileobj=file, mode=rng.choice(["w", "w:gz", "w:bz2", "w:xz"])) as made:
            for name, one in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(one)
                made.addfile(entry, io.BytesIO(one))
        content = file.getvalue()
    (path / "a.archive").write_bytes(_scar(rng, content, 0.8))
    with archive.members(path / "a.archive", list(members)) as found:
        for member in found:
            while member.file.read(2**16):
                pass


def unpacked(rng: random.Random, path: Path) -> None:
    """A tar or zip that is unpacked as a whole."""
    names = ["a/1", "./a/2", "b", "a/1/c", "../x", "/x", "a\\b", "Ünï", "n" * 300, "c/", "a/./1", ""]
    members = {name: rng.randbytes(rng.choice([0, 9, 5000])) for name in rng.sample(names, rng.choice([1, 3, 3, 5]))}
    file = io.BytesIO()
    if rng.random() < 0.5:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in members.items():
                zipped.writestr(name or "empty", content)
    else:
        with tarfile.open(fileobj=file, mode=rng.choice(["w", "w:gz", "w:bz2", "w:xz"])) as made:
            for name, content in members.items():
                entry = tarfile.TarInfo(name or "empty")
                entry.type = rng.choice([tarfile.REGTYPE] * 20 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
                entry.size, entry.linkname = len(content) if entry.type == tarfile.REGTYPE else 0, "../../etc/passwd"
                made.addfile(entry, io.BytesIO(content))
    (path / "deep").mkdir()
    (path / "deep/a.archive").write_bytes(_scar(rng, file.getvalue(), 0.5))
    try:
        archive.unpack(path / "deep/a.archive", path / "deep/to")
    finally:
        assert [one.name for one in path.iterdir()] == ["deep"], "something is outside"
        assert not [one for one in path.rglob("*") if one.is_symlink()]


def arrays(rng: random.Random, path: Path) -> None:
    """An .npz of images and labels."""
    number, form = rng.choice([6, 12, 12]), rng.choice([(9, 9), (9, 7, 3), (9, 9, 1), (9,), (0, 9)])
    kinds: list[Any] = [np.uint8, np.int64, np.float32, np.uint8, ">i2", bool, np.complex64, "U3", object]
    pairs: dict[str, bytes] = {}
    for part in rng.choice([("train",), ("train", "test"), ("train", "val", "test")]):
        labels = np.arange(number) % 2
        if rng.random() < 0.2:
            labels = labels.astype(rng.choice(kinds))
        images = np.full((number, *form), 7, rng.choice([np.uint8] * 9 + kinds))
        for key, array in ((f"{part}_images", images), (f"{part}_labels", labels)):
            file = io.BytesIO()
            np.save(file, array, allow_pickle=True)
            pairs[f"{key}.npy"] = _scar(rng, file.getvalue(), 0.1)
    (path / "a.npz").write_bytes(_scar(rng, _zipped(rng, pairs), 0.3))
    _read(spec.Npz(source="npz", path="a.npz", size=rng.choice([None, 8])).model_dump(), path)


def tables(rng: random.Random, path: Path) -> None:
    """A CSV file that lists images."""
    lines = ["path,label" + rng.choice(["", ",split", ",note"])]
    for number in range(24):
        name = f"{number}.png"
        (path / name).write_bytes(_picture(rng))
        lines.append(
            f"{name},{'ab'[number % 2]}" + lines[0].count(",", 5) * f",{('train', 'val', 'test')[number // 2 % 3]}"
        )
    (path / "a.csv").write_bytes(_scar(rng, "\n".join(lines).encode(), 0.5))
    _read(spec.Csv(source="csv", path="a.csv", size=8, channels=rng.choice([None, 1, 3])).model_dump(), path)


def lists(rng: random.Random, path: Path) -> None:
    """What lists the images of a data set of torchvision."""
    texts: dict[str, str] = {}
    images, name = [], rng.choice(["Food101", "DTD", "GTSRB", "OxfordIIITPet", "FGVCAircraft"])
    numbers = {part: range(first, first + 12) for first, part in ((0, "train"), (12, "val"), (24, "test"))}
    for part, of in numbers.items():
        labelled = [(number, "ab"[number % 2]) for number in of]
        if name == "Food101":
            images += [f"food-101/images/{label}/{number}.jpg" for number, label in labelled]
            named = {label: [f"{label}/{number}" for number, own in labelled if own == label] for label in "ab"}
            texts[f"food-101/meta/{part}.json"] = json.dumps(named)
        elif name == "DTD":
            images += [f"dtd/dtd/images/{label}/{number}.jpg" for number, label in labelled]
            texts[f"dtd/dtd/labels/{part}1.txt"] = "".join(f"{label}/{number}.jpg\n" for number, label in labelled)
        elif name == "GTSRB":
            images += [f"gtsrb/GTSRB/Training/0000{number % 2}/{number}.ppm" for number in of]
            images += [f"gtsrb/GTSRB/Final_Test/Images/{number}.ppm" for number in of]
            rows = [f"{number}.ppm;9;{number % 2}\n" for number in of]
            texts["gtsrb/GT-final_test.csv"] = "Filename;Width;ClassId\n" + "".join(rows)
        elif name == "OxfordIIITPet":
            images += [f"oxford-iiit-pet/images/{label}_{number}.jpg" for number, label in labelled]
            lines = [f"{label}_{number} {'ab'.index(label) + 1} 1 1\n" for number, label in labelled]
            texts[f"oxford-iiit-pet/annotations/{'trainval' if part == 'train' else part}.txt"] = "".join(lines)
        else:
            base = "fgvc-aircraft-2013b/data"
            images += [f"{base}/images/{number}.jpg" for number in of]
            texts[f"{base}/images_variant_{part}.txt"] = "".join(f"{number} {label}\n" for number, label in labelled)
            texts[f"{base}/variants.txt"] = "a\nb\n"
    for file in images:
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_bytes(_picture(rng))
    for file, text in texts.items():
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_bytes(_scar(rng, text.encode(), 0.3))
    asked = spec.Torchvision(source="torchvision", dataset=name, download=False, size=8, channels=3)
    _read(asked.model_dump(), path)


def _read(asked: dict[str, Any], path: Path) -> None:
    """Read all of a data set, as it is prepared."""
    source = source_info.describe(asked, path)
    source_info.facts(asked, path)
    source_info.fingerprint(asked, path, source)
    channels, height, width = source_info.shape(asked, source)
    with source_info.SOURCES[asked["source"]].reader(asked, path, source) as read:
        for part, counts in source.counts.items():
            for label, count in enumerate(counts):
                read(np.zeros((count, channels, height, width), np.uint8), part, label, np.arange(count))


def bundles(rng: random.Random, path: Path) -> None:
    """A zip that claims to be a bundle, for its check."""
    members = {"tables/a.csv": b"a,b\n1,2\n", "report.html": b"<p>x</p>", "a.svg": b"<svg></svg>"}
    members["MANIFEST.sha256"] = rng.choice([b"", b"0" * 64 + b"  tables/a.csv\n", rng.randbytes(30)])
    (path / "b.zip").write_bytes(_scar(rng, _zipped(rng, members), 0.9))
    problem = check.first_problem(path / "b.zip")
    assert problem is None or "\n" not in problem


def _idx(rng: random.Random) -> dict[str, bytes]:
    count = rng.choice([0, 1, 40, 40, 40])
    files: dict[str, bytes] = {}
    for split in ("train", "t10k"):
        files[f"{split}-images-idx3-ubyte"] = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + bytes(count * 784)
        labels = bytes(number % 10 for number in range(count))
        files[f"{split}-labels-idx1-ubyte"] = struct.pack(">4BI", 0, 0, 8, 1, count) + labels
    return files


def idx(rng: random.Random, path: Path) -> None:
    """Idx files in MNIST's format."""
    (path / "MNIST/raw").mkdir(parents=True, exist_ok=True)
    for name, content in _idx(rng).items():
        (path / "MNIST/raw" / name).write_bytes(_scar(rng, content, 0.2))
    asked = spec.Torchvision(source="torchvision", dataset="MNIST", download=False).model_dump()
    source_info.facts(asked, path)
    source_info.fingerprint(asked, path, source_info.describe(asked, path))


# ------------------------------------------------------------------------------------------------------------- the run


class Target(NamedTuple):
    """What makes a case and reads it, the errors that it may end in, and what their line names."""

    run: Callable[[random.Random, Path], None]
    refusals: type[Exception]
    named: tuple[str, ...]


CONFIGS = [yaml.safe_dump(tiny(), sort_keys=False)] * 4 + [(ROOT / "config/config.yaml").read_text()]
TARGETS = {
    "config": Target(config, ConfigError, ("mine.yaml",)),
    "safetensors": Target(safetensors, ValueError, ("a.safetensors",)),
    "zips": Target(zips, ValueError, ("z.zip", "class ")),
    "archives": Target(archives, ValueError, ("a.archive",)),
    "unpacked": Target(unpacked, ValueError, ("a.archive",)),
    "arrays": Target(arrays, ValueError, ("a.npz", "class ")),
    "tables": Target(tables, ValueError, ("a.csv", ".png", "class ", "split:")),
    "lists": Target(lists, ValueError, ("dataset ", "class ", "dtd", "food", "gtsrb", "oxford", "fgvc")),
    "bundles": Target(bundles, ValueError, ("b.zip",)),
    "idx": Target(idx, ValueError, ("MNIST", "class ")),
}


def problem(target: Target, rng: random.Random, path: Path) -> str | None:
    """What is wrong with how one case ended; None where it gave a result, "" where it was refused in one line."""
    try:
        target.run(rng, path)
    except target.refusals as error:
        line = str(error)
        is_line = len(line.splitlines()) == 1 and line.isprintable() and len(line) <= LONGEST
        if is_line and any(name in line for name in target.named) and "MemoryError" not in line:
            return ""
        return f"a line that is none: {line[:500]!r}\n{traceback.format_exc()[-1500:]}"
    except Exception:
        return traceback.format_exc()[-2500:]
    return None


def main(name: str, seed: int, cases: int, seconds: float, bound: int) -> dict[str, Any]:
    """Cases of a target: so many, or for so many seconds; up to `bound` MiB beyond the start's."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + bound * 2**20,) * 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin, slowest, number = time.monotonic(), 0.0, 0
    found: dict[str, Any] = {"results": 0, "refused": 0, "problems": []}
    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)
        while number < cases or time.monotonic() - begin < seconds:
            start = time.monotonic()
            with tempfile.TemporaryDirectory(dir=home) as place:
                said = problem(TARGETS[name], random.Random(f"{name} {seed} {number}"), Path(place))
            slowest = max(slowest, time.monotonic() - start)
            found["results"] += said is None
            found["refused"] += said == ""
            if said:
                found["problems"].append(f"{name}, seed {seed}, case {number}: {said}")
            number += 1
        os.chdir("/")
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    return {"target": name, "seed": seed, "cases": number, "slowest": round(slowest, 3), "peak_mib": peak} | found


if __name__ == "__main__":
    _, name, seed, length, bound = sys.argv
    timed = length.endswith("s")
    done = main(name, int(seed), 0 if timed else int(length), float(length[:-1]) if timed else 0.0, int(bound))
    print(json.dumps(done))
