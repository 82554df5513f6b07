"""What is known of a data set: its facts before it is prepared, and its card, the JSON file beside its tensors."""

from pathlib import Path
from typing import NotRequired, TypedDict

from weight_atlas import store
from weight_atlas.json_fields import Fields, find_mismatch, is_count, is_number, is_text, list_of, object_of

FIELDS: Fields = {
    "dataset_id": is_text,
    "classes": list_of(is_text),
    "channels": is_count,
    "size": list_of(is_count, 2),
    "counts": object_of(list_of(is_count)),
    "mean": list_of(is_number),
    "std": list_of(is_number),
    "sha256": is_text,
    "fingerprint": is_text,
}
OPTIONAL: Fields = {"title": is_text, "notes": list_of(is_text), "warnings": list_of(is_text), "recipe": is_text}


class Facts(TypedDict):
    """classes: names by label; size: [height, width] in pixels; counts: images per split; per_class: {split: images
    per label}; warnings: those of the card that are known before an image is read."""

    classes: list[str]
    channels: int
    size: list[int]
    counts: dict[str, int]
    per_class: dict[str, list[int]]
    warnings: list[str]


class Repeats(TypedDict):
    """How many images of the test split are in train too, of valid in train, of test in valid; how many equal one of
    another class; and how many equal an earlier one of their class and split."""

    test_in_train: int
    valid_in_train: int
    test_in_valid: int
    two_classes: int
    within: int


class Card(TypedDict):
    """classes: names by label; size: [height, width] in pixels; counts: {split: images per label}.

    mean, std: of the training images per channel, on the scale 0 to 1, a std of 0 replaced by 1; repeats: equal images;
    sha256: of the tensors' bytes; fingerprint: of
    the source (see `source_info.fingerprint`); resample: whether each replicate draws train and valid anew; notes:
    sentences on how the data set was made; warnings:
    sentences on what a user should look at; recipe: a digest of what it was made from.
    """

    dataset_id: str
    title: str
    source: str
    classes: list[str]
    channels: int
    size: list[int]
    counts: dict[str, list[int]]
    mean: list[float]
    std: list[float]
    repeats: Repeats
    sha256: str
    fingerprint: str
    resample: NotRequired[bool]
    notes: list[str]
    warnings: list[str]
    recipe: NotRequired[str]


def read(path: Path) -> Card:
    """The card of a data set; ValueError, in one line, where the file is none."""
    card = store.read_json(path)
    problem = find_mismatch(card, FIELDS, OPTIONAL)
    if problem is None and card["dataset_id"] != path.stem:
        problem = f"dataset_id is {card['dataset_id']!r}"
    if problem is None and not len(card["mean"]) == len(card["std"]) == card["channels"]:
        problem = f"mean and std have {len(card['mean'])} and {len(card['std'])} values for {card['channels']} channels"
    if problem is None and not all(len(counts) == len(card["classes"]) for counts in card["counts"].values()):
        problem = f"counts are not of {len(card['classes'])} classes"
    if problem:
        raise ValueError(f"{path}: is not the card of a data set: {problem}; remove the file, so that it is made again")
    found: Card = card
    return found
