"""Which image files are of which part and class, in torchvision's layouts of the data sets that are not arrays."""

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from weight_atlas.datasets.contents import contents
from weight_atlas.datasets.image import refuse_special
from weight_atlas.text import one_line

# {part: {class: names of its images below the folder of the data set}}, classes in the order of their labels
Listing = dict[str, dict[str, list[str]]]
MOST_BYTES = 2**26  # of a list of images: 67 MB
SPLITS = {"train": "train", "val": "valid", "test": "test"}  # as lists call them: as they are called here
# The first of the names that torchvision gives the classes of Imagenette, by WordNet's numbers.
IMAGENETTE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def tree(
    folders: Mapping[str, str], without: Sequence[str] = (), renamed: Mapping[str, str] | None = None
) -> Callable[[Path], Listing]:
    """The listing of one folder per class, below a folder for each part.

    Parameters
    ----------
    folders : {part: the folder of its classes}
    without : folders of no class
    renamed : {folder: its class}, where they differ
    """

    def read(root: Path) -> Listing:
        found: Listing = {part: {} for part in folders}
        for part, folder in folders.items():
            for name in contents(root / folder).names:
                top, _, inner = name.partition("/")
                if inner and "/" not in inner and top not in without:
                    found[part].setdefault((renamed or {}).get(top, top), []).append(f"{folder}/{name}")
        return found

    return read


def textures(partition: int) -> Callable[[Path], Listing]:
    """The listing of one of the ten partitions of Describable Textures."""

    def read(root: Path) -> Listing:
        found: Listing = {}
        for part, split in SPLITS.items():
            classes = found.setdefault(split, {})
            for name in _lines(root / f"dtd/labels/{part}{partition}.txt", r"[^/]+/[^/]+"):
                classes.setdefault(name.split("/")[0], []).append(f"dtd/images/{name}")
        return {split: dict(sorted(classes.items())) for split, classes in found.items()}

    return read


def aircraft(level: str, names: str) -> Callable[[Path], Listing]:
    """The listing of FGVC Aircraft by variant, family or manufacturer; names: the file of the classes' names."""

    def read(root: Path) -> Listing:
        classes = _lines(root / f"data/{names}.txt", ".+")
        found: Listing = {split: {name: [] for name in classes} for split in SPLITS.values()}
        for part, split in SPLITS.items():
            path = root / f"data/images_{level}_{part}.txt"
            for line in _lines(path, r"[^ /]+ .+"):
                number, name = line.split(" ", 1)
                if name not in classes:
                    raise ValueError(f"{path}: has the class {one_line(name)!r}, and {names}.txt has not; replace both")
                found[split][name].append(f"data/images/{number}.jpg")
        return found

    return read


def food(root: Path) -> Listing:
    """The listing of Food-101: names of images without their suffix, by class."""
    found: Listing = {}
    for part in ("train", "test"):
        path = root / f"meta/{part}.json"
        try:
            named = json.loads(_text(path))
        except (ValueError, RecursionError):
            raise ValueError(f"{path}: is no file of JSON; replace it by the original") from None
        if not isinstance(named, dict) or not all(isinstance(names, list) for names in named.values()):
            raise ValueError(f"{path}: does not list images by class; replace it by the original")
        found[part] = {name: [f"images/{image}.jpg" for image in named[name]] for name in sorted(named)}
    return found


def traffic_signs(root: Path) -> Listing:
    """The listing of the German Traffic Signs: training images in folders, the classes of test images in a table."""
    found: Listing = {"train": {}, "test": {}}
    for name in contents(root / "GTSRB/Training").names:
        if re.fullmatch(r"\d{1,5}/[^/]+", name):
            found["train"].setdefault(str(int(name.split("/")[0])), []).append(f"GTSRB/Training/{name}")
    path = root / "GT-final_test.csv"
    for row in csv.DictReader(_text(path).splitlines(), delimiter=";", skipinitialspace=True):
        image, label = row.get("Filename"), row.get("ClassId")
        if not image or "/" in image or not label or not re.fullmatch(r"\d{1,5}", label):
            raise ValueError(f"{path}: has no Filename and ClassId in each row; replace it by the original")
        found["test"].setdefault(str(int(label)), []).append(f"GTSRB/Final_Test/Images/{image}")
    return {part: dict(sorted(classes.items(), key=lambda one: int(one[0]))) for part, classes in found.items()}


def scenes(root: Path) -> Listing:
    """The listing of SUN397, whose classes lie in folders below one for each letter."""
    folders = {line[1:]: line[3:] for line in _lines(root / "ClassName.txt", r"/[^/]/.+")}
    found: Listing = {"all": {name: [] for name in folders.values()}}
    for name in contents(root).names:
        folder, _, image = name.rpartition("/")
        if folder in folders and re.fullmatch(r"sun_.*\.jpg", image):
            found["all"][folders[folder]].append(name)
    return found


def pets(root: Path) -> Listing:
    """The listing of Oxford-IIIT Pet; a class is called as the names of its images begin."""
    found: Listing = {}
    for split, part in (("trainval", "train"), ("test", "test")):
        numbered: dict[int, tuple[str, list[str]]] = {}
        for line in _lines(root / f"annotations/{split}.txt", r"[^ /]+_[^ /]+ [1-9]\d{0,4} \d+ \d+"):
            image, label, *_ = line.split()
            name = " ".join(piece.title() for piece in image.rsplit("_", 1)[0].split("_"))
            numbered.setdefault(int(label), (name, []))[1].append(f"images/{image}.jpg")
        found[part] = {name: images for _, (name, images) in sorted(numbered.items())}
    return found


def flowers(classes: Sequence[str]) -> Callable[[Path], Listing]:
    """The listing of Oxford 102 Flower: labels and splits are in files of Matlab, which scipy reads."""

    def read(root: Path) -> Listing:
        from scipy.io import loadmat

        try:
            labels = loadmat(root / "imagelabels.mat", squeeze_me=True)["labels"].tolist()
            splits = loadmat(root / "setid.mat", squeeze_me=True)
            numbers = {
                split: splits[key].tolist() for split, key in zip(("train", "valid", "test"), FLOWERS, strict=True)
            }
            found: Listing = {split: {name: [] for name in classes} for split in numbers}
            for split, chosen in numbers.items():
                for number in chosen:
                    found[split][classes[labels[number - 1] - 1]].append(f"jpg/image_{number:05d}.jpg")
        except Exception as error:  # scipy raises many kinds for damaged files
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"{root}: its files of Matlab cannot be read ({reason}); replace them") from None
        return found

    return read


FLOWERS = ("trnid", "valid", "tstid")


def checked(listing: Listing, where: Path) -> Listing:
    """The listing; ValueError in one line where it has no images, an image twice, or one outside of the data set."""
    seen: set[str] = set()
    for part, classes in listing.items():
        names = [name for images in classes.values() for name in images]
        if not names:
            raise ValueError(f"{where}: has no images of {part}; replace it by the original")
        for name in names:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or not name.isprintable():
                raise ValueError(f"{where}: lists {one_line(name)}, which is not in it; replace its lists")
            if name in seen:
                raise ValueError(f"{where}: lists {name} twice; replace its lists")
            seen.add(name)
    return listing


def _lines(path: Path, pattern: str) -> list[str]:
    """The lines of a text file that are not empty; ValueError where one is of another form."""
    lines = [line.strip() for line in _text(path).splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        if not re.fullmatch(pattern, line):
            raise ValueError(f"{path}: its line {number} is none of the original; replace it")
    return lines


def _text(path: Path) -> str:
    """All of a text file; ValueError in one line where it is none, or too large."""
    try:
        if refuse_special(path).st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise ValueError(f"{path}: cannot be read ({one_line(reason)}); replace it by the original") from None
