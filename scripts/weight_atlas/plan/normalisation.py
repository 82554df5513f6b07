"""What images are normalised by: the data set's own mean and deviation, or those that weights were trained with."""

from weight_atlas.plan import spec
from weight_atlas.plan.checks import ConfigError
from weight_atlas.plan.parts import Json
from weight_atlas.settings import IMAGENET, UNCHANGED, Input


def constants(chosen: spec.Normalise | None, channels: int, where: str) -> Json:
    """{"mean", "std"} of a key `normalise`, or nothing for the data set's own; for a network of so many channels.

    ImageNet's are averaged over the channels for a network of one channel. ConfigError, which begins with `where`, for
    another number of values than the network has channels.
    """
    if chosen is None or chosen == "data":
        return {}
    if chosen == "none":
        return dict(UNCHANGED)
    if chosen == "imagenet":
        return dict(IMAGENET) if channels == 3 else {key: [_mean(values)] for key, values in IMAGENET.items()}
    if len(chosen.mean) not in (1, channels):
        raise ConfigError(
            f"{where}.normalise: {len(chosen.mean)} values for a network that takes images of {channels} channels; "
            f"allowed: 1{'' if channels == 1 else f', or {channels}'}"
        )
    return {"mean": chosen.mean, "std": chosen.std}


def inherited(shape: Input, channels: int) -> Json:
    """What a cell is normalised by that starts from one with images of this shape, and takes so many channels."""
    if not shape.mean or not shape.std:
        return {}
    if len(shape.mean) in (1, channels):
        return {"mean": shape.mean, "std": shape.std}
    return {"mean": [_mean(shape.mean)], "std": [_mean(shape.std)]}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
