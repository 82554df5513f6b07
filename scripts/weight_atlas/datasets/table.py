"""Images that a CSV file lists, with their labels: the columns `path`, `label` and, where there are splits, `split`."""

import csv
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from weight_atlas.datasets import folder
from weight_atlas.datasets.contents import SUFFIXES
from weight_atlas.datasets.image import refuse_special
from weight_atlas.datasets.layout import WORDS
from weight_atlas.datasets.source import ClassReader, DataRoot, ImageFile, Source, Spec, not_found, under_data_root
from weight_atlas.text import one_line, printable

MOST_BYTES = 2**28  # of the file: 268 MB
MOST_LETTERS = 4096  # of one field
COLUMNS = ("path", "label")


class Row(NamedTuple):
    """A row of the file: the number of its line, the image below the file's folder, its label, and its part."""

    line: int
    path: str
    label: str
    part: str


def files(spec: Spec, data_root: DataRoot) -> list[Path]:
    """The file, and the images that it lists, where it can be read."""
    path = under_data_root(data_root, spec["path"], "dataset csv")
    try:
        return [path, *(path.parent / row.path for row in _rows(path))] if path.is_file() else [path]
    except ValueError:  # `describe` says what is wrong
        return [path]


def fetch(spec: Spec, data_root: DataRoot) -> None:
    """Download an archive that is unpacked, where the spec says from where."""
    from weight_atlas.datasets import download  # with what it needs of the network, which a plan does without

    download.fetch_path(spec, data_root)


def describe(spec: Spec, data_root: DataRoot) -> Source:
    """The Source of a CSV file: the images that it lists must be there, and none is opened but the first of each class
    where channels or size are not set.

    Raises
    ------
    ValueError
        In one line, where a column, a path, a label or a split is missing or wrong. Gone where the file is not there.
    """
    path = under_data_root(data_root, spec["path"], "dataset csv")
    if not path.exists():
        raise not_found(spec, path, data_root)
    rows = list(_rows(path))
    _check(path, rows)
    parts, labels = dict.fromkeys(row.part for row in rows), {row.label for row in rows}
    numbered = all(label.isascii() and label.isdigit() for label in labels)
    names = sorted(labels, key=lambda label: (int(label), label)) if numbered else sorted(labels)
    listed: dict[str, dict[str, list[str]]] = {part: {name: [] for name in names} for part in parts}
    for row in rows:
        listed[row.part][row.label].append(row.path)
    images = {
        part: [[ImageFile(path.parent, image) for image in sorted(classes[name])] for name in names]
        for part, classes in listed.items()
    }
    channels, size = folder.first_format(spec, names, images)
    return Source(
        title=path.stem,
        classes=names,
        channels=channels,
        size=size,
        counts={part: [len(files) for files in classes] for part, classes in images.items()},
        notes=[f"{len(rows):,} images of {len(names)} classes, as {one_line(path.name)} lists them."],
        images=images,
    )


def _rows(path: Path) -> Iterator[Row]:
    """The rows of a file; ValueError in one line where it is none, or one of them has not what is needed."""
    limit = csv.field_size_limit(MOST_LETTERS)
    try:
        if (size := refuse_special(path).st_size) > MOST_BYTES:
            raise ValueError(f"its {size:,} bytes are more than the {MOST_BYTES:,} that are read")
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            if missing := [name for name in COLUMNS if columns.count(name) != 1]:
                raise ValueError(f"has no column {missing[0]}, or has it twice; its first line is: {columns}")
            reader.fieldnames = columns
            for found in reader:
                yield _row(reader.line_num, found)
    except (OSError, ValueError, csv.Error) as error:  # UnicodeDecodeError is a ValueError
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise ValueError(f"{one_line(path)}: {printable(reason)}; correct it") from None
    finally:
        csv.field_size_limit(limit)


def _row(line: int, found: dict[str, str]) -> Row:
    """One row; ValueError where its path leads elsewhere, or something of it is missing or unknown."""
    if None in found or None in found.values():
        raise ValueError(f"line {line}: has more or fewer fields than the first line")
    path, label = found["path"].strip(), found["label"].strip()
    if not path or not label:
        raise ValueError(f"line {line}: has no {'path' if not path else 'label'}")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or not path.isprintable():
        raise ValueError(f"line {line}: {path!r} is no path below the folder of the file (with slashes)")
    if not path.lower().endswith(SUFFIXES):
        raise ValueError(f"line {line}: {path!r} is no image; allowed are {' '.join(SUFFIXES)}")
    if not label.isprintable():
        raise ValueError(f"line {line}: the label {label!r} has characters that do not show")
    split = found.get("split", "all").strip()
    part = "all" if "split" not in found else WORDS.get(split.lower())
    if part is None:
        raise ValueError(f"line {line}: the split is {split!r}; allowed are train, valid and test")
    return Row(line, pure.as_posix(), label, part)


def _check(path: Path, rows: list[Row]) -> None:
    """ValueError where there are no rows, an image stands in two or is not there, or train is missing among splits."""
    if not rows:
        raise ValueError(f"{one_line(path)}: lists no images; correct it")
    parts = {row.part for row in rows}
    if parts != {"all"} and ("train" not in parts or len(parts) == 1):
        told = " and ".join(sorted(parts))
        raise ValueError(f"{one_line(path)}: has {told}; train is needed, with test (or valid) or both")
    seen: dict[str, int] = {}
    for row in rows:
        if (other := seen.setdefault(row.path, row.line)) != row.line:
            raise ValueError(f"{one_line(path)}: lines {other} and {row.line}: both list {row.path}; list it once")
        if not (path.parent / row.path).exists():
            raise ValueError(f"{one_line(path)}: line {row.line}: {row.path} is not there; correct its path")


def digests(spec: Spec, data_root: DataRoot, source: Source) -> list[str]:
    """What tells the content of each chosen image apart."""
    return folder.digests(spec, data_root, source)


def reader(spec: Spec, data_root: DataRoot, source: Source) -> AbstractContextManager[ClassReader]:
    """Yields the reader of the images, which are read as those of a folder are."""
    return folder.reader(spec, data_root, source)
