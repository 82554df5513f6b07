"""The data sets that torchvision reads: MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100.

They are read from torchvision's own files below data_root, from an archive of these files, or downloaded by
torchvision, which checks them. torchvision itself is imported only by :func:`reader`.
"""

import tarfile
import tempfile
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from weight_atlas.datasets.resize import fit_all
from weight_atlas.datasets.source import Source, below


@dataclass(frozen=True)
class Published:
    """What is known of a data set: its title, where torchvision keeps its files, class names, and sizes."""

    title: str
    folder: str
    files: tuple
    classes: list
    channels: int
    size: tuple
    train: list
    test: list


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
PUBLISHED = {
    "MNIST": Published(
        title="MNIST",
        folder="MNIST/raw",
        files=IDX,
        classes=[str(digit) for digit in range(10)],
        channels=1,
        size=(28, 28),
        train=[5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        test=[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ),
    "FashionMNIST": Published(
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
    "CIFAR10": Published(
        title="CIFAR-10",
        folder="cifar-10-batches-py",
        files=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
        classes=["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
        channels=3,
        size=(32, 32),
        train=[5000] * 10,
        test=[1000] * 10,
    ),
    "CIFAR100": Published(
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


def _plain(spec, data_root):
    """The paths of torchvision's own files below data_root, whether they exist or not."""
    known = PUBLISHED[spec["dataset"]]
    return [below(data_root, known.folder, f"dataset {spec['dataset']}") / name for name in known.files]


def files(spec, data_root):
    """The files that must exist: torchvision's own, or the archive where it lies; none where they are downloaded."""
    plain, archive = _plain(spec, data_root), _archive(spec, data_root)
    if archive and not all(path.is_file() for path in plain):
        return [archive]
    return [] if spec.get("download") else plain


def _archive(spec, data_root):
    """The path of the archive where the spec names one and it is there, else None."""
    if not spec.get("archive"):
        return None
    path = below(data_root, spec["archive"], f"dataset {spec['dataset']}")
    return path if path.is_file() else None


def describe(spec, data_root):
    """The Source of a published data set.

    Where MNIST's files lie below data_root, the pictures are counted from the labels; else the published numbers hold
    (and `reader` checks them). ValueError where a file is missing and may not be downloaded.
    """
    known = PUBLISHED[spec["dataset"]]
    for path in files(spec, data_root):
        if not path.is_file():
            name = spec.get("archive")
            archive = f"put the archive {name} there" if name else "name an archive:"
            remedy = f"set data_root to the folder of {known.folder}, {archive}, or set download: true"
            raise ValueError(f"dataset {spec['dataset']}: {path} not found (data_root is {data_root}); {remedy}")
    counts = {"train": known.train, "test": known.test}
    plain = _plain(spec, data_root)
    if known.files == IDX and all(path.is_file() for path in plain):
        counts = {"train": _count(plain[1], len(known.classes)), "test": _count(plain[3], len(known.classes))}
    return Source(
        title=known.title,
        classes=known.classes,
        channels=known.channels,
        size=known.size,
        counts=counts,
        notes=[f"{known.title}, read by torchvision: {sum(counts['train']):,} training and "
               f"{sum(counts['test']):,} test pictures of {known.size[0]} x {known.size[1]} pixels."],
    )  # fmt: skip


def _count(path, classes):
    """Pictures of each class in an idx1 label file: big-endian magic number 0x801, length, then one byte a label."""
    data = np.fromfile(path, np.uint8)
    if len(data) < 8 or data[:8].view(">u4").tolist() != [0x801, len(data) - 8] or data[8:].max(initial=0) >= classes:
        raise ValueError(f"{path}: not a label file of {classes} classes in idx format; replace it by the original")
    return np.bincount(data[8:], minlength=classes).tolist()


@contextmanager
def reader(spec, data_root, source):
    """Yield fill(out, part, label, positions), which writes pictures of one class into `out` (uint8 [n,C,H,W])
    and returns the numbers of :func:`weight_atlas.datasets.resize.fit_all`.

    Downloads where needed and allowed. ValueError where files are damaged or not those that torchvision expects.
    """
    with ExitStack() as stack:
        root, where = _root(spec, data_root, stack)
        parts = {part: _load(spec, root, where, part, source) for part in source.counts}

    def fill(out, part, label, positions):
        images, labels = parts[part]
        return fit_all(images[np.flatnonzero(labels == label)[positions]], out)

    yield fill


def _load(spec, root, where, part, source):
    """(images uint8 [N,H,W] or [N,H,W,3], labels int [N]) of one part, checked against `source`."""
    import torchvision.datasets

    where = f"dataset {spec['dataset']} in {where}"
    try:
        data = getattr(torchvision.datasets, spec["dataset"])(root, train=part == "train", download=False)
    except Exception as error:  # torchvision asserts, or passes on what numpy and pickle say of a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{where}: torchvision cannot read its files ({reason}); replace them") from None
    images, labels = np.asarray(data.data), np.asarray(data.targets)
    counts = np.bincount(labels, minlength=len(source.classes)).tolist()
    if images.shape[1:3] != source.size or len(images) != len(labels) or counts != source.counts[part]:
        raise ValueError(
            f"{where}: {part} holds {len(images)} pictures of shape {images.shape[1:]} and {counts} of each class, not "
            f"{source.size} and {source.counts[part]}; replace the files (unpacked below data_root, idx files may hold "
            "any number)"
        )
    return images, labels


def _root(spec, data_root, stack):
    """(The folder that torchvision is to read, its name in messages): data_root, or a temporary folder with the
    unpacked archive, which messages name."""
    if all(path.is_file() for path in _plain(spec, data_root)):
        return Path(data_root), data_root
    if archive := _archive(spec, data_root):
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="atlas-"))
        unpack(archive, folder)
        missing = [path for path in _plain(spec, folder) if not path.is_file()]
        if missing:
            name = missing[0].relative_to(folder)
            raise ValueError(f"{archive}: holds no {name}, as torchvision's layout asks; correct archive:")
        return Path(folder), archive
    _download(spec, Path(data_root))
    return Path(data_root), data_root


def _download(spec, data_root):
    """Let torchvision download into a temporary folder in data_root, then move the files to their place."""
    import torchvision.datasets

    known = PUBLISHED[spec["dataset"]]
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


def unpack(archive, folder):
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
