"""Images in folders or zips: one directory per class, or train|valid|test directories above the classes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from weight_atlas.datasets.image import open_zip, opener
from weight_atlas.datasets.resize import resize
from weight_atlas.datasets.source import (
    Changes,
    ClassReader,
    DataRoot,
    ImageFile,
    Images,
    Positions,
    Source,
    Spec,
    under_data_root,
)
from weight_atlas.datasets.split import select_labels
from weight_atlas.vocabulary import SPLITS

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp")
SPLIT_NAMES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}

Trail = tuple[str, ...]  # of a directory or file below a container, name by name
Classes = dict[str, list[tuple[str, ImageFile]]]  # by class: (name within the class, image)


class Container(NamedTuple):
    """A directory or zip, and the part of the source that it holds; None where the parts are inside."""

    part: str | None
    path: Path


class Contents(NamedTuple):
    """Names of the images in a container, with slashes, and its directories."""

    names: list[str]
    directories: set[Trail]


class ImageFormat(NamedTuple):
    """Channels and (height, width); None where the data set sets them."""

    channels: int | None
    size: tuple[int, int] | None


def _containers(spec: Spec, data_root: DataRoot) -> list[Container]:
    """The containers that `path`, or `train`, `valid` and `test`, name."""

    def path(name: str) -> Path:
        return under_data_root(data_root, name, "dataset folder")

    if spec.get("path"):
        return [Container(None, path(spec["path"]))]
    return [Container(split, path(name)) for split in SPLITS for name in spec.get(split) or []]


def files(spec: Spec, data_root: DataRoot) -> list[Path]:
    """The directories and zips that must exist."""
    return [container.path for container in _containers(spec, data_root)]


def describe(spec: Spec, data_root: DataRoot) -> Source:
    """The Source of a folder: its images are listed, and none is opened but the first of each class where channels
    or size are not set. ValueError in one line where something is missing, empty or of mixed sizes."""
    containers = _containers(spec, data_root)
    if not containers:
        raise ValueError("dataset folder: names no images; set path:, or train: and test:")
    parts: dict[str, Classes] = {}
    for part, path in containers:
        if not path.exists():
            raise ValueError(
                f"dataset folder: {path} not found (data_root is {data_root}); set data_root to the folder that "
                "holds it, or correct its name"
            )
        for split, classes in _list_classes(path, part).items():
            for name, entries in classes.items():
                parts.setdefault(part or split, {}).setdefault(name, []).extend(entries)
    parts = _check_parts(parts, containers)
    names = sorted({name for classes in parts.values() for name in classes})
    images = {part: [_sorted(classes.get(name, [])) for name in names] for part, classes in parts.items()}
    channels, size = _first_format(spec, names, images)
    return Source(
        title=Path(spec["path"]).stem if spec.get("path") else f"Images of {len(names)} classes",
        classes=names,
        channels=channels,
        size=size,
        counts={part: [len(files) for files in classes] for part, classes in images.items()},
        notes=[f"Images from {', '.join(path.name for _, path in containers)}, one directory per class."],
        images=images,
    )


def _check_parts(parts: dict[str, Classes], containers: list[Container]) -> dict[str, Classes]:
    """The parts, where they hold images and make sense together; "train" alone counts as no split at all."""
    where = ", ".join(str(path) for _, path in containers)
    if not any(entries for classes in parts.values() for entries in classes.values()):
        raise ValueError(f"{where}: no images found in class directories; allowed are {' '.join(SUFFIXES)}")
    if set(parts) == {"train"}:
        return {"all": parts["train"]}
    if set(parts) != {"all"} and ("train" not in parts or "all" in parts):
        raise ValueError(f"{where}: has {' and '.join(sorted(parts))}; train is needed, with test (or valid) or both")
    return parts


def _sorted(entries: list[tuple[str, ImageFile]]) -> list[ImageFile]:
    """By file name within the class directory; images of the same name stay in the order of their containers."""
    return [image for _, image in sorted(entries, key=lambda entry: entry[0])]


def _list_classes(container: Path, part: str | None) -> dict[str, Classes]:
    """{split or "all": the images by class} of one directory or zip."""
    names, directories = _contents(container)
    trails = [tuple(name.split("/")) for name in names]
    result = {}
    for split, branch in _branches(container, part, trails, directories).items():
        level = len(branch)
        classes: Classes = {trail[level]: [] for trail in directories if len(trail) > level and trail[:level] == branch}
        for name, trail in zip(names, trails, strict=True):
            if len(trail) > level + 1 and trail[:level] == branch:
                inner = "/".join(trail[level + 1 :])
                classes.setdefault(trail[level], []).append((inner, ImageFile(container, name)))
        result[split] = classes
    return result


def _branches(container: Path, part: str | None, trails: list[Trail], directories: set[Trail]) -> dict[str, Trail]:
    """{split or "all": trail of the directory above the classes}.

    A single directory above everything is skipped. Directories named train, valid (val, validation) or test above the
    classes are splits, unless there are other directories with images beside them. A container that is listed for one
    `part` may have its classes at the top, below one split directory of any name, or below that of its part.
    """
    base: Trail = ()
    while True:
        level = len(base)
        inside = [trail for trail in trails if trail[:level] == base and len(trail) > level + 1]
        tops = {trail[level] for trail in inside}
        splits = {top for top in tops if top.lower() in SPLIT_NAMES}
        if len(tops) != 1 or splits or any(len(trail) == level + 2 for trail in inside):
            break
        base = (*base, *tops)
    if not splits or splits != tops:
        return {"all": base}
    beside = {trail[level] for trail in directories if len(trail) == level + 1 and trail[:level] == base}
    for top in sorted(beside - tops):
        if top.lower() in SPLIT_NAMES:
            raise ValueError(f"{container}: {'/'.join((*base, top))} holds no images; add some or remove it")
    if part and len(splits) > 1:
        splits = {top for top in splits if SPLIT_NAMES[top.lower()] == part}
        if not splits:
            raise ValueError(f"{container}: is listed for {part} but has no {part} directory; correct {part}:")
    branches = {SPLIT_NAMES[top.lower()]: (*base, top) for top in splits}
    if len(branches) < len(splits):
        raise ValueError(f"{container}: two of {', '.join(sorted(splits))} mean the same split; join them")
    return branches


def _contents(container: Path) -> Contents:
    """The images and directories of a directory or zip; hidden files and __MACOSX are left out."""
    if container.is_dir():
        names: list[str] = []
        directories: set[Trail] = set()
        for folder, inner, entries in os.walk(container, followlinks=True):
            inner[:] = sorted(name for name in inner if _visible(name))
            trail = Path(folder).relative_to(container).parts
            directories.update((*trail, name) for name in inner)
            names += ["/".join((*trail, name)) for name in sorted(entries)]
    else:
        with open_zip(container) as file:
            members = [name for name in file.namelist() if all(_visible(piece) for piece in name.split("/"))]
        names = [name for name in members if not name.endswith("/")]
        directories = {tuple(name.rstrip("/").split("/")) for name in members if name.endswith("/")}
    images = [name for name in names if name.lower().endswith(SUFFIXES) and _visible(name.split("/")[-1])]
    return Contents(images, directories)


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _first_format(spec: Spec, names: list[str], images: dict[str, list[list[ImageFile]]]) -> ImageFormat:
    """Channels and size by the first image of each class and part.

    Colour if one of them has colour; their sizes must be equal where `spec` sets none.
    """
    if spec.get("channels") and spec.get("size"):
        return ImageFormat(None, None)
    channels, first, size = 1, None, None
    with opener() as read:
        for label in select_labels(spec, names):
            for file in (classes[label][0] for classes in images.values() if classes[label]):
                image = read(file)
                channels = max(channels, len(image.getbands()))
                if size is None:
                    first, size = file, image.size
                if spec.get("size") is None and image.size != size:
                    raise ValueError(_mixed_sizes(file, image.size, str(first), size))
    return ImageFormat(channels, (size[1], size[0]) if size else None)


def _mixed_sizes(file: ImageFile, size: tuple[int, int], other: str, other_size: tuple[int, int]) -> str:
    return (
        f"{file}: is {size[0]} x {size[1]} pixels and {other} is {other_size[0]} x {other_size[1]}; set size: to "
        "bring them to one"
    )


@contextmanager
def reader(spec: Spec, data_root: DataRoot, source: Source) -> Iterator[ClassReader]:
    """Yields the reader of a folder's images.

    Its ValueError names an image that cannot be read, whose size differs where `size` is null, or that has colour
    where the first images of all classes are grey and `channels` is null.
    """
    with opener() as read:

        def read_class(out: Images, part: str, label: int, positions: Positions) -> Changes:
            files = (source.images or {})[part][label]
            channels, size, expected = out.shape[1], spec.get("size"), (out.shape[3], out.shape[2])
            resized = recoloured = 0
            for i, file in enumerate(files[position] for position in positions):
                image = read(file)
                if spec.get("channels") is None and len(image.getbands()) > channels:
                    raise ValueError(f"{file}: has colour, the first image of each class has none; set channels:")
                if size is None and image.size != expected:
                    raise ValueError(_mixed_sizes(file, image.size, "the first", expected))
                out[i] = resize(image, channels, size)
                resized += image.size != expected
                recoloured += len(image.getbands()) != channels
            return Changes(resized, recoloured)

        yield read_class
