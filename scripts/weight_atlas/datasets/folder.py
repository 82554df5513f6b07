"""Pictures in folders or zips: one directory a class, or train|valid|test directories above the classes."""

import io
import os
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from weight_atlas.datasets.resize import fit, plain
from weight_atlas.datasets.source import Source, below
from weight_atlas.datasets.split import SPLITS, kept

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp")
SPLIT_NAMES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}


class Picture(NamedTuple):
    """One picture: the directory or zip that holds it, and its name in there (with slashes)."""

    container: Path
    name: str

    def __str__(self):
        return f"{self.container}: {self.name}" if self.container.is_file() else str(self.container / self.name)


def _containers(spec, data_root):
    """[(part or None, path)]: what `path`, or `train`, `valid` and `test`, name; None where the parts are inside."""
    if spec.get("path"):
        return [(None, below(data_root, spec["path"], "dataset folder"))]
    return [(split, below(data_root, name, "dataset folder")) for split in SPLITS for name in spec.get(split) or []]


def files(spec, data_root):
    """The directories and zips that must exist."""
    return [path for _, path in _containers(spec, data_root)]


def describe(spec, data_root):
    """The Source of a folder: its pictures are listed, and none is opened but the first of each class where channels
    or size are not set. ValueError in one line where something is missing, empty or of mixed sizes."""
    containers = _containers(spec, data_root)
    if not containers:
        raise ValueError("dataset folder: names no pictures; set path:, or train: and test:")
    parts = {}
    for part, container in containers:
        if not container.exists():
            raise ValueError(
                f"dataset folder: {container} not found (data_root is {data_root}); set data_root to the folder that "
                "holds it, or correct its name"
            )
        for split, classes in _arranged(container, part).items():
            for name, pictures in classes.items():
                parts.setdefault(part or split, {}).setdefault(name, []).extend(pictures)
    parts = _checked(parts, containers)
    names = sorted(set().union(*parts.values()))
    pictures = {part: [_sorted(classes.get(name, [])) for name in names] for part, classes in parts.items()}
    channels, size = _first_looks(spec, names, pictures)
    return Source(
        title=Path(spec["path"]).stem if spec.get("path") else f"Pictures of {len(names)} classes",
        classes=names,
        channels=channels,
        size=size,
        counts={part: [len(of_class) for of_class in classes] for part, classes in pictures.items()},
        notes=[f"Pictures from {', '.join(path.name for _, path in containers)}, one directory a class."],
        pictures=pictures,
    )


def _checked(parts, containers):
    """The parts, where they hold pictures and make sense together; "train" alone counts as no split at all."""
    where = ", ".join(str(path) for _, path in containers)
    if not any(pictures for classes in parts.values() for pictures in classes.values()):
        raise ValueError(f"{where}: no pictures found in class directories; allowed are {' '.join(SUFFIXES)}")
    if set(parts) == {"train"}:
        return {"all": parts["train"]}
    if set(parts) != {"all"} and ("train" not in parts or "all" in parts):
        raise ValueError(f"{where}: has {' and '.join(sorted(parts))}; train is needed, with test (or valid) or both")
    return parts


def _sorted(pictures):
    """By file name within the class directory; pictures of the same name stay in the order of their containers."""
    return [picture for _, picture in sorted(pictures, key=lambda entry: entry[0])]


def _arranged(container, part):
    """{split or "all": {class: [(name within the class, Picture)]}} of one directory or zip."""
    names, directories = _contents(container)
    trails = [tuple(name.split("/")) for name in names]
    result = {}
    for split, branch in _branches(container, part, trails, directories).items():
        level = len(branch)
        classes = {trail[level]: [] for trail in directories if len(trail) > level and trail[:level] == branch}
        for name, trail in zip(names, trails, strict=True):
            if len(trail) > level + 1 and trail[:level] == branch:
                inner = "/".join(trail[level + 1 :])
                classes.setdefault(trail[level], []).append((inner, Picture(container, name)))
        result[split] = classes
    return result


def _branches(container, part, trails, directories):
    """{split or "all": trail of the directory above the classes}.

    A single directory above everything is looked through. Directories named train, valid (val, validation) or test
    above the classes are splits, unless other directories with pictures stand beside them. A container that is listed
    for one `part` may have its classes at the top, below one split directory of any name, or below that of its part.
    """
    base = ()
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
            raise ValueError(f"{container}: {'/'.join((*base, top))} holds no pictures; add some or remove it")
    if part and len(splits) > 1:
        splits = {top for top in splits if SPLIT_NAMES[top.lower()] == part}
        if not splits:
            raise ValueError(f"{container}: is listed for {part} but has no {part} directory; correct {part}:")
    branches = {SPLIT_NAMES[top.lower()]: (*base, top) for top in splits}
    if len(branches) < len(splits):
        raise ValueError(f"{container}: two of {', '.join(sorted(splits))} mean the same split; join them")
    return branches


def _contents(container):
    """([names of pictures], {trails of directories}) of a directory or zip; hidden files and __MACOSX are left out."""
    if container.is_dir():
        names, directories = [], set()
        for folder, inner, entries in os.walk(container, followlinks=True):
            inner[:] = sorted(name for name in inner if _visible(name))
            trail = Path(folder).relative_to(container).parts
            directories.update((*trail, name) for name in inner)
            names += ["/".join((*trail, name)) for name in sorted(entries)]
    else:
        with _zip(container) as file:
            every = [name for name in file.namelist() if all(_visible(piece) for piece in name.split("/"))]
        names = [name for name in every if not name.endswith("/")]
        directories = {tuple(name.rstrip("/").split("/")) for name in every if name.endswith("/")}
    return [name for name in names if name.lower().endswith(SUFFIXES) and _visible(name.split("/")[-1])], directories


def _visible(name):
    return not name.startswith(".") and name != "__MACOSX"


def _zip(path):
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path}: neither a directory nor a readable zip ({error}); replace it") from None


def _first_looks(spec, names, pictures):
    """(channels, (height, width)) by the first picture of each class and part, or None where `spec` sets both.

    Colour if one of them has colour; their sizes must be equal where `spec` sets none.
    """
    if spec.get("channels") and spec.get("size"):
        return None, None
    channels, size, shown = 1, None, None
    with opener() as look:
        for label in kept(spec, names):
            for picture in (of_class[label][0] for of_class in pictures.values() if of_class[label]):
                image = look(picture)
                channels = max(channels, len(image.getbands()))
                if spec.get("size") is None and size not in (None, image.size):
                    raise ValueError(_mixed(picture, image.size, shown, size))
                if size is None:
                    size, shown = image.size, picture
    return channels, (size[1], size[0]) if size else None


def _mixed(picture, size, other, other_size):
    return (
        f"{picture}: is {size[0]} x {size[1]} pixels and {other} is {other_size[0]} x {other_size[1]}; set size: to "
        "bring them to one"
    )


@contextmanager
def opener():
    """Yield look(picture) -> Pillow image, upright, of mode "L" or "RGB"; zips stay open until the end.

    look raises ValueError in one line naming the file where a picture cannot be read.
    """
    from PIL import Image

    with ExitStack() as stack:
        zips = {}

        def content(picture):
            if picture.container not in zips:
                is_file = picture.container.is_file()
                zips[picture.container] = stack.enter_context(_zip(picture.container)) if is_file else None
            file = zips[picture.container]
            return file.read(picture.name) if file else (picture.container / picture.name).read_bytes()

        def look(picture):
            try:
                image = Image.open(io.BytesIO(content(picture)))
                image.load()
                return plain(image)
            except Exception as error:  # Pillow's plugins and zipfile raise many kinds for damaged data
                reason = " ".join(str(error).split()) or type(error).__name__
                if "cannot identify image file" in reason:
                    reason = "no picture format that Pillow knows"
                raise ValueError(f"{picture}: cannot be read as a picture ({reason}); replace or remove it") from None

        yield look


@contextmanager
def reader(spec, data_root, source):
    """Yield fill(out, part, label, positions), which decodes pictures of one class into `out` (uint8 [n,C,H,W])
    and returns (pictures that were resized, pictures whose channels changed).

    ValueError names a picture that cannot be read, whose size differs where `size` is null, or that has colour where
    the first pictures of all classes are grey and `channels` is null.
    """
    with opener() as look:

        def fill(out, part, label, positions):
            channels, size = out.shape[1], spec.get("size")
            resized = recoloured = 0
            for i, position in enumerate(positions):
                picture = source.pictures[part][label][position]
                image = look(picture)
                if spec.get("channels") is None and len(image.getbands()) > channels:
                    raise ValueError(f"{picture}: has colour, the first picture of each class has none; set channels:")
                if size is None and image.size != (out.shape[3], out.shape[2]):
                    raise ValueError(_mixed(picture, image.size, "the first", (out.shape[3], out.shape[2])))
                out[i] = fit(image, channels, size)
                resized += image.size != (out.shape[3], out.shape[2])
                recoloured += len(image.getbands()) != channels
            return resized, recoloured

        yield fill
