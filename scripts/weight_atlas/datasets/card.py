"""What is known of a data set: its facts before it is prepared, and its card, the JSON file beside its tensors."""

from typing import TypedDict


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
    the source (see `source_info.fingerprint`); notes: sentences on how the data set was made; warnings:
    sentences on what a user should look at.
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
    notes: list[str]
    warnings: list[str]
