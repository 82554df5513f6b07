"""The data sets that torchvision reads: MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100.

They are read from torchvision's own files below data_root, from an archive of these files, or downloaded by
torchvision, which checks them. torchvision itself is imported only by :func:`reader`.
"""

import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from weight_atlas.datasets.changes import Changes
from weight_atlas.datasets.resize import resize_all
from weight_atlas.datasets.source import (
    ClassReader,
    DataRoot,
    Images,
    Positions,
    Source,
    Spec,
    under_data_root,
)


@dataclass(frozen=True)
class KnownDataset:
    """What is known of a data set: title, folder and files of torchvision, class names, (height, width), and images
    per class of train and test."""

    title: str
    folder: str
    files: tuple[str, ...]
    classes: list[str]
    channels: int
    size: tuple[int, int]
    train: list[int]
    test: list[int]


class Part(NamedTuple):
    """Images (uint8 [N, H, W], or [N, H, W, 3] in colour) and labels (int [N]) of train or test."""

    images: Images
    labels: npt.NDArray[np.integer]


class Root(NamedTuple):
    """The folder that torchvision is to read, and the place that messages name."""

    folder: Path
    origin: str | Path


IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
    "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
    "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard "
    "lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear "
    "pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark "
    "shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone "
    "television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
DATASETS = {
    "MNIST": KnownDataset(
        title="MNIST",
        folder="MNIST/raw",
        files=IDX,
        classes=[str(digit) for digit in range(10)],
        channels=1,
        size=(28, 28),
        train=[5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        test=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ),
    "FashionMNIST": KnownDataset(
        title="Fashion-MNIST",
        folder="FashionMNIST/raw",
        files=IDX,
        classes=[
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
        ],
        channels=1,
        size=(28, 28),
        train=[6000] * 10,
        test=[1000] * 10,
    ),
    "CIFAR10": KnownDataset(
        title="CIFAR-10",
        folder="cifar-10-batches-py",
        files=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
        classes=["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
        channels=3,
        size=(32, 32),
        train=[5000] * 10,
        test=[1000] * 10,
    ),
    "CIFAR100": KnownDataset(
        title="CIFAR-100",
        folder="cifar-100-python",
        files=("train", "test", "meta"),
        classes=CIFAR100.split(),
        channels=3,
        size=(32, 32),
        train=[500] * 100,
        test=[100] * 100,
    ),
}  # fmt: skip


def _unpacked(spec: Spec, data_root: DataRoot) -> list[Path]:
    """The paths of torchvision's files below data_root, whether they exist or not."""
    known = DATASETS[spec["dataset"]]
    folder = under_data_root(data_root, known.folder, f"dataset {spec['dataset']}")
    return [folder / name for name in known.files]


def files(spec: Spec, data_root: DataRoot) -> list[Path]:
    """The files that must exist: torchvision's, or the archive where it exists; none where they are downloaded."""
    unpacked, archive = _unpacked(spec, data_root), _archive(spec, data_root)
    if archive and not all(path.is_file() for path in unpacked):
        return [archive]
    return [] if spec.get("download") else unpacked


def _archive(spec: Spec, data_root: DataRoot) -> Path | None:
    """The path of the archive where the spec names one and it exists."""
    if not spec.get("archive"):
        return None
    path = under_data_root(data_root, spec["archive"], f"dataset {spec['dataset']}")
    return path if path.is_file() else None


def describe(spec: Spec, data_root: DataRoot) -> Source:
    """The Source of one of torchvision's data sets.

    Where MNIST's files lie below data_root, the images are counted from the labels; else the published numbers hold
    (and `reader` checks them). ValueError where a file is missing and may not be downloaded.
    """
    known = DATASETS[spec["dataset"]]
    for path in files(spec, data_root):
        if not path.is_file():
            name = spec.get("archive")
            archive = f"put the archive {name} there" if name else "name an archive:"
            remedy = f"set data_root to the folder of {known.folder}, {archive}, or set download: true"
            raise ValueError(f"dataset {spec['dataset']}: {path} not found (data_root is {data_root}); {remedy}")
    counts = {"train": known.train, "test": known.test}
    unpacked = _unpacked(spec, data_root)
    if known.files == IDX and all(path.is_file() for path in unpacked):
        counts = {"train": _count(unpacked[1], len(known.classes)), "test": _count(unpacked[3], len(known.classes))}
    return Source(
        title=known.title,
        classes=known.classes,
        channels=known.channels,
        size=known.size,
        counts=counts,
        notes=[f"{known.title}, read by torchvision: {sum(counts['train']):,} training and "
               f"{sum(counts['test']):,} test images of {known.size[0]} x {known.size[1]} pixels."],
    )  # fmt: skip


def _count(path: Path, classes: int) -> list[int]:
    """Images per class in an idx1 label file: big-endian magic number 0x801, length, then one byte per label."""
    data = np.fromfile(path, np.uint8)
    if len(data) < 8 or data[:8].view(">u4").tolist() != [0x801, len(data) - 8] or data[8:].max(initial=0) >= classes:
        raise ValueError(f"{path}: not a label file of {classes} classes in idx format; replace it by the original")
    counts: list[int] = np.bincount(data[8:], minlength=classes).tolist()
    return counts


@contextmanager
def reader(spec: Spec, data_root: DataRoot, source: Source) -> Iterator[ClassReader]:
    """Yields the reader of a data set; downloads it where needed and allowed.

    ValueError where files are damaged or not those that torchvision expects.
    """
    with ExitStack() as stack:
        root = _root(spec, data_root, stack)
        parts = {part: _load(spec, root, part, source) for part in source.counts}

    def read(out: Images, part: str, label: int, positions: Positions) -> Changes:
        images, labels = parts[part]
        return resize_all(images[np.flatnonzero(labels == label)[positions]], out)

    yield read


def _load(spec: Spec, root: Root, part: str, source: Source) -> Part:
    """One part of a data set, checked against `source`."""
    import torchvision.datasets

    where = f"dataset {spec['dataset']} in {root.origin}"
    try:
        data = getattr(torchvision.datasets, spec["dataset"])(root.folder, train=part == "train", download=False)
    except Exception as error:  # torchvision asserts, or passes on what numpy and pickle raise for a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{where}: torchvision cannot read its files ({reason}); replace them") from None
    images, labels = np.asarray(data.data), np.asarray(data.targets)
    counts = np.bincount(labels, minlength=len(source.classes)).tolist()
    if images.shape[1:3] != source.size or len(images) != len(labels) or counts != source.counts[part]:
        raise ValueError(
            f"{where}: {part} holds {len(images)} images of shape {images.shape[1:]} and {counts} per class, not "
            f"{source.size} and {source.counts[part]}; replace the files (unpacked below data_root, idx files may hold "
            "any number)"
        )
    return Part(images, labels)


def _root(spec: Spec, data_root: DataRoot, stack: ExitStack) -> Root:
    """data_root, or a temporary folder with the unpacked archive, which messages then name."""
    folder = under_data_root(data_root, ".", f"dataset {spec['dataset']}")
    if all(path.is_file() for path in _unpacked(spec, folder)):
        return Root(folder, folder)
    if archive := _archive(spec, data_root):
        unpacked = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atlas-")))
        unpack(archive, unpacked)
        missing = [path for path in _unpacked(spec, unpacked) if not path.is_file()]
        if missing:
            name = missing[0].relative_to(unpacked)
            raise ValueError(f"{archive}: holds no {name}, as torchvision's layout asks; correct archive:")
        return Root(unpacked, archive)
    _download(spec, folder)
    return Root(folder, folder)


def _download(spec: Spec, data_root: Path) -> None:
    """Let torchvision download into a temporary folder in data_root, then move the files to their place."""
    import torchvision.datasets

    known = DATASETS[spec["dataset"]]
    try:
        (data_root / known.folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=data_root) as folder:
            getattr(torchvision.datasets, spec["dataset"])(folder, train=True, download=True)
            for name in known.files:
                (Path(folder) / known.folder / name).replace(data_root / known.folder / name)
    except Exception as error:  # URLError, RuntimeError of several lines, OSError: all end as one line
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"dataset {spec['dataset']}: download to {data_root} failed ({reason}); fetch {known.folder} by other "
            "means and set data_root to the folder that holds it, or name an archive:"
        ) from None


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip or .tar(.gz) into `folder`; ValueError where it is damaged or a member would lie outside."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                for name in file.namelist():
                    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                        raise ValueError(f"member {name} lies outside")
                file.extractall(folder)
        else:
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="data")
    except (ValueError, OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{archive}: cannot be unpacked ({reason}); replace it") from None
