"""How images lie in folders: one folder per class, and splits above the classes, below them, or not at all.

What is clear is recognised, and said where the names differ from the splits'; what can be read in two ways is refused.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from weight_atlas.vocabulary import SPLITS

Trail = tuple[str, ...]  # of a folder or file below a container, name by name
Classes = dict[str, list[tuple[str, str]]]  # by class: (name within the class, name within the container)
Place = tuple[Trail, str | None]  # the folder above the classes, and the folder in each class that holds a split

WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
WORDS |= dict.fromkeys(("valid", "val", "validation", "dev"), "valid")
# What a split's name may say besides, without a meaning: "train_images", "Testset".
NEUTRAL = {"data", "dataset", "folder", "image", "images", "img", "imgs", "set", "split"}
PLAIN = ()
_JOINED = re.compile(rf"^({'|'.join(WORDS)})({'|'.join(NEUTRAL)})$")


class Layout(NamedTuple):
    """parts: {split or "all": the images by class}; folders: those that stand for a class (in a split); loose: images
    in no class folder; notes: sentences on what was understood."""

    parts: dict[str, Classes]
    folders: set[Trail]
    loose: list[str]
    notes: list[str]


class Inside(NamedTuple):
    """What a folder holds: whether images lie directly in it, and its subfolders that have images at any depth."""

    direct: bool
    subfolders: set[str]


def arrange(where: str, names: Collection[str], directories: Collection[Trail], part: str | None = None) -> Layout:
    """Find the classes, and the splits where there are some.

    Single folders above everything are skipped. Splits are found above the classes (`train/cat`) or below them
    (`cat/train`). A container that is listed for one part may have its classes at the top, below one split's folder of
    any name, or below that of its part.

    Parameters
    ----------
    where : how messages name the container
    names : of its images, with slashes
    directories : the trails of its folders; those without images are classes without images
    part : the split that the container is listed for, None where the splits may be inside

    Raises
    ------
    ValueError
        In one line, where folders can be read both as splits and as classes, or a split has no class folders.
    """
    trails = [tuple(name.split("/")) for name in names]
    base = _skip((), trails, alone=part is None)
    tops = _inside(base, trails)
    beside = {trail[-1] for trail in directories if trail[:-1] == base}
    splits = clear_splits(tops)
    places: dict[str, list[Place]] = {"all": [(base, None)]}
    if splits and _are_splits(where, tops, splits):
        _check_splits(where, tops, splits, beside)
        places = {split: [(_skip((*base, top), trails, in_split=True), None)] for top, split in splits.items()}
    elif inner := _splits_in_classes(where, base, tops, trails):
        places = {split: [(base, folder) for folder in folders] for split, folders in inner.items()}
    layout = _collect(trails, directories, places)._replace(notes=_notes(tops, splits, places))
    if part is None or len(places) == 1:
        return layout
    if part not in places:
        raise ValueError(f"{where}: is listed for {part} but has no folder for it; correct {part}:")
    return layout._replace(parts={part: layout.parts[part]})


def split_of(name: str) -> tuple[str, Trail] | None:
    """The split that a folder's name reads as, and the words beside: "seg_Train" is ("train", ("seg",)); or None."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [word for text in re.findall(r"[^\W\d_]+", apart.lower()) for word in _JOINED.sub(r"\1 \2", text).split()]
    found = [word for word in words if word in WORDS]
    if len(found) != 1:
        return None
    return WORDS[found[0]], tuple(word for word in words if word not in WORDS and word not in NEUTRAL)


def clear_splits(folders: Iterable[str]) -> dict[str, str]:
    """{folder: split} of those whose names are splits' names.

    With another word in it ("seg_train") a name counts only beside that of another split with the same word, since
    "steam_train" and "test_tube" may be classes.
    """
    found = {folder: meant for folder in sorted(folders) if (meant := split_of(folder))}
    alike: dict[Trail, set[str]] = {}
    for split, rest in found.values():
        alike.setdefault(rest, set()).add(split)
    clear = {folder: split for folder, (split, rest) in found.items() if rest == PLAIN or {"train"} < alike[rest]}
    return dict(sorted(clear.items(), key=lambda one: SPLITS.index(one[1])))


def _are_splits(where: str, tops: dict[str, Inside], splits: dict[str, str]) -> bool:
    """Whether the folders with splits' names are splits: False where the only one is a class among classes."""
    others = [top for top in tops if top not in splits]
    if not others:
        return True
    if len(splits) == 1 and not any(tops[top].subfolders for top in splits):
        return False  # {bus, car, train}, all with images directly inside
    keys = " and ".join(f"{split}: [.../{top}]" for top, split in splits.items())
    raise ValueError(
        f"{where}: {_listed(splits)} {'reads as a split' if len(splits) == 1 else 'read as splits'}, but "
        f"{_listed(others)} {'lies' if len(others) == 1 else 'lie'} beside; name the splits with {keys} instead of "
        f"path:, or rename the folders if they are classes"
    )


def _check_splits(where: str, tops: dict[str, Inside], splits: dict[str, str], beside: set[str]) -> None:
    """ValueError where a split has no images or no class folders, or two folders mean the same split."""
    for top in sorted(beside - set(tops)):
        if split_of(top):
            raise ValueError(f"{where}: {top} holds no images; add some or remove it")
    for top in splits:
        if not tops[top].subfolders:
            raise ValueError(f"{where}: {top} holds images but no class folders; put those of each class in a folder")
    for split in SPLITS:
        same = [top for top, meant in splits.items() if meant == split]
        if len(same) > 1:
            raise ValueError(f"{where}: {_listed(same)} both mean the split {split}; join them, or rename one")


def _splits_in_classes(
    where: str, base: Trail, tops: dict[str, Inside], trails: list[Trail]
) -> dict[str, list[str]] | None:
    """{split: names of its folders} where the splits lie below the classes (`cat/train/1.png`), or None."""
    found = {top: clear_splits(inside.subfolders) for top, inside in tops.items()}
    divided = [top for top, splits in found.items() if {"train"} < set(splits.values())]
    if not divided:
        return None
    for trail in trails:
        inner = trail[len(base) :]
        if trail[: len(base)] != base or len(inner) < 2:
            continue
        if len(inner) != 3 or inner[1] not in found[inner[0]]:
            raise ValueError(
                f"{where}: {divided[0]} holds {_listed(found[divided[0]])}, which read as splits, but "
                f"{'/'.join(inner)} lies outside of such folders; move it into one, or rename these folders"
            )
    places: dict[str, list[str]] = {}
    for splits in found.values():
        for folder, split in splits.items():
            if folder not in places.setdefault(split, []):
                places[split].append(folder)
    return places


def _collect(trails: list[Trail], directories: Collection[Trail], places: dict[str, list[Place]]) -> Layout:
    """The images by part and class, and those that are in no class folder."""
    parts: dict[str, Classes] = {}
    folders, taken = set[Trail](), set[Trail]()
    for part, branches in places.items():
        classes = parts.setdefault(part, {})
        for branch, within in branches:
            level = len(branch)
            for trail in (trail for trail in sorted(directories) if len(trail) > level and trail[:level] == branch):
                classes.setdefault(trail[level], [])
            for trail in (trail for trail in trails if len(trail) > level + 1 and trail[:level] == branch):
                inner = trail[level + 1 :]
                if within and inner[0] != within:
                    continue
                classes.setdefault(trail[level], []).append(("/".join(inner), "/".join(trail)))
                folders.add(trail[: level + (2 if within else 1)])
                taken.add(trail)
    return Layout(parts, folders, ["/".join(trail) for trail in trails if trail not in taken], [])


def _notes(tops: dict[str, Inside], splits: dict[str, str], places: dict[str, list[Place]]) -> list[str]:
    """What was understood, where a reader could have thought of something else."""
    if places.keys() == {"all"}:
        return [f"The folder {top} was taken for a class: images lie directly in it." for top in splits]
    inner = [(within, part) for part, branches in places.items() for _, within in branches if within]
    if inner:
        return [f"In each class {_listed([name for name, _ in inner])} were taken for the splits of these names."]
    return [f"The folder {top} was taken for the split {split}." for top, split in splits.items() if top != split]


def _skip(base: Trail, trails: list[Trail], alone: bool = False, in_split: bool = False) -> Trail:
    """Below `base`, the first folder that has more than one subfolder with images, or one that is a class or a split.

    A folder with images directly in it is a class; but where it is `alone` in the source it cannot be one, if it has
    subfolders. Within a split no folder is a split.
    """
    while True:
        tops = _inside(base, trails)
        if len(tops) != 1:
            return base
        ((name, inside),) = tops.items()
        if inside.direct and not (alone and len(inside.subfolders) > 1):
            return base
        if not in_split and clear_splits([name]):
            return base
        base = (*base, name)


def _inside(base: Trail, trails: list[Trail]) -> dict[str, Inside]:
    """{folder directly in `base`: what it holds} of those that have images."""
    level = len(base)
    direct = {trail[level] for trail in trails if len(trail) == level + 2 and trail[:level] == base}
    found: dict[str, set[str]] = {name: set() for name in direct}
    for trail in trails:
        if len(trail) > level + 2 and trail[:level] == base:
            found.setdefault(trail[level], set()).add(trail[level + 1])
    return {name: Inside(name in direct, found[name]) for name in sorted(found)}


def _listed(names: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c", "a, b, c and 9 more"."""
    *first, last = list(names)
    if len(first) > 3:
        first, last = first[:3], f"{len(first) - 2} more"
    return f"{', '.join(first)} and {last}" if first else last
