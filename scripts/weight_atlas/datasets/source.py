"""What is known of a source before a picture is read."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A source of pictures: `classes` are all its names, by original label; `channels` and `size` (height, width) its
    own, None where they were not looked for since the data set sets them; `counts` is {part: [pictures of each
    class]}, with the parts "all", or "train" and "test", or the three splits; `pictures` ({part: [[picture] of each
    class]}) is filled for folders alone; `notes` are sentences for the card."""

    title: str
    classes: list
    channels: int | None
    size: tuple | None
    counts: dict
    notes: list = field(default_factory=list)
    pictures: dict | None = None


def below(data_root, name, what):
    """The path `name` below `data_root`; ValueError where no data_root is set. `what` names the need in the message."""
    if not data_root:
        raise ValueError(f"{what}: {name} is looked for below data_root, which is not set; set data_root")
    return Path(data_root) / name
