"""Images in folders or zips: one directory per class, or train|valid|test directories above the classes."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category

from weight_atlas.datasets.changes import BLANK, RECOLOURED, RESIZED, Changes
from weight_atlas.datasets.contents import SUFFIXES, Contents, contents
from weight_atlas.datasets.image import digest, opener
from weight_atlas.datasets.layout import Layout, arrange
from weight_atlas.datasets.pixels import Plain, to_8_bits
from weight_atlas.datasets.resize import resize
from weight_atlas.datasets.source import (
    ClassReader,
    DataRoot,
    Gone,
    ImageFile,
    Images,
    Positions,
    Source,
    Spec,
    not_found,
    under_data_root,
)
from weight_atlas.datasets.split import chosen, select_labels
from weight_atlas.text import one_line
from weight_atlas.vocabulary import SPLITS

if TYPE_CHECKING:
    from PIL import Image as Pillow

KINDS = 5  # of suffixes that are named

Classes = dict[str, list[tuple[str, ImageFile]]]  # by class: (name within the class, image)


class Container(NamedTuple):
    """A directory or zip, and the part of the source that it holds; None where the parts are inside."""

    part: str | None
    path: Path


class Looked(NamedTuple):
    """A container, what is in it, and how the images lie in it."""

    container: Container
    contents: Contents
    layout: Layout


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


def fetch(spec: Spec, data_root: DataRoot) -> None:
    """Download a zip to its place, or an archive that is unpacked, where the spec says from where."""
    from weight_atlas.datasets import download  # with what it needs of the network, which a plan does without

    download.fetch_path(spec, data_root)


def describe(spec: Spec, data_root: DataRoot) -> Source:
    """The Source of a folder: its images are listed, and none is opened but the first of each class where channels
    or size are not set. ValueError in one line where something is missing, empty or of mixed sizes."""
    containers = _containers(spec, data_root)
    if not containers:
        raise ValueError("dataset folder: names no images; set path:, or train: and test:")
    looked = [_look(spec, container, data_root) for container in containers]
    parts = _parts(looked)
    names = sorted({name for classes in parts.values() for name in classes})
    _check_names(names)
    images = {part: [_sorted(classes.get(name, [])) for name in names] for part, classes in parts.items()}
    channels, size = first_format(spec, names, images)
    return Source(
        title=Path(spec["path"]).stem if spec.get("path") else f"Images of {len(names)} classes",
        classes=names,
        channels=channels,
        size=size,
        counts={part: [len(files) for files in classes] for part, classes in images.items()},
        notes=[
            f"Images from {', '.join(path.name for _, path in containers)}, one directory per class.",
            *(note for one in looked for note in one.layout.notes),
        ],
        warnings=[*(warning for one in looked for warning in one.contents.warnings), *_passed_over(looked)],
        images=images,
    )


def _check_names(names: list[str]) -> None:
    """ValueError for a class whose name cannot be written into a table, or ends the line that it is in."""
    for name in names:
        if any(category(mark) in ("Cc", "Cs", "Zl", "Zp") for mark in name):
            raise ValueError(
                f"the class {one_line(name)!r} has a line break, another control character, or bytes that are no text "
                "in its name; rename its folder"
            )


def _look(spec: Spec, container: Container, data_root: DataRoot) -> Looked:
    """What is in a container; Gone where it is not there, or empty, ValueError where no image is in a class folder."""
    part, path = container
    if not path.exists():
        raise not_found(spec, path, data_root)
    found = contents(path)
    layout = arrange(str(path), found.names, found.directories, part)
    if not layout.folders:
        kinds = ", ".join(f"{len(names):,} {suffix or 'without a suffix'}" for suffix, names in _kinds(found.others))
        raise (ValueError if found.names or found.others else Gone)(
            f"{path}: no images found in class directories{f' (found: {kinds})' if kinds else ''}; put those of each "
            f"class in a folder; allowed are {' '.join(SUFFIXES)}"
        )
    return Looked(container, found, layout)


def _parts(looked: list[Looked]) -> dict[str, Classes]:
    """The images of all containers by part and class, where they make sense together."""
    parts: dict[str, Classes] = {}
    for (part, path), found, layout in looked:
        for split, classes in layout.parts.items():
            for name, entries in classes.items():
                images = [(inner, ImageFile(path, full, found.checksums.get(full, ""))) for inner, full in entries]
                parts.setdefault(part or split, {}).setdefault(name, []).extend(images)
    if set(parts) not in ({"all"}, {"train"}) and ("train" not in parts or "all" in parts):
        where = ", ".join(str(one.container.path) for one in looked)
        raise ValueError(f"{where}: has {' and '.join(sorted(parts))}; train is needed, with test (or valid) or both")
    _check_once(parts)
    return {"all": parts["train"]} if set(parts) == {"train"} else parts  # train alone is no split


def _check_once(parts: dict[str, Classes]) -> None:
    """ValueError where an image is in the source twice, since two of the paths lead to it."""
    real = functools.cache(os.path.realpath)
    seen: dict[str, str] = {}
    for part, classes in parts.items():
        for _, image in (entry for entries in classes.values() for entry in entries):
            place = f"{real(image.container)}/{image.name}"
            if place in seen:
                both = f"{seen[place]} and {part}" if seen[place] != part else f"{part} twice"
                raise ValueError(f"{image}: is in {both}, since two paths lead to it; name each path once")
            seen[place] = part


def _passed_over(looked: list[Looked]) -> list[str]:
    """Sentences on images in no class folder, and on files in class folders that are none."""
    loose = [ImageFile(path, name).short for (_, path), _, layout in looked for name in layout.loose]
    others = [
        ImageFile(path, name).short
        for (_, path), found, layout in looked
        for name in found.others
        if any(tuple(name.split("/")[:level]) in layout.folders for level in range(name.count("/") + 1))
    ]
    sentences = [_passed(loose, "image", "in no class folder")] if loose else []
    for suffix, names in _kinds(others):
        kind = f"with the suffix {suffix}" if suffix else "without a suffix"
        sentences.append(_passed(names, "file", f"{kind} in class folders"))
    return sentences


def _passed(names: list[str], noun: str, where: str) -> str:
    return f"Passed over: {len(names):,} {noun}{'s' * (len(names) > 1)} {where}, such as {names[0]}."


def _sorted(entries: list[tuple[str, ImageFile]]) -> list[ImageFile]:
    """By file name within the class directory; images of the same name stay in the order of their containers."""
    return [image for _, image in sorted(entries, key=lambda entry: entry[0])]


def _kinds(names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """[(suffix, names)], the most frequent first, and no more than KINDS of them."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(PurePosixPath(name).suffix.lower(), []).append(name)
    return sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0]))[:KINDS]


def first_format(spec: Spec, names: list[str], images: dict[str, list[list[ImageFile]]]) -> ImageFormat:
    """Channels and size by the first image of each class and part, which is opened where `spec` does not set both.

    Colour if one of them has colour; their sizes must be equal where `spec` sets none, else ValueError in one line.
    """
    if spec.get("channels") and spec.get("size"):
        return ImageFormat(None, None)
    channels, first, size = 1, None, None
    with opener() as read:
        for label in select_labels(spec, names):
            for file in (classes[label][0] for classes in images.values() if classes[label]):
                image = read(file).image
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


def digests(spec: Spec, data_root: DataRoot, source: Source) -> list[str]:
    """What tells the content of each chosen image apart: of others none is read. ValueError names one that cannot."""
    return [digest(file) for file in chosen(spec, source)]


@contextmanager
def reader(spec: Spec, data_root: DataRoot, source: Source) -> Iterator[ClassReader]:
    """Yields the reader of a folder's images.

    Its ValueError names an image that cannot be read, whose size differs where `size` is null, or that has colour
    where the first images of all classes are grey and `channels` is null.
    """
    with opener() as read:
        used = functools.cache(lambda: _used_bits(spec, source, read))

        def read_class(out: Images, part: str, label: int, positions: Positions) -> Changes:
            files = (source.images or {})[part][label]
            channels, size, expected = out.shape[1], spec.get("size"), (out.shape[3], out.shape[2])
            changes = Changes()
            for i, file in enumerate(files[position] for position in positions):
                image, kinds, bits = read(file)
                if bits:
                    changes.bits = used().checked(file, image)
                    image = to_8_bits(image, changes.bits)
                if spec.get("channels") is None and len(image.getbands()) > channels:
                    raise ValueError(f"{file}: has colour, the first image of each class has none; set channels:")
                if size is None and image.size != expected:
                    raise ValueError(_mixed_sizes(file, image.size, "the first", expected))
                out[i] = resize(image, channels, size)
                kinds += [RESIZED] * (image.size != expected) + [RECOLOURED] * (len(image.getbands()) != channels)
                for kind in kinds + [BLANK] * bool((out[i] == out[i, :, :1, :1]).all()):
                    changes.add(kind, file.short)
            return changes

        yield read_class


class UsedBits(NamedTuple):
    """How many of 16 bits the values of a data set's images use, in grey and in colour."""

    grey: int
    colour: int

    def checked(self, file: ImageFile, image: "Pillow.Image") -> int:
        """Those of an image's kind; ValueError for colour that does not use all, of which Pillow drops the lower 8."""
        if image.mode.startswith("I;16"):
            return self.grey
        if self.colour < 16:
            raise ValueError(
                f"{file}: has 16 bits per channel, and no colour image of the data set uses more than {self.colour} of "
                "them, so that they would be dark; save them with 8 bits per channel"
            )
        return 16


def _used_bits(spec: Spec, source: Source, read: Callable[[ImageFile], Plain]) -> UsedBits:
    """Those of all images that are chosen: one rule for a data set, and none for each image."""
    grey, colour = 8, 8
    for file in chosen(spec, source):
        image, _, bits = read(file)
        if bits and image.mode.startswith("I;16"):
            grey = max(grey, bits)
        elif bits:
            colour = max(colour, bits)
    return UsedBits(grey, colour)
