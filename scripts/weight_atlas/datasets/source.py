"""A source of images: what is known of it before an image is read, and what its module can do."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from weight_atlas.datasets.changes import Changes
from weight_atlas.text import one_line

Spec = Mapping[str, Any]  # a data set or a file of weights, as the config describes it
DataRoot = str | Path | None
Images = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]


class ImageFile(NamedTuple):
    """One image: the directory or zip that holds it, its name in there (with slashes), and what a zip says of it: its
    CRC-32 and size."""

    container: Path
    name: str
    checksum: str = ""

    @property
    def short(self) -> str:
        """Its name without the folders above the container, for what others may read."""
        return one_line(f"{self.container.name}{'/' if self.container.is_dir() else ': '}{self.name}")

    def __str__(self) -> str:
        is_folder = self.container.is_dir()
        return one_line(self.container / self.name if is_folder else f"{self.container}: {self.name}")


@dataclass(frozen=True)
class Source:
    """A source of images, in parts: "all", or "train" and "test" (or "valid"), or the three splits.

    classes: all names, by original label; channels, size (height, width): the source's own, None where they were not
    looked for since the data set sets them; counts: {part: images per class}; notes: sentences for the card; warnings:
    sentences on what a user should look at, for the console, the card and the report; images: {part: the files per
    class}, for folders only.
    """

    title: str
    classes: list[str]
    channels: int | None
    size: tuple[int, int] | None
    counts: dict[str, list[int]]
    notes: list[str] = field(default_factory=list)
    images: dict[str, list[list[ImageFile]]] | None = None
    warnings: list[str] = field(default_factory=list)


class ClassReader(Protocol):
    """Reads images of one class into an array."""

    def __call__(self, out: Images, part: str, label: int, positions: Positions) -> Changes:
        """Fill `out` (uint8 [n, C, H, W]) with the images at these positions of a class in a part of the source."""


class Gone(ValueError):
    """The files of a source are not there."""


def not_found(spec: Spec, path: Path, data_root: DataRoot) -> Gone:
    """What is said where a file or folder is not there; of one that a run downloads, that it does."""
    if spec.get("download") and not downloaded(spec, path, data_root).exists():
        return Gone(f"dataset {spec['source']}: {path} is not there yet; a run downloads it before it plans")
    return Gone(
        f"dataset {spec['source']}: {path} not found (data_root is {data_root}); set data_root to the folder that "
        "holds it, or correct its name"
    )


def downloaded(spec: Spec, path: Path, data_root: DataRoot) -> Path:
    """What the download of a spec's `path` makes: the file itself, or the folder that an archive is unpacked to."""
    if not is_unpacked(spec):
        return path
    base = Path(data_root or "")
    return base.joinpath(*path.relative_to(base).parts[:1])


def is_unpacked(spec: Spec) -> bool:
    """Whether the download of a spec is an archive to unpack: all but an .npz, and a zip that `path` names."""
    return spec["source"] != "npz" and not spec["path"].endswith(".zip")


class SourceModule(Protocol):
    """What each module of a kind of source provides."""

    def files(self, spec: Spec, data_root: DataRoot) -> list[Path]:
        """The files and directories that must exist."""

    def fetch(self, spec: Spec, data_root: DataRoot) -> None:
        """Download what is missing, where the spec says that it may be; ValueError in one line where that fails."""

    def describe(self, spec: Spec, data_root: DataRoot) -> Source:
        """The Source that a spec names; ValueError in one line where something is wrong, Gone where it is missing."""

    def digests(self, spec: Spec, data_root: DataRoot, source: Source) -> list[str]:
        """What changes with the content of the images that are read, beyond what `source` says of them."""

    def reader(self, spec: Spec, data_root: DataRoot, source: Source) -> AbstractContextManager[ClassReader]:
        """Yields the ClassReader of a source; ValueError in one line where files are damaged."""


def under_data_root(data_root: DataRoot, name: str, what: str) -> Path:
    """The path `name` below `data_root`; ValueError, which begins with `what`, where no data_root is set."""
    if not data_root:
        raise ValueError(f"{what}: {name} is looked for below data_root, which is not set; set data_root")
    return Path(data_root) / name
