"""The data sets that torchvision reads: MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100.

They are read from torchvision's own files below data_root, from an archive of these files, or downloaded by
torchvision. MNIST's and Fashion-MNIST's files are compared with the published ones by SHA-256, CIFAR's (which are
pickles) by torchvision by MD5, before it opens them. torchvision itself is imported only by :func:`reader`.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from weight_atlas.datasets.archive import members
from weight_atlas.datasets.changes import Changes
from weight_atlas.datasets.idx import idx_header
from weight_atlas.datasets.resize import resize_all
from weight_atlas.datasets.source import (
    ClassReader,
    DataRoot,
    Gone,
    Images,
    Positions,
    Source,
    Spec,
    under_data_root,
)


@dataclass(frozen=True)
class KnownDataset:
    """What is known of a data set: title, folder and files of torchvision, class names, (height, width), and images
    per class of train and test; digests: SHA-256 of the files as they were published, where torchvision has none."""

    title: str
    folder: str
    files: tuple[str, ...]
    classes: list[str]
    channels: int
    size: tuple[int, int]
    train: list[int]
    test: list[int]
    digests: dict[str, str] = field(default_factory=dict[str, str])


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
        digests={
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
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
        digests={
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
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
    (and `reader` checks them). Gone where a file is missing and may not be downloaded.
    """
    known = DATASETS[spec["dataset"]]
    for path in files(spec, data_root):
        if not path.is_file():
            name = spec.get("archive")
            archive = f"put the archive {name} there" if name else "name an archive:"
            remedy = f"set data_root to the folder of {known.folder}, {archive}, or set download: true"
            raise Gone(f"dataset {spec['dataset']}: {path} not found (data_root is {data_root}); {remedy}")
    counts, own = {"train": known.train, "test": known.test}, False
    unpacked = _unpacked(spec, data_root)
    if known.files == IDX and all(path.is_file() for path in unpacked):
        images, labels, *test = unpacked
        counts = {"train": _count(images, labels, known), "test": _count(test[0], test[1], known)}
        own = any(_sha256(path) != known.digests[path.name] for path in unpacked)
    numbers = f"{sum(counts['train']):,} training and {sum(counts['test']):,} test images"
    read = f"{numbers} of {known.size[0]} x {known.size[1]} pixels"
    warning = (
        f"The files in {known.folder} are not the published {known.title} (their SHA-256 differs): they were taken as "
        "your own data in its format."
    )
    return Source(
        title=f"Own data in {known.title}'s format" if own else known.title,
        classes=known.classes,
        channels=known.channels,
        size=known.size,
        counts=counts,
        notes=[f"{'Idx files' if own else known.title}, read by torchvision: {read}."],
        warnings=[warning] if own else [],
    )


def _count(images: Path, labels: Path, known: KnownDataset) -> list[int]:
    """Images per class of a pair of idx files; ValueError in one line where they are none, or do not fit together."""
    shape = idx_header(images, 3)
    (number,) = idx_header(labels, 1)
    if shape[1:] != known.size:
        raise ValueError(
            f"{images}: its images have {shape[1]} x {shape[2]} pixels, those of {known.title} {known.size[0]} x "
            f"{known.size[1]}; save them as image files and use source: folder"
        )
    if shape[0] != number:
        raise ValueError(f"{images}: has {shape[0]:,} images, and {labels.name} {number:,} labels; replace them")
    data = np.fromfile(labels, np.uint8, offset=8)
    if data.max(initial=0) >= len(known.classes):
        raise ValueError(f"{labels}: has the label {data.max()}; allowed are 0 to {len(known.classes) - 1}")
    counts: list[int] = np.bincount(data, minlength=len(known.classes)).tolist()
    return counts


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(spec: Spec, data_root: DataRoot, source: Source) -> list[str]:
    """SHA-256 of the idx files below data_root. All others are the published ones, or refused when they are read."""
    known, unpacked = DATASETS[spec["dataset"]], _unpacked(spec, data_root)
    if known.files == IDX and all(path.is_file() for path in unpacked):
        return [_sha256(path) for path in unpacked]
    return list(known.digests.values())


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
        _unpack(archive, DATASETS[spec["dataset"]], unpacked)
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


def _unpack(archive: Path, known: KnownDataset, folder: Path) -> None:
    """Write the files of a data set from an archive to `folder`, in torchvision's layout.

    ValueError where one is missing, or is not the published one.
    """
    (folder / known.folder).mkdir(parents=True)
    names = [f"{known.folder}/{name}" for name in known.files]
    with members(archive, names) as found:
        for name, file in found:
            with open(folder / name, "wb") as copy:
                shutil.copyfileobj(file, copy, 2**16)
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise ValueError(f"{archive}: holds no {missing[0]}, as torchvision's layout asks; correct archive:")
    for name, digest in known.digests.items():
        if (found_digest := _sha256(folder / known.folder / name)) != digest:
            raise ValueError(
                f"{archive}: its {name} is not that of the published {known.title} (its SHA-256 is {found_digest}); "
                f"replace the archive, or unpack it below data_root to use own data in {known.title}'s format"
            )
