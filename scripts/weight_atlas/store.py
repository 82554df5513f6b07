"""The file formats at the bottom of everything: whole files, JSON, safetensors, and where snapshots are.

torch is imported only by :func:`load_tensors` (and by :func:`save_tensors` where it is given torch tensors).
"""

import errno
import hashlib
import json
import math
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from weight_atlas import tensor_entries
from weight_atlas.tensor_entries import DTYPES, Entry

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

T = TypeVar("T")

# In the metadata of a snapshot: the file beside it that has the tensors that it leaves out, or several with / between.
REST = "rest"

LINK = "given_"  # begins the name of a link to a user's file

# The columns of a block's metrics.csv, one row an epoch and replicate: here, since training does not import the schema.
METRICS = (
    *("cell_id", "seed", "epoch", "stage", "rate", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy"),
    *("test_loss", "test_accuracy", "seconds", "images_per_second"),
)


class Header(NamedTuple):
    """The metadata of a safetensors file, and the shapes of its tensors by name."""

    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` at the end, or remove it on an exception.

    A reader thus sees the old file, the new file or none, never half of one, after a power cut too: the content is on
    the disk before the name is, and the name before this returns. The temporary name keeps the suffix (libraries choose
    a format by it) and carries the process id, so that two processes do not write over each other. Missing folders are
    created.
    """
    path = Path(path)
    make_folder(path.parent)
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        yield part
        flush(part)
        os.replace(part, path)
        flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until the content of a file, or the list of entries of a folder, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot flush a folder
            raise
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, so that they are there after a power cut too."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        flush(folder.parent)


def read_json(path: str | Path) -> Any:
    """The content of a JSON file; OSError, or ValueError in one line where it is no file of JSON."""
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # before it is opened: a pipe would wait for its writer
            raise ValueError("no regular file")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{path}: not valid JSON ({why}); remove the file, so that it is made again") from None


def _finite(text: str) -> float:
    """A float of JSON; ValueError for NaN and infinity, which `write_json` does not write either."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def write_json(path: str | Path, obj: object) -> None:
    """Write `obj` as UTF-8 JSON, whole. NaN and infinity are no JSON: they raise ValueError; write None for them."""
    text = json.dumps(obj, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_tensors(
    path: str | Path,
    tensors: "Mapping[str, npt.NDArray[Any]] | Mapping[str, torch.Tensor]",
    metadata: Mapping[str, object] | None = None,
) -> None:
    """Write numpy arrays or torch tensors (any device) as a safetensors file, whole.

    The values of `metadata` are written as strings. The same tensors and metadata give the same bytes, which the
    safetensors library does not promise (it writes metadata in an order that changes from run to run). ValueError for a
    dtype outside :data:`tensor_entries.DTYPES`.
    """
    entries = layout(path, tensors)
    header = {"__metadata__": {str(key): str(value) for key, value in sorted((metadata or {}).items())}} | entries
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    with atomic_write(path) as part, open(part, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in entries:
            file.write(as_bytes(tensors[name]))


def layout(
    path: str | Path, tensors: "Mapping[str, npt.NDArray[Any]] | Mapping[str, torch.Tensor]"
) -> dict[str, Entry]:
    """The header's entries of tensors by name, in the order in which `save_tensors` writes them."""
    dtypes = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in tensors.items()}
    for name, dtype in dtypes.items():
        if dtype not in DTYPES:
            raise ValueError(f"{path}: tensor {name} has dtype {dtype}; allowed: {', '.join(DTYPES)}")
    entries: dict[str, Entry] = {}
    start = 0
    for name in sorted(tensors, key=lambda name: (list(DTYPES).index(dtypes[name]), name)):
        shape, end = list(tensors[name].shape), start + tensors[name].nbytes
        entries[name] = {"dtype": DTYPES[dtypes[name]], "shape": shape, "data_offsets": [start, end]}
        start = end
    return entries


def link_tensors(path: str | Path, files: Sequence[Path], metadata: Mapping[str, object]) -> None:
    """Write a snapshot that leaves all tensors to `files`, anywhere, with a link beside it to each (see
    `tensor_files`)."""
    path = Path(path)
    make_folder(path.parent)
    links = [path.with_name(f"{LINK}{path.stem}-{number}{path.suffix}") for number, _ in enumerate(files, 1)]
    for link, file in zip(links, files, strict=True):
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(os.path.realpath(file), os.path.realpath(path.parent)))
    save_tensors(path, {}, {**metadata, REST: "/".join(link.name for link in links)})


def is_linked(path: str | Path) -> bool:
    """Whether a snapshot leaves its tensors to a user's files."""
    return tensor_entries.read(path).metadata.get(REST, "").startswith(LINK)


def as_bytes(tensor: "npt.NDArray[Any] | torch.Tensor") -> memoryview:
    """The tensor's elements in C order as a flat buffer of bytes; no copy where it is contiguous and on the CPU."""
    import numpy as np

    if isinstance(tensor, np.ndarray):
        return np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def load_tensors(path: str | Path) -> "dict[str, torch.Tensor]":
    """The torch tensors of a safetensors file by name, mapped into memory (pages are read when they are touched;
    writing to a tensor changes the process's copy, never the file). Of a snapshot all tensors, also those that another
    file holds (see `tensor_files`)."""
    from safetensors.torch import load_file

    return _load(path, load_file)


def load_arrays(path: str | Path) -> "dict[str, npt.NDArray[Any]]":
    """The numpy arrays of a safetensors file by name, read into memory, without torch; of a snapshot all of them, as
    `load_tensors` does."""
    from safetensors.numpy import load_file

    return _load(path, load_file)


def _load(path: str | Path, load_file: Callable[[Path], dict[str, T]]) -> dict[str, T]:
    tensors: dict[str, T] = {}
    for part in tensor_files(path):
        tensors = load_file(part) | tensors
    return tensors


def tensor_files(path: str | Path, remedy: str = tensor_entries.MAKE_AGAIN) -> list[Path]:
    """The files that together hold the tensors of a safetensors file: itself, and those that its metadata names as
    `rest`, which have the others. FileNotFoundError, in one line, where one is missing.

    A snapshot does not repeat the tensors that training never changes: its metadata name the snapshot beside it that
    has them (`rest`), which is whole. One of given checkpoints that are not copied has no tensor, and links beside it
    to the user's files. remedy: as for `tensor_entries.read`, which raises ValueError.
    """
    path = Path(path)
    rest = tensor_entries.read(path, remedy).metadata.get(REST)
    if rest is None:
        return [path]
    others = [path.parent / name for name in rest.split("/")]
    for other in others:
        if not other.is_file():
            raise FileNotFoundError(
                f"{path}: the tensors that it shares with {tensor_entries.shown(rest)} are gone with it; "
                "train the cell again"
            )
        tensor_entries.read(other, remedy)
    return [path, *others]


def tensor_header(path: str | Path) -> Header:
    """Metadata and shapes of a safetensors file. Reads the header only; ValueError as `tensor_entries.read`."""
    metadata, entries = tensor_entries.read(path)
    return Header(metadata, {name: tuple(entry["shape"]) for name, entry in entries.items()})


def replicate_path(block: str | Path, seed: int | str) -> Path:
    """The folder of a replicate below the block directory `block`: its snapshots, and all other files about it."""
    return Path(block) / "snapshots" / f"seed{int(seed)}"


def record_path(block: str | Path, seed: int | str) -> Path:
    """The file that records how a replicate ended; it exists once it has (see `weight_atlas.records`)."""
    return replicate_path(block, seed) / "record.json"


def metrics_path(block: str | Path, seed: int | str) -> Path:
    """The rows of a replicate in its block's metrics.csv, with the header."""
    return replicate_path(block, seed) / "metrics.csv"


def snapshot_path(block: str | Path, seed: int | str, epoch: int | str) -> Path:
    """The path of a snapshot below the block directory `block`; `epoch` is a number or "best"."""
    return snapshot_file(replicate_path(block, seed), epoch)


def snapshot_file(folder: str | Path, epoch: int | str) -> Path:
    """The path of a snapshot in the folder of a replicate's snapshots; `epoch` is a number or "best"."""
    return Path(folder) / f"{'best' if epoch == 'best' else f'epoch_{int(epoch)}'}.safetensors"


def track_path(block: str | Path, seed: int | str) -> Path:
    """The path of what `track` recorded for a replicate: uint8 tensors named as the parameters."""
    return replicate_path(block, seed) / "track.safetensors"


def right_path(block: str | Path, seed: int | str) -> Path:
    """The path of which test images a replicate classifies right: by protocol uint8, a bit an image from the highest
    on; their number is in the metadata."""
    return replicate_path(block, seed) / "right.safetensors"


def course_path(folder: str | Path) -> Path:
    """The file, in the folder of a replicate's snapshots, with what was measured of all of them before some were
    removed. Where it exists, the replicate's snapshots are pruned."""
    return Path(folder) / "course.json"


def is_kept(path: str | Path) -> bool:
    """Whether a snapshot is kept: as a file or, for the start of a pruned replicate, as a hash only. That start is then
    made again where it is needed (`weight_atlas.starts.load`)."""
    path = Path(path)
    return path.exists() or (path == snapshot_file(path.parent, 0) and course_path(path.parent).exists())


def optimizer_path(block: str | Path, seed: int | str) -> Path:
    """The path of the optimizer's state at the end of a replicate: tensors named `<parameter>:<key>`."""
    return replicate_path(block, seed) / "optimizer.safetensors"


def scratch_path(block: str | Path) -> Path:
    """Where the files of a block are while it is trained."""
    return Path(block).with_name(f".{Path(block).name}")


def lock_path(block: str | Path) -> Path:
    """The file whose lock the launcher of a block holds while it works."""
    return Path(block).with_name(f".{Path(block).name}.lock")


def block_seeds(block: str | Path) -> range:
    """The seeds of a block directory as a range: "seeds_0-2" (or a path that ends so) -> range(0, 3)."""
    match = re.fullmatch(r"seeds_(\d+)-(\d+)", Path(block).name)
    if match is None:
        raise ValueError(f"{block}: not a block directory; its name must be seeds_<first>-<last>")
    return range(int(match[1]), int(match[2]) + 1)
