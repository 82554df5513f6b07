"""What the weights of a cell start from, in words."""

from weight_atlas.settings import Settings


def start(settings: Settings) -> str:
    """What a cell starts from: "random weights (kaiming_uniform)"."""
    if imagenet(settings):
        return "ImageNet weights"
    words = {"weights": "a file of weights", "init": f"random weights ({settings.start.scheme})"}
    return words.get(settings.start.kind, "weights of a source cell")


def imagenet(settings: Settings) -> bool:
    """Whether a cell starts from weights that are published for ImageNet."""
    return settings.start.kind == "weights" and "imagenet" in (settings.start.weights_id or "")
