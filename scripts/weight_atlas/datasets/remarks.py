"""What a user should look at in a data set, as sentences: classes of unequal size, channels without variance."""

from collections.abc import Mapping, Sequence

FAR_LARGER = 3  # times the mean of the other classes


def share(part: int, whole: int) -> str:
    """A share for a reader: "12 %", "0.083 %"."""
    return f"{100 * part / whole:.3g} %" if whole else "0 %"


def imbalance(names: Sequence[str], per_class: Mapping[str, Sequence[int]]) -> list[str]:
    """A sentence where one class of the training images has at least three times the images of the others' mean.

    Parameters
    ----------
    names : of the classes, by label
    per_class : {split: images per label}
    """
    train, test = per_class["train"], per_class["test"]
    used = [count for count in train if count]
    largest, total = max(used), sum(used)
    if len(used) < 2 or largest * (len(used) - 1) < FAR_LARGER * (total - largest):
        return []
    name = names[train.index(largest)]
    return [
        f"The class {name!r} has {largest:,} of {total:,} training images ({share(largest, total)}). Always naming the "
        f"largest class is right for {share(max(test), sum(test))} of the test images."
    ]


def without_variance(std: Sequence[float]) -> list[str]:
    """A sentence on the channels whose pixels are all equal; std: of the training images per channel."""
    constant = [str(channel) for channel, value in enumerate(std, 1) if value == 0]
    if not constant:
        return []
    which = f"Channel {constant[0]}" if len(constant) == 1 else f"Channels {' and '.join(constant)}"
    return [
        f"{which} of {len(std)}: the same value in every pixel of the training images. It is divided by 1, since the "
        "standard deviation is 0."
    ]
