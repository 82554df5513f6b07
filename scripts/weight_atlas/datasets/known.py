"""What is known of torchvision's data sets without importing torchvision: where their files lie, classes, numbers."""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from weight_atlas.datasets import listings
from weight_atlas.datasets.listings import Listing
from weight_atlas.datasets.source import Spec

# fmt: off
Name = Literal[
    "MNIST", "FashionMNIST", "KMNIST", "EMNIST", "QMNIST", "USPS", "SVHN", "CIFAR10", "CIFAR100", "STL10",
    "Caltech101", "Caltech256", "Country211", "DTD", "EuroSAT", "FGVCAircraft", "Flowers102", "Food101", "GTSRB",
    "Imagenette", "OxfordIIITPet", "RenderedSST2", "SUN397",
]
# fmt: on
Arguments = Mapping[str, Any]  # of torchvision's class
BY_TRAIN: dict[str, Arguments] = {"train": {"train": True}, "test": {"train": False}}
BY_SPLIT: dict[str, Arguments] = {"train": {"split": "train"}, "test": {"split": "test"}}
THREE: dict[str, Arguments] = {"train": {"split": "train"}, "valid": {"split": "val"}, "test": {"split": "test"}}
ALL: dict[str, Arguments] = {"all": {}}


class Option(NamedTuple):
    """An argument of torchvision's class that chooses among several data sets: its name, its default (None: it must
    be given), and what of a KnownDataset is another for each value."""

    name: str
    default: str | int | None
    values: Mapping[str | int, Mapping[str, Any]]


@dataclass(frozen=True)
class KnownDataset:
    """What is known of a data set.

    title; folder: torchvision's, below data_root; files: those that must be in it, or folders; classes, channels, size
    (height, width) and images per class of train and test: as published, None or empty where only the files say so;
    digests: SHA-256 of the files as they were published, where torchvision has none; md5: torchvision's, of files that
    it does not check when it opens them; parts: what torchvision's class is asked for, for each part; first: the label
    of the first class in the files; more: other files that its download brings; notes: sentences for the card;
    list_images: finds the image files, of a data set that is not of arrays.
    """

    title: str
    folder: str
    files: tuple[str, ...]
    classes: list[str] = field(default_factory=list[str])
    channels: int = 1
    size: tuple[int, int] | None = None
    train: list[int] | None = None
    test: list[int] | None = None
    digests: dict[str, str] = field(default_factory=dict[str, str])
    md5: dict[str, str] = field(default_factory=dict[str, str])
    parts: Mapping[str, Arguments] = field(default_factory=lambda: BY_TRAIN)
    first: int = 0
    more: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    list_images: Callable[[Path], Listing] | None = None
    option: Option | None = None

    @property
    def is_idx(self) -> bool:
        """Whether its files are idx files, whose labels are counted."""
        return any("idx3" in name for name in self.files)

    @property
    def counts(self) -> dict[str, list[int]] | None:
        """The published images per class of each part, in its order; None where they are not known."""
        if self.train is None or self.test is None:
            return None
        return {"train": self.train, "test": self.test}


def known(spec: Spec) -> KnownDataset:
    """What is known of the data set that a spec names, with its options."""
    entry = DATASETS[spec["dataset"]]
    if entry.option is None:
        return entry
    chosen: str | int | None = (spec.get("options") or {}).get(entry.option.name, entry.option.default)
    return entry if chosen is None else replace(entry, **entry.option.values[chosen])


DIGITS = [str(digit) for digit in range(10)]
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
FLOWERS = (
    "pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold, tiger lily, moon "
    "orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot, king protea, spear thistle, "
    "yellow iris, globe-flower, purple coneflower, peruvian lily, balloon flower, giant white arum lily, fire lily, "
    "pincushion flower, fritillary, red ginger, grape hyacinth, corn poppy, prince of wales feathers, stemless "
    "gentian, artichoke, sweet william, carnation, garden phlox, love in the mist, mexican aster, alpine sea holly, "
    "ruby-lipped cattleya, cape flower, great masterwort, siam tulip, lenten rose, barbeton daisy, daffodil, sword "
    "lily, poinsettia, bolero deep blue, wallflower, marigold, buttercup, oxeye daisy, common dandelion, petunia, "
    "wild pansy, primula, sunflower, pelargonium, bishop of llandaff, gaura, geranium, orange dahlia, pink-yellow "
    "dahlia?, cautleya spicata, japanese anemone, black-eyed susan, silverbush, californian poppy, osteospermum, "
    "spring crocus, bearded iris, windflower, tree poppy, gazania, azalea, water lily, rose, thorn apple, morning "
    "glory, passion flower, lotus, toad lily, anthurium, frangipani, clematis, hibiscus, columbine, desert-rose, "
    "tree mallow, magnolia, cyclamen, watercress, canna lily, hippeastrum, bee balm, ball moss, foxglove, "
    "bougainvillea, camellia, mallow, mexican petunia, bromelia, blanket flower, trumpet creeper, blackberry lily"
)


def _emnist(split: str) -> tuple[str, ...]:
    kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
    return tuple(f"emnist-{split}-{part}-{kind}" for part in ("train", "test") for kind in kinds)


ALPHABET = [*DIGITS, *string.ascii_uppercase, *string.ascii_lowercase]
MERGED = [*DIGITS, *string.ascii_uppercase, *"abdefghnqrt"]  # letters whose small form looks like the large one are one
EMNIST_SPLITS: dict[str, dict[str, Any]] = {
    "byclass": {"classes": ALPHABET},
    "bymerge": {"classes": MERGED},
    "balanced": {"classes": MERGED, "train": [2400] * 47, "test": [400] * 47},
    "letters": {"classes": [*string.ascii_lowercase], "train": [4800] * 26, "test": [800] * 26, "first": 1},
    "digits": {"classes": DIGITS, "train": [24000] * 10, "test": [4000] * 10},
    "mnist": {"classes": DIGITS, "train": [6000] * 10, "test": [1000] * 10},
}
EMNIST: dict[str | int, Mapping[str, Any]] = {
    split: {
        "title": f"EMNIST {split}",
        "files": _emnist(split),
        "parts": {part: {**arguments, "split": split} for part, arguments in BY_TRAIN.items()},
        **keys,
    }
    for split, keys in EMNIST_SPLITS.items()
}
DTD: dict[str | int, Mapping[str, Any]] = {
    number: {
        "files": ("dtd/images", *(f"dtd/labels/{part}{number}.txt" for part in ("train", "val", "test"))),
        "parts": {part: {**arguments, "partition": number} for part, arguments in THREE.items()},
        "list_images": listings.textures(number),
    }
    for number in range(1, 11)
}
AIRCRAFT: dict[str | int, Mapping[str, Any]] = {
    level: {
        "files": (
            "data/images",
            f"data/{names}.txt",
            *(f"data/images_{level}_{part}.txt" for part in ("train", "val", "test")),
        ),
        "parts": {part: {**arguments, "annotation_level": level} for part, arguments in THREE.items()},
        "list_images": listings.aircraft(level, names),
    }
    for level, names in (("variant", "variants"), ("family", "families"), ("manufacturer", "manufacturers"))
}
IMAGENETTE: dict[str | int, Mapping[str, Any]] = {
    size: {
        "folder": folder,
        "parts": {"train": {"split": "train", "size": size}, "valid": {"split": "val", "size": size}},
    }
    for size, folder in (("full", "imagenette2"), ("320px", "imagenette2-320"), ("160px", "imagenette2-160"))
}
DATASETS: dict[str, KnownDataset] = {
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
    "KMNIST": KnownDataset(
        title="Kuzushiji-MNIST",
        folder="KMNIST/raw",
        files=IDX,
        classes=["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
        size=(28, 28),
        train=[6000] * 10,
        test=[1000] * 10,
    ),
    "EMNIST": KnownDataset(
        title="EMNIST",
        folder="EMNIST/raw",
        files=(),
        size=(28, 28),
        more=tuple(name for split in EMNIST_SPLITS for name in _emnist(split)),
        notes=("Rows and columns of its images are exchanged, as in EMNIST's files and in torchvision.",),
        option=Option("split", None, EMNIST),
    ),
    "QMNIST": KnownDataset(
        title="QMNIST",
        folder="QMNIST/raw",
        files=tuple(
            f"qmnist-{part}-{kind}" for part in ("train", "test") for kind in ("images-idx3-ubyte", "labels-idx2-int")
        ),
        classes=DIGITS,
        size=(28, 28),
    ),
    "USPS": KnownDataset(
        title="USPS",
        folder=".",
        files=("usps.bz2", "usps.t.bz2"),
        classes=DIGITS,
        size=(16, 16),
        train=[1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644],
        test=[359, 264, 198, 166, 200, 160, 170, 147, 166, 177],
        md5={"usps.bz2": "ec16c51db3855ca6c91edd34d0e9b197", "usps.t.bz2": "8ea070ee2aca1ac39742fdd1ef5ed118"},
    ),
    "SVHN": KnownDataset(
        title="SVHN",
        folder=".",
        files=("train_32x32.mat", "test_32x32.mat"),
        classes=DIGITS,
        channels=3,
        size=(32, 32),
        train=[4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659],
        test=[1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595],
        parts=BY_SPLIT,
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
    "STL10": KnownDataset(
        title="STL-10",
        folder="stl10_binary",
        files=("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"),
        classes=["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"],
        channels=3,
        size=(96, 96),
        train=[500] * 10,
        test=[800] * 10,
        parts=BY_SPLIT,
    ),
    "Caltech101": KnownDataset(
        title="Caltech-101",
        folder="caltech101",
        files=("101_ObjectCategories",),
        parts=ALL,
        list_images=listings.tree({"all": "101_ObjectCategories"}, without=("BACKGROUND_Google",)),
    ),
    "Caltech256": KnownDataset(
        title="Caltech-256",
        folder="caltech256",
        files=("256_ObjectCategories",),
        parts=ALL,
        list_images=listings.tree({"all": "256_ObjectCategories"}),
    ),
    "Country211": KnownDataset(
        title="Country-211",
        folder="country211",
        files=("train", "valid", "test"),
        parts={part: {"split": part} for part in ("train", "valid", "test")},
        list_images=listings.tree({"train": "train", "valid": "valid", "test": "test"}),
    ),
    "DTD": KnownDataset(title="Describable Textures", folder="dtd", files=(), option=Option("partition", 1, DTD)),
    "EuroSAT": KnownDataset(
        title="EuroSAT", folder="eurosat", files=("2750",), parts=ALL, list_images=listings.tree({"all": "2750"})
    ),
    "FGVCAircraft": KnownDataset(
        title="FGVC Aircraft",
        folder="fgvc-aircraft-2013b",
        files=(),
        option=Option("annotation_level", "variant", AIRCRAFT),
    ),
    "Flowers102": KnownDataset(
        title="Oxford 102 Flower",
        folder="flowers-102",
        files=("jpg", "imagelabels.mat", "setid.mat"),
        md5={"imagelabels.mat": "e0620be6f572b9609742df49c70aed4d", "setid.mat": "a5357ecc9cb78c4bef273ce3793fc85c"},
        parts=THREE,
        list_images=listings.flowers(FLOWERS.split(", ")),
    ),
    "Food101": KnownDataset(
        title="Food-101",
        folder="food-101",
        files=("images", "meta/train.json", "meta/test.json"),
        parts=BY_SPLIT,
        list_images=listings.food,
    ),
    "GTSRB": KnownDataset(
        title="German Traffic Signs",
        folder="gtsrb",
        files=("GTSRB/Training", "GTSRB/Final_Test/Images", "GT-final_test.csv"),
        parts=BY_SPLIT,
        list_images=listings.traffic_signs,
    ),
    "Imagenette": KnownDataset(
        title="Imagenette",
        folder="imagenette2",
        files=("train", "val"),
        list_images=listings.tree({"train": "train", "valid": "val"}, renamed=listings.IMAGENETTE),
        option=Option("size", "full", IMAGENETTE),
    ),
    "OxfordIIITPet": KnownDataset(
        title="Oxford-IIIT Pet",
        folder="oxford-iiit-pet",
        files=("images", "annotations/trainval.txt", "annotations/test.txt"),
        parts={"train": {"split": "trainval"}, "test": {"split": "test"}},
        list_images=listings.pets,
    ),
    "RenderedSST2": KnownDataset(
        title="Rendered SST2",
        folder="rendered-sst2",
        files=("train", "valid", "test"),
        parts=THREE,
        list_images=listings.tree({"train": "train", "valid": "valid", "test": "test"}),
    ),
    "SUN397": KnownDataset(title="SUN397", folder="SUN397", files=(".",), parts=ALL, list_images=listings.scenes),
}  # fmt: skip
