"""The data sets that torchvision reads, by the names of its classes.

Their files lie below data_root as torchvision lays them out, or in an archive of these files, or torchvision downloads
them (and checks them by MD5). Arrays are read by torchvision: MNIST's and Fashion-MNIST's files are compared with the
published ones by SHA-256; pickles and files of Matlab by MD5, before they are opened. Image files are listed here and
read as those of a folder are. torchvision itself is imported only where it reads or downloads.
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np

from weight_atlas.datasets import folder, listings, torchvision_arrays, torchvision_download
from weight_atlas.datasets.changes import Changes
from weight_atlas.datasets.idx import idx_header, idx_labels
from weight_atlas.datasets.known import KnownDataset, known
from weight_atlas.datasets.resize import resize_all
from weight_atlas.datasets.source import (
    ClassReader,
    DataRoot,
    Gone,
    ImageFile,
    Images,
    Positions,
    Source,
    Spec,
    under_data_root,
)


def _unpacked(spec: Spec, data_root: DataRoot) -> list[Path]:
    """The paths of torchvision's files below data_root, whether they exist or not."""
    found = known(spec)
    base = under_data_root(data_root, found.folder, f"dataset {spec['dataset']}")
    return [base / name for name in found.files]


def _are_there(spec: Spec, paths: list[Path]) -> bool:
    """Whether all files exist (folders too, for image files)."""
    return all(path.exists() if known(spec).list_images else path.is_file() for path in paths)


def files(spec: Spec, data_root: DataRoot) -> list[Path]:
    """The files that must exist: torchvision's, or the archive where it exists.

    Arrays that may be downloaded are not named, nor are image files that are still to be.
    """
    unpacked, archive = _unpacked(spec, data_root), _archive(spec, data_root)
    there = _are_there(spec, unpacked)
    if archive and not there:
        return [archive]
    may_be_absent = spec.get("download") and not (known(spec).list_images and there)
    return [] if may_be_absent else unpacked


def _archive(spec: Spec, data_root: DataRoot) -> Path | None:
    """The path of the archive where the spec names one and it exists."""
    if not spec.get("archive"):
        return None
    path = under_data_root(data_root, spec["archive"], f"dataset {spec['dataset']}")
    return path if path.is_file() else None


def fetch(spec: Spec, data_root: DataRoot) -> None:
    """Let torchvision download what is missing, where it may. ValueError in one line where that fails."""
    unpacked = _unpacked(spec, data_root)
    if spec.get("download") and not _archive(spec, data_root) and not _are_there(spec, unpacked):
        torchvision_download.download(spec, under_data_root(data_root, ".", f"dataset {spec['dataset']}"))


def describe(spec: Spec, data_root: DataRoot) -> Source:
    """The Source of one of torchvision's data sets.

    Image files are listed and idx files counted where they lie below data_root. Of other arrays the published numbers
    hold (and `reader` checks them). Gone where a file is missing that is needed to know this, or may not be downloaded.
    """
    found, unpacked = known(spec), _unpacked(spec, data_root)
    for path in files(spec, data_root):
        if not path.exists() or not (found.list_images or path.is_file()):
            raise Gone(_not_found(spec, found, path, data_root))
    if found.list_images or (found.counts is None and not _archive(spec, data_root)):
        missing = [path for path in unpacked if not _are_there(spec, [path])]
        if missing:
            raise Gone(f"dataset {spec['dataset']}: {missing[0]} is not there yet; a run downloads it before it plans")
    return _describe_images(spec, found, data_root) if found.list_images else _describe_arrays(spec, found, unpacked)


def _not_found(spec: Spec, found: KnownDataset, path: Path, data_root: DataRoot) -> str:
    name = spec.get("archive")
    archive = f" put the archive {name} there," if name else " name an archive:,"
    archive = "" if found.list_images else archive
    what = found.files[0] if found.folder == "." else found.folder
    return (
        f"dataset {spec['dataset']}: {path} not found (data_root is {data_root}); set data_root to the folder of "
        f"{what},{archive} or set download: true"
    )


def _describe_images(spec: Spec, found: KnownDataset, data_root: DataRoot) -> Source:
    """The Source of image files in torchvision's layout."""
    base = under_data_root(data_root, found.folder, f"dataset {spec['dataset']}")
    torchvision_arrays.check_md5(spec, base)
    assert found.list_images is not None
    listing = listings.checked(found.list_images(base), base)
    classes = list(dict.fromkeys(name for part in listing.values() for name in part))
    images = {
        part: [[ImageFile(base, image) for image in sorted(classes_of.get(name, []))] for name in classes]
        for part, classes_of in listing.items()
    }
    channels, size = folder.first_format(spec, classes, images)
    counts = {part: [len(files) for files in of_part] for part, of_part in images.items()}
    total = sum(map(sum, counts.values()))
    return Source(
        title=found.title,
        classes=classes,
        channels=channels,
        size=size,
        counts=counts,
        notes=[f"{found.title} in torchvision's layout: {total:,} images of {len(classes)} classes.", *found.notes],
        images=images,
    )


def _describe_arrays(spec: Spec, found: KnownDataset, unpacked: list[Path]) -> Source:
    """The Source of arrays: counted from idx files where they are there, else as published."""
    counts, own = found.counts, False
    if found.is_idx and _are_there(spec, unpacked):
        images, labels, *test = unpacked
        counts = {"train": _count(images, labels, found), "test": _count(test[0], test[1], found)}
        own = any(_sha256(path) != found.digests[path.name] for path in unpacked if found.digests)
    if counts is None or found.size is None:
        raise ValueError(f"dataset {spec['dataset']}: its numbers are read from its files; unpack them below data_root")
    numbers = f"{sum(counts['train']):,} training and {sum(counts['test']):,} test images"
    read = f"{numbers} of {found.size[0]} x {found.size[1]} pixels"
    warning = (
        f"The files in {found.folder} are not the published {found.title} (their SHA-256 differs): they were taken as "
        "your own data in its format."
    )
    return Source(
        title=f"Own data in {found.title}'s format" if own else found.title,
        classes=found.classes,
        channels=found.channels,
        size=found.size,
        counts=counts,
        notes=[f"{'Idx files' if own else found.title}, read by torchvision: {read}.", *found.notes],
        warnings=[warning] if own else [],
    )


def _count(images: Path, labels: Path, found: KnownDataset) -> list[int]:
    """Images per class of a pair of idx files; ValueError in one line where they are none, or do not fit together."""
    shape = idx_header(images, 3)
    data = idx_labels(labels) - found.first
    if shape[1:] != found.size:
        height, width = found.size or (0, 0)
        raise ValueError(
            f"{images}: its images have {shape[1]} x {shape[2]} pixels, those of {found.title} {height} x {width}; "
            "save them as image files and use source: folder"
        )
    if shape[0] != len(data):
        raise ValueError(f"{images}: has {shape[0]:,} images, and {labels.name} {len(data):,} labels; replace them")
    odd = data[(data < 0) | (data >= len(found.classes))]
    if len(odd):
        last = found.first + len(found.classes) - 1
        raise ValueError(f"{labels}: has the label {odd.max() + found.first}; allowed are {found.first} to {last}")
    counts: list[int] = np.bincount(data, minlength=len(found.classes)).tolist()
    return counts


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(spec: Spec, data_root: DataRoot, source: Source) -> list[str]:
    """SHA-256 of the idx files below data_root, and of chosen image files.

    All others are the published ones, or refused when they are read.
    """
    found, unpacked = known(spec), _unpacked(spec, data_root)
    if found.list_images:
        return folder.digests(spec, data_root, source)
    if found.is_idx and _are_there(spec, unpacked):
        return [_sha256(path) for path in unpacked]
    return list(found.digests.values())


def reader(spec: Spec, data_root: DataRoot, source: Source) -> AbstractContextManager[ClassReader]:
    """Yields the reader of a data set. ValueError where files are damaged or not those that torchvision expects."""
    if known(spec).list_images:
        return folder.reader(spec, data_root, source)
    return _array_reader(spec, data_root, source)


@contextmanager
def _array_reader(spec: Spec, data_root: DataRoot, source: Source) -> Iterator[ClassReader]:
    """Yields the reader of arrays, from data_root or an archive that is unpacked for it."""
    with ExitStack() as stack:
        base = under_data_root(data_root, ".", f"dataset {spec['dataset']}")
        archive = None if _are_there(spec, _unpacked(spec, data_root)) else _archive(spec, data_root)
        root = torchvision_arrays.unpacked(archive, spec, stack) if archive else base
        parts = {part: torchvision_arrays.load(spec, root, archive or base, part, source) for part in source.counts}

    def read(out: Images, part: str, label: int, positions: Positions) -> Changes:
        images, labels = parts[part]
        return resize_all(images[np.flatnonzero(labels == label)[positions]], out)

    yield read
